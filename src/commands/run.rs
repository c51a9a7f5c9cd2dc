//! `illume run`, and how any run goes on from its checkpoint.

mod drive;
mod report;
mod tensorboard;
mod watch;

use std::io::Write as _;
use std::path::{Path, PathBuf};

use illume_archives::file;
use illume_cluster::agree;
use illume_core::{Comm, Error, Result};

use self::drive::drive;
use self::report::conclude;
use super::Set;
use super::eval;
use super::launch::{Ended, Place, Threads, complain, stopping};
use crate::engine::directory::{Directory, Wanted};
use crate::engine::{checkpoint, difference, versions};
use crate::{Config, Run, registry};

/// Start a run from a configuration; the same command under mpirun or srun
#[derive(clap::Args)]
pub struct RunArgs {
    /// TOML file; `illume list` shows what may stand in it
    config: PathBuf,
    #[command(flatten)]
    set: Set,
    /// Run directory (overrides output.dir); it must not exist or be empty, unless with --resume
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with this run if its directory has a checkpoint, start it if not; of a run that goes on, budget.* and output.* may change
    #[arg(long)]
    resume: bool,
    #[command(flatten)]
    threads: Threads,
}

impl RunArgs {
    pub fn run(&self) -> u8 {
        stopping(&self.threads, |place| run(self, place))
    }
}

/// Starts a run, or with `resume` goes on with it if it has begun. Collective.
///
/// # Errors
/// The user's input, a directory that another process has, or a failure on the way; equal on all ranks.
fn run(args: &RunArgs, place: &Place<'_>) -> Result<Ended> {
    let wanted = if args.resume { Wanted::Any } else { Wanted::Nothing };
    same_command(wanted, place.comm)?;
    let config = Config::read(&args.config, &args.set.set);
    let config = agree(place.comm, config.map(|config| config.at(args.out.as_deref())))?;
    go(&config, Path::new(&config.output.dir), wanted, place)
}

/// Starts or goes on with the run in a directory, to its end. Collective.
///
/// # Errors
/// As [`run`].
pub(super) fn go(config: &Config, path: &Path, wanted: Wanted, place: &Place<'_>) -> Result<Ended> {
    let comm = place.comm;
    let root = comm.rank() == 0;
    let task = agree(comm, registry::task_of_rank(config, place.node.ranks))?;
    let begun = root && wanted != Wanted::Nothing && Directory::of(path).has_checkpoint();
    let begun = comm.any(u64::from(begun))? != 0;
    let make = if begun { Run::going_on } else { Run::of_rank };
    let mut run = agree(comm, make(config, task.as_ref(), comm, place.node.ranks))?;
    same_everywhere(path, &run, comm)?;
    let claimed = if root {
        Directory::claim(path, wanted)
    } else {
        Ok(Directory::of(path))
    };
    let directory = agree(comm, claimed)?;
    task.keep_logs(&directory.path, comm.rank());
    let mut damaged = None;
    let there = comm.any(u64::from(root && directory.has_checkpoint()))? != 0;
    if begun && !there {
        let message = format!("the checkpoint of {} is gone while this run began", path.display());
        return Err(Error::input(message));
    }
    if there {
        let (last, unreadable) = checkpoint::last(&directory, comm)?;
        agree(comm, checkpoint::same_run(config, &run, task.spec(), &directory, &last))?;
        agree(comm, run.load(&last))?;
        drop(last);
        if let Some(why) = unreadable {
            agree(comm, directory.set_aside())?;
            let (previous, aside) = (directory.previous_checkpoint(), directory.damaged_checkpoint());
            let sentence = format!(
                "{why}: going on from the checkpoint before, {} (generation {}); the damaged one becomes {}",
                previous.display(),
                run.counters().generation,
                aside.display()
            );
            if root {
                complain(&sentence);
            }
            damaged = Some(sentence);
        }
        if checkpoint::is_complete(&mut run, &directory, comm)? {
            if root {
                conclude(&run, &directory, "Nothing left to do: finished");
            }
            return agree(comm, evaluate(&run, config, &directory, root)).map(|()| Ended::Finished);
        }
    }
    let written = if root {
        directory.write_config(run.config_text())
    } else {
        Ok(())
    };
    agree(comm, written)?;
    let ended = drive(&mut run, config, &directory, damaged, place)?;
    if ended == Ended::Finished {
        agree(comm, evaluate(&run, config, &directory, root))?;
    }
    Ok(ended)
}

/// Evaluates the elites of a finished run again if `output.evaluate` says so and it has not been done: what `illume eval` does. Rank 0 alone does.
fn evaluate(run: &Run<'_>, config: &Config, directory: &Directory, root: bool) -> Result<()> {
    let episodes = config.output.evaluate;
    let path = directory.path.join(eval::FILE);
    let there = || {
        file::open_evaluation(&path)
            .is_ok_and(|e| (e.episodes, e.generation) == (episodes as u64, run.counters().generation))
    };
    if !root || episodes == 0 || run.metrics().filled == 0 || there() {
        return Ok(());
    }
    let text = eval::eval_archive(&directory.archive(), episodes, Some(&path), false)?;
    let _ = write!(std::io::stdout(), "{text}");
    Ok(())
}

/// That no rank runs while another resumes, as where each asks a file system by itself which it should. Collective.
pub(super) fn same_command(wanted: Wanted, comm: &dyn Comm) -> Result<()> {
    let own = 1 << wanted as u64;
    if comm.any(own)? == own {
        return Ok(());
    }
    Err(Error::input(
        "the ranks were given different commands: all run, all run with --resume or all resume (`illume run --resume` does either, as is needed)",
    ))
}

/// That all ranks run one program with one configuration: else they would make an archive that no configuration gives. Collective.
fn same_everywhere(path: &Path, run: &Run<'_>, comm: &dyn Comm) -> Result<()> {
    let (version, path, config) = (versions::program(), path.display().to_string(), run.config_text());
    let (start, task) = (format!("{:016x}", run.start_digest()), run.task_in_words());
    for (what, own) in [
        ("illume", version.as_str()),
        ("run directory", &path),
        ("configuration", config),
        ("start", &start),
        ("task", &task),
    ] {
        let mut text = own.as_bytes().to_vec();
        comm.broadcast(0, &mut text)?;
        let of_first = String::from_utf8_lossy(&text);
        let same = if own == of_first {
            Ok(())
        } else {
            let how = match what {
                "configuration" => difference::keys(own, &of_first, "rank 0's", &[])?.join(", "),
                _ => format!(
                    "{}, rank 0 {}",
                    own.lines().next().unwrap_or_default(),
                    of_first.lines().next().unwrap_or_default()
                ),
            };
            Err(Error::input(format!(
                "rank {} was given another {what} than rank 0 ({how}): all ranks of a run need the same; each run of a sweep has an mpirun or srun of \
                 its own",
                comm.rank()
            )))
        };
        agree(comm, same)?;
    }
    Ok(())
}
