//! MOME with policy gradients. `mome_pgx` is MOME-PGX (Janmohamed, Pierrot and Cully, 'Improving the data efficiency of multi-objective quality-diversity through gradient assistance and crowding
//! exploration', GECCO 2023, <https://arxiv.org/abs/2302.12668>): a TD3 critic and actor for each objective, whose policies climb one critic each. `mome_p2c` is MOME-P2C (Janmohamed, Faldor, Pierrot and
//! Cully, 'Preference-conditioned gradient variations for multi-objective quality-diversity', 2024; `adaptive-intelligent-robotics/MOME-P2C`): one critic and one actor that are conditioned on
//! preferences, which policies climb by preferences drawn at random, and whose actor is injected for others.
//!
//! Both keep fronts in cells and draw parents by crowding (`archive.keep = "front"`, `archive.selection = "crowding"`).

use illume_core::{Error, Params, Result, StrategyEntry, params};

use crate::gradients::{GradientBatchParams, LearnerParams, Plan, Reward, check_task, several};

params! {
    /// Parameters of `mome_pgx` beside those of the batch and of the learner.
    pub struct MomePgxParams {
        /// Share of the batch that is made by policy-gradient variation, in equal parts for the objectives.
        pg_share: f64 = 0.5, range(0.0, 1.0);
        /// Whether each objective's greedy actor takes one place among its candidates.
        greedy_actor: bool = false, any();
    }
}

params! {
    /// Parameters of `mome_p2c` beside those of the batch and of the learner.
    pub struct MomeP2cParams {
        /// Share of the batch that is made by policy-gradient variation, each by a preference of its own.
        pg_share: f64 = 0.25, range(0.0, 1.0);
        /// Share of the batch that is the conditioned actor, folded for a preference.
        actor_share: f64 = 0.25, range(0.0, 1.0);
    }
}

type Pgx = (GradientBatchParams, (LearnerParams, MomePgxParams));
type P2c = (GradientBatchParams, (LearnerParams, MomeP2cParams));

const SUGGESTED: &str = "[task]\nobjectives = 2\ntime_in_observation = true\n[strategy]\nline_sigma = 0.05\n[archive]\nkind = \"cvt\"\ncells = 128\ndepth = 50\nkeep = \"front\"\nselection = \"crowding\"";

pub(crate) const PGX: StrategyEntry = StrategyEntry {
    network: true,
    cells: true,
    members: true,
    fronts: true,
    small: crate::gradients::SMALL,
    suggested: SUGGESTED,
    steps: &[("iso_sigma", 0.5)],
    ..StrategyEntry::new(
        "mome_pgx",
        "MOME-PGX (Janmohamed et al. 2023): a front in each cell, and gradient steps on a critic of each objective",
        Pgx::describe,
        |config| {
            let (batch, (learner, own)): Pgx = illume_core::params::read(config.strategy, "strategy", &["name"])?;
            let of = several(config, "mome_pgx")?;
            let policy = check_task("mome_pgx", config.task, false)?;
            let rows = batch.rows(own.pg_share) / of;
            let plan = |number: usize| -> Result<Plan> {
                let mut plan = learner.plan(config, rows, policy, Vec::new(), None)?;
                plan.settings.reward = Reward::Objective { number, of };
                if own.greedy_actor && rows > 0 {
                    (plan.climbers, plan.actors) = (rows - 1, 1);
                }
                Ok(plan)
            };
            let plans = (0..of).map(plan).collect::<Result<_>>()?;
            batch.strategy_of(config, "mome_pgx", plans)
        },
    )
};

pub(crate) const P2C: StrategyEntry = StrategyEntry {
    network: true,
    cells: true,
    members: true,
    fronts: true,
    small: crate::gradients::SMALL,
    suggested: SUGGESTED,
    steps: &[("iso_sigma", 0.5)],
    ..StrategyEntry::new(
        "mome_p2c",
        "MOME-P2C (Janmohamed et al. 2024): a front in each cell, and a critic and an actor conditioned on preferences",
        P2c::describe,
        |config| {
            let (batch, (learner, own)): P2c = illume_core::params::read(config.strategy, "strategy", &["name"])?;
            let of = several(config, "mome_p2c")?;
            let policy = check_task("mome_p2c", config.task, false)?;
            let [climbers, actors] = [batch.rows(own.pg_share), batch.rows(own.actor_share)];
            if climbers + actors > batch.batch {
                let message = format!(
                    "expected at most {}: with pg_share = {} no place is left in the batch",
                    1.0 - own.pg_share,
                    own.pg_share
                );
                return Err(Error::config("strategy", "actor_share", message));
            }
            // Preferences are the condition; nothing is multiplied by how near they are.
            let mut plan = learner.plan(config, climbers, policy, vec![1.0; of], None)?;
            plan.settings.reward = Reward::Preferred { of };
            plan.actors = actors;
            batch.strategy(config, "mome_p2c", plan)
        },
    )
};
