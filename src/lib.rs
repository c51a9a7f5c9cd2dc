//! illume: evolutionary and quality-diversity optimization on clusters.
//!
//! The crate is the engine and the command line; the parts are re-exported: [`core`] (the vocabulary), [`archives`], [`envs`],
//! [`strategies`] and [`cluster`]. A run from Rust:
//!
//! ```no_run
//! use illume::{Config, Run, cluster::Solo};
//! # fn main() -> illume::core::Result<()> {
//! let config = Config::parse("[task]\nname = \"arm\"\n[strategy]\nname = \"map_elites\"\n", "inline", &[])?;
//! let task = illume::registry::task(&config)?;
//! let comm = Solo;
//! let mut run = Run::new(&config, task.as_ref(), &comm)?;
//! while run.generation()? {}
//! println!("QD score {}", run.metrics().qd_score);
//! # Ok(())
//! # }
//! ```

pub mod commands;
pub mod compare;
mod config;
pub mod decoder;
mod difference;
mod directory;
pub mod distill;
mod evaluate;
pub mod export;
pub mod film;
mod gather;
mod history;
pub mod lock;
mod log;
mod output;
pub mod plot;
pub mod policy;
pub mod reevaluate;
pub mod registry;
mod run;
pub mod statistics;
pub mod sweep;
pub mod versions;

pub use illume_archives as archives;
pub use illume_cluster as cluster;
pub use illume_core as core;
pub use illume_envs as envs;
pub use illume_numerics as numerics;
pub use illume_strategies as strategies;

pub use config::{Budget, Config, Output};
pub use decoder::decoder;
pub use evaluate::Evaluator;
pub use history::History;
pub use run::Run;
