//! `arithmetic`: sums of numbers of several digits, and small word problems, generated.

use illume_core::{Purpose, Stream};

use super::Case;
use super::generated::{Problem, key_of};
use super::number::MARK;

/// The generator of problems.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Arithmetic {
    /// Share of word problems; the others are sums.
    pub words: f64,
    /// The most digits of a number; each number of digits is as likely. Word problems have numbers of at most two.
    pub digits: u32,
    /// Numbers in a sum.
    pub terms: usize,
}

/// Which of the generators' streams are this one's.
pub(super) const ARITHMETIC: u64 = 2;

const NAMES: [&str; 4] = ["Ann", "Ben", "Eva", "Tom"];
const ITEMS: [&str; 4] = ["apples", "books", "coins", "pens"];

/// One step of a worked solution: `a op b = c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Work {
    pub a: u64,
    pub op: char,
    pub b: u64,
}

impl Work {
    pub fn value(&self) -> u64 {
        match self.op {
            '+' => self.a + self.b,
            '-' => self.a - self.b,
            _ => self.a * self.b,
        }
    }
}

/// What is asked, before it is put in words.
pub(super) struct Posed {
    pub prompt: String,
    pub works: Vec<Work>,
}

impl Arithmetic {
    /// Problem `index` of the sequence of this seed.
    pub fn problem(&self, seed: u64, index: u64) -> Problem {
        let stream = Stream::new(seed, Purpose::Text, ARITHMETIC, index);
        let Posed { prompt, works } = self.posed(&stream);
        let answer = works.last().map_or(0, Work::value).to_string();
        let lines: Vec<String> = works
            .iter()
            .map(|w| format!("{} {} {} = {}", w.a, w.op, w.b, w.value()))
            .collect();
        let case = Case {
            prompt,
            solution: format!("{}\n{MARK} {answer}", lines.join("\n")),
            answer,
            source: String::new(),
        };
        let key = self.key(&works);
        Problem { case, key }
    }

    /// The same sums in another order or in other words are the same problem.
    pub(super) fn key(&self, works: &[Work]) -> u64 {
        let mut first = true;
        let mut numbers: Vec<u64> = Vec::new();
        for w in works {
            numbers.extend(first.then_some(w.a));
            numbers.push(w.b << 2 | ['+', '-', '*'].iter().position(|op| *op == w.op).unwrap_or(0) as u64);
            first = false;
        }
        if works.iter().all(|w| w.op == '+') {
            numbers = works.iter().map(|w| w.b).chain(works.first().map(|w| w.a)).collect();
            numbers.sort_unstable();
        }
        key_of(ARITHMETIC, numbers)
    }

    pub(super) fn posed(&self, stream: &Stream) -> Posed {
        let mut at = 0;
        let mut draw = |n: u64| {
            at += 1;
            stream.below(at, n)
        };
        if stream.uniform(0) < self.words {
            self.words(&mut draw)
        } else {
            self.sum(&mut draw)
        }
    }

    /// A number of at most `digits` digits, from 1 on.
    fn number(digits: u32, draw: &mut dyn FnMut(u64) -> u64) -> u64 {
        let digits = 1 + draw(u64::from(digits)) as u32;
        let least = 10u64.pow(digits - 1);
        least + draw(9 * least)
    }

    fn sum(&self, draw: &mut dyn FnMut(u64) -> u64) -> Posed {
        let numbers: Vec<u64> = (0..self.terms).map(|_| Self::number(self.digits, draw)).collect();
        let mut works = Vec::new();
        let mut total = numbers[0];
        for &b in &numbers[1..] {
            works.push(Work { a: total, op: '+', b });
            total += b;
        }
        let words: Vec<String> = numbers.iter().map(ToString::to_string).collect();
        let prompt = format!("What is {}?", words.join(" + "));
        Posed { prompt, works }
    }

    fn words(&self, draw: &mut dyn FnMut(u64) -> u64) -> Posed {
        let name = NAMES[draw(NAMES.len() as u64) as usize];
        let item = ITEMS[draw(ITEMS.len() as u64) as usize];
        let digits = self.digits.min(2);
        let (a, b) = (Self::number(digits, draw), Self::number(digits, draw));
        let (large, small) = (a.max(b), a.min(b));
        match draw(4) {
            0 => Posed {
                prompt: format!("{name} has {a} {item} and gets {b} more. How many {item} does {name} have?"),
                works: vec![Work { a, op: '+', b }],
            },
            1 => Posed {
                prompt: format!("{name} has {large} {item} and gives {small} away. How many {item} are left?"),
                works: vec![Work {
                    a: large,
                    op: '-',
                    b: small,
                }],
            },
            2 => {
                let (boxes, each) = (2 + draw(8), 2 + draw(8));
                Posed {
                    prompt: format!("{name} has {boxes} boxes of {each} {item}. How many {item} are that?"),
                    works: vec![Work {
                        a: boxes,
                        op: '*',
                        b: each,
                    }],
                }
            }
            _ => {
                let given = 1 + draw((a + b).min(10u64.pow(digits) - 1));
                Posed {
                    prompt: format!(
                        "{name} has {a} {item}, gets {b} more and gives {given} away. How many {item} are left?"
                    ),
                    works: vec![
                        Work { a, op: '+', b },
                        Work {
                            a: a + b,
                            op: '-',
                            b: given,
                        },
                    ],
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Extraction, NumberReward, Reward};

    #[test]
    fn every_solution_is_right_and_every_number_within_its_digits() {
        let reward = NumberReward(Extraction::Strict);
        for words in [0.0, 0.5, 1.0] {
            for digits in 1..=5 {
                let generator = Arithmetic {
                    words,
                    digits,
                    terms: 3,
                };
                for index in 0..200 {
                    let Problem { case, .. } = generator.problem(3, index);
                    assert_eq!(reward.score(&case, &case.solution).unwrap(), 1.0, "{case:?}");
                    for line in case.solution.lines().filter(|l| l.contains('=')) {
                        let (left, right) = line.split_once(" = ").unwrap();
                        let value = crate::data::evaluate(left).unwrap().0;
                        assert_eq!(value, (right.parse().unwrap(), 1), "{case:?}");
                    }
                    let longest = case.prompt.split(|c: char| !c.is_ascii_digit()).map(str::len).max();
                    assert!(longest.unwrap() <= digits.max(2) as usize, "{case:?}");
                }
            }
        }
    }

    #[test]
    fn the_same_numbers_in_other_words_or_another_order_are_the_same_problem() {
        let generator = Arithmetic {
            words: 0.5,
            digits: 3,
            terms: 2,
        };
        let key = |a, op, b| generator.key(&[Work { a, op, b }]);
        assert_eq!(key(12, '+', 5), key(5, '+', 12));
        assert_ne!(key(12, '+', 5), key(12, '-', 5));
        assert_ne!(key(12, '+', 5), key(12, '+', 6));
        assert_ne!(key(4, '*', 3), key(4, '+', 3));
    }

    #[test]
    fn sums_are_of_every_number_of_digits() {
        let generator = Arithmetic {
            words: 0.0,
            digits: 4,
            terms: 2,
        };
        let mut counts = [0; 5];
        for index in 0..2000 {
            let prompt = generator.problem(1, index).case.prompt;
            let numbers = prompt["What is ".len()..prompt.len() - 1].split(" + ");
            numbers.for_each(|n| counts[n.len()] += 1);
        }
        assert_eq!(counts[0], 0);
        assert!(counts[1..].iter().all(|c| (850..1150).contains(c)), "{counts:?}");
    }
}
