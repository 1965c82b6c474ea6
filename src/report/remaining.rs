//! How long a study still takes, by what its trials have taken so far.

use std::fmt;
use std::time::Duration;

use super::phrase::counted;
use crate::base::clock::Timestamp;
use crate::base::quantity::show_duration;
use crate::model::study::{Phase, Study};
use crate::search::confirm;

/// The most that a study still takes: less, where racing or convergence ends
/// it sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remaining {
    /// How long.
    pub time: Duration,
    /// What ends it then.
    pub by: End,
}

/// What ends a study.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Its budget of trials.
    Trials(u32),
    /// Its budget of runs.
    Runs(u32),
    /// Its budget of time.
    Wall(Duration),
    /// Its budget of time of GPUs.
    GpuTime(Duration),
    /// There are no more combinations than these.
    Space(u64),
    /// The search is over, and its winner is being confirmed.
    Confirmation,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trials(most) => write!(f, "budget of {}", counted((*most).into(), "trial")),
            Self::Runs(most) => write!(f, "budget of {}", counted((*most).into(), "run")),
            Self::Wall(most) => write!(f, "budget of {}", show_duration(*most)),
            Self::GpuTime(most) => {
                let hours = most.as_secs_f64() / 3600.0;
                write!(f, "budget of {hours} GPU hours")
            }
            Self::Space(most) => write!(f, "space of {}", counted(*most, "trial")),
            Self::Confirmation => f.write_str("confirmation"),
        }
    }
}

/// How long the study still takes at most, of which the sampler asks for
/// `most` trials at most; `None` where nothing tells, and where it is done.
pub fn remaining(study: &Study, now: Timestamp, most: Option<u64>) -> Option<Remaining> {
    if matches!(study.phase(), Phase::Done(_)) {
        return None;
    }
    let spec = study.spec();
    let budget = &spec.budget;
    let busy = study.busy(now);
    let counts = study.counts();
    let settled = counts.all() - counts.unsettled;
    // A trial that runs has had a part of its time already.
    let begun = study
        .running()
        .map_or(Duration::ZERO, |trial| trial.elapsed(now));
    let confirmation = confirm::time_left(study);
    if confirm::is_under_way(study) {
        let sitting = study.running().and_then(|trial| trial.running());
        let begun = sitting.map_or(Duration::ZERO, |sitting| now.since(sitting.started));
        return Some(Remaining {
            time: confirmation.saturating_sub(begun),
            by: End::Confirmation,
        });
    }
    let trial = busy.saturating_sub(begun).checked_div(settled);
    let trial = trial.filter(|trial| !trial.is_zero());
    let run = busy.checked_div(study.runs());
    let times = |each: Option<Duration>, count: u64| {
        each.map(|each| each.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX)))
    };
    let to_try = |most: u64| {
        let left = times(trial, most.saturating_sub(settled.into()));
        left.map(|left| left.saturating_sub(begun) + confirmation)
    };
    let ends = [
        budget
            .trials
            .map(|most| (End::Trials(most), to_try(most.into()))),
        most.map(|most| (End::Space(most), to_try(most))),
        budget.runs.map(|most| {
            let left = most.saturating_sub(study.runs());
            let time = times(run, left.into());
            (End::Runs(most), time.map(|time| time + confirmation))
        }),
        budget
            .wall
            .map(|most| (End::Wall(most), Some(most.saturating_sub(busy)))),
        budget.gpu_time.map(|most| {
            let side_by_side = spec.places().len() as u32;
            let left = most.saturating_sub(study.gpu_time(now)) / (spec.gpus() * side_by_side);
            (End::GpuTime(most), Some(left))
        }),
    ];
    let known = ends.into_iter().flatten();
    let known = known.filter_map(|(by, time)| Some(Remaining { time: time?, by }));
    let soonest = known.min_by_key(|remaining| remaining.time)?;
    // Between two trials it rests.
    let rests = trial.map_or(0.0, |trial| soonest.time.div_duration_f64(trial).ceil());
    let rests = spec.host.cooldown.saturating_mul(rests.min(1e6) as u32);
    Some(Remaining {
        time: soonest.time.saturating_add(rests),
        ..soonest
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Event;
    use crate::model::params::Params;
    use crate::model::spec::SamplerKind;
    use crate::model::trial::{Origin, Purpose, TrialId};
    use crate::search::simulation::{Simulation, list, measure, space, spec, speed};

    /// Some trials of 3 seconds each, a fact a second.
    fn tried(change: impl FnOnce(&mut crate::model::spec::Spec), trials: usize) -> Simulation {
        let parameters = vec![list("A", "1 2 3 4 5 6 7 8 9", "")];
        let mut spec = spec(space(parameters, &[]), SamplerKind::Grid);
        spec.budget.converged = None;
        change(&mut spec);
        let mut simulation = Simulation::new(spec);
        simulation.run(trials, |_| speed(1.0));
        simulation
    }

    fn left(simulation: &Simulation, most: Option<u64>) -> Option<(u64, String)> {
        let now = simulation
            .facts
            .last()
            .map_or(Timestamp::from_millis(0), |fact| fact.at);
        let found = remaining(&simulation.study, now, most)?;
        Some((found.time.as_secs(), found.by.to_string()))
    }

    #[test]
    fn what_ends_it_first_decides() {
        // A sitting lasts from its start, over a run, to its end: 2 seconds.
        let said = |seconds: u64, by: &str| Some((seconds, by.to_owned()));
        let four = tried(|spec| spec.budget.trials = Some(6), 4);
        assert_eq!(left(&four, None), said(4, "budget of 6 trials"));
        assert_eq!(left(&four, Some(5)), said(2, "space of 5 trials"));
        let four = tried(|spec| spec.budget.runs = Some(5), 4);
        assert_eq!(left(&four, Some(9)), said(2, "budget of 5 runs"));
        let wall = Duration::from_secs(11);
        let four = tried(|spec| spec.budget.wall = Some(wall), 4);
        assert_eq!(left(&four, Some(9)), said(3, "budget of 11.0 s"));
        let four = tried(
            |spec| {
                spec.budget.gpu_time = Some(Duration::from_secs(36));
                spec.budget.gpus = Some(4);
            },
            4,
        );
        assert_eq!(left(&four, Some(9)), said(1, "budget of 0.01 GPU hours"));
    }

    #[test]
    fn what_is_found_is_confirmed_in_the_end() {
        let tried = |starts: u32| {
            tried(
                |spec| {
                    spec.budget.trials = Some(6);
                    spec.confirm.runs = Some(starts);
                    spec.steps = vec![measure("measure", 1, &["speed", "quality"])];
                },
                0,
            )
        };
        let (mut without, mut with) = (tried(0), tried(2));
        let faster = |params: &Params| {
            let value = params.key().trim_start_matches("A=").parse();
            speed(value.expect("a number"))
        };
        without.run(4, faster);
        with.run(4, faster);
        let confirmation = confirm::time_left(&with.study);
        assert!(confirmation > Duration::ZERO);
        let time = |simulation: &Simulation| {
            let now = simulation.facts.last().expect("facts").at;
            remaining(&simulation.study, now, None).expect("known").time
        };
        assert_eq!(time(&with), time(&without) + confirmation);
        // Once it is under way it is all that is left.
        let baseline = TrialId(1);
        let winner = with.study.incumbent().expect("a best trial").id;
        with.happen(Event::SittingStarted {
            trial: baseline,
            sitting: 2,
            purpose: Purpose::Confirm { baseline, winner },
            token: String::new(),
            boot_id: "".into(),
            slot: None,
        });
        let now = with.facts.last().expect("facts").at;
        let found = remaining(&with.study, now, None).expect("known");
        assert_eq!(found.by, End::Confirmation);
        assert_eq!(found.time, confirmation);
    }

    #[test]
    fn rests_count_and_what_nothing_tells_is_not_known() {
        let four = tried(|spec| spec.host.cooldown = Duration::from_secs(10), 4);
        assert_eq!(
            left(&four, Some(6)),
            Some((24, "space of 6 trials".to_owned()))
        );
        assert_eq!(left(&four, None), None);
        assert_eq!(left(&tried(|_| {}, 0), Some(6)), None);
    }

    #[test]
    fn a_trial_that_runs_has_had_a_part_of_its_time() {
        let mut four = tried(|spec| spec.budget.trials = Some(6), 4);
        let params = four.study.spec().space.baseline().expect("params");
        let trial = four.plan(&params, Origin::User);
        four.happen(Event::SittingStarted {
            trial,
            sitting: 1,
            purpose: Purpose::Measure,
            token: String::new(),
            boot_id: "".into(),
            slot: None,
        });
        four.happen(Event::Resumed);
        assert_eq!(
            left(&four, None),
            Some((3, "budget of 6 trials".to_owned()))
        );
    }
}
