//! Rewards for a user's own cases: exact match, and a regular expression.

use illume_core::{Error, Result};
use regex::Regex;

use super::{Case, Reward};

/// 1 if the answer is the reference, apart from spaces around either; else 0.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExactReward;

impl Reward for ExactReward {
    fn score(&self, case: &Case, answer: &str) -> Result<f64> {
        Ok(f64::from(answer.trim() == case.answer.trim()))
    }
}

/// By a pattern. Without a group: 1 if it is found in the answer. With one: 1 if what the last match's first group holds is the reference, apart from
/// spaces around either.
#[derive(Debug, Clone)]
pub struct PatternReward(Regex);

impl PatternReward {
    /// # Errors
    /// It is no regular expression.
    pub fn new(pattern: &str) -> Result<PatternReward> {
        let wrong = |e: &dyn std::fmt::Display| {
            let message = e.to_string().replace('\n', " ");
            Error::config(
                "task",
                "pattern",
                format!("{pattern:?} is no regular expression: {message}"),
            )
        };
        if pattern.is_empty() {
            return Err(Error::config(
                "task",
                "pattern",
                "empty: with reward = \"regex\" it is a regular expression that is searched in answers; if it has a group, the group is compared with the reference",
            ));
        }
        Ok(PatternReward(Regex::new(pattern).map_err(|e| wrong(&e))?))
    }
}

impl Reward for PatternReward {
    fn score(&self, case: &Case, answer: &str) -> Result<f64> {
        let PatternReward(pattern) = self;
        let right = match pattern.captures_iter(answer).last() {
            None => false,
            Some(_) if pattern.captures_len() == 1 => true,
            Some(found) => found
                .get(1)
                .is_some_and(|group| group.as_str().trim() == case.answer.trim()),
        };
        Ok(f64::from(right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(answer: &str) -> Case {
        Case {
            answer: answer.into(),
            ..Case::default()
        }
    }

    #[test]
    fn exact_means_exact_but_for_spaces_around() {
        for (reference, answer, expected) in [
            ("yes", "yes", 1.0),
            ("yes", " yes\n", 1.0),
            (" yes ", "yes", 1.0),
            ("yes", "Yes", 0.0),
            ("yes", "yes.", 0.0),
            ("a  b", "a b", 0.0),
            ("", "", 1.0),
            ("", "x", 0.0),
        ] {
            assert_eq!(
                ExactReward.score(&case(reference), answer).unwrap(),
                expected,
                "{reference:?} {answer:?}"
            );
        }
    }

    #[test]
    fn a_pattern_without_a_group_is_searched_and_one_with_a_group_is_compared() {
        for (pattern, reference, answer, expected) in [
            (r"(?i)\byes\b", "anything", "Oh YES!", 1.0),
            (r"(?i)\byes\b", "anything", "yesterday", 0.0),
            (r"answer: (\w+)", "B", "answer: A, no, answer: B", 1.0),
            (r"answer: (\w+)", "A", "answer: A, no, answer: B", 0.0),
            (r"answer: (\w+)", "A", "A", 0.0),
            (r"x(\d)?", "", "x", 0.0),
            (r"answer: (?:the )?(.*)", "dog", "answer: the dog \n", 1.0),
        ] {
            let reward = PatternReward::new(pattern).unwrap();
            assert_eq!(
                reward.score(&case(reference), answer).unwrap(),
                expected,
                "{pattern} on {answer}"
            );
        }
        for wrong in ["(", ""] {
            let message = PatternReward::new(wrong).unwrap_err().to_string();
            assert!(
                message.starts_with("task.pattern: ") && !message.contains('\n'),
                "{message}"
            );
        }
    }
}
