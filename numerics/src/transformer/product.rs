//! Products of a batch of rows with packed weights.
//!
//! A row's bits depend neither on the other rows, nor on how the work is cut, nor on the width of vectors.

use std::ops::Range;

use super::matrix::{Matrix, Team};
use super::ops::add_products;
use super::{Codes, Packed};
use crate::elements::add_scaled;
use crate::lanes::{LANES, Lanes};
use crate::level::{Level, versions};
use crate::panel::{Columns, First, Lines, Panel};

/// Inputs that are taken at once: few enough for the caches near the processor, and so many that sums seldom leave its registers.
const TERMS: usize = 768;

/// Panels that are computed at once.
const TOGETHER: usize = 2;

/// What a product adds to.
#[derive(Clone, Copy)]
pub enum Start<'a> {
    Zero,
    /// `[outputs]`.
    Bias(&'a [f32]),
    /// What is in the output.
    Output,
}

/// An adapter's part of one map of a product.
#[derive(Clone, Copy)]
pub enum Extra<'a> {
    None,
    /// `z U'` with `U` the same for all rows: rows of `z` begin at `z[row * ld]`.
    Shared {
        z: &'a [f32],
        ld: usize,
        u: &'a Packed,
    },
    /// `z B'` with each row's own member's `B`, `[members, outputs, rank]`.
    Own {
        z: &'a [f32],
        ld: usize,
        b: &'a [f32],
        rank: usize,
        outputs: usize,
        members: &'a [u32],
    },
    /// `z A` with each row's own `A`, `[rank, outputs]`, which begins at `pool[starts[row] + first]`.
    Pooled {
        z: &'a [f32],
        ld: usize,
        pool: &'a [f32],
        starts: &'a [usize],
        first: usize,
        rank: usize,
        outputs: usize,
    },
}

/// Buffers of a task.
struct Room<'a> {
    weights: &'a mut Vec<f32>,
    extra: Vec<f32>,
    words: Vec<i16>,
}

/// Some rows through some panels.
pub struct Product<'a> {
    pub weights: &'a Packed,
    /// `[rows, x_ld]`.
    pub x: &'a [f32],
    pub x_ld: usize,
    pub start: Start<'a>,
    /// For each map of the weights; or none.
    pub extras: &'a [Extra<'a>],
    pub y: Matrix<'a>,
}

impl Product<'_> {
    /// Computes all panels; with `codes`, the inputs rounded to eight bits, sums are of integers.
    pub fn run(&self, level: Level, team: Team, codes: Option<&Codes>) {
        let panels = self.weights.panels();
        team.each_part(panels, |panels| {
            // SAFETY: a panel is in one part.
            unsafe { self.panels(level, panels, codes, &mut Vec::new()) };
        });
    }

    /// Adds what of the extras lies in pools to panels that have been computed: row by row, since a row's numbers lie side by side.
    ///
    /// # Safety
    /// No other task touches the panels' columns of the output in the meantime.
    unsafe fn add_pooled(&self, panels: Range<usize>) {
        for (extra, start) in self.extras.iter().zip(&self.weights.starts) {
            let Extra::Pooled {
                z,
                ld,
                pool,
                starts,
                first,
                rank,
                outputs,
            } = *extra
            else {
                continue;
            };
            let columns = (panels.start * LANES).max(*start)..(panels.end * LANES).min(start + outputs);
            if columns.is_empty() {
                continue;
            }
            for (row, at) in starts.iter().enumerate() {
                // SAFETY: the panels' columns are this task's (the caller's promise).
                let y = unsafe { self.y.piece(row, columns.clone()) };
                for (r, z) in z[row * ld..row * ld + rank].iter().enumerate() {
                    let from = at + first + r * outputs + columns.start - start;
                    add_scaled(&pool[from..from + columns.len()], *z, y);
                }
            }
        }
    }

    /// Computes some panels of all rows, as [`Product::run`] says; `room` is a buffer.
    ///
    /// # Safety
    /// No other task touches the panels' columns of the output in the meantime.
    pub unsafe fn panels(&self, level: Level, panels: Range<usize>, codes: Option<&Codes>, room: &mut Vec<f32>) {
        let mut room = Room {
            weights: room,
            extra: Vec::new(),
            words: Vec::new(),
        };
        let mut panel = panels.start;
        while panel < panels.end {
            // The map that they belong to, of which there may be an adapter.
            let map = self.weights.starts.partition_point(|s| *s <= panel * LANES) - 1;
            let end = panels.end.min(self.weights.starts[map + 1] / LANES);
            let extra = self.extras.get(map).copied().unwrap_or(Extra::None);
            while panel < end {
                let next = end.min(panel + TOGETHER);
                // SAFETY: the caller's promise.
                unsafe { self.some(level, panel..next, (self.weights.starts[map], extra), codes, &mut room) };
                panel = next;
            }
        }
        // SAFETY: as above.
        unsafe { self.add_pooled(panels) };
    }

    /// Panels of one map, of which the first column is `start`.
    ///
    /// # Safety
    /// As for [`Product::panels`].
    unsafe fn some(
        &self,
        level: Level,
        panels: Range<usize>,
        (start, extra): (usize, Extra),
        codes: Option<&Codes>,
        room: &mut Room,
    ) {
        let column = panels.start * LANES;
        let width = panels.len() * LANES;
        let first = match self.start {
            Start::Zero => First::Zero,
            Start::Bias(bias) => First::Bias(&bias[column..column + width]),
            Start::Output => First::Output,
        };
        // SAFETY: inside of the matrix, and the panels' columns are this task's (the caller's promise).
        let columns = |column: usize, width: usize| unsafe {
            Columns::of(self.y.column(column, width), self.y.rows(), self.y.ld, width)
        };
        let (more, z, u) = match extra {
            Extra::Shared { z, ld, u } => {
                let from = (column - start) / LANES;
                let lines = u.lines(from..from + panels.len(), 0..u.inputs, &mut room.extra);
                (u.inputs, (z, ld), lines)
            }
            _ => (0, (&[][..], 0), Lines::NONE),
        };
        match codes {
            None => {
                let inputs = self.weights.inputs;
                for from in (0..inputs).step_by(TERMS) {
                    let end = inputs.min(from + TERMS);
                    let job = Panel {
                        terms: end - from,
                        x: (&self.x[from..], self.x_ld),
                        w: self.weights.lines(panels.clone(), from..end, room.weights),
                        more: if end == inputs { more } else { 0 },
                        z,
                        u,
                        first: if from > 0 { First::Output } else { first },
                        y: columns(column, width),
                    };
                    rows_by_panels(level, job);
                }
            }
            Some(codes) => {
                for panel in panels {
                    let first = match self.start {
                        Start::Bias(bias) => First::Bias(&bias[panel * LANES..(panel + 1) * LANES]),
                        _ => first,
                    };
                    codes.multiply(
                        self.weights,
                        panel,
                        first,
                        columns(panel * LANES, LANES),
                        &mut room.words,
                    );
                }
                if more > 0 {
                    let job = Panel {
                        terms: 0,
                        x: (&[], 0),
                        w: Lines::NONE,
                        more,
                        z,
                        u,
                        first: First::Output,
                        y: columns(column, width),
                    };
                    rows_by_panels(level, job);
                }
            }
        }
        if let Extra::Own {
            z,
            ld,
            b,
            rank,
            outputs,
            members,
        } = extra
        {
            let first = column - start;
            for (row, member) in members.iter().enumerate() {
                let z = &z[row * ld..row * ld + rank];
                // SAFETY: the panels' columns are this task's (the caller's promise).
                let y = unsafe { self.y.piece(row, column..column + width.min(outputs - first)) };
                add_products(&b[(*member as usize * outputs + first) * rank..], z, y);
            }
        }
    }
}

#[inline(always)]
unsafe fn body<V: Lanes, const R: usize, const C: usize>(mut job: Panel) {
    // SAFETY: the level's instructions are there, and the job has been checked.
    unsafe { job.multiply::<V, R, C>() }
}

versions! {
    /// All rows of some panels of 16 outputs, with AVX-512 two panels at a time: a number of a row is loaded once for both.
    fn rows_by_panels(Panel) = body, [12, 2], [6, 1], |job| {
        job.check();
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CodeBuffers, Precision};
    use super::*;
    use crate::noise::{Purpose, Stream};

    fn drawn(index: u64, n: usize) -> Vec<f32> {
        let mut values = vec![0.0; n];
        Stream::new(1, Purpose::Init, 0, index).normals(0, &mut values);
        values
    }

    #[test]
    fn a_row_of_a_product_has_the_same_bits_at_every_level_and_beside_any_rows() {
        // More inputs than are taken at once; a panel that is not full; more rows than any block.
        let (inputs, outputs, rank, rows) = (832, 37, 5, 31);
        let (w, x, u, z) = (
            drawn(0, inputs * outputs),
            drawn(1, inputs * rows),
            drawn(2, outputs * rank),
            drawn(3, rows * rank),
        );
        let bias = drawn(4, outputs.next_multiple_of(LANES));
        let up = Packed::new(&[&u], rank, Precision::F32);
        for (precision, rounded) in [
            (Precision::F32, false),
            (Precision::Bf16, false),
            (Precision::Int8, false),
            (Precision::Int8, true),
            (Precision::Int4 { group: 64 }, false),
        ] {
            let weights = Packed::new(&[&w], inputs, precision);
            let run = |level: Level, team: Team, from: usize, n: usize| {
                let mut y = Vec::new();
                let extras = [Extra::Shared {
                    z: &z[from * rank..],
                    ld: rank,
                    u: &up,
                }];
                let ld = weights.outputs();
                let y_matrix = Matrix::new(&mut y, n, ld);
                let (x, start) = (&x[from * inputs..][..n * inputs], Start::Bias(&bias));
                let mut buffers = CodeBuffers::default();
                let codes = match rounded {
                    true => Codes::new(&mut buffers, (x, inputs), &weights, level, team),
                    false => None,
                };
                Product {
                    weights: &weights,
                    x,
                    x_ld: inputs,
                    start,
                    extras: &extras,
                    y: y_matrix,
                }
                .run(level, team, codes.as_ref());
                y
            };
            let want = run(Level::best(), Team::Alone, 0, rows);
            for (row, want) in want.chunks_exact(weights.outputs()).enumerate() {
                let mut weight = vec![0.0; inputs];
                for o in 0..outputs {
                    weights.row(o, &mut weight);
                    let term = |(a, b): (&f32, &f32)| f64::from(*a) * f64::from(*b);
                    let mut x = x[row * inputs..][..inputs].to_vec();
                    if rounded {
                        for group in x.chunks_mut(64) {
                            let largest = group.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
                            let code = |x: f32| (x * (127.0 / largest)).round_ties_even();
                            group.iter_mut().for_each(|x| *x = code(*x) * (largest / 127.0));
                        }
                    }
                    let plain: f64 = x.iter().zip(&weight).map(term).sum();
                    let extra: f64 = z[row * rank..].iter().zip(&u[o * rank..(o + 1) * rank]).map(term).sum();
                    let exact = f64::from(bias[o]) + plain + extra;
                    assert!(
                        (f64::from(want[o]) - exact).abs() < 3e-4,
                        "{precision:?}: {} and {exact}",
                        want[o]
                    );
                }
                for level in Level::available() {
                    assert_eq!(run(level, Team::Alone, row, 1), want, "{precision:?}, {level:?}");
                }
            }
            for level in Level::available() {
                assert_eq!(run(level, Team::Pool, 0, rows), want, "{precision:?}, {level:?}");
            }
        }
    }
}
