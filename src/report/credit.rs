//! Who proposed what, and what the study gained by it.

use crate::model::advice::Answer;
use crate::model::choice::Rule;
use crate::model::outcome::Outcome;
use crate::model::study::Study;
use crate::model::trial::{Origin, Trial};

/// What the trials of one origin did for a study.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Credit {
    /// See [`origin`].
    pub origin: &'static str,
    /// How many there are.
    pub trials: u32,
    /// How many of them came out feasible with all their runs.
    pub feasible: u32,
    /// How many of them beat all feasible ones before.
    pub improvements: u32,
    /// By how much, together, in the unit of the objective: 0 or more.
    pub gain: f64,
}

/// How many of the advisor's answers were good for what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Questions, those that were never sent among them.
    pub questions: u32,
    /// Those with an answer that was used.
    pub accepted: u32,
    /// Answers that were refused.
    pub refused: u32,
    /// Questions whose place the fall-back took.
    pub fallbacks: u32,
    /// Answers that came when the study had changed.
    pub outdated: u32,
}

/// Who wanted a trial, in one word: `baseline`, `sampler`, `imported`, `user`,
/// `remedy`; of those of the sampler, `advisor` where the advisor has proposed
/// it and `fallback` where it was of no help.
pub fn origin(trial: &Trial) -> &'static str {
    match (
        trial.origin,
        trial.choice.as_deref().map(|choice| choice.rule),
    ) {
        (Origin::Baseline, _) => "baseline",
        (Origin::Imported, _) => "imported",
        (Origin::User, _) => "user",
        (Origin::Remedy { .. }, _) => "remedy",
        (Origin::Sampler, Some(Rule::Advisor { .. })) => "advisor",
        (Origin::Sampler, Some(Rule::Fallback { .. })) => "fallback",
        (Origin::Sampler, _) => "sampler",
    }
}

/// What each origin did, in the order in which they came first. Compared is
/// as trials are: on the level of the study's beginning.
pub fn credits(study: &Study) -> Vec<Credit> {
    let goal = &study.spec().objective;
    let (mut credits, mut best) = (Vec::<Credit>::new(), None::<f64>);
    for trial in study.trials().iter() {
        let origin = origin(trial);
        let index = match credits.iter().position(|credit| credit.origin == origin) {
            Some(index) => index,
            None => {
                credits.push(Credit {
                    origin,
                    trials: 0,
                    feasible: 0,
                    improvements: 0,
                    gain: 0.0,
                });
                credits.len() - 1
            }
        };
        let credit = &mut credits[index];
        credit.trials += 1;
        let feasible = trial.outcome == Some(Outcome::Complete) && !trial.is_provisional();
        let mean = study.levelled(trial).map(|summary| summary.mean);
        let Some(mean) = mean.filter(|_| feasible) else {
            continue;
        };
        credit.feasible += 1;
        match best {
            Some(known) if !goal.better(mean, known) => {}
            known => {
                // The first is the baseline as a rule: it gains nothing.
                credit.improvements += u32::from(known.is_some());
                credit.gain += known.map_or(0.0, |known| (mean - known).abs());
                best = Some(mean);
            }
        }
    }
    credits
}

/// What came of the questions to the advisor.
pub fn answers(study: &Study) -> Answers {
    let mut answers = Answers::default();
    for advice in study.advice() {
        answers.questions += 1;
        answers.refused += advice.refused.len() as u32;
        match advice.answer {
            Ok(Answer::Outdated) => answers.outdated += 1,
            Ok(_) => answers.accepted += 1,
            Err(_) => answers.fallbacks += 1,
        }
    }
    answers
}
