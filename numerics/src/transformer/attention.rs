//! Attention of one token's heads to the tokens of its own row: exactly as many as there are, in order.

use super::ops::{exp_sum, largest};
use crate::lanes::{LANES, Lanes};
use crate::level::{Level, versions};
use crate::panel::{Columns, First, Lines, Panel};

/// The heads of queries that share a head of keys and values, at one token.
pub struct Attention<'a> {
    /// `[heads, head_dim]`, turned by the token's position.
    pub queries: &'a [f32],
    pub head_dim: usize,
    /// `[blocks of 16 positions, head_dim, 16]`.
    pub keys: &'a [f32],
    /// `[positions, width]`.
    pub values: &'a [f32],
    /// `head_dim` in whole vectors.
    pub width: usize,
    /// Positions attended to: this one and all before.
    pub length: usize,
    /// `[heads, head_dim]`.
    pub out: &'a mut [f32],
}

/// `room` is a buffer.
///
/// # Panics
/// Slices are shorter than their shapes say.
pub fn attend(level: Level, job: Attention, room: &mut Vec<f32>) {
    let heads = job.queries.len() / job.head_dim;
    let blocks = job.length.div_ceil(LANES);
    let (ld, width) = (blocks * LANES, job.width);
    room.resize(heads * (ld + width + 1), 0.0);
    let (scores, rest) = room.split_at_mut(heads * ld);
    let (out, norms) = rest.split_at_mut(heads * width);
    let product = Panel {
        terms: job.head_dim,
        x: (job.queries, job.head_dim),
        w: Lines::panels(job.keys, job.head_dim),
        more: 0,
        z: (&[], 0),
        u: Lines::NONE,
        first: First::Zero,
        y: Columns::new(scores, heads, ld, ld),
    };
    few_rows(level, product);
    let scale = 1.0 / (job.head_dim as f32).sqrt();
    for (row, norm) in scores.chunks_exact_mut(ld).zip(norms) {
        let row = &mut row[..job.length];
        *norm = 1.0 / exp_sum(row, largest(row), scale);
    }
    let product = Panel {
        terms: job.length,
        x: (scores, ld),
        w: Lines::new(job.values, width),
        more: 0,
        z: (&[], 0),
        u: Lines::NONE,
        first: First::Zero,
        y: Columns::new(out, heads, width, width),
    };
    few_rows(level, product);
    let norms = &room[heads * (ld + width)..];
    for (head, norm) in norms.iter().enumerate() {
        let from = &room[heads * ld + head * width..][..job.head_dim];
        for (to, x) in job.out[head * job.head_dim..].iter_mut().zip(from) {
            *to = x * norm;
        }
    }
}

#[inline(always)]
unsafe fn body<V: Lanes, const R: usize, const C: usize>(mut job: Panel) {
    // SAFETY: the level's instructions are there, and the job has been checked.
    unsafe { job.multiply::<V, R, C>() }
}

versions! {
    /// All heads: three or seven share a head of keys and values in small models. Sums of four vectors at a time do not wait for one another.
    fn few_rows(Panel) = body, [4, 4], [3, 2], |job| {
        job.check();
    }
}
