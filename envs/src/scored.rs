//! What every task can be told of its scores: `task.direction`, whether its value is to be minimized, `task.repeats`, evaluations whose mean a candidate's score is, and
//! `task.weights`, by which the fitness of a task of several objectives is their sum, and `task.reference`, from where their hypervolumes are measured. All wrap the task that was built, which knows nothing of them.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use illume_core::toml::Table;
use illume_core::{
    Again, Camera, Differentiable, Error, Params as _, Problem, Request, Result, Scores, Status, Task, TaskSpec,
    Worker, mix64, params,
};

params! {
    /// Keys of `[task]` that every task has.
    pub struct ScoreParams {
        /// Whether the task's value is to be as high as possible or as low: fitness is maximized, so it is minus the value then.
        direction: String = "maximize".into(), one_of(&["maximize", "minimize"]);
        /// Evaluations of a candidate, each with a seed of its own: fitness and descriptor are their means, steps their sum. Each counts as an evaluation.
        repeats: usize = 1, range(1, 1 << 16);
        /// Of a task of several objectives: what a unit of each counts in the fitness, which is then their weighted sum; empty for what the task says, as a rule their mean.
        weights: Vec<f64> = vec![], each(finite());
        /// Of a task of several objectives, all of which are maximized: a value of each that is worse than what counts, from which hypervolumes are measured; empty for the task's own.
        reference: Vec<f64> = vec![], each(finite());
    }
}

/// Takes these keys out of a `[task]` table; what is wrong with them is appended.
pub(crate) fn take(table: &mut Table, problems: &mut Vec<Problem>) -> ScoreParams {
    ScoreParams::take(table, "task", problems)
}

/// The task, scored as these parameters say.
///
/// # Errors
/// Repeats of a task whose evaluations are all alike, or that has cases in place of them.
pub(crate) fn wrap(task: Box<dyn Task>, params: &ScoreParams) -> Result<Box<dyn Task>> {
    let minimized = params.direction == "minimize";
    if !minimized && params.repeats == 1 && params.weights.is_empty() && params.reference.is_empty() {
        return Ok(task);
    }
    let mut spec = task.spec().clone();
    check_objectives(&spec, params)?;
    if params.repeats > 1 {
        let refuse = |why: &str| {
            let message = format!("expected 1, as {why}, got {}", params.repeats);
            Err(Error::config("task", "repeats", message))
        };
        if spec.deterministic {
            return refuse(&format!("task \"{}\" gives the same result each time", spec.name));
        }
        if spec.test_cases > 0 {
            return refuse(&format!(
                "task \"{}\" scores a candidate on a minibatch of cases (task.batch)",
                spec.name
            ));
        }
        spec.repeats = params.repeats;
    }
    for (objective, reference) in spec.objectives.iter_mut().zip(&params.reference) {
        objective.range[0] = *reference;
    }
    if !params.weights.is_empty() {
        let terms = params.weights.iter().zip(&spec.objectives);
        spec.fitness = terms
            .clone()
            .map(|(w, o)| format!("{w} {}", o.name))
            .collect::<Vec<_>>()
            .join(" + ");
        let worst: f64 = terms.map(|(w, o)| w * o.range[0]).sum();
        spec.qd_offset = if worst.is_finite() { -worst } else { 0.0 };
        spec.gradients = None;
        spec.facts.push(("fitness".into(), spec.fitness.clone()));
    }
    if minimized {
        spec.fitness = match spec.fitness.is_empty() {
            true => "minus the task's value".into(),
            false => format!("minus {}", spec.fitness),
        };
        spec.qd_offset = 0.0;
        spec.minimized = true;
        spec.negative_rewards = Some("leave task.direction at \"maximize\"".into());
        spec.facts.push(("fitness".into(), spec.fitness.clone()));
        spec.gradients = spec
            .gradients
            .map(|gradients| Arc::new(Descent(gradients)) as Arc<dyn Differentiable>);
    }
    Ok(Box::new(Scored {
        task,
        spec,
        minimized,
        weights: params.weights.clone(),
    }))
}

/// Whether what is said of objectives fits those of the task.
fn check_objectives(spec: &TaskSpec, params: &ScoreParams) -> Result<()> {
    let m = spec.objectives.len();
    let names: Vec<&str> = spec
        .objectives
        .iter()
        .map(|objective| objective.name.as_str())
        .collect();
    if m > 0 && params.direction == "minimize" {
        let message = format!(
            "task \"{}\" has several objectives ({}), of which each has a direction of its own: expected \"maximize\"",
            spec.name,
            names.join(", ")
        );
        return Err(Error::config("task", "direction", message));
    }
    if !params.reference.is_empty() && params.reference.len() != m {
        let message = match m {
            0 => format!("task \"{}\" has one objective: expected no reference, got {:?}", spec.name, params.reference),
            _ => format!("expected {m} numbers, one for each of the objectives {}, got {:?}", names.join(", "), params.reference),
        };
        return Err(Error::config("task", "reference", message));
    }
    let weights = &params.weights;
    if weights.is_empty() || (weights.len() == m && weights.iter().any(|w| *w != 0.0)) {
        return Ok(());
    }
    let message = match m {
        0 => format!(
            "task \"{}\" has one objective: expected no weights, got {weights:?}",
            spec.name
        ),
        _ => format!(
            "expected {m} numbers, not all 0, one for each of the objectives {}, got {weights:?}",
            names.join(", ")
        ),
    };
    Err(Error::config("task", "weights", message))
}

/// The seed of an evaluation again: the row's own for the first.
fn seed_of(seed: u64, repeat: usize) -> u64 {
    match repeat {
        0 => seed,
        again => mix64(seed ^ mix64(again as u64)),
    }
}

struct Scored {
    task: Box<dyn Task>,
    spec: TaskSpec,
    minimized: bool,
    /// Of the objectives in the fitness; empty where the task says it.
    weights: Vec<f64>,
}

impl Task for Scored {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(self.worker_of(self.task.worker()?, self.spec.repeats))
    }

    fn failure(&self) -> Option<String> {
        self.task.failure()
    }

    fn gave_up(&self) -> Option<String> {
        self.task.gave_up()
    }

    fn keep_logs(&self, folder: &Path, rank: usize) {
        self.task.keep_logs(folder, rank);
    }

    fn noiseless(&self) -> Result<Option<Box<dyn Worker + '_>>> {
        let worker = self.task.noiseless()?;
        Ok(worker.map(|worker| self.worker_of(worker, 1)))
    }

    /// Shows the first evaluation alone, which is scored as one.
    fn filming<'a>(&'a self, camera: &'a mut dyn Camera) -> Result<Option<Box<dyn Worker + 'a>>> {
        let worker = self.task.filming(camera)?;
        Ok(worker.map(|worker| self.worker_of(worker, 1)))
    }
}

impl Scored {
    fn worker_of<'a>(&'a self, worker: Box<dyn Worker + 'a>, repeats: usize) -> Box<dyn Worker + 'a> {
        Box::new(ScoredWorker {
            worker,
            task: self,
            repeats,
            again: Again::default(),
        })
    }
}

/// Gradients of a task whose value is to be minimized.
#[derive(Debug)]
struct Descent(Arc<dyn Differentiable>);

impl Differentiable for Descent {
    fn gradients(&self, genes: &[f32], gradients: &mut [f64]) {
        self.0.gradients(genes, gradients);
        gradients[..genes.len()].iter_mut().for_each(|x| *x = -*x);
    }
}

struct ScoredWorker<'a> {
    worker: Box<dyn Worker + 'a>,
    task: &'a Scored,
    repeats: usize,
    again: Again,
}

impl Worker for ScoredWorker<'_> {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        let n = self.repeats;
        // A cap is on all steps of a candidate.
        let max_steps = match request.max_steps {
            u32::MAX => u32::MAX,
            steps => steps.div_ceil(n as u32),
        };
        let request = Request {
            max_steps,
            ..request.clone()
        };
        self.worker.evaluate(&request, rows.clone(), scores);
        for repeat in 1..n {
            // Rows that have failed stay so.
            if scores.status.iter().all(|status| *status != Status::Ok as u8) {
                break;
            }
            let seed = |seed| seed_of(seed, repeat);
            self.again
                .add(self.worker.as_mut(), &request, rows.clone(), seed, scores);
        }
        if n > 1 {
            Again::mean(scores, n, &self.task.spec.measures);
        }
        let weights = &self.task.weights;
        if !weights.is_empty() {
            let rows = scores.objectives.chunks_exact(weights.len());
            for (fitness, own) in scores.fitness.iter_mut().zip(rows) {
                *fitness = own.iter().zip(weights).map(|(x, w)| w * x).sum();
            }
        }
        if self.task.minimized {
            // 0 minus it: no value is -0.
            scores.fitness.iter_mut().for_each(|x| *x = 0.0 - *x);
            for trajectory in scores.trajectories.iter_mut() {
                trajectory.rewards.iter_mut().for_each(|x| *x = 0.0 - *x);
                trajectory
                    .answers
                    .iter_mut()
                    .for_each(|answer| answer.reward = 0.0 - answer.reward);
            }
        }
    }
}

#[cfg(test)]
mod tests;
