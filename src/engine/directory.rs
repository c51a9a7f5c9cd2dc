//! The directory of a run: what is in it, and who may write to it.

use std::fs;
use std::path::{Path, PathBuf};

use illume_core::{Error, Result};

use crate::engine::lock::{self, Lease, Taken};
use crate::engine::output::write_atomically;

/// The file that says whose the directory is at the moment.
const LOCK: &str = "run.lock";

/// How names of event files for TensorBoard begin.
pub(crate) const EVENTS: &str = "events.out.tfevents";

/// What a file is called beside its target while it waits to be put there.
const NEXT: &str = ".tmp-next";

/// What a command expects in the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// Nothing: a new run.
    Nothing,
    /// A checkpoint, to go on from.
    Checkpoint,
    /// Either.
    Any,
}

/// The files of a run directory. Rank 0 alone writes there, while it holds the directory's lock.
#[derive(Debug)]
pub struct Directory {
    pub path: PathBuf,
    lease: Option<Lease>,
}

/// What is in a folder.
enum Found {
    Nothing,
    /// What a run leaves that never reached a checkpoint.
    Begun,
    Checkpoint,
    /// Something else, such as this.
    Foreign(String),
}

impl Directory {
    /// The directory of a run, for a rank that does not write there.
    pub fn of(path: &Path) -> Directory {
        Directory {
            path: path.into(),
            lease: None,
        }
    }

    /// Makes the directory, if need be, and takes its lock, which is released when the directory is dropped.
    ///
    /// # Errors
    /// It holds something else than what is wanted or cannot be written ([`Error::Input`]); another process has it ([`Error::Busy`]). Nothing
    /// of it is changed then.
    pub fn claim(path: &Path, wanted: Wanted) -> Result<Directory> {
        let shown = path.display();
        let cannot = |e: std::io::Error| Error::input(format!("cannot write the run directory {shown}: {e}"));
        let mut directory = Directory::of(path);
        directory.check(wanted)?;
        fs::create_dir_all(path).map_err(cannot)?;
        match Lease::take(&path.join(LOCK), lock::STALE_AFTER)? {
            Taken::Lease(lease) => directory.lease = Some(lease),
            Taken::Held(held) => {
                return Err(Error::busy(format!(
                    "the run directory {shown} is in use by {held}: nothing is changed; try again when that run has ended"
                )));
            }
        }
        // Until now another process may have been at work.
        if wanted == Wanted::Checkpoint || directory.has_checkpoint() {
            directory.check(wanted)?;
        }
        Ok(directory)
    }

    /// That a command finds in it what it wants; nothing is changed.
    ///
    /// # Errors
    /// It holds something else, or cannot be read.
    pub fn check(&self, wanted: Wanted) -> Result<()> {
        let shown = self.path.display();
        let found = self.found();
        let found = found.map_err(|e| Error::input(format!("cannot read the run directory {shown}: {e}")))?;
        Err(Error::input(match (wanted, found) {
            (Wanted::Checkpoint, _) => return self.resumable(),
            (_, Found::Nothing) | (Wanted::Any, Found::Begun | Found::Checkpoint) => return Ok(()),
            (Wanted::Nothing, Found::Checkpoint) => format!(
                "the run directory {shown} exists and is not empty; go on with `illume resume {shown}`, or choose another with --out"
            ),
            (Wanted::Nothing, Found::Begun) => format!(
                "the run directory {shown} is that of a run that ended before its first checkpoint; start it again with \
                 `illume run --resume CONFIG --out {shown}`, or choose another with --out"
            ),
            (_, Found::Foreign(name)) => format!(
                "the run directory {shown} exists and is not empty: it holds {name}, which is no run's; choose another with --out"
            ),
        }))
    }

    /// Whether `illume resume` can go on here.
    ///
    /// # Errors
    /// There is no checkpoint.
    pub fn resumable(&self) -> Result<()> {
        let shown = self.path.display();
        Err(Error::input(if self.has_checkpoint() {
            return Ok(());
        } else if self.config().is_file() {
            format!(
                "{shown} has no checkpoint.h5 yet, so there is nothing to resume: start the run again with \
                 `illume run --resume {} --out {shown}`",
                self.config().display()
            )
        } else if self.path.is_dir() {
            format!(
                "{shown} has no checkpoint.h5, so there is nothing to resume: expected a folder that `illume run` made"
            )
        } else {
            format!("{shown} is not a run directory: expected a folder that `illume run` made")
        }))
    }

    fn found(&self) -> std::io::Result<Found> {
        if !self.path.exists() {
            return Ok(Found::Nothing);
        }
        if self.has_checkpoint() {
            return Ok(Found::Checkpoint);
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        let of_lock = |name: &String| name.starts_with(LOCK);
        // A configuration alone may be the user's own.
        let begun = names.iter().any(|name| of_lock(name) || name == "log.jsonl");
        let left = |name: &String| {
            of_lock(name)
                || name.contains(".tmp-")
                || name == "log.jsonl"
                || begun && (name == "config.toml" || name.starts_with(EVENTS))
        };
        Ok(match names.iter().find(|name| !left(name)) {
            Some(name) => Found::Foreign(name.clone()),
            None if begun => Found::Begun,
            None => Found::Nothing,
        })
    }

    /// Whether there is something to go on from.
    pub fn has_checkpoint(&self) -> bool {
        self.checkpoint().is_file() || self.previous_checkpoint().is_file()
    }

    /// That this process may still write here: after it was suspended for a while, another may have taken the directory over.
    ///
    /// # Errors
    /// It may not ([`Error::Busy`]).
    pub fn still_ours(&self) -> Result<()> {
        let Some(lease) = &self.lease else { return Ok(()) };
        if lease.is_held()? {
            return Ok(());
        }
        Err(Error::busy(format!(
            "the run directory {} was taken over by another process while this one gave no sign of life: it ends without writing a checkpoint",
            self.path.display()
        )))
    }

    /// Where a file is written before [`Directory::put`] gives it its place.
    pub fn next(target: &Path) -> PathBuf {
        let mut name = target.as_os_str().to_os_string();
        name.push(NEXT);
        name.into()
    }

    /// Puts what was written under [`Directory::next`] in its place, unless the directory was lost meanwhile: writing may have taken long. Does
    /// nothing on a rank that does not write here.
    ///
    /// # Errors
    /// Those of [`Directory::still_ours`], or of the file system.
    pub fn put(&self, target: &Path) -> Result<()> {
        if self.lease.is_none() {
            return Ok(());
        }
        self.still_ours()?;
        let put = fs::rename(Directory::next(target), target).and_then(|()| fs::File::open(&self.path)?.sync_all());
        put.map_err(|e| Error::failed(format!("cannot write {}: {e}", target.display())))
    }

    /// The same for a checkpoint: the one before is kept, and there is one at any time.
    ///
    /// # Errors
    /// As [`Directory::put`].
    pub fn put_checkpoint(&self) -> Result<()> {
        let (newest, previous) = (self.checkpoint(), self.previous_checkpoint());
        if self.lease.is_some() && newest.is_file() {
            self.still_ours()?;
            let link = Directory::next(&previous);
            let _ = fs::remove_file(&link);
            // Where the file system has no links, the newest is missing for a moment, and the previous one is there.
            let kept = match fs::hard_link(&newest, &link) {
                Ok(()) => fs::rename(&link, &previous),
                Err(_) => fs::rename(&newest, &previous),
            };
            // Two links of one file stay as they are when one is renamed to the other.
            let _ = fs::remove_file(&link);
            kept.map_err(|e| Error::failed(format!("cannot write {}: {e}", previous.display())))?;
        }
        self.put(&newest)
    }

    /// Puts a damaged checkpoint aside, so that it does not take the previous one's place.
    ///
    /// # Errors
    /// It cannot be renamed.
    pub fn set_aside(&self) -> Result<()> {
        let (newest, aside) = (self.checkpoint(), self.damaged_checkpoint());
        if self.lease.is_none() || !newest.is_file() {
            return Ok(());
        }
        fs::rename(&newest, &aside).map_err(|e| Error::failed(format!("cannot rename {}: {e}", newest.display())))
    }

    /// Writes the configuration, where it is not there yet as it is.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write_config(&self, text: &str) -> Result<()> {
        if fs::read(self.config()).is_ok_and(|there| there == text.as_bytes()) {
            return Ok(());
        }
        write_atomically(&self.config(), text.as_bytes())
    }

    pub fn archive(&self) -> PathBuf {
        self.path.join("archive.h5")
    }

    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.h5")
    }

    pub fn previous_checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.previous.h5")
    }

    /// Where [`Directory::set_aside`] puts a checkpoint.
    pub fn damaged_checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.damaged.h5")
    }

    pub fn config(&self) -> PathBuf {
        self.path.join("config.toml")
    }

    pub fn history(&self) -> PathBuf {
        self.path.join("history.csv")
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Wanted; 3] = [Wanted::Nothing, Wanted::Checkpoint, Wanted::Any];

    fn refused(path: &Path, wanted: Wanted) -> Option<String> {
        Directory::claim(path, wanted).err().map(|e| e.to_string())
    }

    #[test]
    fn a_directory_that_holds_something_else_is_refused_and_untouched() {
        for name in ["mine.txt", "config.toml", "archive.h5"] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join(name), "x").unwrap();
            for wanted in ALL {
                let e = refused(dir.path(), wanted).unwrap();
                assert!(e.contains(dir.path().to_str().unwrap()), "{e}");
                assert!(
                    wanted == Wanted::Checkpoint || e.contains("not empty") && e.contains(name),
                    "{e}"
                );
            }
            assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
        }
    }

    #[test]
    fn each_command_takes_what_it_can_go_on_from_and_says_which_takes_the_rest() {
        let begun = ["run.lock", "config.toml", "log.jsonl", "checkpoint.h5.tmp-12"];
        let cases: [(&[&str], [Option<&str>; 3]); 4] = [
            (&[], [None, Some("illume run"), None]),
            (&["config.toml.tmp-7"], [None, Some("illume run"), None]),
            (&begun, [Some("illume run --resume"), Some("illume run --resume"), None]),
            (&["checkpoint.h5", "eval.h5"], [Some("illume resume"), None, None]),
        ];
        for (names, expected) in cases {
            for (wanted, expected) in ALL.into_iter().zip(expected) {
                let dir = tempfile::tempdir().unwrap();
                for name in names {
                    std::fs::write(dir.path().join(name), "").unwrap();
                }
                // As old as one that a killed run left.
                if names.contains(&LOCK) {
                    let gone = r#"{"host": "n17", "pid": 1, "process_start": 1, "machine": "", "since": ""}"#;
                    std::fs::write(dir.path().join(LOCK), gone).unwrap();
                    let lock = std::fs::File::options()
                        .write(true)
                        .open(dir.path().join(LOCK))
                        .unwrap();
                    let hour_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
                    lock.set_modified(hour_ago).unwrap();
                }
                match (refused(dir.path(), wanted), expected) {
                    (None, None) => {}
                    (Some(said), Some(part)) => assert!(said.contains(part), "{names:?}, {wanted:?}: {said}"),
                    (said, _) => panic!("{names:?}, {wanted:?}: {said:?}"),
                }
            }
        }
    }

    #[test]
    fn the_last_two_checkpoints_are_kept_and_there_is_one_at_any_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let run = Directory::claim(&path, Wanted::Any).unwrap();
        let read = |path: &Path| fs::read_to_string(path).ok();
        let (newest, previous) = (run.checkpoint(), run.previous_checkpoint());
        for (text, before) in [("1", None), ("2", Some("1")), ("3", Some("2"))] {
            fs::write(Directory::next(&newest), text).unwrap();
            run.put_checkpoint().unwrap();
            assert_eq!(
                (read(&newest), read(&previous)),
                (Some(text.into()), before.map(String::from))
            );
        }
        // Killed between the two renames: both are one file.
        fs::remove_file(&previous).unwrap();
        fs::hard_link(&newest, &previous).unwrap();
        fs::write(Directory::next(&newest), "4").unwrap();
        run.put_checkpoint().unwrap();
        assert_eq!((read(&newest), read(&previous)), (Some("4".into()), Some("3".into())));
        run.set_aside().unwrap();
        assert!(run.has_checkpoint());
        fs::write(Directory::next(&newest), "5").unwrap();
        run.put_checkpoint().unwrap();
        assert_eq!((read(&newest), read(&previous)), (Some("5".into()), Some("3".into())));
        assert_eq!(read(&run.damaged_checkpoint()), Some("4".into()));
        let mut names: Vec<_> = fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(
            names,
            [
                "checkpoint.damaged.h5",
                "checkpoint.h5",
                "checkpoint.previous.h5",
                "run.lock"
            ]
        );
        // Written while another took over, it stays where it is.
        fs::write(Directory::next(&newest), "6").unwrap();
        fs::write(path.join(LOCK), "another's").unwrap();
        assert!(matches!(run.put_checkpoint(), Err(Error::Busy(_))));
        assert_eq!((read(&newest), read(&previous)), (Some("5".into()), Some("3".into())));
    }

    #[test]
    fn a_directory_is_one_processs_until_it_is_dropped_or_lost() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run");
        let first = Directory::claim(&path, Wanted::Any).unwrap();
        first.still_ours().unwrap();
        let second = Directory::claim(&path, Wanted::Any).unwrap_err();
        assert!(
            matches!(&second, Error::Busy(m) if m.contains("process ") && m.contains("s ago")),
            "{second}"
        );
        std::fs::write(path.join(LOCK), "another's").unwrap();
        assert!(matches!(first.still_ours(), Err(Error::Busy(_))));
        drop(first);
        assert!(path.join(LOCK).is_file());
    }
}
