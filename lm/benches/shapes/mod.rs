//! Shapes of models that more than one benchmark measures.

use illume_lm::{Family, ModelConfig};

/// SmolLM2-135M.
pub fn medium() -> ModelConfig {
    ModelConfig {
        family: Family::Llama,
        vocab: 49_152,
        hidden: 576,
        layers: 30,
        heads: 9,
        kv_heads: 3,
        head_dim: 64,
        intermediate: 1536,
        rms_eps: 1e-5,
        rope_theta: 1e5,
        rope_scaling: None,
        max_positions: 2048,
        tied: true,
        attention_bias: false,
        eos: Vec::new(),
        bos: None,
        initializer_range: 0.02,
    }
}
