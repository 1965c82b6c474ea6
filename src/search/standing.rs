//! Trials in order of merit.

use crate::model::metric::Objective;
use crate::model::outcome::Outcome;
use crate::model::study::Study;
use crate::model::trial::Trial;

/// How good a trial is. A trial that failed or was pruned has none: a pruned
/// one is worse than the incumbent, which has one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Standing {
    /// It meets every constraint; the mean of the objective.
    Feasible(f64),
    /// It misses some.
    Infeasible {
        /// See [`Study::violation`].
        violation: f64,
        /// The mean of the objective, where it was measured.
        objective: Option<f64>,
    },
}

impl Standing {
    /// `None` for a trial that is not settled, failed, was pruned, or lacks
    /// the metrics that decide.
    pub(super) fn of(study: &Study, trial: &Trial) -> Option<Self> {
        let objective = study.levelled(trial).map(|summary| summary.mean);
        match trial.outcome.as_ref()? {
            Outcome::Complete => objective.map(Self::Feasible),
            Outcome::Infeasible => Some(Self::Infeasible {
                violation: study.violation(trial)?,
                objective,
            }),
            Outcome::Pruned | Outcome::Failed(_) => None,
        }
    }

    /// Whether it is strictly better: feasible before infeasible, then by the
    /// objective; among infeasible ones by how little they miss, then by the
    /// objective.
    pub(super) fn beats(self, other: Option<Self>, goal: &Objective) -> bool {
        let Some(other) = other else { return true };
        match (self, other) {
            (Self::Feasible(new), Self::Feasible(old)) => goal.better(new, old),
            (Self::Feasible(_), Self::Infeasible { .. }) => true,
            (Self::Infeasible { .. }, Self::Feasible(_)) => false,
            (
                Self::Infeasible {
                    violation: new,
                    objective: new_objective,
                },
                Self::Infeasible {
                    violation: old,
                    objective: old_objective,
                },
            ) => {
                new < old
                    || (new == old
                        && match (new_objective, old_objective) {
                            (Some(new), Some(old)) => goal.better(new, old),
                            (new, old) => new.is_some() && old.is_none(),
                        })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::metric::Direction;

    #[test]
    fn merit_is_an_order() {
        let less = Objective {
            metric: "ms".into(),
            direction: Direction::Minimize,
        };
        let infeasible = |violation, objective| Standing::Infeasible {
            violation,
            objective,
        };
        // From the best to the worst.
        let order = [
            Some(Standing::Feasible(1.0)),
            Some(Standing::Feasible(9.0)),
            Some(infeasible(0.1, Some(5.0))),
            Some(infeasible(0.1, Some(6.0))),
            Some(infeasible(0.1, None)),
            Some(infeasible(0.2, Some(0.1))),
            None,
        ];
        for (better, a) in order.iter().enumerate() {
            for (worse, b) in order.iter().enumerate() {
                let beats = a.is_some_and(|a| a.beats(*b, &less));
                assert_eq!(beats, better < worse, "{a:?} against {b:?}");
            }
        }
    }
}
