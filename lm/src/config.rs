//! The shape of a model, for the families that are built here.

mod files;

use std::f64::consts::TAU;

use illume_core::{Error, Result};

/// A family of models: all are decoders with RMSNorm, rotary positions, grouped queries and SwiGLU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Qwen2 and Qwen2.5: queries, keys and values have a bias.
    Qwen2,
    /// Llama 2 and 3.
    Llama,
}

impl Family {
    /// `model_type` in `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Family::Qwen2 => "qwen2",
            Family::Llama => "llama",
        }
    }

    /// The only architecture of the family that is read.
    pub fn architecture(self) -> &'static str {
        match self {
            Family::Qwen2 => "Qwen2ForCausalLM",
            Family::Llama => "LlamaForCausalLM",
        }
    }
}

/// The linear maps of a layer, in the order in which adapters list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Module {
    Q,
    K,
    V,
    O,
    Gate,
    Up,
    Down,
}

impl Module {
    pub const ALL: [Module; 7] = [
        Module::Q,
        Module::K,
        Module::V,
        Module::O,
        Module::Gate,
        Module::Up,
        Module::Down,
    ];
    /// What adapters change unless told otherwise.
    pub const ATTENTION: [Module; 4] = [Module::Q, Module::K, Module::V, Module::O];

    /// Its name in checkpoints and adapters: `q_proj`.
    pub fn name(self) -> &'static str {
        match self {
            Module::Q => "q_proj",
            Module::K => "k_proj",
            Module::V => "v_proj",
            Module::O => "o_proj",
            Module::Gate => "gate_proj",
            Module::Up => "up_proj",
            Module::Down => "down_proj",
        }
    }

    pub fn from_name(name: &str) -> Option<Module> {
        Module::ALL.into_iter().find(|m| m.name() == name)
    }

    /// The block of a layer that holds it: `self_attn` or `mlp`.
    pub fn block(self) -> &'static str {
        match self {
            Module::Q | Module::K | Module::V | Module::O => "self_attn",
            Module::Gate | Module::Up | Module::Down => "mlp",
        }
    }

    /// Its path in a checkpoint: `model.layers.3.self_attn.q_proj`.
    pub fn path(self, layer: usize) -> String {
        format!("model.layers.{layer}.{}.{}", self.block(), self.name())
    }
}

/// How the weights of a folder are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Float {
    F32,
    F16,
    BF16,
}

impl Float {
    pub const ALL: [Float; 3] = [Float::F32, Float::BF16, Float::F16];

    /// Its short name: `bf16`.
    pub fn name(self) -> &'static str {
        match self {
            Float::F32 => "f32",
            Float::F16 => "f16",
            Float::BF16 => "bf16",
        }
    }

    /// PyTorch's name: `bfloat16`.
    pub fn long_name(self) -> &'static str {
        match self {
            Float::F32 => "float32",
            Float::F16 => "float16",
            Float::BF16 => "bfloat16",
        }
    }

    /// Bytes of a number.
    pub fn bytes(self) -> usize {
        match self {
            Float::F32 => 4,
            Float::F16 | Float::BF16 => 2,
        }
    }
}

/// How Llama 3.1 and later stretch rotary positions: long wavelengths by `factor`, short ones not at all, a ramp between.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Llama3Scaling {
    pub factor: f64,
    pub low_freq_factor: f64,
    pub high_freq_factor: f64,
    /// Positions that the model was trained with before it was stretched.
    pub original_max_positions: usize,
}

/// The shape of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    pub family: Family,
    /// Rows of the embedding; a tokenizer may use fewer.
    pub vocab: usize,
    pub hidden: usize,
    pub layers: usize,
    pub heads: usize,
    /// Heads of keys and values; each serves `heads / kv_heads` heads of queries.
    pub kv_heads: usize,
    pub head_dim: usize,
    pub intermediate: usize,
    pub rms_eps: f64,
    pub rope_theta: f64,
    pub rope_scaling: Option<Llama3Scaling>,
    /// Tokens that prompt and answer may have together.
    pub max_positions: usize,
    /// Whether the head is the embedding.
    pub tied: bool,
    /// Whether queries, keys and values have a bias.
    pub attention_bias: bool,
    /// Tokens that end an answer.
    pub eos: Vec<u32>,
    pub bos: Option<u32>,
    /// Standard deviation of weights that are made, not read.
    pub initializer_range: f64,
}

impl ModelConfig {
    /// # Errors
    /// A size is 0, or sizes do not fit each other.
    pub fn check(&self) -> Result<()> {
        let sizes = [
            ("vocab_size", self.vocab),
            ("hidden_size", self.hidden),
            ("num_hidden_layers", self.layers),
            ("num_attention_heads", self.heads),
            ("num_key_value_heads", self.kv_heads),
            ("head_dim", self.head_dim),
            ("intermediate_size", self.intermediate),
            ("max_position_embeddings", self.max_positions),
        ];
        if let Some((key, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(Error::input(format!("{key} is 0, and must be at least 1")));
        }
        if !self.heads.is_multiple_of(self.kv_heads) {
            return Err(Error::input(format!(
                "num_attention_heads is {}, which is not a multiple of num_key_value_heads ({})",
                self.heads, self.kv_heads
            )));
        }
        if !self.head_dim.is_multiple_of(2) {
            return Err(Error::input(format!(
                "head_dim is {}, and must be even, since rotary positions turn pairs",
                self.head_dim
            )));
        }
        if !(self.rms_eps > 0.0 && self.rope_theta > 0.0) {
            return Err(Error::input("rms_norm_eps and rope_theta must be above 0"));
        }
        match self.eos.iter().chain(&self.bos).find(|t| **t as usize >= self.vocab) {
            Some(t) => Err(Error::input(format!(
                "the token {t} that begins or ends texts is not below vocab_size ({})",
                self.vocab
            ))),
            None => Ok(()),
        }
    }

    /// Inputs and outputs of a module.
    pub fn module_dims(&self, module: Module) -> (usize, usize) {
        let (queries, keys) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        match module {
            Module::Q => (self.hidden, queries),
            Module::K | Module::V => (self.hidden, keys),
            Module::O => (queries, self.hidden),
            Module::Gate | Module::Up => (self.hidden, self.intermediate),
            Module::Down => (self.intermediate, self.hidden),
        }
    }

    /// Outputs and inputs of the linear maps of the layers, one layer after another, in the order of [`Module::ALL`].
    pub fn matrices(&self) -> Vec<[usize; 2]> {
        let shape = |module: &Module| {
            let (inputs, outputs) = self.module_dims(*module);
            [outputs, inputs]
        };
        (0..self.layers).flat_map(|_| Module::ALL.iter().map(shape)).collect()
    }

    /// Name and shape of every tensor of a checkpoint, the embedding first.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let mut list = vec![("model.embed_tokens.weight".to_owned(), vec![self.vocab, self.hidden])];
        for layer in 0..self.layers {
            for module in Module::ALL {
                let (inputs, outputs) = self.module_dims(module);
                list.push((format!("{}.weight", module.path(layer)), vec![outputs, inputs]));
                if self.attention_bias && matches!(module, Module::Q | Module::K | Module::V) {
                    list.push((format!("{}.bias", module.path(layer)), vec![outputs]));
                }
            }
            for norm in ["input_layernorm", "post_attention_layernorm"] {
                list.push((format!("model.layers.{layer}.{norm}.weight"), vec![self.hidden]));
            }
        }
        list.push(("model.norm.weight".into(), vec![self.hidden]));
        if !self.tied {
            list.push(("lm_head.weight".into(), vec![self.vocab, self.hidden]));
        }
        list
    }

    /// Parameters of the model; a tied head counts once.
    pub fn parameters(&self) -> u64 {
        let of = |shape: &[usize]| shape.iter().map(|n| *n as u64).product::<u64>();
        self.tensors().iter().map(|(_, shape)| of(shape)).sum()
    }

    /// Turns per position, in radians, of each of the `head_dim / 2` pairs of a head.
    pub fn rope_frequencies(&self) -> Vec<f64> {
        (0..self.head_dim / 2)
            .map(|i| {
                let plain = self.rope_theta.powf(-2.0 * i as f64 / self.head_dim as f64);
                let Some(s) = self.rope_scaling else { return plain };
                let turns = s.original_max_positions as f64 * plain / TAU;
                let ramp = (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
                let keep = ramp.clamp(0.0, 1.0);
                plain * (keep + (1.0 - keep) / s.factor)
            })
            .collect()
    }
}
