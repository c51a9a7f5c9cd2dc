//! The normal distribution of full CMA-ES (Hansen's tutorial, appendix A), in f64. All ranks hold it whole and repeat the same update: nothing but the
//! members' order is needed, since every rank makes all members' noise itself.
//!
//! Symbols: m = mean, sigma = sigma, C = covariance = B D^2 B', p_sigma = sigma_path, p_c = path, z = noise, y = B D z, x = m + sigma y. Where the
//! task has bounds all of these are of unbounded numbers, of which genes are folded.

use std::ops::Range;
use std::time::Instant;

use illume_core::{Batch, Context, Error, Purpose, Result, State, Stream};
use illume_numerics::cholesky;
use illume_numerics::covariance::{COLUMNS, ROWS, Symmetric, padded, panels, transform, transform_one};
use illume_numerics::eigen::decompose;
use rayon::prelude::*;

use super::constants::Constants;
use crate::optimizers::margin::{self, Discrete, Margin};
use crate::optimizers::stops::{CONDITION, Genes, Stop, has_diverged, is_still};
use crate::optimizers::{Optimizer, Ranking, Start, step_size, vector};
use crate::record::scalars;

/// Of what kind the matrix A is by which members are drawn, y = A z and C = A A'.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Factor {
    /// B D: the eigenvectors times their scales.
    Eigenvectors,
    /// L: lower triangular (Suttorp, Hansen and Igel 2009; Krause, Arbones and Igel, 'CMA-ES with optimal covariance update and storage complexity', NeurIPS 2016). The step size's path
    /// is then of z in place of C^(-1/2) y, which is z turned; D, of which the ends matter, stands for the diagonal of L: the axes lie further apart than that.
    Cholesky,
}

pub(crate) struct Full {
    dim: usize,
    pub(super) constants: Constants,
    start: Start,
    decompositions: f64,
    factor: Factor,
    /// Generations that one decomposition serves.
    interval: u64,
    pub(super) mean: Vec<f64>,
    pub(super) sigma: f64,
    pub(super) covariance: Symmetric,
    pub(super) sigma_path: Vec<f64>,
    pub(super) path: Vec<f64>,
    /// A, `[panels][dim][ROWS]`.
    transform: Vec<f64>,
    /// D, ascending.
    scales: Vec<f64>,
    /// Updates made, and made when the covariance was last decomposed.
    pub(super) updates: u64,
    decomposed: u64,
    /// Whether bounds have narrowed the covariance since then.
    narrowed: bool,
    /// Whether the covariance had a condition above CONDITION then.
    thin: bool,
    /// Noise of all members, `[members / COLUMNS][dim][COLUMNS]`.
    noise: Vec<f64>,
    /// y of all members and, behind them, p_c; `[panels][members][ROWS]`.
    steps: Vec<f64>,
    weighted: Vec<f64>,
    seconds: f64,
    /// Where some genes are discrete: these, and the factor A of each.
    pub(super) margin: Option<(Margin, Vec<f64>)>,
}

impl Full {
    pub fn new(dim: usize, constants: Constants, start: Start, decompositions: f64, factor: Factor) -> Full {
        let interval = constants.interval(dim, decompositions);
        let mut distribution = Full {
            dim,
            start,
            decompositions,
            factor,
            interval,
            mean: Vec::new(),
            sigma: start.step(),
            covariance: Symmetric::identity(dim),
            sigma_path: vec![0.0; dim],
            path: vec![0.0; dim],
            transform: vec![0.0; panels(dim) * ROWS * dim],
            scales: vec![1.0; dim],
            updates: 0,
            decomposed: 0,
            narrowed: false,
            thin: false,
            noise: Vec::new(),
            steps: Vec::new(),
            weighted: Vec::new(),
            seconds: 0.0,
            margin: None,
            constants,
        };
        for i in 0..dim {
            distribution.transform[place(dim, i, i)] = 1.0;
        }
        distribution
    }

    /// The same with some genes discrete.
    pub fn with(mut self, discrete: Option<Discrete>) -> Full {
        self.margin = discrete.map(|genes| {
            let factors = vec![1.0; genes.len()];
            (Margin::new(genes, self.dim, self.members()), factors)
        });
        self
    }

    /// Begins at these numbers, of which genes are folded.
    pub(super) fn begin_at(&mut self, mean: Vec<f64>) {
        self.mean = mean;
        if let Some((margin, _)) = &self.margin {
            margin.unfolded(self.start.fold.as_ref(), &mut self.mean);
        }
        self.keep_margin();
    }

    /// Corrects mean and A of discrete genes.
    pub(super) fn keep_margin(&mut self) {
        let Some((margin, factors)) = &mut self.margin else {
            return;
        };
        for ((gene, cells), factor) in margin.genes.iter().zip(factors) {
            let deviation = self.sigma * self.covariance.at(*gene, *gene).sqrt();
            margin.correct(*cells, deviation, &mut self.mean[*gene], factor);
        }
    }

    /// Whether a gene is discrete.
    fn is_discrete(&self, gene: usize) -> bool {
        self.margin.as_ref().is_some_and(|(margin, _)| margin.has(gene))
    }

    /// Places for the members and p_c.
    fn width(&self) -> usize {
        padded(self.members() + 1)
    }

    /// Decomposes the covariance if the last decomposition is old enough.
    pub(super) fn refresh(&mut self) -> Result<()> {
        self.seconds = 0.0;
        if self.updates < self.decomposed + self.interval && !self.narrowed {
            return Ok(());
        }
        let began = Instant::now();
        match self.factor {
            Factor::Eigenvectors => self.decompose()?,
            Factor::Cholesky => self.factorize()?,
        }
        self.decomposed = self.updates;
        self.narrowed = false;
        self.seconds = began.elapsed().as_secs_f64();
        Ok(())
    }

    fn factorize(&mut self) -> Result<()> {
        let (dim, none) = (
            self.dim,
            "the covariance of the candidates has no Cholesky factor: fitness drove it beyond all numbers",
        );
        let factor = |covariance: &Symmetric| cholesky::factor(covariance).ok_or_else(|| Error::failed(none));
        let ends = |l: &[f64]| {
            let mut scales: Vec<f64> = (0..dim).map(|i| l[i * dim + i]).collect();
            scales.sort_by(f64::total_cmp);
            scales
        };
        let mut l = factor(&self.covariance)?;
        self.scales = ends(&l);
        let lift = self.scales[dim - 1].powi(2) / CONDITION - self.scales[0].powi(2);
        self.thin = lift > 0.0;
        if self.thin {
            (0..dim).for_each(|i| self.covariance.add(i, lift));
            l = factor(&self.covariance)?;
            self.scales = ends(&l);
        }
        for (p, panel) in self.transform.chunks_exact_mut(dim * ROWS).enumerate() {
            for (place, column) in panel.chunks_exact_mut(ROWS).zip(l.chunks_exact(dim)) {
                place.iter_mut().zip(&column[p * ROWS..]).for_each(|(x, l)| *x = *l);
            }
        }
        Ok(())
    }

    fn decompose(&mut self) -> Result<()> {
        let mut found = decompose(&self.covariance).ok_or_else(|| {
            Error::failed("the covariance of the candidates has no eigenvectors: fitness drove it beyond all numbers")
        })?;
        let (low, high) = (found.values[0], found.values[self.dim - 1]);
        if !(low.is_finite() && high.is_finite() && high > 0.0) {
            return Err(Error::failed(format!(
                "the covariance of the candidates has eigenvalues from {low} to {high}: it is no covariance any more"
            )));
        }
        // A thinner distribution would lose its thin axes in rounding errors.
        let lift = high / CONDITION - low;
        self.thin = lift > 0.0;
        if self.thin {
            (0..self.dim).for_each(|i| self.covariance.add(i, lift));
            found.values.iter_mut().for_each(|v| *v += lift);
        }
        self.scales = found.values.iter().map(|v| v.sqrt()).collect();
        let (dim, scales) = (self.dim, &self.scales);
        self.transform
            .par_chunks_exact_mut(dim * ROWS)
            .enumerate()
            .for_each(|(p, panel)| {
                for (k, scale) in scales.iter().enumerate() {
                    let column = found.vectors.col_as_slice(k);
                    for (x, b) in panel[k * ROWS..][..ROWS].iter_mut().zip(&column[p * ROWS..]) {
                        *x = b * scale;
                    }
                }
            });
        Ok(())
    }

    /// y of all members from their noise.
    pub(super) fn step(&mut self) {
        let width = self.width();
        self.steps.resize(panels(self.dim) * width * ROWS, 0.0);
        transform(&self.transform, self.dim, &self.noise, width, &mut self.steps);
    }

    /// Where the noise of a member lies.
    fn noise_of(&self, member: usize) -> impl Iterator<Item = f64> + '_ {
        let block = &self.noise[member / COLUMNS * COLUMNS * self.dim..][..COLUMNS * self.dim];
        block[member % COLUMNS..].iter().step_by(COLUMNS).copied()
    }

    /// y of a member by panels of rows, the last of which is longer than the genes need.
    fn step_of(&self, member: usize) -> impl Iterator<Item = &[f64]> + '_ {
        self.steps
            .chunks_exact(self.width() * ROWS)
            .map(move |panel| &panel[member * ROWS..][..ROWS])
    }

    /// The update by the members' order, best first.
    pub(super) fn update(&mut self, order: &[usize]) {
        let (c, dim, members) = (&self.constants, self.dim, self.members());
        let n = dim as f64;
        let mut weights = vec![0.0; members];
        order.iter().zip(&c.weights).for_each(|(&m, w)| weights[m] = *w);
        let parents = &order[..c.parents];

        // The mean step in both coordinates, parents from the best.
        let (mut mean_step, mut mean_noise) = (vec![0.0; dim], vec![0.0; dim]);
        for &m in parents {
            let w = weights[m];
            for (sums, step) in mean_step.chunks_mut(ROWS).zip(self.step_of(m)) {
                sums.iter_mut().zip(step).for_each(|(s, y)| *s += w * y);
            }
            mean_noise
                .iter_mut()
                .zip(self.noise_of(m))
                .for_each(|(s, z)| *s += w * z);
        }

        let mut isotropic = mean_noise;
        if self.factor == Factor::Eigenvectors {
            // C^(-1/2) y_w = B z_w.
            isotropic.iter_mut().zip(&self.scales).for_each(|(z, d)| *z /= d);
            let mean_noise = std::mem::take(&mut isotropic);
            transform_one(&self.transform, dim, &mean_noise, &mut isotropic);
        }
        let gain = (c.sigma_rate * (2.0 - c.sigma_rate) * c.effective).sqrt();
        for (p, y) in self.sigma_path.iter_mut().zip(&isotropic) {
            *p = (1.0 - c.sigma_rate) * *p + gain * y;
        }
        let length = self.sigma_path.iter().map(|p| p * p).sum::<f64>().sqrt();
        let moves = c.path_moves(dim, length, self.updates + 1);
        let gain = (c.path_rate * (2.0 - c.path_rate) * c.effective).sqrt();
        let [rank_one, unit] = c.path_factors(self.sigma);
        for (p, y) in self.path.iter_mut().zip(&mean_step) {
            *p = (1.0 - c.path_rate) * *p + if moves { gain * unit * y } else { 0.0 };
        }

        // C: by p_c and by all members, those of negative weight as if each had the expected length.
        let lost = if moves { 0.0 } else { c.path_rate * (2.0 - c.path_rate) };
        let decay = 1.0 + c.rank_one * lost - c.rank_one - c.rank_mu * c.weights.iter().sum::<f64>();
        let width = self.width();
        let mut rates = vec![0.0; width];
        for (m, w) in weights.iter().enumerate() {
            let scaled = if *w < 0.0 {
                w * n / self.noise_of(m).map(|z| z * z).sum::<f64>()
            } else {
                *w
            };
            rates[m] = c.rank_mu * scaled;
        }
        rates[members] = rank_one;
        let path = &self.path;
        self.weighted.resize(self.steps.len(), 0.0);
        let panels = self
            .steps
            .chunks_exact_mut(width * ROWS)
            .zip(self.weighted.chunks_exact_mut(width * ROWS));
        for (p, (steps, weighted)) in panels.enumerate() {
            for (place, x) in steps[members * ROWS..][..ROWS].iter_mut().zip(&path[p * ROWS..]) {
                *place = *x;
            }
            for ((out, row), rate) in weighted
                .chunks_exact_mut(ROWS)
                .zip(steps.chunks_exact(ROWS))
                .zip(&rates)
            {
                out.iter_mut().zip(row).for_each(|(o, y)| *o = rate * y);
            }
        }
        self.covariance.update(decay, &self.steps, &self.weighted, width);

        for (x, y) in self.mean.iter_mut().zip(&mean_step) {
            *x += self.sigma * y;
        }
        self.sigma = step_size(self.sigma, c.sigma_factor(dim, length));
        self.updates += 1;
        if let Some(fold) = self.start.fold {
            self.narrow(fold.widest());
        }
        self.keep_margin();
    }

    /// Standard deviation of a gene.
    pub(super) fn deviation(&self, gene: usize) -> f64 {
        self.sigma * self.covariance.at(gene, gene).sqrt()
    }

    /// Scales genes whose standard deviation is above `widest` down to that, covariance and path alike. Discrete ones are not folded.
    fn narrow(&mut self, widest: f64) {
        let factor = |i: usize| match self.is_discrete(i) {
            true => 1.0,
            false => (widest / self.deviation(i)).min(1.0),
        };
        let factors: Vec<f64> = (0..self.dim).map(factor).collect();
        if factors.iter().all(|f| *f == 1.0) {
            return;
        }
        self.covariance.scale(&factors);
        self.path.iter_mut().zip(&factors).for_each(|(p, f)| *p *= f);
        self.narrowed = true;
    }

    /// Noise that makes these y, `[members][dim]`: for runs whose random numbers are another program's.
    #[cfg(test)]
    pub(super) fn set_steps(&mut self, steps: &[f64]) {
        let (dim, width) = (self.dim, self.width());
        self.noise = vec![0.0; width * dim];
        for (m, y) in steps.chunks_exact(dim).enumerate() {
            for k in 0..dim {
                let along: f64 = (0..dim).map(|r| self.transform[place(dim, r, k)] * y[r]).sum();
                self.noise[(m / COLUMNS * dim + k) * COLUMNS + m % COLUMNS] = along / self.scales[k].powi(2);
            }
        }
        self.step();
    }

    /// z of all members, each by its own stream.
    fn draw(&mut self, context: &Context<'_>) {
        let (dim, members) = (self.dim, self.members());
        self.noise.resize(self.width() * dim, 0.0);
        let fill = |block: usize, out: &mut [f64], buffer: &mut Vec<f32>| {
            buffer.resize(dim, 0.0);
            for j in 0..COLUMNS.min(members.saturating_sub(block * COLUMNS)) {
                let index = (block * COLUMNS + j) as u64;
                Stream::new(context.seed, Purpose::Perturbation, context.generation, index).normals(0, buffer);
                let places = out[j..].iter_mut().step_by(COLUMNS);
                places.zip(&*buffer).for_each(|(place, z)| *place = f64::from(*z));
            }
        };
        let blocks = COLUMNS * dim;
        if dim * members < 1 << 16 {
            let mut buffer = Vec::new();
            for (b, out) in self.noise.chunks_exact_mut(blocks).enumerate() {
                fill(b, out, &mut buffer);
            }
        } else {
            self.noise
                .par_chunks_exact_mut(blocks)
                .enumerate()
                .for_each_init(Vec::new, |buffer, (b, out)| fill(b, out, buffer));
        }
    }
}

/// Where element (row, column) of B D lies.
fn place(dim: usize, row: usize, column: usize) -> usize {
    (row / ROWS * dim + column) * ROWS + row % ROWS
}

scalars! {
    struct Scalars {
        sigma: f64, "", "step size";
        updates: u64, "", "updates made";
        decomposed: u64, "", "updates made at the last decomposition";
        narrowed: u64, "", "whether bounds have narrowed the covariance since then";
    }
}

impl Optimizer for Full {
    fn members(&self) -> usize {
        self.constants.weights.len()
    }

    fn begin(&mut self, context: &Context<'_>) {
        if self.mean.is_empty() {
            self.begin_at(self.start.mean(context));
        }
    }

    fn reset(&mut self, _context: &Context<'_>, genes: &[f32]) {
        let discrete = self.margin.take().map(|(margin, _)| margin.genes);
        let fresh = Full::new(
            self.dim,
            self.constants.clone(),
            self.start,
            self.decompositions,
            self.factor,
        );
        *self = fresh.with(discrete);
        self.begin_at(self.start.unfolded(genes));
    }

    fn ask(&mut self, context: &Context<'_>, rows: Range<usize>, genes: &mut [f32]) -> Result<()> {
        self.begin(context);
        self.refresh()?;
        self.draw(context);
        self.step();
        let distribution = &*self;
        genes
            .par_chunks_exact_mut(self.dim)
            .with_min_len(1 + (1 << 14) / self.dim)
            .zip(rows)
            .for_each(|(genes, member)| distribution.member(context, member, genes));
        Ok(())
    }

    fn member(&self, _context: &Context<'_>, member: usize, genes: &mut [f32]) {
        let sigma = self.sigma;
        let panels = genes
            .chunks_mut(ROWS)
            .zip(self.mean.chunks(ROWS))
            .zip(self.step_of(member));
        for ((genes, mean), step) in panels {
            for ((gene, m), y) in genes.iter_mut().zip(mean).zip(step) {
                let u = m + sigma * y;
                *gene = self.start.gene(u);
            }
        }
        let Some((margin, factors)) = &self.margin else {
            return;
        };
        for ((i, cells), factor) in margin.genes.iter().zip(factors) {
            let y = self.steps[(i / ROWS * self.width() + member) * ROWS + i % ROWS];
            genes[*i] = margin::gene(self.mean[*i] + sigma * factor * y, *cells);
        }
    }

    fn tell(&mut self, _context: &Context<'_>, ranking: &Ranking<'_>) -> Result<()> {
        match ranking.parents {
            None => self.update(ranking.order),
            Some(0) => self.updates += 1,
            Some(parents) => {
                let constants = self.constants.of_parents(self.dim, parents, false);
                let usual = std::mem::replace(&mut self.constants, constants);
                self.update(ranking.order);
                self.constants = usual;
            }
        }
        Ok(())
    }

    fn stop(&self, _context: &Context<'_>, tol_x: f64) -> Result<Option<Stop>> {
        let (sigma, first, fold) = (self.sigma, self.start.step(), self.start.fold.as_ref());
        let tol_x = tol_x * first;
        let real = (0..self.dim).filter(|i| !self.is_discrete(*i));
        let genes = real.map(|i| (self.mean[i], self.deviation(i)));
        let mut genes = Genes::of(genes, fold, tol_x);
        if self.margin.is_some() {
            genes = genes.among_others();
        }
        // One axis after the other.
        let axis = (self.updates % self.dim as u64) as usize;
        let along = |row: usize| 0.1 * sigma * self.transform[place(self.dim, row, axis)];
        Ok(if genes.small && is_still(&self.path, sigma, tol_x) {
            Some(Stop::TolX)
        } else if has_diverged(sigma * self.scales[self.dim - 1], first) {
            Some(Stop::TolXUp)
        } else if self.thin {
            Some(Stop::ConditionCov)
        } else if (0..self.dim).all(|row| self.mean[row] == self.mean[row] + along(row)) {
            Some(Stop::NoEffectAxis)
        } else {
            genes.stop()
        })
    }

    fn mean(&self, genes: &mut [f32]) {
        for (gene, u) in genes.iter_mut().zip(&self.mean) {
            *gene = self.start.gene(*u);
        }
        if let Some((margin, _)) = &self.margin {
            let discrete = margin.genes.iter();
            discrete.for_each(|(i, cells)| genes[*i] = margin::gene(self.mean[*i], *cells));
        }
    }

    fn sigma(&self) -> f64 {
        self.sigma
    }

    fn axis_ratio(&self) -> Option<f64> {
        (self.factor == Factor::Eigenvectors).then(|| self.scales[self.dim - 1] / self.scales[0])
    }

    fn eigen_seconds(&self) -> f64 {
        self.seconds
    }

    fn save(&self, _context: &Context<'_>) -> Result<Vec<(String, Batch)>> {
        let mut vectors = Batch::new();
        let about = "the distribution's mean, before it is folded";
        vectors.push("mean", 1, "", about, self.mean.clone());
        vectors.push("sigma_path", 1, "", "the step size's path", self.sigma_path.clone());
        vectors.push("path", 1, "", "the covariance's path", self.path.clone());
        let about = "standard deviation along each axis, when last decomposed";
        vectors.push("scale", 1, "", about, self.scales.clone());
        let rows = (0..self.dim).flat_map(|r| (0..self.dim).map(move |k| self.transform[place(self.dim, r, k)]));
        let about = "axes, a column each, times their scales";
        vectors.push("transform", self.dim, "", about, rows.collect());
        let mut covariance = Batch::new();
        let about = "rows of the covariance's lower half";
        covariance.push("lower", 1, "", about, self.covariance.lower());
        let distribution = Scalars {
            sigma: self.sigma,
            updates: self.updates,
            decomposed: self.decomposed,
            narrowed: u64::from(self.narrowed),
        };
        let tables = [
            ("vectors", vectors),
            ("covariance", covariance),
            ("law", distribution.table()),
        ];
        let mut tables = tables.map(|(name, table)| (name.into(), table)).to_vec();
        if let Some((_, factors)) = &self.margin {
            let mut margin = Batch::new();
            let about = "by how much the standard deviation of each discrete gene is widened";
            margin.push("factor", 1, "", about, factors.clone());
            tables.push(("margin".into(), margin));
        }
        Ok(tables)
    }

    fn load(&mut self, _context: &Context<'_>, state: &State) -> Result<()> {
        let vectors = state.table("vectors")?;
        let read = |name: &str| -> Result<Vec<f64>> { vector(vectors, name, self.dim, 1) };
        let (mean, sigma_path, path, scales) = (read("mean")?, read("sigma_path")?, read("path")?, read("scale")?);
        let lower = state.table("covariance")?.get::<f64>("lower")?;
        let transform = vectors.get::<f64>("transform")?;
        if lower.len() != self.dim * (self.dim + 1) / 2 || transform.len() != self.dim * self.dim {
            return Err(Error::failed(
                "the checkpoint's covariance is of another number of genes",
            ));
        }
        self.covariance = Symmetric::of_lower(self.dim, lower);
        for (at, x) in transform.iter().enumerate() {
            self.transform[place(self.dim, at / self.dim, at % self.dim)] = *x;
        }
        (self.mean, self.sigma_path, self.path, self.scales) = (mean, sigma_path, path, scales);
        let distribution = Scalars::read(state.table("law")?)?;
        self.sigma = distribution.sigma;
        self.updates = distribution.updates;
        self.decomposed = distribution.decomposed;
        self.narrowed = distribution.narrowed != 0;
        if let Some((margin, factors)) = &mut self.margin {
            *factors = vector(state.table("margin")?, "factor", margin.genes.len(), 1)?;
        }
        Ok(())
    }
}
