//! LM-MA-ES (Loshchilov, Glasmachers and Beyer, 'Large scale black-box optimization by limited-memory matrix adaptation', IEEE Transactions on Evolutionary
//! Computation 23, 2019, <https://arxiv.org/abs/1705.06693>): a covariance of a few vectors, for many genes that depend on one another.
//!
//! Symbols of its algorithm 1: y = mean, sigma = sigma, p_sigma = path, m_i = vectors, z = z, d = step, c_sigma = path_rate, c_d = turns, c_c = fades.

use illume_core::{Error, Params, Result, StrategyConfig, StrategyEntry, TaskSpec, params};
use illume_numerics::simd_dispatch;

use super::noise::Noise;
use super::restarts::RestartParams;
use super::sampled::{Column, Rule, Sampled};
use super::{Entry, Optimizers, Ranking, Settings, Start, members, search, step_size};

params! {
    /// Parameters of `lm_ma_es`.
    pub struct LmMaEsParams {
        /// Members per generation; at most as many as genes; 0 for 4 + floor(3 ln n) with n genes.
        population: usize = 0, range(0, 1 << 24);
        /// Initial step size: the standard deviation of each gene.
        sigma: f64 = 0.3, positive();
        /// Initial mean: "init", a genome by the task's distribution, or "zeros".
        center: String = "init".into(), one_of(&["init", "zeros"]);
        /// Vectors of which the covariance is made; 0 for as many as members.
        vectors: usize = 0, range(0, 1 << 16);
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    small: "population = 6\nsigma = 0.1",
    steps: &[("sigma", 2.0)],
    ..StrategyEntry::new(
        "lm_ma_es",
        "LM-MA-ES (Loshchilov et al. 2019): a step size and a covariance of a few vectors, for many genes that depend on one another",
        <(LmMaEsParams, RestartParams)>::describe,
        |config: &StrategyConfig<'_>| {
            search::of_table("lm_ma_es", config, |params, task| {
                optimizers(params, "population", task)
            })
        },
    )
};

pub(super) const OPTIMIZER: Entry = Entry {
    name: "lm_ma_es",
    selects: true,
    build: |settings: &Settings<'_>, task: &TaskSpec| {
        let params = LmMaEsParams {
            population: settings.population,
            sigma: settings.sigma,
            center: settings.center.into(),
            ..LmMaEsParams::default()
        };
        optimizers(&params, settings.key, task)
    },
};

fn optimizers(params: &LmMaEsParams, key: &str, task: &TaskSpec) -> Result<Optimizers> {
    let (dim, vectors) = (task.genome_dim, params.vectors);
    let members = match params.population {
        0 => members(0, task)?.min(dim.max(2)),
        given => members(given, task)?,
    };
    if members > dim.max(2) {
        let message = format!(
            "expected at most as many members as genes with \"lm_ma_es\", which is for many genes; task \"{}\" has {dim}, got {members}; \"cma_es\" is for few",
            task.name
        );
        return Err(Error::config("strategy", key, message));
    }
    let number = move |members| if vectors == 0 { members } else { vectors };
    let optimizers = Optimizers::new(
        members,
        Start::new(params.sigma, &params.center, task),
        move |members, start| {
            let fresh = move || LmMaEs::new(dim, members, number(members), start.step());
            Box::new(Sampled::new(dim, members, start, fresh))
        },
    );
    let bytes = (size_of::<f64>() * dim) as f64 * number(members) as f64;
    Ok(Optimizers {
        holds: Some((bytes, "vectors")),
        ..optimizers
    })
}

pub(super) struct LmMaEs {
    members: usize,
    pub(super) sigma: f64,
    pub(super) path: Vec<f64>,
    /// `[vectors][dim]`.
    pub(super) vectors: Vec<Vec<f64>>,
    path_rate: f64,
    turns: Vec<f64>,
    fades: Vec<f64>,
}

impl LmMaEs {
    /// Rates are the paper's for populations of up to half the genes; beyond, where c_sigma or c_c would exceed 1, they are held there.
    pub(super) fn new(dim: usize, members: usize, vectors: usize, sigma: f64) -> LmMaEs {
        let (n, lambda) = (dim as f64, members as f64);
        let turn = |i: usize| 1.0 / (1.5f64.powi(i as i32) * n);
        let fade = |i: usize| (lambda / (4f64.powi(i as i32) * n)).min(1.0);
        LmMaEs {
            members,
            sigma,
            path: vec![0.0; dim],
            vectors: vec![vec![0.0; dim]; vectors],
            path_rate: (2.0 * lambda / n).min(1.0),
            turns: (0..vectors).map(turn).collect(),
            fades: (0..vectors).map(fade).collect(),
        }
    }
}

/// The inner product, in eight sums whatever the processor.
fn product(a: &[f64], b: &[f64]) -> f64 {
    simd_dispatch!(
        fn [](a: &[f64], b: &[f64]) -> f64 {
            let mut sums = [0.0f64; 8];
            let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
            let rest: f64 = a.remainder().iter().zip(b.remainder()).map(|(a, b)| a * b).sum();
            for (a, b) in a.zip(b) {
                for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
                    *sum = a.mul_add(*b, *sum);
                }
            }
            sums.iter().sum::<f64>() + rest
        }
    )
}

/// Weights of so many parents, best first, and mu_eff.
fn parents(count: usize) -> (Vec<f64>, f64) {
    let raw = |i: usize| (count as f64 + 0.5).ln() - (i as f64 + 1.0).ln();
    let sum: f64 = (0..count).map(raw).sum();
    let weights: Vec<f64> = (0..count).map(|i| raw(i) / sum).collect();
    let effective = 1.0 / weights.iter().map(|w| w * w).sum::<f64>();
    (weights, effective)
}

impl Rule for LmMaEs {
    const MIRRORED: bool = false;

    fn step(&self, updates: u64, z: &mut [f64]) {
        // A vector turns steps once it has moved.
        let moved = self.vectors.len().min(usize::try_from(updates).unwrap_or(usize::MAX));
        for (m, c) in self.vectors[..moved].iter().zip(&self.turns) {
            let along = c * product(m, z);
            z.iter_mut().zip(m).for_each(|(d, m)| *d = (1.0 - c) * *d + along * m);
        }
        z.iter_mut().for_each(|d| *d *= self.sigma);
    }

    fn learn(
        &mut self,
        ranking: &Ranking<'_>,
        noise: &dyn Noise,
        updates: u64,
        mean: &mut [f64],
        widest: f64,
    ) -> Result<()> {
        let (weights, effective) = parents(ranking.parents.unwrap_or(self.members / 2));
        let mut of_members = vec![[0.0; 2]; self.members];
        let ranked = ranking.order.iter().zip(&weights);
        ranked.for_each(|(&member, w)| of_members[member][0] = *w);
        let [toward, _] = noise.sums(&of_members)?;
        // Steps are linear in z, so that their weighted sum is the step of the sum.
        let mut step = toward.clone();
        self.step(updates, &mut step);
        mean.iter_mut().zip(step).for_each(|(m, s)| *m += s);
        let follow = |path: &mut [f64], rate: f64| {
            let gain = (effective * rate * (2.0 - rate)).sqrt();
            path.iter_mut()
                .zip(&toward)
                .for_each(|(p, z)| *p = (1.0 - rate) * *p + gain * z);
        };
        follow(&mut self.path, self.path_rate);
        self.vectors
            .iter_mut()
            .zip(&self.fades)
            .for_each(|(m, rate)| follow(m, *rate));
        let square = product(&self.path, &self.path) / mean.len() as f64;
        // No generation changes it by more than a factor of e.
        let log = (self.path_rate / 2.0 * (square - 1.0)).min(1.0);
        self.sigma = step_size(self.sigma, log.exp()).min(widest);
        Ok(())
    }

    fn deviation(&self, _: usize) -> f64 {
        self.sigma
    }

    fn sigma(&self) -> f64 {
        self.sigma
    }

    fn axes(&self) -> Option<[f64; 2]> {
        None
    }

    fn columns(&self) -> Vec<Column> {
        let (dim, count) = (self.path.len(), self.vectors.len());
        let by_gene = (0..dim)
            .flat_map(|gene| self.vectors.iter().map(move |m| m[gene]))
            .collect();
        vec![
            ("path", "the step size's path", 1, self.path.clone()),
            ("vectors", "vectors of the covariance, a column each", count, by_gene),
        ]
    }

    fn restore(&mut self, sigma: f64, read: &dyn Fn(&str, usize) -> Result<Vec<f64>>) -> Result<()> {
        let count = self.vectors.len();
        let by_gene = read("vectors", count)?;
        for (i, vector) in self.vectors.iter_mut().enumerate() {
            *vector = by_gene[i..].iter().step_by(count).copied().collect();
        }
        self.path = read("path", 1)?;
        self.sigma = sigma;
        Ok(())
    }
}
