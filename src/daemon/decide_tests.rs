//! What the dispatcher decides, without a runtime, a disk or a process.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::exec::report::{EndingReport, FailureReport, Report, RunReport, SittingResult};
use crate::model::approval::By;
use crate::model::artifacts::ArtifactsChange;
use crate::model::outcome::{FailureKind, HostFault, Outcome};
use crate::model::params::Params;
use crate::model::spec::{SamplerKind, Spec};
use crate::model::step::{Marks, Step, StepKind};
use crate::model::template::Template;
use crate::search::simulation;
use crate::wire::reply::{Accepted, Amended};
use crate::wire::request::{Edit, Steer};

/// The dispatcher without its surroundings: facts are on disk at once.
struct Table {
    state: State,
}

fn spec() -> Spec {
    let space = simulation::space(vec![simulation::list("N", "1 2 3", "")], &[]);
    let mut spec = simulation::spec(space, SamplerKind::Coordinate);
    spec.search.racing = false;
    spec.steps = vec![Step {
        name: "eval".into(),
        kind: StepKind::Measure {
            runs: 2,
            warmup: 0,
            timeout: Duration::from_secs(9),
            marks: Marks::None,
        },
        command: vec![Template::new("eval").expect("a template")],
        params_in_env: true,
        env: Vec::new(),
        files: Vec::new(),
        workdir: "/".into(),
        stop: None,
        stop_grace: Duration::ZERO,
        curves: Vec::new(),
        stall_timeout: None,
        metrics: Vec::new(),
        artifacts: Vec::new(),
        find: Vec::new(),
        notes: Vec::new(),
        resume: None,
    }];
    spec
}

impl Table {
    fn new(spec: Spec) -> Self {
        let study = Arc::new(Study::new(Arc::new(spec)));
        Self {
            state: State::new(study, Company::default()),
        }
    }

    /// Hands in an input, applies the facts, and returns the effects.
    fn take(&mut self, input: Input) -> Vec<Effect> {
        let now = Timestamp::from_millis(1_000);
        let context = Context {
            now,
            token: "0123456789abcdef",
            boot_id: "boot",
        };
        let decision = decide(&mut self.state, input, &context);
        for fact in &decision.facts {
            let study = Arc::make_mut(&mut self.state.study);
            study.apply(fact).expect("a fact that fits");
        }
        decision.effects
    }

    fn begin(&mut self) -> Vec<Effect> {
        self.take(Input::Begin {
            digest: "d".to_owned(),
            host: None,
        })
    }

    fn asked(&mut self, params: Params) -> Vec<Effect> {
        let study = &self.state.study;
        let (trials, revision) = (study.trials().len(), study.revision());
        let results = study.results();
        self.take(Input::Asked {
            trials,
            revision,
            results,
            ask: Ask::Try(params),
            choice: None,
        })
    }

    fn baseline(&self) -> Params {
        self.state
            .study
            .spec()
            .space
            .baseline()
            .expect("a baseline")
    }

    /// A study whose first trial runs.
    fn running() -> Self {
        let mut table = Self::new(spec());
        table.begin();
        let baseline = table.baseline();
        table.asked(baseline);
        table
    }

    fn run_ended(&mut self, number: u32) -> Vec<Effect> {
        self.measured(1, number, 10.0)
    }

    fn measured(&mut self, trial: u32, number: u32, speed: f64) -> Vec<Effect> {
        let report = Report::RunEnded(RunReport {
            step: "eval".to_owned(),
            number,
            elapsed: Duration::from_secs(1),
            ending: EndingReport::Exited(0),
            metrics: vec![("speed".to_owned(), speed), ("quality".to_owned(), 0.9)],
            fault: None,
        });
        let at = Timestamp::from_millis(2_000);
        self.take(Input::Report {
            trial: TrialId(trial),
            sitting: 1,
            at,
            report,
        })
    }

    /// The second trial is far behind after its first run.
    fn hopeless() -> (Self, Vec<Effect>) {
        let mut spec = spec();
        spec.search.racing = true;
        spec.steps = vec![simulation::measure("eval", 3, &["speed", "quality"])];
        let mut table = Self::new(spec);
        table.begin();
        let baseline = table.baseline();
        table.asked(baseline);
        for number in 1..=3 {
            table.run_ended(number);
        }
        table.over(1, SittingResult::Good);
        let Ask::Try(params) = search::ask(&table.state.study) else {
            panic!("it has more to try");
        };
        table.asked(params);
        let effects = table.measured(2, 1, 5.0);
        (table, effects)
    }

    fn second_over(&mut self, result: SittingResult) -> Vec<Effect> {
        self.take(Input::SittingOver {
            trial: TrialId(2),
            sitting: 1,
            result,
        })
    }

    fn over(&mut self, sitting: u32, result: SittingResult) -> Vec<Effect> {
        self.take(Input::SittingOver {
            trial: TrialId(1),
            sitting,
            result,
        })
    }

    fn phase(&self) -> &Phase {
        self.state.study.phase()
    }
}

fn port_taken() -> SittingResult {
    SittingResult::Failed(FailureReport {
        kind: FailureKind::Host(HostFault::PortTaken).name().to_owned(),
        step: None,
        ending: None,
        message: "port 1 is held".to_owned(),
        cause: None,
        health: None,
    })
}

const START: Effect = Effect::StartSitting {
    trial: TrialId(1),
    sitting: 1,
};
const FORGET: Effect = Effect::ForgetSitting {
    trial: TrialId(1),
    sitting: 1,
};

#[test]
fn a_fresh_study_asks_plans_and_starts() {
    let mut table = Table::new(spec());
    assert_eq!(table.begin(), [Effect::Ask]);
    let baseline = table.baseline();
    assert_eq!(table.asked(baseline), [START]);
    let trial = table.state.study.running().expect("it runs");
    assert_eq!(trial.origin, Origin::Baseline);
}

#[test]
fn an_answer_to_an_older_history_is_thrown_away() {
    let mut table = Table::new(spec());
    table.begin();
    for (trials, revision, results) in [(7, 0, 0), (0, 1, 0), (0, 0, 1)] {
        let ask = Ask::Try(table.baseline());
        let asked = Input::Asked {
            trials,
            revision,
            results,
            ask,
            choice: None,
        };
        assert_eq!(table.take(asked), [Effect::Ask]);
        assert!(table.state.study.trials().is_empty());
    }
}

/// Makes these changes, as a client would.
fn amend(table: &mut Table, edits: Vec<Edit>) -> (Vec<Effect>, Reply) {
    let (reply, mut answer) = oneshot::channel();
    let steer = Steer::Amend(edits);
    let by = By::User { uid: 7, name: None };
    let input = Input::Request { steer, by, reply };
    let now = Timestamp::from_millis(3_000);
    let context = Context {
        now,
        token: "0123456789abcdef",
        boot_id: "boot",
    };
    let decision = decide(&mut table.state, input, &context);
    for fact in &decision.facts {
        let study = Arc::make_mut(&mut table.state.study);
        study.apply(fact).expect("a fact that fits");
    }
    let (to, reply) = decision.answer.expect("an answer");
    to.send(reply).expect("it is waited for");
    (decision.effects, answer.try_recv().expect("sent"))
}

fn set(name: &str, value: &str) -> Edit {
    let (name, value) = (name.to_owned(), value.to_owned());
    Edit::Set { name, value }
}

fn remove(value: &str) -> Edit {
    Edit::RemoveValues {
        parameter: "N".to_owned(),
        values: vec![value.to_owned()],
    }
}

fn answer(reply: Reply) -> Amended {
    match reply {
        Reply::Accepted(Accepted::Amended(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_answer_for_an_older_spec_is_thrown_away() {
    let mut table = Table::running();
    (1..=2).for_each(|number| drop(table.run_ended(number)));
    assert_eq!(
        table.over(1, SittingResult::Good),
        [FORGET, Effect::Ask],
        "the sampler is asked"
    );
    let old = ask(&table.state.study);
    let (effects, _) = amend(&mut table, vec![remove("2")]);
    assert_eq!(effects, [], "it thinks already");
    assert_eq!(table.take(old), [Effect::Ask]);
    assert_eq!(table.state.study.trials().len(), 1);
    let Input::Asked { ask, .. } = ask(&table.state.study) else {
        panic!("an answer")
    };
    let Ask::Try(params) = ask else {
        panic!("{ask:?}")
    };
    assert_eq!(params.key(), "N=3");
}

#[test]
fn the_running_trial_is_finished_as_it_was_started() {
    let mut table = Table::running();
    let (effects, reply) = amend(&mut table, vec![set("runs", "5"), set("trials", "1")]);
    // Two settings end like this.
    assert!(matches!(reply, Reply::Refused(_)), "{reply:?}");
    assert_eq!(effects, []);
    assert!(table.state.study.amendments().is_empty(), "all or nothing");
    let (_, reply) = amend(&mut table, vec![set("eval.runs", "5"), set("trials", "1")]);
    let answer = answer(reply);
    assert_eq!(answer.running, Some(1));
    assert_eq!(answer.changed, ["step.eval.runs = 5", "budget.trials = 1"]);
    (1..=2).for_each(|number| drop(table.run_ended(number)));
    let effects = table.over(1, SittingResult::Good);
    assert_eq!(effects, [FORGET, Effect::Leave]);
    let trial = table.state.study.trial(TrialId(1)).expect("planned");
    assert_eq!(trial.outcome, Some(Outcome::Complete));
    assert!(
        matches!(table.phase(), Phase::Done(_)),
        "{:?}",
        table.phase()
    );
}

#[test]
fn a_threshold_judges_what_is_over() {
    let mut table = Table::running();
    (1..=2).for_each(|number| drop(table.run_ended(number)));
    table.over(1, SittingResult::Good);
    let (_, reply) = amend(&mut table, vec![set("quality.min", "0.95")]);
    let strict = answer(reply);
    assert_eq!((strict.best_before, strict.best), (Some(1), None));
    let trial = table.state.study.trial(TrialId(1)).expect("planned");
    assert_eq!(trial.outcome, Some(Outcome::Infeasible));
    let (_, reply) = amend(&mut table, vec![set("quality.min", "0.5")]);
    let back = answer(reply);
    assert_eq!(back.best, Some(1));
    assert_eq!(back.withdrawn, ["constraint.quality.min = 0.95"]);
    assert!(table.state.study.amendments().is_empty(), "as in the spec");
    let (effects, reply) = amend(&mut table, vec![set("quality.min", "0.5")]);
    assert!(matches!(reply, Reply::Ignored(_)), "{reply:?}");
    assert_eq!(effects, []);
}

#[test]
fn a_finished_study_goes_on_with_its_partial_trials_first() {
    let mut table = Table::running();
    table.state.company = Company {
        served: true,
        stay: true,
        prompted: false,
    };
    table.run_ended(1);
    let report = RunReport {
        step: "eval".to_owned(),
        number: 2,
        elapsed: Duration::from_secs(1),
        ending: EndingReport::Exited(1),
        metrics: Vec::new(),
        fault: Some("it failed".to_owned()),
    };
    let at = Timestamp::from_millis(2_000);
    let report = Report::RunEnded(report);
    let (trial, sitting) = (TrialId(1), 1);
    table.take(Input::Report {
        trial,
        sitting,
        at,
        report,
    });
    amend(&mut table, vec![set("trials", "1")]);
    table.over(1, SittingResult::Good);
    assert!(
        matches!(table.phase(), Phase::Done(_)),
        "{:?}",
        table.phase()
    );
    let (effects, reply) = amend(&mut table, vec![set("trials", "2")]);
    assert!(answer(reply).done);
    assert_eq!(effects, [Effect::Ask]);
    let sitting = 2;
    let start = Effect::StartSitting { trial, sitting };
    let asked = ask(&table.state.study);
    assert_eq!(table.take(asked), [start]);
    assert_eq!(table.state.study.trials().len(), 1);
}

#[test]
fn a_stop_without_a_trial_leaves_at_once_and_starts_none() {
    let mut table = Table::new(spec());
    table.begin();
    assert_eq!(table.take(Input::Stop(Urgency::Orderly)), [Effect::Leave]);
    let baseline = table.baseline();
    assert_eq!(table.asked(baseline), [Effect::Leave]);
    assert!(table.state.study.trials().is_empty());
}

#[test]
fn a_second_stop_is_more_urgent_and_a_third_is_nothing() {
    let mut table = Table::running();
    let stop = |table: &mut Table, urgency| table.take(Input::Stop(urgency));
    assert_eq!(
        stop(&mut table, Urgency::Orderly),
        [Effect::EndSitting(TrialId(1), Urgency::Orderly)]
    );
    assert_eq!(stop(&mut table, Urgency::Orderly), []);
    assert_eq!(
        stop(&mut table, Urgency::AtOnce),
        [Effect::EndSitting(TrialId(1), Urgency::AtOnce)]
    );
    assert_eq!(
        table.over(1, SittingResult::Interrupted),
        [FORGET, Effect::Leave]
    );
    assert!(!table.state.study.trials()[0].is_settled());
}

#[test]
fn what_was_cut_short_goes_on_in_another_sitting() {
    let mut table = Table::running();
    table.run_ended(1);
    table.take(Input::Stop(Urgency::Orderly));
    table.over(1, SittingResult::Interrupted);
    table.state.stopping = None;
    let again = Effect::StartSitting {
        trial: TrialId(1),
        sitting: 2,
    };
    assert_eq!(table.begin(), [again]);
    assert_eq!(table.state.study.trials()[0].runs.len(), 1);
}

#[test]
fn what_was_cut_short_after_its_last_run_is_complete() {
    let mut table = Table::running();
    table.run_ended(1);
    table.run_ended(2);
    table.over(1, SittingResult::Interrupted);
    assert_eq!(
        table.state.study.trials()[0].outcome,
        Some(Outcome::Complete)
    );
}

#[test]
fn reports_of_a_sitting_that_is_over_change_nothing() {
    let mut table = Table::running();
    table.run_ended(1);
    table.over(1, SittingResult::Interrupted);
    let before = table.state.study.trials()[0].clone();
    table.run_ended(2);
    assert_eq!(table.over(1, SittingResult::Good), []);
    assert_eq!(table.state.study.trials()[0].runs, before.runs);
}

#[test]
fn five_faults_of_the_host_in_a_row_pause_the_study() {
    let mut table = Table::running();
    for sitting in 1..HOST_FAULTS_MAX {
        table.over(sitting, port_taken());
        table.take(Input::Wake(None));
        assert_eq!(*table.phase(), Phase::Active, "after {sitting}");
    }
    let effects = table.over(HOST_FAULTS_MAX, port_taken());
    assert_eq!(effects.last(), Some(&Effect::Leave));
    let Phase::Paused(reason) = table.phase() else {
        panic!("{:?}", table.phase())
    };
    assert!(reason.contains("port 1 is held"), "{reason}");
    // The sampler has learned nothing, and a new start goes on.
    assert!(!table.state.study.trials()[0].is_settled());
    let again = Effect::StartSitting {
        trial: TrialId(1),
        sitting: HOST_FAULTS_MAX + 1,
    };
    assert_eq!(table.begin(), [again]);
}

#[test]
fn the_time_of_gpus_is_a_budget() {
    let mut spec = spec();
    spec.budget.gpu_time = Some(Duration::from_millis(4));
    spec.budget.gpus = Some(4);
    let mut table = Table::new(spec);
    table.begin();
    let baseline = table.baseline();
    table.asked(baseline);
    let used_up = |now| time_used_up(&table.state.study, Timestamp::from_millis(now));
    assert_eq!(used_up(1_000), None);
    let reason = used_up(1_001).expect("four GPUs for a millisecond");
    assert!(reason.ends_with("GPU hours is used up"), "{reason}");
}

#[test]
fn a_used_up_budget_ends_the_study_once() {
    let mut spec = spec();
    spec.budget.trials = Some(1);
    let mut table = Table::new(spec);
    table.begin();
    let baseline = table.baseline();
    table.asked(baseline);
    table.run_ended(1);
    table.run_ended(2);
    let effects = table.over(1, SittingResult::Good);
    assert_eq!(effects, [FORGET, Effect::Leave]);
    assert!(matches!(table.phase(), Phase::Done(_)));
    let facts = {
        let now = Timestamp::from_millis(9_000);
        let context = Context {
            now,
            token: "0123456789abcdef",
            boot_id: "boot",
        };
        decide(
            &mut table.state,
            Input::Begin {
                digest: "d".to_owned(),
                host: None,
            },
            &context,
        )
        .facts
    };
    assert!(
        matches!(
            &facts[..],
            [Fact {
                event: Event::Opened { .. },
                ..
            }]
        ),
        "{facts:?}"
    );
}

#[test]
fn a_hopeless_trial_is_ended_and_keeps_what_it_has() {
    let broken = |kind: FailureKind| {
        SittingResult::Failed(FailureReport {
            kind: kind.name().to_owned(),
            step: Some("eval".to_owned()),
            ending: None,
            message: "it broke".to_owned(),
            cause: None,
            health: None,
        })
    };
    // However the sitting ends, the trial is pruned.
    let results = [
        SittingResult::Interrupted,
        SittingResult::Good,
        broken(FailureKind::SomeRuns),
        broken(FailureKind::Host(HostFault::RunnerDied)),
    ];
    for result in results {
        let (mut table, effects) = Table::hopeless();
        assert_eq!(effects, [Effect::EndSitting(TrialId(2), Urgency::Orderly)]);
        // A run that was quicker than the end is kept, and decides no more.
        assert_eq!(table.measured(2, 2, 5.0), []);
        table.second_over(result);
        let study = &table.state.study;
        let trial = study.trial(TrialId(2)).expect("it was tried");
        assert_eq!(trial.outcome, Some(Outcome::Pruned));
        assert_eq!((trial.runs.len(), study.runs_saved()), (2, 1.0));
    }
    // One whose last run came before the end has all that it needs.
    let (mut table, _) = Table::hopeless();
    table.measured(2, 2, 50.0);
    table.measured(2, 3, 50.0);
    table.second_over(SittingResult::Interrupted);
    let study = &table.state.study;
    assert_eq!(study.incumbent().map(|trial| trial.id), Some(TrialId(2)));
    assert_eq!(study.runs_saved(), 0.0);
    // What hangs is said, and the next sitting decides anew.
    let (mut table, _) = Table::hopeless();
    table.second_over(broken(FailureKind::Host(HostFault::NotReleased)));
    let study = &table.state.study;
    assert_eq!(study.host_faults(&None), 1);
    let trial = study.trial(TrialId(2)).expect("it was tried");
    assert!(trial.running().is_some_and(|sitting| sitting.number == 2));
    assert_eq!(trial.pruning, None);
}

#[path = "approve_tests.rs"]
mod approvals;
#[path = "confirm_tests.rs"]
mod confirm;
#[path = "slots_tests.rs"]
mod slots;

#[test]
fn nothing_begins_until_the_artifacts_of_the_best_are_kept() {
    let mut table = Table::running();
    let (files, bytes, trial) = (3, 30, TrialId(1));
    let found = Report::ArtifactsFound { files, bytes };
    let at = Timestamp::from_millis(1_500);
    let sitting = 1;
    table.take(Input::Report {
        trial,
        sitting,
        at,
        report: found,
    });
    table.run_ended(1);
    table.run_ended(2);
    let effects = table.over(1, SittingResult::Good);
    assert_eq!(effects, [FORGET, Effect::Keep(trial)]);
    assert_eq!(table.take(Input::Wake(None)), []);
    let waits = || Input::KeepingWaits("no room".to_owned());
    let said = Effect::Disk(Some("no room".to_owned()));
    assert_eq!(table.take(waits()), [said]);
    assert_eq!(table.take(waits()), []);
    let change = ArtifactsChange::Kept {
        files,
        bytes,
        folder: "artifacts/best".into(),
    };
    let kept = table.take(Input::Artifacts { trial, change });
    assert_eq!(kept, [Effect::Disk(None), Effect::Ask]);
}

#[test]
fn an_end_does_not_wait_for_a_copy() {
    let mut table = Table::running();
    let found = Report::ArtifactsFound { files: 1, bytes: 1 };
    let at = Timestamp::from_millis(1_500);
    let (trial, sitting) = (TrialId(1), 1);
    table.take(Input::Report {
        trial,
        sitting,
        at,
        report: found,
    });
    table.run_ended(1);
    table.run_ended(2);
    table.over(1, SittingResult::Good);
    assert_eq!(table.take(Input::Stop(Urgency::Orderly)), [Effect::Leave]);
    // The next start makes it.
    table.state.keeping = None;
    table.state.stopping = None;
    assert_eq!(table.begin(), [Effect::Keep(trial)]);
    let reason = "it is gone".into();
    let change = ArtifactsChange::Lost { reason };
    assert_eq!(
        table.take(Input::Artifacts { trial, change }),
        [Effect::Ask]
    );
}
