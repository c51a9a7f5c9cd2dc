//! xNES, exponential natural evolution strategies (Glasmachers, Schaul, Sun, Wierstra and Schmidhuber, 'Exponential natural evolution strategies', GECCO 2010,
//! <https://doi.org/10.1145/1830483.1830557>; Wierstra et al., 'Natural evolution strategies', JMLR 15, 2014, algorithm 5): a normal distribution with a full covariance
//! that follows the natural gradient in exponential coordinates.
//!
//! Symbols: mu = mean, A = transform, the covariance being A A', s = z, u = utilities. Every rank holds A whole and repeats the update.

use std::time::Instant;

use illume_core::{Error, Params, Result, StrategyConfig, StrategyEntry, TaskSpec, params};
use nalgebra::DMatrix;

use super::noise::Noise;
use super::restarts::RestartParams;
use super::sampled::{Column, Rule, Sampled, extremes, geometric_mean};
use super::snes::by_member;
use super::{Entry, Optimizers, Ranking, Settings, Start, members, search};

params! {
    /// Parameters of `xnes`.
    pub struct XnesParams {
        /// Members per generation; 0 for 4 + floor(3 ln n) with n genes.
        population: usize = 0, range(0, 1 << 24);
        /// Initial step size: the standard deviation of each gene.
        sigma: f64 = 0.3, positive();
        /// Initial mean: "init", a genome by the task's distribution, or "zeros".
        center: String = "init".into(), one_of(&["init", "zeros"]);
        /// Learning rate of the mean.
        mean_rate: f64 = 1.0, positive();
        /// Learning rate of the covariance's root; 0 for 3 (3 + ln n) / (5 n sqrt(n)).
        sigma_rate: f64 = 0.0, at_least(0.0);
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    small: "population = 20\nsigma = 0.1",
    steps: &[("sigma", 2.0)],
    ..StrategyEntry::new(
        "xnes",
        "xNES (Glasmachers et al. 2010): natural gradient of a normal distribution with full covariance",
        <(XnesParams, RestartParams)>::describe,
        |config: &StrategyConfig<'_>| search::of_table("xnes", config, optimizers),
    )
};

pub(super) const OPTIMIZER: Entry = Entry {
    name: "xnes",
    selects: false,
    build: |settings: &Settings<'_>, task: &TaskSpec| {
        let params = XnesParams {
            population: settings.population,
            sigma: settings.sigma,
            center: settings.center.into(),
            ..XnesParams::default()
        };
        optimizers(&params, task)
    },
};

/// Matrices of n x n numbers: A, and what its exponential and its singular values take for a while.
const MATRICES: f64 = 6.0;

fn optimizers(params: &XnesParams, task: &TaskSpec) -> Result<Optimizers> {
    let (dim, n) = (task.genome_dim, task.genome_dim as f64);
    let sigma_rate = match params.sigma_rate {
        0.0 => 0.6 * (3.0 + n.ln()) / (n * n.sqrt()),
        given => given,
    };
    let rates = [params.mean_rate, sigma_rate];
    let optimizers = Optimizers::new(
        members(params.population, task)?,
        Start::new(params.sigma, &params.center, task),
        move |members, start| {
            Box::new(Sampled::new(dim, members, start, move || {
                Xnes::new(dim, start.step(), rates)
            }))
        },
    );
    Ok(Optimizers {
        holds: Some((MATRICES * size_of::<f64>() as f64 * n * n, "matrices")),
        ..optimizers
    })
}

pub(super) struct Xnes {
    /// A.
    pub(super) transform: DMatrix<f64>,
    /// Of the mean and of A.
    rates: [f64; 2],
    /// Standard deviation of each gene: the length of its row of A.
    deviations: Vec<f64>,
    /// Singular values of A.
    axes: Vec<f64>,
    seconds: f64,
}

impl Xnes {
    pub(super) fn new(dim: usize, sigma: f64, rates: [f64; 2]) -> Xnes {
        Xnes {
            transform: DMatrix::from_diagonal_element(dim, dim, sigma),
            rates,
            deviations: vec![sigma; dim],
            axes: vec![sigma; dim],
            seconds: 0.0,
        }
    }

    /// What follows from A, none of whose rows may be longer than `widest`.
    fn measure(&mut self, widest: f64) -> Result<()> {
        self.deviations = self.transform.row_iter().map(|row| row.norm()).collect();
        for (i, deviation) in self.deviations.iter_mut().enumerate().filter(|(_, d)| **d > widest) {
            self.transform.row_mut(i).scale_mut(widest / *deviation);
            *deviation = widest;
        }
        if !self.transform.iter().all(|x| x.is_finite()) {
            return Err(Error::failed(
                "the matrix of the candidates' distribution has grown beyond all numbers",
            ));
        }
        self.axes = self.transform.singular_values().iter().copied().collect();
        Ok(())
    }
}

impl Rule for Xnes {
    const MIRRORED: bool = false;
    const SHARES: bool = false;

    fn step(&self, _: u64, z: &mut [f64]) {
        let dim = z.len();
        let mut step = vec![0.0; dim];
        for (column, z) in self.transform.as_slice().chunks_exact(dim).zip(&*z) {
            step.iter_mut().zip(column).for_each(|(s, a)| *s += a * z);
        }
        z.copy_from_slice(&step);
    }

    fn learn(&mut self, ranking: &Ranking<'_>, noise: &dyn Noise, _: u64, mean: &mut [f64], widest: f64) -> Result<()> {
        let began = Instant::now();
        let (dim, weights) = (mean.len(), by_member(ranking));
        let mut z = DMatrix::<f64>::zeros(dim, weights.len());
        for (member, column) in z.as_mut_slice().chunks_exact_mut(dim).enumerate() {
            noise.direction(member, column);
        }
        let mut weighted = z.clone();
        for (mut column, u) in weighted.column_iter_mut().zip(&weights) {
            column.scale_mut(*u);
        }
        // G_delta and G_M; utilities sum to 0, so that the identities in G_M do, too.
        let toward = weighted.column_sum();
        let gradient = &weighted * z.transpose();
        let [mean_rate, sigma_rate] = self.rates;
        let step = &self.transform * toward;
        mean.iter_mut().zip(step.iter()).for_each(|(m, s)| *m += mean_rate * s);
        self.transform *= (gradient * (sigma_rate / 2.0)).exp();
        self.measure(widest)?;
        self.seconds = began.elapsed().as_secs_f64();
        Ok(())
    }

    fn deviation(&self, gene: usize) -> f64 {
        self.deviations[gene]
    }

    fn sigma(&self) -> f64 {
        geometric_mean(&self.axes)
    }

    fn axes(&self) -> Option<[f64; 2]> {
        Some(extremes(&self.axes))
    }

    fn seconds(&self) -> f64 {
        self.seconds
    }

    fn columns(&self) -> Vec<Column> {
        let rows = self.transform.transpose().as_slice().to_vec();
        vec![(
            "transform",
            "rows of A, the covariance being A A'",
            self.transform.nrows(),
            rows,
        )]
    }

    fn restore(&mut self, _: f64, read: &dyn Fn(&str, usize) -> Result<Vec<f64>>) -> Result<()> {
        let dim = self.transform.nrows();
        self.transform = DMatrix::from_row_slice(dim, dim, &read("transform", dim)?);
        self.measure(f64::INFINITY)
    }
}
