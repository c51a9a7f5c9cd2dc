//! A run as a process of its own, so that whatever happens to it is one row and not the end of all.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use illume_cluster::{children, signals};
use illume_core::{Error, Result};

use super::spec::Resources;

/// Lines of standard error that are kept of a run that failed.
const LINES: usize = 50;

/// Bytes that are kept of a line.
const WIDTH: usize = 1000;

/// How long a run that took too long may take to write its checkpoint.
const GRACE: Duration = Duration::from_secs(30);

/// How often it is looked at; a quarter of the overhead that a run may have.
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

    /// Runs it to its end; `stop` has it told to write a checkpoint and leave. With the last lines that it wrote to standard error: they go through a
    /// pipe, since a disk may be full.
    ///
    /// # Errors
    /// It cannot be started at all.
    pub fn run(&self, stop: &AtomicBool) -> Result<(Outcome, Vec<String>)> {
        let mut command = self.command();
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        children::bind(&mut command);
        let program = command.get_program().to_string_lossy().into_owned();
        let cannot = |e: std::io::Error| Error::failed(format!("cannot start {program}: {e}"));
        let mut child = command.spawn().map_err(cannot)?;
        let errors = child.stderr.take();
        std::thread::scope(|scope| {
            let lines = scope.spawn(|| errors.map_or_else(Vec::new, last_lines));
            let ended = self.wait(&mut child, stop).map_err(cannot);
            // What it left behind would hold the pipe open.
            children::kill(child.id());
            let lines = lines.join().unwrap_or_default();
            Ok((ended?, lines))
        })
    }

    fn wait(&self, child: &mut Child, stop: &AtomicBool) -> std::io::Result<Outcome> {
        let start = Instant::now();
        let (mut told, mut late) = (false, false);
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(outcome(status, late.then_some(self.limit).flatten()));
            }
            if !told && stop.load(Ordering::Relaxed) {
                children::terminate(child.id());
                told = true;
            }
            if let Some(limit) = self.limit {
                if !late && start.elapsed() > limit {
                    children::terminate(child.id());
                    late = true;
                }
                if start.elapsed() > limit + GRACE {
                    children::kill(child.id());
                }
            }
            std::thread::sleep(LOOK);
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
            Some(signal) => format!("killed by signal {signal}{}", name(signal)),
            None => "it ended in an unknown way".into(),
        }),
    }
}

fn name(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        11 => " (SIGSEGV)",
        _ => "",
    }
}

/// The last lines of what can be read.
fn last_lines(from: impl Read) -> Vec<String> {
    let mut lines: VecDeque<String> = VecDeque::new();
    let mut reader = BufReader::new(from);
    let mut line = Vec::new();
    while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
        line.truncate(WIDTH);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(String::from_utf8_lossy(&line).trim_end().to_string());
        line.clear();
    }
    lines.into()
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
        assert_eq!(last_lines(&b""[..]), Vec::<String>::new());
        let text: String = (0..10_000).map(|i| format!("line {i}\n")).collect();
        let lines = last_lines(text.as_bytes());
        assert_eq!(
            (lines.len(), lines[0].as_str(), lines[49].as_str()),
            (50, "line 9950", "line 9999")
        );
        assert_eq!(last_lines(&[b'x'; 5000][..])[0].len(), WIDTH);
    }
}
