//! The center of an evolution strategy: a dense genome that moves along a weighted sum of its perturbations.
//!
//! Every rank holds the whole center, and the optimizer's moments of its own slice of the parameters. It regenerates any slice of any
//! member's noise, updates its slice over all members in member order, and then all slices are gathered as exact bytes.

use std::ops::Range;
use std::sync::Arc;

use illume_core::{Batch, Context, Error, Genomes, Perturbation, Purpose, Result, Stream, block, params};
use rayon::prelude::*;

use crate::gather::gather;
use crate::{Adam, GradientOptimizer, Sgd};

/// Parameters that one parallel task updates: their gradient stays in the first-level cache.
const SLICE: usize = 4096;

/// A center with its optimizer's state.
#[derive(Debug, Default)]
pub(crate) struct Center {
    /// `[dim]`, the same on all ranks; empty before the first generation.
    pub genes: Arc<Vec<f32>>,
    spare: Arc<Vec<f32>>,
    /// Moments of this rank's slice of the parameters.
    first: Vec<f32>,
    second: Vec<f32>,
    pub steps_taken: u64,
}

params! {
    /// How centers move: parameters that several strategies share.
    pub struct CenterParams {
        /// Step size of the optimizer.
        learning_rate: f64 = 0.01, positive();
        /// Optimizer of a center; each has its own.
        optimizer: String = "adam".into(), one_of(&["adam", "sgd"]);
        /// Decay of Adam's first moment.
        beta1: f64 = 0.9, range(0.0, 0.999_999);
        /// Decay of Adam's second moment.
        beta2: f64 = 0.999, range(0.0, 0.999_999_9);
        /// Adam's epsilon.
        epsilon: f64 = 1e-8, positive();
        /// Momentum of SGD.
        momentum: f64 = 0.9, range(0.0, 0.999_999);
        /// L2 penalty on a center.
        l2: f64 = 0.005, at_least(0.0);
    }
}

/// How a center moves.
pub(crate) struct UpdateRule {
    pub optimizer: Box<dyn GradientOptimizer + Send>,
    /// L2 penalty on the center.
    pub l2: f64,
}

impl UpdateRule {
    pub fn new(p: &CenterParams) -> UpdateRule {
        let optimizer: Box<dyn GradientOptimizer + Send> = match p.optimizer.as_str() {
            "sgd" => Box::new(Sgd {
                learning_rate: p.learning_rate,
                momentum: p.momentum,
            }),
            _ => Box::new(Adam {
                learning_rate: p.learning_rate,
                beta1: p.beta1,
                beta2: p.beta2,
                epsilon: p.epsilon,
            }),
        };
        UpdateRule { optimizer, l2: p.l2 }
    }
}

impl Center {
    /// One that the run begins with: genome number `index` of those that it was given, or else of the task's distribution.
    pub fn draw(context: &Context<'_>, index: u64) -> Center {
        let mut genes = vec![0.0; context.task.genome_dim];
        context.task.first(context.seed, index, &mut genes);
        Center::at(context, genes)
    }

    /// A center that has not moved yet.
    pub fn at(context: &Context<'_>, genes: Vec<f32>) -> Center {
        let mine = context.block(genes.len());
        Center {
            genes: Arc::new(genes),
            first: vec![0.0; mine.len()],
            second: vec![0.0; mine.len()],
            ..Center::default()
        }
    }

    /// Rows `rows` of its mirrored members of this generation; rows behind these are the center.
    pub fn around(&self, context: &Context<'_>, sigma: f64, members: usize, rows: Range<usize>) -> Genomes {
        Genomes::Perturbation(Perturbation {
            center: self.genes.clone(),
            sigma: sigma as f32,
            seed: context.seed,
            generation: context.generation,
            first: rows.start,
            rows: rows.len(),
            members,
            bounds: context.task.bounds,
            low_rank: None,
        })
    }

    /// Moves the center along this generation's perturbations, `ranks` being the worth of each member in mirrored pairs: this rank's slice
    /// over all members in member order, then all slices are gathered.
    ///
    /// # Errors
    /// Communication.
    pub fn climb(&mut self, context: &Context<'_>, rule: &UpdateRule, ranks: &[f32]) -> Result<()> {
        let n = ranks.len();
        let pairs: Vec<(Stream, f32)> = ranks
            .chunks_exact(2)
            .enumerate()
            .map(|(i, r)| {
                let stream = Stream::new(context.seed, Purpose::Perturbation, context.generation, i as u64);
                (stream, (r[0] - r[1]) / n as f32)
            })
            .collect();
        let dim = self.genes.len();
        let mine = context.block(dim);
        let l2 = rule.l2 as f32;
        let bounds = context.task.bounds;
        self.steps_taken += 1;
        let (t, optimizer) = (self.steps_taken, &rule.optimizer);
        let old = &self.genes;
        let mut moved = match Arc::get_mut(&mut self.spare) {
            Some(v) => std::mem::take(v),
            None => Vec::new(),
        };
        moved.resize(dim, 0.0);
        let slice = moved
            .get_mut(mine.clone())
            .ok_or_else(|| Error::failed("this rank's slice is outside the center"))?;
        slice
            .par_chunks_mut(SLICE)
            .zip(self.first.par_chunks_mut(SLICE))
            .zip(self.second.par_chunks_mut(SLICE))
            .enumerate()
            .for_each(|(k, ((theta, first), second))| {
                let start = mine.start + k * SLICE;
                theta.copy_from_slice(&old[start..start + theta.len()]);
                let mut ascent = [0.0; SLICE];
                let ascent = &mut ascent[..theta.len()];
                for (stream, weight) in pairs.iter().filter(|(_, w)| *w != 0.0) {
                    stream.add_normals(start as u64, *weight, ascent);
                }
                // The optimizer descends: gradient = l2 * theta - ascent.
                ascent.iter_mut().zip(&*theta).for_each(|(g, x)| *g = l2 * x - *g);
                optimizer.step(t, ascent, theta, first, second);
                if let Some([low, high]) = bounds {
                    theta.iter_mut().for_each(|x| *x = x.clamp(low, high));
                }
            });
        gather(context, &mut moved, |rank| block(dim, rank, context.comm.size()))?;
        self.spare = std::mem::replace(&mut self.genes, Arc::new(moved));
        Ok(())
    }

    /// Center and moments as a table. Collective.
    ///
    /// # Errors
    /// Communication.
    pub fn table(&self, context: &Context<'_>) -> Result<Batch> {
        let dim = context.task.genome_dim;
        let mine = context.block(dim);
        let whole = |slice: &[f32]| -> Result<Vec<f32>> {
            let mut all = vec![0.0; dim];
            all[mine.clone()].copy_from_slice(slice);
            gather(context, &mut all, |rank| block(dim, rank, context.comm.size()))?;
            Ok(all)
        };
        let mut table = Batch::new();
        table.push("center", 1, "", "the center", self.genes.to_vec());
        table.push("first", 1, "", "the optimizer's first moment", whole(&self.first)?);
        table.push("second", 1, "", "the optimizer's second moment", whole(&self.second)?);
        Ok(table)
    }

    /// The center of a table that [`Center::table`] made, after so many steps.
    ///
    /// # Errors
    /// It is of another task.
    pub fn of(context: &Context<'_>, table: &Batch, steps_taken: u64) -> Result<Center> {
        let genes = table.get::<f32>("center")?;
        if genes.len() != context.task.genome_dim {
            return Err(Error::failed(format!(
                "the checkpoint's center has {} parameters, the task's genomes have {}",
                genes.len(),
                context.task.genome_dim
            )));
        }
        let mine = context.block(genes.len());
        Ok(Center {
            genes: Arc::new(genes.to_vec()),
            spare: Arc::default(),
            first: table.get::<f32>("first")?[mine.clone()].to_vec(),
            second: table.get::<f32>("second")?[mine].to_vec(),
            steps_taken,
        })
    }
}
