//! What `illume replay` prints.

use std::path::Path;

use serde_json::json;

use super::Episode;
use super::actor::Actor;
use crate::engine::output::{bytes, json_text, named, significant, thousands};
use crate::render::animation::Animation;

/// An episode that was filmed.
pub(super) struct Replayed<'a> {
    /// The archive or policy.
    pub archive: &'a Path,
    pub task: &'a str,
    pub strategy: &'a str,
    /// The limit that was asked for.
    pub limit: Option<u32>,
    /// Whether it acted under its own seed.
    pub own_seed: bool,
    /// Frames that were written.
    pub frames: usize,
    /// None for a strip.
    pub animation: Option<&'a Animation>,
    /// Width and height of the frames that were written.
    pub size: [usize; 2],
    pub bytes: u64,
    pub target: &'a Path,
    pub actor: &'a Actor,
    pub episode: &'a Episode,
}

impl Replayed<'_> {
    /// Whether the stored fitness came back, bit for bit.
    fn same(&self) -> bool {
        (self.actor.stored).is_some_and(|stored| stored.to_bits() == self.episode.fitness.to_bits())
    }

    /// Seconds that the animation runs.
    fn seconds(&self) -> Option<f64> {
        self.animation
            .map(|animation| f64::from(self.episode.steps) / animation.steps_per_second)
    }

    /// Sentences on why the fitness is another than the stored one, and on what is not shown.
    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.actor.stored.is_some() && !self.same() {
            let limit = self.limit.filter(|limit| *limit <= self.episode.steps);
            if let Some(limit) = limit {
                notes.push(format!(
                    "the episode ended after {limit} steps, as --episode-steps said"
                ));
            }
            if !self.own_seed {
                notes.push("--seed is another than the one under which it was evaluated".into());
            }
            notes.extend(self.actor.notes.iter().cloned());
            if let Some(meaning) = self.actor.meaning.as_ref().filter(|m| !m.is_empty()) {
                notes.push(format!("the stored fitness is not that of one episode, but: {meaning}"));
            }
            if notes.is_empty() {
                notes.push(
                    "its own seed should have given the stored fitness: this build or machine computes otherwise than the run's"
                        .into(),
                );
            }
        }
        if let Some(animation) = self.animation.filter(|animation| animation.thinned) {
            notes.push(format!(
                "the episode is long: of its {} steps every {}th is shown",
                thousands(u64::from(self.episode.steps)),
                animation.every
            ));
        }
        notes
    }

    /// The documented fields of `--json`.
    pub fn json(&self) -> String {
        let fields = json!({
            "file": self.target.display().to_string(),
            "archive": self.archive.display().to_string(),
            "task": self.task,
            "strategy": self.strategy,
            "elite": self.actor.name.split(' ').next(),
            "cell": self.actor.cell,
            "seed": self.actor.seed,
            "steps": self.episode.steps,
            "fitness": self.episode.fitness,
            "stored_fitness": self.actor.stored,
            "identical": self.actor.stored.map(|_| self.same()),
            "descriptor": self.episode.descriptor,
            "pictures": self.frames,
            "every": self.animation.map(|animation| animation.every),
            "seconds": self.seconds(),
            "width": self.size[0],
            "height": self.size[1],
            "notes": self.notes(),
        });
        json_text(&fields)
    }

    /// The same in a few lines.
    pub fn text(&self) -> String {
        let fitness = significant(self.episode.fitness);
        let fitness = match self.actor.stored {
            None => fitness,
            Some(_) if self.same() => format!("{fitness}, as stored"),
            Some(stored) => format!("{fitness}, not {} as stored", significant(stored)),
        };
        let [width, height] = self.size;
        let mut frames = format!("{} of {width} x {height} pixels", thousands(self.frames as u64));
        if let (Some(animation), Some(seconds)) = (self.animation, self.seconds()) {
            frames += &format!(", {:.1} a second for {seconds:.1} s", animation.frames_per_second());
        }
        let mut rows = vec![
            ("task", self.task.to_string()),
            ("strategy", self.strategy.to_string()),
            ("elite", self.actor.name.clone()),
            ("seed", self.actor.seed.to_string()),
            ("steps", thousands(u64::from(self.episode.steps))),
            ("fitness", fitness),
        ];
        rows.extend(self.notes().into_iter().map(|note| ("", format!("({note})"))));
        if !self.episode.descriptor.is_empty() {
            let numbers: Vec<String> = self.episode.descriptor.iter().map(|x| significant(*x)).collect();
            rows.push(("descriptor", numbers.join(", ")));
        }
        rows.push(("frames", frames));
        rows.push(("written", format!("{} ({})", self.target.display(), bytes(self.bytes))));
        named(rows)
    }
}
