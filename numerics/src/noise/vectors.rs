//! Normal numbers by a processor's own vectors: what its kernels share. They give the values of the portable kernel in `normal.rs` in about
//! half the instructions.
//!
//! What is saved, all of it exact: what the first rounds of Philox do to the words that all lanes share is done once a call; factors that are
//! powers of two are moved into the constants (-2 ln u instead of ln u, turns in units of 2^-32); what a compiler would shuffle back and
//! forth in each round is left where it is (see the kernels).

use super::normal::{Fill, Use};
use super::philox::{M0, M1, W0, W1};
use super::{GROUP, Stream};

/// Calls `fill_groups` for groups that share the upper words of their counters; `out` (and a base) are a multiple of [`GROUP`] long.
pub(super) fn fill_by(fill_groups: Fill, stream: &Stream, first: u64, out: &mut [f32], what: Use<'_>) {
    assert!(out.len().is_multiple_of(GROUP));
    if let Use::Move(base, _) = what {
        assert_eq!(base.len(), out.len());
    }
    // They stay the same for 2^32 blocks, 2^28 groups.
    let (mut at, mut group) = (0, first);
    while at < out.len() {
        let groups = ((1 << 28) - group % (1 << 28)).min(((out.len() - at) / GROUP) as u64);
        let end = at + groups as usize * GROUP;
        fill_groups(stream, group, &mut out[at..end], what.part(at..end));
        (at, group) = (end, group + groups);
    }
}

/// The words of Philox that all lanes of such groups share.
pub(super) struct Shared {
    /// Of rounds 1 to 3: what is added to the one word that differs between lanes.
    pub first: [u32; 4],
    /// Keys of rounds 3 to 10.
    pub keys: [[u32; 2]; 8],
}

impl Shared {
    pub fn new(stream: &Stream, block: u64) -> Shared {
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
        Shared {
            first: [round1, round2[0], round2[1], round3],
            keys: std::array::from_fn(|i| key(i as u32 + 2)),
        }
    }
}

/// Functions under processor features, of an instruction or two each.
macro_rules! instructions {
    ($features:literal: $($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) -> $result:ty = $body:expr;)*) => {
        $(
            $(#[$doc])*
            #[inline]
            #[target_feature(enable = $features)]
            fn $name($($argument: $type),*) -> $result {
                $body
            }
        )*
    };
}

/// `f` of each of several vectors, which go through the same instructions side by side. (A closure would not be compiled for the features.)
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

/// Expands to what needs the kernel's vectors (`Int` and `Float` of `LANES`, `PARTS` of which hold sixteen lanes) and instructions: [`Shared`] spread
/// over vectors, Box-Muller on a group of words, and around the kernel's `fill_groups` what may be called on any processor.
macro_rules! kernel {
    ($features:literal) => {
        /// Normal numbers of whole groups, from group `first` on; `out` (and a base) are a multiple of [`GROUP`] long.
        pub(super) fn fill(stream: &Stream, first: u64, out: &mut [f32], what: Use<'_>) {
            assert!(available());
            fill_by(
                // SAFETY: the processor has the features (just asserted).
                |stream, group, out, what| unsafe { fill_groups(stream, group, out, what) },
                stream,
                first,
                out,
                what,
            );
        }

        /// [`Shared`], spread over vectors.
        struct Spread {
            first: [Int; 4],
            keys: [[Int; 2]; 8],
        }

        impl Spread {
            #[inline]
            #[target_feature(enable = $features)]
            fn new(stream: &Stream, block: u64) -> Spread {
                let shared = Shared::new(stream, block);
                let (mut first, mut keys) = ([spread(0); 4], [[spread(0); 2]; 8]);
                for (vector, word) in first.iter_mut().zip(shared.first) {
                    *vector = spread(word);
                }
                for (vectors, [k0, k1]) in keys.iter_mut().zip(shared.keys) {
                    *vectors = [spread(k0), spread(k1)];
                }
                Spread { first, keys }
            }
        }

        /// Word s of sixteen blocks, or normal number s.
        type Slots<T> = [[T; PARTS]; 4];

        /// -2 ln(u) of numbers of which [`split`] has given exponent and mantissa.
        #[inline]
        #[target_feature(enable = $features)]
        fn minus_two_ln(e: [Float; 2 * PARTS], mantissa: [Float; 2 * PARTS]) -> [Float; 2 * PARTS] {
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
            let m = each!(mantissa => sub(mantissa, splat(1.0)));
            let z = each!(m => mul(m, m));
            let mut p = [splat(-2.0 * COEFFICIENTS[0]); 2 * PARTS];
            for c in &COEFFICIENTS[1..] {
                for i in 0..2 * PARTS {
                    p[i] = fma(p[i], m[i], splat(-2.0 * c));
                }
            }
            let mut y = p;
            for i in 0..2 * PARTS {
                let low = mul(e[i], splat(EXPONENT * -2.0 * -2.121_944_4e-4));
                y[i] = fma(mul(p[i], m[i]), z[i], low);
            }
            for i in 0..2 * PARTS {
                y[i] = add(z[i], y[i]);
            }
            for i in 0..2 * PARTS {
                y[i] = fma(m[i], splat(-2.0), y[i]);
            }
            for i in 0..2 * PARTS {
                y[i] = fma(e[i], splat(EXPONENT * -2.0 * 0.693_359_4), y[i]);
            }
            y
        }

        /// Sine of `x` * 2^-32 turns, for at most a quarter turn either way.
        #[inline]
        #[target_feature(enable = $features)]
        fn sine<const N: usize>(x: [Float; N]) -> [Float; N] {
            const TWO_M32: f32 = 1.0 / 4_294_967_296.0;
            let t = each!(x => mul(x, splat(std::f32::consts::TAU * TWO_M32)));
            let q = each!(t => mul(t, t));
            let mut p = [splat(-2.388_985_9e-8); N];
            for c in [2.752_556_2e-6, -1.984_087_4e-4, 8.333_331e-3, -1.666_666_7e-1] {
                for i in 0..N {
                    p[i] = fma(p[i], q[i], splat(c));
                }
            }
            for i in 0..N {
                p[i] = mul(p[i], q[i]);
            }
            for i in 0..N {
                p[i] = fma(p[i], t[i], t[i]);
            }
            p
        }

        /// Which of a block's two pairs of words is the i-th of a group, and which part of its sixteen lanes.
        #[inline]
        fn place(i: usize) -> (usize, usize) {
            (i / PARTS, i - i / PARTS * PARTS)
        }

        /// All pairs of a group go through the same instructions side by side.
        #[inline]
        #[target_feature(enable = $features)]
        fn box_muller(words: Slots<Int>) -> Slots<Float> {
            const HALF_TURN: f32 = 2_147_483_648.0;
            let (mut e, mut mantissa) = ([splat(0.0); 2 * PARTS], [splat(0.0); 2 * PARTS]);
            let (mut turn, mut angle) = ([splat(0.0); 2 * PARTS], [splat(0.0); 4 * PARTS]);
            for i in 0..2 * PARTS {
                let (pair, part) = place(i);
                (e[i], mantissa[i]) = split(float(halved(words[2 * pair][part])));
                turn[i] = float(words[2 * pair + 1][part]);
                let fold = abs(turn[i]);
                angle[i] = min(fold, sub(splat(HALF_TURN), fold));
                angle[2 * PARTS + i] = sub(splat(0.5 * HALF_TURN), fold);
            }
            let r = minus_two_ln(e, mantissa);
            let r = each!(r => sqrt(max(r, splat(0.0))));
            let sines = sine(angle);
            let mut normals = [[splat(0.0); PARTS]; 4];
            for i in 0..2 * PARTS {
                let (pair, part) = place(i);
                normals[2 * pair][part] = mul(r[i], sines[2 * PARTS + i]);
                normals[2 * pair + 1][part] = mul(r[i], signed(turn[i], sines[i]));
            }
            normals
        }

        /// What becomes of a group's normal numbers.
        #[inline]
        #[target_feature(enable = $features)]
        fn put(normals: Slots<Float>, out: &mut [f32; GROUP], at: usize, what: Use<'_>) {
            for (i, (n, out)) in normals.as_flattened().iter().zip(out.as_chunks_mut::<LANES>().0).enumerate() {
                let n = match what {
                    Use::Normals => *n,
                    Use::Add(scale) => fma(*n, splat(scale), load(out)),
                    Use::Move(base, scale) => {
                        let base = &base[at..at + GROUP].as_chunks::<LANES>().0[i];
                        fma(*n, splat(scale), load(base))
                    }
                };
                store(out, n);
            }
        }

        /// Box-Muller on the words of a group.
        #[cfg(test)]
        pub(super) fn of_words(words: [[u32; 16]; 4]) -> [[f32; 16]; 4] {
            assert!(available());
            // SAFETY: the processor has the features; a group has the same bytes in vectors and in words, all of them valid.
            unsafe { std::mem::transmute(box_muller(std::mem::transmute::<[[u32; 16]; 4], Slots<Int>>(words))) }
        }
    };
}

pub(super) use {each, instructions, kernel};
