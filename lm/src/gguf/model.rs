//! A model's shape from the metadata, and its tensors by the names that they have in Hugging Face's layout.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use illume_core::Result;

use super::Gguf;
use crate::checkpoint::{Checkpoint, Stored};
use crate::config::{Family, Llama3Scaling, ModelConfig, Module};

/// The factors by which the wavelengths of rotary positions are stretched, one for each pair of a head.
const ROPE_FACTORS: &str = "rope_freqs.weight";

/// The settings of all models that have such factors (Llama 3.1 and later); the file has the factors alone, from which the first of them is read.
const STRETCHED: Llama3Scaling = Llama3Scaling {
    factor: 0.0,
    low_freq_factor: 1.0,
    high_freq_factor: 4.0,
    original_max_positions: 8192,
};
/// Relative difference of factors that were rounded to f32.
const ROUNDING: f64 = 1e-5;

/// Maps a file.
///
/// # Errors
/// It cannot be read, is damaged, of another architecture or of a shape that is not supported, or it has a tensor that such a model does not have.
pub(crate) fn checkpoint(path: &Path) -> Result<Checkpoint> {
    let mut gguf = Gguf::open(path)?;
    let config = config(&gguf)?;
    let mut index = HashMap::new();
    let mut used = HashSet::from([ROPE_FACTORS.to_owned()]);
    for (name, _) in config.tensors() {
        let own = own_name(&name);
        let tensor = gguf.tensors.get(&own);
        let tensor = tensor.ok_or_else(|| gguf.wrong(format!("the tensor {own} is missing")))?;
        let turned = config.family == Family::Llama && (own.contains(".attn_q.") || own.contains(".attn_k."));
        let stored = Stored {
            file: 0,
            bytes: tensor.bytes.clone(),
            shape: tensor.shape.clone(),
            encoding: tensor.encoding,
            turned: turned.then_some(config.head_dim),
        };
        index.insert(name, stored);
        used.insert(own);
    }
    let mut others: Vec<&String> = gguf.tensors.keys().filter(|name| !used.contains(*name)).collect();
    others.sort();
    if let Some(name) = others.first() {
        return Err(gguf.wrong(format!(
            "the tensor {name} is none of a {} as it is supported here, so that the model would answer differently without it",
            config.family.architecture()
        )));
    }
    gguf.tensors.clear();
    Ok(Checkpoint::of_file(path, gguf.file, config, index))
}

/// llama.cpp's name of a tensor.
fn own_name(name: &str) -> String {
    let (path, suffix) = name.rsplit_once('.').unwrap_or((name, ""));
    let own = match path {
        "model.embed_tokens" => "token_embd".into(),
        "model.norm" => "output_norm".into(),
        "lm_head" => "output".into(),
        _ => {
            let mut parts = path.trim_start_matches("model.layers.").split('.');
            let layer = parts.next().unwrap_or_default();
            let part = match parts.next_back().unwrap_or_default() {
                "input_layernorm" => "attn_norm",
                "post_attention_layernorm" => "ffn_norm",
                module => match Module::from_name(module).expect("a tensor of a layer is a norm's or a module's") {
                    Module::Q => "attn_q",
                    Module::K => "attn_k",
                    Module::V => "attn_v",
                    Module::O => "attn_output",
                    Module::Gate => "ffn_gate",
                    Module::Up => "ffn_up",
                    Module::Down => "ffn_down",
                },
            };
            format!("blk.{layer}.{part}")
        }
    };
    format!("{own}.{suffix}")
}

fn config(gguf: &Gguf) -> Result<ModelConfig> {
    let architecture = gguf.text("general.architecture")?;
    let architecture = architecture.ok_or_else(|| gguf.missing("general.architecture"))?;
    let family = [Family::Llama, Family::Qwen2]
        .into_iter()
        .find(|f| f.name() == architecture);
    let family = family.ok_or_else(|| {
        gguf.wrong(format!(
            "the architecture \"{architecture}\" is not supported; \"llama\" and \"qwen2\" are"
        ))
    })?;
    let key = |name: &str| format!("{architecture}.{name}");
    refuse_other_shapes(gguf, architecture)?;
    let hidden = gguf.need_count(&key("embedding_length"))?;
    let heads = gguf.need_count(&key("attention.head_count"))?;
    let head_dim = gguf
        .count(&key("attention.key_length"))?
        .unwrap_or(hidden / heads.max(1));
    for name in ["attention.value_length", "rope.dimension_count"] {
        let own = gguf.count(&key(name))?.unwrap_or(head_dim);
        if own != head_dim {
            return Err(gguf.wrong(format!(
                "{} is {own}, and heads of keys have {head_dim} numbers: only equal ones are supported",
                key(name)
            )));
        }
    }
    let embedding = gguf.tensors.get("token_embd.weight");
    let embedding = embedding.ok_or_else(|| gguf.wrong("the tensor token_embd.weight is missing"))?;
    let mut eos = Vec::new();
    for name in ["eos", "eot", "eom"] {
        eos.extend(gguf.token(&format!("tokenizer.ggml.{name}_token_id"))?);
    }
    eos.dedup();
    let mut config = ModelConfig {
        family,
        vocab: embedding.shape.first().copied().unwrap_or(0),
        hidden,
        layers: gguf.need_count(&key("block_count"))?,
        heads,
        kv_heads: gguf.count(&key("attention.head_count_kv"))?.unwrap_or(heads),
        head_dim,
        intermediate: gguf.need_count(&key("feed_forward_length"))?,
        rms_eps: gguf
            .number(&key("attention.layer_norm_rms_epsilon"))?
            .ok_or_else(|| gguf.missing(&key("attention.layer_norm_rms_epsilon")))?,
        rope_theta: gguf.number(&key("rope.freq_base"))?.unwrap_or(10_000.0),
        rope_scaling: None,
        max_positions: gguf.need_count(&key("context_length"))?,
        tied: !gguf.tensors.contains_key("output.weight"),
        attention_bias: family == Family::Qwen2,
        eos,
        bos: gguf.token("tokenizer.ggml.bos_token_id")?,
        initializer_range: 0.02,
    };
    config.check().map_err(|e| gguf.wrong(e))?;
    if config.layers > gguf.tensors.len() {
        return Err(gguf.wrong(format!(
            "{} is {}, and the file has {} tensors",
            key("block_count"),
            config.layers,
            gguf.tensors.len()
        )));
    }
    config.rope_scaling = stretched(gguf, &config)?;
    Ok(config)
}

/// Refuses what files of these architectures can say and is not built here.
fn refuse_other_shapes(gguf: &Gguf, architecture: &str) -> Result<()> {
    let key = |name: &str| format!("{architecture}.{name}");
    if let Some(parts) = gguf.count("split.count")?.filter(|n| *n > 1) {
        return Err(gguf.wrong(format!(
            "is one of {parts} parts of a model, which is not supported: join them by llama.cpp's `llama-gguf-split --merge`"
        )));
    }
    if let Some(experts) = gguf.count(&key("expert_count"))?.filter(|n| *n > 0) {
        return Err(gguf.wrong(format!(
            "the model has {experts} experts a layer, which is not supported"
        )));
    }
    let scaling = gguf.text(&key("rope.scaling.type"))?;
    match scaling.filter(|kind| *kind != "none") {
        Some(kind) => Err(gguf.wrong(format!(
            "the rotary scaling \"{kind}\" ({}) is not supported; \"none\" and the factors of Llama 3.1 are",
            key("rope.scaling.type")
        ))),
        None => Ok(()),
    }
}

/// What the factors of rotary positions mean, if there are some.
fn stretched(gguf: &Gguf, config: &ModelConfig) -> Result<Option<Llama3Scaling>> {
    let Some(tensor) = gguf.tensors.get(ROPE_FACTORS) else {
        return Ok(None);
    };
    let pairs = config.head_dim / 2;
    if tensor.shape != [pairs] {
        return Err(gguf.wrong(format!(
            "the tensor {ROPE_FACTORS} has the shape {:?}, and must have one number for each of a head's {pairs} pairs",
            tensor.shape
        )));
    }
    let mut factors = vec![0.0; pairs];
    tensor.encoding.decode(&gguf.file[tensor.bytes.clone()], &mut factors);
    let scaling = Llama3Scaling {
        factor: factors.iter().fold(0.0, |m: f32, x| m.max(*x)).into(),
        ..STRETCHED
    };
    let stretched = ModelConfig {
        rope_scaling: Some(scaling),
        ..config.clone()
    };
    let plain = config.rope_frequencies();
    let meant = plain
        .iter()
        .zip(stretched.rope_frequencies())
        .map(|(plain, own)| plain / own);
    let equal = |(factor, meant): (&f32, f64)| (f64::from(*factor) / meant - 1.0).abs() < ROUNDING;
    match factors.iter().zip(meant).all(equal) {
        true => Ok(Some(scaling)),
        false => Err(gguf.wrong(format!(
            "the factors of rotary positions ({ROPE_FACTORS}) are not those of Llama 3.1, and no others are supported"
        ))),
    }
}
