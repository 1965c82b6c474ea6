//! When the winner is confirmed and the host checked, and what disturbs it.

use super::*;
use crate::model::spec::{Budget, Confirm};
use crate::model::trial::Purpose;
use crate::wire::reply::Refusal;

/// Two values: 1, the start, has a speed of 10, 2 one of 20.
fn contest(confirm: u32, budget: Budget) -> Table {
    let mut spec = spec();
    spec.space = simulation::space(vec![simulation::list("N", "1 2", "")], &[]);
    spec.search.racing = false;
    spec.confirm = Confirm {
        runs: Some(confirm),
    };
    spec.budget = budget;
    Table::new(spec)
}

fn trials(most: u32) -> Budget {
    Budget {
        trials: Some(most),
        ..Budget::default()
    }
}

impl Table {
    /// A run of the running sitting.
    fn ran(&mut self, number: u32, speed: f64) {
        let (trial, sitting) = self.sits().expect("something runs");
        let report = Report::RunEnded(RunReport {
            step: "eval".to_owned(),
            number,
            elapsed: Duration::from_secs(1),
            ending: EndingReport::Exited(0),
            metrics: vec![("speed".to_owned(), speed), ("quality".to_owned(), 0.9)],
            fault: None,
        });
        self.take(Input::Report {
            trial,
            sitting,
            at: Timestamp::from_millis(2_000),
            report,
        });
    }

    fn ends(&mut self, result: SittingResult) -> Vec<Effect> {
        let (trial, sitting) = self.sits().expect("something runs");
        self.take(Input::SittingOver {
            trial,
            sitting,
            result,
        })
    }

    fn take_at(&mut self, input: Input, at: i64) -> Vec<Effect> {
        let context = Context {
            now: Timestamp::from_millis(at),
            token: "0123456789abcdef",
            boot_id: "boot",
        };
        let decision = decide(&mut self.state, input, &context);
        for fact in &decision.facts {
            let study = Arc::make_mut(&mut self.state.study);
            study.apply(fact).expect("a fact that fits");
        }
        decision.effects
    }

    /// The trial and the sitting that run.
    fn sits(&self) -> Option<(TrialId, u32)> {
        let trial = self.state.study.running()?;
        Some((trial.id, trial.running()?.number))
    }

    fn purpose(&self) -> Option<Purpose> {
        let trial = self.state.study.running()?;
        Some(trial.running()?.purpose)
    }

    fn answer(&mut self) -> Vec<Effect> {
        let study = Arc::clone(&self.state.study);
        self.take(ask(&study))
    }

    /// Both values are tried; what the end of the second leads to.
    fn both_tried(&mut self) -> Vec<Effect> {
        self.begin();
        let mut effects = Vec::new();
        for speed in [10.0, 20.0] {
            self.answer();
            self.ran(1, speed);
            self.ran(2, speed);
            effects = self.ends(SittingResult::Good);
        }
        effects
    }
}

const CONFIRM: Purpose = Purpose::Confirm {
    baseline: TrialId(1),
    winner: TrialId(2),
};

#[test]
fn the_winner_is_confirmed_before_the_study_is_done() {
    // Because nothing is left to try, and because the budget is used up.
    for budget in [Budget::default(), trials(2)] {
        let mut table = contest(2, budget);
        table.both_tried();
        if table.state.asking {
            table.answer();
        }
        let mut sat = Vec::new();
        while let Some((trial, _)) = table.sits() {
            assert_eq!(table.purpose(), Some(CONFIRM));
            assert_eq!(*table.phase(), Phase::Active);
            sat.push(trial.0);
            // Neither racing nor the trial's own count has a say in it.
            table.ran(1, 10.0 * f64::from(trial.0));
            table.ends(SittingResult::Good);
            if table.state.asking {
                table.answer();
            }
        }
        assert_eq!(sat, [1, 2, 2, 1]);
        assert!(matches!(table.phase(), Phase::Done(_)));
        assert_eq!(table.state.study.runs(), 4);
        // What is done stays done.
        table.begin();
        if table.state.asking {
            table.answer();
        }
        assert_eq!(table.sits(), None);
    }
}

#[test]
fn a_study_that_was_done_before_there_was_a_confirmation_stays_done() {
    let mut table = contest(0, trials(2));
    table.both_tried();
    assert!(matches!(table.phase(), Phase::Done(_)));
    let mut spec = Spec::clone(table.state.study.spec());
    spec.confirm.runs = Some(3);
    let Phase::Done(reason) = table.phase().clone() else {
        panic!("{:?}", table.phase())
    };
    // A later start goes by the spec of its day from the journal's beginning on.
    let study = Arc::make_mut(&mut table.state.study);
    study.rewrite(Arc::new(spec));
    let at = Timestamp::from_millis(3_000);
    let event = Event::Done { reason };
    study.apply(&Fact { at, event }).expect("it fits");
    table.begin();
    assert_eq!(table.sits(), None);
    // That a user wants one now is another matter.
    let done = Arc::clone(&table.state.study);
    amend(&mut table, vec![set("confirm.runs", "2")]);
    assert_eq!(table.purpose(), Some(CONFIRM));
    table.state.study = done;
    // And so is another winner.
    let (_, reply) = amend(&mut table, vec![set("trials", "3")]);
    assert!(answer(reply).done);
    table.begin();
    let mut spec = Spec::clone(table.state.study.spec());
    spec.space = simulation::space(vec![simulation::list("N", "1 2 3", "")], &[]);
    Arc::make_mut(&mut table.state.study).rewrite(Arc::new(spec));
    table.state.asking = true;
    table.answer();
    table.ran(1, 30.0);
    table.ran(2, 30.0);
    table.ends(SittingResult::Good);
    let winner = TrialId(3);
    let baseline = TrialId(1);
    assert_eq!(table.purpose(), Some(Purpose::Confirm { baseline, winner }));
}

#[test]
fn a_confirmation_goes_on_after_a_pause_a_restart_and_a_fault_of_the_host() {
    let mut table = contest(1, trials(2));
    table.both_tried();
    assert_eq!(table.purpose(), Some(CONFIRM));
    // A stop in its midst.
    assert_eq!(
        table.take(Input::Stop(Urgency::Orderly)),
        [Effect::EndSitting(TrialId(1), Urgency::Orderly)]
    );
    assert_eq!(
        table.ends(SittingResult::Interrupted).last(),
        Some(&Effect::Leave)
    );
    table.state.stopping = None;
    table.begin();
    assert_eq!(table.sits(), Some((TrialId(1), 3)));
    assert_eq!(table.purpose(), Some(CONFIRM));
    // A fault of the host after a good run: that run does not count.
    table.ran(1, 10.0);
    table.ends(port_taken());
    table.take(Input::Wake(None));
    assert_eq!(table.sits(), Some((TrialId(1), 4)));
    assert!(table.state.study.trials()[0].extra.is_empty());
    // One that was cut short after its run has all that it was for.
    table.ran(1, 10.0);
    table.ends(SittingResult::Interrupted);
    assert_eq!(table.sits(), Some((TrialId(2), 2)));
    // The winner does not start: that is said, and it stays what it is.
    let failure = SittingResult::Failed(FailureReport {
        kind: FailureKind::Died.name().to_owned(),
        step: None,
        ending: None,
        message: "it broke".to_owned(),
        cause: None,
        health: None,
    });
    table.ends(failure);
    assert!(matches!(table.phase(), Phase::Done(_)));
    let study = &table.state.study;
    assert_eq!(study.incumbent().map(|trial| trial.id), Some(TrialId(2)));
    assert_eq!(study.counts().failed, 0);
    let found = search::confirm::Confirmation::of(study).expect("it was made");
    assert_eq!((found.done, found.winner_failed), (2, 1));
}

#[test]
fn time_is_kept_for_the_confirmation_and_none_is_begun_without() {
    let wall = |seconds| Budget {
        wall: Some(Duration::from_secs(seconds)),
        ..Budget::default()
    };
    // Each trial takes a second here, each start about another.
    let mut spec = spec();
    spec.search.racing = false;
    spec.confirm.runs = Some(3);
    spec.budget = wall(8);
    let mut table = Table::new(spec);
    table.begin();
    for (number, speed) in [(1_u32, 10.0), (2, 20.0)] {
        table.answer();
        table.ran(1, speed);
        table.ran(2, speed);
        let (trial, sitting) = table.sits().expect("it runs");
        assert_eq!(trial.0, number);
        let result = SittingResult::Good;
        let input = Input::SittingOver {
            trial,
            sitting,
            result,
        };
        // 3 s a trial: after two of them 2 s are left, which are kept.
        table.take_at(input, 4_000);
    }
    assert_eq!(table.purpose(), Some(CONFIRM));
}

#[test]
fn an_answer_that_comes_while_a_winner_is_confirmed_starts_nothing() {
    let mut table = contest(1, Budget::default());
    table.both_tried();
    assert!(table.state.asking);
    let late = Input::Asked {
        trials: 2,
        revision: 1,
        results: table.state.study.results(),
        ask: Ask::Try(table.baseline()),
        choice: None,
    };
    amend(&mut table, vec![set("trials", "2")]);
    assert_eq!(table.purpose(), Some(CONFIRM));
    assert_eq!(table.take(late), []);
    assert_eq!(table.state.study.trials().len(), 2);
    // Nor can a trial that is settled be skipped.
    let skip = steer::admit(&table.state.study, None, &Steer::Skip(None));
    let steer::Admit::Deny(Refusal::Beside { setting, .. }) = skip else {
        panic!("{skip:?}")
    };
    assert_eq!(setting, "confirm.runs");
}

#[test]
fn the_host_is_checked_between_trials() {
    let mut spec = spec();
    spec.search.recheck = Some(2);
    spec.search.racing = false;
    let mut table = Table::new(spec);
    table.begin();
    // Each a second after the other.
    let mut at = 1_000;
    let mut next = |table: &mut Table, numbers: &[u32], speed| {
        at += 1_000;
        if table.state.asking {
            let asked = ask(&table.state.study);
            table.take_at(asked, at);
        }
        for number in numbers {
            table.ran(*number, speed);
        }
        let (trial, sitting) = table.sits().expect("it runs");
        let result = SittingResult::Good;
        let input = Input::SittingOver {
            trial,
            sitting,
            result,
        };
        table.take_at(input, at).pop()
    };
    for speed in [10.0, 20.0] {
        assert_eq!(next(&mut table, &[1, 2], speed), Some(Effect::Ask));
    }
    let start = Effect::StartSitting {
        trial: TrialId(1),
        sitting: 2,
    };
    assert_eq!(next(&mut table, &[1, 2], 15.0), Some(start));
    assert_eq!(table.purpose(), Some(Purpose::Check));
    assert_eq!(next(&mut table, &[1], 10.0), Some(Effect::Ask));
    assert_eq!(table.state.study.drift(), None);
    assert_eq!(table.state.study.trials()[0].runs.len(), 2);
}
