//! What turns the lineages of a file into genes: the run's seed and noise, as its configuration says.

use illume_core::{Decoder, Result, TaskSpec};
use illume_strategies::LineageParams;

use crate::Config;

/// The decoder of the lineages that a run with this configuration makes.
///
/// # Errors
/// A parameter of the strategy that is not understood, with file and line.
pub fn decoder(config: &Config, task: &TaskSpec) -> Result<Decoder> {
    let params = LineageParams::of(&config.strategy).map_err(|e| config.locate(e))?;
    Ok(params.decoder(config.seed, task))
}
