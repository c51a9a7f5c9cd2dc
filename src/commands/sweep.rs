//! `illume sweep`: many runs of configurations and seeds, by any number of processes.

mod standing;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use illume_cluster::nursery::{Entry, Nursery};
use illume_cluster::signals;
use illume_core::{Error, Result, local_rank};
use serde_json::json;

pub(super) use standing::Standing;
use standing::summary;

use crate::engine::output::{bytes, json_text, quoted};
use crate::sweep::deadline::Deadline;
use crate::sweep::worker::{Left, Work, work};
use crate::sweep::{Spec, State, Status, Sweep};

/// What `illume sweep` can do.
#[derive(Subcommand)]
pub enum SweepCommand {
    /// Show what a sweep will be: its runs, their cost, disk and files, and the time to ask for
    Plan(PlanOptions),
    /// Run a sweep, or go on with one: the same command under mpirun, srun, in a job array, on several nodes at once
    Run(RunOptions),
    /// Show how far a sweep is and what it has found
    Status(StatusOptions),
    /// Put runs that failed, or one that is to be done again, back into the queue
    Retry(RetryOptions),
    /// Print a command for each unfinished run, for GNU parallel, HyperQueue, disBatch or a job array
    List(ListOptions),
    /// Add seeds, or the configurations of another file, to a sweep
    Extend(ExtendOptions),
    /// Write sweep.csv, timing.csv and sweep.h5 from what is there
    Collect {
        /// Folder of the sweep
        dir: PathBuf,
    },
}

/// What a sweep is made of.
#[derive(Args)]
pub struct Given {
    /// A sweep's file, a run's configuration, or the folder of a sweep
    pub(super) file: PathBuf,
    /// Of a run's configuration: values to try, such as strategy.iso_sigma=0.01,0.1 or task.episode_length=range(100,400,100)
    #[arg(value_name = "KEY=VALUES")]
    pub(super) overrides: Vec<String>,
    /// Run every configuration with seeds 1 to N
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) seeds: Option<u32>,
}

#[derive(Args)]
pub struct PlanOptions {
    #[command(flatten)]
    given: Given,
    /// Measure each configuration for so long, such as 30s, and say what the sweep will take
    #[arg(long, value_name = "TIME")]
    pilot: Option<String>,
    /// Workers to plan for
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    workers: u32,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct RunOptions {
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

#[derive(Args)]
pub struct StatusOptions {
    /// Folder of the sweep
    dir: PathBuf,
    /// Show it again every five seconds until the sweep is finished
    #[arg(long)]
    watch: bool,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub struct RetryOptions {
    /// Folder of the sweep
    dir: PathBuf,
    /// All runs that failed, or whose configuration was found wrong
    #[arg(long, required_unless_present = "only", conflicts_with = "only")]
    failed: bool,
    /// One run: its id or the beginning of it
    #[arg(long, value_name = "ID")]
    only: Option<String>,
}

/// How `illume sweep list` prints runs.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A command a line (GNU parallel, disBatch, HyperQueue's --each-line)
    Lines,
    /// A list of objects with id, number and command (HyperQueue's --from-json)
    Json,
    /// The numbers of the runs, as --array of sbatch takes them
    Array,
}

#[derive(Args)]
pub struct ListOptions {
    /// Folder of the sweep
    dir: PathBuf,
    #[arg(long, value_enum, default_value = "lines")]
    format: Format,
    /// Finished runs too
    #[arg(long)]
    all: bool,
}

#[derive(Args)]
pub struct ExtendOptions {
    /// Folder of the sweep
    dir: PathBuf,
    /// A sweep's file whose configurations come to those that are there
    file: Option<PathBuf>,
    /// Run every configuration with seeds 1 to N
    #[arg(long, value_name = "N", required_unless_present = "file", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    seeds: Option<u32>,
}

impl Given {
    pub(super) fn spec(&self) -> Result<Spec> {
        Spec::read(&self.file, &self.overrides, self.seeds.map(|n| n as usize))
    }

    /// Where a sweep of this file is made if nothing else is said.
    pub(super) fn default_folder(&self) -> PathBuf {
        let stem = self.file.file_stem().unwrap_or("sweep".as_ref());
        Path::new("sweeps").join(stem)
    }

    /// The sweep's folder if that was given.
    pub(super) fn folder(&self) -> Result<Option<&Path>> {
        if !self.file.is_dir() {
            return Ok(None);
        }
        if !self.overrides.is_empty() || self.seeds.is_some() {
            return Err(Error::input(format!(
                "{} is the folder of a sweep, whose plan is made: add to it by `illume sweep extend`, or give a file",
                self.file.display()
            )));
        }
        Ok(Some(&self.file))
    }
}

/// Prints what a sweep will be.
///
/// # Errors
/// As [`Spec::read`] and [`crate::sweep::Plan::new`].
pub fn plan(options: &PlanOptions) -> Result<String> {
    let plan = match options.given.folder()? {
        Some(dir) => Sweep::open(dir)?.plan.as_ref().clone(),
        None => crate::sweep::Plan::new(&options.given.spec()?)?,
    };
    let pilot = options.pilot.as_ref().map(|text| {
        let time = crate::sweep::duration::parse(text)
            .and_then(|time| time.ok_or_else(|| "expected a time, such as 30s".to_string()));
        time.map_err(|e| Error::input(format!("--pilot {text}: {e}")))
    });
    let pilot = match pilot.transpose()? {
        Some(time) => Some(crate::sweep::pilot::measure(&plan, time)?),
        None => None,
    };
    // Workers are thought of as this machine is.
    let cores = illume_cluster::Node::alone()?.cores;
    let estimate = crate::sweep::estimate::Estimate::new(&plan, pilot.as_deref(), options.workers as usize, cores);
    Ok(if options.json {
        json_text(&estimate.json())
    } else {
        estimate.text()
    })
}

/// Works on a sweep, whose runs are forks of this process that call `entry`. Returns what is to be printed and the exit code.
///
/// # Errors
/// The user's input, or a folder that cannot be used.
pub fn run(options: &RunOptions, entry: Entry) -> Result<(String, u8)> {
    let node = illume_cluster::Node::alone()?;
    let one = options.only.is_some() || options.number.is_some();
    // What every run asks for and no thread is needed to find out.
    crate::engine::versions::libraries();
    // Before anything that a fork cannot have; how many slots there are is known later.
    let nurseries = Nursery::open(if one { 1 } else { node.cores }, entry);
    signals::install()?;
    let rank = illume_cluster::launched_rank();
    let deadline = match &options.until {
        Some(text) => Some(Deadline::parse(text)?),
        None => Deadline::of_job(),
    };
    let mut sweep = match options.given.folder()? {
        Some(dir) => Sweep::open(dir)?,
        None => {
            let dir = options.out.clone().unwrap_or_else(|| options.given.default_folder());
            Sweep::open_or_make(&options.given.spec()?, &dir)?
        }
    };
    let only = match (&options.only, options.number) {
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
    let options = Work {
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
    let left = work(&mut sweep, &options, nurseries)?;
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

/// Prints how far a sweep is.
///
/// # Errors
/// There is no sweep.
pub fn status(options: &StatusOptions) -> Result<String> {
    let mut sweep = Sweep::open(&options.dir)?;
    loop {
        sweep.refresh()?;
        let results = sweep.results()?;
        let s = Standing::new(&sweep, &results)?;
        let text = if options.json {
            json_text(&s.json(&sweep, &results))
        } else {
            s.text(&sweep, &results)
        };
        if !options.watch || s.complete || signals::stop_requested() {
            return Ok(text);
        }
        // `| head` has seen enough.
        if writeln!(std::io::stdout(), "{text}").is_err() {
            return Ok(String::new());
        }
        std::thread::sleep(Duration::from_secs(5));
    }
}

/// Puts runs back into the queue.
///
/// # Errors
/// No such sweep or run, or one that is being run.
pub fn retry(options: &RetryOptions) -> Result<String> {
    let sweep = Sweep::open(&options.dir)?;
    let mut results = sweep.results()?;
    let jobs = sweep.plan.jobs(&results).known;
    let only = options
        .only
        .as_ref()
        .map(|id| sweep.plan.find(id).map(|n| sweep.plan.runs[n].id.clone()))
        .transpose()?;
    let claims = sweep.claims();
    let claimed = claims.list()?;
    let mut names = Vec::new();
    for job in jobs {
        let wanted = match &only {
            Some(id) => job.id == *id,
            None => results.get(&job.name).is_some_and(|row| row.status != Status::Done),
        };
        if !wanted {
            continue;
        }
        let numbers = claimed.get(&job.name).map_or(&[][..], Vec::as_slice);
        if let State::Held(holder) = claims.state(&job.name, numbers)? {
            let holder = holder.map_or("another process".into(), |h| h.to_string());
            return Err(Error::busy(format!(
                "{} is being run by {holder}: wait for it, or end that first",
                job.name
            )));
        }
        claims.clear(&job.name, numbers);
        if results.get(&job.name).is_some() {
            results.remove(&job.name)?;
        }
        if only.is_some() {
            // To be done anew, not to be found finished.
            let _ = std::fs::remove_dir_all(sweep.run_dir(&job.id));
        }
        names.push(job.name);
    }
    let dir = options.dir.display();
    Ok(match names.len() {
        0 => format!("No run of {dir} has failed\n"),
        n => format!(
            "{n} run(s) are in the queue again: {}\ngo on with: illume sweep run {dir}\n",
            names.join(", ")
        ),
    })
}

/// Prints a command for each run.
///
/// # Errors
/// There is no sweep.
pub fn list(options: &ListOptions) -> Result<String> {
    let sweep = Sweep::open(&options.dir)?;
    let results = sweep.results()?;
    let open = |id: &str| options.all || results.get(id).is_none();
    let runs: Vec<(usize, &str)> = sweep
        .plan
        .runs
        .iter()
        .enumerate()
        .map(|(i, run)| (i + 1, run.id.as_str()))
        .filter(|(_, id)| open(id))
        .collect();
    let dir = std::fs::canonicalize(&options.dir).unwrap_or_else(|_| options.dir.clone());
    let command = |id: &str| format!("illume sweep run {} --only {id}", quoted(&dir.display().to_string()));
    Ok(match options.format {
        Format::Lines => runs.iter().map(|(_, id)| command(id) + "\n").collect(),
        Format::Json => {
            let entries: Vec<_> = runs
                .iter()
                .map(|(number, id)| json!({"id": id, "number": number, "command": command(id)}))
                .collect();
            json_text(&json!(entries))
        }
        Format::Array => ranges(&runs.iter().map(|(number, _)| *number).collect::<Vec<_>>()) + "\n",
    })
}

/// `1-3,7,9-12`.
fn ranges(numbers: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for &n in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == n => *last = n,
            _ => parts.push((n, n)),
        }
    }
    let text = |(a, b): &(usize, usize)| if a == b { a.to_string() } else { format!("{a}-{b}") };
    parts.iter().map(text).collect::<Vec<_>>().join(",")
}

/// Adds runs to a sweep.
///
/// # Errors
/// As [`crate::sweep::Plan::extend`].
pub fn extend(options: &ExtendOptions) -> Result<String> {
    let mut sweep = Sweep::open(&options.dir)?;
    let spec = options
        .file
        .as_ref()
        .map(|file| Spec::read(file, &[], None))
        .transpose()?;
    let mut plan = sweep.plan.as_ref().clone();
    let added = plan.extend(options.seeds.map(|n| n as usize), spec.as_ref())?;
    sweep.plan = std::sync::Arc::new(plan);
    if added > 0 {
        sweep.save_plan()?;
    }
    Ok(format!(
        "{added} runs added, {} in all; workers that run take them up; go on with: illume sweep run {}\n",
        sweep.plan.runs.len(),
        options.dir.display()
    ))
}

/// Writes the tables.
///
/// # Errors
/// There is no sweep, or the disk.
pub fn collect(dir: &Path) -> Result<String> {
    let sweep = Sweep::open(dir)?;
    let results = sweep.results()?;
    let files = sweep.collect(&results)?;
    let s = Standing::new(&sweep, &results)?;
    let sizes = files
        .iter()
        .map(|f| format!("{} ({})", f.display(), bytes(f.metadata().map_or(0, |m| m.len()))));
    Ok(format!(
        "{} of {} runs are done\n{}\n",
        s.counts["done"],
        s.counts.values().sum::<usize>(),
        sizes.collect::<Vec<_>>().join("\n")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_joined_to_ranges() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), "1-3,7,9-10");
        assert_eq!((ranges(&[]), ranges(&[4])), (String::new(), "4".into()));
    }
}
