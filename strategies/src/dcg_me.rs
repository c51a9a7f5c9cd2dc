//! DCG-MAP-Elites (Faldor, Chalumeau, Flageat and Cully, 'MAP-Elites with Descriptor-Conditioned Gradients and Archive
//! Distillation into a Single Policy', GECCO 2023, <https://arxiv.org/abs/2303.03832>): critic `Q(s, a | d)` and actor `pi(s | d)`;
//! target `y = S(d, d') r + gamma min_j Q'_j(s', pi'(s' | d') + noise | d')` with `S(d, d') = exp(-|d - d'| / l)`. Policies climb the critic
//! at their parent's own descriptor, and what they experience is labelled with the descriptor that they achieve (as the paper's
//! program does) or with their parent's (as the later one does). The actor is rolled out on descriptors of elites with noise, which
//! gives the negatives (d' != d); these episodes are charged to the budget.

use illume_core::{Activation, Error, Network, Params, Result, StrategyConfig, StrategyEntry, params};

use crate::emitters::Emitter;
use crate::gradients::{GradientBatchParams, Labels, LearnerParams, Plan, PolicyGradient, check_task};

params! {
    /// Parameters of `dcg_me` beside those of the batch and of the learner.
    pub struct DcgMeParams {
        /// Share of the batch that is made by policy-gradient variation.
        pg_share: f64 = 0.5, range(0.0, 1.0);
    }
}

params! {
    /// What policy-gradient variation of `dcg_me` is made of.
    pub struct DcgParams {
        /// Units of each hidden layer of the conditioned actor, all rectified.
        actor_hidden: Vec<usize> = vec![256, 256], each(range(1, 65_536));
        /// Episodes of the conditioned actor per generation.
        actor_rollouts: usize = 64, range(0, 1 << 31);
        /// What a policy that climbed is said to have been asked for: the descriptor that it achieved, as in the GECCO paper, or
        /// its parent's, as in the authors' later program.
        labels: String = "achieved".into(), one_of(&Labels::NAMES);
        /// Length scale l of the similarity of descriptors; 0 for that of the program that has these labels, 0.008 or 0.1. It is on
        /// descriptors divided by their largest bound with labels = "achieved", on descriptors scaled to [-1, 1] with "parent".
        length_scale: f64 = 0.0, at_least(0.0);
        /// Standard deviation of the noise on the descriptors that the actor is asked for, as a share of the bounds' range.
        descriptor_noise: f64 = 0.0004, at_least(0.0);
    }
}

type All = ((GradientBatchParams, DcgMeParams), (LearnerParams, DcgParams));

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    network: true,
    cells: true,
    small: "batch = 20\npg_steps = 3\ncritic_steps = 7\nminibatch = 10\ncritic_hidden = [9, 8]\nreplay = 500\nactor_hidden = [7]\nactor_rollouts = 5",
    suggested: "[task]\ntime_in_observation = true\n[strategy]\nline_sigma = 0.2",
    steps: &[("iso_sigma", 0.5)],
    ..StrategyEntry::new(
        "dcg_me",
        "DCG-MAP-Elites (Faldor et al. 2023): descriptor-conditioned critic and actor",
        All::describe,
        |config| {
            let ((batch, share), learner): All = illume_core::params::read(config.strategy, "strategy", &["name"])?;
            if learner.1.actor_rollouts == 0 && share.pg_share == 0.0 {
                let message = "expected more than 0 where pg_share is 0: nothing would use the critic";
                return Err(Error::config("strategy", "actor_rollouts", message));
            }
            let plan = plan(config, "dcg_me", batch.rows(share.pg_share), &learner)?;
            batch.strategy(config, "dcg_me", plan)
        },
    )
};

fn plan(
    config: &StrategyConfig<'_>,
    name: &str,
    rows: usize,
    (learner, own): &(LearnerParams, DcgParams),
) -> Result<Plan> {
    let policy = check_task(name, config.task, true)?;
    let actor = Network::policy(own.actor_hidden.clone(), Activation::Relu);
    let labels = Labels::of(&own.labels);
    let length = if own.length_scale > 0.0 {
        own.length_scale
    } else {
        labels.length_scale()
    };
    let units = labels.units(&config.task.descriptor);
    let lengths = units.iter().map(|unit| length * unit).collect();
    let mut plan = learner.plan(config, rows, policy, lengths, Some(&actor))?;
    plan.labels = labels;
    plan.rollouts = own.actor_rollouts;
    // The range is 2 long on the scale [-1, 1].
    plan.descriptor_noise = vec![2.0 * own.descriptor_noise; units.len()];
    Ok(plan)
}

/// Its policies that climb, and its actor's own episodes, as an emitter of so many rows.
///
/// # Errors
/// A task that does not fit; more than fits into memory.
pub(crate) fn emitter(
    config: &StrategyConfig<'_>,
    rows: usize,
    params: &(LearnerParams, DcgParams),
) -> Result<Box<dyn Emitter>> {
    let plan = plan(config, "dcg", rows, params)?;
    Ok(Box::new(PolicyGradient::new(plan, &config.task.descriptor)))
}
