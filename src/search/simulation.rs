//! Studies made up for tests: a space, a function instead of a program, and
//! the facts that a daemon would have written.

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Timestamp;
use crate::model::Name;
use crate::model::advice::{Advice, Answer as Advised, Question};
use crate::model::approval::Approval;
use crate::model::domain::{Domain, Scale};
use crate::model::event::{Event, Fact};
use crate::model::expression::Expression;
use crate::model::form::Reporting;
use crate::model::metric::{Constraint, Direction, Metrics, Objective};
use crate::model::notify::Notify;
use crate::model::outcome::{Ending, Failure, FailureKind, Outcome};
use crate::model::params::Params;
use crate::model::space::{Parameter, Space};
use crate::model::spec::{
    Advisor, Budget, Confirm, Control, FileNames, HostCare, Key, Language, Limits, Prompts,
    Retention, SamplerKind, Search, Spec,
};
use crate::model::step::{Marks, MetricRule, MetricSource, Step, StepKind};
use crate::model::study::Study;
use crate::model::template::Template;
use crate::model::trial::{Mark, Origin, Purpose, Run, SittingEnd, TrialId};
use crate::model::value::{Finite, Value};
use crate::search::racing::{Verdict, look, look_into};
use crate::search::{Ask, ask, explained};

/// A parameter with a list of values, given with spaces between; the first is
/// the base. No condition when `when` is empty.
pub(crate) fn list(name: &str, values: &str, when: &str) -> Parameter {
    let values = values.split(' ').map(Value::from).collect();
    parameter(name, Domain::values(values).expect("a list"), when)
}

/// A parameter with a range of whole numbers.
pub(crate) fn int(name: &str, low: i64, high: i64, scale: Scale, when: &str) -> Parameter {
    parameter(name, Domain::int(low, high, scale).expect("a range"), when)
}

fn parameter(name: &str, domain: Domain, when: &str) -> Parameter {
    Parameter {
        name: name.into(),
        base: domain.default_value(),
        domain,
        when: (!when.is_empty()).then(|| Expression::new(when).expect("a condition")),
        tunable: true,
    }
}

/// A space of these parameters and rules.
pub(crate) fn space(parameters: Vec<Parameter>, rules: &[&str]) -> Space {
    let rules = rules.iter().map(|r| Expression::new(*r).expect("a rule"));
    Space::new(parameters, rules.collect()).expect("a space")
}

/// A spec: more `speed` is better, and `quality` must be 0.5 at least.
pub(crate) fn spec(space: Space, sampler: SamplerKind) -> Spec {
    Spec {
        name: "made-up".to_owned(),
        folder: "/".into(),
        workdir: "/".into(),
        output_dir: None,
        seed: 42,
        objective: Objective {
            metric: "speed".into(),
            direction: Direction::Maximize,
        },
        constraints: vec![Constraint {
            metric: "quality".into(),
            min: Finite::new(0.5),
            max: None,
            confidence: None,
        }],
        budget: Budget::default(),
        search: Search {
            sampler,
            passes: 2,
            levels: 4,
            racing: true,
            median: None,
            recheck: Some(0),
        },
        approval: Approval::default(),
        confirm: Confirm { runs: Some(0) },
        space,
        steps: Vec::new(),
        preflight: Vec::new(),
        incumbent: Vec::new(),
        pass_secrets: Vec::new(),
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
        report: Reporting::default(),
        remedies: Vec::new(),
        advisor: None,
        digest: String::new(),
    }
}

/// An advisor that is asked about three parameters, three times each.
pub(crate) fn advisor() -> Advisor {
    Advisor {
        enabled: true,
        base_url: "http://127.0.0.1:1/v1".to_owned(),
        model: "made-up".to_owned(),
        api_key: Key::None,
        ca: None,
        temperature: None,
        timeout: Duration::from_secs(9),
        max_tokens: None,
        answer_tokens: 100,
        price: None,
        max_priority_params: 3,
        rounds_per_param: 3,
        share: 0.0,
        language: Language::English,
        about: None,
        prompts: Prompts::default(),
    }
}

/// A measure step of so many runs, which yields these metrics.
pub(crate) fn measure(name: &str, runs: u32, metrics: &[&str]) -> Step {
    let rule = |metric: &&str| MetricRule {
        metric: (*metric).into(),
        source: MetricSource::Json {
            file: None,
            pointer: format!("/{metric}"),
        },
        optional: false,
    };
    Step {
        name: name.into(),
        kind: StepKind::Measure {
            runs,
            warmup: 0,
            timeout: Duration::from_secs(9),
            marks: Marks::None,
        },
        command: vec![Template::new("measure").expect("a template")],
        params_in_env: true,
        env: Vec::new(),
        files: Vec::new(),
        workdir: "/".into(),
        stop: None,
        stop_grace: Duration::ZERO,
        curves: Vec::new(),
        stall_timeout: None,
        metrics: metrics.iter().map(rule).collect(),
        artifacts: Vec::new(),
        find: Vec::new(),
        notes: Vec::new(),
        resume: None,
    }
}

/// What the made-up program does with some params.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Runs of (speed, quality).
    Runs(Vec<(f64, f64)>),
    /// The same, each with what (speed, quality) were said to be on its way.
    Marked(Vec<MarkedRun>),
    /// A failure.
    Fails(Failure),
}

/// A run with its marks: their numbers, and (speed, quality) at them.
#[derive(Clone, Debug)]
pub(crate) struct MarkedRun {
    pub(crate) marks: Vec<(u32, (f64, f64))>,
    pub(crate) run: (f64, f64),
}

impl MarkedRun {
    /// A run of these parts.
    pub(crate) fn of_parts(parts: &[(f64, f64)]) -> Self {
        let count = parts.len() as f64;
        let sum = |sum: (f64, f64), part: &(f64, f64)| (sum.0 + part.0, sum.1 + part.1);
        let (speed, quality) = parts.iter().fold((0.0, 0.0), sum);
        Self {
            marks: (1..).zip(parts.iter().copied()).collect(),
            run: (speed / count, quality / count),
        }
    }
}

/// (speed, quality) as metrics.
fn metrics((speed, quality): (f64, f64)) -> Metrics {
    let metric = |n: f64| Finite::new(n).expect("a finite number");
    Box::new([
        ("speed".into(), metric(speed)),
        ("quality".into(), metric(quality)),
    ])
}

/// One run that keeps the constraint.
pub(crate) fn speed(speed: f64) -> Answer {
    Answer::Runs(vec![(speed, 1.0)])
}

/// A failure without a known cause.
pub(crate) fn fails() -> Answer {
    Answer::Fails(Failure {
        kind: FailureKind::Died,
        step: Some("serve".into()),
        ending: Some(Ending::Exited(1)),
        message: "serve exited with code 1 before it was ready".to_owned(),
        cause: None,
    })
}

fn run(number: u32, sitting: u32, elapsed: Duration, measured: (f64, f64)) -> Run {
    Run {
        step: "measure".into(),
        number,
        sitting,
        elapsed,
        ending: Ending::Exited(0),
        metrics: metrics(measured),
        fault: None,
    }
}

/// A study with all the facts that made it.
#[derive(Clone)]
pub(crate) struct Simulation {
    /// Its state.
    pub(crate) study: Study,
    /// The facts so far.
    pub(crate) facts: Vec<Fact>,
}

impl Simulation {
    /// Nothing has happened yet.
    pub(crate) fn new(spec: Spec) -> Self {
        Self {
            study: Study::new(Arc::new(spec)),
            facts: Vec::new(),
        }
    }

    /// The state that these facts add up to: a daemon after a restart.
    pub(crate) fn replay(spec: &Arc<Spec>, facts: &[Fact]) -> Study {
        let mut study = Study::new(Arc::clone(spec));
        for fact in facts {
            study.apply(fact).expect("facts that fit");
        }
        study
    }

    /// Adds a fact, a second after the last.
    pub(crate) fn happen(&mut self, event: Event) {
        let fact = Fact {
            at: Timestamp::from_millis(1000 * self.facts.len() as i64),
            event,
        };
        self.study.apply(&fact).expect("an event that fits");
        self.facts.push(fact);
    }

    /// Plans a trial and leaves it at that. Why it was chosen is kept where that
    /// decides about later ones.
    pub(crate) fn plan(&mut self, params: &Params, origin: Origin) -> TrialId {
        let trial = self.study.next_id();
        let spec = self.study.spec();
        let advised = spec.advisor.is_some() || spec.search.sampler == SamplerKind::Advisor;
        let explains = spec.budget.converged.is_some() || advised;
        let choice = match origin {
            Origin::Sampler if explains => explained(&self.study).1,
            _ => None,
        };
        self.happen(Event::TrialPlanned {
            trial,
            params: params.clone(),
            origin,
            choice,
        });
        trial
    }

    /// The advisor answers.
    pub(crate) fn advise(&mut self, question: Question, answer: Result<Advised, String>) {
        let mut advice = Advice::none(question, String::new());
        advice.answer = answer;
        advice.usage.requests = 1;
        self.happen(Event::Advised(advice.into()));
    }

    /// Works on a planned trial until it is settled.
    pub(crate) fn work(&mut self, trial: TrialId, answer: &Answer) {
        self.work_for(trial, answer, Duration::from_secs(1));
    }

    /// The same, with runs that take so long.
    pub(crate) fn work_for(&mut self, trial: TrialId, answer: &Answer, elapsed: Duration) {
        self.begin(trial, None);
        self.finish(trial, answer, elapsed);
    }

    /// Begins to work on a planned trial.
    pub(crate) fn begin(&mut self, trial: TrialId, slot: Option<Name>) {
        let sittings = self.study.trial(trial).map_or(0, |t| t.sittings.len());
        self.happen(Event::SittingStarted {
            trial,
            sitting: sittings as u32 + 1,
            purpose: Purpose::Measure,
            token: String::new(),
            boot_id: "".into(),
            slot,
        });
    }

    /// Ends what [`begin`](Self::begin) has begun.
    pub(crate) fn finish(&mut self, trial: TrialId, answer: &Answer, elapsed: Duration) {
        let sittings = self.study.trial(trial).map_or(0, |t| t.sittings.len());
        let sitting = sittings as u32;
        let outcome = match answer {
            Answer::Fails(failure) => Outcome::Failed(Box::new(failure.clone())),
            Answer::Runs(runs) => {
                let whole = |run: &(f64, f64)| MarkedRun {
                    marks: Vec::new(),
                    run: *run,
                };
                let runs: Vec<MarkedRun> = runs.iter().map(whole).collect();
                self.measure(trial, sitting, &runs, elapsed)
            }
            Answer::Marked(runs) => self.measure(trial, sitting, runs, elapsed),
        };
        self.happen(Event::SittingEnded {
            trial,
            sitting,
            end: SittingEnd::Finished(outcome),
            health: None,
        });
    }

    /// The runs of a sitting, as far as racing lets them come.
    fn measure(
        &mut self,
        trial: TrialId,
        sitting: u32,
        runs: &[MarkedRun],
        elapsed: Duration,
    ) -> Outcome {
        let before = self.study.trial(trial).map_or(0, |t| t.runs.len());
        for (index, answer) in runs.iter().enumerate() {
            let number = (before + index) as u32 + 1;
            let verdict = 'run: {
                for (mark, told) in &answer.marks {
                    let mark = Mark {
                        step: "measure".into(),
                        run: number,
                        sitting,
                        number: *mark,
                        metrics: metrics(*told),
                    };
                    self.happen(Event::RunMarked { trial, mark });
                    let measured = self.study.trial(trial).expect("a planned trial");
                    if let Some(pruning) = look_into(&self.study, measured) {
                        break 'run Some(Verdict::Prune(pruning));
                    }
                }
                let run = run(number, sitting, elapsed, answer.run);
                self.happen(Event::RunEnded { trial, run });
                let measured = self.study.trial(trial).expect("a planned trial");
                look(&self.study, measured)
            };
            match verdict {
                Some(Verdict::Prune(pruning)) => {
                    let pruning = Box::new(pruning);
                    self.happen(Event::TrialPruned { trial, pruning });
                    return Outcome::Pruned;
                }
                Some(Verdict::Defer) => {
                    self.happen(Event::TrialDeferred { trial });
                    break;
                }
                None => {}
            }
        }
        let measured = self.study.trial(trial).expect("a planned trial");
        self.study.judge(measured)
    }

    /// Starts a trial once more, for one run or a failure.
    pub(crate) fn again(&mut self, trial: TrialId, purpose: Purpose, answer: &Answer) {
        let sittings = self.study.trial(trial).map_or(0, |t| t.sittings.len());
        let sitting = sittings as u32 + 1;
        self.happen(Event::SittingStarted {
            trial,
            sitting,
            purpose,
            token: String::new(),
            boot_id: "".into(),
            slot: None,
        });
        let outcome = match answer {
            Answer::Fails(failure) => Outcome::Failed(Box::new(failure.clone())),
            Answer::Runs(runs) => {
                for measured in runs {
                    let run = run(1, sitting, Duration::from_secs(1), *measured);
                    self.happen(Event::RunEnded { trial, run });
                }
                Outcome::Complete
            }
            Answer::Marked(_) => panic!("nothing looks into a run that is repeated"),
        };
        self.happen(Event::SittingEnded {
            trial,
            sitting,
            end: SittingEnd::Finished(outcome),
            health: None,
        });
    }

    /// A whole trial of these params.
    pub(crate) fn try_params(&mut self, params: &Params, origin: Origin, answer: &Answer) {
        let trial = self.plan(params, origin);
        self.work(trial, answer);
    }

    /// Asks and tries until the sampler has no more or `limit` trials are
    /// tried; what was asked, and why it ended. A program that answers with
    /// runs has all runs of a trial.
    pub(crate) fn run(
        &mut self,
        limit: usize,
        program: impl Fn(&Params) -> Answer,
    ) -> (Vec<Params>, Option<String>) {
        let mut asked = Vec::new();
        while asked.len() < limit {
            match ask(&self.study) {
                Ask::Try(params) => {
                    let origin = match self.study.trials().is_empty() {
                        true => Origin::Baseline,
                        false => Origin::Sampler,
                    };
                    self.try_params(&params, origin, &program(&params));
                    asked.push(params);
                }
                Ask::Run(id) => {
                    let trial = self.study.trial(id).expect("a trial that it knows");
                    let answer = match program(&trial.params) {
                        Answer::Runs(runs) => Answer::Runs(runs[trial.runs.len()..].to_vec()),
                        Answer::Marked(runs) => Answer::Marked(runs[trial.runs.len()..].to_vec()),
                        failed => failed,
                    };
                    self.work(id, &answer);
                }
                Ask::Consult(question) => {
                    self.advise(question, Err("nobody is asked".to_owned()));
                }
                Ask::Exhausted(why) => return (asked, Some(why)),
                Ask::Wait => panic!("nothing is unsettled, and still it waits"),
            }
        }
        (asked, None)
    }
}
