//! `illume sweep retry`: puts runs back into the queue.

use std::path::PathBuf;

use clap::Args;
use illume_core::{Error, Result};

use crate::commands::launch::alone;
use crate::sweep::{State, Status, Sweep};

/// Put runs that failed, or one that is to be done again, back into the queue
#[derive(Args)]
pub struct RetryArgs {
    /// Folder of the sweep
    dir: PathBuf,
    /// All runs that failed, or whose configuration was found wrong
    #[arg(long, required_unless_present = "only", conflicts_with = "only")]
    failed: bool,
    /// One run: its id or the beginning of it
    #[arg(long, value_name = "ID")]
    only: Option<String>,
}

impl RetryArgs {
    pub fn run(&self) -> u8 {
        alone(|| retry(self))
    }
}

/// Puts runs back into the queue.
///
/// # Errors
/// No such sweep or run, or one that is being run.
fn retry(args: &RetryArgs) -> Result<String> {
    let sweep = Sweep::open(&args.dir)?;
    let mut results = sweep.results()?;
    let jobs = sweep.plan.jobs(&results).known;
    let only = args
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
    let dir = args.dir.display();
    Ok(match names.len() {
        0 => format!("No run of {dir} has failed\n"),
        n => format!(
            "{n} run(s) are in the queue again: {}\ngo on with: illume sweep run {dir}\n",
            names.join(", ")
        ),
    })
}
