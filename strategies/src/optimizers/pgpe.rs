//! PGPE, policy gradients with parameter-based exploration (Sehnke, Osendorfer, Rueckstiess, Graves, Peters and Schmidhuber, 'Parameter-exploring policy
//! gradients', Neural Networks 23, 2010, <https://doi.org/10.1016/j.neunet.2009.12.004>) with symmetric sampling, whose mean moves by ClipUp (Toklu, Liskowski and Srivastava, 'ClipUp: a
//! simple and powerful optimizer for distribution-based policy evolution', PPSN 2020, <https://arxiv.org/abs/2008.02387>).
//!
//! Symbols: mu = mean, sigma = deviations, epsilon = sigma z, r = weights of members.

use illume_core::{Params, Result, StrategyConfig, StrategyEntry, TaskSpec, params};

use super::gradient::ClipUp;
use super::noise::Noise;
use super::restarts::RestartParams;
use super::sampled::{Column, Rule, Sampled, extremes, geometric_mean};
use super::{Entry, Optimizers, Ranking, Settings, Start, members_in_pairs, search, step_size};

params! {
    /// Parameters of `pgpe`.
    pub struct PgpeParams {
        /// Members per generation, in mirrored pairs: an even number; 0 for 4 + floor(3 ln n) with n genes, or one more.
        population: usize = 0, range(0, 1 << 24);
        /// Initial standard deviation of each gene.
        sigma: f64 = 0.1, positive();
        /// Initial mean: "init", a genome by the task's distribution, or "zeros".
        center: String = "init".into(), one_of(&["init", "zeros"]);
        /// Length of ClipUp's normalized gradient; 0 for sigma sqrt(n) / 30, so that the initial radius is 15 times the default max_speed, as its paper advises.
        learning_rate: f64 = 0.0, at_least(0.0);
        /// The mean never moves farther than this in a generation; 0 for twice the learning rate.
        max_speed: f64 = 0.0, at_least(0.0);
        /// ClipUp's momentum.
        momentum: f64 = 0.9, range(0.0, 0.999_999);
        /// Learning rate of the standard deviations.
        sigma_rate: f64 = 0.1, at_least(0.0);
        /// No standard deviation changes by a larger share of itself in a generation.
        sigma_change: f64 = 0.2, range(0.0, 0.999_999);
        /// What members are weighed by: "centered", their centred ranks, or "raw", their fitness itself.
        ranking: String = "centered".into(), one_of(&["centered", "raw"]);
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    small: "population = 20\nsigma = 0.1",
    steps: &[("sigma", 1.0)],
    ..StrategyEntry::new(
        "pgpe",
        "PGPE (Sehnke et al. 2010) with ClipUp (Toklu et al. 2020): mirrored pairs, a mean and standard deviations along their gradient",
        <(PgpeParams, RestartParams)>::describe,
        |config: &StrategyConfig<'_>| {
            search::of_table("pgpe", config, |params, task| optimizers(params, "population", task))
        },
    )
};

pub(super) const OPTIMIZER: Entry = Entry {
    name: "pgpe",
    selects: false,
    build: |settings: &Settings<'_>, task: &TaskSpec| {
        let params = PgpeParams {
            population: settings.population,
            sigma: settings.sigma,
            center: settings.center.into(),
            ..PgpeParams::default()
        };
        optimizers(&params, settings.key, task)
    },
};

fn optimizers(params: &PgpeParams, key: &str, task: &TaskSpec) -> Result<Optimizers> {
    let (dim, params) = (task.genome_dim, params.clone());
    let optimizers = Optimizers::new(
        members_in_pairs(params.population, key, task)?,
        Start::new(params.sigma, &params.center, task),
        move |members, start| {
            let params = params.clone();
            Box::new(Sampled::new(dim, members, start, move || {
                Pgpe::new(dim, start.step(), &params)
            }))
        },
    );
    Ok(Optimizers {
        pairs: true,
        ..optimizers
    })
}

pub(super) struct Pgpe {
    pub(super) deviations: Vec<f64>,
    clip_up: ClipUp,
    pub(super) velocity: Vec<f64>,
    sigma_rate: f64,
    sigma_change: f64,
    raw: bool,
}

impl Pgpe {
    pub(super) fn new(dim: usize, sigma: f64, params: &PgpeParams) -> Pgpe {
        let or = |given: f64, usual: f64| if given > 0.0 { given } else { usual };
        let learning_rate = or(params.learning_rate, sigma * (dim as f64).sqrt() / 30.0);
        Pgpe {
            deviations: vec![sigma; dim],
            clip_up: ClipUp {
                learning_rate,
                momentum: params.momentum,
                max_speed: or(params.max_speed, 2.0 * learning_rate),
            },
            velocity: vec![0.0; dim],
            sigma_rate: params.sigma_rate,
            sigma_change: params.sigma_change,
            raw: params.ranking == "raw",
        }
    }
}

impl Rule for Pgpe {
    const MIRRORED: bool = true;

    fn step(&self, _: u64, z: &mut [f64]) {
        z.iter_mut().zip(&self.deviations).for_each(|(z, d)| *z *= d);
    }

    fn learn(&mut self, ranking: &Ranking<'_>, noise: &dyn Noise, _: u64, mean: &mut [f64], widest: f64) -> Result<()> {
        let mut weights = if self.raw { ranking.worth() } else { ranking.centred() };
        let mean_weight = weights.iter().sum::<f64>() / weights.len() as f64;
        weights.iter_mut().for_each(|w| *w -= mean_weight);
        let pairs = (weights.len() / 2) as f64;
        // Half the difference of a pair for the mean, its mean for the standard deviations.
        let halves = weights
            .chunks_exact(2)
            .map(|r| [(r[0] - r[1]) / 2.0, (r[0] + r[1]) / 2.0]);
        let halves: Vec<[f64; 2]> = halves.collect();
        let total: f64 = halves.iter().map(|[_, mean]| mean).sum();
        let [mut gradient, squares] = noise.sums(&halves)?;
        gradient
            .iter_mut()
            .zip(&self.deviations)
            .for_each(|(g, d)| *g *= d / pairs);
        self.clip_up.step(&gradient, mean, &mut self.velocity);
        let share = self.sigma_change;
        for (deviation, square) in self.deviations.iter_mut().zip(squares) {
            let change = self.sigma_rate * (square - total) / pairs;
            let factor = (1.0 + change).clamp(1.0 - share, 1.0 + share);
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
        vec![
            (
                "deviation",
                "standard deviation of each gene",
                1,
                self.deviations.clone(),
            ),
            ("velocity", "by what the mean moved last", 1, self.velocity.clone()),
        ]
    }

    fn restore(&mut self, _: f64, read: &dyn Fn(&str, usize) -> Result<Vec<f64>>) -> Result<()> {
        self.deviations = read("deviation", 1)?;
        self.velocity = read("velocity", 1)?;
        Ok(())
    }
}
