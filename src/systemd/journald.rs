//! Entries of the system's journal with fields of their own:
//! systemd.journal-fields(7).
//!
//! Sending can block while journald hangs: entries are to be written by a
//! thread that nobody waits for.

use std::io;
use std::os::unix::fs::MetadataExt;

use tracing::{Dispatch, dispatcher, event};
use tracing_journald::{Priority as Level, PriorityMappings};
use tracing_subscriber::layer::SubscriberExt;

/// How much an entry matters, as syslog(3) has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Priority {
    /// Nothing can go on.
    Error,
    /// Somebody should look at it.
    Warning,
    /// Normal, and worth knowing.
    Notice,
    /// Normal.
    Info,
}

/// What kind of event an entry tells of, with the text that `journalctl -x`
/// shows for it. The catalog, systemd/autotune.catalog, has the same numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageId {
    /// A study was taken up.
    Opened,
    /// A sitting that an earlier daemon had begun was cleared up.
    Recovered,
    /// A trial has failed.
    TrialFailed,
    /// There is a new incumbent.
    NewBest,
    /// What is proposed waits for approval.
    ApprovalAsked,
    /// A user has paused the study.
    Paused,
    /// The host has got in the way too often.
    HostFaults,
    /// The study goes on after a pause.
    Resumed,
    /// There is nothing left to do.
    Done,
    /// The host gives more or less than it did.
    Drifted,
    /// The disk takes no data.
    DiskTrouble,
    /// The disk takes data again.
    DiskBack,
}

impl MessageId {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Opened,
        Self::Recovered,
        Self::TrialFailed,
        Self::NewBest,
        Self::ApprovalAsked,
        Self::Paused,
        Self::HostFaults,
        Self::Resumed,
        Self::Done,
        Self::Drifted,
        Self::DiskTrouble,
        Self::DiskBack,
    ];

    /// Its number: 128 bits that were drawn at random, once and for ever.
    pub const fn number(self) -> &'static str {
        match self {
            Self::Opened => "a8ab33554ef248b78e0f2a048a842f70",
            Self::Recovered => "6b1f3822af8a45efa63f5cabb6e88278",
            Self::TrialFailed => "24464558e01f4286ab75db8468a108ff",
            Self::NewBest => "e5e32cf58b85481b8953d907f1819415",
            Self::ApprovalAsked => "e7e7c4edfccf4078bd99bfe004571326",
            Self::Paused => "6027838a3cdc4e3ea9a9a2345b120db2",
            Self::HostFaults => "4f3ee65c198b41b9a6914444fd33db2e",
            Self::Resumed => "5d7807384d2f4f6b87ddbc39cdc19707",
            Self::Done => "fdc5749670c540ceab5f63d14654dab4",
            Self::Drifted => "25fa02fc95a4405790aeb72e776ac09e",
            Self::DiskTrouble => "56309d757b224637acfdef6dfda6254f",
            Self::DiskBack => "202338ae8c084b6da056338c6f29d531",
        }
    }
}

/// One entry. What is `None` has no field.
#[derive(Clone, Debug, Default)]
pub struct Entry<'a> {
    /// `MESSAGE`.
    pub message: &'a str,
    /// `MESSAGE_ID`.
    pub id: Option<MessageId>,
    /// `AUTOTUNE_EVENT`: the event's name in the study's journal.
    pub event: Option<&'a str>,
    /// `AUTOTUNE_STUDY`.
    pub study: Option<&'a str>,
    /// `AUTOTUNE_TRIAL`.
    pub trial: Option<u32>,
    /// `AUTOTUNE_STEP`.
    pub step: Option<&'a str>,
    /// `AUTOTUNE_RUN`.
    pub run: Option<u32>,
    /// `AUTOTUNE_OUTCOME`.
    pub outcome: Option<&'a str>,
}

/// Whether what this process writes to standard error goes to the journal, so
/// that whoever reads it will look there: `JOURNAL_STREAM` of systemd.exec(5).
pub fn is_read() -> bool {
    let Some(stream) = std::env::var_os("JOURNAL_STREAM") else {
        return false;
    };
    // The link leads to what is open, be it a socket.
    let open = std::fs::metadata("/proc/self/fd/2");
    open.is_ok_and(|open| *stream == *format!("{}:{}", open.dev(), open.ino()))
}

/// The way to the journal.
#[derive(Clone, Debug)]
pub struct Journald(Dispatch);

impl Journald {
    /// Finds it.
    ///
    /// # Errors
    /// When there is none on this machine.
    pub fn connect() -> io::Result<Self> {
        let layer = tracing_journald::layer()?
            .with_field_prefix(None)
            .with_syslog_identifier("autotuned".to_owned())
            // tracing has no notice; its levels are one name for ours here.
            .with_priority_mappings(PriorityMappings {
                error: Level::Error,
                warn: Level::Warning,
                info: Level::Notice,
                debug: Level::Informational,
                trace: Level::Debug,
            });
        // For these entries alone: other crates' texts stay out of the journal.
        Ok(Self(tracing_subscriber::registry().with(layer).into()))
    }

    /// Writes an entry. One that cannot be written is lost: the study's own
    /// journal has it.
    pub fn write(&self, priority: Priority, entry: &Entry<'_>) {
        let Entry {
            message,
            event: name,
            study,
            trial,
            step,
            run,
            outcome,
            ..
        } = *entry;
        let id = entry.id.map(MessageId::number);
        // The level is a part of the place in the source, so each has its own.
        macro_rules! write {
            ($level:ident) => {
                event!(
                    tracing::Level::$level,
                    message_id = id,
                    autotune_event = name,
                    autotune_study = study,
                    autotune_trial = trial,
                    autotune_step = step,
                    autotune_run = run,
                    autotune_outcome = outcome,
                    message
                )
            };
        }
        dispatcher::with_default(&self.0, || match priority {
            Priority::Error => write!(ERROR),
            Priority::Warning => write!(WARN),
            Priority::Notice => write!(INFO),
            Priority::Info => write!(DEBUG),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_are_those_of_the_catalog() {
        let numbers: BTreeSet<&str> = MessageId::ALL.iter().map(|id| id.number()).collect();
        assert_eq!(numbers.len(), MessageId::ALL.len());
        let catalog = include_str!("../../systemd/autotune.catalog");
        let heads = catalog.lines().filter_map(|line| line.strip_prefix("-- "));
        let listed: BTreeSet<&str> = heads
            .map(|head| head.split(' ').next().expect("a number"))
            .collect();
        assert_eq!(listed, numbers);
    }
}
