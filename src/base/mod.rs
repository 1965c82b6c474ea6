//! Shared primitives that stand below every other room: time, durations,
//! sizes, atomic file replacement, owners, seeded random numbers and inherited
//! signals.

pub mod clock;
pub mod file;
pub mod owner;
pub mod quantity;
pub mod random;
pub mod signal;
