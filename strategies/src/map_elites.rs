//! MAP-Elites (Mouret and Clune, 'Illuminating search spaces by mapping elites', 2015, <https://arxiv.org/abs/1504.04909>) with the
//! Iso+LineDD operator and polynomial mutation; parents are drawn uniformly from the filled cells.

use illume_core::{Error, Params, Result, Strategy, StrategyConfig, StrategyEntry, params};

use crate::emitters::{Operator, Variation};
use crate::scheduler::{Composition, Scheduler};

params! {
    /// Parameters of `map_elites`.
    pub struct MapElitesParams {
        /// Candidates per generation.
        batch: usize = 256, range(1, 1 << 31);
        /// Random candidates in the first generation; 0 for as many as `batch`.
        initial: usize = 0, range(0, 1 << 31);
        /// Standard deviation of the isotropic noise of iso+line-dd.
        iso_sigma: f64 = 0.005, at_least(0.0);
        /// Standard deviation of the step along the line to a second parent.
        line_sigma: f64 = 0.05, at_least(0.0);
        /// Share of the batch made by polynomial mutation instead of iso+line-dd.
        polynomial_share: f64 = 0.0, range(0.0, 1.0);
        /// Probability with which polynomial mutation changes a gene.
        polynomial_rate: f64 = 0.1, range(0.0, 1.0);
        /// Distribution index of polynomial mutation: larger stays nearer to the parent.
        polynomial_eta: f64 = 10.0, at_least(0.0);
        /// Lower and upper bound of a gene for polynomial mutation, which puts genes from outside on them first; empty for the task's own.
        polynomial_bounds: Vec<f64> = vec![], any();
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    cells: true,
    ..StrategyEntry::new(
        "map_elites",
        "MAP-Elites (Mouret and Clune 2015) with iso+line-dd and polynomial mutation",
        MapElitesParams::describe,
        build,
    )
};

fn build(config: &StrategyConfig<'_>) -> Result<Box<dyn Strategy>> {
    let params: MapElitesParams = illume_core::params::read(config.strategy, "strategy", &["name"])?;
    let given: Vec<f32> = params.polynomial_bounds.iter().map(|x| *x as f32).collect();
    let bounds = match given.as_slice() {
        [] => config.task.bounds,
        // What the distribution divides by.
        &[low, high] if low < high && (high - low).is_finite() => Some([low, high]),
        _ => {
            let message = format!(
                "expected [lower, upper] with lower < upper as numbers of single precision, got {:?}",
                params.polynomial_bounds
            );
            return Err(Error::config("strategy", "polynomial_bounds", message));
        }
    };
    if params.polynomial_share > 0.0 && bounds.is_none() {
        let message = format!(
            "polynomial mutation needs bounds of a gene and task \"{}\" has none; set strategy.polynomial_bounds = [lower, upper]",
            config.task.name
        );
        return Err(Error::config("strategy", "polynomial_share", message));
    }
    // In both generations a candidate is made in one piece.
    let (key, rows) = [("initial", params.initial), ("batch", params.batch)]
        .into_iter()
        .max_by_key(|(_, rows)| *rows)
        .expect("two");
    config.claim_rows(key, rows as f64, 1)?;
    // The first candidates of the batch are iso+line children, the last ones polynomial mutants.
    let mutants = (params.polynomial_share * params.batch as f64).round() as usize;
    let iso_line = Operator::IsoLine {
        iso: params.iso_sigma as f32,
        line: params.line_sigma as f32,
    };
    let polynomial = Operator::Polynomial {
        rate: params.polynomial_rate as f32,
        eta: params.polynomial_eta as f32,
        bounds: bounds.unwrap_or([f32::NEG_INFINITY, f32::INFINITY]),
    };
    let variation = Variation::new(vec![(iso_line, params.batch - mutants), (polynomial, mutants)]);
    Ok(Box::new(Scheduler::new(Composition {
        name: "map_elites",
        initial: params.initial,
        sized_by: &["batch", "initial"],
        emitters: vec![Box::new(variation)],
        apart: false,
        by_operator: false,
        bandit: None,
    })))
}
