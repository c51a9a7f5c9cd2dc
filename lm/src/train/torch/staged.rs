//! The gradient of adapters some layers at a time, for devices: what a layer's backward pass needs is made again when its turn comes, so that it is in memory
//! for a stage of the layers and no longer ('Training deep nets with sublinear memory cost', Chen et al. 2016, <https://arxiv.org/abs/1604.06174>). The last
//! stage's is made once.

use tch::{Kind, Tensor, no_grad};

use super::parallel::Pass;
use super::{Tried, forward};

/// The gradient of the value that `work` makes of the logits, `[leaves, flat]`, and what it told.
pub(super) fn gradient<T>(
    pass: &Pass,
    layers: usize,
    work: impl FnOnce(&Pass, Tensor) -> Tried<(Tensor, T)>,
) -> Tried<(Tensor, T)> {
    let Pass {
        weights,
        adapters,
        rows,
        ..
    } = pass;
    let rope = forward::Rope::new(weights, rows.length)?;
    let count = weights.layers.len();
    let lowest = adapters.lowest();
    let stage =
        |first: usize, x: &Tensor| forward::layers(weights, adapters, &rope, first..(first + layers).min(count), x);
    // What stages take, the first one first.
    let mut entries = vec![(0, no_grad(|| forward::embedded(weights, rows))?)];
    for first in (layers..count).step_by(layers) {
        let (before, x) = &entries[entries.len() - 1];
        let next = no_grad(|| stage(*before, x))?;
        entries.push((first, next));
    }
    for leaf in &pass.leaves {
        let mut before = leaf.f_grad()?;
        if before.defined() {
            let _ = before.f_zero_()?;
        }
    }
    // Of what a stage takes the slope is asked for while an adapter is below.
    let taken = |(first, x): (usize, Tensor)| -> Tried<(usize, Tensor, Tensor)> {
        let x = x.f_detach()?.f_set_requires_grad(first > lowest)?;
        let out = stage(first, &x)?;
        Ok((first, x, out))
    };
    let (mut first, mut x, mut out) = taken(entries.pop().expect("there is a last stage"))?;
    let (mut slope, told) = of_logits(pass, &out.f_detach()?, work)?;
    loop {
        product(&out, &slope)?.f_backward()?;
        if first <= lowest {
            break;
        }
        slope = x.f_grad()?;
        (first, x, out) = taken(entries.pop().expect("the first stage begins at layer 0"))?;
    }
    let flat = pass.leaves.iter().map(|leaf| {
        let gradient = leaf.f_grad()?;
        match gradient.defined() {
            true => gradient.f_reshape([-1]),
            false => leaf.detach().f_zeros_like()?.f_reshape([-1]),
        }
    });
    let flat: Tried<Vec<Tensor>> = flat.collect();
    Ok((Tensor::f_cat(&flat?, 0)?, told))
}

/// The slope of what `work` makes of the logits at the last layer's `x`, and what it told.
fn of_logits<T>(pass: &Pass, x: &Tensor, work: impl FnOnce(&Pass, Tensor) -> Tried<(Tensor, T)>) -> Tried<(Tensor, T)> {
    let x = x.f_set_requires_grad(true)?;
    let last = forward::last(&pass.weights, &pass.rows, &x)?;
    let logits = no_grad(|| forward::head(&pass.weights, &last))?.f_set_requires_grad(true)?;
    let (value, told) = work(pass, logits.shallow_clone())?;
    value.f_backward()?;
    let slope = no_grad(|| forward::head_back(&pass.weights, &logits.f_grad()?))?;
    product(&last, &slope)?.f_backward()?;
    Ok((x.f_grad()?, told))
}

/// What has the slope `slope` at `x`.
fn product(x: &Tensor, slope: &Tensor) -> Tried<Tensor> {
    x.f_mul(slope)?.f_sum(Kind::Float)
}
