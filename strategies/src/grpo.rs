//! GRPO (Shao et al., 'DeepSeekMath: pushing the limits of mathematical reasoning in open language models', 2024,
//! <https://arxiv.org/abs/2402.03300>): policy gradients whose baseline is the group of answers to the same prompt.
//!
//! Symbols: theta = center, G = group, r_i = reward, A_i = advantage, epsilon = clip, beta = kl, pi_ref = the genome of zeros. Each rank
//! differentiates the answers of its own rows; the gradients are gathered row by row and added in row order, so that ranks do not change bits.
//! Defaults are those of TRL and verl, which have moved on from the paper: tokens weigh alike, no divergence, gradients cut at norm 1.

mod exchange;
mod params;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use illume_core::{
    Archive, Batch, Candidates, Context, Credit, Error, Next, PolicyGradient, Result, State, Strategy, StrategySpec,
    Surrogate, SurrogateReport, TaskSpec, Told, case_seed,
};

use crate::candidates::prepare;
use crate::record::{Field, HistoryRow, columns, history_row, push_row};
use crate::validation::{Validation, minibatch};
use crate::{Adam, GradientOptimizer};
use exchange::{Gradient, Heard, gather, gather_answers};
pub(crate) use params::ENTRY;
pub use params::GrpoParams;

/// Added to the standard deviation of rewards (verl; TRL has 1e-4).
const SD_FLOOR: f64 = 1e-6;
/// Added to the norm of a gradient before it is cut (torch's `clip_grad_norm_`).
const NORM_FLOOR: f64 = 1e-6;

/// One genome that climbs the clipped surrogate of its own sampled answers.
#[derive(Debug)]
pub struct Grpo {
    params: GrpoParams,
    spec: StrategySpec,
    source: Arc<dyn PolicyGradient>,
    adam: Adam,
    validation: Validation,
    /// `[dim]`, as its moments the same on all ranks; empty before the first generation.
    center: Vec<f32>,
    first: Vec<f32>,
    second: Vec<f32>,
    steps_taken: u64,
    row: Row,
}

history_row! {
    struct Row {
        mean_reward: "", "mean reward of the sampled answers, before the update";
        reward_sd: "", "mean over prompts of the standard deviation of the group's rewards";
        mean_steps: "steps", "mean tokens of a row";
        kl: "", "mean divergence of the answers from the start, in the last epoch; none where kl = 0";
        clipped: "", "part of the tokens whose ratio was clipped, in the last epoch";
        gradient_norm: "", "Euclidean norm of the gradient in the last epoch, before it was cut";
        sampling_gap: "", "mean distance of a token's log-probability between the model that answered and the one that is differentiated";
        validation: "", "mean reward of the center on the test cases when it was last scored; until then the start's";
    }
}

impl Grpo {
    /// # Errors
    /// The task cannot say the gradient of its answers, or does not sample them.
    pub fn new(params: GrpoParams, task: &TaskSpec) -> Result<Grpo> {
        let refuse = |message: String| Err(Error::config("strategy", "name", message));
        let Some(source) = task.policy_gradient.clone() else {
            return refuse(format!(
                "\"grpo\" climbs by the gradient of a language model's sampled answers, and task \"{}\" has none: expected an lm/ task \
                 with task.top_p = 1",
                task.name
            ));
        };
        if source.temperature() <= 0.0 {
            return refuse(format!(
                "\"grpo\" compares several sampled answers to a prompt, and task \"{}\" answers greedily, always the same: expected \
                 task.temperature above 0, such as 1.0",
                task.name
            ));
        }
        let spec = StrategySpec {
            name: "grpo".into(),
            operators: vec!["center".into()],
            history: columns(Row::columns_but(None)),
            lineage: false,
            first_generation: params.group,
            sized_by: &["group"],
            facts: Vec::new(),
        };
        let validation = Validation::new(params.validation_interval, task);
        let adam = Adam {
            learning_rate: params.learning_rate,
            beta1: params.beta1,
            beta2: params.beta2,
            epsilon: params.epsilon,
        };
        Ok(Grpo {
            params,
            spec,
            source,
            adam,
            validation,
            center: Vec::new(),
            first: Vec::new(),
            second: Vec::new(),
            steps_taken: 0,
            row: Row::default(),
        })
    }

    fn start(&mut self, context: &Context<'_>) {
        let dim = context.task.genome_dim;
        self.center = vec![0.0; dim];
        context.task.first(context.seed, 0, &mut self.center);
        self.first = vec![0.0; dim];
        self.second = vec![0.0; dim];
    }

    /// One pass over the answers: the gradient of the surrogate, and a step along it. `credits` are of the rows of this rank's block, answer by answer.
    fn pass(&mut self, context: &Context<'_>, told: &Told<'_>, credits: &mut [Vec<Credit>]) -> Result<SurrogateReport> {
        let surrogate = Surrogate {
            clip: self.params.clip,
            kl: self.params.kl,
        };
        let mut mine = Vec::with_capacity(credits.len());
        for (credits, trajectory) in credits.iter_mut().zip(told.trajectories) {
            let mut own = Gradient::zeros(self.center.len());
            if !credits.is_empty() {
                own.report = self.source.add_gradient(
                    &self.center,
                    &trajectory.answers,
                    credits,
                    &surrogate,
                    &mut own.values,
                )?;
            }
            mine.push(own.bytes());
        }
        let rows = gather(context, told.candidates.total, &mine)?;
        let mut sum = Gradient::zeros(self.center.len());
        for row in &rows {
            sum.add(row)?;
        }
        // The optimizer descends.
        sum.values.iter_mut().for_each(|g| *g = -*g);
        self.row.gradient_norm = cut(&mut sum.values, self.params.max_grad_norm);
        self.steps_taken += 1;
        self.adam.step(
            self.steps_taken,
            &sum.values,
            &mut self.center,
            &mut self.first,
            &mut self.second,
        );
        if let Some([low, high]) = context.task.bounds {
            self.center.iter_mut().for_each(|x| *x = x.clamp(low, high));
        }
        Ok(sum.report)
    }

    fn learn(&mut self, context: &Context<'_>, told: &Told<'_>) -> Result<()> {
        let heard = gather_answers(context, told)?;
        let steps = told.rows.get::<u32>("steps")?;
        let mean_steps = steps.iter().map(|s| f64::from(*s)).sum::<f64>() / steps.len() as f64;
        let answers: usize = heard.iter().map(Vec::len).sum();
        self.row = Row {
            mean_steps,
            validation: self.row.validation,
            ..Row::default()
        };
        if answers == 0 {
            return Ok(());
        }
        let sum: f64 = heard.iter().flatten().map(|h| h.reward).sum();
        let (advantages, sd) = advantages(&heard, &self.params.scale_rewards);
        self.row.mean_reward = sum / answers as f64;
        self.row.reward_sd = sd;
        let weights = weights(&heard, &self.params.loss, self.source.longest());
        let credit = |(advantage, weight): (&f32, &f32)| Credit {
            advantage: *advantage,
            weight: *weight,
            old: Vec::new(),
        };
        let of_row = |row: usize| advantages[row].iter().zip(&weights[row]).map(credit).collect();
        let mut credits: Vec<Vec<Credit>> = told.candidates.block.clone().map(of_row).collect();
        for epoch in 0..self.params.epochs {
            let report = self.pass(context, told, &mut credits)?;
            let tokens = report.tokens.max(1) as f64;
            if self.params.kl > 0.0 {
                self.row.kl = report.kl / answers as f64;
            }
            self.row.clipped = report.clipped as f64 / tokens;
            if epoch == 0 {
                self.row.sampling_gap = report.gap / tokens;
            }
        }
        Ok(())
    }
}

/// Shortens a gradient to `most`, if it is longer and `most` is not 0; returns how long it was.
fn cut(gradient: &mut [f32], most: f64) -> f64 {
    let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    let factor = most / (norm + NORM_FLOOR);
    if most > 0.0 && factor < 1.0 {
        gradient.iter_mut().for_each(|g| *g = (f64::from(*g) * factor) as f32);
    }
    norm
}

/// The weight of each token of each answer in the loss: all tokens of the generation alike ("dapo"), the answers alike ("grpo"), or all tokens alike by a
/// constant, as if all answers were the `longest` ("dr_grpo").
fn weights(heard: &[Vec<Heard>], loss: &str, longest: usize) -> Vec<Vec<f32>> {
    let answers = heard.iter().map(Vec::len).sum::<usize>() as f64;
    let tokens = heard
        .iter()
        .flatten()
        .map(|h| f64::from(h.tokens))
        .sum::<f64>()
        .max(1.0);
    let of = |h: &Heard| {
        let sum = match loss {
            "grpo" => answers * f64::from(h.tokens.max(1)),
            "dr_grpo" => answers * longest.max(1) as f64,
            _ => tokens,
        };
        (1.0 / sum) as f32
    };
    heard.iter().map(|row| row.iter().map(of).collect()).collect()
}

/// `(r - mean) / (sd + 1e-6)` of each answer, as `heard` by row, the mean being that of the answers to the same case, and sd too ("group"), or that of all
/// rewards ("batch"), or left out ("none"); and the mean over cases of the standard deviation. A case with one answer alone teaches nothing: 0.
fn advantages(heard: &[Vec<Heard>], scaling: &str) -> (Vec<Vec<f32>>, f64) {
    let mut groups: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for h in heard.iter().flatten() {
        groups.entry(h.case).or_default().push(h.reward);
    }
    let moments: BTreeMap<u32, (f64, f64)> = groups
        .into_iter()
        .map(|(case, group)| (case, mean_and_sd(&group)))
        .collect();
    let all: Vec<f64> = heard.iter().flatten().map(|h| h.reward).collect();
    let (_, sd_of_all) = mean_and_sd(&all);
    let of = |h: &Heard| {
        let (mean, sd) = moments[&h.case];
        let scale = match scaling {
            "none" => 1.0,
            "batch" => sd_of_all + SD_FLOOR,
            _ => sd + SD_FLOOR,
        };
        ((h.reward - mean) / scale) as f32
    };
    let sd = moments.values().map(|(_, sd)| sd).sum::<f64>() / moments.len() as f64;
    (heard.iter().map(|row| row.iter().map(of).collect()).collect(), sd)
}

/// Mean, and the standard deviation of a sample.
fn mean_and_sd(rewards: &[f64]) -> (f64, f64) {
    let n = rewards.len() as f64;
    let mean = rewards.iter().sum::<f64>() / n;
    let squares: f64 = rewards.iter().map(|r| (r - mean).powi(2)).sum();
    (mean, (squares / (n - 1.0).max(1.0)).sqrt())
}

impl Strategy for Grpo {
    fn spec(&self) -> &StrategySpec {
        &self.spec
    }

    fn ask(&mut self, context: &Context<'_>, _archive: &dyn Archive, candidates: &mut Candidates) -> Result<()> {
        if self.center.is_empty() {
            self.start(context);
        }
        if self.validation.is_now(context) {
            return self.validation.ask(context, &[&self.center], candidates);
        }
        prepare(context, self.params.group, 0, candidates);
        let rows = candidates.block.clone();
        let case = minibatch(context);
        candidates.seeds.clear();
        candidates
            .seeds
            .extend(rows.clone().map(|row| case_seed(case, row as u32)));
        let dim = self.center.len();
        let genes = candidates.genomes.dense_rows(rows.len(), dim);
        genes
            .chunks_exact_mut(dim)
            .for_each(|row| row.copy_from_slice(&self.center));
        candidates.tags.get_mut::<i32>("operator")?.fill(0);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        candidates.record = true;
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
        let mut parameters = Batch::new();
        parameters.push("center", 1, "", "the center", self.center.clone());
        parameters.push("first", 1, "", "the optimizer's first moment", self.first.clone());
        parameters.push("second", 1, "", "the optimizer's second moment", self.second.clone());
        let mut scalars = Batch::new();
        scalars.push("steps_taken", 1, "", "updates made", vec![self.steps_taken]);
        push_row(&mut scalars, self.row.values());
        let mut solution = Batch::new();
        let about = "the center after the last update";
        solution.push("genome", self.center.len(), "", about, self.center.clone());
        let about = "mean reward on the test cases when the center was last scored";
        solution.push("fitness", 1, "", about, vec![self.row.validation]);
        let about = "mean reward of the center's sampled answers before the last update";
        solution.push("mean_reward", 1, "", about, vec![self.row.mean_reward]);
        Ok(State {
            tables: vec![("parameters".into(), parameters), ("scalars".into(), scalars)],
            solution: Some(solution),
        })
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        let parameters = state.table("parameters")?;
        let read = |name: &str| -> Result<Vec<f32>> {
            let values = parameters.get::<f32>(name)?;
            if values.len() != context.task.genome_dim {
                return Err(Error::failed(format!(
                    "the checkpoint's {name} has {} parameters, the task's genomes have {}",
                    values.len(),
                    context.task.genome_dim
                )));
            }
            Ok(values.to_vec())
        };
        self.center = read("center")?;
        self.first = read("first")?;
        self.second = read("second")?;
        let scalars = state.table("scalars")?;
        self.steps_taken = Field::read(scalars, "steps_taken")?;
        let row = scalars.get::<f64>("row")?;
        // Earlier versions did not show the gap.
        let absent = (row.len() < Row::COLUMNS.len()).then_some("sampling_gap");
        self.row = Row::of(row, absent)?;
        Ok(())
    }
}
