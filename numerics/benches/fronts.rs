//! Hypervolumes of points on a sphere: `cargo bench -p illume-numerics --bench fronts`.
//!
//! Milliseconds on one thread and on all, medians of seven. `tools/check_moocore.py time OBJECTIVES POINTS...` takes the same sets, and prints the same values.

use std::hint::black_box;
use std::time::Instant;

use illume_numerics::fronts::{Points, hypervolume};
use illume_numerics::noise::mix64;

const SETS: [(usize, &[usize]); 5] = [
    (2, &[100, 10_000]),
    (3, &[100, 1000, 10_000]),
    (4, &[100, 300, 1000]),
    (5, &[100, 300]),
    (6, &[100, 200]),
];

/// As `tools/check_moocore.py` draws them: none dominates another, and the reference is 1 where all are minimized.
fn sphere(n: usize, m: usize) -> Vec<f64> {
    let words = (0..(n * m) as u64).map(|i| mix64((n as u64 + 1) << 32 | i) >> 11);
    let mut values: Vec<f64> = words.map(|word| word as f64 / (1u64 << 53) as f64 + 1e-3).collect();
    for point in values.chunks_exact_mut(m) {
        let norm = point.iter().map(|x| x * x).sum::<f64>().sqrt();
        point.iter_mut().for_each(|x| *x = -(1.0 - *x / norm));
    }
    values
}

fn median(run: impl Fn()) -> f64 {
    let mut seconds: Vec<f64> = (0..7)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[3]
}

fn main() {
    let alone = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread");
    for (m, counts) in SETS {
        for &n in counts {
            let values = sphere(n, m);
            let (points, reference) = (Points::new(&values, m), vec![-1.0; m]);
            let value = hypervolume(&points, &reference);
            let run = || {
                black_box(hypervolume(black_box(&points), &reference));
            };
            let (one, all) = (median(|| alone.install(run)), median(run));
            println!(
                "{m} objectives, {n} points: {:.3} ms, {:.3} ms on all threads, {value:?}",
                1e3 * one,
                1e3 * all
            );
        }
    }
}
