//! Genomes evaluated again in fresh episodes: what an archive, or a policy in its place, is worth without the luck of the draw
//! (Flageat and Cully, 'Uncertain Quality-Diversity', 2023, <https://arxiv.org/abs/2302.00463>).

mod parts;
mod scores;

use std::ops::Range;
use std::sync::Arc;

use illume_core::{Archive, Batch, Candidates, Genomes, Normalization, Result, Status, mix64};

use crate::Evaluator;
pub use parts::Parts;
pub use scores::{Corrected, Errors, Score, Scores, corrected, scores};

/// Genes that are decoded or read at a time.
const GENES_AT_ONCE: usize = 1 << 24;

/// How rows are to be evaluated again.
pub struct Trial<'a> {
    /// Fresh episodes of each row, at least 1.
    pub episodes: usize,
    /// One for each row, `[n]`: episode e of row i has the seed [`fresh_seed`]`(seeds[i], e)`. Whoever is to be compared with
    /// an archive side by side takes the seeds of its elites, and meets the same starts.
    pub seeds: &'a [u64],
    /// Descriptors from which distances are wanted, each `[n, k]`: those that were stored or asked for, the cells' centers.
    pub targets: &'a [&'a [f64]],
}

/// What became of each row. Rows without any episode that ended well are NaN.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Reevaluated {
    /// Episodes that ended well; the others count in nothing below, `[n]`.
    pub episodes: Vec<u32>,
    /// Mean fitness, `[n]`.
    pub fitness: Vec<f64>,
    /// Standard deviation of the fitness over these episodes (divided by their number), `[n]`.
    pub fitness_sd: Vec<f64>,
    /// Mean descriptor, `[n, k]`.
    pub descriptor: Vec<f64>,
    /// Root mean square distance of the episodes' descriptors to their mean, `[n]`.
    pub descriptor_sd: Vec<f64>,
    /// For each target, the mean over episodes of the Euclidean distance of the episode's descriptor to it, `[n]`.
    pub distances: Vec<Vec<f64>>,
    /// How the episodes scatter about these means.
    pub parts: Parts,
}

/// The seed of fresh episode `episode` of a row whose own seed is `seed`.
pub fn fresh_seed(seed: u64, episode: usize) -> u64 {
    mix64(seed ^ (episode as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// Genomes by themselves as candidates of one process: no tags, seeds that the caller sets.
pub fn candidates(genomes: Genomes, rows: usize, normalization: Option<Arc<Normalization>>) -> Candidates {
    Candidates {
        total: rows,
        block: 0..rows,
        offered: 0..rows,
        genomes,
        seeds: vec![0; rows],
        normalization,
        ..Candidates::default()
    }
}

/// Pieces of `rows` rows of `genes` genes each that are held at a time.
pub fn pieces(rows: usize, genes: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (GENES_AT_ONCE / genes.max(1)).max(1);
    (0..rows)
        .step_by(step)
        .map(move |start| start..(start + step).min(rows))
}

/// Evaluates every row of the trial in fresh episodes. `genomes` gives the [`candidates`] of a range of rows, each of `genes` genes; it is
/// asked for them in order and piece by piece, so that an archive need not fit into memory. Any number of threads gives the same bits.
///
/// # Errors
/// What `genomes` says.
pub fn reevaluate(
    evaluator: &mut Evaluator<'_>,
    archive: &dyn Archive,
    trial: &Trial<'_>,
    genes: usize,
    mut genomes: impl FnMut(Range<usize>) -> Result<Candidates>,
) -> Result<Reevaluated> {
    let (n, k) = (trial.seeds.len(), archive.spec().axes.len());
    let mut sums = Sums::new(n, k, trial.targets.len(), trial.episodes);
    let (mut scored, mut unused) = (Batch::new(), Vec::new());
    for rows in pieces(n, genes) {
        let mut candidates = genomes(rows.clone())?;
        for episode in 0..trial.episodes {
            for (fresh, &own) in candidates.seeds.iter_mut().zip(&trial.seeds[rows.clone()]) {
                *fresh = fresh_seed(own, episode);
            }
            evaluator.evaluate(&candidates, archive, &mut scored, &mut unused)?;
            sums.add(rows.start, episode, &scored, trial.targets)?;
        }
    }
    Ok(sums.finish())
}

/// Running means and sums of squares (Welford 1962): equal episodes give a spread of exactly zero, however large the values.
struct Sums {
    k: usize,
    rows: Reevaluated,
}

impl Sums {
    fn new(n: usize, k: usize, targets: usize, episodes: usize) -> Sums {
        let rows = Reevaluated {
            episodes: vec![0; n],
            fitness: vec![0.0; n],
            fitness_sd: vec![0.0; n],
            descriptor: vec![0.0; n * k],
            descriptor_sd: vec![0.0; n],
            distances: vec![vec![0.0; n]; targets],
            parts: Parts::new(n, k, episodes),
        };
        Sums { k, rows }
    }

    /// Adds episode `episode` of the rows from `start`.
    fn add(&mut self, start: usize, episode: usize, scored: &Batch, targets: &[&[f64]]) -> Result<()> {
        let (status, fitness) = (scored.get::<u8>("status")?, scored.get::<f64>("fitness")?);
        let (descriptor, k, sums) = (scored.get::<f64>("descriptor")?, self.k, &mut self.rows);
        for i in (0..status.len()).filter(|&i| status[i] == Status::Ok as u8) {
            let (at, d) = (start + i, &descriptor[i * k..(i + 1) * k]);
            sums.episodes[at] += 1;
            sums.parts.add(at, episode, fitness[i], d);
            let count = f64::from(sums.episodes[at]);
            let step = |mean: &mut f64, squares: &mut f64, x: f64| {
                let before = x - *mean;
                *mean += before / count;
                *squares += before * (x - *mean);
            };
            step(&mut sums.fitness[at], &mut sums.fitness_sd[at], fitness[i]);
            for (mean, &x) in sums.descriptor[at * k..(at + 1) * k].iter_mut().zip(d) {
                step(mean, &mut sums.descriptor_sd[at], x);
            }
            for (mean, target) in sums.distances.iter_mut().zip(targets) {
                let squares = d
                    .iter()
                    .zip(&target[at * k..(at + 1) * k])
                    .map(|(x, t)| (x - t).powi(2));
                mean[at] += (squares.sum::<f64>().sqrt() - mean[at]) / count;
            }
        }
        Ok(())
    }

    fn finish(self) -> Reevaluated {
        let (k, mut rows) = (self.k, self.rows);
        rows.parts.center(&rows.fitness, &rows.descriptor);
        for (i, &episodes) in rows.episodes.iter().enumerate() {
            if episodes == 0 {
                rows.fitness[i] = f64::NAN;
                rows.descriptor[i * k..(i + 1) * k].fill(f64::NAN);
                rows.distances.iter_mut().for_each(|d| d[i] = f64::NAN);
            }
            // Without episodes 0 / 0, which is NaN as it should be.
            rows.fitness_sd[i] = (rows.fitness_sd[i] / f64::from(episodes)).sqrt();
            rows.descriptor_sd[i] = (rows.descriptor_sd[i] / f64::from(episodes)).sqrt();
        }
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn episode(fitness: &[f64], descriptor: &[f64], status: &[u8]) -> Batch {
        let mut batch = Batch::new();
        batch.push("status", 1, "", "", status.to_vec());
        batch.push("fitness", 1, "", "", fitness.to_vec());
        batch.push("descriptor", 2, "", "", descriptor.to_vec());
        batch
    }

    #[test]
    fn means_spreads_and_distances_are_those_of_the_episodes_that_ended_well() {
        let target = [0.0, 0.0, 1.0, 1.0, 0.0, 0.0];
        let mut sums = Sums::new(3, 2, 1, 2);
        let targets: &[&[f64]] = &[&target];
        // Row 0 is whole, row 1 fails once, row 2 always.
        sums.add(
            0,
            0,
            &episode(&[1.0, 7.0, 0.0], &[3.0, 4.0, 1.0, 1.0, 0.0, 0.0], &[0, 0, 2]),
            targets,
        )
        .unwrap();
        sums.add(
            0,
            1,
            &episode(&[5.0, 0.0, 0.0], &[-3.0, 4.0, 0.0, 0.0, 0.0, 0.0], &[0, 1, 2]),
            targets,
        )
        .unwrap();
        let rows = sums.finish();
        assert_eq!(rows.episodes, [2, 1, 0]);
        assert_eq!((rows.fitness[0], rows.fitness_sd[0]), (3.0, 2.0));
        assert_eq!((&rows.descriptor[..2], rows.descriptor_sd[0]), (&[0.0, 4.0][..], 3.0));
        assert_eq!(rows.distances[0][..2], [5.0, 0.0]);
        assert_eq!(
            (rows.fitness[1], rows.fitness_sd[1], rows.descriptor_sd[1]),
            (7.0, 0.0, 0.0)
        );
        let none = [
            rows.fitness[2],
            rows.fitness_sd[2],
            rows.descriptor[4],
            rows.descriptor_sd[2],
            rows.distances[0][2],
        ];
        assert!(none.iter().all(|x| x.is_nan()), "{none:?}");
    }

    #[test]
    fn equal_episodes_have_no_spread_at_all() {
        let mut sums = Sums::new(1, 2, 0, 7);
        for number in 0..7 {
            sums.add(0, number, &episode(&[1e9 + 0.1], &[0.1, -0.7], &[0]), &[])
                .unwrap();
        }
        let rows = sums.finish();
        assert_eq!((rows.fitness[0], rows.fitness_sd[0]), (1e9 + 0.1, 0.0));
        assert_eq!((&rows.descriptor[..], rows.descriptor_sd[0]), (&[0.1, -0.7][..], 0.0));
    }

    #[test]
    fn pieces_cover_all_rows_once_in_order() {
        for (rows, genes) in [(0, 5), (10, 0), (10, 1 << 30), (1000, 1 << 20)] {
            let covered: Vec<usize> = pieces(rows, genes).flatten().collect();
            assert_eq!(covered, (0..rows).collect::<Vec<_>>());
        }
    }

    #[test]
    fn fresh_seeds_differ_between_rows_and_episodes_and_from_the_rows_own() {
        let mut seen: Vec<u64> = (0..100).collect();
        seen.extend((0..100).flat_map(|seed| (0..50).map(move |e| fresh_seed(seed, e))));
        let n = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), n);
    }
}
