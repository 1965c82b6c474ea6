//! Going by another spec without a restart.
//!
//! It is as if the daemon had been started with it: what was tried stays
//! known, trials are judged anew, amendments lie on top of it, and the running
//! trial is finished as it was started.

use std::sync::Arc;

use super::decide::{self, Context, Decision, Effect, State};
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
    let running = study.running().map(|trial| trial.id.0);
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
    }
    let reloaded = Accepted::Reloaded(Reloaded {
        warnings,
        unfit: study.unfit().iter().map(ToString::to_string).collect(),
        running,
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
    ];
    let differ = parts.into_iter().filter(|(_, same)| !same);
    differ.map(|(part, _)| part.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Timestamp;
    use crate::daemon::decide::Company;
    use crate::model::spec::SamplerKind;
    use crate::search::simulation::{list, space, spec};

    fn written(values: &str) -> Spec {
        let space = space(vec![list("N", values, "")], &[]);
        let mut spec = spec(space, SamplerKind::Grid);
        spec.digest = values.to_owned();
        spec
    }

    fn take(state: &mut State, spec: Spec) -> (Reply, Decision) {
        let context = Context {
            now: Timestamp::from_millis(1),
            token: "t",
            boot_id: "b",
        };
        let mut decision = Decision::default();
        let warnings = vec!["w".to_owned()];
        let spec = Arc::new(spec);
        let reply = reload(
            state,
            spec,
            String::new(),
            warnings,
            &context,
            &mut decision,
        );
        (reply, decision)
    }

    fn state() -> State {
        State {
            study: Arc::new(Study::new(Arc::new(written("1 2")))),
            stopping: None,
            asking: false,
            resting: false,
            company: Company::default(),
        }
    }

    #[test]
    fn another_space_is_asked_about_at_once() {
        let (reply, decision) = take(&mut state(), written("1 2 3"));
        assert!(matches!(reply, Reply::Accepted(Accepted::Reloaded(_))));
        assert_eq!(decision.facts.len(), 1);
        let spec = decision.spec.expect("a spec");
        assert_eq!(spec.digest, "1 2 3");
        assert!(decision.effects.contains(&Effect::Ask));
    }

    #[test]
    fn the_same_is_so_already_and_another_study_is_refused() {
        let mut state = state();
        let (reply, decision) = take(&mut state, written("1 2"));
        assert!(matches!(reply, Reply::Ignored(Accepted::Reloaded(_))));
        assert!(decision.facts.is_empty() && decision.spec.is_none());
        let mut other = written("1 2 3");
        other.name = "other".to_owned();
        other.files.results = "r".to_owned();
        let (reply, decision) = take(&mut state, other);
        let parts = ["[study] name", "[files] results"]
            .map(str::to_owned)
            .to_vec();
        assert_eq!(reply, Reply::Refused(Refusal::NeedsRestart(parts)));
        assert!(decision.facts.is_empty() && decision.effects.is_empty());
    }
}
