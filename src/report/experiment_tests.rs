//! Reports of a made-up fine-tuning study, as they are read.

use std::path::Path;

use insta::assert_snapshot;

use super::document::Document;
use super::document_tests::assert_well_formed;
use crate::base::clock::Timestamp;
use crate::model::curve::Told;
use crate::model::dialogues::{Dialogues, Sample};
use crate::model::event::Event;
use crate::model::form::{Dataset, Figure, Format, Languages, Reporting};
use crate::model::outcome::{Ending, Outcome};
use crate::model::reason;
use crate::model::spec::SamplerKind;
use crate::model::step::StepKind;
use crate::model::trial::{Origin, Purpose, Run, SittingEnd};
use crate::model::value::Finite;
use crate::search::simulation::{Simulation, list, measure, space, spec};

/// A fine-tuning study: a task that tells its loss, a metric for each of two data
/// sets, one of them of the base model, too.
pub(super) fn tuning(trials: u32) -> Simulation {
    let parameters = vec![
        list("lr", "1e-4 2e-4 1e-3", ""),
        list("rank", "8 16 32", ""),
    ];
    let mut spec = spec(space(parameters, &[]), SamplerKind::Grid);
    let mut step = measure("train", 1, &["speed", "quality"]);
    step.kind = StepKind::Task {
        timeout: std::time::Duration::from_secs(9),
    };
    spec.steps = vec![step];
    spec.report = Reporting {
        title: Some("mh-sharegpt SFT (LoRA)".to_owned()),
        notes: vec![
            "Trained on one GPU.\nSee --api-key hunter2 <b>".to_owned(),
            "第二段".to_owned(),
        ],
        datasets: vec![
            Dataset {
                name: "C-Eval".to_owned(),
                samples: Some(Figure::Known(finite(100.0))),
                metrics: vec![
                    ("accuracy".to_owned(), "speed".into()),
                    ("F1".to_owned(), "quality".into()),
                ],
                base: vec![("accuracy".to_owned(), Figure::Known(finite(0.412)))],
                notes: Some("a | b".to_owned()),
            },
            Dataset {
                name: "PsyQA".to_owned(),
                samples: Some(Figure::Metric("quality".into())),
                metrics: vec![("Rouge-L".to_owned(), "quality".into())],
                base: vec![("Rouge-L".to_owned(), Figure::Metric("quality".into()))],
                notes: None,
            },
        ],
        ..Reporting::default()
    };
    let mut simulation = Simulation::new(spec);
    let space = simulation.study.spec().space.clone();
    let all = ["1e-4", "2e-4", "1e-3"]
        .into_iter()
        .flat_map(|lr| ["8", "16", "32"].map(|rank| (lr, rank)));
    for (number, (lr, rank)) in (0..trials).zip(all) {
        let base = space.baseline().expect("params");
        let params = space.with(&base, "lr", &lr.into()).expect("params");
        let params = space.with(&params, "rank", &rank.into()).expect("params");
        let origin = if number == 0 {
            Origin::Baseline
        } else {
            Origin::Sampler
        };
        let trial = simulation.plan(&params, origin);
        simulation.happen(Event::SittingStarted {
            trial,
            sitting: 1,
            purpose: Purpose::Measure,
            token: String::new(),
            boot_id: "".into(),
            slot: None,
        });
        let is_cut = lr == "1e-3" && rank == "16";
        for step in 1..=if is_cut { 30 } else { 100 } {
            let at = f64::from(step) * 10.0;
            let loss = 0.8 + 2.0 / f64::from(step) + f64::from(number) * 0.02;
            let eval = (step % 25 == 0).then_some(("eval_loss".into(), finite(loss + 0.1)));
            let metrics = std::iter::once(("loss".into(), finite(loss))).chain(eval);
            simulation.happen(Event::RunTold {
                trial,
                told: Told {
                    step: "train".into(),
                    run: 1,
                    sitting: 1,
                    at: finite(at),
                    of: Some(finite(1000.0)),
                    metrics: metrics.collect(),
                },
            });
        }
        let end = if is_cut {
            simulation.happen(Event::TrialSkipped { trial });
            SittingEnd::Finished(Outcome::Pruned)
        } else {
            let run = Run {
                step: "train".into(),
                number: 1,
                sitting: 1,
                elapsed: std::time::Duration::from_secs(60),
                ending: Ending::Exited(0),
                metrics: vec![
                    ("speed".into(), finite(0.5 + f64::from(number % 4) * 0.01)),
                    ("quality".into(), finite(0.6)),
                ]
                .into(),
                fault: None,
            };
            simulation.happen(Event::RunEnded { trial, run });
            SittingEnd::Finished(Outcome::Complete)
        };
        simulation.happen(Event::SittingEnded {
            trial,
            sitting: 1,
            end,
            health: None,
        });
    }
    simulation.happen(Event::Done {
        reason: reason::PASSES.say([&2, &2]),
    });
    simulation
}

pub(super) fn finite(number: f64) -> Finite {
    Finite::new(number).expect("finite")
}

fn samples() -> Dialogues {
    let sample = |prompt: &str, base: &str, best: &str| Sample {
        prompt: prompt.to_owned(),
        base: base.to_owned(),
        best: best.to_owned(),
    };
    Dialogues {
        file: "/s/artifacts/best/dialogues.jsonl".to_owned(),
        samples: vec![
            sample(
                "你好，最近压力很大。",
                "<script>|",
                "我听到了。\n能说说吗？",
            ),
            sample("the key: --token hunter2", "`x`", &"long ".repeat(1000)),
        ],
        more: 3,
        malformed: vec![2],
        malformed_count: 7,
        trouble: None,
    }
}

fn experiment(languages: Languages, format: Format) -> String {
    let simulation = tuning(9);
    let now = Timestamp::from_millis(9_000_000);
    let dialogues = samples();
    let study = &simulation.study;
    let document = Document::of(study, now, Path::new("/s"), languages, Some(&dialogues));
    let page = document.page(format);
    assert!(!page.contains("hunter2"), "{page}");
    page
}

/// The sections of these names.
fn sections(page: &str, names: &[&str]) -> String {
    let parts = page.split("\n## ").skip(1);
    let own = parts.filter(|part| names.iter().any(|name| part.starts_with(name)));
    let own: Vec<String> = own.map(|part| format!("## {part}")).collect();
    own.join("\n")
}

#[test]
fn an_experiment_has_its_tables_and_dialogues() {
    let english = experiment(Languages::English, Format::Markdown);
    assert!(
        english.starts_with("# mh-sharegpt SFT (LoRA)\n"),
        "{english}"
    );
    let names = ["Notes", "The base model", "How training", "Sample"];
    assert_snapshot!(sections(&english, &names));
    let chinese = experiment(Languages::Chinese, Format::Markdown);
    assert!(
        chinese.contains("已结束: 2 个参数的 2 轮调整均已完成"),
        "{chinese}"
    );
    let names = ["说明", "基座模型", "训练过程", "样例对话"];
    assert_snapshot!(sections(&chinese, &names));
}

#[test]
fn curves_are_drawn_with_the_best_and_what_was_cut_off() {
    let page = experiment(Languages::Both, Format::Html);
    assert_well_formed(&page);
    for part in [
        "loss in training</title>",
        "eval_loss in training</title>",
        "class=\"curve winner\"",
        "class=\"curve first\"",
        "class=\"curve cut\"",
        "<p class=\"plain\">Trained on one GPU.",
        "&lt;script&gt;|",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(
        page.matches("class=\"curve winner\"").count(),
        6,
        "two plots, each wide and narrow, and legends"
    );
}
