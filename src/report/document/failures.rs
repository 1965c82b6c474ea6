//! What failed: by cause, by value, and one by one.

use std::collections::BTreeMap;

use super::{Block, Figure, Map, Section, Table, Teller, Tried, number_column, text_column};
use crate::model::domain::Domain;
use crate::model::outcome::{Failure, Outcome};
use crate::model::trial::{Trial, log_name};
use crate::report::phrase::{clean, cut, percent};
use crate::troubles;

/// So many numbers of trials are told one by one.
const TOLD: usize = 12;
/// What a program said takes at most so many columns.
const MESSAGE: usize = 200;
/// So many values are told at which trials fail.
const VALUES: usize = 15;
/// A value on the map takes at most so many columns.
const VALUE: usize = 16;
/// A parameter of more values has no place on the map.
const MAPPED: usize = 24;

/// What broke: by cause, by value, and one by one.
pub(super) fn section(teller: &Teller<'_>) -> Option<Section> {
    let (study, words) = (teller.study, teller.words);
    let failed: Vec<(&Trial, &Failure)> = study
        .trials()
        .iter()
        .filter_map(|trial| match &trial.outcome {
            Some(Outcome::Failed(failure)) => Some((&**trial, &**failure)),
            _ => None,
        })
        .collect();
    if failed.is_empty() {
        return None;
    }
    let mut blocks = vec![Block::Table(by_cause(teller, &failed))];
    let map = map(teller);
    let by_value = by_value(teller, &map, failed.len() as u32);
    if !map.rows.is_empty() {
        blocks.push(Block::Figure(Figure::Map(map)));
    }
    if !by_value.rows.is_empty() {
        blocks.push(Block::Table(by_value));
        blocks.push(words.text(
            "Other parameters differ between these trials, too: what stands first is where to \
             look first, not what is proved.",
            "这些试验的其他参数也不相同：排在前面的取值值得优先排查，但并不构成证明。",
        ));
    }
    let mut table = Table::new(
        words.label("Failed trials", "失败的试验"),
        vec![
            number_column(words.label("trial", "试验")),
            text_column(words.label("params", "参数")),
            text_column(words.label("what broke", "失败原因")),
            text_column(words.label("log", "日志")),
        ],
    );
    for (trial, failure) in &failed {
        table.row(vec![
            trial.id.to_string(),
            teller.differences(trial),
            cut(&clean(failure.message.trim()), MESSAGE),
            log(teller, trial, failure),
        ]);
    }
    blocks.push(Block::Table(table));
    teller.section("failures", ("What failed", "失败的试验"), blocks)
}

/// The file that shows a failure, within the output folder.
fn log(teller: &Teller<'_>, trial: &Trial, failure: &Failure) -> String {
    let Some(step) = &failure.step else {
        return String::new();
    };
    let sitting = trial.sittings.last().map_or(1, |sitting| sitting.number);
    let is_first = teller.study.first_service_name().as_ref() == Some(step);
    let step = (!is_first).then_some(&**step);
    let logs = &teller.study.spec().files.logs;
    clean(&format!("{logs}/{}", log_name(trial.id, sitting, step)))
}

fn by_cause(teller: &Teller<'_>, failed: &[(&Trial, &Failure)]) -> Table {
    let words = teller.words;
    let mut causes: BTreeMap<&str, Vec<(&Trial, &Failure)>> = BTreeMap::new();
    for (trial, failure) in failed {
        let cause = failure.cause.as_ref().map(|cause| cause.name.as_str());
        let cause = cause.unwrap_or(failure.kind.name());
        causes.entry(cause).or_default().push((trial, failure));
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by_key(|(_, trials)| std::cmp::Reverse(trials.len()));
    let mut table = Table::new(
        words.label("By cause", "按原因"),
        vec![
            text_column(words.label("cause", "原因")),
            number_column(words.label("count", "个数")),
            text_column(words.label("trials", "试验")),
            text_column(words.label("hint", "建议")),
            text_column(words.label("what the program said", "程序输出")),
        ],
    );
    for (name, trials) in causes {
        let cause = trials
            .iter()
            .find_map(|(_, failure)| failure.cause.as_ref());
        let mut told: Vec<String> = trials
            .iter()
            .take(TOLD)
            .map(|(trial, _)| trial.id.to_string())
            .collect();
        if trials.len() > TOLD {
            told.push("…".to_owned());
        }
        let hint = cause.map(|cause| clean(&words.label(&cause.hint, &troubles::chinese(cause))));
        let line = cause.map(|cause| cut(&clean(cause.line.trim()), MESSAGE));
        table.row(vec![
            clean(name),
            trials.len().to_string(),
            told.join(", "),
            hint.unwrap_or_default(),
            line.unwrap_or_default(),
        ]);
    }
    table
}

/// At which values of each parameter how many trials fail, in the order of the
/// space. What never varied is left out, and so is a parameter none of whose
/// values breaks more than others.
fn map(teller: &Teller<'_>) -> Map {
    let (study, words) = (teller.study, teller.words);
    let mut rows = Vec::new();
    for parameter in study.spec().space.parameters() {
        let Domain::Values(values) = &parameter.domain else {
            continue;
        };
        if values.len() > MAPPED {
            continue;
        }
        let mut cells: Vec<Tried> = values
            .iter()
            .map(|value| Tried {
                value: cut(&teller.value(&parameter.name, value), VALUE),
                trials: 0,
                failed: 0,
            })
            .collect();
        for trial in study.trials().iter().filter(|trial| trial.is_settled()) {
            let params = study.params_of(trial);
            let value = params.get(&parameter.name);
            let place = value.and_then(|value| values.iter().position(|known| known == value));
            if let Some(cell) = place.and_then(|place| cells.get_mut(place)) {
                cell.trials += 1;
                cell.failed += u32::from(matches!(trial.outcome, Some(Outcome::Failed(_))));
            }
        }
        cells.retain(|cell| cell.trials > 0);
        let breaks = cells.iter().any(|cell| cell.failed > 0);
        if cells.len() > 1 && breaks {
            rows.push((clean(&parameter.name), cells));
        }
    }
    Map {
        title: words.label("Where it breaks", "失败分布"),
        description: words.label(
            "Each box is a value of a parameter: how many of the trials that had it failed.",
            "每个方框为参数的一个取值：其中有多少个试验失败。",
        ),
        rows,
    }
}

/// The values at which more trials fail than usual, the surest first.
fn by_value(teller: &Teller<'_>, map: &Map, failed: u32) -> Table {
    let words = teller.words;
    let counts = teller.study.counts();
    let settled = counts.all() - counts.unsettled;
    let usual = f64::from(failed) / f64::from(settled.max(1));
    let rows = map.rows.iter();
    let all = rows.flat_map(|(name, cells)| cells.iter().map(move |cell| (name, cell)));
    // Where no more fail than anywhere there is nothing to look for.
    let mut found: Vec<_> = all.filter(|(_, cell)| cell.share() > usual).collect();
    found.sort_by(|(_, a), (_, b)| {
        b.share()
            .total_cmp(&a.share())
            .then(b.failed.cmp(&a.failed))
    });
    let mut table = Table::new(
        words.label("By value", "按参数取值"),
        vec![
            text_column(words.label("parameter", "参数")),
            text_column(words.label("value", "取值")),
            number_column(words.label("trials", "试验数")),
            number_column(words.label("failed", "失败数")),
            number_column(words.label("share", "比例")),
        ],
    );
    for (name, cell) in found.into_iter().take(VALUES) {
        table.row(vec![
            name.clone(),
            cell.value.clone(),
            cell.trials.to_string(),
            cell.failed.to_string(),
            percent(cell.share()),
        ]);
    }
    table
}
