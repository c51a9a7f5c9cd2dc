//! The middle of a cell: where an elite would lie if it were exactly what its cell stands for.

use illume_core::{ArchiveSpec, Cells};

/// Centers of these cells, `[cells, k]`: the middle of a grid's box, the centroid of a CVT's cell. NaN for a number that is no cell, and in
/// an unstructured archive, which has none.
pub fn centers(spec: &ArchiveSpec, cells: &[i64]) -> Vec<f64> {
    let k = spec.axes.len();
    let mut centers = vec![f64::NAN; cells.len() * k];
    for (cell, center) in cells.iter().zip(centers.chunks_exact_mut(k.max(1))) {
        let Some(mut cell) = usize::try_from(*cell).ok().filter(|c| *c < spec.capacity) else {
            continue;
        };
        match &spec.cells {
            Cells::Cvt { centroids } => center.copy_from_slice(&centroids[cell * k..(cell + 1) * k]),
            Cells::None => {}
            Cells::Grid { shape } => {
                // The last axis varies fastest.
                for ((x, axis), &n) in center.iter_mut().zip(&spec.axes).zip(shape).rev() {
                    let along = (cell % n) as f64 + 0.5;
                    *x = axis.lower + (axis.upper - axis.lower) * (along / n as f64);
                    cell /= n;
                }
            }
        }
    }
    centers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::Grid;
    use illume_core::Axis;

    #[test]
    fn the_center_of_every_cell_of_a_grid_lies_in_it() {
        let axes = [
            Axis::new("x", "m", -3.0, 1.0),
            Axis::new("y", "", 0.0, 1.0),
            Axis::new("z", "", 2.0, 9.0),
        ];
        let shape = [3, 7, 2];
        let spec = ArchiveSpec {
            kind: "grid".into(),
            axes: axes.to_vec(),
            cells: Cells::Grid { shape: shape.to_vec() },
            capacity: 42,
            qd_offset: 0.0,
            rules: Vec::new(),
        };
        let cells: Vec<i64> = (0..42).collect();
        let centers = centers(&spec, &cells);
        let mut located = vec![-1; 42];
        Grid::new(&axes, &shape).locate(&centers, &mut located);
        assert_eq!(located, cells);
        assert_eq!(centers[..3], [-3.0 + 4.0 / 6.0, 1.0 / 14.0, 3.75]);
    }

    #[test]
    fn the_center_of_a_cvt_cell_is_its_centroid_and_of_no_cell_there_is_none() {
        let spec = ArchiveSpec {
            kind: "cvt".into(),
            axes: vec![Axis::new("x", "m", 0.0, 1.0), Axis::new("y", "", 0.0, 1.0)],
            cells: Cells::Cvt {
                centroids: vec![0.1, 0.2, 0.7, 0.8],
            },
            capacity: 2,
            qd_offset: 0.0,
            rules: Vec::new(),
        };
        let found = centers(&spec, &[1, 0, -1, 2]);
        assert_eq!(found[..4], [0.7, 0.8, 0.1, 0.2]);
        assert!(found[4..].iter().all(|x| x.is_nan()));
    }
}
