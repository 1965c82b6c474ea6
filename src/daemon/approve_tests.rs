//! Proposals that wait for approval: who answers, when, and what disturbs it.

use super::*;
use crate::model::approval::{Approval, Approve, By, Ends, Overdue};
use crate::wire::reply::{Ended, Refusal};
use crate::wire::request::{End, Instead};

/// Two parameters, and somebody to ask.
fn cautious(of: Approve) -> Table {
    let mut spec = spec();
    let lists = vec![
        simulation::list("N", "1 2 3", ""),
        simulation::list("M", "1 2", ""),
    ];
    spec.space = simulation::space(lists, &[]);
    spec.approval.of = of;
    let mut table = Table::new(spec);
    table.state.company.served = true;
    table
}

const MINUTE: i64 = 60_000;

impl Table {
    /// Does what the effects say until somebody or something is waited for.
    fn settle(&mut self, effects: &[Effect]) {
        let mut effects = effects.to_vec();
        while effects.contains(&Effect::Ask) {
            let asked = ask(&self.state.study);
            effects = self.take(asked);
        }
    }

    /// Finishes the running trial.
    fn finish(&mut self, speed: f64) {
        let running = self.state.study.running().expect("something runs");
        let sitting = running.running().expect("it sits").number;
        let trial = running.id;
        (1..=2).for_each(|number| drop(self.measured(trial.0, number, speed)));
        let result = SittingResult::Good;
        let over = Input::SittingOver {
            trial,
            sitting,
            result,
        };
        let effects = self.take(over);
        self.settle(&effects);
    }

    fn start(&mut self) {
        let effects = self.begin();
        self.settle(&effects);
    }

    /// The baseline is done, and something is proposed.
    fn proposing(of: Approve) -> Self {
        let mut table = cautious(of);
        table.start();
        table.finish(10.0);
        table
    }

    /// What waits, and its parameter.
    fn proposed(&self) -> Option<(u32, String, Option<String>)> {
        let proposal = &self.state.study.pending()?.proposal;
        let parameter = proposal.parameter.as_ref().map(ToString::to_string);
        Some((proposal.number, proposal.params.key(), parameter))
    }

    fn key(&self) -> String {
        let proposed = self.proposed();
        proposed.map_or("nothing".to_owned(), |(_, key, _)| key)
    }

    fn wish(&mut self, steer: Steer) -> Reply {
        let (reply, mut answer) = oneshot::channel();
        let by = By::User {
            uid: 7,
            name: Some("alice".into()),
        };
        let context = Context {
            now: Timestamp::from_millis(3_000),
            token: "0123456789abcdef",
            boot_id: "boot",
        };
        let decision = decide(
            &mut self.state,
            Input::Request { steer, by, reply },
            &context,
        );
        for fact in &decision.facts {
            let study = Arc::make_mut(&mut self.state.study);
            study.apply(fact).expect("a fact that fits");
        }
        let (to, reply) = decision.answer.expect("an answer");
        to.send(reply).expect("it is waited for");
        self.settle(&decision.effects);
        answer.try_recv().expect("sent")
    }

    fn approve(&mut self, instead: Instead) -> Reply {
        let number = None;
        self.wish(Steer::Approve { number, instead })
    }

    fn reject(&mut self, end: End) -> Reply {
        self.wish(Steer::Reject { number: None, end })
    }

    fn runs(&self) -> Option<String> {
        let running = self.state.study.running()?;
        Some(running.params.key())
    }

    fn wait_until(&mut self, at: i64) -> Vec<Effect> {
        let context = Context {
            now: Timestamp::from_millis(at),
            token: "0123456789abcdef",
            boot_id: "boot",
        };
        let decision = decide(&mut self.state, Input::Overdue, &context);
        for fact in &decision.facts {
            let study = Arc::make_mut(&mut self.state.study);
            study.apply(fact).expect("a fact that fits");
        }
        self.settle(&decision.effects);
        decision.effects
    }
}

fn refusal(reply: Reply) -> Refusal {
    match reply {
        Reply::Refused(refusal) => refusal,
        other => panic!("{other:?}"),
    }
}

fn value(text: &str) -> Instead {
    Instead::Value(text.to_owned())
}

#[test]
fn nothing_but_the_baseline_runs_unasked() {
    let mut table = cautious(Approve::Trial);
    table.start();
    assert_eq!(table.runs().as_deref(), Some("M=1|N=1"), "the baseline");
    assert_eq!(
        refusal(table.approve(Instead::Nothing)),
        Refusal::NothingProposed
    );
    table.finish(10.0);
    assert_eq!(table.runs(), None);
    let first = (1, "M=1|N=2".to_owned(), Some("N".to_owned()));
    assert_eq!(table.proposed(), Some(first));
    assert_eq!(*table.phase(), Phase::AwaitingApproval);
    let answer = Accepted::Approved {
        proposal: 1,
        trial: 2,
        running: None,
        beside: Vec::new(),
        paused: false,
    };
    assert_eq!(table.approve(Instead::Nothing), Reply::Accepted(answer));
    assert_eq!(table.runs().as_deref(), Some("M=1|N=2"));
    assert_eq!(*table.phase(), Phase::Active);
    let trial = table.state.study.running().expect("it runs");
    assert_eq!(trial.origin, Origin::Sampler);
    assert!(trial.choice.is_some());
    table.finish(10.0);
    assert_eq!(table.proposed().map(|(number, ..)| number), Some(2));
}

#[test]
fn a_value_takes_the_place_of_the_proposed_one() {
    let mut table = Table::proposing(Approve::Trial);
    let Refusal::BadParams(why) = refusal(table.approve(value("4"))) else {
        panic!("4 is no value");
    };
    assert!(why[0].contains("choose one of 1, 2, 3"), "{why:?}");
    let tried = refusal(table.approve(value("1")));
    assert_eq!(tried, Refusal::TriedAlready(1));
    assert_eq!(table.key(), "M=1|N=2", "it still waits");
    table.approve(value("3"));
    assert_eq!(table.runs().as_deref(), Some("M=1|N=3"));
    let trial = table.state.study.running().expect("it runs");
    assert_eq!(trial.origin, Origin::User);
    table.finish(20.0);
    // N=2 is not proposed again, and M goes on from what the user has found.
    assert_eq!(table.key(), "M=2|N=3");
    let given = vec![
        ("N".to_owned(), "2".to_owned()),
        ("X".to_owned(), "2".to_owned()),
    ];
    let unknown = refusal(table.approve(Instead::Values(given.clone())));
    assert!(matches!(unknown, Refusal::BadParams(_)), "{unknown:?}");
    table.approve(Instead::Values(given[..1].to_vec()));
    assert_eq!(table.runs().as_deref(), Some("M=2|N=2"));
}

#[test]
fn what_is_rejected_is_never_proposed_again() {
    for sampler in SamplerKind::ALL {
        let mut table = cautious(Approve::Trial);
        let mut spec = Spec::clone(table.state.study.spec());
        spec.search.sampler = sampler;
        spec.search.passes = 3;
        table.state.study = Arc::new(Study::new(Arc::new(spec)));
        table.start();
        table.finish(10.0);
        let mut seen = vec!["M=1|N=1".to_owned()];
        while let Some((_, key, _)) = table.proposed() {
            assert!(!seen.contains(&key), "{sampler:?} proposes {key} again");
            seen.push(key);
            assert!(matches!(table.reject(End::Proposal), Reply::Accepted(_)));
        }
        assert!(matches!(table.phase(), Phase::Done(_)), "{sampler:?}");
        assert_eq!(table.state.study.trials().len(), 1);
        let all = if sampler.goes_by_parameter() { 4 } else { 6 };
        assert_eq!(seen.len(), all, "{sampler:?}: {seen:?}");
    }
}

#[test]
fn a_parameter_is_ended_and_a_study() {
    let mut table = Table::proposing(Approve::Trial);
    let ended = Ended::Parameter("N".to_owned());
    let answer = Accepted::Rejected {
        proposal: 1,
        ended,
        paused: false,
    };
    assert_eq!(table.reject(End::Parameter), Reply::Accepted(answer));
    assert!(table.state.study.is_ended("N"));
    assert_eq!(table.key(), "M=2|N=1", "the next parameter");
    table.reject(End::Study);
    assert!(
        matches!(table.phase(), Phase::Done(_)),
        "{:?}",
        table.phase()
    );
    assert_eq!(
        refusal(table.approve(Instead::Nothing)),
        Refusal::NothingProposed
    );
    // A service that starts again stays done; its owner resumes it.
    table.state.company.stay = true;
    table.start();
    assert!(
        matches!(table.phase(), Phase::Done(_)),
        "{:?}",
        table.phase()
    );
    assert_eq!(
        table.wish(Steer::Resume),
        Reply::Accepted(Accepted::Resumed)
    );
    assert_eq!(table.key(), "M=2|N=1", "as it was");
    table.reject(End::Study);
    // Where nobody can resume it, starting it does.
    table.state.company.stay = false;
    table.start();
    assert_eq!(table.key(), "M=2|N=1", "as it was");
}

#[test]
fn without_an_order_there_is_no_parameter_to_end() {
    let mut table = cautious(Approve::Parameter);
    let mut spec = Spec::clone(table.state.study.spec());
    spec.search.sampler = SamplerKind::Grid;
    table.state.study = Arc::new(Study::new(Arc::new(spec)));
    table.start();
    table.finish(10.0);
    let no_order = Refusal::NoOrder("grid".to_owned());
    assert_eq!(refusal(table.reject(End::Parameter)), no_order);
    let mut several = 0;
    while let Some((_, key, parameter)) = table.proposed() {
        assert_eq!(parameter, None, "each is asked about");
        if key == "M=2|N=3" {
            let names = vec!["M".to_owned(), "N".to_owned()];
            let refused = refusal(table.approve(value("1")));
            assert_eq!(refused, Refusal::SeveralParameters(names));
            several += 1;
        }
        table.approve(Instead::Nothing);
        table.finish(5.0);
    }
    assert_eq!((several, table.state.study.trials().len()), (1, 6));
}

#[test]
fn another_parameter_is_asked_about_once() {
    let mut table = Table::proposing(Approve::Parameter);
    assert_eq!(table.key(), "M=1|N=2", "the first one is another, too");
    assert!(!table.state.study.stays_with_parameter());
    table.approve(Instead::Nothing);
    table.finish(10.0);
    assert_eq!(table.runs().as_deref(), Some("M=1|N=3"), "the same one");
    table.finish(10.0);
    assert_eq!(table.key(), "M=2|N=1", "another");
    assert_eq!(*table.phase(), Phase::AwaitingApproval);
}

#[test]
fn a_restart_goes_on_with_the_same_proposal() {
    let mut table = Table::proposing(Approve::Trial);
    let before = table.proposed();
    let effects = table.begin();
    assert_eq!(effects, [], "nobody is asked anew");
    assert_eq!(
        (table.proposed(), table.phase()),
        (before, &Phase::AwaitingApproval)
    );
    table.approve(Instead::Nothing);
    assert_eq!(table.runs().as_deref(), Some("M=1|N=2"));
}

#[test]
fn another_number_answers_nothing() {
    let mut table = Table::proposing(Approve::Trial);
    let number = Some(2);
    let instead = Instead::Nothing;
    let refused = refusal(table.wish(Steer::Approve { number, instead }));
    assert_eq!(refused, Refusal::OtherProposal(1));
    let end = End::Proposal;
    let refused = refusal(table.wish(Steer::Reject { number, end }));
    assert_eq!(refused, Refusal::OtherProposal(1));
    assert_eq!(table.key(), "M=1|N=2");
}

#[test]
fn time_runs_out_for_an_answer() {
    for overdue in Overdue::ALL {
        let mut table = cautious(Approve::Trial);
        let mut spec = Spec::clone(table.state.study.spec());
        let timeout = Some(Duration::from_secs(60));
        spec.approval = Approval {
            of: Approve::Trial,
            timeout,
            overdue,
        };
        table.state.study = Arc::new(Study::new(Arc::new(spec)));
        table.start();
        table.finish(10.0);
        let asked = table.state.study.pending().expect("it waits").since;
        let until = asked.as_millis() + MINUTE;
        let due = super::approve::due(&table.state);
        assert_eq!(due, Some(Timestamp::from_millis(until)));
        assert_eq!(table.wait_until(until - 1), [], "not yet");
        assert_eq!(table.key(), "M=1|N=2");
        table.wait_until(until);
        match overdue {
            Overdue::Approve => assert_eq!(table.runs().as_deref(), Some("M=1|N=2")),
            Overdue::Reject => assert_eq!(table.key(), "M=1|N=3"),
            Overdue::Pause => {
                assert!(matches!(table.phase(), Phase::Paused(_)));
                assert_eq!(super::approve::due(&table.state), None);
                table.state.company.stay = true;
                table.wish(Steer::Resume);
                assert_eq!(*table.phase(), Phase::AwaitingApproval);
                // Resumed at 3 s: the minute begins anew.
                let due = super::approve::due(&table.state);
                assert_eq!(due, Some(Timestamp::from_millis(3_000 + MINUTE)));
            }
        }
    }
}

#[test]
fn a_pause_is_a_pause_and_the_answer_is_kept() {
    let mut table = Table::proposing(Approve::Trial);
    table.wish(Steer::Pause { now: false });
    assert!(table.state.study.paused_by_user());
    let paused = table.approve(Instead::Nothing);
    let answer = |paused| Accepted::Approved {
        proposal: 1,
        trial: 2,
        running: None,
        beside: Vec::new(),
        paused,
    };
    assert_eq!(paused, Reply::Accepted(answer(true)));
    assert_eq!(table.runs(), None);
    table.wish(Steer::Resume);
    assert_eq!(table.runs().as_deref(), Some("M=1|N=2"));
}

#[test]
fn what_users_enqueue_needs_nobodys_word() {
    let mut table = Table::proposing(Approve::Trial);
    let enqueue = |value: &str| Steer::Enqueue {
        values: vec![("N".to_owned(), value.to_owned())],
        again: false,
    };
    table.wish(enqueue("3"));
    assert_eq!(table.runs().as_deref(), Some("M=1|N=3"));
    assert_eq!(*table.phase(), Phase::Active);
    table.finish(10.0);
    assert_eq!(
        table.proposed().map(|(number, ..)| number),
        Some(1),
        "it still waits"
    );
    assert_eq!(*table.phase(), Phase::AwaitingApproval);
    // What is proposed itself is answered by that.
    table.wish(enqueue("2"));
    assert_eq!(table.proposed(), None);
    table.finish(10.0);
    assert_eq!(table.key(), "M=2|N=1");
}

#[test]
fn another_space_withdraws_what_it_does_not_allow() {
    let mut table = Table::proposing(Approve::Trial);
    amend(&mut table, vec![set("eval.runs", "3")]);
    assert_eq!(table.key(), "M=1|N=2", "that is allowed still");
    let (effects, _) = amend(&mut table, vec![remove("2")]);
    assert_eq!((table.proposed(), &effects[..]), (None, &[Effect::Ask][..]));
    table.settle(&effects);
    let next = (2, "M=1|N=3".to_owned(), Some("N".to_owned()));
    assert_eq!(table.proposed(), Some(next));
}

#[test]
fn a_budget_that_is_used_up_ends_the_waiting() {
    let mut table = Table::proposing(Approve::Trial);
    amend(&mut table, vec![set("trials", "1")]);
    assert!(
        matches!(table.phase(), Phase::Done(_)),
        "{:?}",
        table.phase()
    );
    assert_eq!(table.proposed(), None);
    let (effects, _) = amend(&mut table, vec![set("trials", "9")]);
    table.settle(&effects);
    let again = (2, "M=1|N=2".to_owned(), Some("N".to_owned()));
    assert_eq!(table.proposed(), Some(again), "asked anew");
    assert_eq!(*table.phase(), Phase::AwaitingApproval);
}

#[test]
fn nobody_waits_where_nobody_can_answer() {
    let mut table = cautious(Approve::Trial);
    table.state.company = Company::default();
    table.start();
    table.finish(10.0);
    assert!(
        matches!(table.phase(), Phase::Paused(_)),
        "{:?}",
        table.phase()
    );
    assert!(!table.state.study.paused_by_user());
    // Started again with somebody to ask, it asks the same.
    table.state.company.prompted = true;
    table.start();
    assert_eq!(
        (table.phase(), table.key()),
        (&Phase::AwaitingApproval, "M=1|N=2".to_owned())
    );
}

#[test]
fn a_stop_leaves_it_waiting() {
    let mut table = Table::proposing(Approve::Trial);
    assert_eq!(table.take(Input::Stop(Urgency::Orderly)), [Effect::Leave]);
    assert_eq!(table.key(), "M=1|N=2");
    assert_eq!(super::approve::due(&table.state), None);
    assert_eq!(refusal(table.approve(Instead::Nothing)), Refusal::Leaving);
}

#[test]
fn answers_are_told_in_the_journal_with_who_gave_them() {
    let mut table = Table::proposing(Approve::Trial);
    let by = By::User {
        uid: 7,
        name: Some("alice".into()),
    };
    let number = Some(1);
    let (reply, _answer) = oneshot::channel();
    let end = End::Parameter;
    let input = Input::Request {
        steer: Steer::Reject { number, end },
        by: by.clone(),
        reply,
    };
    let context = Context {
        now: Timestamp::from_millis(3_000),
        token: "0123456789abcdef",
        boot_id: "boot",
    };
    let decision = decide(&mut table.state, input, &context);
    let ends = Ends::Parameter("N".into());
    let event = Event::ApprovalRefused { by, ends };
    let events: Vec<&Event> = decision.facts.iter().map(|fact| &fact.event).collect();
    assert_eq!(events, [&event]);
}
