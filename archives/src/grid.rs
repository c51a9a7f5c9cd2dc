//! Equal boxes: the cells of MAP-Elites (Mouret and Clune, 'Illuminating search spaces by mapping elites', 2015).

use illume_core::Axis;

/// A box divided into `shape[i]` equal parts along axis i; the last axis varies fastest.
///
/// A point on an inner edge belongs to the cell above it, one on the upper bound to the last cell.
#[derive(Debug, Clone)]
pub(crate) struct Grid {
    sides: Vec<Side>,
}

/// One axis, and how far its cells are apart in the cell number.
#[derive(Debug, Clone, Copy)]
struct Side {
    lower: f64,
    upper: f64,
    /// Cells per unit.
    scale: f64,
    /// Number of the last cell along this axis.
    last: f64,
    stride: f64,
}

impl Grid {
    /// The grid of these axes; `shape` has one entry for each, and their product fits 31 bits.
    pub(crate) fn new(axes: &[Axis], shape: &[usize]) -> Grid {
        let mut stride = 1.0;
        let mut sides: Vec<Side> = axes
            .iter()
            .zip(shape)
            .rev()
            .map(|(axis, &n)| {
                let extent = axis.upper - axis.lower;
                let side = Side {
                    lower: axis.lower,
                    upper: axis.upper,
                    scale: n as f64 / extent,
                    last: (n - 1) as f64,
                    stride,
                };
                stride *= n as f64;
                side
            })
            .collect();
        sides.reverse();
        Grid { sides }
    }

    /// Cell of each row of `descriptors` (`[rows, k]`, k at least 1); -1 for a row that is not finite. Outside the bounds: the nearest edge cell.
    pub(crate) fn locate(&self, descriptors: &[f64], cells: &mut [i64]) {
        match self.sides.as_slice() {
            [a] => fixed([*a], descriptors, cells),
            [a, b] => fixed([*a, *b], descriptors, cells),
            [a, b, c] => fixed([*a, *b, *c], descriptors, cells),
            [a, b, c, d] => fixed([*a, *b, *c, *d], descriptors, cells),
            sides => any(sides, descriptors, cells),
        }
    }
}

fn fixed<const K: usize>(sides: [Side; K], descriptors: &[f64], cells: &mut [i64]) {
    illume_numerics::simd_dispatch!(
        fn [const K: usize](sides: [Side; K], descriptors: &[f64], cells: &mut [i64]) {
            for (row, cell) in descriptors.chunks_exact(K).zip(cells) {
                *cell = locate_one(&sides, row);
            }
        }
    )
}

fn any(sides: &[Side], descriptors: &[f64], cells: &mut [i64]) {
    for (row, cell) in descriptors.chunks_exact(sides.len()).zip(cells) {
        *cell = locate_one(sides, row);
    }
}

/// The cell number is summed in f64, exact below 2^53, so that the loop over rows vectorizes.
#[inline(always)]
fn locate_one(sides: &[Side], row: &[f64]) -> i64 {
    let (mut cell, mut finite) = (0.0, true);
    for (side, &x) in sides.iter().zip(row) {
        finite &= x.is_finite();
        let clipped = if x > side.lower { x } else { side.lower };
        let clipped = if clipped < side.upper { clipped } else { side.upper };
        let along = ((clipped - side.lower) * side.scale).floor();
        cell += (if along < side.last { along } else { side.last }) * side.stride;
    }
    small_integer(if finite { cell } else { -1.0 })
}

/// A whole number below 2^51 as an integer. (`as` vectorizes badly, since it must heed all other numbers.)
#[inline(always)]
fn small_integer(x: f64) -> i64 {
    /// With this added, the lowest bits of a double are the number itself.
    const SHIFT: f64 = 6_755_399_441_055_744.0;
    (x + SHIFT).to_bits().wrapping_sub(SHIFT.to_bits()) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grid(bounds: &[[f64; 2]], shape: &[usize]) -> Grid {
        let axes: Vec<Axis> = bounds.iter().map(|b| Axis::new("x", "", b[0], b[1])).collect();
        Grid::new(&axes, shape)
    }

    fn locate(grid: &Grid, point: &[f64]) -> i64 {
        let mut cell = [0];
        grid.locate(point, &mut cell);
        cell[0]
    }

    #[test]
    fn the_last_axis_varies_fastest() {
        let g = grid(&[[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], &[2, 3, 4]);
        for i in 0..2 {
            for j in 0..3 {
                for k in 0..4 {
                    let p = [(i as f64 + 0.5) / 2.0, (j as f64 + 0.5) / 3.0, (k as f64 + 0.5) / 4.0];
                    assert_eq!(locate(&g, &p), (i * 3 + j) * 4 + k);
                }
            }
        }
    }

    #[test]
    fn the_upper_bound_belongs_to_the_last_cell() {
        let g = grid(&[[-1.0, 2.0]], &[7]);
        assert_eq!(locate(&g, &[2.0]), 6);
        assert_eq!(locate(&g, &[2.0f64.next_down()]), 6);
        assert_eq!(locate(&g, &[-1.0]), 0);
    }

    #[test]
    fn points_outside_go_to_the_nearest_edge_cell_and_nan_nowhere() {
        let g = grid(&[[0.0, 1.0], [0.0, 1.0]], &[10, 10]);
        assert_eq!(locate(&g, &[-5.0, 0.55]), 5);
        assert_eq!(locate(&g, &[9.0, 1e300]), 99);
        assert_eq!(locate(&g, &[f64::NAN, 0.5]), -1);
        assert_eq!(locate(&g, &[0.5, f64::INFINITY]), -1);
    }

    #[test]
    fn inner_edges_with_exact_binary_values_belong_to_the_cell_above() {
        let g = grid(&[[0.0, 1.0]], &[64]);
        for i in 0..64 {
            assert_eq!(locate(&g, &[i as f64 / 64.0]), i);
            assert_eq!(locate(&g, &[(i as f64 / 64.0).next_down()]), (i - 1).max(0));
        }
    }

    proptest! {
        #[test]
        fn cell_numbers_never_fall_along_an_axis(lower in -1e3..1e3f64, extent in 1e-3..1e3f64, n in 1usize..2000, steps in 1usize..2000) {
            let g = grid(&[[lower, lower + extent]], &[n]);
            let mut last = -1;
            for i in 0..=steps {
                let cell = locate(&g, &[lower + extent * i as f64 / steps as f64]);
                prop_assert!(cell >= last && cell >= 0 && cell < n as i64);
                last = cell;
            }
        }

        #[test]
        fn five_axes_agree_with_the_formula(points in prop::collection::vec(0.0..1.0f64, 5)) {
            let shape = [3, 4, 5, 2, 7];
            let g = grid(&[[0.0, 1.0]; 5], &shape);
            let expected = points.iter().zip(shape).fold(0, |c, (x, n)| c * n as i64 + (x * n as f64) as i64);
            prop_assert_eq!(locate(&g, &points), expected);
        }
    }
}
