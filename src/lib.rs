//! autotune: a supervisor that tunes a program by trying parameter values on
//! the real thing.

pub mod base;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod demo;
pub mod exec;
pub mod model;
pub mod report;
pub mod search;
pub mod store;
pub mod term;
