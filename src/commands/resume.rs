//! `illume resume`.

use std::path::PathBuf;

use illume_archives::file;
use illume_cluster::agree;
use illume_core::{Error, Result};

use super::Set;
use super::launch::{Ended, Place, Threads, stopping};
use super::run::{go, same_command};
use crate::Config;
use crate::engine::checkpoint;
use crate::engine::directory::{Directory, Wanted};

/// Go on with a stopped or killed run from its last checkpoint, at any number of ranks and threads
#[derive(clap::Args)]
pub struct ResumeArgs {
    /// Run directory
    dir: PathBuf,
    #[command(flatten)]
    set: Set,
    #[command(flatten)]
    threads: Threads,
}

impl ResumeArgs {
    pub fn run(&self) -> u8 {
        stopping(&self.threads, |place| resume(self, place))
    }
}

/// Goes on with a run from its checkpoint. `--set` may change the budget and the output. Collective.
///
/// # Errors
/// No checkpoint, a damaged one, or as `illume run`.
fn resume(args: &ResumeArgs, place: &Place<'_>) -> Result<Ended> {
    let comm = place.comm;
    same_command(Wanted::Checkpoint, comm)?;
    let (name, mut text) = agree(comm, own_text(&Directory::of(&args.dir), comm.rank() == 0))?;
    comm.broadcast(0, &mut text)?;
    let config = own_config(&name, &text, &args.set.set);
    go(&agree(comm, config)?, &args.dir, Wanted::Checkpoint, place)
}

/// The configuration of the run in a directory and what messages call it; on ranks other than 0 without its text. The user may have changed
/// the budget and the output of `config.toml`; whether anything else, the checkpoint's copy will tell.
fn own_text(directory: &Directory, root: bool) -> Result<(String, Vec<u8>)> {
    let (own, checkpoint) = (directory.config(), directory.checkpoint());
    directory.resumable()?;
    Ok(if own.is_file() {
        let cannot = |e: std::io::Error| Error::input(format!("cannot read {}: {e}", own.display()));
        let text = if root {
            std::fs::read(&own).map_err(cannot)?
        } else {
            Vec::new()
        };
        (own.display().to_string(), text)
    } else {
        let text = if root {
            let opened = file::open(&checkpoint);
            let opened = opened.or_else(|e| file::open(&directory.previous_checkpoint()).map_err(|_| e))?;
            opened.attributes.config
        } else {
            String::new()
        };
        (checkpoint::config_name(directory), text.into_bytes())
    })
}

fn own_config(name: &str, text: &[u8], set: &[String]) -> Result<Config> {
    for assignment in set {
        if !assignment.starts_with("budget.") && !assignment.starts_with("output.") {
            return Err(Error::input(format!(
                "--set {assignment}: a resumed run can change budget.* and output.* only, everything else is part of its result"
            )));
        }
    }
    let text = std::str::from_utf8(text).map_err(|e| Error::input(format!("{name} is no text in UTF-8: {e}")))?;
    Config::stored(text, name, set)
}
