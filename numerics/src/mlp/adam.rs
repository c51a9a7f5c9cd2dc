//! Adam (Kingma and Ba 2015, <https://arxiv.org/abs/1412.6980>) with its bias corrections, and soft updates of targets.

use std::ops::Range;

use super::packed::Slot;
use crate::lanes::Lanes;
use crate::level::versions;

/// One step of Adam.
#[derive(Debug, Clone, Copy)]
pub struct Adam {
    rate: f32,
    epsilon: f32,
}

/// Parameters and their moments: a network's, or a part of it.
pub struct Learned<'a> {
    pub params: &'a mut [f32],
    pub first: &'a mut [f32],
    pub second: &'a mut [f32],
}

impl<'a> Learned<'a> {
    pub fn split_at(self, at: usize) -> (Self, Self) {
        let ((p0, p1), (m0, m1)) = (self.params.split_at_mut(at), self.first.split_at_mut(at));
        let (v0, v1) = self.second.split_at_mut(at);
        let part =
            |params: &'a mut [f32], first: &'a mut [f32], second: &'a mut [f32]| Learned { params, first, second };
        (part(p0, m0, v0), part(p1, m1, v1))
    }

    pub fn part(&mut self, range: Range<usize>) -> Learned<'_> {
        Learned {
            params: &mut self.params[range.clone()],
            first: &mut self.first[range.clone()],
            second: &mut self.second[range],
        }
    }

    pub fn lengths(&self) -> [usize; 3] {
        [self.params.len(), self.first.len(), self.second.len()]
    }
}

/// What a gradient is the sum of, row by row, and the step to take on it.
#[derive(Clone, Copy)]
pub struct Gradient<'a> {
    pub tape: &'a [f32],
    pub strip: usize,
    /// Rows that count: those beyond are padding of the last strip.
    pub rows: usize,
    /// Inputs of the layer, and derivatives by its sums.
    pub from: Slot,
    pub delta: Slot,
    pub adam: Adam,
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

    /// New parameters and moments.
    ///
    /// # Safety
    /// The processor has the instructions of `V`, and each pointer is to as many numbers as a vector has.
    #[inline(always)]
    pub(crate) unsafe fn step<V: Lanes>(self, g: V, p: *mut f32, m: *mut f32, v: *mut f32) {
        // SAFETY: the caller's promise.
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

#[allow(clippy::extra_unused_type_parameters)]
#[inline(always)]
unsafe fn soften_body<V: Lanes, const R: usize, const C: usize>((params, target, tau): (&[f32], &mut [f32], f32)) {
    for (t, p) in target.iter_mut().zip(params) {
        *t = (p - *t).mul_add(tau, *t);
    }
}

versions! {
    /// A soft update: the second goes this share of the way to the first.
    pub(crate) fn soften((&[f32], &mut [f32], f32)) = soften_body, [1, 1], [1, 1], |job| {
        assert_eq!(job.0.len(), job.1.len());
    }
}
