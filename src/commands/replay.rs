//! `illume replay`: one episode of one elite again, as an animation or pictures, or the best elites of all parts of an archive side by side.

mod actor;
mod gallery;
mod report;
mod target;

use std::path::{Path, PathBuf};

use illume_core::{Candidates, Error, Request, Result, Scores, Status, Task, View};

use self::actor::Actor;
use self::report::Replayed;
use self::target::{Kind, Target};
use super::elite::Which;
use super::eval::policy;
use super::launch::alone;
use crate::analysis::subject::Subject;
use crate::formats::policy::PolicyFile;
use crate::render::animation::{self, Animation};

/// Frames of a strip.
const FRAMES: usize = 12;

/// Small screens are enlarged to about so many pixels.
const WIDTH: usize = 320;

/// Show one episode of an elite, or of many side by side: an animation (GIF, WebP, MP4) or pictures (PNG)
#[derive(clap::Args)]
pub struct ReplayArgs {
    /// Run directory, .h5 file, or folder of a policy
    path: PathBuf,
    /// best, solution (the strategy's own result), or the number of a cell [default: the solution if there is one, else the best]
    #[arg(long, visible_alias = "cell", value_name = "ELITE")]
    elite: Option<Which>,
    /// Evaluation seed [default: the elite's own, which gives its stored fitness again]
    #[arg(long)]
    seed: Option<u64>,
    /// File to write: .gif, .webp or .mp4 (by ffmpeg) for an animation, .png for a strip of frames, a name that ends in / for a folder of all
    /// frames [default: replay.gif, beside the archive]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Steps from one frame to the next [default: as many as make 15 to 30 frames a second]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    every: Option<u32>,
    /// Frames of a strip, spread evenly over the episode [default: 12]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    frames: Option<u32>,
    /// Width and height of the frames of a robot, in pixels [default: 320x240; of a gallery's tiles 160x120]
    #[arg(long, value_name = "WxH", value_parser = size)]
    size: Option<[usize; 2]>,
    /// From where a robot is seen: follow (from beside) or above (with its way) [default: above where the descriptor is a place]
    #[arg(long, value_name = "VIEW", value_parser = view)]
    view: Option<View>,
    /// The best elite of each of so many parts of the descriptor space, along its first axis and its second, side by side [default file: gallery.gif]
    #[arg(long, value_name = "CxR", value_parser = parts, conflicts_with_all = ["elite", "descriptor", "frames"])]
    gallery: Option<[usize; 2]>,
    /// Pixels for each of the task's own [default: 1, or more for small screens]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32))]
    scale: Option<u32>,
    /// How many times as fast as the game, or the task's own pace, an animation runs [default: 1]
    #[arg(long, value_name = "X", value_parser = speed)]
    speed: Option<f64>,
    /// End the episode after this many steps at the latest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    episode_steps: Option<u32>,
    /// Of an archive: the elite with the nearest descriptor; of a policy: the behaviour to ask it for. A number for each axis
    #[arg(long, value_name = "X,Y", allow_hyphen_values = true, conflicts_with = "elite")]
    descriptor: Option<String>,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
}

fn speed(text: &str) -> std::result::Result<f64, &'static str> {
    let number = text.parse().ok().filter(|x| (0.01..=100.0).contains(x));
    number.ok_or("expected a number from 0.01 to 100")
}

/// Two numbers from 1 to `most` with an x between them.
fn pair(text: &str, most: usize) -> Option<[usize; 2]> {
    let (first, second) = text.split_once('x')?;
    let number = |text: &str| text.parse().ok().filter(|n| (1..=most).contains(n));
    Some([number(first)?, number(second)?])
}

fn size(text: &str) -> std::result::Result<[usize; 2], &'static str> {
    pair(text, 16_384).ok_or("expected width and height, as 320x240, up to 16384 each")
}

fn parts(text: &str) -> std::result::Result<[usize; 2], &'static str> {
    pair(text, 50).ok_or("expected columns and rows, as 5x5, up to 50 each")
}

fn view(text: &str) -> std::result::Result<View, &'static str> {
    match text {
        "follow" => Ok(View::Follow),
        "above" => Ok(View::Above),
        _ => Err("expected follow or above"),
    }
}

impl ReplayArgs {
    pub fn run(&self) -> u8 {
        alone(|| replay(self))
    }

    /// Frames of a strip.
    fn frames(&self) -> usize {
        self.frames.map_or(FRAMES, |n| n as usize)
    }

    /// An animation that takes the frames that are asked for.
    fn animation(&self) -> Animation {
        Animation::new(self.every.unwrap_or(0), self.speed.unwrap_or(1.0))
            .drawn(self.size, self.view.unwrap_or_default())
    }

    /// # Errors
    /// The task does not let itself be drawn as the arguments say.
    fn check_drawn(&self, animation: &Animation, task: &str) -> Result<()> {
        if animation.asked.get() || (self.size.is_none() && self.view.is_none()) {
            return Ok(());
        }
        let [width, height] = animation.size;
        Err(Error::input(format!(
            "--size and --view are for robots, and the frames of task \"{task}\" are its own, of {width} x {height} pixels: --scale enlarges them"
        )))
    }
}

/// What became of the episode.
struct Episode {
    fitness: f64,
    descriptor: Vec<f64>,
    steps: u32,
}

/// The text that `illume replay PATH` prints; the frames are written to a file.
///
/// # Errors
/// No archive, no such elite, a task without frames or one that cannot be built here, an episode that fails, or a file that cannot
/// be written.
fn replay(args: &ReplayArgs) -> Result<String> {
    let path = args.path.as_path();
    let target = Target::of(path, args)?;
    if PolicyFile::is_at(path) {
        if args.gallery.is_some() {
            return Err(Error::input(format!(
                "--gallery is for an archive, and {} is a policy: --descriptor says what it is asked for",
                path.display()
            )));
        }
        let (policy, task) = policy::open(path)?;
        let actor = actor::of_policy(&policy, path, args)?;
        let about = [policy.task.clone(), "policy".into()];
        return shoot(task.as_ref(), actor, &target, about, path, args);
    }
    let path = super::archive_path(path)?;
    if let Some(shape) = args.gallery {
        return gallery::gallery(&path, shape, &target, args);
    }
    let subject = Subject::open_on_cpu(&path)?;
    let actor = actor::of_archive(&subject, args)?;
    let about = [
        subject.file.attributes.task.clone(),
        subject.file.attributes.strategy.clone(),
    ];
    shoot(subject.task.as_ref(), actor, &target, about, &path, args)
}

/// Draws the episode, writes the frames and says what there is to say.
fn shoot(
    task: &dyn Task,
    actor: Actor,
    target: &Target,
    [task_name, strategy]: [String; 2],
    path: &Path,
    args: &ReplayArgs,
) -> Result<String> {
    let mut animation = args.animation();
    let episode = act(task, &actor, args.episode_steps, &mut animation)?.ok_or_else(|| unseen(task))?;
    args.check_drawn(&animation, &task_name)?;
    let [width, _] = animation.size;
    let usual = if animation.asked.get() {
        1
    } else {
        WIDTH.div_ceil(width.max(1))
    };
    let scale = args.scale.map_or(usual, |n| n as usize);
    let bytes = target.write(&animation, scale, || animation::strip(&animation, args.frames(), scale))?;
    let replayed = Replayed {
        archive: path,
        task: &task_name,
        strategy: &strategy,
        limit: args.episode_steps,
        own_seed: args.seed.is_none(),
        frames: match target.kind {
            Kind::Png => args.frames().min(animation.frames.len()),
            _ => animation.frames.len(),
        },
        animation: (target.kind != Kind::Png).then_some(&animation),
        size: animation.size.map(|n| n * scale),
        bytes,
        target: &target.path,
        actor: &actor,
        episode: &episode,
    };
    Ok(if args.json { replayed.json() } else { replayed.text() })
}

/// Frames of a small film, and their width and height where the task can draw at any size.
const SMALL: u32 = 40;
const SMALL_SIZE: [usize; 2] = [240, 180];

/// A small image of an episode.
pub(super) struct Film {
    /// `gif` or `webp`, whichever is smaller.
    pub kind: &'static str,
    pub bytes: Vec<u8>,
    /// Whether it is one frame that shows the whole way.
    pub still: bool,
}

/// An episode of a single candidate, small: its last frame, where that shows the whole way, else an animation. None of a task that cannot be shown.
///
/// # Errors
/// An episode that fails, or a robot that cannot be drawn here.
pub(super) fn small_film(task: &dyn Task, candidates: Candidates, seed: u64) -> Result<Option<Film>> {
    let every = task.spec().max_steps.div_ceil(SMALL).max(1);
    let mut animation = Animation::new(every, 1.0)
        .drawn(Some(SMALL_SIZE), View::Usual)
        .ends_alone();
    let actor = Actor {
        candidates,
        seed,
        name: "an elite".into(),
        cell: None,
        stored: None,
        meaning: None,
        notes: Vec::new(),
    };
    if act(task, &actor, None, &mut animation)?.is_none() {
        return Ok(None);
    }
    let still = animation.last_tells_all;
    if still {
        let last = animation.frames.len().saturating_sub(1);
        animation.frames.drain(..last);
    }
    let (gif, webp) = (animation::gif(&animation, 1)?, animation::webp(&animation, 1)?);
    let (kind, bytes) = if webp.len() < gif.len() {
        ("webp", webp)
    } else {
        ("gif", gif)
    };
    Ok(Some(Film { kind, bytes, still }))
}

/// The error of a task that has no frames.
fn unseen(task: &dyn Task) -> Error {
    Error::input(format!(
        "task \"{}\" has no frames to show; tasks that have: {}",
        task.spec().name,
        illume_envs::filmed().join(", ")
    ))
}

/// One episode in front of the camera; none of a task that has no frames.
fn act(task: &dyn Task, actor: &Actor, limit: Option<u32>, animation: &mut Animation) -> Result<Option<Episode>> {
    let spec = task.spec();
    let Some(mut worker) = task.filming(animation)? else {
        return Ok(None);
    };
    let request = Request {
        genomes: &actor.candidates.genomes,
        seeds: &[actor.seed],
        max_steps: limit.unwrap_or(u32::MAX),
        uncapped: 0..0,
        tests: 0..0,
        normalization: actor.candidates.normalization.as_deref(),
        observed: &[],
        network: actor.candidates.network.as_deref(),
    };
    let (mut status, mut fitness, mut steps) = ([0], [0.0], [0]);
    let mut descriptor = vec![0.0; spec.descriptor_dim()];
    let mut objectives = vec![0.0; spec.objectives.len()];
    let mut scores = Scores {
        status: &mut status,
        fitness: &mut fitness,
        descriptor: &mut descriptor,
        steps: &mut steps,
        moments: &mut [],
        measures: &mut [],
        objectives: &mut objectives,
        trajectories: &mut [],
        features: &mut [],
    };
    worker.evaluate(&request, 0..1, &mut scores);
    scores.check_finite();
    if status[0] != Status::Ok as u8 {
        return Err(Error::failed(format!(
            "the episode of {} failed after {} steps: {}",
            actor.name,
            steps[0],
            match status[0] == Status::Failed as u8 {
                true => "the simulator gave up",
                false => "a number became infinite or NaN",
            }
        )));
    }
    Ok(Some(Episode {
        fitness: fitness[0],
        descriptor,
        steps: steps[0],
    }))
}
