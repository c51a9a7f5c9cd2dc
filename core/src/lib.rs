//! The vocabulary of illume: genome forms, batches of named columns, specs, the four traits, keyed randomness, errors.

#![forbid(unsafe_code)]

mod again;
mod batch;
mod decode;
mod digest;
mod elites;
mod error;
mod film;
mod genes;
pub mod genome;
mod launched;
mod low_rank;
mod memory;
pub mod npy;
mod numbers;
pub mod params;
mod policy_gradient;
mod registry;
mod seeds;
mod spec;
mod traits;

// The `params!` macro names these through this crate, so that its users need not depend on them.
extern crate self as illume_core;
pub use {serde, toml};

pub use again::Again;
pub use batch::{Batch, Column, Data, Element};
pub use decode::Decoder;
pub use digest::{Digest, Source};
pub use elites::{Elites, Taken};
pub use error::{Error, Problem, Result, both};
pub use film::{Camera, View};
pub use genes::{GeneGroup, GeneKind, GeneSpace, cell, gene_parameters, inward, middle};
pub use genome::{Dense, GenomeRef, Genomes, Init, Lineages, Perturbation, Scratch, Weights};
pub use illume_numerics::mlp::{Activation, Network};
pub use illume_numerics::noise::{self, Purpose, Stream, mix64};
pub use launched::{companion, forget_launcher, local_rank, signal_name, was_killed};
pub use low_rank::{LowRank, MatrixPlace};
pub use memory::Memory;
pub use numbers::Numbers;
pub use params::Params;
pub use policy_gradient::{Answer, Credit, PolicyGradient, Surrogate, SurrogateReport};
pub use registry::{ArchiveConfig, ArchiveEntry, NestedParams, StrategyConfig, StrategyEntry, TaskConfig, TaskEntry};
pub use seeds::{case_of_seed, case_seed, test_part_of_seed, test_part_seed};
pub use spec::{
    ArchiveSpec, Axis, Cells, Differentiable, Given, Measure, Measured, Objective, Rule, StrategySpec, TaskSpec,
};
pub use traits::{
    Archive, ArchiveMut, CODE, Candidates, Comm, Context, ENCODER, FEATURES, Fetched, Inbox, InsertReport,
    LearnedDescriptors, NOT_OFFERED, Next, Normalization, Offer, Outcome, Request, Scores, Standing, State, Status,
    Strategy, Task, Told, Trajectory, Worker, block,
};
