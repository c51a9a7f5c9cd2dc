//! The weights of a model as genes: what is added to the linear maps of its layers. Embedding, head, norms and biases stay as they are.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use illume_core::{Error, LowRank, Result};
use illume_numerics::elements::add_scaled;
use rayon::prelude::*;

use crate::Float;
use crate::checkpoint::write;
use crate::config::Module;
use crate::lora::Lora;
use crate::model::Source;
use crate::text;
use crate::{Checkpoint, LoraTarget};

/// A model, an adapter that is added to its weights, and the places of its linear maps in a genome.
#[derive(Debug)]
pub struct WeightSpace {
    checkpoint: Arc<Checkpoint>,
    adapter: Option<Lora>,
    places: LowRank,
    /// Number of the map that a tensor of the checkpoint is.
    names: HashMap<String, usize>,
}

impl WeightSpace {
    /// With an adapter that has been read for this model.
    pub fn new(checkpoint: Arc<Checkpoint>, adapter: Option<Lora>) -> WeightSpace {
        let config = &checkpoint.config;
        let modules = (0..config.layers).flat_map(|layer| Module::ALL.map(|m| name(layer, m)));
        WeightSpace {
            places: LowRank::new(1, &config.matrices()),
            names: modules.enumerate().map(|(i, name)| (name, i)).collect(),
            checkpoint,
            adapter,
        }
    }

    /// Genes of a genome.
    pub fn dim(&self) -> usize {
        self.places.genes()
    }

    pub fn adapter(&self) -> Option<&Lora> {
        self.adapter.as_ref()
    }

    /// The weights of a genome, `[dim]` or empty for zeros.
    pub(crate) fn source<'a>(&'a self, genes: &'a [f32]) -> Moved<'a> {
        Moved { space: self, genes }
    }

    /// Writes the model of a genome, `[dim]` or empty for zeros, as `transformers` loads it: weights in f32, and the tokenizer of the one that it began as.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn save(&self, genes: &[f32], dir: &Path) -> Result<()> {
        let from = self.checkpoint.path();
        if let (Ok(one), Ok(other)) = (from.canonicalize(), dir.canonicalize())
            && one == other
        {
            return Err(Error::input(format!(
                "{} is the model that the search began with: choose another folder",
                dir.display()
            )));
        }
        write(dir, &self.checkpoint.config, Float::F32, &self.source(genes))?;
        text::copy(from, dir)
    }
}

fn name(layer: usize, module: Module) -> String {
    format!("{}.weight", module.path(layer))
}

/// A model with what a genome adds.
pub(crate) struct Moved<'a> {
    space: &'a WeightSpace,
    genes: &'a [f32],
}

impl Source for Moved<'_> {
    fn values(&self, name: &str) -> Result<Vec<f32>> {
        let mut values = self.space.checkpoint.floats(name)?;
        let Some(&map) = self.space.names.get(name) else {
            return Ok(values);
        };
        let place = &self.space.places.matrices()[map];
        if let Some(lora) = &self.space.adapter {
            let here = |t: &&LoraTarget| t.layer * Module::ALL.len() + t.module as usize == map;
            if let Some(target) = lora.targets.iter().find(here) {
                let (a, b) = (target.a.values(), target.b.values());
                let scaling = lora.scaling() as f32;
                let rows = values.par_chunks_exact_mut(place.columns);
                rows.zip(b.par_chunks_exact(lora.rank)).for_each(|(row, b)| {
                    for (b, a) in b.iter().zip(a.chunks_exact(place.columns)) {
                        add_scaled(a, b * scaling, row);
                    }
                });
            }
        }
        if !self.genes.is_empty() {
            add_scaled(&self.genes[place.genes.clone()], 1.0, &mut values);
        }
        Ok(values)
    }
}
