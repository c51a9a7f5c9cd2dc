//! The derivatives of what happens to a row between products. Sums are those of the functions themselves: in 16 lanes, folded in one order.

use super::ops::{dot, exp};
use crate::simd_dispatch;

#[inline(always)]
fn add_rms_norm_body(x: &[f32], weight: &[f32], g: &[f32], (scale, slope): (f32, f32), to: &mut [f32]) {
    for (((to, x), w), g) in to.iter_mut().zip(x).zip(weight).zip(g) {
        *to += scale * (g * w - x * slope);
    }
}

/// Adds to `to` what [`rms_norm`](super::ops::rms_norm) of `x` passes back of `g`, the derivatives by its result; `room` is a buffer of their length.
pub fn add_rms_norm(x: &[f32], weight: &[f32], eps: f32, g: &[f32], room: &mut [f32], to: &mut [f32]) {
    let n = x.len() as f32;
    let square = dot(x, x) / n + eps;
    for ((r, w), g) in room.iter_mut().zip(weight).zip(g) {
        *r = w * g;
    }
    let slope = dot(x, &room[..x.len()]) / (n * square);
    let scales = (1.0 / square.sqrt(), slope);
    simd_dispatch!(fn [](x: &[f32], weight: &[f32], g: &[f32], scales: (f32, f32), to: &mut [f32]) {
        add_rms_norm_body(x, weight, g, scales, to)
    })
}

#[inline(always)]
fn gate_body(gate: &mut [f32], up: &mut [f32], g: &[f32]) {
    for ((gate, up), g) in gate.iter_mut().zip(up).zip(g) {
        let (x, u) = (*gate, *up);
        let sigmoid = 1.0 / (1.0 + exp(-x));
        *up = g * x * sigmoid;
        *gate = g * u * sigmoid * (1.0 + x * (1.0 - sigmoid));
    }
}

/// Puts in the place of gates and ups what [`gate`](super::ops::gate) passes back to them of `g`.
pub fn gate(gate: &mut [f32], up: &mut [f32], g: &[f32]) {
    simd_dispatch!(fn [](gate: &mut [f32], up: &mut [f32], g: &[f32]) { gate_body(gate, up, g) })
}

#[inline(always)]
fn rotate_body(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    let half = cos.len();
    let (a, b) = head.split_at_mut(half);
    for i in 0..half {
        let (x, y) = (a[i], b[i]);
        a[i] = x.mul_add(cos[i], y * sin[i]);
        b[i] = y.mul_add(cos[i], -(x * sin[i]));
    }
}

/// Turns the pairs of a head back: the inverse of [`rotate`](super::ops::rotate), and its transpose.
pub fn rotate(head: &mut [f32], cos: &[f32], sin: &[f32]) {
    simd_dispatch!(fn [](head: &mut [f32], cos: &[f32], sin: &[f32]) { rotate_body(head, cos, sin) })
}

#[inline(always)]
fn softmax_body(p: &[f32], g: &mut [f32], mean: f32, scale: f32) {
    for (g, p) in g.iter_mut().zip(p) {
        *g = p * (*g - mean) * scale;
    }
}

/// Puts in the place of the derivatives `g` by the probabilities `p` those by what they are the softmax of, times `scale`.
pub fn softmax(p: &[f32], g: &mut [f32], scale: f32) {
    let mean = dot(p, g);
    simd_dispatch!(fn [](p: &[f32], g: &mut [f32], mean: f32, scale: f32) { softmax_body(p, g, mean, scale) })
}

#[inline(always)]
fn multiply_body(x: &mut [f32], by: f32) {
    x.iter_mut().for_each(|x| *x *= by);
}

/// `x *= by`.
pub fn multiply(x: &mut [f32], by: f32) {
    simd_dispatch!(fn [](x: &mut [f32], by: f32) { multiply_body(x, by) })
}

#[cfg(test)]
mod tests {
    use super::super::ops;
    use super::*;

    /// `f` is a sum over its results weighted by `g`: its slope along each number of `x`.
    fn slopes(x: &[f32], f: impl Fn(&[f32]) -> f64) -> Vec<f64> {
        let step = 1e-2;
        let at = |i: usize, by: f32| {
            let mut moved = x.to_vec();
            moved[i] += by;
            f(&moved)
        };
        (0..x.len())
            .map(|i| (at(i, step) - at(i, -step)) / f64::from(2.0 * step))
            .collect()
    }

    fn weighted(y: &[f32], g: &[f32]) -> f64 {
        y.iter().zip(g).map(|(y, g)| f64::from(*y) * f64::from(*g)).sum()
    }

    fn near(found: &[f32], expected: &[f64]) {
        for (f, e) in found.iter().zip(expected) {
            assert!((f64::from(*f) - e).abs() < 1e-3, "{f} for {e}");
        }
    }

    #[test]
    fn derivatives_are_what_finite_differences_say() {
        let n = 24;
        let wave = |k: f32| -> Vec<f32> { (0..n).map(|i| (i as f32 * k + k).sin()).collect() };
        let (x, u, g) = (wave(0.7), wave(1.3), wave(2.1));

        let mut back = vec![1.0; n];
        add_rms_norm(&x, &u, 1e-5, &g, &mut [0.0; 24], &mut back);
        let norm = |x: &[f32]| {
            let mut y = vec![0.0; n];
            ops::rms_norm(x, &u, 1e-5, &mut y);
            weighted(&y, &g)
        };
        back.iter_mut().for_each(|b| *b -= 1.0);
        near(&back, &slopes(&x, norm));

        let gated = |x: &[f32], u: &[f32]| {
            let mut y = vec![0.0; n];
            ops::gate(x, u, &mut y);
            weighted(&y, &g)
        };
        let (mut of_x, mut of_u) = (x.clone(), u.clone());
        gate(&mut of_x, &mut of_u, &g);
        near(&of_x, &slopes(&x, |x| gated(x, &u)));
        near(&of_u, &slopes(&u, |u| gated(&x, u)));

        let soft = |x: &[f32]| {
            let mut p = x.to_vec();
            let sum = ops::exp_sum(&mut p, ops::largest(x), 0.5);
            p.iter_mut().for_each(|p| *p /= sum);
            p
        };
        let mut back = g.clone();
        softmax(&soft(&x), &mut back, 0.5);
        near(&back, &slopes(&x, |x| weighted(&soft(x), &g)));

        let (cos, sin): (Vec<f32>, Vec<f32>) = (0..n / 2).map(|i| ((i as f32).cos(), (i as f32).sin())).unzip();
        let mut turned = x.clone();
        ops::rotate(&mut turned, &cos, &sin);
        rotate(&mut turned, &cos, &sin);
        near(&turned, &x.iter().map(|x| f64::from(*x)).collect::<Vec<_>>());
    }
}
