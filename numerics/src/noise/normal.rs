//! The vectorized generator: groups of 64 words, uniforms or normals, written so that the compiler vectorizes the lanes.
//!
//! The same body is compiled for AVX-512, AVX2 with FMA, and the machine's baseline, chosen at run time. All arithmetic is
//! exact integer work or correctly rounded operations (fused multiply-add, division-free), so every version gives equal bits.

use std::ops::Range;

use super::philox::philox4x32_10;
use super::{GROUP, Stream};

const LANES: usize = 16;

/// What becomes of a group of words, other than normals.
#[derive(Clone, Copy)]
pub(super) enum Kernel {
    Words,
    Uniforms,
}

/// Natural logarithm of x in (0, 1], within 1e-7 relative (the polynomial of Cephes' `logf`).
#[inline(always)]
fn ln(x: f32) -> f32 {
    const SQRT_HALF: u32 = 0x3f35_04f3;
    let shifted = x.to_bits().wrapping_sub(SQRT_HALF);
    let exponent = (shifted as i32) >> 23;
    let m = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(SQRT_HALF)) - 1.0;
    let e = exponent as f32;
    let z = m * m;
    let mut p = 7.037_683_6e-2_f32;
    p = p.mul_add(m, -1.151_461e-1);
    p = p.mul_add(m, 1.167_699_84e-1);
    p = p.mul_add(m, -1.242_014_1e-1);
    p = p.mul_add(m, 1.424_932_3e-1);
    p = p.mul_add(m, -1.666_805_8e-1);
    p = p.mul_add(m, 2.000_071_5e-1);
    p = p.mul_add(m, -2.499_999_4e-1);
    p = p.mul_add(m, 3.333_333e-1);
    let y = (p * m).mul_add(z, e * -2.121_944_4e-4);
    let y = z.mul_add(-0.5, y);
    e.mul_add(0.693_359_4, m + y)
}

/// Sine of `x` turns for x in [-1/4, 1/4], error below 2e-7.
#[inline(always)]
fn sin_turn(x: f32) -> f32 {
    let t = x * std::f32::consts::TAU;
    let q = t * t;
    let mut p = -2.388_985_9e-8_f32;
    p = p.mul_add(q, 2.752_556_2e-6);
    p = p.mul_add(q, -1.984_087_4e-4);
    p = p.mul_add(q, 8.333_331e-3);
    p = p.mul_add(q, -1.666_666_7e-1);
    (p * q).mul_add(t, t)
}

/// Fills whole groups, from a group on; the numbers (and a base) are a multiple of [`GROUP`] long.
pub(super) type Fill = fn(&Stream, u64, &mut [f32], Use<'_>);

/// Box-Muller: two words to two independent standard normals.
#[inline(always)]
pub(super) fn box_muller(a: u32, b: u32) -> (f32, f32) {
    const TWO_M31: f32 = 1.0 / 2_147_483_648.0;
    const TWO_M32: f32 = 1.0 / 4_294_967_296.0;
    let u = (((a >> 1) as i32) as f32 + 0.5) * TWO_M31;
    let r = (ln(u) * -2.0).max(0.0).sqrt();
    let turn = (b as i32) as f32 * TWO_M32;
    let fold = turn.abs();
    let sine = sin_turn(fold.min(0.5 - fold)).copysign(turn);
    let cosine = sin_turn(0.25 - fold);
    (r * cosine, r * sine)
}

#[inline(always)]
fn counter(stream: &Stream, group: u64, lane: usize) -> [u32; 4] {
    let block = group * LANES as u64;
    [
        (block as u32) + lane as u32,
        stream.high[0] | (block >> 32) as u32,
        stream.high[1],
        stream.high[2],
    ]
}

#[inline(always)]
fn group_words(stream: &Stream, group: u64, out: &mut [u32; GROUP]) {
    let (a, b) = out.split_at_mut(2 * LANES);
    let (w0, w1) = a.split_at_mut(LANES);
    let (w2, w3) = b.split_at_mut(LANES);
    for l in 0..LANES {
        let w = philox4x32_10(counter(stream, group, l), stream.key);
        w0[l] = w[0];
        w1[l] = w[1];
        w2[l] = w[2];
        w3[l] = w[3];
    }
}

#[inline(always)]
fn group_uniforms(stream: &Stream, group: u64, out: &mut [f32; GROUP]) {
    const TWO_M24: f32 = 1.0 / 16_777_216.0;
    let mut words = [0; GROUP];
    group_words(stream, group, &mut words);
    for (x, w) in out.iter_mut().zip(words) {
        *x = ((w >> 8) as i32) as f32 * TWO_M24;
    }
}

#[inline(always)]
fn group_normals(stream: &Stream, group: u64, out: &mut [f32; GROUP]) {
    let (a, b) = out.split_at_mut(2 * LANES);
    let (n0, n1) = a.split_at_mut(LANES);
    let (n2, n3) = b.split_at_mut(LANES);
    for l in 0..LANES {
        let w = philox4x32_10(counter(stream, group, l), stream.key);
        (n0[l], n1[l]) = box_muller(w[0], w[1]);
        (n2[l], n3[l]) = box_muller(w[2], w[3]);
    }
}

/// The groups that positions `start..start + len` touch, as (offset, first position within the group, count, group).
///
/// An iterator and not a function that takes a closure: a closure would not be compiled for the wider vectors.
struct Groups {
    start: u64,
    len: usize,
    at: usize,
}

impl Iterator for Groups {
    type Item = (usize, usize, usize, u64);

    #[inline(always)]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at == self.len {
            return None;
        }
        let at = self.at;
        let position = self.start + at as u64;
        let first = (position % GROUP as u64) as usize;
        let n = (GROUP - first).min(self.len - at);
        self.at += n;
        Some((at, first, n, position / GROUP as u64))
    }
}

#[inline(always)]
fn groups(start: u64, len: usize) -> Groups {
    Groups { start, len, at: 0 }
}

/// An element that a kernel writes.
pub(super) trait Out: Copy {
    fn fill(stream: &Stream, start: u64, out: &mut [Self], kernel: Kernel);
}

impl Out for u32 {
    #[inline(always)]
    fn fill(stream: &Stream, start: u64, out: &mut [u32], _kernel: Kernel) {
        for (at, first, n, group) in groups(start, out.len()) {
            let mut words = [0; GROUP];
            group_words(stream, group, &mut words);
            out[at..at + n].copy_from_slice(&words[first..first + n]);
        }
    }
}

impl Out for f32 {
    #[inline(always)]
    fn fill(stream: &Stream, start: u64, out: &mut [f32], _kernel: Kernel) {
        for (at, first, n, group) in groups(start, out.len()) {
            let slice = &mut out[at..at + n];
            let mut values = [0.0; GROUP];
            group_uniforms(stream, group, &mut values);
            slice.copy_from_slice(&values[first..first + n]);
        }
    }
}

/// What becomes of normal numbers n.
#[derive(Clone, Copy)]
pub(super) enum Use<'a> {
    /// `out = n`
    Normals,
    /// `out += scale * n`
    Add(f32),
    /// `out = base + scale * n`
    Move(&'a [f32], f32),
}

impl Use<'_> {
    /// The same for a part of the numbers.
    pub(super) fn part(self, range: Range<usize>) -> Self {
        match self {
            Use::Move(base, scale) => Use::Move(&base[range], scale),
            other => other,
        }
    }
}

#[inline(always)]
pub(super) fn normals_body(stream: &Stream, start: u64, out: &mut [f32], what: Use<'_>) {
    for (at, first, n, group) in groups(start, out.len()) {
        let mut values = [0.0; GROUP];
        group_normals(stream, group, &mut values);
        let (values, out) = (&values[first..first + n], &mut out[at..at + n]);
        match what {
            Use::Normals => out.copy_from_slice(values),
            Use::Add(scale) => (0..n).for_each(|i| out[i] = values[i].mul_add(scale, out[i])),
            Use::Move(base, scale) => {
                let base = &base[at..at + n];
                (0..n).for_each(|i| out[i] = values[i].mul_add(scale, base[i]));
            }
        }
    }
}

pub(super) fn run<T: Out>(stream: &Stream, start: u64, out: &mut [T], kernel: Kernel) {
    crate::simd_dispatch!(
        fn [T: Out](stream: &Stream, start: u64, out: &mut [T], kernel: Kernel) { T::fill(stream, start, out, kernel) }
    )
}

/// Normal numbers of whole groups by the processor's own vectors, if there is a kernel for them.
fn kernel() -> Option<Fill> {
    #[cfg(target_arch = "x86_64")]
    {
        if super::avx512::available() {
            return Some(super::avx512::fill);
        }
        if super::avx2::available() {
            return Some(super::avx2::fill);
        }
    }
    None
}

/// Normal numbers at positions `start..start + out.len()`.
pub(super) fn normals(stream: &Stream, start: u64, out: &mut [f32], what: Use<'_>) {
    match kernel() {
        Some(fill) => by_groups(fill, stream, start, out, what),
        None => normals_body(stream, start, out, what),
    }
}

pub(super) fn by_groups(fill: Fill, stream: &Stream, start: u64, out: &mut [f32], what: Use<'_>) {
    let n = out.len();
    let head = (start.next_multiple_of(GROUP as u64) - start).min(n as u64) as usize;
    let tail = head + (n - head) / GROUP * GROUP;
    cut(fill, stream, start, &mut out[..head], what.part(0..head));
    let group = (start + head as u64) / GROUP as u64;
    fill(stream, group, &mut out[head..tail], what.part(head..tail));
    cut(fill, stream, start + tail as u64, &mut out[tail..], what.part(tail..n));
}

/// Part of one group.
fn cut(fill: Fill, stream: &Stream, start: u64, out: &mut [f32], what: Use<'_>) {
    if out.is_empty() {
        return;
    }
    let mut group = [0.0; GROUP];
    let first = (start % GROUP as u64) as usize;
    let part = first..first + out.len();
    let what = match what {
        Use::Normals => Use::Normals,
        Use::Add(scale) => {
            group[part.clone()].copy_from_slice(out);
            Use::Add(scale)
        }
        Use::Move(base, scale) => {
            group[part.clone()].copy_from_slice(base);
            Use::Add(scale)
        }
    };
    fill(stream, start / GROUP as u64, &mut group, what);
    out.copy_from_slice(&group[part]);
}

pub(super) fn mirrored(stream: &Stream, center: &[f32], scale: f32, plus: &mut [f32], minus: &mut [f32]) {
    /// Numbers that stay in the first-level cache.
    const PART: usize = 16 * GROUP;
    assert!(plus.len() == center.len() && minus.len() == center.len());
    let mut values = [0.0; PART];
    let parts = plus.chunks_mut(PART).zip(minus.chunks_mut(PART));
    for ((center, (plus, minus)), start) in center.chunks(PART).zip(parts).zip((0..).step_by(PART)) {
        let values = &mut values[..center.len()];
        normals(stream, start, values, Use::Normals);
        both_ways(center, scale, values, plus, minus);
    }
}

fn both_ways(center: &[f32], scale: f32, values: &[f32], plus: &mut [f32], minus: &mut [f32]) {
    crate::simd_dispatch!(
        fn [](center: &[f32], scale: f32, values: &[f32], plus: &mut [f32], minus: &mut [f32]) {
            for (((p, m), c), n) in plus.iter_mut().zip(minus).zip(center).zip(values) {
                *p = n.mul_add(scale, *c);
                *m = n.mul_add(-scale, *c);
            }
        }
    )
}
