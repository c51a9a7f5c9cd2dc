//! What language models are asked and how their answers are scored: cases, their splits, rewards.

mod arithmetic;
mod command;
mod corpus;
mod countdown;
mod generated;
mod gsm8k;
mod instructions;
mod jsonl;
mod math;
mod number;
mod reward;
mod vocabulary;

use illume_core::Result;

pub use arithmetic::Arithmetic;
pub use command::CommandReward;
pub use corpus::{Corpus, CorpusParams};
pub use countdown::{Countdown, CountdownReward, Style, Verdict, evaluate, verdict};
pub use generated::{Problem, Sizes, Split, drawn, split_of};
pub use gsm8k::read_gsm8k;
pub use instructions::{InstructionReward, read_instructed};
pub use jsonl::{Fields, Line, divide, keep, read_cases, read_lines};
pub use math::{MathReward, final_answer, is_equivalent};
pub use number::{Extraction, NumberReward, final_number};
pub use reward::{ExactReward, PatternReward};
pub use vocabulary::WORDS;

/// One question with what is known of its answer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Case {
    pub prompt: String,
    /// The reference that a reward compares with.
    pub answer: String,
    /// A whole answer to learn from.
    pub solution: String,
    /// Where it is from, for messages: `train.jsonl:7`, or `problem 7`.
    pub source: String,
}

/// Says what an answer is worth; 1 is right and 0 is wrong, if the user's own program does not say otherwise.
pub trait Reward: Send + Sync {
    /// # Errors
    /// The reward cannot be had (an external program failed). The row whose answer it is counts as failed.
    fn score(&self, case: &Case, answer: &str) -> Result<f64>;

    /// The rewards of several answers, in order.
    fn score_all(&self, answers: &[(&Case, &str)]) -> Vec<Result<f64>> {
        answers.iter().map(|(case, answer)| self.score(case, answer)).collect()
    }
}

/// Cases in three splits that have none in common, and how answers to them are scored.
pub struct Dataset {
    pub train: Vec<Case>,
    pub validation: Vec<Case>,
    /// For a warm start on solutions.
    pub sft: Vec<Case>,
    pub reward: Box<dyn Reward>,
}
