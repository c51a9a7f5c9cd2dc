//! The same mathematics a second time, for tests: double precision, one number at a time, derivatives by central differences.

use illume_core::{Activation, Purpose, Stream};

use super::super::{Ascent, Minibatches, Network, Networks, Output, Td3Config};

/// Outputs of one row.
pub fn outputs(net: &Network, params: &[f64], input: &[f64]) -> Vec<f64> {
    let (mut x, mut at) = (input.to_vec(), 0);
    for (l, pair) in net.layers.windows(2).enumerate() {
        let [fan_in, fan_out] = [pair[0], pair[1]];
        let last = l + 2 == net.layers.len();
        x = (0..fan_out)
            .map(|o| {
                let sum: f64 = (0..fan_in).map(|i| params[at + i * fan_out + o] * x[i]).sum();
                let sum = sum + params[at + fan_in * fan_out + o];
                match (last, net.output, net.hidden) {
                    (true, Output::Linear, _) => sum,
                    (true, Output::Tanh, _) | (false, _, Activation::Tanh) => sum.tanh(),
                    (false, _, Activation::Relu) => sum.max(0.0),
                }
            })
            .collect();
        at += (fan_in + 1) * fan_out;
    }
    x
}

/// Central differences of a loss.
pub fn gradient(params: &[f64], loss: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    const H: f64 = 1e-6;
    let mut p = params.to_vec();
    (0..p.len())
        .map(|i| {
            let mut at = |x| {
                p[i] = x;
                loss(&p)
            };
            let difference = (at(params[i] + H) - at(params[i] - H)) / (2.0 * H);
            p[i] = params[i];
            difference
        })
        .collect()
}

/// Adam as its paper writes it.
pub struct Adam {
    pub m: Vec<f64>,
    pub v: Vec<f64>,
    pub t: i32,
}

impl Adam {
    pub fn new(len: usize) -> Adam {
        Adam {
            m: vec![0.0; len],
            v: vec![0.0; len],
            t: 0,
        }
    }

    pub fn step(&mut self, rate: f64, gradient: &[f64], params: &mut [f64]) {
        self.t += 1;
        for i in 0..params.len() {
            self.m[i] = 0.9 * self.m[i] + 0.1 * gradient[i];
            self.v[i] = 0.999 * self.v[i] + 0.001 * gradient[i] * gradient[i];
            let m = self.m[i] / (1.0 - 0.9f64.powi(self.t));
            let v = self.v[i] / (1.0 - 0.999f64.powi(self.t));
            params[i] -= rate * m / (v.sqrt() + 1e-8);
        }
    }
}

pub fn double(x: &[f32]) -> Vec<f64> {
    x.iter().map(|x| f64::from(*x)).collect()
}

/// Row `row` of a column.
pub fn row(column: &[f32], width: usize, row: usize) -> Vec<f64> {
    double(&column[row * width..(row + 1) * width])
}

/// TD3.
pub struct Twin {
    config: Td3Config,
    pub actor: Vec<f64>,
    pub actor_target: Vec<f64>,
    pub critics: [Vec<f64>; 2],
    pub critic_targets: [Vec<f64>; 2],
    pub actor_adam: Adam,
    pub critic_adams: [Adam; 2],
    steps: u64,
}

impl Twin {
    pub fn new(config: &Td3Config, networks: &Networks) -> Twin {
        Twin {
            config: config.clone(),
            actor: double(&networks.actor),
            actor_target: double(&networks.actor_target),
            critics: [0, 1].map(|j| double(&networks.critics[j])),
            critic_targets: [0, 1].map(|j| double(&networks.critic_targets[j])),
            actor_adam: Adam::new(networks.actor.len()),
            critic_adams: [0, 1].map(|j| Adam::new(networks.critics[j].len())),
            steps: 0,
        }
    }

    /// One minibatch; the summed loss of the critics, and the actor's if it took a step.
    pub fn step(&mut self, batches: &Minibatches, step: usize) -> (f64, Option<f64>) {
        let c = self.config.clone();
        let (actor, critic) = (c.actor(), c.critic());
        let rows = step * c.minibatch..(step + 1) * c.minibatch;
        let n = c.minibatch as f64;
        let condition = |r| row(&batches.condition, c.condition, r);
        let y: Vec<f64> = rows
            .clone()
            .map(|r| {
                let next = row(&batches.next_observation, c.observation, r);
                let action = outputs(&actor, &self.actor_target, &[next.clone(), condition(r)].concat());
                let noise = row(&batches.noise, c.action, r);
                let noisy = action
                    .iter()
                    .zip(noise)
                    .map(|(a, e)| (a + e).clamp(-1.0, 1.0))
                    .collect();
                let input = [next, noisy, condition(r)].concat();
                let q = [0, 1].map(|j| outputs(&critic, &self.critic_targets[j], &input)[0]);
                f64::from(batches.reward[r]) + c.discount * f64::from(batches.continues[r]) * q[0].min(q[1])
            })
            .collect();
        let mut total = 0.0;
        for j in 0..2 {
            let loss = |params: &[f64]| {
                let square = |(r, y): (usize, &f64)| {
                    let state = row(&batches.observation, c.observation, r);
                    let input = [state, row(&batches.action, c.action, r), condition(r)].concat();
                    (outputs(&critic, params, &input)[0] - y).powi(2)
                };
                rows.clone().zip(&y).map(square).sum::<f64>() / n
            };
            total += loss(&self.critics[j]);
            let g = gradient(&self.critics[j], loss);
            self.critic_adams[j].step(c.critic_rate, &g, &mut self.critics[j]);
        }
        let soft = |target: &mut Vec<f64>, net: &[f64]| {
            target
                .iter_mut()
                .zip(net)
                .for_each(|(t, p)| *t = (1.0 - c.tau) * *t + c.tau * p);
        };
        self.steps += 1;
        if self.steps.is_multiple_of(c.target_delay) {
            for j in 0..2 {
                soft(&mut self.critic_targets[j], &self.critics[j]);
            }
        }
        if !self.steps.is_multiple_of(c.delay) {
            return (total, None);
        }
        let loss = |params: &[f64]| {
            let value = |r| {
                let state = row(&batches.observation, c.observation, r);
                let action = outputs(&actor, params, &[state.clone(), condition(r)].concat());
                outputs(&critic, &self.critics[0], &[state, action, condition(r)].concat())[0]
            };
            -rows.clone().map(value).sum::<f64>() / n
        };
        let actor_loss = loss(&self.actor);
        let g = gradient(&self.actor, loss);
        self.actor_adam.step(c.actor_rate, &g, &mut self.actor);
        soft(&mut self.actor_target, &self.actor);
        (total, Some(actor_loss))
    }
}

/// The ascent of one policy.
pub fn improve(
    config: &Td3Config,
    ascent: &Ascent,
    critic: &[f32],
    policy: &[f32],
    d: &[f32],
    states: &[f32],
) -> Vec<f64> {
    let (mut params, critic, d) = (double(policy), double(critic), double(d));
    let mut adam = Adam::new(params.len());
    for step in 0..ascent.steps {
        let loss = |params: &[f64]| {
            let value = |r| {
                let state = row(states, config.observation, r);
                let action = outputs(&ascent.policy, params, &state);
                outputs(&config.critic(), &critic, &[state, action, d.clone()].concat())[0]
            };
            let rows = step * ascent.minibatch..(step + 1) * ascent.minibatch;
            -rows.map(value).sum::<f64>() / ascent.minibatch as f64
        };
        let g = gradient(&params, loss);
        adam.step(ascent.rate, &g, &mut params);
    }
    params
}

/// A small problem of odd sizes.
pub fn config() -> Td3Config {
    Td3Config {
        observation: 5,
        action: 3,
        condition: 2,
        actor_hidden: vec![19, 7],
        actor_activation: Activation::Tanh,
        critic_hidden: vec![37, 18],
        minibatch: 13,
        actor_rate: 1e-3,
        critic_rate: 2e-3,
        discount: 0.97,
        tau: 0.05,
        delay: 2,
        target_delay: 1,
    }
}

/// Keyed normal numbers.
pub fn normals(index: u64, len: usize) -> Vec<f32> {
    let mut out = vec![0.0; len];
    Stream::new(7, Purpose::Variation, 0, index).normals(0, &mut out);
    out
}

/// Minibatches of noise; every third transition ends its episode.
pub fn batches(c: &Td3Config, steps: usize) -> Minibatches {
    let rows = steps * c.minibatch;
    Minibatches {
        steps,
        observation: normals(0, rows * c.observation),
        action: normals(1, rows * c.action).iter().map(|a| a.clamp(-1.0, 1.0)).collect(),
        condition: normals(2, rows * c.condition),
        reward: normals(3, rows),
        next_observation: normals(4, rows * c.observation),
        continues: (0..rows).map(|r| if r % 3 == 0 { 0.0 } else { 1.0 }).collect(),
        noise: normals(5, rows * c.action)
            .iter()
            .map(|e| (0.2 * e).clamp(-0.5, 0.5))
            .collect(),
    }
}
