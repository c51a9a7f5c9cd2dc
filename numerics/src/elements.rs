//! Element by element, rounded once each.

use crate::simd_dispatch;

#[inline(always)]
fn add_body(numbers: &[f32], scale: f32, out: &mut [f32]) {
    for (x, n) in out.iter_mut().zip(numbers) {
        *x = n.mul_add(scale, *x);
    }
}

#[inline(always)]
fn move_body(from: &[f32], numbers: &[f32], scale: f32, out: &mut [f32]) {
    for ((x, n), f) in out.iter_mut().zip(numbers).zip(from) {
        *x = n.mul_add(scale, *f);
    }
}

/// `out += scale * numbers`; what lies beyond the shorter one stays.
pub fn add_scaled(numbers: &[f32], scale: f32, out: &mut [f32]) {
    simd_dispatch!(fn [](numbers: &[f32], scale: f32, out: &mut [f32]) { add_body(numbers, scale, out) })
}

/// `out = from + scale * numbers`; what lies beyond the shortest one stays.
pub fn moved(from: &[f32], numbers: &[f32], scale: f32, out: &mut [f32]) {
    simd_dispatch!(
        fn [](from: &[f32], numbers: &[f32], scale: f32, out: &mut [f32]) { move_body(from, numbers, scale, out) }
    )
}
