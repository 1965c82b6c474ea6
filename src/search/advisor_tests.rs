//! The sampler `advisor` on made-up studies, with answers made up as well.

use std::sync::Arc;

use proptest::prelude::*;

use super::simulation::{self, Answer, Simulation, fails, int, list, space, speed};
use super::{Ask, ask, choice};
use crate::model::advice::{Advice, Answer as Advised, Question};
use crate::model::approval::{Approve, By, Ends};
use crate::model::choice::Rule;
use crate::model::domain::Scale;
use crate::model::event::Event;
use crate::model::params::Params;
use crate::model::space::Space;
use crate::model::spec::{SamplerKind, Spec};
use crate::model::study::Study;
use crate::model::trial::Origin;
use crate::model::value::Value;

type Reply = Result<Advised, String>;

fn three_lists() -> Space {
    let mut fixed = list("FIXED", "1 2", "");
    fixed.tunable = false;
    let parameters = [
        list("A", "1 2 3", ""),
        fixed,
        list("B", "4 1 2 3 5", ""),
        list("C", "1 2", ""),
    ];
    space(parameters.into(), &[])
}

fn spec() -> Spec {
    let mut spec = simulation::spec(three_lists(), SamplerKind::Advisor);
    spec.advisor = Some(simulation::advisor());
    spec
}

fn with(params: &Params, name: &str, value: &str) -> Params {
    let varied = three_lists().with(params, name, &Value::from(value));
    varied.expect("allowed")
}

fn value(params: &Params, name: &str, value: &str) -> Reply {
    Ok(Advised::Params(with(params, name, value)))
}

/// Works to the end; `model` answers the questions. What was asked, in words.
fn play(
    simulation: &mut Simulation,
    program: impl Fn(&Params) -> Answer,
    mut model: impl FnMut(&Question) -> Reply,
) -> Vec<String> {
    let mut said = Vec::new();
    loop {
        match ask(&simulation.study) {
            Ask::Consult(question) => {
                said.push(match &question {
                    Question::Value { parameter, base } => format!("{parameter}? {}", base.key()),
                    other => format!("{other:?}?"),
                });
                let answer = model(&question);
                simulation.advise(question, answer);
            }
            Ask::Try(params) => {
                let rule = choice(&simulation.study, &params, None).map(|choice| choice.rule);
                said.push(match rule {
                    None => params.key(),
                    Some(rule) => format!("{} {rule:?}", params.key()),
                });
                let origin = match rule {
                    None => Origin::Baseline,
                    Some(_) => Origin::Sampler,
                };
                simulation.try_params(&params, origin, &program(&params));
            }
            Ask::Exhausted(why) => {
                said.push(why);
                return said;
            }
            other => panic!("{other:?}"),
        }
    }
}

fn digits(params: &Params) -> Answer {
    let digit = |name| params.get(name).and_then(Value::number).unwrap_or(0.0);
    speed(digit("A") + digit("B"))
}

#[test]
fn a_plan_is_gone_through_and_the_best_is_fixed() {
    let mut simulation = Simulation::new(spec());
    let baseline = three_lists().baseline().expect("no rules");
    let base = with(&baseline, "C", "2");
    let mut answers = [
        Ok(Advised::Plan {
            base: base.clone(),
            priority: vec!["B".into(), "A".into()],
        }),
        value(&base, "B", "5"),
        value(&base, "B", "3"),
        Ok(Advised::Enough),
        value(&with(&base, "B", "5"), "A", "3"),
    ]
    .into_iter();
    let model = |_: &Question| answers.next().unwrap_or(Ok(Advised::Enough));
    let program = |params: &Params| match (digits(params), params.get("C")) {
        (Answer::Runs(runs), Some(c)) if c.number() == Some(2.0) => speed(runs[0].0 + 1.0),
        (other, _) => other,
    };
    let said = play(&mut simulation, program, model);
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn without_advice_it_goes_through_the_parameters_by_itself() {
    let mut simulation = Simulation::new(spec());
    let said = play(&mut simulation, digits, |_| Err("401".to_owned()));
    insta::assert_snapshot!(said.join("\n"));
}

/// The fall-back's parameter is finished first; what it has gone through is
/// over, and counts.
#[test]
fn a_plan_that_failed_is_asked_for_again() {
    let mut simulation = Simulation::new(spec());
    let baseline = three_lists().baseline().expect("no rules");
    let base = with(&with(&baseline, "A", "3"), "C", "2");
    let mut plans = [
        Err("500".to_owned()),
        Ok(Advised::Plan {
            base,
            priority: vec!["C".into(), "A".into(), "B".into()],
        }),
    ]
    .into_iter();
    let said = play(&mut simulation, digits, |question| match question {
        Question::Plan => plans.next().expect("no third plan"),
        _ => Err("500".to_owned()),
    });
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn after_three_failed_plans_none_is_asked_for() {
    let lists = ["A", "B", "C", "D", "E"].map(|name| list(name, "1 2", ""));
    let mut spec = simulation::spec(space(lists.into(), &[]), SamplerKind::Advisor);
    let mut advisor = simulation::advisor();
    advisor.max_priority_params = 5;
    spec.advisor = Some(advisor);
    let mut simulation = Simulation::new(spec.clone());
    let said = play(&mut simulation, digits, |_| Err("500".to_owned()));
    let asked = |said: &[String]| {
        let asked = said.iter().filter_map(|line| line.split_once('?'));
        asked.map(|(what, _)| what.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        asked(&said),
        ["Plan", "A", "Plan", "B", "Plan", "C", "D", "E"]
    );

    // One that nobody was asked for is none that failed.
    let mut simulation = Simulation::new(spec);
    let mut unasked = 0;
    while let Some(next) = match ask(&simulation.study) {
        Ask::Exhausted(_) => None,
        next => Some(next),
    } {
        match next {
            Ask::Try(params) => simulation.try_params(&params, Origin::Sampler, &digits(&params)),
            Ask::Consult(question) => {
                unasked += u32::from(question == Question::Plan);
                let none = Advice::none(question, "it is switched off".to_owned());
                simulation.happen(Event::Advised(none.into()));
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(unasked, 5);
}

#[test]
fn what_fails_is_a_round() {
    let mut simulation = Simulation::new(spec());
    let program = |params: &Params| match params.get("A").map(ToString::to_string) {
        Some(a) if a != "1" => fails(),
        _ => speed(1.0),
    };
    let said = play(&mut simulation, program, |_| Err("nobody".to_owned()));
    let bases = said.iter().filter(|said| said.contains('?'));
    // Nothing that failed is a base.
    assert!(bases.clone().all(|said| !said.contains("A=2")), "{said:?}");
    // A plan before each parameter, and the rounds of three.
    assert_eq!(bases.count(), 3 + 2 + 3 + 1);
}

#[test]
fn an_answer_that_is_old_is_asked_for_again() {
    let mut simulation = Simulation::new(spec());
    simulation.run(1, digits);
    let plan = Ask::Consult(Question::Plan);
    assert_eq!(ask(&simulation.study), plan);
    simulation.advise(Question::Plan, Ok(Advised::Outdated));
    assert_eq!(ask(&simulation.study), plan);
}

#[test]
fn what_somebody_tried_meanwhile_is_not_tried_again() {
    let mut simulation = Simulation::new(spec());
    simulation.run(1, digits);
    simulation.advise(Question::Plan, Err("nobody".to_owned()));
    let Ask::Consult(question) = ask(&simulation.study) else {
        panic!("a value is due");
    };
    let baseline = three_lists().baseline().expect("no rules");
    simulation.advise(question, value(&baseline, "A", "2"));
    let two = with(&baseline, "A", "2");
    assert_eq!(ask(&simulation.study), Ask::Try(two.clone()));
    simulation.try_params(&two, Origin::User, &digits(&two));
    let Ask::Consult(Question::Value { base, .. }) = ask(&simulation.study) else {
        panic!("it was the first round");
    };
    assert_eq!(base, two, "it is the best");
}

/// A user's no is a round, and to a whole parameter its end; nothing that was
/// refused is proposed again.
#[test]
fn what_a_user_refuses_is_not_tried() {
    let mut spec = spec();
    spec.approval.of = Approve::Trial;
    let mut simulation = Simulation::new(spec);
    simulation.run(1, digits);
    let refuse = |simulation: &mut Simulation, params: &Params, ends| {
        let study = &simulation.study;
        let rule = choice(study, params, None);
        let proposal = study.to_approve(params, rule.as_deref());
        let proposal = proposal.expect("it asks");
        simulation.happen(Event::ApprovalAsked(proposal.into()));
        let by = By::Timeout;
        simulation.happen(Event::ApprovalRefused { by, ends });
    };
    simulation.advise(Question::Plan, Err("nobody".to_owned()));
    let mut refused = Vec::new();
    for round in 0..2 {
        let Ask::Consult(question) = ask(&simulation.study) else {
            panic!("round {round} of A is due");
        };
        let baseline = three_lists().baseline().expect("no rules");
        let answer = value(&baseline, "A", if round == 0 { "3" } else { "2" });
        simulation.advise(question, answer);
        let Ask::Try(params) = ask(&simulation.study) else {
            panic!("it is proposed");
        };
        refuse(&mut simulation, &params, Ends::Proposal);
        refused.push(params);
    }
    assert_eq!(ask(&simulation.study), Ask::Consult(Question::Plan));
    simulation.advise(Question::Plan, Err("nobody".to_owned()));
    let Ask::Consult(Question::Value { parameter, base }) = ask(&simulation.study) else {
        panic!("nothing of A is left");
    };
    assert_eq!(&*parameter, "B");
    let answer = value(&base, "B", "5");
    simulation.advise(Question::Value { parameter, base }, answer);
    let Ask::Try(params) = ask(&simulation.study) else {
        panic!("it is proposed");
    };
    refuse(&mut simulation, &params, Ends::Parameter("B".into()));
    let said = play(&mut simulation, digits, |_| Err("nobody".to_owned()));
    assert_eq!(said[..2], ["Plan?", "C? A=1|B=4|C=1|FIXED=1"], "{said:?}");
    assert_eq!(said.len(), 4, "{said:?}");
    assert!(
        refused
            .iter()
            .all(|params| simulation.study.trial_of(params).is_none())
    );
}

/// Beside another sampler: about the share that is wanted, the same after a
/// restart, and where it is of no help the sampler's own takes its place.
#[test]
fn a_share_of_the_trials_is_the_advisors() {
    let wheels = (0..3).map(|i| int(&format!("P{i}"), 1, 20, Scale::Linear, ""));
    let mut spec = simulation::spec(space(wheels.collect(), &[]), SamplerKind::Random);
    let mut advisor = simulation::advisor();
    advisor.share = 0.2;
    spec.advisor = Some(advisor);
    let mut simulation = Simulation::new(spec.clone());
    let (mut helped, mut asked) = (0, 0);
    while simulation.study.trials().len() < 300 {
        match ask(&simulation.study) {
            Ask::Consult(question) => {
                assert_eq!(question, Question::Params);
                asked += 1;
                let number = asked * 7 % 8000;
                let at = |i: u32| f64::from(number / 20_u32.pow(i) % 20) / 20.0;
                let mut index = 0;
                let drawn = spec.space.choose(|parameter| {
                    index += 1;
                    parameter.domain.at(at(index - 1))
                });
                let drawn = drawn.expect("no rules");
                let is_new = simulation.study.trial_of(&drawn).is_none();
                let answer = match asked % 3 {
                    0 => Err("500".to_owned()),
                    _ if !is_new => Err("tried".to_owned()),
                    _ => Ok(Advised::Params(drawn)),
                };
                simulation.advise(question, answer);
                let spec = Arc::new(spec.clone());
                let again = Simulation::replay(&spec, &simulation.facts);
                assert_eq!(ask(&again), ask(&simulation.study));
                assert!(matches!(ask(&again), Ask::Try(_)), "no second question");
            }
            Ask::Try(params) => {
                let rule = choice(&simulation.study, &params, None).map(|choice| choice.rule);
                helped += u32::from(matches!(rule, Some(Rule::Advisor { .. })));
                simulation.try_params(&params, Origin::Sampler, &speed(1.0));
            }
            other => panic!("{other:?}"),
        }
    }
    assert!((40..80).contains(&asked), "{asked} of 300 is not a fifth");
    assert!((25..asked).contains(&helped), "{helped} of {asked}");
}

fn any_reply() -> impl Strategy<Value = (u8, Vec<u8>)> {
    (0u8..8, prop::collection::vec(any::<u8>(), 4))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Whatever it answers: only tunable parameters are changed, everything is
    /// allowed, nothing comes twice, it ends, and a restart changes nothing.
    #[test]
    fn any_answers_keep_to_the_rules(replies in prop::collection::vec(any_reply(), 0..40)) {
        let spec = spec();
        let mut simulation = Simulation::new(spec.clone());
        let mut replies = replies.into_iter();
        let program = |params: &Params| match params.key().len() % 3 {
            0 => fails(),
            _ => digits(params),
        };
        play(&mut simulation, program, |_| {
            let Some((kind, bytes)) = replies.next() else { return Err("gone".to_owned()) };
            // Not what a checked answer would be: any values, of any parameter.
            let mut at = bytes.iter();
            let wild = spec.space.choose(|parameter| {
                parameter.domain.at(f64::from(*at.next().unwrap_or(&0)) / 256.0)
            });
            let wild = wild.expect("no rules");
            match kind {
                0 => Err("refused".to_owned()),
                1 => Ok(Advised::Enough),
                2 => Ok(Advised::Outdated),
                3 => Ok(Advised::Summary("ignore all that".to_owned())),
                4 => Ok(Advised::Params(Params::recorded([("NEW".into(), Value::Int(1))]))),
                5 => Ok(Advised::Plan {
                    base: wild,
                    priority: vec!["FIXED".into(), "B".into(), "NEW".into(), "B".into()],
                }),
                _ => Ok(Advised::Params(wild)),
            }
        });
        let spec = Arc::new(spec);
        let mut replayed = Study::new(Arc::clone(&spec));
        for fact in &simulation.facts {
            if let Event::TrialPlanned { params, .. } = &fact.event {
                prop_assert_eq!(params.get("FIXED"), Some(&Value::from("1")));
                prop_assert!(spec.space.allows(params));
                prop_assert!(replayed.trial_of(params).is_none());
                prop_assert_eq!(ask(&replayed), Ask::Try(params.clone()));
            }
            replayed.apply(fact).expect("facts that fit");
        }
        prop_assert!(simulation.study.trials().len() as u64 <= super::advisor::most(&spec));
    }
}
