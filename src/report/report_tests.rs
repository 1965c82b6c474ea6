//! What a user reads, on made-up studies.

use insta::assert_snapshot;
use proptest::prelude::*;
use unicode_width::UnicodeWidthStr;

use super::overview::{Gain, Overview};
use super::phrase::{difference, mean_and_spread};
use super::status_line::status_line;
use super::text::{closing, findings, headline, plain};
use crate::base::clock::Timestamp;
use crate::model::event::Event;
use crate::model::metric::Direction;
use crate::model::outcome::{Cause, Failure, FailureKind, HostFault};
use crate::model::params::Params;
use crate::model::spec::{SamplerKind, Spec};
use crate::model::trial::{Origin, Purpose};
use crate::search::simulation::{Answer, Simulation, fails, list, space, spec, speed};
use crate::search::{Ask, ask};

/// The rows as a caller would print them, roughly, and all the text.
fn page(simulation: &Simulation) -> String {
    let overview = Overview::of(&simulation.study, Timestamp::from_millis(9_000_000));
    let mut text = plain(&[headline(&overview)]);
    for row in &overview.rows {
        let objective = row.objective.as_ref().map(mean_and_spread);
        let constraints = row.constraints.iter().map(|cell| match cell {
            Some((summary, missed)) => {
                let mark = if *missed { "!" } else { "" };
                format!("{}{mark}", mean_and_spread(summary))
            }
            None => "-".to_owned(),
        });
        text.push_str(&format!(
            "| {} | {} | {} | {} | {} | {}{}{} |\n",
            row.id,
            difference(&row.changes),
            objective.unwrap_or_default(),
            constraints.collect::<Vec<_>>().join(" "),
            row.runs,
            row.word,
            if row.is_baseline { " baseline" } else { "" },
            if row.is_incumbent { " incumbent" } else { "" },
        ));
    }
    text.push_str(&plain(&findings(&overview)));
    text
}

fn serving() -> Spec {
    let parameters = vec![
        list("GPU_MEMORY_UTILIZATION", "0.97 0.98 0.99", ""),
        list("MAX_NUM_SEQS", "512 1024 1536", ""),
        list("停止词", "句号。 换行\n", ""),
    ];
    spec(space(parameters, &[]), SamplerKind::Coordinate)
}

fn out_of_memory() -> Answer {
    Answer::Fails(Failure {
        kind: FailureKind::Died,
        step: Some("serve".into()),
        ending: None,
        message: "serve exited with code 1 before it was ready.".to_owned(),
        cause: Some(Cause {
            name: "gpu-out-of-memory".to_owned(),
            hint: "lower GPU_MEMORY_UTILIZATION or the number of sequences, or stop what \
                   else uses the GPU (nvidia-smi names it)"
                .to_owned(),
            line: "\u{1b}[31mtorch.OutOfMemoryError: CUDA out of memory. Tried to allocate \
                   2.00 GiB. GPU 0 has 80 GiB"
                .to_owned(),
        }),
    })
}

fn runs(speed: f64, quality: f64) -> Answer {
    let wave = [0.0, 1.0, -1.0, 0.5, -0.5];
    Answer::Runs(
        wave.map(|w| (speed + 40.0 * w, quality + 0.001 * w))
            .to_vec(),
    )
}

fn serve(params: &Params) -> Answer {
    let is = |name: &str, value: &str| params.get(name) == Some(&value.into());
    if is("GPU_MEMORY_UTILIZATION", "0.99") {
        out_of_memory()
    } else if is("MAX_NUM_SEQS", "1536") {
        runs(7100.0, 0.4621)
    } else if is("停止词", "换行\n") {
        runs(6512.5, 0.91)
    } else if is("MAX_NUM_SEQS", "1024") {
        runs(6400.0, 0.9)
    } else if is("GPU_MEMORY_UTILIZATION", "0.98") {
        runs(6100.0, 0.88)
    } else {
        runs(5940.43, 0.8815)
    }
}

#[test]
fn a_study_with_everything_in_it() {
    let mut simulation = Simulation::new(serving());
    let (_, why) = simulation.run(99, serve);
    let reason = why.expect("a small space has an end");
    simulation.happen(Event::Done { reason });
    assert_snapshot!(page(&simulation));
}

#[test]
fn a_study_that_goes_on() {
    let mut simulation = Simulation::new(serving());
    assert_snapshot!("nothing_yet", page(&simulation));
    simulation.run(1, serve);
    assert_snapshot!("only_the_baseline", page(&simulation));
    let Ask::Try(params) = ask(&simulation.study) else {
        panic!("there is more to try")
    };
    let trial = simulation.plan(&params, Origin::Sampler);
    let host = Answer::Fails(Failure {
        kind: FailureKind::Host(HostFault::PortTaken),
        step: None,
        ending: None,
        message: "port 8000 is held by python3 (pid 4711)".to_owned(),
        cause: None,
    });
    simulation.work(trial, &host);
    let reason = "the host was at fault three times in a row".to_owned();
    simulation.happen(Event::Paused {
        reason,
        by_user: false,
    });
    assert_snapshot!("held_up_by_the_host", page(&simulation));
}

#[test]
fn nothing_that_counts() {
    let mut failing = Simulation::new(serving());
    failing.run(99, |_| out_of_memory());
    assert_snapshot!("everything_fails", page(&failing));
    let mut infeasible = Simulation::new(serving());
    infeasible.run(99, |_| runs(5000.0, 0.25));
    assert_snapshot!("everything_is_infeasible", page(&infeasible));
}

#[test]
fn a_study_in_one_line() {
    let mut simulation = Simulation::new(serving());
    let mut lines = Vec::new();
    let mut look = |simulation: &Simulation, doing: Option<&str>| {
        lines.push(status_line(&simulation.study, Some(7), doing));
    };
    look(&simulation, None);
    simulation.run(5, serve);
    look(&simulation, None);
    let Ask::Try(params) = ask(&simulation.study) else {
        panic!("there is more to try")
    };
    let trial = simulation.plan(&params, Origin::Sampler);
    let queued = simulation.study.trials()[1].params.clone();
    simulation.plan(&queued, Origin::User);
    simulation.happen(Event::SittingStarted {
        trial,
        sitting: 1,
        purpose: Purpose::Measure,
        token: String::new(),
        boot_id: "".into(),
        slot: None,
    });
    look(&simulation, Some("eval\n"));
    let reason = "somebody wanted a rest".to_owned();
    simulation.happen(Event::Paused {
        reason,
        by_user: true,
    });
    look(&simulation, None);
    assert_snapshot!(lines.join("\n"));
}

/// The gain as a sentence, for a baseline and a trial that is better.
fn gain_of(direction: Direction, old: &[f64], new: &[f64]) -> (Gain, String) {
    let mut spec = spec(space(vec![list("A", "1 2", "")], &[]), SamplerKind::Grid);
    spec.objective.direction = direction;
    let mut simulation = Simulation::new(spec);
    let answer = |numbers: &[f64]| Answer::Runs(numbers.iter().map(|n| (*n, 1.0)).collect());
    simulation.run(2, |params| {
        answer(if params.key() == "A=1" { old } else { new })
    });
    let overview = Overview::of(&simulation.study, Timestamp::from_millis(0));
    let block = findings(&overview).into_iter().find(|b| b.title == "Gain");
    (
        overview.gain,
        block.map(|b| b.lines.join("\n")).unwrap_or_default(),
    )
}

#[test]
fn gains_are_said_with_what_is_known_of_them() {
    let cases: [(Direction, &[f64], &[f64]); 7] = [
        (Direction::Maximize, &[10.0, 10.1, 9.9], &[12.0, 12.1, 11.9]),
        (Direction::Minimize, &[10.0, 10.1, 9.9], &[8.0, 8.1, 7.9]),
        (Direction::Maximize, &[10.0, 12.0], &[11.0, 13.0]),
        (Direction::Maximize, &[10.0], &[12.0]),
        (Direction::Maximize, &[10.0, 10.0], &[12.0, 12.0]),
        (Direction::Maximize, &[-10.0, -10.1], &[-8.0, -8.1]),
        (Direction::Maximize, &[0.0], &[2.0]),
    ];
    let said = cases.map(|(direction, old, new)| gain_of(direction, old, new).1);
    assert_snapshot!(said.join("\n\n"));
    assert_eq!(gain_of(Direction::Maximize, &[2.0], &[1.0]).0, Gain::None);
}

#[test]
fn a_baseline_that_failed_or_is_infeasible() {
    let baseline_is = |answer: Answer| {
        let mut simulation = Simulation::new(serving());
        simulation.run(3, |params| {
            let start = params.key().starts_with("GPU_MEMORY_UTILIZATION=0.97");
            if start { answer.clone() } else { speed(6000.0) }
        });
        page(&simulation)
    };
    assert_snapshot!("failed_baseline", baseline_is(fails()));
    assert_snapshot!("infeasible_baseline", baseline_is(runs(7000.0, 0.4)));
}

#[test]
fn files_and_next_steps_are_never_broken() {
    let path = format!("/var/lib/autotune/{}/tune_results.jsonl", "long".repeat(20));
    let files = [
        ("results".to_owned(), path.clone()),
        ("best".to_owned(), "/b".to_owned()),
    ];
    let text = plain(&closing(&files, &["autotuned view /b".to_owned()]));
    assert_eq!(
        text,
        format!("Files\n  results  {path}\n  best     /b\n\nNext\n  autotuned view /b\n")
    );
    assert_eq!(closing(&[], &[]), []);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_study_fits_eighty_columns(
        answers in prop::collection::vec((0u8..5, -9.0f64..9.0, 0.0f64..1.0), 1..12),
        message in "\\PC{0,120}",
        words in "[a-z。调参 \\n\u{1b}]{0,300}",
    ) {
        let mut simulation = Simulation::new(serving());
        simulation.run(answers.len(), |params| {
            let index = params.key().len() * 7 + params.key().bytes().map(usize::from).sum::<usize>();
            match answers[index % answers.len()] {
                (0, ..) => out_of_memory(),
                (1, ..) => Answer::Fails(Failure {
                    kind: FailureKind::AllRuns,
                    step: None,
                    ending: None,
                    message: message.split(' ').map(|w| w.chars().take(30).collect::<String>())
                        .collect::<Vec<_>>().join(" "),
                    cause: None,
                }),
                (2, speed, quality) => Answer::Runs(vec![(speed, quality)]),
                (_, speed, quality) => Answer::Runs(vec![(speed, quality), (speed + quality, 0.6)]),
            }
        });
        simulation.happen(Event::Paused { reason: words, by_user: false });
        let overview = Overview::of(&simulation.study, Timestamp::from_millis(0));
        let mut blocks = vec![headline(&overview)];
        blocks.extend(findings(&overview));
        for line in plain(&blocks).lines() {
            let longest = line.split(' ').map(UnicodeWidthStr::width).max().unwrap_or(0);
            prop_assert!(line.width() <= 80 || longest > 40, "{line}");
            prop_assert!(!line.contains(char::is_control), "{line:?}");
        }
    }
}
