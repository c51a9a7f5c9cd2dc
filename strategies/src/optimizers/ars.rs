//! ARS, augmented random search (Mania, Guy and Recht, 'Simple random search of static linear policies is competitive for reinforcement learning', NeurIPS 2018,
//! <https://arxiv.org/abs/1803.07055>), version V1-t: the mean moves along the best of its directions, by a step that is divided by the standard deviation of their rewards.
//!
//! Symbols: theta = mean, nu = sigma, delta = z, alpha = learning_rate, b = directions_used, r = rewards.

use illume_core::{Error, Params, Result, StrategyConfig, StrategyEntry, TaskSpec, params};

use super::noise::Noise;
use super::restarts::RestartParams;
use super::sampled::{Column, Rule, Sampled};
use super::{Entry, Optimizers, Ranking, Settings, Start, members_in_pairs, search};

params! {
    /// Parameters of `ars`.
    pub struct ArsParams {
        /// Members per generation, in mirrored pairs, one pair a direction: an even number; 0 for 4 + floor(3 ln n) with n genes, or one more.
        population: usize = 16, range(0, 1 << 24);
        /// Standard deviation of the perturbations.
        sigma: f64 = 0.03, positive();
        /// Initial mean: "init", a genome by the task's distribution, or "zeros".
        center: String = "init".into(), one_of(&["init", "zeros"]);
        /// Step size.
        learning_rate: f64 = 0.02, positive();
        /// Directions that are learned from, those with the highest reward of either member; 0 for all.
        directions_used: usize = 0, range(0, 1 << 24);
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    small: "population = 20\nsigma = 0.1",
    steps: &[("sigma", 1.0)],
    ..StrategyEntry::new(
        "ars",
        "ARS (Mania et al. 2018): random search along the best of mirrored directions, by steps divided by the rewards' deviation",
        <(ArsParams, RestartParams)>::describe,
        |config: &StrategyConfig<'_>| {
            search::of_table("ars", config, |params, task| optimizers(params, "population", task))
        },
    )
};

pub(super) const OPTIMIZER: Entry = Entry {
    name: "ars",
    selects: false,
    build: |settings: &Settings<'_>, task: &TaskSpec| {
        let params = ArsParams {
            population: settings.population,
            sigma: settings.sigma,
            center: settings.center.into(),
            ..ArsParams::default()
        };
        optimizers(&params, settings.key, task)
    },
};

fn optimizers(params: &ArsParams, key: &str, task: &TaskSpec) -> Result<Optimizers> {
    let members = members_in_pairs(params.population, key, task)?;
    let used = params.directions_used;
    if used > members / 2 {
        let message = format!(
            "expected at most the {} directions of {members} members, or 0 for all, got {used}",
            members / 2
        );
        return Err(Error::config("strategy", "directions_used", message));
    }
    let (dim, learning_rate) = (task.genome_dim, params.learning_rate);
    let start = Start::new(params.sigma, &params.center, task);
    let optimizers = Optimizers::new(members, start, move |in_all, start| {
        // A restart with more members learns from as large a share of them.
        let used = if used == 0 {
            in_all / 2
        } else {
            (used * in_all).div_ceil(members)
        };
        Box::new(Sampled::new(dim, in_all, start, move || Ars {
            sigma: start.step(),
            learning_rate,
            used,
        }))
    });
    Ok(Optimizers {
        pairs: true,
        ..optimizers
    })
}

pub(super) struct Ars {
    pub(super) sigma: f64,
    pub(super) learning_rate: f64,
    pub(super) used: usize,
}

impl Ars {
    /// What each direction counts for: alpha (r+ - r-) / (b sigma_R) for the best b directions.
    fn weights(&self, rewards: &[f64]) -> Vec<[f64; 2]> {
        let mut weights = vec![[0.0; 2]; rewards.len() / 2];
        let best = |direction: usize| rewards[2 * direction].max(rewards[2 * direction + 1]);
        let mut directions: Vec<usize> = (0..weights.len()).collect();
        directions.sort_by(|a, b| best(*b).total_cmp(&best(*a)).then(a.cmp(b)));
        directions.truncate(self.used);
        let of_used = || directions.iter().flat_map(|d| [rewards[2 * d], rewards[2 * d + 1]]);
        let count = 2.0 * directions.len() as f64;
        let mean = of_used().sum::<f64>() / count;
        let deviation = (of_used().map(|r| (r - mean).powi(2)).sum::<f64>() / count).sqrt();
        // Where all rewards are the same nothing is better than anything else.
        if deviation > 0.0 {
            for &d in &directions {
                let difference = rewards[2 * d] - rewards[2 * d + 1];
                weights[d][0] = self.learning_rate * difference / (directions.len() as f64 * deviation);
            }
        }
        weights
    }
}

impl Rule for Ars {
    const MIRRORED: bool = true;

    fn step(&self, _: u64, z: &mut [f64]) {
        z.iter_mut().for_each(|z| *z *= self.sigma);
    }

    fn learn(&mut self, ranking: &Ranking<'_>, noise: &dyn Noise, _: u64, mean: &mut [f64], _: f64) -> Result<()> {
        let weights = self.weights(&ranking.worth());
        let [step, _] = noise.sums(&weights)?;
        mean.iter_mut().zip(step).for_each(|(m, s)| *m += s);
        Ok(())
    }

    fn deviation(&self, _: usize) -> f64 {
        self.sigma
    }

    fn sigma(&self) -> f64 {
        self.sigma
    }

    fn axes(&self) -> Option<[f64; 2]> {
        Some([self.sigma; 2])
    }

    fn columns(&self) -> Vec<Column> {
        Vec::new()
    }

    fn restore(&mut self, _: f64, _: &dyn Fn(&str, usize) -> Result<Vec<f64>>) -> Result<()> {
        Ok(())
    }
}
