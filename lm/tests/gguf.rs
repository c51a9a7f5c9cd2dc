//! GGUF files against others that read them: what `tools/check_gguf.py` recorded of transformers and llama.cpp, on small files that the Python package
//! `gguf` wrote, and on SmolLM2-135M-Instruct where `ILLUME_SMOLLM2_DIR` names its folder (`tools/setup smollm2`).

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{generate, greedy, queries};
use half::{bf16, f16};
use illume_core::{Error, Result};
use illume_lm::text::{ChatTemplate, Prompter, TextTokenizer};
use illume_lm::{Checkpoint, Device, Family, Float, Model, ModelConfig, Population, Precision};
use serde_json::Value;

const FAMILIES: [&str; 2] = ["llama", "qwen2"];

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn file(family: &str) -> PathBuf {
    data(&format!("gguf_{family}.gguf"))
}

fn record(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(data(name)).unwrap()).unwrap()
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn loaded(path: &Path) -> Model {
    Model::load(&Checkpoint::open(path).unwrap(), Precision::F32, Device::Cpu).unwrap()
}

#[test]
fn small_files_of_every_quantization_are_the_models_that_transformers_reads() {
    let record = record("gguf_models.json");
    for family in FAMILIES {
        let record = &record[family];
        let model = loaded(&file(family));
        let vocab = model.config().vocab;
        let tokens: Vec<u32> = read(&record["tokens"]);
        let logits = model.logits(&tokens).unwrap();
        let positions: Vec<usize> = read(&record["positions"]);
        let wanted: Vec<Vec<f32>> = read(&record["logits"]);
        for (position, want) in positions.into_iter().zip(wanted) {
            let got = &logits[position * vocab..(position + 1) * vocab];
            let difference = got.iter().zip(&want).fold(0.0, |m: f32, (x, y)| m.max((x - y).abs()));
            assert!(
                want.len() == vocab && difference < 2e-4,
                "{family} at {position}: {difference}"
            );
        }
        let answer: Vec<u32> = read(&record["greedy"]);
        let how = greedy(answer.len());
        let got = generate(model, 1, &queries(&[tokens], 1), &Population::None, &how);
        assert_eq!(got[0].tokens, answer, "{family}");
    }
}

#[test]
fn small_files_have_the_tokens_of_llama_cpp_and_their_chat_template() {
    let record = record("gguf_models.json");
    for family in FAMILIES {
        let tokenizer = TextTokenizer::open(&file(family)).unwrap();
        for (i, text) in read::<Vec<String>>(&record["texts"]).iter().enumerate() {
            let plain: Vec<u32> = read(&record[family]["texts"][i]);
            assert_eq!(tokenizer.encode(text, false).unwrap(), plain, "{family}: {text:?}");
            let first: Vec<u32> = read(&record[family]["with_first"][i]);
            assert_eq!(tokenizer.encode(text, true).unwrap(), first, "{family}: {text:?}");
        }
        assert_eq!(
            tokenizer.decode(&tokenizer.encode("naïve 12345<|end|>", true).unwrap()),
            "naïve 12345"
        );
        let template = ChatTemplate::of(&tokenizer, jiff::civil::date(2024, 7, 26)).unwrap();
        let prompt = Prompter::new(tokenizer.clone(), template, "").prompt("Hi").unwrap();
        assert_eq!(prompt, tokenizer.encode("<|begin|>user: Hi\n", false).unwrap());
    }
}

#[test]
fn the_metadata_is_the_models_shape() {
    let llama = Checkpoint::open(&file("llama")).unwrap().config;
    assert_eq!(
        (llama.family, llama.layers, llama.heads, llama.kv_heads),
        (Family::Llama, 3, 4, 2)
    );
    assert_eq!(
        (llama.hidden, llama.head_dim, llama.intermediate, llama.vocab),
        (32, 8, 256, 273)
    );
    assert_eq!(
        (llama.rms_eps, llama.rope_theta, llama.max_positions),
        (1e-5, 5e5, 16_384)
    );
    assert_eq!((llama.tied, llama.attention_bias), (false, false));
    assert_eq!((llama.bos, llama.eos), (Some(269), vec![270]));
    let scaling = llama.rope_scaling.unwrap();
    assert_eq!((scaling.factor, scaling.original_max_positions), (8.0, 8192));
    let qwen2 = Checkpoint::open(&file("qwen2")).unwrap().config;
    assert_eq!(
        (qwen2.family, qwen2.tied, qwen2.attention_bias),
        (Family::Qwen2, true, true)
    );
    assert_eq!(qwen2.rope_scaling, None);
}

#[test]
fn fingerprints_tell_files_apart_and_are_the_same_when_a_file_is_opened_again() {
    let print = |path: &Path| Checkpoint::open(path).unwrap().fingerprint();
    assert_eq!(print(&file("llama")), print(&file("llama")));
    assert_ne!(print(&file("llama")), print(&file("qwen2")));
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.gguf");
    let mut bytes = std::fs::read(file("qwen2")).unwrap();
    let last = bytes.len() - 128;
    bytes[last] ^= 1;
    std::fs::write(&other, bytes).unwrap();
    assert_ne!(print(&other), print(&file("qwen2")));
}

/// Writes a file's model as a folder.
fn import(file: &Path, dir: &Path, float: Float) -> Checkpoint {
    Checkpoint::open(file).unwrap().write(dir, float).unwrap();
    TextTokenizer::open(file).unwrap().save(dir).unwrap();
    Checkpoint::open(dir).unwrap()
}

#[test]
fn an_imported_folder_is_the_same_model_and_smaller_floats_are_rounded_once() {
    for family in FAMILIES {
        let there = Checkpoint::open(&file(family)).unwrap();
        for float in Float::ALL {
            let folder = tempfile::tempdir().unwrap();
            let again = import(&file(family), folder.path(), float);
            assert_eq!(again.config, there.config);
            for (name, _) in there.config.tensors() {
                let numbers = |c: &Checkpoint| -> Vec<f32> { c.tensor(&name).unwrap().into_values() };
                let rounded: Vec<f32> = numbers(&there)
                    .into_iter()
                    .map(|x| match float {
                        Float::F32 => x,
                        Float::BF16 => bf16::from_f32(x).to_f32(),
                        Float::F16 => f16::from_f32(x).to_f32(),
                    })
                    .collect();
                assert_eq!(numbers(&again), rounded, "{family} {name} {float:?}");
            }
            let config: Value =
                serde_json::from_str(&std::fs::read_to_string(folder.path().join("config.json")).unwrap()).unwrap();
            assert_eq!(config["torch_dtype"], float.long_name());
        }
        let folder = tempfile::tempdir().unwrap();
        import(&file(family), folder.path(), Float::F32);
        let logits = |path: &Path| loaded(path).logits(&[1, 2, 3]).unwrap();
        assert_eq!(logits(folder.path()), logits(&file(family)));
        let tokens = |path: &Path| {
            let tokenizer = TextTokenizer::open(path).unwrap();
            (
                tokenizer.settings().clone(),
                tokenizer.encode("Hello the 12345 clock!<|note|>\n", true).unwrap(),
            )
        };
        assert_eq!(tokens(folder.path()), tokens(&file(family)));
    }
}

#[test]
fn a_folder_that_held_shards_holds_what_was_written_over_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("model.safetensors.index.json"),
        r#"{"weight_map": {"a": "b"}}"#,
    )
    .unwrap();
    std::fs::write(folder.path().join("chat_template.jinja"), "another model's").unwrap();
    let config: ModelConfig = import(&file("llama"), folder.path(), Float::F32).config;
    assert_eq!(config.layers, 3);
    assert!(!folder.path().join("chat_template.jinja").exists(), "it would be read");
}

#[test]
fn transformers_finds_in_an_imported_folder_what_it_finds_in_the_file() {
    let Ok(python) = std::env::var("ILLUME_HF_PYTHON") else {
        return;
    };
    let mut files = vec![file("qwen2")];
    files.extend(smollm2());
    for file in files {
        let folder = tempfile::tempdir().unwrap();
        import(&file, folder.path(), Float::F32);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/check_gguf.py");
        let output = Command::new(&python)
            .arg(script)
            .arg("folder")
            .arg(folder.path())
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The real model, where it is.
fn smollm2() -> Option<PathBuf> {
    let folder = std::env::var("ILLUME_SMOLLM2_DIR").ok()?;
    Some(Path::new(&folder).join("SmolLM2-135M-Instruct.Q4_1.gguf"))
}

#[test]
fn smollm2_reads_prompts_and_answers_as_transformers_has_it() {
    let Some(path) = smollm2() else { return };
    let cases: Vec<Value> = read(&record("gguf_smollm2.json"));
    let tokenizer = TextTokenizer::open(&path).unwrap();
    let template = ChatTemplate::of(&tokenizer, jiff::civil::date(2024, 7, 26)).unwrap();
    let prompter = Prompter::new(tokenizer, template, "");
    let model = loaded(&path);
    let (vocab, eos) = (model.config().vocab, model.config().eos.clone());
    let mut prompts: Vec<Vec<u32>> = Vec::new();
    for case in &cases {
        let prompt = prompter.prompt(case["prompt"].as_str().unwrap()).unwrap();
        assert_eq!(prompt, read::<Vec<u32>>(&case["tokens"]), "{}", case["prompt"]);
        let logits = model.logits(&prompt).unwrap();
        let last = &logits[logits.len() - vocab..];
        let best: Vec<usize> = read(&case["best"]);
        for (token, want) in best.iter().zip(read::<Vec<f32>>(&case["logits"])) {
            assert!(
                (last[*token] - want).abs() < 5e-3,
                "{}: {} {want}",
                case["prompt"],
                last[*token]
            );
        }
        let beyond =
            |(token, logit): (usize, &f32)| !best.contains(&token) && *logit > last[best[best.len() - 1]] + 5e-3;
        assert!(!last.iter().enumerate().any(beyond), "{}", case["prompt"]);
        prompts.push(prompt);
    }
    let mut how = greedy(24);
    how.stop = eos;
    let answers = generate(model, 20, &queries(&prompts, 1), &Population::None, &how);
    for (case, answer) in cases.iter().zip(answers) {
        let tokens: Vec<u32> = answer.tokens.into_iter().filter(|t| !how.stop.contains(t)).collect();
        assert_eq!(tokens, read::<Vec<u32>>(&case["greedy"]), "{}", case["prompt"]);
    }
}

// Files that are not what they should be ---------------------------------------------------------------------------------

/// Where a text is in a file.
fn find(bytes: &[u8], text: &[u8]) -> usize {
    bytes
        .windows(text.len())
        .position(|w| w == text)
        .expect("the text is in the file")
}

/// The bytes of a key's or tensor's name and what is behind it are put in place of what is there.
fn put(bytes: &mut [u8], name: &str, behind: usize, new: &[u8]) {
    let at = find(bytes, name.as_bytes()) + name.len() + behind;
    bytes[at..at + new.len()].copy_from_slice(new);
}

fn rename(bytes: &mut [u8], from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let at = find(bytes, from.as_bytes());
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
}

/// The text of a key, whatever its length.
fn set_text(bytes: &mut Vec<u8>, key: &str, text: &str) {
    let at = find(bytes, key.as_bytes()) + key.len() + 4;
    let old = u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let new = [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat();
    bytes.splice(at..at + 8 + old, new);
    // Tensors begin elsewhere now, maybe further behind.
    bytes.extend([0; 64]);
}

/// The changed file of a small Llama is refused by what opens it, in a sentence that has these words.
#[track_caller]
fn refused_by(open: impl Fn(&Path) -> Result<()>, words: &[&str], change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(file("llama")).unwrap();
    change(&mut bytes);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.gguf");
    std::fs::write(&path, bytes).unwrap();
    let error = open(&path).expect_err("the file is refused");
    let text = error.to_string();
    assert!(
        matches!(error, Error::Input(_)) && !text.contains('\n') && text.contains("changed.gguf"),
        "{text}"
    );
    assert!(words.iter().all(|w| text.contains(w)), "{text}");
}

#[track_caller]
fn refused(words: &[&str], change: impl FnOnce(&mut Vec<u8>)) {
    refused_by(|path| Checkpoint::open(path).map(|_| ()), words, change);
}

#[track_caller]
fn tokenizer_refused(words: &[&str], change: impl FnOnce(&mut Vec<u8>)) {
    refused_by(|path| TextTokenizer::open(path).map(|_| ()), words, change);
}

#[test]
fn files_that_are_no_gguf_or_of_another_version_are_named() {
    refused(&["is not a GGUF file", "folder"], |bytes| {
        *bytes = b"These are no tensors.".to_vec()
    });
    refused(&["is not a GGUF file"], Vec::clear);
    refused(&["version 1 of GGUF", "2 and 3"], |bytes| bytes[4] = 1);
    refused(&["version 400 of GGUF"], |bytes| {
        bytes[4..8].copy_from_slice(&400_u32.to_le_bytes())
    });
    refused(&["other byte order"], |bytes| {
        bytes[4..8].copy_from_slice(&[0, 0, 0, 3])
    });
}

#[test]
fn files_that_are_cut_short_or_damaged_are_named() {
    for length in [6, 20, 100, 2000, 6000] {
        refused(&["cut short or damaged", "bytes"], |bytes| bytes.truncate(length));
    }
    refused(&["cut short or damaged: the tensor", "end of the file"], |bytes| {
        bytes.truncate(bytes.len() - 4000);
    });
    refused(&["cut short or damaged"], |bytes| bytes[8..16].fill(0xff));
    refused(&["cut short or damaged"], |bytes| bytes[16..24].fill(0xff));
    refused(&["tokenizer.ggml.tokens is a list of", "at most"], |bytes| {
        put(bytes, "tokenizer.ggml.tokens", 8, &[0xff; 7]);
    });
    refused(&["llama.block_count has the type 77"], |bytes| {
        put(bytes, "llama.block_count", 0, &[77])
    });
    refused(&["tokenizer.chat_template", "not UTF-8"], |bytes| {
        put(bytes, "tokenizer.chat_template", 12, &[0xff]);
    });
    refused(&["tokenizer.ggml.eos_token_id twice"], |bytes| {
        rename(bytes, "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id");
    });
    refused(&["the tensor blk.0.attn_k.weight twice"], |bytes| {
        rename(bytes, "blk.1.attn_k.weight", "blk.0.attn_k.weight");
    });
    refused(&["blk.0.attn_q.weight has 9 dimensions"], |bytes| {
        put(bytes, "blk.0.attn_q.weight", 0, &[9])
    });
    refused(&["blk.0.attn_q.weight", "33 numbers", "whole blocks of 32"], |bytes| {
        put(bytes, "blk.0.attn_q.weight", 4, &[33]);
    });
    refused(&["blk.0.attn_q.weight is larger than any file"], |bytes| {
        put(bytes, "blk.0.attn_q.weight", 12, &[0xff; 8]);
    });
    refused(&["blk.0.attn_q.weight does not begin at a multiple of 32"], |bytes| {
        let from = find(bytes, b"blk.0.attn_q.weight") + "blk.0.attn_q.weight".len() + 24;
        bytes[from] += 1;
    });
}

#[test]
fn quantizations_and_architectures_that_are_not_read_are_named() {
    let quantized = |kind: u32| move |bytes: &mut Vec<u8>| put(bytes, "blk.0.attn_q.weight", 20, &kind.to_le_bytes());
    refused(&["blk.0.attn_q.weight is of the type IQ4_XS", "Q4_K"], quantized(23));
    refused(&["the type number 99", "BF16"], quantized(99));
    refused(&["the architecture \"gemma\"", "\"llama\" and \"qwen2\""], |bytes| {
        set_text(bytes, "general.architecture", "gemma");
    });
    refused(&["8 experts a layer"], |bytes| {
        put(bytes, "llama.expert_count", 4, &[8])
    });
    refused(&["rotary scaling \"yarn\"", "llama.rope.scaling.type"], |bytes| {
        set_text(bytes, "llama.rope.scaling.type", "yarn");
    });
    refused(&["one of 3 parts", "--merge"], |bytes| {
        put(bytes, "split.count", 4, &[3])
    });
    refused(&["rope_freqs.weight", "not those of Llama 3.1"], |bytes| {
        let at = bytes.windows(4).rposition(|w| w == 8_f32.to_le_bytes()).unwrap();
        bytes[at..at + 4].copy_from_slice(&7_f32.to_le_bytes());
    });
    refused(&["llama.rope.dimension_count is 4", "8 numbers"], |bytes| {
        put(bytes, "llama.rope.dimension_count", 4, &[4]);
    });
}

#[test]
fn models_that_are_not_complete_are_named() {
    refused(&["the metadata has no llama.block_count"], |bytes| {
        rename(bytes, "llama.block_count", "llama.block_point");
    });
    refused(&["llama.block_count is", "must be a whole number"], |bytes| {
        put(bytes, "llama.block_count", 0, &[6]);
    });
    refused(&["llama.block_count is 65539", "tensors"], |bytes| {
        put(bytes, "llama.block_count", 6, &[1])
    });
    refused(&["the tensor blk.1.ffn_up.weight is missing"], |bytes| {
        rename(bytes, "blk.1.ffn_up.weight", "blk.1.ffn_vp.weight");
    });
    refused(
        &["the tensor rope_other.weight is none of a LlamaForCausalLM"],
        |bytes| {
            rename(bytes, "rope_freqs.weight", "rope_other.weight");
        },
    );
    refused(&["gate_proj", "[256, 32]", "[128, 32]"], |bytes| {
        put(bytes, "llama.feed_forward_length", 4, &128_u32.to_le_bytes());
    });
    refused(&["num_attention_heads is 4", "num_key_value_heads (3)"], |bytes| {
        put(bytes, "llama.attention.head_count_kv", 4, &[3]);
    });
    refused(&["the token 5000", "vocab_size (273)"], |bytes| {
        put(bytes, "tokenizer.ggml.eos_token_id", 4, &5000_u32.to_le_bytes());
    });
}

#[test]
fn tokenizers_that_are_not_read_or_not_complete_are_named() {
    tokenizer_refused(&["\"llama\" (a SentencePiece vocabulary)", "\"gpt2\""], |bytes| {
        set_text(bytes, "tokenizer.ggml.model", "llama");
    });
    tokenizer_refused(&["the pre-tokenizer \"tekken\"", "llama-bpe"], |bytes| {
        set_text(bytes, "tokenizer.ggml.pre", "tekken");
    });
    tokenizer_refused(
        &["tokenizer.ggml.merges", "\"t hx\"", "two tokens that make a third"],
        |bytes| {
            rename(bytes, "t he", "t hx");
        },
    );
    tokenizer_refused(&["the tokens", "are both \"he\""], |bytes| {
        rename(bytes, "\u{2}\0\0\0\0\0\0\0ll", "\u{2}\0\0\0\0\0\0\0he");
    });
    tokenizer_refused(&["tokenizer.ggml.padding", "must be one of the 272 tokens"], |bytes| {
        put(bytes, "tokenizer.ggml.padding_token_id", 4, &[16, 1]);
    });
    tokenizer_refused(&["the metadata has no tokenizer.ggml.merges"], |bytes| {
        rename(bytes, "tokenizer.ggml.merges", "tokenizer.ggml.mergez");
    });
}
