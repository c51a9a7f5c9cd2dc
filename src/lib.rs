//! illume: evolutionary and quality-diversity optimization on clusters.
//!
//! The crate is the engine and the command line; the parts are re-exported: [`core`] (the vocabulary), [`archives`], [`envs`],
//! [`strategies`] and [`cluster`]. A run of a task of one's own, by a strategy and in an
//! archive of the registries (which may be one's own as well: whatever implements [`core::Strategy`] and [`core::ArchiveMut`]):
//!
//! ```
//! use illume::archives::GridParams;
//! use illume::cluster::Solo;
//! use illume::core::{Axis, Init, Request, Result, Scores, Scratch, Task, TaskSpec, Worker};
//! use illume::strategies::MapElitesParams;
//! use illume::{Budget, Run, Settings, registry};
//!
//! /// Genes far from 0.5 are worth little; the first two are the descriptor.
//! struct Hill(TaskSpec);
//!
//! impl Task for Hill {
//!     fn spec(&self) -> &TaskSpec {
//!         &self.0
//!     }
//!     fn worker(&self) -> Result<Box<dyn Worker + '_>> {
//!         Ok(Box::new(Climber(Scratch::default())))
//!     }
//! }
//!
//! struct Climber(Scratch);
//!
//! impl Worker for Climber {
//!     fn evaluate(&mut self, request: &Request<'_>, rows: std::ops::Range<usize>, scores: &mut Scores<'_>) {
//!         for (i, row) in rows.enumerate() {
//!             let genes = request.genomes.genes(row, &mut self.0);
//!             scores.fitness[i] = -genes.iter().map(|x| f64::from(x - 0.5).powi(2)).sum::<f64>();
//!             scores.descriptor[2 * i] = f64::from(genes[0]);
//!             scores.descriptor[2 * i + 1] = f64::from(genes[1]);
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<()> {
//! let hill = Hill(TaskSpec {
//!     bounds: Some([0.0, 1.0]),
//!     descriptor: vec![Axis::new("first", "", 0.0, 1.0), Axis::new("second", "", 0.0, 1.0)],
//!     qd_offset: 4.0,
//!     ..TaskSpec::new("hill", 16, Init::Uniform { lower: 0.0, upper: 1.0 })
//! });
//! let params = MapElitesParams { batch: 100, ..MapElitesParams::default() };
//! let strategy = registry::strategy_of("map_elites", &params, &hill.0)?;
//! let archive = registry::archive_of("grid", &GridParams { shape: vec![10, 10], ..GridParams::default() }, &hill.0)?;
//! let settings = Settings { seed: 1, budget: Budget { generations: 500, ..Budget::default() }, ..Settings::default() };
//! let mut run = Run::from_parts(&hill, strategy, archive, settings, &Solo)?;
//! while run.generation()? {}
//! assert!(run.metrics().coverage > 0.9 && run.metrics().max_fitness > -0.1, "{:?}", run.metrics());
//! # Ok(())
//! # }
//! ```
//!
//! `illume run` does the same with a configuration: [`Config::read`], [`registry::task`], [`Run::new`]. Who evaluates candidates elsewhere calls [`Run::ask`], [`Run::score`] and
//! [`Run::tell`] in turn.

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

pub use engine::{Budget, Config, Evaluator, History, Output, Run, Settings, StartParams, decoder, registry};
