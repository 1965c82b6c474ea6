//! Where a runner reads numbers: a part of the [order](super::order).

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::order::{OrderError, Scope};
use crate::model::step::{CurveRule, CurveSource, MetricRule, MetricSource, Step, Which};
use crate::model::template::Template;
use crate::model::value::Finite;

/// See [`Marks::Progress`](crate::model::step::Marks::Progress).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::step::Marks")]
pub struct ProgressOrder {
    pub metric: String,
    pub pattern: String,
}

/// Where one metric is read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MetricOrder {
    /// Its name.
    pub metric: String,
    /// Where it is read.
    pub source: SourceOrder,
    /// Whether a run without it is good all the same.
    #[serde(default)]
    pub optional: bool,
}

/// See [`MetricSource`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::step::MetricSource")]
pub enum SourceOrder {
    Regex {
        pattern: String,
        which: WhichOrder,
    },
    JsonOutput {
        pointer: String,
    },
    JsonFile {
        file: PathBuf,
        pointer: String,
    },
    Records {
        file: PathBuf,
        list: Option<String>,
        pointer: String,
        step: Option<String>,
        which: WhichOrder,
    },
}

/// See [`Which`].
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::step::Which")]
pub enum WhichOrder {
    First,
    Last,
    Least,
    Most,
    At(f64),
}

impl From<Which> for WhichOrder {
    fn from(which: Which) -> Self {
        match which {
            Which::First => Self::First,
            Which::Last => Self::Last,
            Which::Least => Self::Least,
            Which::Most => Self::Most,
            Which::At(step) => Self::At(step.get()),
        }
    }
}

impl From<WhichOrder> for Which {
    fn from(order: WhichOrder) -> Self {
        match order {
            WhichOrder::First => Self::First,
            WhichOrder::Last => Self::Last,
            WhichOrder::Least => Self::Least,
            WhichOrder::Most => Self::Most,
            // It was finite when it was ordered.
            WhichOrder::At(step) => Finite::new(step).map_or(Self::Last, Self::At),
        }
    }
}

/// Where a metric is read while a run goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CurveOrder {
    /// Its name.
    pub metric: String,
    /// Where it is read.
    pub source: CurveSourceOrder,
}

/// See [`CurveSource`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::step::CurveSource")]
pub enum CurveSourceOrder {
    Regex {
        pattern: String,
    },
    Jsonl {
        file: PathBuf,
        pointer: String,
        step: Option<String>,
    },
}

impl MetricOrder {
    /// The order for a rule; `file` makes paths of templates.
    ///
    /// # Errors
    /// What `file` says.
    pub(super) fn new<E>(
        rule: &MetricRule,
        file: impl Fn(&Template) -> Result<PathBuf, E>,
    ) -> Result<Self, E> {
        let source = match &rule.source {
            MetricSource::Regex { pattern, which } => SourceOrder::Regex {
                pattern: pattern.source().to_owned(),
                which: (*which).into(),
            },
            MetricSource::Json {
                file: None,
                pointer,
            } => SourceOrder::JsonOutput {
                pointer: pointer.clone(),
            },
            MetricSource::Json {
                file: Some(path),
                pointer,
            } => SourceOrder::JsonFile {
                file: file(path)?,
                pointer: pointer.clone(),
            },
            MetricSource::Records {
                file: path,
                list,
                pointer,
                step,
                which,
            } => SourceOrder::Records {
                file: file(path)?,
                list: list.clone(),
                pointer: pointer.clone(),
                step: step.clone(),
                which: (*which).into(),
            },
        };
        Ok(Self {
            metric: rule.metric.to_string(),
            source,
            optional: rule.optional,
        })
    }
}

impl CurveOrder {
    /// The order for a rule; `file` makes paths of templates.
    ///
    /// # Errors
    /// What `file` says.
    pub(super) fn new<E>(
        rule: &CurveRule,
        file: impl Fn(&Template) -> Result<PathBuf, E>,
    ) -> Result<Self, E> {
        let source = match &rule.source {
            CurveSource::Regex(pattern) => CurveSourceOrder::Regex {
                pattern: pattern.source().to_owned(),
            },
            CurveSource::Jsonl {
                file: path,
                pointer,
                step,
            } => CurveSourceOrder::Jsonl {
                file: file(path)?,
                pointer: pointer.clone(),
                step: step.clone(),
            },
        };
        Ok(Self {
            metric: rule.metric.to_string(),
            source,
        })
    }
}

/// See [`Note`](crate::model::step::Note).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in model::step::Note")]
pub struct NoteOrder {
    pub name: String,
    pub pattern: String,
    pub missing: Option<String>,
}

impl Scope {
    /// What is to be told of a step's output.
    pub(super) fn notes(&self, step: &Step) -> Result<Vec<NoteOrder>, OrderError> {
        let each = step.notes.iter().map(|note| {
            let missing = note.missing.as_ref();
            let missing = missing.map(|text| self.fill(step, text, "notes"));
            Ok(NoteOrder {
                name: note.name.to_string(),
                pattern: note.pattern.source().to_owned(),
                missing: missing.transpose()?.filter(|text| !text.is_empty()),
            })
        });
        each.collect()
    }
}
