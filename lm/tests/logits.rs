//! The model against Hugging Face's `transformers`: kept outputs of `tools/check_transformers.py`, and the library itself where it is installed
//! (`ILLUME_HF_PYTHON` names a Python that has it).

mod common;

use std::path::Path;
use std::process::Command;

use common::{generate, greedy, llama, model, queries, qwen2, write};
use illume_lm::{Checkpoint, Device, Model, ModelConfig, Population, Precision};
use serde_json::Value;

const TOLERANCE: f32 = 1e-4;

fn record(family: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/{family}.json"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn numbers<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn largest_difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).fold(0.0, |m, (x, y)| m.max((x - y).abs()))
}

#[test]
fn logits_and_greedy_answers_are_those_of_transformers() {
    for (family, config) in [("qwen2", qwen2()), ("llama", llama())] {
        let record = record(family);
        let tokens: Vec<u32> = numbers(&record["tokens"]);
        let logits = model(&config, Precision::F32).logits(&tokens).unwrap();
        let positions: Vec<usize> = numbers(&record["positions"]);
        let want: Vec<Vec<f32>> = numbers(&record["logits"]);
        for (position, want) in positions.into_iter().zip(want) {
            let got = &logits[position * config.vocab..(position + 1) * config.vocab];
            let difference = largest_difference(got, &want);
            assert!(difference < TOLERANCE, "{family} at {position}: {difference}");
        }
        let answer: Vec<u32> = numbers(&record["greedy"]);
        let prompts = [tokens];
        let how = greedy(answer.len());
        let got = generate(
            model(&config, Precision::F32),
            1,
            &queries(&prompts, 1),
            &Population::None,
            &how,
        );
        assert_eq!(got[0].tokens, answer, "{family}");
        assert!(!got[0].stopped && got[0].log_probs.iter().all(|p| *p <= 0.0));
    }
}

/// `check_transformers.py` with arguments; none where `transformers` is not installed.
fn transformers(arguments: &[&str]) -> Option<Vec<u8>> {
    let python = std::env::var("ILLUME_HF_PYTHON").ok()?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/check_transformers.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(output.stdout)
}

fn compare(dir: &Path, config: &ModelConfig) {
    let tokens: Vec<u32> = (0..100).map(|i| (i * 37 + 5) % config.vocab as u32).collect();
    let words: Vec<String> = tokens.iter().map(u32::to_string).collect();
    let mut arguments = vec!["logits", dir.to_str().unwrap()];
    arguments.extend(words.iter().map(String::as_str));
    let Some(out) = transformers(&arguments) else { return };
    let want: Vec<Vec<f32>> = serde_json::from_slice(&out).unwrap();
    let model = Model::load(&Checkpoint::open(dir).unwrap(), Precision::F32, Device::Cpu).unwrap();
    let difference = largest_difference(&model.logits(&tokens).unwrap(), &want.concat());
    assert!(difference < TOLERANCE, "{difference}");
}

#[test]
fn transformers_reads_what_is_written_here_and_the_reverse() {
    for (family, config) in [("qwen2", qwen2()), ("llama", llama())] {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(write(dir.path(), &config).config, config);
        compare(dir.path(), &config);
        let dir = tempfile::tempdir().unwrap();
        if transformers(&["write", dir.path().to_str().unwrap(), family]).is_some() {
            assert!(
                dir.path().join("model.safetensors.index.json").is_file(),
                "it is meant to be in shards"
            );
            compare(dir.path(), &config);
        }
    }
}
