//! What optimizers have in common whose members are a mean and a step made of normal numbers: a [`Rule`] says how a step is made and what is learned.

use std::ops::Range;

use illume_core::{Batch, Context, Result, State};
use rayon::prelude::*;

use super::noise::{Drawn, Noise, shared};
use super::stops::{CONDITION, Genes, Stop, has_diverged};
use super::{Optimizer, Ranking, Start, vector};
use crate::record::Field;

/// A vector of a rule's state: name, meaning, numbers a gene, and the numbers, `[dim, width]`.
pub(super) type Column = (&'static str, &'static str, usize, Vec<f64>);

/// How members are made of normal numbers, and what is learned of them. Where genes have bounds all is of unbounded numbers, of which they are folded.
pub(super) trait Rule: Send + Sync {
    /// Members 2i and 2i + 1 are made of the same direction and of its negative.
    const MIRRORED: bool;
    /// Whether it learns of sums of noise, which ranks share where there is much of it.
    const SHARES: bool = true;

    /// A member's step from the mean, in place of its z, after so many updates.
    fn step(&self, updates: u64, z: &mut [f64]);

    /// Moves the mean, `[dim]`, and the rule's own state; `updates` were made before. No standard deviation may exceed `widest`.
    ///
    /// # Errors
    /// Communication.
    fn learn(
        &mut self,
        ranking: &Ranking<'_>,
        noise: &dyn Noise,
        updates: u64,
        mean: &mut [f64],
        widest: f64,
    ) -> Result<()>;

    /// Standard deviation of a gene, as far as it is known.
    fn deviation(&self, gene: usize) -> f64;

    /// As [`Optimizer::sigma`].
    fn sigma(&self) -> f64;

    /// Lengths of the shortest and the longest axis, if they are known.
    fn axes(&self) -> Option<[f64; 2]>;

    /// As [`Optimizer::eigen_seconds`].
    fn seconds(&self) -> f64 {
        0.0
    }

    /// Its state beside the step size.
    fn columns(&self) -> Vec<Column>;

    /// Takes up a state: its step size, and its vectors, which are read by name and width.
    ///
    /// # Errors
    /// A vector is missing or of another length.
    fn restore(&mut self, sigma: f64, read: &dyn Fn(&str, usize) -> Result<Vec<f64>>) -> Result<()>;
}

/// An optimizer by a rule.
pub(super) struct Sampled<R> {
    pub rule: R,
    fresh: Box<dyn Fn() -> R + Send + Sync>,
    dim: usize,
    members: usize,
    start: Start,
    /// Before it is folded; empty before the first generation.
    pub mean: Vec<f64>,
    pub updates: u64,
    /// Axes by which the last generation was drawn.
    axes: Option<[f64; 2]>,
}

impl<R: Rule> Sampled<R> {
    /// Of so many genes and members by the rule that `fresh` makes.
    pub fn new(dim: usize, members: usize, start: Start, fresh: impl Fn() -> R + Send + Sync + 'static) -> Sampled<R> {
        let rule = fresh();
        Sampled {
            axes: rule.axes(),
            rule,
            fresh: Box::new(fresh),
            dim,
            members,
            start,
            mean: Vec::new(),
            updates: 0,
        }
    }

    /// Directions of a generation.
    fn directions(&self) -> usize {
        match R::MIRRORED {
            true => self.members / 2,
            false => self.members,
        }
    }

    fn noise<'a>(&self, context: &'a Context<'a>) -> Drawn<'a> {
        Drawn {
            context,
            directions: self.directions(),
        }
    }

    fn draw(&self, context: &Context<'_>, member: usize, step: &mut Vec<f64>, genes: &mut [f32]) {
        step.resize(genes.len(), 0.0);
        let (direction, sign) = match R::MIRRORED {
            true => (member / 2, if member.is_multiple_of(2) { 1.0 } else { -1.0 }),
            false => (member, 1.0),
        };
        self.noise(context).direction(direction, step);
        self.rule.step(self.updates, step);
        for ((gene, mean), step) in genes.iter_mut().zip(&self.mean).zip(&*step) {
            *gene = self.start.gene(mean + sign * step);
        }
    }

    /// As [`Optimizer::tell`], of any noise.
    pub fn learn(&mut self, ranking: &Ranking<'_>, noise: &dyn Noise) -> Result<()> {
        self.axes = self.rule.axes();
        let widest = self.start.fold.map_or(f64::INFINITY, |fold| fold.widest());
        if ranking.parents != Some(0) {
            self.rule.learn(ranking, noise, self.updates, &mut self.mean, widest)?;
        }
        self.updates += 1;
        Ok(())
    }
}

impl<R: Rule> Optimizer for Sampled<R> {
    fn members(&self) -> usize {
        self.members
    }

    fn begin(&mut self, context: &Context<'_>) {
        if self.mean.is_empty() {
            self.mean = self.start.mean(context);
        }
    }

    fn reset(&mut self, _context: &Context<'_>, genes: &[f32]) {
        self.rule = (self.fresh)();
        self.axes = self.rule.axes();
        self.updates = 0;
        self.mean = self.start.unfolded(genes);
    }

    fn ask(&mut self, context: &Context<'_>, rows: Range<usize>, genes: &mut [f32]) -> Result<()> {
        self.begin(context);
        let (optimizer, dim) = (&*self, self.dim);
        genes
            .par_chunks_exact_mut(dim)
            .with_min_len(1 + (1 << 13) / dim)
            .zip(rows)
            .for_each_init(Vec::new, |step, (genes, member)| {
                optimizer.draw(context, member, step, genes)
            });
        Ok(())
    }

    fn member(&self, context: &Context<'_>, member: usize, genes: &mut [f32]) {
        self.draw(context, member, &mut Vec::new(), genes);
    }

    fn tell(&mut self, context: &Context<'_>, ranking: &Ranking<'_>) -> Result<()> {
        let noise = self.noise(context);
        self.learn(ranking, &noise)
    }

    fn stop(&self, _context: &Context<'_>, tol_x: f64) -> Result<Option<Stop>> {
        let first = self.start.step();
        let genes = (self.mean.iter().enumerate()).map(|(i, mean)| (*mean, self.rule.deviation(i)));
        let genes = Genes::of(genes, self.start.fold.as_ref(), tol_x * first);
        let axes = self.rule.axes();
        let longest = axes.map_or(self.rule.sigma(), |[_, longest]| longest);
        Ok(if genes.small {
            Some(Stop::TolX)
        } else if has_diverged(longest, first) {
            Some(Stop::TolXUp)
        } else if axes.is_some_and(|[shortest, longest]| (longest / shortest).powi(2) > CONDITION) {
            Some(Stop::ConditionCov)
        } else {
            genes.stop()
        })
    }

    fn communicates(&self) -> bool {
        R::SHARES && shared(self.dim, self.directions())
    }

    fn mean(&self, genes: &mut [f32]) {
        genes
            .iter_mut()
            .zip(&self.mean)
            .for_each(|(gene, u)| *gene = self.start.gene(*u));
    }

    fn sigma(&self) -> f64 {
        self.rule.sigma()
    }

    fn axis_ratio(&self) -> Option<f64> {
        self.axes.map(|[shortest, longest]| longest / shortest)
    }

    fn eigen_seconds(&self) -> f64 {
        self.rule.seconds()
    }

    fn save(&self, _context: &Context<'_>) -> Result<Vec<(String, Batch)>> {
        let mut vectors = Batch::new();
        let meaning = "the distribution's mean, before it is folded";
        vectors.push("mean", 1, "", meaning, self.mean.clone());
        for (name, meaning, width, values) in self.rule.columns() {
            vectors.push(name, width, "", meaning, values);
        }
        let mut numbers = Batch::new();
        numbers.push("sigma", 1, "", "step size", vec![self.rule.sigma()]);
        numbers.push("updates", 1, "", "updates made", vec![self.updates]);
        Ok(vec![("vectors".into(), vectors), ("optimizer".into(), numbers)])
    }

    fn load(&mut self, _context: &Context<'_>, state: &State) -> Result<()> {
        let vectors = state.table("vectors")?;
        let read = |name: &str, width: usize| vector(vectors, name, self.dim, width);
        self.mean = read("mean", 1)?;
        let numbers = state.table("optimizer")?;
        self.rule.restore(Field::read(numbers, "sigma")?, &read)?;
        self.axes = self.rule.axes();
        self.updates = Field::read(numbers, "updates")?;
        Ok(())
    }
}

/// Shortest and longest of the standard deviations of genes.
pub(super) fn extremes(deviations: &[f64]) -> [f64; 2] {
    deviations
        .iter()
        .fold([f64::INFINITY, 0.0], |[low, high], d| [low.min(*d), high.max(*d)])
}

/// The geometric mean of the standard deviations of genes: the step size of a distribution whose axes are the genes.
pub(super) fn geometric_mean(deviations: &[f64]) -> f64 {
    (deviations.iter().map(|d| d.ln()).sum::<f64>() / deviations.len() as f64).exp()
}
