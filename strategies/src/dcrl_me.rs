//! DCRL-MAP-Elites (Faldor, Chalumeau, Flageat and Cully, 'Synergizing Quality-Diversity with Descriptor-Conditioned
//! Reinforcement Learning', 2024, <https://arxiv.org/abs/2401.08632>; schedule as in its authors' program): a generation is half iso+line-dd, a quarter
//! policies that climb the descriptor-conditioned critic, and a quarter the conditioned actor itself. The actor has the
//! policy's architecture, and for a fixed descriptor its descriptor inputs fold into the first layer's bias: an ordinary genome,
//! which needs no episodes beside the others'. Negatives (d' != d) come from both kinds.

use illume_core::{Error, Params, Result, StrategyConfig, StrategyEntry, params};

use crate::emitters::Emitter;
use crate::gradients::{GradientBatchParams, LearnerParams, Plan, PolicyGradient, check_task};

params! {
    /// Parameters of `dcrl_me` beside those of the batch and of the learner.
    pub struct DcrlMeParams {
        /// Share of the batch that is made by policy-gradient variation.
        pg_share: f64 = 0.25, range(0.0, 1.0);
        /// Share of the batch that is the conditioned actor, folded for the descriptor of an elite.
        actor_share: f64 = 0.25, range(0.0, 1.0);
    }
}

params! {
    /// What the critic of `dcrl_me` is conditioned by.
    pub struct DcrlParams {
        /// Length scale l of the similarity of descriptors, which are scaled to [-1, 1] by the task's bounds.
        length_scale: f64 = 0.1, positive();
    }
}

type All = ((GradientBatchParams, DcrlMeParams), (LearnerParams, DcrlParams));

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    network: true,
    cells: true,
    small: crate::gradients::SMALL,
    suggested: "[task]\ntime_in_observation = true\n[strategy]\nline_sigma = 0.2",
    steps: &[("iso_sigma", 0.5)],
    ..StrategyEntry::new(
        "dcrl_me",
        "DCRL-MAP-Elites (Faldor et al. 2024): conditioned critic, and the conditioned actor injected as genomes",
        All::describe,
        |config| {
            let ((batch, shares), learner): All = illume_core::params::read(config.strategy, "strategy", &["name"])?;
            let rows = [batch.rows(shares.pg_share), batch.rows(shares.actor_share)];
            let plan = plan(config, "dcrl_me", rows, &learner)?;
            if plan.climbers + plan.actors > batch.batch {
                let message = format!(
                    "expected at most {}: with pg_share = {} no place is left in the batch",
                    1.0 - shares.pg_share,
                    shares.pg_share
                );
                return Err(Error::config("strategy", "actor_share", message));
            }
            batch.strategy(config, "dcrl_me", plan)
        },
    )
};

fn plan(
    config: &StrategyConfig<'_>,
    name: &str,
    [climbers, actors]: [usize; 2],
    (learner, own): &(LearnerParams, DcrlParams),
) -> Result<Plan> {
    let policy = check_task(name, config.task, true)?;
    let lengths = vec![own.length_scale; config.task.descriptor_dim()];
    let mut plan = learner.plan(config, climbers, policy, lengths, None)?;
    plan.actors = actors;
    Ok(plan)
}

/// Its policies that climb and its actors as an emitter of so many rows of each.
///
/// # Errors
/// A task that does not fit; more than fits into memory.
pub(crate) fn emitter(
    config: &StrategyConfig<'_>,
    rows: [usize; 2],
    params: &(LearnerParams, DcrlParams),
) -> Result<Box<dyn Emitter>> {
    let plan = plan(config, "dcrl", rows, params)?;
    Ok(Box::new(PolicyGradient::new(plan, &config.task.descriptor)))
}
