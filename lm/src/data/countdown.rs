//! `countdown`: make a target of given numbers by + - * /, each number at most once (the game as posed to language models by TinyZero, and by
//! 'Evolution Strategies at Scale', 2025, <https://arxiv.org/abs/2509.24372>).

use illume_core::{Purpose, Result, Stream};

use super::generated::{Problem, key_of};
use super::number::{BOX, MARK, plain};
use super::{Case, Reward};

/// How the problem is put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `Use 3, 5 and 7 to make 22.`, answered by `3 * 5 + 7 = 22`.
    Short,
    /// At length, answered between tags `<think>` and `<answer>`.
    Tags,
}

/// The generator of problems.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Countdown {
    /// Numbers that are given.
    pub numbers: usize,
    /// The largest of them.
    pub largest: u32,
    /// The largest target.
    pub target: u32,
    pub style: Style,
}

/// A fraction in lowest terms, its denominator above 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ratio(i128, i128);

impl Ratio {
    fn new(n: i128, d: i128) -> Option<Ratio> {
        if d == 0 {
            return None;
        }
        let (mut a, mut b) = (n.unsigned_abs(), d.unsigned_abs());
        while b != 0 {
            (a, b) = (b, a % b);
        }
        let divisor = i128::try_from(a.max(1)).ok()? * d.signum();
        Some(Ratio(n / divisor, d / divisor))
    }

    /// None if it divides by zero or is too large.
    fn combine(self, op: u8, other: Ratio) -> Option<Ratio> {
        let (Ratio(a, b), Ratio(c, d)) = (self, other);
        let sum = |c: i128| Ratio::new(a.checked_mul(d)?.checked_add(c.checked_mul(b)?)?, b.checked_mul(d)?);
        match op {
            b'+' => sum(c),
            b'-' => sum(c.checked_neg()?),
            b'*' => Ratio::new(a.checked_mul(c)?, b.checked_mul(d)?),
            _ => Ratio::new(a.checked_mul(d)?, b.checked_mul(c)?),
        }
    }
}

/// Parentheses deeper than this are no answer that anyone meant.
const DEPTH: usize = 64;

/// A recursive-descent parser of `+ - * / ( )` over whole numbers, which evaluates as it goes.
struct Parser<'a> {
    rest: &'a str,
    numbers: Vec<u64>,
    depth: usize,
}

impl Parser<'_> {
    /// The operator that comes next, if it is one of these; other ways to write it are taken for it.
    fn operator(&mut self, wanted: &[u8]) -> Option<u8> {
        self.rest = self.rest.trim_start();
        let c = self.rest.chars().next()?;
        let op = match c {
            '×' | '·' | '⋅' => b'*',
            '÷' => b'/',
            '−' | '–' => b'-',
            c => u8::try_from(c).ok()?,
        };
        wanted.contains(&op).then(|| {
            self.rest = &self.rest[c.len_utf8()..];
            op
        })
    }

    fn sum(&mut self) -> Option<Ratio> {
        let mut value = self.product()?;
        while let Some(op) = self.operator(b"+-") {
            value = value.combine(op, self.product()?)?;
        }
        Some(value)
    }

    fn product(&mut self) -> Option<Ratio> {
        let mut value = self.atom()?;
        while let Some(op) = self.operator(b"*/") {
            value = value.combine(op, self.atom()?)?;
        }
        Some(value)
    }

    fn atom(&mut self) -> Option<Ratio> {
        if self.operator(b"(").is_some() {
            self.depth += 1;
            if self.depth > DEPTH {
                return None;
            }
            let value = self.sum()?;
            self.operator(b")")?;
            self.depth -= 1;
            return Some(value);
        }
        let digits = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = self.rest[..digits].parse().ok()?;
        self.rest = &self.rest[digits..];
        self.numbers.push(number);
        Ratio::new(i128::from(number), 1)
    }
}

/// The value of an expression as a fraction (numerator, denominator) and the numbers in it; none if it is no expression, divides by zero or is
/// too large. A sign is no expression: numbers are used as they are given.
pub fn evaluate(expression: &str) -> Option<((i128, i128), Vec<u64>)> {
    let mut parser = Parser {
        rest: expression,
        numbers: Vec::new(),
        depth: 0,
    };
    let Ratio(n, d) = parser.sum()?;
    parser.rest.trim().is_empty().then_some(((n, d), parser.numbers))
}

/// What an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It makes the target of the given numbers.
    Right,
    /// It is an expression, but of other numbers or with another value.
    Expression,
    /// It holds no expression where the answer should stand.
    Nothing,
}

/// Whether an answer makes `target` of `numbers`, each at most once. The answer is what stands between the last `<answer>` and `</answer>`,
/// else on the first line behind a `####` that is an expression, else on the last line that is not empty; from an equals sign on it is ignored, as is
/// what LaTeX and Markdown put around it.
pub fn verdict(answer: &str, numbers: &[u64], target: u64) -> Verdict {
    let tagged = answer.rfind("<answer>").map(|at| {
        let inside = &answer[at + "<answer>".len()..];
        &inside[..inside.find("</answer>").unwrap_or(inside.len())]
    });
    let marked = || {
        let behind = |(at, _)| {
            answer[at + MARK.len()..]
                .trim_start()
                .lines()
                .next()
                .unwrap_or_default()
        };
        let mut lines = answer.match_indices(MARK).map(behind).peekable();
        let first = lines.peek().copied();
        lines.find(|line| evaluate(&expression(line)).is_some()).or(first)
    };
    let last = || answer.lines().rev().find(|line| !line.trim().is_empty());
    let Some(text) = tagged.or_else(marked).or_else(last) else {
        return Verdict::Nothing;
    };
    let Some((value, used)) = evaluate(&expression(text)) else {
        return Verdict::Nothing;
    };
    let mut left = numbers.to_vec();
    let given = used.iter().all(|n| {
        let at = left.iter().position(|l| l == n);
        at.map(|at| left.swap_remove(at)).is_some()
    });
    if given && value == (i128::from(target), 1) {
        Verdict::Right
    } else {
        Verdict::Expression
    }
}

/// What stands before an equals sign, as [`evaluate`] reads it.
fn expression(text: &str) -> String {
    let left = plain(text.split('=').next().unwrap_or_default());
    let around = |c: char| ['{', '}', '$', '`', BOX].contains(&c);
    let shown: String = left.into_iter().map(|c| if around(c) { ' ' } else { c }).collect();
    shown.trim().trim_matches('*').into()
}

/// 1 if the answer makes the target, this many if it is at least an expression, else 0.
#[derive(Debug, Clone, Copy)]
pub struct CountdownReward {
    /// Partial credit for the form; 0.1 is usual, 0 for none.
    pub format: f64,
}

impl Reward for CountdownReward {
    fn score(&self, case: &Case, answer: &str) -> Result<f64> {
        let (target, numbers) = case.answer.split_once(" of ").unwrap_or_default();
        let numbers: Vec<u64> = numbers.split(' ').filter_map(|n| n.parse().ok()).collect();
        Ok(match verdict(answer, &numbers, target.parse().unwrap_or(u64::MAX)) {
            Verdict::Right => 1.0,
            Verdict::Expression => self.format,
            Verdict::Nothing => 0.0,
        })
    }
}

/// Part of an expression while a problem is made.
struct Term {
    text: String,
    value: u64,
    /// How tightly its last operator binds: 0 sum, 1 product, 2 a number.
    level: u8,
}

impl Countdown {
    /// Problem `index` of the sequence of this seed: one that can be solved, all its numbers used.
    pub fn problem(&self, seed: u64, index: u64) -> Problem {
        let stream = Stream::new(seed, Purpose::Text, COUNTDOWN, index);
        let mut at = 0;
        let mut draw = |n: u64| {
            at += 1;
            stream.below(at - 1, n)
        };
        loop {
            let numbers: Vec<u64> = (0..self.numbers).map(|_| 1 + draw(u64::from(self.largest))).collect();
            let mut terms: Vec<Term> = Vec::new();
            for &value in &numbers {
                let (text, level) = (value.to_string(), 2);
                terms.push(Term { text, value, level });
            }
            while terms.len() > 1 {
                let a = terms.swap_remove(draw(terms.len() as u64) as usize);
                let b = terms.swap_remove(draw(terms.len() as u64) as usize);
                let made = joined(&a, &b, b"++-*/"[draw(5) as usize]);
                // What does not come out even is added instead.
                terms.push(made.unwrap_or_else(|| joined(&a, &b, b'+').expect("sums always exist")));
            }
            let Term { text, value, .. } = terms.pop().expect("the numbers' term");
            if (1..=u64::from(self.target)).contains(&value) && !numbers.contains(&value) {
                return self.posed(&numbers, value, &text);
            }
        }
    }

    fn posed(&self, numbers: &[u64], target: u64, expression: &str) -> Problem {
        let words: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let (last, others) = words.split_last().expect("at least two numbers");
        let (prompt, solution) = match self.style {
            Style::Short => (
                format!("Use {} and {last} to make {target}.", others.join(", ")),
                format!("{expression} = {target}"),
            ),
            Style::Tags => (
                format!(
                    "Make an equation that equals {target} from the numbers [{}]. You may use the operations +, -, * and / and parentheses, and \
                     each number at most once. Think between <think> and </think>, then give the expression alone between <answer> and \
                     </answer>, for example <answer>(1 + 2) / 3</answer>.",
                    words.join(", ")
                ),
                format!("<think>{expression} = {target}</think>\n<answer>{expression}</answer>"),
            ),
        };
        let mut sorted = numbers.to_vec();
        sorted.sort_unstable();
        let case = Case {
            prompt,
            answer: format!("{target} of {}", words.join(" ")),
            solution,
            source: String::new(),
        };
        let key = key_of(COUNTDOWN, sorted.into_iter().chain([target]));
        Problem { case, key }
    }
}

/// Which of the generators' streams are this one's.
pub(super) const COUNTDOWN: u64 = 1;

/// `a op b`; for a difference the smaller is taken from the larger. None if it is not a whole number above 0.
fn joined(a: &Term, b: &Term, op: u8) -> Option<Term> {
    let (a, b) = if op == b'-' && a.value < b.value {
        (b, a)
    } else {
        (a, b)
    };
    let value = match op {
        b'+' => a.value + b.value,
        b'-' => a.value - b.value,
        b'*' => a.value.checked_mul(b.value)?,
        _ if b.value != 0 && a.value.is_multiple_of(b.value) => a.value / b.value,
        _ => return None,
    };
    if value == 0 {
        return None;
    }
    let level = u8::from(op == b'*' || op == b'/');
    let inner = |term: &Term, least: u8| {
        if term.level < least {
            format!("({})", term.text)
        } else {
            term.text.clone()
        }
    };
    // The right side of - and / needs parentheses at its own level too.
    let right = level + u8::from(op == b'-' || op == b'/');
    let text = format!("{} {} {}", inner(a, level), op as char, inner(b, right));
    Some(Term { text, value, level })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_have_the_values_of_exact_arithmetic() {
        for (text, value) in [
            ("1 + 2 * 3", Some((7, 1))),
            ("(1 + 2) * 3", Some((9, 1))),
            ("8 / 3 * 3", Some((8, 1))),
            ("1 / 3 + 1 / 6", Some((1, 2))),
            ("10 - 4 - 3", Some((3, 1))),
            ("10 - (4 - 3)", Some((9, 1))),
            ("24 / 4 / 2", Some((3, 1))),
            ("3 - 5", Some((-2, 1))),
            ("2×3÷6−1", Some((0, 1))),
            ("((((7))))", Some((7, 1))),
            ("  7  ", Some((7, 1))),
            ("5 / (3 - 3)", None),
            ("5 +", None),
            ("+ 5", None),
            ("-5 + 7", None),
            ("5 5", None),
            ("(5", None),
            ("5)", None),
            ("2 ** 3", None),
            ("2 ^ 3", None),
            ("3.0 + 1", None),
            ("x + 1", None),
            ("", None),
            ("99999999999999999999", None),
            ("9999999999999999999*9999999999999999999*9999999999999999999", None),
        ] {
            assert_eq!(evaluate(text).map(|(v, _)| v), value, "{text}");
        }
        let deep = format!("{}1{}", "(".repeat(100_000), ")".repeat(100_000));
        assert_eq!(evaluate(&deep), None);
    }

    #[test]
    fn answers_are_judged_by_their_numbers_and_their_value() {
        use Verdict::{Expression, Nothing, Right};
        for (answer, expected) in [
            ("<answer>3 * 5 + 7</answer>", Right),
            ("<answer> (3 * 5) + 7 = 22 </answer>", Right),
            ("<think>5 + 7 = 12, no</think>\n<answer>7 + 5 * 3</answer>", Right),
            ("<answer>1</answer> no: <answer>3*5+7</answer>", Right),
            ("<answer>3 * 5 + 7", Right),
            ("3 * 5 + 7 = 22", Right),
            ("Let me see.\n3 * 5 + 7\n\n", Right),
            ("#### 3 * 5 + 7\nand so on", Right),
            ("#### 1. Products\n3 * 5 is 15\n#### 3 * 5 + 7", Right),
            ("<answer>$3 \\times 5 + 7$</answer>", Right),
            ("<answer>\\boxed{\\left(3 \\cdot 5\\right) + 7}</answer>", Right),
            ("**3 * 5 + 7 = 22**", Right),
            ("<answer>5 \u{2212} 3</answer>", Expression),
            ("<answer>2{2}</answer>", Nothing),
            // Another value, a number twice, a number that was not given, a claim after the equals sign.
            ("<answer>3 + 5 + 7</answer>", Expression),
            ("<answer>5 + 5 + 5 + 7</answer>", Expression),
            ("<answer>22</answer>", Expression),
            ("<answer>3 + 5 = 22</answer>", Expression),
            ("<answer>the sum</answer>", Nothing),
            ("<answer></answer>", Nothing),
            ("I do not know", Nothing),
            ("", Nothing),
        ] {
            assert_eq!(verdict(answer, &[3, 5, 7], 22), expected, "{answer}");
        }
        // A number that is given twice may be used twice; not all need be used; halves count.
        assert_eq!(verdict("4 + 4", &[4, 4, 9], 8), Right);
        assert_eq!(verdict("4 + 4 + 4", &[4, 4, 9], 12), Expression);
        assert_eq!(verdict("8 / (3 - 8 / 3)", &[8, 3, 8, 3], 24), Right);
    }

    #[test]
    fn every_generated_problem_is_solved_by_its_own_solution() {
        for style in [Style::Short, Style::Tags] {
            for numbers in [2, 3, 4, 6] {
                let generator = Countdown {
                    numbers,
                    largest: 20,
                    target: 99,
                    style,
                };
                let reward = CountdownReward { format: 0.1 };
                for index in 0..300 {
                    let Problem { case, .. } = generator.problem(1, index);
                    assert_eq!(reward.score(&case, &case.solution).unwrap(), 1.0, "{case:?}");
                    assert_eq!(reward.score(&case, "1 + 1000").unwrap(), 0.1, "{case:?}");
                    let used = evaluate(case.solution.split(" = ").next().unwrap().trim_start_matches("<think>"))
                        .unwrap()
                        .1;
                    assert_eq!(used.len(), numbers, "{case:?}");
                    assert_eq!(case, generator.problem(1, index).case);
                }
            }
        }
    }
}
