//! `adapter_config.json`: what it must say to be read here, and what is written.

use std::path::Path;

use illume_core::{Error, Result};
use serde_json::{Map, Value, json};

use super::Lora;
use crate::config::Module;

pub(super) const FILE: &str = "adapter_config.json";

/// Keys that say nothing about what the adapter computes, or are read.
const HARMLESS: [&str; 22] = [
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    "ensure_weight_tying",
    "eva_config",
    "exclude_modules",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_dropout",
    "megatron_core",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_rslora",
];

/// Initializations that leave the base weights as they are; others (PiSSA, OLoRA, CorDA, LoftQ, …) move a part of them into the adapter.
const PLAIN_STARTS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// What matters of the file.
pub(super) struct AdapterConfig {
    pub rank: usize,
    pub alpha: f64,
    pub rslora: bool,
    /// Whether it says which layers it is for.
    pub some_layers: bool,
    pub base: String,
}

impl AdapterConfig {
    pub fn read(dir: &Path) -> Result<AdapterConfig> {
        let path = dir.join(FILE);
        let wrong = |what: String| Error::input(format!("{}: {what}", path.display()));
        let text = std::fs::read_to_string(&path).map_err(|e| {
            wrong(format!(
                "cannot be read ({e}); an adapter is a folder as PEFT writes it, with {FILE} and adapter_model.safetensors"
            ))
        })?;
        let map = match serde_json::from_str(&text) {
            Ok(Value::Object(map)) => map,
            Ok(_) => return Err(wrong("holds no JSON object".into())),
            Err(e) => return Err(wrong(format!("is not JSON: {e}"))),
        };
        refuse_features(&map).map_err(wrong)?;
        let rank = map
            .get("r")
            .and_then(Value::as_u64)
            .filter(|r| *r > 0 && *r <= u64::from(u32::MAX));
        let rank = rank.ok_or_else(|| wrong(format!("r is {}, and must be a rank, 1 or more", shown(map.get("r")))))?;
        let alpha = map.get("lora_alpha").and_then(Value::as_f64).filter(|a| a.is_finite());
        let alpha = alpha.ok_or_else(|| {
            let given = shown(map.get("lora_alpha"));
            wrong(format!("lora_alpha is {given}, and must be a number"))
        })?;
        Ok(AdapterConfig {
            rank: rank as usize,
            alpha,
            rslora: map.get("use_rslora").and_then(Value::as_bool).unwrap_or(false),
            some_layers: map.get("layers_to_transform").is_some_and(|v| !empty(v)),
            base: map
                .get("base_model_name_or_path")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        })
    }
}

fn refuse_features(map: &Map<String, Value>) -> std::result::Result<(), String> {
    match map.get("peft_type").and_then(Value::as_str) {
        Some("LORA") => {}
        _ => {
            let given = shown(map.get("peft_type"));
            return Err(format!("peft_type is {given}, and only \"LORA\" is supported"));
        }
    }
    if let Some(bias) = map.get("bias").filter(|b| !b.is_null() && b.as_str() != Some("none")) {
        return Err(format!("bias is {bias}, and only \"none\" is supported"));
    }
    if let Some(start) = map.get("init_lora_weights").and_then(Value::as_str)
        && !PLAIN_STARTS.contains(&start)
    {
        return Err(format!(
            "init_lora_weights is \"{start}\", which changes the base weights and is not supported; \
             PEFT converts such an adapter with path_initial_model_for_weight_conversion"
        ));
    }
    for (key, value) in map {
        if !HARMLESS.contains(&key.as_str()) && !empty(value) {
            return Err(format!(
                "{key} is {value}, and this feature of PEFT is not supported; plain LoRA with one rank and one alpha is"
            ));
        }
    }
    Ok(())
}

/// Whether a value switches nothing on.
fn empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or("missing".into(), Value::to_string)
}

pub(super) fn write(lora: &Lora, dir: &Path) -> Result<()> {
    let used = Module::ALL
        .into_iter()
        .filter(|m| lora.targets.iter().any(|t| t.module == *m));
    // PEFT writes whole numbers as such, and reads both.
    let alpha = match lora.alpha {
        whole if whole.fract() == 0.0 && whole.abs() < 1e15 => json!(whole as i64),
        other => json!(other),
    };
    let mut layers: Vec<usize> = lora.targets.iter().map(|t| t.layer).collect();
    layers.dedup();
    let (layers, pattern) = match lora.every_layer {
        true => (Value::Null, Value::Null),
        false => (json!(layers), json!("layers")),
    };
    let map = json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": lora.base,
        "inference_mode": true,
        "r": lora.rank,
        "lora_alpha": alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "use_rslora": lora.rslora,
        "use_dora": false,
        "fan_in_fan_out": false,
        "init_lora_weights": true,
        "modules_to_save": null,
        "rank_pattern": {},
        "alpha_pattern": {},
        "layers_to_transform": layers,
        "layers_pattern": pattern,
        "target_modules": used.map(Module::name).collect::<Vec<_>>(),
    });
    let text = serde_json::to_string_pretty(&map).expect("a map of plain values") + "\n";
    let path = dir.join(FILE);
    std::fs::write(&path, text).map_err(|e| Error::failed(format!("{} cannot be written: {e}", path.display())))
}
