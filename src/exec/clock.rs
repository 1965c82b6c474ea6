//! Whether the clock follows a time server.

/// What the kernel says; `None` where a sandbox keeps it from saying.
pub fn is_synchronised() -> Option<bool> {
    // SAFETY: every bit pattern is a value of it, and zeros ask for no change.
    #[expect(unsafe_code, reason = "the call has no safe form")]
    let (state, timex) = unsafe {
        let mut timex: libc::timex = std::mem::zeroed();
        (libc::adjtimex(&raw mut timex), timex)
    };
    (state >= 0).then_some(timex.status & libc::STA_UNSYNC == 0)
}
