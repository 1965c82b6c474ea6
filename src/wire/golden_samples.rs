//! Messages of which the bytes are pinned: one trial, what explains it, and refusals.

use super::*;

pub(super) fn detail() -> TrialDetail {
    TrialDetail {
        artifacts: Some(Artifacts {
            files: 3,
            bytes: 1 << 30,
            state: ArtifactsState::Lost {
                reason: "gone".to_owned(),
            },
            copy: None,
        }),
        row: row(),
        params: vec![Param {
            name: text("BATCH"),
            value: text("32"),
        }],
        metrics: measured().metrics,
        constraints: vec![text("quality >= 0.5")],
        runs: vec![Run {
            step: text("eval"),
            number: 1,
            sitting: 2,
            elapsed: 900,
            ending: text("exited with code 0"),
            fault: Some(text("no speed")),
            metrics: vec![Number {
                name: text("quality"),
                value: -0.5,
            }],
        }],
        extra: Vec::new(),
        sittings: vec![Sitting {
            resumed: Some("/out/checkpoint-3".to_owned()),
            number: 2,
            purpose: text("confirm"),
            started: 5,
            ended: Some(6),
            startup: None,
            end: text("failed"),
            health: Some(text("ok")),
            warnings: vec![text("slow")],
        }],
        failure: Some(Failure {
            kind: text("all-runs"),
            step: Some(text("eval")),
            ending: None,
            message: text("died"),
            cause: Some(Cause {
                name: text("oom"),
                hint: text("less"),
                line: text("CUDA"),
            }),
        }),
        skipped: false,
        pruning: Some(Pruning {
            metric: text("speed"),
            runs: 2,
            of: 5,
            mean: 61.25,
            needed: 84.0,
            rival: Some(7),
            chance: 0.125,
            cut: Some(Cut {
                step: text("eval"),
                mark: 1,
                parts: Some(4),
                share: 0.25,
            }),
            median: Some(MedianReached {
                at: 300.0,
                trials: 6,
            }),
        }),
        logs: vec![LogTail {
            step: text("eval"),
            path: text("/o/l"),
            tail: text("a\nb"),
        }],
        logs_gone: true,
        choice: Some(choice()),
        curves: vec![curve()],
        remedied_by: Some(9),
        no_remedy: Some(text("BATCH is 1")),
    }
}

pub(super) fn curve() -> Curve {
    Curve {
        step: text("train"),
        run: 1,
        metric: text("loss"),
        of: Some(1000.0),
        points: vec![Point {
            at: 340.0,
            value: 1.25,
            sitting: 2,
        }],
    }
}

fn forecast() -> Forecast {
    Forecast {
        mean: 12.5,
        low: 12.0,
        high: 13.0,
    }
}

fn choice() -> Choice {
    Choice {
        rule: text("coordinate"),
        base: Some(4),
        varied: vec![text("BATCH")],
        expected: Some(Expected {
            objective: Some(forecast()),
            improvement: Some(0.25),
            bounds: vec![Chance {
                bound: text("quality ≥ 0.5"),
                chance: 0.75,
            }],
            starts: None,
            time: Some(300),
        }),
        advice: Some(advice()),
    }
}

pub(super) fn importance() -> Importance {
    Importance {
        objective: Objective {
            metric: text("speed"),
            maximize: true,
        },
        trials: 31,
        needed: 30,
        known: Some(Known {
            explained: 0.5,
            parameters: vec![Effect {
                name: text("BATCH"),
                share: forecast(),
                values: vec![Marginal {
                    value: None,
                    trials: 7,
                    objective: forecast(),
                }],
            }],
            pairs: vec![Pair {
                names: [text("BATCH"), text("MODE")],
                share: forecast(),
            }],
        }),
    }
}

pub(super) fn leader() -> Leader {
    Leader {
        measured: measured(),
        changes: vec![change()],
        runs: 1,
        runs_all: 5,
    }
}

pub(super) fn proposal() -> Proposal {
    Proposal {
        number: 3,
        parameter: Some(text("N")),
        against: Some(2),
        changes: vec![change()],
        since: 1_763_767_212_000,
        until: Some(1_763_767_272_000),
        then: Some(text("pause")),
    }
}

pub(super) const fn approve(instead: Instead) -> Steer {
    let number = Some(3);
    Steer::Approve { number, instead }
}

pub(super) const fn reject(end: End) -> Steer {
    Steer::Reject { number: None, end }
}

pub(super) const fn rejected(ended: Ended) -> Accepted {
    Accepted::Rejected {
        proposal: 3,
        ended,
        paused: true,
    }
}

pub(super) fn refusals() -> Vec<Refusal> {
    vec![
        Refusal::NotAllowed,
        Refusal::Busy,
        Refusal::NotUnderstood(reason()),
        Refusal::TooLong,
        Refusal::Leaving,
        Refusal::Done(reason()),
        Refusal::NoSuchTrial(9),
        Refusal::NoSuchLog(reason()),
        Refusal::NothingRuns,
        Refusal::SeveralRun(vec![7, 8]),
        Refusal::NothingBest,
        Refusal::NotSettled(9),
        Refusal::NothingToRepeat(9),
        Refusal::TriedAlready(9),
        Refusal::BadParams(vec![reason(), reason()]),
        Refusal::NotRecorded(reason()),
        Refusal::Starting(Some(9)),
        Refusal::NoSuchEvent(300),
        Refusal::BadChange(vec![reason()]),
        Refusal::BadSpec(reason()),
        Refusal::NeedsRestart(vec![reason()]),
        Refusal::NoSuchChannel(vec![text("mail")]),
        Refusal::NoSuchParameter(vec![text("BATCH")]),
        Refusal::NoAdvisor,
        Refusal::OnlyLeads {
            trial: 3,
            runs: 1,
            runs_all: 5,
        },
        Refusal::Beside {
            trial: 9,
            purpose: reason(),
            setting: "confirm.runs".to_owned(),
        },
        Refusal::LogsGone(3),
        Refusal::Unanswered,
        Refusal::NothingProposed,
        Refusal::OtherProposal(3),
        Refusal::SeveralParameters(vec![text("A"), text("B")]),
        Refusal::NoOrder(text("model")),
        Refusal::NotWritten(text("disk full")),
    ]
}

pub(super) fn metrics() -> Vec<Family> {
    let label = |name, value| Label {
        name: text(name),
        value: text(value),
    };
    let family = |kind, samples| Family {
        name: text("autotune_trials"),
        help: reason(),
        kind,
        samples,
    };
    let sample = Sample {
        labels: vec![label("study", "s"), label("outcome", "complete")],
        value: 3.0,
    };
    vec![
        family(FamilyKind::Gauge, vec![sample]),
        family(FamilyKind::Counter, Vec::new()),
    ]
}

pub(super) fn answers() -> [Accepted; 13] {
    let running = Some(4);
    [
        Accepted::Paused {
            running,
            beside: vec![6],
            interrupted: true,
        },
        Accepted::Resumed,
        Accepted::Stopping {
            running,
            beside: vec![6],
        },
        Accepted::Skipped {
            trial: 4,
            running: true,
        },
        Accepted::Reopened {
            trial: 2,
            running,
            beside: vec![6],
        },
        Accepted::Enqueued {
            trial: 5,
            running,
            beside: vec![6],
            paused: true,
        },
        Accepted::Reloaded(Reloaded {
            warnings: vec![text("w")],
            unfit: vec![text("u")],
            running,
            beside: vec![6],
            done: true,
        }),
        Accepted::Amended(Amended {
            changed: vec![text("c")],
            withdrawn: vec![text("w")],
            running,
            beside: vec![6],
            outside: vec![6, 7],
            best_before: Some(2),
            best: None,
            best_outside: false,
            paused: false,
            done: true,
        }),
        Accepted::Approved {
            proposal: 3,
            trial: 5,
            running,
            beside: vec![6],
            paused: false,
        },
        rejected(Ended::Proposal),
        rejected(Ended::Parameter(text("N"))),
        rejected(Ended::Study),
        Accepted::ParameterReopened {
            parameter: text("N"),
            paused: false,
        },
    ]
}
