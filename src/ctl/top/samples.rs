//! Studies for the tests.

use super::link::{Source, Update};
use super::study::Study;
use crate::ctl::changes::Heard;
use crate::wire::golden_tests;
use crate::wire::reply::{
    Change, Counts, Doing, Effect, EventLine, Forecast, Gain, Importance, Known, LogPiece,
    Measured, Metric, Objective, Phase, Pong, Reply, Running, Status, Summary, TrialRow, Trials,
};
use crate::wire::request::{Request, Sort, TrialsQuery};

pub const NOW: i64 = 1_763_767_212_000;

fn text(text: &str) -> String {
    text.to_owned()
}

pub fn summary(mean: f64) -> Summary {
    Summary {
        count: 3,
        mean,
        spread: Some(mean / 100.0),
        min: mean,
        max: mean,
    }
}

pub fn change(name: &str, to: &str) -> Change {
    Change {
        name: text(name),
        from: Some(text("1")),
        to: Some(text(to)),
    }
}

pub fn pong() -> Pong {
    Pong {
        version: text("0.1.0"),
        protocol: 2,
        pid: 42,
        study: text("s"),
        output_dir: text("/o"),
        begun: 0,
        events: 7,
        may_steer: true,
    }
}

pub fn running(trial: u32, step: &str) -> Running {
    Running {
        trial,
        slot: None,
        sitting: 1,
        changes: vec![change("BATCH", "64")],
        started: NOW - 90_000,
        doing: Doing::Step { step: text(step) },
        since: NOW - 12_300,
        runs: 1,
        runs_all: 3,
        retrial: None,
        curves: Vec::new(),
    }
}

pub fn status() -> Status {
    let doing = Doing::Starting;
    let gain = Gain::Measured {
        amount: 340.0,
        share: Some(0.341),
        low: Some(0.3),
        high: Some(0.38),
        clear: Some(true),
        confirmed: None,
    };
    let Reply::Status(sample) = golden_tests::status(Phase::Active, doing, gain) else {
        panic!("no status");
    };
    Status {
        study: text("qwen-serving"),
        now: NOW,
        counts: Counts {
            complete: 8,
            infeasible: 2,
            pruned: 1,
            failed: 2,
            unsettled: 1,
        },
        busy: 3_600_000,
        left: Some(1_800_000),
        left_by: Some(text("budget of 60 trials")),
        trials_most: Some(60),
        running: Some(running(14, "eval")),
        beside: Vec::new(),
        slots: Vec::new(),
        neighbours: None,
        waiting: Vec::new(),
        objective: Objective {
            metric: text("total_tps"),
            maximize: true,
        },
        constraints: vec![text("accuracy ≥ 0.88")],
        best: Some(Measured {
            trial: 12,
            outcome: text("complete"),
            metrics: vec![Metric {
                name: text("total_tps"),
                summary: summary(5940.0),
            }],
        }),
        changes: vec![change("BATCH", "32"), change("MODE", "fast")],
        leader: None,
        channels: Vec::new(),
        amendments: Vec::new(),
        held_up: None,
        confirmation: None,
        drift: None,
        advisor: None,
        proposal: None,
        artifacts: None,
        ..*sample
    }
}

pub fn row(trial: u32, outcome: &str, mean: Option<f64>) -> TrialRow {
    TrialRow {
        trial,
        outcome: text(outcome),
        changes: vec![change("BATCH", &(trial * 8).to_string())],
        objective: mean.map(summary),
        constraints: vec![None],
        runs: if mean.is_some() { 3 } else { 0 },
        elapsed: 60_000 * u64::from(trial % 5),
        is_baseline: trial == 1,
        is_best: trial == 12,
        failure: None,
        startup: None,
        metrics: Vec::new(),
        cause: (outcome == "failed").then(|| text("gpu-out-of-memory")),
        advice: None,
        ..golden_tests::row()
    }
}

/// 14 trials of all kinds, the last of which runs.
pub fn rows() -> Vec<TrialRow> {
    let of = [
        ("complete", Some(4430.0)),
        ("complete", Some(4500.0)),
        ("failed", None),
        ("infeasible", Some(5100.0)),
        ("complete", Some(4600.0)),
        ("pruned", Some(4200.0)),
        ("complete", Some(5200.0)),
        ("complete", Some(5150.0)),
        ("failed", None),
        ("infeasible", Some(6000.0)),
        ("complete", Some(5600.0)),
        ("complete", Some(5940.0)),
        ("complete", Some(5500.0)),
        ("running", None),
    ];
    let rows = of.iter().zip(1..);
    rows.map(|((outcome, mean), trial)| row(trial, outcome, *mean))
        .collect()
}

pub fn page(rows: Vec<TrialRow>, offset: u32, total: u32) -> Update {
    let request = Request::Trials(TrialsQuery {
        outcomes: Vec::new(),
        sort: Sort::Number,
        reverse: false,
        offset,
        limit: u32::MAX,
    });
    let trials = Trials {
        total,
        objective: status().objective,
        constraints: status().constraints,
        rows,
    };
    Update::Answer(request, Ok(Reply::Trials(trials)))
}

pub fn told(status: Status) -> Update {
    Update::Answer(Request::Status, Ok(Reply::Status(Box::new(status))))
}

pub fn event(seq: u64, kind: &str, trial: u32) -> Update {
    let event = format!(r#"{{"{kind}":{{"trial":{trial}}}}}"#);
    Update::Heard(Heard::Events(vec![EventLine {
        seq,
        at: NOW,
        event,
    }]))
}

pub fn effects() -> Update {
    let effect = |name: &str, mean| Effect {
        name: text(name),
        share: Forecast {
            mean,
            low: mean / 2.0,
            high: mean,
        },
        values: Vec::new(),
    };
    let importance = Importance {
        objective: status().objective,
        trials: 11,
        needed: 8,
        known: Some(Known {
            explained: 0.8,
            parameters: vec![
                effect("GPU_MEMORY_UTILIZATION", 0.62),
                effect("BATCH", 0.31),
                effect("批大小上限", 0.07),
            ],
            pairs: Vec::new(),
        }),
    };
    Update::Answer(
        Request::Importance(None),
        Ok(Reply::Importance(Box::new(importance))),
    )
}

/// A log of that trial, and what it has.
pub fn log(study: &mut Study, trial: u32, bytes: &str) {
    let source = study.source(trial).expect("it runs");
    let Source { step, sitting, .. } = source.clone();
    if study.log.source.as_ref() != Some(&source) {
        study.log.turn_to(Some(source));
    }
    study.take(Update::Log(LogPiece {
        step,
        sitting,
        offset: 0,
        bytes: bytes.as_bytes().to_vec(),
    }));
}

/// A study in its midst.
pub fn study() -> Study {
    let mut study = Study::default();
    study.take(Update::Heard(Heard::Met(pong())));
    study.take(told(status()));
    study.take(page(rows(), 0, 14));
    study.take(effects());
    log(
        &mut study,
        14,
        "loading weights\n\u{1b}[32mINFO\u{1b}[0m ready\n10%\r50%\r100%\n第3轮:准确率 0.91,吞吐量 5940\nthroughput=58",
    );
    study
}
