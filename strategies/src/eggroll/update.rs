//! The weighted sum of the pairs' directions: a product of stacked factors for each matrix, `(diag(w) A)' B / sqrt(r)`, summed in f32 in the order of the
//! pairs. Its bits depend neither on ranks nor on threads.

use illume_core::{LowRank, MatrixPlace, Perturbation};
use illume_numerics::Level;
use illume_numerics::transformer::{Matrix, Packed, Precision, Product, Start, Team};
use rayon::prelude::*;

/// Terms of the sums that are made at once: their factors are what the update takes of memory beside the center.
const TERMS: usize = 1024;
/// Genes of a part where directions are not of matrices.
const PART: usize = 4096;
/// Parts that are made at once.
const PARTS: usize = 64;

/// Calls `take`, part after part in the order of the genes, with the first gene of a part and `sum_p weights[p] direction(p)` there.
pub(super) fn each_part(members: &Perturbation, weights: &[f32], mut take: impl FnMut(usize, &mut [f32])) {
    let Some(shape) = &members.low_rank else {
        return each_part_of_full_rank(members, weights, take);
    };
    let mut buffers = Buffers::default();
    for matrix in shape.matrices() {
        take(matrix.genes.start, buffers.sum(members, shape, matrix, weights));
    }
}

fn each_part_of_full_rank(members: &Perturbation, weights: &[f32], mut take: impl FnMut(usize, &mut [f32])) {
    let dim = members.center.len();
    let mut sums = vec![0.0; dim.min(PART * PARTS)];
    for at in (0..dim).step_by(PART * PARTS) {
        let sums = &mut sums[..(dim - at).min(PART * PARTS)];
        sums.par_chunks_mut(PART).enumerate().for_each(|(i, sum)| {
            sum.fill(0.0);
            for (pair, weight) in weights.iter().enumerate().filter(|(_, w)| **w != 0.0) {
                members.stream(pair).add_normals((at + i * PART) as u64, *weight, sum);
            }
        });
        take(at, sums);
    }
}

#[derive(Default)]
struct Buffers {
    /// Factors of the pairs at hand, `[pairs, rank * (columns + rows)]`: B, then A.
    factors: Vec<f32>,
    /// `[rows, terms]`, weighted and scaled.
    a: Vec<f32>,
    /// `[columns, terms]`.
    b: Vec<f32>,
    /// `[rows, columns]` and what fills panels.
    product: Vec<f32>,
    /// `[rows, columns]`, where panels are filled.
    sum: Vec<f32>,
}

impl Buffers {
    /// The sum of one matrix, `[rows, columns]`.
    fn sum(&mut self, members: &Perturbation, shape: &LowRank, matrix: &MatrixPlace, weights: &[f32]) -> &mut [f32] {
        let (rank, rows, columns) = (shape.rank(), matrix.rows, matrix.columns);
        let width = rank * (columns + rows);
        let ld = columns.next_multiple_of(illume_numerics::LANES);
        self.product.clear();
        self.product.resize(rows * ld, 0.0);
        let pairs: Vec<(usize, f32)> = weights.iter().copied().enumerate().filter(|(_, w)| *w != 0.0).collect();
        for pairs in pairs.chunks((TERMS / rank).max(1)) {
            let terms = pairs.len() * rank;
            self.factors.resize(pairs.len() * width, 0.0);
            let factors = self.factors.par_chunks_mut(width).zip(pairs);
            factors.for_each(|(out, (pair, _))| members.stream(*pair).normals(matrix.b as u64, out));
            let factors = &self.factors;
            // Row r of a pair's factor begins at `first + r * step`; term t is of pair t / rank.
            let gather = |out: &mut Vec<f32>, lines: usize, first: usize, scale: &(dyn Fn(f32) -> f32 + Sync)| {
                out.resize(lines * terms, 0.0);
                out.par_chunks_mut(terms).enumerate().for_each(|(line, out)| {
                    for (t, x) in out.iter_mut().enumerate() {
                        let (pair, r) = (t / rank, t % rank);
                        *x = scale(pairs[pair].1) * factors[pair * width + first + r * lines + line];
                    }
                });
            };
            gather(&mut self.b, columns, 0, &|_| 1.0);
            gather(&mut self.a, rows, rank * columns, &|weight| weight * shape.scaling());
            let product = Product {
                weights: &Packed::new(&[&self.b], terms, Precision::F32),
                x: &self.a,
                x_ld: terms,
                start: Start::Output,
                extras: &[],
                y: Matrix::new(&mut self.product, rows, ld),
            };
            product.run(Level::best(), Team::Pool, None);
        }
        if ld == columns {
            return &mut self.product;
        }
        self.sum.clear();
        let lines = self.product.chunks_exact(ld);
        lines.for_each(|line| self.sum.extend_from_slice(&line[..columns]));
        &mut self.sum
    }
}
