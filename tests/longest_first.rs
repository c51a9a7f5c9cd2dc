//! Episodes that are expected to take longest are begun first, and results do not move.

use std::ops::Range;
use std::sync::Mutex;

use illume::core::{Axis, Batch, Candidates, Dense, Genomes, Init, Request, Result, Scores, Task, TaskSpec, Worker};
use illume::{Config, Evaluator, registry};

/// Scores a genome by its first gene, and notes which row it was handed when.
struct Noting {
    spec: TaskSpec,
    begun: Mutex<Vec<usize>>,
}

impl Task for Noting {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(self))
    }
}

impl Worker for &Noting {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        self.begun.lock().unwrap().push(rows.start);
        for (i, row) in rows.enumerate() {
            let genes = request.genomes.genes(row, &mut Default::default()).to_vec();
            scores.fitness[i] = f64::from(genes[0]);
            scores.descriptor[i] = 0.5;
        }
    }
}

fn noting(chunk: usize) -> Noting {
    let arm = Config::parse(
        "[task]\nname = \"arm\"\n[strategy]\nname = \"map_elites\"\n",
        "test",
        &[],
    )
    .unwrap();
    let spec = TaskSpec {
        genome_dim: 1,
        init: Init::Normal { mean: 0.0, sd: 1.0 },
        descriptor: vec![Axis::new("", "", 0.0, 1.0)],
        chunk,
        ..registry::task(&arm).unwrap().spec().clone()
    };
    Noting {
        spec,
        begun: Mutex::default(),
    }
}

/// The rows evaluated by one thread: in which order they were begun, and their fitness.
fn evaluated(chunk: usize, expected_steps: &[u32]) -> (Vec<usize>, Vec<f64>) {
    let task = noting(chunk);
    let config = "[task]\nname = \"arm\"\n[strategy]\nname = \"map_elites\"\n[archive]\nshape = [4]\n";
    let config = Config::parse(config, "test", &[]).unwrap();
    let archive = registry::archive(&config, &task.spec, false).unwrap();
    let candidates = Candidates {
        total: 8,
        block: 0..8,
        genomes: Genomes::Dense(Dense {
            dim: 1,
            data: (0..8).map(|i| i as f32).collect(),
        }),
        seeds: vec![0; 8],
        offered: 0..8,
        expected_steps: expected_steps.to_vec(),
        ..Candidates::default()
    };
    let (mut rows, mut moments) = (Batch::new(), Vec::new());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| {
        let mut evaluator = Evaluator::new(&task).unwrap();
        evaluator
            .evaluate(&candidates, archive.as_ref(), &mut rows, &mut moments)
            .unwrap();
        let busy = evaluator.take_busy();
        assert!(busy.work <= busy.wall, "one thread cannot work longer than time passes");
    });
    let begun = task.begun.lock().unwrap().clone();
    (begun, rows.get::<f64>("fitness").unwrap().to_vec())
}

#[test]
fn the_longest_are_begun_first_and_equals_in_order() {
    let (order, fitness) = evaluated(1, &[5, 900, 0, 5, 31, 900, 30, 1]);
    assert_eq!(order, [1, 5, 4, 6, 0, 3, 7, 2]);
    assert_eq!(fitness, [0., 1., 2., 3., 4., 5., 6., 7.]);
}

#[test]
fn a_piece_of_several_rows_is_as_long_as_they_are_together() {
    let (order, fitness) = evaluated(2, &[5, 5, 9, 0, 6, 6, 0, 0]);
    assert_eq!(order, [4, 0, 2, 6]);
    assert_eq!(fitness, [0., 1., 2., 3., 4., 5., 6., 7.]);
}

#[test]
fn without_expectations_rows_are_begun_in_order() {
    assert_eq!(evaluated(1, &[]).0, [0, 1, 2, 3, 4, 5, 6, 7]);
}
