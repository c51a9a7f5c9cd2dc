//! Passes of a batch on the threads of the pool, each on one thread of libtorch: sums are taken in the order of the passes, so that the number of
//! threads moves no bit.

use std::sync::Mutex;

use illume_core::Result;
use rayon::ThreadPool;
use rayon::prelude::*;
use tch::{Device, Tensor};

use super::Tried;
use super::adapters::Adapters;
use super::rows::Rows;
use super::weights::{Weights, failed};
use super::{forward, staged};

/// Passes on the processor that are made before their gradients are added: bounds how many are in memory.
const WAVE: usize = 8;

/// The next passes that are made at once. A device does one after another anyway: there one at a time is in memory.
fn wave(passes: &mut impl Iterator<Item = Rows>, share: impl Fn(Rows) -> Pass) -> Vec<Pass> {
    let Some(first) = passes.next().map(&share) else {
        return Vec::new();
    };
    let more = match first.weights.device() {
        Device::Cpu => WAVE - 1,
        _ => 0,
    };
    std::iter::once(first).chain(passes.take(more).map(share)).collect()
}

/// What one pass works on; it shares its tensors' memory with the others.
pub(super) struct Pass {
    pub rows: Rows,
    pub weights: Weights,
    pub adapters: Adapters,
    /// What is differentiated.
    pub leaves: Vec<Tensor>,
    /// Adapters' leaves only: so many layers at once.
    pub stage: Option<usize>,
}

/// Calls `work` for every pass with its logits, which gives a value to be differentiated and something else; returns the sum of the gradients, `[leaves, flat]`, and
/// what `work` returned, in the order of the passes.
///
/// # Errors
/// libtorch failed.
pub(super) fn gradients<T: Send>(
    pool: Option<&ThreadPool>,
    passes: Vec<Rows>,
    share: impl Fn(Rows) -> Pass,
    work: impl Fn(&Pass, Tensor) -> Tried<(Tensor, T)> + Sync,
) -> Result<(Option<Tensor>, Vec<T>)> {
    let mut sum: Option<Tensor> = None;
    let mut told = Vec::new();
    let mut passes = passes.into_iter().peekable();
    while passes.peek().is_some() {
        let wave = wave(&mut passes, &share);
        let done = each(pool, wave, |pass| {
            if let Some(layers) = pass.stage {
                return staged::gradient(pass, layers, &work);
            }
            let (value, told) = work(pass, logits(pass)?)?;
            let gradients = Tensor::f_run_backward(&[value], &pass.leaves, false, false)?;
            let flat: Tried<Vec<Tensor>> = gradients.iter().map(|g| g.f_reshape([-1])).collect();
            Ok((Tensor::f_cat(&flat?, 0)?, told))
        });
        for one in done {
            let (gradient, t) = one.map_err(failed)?;
            told.push(t);
            sum = Some(match sum {
                Some(sum) => single_threaded(|| sum.f_add(&gradient)).map_err(failed)?,
                None => gradient,
            });
        }
    }
    Ok((sum, told))
}

/// Calls `work` for every pass with its logits, without differentiating.
///
/// # Errors
/// libtorch failed.
pub(super) fn values<T: Send>(
    pool: Option<&ThreadPool>,
    passes: Vec<Rows>,
    share: impl Fn(Rows) -> Pass,
    work: impl Fn(&Pass, Tensor) -> Tried<T> + Sync,
) -> Result<Vec<T>> {
    let mut told = Vec::new();
    let mut passes = passes.into_iter().peekable();
    while passes.peek().is_some() {
        let wave = wave(&mut passes, &share);
        let done = each(pool, wave, |pass| tch::no_grad(|| work(pass, logits(pass)?)));
        for one in done {
            told.push(one.map_err(failed)?);
        }
    }
    Ok(told)
}

fn logits(pass: &Pass) -> Tried<Tensor> {
    forward::logits(&pass.weights, &pass.adapters, &pass.rows)
}

/// On the threads of `pool`, or of the one that the caller runs in; for a device on the calling thread.
fn each<T: Send>(pool: Option<&ThreadPool>, wave: Vec<Pass>, work: impl Fn(&Pass) -> Tried<T> + Sync) -> Vec<Tried<T>> {
    if wave.iter().any(|pass| pass.weights.device() != Device::Cpu) {
        return wave.iter().map(work).collect();
    }
    let all = || {
        wave.into_par_iter()
            .map(|pass| single_threaded(|| work(&pass)))
            .collect()
    };
    match pool {
        Some(pool) => pool.install(all),
        None => all(),
    }
}

/// Runs `f` with one thread of libtorch, whatever this thread is set to.
pub(super) fn single_threaded<T>(f: impl FnOnce() -> T) -> T {
    // libtorch's setting is partly of the calling thread and partly of the process: it is made by one thread at a time.
    static SETTING: Mutex<()> = Mutex::new(());
    let set = |threads| {
        let _guard = SETTING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        tch::set_num_threads(threads);
    };
    let before = tch::get_num_threads();
    if before != 1 {
        set(1);
    }
    let result = f();
    if before != 1 {
        set(before);
    }
    result
}
