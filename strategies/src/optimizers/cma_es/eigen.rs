//! Eigenvectors of a symmetric matrix, by `faer` (tridiagonalization, divide and conquer), always divided in the same way.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{Col, Mat, Par};
use illume_core::{Error, Result};

use super::product::Symmetric;

/// Pieces into which work is cut, whatever the number of threads: `faer`'s bits depend on the pieces, not on who does them.
const PIECES: usize = 4;
/// Genes from which cutting pays.
const CUT: usize = 256;

/// `C = vectors * diag(values) * vectors'`.
pub(super) struct Decomposition {
    /// Ascending.
    pub values: Vec<f64>,
    /// One a column.
    pub vectors: Mat<f64>,
}

/// # Errors
/// It does not converge: the matrix holds what is not finite.
pub(super) fn decompose(matrix: &Symmetric) -> Result<Decomposition> {
    let n = matrix.dim;
    let lower = Mat::from_fn(n, n, |i, j| if j <= i { matrix.at(i, j) } else { 0.0 });
    let par = if n < CUT { Par::Seq } else { Par::rayon(PIECES) };
    let mut values = Col::<f64>::zeros(n);
    let mut vectors = Mat::<f64>::zeros(n, n);
    let scratch = self_adjoint_evd_scratch::<f64>(n, ComputeEigenvectors::Yes, par, Default::default());
    let mut memory = MemBuffer::new(scratch);
    self_adjoint_evd(
        lower.as_ref(),
        values.as_diagonal_mut(),
        Some(vectors.as_mut()),
        par,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|_| {
        Error::failed("the covariance of the candidates has no eigenvectors: fitness drove it beyond all numbers")
    })?;
    Ok(Decomposition {
        values: values.iter().copied().collect(),
        vectors,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(n: usize) -> Symmetric {
        let lower: Vec<f64> = (0..n)
            .flat_map(|i| {
                (0..=i).map(move |j| {
                    let x = (illume_core::mix64((i * n + j) as u64) >> 40) as f64 / (1u64 << 24) as f64;
                    x + if i == j { n as f64 } else { 0.0 }
                })
            })
            .collect();
        Symmetric::of_lower(n, &lower)
    }

    #[test]
    fn vectors_and_values_give_back_the_matrix() {
        for n in [1, 2, 7, 40] {
            let matrix = example(n);
            let d = decompose(&matrix).unwrap();
            assert!(d.values.windows(2).all(|v| v[0] <= v[1]));
            for i in 0..n {
                for j in 0..=i {
                    let sum: f64 = (0..n)
                        .map(|k| d.vectors[(i, k)] * d.values[k] * d.vectors[(j, k)])
                        .sum();
                    assert!((sum - matrix.at(i, j)).abs() < 1e-10, "{n}: {i}, {j}");
                }
            }
        }
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bits() {
        let matrix = example(CUT + 44);
        let bits: Vec<Vec<u64>> = [1, 2, 3, 5]
            .into_iter()
            .map(|threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let d = pool.install(|| decompose(&matrix)).unwrap();
                let vectors = d
                    .vectors
                    .col_iter()
                    .flat_map(|c| c.iter().map(|x| x.to_bits()).collect::<Vec<_>>());
                d.values.iter().map(|x| x.to_bits()).chain(vectors).collect()
            })
            .collect();
        assert!(bits.windows(2).all(|b| b[0] == b[1]));
    }
}
