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
