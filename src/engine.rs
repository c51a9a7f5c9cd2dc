//! The engine: a configuration becomes a run, a run makes generations, and a run directory keeps what they found.

pub(crate) mod checkpoint;
pub(crate) mod config;
pub(crate) mod corrected;
mod decoder;
pub(crate) mod difference;
pub(crate) mod directory;
mod evaluate;
pub(crate) mod fronts;
mod gather;
mod history;
pub mod lock;
pub(crate) mod log;
mod measures;
pub(crate) mod output;
pub mod registry;
pub(crate) mod run;
mod samples;
pub(crate) mod start;
pub mod versions;

pub use config::{Budget, Config, Output};
pub use decoder::decoder;
pub use evaluate::Evaluator;
pub use history::History;
pub use run::{Run, Settings};
pub use start::StartParams;
