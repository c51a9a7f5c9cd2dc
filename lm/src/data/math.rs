//! Whether two mathematical answers are the same, as evaluations on MATH ask (Hendrycks et al., 'Measuring mathematical problem solving with the MATH dataset', 2021,
//! <https://arxiv.org/abs/2103.03874>): numbers, fractions, roots and expressions by value, sets, tuples, intervals and lists element by element, words by their letters.

mod clean;
mod compare;
#[cfg(test)]
mod tests;
mod value;

use illume_core::Result;

use super::number::MARK;
use super::{Case, Reward};

/// 1 if the answer's final result is that of the reference, else 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct MathReward;

impl Reward for MathReward {
    fn score(&self, case: &Case, answer: &str) -> Result<f64> {
        let expected = final_answer(&case.answer);
        Ok(f64::from(is_equivalent(final_answer(answer), expected)))
    }
}

/// Whether two results are the same; an empty one is the same as none.
pub fn is_equivalent(one: &str, other: &str) -> bool {
    compare::equal(one, other)
}

/// The part of a text that is its result: what is in the last `\boxed{}`, else on the line behind `####`, else behind the last 'answer is' or 'answer:', else the last formula between
/// dollars, else all of it.
pub fn final_answer(text: &str) -> &str {
    boxed(text)
        .or_else(|| Some(line(text.split_once(MARK)?.1)))
        .or_else(|| behind_words(text))
        .or_else(|| formula(text))
        .unwrap_or(text)
        .trim()
}

/// What the last box holds; without braces, the rest of the formula or line.
fn boxed(text: &str) -> Option<&str> {
    let at = ["\\boxed", "\\fbox"].map(|command| Some(text.rfind(command)? + command.len()));
    let rest = &text[at.into_iter().flatten().max()?..];
    let inner = rest.trim_start();
    if !inner.starts_with('{') {
        return Some(line(rest).split('$').next().unwrap_or_default());
    }
    let mut depth = 0;
    for (i, c) in inner.char_indices() {
        let escaped = inner[..i].ends_with('\\') && !inner[..i].ends_with("\\\\");
        depth += match c {
            '{' if !escaped => 1,
            '}' if !escaped => -1,
            _ => 0,
        };
        if depth == 0 {
            return Some(&inner[1..i]);
        }
    }
    // It was cut off.
    Some(line(&inner[1..]))
}

fn line(text: &str) -> &str {
    text.split('\n').next().unwrap_or_default()
}

/// What stands behind the last such words, up to the end of the sentence or line.
fn behind_words(text: &str) -> Option<&str> {
    // Letters that change their length in lower case would move the places.
    let lower = text.to_ascii_lowercase();
    let ends = ["answer is", "answer:"].map(|words| Some(lower.rfind(words)? + words.len()));
    let rest = line(&text[ends.into_iter().flatten().max()?..]).trim_start_matches([':', ' ', '*']);
    Some(rest.split(". ").next().unwrap_or_default().trim_end_matches(['*', ' ']))
}

/// The last formula between dollars.
fn formula(text: &str) -> Option<&str> {
    let dollars: Vec<usize> = text
        .match_indices('$')
        .map(|(at, _)| at)
        .filter(|at| !text[..*at].ends_with('\\'))
        .collect();
    let mut pairs = dollars.chunks_exact(2).map(|pair| text[pair[0] + 1..pair[1]].trim());
    pairs.rfind(|formula| !formula.is_empty())
}
