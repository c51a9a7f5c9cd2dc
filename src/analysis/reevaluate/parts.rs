//! How the episodes of re-evaluated rows scatter about the rows' means, and how far chance moves what is made of these means.
//!
//! The mean fitness of a row over n episodes has the standard error s / sqrt(n), and a sum over rows the root of the sum of squares, if
//! the rows' episodes are independent. Rows with one and the same evaluation seed meet the same starts (common random numbers; `essa`
//! gives a whole generation one seed), so of these each episode is added up over the rows first: with a single seed for all rows, the
//! archive's episodes are the replicates; with a seed for each, this is the root of the sum of squares.
//!
//! What is no sum, because rows change cells and the best of a cell counts, is drawn again and again with episodes that are drawn with
//! replacement (the bootstrap: Efron and Tibshirani, 'An Introduction to the Bootstrap', 1993, chapter 6), each row by itself and rows of
//! one seed alike. Deviations from the mean are stretched by sqrt(n / (n - 1)) (Rao and Wu, 'Resampling Inference With Complex Survey
//! Data', 1988): five episodes scatter less about their own mean than about the true one.

use illume_core::Axis;

use super::fresh_seed;

/// Parts that the episodes of a row are dealt to at most, so that what is held of it is bounded.
const PARTS: usize = 32;

/// What sets draws apart from fresh episodes.
const DRAWS: u64 = 0x5e1f_d0c5_0b75_7a9d;

/// Episodes of each row, dealt out to parts: a part is one episode as long as there are no more than 32.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parts {
    number: usize,
    k: usize,
    /// Episodes that ended well, `[n, number]`.
    episodes: Vec<u32>,
    /// Sums over them of the differences to a reference, the row's first episode and at last its mean: of the fitness `[n, number]`, ...
    fitness: Vec<f64>,
    /// ... and of the descriptor, `[n, number, k]`.
    descriptor: Vec<f64>,
    /// Fitness and descriptor of each row's first episode, `[n, 1 + k]`.
    first: Vec<f64>,
}

impl Parts {
    pub(super) fn new(n: usize, k: usize, episodes: usize) -> Parts {
        let number = episodes.min(PARTS);
        Parts {
            number,
            k,
            episodes: vec![0; n * number],
            fitness: vec![0.0; n * number],
            descriptor: vec![0.0; n * number * k],
            first: vec![f64::NAN; n * (1 + k)],
        }
    }

    /// Adds an episode of a row that ended well.
    pub(super) fn add(&mut self, row: usize, episode: usize, fitness: f64, descriptor: &[f64]) {
        let (k, at) = (self.k, row * self.number + episode % self.number);
        let first = &mut self.first[row * (1 + k)..(row + 1) * (1 + k)];
        if first[0].is_nan() {
            first[0] = fitness;
            first[1..].copy_from_slice(descriptor);
        }
        self.episodes[at] += 1;
        self.fitness[at] += fitness - first[0];
        let sums = self.descriptor[at * k..(at + 1) * k].iter_mut();
        for ((sum, x), first) in sums.zip(descriptor).zip(&first[1..]) {
            *sum += x - first;
        }
    }

    /// Takes the rows' means as references, when all episodes have been added.
    pub(super) fn center(&mut self, fitness: &[f64], descriptor: &[f64]) {
        let (number, k) = (self.number, self.k);
        for (at, &count) in self.episodes.iter().enumerate().filter(|(_, n)| **n > 0) {
            let (row, count) = (at / number, f64::from(count));
            let first = &self.first[row * (1 + k)..(row + 1) * (1 + k)];
            self.fitness[at] -= count * (fitness[row] - first[0]);
            for axis in 0..k {
                self.descriptor[at * k + axis] -= count * (descriptor[row * k + axis] - first[1 + axis]);
            }
        }
        self.first = Vec::new();
    }

    fn rows(&self) -> usize {
        self.episodes.len() / self.number.max(1)
    }

    /// Episodes of the row in each part.
    fn counts(&self, row: usize) -> &[u32] {
        &self.episodes[row * self.number..(row + 1) * self.number]
    }

    /// By how much deviations from the row's mean are to be stretched. Infinite for a row of which a single part is known.
    fn stretch(&self, row: usize) -> f64 {
        let known = self.counts(row).iter().filter(|n| **n > 0).count() as f64;
        (known / (known - 1.0)).sqrt()
    }

    /// Whether the spread of all rows is known: none has a single episode that ended well.
    pub(super) fn have_spread(&self) -> bool {
        (0..self.rows()).all(|row| self.counts(row).iter().filter(|n| **n > 0).count() != 1)
    }

    /// Whether all episodes of a row were the same, for each row: then nothing is left to chance.
    pub(super) fn are_equal(&self) -> bool {
        let whole = |row| {
            let counts = self.counts(row);
            counts.iter().all(|n| *n > 0) || counts.iter().all(|n| *n == 0)
        };
        let zero = |sums: &[f64]| sums.iter().all(|x| *x == 0.0);
        zero(&self.fitness) && zero(&self.descriptor) && (0..self.rows()).all(whole)
    }

    /// Standard error of the sum over rows of their mean fitness. `seeds` `[n]` are those of the rows: rows that share one share their
    /// starts. NaN where a row has a single episode, as nothing is known of its spread.
    pub(super) fn error_of_sum(&self, seeds: &[u64]) -> f64 {
        if !self.have_spread() {
            return f64::NAN;
        }
        let mut order: Vec<usize> = (0..self.rows()).collect();
        order.sort_by_key(|&row| seeds[row]);
        let mut squares = 0.0;
        for alike in order.chunk_by(|&a, &b| seeds[a] == seeds[b]) {
            let mut together = [0.0; PARTS];
            for &row in alike {
                let episodes: u32 = self.counts(row).iter().sum();
                if episodes == 0 {
                    continue;
                }
                let scale = self.stretch(row) / f64::from(episodes);
                let sums = &self.fitness[row * self.number..(row + 1) * self.number];
                together.iter_mut().zip(sums).for_each(|(t, sum)| *t += scale * sum);
            }
            squares += together.iter().map(|t| t * t).sum::<f64>();
        }
        squares.sqrt()
    }

    /// A row's mean over episodes drawn anew from its own: fitness, then descriptor, `[1 + k]`. `mean` is that over all of them. Rows of
    /// the same seed draw the same episodes. NaN if none is drawn that ended well.
    pub(super) fn draw(
        &self,
        row: usize,
        seed: u64,
        replicate: usize,
        mean: (f64, &[f64]),
        axes: &[Axis],
        out: &mut [f64],
    ) {
        out.fill(0.0);
        let (k, mut episodes) = (self.k, 0);
        let seed = fresh_seed(seed ^ DRAWS, replicate);
        for draw in 0..self.number {
            let part = (u128::from(fresh_seed(seed, draw)) * self.number as u128) >> 64;
            let at = row * self.number + part as usize;
            episodes += self.episodes[at];
            out[0] += self.fitness[at];
            let sums = &self.descriptor[at * k..(at + 1) * k];
            out[1..].iter_mut().zip(sums).for_each(|(x, sum)| *x += sum);
        }
        if episodes == 0 {
            return out.fill(f64::NAN);
        }
        let (stretch, episodes) = (self.stretch(row), f64::from(episodes));
        out[0] = mean.0 + stretch * (out[0] / episodes);
        for ((x, mean), axis) in out[1..].iter_mut().zip(mean.1).zip(axes) {
            let deviation = *x / episodes;
            *x = mean + stretch * deviation;
            // Only the stretching can have led out of the bounds, where an archive may refuse it.
            if (axis.lower..=axis.upper).contains(&(mean + deviation)) {
                *x = x.clamp(axis.lower, axis.upper);
            }
        }
    }
}
