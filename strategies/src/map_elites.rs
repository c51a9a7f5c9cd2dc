//! MAP-Elites (Mouret and Clune, 'Illuminating search spaces by mapping elites', 2015, <https://arxiv.org/abs/1504.04909>) with the
//! Iso+LineDD operator and polynomial mutation; parents are drawn uniformly from the filled cells.

use illume_core::{Error, Params, Result, Strategy, StrategyConfig, StrategyEntry, TaskSpec, params};

use crate::emitters::{Operator, Variation};
use crate::scheduler::{Composition, Scheduler};

params! {
    /// How `map_elites` divides a generation.
    pub struct MapElitesParams {
        /// Candidates per generation.
        batch: usize = 256, range(1, 1 << 31);
        /// Random candidates in the first generation; 0 for as many as `batch`.
        initial: usize = 0, range(0, 1 << 31);
        /// Evaluations of each candidate, under seeds of their own, whose means its fitness and descriptor are; each counts (ME-Sampling). Of episodes the first alone is learned from.
        samples: usize = 1, range(1, 1 << 16);
        /// Share of the batch made by polynomial mutation instead of iso+line-dd.
        polynomial_share: f64 = 0.0, range(0.0, 1.0);
    }
}

params! {
    /// Iso+line-dd.
    pub struct IsoLineParams {
        /// Standard deviation of the isotropic noise of iso+line-dd.
        iso_sigma: f64 = 0.005, at_least(0.0);
        /// Standard deviation of the step along the line to a second parent.
        line_sigma: f64 = 0.05, at_least(0.0);
    }
}

impl IsoLineParams {
    pub(crate) fn operator(&self) -> Operator {
        Operator::IsoLine {
            iso: self.iso_sigma as f32,
            line: self.line_sigma as f32,
        }
    }
}

params! {
    /// Polynomial mutation.
    pub struct PolynomialParams {
        /// Probability with which polynomial mutation changes a gene.
        polynomial_rate: f64 = 0.1, range(0.0, 1.0);
        /// Distribution index of polynomial mutation: larger stays nearer to the parent.
        polynomial_eta: f64 = 10.0, at_least(0.0);
        /// Lower and upper bound of a gene for polynomial mutation, which puts genes from outside on them first; empty for the task's own.
        polynomial_bounds: Vec<f64> = vec![], any();
    }
}

/// Bounds of a gene for operators that need some: those of the parameter `key`, or the task's own where it is empty.
///
/// # Errors
/// Bounds that are none.
pub(crate) fn gene_bounds(given: &[f64], key: &str, task: &TaskSpec) -> Result<Option<[f32; 2]>> {
    let single: Vec<f32> = given.iter().map(|x| *x as f32).collect();
    match single.as_slice() {
        [] => Ok(task.bounds),
        // What distributions divide by.
        &[low, high] if low < high && (high - low).is_finite() => Ok(Some([low, high])),
        _ => {
            let message =
                format!("expected [lower, upper] with lower < upper as numbers of single precision, got {given:?}");
            Err(Error::config("strategy", key, message))
        }
    }
}

impl PolynomialParams {
    /// The operator on a task. Bounds may be missing where no key says that it is used.
    ///
    /// # Errors
    /// Bounds that are none, or missing.
    pub(crate) fn operator(&self, task: &TaskSpec, used_by: Option<&str>) -> Result<Operator> {
        let bounds = gene_bounds(&self.polynomial_bounds, "polynomial_bounds", task)?;
        if let (Some(key), None) = (used_by, bounds) {
            let message = format!(
                "polynomial mutation needs bounds of a gene and task \"{}\" has none: give polynomial_bounds = [lower, upper]",
                task.name
            );
            return Err(Error::config("strategy", key, message));
        }
        Ok(Operator::Polynomial {
            rate: self.polynomial_rate as f32,
            eta: self.polynomial_eta as f32,
            bounds: bounds.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]),
        })
    }
}

pub(crate) type All = (MapElitesParams, (IsoLineParams, PolynomialParams));

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    cells: true,
    categories: true,
    small: "batch = 30",
    suggested: "[strategy]\nline_sigma = 0.2",
    steps: &[("iso_sigma", 0.5)],
    ..StrategyEntry::new(
        "map_elites",
        "MAP-Elites (Mouret and Clune 2015) with iso+line-dd and polynomial mutation",
        All::describe,
        |config| strategy("map_elites", config),
    )
};

/// Variation of an archive's elites, as the strategy of this name.
///
/// # Errors
/// Wrong parameters, bounds that are missing, more than fits into memory.
pub(crate) fn strategy(name: &'static str, config: &StrategyConfig<'_>) -> Result<Box<dyn Strategy>> {
    let params: All = illume_core::params::read(config.strategy, "strategy", &["name"])?;
    Ok(Box::new(Scheduler::new(composition(name, config, &params)?)))
}

/// What makes a scheduler of it, when it is known that a generation fits into memory.
///
/// # Errors
/// Bounds that are missing, more than fits into memory.
pub(crate) fn composition(
    name: &'static str,
    config: &StrategyConfig<'_>,
    (params, (iso_line, polynomial)): &All,
) -> Result<Composition> {
    // The first candidates of the batch are iso+line children, the last ones polynomial mutants.
    let mutants = (params.polynomial_share * params.batch as f64).round() as usize;
    let mutation = polynomial.operator(config.task, (mutants > 0).then_some("polynomial_share"))?;
    // In both generations a candidate is made in one piece.
    let (key, rows) = [("initial", params.initial), ("batch", params.batch)]
        .into_iter()
        .max_by_key(|(_, rows)| *rows)
        .expect("two");
    config.claim_rows(key, rows as f64, 1)?;
    let variation = Variation::new(vec![(iso_line.operator(), params.batch - mutants), (mutation, mutants)]);
    Ok(Composition {
        name,
        initial: params.initial,
        sized_by: &["batch", "initial"],
        emitters: vec![Box::new(variation)],
        given: config.task.given_rows(),
        apart: false,
        by_operator: false,
        bandit: None,
        samples: params.samples as u32,
        spread: false,
    })
}
