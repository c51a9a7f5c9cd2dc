//! `illume sweep extend`: adds runs to a sweep.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use illume_core::Result;

use crate::commands::launch::alone;
use crate::sweep::{Spec, Sweep};

/// Add seeds, or the configurations of another file, to a sweep
#[derive(Args)]
pub struct ExtendArgs {
    /// Folder of the sweep
    dir: PathBuf,
    /// A sweep's file whose configurations come to those that are there
    file: Option<PathBuf>,
    /// Run every configuration with seeds 1 to N
    #[arg(long, value_name = "N", required_unless_present = "file", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    seeds: Option<u32>,
}

impl ExtendArgs {
    pub fn run(&self) -> u8 {
        alone(|| extend(self))
    }
}

/// Adds runs to a sweep.
///
/// # Errors
/// As [`crate::sweep::Plan::extend`].
fn extend(args: &ExtendArgs) -> Result<String> {
    let mut sweep = Sweep::open(&args.dir)?;
    let spec = args.file.as_ref().map(|file| Spec::read(file, &[], None)).transpose()?;
    let mut plan = sweep.plan.as_ref().clone();
    let added = plan.extend(args.seeds.map(|n| n as usize), spec.as_ref())?;
    sweep.plan = Arc::new(plan);
    if added > 0 {
        sweep.save_plan()?;
    }
    Ok(format!(
        "{added} runs added, {} in all; workers that run take them up; go on with: illume sweep run {}\n",
        sweep.plan.runs.len(),
        args.dir.display()
    ))
}
