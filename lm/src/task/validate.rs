//! Answers to the validation split, one or several for each case, with what they are worth.

use illume_core::{Purpose, Result, Stream};

use super::LmTask;
use crate::data::Case;
use crate::{Query, Sampling};

/// An answer to a case of the validation split.
#[derive(Debug, Clone, PartialEq)]
pub struct Validated {
    /// The case's number in the split.
    pub case: usize,
    pub text: String,
    pub reward: f64,
    /// Whether it was cut off at the longest answer's length.
    pub cut_off: bool,
}

impl LmTask {
    /// `samples` answers of a genome to each case of the validation split, those to one case behind one another: greedy at a `temperature` of 0, else
    /// drawn by streams that the seed addresses.
    ///
    /// # Errors
    /// The genome is not of this task's length, the model failed, or a reward cannot be had.
    pub fn validate(&self, genome: &[f32], samples: usize, temperature: f64, seed: u64) -> Result<Vec<Validated>> {
        self.check_genome(genome)?;
        let numbers: Vec<usize> = (0..self.validation.len() * samples).map(|i| i / samples).collect();
        let query = |(i, &case): (usize, &usize)| Query {
            prompt: &self.validation[case],
            member: 0,
            stream: Stream::new(seed, Purpose::Token, (i % samples) as u64, case as u64),
        };
        let queries: Vec<Query<'_>> = numbers.iter().enumerate().map(query).collect();
        let sampling = Sampling {
            temperature,
            ..self.sampling.clone()
        };
        let answers = {
            let mut engine = self.engine();
            let population = engine.only(&self.space, genome)?;
            engine.generator.generate(&queries, &population, &sampling)?
        };
        let texts: Vec<String> = answers.iter().map(|a| self.setup.text(&a.tokens)).collect();
        let cases = &self.setup.dataset.validation;
        let asked: Vec<(&Case, &str)> = numbers
            .iter()
            .zip(&texts)
            .map(|(&case, text)| (&cases[case], text.as_str()))
            .collect();
        let rewards = self.setup.dataset.reward.score_all(&asked);
        let mut validated = Vec::with_capacity(answers.len());
        for (((answer, case), text), reward) in answers.iter().zip(numbers).zip(texts).zip(rewards) {
            validated.push(Validated {
                case,
                text,
                reward: reward?,
                cut_off: !answer.stopped,
            });
        }
        Ok(validated)
    }
}
