//! Shared primitives that stand below every other room: time, durations,
//! sizes, atomic file replacement, folders that nothing leads out of, HTTP
//! clients, secrets, owners, seeded random numbers, inherited signals, text that
//! can be shown and lines that fit.

pub mod clock;
pub mod dotenv;
pub mod exports;
pub mod file;
pub mod http;
pub mod inside;
pub mod owner;
pub mod private;
pub mod quantity;
pub mod random;
pub mod secret;
pub mod signal;
pub mod text;
pub mod usual;
pub mod wrap;
