//! Keyed randomness: every random number is a pure function of (run seed, purpose, generation, index, position).
//!
//! No generator is carried along. A [`Stream`] is an address; any slice of it can be produced by any rank or thread,
//! bit for bit the same on every machine (the transforms use fused multiply-add and no library functions).

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod generator;
mod normal;
mod philox;
mod table;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod vectors;

pub use generator::Generator;
pub use philox::philox4x32_10;
pub use table::{NoiseTable, TABLE_SEED};

/// What a random number is for: two purposes never share a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// Initial genomes.
    Init = 1,
    /// Choice of parents.
    Selection = 2,
    /// Mutation noise.
    Variation = 3,
    /// The scalar draw along a line between two parents.
    Line = 4,
    /// Seeds handed to evaluations.
    EvaluationSeed = 5,
    /// What happens inside an episode, keyed by its evaluation seed.
    Episode = 6,
    /// Steps of a lineage genome.
    Lineage = 7,
    /// Perturbations of an evolution strategy.
    Perturbation = 8,
    /// Samples from which centroids are computed.
    Centroids = 9,
    /// Which episodes give observation statistics.
    Observation = 10,
    /// Initial weights of networks that learn.
    Network = 11,
    /// Which transitions make a minibatch.
    Replay = 12,
    /// Noise on actions and descriptors that learning or a conditioned actor uses.
    Exploration = 13,
    /// Which candidates an unstructured archive admits.
    Admission = 14,
    /// Frames by which virtual batch normalization is set.
    Reference = 15,
    /// Which slice of a shared noise table a step of a lineage is.
    TableSlice = 16,
    /// Which cases (prompts) a generation's candidates are scored on.
    Minibatch = 17,
    /// Tokens that a language model samples.
    Token = 18,
    /// Generated text: problems and their answers.
    Text = 19,
    /// Population and step size of a restarted search.
    Restart = 20,
    /// Which runs a resample of the bootstrap holds.
    Bootstrap = 21,
    /// Values of a random sweep's parameters.
    Sweep = 22,
}

/// One addressable sequence of random numbers.
///
/// The generator is Philox4x32-10 (Salmon et al., SC 2011). The 64-bit key is a bijective hash of the run seed for each
/// purpose; the 128-bit counter packs (block: 40 bits, index: 40 bits, generation: 48 bits). Sixteen consecutive blocks form a
/// group of 64 words, stored word-slot by word-slot: word `64 g + 16 s + l` is word `s` of block `16 g + l`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stream {
    key: [u32; 2],
    high: [u32; 3],
}

/// Words in a group: what one pass of the vectorized generator makes.
pub const GROUP: usize = 64;

/// The finalizer of SplitMix64: a bijection of 64-bit words that mixes all bits.
#[inline]
pub fn mix64(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Stream {
    /// The stream at this address. `generation` < 2^48, `index` < 2^40.
    #[inline]
    pub fn new(seed: u64, purpose: Purpose, generation: u64, index: u64) -> Stream {
        debug_assert!(generation < 1 << 48 && index < 1 << 40);
        let key = mix64(seed.wrapping_add((purpose as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        Stream {
            key: [key as u32, (key >> 32) as u32],
            high: [
                (index << 8) as u32,
                ((index >> 24) & 0xffff) as u32 | ((generation & 0xffff) << 16) as u32,
                (generation >> 16) as u32,
            ],
        }
    }

    #[inline]
    fn counter(&self, block: u64) -> [u32; 4] {
        debug_assert!(block < 1 << 40);
        [
            block as u32,
            self.high[0] | (block >> 32) as u32,
            self.high[1],
            self.high[2],
        ]
    }

    /// Word number `i`.
    #[inline]
    pub fn word(&self, i: u64) -> u32 {
        let (group, rest) = (i / 64, i % 64);
        philox4x32_10(self.counter(group * 16 + rest % 16), self.key)[(rest / 16) as usize]
    }

    /// 64 random bits, number `i` (its own pair of words).
    #[inline]
    pub fn word64(&self, i: u64) -> u64 {
        let [a, b, c, d] = philox4x32_10(self.counter(i / 2), self.key);
        let (low, high) = if i.is_multiple_of(2) { (a, b) } else { (c, d) };
        u64::from(low) | u64::from(high) << 32
    }

    /// An integer in `0..n`, number `i`; its bias is below `n / 2^64`.
    #[inline]
    pub fn below(&self, i: u64, n: u64) -> u64 {
        ((u128::from(self.word64(i)) * u128::from(n)) >> 64) as u64
    }

    /// A uniform number in [0, 1) with 53 bits, number `i`.
    #[inline]
    pub fn uniform(&self, i: u64) -> f64 {
        (self.word64(i) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Words `start..start + out.len()`.
    pub fn words(&self, start: u64, out: &mut [u32]) {
        normal::run(self, start, out, normal::Kernel::Words);
    }

    /// Uniform numbers in [0, 1) with 24 bits, at positions `start..start + out.len()`.
    pub fn uniforms(&self, start: u64, out: &mut [f32]) {
        normal::run(self, start, out, normal::Kernel::Uniforms);
    }

    /// Standard normal numbers at positions `start..start + out.len()` (Box-Muller; up to 6.6 standard deviations).
    pub fn normals(&self, start: u64, out: &mut [f32]) {
        normal::normals(self, start, out, normal::Use::Normals);
    }

    /// `out[i] += scale * n[start + i]` with standard normal `n`, rounded once (fused).
    pub fn add_normals(&self, start: u64, scale: f32, out: &mut [f32]) {
        normal::normals(self, start, out, normal::Use::Add(scale));
    }

    /// `out[i] = base[i] + scale * n[start + i]` with standard normal `n`, rounded once (fused): a copy and [`Stream::add_normals`] in one pass.
    pub fn moved(&self, start: u64, base: &[f32], scale: f32, out: &mut [f32]) {
        normal::normals(self, start, out, normal::Use::Move(base, scale));
    }

    /// `plus[i] = center[i] + scale * n[i]` and `minus[i] = center[i] - scale * n[i]`: a mirrored pair in one pass.
    pub fn mirrored(&self, center: &[f32], scale: f32, plus: &mut [f32], minus: &mut [f32]) {
        normal::mirrored(self, center, scale, plus, minus);
    }
}
