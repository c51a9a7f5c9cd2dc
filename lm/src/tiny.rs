//! A model of random weights that loads and runs in milliseconds: it knows nothing, and everything around a model can be tried with it.

use std::path::Path;

use illume_core::{Error, Purpose, Result, Stream, toml};
use rayon::prelude::*;

use crate::text::small_tokenizer;
use crate::{Array, Family, Lora, ModelConfig, Module, save_checkpoint};

/// Numbers that a thread draws at a time.
const PART: usize = 1 << 16;

/// The shape of [`tiny_model`]: one layer of 16 units, the vocabulary of the small tokenizer.
pub fn tiny_config() -> ModelConfig {
    let tokenizer = small_tokenizer();
    ModelConfig {
        family: Family::Qwen2,
        vocab: tokenizer.vocab(),
        hidden: 16,
        layers: 1,
        heads: 2,
        kv_heads: 1,
        head_dim: 16,
        intermediate: 16,
        rms_eps: 1e-6,
        rope_theta: 10_000.0,
        rope_scaling: None,
        max_positions: 512,
        tied: true,
        attention_bias: true,
        eos: tokenizer.eos().into_iter().collect(),
        bos: None,
        initializer_range: 0.5,
    }
}

/// Random weights under the names of checkpoints: normal numbers of the shape's deviation, ones for norms.
pub fn random_weights(config: &ModelConfig, seed: u64) -> Vec<(String, Array)> {
    let tensor = |(number, (name, shape)): (usize, (String, Vec<usize>))| {
        let mut values = vec![1.0; shape.iter().product()];
        if !name.ends_with("norm.weight") {
            values.fill(0.0);
            let stream = Stream::new(seed, Purpose::Network, 0, number as u64);
            let parts = values.par_chunks_mut(PART).enumerate();
            parts.for_each(|(i, part)| stream.add_normals((i * PART) as u64, config.initializer_range as f32, part));
        }
        (name, Array::new(&shape, values))
    };
    config.tensors().into_iter().enumerate().map(tensor).collect()
}

/// Writes a model of random weights with the small tokenizer into `dir`, and an adapter of rank 2 for it, none of it zero, into `dir/adapter`.
///
/// # Errors
/// The folder cannot be written to.
pub fn tiny_model(dir: &Path) -> Result<()> {
    let config = tiny_config();
    std::fs::create_dir_all(dir).map_err(|e| Error::failed(format!("{}: {e}", dir.display())))?;
    save_checkpoint(dir, &config, &random_weights(&config, 1))?;
    small_tokenizer().save(dir)?;
    let mut lora = Lora::fresh(&config, 2, 4.0, &Module::ATTENTION, 1)?;
    for (number, target) in lora.targets.iter_mut().enumerate() {
        Stream::new(1, Purpose::Network, 2, number as u64).normals(0, target.b.values_mut());
    }
    lora.base = dir.display().to_string();
    lora.write(&dir.join("adapter"))
}

/// A small `[task]` table of the task `name`, with the files that it names in `dir`: the tiny model, and cases where the task reads some.
///
/// # Errors
/// The folder cannot be written to.
pub fn tiny_task(dir: &Path, name: &str) -> Result<toml::Table> {
    let write = |file: &str, text: String| {
        let path = dir.join(file);
        std::fs::write(&path, text).map_err(|e| Error::failed(format!("{}: {e}", path.display())))?;
        Ok::<_, Error>(path.display().to_string())
    };
    tiny_model(dir)?;
    let mut table = toml::Table::new();
    let mut set = |key: &str, value: toml::Value| table.insert(key.into(), value);
    set("name", name.into());
    set("model", dir.display().to_string().into());
    set("adapter", dir.join("adapter").display().to_string().into());
    set("batch", 2.into());
    set("max_new_tokens", 4.into());
    set("temperature", 1.0.into());
    set("descriptor", "length".into());
    let lines = |line: &dyn Fn(usize) -> String| (0..LINES).map(|i| line(i) + "\n").collect::<String>();
    match name {
        "lm/gsm8k" => {
            let text = lines(&|i| format!("{{\"question\": \"What is {i} + 1?\", \"answer\": \"#### {}\"}}", i + 1));
            set("data", write("train.jsonl", text.clone())?.into());
            set("validation_data", write("test.jsonl", text)?.into());
        }
        "lm/jsonl" => {
            let text = lines(&|i| format!("{{\"prompt\": \"What is {i} + 1?\", \"answer\": {}}}", i + 1));
            set("data", write("cases.jsonl", text)?.into());
        }
        _ => {
            for split in ["train_cases", "validation_cases", "sft_cases"] {
                set(split, (CASES as i64).into());
            }
        }
    }
    Ok(table)
}

/// Cases of each split of a small task that generates them, and lines of a file of cases.
const CASES: usize = 12;
const LINES: usize = 200;
