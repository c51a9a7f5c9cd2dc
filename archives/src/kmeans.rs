//! Centroids of a centroidal Voronoi tessellation: Lloyd's k-means over uniform samples (Vassiliades, Chatzilygeroudis and
//! Mouret, 'Using centroidal Voronoi tessellations to scale up MAP-Elites', IEEE Trans. Evol. Comp. 2018).
//!
//! The start is a randomly shifted low-discrepancy sequence (Roberts' R_k: steps of inverse powers of the generalized golden
//! ratio), which is spread more evenly than k-means++ and costs nothing. Samples are assigned in parallel and summed in
//! order, so that the result does not depend on the number of threads.

use illume_core::{Purpose, Stream};
use rayon::prelude::*;

use crate::nearest::Nearest;

/// Changes whenever the same parameters give other centroids: cached ones are then computed anew.
pub(crate) const VERSION: u64 = 1;

/// Samples handed to a thread at a time.
const CHUNK: usize = 1024;

/// What centroids depend on, besides [`VERSION`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Setting {
    pub(crate) cells: usize,
    pub(crate) samples: usize,
    /// Lloyd iterations at most; fewer if the assignment stops changing.
    pub(crate) iterations: usize,
    pub(crate) seed: u64,
    pub(crate) lower: Vec<f64>,
    pub(crate) upper: Vec<f64>,
}

/// The centroids, `[cells, k]`, within the bounds.
pub(crate) fn centroids(setting: &Setting) -> Vec<f64> {
    let k = setting.lower.len();
    let samples = samples(setting);
    let mut centroids = start(setting);
    let mut assigned = vec![0u32; setting.samples];
    let mut sums = vec![0.0; setting.cells * k];
    let mut counts = vec![0u32; setting.cells];
    for iteration in 0..setting.iterations {
        let changed = assign(&samples, &centroids, setting, &mut assigned);
        if changed == 0 && iteration > 0 {
            break;
        }
        sums.fill(0.0);
        counts.fill(0);
        for (sample, &cell) in samples.chunks_exact(k).zip(&assigned) {
            counts[cell as usize] += 1;
            let sum = &mut sums[cell as usize * k..(cell as usize + 1) * k];
            sum.iter_mut().zip(sample).for_each(|(s, x)| *s += x);
        }
        for (cell, &count) in counts.iter().enumerate().filter(|(_, c)| **c > 0) {
            for d in 0..k {
                let mean = sums[cell * k + d] / f64::from(count);
                centroids[cell * k + d] = mean.clamp(setting.lower[d], setting.upper[d]);
            }
        }
    }
    centroids
}

/// Assigns every sample to its nearest centroid; gives the number of samples whose centroid changed.
fn assign(samples: &[f64], centroids: &[f64], setting: &Setting, assigned: &mut [u32]) -> usize {
    let nearest = Nearest::new(centroids, &setting.lower, &setting.upper);
    let k = nearest.dims();
    samples
        .par_chunks(CHUNK * k)
        .zip(assigned.par_chunks_mut(CHUNK))
        .map(|(points, assigned)| {
            let mut before = [0; CHUNK];
            let before = &mut before[..assigned.len()];
            before.copy_from_slice(assigned);
            nearest.find(points, assigned);
            before.iter().zip(assigned.iter()).filter(|(a, b)| a != b).count()
        })
        .sum()
}

/// Uniform points in the bounds, `[samples, k]`.
fn samples(setting: &Setting) -> Vec<f64> {
    let k = setting.lower.len();
    let stream = Stream::new(setting.seed, Purpose::Centroids, 0, 0);
    let mut samples = vec![0.0; setting.samples * k];
    samples
        .par_chunks_mut(CHUNK * k)
        .enumerate()
        .for_each(|(chunk, points)| {
            for (i, x) in points.iter_mut().enumerate() {
                let d = i % k;
                let u = stream.uniform((chunk * CHUNK * k + i) as u64);
                *x = (setting.lower[d] + (setting.upper[d] - setting.lower[d]) * u).min(setting.upper[d]);
            }
        });
    samples
}

/// The first `cells` points of the shifted R_k sequence, scaled to the bounds.
fn start(setting: &Setting) -> Vec<f64> {
    let k = setting.lower.len();
    let shift = Stream::new(setting.seed, Purpose::Centroids, 0, 1);
    // The generalized golden ratio: the positive root of x^(k+1) = x + 1.
    let ratio = (0..64).fold(2.0f64, |x, _| (1.0 + x).powf(1.0 / (k as f64 + 1.0)));
    let steps: Vec<f64> = (1..=k as i32).map(|d| ratio.powi(-d)).collect();
    let mut points = Vec::with_capacity(setting.cells * k);
    for i in 0..setting.cells {
        for (d, step) in steps.iter().enumerate() {
            let u = (shift.uniform(d as u64) + step * (i + 1) as f64).fract();
            points.push((setting.lower[d] + (setting.upper[d] - setting.lower[d]) * u).min(setting.upper[d]));
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(cells: usize, samples: usize, k: usize) -> Setting {
        Setting {
            cells,
            samples,
            iterations: 100,
            seed: 3,
            lower: vec![0.0; k],
            upper: vec![1.0; k],
        }
    }

    /// Mean squared distance of fresh uniform points to their nearest centroid.
    fn quality(centroids: &[f64], k: usize, points: usize) -> f64 {
        let stream = Stream::new(1, Purpose::Centroids, 7, 7);
        let x: Vec<f64> = (0..points * k).map(|i| stream.uniform(i as u64)).collect();
        let mut found = vec![0; points];
        Nearest::new(centroids, &vec![0.0; k], &vec![1.0; k]).find(&x, &mut found);
        let squared = |p: &[f64], c: u32| -> f64 {
            p.iter()
                .zip(&centroids[c as usize * k..])
                .map(|(x, c)| (x - c) * (x - c))
                .sum()
        };
        x.chunks_exact(k).zip(found).map(|(p, c)| squared(p, c)).sum::<f64>() / points as f64
    }

    #[test]
    fn any_number_of_threads_gives_the_same_centroids() {
        for k in [2, 5] {
            let run = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| centroids(&setting(100, 5000, k)))
            };
            let one = run(1);
            assert_eq!(one, run(2));
            assert_eq!(one, run(5));
        }
    }

    #[test]
    fn seed_samples_and_iterations_all_matter() {
        let base = setting(50, 2000, 2);
        let first = centroids(&base);
        for other in [
            Setting {
                seed: 4,
                ..base.clone()
            },
            Setting {
                samples: 2001,
                ..base.clone()
            },
            Setting {
                iterations: 3,
                ..base.clone()
            },
        ] {
            assert_ne!(first, centroids(&other));
        }
    }

    /// scikit-learn's k-means (random start) and QDax's (k-means++) on 10,000 centroids from 100,000 samples (pyribs 0.12.0,
    /// QDax 0.5.0): 2-D 1.974e-5 and 1.857e-5, 6-D 0.02440 and 0.02436.
    #[test]
    fn centroids_are_as_good_as_those_of_scikit_learn_and_qdax() {
        for (k, peer) in [(2, 1.857e-5), (6, 0.02436)] {
            let c = centroids(&setting(10_000, 100_000, k));
            let mse = quality(&c, k, 200_000);
            assert!(mse < 1.005 * peer, "{k}-D: {mse}, peer {peer}");
        }
    }

    #[test]
    fn as_many_cells_as_samples_is_no_trouble() {
        let c = centroids(&setting(500, 500, 2));
        assert!(c.iter().all(|x| (0.0..=1.0).contains(x)));
    }
}
