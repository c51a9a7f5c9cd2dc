//! DCRL-MAP-Elites (Faldor, Chalumeau, Flageat and Cully, 'Synergizing Quality-Diversity with Descriptor-Conditioned
//! Reinforcement Learning', 2024, <https://arxiv.org/abs/2401.08632>; schedule as in its authors' program): a generation is half iso+line-dd, a quarter
//! policies that climb the descriptor-conditioned critic, and a quarter the conditioned actor itself. The actor has the
//! policy's architecture, and for a fixed descriptor its descriptor inputs fold into the first layer's bias: an ordinary genome,
//! which needs no episodes beside the others'. Negatives (d' != d) come from both kinds.

use illume_core::{Error, Params, Result, Strategy, StrategyConfig, StrategyEntry};

use crate::gradients::{check_task, gradient_params};

gradient_params! {
    /// Parameters of `dcrl_me`.
    DcrlMeParams { pg_share: 0.25 }
    /// Share of the batch that is the conditioned actor, folded for the descriptor of an elite.
    actor_share: f64 = 0.25, range(0.0, 1.0);
    /// Length scale l of the similarity of descriptors, which are scaled to [-1, 1] by the task's bounds.
    length_scale: f64 = 0.1, positive();
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    network: true,
    cells: true,
    ..StrategyEntry::new(
        "dcrl_me",
        "DCRL-MAP-Elites (Faldor et al. 2024): conditioned critic, and the conditioned actor injected as genomes",
        DcrlMeParams::describe,
        build,
    )
};

fn build(config: &StrategyConfig<'_>) -> Result<Box<dyn Strategy>> {
    let params: DcrlMeParams = illume_core::params::read(config.strategy, "strategy", &["name"])?;
    let policy = check_task("dcrl_me", config.task, true)?;
    let lengths = vec![params.length_scale; config.task.descriptor_dim()];
    let common = params.common();
    let mut plan = common.plan(config, policy, lengths, None)?;
    plan.actors = common.rows(params.actor_share);
    if plan.climbers + plan.actors > params.batch {
        let message = format!(
            "expected at most {}: with pg_share = {} no place is left in the batch",
            1.0 - params.pg_share,
            params.pg_share
        );
        return Err(Error::config("strategy", "actor_share", message));
    }
    Ok(params.common().strategy("dcrl_me", plan, &config.task.descriptor))
}
