//! ESSA (Korotyshova et al., 'ESSA: evolutionary strategies for scalable alignment', 2025, <https://arxiv.org/abs/2507.04453>): CMA-ES on the
//! singular values of a language model's adapters, every candidate of a generation scored on the same minibatch of prompts.
//!
//! What a genome means is the task's matter. The result is the distribution's mean, scored on the task's test cases; so is the best candidate.

use illume_core::{
    Archive, Batch, Candidates, Context, Error, Next, Params, Result, State, Status, Strategy, StrategyConfig,
    StrategyEntry, StrategySpec, TaskSpec, Told, case_seed, params,
};

use crate::candidates::prepare;
use crate::optimizers::search::{EIGEN_SECONDS, no_axes};
use crate::optimizers::{self, Optimizer, Optimizers, Ranking, Settings, fitness_or_nan};
use crate::record::{HistoryRow, columns, history_row, scalars};
use crate::validation::{Validation, minibatch};
use crate::{best_first, mean_and_max};

params! {
    /// Parameters of `essa`.
    pub struct EssaParams {
        /// Candidates per generation; 0 for 4 + floor(3 ln n) with n genes.
        population: usize = 0, range(0, 1 << 24);
        /// Initial step size: the standard deviation of each gene, which is of an offset in units of its factor's size (`task.scale = "relative"`).
        sigma: f64 = 0.3, positive();
        /// What draws the candidates: "cma_es", as in the paper, or any other optimizer, with its own parameters at their defaults.
        optimizer: String = "cma_es".into(), one_of(optimizers::NAMES);
        /// Whether the full covariance of "cma_es" also learns from the worse half, by negative weights.
        active: bool = true, any();
        /// It is decomposed every 1 / (this * n * (c_1 + c_mu)) generations.
        decompositions: f64 = 2.0, positive();
        /// Generations from one validation on the test cases to the next; 0 for the start and the last alone.
        validation_interval: usize = 10, range(0, 1 << 30);
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    cases: true,
    shown: &[("population_mean", "mean reward"), ("validation", "validation")],
    small: "population = 4",
    suggested: "[strategy]\npopulation = 48",
    ..StrategyEntry::new(
        "essa",
        "ESSA (Korotyshova et al. 2025): CMA-ES on the singular values of a language model's adapters, validated",
        EssaParams::describe,
        |config: &StrategyConfig<'_>| {
            let params: EssaParams = illume_core::params::read(config.strategy, "strategy", &["name"])?;
            let optimizers = optimizers_of(&params, config.task)?;
            config.claim_rows("population", optimizers.members as f64, 1)?;
            optimizers.claim(config.memory, "optimizer", 1)?;
            Ok(Box::new(Essa::new(&params, config.task)?))
        },
    )
};

fn optimizers_of(params: &EssaParams, task: &TaskSpec) -> Result<Optimizers> {
    let settings = Settings {
        optimizer: &params.optimizer,
        population: params.population,
        key: "population",
        sigma: params.sigma,
        center: "init",
        active: params.active,
        decompositions: params.decompositions,
        pyribs: false,
    };
    optimizers::build(&settings, task)
}

/// A genome with its score.
#[derive(Debug, Clone, Default)]
struct Scored {
    /// Empty while there is none.
    genes: Vec<f32>,
    score: f64,
}

impl Scored {
    /// Whether a score takes its place.
    fn yields_to(&self, score: f64) -> bool {
        score.is_finite() && (self.genes.is_empty() || score > self.score)
    }

    fn table(&self) -> Batch {
        let mut table = Batch::new();
        table.push("genome", 1, "", "its genes", self.genes.clone());
        table
    }

    /// # Errors
    /// A genome of another length.
    fn of(state: &State, name: &str, score: f64, dim: usize) -> Result<Scored> {
        let genes = match state.table(name) {
            Ok(table) => table.get::<f32>("genome")?.to_vec(),
            Err(_) => Vec::new(),
        };
        if !genes.is_empty() && genes.len() != dim {
            let message = format!(
                "the checkpoint's {name} has {} genes, the task's have {dim}",
                genes.len()
            );
            return Err(Error::failed(message));
        }
        Ok(Scored { genes, score })
    }
}

history_row! {
    struct Row {
        population_max: "", "highest reward of a candidate on the minibatch";
        population_mean: "", "mean reward of the candidates on the minibatch";
        sigma: "", "step size after the update";
        axis_ratio: "", "longest over shortest axis of the distribution by which the members were drawn";
        validation: "", "score of the mean on the test cases when it was last taken; until then the start's";
        best_validation: "", "score on the test cases of the best candidate since the validation before, when it was last taken";
    }
}

history_row! {
    struct Scores {
        challenger: "", "its reward";
        best: "", "its score on the test cases";
    }
}

scalars! {
    struct Scalars {
        row: Row, "", "last values of the strategy's history columns";
        scores: Scores, "", "reward of the challenger, test score of the best";
    }
}

/// A distribution of offsets that moves by rewards on minibatches, with its mean and its best candidate validated.
pub struct Essa {
    spec: StrategySpec,
    optimizer: Box<dyn Optimizer>,
    validation: Validation,
    /// The candidate with the highest reward on its minibatch since the last validation.
    challenger: Scored,
    /// The challenger with the highest score on the test cases.
    best: Scored,
    row: Row,
}

impl Essa {
    /// # Errors
    /// A task without test cases, or parameters that do not fit it.
    pub fn new(params: &EssaParams, task: &TaskSpec) -> Result<Essa> {
        if task.test_cases == 0 {
            let message = format!(
                "\"essa\" scores its result on test cases, and task \"{}\" has none: expected an lm/ task; \"cma_es\" and \"sep_cma_es\" \
                 search the same way on any task",
                task.name
            );
            return Err(Error::config("strategy", "name", message));
        }
        let optimizer = optimizers_of(params, task)?.first();
        let history = Row::columns_but(no_axes(&*optimizer)).chain([EIGEN_SECONDS]);
        Ok(Essa {
            spec: StrategySpec {
                name: "essa".into(),
                operators: vec!["sample".into()],
                history: columns(history),
                lineage: false,
                first_generation: optimizer.members(),
                sized_by: &["population"],
                facts: vec![("population".into(), optimizer.members().to_string())],
            },
            optimizer,
            validation: Validation::new(params.validation_interval, task),
            challenger: Scored::default(),
            best: Scored::default(),
            row: Row::default(),
        })
    }

    fn learn(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<()> {
        let (status, fitness) = (told.rows.get::<u8>("status")?, told.rows.get::<f64>("fitness")?);
        let order = best_first(status, fitness);
        let first = order[0];
        if status[first] == Status::Ok as u8 && self.challenger.yields_to(fitness[first]) {
            self.challenger.genes.resize(context.task.genome_dim, 0.0);
            self.optimizer.member(context, first, &mut self.challenger.genes);
            self.challenger.score = fitness[first];
        }
        let (mean, max) = mean_and_max(status, fitness);
        let ranking = Ranking {
            fitness: Some(&fitness_or_nan(status, fitness)),
            ..Ranking::of(&order)
        };
        self.optimizer.tell(context, &ranking)?;
        self.row = Row {
            population_max: max,
            population_mean: mean,
            sigma: self.optimizer.sigma(),
            axis_ratio: self.optimizer.axis_ratio().unwrap_or(f64::NAN),
            ..self.row
        };
        Ok(())
    }

    fn mean(&self, dim: usize) -> Vec<f32> {
        let mut genes = vec![0.0; dim];
        self.optimizer.mean(&mut genes);
        genes
    }
}

impl Strategy for Essa {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        self.optimizer.begin(context);
        let dim = context.task.genome_dim;
        if self.validation.is_now(context) {
            let mean = self.mean(dim);
            let mut genomes: Vec<&[f32]> = vec![&mean];
            if !self.challenger.genes.is_empty() {
                genomes.push(&self.challenger.genes);
            }
            return self.validation.ask(context, &genomes, candidates);
        }
        prepare(context, self.optimizer.members(), 0, candidates);
        candidates.seeds.fill(case_seed(minibatch(context), 0));
        let rows = candidates.block.clone();
        let genes = candidates.genomes.dense_rows(rows.len(), dim);
        self.optimizer.ask(context, rows, genes)?;
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
        if let Some(&score) = scores.get(1) {
            self.row.best_validation = score;
            let challenger = std::mem::take(&mut self.challenger);
            if self.best.yields_to(score) {
                self.best = Scored { score, ..challenger };
            }
        }
        Ok(next)
    }

    fn history(&self, row: &mut Vec<f64>) {
        row.extend(self.row.values_but(no_axes(&*self.optimizer)));
        row.push(self.optimizer.eigen_seconds());
    }

    fn save(&self, context: &Context<'_>) -> Result<State> {
        let dim = context.task.genome_dim;
        let scores = Scores {
            challenger: self.challenger.score,
            best: self.best.score,
        };
        let scalars = Scalars { row: self.row, scores };
        let mut solution = Batch::new();
        let mean = self.mean(dim);
        let (best, best_fitness) = if self.best.genes.is_empty() {
            (mean.clone(), f64::NAN)
        } else {
            (self.best.genes.clone(), self.best.score)
        };
        let about = "the candidate with the highest score on the test cases";
        solution.push("best", dim, "", about, best);
        solution.push("best_fitness", 1, "", "that score", vec![best_fitness]);
        let about = "score of the mean on the test cases when it was last taken";
        solution.push("fitness", 1, "", about, vec![self.row.validation]);
        solution.push("genome", dim, "", "the distribution's mean after the last update", mean);
        let mut tables = self.optimizer.save(context)?;
        tables.push(("scalars".into(), scalars.table()));
        tables.push(("challenger".into(), self.challenger.table()));
        tables.push(("best".into(), self.best.table()));
        Ok(State {
            tables,
            solution: Some(solution),
        })
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        self.optimizer.load(context, state)?;
        let Scalars { row, scores } = Scalars::read(state.table("scalars")?)?;
        self.row = row;
        let dim = context.task.genome_dim;
        self.challenger = Scored::of(state, "challenger", scores.challenger, dim)?;
        self.best = Scored::of(state, "best", scores.best, dim)?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "essa_tests.rs"]
mod tests;
