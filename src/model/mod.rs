//! The words of the project as values: what a study is, what was tried, what
//! came of it. Pure: no clock, no file, no process.
//!
//! | file | holds |
//! |---|---|
//! | [`value`], [`domain`], [`space`], [`params`] | what may vary, and one checked choice |
//! | [`expression`], [`template`] | conditions, rules, and texts with parameters in them |
//! | [`metric`] | measurements, summaries, objective and constraints |
//! | [`step`], [`spec`] | how a trial is done, and a whole study as its owner wrote it |
//! | [`slot`] | places in which trials run side by side |
//! | [`artifacts`] | what a trial makes that is worth keeping |
//! | [`curve`] | what a run tells on its way |
//! | [`noise`] | how much of what was measured is noise |
//! | [`notify`], [`notice`] | who is told of what, and what has not been told yet |
//! | [`outcome`], [`trial`], [`trials`] | what happened to a trial, and all of them |
//! | [`host`] | on what a study ran |
//! | [`amendment`], [`setting`] | what is changed in a spec while its study runs |
//! | [`choice`] | why a sampler chose the params of a trial |
//! | [`advice`] | what a language model is asked, and what came of it |
//! | [`form`] | in which form a report is written |
//! | [`event`], [`study`] | the facts of a study, and the state that they add up to |

pub mod advice;
mod advisor;
pub mod amendment;
pub mod approval;
pub mod artifacts;
pub mod choice;
mod confidence;
pub mod curve;
pub mod dialogues;
pub mod domain;
pub mod drift;
pub mod event;
pub mod expression;
pub mod form;
pub mod host;
pub mod metric;
pub mod noise;
pub mod notice;
pub mod notify;
pub mod outcome;
pub mod params;
pub mod prior;
pub mod reason;
pub mod remedy;
pub mod setting;
mod shared;
pub mod slot;
pub mod space;
pub mod spec;
pub mod step;
pub mod study;
mod tally;
pub mod template;
pub mod trial;
pub mod trials;
pub mod value;

/// A short text that is shared rather than copied: the name of a parameter, a
/// metric or a step.
pub type Name = std::sync::Arc<str>;
