//! A study for the tests and benches of the store: its spec, and facts as a
//! daemon would journal them.

#![allow(dead_code, reason = "each test and each bench uses its part of it")]

use std::sync::Arc;
use std::time::Duration;

use autotune::base::clock::Timestamp;
use autotune::base::random::{Generator, generator};
use autotune::model::Name;
use autotune::model::advice::{Advice, Answer, Question, Usage};
use autotune::model::amendment::{Amendment, Amendments};
use autotune::model::approval::{Approval, By, Ends, Proposal};
use autotune::model::choice::{Choice, Expected, Forecast, Rule};
use autotune::model::curve::Told;
use autotune::model::domain::{Domain, Scale};
use autotune::model::event::{Event, Fact};
use autotune::model::expression::Expression;
use autotune::model::metric::{Constraint, Direction, Objective};
use autotune::model::notice::{Notice, NoticeId, Refused};
use autotune::model::notify::{Kind, Notify};
use autotune::model::outcome::{Cause, Ending, Failure, FailureKind, Outcome};
use autotune::model::params::Params;
use autotune::model::setting::Setting;
use autotune::model::space::{Parameter, Space};
use autotune::model::spec::{
    Budget, Confirm, Control, FileNames, HostCare, Limits, Retention, SamplerKind, Search, Spec,
};
use autotune::model::step::{
    Marks, MetricRule, MetricSource, Pattern, PortOwner, Ready, ReadyCheck, Step, StepKind, Which,
};
use autotune::model::template::Template;
use autotune::model::trial::{
    Cut, Mark, MedianReached, Origin, Pruning, Purpose, Run, SittingEnd, TrialId,
};
use autotune::model::value::{Finite, Value};
use rand::RngExt;
use rand::seq::IndexedRandom;

/// Texts that a careless format loses.
pub(crate) const NASTY: [&str; 12] = [
    "",
    "plain",
    "two\nlines\r\n",
    "say \"no\"",
    "a=b|c=d",
    "火山 🔥",
    "back\\slash",
    "tab\tbell\u{7}",
    ",\"crc\":\"00000000\"}",
    "<|im_end|>,<|endoftext|>",
    "1",
    "\u{2028}\u{feff}",
];

/// When the study's first fact is.
pub(crate) const BEGAN: i64 = 1_763_767_212_004;

fn parameter(name: &str, domain: Domain) -> Parameter {
    Parameter {
        name: name.into(),
        base: domain.default_value(),
        domain,
        when: None,
        tunable: true,
    }
}

fn list(name: &str, values: &[&str]) -> Parameter {
    let values = values.iter().map(|value| Value::from(*value)).collect();
    parameter(name, Domain::values(values).expect("a list"))
}

fn step(name: &str, kind: StepKind, metrics: &[&str]) -> Step {
    let rule = |metric: &&str| MetricRule {
        metric: (*metric).into(),
        source: MetricSource::Regex {
            pattern: Pattern::new(r"=(\S+)").expect("a pattern"),
            which: Which::Last,
        },
        optional: false,
    };
    Step {
        name: name.into(),
        kind,
        command: vec![Template::new("true").expect("a template")],
        params_in_env: true,
        env: Vec::new(),
        files: Vec::new(),
        workdir: "/".into(),
        stop: None,
        stop_grace: Duration::from_secs(10),
        curves: Vec::new(),
        stall_timeout: None,
        metrics: metrics.iter().map(rule).collect(),
        artifacts: Vec::new(),
        resume: None,
    }
}

/// The spec of a study with a service and an evaluator.
pub(crate) fn spec() -> Spec {
    let parameters = vec![
        parameter(
            "GPU_MEMORY_UTILIZATION",
            Domain::float(0.5, 0.99, Scale::Linear).expect("a range"),
        ),
        parameter(
            "MAX_NUM_SEQS",
            Domain::int(1, 65536, Scale::Log).expect("a range"),
        ),
        list("MAX_MODEL_LEN", &["768", "1024", "1536", "2048"]),
        list(
            "STOP_STRINGS",
            &["<|im_end|>", "<|endoftext|>", "<|im_end|>,<|endoftext|>"],
        ),
        list("REPETITION_PENALTY", &["1.00", "1.02", "1.05"]),
        parameter(
            "CHUNKED",
            Domain::values(vec![true.into(), false.into()]).expect("a list"),
        ),
    ];
    let ready = Ready {
        check: ReadyCheck::Tcp {
            address: Template::new("127.0.0.1:8000").expect("a template"),
        },
        timeout: Duration::from_secs(240),
        settle: Duration::from_secs(5),
        owner: PortOwner::Trial,
        probe: None,
    };
    let measure = StepKind::Measure {
        runs: 5,
        warmup: 0,
        timeout: Duration::from_secs(420),
        marks: Marks::None,
    };
    Spec {
        name: "qwen-serving".to_owned(),
        folder: "/".into(),
        workdir: "/".into(),
        output_dir: None,
        seed: 42,
        objective: Objective {
            metric: "total_tps".into(),
            direction: Direction::Maximize,
        },
        constraints: vec![Constraint {
            metric: "accuracy".into(),
            min: Finite::new(0.88),
            max: None,
            confidence: None,
        }],
        budget: Budget::default(),
        search: Search {
            sampler: SamplerKind::Random,
            passes: 1,
            levels: 5,
            racing: true,
            median: None,
            recheck: Some(0),
        },
        approval: Approval::default(),
        confirm: Confirm { runs: Some(0) },
        space: Space::new(parameters, Vec::new()).expect("a space"),
        steps: vec![
            step("serve", StepKind::Service(Box::new(ready)), &[]),
            step("eval", measure, &["accuracy", "total_tps"]),
        ],
        slots: Vec::new(),
        pass_env: Vec::new(),
        env: Vec::new(),
        host: HostCare {
            port_wait: Duration::ZERO,
            port_kill: Vec::new(),
            gpu_release: Duration::ZERO,
            cooldown: Duration::ZERO,
            fault_wait: Duration::ZERO,
            cgroup: true,
        },
        limits: Limits::default(),
        control: Control::default(),
        files: FileNames::default(),
        notify: Notify::default(),
        log_max: 1 << 20,
        retention: Retention::default(),
        remedies: Vec::new(),
        advisor: None,
        digest: "9b1c2f".repeat(10) + "0a1b",
    }
}

/// Makes facts, a trial at a time.
pub(crate) struct Story {
    spec: Arc<Spec>,
    random: Generator,
    now: i64,
    trials: u32,
}

impl Story {
    /// A story that is the same for the same `seed`.
    pub(crate) fn new(spec: Arc<Spec>, seed: u64) -> Self {
        Self {
            spec,
            random: generator(seed, 0),
            now: BEGAN,
            trials: 0,
        }
    }

    fn fact(&mut self, event: Event) -> Fact {
        self.now += self.random.random_range(1..20_000);
        let at = Timestamp::from_millis(self.now);
        Fact { at, event }
    }

    fn nasty(&mut self) -> String {
        (*NASTY.choose(&mut self.random).expect("not empty")).to_owned()
    }

    fn params(&mut self) -> Params {
        let random = &mut self.random;
        let params = self
            .spec
            .space
            .choose(|parameter| parameter.domain.at(random.random()));
        params.expect("the space has no rules")
    }

    fn run(&mut self, sitting: u32, number: u32) -> Run {
        let accuracy = 0.87 + 0.02 * self.random.random::<f64>();
        let tps = 4000.0 + 4000.0 * self.random.random::<f64>();
        let metric = |name: &str, number| (Name::from(name), Finite::new(number).expect("finite"));
        Run {
            step: "eval".into(),
            number,
            sitting,
            elapsed: Duration::from_nanos(self.random.random_range(1..100_000_000_000)),
            ending: Ending::Exited(0),
            metrics: Box::new([metric("accuracy", accuracy), metric("total_tps", tps)]),
            fault: None,
        }
    }

    fn begin(&mut self, trial: TrialId, sitting: u32) -> [Fact; 3] {
        let token = format!("{:032x}", self.random.random::<u128>());
        let started = Event::SittingStarted {
            trial,
            sitting,
            purpose: Purpose::Measure,
            token,
            boot_id: "4f6ad9e8-3c5b-4b4e-9d0a-0c7f0a0f7a11".into(),
            slot: None,
        };
        let step = Event::StepStarted {
            trial,
            sitting,
            step: "serve".into(),
            run: None,
            pid: self.random.random_range(2..4_000_000),
            start_ticks: self.random.random_range(0..1 << 40),
        };
        let ready = Event::ServicesReady {
            trial,
            sitting,
            startup: Duration::from_millis(self.random.random_range(1..240_000)),
            health: Some("HTTP 200".into()),
        };
        [self.fact(started), self.fact(step), self.fact(ready)]
    }

    /// A trial in which all goes well: ten facts.
    pub(crate) fn good_trial(&mut self) -> Vec<Fact> {
        self.trials += 1;
        let trial = TrialId(self.trials);
        let planned = Event::TrialPlanned {
            trial,
            params: self.params(),
            origin: if self.trials == 1 {
                Origin::Baseline
            } else {
                Origin::Sampler
            },
            choice: None,
        };
        let mut facts = vec![self.fact(planned)];
        facts.extend(self.begin(trial, 1));
        for number in 1..=5 {
            let run = self.run(1, number);
            facts.push(self.fact(Event::RunEnded { trial, run }));
        }
        let end = SittingEnd::Finished(Outcome::Complete);
        facts.push(self.fact(Event::SittingEnded {
            trial,
            sitting: 1,
            end,
            health: None,
        }));
        facts
    }

    fn wild_choice(&mut self) -> Choice {
        let base = TrialId(self.random.random_range(1..9));
        let rules = [
            Rule::Opening,
            Rule::Model,
            Rule::Tpe,
            Rule::Coordinate { base },
            Rule::Grid,
            Rule::Random,
            Rule::Advisor { advice: 1 },
            Rule::Fallback { advice: u32::MAX },
        ];
        let rule = *rules.choose(&mut self.random).expect("eight");
        let some = self.random.random_bool(0.5);
        let forecast = Forecast {
            mean: 5e-324,
            low: -1.0 / 3.0,
            high: f64::MAX,
        };
        let expected = Expected {
            objective: some.then_some(forecast),
            improvement: some.then_some(0.1 + 0.2),
            bounds: vec![(self.nasty(), 1.0 / 3.0)],
            starts: some.then_some(1.0),
            time: some.then_some(Duration::from_millis(1)),
        };
        let expected = self.random.random_bool(0.7).then_some(expected);
        Choice { rule, expected }
    }

    fn wild_advice(&mut self, params: &Params) -> Advice {
        let parameter = Name::from(self.nasty());
        let questions = [
            Question::Plan,
            Question::Value {
                parameter: parameter.clone(),
                base: params.clone(),
            },
            Question::Params,
            Question::Summary,
        ];
        let answers = [
            Ok(Answer::Plan {
                base: params.clone(),
                priority: vec![parameter],
            }),
            Ok(Answer::Params(params.clone())),
            Ok(Answer::Enough),
            Ok(Answer::Summary(self.nasty())),
            Ok(Answer::Outdated),
            Err(self.nasty()),
        ];
        Advice {
            question: questions.choose(&mut self.random).expect("four").clone(),
            answer: answers.choose(&mut self.random).expect("six").clone(),
            comment: self.random.random::<bool>().then(|| self.nasty()),
            refused: vec![self.nasty()],
            usage: Usage {
                requests: self.random.random(),
                prompt_tokens: self.random.random(),
                completion_tokens: 0,
            },
        }
    }

    fn wild_by(&mut self) -> By {
        if self.random.random() {
            return By::Timeout;
        }
        By::User {
            uid: self.random.random(),
            name: self.random.random::<bool>().then(|| self.nasty().into()),
        }
    }

    /// A trial in which anything may happen, with every kind of event and
    /// texts that are hard to keep.
    pub(crate) fn wild_trial(&mut self) -> Vec<Fact> {
        self.trials += 1;
        let trial = TrialId(self.trials);
        let mut facts = Vec::new();
        let digest = self.nasty();
        facts.push(self.fact(Event::Opened { digest }));
        let params = Params::recorded([
            ("TEXT".into(), Value::text(self.nasty())),
            ("ONE".into(), Value::Int(1)),
            (
                "ONE_FLOAT".into(),
                Value::Float(Finite::new(1.0).expect("finite")),
            ),
            ("ONE_TEXT".into(), Value::from("1")),
            ("TRUE".into(), Value::from(true)),
            (
                Name::from(self.nasty()),
                Value::Int(i64::MIN + i64::from(self.trials)),
            ),
            (
                "TINY".into(),
                Value::Float(
                    Finite::new(5e-324 * self.random.random_range(1.0..9.0)).expect("finite"),
                ),
            ),
        ]);
        let origin = *[
            Origin::Baseline,
            Origin::Sampler,
            Origin::Imported,
            Origin::User,
            Origin::Remedy { of: trial },
        ]
        .choose(&mut self.random)
        .expect("five");
        let choice = self.wild_choice();
        let advice = self.wild_advice(&params);
        facts.push(self.fact(Event::Advised(advice.into())));
        let proposal = Proposal {
            number: self.random.random(),
            params: params.clone(),
            choice: Some(Box::new(choice.clone())),
            against: self.random.random::<bool>().then_some(trial),
            parameter: self.random.random::<bool>().then(|| self.nasty().into()),
        };
        facts.push(self.fact(Event::ApprovalAsked(Arc::new(proposal))));
        let instead = Some(params.clone());
        let (given, refused) = (self.wild_by(), self.wild_by());
        facts.push(self.fact(Event::ApprovalGiven { by: given, instead }));
        let ends = [
            Ends::Proposal,
            Ends::Parameter(self.nasty().into()),
            Ends::Study,
        ];
        let ends = ends.choose(&mut self.random).expect("three").clone();
        facts.push(self.fact(Event::ApprovalRefused { by: refused, ends }));
        let reason = self.nasty();
        facts.push(self.fact(Event::ApprovalWithdrawn { reason }));
        facts.push(self.fact(Event::TrialPlanned {
            trial,
            params,
            origin,
            choice: Some(Box::new(choice)),
        }));
        for sitting in 1..=self.random.random_range(1..4) {
            facts.extend(self.begin(trial, sitting));
            for number in 1..=self.random.random_range(0..3) {
                let run = self.wild_run(sitting, number);
                let mark = Mark {
                    step: run.step.clone(),
                    run: number,
                    sitting,
                    number: self.random.random(),
                    metrics: run.metrics.clone(),
                };
                facts.push(self.fact(Event::RunMarked { trial, mark }));
                let told = Told {
                    step: run.step.clone(),
                    run: number,
                    sitting,
                    at: Finite::new(self.random.random()).expect("finite"),
                    of: Finite::new(1e300).filter(|_| self.random.random()),
                    metrics: run.metrics.clone(),
                };
                facts.push(self.fact(Event::RunTold { trial, told }));
                facts.push(self.fact(Event::RunEnded { trial, run }));
            }
            let end = self.wild_end();
            let health = self.random.random::<bool>().then(|| self.nasty());
            facts.push(self.fact(Event::SittingEnded {
                trial,
                sitting,
                end,
                health: health.map(Into::into),
            }));
        }
        let reason = self.nasty();
        let more = [
            Event::TrialReopened { trial },
            Event::Paused {
                reason: reason.clone(),
                by_user: self.random.random(),
            },
            Event::TrialSkipped { trial },
            Event::TrialPruned {
                trial,
                pruning: Box::new(Pruning {
                    metric: self.nasty().into(),
                    runs: self.random.random(),
                    of: self.random.random(),
                    mean: -0.1,
                    needed: 1e300,
                    rival: self.random.random::<bool>().then_some(trial),
                    chance: 5e-324,
                    cut: self.random.random::<bool>().then(|| Cut {
                        step: self.nasty().into(),
                        mark: self.random.random(),
                        parts: self.random.random::<bool>().then(|| self.random.random()),
                        share: 0.1,
                    }),
                    median: Finite::new(-0.5)
                        .filter(|_| self.random.random())
                        .map(|at| MedianReached { at, trials: 7 }),
                }),
            },
            Event::Resumed,
            Event::Done { reason },
            Event::SpecAmended {
                amendments: self.wild_amendments(),
            },
            Event::NoticeQueued(Arc::new(Notice {
                id: NoticeId(self.random.random()),
                kind: *Kind::ALL.choose(&mut self.random).expect("ten"),
                trial: self.random.random::<bool>().then_some(trial),
                title: self.nasty(),
                text: self.nasty(),
                channels: vec![self.nasty().into(), "mail".into()],
            })),
            Event::NoticeDelivered {
                channel: self.nasty().into(),
                notices: vec![NoticeId(u64::MAX), NoticeId(1)],
                refused: vec![Refused {
                    address: self.nasty(),
                    why: self.nasty(),
                    again: self.random.random(),
                }],
            },
            Event::NoticeGivenUp {
                channel: "mail".into(),
                notices: Vec::new(),
                reason: self.nasty(),
                to: vec![self.nasty().into()],
            },
        ];
        for event in more {
            if self.random.random() {
                facts.push(self.fact(event));
            }
        }
        facts
    }

    /// A change of the spec, as wild as may be.
    pub(crate) fn amended(&mut self) -> Fact {
        let amendments = self.wild_amendments();
        self.fact(Event::SpecAmended { amendments })
    }

    fn wild_amendments(&mut self) -> Amendments {
        let (low, high) = (-1, 1 << 40);
        let name = Name::from(self.nasty());
        let float = Domain::float(1e-300, 0.1, Scale::Log).expect("a range");
        let base = Value::Float(Finite::new(0.1).expect("finite"));
        let all = [
            Amendment::Parameter(Parameter {
                name: "NEW".into(),
                domain: float,
                base,
                when: Some(Expression::new("CHUNKED == true").expect("a condition")),
                tunable: false,
            }),
            Amendment::Domain {
                parameter: "MAX_NUM_SEQS".into(),
                domain: Domain::int(low, high, Scale::Linear).expect("a range"),
            },
            Amendment::Domain {
                parameter: "STOP_STRINGS".into(),
                domain: Domain::values(vec!["<|im_end|>".into(), Value::text(self.nasty())])
                    .expect("a list"),
            },
            Amendment::Value {
                parameter: "MAX_MODEL_LEN".into(),
                value: Value::text(self.nasty()),
                allowed: self.random.random(),
            },
            Amendment::Order(vec!["NEW".into(), name.clone(), "CHUNKED".into()]),
            Amendment::Setting(Setting::Min("accuracy".into(), Finite::new(0.875))),
            Amendment::Setting(Setting::Max(name, None)),
            Amendment::Setting(Setting::Runs("eval".into(), 7)),
            Amendment::Setting(Setting::BudgetTrials(Some(u32::MAX))),
            Amendment::Setting(Setting::BudgetRuns(None)),
            Amendment::Setting(Setting::BudgetWall(Some(Duration::from_nanos(1)))),
            Amendment::Setting(Setting::Racing(self.random.random())),
        ];
        let some = all.into_iter().filter(|_| self.random.random());
        Amendments::recorded(some.collect())
    }

    fn wild_run(&mut self, sitting: u32, number: u32) -> Run {
        let mut run = self.run(sitting, number);
        run.ending = match self.random.random_range(0..6) {
            0 => Ending::Exited(-1),
            1 => Ending::Signalled(9),
            2 => Ending::OomKilled,
            3 => Ending::TimedOut,
            4 => Ending::Stopped,
            _ => Ending::CouldNotStart(Box::new(self.nasty())),
        };
        run.fault = Some(self.nasty().into());
        let name = Name::from(self.nasty());
        let odd = (name, Finite::new(-1e300).expect("finite"));
        run.metrics = run.metrics.into_iter().chain([odd]).collect();
        run
    }

    fn wild_end(&mut self) -> SittingEnd {
        let outcome = match self.random.random_range(0..5) {
            0 => return SittingEnd::Interrupted,
            1 => Outcome::Complete,
            2 => Outcome::Infeasible,
            3 => Outcome::Pruned,
            _ => Outcome::Failed(Box::new(Failure {
                kind: *FailureKind::ALL.choose(&mut self.random).expect("some"),
                step: Some("serve".into()),
                ending: Some(Ending::Signalled(11)),
                message: self.nasty(),
                cause: Some(Cause {
                    name: "gpu-out-of-memory".to_owned(),
                    hint: self.nasty(),
                    line: self.nasty(),
                }),
            })),
        };
        SittingEnd::Finished(outcome)
    }
}
