//! What is evaluated again: an archive with the task that it is of, and its elites as candidates.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use illume_archives::CellArchive;
use illume_archives::file::{self, ArchiveFile};
use illume_core::{ArchiveMut, Candidates, Decoder, Error, Genomes, Normalization, Result, Source, Task};

use super::reevaluate::candidates;
use crate::{Config, decoder, registry};

/// What files of imported archives have in place of a strategy.
pub const IMPORTED: &str = "imported";

/// An archive with the task that it is of, and an empty archive of the same kind.
pub struct Subject {
    pub file: ArchiveFile,
    pub config: Config,
    pub task: Box<dyn Task>,
    pub archive: Box<dyn ArchiveMut>,
    /// Whether networks run on the CPU here that ran on a GPU in the run.
    pub moved: bool,
}

impl Subject {
    /// Why its elites may act otherwise here than when they were found.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.moved {
            notes.push("the run's networks ran on a GPU, here they run on the CPU, which rounds otherwise".into());
        }
        for name in Source::changed(&self.task.spec().sources, &self.file.attributes.sources) {
            notes.push(format!("{name} is not what it was in the run"));
        }
        notes
    }

    /// # Errors
    /// No archive, an empty one, or one of a task that cannot be built here.
    pub fn open(path: &Path) -> Result<Subject> {
        Subject::open_with(path, false)
    }

    /// The same with networks on the CPU.
    ///
    /// # Errors
    /// As [`Subject::open`].
    pub fn open_on_cpu(path: &Path) -> Result<Subject> {
        Subject::open_with(path, true)
    }

    fn open_with(path: &Path, cpu: bool) -> Result<Subject> {
        let file = file::open(path)?;
        if file.rows() == 0 {
            return Err(Error::input(format!(
                "{}: the archive is empty: there is no elite to evaluate again",
                path.display()
            )));
        }
        let imported = file.attributes.strategy == IMPORTED;
        if imported && file.attributes.config.is_empty() {
            return Err(Error::input(format!(
                "{}: the archive was imported without a task, so its elites cannot be evaluated; `illume import --task CONFIG.toml` gives it one",
                path.display()
            )));
        }
        let named = file.attributes.config.parse::<toml::Table>().ok();
        let named = named.as_ref().and_then(|config| config.get("task")?.get("name"));
        if named.is_none() {
            return Err(Error::input(format!(
                "{}: the archive was written by a program of its own, whose task has no name here: it can be looked at and exported, but its elites cannot be evaluated again",
                path.display()
            )));
        }
        let config = Config::stored(
            &file.attributes.config,
            &format!("{} (its configuration)", path.display()),
            &[],
        )?;
        let (task, moved) = registry::task_here(&config, cpu)?;
        if task.spec().genome_dim != file.genome_dim {
            return Err(Error::input(format!(
                "{} holds genomes of {} genes, those of task \"{}\" have {}",
                path.display(),
                file.genome_dim,
                task.spec().name,
                task.spec().genome_dim
            )));
        }
        // No configuration gives the centroids of another program, and those of a file may be gone.
        let own_centroids = config.archive.get("centroids").and_then(toml::Value::as_str);
        let foreign = imported || own_centroids.is_some_and(|file| !file.is_empty());
        let archive: Box<dyn ArchiveMut> = match foreign && file.spec.has_cells() {
            true => Box::new(CellArchive::from_spec(&file.spec, file.genome_dim, false)?),
            false => registry::archive(&config, task.spec(), file.lineage)?,
        };
        if *archive.spec() != file.spec {
            return Err(Error::input(format!(
                "{}: the cells of the archive are not those that its configuration makes here; illume or task \"{}\" may have changed since",
                path.display(),
                task.spec().name
            )));
        }
        Ok(Subject {
            file,
            config,
            task,
            archive,
            moved,
        })
    }
}

/// Statistics by which the run normalized observations at its end.
pub fn normalization(file: &ArchiveFile) -> Result<Option<Arc<Normalization>>> {
    let Some(solution) = file.solution()? else {
        return Ok(None);
    };
    let (Ok(mean), Ok(sd)) = (
        solution.get::<f32>("observation_mean"),
        solution.get::<f32>("observation_sd"),
    ) else {
        return Ok(None);
    };
    let clip = solution
        .get::<f32>("observation_clip")?
        .first()
        .copied()
        .unwrap_or(f32::INFINITY);
    Ok(Some(Arc::new(Normalization {
        mean: mean.to_vec(),
        sd: sd.to_vec(),
        clip,
    })))
}

/// Elites as candidates of one process.
pub fn elites(subject: &Subject, rows: Range<usize>, normalization: Option<Arc<Normalization>>) -> Result<Candidates> {
    let (file, n) = (&subject.file, rows.len());
    let genomes = with_decoder(file.genomes(rows)?, || decoder(&subject.config, subject.task.spec()))?;
    Ok(candidates(genomes, n, normalization))
}

/// Puts into lineages what decodes them, which is made only if it is needed.
///
/// # Errors
/// That of `decoder`.
pub fn with_decoder(mut genomes: Genomes, decoder: impl FnOnce() -> Result<Decoder>) -> Result<Genomes> {
    if let Genomes::Lineage(lineages) = &mut genomes {
        lineages.decoder = Some(Arc::new(decoder()?));
    }
    Ok(genomes)
}
