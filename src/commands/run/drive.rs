//! Generations until a run's end.

use std::io::Write as _;
use std::time::Instant;

use illume_cluster::{agree, signals};
use illume_core::{Error, Result};
use serde_json::{Value, json};

use super::report::{Pace, conclude, progress_fields, start_fields};
use super::tensorboard::Events;
use super::watch::Watch;
use crate::commands::launch::{Ended, Place, complain};
use crate::commands::tell_failure;
use crate::engine::checkpoint;
use crate::engine::directory::Directory;
use crate::engine::log::Log;
use crate::engine::output::Progress;
use crate::{Config, Run};

/// Bit of the stop word: the time budget is used up, by rank 0's clock.
const TIME_IS_UP: u64 = 1 << 8;

/// Bit of the stop word: a rank's task can score no more.
const GAVE_UP: u64 = 1 << 9;

/// Generations until the end, a signal, or an error; checkpoints and shows on the way.
pub(super) fn drive(
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
    let mut progress = Progress::new(root, config.output.log_seconds);
    let pace = Pace::new(run);
    let mut clock = Clock::new(config);
    let mut failure_told = !root;
    let mut caution_told = !root;
    let watch = root.then(Watch::start);
    let mut events = root.then(|| Events::open(&directory.path, config, run)).flatten();
    let ended = loop {
        let more = run.generation();
        if let Some(watch) = &watch {
            watch.next();
        }
        if let (Some(failure), false) = (run.failure(), failure_told) {
            tell_failure(failure);
            failure_told = true;
        }
        if !more? {
            break Ended::Finished;
        }
        if let Some(events) = &mut events {
            events.generation(run);
        }
        if let (Some(caution), false) = (run.measures().caution(), caution_told) {
            complain(&format_args!("generation {}: {caution}", run.counters().generation));
            caution_told = true;
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
        if run.gave_up().is_some() {
            word |= GAVE_UP;
        }
        let word = comm.any(word)?;
        if root && progress.due() {
            let done = run.done().max(run.time_used()).min(1.0);
            progress.update(done, &pace.line(run));
        }
        if root && clock.log_due() {
            note(&mut log, "progress", progress_fields(run))?;
        }
        if word & (signals::STOP | GAVE_UP) != 0 {
            break Ended::Stopped;
        }
        if word & TIME_IS_UP != 0 {
            break Ended::Finished;
        }
        if word & signals::CHECKPOINT != 0 && run.done() < 1.0 {
            if let Some(events) = &mut events {
                events.before_checkpoint(run);
            }
            checkpoint::save(run, directory, comm)?;
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
    if let Some(events) = &mut events {
        events.before_checkpoint(run);
    }
    checkpoint::save(run, directory, comm)?;
    if let Some(events) = &mut events {
        events.archive(&directory.archive(), run);
    }
    let event = if ended == Ended::Stopped { "stopped" } else { "finished" };
    let mut fields = progress_fields(run);
    if let Value::Object(map) = &mut fields {
        if let Some(signal) = signals::stop_signal() {
            map.insert("signal".into(), json!(signal));
        }
        if let Some(why) = run.strategy().ended() {
            map.insert("ended".into(), json!(why));
        }
        if let Some(why) = run.gave_up() {
            map.insert("gave_up".into(), json!(why));
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
    agree(comm, run.gave_up().map_or(Ok(()), |why| Err(Error::failed(why))))?;
    Ok(ended)
}

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
