//! What a task adds to the map of its archive: the walls of a maze and ways through it, how far an arm reaches.

use std::f64::consts::TAU;

use illume_archives::file::ArchiveFile;
use illume_core::{Error, Request, Result, Scores, Status};

use super::PlotArgs;
use crate::analysis::farthest::farthest;
use crate::analysis::subject::{self, Subject};
use crate::analysis::view::View;
use crate::render::plot::Line;

const MAZE: &str = "hard_maze";
const ARM: &str = "arm";
/// Places of a way that are known.
const PLACES: u32 = 100;
/// Corners of the circle that an arm reaches.
const CORNERS: usize = 180;

const WALL: &str = "stroke=\"#1a1d22\" stroke-width=\"2.6\" stroke-linecap=\"round\"";
const HALO: &str = "stroke=\"#fff\" stroke-width=\"3\" stroke-opacity=\"0.8\" stroke-linejoin=\"round\"";
const WAY: &str = "stroke=\"#d55e00\" stroke-width=\"1.5\" stroke-linejoin=\"round\"";
const REACH: &str = "stroke=\"#444\" stroke-width=\"1.2\" stroke-dasharray=\"5 4\"";

/// Refuses ways where there is no map of places.
///
/// # Errors
/// Another task than the maze, or other axes.
pub(super) fn refuse_paths(args: &PlotArgs, file: &ArchiveFile, axes: &[usize]) -> Result<()> {
    let task = &file.attributes.task;
    match args.paths_shown {
        Some(_) if task != MAZE => Err(Error::input(format!(
            "--paths draws ways through \"{MAZE}\", and {} is of \"{task}\"",
            file.path().display()
        ))),
        Some(_) if axes.len() != 2 || file.spec.axes.len() != 2 => {
            Err(Error::input("--paths needs a map of both axes of the maze"))
        }
        _ => Ok(()),
    }
}

/// Lines over the map of an archive on these axes.
///
/// # Errors
/// Ways are asked for, and the task cannot be built here or fails.
pub(super) fn lines(file: &ArchiveFile, view: &View, [x, y]: [usize; 2], args: &PlotArgs) -> Result<Vec<Line>> {
    if file.spec.axes.len() != 2 {
        return Ok(Vec::new());
    }
    let line = |points: Vec<[f64; 2]>, style: &'static str| Line {
        points: points.into_iter().map(|at| [at[x], at[y]]).collect(),
        style,
        arrow: false,
    };
    let walls = illume_envs::walls(&file.attributes.task).into_iter();
    let walls: Vec<Line> = walls.map(|wall| line(wall.to_vec(), WALL)).collect();
    Ok(match file.attributes.task.as_str() {
        MAZE => {
            let mut lines = walls;
            for way in ways(file, view, args.paths_shown.unwrap_or(0) as usize)? {
                lines.push(line(way.clone(), HALO));
                lines.push(Line {
                    arrow: true,
                    ..line(way, WAY)
                });
            }
            lines
        }
        ARM => {
            // The end can be wherever the links, which are as long together as half of an axis, reach from the middle.
            let middle = [0, 1].map(|i| (file.spec.axes[i].lower + file.spec.axes[i].upper) / 2.0);
            let reach = [0, 1].map(|i| (file.spec.axes[i].upper - file.spec.axes[i].lower) / 2.0);
            let corner = |i: usize| {
                let angle = TAU * i as f64 / CORNERS as f64;
                [middle[0] + reach[0] * angle.cos(), middle[1] + reach[1] * angle.sin()]
            };
            vec![line((0..=CORNERS).map(corner).collect(), REACH)]
        }
        _ => walls,
    })
}

/// The ways of so many elites: the best, then whichever ends farthest from those before.
fn ways(file: &ArchiveFile, view: &View, count: usize) -> Result<Vec<Vec<[f64; 2]>>> {
    if count == 0 || file.rows() == 0 {
        return Ok(Vec::new());
    }
    let subject = Subject::open_on_cpu(file.path())?;
    let normalization = subject::normalization(file)?;
    let mut worker = subject.task.worker()?;
    let limit = subject.task.spec().max_steps;
    let seeds = file.elites.get::<u64>("seed")?;
    let (fitness, descriptor) = (
        file.elites.get::<f64>("fitness")?,
        file.elites.get::<f64>("descriptor")?,
    );
    debug_assert_eq!(view.spec.axes.len(), 2);
    let mut ways = Vec::new();
    for row in farthest(fitness, descriptor, &[1.0; 2]).take(count) {
        let candidates = subject::elites(&subject, row..row + 1, normalization.clone())?;
        let mut way = Vec::new();
        // The place after so many steps is where an episode of so many ends.
        for i in 1..=PLACES.min(limit) {
            let request = Request {
                genomes: &candidates.genomes,
                seeds: &seeds[row..=row],
                max_steps: (u64::from(limit) * u64::from(i) / u64::from(PLACES.min(limit))) as u32,
                uncapped: 0..0,
                tests: 0..0,
                normalization: candidates.normalization.as_deref(),
                observed: &[],
                network: candidates.network.as_deref(),
            };
            let (mut status, mut reward, mut steps, mut at) = ([0], [0.0], [0], [0.0; 2]);
            let mut scores = Scores {
                status: &mut status,
                fitness: &mut reward,
                descriptor: &mut at,
                steps: &mut steps,
                moments: &mut [],
                measures: &mut [],
                objectives: &mut [],
                trajectories: &mut [],
                features: &mut [],
            };
            worker.evaluate(&request, 0..1, &mut scores);
            scores.check_finite();
            if status[0] != Status::Ok as u8 {
                return Err(Error::failed(format!(
                    "{}: the episode of an elite failed",
                    file.path().display()
                )));
            }
            way.push(at);
        }
        ways.push(way);
    }
    Ok(ways)
}
