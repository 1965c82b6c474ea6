//! A real program to tune, inside the binary: an approximate nearest-neighbour
//! search server and its evaluator. They run as processes of their own and are
//! configured by environment variables, as a user's server is; nothing that
//! they report is made up.
//!
//! ```text
//!        demo-server (server)                         demo-eval (evaluator)
//!  data ─▶ kmeans ─▶ index ─▶ pool  ◀── HTTP ──  queries in batches, timed
//!  seed    centroids  lists,   N_THREADS           │
//!                     quant    threads             ▼
//!                                        data ─▶ exact answers ─▶ recall
//!                                        seed
//! ```
//!
//! The index is an inverted file. k-means (Lloyd, "Least squares quantization
//! in PCM", 1982) finds centroids; each vector goes into the list of its nearest
//! ones; a search looks only into the lists nearest to the query (Sivic &
//! Zisserman, "Video Google", 2003; Jégou, Douze & Schmid, "Product
//! quantization for nearest neighbor search", 2011). Vectors may be stored as
//! scalar-quantised residuals (Max, "Quantizing for minimum distortion", 1960).
//!
//! | parameter | more of it |
//! |---|---|
//! | `N_LISTS` | shorter lists, so faster; more to miss, a longer start |
//! | `N_PROBE` | higher recall, slower |
//! | `SPILL` | higher recall with the same `N_PROBE`, more memory |
//! | `QUANT_BITS` | higher recall, more memory, slower |
//! | `RERANK` | recall back that few bits lost; needs the floats in memory |
//! | `N_THREADS` | faster while processors are free |
//! | `BATCH` | less work for the network, a longer wait for each answer |
//! | `TRAIN_SAMPLE`, `KMEANS_ITERS` | better lists, a longer start |
//!
//! Invariants:
//! - Server and evaluator draw the same data from `DEMO_SEED`; the evaluator
//!   checks that they do, and refuses to compare answers about other data.
//! - Everything but times is a function of the settings: not of the number of
//!   processors, and not of the order in which threads finish.
//! - The memory that is compared with `MEMORY_LIMIT_MB` is the memory that the
//!   index then allocates, byte for byte.
//! - Nothing here starts a process, exits, or reads a setting from elsewhere
//!   than the environment.

mod data;
mod error;
mod evaluator;
mod index;
mod kmeans;
mod pool;
mod quant;
mod server;
mod settings;
#[cfg(test)]
mod tests;
mod vector;

pub use data::{DataSettings, exact_neighbours, recall};
pub use error::Error;
pub use evaluator::{Evaluation, evaluate};
pub use server::{Server, serve};
pub use settings::{
    Environment, EvaluatorSettings, IndexSettings, QuantBits, ServerSettings, process_environment,
};
pub use vector::{DIMS, Vector};

/// The study of the demo, as a spec. Its user fills in two things: the
/// template value `program` (the path of this binary, whose verbs
/// `demo-server` and `demo-eval` call [`serve`] and [`evaluate`]), and `PORT`
/// in `[base]`, a free port on 127.0.0.1.
pub const SPEC: &str = include_str!("demo.toml");
