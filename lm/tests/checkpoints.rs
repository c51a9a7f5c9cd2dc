//! Folders of models that are not what they should be: each is refused in a sentence that names what is wrong.

mod common;

use std::path::Path;

use common::{llama, qwen2, tensors, write};
use half::bf16;
use illume_lm::{Array, Checkpoint, Device, Model, ModelConfig, Module, Precision, save_checkpoint};
use safetensors::tensor::{Dtype, TensorView, serialize_to_file};
use serde_json::{Value, json};

/// Changes a JSON file.
fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

fn refused(dir: &Path, words: &[&str]) {
    let error = Checkpoint::open(dir).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(error, illume_core::Error::Input(_)) && !text.contains('\n'),
        "{text}"
    );
    assert!(words.iter().all(|w| text.contains(w)), "{text}");
}

/// The error of a good folder whose `config.json` is changed.
fn config_refused(key: &str, value: Value, words: &[&str]) {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &llama());
    edit(&dir.path().join("config.json"), |c| c[key] = value);
    refused(dir.path(), words);
}

#[test]
fn what_is_written_is_read_back() {
    for config in [qwen2(), llama()] {
        let dir = tempfile::tempdir().unwrap();
        let checkpoint = write(dir.path(), &config);
        assert_eq!(checkpoint.config, config);
        let mut count = 0;
        for (name, tensor) in tensors(&config) {
            assert_eq!(checkpoint.tensor(&name).unwrap(), tensor, "{name}");
            count += tensor.values().len() as u64;
        }
        assert_eq!(config.parameters(), count);
        let again = tempfile::tempdir().unwrap();
        assert_eq!(write(again.path(), &config).fingerprint(), checkpoint.fingerprint());
    }
}

#[test]
fn fingerprints_tell_models_apart() {
    let config = qwen2();
    let dir = tempfile::tempdir().unwrap();
    let print = write(dir.path(), &config).fingerprint();
    let mut other = tensors(&config);
    other[5].1.values_mut().iter_mut().for_each(|x| *x *= 1.5);
    let again = tempfile::tempdir().unwrap();
    save_checkpoint(again.path(), &config, &other).unwrap();
    let mode = |file: &str| std::fs::metadata(again.path().join(file)).unwrap().permissions();
    assert_eq!(mode("model.safetensors"), mode("config.json"), "others may read it");
    assert_ne!(Checkpoint::open(again.path()).unwrap().fingerprint(), print);
}

#[test]
fn configurations_that_cannot_be_run_are_named() {
    config_refused(
        "architectures",
        json!(["MistralForCausalLM"]),
        &["MistralForCausalLM", "Qwen2ForCausalLM"],
    );
    config_refused("model_type", json!("gemma"), &["config.json", "gemma", "llama"]);
    config_refused("hidden_act", json!("gelu"), &["hidden_act", "gelu", "silu"]);
    config_refused("attention_bias", json!(true), &["attention_bias"]);
    config_refused("quantization_config", json!({ "bits": 4 }), &["quantized", "precision"]);
    config_refused(
        "rope_scaling",
        json!({ "rope_type": "yarn", "factor": 4.0 }),
        &["yarn", "llama3"],
    );
    config_refused(
        "rope_scaling",
        json!({ "rope_type": "llama3", "factor": 4.0 }),
        &["low_freq_factor is missing"],
    );
    config_refused("hidden_size", Value::Null, &["hidden_size is missing"]);
    config_refused("vocab_size", json!("many"), &["vocab_size", "many", "whole number"]);
    config_refused(
        "num_key_value_heads",
        json!(3),
        &["num_attention_heads is 4", "num_key_value_heads (3)"],
    );
    config_refused("eos_token_id", json!(83), &["token 83", "vocab_size (83)"]);
}

#[test]
fn tensors_that_do_not_fit_the_configuration_are_named() {
    config_refused(
        "intermediate_size",
        json!(100),
        &["gate_proj.weight", "[104, 64]", "[100, 64]"],
    );
    config_refused("num_hidden_layers", json!(3), &["model.layers.2", "missing"]);
    let mut missing = tensors(&llama());
    missing.retain(|(name, _)| name != "lm_head.weight");
    let error = save_checkpoint(Path::new("unused"), &llama(), &missing)
        .unwrap_err()
        .to_string();
    assert!(error.contains("lm_head.weight is missing"), "{error}");
    missing.push(("lm_head.weight".into(), Array::zeros(&[3, 4])));
    let error = save_checkpoint(Path::new("unused"), &llama(), &missing)
        .unwrap_err()
        .to_string();
    assert!(error.contains("[3, 4]") && error.contains("[83, 64]"), "{error}");
}

#[test]
fn files_that_are_missing_or_cut_are_named() {
    let dir = tempfile::tempdir().unwrap();
    refused(dir.path(), &["config.json", "cannot be read"]);
    write(dir.path(), &qwen2());
    let file = dir.path().join("model.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() - 100]).unwrap();
    refused(dir.path(), &["model.safetensors", "cut short", "not fully covered"]);
    std::fs::write(&file, "not tensors").unwrap();
    refused(dir.path(), &["model.safetensors", "damaged"]);
    std::fs::remove_file(&file).unwrap();
    refused(dir.path(), &["neither model.safetensors nor"]);
}

/// Divides a folder's tensors among two files with an index, as large models come.
fn shard(dir: &Path, config: &ModelConfig) {
    let all = tensors(config);
    let file = |i: usize| format!("model-0000{}-of-00002.safetensors", 1 + 2 * i / all.len());
    for half in [0, all.len() - 1] {
        let mine = all.iter().enumerate().filter(|(i, _)| file(*i) == file(half));
        let bytes = |array: &Array| -> Vec<u8> {
            let halves = array.values().iter().map(|x| bf16::from_f32(*x).to_le_bytes());
            halves.flatten().collect()
        };
        let mine: Vec<_> = mine
            .map(|(_, (name, array))| (name, array.shape(), bytes(array)))
            .collect();
        let views = mine.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(Dtype::BF16, shape.to_vec(), bytes).unwrap();
            (name.as_str(), view)
        });
        serialize_to_file(views, None, &dir.join(file(half))).unwrap();
    }
    let map: serde_json::Map<_, _> = all
        .iter()
        .enumerate()
        .map(|(i, (name, _))| (name.clone(), json!(file(i))))
        .collect();
    std::fs::write(
        dir.join("model.safetensors.index.json"),
        json!({ "weight_map": map }).to_string(),
    )
    .unwrap();
    std::fs::remove_file(dir.join("model.safetensors")).unwrap();
}

#[test]
fn a_model_in_shards_is_read_and_a_missing_shard_is_named() {
    let config = qwen2();
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &config);
    shard(dir.path(), &config);
    let checkpoint = Checkpoint::open(dir.path()).unwrap();
    for (name, tensor) in tensors(&config) {
        let rounded = tensor.values().iter().map(|x| bf16::from_f32(*x).to_f32()).collect();
        let rounded = Array::new(tensor.shape(), rounded);
        assert_eq!(checkpoint.tensor(&name).unwrap(), rounded, "{name}");
    }
    // Weights that were rounded to bf16 lose nothing when they are stored as such.
    let logits = |precision| {
        Model::load(&checkpoint, precision, Device::Cpu)
            .unwrap()
            .logits(&[1, 2, 3])
            .unwrap()
    };
    assert_eq!(logits(Precision::Bf16), logits(Precision::F32));
    std::fs::remove_file(dir.path().join("model-00002-of-00002.safetensors")).unwrap();
    refused(dir.path(), &["shard model-00002-of-00002.safetensors", "missing"]);
}

#[test]
fn a_group_that_does_not_divide_the_inputs_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let checkpoint = write(dir.path(), &qwen2());
    let error = Model::load(&checkpoint, Precision::Int4 { group: 64 }, Device::Cpu)
        .unwrap_err()
        .to_string();
    assert!(error.contains("groups of 64") && error.contains("48"), "{error}");
}

#[test]
fn modules_have_the_names_and_sizes_of_checkpoints() {
    for config in [qwen2(), llama()] {
        for module in Module::ALL {
            assert_eq!(Module::from_name(module.name()), Some(module));
            let (inputs, outputs) = config.module_dims(module);
            let entry = (format!("{}.weight", module.path(1)), vec![outputs, inputs]);
            assert!(config.tensors().contains(&entry), "{entry:?}");
        }
    }
}
