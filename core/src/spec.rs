//! What tasks, archives and strategies say of themselves, once.

use std::sync::Arc;

use crate::genome::{Dense, Init};
use crate::noise::{Purpose, Stream};
use crate::serde::{Deserialize, Serialize};
use crate::{GeneSpace, Network, PolicyGradient, Source};

/// One axis of the descriptor space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(crate = "crate::serde")]
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

    /// How far along the axis a value lies: 0 at the lower bound, 1 at the upper.
    pub fn share(&self, x: f64) -> f64 {
        (x - self.lower) / (self.upper - self.lower)
    }
}

/// A number that a task measures of each row beside fitness and descriptor, and its column in the history.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Of the column. One that ends in `_seconds` or `_share` need not be the same for any number of ranks.
    pub name: &'static str,
    pub unit: &'static str,
    pub description: &'static str,
    pub kind: Measure,
    /// A sentence for the user, said once, when a generation's number is at least this.
    pub caution: Option<(f64, String)>,
}

/// What a column makes of the numbers of rows; those of tests are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// The sum over the run so far.
    Sum,
    /// Of numbers from 0 to 1: the mean over the generation's rows that are ok.
    Share,
}

/// One of the numbers that a task of several objectives gives for each row. All are maximized: of what is to be minimized the task gives minus it, and says so in the name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(crate = "crate::serde")]
pub struct Objective {
    pub name: String,
    /// Unit of the values, or empty.
    pub unit: String,
    /// Where hypervolumes are measured from (worse than what counts), and the best that there is; NaN where one is not known.
    pub range: [f64; 2],
}

impl Objective {
    pub fn new(name: &str, unit: &str, range: [f64; 2]) -> Objective {
        Objective {
            name: name.into(),
            unit: unit.into(),
            range,
        }
    }

    /// Where hypervolumes are measured from, if that is known.
    pub fn reference(&self) -> Option<f64> {
        Some(self.range[0]).filter(|x| x.is_finite())
    }

    /// The best that there is, if that is known.
    pub fn ideal(&self) -> Option<f64> {
        Some(self.range[1]).filter(|x| x.is_finite())
    }
}

/// What a task is: everything the engine, an archive or a strategy may ask about it. All tasks maximize.
#[derive(Debug, Clone)]
pub struct TaskSpec {
    pub name: String,
    /// Genes of a genome.
    pub genome_dim: usize,
    /// Rows and columns of the matrices that a genome is, one behind the other, each row by row; empty where it is none.
    pub matrices: Vec<[usize; 2]>,
    /// How the first genomes are drawn.
    pub init: Init,
    /// What a run begins with, if it was given genomes ([`TaskSpec::first`]); no task says it.
    pub given: Option<Arc<Given>>,
    /// Every gene is clipped to this interval, if there is one.
    pub bounds: Option<[f32; 2]>,
    /// What genes are, if the task knows each: genomes are then their coordinates, and `bounds` are 0 and 1.
    pub genes: Option<Arc<GeneSpace>>,
    /// The descriptor's axes with their bounds; empty if the task has no descriptor.
    pub descriptor: Vec<Axis>,
    /// What the fitness is, with its unit: `forward progress + survival - control cost`.
    pub fitness: String,
    /// Whether the user wants as little as possible of what the task gives, so that fitness is minus it.
    pub minimized: bool,
    /// Evaluations of the simulator or program that one of a candidate is; each counts.
    pub repeats: usize,
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
    /// Fitness and descriptor with their gradients, if the task knows them.
    pub gradients: Option<Arc<dyn Differentiable>>,
    /// What it measures of each row beside fitness and descriptor: columns of the history.
    pub measures: Vec<Measured>,
    /// Numbers of each row that an encoder of descriptors may see, where they are wanted ([`Scores::features`](crate::Scores::features)); 0 for a task that shows nothing.
    pub features: usize,
    /// The objectives of a task of several; empty where the fitness is all.
    pub objectives: Vec<Objective>,
    /// What it read at its start beside its options: a resumed run asks whether that is what it was.
    pub sources: Vec<Source>,
    /// What the log says of it at the start: (name, value).
    pub facts: Vec<(String, String)>,
    /// Rows that a worker should be handed at a time: 1 for episodes, more where a row takes less than 10 us; `1 << 30` for a task that
    /// takes all rows of its rank in one batch.
    pub chunk: usize,
}

impl TaskSpec {
    /// A task that is a function of genes, evaluated without episodes, with neither descriptor nor bounds: what a task is besides is said by its fields,
    /// `TaskSpec { max_steps: 200, ..TaskSpec::new(..) }`, so that a further field concerns those tasks alone that have it.
    pub fn new(name: impl Into<String>, genome_dim: usize, init: Init) -> TaskSpec {
        TaskSpec {
            name: name.into(),
            genome_dim,
            matrices: Vec::new(),
            init,
            given: None,
            bounds: None,
            genes: None,
            descriptor: Vec::new(),
            fitness: String::new(),
            minimized: false,
            repeats: 1,
            qd_offset: 0.0,
            deterministic: false,
            observation_dim: 0,
            action_dim: 0,
            network: None,
            negative_rewards: None,
            max_steps: 1,
            test_steps: 1,
            frames_per_step: 1,
            test_cases: 0,
            policy_gradient: None,
            gradients: None,
            measures: Vec::new(),
            features: 0,
            objectives: Vec::new(),
            sources: Vec::new(),
            facts: Vec::new(),
            chunk: 1,
        }
    }

    /// Axes of the descriptor.
    pub fn descriptor_dim(&self) -> usize {
        self.descriptor.len()
    }

    /// The genome number `index` of the first generation of a run of this seed: one that it was given, or where there are no more one that is drawn.
    pub fn first(&self, seed: u64, index: u64, genes: &mut [f32]) {
        match self.given.as_ref().and_then(|given| given.genome(index as usize)) {
            Some(genome) => genes.copy_from_slice(genome),
            None => self.init.draw(&Stream::new(seed, Purpose::Init, 0, index), genes),
        }
    }

    /// How many genomes the run was given, if it was given any; 0 once its first generation is over.
    pub fn given_rows(&self) -> Option<usize> {
        self.given.as_ref().map(|given| given.rows())
    }
}

/// Genomes that a run begins with, the best first where it is known which that is. Nothing needs them any more once the first generation is over.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Given(pub Dense);

impl Given {
    pub fn rows(&self) -> usize {
        self.0.data.len().checked_div(self.0.dim).unwrap_or(0)
    }

    fn genome(&self, index: usize) -> Option<&[f32]> {
        self.0.data.chunks_exact(self.0.dim.max(1)).nth(index)
    }
}

/// Gradients of a task, which differentiable quality diversity searches by.
pub trait Differentiable: Send + Sync + std::fmt::Debug {
    /// Writes the gradients at `genes` (`[genome_dim]`) of the fitness, to be climbed, and of each axis of the descriptor; `[1 + k, genome_dim]`.
    fn gradients(&self, genes: &[f32], gradients: &mut [f64]);
}

/// How an archive divides the descriptor space.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(crate = "crate::serde")]
pub enum Cells {
    /// Equal boxes; `shape[i]` along axis i, the last axis varies fastest.
    Grid { shape: Vec<usize> },
    /// Voronoi cells of `centroids`, `[cells, k]`.
    Cvt { centroids: Vec<f64> },
    /// None: elites have numbers from 0 on, each a cell of its own.
    None,
}

/// A number or word that an archive goes by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(crate = "crate::serde")]
pub enum Rule {
    Count(u64),
    Number(f64),
    Text(String),
}

impl std::fmt::Display for Rule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Rule::Count(n) => n.fmt(f),
            Rule::Number(x) => x.fmt(f),
            Rule::Text(text) => text.fmt(f),
        }
    }
}

/// What an archive is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(crate = "crate::serde")]
pub struct ArchiveSpec {
    /// As the configuration names it.
    pub kind: String,
    pub axes: Vec<Axis>,
    pub cells: Cells,
    /// Number of cells; without cells the most elites that it takes.
    pub capacity: usize,
    pub qd_offset: f64,
    /// What else it goes by: (name, value), by name. The file holds them as attributes, and `illume info` shows them.
    pub rules: Vec<(String, Rule)>,
}

impl ArchiveSpec {
    /// Whether it divides the descriptor space into cells; coverage and QD score are of cells.
    pub fn has_cells(&self) -> bool {
        !matches!(self.cells, Cells::None)
    }

    /// The rule of this name.
    pub fn rule(&self, name: &str) -> Option<&Rule> {
        self.rules.iter().find(|(known, _)| known == name).map(|(_, rule)| rule)
    }

    /// What the rule `keep` says: which elites a cell keeps of several. Empty where a cell has one.
    pub fn keep(&self) -> &str {
        match self.rule("keep") {
            Some(Rule::Text(keep)) => keep,
            _ => "",
        }
    }

    /// Whether each cell holds the front of what came to it.
    pub fn holds_fronts(&self) -> bool {
        self.keep().starts_with("front")
    }

    /// Whether cells have contenders beside their elites.
    pub fn has_contenders(&self) -> bool {
        self.keep() == "adaptive"
    }

    /// Whether its elites are the front of all that came, so that none dominates another.
    pub fn is_front(&self) -> bool {
        !self.has_cells() && self.rule("objectives").is_some()
    }

    /// The most elites that there can be: those of all cells, of which each has `depth` (1, unless a rule of this name says more). Of cells that have contenders besides there is no bound but that of numbers.
    pub fn most_elites(&self) -> usize {
        match self.rule("depth") {
            Some(_) if self.has_contenders() => 1 << 31,
            Some(Rule::Count(depth)) => self.capacity.saturating_mul(*depth as usize),
            _ => self.capacity,
        }
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
