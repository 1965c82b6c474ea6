//! A look at the host before trials, and the GPUs before each: with real
//! programs, and with a library of NVIDIA's made for the tests.

#[path = "../support/mod.rs"]
mod support;

mod gpus;
mod host;
mod nvml;
mod release;
