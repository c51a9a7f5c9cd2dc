//! A model that is ready to run: weights in the precision asked for, on the device asked for.

mod adapters;
mod attention;
mod cache;
mod matrix;
mod native;
pub(crate) mod ops;
mod packed;
mod product;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use illume_core::{Error, Purpose, Result, Stream};
use tch::{Device, Tensor};

pub(crate) use adapters::{Adapters, PackedBasis};
pub(crate) use cache::Cache;
pub(crate) use native::{Native, Scratch, Segment};

use crate::checkpoint::Checkpoint;
use crate::config::ModelConfig;
use crate::population::Population;

/// How weights are stored. On the CPU sums are in f32, whatever the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    F32,
    Bf16,
    /// One scale for each output.
    Int8,
    /// Scale and zero for each `group` inputs of an output; embedding and head as [`Precision::Int8`].
    Int4 {
        group: usize,
    },
}

/// Where weights come from.
pub(crate) trait Source {
    /// All numbers of a tensor, row by row.
    fn values(&self, name: &str) -> Result<Vec<f32>>;
}

impl Source for Checkpoint {
    fn values(&self, name: &str) -> Result<Vec<f32>> {
        self.floats(name)
    }
}

/// Weights that are drawn, for measurements: normal numbers, and ones for norms.
struct Drawn<'a> {
    config: &'a ModelConfig,
    seed: u64,
}

impl Source for Drawn<'_> {
    fn values(&self, name: &str) -> Result<Vec<f32>> {
        let tensors = self.config.tensors();
        let number = tensors.iter().position(|(n, _)| n == name);
        let number = number.ok_or_else(|| Error::input(format!("the model has no tensor {name}")))?;
        let mut out = vec![1.0; tensors[number].1.iter().product()];
        if !name.ends_with("norm.weight") {
            Stream::new(self.seed, Purpose::Init, 0, number as u64).normals(0, &mut out);
            let sd = self.config.initializer_range as f32;
            out.iter_mut().for_each(|x| *x *= sd);
        }
        Ok(out)
    }
}

/// A model in memory: one copy of its weights, whatever the population that runs through it.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    precision: Precision,
    device: Device,
    body: Native,
}

impl Model {
    /// Reads the weights.
    ///
    /// # Errors
    /// The checkpoint cannot be read, the precision does not fit its shape, or the device has too little memory.
    pub fn load(checkpoint: &Checkpoint, precision: Precision, device: Device) -> Result<Model> {
        Model::from_source(&checkpoint.config, checkpoint, precision, device)
    }

    /// A model with drawn weights, for measurements.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn random(config: &ModelConfig, precision: Precision, device: Device, seed: u64) -> Result<Model> {
        config.check()?;
        Model::from_source(config, &Drawn { config, seed }, precision, device)
    }

    fn from_source(config: &ModelConfig, source: &dyn Source, precision: Precision, device: Device) -> Result<Model> {
        let body = Native::load(config, source, precision)?;
        Ok(Model {
            config: config.clone(),
            precision,
            device,
            body,
        })
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }

    pub fn device(&self) -> Device {
        self.device
    }

    /// Bytes that the weights take, scales included.
    pub fn weight_bytes(&self) -> u64 {
        self.body.weight_bytes()
    }

    /// The logits after every token of a text, `[tokens, vocab]`.
    ///
    /// # Errors
    /// The text is longer than the model's context, or has a token that the model lacks.
    pub fn logits(&self, tokens: &[u32]) -> Result<Vec<f32>> {
        let c = &self.config;
        if tokens.len() > c.max_positions || tokens.iter().any(|t| *t as usize >= c.vocab) {
            return Err(Error::input(format!(
                "a text of {} tokens with numbers up to {:?} is not for a model of {} tokens and a context of {}",
                tokens.len(),
                tokens.iter().max(),
                c.vocab,
                c.max_positions
            )));
        }
        let mut session = self.session();
        session.reserve(1, tokens.len());
        let mut all = Vec::new();
        for (position, token) in tokens.iter().enumerate() {
            let segment = Segment {
                slot: 0,
                member: 0,
                position,
                at: 0,
                len: 1,
                last: true,
            };
            let row = Mutex::new(Vec::new());
            let keep = |_, logits: &mut [f32]| {
                row.lock()
                    .expect("nobody panics while holding it")
                    .extend_from_slice(logits);
                0
            };
            self.step(&mut session, &[*token], &[segment], &Adapters::None, &keep)?;
            all.extend(row.into_inner().expect("nobody panics while holding it"));
        }
        Ok(all)
    }

    /// The weights as they are used: names and shapes of a checkpoint, values after rounding to the model's precision.
    ///
    /// # Errors
    /// The weights are not in the processor's memory.
    pub fn dequantized(&self) -> Result<Vec<(String, Tensor)>> {
        Ok(self.body.dequantized())
    }

    /// Empty room for rows.
    pub(crate) fn session(&self) -> Session {
        Session {
            cache: self.body.cache(),
            scratch: Vec::new(),
        }
    }

    pub(crate) fn adapters<'a>(&self, population: &'a Population) -> Result<Adapters<'a>> {
        population.check(&self.config)?;
        Adapters::new(population)
    }

    /// Runs the tokens of a pass: stores their keys and values in the session, and calls `pick` with the number of each segment that asks
    /// for it and the logits of the token that follows it. The result for each segment is what `pick` returned, 0 for the others.
    pub(crate) fn step(
        &self,
        session: &mut Session,
        tokens: &[u32],
        segments: &[Segment],
        adapters: &Adapters,
        pick: &(dyn Fn(usize, &mut [f32]) -> u64 + Sync),
    ) -> Result<Vec<u64>> {
        let picked: Vec<AtomicU64> = segments.iter().map(|_| AtomicU64::new(0)).collect();
        let keep = |i: usize, logits: &mut [f32]| picked[i].store(pick(i, logits), Ordering::Relaxed);
        self.body.step(
            tokens,
            segments,
            &session.cache.share(),
            adapters,
            &mut session.scratch,
            &keep,
        );
        Ok(picked.into_iter().map(AtomicU64::into_inner).collect())
    }
}

/// Keys and values of rows that run, and buffers.
#[derive(Debug)]
pub(crate) struct Session {
    cache: Cache,
    scratch: Vec<Scratch>,
}

impl Session {
    /// Makes room for rows of some length; what was there is lost.
    pub fn reserve(&mut self, slots: usize, positions: usize) {
        self.cache.reserve(slots, positions);
    }
}
