use std::sync::Arc;

use crate::base::clock::Timestamp;
use crate::daemon::decide::{Company, Context, Effect, Input, State, decide};
use crate::exec::report::{CauseReport, FailureReport, SittingResult};
use crate::model::outcome::{FailureKind, HostFault};
use crate::model::remedy::{self, Remedy};
use crate::model::spec::{SamplerKind, Spec};
use crate::model::study::{Phase, Study};
use crate::model::trial::{Origin, TrialId};
use crate::search::simulation;

const TROUBLE: &str = "gpu-out-of-memory";

/// `BATCH` has one value, `STEPS` and `RANK` have some.
fn spec() -> Spec {
    let parameters = vec![
        simulation::list("RANK", "8 16 64", ""),
        simulation::list("STEPS", "4 8 16", ""),
        simulation::list("BATCH", "8", ""),
    ];
    let space = simulation::space(parameters, &[]);
    let mut spec = simulation::spec(space, SamplerKind::Grid);
    spec.remedies = vec![Remedy {
        trouble: TROUBLE.into(),
        halve: vec!["BATCH".into()],
        double: vec!["STEPS".into()],
        set: Vec::new(),
    }];
    spec
}

struct Table {
    state: State,
}

impl Table {
    fn new(spec: Spec) -> Self {
        let study = Arc::new(Study::new(Arc::new(spec)));
        let state = State::new(study, Company::default());
        let mut table = Self { state };
        table.take(begin());
        table.ask();
        table
    }

    fn take(&mut self, input: Input) -> Vec<Effect> {
        let context = Context {
            now: Timestamp::from_millis(1),
            token: "t",
            boot_id: "b",
        };
        let decision = decide(&mut self.state, input, &context);
        for fact in &decision.facts {
            let study = Arc::make_mut(&mut self.state.study);
            study.apply(fact).expect("a fact that fits");
        }
        decision.effects
    }

    /// Lets the sampler answer, as the dispatcher does.
    fn ask(&mut self) -> Vec<Effect> {
        let input = crate::daemon::decide::ask(&self.state.study);
        self.take(input)
    }

    /// Ends the sitting that runs.
    fn fail(&mut self, kind: FailureKind, cause: &str) -> Vec<Effect> {
        let trial = self.state.study.running().expect("a trial");
        let (trial, sitting) = (trial.id, trial.sittings.len() as u32);
        let result = SittingResult::Failed(FailureReport {
            kind: kind.name().to_owned(),
            step: None,
            ending: None,
            message: "it broke".to_owned(),
            cause: Some(CauseReport {
                name: cause.to_owned(),
                hint: "h".to_owned(),
                line: "l".to_owned(),
            }),
            health: None,
        });
        self.take(Input::SittingOver {
            trial,
            sitting,
            result,
        })
    }

    /// What can be done about a trial, or why nothing can.
    fn chance(&self, trial: u32) -> Option<Result<String, String>> {
        let study = &self.state.study;
        let trial = study.trial(TrialId(trial)).expect("a trial");
        let chance = remedy::chance(study, trial)?;
        Some(
            chance
                .map(|params| params.key())
                .map_err(|why| why.to_string()),
        )
    }

    fn newest(&self) -> (u32, String, Origin) {
        let trials = self.state.study.trials();
        let newest = trials.get(trials.len() - 1).expect("a trial");
        (newest.id.0, newest.params.key(), newest.origin)
    }
}

fn begin() -> Input {
    Input::Begin {
        digest: "d".to_owned(),
        host: None,
    }
}

fn start(trial: u32) -> Effect {
    Effect::StartSitting {
        trial: TrialId(trial),
        sitting: 1,
    }
}

const OF_FIRST: Origin = Origin::Remedy { of: TrialId(1) };

#[test]
fn a_failed_trial_gets_its_remedy_once() {
    let mut table = Table::new(spec());
    assert_eq!(table.newest().1, "BATCH=8|RANK=8|STEPS=4");
    let effects = table.fail(FailureKind::Task, TROUBLE);
    assert!(effects.contains(&start(2)), "{effects:?}");
    let remedied = (2, "BATCH=4|RANK=8|STEPS=8".to_owned(), OF_FIRST);
    assert_eq!(table.newest(), remedied);
    let first = table.state.study.trial(TrialId(1)).expect("the first");
    assert!(first.is_settled(), "it stays failed as it is");
    // That fails by the same, and the sampler is asked.
    let effects = table.fail(FailureKind::Task, TROUBLE);
    assert!(effects.contains(&Effect::Ask), "{effects:?}");
    assert_eq!(remedy::due(&table.state.study), None);
    assert_eq!(table.state.study.helper(TrialId(1)), Some(TrialId(2)));
    assert_eq!(table.chance(1), None);
    let own = "it is one itself, and gets none".to_owned();
    assert_eq!(table.chance(2), Some(Err(own)));
    // The next of the sampler's own fails, and its remedy is one of its own.
    table.ask();
    let (third, _, origin) = table.newest();
    assert_eq!((third, origin), (3, Origin::Sampler));
    table.fail(FailureKind::Task, TROUBLE);
    assert_eq!(table.newest().2, Origin::Remedy { of: TrialId(3) });
}

#[test]
fn another_trouble_and_a_fault_of_the_host_get_none() {
    let mut table = Table::new(spec());
    let effects = table.fail(FailureKind::Task, "dataset-form");
    assert!(effects.contains(&Effect::Ask), "{effects:?}");
    let mut table = Table::new(spec());
    table.fail(FailureKind::Host(HostFault::GpuLost), TROUBLE);
    assert_eq!(remedy::due(&table.state.study), None);
    let mut off = spec();
    off.remedies.clear();
    let mut table = Table::new(off);
    let effects = table.fail(FailureKind::Task, TROUBLE);
    assert!(effects.contains(&Effect::Ask), "{effects:?}");
}

/// The daemon dies when the failure is on disk and the remedy is not, or when
/// the remedy is planned and was not started.
#[test]
fn a_crash_before_it_costs_nothing() {
    let mut table = Table::new(spec());
    let before = table.state.study.clone();
    table.fail(FailureKind::Task, TROUBLE);
    // What the first of the decision's facts left on disk.
    let failed = table.state.study.trial(TrialId(1)).expect("the first");
    let end = failed.sittings[0].end.clone().expect("it is over");
    let mut study = Study::clone(&before);
    let mut happen = |event| {
        let at = Timestamp::from_millis(2);
        let fact = crate::model::event::Fact { at, event };
        study.apply(&fact).expect("a fact that fits");
    };
    happen(crate::model::event::Event::SittingEnded {
        trial: TrialId(1),
        sitting: 1,
        end,
        health: None,
    });
    let mut table = Table { state: table.state };
    table.state.study = Arc::new(study.clone());
    assert!(table.take(begin()).contains(&start(2)));
    assert_eq!(table.newest().2, OF_FIRST);
    let planned = super::plan(&study).expect("a remedy");
    let at = Timestamp::from_millis(3);
    let fact = crate::model::event::Fact { at, event: planned };
    study.apply(&fact).expect("a fact that fits");
    table.state.study = Arc::new(study);
    assert!(table.take(begin()).contains(&start(2)));
    assert_eq!(table.state.study.trials().len(), 2);
}

#[test]
fn why_there_is_none_is_said() {
    for (batch, steps, ranks, why) in [
        ("1", "4", "8", "BATCH is 1, which is not halved"),
        (
            "3",
            "4",
            "8",
            "BATCH is 3, which is odd: half of it would change the product",
        ),
        ("8", "auto", "8", "STEPS is auto, which is no number"),
        (
            "8",
            "4",
            "8 9",
            "RANK: `16` is not allowed: choose one of 8, 9",
        ),
    ] {
        let mut spec = spec();
        let parameters = [("RANK", ranks), ("STEPS", steps), ("BATCH", batch)];
        let parameters = parameters.map(|(name, values)| simulation::list(name, values, ""));
        spec.space = simulation::space(parameters.to_vec(), &[]);
        if ranks == "8 9" {
            spec.remedies[0].double = vec!["RANK".into()];
        }
        let mut table = Table::new(spec);
        table.fail(FailureKind::Task, TROUBLE);
        let Some(Err(found)) = table.chance(1) else {
            panic!("{:?}", table.chance(1))
        };
        assert!(found.starts_with(why), "{found}");
    }
    // It failed by nothing that there is a remedy for.
    let mut table = Table::new(spec());
    table.fail(FailureKind::Task, "dataset-form");
    assert_eq!(table.chance(1), None);
}

#[test]
fn what_was_tried_is_not_tried_again_and_the_budget_holds() {
    let mut table = Table::new(spec());
    let params = remedy_params(&table);
    // A user has it in the queue already: it is no remedy then.
    let study = Arc::make_mut(&mut table.state.study);
    let event = crate::model::event::Event::TrialPlanned {
        trial: TrialId(2),
        params,
        origin: Origin::User,
        choice: None,
    };
    let at = Timestamp::from_millis(2);
    study
        .apply(&crate::model::event::Fact { at, event })
        .expect("a fact that fits");
    table.fail(FailureKind::Task, TROUBLE);
    assert_eq!(remedy::due(&table.state.study), None);
    let tried = "trial 2 has tried those values".to_owned();
    assert_eq!(table.chance(1), Some(Err(tried)));

    let mut short = spec();
    short.budget.trials = Some(1);
    let mut table = Table::new(short);
    table.fail(FailureKind::Task, TROUBLE);
    assert!(matches!(table.state.study.phase(), Phase::Done(_)));
    assert_eq!(table.state.study.trials().len(), 1);
}

fn remedy_params(table: &Table) -> crate::model::params::Params {
    let study = &table.state.study;
    let spec = study.spec();
    let base = spec.space.baseline().expect("params");
    spec.remedies[0]
        .apply(&spec.space, &base)
        .expect("a remedy")
}

/// The sampler goes on where it was, whatever the remedy tried.
#[test]
fn every_sampler_goes_on() {
    for sampler in [
        SamplerKind::Model,
        SamplerKind::Tpe,
        SamplerKind::Coordinate,
        SamplerKind::Grid,
        SamplerKind::Random,
    ] {
        let mut spec = spec();
        spec.search.sampler = sampler;
        let mut table = Table::new(spec);
        let mut tried = 0;
        while !matches!(table.state.study.phase(), Phase::Done(_)) {
            match table.state.study.running() {
                Some(_) => table.fail(FailureKind::Task, TROUBLE),
                None => table.ask(),
            };
            tried += 1;
            assert!(tried < 100, "{sampler:?} does not end");
        }
        // All fail, and each that can be helped was helped once.
        let trials = table.state.study.trials();
        let is_remedy = |origin| matches!(origin, Origin::Remedy { .. });
        let mut helped: Vec<u32> = Vec::new();
        let mut helpless = 0;
        for trial in trials.iter() {
            match trial.origin {
                Origin::Remedy { of } => helped.push(of.0),
                _ => helpless += u32::from(trial.params.key().ends_with("STEPS=16")),
            }
        }
        let others = trials.iter().filter(|trial| !is_remedy(trial.origin));
        let others = others.count() as u32;
        helped.dedup();
        assert_eq!(helped.len() as u32, others - helpless, "{sampler:?}");
        assert!(others > 3, "{sampler:?}");
    }
}
