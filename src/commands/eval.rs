//! `illume eval`: elites evaluated again. Is the archive reproducible, and what is it worth without the luck of the draw?

mod measure;
pub(super) mod report;

use std::path::{Path, PathBuf};

use illume_archives::file::{self, ArchiveFile};
use illume_core::{Archive, Error, Result, Task};

use crate::formats::policy::PolicyFile;
use crate::{Config, registry};

pub(crate) use measure::{elites, normalization};

/// Written beside the archive.
pub(super) const FILE: &str = "eval.h5";

/// What `illume eval` was asked.
pub struct EvalOptions {
    /// Fresh episodes of each elite.
    pub episodes: usize,
    /// File to write, instead of `eval.h5` beside the archive.
    pub output: Option<PathBuf>,
    /// The descriptor that a policy is asked for, as typed.
    pub descriptor: Option<String>,
    pub json: bool,
}

/// The text that `illume eval PATH` prints; what it says, and the same for each elite, is written to a file.
///
/// Every elite is evaluated once with the seed under which it was found (which must give the very same fitness), then
/// `episodes` times with fresh seeds. Expected is what the elites are worth in their cells, each at its mean fitness; corrected is what an
/// empty archive keeps of them at their mean descriptors.
///
/// # Errors
/// No archive, an empty one, one of a task that cannot be built here, or a file that cannot be written.
pub fn eval(path: &Path, options: &EvalOptions) -> Result<String> {
    if PolicyFile::is_at(path) {
        if options.output.is_some() {
            return Err(Error::input(
                "--output is for what the evaluation of an archive finds; that of a policy is printed",
            ));
        }
        return super::eval_policy(
            path,
            &super::PolicyOptions {
                episodes: options.episodes,
                descriptor: options.descriptor.as_deref(),
                json: options.json,
            },
        );
    }
    if options.descriptor.is_some() {
        return Err(Error::input(format!(
            "--descriptor is for a policy, and {} is none: expected a folder that `illume distill` wrote",
            path.display()
        )));
    }
    let path = super::archive_path(path)?;
    let subject = Subject::open(&path)?;
    let target = options.output.clone().unwrap_or_else(|| path.with_file_name(FILE));
    file::check_target(&target)?;
    let (evaluation, notes) = measure::measure(&subject, options.episodes)?;
    if let Some(failure) = subject.task.failure() {
        super::tell_failure(&failure);
    }
    file::write_evaluation(&target, &evaluation)?;
    Ok(if options.json {
        report::json(&target, &evaluation)
    } else {
        report::text(&evaluation, &notes) + &format!("written      {}\n", target.display())
    })
}

/// What is said where networks run on another device than the run's.
pub(super) const MOVED: &str = "the run's networks ran on a GPU, here they run on the CPU, which rounds otherwise";

/// An archive with the task that it is of, and an empty archive of the same kind.
pub struct Subject {
    pub file: ArchiveFile,
    pub config: Config,
    pub task: Box<dyn Task>,
    pub archive: Box<dyn Archive>,
    /// Whether networks run on the CPU here that ran on a GPU in the run.
    pub moved: bool,
}

impl Subject {
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
        let archive = registry::archive(&config, task.spec(), file.lineage)?;
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
