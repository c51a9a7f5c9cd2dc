//! Normal numbers on processors with AVX-512: the same values as the portable kernel in `normal.rs`, in about half the instructions.
//!
//! What is saved, all of it exact: blocks of even and of odd lanes are kept as 64-bit lanes, so that a round needs no shuffles until the
//! last one merges the two; what the first two rounds do to the words that all lanes share is done once a call; factors that are powers
//! of two are moved into the constants (-2 ln u instead of ln u, turns in units of 2^-32).

use std::arch::x86_64::*;

use super::normal::Use;
use super::philox::{M0, M1, W0, W1};
use super::{GROUP, Stream};

/// Whether this processor can run [`fill`].
#[inline]
pub(super) fn available() -> bool {
    is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq")
}

/// Normal numbers of whole groups, from group `first` on; `out` (and a base) are a multiple of [`GROUP`] long.
pub(super) fn fill(stream: &Stream, first: u64, out: &mut [f32], what: Use<'_>) {
    assert!(available() && out.len().is_multiple_of(GROUP));
    if let Use::Move(base, _) = what {
        assert_eq!(base.len(), out.len());
    }
    // The upper words of the counter stay the same for 2^32 blocks, 2^28 groups.
    let (mut at, mut group) = (0, first);
    while at < out.len() {
        let groups = ((1 << 28) - group % (1 << 28)).min(((out.len() - at) / GROUP) as u64);
        let end = at + groups as usize * GROUP;
        let what = match what {
            Use::Move(base, scale) => Use::Move(&base[at..end], scale),
            other => other,
        };
        // SAFETY: the processor has the features (asserted above).
        unsafe { fill_groups(stream, group, &mut out[at..end], what) };
        (at, group) = (end, group + groups);
    }
}

/// The words of Philox that all lanes of all groups share, and the keys, spread over vectors.
struct Shared {
    /// Of rounds 1 to 3: what is added to the one word that differs between lanes.
    first: [__m512i; 4],
    /// Keys of rounds 3 to 10.
    keys: [[__m512i; 2]; 8],
}

impl Shared {
    #[target_feature(enable = "avx512f,avx512dq")]
    fn new(stream: &Stream, block: u64) -> Shared {
        let key = |round: u32| {
            [
                stream.key[0].wrapping_add(W0.wrapping_mul(round)),
                stream.key[1].wrapping_add(W1.wrapping_mul(round)),
            ]
        };
        let counter = stream.counter(block);
        // Round 1: only word 0 of the counter differs between lanes, so only words 2 and 3 of the result do.
        let product = u64::from(M1) * u64::from(counter[2]);
        let [k0, k1] = key(0);
        let (word0, word1) = ((product >> 32) as u32 ^ counter[1] ^ k0, product as u32);
        let round1 = counter[3] ^ k1;
        // Round 2: word 3 of the result is the same in all lanes.
        let product = u64::from(M0) * u64::from(word0);
        let [k0, k1] = key(1);
        let round2 = [word1 ^ k0, (product >> 32) as u32 ^ k1];
        // Round 3: that word enters word 2.
        let round3 = product as u32 ^ key(2)[1];
        let spread = |x: u32| _mm512_set1_epi32(x as i32);
        Shared {
            first: [round1, round2[0], round2[1], round3].map(spread),
            keys: std::array::from_fn(|i| key(i as u32 + 2).map(spread)),
        }
    }
}

/// Words of eight blocks, each in the lower half of a 64-bit lane; the upper halves hold anything.
type Words = [__m512i; 4];

/// Rounds 1 to 9 of several times eight blocks whose numbers (their lowest words) are given. All go through a round together: each
/// waits for its own products, not for the others'.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn nine_rounds<const N: usize>(blocks: [__m512i; N], shared: &Shared) -> [Words; N] {
    const XOR3: i32 = 0x96;
    let (m0, m1) = (_mm512_set1_epi64(i64::from(M0)), _mm512_set1_epi64(i64::from(M1)));
    let [round1, round2_0, round2_2, round3_2] = shared.first;
    let mut words = [[_mm512_setzero_si512(); 4]; N];
    for i in 0..N {
        words[i][3] = _mm512_mul_epu32(blocks[i], m0);
        words[i][2] = _mm512_xor_si512(_mm512_srli_epi64::<32>(words[i][3]), round1);
    }
    for w in &mut words {
        w[1] = _mm512_mul_epu32(w[2], m1);
        w[0] = _mm512_xor_si512(_mm512_srli_epi64::<32>(w[1]), round2_0);
        w[2] = _mm512_xor_si512(w[3], round2_2);
    }
    for w in &mut words {
        let (p0, p1) = (_mm512_mul_epu32(w[0], m0), _mm512_mul_epu32(w[2], m1));
        *w = [
            _mm512_ternarylogic_epi64::<XOR3>(_mm512_srli_epi64::<32>(p1), w[1], shared.keys[0][0]),
            p1,
            _mm512_xor_si512(_mm512_srli_epi64::<32>(p0), round3_2),
            p0,
        ];
    }
    for [k0, k1] in &shared.keys[1..7] {
        for w in &mut words {
            let (p0, p1) = (_mm512_mul_epu32(w[0], m0), _mm512_mul_epu32(w[2], m1));
            *w = [
                _mm512_ternarylogic_epi64::<XOR3>(_mm512_srli_epi64::<32>(p1), w[1], *k0),
                p1,
                _mm512_ternarylogic_epi64::<XOR3>(_mm512_srli_epi64::<32>(p0), w[3], *k1),
                p0,
            ];
        }
    }
    words
}

/// Lower halves of two vectors of 64-bit lanes, interleaved.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn low_halves(even: __m512i, odd: __m512i) -> __m512i {
    _mm512_mask_shuffle_epi32::<0b10_10_00_00>(even, 0xAAAA, odd)
}

/// Upper halves of two vectors of 64-bit lanes, interleaved.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn high_halves(even: __m512i, odd: __m512i) -> __m512i {
    _mm512_mask_shuffle_epi32::<0b11_11_01_01>(odd, 0x5555, even)
}

/// Round 10, which merges the blocks of even and of odd lanes: word s of the sixteen blocks.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn last_round(even: Words, odd: Words, shared: &Shared) -> Words {
    const XOR3: i32 = 0x96;
    let (m0, m1) = (_mm512_set1_epi64(i64::from(M0)), _mm512_set1_epi64(i64::from(M1)));
    let [k0, k1] = shared.keys[7];
    let p0 = [_mm512_mul_epu32(even[0], m0), _mm512_mul_epu32(odd[0], m0)];
    let p1 = [_mm512_mul_epu32(even[2], m1), _mm512_mul_epu32(odd[2], m1)];
    [
        _mm512_ternarylogic_epi32::<XOR3>(high_halves(p1[0], p1[1]), low_halves(even[1], odd[1]), k0),
        low_halves(p1[0], p1[1]),
        _mm512_ternarylogic_epi32::<XOR3>(high_halves(p0[0], p0[1]), low_halves(even[3], odd[3]), k1),
        low_halves(p0[0], p0[1]),
    ]
}

/// Words of two groups of sixteen blocks; `even` are the numbers of the first group's blocks of even lanes. Four chains of rounds side by
/// side keep both vector units busy (one group at a time: 1.4 times slower).
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn thirty_two_blocks(even: __m512i, shared: &Shared) -> [Words; 2] {
    let odd = _mm512_add_epi64(even, _mm512_set1_epi64(1));
    let even2 = _mm512_add_epi64(even, _mm512_set1_epi64(16));
    let odd2 = _mm512_add_epi64(even, _mm512_set1_epi64(17));
    let [even, odd, even2, odd2] = nine_rounds([even, odd, even2, odd2], shared);
    [last_round(even, odd, shared), last_round(even2, odd2, shared)]
}

/// `f` of each of several vectors, which go through the same instructions side by side.
macro_rules! each {
    ($v:ident => $f:expr) => {{
        let mut out = $v;
        for $v in &mut out {
            let x = *$v;
            *$v = {
                let $v = x;
                $f
            };
        }
        out
    }};
}

type Pair = [__m512; 2];

/// -2 ln(u) for u in (0, 1].
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn minus_two_ln(u: Pair) -> Pair {
    const ONE_OVER_SQRT_HALF: i32 = 0x3f80_0000 - 0x3f35_04f3;
    const COEFFICIENTS: [f32; 9] = [
        7.037_683_6e-2,
        -1.151_461e-1,
        1.167_699_84e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ];
    let ratio = _mm512_set1_epi32(ONE_OVER_SQRT_HALF);
    let shifted = each!(u => _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(u), ratio)));
    let e = each!(shifted => _mm512_getexp_ps(shifted));
    let mantissa = each!(shifted => _mm512_getmant_ps::<_MM_MANT_NORM_1_2, _MM_MANT_SIGN_SRC>(shifted));
    let mantissa = each!(mantissa => _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_castps_si512(mantissa), ratio)));
    let m = each!(mantissa => _mm512_sub_ps(mantissa, _mm512_set1_ps(1.0)));
    let z = each!(m => _mm512_mul_ps(m, m));
    let mut p = [_mm512_set1_ps(-2.0 * COEFFICIENTS[0]); 2];
    for c in &COEFFICIENTS[1..] {
        for i in 0..2 {
            p[i] = _mm512_fmadd_ps(p[i], m[i], _mm512_set1_ps(-2.0 * c));
        }
    }
    let mut y = p;
    for i in 0..2 {
        let low = _mm512_mul_ps(e[i], _mm512_set1_ps(-2.0 * -2.121_944_4e-4));
        y[i] = _mm512_fmadd_ps(_mm512_mul_ps(p[i], m[i]), z[i], low);
    }
    for i in 0..2 {
        y[i] = _mm512_add_ps(z[i], y[i]);
    }
    for i in 0..2 {
        y[i] = _mm512_fmadd_ps(m[i], _mm512_set1_ps(-2.0), y[i]);
    }
    for i in 0..2 {
        y[i] = _mm512_fmadd_ps(e[i], _mm512_set1_ps(-2.0 * 0.693_359_4), y[i]);
    }
    y
}

/// Sine of `x` * 2^-32 turns, for at most a quarter turn either way.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn sine<const N: usize>(x: [__m512; N]) -> [__m512; N] {
    const TWO_M32: f32 = 1.0 / 4_294_967_296.0;
    let t = each!(x => _mm512_mul_ps(x, _mm512_set1_ps(std::f32::consts::TAU * TWO_M32)));
    let q = each!(t => _mm512_mul_ps(t, t));
    let mut p = [_mm512_set1_ps(-2.388_985_9e-8); N];
    for c in [2.752_556_2e-6, -1.984_087_4e-4, 8.333_331e-3, -1.666_666_7e-1] {
        for i in 0..N {
            p[i] = _mm512_fmadd_ps(p[i], q[i], _mm512_set1_ps(c));
        }
    }
    for i in 0..N {
        p[i] = _mm512_mul_ps(p[i], q[i]);
    }
    for i in 0..N {
        p[i] = _mm512_fmadd_ps(p[i], t[i], t[i]);
    }
    p
}

/// Box-Muller on twice sixteen pairs of words.
#[inline]
#[target_feature(enable = "avx512f,avx512dq")]
fn box_muller(words: Words) -> [__m512; 4] {
    const TWO_M31: f32 = 1.0 / 2_147_483_648.0;
    const TWO_M32: f32 = 0.5 * TWO_M31;
    const HALF_TURN: f32 = 2_147_483_648.0;
    let (a, b) = ([words[0], words[2]], [words[1], words[3]]);
    // (x + 1/2) 2^-31
    let mut u = [_mm512_setzero_ps(); 2];
    for i in 0..2 {
        let x = _mm512_cvtepi32_ps(_mm512_srli_epi32::<1>(a[i]));
        u[i] = _mm512_fmadd_ps(x, _mm512_set1_ps(TWO_M31), _mm512_set1_ps(TWO_M32));
    }
    let turn = [_mm512_cvtepi32_ps(b[0]), _mm512_cvtepi32_ps(b[1])];
    let fold = each!(turn => _mm512_abs_ps(turn));
    let within = each!(fold => _mm512_min_ps(fold, _mm512_sub_ps(_mm512_set1_ps(HALF_TURN), fold)));
    let beside = each!(fold => _mm512_sub_ps(_mm512_set1_ps(0.5 * HALF_TURN), fold));
    let r = minus_two_ln(u);
    let r = each!(r => _mm512_sqrt_ps(_mm512_max_ps(r, _mm512_setzero_ps())));
    let [sine0, sine1, cosine0, cosine1] = sine([within[0], within[1], beside[0], beside[1]]);
    // The magnitude of the sine with the sign of the turn: (sign & turn) | (!sign & sine).
    let sign = _mm512_set1_epi32(i32::MIN);
    let signed = |turn: __m512, sine: __m512| {
        _mm512_castsi512_ps(_mm512_ternarylogic_epi32::<0xCA>(
            sign,
            _mm512_castps_si512(turn),
            _mm512_castps_si512(sine),
        ))
    };
    [
        _mm512_mul_ps(r[0], cosine0),
        _mm512_mul_ps(r[0], signed(turn[0], sine0)),
        _mm512_mul_ps(r[1], cosine1),
        _mm512_mul_ps(r[1], signed(turn[1], sine1)),
    ]
}

/// [`fill`] for groups that share the upper words of their counters.
#[target_feature(enable = "avx512f,avx512dq")]
fn fill_groups(stream: &Stream, first: u64, out: &mut [f32], what: Use<'_>) {
    let block = first * 16;
    let shared = Shared::new(stream, block);
    let lanes = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
    let mut even = _mm512_add_epi64(_mm512_set1_epi64(i64::from(block as u32)), lanes);
    let mut at = 0;
    for groups in out.chunks_mut(2 * GROUP) {
        let words = thirty_two_blocks(even, &shared);
        even = _mm512_add_epi64(even, _mm512_set1_epi64(32));
        for (group, words) in groups.chunks_exact_mut(GROUP).zip(words) {
            for (out, n) in group.chunks_exact_mut(16).zip(box_muller(words)) {
                // SAFETY: loads and stores are of the sixteen numbers of the slices, at any alignment.
                unsafe {
                    let n = match what {
                        Use::Normals => n,
                        Use::Add(scale) => _mm512_fmadd_ps(n, _mm512_set1_ps(scale), _mm512_loadu_ps(out.as_ptr())),
                        Use::Move(base, scale) => {
                            let base = &base[at..at + 16];
                            _mm512_fmadd_ps(n, _mm512_set1_ps(scale), _mm512_loadu_ps(base.as_ptr()))
                        }
                    };
                    _mm512_storeu_ps(out.as_mut_ptr(), n);
                }
                at += 16;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::normal;
    use super::*;

    /// Words at the ends of their ranges, where a logarithm is 0, a sine changes its sign, or a rounding could differ.
    #[test]
    fn words_at_the_edges_become_the_portable_normals() {
        if !available() {
            return;
        }
        let edges = [0u32, 1 << 30, 1 << 31, 3 << 30, u32::MAX];
        let words: Vec<u32> = (edges.iter())
            .flat_map(|e| (0..400).map(move |i| e.wrapping_add(i).wrapping_sub(200)))
            .collect();
        for &a in &words {
            for b in words.chunks_exact(16) {
                let spread = |x: [u32; 16]| -> __m512i {
                    // SAFETY: both are 64 bytes without invalid values.
                    unsafe { std::mem::transmute(x) }
                };
                let b: [u32; 16] = b.try_into().unwrap();
                // SAFETY: the processor has the features (asked above); __m512 and [f32; 16] have the same bytes.
                let ours: [[f32; 16]; 4] = unsafe {
                    std::mem::transmute(box_muller([spread([a; 16]), spread(b), spread(b), spread([a; 16])]))
                };
                for i in 0..16 {
                    let (first, second) = (normal::box_muller(a, b[i]), normal::box_muller(b[i], a));
                    let expected = [first.0, first.1, second.0, second.1];
                    for (n, e) in ours.iter().zip(expected) {
                        assert_eq!(n[i].to_bits(), e.to_bits(), "words {a:#x} and {:#x}", b[i]);
                    }
                }
            }
        }
    }
}
