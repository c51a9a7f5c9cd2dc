//! A model that is ready to run: weights in the precision asked for, on the device asked for.

mod adapters;
mod cache;
mod low_rank;
mod native;
#[cfg(feature = "torch")]
mod round;
#[cfg(feature = "torch")]
mod torch;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use illume_core::{Error, Purpose, Result, Stream};
use rayon::prelude::*;

use adapters::Adapters;
pub(crate) use adapters::{GROUPS, PackedBasis};
pub(crate) use cache::Cache;
/// On a device activations are in bf16 unless weights are in f32; with int4, embedding and head are int8 (on a device bf16).
pub use illume_numerics::transformer::Precision;
use native::Scratch;
pub(crate) use native::{Layer, Native, Segment};
#[cfg(feature = "torch")]
pub(crate) use round::{int8_codes, round};
#[cfg(feature = "torch")]
use torch::{TorchAdapters, TorchCache, TorchModel};
#[cfg(feature = "torch")]
pub(crate) use torch::{TorchBasis, wide_product};

use crate::array::Array;
use crate::checkpoint::Checkpoint;
use crate::config::ModelConfig;
use crate::device::Device;
use crate::generate::Sampling;
use crate::population::Population;
use crate::sample::{Picked, pick};

/// Where weights come from.
pub(crate) trait Source: Sync {
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

/// Numbers that a thread draws at a time.
const PART: usize = 1 << 16;

impl Source for Drawn<'_> {
    fn values(&self, name: &str) -> Result<Vec<f32>> {
        let tensors = self.config.tensors();
        let number = tensors.iter().position(|(n, _)| n == name);
        let number = number.ok_or_else(|| Error::input(format!("the model has no tensor {name}")))?;
        let mut out = vec![1.0; tensors[number].1.iter().product()];
        if !name.ends_with("norm.weight") {
            let stream = Stream::new(self.seed, Purpose::Init, 0, number as u64);
            let sd = self.config.initializer_range as f32;
            let parts = out.par_chunks_mut(PART).enumerate();
            parts.for_each(|(i, part)| {
                stream.normals((i * PART) as u64, part);
                part.iter_mut().for_each(|x| *x *= sd);
            });
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
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// Kernels of our own, on the processor.
    Native(Native),
    /// libtorch's, on any device.
    #[cfg(feature = "torch")]
    Torch(TorchModel),
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

    /// This model's twin of drawn weights that runs by libtorch on the processor too, as models run on devices: for comparisons.
    ///
    /// # Errors
    /// As [`Model::load`].
    #[cfg(feature = "torch")]
    pub fn random_by_libtorch(config: &ModelConfig, precision: Precision, device: Device, seed: u64) -> Result<Model> {
        config.check()?;
        Model::by_libtorch(config, &Drawn { config, seed }, precision, device)
    }

    pub(crate) fn from_source(
        config: &ModelConfig,
        source: &dyn Source,
        precision: Precision,
        device: Device,
    ) -> Result<Model> {
        if device != Device::Cpu {
            #[cfg(feature = "torch")]
            return Model::by_libtorch(config, source, precision, device);
            #[cfg(not(feature = "torch"))]
            return Err(Error::input("a model on a GPU needs a build with the feature torch"));
        }
        let body = Body::Native(Native::load(config, source, precision)?);
        Ok(Model {
            config: config.clone(),
            precision,
            device,
            body,
        })
    }

    #[cfg(feature = "torch")]
    fn by_libtorch(config: &ModelConfig, source: &dyn Source, precision: Precision, device: Device) -> Result<Model> {
        let body = Body::Torch(TorchModel::load(config, source, precision, device)?);
        Ok(Model {
            config: config.clone(),
            precision,
            device,
            body,
        })
    }

    /// Makes the linear maps of the layers anew, in the precision and on the device of before. What they were is lost as they go, so that an error leaves
    /// a model of both.
    pub(crate) fn reload(&mut self, source: &dyn Source) -> Result<()> {
        match &mut self.body {
            Body::Native(native) => native.reload(source, self.precision),
            #[cfg(feature = "torch")]
            Body::Torch(torch) => torch.reload(source, self.precision),
        }
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The model of our own kernels, on the processor.
    pub(crate) fn native(&self) -> Option<&Native> {
        match &self.body {
            Body::Native(native) => Some(native),
            #[cfg(feature = "torch")]
            Body::Torch(_) => None,
        }
    }

    pub fn device(&self) -> Device {
        self.device
    }

    /// Bytes that the weights take, scales included.
    pub fn weight_bytes(&self) -> u64 {
        match &self.body {
            Body::Native(native) => native.weight_bytes(),
            #[cfg(feature = "torch")]
            Body::Torch(torch) => torch.weight_bytes(),
        }
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
        session.reserve(self, 1, tokens.len())?;
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
            };
            self.step(
                &mut session,
                &[*token],
                &[segment],
                &self.adapters(&Population::None)?,
                &Wish::Logits(&keep),
            )?;
            all.extend(row.into_inner().expect("nobody panics while holding it"));
        }
        Ok(all)
    }

    /// The weights as they are used: names and shapes of a checkpoint, values after rounding to the model's precision.
    ///
    /// # Errors
    /// The weights are not in the processor's memory.
    pub fn dequantized(&self) -> Result<Vec<(String, Array)>> {
        match &self.body {
            Body::Native(native) => Ok(native.dequantized()),
            #[cfg(feature = "torch")]
            Body::Torch(_) => Err(Error::failed("weights on a device are not read back")),
        }
    }

    /// Bytes of a number in the cache.
    pub(crate) fn cache_element(&self) -> usize {
        match &self.body {
            Body::Native(_) => size_of::<f32>(),
            #[cfg(feature = "torch")]
            Body::Torch(torch) => torch.element(),
        }
    }

    /// Empty room for rows.
    pub(crate) fn session(&self) -> Session {
        match &self.body {
            Body::Native(native) => Session::Native {
                cache: native.cache(),
                scratch: Vec::new(),
            },
            #[cfg(feature = "torch")]
            Body::Torch(_) => Session::Torch {
                slots: 0,
                positions: 0,
                cache: None,
            },
        }
    }

    pub(crate) fn adapters<'a>(&self, population: &'a Population) -> Result<Ready<'a>> {
        population.check(&self.config)?;
        Ok(match &self.body {
            Body::Native(_) => Ready::Native(Adapters::new(population)),
            #[cfg(feature = "torch")]
            Body::Torch(torch) => Ready::Torch(torch.adapters(population)?),
        })
    }

    /// Runs the tokens of a pass: stores their keys and values in the session, and does what is wished with the distribution of the token that follows
    /// each segment that asks for it. The result for each segment is the token, if tokens were wished.
    pub(crate) fn step(
        &self,
        session: &mut Session,
        tokens: &[u32],
        segments: &[Segment],
        adapters: &Ready,
        wish: &Wish,
    ) -> Result<Vec<Picked>> {
        match (&self.body, session, adapters) {
            (Body::Native(native), Session::Native { cache, scratch }, Ready::Native(adapters)) => {
                let picked: Vec<AtomicU64> = segments.iter().map(|_| AtomicU64::new(0)).collect();
                let keep = |i: usize, logits: &mut [f32]| match wish {
                    Wish::Token { sampling, uniform } => {
                        picked[i].store(pick(logits, sampling, uniform(i)).to_bits(), Ordering::Relaxed);
                    }
                    Wish::Logits(take) => take(i, logits),
                };
                native.step(tokens, segments, &cache.share(), adapters, scratch, &keep);
                Ok(picked.into_iter().map(|p| Picked::from_bits(p.into_inner())).collect())
            }
            #[cfg(feature = "torch")]
            (Body::Torch(torch), Session::Torch { cache: Some(cache), .. }, Ready::Torch(adapters)) => {
                torch.pass(tokens, segments, cache, adapters, wish)
            }
            #[cfg(feature = "torch")]
            _ => unreachable!("a session and adapters are made by the model that uses them, and room is reserved"),
        }
    }
}

/// What is done with the distribution of the token that follows a segment.
pub(crate) enum Wish<'a> {
    /// The token is chosen, by the segment's uniform number in [0, 1).
    Token {
        sampling: &'a Sampling,
        uniform: &'a (dyn Fn(usize) -> f64 + Sync),
    },
    /// Something else, with the segment's number and the logits.
    Logits(&'a (dyn Fn(usize, &mut [f32]) + Sync)),
}

/// Adapters in the layout that the model's kernels want.
pub(crate) enum Ready<'a> {
    Native(Adapters<'a>),
    #[cfg(feature = "torch")]
    Torch(TorchAdapters),
}

impl Ready<'_> {
    /// Makes ready what only members take that run: these. To be called before a pass in which others run than before.
    pub fn keep(&mut self, members: impl Iterator<Item = u32>) {
        match self {
            Ready::Native(adapters) => adapters.keep(members),
            #[cfg(feature = "torch")]
            Ready::Torch(_) => (),
        }
    }
}

/// Keys and values of rows that run, and buffers.
#[derive(Debug)]
pub(crate) enum Session {
    Native {
        cache: Cache,
        scratch: Vec<Scratch>,
    },
    #[cfg(feature = "torch")]
    Torch {
        slots: usize,
        positions: usize,
        cache: Option<TorchCache>,
    },
}

impl Session {
    /// Makes room for rows of some length; what was there is lost.
    pub fn reserve(&mut self, model: &Model, slots: usize, positions: usize) -> Result<()> {
        match (self, &model.body) {
            #[cfg(feature = "torch")]
            (
                Session::Torch {
                    slots: s,
                    positions: p,
                    cache,
                },
                Body::Torch(torch),
            ) => {
                if cache.is_none() || slots > *s || positions > *p {
                    (*s, *p) = (slots.max(*s), positions.max(*p));
                    // The old cache goes before the new one comes.
                    *cache = None;
                    *cache = Some(torch.cache(*s, *p)?);
                }
            }
            (Session::Native { cache, .. }, _) => cache.reserve(slots, positions),
            #[cfg(feature = "torch")]
            _ => unreachable!("a session is made by the model that uses it"),
        }
        Ok(())
    }
}
