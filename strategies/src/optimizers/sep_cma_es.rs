//! Separable CMA-ES (Ros and Hansen, 'A simple modification in CMA-ES achieving linear time and space complexity', PPSN 2008,
//! <https://inria.hal.science/inria-00287367>): a diagonal covariance, learned (n + 2) / 3 times as fast as a full one.
//!
//! Symbols: m = mean, sigma = sigma, C = variance (its diagonal), p_sigma = sigma_path, p_c = path, x = m + sigma sqrt(C) z. Each rank updates
//! its slice of the genes over all parents, whose noise it makes again, and then the slices are gathered: memory beside the genomes is a few
//! numbers a gene, and what travels does not grow with the population.

use std::ops::Range;

use illume_core::{
    Batch, Context, Params, Purpose, Result, State, StrategyConfig, StrategyEntry, Stream, TaskSpec, block, params,
};
use illume_numerics::simd_dispatch;
use rayon::prelude::*;

use super::cma_es::constants::Constants;
use super::fold::Fold;
use super::margin::{self, Discrete, Margin};
use super::noise::{SLICE, add_up, genes_of};
use super::restarts::RestartParams;
use super::stops::{CONDITION, Genes, Stop, has_diverged, is_still};
use super::{Entry, Optimizer, Optimizers, Ranking, Settings, Start, members, search, step_size, vector};
use crate::gather::gather;
use crate::record::Field;

params! {
    /// Parameters of `sep_cma_es`.
    pub struct SepCmaEsParams {
        /// Members per generation; 0 for 4 + floor(3 ln n) with n genes.
        population: usize = 0, range(0, 1 << 24);
        /// Initial step size: the standard deviation of each gene.
        sigma: f64 = 0.3, positive();
        /// Initial mean: "init", a genome by the task's distribution, or "zeros".
        center: String = "init".into(), one_of(&["init", "zeros"]);
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    small: "population = 20\nsigma = 0.1",
    steps: &[("sigma", 2.0)],
    ..StrategyEntry::new(
        "sep_cma_es",
        "Separable CMA-ES (Ros and Hansen 2008): a normal distribution with step size and diagonal covariance, for many genes",
        <(SepCmaEsParams, RestartParams)>::describe,
        |config: &StrategyConfig<'_>| search::of_table("sep_cma_es", config, separable),
    )
};

pub(super) const OPTIMIZER: Entry = Entry {
    name: "sep_cma_es",
    selects: true,
    build: |settings: &Settings<'_>, task: &TaskSpec| {
        let params = SepCmaEsParams {
            population: settings.population,
            sigma: settings.sigma,
            center: settings.center.into(),
        };
        separable(&params, task)
    },
};

/// The optimizers of `sep_cma_es` for a task.
///
/// # Errors
/// One member alone.
pub(super) fn separable(params: &SepCmaEsParams, task: &TaskSpec) -> Result<Optimizers> {
    let start = Start::new(params.sigma, &params.center, task);
    let (dim, discrete) = (task.genome_dim, margin::discrete(task));
    Ok(Optimizers::new(
        members(params.population, task)?,
        start,
        move |members, start| {
            let constants = Constants::separable(dim, members);
            Box::new(Separable::new(dim, constants, start).with(dim, discrete.clone()))
        },
    ))
}

struct Separable {
    constants: Constants,
    start: Start,
    sigma: f64,
    updates: u64,
    /// m, rounded, and sigma sqrt(C), rounded: whole on all ranks, members are drawn from them. Empty before the first generation.
    center: Vec<f32>,
    spread: Vec<f32>,
    own: Own,
    axis_ratio: f64,
    /// The longest axis of the distribution by which the last generation was drawn.
    longest: f64,
    /// Where some genes are discrete.
    margin: Option<Margin>,
}

/// What a rank holds of its slices alone.
#[derive(Default)]
struct Own {
    mean: Vec<f64>,
    variance: Vec<f64>,
    sigma_path: Vec<f64>,
    path: Vec<f64>,
    /// Weighted sums over the parents of z and of z^2.
    first: Vec<f64>,
    second: Vec<f64>,
    /// A: by how much the margin widens the standard deviations of its discrete genes.
    factors: Vec<f64>,
}

impl Separable {
    fn new(dim: usize, constants: Constants, start: Start) -> Separable {
        let spread = vec![start.step() as f32; dim];
        Separable {
            constants,
            start,
            sigma: start.step(),
            updates: 0,
            center: Vec::new(),
            spread,
            own: Own::default(),
            axis_ratio: 1.0,
            longest: start.step(),
            margin: None,
        }
    }

    /// The same with some genes discrete.
    fn with(mut self, dim: usize, discrete: Option<Discrete>) -> Separable {
        self.margin = discrete.map(|genes| Margin::new(genes, dim, self.members()));
        self
    }

    fn begin_with(&mut self, context: &Context<'_>, mean: &[f64]) {
        let mine = self.mine(context);
        let (mut mean, mut factors) = (mean.to_vec(), Vec::new());
        if let Some(margin) = &self.margin {
            margin.unfolded(self.start.fold.as_ref(), &mut mean);
            // Every rank for itself, from what all know.
            for (gene, cells) in margin.genes.iter() {
                let mut factor = 1.0;
                margin.correct(*cells, self.sigma, &mut mean[*gene], &mut factor);
                self.spread[*gene] = (self.sigma * factor) as f32;
                if mine.contains(gene) {
                    factors.push(factor);
                }
            }
        }
        self.center = mean.iter().map(|m| *m as f32).collect();
        self.own = Own {
            mean: mean[mine.clone()].to_vec(),
            variance: vec![1.0; mine.len()],
            factors,
            ..Own::empty(mine.len())
        };
    }

    fn mine(&self, context: &Context<'_>) -> Range<usize> {
        genes_of(context.task.genome_dim, context.comm.rank(), context.comm.size())
    }

    /// Genes `from..from + out.len()` of a member.
    fn draw(&self, context: &Context<'_>, member: usize, from: usize, out: &mut [f32]) {
        let stream = Stream::new(context.seed, Purpose::Perturbation, context.generation, member as u64);
        for (out, from) in out.chunks_mut(SLICE).zip((from..).step_by(SLICE)) {
            stream.normals(from as u64, out);
            let range = from..from + out.len();
            let (center, spread) = (&self.center[range.clone()], &self.spread[range.clone()]);
            let Some(margin) = &self.margin else {
                spread_out(center, spread, self.start.fold, out);
                continue;
            };
            let number = |(i, cells): (usize, u32)| (i, cells, spread[i].mul_add(out[i], center[i]));
            let discrete: Vec<(usize, u32, f32)> = margin.within(range).map(number).collect();
            spread_out(center, spread, self.start.fold, out);
            for (i, cells, u) in discrete {
                out[i] = margin::gene(f64::from(u), cells);
            }
        }
    }

    /// Sums over the parents, and the new path of the step size: for each slice its square and the least and largest variance.
    fn add_up(&mut self, context: &Context<'_>, parents: &[(Stream, [f64; 2])], from: usize) -> Result<Vec<[f64; 3]>> {
        let c = &self.constants;
        let gain = (c.sigma_rate * (2.0 - c.sigma_rate) * c.effective).sqrt();
        let keep = 1.0 - c.sigma_rate;
        let own = &mut self.own;
        let mine: Vec<[f64; 3]> = own
            .first
            .par_chunks_mut(SLICE)
            .zip(own.second.par_chunks_mut(SLICE))
            .zip(own.sigma_path.par_chunks_mut(SLICE))
            .zip(own.variance.par_chunks(SLICE))
            .enumerate()
            .map(|(s, (((first, second), path), variance))| {
                add_up(parents, from + s * SLICE, first, second);
                let mut square = 0.0;
                for (p, z) in path.iter_mut().zip(&*first) {
                    *p = keep * *p + gain * z;
                    square += *p * *p;
                }
                let low = variance.iter().copied().fold(f64::INFINITY, f64::min);
                let high = variance.iter().copied().fold(0.0, f64::max);
                [square, low, high]
            })
            .collect();
        if context.comm.size() == 1 {
            return Ok(mine);
        }
        let (slices, size) = (context.task.genome_dim.div_ceil(SLICE), context.comm.size());
        let mut all = vec![[0.0; 3]; slices];
        all[block(slices, context.comm.rank(), size)].copy_from_slice(&mine);
        let part = |rank| {
            let own = block(slices, rank, size);
            3 * own.start..3 * own.end
        };
        gather(context, all.as_flattened_mut(), part)?;
        Ok(all)
    }

    /// Path, variance and mean after the sums are known.
    fn move_on(&mut self, moves: bool, factor: f64, mine: Range<usize>) {
        let c = &self.constants;
        let gain = if moves {
            (c.path_rate * (2.0 - c.path_rate) * c.effective).sqrt()
        } else {
            0.0
        };
        let lost = if moves { 0.0 } else { c.path_rate * (2.0 - c.path_rate) };
        let decay = 1.0 + c.rank_one * lost - c.rank_one - c.rank_mu;
        let (keep, rank_one, rank_mu) = (1.0 - c.path_rate, c.rank_one, c.rank_mu);
        let sigma = self.sigma;
        self.sigma = step_size(sigma, factor);
        let next = self.sigma;
        let widest = self.start.fold.map_or(f64::INFINITY, |fold| fold.widest());
        let (margin, from) = (self.margin.as_ref(), mine.start);
        let own = &mut self.own;
        own.mean
            .par_chunks_mut(SLICE)
            .zip(own.variance.par_chunks_mut(SLICE))
            .zip(own.path.par_chunks_mut(SLICE))
            .zip(own.first.par_chunks(SLICE).zip(own.second.par_chunks(SLICE)))
            .zip(self.center[mine.clone()].par_chunks_mut(SLICE))
            .zip(self.spread[mine.clone()].par_chunks_mut(SLICE))
            .enumerate()
            .for_each(|(s, (((((mean, variance), path), (first, second)), center), spread))| {
                for i in 0..mean.len() {
                    let step = variance[i].sqrt() * first[i];
                    path[i] = keep * path[i] + gain * step;
                    variance[i] = (decay + rank_mu * second[i]) * variance[i] + rank_one * path[i] * path[i];
                    mean[i] += sigma * step;
                    let mut deviation = next * variance[i].sqrt();
                    let folded = || margin.is_none_or(|margin| !margin.has(from + s * SLICE + i));
                    if deviation > widest && folded() {
                        let narrower = widest / deviation;
                        variance[i] *= narrower * narrower;
                        path[i] *= narrower;
                        deviation = widest;
                    }
                    center[i] = mean[i] as f32;
                    spread[i] = deviation as f32;
                }
            });
        let Some(margin) = &self.margin else {
            return;
        };
        for ((i, cells), factor) in margin.within(mine).zip(&mut own.factors) {
            let deviation = next * own.variance[i].sqrt();
            margin.correct(cells, deviation, &mut own.mean[i], factor);
            self.center[from + i] = own.mean[i] as f32;
            self.spread[from + i] = (deviation * *factor) as f32;
        }
    }

    /// Makes center and spread whole on every rank.
    fn exchange(&mut self, context: &Context<'_>) -> Result<()> {
        let (dim, size) = (context.task.genome_dim, context.comm.size());
        gather(context, &mut self.center, |rank| genes_of(dim, rank, size))?;
        gather(context, &mut self.spread, |rank| genes_of(dim, rank, size))
    }

    /// The update by the members' order, best first.
    fn update(&mut self, context: &Context<'_>, order: &[usize]) -> Result<()> {
        let stream = |m: usize| Stream::new(context.seed, Purpose::Perturbation, context.generation, m as u64);
        let parents = order[..self.constants.parents].iter().zip(&self.constants.weights);
        let parents: Vec<(Stream, [f64; 2])> = parents.map(|(&m, w)| (stream(m), [*w; 2])).collect();
        let mine = self.mine(context);
        let slices = self.add_up(context, &parents, mine.start)?;
        let length = slices.iter().map(|s| s[0]).sum::<f64>().sqrt();
        let low = slices.iter().map(|s| s[1]).fold(f64::INFINITY, f64::min);
        let high = slices.iter().map(|s| s[2]).fold(0.0, f64::max);
        self.axis_ratio = (high / low).sqrt();
        self.longest = self.sigma * high.sqrt();
        let moves = self
            .constants
            .path_moves(context.task.genome_dim, length, self.updates + 1);
        let factor = self.constants.sigma_factor(context.task.genome_dim, length);
        self.move_on(moves, factor, mine);
        self.updates += 1;
        self.exchange(context)
    }

    /// The whole of a vector of which each rank has its slices.
    fn whole(&self, context: &Context<'_>, values: &[f64]) -> Result<Vec<f64>> {
        let (dim, size) = (context.task.genome_dim, context.comm.size());
        let mut all = vec![0.0; dim];
        all[self.mine(context)].copy_from_slice(values);
        gather(context, &mut all, |rank| genes_of(dim, rank, size))?;
        Ok(all)
    }
}

/// `center + spread * z` in place of z, folded.
fn spread_out(center: &[f32], spread: &[f32], fold: Option<Fold>, out: &mut [f32]) {
    simd_dispatch!(
        fn [](center: &[f32], spread: &[f32], fold: Option<Fold>, out: &mut [f32]) {
            for ((x, c), s) in out.iter_mut().zip(center).zip(spread) {
                *x = s.mul_add(*x, *c);
            }
            if let Some(fold) = fold {
                out.iter_mut().for_each(|x| *x = fold.gene(f64::from(*x)) as f32);
            }
        }
    )
}

impl Optimizer for Separable {
    fn members(&self) -> usize {
        self.constants.weights.len()
    }

    fn begin(&mut self, context: &Context<'_>) {
        if self.center.is_empty() {
            self.begin_with(context, &self.start.mean(context));
        }
    }

    fn reset(&mut self, context: &Context<'_>, genes: &[f32]) {
        let (dim, discrete) = (context.task.genome_dim, self.margin.take().map(|margin| margin.genes));
        *self = Separable::new(dim, self.constants.clone(), self.start).with(dim, discrete);
        self.begin_with(context, &self.start.unfolded(genes));
    }

    fn communicates(&self) -> bool {
        true
    }

    fn ask(&mut self, context: &Context<'_>, rows: Range<usize>, genes: &mut [f32]) -> Result<()> {
        self.begin(context);
        let dim = context.task.genome_dim;
        let distribution = &*self;
        // Rows of a few genes are made together, long rows in parts.
        const PART: usize = 1 << 15;
        if dim >= PART {
            genes.par_chunks_exact_mut(dim).zip(rows).for_each(|(genes, member)| {
                let parts = genes.par_chunks_mut(PART).enumerate();
                parts.for_each(|(p, part)| distribution.draw(context, member, p * PART, part));
            });
        } else {
            let rows = genes.par_chunks_exact_mut(dim).with_min_len(PART / dim).zip(rows);
            rows.for_each(|(genes, member)| distribution.draw(context, member, 0, genes));
        }
        Ok(())
    }

    fn member(&self, context: &Context<'_>, member: usize, genes: &mut [f32]) {
        self.draw(context, member, 0, genes);
    }

    fn tell(&mut self, context: &Context<'_>, ranking: &Ranking<'_>) -> Result<()> {
        match ranking.parents {
            None => self.update(context, ranking.order),
            Some(0) => {
                self.updates += 1;
                Ok(())
            }
            Some(parents) => {
                let constants = self.constants.of_parents(context.task.genome_dim, parents, true);
                let usual = std::mem::replace(&mut self.constants, constants);
                let told = self.update(context, ranking.order);
                self.constants = usual;
                told
            }
        }
    }

    fn stop(&self, context: &Context<'_>, tol_x: f64) -> Result<Option<Stop>> {
        const PART: usize = 1 << 14;
        let (first, fold) = (self.start.step(), self.start.fold.as_ref());
        let tol_x = tol_x * first;
        let parts = self
            .center
            .par_chunks(PART)
            .zip(self.spread.par_chunks(PART))
            .enumerate();
        // Discrete genes never come to rest.
        let real = |gene: usize| self.margin.as_ref().is_none_or(|margin| !margin.has(gene));
        let genes = parts.map(|(part, (center, spread))| {
            let genes = center
                .iter()
                .zip(spread)
                .enumerate()
                .filter(|(i, _)| real(part * PART + i));
            let genes = genes.map(|(_, (c, s))| (f64::from(*c), f64::from(*s)));
            match self.margin {
                None => Genes::of(genes, fold, tol_x),
                Some(_) => Genes::of(genes, fold, tol_x).among_others(),
            }
        });
        let genes = genes.reduce_with(Genes::and);
        // A rank has the path of its own genes alone.
        let still = if genes.is_some_and(|genes| genes.small) {
            let moves = u64::from(!is_still(&self.own.path, self.sigma, tol_x));
            let of_all = if context.comm.size() > 1 {
                context.comm.any(moves)?
            } else {
                moves
            };
            of_all == 0
        } else {
            false
        };
        // Axes are genes: NoEffectCoord says what NoEffectAxis would.
        Ok(if still {
            Some(Stop::TolX)
        } else if has_diverged(self.longest, first) {
            Some(Stop::TolXUp)
        } else if self.axis_ratio * self.axis_ratio > CONDITION {
            Some(Stop::ConditionCov)
        } else {
            genes.and_then(Genes::stop)
        })
    }

    fn mean(&self, genes: &mut [f32]) {
        for (gene, u) in genes.iter_mut().zip(&self.center) {
            *gene = self.start.fold.map_or(*u, |fold| fold.gene(f64::from(*u)) as f32);
        }
        if let Some(margin) = &self.margin {
            let discrete = margin.genes.iter();
            discrete.for_each(|(i, cells)| genes[*i] = margin::gene(f64::from(self.center[*i]), *cells));
        }
    }

    fn sigma(&self) -> f64 {
        self.sigma
    }

    fn axis_ratio(&self) -> Option<f64> {
        Some(self.axis_ratio)
    }

    fn save(&self, context: &Context<'_>) -> Result<Vec<(String, Batch)>> {
        let own = &self.own;
        let mut vectors = Batch::new();
        for (name, meaning, values) in [
            ("mean", "the distribution's mean, before it is folded", &own.mean),
            ("variance", "the covariance's diagonal", &own.variance),
            ("sigma_path", "the step size's path", &own.sigma_path),
            ("path", "the covariance's path", &own.path),
        ] {
            vectors.push(name, 1, "", meaning, self.whole(context, values)?);
        }
        let mut distribution = Batch::new();
        distribution.push("sigma", 1, "", "step size", vec![self.sigma]);
        distribution.push("updates", 1, "", "updates made", vec![self.updates]);
        let mut tables = vec![("vectors".into(), vectors), ("law".into(), distribution)];
        if let Some(margin) = &self.margin {
            let mut whole = vec![0.0; context.task.genome_dim];
            for ((i, _), factor) in margin.within(self.mine(context)).zip(&own.factors) {
                whole[self.mine(context).start + i] = *factor;
            }
            let whole = self.whole(context, &whole[self.mine(context)])?;
            let factors = margin.genes.iter().map(|(gene, _)| whole[*gene]).collect();
            let mut table = Batch::new();
            let about = "by how much the standard deviation of each discrete gene is widened";
            table.push("factor", 1, "", about, factors);
            tables.push(("margin".into(), table));
        }
        Ok(tables)
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        let (dim, mine) = (context.task.genome_dim, self.mine(context));
        let vectors = state.table("vectors")?;
        let read = |name: &str| vector(vectors, name, dim, 1);
        let (mean, variance) = (read("mean")?, read("variance")?);
        let distribution = state.table("law")?;
        self.sigma = Field::read(distribution, "sigma")?;
        self.updates = Field::read(distribution, "updates")?;
        self.center = mean.iter().map(|m| *m as f32).collect();
        self.spread = variance.iter().map(|v| (self.sigma * v.sqrt()) as f32).collect();
        self.own = Own {
            mean: mean[mine.clone()].to_vec(),
            variance: variance[mine.clone()].to_vec(),
            sigma_path: read("sigma_path")?[mine.clone()].to_vec(),
            path: read("path")?[mine.clone()].to_vec(),
            ..Own::empty(mine.len())
        };
        if let Some(margin) = &self.margin {
            let factors = vector(state.table("margin")?, "factor", margin.genes.len(), 1)?;
            for ((gene, _), factor) in margin.genes.iter().zip(factors) {
                let deviation = self.sigma * variance[*gene].sqrt();
                self.spread[*gene] = (deviation * factor) as f32;
                if mine.contains(gene) {
                    self.own.factors.push(factor);
                }
            }
        }
        Ok(())
    }
}

impl Own {
    /// Paths and sums of nothing.
    fn empty(len: usize) -> Own {
        let zeros = || vec![0.0; len];
        Own {
            mean: Vec::new(),
            variance: Vec::new(),
            sigma_path: zeros(),
            path: zeros(),
            first: zeros(),
            second: zeros(),
            factors: Vec::new(),
        }
    }
}
