//! Texts as padded batches of bounded size, all of a batch of about one length.

use illume_core::Result;
use illume_numerics::cuda;

use super::super::Example;
use super::super::rows::{PASS_TOKENS, longest_first};
use crate::Device;
use crate::config::ModelConfig;

/// Padded tokens of a pass on a device, where a small pass takes its hundreds of launches and little else.
const DEVICE_PASS_TOKENS: usize = 8192;

/// What a pass may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// Padded tokens.
    pub tokens: usize,
    /// Layers that are differentiated at once (`staged.rs`).
    pub stage: usize,
}

impl Room {
    /// For numbers of `element` bytes: on a device as many tokens as an eighth of its memory has room for, from what autograd keeps of each token. Where all
    /// layers at once leave only small passes, which are slower than making activations twice, it is one layer at a time.
    pub fn of(device: Device, config: &ModelConfig, element: usize) -> Room {
        let Device::Cuda(index) = device else {
            return Room {
                tokens: PASS_TOKENS,
                stage: config.layers,
            };
        };
        Room::of_memory(cuda::memory(index).map_or(0, |[_, all]| all), config, element)
    }

    fn of_memory(bytes: u64, config: &ModelConfig, element: usize) -> Room {
        let layer = 16 * config.hidden + 6 * config.intermediate;
        let tokens = |stage: usize| {
            let numbers = config.layers.div_ceil(stage) * config.hidden + stage * layer;
            (bytes / 8) as usize / (element * numbers + 3 * size_of::<f32>() * config.vocab)
        };
        let stage = if tokens(config.layers) >= 2 * PASS_TOKENS {
            config.layers
        } else {
            1
        };
        Room {
            tokens: tokens(stage).clamp(PASS_TOKENS, DEVICE_PASS_TOKENS),
            stage,
        }
    }
}

/// One pass: rows of tokens, padded behind to the longest.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Rows {
    pub count: usize,
    pub length: usize,
    /// `[count, length]`.
    pub tokens: Vec<i64>,
    /// Flat positions `row * length + column` whose next token is wanted, row by row.
    pub wanted: Vec<i64>,
    /// The tokens that follow there.
    pub targets: Vec<i64>,
    /// Of each row, its number in the batch and how many of `wanted` are its own.
    pub origin: Vec<(usize, usize)>,
}

/// Splits a batch into passes of at most so many padded tokens, if no text alone has more; the longest texts first.
///
/// # Errors
/// A text has fewer than two tokens, nothing wanted, a token that the model lacks, or more tokens than its context.
pub(super) fn passes(examples: &[Example], config: &ModelConfig, most: usize) -> Result<Vec<Rows>> {
    let length = |i: &usize| examples[*i].tokens.len() - 1;
    let mut list: Vec<Rows> = Vec::new();
    for i in longest_first(examples, config)? {
        let full = |r: &Rows| (r.count + 1) * r.length > most;
        if list.last().is_none_or(full) {
            list.push(Rows {
                length: length(&i),
                ..Rows::default()
            });
        }
        let rows = list.last_mut().expect("one was pushed if there was none");
        rows.push(i, &examples[i]);
    }
    Ok(list)
}

impl Rows {
    fn push(&mut self, number: usize, example: &Example) {
        let tokens: Vec<i64> = example.tokens.iter().map(|t| i64::from(*t)).collect();
        let start = self.count * self.length;
        self.tokens.extend(&tokens[..tokens.len() - 1]);
        self.count += 1;
        self.tokens.resize(self.count * self.length, 0);
        let first = example.answer_from.max(1);
        for (column, token) in tokens.iter().enumerate().skip(first) {
            self.wanted.push((start + column - 1) as i64);
            self.targets.push(*token);
        }
        self.origin.push((number, tokens.len() - first));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Family;

    #[test]
    fn a_large_model_is_differentiated_a_layer_at_a_time_and_a_small_one_at_once() {
        // Qwen2.5-7B and SmolLM2-135M.
        let seven = ModelConfig {
            family: Family::Qwen2,
            vocab: 152_064,
            hidden: 3584,
            layers: 28,
            heads: 28,
            kv_heads: 4,
            head_dim: 128,
            intermediate: 18_944,
            rms_eps: 1e-6,
            rope_theta: 1e6,
            rope_scaling: None,
            max_positions: 32_768,
            tied: false,
            attention_bias: true,
            eos: vec![0],
            bos: None,
            initializer_range: 0.02,
        };
        let small = ModelConfig {
            vocab: 49_152,
            hidden: 576,
            layers: 30,
            intermediate: 1536,
            ..seven.clone()
        };
        let gigabytes = |n: u64| n << 30;
        let Room { tokens, stage } = Room::of_memory(gigabytes(24), &seven, 2);
        assert!(stage == 1 && (PASS_TOKENS..2048).contains(&tokens), "{tokens}");
        let Room { tokens, stage } = Room::of_memory(gigabytes(80), &small, 2);
        assert!(stage == 30 && tokens > 4096, "{tokens}");
        // Nobody knows how much memory there is.
        let least = Room {
            tokens: PASS_TOKENS,
            stage: 1,
        };
        assert_eq!(Room::of_memory(0, &small, 4), least);
    }
}
