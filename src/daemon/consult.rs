//! Asking the advisor: whether it can be asked, and what becomes of its answer.
//! Pure.
//!
//! ```text
//! the sampler wants advice ── barred ──▶ Advised(why not) ──▶ the fall-back
//!             │
//!             └─▶ Effect::Consult ─ elsewhere ─▶ Input::Consulted ──▶ Advised(answer)
//! ```
//!
//! Nothing waits for an answer but the next trial of the sampler: a study that
//! is paused keeps it, one that has changed meanwhile asks anew, and an end
//! does without it.

use super::decide::{self, Context, Decision, Effect, State};
use crate::model::advice::{Advice, Answer, Question};
use crate::model::event::{Event, Fact};
use crate::model::spec::SamplerKind;
use crate::model::study::Study;
use crate::report::advice::silent;

/// Why the advisor is not asked; `offline` when nobody is to be asked at all.
pub fn barred(study: &Study, offline: bool) -> Option<String> {
    let Some(advisor) = &study.spec().advisor else {
        return Some("the spec has no [advisor]".to_owned());
    };
    let consultations = study.consultations();
    if offline {
        Some("it is switched off: --no-advisor".to_owned())
    } else if !advisor.enabled {
        Some("it is switched off: [advisor] enabled = false".to_owned())
    } else if advisor.is_used_up(&consultations.usage()) {
        let most = advisor.max_tokens.unwrap_or_default();
        Some(format!(
            "its {most} tokens are used up: [advisor] max_tokens"
        ))
    } else if consultations.is_silent() {
        Some(silent())
    } else {
        None
    }
}

/// What is done for a sampler that wants advice.
pub(super) fn consult(
    state: &mut State,
    study: &Study,
    question: Question,
    context: &Context<'_>,
    decision: &mut Decision,
) {
    let Some(why) = barred(study, state.offline) else {
        state.consulting = Some(study.revision());
        decision.effects.push(Effect::Consult(question));
        return;
    };
    let advice = Advice::none(question, why);
    take_up(state, study, advice, context, decision);
}

/// What is done with an answer; `is_old` when the study has changed since it
/// was asked.
pub(super) fn answered(
    state: &mut State,
    mut advice: Advice,
    is_old: bool,
    context: &Context<'_>,
    decision: &mut Decision,
) {
    if is_old && advice.answer.is_ok() {
        // What it took is on record all the same.
        advice.answer = Ok(Answer::Outdated);
    }
    let study = Study::clone(&state.study);
    take_up(state, &study, advice, context, decision);
}

fn take_up(
    state: &mut State,
    study: &Study,
    advice: Advice,
    context: &Context<'_>,
    decision: &mut Decision,
) {
    let fact = Fact {
        at: context.now,
        event: Event::Advised(advice.into()),
    };
    let mut study = study.clone();
    if study.apply(&fact).is_ok() {
        decision.facts.push(fact);
    }
    decide::next(state, &study, context, decision);
}

/// Whether the advisor, which took part, is still to sum up a study that is
/// done.
pub(super) fn lacks_summary(state: &State, study: &Study) -> bool {
    let spec = study.spec();
    let takes_part = spec.search.sampler == SamplerKind::Advisor
        || spec.advisor.as_ref().is_some_and(|own| own.share > 0.0);
    let mut since = study.consultations().since_trial().iter();
    let is_summary = |advice: &Advice| {
        advice.question == Question::Summary && advice.answer != Ok(Answer::Outdated)
    };
    takes_part
        && study.trials().len() > 1
        && barred(study, state.offline).is_none()
        && !since.any(|advice| is_summary(advice))
}

#[cfg(test)]
#[path = "consult_tests.rs"]
mod tests;
