//! The four traits in which the crates meet: [`Task`] (with its [`Worker`]), [`Archive`], [`Strategy`], [`Comm`].

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::genome::{GenomeRef, Genomes};
use crate::{Answer, ArchiveSpec, Batch, Camera, Elites, Network, Result, StrategySpec, TaskSpec};

/// How an evaluation ended, as the column `status` stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Status {
    /// Fitness, descriptor and objectives are finite.
    Ok = 0,
    /// One of them came out as NaN or infinite.
    NotFinite = 1,
    /// The simulator or program failed.
    Failed = 2,
}

/// A task: immutable, shared by all threads, each of which makes its own worker.
pub trait Task: Send + Sync {
    fn spec(&self) -> &TaskSpec;

    /// An evaluator for one thread.
    ///
    /// # Errors
    /// The worker's data (a simulator's, say) cannot be made.
    fn worker(&self) -> Result<Box<dyn Worker + '_>>;

    /// Why the first row failed that did in this process, behind the task's name; none if none did, or where the status says all.
    fn failure(&self) -> Option<String> {
        None
    }

    /// Why no row can be scored any more, once that is so: the run then ends after its generation, with a checkpoint.
    fn gave_up(&self) -> Option<String> {
        None
    }

    /// Where what the task's own programs say may be kept: a run directory, and this process's rank.
    fn keep_logs(&self, _folder: &Path, _rank: usize) {}

    /// A worker that scores as the task does on average, whatever the seed; none where that is not known. Of a deterministic task that is any worker, and none is needed.
    ///
    /// # Errors
    /// As [`Task::worker`].
    fn noiseless(&self) -> Result<Option<Box<dyn Worker + '_>>> {
        Ok(None)
    }

    /// A worker that scores as any other and shows its episodes to a camera; none for a task without pictures.
    ///
    /// # Errors
    /// As [`Task::worker`].
    fn filming<'a>(&'a self, _camera: &'a mut dyn Camera) -> Result<Option<Box<dyn Worker + 'a>>> {
        Ok(None)
    }
}

/// Evaluates genomes on one thread. A result is a pure function of (genes, seed, request).
pub trait Worker: Send {
    /// Scores the rows `rows` of the request; `scores` has one entry for each of them, zeroed. A value that is not finite may be
    /// left as it is: the engine marks its row.
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>);
}

/// What is to be evaluated. All rows are of this rank's block.
#[derive(Clone)]
pub struct Request<'a> {
    pub genomes: &'a Genomes,
    /// Evaluation seed of each row.
    pub seeds: &'a [u64],
    /// Episodes end after this many steps at the latest (`u32::MAX`: the task's own limit alone).
    pub max_steps: u32,
    /// Rows that `max_steps` does not cut short: their limit is the task's own.
    pub uncapped: Range<usize>,
    /// Rows that only test: their limit is the task's `test_steps` alone.
    pub tests: Range<usize>,
    /// Applied to observations before the policy sees them.
    pub normalization: Option<&'a Normalization>,
    /// Rows of which the observations' moments are wanted; empty for none.
    pub observed: &'a [bool],
    /// The network whose weights the genomes are, if that is not the task's own. For tasks that act through one.
    pub network: Option<&'a Network>,
}

impl Request<'_> {
    /// Steps that the episode of a row may take on a task whose own limits are `[max_steps, test_steps]`.
    pub fn limit(&self, row: usize, [max_steps, test_steps]: [u32; 2]) -> u32 {
        if self.tests.contains(&row) {
            test_steps
        } else if self.uncapped.contains(&row) {
            max_steps
        } else {
            max_steps.min(self.max_steps)
        }
    }
}

/// What a policy saw and did in one episode.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trajectory {
    /// As the policy saw them, `[steps + 1, observation_dim]`.
    pub observations: Vec<f32>,
    /// `[steps, action_dim]`.
    pub actions: Vec<f32>,
    /// `[steps]`.
    pub rewards: Vec<f32>,
    /// What each step brought of each of several objectives, `[steps, m]`; empty for a task of one.
    pub objectives: Vec<f32>,
    /// The task ended the episode; otherwise its time was up.
    pub terminated: bool,
    /// Of a task that is answered in tokens, in place of all the above: one for each case, in the order of the cases.
    pub answers: Vec<Answer>,
}

impl Trajectory {
    pub fn steps(&self) -> usize {
        self.rewards.len()
    }

    /// Forgets the episode and keeps the memory.
    pub fn clear(&mut self) {
        self.observations.clear();
        self.actions.clear();
        self.rewards.clear();
        self.objectives.clear();
        self.terminated = false;
        self.answers.clear();
    }
}

/// Fixed statistics by which observations are normalized: `clamp((x - mean) / sd, -clip, clip)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Normalization {
    pub mean: Vec<f32>,
    pub sd: Vec<f32>,
    pub clip: f32,
}

/// Where a worker writes its results, one entry for each row handed to it.
pub struct Scores<'a> {
    /// [`Status`] as a number.
    pub status: &'a mut [u8],
    pub fitness: &'a mut [f64],
    /// `[rows, k]`.
    pub descriptor: &'a mut [f64],
    /// Environment steps taken.
    pub steps: &'a mut [u32],
    /// `[rows, 2 * observation_dim]` sums and sums of squares of the observations of observed rows; empty if none is.
    pub moments: &'a mut [f64],
    /// `[rows, m]`: what the task measures of each row beside ([`TaskSpec::measures`]).
    pub measures: &'a mut [f64],
    /// `[rows, m]` in the order of [`TaskSpec::objectives`]; empty for a task without.
    pub objectives: &'a mut [f64],
    /// The episode of each row, cleared before; empty if they are not wanted. One that failed is left cleared.
    pub trajectories: &'a mut [Trajectory],
    /// `[rows, f]`: what an encoder of descriptors may see of each row ([`TaskSpec::features`]); empty if that is not wanted.
    pub features: &'a mut [f32],
}

impl Scores<'_> {
    /// Marks every row with a NaN or infinite value as not finite, and zeroes its values. The engine calls it after each worker.
    pub fn check_finite(&mut self) {
        let all = |values: &[f64]| values.iter().fold(true, |all, x| all & x.is_finite());
        let ok = self.status.iter().all(|status| *status == Status::Ok as u8);
        let seen = self.features.iter().fold(true, |all, x| all & x.is_finite());
        if ok
            && seen
            && [&*self.fitness, &*self.descriptor, &*self.objectives]
                .into_iter()
                .all(all)
        {
            return;
        }
        let rows = self.fitness.len().max(1);
        let (k, m) = (self.descriptor.len() / rows, self.objectives.len() / rows);
        let seen = self.features.len() / rows;
        for i in 0..self.fitness.len() {
            let d = &mut self.descriptor[i * k..(i + 1) * k];
            let objectives = &mut self.objectives[i * m..(i + 1) * m];
            let features = &mut self.features[i * seen..(i + 1) * seen];
            let whole = d.iter().chain(&*objectives).all(|x| x.is_finite());
            let finite = self.fitness[i].is_finite() && whole && features.iter().all(|x| x.is_finite());
            if self.status[i] == Status::Ok as u8 && !finite {
                self.status[i] = Status::NotFinite as u8;
            }
            if self.status[i] != Status::Ok as u8 {
                self.fitness[i] = 0.0;
                d.fill(0.0);
                features.fill(0.0);
                objectives.fill(0.0);
                if let Some(trajectory) = self.trajectories.get_mut(i) {
                    trajectory.clear();
                }
            }
        }
    }

    /// Makes each row's fitness the mean of its objectives, which strategies of one objective go by.
    pub fn average_objectives(&mut self) {
        let m = self.objectives.len() / self.fitness.len().max(1);
        for (fitness, own) in self.fitness.iter_mut().zip(self.objectives.chunks_exact(m.max(1))) {
            *fitness = own.iter().sum::<f64>() / m as f64;
        }
    }
}

/// A block of candidates: what a strategy proposes and this rank evaluates.
#[derive(Debug, Default)]
pub struct Candidates {
    /// Candidates over all ranks.
    pub total: usize,
    /// The global numbers of this rank's rows; genomes, seeds and tags are of these rows.
    pub block: Range<usize>,
    pub genomes: Genomes,
    /// Evaluation seeds.
    pub seeds: Vec<u64>,
    /// Further columns that travel with each row into the archive: `operator` i32, `parents` i64 x 2 (cells), …
    pub tags: Batch,
    /// The global rows that are offered to the archive.
    pub offered: Range<usize>,
    /// The global rows that only test, behind all others: not charged to the budget, and as long as [`TaskSpec::test_steps`] allows.
    pub tests: Range<usize>,
    /// Whether a row's novelty counts the other rows as neighbours, not the archive's members alone ([`InsertReport::novelty`]).
    pub crowd: bool,
    /// Whether an unstructured archive is to say how rows compete with their neighbours ([`InsertReport::competition`]).
    pub competition: bool,
    /// The global rows, of those offered, that an unstructured archive admits whatever its rule.
    pub admitted: Range<usize>,
    /// Steps that each of this rank's episodes is expected to take, empty if nothing is: the longest are begun first. Results do not depend on it.
    pub expected_steps: Vec<u32>,
    /// See [`Request::max_steps`].
    pub max_steps: Option<u32>,
    /// The global rows that `max_steps` does not cut short.
    pub uncapped: Range<usize>,
    pub normalization: Option<Arc<Normalization>>,
    /// Global rows of which the observations' moments are wanted, ascending, equal on all ranks.
    pub observed: Vec<u32>,
    /// Whether the episodes of all rows are wanted as trajectories.
    pub record: bool,
    /// Whether what an encoder may see of them is wanted, as the column [`FEATURES`] of the rows.
    pub features: bool,
    /// See [`Request::network`].
    pub network: Option<Arc<Network>>,
}

/// What a strategy knows of the run.
pub struct Context<'a> {
    pub seed: u64,
    pub generation: u64,
    pub task: &'a TaskSpec,
    pub comm: &'a dyn Comm,
}

impl Context<'_> {
    /// The rows of `total` that belong to this rank.
    pub fn block(&self, total: usize) -> Range<usize> {
        block(total, self.comm.rank(), self.comm.size())
    }
}

/// The rows of `total` that belong to `rank` of `size`: contiguous, sizes differing by at most one.
pub fn block(total: usize, rank: usize, size: usize) -> Range<usize> {
    let start = |r: usize| (total as u128 * r as u128 / size as u128) as usize;
    start(rank)..start(rank + 1)
}

/// What became of the candidates.
pub struct Told<'a> {
    pub candidates: &'a Candidates,
    /// All rows of all ranks in order: `status`, `fitness`, `descriptor`, `steps`, `measures` and `objectives` of a task that has some, `cell`, `seed` and the tags.
    pub rows: &'a Batch,
    /// Sums and sums of squares of the observations of [`Candidates::observed`], `[observed, 2 * observation_dim]`.
    pub moments: &'a [f64],
    /// Episodes of this rank's rows, if [`Candidates::record`] asked for them: one for each row of its block.
    pub trajectories: &'a [Trajectory],
    /// What the archive made of them, if they were offered to it.
    pub report: Option<&'a InsertReport>,
    /// Whether the budget is used up, so that no generation follows this one. A run may also end otherwise: by a signal, by its time.
    pub last: bool,
}

/// Whether a generation is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Generation,
    /// The strategy asks again within this generation (to validate its best, say).
    SameGeneration,
}

/// All that a strategy needs to go on, as tables of named columns.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub tables: Vec<(String, Batch)>,
    /// What the strategy holds to be its result, if that is not the archive: `genome` f32 `[n, dim]` (or lineage columns), …
    pub solution: Option<Batch>,
}

impl State {
    /// The table of this name.
    ///
    /// # Errors
    /// It is missing.
    pub fn table(&self, name: &str) -> Result<&Batch> {
        let found = self.tables.iter().find(|(n, _)| n == name).map(|(_, b)| b);
        found.ok_or_else(|| crate::Error::failed(format!("the checkpoint has no state table '{name}'")))
    }
}

/// Makes candidates and learns from what became of them. Every rank runs the same strategy in lock-step.
pub trait Strategy: Send {
    fn spec(&self) -> &StrategySpec;

    /// Whether it can live on this archive, asked before a run begins.
    ///
    /// # Errors
    /// It cannot, which is due to a key of the configuration.
    fn check(&self, _archive: &dyn Archive) -> Result<()> {
        Ok(())
    }

    /// Fills in this rank's block of candidates (whose buffers are those of the last generation, to be reused).
    ///
    /// # Errors
    /// Communication, or an archive that does not fit.
    fn ask(&mut self, context: &Context<'_>, archive: &dyn Archive, candidates: &mut Candidates) -> Result<()>;

    /// Learns from the evaluated candidates.
    ///
    /// # Errors
    /// Communication.
    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next>;

    /// The descriptors that it learns, if it does.
    fn learned(&mut self) -> Option<&mut dyn LearnedDescriptors> {
        None
    }

    /// Why nothing is left to try, once that is so: the run then ends, whatever its budget. The same on all ranks, and part of the state.
    fn ended(&self) -> Option<String> {
        None
    }

    /// Appends the values of its history columns, in the order of its spec.
    fn history(&self, row: &mut Vec<f64>);

    /// Its state, whole on rank 0 (other ranks take part and may return less).
    ///
    /// # Errors
    /// Communication.
    fn save(&self, context: &Context<'_>) -> Result<State>;

    /// Goes back to a saved state, handed whole to every rank.
    ///
    /// # Errors
    /// A state that is not of this strategy and task.
    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()>;
}

/// The column of rows and elites that holds what an encoder sees of them: f32 `[rows, f]` ([`TaskSpec::features`]).
pub const FEATURES: &str = "features";

/// The column of rows and elites that holds their learned descriptors, beside those of the task: f64 `[rows, n]` ([`LearnedDescriptors`]).
pub const CODE: &str = "code";

/// The table of a strategy's state that holds what makes codes of features; archive files have it as well.
pub const ENCODER: &str = "encoder";

/// Descriptors that are learned from what tasks show of candidates: the column [`CODE`], by which an archive that can tells its elites apart.
pub trait LearnedDescriptors {
    /// Numbers of a code.
    fn dim(&self) -> usize;

    /// Before candidates are asked for: learns anew, if that is due, and then says the codes of all elites, in the order of `filled`, `[elites, n]`. The same on all ranks.
    ///
    /// # Errors
    /// Elites without [`FEATURES`].
    fn learn(&mut self, context: &Context<'_>, archive: &dyn Archive) -> Result<Option<Vec<f64>>>;

    /// Writes the codes of evaluated rows, all ranks' in order, before they are offered to the archive.
    ///
    /// # Errors
    /// Rows without [`FEATURES`].
    fn describe(&mut self, context: &Context<'_>, rows: &mut Batch) -> Result<()>;
}

/// The cell of a row that is not offered to the archive.
pub const NOT_OFFERED: i64 = -2;

/// What the archive made of a row, as [`InsertReport::outcome`] stores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// Its evaluation failed, its descriptor is refused as outside, or it is not offered.
    Invalid = 0,
    /// Not better than its cell's elite.
    Rejected = 1,
    /// Better than its cell's elite.
    Improved = 2,
    /// Its cell was empty.
    New = 3,
}

/// What a member of a cell is, where candidates must be evaluated as often as an elite before they take its place: the column `standing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Standing {
    Elite = 0,
    /// A contender that is to be evaluated again.
    Contends = 1,
    /// A contender that is no better than the worst elite: the cell's elites are to be evaluated again.
    Challenges = 2,
}

/// What the archive made of a batch. Outcomes and gains compare with the archive as it was before the batch.
#[derive(Debug, Clone, Default)]
pub struct InsertReport {
    /// [`Outcome`] of each row.
    pub outcome: Vec<u8>,
    /// Fitness minus the elite's, below or at 0 if rejected; for a new cell fitness plus the QD offset; 0 if invalid. Of an archive with soft thresholds fitness minus the
    /// cell's threshold.
    pub gain: Vec<f64>,
    /// Rows that are elites now, in the order in which their cells were first touched.
    pub kept: Vec<u32>,
    /// Rows whose descriptor lay outside the archive's bounds.
    pub outside: usize,
    /// Of an unstructured archive: mean distance of each row's descriptor to its nearest neighbours before the batch was admitted, 0 where
    /// there is none, NaN for rows that are not ok. Empty for archives of cells.
    pub novelty: Vec<f64>,
    /// Local competition of each row, if it was asked for ([`Candidates::competition`]): how many of those neighbours have a strictly lower fitness, 0 for rows
    /// that are not ok. Of neighbours at equal distances the earlier member counts as nearer, then the lower row. Else empty.
    pub competition: Vec<u32>,
}

impl InsertReport {
    /// Whether the archive took the row, or would have if none of its cell had been better.
    pub fn took(&self, row: usize) -> bool {
        [Outcome::Improved as u8, Outcome::New as u8].contains(&self.outcome[row])
    }
}

/// Genomes received from other ranks; owned by the caller of [`Archive::fetch`].
#[derive(Debug, Default)]
pub struct Inbox {
    pub genomes: Genomes,
}

/// Genomes at hand after [`Archive::fetch`], by cell; any thread may look them up.
pub struct Fetched<'a>(Box<dyn Fn(u32) -> Option<GenomeRef<'a>> + Sync + 'a>);

impl<'a> Fetched<'a> {
    pub fn new(lookup: impl Fn(u32) -> Option<GenomeRef<'a>> + Sync + 'a) -> Fetched<'a> {
        Fetched(Box::new(lookup))
    }

    /// The genome of a cell, if it was asked for and the cell is filled.
    #[inline]
    pub fn genome(&self, cell: u32) -> Option<GenomeRef<'a>> {
        (self.0)(cell)
    }

    /// The genomes of several cells, in order.
    ///
    /// # Errors
    /// A cell that is empty or was not asked for.
    pub fn genomes(&self, cells: &[u32]) -> Result<Vec<GenomeRef<'a>>> {
        let missing = |cell| crate::Error::failed(format!("the genome of cell {cell} is not there"));
        cells
            .iter()
            .map(|&cell| self.genome(cell).ok_or_else(|| missing(cell)))
            .collect()
    }
}

/// How a batch of rows is offered to an archive.
#[derive(Debug, Clone, Default)]
pub struct Offer {
    pub generation: u64,
    /// See [`Candidates::crowd`].
    pub crowd: bool,
    /// See [`Candidates::competition`].
    pub competition: bool,
    /// See [`Candidates::admitted`].
    pub admitted: Range<usize>,
}

impl Offer {
    /// An ordinary batch of this generation.
    pub fn new(generation: u64) -> Offer {
        Offer {
            generation,
            ..Offer::default()
        }
    }
}

/// Elites to look at: a replicated index and a shard of the genomes. This is what strategies and files are handed.
pub trait Archive: Send + Sync {
    fn spec(&self) -> &ArchiveSpec;

    /// Cell of each descriptor (`[rows, k]`): -1 where the descriptor is refused as outside. An archive without cells has none to tell apart: 0.
    fn locate(&self, descriptors: &[f64], cells: &mut [i64]);

    fn elites(&self) -> &Elites;

    /// How many places parents are drawn from, each as often as any other: elites, or cells where these hold several.
    fn places(&self) -> usize {
        self.elites().filled.len()
    }

    /// The elite of a place that is bred from. `draw` is uniform over all numbers, for places that have several.
    fn parent(&self, place: usize, _draw: u64) -> u32 {
        self.elites().filled[place]
    }

    /// The parents of uniform draws, from an archive that has elites.
    fn parents(&self, draws: &[u64], parents: &mut [u32]) {
        let places = self.places() as u128;
        for (parent, bits) in parents.iter_mut().zip(draws) {
            // The whole part of the product is the place, and what is behind the point is uniform again.
            let product = u128::from(*bits) * places;
            *parent = self.parent((product >> 64) as usize, product as u64);
        }
    }

    /// Mean distance, in the axes' units, of descriptors (`[rows, k]`, at least one axis) to the `neighbours` nearest elites of cells; 0 where there is none.
    /// Without descriptors that of the elites themselves, in the order of `filled`, each to the nearest others. Every rank finds all.
    ///
    /// # Errors
    /// An archive that does not measure it.
    fn novelty(&self, _descriptors: Option<&[f64]>, _neighbours: usize) -> Result<Vec<f64>> {
        Err(crate::Error::failed(format!(
            "an archive of kind \"{}\" does not say how novel descriptors are among its elites",
            self.spec().kind
        )))
    }

    /// Brings genomes to the ranks that want them: rank r wants those of `cells[bounds[r]..bounds[r + 1]]`. All ranks call it
    /// with equal arguments; each can then look its own up, borrowed from its shard or from `inbox`. One rank alone has all
    /// genomes, so its arguments may be empty.
    ///
    /// # Errors
    /// Communication, or (of several ranks) an empty cell.
    fn fetch<'a>(
        &'a self,
        cells: &[u32],
        bounds: &[usize],
        comm: &dyn Comm,
        inbox: &'a mut Inbox,
    ) -> Result<Fetched<'a>>;

    /// The best of all, if that is not what strategies breed from: an archive beside this one, which files, metrics and plots show.
    fn results(&self) -> Option<&dyn Archive> {
        None
    }
}

/// An archive that takes rows: the engine's.
pub trait ArchiveMut: Archive {
    /// Offers rows (`status`, `fitness`, `descriptor`, `cell` (which may be [`NOT_OFFERED`]), `seed`, `operator`, `parents`; all ranks' rows in order); `genomes`
    /// holds those of `block`. A row replaces an elite only if strictly better; within a batch the best wins, then the first. An unstructured
    /// archive replaces none: it admits rows as its rule says, and measures the novelty of all rows that are ok, offered or not. What an archive whose cells hold several elites
    /// keeps is said by its own rule; it takes rows with `member` (i64, -1 for new candidates) as evaluations again of the elites of these numbers, which are averaged with what is known.
    ///
    /// # Errors
    /// A column is missing.
    fn insert(
        &mut self,
        rows: &Batch,
        block: Range<usize>,
        genomes: &Genomes,
        offer: &Offer,
        comm: &dyn Comm,
        report: &mut InsertReport,
    ) -> Result<()>;

    /// Gives all elites other learned descriptors, in the order of `filled`, `[elites, n]`: those that may not stay beside others are gone then.
    ///
    /// # Errors
    /// An archive that does not tell its elites apart by them.
    fn recode(&mut self, _codes: &[f64]) -> Result<()> {
        Err(crate::Error::failed(format!(
            "an archive of kind \"{}\" knows no learned descriptors",
            self.spec().kind
        )))
    }

    /// Replaces all elites (of [`Archive::results`], where there are such): `rows` as in the file (`cell`, `fitness`, `descriptor`, `generation`, `operator`, `parents`, `seed`), in the order
    /// in which cells were first filled, equal on all ranks; `genomes` are those of this rank's [`block`] of the rows.
    ///
    /// # Errors
    /// Rows that do not fit the archive.
    fn restore(&mut self, rows: &Batch, genomes: &Genomes, comm: &dyn Comm) -> Result<()>;

    /// As [`ArchiveMut::restore`] for what strategies breed from, where there are [`Archive::results`] beside it.
    ///
    /// # Errors
    /// Rows that do not fit, or an archive that is its own result.
    fn restore_active(&mut self, _rows: &Batch, _genomes: &Genomes, _comm: &dyn Comm) -> Result<()> {
        Err(crate::Error::failed(
            "elites beside the results for an archive that has none",
        ))
    }
}

/// What ranks say to one another. All calls are collective: every rank makes them in the same order.
pub trait Comm: Send + Sync {
    fn rank(&self) -> usize;

    fn size(&self) -> usize;

    /// Every rank contributes `mine`; `out` becomes all contributions in rank order. `counts[r]` are rank r's bytes.
    ///
    /// # Errors
    /// The transport failed.
    fn all_gather(&self, mine: &[u8], counts: &[usize], out: &mut Vec<u8>) -> Result<()>;

    /// `data` of rank `root` (whose length need not be known elsewhere) replaces that of all others.
    ///
    /// # Errors
    /// The transport failed.
    fn broadcast(&self, root: usize, data: &mut Vec<u8>) -> Result<()>;

    /// `send[r]` goes to rank r; the result's entry r came from rank r. `receive[r]` are the bytes to come from rank r.
    ///
    /// # Errors
    /// The transport failed.
    fn all_to_all(&self, send: &[Vec<u8>], receive: &[usize]) -> Result<Vec<Vec<u8>>>;

    /// Bitwise or over the ranks: stop words.
    ///
    /// # Errors
    /// The transport failed.
    fn any(&self, word: u64) -> Result<u64>;
}
