//! The start of a runner, and why there is none.

use std::path::PathBuf;
use std::sync::Arc;

use super::sweep::Hands;
use crate::exec::handle::{Controlled, Runner};
use crate::exec::order::Order;
use crate::exec::report::FailureReport;
use crate::model::outcome::{FailureKind, HostFault};
use crate::model::trial::TrialId;

/// Starts a runner where its disk holds nobody up.
pub(super) async fn start(
    folder: PathBuf,
    order: Order,
    controlled: Controlled,
    hands: Arc<Hands>,
) -> Result<Runner, FailureReport> {
    let start = move || {
        hands.wait_for(TrialId(order.trial));
        Runner::start(&folder, order, controlled)
    };
    match tokio::task::spawn_blocking(start).await {
        Ok(Ok(runner)) => Ok(runner),
        Ok(Err(error)) => {
            let fault = if is_full(&error.source) {
                HostFault::DiskFull
            } else {
                HostFault::CannotStart
            };
            Err(not_started(FailureKind::Host(fault), error.to_string()))
        }
        Err(panic) => Err(not_started(FailureKind::Died, panic.to_string())),
    }
}

/// The failure of a sitting that did not begin.
pub(super) fn not_started(kind: FailureKind, message: String) -> FailureReport {
    FailureReport {
        kind: kind.name().to_owned(),
        step: None,
        ending: None,
        message,
        cause: None,
        health: None,
    }
}

/// Whether a disk has no room.
pub(super) fn is_full(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded)
}
