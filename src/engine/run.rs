//! The generation loop: ask, evaluate, exchange scalars, insert, tell. The one place where the order of things is defined.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use illume_archives::file::{self, Attributes, Checkpoint, Contents};
use illume_archives::metrics::{Metrics, measure_elites};
use illume_cluster::memory::available;
use illume_cluster::threads::stay_awake;
use illume_cluster::{Counted, Traffic};
use illume_core::{
    Archive, ArchiveMut, Batch, Candidates, Comm, Context, Error, InsertReport, Memory, Next, Offer, Result, Source,
    State, Status, Strategy, StrategySpec, Task, TaskSpec, Told,
};

use crate::engine::corrected::{self, Correction, Subject};
use crate::engine::fronts::FrontColumns;
use crate::engine::gather::{gather_moments, gather_rows, why_failed};
use crate::engine::history::History;
use crate::engine::measures::Measures;
use crate::engine::samples::SAMPLES;
use crate::engine::start::{self, Start};
use crate::{Budget, Config, Evaluator, Output, registry};

/// A run in progress. Every rank holds one and calls its methods in lock-step.
pub struct Run<'t> {
    settings: Settings,
    config_text: String,
    task: &'t dyn Task,
    /// The task's, with what the run begins with.
    spec: TaskSpec,
    /// Of what it begins with, for the log.
    start: Vec<(String, String)>,
    comm: Counted<'t>,
    strategy: Box<dyn Strategy>,
    archive: Box<dyn ArchiveMut>,
    evaluator: Evaluator<'t>,
    history: History,
    counters: Counters,
    measures: Measures,
    correction: Option<Correction<'t>>,
    fronts: FrontColumns,
    /// Wall-clock seconds of the parts of the run before this process.
    earlier_seconds: f64,
    began: Instant,
    created: String,
    candidates: Candidates,
    local: Batch,
    rows: Batch,
    moments: Vec<f64>,
    report: InsertReport,
    keep_awake: bool,
    /// Evaluations since this process began.
    evaluated: u64,
    /// Share of the time of this rank's threads in the last generation's evaluations in which they had no work.
    idle_share: f64,
    /// See [`Run::failure`]; empty if the task does not say.
    failure: Option<String>,
    /// What this generation has waited for other ranks.
    waited: Duration,
}

/// What a run goes by beside its task, strategy and archive.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The same seed gives the same archive for any number of ranks and threads.
    pub seed: u64,
    /// Without any limit the run goes on until it is stopped.
    pub budget: Budget,
    pub output: Output,
}

impl Settings {
    /// As TOML, for files.
    fn text(&self) -> Result<String> {
        let failed = |e: toml::ser::Error| Error::failed(format!("the settings cannot be written: {e}"));
        let mut all = toml::Table::new();
        all.insert("seed".into(), toml::Value::Integer(self.seed as i64));
        all.insert("budget".into(), toml::Value::try_from(&self.budget).map_err(failed)?);
        all.insert("output".into(), toml::Value::try_from(&self.output).map_err(failed)?);
        toml::to_string(&all).map_err(failed)
    }

    /// Those of a configuration.
    pub fn of(config: &Config) -> Settings {
        Settings {
            seed: config.seed,
            budget: config.budget.clone(),
            output: config.output.clone(),
        }
    }
}

/// The strategy and the archive of a run, whose budget holds a generation.
///
/// # Errors
/// As [`registry::strategy_and_archive`]; a budget that the first generation alone would exceed.
pub(crate) fn parts(
    config: &Config,
    task: &TaskSpec,
    memory: &Memory,
) -> Result<(Box<dyn Strategy>, Box<dyn ArchiveMut>)> {
    let (strategy, archive) = registry::strategy_and_archive(config, task, memory)?;
    check_budget(config, strategy.spec(), task)?;
    Ok((strategy, archive))
}

/// Refuses a budget that the first generation alone would exceed.
fn check_budget(config: &Config, strategy: &StrategySpec, task: &TaskSpec) -> Result<()> {
    let (budget, needed) = (config.budget.evaluations, task.repeats * strategy.first_generation);
    if budget == 0 || budget >= needed as u64 {
        return Ok(());
    }
    let mut keys: Vec<String> = strategy.sized_by.iter().map(|key| format!("strategy.{key}")).collect();
    if let (Some((key, _)), Some(1..)) = (config.start.source(), task.given_rows()) {
        keys.push(format!("start.{key}"));
    }
    if task.repeats > 1 {
        keys.push("task.repeats".into());
    }
    let message = format!(
        "expected at least the {needed} evaluations of the first generation, which {} set{}, got {budget}",
        keys.join(" and "),
        if keys.len() == 1 { "s" } else { "" },
    );
    Err(config.locate(Error::config("budget", "evaluations", message)))
}

/// What has been counted since the run began, over all ranks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Counters {
    pub generation: u64,
    pub evaluations: u64,
    pub env_steps: u64,
    pub invalid: u64,
    pub outside: u64,
}

/// The engine's own table in a checkpoint's state.
const ENGINE: &str = "engine";

impl<'t> Run<'t> {
    /// A fresh run of a process that has its node for itself.
    ///
    /// # Errors
    /// The configuration's strategy or archive, with file and line, also where they would not fit into memory; a worker that cannot be made.
    pub fn new(config: &Config, task: &'t dyn Task, comm: &'t dyn Comm) -> Result<Run<'t>> {
        Run::of_rank(config, task, comm, 1)
    }

    /// The same for one of so many `ranks` that share this node's memory.
    ///
    /// # Errors
    /// As [`Run::new`].
    pub fn of_rank(config: &Config, task: &'t dyn Task, comm: &'t dyn Comm, ranks: usize) -> Result<Run<'t>> {
        let memory = Memory::new(available(ranks), comm.size(), ranks);
        let start = start::read(config, task.spec(), &memory)?;
        Run::beginning_with(start, config, task, comm, &memory)
    }

    /// As [`Run::of_rank`] for a run that goes on from a checkpoint ([`Run::load`] comes next): what it began with is not needed any more.
    ///
    /// # Errors
    /// As [`Run::new`].
    pub fn going_on(config: &Config, task: &'t dyn Task, comm: &'t dyn Comm, ranks: usize) -> Result<Run<'t>> {
        let memory = Memory::new(available(ranks), comm.size(), ranks);
        let start = config.start.source().map(|_| Start::default());
        Run::beginning_with(start, config, task, comm, &memory)
    }

    fn beginning_with(
        start: Option<Start>,
        config: &Config,
        task: &'t dyn Task,
        comm: &'t dyn Comm,
        memory: &Memory,
    ) -> Result<Run<'t>> {
        let mut spec = task.spec().clone();
        let fact = start.map(|start| {
            spec.given = Some(Arc::new(start.given));
            ("start".to_string(), start.fact)
        });
        let (strategy, archive) = parts(config, &spec, memory)?;
        let mut run = Run::from_parts(task, strategy, archive, Settings::of(config), comm)?;
        run.spec = spec;
        run.start = fact.into_iter().filter(|(_, fact)| !fact.is_empty()).collect();
        run.config_text = config.resolved(&registry::parameters(config, task.spec())?)?;
        Ok(run)
    }

    /// A fresh run of parts that need not be in any registry. Its files hold the settings alone as their configuration, so that they can be looked at, plotted and read, but `illume resume`
    /// and `illume eval` cannot make the parts again: [`Run::load`] can.
    ///
    /// # Errors
    /// A worker that cannot be made; settings that cannot be written as TOML (a defect).
    pub fn from_parts(
        task: &'t dyn Task,
        strategy: Box<dyn Strategy>,
        archive: Box<dyn ArchiveMut>,
        settings: Settings,
        comm: &'t dyn Comm,
    ) -> Result<Run<'t>> {
        strategy.check(archive.as_ref())?;
        let measured = &task.spec().measures;
        let fronts = FrontColumns::of(task.spec(), archive.spec());
        let own = [
            corrected::columns(&settings.output),
            fronts.described(),
            strategy.spec().history.clone(),
        ]
        .concat();
        let history = History::new(measured, &own, settings.output.history_rows);
        history.refuse_twins()?;
        let correction = Correction::new(&settings.output, task, strategy.spec().lineage)?;
        Ok(Run {
            config_text: settings.text()?,
            settings,
            task,
            spec: task.spec().clone(),
            start: Vec::new(),
            comm: Counted::new(comm),
            strategy,
            archive,
            evaluator: Evaluator::new(task)?,
            history,
            counters: Counters::default(),
            measures: Measures::new(measured),
            correction,
            fronts,
            earlier_seconds: 0.0,
            began: Instant::now(),
            created: crate::engine::log::now(),
            candidates: Candidates::default(),
            local: Batch::new(),
            rows: Batch::new(),
            moments: Vec::new(),
            report: InsertReport::default(),
            keep_awake: false,
            evaluated: 0,
            idle_share: f64::NAN,
            failure: None,
            waited: Duration::ZERO,
        })
    }

    /// Keeps the threads of rayon's global pool awake between generations that follow closely; for a main thread that is one of them
    /// and has its cores to itself.
    pub fn keep_awake(&mut self, keep: bool) {
        self.keep_awake = keep;
    }

    /// Goes back to a checkpoint of a run with the same task, strategy and archive.
    ///
    /// # Errors
    /// A checkpoint that does not fit the configuration.
    pub fn load(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        if checkpoint.spec != *self.archive.spec() {
            return Err(Error::input(
                "the checkpoint's archive is not the one that its configuration describes",
            ));
        }
        if checkpoint.genome_dim != self.task.spec().genome_dim {
            return Err(Error::input(format!(
                "the checkpoint's genomes have {} genes, those of task \"{}\" have {}",
                checkpoint.genome_dim,
                self.task.spec().name,
                self.task.spec().genome_dim
            )));
        }
        self.archive
            .restore(&checkpoint.rows, &checkpoint.genomes, self.comm.inner())?;
        match (&checkpoint.active, self.archive.results().is_some()) {
            (Some((rows, genomes)), true) => self.archive.restore_active(rows, genomes, self.comm.inner())?,
            (None, false) => {}
            _ => {
                return Err(Error::input(
                    "the checkpoint's archive has other thresholds than its configuration describes",
                ));
            }
        }
        let engine = checkpoint.state.table(ENGINE)?;
        let count = |name: &str| {
            engine
                .get::<u64>(name)
                .and_then(|v| v.first().copied().ok_or_else(|| empty(name)))
        };
        self.counters = Counters {
            generation: checkpoint.attributes.generation,
            evaluations: checkpoint.attributes.evaluations,
            env_steps: count("env_steps")?,
            invalid: count("invalid")?,
            outside: count("outside")?,
        };
        self.history.load(&checkpoint.history, count("history_every")?)?;
        self.measures.load(&checkpoint.history);
        if let Some(correction) = &mut self.correction {
            correction.load(&checkpoint.history);
        }
        let seconds = engine.get::<f64>("wall_seconds")?;
        self.earlier_seconds = seconds.first().copied().ok_or_else(|| empty("wall_seconds"))?;
        self.began = Instant::now();
        self.created.clone_from(&checkpoint.attributes.created);
        if self.counters.generation > 0 {
            self.begun();
        }
        let context = context(&self.settings, &self.counters, &self.spec, &self.comm);
        self.strategy.load(&context, &checkpoint.state)
    }

    /// Runs one generation; false if the budget is used up or the strategy has ended (and so it was before: nothing is done then).
    ///
    /// # Errors
    /// Communication, or a defect.
    pub fn generation(&mut self) -> Result<bool> {
        if self.done() >= 1.0 {
            return Ok(false);
        }
        loop {
            self.ask()?;
            self.evaluate()?;
            if self.tell()? == Next::Generation {
                return Ok(true);
            }
        }
    }

    /// Asks the strategy for the candidates of its next phase: this rank's block of them. [`Run::evaluate`] or [`Run::score`] comes next.
    ///
    /// # Errors
    /// Communication, or a defect.
    pub fn ask(&mut self) -> Result<&Candidates> {
        let context = context(&self.settings, &self.counters, &self.spec, &self.comm);
        if let Some(learned) = self.strategy.learned()
            && let Some(codes) = learned.learn(&context, self.archive.as_ref())?
        {
            self.archive.recode(&codes)?;
        }
        self.strategy
            .ask(&context, self.archive.as_ref(), &mut self.candidates)?;
        self.parallel_section_over();
        Ok(&self.candidates)
    }

    /// Evaluates this rank's candidates on its threads. [`Run::tell`] comes next.
    ///
    /// # Errors
    /// A defect.
    pub fn evaluate(&mut self) -> Result<()> {
        let archive = self.archive.as_ref();
        self.evaluator
            .evaluate(&self.candidates, archive, &mut self.local, &mut self.moments)?;
        self.parallel_section_over();
        Ok(())
    }

    /// In place of [`Run::evaluate`]: what the caller found this rank's candidates to be worth, by row of the block; `fitness` `[rows]`, `descriptor` `[rows, k]`. A row with a NaN or
    /// infinite value counts as failed.
    ///
    /// # Errors
    /// Other numbers of rows; a strategy that asks for more than this, such as episodes.
    pub fn score(&mut self, fitness: &[f64], descriptor: &[f64]) -> Result<()> {
        let archive = self.archive.as_ref();
        self.moments.clear();
        self.evaluator
            .score(&self.candidates, archive, &mut self.local, fitness, descriptor)
    }

    /// Brings the results of all ranks together, offers them to the archive and tells the strategy. After the generation's last phase the next [`Run::ask`] begins a new one.
    ///
    /// # Errors
    /// Communication, or a defect.
    pub fn tell(&mut self) -> Result<Next> {
        let context = context(&self.settings, &self.counters, &self.spec, &self.comm);
        let c = &self.candidates;
        self.evaluated += c.total as u64;
        if self.comm.size() > 1 {
            let began = Instant::now();
            gather_rows(&self.comm, c.total, &self.local, &mut self.rows)?;
            self.waited += began.elapsed();
            let width = 2 * self.task.spec().observation_dim;
            gather_moments(&self.comm, c, width, &mut self.moments)?;
        } else {
            std::mem::swap(&mut self.local, &mut self.rows);
        }
        if let Some(learned) = self.strategy.learned() {
            learned.describe(&context, &mut self.rows)?;
        }
        // An archive without cells may say how novel rows are that are not offered to it.
        let offered = !c.offered.is_empty() || !self.archive.spec().has_cells();
        if offered {
            let offer = Offer {
                generation: self.counters.generation,
                crowd: c.crowd,
                competition: c.competition,
                admitted: c.admitted.clone(),
            };
            let block = c.block.clone();
            self.archive
                .insert(&self.rows, block, &c.genomes, &offer, &self.comm, &mut self.report)?;
            self.counters.outside += self.report.outside as u64;
        }
        let status = self.rows.get::<u8>("status")?.iter();
        self.counters.invalid += status.filter(|s| **s != Status::Ok as u8).count() as u64;
        if self.failure.is_none() {
            self.failure = why_failed(self.comm.inner(), self.task, &self.rows)?;
        }
        let tests = &self.candidates.tests;
        let repeats = self.task.spec().repeats as u64;
        let evaluated = match self.rows.get::<u32>(SAMPLES) {
            Ok(counts) => {
                let counted = counts.iter().enumerate().filter(|(row, _)| !tests.contains(row));
                counted.map(|(_, n)| u64::from(*n)).sum()
            }
            Err(_) => (self.candidates.total - tests.len()) as u64,
        };
        self.counters.evaluations += repeats * evaluated;
        self.measures.add(&self.rows, tests)?;
        let steps = self.rows.get::<u32>("steps")?.iter().enumerate();
        self.counters.env_steps += steps
            .filter(|(row, _)| !tests.contains(row))
            .map(|(_, s)| u64::from(*s))
            .sum::<u64>();
        let report = offered.then_some(&self.report);
        let told = Told {
            candidates: &self.candidates,
            rows: &self.rows,
            moments: &self.moments,
            trajectories: self.evaluator.trajectories(),
            report,
            last: self.done_after(self.counters.generation + 1) >= 1.0,
        };
        let next = self.strategy.tell(&context, &told)?;
        if next == Next::Generation {
            self.generation_over()?;
        }
        Ok(next)
    }

    fn generation_over(&mut self) -> Result<()> {
        self.counters.generation += 1;
        self.begun();
        self.measures.generation_over();
        let busy = self.evaluator.take_busy();
        let waited = std::mem::take(&mut self.waited);
        let available = rayon::current_num_threads() as f64 * (busy.wall + waited).as_secs_f64();
        self.idle_share = (1.0 - busy.work.as_secs_f64() / available).max(0.0);
        self.correct()?;
        if self.history.keeps(self.counters.generation) || self.done() >= 1.0 {
            self.record();
        }
        Ok(())
    }

    /// Evaluates the result's elites anew, where this generation's are to be.
    fn correct(&mut self) -> Result<()> {
        let generation = self.counters.generation;
        let Some(correction) = self.correction.as_mut().filter(|c| c.is_due(generation)) else {
            return Ok(());
        };
        let subject = Subject {
            archive: self.archive.results().unwrap_or(self.archive.as_ref()),
            genome_dim: self.task.spec().genome_dim,
            seed: self.settings.seed,
            generation,
            normalization: self.candidates.normalization.clone(),
            comm: self.comm.inner(),
        };
        correction.correct(&subject, &mut self.evaluator)?;
        // Not of a generation's own evaluations.
        self.evaluator.take_busy();
        Ok(())
    }

    /// Forgets what the run began with.
    fn begun(&mut self) {
        if self.spec.given_rows().is_some_and(|rows| rows > 0) {
            self.spec.given = Some(Arc::default());
        }
    }

    /// A number for the genomes that the run begins with, equal on ranks that were given the same.
    pub(crate) fn start_digest(&self) -> u64 {
        self.spec.given.as_deref().map_or(0, Start::digest)
    }

    fn parallel_section_over(&self) {
        if self.keep_awake {
            stay_awake();
        }
    }

    /// Adds the present generation to the history, if it is not there yet.
    fn record(&mut self) {
        let c = self.counters;
        if self.history.last().is_some_and(|row| row[0] as u64 == c.generation) {
            return;
        }
        let m = self.metrics();
        let mut row = vec![
            c.generation as f64,
            c.evaluations as f64,
            self.seconds(),
            m.qd_score,
            m.coverage,
            m.max_fitness,
            m.mean_fitness,
            m.filled as f64,
            c.env_steps as f64,
            self.frames() as f64,
            c.invalid as f64,
            c.outside as f64,
            self.idle_share,
        ];
        row.extend(self.measures.values().map(|(_, value)| value));
        row.extend(self.correction.iter().flat_map(|c| c.values()));
        row.extend(self.fronts.values(&self.task.spec().objectives, self.archive.as_ref()));
        self.strategy.history(&mut row);
        self.history.push(row);
    }

    /// What fronts are worth, of a task of several objectives: columns of the history.
    pub fn front_values(&self) -> Vec<(String, f64)> {
        let values = self.fronts.values(&self.task.spec().objectives, self.archive.as_ref());
        self.fronts.names().map(String::from).zip(values).collect()
    }

    /// Share of the budget that is used, 1 or more when the run is over: also where the strategy has nothing left to try.
    pub fn done(&self) -> f64 {
        match self.strategy.ended() {
            Some(_) => 1.0,
            None => self.done_after(self.counters.generation),
        }
    }

    /// Frames of the simulator so far.
    pub fn frames(&self) -> u64 {
        self.counters.env_steps * u64::from(self.task.spec().frames_per_step)
    }

    /// The same if so many generations were finished.
    fn done_after(&self, generations: u64) -> f64 {
        let b = &self.settings.budget;
        let share = |used: f64, limit: f64| if limit > 0.0 { used / limit } else { 0.0 };
        // Time is left out here: ranks would not agree on it. Rank 0's clock stops all through the stop word.
        share(self.counters.evaluations as f64, b.evaluations as f64)
            .max(share(self.frames() as f64, b.frames as f64))
            .max(share(generations as f64, b.generations as f64))
    }

    /// Share of the time budget that is used, by this rank's clock.
    pub fn time_used(&self) -> f64 {
        let minutes = self.settings.budget.wall_minutes;
        if minutes > 0.0 {
            self.seconds() / (60.0 * minutes)
        } else {
            0.0
        }
    }

    /// Wall-clock seconds since the run began, resumed parts added.
    pub fn seconds(&self) -> f64 {
        self.earlier_seconds + self.began.elapsed().as_secs_f64()
    }

    /// Bytes that this rank has exchanged with others to make generations since this process began (checkpoints and archives not counted),
    /// and the evaluations that they were for.
    pub fn traffic(&self) -> (Traffic, u64) {
        (self.comm.traffic(), self.evaluated)
    }

    /// Share of the time of this rank's threads in the last generation's evaluations in which they had no work, waiting for other
    /// ranks included.
    pub fn idle_share(&self) -> f64 {
        self.idle_share
    }

    /// What the task says of the first row that failed since this process began; the same on all ranks.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref().filter(|sentence| !sentence.is_empty())
    }

    /// What decides about the run's parts beside the configuration, which a task may have from elsewhere: a program of the user's own, files.
    pub(crate) fn task_in_words(&self) -> String {
        let spec = self.task.spec();
        let (dim, deterministic, offset) = (spec.genome_dim, spec.deterministic, spec.qd_offset);
        format!(
            "{dim} genes, bounds {:?}, init {:?}, descriptor {:?}, QD offset {offset}, deterministic {deterministic}, genes {:?}, {}",
            spec.bounds,
            spec.init,
            spec.descriptor,
            spec.genes,
            Source::lines(&spec.sources).replace('\n', ", ")
        )
    }

    /// Why this rank's task can score no more, once that is so.
    pub fn gave_up(&self) -> Option<String> {
        self.task.gave_up()
    }

    pub fn counters(&self) -> Counters {
        self.counters
    }

    pub fn metrics(&self) -> Metrics {
        measure_elites(self.archive.spec(), self.archive().elites())
    }

    /// What the task measures beside fitness.
    pub(crate) fn measures(&self) -> &Measures {
        &self.measures
    }

    /// What the log says of task and strategy at the start: (name, value).
    pub fn facts(&self) -> impl Iterator<Item = &(String, String)> {
        let parts = self.task.spec().facts.iter().chain(&self.strategy.spec().facts);
        parts.chain(&self.start)
    }

    /// The run's result: the archive, or the best of all beside it.
    pub fn archive(&self) -> &dyn Archive {
        self.archive.results().unwrap_or(self.archive.as_ref())
    }

    pub fn strategy(&self) -> &dyn Strategy {
        self.strategy.as_ref()
    }

    /// The configuration as resolved, TOML.
    pub fn config_text(&self) -> &str {
        &self.config_text
    }

    /// The history so far, the present generation included.
    pub fn history(&mut self) -> &History {
        if self.counters.generation > 0 {
            self.record();
        }
        &self.history
    }

    /// The history as it is, without the present generation if that has no row of its own.
    pub fn recorded(&self) -> &History {
        &self.history
    }

    /// The strategy's own history columns: names and present values.
    pub fn strategy_values(&self) -> Vec<(String, f64)> {
        let mut values = Vec::new();
        self.strategy.history(&mut values);
        self.strategy
            .spec()
            .history
            .iter()
            .map(|(name, ..)| name.clone())
            .zip(values)
            .collect()
    }

    /// Writes the archive, or with `checkpoint` the archive and all that is needed to go on. Collective.
    ///
    /// # Errors
    /// The file cannot be written; the same error on every rank.
    pub fn write(&mut self, path: &Path, checkpoint: bool) -> Result<()> {
        let state = self.state()?;
        self.write_with(path, checkpoint, &state)
    }

    /// What a file holds of strategy and engine. It may weigh hundreds of megabytes, so checkpoint and archive are written from one. Collective.
    ///
    /// # Errors
    /// The strategy's.
    pub fn state(&mut self) -> Result<State> {
        // First, since the present generation's row may have the history thinned, and the engine's table says how far it is.
        self.history();
        let context = context(&self.settings, &self.counters, &self.spec, &self.comm);
        let mut state = self.strategy.save(&context)?;
        state.tables.push((ENGINE.into(), self.engine_table()));
        Ok(state)
    }

    /// As [`Run::write`], with the present [`Run::state`].
    ///
    /// # Errors
    /// The same.
    pub fn write_with(&mut self, path: &Path, checkpoint: bool, state: &State) -> Result<()> {
        let history = self.history().batch();
        let spec = self.strategy.spec();
        let attributes = Attributes {
            software_version: env!("CARGO_PKG_VERSION").into(),
            task: self.task.spec().name.clone(),
            fitness: match self.task.spec().minimized {
                true => self.task.spec().fitness.clone(),
                false => String::new(),
            },
            strategy: spec.name.clone(),
            seed: self.settings.seed,
            generation: self.counters.generation,
            evaluations: self.counters.evaluations,
            config: self.config_text.clone(),
            created: self.created.clone(),
            ranks: self.comm.size() as u64,
            threads: rayon::current_num_threads() as u64,
            operators: spec.operators.clone(),
            objectives: self.task.spec().objectives.clone(),
            sources: Source::lines(&self.task.spec().sources),
        };
        let contents = Contents {
            attributes: &attributes,
            archive: self.archive.as_ref(),
            genome_dim: self.task.spec().genome_dim,
            lineage: spec.lineage,
            genes: self.task.spec().genes.as_deref(),
            history: &history,
            state: Some(state),
            checkpoint,
            compress: self.settings.output.compress as u8,
        };
        file::write(path, &contents, self.comm.inner())
    }

    fn engine_table(&self) -> Batch {
        let c = self.counters;
        let mut table = Batch::new();
        table.push("env_steps", 1, "steps", "environment steps so far", vec![c.env_steps]);
        table.push("invalid", 1, "", "failed evaluations so far", vec![c.invalid]);
        table.push(
            "outside",
            1,
            "",
            "descriptors outside the bounds so far",
            vec![c.outside],
        );
        table.push(
            "history_every",
            1,
            "",
            "generations between rows of the history",
            vec![self.history.every()],
        );
        table.push("wall_seconds", 1, "s", "wall-clock time so far", vec![self.seconds()]);
        table
    }
}

fn empty(name: &str) -> Error {
    Error::failed(format!("the checkpoint's engine state has no value of {name}"))
}

fn context<'a>(settings: &Settings, counters: &Counters, task: &'a TaskSpec, comm: &'a dyn Comm) -> Context<'a> {
    Context {
        seed: settings.seed,
        generation: counters.generation,
        task,
        comm,
    }
}
