//! The normal distribution function and its inverse, in double precision.

/// 1 / sqrt(2 pi).
const PEAK: f64 = 0.398_942_280_401_432_7;
/// From here on the tail is a continued fraction; below the series has no cancellation that would matter.
const FAR: f64 = 3.0;

fn density(x: f64) -> f64 {
    PEAK * (-0.5 * x * x).exp()
}

/// Probability that a standard normal number is above `x`, within 1e-13 of itself.
pub fn upper_tail(x: f64) -> f64 {
    if x < 0.0 {
        return 1.0 - upper_tail(-x);
    }
    if x < FAR {
        // The integral from 0 on: density times the sum of x^(2k + 1) / (1 3 5 ... (2k + 1)).
        let (mut term, mut sum, mut odd) = (x, x, 1.0);
        while term > 1e-17 * sum {
            odd += 2.0;
            term *= x * x / odd;
            sum += term;
        }
        return 0.5 - density(x) * sum;
    }
    // Laplace's continued fraction: density / (x + 1 / (x + 2 / (x + 3 / ...))).
    let fraction = (1..=60).rev().fold(x, |below, k| x + f64::from(k) / below);
    density(x) / fraction
}

/// The number above which a standard normal number lies with probability `p`, which is above 0 and at most 1/2.
pub fn upper_quantile(p: f64) -> f64 {
    debug_assert!(p > 0.0 && p <= 0.5, "{p}");
    // Within 4.5e-4 (Abramowitz and Stegun, 26.2.23), then Halley's steps, each of which trebles the digits.
    let t = (-2.0 * p.ln()).sqrt();
    let above = 0.010_328f64.mul_add(t, 0.802_853).mul_add(t, 2.515_517);
    let below = 0.001_308f64.mul_add(t, 0.189_269).mul_add(t, 1.432_788).mul_add(t, 1.0);
    let mut x = t - above / below;
    for _ in 0..2 {
        let e = (upper_tail(x) - p) / density(x);
        x += e / (1.0 - 0.5 * x * e);
    }
    x.max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// scipy 1.17.1, `scipy.stats.norm.sf`.
    const TAILS: [(f64, f64); 8] = [
        (-2.5, 0.9937903346742238),
        (0.0, 0.5),
        (0.1, 0.460172162722971),
        (1.0, 0.15865525393145707),
        (2.9, 0.0018658133003840375),
        (3.1, 0.0009676032132183563),
        (6.0, 9.865876450376946e-10),
        (20.0, 2.7536241186061556e-89),
    ];

    #[test]
    fn tails_are_those_of_scipy_and_quantiles_their_inverse() {
        for (x, p) in TAILS {
            let ours = upper_tail(x);
            assert!((ours - p).abs() <= 1e-12 * p, "{x}: {ours}, scipy {p}");
            if x >= 0.0 {
                let back = upper_quantile(p);
                assert!((back - x).abs() <= 1e-12 * x.max(1.0), "{p}: {back}, scipy {x}");
            }
        }
        for i in 1..=5000 {
            let p = f64::from(i) / 10_000.0;
            assert!((upper_tail(upper_quantile(p)) - p).abs() < 1e-14, "{p}");
        }
    }
}
