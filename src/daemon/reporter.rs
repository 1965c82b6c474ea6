//! The reports that a study leaves when it is done.

use std::path::Path;

use crate::base::clock::Timestamp;
use crate::model::advice::Question;
use crate::model::event::Event;
use crate::model::study::{Phase, Study};
use crate::report::document::{self, Document};
use crate::store::{dialogues, reports};

/// Whether there is something new to report of a study that is done, by what
/// has just happened to it.
pub fn is_due(event: &Event, study: &Study) -> bool {
    let is_last_word = match event {
        Event::Done { .. } => true,
        Event::Advised(advice) => advice.question == Question::Summary,
        _ => false,
    };
    is_last_word && matches!(study.phase(), Phase::Done(_))
}

/// Whether a study that is done lacks a report, or the newest of what there was to
/// say in it: an earlier daemon ended before it was written.
pub fn is_missing(study: &Study, output_dir: &Path) -> bool {
    let (Some(at), Some(said)) = (document::ended(study), study.last_word()) else {
        return false;
    };
    let is_written = |format| {
        let path = reports::path(output_dir, &study.spec().files, format, at);
        reports::written(&path).is_some_and(|written| written >= said)
    };
    !study.spec().report.formats().all(is_written)
}

/// Writes the reports of a study that is done: they go by the end of its last
/// trial, so that later ones of the same end replace them.
///
/// # Errors
/// That a report could not be written, as a sentence.
pub fn conclude(study: &Study, now: Timestamp, output_dir: &Path) -> Result<(), String> {
    let at = document::ended(study).unwrap_or(now);
    let dialogues = dialogues::read(study.spec(), output_dir);
    let languages = study.spec().report.languages;
    let document = Document::of(study, now, output_dir, languages, dialogues.as_ref());
    for format in study.spec().report.formats() {
        let path = reports::path(output_dir, &study.spec().files, format, at);
        reports::write(&path, &document.page(format)).map_err(|error| {
            format!(
                "{error}: {}, leaving out the report: `autotunectl report` or `autotuned report` \
                 writes it",
                error.source
            )
        })?;
    }
    Ok(())
}
