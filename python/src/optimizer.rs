//! Ask and tell: a run whose candidates Python evaluates.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use illume::archives::file::read_checkpoint;
use illume::cluster::Solo;
use illume::core::{Error, Genomes, Next, Result, Task};
use illume::{Budget, Config, Run, decoder};
use numpy::{IntoPyArray as _, PyArray1, PyArray2, PyArrayMethods as _, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyDict;
use self_cell::self_cell;
use toml::{Table, Value};

use crate::convert::{columns, dict, parse_toml, table};
use crate::errors::raise;
use crate::genomes::{Decoded, decoded, matrix, with_genes};
use crate::pools::Threads;
use crate::snapshot;
use crate::task::task;

self_cell!(
    /// A run with the task that it borrows.
    struct TaskAndRun {
        owner: Box<dyn Task>,
        #[not_covariant]
        dependent: Run,
    }
);

struct State {
    run: TaskAndRun,
    config: Config,
    /// Rows that wait for their values.
    asked: Option<usize>,
    /// Whether a strategy of several phases is between two of them.
    between_phases: bool,
    seeds: Vec<u64>,
    /// Why the run cannot go on, or be saved, once its strategy asked for what Python cannot give.
    refused: Option<&'static str>,
}

/// A run in progress. Methods let other threads of Python go on while they compute.
#[pyclass(frozen, module = "illume._illume")]
pub struct Engine {
    state: Mutex<State>,
    threads: Threads,
    axes: usize,
    dim: usize,
}

#[pymethods]
impl Engine {
    /// A fresh run of a configuration, a dict with all tables.
    #[new]
    #[pyo3(signature = (config, threads = None))]
    fn new(py: Python<'_>, config: &Bound<'_, PyDict>, threads: Option<usize>) -> PyResult<Engine> {
        let table = table(config, "")?;
        py.detach(|| Engine::made(Config::of_table(table.clone(), "config")?, &table, threads, false))
            .map_err(raise)
    }

    /// Goes on from a checkpoint; `budget` replaces keys of the one that the file holds.
    #[staticmethod]
    #[pyo3(signature = (path, budget = None, threads = None))]
    fn load(
        py: Python<'_>,
        path: PathBuf,
        budget: Option<&Bound<'_, PyDict>>,
        threads: Option<usize>,
    ) -> PyResult<Engine> {
        let budget = budget.map(|budget| table(budget, "budget")).transpose()?;
        let load = || {
            let checkpoint = read_checkpoint(&path, &Solo)?;
            let name = format!("{} (its configuration)", path.display());
            let text = &checkpoint.attributes.config;
            let stored: Table = text
                .parse()
                .map_err(|e: toml::de::Error| Error::input(format!("{name}: not valid TOML: {}", e.message())))?;
            let mut config = Config::stored(text, &name, &[])?;
            let mut limits = match stored.get("budget") {
                Some(Value::Table(limits)) => limits.clone(),
                _ => Table::new(),
            };
            limits.extend(budget.into_iter().flatten());
            let given = Table::from_iter([("budget".to_string(), Value::Table(limits))]);
            let whole = Table::from_iter(given.clone().into_iter().chain([
                ("task".to_string(), Value::Table(config.task.clone())),
                ("strategy".to_string(), Value::Table(config.strategy.clone())),
            ]));
            config.budget = Config::of_table(whole, "load")?.budget;
            // What a run began with is not needed after its first generation.
            // A checkpoint of no generation has nothing of what the run begins with.
            let going_on = checkpoint.attributes.generation > 0;
            let engine = Engine::made(config, &given, threads, going_on)?;
            engine.with(|state| state.run.with_dependent_mut(|_, run| run.load(&checkpoint)))?;
            Ok(engine)
        };
        py.detach(load).map_err(raise)
    }

    /// Genomes to be evaluated, f32 `[n, dim]`.
    fn ask<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let (rows, genes) = py.detach(|| self.with(|state| state.ask(self.dim))).map_err(raise)?;
        matrix(py, genes, rows, self.dim)
    }

    /// What they are worth: `fitness` `[n]`, `descriptor` `[n * k]`.
    fn tell(
        &self,
        py: Python<'_>,
        fitness: PyReadonlyArray1<'_, f64>,
        descriptor: PyReadonlyArray1<'_, f64>,
    ) -> PyResult<()> {
        let (fitness, descriptor) = (fitness.to_vec()?, descriptor.to_vec()?);
        py.detach(|| self.with(|state| state.tell(&fitness, &descriptor)))
            .map_err(raise)
    }

    /// Candidates that wait for `tell`; none before `ask`.
    fn asked(&self, py: Python<'_>) -> PyResult<Option<usize>> {
        py.detach(|| Ok(self.lock()?.asked)).map_err(raise)
    }

    /// Evaluation seeds of the candidates that were asked for last, u64 `[n]`.
    fn seeds<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray1<u64>>> {
        let seeds = py.detach(|| Ok(self.lock()?.seeds.clone())).map_err(raise)?;
        Ok(seeds.into_pyarray(py))
    }

    /// (genes of a genome, axes of the descriptor).
    fn sizes(&self) -> (usize, usize) {
        (self.dim, self.axes)
    }

    /// What has been counted: generation, evaluations, invalid, outside; whether the run is over, and why if the strategy says so.
    fn progress<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = || {
            Ok(self.lock()?.run.with_dependent_mut(|_, run| {
                let over = run.done() >= 1.0 || run.time_used() >= 1.0;
                (run.counters(), over, run.strategy().ended())
            }))
        };
        let (counters, done, ended) = py.detach(found).map_err(raise)?;
        let dict = PyDict::new(py);
        dict.set_item("generation", counters.generation)?;
        dict.set_item("evaluations", counters.evaluations)?;
        dict.set_item("invalid", counters.invalid)?;
        dict.set_item("outside", counters.outside)?;
        dict.set_item("done", done)?;
        dict.set_item("ended", ended)?;
        Ok(dict)
    }

    /// Metrics of the archive, and the present values of the strategy's columns.
    fn metrics<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = || {
            let mut state = self.lock()?;
            Ok(state
                .run
                .with_dependent_mut(|_, run| (run.metrics(), run.strategy_values())))
        };
        let (metrics, own) = py.detach(found).map_err(raise)?;
        let dict = snapshot::measured(py, &metrics)?;
        for (name, value) in own {
            dict.set_item(name, value)?;
        }
        Ok(dict)
    }

    /// A copy of the archive: what it says of itself with its elites, and their genomes.
    fn archive<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyDict>, Decoded)> {
        let dim = self.dim;
        let copied = py.detach(|| {
            self.with(|state| {
                let config = &state.config;
                state.run.with_dependent_mut(|task, run| {
                    let decoder = match run.strategy().spec().lineage {
                        true => Some(Arc::new(decoder(config, task.spec())?)),
                        false => None,
                    };
                    let (table, genomes) = snapshot::elites(run.archive(), dim, decoder)?;
                    let operators = run.strategy().spec().operators.clone();
                    let space = task.spec().genes.clone();
                    let genomes = Decoded::new(genomes, dim, space, self.threads);
                    Ok((table, genomes, run.archive().spec().clone(), operators, run.metrics()))
                })
            })
        });
        let (table, genomes, spec, operators, metrics) = copied.map_err(raise)?;
        Ok((snapshot::about(py, &spec, &operators, table, &metrics)?, genomes))
    }

    fn history<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let found = || {
            let mut state = self.lock()?;
            let between = state.unfinished();
            // A generation in progress gets no row.
            Ok(state.run.with_dependent_mut(|_, run| match between {
                true => run.recorded().batch(),
                false => run.history().batch(),
            }))
        };
        columns(py, py.detach(found).map_err(raise)?)
    }

    /// The strategy's own result, if that is not the archive.
    fn solution<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let found = |state: &mut State| {
            let config = &state.config;
            state.run.with_dependent_mut(|task, run| {
                let solution = run.state()?.solution;
                solution
                    .map(|s| with_genes(s, task.spec().genes.as_deref(), || decoder(config, task.spec())))
                    .transpose()
            })
        };
        let solution = py.detach(|| self.with(found)).map_err(raise)?;
        solution.map(|batch| columns(py, batch)).transpose()
    }

    /// The resolved configuration.
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let text = || {
            let mut state = self.lock()?;
            Ok(state.run.with_dependent_mut(|_, run| run.config_text().to_string()))
        };
        let text = py.detach(text).map_err(raise)?;
        parse_toml(py, &text, "the resolved configuration")
    }

    /// The task as the configuration has it, its descriptor's axes included: (name, unit, lower, upper).
    #[allow(clippy::type_complexity)]
    fn task<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<(Bound<'py, PyDict>, Vec<(String, String, f64, f64)>, Option<[f32; 2]>)> {
        let found = || {
            let state = self.lock()?;
            Ok((state.config.task.clone(), state.run.borrow_owner().spec().clone()))
        };
        let (table, spec) = py.detach(found).map_err(raise)?;
        let axes = spec.descriptor.into_iter().map(|a| (a.name, a.unit, a.lower, a.upper));
        // Genes that have bounds each are asked for in coordinates of their own.
        let bounds = spec.bounds.filter(|_| spec.genes.is_none());
        Ok((dict(py, &table)?, axes.collect(), bounds))
    }

    /// Writes a checkpoint.
    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        let save = |state: &mut State| {
            state.refusal()?;
            let generation = state.run.with_dependent_mut(|_, run| run.counters().generation);
            if state.unfinished() {
                return Err(Error::input(format!(
                    "generation {generation} is not finished, and a checkpoint lies between generations: {}",
                    match state.asked {
                        Some(rows) =>
                            format!("tell() what the {rows} candidates that were asked for are worth, then save"),
                        None => "its strategy asks once more (ask, then tell), then save".into(),
                    }
                )));
            }
            state.run.with_dependent_mut(|_, run| run.write(&path, true))
        };
        py.detach(|| self.with(save)).map_err(raise)
    }
}

/// Whether a table of limits names none; a file that was written without any has zeros.
fn unlimited(limits: &Table) -> bool {
    let none = |value: &Value| value.as_integer() == Some(0) || value.as_float() == Some(0.0);
    let limits = ["evaluations", "frames", "generations", "wall_minutes"].map(|key| limits.get(key));
    limits.iter().flatten().all(|value| none(value))
}

const EPISODES: &str = "the strategy learns from episodes, which are not seen from Python: take one that needs fitness and descriptor alone";

impl Engine {
    fn made(mut config: Config, given: &Table, threads: Option<usize>, going_on: bool) -> Result<Engine> {
        // Who asks decides when to stop: no limit is one that was not given.
        let limits = given.get("budget").and_then(Value::as_table);
        if limits.is_none_or(unlimited) {
            config.budget = Budget::default();
        }
        let threads = Threads::new(threads)?;
        let task = task(&config)?;
        let (dim, axes) = (task.spec().genome_dim, task.spec().descriptor_dim());
        let run = threads.install(|| {
            TaskAndRun::try_new(task, |task| match going_on {
                true => Run::going_on(&config, task.as_ref(), &Solo, 1),
                false => Run::new(&config, task.as_ref(), &Solo),
            })
        })?;
        Ok(Engine {
            state: Mutex::new(State {
                run,
                config,
                asked: None,
                between_phases: false,
                seeds: Vec::new(),
                refused: None,
            }),
            threads,
            axes,
            dim,
        })
    }

    /// The run, for this thread alone.
    ///
    /// # Errors
    /// An earlier call panicked, and left the run half updated.
    fn lock(&self) -> Result<MutexGuard<'_, State>> {
        let broken =
            "an earlier call broke off and left the run half updated: make the optimizer again, or load what it saved";
        self.state.lock().map_err(|_| Error::failed(broken))
    }

    /// Does something with the run on its threads. The caller holds no lock of Python's.
    fn with<T: Send>(&self, work: impl FnOnce(&mut State) -> Result<T> + Send) -> Result<T> {
        let mut state = self.lock()?;
        let state = &mut *state;
        self.threads.install(|| work(state))
    }
}

impl State {
    fn unfinished(&self) -> bool {
        self.asked.is_some() || self.between_phases
    }

    /// # Errors
    /// Why the run cannot go on.
    fn refusal(&self) -> Result<()> {
        self.refused.map_or(Ok(()), |why| Err(Error::input(why)))
    }

    fn ask(&mut self, dim: usize) -> Result<(usize, Vec<f32>)> {
        self.refusal()?;
        if let Some(rows) = self.asked {
            return Err(Error::input(format!(
                "ask() was called twice: tell() what the {rows} candidates are worth comes first"
            )));
        }
        let between_phases = &mut self.between_phases;
        let (seeds, refused) = (&mut self.seeds, &mut self.refused);
        let (rows, genes) = self.run.with_dependent_mut(|task, run| {
            let space = task.spec().genes.as_deref();
            loop {
                if !*between_phases && (run.done() >= 1.0 || run.time_used() >= 1.0) {
                    let why = run.strategy().ended().unwrap_or_else(|| "the budget is used up".into());
                    let found = run.counters();
                    return Err(Error::input(format!(
                        "the run is over after {} evaluations in {} generations: {why}",
                        found.evaluations, found.generation
                    )));
                }
                let candidates = run.ask()?;
                let rows = candidates.genomes.rows();
                if candidates.record || !candidates.observed.is_empty() || candidates.network.is_some() {
                    *refused = Some(EPISODES);
                    return Err(Error::input(EPISODES));
                }
                if rows > 0 {
                    seeds.clone_from(&candidates.seeds);
                    let genes = match &candidates.genomes {
                        Genomes::Dense(dense) if space.is_none() => dense.data.clone(),
                        genomes => decoded(genomes, &(0..rows).collect::<Vec<_>>(), dim, space),
                    };
                    return Ok((rows, genes));
                }
                // A phase without rows.
                run.score(&[], &[])?;
                *between_phases = run.tell()? == Next::SameGeneration;
            }
        })?;
        self.asked = Some(rows);
        Ok((rows, genes))
    }

    fn tell(&mut self, fitness: &[f64], descriptor: &[f64]) -> Result<()> {
        if self.asked.is_none() {
            return Err(Error::input(
                "tell() was called before ask(): there are no candidates to tell of",
            ));
        }
        let next = self.run.with_dependent_mut(|_, run| {
            run.score(fitness, descriptor)?;
            run.tell()
        })?;
        self.asked = None;
        self.between_phases = next == Next::SameGeneration;
        Ok(())
    }
}
