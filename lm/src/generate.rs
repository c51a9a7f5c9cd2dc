//! Answers to many prompts at once: rows that finish are replaced by those that wait, so that none waits for the longest answer.

use std::sync::Arc;

use illume_core::{Error, Result, Stream};

use crate::Device;
use crate::model::{Model, Segment, Session, Source, Wish};
use crate::population::Population;
use crate::text::StopTexts;

/// Tokens of prompts that a pass takes at most. Long prompts go in pieces, so that buffers stay small and answers go on meanwhile.
const PROMPT_TOKENS: usize = 256;
/// The same on a device, where a pass costs hundreds of launches, whatever its size.
const PROMPT_TOKENS_ON_DEVICE: usize = 8192;

/// How tokens are chosen and when an answer ends.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// 0: the most probable token (the lowest number among equals).
    pub temperature: f64,
    /// Tokens are drawn from the smallest set of the most probable that holds this much probability; 1: from all.
    pub top_p: f64,
    /// At least 1.
    pub max_new_tokens: usize,
    /// Tokens that end an answer.
    pub stop: Vec<u32>,
    /// Texts that end one too.
    pub stop_texts: Option<Arc<StopTexts>>,
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
    /// With those that ended it, if they came.
    pub tokens: Vec<u32>,
    /// Of each token, under the distribution that it was drawn by; greedy: under the model's at temperature 1.
    pub log_probs: Vec<f32>,
    /// Whether a stop token or text came.
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
    session: Session,
    slots: usize,
    stats: Stats,
}

/// A query that is being answered.
struct Row {
    query: usize,
    slot: usize,
    /// Tokens in the cache, of prompt and answer.
    done: usize,
}

impl Generator {
    /// `slots`: rows that run at once, at least 1.
    pub fn new(model: Arc<Model>, slots: usize) -> Generator {
        Generator {
            session: model.session(),
            model,
            slots: slots.max(1),
            stats: Stats::default(),
        }
    }

    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Makes the model's linear maps anew.
    ///
    /// # Errors
    /// Somebody else has the model too, or the weights cannot be made.
    pub(crate) fn reload(&mut self, source: &dyn Source) -> Result<()> {
        let model = Arc::get_mut(&mut self.model);
        model
            .ok_or_else(|| Error::failed("a model whose weights change has one user alone"))?
            .reload(source)
    }

    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Bytes of keys and values for `slots` rows of up to `tokens` tokens, prompt included.
    pub fn cache_bytes(model: &Model, slots: usize, tokens: usize) -> u64 {
        let c = model.config();
        let row = 2 * c.layers * c.kv_heads * c.head_dim * model.cache_element();
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
        self.check(queries, population, sampling)?;
        let mut adapters = self.model.adapters(population)?;
        let longest = queries
            .iter()
            .map(|q| q.prompt.len() + sampling.max_new_tokens - 1)
            .max();
        let slots = self.slots.min(queries.len());
        self.session.reserve(&self.model, slots, longest.unwrap_or(0))?;

        let most_prompt_tokens = match self.model.device() {
            Device::Cpu => PROMPT_TOKENS,
            _ => PROMPT_TOKENS_ON_DEVICE,
        };
        let mut answers = vec![Generated::default(); queries.len()];
        let mut rows: Vec<Row> = Vec::new();
        let mut free: Vec<usize> = (0..slots).rev().collect();
        let mut waiting = 0..queries.len();
        let (mut tokens, mut segments, mut taken) = (Vec::new(), Vec::new(), Vec::new());
        loop {
            let before = rows.len();
            while let Some(slot) = free.pop() {
                let Some(query) = waiting.next() else { break };
                rows.push(Row { query, slot, done: 0 });
            }
            if rows.len() > before {
                adapters.keep(rows.iter().map(|row| queries[row.query].member));
            }
            if rows.is_empty() {
                return Ok(answers);
            }
            tokens.clear();
            segments.clear();
            taken.clear();
            let mut prompt_tokens = most_prompt_tokens;
            for (i, row) in rows.iter().enumerate() {
                let (query, answer) = (&queries[row.query], &answers[row.query].tokens);
                let at = tokens.len();
                match answer.last() {
                    Some(last) => tokens.push(*last),
                    None => {
                        let end = query.prompt.len().min(row.done + prompt_tokens);
                        tokens.extend_from_slice(&query.prompt[row.done..end]);
                        prompt_tokens -= end - row.done;
                        self.stats.prompt_tokens += (end - row.done) as u64;
                    }
                }
                let len = tokens.len() - at;
                if len > 0 {
                    let last = row.done + len >= query.prompt.len();
                    segments.push(Segment {
                        slot: row.slot,
                        member: query.member,
                        position: row.done,
                        at,
                        len,
                        last,
                    });
                    taken.push(i);
                }
            }
            let uniform = |segment: usize| {
                let row = &rows[taken[segment]];
                let number = answers[row.query].tokens.len() as u64;
                match sampling.temperature {
                    0.0 => 0.0,
                    _ => queries[row.query].stream.uniform(number),
                }
            };
            let wish = Wish::Token {
                sampling,
                uniform: &uniform,
            };
            let picked = self
                .model
                .step(&mut self.session, &tokens, &segments, &adapters, &wish)?;
            self.stats.passes += 1;
            for ((i, segment), picked) in taken.iter().zip(&segments).zip(picked) {
                let row = &mut rows[*i];
                row.done += segment.len;
                if segment.last {
                    let answer = &mut answers[row.query];
                    answer.tokens.push(picked.token);
                    answer.log_probs.push(picked.log_prob);
                    let texts = sampling.stop_texts.as_ref();
                    answer.stopped =
                        sampling.stop.contains(&picked.token) || texts.is_some_and(|t| t.ended(&answer.tokens));
                    self.stats.new_tokens += 1;
                }
            }
            rows.retain(|row| {
                let answer = &answers[row.query];
                let goes_on = !answer.stopped && answer.tokens.len() < sampling.max_new_tokens;
                if !goes_on {
                    free.push(row.slot);
                }
                goes_on
            });
        }
    }

    fn check(&self, queries: &[Query], population: &Population, sampling: &Sampling) -> Result<()> {
        let config = self.model.config();
        if sampling.max_new_tokens == 0 {
            return Err(Error::input("max_new_tokens is 0, and must be at least 1"));
        }
        if !(sampling.temperature >= 0.0 && sampling.temperature.is_finite() && sampling.top_p > 0.0) {
            return Err(Error::input(format!(
                "the temperature is {} and top_p {}; the temperature must be at least 0, and top_p above 0",
                sampling.temperature, sampling.top_p
            )));
        }
        let members = population.members();
        for (i, query) in queries.iter().enumerate() {
            let length = query.prompt.len();
            if length == 0 {
                return Err(Error::input(format!(
                    "prompt {i} is empty, and must have at least one token"
                )));
            }
            if length + sampling.max_new_tokens > config.max_positions {
                return Err(Error::input(format!(
                    "prompt {i} has {length} tokens, which with max_new_tokens = {} is more than the model's context of {}",
                    sampling.max_new_tokens, config.max_positions
                )));
            }
            if let Some(token) = query.prompt.iter().find(|t| **t as usize >= config.vocab) {
                return Err(Error::input(format!(
                    "prompt {i} has the token {token}, and the model's vocabulary {} tokens: the tokenizer is of another model",
                    config.vocab
                )));
            }
            if !matches!(population, Population::None) && query.member as usize >= members {
                return Err(Error::input(format!(
                    "query {i} is for member {}, and the population has {members}",
                    query.member
                )));
            }
        }
        Ok(())
    }
}
