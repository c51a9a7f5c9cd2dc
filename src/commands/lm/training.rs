//! What both trainings share: settings, the folder, progress.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use illume_core::{Error, Result};
use illume_lm::{Schedule, TrainRow, TrainSettings};

use super::TrainArgs;
use crate::cluster::signals;
use crate::engine::output::{Progress, significant, thousands};

/// Seconds between lines of progress where there is no terminal.
const LINE_SECONDS: f64 = 10.0;

/// The settings that the command line asks for.
pub(super) fn settings(options: &TrainArgs, steps: u32, learning_rate: f64, weight_decay: f64) -> TrainSettings {
    TrainSettings {
        steps: u64::from(steps),
        batch: options.batch as usize,
        learning_rate,
        warmup: u64::from(options.warmup),
        schedule: Schedule::Cosine,
        weight_decay,
        seed: options.seed,
        ..TrainSettings::default()
    }
}

/// Makes the folder, or takes one that is empty: asked before the work of minutes.
pub(super) fn prepare(folder: &Path, what: &str, force: bool) -> Result<()> {
    let shown = folder.display();
    let cannot = |e: std::io::Error| Error::input(format!("cannot write the folder {shown}: {e}"));
    if folder.exists() && !folder.is_dir() {
        return Err(Error::input(format!(
            "{shown} is a file: expected a folder for the {what}"
        )));
    }
    fs::create_dir_all(folder).map_err(cannot)?;
    let full = fs::read_dir(folder).map_err(cannot)?.next().is_some();
    if full && !force {
        return Err(Error::input(format!(
            "{shown} exists and is not empty: choose another folder, or write over what is there with --force"
        )));
    }
    let probe = folder.join(format!(".probe.tmp-{}", std::process::id()));
    fs::File::create(&probe).map_err(cannot)?;
    fs::remove_file(&probe).map_err(cannot)
}

/// Shows how far a training is, and stops it on a signal.
pub(super) struct Watch {
    progress: Progress,
    steps: u64,
    last: Option<TrainRow>,
}

impl Watch {
    pub fn new(settings: &TrainSettings) -> Watch {
        Watch {
            progress: Progress::new(true, LINE_SECONDS),
            steps: settings.steps,
            last: None,
        }
    }

    pub fn step(&mut self, row: TrainRow) -> ControlFlow<()> {
        let done = row.step + 1;
        let text = format!(
            "step {} of {}  loss {}  {} tokens/s",
            thousands(done),
            thousands(self.steps),
            significant((row.loss * 1e4).round() / 1e4),
            thousands((row.tokens as f64 / row.seconds.max(1e-9)) as u64),
        );
        self.progress.update(done as f64 / self.steps as f64, &text);
        self.last = Some(row);
        match signals::stop_requested() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    /// The last step.
    ///
    /// # Errors
    /// The training was stopped before its end.
    pub fn finish(self) -> Result<TrainRow> {
        self.progress.finish();
        let stopped = || Error::failed("the training was stopped by a signal before its end: nothing is written");
        self.last.filter(|row| row.step + 1 == self.steps).ok_or_else(stopped)
    }
}
