use super::*;
use crate::ctl::changes::Heard;
use crate::ctl::top::link::Update;
use crate::ctl::top::samples::{NOW, change, pong, status, study, told};
use crate::wire::reply::{Pong, Proposal, Status};

fn press(view: &mut View, study: &mut Study, key: char) -> Action {
    let event = KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE);
    view.take(&Event::Key(event), study)
}

fn control(view: &mut View, study: &mut Study, key: char) -> Action {
    let event = KeyEvent::new(KeyCode::Char(key), KeyModifiers::CONTROL);
    view.take(&Event::Key(event), study)
}

#[test]
fn nothing_changes_without_a_yes() {
    let mut study = study();
    study.take(told(Status {
        proposal: Some(Proposal {
            number: 3,
            parameter: Some("BATCH".to_owned()),
            against: None,
            changes: vec![change("BATCH", "128")],
            since: NOW,
            until: None,
            then: None,
        }),
        ..status()
    }));
    let reject = |end| Steer::Reject {
        number: Some(3),
        end,
    };
    let approve = Steer::Approve {
        number: Some(3),
        instead: Instead::Nothing,
    };
    let cases = [
        ('p', 'y', Steer::Pause { now: false }),
        ('p', 'i', Steer::Pause { now: true }),
        ('r', 'y', Steer::Resume),
        ('x', 'y', Steer::Skip(Some(14))),
        ('a', 'y', approve),
        ('d', 'y', reject(End::Proposal)),
        ('d', 'v', reject(End::Parameter)),
        ('d', 'e', reject(End::Study)),
    ];
    for (key, yes, steer) in cases {
        for other in ['n', 'q', ' ', key, 'Y'] {
            let mut view = View::default();
            assert_eq!(press(&mut view, &mut study, key), Action::Show);
            assert!(view.question.is_some(), "{key}");
            assert_eq!(
                press(&mut view, &mut study, other),
                Action::Show,
                "{key}{other}"
            );
            assert_eq!(view.said.as_deref(), Some("nothing is done"));
            assert_eq!(press(&mut view, &mut study, yes), Action::Show, "too late");
        }
        let mut view = View::default();
        press(&mut view, &mut study, key);
        assert_eq!(press(&mut view, &mut study, yes), Action::Steer(steer));
        assert_eq!(view.question, None);
    }
}

#[test]
fn ctrl_c_ends_it_whatever_is_shown() {
    for keys in ["", "p", "/", "?", "2"] {
        let (mut view, mut study) = (View::default(), study());
        for key in keys.chars() {
            press(&mut view, &mut study, key);
        }
        assert_eq!(control(&mut view, &mut study, 'c'), Action::Quit, "{keys}");
        assert_eq!(control(&mut view, &mut study, 'z'), Action::Stop);
    }
    let (mut view, mut study) = (View::default(), study());
    assert_eq!(press(&mut view, &mut study, 'q'), Action::Quit);
    // Where words are typed, it is a letter.
    press(&mut view, &mut study, '/');
    assert_eq!(press(&mut view, &mut study, 'q'), Action::Show);
    assert_eq!(view.words, "q");
}

#[test]
fn what_cannot_be_done_is_said_and_not_asked() {
    let (mut view, mut study) = (View::default(), study());
    press(&mut view, &mut study, 'a');
    assert_eq!(view.said.as_deref(), Some("nothing waits for approval"));
    study.take(Update::Heard(Heard::Met(Pong {
        may_steer: false,
        ..pong()
    })));
    for key in ['p', 'r', 'x', 'a', 'd'] {
        press(&mut view, &mut study, key);
        assert_eq!(view.question, None);
        assert!(
            view.said
                .as_deref()
                .is_some_and(|said| said.contains("may look"))
        );
    }
    study.take(Update::Note("gone".to_owned()));
    press(&mut view, &mut study, 'p');
    assert_eq!(view.said.as_deref(), Some("the daemon does not answer"));
}

#[test]
fn it_is_the_chosen_trial_that_is_skipped_where_that_can_be() {
    let (mut view, mut study) = (View::default(), study());
    // One that is over is not meant.
    view.chosen = Some(3);
    press(&mut view, &mut study, 'x');
    let trial = |view: &View| view.question.as_ref().map(|q| q.answers[0].2.clone());
    assert_eq!(trial(&view), Some(Steer::Skip(Some(14))));
    view.question = None;
    let mut waits = study.rows[13].clone();
    (waits.trial, waits.outcome) = (15, "planned".to_owned());
    study.rows.push(waits);
    view.chosen = Some(15);
    press(&mut view, &mut study, 'x');
    assert_eq!(trial(&view), Some(Steer::Skip(Some(15))));
}

#[test]
fn pages_are_turned_and_gone_back_from() {
    let (mut view, mut study) = (View::default(), study());
    let tab = Event::Key(KeyEvent::new(KeyCode::Tab, KeyModifiers::NONE));
    for page in [Page::Trials, Page::Log, Page::Parameters, Page::Overview] {
        view.take(&tab, &mut study);
        assert_eq!(view.page, page);
    }
    press(&mut view, &mut study, '2');
    let key = |code| Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
    view.take(&key(KeyCode::Enter), &mut study);
    assert_eq!(view.page, Page::Trial(14), "the first of the table");
    press(&mut view, &mut study, '?');
    view.take(&key(KeyCode::Esc), &mut study);
    assert_eq!(view.page, Page::Trials);
    view.take(&key(KeyCode::End), &mut study);
    assert_eq!(view.chosen, Some(1));
    view.take(&key(KeyCode::Home), &mut study);
    assert_eq!(view.chosen, Some(14));
}
