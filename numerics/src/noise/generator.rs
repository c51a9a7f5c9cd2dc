//! A stream as a generator of the `rand` family, for distributions that take one number after another.

use rand_core::RngCore;

use super::Stream;

/// Reads a [`Stream`] from its beginning: what `rand_distr` draws with. How many words a draw takes is the distribution's affair, so each thing
/// that is drawn has a stream of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generator {
    stream: Stream,
    /// The next word.
    next: u64,
}

impl Stream {
    /// A generator at this stream's beginning.
    pub fn generator(self) -> Generator {
        Generator { stream: self, next: 0 }
    }
}

impl RngCore for Generator {
    fn next_u32(&mut self) -> u32 {
        let word = self.stream.word(self.next);
        self.next += 1;
        word
    }

    fn next_u64(&mut self) -> u64 {
        rand_core::impls::next_u64_via_u32(self)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        rand_core::impls::fill_bytes_via_next(self, bytes);
    }
}

#[cfg(test)]
mod tests {
    use rand_distr::{Distribution as _, Normal};

    use super::*;
    use crate::noise::Purpose;

    #[test]
    fn a_generator_reads_the_words_of_its_stream_one_after_another() {
        let stream = Stream::new(7, Purpose::Sweep, 0, 3);
        let mut generator = stream.generator();
        assert!((0..200).all(|i| generator.next_u32() == stream.word(i)));
        let pair = u64::from(stream.word(200)) | u64::from(stream.word(201)) << 32;
        assert_eq!(generator.next_u64(), pair);
        let mut bytes = [0; 6];
        generator.fill_bytes(&mut bytes);
        assert_eq!(bytes[..4], stream.word(202).to_le_bytes());
    }

    #[test]
    fn distributions_draw_with_it() {
        let draws = (0..10_000).map(|i| {
            let mut generator = Stream::new(1, Purpose::Sweep, 0, i).generator();
            Normal::new(3.0, 2.0).unwrap().sample(&mut generator)
        });
        let draws: Vec<f64> = draws.collect();
        let mean = draws.iter().sum::<f64>() / 1e4;
        let sd = (draws.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 1e4).sqrt();
        assert!((mean - 3.0).abs() < 0.08 && (sd - 2.0).abs() < 0.06, "{mean} {sd}");
    }
}
