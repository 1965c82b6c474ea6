//! The bytes of every message: they must not change within a version of the
//! protocol. And what comes of bytes that are no message.

use std::fmt::Write as _;

use proptest::prelude::*;

use super::WireError;
use super::advisor::golden::{advice, advisor, tested};
use super::codec::{Message, decode, encode};
use super::frame::{REPLY_MAX, REQUEST_MAX};
use super::reply::*;
use super::report::{Format, Languages, ReportQuery};
use super::request::*;
use super::retrial::golden::{DRIFT, confirmation};

#[path = "golden_samples.rs"]
mod samples;

use self::samples::{
    answers, approve, curve, detail, importance, leader, proposal, refusals, reject,
};

fn reason() -> String {
    text("r")
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn requests() -> Vec<Request> {
    let steer = [
        Steer::Pause { now: true },
        Steer::Resume,
        Steer::Stop { now: false },
        Steer::Skip(None),
        Steer::Skip(Some(300)),
        Steer::Retry(7),
        Steer::Enqueue {
            values: vec![(text("模型"), text("a b"))],
            again: true,
        },
        Steer::Amend(edits()),
        approve(Instead::Nothing),
        approve(Instead::Value(text("0.5"))),
        approve(Instead::Values(vec![(text("N"), text("2"))])),
        reject(End::Proposal),
        reject(End::Parameter),
        reject(End::Study),
        Steer::ReopenParameter(text("N")),
    ];
    let until = [
        Until::Done,
        Until::Approval,
        Until::Best(Some(2)),
        Until::Paused,
        Until::Trial(300),
    ];
    let sorts = [Sort::Number, Sort::Objective, Sort::Time];
    let mut all = vec![
        Request::Ping,
        Request::Status,
        Request::Best,
        Request::Space(300),
        Request::Settings,
        Request::Reload,
        Request::Channels,
        Request::NotifyTest(None),
        Request::NotifyTest(Some(text("mail"))),
        Request::Doctor,
        Request::AdvisorTest,
        Request::Importance(None),
        Request::Importance(Some(text("BATCH"))),
        Request::Metrics,
        Request::Report(ReportQuery {
            languages: Languages::Chinese,
            format: Format::Html,
            keep: true,
        }),
        Request::Export,
        Request::Trial(70_000),
        Request::Log(LogQuery {
            trial: 1,
            step: Some(text("eval")),
            from: Some(LogPlace {
                sitting: 2,
                offset: 70_000,
            }),
            follow: true,
        }),
        Request::Events(EventsQuery {
            after: Some(9),
            last: None,
            follow: false,
        }),
    ];
    all.extend(sorts.map(|sort| {
        Request::Trials(TrialsQuery {
            outcomes: vec![text("failed")],
            sort,
            reverse: true,
            offset: 100,
            limit: u32::MAX,
        })
    }));
    all.extend(until.map(Request::Wait));
    all.extend(steer.map(Request::Steer));
    all
}

fn edits() -> Vec<Edit> {
    let parameter = || text("BATCH");
    vec![
        Edit::AddValues {
            parameter: parameter(),
            values: vec![text("64")],
        },
        Edit::RemoveValues {
            parameter: parameter(),
            values: vec![text("16")],
        },
        Edit::Domain {
            parameter: parameter(),
            domain: text("[1]"),
        },
        Edit::AddParameter {
            parameter: parameter(),
            domain: text("[1]"),
            base: text("1"),
            when: Some(text("A")),
        },
        Edit::Order(vec![parameter()]),
        Edit::Set {
            name: text("trials"),
            value: text("9"),
        },
        Edit::ResetSpace(vec![parameter()]),
        Edit::ResetSettings(Vec::new()),
    ]
}

fn space() -> Space {
    let values = vec![TriedValue {
        value: text("16"),
        trials: 3,
    }];
    let domains = [
        Domain::Values(values),
        Domain::Int {
            low: -4,
            high: 64,
            log: false,
        },
        Domain::Float {
            low: text("1e-5"),
            high: text("0.1"),
            log: true,
        },
    ];
    let parameter = |domain| Parameter {
        name: text("BATCH"),
        domain,
        base: text("16"),
        when: Some(text("A")),
        best: None,
        tried: 2,
        changed: true,
    };
    Space {
        total: 3,
        parameters: domains.map(parameter).into(),
        rules: vec![text("A < B")],
        changed: vec![text("c")],
        ignored: vec![text("i")],
    }
}

fn settings() -> Settings {
    Settings {
        settings: vec![Setting {
            name: text("budget.trials"),
            value: text("40"),
            written: Some(text("none")),
        }],
        ignored: Vec::new(),
    }
}

fn summary() -> Summary {
    Summary {
        count: 3,
        mean: 12.5,
        spread: Some(0.25),
        min: 12.0,
        max: 13.0,
    }
}

fn change() -> Change {
    Change {
        name: text("BATCH"),
        from: Some(text("16")),
        to: None,
    }
}

fn objective() -> Objective {
    Objective {
        metric: text("speed"),
        maximize: true,
    }
}

fn measured() -> Measured {
    Measured {
        trial: 3,
        outcome: text("complete"),
        metrics: vec![Metric {
            name: text("speed"),
            summary: summary(),
        }],
    }
}

pub(crate) fn row() -> TrialRow {
    TrialRow {
        trial: 3,
        outcome: text("failed"),
        origin: text("user"),
        changes: vec![change()],
        objective: Some(summary()),
        constraints: vec![
            None,
            Some(Checked {
                mean: 0.5,
                missed: true,
                confidence: Some(0.75),
            }),
        ],
        runs: 2,
        elapsed: 1500,
        is_baseline: false,
        is_best: true,
        failure: Some(text("died")),
        startup: Some(700),
        metrics: vec![Metric {
            name: text("speed"),
            summary: summary(),
        }],
        cause: Some(text("gpu-out-of-memory")),
        advice: Some(text("more")),
        remedy_of: Some(2),
    }
}

pub(crate) fn status(phase: Phase, doing: Doing, gain: Gain) -> Reply {
    Reply::Status(Box::new(Status {
        artifacts: Some(Artifacts {
            files: 3,
            bytes: 1 << 30,
            state: ArtifactsState::Pending,
            copy: None,
        }),
        study: text("s"),
        output_dir: text("/o"),
        pid: 42,
        now: 1_763_767_212_000,
        phase,
        stopping: false,
        disk_trouble: None,
        counts: Counts {
            complete: 1,
            infeasible: 2,
            pruned: 3,
            failed: 4,
            unsettled: 5,
        },
        runs: 30,
        runs_saved: 12.5,
        runs_cut: 0.5,
        busy: 60_000,
        running: Some(Running {
            trial: 5,
            slot: Some(text("gpu0")),
            sitting: 1,
            changes: vec![change()],
            started: 1,
            doing,
            since: 2,
            runs: 1,
            runs_all: 3,
            retrial: Some(text("a check for drift")),
            curves: vec![curve()],
        }),
        waiting: vec![Waiting {
            trial: 6,
            changes: Vec::new(),
        }],
        objective: objective(),
        constraints: vec![text("quality >= 0.5")],
        baseline: None,
        best: Some(measured()),
        leader: Some(leader()),
        changes: vec![change()],
        gain,
        trials_most: Some(200),
        left: None,
        left_by: Some(text("budget of 60 trials")),
        channels: vec![channel()],
        amendments: vec![text("budget.trials = 40")],
        held_up: Some(HeldUp {
            trial: 5,
            fault: text("port-taken"),
            why: text("port 8000 is in use"),
            times: 2,
            most: 5,
            again: 70_000,
        }),
        confirmation: Some(confirmation()),
        drift: Some(DRIFT),
        advisor: Some(advisor()),
        proposal: Some(proposal()),
        beside: vec![Running {
            trial: 6,
            slot: Some(text("gpu1")),
            sitting: 2,
            changes: Vec::new(),
            started: 3,
            doing: Doing::Ready,
            since: 4,
            runs: 0,
            runs_all: 3,
            retrial: None,
            curves: Vec::new(),
        }],
        slots: vec![Slot {
            name: text("gpu2"),
            trial: None,
            idle: Some(text("it rests")),
        }],
        neighbours: Some(Neighbours {
            alone: 100.0,
            beside: 93.0,
            difference: -0.07,
            noise: 0.02,
            disturb: true,
        }),
        ended: vec![text("N")],
    }))
}

fn channel() -> Channel {
    Channel {
        name: text("mail"),
        kind: text("smtp"),
        kinds: vec![text("best")],
        fallback: true,
        waiting: 3,
        delivered: Some(7),
        trouble: Some(Trouble {
            error: text("no connection"),
            again: Some(9),
        }),
        given_up: Some(GivenUp {
            at: 8,
            reason: text("refused"),
        }),
        refused: vec![Refused {
            address: text("a@b"),
            why: text("451 later"),
            again: true,
        }],
    }
}

fn replies() -> Vec<Reply> {
    let gpu = text("GPU 0");
    let gain = Gain::Measured {
        amount: 2.0,
        share: Some(0.25),
        low: None,
        high: Some(0.5),
        clear: Some(true),
        confirmed: Some(3),
    };
    let step = || text("eval");
    let by_user = true;
    let active = |doing| status(Phase::Active, doing, gain);
    let mut all = vec![
        Reply::Pong(Pong {
            version: text("0.1.0"),
            protocol: 1,
            pid: 42,
            study: text("s"),
            output_dir: text("/o"),
            begun: 1_763_767_212_000,
            events: 70_000,
            may_steer: true,
        }),
        status(Phase::Active, Doing::Starting, Gain::NothingFeasible),
        status(
            Phase::Paused {
                reason: reason(),
                by_user,
            },
            Doing::Readying { step: step() },
            Gain::NoBaseline,
        ),
        status(Phase::Done { reason: reason() }, Doing::Ready, Gain::None),
        status(Phase::AwaitingApproval, Doing::Ready, Gain::None),
        active(Doing::Step { step: step() }),
        active(Doing::Ending),
        active(Doing::WarmUp { step: step() }),
        active(Doing::PortBusy {
            port: 8000,
            holder: reason(),
        }),
        active(Doing::Waiting { text: gpu }),
        active(Doing::Part {
            step: step(),
            part: 2,
            parts: 4,
        }),
        active(Doing::Progress {
            step: step(),
            metric: text("speed"),
            value: 61.25,
        }),
        Reply::Best(Box::new(Best {
            artifacts: Some(Artifacts {
                files: 3,
                bytes: 1 << 30,
                state: ArtifactsState::Deleted { left: 1 },
                copy: Some("/out/artifacts/best".to_owned()),
            }),
            measured: measured(),
            params: vec![Param {
                name: text("BATCH"),
                value: text("32"),
            }],
            changes: vec![change()],
            gain,
            objective: objective(),
            confirmation: None,
            leader: None,
            kept: vec![Kept {
                constraint: text("quality ≥ 0.5"),
                confidence: Some(0.75),
            }],
        })),
        Reply::Trials(Trials {
            total: 300,
            objective: objective(),
            constraints: vec![text("quality >= 0.5")],
            rows: vec![row()],
        }),
        Reply::Trial(Box::new(detail())),
        Reply::Log(piece(vec![0, 255, 10])),
        Reply::Events(vec![EventLine {
            seq: 8,
            at: 1_763_767_212_000,
            event: text(r#"{"resumed":{}}"#),
        }]),
        Reply::Reached,
        Reply::Space(Box::new(space())),
        Reply::Settings(Box::new(settings())),
        Reply::Channels(vec![channel()]),
        Reply::Tested(vec![Tested {
            channel: text("mail"),
            accepted: true,
            answer: text("250 ok"),
            took: 300,
        }]),
        Reply::Importance(Box::new(importance())),
        Reply::AdvisorTested(Box::new(tested())),
        Reply::Report(b"# tps".to_vec()),
        Reply::ReportKept(text("/s/reports/report.md")),
        Reply::Export(b"{}".to_vec()),
        Reply::Metrics(samples::metrics()),
        Reply::Doctor(Doctor {
            checks: [HostState::Ok, HostState::Warning, HostState::Error]
                .map(|state| HostCheck {
                    name: text("disk"),
                    state,
                    text: text("1 GiB free"),
                    remedy: text("df -h"),
                })
                .into(),
        }),
    ];
    let ends = [
        EndOfStream::Complete,
        EndOfStream::Leaving,
        EndOfStream::TooSlow,
    ];
    all.extend(ends.map(Reply::End));
    all.extend(answers().map(Reply::Accepted));
    all.extend(answers().map(Reply::Ignored));
    all.extend(refusals().into_iter().map(Reply::Refused));
    all
}

fn piece(bytes: Vec<u8>) -> LogPiece {
    LogPiece {
        step: text("eval"),
        sitting: 2,
        offset: 70_000,
        bytes,
    }
}

/// A line for each: the message as JSON, and its bytes.
fn golden<M: Message>(messages: &[M]) -> String {
    let mut all = String::new();
    for message in messages {
        let bytes = encode(message).expect("a short message");
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let json = serde_json::to_string(message).expect("JSON");
        writeln!(all, "{json}\n    {hex}").expect("memory");
    }
    all
}

#[test]
fn bytes_of_requests() {
    insta::assert_snapshot!(golden(&requests()));
}

#[test]
fn bytes_of_replies() {
    insta::assert_snapshot!(golden(&replies()));
}

#[test]
fn messages_come_back() {
    for request in requests() {
        let bytes = encode(&request).expect("encoded");
        assert_eq!(decode::<Request>(&bytes).expect("decoded"), request);
    }
    for reply in replies() {
        let bytes = encode(&reply).expect("encoded");
        assert_eq!(decode::<Reply>(&bytes).expect("decoded"), reply);
    }
}

#[test]
fn cut_and_longer_messages_are_refused() {
    for bytes in replies()
        .iter()
        .map(|reply| encode(reply).expect("encoded"))
    {
        for cut in 0..bytes.len() {
            let result = decode::<Reply>(&bytes[..cut]);
            assert!(matches!(result, Err(WireError::Unreadable(_))), "{cut}");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(decode::<Reply>(&longer).is_err());
    }
}

#[test]
fn what_is_too_long_is_not_sent() {
    let long = Reply::Log(piece(vec![0; REPLY_MAX]));
    assert!(matches!(encode(&long), Err(WireError::TooLong { .. })));
    let long = Request::Steer(Steer::Enqueue {
        values: vec![(text("N"), "x".repeat(REQUEST_MAX))],
        again: false,
    });
    assert!(matches!(encode(&long), Err(WireError::TooLong { .. })));
}

#[test]
fn claims_of_length_cost_nothing() {
    // A Log, Events and Enqueue of 2^64 - 1 elements each.
    let huge = [253, 255, 255, 255, 255, 255, 255, 255, 255];
    for variant in [5_u8, 6] {
        let bytes: Vec<u8> = [variant].into_iter().chain(huge).collect();
        assert!(decode::<Reply>(&bytes).is_err());
    }
    let bytes: Vec<u8> = [8_u8, 5].into_iter().chain(huge).collect();
    assert!(decode::<Request>(&bytes).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn random_bytes_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        // Whatever they are read as is as long as they are.
        if let Ok(request) = decode::<Request>(&bytes) {
            let shown = format!("{request:?}").len();
            prop_assert!(shown < 4000 + bytes.len() * 40);
        }
        let _ = decode::<Reply>(&bytes);
    }

    #[test]
    fn mutated_messages_do_no_harm(
        which in any::<prop::sample::Index>(),
        places in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let replies = replies();
        let mut bytes = encode(which.get(&replies)).expect("encoded");
        for (place, byte) in places {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(reply) = decode::<Reply>(&bytes) {
            let _ = encode(&reply).expect("as short as it was");
        }
    }
}
