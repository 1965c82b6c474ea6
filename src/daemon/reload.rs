//! Going by another spec without a restart.
//!
//! It is as if the daemon had been started with it: what was tried stays
//! known, trials are judged anew, amendments lie on top of it, and the running
//! trial is finished as it was started.

use std::sync::Arc;

use super::decide::{self, Context, Decision, Effect, State};
use super::steer::running_trials;
use crate::model::event::{Event, Fact};
use crate::model::spec::Spec;
use crate::model::study::{Phase, Study};
use crate::wire::reply::{Accepted, Refusal, Reloaded, Reply};

/// Decides about a spec that was read again, and gives the answer.
pub(super) fn reload(
    state: &mut State,
    spec: Arc<Spec>,
    text: String,
    warnings: Vec<String>,
    context: &Context<'_>,
    decision: &mut Decision,
) -> Reply {
    if state.stopping.is_some() {
        return Reply::Refused(Refusal::Leaving);
    }
    let mut study = Study::clone(&state.study);
    let fixed = needs_restart(study.written(), &spec);
    if !fixed.is_empty() {
        return Reply::Refused(Refusal::NeedsRestart(fixed));
    }
    let (running, beside) = running_trials(&study);
    let done = matches!(study.phase(), Phase::Done(_));
    let changed = study.written().digest != spec.digest;
    if changed {
        let event = Event::SpecReloaded {
            digest: spec.digest.clone(),
        };
        study.rewrite(Arc::clone(&spec));
        decision.facts.push(Fact {
            at: context.now,
            event,
        });
        decision.spec = Some(spec);
        decision.effects.push(Effect::KeepSpec(text));
        if state.study.spec().advisor != study.spec().advisor && state.consulting.take().is_some() {
            // Nobody need wait for one that is another by now, or switched off.
            decision.effects.push(Effect::ForgetQuestion);
        }
    }
    let reloaded = Accepted::Reloaded(Reloaded {
        warnings,
        unfit: study.unfit().iter().map(ToString::to_string).collect(),
        running,
        beside,
        done,
    });
    if !changed {
        return Reply::Ignored(reloaded);
    }
    decide::next(state, &study, context, decision);
    Reply::Accepted(reloaded)
}

/// The parts that differ and that a running daemon cannot change: where it
/// has its files and its socket, and what the study is.
fn needs_restart(old: &Spec, new: &Spec) -> Vec<String> {
    let (was, is) = (&old.control, &new.control);
    let (had, has) = (&old.files, &new.files);
    let parts = [
        ("[study] name", old.name == new.name),
        ("[study] seed", old.seed == new.seed),
        ("[study] output_dir", old.output_dir == new.output_dir),
        ("[control] socket", was.socket == is.socket),
        ("[control] read", was.all_read == is.all_read),
        ("[control] group", was.group == is.group),
        ("[files] results", had.results == has.results),
        ("[files] best", had.best == has.best),
        ("[files] status", had.status == has.status),
        ("[files] logs", had.logs == has.logs),
        ("[files] best_model", had.best_model == has.best_model),
        ("[files] journal", had.journal == has.journal),
        ("[files] metrics", had.metrics == has.metrics),
    ];
    let differ = parts.into_iter().filter(|(_, same)| !same);
    differ.map(|(part, _)| part.to_owned()).collect()
}

#[cfg(test)]
#[path = "reload_tests.rs"]
mod tests;
