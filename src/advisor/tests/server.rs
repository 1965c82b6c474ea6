//! A real HTTP server that answers as a test wants it, in any port.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What it answers.
pub(super) enum Reply {
    /// A chat completion that says this.
    Say(String),
    /// One that is not whole, for this reason.
    Cut(String, &'static str),
    /// A status with further headers and a body.
    Status(u16, &'static str, String),
    /// Bytes, and then the end of the connection.
    Raw(Vec<u8>),
    /// Nothing, for as long as the client waits.
    Silence,
    /// A body without an end.
    Endless,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(super) struct Request {
    /// Its first line and its headers, in lower case.
    pub(super) head: String,
    pub(super) body: Value,
}

pub(super) struct Server {
    pub(super) base_url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

pub(super) fn say(text: &str) -> Reply {
    Reply::Say(text.to_owned())
}

pub(super) fn status(status: u16, message: &str) -> Reply {
    let body = json!({ "error": { "message": message } });
    Reply::Status(status, "", body.to_string())
}

impl Server {
    /// Answers so many requests, in this order; each further one by status 418.
    pub(super) async fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            let mut replies = replies.into_iter();
            while let Ok((stream, _)) = listener.accept().await {
                let reply = replies.next();
                let reply = reply.unwrap_or_else(|| status(418, "the script is over"));
                tokio::spawn(answer(stream, reply, Arc::clone(&seen)));
            }
        });
        Self {
            base_url: format!("http://127.0.0.1:{port}/v1"),
            requests,
        }
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().expect("the requests").clone()
    }
}

async fn answer(mut stream: TcpStream, reply: Reply, seen: Arc<Mutex<Vec<Request>>>) {
    let Some(request) = read(&mut stream).await else {
        return;
    };
    seen.lock().expect("the requests").push(request);
    let completion = |text: &str, finish: &str| {
        json!({
            "model": "a-model-2026",
            "choices": [{
                "message": { "role": "assistant", "content": text },
                "finish_reason": finish,
            }],
            "usage": { "prompt_tokens": 100, "completion_tokens": 10 },
        })
    };
    let whole = |status: u16, headers: &str, body: &str| {
        format!(
            "HTTP/1.1 {status} X\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    };
    let bytes = match reply {
        Reply::Say(text) => whole(200, "", &completion(&text, "stop").to_string()),
        Reply::Cut(text, why) => whole(200, "", &completion(&text, why).to_string()),
        Reply::Status(status, headers, body) => whole(status, headers, &body),
        Reply::Raw(bytes) => bytes,
        Reply::Silence => {
            // Until the client has had enough.
            let _ = stream.read(&mut [0]).await;
            return;
        }
        Reply::Endless => {
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
            let block = vec![b' '; 64 << 10];
            while stream.write_all(&block).await.is_ok() {}
            return;
        }
    };
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head.split("content-length: ").nth(1)?;
            let length: usize = length.lines().next()?.trim().parse().ok()?;
            if bytes.len() >= end + 4 + length {
                let body = serde_json::from_slice(&bytes[end + 4..]).ok()?;
                return Some(Request { head, body });
            }
        }
        let mut block = [0; 16 << 10];
        match stream.read(&mut block).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&block[..count]),
        }
    }
}
