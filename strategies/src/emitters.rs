//! Emitters (Fontaine et al. 2020; pyribs): each proposes a share of a generation's candidates and learns from what the archive made of them.
//! A scheduler gives them their rows: [`strategy_of_emitters`](crate::strategy_of_emitters) makes a strategy of any.

mod course;
mod evolution_strategy;
mod gradient_arborescence;
mod gradient_operator;
mod kinds;
mod proposal;
mod resampling;
mod variation;

use std::sync::Arc;

use illume_core::{Archive, Batch, Context, Error, InsertReport, Network, Result, State, Told, mix64};

use crate::record;

pub(crate) use course::{Course, Restart};
pub(crate) use evolution_strategy::EvolutionStrategy;
pub(crate) use gradient_arborescence::{Arborescence, GradientArborescence, coefficient_space};
pub(crate) use gradient_operator::GradientOperator;
pub use kinds::{ActorBatchParams, BatchParams, CountParams, EmitterEntry, ResampleParams, emitters};
pub(crate) use kinds::{build_all, live_on_novelty, parameters};
pub use proposal::{Piece, Proposal, Rows, Run};
pub(crate) use proposal::{layout, within};
pub use resampling::DrawParams;
pub(crate) use resampling::{Children, Needs, Resampling, Samples, Weights};
pub(crate) use variation::{Operator, Variation, drawn, select};

/// Candidates that an emitter makes in one way.
#[derive(Debug, Clone)]
pub struct Part {
    /// What the column `operator` calls them.
    pub operator: &'static str,
    /// How many there are of them in a generation.
    pub rows: usize,
    /// Whether they lie evenly among the others' rows, so that every rank's block has its share of what is expensive to make; else they follow one another.
    pub spread: bool,
    /// The phase of the generation in which they are evaluated, 0 for the first.
    pub phase: usize,
    /// Whether they are offered to the archive.
    pub offered: bool,
    /// The network whose weights they are, if that is not the task's.
    pub network: Option<Arc<Network>>,
    /// Evaluations of each that are averaged; 0 for as many as the strategy says.
    pub samples: u32,
    /// Whether they are elites that are evaluated again, of which each is its own first parent; for archives whose cells hold several.
    pub again: bool,
}

impl Part {
    /// Candidates in one piece, offered in the first phase.
    pub fn new(operator: &'static str, rows: usize) -> Part {
        Part {
            operator,
            rows,
            spread: false,
            phase: 0,
            offered: true,
            network: None,
            samples: 0,
            again: false,
        }
    }
}

/// A column that an emitter adds to the history.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    pub name: &'static str,
    pub unit: &'static str,
    pub meaning: &'static str,
    /// What is shown of several emitters' values.
    pub of_several: Merge,
}

/// Columns of which the sum over several emitters is shown.
pub(crate) fn summed(columns: impl Iterator<Item = record::Column>) -> Vec<Column> {
    let column = |(name, unit, meaning)| Column {
        name,
        unit,
        meaning,
        of_several: Merge::Sum,
    };
    columns.map(column).collect()
}

/// How values of several emitters become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Merge {
    Sum,
    /// The upper median.
    Median,
}

/// What an emitter asks of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LivesOn {
    /// Elites, of cells or not.
    Any,
    Cells,
    /// Novelty, which archives without cells measure.
    Novelty,
}

/// Makes a share of the candidates. All ranks hold it whole and call it alike.
pub trait Emitter: Send {
    /// What it makes in a generation; always the same, unless it [`Emitter::changes`].
    fn parts(&self) -> Vec<Part>;

    /// Whether its parts may have other rows and samples after each [`Emitter::prepare`]; what they are besides stays.
    fn changes(&self) -> bool {
        false
    }

    /// Whether it can live in this archive, asked before a run begins.
    ///
    /// # Errors
    /// It cannot, which is due to a key of the configuration.
    fn check(&self, _archive: &dyn Archive) -> Result<()> {
        Ok(())
    }

    /// Whether it needs an elite to begin with: as long as there is none, random policies are evaluated in place of a generation.
    fn needs_elites(&self) -> bool {
        false
    }

    /// What it asks of its archive.
    fn lives_on(&self) -> LivesOn {
        LivesOn::Any
    }

    /// Whether it learns from episodes: it is then told of those of all rows, the others' as well as its own.
    fn needs_episodes(&self) -> bool {
        false
    }

    /// Whether it asks how its candidates compete with their neighbours ([`illume_core::InsertReport::competition`]).
    fn needs_competition(&self) -> bool {
        false
    }

    /// Whether it is asked and told with all threads for itself, at a moment when it may speak with the `ranks` others; else beside others, on any thread.
    fn in_turn(&self, ranks: usize) -> bool;

    /// Readies it for a generation that it takes part in, in the order of the emitters on all ranks; it may communicate.
    ///
    /// # Errors
    /// Communication.
    fn prepare(&mut self, _context: &Context<'_>, _archive: &dyn Archive) -> Result<()> {
        Ok(())
    }

    /// Writes the genomes of its candidates of a phase.
    ///
    /// # Errors
    /// Communication.
    fn ask(&mut self, context: &Context<'_>, archive: &dyn Archive, proposal: Proposal<'_>) -> Result<()>;

    /// Called when all candidates of the generation's first phase are made.
    ///
    /// # Errors
    /// A thread that cannot be started.
    fn asked(&mut self, _context: &Context<'_>) -> Result<()> {
        Ok(())
    }

    /// Learns from a phase in which it has rows; one that learns from episodes is told of every phase, those of random policies among them.
    ///
    /// # Errors
    /// Communication.
    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>, report: &InsertReport, rows: &Rows<'_>) -> Result<()>;

    /// How often it has begun anew; none if it never does, and is a fresh one in every generation.
    fn restarts(&self) -> Option<u64> {
        None
    }

    /// Its columns of the history.
    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    /// Their values after the last generation.
    fn values(&self) -> Vec<f64> {
        Vec::new()
    }

    /// Those of the values that neither its state nor the clock gives again, for a checkpoint: the first ones.
    fn remembered(&self) -> Vec<f64> {
        Vec::new()
    }

    /// Takes back what [`Emitter::remembered`] gave.
    fn remember(&mut self, _values: &[f64]) {}

    /// What the log says of it at the start: (name, value).
    fn facts(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    /// Its state as tables, and what it holds to be its result beside the archive. Collective.
    ///
    /// # Errors
    /// Communication.
    fn save(&self, context: &Context<'_>) -> Result<State>;

    /// # Errors
    /// A state that is not of this emitter.
    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()>;
}

/// Emitters in the order in which they have a generation's rows.
pub type Emitters = Vec<Box<dyn Emitter>>;
/// Checks that there is a kind of archive in which all can live.
///
/// # Errors
/// There is none, which is due to the strategy's `key`.
pub(crate) fn check_archive(emitters: &[Box<dyn Emitter>], key: &str) -> Result<()> {
    let any = |lives_on: LivesOn| emitters.iter().any(|e| e.lives_on() == lives_on);
    if any(LivesOn::Cells) && any(LivesOn::Novelty) {
        let message = "one is ordered by novelty, which only an archive of kind \"unstructured\" measures, and another by elites of cells, which it has not: expected one of both";
        return Err(Error::config("strategy", key, message));
    }
    Ok(())
}

/// The seed of emitter number `index` in a run of this seed.
pub(crate) fn seed_of(seed: u64, index: usize) -> u64 {
    mix64(seed ^ mix64(index as u64 + 1))
}

/// A genome that should have been fetched.
pub(crate) fn missing(cell: u32) -> Error {
    Error::failed(format!("the genome of cell {cell} is not there"))
}

/// A table of one row.
pub(crate) fn one_row(columns: &[(&str, &str, u64)]) -> Batch {
    let mut table = Batch::new();
    for (name, meaning, value) in columns {
        table.push(name, 1, "", meaning, vec![*value]);
    }
    table
}
