//! The singular value decomposition of a few long rows, by `faer` (bidiagonalization, divide and conquer) on one thread, in f64.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{Col, Mat, MatRef, Par};

/// Singular values below this share of the largest are rounding errors.
const NOTHING: f64 = 1e-13;

/// `left diag(values) right` of a matrix `[rows, width]` with `rows <= width`.
pub struct Thin {
    /// `[rows, rows]`, row by row; column i belongs to value i.
    pub left: Vec<f64>,
    /// Descending, `[rows]`.
    pub values: Vec<f64>,
    /// Orthonormal rows, `[rows, width]`.
    pub right: Vec<f64>,
}

/// Decomposes `matrix [rows, width]`, `1 <= rows <= width`; none if it holds what is not finite. The largest entry (the first of equals) of each
/// column of `left` is positive.
pub fn decompose(matrix: &[f64], rows: usize, width: usize) -> Option<Thin> {
    assert!(rows >= 1 && rows <= width && matrix.len() == rows * width);
    // What lies row by row is the transpose column by column.
    let turned = MatRef::from_column_major_slice(matrix, width, rows);
    let mut values = Col::<f64>::zeros(rows);
    let [mut right, mut left] = [width, rows].map(|n| Mat::<f64>::zeros(n, rows));
    let vectors = ComputeSvdVectors::Thin;
    let scratch = svd_scratch::<f64>(width, rows, vectors, vectors, Par::Seq, Default::default());
    svd(
        turned,
        values.as_diagonal_mut(),
        Some(right.as_mut()),
        Some(left.as_mut()),
        Par::Seq,
        MemStack::new(&mut MemBuffer::new(scratch)),
        Default::default(),
    )
    .ok()?;
    let larger = |m: f64, x: &f64| if x.abs() > m.abs() { *x } else { m };
    let signs: Vec<f64> = left
        .col_iter()
        .map(|column| {
            if column.iter().fold(0.0, larger) < 0.0 {
                -1.0
            } else {
                1.0
            }
        })
        .collect();
    let real = |x: &f64| if *x > NOTHING * values[0] { *x } else { 0.0 };
    Some(Thin {
        left: (0..rows * rows)
            .map(|i| signs[i % rows] * left[(i / rows, i % rows)])
            .collect(),
        right: (0..rows * width)
            .map(|i| signs[i / width] * right[(i % width, i / width)])
            .collect(),
        values: values.iter().map(real).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    fn rebuilt(thin: &Thin, rows: usize, width: usize) -> Vec<f64> {
        (0..rows * width)
            .map(|i| {
                (0..rows)
                    .map(|k| thin.left[i / width * rows + k] * thin.values[k] * thin.right[k * width + i % width])
                    .sum()
            })
            .collect()
    }

    /// A matrix and its decomposition, checked: it multiplies back, both sides are orthonormal, values descend, signs are as promised.
    fn checked(matrix: &[f64], rows: usize, width: usize) -> Thin {
        let thin = decompose(matrix, rows, width).unwrap();
        for (x, y) in rebuilt(&thin, rows, width).iter().zip(matrix) {
            assert!((x - y).abs() < 1e-12, "{x} for {y}");
        }
        for i in 0..rows {
            for j in 0..rows {
                let one = if i == j { 1.0 } else { 0.0 };
                let right = dot(&thin.right[i * width..][..width], &thin.right[j * width..][..width]);
                let left: f64 = (0..rows)
                    .map(|k| thin.left[k * rows + i] * thin.left[k * rows + j])
                    .sum();
                assert!((right - one).abs() < 1e-12 && (left - one).abs() < 1e-12);
            }
            let column: Vec<f64> = (0..rows).map(|k| thin.left[k * rows + i]).collect();
            let largest = column
                .iter()
                .fold(0.0_f64, |m, x| if x.abs() > m.abs() { *x } else { m });
            assert!(largest > 0.0);
        }
        assert!(thin.values.is_sorted_by(|a, b| a >= b));
        thin
    }

    #[test]
    fn the_decomposition_of_a_matrix_worked_by_hand_is_found() {
        // M M' = [[9, 12], [12, 41]], with eigenvalues 45 and 5.
        let thin = checked(&[3.0, 0.0, 4.0, 5.0], 2, 2);
        assert!((thin.values[0] - 45_f64.sqrt()).abs() < 1e-14 && (thin.values[1] - 5_f64.sqrt()).abs() < 1e-14);
        assert!(
            (thin.left[0] - 1.0 / 10_f64.sqrt()).abs() < 1e-14 && (thin.left[2] - 3.0 / 10_f64.sqrt()).abs() < 1e-14
        );
    }

    #[test]
    fn matrices_of_many_shapes_multiply_back_and_repeat_bit_for_bit() {
        use crate::noise::{Purpose, Stream};
        for (number, (rows, width)) in [(1, 1), (1, 9), (2, 17), (8, 64), (16, 50), (24, 24)]
            .into_iter()
            .enumerate()
        {
            let mut noise = vec![0.0_f32; rows * width];
            Stream::new(5, Purpose::Text, 0, number as u64).normals(0, &mut noise);
            let matrix: Vec<f64> = noise.iter().map(|x| f64::from(*x)).collect();
            let (one, two) = (checked(&matrix, rows, width), decompose(&matrix, rows, width).unwrap());
            assert!(one.left == two.left && one.values == two.values && one.right == two.right);
        }
    }

    #[test]
    fn dependent_and_empty_rows_have_values_of_zero_and_an_orthonormal_basis() {
        let thin = checked(&[1.0, 2.0, 2.0, 0.0, 2.0, 4.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0], 3, 4);
        assert!((thin.values[0] - 45_f64.sqrt()).abs() < 1e-13 && thin.values[1..] == [0.0, 0.0]);
        assert_eq!(checked(&[0.0; 6], 2, 3).values, [0.0, 0.0]);
        assert!(decompose(&[f64::NAN, 0.0, 1.0, 0.0], 2, 2).is_none());
    }
}
