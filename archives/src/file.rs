//! The HDF5 file, format version 1: `docs/format.md` describes it for readers in other languages.
//!
//! [`write()`] leaves either the old file or the new one, whatever happens. [`open`] checks everything it reads, so that a damaged
//! or foreign file is one sentence and never a panic.

mod atomic;
mod checkpoint;
mod evaluation;
mod genes;
mod h5;
mod objectives;
mod read;
mod scales;
mod slab;
mod table;
mod tables;
mod texts;
mod wire;
mod write;

pub use checkpoint::{Checkpoint, read_checkpoint};
pub use evaluation::{Evaluation, Totals, check_target, is_evaluation, open_evaluation, write_evaluation};
pub use h5::Dimension;
pub use read::{ArchiveFile, open};
pub use table::{Table, write_table};
pub use tables::{Group, Texts, write_tables};
pub use write::{Contents, write};

/// The format this code writes, and the newest it reads.
pub const FORMAT_VERSION: u64 = 1;

/// The value of the root's attribute `format`.
pub(crate) const FORMAT: &str = "illume";

/// The same in the file of an evaluation.
pub(crate) const EVALUATION_FORMAT: &str = "illume evaluation";

/// Table of `/state` that belongs to the file itself.
pub(crate) const OWN_TABLE: &str = "archive";

/// The group of the elites that strategies breed from, where those are not the result; in checkpoints.
pub(crate) const ACTIVE: &str = "active";

/// What the root's attributes say; `format` and `format_version` are added by [`write()`].
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(crate = "illume_core::serde")]
pub struct Attributes {
    /// Version of the program that wrote the file.
    pub software_version: String,
    pub task: String,
    /// What the fitness is, where it is not what the task gives: `minus distance`. Empty where it is.
    pub fitness: String,
    pub strategy: String,
    /// The run's seed.
    pub seed: u64,
    /// Generations done.
    pub generation: u64,
    /// Evaluations done.
    pub evaluations: u64,
    /// The resolved configuration, TOML.
    pub config: String,
    /// When the file was written, ISO 8601.
    pub created: String,
    pub ranks: u64,
    /// Threads of each rank.
    pub threads: u64,
    /// Names of the variation operators, as `/elites/operator` numbers them.
    pub operators: Vec<String>,
    /// Those of the task, as `/elites/objectives` has them; empty for a task of one.
    pub objectives: Vec<Objective>,
    /// What the task read at its start ([`Source::lines`](illume_core::Source::lines)); empty where it reads nothing.
    pub sources: String,
}

#[cfg(test)]
mod tests;

use illume_core::Objective;
use illume_core::serde::{Deserialize, Serialize};
