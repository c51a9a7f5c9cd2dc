//! A run that is killed or stopped and then resumed, at another number of ranks, equals the one that was left alone.
//!
//! Runs are given a budget that they never reach, disturbed once they have a checkpoint, and resumed to a few generations
//! beyond it; the undisturbed run has that budget from its start. So nothing depends on how fast the machine is.

#[path = "../common/mod.rs"]
mod common;

mod configurations;
mod going_on;
#[cfg(feature = "mpi")]
mod ranks;
mod signals;

use std::path::{Path, PathBuf};

use common::{
    Ended, Running, arg, assert_equal_runs, folder, illume, open, run, signal, temporaries, was_killed, write_config,
};
use configurations::*;

/// Where a run was disturbed, and where its results are.
struct Disturbed {
    folder: tempfile::TempDir,
    config: PathBuf,
    dir: PathBuf,
}

impl Disturbed {
    fn new(parts: &str) -> Disturbed {
        let folder = folder();
        let ends = "[budget]\ngenerations = 1000000\n[output]\ncheckpoint_generations = 4\n";
        let config = write_config(folder.path(), &format!("seed = 5\n{parts}{ends}"));
        let dir = folder.path().join("disturbed");
        Disturbed { folder, config, dir }
    }

    fn arguments(&self) -> [&str; 6] {
        ["run", arg(&self.config), "--out", arg(&self.dir), "--threads", "1"]
    }

    /// Starts the run and waits for its first checkpoint.
    fn start(&self, ranks: usize) -> Running {
        let mut running = Running::start(illume(ranks, &self.arguments()));
        let checkpoint = self.dir.join("checkpoint.h5");
        running.wait_until("its first checkpoint", || checkpoint.is_file());
        running
    }

    /// Goes on until a signal after some generations more.
    fn resume_until_generation(&self, ranks: usize, generation: u64) -> Running {
        let mut running = Running::start(illume(ranks, &["resume", arg(&self.dir), "--threads", "1"]));
        let checkpoint = self.dir.join("checkpoint.h5");
        running.wait_until("a later checkpoint", || {
            illume::archives::file::open(&checkpoint).is_ok_and(|f| f.attributes.generation >= generation)
        });
        running
    }

    /// The last checkpoint's generation.
    fn generation(&self) -> u64 {
        open(&self.dir.join("checkpoint.h5")).attributes.generation
    }

    /// Resumes to a budget a little beyond the checkpoint, and compares with the run that was left alone.
    #[track_caller]
    fn resume_and_compare(&self, ranks: usize, threads: &str) {
        let reached = self.generation();
        assert!(reached >= 4, "a checkpoint of generation {reached}");
        let budget = format!("budget.generations={}", reached + 7);
        run(
            ranks,
            &["resume", arg(&self.dir), "--set", &budget, "--threads", threads],
        )
        .succeeded();
        let file = open(&self.dir.join("archive.h5"));
        assert_eq!(
            file.attributes.generation,
            reached + 7,
            "resumed from the checkpoint and went on to its budget"
        );
        assert_eq!(file.attributes.ranks, ranks as u64);
        let undisturbed = self.folder.path().join("undisturbed");
        let arguments = [
            "run",
            arg(&self.config),
            "--out",
            arg(&undisturbed),
            "--set",
            &budget,
            "--threads",
            "1",
        ];
        run(1, &arguments).succeeded();
        assert_equal_runs(&undisturbed, &self.dir);
        let log = std::fs::read_to_string(self.dir.join("log.jsonl")).unwrap();
        assert!(
            log.matches("\"event\":\"start\"").count() >= 2,
            "the log of the first part is kept: {log}"
        );
    }
}

/// A stop on a signal: exit code 75, a checkpoint of the generation that was reached, nothing unfinished.
#[track_caller]
fn assert_stopped(ended: &Ended, disturbed: &Disturbed, name: &str) {
    assert_eq!(ended.code(), Some(75), "{ended}");
    assert_left_in_order(disturbed, name);
    assert!(ended.stdout.contains("illume resume"), "it says how to go on: {ended}");
}

#[track_caller]
fn assert_left_in_order(disturbed: &Disturbed, name: &str) {
    let log = std::fs::read_to_string(disturbed.dir.join("log.jsonl")).unwrap();
    let last = log.lines().last().unwrap();
    assert!(last.contains("\"event\":\"stopped\"") && last.contains(name), "{last}");
    let generation = format!("\"generation\":{}", disturbed.generation());
    assert!(
        last.contains(&generation),
        "the checkpoint is of the last generation: {generation} {last}"
    );
    assert_eq!(temporaries(&disturbed.dir), Vec::<String>::new());
}

/// Starts a run with one key set otherwise and lets it end.
#[track_caller]
fn begin(config: &Path, dir: &Path, set: &str) -> Ended {
    run(1, &["run", arg(config), "--out", arg(dir), "--set", set])
}

/// What a batch script runs, whatever has become of the job before.
fn go_on(ranks: usize, config: &Path, dir: &Path, set: &str) -> Ended {
    run(
        ranks,
        &["run", "--resume", arg(config), "--out", arg(dir), "--set", set],
    )
}
