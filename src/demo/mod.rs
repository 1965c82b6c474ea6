//! A real program to tune, inside the binary: an approximate nearest-neighbour
//! server and its evaluator.
mod data;
mod error;
mod evaluator;
mod index;
mod kmeans;
mod pool;
mod quant;
mod server;
mod settings;
mod vector;

pub use data::{DataSettings, exact_neighbours, recall};
pub use error::Error;
pub use evaluator::{Evaluation, evaluate};
pub use server::{Server, serve};
pub use settings::{
    Environment, EvaluatorSettings, IndexSettings, QuantBits, ServerSettings, process_environment,
};
pub use vector::{DIMS, Vector};
