//! What SIGHUP means to a process, by how it was started.

use procfs::process::Process;

/// What SIGHUP asks of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hangup {
    /// Nothing: it was started with the signal ignored, as `nohup` does it, and
    /// that is to stay so.
    Nothing,
    /// An end: it was started from a terminal, and that is gone.
    End,
    /// To read its spec again: there is no terminal that could go.
    Reload,
}

impl Hangup {
    /// What it asks of this process. To be asked at the start: with the
    /// terminal goes every trace that there was one.
    pub fn of_this_process() -> Self {
        let own = Process::myself().and_then(|own| Ok((own.status()?, own.stat()?)));
        // Where the kernel does not tell, it ends as a program without a
        // handler does.
        own.map_or(Self::End, |(status, stat)| {
            Self::of(status.sigign, stat.tty_nr)
        })
    }

    /// By the mask of ignored signals and the controlling terminal's number.
    fn of(ignored: u64, terminal: i32) -> Self {
        let bit = 1 << (nix::sys::signal::Signal::SIGHUP as u32 - 1);
        if ignored & bit != 0 {
            Self::Nothing
        } else if terminal != 0 {
            Self::End
        } else {
            Self::Reload
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nohup_comes_before_the_terminal() {
        assert_eq!(Hangup::of(0b1, 34816), Hangup::Nothing);
        assert_eq!(Hangup::of(0b1, 0), Hangup::Nothing);
        assert_eq!(Hangup::of(0b10, 34816), Hangup::End);
        assert_eq!(Hangup::of(0b10, 0), Hangup::Reload);
    }
}
