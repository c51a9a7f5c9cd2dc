//! A task of the tests' own, given as a function.

use std::ops::Range;
use std::path::{Path, PathBuf};

use illume::cluster::Solo;
use illume::core::{Axis, Init, Request, Result, Scores, Scratch, Status, Task, TaskSpec, Worker};
use illume::{Config, Run};

/// Writes the descriptor of a genome and gives its fitness.
pub type Score = fn(&[f32], &mut [f64]) -> (Status, f64);

pub struct OwnTask {
    pub spec: TaskSpec,
    pub score: Score,
    /// Whether its worker marks what is not finite, as workers should.
    pub checks: bool,
}

impl OwnTask {
    /// Genes start in [-2, 2]; the descriptor has `axes` axes from -1 to 1.
    pub fn new(genome_dim: usize, axes: usize, score: Score) -> OwnTask {
        let spec = TaskSpec {
            descriptor: (0..axes)
                .map(|i| Axis::new(&format!("axis {i}"), "m", -1.0, 1.0))
                .collect(),
            fitness: "a number".into(),
            deterministic: true,
            chunk: 16,
            ..TaskSpec::new(
                "own",
                genome_dim,
                Init::Uniform {
                    lower: -2.0,
                    upper: 2.0,
                },
            )
        };
        OwnTask {
            spec,
            score,
            checks: true,
        }
    }
}

impl Task for OwnTask {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(OwnWorker(self, Scratch::default())))
    }
}

struct OwnWorker<'a>(&'a OwnTask, Scratch);

impl Worker for OwnWorker<'_> {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        let k = self.0.spec.descriptor.len();
        for (i, row) in rows.enumerate() {
            let genes = request.genomes.genes(row, &mut self.1);
            let (status, fitness) = (self.0.score)(genes, &mut scores.descriptor[i * k..(i + 1) * k]);
            scores.status[i] = status as u8;
            scores.fitness[i] = fitness;
            scores.steps[i] = 1;
        }
        if self.0.checks {
            scores.check_finite();
        }
    }
}

/// A finished run of a task of our own by MAP-Elites, as a file.
pub fn own_archive(folder: &Path, task: &OwnTask, archive: &str) -> PathBuf {
    let text = format!(
        "[task]\nname = \"own\"\n[strategy]\nname = \"map_elites\"\nbatch = 500\niso_sigma = 0.3\n\
         [archive]\n{archive}\n[budget]\ngenerations = 20\n"
    );
    let config = Config::parse(&text, "test", &[]).unwrap();
    let mut run = Run::new(&config, task, &Solo).unwrap();
    while run.generation().unwrap() {}
    let path = folder.join("own.h5");
    run.write(&path, false).unwrap();
    path
}
