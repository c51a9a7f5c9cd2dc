//! Adapters against Hugging Face's `peft`: the file format, what is refused, and the library itself where it is installed (`ILLUME_HF_PYTHON` names a
//! Python that has it; `tools/check_peft.py`).

mod common;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use common::{generate, greedy, llama, qwen2, uniform, write};
use illume_core::{Purpose, Stream};
use illume_lm::{Device, Lora, Model, ModelConfig, Module, Precision, Query, SearchKind, SearchSpace};
use serde_json::{Value, json};

fn adapter(config: &ModelConfig, rank: usize, modules: &[Module]) -> Lora {
    let mut lora = Lora::fresh(config, rank, 8.0, modules, 4).unwrap();
    for (number, target) in lora.targets.iter_mut().enumerate() {
        let values = target.b.values_mut().iter_mut().enumerate();
        values.for_each(|(i, x)| *x = uniform(500 + number, i) - 0.5);
    }
    lora
}

fn assert_same(a: &Lora, b: &Lora) {
    assert_eq!(
        (a.rank, a.alpha, a.rslora, a.every_layer, &a.base),
        (b.rank, b.alpha, b.rslora, b.every_layer, &b.base)
    );
    assert_eq!(a.targets.len(), b.targets.len());
    for (t, u) in a.targets.iter().zip(&b.targets) {
        assert_eq!((t.layer, t.module), (u.layer, u.module));
        assert_eq!((&t.a, &t.b), (&u.a, &u.b));
    }
}

#[test]
fn an_adapter_is_read_as_it_was_written() {
    for (config, modules) in [(qwen2(), &Module::ATTENTION[..]), (llama(), &Module::ALL[..])] {
        let dir = tempfile::tempdir().unwrap();
        let mut lora = adapter(&config, 3, modules);
        lora.base = "a/model".into();
        lora.rslora = modules.len() == 7;
        lora.alpha = if lora.rslora { 2.5 } else { 8.0 };
        lora.write(dir.path()).unwrap();
        assert_same(&lora, &Lora::read(dir.path(), &config).unwrap());
        lora.targets.retain(|t| t.layer == 1);
        lora.every_layer = false;
        lora.write(dir.path()).unwrap();
        assert_same(&lora, &Lora::read(dir.path(), &config).unwrap());
    }
}

/// The error of an adapter whose configuration is changed.
fn refusal(change: impl Fn(&mut Value)) -> String {
    let (config, dir) = (qwen2(), tempfile::tempdir().unwrap());
    adapter(&config, 4, &Module::ATTENTION).write(dir.path()).unwrap();
    // What peft itself writes, with all its keys.
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/adapter_config.json");
    let mut value: Value = serde_json::from_str(&std::fs::read_to_string(kept).unwrap()).unwrap();
    std::fs::write(dir.path().join("adapter_config.json"), value.to_string()).unwrap();
    Lora::read(dir.path(), &config).unwrap();
    change(&mut value);
    std::fs::write(dir.path().join("adapter_config.json"), value.to_string()).unwrap();
    Lora::read(dir.path(), &config).unwrap_err().to_string()
}

#[test]
fn features_of_peft_that_are_not_built_are_refused_by_name() {
    let cases = [
        ("peft_type", json!("IA3")),
        ("use_dora", json!(true)),
        ("modules_to_save", json!(["lm_head"])),
        ("rank_pattern", json!({"q_proj": 2})),
        ("alpha_pattern", json!({"q_proj": 2})),
        ("bias", json!("all")),
        ("fan_in_fan_out", json!(true)),
        ("layer_replication", json!([[0, 2]])),
        ("init_lora_weights", json!("pissa")),
        ("lora_bias", json!(true)),
        ("trainable_token_indices", json!([1])),
        ("a_feature_of_tomorrow", json!("on")),
        ("r", json!(0)),
        ("r", json!("four")),
        ("lora_alpha", json!(null)),
    ];
    for (key, given) in cases {
        let error = refusal(|v| v[key] = given.clone());
        assert!(
            error.contains(key) && error.contains(&given.to_string()) && error.contains("adapter_config.json"),
            "{key}: {error}"
        );
    }
    assert!(refusal(|v| v["r"] = json!(5)).contains("[4, 48], and must have [5, 48] for rank 5"));
    let error = refusal(|v| *v = json!([]));
    assert!(error.contains("no JSON object"), "{error}");
}

#[test]
fn an_adapter_of_another_model_is_refused_with_the_difference() {
    let dir = tempfile::tempdir().unwrap();
    adapter(&qwen2(), 4, &Module::ATTENTION).write(dir.path()).unwrap();
    let refused = |change: &dyn Fn(&mut ModelConfig)| {
        let mut config = qwen2();
        change(&mut config);
        let error = Lora::read(dir.path(), &config).unwrap_err().to_string();
        assert!(error.contains("another base model"), "{error}");
        error
    };
    let wide = refused(&|c| c.hidden = 64);
    assert!(
        wide.contains("lora_A of model.layers.0.self_attn.q_proj has the shape [4, 48]"),
        "{wide}"
    );
    let few = refused(&|c| c.layers = 2);
    assert!(
        few.contains("model.layers.2.self_attn.q_proj, and the model has 2 layers"),
        "{few}"
    );
    let many = refused(&|c| c.layers = 4);
    assert!(
        many.contains("in 3 of the model's 4 layers and nothing for model.layers.3.self_attn.q_proj"),
        "{many}"
    );
    let heads = refused(&|c| c.kv_heads = 3);
    assert!(heads.contains("lora_B of model.layers.0.self_attn.k_proj"), "{heads}");
}

#[test]
fn missing_and_damaged_files_are_named() {
    let (config, dir) = (qwen2(), tempfile::tempdir().unwrap());
    let read = || Lora::read(dir.path(), &config).unwrap_err().to_string();
    assert!(read().contains("adapter_config.json") && read().contains("cannot be read"));
    adapter(&config, 4, &[Module::Q]).write(dir.path()).unwrap();
    let tensors = dir.path().join("adapter_model.safetensors");
    let bytes = std::fs::read(&tensors).unwrap();
    std::fs::write(&tensors, &bytes[..bytes.len() - 8]).unwrap();
    assert!(read().contains("adapter_model.safetensors: is damaged"), "{}", read());
    let renamed = String::from_utf8_lossy(&bytes[..300]).contains("lora_A");
    assert!(renamed);
    let name = b"q_proj.lora_B";
    let at = bytes.windows(name.len()).position(|w| w == name).unwrap();
    let mut other = bytes.clone();
    other[at..at + name.len()].copy_from_slice(b"q_proj.lora_C");
    std::fs::write(&tensors, other).unwrap();
    assert!(
        read().contains("self_attn.q_proj.lora_C.weight is not supported"),
        "{}",
        read()
    );
    std::fs::remove_file(&tensors).unwrap();
    assert!(
        read().contains("adapter_model.safetensors: cannot be read"),
        "{}",
        read()
    );
}

/// `check_peft.py` with arguments; none where `peft` is not installed.
fn peft(arguments: &[&str]) -> Option<Vec<u8>> {
    let python = std::env::var("ILLUME_HF_PYTHON").ok()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/check_peft.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn peft_reads_what_is_written_here_and_the_reverse() {
    for config in [qwen2(), llama()] {
        let (model, dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        write(model.path(), &config);
        let mut lora = adapter(&config, 4, &Module::ATTENTION);
        lora.base = model.path().display().to_string();
        let space = SearchSpace::new(&lora, SearchKind::SingularValues, 0.5).unwrap();
        let genes: Vec<f32> = (0..space.dim()).map(|i| 0.3 * uniform(9, i)).collect();
        let folders = ["ours", "attention", "all", "layers"].map(|name| dir.path().join(name));
        space.adapter(&genes).write(&folders[0]).unwrap();
        let (model, kinds) = (text(model.path()), ["attention", "all", "layers"]);
        if peft(&[&["write", model, text(dir.path())], &kinds[..]].concat()).is_none() {
            return;
        }
        let all: Vec<&str> = folders.iter().map(|f| text(f)).collect();
        let out = peft(&[&["deltas", model], &all[..]].concat()).unwrap();
        let deltas: Vec<HashMap<String, Vec<f32>>> = serde_json::from_slice(&out).unwrap();
        assert_eq!(deltas.len(), folders.len());
        for (folder, mut deltas) in folders.iter().zip(deltas) {
            let lora = Lora::read(folder, &config).unwrap();
            for t in &lora.targets {
                let want = deltas.remove(&t.path()).unwrap();
                let (inputs, rank) = (t.a.shape()[1], lora.rank);
                let rows = t.b.values().chunks_exact(rank);
                let entry = |b: &[f32], column: usize| -> f32 {
                    let sum: f32 = b
                        .iter()
                        .zip(t.a.values()[column..].iter().step_by(inputs))
                        .map(|(b, a)| b * a)
                        .sum();
                    lora.scaling() as f32 * sum
                };
                let found: Vec<f32> = rows
                    .flat_map(|b| (0..inputs).map(move |column| entry(b, column)))
                    .collect();
                assert_eq!(found.len(), want.len());
                assert!(
                    found.iter().zip(&want).all(|(x, y)| (x - y).abs() < 1e-5),
                    "{}",
                    t.path()
                );
            }
            assert!(deltas.is_empty(), "{:?}", deltas.keys());
        }
    }
}

#[test]
fn a_model_with_an_adapter_has_the_logits_of_peft() {
    let (config, model, dir) = (qwen2(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let checkpoint = write(model.path(), &config);
    let mut lora = adapter(&config, 4, &Module::ALL);
    lora.base = text(model.path()).into();
    let space = SearchSpace::new(&lora, SearchKind::SingularValues, 1.0).unwrap();
    let genes: Vec<f32> = (0..space.dim()).map(|i| 0.3 * uniform(9, i)).collect();
    space.adapter(&genes).write(dir.path()).unwrap();
    let prompt = [5, 17, 80, 3];
    let model_run = Model::load(&checkpoint, Precision::F32, Device::Cpu).unwrap();
    let query = Query {
        prompt: &prompt,
        member: 0,
        stream: Stream::new(1, Purpose::Token, 0, 0),
    };
    let generated = generate(model_run, 1, &[query], &space.population(&[&genes]), &greedy(6)).remove(0);
    let tokens: Vec<String> = prompt.iter().chain(&generated.tokens).map(u32::to_string).collect();
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let Some(out) = peft(&[&["logits", text(model.path()), text(dir.path())], &tokens[..]].concat()) else {
        return;
    };
    let logits: Vec<Vec<f64>> = serde_json::from_slice(&out).unwrap();
    for (i, (token, log_prob)) in generated.tokens.iter().zip(&generated.log_probs).enumerate() {
        let row = &logits[prompt.len() + i - 1];
        let sum: f64 = row.iter().map(|x| x.exp()).sum();
        let want = row[*token as usize] - sum.ln();
        assert!(
            (want - f64::from(*log_prob)).abs() < 1e-4,
            "{log_prob} here, {want} in peft"
        );
        assert!(row.iter().all(|x| *x <= row[*token as usize] + 1e-4));
    }
}

#[test]
fn what_peft_writes_and_is_not_built_is_refused() {
    let (config, model, dir) = (qwen2(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(model.path(), &config);
    let cases = [
        ("dora", "use_dora"),
        ("saved", "modules_to_save"),
        ("ranks", "rank_pattern"),
        ("alphas", "alpha_pattern"),
        ("bias", "bias"),
        ("pissa", "init_lora_weights"),
        ("embedding", "embed_tokens.lora_embedding_A"),
    ];
    let kinds: Vec<&str> = cases.iter().map(|(kind, _)| *kind).collect();
    if peft(&[&["write", text(model.path()), text(dir.path())], &kinds[..]].concat()).is_none() {
        return;
    }
    for (kind, named) in cases {
        let error = Lora::read(&dir.path().join(kind), &config).unwrap_err().to_string();
        assert!(error.contains(named), "{kind}: {error}");
    }
}
