//! Episodes: what an environment is, and the worker that scores genomes by acting in one through a network.

use std::ops::Range;

use illume_core::{Normalization, Request, Scores, Scratch, Status, TaskSpec, Worker};

use crate::policy::{Mlp, MlpScratch};

/// Whether and how an episode is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Running,
    /// The task's own condition ended it: fallen, solved.
    Terminated,
    /// Time was up.
    Truncated,
    /// The simulator failed; nothing of the episode counts.
    Failed,
}

/// What one step brought.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    pub reward: f64,
    pub end: End,
}

/// Something to act in. Each thread has its own.
pub trait Env: Send {
    /// Starts an episode; everything random in it is keyed by `seed` (core `Stream`, `Purpose::Episode`). Writes the first
    /// observation, `[observation_dim]`.
    fn reset(&mut self, seed: u64, observation: &mut [f32]);

    /// One step under an action in [-1, 1], `[action_dim]`, finite; writes the next observation.
    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step;

    /// The descriptor of the episode so far, `[descriptor_dim]`.
    fn descriptor(&mut self, out: &mut [f64]);

    /// A reward for the state in which the episode ended, however and whenever that was; asked once at its end.
    fn final_reward(&mut self) -> f64 {
        0.0
    }
}

/// Scores genomes by one episode each: fitness is the sum of rewards.
///
/// An episode is truncated at the spec's `max_steps` or the request's, whichever comes first. An action that is not a number ends
/// it as [`Status::NotFinite`]. Observation moments are those of the observations acted upon (one per step), as the
/// environment gave them, before normalization.
pub struct RolloutWorker<'a, E> {
    env: E,
    policy: &'a Mlp,
    max_steps: u32,
    genes: Scratch,
    units: MlpScratch,
    observation: Vec<f32>,
    normalized: Vec<f32>,
    action: Vec<f32>,
}

impl<'a, E: Env> RolloutWorker<'a, E> {
    /// A worker for the task of this spec, whose observations and actions fit the policy.
    pub fn new(env: E, policy: &'a Mlp, spec: &TaskSpec) -> RolloutWorker<'a, E> {
        let (observation, action) = (policy.observation_dim(), policy.action_dim());
        assert_eq!(
            (observation, action),
            (spec.observation_dim, spec.action_dim),
            "policy of task '{}'",
            spec.name
        );
        RolloutWorker {
            env,
            policy,
            max_steps: spec.max_steps,
            genes: Scratch::default(),
            units: policy.scratch(),
            observation: vec![0.0; observation],
            normalized: vec![0.0; observation],
            action: vec![0.0; action],
        }
    }

    /// One episode; `moments` are `[2 * observation_dim]` sums to be added to, or empty. Gives (status, fitness, steps).
    fn episode(&mut self, request: &Request<'_>, row: usize, moments: &mut [f64]) -> (Status, f64, u32) {
        let genes = request.genomes.genes(row, &mut self.genes);
        let limit = self.max_steps.min(request.max_steps);
        let (mut fitness, mut steps) = (0.0, 0);
        self.env.reset(request.seeds[row], &mut self.observation);
        while steps < limit {
            add_moments(&self.observation, moments);
            let input = match request.normalization {
                Some(n) => {
                    normalize(n, &self.observation, &mut self.normalized);
                    &self.normalized
                }
                None => &self.observation,
            };
            self.policy.forward(genes, input, &mut self.units, &mut self.action);
            if !self.action.iter().all(|a| a.is_finite()) {
                return (Status::NotFinite, 0.0, steps);
            }
            let step = self.env.step(&self.action, &mut self.observation);
            steps += 1;
            fitness += step.reward;
            match step.end {
                End::Running => {}
                End::Failed => return (Status::Failed, 0.0, steps),
                End::Terminated | End::Truncated => break,
            }
        }
        (Status::Ok, fitness + self.env.final_reward(), steps)
    }
}

impl<E: Env> Worker for RolloutWorker<'_, E> {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        let k = scores.descriptor.len() / rows.len().max(1);
        let width = 2 * self.observation.len();
        for (i, row) in rows.enumerate() {
            let observed = request.observed.get(row).copied().unwrap_or(false) && !scores.moments.is_empty();
            let moments = if observed {
                &mut scores.moments[i * width..(i + 1) * width]
            } else {
                &mut []
            };
            let (status, fitness, steps) = self.episode(request, row, moments);
            scores.status[i] = status as u8;
            scores.fitness[i] = fitness;
            scores.steps[i] = steps;
            if status == Status::Ok {
                self.env.descriptor(&mut scores.descriptor[i * k..(i + 1) * k]);
            }
        }
        scores.check_finite();
    }
}

fn add_moments(observation: &[f32], moments: &mut [f64]) {
    if moments.is_empty() {
        return;
    }
    let (sums, squares) = moments.split_at_mut(observation.len());
    for ((x, sum), square) in observation.iter().zip(sums).zip(squares) {
        let x = f64::from(*x);
        *sum += x;
        *square += x * x;
    }
}

/// `clamp((x - mean) / sd, -clip, clip)`; NaN stays NaN.
fn normalize(n: &Normalization, observation: &[f32], out: &mut [f32]) {
    for (((x, mean), sd), y) in observation.iter().zip(&n.mean).zip(&n.sd).zip(out) {
        *y = ((x - mean) / sd).clamp(-n.clip, n.clip);
    }
}
