//! How much of the variance of values goes with how they are grouped.

/// Epsilon squared (Kelley 1935): the share of the variance that goes with the groups, less what chance alone would give; from 0 to 1. None where it
/// cannot be known: a single group, no group of several values, or values that are all equal.
pub fn explained(groups: &[&[f64]]) -> Option<f64> {
    let (n, k) = (groups.iter().map(|g| g.len()).sum::<usize>(), groups.len());
    if k < 2 || n <= k {
        return None;
    }
    let mean = |values: &mut dyn Iterator<Item = f64>| {
        let (sum, count) = values.fold((0.0, 0.0), |(s, c), x| (s + x, c + 1.0));
        sum / count
    };
    let all = || groups.iter().flat_map(|g| g.iter().copied());
    let grand = mean(&mut all());
    let total: f64 = all().map(|x| (x - grand).powi(2)).sum();
    let within = groups.iter().map(|g| {
        let own = mean(&mut g.iter().copied());
        g.iter().map(|x| (x - own).powi(2)).sum::<f64>()
    });
    let within: f64 = within.sum();
    let by_chance = within / (n - k) as f64 * (k - 1) as f64;
    (total > 0.0).then(|| ((total - within - by_chance) / total).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_of_the_textbook_less_what_chance_gives() {
        // Sums of squares: 17.5 in all, 4 within, so 13.5 between; a mean square of 1 within.
        let share = explained(&[&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]]).unwrap();
        assert!((share - 12.5 / 17.5).abs() < 1e-12, "{share}");
        assert_eq!(
            explained(&[&[1.0, 3.0], &[3.0, 1.0]]),
            Some(0.0),
            "below what chance gives"
        );
        assert_eq!(explained(&[&[2.0, 2.0], &[5.0, 5.0]]), Some(1.0));
        for nothing in [
            &[&[1.0, 2.0][..]][..],
            &[&[1.0], &[2.0]],
            &[&[3.0, 3.0], &[3.0, 3.0]],
            &[],
        ] {
            assert_eq!(explained(nothing), None, "{nothing:?}");
        }
    }
}
