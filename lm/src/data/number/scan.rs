//! Where numbers stand in a text, and what they are worth: thousands, decimals, fractions, powers of ten, signs.

use super::plain::{FRACTION, THIN};
use super::value::{Decimal, is_proper, mixed};

/// Signs that may stand between a minus and the digits.
pub(super) const CURRENCIES: &str = "$€£¥₹₩₽₪₫₱₦₺₴";
const SUPERSCRIPTS: &str = "⁰¹²³⁴⁵⁶⁷⁸⁹";

/// A number in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Number {
    /// Of its first character, the sign included.
    pub start: usize,
    pub end: usize,
    /// In its shortest form: `-1234.5`, `1/3`.
    pub text: String,
}

/// The numbers of a text; exponents and indices are none.
pub(super) fn numbers(text: &[char]) -> impl Iterator<Item = Number> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let number = next(text, at)?;
        at = number.end;
        Some(number)
    })
}

fn next(text: &[char], from: usize) -> Option<Number> {
    let scan = Scan(text);
    let mut at = from;
    while at < text.len() {
        let Some((end, value)) = scan.unsigned(at) else {
            at += 1;
            continue;
        };
        if scan.is_index(at) {
            at = end;
            continue;
        }
        let (start, negative) = scan.sign(at, from);
        let sign = if negative && value != "0" { "-" } else { "" };
        let text = format!("{sign}{value}");
        return Some(Number { start, end, text });
    }
    None
}

struct Scan<'a>(&'a [char]);

impl Scan<'_> {
    fn at(&self, i: usize) -> char {
        self.0.get(i).copied().unwrap_or('\n')
    }

    fn digit(&self, i: usize) -> bool {
        self.at(i).is_ascii_digit()
    }

    fn before(&self, i: usize) -> char {
        if i == 0 { '\n' } else { self.at(i - 1) }
    }

    fn digits(&self, from: usize) -> usize {
        (from..).find(|i| !self.digit(*i)).unwrap_or(from)
    }

    /// `from`, or behind one space there.
    fn space(&self, from: usize) -> usize {
        from + usize::from([' ', THIN].contains(&self.at(from)))
    }

    fn spaces(&self, from: usize) -> usize {
        (from..).find(|i| ![' ', THIN].contains(&self.at(*i))).unwrap_or(from)
    }

    /// What begins here, without its sign: where it ends, and its value.
    fn unsigned(&self, from: usize) -> Option<(usize, String)> {
        let zero = Decimal::new(&['0']);
        if let Some((end, above, below)) = self.fraction(from) {
            return Some((end, mixed(&zero, &above, &below)?));
        }
        let (end, number) = self.decimal(from)?;
        // 2\frac{1}{2}, 2 1/2
        if number.is_whole() {
            let behind = self.space(end);
            let part = match self.at(behind) {
                FRACTION => self.fraction(behind),
                _ if behind > end => self.quotient(behind),
                _ => None,
            };
            if let Some((end, above, below)) = part.filter(|(_, above, below)| is_proper(above, below))
                && let Some(value) = mixed(&number, &above, &below)
            {
                return Some((end, value));
            }
        }
        if let Some((end, above, below)) = self.quotient(from)
            && let Some(value) = mixed(&zero, &above, &below)
        {
            return Some((end, value));
        }
        Some((end, number.text()))
    }

    /// Digits with separators between groups of three, decimals, and a power of ten.
    fn decimal(&self, from: usize) -> Option<(usize, Decimal)> {
        let point = |i: usize| self.at(i) == '.' && self.digit(i + 1);
        // A full stop behind a word or another is none of a number.
        let pointed = point(from) && !(self.before(from).is_alphanumeric() || [')', '.'].contains(&self.before(from)));
        if !self.digit(from) && !pointed {
            return None;
        }
        let mut end = self.digits(from);
        if (1..=3).contains(&(end - from)) && self.at(from) != '0' {
            while separates(self.at(end)) && self.digits(end + 1) == end + 4 {
                end += 4;
            }
        }
        if point(end) {
            end = self.digits(end + 1);
        }
        let number = Decimal::new(&self.0[from..end]);
        Some(match self.power_of_ten(end) {
            Some((end, exponent)) => (end, number.times_ten_to(exponent)),
            None => (end, number),
        })
    }

    /// `e3`, ` \times 10^{3}`, ` × 10³`: where it ends, and the exponent.
    fn power_of_ten(&self, from: usize) -> Option<(usize, i32)> {
        if ['e', 'E'].contains(&self.at(from)) {
            let (end, exponent) = self.exponent(from + 1)?;
            return (!self.at(end).is_alphanumeric()).then_some((end, exponent));
        }
        let sign = self.spaces(from);
        let ten = self.spaces(sign + 1);
        if !['×', '*', 'x'].contains(&self.at(sign))
            || self.digits(ten) != ten + 2
            || self.0[ten..ten + 2] != ['1', '0']
        {
            return None;
        }
        let at = ten + 2;
        match (self.at(at), self.at(at + 1)) {
            ('^', '{') => {
                let (end, exponent) = self.exponent(self.spaces(at + 2))?;
                let end = self.spaces(end);
                (self.at(end) == '}').then_some((end + 1, exponent))
            }
            ('^', _) => self.exponent(at + 1),
            _ => self.superscript(at),
        }
    }

    fn exponent(&self, from: usize) -> Option<(usize, i32)> {
        let first = from + usize::from(['+', '-'].contains(&self.at(from)));
        let end = self.digits(first);
        let value: i32 = self.0.get(first..end)?.iter().collect::<String>().parse().ok()?;
        let value = if self.at(from) == '-' { -value } else { value };
        (end - first <= 3).then_some((end, value))
    }

    fn superscript(&self, from: usize) -> Option<(usize, i32)> {
        let value = |c: char| SUPERSCRIPTS.chars().position(|s| s == c);
        let first = from + usize::from(self.at(from) == '⁻');
        let end = (first..).find(|i| value(self.at(*i)).is_none())?;
        let digits = (first..end).filter_map(|i| value(self.at(i)));
        let size = digits.fold(0, |sum, d| 10 * sum + d as i32);
        let exponent = if first > from { -size } else { size };
        (1..=3).contains(&(end - first)).then_some((end, exponent))
    }

    /// `\frac{1}{2}`, `\frac12`.
    fn fraction(&self, from: usize) -> Option<(usize, Decimal, Decimal)> {
        if self.at(from) != FRACTION {
            return None;
        }
        let (end, above) = self.argument(self.spaces(from + 1))?;
        let (end, below) = self.argument(self.spaces(end))?;
        Some((end, above, below))
    }

    fn argument(&self, from: usize) -> Option<(usize, Decimal)> {
        if self.at(from) != '{' {
            return self.digit(from).then(|| (from + 1, Decimal::new(&self.0[from..=from])));
        }
        let (end, number) = self.decimal(self.spaces(from + 1))?;
        let end = self.spaces(end);
        (self.at(end) == '}').then_some((end + 1, number))
    }

    /// `1/2`; not a part of a date.
    fn quotient(&self, from: usize) -> Option<(usize, Decimal, Decimal)> {
        let (end, above) = self.decimal(from)?;
        let slash = self.space(end);
        if self.at(slash) != '/' || self.before(from) == '/' {
            return None;
        }
        let second = self.space(slash + 1);
        let (end, below) = self.digit(second).then(|| self.decimal(second))??;
        (self.at(end) != '/').then_some((end, above, below))
    }

    /// Whether the number here is an exponent (`m^2`, `x^{2}`) or an index (`a_1`).
    fn is_index(&self, from: usize) -> bool {
        let mut at = from;
        if ['-', '+'].contains(&self.before(at)) {
            at -= 1;
        }
        if self.before(at) == '{' {
            at -= 1;
        }
        match self.before(at) {
            '^' => true,
            '_' => self.before(at - 1).is_alphanumeric(),
            _ => false,
        }
    }

    /// Where the number begins with its sign, not before `least`, and whether it is negative. A minus behind a digit, a letter or a parenthesis is
    /// an operator.
    fn sign(&self, from: usize, least: usize) -> (usize, bool) {
        let mut start = from;
        if start > least && CURRENCIES.contains(self.before(start)) {
            start -= 1;
        }
        if start > least && self.before(start) == '-' {
            let operand = self.before(start - 1);
            if !(operand.is_alphanumeric() || operand == ')') {
                return (start - 1, true);
            }
        }
        (start, false)
    }
}

/// Between groups of three digits.
fn separates(c: char) -> bool {
    [',', THIN, '_', '\'', '\u{2019}'].contains(&c)
}
