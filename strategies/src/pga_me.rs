//! PGA-MAP-Elites (Nilsson and Cully, 'Policy gradient assisted MAP-Elites', GECCO 2021, <https://hal.science/hal-03135723v2>): half of the
//! batch is varied by iso+line-dd, the other half takes gradient steps on a TD3 critic, and the critic's own greedy actor is
//! tried in every generation. The actor has the policy's architecture, so that it is a genome (as in QDax).

use illume_core::{Params, Result, StrategyConfig, StrategyEntry, params};

use crate::emitters::Emitter;
use crate::gradients::{GradientBatchParams, LearnerParams, Plan, PolicyGradient, check_task};

params! {
    /// Parameters of `pga_me` beside those of the batch and of the learner.
    pub struct PgaMeParams {
        /// Share of the batch that is made by policy-gradient variation.
        pg_share: f64 = 0.5, range(0.0, 1.0);
    }
}

params! {
    /// What policy-gradient variation of `pga_me` is made of.
    pub struct PgaParams {
        /// Whether the greedy actor takes one place among the policy-gradient candidates.
        greedy_actor: bool = true, any();
    }
}

type All = ((GradientBatchParams, PgaMeParams), (LearnerParams, PgaParams));

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    network: true,
    cells: true,
    small: crate::gradients::SMALL,
    suggested: "[task]\ntime_in_observation = true\n[strategy]\nline_sigma = 0.2",
    steps: &[("iso_sigma", 0.5)],
    ..StrategyEntry::new(
        "pga_me",
        "PGA-MAP-Elites (Nilsson and Cully 2021): iso+line-dd, and gradient steps on a TD3 critic",
        All::describe,
        |config| {
            let ((batch, share), learner): All = illume_core::params::read(config.strategy, "strategy", &["name"])?;
            let plan = plan(config, "pga_me", batch.rows(share.pg_share), &learner)?;
            batch.strategy(config, "pga_me", plan)
        },
    )
};

fn plan(
    config: &StrategyConfig<'_>,
    name: &str,
    rows: usize,
    (learner, own): &(LearnerParams, PgaParams),
) -> Result<Plan> {
    let policy = check_task(name, config.task, false)?;
    let mut plan = learner.plan(config, rows, policy, Vec::new(), None)?;
    if own.greedy_actor && plan.climbers > 0 {
        plan.climbers -= 1;
        plan.actors = 1;
    }
    Ok(plan)
}

/// Its policies that climb and its actor as an emitter of so many rows.
///
/// # Errors
/// A task that does not fit; more than fits into memory.
pub(crate) fn emitter(
    config: &StrategyConfig<'_>,
    rows: usize,
    params: &(LearnerParams, PgaParams),
) -> Result<Box<dyn Emitter>> {
    let plan = plan(config, "pga", rows, params)?;
    Ok(Box::new(PolicyGradient::new(plan, &config.task.descriptor)))
}
