//! AdamW as in `train/adam.rs`, by libtorch.

use tch::{Device, Kind, Tensor, no_grad};

use super::super::adam::{BETA1, EPSILON};
use super::Tried;

/// Parameters and moments. What is trained are views of `values`.
#[derive(Debug)]
pub(super) struct Adam {
    values: Tensor,
    mean: Tensor,
    square: Tensor,
    /// 1 where weights decay: in matrices.
    decays: Tensor,
    shapes: Vec<Vec<i64>>,
    beta2: f64,
    steps: i32,
}

impl Adam {
    /// Starts from copies of `tensors`.
    pub fn new(tensors: &[Tensor], beta2: f64, device: Device) -> Tried<Adam> {
        let shapes: Vec<Vec<i64>> = tensors.iter().map(Tensor::size).collect();
        let flat = |t: &Tensor| t.detach().f_to_device(device)?.f_to_kind(Kind::Float)?.f_reshape([-1]);
        let flats: Tried<Vec<Tensor>> = tensors.iter().map(flat).collect();
        let marks: Tried<Vec<Tensor>> = tensors
            .iter()
            .map(|t| {
                let mark = if t.dim() >= 2 { 1.0 } else { 0.0 };
                Tensor::f_full([t.numel() as i64], mark, (Kind::Float, device))
            })
            .collect();
        let values = Tensor::f_cat(&flats?, 0)?;
        Ok(Adam {
            mean: values.f_zeros_like()?,
            square: values.f_zeros_like()?,
            decays: Tensor::f_cat(&marks?, 0)?,
            values,
            shapes,
            beta2,
            steps: 0,
        })
    }

    /// The parameters in their shapes, to be differentiated: the memory that [`Adam::step`] changes.
    pub fn leaves(&self) -> Tried<Vec<Tensor>> {
        let mut from = 0;
        let leaf = |shape: &Vec<i64>| {
            let count: i64 = shape.iter().product();
            let view = self.values.f_narrow(0, from, count)?.f_view(shape.as_slice())?;
            from += count;
            view.f_detach()?.f_set_requires_grad(true)
        };
        self.shapes.iter().map(leaf).collect()
    }

    /// One step down `gradient`, `[parameters]`, which is scaled to the norm `clip` if it is longer. Returns its norm.
    pub fn step(&mut self, gradient: &Tensor, rate: f64, decay: f64, clip: f64) -> Tried<f64> {
        no_grad(|| {
            let norm = gradient.f_to_kind(Kind::Double)?.f_norm()?.f_double_value(&[])?;
            if !norm.is_finite() {
                return Ok(norm);
            }
            let scaled = if norm > clip {
                gradient.f_mul_scalar(clip / norm)?
            } else {
                gradient.shallow_clone()
            };
            self.steps += 1;
            let correction1 = 1.0 - BETA1.powi(self.steps);
            let correction2 = 1.0 - self.beta2.powi(self.steps);
            let _ = self
                .mean
                .f_mul_scalar_(BETA1)?
                .f_add_(&scaled.f_mul_scalar(1.0 - BETA1)?)?;
            let square = scaled.f_square()?.f_mul_scalar(1.0 - self.beta2)?;
            let _ = self.square.f_mul_scalar_(self.beta2)?.f_add_(&square)?;
            let root = self.square.f_div_scalar(correction2)?.f_sqrt()?.f_add_scalar(EPSILON)?;
            if decay > 0.0 {
                let shrink = self.decays.f_mul_scalar(-rate * decay)?.f_add_scalar(1.0)?;
                let _ = self.values.f_mul_(&shrink)?;
            }
            let step = self.mean.f_div(&root)?.f_mul_scalar(-rate / correction1)?;
            let _ = self.values.f_add_(&step)?;
            Ok(norm)
        })
    }
}
