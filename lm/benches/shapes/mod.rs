//! What more than one benchmark measures: shapes of models, and precisions by their names.

use illume_lm::{Family, ModelConfig, Precision};

pub const INT4: Precision = Precision::Int4 { group: 64 };

pub fn precision(label: &str) -> Precision {
    match label {
        "f32" => Precision::F32,
        "bf16" => Precision::Bf16,
        "int8" => Precision::Int8,
        "int4" => INT4,
        other => panic!("\"{other}\" is no precision"),
    }
}

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
