//! The vocabulary of illume: genome forms, batches of named columns, specs, the four traits, keyed randomness, errors.

mod batch;
mod error;
pub mod genome;
pub mod math;
pub mod noise;
pub mod params;
mod registry;
mod simd;
mod spec;
mod traits;

// The `params!` macro names these through this crate, so that its users need not depend on them.
extern crate self as illume_core;
pub use {serde, toml};

pub use batch::{Batch, Column, Data, Element};
pub use error::{Error, Problem, Result};
pub use genome::{Decoder, Dense, GenomeRef, Genomes, Init, Lineages, Perturbation, Scratch, Weights};
pub use noise::{Purpose, Stream, mix64};
pub use params::Params;
pub use registry::{ArchiveConfig, ArchiveEntry, StrategyConfig, StrategyEntry, TaskConfig, TaskEntry};
pub use spec::{Activation, ArchiveSpec, Axis, Cells, Network, StrategySpec, TaskSpec};
pub use traits::{
    Archive, Candidates, Comm, Context, Elites, Fetched, Inbox, InsertReport, NOT_OFFERED, Next, Normalization,
    Outcome, Request, Scores, State, Status, Strategy, Task, Told, Trajectory, Worker, block,
};
