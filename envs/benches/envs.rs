//! Speed of tasks and policies on one thread: `cargo bench -p illume-envs`. One line each: what, rate or time, limit.

use std::time::Instant;

use illume_core::Activation;
use illume_core::Network;
use illume_core::{Dense, Genomes, Purpose, Request, Scores, Stream, Task, TaskConfig, toml};
use illume_envs::build;

/// Seconds of the fastest of several runs.
fn fastest(mut run: impl FnMut()) -> f64 {
    run();
    let times = (0..9).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}

/// Rows of `task` evaluated in a second, `rows` initial genomes over and over, in chunks as the engine makes them.
fn rate(task: &dyn Task, rows: usize, repeats: usize) -> f64 {
    let spec = task.spec();
    let k = spec.descriptor_dim();
    let mut data = vec![0.0; rows * spec.genome_dim];
    for (i, genes) in data.chunks_exact_mut(spec.genome_dim).enumerate() {
        spec.init.draw(&Stream::new(1, Purpose::Init, 0, i as u64), genes);
    }
    let genomes = Genomes::Dense(Dense {
        dim: spec.genome_dim,
        data,
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
    let (mut status, mut fitness, mut steps) = (vec![0; rows], vec![0.0; rows], vec![0; rows]);
    let mut descriptor = vec![0.0; rows * k];
    let mut worker = task.worker().expect("a built-in task");
    let seconds = fastest(|| {
        for _ in 0..repeats {
            for start in (0..rows).step_by(spec.chunk) {
                let range = start..(start + spec.chunk).min(rows);
                let mut scores = Scores {
                    status: &mut status[range.clone()],
                    fitness: &mut fitness[range.clone()],
                    descriptor: &mut descriptor[range.start * k..range.end * k],
                    steps: &mut steps[range.clone()],
                    moments: &mut [],
                    measures: &mut [],
                    objectives: &mut [],
                    trajectories: &mut [],
                    features: &mut [],
                };
                worker.evaluate(&request, range, &mut scores);
            }
        }
    });
    std::hint::black_box(&fitness);
    (rows * repeats) as f64 / seconds
}

fn task(text: &str) -> Box<dyn Task> {
    let table: toml::Table = text.parse().expect("TOML");
    build(&TaskConfig {
        task: &table,
        genes: None,
        policy: &toml::Table::new(),
        ranks: 1,
    })
    .expect("a built-in task")
}

fn forward(layers: &[usize]) {
    let last = layers.len() - 1;
    let network = Network::policy(layers.to_vec(), Activation::Tanh);
    let mut genes = vec![0.0; network.params()];
    Stream::new(1, Purpose::Init, 0, 0).add_normals(0, 0.1, &mut genes);
    let observation = vec![0.5; layers[0]];
    let (mut scratch, mut action) = (network.units(), vec![0.0; layers[last]]);
    let seconds = fastest(|| {
        for _ in 0..10_000 {
            network.forward(&genes, std::hint::black_box(&observation), &mut scratch, &mut action);
        }
    });
    let bytes = 4.0 * network.params() as f64;
    println!(
        "policy {layers:?}: {:.0} ns, {:.0} GB/s of weights",
        seconds * 1e5,
        bytes / seconds * 1e-5
    );
}

fn main() {
    for (joints, limit) in [(20, 60.0), (100, 12.0)] {
        let rate = rate(&*task(&format!("name = \"arm\"\njoints = {joints}")), 1024, 200);
        println!("arm, {joints} joints: {:.1} M evaluations/s (aim {limit})", rate * 1e-6);
    }
    for name in ["sphere", "rastrigin"] {
        println!(
            "{name}, 100 genes: {:.1} M evaluations/s",
            rate(&*task(&format!("name = \"{name}\"")), 1024, 50) * 1e-6
        );
    }
    println!(
        "hard_maze: {:.2} M steps/s with a policy [11, 16, 2]",
        rate(&*task("name = \"hard_maze\""), 64, 1) * 400e-6
    );
    for layers in [&[17, 64, 64, 6][..], &[27, 64, 64, 8], &[87, 128, 128, 8], &[11, 16, 2]] {
        forward(layers);
    }
}
