//! Properties of every sampler, on studies that a machine makes up.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use rand::RngExt;

use super::count::{Planned, preview, trials};
use super::simulation::{Answer, Simulation, fails, int, list, measure, space, spec};
use super::standing::Standing;
use super::{Ask, ask};
use crate::base::random::generator;
use crate::model::domain::Scale;
use crate::model::event::{Event, Fact};
use crate::model::params::Params;
use crate::model::slot::Slot;
use crate::model::space::Space;
use crate::model::spec::{SamplerKind, Spec};
use crate::model::study::Study;
use crate::model::trial::{Origin, Purpose, SittingEnd, TrialId};

/// Spaces with everything in them that makes a sampler stumble.
fn any_space() -> impl Strategy<Value = Space> {
    let lists = prop::collection::vec(1usize..4, 1..4);
    (lists, any::<bool>(), any::<bool>()).prop_map(|(sizes, condition, rule)| {
        let mut parameters: Vec<_> = sizes
            .iter()
            .enumerate()
            .map(|(index, size)| {
                let values: Vec<String> = (1..=*size).map(|v| v.to_string()).collect();
                list(&format!("P{index}"), &values.join(" "), "")
            })
            .collect();
        if condition {
            parameters.push(int("Q", 1, 20, Scale::Log, "P0 == 1"));
        }
        let rules: &[&str] = if rule { &["P0 + Q <= 9"] } else { &[] };
        let rules = if condition { rules } else { &[] };
        space(parameters, rules)
    })
}

/// All but the model, which has a test of its own: it thinks about each ask.
const QUICK: [SamplerKind; 5] = [
    SamplerKind::Tpe,
    SamplerKind::Coordinate,
    SamplerKind::Grid,
    SamplerKind::Random,
    SamplerKind::Advisor,
];

fn any_spec() -> impl Strategy<Value = Spec> {
    (any_space(), 0..QUICK.len(), 1u32..4, any::<u64>()).prop_map(
        |(space, sampler, passes, seed)| {
            let mut spec = spec(space, QUICK[sampler]);
            spec.search.passes = passes;
            spec.seed = seed;
            spec
        },
    )
}

/// A program that answers each params its own way, the same each time.
fn program(salt: u64) -> impl Fn(&Params) -> Answer {
    move |params| {
        let mut hasher = DefaultHasher::new();
        (salt, params.key()).hash(&mut hasher);
        let hash = hasher.finish();
        let speed = (hash % 7) as f64;
        match hash >> 32 & 7 {
            0 => fails(),
            1 | 2 => Answer::Runs(vec![(speed, 0.25), (speed, 0.125)]),
            _ => Answer::Runs(vec![(speed, 1.0)]),
        }
    }
}

/// Runs a study to its end in which somebody adds a trial now and then.
fn disturbed(spec: &Spec, salt: u64, added: &[(usize, u64)]) -> (Simulation, Vec<Params>) {
    let program = program(salt);
    let mut simulation = Simulation::new(spec.clone());
    let mut asked = Vec::new();
    for round in 0..600 {
        for (_, choice) in added.iter().filter(|(when, _)| *when == round) {
            let mut left = *choice;
            let chosen = spec.space.choose(|parameter| {
                let levels = parameter.domain.levels(50);
                let value = levels[(left % levels.len() as u64) as usize].clone();
                left /= 3;
                value
            });
            if let Ok(params) = chosen
                && simulation.study.trial_of(&params).is_none()
            {
                simulation.try_params(&params, Origin::Imported, &program(&params));
            }
        }
        let (one, why) = simulation.run(1, &program);
        if why.is_some() && added.iter().all(|(when, _)| *when <= round) {
            break;
        }
        asked.extend(one);
    }
    (simulation, asked)
}

/// Runs a study in so many slots until so many trials were tried: what is asked
/// while others run is new, and follows from the journal alone. Which of those
/// that run comes out next is drawn.
fn side_by_side(mut spec: Spec, slots: usize, most: usize, salt: u64) -> TestCaseResult {
    let slot = |number: usize| Slot {
        name: format!("s{number}").into(),
        env: Vec::new(),
        port: None,
    };
    spec.slots = (0..slots).map(slot).collect();
    let program = program(salt);
    let spec = Arc::new(spec);
    let mut simulation = Simulation::new(Spec::clone(&spec));
    let mut draws = generator(salt, 0);
    let mut widest = 0;
    loop {
        while let Some(slot) = simulation.study.free_slots().into_iter().next() {
            let asked = ask(&simulation.study);
            let replayed = Simulation::replay(&spec, &simulation.facts);
            prop_assert_eq!(&ask(&replayed), &asked);
            match asked {
                Ask::Try(params) => {
                    prop_assert!(simulation.study.is_new(&params), "{} again", params.key());
                    prop_assert!(spec.space.allows(&params));
                    let trial = simulation.plan(&params, Origin::Sampler);
                    simulation.begin(trial, slot);
                }
                Ask::Run(trial) => {
                    let known = simulation
                        .study
                        .trial(trial)
                        .expect("a trial that it knows");
                    prop_assert!(known.running().is_none(), "{trial} runs already");
                    simulation.begin(trial, slot);
                }
                Ask::Consult(question) => {
                    simulation.advise(question, Err("nobody is asked".to_owned()));
                }
                Ask::Wait | Ask::Exhausted(_) => break,
            }
        }
        let running: Vec<TrialId> = simulation
            .study
            .all_running()
            .map(|trial| trial.id)
            .collect();
        widest = widest.max(running.len());
        if running.is_empty() {
            break;
        }
        let trial = running[draws.random_range(0..running.len())];
        let known = simulation.study.trial(trial).expect("a trial that runs");
        let answer = match program(&known.params) {
            Answer::Runs(runs) => Answer::Runs(vec![runs[0]; 2].split_off(known.runs.len())),
            failed => failed,
        };
        simulation.finish(trial, &answer, Duration::from_secs(1));
        if simulation.study.trials().len() >= most {
            break;
        }
    }
    // Samplers that need no result fill all slots where there is enough to try.
    let is_free = matches!(spec.search.sampler, SamplerKind::Grid | SamplerKind::Random);
    if is_free && simulation.study.trials().len() > slots {
        prop_assert_eq!(widest, slots);
    }
    Ok(())
}

fn added() -> impl Strategy<Value = Vec<(usize, u64)>> {
    prop::collection::vec((0usize..40, any::<u64>()), 0..5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// What the model asks is allowed, was not tried, and depends on the journal
    /// alone, also where the study races.
    #[test]
    fn the_model_keeps_to_the_rules(space in any_space(), seed: u64, salt: u64, races: bool) {
        let mut spec = spec(space, SamplerKind::Model);
        spec.seed = seed;
        if races {
            spec.steps = vec![measure("measure", 2, &["speed", "quality"])];
        }
        let mut simulation = Simulation::new(spec.clone());
        let program = program(salt);
        let (asked, _) = simulation.run(25, |params| match program(params) {
            Answer::Runs(runs) => Answer::Runs(vec![runs[0]; 2]),
            failed => failed,
        });
        let distinct: HashSet<&Params> = asked.iter().collect();
        prop_assert_eq!(distinct.len(), asked.len());
        prop_assert!(asked.iter().all(|params| spec.space.allows(params)));
        let spec = Arc::new(spec);
        let planned = |fact: &Fact| matches!(fact.event, Event::TrialPlanned { .. });
        for (index, fact) in simulation.facts.iter().enumerate().filter(|(_, f)| planned(f)).step_by(6) {
            let Event::TrialPlanned { params, .. } = &fact.event else { continue };
            let replayed = Simulation::replay(&spec, &simulation.facts[..index]);
            prop_assert_eq!(ask(&replayed), Ask::Try(params.clone()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn the_model_proposes_nothing_that_is_tried_in_another_slot(
        space in any_space(), seed: u64, salt: u64, slots in 2usize..5, races: bool,
    ) {
        let mut spec = spec(space, SamplerKind::Model);
        spec.seed = seed;
        if races {
            spec.steps = vec![measure("measure", 2, &["speed", "quality"])];
        }
        side_by_side(spec, slots, 16, salt)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_is_proposed_that_is_tried_in_another_slot(
        mut spec in any_spec(), salt: u64, slots in 2usize..5, races: bool,
    ) {
        if races {
            spec.steps = vec![measure("measure", 2, &["speed", "quality"])];
        }
        side_by_side(spec, slots, 40, salt)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn nothing_is_asked_twice_and_all_is_allowed(
        spec in any_spec(), salt: u64, added in added(),
    ) {
        let (_, asked) = disturbed(&spec, salt, &added);
        let distinct: HashSet<&Params> = asked.iter().collect();
        prop_assert_eq!(distinct.len(), asked.len());
        for params in &asked {
            let given = params.iter().map(|(n, v)| (n.to_string(), v.clone())).collect();
            let checked = spec.space.check(&given);
            prop_assert_eq!(checked.as_ref(), Ok(params));
        }
        match trials(&spec) {
            Planned::Exactly(count) if added.is_empty() => {
                prop_assert_eq!(asked.len() as u64, count);
            }
            Planned::Exactly(most) => prop_assert!(asked.len() as u64 <= most),
            Planned::AtMost(most) if added.is_empty() => prop_assert!(asked.len() as u64 <= most),
            _ => {}
        }
    }

    #[test]
    fn a_restart_changes_nothing(spec in any_spec(), salt: u64, added in added()) {
        let (simulation, _) = disturbed(&spec, salt, &added);
        let spec = Arc::new(spec);
        // After each settled trial, a daemon that only has the journal asks.
        let mut live = Study::new(Arc::clone(&spec));
        for (index, fact) in simulation.facts.iter().enumerate() {
            if let Event::TrialPlanned { params, origin: Origin::Sampler, .. } = &fact.event {
                let replayed = Simulation::replay(&spec, &simulation.facts[..index]);
                prop_assert_eq!(ask(&replayed), Ask::Try(params.clone()));
                prop_assert_eq!(ask(&live), Ask::Try(params.clone()));
            }
            live.apply(fact).expect("facts that fit");
        }
    }

    #[test]
    fn a_trial_cut_short_changes_nothing(spec in any_spec(), salt: u64, cut in 0usize..30) {
        let program = program(salt);
        let (undisturbed, _) = disturbed(&spec, salt, &[]);
        let mut simulation = Simulation::new(spec);
        simulation.run(cut, &program);
        if let Ask::Try(params) = ask(&simulation.study) {
            let trial = simulation.plan(&params, Origin::Sampler);
            for end in [SittingEnd::Interrupted, SittingEnd::Interrupted] {
                let sitting = simulation.study.trial(trial).map_or(1, |t| t.sittings.len() as u32 + 1);
                let (token, boot_id) = (String::new(), "".into());
                simulation.happen(Event::SittingStarted { trial, sitting, purpose: Purpose::Measure, token, boot_id, slot: None });
                simulation.happen(Event::SittingEnded { trial, sitting, end, health: None });
            }
            simulation.work(trial, &program(&params));
        }
        simulation.run(600, &program);
        let all = |s: &Simulation| s.study.trials().iter().map(|t| t.params.clone()).collect::<Vec<_>>();
        prop_assert_eq!(all(&simulation), all(&undisturbed));
    }

    #[test]
    fn the_incumbent_never_gets_worse(spec in any_spec(), salt: u64, added in added()) {
        let (simulation, _) = disturbed(&spec, salt, &added);
        let mut study = Study::new(Arc::new(spec));
        let mut best: Option<f64> = None;
        for fact in &simulation.facts {
            study.apply(fact).expect("facts that fit");
            let now = study.incumbent().and_then(|t| study.objective(t)).map(|s| s.mean);
            prop_assert!(now >= best);
            best = now;
        }
    }

    /// With passes enough, `coordinate` ends where no single change is better,
    /// whatever was added meanwhile: the incumbent has competed everywhere. (Of
    /// equals the walk keeps its base, which need not be the earliest.)
    #[test]
    fn coordinate_ends_at_a_local_optimum(space in any_space(), salt: u64, added in added()) {
        let mut spec = spec(space, SamplerKind::Coordinate);
        spec.search.passes = 99;
        let (simulation, _) = disturbed(&spec, salt, &added);
        let study = &simulation.study;
        let Some(incumbent) = study.incumbent() else { return Ok(()) };
        let best = Standing::of(study, incumbent);
        let beats = |trial| Standing::of(study, trial).is_some_and(|s| s.beats(best, &spec.objective));
        prop_assert!(!study.trials().iter().any(|trial| beats(trial)));
        let is_explored = |params: &Params| {
            let parameters = spec.space.parameters().iter();
            let active = parameters.filter(|parameter| params.get(&parameter.name).is_some());
            let mut neighbours = active.flat_map(|parameter| {
                let values = parameter.domain.levels(spec.search.levels).into_iter();
                values.filter_map(|value| spec.space.with(params, &parameter.name, &value).ok())
            });
            neighbours.all(|neighbour| study.trial_of(&neighbour).is_some())
        };
        let equals = study.trials().iter().filter(|trial| Standing::of(study, trial) == best);
        let equals: Vec<&Params> = equals.map(|trial| &trial.params).collect();
        prop_assert!(equals.iter().any(|params| is_explored(params)), "none of {equals:?} is explored");
    }

    #[test]
    fn a_preview_is_what_comes(spec in any_spec(), before in 0usize..12, salt: u64) {
        let learns = matches!(spec.search.sampler, SamplerKind::Coordinate | SamplerKind::Tpe);
        let mut simulation = Simulation::new(spec);
        // What the advisor says is not known before.
        prop_assume!(simulation.study.spec().search.sampler != SamplerKind::Advisor);
        // The preview supposes that all fail.
        let program = program(salt);
        let answer = |params: &Params| if learns { fails() } else { program(params) };
        simulation.run(before, answer);
        let planned = preview(&simulation.study, 20);
        let (asked, _) = simulation.run(20, answer);
        prop_assert_eq!(planned, asked);
    }
}
