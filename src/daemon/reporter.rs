//! The reports that a study leaves when it is done.

use std::path::Path;

use crate::base::clock::Timestamp;
use crate::model::advice::Question;
use crate::model::event::Event;
use crate::model::form::{Format, Languages};
use crate::model::study::{Phase, Study};
use crate::report::document::{self, Document};
use crate::store::reports;

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

/// Writes the reports of a study that is done: they go by the end of its last
/// trial, so that later ones of the same end replace them.
///
/// # Errors
/// That a report could not be written, as a sentence.
pub fn conclude(study: &Study, now: Timestamp, output_dir: &Path) -> Result<(), String> {
    let at = document::ended(study).unwrap_or(now);
    let document = Document::of(study, now, output_dir, Languages::Both);
    for format in Format::ALL {
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
