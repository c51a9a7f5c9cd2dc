//! Products for dense covariances in f64. Every element of a result is one chain of fused multiply-adds in a fixed order, so bits depend neither on
//! threads, nor on the width of the vectors, nor on which members are computed together.
//!
//! Matrices lie in panels of [`ROWS`] rows, `[panels][columns][ROWS]`: what one tile of registers reads in order.

use rayon::prelude::*;

/// Rows of a panel: three vectors of AVX-512.
pub(super) const ROWS: usize = 24;
/// Columns of a tile: 8 x 3 sums leave registers for what is multiplied.
pub(super) const COLUMNS: usize = 8;
const TILE: usize = ROWS * COLUMNS;

/// Multiply-adds below which other threads are not worth waking.
const ALONE: usize = 1 << 20;

/// `sums[j][i] += sum_k a[k][i] * b[k * stride + j]`, k ascending.
type Kernel = unsafe fn(depth: usize, a: *const f64, b: *const f64, stride: usize, sums: *mut f64);

/// Panels that so many rows take.
pub(super) fn panels(rows: usize) -> usize {
    rows.div_ceil(ROWS)
}

/// Members, with the places that tiles need beyond them.
pub(super) fn padded(members: usize) -> usize {
    members.next_multiple_of(COLUMNS)
}

fn for_panels(out: &mut [f64], size: usize, work: usize, f: impl Fn(usize, &mut [f64]) + Sync) {
    if work < ALONE {
        out.chunks_exact_mut(size).enumerate().for_each(|(p, out)| f(p, out));
    } else {
        out.par_chunks_exact_mut(size)
            .with_max_len(1)
            .enumerate()
            .for_each(|(p, out)| f(p, out));
    }
}

/// `out[member] = matrix * vectors[member]` for all members: `matrix` is `[panels][dim][ROWS]`, `vectors` `[members / COLUMNS][dim][COLUMNS]`, `out`
/// `[panels][members][ROWS]`.
pub(super) fn transform(matrix: &[f64], dim: usize, vectors: &[f64], members: usize, out: &mut [f64]) {
    let kernel = kernel();
    assert!(matrix.len() == panels(dim) * dim * ROWS && vectors.len() == members * dim);
    assert!(out.len() == panels(dim) * members * ROWS && members.is_multiple_of(COLUMNS));
    for_panels(out, members * ROWS, dim * dim * members, |p, out| {
        let panel = &matrix[p * dim * ROWS..][..dim * ROWS];
        for (block, tile) in vectors.chunks_exact(dim * COLUMNS).zip(out.chunks_exact_mut(TILE)) {
            tile.fill(0.0);
            // SAFETY: a panel holds dim rows of ROWS, a block dim rows of COLUMNS, a tile TILE sums.
            unsafe { kernel(dim, panel.as_ptr(), block.as_ptr(), COLUMNS, tile.as_mut_ptr()) };
        }
    });
}

/// `matrix * vector` for one vector, `[panels * ROWS]`.
pub(super) fn transform_one(matrix: &[f64], dim: usize, vector: &[f64], out: &mut Vec<f64>) {
    out.clear();
    out.resize(panels(dim) * ROWS, 0.0);
    for_panels(out, ROWS, dim * dim, |p, sums| {
        one(&matrix[p * dim * ROWS..][..dim * ROWS], vector, sums);
    });
}

fn one(panel: &[f64], vector: &[f64], sums: &mut [f64]) {
    illume_core::simd_dispatch!(
        fn [](panel: &[f64], vector: &[f64], sums: &mut [f64]) { accumulate(panel, vector, sums) }
    )
}

#[inline(always)]
fn accumulate(panel: &[f64], vector: &[f64], sums: &mut [f64]) {
    let mut acc = [0.0; ROWS];
    for (row, v) in panel.chunks_exact(ROWS).zip(vector) {
        for (sum, x) in acc.iter_mut().zip(row) {
            *sum = x.mul_add(*v, *sum);
        }
    }
    sums.copy_from_slice(&acc);
}

/// A symmetric matrix: of each panel of rows the columns up to its last row.
#[derive(Debug, Clone, Default)]
pub(super) struct Symmetric {
    pub dim: usize,
    /// Panel p: `[(p + 1) * ROWS][ROWS]`.
    data: Vec<f64>,
}

fn first_of(panel: usize) -> usize {
    ROWS * ROWS * panel * (panel + 1) / 2
}

impl Symmetric {
    pub fn identity(dim: usize) -> Symmetric {
        let mut matrix = Symmetric {
            dim,
            data: vec![0.0; first_of(panels(dim))],
        };
        for i in 0..dim {
            matrix.add(i, 1.0);
        }
        matrix
    }

    /// Element of row i and column j, i not below j.
    pub fn at(&self, i: usize, j: usize) -> f64 {
        debug_assert!(j <= i);
        self.data[first_of(i / ROWS) + j * ROWS + i % ROWS]
    }

    /// Adds to an element of the diagonal.
    pub fn add(&mut self, i: usize, x: f64) {
        self.data[first_of(i / ROWS) + i * ROWS + i % ROWS] += x;
    }

    /// Multiplies row and column i by factor i, for all of them.
    pub fn scale(&mut self, factors: &[f64]) {
        for i in 0..self.dim {
            for j in 0..=i {
                self.data[first_of(i / ROWS) + j * ROWS + i % ROWS] *= factors[i] * factors[j];
            }
        }
    }

    /// The rows of the lower half, one after the other.
    pub fn lower(&self) -> Vec<f64> {
        (0..self.dim)
            .flat_map(|i| (0..=i).map(move |j| self.at(i, j)))
            .collect()
    }

    /// Of the rows of a lower half.
    pub fn of_lower(dim: usize, lower: &[f64]) -> Symmetric {
        let mut matrix = Symmetric {
            dim,
            data: vec![0.0; first_of(panels(dim))],
        };
        for i in 0..dim {
            for (j, x) in lower[i * (i + 1) / 2..][..=i].iter().enumerate() {
                matrix.data[first_of(i / ROWS) + j * ROWS + i % ROWS] = *x;
            }
        }
        matrix
    }

    /// `decay * self + sum over members of y w y'`, members in order: `ys` and `weighted`, which holds `w y`, are `[panels][members][ROWS]`.
    pub fn update(&mut self, decay: f64, ys: &[f64], weighted: &[f64], members: usize) {
        let kernel = kernel();
        let width = members * ROWS;
        assert!(ys.len() == panels(self.dim) * width && weighted.len() == ys.len());
        let mut rest = self.data.as_mut_slice();
        let mut rows: Vec<&mut [f64]> = Vec::with_capacity(panels(self.dim));
        for p in 0..panels(self.dim) {
            let (row, after) = rest.split_at_mut((p + 1) * ROWS * ROWS);
            rows.push(row);
            rest = after;
        }
        let update = |(p, row): (usize, &mut &mut [f64])| {
            let a = &ys[p * width..][..width];
            for (t, tile) in row.chunks_exact_mut(TILE).enumerate() {
                let column = t * COLUMNS;
                let b = &weighted[column / ROWS * width..][..width][column % ROWS..];
                tile.iter_mut().for_each(|x| *x *= decay);
                // SAFETY: both panels hold `members` rows of ROWS; the columns of a tile lie in one panel.
                unsafe { kernel(members, a.as_ptr(), b.as_ptr(), ROWS, tile.as_mut_ptr()) };
            }
        };
        if self.dim * self.dim * members / 2 < ALONE {
            rows.iter_mut().enumerate().for_each(update);
        } else {
            // The longest first.
            rows.par_iter_mut().with_max_len(1).enumerate().rev().for_each(update);
        }
    }
}

fn kernel() -> Kernel {
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512f") {
            return wide;
        }
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            return medium;
        }
    }
    plain
}

/// # Safety
/// As [`Kernel`] says: `a` holds `depth` rows of ROWS, `b` COLUMNS numbers at each of `depth` strides, `sums` COLUMNS rows of ROWS.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn wide(depth: usize, a: *const f64, b: *const f64, stride: usize, sums: *mut f64) {
    use std::arch::x86_64::*;
    unsafe {
        let mut acc = [[_mm512_setzero_pd(); 3]; COLUMNS];
        for (j, acc) in acc.iter_mut().enumerate() {
            for (v, acc) in acc.iter_mut().enumerate() {
                *acc = _mm512_loadu_pd(sums.add(j * ROWS + 8 * v));
            }
        }
        for k in 0..depth {
            let x = [0, 8, 16].map(|v| _mm512_loadu_pd(a.add(k * ROWS + v)));
            for (j, acc) in acc.iter_mut().enumerate() {
                let y = _mm512_set1_pd(*b.add(k * stride + j));
                for (acc, x) in acc.iter_mut().zip(x) {
                    *acc = _mm512_fmadd_pd(x, y, *acc);
                }
            }
        }
        for (j, acc) in acc.iter().enumerate() {
            for (v, acc) in acc.iter().enumerate() {
                _mm512_storeu_pd(sums.add(j * ROWS + 8 * v), *acc);
            }
        }
    }
}

/// # Safety
/// As [`wide`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn medium(depth: usize, a: *const f64, b: *const f64, stride: usize, sums: *mut f64) {
    use std::arch::x86_64::*;
    const PART: usize = 4;
    /// Rows of both that stay in the first-level cache while all parts read them.
    const DEPTH: usize = 96;
    // Parts of 8 rows and 4 columns: 8 sums keep the multiply-adders busy, 12 would be more than 16 registers hold with what is multiplied.
    unsafe {
        for begin in (0..depth).step_by(DEPTH) {
            let rows = begin..depth.min(begin + DEPTH);
            for (row, column) in [(0, 0), (0, PART), (8, 0), (8, PART), (16, 0), (16, PART)] {
                let mut acc = [[_mm256_setzero_pd(); 2]; PART];
                let at = |j: usize, v: usize| (column + j) * ROWS + row + 4 * v;
                for (j, acc) in acc.iter_mut().enumerate() {
                    for (v, acc) in acc.iter_mut().enumerate() {
                        *acc = _mm256_loadu_pd(sums.add(at(j, v)));
                    }
                }
                for k in rows.clone() {
                    let x = [0, 4].map(|v| _mm256_loadu_pd(a.add(k * ROWS + row + v)));
                    for (j, acc) in acc.iter_mut().enumerate() {
                        let y = _mm256_set1_pd(*b.add(k * stride + column + j));
                        for (acc, x) in acc.iter_mut().zip(x) {
                            *acc = _mm256_fmadd_pd(x, y, *acc);
                        }
                    }
                }
                for (j, acc) in acc.iter().enumerate() {
                    for (v, acc) in acc.iter().enumerate() {
                        _mm256_storeu_pd(sums.add(at(j, v)), *acc);
                    }
                }
            }
        }
    }
}

/// # Safety
/// As [`Kernel`] says.
unsafe fn plain(depth: usize, a: *const f64, b: *const f64, stride: usize, sums: *mut f64) {
    // SAFETY: the caller's.
    let (a, sums) = unsafe {
        (
            std::slice::from_raw_parts(a, depth * ROWS),
            std::slice::from_raw_parts_mut(sums, TILE),
        )
    };
    for (k, a) in a.chunks_exact(ROWS).enumerate() {
        for (j, sums) in sums.chunks_exact_mut(ROWS).enumerate() {
            // SAFETY: the caller's.
            let y = unsafe { *b.add(k * stride + j) };
            for (sum, x) in sums.iter_mut().zip(a) {
                *sum = x.mul_add(y, *sum);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(n: usize, seed: u64) -> Vec<f64> {
        (0..n as u64)
            .map(|i| (illume_core::mix64(seed << 32 | i) >> 11) as f64 / (1u64 << 53) as f64 - 0.5)
            .collect()
    }

    #[test]
    fn every_kernel_gives_the_same_bits() {
        let (a, b, start) = (numbers(250 * ROWS, 1), numbers(250 * ROWS, 2), numbers(TILE, 3));
        let run = |kernel: Kernel, stride| {
            let mut sums = start.clone();
            // SAFETY: 250 rows of each.
            unsafe { kernel(250, a.as_ptr(), b.as_ptr(), stride, sums.as_mut_ptr()) };
            sums
        };
        for stride in [COLUMNS, ROWS] {
            let expected = run(plain, stride);
            assert!(
                (expected[ROWS + 2]
                    - (start[ROWS + 2] + (0..250).map(|k| a[k * ROWS + 2] * b[k * stride + 1]).sum::<f64>()))
                .abs()
                    < 1e-12
            );
            #[cfg(target_arch = "x86_64")]
            {
                if is_x86_feature_detected!("avx512f") {
                    assert!(run(wide, stride) == expected);
                }
                if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                    assert!(run(medium, stride) == expected);
                }
            }
        }
    }

    #[test]
    fn products_are_those_of_the_definition() {
        let (dim, members) = (31, 16);
        let matrix = numbers(panels(dim) * dim * ROWS, 4);
        let element = |r: usize, k: usize| matrix[(r / ROWS) * dim * ROWS + k * ROWS + r % ROWS];
        let vectors = numbers(members * dim, 5);
        let vector = |m: usize, k: usize| vectors[(m / COLUMNS) * dim * COLUMNS + k * COLUMNS + m % COLUMNS];
        let mut out = vec![0.0; panels(dim) * members * ROWS];
        transform(&matrix, dim, &vectors, members, &mut out);
        let y = |out: &[f64], m: usize, r: usize| out[(r / ROWS) * members * ROWS + m * ROWS + r % ROWS];
        let mut one = Vec::new();
        let of_nine: Vec<f64> = (0..dim).map(|k| vector(9, k)).collect();
        transform_one(&matrix, dim, &of_nine, &mut one);
        for (r, one) in one.iter().enumerate().take(dim) {
            assert_eq!(*one, y(&out, 9, r));
            for m in 0..members {
                let sum: f64 = (0..dim).map(|k| element(r, k) * vector(m, k)).sum();
                assert!((y(&out, m, r) - sum).abs() < 1e-13);
            }
        }
        let mut c = Symmetric::identity(dim);
        let weighted: Vec<f64> = out.iter().map(|x| 0.25 * x).collect();
        c.update(0.5, &out, &weighted, members);
        for i in 0..dim {
            for j in 0..=i {
                let sum: f64 = (0..members).map(|m| 0.25 * y(&out, m, i) * y(&out, m, j)).sum();
                let expected = sum + if i == j { 0.5 } else { 0.0 };
                assert!((c.at(i, j) - expected).abs() < 1e-13);
            }
        }
        let again = Symmetric::of_lower(dim, &c.lower());
        assert!(again.lower() == c.lower());
    }
}
