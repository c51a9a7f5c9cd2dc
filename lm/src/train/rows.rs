//! Texts as batches of bounded size.

use illume_core::{Error, Result};

use super::Example;
use super::native::Texts;
use crate::config::ModelConfig;

/// Tokens that one pass takes, at most, unless one text alone is longer. A constant, so that sums do not depend on the machine.
pub(super) const PASS_TOKENS: usize = 1024;

/// Splits a batch into passes, the longest texts first.
///
/// # Errors
/// A text has fewer than two tokens, nothing wanted, a token that the model lacks, or more tokens than its context.
pub(super) fn texts(examples: &[Example], config: &ModelConfig) -> Result<Vec<Texts>> {
    let mut list: Vec<Texts> = Vec::new();
    for i in longest_first(examples, config)? {
        let example = &examples[i];
        let full = |t: &Texts| t.tokens.len() + example.tokens.len() - 1 > PASS_TOKENS;
        if list.last().is_none_or(full) {
            list.push(Texts::default());
        }
        let texts = list.last_mut().expect("one was pushed if there was none");
        let start = texts.tokens.len();
        texts.tokens.extend(&example.tokens[..example.tokens.len() - 1]);
        texts.segments.push(start..texts.tokens.len());
        let first = example.answer_from.max(1);
        texts
            .wanted
            .extend((first..example.tokens.len()).map(|t| start + t - 1));
        texts.targets.extend(&example.tokens[first..]);
        texts.origin.push((i, example.tokens.len() - first));
    }
    Ok(list)
}

/// The order in which texts are taken. The last token of each is only predicted.
pub(super) fn longest_first(examples: &[Example], config: &ModelConfig) -> Result<Vec<usize>> {
    for (number, example) in examples.iter().enumerate() {
        check(example, config).map_err(|what| Error::input(format!("text {number} of the batch {what}")))?;
    }
    let mut order: Vec<usize> = (0..examples.len()).collect();
    order.sort_by_key(|i| (std::cmp::Reverse(examples[*i].tokens.len()), *i));
    Ok(order)
}

fn check(example: &Example, config: &ModelConfig) -> std::result::Result<(), String> {
    let count = example.tokens.len();
    if count < 2 || example.answer_from >= count {
        return Err(format!(
            "has {count} tokens, of which those from {} on are to be learned; there must be at least one behind the first",
            example.answer_from
        ));
    }
    if count > config.max_positions {
        return Err(format!(
            "has {count} tokens, and the model's context has {}",
            config.max_positions
        ));
    }
    match example.tokens.iter().find(|t| **t as usize >= config.vocab) {
        Some(token) => Err(format!("has the token {token}, and the model has {}", config.vocab)),
        None => Ok(()),
    }
}
