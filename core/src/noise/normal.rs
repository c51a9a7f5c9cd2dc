//! The vectorized generator: groups of 64 words, uniforms or normals, written so that the compiler vectorizes the lanes.
//!
//! The same body is compiled for AVX-512, AVX2 with FMA, and the machine's baseline, chosen at run time. All arithmetic is
//! exact integer work or correctly rounded operations (fused multiply-add, division-free), so every version gives equal bits.

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

#[inline(always)]
fn normals_body(stream: &Stream, start: u64, out: &mut [f32], what: Use<'_>) {
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

#[inline(always)]
fn mirrored_body(stream: &Stream, center: &[f32], scale: f32, plus: &mut [f32], minus: &mut [f32]) {
    for (at, _, n, group) in groups(0, center.len()) {
        let mut values = [0.0; GROUP];
        group_normals(stream, group, &mut values);
        let (c, p, m) = (&center[at..at + n], &mut plus[at..at + n], &mut minus[at..at + n]);
        for i in 0..n {
            p[i] = values[i].mul_add(scale, c[i]);
            m[i] = values[i].mul_add(-scale, c[i]);
        }
    }
}

pub(super) fn run<T: Out>(stream: &Stream, start: u64, out: &mut [T], kernel: Kernel) {
    crate::simd_dispatch!(
        fn [T: Out](stream: &Stream, start: u64, out: &mut [T], kernel: Kernel) { T::fill(stream, start, out, kernel) }
    )
}

/// Normal numbers at positions `start..start + out.len()`.
pub(super) fn normals(stream: &Stream, start: u64, out: &mut [f32], what: Use<'_>) {
    if let Use::Move(base, _) = what {
        assert_eq!(base.len(), out.len());
    }
    #[cfg(target_arch = "x86_64")]
    if super::avx512::available() {
        // Whole groups by their own kernel, what is left at either end by the portable one.
        let head = (start.next_multiple_of(GROUP as u64) - start).min(out.len() as u64) as usize;
        let tail = head + (out.len() - head) / GROUP * GROUP;
        let part = |range: std::ops::Range<usize>| match what {
            Use::Move(base, scale) => Use::Move(&base[range], scale),
            other => other,
        };
        let n = out.len();
        portable(stream, start, &mut out[..head], part(0..head));
        super::avx512::fill(
            stream,
            (start + head as u64) / GROUP as u64,
            &mut out[head..tail],
            part(head..tail),
        );
        portable(stream, start + tail as u64, &mut out[tail..], part(tail..n));
        return;
    }
    portable(stream, start, out, what);
}

fn portable(stream: &Stream, start: u64, out: &mut [f32], what: Use<'_>) {
    crate::simd_dispatch!(
        fn [](stream: &Stream, start: u64, out: &mut [f32], what: Use<'_>) { normals_body(stream, start, out, what) }
    )
}

pub(super) fn mirrored(stream: &Stream, center: &[f32], scale: f32, plus: &mut [f32], minus: &mut [f32]) {
    assert!(plus.len() == center.len() && minus.len() == center.len());
    crate::simd_dispatch!(
        fn [](stream: &Stream, center: &[f32], scale: f32, plus: &mut [f32], minus: &mut [f32]) {
            mirrored_body(stream, center, scale, plus, minus)
        }
    )
}

#[cfg(test)]
mod tests {
    use super::super::{Purpose, Stream};
    use super::Use;

    fn stream() -> Stream {
        Stream::new(7, Purpose::Variation, 3, 11)
    }

    #[test]
    fn any_slice_equals_the_whole() {
        let mut whole = vec![0.0; 1000];
        stream().normals(0, &mut whole);
        for (start, len) in [(0, 1), (1, 63), (63, 2), (64, 64), (100, 513), (999, 1)] {
            let mut part = vec![0.0; len];
            stream().normals(start, &mut part);
            assert_eq!(part, whole[start as usize..start as usize + len]);
            let mut sum = vec![1.0f32; len];
            stream().add_normals(start, 0.5, &mut sum);
            for (s, w) in sum.iter().zip(&whole[start as usize..]) {
                assert_eq!(*s, w.mul_add(0.5, 1.0));
            }
        }
        let mut words = vec![0; 300];
        stream().words(5, &mut words);
        for (i, w) in words.iter().enumerate() {
            assert_eq!(*w, stream().word(5 + i as u64));
        }
    }

    /// Nothing to compare with on a processor without AVX-512.
    #[test]
    fn every_kernel_gives_the_same_bits() {
        let n = 3_000_017;
        let base: Vec<f32> = (0..n).map(|i| (i as f32).sin()).collect();
        let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<u32>>();
        for start in [0, 5, (1 << 34) - 1_000_000, (1 << 36) + 77] {
            for what in [Use::Normals, Use::Add(0.3), Use::Move(&base, 0.002)] {
                let (mut chosen, mut plain) = (base.clone(), base.clone());
                super::normals(&stream(), start, &mut chosen, what);
                super::normals_body(&stream(), start, &mut plain, what);
                assert!(bits(&chosen) == bits(&plain), "from {start}");
            }
        }
    }

    #[test]
    fn mirrored_pairs_are_symmetric_and_use_the_same_noise() {
        let center: Vec<f32> = (0..130).map(|i| i as f32).collect();
        let (mut p, mut m, mut n) = (vec![0.0; 130], vec![0.0; 130], vec![0.0; 130]);
        stream().mirrored(&center, 0.5, &mut p, &mut m);
        stream().normals(0, &mut n);
        for i in 0..130 {
            assert_eq!(p[i], n[i].mul_add(0.5, center[i]));
            assert_eq!(m[i], n[i].mul_add(-0.5, center[i]));
        }
    }

    #[test]
    fn normals_have_normal_moments() {
        let n = 4_000_000;
        let mut x = vec![0.0f32; n];
        stream().normals(0, &mut x);
        let moment = |k: i32| x.iter().map(|&v| f64::from(v).powi(k)).sum::<f64>() / n as f64;
        // Standard errors of the raw moments of n normals: sqrt((E x^2k - (E x^k)^2) / n).
        for (k, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let error = (moment(k) - expected).abs();
            assert!(error < 4.0 * (variance / n as f64).sqrt(), "moment {k}: {}", moment(k));
        }
        let lag: f64 = x.windows(2).map(|w| f64::from(w[0]) * f64::from(w[1])).sum::<f64>() / n as f64;
        assert!(lag.abs() < 4.0 / (n as f64).sqrt(), "lag-one correlation {lag}");
        assert!(x.iter().all(|v| v.is_finite()));
    }

    /// Kolmogorov-Smirnov distance of the normals to the normal law; its 0.1 % quantile is 1.95 / sqrt(n).
    #[test]
    fn normals_pass_kolmogorov_smirnov() {
        let n = 1_000_000;
        let mut x = vec![0.0f32; n];
        Stream::new(1, Purpose::Init, 0, 0).normals(0, &mut x);
        x.sort_by(f32::total_cmp);
        let d = x
            .iter()
            .enumerate()
            .map(|(i, &v)| {
                let p = normal_cdf(f64::from(v));
                (p - i as f64 / n as f64)
                    .abs()
                    .max(((i + 1) as f64 / n as f64 - p).abs())
            })
            .fold(0.0, f64::max);
        assert!(d < 1.95 / (n as f64).sqrt(), "KS distance {d}");
    }

    /// Phi(x) by the series x - x^3/3/2 + …, exact to 1e-15 for |x| < 7.
    fn normal_cdf(x: f64) -> f64 {
        let (mut term, mut sum, mut k) = (x, x, 0.0);
        while term.abs() > 1e-17 * sum.abs().max(1e-300) && k < 400.0 {
            k += 1.0;
            term *= x * x / (2.0 * k + 1.0);
            sum += term;
        }
        0.5 + sum * (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
    }

    /// Two samples of the same law, one from an independent implementation: their KS distance.
    #[test]
    fn normals_agree_with_rand_distr() {
        use rand_distr::{Distribution, StandardNormal};
        let n = 200_000;
        let mut ours = vec![0.0f32; n];
        Stream::new(2, Purpose::Init, 0, 0).normals(0, &mut ours);
        let mut rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(1);
        let mut theirs: Vec<f32> = (0..n).map(|_| StandardNormal.sample(&mut rng)).collect();
        ours.sort_by(f32::total_cmp);
        theirs.sort_by(f32::total_cmp);
        let (mut i, mut j, mut d) = (0usize, 0usize, 0usize);
        while i < n && j < n {
            if ours[i] <= theirs[j] {
                i += 1
            } else {
                j += 1
            }
            d = d.max(i.abs_diff(j));
        }
        assert!((d as f64 / n as f64) < 1.95 * (2.0 / n as f64).sqrt());
    }

    #[test]
    fn neighbouring_streams_are_uncorrelated() {
        let n = 100_000;
        let base = stream();
        let mut a = vec![0.0f32; n];
        base.normals(0, &mut a);
        let others = [
            Stream::new(8, Purpose::Variation, 3, 11),
            Stream::new(7, Purpose::Init, 3, 11),
            Stream::new(7, Purpose::Variation, 4, 11),
            Stream::new(7, Purpose::Variation, 3, 12),
        ];
        for other in others {
            let mut b = vec![0.0f32; n];
            other.normals(0, &mut b);
            let c: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(x * y)).sum::<f64>() / n as f64;
            assert!(c.abs() < 4.0 / (n as f64).sqrt());
        }
    }
}
