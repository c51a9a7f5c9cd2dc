//! The parameters of `grpo`.

use illume_core::{Params, StrategyConfig, StrategyEntry, params};

use super::Grpo;

params! {
    /// Parameters of `grpo`.
    pub struct GrpoParams {
        /// Answers sampled to each prompt, G.
        group: usize = 8, range(2, 1 << 16);
        /// Passes over a generation's answers, each a step of the optimizer.
        epochs: usize = 1, range(1, 1000);
        /// Step size of Adam.
        learning_rate: f64 = 1e-4, positive();
        /// Decay of Adam's first moment.
        beta1: f64 = 0.9, range(0.0, 0.999_999);
        /// Decay of Adam's second moment.
        beta2: f64 = 0.999, range(0.0, 0.999_999_9);
        /// Adam's epsilon.
        epsilon: f64 = 1e-8, positive();
        /// Ratios of new to old probability count from 1 - clip to 1 + clip.
        clip: f64 = 0.2, range(0.0, 1.0);
        /// Weight of the divergence from the start.
        kl: f64 = 0.04, at_least(0.0);
        /// Generations from one validation on the test cases to the next; 0 for the start and the last alone.
        validation_interval: usize = 10, range(0, 1 << 30);
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    name: "grpo",
    summary: "GRPO (Shao et al. 2024): the gradient baseline for language models, advantages relative to a group of answers",
    params: GrpoParams::describe,
    network: false,
    novelty: false,
    cells: false,
    cases: true,
    build: |config: &StrategyConfig<'_>| {
        let params: GrpoParams = illume_core::params::read(config.strategy, "strategy", &["name"])?;
        Ok(Box::new(Grpo::new(params, config.task)?))
    },
};
