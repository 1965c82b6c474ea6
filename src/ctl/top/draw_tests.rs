use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::*;
use crate::ctl::top::link::Update;
use crate::ctl::top::samples::{NOW, change, row, rows, running, status, study, told};
use crate::wire::reply::{Phase, Proposal, Slot, Status};

const PLAIN: Look = Look { color: false };

/// What is drawn, with what is set off by other means than its characters.
fn drawn(study: &Study, view: &mut View, size: (u16, u16), look: Look) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).expect("a terminal");
    terminal
        .draw(|frame| draw(frame, study, view, look))
        .expect("drawn");
    terminal.backend().buffer().clone()
}

fn lines(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in 0..buffer.area.height {
        let mut line = String::new();
        let mut skip = 0;
        for x in 0..buffer.area.width {
            let symbol = buffer[(x, y)].symbol();
            // What is behind the first half of a wide character.
            if skip == 0 {
                line += symbol;
            }
            skip = width(symbol).max(skip).saturating_sub(1);
        }
        assert!(width(&line) == usize::from(buffer.area.width), "{line:?}");
        text += &format!("|{}|\n", line);
    }
    text
}

fn shown(study: &Study, view: &mut View, columns: u16, rows: u16) -> String {
    lines(&drawn(study, view, (columns, rows), PLAIN))
}

fn press(view: &mut View, study: &mut Study, keys: &str) {
    for key in keys.chars() {
        let code = match key {
            '\n' => KeyCode::Enter,
            key => KeyCode::Char(key),
        };
        let event = Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
        view.take(&event, study);
    }
}

#[test]
fn all_of_it_at_the_usual_size() {
    insta::assert_snapshot!(shown(&study(), &mut View::default(), 80, 24));
}

#[test]
fn all_of_it_on_a_large_terminal() {
    insta::assert_snapshot!(shown(&study(), &mut View::default(), 120, 40));
}

#[test]
fn a_narrow_one_has_no_room_beside_the_plot() {
    insta::assert_snapshot!(shown(&study(), &mut View::default(), 60, 16));
}

#[test]
fn a_small_one_is_told_so() {
    insta::assert_snapshot!(shown(&study(), &mut View::default(), 40, 12));
    for size in [(1, 1), (5, 2), (59, 16), (60, 15), (200, 3), (3, 200)] {
        let drawn = shown(&study(), &mut View::default(), size.0, size.1);
        assert!(!drawn.contains("TRIAL"), "{size:?}");
    }
}

#[test]
fn chinese_takes_two_columns() {
    let mut study = study();
    let mut now = status();
    now.study = "中文研究-很长的名字".to_owned();
    now.objective.metric = "吞吐量".to_owned();
    let mut one = running(14, "评测");
    one.changes = vec![change("批大小", "六十四"), change("模型", "千问")];
    now.running = Some(one);
    study.take(told(now));
    let mut all = rows();
    for row in &mut all {
        row.changes = vec![
            change("批大小", "六十四"),
            change("最大长度", "一千零二十四"),
        ];
    }
    study.rows = all;
    crate::ctl::top::samples::log(
        &mut study,
        14,
        "模型加载完毕,开始评测:共一百条,预计需要三分钟左右,请耐心等待,不要关闭终端窗口\n完成\n",
    );
    insta::assert_snapshot!(shown(&study, &mut View::default(), 80, 24));
}

#[test]
fn without_colour_nothing_is_told_by_colour() {
    let buffer = drawn(&study(), &mut View::default(), (80, 24), PLAIN);
    assert!(
        buffer
            .content
            .iter()
            .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
    );
    let buffer = drawn(
        &study(),
        &mut View::default(),
        (80, 24),
        Look { color: true },
    );
    let colours = [Color::Green, Color::Red, Color::Yellow, Color::Cyan];
    let used = |color| buffer.content.iter().any(|cell| cell.fg == color);
    assert!(colours.into_iter().all(used), "each has its place");
    let known = |color| color == Color::Reset || colours.contains(&color);
    assert!(
        buffer
            .content
            .iter()
            .all(|cell| known(cell.fg) && known(cell.bg))
    );
}

#[test]
fn several_running_trials_have_a_line_each() {
    let mut study = study();
    let mut now = status();
    now.beside = vec![running(15, "train"), running(16, "serve")];
    now.slots = vec![Slot {
        name: "gpu3".to_owned(),
        trial: None,
        idle: Some("its port is taken".to_owned()),
    }];
    study.take(told(now));
    let mut view = View::default();
    press(&mut view, &mut study, "w3");
    assert_eq!(view.watched_of(&study), Some(15));
    insta::assert_snapshot!(shown(&study, &mut view, 80, 24));
}

#[test]
fn what_is_asked_and_said_stands_at_the_bottom() {
    let mut study = study();
    let mut view = View::default();
    press(&mut view, &mut study, "p");
    let asked = shown(&study, &mut view, 80, 24);
    let asked: Vec<&str> = asked.lines().skip(21).collect();
    insta::assert_snapshot!(asked.join("\n"));
    press(&mut view, &mut study, "n");
    assert!(shown(&study, &mut view, 80, 24).contains("nothing is done"));
    press(&mut view, &mut study, "a");
    assert!(shown(&study, &mut view, 80, 24).contains("nothing waits for approval"));
    study.take(Update::Note(
        "the daemon has gone; waiting for it".to_owned(),
    ));
    let both = shown(&study, &mut view, 80, 24);
    assert!(both.contains("nothing waits for approval"), "{both}");
    assert!(both.contains("the daemon has gone"), "{both}");
    press(&mut view, &mut study, "1");
    let gone = shown(&study, &mut view, 80, 24);
    assert!(gone.contains("the daemon has gone"), "{gone}");
    // Its last state stays to be read.
    assert!(gone.contains("qwen-serving"), "{gone}");
}

#[test]
fn a_proposal_is_shown_first() {
    let mut study = study();
    let proposal = Proposal {
        number: 3,
        parameter: Some("BATCH".to_owned()),
        against: Some(12),
        changes: vec![change("BATCH", "128")],
        since: NOW - 5000,
        until: None,
        then: None,
    };
    study.take(told(Status {
        running: None,
        phase: Phase::AwaitingApproval,
        proposal: Some(proposal),
        ..status()
    }));
    let mut view = View::default();
    press(&mut view, &mut study, "d");
    insta::assert_snapshot!(shown(&study, &mut view, 80, 24));
}

#[test]
fn nothing_is_known_at_first() {
    insta::assert_snapshot!(shown(&Study::default(), &mut View::default(), 80, 24));
    for key in ["2", "3", "4", "?", "2\n"] {
        let mut view = View::default();
        let mut study = Study::default();
        press(&mut view, &mut study, key);
        shown(&study, &mut view, 80, 24);
    }
}

#[test]
fn the_table_is_sorted_kept_to_some_and_gone_through() {
    let mut study = study();
    let mut view = View::default();
    press(&mut view, &mut study, "2s");
    insta::assert_snapshot!("best_first", shown(&study, &mut view, 80, 24));
    press(&mut view, &mut study, "jjj");
    assert_eq!(view.chosen, Some(13));
    press(&mut view, &mut study, "ffff");
    let failed = shown(&study, &mut view, 80, 24);
    assert!(failed.contains("best first, failed: 2 of 14"), "{failed}");
    press(&mut view, &mut study, "ff/batch=96\n");
    let found = shown(&study, &mut view, 80, 24);
    assert!(found.contains("with batch=96: 1 of 14"), "{found}");
    press(&mut view, &mut study, "\n");
    assert_eq!(view.page, Page::Trial(12));
}

#[test]
fn the_keys_are_all_there() {
    let mut view = View::default();
    press(&mut view, &mut study(), "?");
    insta::assert_snapshot!(shown(&study(), &mut view, 80, 32));
}

#[test]
fn any_size_and_page_is_drawn() {
    let mut study = study();
    study.age = Duration::from_secs(3);
    for page in ["1", "2", "3", "4", "?", "2\n", "p", "/模型"] {
        let mut view = View::default();
        press(&mut view, &mut study, page);
        for columns in [60, 61, 79, 80, 81, 97, 300] {
            for rows in [16, 17, 24, 31, 100] {
                shown(&study, &mut view, columns, rows);
            }
        }
    }
}

#[test]
fn of_very_many_trials_the_best_are_drawn() {
    let mut study = study();
    let row = |trial: u32| {
        let mean = f64::from(100 + trial % 50);
        match trial % 3 {
            0 => row(trial, "infeasible", Some(mean)),
            _ => row(trial, "complete", Some(mean)),
        }
    };
    study.rows = (1..=3000).map(row).collect();
    let text = shown(&study, &mut View::default(), 80, 24);
    assert!(text.contains("is better: best of each 69"), "{text}");
    let marks = text
        .lines()
        .skip(6)
        .take(6)
        .flat_map(|line| line.chars().take(48));
    let marks = marks.filter(|mark| matches!(mark, 'o' | 'x')).count();
    // A column has one of each at most.
    assert!((36..=88).contains(&marks), "{marks}: {text}");
}

#[test]
fn of_very_many_trials_what_is_not_drawn_takes_no_room() {
    let mut study = study();
    // The best of each column lie between 450 and 499, all others far below.
    let row = |trial: u32| match trial % 60 {
        0 => row(trial, "complete", Some(f64::from(450 + trial / 60))),
        7 => row(trial, "failed", None),
        _ => row(trial, "complete", Some(f64::from(trial % 40))),
    };
    study.rows = (1..=3000).map(row).collect();
    study.rows[0].is_baseline = true;
    insta::assert_snapshot!(shown(&study, &mut View::default(), 80, 24));
}
