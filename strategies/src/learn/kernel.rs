//! The passes over a layer: forward, backward, and the gradient of its weights with Adam's step on them.
//!
//! A sum has one accumulator and takes its terms in order, fused; so bits depend neither on the number of threads, nor on how
//! the work is cut, nor on the width of vectors. `cargo bench -p illume-strategies --bench learn` measures these passes.
//!
//! Weights lie in panels of 32 outputs `[inputs, 32]` with the bias as last row, activations in strips of ten rows: a product's
//! inner loop keeps 10 x 32 sums in registers and reads one line of a panel and ten numbers, so that a processor with two
//! multiply-adds a cycle is kept busy.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::__m512;

use illume_core::math::tanh_in_place;

#[cfg(target_arch = "x86_64")]
use super::lanes::Pair;
use super::lanes::{LANES, Lanes, Level, Plain};
use super::packed::{Act, Layer, PANEL, STRIP, Slot};

/// Adds `n` products to each sum: `acc[r][c] += a[r * a_row + k * a_next] * b[k * b_next + 16 c..]`.
#[inline(always)]
unsafe fn tile<V: Lanes, const R: usize, const C: usize, const U: usize>(
    acc: &mut [[V; C]; R],
    n: usize,
    a: (*const f32, usize, usize),
    b: (*const f32, usize),
) {
    // U terms at a time, so that the addresses of rows are computed once for U products: integer additions would take turns
    // from the multiply-adds.
    let whole = n - n % U;
    unsafe {
        for k in (0..whole).step_by(U) {
            let a = (a.0.add(k * a.2), a.1, a.2);
            let b = (b.0.add(k * b.1), b.1);
            for k in 0..U {
                products(acc, k, a, b);
            }
        }
        for k in whole..n {
            products(acc, k, a, b);
        }
    }
}

/// The products of one term.
#[inline(always)]
unsafe fn products<V: Lanes, const R: usize, const C: usize>(
    acc: &mut [[V; C]; R],
    k: usize,
    (a, a_row, a_next): (*const f32, usize, usize),
    (b, b_next): (*const f32, usize),
) {
    unsafe {
        let mut line = [V::splat(0.0); C];
        for (c, v) in line.iter_mut().enumerate() {
            *v = V::load(b.add(k * b_next + c * LANES));
        }
        for (r, sums) in acc.iter_mut().enumerate() {
            let x = V::splat(*a.add(r * a_row + k * a_next));
            for (sum, v) in sums.iter_mut().zip(line) {
                *sum = x.mul_add(v, *sum);
            }
        }
    }
}

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
    /// The transposed weights, as [`transpose`] leaves them.
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
    pub params: &'a mut [f32],
    pub first: &'a mut [f32],
    pub second: &'a mut [f32],
    pub tape: &'a [f32],
    pub strip: usize,
    /// Rows that count: those beyond are padding of the last strip.
    pub rows: usize,
    /// Inputs of the layer, and derivatives by its sums.
    pub from: Slot,
    pub delta: Slot,
    pub adam: Adam,
}

/// One step of Adam (Kingma and Ba 2015, <https://arxiv.org/abs/1412.6980>) with its bias corrections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Adam {
    rate: f32,
    epsilon: f32,
}

const BETA1: f64 = 0.9;
const BETA2: f64 = 0.999;
const EPSILON: f64 = 1e-8;

impl Adam {
    /// Step number `t`, counted from 1. `m / c1 / (sqrt(v / c2) + epsilon)` is written as one ratio of m and v's own root.
    pub fn new(rate: f64, t: u64) -> Adam {
        let [c1, c2] = [BETA1, BETA2].map(|b| 1.0 - power(b, t));
        Adam {
            rate: (rate * c2.sqrt() / c1) as f32,
            epsilon: (EPSILON * c2.sqrt()) as f32,
        }
    }

    /// New parameter and moments.
    #[inline(always)]
    unsafe fn step<V: Lanes>(self, g: V, p: *mut f32, m: *mut f32, v: *mut f32) {
        unsafe {
            let (first, second) = (V::load(m), V::load(v));
            let first = g.sub(first).mul_add(V::splat((1.0 - BETA1) as f32), first).settle();
            let second = g.mul_sub(g, second).mul_add(V::splat((1.0 - BETA2) as f32), second);
            first.store(m);
            second.store(v);
            // The root by Newton's method, exact to a few units in the last place: the processor's own takes as long as the
            // division, and both use the same circuit.
            let half = second.mul(V::splat(0.5));
            let mut y = second.root_guess();
            for _ in 0..3 {
                // In this order, a second moment of zero gives zero and not zero times infinity.
                y = y.mul(half.mul(y).neg_mul_add(y, V::splat(1.5)));
            }
            let ratio = first.div(second.mul_add(y, V::splat(self.epsilon)));
            ratio.neg_mul_add(V::splat(self.rate), V::load(p)).store(p);
        }
    }
}

/// `b` to the `t` by squaring: the same bits everywhere, which a library's function does not promise.
fn power(mut b: f64, mut t: u64) -> f64 {
    let mut y = 1.0;
    while t > 0 {
        if t % 2 == 1 {
            y *= b;
        }
        b *= b;
        t /= 2;
    }
    y
}

#[inline(always)]
unsafe fn forward_body<V: Lanes, const R: usize, const C: usize>(job: Forward) {
    let layer = job.layer;
    let tape = job.tape.as_mut_ptr();
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
    let tape = job.tape.as_ptr();
    let [p, m, v] = [&mut job.params, &mut job.first, &mut job.second].map(|x| x.as_mut_ptr());
    let delta = job.delta.at + job.panel * PANEL + c;
    let strips = job.rows.div_ceil(STRIP);
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
                let n = STRIP.min(job.rows - s * STRIP);
                let (from, delta) = (
                    tape.add(s * job.strip + job.from.at + i),
                    tape.add(s * job.strip + delta),
                );
                tile::<V, R, C, 5>(&mut acc, n, (from, 1, job.from.ld), (delta, job.delta.ld));
            }
            for (r, sums) in acc.into_iter().enumerate() {
                for (k, sum) in sums.into_iter().enumerate() {
                    let at = (i + r) * width + c + k * LANES;
                    job.adam.step(sum, p.add(at), m.add(at), v.add(at));
                }
            }
        }
        // The bias: its input is 1 everywhere.
        let mut acc = [V::splat(0.0); C];
        for row in 0..job.rows {
            let from = tape.add(row / STRIP * job.strip + row % STRIP * job.delta.ld + delta);
            for (k, sum) in acc.iter_mut().enumerate() {
                *sum = sum.add(V::load(from.add(k * LANES)));
            }
        }
        for (k, sum) in acc.into_iter().enumerate() {
            let at = job.layer.rows() * width + c + k * LANES;
            job.adam.step(sum, p.add(at), m.add(at), v.add(at));
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

/// Arguments of [`head_forward`], [`head_backward`] and [`head_update`]: a layer of one unit without activation, whose weights
/// are followed by a line that begins with the bias.
pub(crate) struct Head<'a> {
    pub params: &'a [f32],
    pub tape: &'a mut [f32],
    pub strip: usize,
    pub from: Slot,
    /// One number a row: outputs, or derivatives by them.
    pub out: Slot,
}

/// Arguments of [`head_update`].
pub(crate) struct HeadUpdate<'a> {
    pub params: &'a mut [f32],
    pub first: &'a mut [f32],
    pub second: &'a mut [f32],
    pub tape: &'a [f32],
    pub strip: usize,
    pub rows: usize,
    pub from: Slot,
    pub delta: Slot,
    pub adam: Adam,
}

#[inline(always)]
unsafe fn head_forward_body<V: Lanes, const R: usize, const C: usize>(job: Head) {
    let (tape, w) = (job.tape.as_mut_ptr(), job.params.as_ptr());
    let bias = job.params.len() - LANES;
    unsafe {
        for s in (0..job.tape.len()).step_by(job.strip) {
            for r in 0..STRIP {
                let from = tape.add(s + job.from.at + r * job.from.ld);
                let mut acc = V::splat(0.0);
                for i in (0..bias).step_by(LANES) {
                    acc = V::load(from.add(i)).mul_add(V::load(w.add(i)), acc);
                }
                *tape.add(s + job.out.at + r) = acc.sum() + job.params[bias];
            }
        }
    }
}

/// Derivatives by the unit's inputs, which came out of rectifiers, written over these inputs' own slot or another.
#[inline(always)]
unsafe fn head_backward_body<V: Lanes, const R: usize, const C: usize>((job, to): (Head, Slot)) {
    let (tape, w) = (job.tape.as_mut_ptr(), job.params.as_ptr());
    let bias = job.params.len() - LANES;
    unsafe {
        for s in (0..job.tape.len()).step_by(job.strip) {
            for r in 0..STRIP {
                let [by, to] = [job.from, to].map(|slot| tape.add(s + slot.at + r * slot.ld));
                let e = V::splat(*tape.add(s + job.out.at + r));
                for i in (0..bias).step_by(LANES) {
                    e.mul(V::load(w.add(i))).gate(V::load(by.add(i))).store(to.add(i));
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn head_update_body<V: Lanes, const R: usize, const C: usize>(job: HeadUpdate) {
    let [p, m, v] = [job.params, job.first, job.second];
    let tape = job.tape.as_ptr();
    let bias = p.len() - LANES;
    let strips = job.rows.div_ceil(STRIP);
    unsafe {
        for i in (0..bias).step_by(LANES) {
            let mut acc = [[V::splat(0.0)]];
            for s in 0..strips {
                let n = STRIP.min(job.rows - s * STRIP);
                let (delta, from) = (
                    tape.add(s * job.strip + job.delta.at),
                    tape.add(s * job.strip + job.from.at + i),
                );
                tile::<V, 1, 1, 5>(&mut acc, n, (delta, 0, 1), (from, job.from.ld));
            }
            job.adam.step(
                acc[0][0],
                p.as_mut_ptr().add(i),
                m.as_mut_ptr().add(i),
                v.as_mut_ptr().add(i),
            );
        }
        let mut gradient = [0.0; LANES];
        for row in 0..job.rows {
            gradient[0] += job.tape[row / STRIP * job.strip + job.delta.at + row % STRIP];
        }
        let [p, m, v] = [p, m, v].map(|x| x[bias..].as_mut_ptr());
        job.adam.step(V::load(gradient.as_ptr()), p, m, v);
    }
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
            // SAFETY: the caller's.
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

#[inline(always)]
unsafe fn soften_body<V: Lanes, const R: usize, const C: usize>((params, target, tau): (&[f32], &mut [f32], f32)) {
    for (t, p) in target.iter_mut().zip(params) {
        *t = (p - *t).mul_add(tau, *t);
    }
}

/// A function that runs a body compiled for the level given. The functions are safe: they check that what the body reads and
/// writes lies inside the slices.
macro_rules! versions {
    ($(#[$doc:meta])* fn $name:ident($job:ty) = $body:ident, [$r:literal, $c:literal], [$r2:literal, $c2:literal], |$j:ident| $check:block) => {
        $(#[$doc])*
        pub(crate) fn $name(level: Level, job: $job) {
            let $j = &job;
            $check
            match level {
                // SAFETY: ranges have just been checked; a level beyond the base is only made where the processor has it.
                Level::Base => unsafe { $body::<Plain, 2, 1>(job) },
                #[cfg(target_arch = "x86_64")]
                Level::Avx2 => {
                    #[target_feature(enable = "avx2,fma")]
                    unsafe fn medium(job: $job) {
                        unsafe { $body::<Pair, $r2, $c2>(job) }
                    }
                    // SAFETY: as above.
                    unsafe { medium(job) }
                }
                #[cfg(target_arch = "x86_64")]
                Level::Avx512 => {
                    #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
                    unsafe fn wide(job: $job) {
                        unsafe { $body::<__m512, $r, $c>(job) }
                    }
                    // SAFETY: as above.
                    unsafe { wide(job) }
                }
            }
        }
    };
}

versions! {
    /// `to = act(from * weights + bias)`.
    fn forward(Forward<'_>) = forward_body, [10, 2], [5, 1], |job| {
        assert_eq!(job.params.len(), job.layer.len());
        within(job.tape, job.strip, &[(job.from, job.layer.inputs), (job.to, job.layer.columns())]);
    }
}

versions! {
    /// `to = (from * transposed weights) act'(by)`.
    fn backward(Backward<'_>) = backward_body, [10, 2], [5, 1], |job| {
        assert_eq!(job.turned.len(), job.layer.turned_len());
        let rows = job.layer.turned_rows();
        within(job.tape, job.strip, &[(job.from, job.layer.outputs), (job.to, rows), (job.by, rows)]);
    }
}

versions! {
    /// The gradient of a panel, `from^T * delta`, which exists in registers only, and Adam's step on it.
    fn update(Update<'_>) = update_body, [8, 2], [4, 1], |job| {
        let len = (job.layer.rows() + 1) * job.layer.width(job.panel);
        assert!([job.params.len(), job.first.len(), job.second.len()] == [len; 3]);
        assert!(job.rows.div_ceil(STRIP) * job.strip <= job.tape.len());
        within(job.tape, job.strip, &[(job.from, job.layer.rows()), (job.delta, job.layer.columns())]);
    }
}

versions! {
    /// Writes a layer's weights, without the bias, transposed.
    fn turn(Turn<'_>) = turn_body, [1, 1], [1, 1], |job| {
        let (layer, last) = (job.layer, job.layer.panels() - 1);
        assert!(job.params.len() >= last * job.stride + (job.row + layer.inputs) * layer.width(last));
        assert!(last == 0 || job.stride >= (job.row + layer.inputs) * PANEL);
        assert!(job.first.is_multiple_of(PANEL) && job.first < layer.inputs);
        assert!(job.turned.len().is_multiple_of(layer.columns() * LANES));
        assert!(layer.turned_at(job.first) + job.turned.len() <= layer.turned_len());
    }
}

versions! {
    /// One number a row: the unit's output.
    fn head_forward(Head<'_>) = head_forward_body, [1, 1], [1, 1], |job| {
        within(job.tape, job.strip, &[(job.from, job.params.len() - LANES)]);
        assert!(job.out.at + STRIP <= job.strip);
    }
}

versions! {
    /// Derivatives by the unit's inputs, which came out of rectifiers, from those by its output; the second slot is written, and
    /// may be the inputs' own.
    fn head_backward((Head<'_>, Slot)) = head_backward_body, [1, 1], [1, 1], |job| {
        let inputs = job.0.params.len() - LANES;
        within(job.0.tape, job.0.strip, &[(job.0.from, inputs), (job.1, inputs)]);
        assert!(job.0.out.at + STRIP <= job.0.strip);
    }
}

versions! {
    /// [`update`] for the layer of one unit.
    fn head_update(HeadUpdate<'_>) = head_update_body, [1, 1], [1, 1], |job| {
        let len = job.params.len();
        assert!([job.first.len(), job.second.len()] == [len; 2]);
        assert!(job.rows.div_ceil(STRIP) * job.strip <= job.tape.len());
        within(job.tape, job.strip, &[(job.from, len - LANES)]);
        assert!(job.delta.at + STRIP <= job.strip);
    }
}

versions! {
    /// A soft update: the second goes this share of the way to the first.
    fn soften((&[f32], &mut [f32], f32)) = soften_body, [1, 1], [1, 1], |job| {
        assert_eq!(job.0.len(), job.1.len());
    }
}

/// Stops the program if rows of so many numbers in these slots are not inside their strip, or strips not inside the tape.
fn within(tape: &[f32], strip: usize, slots: &[(Slot, usize)]) {
    assert!(tape.len().is_multiple_of(strip), "a tape is made of whole strips");
    for (slot, width) in slots {
        assert!(
            *width <= slot.ld && slot.at + STRIP * slot.ld <= strip,
            "{slot:?} of {width} in {strip}"
        );
    }
}
