//! Generated problems: which split each belongs to, and as many of each as are wanted.

use std::collections::HashSet;

use illume_core::noise::mix64;
use illume_core::{Error, Result};

use super::Case;

/// A generated case and what identifies its problem however it is worded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub case: Case,
    pub key: u64,
}

/// Where a problem may be used. A problem belongs to one split whatever the seed, so that nothing trained on the others has seen a validation problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    Train,
    Validation,
    Sft,
}

/// One problem in 16 is for validation, three for the warm start.
pub fn split_of(key: u64) -> Split {
    match mix64(key) % 16 {
        0 => Split::Validation,
        1..=3 => Split::Sft,
        _ => Split::Train,
    }
}

/// The key of a problem of a generator with these numbers.
pub(super) fn key_of(generator: u64, numbers: impl IntoIterator<Item = u64>) -> u64 {
    numbers
        .into_iter()
        .fold(mix64(generator), |key, n| mix64(key ^ n).wrapping_add(n))
}

/// Cases wanted of each split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    pub train: usize,
    pub validation: usize,
    pub sft: usize,
}

/// Problems drawn in a row with none that is wanted before the generator is held to have no more of them.
const PATIENCE: u64 = 20_000;

/// Distinct problems of a generator for train, validation and sft, in the order of their numbers.
///
/// # Errors
/// The generator has not as many.
pub fn drawn(sizes: Sizes, generator: impl Fn(u64) -> Problem) -> Result<[Vec<Case>; 3]> {
    let wanted = [sizes.train, sizes.validation, sizes.sft];
    let mut cases = wanted.map(Vec::with_capacity);
    let mut seen = HashSet::new();
    let mut left: usize = wanted.iter().sum();
    let (mut index, mut fruitless) = (0, 0);
    while left > 0 && fruitless < PATIENCE {
        let Problem { mut case, key } = generator(index);
        let split = split_of(key) as usize;
        if cases[split].len() < wanted[split] && seen.insert(case.prompt.clone()) {
            case.source = format!("problem {index}");
            cases[split].push(case);
            left -= 1;
            fruitless = 0;
        }
        index += 1;
        fruitless += 1;
    }
    let names = ["train", "validation", "sft"];
    match (0..3).find(|&s| cases[s].len() < wanted[s]) {
        None => Ok(cases),
        Some(s) => Err(Error::config(
            "task",
            &format!("{}_cases", names[s]),
            format!(
                "there are no {} different problems of these settings: {} were found; lower it, or let the problems be larger",
                wanted[s],
                cases[s].len()
            ),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Arithmetic, Countdown, Style};

    /// A generator of problems by (seed, index).
    type Generator = Box<dyn Fn(u64, u64) -> Problem>;

    fn generators() -> [Generator; 2] {
        let arithmetic = Arithmetic {
            words: 0.5,
            digits: 3,
            terms: 2,
        };
        let countdown = Countdown {
            numbers: 3,
            largest: 20,
            target: 99,
            style: Style::Short,
        };
        [
            Box::new(move |seed, i| arithmetic.problem(seed, i)),
            Box::new(move |seed, i| countdown.problem(seed, i)),
        ]
    }

    #[test]
    fn splits_have_no_problem_in_common_even_between_seeds() {
        let sizes = Sizes {
            train: 300,
            validation: 100,
            sft: 100,
        };
        for generator in generators() {
            let [train, validation, sft] = drawn(sizes, |i| generator(1, i)).unwrap();
            assert_eq!((train.len(), validation.len(), sft.len()), (300, 100, 100));
            let [other, _, other_sft] = drawn(sizes, |i| generator(2, i)).unwrap();
            let prompts = |cases: &[Case]| cases.iter().map(|c| c.prompt.clone()).collect::<HashSet<_>>();
            let held = prompts(&validation);
            assert_eq!(held.len(), 100);
            for seen in [&train, &sft, &other, &other_sft] {
                assert!(held.is_disjoint(&prompts(seen)));
            }
            assert!(prompts(&train).is_disjoint(&prompts(&sft)));
            assert_ne!(prompts(&train), prompts(&other));
            // More of one split does not change the others.
            let more = Sizes { train: 400, ..sizes };
            let again = drawn(more, |i| generator(1, i)).unwrap();
            assert_eq!(
                (&again[0][..300], &again[1], &again[2]),
                (&train[..], &validation, &sft)
            );
        }
    }

    #[test]
    fn more_problems_than_there_are_is_an_error_that_says_so() {
        let generator = Arithmetic {
            words: 0.0,
            digits: 1,
            terms: 2,
        };
        let sizes = Sizes {
            train: 500,
            validation: 1,
            sft: 1,
        };
        let message = drawn(sizes, |i| generator.problem(1, i)).unwrap_err().to_string();
        assert!(
            message.contains("task.train_cases") && message.contains("500"),
            "{message}"
        );
    }
}
