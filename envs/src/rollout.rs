//! Episodes: what an environment is, and the worker that scores genomes by acting in one through a network.

use std::ops::Range;

use illume_core::{Network, Normalization, Request, Scores, Scratch, Status, TaskSpec, Trajectory, Worker};

use illume_numerics::mlp::Units;

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

    /// What the task measures of the episode so far beside, `[measures]`, zeros before.
    fn measures(&mut self, _out: &mut [f64]) {}

    /// What an encoder of descriptors sees of the episode so far, `[features]`, where the task says that itself.
    fn features(&mut self, _out: &mut [f32]) {}

    /// What the last step brought of each of several objectives, `[m]`: asked after each step of a task that has some.
    fn objectives(&mut self, _out: &mut [f64]) {}

    /// A reward for the state in which the episode ended, however and whenever that was, where one is paid because it ended; asked
    /// once at its end. Nothing can be earned after it, so that the episode counts as terminated.
    fn final_reward(&mut self) -> Option<f64> {
        None
    }
}

/// Scores genomes by one episode each: fitness is the sum of rewards, and each of several objectives is the sum over the steps.
///
/// An episode is truncated at the spec's `max_steps` or the request's, whichever comes first. An action that is not a number ends
/// it as [`Status::NotFinite`]. Observation moments are those of the observations acted upon (one per step), as the
/// environment gave them, before normalization.
///
/// With [`RolloutWorker::with_time`] the last number of an observation is the share of the task's time that remains; the end of that
/// time is then a state of the task as any other, and an episode that reaches it counts as terminated (Pardo et al. 2018,
/// <https://arxiv.org/abs/1712.00378>). One that a request cuts short does not.
///
/// A request may bring a network of its own in place of the task's policy, of the same inputs and outputs.
pub struct RolloutWorker<'a, E> {
    env: E,
    policy: &'a Network,
    /// The last other network that a request brought, with its buffers.
    guest: Option<(Network, Units)>,
    /// The task's `[max_steps, test_steps]`.
    limits: [u32; 2],
    /// Numbers of an observation that are the environment's; behind them perhaps the time.
    sensed: usize,
    genes: Scratch,
    units: Units,
    observation: Vec<f32>,
    normalized: Vec<f32>,
    action: Vec<f32>,
    /// What a step brought of each objective.
    earned: Vec<f64>,
}

impl<'a, E: Env> RolloutWorker<'a, E> {
    /// A worker for the task of this spec, whose observations and actions fit the policy.
    pub fn new(env: E, policy: &'a Network, spec: &TaskSpec) -> RolloutWorker<'a, E> {
        let (observation, action) = (policy.inputs(), policy.outputs());
        assert_eq!(
            (observation, action),
            (spec.observation_dim, spec.action_dim),
            "policy of task '{}'",
            spec.name
        );
        RolloutWorker {
            env,
            policy,
            guest: None,
            limits: [spec.max_steps, spec.test_steps],
            sensed: observation,
            genes: Scratch::default(),
            units: policy.units(),
            observation: vec![0.0; observation],
            normalized: vec![0.0; observation],
            action: vec![0.0; action],
            earned: vec![0.0; spec.objectives.len()],
        }
    }

    /// The same, with the time that remains behind the environment's observation if `shown`.
    pub fn with_time(self, shown: bool) -> RolloutWorker<'a, E> {
        RolloutWorker {
            sensed: self.observation.len() - usize::from(shown),
            ..self
        }
    }

    /// One episode; `moments` are `[2 * observation_dim]` sums to be added to, or empty, and `objectives` `[m]` such sums. Gives (status, fitness, steps).
    fn episode(
        &mut self,
        request: &Request<'_>,
        row: usize,
        (moments, objectives): (&mut [f64], &mut [f64]),
        mut trajectory: Option<&mut Trajectory>,
    ) -> (Status, f64, u32) {
        let genes = request.genomes.genes(row, &mut self.genes);
        let (policy, units) = match (&mut self.guest, request.network) {
            (Some((guest, units)), Some(_)) => (&*guest, units),
            _ => (self.policy, &mut self.units),
        };
        let limit = request.limit(row, self.limits);
        let (mut fitness, mut steps) = (0.0, 0);
        let sensed = self.sensed;
        self.env.reset(request.seeds[row], &mut self.observation[..sensed]);
        show_time(&mut self.observation[sensed..], 0, self.limits[0]);
        while steps < limit {
            add_moments(&self.observation, moments);
            let input = seen(request.normalization, &self.observation, &mut self.normalized);
            policy.forward(genes, input, units, &mut self.action);
            if !self.action.iter().all(|a| a.is_finite()) {
                return (Status::NotFinite, 0.0, steps);
            }
            if let Some(t) = trajectory.as_deref_mut() {
                t.observations.extend_from_slice(input);
                t.actions.extend_from_slice(&self.action);
            }
            let step = self.env.step(&self.action, &mut self.observation[..sensed]);
            steps += 1;
            show_time(&mut self.observation[sensed..], steps, self.limits[0]);
            fitness += step.reward;
            if !self.earned.is_empty() {
                self.env.objectives(&mut self.earned);
                objectives.iter_mut().zip(&self.earned).for_each(|(sum, x)| *sum += x);
            }
            if let Some(t) = trajectory.as_deref_mut() {
                t.rewards.push(step.reward as f32);
                t.objectives.extend(self.earned.iter().map(|x| *x as f32));
                t.terminated = step.end == End::Terminated;
            }
            match step.end {
                End::Running => {}
                End::Failed => return (Status::Failed, 0.0, steps),
                End::Terminated | End::Truncated => break,
            }
        }
        let last = self.env.final_reward();
        if let (Some(t), true) = (trajectory, steps > 0) {
            t.observations
                .extend_from_slice(seen(request.normalization, &self.observation, &mut self.normalized));
            t.rewards[steps as usize - 1] += last.unwrap_or(0.0) as f32;
            let time_seen_to_end = sensed < self.observation.len() && steps >= self.limits[0];
            t.terminated |= last.is_some() || time_seen_to_end;
        }
        (Status::Ok, fitness + last.unwrap_or(0.0), steps)
    }
}

impl<E: Env> Worker for RolloutWorker<'_, E> {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        let k = scores.descriptor.len() / rows.len().max(1);
        let measures = scores.measures.len() / rows.len().max(1);
        let seen = scores.features.len() / rows.len().max(1);
        let (width, m) = (2 * self.observation.len(), self.earned.len());
        if let Some(network) = request.network
            && self.guest.as_ref().is_none_or(|(guest, _)| guest != network)
        {
            let guest = network.clone();
            assert_eq!(
                (guest.inputs(), guest.outputs()),
                (self.policy.inputs(), self.policy.outputs()),
                "inputs and outputs of a network in place of the policy"
            );
            let units = guest.units();
            self.guest = Some((guest, units));
        }
        for (i, row) in rows.enumerate() {
            let observed = request.observed.get(row).copied().unwrap_or(false) && !scores.moments.is_empty();
            let moments = if observed {
                &mut scores.moments[i * width..(i + 1) * width]
            } else {
                &mut []
            };
            let mut trajectory = scores.trajectories.get_mut(i);
            let objectives = &mut scores.objectives[i * m..(i + 1) * m];
            let sums = (moments, objectives);
            let (status, fitness, steps) = self.episode(request, row, sums, trajectory.as_deref_mut());
            if let (Some(t), true) = (trajectory, status != Status::Ok) {
                t.clear();
            }
            scores.status[i] = status as u8;
            scores.fitness[i] = fitness;
            scores.steps[i] = steps;
            if status == Status::Ok {
                self.env.descriptor(&mut scores.descriptor[i * k..(i + 1) * k]);
                if measures > 0 {
                    self.env
                        .measures(&mut scores.measures[i * measures..(i + 1) * measures]);
                }
                if seen > 0 {
                    self.env.features(&mut scores.features[i * seen..(i + 1) * seen]);
                }
            }
        }
    }
}

/// Writes the share of `most` steps that remains, where there is a place for it.
fn show_time(place: &mut [f32], steps: u32, most: u32) {
    place.fill((f64::from(most.saturating_sub(steps)) / f64::from(most)) as f32);
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

/// What the policy sees of an observation.
fn seen<'o>(normalization: Option<&Normalization>, observation: &'o [f32], normalized: &'o mut [f32]) -> &'o [f32] {
    match normalization {
        Some(n) => {
            normalize(n, observation, normalized);
            normalized
        }
        None => observation,
    }
}

/// `clamp((x - mean) / sd, -clip, clip)`; NaN stays NaN.
fn normalize(n: &Normalization, observation: &[f32], out: &mut [f32]) {
    for (((x, mean), sd), y) in observation.iter().zip(&n.mean).zip(&n.sd).zip(out) {
        *y = ((x - mean) / sd).clamp(-n.clip, n.clip);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use illume_core::{Activation, Dense, Genomes, Init};

    /// Counts: observation (steps, seed), reward 1 a step, and perhaps one at the end; ends in some way after a number of steps.
    struct Counter {
        steps: u32,
        last: u32,
        end: End,
        pay: Option<f64>,
    }

    impl Env for Counter {
        fn reset(&mut self, seed: u64, observation: &mut [f32]) {
            self.steps = 0;
            observation.copy_from_slice(&[0.0, seed as f32]);
        }

        fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
            assert!(action[0].abs() <= 1.0);
            self.steps += 1;
            observation[0] = self.steps as f32;
            Step {
                reward: 1.0,
                end: if self.steps == self.last {
                    self.end
                } else {
                    End::Running
                },
            }
        }

        fn descriptor(&mut self, out: &mut [f64]) {
            out[0] = f64::from(self.steps);
        }

        fn final_reward(&mut self) -> Option<f64> {
            self.pay
        }
    }

    /// (status, fitness, descriptor, steps, moments) of one row under seed 3.
    fn run(
        end: End,
        gene: f32,
        max_steps: u32,
        normalization: Option<&Normalization>,
    ) -> (u8, f64, f64, u32, [f64; 4]) {
        recorded(end, gene, max_steps, normalization, None).0
    }

    type Row = (u8, f64, f64, u32, [f64; 4]);

    /// The same with the episode's trajectory, perhaps through another network than the task's.
    fn recorded(
        end: End,
        gene: f32,
        max_steps: u32,
        normalization: Option<&Normalization>,
        network: Option<&Network>,
    ) -> (Row, Trajectory) {
        act((end, Some(100.0)), false, gene, max_steps, normalization, network)
    }

    /// The same with an end that pays or not, and perhaps with the time.
    fn act(
        (end, pay): (End, Option<f64>),
        time: bool,
        gene: f32,
        max_steps: u32,
        normalization: Option<&Normalization>,
        network: Option<&Network>,
    ) -> (Row, Trajectory) {
        let observation = 2 + usize::from(time);
        let policy = Network::policy(vec![observation, 1], Activation::Tanh);
        let spec = TaskSpec {
            fitness: "steps".into(),
            observation_dim: observation,
            action_dim: 1,
            max_steps: 10,
            test_steps: 10,
            ..TaskSpec::new("counter", policy.params(), Init::Normal { mean: 0.0, sd: 1.0 })
        };
        let counter = Counter {
            steps: 0,
            last: 4,
            end,
            pay,
        };
        let mut worker = RolloutWorker::new(counter, &policy, &spec).with_time(time);
        let dim = network.map_or(policy.params(), Network::params);
        let genomes = Genomes::Dense(Dense {
            dim,
            data: vec![gene; dim],
        });
        let request = Request {
            genomes: &genomes,
            seeds: &[3],
            max_steps,
            uncapped: 0..0,
            tests: 0..0,
            normalization,
            observed: &[true],
            network,
        };
        let (mut status, mut fitness, mut descriptor, mut steps) = ([0], [0.0], [0.0], [0]);
        let mut moments = vec![0.0; 2 * observation];
        let mut trajectories = [Trajectory::default()];
        let mut scores = Scores {
            status: &mut status,
            fitness: &mut fitness,
            descriptor: &mut descriptor,
            steps: &mut steps,
            moments: &mut moments,
            measures: &mut [],
            objectives: &mut [],
            trajectories: &mut trajectories,
            features: &mut [],
        };
        worker.evaluate(&request, 0..1, &mut scores);
        let [trajectory] = trajectories;
        let moments = std::array::from_fn(|i| moments[i]);
        ((status[0], fitness[0], descriptor[0], steps[0], moments), trajectory)
    }

    #[test]
    fn a_trajectory_holds_every_step_and_knows_termination_from_time_being_up() {
        let terminated = recorded(End::Terminated, 0.0, u32::MAX, None, None).1;
        assert_eq!(
            terminated.observations,
            [0.0, 3.0, 1.0, 3.0, 2.0, 3.0, 3.0, 3.0, 4.0, 3.0]
        );
        assert_eq!(terminated.actions, [0.0; 4]);
        assert_eq!(
            terminated.rewards,
            [1.0, 1.0, 1.0, 101.0],
            "the last step brings the final reward"
        );
        assert!(terminated.terminated);
        for (end, max_steps, steps) in [
            (End::Truncated, u32::MAX, 4),
            (End::Running, u32::MAX, 10),
            (End::Terminated, 2, 2),
        ] {
            let t = act((end, None), false, 0.0, max_steps, None, None).1;
            assert_eq!(
                (t.terminated, t.steps(), t.observations.len()),
                (false, steps, 2 * steps + 2),
                "{end:?}"
            );
            assert!(
                recorded(end, 0.0, max_steps, None, None).1.terminated,
                "{end:?}: nothing is earned after a reward that is paid because the episode ends"
            );
        }
    }

    #[test]
    fn the_last_number_is_the_time_that_remains_and_its_end_is_an_end() {
        let whole = act((End::Running, None), true, 0.0, u32::MAX, None, None).1;
        let times: Vec<f32> = whole.observations.chunks_exact(3).map(|o| o[2]).collect();
        let expected: Vec<f32> = (0..=10).map(|step| (10 - step) as f32 / 10.0).collect();
        assert_eq!(times, expected);
        assert_eq!(whole.observations[3..5], [1.0, 3.0], "the rest is the environment's");
        assert!(whole.terminated);
        // Cut short by the request, the task's time is not over.
        let cut = act((End::Running, None), true, 0.0, 4, None, None).1;
        assert_eq!((cut.terminated, cut.observations[14]), (false, 0.6));
    }

    #[test]
    fn a_trajectory_holds_what_the_policy_saw_and_nothing_of_a_failure() {
        let n = Normalization {
            mean: vec![1.0, 3.0],
            sd: vec![2.0, 0.5],
            clip: 0.5,
        };
        let seen = recorded(End::Terminated, 0.1, 2, Some(&n), None).1;
        assert_eq!(seen.observations, [-0.5, 0.0, 0.0, 0.0, 0.5, 0.0]);
        assert_eq!(
            recorded(End::Failed, 0.1, u32::MAX, None, None).1,
            Trajectory::default()
        );
        assert_eq!(
            recorded(End::Running, f32::NAN, u32::MAX, None, None).1,
            Trajectory::default()
        );
    }

    #[test]
    fn a_request_may_bring_its_own_network() {
        let network = Network::policy(vec![2, 5, 1], Activation::Relu);
        let (row, trajectory) = recorded(End::Terminated, 0.1, u32::MAX, None, Some(&network));
        assert_eq!((row.0, row.3), (Status::Ok as u8, 4));
        // Five units relu(0.1 (0 + 3) + 0.1), then tanh(5 * 0.1 * unit + 0.1), by hand.
        assert!((trajectory.actions[0] - (5.0f32 * 0.1 * 0.4 + 0.1).tanh()).abs() < 1e-6);
    }

    #[test]
    fn an_episode_ends_by_itself_by_its_length_or_by_the_request() {
        let moments = [6.0, 12.0, 14.0, 36.0];
        assert_eq!(run(End::Terminated, 0.1, u32::MAX, None), (0, 104.0, 4.0, 4, moments));
        assert_eq!(run(End::Truncated, 0.1, u32::MAX, None), (0, 104.0, 4.0, 4, moments));
        let (status, fitness, _, steps, _) = run(End::Running, 0.1, u32::MAX, None);
        assert_eq!((status, fitness, steps), (0, 110.0, 10));
        assert_eq!(
            run(End::Terminated, 0.1, 2, None),
            (0, 102.0, 2.0, 2, [1.0, 6.0, 1.0, 18.0])
        );
    }

    #[test]
    fn a_failed_simulation_and_an_action_that_is_no_number_are_statuses() {
        let (status, fitness, descriptor, steps, _) = run(End::Failed, 0.1, u32::MAX, None);
        assert_eq!(
            (status, fitness, descriptor, steps),
            (Status::Failed as u8, 0.0, 0.0, 4)
        );
        let (status, fitness, descriptor, steps, _) = run(End::Terminated, f32::NAN, u32::MAX, None);
        assert_eq!(
            (status, fitness, descriptor, steps),
            (Status::NotFinite as u8, 0.0, 0.0, 0)
        );
    }

    #[test]
    fn moments_are_of_raw_observations_also_when_the_policy_sees_normalized_ones() {
        let n = Normalization {
            mean: vec![1.0, 3.0],
            sd: vec![2.0, 0.5],
            clip: 0.5,
        };
        assert_eq!(run(End::Terminated, 0.1, u32::MAX, Some(&n)).4, [6.0, 12.0, 14.0, 36.0]);
        let mut out = [0.0; 4];
        let n = Normalization {
            mean: vec![1.0; 4],
            sd: vec![2.0; 4],
            clip: 5.0,
        };
        normalize(&n, &[2.0, 100.0, -100.0, f32::NAN], &mut out);
        assert_eq!(out[..3], [0.5, 5.0, -5.0]);
        assert!(out[3].is_nan());
    }
}
