//! The parameters of Deep GA, and the schedule of its mutation power.

use illume_core::{Error, StrategyConfig, StrategyEntry, params};

use super::DeepGa;
use crate::lineages::LineageParams;

params! {
    /// Parameters of `deep_ga`.
    pub struct DeepGaParams {
        /// Children per generation.
        population: usize = 1000, range(1, 1 << 31);
        /// Episodes of each child, whose mean is its fitness; the archive is offered the first. A deterministic task gets one.
        episodes: usize = 1, range(1, 1 << 20);
        /// Best children that become parents (truncation size T); 0 for random search.
        parents: usize = 20, range(0, 1 << 20);
        /// Mutation power: standard deviation of the noise added to every gene.
        sigma: f64 = 0.002, positive();
        /// How the mutation power goes from `sigma` to `sigma_final`: not at all, linearly, or linearly in its logarithm.
        sigma_schedule: String = "constant".into(), one_of(&["constant", "linear", "exponential"]);
        /// Mutation power at the end of the schedule.
        sigma_final: f64 = 0.001, positive();
        /// Whether the schedule goes by generations (`sigma_generations`) or by the frames of the budget that are used (`sigma_frames`).
        sigma_by: String = "generations".into(), one_of(&["generations", "frames"]);
        /// Generations that the schedule takes.
        sigma_generations: u64 = 1000, range(1, (1 << 32) - 1);
        /// Frames that the schedule takes.
        sigma_frames: u64 = 1_000_000_000, range(1, 1 << 62);
        /// Best candidates (the last elite among them) that are validated each generation; 0 for none.
        validation_candidates: usize = 10, range(0, 1 << 20);
        /// Further episodes of each validated candidate; counted in the budget; a deterministic task needs none and gets none.
        validation_episodes: usize = 30, range(0, 1 << 20);
        /// Episodes of the task's full length by which each generation's elite is tested; not counted in the budget; 0 for none. Only where
        /// there is validation.
        test_episodes: usize = 200, range(0, 1 << 20);
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    small: "population = 30\nparents = 4\nsigma = 0.05\nvalidation_candidates = 3\nvalidation_episodes = 2\ntest_episodes = 3",
    steps: &[("sigma", 1.0)],
    ..StrategyEntry::new(
        "deep_ga",
        "Deep GA (Such et al. 2017): truncation selection over lineages of noise streams; random search with parents = 0",
        LineageParams::describe_with::<DeepGaParams>,
        |config: &StrategyConfig<'_>| {
            let (params, lineages): (DeepGaParams, _) = LineageParams::read_with(config.strategy, config.task)?;
            if params.parents > params.population {
                let message = format!(
                    "expected at most strategy.population ({}), got {}",
                    params.population, params.parents
                );
                return Err(Error::config("strategy", "parents", message));
            }
            let episodes = if config.task.deterministic { 1 } else { params.episodes };
            let key = if episodes > params.population {
                "episodes"
            } else {
                "population"
            };
            lineages.claim(config, key, params.population as f64 * episodes as f64)?;
            Ok(Box::new(DeepGa::new(params, lineages, config.task)))
        },
    )
};

impl DeepGaParams {
    /// The mutation power of a generation that begins when so many frames of the budget are used.
    pub(super) fn sigma(&self, generation: u64, frames: u64) -> f64 {
        let done = match self.sigma_by.as_str() {
            "frames" => frames as f64 / self.sigma_frames as f64,
            _ => generation as f64 / self.sigma_generations as f64,
        };
        let done = done.min(1.0);
        match self.sigma_schedule.as_str() {
            "linear" => self.sigma + done * (self.sigma_final - self.sigma),
            "exponential" => (self.sigma.ln() + done * (self.sigma_final.ln() - self.sigma.ln())).exp(),
            _ => self.sigma,
        }
    }
}
