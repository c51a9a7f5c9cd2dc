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

pub mod analysis;
pub mod commands;
pub mod engine;
pub mod formats;
pub mod render;
pub mod sweep;

pub use illume_archives as archives;
pub use illume_cluster as cluster;
pub use illume_core as core;
pub use illume_envs as envs;
pub use illume_numerics as numerics;
pub use illume_strategies as strategies;

pub use engine::{Budget, Config, Evaluator, History, Output, Run, decoder, registry};
