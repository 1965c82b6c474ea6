//! What the dispatcher decides about the advisor, without one.

use super::*;
use crate::base::clock::Timestamp;
use crate::daemon::decide::{Company, Input, Urgency, ask, decide};
use crate::model::approval::By;
use crate::model::outcome::Outcome;
use crate::model::spec::Spec;
use crate::model::study::Phase;
use crate::model::trial::{Purpose, SittingEnd, TrialId};
use crate::search::simulation;
use crate::wire::reply::{Accepted, Reply};
use crate::wire::request::Steer;

struct Table {
    state: State,
}

fn spec() -> Spec {
    let parameters = vec![
        simulation::list("A", "1 2 3", ""),
        simulation::list("B", "1 2", ""),
    ];
    let space = simulation::space(parameters, &[]);
    let mut spec = simulation::spec(space, SamplerKind::Advisor);
    spec.advisor = Some(simulation::advisor());
    spec.steps = vec![simulation::measure("eval", 1, &["speed", "quality"])];
    spec
}

impl Table {
    /// A study whose baseline is tried, and that has asked for its plan.
    fn new(spec: Spec, offline: bool) -> (Self, Vec<Effect>) {
        let company = Company {
            served: true,
            ..Company::default()
        };
        let mut table = Self {
            state: State {
                offline,
                ..State::new(Study::new(spec.into()).into(), company)
            },
        };
        let digest = String::new();
        table.take(Input::Begin { digest, host: None });
        let effects = table.thinks();
        assert!(matches!(effects[..], [Effect::StartSitting { .. }]));
        let effects = table.over();
        (table, effects)
    }

    /// Hands in an input, applies the facts, and returns the effects. The
    /// sampler answers at once.
    fn take(&mut self, input: Input) -> Vec<Effect> {
        let context = Context {
            now: Timestamp::from_millis(1_000),
            token: "0123456789abcdef",
            boot_id: "boot",
        };
        let decision = decide(&mut self.state, input, &context);
        for fact in &decision.facts {
            let study = std::sync::Arc::make_mut(&mut self.state.study);
            study.apply(fact).expect("a fact that fits");
        }
        decision.effects
    }

    fn thinks(&mut self) -> Vec<Effect> {
        let mut effects = vec![Effect::Ask];
        while effects == [Effect::Ask] {
            let asked = ask(&self.state.study);
            effects = self.take(asked);
        }
        effects
    }

    /// The running trial ends well.
    fn over(&mut self) -> Vec<Effect> {
        let running = self.state.study.running().expect("a trial that runs").id;
        let at = Timestamp::from_millis(2_000);
        let number = |number| crate::model::value::Finite::new(number).expect("finite");
        let run = crate::model::trial::Run {
            step: "eval".into(),
            number: 1,
            sitting: 1,
            elapsed: std::time::Duration::from_secs(1),
            ending: crate::model::outcome::Ending::Exited(0),
            metrics: Box::new([
                ("speed".into(), number(f64::from(running.0))),
                ("quality".into(), number(0.9)),
            ]),
            fault: None,
        };
        let events = [
            Event::RunEnded {
                trial: running,
                run,
            },
            Event::SittingEnded {
                trial: running,
                sitting: 1,
                end: SittingEnd::Finished(Outcome::Complete),
                health: None,
            },
        ];
        for event in events {
            let study = std::sync::Arc::make_mut(&mut self.state.study);
            study.apply(&Fact { at, event }).expect("it fits");
        }
        self.take(Input::Wake(None));
        self.state.asking = false;
        self.thinks()
    }

    fn answer(&mut self, question: Question, answer: Result<Answer, String>) -> Vec<Effect> {
        let (trials, revision) = (self.state.study.trials().len(), self.state.study.revision());
        self.answer_to(trials, revision, question, answer)
    }

    fn answer_to(
        &mut self,
        trials: usize,
        revision: u32,
        question: Question,
        answer: Result<Answer, String>,
    ) -> Vec<Effect> {
        let mut advice = Advice::none(question, String::new());
        advice.answer = answer;
        advice.usage.requests = 1;
        let consulted = Input::Consulted {
            trials,
            revision,
            advice,
        };
        let effects = self.take(consulted);
        if effects == [Effect::Ask] {
            return self.thinks();
        }
        effects
    }

    fn steer(&mut self, steer: Steer) -> (Reply, Vec<Effect>) {
        let (reply, mut answer) = tokio::sync::oneshot::channel();
        let context = Context {
            now: Timestamp::from_millis(1_000),
            token: "0123456789abcdef",
            boot_id: "boot",
        };
        let by = By::User { uid: 0, name: None };
        let request = Input::Request { steer, by, reply };
        let decision = decide(&mut self.state, request, &context);
        for fact in &decision.facts {
            let study = std::sync::Arc::make_mut(&mut self.state.study);
            study.apply(fact).expect("a fact that fits");
        }
        let (reply, answered) = decision.answer.expect("an answer");
        let _ = reply.send(answered);
        (answer.try_recv().expect("it is there"), decision.effects)
    }

    fn reload(&mut self, spec: Spec) -> Vec<Effect> {
        let (reply, _answer) = tokio::sync::oneshot::channel();
        let spec = std::sync::Arc::new(spec);
        let (text, warnings) = (String::new(), Vec::new());
        let reload = Input::Reload {
            spec: std::sync::Arc::clone(&spec),
            text: text.clone(),
            warnings,
            reply,
        };
        let mut effects = self.take(reload);
        std::sync::Arc::make_mut(&mut self.state.study).rewrite(spec);
        effects.retain(|effect| *effect != Effect::KeepSpec(text.clone()));
        effects
    }

    fn value(&self, parameter: &str) -> Question {
        Question::Value {
            parameter: parameter.into(),
            base: self.state.study.spec().space.baseline().expect("no rules"),
        }
    }

    fn varied(&self, parameter: &str, value: &str) -> Result<Answer, String> {
        let space = &self.state.study.spec().space;
        let base = space.baseline().expect("no rules");
        let value = crate::model::value::Value::from(value);
        Ok(Answer::Params(
            space.with(&base, parameter, &value).expect("allowed"),
        ))
    }

    fn plan(&mut self) -> Vec<Effect> {
        let plan = Answer::Plan {
            base: self.state.study.spec().space.baseline().expect("no rules"),
            priority: vec!["A".into()],
        };
        self.answer(Question::Plan, Ok(plan))
    }
}

#[test]
fn a_question_is_asked_elsewhere_and_its_answer_tried() {
    let (mut table, effects) = Table::new(spec(), false);
    assert_eq!(effects, [Effect::Consult(Question::Plan)]);
    // Whatever happens meanwhile, it is asked once.
    assert_eq!(table.take(Input::Wake(None)), []);
    let asked = table.plan();
    assert_eq!(asked, [Effect::Consult(table.value("A"))]);
    let two = table.varied("A", "2");
    let effects = table.answer(table.value("A"), two);
    let sitting = 1;
    let trial = TrialId(2);
    assert_eq!(effects, [Effect::StartSitting { trial, sitting }]);
    let study = &table.state.study;
    let advice = study.advice_of(study.trial(trial).expect("planned"));
    assert_eq!(
        advice.map(|advice| &advice.question),
        Some(&table.value("A"))
    );
}

#[test]
fn an_answer_to_an_older_study_is_not_used_but_on_record() {
    let (mut table, _) = Table::new(spec(), false);
    let (trials, revision) = (
        table.state.study.trials().len(),
        table.state.study.revision(),
    );
    let values = vec![("A".to_owned(), "3".to_owned())];
    let again = false;
    table.steer(Steer::Enqueue { values, again });
    let plan = Answer::Plan {
        base: table.state.study.spec().space.baseline().expect("no rules"),
        priority: vec!["B".into()],
    };
    let effects = table.answer_to(trials, revision, Question::Plan, Ok(plan));
    assert_eq!(effects, [], "the trial that a user wanted runs");
    let study = &table.state.study;
    assert_eq!(study.advice()[0].answer, Ok(Answer::Outdated));
    assert_eq!(study.consultations().usage().requests, 1);
    assert_eq!(table.over(), [Effect::Consult(Question::Plan)]);
}

#[test]
fn a_pause_keeps_the_answer() {
    let (mut table, _) = Table::new(spec(), false);
    table.steer(Steer::Pause { now: false });
    assert_eq!(table.plan(), []);
    assert!(table.state.study.advice()[0].answer.is_ok());
    let (_, effects) = table.steer(Steer::Resume);
    assert_eq!(effects, [Effect::Ask]);
    assert_eq!(table.thinks(), [Effect::Consult(table.value("A"))]);
}

#[test]
fn an_end_does_not_wait_for_an_answer() {
    let (mut table, _) = Table::new(spec(), false);
    let effects = table.take(Input::Stop(Urgency::Orderly));
    assert_eq!(effects, [Effect::Leave]);
}

#[test]
fn after_three_failures_it_is_left_alone_until_somebody_resumes() {
    let (mut table, _) = Table::new(spec(), false);
    let why = || Err("the server answers 401".to_owned());
    assert_eq!(
        table.answer(Question::Plan, why()),
        [Effect::Consult(table.value("A"))]
    );
    let effects = table.answer(table.value("A"), why());
    assert!(matches!(effects[..], [Effect::StartSitting { .. }]));
    let Effect::Consult(next) = table.over().remove(0) else {
        panic!("it is asked a third time");
    };
    let effects = table.answer(next, why());
    assert!(matches!(effects[..], [Effect::StartSitting { .. }]));
    assert!(barred(&table.state.study, false).is_some());
    let effects = table.over();
    assert!(
        matches!(effects[..], [Effect::StartSitting { .. }]),
        "nobody is asked: {effects:?}"
    );
    let (reply, _) = table.steer(Steer::Resume);
    assert_eq!(reply, Reply::Accepted(Accepted::Resumed));
    assert_eq!(barred(&table.state.study, false), None);
    let (reply, _) = table.steer(Steer::Resume);
    assert_eq!(reply, Reply::Ignored(Accepted::Resumed));
}

/// The same study without anybody to ask: it is the fall-back from the first
/// to the last trial, and no summary is missed.
#[test]
fn without_an_advisor_nobody_is_asked() {
    let mut disabled = spec();
    disabled.advisor.as_mut().expect("there").enabled = false;
    let mut spent = spec();
    spent.advisor.as_mut().expect("there").max_tokens = Some(0);
    for (spec, offline) in [(spec(), true), (disabled, false), (spent, false)] {
        let (mut table, mut effects) = Table::new(spec, offline);
        while let [Effect::StartSitting { .. }] = effects[..] {
            effects = table.over();
        }
        assert_eq!(effects, [Effect::Leave]);
        let study = &table.state.study;
        assert!(matches!(study.phase(), Phase::Done(_)));
        assert_eq!(study.trials().len(), 1 + 2 + 1);
        assert!(study.advice().iter().all(|advice| advice.answer.is_err()));
        let purposes = study.trials().iter().flat_map(|trial| &trial.sittings);
        assert!(purposes.into_iter().all(|s| s.purpose == Purpose::Measure));
    }
}

#[test]
fn a_study_that_is_done_is_summed_up_once() {
    let (mut table, _) = Table::new(spec(), false);
    table.plan();
    let two = table.varied("A", "2");
    table.answer(table.value("A"), two);
    table.over();
    let effects = table.answer(table.value("A"), Ok(Answer::Enough));
    assert_eq!(effects, [Effect::Consult(Question::Summary)]);
    assert!(matches!(table.state.study.phase(), Phase::Done(_)), "first");
    let failed = table.answer(Question::Summary, Err("500".to_owned()));
    assert_eq!(failed, [Effect::Leave]);
    assert!(matches!(table.state.study.phase(), Phase::Done(_)));
    // A daemon that starts again does not ask again.
    let digest = String::new();
    table.take(Input::Begin { digest, host: None });
    table.state.asking = false;
    assert_eq!(table.thinks(), [Effect::Leave]);
}

/// Another `[advisor]` is asked at once; what the old one still says is on
/// record, and of no use.
#[test]
fn a_reload_with_another_advisor_gives_the_question_up() {
    let (mut table, _) = Table::new(spec(), false);
    let mut same = spec();
    same.digest = "same".to_owned();
    same.budget.trials = Some(90);
    assert_eq!(table.reload(same.clone()), [], "it is waited for");
    let revision = table.state.study.revision();
    same.digest = "other".to_owned();
    same.advisor.as_mut().expect("there").model = "another".to_owned();
    assert_eq!(table.reload(same), [Effect::ForgetQuestion, Effect::Ask]);
    assert_eq!(table.thinks(), [Effect::Consult(Question::Plan)]);
    // It had been said by then.
    let plan = Answer::Plan {
        base: table.state.study.spec().space.baseline().expect("no rules"),
        priority: vec!["B".into()],
    };
    assert_eq!(table.answer_to(1, revision, Question::Plan, Ok(plan)), []);
    assert_eq!(table.state.study.advice()[0].answer, Ok(Answer::Outdated));
    assert_eq!(table.plan(), [Effect::Consult(table.value("A"))]);
}
