//! The evaluator: sends queries to the server and measures recall and speed.
//!
//! The exact answers are computed after the timing, so that they neither take
//! the processors from the server nor count as searching.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use reqwest::{Client, StatusCode};
use tokio::task::JoinSet;

use super::data::{exact_neighbours, recall};
use super::error::{Error, mebibytes};
use super::server::Health;
use super::settings::{EvaluatorSettings, process_environment};
use super::vector::{DIMS, Vector};
use crate::base::http;

/// Neighbours that are asked for: the 10 of recall@10.
const K: usize = 10;

/// How long a connection may take, and how long an answer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Measures the server with the settings from this process's environment, and
/// prints the metrics to `out`.
///
/// # Errors
/// Settings that are refused, a server that does not answer or dies midway, or
/// an `out` that cannot be written: see [`Error::exit_code`].
pub async fn evaluate(out: &mut impl Write) -> Result<(), Error> {
    let settings = EvaluatorSettings::from_env(&process_environment)?;
    let evaluation = Evaluation::measure(&settings).await?;
    write!(out, "{evaluation}")?;
    Ok(out.flush()?)
}

/// What was measured. Displayed as lines that a metric's pattern can read.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The part of the 10 exact nearest neighbours that the server found, 0 to 1.
    pub recall: f64,
    /// Queries answered in a second of searching.
    pub queries_per_second: f64,
    /// The median time to an answer, in milliseconds.
    pub p50_ms: f64,
    /// The time that 99 of 100 answers took at most, in milliseconds.
    pub p99_ms: f64,
    /// Requests sent, each with a batch of queries.
    pub requests: u64,
    /// Stored vectors that the server compared with a query, on average.
    pub scanned_per_query: f64,
    /// Bytes of the server's index.
    pub memory_bytes: u64,
    /// Seconds that the server took to build its index.
    pub build_seconds: f64,
    /// From the beginning of the evaluation to its end.
    pub total: Duration,
}

/// What the connections share while queries are sent.
struct Session {
    client: Client,
    url: String,
    /// The body of each request, encoded before the clock starts.
    bodies: Vec<Bytes>,
    /// How many requests have been begun; the next one's body is this modulo
    /// the number of bodies.
    next: AtomicUsize,
    answered: AtomicU64,
    started: Instant,
    duration: Duration,
}

/// What one connection brings home.
#[derive(Default)]
struct Answers {
    latencies: Vec<Duration>,
    queries: usize,
    /// The first answer to each body: a later one is the same.
    first: Vec<(usize, Vec<u32>)>,
}

impl Evaluation {
    /// Sends every query at least once, and again until the settings' time is
    /// over; then compares the answers with the exact ones.
    ///
    /// # Errors
    /// [`Error::NoAnswer`], [`Error::BadAnswer`] or [`Error::OtherData`].
    pub async fn measure(settings: &EvaluatorSettings) -> Result<Self, Error> {
        let begun = Instant::now();
        let client = http::local()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .build()
            .map_err(|source| no_answer(&settings.url, 0, source))?;
        let before = health(&client, &settings.url, 0).await?;
        check_data(settings, &before)?;

        let queries = settings.data.draw_queries();
        let session = Arc::new(Session {
            client: client.clone(),
            url: settings.url.clone(),
            bodies: queries.chunks(settings.batch).map(encode).collect(),
            next: AtomicUsize::new(0),
            answered: AtomicU64::new(0),
            started: Instant::now(),
            duration: settings.duration,
        });
        let mut connections = JoinSet::new();
        for _ in 0..settings.concurrency {
            connections.spawn(session.clone().ask());
        }
        let mut all = Answers::default();
        while let Some(joined) = connections.join_next().await {
            // The first error ends the others: the set aborts them when dropped.
            let answers = joined.map_err(|error| session.bad_answer(error.to_string()))??;
            all.latencies.extend(answers.latencies);
            all.queries += answers.queries;
            all.first.extend(answers.first);
        }
        let seconds = session.started.elapsed().as_secs_f64();
        let after = health(&client, &settings.url, all.latencies.len() as u64).await?;

        all.first.sort_unstable_by_key(|(body, _)| *body);
        let data = settings.data;
        let exact = tokio::task::spawn_blocking(move || {
            exact_neighbours(&data.draw_vectors(), &queries, K)
        })
        .await
        .map_err(|error| session.bad_answer(error.to_string()))?;
        let found = all.first.iter().flat_map(|(_, ids)| ids.chunks(K));
        all.latencies.sort_unstable();
        let answered = after.queries.saturating_sub(before.queries).max(1);
        Ok(Self {
            recall: recall(&exact, found),
            queries_per_second: all.queries as f64 / seconds,
            p50_ms: percentile_ms(&all.latencies, 50),
            p99_ms: percentile_ms(&all.latencies, 99),
            requests: all.latencies.len() as u64,
            scanned_per_query: after.scanned.saturating_sub(before.scanned) as f64
                / answered as f64,
            memory_bytes: after.memory_bytes,
            build_seconds: after.build_seconds,
            total: begun.elapsed(),
        })
    }
}

impl fmt::Display for Evaluation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Index: memory_mib={:.2}, build_s={:.3}, scanned_per_query={:.1}",
            mebibytes(self.memory_bytes),
            self.build_seconds,
            self.scanned_per_query
        )?;
        writeln!(f, "Recall@{K}: {:.4}", self.recall)?;
        writeln!(
            f,
            "Throughput: queries/s={:.1}, p50_ms={:.3}, p99_ms={:.3}",
            self.queries_per_second, self.p50_ms, self.p99_ms
        )?;
        writeln!(f, "Total time: {:.2}s", self.total.as_secs_f64())
    }
}

impl Session {
    /// Sends requests, one after the other, until the time is over.
    async fn ask(self: Arc<Self>) -> Result<Answers, Error> {
        let url = format!("{}/search?k={K}", self.url);
        let mut answers = Answers::default();
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let first = number < self.bodies.len();
            if !first && self.started.elapsed() >= self.duration {
                return Ok(answers);
            }
            let body = number % self.bodies.len();
            let sent = Instant::now();
            let ids = self.request(&url, &self.bodies[body]).await?;
            answers.latencies.push(sent.elapsed());
            answers.queries += ids.len() / K;
            if first {
                answers.first.push((body, ids));
            }
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn request(&self, url: &str, body: &Bytes) -> Result<Vec<u32>, Error> {
        let lost = |source| no_answer(&self.url, self.answered.load(Ordering::Relaxed), source);
        let request = self.client.post(url).body(body.clone());
        let response = request.send().await.map_err(lost)?;
        let status = response.status();
        let reply = response.bytes().await.map_err(lost)?;
        if status != StatusCode::OK {
            let text = String::from_utf8_lossy(&reply);
            return Err(self.bad_answer(format!("status {status}: {text}")));
        }
        let expected = body.len() / size_of::<Vector>() * K;
        let (ids, rest) = reply.as_chunks::<4>();
        if ids.len() != expected || !rest.is_empty() {
            return Err(self.bad_answer(format!(
                "{} bytes instead of {} numbers of vectors",
                reply.len(),
                expected
            )));
        }
        Ok(ids.iter().map(|id| u32::from_le_bytes(*id)).collect())
    }

    fn bad_answer(&self, problem: String) -> Error {
        Error::BadAnswer {
            url: self.url.clone(),
            problem,
        }
    }
}

/// Asks the server how it is; one that is still building is an error.
async fn health(client: &Client, url: &str, requests: u64) -> Result<Health, Error> {
    let lost = |source| no_answer(url, requests, source);
    let response = client
        .get(format!("{url}/health"))
        .send()
        .await
        .map_err(lost)?;
    let status = response.status();
    let reply = response.bytes().await.map_err(lost)?;
    let problem = if status == StatusCode::OK {
        match serde_json::from_slice(&reply) {
            Ok(health) => return Ok(health),
            Err(error) => error.to_string(),
        }
    } else {
        format!("status {status}: {}", String::from_utf8_lossy(&reply))
    };
    Err(Error::BadAnswer {
        url: url.to_owned(),
        problem,
    })
}

/// The exact answers are the evaluator's own, so the data must be the same.
fn check_data(settings: &EvaluatorSettings, health: &Health) -> Result<(), Error> {
    for (name, ours, theirs) in [
        ("DEMO_SEED", settings.data.seed, health.seed),
        ("DEMO_VECTORS", settings.data.vectors as u64, health.vectors),
        ("dimensions", DIMS as u64, health.dims),
    ] {
        if ours != theirs {
            return Err(Error::OtherData { name, theirs, ours });
        }
    }
    Ok(())
}

fn encode(queries: &[Vector]) -> Bytes {
    queries
        .as_flattened()
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

fn no_answer(url: &str, requests: u64, source: reqwest::Error) -> Error {
    Error::NoAnswer {
        url: url.to_owned(),
        requests,
        source,
    }
}

/// The smallest value that `percent` of the sorted values do not exceed, in
/// milliseconds: the nearest-rank percentile. 0 of none.
fn percentile_ms(sorted: &[Duration], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted
        .get(rank - 1)
        .map_or(0.0, |value| value.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let values: Vec<Duration> = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(percentile_ms(&values, 50), 100.0);
        assert_eq!(percentile_ms(&values, 99), 198.0);
        assert_eq!(percentile_ms(&values[..1], 99), 1.0);
        assert_eq!(percentile_ms(&[], 99), 0.0);
    }

    #[test]
    fn metrics_are_printed_in_lines_that_a_pattern_can_read() {
        let evaluation = Evaluation {
            recall: 0.97314,
            queries_per_second: 12345.64,
            p50_ms: 1.2,
            p99_ms: 3.4567,
            requests: 9,
            scanned_per_query: 812.25,
            memory_bytes: 3 << 20,
            build_seconds: 0.25,
            total: Duration::from_millis(1760),
        };
        assert_eq!(
            evaluation.to_string(),
            "Index: memory_mib=3.00, build_s=0.250, scanned_per_query=812.2\n\
             Recall@10: 0.9731\n\
             Throughput: queries/s=12345.6, p50_ms=1.200, p99_ms=3.457\n\
             Total time: 1.76s\n"
        );
    }
}
