//! Checkpoints in a run directory: written, found again, and whose they are.

use illume_archives::file::{self, Checkpoint, read_checkpoint};
use illume_cluster::agree;
use illume_core::{Comm, Error, Result, Source, TaskSpec};

use super::difference;
use super::directory::Directory;
use super::output::write_atomically;
use crate::{Config, Run, registry};

/// Writes checkpoint, archive and history. Collective; the same outcome on every rank.
pub fn save(run: &mut Run<'_>, directory: &Directory, comm: &dyn Comm) -> Result<()> {
    agree(comm, directory.still_ours())?;
    let (checkpoint, archive, history) = (directory.checkpoint(), directory.archive(), directory.history());
    let state = run.state()?;
    run.write_with(&Directory::next(&checkpoint), true, &state)?;
    agree(comm, directory.put_checkpoint())?;
    run.write_with(&Directory::next(&archive), false, &state)?;
    agree(comm, directory.put(&archive))?;
    let csv = run.history().csv();
    let written = if comm.rank() == 0 {
        write_atomically(&Directory::next(&history), csv.as_bytes()).and_then(|()| directory.put(&history))
    } else {
        Ok(())
    };
    agree(comm, written)
}

/// The newest checkpoint that can be read; if that is the one before the newest, with what is wrong with that one. Collective.
pub fn last(directory: &Directory, comm: &dyn Comm) -> Result<(Checkpoint, Option<String>)> {
    match read_checkpoint(&directory.checkpoint(), comm) {
        Err(error @ Error::Input(_)) => match read_checkpoint(&directory.previous_checkpoint(), comm) {
            Ok(previous) => Ok((previous, Some(error.to_string()))),
            Err(_) => Err(error),
        },
        newest => newest.map(|checkpoint| (checkpoint, None)),
    }
}

/// That configuration, `budget` and `output` aside, and what the task read are those of the run which a checkpoint is of.
pub fn same_run(
    config: &Config,
    run: &Run<'_>,
    task: &TaskSpec,
    directory: &Directory,
    checkpoint: &Checkpoint,
) -> Result<()> {
    let stored = Config::stored(&checkpoint.attributes.config, &config_name(directory), &[])?;
    let stored = stored.resolved(&registry::parameters(config, task)?)?;
    let differing = difference::keys(run.config_text(), &stored, "the run's", &difference::FREE)?;
    if !differing.is_empty() {
        return Err(Error::input(format!(
            "{} is not the configuration of the run in {}: {}; only budget.* and output.* of a run may change, another run needs another directory (--out)",
            config.file(),
            directory.path.display(),
            differing.join(", ")
        )));
    }
    match Source::changed(&task.sources, &checkpoint.attributes.sources)[..] {
        [] => Ok(()),
        [first, ..] => Err(Error::input(format!(
            "{first} is not what it was when the run in {} began: expected the same contents, or another directory (--out) for another run",
            directory.path.display(),
        ))),
    }
}

/// Whether a run has used up its budget and left everything that it leaves. Collective.
pub fn is_complete(run: &mut Run<'_>, directory: &Directory, comm: &dyn Comm) -> Result<bool> {
    let mut over = run.done() >= 1.0;
    let mut written = true;
    if comm.rank() == 0 {
        over |= run.time_used() >= 1.0;
        // It may have been killed between its last checkpoint and what comes after it.
        let generation = run.counters().generation;
        written = file::open(&directory.archive()).is_ok_and(|f| f.attributes.generation == generation)
            && std::fs::read(directory.history()).is_ok_and(|csv| csv == run.history().csv().as_bytes());
    }
    let word = comm.any(u64::from(over) | u64::from(!written) << 1)?;
    Ok(word == 1)
}

/// What messages call the configuration that a checkpoint holds.
pub fn config_name(directory: &Directory) -> String {
    format!("{} (its configuration)", directory.checkpoint().display())
}
