//! Whose output goes, by `[retention]`: a pure choice.

use std::collections::{BTreeMap, HashSet};

use crate::base::clock::Timestamp;
use crate::model::outcome::Outcome;
use crate::model::study::Study;
use crate::model::trial::{Origin, Trial, TrialId};

/// The trials whose output is to go, the oldest first, of those that have so
/// many bytes of it.
///
/// Whatever the limits are, a trial keeps its output that is not settled, that
/// is the incumbent or the baseline, or one of the newest that failed; and
/// one that was imported, since its output is another program's.
pub fn doomed(study: &Study, found: &BTreeMap<TrialId, u64>, now: Timestamp) -> Vec<TrialId> {
    let retention = &study.spec().retention;
    let mut settled: Vec<(Timestamp, &Trial)> = found
        .keys()
        .filter_map(|id| study.trial(*id))
        .filter(|trial| trial.is_settled() && trial.running().is_none())
        .filter_map(|trial| Some((trial.sittings.last()?.ended?, &**trial)))
        .collect();
    // The newest first.
    settled.sort_by_key(|(ended, trial)| std::cmp::Reverse((*ended, trial.id)));
    let failed = settled
        .iter()
        .filter(|(_, trial)| matches!(trial.outcome, Some(Outcome::Failed(_))));
    let failed = failed.take(retention.failures as usize);
    let kept: HashSet<TrialId> = failed
        .map(|(_, trial)| trial.id)
        .chain(spared(study))
        .collect();
    let mut total: u64 = found.values().sum();
    let mut doomed = Vec::new();
    for (rank, (ended, trial)) in settled.iter().enumerate().rev() {
        let is_old = retention.age.is_some_and(|age| now.since(*ended) > age);
        let is_over = retention.size.is_some_and(|size| total > size);
        let is_beyond = rank >= retention.trials as usize;
        let may_go = !kept.contains(&trial.id) && trial.origin != Origin::Imported;
        if may_go && (is_old || is_over || is_beyond) {
            total -= found.get(&trial.id).copied().unwrap_or_default();
            doomed.push(trial.id);
        }
    }
    doomed
}

/// The incumbent and the baseline.
pub fn spared(study: &Study) -> impl Iterator<Item = TrialId> {
    let best = [study.incumbent(), study.baseline()].into_iter().flatten();
    best.map(|trial| trial.id)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::model::Name;
    use crate::model::artifacts::ArtifactsChange;
    use crate::model::event::{Event, Fact};
    use crate::model::outcome::{Ending, Failure, FailureKind};
    use crate::model::spec::{Retention, SamplerKind, Spec};
    use crate::model::study::Study;
    use crate::model::trial::{Purpose, Run, SittingEnd};
    use crate::model::value::Finite;
    use crate::search::simulation::{list, space, spec};

    const HOUR: i64 = 3_600_000;

    /// A study whose trial N ended at hour N: `c` complete, each better than
    /// the one before, `f` failed, `r` running, `i` interrupted, `m` imported
    /// and failed.
    fn study(trials: &str, retention: Retention) -> Study {
        let values: Vec<String> = (1..=trials.len()).map(|n| n.to_string()).collect();
        let mut spec = spec(
            space(vec![list("N", &values.join(" "), "")], &[]),
            SamplerKind::Grid,
        );
        spec.retention = retention;
        let study_keeps = spec.retention.artifacts.is_some();
        let metric = spec.objective.metric.clone();
        let space = spec.space.clone();
        let mut study = Study::new(Arc::new(spec));
        let (mut base, name) = (space.baseline().expect("params"), Name::from("N"));
        for (index, kind) in trials.char_indices() {
            let trial = TrialId(index as u32 + 1);
            let mut happen = |event| {
                let at = Timestamp::from_millis(HOUR * (index as i64 + 1));
                study.apply(&Fact { at, event }).expect("it fits");
            };
            let value = values[index].as_str().into();
            base = space.with(&base, &name, &value).expect("params");
            happen(Event::TrialPlanned {
                trial,
                params: base.clone(),
                origin: if kind == 'm' {
                    Origin::Imported
                } else {
                    Origin::Sampler
                },
                choice: None,
            });
            happen(Event::SittingStarted {
                trial,
                sitting: 1,
                purpose: Purpose::Measure,
                token: "t".to_owned(),
                boot_id: "b".into(),
                slot: None,
            });
            if study_keeps {
                let change = ArtifactsChange::Found {
                    sitting: 1,
                    files: 1,
                    bytes: 1,
                };
                happen(Event::Artifacts { trial, change });
            }
            let end = match kind {
                'r' => continue,
                'i' => SittingEnd::Interrupted,
                'c' => {
                    let value = Finite::new(index as f64).expect("finite");
                    let run = Run {
                        step: "eval".into(),
                        number: 1,
                        sitting: 1,
                        elapsed: Duration::ZERO,
                        ending: Ending::Exited(0),
                        metrics: vec![(metric.clone(), value)].into(),
                        fault: None,
                    };
                    happen(Event::RunEnded { trial, run });
                    SittingEnd::Finished(Outcome::Complete)
                }
                _ => SittingEnd::Finished(Outcome::Failed(Box::new(Failure {
                    kind: FailureKind::Died,
                    step: None,
                    ending: None,
                    message: String::new(),
                    cause: None,
                }))),
            };
            happen(Event::SittingEnded {
                trial,
                sitting: 1,
                end,
                health: None,
            });
        }
        study
    }

    /// Which go when each has 10 bytes, a day after the last.
    fn go(trials: &str, retention: Retention) -> Vec<u32> {
        let study = study(trials, retention);
        let found = study.trials().iter().map(|trial| (trial.id, 10)).collect();
        let now = Timestamp::from_millis(HOUR * (trials.len() as i64 + 24));
        let doomed = doomed(&study, &found, now);
        doomed.into_iter().map(|trial| trial.0).collect()
    }

    fn retention(trials: u32, failures: u32) -> Retention {
        Retention {
            trials,
            failures,
            age: None,
            size: None,
            artifacts: None,
        }
    }

    #[test]
    fn artifacts_of_all_but_the_best() {
        let keeping = Retention {
            artifacts: Some(2),
            ..retention(100, 0)
        };
        let mut study = study("cccficr", keeping);
        let given_up = |study: &Study| -> Vec<u32> {
            let given_up = study.given_up().into_iter();
            given_up.map(|trial| trial.0).collect()
        };
        // Not before the best's are copied.
        assert_eq!(study.unkept(), Some(TrialId(6)));
        assert_eq!(given_up(&study), [0; 0]);
        let mut happen = |trial: u32, change: ArtifactsChange| {
            let (at, trial) = (Timestamp::from_millis(0), TrialId(trial));
            let event = Event::Artifacts { trial, change };
            study.apply(&Fact { at, event }).expect("it fits");
        };
        let (files, bytes) = (1, 1);
        happen(
            6,
            ArtifactsChange::Kept {
                files,
                bytes,
                folder: "artifacts/best".into(),
            },
        );
        happen(
            1,
            ArtifactsChange::Deleted {
                files,
                bytes,
                left: 0,
            },
        );
        assert_eq!(study.unkept(), None);
        assert_eq!(given_up(&study), [2, 4]);
        let mut spec = Spec::clone(study.spec());
        spec.retention.artifacts = None;
        study.rewrite(Arc::new(spec.clone()));
        assert_eq!(given_up(&study), [0; 0]);
        // Another folder has no copy.
        spec.files.best_model = "model".to_owned();
        study.rewrite(Arc::new(spec));
        assert_eq!(study.unkept(), Some(TrialId(6)));
    }

    #[test]
    fn by_count() {
        assert_eq!(go("cccccc", retention(6, 0)), [0; 0]);
        // 1 is the baseline, 6 the incumbent.
        assert_eq!(go("cccccc", retention(3, 0)), [2, 3]);
        assert_eq!(go("cccccc", retention(1, 0)), [2, 3, 4, 5]);
        assert_eq!(go("cccccc", Retention::default()), [0; 0]);
    }

    #[test]
    fn the_newest_failures_stay() {
        assert_eq!(go("cfffcc", retention(1, 0)), [2, 3, 4, 5]);
        assert_eq!(go("cfffcc", retention(1, 2)), [2, 5]);
        assert_eq!(go("cfffcc", retention(1, 9)), [5]);
    }

    #[test]
    fn what_goes_on_stays_and_what_is_not_ours() {
        assert_eq!(go("cmicfcr", retention(1, 0)), [4, 5]);
    }

    #[test]
    fn by_age() {
        let aged = |hours: u64| Retention {
            age: Some(Duration::from_secs(hours * 3600)),
            ..retention(100, 0)
        };
        // Now is hour 30; trial 3 ended at hour 3.
        assert_eq!(go("cccccc", aged(27)), [2]);
        assert_eq!(go("cccccc", aged(26)), [2, 3]);
        assert_eq!(go("cccccc", aged(30)), [0; 0]);
    }

    #[test]
    fn by_size_the_oldest_first() {
        let sized = |size| Retention {
            size: Some(size),
            ..retention(100, 0)
        };
        assert_eq!(go("cccccc", sized(60)), [0; 0]);
        assert_eq!(go("cccccc", sized(59)), [2]);
        assert_eq!(go("cccccc", sized(35)), [2, 3, 4]);
        // Those that stay whatever comes are more than that by themselves.
        assert_eq!(go("cccccc", sized(5)), [2, 3, 4, 5]);
    }
}
