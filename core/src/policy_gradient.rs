//! What a strategy that climbs by the gradient of sampled answers asks of a task: the seam between such a strategy and a language model.

use std::fmt::Debug;

use crate::Result;

/// One sampled answer to one case (prompt), and what it was worth.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    /// Number of the case in the task's training split.
    pub case: u32,
    /// Tokens that were sampled, the stop token included if it came.
    pub tokens: Vec<u32>,
    /// Log-probability of each token under the distribution that it was sampled by.
    pub log_probs: Vec<f32>,
    pub reward: f64,
}

/// What an answer counts in a surrogate.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Credit {
    /// Of its tokens, all alike.
    pub advantage: f32,
    /// Of each of its tokens in the surrogate's sum.
    pub weight: f32,
    /// Log-probabilities of its tokens that ratios compare with. Empty: those under the genes of this pass, which are then written here.
    pub old: Vec<f32>,
}

/// The clipped surrogate of one batch of answers (Schulman et al. 2017; Shao et al. 2024, group-relative).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Surrogate {
    /// Ratios of new to old probability count within `1 - clip ..= 1 + clip`.
    pub clip: f64,
    /// Weight of the divergence from the reference, estimated for each token by `r - ln r - 1` with `r = reference / new probability`.
    pub kl: f64,
}

/// What a surrogate was, for the history.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SurrogateReport {
    /// Sum over answers of the mean over tokens of the divergence from the reference; 0 where it has no weight.
    pub kl: f64,
    /// Tokens at which the ratio was clipped.
    pub clipped: u64,
    pub tokens: u64,
    /// Sum over tokens of the distance between the log-probability that was written to [`Credit::old`] and [`Answer::log_probs`]: how far the model that
    /// is differentiated is from the one that answered. 0 where nothing was written.
    pub gap: f64,
}

/// The gradient of sampled answers with respect to genes.
pub trait PolicyGradient: Send + Sync + Debug {
    /// The temperature at which answers are sampled; 0 if they are greedy, so that answers to a case never differ and nothing can be climbed.
    fn temperature(&self) -> f64;

    /// Tokens that an answer has at most.
    fn longest(&self) -> usize;

    /// Adds to `gradient` (`[genome_dim]`) the gradient with respect to `genes` (`[genome_dim]`) of
    ///
    /// `sum_i w_i sum_t [ min(ratio A_i, clamp(ratio, 1 - clip, 1 + clip) A_i) - kl * KL_t ]`,
    ///
    /// to be climbed, with A_i and w_i of `credits`, `[answers]`. `ratio` compares with [`Credit::old`]; the reference is the genome of zeros (the start).
    ///
    /// # Errors
    /// A case that the task does not have, or the model failed.
    fn add_gradient(
        &self,
        genes: &[f32],
        answers: &[Answer],
        credits: &mut [Credit],
        surrogate: &Surrogate,
        gradient: &mut [f32],
    ) -> Result<SurrogateReport>;
}
