//! Emitters (Fontaine et al. 2020; pyribs): each proposes a share of a generation's candidates and learns from what the archive made of them.

mod evolution_strategy;

use std::ops::Range;

use illume_core::{Archive, Batch, Context, InsertReport, Result, State, Told, mix64};

pub(crate) use evolution_strategy::{EvolutionStrategy, Restart};

/// Makes a share of the candidates. All ranks hold it whole and call it alike; no two draw the same noise, since each has a seed of its own ([`seed_of`]).
pub(crate) trait Emitter: Send {
    /// Candidates of a generation.
    fn batch(&self) -> usize;

    /// Readies it for a generation, in the order of the emitters on all ranks. The archive is as it was left by the last batch.
    ///
    /// # Errors
    /// Communication.
    fn prepare(&mut self, context: &Context<'_>, archive: &dyn Archive) -> Result<()>;

    /// Writes the genomes of its candidates `rows`, `[rows, dim]`. Emitters that do not communicate may be asked at once, on any thread.
    ///
    /// # Errors
    /// Communication.
    fn ask(&mut self, context: &Context<'_>, rows: Range<usize>, genes: &mut [f32]) -> Result<()>;

    /// Learns from the rows `rows` of the generation, which are its own; called as [`Emitter::ask`].
    ///
    /// # Errors
    /// Communication.
    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>, report: &InsertReport, rows: Range<usize>)
    -> Result<()>;

    /// Whether it speaks with other ranks when it is asked or told.
    fn communicates(&self) -> bool;

    /// Restarts so far.
    fn restarts(&self) -> u64;

    /// Its step size; NaN for one without.
    fn sigma(&self) -> f64;

    /// Its state as tables. Collective.
    ///
    /// # Errors
    /// Communication.
    fn save(&self, context: &Context<'_>) -> Result<Vec<(String, Batch)>>;

    /// # Errors
    /// A state that is not of this emitter.
    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()>;
}

/// The seed of emitter number `index` in a run of this seed.
pub(crate) fn seed_of(seed: u64, index: usize) -> u64 {
    mix64(seed ^ mix64(index as u64 + 1))
}
