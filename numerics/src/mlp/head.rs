//! The passes over a critic's last layer: one unit without activation, whose inputs came out of rectifiers.
//!
//! Its weights are one row followed by a line that begins with the bias; each of its passes reads the activations once.

use super::adam::{Gradient, Learned};
use super::packed::{STRIP, Slot, within};
use crate::lanes::{LANES, Lanes, tile};
use crate::level::versions;

/// Arguments of [`head_forward`] and [`head_backward`].
pub(crate) struct Head<'a> {
    pub params: &'a [f32],
    pub tape: &'a mut [f32],
    pub strip: usize,
    pub from: Slot,
    /// One number a row: outputs, or derivatives by them.
    pub out: Slot,
}

#[inline(always)]
unsafe fn head_forward_body<V: Lanes, const R: usize, const C: usize>(job: Head) {
    let (tape, w) = (job.tape.as_mut_ptr(), job.params.as_ptr());
    let bias = job.params.len() - LANES;
    // SAFETY: `head_forward` has checked that inputs and outputs of all rows lie in their strips; weights end with the line of the bias.
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
    // SAFETY: `head_backward` has checked that both slots of all rows lie in their strips; weights end with the line of the bias.
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
unsafe fn head_update_body<V: Lanes, const R: usize, const C: usize>((learned, by): (Learned, Gradient)) {
    let [p, m, v] = [learned.params, learned.first, learned.second];
    let tape = by.tape.as_ptr();
    let bias = p.len() - LANES;
    let strips = by.rows.div_ceil(STRIP);
    // SAFETY: `head_update` has checked that the slots of all rows lie in their strips, and that parameters and moments are of one length.
    unsafe {
        for i in (0..bias).step_by(LANES) {
            let mut acc = [[V::splat(0.0)]];
            for s in 0..strips {
                let n = STRIP.min(by.rows - s * STRIP);
                let strip = tape.add(s * by.strip);
                let (delta, from) = (strip.add(by.delta.at), strip.add(by.from.at + i));
                tile::<V, 1, 1, 5>(&mut acc, n, (delta, 0, 1), (from, by.from.ld));
            }
            by.adam.step(
                acc[0][0],
                p.as_mut_ptr().add(i),
                m.as_mut_ptr().add(i),
                v.as_mut_ptr().add(i),
            );
        }
        let mut gradient = [0.0; LANES];
        for row in 0..by.rows {
            gradient[0] += by.tape[row / STRIP * by.strip + by.delta.at + row % STRIP];
        }
        let [p, m, v] = [p, m, v].map(|x| x[bias..].as_mut_ptr());
        by.adam.step(V::load(gradient.as_ptr()), p, m, v);
    }
}

versions! {
    /// One number a row: the unit's output.
    pub(crate) fn head_forward(Head<'_>) = head_forward_body, [1, 1], [1, 1], |job| {
        within(job.tape, job.strip, &[(job.from, job.params.len() - LANES)]);
        assert!(job.out.at + STRIP <= job.strip);
    }
}

versions! {
    /// Derivatives by the unit's inputs, which came out of rectifiers, from those by its output; the second slot is written, and
    /// may be the inputs' own.
    pub(crate) fn head_backward((Head<'_>, Slot)) = head_backward_body, [1, 1], [1, 1], |job| {
        let inputs = job.0.params.len() - LANES;
        within(job.0.tape, job.0.strip, &[(job.0.from, inputs), (job.1, inputs)]);
        assert!(job.0.out.at + STRIP <= job.0.strip);
    }
}

versions! {
    /// [`super::kernel::update`] for the layer of one unit.
    pub(crate) fn head_update((Learned<'_>, Gradient<'_>)) = head_update_body, [1, 1], [1, 1], |job| {
        let (learned, by) = job;
        let len = learned.params.len();
        assert!(learned.lengths() == [len; 3]);
        assert!(by.rows.div_ceil(STRIP) * by.strip <= by.tape.len());
        within(by.tape, by.strip, &[(by.from, len - LANES)]);
        assert!(by.delta.at + STRIP <= by.strip);
    }
}
