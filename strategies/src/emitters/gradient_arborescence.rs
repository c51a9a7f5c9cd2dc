//! Branches along the gradients of fitness and descriptor, weighted by an evolution strategy: the emitter of CMA-MEGA (Fontaine and Nikolaidis, 'Differentiable quality diversity',
//! NeurIPS 2021, <https://arxiv.org/abs/2106.03894>) and CMA-MAEGA, as `GradientArborescenceEmitter` of pyribs (0.12.0, `_gradient_arborescence_emitter.py`).

use illume_core::{Archive, Batch, Context, Differentiable, Error, InsertReport, Result, State, TaskSpec, Told};

use super::course::{Course, count};
use super::{Column, Emitter, Part, Proposal, Rows};
use crate::optimizers::gradient::GradientOptimizer;
use crate::optimizers::{Optimizer, Optimizers, Ranking};

/// What the emitter is made of.
pub(crate) struct Arborescence {
    /// Of the coefficients: one for the fitness and one for each axis of the descriptor.
    pub coefficients: Optimizers,
    /// How the point moves.
    pub optimizer: Box<dyn GradientOptimizer + Send>,
    /// The point begins at zeros, not at a genome of the task's distribution.
    pub zeros: bool,
    /// Gradients count by their directions alone.
    pub normalize: bool,
    pub course: Course,
}

/// See the module.
pub(crate) struct GradientArborescence {
    parts: Arborescence,
    /// The space of the coefficients.
    space: TaskSpec,
    distribution: Box<dyn Optimizer>,
    /// Where branches begin, `[dim]`, and the optimizer's moments and steps.
    point: Vec<f32>,
    moments: [Vec<f32>; 2],
    steps: u64,
    /// Gradients at the point, `[1 + k, dim]`; empty before they are asked for.
    gradients: Vec<f64>,
}

/// Added to a gradient's length before it is divided by it.
const EPSILON: f64 = 1e-8;

/// The part of the point itself, which is evaluated before the branches.
const POINT: usize = 0;

/// The task as a distribution over coefficients sees it.
pub(crate) fn coefficient_space(task: &TaskSpec) -> TaskSpec {
    TaskSpec {
        genome_dim: 1 + task.descriptor_dim(),
        bounds: None,
        given: None,
        genes: None,
        ..task.clone()
    }
}

impl GradientArborescence {
    pub fn new(parts: Arborescence, task: &TaskSpec) -> GradientArborescence {
        GradientArborescence {
            distribution: parts.coefficients.first(),
            parts,
            space: coefficient_space(task),
            point: Vec::new(),
            moments: [Vec::new(), Vec::new()],
            steps: 0,
            gradients: Vec::new(),
        }
    }

    /// Begins at a genome.
    pub(crate) fn begin_at(&mut self, context: &Context<'_>, genes: Vec<f32>) {
        self.moments = [vec![0.0; genes.len()], vec![0.0; genes.len()]];
        self.point = genes;
        self.steps = 0;
        self.distribution = self.parts.coefficients.first();
        self.parts.course.turn(context);
    }

    /// The genome that the run began with.
    fn first(&self, context: &Context<'_>) -> Vec<f32> {
        let mut genes = vec![0.0; context.task.genome_dim];
        if !self.parts.zeros || context.task.given.is_some() {
            context.task.first(context.seed, 0, &mut genes);
        }
        genes
    }

    /// The context of the coefficients' distribution.
    fn in_space<'a>(space: &'a TaskSpec, context: &Context<'a>) -> Context<'a> {
        Context {
            task: space,
            ..*context
        }
    }

    /// Gradients at the point.
    fn differentiate(&mut self, task: &TaskSpec) -> Result<()> {
        let dim = task.genome_dim;
        self.gradients.clear();
        self.gradients.resize(self.space.genome_dim * dim, 0.0);
        differentiable(task)?.gradients(&self.point, &mut self.gradients);
        if self.parts.normalize {
            normalize(&mut self.gradients, dim);
        }
        Ok(())
    }
}

/// What knows the gradients of a task.
///
/// # Errors
/// The task knows none, which is looked at when the strategy is built.
pub(super) fn differentiable(task: &TaskSpec) -> Result<&dyn Differentiable> {
    let missing = || Error::failed("a task without gradients was asked for them");
    task.gradients.as_deref().ok_or_else(missing)
}

/// Divides gradients of `dim` numbers each by their lengths.
pub(super) fn normalize(gradients: &mut [f64], dim: usize) {
    for gradient in gradients.chunks_exact_mut(dim) {
        let length = gradient.iter().map(|x| x * x).sum::<f64>().sqrt() + EPSILON;
        gradient.iter_mut().for_each(|x| *x /= length);
    }
}

/// Where a branch from `point` ends: along each gradient (`[1 + k, dim]`) so far as its coefficient says.
pub(super) fn branch(point: &[f32], gradients: &[f64], coefficients: impl Iterator<Item = f64>, out: &mut [f32]) {
    let mut sum = vec![0.0; point.len()];
    for (gradient, c) in gradients.chunks_exact(point.len()).zip(coefficients) {
        sum.iter_mut()
            .zip(gradient)
            .for_each(|(sum, g)| *sum = c.mul_add(*g, *sum));
    }
    for ((out, x), sum) in out.iter_mut().zip(point).zip(sum) {
        *out = (f64::from(*x) + sum) as f32;
    }
}

impl Emitter for GradientArborescence {
    fn parts(&self) -> Vec<Part> {
        vec![
            Part::new("point", 1),
            Part {
                phase: 1,
                ..Part::new("branch", self.distribution.members())
            },
        ]
    }

    fn in_turn(&self, _ranks: usize) -> bool {
        false
    }

    fn prepare(&mut self, context: &Context<'_>, archive: &dyn Archive) -> Result<()> {
        let course = &mut self.parts.course;
        if !course.spent && course.begun() {
            return Ok(());
        }
        // A run that was given genomes has evaluated them.
        let elite = match course.spent || context.task.given.is_some() {
            true => course.elite(context, archive)?,
            false => None,
        };
        course.restarts += u64::from(course.spent);
        course.spent = false;
        let genes = elite.unwrap_or_else(|| self.first(context));
        self.begin_at(context, genes);
        Ok(())
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, proposal: Proposal<'_>) -> Result<()> {
        let (rows, dim) = (proposal.rows, context.task.genome_dim);
        if rows.phase == POINT {
            for piece in proposal.pieces {
                piece.genes.copy_from_slice(&self.point);
            }
            return Ok(());
        }
        self.differentiate(context.task)?;
        let n = self.space.genome_dim;
        let start = proposal.pieces.first().map_or(0, |piece| rows.before(piece.first));
        let count: usize = proposal.pieces.iter().map(|piece| piece.rows()).sum();
        let mut coefficients = vec![0.0; count * n];
        let space = Self::in_space(&self.space, context);
        self.distribution.ask(&space, start..start + count, &mut coefficients)?;
        let genes = proposal
            .pieces
            .into_iter()
            .flat_map(|piece| piece.genes.chunks_exact_mut(dim));
        for (genes, c) in genes.zip(coefficients.chunks_exact(n)) {
            branch(&self.point, &self.gradients, c.iter().copied().map(f64::from), genes);
        }
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>, report: &InsertReport, rows: &Rows<'_>) -> Result<()> {
        if rows.phase == POINT {
            return Ok(());
        }
        let space = Self::in_space(&self.space, context);
        let ranked = self.parts.course.rank(told, report, rows)?;
        let filter = self.parts.course.filter;
        let parents = if filter { ranked.taken } else { ranked.order.len() / 2 };
        // The parents' weighted mean, whose weights are those of CMA-ES, in coefficients: the point moves towards it.
        let weights = |i: usize| (parents as f64 + 0.5).ln() - ((i + 1) as f64).ln();
        let all: f64 = (0..parents).map(weights).sum();
        let n = self.space.genome_dim;
        let (mut mean, mut member) = (vec![0.0; n], vec![0.0; n]);
        for (i, own) in ranked.order.iter().take(parents).enumerate() {
            self.distribution.member(&space, *own, &mut member);
            let weight = weights(i) / all;
            mean.iter_mut()
                .zip(&member)
                .for_each(|(mean, c)| *mean += weight * f64::from(*c));
        }
        let ranking = Ranking {
            parents: filter.then_some(parents),
            ..Ranking::of(&ranked.order)
        };
        self.distribution.tell(&space, &ranking)?;
        if parents > 0 {
            let zeros = vec![0.0; self.point.len()];
            let mut downhill = zeros.clone();
            branch(&zeros, &self.gradients, mean.iter().map(|c| -c), &mut downhill);
            self.steps += 1;
            let [first, second] = &mut self.moments;
            self.parts
                .optimizer
                .step(self.steps, &downhill, &mut self.point, first, second);
        }
        self.parts.course.over(&space, &ranked, &*self.distribution)
    }

    fn restarts(&self) -> Option<u64> {
        Some(self.parts.course.restarts)
    }

    fn columns(&self) -> Vec<Column> {
        self.parts.course.columns()
    }

    fn values(&self) -> Vec<f64> {
        self.parts.course.values(&*self.distribution)
    }

    fn save(&self, context: &Context<'_>) -> Result<State> {
        let space = Self::in_space(&self.space, context);
        let steps = ("steps", "steps of the point since it began anew", self.steps);
        let mut tables = self.parts.course.save(&space, &*self.distribution, &[steps])?;
        let mut point = Batch::new();
        point.push("point", 1, "", "where branches begin", self.point.clone());
        let [first, second] = &self.moments;
        point.push("first", 1, "", "the optimizer's first moment", first.clone());
        point.push("second", 1, "", "its second moment", second.clone());
        tables.push(("point".into(), point));
        Ok(State { tables, solution: None })
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        self.parts.course.load(context, state)?;
        if !self.parts.course.begun() {
            return Ok(());
        }
        let point = state.table("point")?;
        let genes = point.get::<f32>("point")?;
        if genes.len() != context.task.genome_dim {
            return Err(Error::failed("the checkpoint's point has another number of genes"));
        }
        self.begin_at(context, genes.to_vec());
        self.moments = [
            point.get::<f32>("first")?.to_vec(),
            point.get::<f32>("second")?.to_vec(),
        ];
        self.steps = count(state, "steps")?;
        let space = Self::in_space(&self.space, context);
        self.distribution.load(&space, state)
    }
}
