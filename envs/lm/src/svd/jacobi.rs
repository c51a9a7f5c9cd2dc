//! The singular value decomposition of a few long rows by Hestenes' one-sided Jacobi rotations (Golub and Van Loan, Matrix Computations, section 8.6),
//! in f64: accurate to the last singular value, and the same bits on every run.

use std::cmp::Ordering;

/// Rows are orthogonal when their product is below this, in units of their lengths.
const ORTHOGONAL: f64 = 1e-15;
/// Singular values below this share of the largest are rounding errors.
const NOTHING: f64 = 1e-13;
/// Convergence is quadratic: six to ten sweeps are usual.
const SWEEPS: usize = 60;

/// `left diag(values) right` of a matrix `[rows, width]` with `rows <= width`.
pub(crate) struct Thin {
    /// `[rows, rows]`, row by row; column i belongs to value i.
    pub left: Vec<f64>,
    /// Descending, `[rows]`.
    pub values: Vec<f64>,
    /// Orthonormal rows, `[rows, width]`.
    pub right: Vec<f64>,
}

/// Decomposes `matrix [rows, width]`, `1 <= rows <= width`. The largest entry (the first of equals) of each column of `left` is positive.
pub(crate) fn decompose(matrix: &[f64], rows: usize, width: usize) -> Thin {
    assert!(rows >= 1 && rows <= width && matrix.len() == rows * width);
    let mut work: Vec<Vec<f64>> = matrix.chunks(width).map(<[f64]>::to_vec).collect();
    let mut left: Vec<Vec<f64>> = (0..rows)
        .map(|i| (0..rows).map(|k| if i == k { 1.0 } else { 0.0 }).collect())
        .collect();
    for _ in 0..SWEEPS {
        let mut turned = false;
        for i in 0..rows {
            for j in i + 1..rows {
                turned |= orthogonalize(&mut work, &mut left, i, j);
            }
        }
        if !turned {
            break;
        }
    }
    sorted(work, left, width)
}

/// Turns rows i and j of `work` in their plane until they are orthogonal, and columns i and j of the product of all turns, kept as rows of `left`.
fn orthogonalize(work: &mut [Vec<f64>], left: &mut [Vec<f64>], i: usize, j: usize) -> bool {
    let (a, b) = (dot(&work[i], &work[i]), dot(&work[j], &work[j]));
    let c = dot(&work[i], &work[j]);
    if c.abs() <= ORTHOGONAL * (a * b).sqrt() {
        return false;
    }
    let zeta = (b - a) / (2.0 * c);
    let t = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
    let cos = 1.0 / (1.0 + t * t).sqrt();
    let sin = cos * t;
    for list in [work, left] {
        let (head, tail) = list.split_at_mut(j);
        for (x, y) in head[i].iter_mut().zip(&mut tail[0]) {
            (*x, *y) = (cos * *x - sin * *y, sin * *x + cos * *y);
        }
    }
    true
}

fn sorted(work: Vec<Vec<f64>>, left: Vec<Vec<f64>>, width: usize) -> Thin {
    let rows = work.len();
    let lengths: Vec<f64> = work.iter().map(|w| dot(w, w).sqrt()).collect();
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by(|i, j| lengths[*j].partial_cmp(&lengths[*i]).unwrap_or(Ordering::Equal));
    let nothing = NOTHING * lengths[order[0]];
    let mut right: Vec<Vec<f64>> = Vec::new();
    let mut values = Vec::new();
    for i in &order {
        let length = lengths[*i];
        if length > nothing {
            values.push(length);
            right.push(work[*i].iter().map(|x| x / length).collect());
        } else {
            values.push(0.0);
            right.push(completion(&right, width));
        }
    }
    let mut out = Thin {
        left: vec![0.0; rows * rows],
        values,
        right: Vec::with_capacity(rows * width),
    };
    for (column, (i, row)) in order.iter().zip(&right).enumerate() {
        let turns = &left[*i];
        let largest = turns
            .iter()
            .fold(0.0_f64, |m, x| if x.abs() > m.abs() { *x } else { m });
        let sign = if largest < 0.0 { -1.0 } else { 1.0 };
        for (k, x) in turns.iter().enumerate() {
            out.left[k * rows + column] = sign * x;
        }
        out.right.extend(row.iter().map(|x| sign * x));
    }
    out
}

/// A row of length 1 that is orthogonal to `rows`, of which there are fewer than `width`.
fn completion(rows: &[Vec<f64>], width: usize) -> Vec<f64> {
    // Of the unit vectors the one that `rows` span least.
    let spanned = |k: usize| rows.iter().map(|r| r[k] * r[k]).sum::<f64>();
    let axis = (0..width)
        .min_by(|a, b| spanned(*a).partial_cmp(&spanned(*b)).unwrap_or(Ordering::Equal))
        .expect("a matrix has a column");
    let mut row = vec![0.0; width];
    row[axis] = 1.0;
    // Twice is enough (Kahan; Parlett, The Symmetric Eigenvalue Problem, section 6.9).
    for _ in 0..2 {
        for other in rows {
            let along = dot(&row, other);
            row.iter_mut().zip(other).for_each(|(x, o)| *x -= along * o);
        }
    }
    let length = dot(&row, &row).sqrt();
    row.iter_mut().for_each(|x| *x /= length);
    row
}

/// In eight partial sums, so that it can be made by vector instructions.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (a_lanes, b_lanes) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a_lanes
        .remainder()
        .iter()
        .zip(b_lanes.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a_lanes.zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += x[lane] * y[lane];
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let thin = decompose(matrix, rows, width);
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
        use illume_core::{Purpose, Stream};
        for (number, (rows, width)) in [(1, 1), (1, 9), (2, 17), (8, 64), (16, 50), (24, 24)]
            .into_iter()
            .enumerate()
        {
            let mut noise = vec![0.0_f32; rows * width];
            Stream::new(5, Purpose::Text, 0, number as u64).normals(0, &mut noise);
            let matrix: Vec<f64> = noise.iter().map(|x| f64::from(*x)).collect();
            let (one, two) = (checked(&matrix, rows, width), decompose(&matrix, rows, width));
            assert!(one.left == two.left && one.values == two.values && one.right == two.right);
        }
    }

    #[test]
    fn dependent_and_empty_rows_have_values_of_zero_and_an_orthonormal_basis() {
        let thin = checked(&[1.0, 2.0, 2.0, 0.0, 2.0, 4.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0], 3, 4);
        assert!((thin.values[0] - 45_f64.sqrt()).abs() < 1e-13 && thin.values[1..] == [0.0, 0.0]);
        assert_eq!(checked(&[0.0; 6], 2, 3).values, [0.0, 0.0]);
    }
}
