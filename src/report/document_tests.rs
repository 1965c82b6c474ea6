//! Reports of made-up studies, as they are read.

use std::path::Path;
use std::sync::Arc;

use insta::assert_snapshot;
use regex::Regex;

use super::document::{Block, Document};
use super::experiment_tests::finite;
use crate::base::clock::Timestamp;
use crate::model::advice::{Advice, Answer, Question, Usage};
use crate::model::choice::{Choice, Rule};
use crate::model::curve::Told;
use crate::model::domain::Scale;
use crate::model::event::Event;
use crate::model::form::{Format, Languages};
use crate::model::host::{Host, HostGpu};
use crate::model::outcome::{Cause, Ending, Failure, FailureKind};
use crate::model::params::Params;
use crate::model::reason;
use crate::model::spec::SamplerKind;
use crate::model::template::Template;
use crate::model::trial::{Origin, Purpose, TrialId};
use crate::model::value::Finite;
use crate::search::simulation::{
    Answer as Does, Simulation, fails, int, list, measure, space, spec, speed,
};

/// A study with something of everything in it.
pub(super) fn serving() -> Simulation {
    let parameters = vec![
        list("GPU_MEMORY", "0.97 0.98 0.99", ""),
        list("MAX_NUM_SEQS", "512 1024 1536", ""),
    ];
    let mut spec = spec(space(parameters, &[]), SamplerKind::Coordinate);
    spec.name = "serving".to_owned();
    spec.digest = "0123abcd".to_owned();
    spec.confirm.runs = Some(3);
    let template = |text: &str| Template::new(text).expect("a template");
    let mut step = measure("measure", 5, &["speed", "quality", "seconds"]);
    step.command = ["eval", "--seqs={{ MAX_NUM_SEQS }}", "--api-key", "hunter2"]
        .map(template)
        .into();
    step.env = vec![("HF_TOKEN".to_owned(), template("hunter2"))];
    spec.steps = vec![step];
    let mut simulation = Simulation::new(spec);
    let host = Host {
        name: "node-7".to_owned(),
        kernel: "6.8.0".to_owned(),
        cpu: "EPYC 9654".to_owned(),
        cpus: 96,
        memory: 1 << 40,
        gpu_driver: Some("570.1".to_owned()),
        gpus: vec![HostGpu {
            name: "NVIDIA H100".into(),
            memory: Some(80 << 30),
        }],
    };
    simulation.happen(Event::HostSeen {
        host: Box::new(host),
    });
    let (_, why) = simulation.run(99, serve);
    let study = &simulation.study;
    let winner = study.incumbent().expect("an incumbent").id;
    let baseline = study.baseline().expect("a baseline").id;
    let purpose = Purpose::Confirm { baseline, winner };
    for wave in [0.0, 12.0, -9.0] {
        simulation.again(baseline, purpose, &Does::Runs(vec![(5940.0 + wave, 0.88)]));
        simulation.again(winner, purpose, &Does::Runs(vec![(6395.0 - wave, 0.9)]));
    }
    let reason = why.expect("a small space has an end");
    simulation.happen(Event::Done { reason });
    simulation
}

fn serve(params: &Params) -> Does {
    let is = |name: &str, value: &str| params.get(name) == Some(&value.into());
    let wave = [0.0, 1.0, -1.0, 0.5, -0.5];
    let runs = |speed: f64, quality: f64| {
        Does::Runs(wave.map(|w| (speed + 40.0 * w, quality + 0.001 * w)).into())
    };
    match () {
        () if is("GPU_MEMORY", "0.99") => Does::Fails(Failure {
            kind: FailureKind::Died,
            step: Some("serve".into()),
            ending: None,
            message: "serve exited with code 1 before it was ready".to_owned(),
            cause: Some(Cause {
                name: "gpu-out-of-memory".to_owned(),
                hint: "leave out the largest batch".to_owned(),
                line: "torch.OutOfMemoryError: CUDA out of memory".to_owned(),
            }),
        }),
        () if is("MAX_NUM_SEQS", "1536") => runs(7100.0, 0.4621),
        () if is("MAX_NUM_SEQS", "1024") => runs(6400.0, 0.9),
        () if is("GPU_MEMORY", "0.98") => runs(5700.0, 0.88),
        () => runs(5940.43, 0.8815),
    }
}

fn page(simulation: &Simulation, languages: Languages, format: Format) -> String {
    let now = Timestamp::from_millis(9_000_000);
    let document = Document::of(&simulation.study, now, Path::new("/s"), languages, None);
    let times = Regex::new(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d").expect("a pattern");
    let page = document.page(format);
    times
        .replace_all(&page, "TIME")
        .replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

fn markdown(simulation: &Simulation, languages: Languages) -> String {
    page(simulation, languages, Format::Markdown)
}

#[test]
fn a_report_in_english() {
    let page = markdown(&serving(), Languages::English);
    assert!(!page.contains("hunter2"), "{page}");
    assert_snapshot!(page);
}

#[test]
fn a_report_in_chinese() {
    assert_snapshot!(markdown(&serving(), Languages::Chinese));
}

const fn is_chinese(letter: char) -> bool {
    matches!(letter, '\u{3000}'..='\u{303f}' | '\u{4e00}'..='\u{9fff}' | '\u{ff00}'..='\u{ffef}')
}

#[test]
fn each_language_is_whole() {
    let simulation = serving();
    assert!(!markdown(&simulation, Languages::English).contains(is_chinese));
    let now = Timestamp::from_millis(9_000_000);
    let of = |languages| Document::of(&simulation.study, now, Path::new("/s"), languages, None);
    let (chinese, both) = (of(Languages::Chinese), of(Languages::Both));
    assert_eq!(chinese.sections.len(), both.sections.len());
    let texts = |document: &Document| -> Vec<String> {
        let blocks = document.sections.iter().flat_map(|section| &section.blocks);
        let phrases = blocks.filter_map(|block| match block {
            Block::Text(phrases) => Some(phrases),
            _ => None,
        });
        phrases
            .flatten()
            .map(|phrase| phrase.text.clone())
            .collect()
    };
    for section in &chinese.sections {
        assert!(section.title.contains(is_chinese), "{}", section.title);
    }
    for text in texts(&chinese) {
        assert!(text.contains(is_chinese), "{text}");
        assert!(texts(&both).contains(&text), "{text}");
    }
    for text in texts(&of(Languages::English)) {
        assert!(texts(&both).contains(&text), "{text}");
    }
}

/// A study whose every text is out to be markup.
pub(super) fn hostile() -> Simulation {
    const EVIL: &str = "<script>alert(1)</script>|`*_x_*`[a](http://e.org)&amp;\"'";
    let value = EVIL.replace(' ', "");
    let parameters = vec![list("A", &format!("1 {value} 2"), "")];
    let mut spec = spec(space(parameters, &[]), SamplerKind::Grid);
    spec.name = "evil".to_owned();
    spec.steps = vec![measure("measure", 1, &["speed", "quality"])];
    let mut simulation = Simulation::new(spec);
    simulation.run(2, |params| match params.get("A") {
        Some(value) if *value == "1".into() => Does::Runs(vec![(1.0, 1.0)]),
        _ => Does::Runs(vec![(2.0, 1.0)]),
    });
    let advice = Advice {
        question: Question::Params,
        answer: Err(EVIL.to_owned()),
        comment: None,
        refused: vec![EVIL.to_owned()],
        usage: Usage::default(),
    };
    simulation.happen(Event::Advised(Arc::new(advice)));
    let space = simulation.study.spec().space.clone();
    let base = space.baseline().expect("params");
    let params = space.with(&base, "A", &"2".into()).expect("params");
    let advice = Advice {
        question: Question::Params,
        answer: Ok(Answer::Params(params.clone())),
        comment: Some(EVIL.to_owned()),
        refused: Vec::new(),
        usage: Usage {
            requests: 3,
            prompt_tokens: 1000,
            completion_tokens: 200,
        },
    };
    simulation.happen(Event::Advised(Arc::new(advice)));
    let trial = simulation.study.next_id();
    simulation.happen(Event::TrialPlanned {
        trial,
        params,
        origin: Origin::Sampler,
        choice: Some(Box::new(Choice {
            rule: Rule::Advisor { advice: 2 },
            expected: None,
        })),
    });
    let failure = Failure {
        kind: FailureKind::Died,
        step: Some(EVIL.into()),
        ending: None,
        message: EVIL.to_owned(),
        cause: Some(Cause {
            name: EVIL.to_owned(),
            hint: EVIL.to_owned(),
            line: EVIL.to_owned(),
        }),
    };
    simulation.work(trial, &Does::Fails(failure));
    let summary = Advice {
        question: Question::Summary,
        answer: Ok(Answer::Summary(format!("# Done\n\n{EVIL}\n\n- one"))),
        comment: None,
        refused: Vec::new(),
        usage: Usage::default(),
    };
    simulation.happen(Event::Advised(Arc::new(summary)));
    let reason = EVIL.to_owned();
    simulation.happen(Event::Done { reason });
    simulation
}

#[test]
fn hostile_texts_are_no_markup() {
    let page = markdown(&hostile(), Languages::Both);
    let escaped = Regex::new(r"\\.").expect("a pattern");
    let mut in_code = false;
    let mut columns = None;
    for line in page.lines() {
        let is_fence = line.starts_with("```");
        in_code ^= is_fence;
        if in_code || is_fence {
            continue;
        }
        // What a backslash stands before is a letter like any other.
        let bare = escaped.replace_all(line, "");
        for markup in ["<", "](", "`", "://", "&amp", "_x_"] {
            assert!(!bare.contains(markup), "{markup}: {line}");
        }
        // Each row of a table has its columns and no others.
        let count = bare.matches('|').count();
        if bare.starts_with('|') {
            assert_eq!(*columns.get_or_insert(count), count, "{line}");
        } else {
            columns = None;
        }
    }
    // The advisor's words are all quoted.
    assert!(page.contains("\n> \\# Done\n>\n> "), "{page}");
    assert!(page.contains("> \\- one\n"), "{page}");
    assert_snapshot!(markdown(&hostile(), Languages::English));
}

#[test]
fn studies_that_have_not_come_far() {
    let parameters = vec![list("A", "1 2 3", "")];
    let mut simulation = Simulation::new(spec(space(parameters, &[]), SamplerKind::Grid));
    let page = markdown(&simulation, Languages::English);
    assert!(page.contains("Nothing was measured yet."), "{page}");
    simulation.run(1, |_| Does::Runs(vec![(1.0, 0.2)]));
    let page = markdown(&simulation, Languages::English);
    assert!(
        page.contains("No trial keeps all constraints yet."),
        "{page}"
    );
    simulation.run(1, |_| Does::Runs(vec![(1.0, 1.0)]));
    let page = markdown(&simulation, Languages::English);
    assert!(
        page.contains("speed is 0 % better than the baseline's; one of the two"),
        "{page}"
    );
}

/// Fails where an element is not closed, closed twice, or has what no element may
/// have.
pub(super) fn assert_well_formed(page: &str) {
    let tag = Regex::new(r#"<(/?)([a-zA-Z][\w:-]*)((?:\s+[\w:-]+="[^"<]*")*)\s*(/?)>"#);
    let tag = tag.expect("a pattern");
    let entity = Regex::new("&(amp|lt|gt|quot|#39);").expect("a pattern");
    let body = page.strip_prefix("<!DOCTYPE html>").expect("a type");
    // The style is no markup.
    let (head, rest) = body.split_once("<style>").expect("a style");
    let (_, rest) = rest.split_once("</style>").expect("its end");
    let mut open: Vec<&str> = Vec::new();
    for part in [head, rest] {
        for found in tag.captures_iter(part) {
            let name = found.get(2).expect("a name").as_str();
            match (&found[1], &found[4]) {
                ("/", _) => assert_eq!(open.pop(), Some(name), "closes what is not open"),
                (_, "/") => {}
                _ => open.push(name),
            }
        }
        let text = tag.replace_all(part, "");
        assert!(!text.contains(['<', '>']), "{}", text.trim());
        assert!(
            !entity.replace_all(&text, "").contains('&'),
            "{}",
            text.trim()
        );
    }
    assert_eq!(open, [""; 0], "not closed");
}

#[test]
fn pages_are_well_formed_and_need_nothing_else() {
    let links = Regex::new("href=\"([^\"]*)\"").expect("a pattern");
    for languages in Languages::ALL {
        for simulation in [serving(), hostile()] {
            let page = page(&simulation, languages, Format::Html);
            assert_well_formed(&page);
            let lower = page.to_lowercase();
            for reach in [
                "<script", "src=", "@import", "url(", "<link", "<img", "onload=",
            ] {
                assert!(!lower.contains(reach), "{reach}");
            }
            assert!(
                links
                    .captures_iter(&page)
                    .all(|link| link[1].starts_with('#'))
            );
            assert!(!page.contains("hunter2"));
        }
    }
}

#[test]
fn figures_fit_a_page_of_any_width() {
    let page = page(&serving(), Languages::English, Format::Html);
    let count = |part: &str| page.matches(part).count();
    assert!(count("class=\"wide\"") > 2, "{page}");
    assert_eq!(count("class=\"wide\""), count("class=\"narrow\""));
    // What each point is stands in one of the two.
    let title = "<title>5: infeasible 7100; MAX_NUM_SEQS: 512 → 1536</title>";
    let plots = count("<title>speed over the trials</title>");
    assert_eq!(plots, 2);
    let (_, history) = page.split_once("speed over the trials").expect("a plot");
    let (history, _) = history.split_once("</figure>").expect("its end");
    assert_eq!(history.matches(title).count(), 1);
    // The side that misses the bound is shaded, and the bound has its number.
    assert_eq!(count("<rect class=\"missed\""), 2);
    assert!(page.contains("</svg> quality ≥ "), "{page}");
}

#[test]
fn a_range_has_a_spread_in_each_of_its_parts() {
    let parameters = vec![int("LOAD", 1, 1000, Scale::Log, "")];
    let mut spec = spec(space(parameters, &[]), SamplerKind::Random);
    spec.constraints[0].confidence = Finite::new(0.9);
    spec.steps = vec![measure("measure", 1, &["speed", "quality"])];
    let mut simulation = Simulation::new(spec);
    let load = |params: &Params| params.get("LOAD").and_then(|value| value.number());
    simulation.run(60, |params| {
        speed(1000.0 + load(params).expect("a number").ln())
    });
    let english = page(&simulation, Languages::English, Format::Html);
    let (_, panel) = english.split_once("<title>LOAD</title>").expect("a plot");
    let (panel, _) = panel.split_once("</svg>").expect("its end");
    let spreads = panel.matches("class=\"spread\"").count();
    // An upright line and one across for each part.
    assert!((8..=12).contains(&spreads), "{spreads}: {panel}");
    let chinese = page(&simulation, Languages::Chinese, Format::Html);
    assert!(chinese.contains("quality ≥ 0.5（置信度 0.9）"), "{chinese}");
    assert!(!chinese.contains("with confidence"), "{chinese}");
}

#[test]
fn a_page_has_its_figures() {
    let page = page(&serving(), Languages::English, Format::Html);
    for title in [
        "<title>speed over the trials</title>",
        "<title>speed against quality</title>",
        "<title>MAX_NUM_SEQS</title>",
        "<title>The time, from left to right</title>",
        "<title>Where it breaks</title>",
        // One that is hovered over says what it is.
        "<title>5: infeasible 7100; MAX_NUM_SEQS: 512 → 1536</title>",
    ] {
        assert!(page.contains(title), "{title}");
    }
}

/// A study of so many trials.
fn large(trials: usize) -> Simulation {
    let values: Vec<String> = (1..=20).map(|value| value.to_string()).collect();
    let values = values.join(" ");
    let names = [
        "GPU_MEMORY",
        "MAX_NUM_SEQS",
        "MAX_NUM_BATCHED_TOKENS",
        "BLOCK_SIZE",
    ];
    let parameters = names.map(|name| list(name, &values, "")).into();
    let mut spec = spec(space(parameters, &[]), SamplerKind::Grid);
    spec.steps = vec![measure("measure", 2, &["speed", "quality"])];
    let mut simulation = Simulation::new(spec);
    let number = |params: &Params, name: &str| {
        params
            .get(name)
            .and_then(|value| value.number())
            .expect("a number")
    };
    simulation.run(trials, |params| {
        let speed = number(params, "BLOCK_SIZE") * 10.0 + number(params, "MAX_NUM_BATCHED_TOKENS");
        match number(params, "BLOCK_SIZE") as u32 % 7 {
            3 => fails(),
            _ => Does::Runs(vec![(speed, 0.4 + speed / 1000.0), (speed + 0.5, 0.6)]),
        }
    });
    simulation
}

#[test]
fn a_page_of_a_thousand_trials_is_below_a_megabyte() {
    let mut simulation = large(1000);
    let told = |trial: TrialId, at: u32| Event::RunTold {
        trial,
        told: Told {
            step: "measure".into(),
            run: 1,
            sitting: 1,
            at: finite(at.into()),
            of: None,
            metrics: vec![
                ("loss".into(), finite(1.0 / f64::from(at))),
                (
                    "eval_loss".into(),
                    finite(f64::from(trial.0 % 7) / f64::from(at)),
                ),
            ]
            .into(),
        },
    };
    for number in 1..=1000 {
        for at in 1..=100 {
            simulation.happen(told(TrialId(number), at));
        }
    }
    let page = page(&simulation, Languages::Both, Format::Html);
    assert!(page.contains("绘出 40 条"), "bounded");
    assert_well_formed(&page);
    assert!(page.len() < 1 << 20, "{} bytes", page.len());
}

#[test]
fn a_failure_is_told_in_both_languages_and_the_programs_words_once() {
    let chinese = markdown(&died(), Languages::Chinese);
    assert!(
        chinese.contains("就绪前以退出码 1 退出：“Traceback: boom”"),
        "{chinese}"
    );
    let both = markdown(&died(), Languages::Both);
    let told = "就绪前以退出码 1 退出 / exited with code 1 before it was ready: Traceback: boom";
    assert!(both.contains(told), "{both}");
}

/// A study whose one trial died.
fn died() -> Simulation {
    let parameters = vec![list("A", "1 2", "")];
    let mut simulation = Simulation::new(spec(space(parameters, &[]), SamplerKind::Grid));
    simulation.run(1, |_| {
        let died = reason::DIED_UNREADY.say([&Ending::Exited(1)]);
        Does::Fails(Failure {
            kind: FailureKind::Died,
            step: Some("serve".into()),
            ending: Some(Ending::Exited(1)),
            message: format!("{died}: Traceback: boom"),
            cause: None,
        })
    });
    simulation
}
