//! CMA-ME (Fontaine, Togelius, Nikolaidis and Hoover, 'Covariance matrix adaptation for the rapid illumination of behavior space', GECCO 2020,
//! <https://arxiv.org/abs/1912.02400>) and CMA-MAE (Fontaine and Nikolaidis, 'Covariance matrix adaptation MAP-annealing', GECCO 2023,
//! <https://arxiv.org/abs/2205.10752>): several searches by CMA-ES, ordered by what the archive makes of their candidates. CMA-MAE is the same with the
//! archive's soft thresholds.

use illume_core::{Error, Params, Result, Strategy, StrategyConfig, StrategyEntry, params};

use crate::emitters::{Course, Emitter, Emitters, EvolutionStrategy, LivesOn, Restart, check_archive};
use crate::optimizers::{self, Settings};
use crate::rankers::{Ranker, any_by_novelty};
use crate::scheduler::{Composition, Scheduler};

params! {
    /// How many emitters `cma_me` and `cma_mae` have.
    pub struct CmaMeParams {
        /// Searches that share a generation.
        emitters: usize = 15, range(1, 1 << 16);
    }
}

params! {
    /// Parameters of an emitter that searches by an evolution strategy, beside the rankers.
    pub struct SearchParams {
        /// Candidates of each in a generation.
        batch: usize = 36, range(2, 1 << 24);
        /// Initial step size: the standard deviation of each gene.
        sigma: f64 = 0.5, positive();
        /// Where each begins first: "init", a genome by the task's distribution, or "zeros".
        center: String = "init".into(), one_of(&["init", "zeros"]);
        /// What draws the candidates: "cma_es" with a full covariance, "cholesky_cma_es" with the same drawn by its Cholesky factor, five times as fast, "sep_cma_es" with a diagonal one for many genes, or any other optimizer, with its own parameters at their defaults.
        optimizer: String = "cma_es".into(), one_of(optimizers::NAMES);
        /// How "cma_es" and "cholesky_cma_es" move: "tutorial", or "pyribs" as that library does, which makes little of the covariance's path (strategies/README.md).
        update: String = "tutorial".into(), one_of(&["tutorial", "pyribs"]);
        /// From whom it learns: "mu", the better half (or as many as the optimizer learns from), or "filter", those that the archive took: with "cma_es", "sep_cma_es" and "lm_ma_es".
        selection: String = "mu".into(), one_of(&["mu", "filter"]);
        /// When a search begins anew at an elite: "basic", when the optimizer is spent; "no_improvement", also when the archive took none of its candidates.
        restart: String = "basic".into(), one_of(&["basic", "no_improvement"]);
        /// A search begins anew after so many generations, too; 0 for never.
        restart_every: usize = 0, range(0, 1 << 40);
    }
}

params! {
    /// How `cma_me` orders candidates.
    pub struct CmaMeRankers {
        /// What searches are ordered by, one after another in turn: of "two_stage_improvement", "improvement", "two_stage_random_direction", "random_direction", "two_stage_fitness", "fitness", and in an unstructured archive "novelty", "novelty_local_competition".
        rankers: Vec<String> = vec!["two_stage_improvement".into()], any();
    }
}

params! {
    /// How `cma_mae` orders candidates.
    pub struct CmaMaeRankers {
        /// What searches are ordered by, one after another in turn: of "improvement", "two_stage_improvement", "two_stage_random_direction", "random_direction", "two_stage_fitness", "fitness".
        rankers: Vec<String> = vec!["improvement".into()], any();
    }
}

pub(crate) const CMA_ME: StrategyEntry = StrategyEntry {
    cells: true,
    novelty_by: Some(any_by_novelty),
    small: "emitters = 3\nbatch = 10\nsigma = 0.1",
    steps: &[("sigma", 2.0)],
    ..StrategyEntry::new(
        "cma_me",
        "CMA-ME (Fontaine et al. 2020): searches by CMA-ES that are ordered by what the archive makes of their candidates",
        <(CmaMeParams, (SearchParams, CmaMeRankers))>::describe,
        |config| {
            let (count, (params, rankers)): (CmaMeParams, (SearchParams, CmaMeRankers)) =
                illume_core::params::read(config.strategy, "strategy", &["name"])?;
            let count = ("emitters", count.emitters);
            build(config, "cma_me", count, &params, &rankers.rankers)
        },
    )
};

pub(crate) const CMA_MAE: StrategyEntry = StrategyEntry {
    cells: true,
    thresholds: true,
    small: "emitters = 3\nbatch = 10\nsigma = 0.1",
    suggested: "[archive]\nlearning_rate = 0.01",
    steps: &[("sigma", 2.0)],
    ..StrategyEntry::new(
        "cma_mae",
        "CMA-MAE (Fontaine and Nikolaidis 2023): the same on an archive with soft thresholds (archive.learning_rate)",
        <(CmaMeParams, (SearchParams, CmaMaeRankers))>::describe,
        |config| {
            let (count, (params, rankers)): (CmaMeParams, (SearchParams, CmaMaeRankers)) =
                illume_core::params::read(config.strategy, "strategy", &["name"])?;
            let count = ("emitters", count.emitters);
            build(config, "cma_mae", count, &params, &rankers.rankers)
        },
    )
};

fn build(
    config: &StrategyConfig<'_>,
    name: &'static str,
    count: (&str, usize),
    params: &SearchParams,
    rankers: &[String],
) -> Result<Box<dyn Strategy>> {
    let emitters = searches(config, count, params, rankers)?;
    check_archive(&emitters, "rankers")?;
    if name == "cma_mae" && emitters.iter().any(|e| e.lives_on() == LivesOn::Novelty) {
        let message = "soft thresholds are of cells, where nothing measures novelty: order by improvement, or take \"cma_me\" and an archive of kind \"unstructured\"";
        return Err(Error::config("strategy", "rankers", message));
    }
    Ok(Box::new(Scheduler::new(Composition {
        name,
        initial: 0,
        sized_by: &["batch", "emitters"],
        emitters,
        given: config.task.given_rows(),
        apart: true,
        by_operator: false,
        bandit: None,
        samples: 1,
        spread: false,
    })))
}

/// So many emitters that search by an evolution strategy; `count` is the key that says how many, and its value.
///
/// # Errors
/// Parameters that do not fit together or the task, more than fits into memory.
pub(crate) fn searches(
    config: &StrategyConfig<'_>,
    (key, count): (&str, usize),
    params: &SearchParams,
    rankers: &[String],
) -> Result<Emitters> {
    let rankers = rankers_of(config, rankers)?;
    let restart = restart_of(&params.restart, params.restart_every)?;
    config.claim_rows("batch", params.batch as f64 * count as f64, 1)?;
    let optimizer = optimizers::entry(&params.optimizer)?;
    let pyribs = params.update == "pyribs";
    if pyribs && !["cma_es", "cholesky_cma_es"].contains(&optimizer.name) {
        let message = format!(
            "expected \"tutorial\" with optimizer = \"{}\", got \"pyribs\"",
            optimizer.name
        );
        return Err(Error::config("strategy", "update", message));
    }
    if params.selection == "filter" && !optimizer.selects {
        let message = format!(
            "expected \"mu\" with optimizer = \"{}\", which learns from all of its members, got \"filter\"",
            optimizer.name
        );
        return Err(Error::config("strategy", "selection", message));
    }
    let settings = Settings {
        optimizer: optimizer.name,
        population: params.batch,
        key: "batch",
        sigma: params.sigma,
        center: &params.center,
        active: false,
        decompositions: Settings::DECOMPOSITIONS,
        pyribs,
    };
    let of_one = || optimizers::build(&settings, config.task);
    of_one()?.claim(config.memory, key, count)?;
    let emitter = |number: usize| -> Result<Box<dyn Emitter>> {
        let filter = params.selection == "filter";
        let ranker = rankers[number % rankers.len()];
        Ok(Box::new(EvolutionStrategy::new(
            of_one()?,
            Course::new(ranker, filter, restart),
        )))
    };
    (0..count).map(emitter).collect()
}

/// The rankers of these names, for a task.
///
/// # Errors
/// Unknown names, none at all, or a direction without a descriptor.
pub(crate) fn rankers_of(config: &StrategyConfig<'_>, names: &[String]) -> Result<Vec<Ranker>> {
    let rankers = names
        .iter()
        .map(|name| Ranker::new(name))
        .collect::<Result<Vec<Ranker>>>()?;
    if rankers.is_empty() {
        return Err(Error::config(
            "strategy",
            "rankers",
            "expected at least one ranker, got none",
        ));
    }
    if config.task.descriptor.is_empty() && rankers.iter().any(|ranker| ranker.has_direction()) {
        let message = format!(
            "a random direction needs a descriptor and task \"{}\" has none",
            config.task.name
        );
        return Err(Error::config("strategy", "rankers", message));
    }
    Ok(rankers)
}

/// What the keys `restart` and `restart_every` say.
///
/// # Errors
/// Both.
pub(crate) fn restart_of(restart: &str, every: usize) -> Result<Restart> {
    match (restart, every as u64) {
        ("basic", 0) => Ok(Restart::Basic),
        ("basic", generations) => Ok(Restart::Every(generations)),
        (_, 0) => Ok(Restart::NoImprovement),
        (_, generations) => {
            let message = format!("expected 0 with restart = \"no_improvement\", got {generations}: take one of both");
            Err(Error::config("strategy", "restart_every", message))
        }
    }
}
