//! Rows to lanes: the transpose by which a kernel gets one row of genes in each lane of a vector.

/// Writes `rows`, `[n, columns]` row-major with n <= LANES, to the first n lanes of `tile`, `[columns][LANES]`.
///
/// # Panics
/// More rows than lanes.
pub fn transpose<const LANES: usize>(rows: &[f32], tile: &mut [[f32; LANES]]) {
    let columns = tile.len();
    let n = rows.len() / columns.max(1);
    assert!(n <= LANES, "{n} rows for {LANES} lanes");
    if columns == 0 {
        return;
    }
    let (fours, rest) = rows.split_at(n / 4 * 4 * columns);
    for (i, four) in fours.chunks_exact(4 * columns).enumerate() {
        four_rows(four, columns, 4 * i, tile);
    }
    for (i, row) in rest.chunks_exact(columns).enumerate() {
        for (lanes, x) in tile.iter_mut().zip(row) {
            lanes[n / 4 * 4 + i] = *x;
        }
    }
}

/// `rows`, `[4, columns]`, to the lanes `lane..lane + 4`.
fn four_rows<const LANES: usize>(rows: &[f32], columns: usize, lane: usize, tile: &mut [[f32; LANES]]) {
    let (ab, cd) = rows.split_at(2 * columns);
    let ((a, b), (c, d)) = (ab.split_at(columns), cd.split_at(columns));
    let (a, a_rest) = a.as_chunks::<4>();
    let (b, b_rest) = b.as_chunks::<4>();
    let (c, c_rest) = c.as_chunks::<4>();
    let (d, d_rest) = d.as_chunks::<4>();
    let (tiles, tiles_rest) = tile.as_chunks_mut::<4>();
    for ((((a, b), c), d), tile) in a.iter().zip(b).zip(c).zip(d).zip(tiles) {
        for (lanes, turned) in tile.iter_mut().zip(block([a, b, c, d])) {
            lanes[lane..lane + 4].copy_from_slice(&turned);
        }
    }
    for ((((a, b), c), d), lanes) in a_rest.iter().zip(b_rest).zip(c_rest).zip(d_rest).zip(tiles_rest) {
        lanes[lane..lane + 4].copy_from_slice(&[*a, *b, *c, *d]);
    }
}

/// The transpose of a square; the compiler does not find these eight shuffles by itself.
#[inline(always)]
#[cfg(target_arch = "x86_64")]
fn block(rows: [&[f32; 4]; 4]) -> [[f32; 4]; 4] {
    use std::arch::x86_64::{__m128, _mm_loadu_ps, _mm_movehl_ps, _mm_movelh_ps, _mm_unpackhi_ps, _mm_unpacklo_ps};

    // SAFETY: every x86-64 processor has SSE; the loads are of four elements each and need no alignment; four vectors of four
    // floats have the size and the values of the result.
    unsafe {
        let [a, b, c, d] = rows.map(|row| _mm_loadu_ps(row.as_ptr()));
        let (low_ab, low_cd) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
        let (high_ab, high_cd) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
        std::mem::transmute::<[__m128; 4], [[f32; 4]; 4]>([
            _mm_movelh_ps(low_ab, low_cd),
            _mm_movehl_ps(low_cd, low_ab),
            _mm_movelh_ps(high_ab, high_cd),
            _mm_movehl_ps(high_cd, high_ab),
        ])
    }
}

#[inline(always)]
#[cfg(not(target_arch = "x86_64"))]
fn block(rows: [&[f32; 4]; 4]) -> [[f32; 4]; 4] {
    std::array::from_fn(|column| rows.map(|row| row[column]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gene_reaches_its_lane_and_other_lanes_stay() {
        for columns in 1..14 {
            for n in 0..=8 {
                let rows: Vec<f32> = (0..n * columns).map(|i| i as f32).collect();
                let mut tile = vec![[-1.0; 8]; columns];
                transpose(&rows, &mut tile);
                for (column, lanes) in tile.iter().enumerate() {
                    for (lane, x) in lanes.iter().enumerate() {
                        let expected = if lane < n {
                            (lane * columns + column) as f32
                        } else {
                            -1.0
                        };
                        assert_eq!(*x, expected);
                    }
                }
            }
        }
    }
}
