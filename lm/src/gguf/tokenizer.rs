//! The tokenizer of a GGUF file as Hugging Face's `tokenizer.json` says the same: byte-level BPE, with one of a few ways to split text into words.

use std::collections::HashMap;
use std::path::Path;

use illume_core::Result;
use serde_json::{Map, Value, json};
use tokenizers::Tokenizer;

use super::Gguf;
use crate::text::{TextTokenizer, TokenizerSettings};

/// How text is split into words, whose tokens never cross their borders.
#[derive(Debug, Clone, Copy)]
struct Splitter {
    /// What files call it, in `tokenizer.ggml.pre`.
    names: &'static [&'static str],
    /// The words; none for GPT-2's.
    words: Option<&'static str>,
    /// Every digit is a word.
    digits: bool,
    /// Text is put into Unicode's composed form (NFC) first.
    composed: bool,
    /// A word that is a token is that token, whatever the merges make of it.
    whole_words: bool,
    /// Texts begin with the first token unless the file says otherwise.
    begins: bool,
}

const GPT2: Splitter = Splitter {
    names: &["gpt-2", "gpt2"],
    words: None,
    digits: false,
    composed: false,
    whole_words: false,
    begins: false,
};

/// As the `tokenizer.json` of the models whose name they have (`Llama-3.2-1B`, `Qwen2.5-0.5B`, `SmolLM2-135M`).
const SPLITTERS: [Splitter; 4] = [
    GPT2,
    Splitter {
        names: &["smollm", "starcoder", "refact"],
        digits: true,
        ..GPT2
    },
    Splitter {
        names: &["qwen2", "deepseek-r1-qwen"],
        words: Some(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        composed: true,
        ..GPT2
    },
    Splitter {
        names: &["llama-bpe", "llama3", "llama-v3"],
        words: Some(
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        whole_words: true,
        begins: true,
        ..GPT2
    },
];

/// Kinds of tokens (`tokenizer.ggml.token_type`) that are not the vocabulary's own: control tokens, tokens that users added, rows that are not used.
const CONTROL: usize = 3;
const ADDED: usize = 4;
const UNUSED: usize = 5;

/// The tokenizer of a file, with its chat template.
///
/// # Errors
/// The file is damaged, or its tokenizer is of a kind that is not supported or is not complete.
pub(crate) fn tokenizer(path: &Path) -> Result<TextTokenizer> {
    let gguf = Gguf::open(path)?;
    let splitter = splitter(&gguf)?;
    let tokens = gguf.texts("tokenizer.ggml.tokens")?;
    let tokens = tokens.ok_or_else(|| gguf.missing("tokenizer.ggml.tokens"))?;
    let kinds = gguf.counts("tokenizer.ggml.token_type")?.unwrap_or_default();
    if !kinds.is_empty() && kinds.len() != tokens.len() {
        return Err(gguf.wrong(format!(
            "tokenizer.ggml.token_type has {} values, and tokenizer.ggml.tokens {}",
            kinds.len(),
            tokens.len()
        )));
    }
    let mut vocabulary = HashMap::with_capacity(tokens.len());
    let mut added = Vec::new();
    for (id, token) in tokens.iter().enumerate() {
        let kind = kinds.get(id).copied().unwrap_or(0);
        if kind == UNUSED {
            continue;
        }
        if let Some(other) = vocabulary.insert(*token, id) {
            return Err(gguf.wrong(format!("the tokens {other} and {id} are both {token:?}")));
        }
        if kind == CONTROL || kind == ADDED {
            added.push(json!({
                "id": id, "content": token, "special": kind == CONTROL,
                "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            }));
        }
    }
    let special = |name: &str| {
        let key = format!("tokenizer.ggml.{name}_token_id");
        let Some(id) = gguf.token(&key)? else { return Ok(None) };
        match tokens.get(id as usize).filter(|token| vocabulary.contains_key(*token)) {
            Some(token) => Ok(Some((*token).to_owned())),
            None => Err(gguf.wrong(format!(
                "{key} is {id}, and must be one of the {} tokens that are used",
                vocabulary.len()
            ))),
        }
    };
    let settings = TokenizerSettings {
        bos_token: special("bos")?,
        eos_token: special("eos")?,
        pad_token: special("padding")?,
        unk_token: special("unknown")?,
        chat_template: gguf.text("tokenizer.chat_template")?.map(String::from),
    };
    let begins = gguf.flag("tokenizer.ggml.add_bos_token")?.unwrap_or(splitter.begins);
    let first = settings.bos_token.as_deref().filter(|_| begins);
    let file = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": splitter.composed.then(|| json!({ "type": "NFC" })),
        "pre_tokenizer": pre_tokenizer(splitter),
        "post_processor": first.map(|token| begin(token, vocabulary[token])),
        "decoder": byte_level(true),
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": null,
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": false,
            "byte_fallback": false,
            "ignore_merges": splitter.whole_words,
            "vocab": vocabulary.iter().map(|(token, id)| ((*token).to_owned(), json!(id))).collect::<Map<_, _>>(),
            "merges": merges(&gguf, &vocabulary)?,
        },
    });
    let made = Tokenizer::from_bytes(file.to_string());
    let made = made.map_err(|e| gguf.wrong(format!("the tokenizer cannot be made: {e}")))?;
    Ok(TextTokenizer::made(made, settings, path))
}

fn splitter(gguf: &Gguf) -> Result<Splitter> {
    let model = gguf.text("tokenizer.ggml.model")?;
    let model = model.ok_or_else(|| gguf.missing("tokenizer.ggml.model"))?;
    if model != "gpt2" {
        let what = if model == "llama" {
            " (a SentencePiece vocabulary)"
        } else {
            ""
        };
        return Err(gguf.wrong(format!(
            "the tokenizer \"{model}\"{what} is not supported; \"gpt2\" (byte-level BPE) is: take the model as Hugging Face's folder"
        )));
    }
    let name = gguf.text("tokenizer.ggml.pre")?.unwrap_or("default");
    let found = SPLITTERS.into_iter().find(|s| s.names.contains(&name));
    found.ok_or_else(|| {
        let known: Vec<&str> = SPLITTERS.iter().flat_map(|s| s.names.iter().copied()).collect();
        gguf.wrong(format!(
            "the pre-tokenizer \"{name}\" (tokenizer.ggml.pre) is not supported; {} are: take the model as Hugging Face's folder",
            known.join(", ")
        ))
    })
}

/// The pairs that are merged, the first first.
fn merges(gguf: &Gguf, vocabulary: &HashMap<&str, usize>) -> Result<Vec<Value>> {
    let key = "tokenizer.ggml.merges";
    let list = gguf.texts(key)?.ok_or_else(|| gguf.missing(key))?;
    let pair = |merge: &&str| {
        let known = |token: &str| vocabulary.contains_key(token);
        let pair = merge.split_once(' ');
        let pair = pair.filter(|(a, b)| known(a) && known(b) && known(&format!("{a}{b}")));
        let pair = pair.ok_or_else(|| gguf.wrong(format!("{key}: {merge:?} are not two tokens that make a third")));
        pair.map(|(a, b)| json!([a, b]))
    };
    list.iter().map(pair).collect()
}

/// Bytes as letters; `words` splits by GPT-2's expression first.
fn byte_level(words: bool) -> Value {
    json!({ "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": words })
}

fn pre_tokenizer(splitter: Splitter) -> Value {
    let mut steps = Vec::new();
    if splitter.digits {
        steps.push(json!({ "type": "Digits", "individual_digits": true }));
    }
    if let Some(words) = splitter.words {
        steps.push(json!({ "type": "Split", "pattern": { "Regex": words }, "behavior": "Isolated", "invert": false }));
    }
    steps.push(byte_level(splitter.words.is_none()));
    json!({ "type": "Sequence", "pretokenizers": steps })
}

/// The first token before every text.
fn begin(token: &str, id: usize) -> Value {
    let first = json!({ "SpecialToken": { "id": token, "type_id": 0 } });
    let text = |name: &str| json!({ "Sequence": { "id": name, "type_id": 0 } });
    json!({
        "type": "TemplateProcessing",
        "single": [first, text("A")],
        "pair": [first, text("A"), first, text("B")],
        "special_tokens": { token: { "id": token, "ids": [id], "tokens": [token] } },
    })
}
