//! What a study leaves on disk, and how it comes back from there.
//!
//! | file | holds |
//! |---|---|
//! | [`record`], `event_record`, `advice_record`, `amendment_record`, `approval_record`, `artifacts_record`, `choice_record`, `outcome_record`, `run_record`, `host_record`, `text` | the lines of the journal, their checksums, their types |
//! | [`journal`] | the journal: open, append, read |
//! | [`page`] | a page of the journal, for those who follow it |
//! | [`lock`] | one daemon a folder |
//! | [`spec_copy`] | the text of the spec, kept beside the journal |
//! | [`results`], [`status`], [`phases`] | the lines and texts of the files for other programs |
//! | [`files`] | these files themselves: repaired at start, then appended to and replaced |
//! | [`reports`] | the reports on a study |
//! | [`import`] | a results file from before the study, taken up as history |
//! | [`fresh`] | a new beginning: what there was is moved aside |
//! | [`opening`] | all of it, in the right order |
//! | [`writer`] | the threads that write |
//!
//! ```text
//!                    lock ── scan and verify ──┬─ torn tail: keep it beside, cut it off
//!  Journal::open ──►                           ├─ damage: refuse, nothing is changed
//!                                              └─ good ──► Journal
//!  Journal::append ─► write ─► sync ─► acknowledged
//!                       └───────┴─ failed: cut back to the last good end, say so
//! ```
//!
//! Invariants:
//! - The journal is the truth. Every other file is derived from it and can be
//!   made again; a fault in writing one never stops a study.
//! - What was acknowledged is synced, and is never cut off again.
//! - Nothing is ever glued to half a line, and nothing that was found on disk
//!   is thrown away: what must go is kept beside under another name.
//! - The types that are written stand here, in this room: a change of `model`
//!   is never by accident a change of a format.

mod advice_record;
mod amendment_record;
mod approval_record;
mod artifacts_record;
mod choice_record;
pub mod dialogues;
pub mod error;
mod event_record;
pub mod files;
pub mod fresh;
mod host_record;
pub mod import;
pub mod journal;
pub mod lock;
mod notice_record;
pub mod opening;
mod outcome_record;
pub mod page;
pub mod phases;
mod prior_record;
pub mod record;
pub mod reports;
pub mod results;
mod run_record;
mod scan;
pub mod spec_copy;
pub mod status;
mod text;
pub mod writer;

pub use error::{AppendError, FilesError, JournalError};
pub use files::{Files, Repair, Repaired};
pub use journal::{Journal, Opened, Seen, Torn, read, view};
pub use opening::{Opening, StoreError, open};
pub use record::Header;
pub use results::ResultsBuilder;
pub use status::Status;
