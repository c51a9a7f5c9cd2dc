//! Products of a batch of rows with packed weights.
//!
//! A sum has one accumulator and takes its terms in the order of the inputs, fused: so a row's bits depend neither on the other rows, nor on
//! how the work is cut, nor on the width of vectors.

use illume_numerics::lanes::{LANES, Lanes, tile};
use illume_numerics::{Level, versions};

use super::matrix::{Matrix, Team};
use super::ops::add_products;
use super::packed::Packed;

/// Inputs that are taken at once: a panel of them stays in the first-level cache.
const TERMS: usize = 256;

/// What a product adds to.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    Zero,
    /// `[outputs]`.
    Bias(&'a [f32]),
    /// What is in the output.
    Output,
}

/// An adapter's part of one map of a product.
#[derive(Clone, Copy)]
pub(crate) enum Extra<'a> {
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
}

/// Some rows through some panels.
pub(crate) struct Product<'a> {
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
        let pieces = team.pieces(panels);
        team.each(pieces, |i| {
            let mut room = Vec::new();
            for panel in illume_core::block(panels, i, pieces) {
                // SAFETY: a panel is in one piece.
                unsafe { self.panel(level, panel, &mut room) };
            }
        });
    }

    /// Computes one panel of all rows.
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
            let start = match self.start {
                _ if from > 0 => From::Output,
                Start::Zero => From::Zero,
                Start::Bias(bias) => From::Bias(&bias[column..column + LANES]),
                Start::Output => From::Output,
            };
            let (z, z_ld, u) = match extra {
                Extra::Shared { z, ld, u } if last => (
                    z,
                    ld,
                    u.weights((column - map_start) / LANES, 0, u.inputs, &mut extra_room),
                ),
                _ => (&[][..], 0, &[][..]),
            };
            let job = Tile {
                rows: self.y.rows(),
                x: &self.x[from..],
                x_ld: self.x_ld,
                w: self.weights.weights(panel, from, n, room),
                z,
                z_ld,
                u,
                start,
                y: self.y.column(column, LANES),
                y_ld: self.y.ld,
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
                // SAFETY: the panel's columns are this task's, and inside of the matrix.
                let y = unsafe {
                    let at = self.y.column(column, LANES).add(row * self.y.ld);
                    std::slice::from_raw_parts_mut(at, LANES.min(outputs - first))
                };
                add_products(&b[(*member as usize * outputs + first) * rank..], z, y);
            }
        }
    }
}

#[derive(Clone, Copy)]
enum From<'a> {
    Zero,
    Bias(&'a [f32]),
    Output,
}

/// Arguments of [`rows_by_panel`]: `y = start + x w + z u`.
struct Tile<'a> {
    rows: usize,
    x: &'a [f32],
    x_ld: usize,
    /// `[terms, 16]`.
    w: &'a [f32],
    z: &'a [f32],
    z_ld: usize,
    /// `[rank, 16]`.
    u: &'a [f32],
    start: From<'a>,
    /// 16 columns of `rows` rows, which are the caller's.
    y: *mut f32,
    y_ld: usize,
}

#[inline(always)]
unsafe fn body<V: Lanes, const R: usize, const C: usize>(job: Tile) {
    let mut row = 0;
    unsafe {
        while row + R <= job.rows {
            some::<V, R>(&job, row);
            row += R;
        }
        if R > 8 && row + 8 <= job.rows {
            some::<V, 8>(&job, row);
            row += 8;
        }
        if row + 4 <= job.rows {
            some::<V, 4>(&job, row);
            row += 4;
        }
        if row + 2 <= job.rows {
            some::<V, 2>(&job, row);
            row += 2;
        }
        while row < job.rows {
            some::<V, 1>(&job, row);
            row += 1;
        }
    }
}

#[inline(always)]
unsafe fn some<V: Lanes, const R: usize>(job: &Tile, row: usize) {
    unsafe {
        let y = job.y.add(row * job.y_ld);
        let mut acc = [[V::splat(0.0); 1]; R];
        match job.start {
            From::Zero => {}
            From::Bias(bias) => acc = [[V::load(bias.as_ptr())]; R],
            From::Output => {
                for (r, sum) in acc.iter_mut().enumerate() {
                    sum[0] = V::load(y.add(r * job.y_ld));
                }
            }
        }
        let x = job.x.as_ptr().add(row * job.x_ld);
        tile::<V, R, 1, 4>(&mut acc, job.w.len() / LANES, (x, job.x_ld, 1), (job.w.as_ptr(), LANES));
        if !job.u.is_empty() {
            let z = job.z.as_ptr().add(row * job.z_ld);
            tile::<V, R, 1, 4>(&mut acc, job.u.len() / LANES, (z, job.z_ld, 1), (job.u.as_ptr(), LANES));
        }
        for (r, sum) in acc.into_iter().enumerate() {
            sum[0].store(y.add(r * job.y_ld));
        }
    }
}

versions! {
    /// All rows of one panel.
    pub(crate) fn rows_by_panel(Tile) = body, [14, 1], [6, 1], |j| {
        let reach = |ld: usize, terms: usize| if j.rows == 0 { 0 } else { (j.rows - 1) * ld + terms };
        assert!(j.x.len() >= reach(j.x_ld, j.w.len() / LANES) && j.z.len() >= reach(j.z_ld, j.u.len() / LANES));
        assert!(!matches!(j.start, From::Bias(bias) if bias.len() < LANES));
    }
}

#[cfg(test)]
mod tests {
    use super::super::Precision;
    use super::*;
    use illume_core::{Purpose, Stream};

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
        let up = Packed::new(&[&u], rank, Precision::F32).unwrap();
        for precision in [
            Precision::F32,
            Precision::Bf16,
            Precision::Int8,
            Precision::Int4 { group: 64 },
        ] {
            let weights = Packed::new(&[&w], inputs, precision).unwrap();
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
