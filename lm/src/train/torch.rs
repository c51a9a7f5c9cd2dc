//! Training by libtorch: a model from scratch, and adapters on devices.

mod adam;
mod adapters;
mod forward;
mod parallel;
mod rows;
mod staged;
mod surrogates;
#[cfg(test)]
mod tests;
mod weights;

use illume_core::Result;
use rayon::ThreadPool;
use tch::Tensor;

use super::{Example, Next, Report, TrainSettings};
use crate::array::Array;
use crate::checkpoint::Checkpoint;
use crate::config::ModelConfig;
use crate::lora::Lora;
use adam::Adam;
use adapters::{Adapters, Delta};
use parallel::Pass;
use rows::{Room, Rows};
use weights::{Weights, failed};

pub(super) use surrogates::OnDevice;

type Tried<T> = std::result::Result<T, tch::TchError>;

/// Numbers as a tensor of this shape.
fn tensor(values: &[f32], shape: &[usize]) -> Tensor {
    let shape: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
    Tensor::from_slice(values).view(shape.as_slice())
}

/// All numbers of a tensor, row by row.
fn numbers(tensor: &Tensor) -> Tried<Vec<f32>> {
    let flat = tensor
        .detach()
        .f_to_device(tch::Device::Cpu)?
        .f_to_kind(tch::Kind::Float)?
        .f_contiguous()?;
    let mut values = vec![0.0_f32; flat.numel()];
    let count = values.len();
    flat.f_copy_data(&mut values, count)?;
    Ok(values)
}

fn shared(tensors: &[Tensor]) -> Vec<Tensor> {
    tensors.iter().map(Tensor::shallow_clone).collect()
}

/// Trains a model from scratch on the texts that `next` gives for each step, and returns its tensors under the names of checkpoints, for
/// [`save_checkpoint`](crate::save_checkpoint). `report` hears of every step and may end the training.
///
/// # Errors
/// The shape or a setting is impossible, a text does not fit the model, the loss is no longer finite, or the device failed.
pub fn pretrain(
    config: &ModelConfig,
    next: Next,
    settings: &TrainSettings,
    report: Report,
) -> Result<Vec<(String, Array)>> {
    config.check()?;
    illume_numerics::libtorch::load().map_err(illume_core::Error::failed)?;
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
        gradient(pool, examples, config, room.tokens, share)
    })?;
    weights.replaced(leaves).named()
}

/// Trains an adapter on a device; returns its factors, one behind another.
///
/// # Errors
/// As [`super::sft`].
pub(super) fn sft(
    checkpoint: &Checkpoint,
    lora: &Lora,
    next: Next,
    settings: &TrainSettings,
    report: Report,
) -> Result<Vec<f32>> {
    let start: Tried<Vec<Tensor>> = super::factors(lora).map(Array::tensor).collect();
    let start = start.map_err(failed)?;
    let weights = Weights::rounded(checkpoint, settings.precision, settings.device)?;
    let room = weights.room();
    let leaves = train(&start, settings, next, report, |pool, leaves, examples| {
        let share = |rows| Pass {
            rows,
            weights: weights.share(),
            adapters: factors(lora, leaves),
            leaves: shared(leaves),
            stage: Some(room.stage),
        };
        gradient(pool, examples, &checkpoint.config, room.tokens, share)
    })?;
    let values: Tried<Vec<Vec<f32>>> = leaves.iter().map(numbers).collect();
    Ok(values.map_err(failed)?.concat())
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

/// Trains what begins as `start`, and returns it. `gradient` gives that of the mean loss of a batch, `[leaves, flat]`, and the loss.
fn train(
    start: &[Tensor],
    settings: &TrainSettings,
    next: Next,
    report: Report,
    mut gradient: impl FnMut(Option<&ThreadPool>, &[Tensor], &[Example]) -> Result<(Tensor, f64)>,
) -> Result<Vec<Tensor>> {
    let mut adam = Adam::new(start, settings.beta2, settings.device.into()).map_err(failed)?;
    let leaves = adam.leaves().map_err(failed)?;
    super::train(settings, next, report, |pool, examples, rate| {
        let (gradient, loss) = gradient(pool, &leaves, examples)?;
        let norm = parallel::single_threaded(|| adam.step(&gradient, rate, settings.weight_decay, settings.clip));
        Ok((loss, norm.map_err(failed)?))
    })?;
    Ok(leaves)
}

/// The gradient of a batch's mean loss, and the loss.
fn gradient(
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

/// The share of a pass in the mean over `wanted` tokens of the batch.
fn mean_loss(pass: &Pass, logits: &Tensor, wanted: usize) -> Tried<(Tensor, f64)> {
    let targets = Tensor::f_from_slice(&pass.rows.targets)?.f_to_device(logits.device())?;
    let sum = logits.f_cross_entropy_loss(&targets, None::<&Tensor>, tch::Reduction::Sum, -100, 0.0)?;
    let loss = sum.f_div_scalar(wanted as f64)?;
    let value = loss.f_double_value(&[])?;
    Ok((loss, value))
}
