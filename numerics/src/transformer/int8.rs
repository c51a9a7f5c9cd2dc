//! Rows and weights of eight bits: their products are sums of integers, which are exact, so that every level of instructions gives the same bits.
//!
//! A row is cut into groups of [`INT8_GROUP`] inputs, each with a scale of its own: the largest magnitude is 127. A sum of a group is below 2^24, which f32 holds;
//! those of the groups are added in f32, in order, times the group's scale, and the whole is taken times the weights' scale.

use std::ops::Range;

use super::matrix::{Matrix, Team};
use super::ops::ROUND;
use super::packed::Packed;
use crate::lanes::{LANES, Lanes, Plain};
use crate::level::{Kind, Level};
use crate::panel::{Columns, First, reach};
use crate::simd_dispatch;

/// Inputs whose products an instruction adds.
pub(super) const QUAD: usize = 4;
/// Inputs of a row that share a scale.
pub const INT8_GROUP: usize = 64;
const GROUP: usize = INT8_GROUP;
/// Magnitudes up to here count as zero: 127 divided by them need not be finite.
const TINY: f32 = 1e-30;

/// Memory for [`Codes`].
#[derive(Debug, Default)]
pub struct CodeBuffers {
    bytes: Vec<i8>,
    words: Vec<i16>,
    scales: Vec<f32>,
    starts: Vec<i32>,
}

/// Rows rounded to eight bits.
#[derive(Clone, Copy)]
pub struct Codes<'a> {
    way: Way,
    /// `[rows, inputs]` filled up to whole quads: bytes for VNNI, else words.
    bytes: &'a [i8],
    words: &'a [i16],
    ld: usize,
    /// `[rows, groups]`: what a code of 1 stands for.
    scales: &'a [f32],
    /// `[rows, groups]`: what the sums of a group begin with, for weights that are 128 too large.
    starts: &'a [i32],
    groups: usize,
}

/// How integers are multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Words in pairs, whatever the processor has.
    Plain,
    /// Words in pairs.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// Bytes in quads.
    #[cfg(target_arch = "x86_64")]
    Vnni,
}

impl Way {
    fn of(level: Level) -> Way {
        match level.kind() {
            Kind::Base => Way::Plain,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 if is_x86_feature_detected!("avx512vnni") => Way::Vnni,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 | Kind::Avx512 => Way::Avx2,
        }
    }

    fn of_bytes(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        return self == Way::Vnni;
        #[cfg(not(target_arch = "x86_64"))]
        return false;
    }
}

impl<'a> Codes<'a> {
    /// The inputs of the weights from the rows `x` (`[rows, ld]`, and `ld`); none if they are not of eight bits.
    pub fn new(
        buffers: &'a mut CodeBuffers,
        (x, x_ld): (&[f32], usize),
        weights: &Packed,
        level: Level,
        team: Team,
    ) -> Option<Codes<'a>> {
        if !weights.is_int8() {
            return None;
        }
        let inputs = weights.inputs;
        let (rows, groups, ld) = (x.len() / x_ld, inputs.div_ceil(GROUP), inputs.next_multiple_of(QUAD));
        let way = Way::of(level);
        let (of_bytes, of_words) = if way.of_bytes() { (rows, 0) } else { (0, rows) };
        let bytes = Matrix::new(&mut buffers.bytes, of_bytes, ld);
        let words = Matrix::new(&mut buffers.words, of_words, ld);
        let scales = Matrix::new(&mut buffers.scales, rows, groups);
        let starts = Matrix::new(&mut buffers.starts, rows, groups);
        team.each_part(rows, |rows| {
            for row in rows {
                let from = &x[row * x_ld..][..inputs];
                // SAFETY: a row is in one part, in all matrices.
                let (scales, starts) = unsafe { (scales.row(row), starts.row(row)) };
                match way.of_bytes() {
                    // SAFETY: as above.
                    true => round_to_bytes(from, unsafe { bytes.row(row) }, scales, starts),
                    // SAFETY: as above.
                    false => round_to_words(from, unsafe { words.row(row) }, scales, starts),
                }
            }
        });
        // SAFETY: all is written.
        Some(unsafe {
            Codes {
                way,
                bytes: bytes.all(),
                words: words.all(),
                ld,
                scales: scales.all(),
                starts: starts.all(),
                groups,
            }
        })
    }

    /// Some rows.
    pub fn part(&self, rows: Range<usize>) -> Codes<'a> {
        fn cut<'b, T>(of: &'b [T], rows: &Range<usize>, ld: usize) -> &'b [T] {
            if of.is_empty() {
                of
            } else {
                &of[rows.start * ld..rows.end * ld]
            }
        }
        Codes {
            bytes: cut(self.bytes, &rows, self.ld),
            words: cut(self.words, &rows, self.ld),
            scales: cut(self.scales, &rows, self.groups),
            starts: cut(self.starts, &rows, self.groups),
            ..*self
        }
    }

    /// `y = first + codes weights` for panel number `panel`; `room` is a buffer.
    pub(super) fn multiply(&self, weights: &Packed, panel: usize, first: First, y: Columns, room: &mut Vec<i16>) {
        let (codes, scales) = weights.int8(panel).expect("codes are for weights of eight bits");
        assert!(self.ld == weights.inputs.next_multiple_of(QUAD) && codes.len() == self.ld * LANES);
        assert!(self.scales.len() >= y.rows * self.groups && self.starts.len() >= y.rows * self.groups);
        assert!(self.groups == weights.inputs.div_ceil(GROUP) && y.width == LANES);
        assert!(!matches!(first, First::Bias(bias) if bias.len() < LANES), "bias");
        let held = if self.way.of_bytes() {
            self.bytes.len()
        } else {
            self.words.len()
        };
        assert!(held >= reach(y.rows, self.ld, self.ld));
        let job = Job {
            ld: self.ld,
            scales: self.scales,
            starts: self.starts,
            groups: self.groups,
            weight_scales: scales,
            first,
            y,
        };
        match self.way {
            Way::Plain => {
                widen(codes, room);
                // SAFETY: ranges have just been checked; any processor has what this takes.
                unsafe { job.multiply::<PlainSums, 2>(self.words, room) }
            }
            #[cfg(target_arch = "x86_64")]
            Way::Avx2 => {
                #[target_feature(enable = "avx2,fma")]
                unsafe fn medium(job: Job, x: &[i16], w: &[i16]) {
                    // SAFETY: the caller has checked the ranges, and the processor has AVX2 and FMA.
                    unsafe { job.multiply::<x86::PairSums, 4>(x, w) }
                }
                widen(codes, room);
                // SAFETY: as above; this way is only taken where the processor has it.
                unsafe { medium(job, self.words, room) }
            }
            #[cfg(target_arch = "x86_64")]
            Way::Vnni => {
                #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx512vnni,avx2,fma")]
                unsafe fn wide(job: Job, x: &[i8], w: &[u8]) {
                    // SAFETY: the caller has checked the ranges, and the processor has AVX-512 and its VNNI.
                    unsafe { job.multiply::<std::arch::x86_64::__m512i, 14>(x, w) }
                }
                // SAFETY: as above.
                unsafe { wide(job, self.bytes, codes) }
            }
        }
    }
}

/// Sums of sixteen outputs.
///
/// # Safety
/// Methods may be called only where the processor has the instructions of the type; pointers are to as many numbers as are read.
trait Sums: Copy {
    /// A code of a row, and of a weight.
    type Code: Copy;
    type Weight: Copy;
    /// Inputs that are taken at once.
    const STEP: usize;
    type Weights: Copy;
    type Floats: Lanes;
    /// What sums begin with, where weights are 128 too large.
    unsafe fn first(start: i32) -> Self;
    /// `STEP` inputs of the sixteen outputs.
    unsafe fn load(from: *const Self::Weight) -> Self::Weights;
    /// Adds the products of `STEP` inputs.
    unsafe fn add(self, weights: Self::Weights, x: *const Self::Code) -> Self;
    unsafe fn to_floats(self) -> Self::Floats;
}

/// A panel of all rows.
struct Job<'a> {
    ld: usize,
    scales: &'a [f32],
    starts: &'a [i32],
    groups: usize,
    weight_scales: &'a [f32],
    first: First<'a>,
    y: Columns<'a>,
}

impl Job<'_> {
    /// All rows, `R` of them at a time.
    ///
    /// # Safety
    /// The processor has the instructions of `S`; each row has `ld` codes, `groups` scales and starts, the weights `ld * 16` codes.
    #[inline(always)]
    unsafe fn multiply<S: Sums, const R: usize>(&self, x: &[S::Code], w: &[S::Weight]) {
        let (mut row, rows) = (0, self.y.rows);
        // SAFETY: the caller's promise; each block of rows ends with the last row at the latest.
        unsafe {
            while row + R <= rows {
                self.block::<S, R>(x, w, row);
                row += R;
            }
            if R > 8 && row + 8 <= rows {
                self.block::<S, 8>(x, w, row);
                row += 8;
            }
            if row + 4 <= rows {
                self.block::<S, 4>(x, w, row);
                row += 4;
            }
            if row + 2 <= rows {
                self.block::<S, 2>(x, w, row);
                row += 2;
            }
            while row < rows {
                self.block::<S, 1>(x, w, row);
                row += 1;
            }
        }
    }

    /// # Safety
    /// As for [`Job::multiply`]; the rows `row..row + R` are there.
    #[inline(always)]
    unsafe fn block<S: Sums, const R: usize>(&self, x: &[S::Code], w: &[S::Weight], row: usize) {
        // SAFETY: the caller's promise; inputs end with `ld`, which is a multiple of every step.
        unsafe {
            let x = x.as_ptr().add(row * self.ld);
            let scales = self.scales.as_ptr().add(row * self.groups);
            let starts = self.starts.as_ptr().add(row * self.groups);
            let mut sums = [S::Floats::splat(0.0); R];
            for group in 0..self.groups {
                let mut acc = [S::first(0); R];
                for (r, acc) in acc.iter_mut().enumerate() {
                    *acc = S::first(*starts.add(r * self.groups + group));
                }
                let end = ((group + 1) * GROUP).min(self.ld);
                for k in (group * GROUP..end).step_by(S::STEP) {
                    let weights = S::load(w.as_ptr().add(k * LANES));
                    for (r, acc) in acc.iter_mut().enumerate() {
                        *acc = acc.add(weights, x.add(r * self.ld + k));
                    }
                }
                for (r, (sum, acc)) in sums.iter_mut().zip(acc).enumerate() {
                    let scale = S::Floats::splat(*scales.add(r * self.groups + group));
                    *sum = acc.to_floats().mul_add(scale, *sum);
                }
            }
            let weight_scales = S::Floats::load(self.weight_scales.as_ptr());
            let y = self.y.at.add(row * self.y.ld);
            for (r, sum) in sums.into_iter().enumerate() {
                let to = y.add(r * self.y.ld);
                let first = match self.first {
                    First::Zero => S::Floats::splat(0.0),
                    First::Bias(bias) => S::Floats::load(bias.as_ptr()),
                    First::Output => S::Floats::load(to),
                };
                sum.mul_add(weight_scales, first).store(to);
            }
        }
    }
}

/// What any processor can do.
#[derive(Clone, Copy)]
struct PlainSums([i32; LANES]);

impl Sums for PlainSums {
    type Code = i16;
    type Weight = i16;
    const STEP: usize = 2;
    type Weights = [i16; 2 * LANES];
    type Floats = Plain;
    #[inline(always)]
    unsafe fn first(_start: i32) -> Self {
        PlainSums([0; LANES])
    }
    #[inline(always)]
    unsafe fn load(from: *const i16) -> Self::Weights {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<Self::Weights>().read_unaligned() }
    }
    #[inline(always)]
    unsafe fn add(mut self, weights: Self::Weights, x: *const i16) -> Self {
        // SAFETY: the caller's promise.
        let x = unsafe { [i32::from(*x), i32::from(*x.add(1))] };
        for (o, sum) in self.0.iter_mut().enumerate() {
            *sum += i32::from(weights[2 * o]) * x[0] + i32::from(weights[2 * o + 1]) * x[1];
        }
        self
    }
    #[inline(always)]
    unsafe fn to_floats(self) -> Plain {
        let floats = self.0.map(|x| x as f32);
        // SAFETY: sixteen numbers, which any processor can load.
        unsafe { Plain::load(floats.as_ptr()) }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Sums;
    use crate::lanes::Pair;

    /// Two registers of AVX2.
    #[derive(Clone, Copy)]
    pub struct PairSums(__m256i, __m256i);

    // SAFETY (of all that follow): the caller promises that the processor has the instructions, and that the numbers read are there.
    impl Sums for PairSums {
        type Code = i16;
        type Weight = i16;
        const STEP: usize = 2;
        type Weights = (__m256i, __m256i);
        type Floats = Pair;
        #[inline(always)]
        unsafe fn first(_start: i32) -> Self {
            // SAFETY: as above.
            unsafe { PairSums(_mm256_setzero_si256(), _mm256_setzero_si256()) }
        }
        #[inline(always)]
        unsafe fn load(from: *const i16) -> Self::Weights {
            // SAFETY: as above.
            unsafe { (_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(16).cast())) }
        }
        #[inline(always)]
        unsafe fn add(self, weights: Self::Weights, x: *const i16) -> Self {
            // SAFETY: as above.
            unsafe {
                let x = _mm256_set1_epi32(x.cast::<i32>().read_unaligned());
                PairSums(
                    _mm256_add_epi32(self.0, _mm256_madd_epi16(weights.0, x)),
                    _mm256_add_epi32(self.1, _mm256_madd_epi16(weights.1, x)),
                )
            }
        }
        #[inline(always)]
        unsafe fn to_floats(self) -> Pair {
            // SAFETY: as above.
            unsafe { Pair(_mm256_cvtepi32_ps(self.0), _mm256_cvtepi32_ps(self.1)) }
        }
    }

    impl Sums for __m512i {
        type Code = i8;
        type Weight = u8;
        const STEP: usize = 4;
        type Weights = __m512i;
        type Floats = __m512;
        #[inline(always)]
        unsafe fn first(start: i32) -> Self {
            // SAFETY: as above.
            unsafe { _mm512_set1_epi32(start) }
        }
        #[inline(always)]
        unsafe fn load(from: *const u8) -> Self::Weights {
            // SAFETY: as above.
            unsafe { _mm512_loadu_si512(from.cast()) }
        }
        #[inline(always)]
        unsafe fn add(self, weights: Self::Weights, x: *const i8) -> Self {
            // SAFETY: as above.
            unsafe { _mm512_dpbusd_epi32(self, weights, _mm512_set1_epi32(x.cast::<i32>().read_unaligned())) }
        }
        #[inline(always)]
        unsafe fn to_floats(self) -> __m512 {
            // SAFETY: as above.
            unsafe { _mm512_cvtepi32_ps(self) }
        }
    }
}

/// `[quads, 16, 4]` bytes that are 128 too large as `[pairs, 16, 2]` words.
fn widen(codes: &[u8], out: &mut Vec<i16>) {
    out.resize(codes.len(), 0);
    simd_dispatch!(fn [](codes: &[u8], out: &mut [i16]) { widen_body(codes, out) })
}

#[inline(always)]
fn widen_body(codes: &[u8], out: &mut [i16]) {
    for (out, codes) in out.chunks_exact_mut(QUAD * LANES).zip(codes.chunks_exact(QUAD * LANES)) {
        let (low, high) = out.split_at_mut(2 * LANES);
        for o in 0..LANES {
            for i in 0..2 {
                low[2 * o + i] = i16::from(codes[QUAD * o + i]) - 128;
                high[2 * o + i] = i16::from(codes[QUAD * o + 2 + i]) - 128;
            }
        }
    }
}

/// What is behind the row's inputs becomes 0.
#[inline(always)]
fn round_body<T: From<i8> + Copy>(x: &[f32], codes: &mut [T], scales: &mut [f32], starts: &mut [i32]) {
    let groups = x.chunks(GROUP).zip(codes.chunks_mut(GROUP));
    for ((x, codes), (scale, start)) in groups.zip(scales.iter_mut().zip(starts)) {
        // Compared as integers, infinities and NaN are the largest: they reach the scale, and with it the sums.
        let largest = x.iter().fold(0, |m: u32, v| m.max(v.to_bits() & 0x7fff_ffff));
        let largest = f32::from_bits(largest);
        let times = if largest <= TINY { 0.0 } else { 127.0 / largest };
        *scale = if largest <= TINY { 0.0 } else { largest / 127.0 };
        let mut sum = 0;
        for (code, v) in codes.iter_mut().zip(x) {
            let rounded = v.mul_add(times, ROUND).to_bits() as i8;
            *code = T::from(rounded);
            sum += i32::from(rounded);
        }
        codes[x.len()..].fill(T::from(0));
        *start = -128 * sum;
    }
}

fn round_to_bytes(x: &[f32], codes: &mut [i8], scales: &mut [f32], starts: &mut [i32]) {
    simd_dispatch!(fn [](x: &[f32], codes: &mut [i8], scales: &mut [f32], starts: &mut [i32]) {
        round_body(x, codes, scales, starts)
    })
}

fn round_to_words(x: &[f32], codes: &mut [i16], scales: &mut [f32], starts: &mut [i32]) {
    simd_dispatch!(fn [](x: &[f32], codes: &mut [i16], scales: &mut [f32], starts: &mut [i32]) {
        round_body(x, codes, scales, starts)
    })
}
