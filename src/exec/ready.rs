//! Waiting until a service is really ready.
//!
//! Ready means: the listener on the port belongs to this trial, the process is
//! alive (the caller watches that), and the check answers in the accepted
//! range. An answer of 4xx alone proves little, since some servers give it
//! while they still load and then die: it counts once it has stayed for
//! `settle`, or once the probe has succeeded.

use std::time::{Duration, Instant};

use regex::bytes::Regex;
use reqwest::{Client, Url};

use super::capture::Capture;
use super::order::{CheckOrder, ProbeOrder, ReadyOrder};
use super::port::{self, Holder, Listener};
use crate::base::http;
use crate::model::reason;

/// The pauses between two checks grow from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(250);
/// How long one answer to a readiness check may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How much of an answer is kept as the health text, in bytes.
const HEALTH_MAX: usize = 300;

/// A service's readiness check, with what it has seen so far.
pub struct Readiness<'a> {
    order: &'a ReadyOrder,
    client: Client,
    target: Target,
    /// The last thing seen, for people.
    pub last: String,
    /// The text of the last answer.
    pub health: Option<String>,
}

enum Target {
    Http { url: Url, port: Option<u16> },
    Tcp { address: String, port: Option<u16> },
    Log,
}

/// Why a service can never become ready.
#[derive(Debug, thiserror::Error)]
pub enum ReadyError {
    /// Somebody else answers on the port.
    #[error("{}", reason::PORT_HELD.say([.port, .holder]))]
    Stranger {
        /// The port.
        port: u16,
        /// Who holds it.
        holder: Holder,
    },
    /// The address makes no sense once it is filled in.
    #[error("`{0}` is not an address that can be asked")]
    Address(String),
    /// There is no client to be had.
    #[error("the HTTP client could not be made: {0}")]
    Client(#[from] reqwest::Error),
}

impl<'a> Readiness<'a> {
    /// Prepares the check.
    ///
    /// # Errors
    /// When its address makes no sense.
    pub fn new(order: &'a ReadyOrder) -> Result<Self, ReadyError> {
        let target = match &order.check {
            CheckOrder::Http { url, .. } => {
                let parsed = Url::parse(url).map_err(|_| ReadyError::Address(url.clone()))?;
                let port = parsed
                    .port_or_known_default()
                    .filter(|_| http::is_local(&parsed));
                Target::Http { url: parsed, port }
            }
            CheckOrder::Tcp { address } => {
                let resolved = port::resolve(address);
                let resolved = resolved.ok_or_else(|| ReadyError::Address(address.clone()))?;
                let local = resolved.ip().is_loopback() || resolved.ip().is_unspecified();
                Target::Tcp {
                    address: address.clone(),
                    port: local.then(|| resolved.port()),
                }
            }
            CheckOrder::Log { .. } => Target::Log,
        };
        // Local addresses never go through a proxy.
        let client = http::local().timeout(ANSWER_LIMIT).build()?;
        let last = "nothing listens on its port yet".to_owned();
        Ok(Self {
            order,
            client,
            target,
            last,
            health: None,
        })
    }

    /// The port of this machine that the service is to listen on.
    pub fn port(&self) -> Option<u16> {
        match self.target {
            Target::Http { port, .. } | Target::Tcp { port, .. } => port,
            Target::Log => None,
        }
    }

    /// Waits until the service is ready, however long that takes.
    ///
    /// # Errors
    /// When it can never be: a stranger answers in its place.
    pub async fn wait(
        &mut self,
        capture: &Capture,
        members: impl Fn() -> Vec<i32>,
    ) -> Result<(), ReadyError> {
        if let Target::Log = self.target {
            self.last = "no line of its output matches the pattern yet".to_owned();
            capture.signalled().await;
        }
        let mut pause = FIRST_PAUSE;
        let mut refused_since: Option<Instant> = None;
        let mut suspect: Option<Holder> = None;
        loop {
            match self.listener(&members) {
                Listener::Member => {
                    suspect = None;
                    if self.check(&mut refused_since).await {
                        return Ok(());
                    }
                }
                Listener::None => suspect = None,
                // One look proves nothing: the service may have forked, or be
                // dying with its socket still open, which the caller notices
                // before there is another look.
                Listener::Stranger(holder) if suspect.as_ref() == Some(&holder) => {
                    let port = self.port().unwrap_or_default();
                    return Err(ReadyError::Stranger { port, holder });
                }
                Listener::Stranger(holder) => suspect = Some(holder),
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 3 / 2).min(LAST_PAUSE);
        }
    }

    /// Who listens on the service's port; a port that is not to be looked at
    /// is a member's.
    fn listener(&mut self, members: &impl Fn() -> Vec<i32>) -> Listener {
        let Some(port) = self.port().filter(|_| !self.order.any_owner) else {
            return Listener::Member;
        };
        let listener = port::listener(port, &members());
        self.last = match &listener {
            Listener::None => format!("nothing listens on port {port}"),
            Listener::Stranger(holder) => reason::PORT_HELD.say([&port, holder]),
            Listener::Member => return listener,
        };
        listener
    }

    /// Asks once; whether the service is ready.
    async fn check(&mut self, refused_since: &mut Option<Instant>) -> bool {
        let refused = match &self.target {
            Target::Log => false,
            Target::Tcp { address, .. } => match tokio::net::TcpStream::connect(address).await {
                Ok(_) => false,
                Err(error) => {
                    self.last = format!("{address}: {error}");
                    return false;
                }
            },
            Target::Http { url, .. } => {
                let Some(status) = self.ask(url.clone()).await else {
                    *refused_since = None;
                    return false;
                };
                (400..500).contains(&status)
            }
        };
        if let Some(probe) = &self.order.probe {
            return self.probe(probe).await;
        }
        if !refused {
            return true;
        }
        refused_since.get_or_insert_with(Instant::now).elapsed() >= self.order.settle
    }

    /// The status of an accepted answer.
    async fn ask(&mut self, url: Url) -> Option<u16> {
        let answer = match self.client.get(url.clone()).send().await {
            Ok(answer) => answer,
            Err(error) => {
                self.last = format!("{url}: {}", root_cause(&error));
                return None;
            }
        };
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap_or_default();
        let shown = String::from_utf8_lossy(&body[..body.len().min(HEALTH_MAX)]).into_owned();
        self.last = format!("{url} answered {status}");
        self.health = Some(if shown.is_empty() {
            format!("HTTP {status}")
        } else {
            shown
        });
        let CheckOrder::Http {
            status: accepted, ..
        } = &self.order.check
        else {
            return None;
        };
        accepts(accepted, status).then_some(status)
    }

    async fn probe(&mut self, probe: &ProbeOrder) -> bool {
        match self.send_probe(probe).await {
            Ok(()) => true,
            Err(problem) => {
                self.last = format!("the probe of {}: {problem}", probe.url);
                false
            }
        }
    }

    async fn send_probe(&self, probe: &ProbeOrder) -> Result<(), String> {
        let request = match &probe.body {
            Some(body) => self
                .client
                .post(&probe.url)
                .header("content-type", "application/json")
                .body(body.clone()),
            None => self.client.get(&probe.url),
        };
        let answer = request.timeout(probe.timeout).send().await;
        let answer = answer.map_err(|error| root_cause(&error))?;
        let status = answer.status().as_u16();
        if !accepts(&probe.status, status) {
            return Err(format!("answered {status}"));
        }
        let body = answer.bytes().await.map_err(|error| root_cause(&error))?;
        let expected = probe
            .expect
            .as_ref()
            .and_then(|pattern| Regex::new(pattern).ok());
        match expected {
            Some(pattern) if !pattern.is_match(&body) => {
                Err(format!("the answer does not match `{pattern}`"))
            }
            _ => Ok(()),
        }
    }
}

fn accepts(ranges: &[(u16, u16)], status: u16) -> bool {
    ranges
        .iter()
        .any(|(low, high)| (*low..=*high).contains(&status))
}

/// The innermost error, which says what happened: "connection refused".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
