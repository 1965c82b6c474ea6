//! `approve` and what belongs to it, in `[study]`: what must be approved before
//! it is tried.

use std::ops::Range;

use super::reader::{Reader, Section};
use crate::model::approval::{Approval, Approve, Overdue};
use crate::model::spec::SamplerKind;

/// What is said of approval, and where `approve` stands.
#[derive(Default)]
pub(super) struct Said {
    pub(super) approval: Approval,
    place: Option<Range<usize>>,
}

/// Takes the keys of `[study]`.
pub(super) fn take(r: &mut Reader<'_>, section: &mut Section<'_>) -> Said {
    let mut said = Said::default();
    let approval = &mut said.approval;
    if let Some(node) = section.take("approve") {
        let index = node.choice(r, &Approve::ALL.map(Approve::name));
        approval.of = index.map_or(approval.of, |index| Approve::ALL[index]);
        said.place = Some(node.span);
    }
    let timeout = section.take("approve_timeout");
    approval.timeout = timeout.as_ref().and_then(|node| node.some_time(r));
    let overdue = section.take("approve_default");
    if let Some(node) = &overdue {
        let index = node.choice(r, &Overdue::ALL.map(Overdue::name));
        approval.overdue = index.map_or(approval.overdue, |index| Overdue::ALL[index]);
        if timeout.is_none() {
            let message = "`approve_default` says what happens after `approve_timeout`, which is \
                           not given: an answer is waited for for ever";
            r.warn(
                &node.span,
                message,
                "for instance approve_timeout = \"30m\"",
            );
        }
    }
    if approval.of == Approve::Never
        && let Some(node) = timeout.or(overdue)
    {
        let message = format!("`{}` has no effect: nothing waits for approval", node.key);
        r.warn(&node.span, message, "for instance approve = \"trial\"");
    }
    said
}

/// Remarks what a sampler makes of it.
pub(super) fn check(r: &mut Reader<'_>, said: &Said, sampler: SamplerKind) {
    if said.approval.of != Approve::Parameter || sampler.goes_by_parameter() {
        return;
    }
    let message = format!(
        "the sampler `{}` has no order of parameters: every trial must be approved",
        sampler.name()
    );
    let help = "write approve = \"trial\", or, in [search], sampler = \"coordinate\"";
    r.warn(&said.place.clone().unwrap_or(0..0), message, help);
}
