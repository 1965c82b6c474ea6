//! `autotuned notify-failed`: tells that a unit has failed.
//!
//! The daemon is dead, and its outbox with it. So each channel that wants to
//! know of crashes is tried a few times here, and what one cannot deliver goes
//! to the fall-backs.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::exit::Exit;
use crate::base::clock;
use crate::config;
use crate::daemon::host_name;
use crate::model::notify::{Channel, Kind, Notify};
use crate::notify::{Hope, Message, Receiver, Secrets, Stamp, failure_words};

/// So often a channel is tried.
const ATTEMPTS: u32 = 4;
/// The pause before the second attempt; each further one is four times as long.
const PAUSE: Duration = Duration::from_secs(2);

/// Tells the channels of a unit's spec that the unit has failed; for OnFailure=
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  autotuned notify-failed autotune@qwen.service

The spec of autotune@NAME.service is NAME.toml, that of autotune.service is
autotune.toml, in /etc/autotune. Only its [notify] is read, so that a mistake
elsewhere, which may be why the unit has failed, does not keep it quiet. It goes
to the channels that get messages of the kind `crashed`.")]
pub struct Args {
    /// The unit
    unit: String,
    /// Its spec [default: that of the unit in /etc/autotune]
    #[arg(long, value_name = "PATH")]
    spec: Option<PathBuf>,
}

pub(super) fn carry_out(args: &Args) -> Exit {
    let name = args.unit.strip_suffix(".service").unwrap_or(&args.unit);
    let name = name.strip_prefix("autotune@").unwrap_or(name);
    let default = || Path::new("/etc/autotune").join(format!("{name}.toml"));
    let spec = args.spec.clone().unwrap_or_else(default);
    let (study, notify) = match config::read_notify(&spec) {
        Ok(read) => read,
        Err(refusal) => return Exit::Spec.say(&refusal),
    };
    if notify.channels.is_empty() {
        return Exit::Done;
    }
    // A channel whose secret is gone must not keep the others quiet.
    let (usable, mut wrong) = usable(notify.clone());
    let variable = |name: &str| std::env::var_os(name);
    let secrets = Secrets::resolve(&usable, &variable).unwrap_or_default();
    let stamp = Stamp {
        study: study.unwrap_or_else(|| name.to_owned()),
        begun: clock::now(),
        host: host_name(),
    };
    let message = message(&stamp, &notify, &args.unit);
    match super::runtime() {
        Ok(runtime) => wrong.extend(runtime.block_on(tell(&notify, &usable, &secrets, &message))),
        Err(error) => return Exit::failure(&error),
    }
    if wrong.is_empty() {
        return Exit::Done;
    }
    Exit::Failure.say_text(&wrong.join("\n"))
}

/// The channels whose secrets are there, and what is wrong with the others.
pub(super) fn usable(mut notify: Notify) -> (Notify, Vec<String>) {
    let mut wrong = Vec::new();
    notify.channels.retain(|channel| {
        let alone = Notify {
            channels: vec![channel.clone()],
            ..Notify::default()
        };
        let resolved = Secrets::resolve(&alone, &|name| std::env::var_os(name));
        match resolved {
            Ok(_) => true,
            Err(missing) => {
                wrong.extend(missing.iter().map(ToString::to_string));
                false
            }
        }
    });
    (notify, wrong)
}

fn message(stamp: &Stamp, notify: &Notify, unit: &str) -> Message {
    let (title, text) = failure_words(notify.language, unit);
    let id = stamp.id("failed");
    Message {
        ids: vec![id.clone()],
        id,
        kind: Kind::Crashed.name(),
        study: stamp.study.clone(),
        host: stamp.host.clone(),
        at: stamp.begun,
        title: format!("[{}] {title}", stamp.study),
        text,
        trial: None,
    }
}

/// Sends it by the usable channels of `notify`, and says what could not be
/// delivered.
async fn tell(
    notify: &Notify,
    usable: &Notify,
    secrets: &Secrets,
    message: &Message,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let is_meant = |channel: &&Channel| channel.kinds.contains(&Kind::Crashed);
    for channel in usable.channels.iter().filter(is_meant) {
        wrong.extend(send(channel, secrets, message).await);
    }
    let meant = notify.channels.iter().filter(is_meant).count();
    let lost = meant - usable.channels.iter().filter(is_meant).count();
    if !wrong.is_empty() || lost > 0 {
        let others = usable.channels.iter();
        for channel in others.filter(|channel| channel.fallback && !is_meant(channel)) {
            wrong.extend(send(channel, secrets, message).await);
        }
    }
    wrong
}

/// Tries a channel a few times; what went wrong the last time.
async fn send(channel: &Channel, secrets: &Secrets, message: &Message) -> Option<String> {
    let mut attempt = 1;
    loop {
        let error = Receiver::new(channel, secrets)
            .send(message, &[])
            .await
            .err()?;
        let asked = match error.hope {
            Hope::Later(asked) if attempt < ATTEMPTS => asked,
            _ => return Some(format!("channel {} of [notify]: {error}", channel.name)),
        };
        let own = PAUSE * 4_u32.pow(attempt - 1);
        tokio::time::sleep(
            asked
                .unwrap_or_default()
                .clamp(own, Duration::from_secs(60)),
        )
        .await;
        attempt += 1;
    }
}
