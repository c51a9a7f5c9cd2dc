//! Directions evenly spread over all weightings of objectives, and what a front is worth to those who weigh them so.

use super::Points;

/// How many [`directions`] there are, if that is a number of 64 bits.
pub fn directions_count(objectives: usize, divisions: usize) -> Option<usize> {
    // Divisions are put between objectives: (divisions + objectives - 1) over (objectives - 1).
    let top = divisions.checked_add(objectives.checked_sub(1)?)?;
    let bottom = divisions.min(objectives - 1);
    (0..bottom).try_fold(1usize, |count, i| Some(count.checked_mul(top - i)? / (i + 1)))
}

/// All weights that are multiples of `1 / divisions` and sum to 1, `[directions, objectives]` (Das and Dennis, 'Normal-boundary intersection', SIAM Journal on Optimization 8(3), 1998); those
/// of the first objectives rise last. Counted in whole numbers: none is lost to rounding.
pub fn directions(objectives: usize, divisions: usize) -> Vec<f64> {
    let mut all = Vec::new();
    let mut counts = vec![0; objectives];
    fill(&mut counts, 0, divisions, divisions, &mut all);
    all
}

fn fill(counts: &mut [usize], at: usize, left: usize, divisions: usize, all: &mut Vec<f64>) {
    if at + 1 >= counts.len() {
        if let Some(last) = counts.last_mut() {
            *last = left;
        }
        let unit = divisions.max(1) as f64;
        all.extend(counts.iter().map(|count| *count as f64 / unit));
        return;
    }
    for count in 0..=left {
        counts[at] = count;
        fill(counts, at + 1, left - count, divisions, all);
    }
}

/// Expected utility: the mean over preferences (`[preferences, objectives]`) of the best weighted sum that a point has to offer. NaN without points or preferences.
pub fn expected_utility(points: &Points<'_>, preferences: &Points<'_>) -> f64 {
    assert_eq!(points.dim(), preferences.dim(), "weights of other objectives");
    if points.is_empty() || preferences.is_empty() {
        return f64::NAN;
    }
    let utility = |w: &[f64], point: &[f64]| w.iter().zip(point).map(|(w, x)| w * x).sum::<f64>();
    let best = |w: &[f64]| {
        let offers = points.iter().map(|point| utility(w, point));
        offers.fold(f64::NEG_INFINITY, f64::max)
    };
    preferences.iter().map(best).sum::<f64>() / preferences.len() as f64
}

/// Sparsity of a front, as C-MORL measures it: the sum over the objectives of the squared gaps between neighbouring values, over the number of gaps; 0 for fewer than two points. Less is denser.
pub fn sparsity(points: &Points<'_>) -> f64 {
    if points.len() < 2 {
        return 0.0;
    }
    let squares = |objective: usize| {
        let mut values: Vec<f64> = points.iter().map(|point| point[objective]).collect();
        values.sort_by(f64::total_cmp);
        values.windows(2).map(|w| (w[1] - w[0]) * (w[1] - w[0])).sum::<f64>()
    };
    (0..points.dim()).map(squares).sum::<f64>() / (points.len() - 1) as f64
}
