//! One sitting of a trial, in a process of its own.
//!
//! | file | part |
//! |---|---|
//! | [`order`], [`sources`] | what the runner is told: `trial.json` |
//! | [`report`] | what it tells: `events.jsonl`, `result.json` |
//! | [`handle`] | the daemon's end: start, hear, stop, clear up |
//! | [`leftovers`] | what an earlier daemon has left |
//! | [`runner`], `work`, `runs` | the runner's process, and what it does |
//! | [`process`], [`cgroup`] | a process with its whole tree |
//! | [`delegation`], [`limits`] | the cgroups that are ours, and what a trial may take |
//! | [`ready`], [`port`] | when a service is really ready, and who holds a port |
//! | `evict` | ending a stranger that the spec lets us end |
//! | [`release`] | that the memory of the GPUs is back |
//! | [`artifacts`], `gather`, `search`, [`checkpoint`] | what a trial has made, and from where it goes on |
//! | [`capture`], [`extract`], [`cause`] | output, metrics in it, what the kernel knows of its end |
//! | `curves`, `activity` | what a run tells on its way, and when it did last |
//! | `fresh`, `number` | which files a run has written, and numbers in them |
//! | [`environment`] | what a step sees of the environment |
//! | [`gpu`], [`nvml`] | the GPUs, and the helper that asks their driver |
//! | [`files`] | the limit of open files, of the daemon and of what it starts |
//! | [`clock`] | whether it follows a time server |
//! | [`peer`] | the groups of the process at the other end of a socket |
//!
//! Invariants:
//! - A pid is signalled only through a pidfd, after its membership was checked
//!   while the pidfd pinned it.
//! - When a sitting's result is written, nothing of it is alive, or the result
//!   names what is.
//! - Nothing here knows of a study: an order in, reports and a result out.

mod activity;
pub mod artifacts;
pub mod capture;
pub mod cause;
pub mod cgroup;
pub mod checkpoint;
pub mod clock;
mod curves;
pub mod delegation;
pub mod environment;
mod evict;
pub mod extract;
pub mod files;
mod fresh;
mod gather;
pub mod gpu;
pub mod handle;
pub mod leftovers;
pub mod limits;
mod number;
pub mod nvml;
pub mod order;
pub mod peer;
pub mod port;
pub mod process;
pub mod ready;
pub mod release;
pub mod report;
pub mod runner;
mod runs;
mod search;
pub mod sources;
mod spawn;
mod watch;
mod work;
