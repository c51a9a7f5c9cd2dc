//! Sweeps: many runs of configurations and seeds, by workers that know nothing of one another but a directory.
//!
//! ```text
//! sweeps/w/plan.toml             configurations and runs, made once           plan
//!          claims/NAME.K         who runs what                                claims
//!          runs/ID/              the runs' own directories                    child
//!          results/NAME.jsonl    what became of each                          result
//!          sweep.csv, sweep.h5   all of it as tables; timing.csv beside them  collect
//! ```
//! There is no master, no server and no lock: each process that `mpirun`, `srun`, a job array or a shell starts is a worker ([`worker`]). What is left
//! to do follows from plan and results alone (`queue.rs`).

mod axis;
mod child;
mod claims;
pub mod collect;
pub mod deadline;
pub mod duration;
pub mod estimate;
pub mod pilot;
mod plan;
mod queue;
mod result;
mod spec;
#[cfg(test)]
mod tests;
pub mod worker;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use illume_core::{Error, Result};

pub use claims::{Claims, State};
pub use plan::{Configuration, Plan, PlannedRun};
pub use queue::{Job, Jobs, Part, longest_first};
pub use result::{Curve, Results, Row, Status, Timing};
pub use spec::{Method, Metric, Resources, Retry, Spec, Top};

use crate::engine::output::write_atomically;

/// A sweep's directory and its plan.
#[derive(Clone)]
pub struct Sweep {
    pub dir: PathBuf,
    pub plan: Arc<Plan>,
    /// When the plan was written that this is.
    read: Option<SystemTime>,
}

impl Sweep {
    /// Whether there is a sweep in a folder.
    pub fn is_at(dir: &Path) -> bool {
        dir.join("plan.toml").is_file()
    }

    /// Opens the sweep in a folder.
    ///
    /// # Errors
    /// There is none, or its plan was edited.
    pub fn open(dir: &Path) -> Result<Sweep> {
        if !Sweep::is_at(dir) {
            return Err(Error::input(format!(
                "{} is not the folder of a sweep: expected one that `illume sweep run` made, with a plan.toml",
                dir.display()
            )));
        }
        let path = dir.join("plan.toml");
        let read = modified(&path);
        Ok(Sweep {
            dir: dir.into(),
            plan: Arc::new(Plan::read(&path)?),
            read,
        })
    }

    /// Opens the sweep in a folder if it is of this file, or makes it there. Several processes may do so at once.
    ///
    /// # Errors
    /// Another sweep, or something else, is there; the folder cannot be written; as [`Plan::new`].
    pub fn open_or_make(spec: &Spec, dir: &Path) -> Result<Sweep> {
        if !Sweep::is_at(dir) {
            refuse_foreign(dir)?;
            let shown = dir.display();
            let plan = Plan::new(spec)?;
            let cannot = |e: std::io::Error| Error::input(format!("cannot write the sweep's folder {shown}: {e}"));
            for folder in ["claims", "results", "runs"] {
                fs::create_dir_all(dir.join(folder)).map_err(cannot)?;
            }
            // The first of several processes names its file so; the others' are equal, or refused below.
            let own = dir.join(format!(
                "plan.toml.tmp-{}-{}",
                crate::engine::lock::Holder::this().host,
                std::process::id()
            ));
            fs::write(&own, plan.to_text()?).map_err(|e| {
                let _ = fs::remove_file(&own);
                cannot(e)
            })?;
            let linked = fs::hard_link(&own, dir.join("plan.toml"));
            let named = match linked {
                Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => fs::rename(&own, dir.join("plan.toml")),
                _ => Ok(()),
            };
            let _ = fs::remove_file(&own);
            named.map_err(cannot)?;
        }
        let sweep = Sweep::open(dir)?;
        sweep.must_be_of(spec)?;
        Ok(sweep)
    }

    /// That [`Sweep::open_or_make`] would find or make the sweep of this file in a folder; nothing is changed.
    ///
    /// # Errors
    /// Another sweep, or something else, is there.
    pub fn check(spec: &Spec, dir: &Path) -> Result<()> {
        if Sweep::is_at(dir) {
            return Sweep::open(dir)?.must_be_of(spec);
        }
        refuse_foreign(dir)
    }

    fn must_be_of(&self, spec: &Spec) -> Result<()> {
        if !self.plan.is_of(spec) {
            let dir = self.dir.display();
            return Err(Error::input(format!(
                "the sweep in {dir} was made of another file, or of this one before it was changed: go on with it by `illume sweep run {dir}`, add to it by \
                 `illume sweep extend`, or choose another folder with --out"
            )));
        }
        Ok(())
    }

    /// Reads the plan again if it was extended.
    ///
    /// # Errors
    /// As [`Plan::read`].
    pub fn refresh(&mut self) -> Result<()> {
        let path = self.dir.join("plan.toml");
        let read = modified(&path);
        if read != self.read {
            self.plan = Arc::new(Plan::read(&path)?);
            self.read = read;
        }
        Ok(())
    }

    /// Writes the plan in the place of the one that is there.
    ///
    /// # Errors
    /// The disk.
    pub fn save_plan(&self) -> Result<()> {
        write_atomically(&self.dir.join("plan.toml"), self.plan.to_text()?.as_bytes())
    }

    pub fn results(&self) -> Result<Results> {
        let mut results = Results::new(self.dir.join("results"));
        results.refresh()?;
        Ok(results)
    }

    pub fn claims(&self) -> Claims {
        Claims::new(self.dir.join("claims"))
    }

    /// Directory of a run.
    pub fn run_dir(&self, id: &str) -> PathBuf {
        self.dir.join("runs").join(id)
    }

    /// Its configuration, there while it is not finished.
    fn run_config(&self, id: &str) -> PathBuf {
        self.dir.join("runs").join(format!("{id}.toml"))
    }
}

/// That a folder in which there is no sweep holds nothing else.
fn refuse_foreign(dir: &Path) -> Result<()> {
    let foreign = |e: std::io::Result<fs::DirEntry>| !e.is_ok_and(|e| is_ours(&e.file_name().to_string_lossy()));
    if dir.exists() && fs::read_dir(dir).is_ok_and(|mut entries| entries.any(foreign)) {
        return Err(Error::input(format!(
            "{} is there and is not the folder of a sweep; it is left as it is: choose another with --out",
            dir.display()
        )));
    }
    Ok(())
}

/// What another process that makes the same sweep may have written already.
fn is_ours(name: &str) -> bool {
    ["claims", "results", "runs"].contains(&name) || name.starts_with("plan.toml")
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|m| m.modified()).ok()
}
