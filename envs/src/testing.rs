//! What the unit tests of the tasks share.

use illume_core::{Dense, Genomes, Request, Scores, Task, TaskConfig, toml};

/// Results of a batch of rows.
#[derive(Debug, PartialEq)]
pub struct Results {
    pub status: Vec<u8>,
    pub fitness: Vec<f64>,
    pub descriptor: Vec<f64>,
    pub steps: Vec<u32>,
    /// `[rows, m]`.
    pub objectives: Vec<f64>,
}

/// The k-th series of pushes in this step, each held so many steps: what tools/serene.py gives programs of SERENE's authors.
pub fn push<const JOINTS: usize>(k: u32, step: u32, held: u32) -> [f32; JOINTS] {
    std::array::from_fn(|joint| {
        let h = (step / held + 1)
            .wrapping_mul(2_654_435_761)
            .wrapping_add(k.wrapping_mul(2_246_822_519))
            .wrapping_add((joint as u32).wrapping_mul(3_266_489_917));
        ((h ^ (h >> 15)) % 2001) as f32 / 1000.0 - 1.0
    })
}

/// The task of a `[task]` table.
pub fn task(text: &str) -> Box<dyn Task> {
    let table: toml::Table = text.parse().unwrap();
    crate::build(&TaskConfig {
        task: &table,
        genes: None,
        policy: &toml::Table::new(),
        ranks: 1,
    })
    .unwrap()
}

/// `rows` dense genomes, evaluated under the seeds 0, 1, ….
pub fn evaluate(task: &dyn Task, genes: &[f32], rows: usize) -> Results {
    evaluate_into(task, genes, rows, &mut [])
}

/// The same, and what an encoder sees of the rows, `[rows, features]`.
pub fn shown(task: &dyn Task, genes: &[f32], rows: usize) -> (Results, Vec<f32>) {
    let mut features = vec![0.0; rows * task.spec().features];
    let results = evaluate_into(task, genes, rows, &mut features);
    (results, features)
}

fn evaluate_into(task: &dyn Task, genes: &[f32], rows: usize, features: &mut [f32]) -> Results {
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
        objectives: vec![0.0; rows * task.spec().objectives.len()],
    };
    let mut scores = Scores {
        status: &mut r.status,
        fitness: &mut r.fitness,
        descriptor: &mut r.descriptor,
        steps: &mut r.steps,
        moments: &mut [],
        measures: &mut [],
        objectives: &mut r.objectives,
        trajectories: &mut [],
        features,
    };
    task.worker().unwrap().evaluate(&request, 0..rows, &mut scores);
    scores.check_finite();
    r
}

/// Asserts that a task's gradients at `genes` are the differences of its values at genes a little apart, within a share of the largest number of each gradient.
pub fn check_gradients(task: &dyn Task, genes: &[f32], share: f64) {
    const STEP: f32 = 1.0 / 128.0;
    let (n, k) = (genes.len(), task.spec().descriptor_dim());
    let mut gradients = vec![0.0; (1 + k) * n];
    task.spec().gradients.as_ref().unwrap().gradients(genes, &mut gradients);
    let mut moved = Vec::new();
    for gene in 0..n {
        for sign in [-1.0, 1.0] {
            let mut other = genes.to_vec();
            other[gene] += sign * STEP;
            moved.extend(other);
        }
    }
    let values = evaluate(task, &moved, 2 * n);
    for (of, gradient) in gradients.chunks_exact(n).enumerate() {
        let largest = gradient.iter().fold(0.0, |most: f64, g| most.max(g.abs()));
        let value = |row: usize| match of {
            0 => values.fitness[row],
            axis => values.descriptor[row * k + axis - 1],
        };
        for (gene, g) in gradient.iter().enumerate() {
            let apart = f64::from((genes[gene] + STEP) - (genes[gene] - STEP));
            let slope = (value(2 * gene + 1) - value(2 * gene)) / apart;
            let name = &task.spec().name;
            assert!(
                (slope - g).abs() <= share * largest,
                "{name}, value {of}, gene {gene}: {slope} and {g}"
            );
        }
    }
}
