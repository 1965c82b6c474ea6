//! How a verb ends: the documented exit codes.

use std::process::ExitCode;

/// How a verb ended. The numbers are part of the interface: scripts go by
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done, or so already.
    Done,
    /// Something that no other code is for.
    Failure,
    /// The command line is wrong (clap's own code).
    Usage,
    /// Nobody listens on the socket.
    Nobody,
    /// The daemon refuses; the message says why.
    Refused,
    /// This user may not.
    NotAllowed,
    /// The other end speaks no version of the protocol that this one does.
    Version,
    /// `wait`: the time is over.
    TimedOut,
}

impl Exit {
    /// Every way to end.
    pub const ALL: [Self; 8] = [
        Self::Done,
        Self::Failure,
        Self::Usage,
        Self::Nobody,
        Self::Refused,
        Self::NotAllowed,
        Self::Version,
        Self::TimedOut,
    ];

    /// Its number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Nobody => 3,
            Self::Refused => 4,
            Self::NotAllowed => 5,
            Self::Version => 6,
            Self::TimedOut => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
