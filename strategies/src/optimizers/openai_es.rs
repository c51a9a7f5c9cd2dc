//! OpenAI-ES (Salimans et al., 'Evolution strategies as a scalable alternative to reinforcement learning', 2017, <https://arxiv.org/abs/1703.03864>) as an optimizer of emitters, as pyribs has it (0.12.0,
//! `_openai_es.py`): mirrored sampling, centred ranks, Adam. The strategy of this name has a center of its own and no members in its archive.
//!
//! Symbols: theta = mean, sigma = sigma, epsilon = z.

use illume_core::{Result, TaskSpec};

use super::gradient::{Adam, GradientOptimizer};
use super::noise::Noise;
use super::sampled::{Column, Rule, Sampled};
use super::{Entry, Optimizers, Ranking, Settings, Start, members_in_pairs};

/// Adam as `openai_es` has it by default.
const ADAM: Adam = Adam {
    learning_rate: 0.01,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
};

pub(super) const OPTIMIZER: Entry = Entry {
    name: "openai_es",
    selects: false,
    build: |settings: &Settings<'_>, task: &TaskSpec| {
        let dim = task.genome_dim;
        let members = members_in_pairs(settings.population, settings.key, task)?;
        let start = Start::new(settings.sigma, settings.center, task);
        let optimizers = Optimizers::new(members, start, move |members, start| {
            let fresh = move || OpenAiEs::new(dim, start.step(), ADAM, 0.0);
            Box::new(Sampled::new(dim, members, start, fresh))
        });
        Ok(Optimizers {
            pairs: true,
            ..optimizers
        })
    },
};

pub(super) struct OpenAiEs {
    sigma: f64,
    adam: Adam,
    /// L2 penalty on the mean.
    l2: f64,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl OpenAiEs {
    pub(super) fn new(dim: usize, sigma: f64, adam: Adam, l2: f64) -> OpenAiEs {
        OpenAiEs {
            sigma,
            adam,
            l2,
            first: vec![0.0; dim],
            second: vec![0.0; dim],
        }
    }
}

impl Rule for OpenAiEs {
    const MIRRORED: bool = true;

    fn step(&self, _: u64, z: &mut [f64]) {
        z.iter_mut().for_each(|z| *z *= self.sigma);
    }

    fn learn(
        &mut self,
        ranking: &Ranking<'_>,
        noise: &dyn Noise,
        updates: u64,
        mean: &mut [f64],
        _: f64,
    ) -> Result<()> {
        let ranks = ranking.centred();
        let scale = 1.0 / ((ranks.len() / 2) as f64 * self.sigma);
        let weights: Vec<[f64; 2]> = ranks.chunks_exact(2).map(|r| [scale * (r[0] - r[1]), 0.0]).collect();
        let [ascent, _] = noise.sums(&weights)?;
        // The optimizer descends, and from 0, so that what it adds is not rounded to the mean's size.
        let gradient = mean.iter().zip(ascent).map(|(m, g)| (self.l2 * m - g) as f32);
        let (gradient, mut step) = (gradient.collect::<Vec<f32>>(), vec![0.0; mean.len()]);
        let (first, second) = (&mut self.first, &mut self.second);
        self.adam.step(updates + 1, &gradient, &mut step, first, second);
        mean.iter_mut().zip(step).for_each(|(m, s)| *m += f64::from(s));
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
        let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect();
        vec![
            ("first", "Adam's first moment", 1, wide(&self.first)),
            ("second", "Adam's second moment", 1, wide(&self.second)),
        ]
    }

    fn restore(&mut self, _: f64, read: &dyn Fn(&str, usize) -> Result<Vec<f64>>) -> Result<()> {
        let narrow = |name| -> Result<Vec<f32>> { Ok(read(name, 1)?.into_iter().map(|x| x as f32).collect()) };
        self.first = narrow("first")?;
        self.second = narrow("second")?;
        Ok(())
    }
}
