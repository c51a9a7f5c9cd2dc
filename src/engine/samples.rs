//! Several evaluations of a candidate, by the tags `samples` (how many) and `spread` (whose presence asks how far apart they lie).

use std::ops::Range;

use illume_core::{Again, Archive, Request, Scores, TaskSpec, Worker, mix64};

/// The tag that says how many evaluations a row is the mean of.
pub(crate) const SAMPLES: &str = "samples";

/// The tag that a row's spread is written into: the mean distance between the descriptors of its evaluations.
pub(crate) const SPREAD: &str = "spread";

/// The seed of a row's sample: the row's own for the first. Never that of a repeat (`task.repeats`) of another.
fn seed_of(seed: u64, sample: u32) -> u64 {
    match sample {
        0 => seed,
        again => mix64(seed ^ mix64(1 << 32 | u64::from(again))),
    }
}

/// Scores rows by the mean of `n` evaluations each. `places` becomes the descriptors of all of them, `[n, rows, k]`, if they are wanted.
pub(crate) fn evaluate(
    (worker, again): (&mut dyn Worker, &mut Again),
    request: &Request<'_>,
    rows: Range<usize>,
    n: u32,
    scores: &mut Scores<'_>,
    (task, mut places): (&TaskSpec, Option<&mut Vec<f64>>),
) {
    worker.evaluate(request, rows.clone(), scores);
    scores.check_finite();
    if let Some(places) = &mut places {
        places.extend_from_slice(scores.descriptor);
    }
    for sample in 1..n {
        again.add(worker, request, rows.clone(), |seed| seed_of(seed, sample), scores);
        if let Some(places) = &mut places {
            places.extend_from_slice(again.descriptor());
        }
    }
    if n > 1 {
        Again::mean(scores, n as usize, &task.measures);
        scores.check_finite();
    }
}

/// Puts rows where most of their evaluations lie (of equals in the lowest cell): `descriptor` becomes the mean of these. `spread` becomes the mean distance between the evaluations of each. `places` are `[n, rows, k]`.
pub(crate) fn settle(
    archive: &dyn Archive,
    places: &[f64],
    n: u32,
    (descriptor, cells, spread): (&mut [f64], &mut [i64], &mut [f64]),
) {
    let (rows, n) = (cells.len(), n as usize);
    let k = descriptor.len() / rows.max(1);
    let mut located = vec![0; n * rows];
    archive.locate(places, &mut located);
    let place = |sample: usize, row: usize| &places[(sample * rows + row) * k..][..k];
    for row in 0..rows {
        let mut own: Vec<i64> = (0..n).map(|sample| located[sample * rows + row]).collect();
        own.sort_unstable();
        let mode = own.chunk_by(|a, b| a == b).rev().max_by_key(|same| same.len());
        cells[row] = mode.map_or(-1, |same| same[0]);
        let there = (0..n).filter(|sample| located[sample * rows + row] == cells[row]);
        let mean = &mut descriptor[row * k..(row + 1) * k];
        mean.fill(0.0);
        let mut count = 0.0;
        for sample in there {
            count += 1.0;
            mean.iter_mut().zip(place(sample, row)).for_each(|(sum, x)| *sum += x);
        }
        mean.iter_mut().for_each(|sum| *sum /= f64::max(count, 1.0));
        let pairs = (0..n).flat_map(|a| (0..a).map(move |b| (a, b)));
        let distance = |(a, b): (usize, usize)| {
            let squares = place(a, row).iter().zip(place(b, row)).map(|(x, y)| (x - y) * (x - y));
            squares.sum::<f64>().sqrt()
        };
        let sum: f64 = pairs.map(distance).sum();
        spread[row] = sum / ((n * (n - 1) / 2).max(1)) as f64;
    }
}
