//! Shared primitives that stand below every other room: time, durations,
//! sizes, atomic file replacement and seeded random numbers.

pub mod clock;
pub mod file;
pub mod quantity;
pub mod random;
