//! `illume sweep collect`: tables of what is there.

use std::path::{Path, PathBuf};

use clap::Args;
use illume_core::Result;

use super::Standing;
use crate::commands::launch::alone;
use crate::engine::output::bytes;
use crate::sweep::Sweep;

/// Write sweep.csv, timing.csv and sweep.h5 from what is there
#[derive(Args)]
pub struct CollectArgs {
    /// Folder of the sweep
    dir: PathBuf,
}

impl CollectArgs {
    pub fn run(&self) -> u8 {
        alone(|| collect(&self.dir))
    }
}

/// Writes the tables.
///
/// # Errors
/// There is no sweep, or the disk.
fn collect(dir: &Path) -> Result<String> {
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
