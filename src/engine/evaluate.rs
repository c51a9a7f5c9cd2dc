//! Evaluation of a block of candidates on this rank's threads.

use std::cmp::Reverse;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use illume_core::{
    Again, Archive, Batch, Candidates, Error, FEATURES, NOT_OFFERED, Request, Result, Scores, Task, Trajectory, Worker,
};
use rayon::prelude::*;

use crate::engine::samples::{self, SAMPLES, SPREAD};

/// A task with one worker for each thread of the present rayon pool.
pub struct Evaluator<'t> {
    task: &'t dyn Task,
    workers: Vec<Mutex<Working<'t>>>,
    observed: Vec<bool>,
    trajectories: Vec<Trajectory>,
    busy: Busy,
}

/// A thread's worker, and what it evaluates again with.
struct Working<'t> {
    worker: Box<dyn Worker + 't>,
    again: Again,
}

/// What the threads of a rank have done since it was last asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct Busy {
    /// Time that they had work, summed over threads.
    pub work: Duration,
    /// Time from the first piece of work to the end of the last one.
    pub wall: Duration,
}

/// One piece of work: rows of the block and where their results go.
struct Piece<'a> {
    rows: Range<usize>,
    scores: Scores<'a>,
    cells: &'a mut [i64],
    /// Evaluations of each row.
    samples: u32,
    /// Where the rows' spread goes, if it is wanted; else empty.
    spread: &'a mut [f64],
}

impl<'t> Working<'t> {
    fn new(worker: Box<dyn Worker + 't>) -> Working<'t> {
        Working {
            worker,
            again: Again::default(),
        }
    }
}

impl<'t> Evaluator<'t> {
    /// # Errors
    /// A worker cannot be made.
    pub fn new(task: &'t dyn Task) -> Result<Evaluator<'t>> {
        let threads = rayon::current_num_threads();
        let workers = (0..threads)
            .map(|_| Ok(Mutex::new(Working::new(task.worker()?))))
            .collect::<Result<Vec<_>>>()?;
        Ok(Evaluator {
            task,
            workers,
            observed: Vec::new(),
            trajectories: Vec::new(),
            busy: Busy::default(),
        })
    }

    /// One that scores as the task does on average, if the task knows that.
    ///
    /// # Errors
    /// A worker cannot be made.
    pub fn noiseless(task: &'t dyn Task) -> Result<Option<Evaluator<'t>>> {
        let mut workers = Vec::new();
        for _ in 0..rayon::current_num_threads() {
            match task.noiseless()? {
                Some(worker) => workers.push(Mutex::new(Working::new(worker))),
                None => return Ok(None),
            }
        }
        Ok(Some(Evaluator {
            task,
            workers,
            observed: Vec::new(),
            trajectories: Vec::new(),
            busy: Busy::default(),
        }))
    }

    /// How busy this rank's threads have been since the last call.
    pub fn take_busy(&mut self) -> Busy {
        std::mem::take(&mut self.busy)
    }

    /// The episodes of the rows evaluated last, if [`Candidates::record`] asked for them; else empty.
    pub fn trajectories(&self) -> &[Trajectory] {
        &self.trajectories
    }

    /// Declares the columns of evaluated rows.
    pub fn declare(&self, rows: &mut Batch) {
        let k = self.task.spec().descriptor_dim();
        rows.declare::<u8>("status", 1, "", "0 ok, 1 not finite, 2 failed");
        rows.declare::<f64>("fitness", 1, "", &self.task.spec().fitness);
        rows.declare::<f64>("descriptor", k, "", "position in descriptor space");
        rows.declare::<u32>("steps", 1, "steps", "environment steps taken");
        let measures = self.task.spec().measures.len();
        rows.declare::<f64>(
            "measures",
            measures,
            "",
            "what the task measures beside, in the order of its spec",
        );
        let objectives = self.task.spec().objectives.len();
        rows.declare::<f64>("objectives", objectives, "", "objectives, to be maximized");
        rows.declare::<i64>("cell", 1, "", "cell of the archive");
        rows.declare::<u64>("seed", 1, "", "evaluation seed");
    }

    /// The rows of this rank's candidates before they are evaluated: columns, seeds and tags.
    fn begin(&self, candidates: &Candidates, rows: &mut Batch) -> Result<()> {
        rows.resize(candidates.block.len());
        self.declare(rows);
        for column in candidates.tags.columns() {
            rows.set(column);
        }
        if candidates.features {
            let seen = self.task.spec().features;
            rows.declare::<f32>(FEATURES, seen, "", "what an encoder of descriptors sees");
            rows.get_mut::<f32>(FEATURES)?.fill(0.0);
        }
        rows.get_mut::<u64>("seed")?.copy_from_slice(&candidates.seeds);
        rows.get_mut::<f64>("measures")?.fill(0.0);
        rows.get_mut::<f64>("objectives")?.fill(0.0);
        Ok(())
    }

    /// In place of [`Evaluator::evaluate`]: values that were found elsewhere, `fitness` `[rows]` and `descriptor` `[rows, k]`, a step for each row.
    ///
    /// # Errors
    /// Other numbers of rows, or candidates of which more is wanted.
    pub fn score(
        &mut self,
        candidates: &Candidates,
        archive: &dyn Archive,
        rows: &mut Batch,
        fitness: &[f64],
        descriptor: &[f64],
    ) -> Result<()> {
        let (n, k) = (candidates.block.len(), self.task.spec().descriptor_dim());
        if fitness.len() != n || descriptor.len() != n * k {
            return Err(Error::input(format!(
                "{n} candidates need {n} numbers of fitness and {} of descriptors, got {} and {}",
                n * k,
                fitness.len(),
                descriptor.len()
            )));
        }
        if candidates
            .tags
            .get::<u32>(SAMPLES)
            .is_ok_and(|all| all.iter().any(|n| *n != 1))
        {
            let message =
                "the strategy averages several evaluations of a candidate: let Run::evaluate evaluate its candidates";
            return Err(Error::input(message));
        }
        if !self.task.spec().objectives.is_empty() {
            let message = format!(
                "task \"{}\" has several objectives: let Run::evaluate evaluate its candidates",
                self.task.spec().name
            );
            return Err(Error::input(message));
        }
        if candidates.record || candidates.features || !candidates.observed.is_empty() {
            let message =
                "the strategy learns from episodes or their observations: let Run::evaluate evaluate its candidates";
            return Err(Error::input(message));
        }
        self.begin(candidates, rows)?;
        self.trajectories.clear();
        let [status, own_fitness, own_descriptor, steps, cells] =
            rows.columns_mut(["status", "fitness", "descriptor", "steps", "cell"])?;
        let mut scores = Scores {
            status: status.values_mut::<u8>()?,
            fitness: own_fitness.values_mut::<f64>()?,
            descriptor: own_descriptor.values_mut::<f64>()?,
            steps: steps.values_mut::<u32>()?,
            moments: &mut [],
            measures: &mut [],
            objectives: &mut [],
            trajectories: &mut [],
            features: &mut [],
        };
        scores.status.fill(0);
        scores.fitness.copy_from_slice(fitness);
        scores.descriptor.copy_from_slice(descriptor);
        scores.steps.fill(1);
        scores.check_finite();
        archive.locate(scores.descriptor, cells.values_mut::<i64>()?);
        withhold(candidates, rows)
    }

    /// Evaluates the candidates of this rank into `rows` (one row for each of the block), cells included; rows that are not offered
    /// to the archive get cell [`NOT_OFFERED`]. `moments` becomes those of the observed rows of this block, `[observed, 2 * observation_dim]`.
    ///
    /// # Errors
    /// A column is missing.
    pub fn evaluate(
        &mut self,
        candidates: &Candidates,
        archive: &dyn Archive,
        rows: &mut Batch,
        moments: &mut Vec<f64>,
    ) -> Result<()> {
        let (block, spec) = (&candidates.block, self.task.spec());
        let n = block.len();
        self.begin(candidates, rows)?;
        let here: Vec<usize> = candidates
            .observed
            .iter()
            .map(|&row| row as usize)
            .filter(|row| block.contains(row))
            .map(|row| row - block.start)
            .collect();
        self.observed.clear();
        let width = if here.is_empty() { 0 } else { 2 * spec.observation_dim };
        if width > 0 {
            self.observed.resize(n, false);
            here.iter().for_each(|&row| self.observed[row] = true);
        }
        let mut sums = vec![0.0; width * n];
        let counts = candidates.tags.get::<u32>(SAMPLES).unwrap_or(&[]);
        let wants_spread = candidates.tags.find(SPREAD).is_some();
        let mut spreads = vec![0.0; if wants_spread { n } else { 0 }];
        let mut spread = spreads.as_mut_slice();
        self.trajectories
            .resize_with(if candidates.record { n } else { 0 }, Trajectory::default);
        self.trajectories.iter_mut().for_each(Trajectory::clear);
        let mut trajectories = self.trajectories.as_mut_slice();
        // Beside the rows while these are borrowed by their names.
        let seen = if candidates.features { spec.features } else { 0 };
        let mut shown = vec![0.0f32; n * seen];
        let mut features = shown.as_mut_slice();

        let [status, fitness, descriptor, steps, measures, objectives, cells] = rows.columns_mut([
            "status",
            "fitness",
            "descriptor",
            "steps",
            "measures",
            "objectives",
            "cell",
        ])?;
        let (mut status, mut fitness) = (status.values_mut::<u8>()?, fitness.values_mut::<f64>()?);
        let (mut descriptor, mut steps) = (descriptor.values_mut::<f64>()?, steps.values_mut::<u32>()?);
        let (mut measures, mut cells) = (measures.values_mut::<f64>()?, cells.values_mut::<i64>()?);
        let mut objectives = objectives.values_mut::<f64>()?;
        status.fill(0);
        fitness.fill(0.0);
        descriptor.fill(0.0);
        steps.fill(0);
        let (k, m, o) = (spec.descriptor_dim(), spec.measures.len(), spec.objectives.len());
        // Pieces start where the global row number is a multiple of the chunk, so that mirrored pairs stay together.
        let chunk = spec.chunk.max(1).next_multiple_of(candidates.genomes.chunk());
        let mut pieces = Vec::with_capacity(n / chunk + 2);
        let mut rest = sums.as_mut_slice();
        let mut at = 0;
        while at < n {
            let mut len = (chunk - (block.start + at) % chunk).min(n - at);
            // Rows of a piece are evaluated equally often.
            if let Some(own) = counts.get(at..at + len) {
                len = own.iter().take_while(|count| **count == own[0]).count();
            }
            let scores = Scores {
                status: take(&mut status, len),
                fitness: take(&mut fitness, len),
                descriptor: take(&mut descriptor, len * k),
                steps: take(&mut steps, len),
                moments: take(&mut rest, len * width),
                measures: take(&mut measures, len * m),
                objectives: take(&mut objectives, len * o),
                trajectories: take(&mut trajectories, if candidates.record { len } else { 0 }),
                features: take(&mut features, len * seen),
            };
            pieces.push(Piece {
                rows: at..at + len,
                scores,
                cells: take(&mut cells, len),
                samples: counts.get(at).map_or(1, |count| (*count).max(1)),
                spread: take(&mut spread, if wants_spread { len } else { 0 }),
            });
            at += len;
        }
        let request = Request {
            genomes: &candidates.genomes,
            seeds: &candidates.seeds,
            max_steps: candidates.max_steps.unwrap_or(u32::MAX),
            uncapped: local(&candidates.uncapped, block),
            tests: local(&candidates.tests, block),
            normalization: candidates.normalization.as_deref(),
            observed: &self.observed,
            network: candidates.network.as_deref(),
        };
        let (workers, work, began) = (&self.workers, AtomicU64::new(0), Instant::now());
        let evaluate = |mut piece: Piece<'_>| {
            let began = Instant::now();
            // A thread of the pool works on one piece at a time, so its worker is free. A panic in a worker ends the run.
            let thread = rayon::current_thread_index().unwrap_or(0);
            let mut worker = workers[thread].lock().unwrap_or_else(PoisonError::into_inner);
            let Working { worker: own, again } = &mut *worker;
            let mut places = wants_spread.then(Vec::new);
            samples::evaluate(
                (own.as_mut(), again),
                &request,
                piece.rows.clone(),
                piece.samples,
                &mut piece.scores,
                (spec, places.as_mut()),
            );
            // Locating may use the pool, and then this thread may take up another piece.
            drop(worker);
            match places {
                None => archive.locate(piece.scores.descriptor, piece.cells),
                Some(places) => {
                    let to = (&mut *piece.scores.descriptor, &mut *piece.cells, &mut *piece.spread);
                    samples::settle(archive, &places, piece.samples, to);
                }
            }
            work.fetch_add(began.elapsed().as_nanos() as u64, Ordering::Relaxed);
        };
        if candidates.expected_steps.is_empty() {
            pieces.into_par_iter().with_max_len(1).for_each(evaluate);
        } else {
            // Threads take pieces one after another, the longest first, so that what is left at the end is short.
            let steps = |piece: &Piece<'_>| -> u64 {
                candidates.expected_steps[piece.rows.clone()]
                    .iter()
                    .map(|s| u64::from(*s))
                    .sum()
            };
            pieces.sort_by_key(|piece| Reverse(steps(piece)));
            pieces.into_iter().par_bridge().for_each(evaluate);
        }
        self.busy.work += Duration::from_nanos(work.into_inner());
        self.busy.wall += began.elapsed();
        if candidates.features {
            rows.get_mut::<f32>(FEATURES)?.copy_from_slice(&shown);
        }

        if wants_spread {
            rows.get_mut::<f64>(SPREAD)?.copy_from_slice(&spreads);
        }
        withhold(candidates, rows)?;
        moments.clear();
        here.iter()
            .filter(|_| width > 0)
            .for_each(|&row| moments.extend(&sums[row * width..(row + 1) * width]));
        Ok(())
    }
}

/// Takes the cells from rows that are not offered to the archive.
fn withhold(candidates: &Candidates, rows: &mut Batch) -> Result<()> {
    let (block, offered) = (&candidates.block, &candidates.offered);
    let cells = rows.get_mut::<i64>("cell")?;
    if *offered != (0..candidates.total) {
        let outside = block.clone().filter(|row| !offered.contains(row));
        outside.for_each(|row| cells[row - block.start] = NOT_OFFERED);
    }
    Ok(())
}

/// The global rows `rows` that lie in the block, counted from its start.
fn local(rows: &Range<usize>, block: &Range<usize>) -> Range<usize> {
    let within = |row: usize| row.clamp(block.start, block.end) - block.start;
    within(rows.start)..within(rows.end)
}

/// The first `n` elements, which leave `rest`.
fn take<'a, T>(rest: &mut &'a mut [T], n: usize) -> &'a mut [T] {
    let (first, after) = std::mem::take(rest).split_at_mut(n);
    *rest = after;
    first
}
