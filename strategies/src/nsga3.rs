//! NSGA-III (Deb and Jain, 'An evolutionary many-objective optimization algorithm using reference-point-based nondominated sorting approach, part I', IEEE Transactions on Evolutionary Computation 18(4), 2014,
//! <https://doi.org/10.1109/TEVC.2013.2281535>): NSGA-II for more than two objectives, with directions that are to be filled in the place of crowding distances.

use illume_core::{Error, Params, Result, StrategyConfig, StrategyEntry, params};
use illume_numerics::fronts::directions_count;

use crate::nsga::{MatingParams, Niching, Nsga, Setting, Survival};

params! {
    /// Parameters of `nsga3`.
    pub struct Nsga3Params {
        /// Parts into which the weight of 1 is divided among the objectives: every way to do so is a direction (Das and Dennis).
        divisions: usize = 12, range(1, 1 << 16);
        /// The same for directions in the middle, whose weights are drawn half-way to equal ones, for many objectives; 0 for none.
        inner_divisions: usize = 0, range(0, 1 << 16);
        /// Individuals, and children of a generation; 0 for as many as there are directions, made a multiple of four.
        population: usize = 0, range(0, 1 << 24);
        /// Probability with which two parents are crossed.
        crossover_rate: f64 = 1.0, range(0.0, 1.0);
        /// Distribution index of simulated binary crossover: larger stays nearer to the parents.
        crossover_eta: f64 = 30.0, at_least(0.0);
    }
}

type All = (Nsga3Params, MatingParams);

/// The most directions: each individual is measured against all.
const MOST: usize = 1 << 20;

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    fronts: true,
    categories: true,
    small: "divisions = 6\npopulation = 16",
    shown: &[("hypervolume", "hypervolume"), ("front_size", "front")],
    ..StrategyEntry::new(
        "nsga3",
        "NSGA-III (Deb and Jain 2014): many objectives, by fronts and directions that are to be filled",
        All::describe,
        |config: &StrategyConfig<'_>| {
            let (own, mating): All = illume_core::params::read(config.strategy, "strategy", &["name"])?;
            // A task of one objective is refused where strategy, task and archive are put together, in one sentence for all that need several.
            let objectives = config.task.objectives.len().max(2);
            let layers: Vec<(usize, f64)> = [(own.divisions, 1.0), (own.inner_divisions, 0.5)]
                .into_iter()
                .filter(|(divisions, _)| *divisions > 0)
                .collect();
            let count = count(objectives, &layers)?;
            let population = match own.population {
                0 => count.next_multiple_of(4),
                given if given >= 2 => given,
                given => {
                    let message = format!("expected at least 2, or 0 for as many as there are directions, got {given}");
                    return Err(Error::config("strategy", "population", message));
                }
            };
            let bytes = (objectives * size_of::<f64>()) as f64 * count as f64;
            config
                .memory
                .claim("strategy", "divisions", bytes, &format!("{count} directions"))?;
            Nsga::build(
                config,
                Setting {
                    name: "nsga3",
                    population,
                    sized_by: if own.population == 0 {
                        &["divisions", "inner_divisions"]
                    } else {
                        &["population"]
                    },
                    crossover: (own.crossover_rate, own.crossover_eta),
                    mating,
                    survival: Survival::Niching(Niching::new(objectives, &layers)),
                    unique: false,
                },
            )
        },
    )
};

/// Directions of all layers.
fn count(objectives: usize, layers: &[(usize, f64)]) -> Result<usize> {
    let counts = layers
        .iter()
        .map(|(divisions, _)| directions_count(objectives, *divisions));
    let sum = counts.sum::<Option<usize>>().filter(|sum| *sum <= MOST);
    sum.ok_or_else(|| {
        let message = format!(
            "more than {MOST} directions of {objectives} objectives: take fewer, and inner_divisions beside them"
        );
        Error::config("strategy", "divisions", message)
    })
}
