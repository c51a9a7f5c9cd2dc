//! The learner on libtorch, by automatic differentiation (TD3: Fujimoto et al. 2018, <https://arxiv.org/abs/1802.09477>): for
//! CUDA, and as the twin that checks the native one. Its losses are those that [`Learner`] states.

mod stack;

pub use illume_numerics::cuda::{available as cuda_available, missing as cuda_missing};

use illume_numerics::cuda;

use illume_core::{Error, Result};
use stack::{Moments, Stack, Tried, upload};
use tch::{Device, Kind, TchError, Tensor, no_grad};

use super::{Ascent, Learner, Losses, Minibatches, Networks, Td3Config};

/// TD3 and policy-gradient variation on a device of libtorch. Everything stays there; what comes in is minibatches, once a call.
pub struct Torch {
    config: Td3Config,
    device: Device,
    state: State,
}

/// [`Networks`] on the device.
struct State {
    actor: Stack,
    actor_target: Stack,
    actor_moments: Moments,
    /// Both of them, and the first alone as the actor climbs it: the same memory.
    critics: Stack,
    first_critic: Stack,
    critic_targets: Stack,
    critic_moments: Moments,
    critic_steps: u64,
    actor_steps: u64,
}

/// [`Minibatches`] on the device, `[rows, columns]` each.
struct Rows {
    observation: Tensor,
    condition: Tensor,
    /// Observation and condition.
    seen: Tensor,
    /// Observation, action and condition.
    taken: Tensor,
    next_observation: Tensor,
    next_seen: Tensor,
    noise: Tensor,
    reward: Tensor,
    /// Of the next state's value: 0 after termination.
    discount: Tensor,
}

impl Torch {
    /// Continues from `networks` on `device`.
    ///
    /// # Errors
    /// The networks are not of `config`, or the device is not there.
    pub fn new(config: &Td3Config, networks: &Networks, device: Device) -> Result<Torch> {
        if let Device::Cuda(index) = device
            && let Some(fault) = cuda_missing(index)
        {
            return Err(Error::input(format!(
                "CUDA device {index} is not there to learn on: {fault}; the learner \"native\" needs no GPU"
            )));
        }
        networks.check(config)?;
        Ok(Torch {
            config: config.clone(),
            device,
            state: State::upload(config, networks, device).map_err(failed)?,
        })
    }

    fn try_train(&mut self, batches: &Minibatches) -> Tried<Losses> {
        let (config, state) = (&self.config, &mut self.state);
        let rows = Rows::upload(config, batches, self.device)?;
        let none = || Tensor::f_zeros([], (Kind::Double, self.device));
        let [mut critic_loss, mut actor_loss] = [none()?, none()?];
        let actor_steps = state.actor_steps;
        for step in 0..batches.steps {
            let rows = rows.minibatch(step, config.minibatch)?;
            let _ = critic_loss.f_add_(&state.critic_step(config, &rows)?)?;
            if state.critic_steps.is_multiple_of(config.target_delay) {
                state.critic_targets.approach(&state.critics, config.tau)?;
            }
            if state.critic_steps.is_multiple_of(config.delay) {
                let _ = actor_loss.f_add_(&state.actor_step(config, &rows)?)?;
            }
        }
        let mean = |sum: &Tensor, steps: u64| Tried::Ok(f64::try_from(sum)? / steps.max(1) as f64);
        Ok(Losses {
            critic: mean(&critic_loss, batches.steps as u64)?,
            actor: mean(&actor_loss, state.actor_steps - actor_steps)?,
        })
    }

    /// The policies `[n, params]` after their ascent.
    fn try_improve(
        &self,
        ascent: &Ascent,
        critic: &[f32],
        policies: &[f32],
        conditions: &[f32],
        states: &[f32],
    ) -> Tried<Vec<f32>> {
        let n = policies.len() / ascent.policy.params();
        let [batch, k, m] = [ascent.minibatch, self.config.condition, self.config.observation];
        let mut policies = Stack::new(&ascent.policy, &[policies], self.device)?.trained()?;
        let critic = Stack::new(&self.config.critic(), &[critic], self.device)?;
        let mut moments = Moments::zero(&policies)?;
        let states = upload(states, &[ascent.steps, batch, m], self.device)?;
        let conditions = upload(conditions, &[n, 1, k], self.device)?;
        let conditions = conditions.f_expand([-1, batch as i64, -1], false)?;
        for step in 0..ascent.steps {
            let states = states
                .f_narrow(0, step as i64, 1)?
                .f_expand([n as i64, -1, -1], false)?;
            let actions = policies.forward(&states)?;
            let input = Tensor::f_cat(&[&states, &actions, &conditions], 2)?;
            // One critic for all: rows of all policies are one matrix.
            let values = critic.forward(&input.f_flatten(0, 1)?.f_unsqueeze(0)?)?;
            let loss = values.f_sum(Kind::Float)?.f_mul_scalar(-1.0 / batch as f64)?;
            moments.descend(&mut policies, &loss, ascent.rate, step as u64 + 1)?;
        }
        policies.download()
    }
}

impl Learner for Torch {
    fn device(&self) -> String {
        match self.device {
            Device::Cuda(index) => {
                let name = cuda::device_name(index).map_or(String::new(), |name| format!(" ({name})"));
                format!("torch, CUDA device {index}{name}")
            }
            _ => match tch::get_num_threads() {
                1 => "torch, CPU, 1 thread".into(),
                threads => format!("torch, CPU, {threads} threads"),
            },
        }
    }

    fn train(&mut self, batches: &Minibatches) -> Result<Losses> {
        self.try_train(batches).map_err(failed)
    }

    fn networks(&self) -> Result<Networks> {
        self.state.download().map_err(failed)
    }

    fn load(&mut self, networks: &Networks) -> Result<()> {
        networks.check(&self.config)?;
        self.state = State::upload(&self.config, networks, self.device).map_err(failed)?;
        Ok(())
    }

    fn improve(
        &mut self,
        ascent: &Ascent,
        critic: &[f32],
        policies: &mut [f32],
        conditions: &[f32],
        states: &[f32],
    ) -> Result<()> {
        let improved = self.try_improve(ascent, critic, policies, conditions, states);
        policies.copy_from_slice(&improved.map_err(failed)?);
        Ok(())
    }
}

impl State {
    fn upload(config: &Td3Config, networks: &Networks, device: Device) -> Tried<State> {
        let [actor, critic] = [config.actor(), config.critic()];
        let critics = Stack::new(&critic, &both(&networks.critics), device)?;
        let [first, second] = &networks.critic_moments;
        let critic_moments = [[&first[0][..], &second[0]], [&first[1], &second[1]]];
        let [m, v] = &networks.actor_moments;
        Ok(State {
            actor: Stack::new(&actor, &[&networks.actor], device)?.trained()?,
            actor_target: Stack::new(&actor, &[&networks.actor_target], device)?,
            actor_moments: Moments::new(&actor, [&[m], &[v]], device)?,
            first_critic: critics.only(0)?,
            critics: critics.trained()?,
            critic_targets: Stack::new(&critic, &both(&networks.critic_targets), device)?,
            critic_moments: Moments::new(&critic, [&critic_moments[0], &critic_moments[1]], device)?,
            critic_steps: networks.critic_steps,
            actor_steps: networks.actor_steps,
        })
    }

    fn download(&self) -> Tried<Networks> {
        let [m, v] = self.critic_moments.download()?.map(halves);
        let ([m0, m1], [v0, v1]) = (m, v);
        Ok(Networks {
            actor: self.actor.download()?,
            actor_target: self.actor_target.download()?,
            actor_moments: self.actor_moments.download()?,
            critics: halves(self.critics.download()?),
            critic_targets: halves(self.critic_targets.download()?),
            critic_moments: [[m0, v0], [m1, v1]],
            critic_steps: self.critic_steps,
            actor_steps: self.actor_steps,
        })
    }

    /// Returns the loss before the step.
    fn critic_step(&mut self, config: &Td3Config, rows: &Rows) -> Tried<Tensor> {
        let target = no_grad(|| -> Tried<Tensor> {
            let action = self.actor_target.forward_shared(&rows.next_seen)?.f_squeeze_dim(0)?;
            let action = action.f_add(&rows.noise)?.f_clamp(-1.0, 1.0)?;
            let next_taken = Tensor::f_cat(&[&rows.next_observation, &action, &rows.condition], 1)?;
            let value = self.critic_targets.forward_shared(&next_taken)?.f_amin(0, false)?;
            rows.reward.f_add(&rows.discount.f_mul(&value)?)
        })?;
        let error = self.critics.forward_shared(&rows.taken)?.f_sub(&target)?;
        let loss = error.f_square()?.f_sum(Kind::Float)?;
        let loss = loss.f_mul_scalar(1.0 / config.minibatch as f64)?;
        self.critic_steps += 1;
        self.critic_moments
            .descend(&mut self.critics, &loss, config.critic_rate, self.critic_steps)?;
        loss.f_detach()
    }

    /// Takes the actor's step and moves its target; returns the loss before.
    fn actor_step(&mut self, config: &Td3Config, rows: &Rows) -> Tried<Tensor> {
        let action = self.actor.forward_shared(&rows.seen)?.f_squeeze_dim(0)?;
        let chosen = Tensor::f_cat(&[&rows.observation, &action, &rows.condition], 1)?;
        let value = self.first_critic.forward_shared(&chosen)?;
        let loss = value.f_mean(Kind::Float)?.f_neg()?;
        self.actor_steps += 1;
        self.actor_moments
            .descend(&mut self.actor, &loss, config.actor_rate, self.actor_steps)?;
        self.actor_target.approach(&self.actor, config.tau)?;
        loss.f_detach()
    }
}

impl Rows {
    fn upload(config: &Td3Config, batches: &Minibatches, device: Device) -> Tried<Rows> {
        let rows = batches.steps * config.minibatch;
        let matrix = |values: &[f32], columns: usize| upload(values, &[rows, columns], device);
        let observation = matrix(&batches.observation, config.observation)?;
        let action = matrix(&batches.action, config.action)?;
        let condition = matrix(&batches.condition, config.condition)?;
        let next_observation = matrix(&batches.next_observation, config.observation)?;
        Ok(Rows {
            seen: Tensor::f_cat(&[&observation, &condition], 1)?,
            taken: Tensor::f_cat(&[&observation, &action, &condition], 1)?,
            next_seen: Tensor::f_cat(&[&next_observation, &condition], 1)?,
            observation,
            condition,
            next_observation,
            noise: matrix(&batches.noise, config.action)?,
            reward: matrix(&batches.reward, 1)?,
            discount: matrix(&batches.continues, 1)?.f_mul_scalar(config.discount)?,
        })
    }

    fn minibatch(&self, step: usize, rows: usize) -> Tried<Rows> {
        let of = |all: &Tensor| all.f_narrow(0, (step * rows) as i64, rows as i64);
        Ok(Rows {
            observation: of(&self.observation)?,
            condition: of(&self.condition)?,
            seen: of(&self.seen)?,
            taken: of(&self.taken)?,
            next_observation: of(&self.next_observation)?,
            next_seen: of(&self.next_seen)?,
            noise: of(&self.noise)?,
            reward: of(&self.reward)?,
            discount: of(&self.discount)?,
        })
    }
}

fn both(pair: &[Vec<f32>; 2]) -> [&[f32]; 2] {
    [&pair[0], &pair[1]]
}

fn halves(mut both: Vec<f32>) -> [Vec<f32>; 2] {
    let second = both.split_off(both.len() / 2);
    [both, second]
}

/// Loads libtorch, which this value of `strategy.KEY` needs.
///
/// # Errors
/// It cannot be loaded; `instead` is a value that does without.
pub(crate) fn with_libtorch(key: &str, instead: &str) -> Result<()> {
    let lacking = |fault: &str| {
        Error::config(
            "strategy",
            key,
            format!("{fault}; or set strategy.{key} = \"{instead}\""),
        )
    };
    illume_numerics::libtorch::load().map_err(lacking)
}

/// What libtorch says, without its trace of calls.
fn failed(e: TchError) -> Error {
    let text = e.to_string();
    Error::failed(format!("libtorch failed: {}", text.lines().next().unwrap_or_default()))
}
