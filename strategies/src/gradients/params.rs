//! The parameters that all three strategies have, and what they make of them.

use illume_core::{Error, Network, Result, Strategy, StrategyConfig};

use super::backend::Choice;
use super::emitter::{Plan, PolicyGradient};
use super::labels::Labels;
use super::learning::{STEPS_AT_ONCE, Settings};
use super::replay::{Reward, Sampling};
use crate::emitters::{Emitter, Operator, Variation};
use crate::learn::{Ascent, Td3Config};
use crate::scheduler::{Composition, Scheduler};

/// Copies of a critic's weights: two critics, their targets and two moments of each; the packed form is not counted.
const CRITIC_COPIES: usize = 8;

illume_core::params! {
    /// How a generation of PGA-, DCG- and DCRL-MAP-Elites is divided, but for the share that climbs.
    pub struct GradientBatchParams {
        /// Candidates per generation.
        batch: usize = 256, range(1, 1 << 31);
        /// Random candidates in the first generation; 0 for as many as `batch`.
        initial: usize = 0, range(0, 1 << 31);
        /// Standard deviation of the isotropic noise of iso+line-dd.
        iso_sigma: f64 = 0.005, at_least(0.0);
        /// Standard deviation of the step along the line to a second parent.
        line_sigma: f64 = 0.05, at_least(0.0);
    }
}

illume_core::params! {
    /// How the critic and the actor of PGA-, DCG- and DCRL-MAP-Elites learn, and how policies climb.
    pub struct LearnerParams {
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
    }
}

impl GradientBatchParams {
    /// Rows of the batch that are a share of it.
    pub fn rows(&self, share: f64) -> usize {
        (share * self.batch as f64).round() as usize
    }

    /// The strategy of a plan: variation beside it, on what is left of the batch.
    ///
    /// # Errors
    /// More than fits into memory.
    pub fn strategy(&self, config: &StrategyConfig<'_>, name: &'static str, plan: Plan) -> Result<Box<dyn Strategy>> {
        self.strategy_of(config, name, vec![plan])
    }

    /// The same of several plans. Their emitters are then apart: each has a seed and a state of its own.
    ///
    /// # Errors
    /// More than fits into memory.
    pub fn strategy_of(
        &self,
        config: &StrategyConfig<'_>,
        name: &'static str,
        plans: Vec<Plan>,
    ) -> Result<Box<dyn Strategy>> {
        let (key, rows) = if self.initial > self.batch {
            ("initial", self.initial)
        } else {
            ("batch", self.batch)
        };
        config.claim_rows(key, rows as f64, 1)?;
        let iso_line = Operator::IsoLine {
            iso: self.iso_sigma as f32,
            line: self.line_sigma as f32,
        };
        let learned: usize = plans.iter().map(|plan| plan.climbers + plan.actors).sum();
        let varied = Variation::new(vec![(iso_line, self.batch - learned)]);
        let apart = plans.len() > 1;
        let gradients = plans
            .into_iter()
            .map(|plan| PolicyGradient::new(plan, &config.task.descriptor));
        let gradients = gradients.map(|emitter| Box::new(emitter) as Box<dyn Emitter>);
        Ok(Box::new(Scheduler::new(Composition {
            name,
            initial: self.initial,
            sized_by: &["batch", "initial"],
            emitters: std::iter::once(Box::new(varied) as Box<dyn Emitter>)
                .chain(gradients)
                .collect(),
            given: config.task.given_rows(),
            apart,
            by_operator: true,
            bandit: None,
            samples: 1,
            spread: false,
        })))
    }
}

impl LearnerParams {
    /// A plan of so many climbers, without actors, for a task of this policy, conditioned on descriptors of as many axes as there are `lengths`, which are
    /// the length scale of the similarity on each. The actor is like the policy, but for the hidden layers if others are given.
    ///
    /// # Errors
    /// A learner that is not here, or more than fits into memory.
    pub fn plan(
        &self,
        config: &StrategyConfig<'_>,
        climbers: usize,
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
            climbers,
            actors: 0,
            rollouts: 0,
            labels: Labels::Parent,
            descriptor_noise: Vec::new(),
            settings: Settings {
                td3,
                ascent,
                sampling: Sampling {
                    minibatch: self.minibatch,
                    lengths,
                    noise: self.smoothing_noise,
                    clip: self.smoothing_clip,
                },
                reward: Reward::Own,
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
        )
    }
}
