//! `illume sweep status`: how far a sweep is.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use illume_cluster::signals;
use illume_core::Result;

use super::Standing;
use crate::commands::launch::alone;
use crate::engine::output::json_text;
use crate::sweep::Sweep;

/// Show how far a sweep is and what it has found
#[derive(Args)]
pub struct StatusArgs {
    /// Folder of the sweep
    dir: PathBuf,
    /// Show it again every five seconds until the sweep is finished
    #[arg(long)]
    watch: bool,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
}

impl StatusArgs {
    pub fn run(&self) -> u8 {
        alone(|| status(self))
    }
}

/// Prints how far a sweep is.
///
/// # Errors
/// There is no sweep.
fn status(args: &StatusArgs) -> Result<String> {
    let mut sweep = Sweep::open(&args.dir)?;
    loop {
        sweep.refresh()?;
        let results = sweep.results()?;
        let s = Standing::new(&sweep, &results)?;
        let text = if args.json {
            json_text(&s.json(&sweep, &results))
        } else {
            s.text(&sweep, &results)
        };
        if !args.watch || s.complete || signals::stop_requested() {
            return Ok(text);
        }
        // `| head` has seen enough.
        if writeln!(std::io::stdout(), "{text}").is_err() {
            return Ok(String::new());
        }
        std::thread::sleep(Duration::from_secs(5));
    }
}
