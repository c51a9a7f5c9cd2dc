//! Elementary functions written so that the compiler vectorizes them. Only correctly rounded operations (fused multiply-add,
//! division, square root): every vector width gives equal bits. Coefficients are minimax fits made for this file.

/// Adding and subtracting it rounds a number below 2^22 to the nearest integer, ties to even.
const ROUND: f32 = 12_582_912.0;

/// Hyperbolic tangent, within 1.5e-7; exactly odd, 1 from |x| = 9.1 on, NaN for NaN.
///
/// `m / (m + 2)` with `m = exp(2 |x|) - 1`, exact near 0 because m is computed without cancellation.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let a = x.abs();
    // Not `min`, which would swallow NaN.
    let y = if a > 10.0 { 20.0 } else { a + a };
    let k = y.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = k - ROUND;
    let r = n.mul_add(-355.0 / 512.0, y);
    let r = n.mul_add(2.121_944_4e-4, r);
    let mut p = 1.394_674_8e-3_f32;
    p = p.mul_add(r, 8.366_755e-3);
    p = p.mul_add(r, 4.166_627_7e-2);
    p = p.mul_add(r, 1.666_654_2e-1);
    p = p.mul_add(r, 0.5);
    let q = (p * r).mul_add(r, r);
    let power = f32::from_bits((k.to_bits() << 23).wrapping_add(0x3f80_0000));
    let m = power.mul_add(q, power - 1.0);
    (m / (m + 2.0)).copysign(x)
}

/// [`tanh`] of every value.
#[inline(always)]
pub fn tanh_in_place(values: &mut [f32]) {
    for v in values {
        *v = tanh(*v);
    }
}

/// `x` less the nearest integer, in [-1/2, 1/2]; exact. Values beyond 2^22 give what rounding leaves of them.
#[inline(always)]
pub fn fraction(x: f32) -> f32 {
    x - ((x + ROUND) - ROUND)
}

/// Sine of `x` turns for x in [-1/4, 1/4], within 7e-7.
#[inline(always)]
fn quarter_sine(x: f32) -> f32 {
    let q = x * x;
    let mut p = -70.993_43_f32;
    p = p.mul_add(q, 81.340_77);
    p = p.mul_add(q, -41.337_143);
    p = p.mul_add(q, 6.283_164);
    p * x
}

/// Sine and cosine of `x` turns for x in [-1/2, 1/2], within 7e-7.
#[inline(always)]
pub fn sin_cos_turns(x: f32) -> (f32, f32) {
    let a = x.abs();
    let b = 0.5 - a;
    let folded = if a < b { a } else { b };
    (quarter_sine(folded).copysign(x), quarter_sine(0.25 - a))
}

/// Cosine of `x` turns for any x below 2^51, within 1e-13 (the Taylor series of the sine, to order 19).
#[inline(always)]
pub fn cos_turns(x: f64) -> f64 {
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let a = (x - ((x + ROUND) - ROUND)).abs();
    let t = (0.25 - a) * std::f64::consts::TAU;
    let q = t * t;
    let mut p = -1.0_f64 / 121_645_100_408_832_000.0;
    p = p.mul_add(q, 1.0 / 355_687_428_096_000.0);
    p = p.mul_add(q, -1.0 / 1_307_674_368_000.0);
    p = p.mul_add(q, 1.0 / 6_227_020_800.0);
    p = p.mul_add(q, -1.0 / 39_916_800.0);
    p = p.mul_add(q, 1.0 / 362_880.0);
    p = p.mul_add(q, -1.0 / 5_040.0);
    p = p.mul_add(q, 1.0 / 120.0);
    p = p.mul_add(q, -1.0 / 6.0);
    (p * q).mul_add(t, t)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tanh_is_accurate_odd_and_saturates() {
        let mut worst = 0.0f64;
        let mut worst_relative = 0.0f64;
        for bits in (0..f32::INFINITY.to_bits()).step_by(997) {
            let x = f32::from_bits(bits);
            let (y, exact) = (tanh(x), f64::from(x).tanh());
            assert_eq!(tanh(-x).to_bits(), (-y).to_bits());
            worst = worst.max((f64::from(y) - exact).abs());
            if exact > 1e-30 {
                worst_relative = worst_relative.max((f64::from(y) / exact - 1.0).abs());
            }
        }
        assert!(worst < 1.5e-7 && worst_relative < 3e-7, "{worst:e} {worst_relative:e}");
        assert_eq!((tanh(9.1), tanh(f32::INFINITY), tanh(0.0)), (1.0, 1.0, 0.0));
        assert!(tanh(f32::NAN).is_nan());
    }

    #[test]
    fn sines_and_cosines_are_accurate_over_a_turn() {
        let mut worst = 0.0f64;
        for i in -100_000..=100_000 {
            let x = i as f32 / 200_000.0;
            let (s, c) = sin_cos_turns(x);
            let (es, ec) = (f64::from(x) * std::f64::consts::TAU).sin_cos();
            worst = worst.max((f64::from(s) - es).abs()).max((f64::from(c) - ec).abs());
        }
        assert!(worst < 7.5e-7, "{worst:e}");
        assert_eq!(fraction(3.25), 0.25);
        assert_eq!(fraction(-3.75), 0.25);
    }

    #[test]
    fn the_cosine_in_double_precision_is_exact_at_its_peaks() {
        for i in -10_000..10_000 {
            let x = f64::from(i) / 1000.0;
            assert!((cos_turns(x) - (x * std::f64::consts::TAU).cos()).abs() < 1e-13, "{x}");
        }
    }
}
