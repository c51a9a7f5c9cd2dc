//! What beginning the longest episodes first gains where episodes differ a hundredfold in length, as on Atari: a synthetic task whose
//! episodes sleep, on four threads. `cargo bench -p illume-benches --bench longest_first`.

use std::ops::Range;
use std::time::Duration;

use illume::core::{Axis, Batch, Candidates, Dense, Genomes, Init, Purpose, Request, Result, Scores, Stream};
use illume::core::{Task, TaskSpec, Worker};
use illume::{Config, Evaluator, registry};

const THREADS: usize = 4;
const STEP: Duration = Duration::from_micros(20);

struct Sleeping(TaskSpec);

impl Task for Sleeping {
    fn spec(&self) -> &TaskSpec {
        &self.0
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(Asleep))
    }
}

struct Asleep;

impl Worker for Asleep {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, _scores: &mut Scores<'_>) {
        for row in rows {
            let steps = request.genomes.genes(row, &mut Default::default())[0];
            std::thread::sleep(STEP * steps as u32);
        }
    }
}

/// Lengths of episodes, 50 to 5000 steps, uniform in their logarithm.
fn lengths(rows: usize) -> Vec<u32> {
    let stream = Stream::new(1, Purpose::Selection, rows as u64, 0);
    (0..rows as u64)
        .map(|i| (50.0 * 100f64.powf(stream.uniform(i))) as u32)
        .collect()
}

fn main() {
    rayon::ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .build_global()
        .expect("no pool yet");
    let config = "[task]\nname = \"arm\"\n[strategy]\nname = \"map_elites\"\n[archive]\nshape = [4]\n";
    let config = Config::parse(config, "bench", &[]).expect("a good configuration");
    let spec = TaskSpec {
        genome_dim: 1,
        init: Init::Normal { mean: 0.0, sd: 1.0 },
        descriptor: vec![Axis::new("", "", 0.0, 1.0)],
        chunk: 1,
        ..registry::task(&config).expect("arm is always there").spec().clone()
    };
    let archive = registry::archive(&config, &spec, false).expect("a grid");
    let task = Sleeping(spec);
    println!(
        "episodes of 50 to 5000 steps of 20 us on {THREADS} threads; the parent's length differs from the child's by a factor"
    );
    println!(
        "{:>9} {:>22} {:>10} {:>12} {:>12}",
        "episodes", "order", "wall ms", "x shared out", "idle share"
    );
    for rows in [8, 16, 64, 300] {
        let lengths = lengths(rows);
        // A child lives about as long as its parent: half to twice as long.
        let noise = Stream::new(2, Purpose::Selection, 0, 0);
        let parents: Vec<u32> = (lengths.iter().zip(0..))
            .map(|(&steps, i)| (f64::from(steps) * 4f64.powf(noise.uniform(i) - 0.5)) as u32)
            .collect();
        let ideal = lengths.iter().sum::<u32>() as f64 * STEP.as_secs_f64() / THREADS as f64;
        let longest = f64::from(*lengths.iter().max().expect("some")) * STEP.as_secs_f64();
        for (order, expected) in [
            ("as they come", &[][..]),
            ("longest parent first", &parents),
            ("longest first", &lengths),
        ] {
            let candidates = Candidates {
                total: rows,
                block: 0..rows,
                genomes: Genomes::Dense(Dense {
                    dim: 1,
                    data: lengths.iter().map(|&s| s as f32).collect(),
                }),
                seeds: vec![0; rows],
                offered: 0..rows,
                expected_steps: expected.to_vec(),
                ..Candidates::default()
            };
            let mut evaluator = Evaluator::new(&task).expect("workers of nothing");
            let repeats = (600 / rows).clamp(2, 20);
            // The shortest of the repeats: a neighbour on the machine only ever adds.
            let mut once = || {
                evaluator
                    .evaluate(&candidates, archive.as_ref(), &mut Batch::new(), &mut Vec::new())
                    .expect("rows");
                evaluator.take_busy()
            };
            let busy = (0..repeats).map(|_| once()).min_by_key(|busy| busy.wall);
            let busy = busy.expect("at least two repeats");
            let wall = busy.wall.as_secs_f64();
            let idle = 1.0 - busy.work.as_secs_f64() / (THREADS as f64 * wall);
            println!(
                "{rows:>9} {order:>22} {:>10.1} {:>12.2} {:>10.1} %",
                1e3 * wall,
                wall / ideal.max(longest),
                100.0 * idle
            );
        }
    }
}
