//! What happens to a row between products. Sums run in 16 lanes and are folded in one order, so that every width of vectors gives equal bits.

use crate::lanes::LANES;
use crate::simd_dispatch;

/// Adding and subtracting it rounds a number below 2^22 to the nearest integer, ties to even; before it is subtracted, the integer is in the low bits.
pub(super) const ROUND: f32 = 12_582_912.0;

/// The exponential function, within 2e-7 of the result; 0 below -87, and no more than at 88.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    let y = if x > 88.0 { 88.0 } else { x };
    let y = if y < -87.0 { -87.0 } else { y };
    let k = y.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = k - ROUND;
    let r = n.mul_add(-355.0 / 512.0, y);
    let r = n.mul_add(2.121_944_4e-4, r);
    // The Taylor series: |r| is at most ln 2 / 2.
    let mut p = 1.0 / 5_040.0_f32;
    p = p.mul_add(r, 1.0 / 720.0);
    p = p.mul_add(r, 1.0 / 120.0);
    p = p.mul_add(r, 1.0 / 24.0);
    p = p.mul_add(r, 1.0 / 6.0);
    p = p.mul_add(r, 0.5);
    p = p.mul_add(r, 1.0);
    p = p.mul_add(r, 1.0);
    let power = f32::from_bits((k.to_bits() << 23).wrapping_add(0x3f80_0000));
    if x < -87.0 { 0.0 } else { p * power }
}

/// The sum of the lanes, halves first.
#[inline(always)]
fn fold(mut lanes: [f32; LANES]) -> f32 {
    let mut n = LANES / 2;
    while n > 0 {
        for i in 0..n {
            lanes[i] += lanes[i + n];
        }
        n /= 2;
    }
    lanes[0]
}

#[inline(always)]
fn dot_body(a: &[f32], b: &[f32]) -> f32 {
    let mut acc = [0.0; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let mut rest = 0.0_f32;
    for (x, y) in a.remainder().iter().zip(b.remainder()) {
        rest = x.mul_add(*y, rest);
    }
    for (a, b) in a.zip(b) {
        for i in 0..LANES {
            acc[i] = a[i].mul_add(b[i], acc[i]);
        }
    }
    fold(acc) + rest
}

/// `a . b`; slices of one length.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    simd_dispatch!(fn [](a: &[f32], b: &[f32]) -> f32 { dot_body(a, b) })
}

#[inline(always)]
fn add_products_body(b: &[f32], z: &[f32], y: &mut [f32]) {
    for (y, b) in y.iter_mut().zip(b.chunks_exact(z.len())) {
        *y = z.iter().zip(b).fold(*y, |sum, (z, b)| z.mul_add(*b, sum));
    }
}

/// `y[o] += b[o] . z` with `b` `[outputs, z.len()]`.
pub fn add_products(b: &[f32], z: &[f32], y: &mut [f32]) {
    simd_dispatch!(fn [](b: &[f32], z: &[f32], y: &mut [f32]) { add_products_body(b, z, y) })
}

#[inline(always)]
fn turn_body(z: &mut [f32], s_a: &[f32], inner: &[f32], s_b: &[f32], room: &mut [f32]) {
    let rank = z.len();
    room.fill(0.0);
    for i in 0..rank {
        let x = z[i] * s_a[i];
        let line = &inner[i * rank..(i + 1) * rank];
        for (r, w) in room.iter_mut().zip(line) {
            *r = x.mul_add(*w, *r);
        }
    }
    for i in 0..rank {
        z[i] = room[i] * s_b[i];
    }
}

/// `z = ((z * s_a) inner) * s_b`: what tells members apart. `room` is as long as `z`.
pub fn turn(z: &mut [f32], s_a: &[f32], inner: &[f32], s_b: &[f32], room: &mut [f32]) {
    simd_dispatch!(fn [](z: &mut [f32], s_a: &[f32], inner: &[f32], s_b: &[f32], room: &mut [f32]) {
        turn_body(z, s_a, inner, s_b, room)
    })
}

#[inline(always)]
fn rms_norm_body(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    let scale = 1.0 / (dot_body(x, x) / x.len() as f32 + eps).sqrt();
    for ((out, x), w) in out.iter_mut().zip(x).zip(weight) {
        *out = x * scale * w;
    }
}

/// `out = x / sqrt(mean(x^2) + eps) * weight`.
pub fn rms_norm(x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) {
    simd_dispatch!(fn [](x: &[f32], weight: &[f32], eps: f32, out: &mut [f32]) { rms_norm_body(x, weight, eps, out) })
}

#[inline(always)]
fn gate_body(gate: &[f32], up: &[f32], out: &mut [f32]) {
    for ((out, g), u) in out.iter_mut().zip(gate).zip(up) {
        *out = g / (1.0 + exp(-g)) * u;
    }
}

/// `out = gate * sigmoid(gate) * up`.
pub fn gate(gate: &[f32], up: &[f32], out: &mut [f32]) {
    simd_dispatch!(fn [](gate: &[f32], up: &[f32], out: &mut [f32]) { gate_body(gate, up, out) })
}

#[inline(always)]
fn rotate_body(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    let (a, b) = head.split_at_mut(half);
    for i in 0..half {
        let (x, y) = (a[i], b[i]);
        a[i] = x.mul_add(cos[i], -(y * sin[i]));
        b[i] = y.mul_add(cos[i], x * sin[i]);
    }
}

/// Turns the pairs `(i, i + len / 2)` of a head by the angles of a position.
pub fn rotate(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    simd_dispatch!(fn [](head: &mut [f32], cos: &[f32], sin: &[f32]) { rotate_body(head, cos, sin) })
}

#[inline(always)]
fn largest_body(x: &[f32]) -> f32 {
    let mut most = [f32::NEG_INFINITY; LANES];
    let chunks = x.chunks_exact(LANES);
    let rest = chunks.remainder().iter().fold(f32::NEG_INFINITY, |m, v| m.max(*v));
    for c in chunks {
        for i in 0..LANES {
            most[i] = if c[i] > most[i] { c[i] } else { most[i] };
        }
    }
    most.iter().fold(rest, |m, v| m.max(*v))
}

/// The largest number; NaN is passed over.
pub fn largest(x: &[f32]) -> f32 {
    simd_dispatch!(fn [](x: &[f32]) -> f32 { largest_body(x) })
}

#[inline(always)]
fn exp_sum_body(x: &mut [f32], largest: f32, scale: f32) -> f32 {
    let mut acc = [0.0; LANES];
    let mut chunks = x.chunks_exact_mut(LANES);
    for c in &mut chunks {
        for i in 0..LANES {
            c[i] = exp((c[i] - largest) * scale);
            acc[i] += c[i];
        }
    }
    let mut rest = 0.0;
    for v in chunks.into_remainder() {
        *v = exp((*v - largest) * scale);
        rest += *v;
    }
    fold(acc) + rest
}

/// `x = exp((x - largest) * scale)`, and their sum.
pub fn exp_sum(x: &mut [f32], largest: f32, scale: f32) -> f32 {
    simd_dispatch!(fn [](x: &mut [f32], largest: f32, scale: f32) -> f32 { exp_sum_body(x, largest, scale) })
}

#[inline(always)]
fn sum_exp_body(x: &[f32], largest: f32) -> f32 {
    let mut acc = [0.0; LANES];
    let chunks = x.chunks_exact(LANES);
    let mut rest = 0.0;
    for v in chunks.remainder() {
        rest += exp(*v - largest);
    }
    for c in chunks {
        for i in 0..LANES {
            acc[i] += exp(c[i] - largest);
        }
    }
    fold(acc) + rest
}

/// The sum of `exp(x - largest)`.
pub fn sum_exp(x: &[f32], largest: f32) -> f32 {
    simd_dispatch!(fn [](x: &[f32], largest: f32) -> f32 { sum_exp_body(x, largest) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_function_is_within_two_parts_in_ten_million() {
        for i in -8_600..8_700 {
            let x = i as f32 * 0.01;
            let (got, want) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got - want).abs() <= 2e-7 * want, "exp({x}) = {got}, and is {want}");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn a_row_is_normalized_gated_and_turned_as_the_formulas_say() {
        let x: Vec<f32> = (0..37).map(|i| (i as f32 * 0.7).sin() * 3.0).collect();
        let w: Vec<f32> = (0..37).map(|i| 1.0 + i as f32 * 0.01).collect();
        let mut out = vec![0.0; 37];
        rms_norm(&x, &w, 1e-6, &mut out);
        let mean = x.iter().map(|v| f64::from(v * v)).sum::<f64>() / 37.0;
        for i in 0..37 {
            let want = f64::from(x[i]) / (mean + 1e-6).sqrt() * f64::from(w[i]);
            assert!((f64::from(out[i]) - want).abs() < 1e-6);
        }
        gate(&x, &w, &mut out);
        for i in 0..37 {
            let g = f64::from(x[i]);
            let want = g / (1.0 + (-g).exp()) * f64::from(w[i]);
            assert!((f64::from(out[i]) - want).abs() < 1e-5);
        }
        let mut head = [1.0, 2.0, 3.0, 4.0];
        rotate(&mut head, &[0.6, 1.0], &[0.8, 0.0]);
        let want = [0.6 - 2.4, 2.0, 1.8 + 0.8, 4.0];
        assert!(
            head.iter().zip(want).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6),
            "{head:?}"
        );
    }
}
