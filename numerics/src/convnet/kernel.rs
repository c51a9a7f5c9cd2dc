//! The passes: convolutions, the hidden layer of one individual and of a batch of frames.
//!
//! A sum has one accumulator and takes its terms in order, fused; so bits do not depend on the width of vectors. A convolution
//! keeps the sums of several neighbouring positions and 16 or 32 channels in registers: a line of weights is loaded once for all of
//! them. The hidden layer of one frame is bound by reading its weights (15.9 MB in the large network): inputs that are 0 after
//! relu, about half of them, have their rows of weights skipped. (Asking for rows ahead gained nothing: rows are long enough for the
//! processor to do that by itself.)

use super::{Conv, Dense, Moments};
use crate::lanes::{LANES, Lanes, tile};
use crate::level::{Level, versions};
use crate::panel::{Columns, First, Lines, Panel};

/// Rows of weights that are added to the sums in one pass over these.
const GROUP: usize = 8;

/// Parts of the hidden layer's inputs.
pub const BLOCKS: usize = 8;

/// Terms of the batched product between two visits to the same sums: a panel of weights that stays in the first-level cache.
const DEPTH: usize = 128;
/// Outputs of its widest panel.
const WIDEST: usize = 2 * LANES;

/// What becomes of a layer's sums: normalization, if there is one, then the bias.
#[derive(Clone, Copy)]
pub struct Finish<'a> {
    /// `[outputs]`.
    pub bias: &'a [f32],
    pub moments: Option<&'a Moments>,
}

impl<'a> Finish<'a> {
    /// Of the layer whose genes (weights and biases) these are.
    pub fn new(genes: &'a [f32], outputs: usize, moments: Option<&'a Moments>) -> Finish<'a> {
        Finish {
            bias: &genes[genes.len() - outputs..],
            moments,
        }
    }
}

/// Arguments of a convolution.
pub struct Convolution<'a> {
    pub conv: Conv,
    /// `[kernel, kernel, inputs, outputs]`.
    pub weights: &'a [f32],
    /// Padded, `[padded, padded, inputs]`.
    pub image: &'a [f32],
    /// None leaves the bare sums.
    pub finish: Option<Finish<'a>>,
    pub out: &'a mut [f32],
    /// Where the outputs of position (0, 0) go, and how far apart rows of the output lie; positions lie `outputs` apart.
    pub first: usize,
    pub pitch: usize,
}

/// The convolution of a shape known when it is compiled, so that every address in its loops is one register and a constant.
#[inline(always)]
unsafe fn shaped<V: Lanes, S: Shape, const R: usize, const C: usize>(mut job: Convolution) {
    let side = job.conv.out_side;
    assert!(side >= R, "positions of a convolution");
    for y in 0..side {
        for x in (0..side).step_by(R) {
            // The last block ends with the row and may repeat a few positions.
            // SAFETY: `versions!` below checks shape and slices; R positions from there on are in the row.
            unsafe { channels::<V, S, R, C>(&mut job, y, x.min(side - R)) };
        }
    }
}

/// All channels of the positions (y, x) to (y, x + R - 1).
#[inline(always)]
unsafe fn channels<V: Lanes, S: Shape, const R: usize, const C: usize>(job: &mut Convolution, y: usize, x: usize) {
    let mut channel = 0;
    while channel < S::OUTPUTS {
        // SAFETY: the caller's; outputs of all shapes are a multiple of C vectors.
        unsafe { positions::<V, S, R, C>(job, y, x, channel) };
        channel += C * LANES;
    }
}

#[inline(always)]
unsafe fn positions<V: Lanes, S: Shape, const R: usize, const C: usize>(
    job: &mut Convolution,
    y: usize,
    x: usize,
    channel: usize,
) {
    let line = S::KERNEL * S::INPUTS;
    let step = S::STRIDE * S::INPUTS;
    // SAFETY: the caller's: the windows of these positions lie in the padded image, the channels in weights and output.
    unsafe {
        let mut acc = [[V::splat(0.0); C]; R];
        for ky in 0..S::KERNEL {
            let above = (y * S::STRIDE + ky) * job.conv.padded * S::INPUTS;
            let from = job.image.as_ptr().add(above + x * step);
            let weights = job.weights.as_ptr().add(ky * line * S::OUTPUTS + channel);
            tile::<V, R, C, 4>(&mut acc, line, (from, step, 1), (weights, S::OUTPUTS));
        }
        let to = job
            .out
            .as_mut_ptr()
            .add(job.first + y * job.pitch + x * S::OUTPUTS + channel);
        for (r, sums) in acc.into_iter().enumerate() {
            for (k, sum) in sums.into_iter().enumerate() {
                let value = match &job.finish {
                    Some(finish) => finished(sum, finish, channel + k * LANES),
                    None => sum,
                };
                value.store(to.add(r * S::OUTPUTS + k * LANES));
            }
        }
    }
}

/// Normalization, bias and relu of the outputs from `first` on.
#[inline(always)]
unsafe fn finished<V: Lanes>(sum: V, finish: &Finish, first: usize) -> V {
    // SAFETY: the caller's: bias and moments are as long as the outputs (`check_finish`), in which a vector from `first` on lies.
    unsafe {
        let bias = V::load(finish.bias.as_ptr().add(first));
        let sum = match finish.moments {
            Some(m) => {
                let centered = sum.sub(V::load(m.mean.as_ptr().add(first)));
                centered.mul(V::load(m.inverse.as_ptr().add(first)))
            }
            None => sum,
        };
        sum.add(bias).relu()
    }
}

fn check_finish(finish: &Option<Finish>, outputs: usize) {
    if let Some(f) = finish {
        assert!(f.bias.len() == outputs, "bias");
        if let Some(m) = f.moments {
            assert!(m.mean.len() == outputs && m.inverse.len() == outputs, "moments");
        }
    }
}

/// What a convolution's loops must know when they are compiled.
trait Shape {
    const KERNEL: usize;
    const STRIDE: usize;
    const INPUTS: usize;
    const OUTPUTS: usize;
}

/// A shape, and the function `name(level, job)` for it; in brackets the positions and vectors of channels whose sums are in registers
/// together, for AVX-512 and for AVX2.
macro_rules! convolution {
    ($name:ident, $body:ident, $shape:ident = $outputs:literal @ $kernel:literal / $stride:literal of $inputs:literal,
     [$r:literal, $c:literal], [$r2:literal, $c2:literal]) => {
        struct $shape;
        impl Shape for $shape {
            const KERNEL: usize = $kernel;
            const STRIDE: usize = $stride;
            const INPUTS: usize = $inputs;
            const OUTPUTS: usize = $outputs;
        }
        #[inline(always)]
        unsafe fn $body<V: Lanes, const R: usize, const C: usize>(job: Convolution) {
            // SAFETY: the function below checks the job first.
            unsafe { shaped::<V, $shape, R, C>(job) }
        }
        versions! {
            pub fn $name(Convolution) = $body, [$r, $c], [$r2, $c2], |job| {
                let c = &job.conv;
                assert!([c.kernel, c.stride, c.inputs, c.outputs] == [$kernel, $stride, $inputs, $outputs]);
                assert!(job.weights.len() >= c.terms() * c.outputs, "weights of a convolution");
                assert!(c.padded >= (c.out_side - 1) * c.stride + c.kernel);
                assert!(job.image.len() >= c.padded * c.padded * c.inputs, "image");
                let row = (c.out_side - 1) * job.pitch + c.out_side * c.outputs;
                assert!(job.out.len() >= job.first + row, "output");
                check_finish(&job.finish, c.outputs);
            }
        }
    };
}

convolution!(large_1, large_1_body, Large1 = 32 @ 8 / 4 of 4, [7, 2], [6, 1]);
convolution!(large_2, large_2_body, Large2 = 64 @ 4 / 2 of 32, [11, 2], [6, 1]);
convolution!(large_3, large_3_body, Large3 = 64 @ 3 / 1 of 64, [11, 2], [6, 1]);
convolution!(small_1, small_1_body, Small1 = 16 @ 8 / 4 of 4, [21, 1], [6, 1]);
convolution!(small_2, small_2_body, Small2 = 32 @ 4 / 2 of 16, [11, 2], [6, 1]);

/// A convolution of one of the networks'.
///
/// # Panics
/// Another shape, or slices that do not fit.
pub fn convolve(level: Level, job: Convolution) {
    match (job.conv.kernel, job.conv.outputs) {
        (8, 32) => large_1(level, job),
        (4, 64) => large_2(level, job),
        (3, _) => large_3(level, job),
        (8, _) => small_1(level, job),
        _ => small_2(level, job),
    }
}

/// Arguments of the hidden layer for one frame.
pub struct Product<'a> {
    pub dense: Dense,
    /// `[inputs, outputs]`.
    pub weights: &'a [f32],
    /// `[inputs]`.
    pub input: &'a [f32],
    /// Numbers of a block's inputs that are not 0, `[inputs]` long: written here.
    pub active: &'a mut [u32],
    /// Sums of each block of inputs, `[BLOCKS, outputs]`: written here.
    pub parts: &'a mut [f32],
    /// Whether the last block comes first.
    pub reversed: bool,
    pub finish: Finish<'a>,
    /// `[outputs]`.
    pub out: &'a mut [f32],
}

#[inline(always)]
unsafe fn multiply_body<V: Lanes, const R: usize, const C: usize>(job: Product) {
    let Dense { inputs, outputs, .. } = job.dense;
    let size = inputs.div_ceil(BLOCKS);
    for turn in 0..BLOCKS {
        let block = if job.reversed { BLOCKS - 1 - turn } else { turn };
        let range = (block * size).min(inputs)..((block + 1) * size).min(inputs);
        let mut count = 0;
        for i in range {
            // SAFETY: `multiply` has checked that both have a place for each input; count is at most the inputs seen.
            unsafe {
                *job.active.get_unchecked_mut(count) = i as u32;
                count += usize::from(*job.input.get_unchecked(i) != 0.0);
            }
        }
        let sums = &mut job.parts[block * outputs..][..outputs];
        sums.fill(0.0);
        // SAFETY: the active inputs are below `inputs`, and weights are `[inputs, outputs]`, outputs a multiple of a vector (`multiply`).
        unsafe { add_rows::<V>(job.weights, job.input, &job.active[..count], sums) };
    }
    for o in (0..outputs).step_by(LANES) {
        // SAFETY: `multiply` has checked that parts, finish and output are as long as the outputs ask.
        unsafe {
            let part = |block: usize| V::load(job.parts.as_ptr().add(block * outputs + o));
            let mut sum = part(0);
            for block in 1..BLOCKS {
                sum = sum.add(part(block));
            }
            finished(sum, &job.finish, o).store(job.out.as_mut_ptr().add(o));
        }
    }
}

/// Adds to `sums` `[outputs]` the rows of weights of `active` inputs, each times its input, in order.
#[inline(always)]
unsafe fn add_rows<V: Lanes>(weights: &[f32], input: &[f32], active: &[u32], sums: &mut [f32]) {
    let outputs = sums.len();
    let (weights, sums) = (weights.as_ptr(), sums.as_mut_ptr());
    let mut at = 0;
    // SAFETY: the caller's: `active` are numbers of inputs and of rows of weights, which are as long as `sums`.
    unsafe {
        while at + GROUP <= active.len() {
            let mut rows = [weights; GROUP];
            let mut factors = [V::splat(0.0); GROUP];
            for g in 0..GROUP {
                let i = active[at + g] as usize;
                rows[g] = weights.add(i * outputs);
                factors[g] = V::splat(*input.get_unchecked(i));
            }
            for o in (0..outputs).step_by(LANES) {
                let mut sum = V::load(sums.add(o));
                for g in 0..GROUP {
                    sum = factors[g].mul_add(V::load(rows[g].add(o)), sum);
                }
                sum.store(sums.add(o));
            }
            at += GROUP;
        }
        for &i in &active[at..] {
            let factor = V::splat(*input.get_unchecked(i as usize));
            let row = weights.add(i as usize * outputs);
            for o in (0..outputs).step_by(LANES) {
                factor
                    .mul_add(V::load(row.add(o)), V::load(sums.add(o)))
                    .store(sums.add(o));
            }
        }
    }
}

versions! {
    /// Adds the rows of weights of the inputs that are not 0, each times its input. A weight that is not finite counts only if its
    /// input is not 0.
    ///
    /// Inputs are divided into [`BLOCKS`] with sums of their own, which are added in order at the end: the blocks' own order has no
    /// effect, and whoever alternates it finds a part of the weights in the cache from the last time.
    pub fn multiply(Product) = multiply_body, [1, 1], [1, 1], |job| {
        let d = &job.dense;
        assert!(d.outputs.is_multiple_of(LANES));
        assert!(job.weights.len() >= d.inputs * d.outputs, "weights of a dense layer");
        assert!(job.input.len() == d.inputs && job.active.len() >= d.inputs && job.out.len() == d.outputs);
        assert!(job.parts.len() >= BLOCKS * d.outputs);
        check_finish(&Some(job.finish), d.outputs);
    }
}

/// Arguments of the hidden layer for several frames at once.
pub struct Batch<'a> {
    pub dense: Dense,
    /// `[inputs, outputs]`.
    pub weights: &'a [f32],
    /// `[frames, inputs]`.
    pub input: &'a [f32],
    /// `[frames, outputs]`, the bare sums.
    pub out: &'a mut [f32],
}

#[inline(always)]
unsafe fn multiply_batch_body<V: Lanes, const R: usize, const C: usize>(job: Batch) {
    let Dense { inputs, outputs, .. } = job.dense;
    let frames = job.out.len() / outputs;
    let width = C * LANES;
    // In place, lines of a panel would lie so far apart that they throw one another out of the first-level cache.
    let mut lines = [0.0f32; DEPTH * WIDEST];
    job.out.fill(0.0);
    for k in (0..inputs).step_by(DEPTH) {
        let depth = DEPTH.min(inputs - k);
        for o in (0..outputs).step_by(width) {
            for (line, row) in lines
                .chunks_exact_mut(width)
                .zip(job.weights[k * outputs..].chunks_exact(outputs))
            {
                line.copy_from_slice(&row[o..o + width]);
            }
            let mut panel = Panel {
                terms: depth,
                x: (&job.input[k..], inputs),
                w: Lines::new(&lines, width),
                more: 0,
                z: (&[], 0),
                u: Lines::NONE,
                first: First::Output,
                y: Columns::new(&mut job.out[o..], frames, outputs, width),
            };
            panel.check();
            // SAFETY: the level's instructions are there, and the panel has just been checked.
            unsafe { panel.multiply::<V, R, C>() };
        }
    }
}

versions! {
    /// The product of the weights with several frames' inputs: the sums of [`multiply`] in another order.
    pub fn multiply_batch(Batch) = multiply_batch_body, [8, 2], [6, 1], |job| {
        let d = &job.dense;
        assert!(d.outputs.is_multiple_of(WIDEST));
        assert!(job.weights.len() >= d.inputs * d.outputs, "weights of a dense layer");
        assert!(job.out.len().is_multiple_of(d.outputs) && job.input.len() == job.out.len() / d.outputs * d.inputs);
    }
}

/// Arguments of the passes over a layer's sums for many frames.
pub struct Sums<'a> {
    /// `[positions, outputs]`.
    sums: &'a [f32],
    outputs: usize,
}

impl<'a> Sums<'a> {
    pub fn new(sums: &'a [f32], outputs: usize) -> Sums<'a> {
        Sums { sums, outputs }
    }
}

#[inline(always)]
unsafe fn finish_body<V: Lanes, const R: usize, const C: usize>((from, finish, out): (Sums, Finish, &mut [f32])) {
    for position in (0..from.sums.len()).step_by(from.outputs) {
        for o in (0..from.outputs).step_by(LANES) {
            // SAFETY: `finish` has checked that sums and output are whole positions of whole vectors.
            unsafe {
                let sum = V::load(from.sums.as_ptr().add(position + o));
                finished(sum, &finish, o).store(out.as_mut_ptr().add(position + o));
            }
        }
    }
}

#[inline(always)]
unsafe fn deviations_body<V: Lanes, const R: usize, const C: usize>(
    (from, center, total, squares): (Sums, &[f32], &mut [f32], &mut [f32]),
) {
    for o in (0..from.outputs).step_by(LANES) {
        // SAFETY: `deviations` has checked that sums are whole positions of whole vectors, and the lengths of the others.
        unsafe {
            let center = V::load(center.as_ptr().add(o));
            let [mut sum, mut square] = [V::splat(0.0); 2];
            for position in (0..from.sums.len()).step_by(from.outputs) {
                let deviation = V::load(from.sums.as_ptr().add(position + o)).sub(center);
                sum = sum.add(deviation);
                square = deviation.mul_add(deviation, square);
            }
            sum.store(total.as_mut_ptr().add(o));
            square.store(squares.as_mut_ptr().add(o));
        }
    }
}

versions! {
    /// Normalization, bias and relu of sums that were left bare.
    pub fn finish((Sums<'_>, Finish<'_>, &mut [f32])) = finish_body, [1, 1], [1, 1], |job| {
        let (from, finish, out) = job;
        assert!(from.outputs.is_multiple_of(LANES) && from.sums.len().is_multiple_of(from.outputs));
        assert!(out.len() == from.sums.len());
        check_finish(&Some(*finish), from.outputs);
    }
}
versions! {
    /// Sums over the positions of each output's deviation from `center` `[outputs]`, and of its square.
    pub fn deviations((Sums<'_>, &[f32], &mut [f32], &mut [f32])) = deviations_body, [1, 1], [1, 1], |job| {
        let (from, center, total, squares) = job;
        assert!(from.outputs.is_multiple_of(LANES) && from.sums.len().is_multiple_of(from.outputs));
        assert!([center.len(), total.len(), squares.len()] == [from.outputs; 3]);
    }
}
