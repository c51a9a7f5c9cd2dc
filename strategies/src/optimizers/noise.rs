//! The standard normal numbers of which members are made, and their weighted sums over a generation.

use illume_core::{Context, Purpose, Result, Stream, block};
use illume_numerics::simd_dispatch;
use rayon::prelude::*;

use crate::gather::gather;

/// Genes that one parallel task adds up: sums stay in the first-level cache. They are of these slices first, whatever the ranks.
pub(super) const SLICE: usize = 512;
/// Directions that are added up at once, so that sums are loaded and stored once for all of them.
const TOGETHER: usize = 4;
/// Numbers of a generation from which ranks share the work of adding them up; below, that takes less time than to speak of it.
const SHARED: usize = 1 << 17;

/// The directions of a generation, of which members are made: a direction's numbers z are independent and standard normal.
pub(super) trait Noise {
    /// z of a direction, `[dim]`.
    fn direction(&self, number: usize, z: &mut [f64]);

    /// Sums over all directions of weight z and of weight z^2, `[dim]` each and whole on every rank; a direction has a weight for either sum.
    /// Collective if the noise is [`shared`].
    ///
    /// # Errors
    /// Communication.
    fn sums(&self, weights: &[[f64; 2]]) -> Result<[Vec<f64>; 2]>;
}

/// Noise by the streams of the seed and the generation.
pub(super) struct Drawn<'a> {
    pub context: &'a Context<'a>,
    pub directions: usize,
}

/// Whether ranks share the sums of a generation.
pub(super) fn shared(dim: usize, directions: usize) -> bool {
    dim > SLICE && dim.saturating_mul(directions) >= SHARED
}

impl Drawn<'_> {
    fn stream(&self, direction: usize) -> Stream {
        Stream::new(
            self.context.seed,
            Purpose::Perturbation,
            self.context.generation,
            direction as u64,
        )
    }
}

impl Noise for Drawn<'_> {
    fn direction(&self, number: usize, z: &mut [f64]) {
        let (stream, mut single) = (self.stream(number), [0.0f32; SLICE]);
        for (z, from) in z.chunks_mut(SLICE).zip((0..).step_by(SLICE)) {
            let single = &mut single[..z.len()];
            stream.normals(from, single);
            z.iter_mut().zip(single).for_each(|(z, single)| *z = f64::from(*single));
        }
    }

    fn sums(&self, weights: &[[f64; 2]]) -> Result<[Vec<f64>; 2]> {
        let weighted: Vec<(Stream, [f64; 2])> = (weights.iter().enumerate())
            .filter(|(_, weight)| **weight != [0.0; 2])
            .map(|(direction, weight)| (self.stream(direction), *weight))
            .collect();
        let dim = self.context.task.genome_dim;
        let (rank, size) = match shared(dim, self.directions) {
            true => (self.context.comm.rank(), self.context.comm.size()),
            false => (0, 1),
        };
        let mut sums = [vec![0.0; dim], vec![0.0; dim]];
        let mine = genes_of(dim, rank, size);
        let [first, second] = &mut sums;
        first[mine.clone()]
            .par_chunks_mut(SLICE)
            .zip(second[mine.clone()].par_chunks_mut(SLICE))
            .enumerate()
            .for_each(|(s, (first, second))| add_up(&weighted, mine.start + s * SLICE, first, second));
        if size > 1 {
            for values in &mut sums {
                gather(self.context, values, |rank| genes_of(dim, rank, size))?;
            }
        }
        Ok(sums)
    }
}

/// The genes of a rank's slices.
pub(super) fn genes_of(dim: usize, rank: usize, size: usize) -> std::ops::Range<usize> {
    let slices = block(dim.div_ceil(SLICE), rank, size);
    (slices.start * SLICE).min(dim)..(slices.end * SLICE).min(dim)
}

/// Sums of weight z and weight z^2 over streams, of a slice's genes from number `from` on, in place of what `first` and `second` held.
pub(super) fn add_up(weighted: &[(Stream, [f64; 2])], from: usize, first: &mut [f64], second: &mut [f64]) {
    first.fill(0.0);
    second.fill(0.0);
    let mut z = [[0.0; SLICE]; TOGETHER];
    for weighted in weighted.chunks(TOGETHER) {
        let mut weights = [[0.0; 2]; TOGETHER];
        for (((stream, w), weight), z) in weighted.iter().zip(&mut weights).zip(&mut z) {
            *weight = *w;
            stream.normals(from as u64, &mut z[..first.len()]);
        }
        add_moments(&z, weights, first, second);
    }
}

/// `first += weight z`, `second += weight z^2`, one direction after another.
fn add_moments(z: &[[f32; SLICE]; TOGETHER], weights: [[f64; 2]; TOGETHER], first: &mut [f64], second: &mut [f64]) {
    simd_dispatch!(
        fn [](z: &[[f32; SLICE]; TOGETHER], weights: [[f64; 2]; TOGETHER], first: &mut [f64], second: &mut [f64]) {
            let [z0, z1, z2, z3] = z;
            for (((((a, b), z0), z1), z2), z3) in first.iter_mut().zip(second).zip(z0).zip(z1).zip(z2).zip(z3) {
                for (z, [weight, of_square]) in [z0, z1, z2, z3].into_iter().zip(weights) {
                    let z = f64::from(*z);
                    *a += weight * z;
                    *b = (of_square * z).mul_add(z, *b);
                }
            }
        }
    )
}
