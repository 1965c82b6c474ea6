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

use super::model_based;
use crate::model::params::Params;
use crate::model::spec::{Converged, SamplerKind};
use crate::model::study::Study;
use crate::model::trial::{Origin, Trial};

/// Why the study is done, where these params, which `model` wants tried next,
/// are not worth it and neither were those before.
pub(super) fn reason(study: &Study, params: &Params) -> Option<String> {
    let spec = study.spec();
    let Converged { under, asks } = spec.budget.converged?;
    if spec.search.sampler != SamplerKind::Model {
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
    if low < earlier {
        return None;
    }
    // Only now, since it takes as long as an ask.
    let promised = model_based::expected(study, params)?.improvement?;
    (promised < under).then(|| {
        let percent = under * 100.0;
        format!(
            "converged: each of the last {asks} asks promised less than {percent} % of \
             improvement"
        )
    })
}
