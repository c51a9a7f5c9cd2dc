//! Percentile intervals by the bootstrap (Efron and Tibshirani, 'An introduction to the bootstrap', 1993), stratified: values are drawn
//! within their stratum.

use illume_core::{Purpose, Stream};

use super::quantile;

const RESAMPLES: u64 = 10_000;
/// What an interval leaves out on each side.
const TAIL: f64 = 0.025;
/// Intervals are functions of the values alone.
const SEED: u64 = 0;

/// The interval of a statistic of these strata; NaN if one of them has fewer than two values. Their order within does not matter.
pub(super) fn interval(strata: &[Vec<f64>], statistic: impl Fn(&[Vec<f64>]) -> f64) -> [f64; 2] {
    if strata.is_empty() || strata.iter().any(|values| values.len() < 2) {
        return [f64::NAN; 2];
    }
    let mut strata = strata.to_vec();
    strata.iter_mut().for_each(|values| values.sort_by(f64::total_cmp));
    let mut drawn = strata.clone();
    let mut statistics: Vec<f64> = (0..RESAMPLES)
        .map(|resample| {
            for (i, (from, to)) in strata.iter().zip(&mut drawn).enumerate() {
                let stream = Stream::new(SEED, Purpose::Bootstrap, resample, i as u64);
                for (k, value) in to.iter_mut().enumerate() {
                    *value = from[stream.below(k as u64, from.len() as u64) as usize];
                }
            }
            statistic(&drawn)
        })
        .collect();
    statistics.sort_by(f64::total_cmp);
    [TAIL, 1.0 - TAIL].map(|q| quantile(&statistics, q))
}

/// The medians of all resamples of `n` values, by the positions of the two middle values among the sorted ones: the same for any values.
pub(super) struct MedianDraws {
    /// (lower middle, upper middle, how often).
    middles: Vec<(usize, usize, u64)>,
}

impl MedianDraws {
    pub fn new(n: usize) -> MedianDraws {
        let mut drawn = vec![0; n];
        let mut all: Vec<(usize, usize)> = (0..RESAMPLES)
            .map(|resample| {
                let stream = Stream::new(SEED, Purpose::Bootstrap, resample, 0);
                for (k, position) in drawn.iter_mut().enumerate() {
                    *position = stream.below(k as u64, n as u64) as usize;
                }
                drawn.sort_unstable();
                (drawn[(n - 1) / 2], drawn[n / 2])
            })
            .collect();
        all.sort_unstable();
        let middles = all
            .chunk_by(|a, b| a == b)
            .map(|same| (same[0].0, same[0].1, same.len() as u64));
        MedianDraws {
            middles: middles.collect(),
        }
    }

    /// [`interval`] of the median of these sorted values.
    pub fn interval(&self, sorted: &[f64]) -> [f64; 2] {
        let median = |&(a, b, times): &(usize, usize, u64)| (super::band::median(&[sorted[a], sorted[b]]), times);
        let mut medians: Vec<(f64, u64)> = self.middles.iter().map(median).collect();
        medians.sort_by(|a, b| a.0.total_cmp(&b.0));
        let at = |position: u64| {
            let mut before = 0;
            let found = medians.iter().find(|(_, times)| {
                before += times;
                before > position
            });
            found.map_or(f64::NAN, |(value, _)| *value)
        };
        [TAIL, 1.0 - TAIL].map(|q| {
            let position = q * (RESAMPLES - 1) as f64;
            let before = position.floor();
            let pair = [at(before as u64), at(before as u64 + 1)];
            quantile(&pair, position - before)
        })
    }
}
