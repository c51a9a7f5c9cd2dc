//! The final number of an answer, as evaluations on GSM8K take it (Cobbe et al. 2021, <https://arxiv.org/abs/2110.14168>): behind `####`, else (where that
//! is not insisted on) in the last `\boxed{}`, else the last number of all; whatever LaTeX and typesetters put around its digits.

mod plain;
mod scan;
mod value;

use illume_core::Result;

use super::{Case, Reward};
use plain::THIN;
pub(super) use plain::{BOX, plain, unified};
use scan::{CURRENCIES, Number, numbers};

/// What counts as the final answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extraction {
    /// The number behind the first `####` that no section's heading follows, alone.
    Strict,
    /// That, else the one in the last `\boxed{}`, else the last number.
    Flexible,
}

/// Behind it an answer's final number stands.
pub const MARK: &str = "####";

/// The final number of a text, in its shortest form: `-1234.5`, `1/3`; none if there is no number.
pub fn final_number(text: &str, extraction: Extraction) -> Option<String> {
    let text = plain(text);
    let marked = marked(&text);
    if marked.is_some() || extraction == Extraction::Strict {
        return marked;
    }
    match boxed(&text) {
        Some(Reading::Number(number)) => Some(number),
        Some(Reading::Expression) => None,
        None => numbers(&text).last().map(|n| n.text),
    }
}

/// What stands where an answer's number should.
enum Reading {
    Number(String),
    /// It has to be worked out still: `24 \times 2`, `3\sqrt{13}`.
    Expression,
}

/// The number that characters as [`unified`] leaves them are, in its shortest form; none if anything else is among them.
pub(super) fn exact_number(text: &[char]) -> Option<String> {
    let from = text.iter().take_while(|c| **c == ' ').count();
    let behind = text.iter().rev().take_while(|c| **c == ' ').count();
    let text = grouped_by_spaces(text.get(from..text.len() - behind)?);
    let number = numbers(&text).next()?;
    (number.start == 0 && number.end == text.len()).then_some(number.text)
}

/// The first number of a place that holds an answer, or of what is behind the last equals sign if a calculation comes first; None without one. What else
/// stands there (a unit, a dollar sign) does not matter.
fn reading(text: &[char]) -> Option<Reading> {
    let text = &grouped_by_spaces(text)[..];
    let number = numbers(text).next()?;
    let worked_out = || text.iter().rposition(|c| ['=', '≈'].contains(c));
    if !is_calculated_with(text, &number) {
        return Some(Reading::Number(number.text));
    }
    match worked_out().filter(|at| *at >= number.end) {
        Some(at) => Some(reading(&text[at + 1..]).unwrap_or(Reading::Expression)),
        None => Some(Reading::Expression),
    }
}

/// `10 000` as `10,000`: where only an answer stands, a space between three digits and others separates thousands.
fn grouped_by_spaces(text: &[char]) -> Vec<char> {
    let mut out = text.to_vec();
    let digits = |from: usize| text[from..].iter().take_while(|c| c.is_ascii_digit()).count();
    for at in 1..text.len() {
        if text[at] == ' ' && text[at - 1].is_ascii_digit() && digits(at + 1) == 3 {
            out[at] = THIN;
        }
    }
    out
}

/// Whether an operator or a root applies to a number.
fn is_calculated_with(text: &[char], number: &Number) -> bool {
    if text[..number.start].iter().any(|c| ['√', 'π'].contains(c)) {
        return true;
    }
    let mut rest = text[number.end..]
        .iter()
        .filter(|c| ![' ', THIN, '{', '}', '(', ')'].contains(*c));
    let follows =
        |c: Option<&char>| c.is_some_and(|c| c.is_ascii_digit() || ['√', 'π', plain::FRACTION, '$', '.'].contains(c));
    match rest.next() {
        Some('√' | 'π') => true,
        // Degrees are none.
        Some('^') => rest.next() != Some(&'°'),
        Some('+' | '-' | '*' | '/' | '×' | '÷' | '±' | 'x') => follows(rest.next()),
        _ => false,
    }
}

/// The number behind a mark on the same line: the first that is not part of a section's heading.
fn marked(text: &[char]) -> Option<String> {
    let mut sections = 0;
    let mut at = 0;
    while at < text.len() {
        let hashes = text[at..].iter().take_while(|c| **c == '#').count();
        at += hashes.max(1);
        if hashes != MARK.len() {
            continue;
        }
        let end = text[at..].iter().take_while(|c| **c != '\n').count();
        let line = &text[at..at + end];
        let Some(number) = numbers(line).next().filter(|n| leads(&line[..n.start])) else {
            continue;
        };
        if number.text == (sections + 1).to_string() && is_heading(&line[number.end..]) {
            sections += 1;
        } else if let Some(Reading::Number(number)) = reading(line) {
            return Some(number);
        }
    }
    None
}

/// Whether nothing but signs stands before a number.
fn leads(before: &[char]) -> bool {
    let sign = |c: &char| " \t:*_`({[~≈=+".contains(*c) || CURRENCIES.contains(*c) || [BOX, THIN].contains(c);
    before.iter().all(sign)
}

/// Whether what follows a number makes it that of a section: `. Eggs`, `) Eggs`. Sections are numbered from 1, as the caller checks.
fn is_heading(behind: &[char]) -> bool {
    match behind {
        ['.' | ')' | ':', ' ', title @ ..] | [' ', '-' | '—', ' ', title @ ..] => {
            title.iter().any(|c| c.is_alphabetic())
        }
        _ => false,
    }
}

/// What the last box holds that holds a number; None without such a box.
fn boxed(text: &[char]) -> Option<Reading> {
    let boxes = (0..text.len()).rev().filter(|at| text[*at] == BOX);
    boxes.map(|at| inside(&text[at + 1..])).find_map(reading)
}

/// What is between the braces, and those within are paired; without braces, the rest of the formula or line.
fn inside(text: &[char]) -> &[char] {
    let blank = text.iter().take_while(|c| **c == ' ').count();
    let text = &text[blank..];
    if text.first() != Some(&'{') {
        let end = text.iter().position(|c| ['$', '\n'].contains(c));
        return &text[..end.unwrap_or(text.len())];
    }
    let mut depth = 0;
    for (at, c) in text.iter().enumerate() {
        depth += match c {
            '{' => 1,
            '}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return &text[1..at];
        }
    }
    // It was cut off.
    let end = text.iter().position(|c| *c == '\n');
    &text[1..end.unwrap_or(text.len())]
}

/// 1 if the answer's final number is that of the reference, else 0.
#[derive(Debug, Clone, Copy)]
pub struct NumberReward(pub Extraction);

impl Reward for NumberReward {
    fn score(&self, case: &Case, answer: &str) -> Result<f64> {
        let expected = final_number(&case.answer, Extraction::Flexible);
        let found = final_number(answer, self.0);
        Ok(f64::from(found.is_some() && found == expected))
    }
}

#[cfg(test)]
mod tests;
