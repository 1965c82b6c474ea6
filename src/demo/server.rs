//! The search server.
//!
//! ```text
//!   bind            run: build thread            ready
//!  (listens) ──▶ building: /health 503 ──▶ /health 200, /search ──▶ stopped
//!      │
//!      └─ over MEMORY_LIMIT_MB: refused before it listens
//! ```
//!
//! `GET /health` answers as JSON. `POST /search?k=10` takes queries as rows of
//! little-endian 32-bit floats, any number of them, and answers with k
//! little-endian 32-bit numbers of vectors for each (2^32 - 1 for none).

use std::future::Future;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::{Deserialize, Serialize};
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::error::{Error, mebibytes};
use super::index::{Index, MAX_K, check_memory};
use super::pool::SearchPool;
use super::settings::{ServerSettings, process_environment};
use super::vector::{DIMS, Vector};

/// The largest request body that is read: 1024 queries have 192 KiB.
const MAX_BODY: usize = 1 << 20;

/// Runs the server with the settings from this process's environment until
/// SIGTERM or SIGINT, and logs to `out`.
///
/// # Errors
/// Settings or a memory limit that are refused, a port that is not to be had,
/// or an `out` that cannot be written: see [`Error::exit_code`].
pub async fn serve(out: &mut impl Write) -> Result<(), Error> {
    let handler = |source| Error::System {
        what: "handle signals",
        source,
    };
    // Before anything slow: a signal during the build must be an orderly stop.
    let mut terminate = signal(SignalKind::terminate()).map_err(handler)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(handler)?;
    let settings = ServerSettings::from_env(&process_environment)?;
    let server = Server::bind(settings).await?;
    server
        .run(out, async {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        })
        .await
}

/// A server that listens, but does not answer before [`Server::run`].
#[derive(Debug)]
pub struct Server {
    settings: ServerSettings,
    listener: TcpListener,
    address: SocketAddr,
    /// Bytes that the index will have.
    planned: u64,
}

/// What the connections share.
struct State {
    settings: ServerSettings,
    /// Set once the index is built.
    ready: OnceLock<Ready>,
    /// Searches answered.
    requests: AtomicU64,
}

struct Ready {
    pool: SearchPool,
    build_time: Duration,
    build_distances: u64,
}

/// What the build thread tells.
enum Progress {
    Step(String),
    Built(io::Result<Ready>),
}

/// The answer of `/health` once the index is built.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Health {
    status: String,
    pub(super) seed: u64,
    pub(super) vectors: u64,
    pub(super) dims: u64,
    lists: u64,
    quant_bits: u32,
    threads: u64,
    /// Bytes of the index and of the threads' scratch memory.
    pub(super) memory_bytes: u64,
    /// Seconds from the start of the build until it was ready.
    pub(super) build_seconds: f64,
    /// Vectors that were compared with a centroid during the build.
    build_distances: u64,
    /// Searches answered, each of one or more queries.
    pub(super) requests: u64,
    pub(super) queries: u64,
    /// Stored vectors that were compared with these queries.
    pub(super) scanned: u64,
}

impl Server {
    /// Checks the memory limit and opens the port on 127.0.0.1.
    ///
    /// # Errors
    /// [`Error::OverMemoryLimit`] and [`Error::Listen`].
    pub async fn bind(settings: ServerSettings) -> Result<Self, Error> {
        let planned = check_memory(
            &settings.index,
            settings.data.vectors,
            settings.memory_limit,
        )?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.port));
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        Ok(Self {
            address: listener.local_addr().map_err(failed)?,
            listener,
            settings,
            planned,
        })
    }

    /// The address that it listens on, with the port that the system chose if
    /// the settings say 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Builds the index and answers until `stop` is ready. Requests that are
    /// being answered then are cut off.
    ///
    /// # Errors
    /// [`Error::Write`] if `out` takes no more lines, [`Error::System`] or
    /// [`Error::BuildLost`] if a thread could not be started or panicked.
    pub async fn run(
        self,
        out: &mut impl Write,
        stop: impl Future<Output = ()>,
    ) -> Result<(), Error> {
        let Self {
            settings,
            listener,
            address,
            planned,
        } = self;
        log(out, &format!("listening on http://{address}"))?;
        log(
            out,
            &format!(
                "building an index of {:.1} MiB, the limit is {} MiB",
                mebibytes(planned),
                mebibytes(settings.memory_limit)
            ),
        )?;
        let state = Arc::new(State {
            settings,
            ready: OnceLock::new(),
            requests: AtomicU64::new(0),
        });
        let mut progress = start_build(state.settings.clone())?;
        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                event = progress.recv(), if state.ready.get().is_none() => match event {
                    Some(Progress::Step(step)) => log(out, &step)?,
                    Some(Progress::Built(built)) => {
                        let ready = built.map_err(|source| Error::System {
                            what: "start a search thread",
                            source,
                        })?;
                        log(out, &format!(
                            "ready after {:.2} s: {:.1} MiB, {} search threads",
                            ready.build_time.as_secs_f64(),
                            mebibytes(ready.pool.bytes()),
                            state.settings.index.threads,
                        ))?;
                        // Set only here, so it is not set yet.
                        let _ = state.ready.set(ready);
                    }
                    None => return Err(Error::BuildLost),
                },
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(talk(stream, state.clone()));
                    }
                    Err(error) => {
                        log(out, &format!("cannot accept a connection: {error}, retrying in 50 ms"))?;
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                },
                Some(_) = connections.join_next() => {}
            }
        }
        let requests = state.requests.load(Ordering::Relaxed);
        log(out, &format!("stopped after {requests} searches"))
    }
}

/// Builds the index on a thread of its own. A stop does not wait for it: the
/// process ends under it, as nothing that it does outlives the process.
fn start_build(settings: ServerSettings) -> Result<mpsc::UnboundedReceiver<Progress>, Error> {
    let (events, progress) = mpsc::unbounded_channel();
    let build = move || {
        let started = Instant::now();
        // Nobody listens any more when the server has been stopped.
        let tell = |step| drop(events.send(Progress::Step(step)));
        let data = settings.data;
        let vectors = data.draw_vectors();
        tell(format!(
            "drew {} vectors of {DIMS} dimensions with seed {}",
            data.vectors, data.seed
        ));
        let index = Index::build(vectors, settings.index, data.seed, tell);
        let build_distances = index.build_distances();
        let pool = SearchPool::start(Arc::new(index), settings.index.threads);
        let ready = pool.map(|pool| Ready {
            pool,
            build_time: started.elapsed(),
            build_distances,
        });
        drop(events.send(Progress::Built(ready)));
    };
    thread::Builder::new()
        .name("build".to_owned())
        .spawn(build)
        .map_err(|source| Error::System {
            what: "start the build thread",
            source,
        })?;
    Ok(progress)
}

/// Answers one connection's requests until it is closed.
async fn talk(stream: TcpStream, state: Arc<State>) {
    // Small answers must not wait for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| {
        let state = state.clone();
        async move { Ok::<_, std::convert::Infallible>(state.answer(request).await) }
    });
    // A client that breaks off is its own affair, not the server's.
    let _ = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/health") => self.health(),
            (&Method::POST, "/search") => {
                self.search(request)
                    .await
                    .unwrap_or_else(|(status, problem)| {
                        json(status, &serde_json::json!({ "error": problem }))
                    })
            }
            _ => json(
                StatusCode::NOT_FOUND,
                &serde_json::json!({ "error": "there are GET /health and POST /search" }),
            ),
        }
    }

    fn health(&self) -> Response<Full<Bytes>> {
        let Some(ready) = self.ready.get() else {
            return building();
        };
        let (queries, scanned) = ready.pool.counts();
        let index = &self.settings.index;
        let health = Health {
            status: "ready".to_owned(),
            seed: self.settings.data.seed,
            vectors: self.settings.data.vectors as u64,
            dims: DIMS as u64,
            lists: index.lists as u64,
            quant_bits: index.bits.bits(),
            threads: index.threads as u64,
            memory_bytes: ready.pool.bytes(),
            build_seconds: ready.build_time.as_secs_f64(),
            build_distances: ready.build_distances,
            requests: self.requests.load(Ordering::Relaxed),
            queries,
            scanned,
        };
        json(StatusCode::OK, &health)
    }

    async fn search(
        &self,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, (StatusCode, String)> {
        let Some(ready) = self.ready.get() else {
            return Ok(building());
        };
        let k = wanted_neighbours(request.uri().query())
            .map_err(|problem| (StatusCode::BAD_REQUEST, problem))?;
        let body = Limited::new(request.into_body(), MAX_BODY)
            .collect()
            .await
            .map_err(|error| {
                let status = if error.is::<LengthLimitError>() {
                    StatusCode::PAYLOAD_TOO_LARGE
                } else {
                    StatusCode::BAD_REQUEST
                };
                (status, error.to_string())
            })?;
        let queries = decode_queries(&body.to_bytes())
            .map_err(|problem| (StatusCode::BAD_REQUEST, problem))?;
        let Some(answer) = ready.pool.search(queries, k).await else {
            let problem = "the search thread has ended".to_owned();
            return Err((StatusCode::INTERNAL_SERVER_ERROR, problem));
        };
        self.requests.fetch_add(1, Ordering::Relaxed);
        let bytes: Vec<u8> = answer.into_iter().flat_map(u32::to_le_bytes).collect();
        Ok(Response::new(Full::from(bytes)))
    }
}

/// `k` of the request's query string, 10 if it is not there.
fn wanted_neighbours(query: Option<&str>) -> Result<usize, String> {
    let given = query
        .unwrap_or("")
        .split('&')
        .find_map(|pair| pair.strip_prefix("k="));
    match given.unwrap_or("10").parse() {
        Ok(k) if (1..=MAX_K).contains(&k) => Ok(k),
        _ => Err(format!("k must be a whole number from 1 to {MAX_K}")),
    }
}

fn decode_queries(body: &[u8]) -> Result<Vec<Vector>, String> {
    let (values, rest) = body.as_chunks::<4>();
    if values.is_empty() || !rest.is_empty() || values.len() % DIMS != 0 {
        return Err(format!(
            "the body has {} bytes, not a multiple of {} ({DIMS} floats)",
            body.len(),
            size_of::<Vector>()
        ));
    }
    let values: Vec<f32> = values.iter().map(|v| f32::from_le_bytes(*v)).collect();
    if !values.iter().all(|value| value.is_finite()) {
        return Err("a query has a value that is not a finite number".to_owned());
    }
    let (queries, _) = values.as_chunks::<DIMS>();
    Ok(queries.to_vec())
}

fn building() -> Response<Full<Bytes>> {
    json(
        StatusCode::SERVICE_UNAVAILABLE,
        &serde_json::json!({ "status": "building" }),
    )
}

fn json(status: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    // Numbers and strings only: there is nothing that JSON could not say.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(
        hyper::header::CONTENT_TYPE,
        hyper::header::HeaderValue::from_static("application/json"),
    );
    response
}

/// Writes a line at once: whoever waits for it reads through a pipe.
fn log(out: &mut impl Write, line: &str) -> Result<(), Error> {
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_that_are_no_queries_are_refused() {
        let row = [0u8; size_of::<Vector>()];
        assert_eq!(decode_queries(&row), Ok(vec![[0.0; DIMS]]));
        assert!(decode_queries(&[]).is_err());
        assert!(decode_queries(&row[1..]).is_err());
        assert!(decode_queries(&row[4..]).is_err());
        let mut infinite = row;
        infinite[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
        assert!(decode_queries(&infinite).is_err());
    }

    #[tokio::test]
    async fn health_says_that_the_index_is_being_built() {
        let state = State {
            settings: ServerSettings::from_env(&|_: &str| None).expect("the defaults"),
            ready: OnceLock::new(),
            requests: AtomicU64::new(0),
        };
        let response = state.health();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = response.into_body().collect().await.expect("a body");
        assert_eq!(body.to_bytes(), r#"{"status":"building"}"#);
    }

    #[test]
    fn k_has_a_default_and_a_range() {
        assert_eq!(wanted_neighbours(None), Ok(10));
        assert_eq!(wanted_neighbours(Some("a=1&k=7")), Ok(7));
        for refused in ["k=0", "k=101", "k=ten", "k="] {
            assert!(wanted_neighbours(Some(refused)).is_err(), "{refused}");
        }
    }
}
