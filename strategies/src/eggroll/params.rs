//! The parameters of `eggroll`.

use illume_core::{Params, StrategyConfig, StrategyEntry, params};

use super::Eggroll;

params! {
    /// Parameters of `eggroll`.
    pub struct EggrollParams {
        /// Members per generation, in mirrored pairs: an even number. The center is scored besides.
        population: usize = 256, range(2, 1 << 24);
        /// Rank of the matrix by which a member differs; 0 for full rank, every weight of a member drawn by itself (the members are then answered one after
        /// another, their weights being made anew for each: for small models).
        rank: usize = 1, range(0, 65_536);
        /// Standard deviation of a member's weights around the center's.
        sigma: f64 = 1e-3, positive();
        /// Step of the center for each unit of the mean of shaped fitness times noise of deviation 1. With weights shaped by "z" and rewards that are noise, a
        /// weight moves by learning_rate / sqrt(population).
        learning_rate: f64 = 1e-3, positive();
        /// What makes a step of the mean: the mean itself ("sgd"), or Adam.
        optimizer: String = "sgd".into(), one_of(&["sgd", "adam"]);
        /// Decay of Adam's first moment.
        beta1: f64 = 0.9, range(0.0, 0.999_999);
        /// Decay of Adam's second moment.
        beta2: f64 = 0.999, range(0.0, 0.999_999_9);
        /// Adam's epsilon.
        epsilon: f64 = 1e-8, positive();
        /// What counts as a member's fitness: its distance from the population's mean in standard deviations ("z"), its rank from -1/2 to 1/2 ("centred_rank"),
        /// or the reward itself ("none").
        shaping: String = "z".into(), one_of(&["z", "centred_rank", "none"]);
        /// Generations from one validation on the test cases to the next; 0 for the start and the last alone.
        validation_interval: usize = 10, range(0, 1 << 30);
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    cases: true,
    shown: &[("population_mean", "mean reward"), ("validation", "validation")],
    small: "population = 6\nsigma = 0.1\nlearning_rate = 0.1",
    suggested: "[task]\nsearch = \"weights\"\nbatch = 16",
    ..StrategyEntry::new(
        "eggroll",
        "EGGROLL (Sarkar et al. 2025): an evolution strategy on all matrices of a language model, by perturbations of low rank",
        EggrollParams::describe,
        |config: &StrategyConfig<'_>| {
            let params: EggrollParams = illume_core::params::read(config.strategy, "strategy", &["name"])?;
            config.claim_rows("population", params.population as f64, 0)?;
            // The center, the one before it, and what an optimizer keeps.
            let copies = if params.optimizer == "adam" { 4.0 } else { 2.0 };
            let bytes = copies * size_of::<f32>() as f64 * config.task.genome_dim as f64;
            config
                .memory
                .claim("strategy", "name", bytes, "the weights of the center")?;
            Ok(Box::new(Eggroll::new(params, config.task)?))
        },
    )
};
