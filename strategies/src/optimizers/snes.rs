//! SNES, separable natural evolution strategies (Wierstra, Schaul, Glasmachers, Sun, Peters and Schmidhuber, 'Natural evolution strategies', JMLR 15,
//! 2014, <https://jmlr.org/papers/v15/wierstra14a.html>, algorithm 6): a normal distribution with a standard deviation for each gene, which follow the natural gradient.
//!
//! Symbols: mu = mean, sigma = deviations, s = z, u = utilities. The members' order alone is needed.

use illume_core::{Params, Result, StrategyConfig, StrategyEntry, TaskSpec, params};

use super::noise::Noise;
use super::restarts::RestartParams;
use super::sampled::{Column, Rule, Sampled, extremes, geometric_mean};
use super::{Entry, Optimizers, Ranking, Settings, Start, members, search, step_size};

params! {
    /// Parameters of `snes`.
    pub struct SnesParams {
        /// Members per generation; 0 for 4 + floor(3 ln n) with n genes.
        population: usize = 0, range(0, 1 << 24);
        /// Initial step size: the standard deviation of each gene.
        sigma: f64 = 0.3, positive();
        /// Initial mean: "init", a genome by the task's distribution, or "zeros".
        center: String = "init".into(), one_of(&["init", "zeros"]);
        /// Learning rate of the mean.
        mean_rate: f64 = 1.0, positive();
        /// Learning rate of the standard deviations; 0 for (3 + ln n) / (5 sqrt(n)).
        sigma_rate: f64 = 0.0, at_least(0.0);
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    small: "population = 20\nsigma = 0.1",
    steps: &[("sigma", 2.0)],
    ..StrategyEntry::new(
        "snes",
        "SNES (Wierstra et al. 2014): natural gradient of a normal distribution with diagonal covariance, for many genes",
        <(SnesParams, RestartParams)>::describe,
        |config: &StrategyConfig<'_>| search::of_table("snes", config, optimizers),
    )
};

pub(super) const OPTIMIZER: Entry = Entry {
    name: "snes",
    selects: false,
    build: |settings: &Settings<'_>, task: &TaskSpec| {
        let params = SnesParams {
            population: settings.population,
            sigma: settings.sigma,
            center: settings.center.into(),
            ..SnesParams::default()
        };
        optimizers(&params, task)
    },
};

fn optimizers(params: &SnesParams, task: &TaskSpec) -> Result<Optimizers> {
    let (dim, n) = (task.genome_dim, task.genome_dim as f64);
    let sigma_rate = match params.sigma_rate {
        0.0 => (3.0 + n.ln()) / (5.0 * n.sqrt()),
        given => given,
    };
    let rates = [params.mean_rate, sigma_rate];
    Ok(Optimizers::new(
        members(params.population, task)?,
        Start::new(params.sigma, &params.center, task),
        move |members, start| {
            Box::new(Sampled::new(dim, members, start, move || {
                Snes::new(dim, start.step(), rates)
            }))
        },
    ))
}

/// Utilities by rank, best first (equation 33 there): the better half has weight, and they sum to 0.
pub(super) fn utilities(members: usize) -> Vec<f64> {
    let n = members as f64;
    let raw = |rank: usize| ((n / 2.0 + 1.0).ln() - (rank as f64 + 1.0).ln()).max(0.0);
    let sum: f64 = (0..members).map(raw).sum();
    (0..members).map(|rank| raw(rank) / sum - 1.0 / n).collect()
}

/// The utility of each member.
pub(super) fn by_member(ranking: &Ranking<'_>) -> Vec<f64> {
    let mut weights = vec![0.0; ranking.order.len()];
    let utilities = utilities(weights.len());
    ranking
        .order
        .iter()
        .zip(utilities)
        .for_each(|(&member, u)| weights[member] = u);
    weights
}

pub(super) struct Snes {
    pub(super) deviations: Vec<f64>,
    /// Of the mean and of the standard deviations.
    rates: [f64; 2],
}

impl Snes {
    pub(super) fn new(dim: usize, sigma: f64, rates: [f64; 2]) -> Snes {
        Snes {
            deviations: vec![sigma; dim],
            rates,
        }
    }
}

impl Rule for Snes {
    const MIRRORED: bool = false;

    fn step(&self, _: u64, z: &mut [f64]) {
        z.iter_mut().zip(&self.deviations).for_each(|(z, d)| *z *= d);
    }

    fn learn(&mut self, ranking: &Ranking<'_>, noise: &dyn Noise, _: u64, mean: &mut [f64], widest: f64) -> Result<()> {
        let weights = by_member(ranking);
        let total: f64 = weights.iter().sum();
        let weights: Vec<[f64; 2]> = weights.iter().map(|u| [*u; 2]).collect();
        let [first, second] = noise.sums(&weights)?;
        let [mean_rate, sigma_rate] = self.rates;
        for (i, deviation) in self.deviations.iter_mut().enumerate() {
            mean[i] += mean_rate * *deviation * first[i];
            let factor = (sigma_rate / 2.0 * (second[i] - total)).exp();
            *deviation = step_size(*deviation, factor).min(widest);
        }
        Ok(())
    }

    fn deviation(&self, gene: usize) -> f64 {
        self.deviations[gene]
    }

    fn sigma(&self) -> f64 {
        geometric_mean(&self.deviations)
    }

    fn axes(&self) -> Option<[f64; 2]> {
        Some(extremes(&self.deviations))
    }

    fn columns(&self) -> Vec<Column> {
        vec![(
            "deviation",
            "standard deviation of each gene",
            1,
            self.deviations.clone(),
        )]
    }

    fn restore(&mut self, _: f64, read: &dyn Fn(&str, usize) -> Result<Vec<f64>>) -> Result<()> {
        self.deviations = read("deviation", 1)?;
        Ok(())
    }
}
