//! SERENE (Paolo, Coninx, Doncieux and Laflaquière, 'Sparse reward exploration via novelty search and emitters', GECCO 2021, <https://arxiv.org/abs/2102.03140>): exploration by novelty, and where it
//! finds a reward, emitters that climb it; the budget is spent in chunks that alternate.
//!
//! TAXONS (Paolo, Laflaquière, Coninx and Doncieux, 'Unsupervised learning and exploration of reachable outcome space', ICRA 2020, <https://arxiv.org/abs/1909.05508>) explores a space of behaviours that
//! an encoder learns, by novelty in it or by how badly the encoder gives back what it sees (surprise). STAX (Paolo, Coninx, Laflaquière and Doncieux, 'Discovering and exploiting sparse rewards in a
//! learned behavior space', Evolutionary Computation 32(3), 2024, <https://arxiv.org/abs/2111.01919>) is SERENE in such a space.
//!
//! The engine's archive is offered every candidate, and shows what was found. What the search itself goes by (population, novelty archive, reward archive, emitters) is the strategy's own, whole on each rank.

mod agents;
mod emitter;
mod search;
mod state;

use illume_core::params::ParamInfo;
use illume_core::{Error, Params, Result, Strategy, StrategyConfig, StrategyEntry, params};

use crate::encoders::{Encoder, EncoderParams};
use search::Search;

params! {
    /// Parameters of `serene`, `taxons` and `stax`.
    pub struct ExplorationParams {
        /// Agents of the population, each of which has two children in a generation of exploration.
        population: usize = 100, range(2, 1 << 20);
        /// Standard deviation of a mutation, of every gene.
        sigma: f64 = 0.05, positive();
        /// Lower and upper bound of a gene; the first ones are uniform in it. Empty for the task's own distribution and bounds.
        genome_bounds: Vec<f64> = vec![-5.0, 5.0], any();
        /// Nearest neighbours whose mean distance is the novelty.
        neighbours: usize = 15, range(1, 1 << 16);
        /// Children of a generation, drawn at random, that are put into the novelty archive.
        archived: usize = 5, range(0, 1 << 20);
        /// Evaluations of a chunk, about.
        chunk: usize = 1000, range(1, 1 << 31);
    }
}

params! {
    /// Emitters of `serene` and `stax`.
    pub struct EmitterParams {
        /// What a chunk is spent on: exploration and emitters in turn ("alternating"), or exploration alone ("explore": novelty search).
        schedule: String = "alternating".into(), one_of(&["alternating", "explore"]);
        /// Agents of an emitter's population, each of which has two children in a step.
        emitter_population: usize = 6, range(1, 1 << 16);
    }
}

type Serene = (ExplorationParams, EmitterParams);
type Taxons = (ExplorationParams, EncoderParams);
type Stax = (ExplorationParams, (EmitterParams, EncoderParams));

pub(crate) const SERENE: StrategyEntry = StrategyEntry {
    descriptor: true,
    small: "population = 10\nchunk = 40\nemitter_population = 2\nneighbours = 3\ngenome_bounds = []",
    suggested: SUGGESTED,
    ..StrategyEntry::new(
        "serene",
        "SERENE (Paolo et al. 2021): novelty search, and emitters that climb the rewards that it finds",
        Serene::describe,
        |config| {
            let (own, emitters): Serene = illume_core::params::read(config.strategy, "strategy", &["name"])?;
            build("serene", config, own, emitters, None)
        },
    )
};

pub(crate) const TAXONS: StrategyEntry = StrategyEntry {
    features: true,
    small: LEARNING_SMALL,
    suggested: SUGGESTED,
    ..StrategyEntry::new(
        "taxons",
        "TAXONS (Paolo et al. 2020): search for novelty and surprise in a space of behaviours that an encoder learns",
        Taxons::describe,
        |config| {
            let (own, encoder): Taxons = illume_core::params::read(config.strategy, "strategy", &["name"])?;
            let emitters = EmitterParams {
                schedule: "explore".into(),
                ..EmitterParams::default()
            };
            build("taxons", config, own, emitters, Some(encoder))
        },
    )
};

pub(crate) const STAX: StrategyEntry = StrategyEntry {
    features: true,
    small: LEARNING_SMALL,
    suggested: SUGGESTED,
    ..StrategyEntry::new(
        "stax",
        "STAX (Paolo et al. 2024): SERENE in a space of behaviours that an encoder learns",
        Stax::describe as fn() -> Vec<ParamInfo>,
        |config| {
            let (own, (emitters, encoder)): Stax = illume_core::params::read(config.strategy, "strategy", &["name"])?;
            build("stax", config, own, emitters, Some(encoder))
        },
    )
};

/// The policies of the papers have weights up to 5, and rewards that are nothing in most places.
const SUGGESTED: &str = "[task]\nreward = \"areas\"";
const LEARNING_SMALL: &str = "population = 10\nchunk = 40\nneighbours = 3\ngenome_bounds = []\nlatent = 2\nencoder_hidden = [8]\nencoder_epochs = 2\nencoder_batch = 10";

fn build(
    name: &'static str,
    config: &StrategyConfig<'_>,
    own: ExplorationParams,
    emitters: EmitterParams,
    encoder: Option<EncoderParams>,
) -> Result<Box<dyn Strategy>> {
    let bounds = match own.genome_bounds.as_slice() {
        [] => None,
        &[low, high] if low < high && (high - low).is_finite() => Some([low as f32, high as f32]),
        other => {
            let message = format!("expected [lower, upper] with lower < upper, or an empty list, got {other:?}");
            return Err(Error::config("strategy", "genome_bounds", message));
        }
    };
    // Genes stay within both.
    let bounds = match (bounds, config.task.bounds) {
        (Some([low, high]), Some([least, most])) => Some([low.max(least), high.min(most)]),
        (own, _) => own,
    };
    if let Some([low, high]) = bounds.filter(|[low, high]| low >= high) {
        let message = format!(
            "expected bounds that task \"{}\" shares with them, got none but {low} to {high}",
            config.task.name
        );
        return Err(Error::config("strategy", "genome_bounds", message));
    }
    if own.archived > 2 * own.population {
        let message = format!(
            "expected at most the {} children of a generation, got {}",
            2 * own.population,
            own.archived
        );
        return Err(Error::config("strategy", "archived", message));
    }
    if encoder.is_none() && config.task.descriptor.is_empty() {
        let message = format!(
            "\"{name}\" goes by the task's descriptor and task \"{}\" has none: \"stax\" learns one",
            config.task.name
        );
        return Err(Error::config("strategy", "name", message));
    }
    // Each rank holds the population and its children whole.
    config.claim_rows("population", 2.0 * own.population as f64, 3)?;
    let encoder = encoder
        .map(|params| Encoder::of_task(name, params, config))
        .transpose()?;
    Ok(Box::new(Search::new(name, config.task, own, bounds, emitters, encoder)))
}

#[cfg(test)]
mod tests;
