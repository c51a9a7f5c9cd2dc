//! A run as a process of its own, so that whatever happens to it is one row and not the end of all.

use std::collections::VecDeque;
use std::io::Read as _;
use std::os::fd::AsFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use illume_cluster::nursery::Nursery;
use illume_cluster::{children, signals};
use illume_core::{Error, Result, signal_name};

use super::spec::Resources;

/// Lines of standard error that are kept of a run that failed.
const LINES: usize = 50;

/// Bytes that are kept of a line.
const WIDTH: usize = 1000;

/// Bytes that a pipe holds.
const PIPE: usize = 1 << 16;

/// How long a run that took too long may take to write its checkpoint.
const GRACE: Duration = Duration::from_secs(30);

/// How often it is looked at, at least.
const LOOK: Duration = Duration::from_millis(10);

/// Signals by which schedulers and people ask a program to end: HUP, INT, USR1, USR2, TERM, XCPU.
const POLITE: [i32; 6] = [1, 2, 10, 12, 15, 24];

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Done,
    /// Exit code 2.
    Wrong,
    /// Exit code 75: a checkpoint is written, or another process has the run.
    Interrupted,
    /// Anything else, in words.
    Crashed(String),
}

/// What a run is started with.
pub struct Launch<'a> {
    pub program: &'a Path,
    pub resources: &'a Resources,
    /// Its configuration.
    pub configuration: PathBuf,
    /// Its directory.
    pub dir: PathBuf,
    /// Budget of a rung.
    pub evaluations: Option<u64>,
    pub threads: usize,
    /// Value of `CUDA_VISIBLE_DEVICES`, if the worker hands out GPUs.
    pub gpus: Option<String>,
    pub limit: Option<Duration>,
}

impl Launch<'_> {
    fn command(&self) -> Command {
        let ranks = self.resources.ranks_per_run;
        let mut command = if ranks == 1 {
            Command::new(self.program)
        } else {
            let mut launcher = Command::new(&self.resources.launch);
            launcher.arg("-n").arg(ranks.to_string());
            if self.resources.are_steps() {
                launcher.args(["--exact", "--kill-on-bad-exit=1"]);
                if std::env::var_os("SLURM_MPI_TYPE").is_none() {
                    launcher.arg("--mpi=pmix");
                }
                launcher.arg(format!("--cpus-per-task={}", self.threads));
            } else {
                children::keep_here(&mut launcher);
            }
            launcher.arg(self.program);
            launcher
        };
        command
            .arg("run")
            .arg("--resume")
            .arg(&self.configuration)
            .arg("--out")
            .arg(&self.dir);
        command.arg("--threads").arg(self.threads.to_string());
        if let Some(n) = self.evaluations {
            command.arg("--set").arg(format!("budget.evaluations={n}"));
        }
        children::forget_launcher(&mut command);
        command.env("ILLUME_MPI", if ranks == 1 { "off" } else { "on" });
        if let Some(gpus) = &self.gpus {
            command.env("CUDA_VISIBLE_DEVICES", gpus);
        }
        command
    }

    /// Runs it to its end, as a fork of the nursery if there is one, which is gone afterwards if it was killed; `stop` has it told to write a checkpoint and
    /// leave. With the last lines that it wrote to standard error: they go through a pipe, since a disk may be full.
    ///
    /// # Errors
    /// It cannot be started at all.
    pub fn run(&self, nursery: &mut Option<Nursery>, stop: &AtomicBool) -> Result<(Outcome, Vec<String>)> {
        let mut process = self.start(nursery)?;
        let mut words = LastLines::default();
        let ended = self.wait(&mut process, &mut words, stop);
        // What it left behind would go on without it.
        children::kill(process.id());
        process.listen(&mut words);
        let forked = matches!(process, Process::Fork { .. });
        let outcome = match ended {
            Ok((status, late)) => outcome(status, late),
            Err(_) if forked => {
                *nursery = None;
                Outcome::Crashed("the process that had started it was killed".into())
            }
            Err(e) => return Err(Error::failed(format!("cannot wait for a run: {e}"))),
        };
        Ok((outcome, words.end()))
    }

    fn start<'a>(&self, nursery: &'a mut Option<Nursery>) -> Result<Process<'a>> {
        let mut command = self.command();
        let name = self.dir.file_name().unwrap_or_default().to_string_lossy();
        let forked = nursery.as_mut().and_then(|nursery| nursery.start(&command, &name).ok());
        match (forked, nursery) {
            (Some(pid), Some(nursery)) => return Ok(Process::Fork { pid, nursery }),
            // One that cannot fork is of no use any more.
            (_, nursery) => *nursery = None,
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        children::bind(&mut command);
        let program = command.get_program().to_string_lossy().into_owned();
        let cannot = |e: std::io::Error| Error::failed(format!("cannot start {program}: {e}"));
        let mut child = command.spawn().map_err(cannot)?;
        let errors = child.stderr.take();
        if let Some(errors) = &errors {
            children::never_wait(errors.as_fd()).map_err(cannot)?;
        }
        Ok(Process::Program { child, errors })
    }

    /// How it ended, and the limit if it took longer.
    fn wait(
        &self,
        process: &mut Process<'_>,
        words: &mut LastLines,
        stop: &AtomicBool,
    ) -> std::io::Result<(ExitStatus, Option<Duration>)> {
        let start = Instant::now();
        let (mut told, mut late) = (false, false);
        loop {
            if let Some(status) = process.try_wait()? {
                return Ok((status, late.then_some(self.limit).flatten()));
            }
            if !told && stop.load(Ordering::Relaxed) {
                children::terminate(process.id());
                told = true;
            }
            if let Some(limit) = self.limit {
                if !late && start.elapsed() > limit {
                    children::terminate(process.id());
                    late = true;
                }
                if start.elapsed() > limit + GRACE {
                    children::kill(process.id());
                }
            }
            process.look()?;
            process.listen(words);
        }
    }
}

/// A run that was started.
enum Process<'a> {
    Program {
        child: Child,
        /// None once it is closed.
        errors: Option<ChildStderr>,
    },
    Fork {
        pid: u32,
        nursery: &'a mut Nursery,
    },
}

impl Process<'_> {
    fn id(&self) -> u32 {
        match self {
            Process::Program { child, .. } => child.id(),
            Process::Fork { pid, .. } => *pid,
        }
    }

    fn try_wait(&mut self) -> std::io::Result<Option<ExitStatus>> {
        match self {
            Process::Program { child, .. } => child.try_wait(),
            Process::Fork { nursery, .. } => nursery.try_wait(),
        }
    }

    /// Waits until it says something, or a moment.
    fn look(&self) -> std::io::Result<()> {
        match self {
            Process::Program { errors: None, .. } => children::wait_readable(&[], LOOK),
            Process::Program {
                errors: Some(errors), ..
            } => children::wait_readable(&[errors.as_fd()], LOOK),
            Process::Fork { nursery, .. } => children::wait_readable(&[nursery.end(), nursery.errors().as_fd()], LOOK),
        }
    }

    /// Takes in all that is in the pipe, and no more: a run may write faster than this reads.
    fn listen(&mut self, words: &mut LastLines) {
        let mut buffer = vec![0; PIPE];
        match self {
            Process::Program { errors: None, .. } => {}
            Process::Program { errors: some, .. } => match some.as_mut().map(|errors| errors.read(&mut buffer)) {
                Some(Ok(0)) => *some = None,
                Some(Ok(n)) => words.push(&buffer[..n]),
                _ => {}
            },
            Process::Fork { nursery, .. } => {
                if let Ok(n) = nursery.errors().read(&mut buffer) {
                    words.push(&buffer[..n]);
                }
            }
        }
    }
}

fn outcome(status: ExitStatus, late: Option<Duration>) -> Outcome {
    match (status.code(), late) {
        (Some(0), _) => Outcome::Done,
        (Some(2), _) => Outcome::Wrong,
        (_, Some(limit)) => Outcome::Crashed(format!(
            "it took longer than resources.time_per_run, {}",
            super::duration::words(limit.as_secs_f64())
        )),
        (Some(signals::EXIT_REQUEUE), None) => Outcome::Interrupted,
        (Some(code), None) => Outcome::Crashed(format!("exit code {code}")),
        // Before it could listen to signals, or by a scheduler's.
        (None, None) if status.signal().is_some_and(|s| POLITE.contains(&s)) => Outcome::Interrupted,
        (None, None) => Outcome::Crashed(match status.signal() {
            Some(9) => "killed by signal 9 (SIGKILL), as a scheduler or the system does where memory runs out".into(),
            Some(signal) => format!("killed by signal {signal}{}", signal_name(signal)),
            None => "it ended in an unknown way".into(),
        }),
    }
}

/// The last lines of what it is given.
#[derive(Default)]
struct LastLines {
    lines: VecDeque<String>,
    /// The beginning of the next.
    begun: Option<Vec<u8>>,
}

impl LastLines {
    fn push(&mut self, text: &[u8]) {
        for piece in text.split_inclusive(|byte| *byte == b'\n') {
            let line = self.begun.get_or_insert_default();
            let room = WIDTH - line.len();
            line.extend(&piece[..piece.len().min(room)]);
            if piece.ends_with(b"\n") {
                self.finish();
            }
        }
    }

    fn finish(&mut self) {
        if let Some(line) = self.begun.take() {
            if self.lines.len() == LINES {
                self.lines.pop_front();
            }
            self.lines
                .push_back(String::from_utf8_lossy(&line).trim_end().to_string());
        }
    }

    fn end(mut self) -> Vec<String> {
        self.finish();
        self.lines.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_say_what_becomes_of_a_run() {
        let code = |code: i32| outcome(ExitStatus::from_raw(code << 8), None);
        assert_eq!(
            [0, 2, 75].map(code),
            [Outcome::Done, Outcome::Wrong, Outcome::Interrupted]
        );
        assert_eq!(code(101), Outcome::Crashed("exit code 101".into()));
        let killed = |signal: i32| match outcome(ExitStatus::from_raw(signal), None) {
            Outcome::Crashed(why) => why,
            other => panic!("{other:?}"),
        };
        assert_eq!(outcome(ExitStatus::from_raw(15), None), Outcome::Interrupted);
        assert!(killed(11).contains("SIGSEGV") && killed(9).contains("memory"));
        let late = outcome(ExitStatus::from_raw(75 << 8), Some(Duration::from_secs(7200)));
        assert!(matches!(late, Outcome::Crashed(why) if why.contains("2 h 0 min")));
    }

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let last = |pieces: &[&[u8]]| {
            let mut words = LastLines::default();
            pieces.iter().for_each(|piece| words.push(piece));
            words.end()
        };
        assert_eq!(last(&[b""]), Vec::<String>::new());
        let text: String = (0..10_000).map(|i| format!("line {i}\n")).collect();
        for size in [7, 100, 1_000_000] {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let lines = last(&pieces);
            assert_eq!(
                (lines.len(), lines[0].as_str(), lines[49].as_str()),
                (50, "line 9950", "line 9999")
            );
        }
        assert_eq!(
            last(&[&[b'x'; 5000], b"y\n", b"\nz"]),
            ["x".repeat(WIDTH), String::new(), "z".into()]
        );
    }
}
