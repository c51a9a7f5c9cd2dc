//! `illume replay`: one episode of one elite again, as an animation or a strip of frames.

mod report;

use std::path::{Path, PathBuf};

use illume_core::{Candidates, Error, Request, Result, Scores, Status, Task};

use self::report::Replayed;
use super::elite::{self, Solution, Which};
use super::eval::policy;
use super::launch::alone;
use crate::analysis::reevaluate::{candidates, fresh_seed};
use crate::analysis::subject::{self, Subject};
use crate::engine::output::write_atomically;
use crate::formats::policy::PolicyFile;
use crate::render::animation::{self, Animation};

/// Written into the run directory, or beside the archive.
const FILE: &str = "replay.gif";

/// Frames of a strip.
const FRAMES: usize = 12;

/// Small screens are enlarged to about so many pixels.
const WIDTH: usize = 320;

/// Show one episode of an elite: an animation (GIF) or a strip of frames (PNG)
#[derive(clap::Args)]
pub struct ReplayArgs {
    /// Run directory, .h5 file, or folder of a policy
    path: PathBuf,
    /// best, solution (the strategy's own result), or the number of a cell [default: the solution if there is one, else the best]
    #[arg(long, value_name = "ELITE")]
    elite: Option<Which>,
    /// Evaluation seed [default: the elite's own, which gives its stored fitness again]
    #[arg(long)]
    seed: Option<u64>,
    /// File to write: .gif for an animation, .png for a strip of frames [default: replay.gif, beside the archive]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Steps from one frame to the next [default: as many as make 15 to 30 frames a second]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    every: Option<u32>,
    /// Frames of a strip, spread evenly over the episode [default: 12]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    frames: Option<u32>,
    /// Pixels for each of the task's own [default: 1, or more for small screens]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32))]
    scale: Option<u32>,
    /// How many times as fast as the game, or the task's own pace, an animation runs [default: 1]
    #[arg(long, value_name = "X", value_parser = speed)]
    speed: Option<f64>,
    /// End the episode after this many steps at the latest
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    episode_steps: Option<u32>,
    /// Of a policy: the behaviour to ask it for, a number for each axis of the descriptor
    #[arg(long, value_name = "X,Y", allow_hyphen_values = true)]
    descriptor: Option<String>,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
}

fn speed(text: &str) -> std::result::Result<f64, &'static str> {
    let number = text.parse().ok().filter(|x| (0.01..=100.0).contains(x));
    number.ok_or("expected a number from 0.01 to 100")
}

impl ReplayArgs {
    pub fn run(&self) -> u8 {
        alone(|| replay(self))
    }

    /// Frames of a strip.
    fn frames(&self) -> usize {
        self.frames.map_or(FRAMES, |n| n as usize)
    }
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gif,
    Strip,
}

/// Who acts, under which seed, and what is known of it.
struct Actor {
    candidates: Candidates,
    seed: u64,
    /// `cell 12`, `solution`, `policy`.
    name: String,
    cell: Option<i64>,
    /// Fitness as stored, and what that is where it is not that of one episode.
    stored: Option<f64>,
    meaning: Option<String>,
    /// Why it may act otherwise than when it was found.
    notes: Vec<String>,
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
    let is_policy = PolicyFile::is_at(path);
    let (kind, target) = target(path, args)?;
    if is_policy {
        let (policy, task) = policy::open(path)?;
        let actor = of_policy(&policy, path, args)?;
        let about = [policy.task.clone(), "policy".into()];
        return shoot(task.as_ref(), actor, kind, &target, about, path, args);
    }
    if args.descriptor.is_some() {
        return Err(Error::input(format!(
            "--descriptor is for a policy, and {} is none: --elite says which elite of an archive acts",
            path.display()
        )));
    }
    let path = super::archive_path(path)?;
    let subject = Subject::open_on_cpu(&path)?;
    let actor = of_archive(&subject, args)?;
    let about = [
        subject.file.attributes.task.clone(),
        subject.file.attributes.strategy.clone(),
    ];
    shoot(subject.task.as_ref(), actor, kind, &target, about, &path, args)
}

/// What is to be written, and where.
fn target(path: &Path, args: &ReplayArgs) -> Result<(Kind, PathBuf)> {
    let target = match &args.output {
        Some(to) => to.clone(),
        None if path.is_dir() => path.join(FILE),
        None => path.with_file_name(FILE),
    };
    let ending = target.extension().map(|e| e.to_string_lossy().to_lowercase());
    let kind = match ending.as_deref() {
        Some("gif") => Kind::Gif,
        Some("png") => Kind::Strip,
        _ => {
            return Err(Error::input(format!(
                "-o {}: expected a name that ends in .gif (an animation) or .png (a strip of frames)",
                target.display()
            )));
        }
    };
    let misplaced = match kind {
        Kind::Gif if args.frames.is_some() => Some("--frames is for a strip of frames (-o FILE.png)"),
        Kind::Strip if args.speed.is_some() => Some("--speed is for an animation (-o FILE.gif)"),
        _ => None,
    };
    match misplaced {
        Some(what) => Err(Error::input(format!("{what}, and {} is none", target.display()))),
        None => Ok((kind, target)),
    }
}

fn of_archive(subject: &Subject, args: &ReplayArgs) -> Result<Actor> {
    let file = &subject.file;
    let normalization = subject::normalization(file)?;
    let mut notes: Vec<String> = subject.moved.then(|| subject::MOVED.into()).into_iter().collect();
    if normalization.is_some() {
        notes.push("observations are normalized by the run's last statistics, not by those of the day".into());
    }
    let solution = match args.elite {
        Some(Which::Solution) => Some(Solution::of(file)?.ok_or_else(|| elite::no_solution(file))?),
        None => Solution::of(file)?,
        _ => None,
    };
    if let Some(solution) = solution {
        let genomes = subject::with_decoder(solution.genomes, || {
            crate::decoder(&subject.config, subject.task.spec())
        })?;
        return Ok(Actor {
            candidates: candidates(genomes, 1, normalization),
            seed: args.seed.or(solution.seed).unwrap_or(file.attributes.seed),
            name: "solution".into(),
            cell: None,
            stored: Some(solution.fitness),
            meaning: Some(solution.meaning),
            notes,
        });
    }
    let row = elite::row(file, args.elite.unwrap_or(Which::Best))?;
    let (cells, fitness, seeds): (&[i64], &[f64], &[u64]) = (
        file.elites.get("cell")?,
        file.elites.get("fitness")?,
        file.elites.get("seed")?,
    );
    Ok(Actor {
        candidates: subject::elites(subject, row..row + 1, normalization)?,
        seed: args.seed.unwrap_or(seeds[row]),
        name: format!("cell {}", cells[row]),
        cell: Some(cells[row]),
        stored: Some(fitness[row]),
        meaning: None,
        notes,
    })
}

fn of_policy(policy: &PolicyFile, path: &Path, args: &ReplayArgs) -> Result<Actor> {
    if args.elite.is_some() {
        return Err(Error::input(format!(
            "--elite is for an archive, and {} is a policy: --descriptor says what it is asked for",
            path.display()
        )));
    }
    let candidates = policy::asked(policy, args.descriptor.as_deref(), path)?;
    Ok(Actor {
        candidates,
        seed: args.seed.unwrap_or(fresh_seed(0, 0)),
        name: "policy".into(),
        cell: None,
        stored: None,
        meaning: None,
        notes: Vec::new(),
    })
}

/// Draws the episode, writes the frames and says what there is to say.
fn shoot(
    task: &dyn Task,
    actor: Actor,
    kind: Kind,
    target: &Path,
    [task_name, strategy]: [String; 2],
    path: &Path,
    args: &ReplayArgs,
) -> Result<String> {
    let mut animation = Animation::new(args.every.unwrap_or(0), args.speed.unwrap_or(1.0));
    let episode = act(task, &actor, args.episode_steps, &mut animation)?;
    let [width, _] = animation.size;
    let scale = args.scale.map_or(WIDTH.div_ceil(width.max(1)), |n| n as usize);
    let bytes = match kind {
        Kind::Gif => {
            let pace = animation.frames_per_second();
            if pace > animation::MOST_PACE {
                return Err(Error::input(format!(
                    "{pace:.0} frames a second are more than the {:.0} that players of GIFs show: a larger --every or a smaller --speed",
                    animation::MOST_PACE
                )));
            }
            animation::gif(&animation, scale)?
        }
        Kind::Strip => animation::strip(&animation, args.frames(), scale)?,
    };
    write_atomically(target, &bytes)?;
    let replayed = Replayed {
        archive: path,
        task: &task_name,
        strategy: &strategy,
        limit: args.episode_steps,
        own_seed: args.seed.is_none(),
        frames: match kind {
            Kind::Gif => animation.frames.len(),
            Kind::Strip => args.frames().min(animation.frames.len()),
        },
        animation: (kind == Kind::Gif).then_some(&animation),
        size: animation.size.map(|n| n * scale),
        bytes: bytes.len(),
        target,
        actor: &actor,
        episode: &episode,
    };
    Ok(if args.json { replayed.json() } else { replayed.text() })
}

/// Frames of a small film.
const SMALL: u32 = 40;

/// An episode of a single candidate as a small animation: the kind of image, and the image; none of a task that cannot be shown.
///
/// # Errors
/// An episode that fails.
pub(super) fn small_film(
    task: &dyn Task,
    candidates: Candidates,
    seed: u64,
) -> Result<Option<(&'static str, Vec<u8>)>> {
    if task.filming(&mut Animation::new(1, 1.0))?.is_none() {
        return Ok(None);
    }
    let actor = Actor {
        candidates,
        seed,
        name: "an elite".into(),
        cell: None,
        stored: None,
        meaning: None,
        notes: Vec::new(),
    };
    let every = task.spec().max_steps.div_ceil(SMALL).max(1);
    let mut animation = Animation::new(every, 1.0);
    act(task, &actor, None, &mut animation)?;
    Ok(Some(("gif", animation::gif(&animation, 1)?)))
}

/// One episode in front of the camera.
fn act(task: &dyn Task, actor: &Actor, limit: Option<u32>, animation: &mut Animation) -> Result<Episode> {
    let spec = task.spec();
    let mut worker = task.filming(animation)?.ok_or_else(|| {
        Error::input(format!(
            "task \"{}\" has no frames to show; tasks that have: {}",
            spec.name,
            illume_envs::FILMED.join(", ")
        ))
    })?;
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
    let mut scores = Scores {
        status: &mut status,
        fitness: &mut fitness,
        descriptor: &mut descriptor,
        steps: &mut steps,
        moments: &mut [],
        measures: &mut [],
        trajectories: &mut [],
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
    Ok(Episode {
        fitness: fitness[0],
        descriptor,
        steps: steps[0],
    })
}
