//! Answers to many prompts at once: rows that finish are replaced by those that wait, so that none waits for the longest answer.

use std::sync::Arc;

use illume_core::{Error, Result, Stream};

use crate::model::Model;
use crate::population::Population;

/// How tokens are chosen and when an answer ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampling {
    /// 0: the most probable token (the lowest number among equals).
    pub temperature: f64,
    /// Tokens are drawn from the smallest set of the most probable that holds this much probability; 1: from all.
    pub top_p: f64,
    /// At least 1.
    pub max_new_tokens: usize,
    /// Tokens that end an answer.
    pub stop: Vec<u32>,
}

/// One prompt, to be answered by one member of a population.
#[derive(Debug, Clone, Copy)]
pub struct Query<'a> {
    /// At least one token.
    pub prompt: &'a [u32],
    pub member: u32,
    /// Token number t of the answer is drawn by uniform number t.
    pub stream: Stream,
}

/// An answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Generated {
    /// With the stop token if it came.
    pub tokens: Vec<u32>,
    /// Of each token, under the law that it was drawn by; greedy: under the model's at temperature 1.
    pub log_probs: Vec<f32>,
    /// Whether a stop token came.
    pub stopped: bool,
}

/// What was computed, for logs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Passes through the model.
    pub passes: u64,
    pub prompt_tokens: u64,
    pub new_tokens: u64,
}

/// Answers queries, up to `slots` at a time.
#[derive(Debug)]
pub struct Generator {
    model: Arc<Model>,
    slots: usize,
    stats: Stats,
}

impl Generator {
    /// `slots`: rows that run at once, at least 1.
    pub fn new(model: Arc<Model>, slots: usize) -> Generator {
        Generator {
            model,
            slots: slots.max(1),
            stats: Stats::default(),
        }
    }

    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Bytes of keys and values for `slots` rows of up to `tokens` tokens, prompt included.
    pub fn cache_bytes(model: &Model, slots: usize, tokens: usize) -> u64 {
        let c = model.config();
        let row = 2 * c.layers * c.kv_heads * c.head_dim * size_of::<f32>();
        (slots * tokens * row) as u64
    }

    /// Answers in the order of the queries. On the CPU an answer's bits depend on its query and member alone: not on slots, threads or other queries.
    ///
    /// # Errors
    /// A prompt is empty, longer than the model's context allows with `max_new_tokens`, or has a token that the model lacks; a member is not in
    /// the population; the device failed.
    pub fn generate(
        &mut self,
        queries: &[Query],
        population: &Population,
        sampling: &Sampling,
    ) -> Result<Vec<Generated>> {
        let _ = (queries, population, sampling, &self.slots);
        Err(Error::failed("this build cannot run models"))
    }
}
