//! `config.json` and `generation_config.json`, read and written.

use std::path::Path;

use illume_core::{Error, Result};
use serde_json::{Map, Value, json};

use super::{Family, Float, Llama3Scaling, ModelConfig};

impl ModelConfig {
    /// Reads `config.json` of a folder, and the tokens that end an answer from `generation_config.json` if it is there.
    ///
    /// # Errors
    /// The file is missing or not JSON, a key is missing or of the wrong type, or the model is not of a family that is built here (named).
    pub fn read(dir: &Path) -> Result<ModelConfig> {
        let path = dir.join("config.json");
        let mut keys = Keys::open(&path)?;
        let kind = keys.text("model_type")?.unwrap_or_default();
        let architecture = match keys.map.get("architectures").and_then(Value::as_array) {
            Some(list) => list.first().and_then(Value::as_str).unwrap_or_default().to_owned(),
            None => String::new(),
        };
        let family = [Family::Qwen2, Family::Llama]
            .into_iter()
            .find(|f| f.name() == kind && (architecture.is_empty() || architecture == f.architecture()))
            .ok_or_else(|| {
                keys.wrong(&format!(
                    "the architecture {} (model_type \"{kind}\") is not supported; Qwen2ForCausalLM (\"qwen2\") and LlamaForCausalLM (\"llama\") are",
                    if architecture.is_empty() { "without a name" } else { &architecture },
                ))
            })?;
        keys.refuse_other_shapes(family)?;
        let (rope_theta, rope_scaling) = keys.rope()?;
        let hidden = keys.count("hidden_size")?;
        let heads = keys.count("num_attention_heads")?;
        let head_dim = keys.count_or("head_dim", hidden / heads.max(1))?;
        let mut config = ModelConfig {
            family,
            vocab: keys.count("vocab_size")?,
            hidden,
            layers: keys.count("num_hidden_layers")?,
            heads,
            kv_heads: keys.count_or("num_key_value_heads", heads)?,
            head_dim,
            intermediate: keys.count("intermediate_size")?,
            rms_eps: keys.number_or("rms_norm_eps", 1e-6)?,
            rope_theta,
            rope_scaling,
            max_positions: keys.count("max_position_embeddings")?,
            tied: keys.flag("tie_word_embeddings")?,
            attention_bias: family == Family::Qwen2,
            eos: keys.tokens("eos_token_id")?,
            bos: keys.tokens("bos_token_id")?.first().copied(),
            initializer_range: keys.number_or("initializer_range", 0.02)?,
        };
        let generation = dir.join("generation_config.json");
        if generation.is_file() {
            for token in Keys::open(&generation)?.tokens("eos_token_id")? {
                if !config.eos.contains(&token) {
                    config.eos.push(token);
                }
            }
        }
        config
            .check()
            .map_err(|e| Error::input(format!("{}: {e}", path.display())))?;
        Ok(config)
    }

    /// Writes `config.json` and `generation_config.json`, as `transformers` reads them; `float` is how the weights beside them are stored.
    ///
    /// # Errors
    /// The shape is impossible, or the files cannot be written.
    pub fn write(&self, dir: &Path, float: Float) -> Result<()> {
        self.check()?;
        let mut map = json!({
            "architectures": [self.family.architecture()],
            "model_type": self.family.name(),
            "vocab_size": self.vocab,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "intermediate_size": self.intermediate,
            "hidden_act": "silu",
            "rms_norm_eps": self.rms_eps,
            "rope_theta": self.rope_theta,
            "max_position_embeddings": self.max_positions,
            "tie_word_embeddings": self.tied,
            "initializer_range": self.initializer_range,
            "use_cache": true,
            "torch_dtype": float.long_name(),
            "eos_token_id": token_list(&self.eos),
            "bos_token_id": self.bos,
        });
        let keys = map.as_object_mut().expect("the literal above is a map");
        match self.family {
            Family::Qwen2 => keys.insert("use_sliding_window".into(), json!(false)),
            Family::Llama => keys.insert("attention_bias".into(), json!(false)),
        };
        if let Some(s) = self.rope_scaling {
            let scaling = json!({
                "rope_type": "llama3",
                "factor": s.factor,
                "low_freq_factor": s.low_freq_factor,
                "high_freq_factor": s.high_freq_factor,
                "original_max_position_embeddings": s.original_max_positions,
            });
            keys.insert("rope_scaling".into(), scaling);
        }
        write_json(&dir.join("config.json"), &map)?;
        let generation = json!({ "eos_token_id": token_list(&self.eos), "bos_token_id": self.bos });
        write_json(&dir.join("generation_config.json"), &generation)
    }
}

fn token_list(tokens: &[u32]) -> Value {
    match tokens {
        [] => Value::Null,
        [one] => json!(one),
        several => json!(several),
    }
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    let text = serde_json::to_string_pretty(value).expect("a map of plain values") + "\n";
    std::fs::write(path, text).map_err(|e| Error::failed(format!("{} cannot be written: {e}", path.display())))
}

/// A JSON file's top level, with errors that name file and key.
struct Keys {
    file: String,
    map: Map<String, Value>,
}

impl Keys {
    fn open(path: &Path) -> Result<Keys> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::input(format!(
                "{file} cannot be read ({e}); a model is a folder as Hugging Face writes it, with config.json, tokenizer.json and model.safetensors"
            ))
        })?;
        match serde_json::from_str(&text) {
            Ok(Value::Object(map)) => Ok(Keys { file, map }),
            Ok(_) => Err(Error::input(format!("{file} holds no JSON object"))),
            Err(e) => Err(Error::input(format!("{file} is not JSON: {e}"))),
        }
    }

    fn wrong(&self, what: &str) -> Error {
        Error::input(format!("{}: {what}", self.file))
    }

    /// The value, unless absent or null.
    fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|v| !v.is_null())
    }

    fn typed<T>(&self, key: &str, words: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>> {
        match self.get(key) {
            None => Ok(None),
            Some(v) => match read(v) {
                Some(x) => Ok(Some(x)),
                None => Err(self.wrong(&format!("{key} is {v}, and must be {words}"))),
            },
        }
    }

    fn text(&self, key: &str) -> Result<Option<String>> {
        self.typed(key, "a string", |v| v.as_str().map(str::to_owned))
    }

    fn count(&self, key: &str) -> Result<usize> {
        let read = |v: &Value| v.as_u64().map(|n| n as usize);
        self.typed(key, "a whole number", read)?
            .ok_or_else(|| self.wrong(&format!("{key} is missing, and must be a whole number")))
    }

    fn count_or(&self, key: &str, otherwise: usize) -> Result<usize> {
        if self.get(key).is_none() {
            Ok(otherwise)
        } else {
            self.count(key)
        }
    }

    fn number_or(&self, key: &str, otherwise: f64) -> Result<f64> {
        Ok(self.typed(key, "a number", Value::as_f64)?.unwrap_or(otherwise))
    }

    fn flag(&self, key: &str) -> Result<bool> {
        Ok(self.typed(key, "true or false", Value::as_bool)?.unwrap_or(false))
    }

    /// One token or a list of them.
    fn tokens(&self, key: &str) -> Result<Vec<u32>> {
        let one = |v: &Value| v.as_u64().and_then(|n| u32::try_from(n).ok());
        let read = |v: &Value| match v {
            Value::Array(list) => list.iter().map(one).collect(),
            v => one(v).map(|t| vec![t]),
        };
        Ok(self
            .typed(key, "a token number or a list of them", read)?
            .unwrap_or_default())
    }

    /// Refuses what models of these families can be configured to have and is not built here.
    fn refuse_other_shapes(&self, family: Family) -> Result<()> {
        if let Some(act) = self.text("hidden_act")?.filter(|a| a != "silu") {
            return Err(self.wrong(&format!("hidden_act is \"{act}\", and only \"silu\" is supported")));
        }
        let biases: &[&str] = match family {
            Family::Qwen2 => &["use_sliding_window"],
            Family::Llama => &["attention_bias", "mlp_bias"],
        };
        for key in biases {
            if self.flag(key)? {
                return Err(self.wrong(&format!("{key} is true, which is not supported")));
            }
        }
        if self.get("quantization_config").is_some() {
            return Err(self.wrong(
                "the checkpoint is quantized (quantization_config), which is not supported: take the unquantized one, and set `precision`",
            ));
        }
        Ok(())
    }

    /// Base and scaling of rotary positions: `rope_parameters` (transformers 5), or `rope_theta` and `rope_scaling`.
    fn rope(&mut self) -> Result<(f64, Option<Llama3Scaling>)> {
        let theta = self.number_or("rope_theta", 10_000.0)?;
        let key = if self.get("rope_parameters").is_some() {
            "rope_parameters"
        } else {
            "rope_scaling"
        };
        let Some(map) = self.typed(key, "an object", |v| v.as_object().cloned())? else {
            return Ok((theta, None));
        };
        let inner = Keys {
            file: format!("{}: {key}", self.file),
            map,
        };
        let theta = inner.number_or("rope_theta", theta)?;
        let kind = match inner.text("rope_type")? {
            Some(kind) => Some(kind),
            None => inner.text("type")?,
        };
        match kind.as_deref() {
            None | Some("default") => Ok((theta, None)),
            Some("llama3") => {
                let need = |key: &str| {
                    let missing = || inner.wrong(&format!("{key} is missing, and must be a number"));
                    inner.typed(key, "a number", Value::as_f64)?.ok_or_else(missing)
                };
                let scaling = Llama3Scaling {
                    factor: need("factor")?,
                    low_freq_factor: need("low_freq_factor")?,
                    high_freq_factor: need("high_freq_factor")?,
                    original_max_positions: inner.count("original_max_position_embeddings")?,
                };
                if scaling.factor < 1.0 || scaling.high_freq_factor <= scaling.low_freq_factor {
                    return Err(inner.wrong("factor must be at least 1, and high_freq_factor above low_freq_factor"));
                }
                Ok((theta, Some(scaling)))
            }
            Some(other) => Err(inner.wrong(&format!(
                "the rotary scaling \"{other}\" is not supported; \"default\" and \"llama3\" are"
            ))),
        }
    }
}
