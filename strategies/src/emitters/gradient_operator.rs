//! Branches along the gradients of elites, with random coefficients: the emitter of OMG-MEGA (Fontaine and Nikolaidis, 'Differentiable quality diversity', NeurIPS 2021,
//! <https://arxiv.org/abs/2106.03894>), as `GradientOperatorEmitter` of pyribs (0.12.0, `_gradient_operator_emitter.py`).

use illume_core::{Archive, Context, Inbox, InsertReport, Purpose, Result, State, Stream, Told};
use rayon::prelude::*;

use super::gradient_arborescence::{branch, differentiable, normalize};
use super::variation::select;
use super::{Emitter, Part, Piece, Proposal, Rows, missing};

/// See the module.
pub(crate) struct GradientOperator {
    /// Elites of a generation; as many branches.
    pub elites: usize,
    /// Standard deviation of the noise on elites before they are evaluated again.
    pub iso: f64,
    /// Standard deviation of the coefficients; without `measures`, the fitness' coefficient.
    pub sigma: f64,
    /// Whether branches go along the descriptor's gradients, too.
    pub measures: bool,
    /// Gradients count by their directions alone.
    pub normalize: bool,
    /// It begins at zeros, not at genomes of the task's distribution.
    pub zeros: bool,
    /// The generation's elites with their noise on every rank, `[elites, dim]`, and their cells.
    pub points: Vec<f32>,
    pub cells: Vec<u32>,
    pub inbox: Inbox,
}

impl Emitter for GradientOperator {
    fn parts(&self) -> Vec<Part> {
        vec![
            Part::new("elite", self.elites),
            Part {
                phase: 1,
                ..Part::new("branch", self.elites)
            },
        ]
    }

    fn in_turn(&self, _ranks: usize) -> bool {
        true
    }

    /// Draws the elites and brings all of them to every rank: who evaluates a branch need not be who evaluated its point.
    fn prepare(&mut self, context: &Context<'_>, archive: &dyn Archive) -> Result<()> {
        let (dim, n, ranks) = (context.task.genome_dim, self.elites, context.comm.size());
        self.points.resize(n * dim, 0.0);
        let noise = Stream::new(context.seed, Purpose::Variation, context.generation, 0);
        noise.normals(0, &mut self.points);
        if archive.elites().filled.is_empty() {
            self.cells.clear();
            let mut genes = vec![0.0; dim];
            for (i, point) in self.points.chunks_exact_mut(dim).enumerate() {
                if !self.zeros {
                    let stream = Stream::new(context.seed, Purpose::Init, context.generation, i as u64);
                    context.task.init.draw(&stream, &mut genes);
                }
                disturb(point, &genes, self.iso);
            }
            return Ok(());
        }
        let selection = Stream::new(context.seed, Purpose::Selection, context.generation, 0);
        let mut pairs = vec![0; 2 * n];
        select(&selection, 0, archive, &mut pairs);
        self.cells = pairs.chunks_exact(2).map(|pair| pair[0]).collect();
        let wanted: Vec<u32> = (0..ranks).flat_map(|_| self.cells.iter().copied()).collect();
        let bounds: Vec<usize> = (0..=ranks).map(|rank| rank * n).collect();
        let fetched = archive.fetch(&wanted, &bounds, context.comm, &mut self.inbox)?;
        for (point, cell) in self.points.chunks_exact_mut(dim).zip(&self.cells) {
            let genome = fetched.genome(*cell).ok_or_else(|| missing(*cell))?;
            disturb(point, genome.dense()?, self.iso);
        }
        Ok(())
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, proposal: Proposal<'_>) -> Result<()> {
        let (rows, dim, axes) = (proposal.rows, context.task.genome_dim, context.task.descriptor_dim());
        let differentiable = differentiable(context.task)?;
        let draws = Stream::new(context.seed, Purpose::Line, context.generation, 0);
        let pieces: Vec<Piece<'_>> = proposal.pieces.into_iter().flat_map(|piece| piece.chunks(1)).collect();
        pieces.into_par_iter().for_each(|piece| {
            let own = rows.before(piece.first);
            let point = &self.points[own * dim..(own + 1) * dim];
            if let Some(cell) = self.cells.get(own) {
                piece.parents[0] = i64::from(*cell);
            }
            if rows.phase == 0 {
                return piece.genes.copy_from_slice(point);
            }
            let mut gradients = vec![0.0; (1 + axes) * dim];
            differentiable.gradients(point, &mut gradients);
            if self.normalize {
                normalize(&mut gradients, dim);
            }
            let mut coefficients = vec![0.0; 1 + axes];
            draws.normals((own * (1 + axes)) as u64, &mut coefficients);
            // Never downhill.
            coefficients[0] = coefficients[0].abs();
            let scaled = coefficients.iter().map(|c| self.sigma * f64::from(*c));
            match self.measures {
                true => branch(point, &gradients, scaled, piece.genes),
                false => branch(point, &gradients, std::iter::once(self.sigma), piece.genes),
            }
        });
        Ok(())
    }

    fn tell(&mut self, _: &Context<'_>, _: &Told<'_>, _: &InsertReport, _: &Rows<'_>) -> Result<()> {
        Ok(())
    }

    /// Nothing: the archive and the generation's number are all that it varies by.
    fn save(&self, _context: &Context<'_>) -> Result<State> {
        Ok(State::default())
    }

    fn load(&mut self, _context: &Context<'_>, _state: &State) -> Result<()> {
        Ok(())
    }
}

/// Turns standard normals into a genome with noise.
fn disturb(normals: &mut [f32], genes: &[f32], sigma: f64) {
    for (z, x) in normals.iter_mut().zip(genes) {
        *z = z.mul_add(sigma as f32, *x);
    }
}
