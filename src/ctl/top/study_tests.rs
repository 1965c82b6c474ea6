use super::*;
use crate::ctl::top::samples::{event, page, pong, row, rows, status, study, told};
use crate::wire::reply::Phase;

/// Everything that is asked for until nothing is stale, answered by `rows`.
fn settle(study: &mut Study, rows: &[TrialRow]) -> Vec<Request> {
    let mut asked = Vec::new();
    while let Some(request) = study.next_request(true) {
        asked.push(request.clone());
        assert!(asked.len() < 100, "{asked:?}");
        match &request {
            Request::Status => study.take(told(status())),
            Request::Trials(query) => {
                let first = query.offset as usize;
                let most = (query.limit as usize).min(10);
                let part = rows.iter().skip(first).take(most).cloned().collect();
                let Update::Answer(_, answer) = page(part, query.offset, rows.len() as u32) else {
                    panic!("no answer");
                };
                study.take(Update::Answer(request.clone(), answer));
            }
            _ => {}
        }
    }
    asked
}

fn many(count: u32) -> Vec<TrialRow> {
    (1..=count)
        .map(|trial| row(trial, "complete", Some(1.0)))
        .collect()
}

#[test]
fn all_trials_are_read_page_by_page_and_then_what_changes() {
    let mut study = Study::default();
    assert_eq!(study.next_request(true), None);
    study.take(Update::Heard(Heard::Met(pong())));
    assert_eq!(
        study.next_request(false),
        Some(super::page(0, u32::MAX)),
        "it may not be told"
    );
    let all = many(35);
    let asked = settle(&mut study, &all);
    assert_eq!(asked.len(), 5, "the status and 4 pages: {asked:?}");
    assert_eq!(study.rows, all);
    // One that has changed alone, one that is new, and one after a gap.
    study.take(event(8, "run-ended", 7));
    assert_eq!(
        settle(&mut study, &all),
        [Request::Status, super::page(6, 1)]
    );
    let all = many(36);
    study.take(event(9, "trial-planned", 36));
    assert_eq!(
        settle(&mut study, &all),
        [Request::Status, super::page(35, 1)]
    );
    assert_eq!(study.rows.len(), 36);
    let all = many(40);
    study.take(event(10, "trial-planned", 40));
    assert_eq!(
        settle(&mut study, &all),
        [Request::Status, super::page(36, u32::MAX)]
    );
    assert_eq!(study.rows, all);
}

#[test]
fn what_judges_all_trials_has_all_read_again() {
    let mut study = Study::default();
    study.take(Update::Heard(Heard::Met(pong())));
    let all = many(5);
    settle(&mut study, &all);
    study.take(event(8, "spec-amended", 0));
    assert!(settle(&mut study, &all).contains(&super::page(0, u32::MAX)));
    // The end of a sitting only after a while: it happens often.
    study.take(event(9, "sitting-ended", 2));
    assert!(study.wants_importance());
    assert_eq!(
        settle(&mut study, &all),
        [Request::Status, super::page(1, 1)]
    );
    study.doubt();
    assert_eq!(
        settle(&mut study, &all),
        [Request::Status, super::page(0, u32::MAX)]
    );
    study.doubt();
    assert_eq!(settle(&mut study, &all), [Request::Status]);
    // A refusal ends what would be asked for ever.
    study.take(event(10, "spec-reloaded", 0));
    assert_eq!(study.next_request(true), Some(Request::Status));
    let request = study.next_request(true).expect("a page");
    study.take(Update::Answer(request, Err(Trouble::OffTopic)));
    assert_eq!(study.next_request(true), None);
}

#[test]
fn times_go_on_while_somebody_answers() {
    let mut study = study();
    study.age = Duration::from_secs(60);
    let now = study.status().expect("known");
    assert_eq!(now.now, status().now + 60_000);
    assert_eq!(now.busy, status().busy + 60_000);
    assert_eq!(now.left, Some(1_740_000));
    assert!(study.has_timers());
    study.take(Update::Note("the daemon has gone".to_owned()));
    assert_eq!(study.status(), Some(status()));
    assert!(!study.has_timers());
    study.take(Update::Heard(Heard::Met(pong())));
    assert_eq!(study.trouble, None);
    let mut idle = status();
    (idle.running, idle.phase) = (None, Phase::Active);
    study.take(told(idle));
    assert!(!study.has_timers(), "nothing moves");
}

#[test]
fn logs_are_kept_line_by_line() {
    let mut study = study();
    let source = study.source(14).expect("it runs");
    let piece = |sitting, offset, bytes: &[u8]| {
        Update::Log(LogPiece {
            step: "eval".to_owned(),
            sitting,
            offset,
            bytes: bytes.to_vec(),
        })
    };
    study.log.turn_to(Some(source));
    // It begins in the midst of a line; a character comes in two pieces.
    study.take(piece(1, 900, b"lf a line\nwhole\n\xe4\xb8"));
    study.take(piece(1, 919, b"\xad\nend"));
    study.take(piece(2, 0, b"another sitting\n"));
    assert_eq!(study.log.last(9, 0), ["whole", "中", "end"]);
    assert_eq!(study.log.last(2, 0), ["中", "end"]);
    assert_eq!(study.log.last(2, 1), ["whole", "中"]);
    assert_eq!(study.log.last(2, 9), ["whole", "中"]);
    study.take(piece(1, 923, &[b'x'; 3 * LONGEST]));
    assert_eq!(study.log.len(), 6);
    for _ in 0..2 * LINES {
        study.take(piece(1, 0, b"more\n"));
    }
    assert_eq!(study.log.len(), LINES);
    assert_eq!(shown(b" 1%\r50%\r99%\r"), "99%");
    assert_eq!(shown(b"a\tb\x1b[1;31mred\x1b[0m"), "a    bred");
}

#[test]
fn the_log_is_that_of_the_step_that_runs() {
    let mut study = study();
    assert_eq!(
        study.source(14).map(|source| source.step),
        Some("eval".to_owned())
    );
    assert_eq!(study.source(3), None, "it does not run");
    let mut now = status();
    if let Some(running) = &mut now.running {
        running.doing = Doing::Ending;
    }
    study.take(told(now.clone()));
    // The last one stays.
    assert_eq!(
        study.source(14).map(|source| source.step),
        Some("eval".to_owned())
    );
    if let Some(running) = &mut now.running {
        running.sitting = 2;
    }
    study.take(told(now));
    assert_eq!(
        study.source(14),
        None,
        "another sitting has said nothing yet"
    );
    assert_eq!(study.rows, rows());
}

#[test]
fn what_is_lost_is_not_asked_for_without_a_break() {
    let mut study = study();
    study.stale.rest = Some(0);
    let Some(request) = study.next_request(false) else {
        panic!("nothing is asked for");
    };
    let lost = Trouble::Wire(WireError::Closed);
    study.take(Update::Answer(request.clone(), Err(lost)));
    assert_eq!(study.next_request(false), None);
    study.doubt();
    assert_eq!(study.next_request(false), Some(request));
}
