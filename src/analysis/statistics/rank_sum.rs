//! The rank-sum test: Mann and Whitney, 'On a test of whether one of two random variables is stochastically larger than the other', 1947.

/// Products of sizes up to which all divisions are counted; the counts are whole numbers below 2^38.
const EXACT: usize = 400;

/// The share of pairs in which the value of `a` is above that of `b`, equal ones counting half; NaN if one is empty.
pub(super) fn above(a: &[f64], b: &[f64]) -> f64 {
    let pairs = a.iter().flat_map(|x| b.iter().map(move |y| (x, y)));
    let twice: usize = pairs.map(|(x, y)| usize::from(x > y) + usize::from(x >= y)).sum();
    twice as f64 / (2 * a.len() * b.len()) as f64
}

/// The two-sided p-value, and whether it is exact; NaN if one is empty.
///
/// It is the probability, all divisions of the pooled values being equally likely, that U is as far from its mean as it is or farther.
pub(super) fn p_value(a: &[f64], b: &[f64]) -> (f64, bool) {
    if a.is_empty() || b.is_empty() {
        return (f64::NAN, false);
    }
    let (few, many) = if a.len() <= b.len() { (a, b) } else { (b, a) };
    let mut pooled = [few, many].concat();
    pooled.sort_by(f64::total_cmp);
    // Twice the mid-rank of a value, a whole number: values below it, and values not above it and one.
    let rank = |x: &f64| pooled.partition_point(|y| y < x) + pooled.partition_point(|y| y <= x) + 1;
    let sum: usize = few.iter().map(rank).sum();
    let distance = sum.abs_diff(few.len() * (pooled.len() + 1));
    if a.len() * b.len() <= EXACT {
        let ranks: Vec<usize> = pooled.iter().map(rank).collect();
        (counted(&ranks, few.len(), distance), true)
    } else {
        (normal(&pooled, few.len(), distance as f64 / 2.0), false)
    }
}

/// The share of the choices of `few` ranks whose sum is at least this far from the mean sum.
fn counted(ranks: &[usize], few: usize, distance: usize) -> f64 {
    let (n, middle) = (ranks.len(), few * (ranks.len() + 1));
    let most = few * 2 * n;
    // ways[k][s]: choices of k of the ranks so far that sum to s.
    let mut ways = vec![vec![0_u64; most + 1]; few + 1];
    ways[0][0] = 1;
    for &rank in ranks {
        for k in (1..=few).rev() {
            for sum in rank..=most {
                ways[k][sum] += ways[k - 1][sum - rank];
            }
        }
    }
    let all: u64 = ways[few].iter().sum();
    let far = ways[few]
        .iter()
        .enumerate()
        .filter(|(sum, _)| sum.abs_diff(middle) >= distance);
    far.map(|(_, ways)| ways).sum::<u64>() as f64 / all as f64
}

/// By the normal distribution, with the variance of tied ranks and a correction of 1/2 for continuity.
fn normal(pooled: &[f64], few: usize, distance: f64) -> f64 {
    let (all, few) = (pooled.len() as f64, few as f64);
    let ties = pooled.chunk_by(|x, y| x == y).map(|tied| tied.len() as f64);
    let ties: f64 = ties.map(|t| t * t * t - t).sum();
    let variance = few * (all - few) / 12.0 * (all + 1.0 - ties / (all * (all - 1.0)));
    if variance > 0.0 {
        (2.0 * upper_tail((distance - 0.5).max(0.0) / variance.sqrt())).min(1.0)
    } else {
        1.0
    }
}

/// The probability that a standard normal number is above z >= 0, within 1e-12 of itself.
fn upper_tail(z: f64) -> f64 {
    let density = (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt();
    if z < 3.0 {
        // z + z^3 / 3 + z^5 / (3 5) + ..., until it no longer grows.
        let (mut sum, mut term, mut odd) = (0.0, z, 1.0);
        while sum + term != sum {
            sum += term;
            odd += 2.0;
            term *= z * z / odd;
        }
        0.5 - density * sum
    } else {
        // Laplace's continued fraction z + 1 / (z + 2 / (z + ...)), from far out.
        density / (1..=200).rev().fold(z, |below, k| z + f64::from(k) / below)
    }
}
