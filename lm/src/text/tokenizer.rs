//! A tokenizer as Hugging Face writes it: `tokenizer.json`, with `tokenizer_config.json` beside it for the names of special tokens; or a GGUF file's.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use illume_core::{Error, Result};
use serde_json::Value;
use tokenizers::Tokenizer;

/// Of a model: rows that its embedding may have beyond the tokenizer's tokens, as a share of them. Embeddings are padded to round numbers (Qwen2.5 has
/// 151,665 tokens and up to 152,064 rows).
const PADDING: f64 = 0.01;
/// To a multiple of which small vocabularies are padded.
const PADDED_TO: usize = 64;

/// The part of `tokenizer_config.json` that matters here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenizerSettings {
    pub bos_token: Option<String>,
    pub eos_token: Option<String>,
    pub pad_token: Option<String>,
    pub unk_token: Option<String>,
    /// The template of that name "default", or the only one.
    pub chat_template: Option<String>,
}

/// A tokenizer with its special tokens; copies share it.
#[derive(Debug, Clone)]
pub struct TextTokenizer {
    inner: Arc<Tokenizer>,
    settings: TokenizerSettings,
    /// Where it was read, for messages; empty if it was made in code.
    path: PathBuf,
}

impl TextTokenizer {
    /// Of a model's folder, or of a GGUF file.
    ///
    /// # Errors
    /// There is no `tokenizer.json`, or a file is not what it should be.
    pub fn open(model: &Path) -> Result<TextTokenizer> {
        if model.is_file() {
            return crate::gguf::tokenizer(model);
        }
        let dir = model;
        let path = dir.join("tokenizer.json");
        if !path.is_file() {
            let message = "there is no such file; a model's folder holds tokenizer.json beside config.json";
            return Err(Error::input(format!("{}: {message}", path.display())));
        }
        let mut inner = Tokenizer::from_file(&path).map_err(|e| {
            Error::input(format!(
                "{}: not a tokenizer as Hugging Face writes it: {e}",
                path.display()
            ))
        })?;
        // What the file says of training batches: prompts here are whole and unpadded.
        inner.with_padding(None);
        let untruncated = inner.with_truncation(None);
        untruncated.map_err(|e| Error::failed(format!("{}: {e}", path.display())))?;
        let settings = read_settings(dir)?;
        let made = TextTokenizer {
            inner: Arc::new(inner),
            settings,
            path,
        };
        for token in [&made.settings.bos_token, &made.settings.eos_token]
            .into_iter()
            .flatten()
        {
            if made.inner.token_to_id(token).is_none() {
                let config = dir.join("tokenizer_config.json");
                let message = format!("names the special token {token:?}, which tokenizer.json does not have");
                return Err(Error::input(format!("{}: {message}", config.display())));
            }
        }
        Ok(made)
    }

    /// Of its parts; `path` is where they were read, empty if they were made in code.
    pub(crate) fn made(inner: Tokenizer, settings: TokenizerSettings, path: &Path) -> TextTokenizer {
        TextTokenizer {
            inner: Arc::new(inner),
            settings,
            path: path.to_owned(),
        }
    }

    /// The tokens of a text; `special` adds those that the tokenizer puts around every text (a first token, say).
    ///
    /// # Errors
    /// The tokenizer cannot say it (it lacks a token for what it does not know).
    pub fn encode(&self, text: &str, special: bool) -> Result<Vec<u32>> {
        let encoding = self.inner.encode_fast(text, special);
        let encoding = encoding.map_err(|e| Error::input(format!("{}: {e} in {text:?}", self.shown())))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// The text of tokens, special ones left out. A token that the tokenizer does not have is left out too.
    pub fn decode(&self, tokens: &[u32]) -> String {
        self.inner.decode(tokens, true).unwrap_or_default()
    }

    /// The number that a model's embedding must have at least: the largest token plus one.
    pub fn vocab(&self) -> usize {
        let largest = self.inner.get_vocab(true).into_values().max();
        largest.map_or(0, |id| id as usize + 1)
    }

    /// The token of exactly this text.
    pub fn token(&self, text: &str) -> Option<u32> {
        self.inner.token_to_id(text)
    }

    pub fn bos(&self) -> Option<u32> {
        self.settings.bos_token.as_deref().and_then(|t| self.token(t))
    }

    pub fn eos(&self) -> Option<u32> {
        self.settings.eos_token.as_deref().and_then(|t| self.token(t))
    }

    pub fn settings(&self) -> &TokenizerSettings {
        &self.settings
    }

    fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// Whether a model with `vocab` rows in its embedding, which ends answers by the tokens `stop`, speaks this tokenizer's language. Embeddings
    /// may be a little larger than the vocabulary.
    ///
    /// # Errors
    /// It does not.
    pub fn check(&self, vocab: usize, stop: &[u32]) -> Result<()> {
        let mine = self.vocab();
        let most = ((mine as f64 * (1.0 + PADDING)).ceil() as usize).next_multiple_of(PADDED_TO);
        let wrong = |message: String| Err(Error::input(format!("{}: {message}", self.shown())));
        if vocab < mine || vocab > most {
            return wrong(format!(
                "this tokenizer is not the model's: it has {mine} tokens, the model has vocab_size = {vocab} \
                 (accepted for this tokenizer: {mine} to {most})"
            ));
        }
        let known = |id: &&u32| self.inner.id_to_token(**id).is_none();
        match stop.iter().find(known) {
            Some(id) => wrong(format!(
                "this tokenizer is not the model's: it has no token {id}, by which the model ends its answers (eos_token_id)"
            )),
            None => Ok(()),
        }
    }

    /// Writes `tokenizer.json` and `tokenizer_config.json`, which `transformers` loads as a `PreTrainedTokenizerFast`.
    ///
    /// # Errors
    /// The folder cannot be written to.
    pub fn save(&self, dir: &Path) -> Result<()> {
        let failed = |path: &Path, e: &dyn std::fmt::Display| Error::failed(format!("{}: {e}", path.display()));
        clear(dir)?;
        let path = dir.join("tokenizer.json");
        self.inner.save(&path, true).map_err(|e| failed(&path, &e))?;
        let mut config = serde_json::json!({
            "tokenizer_class": "PreTrainedTokenizerFast",
            "clean_up_tokenization_spaces": false,
            "model_max_length": 1_000_000,
        });
        let settings = &self.settings;
        for (key, value) in [
            ("bos_token", &settings.bos_token),
            ("eos_token", &settings.eos_token),
            ("pad_token", &settings.pad_token),
            ("unk_token", &settings.unk_token),
            ("chat_template", &settings.chat_template),
        ] {
            if let Some(value) = value {
                config[key] = value.as_str().into();
            }
        }
        let path = dir.join("tokenizer_config.json");
        let text = format!("{config:#}\n");
        std::fs::write(&path, text).map_err(|e| failed(&path, &e))
    }
}

/// The files of a model's folder that say how text becomes tokens.
const TEXT_FILES: [&str; 8] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "tokenizer.model",
    "chat_template.jinja",
];

/// Removes what says how text becomes tokens: a file that is left from another model would be read beside those that are written.
///
/// # Errors
/// A file cannot be removed.
fn clear(dir: &Path) -> Result<()> {
    for file in TEXT_FILES {
        let path = dir.join(file);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::failed(format!("{} cannot be removed: {e}", path.display())));
            }
            _ => (),
        }
    }
    Ok(())
}

/// Gives the folder `dir` the tokenizer of a model, another folder or a GGUF file.
///
/// # Errors
/// A file cannot be read or written.
pub(crate) fn copy(model: &Path, dir: &Path) -> Result<()> {
    if model.is_file() {
        return TextTokenizer::open(model)?.save(dir);
    }
    clear(dir)?;
    for file in TEXT_FILES {
        let from = model.join(file);
        if from.is_file() {
            let cannot = |e| Error::failed(format!("{} cannot be copied to {}: {e}", from.display(), dir.display()));
            std::fs::copy(&from, dir.join(file)).map_err(cannot)?;
        }
    }
    Ok(())
}

/// `tokenizer_config.json` and `chat_template.jinja`, both of which may be missing.
fn read_settings(dir: &Path) -> Result<TokenizerSettings> {
    let mut settings = TokenizerSettings::default();
    let path = dir.join("tokenizer_config.json");
    let unreadable = |path: &Path, e: &dyn std::fmt::Display| Error::input(format!("{}: {e}", path.display()));
    if path.is_file() {
        let text = std::fs::read_to_string(&path).map_err(|e| unreadable(&path, &e))?;
        let config: Value = serde_json::from_str(&text).map_err(|e| unreadable(&path, &e))?;
        // A token is its text, or a table that has it as "content".
        let token = |key: &str| {
            let value = &config[key];
            value.as_str().or(value["content"].as_str()).map(String::from)
        };
        settings = TokenizerSettings {
            bos_token: token("bos_token"),
            eos_token: token("eos_token"),
            pad_token: token("pad_token"),
            unk_token: token("unk_token"),
            chat_template: template_of(&config["chat_template"]),
        };
    }
    // Newer folders keep it in a file of its own.
    let path = dir.join("chat_template.jinja");
    if path.is_file() {
        let text = std::fs::read_to_string(&path).map_err(|e| unreadable(&path, &e))?;
        settings.chat_template = Some(text);
    }
    Ok(settings)
}

/// A template, or of several that are named the one called "default".
fn template_of(value: &Value) -> Option<String> {
    if let Some(text) = value.as_str() {
        return Some(text.into());
    }
    let named = value.as_array()?.iter().find(|entry| entry["name"] == "default")?;
    named["template"].as_str().map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::small_tokenizer;

    #[test]
    fn a_vocabulary_that_is_not_the_models_is_refused_and_padding_is_not() {
        let t = small_tokenizer();
        let n = t.vocab();
        let stop = [t.eos().unwrap()];
        t.check(n, &stop).unwrap();
        t.check(n.next_multiple_of(64), &stop).unwrap();
        for wrong in [n - 1, 2 * n, 151_936] {
            let message = t.check(wrong, &stop).unwrap_err().to_string();
            assert!(
                message.contains(&n.to_string()) && message.contains(&wrong.to_string()),
                "{message}"
            );
        }
        let message = t
            .check(n.next_multiple_of(64), &[n as u32 + 3])
            .unwrap_err()
            .to_string();
        assert!(message.contains("eos_token_id"), "{message}");
    }

    #[test]
    fn a_saved_tokenizer_opens_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let t = small_tokenizer();
        t.save(dir.path()).unwrap();
        let again = TextTokenizer::open(dir.path()).unwrap();
        assert_eq!(again.settings(), t.settings());
        assert_eq!(again.vocab(), t.vocab());
        let text = "Ann has 12 apples.\n12 + 30 = 42\n#### 42";
        assert_eq!(again.encode(text, true).unwrap(), t.encode(text, true).unwrap());
    }

    #[test]
    fn settings_are_read_in_each_form_that_hugging_face_writes() {
        let dir = tempfile::tempdir().unwrap();
        small_tokenizer().save(dir.path()).unwrap();
        let config = dir.path().join("tokenizer_config.json");
        std::fs::write(
            &config,
            r#"{"bos_token": null, "eos_token": {"content": "<|end|>", "lstrip": false},
                "chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}]}"#,
        )
        .unwrap();
        let t = TextTokenizer::open(dir.path()).unwrap();
        assert_eq!((t.bos(), t.eos()), (None, t.token("<|end|>")));
        assert_eq!(t.settings().chat_template.as_deref(), Some("D"));
        std::fs::write(dir.path().join("chat_template.jinja"), "J").unwrap();
        let t = TextTokenizer::open(dir.path()).unwrap();
        assert_eq!(t.settings().chat_template.as_deref(), Some("J"));
        std::fs::write(&config, r#"{"eos_token": "</s>"}"#).unwrap();
        let message = TextTokenizer::open(dir.path()).err().unwrap().to_string();
        assert!(
            message.contains("\"</s>\"") && message.contains("tokenizer_config.json"),
            "{message}"
        );
    }

    #[test]
    fn files_that_are_missing_or_no_tokenizer_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let message = TextTokenizer::open(dir.path()).err().unwrap().to_string();
        assert!(message.contains("tokenizer.json: there is no such file"), "{message}");
        std::fs::write(dir.path().join("tokenizer.json"), "{\"a\": 1}").unwrap();
        let message = TextTokenizer::open(dir.path()).err().unwrap().to_string();
        assert!(
            message.contains("not a tokenizer as Hugging Face writes it"),
            "{message}"
        );
    }
}
