//! The lines of the journal.
//!
//! The first line is the header, each further line one fact:
//!
//! ```text
//! {"format":{"major":1,"minor":2},"tool":"0.1.0","study":"qwen","spec_digest":"9b1c…","seed":42,"created":1763767212000,"crc":"5d0f1a77"}
//! {"seq":1,"at":1763767212004,"event":{"opened":{"digest":"9b1c…"}},"crc":"9f31c2aa"}
//! {"seq":2,"at":1763767212009,"event":{"trial-planned":{"trial":1,"params":{"SEQS":"512"},"origin":"baseline"}},"crc":"0c77e1d4"}
//! ```
//!
//! `crc` is CRC-32 (ISO-HDLC, as in zip) over the bytes of the line before
//! `,"crc":`, in eight hexadecimal digits, and it always stands last: so it
//! is checked on the bytes as they are, before anything is parsed, and a line
//! is still one JSON object for other programs.
//!
//! A reader skips fields that it does not know. A new field or a new kind of
//! event that older readers may skip raises the minor number of the format,
//! anything else the major one.
//!
//! | format | since then |
//! |---|---|
//! | 1.1 | `trial-skipped`; `by_user` of `paused`; the origin `user` |
//! | 1.2 | `trial-pruned`, `trial-deferred`, `drifted`, `warned`, `port-busy`, `spec-amended`, `spec-reloaded`, `notice-queued`, `notice-delivered`, `notice-given-up`, `host-seen`, `waiting`, `run-marked`, `run-told`, `approval-asked`, `approval-given`, `approval-refused`, `approval-withdrawn`, `artifacts-found`, `artifacts-kept`, `artifacts-lost`, `artifacts-deleted`, `task-resumed`, `advised`, `parameter-reopened`; `run` of `step-started`; `purpose` and `slot` of `sitting-started`; `choice` of `trial-planned`, and `remedy` as its `origin` |

use std::fmt;

use serde::{Deserialize, Serialize};

use super::event_record::EventRecord;
use super::text::Interner;
use crate::base::clock::Timestamp;
use crate::model::event::{Event, Fact};
use crate::model::spec::Spec;

/// The version of the journal's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Format {
    /// Raised when older readers would misread it.
    pub major: u32,
    /// Raised when older readers may go on reading, but not write.
    pub minor: u32,
}

impl Format {
    /// The format that this program writes.
    pub const OURS: Self = Self { major: 1, minor: 2 };
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// An event as the journal has it: one JSON object.
pub fn event_text(event: &Event) -> String {
    let record = EventRecord::from(event);
    serde_json::to_string(&record).expect("records have text keys and finite numbers")
}

/// The first line of a journal: whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// The version of what follows.
    pub format: Format,
    /// The version of the program that began it.
    pub tool: String,
    /// The study's name.
    pub study: String,
    /// SHA-256 of the spec with which it was begun.
    pub spec_digest: String,
    /// The study's seed.
    pub seed: u64,
    /// When it was begun, in milliseconds since 1970 (UTC).
    pub created: i64,
}

impl Header {
    /// The header of a journal that is begun now.
    pub fn new(spec: &Spec, created: Timestamp) -> Self {
        Self {
            format: Format::OURS,
            tool: env!("CARGO_PKG_VERSION").to_owned(),
            study: spec.name.clone(),
            spec_digest: spec.digest.clone(),
            seed: spec.seed,
            created: created.as_millis(),
        }
    }
}

/// What can be told of a header whatever its version is.
#[derive(Deserialize)]
pub(super) struct AnyHeader {
    pub(super) format: Format,
    #[serde(default)]
    pub(super) tool: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct Line<'a> {
    seq: u64,
    at: i64,
    #[serde(borrow)]
    event: EventRecord<'a>,
}

/// A line whose event may be of a kind that is not known here.
#[derive(Deserialize)]
struct AnyLine {
    seq: u64,
    event: serde_json::Value,
}

const MARK: &[u8] = b",\"crc\":\"";
const SEAL: usize = MARK.len() + 8 + 2;

/// Closes the JSON object that begins at `start`: checksum and newline.
fn seal(buffer: &mut Vec<u8>, start: usize) {
    debug_assert_eq!(buffer.last(), Some(&b'}'), "a JSON object");
    buffer.pop();
    let sum = crc32fast::hash(&buffer[start..]);
    buffer.extend_from_slice(MARK);
    buffer.extend_from_slice(&hex(sum));
    buffer.extend_from_slice(b"\"}\n");
}

/// Whether `line`, without its newline, is as it was written.
pub(super) fn is_sealed(line: &[u8]) -> bool {
    let Some(at) = line.len().checked_sub(SEAL) else {
        return false;
    };
    let (body, tail) = line.split_at(at);
    let digits = &tail[MARK.len()..MARK.len() + 8];
    tail.starts_with(MARK) && tail.ends_with(b"\"}") && *digits == hex(crc32fast::hash(body))
}

fn hex(sum: u32) -> [u8; 8] {
    let digit = |place: u32| b"0123456789abcdef"[(sum >> (28 - 4 * place) & 15) as usize];
    std::array::from_fn(|place| digit(place as u32))
}

/// Whether `line` begins with a whole sealed line that something else follows:
/// not half a line, then, but two that have lost the newline between them.
/// Zeros do not count, since a file system may leave them after a crash.
pub(super) fn is_glued(line: &[u8]) -> bool {
    line.windows(MARK.len())
        .enumerate()
        .filter(|(_, window)| *window == MARK)
        .filter_map(|(at, _)| line.split_at_checked(at + SEAL))
        .any(|(first, rest)| rest.iter().any(|byte| *byte != 0) && is_sealed(first))
}

/// Appends the header's line.
pub(super) fn push_header(buffer: &mut Vec<u8>, header: &Header) {
    let start = buffer.len();
    push_json(buffer, header);
    seal(buffer, start);
}

/// Appends the line of a fact.
pub(super) fn push_fact(buffer: &mut Vec<u8>, seq: u64, fact: &Fact) {
    let start = buffer.len();
    let line = Line {
        seq,
        at: fact.at.as_millis(),
        event: EventRecord::from(&fact.event),
    };
    push_json(buffer, &line);
    seal(buffer, start);
}

fn push_json(buffer: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(buffer, value)
        .expect("records have text keys and finite numbers, and memory takes every write");
}

/// What a sealed line says.
pub(super) enum Read {
    /// A fact with its number.
    Fact(u64, Fact),
    /// An event of a kind that this program does not know.
    Unknown(u64, String),
}

/// Reads a sealed line.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read_line(line: &[u8], names: &mut Interner) -> Result<Read, String> {
    match serde_json::from_slice::<Line<'_>>(line) {
        Ok(Line { seq, at, event }) => {
            let event = event.into_event(names)?;
            let at = Timestamp::from_millis(at);
            Ok(Read::Fact(seq, Fact { at, event }))
        }
        Err(error) => unknown_kind(line).ok_or_else(|| error.to_string()),
    }
}

fn unknown_kind(line: &[u8]) -> Option<Read> {
    let line: AnyLine = serde_json::from_slice(line).ok()?;
    let kind = match &line.event {
        serde_json::Value::String(kind) => kind,
        serde_json::Value::Object(event) if event.len() == 1 => event.keys().next()?,
        _ => return None,
    };
    let known = EventRecord::KINDS.contains(&&**kind);
    (!known).then(|| Read::Unknown(line.seq, kind.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::artifacts::ArtifactsChange;
    use crate::model::event::Event;

    fn line() -> Vec<u8> {
        let mut buffer = Vec::new();
        let reason = "say \"no\"\nto `a=b`, 火 🔥 ,\"crc\":\"00000000\"}".to_owned();
        let event = Event::Paused {
            reason,
            by_user: false,
        };
        let at = Timestamp::from_millis(1_763_767_212_004);
        push_fact(&mut buffer, 7, &Fact { at, event });
        assert_eq!(buffer.pop(), Some(b'\n'));
        buffer
    }

    #[test]
    fn a_line_comes_back() {
        let line = line();
        assert!(is_sealed(&line));
        assert!(!is_glued(&line));
        let text = String::from_utf8_lossy(&line);
        assert!(text.starts_with("{\"seq\":7,\"at\":1763767212004,\"event\":{\"paused\":"));
        let json: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(json["crc"].as_str().map(str::len), Some(8));
        let read = read_line(&line, &mut Interner::default());
        assert!(
            matches!(read, Ok(Read::Fact(7, fact)) if fact.at.as_millis() == 1_763_767_212_004)
        );
    }

    #[test]
    fn events_have_one_name() {
        use crate::model::approval::{By, Ends};
        use crate::model::host::{Host, HostGpu};
        let trial = crate::model::trial::TrialId(7);
        let text = String::new;
        let events = [
            Event::Opened { digest: text() },
            Event::SittingStarted {
                trial,
                sitting: 1,
                purpose: crate::model::trial::Purpose::Measure,
                token: text(),
                boot_id: "".into(),
                slot: None,
            },
            Event::Warned {
                trial,
                sitting: 1,
                text: "".into(),
            },
            Event::Waiting {
                trial,
                sitting: 1,
                text: "".into(),
            },
            Event::HostSeen {
                host: Box::new(Host {
                    name: text(),
                    kernel: text(),
                    cpu: text(),
                    cpus: 2,
                    memory: 1 << 34,
                    gpu_driver: Some(text()),
                    gpus: vec![HostGpu {
                        name: "".into(),
                        memory: Some(1 << 34),
                    }],
                }),
            },
            Event::TrialReopened { trial },
            Event::TrialSkipped { trial },
            Event::TrialDeferred { trial },
            Event::SittingStarted {
                trial,
                sitting: 2,
                purpose: crate::model::trial::Purpose::Check,
                token: text(),
                boot_id: "".into(),
                slot: None,
            },
            Event::SittingStarted {
                trial,
                sitting: 3,
                purpose: crate::model::trial::Purpose::Confirm {
                    baseline: crate::model::trial::TrialId(1),
                    winner: trial,
                },
                token: text(),
                boot_id: "".into(),
                slot: None,
            },
            Event::SittingStarted {
                trial,
                sitting: 4,
                purpose: crate::model::trial::Purpose::Neighbours,
                token: text(),
                boot_id: "".into(),
                slot: Some("gpu1".into()),
            },
            Event::Drifted {
                trial,
                sitting: 2,
                before: 98.5,
                after: 83.25,
            },
            Event::Artifacts {
                trial,
                change: ArtifactsChange::Found {
                    sitting: 2,
                    files: 3,
                    bytes: 1 << 40,
                },
            },
            Event::Artifacts {
                trial,
                change: ArtifactsChange::Kept {
                    files: 3,
                    bytes: 1 << 40,
                    folder: "".into(),
                },
            },
            Event::Artifacts {
                trial,
                change: ArtifactsChange::Lost { reason: "".into() },
            },
            Event::Artifacts {
                trial,
                change: ArtifactsChange::Deleted {
                    files: 3,
                    bytes: 1 << 40,
                    left: 1,
                },
            },
            Event::TaskResumed {
                trial,
                sitting: 2,
                step: "".into(),
                checkpoint: "".into(),
            },
            Event::Resumed,
            Event::ApprovalAsked(std::sync::Arc::new(crate::model::approval::Proposal {
                number: 2,
                params: crate::model::params::Params::recorded([]),
                choice: None,
                against: Some(trial),
                parameter: Some("N".into()),
            })),
            Event::ApprovalGiven {
                by: By::Timeout,
                instead: Some(crate::model::params::Params::recorded([])),
            },
            Event::ApprovalRefused {
                by: By::User { uid: 7, name: None },
                ends: Ends::Parameter("N".into()),
            },
            Event::ApprovalWithdrawn { reason: text() },
            Event::ParameterReopened {
                by: By::Timeout,
                parameter: "N".into(),
            },
            Event::Done { reason: text() },
            Event::Advised(std::sync::Arc::new(crate::model::advice::Advice {
                question: crate::model::advice::Question::Summary,
                answer: Ok(crate::model::advice::Answer::Summary(text())),
                comment: None,
                refused: Vec::new(),
                usage: crate::model::advice::Usage::default(),
            })),
            Event::NoticeQueued(std::sync::Arc::new(crate::model::notice::Notice {
                id: crate::model::notice::NoticeId(1),
                kind: crate::model::notify::Kind::Best,
                trial: None,
                title: text(),
                text: text(),
                channels: Vec::new(),
            })),
            Event::NoticeDelivered {
                channel: "".into(),
                notices: Vec::new(),
                refused: Vec::new(),
            },
            Event::NoticeGivenUp {
                channel: "".into(),
                notices: Vec::new(),
                reason: text(),
                to: Vec::new(),
            },
        ];
        let at = Timestamp::from_millis(0);
        for event in events {
            let name = event.name();
            let mut line = Vec::new();
            let fact = Fact { at, event };
            push_fact(&mut line, 1, &fact);
            line.pop();
            let read = read_line(&line, &mut Interner::default());
            assert!(matches!(read, Ok(Read::Fact(1, found)) if found == fact));
            let line = String::from_utf8_lossy(&line);
            assert!(line.contains(&format!("\"event\":{{\"{name}\":")), "{line}");
            assert!(EventRecord::KINDS.contains(&name));
        }
    }

    /// What a new kind of event owes to later versions of this program.
    #[test]
    fn every_kind_is_in_a_fixture() {
        // The names by which serde tells the kinds apart, in its words.
        let unknown = serde_json::from_str::<EventRecord<'_>>(r#"{"?":{}}"#);
        let expected = unknown.err().expect("no kind").to_string();
        let kinds: Vec<&str> = expected.split('`').skip(3).step_by(2).collect();
        assert_eq!(kinds, EventRecord::KINDS);
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/journal");
        let mut missing = kinds;
        for version in std::fs::read_dir(folder).expect("the fixtures").flatten() {
            let text = std::fs::read_to_string(version.path().join("journal.jsonl"));
            for line in text.expect("a journal").lines().skip(1) {
                let read = read_line(line.as_bytes(), &mut Interner::default());
                let Ok(Read::Fact(_, fact)) = read else {
                    panic!("no fact: {line}");
                };
                missing.retain(|kind| *kind != fact.event.name());
            }
        }
        assert_eq!(missing, [""; 0], "add them to the newest fixture");
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let line = line();
        for index in 0..line.len() {
            for bit in 0..8 {
                let mut flipped = line.clone();
                flipped[index] ^= 1 << bit;
                assert!(!is_sealed(&flipped), "byte {index}, bit {bit}");
            }
        }
    }

    #[test]
    fn glued_lines_are_no_half_line() {
        let line = line();
        let glued = [&line[..], b"\x0b", &line].concat();
        assert!(!is_sealed(&glued) && is_glued(&glued));
        let zeros = [&line[..], &[0; 40]].concat();
        assert!(!is_glued(&zeros));
        assert!(!is_glued(&line[..line.len() - 1]));
    }

    #[test]
    fn unknown_kinds_are_told_from_nonsense() {
        let mut names = Interner::default();
        let mut read = |text: &str| read_line(text.as_bytes(), &mut names);
        let later = read(r#"{"seq":3,"at":0,"event":{"moved":{"to":1}}}"#);
        assert!(matches!(later, Ok(Read::Unknown(3, kind)) if kind == "moved"));
        assert!(read(r#"{"seq":3,"at":0,"event":{"paused":{}}}"#).is_err());
        assert!(read(r#"{"seq":3,"at":0,"event":7}"#).is_err());
    }
}
