//! DCG-MAP-Elites (Faldor, Chalumeau, Flageat and Cully, 'MAP-Elites with Descriptor-Conditioned Gradients and Archive
//! Distillation into a Single Policy', GECCO 2023, <https://arxiv.org/abs/2303.03832>): critic `Q(s, a | d)` and actor `pi(s | d)`;
//! target `y = S(d, d') r + gamma min_j Q'_j(s', pi'(s' | d') + noise | d')` with `S(d, d') = exp(-|d - d'| / l)`. Policies climb the critic
//! at their parent's own descriptor, and what they experience is labelled with the descriptor that they achieve (as the paper's
//! program does) or with their parent's (as the later one does). The actor is rolled out on descriptors of elites with noise, which
//! gives the negatives (d' != d); these episodes are charged to the budget.

use illume_core::{Activation, Error, Network, Params, Result, Strategy, StrategyConfig, StrategyEntry};

use crate::gradients::{Gradients, Labels, check_task, gradient_params};

gradient_params! {
    /// Parameters of `dcg_me`.
    DcgMeParams { pg_share: 0.5 }
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

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    network: true,
    cells: true,
    ..StrategyEntry::new(
        "dcg_me",
        "DCG-MAP-Elites (Faldor et al. 2023): descriptor-conditioned critic and actor",
        DcgMeParams::describe,
        build,
    )
};

fn build(config: &StrategyConfig<'_>) -> Result<Box<dyn Strategy>> {
    let params: DcgMeParams = illume_core::params::read(config.strategy, "strategy", &["name"])?;
    let policy = check_task("dcg_me", config.task, true)?;
    if params.actor_rollouts == 0 && params.pg_share == 0.0 {
        let message = "expected more than 0 where pg_share is 0: nothing would use the critic";
        return Err(Error::config("strategy", "actor_rollouts", message));
    }
    let actor = Network::policy(params.actor_hidden.clone(), Activation::Relu);
    let labels = Labels::of(&params.labels);
    let length = if params.length_scale > 0.0 {
        params.length_scale
    } else {
        labels.length_scale()
    };
    let units = labels.units(&config.task.descriptor);
    let mut plan = params.common().plan(
        config,
        "dcg_me",
        policy,
        units.iter().map(|unit| length * unit).collect(),
        Some(&actor),
    )?;
    plan.labels = labels;
    plan.rollouts = params.actor_rollouts;
    // The range is 2 long on the scale [-1, 1].
    plan.descriptor_noise = vec![2.0 * params.descriptor_noise; units.len()];
    Ok(Box::new(Gradients::new(plan, &config.task.descriptor)))
}
