//! The threads that search: real ones, apart from those that serve the network.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use tokio::sync::oneshot;

use super::index::{Index, Scratch};
use super::vector::Vector;

/// The queries of one request, which one thread answers.
struct Job {
    queries: Vec<Vector>,
    k: usize,
    answer: oneshot::Sender<Vec<u32>>,
}

/// Threads that wait for jobs. They end when the pool is dropped.
pub(super) struct SearchPool {
    jobs: mpsc::Sender<Job>,
    counters: Arc<Counters>,
    bytes: u64,
}

/// What the threads have done so far.
#[derive(Debug, Default)]
struct Counters {
    queries: AtomicU64,
    scanned: AtomicU64,
}

impl SearchPool {
    /// Starts `threads` threads over the index.
    ///
    /// # Errors
    /// What the system said to a thread that it did not start.
    pub(super) fn start(index: Arc<Index>, threads: usize) -> io::Result<Self> {
        let (jobs, waiting) = mpsc::channel::<Job>();
        let waiting = Arc::new(Mutex::new(waiting));
        let counters = Arc::new(Counters::default());
        let mut bytes = index.bytes();
        for number in 0..threads {
            let mut scratch = Scratch::new(&index);
            bytes += scratch.bytes();
            let (index, waiting, counters) = (index.clone(), waiting.clone(), counters.clone());
            thread::Builder::new()
                .name(format!("search-{number}"))
                .spawn(move || {
                    // One thread waits for the next job with the lock held,
                    // the others wait for the lock.
                    while let Some(job) = waiting.lock().ok().and_then(|jobs| jobs.recv().ok()) {
                        counters.answer(&index, job, &mut scratch);
                    }
                })?;
        }
        Ok(Self {
            jobs,
            counters,
            bytes,
        })
    }

    /// The answer to some queries: `k` numbers for each, one query after the
    /// other. Nothing comes if a thread panicked over it.
    pub(super) async fn search(&self, queries: Vec<Vector>, k: usize) -> Option<Vec<u32>> {
        let (answer, answered) = oneshot::channel();
        self.jobs.send(Job { queries, k, answer }).ok()?;
        answered.await.ok()
    }

    /// Bytes that the index and the threads' scratch memory have allocated.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Queries answered so far, and stored vectors compared with them.
    pub(super) fn counts(&self) -> (u64, u64) {
        (
            self.counters.queries.load(Ordering::Relaxed),
            self.counters.scanned.load(Ordering::Relaxed),
        )
    }
}

impl Counters {
    fn answer(&self, index: &Index, job: Job, scratch: &mut Scratch) {
        let mut answer = Vec::with_capacity(job.queries.len() * job.k);
        scratch.scanned = 0;
        for query in &job.queries {
            index.search(query, job.k, scratch, &mut answer);
        }
        self.queries
            .fetch_add(job.queries.len() as u64, Ordering::Relaxed);
        self.scanned.fetch_add(scratch.scanned, Ordering::Relaxed);
        // A client that has gone away needs no answer.
        let _ = job.answer.send(answer);
    }
}
