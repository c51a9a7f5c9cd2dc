//! `illume run` and `illume resume`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use illume_archives::file::{Checkpoint, read_checkpoint};
use illume_cluster::threads::Plan;
use illume_cluster::{Node, agree, signals};
use illume_core::{Comm, Error, Result};
use serde_json::{Value, json};

use crate::log::Log;
use crate::output::{Directory, Progress, Shown, thousands, write_atomically};
use crate::{Config, Run, registry, versions};

/// What `illume run` was asked.
pub struct RunOptions {
    pub config: PathBuf,
    pub set: Vec<String>,
    pub out: Option<PathBuf>,
}

/// Where a run runs: the ranks, this rank's node and threads.
pub struct Place<'a> {
    pub comm: &'a dyn Comm,
    pub node: &'a Node,
    pub plan: &'a Plan,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The budget is used up.
    Finished,
    /// A signal came; a checkpoint is written.
    Stopped,
}

/// Starts a run. Collective.
///
/// # Errors
/// The user's input, or a failure on the way; equal on all ranks.
pub fn run(options: &RunOptions, place: &Place<'_>) -> Result<Ended> {
    let comm = place.comm;
    let config = Config::read(&options.config, &options.set);
    let config = agree(comm, config.map(|config| config.at(options.out.as_deref())))?;
    let task = agree(comm, registry::task_of_rank(&config, place.node.ranks))?;
    let mut run = agree(comm, Run::new(&config, task.as_ref(), comm))?;
    let path = PathBuf::from(&config.output.dir);
    let created = if comm.rank() == 0 {
        Directory::create(&path, run.config_text())
    } else {
        Ok(Directory { path: path.clone() })
    };
    let directory = agree(comm, created)?;
    drive(&mut run, &config, &directory, place)
}

/// Goes on with a run from its checkpoint. `set` may change the budget and the output. Collective.
///
/// # Errors
/// No checkpoint, a damaged one, or as [`run`].
pub fn resume(path: &Path, set: &[String], place: &Place<'_>) -> Result<Ended> {
    let comm = place.comm;
    let directory = agree(comm, Directory::existing(path))?;
    let checkpoint = read_checkpoint(&directory.checkpoint(), comm)?;
    let config = agree(comm, resumed_config(&directory, &checkpoint, set))?;
    let task = agree(comm, registry::task_of_rank(&config, place.node.ranks))?;
    let mut run = agree(comm, Run::new(&config, task.as_ref(), comm))?;
    let loaded = run.load(&checkpoint);
    agree(comm, loaded)?;
    drop(checkpoint);
    if comm.rank() == 0 && !set.is_empty() {
        write_atomically(&directory.path.join("config.toml"), run.config_text().as_bytes())?;
    }
    drive(&mut run, &config, &directory, place)
}

fn resumed_config(directory: &Directory, checkpoint: &Checkpoint, set: &[String]) -> Result<Config> {
    for assignment in set {
        if !assignment.starts_with("budget.") && !assignment.starts_with("output.") {
            return Err(Error::input(format!(
                "--set {assignment}: a resumed run can change budget.* and output.* only, everything else is part of its result"
            )));
        }
    }
    let name = format!("{} (its configuration)", directory.checkpoint().display());
    Config::stored(&checkpoint.attributes.config, &name, set)
}

/// Generations until the end, a signal, or an error; checkpoints and shows on the way.
fn drive(run: &mut Run<'_>, config: &Config, directory: &Directory, place: &Place<'_>) -> Result<Ended> {
    let comm = place.comm;
    let root = comm.rank() == 0;
    run.keep_awake(!place.plan.oversubscribed);
    let mut log = agree(
        comm,
        if root {
            Log::open(&directory.path).map(Some)
        } else {
            Ok(None)
        },
    )?;
    let note =
        |log: &mut Option<Log>, event: &str, fields: Value| log.as_mut().map_or(Ok(()), |l| l.event(event, fields));
    agree(comm, note(&mut log, "start", start_fields(run, config, place)))?;
    if root {
        for (name, value) in run.facts() {
            let _ = writeln!(std::io::stderr(), "{name}: {value}");
        }
    }
    let mut progress = Progress::new(root, config.output.log_seconds, run.counters().evaluations);
    let mut clock = Clock::new(config);
    let mut failure_told = !root;
    let ended = loop {
        let more = run.generation();
        if let (Some(failure), false) = (run.failure(), failure_told) {
            super::tell_failure(failure);
            failure_told = true;
        }
        if !more? {
            break Ended::Finished;
        }
        let c = run.counters();
        let mut word = signals::stop_word();
        if root && run.time_used() >= 1.0 {
            word |= TIME_IS_UP;
        }
        if root && clock.checkpoint_due() {
            word |= signals::CHECKPOINT;
        }
        let by_generations = config.output.checkpoint_generations;
        if by_generations > 0 && c.generation.is_multiple_of(by_generations) {
            word |= signals::CHECKPOINT;
        }
        let word = comm.any(word)?;
        if root && progress.due() {
            progress.show(&shown(run));
        }
        if root && clock.log_due() {
            note(&mut log, "progress", progress_fields(run))?;
        }
        if word & signals::STOP != 0 {
            break Ended::Stopped;
        }
        if word & TIME_IS_UP != 0 {
            break Ended::Finished;
        }
        if word & signals::CHECKPOINT != 0 && run.done() < 1.0 {
            save(run, directory, comm)?;
            clock.saved();
            note(
                &mut log,
                "checkpoint",
                json!({"generation": c.generation, "evaluations": c.evaluations}),
            )?;
        }
    };
    progress.finish();
    save(run, directory, comm)?;
    let event = if ended == Ended::Stopped { "stopped" } else { "finished" };
    let mut fields = progress_fields(run);
    if let Value::Object(map) = &mut fields {
        if let Some(signal) = signals::stop_signal() {
            map.insert("signal".into(), json!(signal));
        }
        if let Some(why) = run.strategy().ended() {
            map.insert("ended".into(), json!(why));
        }
    }
    note(&mut log, event, fields)?;
    if root {
        conclude(run, directory, ended);
    }
    Ok(ended)
}

/// Bit of the stop word: the time budget is used up, by rank 0's clock.
const TIME_IS_UP: u64 = 1 << 8;

/// When rank 0 checkpoints and logs.
struct Clock {
    checkpoint_seconds: f64,
    log_seconds: f64,
    last_checkpoint: Instant,
    last_log: Instant,
}

impl Clock {
    fn new(config: &Config) -> Clock {
        let now = Instant::now();
        let checkpoint_seconds = 60.0 * config.output.checkpoint_minutes;
        Clock {
            checkpoint_seconds,
            log_seconds: config.output.log_seconds,
            last_checkpoint: now,
            last_log: now,
        }
    }

    fn checkpoint_due(&self) -> bool {
        self.checkpoint_seconds > 0.0 && self.last_checkpoint.elapsed().as_secs_f64() >= self.checkpoint_seconds
    }

    fn saved(&mut self) {
        self.last_checkpoint = Instant::now();
    }

    fn log_due(&mut self) -> bool {
        let due = self.log_seconds > 0.0 && self.last_log.elapsed().as_secs_f64() >= self.log_seconds;
        if due {
            self.last_log = Instant::now();
        }
        due
    }
}

/// Writes checkpoint, archive and history. Collective; the same outcome on every rank.
fn save(run: &mut Run<'_>, directory: &Directory, comm: &dyn Comm) -> Result<()> {
    run.write_both(&directory.checkpoint(), &directory.archive())?;
    let csv = run.history().csv();
    let written = if comm.rank() == 0 {
        write_atomically(&directory.history(), csv.as_bytes())
    } else {
        Ok(())
    };
    agree(comm, written)
}

fn shown(run: &Run<'_>) -> Shown {
    let (c, m) = (run.counters(), run.metrics());
    Shown {
        generation: c.generation,
        evaluations: c.evaluations,
        qd_score: m.qd_score,
        coverage: m.coverage,
        filled: m.filled,
        max_fitness: best(run, m.max_fitness),
        done: run.done().max(run.time_used()).min(1.0),
    }
}

/// The best fitness that a strategy has seen, if it keeps account of it, else the archive's.
fn best(run: &Run<'_>, of_archive: f64) -> f64 {
    let values = run.strategy_values();
    values
        .iter()
        .find(|(name, _)| name == "best_fitness")
        .map_or(of_archive, |(_, best)| *best)
}

fn start_fields(run: &Run<'_>, config: &Config, place: &Place<'_>) -> Value {
    json!({
        "software_version": env!("CARGO_PKG_VERSION"),
        "libraries": versions::libraries().into_iter().map(|(name, version)| (name.to_string(), Value::String(version)))
            .collect::<serde_json::Map<String, Value>>(),
        "task": config.name("task"),
        "strategy": config.name("strategy"),
        "archive": run.archive().spec().kind,
        "cells": run.archive().spec().capacity,
        "seed": config.seed,
        "ranks": place.comm.size(),
        "ranks_on_node": place.node.ranks,
        "threads": rayon::current_num_threads(),
        "generation": run.counters().generation,
        "evaluations": run.counters().evaluations,
        "facts": run.facts().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect::<serde_json::Map<String, Value>>(),
        "warning": place.plan.warning,
        "config": run.config_text(),
    })
}

fn progress_fields(run: &Run<'_>) -> Value {
    let (c, m) = (run.counters(), run.metrics());
    let (traffic, candidates) = run.traffic();
    let mut fields = json!({
        "generation": c.generation,
        "evaluations": c.evaluations,
        "env_steps": c.env_steps,
        "frames": run.frames(),
        "invalid": c.invalid,
        "outside": c.outside,
        "wall_seconds": run.seconds(),
        "filled": m.filled,
        "coverage": finite(m.coverage),
        "qd_score": finite(m.qd_score),
        "max_fitness": finite(m.max_fitness),
        "mean_fitness": finite(m.mean_fitness),
        "idle_share": finite(run.idle_share()),
        "bytes_sent": traffic.sent,
        "bytes_received": traffic.received,
        "bytes_per_candidate": finite(traffic.received as f64 / candidates as f64),
    });
    if let Value::Object(map) = &mut fields {
        map.extend(
            run.strategy_values()
                .into_iter()
                .map(|(name, value)| (name, finite(value))),
        );
    }
    fields
}

/// A number, or null where there is none.
fn finite(x: f64) -> Value {
    if x.is_finite() { json!(x) } else { Value::Null }
}

/// Says where things are. `write!`, not `println!`: under a stopping `mpirun` the output may be closed.
fn conclude(run: &Run<'_>, directory: &Directory, ended: Ended) {
    let (c, m, dir) = (run.counters(), run.metrics(), directory.path.display());
    let filled = thousands(m.filled as u64);
    let archive = if run.archive().spec().has_cells() {
        format!(
            "QD score {}, coverage {} ({filled} of {} cells)",
            crate::output::significant(m.qd_score),
            crate::output::percent(m.coverage),
            thousands(run.archive().spec().capacity as u64),
        )
    } else {
        format!("{filled} members")
    };
    let mut out = std::io::stdout();
    let _ = writeln!(
        out,
        "{} after {} generations, {} evaluations, {:.1} s: {archive}, best fitness {}",
        if ended == Ended::Stopped { "Stopped" } else { "Finished" },
        thousands(c.generation),
        thousands(c.evaluations),
        run.seconds(),
        crate::output::significant(best(run, m.max_fitness)),
    );
    if let Some(why) = run.strategy().ended() {
        let _ = writeln!(out, "Ended by the strategy: {why}");
    }
    if c.evaluations > 0 && c.invalid > 0 {
        let _ = writeln!(out, "{} evaluations failed or were not finite", thousands(c.invalid));
    }
    let (traffic, candidates) = run.traffic();
    if traffic.received > 0 && candidates > 0 {
        let _ = writeln!(
            out,
            "Traffic: {:.1} bytes received by rank 0 per candidate ({} for {})",
            traffic.received as f64 / candidates as f64,
            thousands(traffic.received),
            thousands(candidates),
        );
    }
    let next = if ended == Ended::Stopped {
        format!("go on with: illume resume {dir}")
    } else {
        format!("see it with: illume plot {dir}")
    };
    let _ = writeln!(out, "Archive: {dir}/archive.h5   ({next})");
}
