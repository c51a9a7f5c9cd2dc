//! Training by gradients: a model from scratch, an adapter by examples (LoRA: Hu et al. 2021, <https://arxiv.org/abs/2106.09685>), and the gradient of
//! sampled answers.
//!
//! A batch is split into passes of about a thousand tokens, texts of like length together. On the processor adapters are trained by kernels of our own, one pass
//! after another on all threads (`native.rs`); all else by libtorch (`torch.rs`), each pass on one thread, gradients being added in the order of the passes.
//! Either way the result on the processor is the same, bit for bit, for any number of threads.

mod adam;
mod native;
mod rows;
mod surrogates;
#[cfg(all(test, feature = "torch"))]
mod tests;
#[cfg(feature = "torch")]
mod torch;

use std::ops::ControlFlow;
use std::time::Instant;

use illume_core::{Error, Result};
use rayon::ThreadPool;

use crate::Device;
use crate::array::Array;
use crate::checkpoint::Checkpoint;
use crate::lora::{Lora, LoraTarget};
use crate::model::{Native, Precision};
use adam::Adam;

pub use surrogates::{Prompts, Surrogates};
#[cfg(feature = "torch")]
pub use torch::pretrain;

/// A text to learn from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Example {
    pub tokens: Vec<u32>,
    /// The tokens from this one on are to be predicted, those before are only read; 0 for all but the first.
    pub answer_from: usize,
}

/// How the learning rate falls after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schedule {
    Constant,
    /// Half a cosine, to 0 at the last step.
    Cosine,
}

/// How a model or an adapter is trained.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainSettings {
    pub steps: u64,
    /// Texts a step: what the caller's `next` is expected to return, for its information alone.
    pub batch: usize,
    /// The highest.
    pub learning_rate: f64,
    /// Steps in which the learning rate rises from 0.
    pub warmup: u64,
    pub schedule: Schedule,
    /// Of matrices; a step takes `learning_rate * weight_decay` of them away.
    pub weight_decay: f64,
    /// Norm to which a longer gradient is cut.
    pub clip: f64,
    /// Decay of the gradient's second moment.
    pub beta2: f64,
    /// Of the initial weights.
    pub seed: u64,
    /// Threads; 0: those of the pool that the caller runs in.
    pub threads: usize,
    pub device: Device,
    /// Of the weights that an adapter is trained on (QLoRA: Dettmers et al. 2023, <https://arxiv.org/abs/2305.14314>); those that are trained are in f32.
    pub precision: Precision,
}

impl Default for TrainSettings {
    fn default() -> Self {
        TrainSettings {
            steps: 1000,
            batch: 64,
            learning_rate: 3e-3,
            warmup: 50,
            schedule: Schedule::Cosine,
            weight_decay: 0.01,
            clip: 1.0,
            beta2: 0.99,
            seed: 1,
            threads: 0,
            device: Device::Cpu,
            precision: Precision::F32,
        }
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainRow {
    /// From 0.
    pub step: u64,
    /// Negative log-probability of a token to be predicted, mean of the batch, before the step.
    pub loss: f64,
    pub learning_rate: f64,
    /// Of the gradient before it was cut.
    pub norm: f64,
    /// Tokens that were read since the start.
    pub tokens: u64,
    /// Since the start.
    pub seconds: f64,
}

impl TrainSettings {
    /// The learning rate of a step.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.learning_rate * (step + 1) as f64 / self.warmup as f64;
        }
        let done = (step - self.warmup) as f64 / self.steps.saturating_sub(self.warmup).max(1) as f64;
        match self.schedule {
            Schedule::Constant => self.learning_rate,
            Schedule::Cosine => self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * done.min(1.0)).cos()),
        }
    }

    /// # Errors
    /// A number is out of its range.
    pub fn check(&self) -> Result<()> {
        let wrong = |what: String| Err(Error::input(what));
        if self.steps == 0 {
            return wrong("training needs at least 1 step, not 0".into());
        }
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return wrong(format!(
                "the learning rate is {}, and must be above 0",
                self.learning_rate
            ));
        }
        if !(self.weight_decay >= 0.0 && self.weight_decay * self.learning_rate < 1.0) {
            return wrong(format!(
                "the weight decay is {}, and must be 0 or more, and below 1 when multiplied by the learning rate",
                self.weight_decay
            ));
        }
        if self.clip.is_nan() || self.clip <= 0.0 {
            return wrong(format!("the gradient's clip is {}, and must be above 0", self.clip));
        }
        if !(0.0..1.0).contains(&self.beta2) {
            return wrong(format!("beta2 is {}, and must be in [0, 1)", self.beta2));
        }
        Ok(())
    }
}

/// Trains an adapter on the answers of the texts that `next` gives for each step. The model's own weights stay as they are. `report` hears of every step and may
/// end the training.
///
/// # Errors
/// The adapter does not fit the model, a setting is impossible, a text does not fit the model, the loss is no longer finite, or the device failed.
pub fn sft(
    checkpoint: &Checkpoint,
    mut lora: Lora,
    next: Next,
    settings: &TrainSettings,
    report: Report,
) -> Result<Lora> {
    lora.check(&checkpoint.config)?;
    let sizes: Vec<usize> = factors(&lora).map(|f| f.values().len()).collect();
    let trained = match settings.device {
        Device::Cpu => by_kernels(checkpoint, &lora, &sizes, next, settings, report)?,
        #[cfg(feature = "torch")]
        Device::Cuda(_) => torch::sft(checkpoint, &lora, next, settings, report)?,
        #[cfg(not(feature = "torch"))]
        Device::Cuda(_) => return Err(Error::input("training on a GPU needs a build with the feature torch")),
    };
    let mut rest = &trained[..];
    let all = lora.targets.iter_mut().flat_map(|t| [&mut t.a, &mut t.b]);
    for (factor, size) in all.zip(sizes) {
        let (own, behind) = rest.split_at(size);
        factor.values_mut().copy_from_slice(own);
        rest = behind;
    }
    Ok(lora)
}

/// The factors of an adapter, A and B of each target: their numbers one behind another are what is trained.
fn factors(lora: &Lora) -> impl Iterator<Item = &Array> {
    lora.targets.iter().flat_map(|t| [&t.a, &t.b])
}

/// Trains on the processor, by our kernels; returns the factors.
fn by_kernels(
    checkpoint: &Checkpoint,
    lora: &Lora,
    sizes: &[usize],
    next: Next,
    settings: &TrainSettings,
    report: Report,
) -> Result<Vec<f32>> {
    let precision = match settings.precision {
        Precision::F32 if checkpoint.is_bf16() => Precision::Bf16,
        named => named,
    };
    let model = Native::load(&checkpoint.config, checkpoint, precision)?;
    let mut room = native::Room::default();
    let start: Vec<f32> = factors(lora).flat_map(|f| f.values()).copied().collect();
    let mut adam = Adam::new(start, settings.beta2);
    train(settings, next, report, |pool, examples, rate| {
        let passes = rows::texts(examples, &model.config)?;
        let wanted: usize = passes.iter().map(|p| p.wanted.len()).sum();
        let targets = targets(lora, sizes, &adam.values);
        let mut adapters = native::Adapters::new(&model.config, model.level, &targets, lora.scaling());
        let slope = |_, _| -1.0 / wanted as f32;
        let question = native::Question {
            slope: Some(&slope),
            ..native::Question::new(1.0)
        };
        let mut step = || {
            let log_probs = native::run(&model, &mut adapters, &passes, &question, &mut room);
            let norm = adam.step(&adapters.gradient(), rate, settings.weight_decay, settings.clip);
            (log_probs, norm)
        };
        let (log_probs, norm) = match pool {
            Some(pool) => pool.install(step),
            None => step(),
        };
        let loss = -log_probs.iter().map(|x| f64::from(*x)).sum::<f64>() / wanted as f64;
        Ok((loss, norm))
    })?;
    Ok(adam.values)
}

/// An adapter with these factors for our kernels.
fn targets(lora: &Lora, sizes: &[usize], values: &[f32]) -> Vec<native::Target<'static>> {
    let mut rest = values;
    let mut next = |size: usize| {
        let (own, behind) = rest.split_at(size);
        rest = behind;
        own.to_vec()
    };
    let of = |(t, sizes): (&LoraTarget, &[usize])| native::Target {
        layer: t.layer,
        module: t.module,
        rank: lora.rank,
        numbers: native::Numbers::Factors {
            a: next(sizes[0]),
            b: next(sizes[1]),
        },
    };
    lora.targets.iter().zip(sizes.chunks(2)).map(of).collect()
}

/// Gives the texts of a step.
type Next<'a> = &'a mut (dyn FnMut(u64) -> Vec<Example> + Send);
/// Hears of every step, and may end the training.
type Report<'a> = &'a mut (dyn FnMut(TrainRow) -> ControlFlow<()> + Send);

/// The loop. `learn` makes one step down the gradient of a batch's mean loss, at the given rate, and returns that loss and the gradient's norm.
fn train(
    settings: &TrainSettings,
    next: Next,
    report: Report,
    mut learn: impl FnMut(Option<&ThreadPool>, &[Example], f64) -> Result<(f64, f64)>,
) -> Result<()> {
    settings.check()?;
    let pool = threads(settings.threads)?;
    let (began, mut tokens) = (Instant::now(), 0);
    for step in 0..settings.steps {
        let examples = next(step);
        if examples.is_empty() {
            return Err(Error::input(format!(
                "there is no text for step {step} of the training"
            )));
        }
        let rate = settings.rate(step);
        let (loss, norm) = learn(pool.as_ref(), &examples, rate)?;
        tokens += examples.iter().map(|e| e.tokens.len() as u64).sum::<u64>();
        if !(loss.is_finite() && norm.is_finite()) {
            return Err(Error::failed(format!(
                "the loss of step {step} is {loss} and its gradient's norm {norm}; a lower learning rate may help"
            )));
        }
        let row = TrainRow {
            step,
            loss,
            learning_rate: rate,
            norm,
            tokens,
            seconds: began.elapsed().as_secs_f64(),
        };
        if report(row).is_break() {
            break;
        }
    }
    Ok(())
}

/// A pool of its own; none for 0, where work runs in the caller's.
fn threads(threads: usize) -> Result<Option<ThreadPool>> {
    if threads == 0 {
        return Ok(None);
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map(Some)
        .map_err(|e| Error::failed(format!("{threads} threads cannot be started: {e}")))
}
