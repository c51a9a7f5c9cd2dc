//! `illume lm import`: the model of a GGUF file as a folder in Hugging Face's layout.

use illume_core::{Error, Result};
use illume_lm::text::TextTokenizer;
use illume_lm::{Checkpoint, Float};
use serde_json::json;

use super::ImportArgs;
use super::training::prepare;
use crate::engine::output::{bytes, json_text, named, thousands};

/// The text that `illume lm import FILE --out DIR` prints; the model is written to a folder.
///
/// # Errors
/// A file that is no GGUF, is damaged or holds a model that is not supported, or a folder that cannot be written.
pub(super) fn import(options: &ImportArgs) -> Result<String> {
    let file = &options.model;
    if !file.is_file() {
        return Err(Error::input(format!(
            "there is no file {}: give a .gguf file",
            file.display()
        )));
    }
    let checkpoint = Checkpoint::open(file)?;
    let config = &checkpoint.config;
    let tokenizer = TextTokenizer::open(file)?;
    tokenizer.check(config.vocab, &config.eos)?;
    let float = Float::ALL.into_iter().find(|f| f.name() == options.dtype);
    let float = float.expect("one of the values that the command line accepts");
    prepare(&options.out, "model", options.force)?;

    checkpoint.write(&options.out, float)?;
    tokenizer.save(&options.out)?;
    let (parameters, weights) = (config.parameters(), config.parameters() * float.bytes() as u64);
    if options.json {
        let fields = json!({
            "model": options.out.display().to_string(),
            "architecture": config.family.architecture(),
            "parameters": parameters,
            "dtype": float.name(),
            "bytes": weights,
        });
        return Ok(json_text(&fields));
    }
    let rows = [
        (
            "model",
            format!("{}, {} parameters", config.family.architecture(), thousands(parameters)),
        ),
        ("weights", format!("{} in {}", bytes(weights), float.name())),
        ("written", options.out.display().to_string()),
    ];
    Ok(named(rows))
}
