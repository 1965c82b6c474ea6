//! The lines and texts of the files for other programs, field by field.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use autotune::base::clock::Timestamp;
use autotune::model::event::{Event, Fact};
use autotune::model::outcome::{Cause, Ending, Failure, FailureKind, HostFault, Outcome};
use autotune::model::params::Params;
use autotune::model::study::Study;
use autotune::model::trial::{Origin, Purpose, Run, SittingEnd, TrialId};
use autotune::model::value::{Finite, Value};
use autotune::store::{ResultsBuilder, Status, status};
use serde_json::{Value as Json, json};

#[path = "helpers/study.rs"]
mod study;

const SECOND: i64 = 1000;

/// Facts, an event at a time, with the lines that they yield.
struct Diary {
    study: Study,
    builder: ResultsBuilder,
    now: i64,
    lines: Vec<Vec<u8>>,
}

impl Diary {
    fn new() -> Self {
        Self {
            study: Study::new(Arc::new(study::spec())),
            builder: ResultsBuilder::default(),
            now: study::BEGAN,
            lines: Vec::new(),
        }
    }

    fn add(&mut self, event: Event) {
        self.now += SECOND;
        let fact = Fact {
            at: Timestamp::from_millis(self.now),
            event,
        };
        self.study.apply(&fact).expect("fits");
        self.lines.extend(self.builder.take(&fact, &self.study));
    }

    fn plan(&mut self, changes: &[(&str, Value)]) -> TrialId {
        let changes: BTreeMap<String, Value> = changes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        let trial = self.study.next_id();
        let params = self.study.spec().space.check(&changes).expect("allowed");
        self.add(Event::TrialPlanned {
            trial,
            params,
            origin: Origin::Sampler,
            choice: None,
        });
        trial
    }

    fn start(&mut self, trial: TrialId, sitting: u32, ready: bool) {
        self.add(Event::SittingStarted {
            trial,
            sitting,
            purpose: Purpose::Measure,
            token: "t".to_owned(),
            boot_id: "".into(),
            slot: None,
        });
        self.add(Event::StepStarted {
            trial,
            sitting,
            step: "serve".into(),
            run: None,
            pid: 7,
            start_ticks: 1,
        });
        if ready {
            let startup = Duration::from_secs(1);
            self.add(Event::ServicesReady {
                trial,
                sitting,
                startup,
                health: Some("HTTP 200".into()),
            });
        }
    }

    fn run(
        &mut self,
        trial: TrialId,
        sitting: u32,
        number: u32,
        ending: Ending,
        metrics: &[(&str, f64)],
        fault: Option<&str>,
    ) {
        let finite = |number| Finite::new(number).expect("finite");
        let metrics = metrics
            .iter()
            .map(|(name, number)| ((*name).into(), finite(*number)))
            .collect();
        let run = Run {
            step: "eval".into(),
            number,
            sitting,
            elapsed: Duration::from_millis(12_345),
            ending,
            metrics,
            fault: fault.map(Into::into),
        };
        self.add(Event::RunEnded { trial, run });
    }

    fn good(&mut self, trial: TrialId, sitting: u32, number: u32, tps: f64) {
        let metrics = [("accuracy", 0.875 + 0.0625), ("total_tps", tps)];
        self.run(trial, sitting, number, Ending::Exited(0), &metrics, None);
    }

    fn end(
        &mut self,
        trial: TrialId,
        sitting: u32,
        end: SittingEnd,
        health: Option<&str>,
    ) -> Option<Json> {
        let before = self.lines.len();
        let health = health.map(str::to_owned);
        self.add(Event::SittingEnded {
            trial,
            sitting,
            end,
            health: health.map(Into::into),
        });
        let line = self.lines.get(before)?;
        assert!(line.ends_with(b"}\n"), "whole lines");
        Some(serde_json::from_slice(line).expect("JSON"))
    }

    fn ts(&self) -> String {
        Timestamp::from_millis(self.now).local_iso()
    }
}

fn failed(kind: FailureKind, ending: Option<Ending>, message: &str) -> SittingEnd {
    SittingEnd::Finished(Outcome::Failed(Box::new(Failure {
        kind,
        step: Some("serve".into()),
        ending,
        message: message.to_owned(),
        cause: None,
    })))
}

const COMPLETE: SittingEnd = SittingEnd::Finished(Outcome::Complete);

/// The base params of the study as texts.
fn base() -> Json {
    json!({
        "CHUNKED": "true", "GPU_MEMORY_UTILIZATION": "0.745", "MAX_MODEL_LEN": "768",
        "MAX_NUM_SEQS": "256", "REPETITION_PENALTY": "1.00", "STOP_STRINGS": "<|im_end|>",
    })
}

const BASE_KEY: &str = "CHUNKED=true|GPU_MEMORY_UTILIZATION=0.745|MAX_MODEL_LEN=768\
    |MAX_NUM_SEQS=256|REPETITION_PENALTY=1.00|STOP_STRINGS=<|im_end|>";

#[test]
fn a_complete_trial() {
    let mut diary = Diary::new();
    let trial = diary.plan(&[]);
    diary.start(trial, 1, true);
    diary.good(trial, 1, 1, 5940.5);
    let metrics = [
        ("accuracy", 1.0),
        ("total_tps", 6000.0),
        ("i", 3.0),
        ("latency", 0.25),
    ];
    diary.run(trial, 1, 2, Ending::Exited(0), &metrics, None);
    let line = diary.end(trial, 1, COMPLETE, None).expect("a line");
    let expected = json!({
        "ts": diary.ts(),
        "trial_key": BASE_KEY,
        "status": "ok",
        "phase": "eval",
        "param_under_test": "",
        "params": base(),
        "health": "HTTP 200",
        "eval_ok_n": 2,
        "eval_runs": [
            {"i": 1, "ok": true, "returncode": 0, "accuracy": 0.9375, "answer_tps": null,
             "total_tps": 5940.5, "total_time_s": null, "elapsed_s": 12.345},
            {"i": 2, "ok": true, "returncode": 0, "accuracy": 1.0, "answer_tps": null,
             "total_tps": 6000.0, "total_time_s": null, "metric_i": 3.0, "latency": 0.25, "elapsed_s": 12.345},
        ],
        "avg_accuracy": 0.96875, "avg_total_tps": 5970.25, "avg_answer_tps": null,
        "avg_total_time_s": null, "avg_i": 3.0, "avg_latency": 0.25,
        "server_log": "tune_server_logs/trial_00001.log",
        "total_s": 5.0,
        "trial": 1,
    });
    assert_eq!(line, expected);
    let keys: Vec<&String> = line.as_object().expect("an object").keys().collect();
    let expected: Vec<&String> = expected.as_object().expect("an object").keys().collect();
    assert_eq!(keys, expected, "in this order");
}

#[test]
fn bad_runs_in_their_three_forms() {
    let mut diary = Diary::new();
    let trial = diary.plan(&[("MAX_MODEL_LEN", "2048".into()), ("CHUNKED", false.into())]);
    diary.start(trial, 1, true);
    diary.good(trial, 1, 1, 6000.0);
    diary.run(
        trial,
        1,
        2,
        Ending::TimedOut,
        &[],
        Some("it ran into its time limit"),
    );
    diary.run(
        trial,
        1,
        3,
        Ending::CouldNotStart(Box::new("no such file".to_owned())),
        &[],
        Some("no such file"),
    );
    diary.run(
        trial,
        1,
        4,
        Ending::Signalled(9),
        &[("accuracy", 0.5)],
        Some("it was killed"),
    );
    diary.run(
        trial,
        1,
        5,
        Ending::Exited(0),
        &[],
        Some("no `accuracy` was found"),
    );
    let line = diary
        .end(
            trial,
            1,
            failed(FailureKind::SomeRuns, None, "four runs were bad"),
            None,
        )
        .expect("a line");
    assert_eq!(line["status"], "partial");
    assert_eq!(line["cause"], "some-runs");
    assert_eq!(line["message"], "four runs were bad");
    // Against the baseline, as there is no incumbent yet.
    assert_eq!(line["param_under_test"], "CHUNKED,MAX_MODEL_LEN");
    assert_eq!(line["eval_ok_n"], 1);
    assert_eq!(
        line["eval_runs"][1],
        json!({"i": 2, "ok": false, "timeout": true})
    );
    assert_eq!(
        line["eval_runs"][2],
        json!({"i": 3, "ok": false, "error": "no such file"})
    );
    assert_eq!(
        line["eval_runs"][3],
        json!({"i": 4, "ok": false, "returncode": -9, "accuracy": 0.5, "answer_tps": null,
               "total_tps": null, "total_time_s": null, "elapsed_s": 12.345, "error": "it was killed"})
    );
    assert_eq!(line["eval_runs"][4]["returncode"], 0);
    assert_eq!(line["avg_total_tps"], 6000.0, "over the good runs");
}

#[test]
fn every_outcome_in_the_reference_tuners_words() {
    let mut diary = Diary::new();
    let host = FailureKind::Host;
    let cases = [
        (SittingEnd::Finished(Outcome::Complete), "ok", Some("eval")),
        (
            SittingEnd::Finished(Outcome::Infeasible),
            "ok",
            Some("eval"),
        ),
        (
            SittingEnd::Finished(Outcome::Pruned),
            "partial",
            Some("eval"),
        ),
        (
            failed(FailureKind::SomeRuns, None, ""),
            "partial",
            Some("eval"),
        ),
        (
            failed(FailureKind::AllRuns, None, ""),
            "failed",
            Some("eval"),
        ),
        (failed(FailureKind::Task, None, ""), "failed", Some("eval")),
        (
            failed(FailureKind::DiedInRuns, None, ""),
            "failed",
            Some("eval"),
        ),
        (
            failed(host(HostFault::GpuLost), None, ""),
            "failed",
            Some("eval"),
        ),
        (
            failed(FailureKind::NotReady, None, ""),
            "timeout",
            Some("startup"),
        ),
        (
            failed(FailureKind::Died, None, ""),
            "crashed",
            Some("startup"),
        ),
        (
            failed(host(HostFault::DiskFull), None, ""),
            "failed",
            Some("startup"),
        ),
        (failed(host(HostFault::PortTaken), None, ""), "failed", None),
    ];
    for (number, (end, status, phase)) in (2i64..).zip(cases) {
        let trial = diary.plan(&[("MAX_NUM_SEQS", Value::Int(number))]);
        diary.start(trial, 1, phase == Some("eval"));
        let line = diary.end(trial, 1, end.clone(), None).expect("a line");
        assert_eq!(line["status"], status, "{end:?}");
        assert_eq!(line["phase"].as_str(), phase, "{end:?}");
        assert_eq!(
            line["param_under_test"].is_string(),
            phase.is_some(),
            "{end:?}"
        );
        assert_eq!(line["reason"].is_string(), phase.is_none(), "{end:?}");
        assert_eq!(line.get("health").is_some(), phase.is_some(), "{end:?}");
        assert_eq!(
            line.get("exit_code").is_some(),
            phase == Some("startup"),
            "{end:?}"
        );
        assert_eq!(
            line["startup_s"].is_number(),
            phase == Some("startup"),
            "{end:?}"
        );
        for field in [
            "eval_ok_n",
            "eval_runs",
            "avg_accuracy",
            "avg_total_time_s",
            "total_s",
        ] {
            assert_eq!(
                line.get(field).is_some(),
                phase == Some("eval"),
                "{field} of {end:?}"
            );
        }
        assert_eq!(
            line["cause"].is_string(),
            matches!(end, SittingEnd::Finished(Outcome::Failed(_)))
        );
        assert_eq!(
            line["pruned"] == true,
            end == SittingEnd::Finished(Outcome::Pruned)
        );
    }
}

#[test]
fn failures_at_start_up() {
    let mut diary = Diary::new();
    let trial = diary.plan(&[]);
    diary.start(trial, 1, false);
    let end = failed(
        FailureKind::Died,
        Some(Ending::Exited(3)),
        "the service `serve` ended",
    );
    let SittingEnd::Finished(Outcome::Failed(mut failure)) = end else {
        unreachable!()
    };
    let (name, hint, line) = ("gpu-out-of-memory".to_owned(), String::new(), String::new());
    failure.cause = Some(Cause { name, hint, line });
    let end = SittingEnd::Finished(Outcome::Failed(failure));
    let line = diary
        .end(trial, 1, end, Some("connection refused"))
        .expect("a line");
    assert_eq!(
        line,
        json!({
            "ts": diary.ts(), "trial_key": BASE_KEY, "status": "crashed", "phase": "startup",
            "param_under_test": "", "params": base(), "health": "connection refused",
            "exit_code": 3, "startup_s": 1.0, "server_log": "tune_server_logs/trial_00001.log",
            "trial": 1, "cause": "gpu-out-of-memory", "message": "the service `serve` ended",
        })
    );
    // The port was taken, and nothing was started.
    let trial = diary.plan(&[("CHUNKED", false.into())]);
    diary.add(Event::SittingStarted {
        trial,
        sitting: 1,
        purpose: Purpose::Measure,
        token: "t".to_owned(),
        boot_id: "".into(),
        slot: None,
    });
    let taken = FailureKind::Host(HostFault::PortTaken);
    let line = diary
        .end(
            trial,
            1,
            failed(taken, None, "port 8000 still in use before start"),
            None,
        )
        .expect("a line");
    let mut params = base();
    params["CHUNKED"] = json!("false");
    assert_eq!(
        line,
        json!({
            "ts": diary.ts(), "trial_key": BASE_KEY.replace("true", "false"), "status": "failed",
            "params": params, "reason": "port 8000 still in use before start", "trial": 2, "cause": "port-taken",
        })
    );
}

#[test]
fn sittings_and_the_incumbent_of_the_time() {
    let mut diary = Diary::new();
    let first = diary.plan(&[]);
    diary.start(first, 1, true);
    diary.good(first, 1, 1, 5000.0);
    assert_eq!(
        diary.end(first, 1, SittingEnd::Interrupted, None),
        None,
        "no line"
    );
    diary.start(first, 2, true);
    diary.good(first, 2, 2, 5000.0);
    let line = diary.end(first, 2, COMPLETE, None).expect("a line");
    assert_eq!(
        (&line["sitting"], &line["eval_ok_n"], &line["total_s"]),
        (&json!(2), &json!(2), &json!(8.0))
    );
    assert_eq!(line["server_log"], "tune_server_logs/trial_00001.2.log");

    let second = diary.plan(&[("CHUNKED", false.into())]);
    diary.start(second, 1, true);
    diary.good(second, 1, 1, 6000.0);
    let line = diary.end(second, 1, COMPLETE, None).expect("a line");
    assert_eq!(line["param_under_test"], "CHUNKED");
    assert_eq!(diary.study.incumbent().map(|trial| trial.id), Some(second));

    // Measured again, it still varies what it varied when it was planned.
    diary.add(Event::TrialReopened { trial: second });
    diary.start(second, 2, true);
    let line = diary.end(second, 2, COMPLETE, None).expect("one more line");
    assert_eq!(
        (&line["sitting"], &line["param_under_test"]),
        (&json!(2), &json!("CHUNKED"))
    );
    let third = diary.plan(&[("MAX_MODEL_LEN", "1024".into()), ("CHUNKED", false.into())]);
    diary.start(third, 1, true);
    let line = diary
        .end(third, 1, SittingEnd::Finished(Outcome::Pruned), None)
        .expect("a line");
    assert_eq!(line["param_under_test"], "MAX_MODEL_LEN");
}

#[test]
fn best_params_and_status() {
    let nasty = Params::recorded(
        study::NASTY
            .iter()
            .enumerate()
            .map(|(index, text)| (format!("P{index:02}{text}").into(), Value::from(*text))),
    );
    let text = status::best_text(&nasty);
    let read: BTreeMap<String, String> = serde_json::from_slice(&text).expect("strings");
    for (name, value) in nasty.iter() {
        assert_eq!(read[&**name], value.to_string());
    }
    let two = Params::recorded([("B".into(), Value::Int(2)), ("A".into(), Value::from(true))]);
    assert_eq!(
        status::best_text(&two),
        b"{\n  \"A\": \"true\",\n  \"B\": \"2\"\n}\n"
    );

    let mut diary = Diary::new();
    let trial = diary.plan(&[]);
    diary.start(trial, 1, true);
    diary.good(trial, 1, 1, 5000.0);
    diary.end(trial, 1, COMPLETE, None);
    let at = Timestamp::from_millis(diary.now);
    let show = |status: Status<'_>| -> Json {
        serde_json::from_slice(&status.text(at, &diary.study)).expect("JSON")
    };
    let trial = diary.study.trial(trial).expect("planned");
    assert_eq!(
        show(Status::TrialDone {
            trial,
            param: Some("CHUNKED")
        }),
        json!({
            "ts": diary.ts(), "phase": "trial_done", "param": "CHUNKED", "trial_index": 1,
            "trial_key": BASE_KEY, "params": base(),
            "result": {"status": "ok", "avg_accuracy": 0.9375, "avg_total_tps": 5000.0, "avg_total_time_s": null},
            "best_params": base(),
        })
    );
    let busy = show(Status::PortBusy {
        trial,
        attempt: 2,
        message: "nginx",
    });
    assert_eq!(
        (&busy["phase"], &busy["attempt"], &busy["message"]),
        (&json!("port_busy"), &json!(2), &json!("nginx"))
    );
    let words = [
        (Status::Start, "start"),
        (Status::ParamGroup { param: "A" }, "param_group"),
        (Status::GroupBest { param: "A" }, "group_best"),
        (Status::TrialStart { trial, param: None }, "trial_start"),
        (Status::Done { message: "" }, "done"),
        (Status::Crashed { error: "" }, "crashed"),
        (Status::Selftest { message: "" }, "selftest"),
    ];
    for (status, word) in words {
        assert_eq!(show(status)["phase"], word);
    }
}
