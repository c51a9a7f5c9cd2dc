//! Normal numbers on processors with AVX-512, by what the kernels share (`vectors.rs`).
//!
//! Blocks of even and of odd lanes are kept as 64-bit lanes, so that a round needs no shuffles until the last one merges the two.

use std::arch::x86_64::*;

use super::normal::Use;
use super::philox::{M0, M1};
use super::vectors::{Shared, each, fill_by, instructions, kernel};
use super::{GROUP, Stream};

/// Whether this processor can run [`fill`].
#[inline]
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq")
}

type Int = __m512i;
type Float = __m512;
const LANES: usize = 16;
const PARTS: usize = 1;
/// Unit of the exponents that [`split`] gives.
const EXPONENT: f32 = 1.0;

instructions! { "avx512f,avx512dq":
    spread(x: u32) -> Int = _mm512_set1_epi32(x as i32);
    spread_wide(x: u32) -> Int = _mm512_set1_epi64(i64::from(x));
    product(a: Int, b: Int) -> Int = _mm512_mul_epu32(a, b);
    upper(a: Int) -> Int = _mm512_srli_epi64::<32>(a);
    xor(a: Int, b: Int) -> Int = _mm512_xor_si512(a, b);
    xor3(a: Int, b: Int, c: Int) -> Int = _mm512_ternarylogic_epi64::<0x96>(a, b, c);
    /// Lower halves of two vectors of 64-bit lanes, interleaved.
    low_halves(even: Int, odd: Int) -> Int = _mm512_mask_shuffle_epi32::<0b10_10_00_00>(even, 0xAAAA, odd);
    /// Upper halves.
    high_halves(even: Int, odd: Int) -> Int = _mm512_mask_shuffle_epi32::<0b11_11_01_01>(odd, 0x5555, even);
    halved(a: Int) -> Int = _mm512_srli_epi32::<1>(a);
    float(a: Int) -> Float = _mm512_cvtepi32_ps(a);
    splat(x: f32) -> Float = _mm512_set1_ps(x);
    add(a: Float, b: Float) -> Float = _mm512_add_ps(a, b);
    sub(a: Float, b: Float) -> Float = _mm512_sub_ps(a, b);
    mul(a: Float, b: Float) -> Float = _mm512_mul_ps(a, b);
    fma(a: Float, b: Float, c: Float) -> Float = _mm512_fmadd_ps(a, b, c);
    min(a: Float, b: Float) -> Float = _mm512_min_ps(a, b);
    max(a: Float, b: Float) -> Float = _mm512_max_ps(a, b);
    sqrt(a: Float) -> Float = _mm512_sqrt_ps(a);
    abs(a: Float) -> Float = _mm512_abs_ps(a);
    /// The magnitude with the sign of another: (sign & of) | (!sign & magnitude).
    signed(of: Float, magnitude: Float) -> Float = _mm512_castsi512_ps(_mm512_ternarylogic_epi32::<0xCA>(
        _mm512_set1_epi32(i32::MIN),
        _mm512_castps_si512(of),
        _mm512_castps_si512(magnitude)
    ));
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn load(from: &[f32; LANES]) -> Float {
    // SAFETY: as many numbers as a vector has, at any alignment.
    unsafe { _mm512_loadu_ps(from.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn store(to: &mut [f32; LANES], x: Float) {
    // SAFETY: as many numbers as a vector has, at any alignment.
    unsafe { _mm512_storeu_ps(to.as_mut_ptr(), x) }
}

/// Of (x + 1/2) 2^-31 the exponent, in units of EXPONENT, and the mantissa, in [sqrt(1/2), sqrt(2)).
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn split(x: Float) -> (Float, Float) {
    const TWO_M31: f32 = 1.0 / 2_147_483_648.0;
    const ONE_OVER_SQRT_HALF: i32 = 0x3f80_0000 - 0x3f35_04f3;
    let ratio = _mm512_set1_epi32(ONE_OVER_SQRT_HALF);
    let u = fma(x, splat(TWO_M31), splat(0.5 * TWO_M31));
    let shifted = _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(u), ratio));
    let mantissa = _mm512_getmant_ps::<_MM_MANT_NORM_1_2, _MM_MANT_SIGN_SRC>(shifted);
    let mantissa = _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_castps_si512(mantissa), ratio));
    (_mm512_getexp_ps(shifted), mantissa)
}

kernel!("avx512f,avx512dq");

/// Words of eight blocks, each in the lower half of a 64-bit lane; the upper halves hold anything.
type Words = [Int; 4];

/// Rounds 1 to 9 of several times eight blocks whose numbers (their lowest words) are given. All go through a round together: each
/// waits for its own products, not for the others'.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn nine_rounds<const N: usize>(blocks: [Int; N], shared: &Spread) -> [Words; N] {
    let (m0, m1) = (spread_wide(M0), spread_wide(M1));
    let [round1, round2_0, round2_2, round3_2] = shared.first;
    let mut words = [[spread(0); 4]; N];
    for i in 0..N {
        words[i][3] = product(blocks[i], m0);
        words[i][2] = xor(upper(words[i][3]), round1);
    }
    for w in &mut words {
        w[1] = product(w[2], m1);
        w[0] = xor(upper(w[1]), round2_0);
        w[2] = xor(w[3], round2_2);
    }
    for w in &mut words {
        let (p0, p1) = (product(w[0], m0), product(w[2], m1));
        *w = [
            xor3(upper(p1), w[1], shared.keys[0][0]),
            p1,
            xor(upper(p0), round3_2),
            p0,
        ];
    }
    for [k0, k1] in &shared.keys[1..7] {
        for w in &mut words {
            let (p0, p1) = (product(w[0], m0), product(w[2], m1));
            *w = [xor3(upper(p1), w[1], *k0), p1, xor3(upper(p0), w[3], *k1), p0];
        }
    }
    words
}

/// Round 10, which merges the blocks of even and of odd lanes: word s of the sixteen blocks.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn last_round(even: Words, odd: Words, shared: &Spread) -> Words {
    let (m0, m1) = (spread_wide(M0), spread_wide(M1));
    let [k0, k1] = shared.keys[7];
    let p0 = [product(even[0], m0), product(odd[0], m0)];
    let p1 = [product(even[2], m1), product(odd[2], m1)];
    [
        xor3(high_halves(p1[0], p1[1]), low_halves(even[1], odd[1]), k0),
        low_halves(p1[0], p1[1]),
        xor3(high_halves(p0[0], p0[1]), low_halves(even[3], odd[3]), k1),
        low_halves(p0[0], p0[1]),
    ]
}

/// Words of two groups of sixteen blocks; `even` are the numbers of the first group's blocks of even lanes. Four chains of rounds side by
/// side keep both vector units busy (one group at a time: 1.4 times slower).
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn thirty_two_blocks(even: Int, shared: &Spread) -> [Words; 2] {
    let odd = _mm512_add_epi64(even, _mm512_set1_epi64(1));
    let even2 = _mm512_add_epi64(even, _mm512_set1_epi64(16));
    let odd2 = _mm512_add_epi64(even, _mm512_set1_epi64(17));
    let [even, odd, even2, odd2] = nine_rounds([even, odd, even2, odd2], shared);
    [last_round(even, odd, shared), last_round(even2, odd2, shared)]
}

/// [`fill`] for groups that share the upper words of their counters.
#[target_feature(enable = "avx512f,avx512dq")]
fn fill_groups(stream: &Stream, first: u64, out: &mut [f32], what: Use<'_>) {
    let block = first * 16;
    let shared = Spread::new(stream, block);
    let lanes = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
    let mut even = _mm512_add_epi64(spread_wide(block as u32), lanes);
    let mut at = 0;
    for groups in out.chunks_mut(2 * GROUP) {
        let words = thirty_two_blocks(even, &shared);
        even = _mm512_add_epi64(even, _mm512_set1_epi64(32));
        for (group, words) in groups.as_chunks_mut::<GROUP>().0.iter_mut().zip(words) {
            put(
                box_muller([[words[0]], [words[1]], [words[2]], [words[3]]]),
                group,
                at,
                what,
            );
            at += GROUP;
        }
    }
}
