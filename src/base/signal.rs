//! Signals as this process was started with them.

/// Whether this process was started with SIGHUP ignored, as `nohup` does it:
/// then it is to stay so. False where the kernel does not tell.
pub fn hangup_is_ignored() -> bool {
    let own = procfs::process::Process::myself().and_then(|process| process.status());
    let bit = 1 << (nix::sys::signal::Signal::SIGHUP as u32 - 1);
    own.is_ok_and(|status| status.sigign & bit != 0)
}
