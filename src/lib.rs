//! autotune tunes a program by trying parameter values on the real thing.
//!
//! # Bird's-eye view
//!
//! A **study** has a search space, steps, an objective and constraints. A
//! **sampler** proposes **params**; a **trial** tries them: its steps start a
//! server, wait until it is really ready, measure it several times, and end it
//! without leaving anything behind. The best trial that meets the constraints
//! is the **incumbent**.
//!
//! ```text
//!  autotunectl ─ ctl ──┐ wire, a Unix socket
//!                      ▼
//!  autotuned run ─ cli ─▶ daemon ──── asks ────▶ search
//!                          │  ▲
//!              facts, synced  │ reports, through a pipe
//!                          ▼  │
//!                        store  exec: `autotuned trial`, one process a sitting
//!                          │                    │
//!          journal.jsonl, tune_results.jsonl    services, tasks, runs
//! ```
//!
//! # Code map
//!
//! | room | what | may import (besides `base`) |
//! |---|---|---|
//! | [`advisor`] | asking a language model; its answers are checked like everybody's | model |
//! | [`base`] | time, durations, atomic files, seeded random numbers | – |
//! | [`model`] | the words above as values; pure | – |
//! | [`search`] | samplers over a read-only history, statistics; pure, seeded | model |
//! | [`catalogue`] | what the arguments of ms-swift are, and which make sense together; pure | model |
//! | [`troubles`] | known troubles: how an output tells of one, what to do about it; pure | model |
//! | [`config`] | text to a checked spec, with a position for every complaint | model, catalogue, troubles |
//! | [`exec`] | one sitting of a trial, in a process of its own | model, troubles |
//! | [`doctor`] | is there on this host what a study needs? | model, advisor, exec, notify, report, systemd |
//! | [`store`] | journal, result files, lock, import | model |
//! | [`report`] | a view of a study as data and sentences; pure | model, search, troubles |
//! | [`notify`] | telling people: in which words, and by Feishu, webhook and mail | model, report, troubles |
//! | [`wire`] | the control protocol: its own messages, framed | model |
//! | [`systemd`] | readiness, watchdog, kept descriptors, journald | – |
//! | [`daemon`] | dispatcher, decisions, recovery, control server | all but cli, ctl, demo, supervise, term |
//! | [`demo`] | a real program to tune: a nearest-neighbour search server | – |
//! | [`setup`] | the service for a study in somebody's own folder | doctor |
//! | [`term`] | tables, colours, widths of Chinese text | – |
//! | [`supervise`] | keeps a daemon alive where there is no systemd | – |
//! | [`cli`] | `autotuned`'s verbs | all but ctl |
//! | [`ctl`] | `autotunectl`'s verbs | model, advisor, catalogue, config, setup, wire, report, term |
//!
//! `tests/tidy.rs` fails on any other import.
//!
//! # Invariants
//!
//! - Nobody sees a fact before it is on disk: decide, append and sync, apply,
//!   publish, then act. After a crash the effects follow from the state again.
//! - When a sitting is over, no process of it is alive; whatever is killed was
//!   proved to be ours while a pidfd pinned it.
//! - Failure is an outcome, never a number. A fault of the host teaches the
//!   sampler nothing.
//! - Params come from [`model::space::Space`] alone, which checks them.
//! - The same journal gives the same next proposal, also after a restart.
//!
//! What is absent, on purpose:
//!
//! - `model`, `search` and `report` have no clock, no files, no runtime.
//! - Only `exec` and `supervise` start or signal processes (and `setup`, which
//!   runs programs of the service manager); only `exec` and `systemd` hold unsafe
//!   code; only `cli` and `ctl` print; only `bin` ends the
//!   process.
//! - Nothing that a client does, or does not do, holds a study up: the control
//!   server has threads of its own, and waits for no reader.
//! - No `model` type is serialised: `store`, `exec` and `wire` own their formats.

pub mod advisor;
pub mod base;
pub mod catalogue;
pub mod cli;
pub mod config;
pub mod ctl;
pub mod daemon;
pub mod demo;
pub mod doctor;
pub mod exec;
pub mod model;
pub mod notify;
pub mod report;
pub mod search;
pub mod setup;
pub mod store;
pub mod supervise;
pub mod systemd;
pub mod term;
pub mod troubles;
pub mod wire;
