//! `Settings`: those that can be changed, and how the spec has them.

use super::space::ignored;
use crate::model::amendment::Amendment;
use crate::model::setting::Setting;
use crate::model::study::Study;
use crate::wire::reply::{self, Reply, Settings};

pub fn answer(study: &Study) -> Reply {
    let written = Setting::all(study.written());
    let rows = Setting::all(study.spec())
        .into_iter()
        .filter_map(|setting| {
            let own = written.iter().find(|own| own.is_same(&setting));
            let changed = own.filter(|own| **own != setting);
            // Bounds of a metric that has none are not shown: there may be many.
            let is_bounded = study.spec().constraints.iter();
            let mut is_bounded = is_bounded.map(|c| &c.metric);
            let is_bound = matches!(setting, Setting::Min(..) | Setting::Max(..));
            let shown = !is_bound || changed.is_some() || is_bounded.any(|m| setting.bounds(m));
            shown.then(|| reply::Setting {
                name: setting.name(),
                value: setting.value(),
                written: changed.map(Setting::value),
            })
        });
    Reply::Settings(Box::new(Settings {
        settings: rows.collect(),
        ignored: ignored(study, |one| matches!(one, Amendment::Setting(_))),
    }))
}
