//! Training by gradients: a model from scratch, an adapter by examples (LoRA: Hu et al. 2021, <https://arxiv.org/abs/2106.09685>), and the gradient of
//! sampled answers.
//!
//! A batch is split into passes of about a thousand tokens, texts of like length together. On the processor adapters are trained by kernels of our own, one pass
//! after another on all threads (`native.rs`); all else by libtorch, each pass on one thread, gradients being added in the order of the passes. Either way the
//! result on the processor is the same, bit for bit, for any number of threads.

mod adam;
mod adapters;
mod forward;
mod native;
mod parallel;
mod rows;
mod staged;
mod surrogates;
#[cfg(test)]
mod tests;
mod weights;

use std::ops::ControlFlow;
use std::time::Instant;

use illume_core::{Error, Result};
use rayon::ThreadPool;
use tch::{Device, Tensor};

use crate::checkpoint::{Checkpoint, floats};
use crate::config::ModelConfig;
use crate::lora::{Lora, LoraTarget};
use crate::model::{Native, Precision};
use adam::Adam;
use adapters::{Adapters, Delta};
use parallel::Pass;
use rows::{Room, Rows};
use weights::{Weights, failed};

pub use surrogates::{Prompts, Surrogates};

type Tried<T> = std::result::Result<T, tch::TchError>;

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

/// Trains a model from scratch on the texts that `next` gives for each step, and returns its tensors under the names of checkpoints, for
/// [`save_checkpoint`](crate::save_checkpoint). `report` hears of every step and may end the training.
///
/// # Errors
/// The shape or a setting is impossible, a text does not fit the model, the loss is no longer finite, or the device failed.
pub fn pretrain(
    config: &ModelConfig,
    next: &mut (dyn FnMut(u64) -> Vec<Example> + Send),
    settings: &TrainSettings,
    report: &mut (dyn FnMut(TrainRow) -> ControlFlow<()> + Send),
) -> Result<Vec<(String, Tensor)>> {
    config.check()?;
    let weights = Weights::random(config, settings.seed, settings.device)?;
    let leaves = train(&weights.list(), settings, next, report, |pool, leaves, examples| {
        let share = |rows| Pass {
            rows,
            weights: weights.replaced(shared(leaves)),
            adapters: Adapters::default(),
            leaves: shared(leaves),
            stage: None,
        };
        let room = Room::of(settings.device, config, size_of::<f32>());
        by_libtorch(pool, examples, config, room.tokens, share)
    })?;
    weights.replaced(leaves).named()
}

/// Trains an adapter on the answers of the texts that `next` gives for each step. The model's own weights stay as they are.
///
/// # Errors
/// As [`pretrain`]; the adapter does not fit the model.
pub fn sft(
    checkpoint: &Checkpoint,
    lora: Lora,
    next: &mut (dyn FnMut(u64) -> Vec<Example> + Send),
    settings: &TrainSettings,
    report: &mut (dyn FnMut(TrainRow) -> ControlFlow<()> + Send),
) -> Result<Lora> {
    lora.check(&checkpoint.config)?;
    let start: Vec<Tensor> = lora
        .targets
        .iter()
        .flat_map(|t| [t.a.shallow_clone(), t.b.shallow_clone()])
        .collect();
    let leaves = match settings.device {
        Device::Cpu => {
            let precision = match settings.precision {
                Precision::F32 if checkpoint.is_bf16() => Precision::Bf16,
                named => named,
            };
            let model = Native::load(&checkpoint.config, checkpoint, precision)?;
            let mut room = native::Room::default();
            train(&start, settings, next, report, |pool, leaves, examples| {
                by_kernels(
                    pool,
                    examples,
                    &model,
                    &targets(&lora, leaves)?,
                    lora.scaling(),
                    &mut room,
                )
            })?
        }
        device => {
            let weights = Weights::rounded(checkpoint, settings.precision, device)?;
            let room = weights.room();
            train(&start, settings, next, report, |pool, leaves, examples| {
                let share = |rows| Pass {
                    rows,
                    weights: weights.share(),
                    adapters: factors(&lora, leaves),
                    leaves: shared(leaves),
                    stage: Some(room.stage),
                };
                by_libtorch(pool, examples, &checkpoint.config, room.tokens, share)
            })?
        }
    };
    let targets = lora
        .targets
        .iter()
        .zip(leaves.chunks(2))
        .map(|(t, factors)| LoraTarget {
            layer: t.layer,
            module: t.module,
            a: factors[0].detach().to_device(Device::Cpu).copy(),
            b: factors[1].detach().to_device(Device::Cpu).copy(),
        });
    Ok(Lora {
        targets: targets.collect(),
        ..lora
    })
}

/// The adapters of `lora` with the factors `leaves`: A and B of each target.
fn factors(lora: &Lora, leaves: &[Tensor]) -> Adapters {
    let deltas = lora.targets.iter().zip(leaves.chunks(2)).map(|(t, ab)| {
        let delta = Delta::Factors {
            a: ab[0].shallow_clone(),
            b: ab[1].shallow_clone(),
        };
        (t.layer, t.module, delta)
    });
    Adapters {
        scaling: lora.scaling(),
        deltas: deltas.collect(),
    }
}

/// The same for our kernels.
fn targets(lora: &Lora, leaves: &[Tensor]) -> Result<Vec<native::Target<'static>>> {
    let of = |(t, ab): (&LoraTarget, &[Tensor])| {
        Ok(native::Target {
            layer: t.layer,
            module: t.module,
            rank: lora.rank,
            numbers: native::Numbers::Factors {
                a: floats(&ab[0])?,
                b: floats(&ab[1])?,
            },
        })
    };
    lora.targets.iter().zip(leaves.chunks(2)).map(of).collect()
}

fn shared(tensors: &[Tensor]) -> Vec<Tensor> {
    tensors.iter().map(Tensor::shallow_clone).collect()
}

/// The loop: returns the trained tensors, in the order of `start`. `gradient` gives that of the mean loss of a batch, `[leaves, flat]`, and the loss.
fn train(
    start: &[Tensor],
    settings: &TrainSettings,
    next: &mut (dyn FnMut(u64) -> Vec<Example> + Send),
    report: &mut (dyn FnMut(TrainRow) -> ControlFlow<()> + Send),
    mut gradient: impl FnMut(Option<&ThreadPool>, &[Tensor], &[Example]) -> Result<(Tensor, f64)>,
) -> Result<Vec<Tensor>> {
    settings.check()?;
    let mut adam = Adam::new(start, settings.beta2, settings.device).map_err(failed)?;
    let leaves = adam.leaves().map_err(failed)?;
    let pool = threads(settings.threads)?;
    let (began, mut tokens) = (Instant::now(), 0);
    for step in 0..settings.steps {
        let examples = next(step);
        if examples.is_empty() {
            return Err(Error::input(format!(
                "there is no text for step {step} of the training"
            )));
        }
        let (gradient, loss) = gradient(pool.as_ref(), &leaves, &examples)?;
        tokens += examples.iter().map(|e| e.tokens.len() as u64).sum::<u64>();
        let rate = settings.rate(step);
        let norm = parallel::single_threaded(|| adam.step(&gradient, rate, settings.weight_decay, settings.clip));
        let norm = norm.map_err(failed)?;
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
    Ok(leaves)
}

/// The gradient of a batch's mean loss by libtorch, and the loss.
fn by_libtorch(
    pool: Option<&ThreadPool>,
    examples: &[Example],
    config: &ModelConfig,
    tokens: usize,
    share: impl Fn(Rows) -> Pass,
) -> Result<(Tensor, f64)> {
    let passes = rows::passes(examples, config, tokens)?;
    let wanted: usize = passes.iter().map(|p| p.wanted.len()).sum();
    let (gradient, losses) = parallel::gradients(pool, passes, share, |pass, logits| mean_loss(pass, &logits, wanted))?;
    let gradient = gradient.expect("a batch that is not empty has a pass");
    Ok((gradient, losses.iter().sum()))
}

/// The same of adapters alone, by our kernels.
fn by_kernels(
    pool: Option<&ThreadPool>,
    examples: &[Example],
    model: &Native,
    targets: &[native::Target],
    scaling: f64,
    room: &mut native::Room,
) -> Result<(Tensor, f64)> {
    let passes = rows::texts(examples, &model.config)?;
    let wanted: usize = passes.iter().map(|p| p.wanted.len()).sum();
    let mut adapters = native::Adapters::new(&model.config, model.level, targets, scaling);
    let slope = |_, _| -1.0 / wanted as f32;
    let question = native::Question {
        slope: Some(&slope),
        ..native::Question::new(1.0)
    };
    let mut run = || native::run(model, &mut adapters, &passes, &question, room);
    let log_probs = match pool {
        Some(pool) => pool.install(run),
        None => run(),
    };
    let loss = -log_probs.iter().map(|x| f64::from(*x)).sum::<f64>() / wanted as f64;
    let gradient = Tensor::f_from_slice(&adapters.gradient()).map_err(failed)?;
    Ok((gradient, loss))
}

/// The share of a pass in the mean over `wanted` tokens of the batch.
fn mean_loss(pass: &Pass, logits: &Tensor, wanted: usize) -> Tried<(Tensor, f64)> {
    let targets = Tensor::f_from_slice(&pass.rows.targets)?.f_to_device(logits.device())?;
    let sum = logits.f_cross_entropy_loss(&targets, None::<&Tensor>, tch::Reduction::Sum, -100, 0.0)?;
    let loss = sum.f_div_scalar(wanted as f64)?;
    let value = loss.f_double_value(&[])?;
    Ok((loss, value))
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
