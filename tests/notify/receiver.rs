//! A receiver of webhooks, on a port of this machine: it answers as a test
//! wants, and keeps what it was sent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value as Json;

/// What comes back for a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A status, further header lines, and a body.
    Http(u16, &'static str, String),
    /// Nothing, until the other side goes.
    Silence,
    /// What is no HTTP.
    Garbage,
}

impl Answer {
    /// Success, with this body.
    pub fn ok(body: &str) -> Self {
        Self::Http(200, "", body.to_owned())
    }

    /// A status alone.
    pub fn status(status: u16) -> Self {
        Self::Http(status, "", String::new())
    }
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub head: String,
    pub body: String,
    /// Whether the answer was a success.
    pub accepted: bool,
}

impl Request {
    pub fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.body))
    }

    pub fn text(&self, field: &str) -> String {
        let json = self.json();
        json[field]
            .as_str()
            .unwrap_or_else(|| panic!("{field} in {json}"))
            .to_owned()
    }
}

pub struct Receiver {
    pub port: u16,
    scheme: &'static str,
    seen: Arc<Mutex<Vec<Request>>>,
}

type Script = dyn Fn(usize) -> Answer + Send + Sync;

impl Receiver {
    /// One that answers the request number `n`, from 0, by `script(n)`.
    pub fn start(script: impl Fn(usize) -> Answer + Send + Sync + 'static) -> Self {
        Self::listen(None, Arc::new(script))
    }

    /// The same, by TLS.
    pub fn start_tls(
        config: Arc<ServerConfig>,
        script: impl Fn(usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        Self::listen(Some(config), Arc::new(script))
    }

    fn listen(tls: Option<Arc<ServerConfig>>, script: Arc<Script>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let seen: Arc<Mutex<Vec<Request>>> = Arc::default();
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                let (kept, script, tls) = (Arc::clone(&kept), Arc::clone(&script), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(stream, &kept, &*script),
                    Some(config) => {
                        let connection = ServerConnection::new(config).expect("a connection");
                        serve(StreamOwned::new(connection, stream), &kept, &*script);
                    }
                });
            }
        });
        Self { port, scheme, seen }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}://localhost:{}{path}", self.scheme, self.port)
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("no panic").clone()
    }

    /// A field of every request so far.
    pub fn texts(&self, field: &str) -> Vec<String> {
        self.seen()
            .iter()
            .map(|request| request.text(field))
            .collect()
    }
}

fn serve(stream: impl Read + Write, kept: &Mutex<Vec<Request>>, script: &Script) {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        // A handshake that fails, or a client that has gone.
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        if line == "\r\n" {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
        head += &line;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    let body = String::from_utf8(body).expect("text");
    let answer = {
        let mut kept = kept.lock().expect("no panic");
        let answer = script(kept.len());
        let accepted = matches!(answer, Answer::Http(200, ..));
        kept.push(Request {
            head,
            body,
            accepted,
        });
        answer
    };
    let stream = reader.get_mut();
    // Whoever asked may be gone.
    let _ = match answer {
        Answer::Http(status, headers, body) => write!(
            stream,
            "HTTP/1.1 {status} Answer\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        ),
        Answer::Garbage => stream.write_all(b"\x00\xffthis is no HTTP\r\n\r\n"),
        Answer::Silence => stream.read(&mut [0]).map(drop),
    };
    let _ = stream.flush();
}

/// A port of this machine where nobody answers.
pub fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("its address").port()
}
