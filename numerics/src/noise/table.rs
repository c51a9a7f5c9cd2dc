//! A shared table of normal numbers, as the Deep GA program has it: NumPy's `RandomState(123).randn(n)` rounded to f32.
//!
//! The generator is MT19937 (Matsumoto and Nishimura, 'Mersenne Twister', ACM TOMACS 1998) seeded by one word, with uniform numbers of 53
//! bits; normals come in pairs by the polar method (Marsaglia and Bray, 'A convenient method for generating normal variables', SIAM Review
//! 1964), the second of a pair first.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::{Purpose, Stream};

/// Seed of the original's table.
pub const TABLE_SEED: u32 = 123;

/// Normal numbers of which the steps of lineages are slices. Slices overlap.
#[derive(Debug, PartialEq)]
pub struct NoiseTable {
    numbers: Vec<f32>,
}

impl NoiseTable {
    /// The table of this length; one that is in use already is shared. A number takes 4 bytes and some ten nanoseconds.
    pub fn shared(entries: usize) -> Arc<NoiseTable> {
        static IN_USE: Mutex<Vec<Weak<NoiseTable>>> = Mutex::new(Vec::new());
        let mut in_use = IN_USE.lock().unwrap_or_else(PoisonError::into_inner);
        in_use.retain(|table| table.strong_count() > 0);
        let found = in_use.iter().filter_map(Weak::upgrade).find(|t| t.len() == entries);
        found.unwrap_or_else(|| {
            let table = Arc::new(NoiseTable {
                numbers: randn(TABLE_SEED, entries),
            });
            in_use.push(Arc::downgrade(&table));
            table
        })
    }

    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }

    /// The `dim` numbers that are the noise of a lineage's step: they begin at a uniform index that the step's id addresses.
    ///
    /// # Panics
    /// The table has fewer than `dim` entries.
    pub fn slice(&self, seed: u64, id: u64, dim: usize) -> &[f32] {
        assert!(dim <= self.len(), "a table of {} numbers for {dim} genes", self.len());
        let stream = Stream::new(seed, Purpose::TableSlice, id >> 32, id & 0xffff_ffff);
        let start = stream.below(0, (self.len() - dim + 1) as u64) as usize;
        &self.numbers[start..start + dim]
    }
}

/// NumPy's `RandomState(seed).randn(n).astype(float32)`.
fn randn(seed: u32, n: usize) -> Vec<f32> {
    let mut generator = Mt19937::new(seed);
    let mut numbers = Vec::with_capacity(n + 1);
    while numbers.len() < n {
        let (x, y, square) = loop {
            let (x, y) = (2.0 * generator.uniform() - 1.0, 2.0 * generator.uniform() - 1.0);
            let square = x * x + y * y;
            if square < 1.0 && square != 0.0 {
                break (x, y, square);
            }
        };
        let factor = (-2.0 * square.ln() / square).sqrt();
        numbers.extend([(factor * y) as f32, (factor * x) as f32]);
    }
    numbers.truncate(n);
    numbers
}

const WORDS: usize = 624;
const MIDDLE: usize = 397;

struct Mt19937 {
    state: [u32; WORDS],
    next: usize,
}

impl Mt19937 {
    fn new(seed: u32) -> Mt19937 {
        let mut state = [seed; WORDS];
        for i in 1..WORDS {
            let previous = state[i - 1] ^ (state[i - 1] >> 30);
            state[i] = previous.wrapping_mul(1_812_433_253).wrapping_add(i as u32);
        }
        Mt19937 { state, next: WORDS }
    }

    fn word(&mut self) -> u32 {
        if self.next == WORDS {
            for i in 0..WORDS {
                let joined = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % WORDS] & 0x7fff_ffff);
                let twist = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + MIDDLE) % WORDS] ^ (joined >> 1) ^ twist;
            }
            self.next = 0;
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// In [0, 1), 53 bits.
    fn uniform(&mut self) -> f64 {
        let (high, low) = (self.word() >> 5, self.word() >> 6);
        (f64::from(high) * 67_108_864.0 + f64::from(low)) / 9_007_199_254_740_992.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.random.RandomState(123).randn(n).astype('float32')`, NumPy 2: the first numbers, some later ones, and a sum.
    #[test]
    fn the_table_is_numpys() {
        let table = NoiseTable::shared(100_000);
        let expected: [(usize, u32); 10] = [
            (0, 0xbf8af5f2),
            (1, 0x3f7f5208),
            (2, 0x3e90e28f),
            (3, 0xbfc0ce44),
            (4, 0xbf141f25),
            (624, 0xbe8b5ab7),
            (999, 0xbf8e435a),
            (12345, 0x3f6b21c8),
            (99998, 0x401228e3),
            (99999, 0xbfa8bd1f),
        ];
        for (i, bits) in expected {
            assert_eq!(table.numbers[i].to_bits(), bits, "number {i}");
        }
        let sum = table
            .numbers
            .iter()
            .fold(0u64, |sum, x| sum.wrapping_mul(31).wrapping_add(u64::from(x.to_bits())));
        assert_eq!(sum, 13880319345752003788);
    }

    #[test]
    fn slices_stay_within_the_table_and_overlap() {
        let table = NoiseTable::shared(1000);
        let mut starts: Vec<usize> = (0..2000)
            .map(|id| {
                let slice = table.slice(1, id, 997);
                slice.as_ptr().addr().wrapping_sub(table.numbers.as_ptr().addr()) / 4
            })
            .collect();
        starts.sort_unstable();
        starts.dedup();
        assert_eq!(starts, [0, 1, 2, 3]);
        assert!(
            Arc::ptr_eq(&table, &NoiseTable::shared(1000)),
            "one table of a length is enough"
        );
    }
}
