//! The parameters that all three strategies have, and what they make of them.

use illume_core::{Error, Network, Result, StrategyConfig};

use super::backend::Choice;
use super::emitter::Plan;
use super::labels::Labels;
use super::learning::{STEPS_AT_ONCE, Settings};
use super::replay::Sampling;
use crate::learn::{Ascent, Td3Config};

/// Copies of a critic's weights: two critics, their targets and two moments of each; the packed form is not counted.
const CRITIC_COPIES: usize = 8;

/// Declares a strategy's parameters: the common ones with this strategy's shares, then its own.
macro_rules! gradient_params {
    (
        $(#[$meta:meta])*
        $name:ident { pg_share: $pg:expr }
        $($own:tt)*
    ) => {
        illume_core::params! {
            $(#[$meta])*
            pub struct $name {
                /// Candidates per generation.
                batch: usize = 256, range(1, 1 << 31);
                /// Random candidates in the first generation; 0 for as many as `batch`.
                initial: usize = 0, range(0, 1 << 31);
                /// Share of the batch that is made by policy-gradient variation.
                pg_share: f64 = $pg, range(0.0, 1.0);
                /// Standard deviation of the isotropic noise of iso+line-dd.
                iso_sigma: f64 = 0.005, at_least(0.0);
                /// Standard deviation of the step along the line to a second parent.
                line_sigma: f64 = 0.05, at_least(0.0);
                /// Adam steps of a policy that climbs the critic.
                pg_steps: usize = 150, range(1, 1_000_000);
                /// Their learning rate.
                pg_rate: f64 = 5e-3, positive();
                /// Steps of the critics per generation.
                critic_steps: usize = 3000, range(0, 1 << 31);
                /// Transitions in a minibatch.
                minibatch: usize = 100, range(1, 1 << 20);
                /// Units of each hidden layer of a critic.
                critic_hidden: Vec<usize> = vec![256, 256], each(range(1, 65_536));
                /// Learning rate of the critics.
                critic_rate: f64 = 3e-4, positive();
                /// Learning rate of the actor.
                actor_rate: f64 = 3e-4, positive();
                /// Critic steps for each step of the actor and of its target network.
                policy_delay: u64 = 2, range(1, 1_000_000);
                /// Critic steps for each step of the critics' target networks: 1 as in QDax and the programs of DCG- and
                /// DCRL-MAP-Elites, 2 as in TD3 and the PGA-MAP-Elites program of 2021.
                target_delay: u64 = 1, range(1, 1_000_000);
                /// Discount of later rewards.
                discount: f64 = 0.99, range(0.0, 1.0);
                /// Share of the way that target networks go towards theirs at each of their steps.
                tau: f64 = 0.005, range(0.0, 1.0);
                /// Standard deviation of the noise on target actions.
                smoothing_noise: f64 = 0.2, at_least(0.0);
                /// Where that noise is clipped.
                smoothing_clip: f64 = 0.5, at_least(0.0);
                /// Transitions in the replay buffer.
                replay: usize = 1_000_000, range(1, 1 << 31);
                /// Whether checkpoints hold the replay buffer. Without it a resumed run starts with an empty one, and differs.
                replay_in_checkpoint: bool = true, any();
                /// What learns: our own trainer on the CPU (equal bits for any number of threads), which "auto" takes unless
                /// device = "cuda", or libtorch.
                learner: String = "auto".into(), one_of(&["auto", "native", "torch"]);
                /// Where libtorch computes: a GPU if there is one, the CPU, or a GPU and nothing else.
                device: String = "auto".into(), one_of(&["auto", "cpu", "cuda"]);
                /// Whether the learner works while the next generation is evaluated, which is then made with networks that are one
                /// generation older.
                overlap: bool = false, any();
                $($own)*
            }
        }

        impl $name {
            fn common(&self) -> $crate::gradients::Common {
                $crate::gradients::Common {
                    batch: self.batch,
                    initial: if self.initial == 0 { self.batch } else { self.initial },
                    pg_share: self.pg_share,
                    iso_sigma: self.iso_sigma,
                    line_sigma: self.line_sigma,
                    pg_steps: self.pg_steps,
                    pg_rate: self.pg_rate,
                    critic_steps: self.critic_steps,
                    minibatch: self.minibatch,
                    critic_hidden: self.critic_hidden.clone(),
                    critic_rate: self.critic_rate,
                    actor_rate: self.actor_rate,
                    policy_delay: self.policy_delay,
                    target_delay: self.target_delay,
                    discount: self.discount,
                    tau: self.tau,
                    smoothing_noise: self.smoothing_noise,
                    smoothing_clip: self.smoothing_clip,
                    replay: self.replay,
                    replay_in_checkpoint: self.replay_in_checkpoint,
                    learner: self.learner.clone(),
                    device: self.device.clone(),
                    overlap: self.overlap,
                }
            }
        }
    };
}
pub(crate) use gradient_params;

/// The values of the parameters that all three have.
#[derive(Debug, Clone)]
pub struct Common {
    pub batch: usize,
    pub initial: usize,
    pub pg_share: f64,
    pub iso_sigma: f64,
    pub line_sigma: f64,
    pub pg_steps: usize,
    pub pg_rate: f64,
    pub critic_steps: usize,
    pub minibatch: usize,
    pub critic_hidden: Vec<usize>,
    pub critic_rate: f64,
    pub actor_rate: f64,
    pub policy_delay: u64,
    pub target_delay: u64,
    pub discount: f64,
    pub tau: f64,
    pub smoothing_noise: f64,
    pub smoothing_clip: f64,
    pub replay: usize,
    pub replay_in_checkpoint: bool,
    pub learner: String,
    pub device: String,
    pub overlap: bool,
}

impl Common {
    /// Rows of the batch that are a share of it.
    pub fn rows(&self, share: f64) -> usize {
        (share * self.batch as f64).round() as usize
    }

    /// A plan without actors for a task of this policy, conditioned on descriptors of as many axes as there are `lengths`, which are
    /// the length scale of the similarity on each. The actor is like the policy, but for the hidden layers if others are given.
    ///
    /// # Errors
    /// A learner that is not here, or more than fits into memory.
    pub fn plan(
        &self,
        config: &StrategyConfig<'_>,
        name: &'static str,
        policy: &Network,
        lengths: Vec<f64>,
        actor: Option<&Network>,
    ) -> Result<Plan> {
        let [observation, hidden @ .., action] = policy.layers.as_slice() else {
            return Err(Error::failed("a policy without input and output"));
        };
        let actor_hidden = actor.map_or(hidden, |a| &a.layers);
        let td3 = Td3Config {
            observation: *observation,
            action: *action,
            condition: lengths.len(),
            actor_hidden: actor_hidden.to_vec(),
            actor_activation: actor.map_or(policy.hidden, |a| a.hidden),
            critic_hidden: self.critic_hidden.clone(),
            minibatch: self.minibatch,
            actor_rate: self.actor_rate,
            critic_rate: self.critic_rate,
            discount: self.discount,
            tau: self.tau,
            delay: self.policy_delay,
            target_delay: self.target_delay,
        };
        let ascent = Ascent {
            policy: policy.clone(),
            rate: self.pg_rate,
            steps: self.pg_steps,
            minibatch: self.minibatch,
        };
        let plan = Plan {
            name,
            initial: self.initial,
            batch: self.batch,
            climbers: self.rows(self.pg_share),
            actors: 0,
            rollouts: 0,
            labels: Labels::Parent,
            descriptor_noise: Vec::new(),
            iso_sigma: self.iso_sigma,
            line_sigma: self.line_sigma,
            settings: Settings {
                td3,
                ascent,
                sampling: Sampling {
                    minibatch: self.minibatch,
                    lengths,
                    noise: self.smoothing_noise,
                    clip: self.smoothing_clip,
                },
                critic_steps: self.critic_steps,
                replay: self.replay,
                save_replay: self.replay_in_checkpoint,
                overlap: self.overlap,
                backend: Choice::of(&self.learner, &self.device)?,
            },
        };
        self.claim(config, &plan.settings)?;
        Ok(plan)
    }

    /// Claims what rank 0, where the learner is, will take.
    fn claim(&self, config: &StrategyConfig<'_>, settings: &Settings) -> Result<()> {
        let claim = |key: &str, count: usize, bytes: usize, what: &str| {
            let what = format!("{count} {what}");
            config
                .memory
                .claim_of_one("strategy", key, count as f64 * bytes as f64, &what)
        };
        let transition = settings.widths().bytes();
        claim("replay", self.replay, transition, "transitions")?;
        claim(
            "minibatch",
            STEPS_AT_ONCE * self.minibatch,
            transition,
            "transitions of minibatches",
        )?;
        let weights = settings.td3.critic().params();
        claim(
            "critic_hidden",
            weights,
            CRITIC_COPIES * size_of::<f32>(),
            "weights of a critic",
        )?;
        let (key, rows) = if self.initial > self.batch {
            ("initial", self.initial)
        } else {
            ("batch", self.batch)
        };
        config.claim_rows(key, rows as f64, 1)
    }
}
