//! `illume sweep plan`: what a sweep will be.

use clap::Args;
use illume_core::{Error, Result};

use super::Given;
use crate::commands::launch::alone;
use crate::engine::output::json_text;
use crate::sweep::estimate::Estimate;
use crate::sweep::{Plan, Sweep, duration, pilot};

/// Show what a sweep will be: its runs, their cost, disk and files, and the time to ask for
#[derive(Args)]
pub struct PlanArgs {
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

impl PlanArgs {
    pub fn run(&self) -> u8 {
        alone(|| plan(self))
    }
}

/// Prints what a sweep will be.
///
/// # Errors
/// As [`crate::sweep::Spec::read`] and [`Plan::new`].
fn plan(args: &PlanArgs) -> Result<String> {
    let plan = match args.given.folder()? {
        Some(dir) => Sweep::open(dir)?.plan.as_ref().clone(),
        None => Plan::new(&args.given.spec()?)?,
    };
    let pilot = args.pilot.as_ref().map(|text| {
        let time =
            duration::parse(text).and_then(|time| time.ok_or_else(|| "expected a time, such as 30s".to_string()));
        time.map_err(|e| Error::input(format!("--pilot {text}: {e}")))
    });
    let pilot = match pilot.transpose()? {
        Some(time) => Some(pilot::measure(&plan, time)?),
        None => None,
    };
    // Workers are thought of as this machine is.
    let cores = illume_cluster::Node::alone()?.cores;
    let estimate = Estimate::new(&plan, pilot.as_deref(), args.workers as usize, cores);
    Ok(if args.json {
        json_text(&estimate.json())
    } else {
        estimate.text()
    })
}
