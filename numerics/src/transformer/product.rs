//! Products of a batch of rows with packed weights.
//!
//! A row's bits depend neither on the other rows, nor on how the work is cut, nor on the width of vectors.

use std::ops::Range;

use super::Packed;
use super::matrix::{Matrix, Team};
use super::ops::add_products;
use crate::elements::add_scaled;
use crate::lanes::{LANES, Lanes};
use crate::level::{Level, versions};
use crate::panel::{Columns, First, Panel};

/// Inputs that are taken at once: a panel of them stays in the first-level cache.
const TERMS: usize = 256;

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
    /// Computes all panels. `then` is called for every panel by the task that has computed it.
    pub fn run(&self, level: Level, team: Team) {
        let panels = self.weights.panels();
        team.each_part(panels, |panels| {
            let mut room = Vec::new();
            for panel in panels.clone() {
                // SAFETY: a panel is in one part.
                unsafe { self.panel(level, panel, &mut room) };
            }
            // SAFETY: as above.
            unsafe { self.add_pooled(panels) };
        });
    }

    /// Adds what of the extras lies in pools to panels that have been computed: row by row, since a row's numbers lie side by side.
    ///
    /// # Safety
    /// No other task touches the panels' columns of the output in the meantime.
    pub unsafe fn add_pooled(&self, panels: Range<usize>) {
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

    /// Computes one panel of all rows, but for what [`Product::add_pooled`] adds.
    ///
    /// # Safety
    /// No other task touches the panel's columns of the output in the meantime.
    pub unsafe fn panel(&self, level: Level, panel: usize, room: &mut Vec<f32>) {
        let column = panel * LANES;
        let inputs = self.weights.inputs;
        let mut extra_room = Vec::new();
        let extra = match self.extras {
            [] => Extra::None,
            extras => extras[self.weights.starts.partition_point(|s| *s <= column) - 1],
        };
        let map_start = self.weights.starts[self.weights.starts.partition_point(|s| *s <= column) - 1];
        for from in (0..inputs).step_by(TERMS) {
            let n = TERMS.min(inputs - from);
            let last = from + n == inputs;
            let first = match self.start {
                _ if from > 0 => First::Output,
                Start::Zero => First::Zero,
                Start::Bias(bias) => First::Bias(&bias[column..column + LANES]),
                Start::Output => First::Output,
            };
            let (z, z_ld, u) = match extra {
                Extra::Shared { z, ld, u } if last => (
                    z,
                    ld,
                    u.weights((column - map_start) / LANES, 0, u.inputs, &mut extra_room),
                ),
                _ => (&[][..], 0, &[][..]),
            };
            let job = Panel {
                terms: n,
                x: (&self.x[from..], self.x_ld),
                w: (self.weights.weights(panel, from, n, room), LANES),
                z: (z, z_ld),
                u,
                first,
                // SAFETY: inside of the matrix, and the panel's columns are this task's (the caller's promise).
                y: unsafe { Columns::of(self.y.column(column, LANES), self.y.rows(), self.y.ld, LANES) },
            };
            rows_by_panel(level, job);
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
            let first = column - map_start;
            for (row, member) in members.iter().enumerate() {
                let z = &z[row * ld..row * ld + rank];
                // SAFETY: the panel's columns are this task's (the caller's promise).
                let y = unsafe { self.y.piece(row, column..column + LANES.min(outputs - first)) };
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
    /// All rows of one panel of 16 outputs.
    fn rows_by_panel(Panel) = body, [14, 1], [6, 1], |job| {
        job.check();
    }
}

#[cfg(test)]
mod tests {
    use super::super::Precision;
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
        let (inputs, outputs, rank, rows) = (320, 37, 5, 31);
        let (w, x, u, z) = (
            drawn(0, inputs * outputs),
            drawn(1, inputs * rows),
            drawn(2, outputs * rank),
            drawn(3, rows * rank),
        );
        let bias = drawn(4, outputs.next_multiple_of(LANES));
        let up = Packed::new(&[&u], rank, Precision::F32);
        for precision in [
            Precision::F32,
            Precision::Bf16,
            Precision::Int8,
            Precision::Int4 { group: 64 },
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
                let (x, start) = (&x[from * inputs..], Start::Bias(&bias));
                Product {
                    weights: &weights,
                    x,
                    x_ld: inputs,
                    start,
                    extras: &extras,
                    y: y_matrix,
                }
                .run(level, team);
                y
            };
            let want = run(Level::best(), Team::Alone, 0, rows);
            for (row, want) in want.chunks_exact(weights.outputs()).enumerate() {
                let mut weight = vec![0.0; inputs];
                for o in 0..outputs {
                    weights.row(o, &mut weight);
                    let term = |(a, b): (&f32, &f32)| f64::from(*a) * f64::from(*b);
                    let plain: f64 = x[row * inputs..].iter().zip(&weight).map(term).sum();
                    let extra: f64 = z[row * rank..].iter().zip(&u[o * rank..(o + 1) * rank]).map(term).sum();
                    let exact = f64::from(bias[o]) + plain + extra;
                    assert!(
                        (f64::from(want[o]) - exact).abs() < 1e-4,
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
