//! How a verb ends: the documented exit codes.

use std::error::Error;
use std::process::ExitCode;

use crate::report::phrase::clean_lines;
use crate::term::fault::error;

/// How a verb ended. The numbers are part of the interface: scripts and the
/// systemd unit go by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All is done, or the end was asked for.
    Done,
    /// Something that no other code is for.
    Failure,
    /// The command line is wrong (clap's own code).
    Usage,
    /// The spec is wrong, or names what this machine has not.
    Spec,
    /// The study's folder is in use, another study's, or cannot be written.
    Folder,
    /// The journal is damaged, or of a newer version.
    Journal,
    /// The study is paused.
    Paused,
    /// The trial of `try` failed.
    TrialFailed,
    /// The daemon failed too often under `supervise`.
    GaveUp,
    /// Ctrl-C: 128 + SIGINT, as shells have it.
    Interrupted,
    /// A code of the demo's own programs, which are a user's like any other, or
    /// of the daemon under `supervise`.
    Child(u8),
}

impl Exit {
    /// Every way to end that is documented.
    pub const ALL: [Self; 10] = [
        Self::Done,
        Self::Failure,
        Self::Usage,
        Self::Spec,
        Self::Folder,
        Self::Journal,
        Self::Paused,
        Self::TrialFailed,
        Self::GaveUp,
        Self::Interrupted,
    ];

    /// Its number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failure => 1,
            Self::Usage => 2,
            Self::Spec => 3,
            Self::Folder => 4,
            Self::Journal => 5,
            Self::Paused => 6,
            Self::TrialFailed => 7,
            Self::GaveUp => 8,
            Self::Interrupted => 130,
            Self::Child(code) => code,
        }
    }

    /// Says what went wrong, with all its causes, on standard error.
    pub fn say(self, error: &dyn Error) -> Self {
        let mut text = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Many texts contain their cause already.
            if !text.contains(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        self.say_text(&text)
    }

    /// Says what went wrong on standard error.
    pub fn say_text(self, text: &str) -> Self {
        use std::io::Write;
        let mut stderr = anstream::stderr();
        // Names and values of the user's are in it: they must not steer the
        // terminal.
        let text = error(&clean_lines(text), &std::io::stderr());
        let _ = writeln!(stderr, "{text}");
        self
    }

    /// How a verb ends that only shows something. A reader that has seen
    /// enough, as `head` has, is no failure.
    pub fn of_output(written: std::io::Result<()>) -> Self {
        match written {
            Ok(()) => Self::Done,
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Self::Done,
            Err(error) => Self::Failure.say_text(&format!("the output cannot be written: {error}")),
        }
    }

    /// [`Exit::Failure`], said.
    pub fn failure(error: &dyn Error) -> Self {
        Self::Failure.say(error)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scripts go by these numbers: a change breaks them.
    #[test]
    fn codes_are_pinned() {
        let codes = Exit::ALL.map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 8, 130]);
    }
}
