//! CMA-ES (Hansen, 'The CMA evolution strategy: a tutorial', 2016, <https://arxiv.org/abs/1604.00772>): members of a normal distribution whose mean,
//! step size and full covariance follow the members' order.
//!
//! Its distribution is in `cma_es/full.rs`.

pub(crate) mod constants;
mod full;
#[cfg(test)]
pub(super) mod tests;
#[cfg(test)]
mod tests_bounds;
#[cfg(test)]
mod tests_margin;
#[cfg(test)]
mod tests_pyribs;

use illume_core::{Error, Params, Result, StrategyConfig, StrategyEntry, TaskSpec, params};

use super::restarts::RestartParams;
use super::{Entry, Optimizers, Settings, Start, margin, members, search};
use constants::Constants;
use full::{Factor, Full};

/// Genes beyond which matrices are refused: there B D and its decomposition take 32 GiB.
const MOST_GENES: usize = 32_768;
/// Matrices of n x n numbers: a covariance, its axes, and its decomposition.
const MATRICES: f64 = 4.0;

params! {
    /// Parameters of `cma_es`.
    pub struct CmaEsParams {
        /// Members per generation; 0 for 4 + floor(3 ln n) with n genes.
        population: usize = 0, range(0, 1 << 24);
        /// Initial step size: the standard deviation of each gene.
        sigma: f64 = 0.3, positive();
        /// Initial mean: "init", a genome by the task's distribution, or "zeros".
        center: String = "init".into(), one_of(&["init", "zeros"]);
        /// Whether the covariance also learns from the worse half, by negative weights.
        active: bool = true, any();
        /// The covariance is decomposed every 1 / (this * n * (c_1 + c_mu)) generations: 2 as in Hansen's purecma and in pyribs, 10 as in the tutorial.
        decompositions: f64 = Settings::DECOMPOSITIONS, positive();
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    small: "population = 20\nsigma = 0.1",
    steps: &[("sigma", 2.0)],
    ..StrategyEntry::new(
        "cma_es",
        "CMA-ES (Hansen's tutorial, 2016): a normal distribution with step size and full covariance",
        <(CmaEsParams, RestartParams)>::describe,
        |config: &StrategyConfig<'_>| search::of_table("cma_es", config, full),
    )
};

pub(super) const OPTIMIZER: Entry = Entry {
    name: "cma_es",
    selects: true,
    build: |settings, task| of_settings(settings, task, Factor::Eigenvectors),
};

/// The same drawn by the covariance's Cholesky factor: no eigenvectors, and so no axes to speak of.
pub(super) const CHOLESKY: Entry = Entry {
    name: "cholesky_cma_es",
    selects: true,
    build: |settings, task| of_settings(settings, task, Factor::Cholesky),
};

fn of_settings(settings: &Settings<'_>, task: &TaskSpec, factor: Factor) -> Result<Optimizers> {
    let params = CmaEsParams {
        population: settings.population,
        sigma: settings.sigma,
        center: settings.center.into(),
        active: settings.active,
        decompositions: settings.decompositions,
    };
    let (dim, pyribs) = (task.genome_dim, settings.pyribs);
    full_by(&params, task, factor, move |constants| match pyribs {
        true => constants.moved_as_pyribs(dim),
        false => constants,
    })
}

/// The optimizers of `cma_es` for a task.
///
/// # Errors
/// More genes than a matrix can have, or one member.
pub(super) fn full(params: &CmaEsParams, task: &TaskSpec) -> Result<Optimizers> {
    full_by(params, task, Factor::Eigenvectors, |constants| constants)
}

/// The same with other constants.
///
/// # Errors
/// As [`full`].
fn full_by(
    params: &CmaEsParams,
    task: &TaskSpec,
    factor: Factor,
    change: impl Fn(Constants) -> Constants + Send + 'static,
) -> Result<Optimizers> {
    if task.genome_dim > MOST_GENES {
        let message = format!(
            "a full covariance takes matrices of n x n numbers on every rank, and task \"{}\" has {} genes: expected at most \
             {MOST_GENES}; sep_cma_es takes any number",
            task.name, task.genome_dim
        );
        return Err(Error::config("strategy", "name", message));
    }
    let start = Start::new(params.sigma, &params.center, task);
    let (dim, active, decompositions) = (task.genome_dim, params.active, params.decompositions);
    let discrete = margin::discrete(task);
    let optimizers = Optimizers::new(members(params.population, task)?, start, move |members, start| {
        let constants = change(Constants::full(dim, members, active));
        Box::new(Full::new(dim, constants, start, decompositions, factor).with(discrete.clone()))
    });
    let matrices = MATRICES * size_of::<f64>() as f64 * (dim as f64).powi(2);
    Ok(Optimizers {
        holds: Some((matrices, "covariances")),
        ..optimizers
    })
}
