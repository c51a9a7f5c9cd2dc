use super::*;
use crate::config::{Family, ModelConfig};

fn small(tied: bool) -> ModelConfig {
    ModelConfig {
        family: if tied { Family::Qwen2 } else { Family::Llama },
        vocab: 12,
        hidden: 16,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        head_dim: 4,
        intermediate: 24,
        rms_eps: 1e-6,
        rope_theta: 1e4,
        rope_scaling: None,
        max_positions: 32,
        tied,
        attention_bias: tied,
        eos: vec![0],
        bos: None,
        initializer_range: 0.1,
    }
}

/// Texts that count: a start, then every next token one more (modulo 10), a stop token behind.
fn counting(step: u64) -> Vec<Example> {
    let text = |row: u64| {
        let (start, length) = ((row * 7 + step * 3) % 10, 4 + (row + step) % 5);
        let mut tokens: Vec<u32> = (0..length).map(|t| 1 + ((start + t) % 10) as u32).collect();
        tokens.push(0);
        Example { tokens, answer_from: 0 }
    };
    (0..256).map(text).collect()
}

fn bits(tensors: &[(String, Array)]) -> Vec<Vec<u32>> {
    let of = |array: &Array| array.values().iter().map(|x| x.to_bits()).collect();
    tensors.iter().map(|(_, array)| of(array)).collect()
}

#[test]
fn a_tiny_model_learns_to_count_and_any_number_of_threads_gives_the_same_bits() {
    for config in [small(true), small(false)] {
        let mut results = Vec::new();
        for threads in [1, 2] {
            let settings = TrainSettings {
                steps: 60,
                learning_rate: 1e-2,
                warmup: 5,
                threads,
                ..TrainSettings::default()
            };
            let mut losses = Vec::new();
            let mut report = |row: TrainRow| {
                losses.push(row.loss);
                ControlFlow::Continue(())
            };
            let tensors = pretrain(&config, &mut counting, &settings, &mut report).unwrap();
            assert!(losses[0] > 2.0 && losses[59] < 0.9, "{losses:?}");
            results.push((losses, bits(&tensors)));
        }
        assert_eq!(results[0], results[1]);
    }
}
