//! One pass through a [`ConvNet`], and the statistics of virtual batch normalization.

use illume_numerics::{Level, simd_dispatch};

use illume_numerics::convnet::{
    Batch, Conv, Convolution, Finish, Moments, Product, Sums, convolve, deviations, finish, multiply, multiply_batch,
};

use super::net::{ConvNet, ConvScratch};
use super::{PIXELS, SIDE, STACK};

/// Added to a variance before its root is taken (the original's `1e-3`).
pub(super) const EPSILON: f64 = 1e-3;

/// The logits of a stack of frames.
pub(super) fn forward(net: &ConvNet, genes: &[f32], frames: &[u8], scratch: &mut ConvScratch, logits: &mut [f32]) {
    read(&net.convs[0], frames, &mut scratch.images[0]);
    for l in 0..net.convs.len() {
        convolution(net, l, genes, scratch);
    }
    hidden(net, genes, scratch);
    output(&genes[net.output.genes()], &scratch.units, logits);
}

/// Convolution `l`, from its image to that of the next, or to the hidden layer's inputs.
pub(super) fn convolution(net: &ConvNet, l: usize, genes: &[f32], scratch: &mut ConvScratch) {
    let c = &net.convs[l];
    let (before, after) = scratch.images.split_at_mut(l + 1);
    let (out, first, pitch) = match (net.convs.get(l + 1), after.first_mut()) {
        (Some(next), Some(image)) => (image, next.inside(), next.padded * next.inputs),
        _ => (&mut scratch.flat, 0, c.out_side * c.outputs),
    };
    let job = Convolution {
        conv: *c,
        weights: &genes[c.genes()],
        image: &before[l],
        finish: Some(Finish::new(&genes[c.genes()], c.outputs, scratch.moments.get(l))),
        out,
        first,
        pitch,
    };
    convolve(net.level, job);
}

/// The hidden layer's units.
pub(super) fn hidden(net: &ConvNet, genes: &[f32], scratch: &mut ConvScratch) {
    let h = &net.hidden;
    let job = Product {
        dense: *h,
        weights: &genes[h.genes()],
        input: &scratch.flat,
        active: &mut scratch.active,
        parts: &mut scratch.parts,
        reversed: scratch.reversed,
        finish: Finish::new(&genes[h.genes()], h.outputs, scratch.moments.get(net.convs.len())),
        out: &mut scratch.units,
    };
    multiply(net.level, job);
    scratch.reversed = !scratch.reversed;
}

/// Writes pixels as numbers from 0 to 1 into the middle of the first convolution's image.
pub(super) fn read(c: &Conv, frames: &[u8], image: &mut [f32]) {
    simd_dispatch!(fn [](c: &Conv, frames: &[u8], image: &mut [f32]) { read_body(c, frames, image) })
}

#[inline(always)]
fn read_body(c: &Conv, frames: &[u8], image: &mut [f32]) {
    for y in 0..SIDE {
        let to = &mut image[c.inside() + y * c.padded * STACK..][..SIDE * STACK];
        for (value, pixel) in to.iter_mut().zip(&frames[y * SIDE * STACK..][..SIDE * STACK]) {
            *value = f32::from(*pixel) * (1.0 / 255.0);
        }
    }
}

/// The output layer: few columns, so no row of them fills a vector.
pub(super) fn output(genes: &[f32], units: &[f32], logits: &mut [f32]) {
    simd_dispatch!(fn [](genes: &[f32], units: &[f32], logits: &mut [f32]) { output_body(genes, units, logits) })
}

#[inline(always)]
fn output_body(genes: &[f32], units: &[f32], logits: &mut [f32]) {
    let (weights, bias) = genes.split_at(units.len() * logits.len());
    logits.fill(0.0);
    for (unit, row) in units.iter().zip(weights.chunks_exact(logits.len())) {
        for (sum, w) in logits.iter_mut().zip(row) {
            *sum = unit.mul_add(*w, *sum);
        }
    }
    for (sum, b) in logits.iter_mut().zip(bias) {
        *sum += b;
    }
}

/// The moments of every hidden layer's sums over all positions and reference frames, one layer after the other: a layer's inputs
/// are normalized by the moments of those before it.
pub(super) fn statistics(net: &ConvNet, genes: &[f32], reference: &[u8], scratch: &mut ConvScratch) {
    let frames = reference.len() / PIXELS;
    let [mut before, mut sums] = std::mem::take(&mut scratch.batch);
    for (l, c) in net.convs.iter().enumerate() {
        std::mem::swap(&mut before, &mut sums);
        sums.resize(frames * c.values(), 0.0);
        for (f, out) in sums.chunks_exact_mut(c.values()).enumerate() {
            let image = &mut scratch.images[l];
            match l.checked_sub(1).map(|l| &net.convs[l]) {
                None => read(c, &reference[f * PIXELS..][..PIXELS], image),
                Some(last) => {
                    let width = c.side * c.inputs;
                    let ready = Finish::new(&genes[last.genes()], last.outputs, scratch.moments.last());
                    for (y, row) in before[f * last.values()..][..last.values()]
                        .chunks_exact(width)
                        .enumerate()
                    {
                        let to = &mut image[c.inside() + y * c.padded * c.inputs..][..width];
                        finish(net.level, (Sums::new(row, last.outputs), ready, to));
                    }
                }
            }
            let job = Convolution {
                conv: *c,
                weights: &genes[c.genes()],
                image,
                finish: None,
                out,
                first: 0,
                pitch: c.out_side * c.outputs,
            };
            convolve(net.level, job);
        }
        scratch.moments.push(moments(net.level, &sums, frames, c.outputs));
    }
    let (h, last) = (&net.hidden, &net.convs[net.convs.len() - 1]);
    let ready = Finish::new(&genes[last.genes()], last.outputs, scratch.moments.last());
    before.resize(sums.len(), 0.0);
    finish(net.level, (Sums::new(&sums, last.outputs), ready, &mut before));
    sums.resize(frames * h.outputs, 0.0);
    let job = Batch {
        dense: *h,
        weights: &genes[h.genes()],
        input: &before,
        out: &mut sums,
    };
    multiply_batch(net.level, job);
    scratch.moments.push(moments(net.level, &sums, frames, h.outputs));
    scratch.batch = [before, sums];
}

/// Moments of `[frames, positions, outputs]` sums over frames and positions: within a frame in single precision, over frames in double.
fn moments(level: Level, sums: &[f32], frames: usize, outputs: usize) -> Moments {
    let count = (sums.len() / outputs) as f64;
    let mut mean = vec![0.0f32; outputs];
    let [mut total, mut squares] = [vec![0.0f32; outputs], vec![0.0f32; outputs]];
    let mut inverse = vec![0.0; outputs];
    // The first round finds the mean, the second the squared deviations from it.
    for round in 0..2 {
        let mut sum = vec![0.0f64; outputs];
        for frame in sums.chunks_exact(sums.len() / frames) {
            deviations(level, (Sums::new(frame, outputs), &mean, &mut total, &mut squares));
            for (sum, part) in sum.iter_mut().zip(if round == 0 { &total } else { &squares }) {
                *sum += f64::from(*part);
            }
        }
        for (o, sum) in sum.into_iter().enumerate() {
            if round == 0 {
                mean[o] = (sum / count) as f32;
            } else {
                inverse[o] = (1.0 / (sum / count + EPSILON).sqrt()) as f32;
            }
        }
    }
    Moments { mean, inverse }
}
