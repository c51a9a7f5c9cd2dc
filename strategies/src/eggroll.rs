//! EGGROLL (Sarkar et al., 'Evolution strategies at the hyperscale', 2025, <https://arxiv.org/abs/2511.16652>): an evolution strategy on all matrices
//! of a language model, whose members differ by a matrix of low rank each.
//!
//! Symbols: M = a matrix of the center, sigma = step of the members, r = rank, N = population. Member i has `M + s_i sigma E_i` with
//! `E_i = A_i B_i' / sqrt(r)`, A_i and B_i normal, the sign s_i plus for even members and minus for odd ones, which share their pair's E. With f_i
//! the shaped fitness the center takes the step `learning_rate * sum_i f_i s_i E_i / N`: the rate is per unit of noise, not divided by sigma
//! (alpha of 'Evolution strategies at scale', arXiv 2509.24372). Every rank takes it by itself, from fitnesses alone.

mod params;
#[cfg(test)]
mod tests;
mod update;

use std::sync::Arc;

use illume_core::{
    Archive, Batch, Candidates, Context, Error, Genomes, LowRank, Next, Perturbation, Result, State, Status, Strategy,
    StrategySpec, TaskSpec, Told, case_seed,
};
use illume_numerics::elements::moved;
use rayon::prelude::*;

use crate::candidates::prepare;
use crate::record::{HistoryRow, columns, history_row, scalars};
use crate::validation::{Validation, minibatch};
use crate::{Adam, GradientOptimizer, centred_ranks, deviation, mean_and_max};
pub(crate) use params::ENTRY;
pub use params::EggrollParams;

/// Genes that a thread moves at a time.
const PART: usize = 1 << 14;

/// A center that moves along the weighted sum of its members' perturbations.
#[derive(Debug)]
pub struct Eggroll {
    params: EggrollParams,
    spec: StrategySpec,
    /// None: every gene of a direction is a number of its own.
    low_rank: Option<Arc<LowRank>>,
    adam: Option<Adam>,
    validation: Validation,
    /// `[dim]`, as its moments the same on all ranks; empty before the first generation.
    center: Arc<Vec<f32>>,
    /// Adam's moments; empty without.
    first: Vec<f32>,
    second: Vec<f32>,
    steps_taken: u64,
    row: Row,
}

history_row! {
    struct Row {
        population_max: "", "highest reward of a member on the minibatch";
        population_mean: "", "mean reward of the members on the minibatch";
        population_sd: "", "standard deviation of the members' rewards on the minibatch";
        center_fitness: "", "reward of the center on the minibatch, before the update";
        step_size: "", "root mean square of what the update added to the genes";
        validation: "", "mean reward of the center on the test cases when it was last scored; until then the start's";
    }
}

scalars! {
    struct Scalars {
        steps_taken: u64, "", "updates made";
        row: Row, "", "last values of the strategy's history columns";
    }
}

impl Eggroll {
    /// # Errors
    /// A task whose genomes are no matrices, one without test cases, or an odd population.
    pub fn new(params: EggrollParams, task: &TaskSpec) -> Result<Eggroll> {
        if task.matrices.is_empty() || task.test_cases == 0 {
            let message = format!(
                "\"eggroll\" searches the matrices of a language model, and genomes of task \"{}\" are none: expected an lm/ task with \
                 task.search = \"weights\"",
                task.name
            );
            return Err(Error::config("strategy", "name", message));
        }
        if !params.population.is_multiple_of(2) {
            let message = format!("expected an even number (mirrored pairs), got {}", params.population);
            return Err(Error::config("strategy", "population", message));
        }
        let spec = StrategySpec {
            name: "eggroll".into(),
            operators: vec!["center".into()],
            history: columns(Row::columns_but(None)),
            lineage: false,
            first_generation: params.population + 1,
            sized_by: &["population"],
            facts: Vec::new(),
        };
        let low_rank = (params.rank > 0).then(|| Arc::new(LowRank::new(params.rank, &task.matrices)));
        let adam = (params.optimizer == "adam").then_some(Adam {
            learning_rate: params.learning_rate,
            beta1: params.beta1,
            beta2: params.beta2,
            epsilon: params.epsilon,
        });
        Ok(Eggroll {
            validation: Validation::new(params.validation_interval, task),
            params,
            spec,
            low_rank,
            adam,
            center: Arc::default(),
            first: Vec::new(),
            second: Vec::new(),
            steps_taken: 0,
            row: Row::default(),
        })
    }

    fn start(&mut self, context: &Context<'_>) {
        let mut center = vec![0.0; context.task.genome_dim];
        context.task.first(context.seed, 0, &mut center);
        self.center = Arc::new(center);
        let moments = if self.adam.is_some() { self.center.len() } else { 0 };
        (self.first, self.second) = (vec![0.0; moments], vec![0.0; moments]);
    }

    fn members(&self, context: &Context<'_>, first: usize, rows: usize) -> Perturbation {
        Perturbation {
            center: self.center.clone(),
            sigma: self.params.sigma as f32,
            seed: context.seed,
            generation: context.generation,
            first,
            rows,
            members: self.params.population,
            bounds: None,
            low_rank: self.low_rank.clone(),
        }
    }

    fn learn(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<()> {
        let n = self.params.population;
        let (status, fitness) = (told.rows.get::<u8>("status")?, told.rows.get::<f64>("fitness")?);
        let center = (status[n] == Status::Ok as u8).then(|| fitness[n]);
        let (status, fitness) = (&status[..n], &fitness[..n]);
        let (mean, max) = mean_and_max(status, fitness);
        let sd = deviation(status, fitness, mean);
        let weights = pair_weights(&self.params.shaping, sd, status, fitness);
        // A mean over members, of which each pair has two.
        let weights: Vec<f32> = weights.iter().map(|w| (w / n as f64) as f32).collect();
        self.row = Row {
            population_max: max,
            population_mean: mean,
            population_sd: sd,
            center_fitness: center.unwrap_or(f64::NAN),
            step_size: self.step(context, &weights),
            validation: self.row.validation,
        };
        Ok(())
    }

    /// Moves the center along the pairs' directions; returns the root mean square of what that added.
    fn step(&mut self, context: &Context<'_>, weights: &[f32]) -> f64 {
        let members = self.members(context, 0, 0);
        self.steps_taken += 1;
        let (t, rate) = (self.steps_taken, self.params.learning_rate as f32);
        // Its memory is the candidates' too.
        let old = &self.center;
        let mut new = vec![0.0; old.len()];
        let mut squares = 0.0;
        update::each_part(&members, weights, |at, ascent| {
            let part = at..at + ascent.len();
            let genes = old[part.clone()]
                .par_chunks(PART)
                .zip(new[part.clone()].par_chunks_mut(PART));
            let parts = genes.zip(ascent.par_chunks_mut(PART));
            let added: Vec<f64> = match &self.adam {
                None => parts
                    .map(|((old, new), ascent)| {
                        moved(old, ascent, rate, new);
                        distance(old, new)
                    })
                    .collect(),
                Some(adam) => {
                    let first = self.first[part.clone()].par_chunks_mut(PART);
                    let moments = first.zip(self.second[part].par_chunks_mut(PART));
                    parts
                        .zip(moments)
                        .map(|(((old, new), ascent), (first, second))| {
                            // The optimizer descends.
                            ascent.iter_mut().for_each(|g| *g = -*g);
                            new.copy_from_slice(old);
                            adam.step(t, ascent, new, first, second);
                            distance(old, new)
                        })
                        .collect()
                }
            };
            squares += added.iter().sum::<f64>();
        });
        let dim = new.len() as f64;
        self.center = Arc::new(new);
        (squares / dim).sqrt()
    }
}

/// The squared distance of two genomes' parts.
fn distance(old: &[f32], new: &[f32]) -> f64 {
    new.iter().zip(old).map(|(x, b)| f64::from(x - b).powi(2)).sum()
}

/// `f_plus - f_minus` of the shaped fitness of each pair; a pair one of whose members failed counts nothing. What is subtracted from all members alike
/// falls out, so that "z" only divides by the standard deviation `sd`.
fn pair_weights(shaping: &str, sd: f64, status: &[u8], fitness: &[f64]) -> Vec<f64> {
    let shaped: Vec<f64> = match shaping {
        "centred_rank" => centred_ranks(status, fitness).into_iter().map(f64::from).collect(),
        "none" => fitness.to_vec(),
        _ => fitness.iter().map(|f| if sd > 0.0 { f / sd } else { 0.0 }).collect(),
    };
    let pairs = shaped.chunks_exact(2).zip(status.chunks_exact(2));
    let weight = |(f, s): (&[f64], &[u8])| match s.iter().all(|s| *s == Status::Ok as u8) {
        true => f[0] - f[1],
        false => 0.0,
    };
    pairs.map(weight).collect()
}

impl Strategy for Eggroll {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        if self.center.is_empty() {
            self.start(context);
        }
        if self.validation.is_now(context) {
            return self.validation.ask_shared(context, &self.center, candidates);
        }
        let n = self.params.population;
        prepare(context, n + 1, 0, candidates);
        candidates.offered = n..n + 1;
        candidates.seeds.fill(case_seed(minibatch(context), 0));
        let rows = candidates.block.clone();
        candidates.genomes = Genomes::Perturbation(self.members(context, rows.start, rows.len()));
        candidates.tags.get_mut::<i32>("operator")?.fill(0);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        Ok(())
    }

    fn tell(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<Next> {
        if self.validation.is_learning() {
            self.learn(context, told)?;
            return Ok(self.validation.learned(context, told));
        }
        let (scores, next) = self.validation.scored(told)?;
        self.row.validation = scores[0];
        Ok(next)
    }

    fn history(&self, row: &mut Vec<f64>) {
        row.extend(self.row.values());
    }

    fn save(&self, _context: &Context<'_>) -> Result<State> {
        let mut moments = Batch::new();
        moments.push("first", 1, "", "the optimizer's first moment", self.first.clone());
        moments.push("second", 1, "", "the optimizer's second moment", self.second.clone());
        let scalars = Scalars {
            steps_taken: self.steps_taken,
            row: self.row,
        };
        let mut solution = Batch::new();
        let about = "the center after the last update";
        solution.push("genome", self.center.len(), "", about, self.center.to_vec());
        let about = "mean reward of the center on the test cases when it was last scored";
        solution.push("fitness", 1, "", about, vec![self.row.validation]);
        Ok(State {
            tables: vec![("moments".into(), moments), ("scalars".into(), scalars.table())],
            solution: Some(solution),
        })
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        let dim = context.task.genome_dim;
        let scalars = Scalars::read(state.table("scalars")?)?;
        let moments = state.table("moments")?;
        let solution = state.solution.as_ref();
        let solution = solution.ok_or_else(|| Error::failed("the checkpoint has no solution, which is the center"))?;
        let center = solution.get::<f32>("genome")?;
        let (first, second) = (moments.get::<f32>("first")?, moments.get::<f32>("second")?);
        let kept = if self.adam.is_some() { dim } else { 0 };
        if center.len() != dim || first.len() != kept || second.len() != kept {
            return Err(Error::failed(format!(
                "the checkpoint's center has {} genes and its moments {} and {}; the task's genomes have {dim}, and the optimizer keeps {kept}",
                center.len(),
                first.len(),
                second.len()
            )));
        }
        self.center = Arc::new(center.to_vec());
        (self.first, self.second) = (first.to_vec(), second.to_vec());
        (self.row, self.steps_taken) = (scalars.row, scalars.steps_taken);
        Ok(())
    }
}
