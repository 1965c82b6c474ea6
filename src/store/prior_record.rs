//! What was imported, as the journal has it. The names and fields are the
//! format: see [`super::event_record`].

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::text::{Interner, Pairs, Scalar, Text, measurements, numbers};
use crate::model::prior::{Batch, Prior};

#[derive(Serialize, Deserialize)]
pub(super) struct ImportedRecord<'a> {
    file: Text<'a>,
    format: Text<'a>,
    #[serde(borrow)]
    rows: Vec<RowRecord<'a>>,
}

#[derive(Serialize, Deserialize)]
struct RowRecord<'a> {
    row: u64,
    #[serde(borrow)]
    params: Pairs<'a, Scalar<'a>>,
    metrics: Pairs<'a, f64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    failed: bool,
}

impl<'a> ImportedRecord<'a> {
    pub(super) fn of(batch: &'a Batch) -> Self {
        let rows = batch.rows.iter().map(|(row, prior)| RowRecord {
            row: *row,
            params: Scalar::pairs(&prior.params),
            metrics: numbers(&prior.metrics),
            failed: prior.failed,
        });
        Self {
            file: Text::of(&batch.file),
            format: Text::of(&batch.format),
            rows: rows.collect(),
        }
    }

    pub(super) fn into_batch(self, names: &mut Interner) -> Result<Batch, String> {
        let mut rows = Vec::with_capacity(self.rows.len());
        for row in self.rows {
            let prior = Prior {
                params: row.params.into_params(names)?,
                metrics: measurements(row.metrics, names)?,
                failed: row.failed,
            };
            rows.push((row.row, Arc::new(prior)));
        }
        Ok(Batch {
            file: names.name(self.file.as_str()),
            format: names.name(self.format.as_str()),
            rows,
        })
    }
}
