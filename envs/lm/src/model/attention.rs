//! Attention of one token's heads to the tokens of its own row: exactly as many as there are, in order.

use illume_numerics::lanes::{LANES, Lanes, tile};
use illume_numerics::{Level, versions};

use super::ops::{exp_sum, largest};

/// The heads of queries that share a head of keys and values, at one token.
pub(crate) struct Attention<'a> {
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
pub(crate) fn attend(level: Level, job: Attention, room: &mut Vec<f32>) {
    let heads = job.queries.len() / job.head_dim;
    let blocks = job.length.div_ceil(LANES);
    let (ld, width) = (blocks * LANES, job.width);
    room.resize(heads * (ld + width + 1), 0.0);
    let (scores, rest) = room.split_at_mut(heads * ld);
    let (out, norms) = rest.split_at_mut(heads * width);
    for block in 0..blocks {
        let keys = &job.keys[block * job.head_dim * LANES..(block + 1) * job.head_dim * LANES];
        let (a, b) = ((job.queries, job.head_dim), (keys, LANES));
        let y = (&mut scores[block * LANES..], ld);
        narrow(
            level,
            Narrow {
                rows: heads,
                terms: job.head_dim,
                a,
                b,
                y,
            },
        );
    }
    let scale = 1.0 / (job.head_dim as f32).sqrt();
    for (row, norm) in scores.chunks_exact_mut(ld).zip(norms) {
        let row = &mut row[..job.length];
        *norm = 1.0 / exp_sum(row, largest(row), scale);
    }
    for column in (0..width).step_by(LANES) {
        let (a, b) = ((&*scores, ld), (&job.values[column..], width));
        let y = (&mut out[column..], width);
        narrow(
            level,
            Narrow {
                rows: heads,
                terms: job.length,
                a,
                b,
                y,
            },
        );
    }
    let norms = &room[heads * (ld + width)..];
    for (head, norm) in norms.iter().enumerate() {
        let from = &room[heads * ld + head * width..][..job.head_dim];
        for (to, x) in job.out[head * job.head_dim..].iter_mut().zip(from) {
            *to = x * norm;
        }
    }
}

/// `y = a b` for 16 columns of `b` and `y`; each matrix with the distance of its rows.
struct Narrow<'a> {
    rows: usize,
    terms: usize,
    a: (&'a [f32], usize),
    b: (&'a [f32], usize),
    y: (&'a mut [f32], usize),
}

#[inline(always)]
unsafe fn body<V: Lanes, const R: usize, const C: usize>(mut job: Narrow) {
    let mut row = 0;
    unsafe {
        while row + 7 <= job.rows {
            some::<V, 7>(&mut job, row);
            row += 7;
        }
        if row + 4 <= job.rows {
            some::<V, 4>(&mut job, row);
            row += 4;
        }
        if row + 2 <= job.rows {
            some::<V, 2>(&mut job, row);
            row += 2;
        }
        while row < job.rows {
            some::<V, 1>(&mut job, row);
            row += 1;
        }
    }
}

#[inline(always)]
unsafe fn some<V: Lanes, const R: usize>(job: &mut Narrow, row: usize) {
    unsafe {
        let mut acc = [[V::splat(0.0); 1]; R];
        let a = job.a.0.as_ptr().add(row * job.a.1);
        tile::<V, R, 1, 4>(&mut acc, job.terms, (a, job.a.1, 1), (job.b.0.as_ptr(), job.b.1));
        for (r, sum) in acc.into_iter().enumerate() {
            sum[0].store(job.y.0.as_mut_ptr().add((row + r) * job.y.1));
        }
    }
}

versions! {
    /// All rows of 16 columns.
    pub(crate) fn narrow(Narrow) = body, [7, 1], [7, 1], |j| {
        assert!(j.rows > 0 && j.terms > 0 && j.a.0.len() >= (j.rows - 1) * j.a.1 + j.terms);
        assert!(j.b.0.len() >= (j.terms - 1) * j.b.1 + LANES && j.y.0.len() >= (j.rows - 1) * j.y.1 + LANES);
    }
}
