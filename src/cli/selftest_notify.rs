//! `autotuned selftest --notify`: whether the channels of a spec deliver.
//!
//! There is no daemon in it: this program sends the test, with the secrets and
//! the proxy of whoever runs it.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;

use super::exit::Exit;
use super::notify_failed::usable;
use super::selftest::{Told, Tried};
use crate::base::clock;
use crate::base::quantity::show_duration;
use crate::config;
use crate::daemon::host_name;
use crate::model::notify::Notify;
use crate::notify::{Secrets, Stamp, Tested, test};

/// The channels of a spec, and for which study.
pub(super) struct Wanted {
    notify: Notify,
    study: String,
}

/// Reads what is to be tested.
///
/// # Errors
/// How the verb is to end, said.
pub(super) fn read(spec: &Path) -> Result<Wanted, Exit> {
    let read = config::read_notify(spec).map_err(|refusal| Exit::Spec.say(&refusal))?;
    let (study, notify) = read;
    if notify.channels.is_empty() {
        let text = format!(
            "{} has no [[notify.channel]]: nobody is told",
            spec.display()
        );
        return Err(Exit::Spec.say_text(&text));
    }
    let study = study.unwrap_or_else(|| "selftest".to_owned());
    Ok(Wanted { notify, study })
}

/// Sends a test by each channel; whether every receiver has accepted it.
pub(super) async fn try_all(wanted: Wanted, told: &mut Told) -> bool {
    // A channel whose secret is not here must not keep the others from it.
    let (notify, missing) = usable(wanted.notify);
    let secrets = Secrets::resolve(&notify, &|name| std::env::var_os(name));
    let stamp = Stamp {
        study: wanted.study,
        begun: clock::now(),
        host: host_name(),
    };
    let secrets = Arc::new(secrets.unwrap_or_default());
    let tested = test(notify.channels, secrets, &stamp, notify.language).await;
    let missing = missing.into_iter().map(|why| Err(anyhow!(why)));
    let all = tested.into_iter().map(answer).chain(missing);
    let came: Vec<Option<()>> = all.map(|tried| told.of("notify", tried)).collect();
    came.iter().all(Option::is_some)
}

fn answer(tested: Tested) -> Tried<()> {
    let took = show_duration(tested.took);
    match tested.answer {
        Ok(answer) => Ok((
            (),
            format!("{}: accepted after {took}: {answer}", tested.channel),
        )),
        Err(error) => Err(anyhow!("{}: failed after {took}: {error}", tested.channel)),
    }
}
