//! `illume sweep run`: works on a sweep.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use illume_cluster::nursery::Nursery;
use illume_cluster::{Node, launched_rank, signals};
use illume_core::{Error, Result, local_rank};

use super::Given;
use super::standing::summary;
use crate::commands::launch::{code, complain, print};
use crate::commands::main;
use crate::engine::versions;
use crate::sweep::Sweep;
use crate::sweep::deadline::Deadline;
use crate::sweep::worker::{Left, Work, work};

/// Run a sweep, or go on with one: the same command under mpirun, srun, in a job array, on several nodes at once
#[derive(Args)]
pub struct RunArgs {
    #[command(flatten)]
    given: Given,
    /// Folder of the sweep [default: sweeps/ and the file's name]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// End of the allocation: a time from now such as 2h, or a point in time such as 2026-11-26T18:00 [default: the Slurm job's]
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// This run alone: its id or the beginning of it
    #[arg(long, value_name = "ID", conflicts_with = "number")]
    only: Option<String>,
    /// This run alone: its number, from 1, such as $SLURM_ARRAY_TASK_ID
    #[arg(long, value_name = "N")]
    number: Option<usize>,
}

impl RunArgs {
    pub fn run(&self) -> u8 {
        match run(self) {
            Ok((text, code)) => {
                print(&text);
                code
            }
            Err(e) => {
                if launched_rank() == 0 || code(&e) != 2 {
                    complain(&e);
                }
                code(&e)
            }
        }
    }
}

/// Works on a sweep, whose runs are forks of this process that begin at [`main`]. Returns what is to be printed and the exit code.
///
/// # Errors
/// The user's input, or a folder that cannot be used.
fn run(args: &RunArgs) -> Result<(String, u8)> {
    let node = Node::alone()?;
    let one = args.only.is_some() || args.number.is_some();
    // What every run asks for and no thread is needed to find out.
    versions::linked();
    // Before anything that a fork cannot have; how many slots there are is known later.
    let nurseries = Nursery::open(if one { 1 } else { node.cores }, main);
    signals::install()?;
    let rank = launched_rank();
    let deadline = match &args.until {
        Some(text) => Some(Deadline::parse(text)?),
        None => Deadline::of_job(),
    };
    let mut sweep = match args.given.folder()? {
        Some(dir) => Sweep::open(dir)?,
        None => {
            let dir = args.out.clone().unwrap_or_else(|| args.given.default_folder());
            Sweep::open_or_make(&args.given.spec()?, &dir)?
        }
    };
    let only = match (&args.only, args.number) {
        (Some(id), _) => Some(sweep.plan.runs[sweep.plan.find(id)?].id.clone()),
        (None, Some(number)) => {
            let runs = &sweep.plan.runs;
            let run = number.checked_sub(1).and_then(|i| runs.get(i));
            let run = run.ok_or_else(|| {
                Error::input(format!(
                    "--number {number}: expected the number of a run, from 1 to {}",
                    runs.len()
                ))
            })?;
            Some(run.id.clone())
        }
        (None, None) => None,
    };
    let program = std::env::current_exe().map_err(|e| Error::failed(format!("this program cannot be found: {e}")))?;
    let job = Work {
        program,
        cores: node.cores,
        number: local_rank(),
        first: rank == 0,
        deadline,
        only: only.clone(),
    };
    if rank == 0 {
        let _ = writeln!(
            std::io::stderr(),
            "sweep {}: {} runs of {} configurations",
            sweep.dir.display(),
            sweep.plan.runs.len(),
            sweep.plan.configurations.len()
        );
    }
    let left = work(&mut sweep, &job, nurseries)?;
    let results = sweep.results()?;
    let dir = sweep.dir.display();
    match left {
        Left::Stopped if rank > 0 => Ok((String::new(), 0)),
        Left::Stopped => Ok((
            format!("Stopped; go on with: illume sweep run {dir}\n"),
            signals::EXIT_REQUEUE as u8,
        )),
        Left::Taken => Ok((
            format!("{} is being run by another process\n", only.unwrap_or_default()),
            signals::EXIT_REQUEUE as u8,
        )),
        Left::Finished { failed, .. } if only.is_some() => Ok((String::new(), u8::from(failed > 0))),
        // The first one of this launch comes to the same end and says so, unless it is gone.
        Left::Finished { last, .. } if rank > 0 => {
            if last {
                sweep.collect(&results)?;
            }
            Ok((String::new(), 0))
        }
        Left::Finished { failed, .. } => {
            let files = sweep.collect(&results)?;
            let mut text = summary(&sweep, &results);
            text += &format!(
                "Tables: {}\n",
                files
                    .iter()
                    .map(|f| f.display().to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            );
            if failed > 0 {
                text += &format!("Runs that failed go on with: illume sweep retry {dir} --failed\n");
            }
            Ok((text, u8::from(failed > 0)))
        }
    }
}
