//! Products of activations with one another, whose factors may lie transposed: attention, forward and backward, and the gradients of an adapter's factors.

use crate::lanes::{LANES, Lanes, tile};
use crate::level::{Level, versions};
use crate::panel::reach;

/// `y = a b` or `y += a b`. A sum has one accumulator and takes its terms in order, fused, as those of [`Product`](super::Product) do: so it does not matter
/// how a product is cut along any of its sides.
pub struct Strided<'a> {
    pub rows: usize,
    pub terms: usize,
    /// A multiple of 16.
    pub columns: usize,
    /// How far apart rows lie, and terms.
    pub a: (&'a [f32], usize, usize),
    /// A line of all columns for each term, and how far apart lines lie.
    pub b: (&'a [f32], usize),
    /// Whether it is added to what is there.
    pub add: bool,
    /// How far apart rows lie.
    pub y: (&'a mut [f32], usize),
}

impl Strided<'_> {
    /// # Panics
    /// A slice is shorter than the shape says.
    pub fn run(self, level: Level) {
        if self.rows > 0 && self.columns > 0 {
            all(level, self);
        }
    }
}

#[inline(always)]
unsafe fn body<V: Lanes, const R: usize, const C: usize>(mut job: Strided) {
    let mut column = 0;
    // SAFETY: the level's instructions are there, and the job has been checked.
    unsafe {
        while column + C * LANES <= job.columns {
            rows::<V, R, C>(&mut job, column);
            column += C * LANES;
        }
        while column < job.columns {
            rows::<V, 12, 1>(&mut job, column);
            column += LANES;
        }
    }
}

/// # Safety
/// The processor has the instructions of `V`; `C` vectors of columns are there from `column` on.
#[inline(always)]
unsafe fn rows<V: Lanes, const R: usize, const C: usize>(job: &mut Strided, column: usize) {
    let mut row = 0;
    // SAFETY: the caller's promise; each block of rows ends with the last row at the latest.
    unsafe {
        while row + R <= job.rows {
            block::<V, R, C>(job, row, column);
            row += R;
        }
        while row + 4 <= job.rows {
            block::<V, 4, C>(job, row, column);
            row += 4;
        }
        while row < job.rows {
            block::<V, 1, C>(job, row, column);
            row += 1;
        }
    }
}

/// # Safety
/// As for [`rows`]; the rows `row..row + R` are there.
#[inline(always)]
unsafe fn block<V: Lanes, const R: usize, const C: usize>(job: &mut Strided, row: usize, column: usize) {
    // SAFETY: all that is reached lies inside of the slices, as the job's check has found.
    unsafe {
        let y = job.y.0.as_mut_ptr().add(row * job.y.1 + column);
        let mut acc = [[V::splat(0.0); C]; R];
        if job.add {
            for (r, sums) in acc.iter_mut().enumerate() {
                for (c, sum) in sums.iter_mut().enumerate() {
                    *sum = V::load(y.add(r * job.y.1 + c * LANES));
                }
            }
        }
        let (a, a_row, a_next) = job.a;
        let a = a.as_ptr().add(row * a_row);
        let b = job.b.0.as_ptr().add(column);
        tile::<V, R, C, 4>(&mut acc, job.terms, (a, a_row, a_next), (b, job.b.1));
        for (r, sums) in acc.into_iter().enumerate() {
            for (c, sum) in sums.into_iter().enumerate() {
                sum.store(y.add(r * job.y.1 + c * LANES));
            }
        }
    }
}

versions! {
    /// The whole product.
    fn all(Strided) = body, [6, 4], [3, 2], |job| {
        assert!(job.columns.is_multiple_of(LANES), "columns");
        assert!(job.terms == 0 || job.a.0.len() >= reach(job.rows, job.a.1, 1) + (job.terms - 1) * job.a.2, "a");
        assert!(job.b.0.len() >= reach(job.terms, job.b.1, job.columns), "b");
        assert!(job.y.0.len() >= reach(job.rows, job.y.1, job.columns), "y");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::noise::{Purpose, Stream};

    #[test]
    fn a_strided_product_is_the_same_at_every_level_and_however_its_terms_are_cut() {
        let (rows, terms) = (19, 37);
        let drawn = |index, n| {
            let mut values = vec![0.0_f32; n];
            Stream::new(1, Purpose::Init, 0, index).normals(0, &mut values);
            values
        };
        for columns in [16, 64, 112] {
            let (a, b) = (drawn(0, rows * terms), drawn(1, terms * columns));
            for transposed in [false, true] {
                let strides = if transposed { (1, rows) } else { (terms, 1) };
                let run = |level: Level, cut: usize| {
                    let mut y = vec![0.0; rows * columns];
                    for (from, to) in [(0, cut), (cut, terms)] {
                        Strided {
                            rows,
                            terms: to - from,
                            columns,
                            a: (&a[from * strides.1..], strides.0, strides.1),
                            b: (&b[from * columns..], columns),
                            add: from > 0,
                            y: (&mut y, columns),
                        }
                        .run(level);
                    }
                    y
                };
                let want = run(Level::best(), terms - 1);
                for (i, y) in want.iter().enumerate() {
                    let (row, column) = (i / columns, i % columns);
                    let term =
                        |t: usize| f64::from(a[row * strides.0 + t * strides.1]) * f64::from(b[t * columns + column]);
                    let exact: f64 = (0..terms).map(term).sum();
                    assert!((f64::from(*y) - exact).abs() < 1e-4, "{y} and {exact}");
                }
                for level in Level::available() {
                    assert_eq!(run(level, 20), want, "{level:?}");
                }
            }
        }
    }
}
