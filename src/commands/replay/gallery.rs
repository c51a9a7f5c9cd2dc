//! `illume replay --gallery`: what a whole archive can do, the best elite of each part of the descriptor space in a tile.

use std::path::Path;

use illume_archives::file::ArchiveFile;
use illume_core::{Axis, Error, Result};
use serde_json::{Value, json};

use super::actor::{self, Actor};
use super::target::{Kind, Target};
use super::{Episode, ReplayArgs, act, unseen};
use crate::analysis::subject::Subject;
use crate::engine::output::{bytes, json_text, named, thousands};
use crate::render::animation::{self, Animation, Gallery, MOST_BYTES, Tile};

/// A tile's elite and what it did.
struct Shown {
    /// Column and row, from the lower bounds on.
    place: [usize; 2],
    actor: Actor,
    episode: Episode,
}

impl Shown {
    fn same(&self) -> bool {
        self.actor
            .stored
            .is_some_and(|stored| stored.to_bits() == self.episode.fitness.to_bits())
    }
}

/// The text that `illume replay PATH --gallery CxR` prints.
///
/// # Errors
/// No archive, one without axes, or as for one elite.
pub(super) fn gallery(path: &Path, shape: [usize; 2], target: &Target, args: &ReplayArgs) -> Result<String> {
    let subject = Subject::open_on_cpu(path)?;
    let file = &subject.file;
    let rows = best(file, shape)?;
    let filled = rows.iter().flatten().count();
    let mut tiles: Vec<Option<Tile>> = Vec::new();
    let mut shown = Vec::new();
    for (number, row) in rows.iter().enumerate() {
        let Some(row) = row else {
            tiles.push(None);
            continue;
        };
        let actor = actor::of_row(&subject, *row, args.seed)?;
        let mut animation = args.animation().tile().within(MOST_BYTES / filled);
        let task = subject.task.as_ref();
        let episode = act(task, &actor, args.episode_steps, &mut animation)?.ok_or_else(|| unseen(task))?;
        args.check_drawn(&animation, &subject.task.spec().name)?;
        tiles.push(Some(Tile {
            animation,
            fitness: episode.fitness,
        }));
        shown.push(Shown {
            place: [number % shape[0], number / shape[0]],
            actor,
            episode,
        });
    }
    let attributes = &file.attributes;
    let gallery = Gallery {
        title: format!("{}, {}", attributes.task, attributes.strategy),
        subtitle: "The best elite of each part of the descriptor space, with its fitness".into(),
        axes: file.spec.axes.iter().take(2).collect(),
        shape,
        tiles,
    };
    let picture = target.kind == Kind::Png;
    let sheet = if picture { gallery.picture()? } else { gallery.moving()? };
    let scale = args.scale.map_or(1, |n| n as usize);
    let size = target.write(&sheet, scale, || animation::png(&sheet.frames[0], sheet.size, scale))?;
    let said = Said {
        path,
        file,
        shape,
        shown: &shown,
        sheet: &sheet,
        scale,
        target,
        size,
        limit: args.episode_steps,
        own_seeds: args.seed.is_none(),
    };
    Ok(if args.json { said.json() } else { said.text() })
}

/// The row of the best elite of each part, `[rows, columns]` from the lower bounds on; of equals the first.
fn best(file: &ArchiveFile, [columns, rows]: [usize; 2]) -> Result<Vec<Option<usize>>> {
    let axes = &file.spec.axes;
    let shown = file.path().display();
    if file.rows() == 0 {
        return Err(Error::input(format!("{shown}: the archive is empty")));
    }
    if axes.is_empty() {
        return Err(Error::input(format!(
            "--gallery: the archive in {shown} has no descriptor to spread elites over"
        )));
    }
    if axes.len() == 1 && rows > 1 {
        return Err(Error::input(format!(
            "--gallery {columns}x{rows}: the descriptor of {shown} has one axis, so that a gallery has one row, as {columns}x1"
        )));
    }
    let (descriptors, fitness) = (
        file.elites.get::<f64>("descriptor")?,
        file.elites.get::<f64>("fitness")?,
    );
    let part = |axis: &Axis, x: f64, parts: usize| {
        // A number that is none is in the first part.
        ((axis.share(x) * parts as f64) as usize).min(parts - 1)
    };
    let mut found: Vec<Option<usize>> = vec![None; columns * rows];
    for (row, own) in descriptors.chunks_exact(axes.len()).enumerate() {
        let column = part(&axes[0], own[0], columns);
        let line = axes.get(1).map_or(0, |axis| part(axis, own[1], rows));
        let place = &mut found[line * columns + column];
        if place.is_none_or(|other| fitness[row] > fitness[other]) {
            *place = Some(row);
        }
    }
    Ok(found)
}

/// What there is to say of a gallery.
struct Said<'a> {
    path: &'a Path,
    file: &'a ArchiveFile,
    shape: [usize; 2],
    shown: &'a [Shown],
    sheet: &'a Animation,
    scale: usize,
    target: &'a Target,
    size: u64,
    limit: Option<u32>,
    own_seeds: bool,
}

impl Said<'_> {
    fn same(&self) -> usize {
        self.shown.iter().filter(|s| s.same()).count()
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.same() < self.shown.len() {
            if let Some(limit) = self.limit {
                notes.push(format!(
                    "episodes ended after {limit} steps at the latest, as --episode-steps said"
                ));
            }
            if !self.own_seeds {
                notes.push("--seed is another than those under which they were evaluated".into());
            }
            notes.extend(
                self.shown
                    .first()
                    .into_iter()
                    .flat_map(|s| s.actor.notes.iter().cloned()),
            );
            if notes.is_empty() {
                notes.push(
                    "their own seeds should have given the stored fitness: this build or machine computes otherwise than the run's".into(),
                );
            }
        }
        notes
    }

    fn seconds(&self) -> Option<f64> {
        let last = self.sheet.frames.last().map_or(0, |frame| frame.step);
        (self.target.kind.is_animation()).then(|| f64::from(last) / self.sheet.steps_per_second)
    }

    /// The documented fields of `--json`.
    fn json(&self) -> String {
        let tile = |s: &Shown| -> Value {
            json!({
                "column": s.place[0],
                "row": s.place[1],
                "cell": s.actor.cell,
                "seed": s.actor.seed,
                "steps": s.episode.steps,
                "fitness": s.episode.fitness,
                "stored_fitness": s.actor.stored,
                "identical": s.same(),
                "descriptor": s.episode.descriptor,
            })
        };
        json_text(&json!({
            "file": self.target.path.display().to_string(),
            "archive": self.path.display().to_string(),
            "task": self.file.attributes.task,
            "strategy": self.file.attributes.strategy,
            "columns": self.shape[0],
            "rows": self.shape[1],
            "tiles": self.shown.iter().map(tile).collect::<Vec<_>>(),
            "identical": self.same() == self.shown.len(),
            "pictures": self.sheet.frames.len(),
            "every": self.target.kind.is_animation().then_some(self.sheet.every),
            "seconds": self.seconds(),
            "width": self.sheet.size[0] * self.scale,
            "height": self.sheet.size[1] * self.scale,
            "notes": self.notes(),
        }))
    }

    /// The same in a few lines.
    fn text(&self) -> String {
        let ([columns, rows], n) = (self.shape, self.shown.len());
        let [width, height] = self.sheet.size.map(|side| side * self.scale);
        let mut frames = format!(
            "{} of {width} x {height} pixels",
            thousands(self.sheet.frames.len() as u64)
        );
        if let Some(seconds) = self.seconds() {
            frames += &format!(", {:.1} a second for {seconds:.1} s", self.sheet.frames_per_second());
        }
        let mut lines = vec![
            ("task", self.file.attributes.task.clone()),
            ("strategy", self.file.attributes.strategy.clone()),
            (
                "tiles",
                format!(
                    "{n} of {} ({columns} x {rows}), the best elite of each part",
                    columns * rows
                ),
            ),
            ("fitness", format!("{} of {n} as stored", self.same())),
        ];
        lines.extend(self.notes().into_iter().map(|note| ("", format!("({note})"))));
        lines.push(("frames", frames));
        lines.push((
            "written",
            format!("{} ({})", self.target.path.display(), bytes(self.size)),
        ));
        named(lines)
    }
}
