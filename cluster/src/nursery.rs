//! Processes that start in milliseconds: forks of a process whose libraries are loaded and were never used.
//!
//! Loading libtorch and running its initializers takes a quarter of a second; a program that starts many short runs pays it once. A nursery is a fork of
//! this process, made while it has one thread and nothing but memory, that waits for arguments, forks once more, and has that fork call the program's own
//! entry. (Python's `multiprocessing` calls the same a fork server.)

use std::ffi::{CString, OsStr, OsString};
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{
    Pid, Resource, Signal, WaitOptions, getpid, getppid, getrlimit, kill_process, set_parent_process_death_signal,
    setpgid, waitpid,
};

use crate::children::{never_wait, wait_readable};
use crate::quiet::single_threaded;

/// A program's entry: its arguments, of which the first is its name, to its exit code.
pub type Entry = fn(Vec<OsString>) -> u8;

/// What a nursery is called where processes are listed.
const NAME: &str = "illume-nursery";

/// A fork takes milliseconds; a nursery that does not answer for so long is taken for dead.
const PATIENCE: Duration = Duration::from_secs(10);

/// Of so many files that this process may open there is one nursery, which takes three: the others are for its work.
const FILES: u64 = 8;

/// A process that forks, one at a time, runs of this program. Dropped, it is killed.
pub struct Nursery {
    /// None in other nurseries, which have a copy of this and must not kill it.
    pid: Option<Pid>,
    requests: PipeWriter,
    /// Process ids and wait statuses. The fork holds the other end too: it is closed when both are gone.
    responses: PipeReader,
    errors: PipeReader,
}

/// A nursery's own ends of its pipes.
struct Ends {
    requests: PipeReader,
    responses: PipeWriter,
    errors: PipeWriter,
}

impl Nursery {
    /// Makes `number` nurseries, or fewer where the system allows few processes or open files, and none where this process has a second thread. To be called by the main thread, with
    /// which they end, before anything is used that a fork cannot have: threads, signal handlers, MPI, HDF5.
    pub fn open(number: usize, entry: Entry) -> Vec<Nursery> {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let number = number.min(usize::try_from(files / FILES).unwrap_or(usize::MAX));
        let mut nurseries = Vec::new();
        while nurseries.len() < number && single_threaded() {
            match Nursery::fork(&mut nurseries, entry) {
                Ok(nursery) => nurseries.push(nursery),
                Err(_) => break,
            }
        }
        nurseries
    }

    fn fork(earlier: &mut Vec<Nursery>, entry: Entry) -> io::Result<Nursery> {
        let ((theirs, requests), (responses, answers), (errors, words)) = (io::pipe()?, io::pipe()?, io::pipe()?);
        for end in [responses.as_fd(), errors.as_fd()] {
            never_wait(end)?;
        }
        let ends = Ends {
            requests: theirs,
            responses: answers,
            errors: words,
        };
        let worker = getpid();
        match fork()? {
            Some(pid) => Ok(Nursery {
                pid: Some(pid),
                requests,
                responses,
                errors,
            }),
            None => {
                earlier.iter_mut().for_each(|nursery| nursery.pid = None);
                earlier.clear();
                drop((requests, responses, errors));
                let _ = ends.serve(worker, entry);
                signal_hook::low_level::exit(1)
            }
        }
    }

    /// Forks a run of the program with a command's arguments and environment, named `name` (15 bytes of it), and returns its process id. It is the leader of
    /// a process group of its own, reads and prints nothing, and gets SIGTERM when the nursery or this process ends. The one before must have ended.
    ///
    /// # Errors
    /// The nursery is gone, or cannot fork.
    pub fn start(&mut self, command: &Command, name: &str) -> io::Result<u32> {
        let request = request(command, name)?;
        // Words of what an earlier run left behind.
        let _ = self.errors.read(&mut [0; 1 << 16]);
        self.requests.write_all(&request)?;
        let asked = Instant::now();
        loop {
            // A signal ends the wait early.
            wait_readable(&[self.responses.as_fd()], PATIENCE)?;
            match self.answer()? {
                Some(pid) => return u32::try_from(pid).map_err(|_| io::Error::from_raw_os_error(-pid)),
                None if asked.elapsed() >= PATIENCE => return Err(io::ErrorKind::TimedOut.into()),
                None => {}
            }
        }
    }

    /// How the run that was started last ended; none while it goes on.
    ///
    /// # Errors
    /// `UnexpectedEof`: the nursery was killed, and the run has ended in a way that nobody knows.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        Ok(self.answer()?.map(ExitStatus::from_raw))
    }

    /// What becomes readable when the run ends.
    pub fn end(&self) -> BorrowedFd<'_> {
        self.responses.as_fd()
    }

    /// Standard error of the runs; reading it does not wait.
    pub fn errors(&self) -> &PipeReader {
        &self.errors
    }

    fn answer(&mut self) -> io::Result<Option<i32>> {
        let mut bytes = [0; 4];
        // Four bytes are written to a pipe at once or not at all.
        match self.responses.read(&mut bytes) {
            Ok(4) => Ok(Some(i32::from_ne_bytes(bytes))),
            Ok(_) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(e) if [io::ErrorKind::WouldBlock, io::ErrorKind::Interrupted].contains(&e.kind()) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

impl Drop for Nursery {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            let _ = kill_process(pid, Signal::KILL);
            let _ = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()));
        }
    }
}

impl Ends {
    /// The life of a nursery, until its worker closes the pipe of requests.
    fn serve(mut self, worker: Pid, entry: Entry) -> io::Result<()> {
        // Signals are for the worker, which tells the runs; a terminal and a scheduler send them to all.
        let mask = block_signals();
        end_with(worker, Signal::KILL)?;
        setpgid(None, None)?;
        rename(NAME)?;
        let nothing = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdin(&nothing)?;
        rustix::stdio::dup2_stdout(&nothing)?;
        rustix::stdio::dup2_stderr(&self.errors)?;
        loop {
            let mut length = [0; 4];
            self.requests.read_exact(&mut length)?;
            let mut request = vec![0; u32::from_ne_bytes(length) as usize];
            self.requests.read_exact(&mut request)?;
            let nursery = getpid();
            let pid = match fork() {
                Ok(Some(pid)) => pid,
                Ok(None) => {
                    drop((self.requests, self.errors, nothing));
                    // Kept open, so that the worker knows of this process's end though the nursery is killed.
                    std::mem::forget(self.responses);
                    let Ok(arguments) = prepare(nursery, &request) else {
                        signal_hook::low_level::exit(1)
                    };
                    restore_signals(&mask);
                    let code = entry(arguments);
                    // Without the libraries' destructors: those of libtorch take a tenth of a second, and everything that is to stay is in files.
                    signal_hook::low_level::exit(code.into())
                }
                Err(e) => {
                    let code = e.raw_os_error().unwrap_or(libc::EAGAIN);
                    self.responses.write_all(&(-code).to_ne_bytes())?;
                    continue;
                }
            };
            // By both sides: whoever learns of the process id can signal the group at once.
            let _ = setpgid(Some(pid), Some(pid));
            self.responses.write_all(&pid.as_raw_nonzero().get().to_ne_bytes())?;
            let ended = rustix::io::retry_on_intr(|| waitpid(Some(pid), WaitOptions::empty()))?;
            let status = ended.map_or(0, |(_, status)| status.as_raw());
            self.responses.write_all(&status.to_ne_bytes())?;
        }
    }
}

/// A command's program, arguments and environment: their length, then texts that end with a zero, each after a letter that says what it is.
fn request(command: &Command, name: &str) -> io::Result<Vec<u8>> {
    let mut texts = Vec::new();
    let mut add = |letter: u8, parts: &[&OsStr]| {
        texts.push(letter);
        parts.iter().for_each(|part| texts.extend(part.as_bytes()));
        texts.push(0);
    };
    add(b'n', &[name.as_ref()]);
    add(b'a', &[command.get_program()]);
    command.get_args().for_each(|argument| add(b'a', &[argument]));
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => add(b's', &[name, "=".as_ref(), value]),
            None => add(b'r', &[name]),
        }
    }
    let length = u32::try_from(texts.len()).map_err(io::Error::other)?;
    Ok([&length.to_ne_bytes(), &texts[..]].concat())
}

/// Makes of a fork what was asked for; returns its arguments.
fn prepare(nursery: Pid, request: &[u8]) -> io::Result<Vec<OsString>> {
    setpgid(None, None)?;
    end_with(nursery, Signal::TERM)?;
    let mut arguments = Vec::new();
    for text in request.split(|byte| *byte == 0) {
        let Some((letter, text)) = text.split_first() else {
            continue;
        };
        match letter {
            b'n' => rename(OsStr::from_bytes(text))?,
            b'a' => arguments.push(OsString::from_vec(text.to_vec())),
            b'r' => set_variable(text, None),
            _ => {
                let at = text.iter().position(|byte| *byte == b'=').unwrap_or(text.len());
                set_variable(&text[..at], text.get(at + 1..));
            }
        }
    }
    Ok(arguments)
}

/// Has this process sent a signal when its parent ends, or ends it if that is so already.
fn end_with(parent: Pid, signal: Signal) -> io::Result<()> {
    set_parent_process_death_signal(Some(signal))?;
    if getppid() == Some(parent) {
        Ok(())
    } else {
        Err(io::ErrorKind::BrokenPipe.into())
    }
}

fn rename(name: impl AsRef<OsStr>) -> io::Result<()> {
    let name = CString::new(name.as_ref().as_bytes())?;
    Ok(rustix::thread::set_name(&name)?)
}

/// Forks this process, which has one thread; none in the fork.
fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the process has one thread (`Nursery::open` looks, and a nursery starts none), so that no lock is held and no memory half written by another.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// Sets a variable of the environment of a fork, or removes it.
fn set_variable(name: &[u8], value: Option<&[u8]>) {
    let name = OsStr::from_bytes(name);
    match value.map(OsStr::from_bytes) {
        // SAFETY: the process was just forked and has one thread, so that no other can read the environment meanwhile.
        Some(value) => unsafe { std::env::set_var(name, value) },
        // SAFETY: as above.
        None => unsafe { std::env::remove_var(name) },
    }
}

/// Has signals wait; returns those that did before.
fn block_signals() -> libc::sigset_t {
    // SAFETY: a set of signals is plain bits; it is filled before it is used, and both pointers are to places of this function.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        let mut before = all;
        libc::sigfillset(&raw mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
        before
    }
}

fn restore_signals(mask: &libc::sigset_t) {
    // SAFETY: the set was made by `block_signals`; the set that was in force is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, mask, std::ptr::null_mut()) };
}
