//! What tasks, archives and strategies say of themselves, once.

use std::sync::Arc;

use crate::genome::Init;
use crate::{Network, PolicyGradient};

/// One axis of the descriptor space.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    pub name: String,
    /// Unit of the values, or empty.
    pub unit: String,
    pub lower: f64,
    pub upper: f64,
}

impl Axis {
    pub fn new(name: &str, unit: &str, lower: f64, upper: f64) -> Axis {
        Axis {
            name: name.into(),
            unit: unit.into(),
            lower,
            upper,
        }
    }
}

/// What a task is: everything the engine, an archive or a strategy may ask about it. All tasks maximize.
#[derive(Debug, Clone)]
pub struct TaskSpec {
    pub name: String,
    /// Genes of a genome.
    pub genome_dim: usize,
    /// How the first genomes are drawn.
    pub init: Init,
    /// Every gene is clipped to this interval, if there is one.
    pub bounds: Option<[f32; 2]>,
    /// The descriptor's axes with their bounds; empty if the task has no descriptor.
    pub descriptor: Vec<Axis>,
    /// What the fitness is, with its unit: `forward progress + survival - control cost`.
    pub fitness: String,
    /// Added to every elite's fitness in the QD score, so that no elite lowers it.
    pub qd_offset: f64,
    /// Whether the evaluation ignores its seed.
    pub deterministic: bool,
    /// Numbers in an observation vector; 0 for a task without one (no episode, or pixels).
    pub observation_dim: usize,
    /// Numbers in an action; 0 for a task that is not an episode, or chooses one of several actions.
    pub action_dim: usize,
    /// The perceptron that genomes are the weights of; none for a task without one.
    pub network: Option<Network>,
    /// If a step's reward can be below zero: which option prevents it, as the end of a sentence.
    pub negative_rewards: Option<String>,
    /// Steps of the longest episode; 1 for a task that is not an episode.
    pub max_steps: u32,
    /// Steps of the longest episode that is only a test (`Candidates::tests`): more than `max_steps` where episodes are cut short to save time.
    pub test_steps: u32,
    /// Frames of the simulator that a step takes, by which budgets are stated: 1, or an Atari task's frame skip.
    pub frames_per_step: u32,
    /// Cases of the split that test rows are scored on, if a test can be divided into parts ([`test_part_seed`](crate::test_part_seed)); 0 if it cannot.
    pub test_cases: usize,
    /// What strategies that climb by the gradient of sampled answers ask, if the task can say it.
    pub policy_gradient: Option<Arc<dyn PolicyGradient>>,
    /// What the log says of it at the start: (name, value).
    pub facts: Vec<(String, String)>,
    /// Rows that a worker should be handed at a time: 1 for episodes, more where a row takes less than 10 us; `1 << 30` for a task that
    /// takes all rows of its rank in one batch.
    pub chunk: usize,
}

impl TaskSpec {
    /// Axes of the descriptor.
    pub fn descriptor_dim(&self) -> usize {
        self.descriptor.len()
    }
}

/// How an archive divides the descriptor space.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// Equal boxes; `shape[i]` along axis i, the last axis varies fastest.
    Grid { shape: Vec<usize> },
    /// Voronoi cells of `centroids`, `[cells, k]`.
    Cvt { centroids: Vec<f64> },
    /// None: members in the order of their admission, each a cell of its own.
    Unstructured(Unstructured),
}

/// How an unstructured archive measures novelty and whom it admits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unstructured {
    /// Nearest neighbours whose mean distance is the novelty.
    pub neighbours: usize,
    pub admission: Admission,
    /// Distances are taken in units of each axis' extent, not in the axes' own.
    pub normalize: bool,
}

/// Which of the rows offered to it an unstructured archive admits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Admission {
    /// Each with this probability.
    Random(f64),
    /// Those of at least this novelty.
    Novelty(f64),
}

/// What an archive is.
#[derive(Debug, Clone, PartialEq)]
pub struct ArchiveSpec {
    /// `grid`, `cvt` or `unstructured`.
    pub kind: String,
    pub axes: Vec<Axis>,
    pub cells: Cells,
    /// Number of cells; of an unstructured archive the most members it takes.
    pub capacity: usize,
    pub qd_offset: f64,
}

impl ArchiveSpec {
    /// Whether it divides the descriptor space into cells; coverage and QD score are of cells.
    pub fn has_cells(&self) -> bool {
        !matches!(self.cells, Cells::Unstructured(_))
    }

    /// The unit of a distance between descriptors: that of all axes, or none where they differ.
    pub fn unit(&self) -> &str {
        let unit = self.axes.first().map_or("", |axis| &axis.unit);
        if self.axes.iter().all(|axis| axis.unit == unit) {
            unit
        } else {
            ""
        }
    }
}

/// What a strategy is.
#[derive(Debug, Clone)]
pub struct StrategySpec {
    pub name: String,
    /// Names of the variation operators, as the column `operator` numbers them.
    pub operators: Vec<String>,
    /// Columns it adds to the history: (name, unit, description).
    pub history: Vec<(String, String, String)>,
    /// Whether the archive will hold lineages instead of dense genomes.
    pub lineage: bool,
    /// Evaluations of the first generation: a smaller budget is refused.
    pub first_generation: usize,
    /// The parameters that set it.
    pub sized_by: &'static [&'static str],
    /// What the log says of it at the start: (name, value).
    pub facts: Vec<(String, String)>,
}
