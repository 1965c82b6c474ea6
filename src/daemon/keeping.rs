//! What a copy of the best trial's artifacts holds up, and for how long: pure.

use super::decide::{Context, Decision, Effect, State, next};
use crate::model::artifacts::{ArtifactsChange, Fate};
use crate::model::event::{Event, Fact};
use crate::model::study::Study;
use crate::model::trial::TrialId;

/// A copy of the best trial's artifacts that is being made. Until there is one
/// no other trial begins, which could write over them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeping {
    /// The trial.
    pub trial: TrialId,
    /// Why it has to be tried again, for people.
    pub trouble: Option<String>,
}

/// Takes up that something became of the artifacts of a trial.
pub(super) fn became(
    state: &mut State,
    trial: TrialId,
    change: ArtifactsChange,
    context: &Context<'_>,
    decision: &mut Decision,
) {
    let known = state.study.trial(trial);
    let known = known.and_then(|trial| trial.artifacts.as_deref());
    let is_over = known.is_none_or(|known| known.fate != Fate::There);
    if is_over && matches!(change, ArtifactsChange::Deleted { .. }) {
        // Another look has removed them already.
        return;
    }
    let mut study = Study::clone(&state.study);
    let of_copy = matches!(
        change,
        ArtifactsChange::Kept { .. } | ArtifactsChange::Lost { .. }
    );
    let fact = Fact {
        at: context.now,
        event: Event::Artifacts { trial, change },
    };
    if let Err(error) = study.apply(&fact) {
        decision.effects.push(Effect::Warn(error.to_string()));
        return;
    }
    decision.facts.push(fact);
    if of_copy && let Some(keeping) = state.keeping.take() {
        if keeping.trouble.is_some() {
            decision.effects.push(Effect::Disk(None));
        }
        next(state, &study, context, decision);
    }
}

/// Takes up that the copy cannot be made yet.
pub(super) fn waits(state: &mut State, trouble: String, decision: &mut Decision) {
    if let Some(keeping) = &mut state.keeping
        && keeping.trouble.as_ref() != Some(&trouble)
    {
        keeping.trouble = Some(trouble.clone());
        decision.effects.push(Effect::Disk(Some(trouble)));
    }
}
