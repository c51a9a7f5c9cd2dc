//! PGA-MAP-Elites (Nilsson and Cully, 'Policy gradient assisted MAP-Elites', GECCO 2021, <https://hal.science/hal-03135723v2>): half of the
//! batch is varied by iso+line-dd, the other half takes gradient steps on a TD3 critic, and the critic's own greedy actor is
//! tried in every generation. The actor has the policy's architecture, so that it is a genome (as in QDax).

use illume_core::{Params, Result, Strategy, StrategyConfig, StrategyEntry};

use crate::gradients::{check_task, gradient_params};

gradient_params! {
    /// Parameters of `pga_me`.
    PgaMeParams { pg_share: 0.5 }
    /// Whether the greedy actor takes one place among the policy-gradient candidates.
    greedy_actor: bool = true, any();
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    network: true,
    cells: true,
    ..StrategyEntry::new(
        "pga_me",
        "PGA-MAP-Elites (Nilsson and Cully 2021): iso+line-dd, and gradient steps on a TD3 critic",
        PgaMeParams::describe,
        build,
    )
};

fn build(config: &StrategyConfig<'_>) -> Result<Box<dyn Strategy>> {
    let params: PgaMeParams = illume_core::params::read(config.strategy, "strategy", &["name"])?;
    let policy = check_task("pga_me", config.task, false)?;
    let mut plan = params.common().plan(config, policy, Vec::new(), None)?;
    if params.greedy_actor && plan.climbers > 0 {
        plan.climbers -= 1;
        plan.actors = 1;
    }
    Ok(params.common().strategy("pga_me", plan, &config.task.descriptor))
}
