//! CMA-ES with margin (Hamano, Saito, Nomura and Shirakawa, 'CMA-ES with margin: lower-bounding marginal probability for mixed-integer black-box optimization', GECCO 2022,
//! <https://arxiv.org/abs/2205.13482>; `CMAwM` of the package `cmaes`): genes that are integers or pairs of categories in a normal distribution.
//!
//! A discrete gene's number is not folded: it stands for the nearest of the gene's cells. Where the distribution becomes narrower than a cell all members would have
//! one value for ever; so after each update a gene's mean and the factor A by which its standard deviation is widened when members are made are corrected, such that
//! each side of the mean's cell keeps a probability of at least a margin (in the outermost cell its open side). Step size, covariance and paths know nothing of it.

use std::sync::Arc;

use illume_core::{TaskSpec, cell, middle};
use illume_numerics::normal::{upper_quantile, upper_tail};

use super::fold::Fold;

/// Probabilities beyond these are none that a quantile is asked of (`_cmawm.py:314`).
const SMALLEST: f64 = 1e-10;

/// The discrete genes of a task: (gene, its cells), ascending.
pub(super) type Discrete = Arc<[(usize, u32)]>;

/// Those of a task; none where all genes are real.
pub(super) fn discrete(task: &TaskSpec) -> Option<Discrete> {
    let runs = task.genes.as_ref()?.runs();
    let cells = runs.flat_map(|(genes, group)| genes.filter_map(|gene| Some((gene, group.cells()?))));
    let all: Discrete = cells.collect();
    (!all.is_empty()).then_some(all)
}

/// The discrete genes of a distribution.
#[derive(Debug, Clone)]
pub(super) struct Margin {
    pub genes: Discrete,
    /// alpha: the least probability of another value.
    alpha: f64,
    /// Its quantile.
    reach: f64,
}

impl Margin {
    /// Of a distribution with so many genes and members: 1 / (genes * members), as the paper recommends.
    pub fn new(genes: Discrete, dim: usize, members: usize) -> Margin {
        let alpha = 1.0 / (dim * members) as f64;
        Margin {
            genes,
            alpha,
            reach: upper_quantile(alpha.min(0.5)),
        }
    }

    /// Those of the genes in a range, with their places in it.
    pub fn within(&self, range: std::ops::Range<usize>) -> impl Iterator<Item = (usize, u32)> {
        let first = self.genes.partition_point(|(gene, _)| *gene < range.start);
        let genes = self.genes[first..].iter().take_while({
            let end = range.end;
            move |(gene, _)| *gene < end
        });
        genes.map(move |(gene, cells)| (gene - range.start, *cells))
    }

    /// Whether a gene is one.
    pub fn has(&self, gene: usize) -> bool {
        self.genes.binary_search_by_key(&gene, |(gene, _)| *gene).is_ok()
    }

    /// Takes back the fold of numbers that were unfolded from genes.
    pub fn unfolded(&self, fold: Option<&Fold>, mean: &mut [f64]) {
        if let Some(fold) = fold {
            self.genes
                .iter()
                .for_each(|(gene, _)| mean[*gene] = fold.gene(mean[*gene]));
        }
    }

    /// Corrects the mean and A of a gene whose standard deviation is `deviation` without A.
    pub fn correct(&self, cells: u32, deviation: f64, mean: &mut f64, factor: &mut f64) {
        let at = cell(*mean as f32, cells);
        let limit = |cell: u32| f64::from(cell) / f64::from(cells);
        let spread = deviation * *factor;
        if at == 0 || at == cells - 1 {
            // The outermost cells have one limit, and the mean lies somewhere behind it.
            let (limit, side) = if at == 0 { (limit(1), -1.0) } else { (limit(at), 1.0) };
            let distance = side * (*mean - limit);
            if upper_tail(distance / spread) < self.alpha {
                *mean = limit + side * spread * self.reach;
            }
            return;
        }
        let (low, high) = (limit(at), limit(at + 1));
        let tails = [upper_tail((*mean - low) / spread), upper_tail((high - *mean) / spread)];
        let half = self.alpha / 2.0;
        if tails.iter().all(|p| *p >= half) {
            return;
        }
        // What one side is lifted by, all are lowered by, each by its distance from the least that it may be.
        let lifted = tails.map(|p| p.max(half));
        let excess = lifted[0] + lifted[1] - tails[0] - tails[1];
        let room = 1.0 + excess - 3.0 * half;
        let kept = lifted.map(|p| (p - excess * (p - half) / room).clamp(SMALLEST, 0.5 - SMALLEST));
        let [below, above] = kept.map(upper_quantile);
        *factor = (high - low) / ((below + above) * deviation);
        *mean = (low * above + high * below) / (below + above);
    }
}

/// The gene, in coordinates, that a number stands for.
pub(super) fn gene(u: f64, cells: u32) -> f32 {
    middle(cell(u as f32, cells), cells)
}

#[cfg(test)]
mod tests;
