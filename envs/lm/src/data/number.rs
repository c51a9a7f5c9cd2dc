//! The final number of an answer, as evaluations on GSM8K take it (Cobbe et al. 2021, <https://arxiv.org/abs/2110.14168>): behind `####`, else (where that
//! is not insisted on) in the last `\boxed{}`, else the last number of all; without thousands' commas, dollar signs and a full stop behind it.

use illume_core::Result;

use super::{Case, Reward};

/// What counts as the final answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extraction {
    /// The number behind the first `####` alone.
    Strict,
    /// That, else the one in the last `\boxed{}`, else the last number.
    Flexible,
}

/// Behind it an answer's final number stands.
pub const MARK: &str = "####";
const BOXED: &str = "\\boxed{";

/// The final number of a text, in its shortest form: `-1234.5`; none if there is no number.
pub fn final_number(text: &str, extraction: Extraction) -> Option<String> {
    let marked = text.find(MARK).and_then(|at| leading_number(&text[at + MARK.len()..]));
    if marked.is_some() || extraction == Extraction::Strict {
        return marked;
    }
    // The first number in the braces; what else stands there (a unit, a dollar sign) does not matter.
    let boxed = text.rfind(BOXED).and_then(|at| {
        let inside = &text[at + BOXED.len()..];
        numbers(&inside[..inside.find('}')?]).next()
    });
    boxed.or_else(|| numbers(text).last())
}

/// The number that a text begins with, after spaces and a currency sign.
fn leading_number(text: &str) -> Option<String> {
    let line = text.trim_start_matches([' ', '\t', ':']).lines().next()?;
    let (start, number) = next_number(line, 0)?;
    let before = &line[..start];
    before.chars().all(|c| " *$\\({[".contains(c)).then(|| shortest(number))
}

fn numbers(text: &str) -> impl Iterator<Item = String> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (start, number) = next_number(text, at)?;
        at = start + number.len();
        Some(shortest(number))
    })
}

/// The first number at or after byte `from`, with where it starts: an optional sign and currency sign, digits with commas between groups of
/// three, decimals. A minus behind a digit, a letter or a parenthesis is an operator.
fn next_number(text: &str, from: usize) -> Option<(usize, &str)> {
    let bytes = text.as_bytes();
    let digit = |i: usize| bytes.get(i).is_some_and(u8::is_ascii_digit);
    let first =
        (from..bytes.len()).find(|&i| digit(i) || bytes[i] == b'.' && digit(i + 1) && !(i > 0 && digit(i - 1)))?;
    let mut end = first;
    while digit(end) {
        end += 1;
    }
    // Thousands: groups of three digits, no fourth behind them.
    if (1..=3).contains(&(end - first)) {
        while bytes.get(end) == Some(&b',') && (1..=3).all(|k| digit(end + k)) && !digit(end + 4) {
            end += 4;
        }
    }
    if bytes.get(end) == Some(&b'.') && digit(end + 1) {
        end += 1;
        while digit(end) {
            end += 1;
        }
    }
    let mut start = first;
    let before = |i: usize| if i > from { Some(bytes[i - 1]) } else { None };
    if before(start) == Some(b'$') {
        start -= 1;
    }
    if before(start) == Some(b'-') {
        let operand = start >= 2 && (bytes[start - 2].is_ascii_alphanumeric() || bytes[start - 2] == b')');
        if !operand {
            start -= 1;
        }
    }
    Some((start, &text[start..end]))
}

/// A number in one form, whatever way it was written: no commas, no currency, no zeros that say nothing.
fn shortest(number: &str) -> String {
    let negative = number.starts_with('-');
    let plain: String = number.chars().filter(|c| c.is_ascii_digit() || *c == '.').collect();
    let (whole, decimals) = plain.split_once('.').unwrap_or((&plain, ""));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let decimals = decimals.trim_end_matches('0');
    let point = if decimals.is_empty() { "" } else { "." };
    let sign = if negative && !(whole == "0" && decimals.is_empty()) {
        "-"
    } else {
        ""
    };
    format!("{sign}{whole}{point}{decimals}")
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
mod tests {
    use super::*;

    #[test]
    fn final_numbers_are_found_as_the_field_finds_them() {
        for (text, strict, flexible) in [
            ("#### 72", Some("72"), Some("72")),
            (
                "He sold 48/2 = 24 clips.\n24 + 48 = 72\n#### 72",
                Some("72"),
                Some("72"),
            ),
            ("#### $1,234.50", Some("1234.5"), Some("1234.5")),
            ("#### -5", Some("-5"), Some("-5")),
            ("#### $-5", Some("-5"), Some("-5")),
            ("#### -$5", Some("-5"), Some("-5")),
            ("####18.", Some("18"), Some("18")),
            ("#### 18.00", Some("18"), Some("18")),
            ("#### 018", Some("18"), Some("18")),
            ("#### **18**", Some("18"), Some("18")),
            ("#### 5 apples, not 6", Some("5"), Some("5")),
            // A base model that goes on to write the next problem.
            ("#### 5\n\nQuestion: 7 + 1?\n#### 8", Some("5"), Some("5")),
            ("#### none", None, None),
            ("####\n7", None, Some("7")),
            ("The answer is 42.", None, Some("42")),
            ("The answer is $1,000,000!", None, Some("1000000")),
            ("It costs $3.50, which is 350 cents.", None, Some("350")),
            ("so 10-3", None, Some("3")),
            ("so 10 - 3 = 7", None, Some("7")),
            ("it falls to -3", None, Some("-3")),
            ("(2)-3", None, Some("3")),
            ("x = .5", None, Some("0.5")),
            ("-0.0", None, Some("0")),
            ("\\boxed{18} dollars, or 20 with tax", None, Some("18")),
            ("\\boxed{\\$1,800} in 3 years", None, Some("1800")),
            ("first \\boxed{1}, then \\boxed{2 \\text{ km}}", None, Some("2")),
            ("\\boxed{x} = 3", None, Some("3")),
            ("the numbers 1, 2, 3", None, Some("3")),
            ("1,2", None, Some("2")),
            ("12,3456", None, Some("3456")),
            ("version 1.2.3", None, Some("3")),
            ("50%", None, Some("50")),
            (
                "100000000000000000000000000000001",
                None,
                Some("100000000000000000000000000000001"),
            ),
            ("forty-two", None, None),
            ("", None, None),
            ("é 7 é", None, Some("7")),
        ] {
            assert_eq!(
                final_number(text, Extraction::Strict).as_deref(),
                strict,
                "strict: {text}"
            );
            assert_eq!(
                final_number(text, Extraction::Flexible).as_deref(),
                flexible,
                "flexible: {text}"
            );
        }
    }

    #[test]
    fn an_answer_without_a_number_is_wrong_even_where_the_reference_has_none() {
        let reward = NumberReward(Extraction::Flexible);
        let case = |answer: &str| Case {
            answer: answer.into(),
            ..Case::default()
        };
        assert_eq!(reward.score(&case("1,000"), "It is 1000.00 now.").unwrap(), 1.0);
        assert_eq!(reward.score(&case("1,000"), "It is 1001.").unwrap(), 0.0);
        assert_eq!(reward.score(&case("none"), "nothing").unwrap(), 0.0);
        let strict = NumberReward(Extraction::Strict);
        assert_eq!(strict.score(&case("7"), "7").unwrap(), 0.0);
        assert_eq!(strict.score(&case("7"), "#### 7").unwrap(), 1.0);
    }
}
