//! MAP-Elites with emitters of the user's choice: the `Scheduler` of pyribs, and with a bandit Multi-Emitter MAP-Elites (Cully, 'Multi-emitter MAP-Elites: improving
//! quality, diversity and data efficiency with heterogeneous sets of emitters', GECCO 2021, <https://arxiv.org/abs/2007.05352>).

use illume_core::{Error, Params, Result, Strategy, StrategyConfig, StrategyEntry, params};

use crate::emitters::{Emitters, build_all, check_archive, live_on_novelty, parameters};
use crate::scheduler::{Bandit, Composition, Reselect, Scheduler};

params! {
    /// Parameters of `multi_emitter` beside its emitters.
    pub struct MultiEmitterParams {
        /// Random candidates in the first generation, if an emitter varies elites; 0 for as many as a generation has.
        initial: usize = 0, range(0, 1 << 31);
        /// Emitters that take part in a generation, chosen by a bandit; 0 for all of them.
        active: usize = 0, range(0, 1 << 31);
        /// When an emitter makes room for another one: "terminated", when it begins anew (which one that varies elites does in every generation), or "all", after every generation.
        reselect: String = "terminated".into(), one_of(&["terminated", "all"]);
        /// Evaluations of each candidate, under seeds of their own, whose means its fitness and descriptor are; each counts. Elites that are evaluated again have one more each.
        samples: usize = 1, range(1, 1 << 16);
        /// Weight of what the bandit does not know yet.
        zeta: f64 = 0.05, at_least(0.0);
    }
}

pub(crate) const ENTRY: StrategyEntry = StrategyEntry {
    cells: true,
    categories: true,
    novelty_by: Some(live_on_novelty),
    nested: Some(parameters),
    small: "active = 2\ninitial = 20\nemitters = [{ kind = \"iso_line\", batch = 12 }, { kind = \"polynomial\", batch = 9, polynomial_bounds = [-2, 2] }, { kind = \"evolution_strategy\", batch = 8, sigma = 0.1 }]",
    suggested: "[strategy]\nemitters = [{ kind = \"iso_line\", batch = 128 }, { kind = \"evolution_strategy\", count = 4, batch = 32, optimizer = \"sep_cma_es\" }]",
    steps: &[("iso_sigma", 0.5), ("sigma", 2.0)],
    ..StrategyEntry::new(
        "multi_emitter",
        "MAP-Elites with the emitters of [[strategy.emitters]], all of them or those that a bandit chooses (ME-MAP-Elites, Cully 2021)",
        MultiEmitterParams::describe,
        build,
    )
};

fn build(config: &StrategyConfig<'_>) -> Result<Box<dyn Strategy>> {
    let params: MultiEmitterParams = illume_core::params::read(config.strategy, "strategy", &["name", "emitters"])?;
    let emitters = build_all(config)?;
    check_archive(&emitters, "emitters")?;
    if emitters.iter().filter(|e| e.needs_episodes()).count() > 1 {
        let message = "expected one emitter at most that learns from episodes (pga, dcg, dcrl): each has a critic and a replay buffer of its own";
        return Err(Error::config("strategy", "emitters", message));
    }
    if params.active > emitters.len() {
        let message = format!(
            "expected at most {}, the number of emitters, got {}",
            emitters.len(),
            params.active
        );
        return Err(Error::config("strategy", "active", message));
    }
    config.claim_rows("initial", params.initial as f64, 1)?;
    let reselect = if params.reselect == "all" {
        Reselect::All
    } else {
        Reselect::Terminated
    };
    let bandit = (params.active > 0).then(|| Bandit::new(emitters.len(), params.active, reselect, params.zeta));
    Ok(Box::new(Scheduler::new(Composition {
        name: "multi_emitter",
        initial: params.initial,
        sized_by: &["emitters", "initial"],
        emitters,
        given: config.task.given_rows(),
        apart: true,
        by_operator: true,
        bandit,
        samples: params.samples as u32,
        spread: false,
    })))
}

/// A strategy of these emitters, which may be of one's own, in this order: each draws by a seed of its own, and the history shows what became of each operator's candidates.
/// `initial` random candidates (0 for as many as a generation has) are evaluated first, if one of the emitters needs elites.
///
/// # Errors
/// Emitters that make nothing, or that no archive suits together.
pub fn strategy_of_emitters(name: &'static str, initial: usize, emitters: Emitters) -> Result<Box<dyn Strategy>> {
    check_archive(&emitters, "emitters")?;
    if emitters.iter().flat_map(|e| e.parts()).all(|part| part.rows == 0) {
        return Err(Error::config(
            "strategy",
            "emitters",
            "expected emitters that make at least one candidate",
        ));
    }
    Ok(Box::new(Scheduler::new(Composition {
        name,
        initial,
        sized_by: &[],
        emitters,
        given: None,
        apart: true,
        by_operator: true,
        bandit: None,
        samples: 1,
        spread: false,
    })))
}
