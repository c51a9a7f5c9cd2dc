//! What the unit tests of the tasks share.

use illume_core::{Dense, Genomes, Request, Scores, Task, TaskConfig, toml};

/// Results of a batch of rows.
#[derive(Debug, PartialEq)]
pub struct Results {
    pub status: Vec<u8>,
    pub fitness: Vec<f64>,
    pub descriptor: Vec<f64>,
    pub steps: Vec<u32>,
}

/// The task of a `[task]` table.
pub fn task(text: &str) -> Box<dyn Task> {
    let table: toml::Table = text.parse().unwrap();
    crate::build(&TaskConfig {
        task: &table,
        policy: &toml::Table::new(),
        ranks: 1,
    })
    .unwrap()
}

/// `rows` dense genomes, evaluated under the seeds 0, 1, ….
pub fn evaluate(task: &dyn Task, genes: &[f32], rows: usize) -> Results {
    let dim = task.spec().genome_dim;
    assert_eq!(genes.len(), rows * dim);
    let genomes = Genomes::Dense(Dense {
        dim,
        data: genes.to_vec(),
    });
    let seeds: Vec<u64> = (0..rows as u64).collect();
    let request = Request {
        genomes: &genomes,
        seeds: &seeds,
        max_steps: u32::MAX,
        uncapped: 0..0,
        tests: 0..0,
        normalization: None,
        observed: &[],
        network: None,
    };
    let mut r = Results {
        status: vec![0; rows],
        fitness: vec![0.0; rows],
        descriptor: vec![0.0; rows * task.spec().descriptor_dim()],
        steps: vec![0; rows],
    };
    let mut scores = Scores {
        status: &mut r.status,
        fitness: &mut r.fitness,
        descriptor: &mut r.descriptor,
        steps: &mut r.steps,
        moments: &mut [],
        trajectories: &mut [],
    };
    task.worker().unwrap().evaluate(&request, 0..rows, &mut scores);
    scores.check_finite();
    r
}
