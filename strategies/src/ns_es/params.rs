//! The parameters of `ns_es`, `nsr_es` and `nsra_es`, and what they make of them.

use illume_core::params::read;
use illume_core::{Error, Params, Result, Strategy, StrategyConfig, StrategyEntry, params};

use super::NsEs;
use crate::center::{CenterParams, UpdateRule};

params! {
    /// Parameters of `ns_es`, `nsr_es` and `nsra_es` beside [`CenterParams`]; those of novelty itself are the archive's.
    pub struct NsEsParams {
        /// Members per generation, in mirrored pairs: an even number.
        population: usize = 1000, range(2, 1 << 30);
        /// Centers (the meta-population).
        centers: usize = 3, range(1, 1 << 16);
        /// Standard deviation of the perturbations.
        sigma: f64 = 0.02, positive();
        /// Episodes of each center each generation, by which it is drawn; counted in the budget.
        center_episodes: usize = 1, range(1, 1 << 20);
    }
}

params! {
    /// Parameters of `nsra_es` alone.
    pub struct NsraEsParams {
        /// Weight of fitness at the start; novelty has the rest.
        initial_weight: f64 = 1.0, range(0.0, 1.0);
        /// By how much the weight falls when there was no better center for `patience` generations, and rises when there is one.
        weight_step: f64 = 0.05, range(0.0, 1.0);
        /// See `weight_step`.
        patience: u64 = 50, range(1, 1 << 40);
    }
}

/// What all three have.
type Common = (NsEsParams, CenterParams);

/// # Errors
/// An odd number of members.
pub(super) fn plan(name: &str, (params, center): &Common, weight: Weight) -> Result<Plan> {
    if !params.population.is_multiple_of(2) {
        let message = format!("expected an even number (mirrored pairs), got {}", params.population);
        return Err(Error::config("strategy", "population", message));
    }
    Ok(Plan {
        name: name.into(),
        population: params.population,
        centers: params.centers,
        episodes: params.center_episodes,
        sigma: params.sigma,
        rule: UpdateRule::new(center),
        weight,
    })
}

/// The strategy of a plan, when it is known that its centers and generations fit into memory.
fn build(config: &StrategyConfig<'_>, name: &str, common: &Common, weight: Weight) -> Result<Box<dyn Strategy>> {
    let (plan, dim) = (plan(name, common, weight)?, config.task.genome_dim as f64);
    let what = format!("{} centers", plan.centers);
    let bytes = size_of::<f32>() as f64 * plan.centers as f64 * dim;
    config.memory.claim("strategy", "centers", bytes, &what)?;
    config.claim_rows("center_episodes", plan.centers as f64 * plan.episodes as f64, 0)?;
    config.claim_rows("population", plan.population as f64, 0)?;
    Ok(Box::new(NsEs::new(plan)))
}

const fn entry(
    name: &'static str,
    summary: &'static str,
    params: fn() -> Vec<illume_core::params::ParamInfo>,
    build: fn(&StrategyConfig<'_>) -> Result<Box<dyn Strategy>>,
) -> StrategyEntry {
    StrategyEntry {
        novelty: true,
        small: "population = 20\nsigma = 0.1\ncenters = 2\ncenter_episodes = 2",
        suggested: "[strategy]\npopulation = 100\ncenters = 5\nl2 = 0.0\n[archive]\nneighbours = 10",
        steps: &[("sigma", 1.0), ("learning_rate", 0.5)],
        ..StrategyEntry::new(name, summary, params, build)
    }
}

pub(crate) const NS_ES: StrategyEntry = entry(
    "ns_es",
    "NS-ES (Conti et al. 2018): an evolution strategy that follows novelty alone, with several centers",
    Common::describe,
    |config| fixed(config, "ns_es", 0.0),
);

pub(crate) const NSR_ES: StrategyEntry = entry(
    "nsr_es",
    "NSR-ES (Conti et al. 2018): the same, following novelty and fitness in equal parts",
    Common::describe,
    |config| fixed(config, "nsr_es", 0.5),
);

pub(crate) const NSRA_ES: StrategyEntry = entry(
    "nsra_es",
    "NSRA-ES (Conti et al. 2018): the same, turning to novelty when fitness stagnates",
    <(Common, NsraEsParams)>::describe,
    |config| {
        let (common, own): (Common, NsraEsParams) = read(config.strategy, "strategy", &["name"])?;
        let weight = Weight {
            initial: own.initial_weight,
            step: own.weight_step,
            patience: own.patience,
        };
        build(config, "nsra_es", &common, weight)
    },
);

fn fixed(config: &StrategyConfig<'_>, name: &str, initial: f64) -> Result<Box<dyn Strategy>> {
    let common: Common = read(config.strategy, "strategy", &["name"])?;
    let weight = Weight {
        initial,
        step: 0.0,
        patience: u64::MAX,
    };
    build(config, name, &common, weight)
}

/// The weight of fitness, and how it follows success.
pub(super) struct Weight {
    pub initial: f64,
    pub step: f64,
    pub patience: u64,
}

pub(super) struct Plan {
    pub name: String,
    pub population: usize,
    pub centers: usize,
    pub episodes: usize,
    pub sigma: f64,
    pub rule: UpdateRule,
    pub weight: Weight,
}
