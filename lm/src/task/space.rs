//! What genomes of a task are: offsets to an adapter, or to the model's own weights.

use std::sync::Arc;

use illume_core::Result;

use super::setup::LmSetup;
use crate::{ModelConfig, SearchKind, SearchSpace, Steps, WeightSpace};

pub(super) enum Space {
    Adapters(Arc<SearchSpace>),
    Weights(WeightSpace),
}

impl Space {
    /// What the setup's parameters say.
    ///
    /// # Errors
    /// The adapter is missing, another model's, or not to be searched as is asked for.
    pub fn new(setup: &LmSetup) -> Result<Space> {
        let p = &setup.params;
        let kind = match p.search.as_str() {
            "weights" => {
                let adapter = setup.merged_adapter()?;
                return Ok(Space::Weights(WeightSpace::new(setup.checkpoint.clone(), adapter)));
            }
            "adapters" => SearchKind::Adapters,
            _ => SearchKind::SingularValues,
        };
        let steps = match p.scale.as_str() {
            "absolute" => Steps::Absolute,
            _ => Steps::Relative,
        };
        let space = SearchSpace::new(&setup.adapter()?, kind, p.alpha)?.with_steps(steps);
        Ok(Space::Adapters(Arc::new(space)))
    }

    pub fn dim(&self) -> usize {
        match self {
            Space::Adapters(space) => space.dim(),
            Space::Weights(space) => space.dim(),
        }
    }

    pub fn adapters(&self) -> Option<&Arc<SearchSpace>> {
        match self {
            Space::Adapters(space) => Some(space),
            Space::Weights(_) => None,
        }
    }

    /// The matrices that a genome is.
    pub fn matrices(&self, config: &ModelConfig) -> Vec<[usize; 2]> {
        match self {
            Space::Adapters(_) => Vec::new(),
            Space::Weights(_) => config.matrices(),
        }
    }

    /// The adapter, for the log.
    pub fn adapter(&self) -> String {
        let of = |rank: usize, maps: usize, parameters: usize| {
            format!("rank {rank} on {maps} linear maps, {parameters} parameters")
        };
        match self {
            Space::Adapters(space) => {
                let factors = space.factors();
                let parameters = factors.iter().map(|f| f.a.len() + f.b.len()).sum();
                of(space.rank(), factors.len(), parameters)
            }
            Space::Weights(space) => match space.adapter() {
                Some(lora) => of(lora.rank, lora.targets.len(), lora.parameters()) + ", added to the weights",
                None => "none".into(),
            },
        }
    }

    /// What a gene of 1 adds, where it is not 1, for the log.
    pub fn steps(&self) -> String {
        match self.adapters().map(|space| space.steps()) {
            None | Some([1.0, 1.0]) => String::new(),
            Some([low, high]) => {
                format!(", a gene of 1 adds the factor's root mean square, {low:.3} to {high:.3}")
            }
        }
    }
}
