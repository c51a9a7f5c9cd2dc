//! `illume sweep`: many runs of configurations and seeds, by any number of processes.

mod collect;
mod extend;
mod list;
mod plan;
mod retry;
mod run;
mod standing;
mod status;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use illume_core::{Error, Result};

pub(super) use standing::{Findings, Standing};

use crate::sweep::Spec;

/// Many runs by one command: parameters, variants and seeds, on any number of processes and nodes
#[derive(Args)]
pub struct SweepArgs {
    #[command(subcommand)]
    command: SweepCommand,
}

#[derive(Subcommand)]
enum SweepCommand {
    Plan(plan::PlanArgs),
    Run(run::RunArgs),
    Status(status::StatusArgs),
    Retry(retry::RetryArgs),
    List(list::ListArgs),
    Extend(extend::ExtendArgs),
    Collect(collect::CollectArgs),
}

impl SweepArgs {
    pub fn run(&self) -> u8 {
        match &self.command {
            SweepCommand::Plan(args) => args.run(),
            SweepCommand::Run(args) => args.run(),
            SweepCommand::Status(args) => args.run(),
            SweepCommand::Retry(args) => args.run(),
            SweepCommand::List(args) => args.run(),
            SweepCommand::Extend(args) => args.run(),
            SweepCommand::Collect(args) => args.run(),
        }
    }
}

// What a sweep is made of; flattened, so without a documentation comment.
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
