//! Attention of whole texts, forward and back, for the heads of queries that share a head of keys and values.
//!
//! Sums are those of the model that answers, term by term: what a token attends to is masked by zeros behind it.

use std::ops::Range;

use illume_numerics::transformer::ops::{exp_sum, largest, rotate};
use illume_numerics::transformer::{Matrix, Strided, apart, gradients};
use illume_numerics::{LANES, Level};

use crate::model::Cache;

/// Queries that are taken at once.
const QUERIES: usize = 48;

/// A text's heads of one head of keys and values.
pub(super) struct Heads<'a> {
    pub level: Level,
    pub angles: &'a Cache,
    /// Rows of the text.
    pub rows: Range<usize>,
    pub head_dim: usize,
    /// Heads of queries.
    pub heads: usize,
    /// Columns of queries, of the key, and of the value, in rows of queries, keys and values.
    pub queries: usize,
    pub key: usize,
    pub value: usize,
    /// Columns of the heads' results.
    pub out: usize,
}

/// Buffers of a task.
#[derive(Default)]
pub(super) struct Room {
    /// Keys and values, `[tokens, width]`, and their transposes, `[head_dim, length]`.
    k: Vec<f32>,
    v: Vec<f32>,
    k_turned: Vec<f32>,
    v_turned: Vec<f32>,
    /// `[QUERIES, length]`.
    p: Vec<f32>,
    dp: Vec<f32>,
    /// Queries of a head and what is of them, `[QUERIES, width]`.
    q: Vec<f32>,
    out: Vec<f32>,
    dq: Vec<f32>,
    dk: Vec<f32>,
    dv: Vec<f32>,
}

fn cleared(of: &mut Vec<f32>, n: usize) -> &mut [f32] {
    of.clear();
    of.resize(n, 0.0);
    of
}

impl Heads<'_> {
    fn width(&self) -> usize {
        self.head_dim.next_multiple_of(LANES)
    }

    fn length(&self) -> usize {
        apart(self.rows.len())
    }

    fn scale(&self) -> f32 {
        1.0 / (self.head_dim as f32).sqrt()
    }

    /// Turns the queries and keys of a text by their positions, and writes what the heads attend to.
    ///
    /// # Safety
    /// No other task touches these columns of these rows.
    pub unsafe fn forward(&self, qkv: Matrix, out: Matrix, room: &mut Room) {
        let d = self.head_dim;
        for (position, row) in self.rows.clone().enumerate() {
            let (cos, sin) = self.angles.angles(position);
            for from in (0..self.heads).map(|h| self.queries + h * d).chain([self.key]) {
                // SAFETY: the caller's promise.
                rotate(unsafe { qkv.piece(row, from..from + d) }, cos, sin);
            }
        }
        // SAFETY: as above.
        unsafe { self.gather(qkv, room) };
        let width = self.width();
        for head in 0..self.heads {
            for from in (0..self.rows.len()).step_by(QUERIES) {
                let queries = from..(from + QUERIES).min(self.rows.len());
                // SAFETY: as above.
                unsafe { self.take(qkv, self.queries + head * d, &queries, &mut room.q) };
                let norms = self.weights(&queries, room);
                Strided {
                    rows: queries.len(),
                    terms: queries.end,
                    columns: width,
                    a: (&room.p, self.length(), 1),
                    b: (&room.v, width),
                    add: false,
                    y: (cleared(&mut room.out, QUERIES * width), width),
                }
                .run(self.level);
                for (i, norm) in queries.zip(norms) {
                    let from = &room.out[(i % QUERIES) * width..][..d];
                    let at = self.out + head * d;
                    // SAFETY: as above.
                    let to = unsafe { out.piece(self.rows.start + i, at..at + d) };
                    to.iter_mut().zip(from).for_each(|(to, x)| *to = x * norm);
                }
            }
        }
    }

    /// What passes back: from the derivatives `g` by the heads' results to those by the queries, keys and values before they were turned, in `to`.
    ///
    /// # Safety
    /// As for [`Heads::forward`].
    pub unsafe fn back(&self, qkv: Matrix, g: Matrix, to: Matrix, room: &mut Room) {
        let (d, width, length) = (self.head_dim, self.width(), self.length());
        // SAFETY: the caller's promise.
        unsafe { self.gather(qkv, room) };
        cleared(&mut room.dk, self.rows.len() * width);
        cleared(&mut room.dv, self.rows.len() * width);
        for head in 0..self.heads {
            for from in (0..self.rows.len()).step_by(QUERIES) {
                let queries = from..(from + QUERIES).min(self.rows.len());
                let (n, keys) = (queries.len(), queries.end);
                let columns = keys.next_multiple_of(LANES);
                // SAFETY: as above.
                unsafe {
                    self.take(qkv, self.queries + head * d, &queries, &mut room.q);
                    self.take(g, self.out + head * d, &queries, &mut room.out);
                }
                let norms = self.weights(&queries, room);
                for (p, norm) in room.p.chunks_exact_mut(length).zip(norms) {
                    gradients::multiply(&mut p[..columns], norm);
                }
                cleared(&mut room.dp, QUERIES * length);
                let run = |job: Strided| job.run(self.level);
                run(Strided {
                    rows: n,
                    terms: d,
                    columns,
                    a: (&room.out, width, 1),
                    b: (&room.v_turned, length),
                    add: false,
                    y: (&mut room.dp, length),
                });
                run(Strided {
                    rows: keys,
                    terms: n,
                    columns: width,
                    a: (&room.p, 1, length),
                    b: (&room.out, width),
                    add: true,
                    y: (&mut room.dv, width),
                });
                for (p, dp) in room
                    .p
                    .chunks_exact(length)
                    .zip(room.dp.chunks_exact_mut(length))
                    .take(n)
                {
                    gradients::softmax(&p[..columns], &mut dp[..columns], self.scale());
                }
                run(Strided {
                    rows: n,
                    terms: keys,
                    columns: width,
                    a: (&room.dp, length, 1),
                    b: (&room.k, width),
                    add: false,
                    y: (cleared(&mut room.dq, QUERIES * width), width),
                });
                run(Strided {
                    rows: keys,
                    terms: n,
                    columns: width,
                    a: (&room.dp, 1, length),
                    b: (&room.q, width),
                    add: true,
                    y: (&mut room.dk, width),
                });
                // SAFETY: as above.
                unsafe { self.put(&room.dq, &queries, to, self.queries + head * d, true) };
            }
        }
        let all = 0..self.rows.len();
        // SAFETY: as above.
        unsafe {
            self.put(&room.dk, &all, to, self.key, true);
            self.put(&room.dv, &all, to, self.value, false);
        }
    }

    /// The exponential functions of the scores of some queries, zeros behind each; returns by what their sums are to be multiplied to be 1.
    fn weights(&self, queries: &Range<usize>, room: &mut Room) -> Vec<f32> {
        let length = self.length();
        let columns = queries.end.next_multiple_of(LANES);
        room.p.resize(QUERIES * length, 0.0);
        Strided {
            rows: queries.len(),
            terms: self.head_dim,
            columns,
            a: (&room.q, self.width(), 1),
            b: (&room.k_turned, length),
            add: false,
            y: (&mut room.p, length),
        }
        .run(self.level);
        let rows = queries.clone().zip(room.p.chunks_exact_mut(length));
        rows.map(|(i, row)| {
            let (seen, behind) = row[..columns].split_at_mut(i + 1);
            behind.fill(0.0);
            1.0 / exp_sum(seen, largest(seen), self.scale())
        })
        .collect()
    }

    /// Keys and values of the text, as they lie and transposed.
    ///
    /// # Safety
    /// Nobody writes these columns.
    unsafe fn gather(&self, qkv: Matrix, room: &mut Room) {
        let all = 0..self.rows.len();
        let (width, length) = (self.width(), self.length());
        for (at, rows, turned) in [
            (self.key, &mut room.k, &mut room.k_turned),
            (self.value, &mut room.v, &mut room.v_turned),
        ] {
            // SAFETY: the caller's promise.
            unsafe { self.take(qkv, at, &all, rows) };
            let turned = cleared(turned, self.head_dim * length);
            for (row, numbers) in rows.chunks_exact(width).enumerate() {
                for (to, x) in turned[row..].iter_mut().step_by(length).zip(numbers) {
                    *to = *x;
                }
            }
        }
    }

    /// Copies a head's columns of some tokens to `[tokens, width]`.
    ///
    /// # Safety
    /// Nobody writes these columns.
    unsafe fn take(&self, from: Matrix, at: usize, tokens: &Range<usize>, to: &mut Vec<f32>) {
        let width = self.width();
        let to = cleared(to, tokens.len() * width);
        for (i, to) in tokens.clone().zip(to.chunks_exact_mut(width)) {
            // SAFETY: the caller's promise.
            let row = unsafe { from.piece(self.rows.start + i, at..at + self.head_dim) };
            to[..self.head_dim].copy_from_slice(row);
        }
    }

    /// Copies `[tokens, width]` to a head's columns, turned back if asked.
    ///
    /// # Safety
    /// No other task touches these columns of these rows.
    unsafe fn put(&self, from: &[f32], tokens: &Range<usize>, to: Matrix, at: usize, turned: bool) {
        for (i, from) in tokens.clone().zip(from.chunks_exact(self.width())) {
            // SAFETY: the caller's promise.
            let row = unsafe { to.piece(self.rows.start + i, at..at + self.head_dim) };
            row.copy_from_slice(&from[..self.head_dim]);
            if turned {
                let (cos, sin) = self.angles.angles(i);
                gradients::rotate(row, cos, sin);
            }
        }
    }
}
