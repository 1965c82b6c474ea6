//! What can go wrong in the server and the evaluator, each with an exit code.

use std::io;
use std::net::SocketAddr;

/// Why the server or the evaluator ended early.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An environment variable is not in the range that its text names.
    #[error("{name}={value} is refused: expected {expected}")]
    BadValue {
        /// The environment variable.
        name: &'static str,
        /// What it was set to.
        value: String,
        /// The allowed values, in words.
        expected: String,
    },
    /// Two values are each allowed, but not together.
    #[error("{name}={value} is more than {limit_name}={limit}")]
    TooMany {
        /// The environment variable that is too large.
        name: &'static str,
        /// Its value.
        value: u64,
        /// The environment variable that bounds it.
        limit_name: &'static str,
        /// That one's value.
        limit: u64,
    },
    /// The index that the settings ask for is over the memory limit.
    #[error(
        "index needs {:.1} MiB, over the limit of {} MiB (MEMORY_LIMIT_MB): {advice}",
        mebibytes(*needed),
        mebibytes(*limit)
    )]
    OverMemoryLimit {
        /// Bytes that the index would allocate.
        needed: u64,
        /// Bytes that it may allocate.
        limit: u64,
        /// Which settings would bring it below the limit.
        advice: &'static str,
    },
    /// The port is not to be had.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A thread could not be started, or a signal handler not be set.
    #[error("cannot {what}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The thread that builds the index ended without an index: a bug.
    #[error("the index was not built: its thread ended early")]
    BuildLost,
    /// Standard output is closed or full.
    #[error("cannot write to the output")]
    Write(#[from] io::Error),
    /// Nothing answers at the server's address, or it has stopped answering.
    #[error("the server at {url} does not answer ({requests} requests were answered before)")]
    NoAnswer {
        /// The server's address.
        url: String,
        /// How many searches it had answered by then.
        requests: u64,
        /// What the HTTP client said.
        #[source]
        source: reqwest::Error,
    },
    /// The server answers, but not with what was asked for.
    #[error("the server at {url} gave a wrong answer: {problem}")]
    BadAnswer {
        /// The server's address.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The server holds other data than the evaluator, so no recall is defined.
    #[error("the server's data has {name}={theirs}, the evaluator's has {name}={ours}")]
    OtherData {
        /// The environment variable that differs.
        name: &'static str,
        /// Its value in the server.
        theirs: u64,
        /// Its value in the evaluator.
        ours: u64,
    },
}

impl Error {
    /// The exit code for this error:
    ///
    /// | code | meaning |
    /// |---|---|
    /// | 1 | the system refused something (port, thread, output) |
    /// | 2 | a setting is refused |
    /// | 3 | the index would be over `MEMORY_LIMIT_MB` |
    /// | 4 | the server does not answer, or answers wrongly |
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Listen { .. } | Self::System { .. } | Self::BuildLost | Self::Write(_) => 1,
            Self::BadValue { .. } | Self::TooMany { .. } => 2,
            Self::OverMemoryLimit { .. } => 3,
            Self::NoAnswer { .. } | Self::BadAnswer { .. } | Self::OtherData { .. } => 4,
        }
    }
}

/// Bytes as MiB (2^20 bytes).
pub(super) fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1u32 << 20)
}
