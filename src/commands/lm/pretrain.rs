//! `illume lm pretrain`: a small model of the Qwen2 architecture, from scratch on generated text, in Hugging Face's format.

use illume_core::{Error, Result};
use illume_lm::data::{Corpus, CorpusParams};
use illume_lm::text::{ChatTemplate, Prompter, small_tokenizer};
use illume_lm::{Example, Family, ModelConfig, pretrain as train, save_checkpoint};
use serde_json::json;

use super::PretrainArgs;
use super::training::{Watch, prepare, settings};
use crate::engine::output::{bytes, json_text, named, significant, thousands};

/// Numbers of tokens are multiples of this, so that the head's matrix is aligned.
const VOCAB_MULTIPLE: usize = 16;
/// The longest text, prompt and answer together.
const POSITIONS: usize = 512;
/// What templates that name the day are told.
const DAY: jiff::civil::Date = jiff::civil::date(2025, 1, 1);

/// The text that `illume lm pretrain` prints; the model is written to a folder.
///
/// # Errors
/// An impossible shape or setting, an unknown parameter of the text, or a folder that cannot be written.
pub(super) fn pretrain(options: &PretrainArgs) -> Result<String> {
    let tokenizer = small_tokenizer();
    let template = ChatTemplate::of(&tokenizer, DAY)?;
    let params = text_params(&options.text)?;
    let corpus = Corpus::new(Prompter::new(tokenizer.clone(), template, ""), params);
    let eos = tokenizer.eos().into_iter().collect();
    let config = shape(options, tokenizer.vocab(), eos)?;
    let settings = settings(&options.train, options.steps, options.learning_rate, 0.01);
    settings.check()?;
    prepare(&options.out, "model", options.force)?;

    let (seed, batch) = (options.train.seed, settings.batch);
    let mut watch = Watch::new(&settings);
    let example = |tokens| Example { tokens, answer_from: 0 };
    let mut fault = None;
    let mut next = |step| match corpus.examples(seed, step, batch) {
        Ok(texts) => texts.into_iter().map(example).collect(),
        Err(e) => {
            fault = Some(e);
            Vec::new()
        }
    };
    let trained = train(&config, &mut next, &settings, &mut |row| watch.step(row));
    // Without texts the training fails: what the corpus said comes first.
    let tensors = match fault {
        Some(e) => return Err(e),
        None => trained?,
    };
    let last = watch.finish()?;
    save_checkpoint(&options.out, &config, &tensors)?;
    tokenizer.save(&options.out)?;
    let weights = 4 * config.parameters();
    if options.json {
        let fields = json!({
            "model": options.out.display().to_string(),
            "parameters": config.parameters(),
            "steps": last.step + 1,
            "tokens": last.tokens,
            "loss": last.loss,
            "seconds": last.seconds,
        });
        return Ok(json_text(&fields));
    }
    let rows = [
        (
            "model",
            format!("{} parameters, {}", thousands(config.parameters()), bytes(weights)),
        ),
        (
            "trained",
            format!(
                "{} steps, {} tokens, {:.0} s",
                thousands(last.step + 1),
                thousands(last.tokens),
                last.seconds
            ),
        ),
        ("loss", significant((last.loss * 1e4).round() / 1e4)),
        ("written", options.out.display().to_string()),
    ];
    Ok(named(rows))
}

fn shape(options: &PretrainArgs, vocab: usize, eos: Vec<u32>) -> Result<ModelConfig> {
    let (hidden, heads) = (options.hidden, options.heads);
    if heads == 0 || !hidden.is_multiple_of(heads) {
        return Err(Error::input(format!(
            "--hidden {hidden} --heads {heads}: the width must be a multiple of the heads"
        )));
    }
    let config = ModelConfig {
        family: Family::Qwen2,
        vocab: vocab.next_multiple_of(VOCAB_MULTIPLE),
        hidden,
        layers: options.layers,
        heads,
        kv_heads: options.kv_heads,
        head_dim: hidden / heads,
        intermediate: options.intermediate,
        rms_eps: 1e-6,
        rope_theta: 10_000.0,
        rope_scaling: None,
        max_positions: POSITIONS,
        tied: true,
        attention_bias: true,
        eos,
        bos: None,
        initializer_range: 0.02,
    };
    config.check()?;
    Ok(config)
}

/// The text's parameters from `--text KEY=VALUE`.
fn text_params(set: &[String]) -> Result<CorpusParams> {
    let mut table = toml::Table::new();
    for assignment in set {
        let wrong = || {
            Error::input(format!(
                "--text {assignment}: expected KEY=VALUE with a number, such as digits=2"
            ))
        };
        let (key, value) = assignment.split_once('=').ok_or_else(wrong)?;
        let line: toml::Table = format!("value = {}", value.trim()).parse().map_err(|_| wrong())?;
        table.insert(key.trim().into(), line["value"].clone());
    }
    illume_core::params::read(&table, "--text", &[])
}
