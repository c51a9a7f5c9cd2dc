//! `illume run` and `illume resume`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use illume_archives::file::{self, Checkpoint, read_checkpoint};
use illume_cluster::threads::Plan;
use illume_cluster::{Node, agree, signals};
use illume_core::{Comm, Error, Result, TaskSpec};
use serde_json::{Value, json};

use super::watch::Watch;
use crate::engine::directory::{Directory, Wanted};
use crate::engine::log::Log;
use crate::engine::output::{Progress, Shown, thousands, write_atomically};
use crate::engine::{difference, versions};
use crate::{Config, Run, registry};

/// What `illume run` was asked.
pub struct RunOptions {
    pub config: PathBuf,
    pub set: Vec<String>,
    pub out: Option<PathBuf>,
    /// Go on with the run if its directory has a checkpoint.
    pub resume: bool,
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

/// Starts a run, or with `resume` goes on with it if it has begun. Collective.
///
/// # Errors
/// The user's input, a directory that another process has, or a failure on the way; equal on all ranks.
pub fn run(options: &RunOptions, place: &Place<'_>) -> Result<Ended> {
    let wanted = if options.resume { Wanted::Any } else { Wanted::Nothing };
    same_command(wanted, place.comm)?;
    let config = Config::read(&options.config, &options.set);
    let config = agree(place.comm, config.map(|config| config.at(options.out.as_deref())))?;
    go(&config, Path::new(&config.output.dir), wanted, place)
}

/// Goes on with a run from its checkpoint. `set` may change the budget and the output. Collective.
///
/// # Errors
/// No checkpoint, a damaged one, or as [`run`].
pub fn resume(path: &Path, set: &[String], place: &Place<'_>) -> Result<Ended> {
    let comm = place.comm;
    same_command(Wanted::Checkpoint, comm)?;
    let (name, mut text) = agree(comm, own_text(&Directory::of(path), comm.rank() == 0))?;
    comm.broadcast(0, &mut text)?;
    let config = own_config(&name, &text, set);
    go(&agree(comm, config)?, path, Wanted::Checkpoint, place)
}

/// The configuration of the run in a directory and what messages call it; on ranks other than 0 without its text. The user may have changed
/// the budget and the output of `config.toml`; whether anything else, the checkpoint's copy will tell.
fn own_text(directory: &Directory, root: bool) -> Result<(String, Vec<u8>)> {
    let (own, checkpoint) = (directory.config(), directory.checkpoint());
    directory.resumable()?;
    Ok(if own.is_file() {
        let cannot = |e: std::io::Error| Error::input(format!("cannot read {}: {e}", own.display()));
        let text = if root {
            std::fs::read(&own).map_err(cannot)?
        } else {
            Vec::new()
        };
        (own.display().to_string(), text)
    } else {
        let text = if root {
            let opened = file::open(&checkpoint);
            let opened = opened.or_else(|e| file::open(&directory.previous_checkpoint()).map_err(|_| e))?;
            opened.attributes.config
        } else {
            String::new()
        };
        (checkpoint_config(directory), text.into_bytes())
    })
}

fn own_config(name: &str, text: &[u8], set: &[String]) -> Result<Config> {
    for assignment in set {
        if !assignment.starts_with("budget.") && !assignment.starts_with("output.") {
            return Err(Error::input(format!(
                "--set {assignment}: a resumed run can change budget.* and output.* only, everything else is part of its result"
            )));
        }
    }
    let text = std::str::from_utf8(text).map_err(|e| Error::input(format!("{name} is no text in UTF-8: {e}")))?;
    Config::stored(text, name, set)
}

/// What messages call the configuration that a checkpoint holds.
fn checkpoint_config(directory: &Directory) -> String {
    format!("{} (its configuration)", directory.checkpoint().display())
}

fn go(config: &Config, path: &Path, wanted: Wanted, place: &Place<'_>) -> Result<Ended> {
    let comm = place.comm;
    let root = comm.rank() == 0;
    let task = agree(comm, registry::task_of_rank(config, place.node.ranks))?;
    let mut run = agree(comm, Run::of_rank(config, task.as_ref(), comm, place.node.ranks))?;
    same_everywhere(path, run.config_text(), comm)?;
    let claimed = if root {
        Directory::claim(path, wanted)
    } else {
        Ok(Directory::of(path))
    };
    let directory = agree(comm, claimed)?;
    let mut damaged = None;
    if comm.any(u64::from(root && directory.has_checkpoint()))? != 0 {
        let (checkpoint, unreadable) = last_checkpoint(&directory, comm)?;
        agree(comm, same_run(config, &run, task.spec(), &directory, &checkpoint))?;
        agree(comm, run.load(&checkpoint))?;
        drop(checkpoint);
        if let Some(why) = unreadable {
            agree(comm, directory.set_aside())?;
            let (previous, aside) = (directory.previous_checkpoint(), directory.damaged_checkpoint());
            let sentence = format!(
                "{why}: going on from the checkpoint before, {} (generation {}); the damaged one becomes {}",
                previous.display(),
                run.counters().generation,
                aside.display()
            );
            if root {
                let _ = writeln!(std::io::stderr(), "illume: {sentence}");
            }
            damaged = Some(sentence);
        }
        if is_complete(&mut run, &directory, comm)? {
            if root {
                conclude(&run, &directory, "Nothing left to do: finished");
            }
            return agree(comm, evaluate(&run, config, &directory, root)).map(|()| Ended::Finished);
        }
    }
    let written = if root {
        directory.write_config(run.config_text())
    } else {
        Ok(())
    };
    agree(comm, written)?;
    let ended = drive(&mut run, config, &directory, damaged, place)?;
    if ended == Ended::Finished {
        agree(comm, evaluate(&run, config, &directory, root))?;
    }
    Ok(ended)
}

/// Evaluates the elites of a finished run again if `output.evaluate` says so and it has not been done: what `illume eval` does. Rank 0 alone does.
fn evaluate(run: &Run<'_>, config: &Config, directory: &Directory, root: bool) -> Result<()> {
    let episodes = config.output.evaluate;
    let path = directory.path.join(super::eval::FILE);
    let there = || {
        file::open_evaluation(&path)
            .is_ok_and(|e| (e.episodes, e.generation) == (episodes as u64, run.counters().generation))
    };
    if !root || episodes == 0 || run.metrics().filled == 0 || there() {
        return Ok(());
    }
    let options = super::EvalOptions {
        episodes,
        output: Some(path.clone()),
        descriptor: None,
        json: false,
    };
    let text = super::eval(&directory.archive(), &options)?;
    let _ = write!(std::io::stdout(), "{text}");
    Ok(())
}

/// That no rank runs while another resumes, as where each asks a file system by itself which it should. Collective.
fn same_command(wanted: Wanted, comm: &dyn Comm) -> Result<()> {
    let own = 1 << wanted as u64;
    if comm.any(own)? == own {
        return Ok(());
    }
    Err(Error::input(
        "the ranks were given different commands: all run, all run with --resume or all resume (`illume run --resume` does either, as is needed)",
    ))
}

/// That all ranks run one program with one configuration: else they would make an archive that no configuration gives. Collective.
fn same_everywhere(path: &Path, config: &str, comm: &dyn Comm) -> Result<()> {
    let (version, path) = (versions::long(), path.display().to_string());
    for (what, own) in [
        ("illume", version.as_str()),
        ("run directory", &path),
        ("configuration", config),
    ] {
        let mut text = own.as_bytes().to_vec();
        comm.broadcast(0, &mut text)?;
        let of_first = String::from_utf8_lossy(&text);
        let same = if own == of_first {
            Ok(())
        } else {
            let how = match what {
                "configuration" => difference::keys(own, &of_first, "rank 0's", &[])?.join(", "),
                _ => format!(
                    "{}, rank 0 {}",
                    own.lines().next().unwrap_or_default(),
                    of_first.lines().next().unwrap_or_default()
                ),
            };
            Err(Error::input(format!(
                "rank {} was given another {what} than rank 0 ({how}): all ranks of a run need the same; each run of a sweep has an mpirun or srun of \
                 its own",
                comm.rank()
            )))
        };
        agree(comm, same)?;
    }
    Ok(())
}

/// The newest checkpoint that can be read; if that is the one before the newest, with what is wrong with that one. Collective.
fn last_checkpoint(directory: &Directory, comm: &dyn Comm) -> Result<(Checkpoint, Option<String>)> {
    match read_checkpoint(&directory.checkpoint(), comm) {
        Err(error @ Error::Input(_)) => match read_checkpoint(&directory.previous_checkpoint(), comm) {
            Ok(previous) => Ok((previous, Some(error.to_string()))),
            Err(_) => Err(error),
        },
        newest => newest.map(|checkpoint| (checkpoint, None)),
    }
}

/// That a configuration is that of the run which a checkpoint is of, `budget` and `output` aside.
fn same_run(
    config: &Config,
    run: &Run<'_>,
    task: &TaskSpec,
    directory: &Directory,
    checkpoint: &Checkpoint,
) -> Result<()> {
    let stored = Config::stored(&checkpoint.attributes.config, &checkpoint_config(directory), &[])?;
    let stored = stored.resolved(&registry::parameters(config, task)?)?;
    let differing = difference::keys(run.config_text(), &stored, "the run's", &difference::FREE)?;
    if differing.is_empty() {
        return Ok(());
    }
    Err(Error::input(format!(
        "{} is not the configuration of the run in {}: {}; only budget.* and output.* of a run may change, another run needs another directory (--out)",
        config.file(),
        directory.path.display(),
        differing.join(", ")
    )))
}

/// Whether a run has used up its budget and left everything that it leaves. Collective.
fn is_complete(run: &mut Run<'_>, directory: &Directory, comm: &dyn Comm) -> Result<bool> {
    let mut over = run.done() >= 1.0;
    let mut written = true;
    if comm.rank() == 0 {
        over |= run.time_used() >= 1.0;
        // It may have been killed between its last checkpoint and what comes after it.
        let generation = run.counters().generation;
        written = file::open(&directory.archive()).is_ok_and(|f| f.attributes.generation == generation)
            && std::fs::read(directory.history()).is_ok_and(|csv| csv == run.history().csv().as_bytes());
    }
    let word = comm.any(u64::from(over) | u64::from(!written) << 1)?;
    Ok(word == 1)
}

/// Generations until the end, a signal, or an error; checkpoints and shows on the way.
fn drive(
    run: &mut Run<'_>,
    config: &Config,
    directory: &Directory,
    damaged: Option<String>,
    place: &Place<'_>,
) -> Result<Ended> {
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
    let mut fields = start_fields(run, config, place);
    fields["damaged_checkpoint"] = json!(damaged);
    agree(comm, note(&mut log, "start", fields))?;
    if root {
        for (name, value) in run.facts() {
            let _ = writeln!(std::io::stderr(), "{name}: {value}");
        }
    }
    let mut progress = Progress::new(root, config.output.log_seconds, run.counters().evaluations);
    let mut clock = Clock::new(config);
    let mut failure_told = !root;
    let watch = root.then(Watch::start);
    let ended = loop {
        let more = run.generation();
        if let Some(watch) = &watch {
            watch.next();
        }
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
    drop(watch);
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
        conclude(
            run,
            directory,
            if ended == Ended::Stopped { "Stopped" } else { "Finished" },
        );
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
    agree(comm, directory.still_ours())?;
    let (checkpoint, archive, history) = (directory.checkpoint(), directory.archive(), directory.history());
    let state = run.state()?;
    run.write_with(&Directory::next(&checkpoint), true, &state)?;
    agree(comm, directory.put_checkpoint())?;
    run.write_with(&Directory::next(&archive), false, &state)?;
    agree(comm, directory.put(&archive))?;
    let csv = run.history().csv();
    let written = if comm.rank() == 0 {
        write_atomically(&Directory::next(&history), csv.as_bytes()).and_then(|()| directory.put(&history))
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
        "libraries": versions::libraries().iter().map(|(name, version)| (name.to_string(), Value::String(version.clone())))
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
fn conclude(run: &Run<'_>, directory: &Directory, ended: &str) {
    let (c, m, dir) = (run.counters(), run.metrics(), directory.path.display());
    let filled = thousands(m.filled as u64);
    let archive = if run.archive().spec().has_cells() {
        format!(
            "QD score {}, coverage {} ({filled} of {} cells)",
            crate::engine::output::significant(m.qd_score),
            crate::engine::output::percent(m.coverage),
            thousands(run.archive().spec().capacity as u64),
        )
    } else {
        format!("{filled} members")
    };
    let mut out = std::io::stdout();
    let _ = writeln!(
        out,
        "{ended} after {} generations, {} evaluations, {:.1} s: {archive}, best fitness {}",
        thousands(c.generation),
        thousands(c.evaluations),
        run.seconds(),
        crate::engine::output::significant(best(run, m.max_fitness)),
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
    let next = if ended == "Stopped" {
        format!("go on with: illume resume {dir}")
    } else {
        format!("see it with: illume plot {dir}")
    };
    let _ = writeln!(out, "Archive: {dir}/archive.h5   ({next})");
}
