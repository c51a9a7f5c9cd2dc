//! A program that runs beside this one and is spoken to over its pipes, by one thread that writes, reads and listens at once.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use illume_core::{companion, signal_name, was_killed};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::log::{Log, Tail};

/// How long a program may take to end itself, once its output has ended or it has been told that no more will come.
pub(super) const END: Duration = Duration::from_secs(2);
/// How often it is seen whether a program that does not answer is still there.
const LOOK: Duration = Duration::from_millis(100);
/// Bytes read at a time.
const READ: usize = 1 << 16;

/// Why a program did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It ended; `killed` by a signal that this process did not send.
    Died { how: String, killed: bool },
    /// It took too long.
    Late,
    /// It answered something else than was expected: what, as the end of a sentence.
    Garbled(String),
    /// It said itself that it failed, and how; it is there for the next request.
    Said(String),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Fault::Died { how, .. } => f.write_str(how),
            Fault::Late => f.write_str("did not answer in time"),
            Fault::Garbled(what) => f.write_str(what),
            Fault::Said(what) => write!(f, "reported: {what}"),
        }
    }
}

/// Where an answer ends in what has been read so far: its length, none if it is not all there.
/// The second argument is how many bytes were there when it was last asked.
pub(super) type Complete<'a> = &'a dyn Fn(&[u8], usize) -> Result<Option<usize>, String>;

/// A running program.
pub(super) struct Process {
    child: Child,
    /// None once it is closed.
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    stderr: Option<ChildStderr>,
    /// What it has answered so far.
    inbox: Vec<u8>,
    buffer: Box<[u8]>,
    log: Arc<Log>,
    tail: Tail,
    /// Whether it has been waited for, so that its number may be another's.
    gone: bool,
    /// Whether it has answered a request.
    pub was_used: bool,
}

impl Process {
    /// Starts a program in a process group of its own; what it writes to its standard error goes to `log`.
    ///
    /// # Errors
    /// There is no such program, or the system refuses.
    pub fn start(command: &[String], log: &Arc<Log>) -> io::Result<Process> {
        let mut child = companion(command).stderr(Stdio::piped()).spawn()?;
        let stdin = child.stdin.take();
        let (stdout, stderr) = (child.stdout.take().expect("piped"), child.stderr.take());
        let process = Process {
            child,
            stdin,
            stdout,
            stderr,
            inbox: Vec::new(),
            buffer: vec![0; READ].into(),
            log: log.clone(),
            tail: Tail::default(),
            gone: false,
            was_used: false,
        };
        let fds = [
            process.stdin.as_ref().map(AsFd::as_fd),
            Some(process.stdout.as_fd()),
            process.stderr.as_ref().map(AsFd::as_fd),
        ];
        for fd in fds.into_iter().flatten() {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        Ok(process)
    }

    /// Sends a request and waits until `complete` finds the whole answer, which is handed to `read`.
    ///
    /// # Errors
    /// The program ended, took longer than `limit`, or answered what is no answer. It cannot be asked again then.
    pub fn ask<T>(
        &mut self,
        request: &[u8],
        limit: Option<Duration>,
        complete: Complete<'_>,
        read: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, Fault> {
        let began = Instant::now();
        let (mut rest, mut seen) = (request, 0);
        // What came unasked would be taken for the answer.
        self.hear()?;
        if !self.inbox.is_empty() {
            let text = shown(&self.inbox);
            return Err(Fault::Garbled(format!("wrote {text} without having been asked")));
        }
        loop {
            if !rest.is_empty() {
                self.send(&mut rest);
            }
            if rest.is_empty() {
                if let Some(length) = complete(&self.inbox, seen).map_err(Fault::Garbled)? {
                    let answer = read(&self.inbox[..length]);
                    self.inbox.drain(..length);
                    return Ok(answer);
                }
                seen = self.inbox.len();
            }
            let left = match limit {
                None => LOOK,
                Some(limit) => limit.checked_sub(began.elapsed()).ok_or(Fault::Late)?.min(LOOK),
            };
            // What it has started may hold its pipes open when it has ended itself: then nothing comes any more.
            let over = !self.wait(!rest.is_empty(), left)? && self.has_ended();
            self.listen();
            match self.hear()? {
                Heard::End => return Err(self.died()),
                Heard::Nothing if over => return Err(self.died()),
                _ => {}
            }
        }
    }

    /// Writes as much as the pipe takes. A program that reads no more is noticed by its answer that stays out, or its output's end.
    fn send(&mut self, rest: &mut &[u8]) {
        let Some(stdin) = &mut self.stdin else {
            *rest = &[];
            return;
        };
        while !rest.is_empty() {
            match stdin.write(rest) {
                Ok(written) => *rest = &rest[written..],
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => {
                    self.stdin = None;
                    *rest = &[];
                    return;
                }
            }
        }
    }

    /// Waits until one of the pipes has something to do, or for so long; whether one has.
    fn wait(&self, sending: bool, left: Duration) -> Result<bool, Fault> {
        let mut fds = vec![PollFd::new(&self.stdout, PollFlags::IN)];
        fds.extend(self.stderr.as_ref().map(|fd| PollFd::new(fd, PollFlags::IN)));
        if let Some(stdin) = self.stdin.as_ref().filter(|_| sending) {
            fds.push(PollFd::new(stdin, PollFlags::OUT));
        }
        let left = Timespec::try_from(left).map_err(|e| Fault::Garbled(format!("cannot be waited for: {e}")))?;
        match poll(&mut fds, Some(&left)) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(true),
            Err(e) => Err(Fault::Garbled(format!("cannot be listened to: {e}"))),
        }
    }

    /// Takes in what has come from its standard output.
    fn hear(&mut self) -> Result<Heard, Fault> {
        loop {
            match self.stdout.read(&mut self.buffer) {
                Ok(0) => return Ok(Heard::End),
                // More than fits may wait; whether it is wanted is for the caller to say.
                Ok(n) => {
                    self.inbox.extend(&self.buffer[..n]);
                    return Ok(Heard::Something);
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Heard::Nothing),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(Fault::Garbled(format!("cannot be read from: {e}"))),
            }
        }
    }

    /// Takes in what has come from its standard error.
    fn listen(&mut self) {
        while let Some(stderr) = &mut self.stderr {
            match stderr.read(&mut self.buffer) {
                Ok(0) => self.stderr = None,
                // A program that writes without end must not keep this from its answer.
                Ok(n) => {
                    self.log.write(&self.buffer[..n]);
                    self.tail.push(&self.buffer[..n]);
                    return;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    /// What became of a program whose output has ended.
    fn died(&mut self) -> Fault {
        let status = self.end(END);
        self.listen();
        let said = self
            .tail
            .last()
            .map_or(String::new(), |line| format!("; its last words: {line}"));
        match status {
            Some(status) => Fault::Died {
                how: format!("ended {}{said}", how(status)),
                killed: was_killed(status),
            },
            None => Fault::Garbled(format!("closed its output{said}")),
        }
    }

    /// The last line of its standard error.
    pub fn last_words(&self) -> Option<&str> {
        self.tail.last()
    }

    /// Waits for its end, at most so long, and ends what is left of its group. Its own status, if it ended by itself.
    fn end(&mut self, limit: Duration) -> Option<ExitStatus> {
        if self.gone {
            return None;
        }
        self.stdin = None;
        let began = Instant::now();
        let mut pause = Duration::from_micros(50);
        let ended = loop {
            if self.has_ended() {
                break true;
            }
            if began.elapsed() > limit {
                break false;
            }
            self.listen();
            std::thread::sleep(pause);
            pause = (2 * pause).min(Duration::from_millis(20));
        };
        if let Some(pid) = self.pid() {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        // It may have left its group.
        let _ = self.child.kill();
        let status = self.child.wait().ok();
        self.gone = true;
        status.filter(|_| ended)
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw)
    }

    /// Whether it has ended. It is not waited for, so that nobody else gets its number, nor that of its group.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let Some(pid) = self.pid() else { return true };
        !matches!(waitid(WaitId::Pid(pid), options), Ok(None) | Err(Errno::INTR))
    }

    /// Tells it that nothing more will come.
    pub fn close(&mut self) {
        self.stdin = None;
    }

    /// Gives it so long to end itself, then ends it and what it started.
    pub fn end_within(mut self, limit: Duration) {
        self.end(limit);
    }

    /// Ends it at once, and what it started.
    pub fn kill(self) {
        self.end_within(Duration::ZERO);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end(END);
    }
}

/// What reading brought.
#[derive(PartialEq, Eq)]
enum Heard {
    Something,
    Nothing,
    End,
}

fn how(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("with exit code {code} before it answered"),
        (None, Some(9)) => "by signal 9 (SIGKILL), as the system does where memory runs out".into(),
        (None, Some(signal)) => format!("by signal {signal}{}", signal_name(signal)),
        (None, None) => "in an unknown way".into(),
    }
}

/// The beginning of what a program wrote, for a message.
pub(super) fn shown(bytes: &[u8]) -> String {
    const LONGEST: usize = 80;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(4 * LONGEST)]);
    let line = text.trim_end();
    match line.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{:?} ...", &line[..at]),
        None => format!("{line:?}"),
    }
}
