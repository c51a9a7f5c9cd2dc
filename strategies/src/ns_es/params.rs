//! The parameters of `ns_es`, `nsr_es` and `nsra_es`, and what they make of them.

use illume_core::{Error, Params, Result, Strategy, StrategyConfig, StrategyEntry};

use super::NsEs;
use crate::Adam;
use crate::center::Law;

/// Declares the parameters of a strategy of the family: the common ones, then its own.
macro_rules! novelty_params {
    ($(#[$meta:meta])* $name:ident { $($own:tt)* }) => {
        illume_core::params! {
            $(#[$meta])*
            pub struct $name {
                /// Members per generation, in mirrored pairs: an even number.
                population: usize = 1000, range(2, 1 << 30);
                /// Centers (the meta-population).
                centers: usize = 3, range(1, 1 << 16);
                /// Standard deviation of the perturbations.
                sigma: f64 = 0.02, positive();
                /// Step size of the optimizers; each center has its own.
                learning_rate: f64 = 0.01, positive();
                /// Optimizer of the centers.
                optimizer: String = "adam".into(), one_of(&["adam", "sgd"]);
                /// Decay of Adam's first moment.
                beta1: f64 = 0.9, range(0.0, 0.999_999);
                /// Decay of Adam's second moment.
                beta2: f64 = 0.999, range(0.0, 0.999_999_9);
                /// Adam's epsilon.
                epsilon: f64 = 1e-8, positive();
                /// Momentum of SGD.
                momentum: f64 = 0.9, range(0.0, 0.999_999);
                /// L2 penalty on the centers.
                l2: f64 = 0.005, at_least(0.0);
                /// Episodes of each center each generation, by which it is drawn; counted in the budget.
                center_episodes: usize = 1, range(1, 1 << 20);
                $($own)*
            }
        }

        impl $name {
            pub(super) fn plan(&self, name: &str, weight: Weight) -> Result<Plan> {
                let adam = Adam {
                    learning_rate: self.learning_rate,
                    beta1: self.beta1,
                    beta2: self.beta2,
                    epsilon: self.epsilon,
                };
                if !self.population.is_multiple_of(2) {
                    let message = format!("expected an even number (mirrored pairs), got {}", self.population);
                    return Err(Error::config("strategy", "population", message));
                }
                Ok(Plan {
                    name: name.into(),
                    population: self.population,
                    centers: self.centers,
                    episodes: self.center_episodes,
                    sigma: self.sigma,
                    law: Law::new(&self.optimizer, adam, self.momentum, self.l2),
                    weight,
                })
            }
        }
    };
}

novelty_params! {
    /// Parameters of `ns_es` and `nsr_es`; those of novelty itself are the archive's.
    NsEsParams {}
}

novelty_params! {
    /// Parameters of `nsra_es`; those of novelty itself are the archive's.
    NsraEsParams {
        /// Weight of fitness at the start; novelty has the rest.
        initial_weight: f64 = 1.0, range(0.0, 1.0);
        /// By how much the weight falls when there was no better center for `patience` generations, and rises when there is one.
        weight_step: f64 = 0.05, range(0.0, 1.0);
        /// See `weight_step`.
        patience: u64 = 50, range(1, 1 << 40);
    }
}

const fn entry(
    name: &'static str,
    summary: &'static str,
    params: fn() -> Vec<illume_core::params::ParamInfo>,
    build: fn(&StrategyConfig<'_>) -> Result<Box<dyn Strategy>>,
) -> StrategyEntry {
    StrategyEntry {
        name,
        summary,
        params,
        network: false,
        novelty: true,
        cells: false,
        cases: false,
        build,
    }
}

pub(crate) const NS_ES: StrategyEntry = entry(
    "ns_es",
    "NS-ES (Conti et al. 2018): an evolution strategy that follows novelty alone, with several centers",
    NsEsParams::describe,
    |config| fixed(config, "ns_es", 0.0),
);

pub(crate) const NSR_ES: StrategyEntry = entry(
    "nsr_es",
    "NSR-ES (Conti et al. 2018): the same, following novelty and fitness in equal parts",
    NsEsParams::describe,
    |config| fixed(config, "nsr_es", 0.5),
);

pub(crate) const NSRA_ES: StrategyEntry = entry(
    "nsra_es",
    "NSRA-ES (Conti et al. 2018): the same, turning to novelty when fitness stagnates",
    NsraEsParams::describe,
    |config| {
        let params: NsraEsParams = illume_core::params::read(config.strategy, "strategy", &["name"])?;
        let weight = Weight {
            initial: params.initial_weight,
            step: params.weight_step,
            patience: params.patience,
        };
        Ok(Box::new(NsEs::new(params.plan("nsra_es", weight)?)))
    },
);

fn fixed(config: &StrategyConfig<'_>, name: &str, initial: f64) -> Result<Box<dyn Strategy>> {
    let params: NsEsParams = illume_core::params::read(config.strategy, "strategy", &["name"])?;
    let weight = Weight {
        initial,
        step: 0.0,
        patience: u64::MAX,
    };
    Ok(Box::new(NsEs::new(params.plan(name, weight)?)))
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
    pub law: Law,
    pub weight: Weight,
}
