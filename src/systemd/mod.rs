//! What a service says to systemd and gets from it. Without systemd nothing
//! here does anything.
//!
//! | file | part |
//! |---|---|
//! | [`notify`] | readiness, status line, time-outs: sd_notify(3) |
//! | [`watchdog`] | when a sign of life is due: sd_watchdog_enabled(3) |
//! | [`fd_store`] | file descriptors that outlive the process |
//! | [`journald`] | entries with fields: systemd.journal-fields(7) |

pub mod fd_store;
pub mod journald;
pub mod notify;
pub mod watchdog;
