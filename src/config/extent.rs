//! How much there is to try.

use std::ops::Range;

use super::reader::Reader;
use crate::model::space::Space;
use crate::model::spec::{Budget, SamplerKind, Search};

/// A study that tries nothing, or that never ends, is seldom meant.
pub(super) fn warn(
    r: &mut Reader<'_>,
    space: &Space,
    space_span: Option<Range<usize>>,
    search: &Search,
    sampler: Option<Range<usize>>,
    budget: &Budget,
) {
    let parameters = space.parameters().iter();
    let sizes: Vec<Option<u64>> = parameters.map(|p| p.domain.size()).collect();
    if r.failed() {
        // What is missing may be what varies, or ends it.
        return;
    }
    if sizes.iter().all(|size| *size == Some(1)) {
        let message = "nothing varies: only the baseline will be tried";
        r.warn(
            &space_span.unwrap_or(0..0),
            message,
            "for instance, in [space]: N = [1, 2, 4]",
        );
    }
    let is_limited = budget.trials.is_some()
        || budget.runs.is_some()
        || budget.wall.is_some()
        || budget.gpu_time.is_some();
    let is_endless = sizes.iter().any(Option::is_none) && !is_limited;
    let has_end = match search.sampler {
        SamplerKind::Coordinate | SamplerKind::Grid | SamplerKind::Advisor => true,
        SamplerKind::Model => budget.converged.is_some(),
        SamplerKind::Tpe | SamplerKind::Random => false,
    };
    if !has_end && is_endless {
        let message = "nothing ends this study: a range has more values than can be tried";
        r.warn(
            &sampler.unwrap_or(0..0),
            message,
            "for instance, in [budget]: trials = 200",
        );
    }
}
