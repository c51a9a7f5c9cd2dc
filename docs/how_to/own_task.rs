//! A task of one's own: the fastest way over hilly ground from (0, 0) to (1, 0), for each pair of places where it crosses the lines
//! x = 1/3 and x = 2/3.

// ANCHOR: uses
use std::ops::Range;

use illume::archives::GridParams;
use illume::cluster::Solo;
use illume::core::toml::toml;
use illume::core::{Axis, Init, Request, Result, Scores, Scratch, Task, TaskSpec, Worker};
use illume::{Budget, Run, Settings, registry};
// ANCHOR_END: uses

// ANCHOR: task
/// Genes are the heights y of a path at evenly spaced x between 0 and 1, each within [-1, 1].
pub struct Path {
    spec: TaskSpec,
}

impl Path {
    pub fn new(points: usize) -> Path {
        let crossing = |at: &str| Axis::new(&format!("y at x = {at}"), "", -1.0, 1.0);
        Path {
            spec: TaskSpec {
                bounds: Some([-1.0, 1.0]),
                descriptor: vec![crossing("1/3"), crossing("2/3")],
                // Never below zero, so that a QD score needs no offset.
                fitness: "speed towards the goal, 1 on fast ground in a straight line".into(),
                deterministic: true,
                // An evaluation takes a microsecond, so a thread is handed 64 at a time.
                chunk: 64,
                ..TaskSpec::new("path", points, Init::Normal { mean: 0.0, sd: 0.3 })
            },
        }
    }
}

/// How slow the ground is, 1 at its fastest: two hills stand in the way.
fn slowness(x: f64, y: f64) -> f64 {
    let hill = |cx: f64, cy: f64| (-((x - cx).powi(2) + (y - cy).powi(2)) / 0.02).exp();
    1.0 + 3.0 * hill(0.35, 0.1).max(hill(0.7, -0.2))
}

impl Task for Path {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(Walker(Scratch::default())))
    }
}

/// Each thread has one; what it holds is memory that it reuses.
struct Walker(Scratch);

impl Worker for Walker {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        for (i, row) in rows.enumerate() {
            let genes = request.genomes.genes(row, &mut self.0);
            let n = genes.len();
            let point = |j: usize| {
                let y = if j == 0 || j > n { 0.0 } else { f64::from(genes[j - 1]) };
                (j as f64 / (n + 1) as f64, y)
            };
            let mut time = 0.0;
            for j in 0..=n {
                let ((x0, y0), (x1, y1)) = (point(j), point(j + 1));
                time += (x1 - x0).hypot(y1 - y0) * slowness((x0 + x1) / 2.0, (y0 + y1) / 2.0);
            }
            scores.fitness[i] = 1.0 / time;
            scores.descriptor[2 * i] = point((n + 1) / 3).1;
            scores.descriptor[2 * i + 1] = point(2 * (n + 1) / 3).1;
        }
        scores.steps.fill(1);
    }
}
// ANCHOR_END: task

// ANCHOR: main
pub fn main() -> Result<()> {
    let task = Path::new(11);
    // What `illume list map_elites` names, as a table or as a struct (`illume::strategies::MapElitesParams`).
    let steps = toml! { batch = 200 iso_sigma = 0.02 line_sigma = 0.2 };
    let strategy = registry::strategy_of("map_elites", &steps, task.spec())?;
    let grid = GridParams {
        shape: vec![30, 30],
        ..GridParams::default()
    };
    let archive = registry::archive_of("grid", &grid, task.spec())?;
    let settings = Settings {
        seed: 1,
        budget: Budget {
            evaluations: 200_000,
            ..Budget::default()
        },
        ..Settings::default()
    };
    let mut run = Run::from_parts(&task, strategy, archive, settings, &Solo)?;
    while run.generation()? {}
    let found = run.metrics();
    println!(
        "{} pairs of crossings, best speed {:.3}",
        found.filled, found.max_fitness
    );
    run.write("path.h5".as_ref(), false)
}
// ANCHOR_END: main
