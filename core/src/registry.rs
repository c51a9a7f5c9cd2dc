//! The tables by which names in a configuration become things. Each crate has one; the conformance tests walk them.

use std::sync::Arc;

use crate::params::ParamInfo;
use crate::{ArchiveMut, ArchiveSpec, Axis, GeneSpace, Memory, Objective, Result, Strategy, Task, TaskSpec};

/// A task that can be named in `[task]`, or a family of tasks that differ in their name alone.
pub struct TaskEntry {
    pub name: &'static str,
    /// Names of a family's tasks, `name` among them as the one that stands for all; empty for a single task.
    pub family: &'static [&'static str],
    /// One line: what it is, fitness, descriptor.
    pub summary: &'static str,
    pub params: fn() -> Vec<ParamInfo>,
    /// Whether it acts through a perceptron, so that strategies that learn from episodes can take it.
    pub network: bool,
    /// Whether it has cases to answer and to test on, which are in files beside the program.
    pub cases: bool,
    /// Parameters of `[policy]`, if that means something.
    pub policy: Option<fn() -> Vec<ParamInfo>>,
    /// What makes it small, as the tables `[task]` and `[policy]` of a configuration: what the tests that walk the registry make of it.
    pub small: &'static str,
    /// What a new configuration says beside the defaults, as tables of TOML (`illume new`); the archive's where its strategy needs no special one.
    pub suggested: &'static str,
    /// A change of every gene by which a genome does something else of the same kind, as a standard deviation: steps of a new configuration are shares of it.
    pub gene_scale: f64,
    /// What stands for it where a configuration is written and what it is made of need not be there yet: a program of the user's own, say.
    pub sketch: Option<fn() -> TaskSpec>,
    pub build: fn(&TaskConfig<'_>) -> Result<Box<dyn Task>>,
}

/// What a task is built from.
pub struct TaskConfig<'a> {
    /// The `[task]` table: `name` and parameters.
    pub task: &'a toml::Table,
    /// What `[[task.genes]]` says, which is then not in the table: set where a task is built by its name, and not before.
    pub genes: Option<Arc<GeneSpace>>,
    /// The `[policy]` table.
    pub policy: &'a toml::Table,
    /// Ranks that share this node's memory, at least 1. Results do not depend on it.
    pub ranks: usize,
}

/// An archive that can be named as `archive.kind`.
pub struct ArchiveEntry {
    pub kind: &'static str,
    pub summary: &'static str,
    pub params: fn() -> Vec<ParamInfo>,
    /// Whether it measures novelty, for strategies that live on it, and keeps what it admitted; others keep elites, for strategies that breed from them.
    pub novelty: bool,
    /// Whether it tells its elites apart by learned descriptors, where a strategy learns some.
    pub learned: bool,
    /// Whether it keeps elites that none dominates and no others, so that its task must have several objectives.
    pub fronts: bool,
    /// Parameters of a small one, as TOML: what the tests that walk the registry make of it.
    pub small: &'static str,
    /// Checks the rules of a spec that comes from a file.
    pub check: fn(&ArchiveSpec) -> Result<()>,
    pub build: fn(&ArchiveConfig<'_>) -> Result<Box<dyn ArchiveMut>>,
}

impl ArchiveEntry {
    /// One of elites that goes by its cells alone.
    pub const fn new(
        kind: &'static str,
        summary: &'static str,
        params: fn() -> Vec<ParamInfo>,
        small: &'static str,
        build: fn(&ArchiveConfig<'_>) -> Result<Box<dyn ArchiveMut>>,
    ) -> ArchiveEntry {
        ArchiveEntry {
            kind,
            summary,
            params,
            novelty: false,
            learned: false,
            fronts: false,
            small,
            check: |_| Ok(()),
            build,
        }
    }
}

/// What an archive is built from.
pub struct ArchiveConfig<'a> {
    /// The `[archive]` table: `kind` and parameters.
    pub archive: &'a toml::Table,
    /// Run seed: centroids are drawn from it unless the parameters say otherwise.
    pub seed: u64,
    pub axes: &'a [Axis],
    /// Of a task of several; else empty.
    pub objectives: &'a [Objective],
    pub genome_dim: usize,
    pub qd_offset: f64,
    /// Store lineages, not dense genomes.
    pub lineage: bool,
    /// Numbers of the descriptor that the strategy learns, 0 for none.
    pub learned: usize,
    /// What it will take is claimed here before it is made.
    pub memory: &'a Memory,
}

/// A strategy that can be named in `[strategy]`.
pub struct StrategyEntry {
    pub name: &'static str,
    /// One line: what it is, with its paper.
    pub summary: &'static str,
    pub params: fn() -> Vec<ParamInfo>,
    /// Whether it learns from episodes, so that its task must act through a network.
    pub network: bool,
    /// Whether it lives on novelty, so that its archive must be unstructured.
    pub novelty: bool,
    /// Whether it breeds from the elites of cells, so that its archive must have cells.
    pub cells: bool,
    /// Whether it breeds from fronts of several objectives, so that its task must have some and its archive keep such fronts.
    pub fronts: bool,
    /// Of a strategy that lives on either: whether it lives on novelty, by its table.
    pub novelty_by: Option<fn(&toml::Table) -> bool>,
    /// Whether it needs a task that has cases to answer and to test on, as language models have.
    pub cases: bool,
    /// Whether it searches by the gradients that a task knows.
    pub gradients: bool,
    /// Whether it learns descriptors, so that its archive must tell elites apart by them.
    pub learns: bool,
    /// Whether it learns them from what a task shows of a candidate, so that its task must show something ([`TaskSpec::features`](crate::TaskSpec::features)).
    pub features: bool,
    /// Whether it tells candidates apart by the task's own descriptor, whatever archive it has, so that its task must have one.
    pub descriptor: bool,
    /// Whether it needs an archive with soft thresholds.
    pub thresholds: bool,
    /// Whether it needs an archive whose cells hold several elites, or say more of theirs (`depth`, `keep`): what it suggests shows one.
    pub members: bool,
    /// Whether it varies genes that are categories; others search along numbers, and categories have no order.
    pub categories: bool,
    /// Of a strategy that is made of parts which have tables of their own: the section and the parameters of each, by the strategy's table.
    pub nested: Option<NestedParams>,
    /// Columns of its history that say how far a run is, and what they are called; empty: what is in the archive does.
    pub shown: &'static [(&'static str, &'static str)],
    /// Parameters of a small setting, as TOML: what the tests that walk the registry make of it. Empty for the defaults.
    pub small: &'static str,
    /// What a new configuration says beside the defaults, as tables of TOML (`illume new`); keys that its task does not have are left out.
    pub suggested: &'static str,
    /// Parameters that are steps of genes, its emitters' as well, and the share of [`TaskEntry::gene_scale`] that a new configuration gives each.
    pub steps: &'static [(&'static str, f64)],
    pub build: fn(&StrategyConfig<'_>) -> Result<Box<dyn Strategy>>,
}

/// Finds the tables within a table: the section of each (`strategy.emitters[0]`) and its parameters.
pub type NestedParams = fn(&toml::Table) -> Vec<(String, Vec<ParamInfo>)>;

impl StrategyEntry {
    /// Whether with this table it lives on novelty.
    pub fn lives_on_novelty(&self, strategy: &toml::Table) -> bool {
        self.novelty || self.novelty_by.is_some_and(|by| by(strategy))
    }

    /// One that takes any task and archive.
    pub const fn new(
        name: &'static str,
        summary: &'static str,
        params: fn() -> Vec<ParamInfo>,
        build: fn(&StrategyConfig<'_>) -> Result<Box<dyn Strategy>>,
    ) -> StrategyEntry {
        StrategyEntry {
            name,
            summary,
            params,
            network: false,
            novelty: false,
            cells: false,
            fronts: false,
            novelty_by: None,
            cases: false,
            gradients: false,
            learns: false,
            features: false,
            descriptor: false,
            thresholds: false,
            members: false,
            categories: false,
            nested: None,
            shown: &[],
            small: "",
            suggested: "",
            steps: &[],
            build,
        }
    }
}

/// What a strategy is built from.
pub struct StrategyConfig<'a> {
    /// The `[strategy]` table: `name` and parameters.
    pub strategy: &'a toml::Table,
    pub task: &'a TaskSpec,
    /// What it will take is claimed here before it is made.
    pub memory: &'a Memory,
}

impl StrategyConfig<'_> {
    /// Claims what a generation of `rows` candidates takes, each of which the rank that makes it holds in `copies` genomes.
    ///
    /// # Errors
    /// There is not so much.
    pub fn claim_rows(&self, key: &str, rows: f64, copies: usize) -> Result<()> {
        let bytes = (copies * size_of::<f32>()) as f64 * self.task.genome_dim as f64;
        self.memory.claim_rows(key, rows, self.task.descriptor_dim(), bytes)
    }
}
