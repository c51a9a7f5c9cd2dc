//! The passes over a layer: forward, backward, and the gradient of its weights with Adam's step on them.
//!
//! A sum has one accumulator and takes its terms in order, fused; so bits depend neither on the number of threads, nor on how
//! the work is cut, nor on the width of vectors. `cargo bench -p illume-strategies --bench learn` measures these passes.
//!
//! Weights lie in panels of 32 outputs `[inputs, 32]` with the bias as last row, activations in strips of ten rows: a product's
//! inner loop keeps 10 x 32 sums in registers and reads one line of a panel and ten numbers, so that a processor with two
//! multiply-adds a cycle is kept busy.

use crate::math::tanh_in_place;

use super::adam::{Gradient, Learned};
use super::packed::{Act, Layer, PANEL, STRIP, Slot, within};
use crate::lanes::{LANES, Lanes, tile};
use crate::level::versions;

/// Arguments of [`forward`].
pub(crate) struct Forward<'a> {
    pub layer: Layer,
    pub params: &'a [f32],
    /// Whole strips of `strip` numbers, in which the layer reads the slot `from` and writes `to`.
    pub tape: &'a mut [f32],
    pub strip: usize,
    pub from: Slot,
    pub to: Slot,
    pub act: Act,
}

/// Arguments of [`backward`].
pub(crate) struct Backward<'a> {
    pub layer: Layer,
    /// The transposed weights, as [`turn`] leaves them.
    pub turned: &'a [f32],
    /// As for [`Forward`]; `from` are derivatives by the layer's sums, `to` those by its inputs, times the derivative of `act`
    /// where the inputs `by` came out of it. `to` may be `by`.
    pub tape: &'a mut [f32],
    pub strip: usize,
    pub from: Slot,
    pub to: Slot,
    pub by: Slot,
    pub act: Act,
}

/// Arguments of [`update`].
pub(crate) struct Update<'a> {
    pub layer: Layer,
    /// Which panel of the layer.
    pub panel: usize,
    /// The panel's.
    pub learned: Learned<'a>,
    pub gradient: Gradient<'a>,
}

#[inline(always)]
unsafe fn forward_body<V: Lanes, const R: usize, const C: usize>(job: Forward) {
    let layer = job.layer;
    let tape = job.tape.as_mut_ptr();
    // SAFETY: `forward` has checked that the slots of all rows lie in their strips, and that `params` is a whole layer.
    unsafe {
        for j in 0..layer.panels() {
            let width = layer.width(j);
            let panel = job.params.as_ptr().add(layer.panel_at(j));
            for s in (0..job.tape.len()).step_by(job.strip) {
                for r in (0..STRIP).step_by(R) {
                    let from = tape.add(s + job.from.at + r * job.from.ld);
                    let to = tape.add(s + job.to.at + r * job.to.ld + j * PANEL);
                    let mut c = 0;
                    while c + C * LANES <= width {
                        forward_block::<V, R, C>(&job, from, panel.add(c), width, to.add(c));
                        c += C * LANES;
                    }
                    if c < width {
                        forward_block::<V, R, 1>(&job, from, panel.add(c), width, to.add(c));
                    }
                }
            }
        }
    }
    if job.act == Act::Tanh {
        for strip in job.tape.chunks_exact_mut(job.strip) {
            for row in strip[job.to.at..].chunks_mut(job.to.ld).take(STRIP) {
                tanh_in_place(&mut row[..layer.columns()]);
            }
        }
    }
}

#[inline(always)]
unsafe fn forward_block<V: Lanes, const R: usize, const C: usize>(
    job: &Forward,
    from: *const f32,
    panel: *const f32,
    width: usize,
    to: *mut f32,
) {
    // SAFETY: the caller's: R rows of inputs and of outputs, a panel whose columns from there on are C vectors.
    unsafe {
        let mut acc = [[V::splat(0.0); C]; R];
        for c in 0..C {
            let bias = V::load(panel.add(job.layer.rows() * width + c * LANES));
            for sums in &mut acc {
                sums[c] = bias;
            }
        }
        tile::<V, R, C, 4>(&mut acc, job.layer.inputs, (from, job.from.ld, 1), (panel, width));
        for (r, sums) in acc.into_iter().enumerate() {
            for (c, mut sum) in sums.into_iter().enumerate() {
                if job.act == Act::Relu {
                    sum = sum.relu();
                }
                sum.store(to.add(r * job.to.ld + c * LANES));
            }
        }
    }
}

#[inline(always)]
unsafe fn backward_body<V: Lanes, const R: usize, const C: usize>(job: Backward) {
    let layer = job.layer;
    let tape = job.tape.as_mut_ptr();
    // SAFETY: `backward` has checked that the slots of all rows lie in their strips, and that `turned` is a whole layer.
    unsafe {
        for i in (0..layer.turned_rows()).step_by(PANEL) {
            let width = PANEL.min(layer.turned_rows() - i);
            for s in (0..job.tape.len()).step_by(job.strip) {
                for r in (0..STRIP).step_by(R) {
                    let from = tape.add(s + job.from.at + r * job.from.ld);
                    let [to, by] = [job.to, job.by].map(|slot| tape.add(s + slot.at + r * slot.ld + i));
                    let mut c = 0;
                    while c + C * LANES <= width {
                        backward_block::<V, R, C>(&job, from, (i, width, c), to.add(c), by.add(c));
                        c += C * LANES;
                    }
                    if c < width {
                        backward_block::<V, R, 1>(&job, from, (i, width, c), to.add(c), by.add(c));
                    }
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn backward_block<V: Lanes, const R: usize, const C: usize>(
    job: &Backward,
    from: *const f32,
    (i, width, c): (usize, usize, usize),
    to: *mut f32,
    by: *const f32,
) {
    // SAFETY: the caller's: R rows of derivatives and of activations, a panel whose columns from there on are C vectors.
    unsafe {
        let mut acc = [[V::splat(0.0); C]; R];
        let panel = job.turned.as_ptr().add(job.layer.turned_at(i) + c);
        tile::<V, R, C, 4>(&mut acc, job.layer.outputs, (from, job.from.ld, 1), (panel, width));
        for (r, sums) in acc.into_iter().enumerate() {
            for (c, sum) in sums.into_iter().enumerate() {
                let value = V::load(by.add(r * job.by.ld + c * LANES));
                let sum = match job.act {
                    Act::Relu => sum.gate(value),
                    Act::Tanh => sum.mul(value.neg_mul_add(value, V::splat(1.0))),
                    Act::Linear => sum,
                };
                sum.store(to.add(r * job.to.ld + c * LANES));
            }
        }
    }
}

#[inline(always)]
unsafe fn update_body<V: Lanes, const R: usize, const C: usize>(mut job: Update) {
    let width = job.layer.width(job.panel);
    // SAFETY: `update` has checked that parameters and moments are a whole panel, and that the slots of all rows lie in their strips.
    unsafe {
        let mut c = 0;
        while c + C * LANES <= width {
            update_column::<V, R, C>(&mut job, width, c);
            c += C * LANES;
        }
        if c < width {
            update_column::<V, R, 1>(&mut job, width, c);
        }
    }
}

#[inline(always)]
unsafe fn update_column<V: Lanes, const R: usize, const C: usize>(job: &mut Update, width: usize, c: usize) {
    let learned = &mut job.learned;
    let [p, m, v] = [&mut learned.params, &mut learned.first, &mut learned.second].map(|x| x.as_mut_ptr());
    let by = job.gradient;
    let tape = by.tape.as_ptr();
    let delta = by.delta.at + job.panel * PANEL + c;
    let strips = by.rows.div_ceil(STRIP);
    // SAFETY: as in `update_body`; the columns from c on are C vectors of the panel, and rows of weights come in blocks of R.
    unsafe {
        for i in (0..job.layer.rows()).step_by(R) {
            // Adam will need these lines when the sums are done.
            for line in 0..R * C {
                let at = (i + line / C) * width + c + line % C * LANES;
                for x in [p, m, v] {
                    V::prefetch(x.add(at));
                }
            }
            let mut acc = [[V::splat(0.0); C]; R];
            for s in 0..strips {
                let n = STRIP.min(by.rows - s * STRIP);
                let strip = tape.add(s * by.strip);
                let (from, delta) = (strip.add(by.from.at + i), strip.add(delta));
                tile::<V, R, C, 5>(&mut acc, n, (from, 1, by.from.ld), (delta, by.delta.ld));
            }
            for (r, sums) in acc.into_iter().enumerate() {
                for (k, sum) in sums.into_iter().enumerate() {
                    let at = (i + r) * width + c + k * LANES;
                    by.adam.step(sum, p.add(at), m.add(at), v.add(at));
                }
            }
        }
        // The bias: its input is 1 everywhere.
        let mut acc = [V::splat(0.0); C];
        for row in 0..by.rows {
            let from = tape.add(row / STRIP * by.strip + row % STRIP * by.delta.ld + delta);
            for (k, sum) in acc.iter_mut().enumerate() {
                *sum = sum.add(V::load(from.add(k * LANES)));
            }
        }
        for (k, sum) in acc.into_iter().enumerate() {
            let at = job.layer.rows() * width + c + k * LANES;
            by.adam.step(sum, p.add(at), m.add(at), v.add(at));
        }
    }
}

/// Arguments of [`turn`].
pub(crate) struct Turn<'a> {
    pub layer: Layer,
    /// Parameters that begin with a panel of the layer, whose inputs begin with its row `row`.
    pub params: &'a [f32],
    pub row: usize,
    /// Numbers from one panel to the next of full width.
    pub stride: usize,
    /// The transposed panels that begin with input `first`.
    pub turned: &'a mut [f32],
    pub first: usize,
}

#[inline(always)]
unsafe fn turn_body<V: Lanes, const R: usize, const C: usize>(job: Turn) {
    let layer = job.layer;
    let end = job.first + job.turned.len() / layer.columns();
    for i in (job.first..end).step_by(LANES) {
        for o in (0..layer.columns()).step_by(LANES) {
            let (j, block) = (o / PANEL, i / PANEL * PANEL);
            let [width, across] = [layer.width(j), PANEL.min(layer.turned_rows() - block)];
            let from = j * job.stride + (job.row + i) * width + o % PANEL;
            let to = layer.turned_at(block) - layer.turned_at(job.first) + o * across + i - block;
            let rows = LANES.min(layer.inputs - i);
            // SAFETY: `turn` has checked that rows and columns of the panels lie in both slices; `rows` keeps to the inputs that there are.
            unsafe {
                V::turn(
                    job.params.as_ptr().add(from),
                    width,
                    rows,
                    job.turned.as_mut_ptr().add(to),
                    across,
                )
            };
        }
    }
}

versions! {
    /// `to = act(from * weights + bias)`.
    pub(crate) fn forward(Forward<'_>) = forward_body, [10, 2], [5, 1], |job| {
        assert_eq!(job.params.len(), job.layer.len());
        within(job.tape, job.strip, &[(job.from, job.layer.inputs), (job.to, job.layer.columns())]);
    }
}

versions! {
    /// `to = (from * transposed weights) act'(by)`.
    pub(crate) fn backward(Backward<'_>) = backward_body, [10, 2], [5, 1], |job| {
        assert_eq!(job.turned.len(), job.layer.turned_len());
        let rows = job.layer.turned_rows();
        within(job.tape, job.strip, &[(job.from, job.layer.outputs), (job.to, rows), (job.by, rows)]);
    }
}

versions! {
    /// The gradient of a panel, `from^T * delta`, which exists in registers only, and Adam's step on it.
    pub(crate) fn update(Update<'_>) = update_body, [8, 2], [4, 1], |job| {
        let len = (job.layer.rows() + 1) * job.layer.width(job.panel);
        let by = &job.gradient;
        assert!(job.learned.lengths() == [len; 3]);
        assert!(by.rows.div_ceil(STRIP) * by.strip <= by.tape.len());
        within(by.tape, by.strip, &[(by.from, job.layer.rows()), (by.delta, job.layer.columns())]);
    }
}

versions! {
    /// Writes a layer's weights, without the bias, transposed.
    pub(crate) fn turn(Turn<'_>) = turn_body, [1, 1], [1, 1], |job| {
        let (layer, last) = (job.layer, job.layer.panels() - 1);
        assert!(job.params.len() >= last * job.stride + (job.row + layer.inputs) * layer.width(last));
        assert!(last == 0 || job.stride >= (job.row + layer.inputs) * PANEL);
        assert!(job.first.is_multiple_of(PANEL) && job.first < layer.inputs);
        assert!(job.turned.len().is_multiple_of(layer.columns() * LANES));
        assert!(layer.turned_at(job.first) + job.turned.len() <= layer.turned_len());
    }
}
