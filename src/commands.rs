//! What each subcommand of the binary does.

mod distill;
mod elite;
pub(crate) mod eval;
mod eval_policy;
mod export;
mod info;
mod list;
pub mod lm;
mod plot;
mod replay;
mod run;
pub mod submit;
pub mod sweep;
mod watch;

pub use distill::{DistillOptions, From, distill};
pub use elite::Which;
pub use eval::{EvalOptions, eval};
pub use eval_policy::{PolicyOptions, eval_policy, info_policy};
pub use export::{ExportOptions, export};
pub use info::info;
pub use list::list;
pub use plot::{PlotOptions, plot};
pub use replay::{ReplayOptions, replay};
pub use run::{Ended, Place, RunOptions, resume, run};

use std::io::Write as _;
use std::path::{Path, PathBuf};

use illume_core::{Error, Result};

/// Says why rows fail, though the command goes on.
fn tell_failure(failure: &str) {
    // A closed stderr (mpirun stopping) must not panic.
    let _ = writeln!(std::io::stderr(), "illume: {failure}; its rows count as failed");
}

/// The archive that a path means: an `.h5` file itself, or the newest one of a run directory.
///
/// # Errors
/// There is none.
pub fn archive_path(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.into());
    }
    let found = ["archive.h5", "checkpoint.h5"]
        .map(|name| path.join(name))
        .into_iter()
        .filter_map(|file| {
            let modified = file.metadata().and_then(|m| m.modified()).ok()?;
            Some((modified, file))
        });
    // The archive is written after the checkpoint of the same generation; equal times mean the archive.
    let newest = found.max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
    newest.map(|(_, file)| file).ok_or_else(|| {
        Error::input(format!(
            "{} holds neither archive.h5 nor checkpoint.h5: expected a run directory or an .h5 file",
            path.display()
        ))
    })
}
