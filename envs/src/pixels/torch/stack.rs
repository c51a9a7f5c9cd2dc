//! Networks of one shape and different weights in one tensor `[capacity, params]`.

use std::ops::Range;

use illume_numerics::convnet::Conv;
#[cfg(test)]
use illume_numerics::convnet::Moments;
use tch::{Device, Kind, TchError, Tensor, no_grad};

use crate::pixels::net::ConvNet;
use crate::pixels::pass::EPSILON;
use crate::pixels::{PIXELS, SIDE, STACK};

pub(super) type Tried<T> = Result<T, TchError>;

/// The resident networks of some slots.
pub(super) struct Stack {
    net: ConvNet,
    device: Device,
    /// `[capacity, params]`.
    genes: Tensor,
    /// Mean and 1 / standard deviation of each hidden layer, `[capacity, outputs]`; empty without virtual batch normalization.
    moments: Vec<[Tensor; 2]>,
    /// `[1, frames, 84, 84, 4]`, pixels from 0 to 1.
    reference: Option<Tensor>,
}

/// Where the moments of a pass come from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// There is no normalization, or what [`Stack::load`] stored.
    Stored,
    /// The images of the pass itself.
    Images,
}

impl Stack {
    pub fn new(net: &ConvNet, capacity: usize, device: Device) -> Tried<Stack> {
        let zeros = |width: usize| Tensor::f_zeros([capacity as i64, width as i64], (Kind::Float, device));
        let mut moments = Vec::new();
        let reference = match &net.reference {
            Some(frames) => {
                let layers = net.convs.iter().map(|c| c.outputs).chain([net.hidden.outputs]);
                for outputs in layers {
                    moments.push([zeros(outputs)?, zeros(outputs)?]);
                }
                Some(pixels(frames, [1, (frames.len() / PIXELS) as i64], device)?)
            }
            None => None,
        };
        Ok(Stack {
            net: net.clone(),
            device,
            genes: zeros(net.params())?,
            moments,
            reference,
        })
    }

    /// Makes `genes` the network of a slot.
    pub fn load(&mut self, slot: usize, genes: &[f32]) -> Tried<()> {
        let _guard = tch::no_grad_guard();
        self.genes.f_get(slot as i64)?.f_copy_(&Tensor::f_from_slice(genes)?)?;
        if let Some(reference) = &self.reference {
            let (_, found) = self.pass(slot..slot + 1, reference, Source::Images)?;
            for (stored, found) in self.moments.iter().zip(found) {
                for (stored, found) in stored.iter().zip(found) {
                    stored.f_get(slot as i64)?.f_copy_(&found.f_flatten(0, -1)?)?;
                }
            }
        }
        Ok(())
    }

    /// Makes the network of one slot that of another, too.
    pub fn copy(&mut self, from: usize, to: usize) -> Tried<()> {
        no_grad(|| {
            for tensor in self.moments.iter().flatten().chain([&self.genes]) {
                tensor.f_get(to as i64)?.f_copy_(&tensor.f_get(from as i64)?)?;
            }
            Ok(())
        })
    }

    /// Logits `[slots, actions]` of the first slots for a stack of frames each, `[slots, 84, 84, 4]`.
    pub fn logits(&self, frames: &[u8], logits: &mut Vec<f32>) -> Tried<()> {
        let slots = frames.len() / PIXELS;
        let _guard = tch::no_grad_guard();
        let images = pixels(frames, [slots as i64, 1], self.device)?;
        let (found, _) = self.pass(0..slots, &images, Source::Stored)?;
        logits.resize(slots * self.net.actions(), 0.0);
        let count = logits.len();
        found.f_to(Device::Cpu)?.f_contiguous()?.f_copy_data(logits, count)
    }

    /// The moments of a slot, for tests.
    #[cfg(test)]
    pub fn moments(&self, slot: usize) -> Vec<Moments> {
        let read = |tensor: &Tensor| Vec::<f32>::try_from(tensor.get(slot as i64)).unwrap();
        let layer = |[mean, inverse]: &[Tensor; 2]| Moments {
            mean: read(mean),
            inverse: read(inverse),
        };
        self.moments.iter().map(layer).collect()
    }

    /// Logits `[slots, images, actions]` of slots for images `[slots, images, 84, 84, 4]`, and the moments used in each hidden layer,
    /// `[slots, 1, outputs]`.
    fn pass(&self, slots: Range<usize>, images: &Tensor, source: Source) -> Tried<(Tensor, Vec<[Tensor; 2]>)> {
        let [n, count] = [slots.len() as i64, images.size()[1]];
        let genes = self.genes.f_narrow(0, slots.start as i64, n)?;
        let mut used = Vec::new();
        let mut x = images.f_flatten(0, 1)?;
        for (l, c) in self.net.convs.iter().enumerate() {
            let patches = patches(&x, c)?.f_view([n, -1, c.terms() as i64])?;
            let sums = self.product(&genes, c.at, &patches, c.outputs)?;
            let bias = bias(&genes, c.genes(), c.outputs)?;
            let side = c.out_side as i64;
            x = self
                .finish(l, &slots, sums, &bias, source, &mut used)?
                .f_view([n * count, side, side, -1])?;
        }
        let h = &self.net.hidden;
        let sums = self.product(&genes, h.at, &x.f_view([n, count, -1])?, h.outputs)?;
        let hidden_bias = bias(&genes, h.genes(), h.outputs)?;
        let units = self.finish(self.net.convs.len(), &slots, sums, &hidden_bias, source, &mut used)?;
        let o = &self.net.output;
        let logits = self.product(&genes, o.at, &units, o.outputs)?;
        Ok((logits.f_add(&bias(&genes, o.genes(), o.outputs)?)?, used))
    }

    /// Rows `[slots, rows, terms]` times each slot's weights `[terms, outputs]`, which begin at gene `at`.
    fn product(&self, genes: &Tensor, at: usize, rows: &Tensor, outputs: usize) -> Tried<Tensor> {
        let [n, _, terms] = rows.size()[..] else {
            return Err(TchError::Shape("rows of a product".into()));
        };
        let outputs = outputs as i64;
        let weights = genes
            .f_narrow(1, at as i64, terms * outputs)?
            .f_view([n, terms, outputs])?;
        if self.device != Device::Cpu {
            return rows.f_bmm(&weights);
        }
        // One by one, so that a slot's bits do not depend on how many others there are.
        let one = |slot: i64| rows.f_get(slot)?.f_mm(&weights.f_get(slot)?);
        Tensor::f_stack(&(0..n).map(one).collect::<Tried<Vec<_>>>()?, 0)
    }

    /// What becomes of the sums `[slots, rows, outputs]` of hidden layer `l`.
    fn finish(
        &self,
        l: usize,
        slots: &Range<usize>,
        sums: Tensor,
        bias: &Tensor,
        source: Source,
        used: &mut Vec<[Tensor; 2]>,
    ) -> Tried<Tensor> {
        let [mean, inverse] = match (source, self.moments.get(l)) {
            (_, None) => return sums.f_add(bias)?.f_relu(),
            (Source::Stored, Some([mean, inverse])) => {
                let of = |t: &Tensor| t.f_narrow(0, slots.start as i64, slots.len() as i64)?.f_unsqueeze(1);
                [of(mean)?, of(inverse)?]
            }
            (Source::Images, Some(_)) => {
                let mean = sums.f_mean_dim(1, true, Kind::Float)?;
                let variance = sums.f_var_dim(1, false, true)?;
                [mean, variance.f_add_scalar(EPSILON)?.f_rsqrt()?]
            }
        };
        let normalized = sums.f_sub(&mean)?.f_mul(&inverse)?;
        used.push([mean, inverse]);
        normalized.f_add(bias)?.f_relu()
    }
}

/// The biases `[slots, 1, outputs]` at the end of a layer's genes.
fn bias(genes: &Tensor, layer: Range<usize>, outputs: usize) -> Tried<Tensor> {
    let first = (layer.end - outputs) as i64;
    genes.f_narrow(1, first, outputs as i64)?.f_unsqueeze(1)
}

/// Images `[a, b, 84, 84, 4]` of frames, pixels from 0 to 1.
fn pixels(frames: &[u8], [a, b]: [i64; 2], device: Device) -> Tried<Tensor> {
    let side = SIDE as i64;
    let frames = Tensor::f_from_slice(frames)?.f_to(device)?;
    let scaled = frames.f_to_kind(Kind::Float)?.f_mul_scalar(1.0 / 255.0)?;
    scaled.f_view([a, b, side, side, STACK as i64])
}

/// The inputs `[images, out_side, out_side, kernel * kernel * inputs]` that each output of a convolution sees.
fn patches(images: &Tensor, c: &Conv) -> Tried<Tensor> {
    let [kernel, stride] = [c.kernel as i64, c.stride as i64];
    let [before, after] = [c.before as i64, (c.padded - c.side - c.before) as i64];
    images
        .f_constant_pad_nd([0, 0, before, after, before, after])?
        .f_unfold(1, kernel, stride)?
        .f_unfold(2, kernel, stride)?
        .f_permute([0, 1, 2, 4, 5, 3])?
        .f_contiguous()
}
