//! Learning from experience: TD3 (Fujimoto et al. 2018, <https://arxiv.org/abs/1802.09477>), policy-gradient variation
//! (Nilsson and Cully 2021, <https://hal.science/hal-03135723v2>; conditioned on descriptors: Faldor et al. 2023,
//! <https://arxiv.org/abs/2303.03832>) and regression, behind one trait with interchangeable back-ends.
//!
//! Parameters cross every interface flat: layer after layer the weights `[inputs, outputs]` row-major, then the bias
//! `[outputs]`, which is the order of genomes. [`Native`] learns on the processor with kernels of its own, `Torch` (feature
//! `torch`) on CUDA.

mod ascent;
mod native;
mod regression;
#[cfg(feature = "torch")]
mod torch;

#[cfg(test)]
mod tests;

pub use illume_numerics::mlp::{Network, Output, fold_condition};
pub use native::Native;
pub use regression::Regression;
#[cfg(feature = "torch")]
pub(crate) use torch::with_libtorch;
#[cfg(feature = "torch")]
pub use torch::{Torch, cuda_available, cuda_missing};

use illume_core::{Activation, Error, Purpose, Result, Stream};

/// What TD3 trains, and how.
#[derive(Debug, Clone, PartialEq)]
pub struct Td3Config {
    pub observation: usize,
    pub action: usize,
    /// Numbers of the descriptor that actor and critics are conditioned on; 0: not conditioned (PGA-MAP-Elites).
    pub condition: usize,
    pub actor_hidden: Vec<usize>,
    /// Of the actor's hidden layers; its outputs pass through tanh.
    pub actor_activation: Activation,
    /// Units of each hidden layer of a critic, all rectified; its output is linear.
    pub critic_hidden: Vec<usize>,
    /// Transitions a step learns from.
    pub minibatch: usize,
    /// Learning rate of the actor's Adam.
    pub actor_rate: f64,
    /// Learning rate of the critics' Adam.
    pub critic_rate: f64,
    pub discount: f64,
    /// Share of the way that targets go towards their networks in a soft update.
    pub tau: f64,
    /// Critic steps for each step of the actor and of its target.
    pub delay: u64,
    /// Critic steps for each step of the critics' targets.
    pub target_delay: u64,
}

impl Td3Config {
    /// The actor: in `[observation, condition]`.
    pub fn actor(&self) -> Network {
        let layers = layers(self.observation + self.condition, &self.actor_hidden, self.action);
        Network {
            layers,
            hidden: self.actor_activation,
            output: Output::Tanh,
        }
    }

    /// One critic: in `[observation, action, condition]`.
    pub fn critic(&self) -> Network {
        let inputs = self.observation + self.action + self.condition;
        Network {
            layers: layers(inputs, &self.critic_hidden, 1),
            hidden: Activation::Relu,
            output: Output::Linear,
        }
    }
}

fn layers(inputs: usize, hidden: &[usize], outputs: usize) -> Vec<usize> {
    [&[inputs], hidden, &[outputs]].concat()
}

/// Consecutive minibatches, gathered beforehand: flat, row-major, `rows = steps * minibatch`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Minibatches {
    pub steps: usize,
    /// `[rows, observation]`
    pub observation: Vec<f32>,
    /// `[rows, action]`
    pub action: Vec<f32>,
    /// `[rows, condition]`
    pub condition: Vec<f32>,
    /// `[rows]`, already times the similarity of the descriptor achieved to the one asked for.
    pub reward: Vec<f32>,
    /// `[rows, observation]`
    pub next_observation: Vec<f32>,
    /// `[rows]`: 0 after termination, else 1. A time limit is not a termination.
    pub continues: Vec<f32>,
    /// Smoothing noise of the target action, already scaled and clipped, `[rows, action]`.
    pub noise: Vec<f32>,
}

impl Minibatches {
    /// # Panics
    /// A column has not one entry for each row.
    pub fn assert(&self, config: &Td3Config) {
        let rows = self.steps * config.minibatch;
        for (name, column, width) in [
            ("observation", &self.observation, config.observation),
            ("action", &self.action, config.action),
            ("condition", &self.condition, config.condition),
            ("reward", &self.reward, 1),
            ("next_observation", &self.next_observation, config.observation),
            ("continues", &self.continues, 1),
            ("noise", &self.noise, config.action),
        ] {
            assert_eq!(column.len(), rows * width, "{name} of {rows} rows");
        }
    }
}

/// Everything that learns, which is what a checkpoint holds; parameters and Adam's two moments are flat.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Networks {
    pub actor: Vec<f32>,
    pub actor_target: Vec<f32>,
    pub actor_moments: [Vec<f32>; 2],
    pub critics: [Vec<f32>; 2],
    pub critic_targets: [Vec<f32>; 2],
    pub critic_moments: [[Vec<f32>; 2]; 2],
    pub critic_steps: u64,
    pub actor_steps: u64,
}

impl Networks {
    /// Fresh networks: LeCun-uniform, targets being copies, moments 0.
    pub fn new(config: &Td3Config, seed: u64) -> Networks {
        let draw = |net: &Network, index| {
            let mut params = vec![0.0; net.params()];
            net.init(&Stream::new(seed, Purpose::Network, 0, index), &mut params);
            params
        };
        let [actor, critic] = [config.actor(), config.critic()];
        let zeros = |net: &Network| [vec![0.0; net.params()], vec![0.0; net.params()]];
        let critics = [draw(&critic, 1), draw(&critic, 2)];
        let first = draw(&actor, 0);
        Networks {
            actor_target: first.clone(),
            actor: first,
            actor_moments: zeros(&actor),
            critic_targets: critics.clone(),
            critics,
            critic_moments: [zeros(&critic), zeros(&critic)],
            critic_steps: 0,
            actor_steps: 0,
        }
    }

    /// # Errors
    /// These are not networks of `config`: which is not, its length, and the one that was expected.
    pub fn check(&self, config: &Td3Config) -> Result<()> {
        let [actor, critic] = [config.actor(), config.critic()];
        let parts = [
            (
                "actor",
                &actor,
                vec![
                    &self.actor,
                    &self.actor_target,
                    &self.actor_moments[0],
                    &self.actor_moments[1],
                ],
            ),
            (
                "critics",
                &critic,
                self.critics.iter().chain(&self.critic_targets).collect(),
            ),
            ("critics", &critic, self.critic_moments.iter().flatten().collect()),
        ];
        for (name, net, params) in parts {
            if let Some(wrong) = params.iter().find(|p| p.len() != net.params()) {
                return Err(Error::input(format!(
                    "the {name} has {} parameters or moments, but layers {:?} have {}: these networks are of another run",
                    wrong.len(),
                    net.layers,
                    net.params()
                )));
            }
        }
        Ok(())
    }
}

/// What a call of [`Learner::train`] saw on average.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Losses {
    /// Mean over critic steps of both critics' mean squared errors, summed.
    pub critic: f64,
    /// Mean over actor steps of -mean Q; 0 if there was no actor step.
    pub actor: f64,
}

/// Where learning happens.
///
/// One critic step: the target action is `a' = clip(actor_target(s' | d') + noise, -1, 1)`, the target
/// `y = reward + discount * continues * min_j critic_target_j(s', a' | d')`, the loss `sum_j mean (critic_j(s, a | d') - y)^2`.
/// After every `target_delay` of them, counted over calls, the critics' targets go `tau` of the way to the critics. After every
/// `delay`, the actor takes a step on `-mean critic_0(s, actor(s | d') | d')` with the critic just updated, and its target goes
/// `tau` of the way to it. Adam (0.9, 0.999, 1e-8) is bias-corrected with
/// epsilon added to the corrected root; its step number is that of the critics or of the actor.
pub trait Learner: Send {
    /// The back-end and the device, for the log: `native, 2 threads`.
    fn device(&self) -> String;

    /// Takes one critic step for each minibatch.
    ///
    /// # Errors
    /// The device failed.
    fn train(&mut self, batches: &Minibatches) -> Result<Losses>;

    /// Copies of all networks and moments.
    ///
    /// # Errors
    /// The device failed.
    fn networks(&self) -> Result<Networks>;

    /// Continues from these networks.
    ///
    /// # Errors
    /// The networks are of another shape.
    fn load(&mut self, networks: &Networks) -> Result<()>;

    /// Policy-gradient variation: Adam steps with fresh moments on `-mean_b Q(s_b, pi(s_b) | d)` for every policy, all on the
    /// same minibatches. `critic` `[params]` is the one to ascend, `policies` `[n, params]` are changed in place, `conditions`
    /// is `[n, condition]`, `states` `[steps * minibatch, observation]`. A policy's result does not depend on the others.
    ///
    /// # Errors
    /// The device failed.
    fn improve(
        &mut self,
        ascent: &Ascent,
        critic: &[f32],
        policies: &mut [f32],
        conditions: &[f32],
        states: &[f32],
    ) -> Result<()>;
}

/// How policies climb the critic.
#[derive(Debug, Clone, PartialEq)]
pub struct Ascent {
    pub policy: Network,
    /// Learning rate of Adam.
    pub rate: f64,
    pub steps: usize,
    /// States a step learns from.
    pub minibatch: usize,
}
