//! Files of runs and sweeps, opened and checked as the program does.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use illume::archives::file::{self, ArchiveFile};
use illume::core::{Batch, Decoder, Error, Genomes, Result};
use illume::sweep::{Sweep, collect};
use illume::{Config, decoder};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::convert::{columns, dict, parse_toml};
use crate::errors::raise;
use crate::genomes::{Decoded, with_genes};
use crate::pools::Threads;
use crate::snapshot;
use crate::task::task;

/// An archive or a checkpoint, open for reading.
#[pyclass(frozen, module = "illume._illume")]
pub struct File(ArchiveFile);

#[pymethods]
impl File {
    #[new]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<File> {
        py.detach(|| file::open(&path)).map(File).map_err(raise)
    }

    /// What the root's attributes say; `fitness` where the file has it: what it is, of a task whose value is minimized.
    fn attributes<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let a = &self.0.attributes;
        let dict = PyDict::new(py);
        dict.set_item("software_version", &a.software_version)?;
        dict.set_item("task", &a.task)?;
        if !a.fitness.is_empty() {
            dict.set_item("fitness", &a.fitness)?;
        }
        dict.set_item("strategy", &a.strategy)?;
        dict.set_item("seed", a.seed)?;
        dict.set_item("generation", a.generation)?;
        dict.set_item("evaluations", a.evaluations)?;
        dict.set_item("created", &a.created)?;
        dict.set_item("ranks", a.ranks)?;
        dict.set_item("threads", a.threads)?;
        Ok(dict)
    }

    /// The resolved configuration.
    fn config<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        parse_toml(py, &self.0.attributes.config, &self.whence())
    }

    /// Elites, cells and metrics.
    fn archive<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (operators, table) = (&self.0.attributes.operators, self.0.elites.clone());
        snapshot::about(py, &self.0.spec, operators, table, &self.0.metrics())
    }

    /// Genomes of all elites; lineages are decoded when their genes are asked for.
    fn genomes(&self, py: Python<'_>) -> PyResult<Decoded> {
        let genomes = py.detach(|| self.decodable()).map_err(raise)?;
        let threads = Threads::new(None).map_err(raise)?;
        Ok(Decoded::new(genomes, self.0.genome_dim, self.0.genes.clone(), threads))
    }

    fn history<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        columns(py, self.0.history.clone())
    }

    /// What the strategy holds to be its result; none where that is the archive.
    fn solution<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let read = || -> Result<Option<Batch>> {
            let Some(stored) = self.0.solution()? else {
                return Ok(None);
            };
            // Of a task that this build has not, the lineage alone is there.
            let genes = with_genes(stored.clone(), self.0.genes.as_deref(), || self.decoder());
            Ok(Some(genes.unwrap_or(stored)))
        };
        let solution = py.detach(|| Threads::new(None)?.install(read)).map_err(raise)?;
        solution.map(|batch| columns(py, batch)).transpose()
    }
}

impl File {
    fn whence(&self) -> String {
        format!("{} (its configuration)", self.0.path().display())
    }

    fn decodable(&self) -> Result<Genomes> {
        let mut genomes = self.0.genomes(0..self.0.rows())?;
        if let Genomes::Lineage(lineages) = &mut genomes {
            lineages.decoder = Some(Arc::new(self.decoder()?));
        }
        Ok(genomes)
    }

    fn decoder(&self) -> Result<Decoder> {
        let config = Config::stored(&self.0.attributes.config, &self.whence(), &[])?;
        let task = task(&config)?;
        if task.spec().genome_dim == self.0.genome_dim {
            return decoder(&config, task.spec());
        }
        Err(Error::input(format!(
            "{} holds genomes of {} genes, those of task \"{}\" have {}",
            self.0.path().display(),
            self.0.genome_dim,
            task.spec().name,
            task.spec().genome_dim
        )))
    }
}

/// Whether a folder is that of a sweep.
#[pyfunction]
pub fn is_sweep(path: PathBuf) -> bool {
    Sweep::is_at(&path)
}

/// (id, directory, the keys that were set) of each run.
type Members<'py> = Vec<(String, PathBuf, Bound<'py, PyDict>)>;

/// A sweep: its table of runs as CSV, and its runs.
#[pyfunction]
pub fn sweep(py: Python<'_>, path: PathBuf) -> PyResult<(String, Members<'_>)> {
    let (csv, runs) = py.detach(|| opened(&path)).map_err(raise)?;
    let runs = runs.into_iter().map(|(id, dir, set)| Ok((id, dir, dict(py, &set)?)));
    Ok((csv, runs.collect::<PyResult<_>>()?))
}

type Runs = Vec<(String, PathBuf, toml::Table)>;

fn opened(path: &Path) -> Result<(String, Runs)> {
    let sweep = Sweep::open(path)?;
    let results = sweep.results()?;
    let table = collect::Table::new(&sweep.plan, &results);
    let runs = table.rows.iter().map(|(job, _)| {
        let set = sweep.plan.configurations[job.configuration].set.clone();
        (job.id.clone(), sweep.run_dir(&job.id), set)
    });
    Ok((table.csv(), runs.collect()))
}
