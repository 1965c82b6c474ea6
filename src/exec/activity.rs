//! When a run gave a sign of life last: output, or a line in a file that is
//! followed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Shared by all who hear of a run.
#[derive(Clone, Debug)]
pub struct Activity {
    begun: Instant,
    /// Milliseconds from the beginning to the last sign.
    last: Arc<AtomicU64>,
}

impl Activity {
    /// That of a run that begins now, which is its first sign.
    pub fn begin() -> Self {
        Self {
            begun: Instant::now(),
            last: Arc::default(),
        }
    }

    /// Notes a sign.
    pub fn note(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.fetch_max(now, Ordering::Relaxed);
    }

    /// Waits until there was no sign for so long; for ever without a limit.
    pub async fn stalled(&self, limit: Option<Duration>) {
        let Some(limit) = limit else {
            return std::future::pending().await;
        };
        loop {
            let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
            let quiet = self.begun.elapsed().saturating_sub(last);
            if quiet >= limit {
                return;
            }
            tokio::time::sleep(limit - quiet).await;
        }
    }
}
