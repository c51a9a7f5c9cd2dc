//! Who runs what: files `claims/NAME.K`, created exclusively. No lock, no server: creating a file exclusively is atomic on NFS and Lustre, where
//! locks may be off.
//!
//! The highest K is what counts. It is *held* while its worker lives, which touches it every [`TOUCH`]; *ended* once its worker has written how the
//! attempt ended; *lost* if its worker has vanished: at once where that can be seen (the same machine), else after [`STALE`] by the file system's
//! own clock. Who wants the run then creates K + 1, which one of many does. Numbers are never used twice, so a worker that wakes up after it was given
//! up finds a higher number than its own. Claims go when there is a result.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use illume_core::{Error, Result};
use serde::{Deserialize, Serialize};

use crate::engine::lock::Holder;
use crate::engine::output::write_atomically;

/// How often a worker touches its claims.
pub const TOUCH: Duration = Duration::from_secs(30);

/// Age at which the claim of a worker on another machine counts as lost.
pub const STALE: Duration = Duration::from_secs(300);

/// How an attempt ended that leaves the run to others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ending {
    Interrupted,
    Crashed { why: String, stderr: Vec<String> },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Content {
    holder: Holder,
    /// What the holder was started with, "" for alone.
    launch: String,
    /// When the run's checkpoint was written, as it was claimed; in milliseconds by the file system's clock, 0 without one.
    checkpoint: u64,
    ended: Option<Ending>,
}

/// What the claims of a run say.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// It may be claimed under this number.
    Free {
        next: u32,
        past: Past,
    },
    Held(Option<Holder>),
}

/// Attempts that are over.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    pub crashed: u32,
    /// Workers that vanished with it, all together.
    pub lost: u32,
    /// Those of them since it last got on: an allocation that ends without a word is nobody's fault.
    pub lost_in_vain: u32,
    pub interrupted: u32,
    /// Of the last one that crashed: why, and its last lines of standard error.
    pub why: String,
    pub stderr: Vec<String>,
}

/// A claim of this worker.
#[derive(Debug, Clone)]
pub struct Claim {
    pub name: String,
    path: PathBuf,
    checkpoint: u64,
    pub past: Past,
}

/// The folder of claims, seen by one worker.
pub struct Claims {
    folder: PathBuf,
    me: Holder,
    launch: String,
    clock: PathBuf,
}

/// What names the job step that this process was started by, the same for all of its processes.
fn launch() -> String {
    let variable = |name: &str| std::env::var(name).ok();
    let step = || {
        Some(format!(
            "slurm {}.{}",
            variable("SLURM_JOB_ID")?,
            variable("SLURM_STEP_ID")?
        ))
    };
    step().or_else(|| variable("PMIX_NAMESPACE")).unwrap_or_default()
}

/// What a claim says; none of one that is gone, or just being written.
fn read(path: &Path) -> Option<Content> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

impl Claims {
    pub fn new(folder: PathBuf) -> Claims {
        let me = Holder::this();
        let clock = folder.join(format!(".clock-{}-{}", me.host, std::process::id()));
        Claims {
            folder,
            me,
            launch: launch(),
            clock,
        }
    }

    fn failed(&self, e: &std::io::Error) -> Error {
        Error::failed(format!("cannot use {}: {e}", self.folder.display()))
    }

    fn path(&self, name: &str, number: u32) -> PathBuf {
        self.folder.join(format!("{name}.{number}"))
    }

    /// The numbers of all claims, by run.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn list(&self) -> Result<HashMap<String, Vec<u32>>> {
        let mut all: HashMap<String, Vec<u32>> = HashMap::new();
        for entry in fs::read_dir(&self.folder).map_err(|e| self.failed(&e))? {
            let name = entry.map_err(|e| self.failed(&e))?.file_name();
            let parts = name.to_str().and_then(|n| n.rsplit_once('.'));
            if let Some((run, number)) = parts
                && let Ok(number) = number.parse()
            {
                all.entry(run.into()).or_default().push(number);
            }
        }
        all.values_mut().for_each(|numbers| numbers.sort_unstable());
        Ok(all)
    }

    /// What these claims of a run, in rising order, say.
    ///
    /// # Errors
    /// The folder cannot be used.
    pub fn state(&self, name: &str, numbers: &[u32]) -> Result<State> {
        let mut past = Past::default();
        let mut checkpoint = 0;
        for (i, &number) in numbers.iter().enumerate() {
            let path = self.path(name, number);
            let content = read(&path);
            if let Some(content) = content.as_ref().filter(|c| c.checkpoint > checkpoint) {
                checkpoint = content.checkpoint;
                past.lost_in_vain = 0;
            }
            match content.as_ref().and_then(|c| c.ended.as_ref()) {
                Some(Ending::Interrupted) => past.interrupted += 1,
                Some(Ending::Crashed { why, stderr }) => {
                    past.crashed += 1;
                    (past.why, past.stderr) = (why.clone(), stderr.clone());
                }
                // The highest alone can be held.
                None => {
                    let holder = content.map(|c| c.holder);
                    let gone = holder.as_ref().is_some_and(Holder::is_gone);
                    let last = i + 1 == numbers.len();
                    if last && !gone && self.age(&path)?.is_none_or(|age| age <= STALE) {
                        // One that is being written has no content yet.
                        return Ok(State::Held(holder));
                    }
                    past.lost += 1;
                    past.lost_in_vain += 1;
                }
            }
        }
        let next = numbers.last().map_or(1, |last| last + 1);
        Ok(State::Free { next, past })
    }

    /// Whether another process that was started together with this one has a claim.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn others_of_launch(&self) -> Result<bool> {
        if self.launch.is_empty() {
            return Ok(false);
        }
        for (name, numbers) in self.list()? {
            let Some(&number) = numbers.last() else { continue };
            let content = read(&self.path(&name, number));
            let of_launch =
                content.is_some_and(|c| c.launch == self.launch && c.holder != self.me && c.ended.is_none());
            if of_launch && matches!(self.state(&name, &numbers)?, State::Held(_)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// By the file system's clock; none if the file is gone.
    fn age(&self, path: &Path) -> Result<Option<Duration>> {
        fs::write(&self.clock, b"").map_err(|e| self.failed(&e))?;
        let time = |path: &Path| -> std::io::Result<SystemTime> { fs::metadata(path)?.modified() };
        let now = time(&self.clock).map_err(|e| self.failed(&e))?;
        Ok(time(path)
            .ok()
            .map(|then| now.duration_since(then).unwrap_or(Duration::ZERO)))
    }

    /// Claims a run under a number; none if another was faster.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn take(&self, name: &str, number: u32, past: Past, checkpoint: &Path) -> Result<Option<Claim>> {
        let path = self.path(name, number);
        let written = fs::metadata(checkpoint).and_then(|m| m.modified()).ok();
        let since = written.and_then(|time| time.duration_since(SystemTime::UNIX_EPOCH).ok());
        let checkpoint = since.map_or(0, |time| time.as_millis() as u64);
        let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == ErrorKind::AlreadyExists => return Ok(None),
            Err(e) => return Err(self.failed(&e)),
        };
        file.write_all(&self.content(checkpoint, None)).map_err(|e| {
            let _ = fs::remove_file(&path);
            self.failed(&e)
        })?;
        Ok(Some(Claim {
            name: name.into(),
            path,
            checkpoint,
            past,
        }))
    }

    fn content(&self, checkpoint: u64, ended: Option<Ending>) -> Vec<u8> {
        let content = Content {
            holder: self.me.clone(),
            launch: self.launch.clone(),
            checkpoint,
            ended,
        };
        serde_json::to_vec(&content).unwrap_or_default()
    }

    /// Shows that the worker lives. A claim that is gone is left so.
    pub fn touch(&self, claim: &Claim) {
        // Written anew, so that the time is the file system's.
        if let Ok(mut file) = OpenOptions::new().write(true).open(&claim.path) {
            let _ = file.write_all(&self.content(claim.checkpoint, None));
        }
    }

    /// Leaves the run to others.
    ///
    /// # Errors
    /// The disk.
    pub fn end(&self, claim: &Claim, ending: Ending) -> Result<()> {
        write_atomically(&claim.path, &self.content(claim.checkpoint, Some(ending)))
    }

    /// Removes what killed workers left of runs that have a result.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn tidy(&self, has_result: impl Fn(&str) -> bool) -> Result<()> {
        for (name, numbers) in self.list()? {
            if has_result(&name) {
                self.clear(&name, &numbers);
            }
        }
        for entry in fs::read_dir(&self.folder).map_err(|e| self.failed(&e))?.flatten() {
            // Who still needs one makes it again.
            if entry.file_name().to_string_lossy().starts_with(".clock-") {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(())
    }

    /// Removes all claims of a run that has a result, or is to be done again.
    pub fn clear(&self, name: &str, numbers: &[u32]) {
        for &number in numbers {
            let _ = fs::remove_file(self.path(name, number));
        }
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.clock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn free(state: State) -> (u32, Past) {
        match state {
            State::Free { next, past } => (next, past),
            State::Held(holder) => panic!("held by {holder:?}"),
        }
    }

    #[test]
    fn one_of_many_gets_a_claim_and_the_next_waits_for_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let claims = Claims::new(folder.path().into());
        assert_eq!(claims.list().unwrap(), HashMap::new());
        let winners: usize = std::thread::scope(|scope| {
            let one = || {
                usize::from(
                    Claims::new(folder.path().into())
                        .take("a", 1, Past::default(), Path::new(""))
                        .unwrap()
                        .is_some(),
                )
            };
            let all: Vec<_> = (0..16).map(|_| scope.spawn(one)).collect();
            all.into_iter().map(|t| t.join().unwrap()).sum()
        });
        assert_eq!(winners, 1);
        assert_eq!(claims.list().unwrap()["a"], [1]);
        assert!(matches!(claims.state("a", &[1]).unwrap(), State::Held(Some(h)) if !h.is_gone()));
    }

    #[test]
    fn endings_are_counted_and_numbers_rise() {
        let folder = tempfile::tempdir().unwrap();
        let claims = Claims::new(folder.path().into());
        let crash = |why: &str| Ending::Crashed {
            why: why.into(),
            stderr: vec![why.into()],
        };
        let endings = [
            Ending::Interrupted,
            crash("first"),
            Ending::Interrupted,
            crash("second"),
        ];
        let mut numbers = Vec::new();
        for ending in endings {
            let (next, past) = free(claims.state("a", &numbers).unwrap());
            let claim = claims.take("a", next, past, Path::new("")).unwrap().unwrap();
            claims.touch(&claim);
            claims.end(&claim, ending).unwrap();
            numbers.push(next);
        }
        let (next, past) = free(claims.state("a", &numbers).unwrap());
        assert_eq!((next, past.crashed, past.interrupted, past.lost), (5, 2, 2, 0));
        assert_eq!((past.why.as_str(), past.stderr.len()), ("second", 1));
        claims.clear("a", &numbers);
        assert!(claims.list().unwrap().is_empty());
    }

    #[test]
    fn the_claim_of_a_dead_process_is_lost_at_once_and_of_another_machine_after_a_while() {
        let folder = tempfile::tempdir().unwrap();
        let claims = Claims::new(folder.path().into());
        let checkpoint = std::cell::Cell::new(0);
        let write = |number: u32, holder: Holder| {
            let content = Content {
                holder,
                launch: String::new(),
                checkpoint: checkpoint.get(),
                ended: None,
            };
            fs::write(claims.path("a", number), serde_json::to_vec(&content).unwrap()).unwrap();
        };
        let other = |change: &[(&str, serde_json::Value)]| -> Holder {
            let mut fields = serde_json::to_value(Holder::this()).unwrap();
            change.iter().for_each(|(name, value)| fields[*name] = value.clone());
            serde_json::from_value(fields).unwrap()
        };
        // The same number, but another process than had it.
        write(1, other(&[("process_start", 1.into())]));
        let (next, past) = free(claims.state("a", &[1]).unwrap());
        assert_eq!((next, past.lost), (2, 1));
        let elsewhere = other(&[("host", "elsewhere".into()), ("machine", "another".into())]);
        write(2, elsewhere.clone());
        assert_eq!(claims.state("a", &[1, 2]).unwrap(), State::Held(Some(elsewhere)));
        let old = SystemTime::now() - STALE - Duration::from_secs(5);
        OpenOptions::new()
            .write(true)
            .open(claims.path("a", 2))
            .unwrap()
            .set_modified(old)
            .unwrap();
        let (next, past) = free(claims.state("a", &[1, 2]).unwrap());
        assert_eq!((next, past.lost), (3, 2));
        assert_eq!(past.lost_in_vain, 2);
        // It got on since, so what was lost before was not in vain.
        checkpoint.set(5);
        write(3, other(&[("process_start", 1.into())]));
        let (_, past) = free(claims.state("a", &[1, 2, 3]).unwrap());
        assert_eq!((past.lost, past.lost_in_vain), (3, 1));
        // One that is just being written.
        fs::write(claims.path("a", 3), "").unwrap();
        assert!(matches!(claims.state("a", &[1, 2, 3]).unwrap(), State::Held(_)));
    }
}
