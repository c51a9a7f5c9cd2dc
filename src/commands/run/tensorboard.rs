//! `output.tensorboard`: the history as it grows, and the archive at the end, in a file of events that TensorBoard follows.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use illume_archives::file;
use illume_core::{Error, Result};

use crate::analysis::view::View;
use crate::commands::launch::complain;
use crate::engine::directory::EVENTS;
use crate::formats::events;
use crate::render::plot::{Colours, Map, captions, png};
use crate::{Config, Run};

/// How long events wait, so that fast generations do not wait for the disk.
const EVERY: Duration = Duration::from_secs(2);

/// Pixels for a unit of the drawing.
const SCALE: f32 = 1.0;

/// Columns of the history that are no numbers to follow: the step is the second.
const GENERATION: usize = 0;
const EVALUATIONS: usize = 1;
const WALL_SECONDS: usize = 2;

/// The open file; after an error it is closed for good, since no run dies of what only shows it.
pub(super) struct Events {
    file: Option<File>,
    waiting: Vec<u8>,
    written: Instant,
    /// Generation of the last row.
    last: f64,
}

impl Events {
    /// A new file in the run's folder, if the configuration wants one. It takes the place of what earlier ones have beyond the checkpoint
    /// that this process goes on from; where there are none, it has the history so far.
    pub fn open(folder: &Path, config: &Config, run: &Run<'_>) -> Option<Events> {
        if !config.output.tensorboard {
            return None;
        }
        let mut events = Events {
            file: None,
            waiting: Vec::new(),
            written: Instant::now(),
            last: run.counters().generation as f64,
        };
        match create(folder) {
            Ok((file, first)) => {
                events.file = Some(file);
                let before = if first {
                    0
                } else {
                    run.counters().evaluations as i64 + 1
                };
                events::start(&mut events.waiting, (now(), before));
                if first {
                    let began = now() - run.seconds();
                    run.recorded()
                        .rows()
                        .for_each(|row| put(&mut events.waiting, run, began + row[WALL_SECONDS], row));
                }
                events.flush();
            }
            Err(e) => complain(&e),
        }
        Some(events)
    }

    /// Adds the last generation, if the history has it.
    pub fn generation(&mut self, run: &Run<'_>) {
        if let Some(row) = run.recorded().last().filter(|row| row[GENERATION] > self.last) {
            self.last = row[GENERATION];
            put(&mut self.waiting, run, now(), row);
        }
        if self.written.elapsed() >= EVERY {
            self.flush();
        }
    }

    /// Writes all that a later process, which goes on from the checkpoint that comes now, will not write again.
    pub fn before_checkpoint(&mut self, run: &mut Run<'_>) {
        run.history();
        self.generation(run);
        self.flush();
    }

    /// Writes what waits.
    fn flush(&mut self) {
        self.written = Instant::now();
        let Some(file) = &mut self.file else {
            return self.waiting.clear();
        };
        if let Err(e) = file.write_all(&self.waiting) {
            complain(&format_args!("TensorBoard's events cannot be written any more: {e}"));
            self.file = None;
        }
        self.waiting.clear();
    }

    /// Adds the archive as it was written, as a picture.
    pub fn archive(&mut self, path: &Path, run: &Run<'_>) {
        self.generation(run);
        let step = run.counters().evaluations as i64;
        match picture(path) {
            Ok(Some((size, png))) => events::image(&mut self.waiting, (now(), step), "archive", size, png),
            Ok(None) => {}
            Err(e) => complain(&format_args!("TensorBoard gets no picture of the archive: {e}")),
        }
        self.flush();
    }
}

/// The file, and whether it is the folder's first.
fn create(folder: &Path) -> Result<(File, bool)> {
    let cannot = |e: std::io::Error| Error::failed(format!("no events for TensorBoard in {}: {e}", folder.display()));
    let of_events = |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(EVENTS);
    let before = fs::read_dir(folder)
        .map_err(cannot)?
        .flatten()
        .filter(of_events)
        .count();
    // Readers take files in the order of their names.
    let name = format!("{EVENTS}.{:010}.{before:05}.{}", now() as u64, std::process::id());
    let file = File::create_new(folder.join(name)).map_err(cannot)?;
    Ok((file, before == 0))
}

fn put(out: &mut Vec<u8>, run: &Run<'_>, wall_time: f64, row: &[f64]) {
    let numbers = run.recorded().names().zip(row.iter().copied());
    let shown = numbers
        .enumerate()
        .filter(|(i, _)| *i != EVALUATIONS)
        .map(|(_, number)| number);
    events::scalars(out, (wall_time, row[EVALUATIONS] as i64), shown);
}

/// The archive's heat map as a PNG with its width and height; none where there are no two axes or no elites.
fn picture(path: &Path) -> Result<Option<([u32; 2], Vec<u8>)>> {
    let file = file::open(path)?;
    if file.spec.axes.len() < 2 || file.rows() == 0 {
        return Ok(None);
    }
    let (title, subtitle) = captions(&file.attributes, &file.metrics());
    let view = View::of(&file, "fitness")?;
    let colours = Colours::of(&view.name, &view.categories, view.values.iter().copied(), None);
    let panel = (String::new(), &view, Vec::new());
    let Some(map) = Map::of([title, subtitle], [0, 1], &colours, vec![panel]) else {
        return Ok(None);
    };
    let svg = map.drawing(None).svg(None);
    let png = png(&svg, SCALE)?;
    // Behind signature, length and type of the first chunk (PNG, 3rd edition, 11.2.1).
    let number = |at: usize| {
        png.get(at..at + 4)
            .map_or(0, |b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    };
    Ok(Some(([number(16), number(20)], png)))
}

/// Seconds since 1970.
fn now() -> f64 {
    jiff::Timestamp::now().as_duration().as_secs_f64()
}
