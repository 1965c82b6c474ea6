//! The client's end of a connection.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixStream;

use super::reply::Reply;
use super::request::Request;
use super::{WireError, codec, frame, hello};

/// How long the hello may take.
const HELLO: Duration = Duration::from_secs(10);
/// The pause before a full queue of connections is tried again.
const QUEUE: Duration = Duration::from_millis(20);

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens there.
    #[error("no autotuned is running here: {}: {source}", .path.display())]
    Nobody {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// This user may not connect.
    #[error("{}: {source}", .path.display())]
    Forbidden {
        /// The socket.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Whoever listens there does not say hello.
    #[error("{}: {source}", .path.display())]
    Hello {
        /// The socket.
        path: PathBuf,
        /// What is wrong.
        source: WireError,
    },
}

/// Connects. While many others do, the system takes no more for a moment.
async fn connect(path: &Path) -> std::io::Result<UnixStream> {
    let patient = async {
        loop {
            match UnixStream::connect(path).await {
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    tokio::time::sleep(QUEUE).await;
                }
                result => return result,
            }
        }
    };
    let connected = tokio::time::timeout(HELLO, patient).await;
    connected.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
}

/// A connection to a daemon.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    /// The version of the protocol that is spoken.
    pub version: u16,
}

impl Client {
    /// Connects to the daemon that listens at `path`.
    ///
    /// # Errors
    /// See [`ConnectError`].
    pub async fn connect(path: &Path) -> Result<Self, ConnectError> {
        let at = || path.to_owned();
        let connected = connect(path).await;
        let mut stream = connected.map_err(|source| match source.kind() {
            std::io::ErrorKind::PermissionDenied => ConnectError::Forbidden { path: at(), source },
            _ => ConnectError::Nobody { path: at(), source },
        })?;
        let greet = async {
            match hello::send(&mut stream).await {
                // A daemon that refuses closes its end at once; what it said
                // before is still to be read.
                Err(WireError::Closed) => {}
                sent => sent?,
            }
            hello::receive(&mut stream).await
        };
        let silent = || std::io::Error::from(std::io::ErrorKind::TimedOut).into();
        let greeted = tokio::time::timeout(HELLO, greet).await;
        let version = greeted
            .unwrap_or_else(|_| Err(silent()))
            .map_err(|source| ConnectError::Hello { path: at(), source })?;
        Ok(Self { stream, version })
    }

    /// Sends a request.
    ///
    /// # Errors
    /// See [`WireError`].
    pub async fn send(&mut self, request: &Request) -> Result<(), WireError> {
        let body = codec::encode(request)?;
        match frame::send(&mut self.stream, &body, frame::REQUEST_MAX).await {
            // A daemon that refuses may have closed its end; its last words
            // are still to be read.
            Err(WireError::Closed) => Ok(()),
            result => result,
        }
    }

    /// Receives a reply: the only one, or the next of a stream.
    ///
    /// # Errors
    /// See [`WireError`].
    pub async fn receive(&mut self) -> Result<Reply, WireError> {
        codec::decode(&frame::receive(&mut self.stream, frame::REPLY_MAX).await?)
    }

    /// Sends a request and receives its reply.
    ///
    /// # Errors
    /// See [`WireError`].
    pub async fn ask(&mut self, request: &Request) -> Result<Reply, WireError> {
        self.send(request).await?;
        self.receive().await
    }
}
