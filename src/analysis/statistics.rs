//! Statistics over runs: what a group of runs reaches, and whether another reaches more.
//!
//! The field's conventions: medians with quartiles and interquartile means with bootstrap intervals (Agarwal et al., 'Deep
//! reinforcement learning at the edge of the statistical precipice', NeurIPS 2021), exact rank-sum tests (Mann and Whitney, 1947) with
//! Holm's correction (1979), and the probability of improvement as the size of an effect (Vargha and Delaney's A12, 2000).
//! `tools/check_statistics.py` has scipy, statsmodels and rliable compute the same numbers.

mod band;
mod bootstrap;
mod explained;
mod pass_at;
mod rank_sum;
#[cfg(test)]
mod tests;

pub use band::{Around, Band, spoken as spoken_bands};
pub use explained::explained;
pub use pass_at::{mean_with_error, pass_at};
use serde::Serialize;

use crate::engine::output::probability;

/// A difference is called significant below this probability.
pub const LEVEL: f64 = 0.05;

/// Where values lie. NaN throughout if there are none or one of them is NaN.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    /// The lower and the upper one, as [`quantile`] defines them.
    pub quartiles: [f64; 2],
    #[serde(rename = "min")]
    pub low: f64,
    #[serde(rename = "max")]
    pub high: f64,
}

/// What a group of runs reaches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Values that are finite; the others are missing and enter nothing else.
    pub n: usize,
    pub missing: usize,
    #[serde(flatten)]
    pub spread: Spread,
    pub mean: f64,
    /// The interquartile mean: the mean without the lowest and the highest quarter, `floor(n / 4)` values each.
    pub iqm: f64,
    /// Its 95 % percentile interval by the bootstrap, runs being drawn within each task; NaN if a task has fewer than two.
    pub iqm_interval: [f64; 2],
}

/// The values of a group of runs, one for each run; those that are not finite are missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub name: String,
    pub values: Vec<f64>,
}

/// Which samples are compared with which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Against {
    /// Each other with the one at this position.
    Baseline(usize),
    /// Each with all before it.
    EachOther,
}

/// Which values are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    Maximize,
    Minimize,
}

/// A candidate beside a baseline. Numbers are NaN if one of the two has no value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Test {
    pub baseline: String,
    pub candidate: String,
    /// Values of the baseline and of the candidate that are not missing.
    pub n: [usize; 2],
    /// The probability that a run of the candidate is better than one of the baseline, equal ones counting half (A12).
    pub improvement: f64,
    /// Its 95 % percentile interval by the bootstrap; NaN if one of the two has fewer than two values.
    pub improvement_interval: [f64; 2],
    /// Two-sided, of Mann and Whitney's U with ties by mid-ranks.
    pub p: f64,
    /// Whether p counts all divisions of the values into groups of these sizes (n m at most 400), or U is taken as normal.
    pub exact: bool,
    /// p after Holm's correction.
    pub adjusted_p: f64,
}

impl Spread {
    pub fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        let known = !values.iter().any(|x| x.is_nan());
        let at = |q| if known { quantile(&values, q) } else { f64::NAN };
        Spread {
            median: at(0.5),
            quartiles: [at(0.25), at(0.75)],
            low: at(0.0),
            high: at(1.0),
        }
    }
}

impl Summary {
    /// Of the values of each task, normalized by the caller if there is more than one task.
    pub fn of(tasks: &[&[f64]]) -> Summary {
        let strata: Vec<Vec<f64>> = tasks.iter().map(|values| finite(values)).collect();
        let mut all = strata.concat();
        all.sort_by(f64::total_cmp);
        Summary {
            n: all.len(),
            missing: tasks.iter().map(|values| values.len()).sum::<usize>() - all.len(),
            mean: mean(&all),
            iqm: interquartile_mean(&all),
            iqm_interval: bootstrap::interval(&strata, |drawn| {
                let mut all = drawn.concat();
                all.sort_by(f64::total_cmp);
                interquartile_mean(&all)
            }),
            spread: Spread::of(all),
        }
    }
}

impl Test {
    fn new(baseline: &Sample, candidate: &Sample, goal: Goal) -> Test {
        let [old, new] = [baseline, candidate].map(|sample| finite(&sample.values));
        let better = |old: &[f64], new: &[f64]| match goal {
            Goal::Maximize => rank_sum::above(new, old),
            Goal::Minimize => rank_sum::above(old, new),
        };
        let (p, exact) = rank_sum::p_value(&old, &new);
        Test {
            baseline: baseline.name.clone(),
            candidate: candidate.name.clone(),
            n: [old.len(), new.len()],
            improvement: better(&old, &new),
            improvement_interval: bootstrap::interval(&[old, new], |drawn| better(&drawn[0], &drawn[1])),
            p,
            exact,
            adjusted_p: p,
        }
    }

    /// The smallest two-sided p that groups of these sizes can give: 2 of all divisions, 0.1 for 3 against 3.
    pub fn smallest_p(&self) -> f64 {
        (2.0 / divisions(self.n)).min(1.0)
    }
}

/// Compares samples pair by pair, with Holm's correction over these pairs. Of fewer than two samples there are none.
pub fn compare(samples: &[Sample], against: Against, goal: Goal) -> Vec<Test> {
    let pairs: Vec<(usize, usize)> = match against {
        Against::Baseline(first) => (0..samples.len()).filter(|&i| i != first).map(|i| (first, i)).collect(),
        Against::EachOther => (0..samples.len()).flat_map(|i| (0..i).map(move |j| (j, i))).collect(),
    };
    let tests = pairs
        .into_iter()
        .map(|(a, b)| Test::new(&samples[a], &samples[b], goal));
    let mut tests: Vec<Test> = tests.collect();
    correct(&mut tests);
    tests
}

/// Holm's correction over all that is shown together: for tests of several calls of [`compare`].
pub fn correct<'a>(tests: impl IntoIterator<Item = &'a mut Test>) {
    let mut tests: Vec<&mut Test> = tests.into_iter().filter(|test| test.p.is_finite()).collect();
    tests.sort_by(|a, b| a.p.total_cmp(&b.p));
    let (all, mut largest) = (tests.len(), 0.0_f64);
    for (i, test) in tests.into_iter().enumerate() {
        largest = largest.max(((all - i) as f64 * test.p).min(1.0));
        test.adjusted_p = largest;
    }
}

/// If tests that are shown together have too few runs for a significant difference, whatever the runs give: a sentence that says so.
pub fn caution<'a>(tests: impl IntoIterator<Item = &'a Test>) -> Option<String> {
    let mut tests: Vec<&Test> = tests.into_iter().filter(|test| test.p.is_finite()).collect();
    tests.sort_by(|a, b| a.smallest_p().total_cmp(&b.smallest_p()));
    let (most, least, all) = (tests.first()?, tests.last()?, tests.len() as f64);
    let smallest = |test: &Test| {
        let ([n, m], p) = (test.n, probability(test.smallest_p()));
        format!("the smallest two-sided p of {n} against {m} runs is {p}")
    };
    if all * most.smallest_p() > LEVEL {
        let mut enough = 1;
        while all * 2.0 / divisions([enough; 2]) > LEVEL {
            enough += 1;
        }
        let corrected = if tests.len() > 1 {
            format!(" before Holm's correction for {all} comparisons")
        } else {
            String::new()
        };
        Some(format!(
            "no difference can be significant at {LEVEL}: {}{corrected}; it takes {enough} runs of each",
            smallest(most)
        ))
    } else if least.smallest_p() > LEVEL {
        let (a, b) = (&least.baseline, &least.candidate);
        Some(format!(
            "{a} and {b} cannot differ significantly at {LEVEL}: {}",
            smallest(least)
        ))
    } else {
        None
    }
}

/// The value below which a share `q` of sorted values lies, interpolated linearly between positions `q (n - 1)` (Hyndman and Fan's
/// seventh definition, that of numpy and R); NaN of none.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let position = q * last as f64;
    let before = position.floor() as usize;
    let [low, high] = [before, (before + 1).min(last)].map(|i| sorted[i]);
    if low == high {
        low
    } else {
        low + (position - before as f64) * (high - low)
    }
}

fn finite(values: &[f64]) -> Vec<f64> {
    values.iter().copied().filter(|x| x.is_finite()).collect()
}

/// NaN of none.
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn interquartile_mean(sorted: &[f64]) -> f64 {
    let cut = sorted.len() / 4;
    mean(&sorted[cut..sorted.len() - cut])
}

/// In how many ways n + m values can be divided into n and m; more than f64 holds is infinite.
fn divisions([n, m]: [usize; 2]) -> f64 {
    let few = n.min(m);
    (1..=few).fold(1.0, |ways, i| ways * (n + m - few + i) as f64 / i as f64)
}
