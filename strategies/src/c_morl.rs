//! C-MORL (Liu and others, 'Efficient discovery of Pareto front for multi-objective reinforcement learning', ICLR 2025, <https://arxiv.org/abs/2410.02236>; `RuohLiuq/C-MORL`): policies for a grid of preferences, then
//! members of the front that are extended along each objective while the others are held. What learns is our TD3 with a critic conditioned on preferences, not PPO.

use illume_core::{Params, Strategy, StrategyConfig, StrategyEntry, params};

use crate::gradients::{Constrained, LearnerParams, Reward, Stages, check_task, several};
use crate::scheduler::{Composition, Scheduler};

params! {
    /// How the stages of `c_morl` go.
    pub struct CMorlParams {
        /// Parts of 1 that the weights of preferences are multiples of: 5 for 6 preferences of two objectives, each with a policy of its own.
        divisions: usize = 5, range(1, 1000);
        /// Generations of the first stage, in which each policy climbs at its preference.
        first_stage: u64 = 100, range(1, 1 << 40);
        /// Members of the front that a round of the second stage begins with, the loneliest first.
        chosen: usize = 5, range(1, 10_000);
        /// Generations of such a round: updates of each policy.
        extension: usize = 20, range(1, 1 << 31);
        /// Share of what the other objectives were at the round's beginning that they are held above.
        beta: f64 = 0.9, range(0.01, 1.0);
        /// How steep the barrier is that holds them: larger lets policies come nearer to it.
        barrier: f64 = 20.0, positive();
    }
}

type All = (CMorlParams, LearnerParams);

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    network: true,
    cells: true,
    members: true,
    fronts: true,
    small: "divisions = 3\nfirst_stage = 3\nchosen = 2\nextension = 2\npg_steps = 3\ncritic_steps = 7\nminibatch = 10\ncritic_hidden = [9, 8]\nreplay = 500",
    suggested: "[task]\nobjectives = 2\ntime_in_observation = true\n[archive]\nkind = \"cvt\"\ncells = 1\ndepth = 200\nkeep = \"front\"\nselection = \"crowding\"",
    ..StrategyEntry::new(
        "c_morl",
        "C-MORL (Liu et al. 2025): policies for a grid of preferences, then constrained extension of the front",
        All::describe,
        build,
    )
};

fn build(config: &StrategyConfig<'_>) -> illume_core::Result<Box<dyn Strategy>> {
    let (own, learner): All = illume_core::params::read(config.strategy, "strategy", &["name"])?;
    let of = several(config, "c_morl")?;
    let policy = check_task("c_morl", config.task, false)?;
    let count = illume_numerics::fronts::directions_count(of, own.divisions).unwrap_or(usize::MAX);
    let rows = count.max(own.chosen.saturating_mul(of));
    let key = if count >= own.chosen.saturating_mul(of) { "divisions" } else { "chosen" };
    config.claim_rows(key, rows as f64, 2)?;
    let mut settings = learner.plan(config, 0, policy, vec![1.0; of], None)?.settings;
    settings.reward = Reward::Preferred { of };
    let stages = Stages {
        divisions: own.divisions,
        first: own.first_stage,
        chosen: own.chosen,
        extension: own.extension,
        beta: own.beta,
        barrier: own.barrier,
    };
    Ok(Box::new(Scheduler::new(Composition {
        name: "c_morl",
        initial: 0,
        sized_by: &["divisions"],
        emitters: vec![Box::new(Constrained::new(stages, settings, of))],
        given: config.task.given_rows(),
        apart: false,
        by_operator: false,
        bandit: None,
        samples: 1,
        spread: false,
    })))
}
