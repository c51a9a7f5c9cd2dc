//! ESSA (Korotyshova et al., 'ESSA: evolutionary strategies for scalable alignment', 2025, <https://arxiv.org/abs/2507.04453>): CMA-ES on the
//! singular values of a language model's adapters, every candidate of a generation scored on the same minibatch of prompts.
//!
//! What a genome means is the task's matter. The result is the distribution's mean, scored on the task's test cases; so is the best candidate.

use illume_core::{
    Archive, Batch, Candidates, Context, Error, Next, Params, Result, State, Status, Strategy, StrategyConfig,
    StrategyEntry, StrategySpec, TaskSpec, Told, case_seed, params,
};

use crate::candidates::prepare;
use crate::optimizers::search::DISTRIBUTION_COLUMNS;
use crate::optimizers::{self, Optimizer, Optimizers, Ranking, Settings, fitness_or_nan};
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

/// Its columns in the history, time aside: highest and mean reward, sigma, axis ratio, validation of mean and best.
const COLUMNS: usize = 6;
const AXIS_RATIO: usize = 3;
const MEAN_VALIDATION: usize = 4;
const BEST_VALIDATION: usize = 5;

/// A distribution of offsets that moves by rewards on minibatches, with its mean and its best candidate validated.
pub struct Essa {
    spec: StrategySpec,
    optimizer: Box<dyn Optimizer>,
    validation: Validation,
    /// The candidate with the highest reward on its minibatch since the last validation.
    challenger: Scored,
    /// The challenger with the highest score on the test cases.
    best: Scored,
    row: [f64; COLUMNS],
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
        let own = [
            ("population_max", "", "highest reward of a candidate on the minibatch"),
            ("population_mean", "", "mean reward of the candidates on the minibatch"),
        ];
        let validated = [
            (
                "validation",
                "",
                "score of the mean on the test cases when it was last taken; until then the start's",
            ),
            (
                "best_validation",
                "",
                "score on the test cases of the best candidate since the validation before, when it was last taken",
            ),
        ];
        let history = own
            .iter()
            .chain(&DISTRIBUTION_COLUMNS[..if optimizer.axis_ratio().is_some() { 2 } else { 1 }])
            .chain(&validated)
            .chain(&DISTRIBUTION_COLUMNS[2..]);
        Ok(Essa {
            spec: StrategySpec {
                name: "essa".into(),
                operators: vec!["sample".into()],
                history: history
                    .map(|(a, b, c)| ((*a).into(), (*b).into(), (*c).into()))
                    .collect(),
                lineage: false,
                first_generation: optimizer.members(),
                sized_by: &["population"],
                facts: vec![("population".into(), optimizer.members().to_string())],
            },
            optimizer,
            validation: Validation::new(params.validation_interval, task),
            challenger: Scored::default(),
            best: Scored::default(),
            row: [f64::NAN; COLUMNS],
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
        let axis_ratio = self.optimizer.axis_ratio().unwrap_or(f64::NAN);
        self.row[..4].copy_from_slice(&[max, mean, self.optimizer.sigma(), axis_ratio]);
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
        self.row[MEAN_VALIDATION] = scores[0];
        if let Some(&score) = scores.get(1) {
            self.row[BEST_VALIDATION] = score;
            let challenger = std::mem::take(&mut self.challenger);
            if self.best.yields_to(score) {
                self.best = Scored { score, ..challenger };
            }
        }
        Ok(next)
    }

    fn history(&self, row: &mut Vec<f64>) {
        row.extend(&self.row[..AXIS_RATIO]);
        row.extend(self.optimizer.axis_ratio().is_some().then_some(self.row[AXIS_RATIO]));
        row.extend(&self.row[AXIS_RATIO + 1..]);
        row.push(self.optimizer.eigen_seconds());
    }

    fn save(&self, context: &Context<'_>) -> Result<State> {
        let dim = context.task.genome_dim;
        let mut scalars = Batch::new();
        let about = "last values of the strategy's history columns";
        scalars.push("row", COLUMNS, "", about, self.row.to_vec());
        let about = "reward of the challenger, test score of the best";
        scalars.push("scores", 2, "", about, vec![self.challenger.score, self.best.score]);
        let mut solution = Batch::new();
        let mean = self.mean(dim);
        let best = if self.best.genes.is_empty() {
            &mean
        } else {
            &self.best.genes
        };
        let best_fitness = if self.best.genes.is_empty() {
            f64::NAN
        } else {
            self.best.score
        };
        solution.push(
            "best",
            dim,
            "",
            "the candidate with the highest score on the test cases",
            best.clone(),
        );
        solution.push("best_fitness", 1, "", "that score", vec![best_fitness]);
        let about = "score of the mean on the test cases when it was last taken";
        solution.push("fitness", 1, "", about, vec![self.row[MEAN_VALIDATION]]);
        solution.push("genome", dim, "", "the distribution's mean after the last update", mean);
        let mut tables = self.optimizer.save(context)?;
        tables.push(("scalars".into(), scalars));
        tables.push(("challenger".into(), self.challenger.table()));
        tables.push(("best".into(), self.best.table()));
        Ok(State {
            tables,
            solution: Some(solution),
        })
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        self.optimizer.load(context, state)?;
        let scalars = state.table("scalars")?;
        let (row, scores) = (scalars.get::<f64>("row")?, scalars.get::<f64>("scores")?);
        if row.len() != COLUMNS || scores.len() != 2 {
            return Err(Error::failed("the checkpoint's row of history has another length"));
        }
        self.row.copy_from_slice(row);
        let dim = context.task.genome_dim;
        self.challenger = Scored::of(state, "challenger", scores[0], dim)?;
        self.best = Scored::of(state, "best", scores[1], dim)?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "essa_tests.rs"]
mod tests;
