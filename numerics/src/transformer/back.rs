//! What a product with packed weights passes back to its inputs: products with the transpose, from the same panels.
//!
//! Blocks of sixteen inputs and outputs are turned on the way, for hundreds of rows at a time, so that training needs no second copy of the weights.

use super::Packed;
use super::matrix::Matrix;
use crate::lanes::{LANES, Lanes};
use crate::level::{Level, versions};
use crate::panel::{Columns, First, Lines, Panel};

/// Panels of outputs that are taken at once: turned, a strip of them stays in the first-level cache.
const STRIP: usize = 16;

/// `y = g W + z D`.
pub struct Back<'a> {
    pub weights: &'a Packed,
    /// `[rows, ld]` with all outputs of the weights, those included that fill panels; and `ld`.
    pub g: (&'a [f32], usize),
    /// More weights with the same inputs, and what belongs to their outputs: an adapter's.
    pub extra: Option<(&'a Packed, &'a [f32], usize)>,
    /// Its columns from `at` on, as many as the inputs, filled up to whole vectors.
    pub y: Matrix<'a>,
    pub at: usize,
}

impl Back<'_> {
    /// Vectors of inputs, each of which is computed by itself.
    pub fn panels(&self) -> usize {
        self.weights.inputs.div_ceil(LANES)
    }

    /// The inputs of one panel, of all rows.
    ///
    /// # Safety
    /// No other task touches the panel's columns of the output in the meantime.
    pub unsafe fn panel(&self, level: Level, panel: usize, room: &mut Room) {
        let mut add = false;
        for part in [Some((self.weights, self.g.0, self.g.1)), self.extra] {
            let Some((weights, g, ld)) = part else { continue };
            for from in (0..weights.panels()).step_by(STRIP) {
                let to = (from + STRIP).min(weights.panels());
                room.turn(level, weights, panel, from..to);
                let job = Panel {
                    terms: (to - from) * LANES,
                    x: (&g[from * LANES..], ld),
                    w: Lines::new(&room.turned, LANES),
                    more: 0,
                    z: (&[], 0),
                    u: Lines::NONE,
                    first: if add { First::Output } else { First::Zero },
                    // SAFETY: inside of the matrix, and the panel's columns are this task's (the caller's promise).
                    y: unsafe {
                        Columns::of(
                            self.y.column(self.at + panel * LANES, LANES),
                            self.y.rows(),
                            self.y.ld,
                            LANES,
                        )
                    },
                };
                rows(level, job);
                add = true;
            }
        }
    }
}

/// Buffers of a task.
#[derive(Debug, Default)]
pub struct Room {
    decoded: Vec<f32>,
    turned: Vec<f32>,
}

impl Room {
    /// Sixteen inputs of some panels of outputs as lines, one for each output.
    fn turn(&mut self, level: Level, weights: &Packed, panel: usize, outputs: std::ops::Range<usize>) {
        self.turned.resize(STRIP * LANES * LANES, 0.0);
        let first = panel * LANES;
        let inputs = LANES.min(weights.inputs - first);
        for (output, to) in outputs.zip(self.turned.chunks_exact_mut(LANES * LANES)) {
            let from = weights.weights(output, first, inputs, &mut self.decoded);
            turn(level, Turn { from, to });
        }
    }
}

/// A block of inputs, at most 16, and its transpose.
struct Turn<'a> {
    from: &'a [f32],
    to: &'a mut [f32],
}

#[inline(always)]
unsafe fn turn_body<V: Lanes, const R: usize, const C: usize>(job: Turn) {
    // SAFETY: the level's instructions are there; the block has been checked.
    unsafe {
        V::turn(
            job.from.as_ptr(),
            LANES,
            job.from.len() / LANES,
            job.to.as_mut_ptr(),
            LANES,
        )
    }
}

versions! {
    fn turn(Turn) = turn_body, [1, 1], [1, 1], |job| {
        assert!(job.from.len() <= LANES * LANES && job.to.len() >= LANES * LANES);
    }
}

#[inline(always)]
unsafe fn body<V: Lanes, const R: usize, const C: usize>(mut job: Panel) {
    // SAFETY: the level's instructions are there, and the job has been checked.
    unsafe { job.multiply::<V, R, C>() }
}

versions! {
    /// All rows of one panel of 16 inputs.
    fn rows(Panel) = body, [14, 1], [6, 1], |job| {
        job.check();
    }
}

#[cfg(test)]
mod tests {
    use super::super::Precision;
    use super::*;
    use crate::noise::{Purpose, Stream};

    #[test]
    fn a_product_passes_back_what_its_transpose_says_at_every_level() {
        // More outputs than a strip, and inputs and maps that do not fill panels.
        let (inputs, outputs, other, rank, rows) = (40, 270, 37, 5, 19);
        let drawn = |index, n| {
            let mut values = vec![0.0_f32; n];
            Stream::new(1, Purpose::Init, 0, index).normals(0, &mut values);
            values
        };
        let (one, two) = (drawn(0, inputs * outputs), drawn(1, inputs * other));
        let down = Packed::new(&[&drawn(2, inputs * rank)], inputs, Precision::F32);
        let z = drawn(3, rows * LANES);
        for precision in [
            Precision::F32,
            Precision::Bf16,
            Precision::Int8,
            Precision::Int4 { group: 8 },
        ] {
            let weights = Packed::new(&[&one, &two], inputs, precision);
            let g = drawn(4, rows * weights.outputs());
            let run = |level: Level| {
                let mut y = Vec::new();
                let back = Back {
                    weights: &weights,
                    g: (&g, weights.outputs()),
                    extra: Some((&down, &z, LANES)),
                    y: Matrix::new(&mut y, rows, inputs.next_multiple_of(LANES)),
                    at: 0,
                };
                // SAFETY: one task.
                (0..back.panels()).for_each(|p| unsafe { back.panel(level, p, &mut Room::default()) });
                y
            };
            let got = run(Level::best());
            let mut exact = vec![0.0; rows * inputs.next_multiple_of(LANES)];
            let mut row_of = vec![0.0; inputs];
            for (packed, g) in [(&weights, &g), (&down, &z)] {
                for o in 0..packed.outputs() {
                    packed.row(o, &mut row_of);
                    for row in 0..rows {
                        for (i, w) in row_of.iter().enumerate() {
                            exact[row * inputs.next_multiple_of(LANES) + i] +=
                                f64::from(g[row * packed.outputs() + o]) * f64::from(*w);
                        }
                    }
                }
            }
            for (got, exact) in got.iter().zip(&exact) {
                assert!(
                    (f64::from(*got) - exact).abs() < 1e-3,
                    "{precision:?}: {got} and {exact}"
                );
            }
            for level in Level::available() {
                assert_eq!(run(level), got, "{precision:?}, {level:?}");
            }
        }
    }
}
