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
        /// Weight of the divergence from the start: 0 as in TRL and verl, 0.04 in the paper.
        kl: f64 = 0.0, at_least(0.0);
        /// How tokens add up: all tokens of a generation alike ("dapo", as TRL and verl do), the answers alike ("grpo", the paper's), or all tokens by one
        /// constant, the longest answer's ("dr_grpo"); TRL's "bnpo" is "dapo" here, where a batch is never divided.
        loss: String = "dapo".into(), one_of(&["dapo", "grpo", "dr_grpo"]);
        /// By what advantages are divided: the standard deviation of the rewards of answers to the same prompt ("group"), that of all rewards ("batch"), or
        /// nothing ("none", as Dr. GRPO wants it).
        scale_rewards: String = "group".into(), one_of(&["group", "batch", "none"]);
        /// Euclidean norm to which a longer gradient is shortened; 0 for none.
        max_grad_norm: f64 = 1.0, at_least(0.0);
        /// Generations from one validation on the test cases to the next; 0 for the start and the last alone.
        validation_interval: usize = 10, range(0, 1 << 30);
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    cases: true,
    shown: &[("mean_reward", "mean reward"), ("validation", "validation")],
    small: "group = 2",
    suggested: "[task]\nsearch = \"adapters\"\ntemperature = 1.0",
    ..StrategyEntry::new(
        "grpo",
        "GRPO (Shao et al. 2024): the gradient baseline for language models, advantages relative to a group of answers",
        GrpoParams::describe,
        |config: &StrategyConfig<'_>| {
            let params: GrpoParams = illume_core::params::read(config.strategy, "strategy", &["name"])?;
            Ok(Box::new(Grpo::new(params, config.task)?))
        },
    )
};
