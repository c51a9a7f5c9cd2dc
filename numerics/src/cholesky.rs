//! The Cholesky factor of a covariance: `C = L L'` with L lower triangular. A hundredth of what its eigenvectors cost (100 rows), and as good for drawing. Every element is one chain
//! of fused multiply-adds in a fixed order, so bits depend neither on threads nor on the width of the vectors.

use crate::covariance::Symmetric;

/// L by columns, `[dim][dim]`, zeros above its diagonal; none if the matrix is not positive definite, or holds what is not finite.
pub fn factor(matrix: &Symmetric) -> Option<Vec<f64>> {
    let n = matrix.dim;
    let mut columns = vec![0.0; n * n];
    for (j, column) in columns.chunks_exact_mut(n.max(1)).enumerate() {
        (j..n).for_each(|i| column[i] = matrix.at(i, j));
    }
    factorize(&mut columns, n).then_some(columns)
}

fn factorize(columns: &mut [f64], n: usize) -> bool {
    crate::simd_dispatch!(
        fn [](columns: &mut [f64], n: usize) -> bool { by_columns(columns, n) }
    )
}

/// Columns that are subtracted from another one at once, so that it is loaded and stored once for all of them.
const TOGETHER: usize = 4;

#[inline(always)]
fn by_columns(columns: &mut [f64], n: usize) -> bool {
    for j in 0..n {
        let (before, column) = columns.split_at_mut(j * n);
        let column = &mut column[j..n];
        let mut fours = before.chunks_exact(TOGETHER * n);
        for four in &mut fours {
            let [a, b, c, d] = [0, 1, 2, 3].map(|k| &four[k * n + j..(k + 1) * n]);
            let [wa, wb, wc, wd] = [-a[0], -b[0], -c[0], -d[0]];
            for ((((x, a), b), c), d) in column.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *x = d.mul_add(wd, c.mul_add(wc, b.mul_add(wb, a.mul_add(wa, *x))));
            }
        }
        for other in fours.remainder().chunks_exact(n) {
            let other = &other[j..];
            let w = -other[0];
            column.iter_mut().zip(other).for_each(|(x, a)| *x = a.mul_add(w, *x));
        }
        let pivot = column[0].sqrt();
        if !(pivot > 0.0 && pivot.is_finite()) {
            return false;
        }
        let scale = 1.0 / pivot;
        column.iter_mut().for_each(|x| *x *= scale);
        column[0] = pivot;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(n: usize) -> Symmetric {
        let lower = (0..n).flat_map(|i| (0..=i).map(move |j| (i, j)));
        let lower: Vec<f64> = lower
            .map(|(i, j)| {
                let x = (crate::noise::mix64((i * n + j) as u64) >> 40) as f64 / (1u64 << 24) as f64;
                x + if i == j { n as f64 } else { 0.0 }
            })
            .collect();
        Symmetric::of_lower(n, &lower)
    }

    #[test]
    fn the_factor_times_itself_is_the_matrix() {
        for n in [1, 2, 3, 7, 40, 101] {
            let matrix = example(n);
            let l = factor(&matrix).unwrap();
            for i in 0..n {
                for j in 0..=i {
                    let sum: f64 = (0..n).map(|k| l[k * n + i] * l[k * n + j]).sum();
                    assert!((sum - matrix.at(i, j)).abs() < 1e-11 * n as f64, "{n}: {i}, {j}");
                }
                assert!(
                    (i + 1..n).all(|k| l[k * n + i] == 0.0),
                    "{n}: row {i} ends on the diagonal"
                );
            }
        }
    }

    #[test]
    fn all_versions_give_the_same_bits() {
        let n = 53;
        let l = factor(&example(n)).unwrap();
        let mut plain = vec![0.0; n * n];
        (0..n).for_each(|j| (j..n).for_each(|i| plain[j * n + i] = example(n).at(i, j)));
        assert!(by_columns(&mut plain, n));
        assert_eq!(l, plain);
    }

    #[test]
    fn what_is_no_covariance_has_no_factor() {
        assert!(factor(&Symmetric::of_lower(2, &[1.0, 2.0, 1.0])).is_none());
        assert!(factor(&Symmetric::of_lower(2, &[1.0, f64::NAN, 1.0])).is_none());
        assert!(factor(&Symmetric::of_lower(1, &[0.0])).is_none());
    }
}
