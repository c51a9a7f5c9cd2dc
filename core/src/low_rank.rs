//! Perturbations of low rank (EGGROLL, 2025, <https://arxiv.org/abs/2511.16652>): a genome is a list of matrices, and each is moved along
//! `A B' / sqrt(rank)` with normal A and B, whose elements have mean 0 and variance 1 and are uncorrelated.

use std::ops::Range;

use illume_numerics::elements::add_scaled;

/// How the normal numbers of a pair make a direction in a space of matrices.
#[derive(Debug, Clone, PartialEq)]
pub struct LowRank {
    rank: usize,
    matrices: Vec<MatrixPlace>,
    genes: usize,
    numbers: usize,
}

/// Where a matrix lies in a genome, and its factors among a pair's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixPlace {
    pub rows: usize,
    pub columns: usize,
    /// `[rows, columns]` of the genome.
    pub genes: Range<usize>,
    /// First of the numbers of B, `[rank, columns]`.
    pub b: usize,
    /// First of the numbers of A, `[rank, rows]`, which follow B's.
    pub a: usize,
}

impl LowRank {
    /// Of matrices `[rows, columns]` that follow one another in a genome; `rank` is at least 1.
    pub fn new(rank: usize, matrices: &[[usize; 2]]) -> LowRank {
        let (mut genes, mut numbers) = (0, 0);
        let place = |&[rows, columns]: &[usize; 2]| {
            let (first, b) = (genes, numbers);
            genes += rows * columns;
            numbers += rank * (rows + columns);
            MatrixPlace {
                rows,
                columns,
                genes: first..genes,
                b,
                a: b + rank * columns,
            }
        };
        let matrices = matrices.iter().map(place).collect();
        LowRank {
            rank,
            matrices,
            genes,
            numbers,
        }
    }

    pub fn rank(&self) -> usize {
        self.rank
    }

    pub fn matrices(&self) -> &[MatrixPlace] {
        &self.matrices
    }

    /// Genes of a genome.
    pub fn genes(&self) -> usize {
        self.genes
    }

    /// Normal numbers that a pair draws.
    pub fn numbers(&self) -> usize {
        self.numbers
    }

    /// `1 / sqrt(rank)`, by which products of factors are multiplied.
    pub fn scaling(&self) -> f32 {
        1.0 / (self.rank as f32).sqrt()
    }

    /// Adds `scale A B' / sqrt(rank)` to the matrices in `genes` `[genes]`, A and B being in `numbers` `[numbers]`.
    pub fn add(&self, numbers: &[f32], scale: f32, genes: &mut [f32]) {
        let scale = scale * self.scaling();
        for m in &self.matrices {
            for r in 0..self.rank {
                let b = &numbers[m.b + r * m.columns..m.b + (r + 1) * m.columns];
                let a = &numbers[m.a + r * m.rows..m.a + (r + 1) * m.rows];
                let rows = genes[m.genes.clone()].chunks_exact_mut(m.columns);
                rows.zip(a).for_each(|(row, a)| add_scaled(b, scale * a, row));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Purpose, Stream};

    #[test]
    fn elements_of_a_direction_are_uncorrelated_with_variance_1_at_every_rank() {
        const PAIRS: u64 = 20_000;
        for rank in [1, 3] {
            let shape = LowRank::new(rank, &[[2, 3], [1, 2]]);
            assert_eq!((shape.genes(), shape.numbers()), (8, rank * 8));
            let (mut sums, mut products) = ([0.0; 8], [[0.0; 8]; 8]);
            let mut numbers = vec![0.0; shape.numbers()];
            for pair in 0..PAIRS {
                Stream::new(3, Purpose::Perturbation, 0, pair).normals(0, &mut numbers);
                let mut direction = [0.0; 8];
                shape.add(&numbers, 1.0, &mut direction);
                for i in 0..8 {
                    sums[i] += f64::from(direction[i]);
                    (0..8).for_each(|j| products[i][j] += f64::from(direction[i]) * f64::from(direction[j]));
                }
            }
            for i in 0..8 {
                assert!((sums[i] / PAIRS as f64).abs() < 0.03, "rank {rank}, mean of {i}");
                for (j, sum) in products[i].iter().enumerate() {
                    let want = f64::from(u8::from(i == j));
                    let got = sum / PAIRS as f64;
                    assert!(
                        (got - want).abs() < 0.08,
                        "rank {rank}, covariance of {i} and {j}: {got}"
                    );
                }
            }
        }
    }
}
