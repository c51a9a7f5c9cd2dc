//! `illume eval`: elites evaluated again. Is the archive reproducible, and what is it worth without the luck of the draw?

mod measure;
pub(super) mod policy;
pub(super) mod report;

use std::path::{Path, PathBuf};

use illume_archives::file;
use illume_core::{Error, Result};

use super::launch::{Threads, first_rank, on_all_ranks};
use crate::analysis::subject::Subject;
use crate::formats::policy::PolicyFile;

/// Written beside the archive.
pub(super) use crate::analysis::view::EVALUATION as FILE;

/// Evaluate every elite again: reproducibility, and the QD score without lucky draws; or a distilled policy
#[derive(clap::Args)]
pub struct EvalArgs {
    /// Run directory, .h5 file, or folder of a policy
    path: PathBuf,
    /// Fresh episodes of each elite
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    episodes: u32,
    /// File to write: what was found, elite by elite [default: eval.h5, beside the archive]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Of a policy: the behaviour to ask it for, a number for each axis of the descriptor
    #[arg(long, value_name = "X,Y", allow_hyphen_values = true)]
    descriptor: Option<String>,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

impl EvalArgs {
    pub fn run(&self) -> u8 {
        on_all_ranks(&self.threads, first_rank(|| eval(self)))
    }
}

/// # Errors
/// As [`eval_archive`] and [`policy::eval`]; an option that is for the other of the two.
fn eval(args: &EvalArgs) -> Result<String> {
    let path = &args.path;
    if PolicyFile::is_at(path) {
        if args.output.is_some() {
            return Err(Error::input(
                "--output is for what the evaluation of an archive finds; that of a policy is printed",
            ));
        }
        return policy::eval(path, args);
    }
    if args.descriptor.is_some() {
        return Err(Error::input(format!(
            "--descriptor is for a policy, and {} is none: expected a folder that `illume distill` wrote",
            path.display()
        )));
    }
    eval_archive(path, args.episodes as usize, args.output.as_deref(), args.json)
}

/// The text that `illume eval PATH` prints; what it says, and the same for each elite, is written to `target`, else to `eval.h5` beside the
/// archive.
///
/// Every elite is evaluated once with the seed under which it was found (which must give the very same fitness), then
/// `episodes` times with fresh seeds. Expected is what the elites are worth in their cells, each at its mean fitness; corrected is what an
/// empty archive keeps of them at their mean descriptors.
///
/// # Errors
/// No archive, an empty one, one of a task that cannot be built here, or a file that cannot be written.
pub(super) fn eval_archive(path: &Path, episodes: usize, target: Option<&Path>, as_json: bool) -> Result<String> {
    let path = super::archive_path(path)?;
    let subject = Subject::open(&path)?;
    let target = target.map_or_else(|| path.with_file_name(FILE), Path::to_path_buf);
    file::check_target(&target)?;
    let (evaluation, notes) = measure::measure(&subject, episodes)?;
    if let Some(failure) = subject.task.failure() {
        super::tell_failure(&failure);
    }
    file::write_evaluation(&target, &evaluation)?;
    Ok(if as_json {
        report::json(&target, &evaluation)
    } else {
        report::text(&evaluation, &notes) + &format!("written      {}\n", target.display())
    })
}
