//! Whether anything is left that is worth a trial.
//!
//! A study has converged when what `model` chose in each of its last
//! [`Converged::asks`] asks promised less than [`Converged::under`]: see
//! [`Expected::improvement`](crate::model::choice::Expected::improvement). What
//! it promised is kept with the trials, so the answer is a function of the
//! history. Trials that users wanted are left out: nobody was asked. That the
//! expected improvement falls under 1 % is where D. R. Jones, M. Schonlau and
//! W. J. Welch stop (Efficient global optimization of expensive black-box
//! functions, Journal of Global Optimization 13, 1998, section 4.3); several
//! asks in a row, since measurements are noisy here and one ask is easily
//! misled.

use crate::model::choice::Expected;
use crate::model::reason;
use crate::model::spec::Converged;
use crate::model::study::Study;
use crate::model::trial::{Origin, Trial};

/// Why the study is done, where what `model` expects of the params that it wants
/// tried next is not worth it and neither were those before.
pub(super) fn reason(study: &Study, expected: &Expected) -> Option<String> {
    let Converged { under, asks } = study.spec().budget.converged?;
    if expected.improvement? >= under {
        return None;
    }
    let promised = |trial: &&Trial| trial.choice.as_ref()?.expected.as_ref()?.improvement;
    let earlier = asks.saturating_sub(1) as usize;
    let trials = study.trials().len();
    let newest = (0..trials).rev().filter_map(|at| study.trials().get(at));
    let newest = newest.filter(|trial| trial.origin == Origin::Sampler);
    let low = newest
        .take(earlier)
        .take_while(|trial| promised(&&***trial).is_some_and(|promised| promised < under))
        .count();
    (low >= earlier).then(|| {
        let percent = under * 100.0;
        reason::CONVERGED.say([&asks, &percent])
    })
}
