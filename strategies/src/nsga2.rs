//! NSGA-II (Deb, Pratap, Agarwal and Meyarivan, 'A fast and elitist multiobjective genetic algorithm: NSGA-II', IEEE Transactions on Evolutionary Computation 6(2), 2002,
//! <https://doi.org/10.1109/4235.996017>): several objectives, by fronts of those that none dominates and, within a front, by crowding distance.

use illume_core::{Params, StrategyConfig, StrategyEntry, params};

use crate::nsga::{MatingParams, Nsga, Setting, Survival};

params! {
    /// Parameters of `nsga2`.
    pub struct Nsga2Params {
        /// Individuals, and children of a generation.
        population: usize = 100, range(2, 1 << 24);
        /// Probability with which two parents are crossed.
        crossover_rate: f64 = 0.9, range(0.0, 1.0);
        /// Distribution index of simulated binary crossover: larger stays nearer to the parents.
        crossover_eta: f64 = 20.0, at_least(0.0);
        /// Whether of individuals of one front with equal objectives all but the first count as crowded altogether, as in pymoo: fewer twins live on.
        unique: bool = false, any();
    }
}

type All = (Nsga2Params, MatingParams);

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    fronts: true,
    categories: true,
    small: "population = 20",
    shown: &[("hypervolume", "hypervolume"), ("front_size", "front")],
    ..StrategyEntry::new(
        "nsga2",
        "NSGA-II (Deb et al. 2002): several objectives, by fronts and crowding distance",
        All::describe,
        |config: &StrategyConfig<'_>| {
            let (own, mating): All = illume_core::params::read(config.strategy, "strategy", &["name"])?;
            Nsga::build(
                config,
                Setting {
                    name: "nsga2",
                    population: own.population,
                    sized_by: &["population"],
                    crossover: (own.crossover_rate, own.crossover_eta),
                    mating,
                    survival: Survival::Crowding,
                    unique: own.unique,
                },
            )
        },
    )
};
