//! A lock on files alone, for what several nodes see: it works where `flock` does not, and survives that its holder is killed.
//!
//! Who creates the file exclusively holds the lock and writes to the file again and again for as long as it does. The lock is stale when the
//! process that wrote it no longer lives, or, where that cannot be seen from here, when the file is old. Who finds it stale takes it over.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use illume_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// How old a run's lock must be for its holder to count as gone, if nothing better is known of it.
pub const STALE_AFTER: Duration = Duration::from_secs(120);

/// How often a lock is refreshed while it takes to be stale.
const REFRESHES: u32 = 4;

/// How long to wait for another process that is just taking a stale lock over.
const TAKEOVER: Duration = Duration::from_secs(1);

/// What [`Lease::take`] found.
#[derive(Debug)]
pub enum Taken {
    Lease(Lease),
    Held(Held),
}

/// Somebody else has the lock.
#[derive(Debug)]
pub struct Held {
    /// None of a file that is just being written, or is none of ours.
    holder: Option<Holder>,
    /// Since the last sign of life, by the file system's clock.
    pub age: Duration,
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.holder {
            Some(holder) => write!(f, "{holder}")?,
            None => write!(f, "a process that has not said its name")?,
        }
        write!(f, ", last seen {} s ago", self.age.as_secs())
    }
}

/// A process, as a lock names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    pub host: String,
    pid: u32,
    /// When the process started, in the kernel's ticks: a process id is used again.
    process_start: u64,
    /// Boot and process namespace in which the process id means something; empty if unknown.
    machine: String,
    /// When the lock was taken; with the others it makes the text of each lock unique.
    since: String,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} on {} (since {})", self.pid, self.host, self.since)
    }
}

impl Holder {
    /// This process.
    pub fn this() -> Holder {
        let pid = std::process::id();
        let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_string());
        let namespace = fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string());
        let machine = read("/proc/sys/kernel/random/boot_id").and_then(|boot| Ok(boot + " " + &namespace?));
        Holder {
            host: read("/proc/sys/kernel/hostname").unwrap_or_else(|_| "an unnamed host".into()),
            pid,
            process_start: process_start(pid).unwrap_or(0),
            machine: machine.unwrap_or_default(),
            since: jiff::Timestamp::now().to_string(),
        }
    }

    /// Whether it can be seen from here that the process is gone.
    pub fn is_gone(&self) -> bool {
        let here = Holder::this();
        !here.machine.is_empty() && here.machine == self.machine && process_start(self.pid) != Some(self.process_start)
    }
}

/// When a process started, by the kernel's clock; None if there is none, or only its remains.
fn process_start(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name, in parentheses, may hold spaces; then come the state and 18 numbers before the start.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    (!["Z", "X"].contains(&state)).then(|| fields.nth(18)?.parse().ok())?
}

/// A lock that this process holds, refreshed by a thread of its own and released when it is dropped.
#[derive(Debug)]
pub struct Lease {
    path: PathBuf,
    text: String,
    /// The thread that refreshes, and what ends it.
    refreshing: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Lease {
    /// Takes the lock that the file `path` is, unless another process holds it. It is stale `stale_after` its last sign of life, by the clock of the
    /// file system; the holder gives four in that time.
    ///
    /// Of several that take a free or a stale lock at once, one gets it: a free one by exclusive creation; a stale one by exclusive creation of
    /// a second file, `path.takeover`, under which the lock is looked at once more.
    ///
    /// # Errors
    /// The folder cannot be written; nothing is left in it then.
    pub fn take(path: &Path, stale_after: Duration) -> Result<Taken> {
        let cannot = |e: std::io::Error| Error::input(format!("cannot write the lock {}: {e}", path.display()));
        let me = Holder::this();
        let text = serde_json::to_string(&me).map_err(|e| Error::failed(e.to_string()))? + "\n";
        let began = std::time::Instant::now();
        loop {
            match OpenOptions::new().write(true).create_new(true).open(path) {
                Ok(mut file) => {
                    if let Err(e) = write(&mut file, &text) {
                        let _ = fs::remove_file(path);
                        return Err(cannot(e));
                    }
                    return Ok(Taken::Lease(Lease::refreshed(path, file, text, stale_after)));
                }
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(cannot(e)),
            }
            // Written now, it has the present time by the clock that the lock's age is measured with; it may become the lock.
            let mut mine = Written::new(path, &me, &text).map_err(cannot)?;
            let Some(found) = Found::read(path).map_err(cannot)? else {
                continue;
            };
            let age = mine.modified.duration_since(found.modified).unwrap_or_default();
            let holder: Option<Holder> = serde_json::from_str(&found.text).ok();
            if age <= stale_after && !holder.as_ref().is_some_and(Holder::is_gone) {
                return Ok(Taken::Held(Held { holder, age }));
            }
            if mine.take_over(path, &found.text, stale_after).map_err(cannot)? {
                let file = mine.file.take().expect("there until it becomes the lock");
                return Ok(Taken::Lease(Lease::refreshed(path, file, text, stale_after)));
            }
            if began.elapsed() > TAKEOVER {
                return Ok(Taken::Held(Held { holder, age }));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn refreshed(path: &Path, mut file: File, text: String, stale_after: Duration) -> Lease {
        let (stop, stopped) = channel();
        let again = text.clone();
        // The open file, not its name: what somebody else has put in its place is not touched.
        let refresh = move || {
            while stopped.recv_timeout(stale_after / REFRESHES) == Err(RecvTimeoutError::Timeout) {
                // A sign of life that fails is not missed before the others do, too.
                let _ = write(&mut file, &again);
            }
        };
        Lease {
            path: path.into(),
            text,
            refreshing: Some((stop, std::thread::spawn(refresh))),
        }
    }

    /// Whether this process still holds the lock: after it was suspended for a while, another may have taken it over.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn is_held(&self) -> Result<bool> {
        let found = Found::read(&self.path);
        let found = found.map_err(|e| Error::failed(format!("cannot read the lock {}: {e}", self.path.display())))?;
        Ok(found.is_some_and(|found| found.text == self.text))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.refreshing.take() {
            drop(stop);
            let _ = thread.join();
        }
        if self.is_held().unwrap_or(false) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A file as it is at a moment.
struct Found {
    text: String,
    modified: SystemTime,
}

impl Found {
    /// None if there is no such file.
    fn read(path: &Path) -> std::io::Result<Option<Found>> {
        // Opening asks a network's file system anew, where attributes alone may be remembered ones.
        let mut file = match File::open(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Some(Found {
            text: String::from_utf8_lossy(&bytes).into_owned(),
            modified: file.metadata()?.modified()?,
        }))
    }
}

/// The text of a lock in a file beside it, removed unless it becomes the lock.
struct Written {
    path: PathBuf,
    file: Option<File>,
    modified: SystemTime,
}

impl Written {
    fn new(lock: &Path, me: &Holder, text: &str) -> std::io::Result<Written> {
        // Process ids repeat on other hosts.
        let path = beside(lock, &format!("tmp-{}-{}", me.host.replace('/', "_"), me.pid));
        let mut written = Written {
            file: Some(File::create(&path)?),
            path,
            modified: SystemTime::UNIX_EPOCH,
        };
        let file = written.file.as_mut().expect("just created");
        write(file, text)?;
        written.modified = file.metadata()?.modified()?;
        Ok(written)
    }

    /// Puts this file in the place of a lock that has the text `stale`; false if it has not any more, or if somebody else is about to.
    fn take_over(&mut self, lock: &Path, stale: &str, stale_after: Duration) -> std::io::Result<bool> {
        let guard = beside(lock, "takeover");
        match OpenOptions::new().write(true).create_new(true).open(&guard) {
            Ok(_) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {
                // Left by a process that was killed between the lines below.
                let left = Found::read(&guard)?.is_some_and(|found| {
                    self.modified
                        .duration_since(found.modified)
                        .is_ok_and(|age| age > stale_after)
                });
                if left {
                    let _ = fs::remove_file(&guard);
                }
                return Ok(false);
            }
            Err(e) => return Err(e),
        }
        let taken = Found::read(lock).and_then(|found| {
            let still = found.is_some_and(|found| found.text == stale);
            still.then(|| fs::rename(&self.path, lock)).transpose()
        });
        let _ = fs::remove_file(&guard);
        Ok(taken?.is_some())
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if self.file.is_some() {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// `path.suffix`
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_os_string();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// Writes the whole text from the start of a file, to the disk or to the server.
fn write(file: &mut File, text: &str) -> std::io::Result<()> {
    file.rewind()?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn names(folder: &Path) -> Vec<String> {
        let names = fs::read_dir(folder).unwrap();
        names
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }

    fn lease(path: &Path, stale_after: Duration) -> Lease {
        match Lease::take(path, stale_after).unwrap() {
            Taken::Lease(lease) => lease,
            Taken::Held(held) => panic!("held by {held}"),
        }
    }

    fn held(path: &Path, stale_after: Duration) -> Held {
        match Lease::take(path, stale_after).unwrap() {
            Taken::Held(held) => held,
            Taken::Lease(_) => panic!("it was free"),
        }
    }

    /// Writes a lock of a process that differs from this one.
    fn write_lock(path: &Path, change: impl FnOnce(&mut Holder)) {
        let mut holder = Holder::this();
        change(&mut holder);
        fs::write(path, serde_json::to_string(&holder).unwrap()).unwrap();
    }

    #[test]
    fn a_lock_is_held_by_one_and_free_again_when_it_is_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.lock");
        let first = lease(&path, LONG);
        assert!(first.is_held().unwrap());
        let said = held(&path, LONG).to_string();
        assert!(said.contains(&format!("process {}", std::process::id())), "{said}");
        assert_eq!(names(folder.path()), ["run.lock"]);
        drop(first);
        assert_eq!(names(folder.path()), [""; 0]);
        drop(lease(&path, LONG));
    }

    #[test]
    fn a_lock_of_a_process_that_is_gone_is_stale_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.lock");
        // Process ids end at 2^22; and one that was given to another process since.
        for change in [(|h| h.pid = 1 << 23) as fn(&mut Holder), |h| h.process_start -= 1] {
            write_lock(&path, change);
            let taken = lease(&path, LONG);
            assert!(taken.is_held().unwrap());
            assert_eq!(names(folder.path()), ["run.lock"]);
        }
    }

    #[test]
    fn a_lock_of_another_machine_is_stale_when_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.lock");
        let elsewhere = |h: &mut Holder| (h.host, h.machine, h.pid) = ("n17".into(), "other".into(), 1 << 23);
        write_lock(&path, elsewhere);
        assert!(held(&path, LONG).to_string().starts_with("process 8388608 on n17"));
        let hour_ago = SystemTime::now() - Duration::from_secs(3601);
        File::options()
            .write(true)
            .open(&path)
            .unwrap()
            .set_modified(hour_ago)
            .unwrap();
        assert!(lease(&path, LONG).is_held().unwrap());
        // Half a lock: its writer may be about to write the rest.
        fs::write(&path, "").unwrap();
        assert_eq!(held(&path, LONG).holder, None);
    }

    #[test]
    fn a_holder_gives_signs_of_life_and_notices_that_it_lost_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.lock");
        let stale_after = Duration::from_millis(2000);
        let first = lease(&path, stale_after);
        let before = Found::read(&path).unwrap().unwrap().modified;
        std::thread::sleep(Duration::from_millis(1200));
        assert!(Found::read(&path).unwrap().unwrap().modified > before);
        assert!(first.is_held().unwrap());
        write_lock(&path, |h| h.host = "n17".into());
        assert!(!first.is_held().unwrap());
        drop(first);
        assert_eq!(names(folder.path()), ["run.lock"], "the other's lock stays");
    }

    #[test]
    fn of_many_that_take_a_stale_lock_at_once_one_gets_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.lock");
        for _ in 0..50 {
            write_lock(&path, |h| h.pid = 1 << 23);
            let stale = fs::read_to_string(&path).unwrap();
            // Threads of one process: each has its own text and its own temporary.
            let takers = std::thread::scope(|scope| {
                let take = |i: usize| {
                    let (path, stale) = (&path, &stale);
                    move || {
                        let temporary = beside(path, &format!("tmp-{i}"));
                        fs::write(&temporary, format!("{i}")).unwrap();
                        let file = File::open(&temporary).unwrap();
                        let modified = file.metadata().unwrap().modified().unwrap();
                        let mut mine = Written {
                            path: temporary,
                            file: Some(file),
                            modified,
                        };
                        let taken = mine.take_over(path, stale, LONG).unwrap();
                        mine.file = (!taken).then(|| mine.file.take().unwrap());
                        taken
                    }
                };
                let threads: Vec<_> = (0..8).map(|i| scope.spawn(take(i))).collect();
                threads
                    .into_iter()
                    .filter_map(|t| t.join().unwrap().then_some(()))
                    .count()
            });
            assert_eq!(takers, 1);
            assert_eq!(names(folder.path()), ["run.lock"]);
        }
    }

    #[test]
    fn a_takeover_that_was_killed_half_way_is_undone_when_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run.lock");
        write_lock(&path, |h| h.pid = 1 << 23);
        let guard = beside(&path, "takeover");
        fs::write(&guard, "").unwrap();
        held(&path, LONG);
        let hour_ago = SystemTime::now() - Duration::from_secs(3601);
        File::options()
            .write(true)
            .open(&guard)
            .unwrap()
            .set_modified(hour_ago)
            .unwrap();
        assert!(lease(&path, LONG).is_held().unwrap());
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none/run.lock");
        let error = Lease::take(&path, LONG).unwrap_err();
        assert!(
            matches!(&error, Error::Input(m) if m.contains("none/run.lock")),
            "{error}"
        );
    }
}
