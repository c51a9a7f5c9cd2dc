//! What re-evaluated rows are worth as an archive, by the field's two measures.
//!
//! - *Expected*: every row stays in the cell that it is kept in, or was asked for, with its mean fitness, wherever its episodes led. So do
//!   the programs of DCG-MAP-Elites and DCRL-MAP-Elites (Faldor et al. 2023, 2024; `main_reproducibility.py`,
//!   `analysis/plot_reproducibility.py`).
//! - *Corrected*: every row is put anew into an empty archive, at its mean descriptor with its mean fitness; of a cell's rows the best
//!   counts. So does the literature on uncertain domains (Flageat and Cully 2023) and QDax (`utils/uncertainty_metrics.py`, which takes
//!   medians unless told otherwise).
//!
//! Both are estimates of this very set of rows over other episodes; standard errors say how far these are off, not how other runs would
//! differ. The best of several noisy means is on average too high, which no standard error tells.

use illume_archives::metrics::{Metrics, measure_archive};
use illume_core::{Archive, ArchiveSpec};
use rayon::prelude::*;

use super::Reevaluated;

/// Archives drawn again for a standard error, which comes out within 7 % (1 / sqrt(2 * 99)) of what more of them would give.
const REPLICATES: usize = 100;

/// Where rows fall by their mean descriptor: the archive without luck.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Corrected {
    /// Cell of each row's mean descriptor, -1 for a row that is refused as outside or has none, `[n]`.
    pub cells: Vec<i64>,
    /// Highest mean fitness in each cell, NaN for an empty one: what `archives::metrics::measure` takes, `[cells]`.
    pub fitness: Vec<f64>,
}

/// Standard errors; NaN where nothing is known of the spread, as with a single episode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Errors {
    pub qd_score: f64,
    pub coverage: f64,
    pub max_fitness: f64,
}

/// Metrics with their standard errors.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    pub metrics: Metrics,
    pub se: Errors,
}

/// Both measures of the same rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    pub expected: Score,
    pub corrected: Score,
    /// Cell of each row's mean descriptor, as in [`Corrected`].
    pub cells: Vec<i64>,
}

/// Puts every row into the cell of its mean descriptor; of a cell's rows the best counts. In an unstructured archive, where a member's
/// number is its cell, every row stays where it is.
pub fn corrected(archive: &dyn Archive, rows: &Reevaluated) -> Corrected {
    settle(archive, &rows.fitness, &rows.descriptor)
}

fn settle(archive: &dyn Archive, mean_fitness: &[f64], descriptor: &[f64]) -> Corrected {
    let n = mean_fitness.len();
    let mut cells: Vec<i64> = (0..n as i64).collect();
    let mut fitness = vec![f64::NAN; n];
    if archive.spec().has_cells() {
        archive.locate(descriptor, &mut cells);
        fitness = vec![f64::NAN; archive.spec().capacity];
    }
    for (cell, &mean) in cells.iter_mut().zip(mean_fitness) {
        if mean.is_nan() {
            *cell = -1;
        }
        if let Ok(at) = usize::try_from(*cell) {
            fitness[at] = fitness[at].max(mean);
        }
    }
    Corrected { cells, fitness }
}

/// Both measures with standard errors; `seeds` `[n]` are those of the trial. Any number of threads gives the same bits.
pub fn scores(archive: &dyn Archive, rows: &Reevaluated, seeds: &[u64]) -> Scores {
    let spec = archive.spec();
    let settled = corrected(archive, rows);
    let [mut expected_se, corrected_se] = errors(archive, rows, seeds);
    if spec.has_cells() {
        expected_se.qd_score = rows.parts.error_of_sum(seeds);
    }
    Scores {
        expected: Score {
            metrics: expected(spec, &rows.fitness),
            se: expected_se,
        },
        corrected: Score {
            metrics: measure_archive(spec, &settled.fitness),
            se: corrected_se,
        },
        cells: settled.cells,
    }
}

/// Every row in a cell of its own.
fn expected(spec: &ArchiveSpec, fitness: &[f64]) -> Metrics {
    let mut metrics = measure_archive(spec, fitness);
    if spec.has_cells() {
        metrics.coverage = metrics.filled as f64 / spec.capacity as f64;
    }
    metrics
}

/// Standard errors of the expected and of the corrected metrics: how much they scatter over archives of episodes drawn again.
fn errors(archive: &dyn Archive, rows: &Reevaluated, seeds: &[u64]) -> [Errors; 2] {
    let (spec, parts) = (archive.spec(), &rows.parts);
    let (n, k) = (seeds.len(), spec.axes.len());
    let number = |x: f64| Errors {
        qd_score: if spec.has_cells() { x } else { f64::NAN },
        coverage: if spec.has_cells() { x } else { f64::NAN },
        max_fitness: x,
    };
    if !parts.have_spread() {
        return [number(f64::NAN); 2];
    }
    if parts.are_equal() {
        return [number(0.0); 2];
    }
    let mut drawn = vec![0.0; n * (1 + k)];
    let mut found = [(); 2].map(|()| Vec::with_capacity(REPLICATES));
    for replicate in 0..REPLICATES {
        let drawing = drawn.par_chunks_mut(1 + k).enumerate();
        drawing.for_each(|(row, out)| {
            let mean = (rows.fitness[row], &rows.descriptor[row * k..(row + 1) * k]);
            parts.draw(row, seeds[row], replicate, mean, &spec.axes, out);
        });
        let fitness: Vec<f64> = drawn.chunks_exact(1 + k).map(|row| row[0]).collect();
        let descriptor: Vec<f64> = drawn.chunks_exact(1 + k).flat_map(|row| &row[1..]).copied().collect();
        let settled = settle(archive, &fitness, &descriptor);
        found[0].push(expected(spec, &fitness));
        found[1].push(measure_archive(spec, &settled.fitness));
    }
    found.map(|all| Errors {
        qd_score: spread(all.iter().map(|m| m.qd_score)),
        coverage: spread(all.iter().map(|m| m.coverage)),
        max_fitness: spread(all.iter().map(|m| m.max_fitness)),
    })
}

/// Standard deviation of a sample; exactly zero for equal values.
fn spread(values: impl ExactSizeIterator<Item = f64> + Clone) -> f64 {
    let (n, first) = (values.len() as f64, values.clone().next().unwrap_or(0.0));
    let mean = values.clone().map(|x| x - first).sum::<f64>() / n;
    (values.map(|x| (x - first - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt()
}

#[cfg(test)]
mod tests;
