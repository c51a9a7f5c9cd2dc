//! `illume replay`: one episode of one elite again, as pictures.

mod report;

use std::path::{Path, PathBuf};

use illume_core::{Candidates, Error, Request, Result, Scores, Status, Task};

use self::report::Replayed;
use super::elite::{self, Solution, Which};
use super::eval::{self, Subject};
use super::eval_policy;
use crate::analysis::reevaluate::{candidates, fresh_seed};
use crate::engine::output::write_atomically;
use crate::formats::policy::PolicyFile;
use crate::render::animation::{self, Film};

/// Written into the run directory, or beside the archive.
const FILE: &str = "replay.gif";

/// Pictures of a strip.
const PICTURES: usize = 12;

/// Small screens are enlarged to about so many pixels.
const WIDTH: usize = 320;

/// What `illume replay` was asked.
#[derive(Debug, Clone)]
pub struct ReplayOptions {
    /// By default the solution, if the run has one, else the best elite.
    pub elite: Option<Which>,
    /// Evaluation seed, instead of the elite's own.
    pub seed: Option<u64>,
    /// File to write, `.gif` or `.png`, instead of `replay.gif`.
    pub output: Option<PathBuf>,
    /// Steps from one picture to the next.
    pub every: Option<u32>,
    /// Pictures of a strip.
    pub frames: Option<usize>,
    /// Pixels for each of the task's own.
    pub scale: Option<usize>,
    /// How many times as fast as the task's own pace a film runs.
    pub speed: Option<f64>,
    /// Steps after which the episode ends at the latest.
    pub episode_steps: Option<u32>,
    /// The descriptor that a policy is asked for, as typed.
    pub descriptor: Option<String>,
    pub json: bool,
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

/// The text that `illume replay PATH` prints; the pictures are written to a file.
///
/// # Errors
/// No archive, no such elite, a task without pictures or one that cannot be built here, an episode that fails, or a file that cannot
/// be written.
pub fn replay(path: &Path, options: &ReplayOptions) -> Result<String> {
    let policy = PolicyFile::is_at(path);
    let (kind, target) = target(path, options)?;
    if policy {
        let (policy, task) = eval_policy::open(path)?;
        let actor = of_policy(&policy, path, options)?;
        let about = [policy.task.clone(), "policy".into()];
        return shoot(task.as_ref(), actor, kind, &target, about, path, options);
    }
    if options.descriptor.is_some() {
        return Err(Error::input(format!(
            "--descriptor is for a policy, and {} is none: --elite says which elite of an archive acts",
            path.display()
        )));
    }
    let path = super::archive_path(path)?;
    let subject = Subject::open_on_cpu(&path)?;
    let actor = of_archive(&subject, options)?;
    let about = [
        subject.file.attributes.task.clone(),
        subject.file.attributes.strategy.clone(),
    ];
    shoot(subject.task.as_ref(), actor, kind, &target, about, &path, options)
}

/// What is to be written, and where.
fn target(path: &Path, options: &ReplayOptions) -> Result<(Kind, PathBuf)> {
    let target = match &options.output {
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
                "-o {}: expected a name that ends in .gif (a film) or .png (a strip of pictures)",
                target.display()
            )));
        }
    };
    let misplaced = match kind {
        Kind::Gif if options.frames.is_some() => Some("--frames is for a strip of pictures (-o FILE.png)"),
        Kind::Strip if options.speed.is_some() => Some("--speed is for a film (-o FILE.gif)"),
        _ => None,
    };
    match misplaced {
        Some(what) => Err(Error::input(format!("{what}, and {} is none", target.display()))),
        None => Ok((kind, target)),
    }
}

fn of_archive(subject: &Subject, options: &ReplayOptions) -> Result<Actor> {
    let file = &subject.file;
    let normalization = eval::normalization(file)?;
    let mut notes: Vec<String> = subject.moved.then(|| eval::MOVED.into()).into_iter().collect();
    if normalization.is_some() {
        notes.push("observations are normalized by the run's last statistics, not by those of the day".into());
    }
    let solution = match options.elite {
        Some(Which::Solution) => Some(Solution::of(file)?.ok_or_else(|| elite::no_solution(file))?),
        None => Solution::of(file)?,
        _ => None,
    };
    if let Some(solution) = solution {
        let genomes = elite::with_decoder(solution.genomes, || {
            crate::decoder(&subject.config, subject.task.spec())
        })?;
        return Ok(Actor {
            candidates: candidates(genomes, 1, normalization),
            seed: options.seed.or(solution.seed).unwrap_or(file.attributes.seed),
            name: "solution".into(),
            cell: None,
            stored: Some(solution.fitness),
            meaning: Some(solution.meaning),
            notes,
        });
    }
    let row = elite::row(file, options.elite.unwrap_or(Which::Best))?;
    let (cells, fitness, seeds): (&[i64], &[f64], &[u64]) = (
        file.elites.get("cell")?,
        file.elites.get("fitness")?,
        file.elites.get("seed")?,
    );
    Ok(Actor {
        candidates: eval::elites(subject, row..row + 1, normalization)?,
        seed: options.seed.unwrap_or(seeds[row]),
        name: format!("cell {}", cells[row]),
        cell: Some(cells[row]),
        stored: Some(fitness[row]),
        meaning: None,
        notes,
    })
}

fn of_policy(policy: &PolicyFile, path: &Path, options: &ReplayOptions) -> Result<Actor> {
    if options.elite.is_some() {
        return Err(Error::input(format!(
            "--elite is for an archive, and {} is a policy: --descriptor says what it is asked for",
            path.display()
        )));
    }
    let candidates = eval_policy::asked(policy, options.descriptor.as_deref(), path)?;
    Ok(Actor {
        candidates,
        seed: options.seed.unwrap_or(fresh_seed(0, 0)),
        name: "policy".into(),
        cell: None,
        stored: None,
        meaning: None,
        notes: Vec::new(),
    })
}

/// Films the episode, writes the pictures and says what there is to say.
fn shoot(
    task: &dyn Task,
    actor: Actor,
    kind: Kind,
    target: &Path,
    [task_name, strategy]: [String; 2],
    path: &Path,
    options: &ReplayOptions,
) -> Result<String> {
    let mut film = Film::new(options.every.unwrap_or(0), options.speed.unwrap_or(1.0));
    let episode = act(task, &actor, options.episode_steps, &mut film)?;
    let [width, _] = film.size;
    let scale = options.scale.unwrap_or(WIDTH.div_ceil(width.max(1)));
    let bytes = match kind {
        Kind::Gif => {
            let pace = film.pictures_per_second();
            if pace > animation::MOST_PACE {
                return Err(Error::input(format!(
                    "{pace:.0} pictures a second are more than the {:.0} that players of GIFs show: a larger --every or a smaller --speed",
                    animation::MOST_PACE
                )));
            }
            animation::gif(&film, scale)?
        }
        Kind::Strip => animation::strip(&film, options.frames.unwrap_or(PICTURES), scale)?,
    };
    write_atomically(target, &bytes)?;
    let replayed = Replayed {
        archive: path,
        task: &task_name,
        strategy: &strategy,
        limit: options.episode_steps,
        own_seed: options.seed.is_none(),
        pictures: match kind {
            Kind::Gif => film.pictures.len(),
            Kind::Strip => options.frames.unwrap_or(PICTURES).min(film.pictures.len()),
        },
        film: (kind == Kind::Gif).then_some(&film),
        size: film.size.map(|n| n * scale),
        bytes: bytes.len(),
        target,
        actor: &actor,
        episode: &episode,
    };
    Ok(if options.json { replayed.json() } else { replayed.text() })
}

/// One episode in front of the camera.
fn act(task: &dyn Task, actor: &Actor, limit: Option<u32>, film: &mut Film) -> Result<Episode> {
    let spec = task.spec();
    let mut worker = task.filming(film)?.ok_or_else(|| {
        Error::input(format!(
            "task \"{}\" has no pictures to show; tasks that have: {}",
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
                false => "a number became infinite or no number",
            }
        )));
    }
    Ok(Episode {
        fitness: fitness[0],
        descriptor,
        steps: steps[0],
    })
}
