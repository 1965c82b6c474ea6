//! A report of a study as data: sections of paragraphs, tables and figures, in
//! one or two languages, from which [`markdown`] and
//! [`html`] make pages.
//!
//! | file | sections |
//! |---|---|
//! | `headline` | what came out |
//! | `owner` | notes, data sets and sample dialogues, as `[report]` says |
//! | `training` | what the runs have told on their way |
//! | `setup` | what was tuned and how, and on what |
//! | `compared` | the baseline beside the best |
//! | `trials` | how it went, every trial, what missed a constraint |
//! | `failures` | what failed |
//! | `effects` | what the parameters matter |
//! | `time` | what it took |
//! | `apply` | how to use it |
//! | `advice` | what a language model had to do with it |
//!
//! `figure` says what can be drawn, `figures` makes it of a study.
//!
//! Texts of others (names, values, what programs printed, what a language model
//! wrote) are in it as they are but for control characters; a renderer escapes
//! whatever it writes.

mod advice;
mod apply;
mod compared;
mod effects;
mod failures;
mod figure;
mod figures;
mod headline;
mod owner;
mod setup;
mod time;
mod training;
mod trials;

use std::path::Path;

pub use self::figure::{
    Axis, AxisKind, Bars, Figure, Lane, LaneKind, Line, LineKind, Map, Point, Scatter, Spread,
    State, Timeline, Tried,
};
use super::overview::{self, Change};
use super::phrase::{clean, cut, shown};
use super::words::Words;
use super::{discretion, html, markdown};
use crate::base::clock::Timestamp;
use crate::model::Name;
use crate::model::dialogues::Dialogues;
use crate::model::form::{Format, Languages};
use crate::model::metric::Constraint;
use crate::model::notify::Language;
use crate::model::outcome::Outcome;
use crate::model::params::Params;
use crate::model::reason::Said;
use crate::model::study::Study;
use crate::model::trial::Trial;
use crate::model::value::Value;

/// The most columns that one value takes.
const VALUE: usize = 60;

/// A report.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its heading.
    pub title: String,
    /// The languages of its own texts.
    pub languages: Languages,
    /// Its parts.
    pub sections: Vec<Section>,
}

/// A part of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// A name for links, the same in every language.
    pub id: &'static str,
    /// Its heading.
    pub title: String,
    /// What it says, in order.
    pub blocks: Vec<Block>,
}

/// A piece of a section.
#[derive(Clone, Debug, PartialEq)]
pub enum Block {
    /// A paragraph, once in each language.
    Text(Vec<Phrase>),
    /// Names with what there is to say of each.
    Facts(Vec<(String, String)>),
    /// A table.
    Table(Table),
    /// Lines for a shell.
    Code(String),
    /// A paragraph of the study's owner, in whichever language.
    Plain(String),
    /// The words of somebody else, a paragraph a line.
    Quote(String),
    /// A plot, where there can be one; tables say the same.
    Figure(Figure),
}

/// A text in a language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// Which.
    pub language: Language,
    /// The text.
    pub text: String,
}

/// Rows and columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// What it is about.
    pub title: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, each with a cell for each column.
    pub rows: Vec<Row>,
}

/// A column of a [`Table`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its heading.
    pub title: String,
    /// Whether it has numbers, which stand to the right.
    pub is_number: bool,
}

/// A row of a [`Table`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its cells.
    pub cells: Vec<String>,
    /// What is special about it.
    pub mark: Mark,
}

/// See [`Row::mark`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mark {
    /// Nothing.
    #[default]
    None,
    /// It is about the best.
    Best,
    /// It is about something that does not count.
    Bad,
}

impl Table {
    fn new(title: String, columns: Vec<Column>) -> Self {
        Self {
            title,
            columns,
            rows: Vec::new(),
        }
    }

    fn row(&mut self, cells: Vec<String>) {
        self.marked(cells, Mark::None);
    }

    fn marked(&mut self, cells: Vec<String>, mark: Mark) {
        self.rows.push(Row { cells, mark });
    }
}

/// A column of texts.
fn text_column(title: String) -> Column {
    Column {
        title,
        is_number: false,
    }
}

/// A column of numbers.
fn number_column(title: String) -> Column {
    Column {
        title,
        is_number: true,
    }
}

impl Document {
    /// The report of a study as of `now`, whose files are in `output_dir`, with
    /// the sample dialogues where it has any. Takes some seconds for a large
    /// study, which a model is learned from to say what the parameters matter.
    pub fn of(
        study: &Study,
        now: Timestamp,
        output_dir: &Path,
        languages: Languages,
        dialogues: Option<&Dialogues>,
    ) -> Self {
        let words = Words(languages);
        let teller = Teller {
            study,
            words,
            now,
            output_dir,
            start: study.spec().space.baseline().ok(),
        };
        let name = clean(&study.spec().name);
        let sections = [
            headline::section(&teller),
            owner::notes(&teller),
            owner::evaluation(&teller),
            trials::history(&teller),
            training::section(&teller),
            compared::section(&teller),
            compared::changes(&teller),
            owner::dialogues(&teller, dialogues),
            apply::section(&teller),
            failures::section(&teller),
            trials::infeasible(&teller),
            effects::section(&teller),
            time::section(&teller),
            setup::section(&teller),
            setup::host(&teller),
            advice::section(&teller),
            trials::table(&teller),
        ];
        let title = study.spec().report.title.as_deref().map(clean);
        let usual = || {
            words.label(
                &format!("Tuning report: {name}"),
                &format!("调参报告：{name}"),
            )
        };
        Self {
            title: title.unwrap_or_else(usual),
            languages,
            sections: sections.into_iter().flatten().collect(),
        }
    }

    /// The report as a file has it.
    pub fn page(&self, format: Format) -> String {
        match format {
            Format::Markdown => markdown::page(self),
            Format::Html => html::page(self),
        }
    }
}

/// When the last sitting of a study was over; `None` where none is.
pub fn ended(study: &Study) -> Option<Timestamp> {
    let sittings = study.trials().iter().flat_map(|trial| &trial.sittings);
    sittings.filter_map(|sitting| sitting.ended).max()
}

/// What the sections are made from.
struct Teller<'a> {
    study: &'a Study,
    words: Words,
    now: Timestamp,
    output_dir: &'a Path,
    /// The starting params, unless they break a rule.
    start: Option<Params>,
}

impl Teller<'_> {
    /// A section, if it says anything.
    fn section(
        &self,
        id: &'static str,
        (english, chinese): (&str, &str),
        blocks: Vec<Block>,
    ) -> Option<Section> {
        let title = self.words.label(english, chinese);
        (!blocks.is_empty()).then_some(Section { id, title, blocks })
    }

    /// A value of a parameter, unless nobody may see it.
    fn value(&self, name: &str, value: &Value) -> String {
        if discretion::is_secret(self.study.spec(), name) {
            return discretion::WITHHELD.to_owned();
        }
        cut(&shown(value), VALUE)
    }

    /// The same, with a dash where the parameter is not active.
    fn side(&self, name: &str, value: Option<&Value>) -> String {
        value.map_or("–".to_owned(), |value| self.value(name, value))
    }

    /// How params differ from others: `A: 1 → 2, B: 3 → 4`.
    fn difference(&self, from: &Params, to: &Params) -> String {
        let changes = overview::changes(&self.study.spec().space, from, to);
        let one = |change: &Change| {
            let name = clean(&change.name);
            let from = self.side(&change.name, change.from.as_ref());
            let to = self.side(&change.name, change.to.as_ref());
            format!("{name}: {from} → {to}")
        };
        changes.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    /// How a trial's params differ from the starting ones.
    fn differences(&self, trial: &Trial) -> String {
        let params = self.study.params_of(trial);
        let Some(start) = &self.start else {
            let each = params.iter();
            let each = each.map(|(name, value)| format!("{name}={}", self.value(name, value)));
            return each.collect::<Vec<_>>().join(", ");
        };
        match self.difference(start, &params) {
            same if same.is_empty() => self.words.label("baseline", "基线"),
            differs => differs,
        }
    }

    /// What came of a trial, in a word or two.
    fn outcome(&self, trial: &Trial) -> String {
        let words = self.words;
        match &trial.outcome {
            Some(Outcome::Complete) if trial.is_provisional() => {
                words.label("complete so far", "暂时完成")
            }
            Some(Outcome::Complete) => words.label("complete", "完成"),
            Some(Outcome::Infeasible) => words.label("infeasible", "未达约束"),
            Some(Outcome::Pruned) => words.label("pruned", "提前结束"),
            Some(Outcome::Failed(failure)) => {
                let cause = failure.cause.as_ref().map(|cause| cause.name.as_str());
                let cause = clean(cause.unwrap_or(failure.kind.name()));
                format!("{}: {cause}", words.label("failed", "失败"))
            }
            None if trial.running().is_some() => words.label("running", "运行中"),
            None if trial.sittings.is_empty() => words.label("planned", "待运行"),
            None => words.label("not settled", "未完成"),
        }
    }

    /// The metrics that any trial has, at most so many: the objective, those of
    /// the constraints, then the others.
    fn metrics(&self, most: usize) -> Vec<Name> {
        let spec = self.study.spec();
        let first = std::iter::once(&spec.objective.metric);
        let second = spec.constraints.iter().map(|constraint| &constraint.metric);
        let mut metrics: Vec<Name> = Vec::new();
        for name in first.chain(second).chain(spec.metrics()) {
            let mut trials = self.study.trials().iter();
            let is_new = metrics.len() < most && !metrics.contains(name);
            if is_new && trials.any(|trial| trial.measurements(name).next().is_some()) {
                metrics.push(name.clone());
            }
        }
        metrics
    }

    /// A text of the journal: our own reason in the languages of the report, what
    /// a program said in its own words.
    fn told(&self, text: &str) -> String {
        let said = Said::of(text);
        let Some(chinese) = &said.chinese else {
            return clean(text);
        };
        if self.words.0 == Languages::Chinese {
            return clean(&said.in_chinese().unwrap_or_default());
        }
        let reason = self.words.label(&clean(said.reason), &clean(chinese));
        match said.quoted {
            Some(quoted) => format!("{reason}: {}", clean(quoted)),
            None => reason,
        }
    }

    /// What a constraint asks for: `accuracy ≥ 0.88 with confidence 0.9`.
    fn constraint(&self, wanted: &Constraint) -> String {
        let english = clean(&wanted.to_string());
        match (self.words.0, wanted.confidence) {
            (Languages::Chinese, Some(sure)) => {
                let bounds = Constraint {
                    confidence: None,
                    ..wanted.clone()
                };
                let bounds = clean(&bounds.to_string());
                format!("{bounds}（置信度 {}）", sure.get())
            }
            _ => english,
        }
    }

    /// `1 run`, `5 runs`; in Chinese `5 次评测`.
    fn runs(&self, count: u64) -> String {
        let plural = if count == 1 { "" } else { "s" };
        let english = format!("{count} run{plural}");
        self.words.label(&english, &format!("{count} 次评测"))
    }

    /// `trial 7`, `第 7 个试验`.
    fn trial(&self, trial: &Trial) -> String {
        let id = trial.id;
        let english = format!("trial {id}");
        self.words.label(&english, &format!("第 {id} 个试验"))
    }
}
