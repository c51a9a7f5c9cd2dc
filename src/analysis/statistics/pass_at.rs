//! What several samples of an answer to each prompt say: the chance that one of k passes, and means with standard errors over prompts.

/// The unbiased estimate of the chance that of `k` samples at least one passes, where of `n` samples `c` do: `1 - C(n - c, k) / C(n, k)` (Chen et al.,
/// 'Evaluating large language models trained on code', 2021, <https://arxiv.org/abs/2107.03374>). `1 <= k <= n`, `c <= n`.
pub fn pass_at(k: usize, n: usize, c: usize) -> f64 {
    // As a product, since the binomials are too large: C(n - c, k) / C(n, k) = prod over i of the last c numbers of (1 - k / i), and 0 where fewer than k fail.
    if n - c < k {
        return 1.0;
    }
    1.0 - (n - c + 1..=n).map(|i| 1.0 - k as f64 / i as f64).product::<f64>()
}

/// The mean of values, one for each prompt, and its standard error: the standard deviation of a sample divided by the root of their number; NaN for fewer
/// than two.
pub fn mean_with_error(values: &[f64]) -> [f64; 2] {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|x| (x - mean).powi(2)).sum();
    [mean, (squares / (n - 1.0) / n).sqrt()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether one of the first `c` of `n` samples is among a subset of k of them, as the share of all subsets.
    fn counted(k: usize, n: usize, c: usize) -> f64 {
        let subsets = (0_u32..1 << n).filter(|set| set.count_ones() as usize == k);
        let all = subsets.clone().count();
        subsets.filter(|set| set & ((1 << c) - 1) != 0).count() as f64 / all as f64
    }

    #[test]
    fn it_is_the_share_of_subsets_of_k_samples_with_one_that_passes() {
        for n in 1..=9 {
            for k in 1..=n {
                for c in 0..=n {
                    let (found, expected) = (pass_at(k, n, c), counted(k, n, c));
                    assert!((found - expected).abs() < 1e-14, "{k} {n} {c}: {found} {expected}");
                }
            }
        }
    }

    #[test]
    fn it_is_exact_where_binomials_overflow_and_the_share_itself_for_one() {
        // 1 - C(7, 5) / C(10, 5) = 1 - 21 / 252
        assert!((pass_at(5, 10, 3) - 11.0 / 12.0).abs() < 1e-15);
        // C(2000 - 1, k) / C(2000, k) = 1 - k / 2000
        assert!((pass_at(500, 2000, 1) - 0.25).abs() < 1e-12);
        for c in 0..=7 {
            assert!((pass_at(1, 7, c) - c as f64 / 7.0).abs() < 1e-15);
        }
        assert_eq!(
            [pass_at(3, 10, 0), pass_at(3, 10, 10), pass_at(10, 10, 1)],
            [0.0, 1.0, 1.0]
        );
    }

    #[test]
    fn the_estimate_is_unbiased() {
        // Samples pass with a probability of 0.3: the mean of the estimate over all outcomes of five is 1 - 0.7^2.
        let p: f64 = 0.3;
        let chance = |c: usize| {
            let ways = (0_u32..32).filter(|set| set.count_ones() as usize == c).count();
            ways as f64 * p.powi(c as i32) * (1.0 - p).powi(5 - c as i32)
        };
        let mean: f64 = (0..=5).map(|c| chance(c) * pass_at(2, 5, c)).sum();
        assert!((mean - (1.0 - 0.49)).abs() < 1e-14, "{mean}");
    }

    #[test]
    fn a_mean_of_one_value_has_no_error() {
        assert_eq!(mean_with_error(&[1.0, 0.0, 1.0, 0.0]), [0.5, (1.0_f64 / 12.0).sqrt()]);
        let [mean, error] = mean_with_error(&[0.25]);
        assert!(mean == 0.25 && error.is_nan());
    }
}
