//! Rows through a panel of weights: what the products of language models, their attention, and the hidden layer of a convolutional network share.
//!
//! A sum has one accumulator and takes its terms in order, fused: so a row's bits depend neither on the other rows, nor on how rows are cut into
//! blocks, nor on the width of vectors.

use std::marker::PhantomData;

use crate::lanes::{LANES, Lanes, tile};

/// What sums begin with.
#[derive(Clone, Copy)]
pub(crate) enum First<'a> {
    Zero,
    /// One number for each column.
    Bias(&'a [f32]),
    /// What is in the output.
    Output,
}

/// Some columns of some rows, which a product writes.
pub(crate) struct Columns<'a> {
    at: *mut f32,
    rows: usize,
    ld: usize,
    width: usize,
    life: PhantomData<&'a mut [f32]>,
}

impl<'a> Columns<'a> {
    /// The first `width` of every `ld` numbers.
    ///
    /// # Panics
    /// They reach beyond the slice.
    pub fn new(y: &'a mut [f32], rows: usize, ld: usize, width: usize) -> Columns<'a> {
        assert!(y.len() >= reach(rows, ld, width));
        // SAFETY: they lie inside of the slice, which is borrowed alone.
        unsafe { Columns::of(y.as_mut_ptr(), rows, ld, width) }
    }

    /// The first `width` of every `ld` numbers from `at` on.
    ///
    /// # Safety
    /// They are valid numbers, which nobody else touches for `'a`.
    pub unsafe fn of(at: *mut f32, rows: usize, ld: usize, width: usize) -> Columns<'a> {
        Columns {
            at,
            rows,
            ld,
            width,
            life: PhantomData,
        }
    }
}

/// Numbers from the first of the first row to the last of `width` of the last row.
fn reach(rows: usize, ld: usize, width: usize) -> usize {
    if rows == 0 { 0 } else { (rows - 1) * ld + width }
}

/// `y = first + x w + z u`.
pub(crate) struct Panel<'a> {
    /// Terms of the sums in `x` and `w`.
    pub terms: usize,
    /// Inputs, and how far apart their rows lie.
    pub x: (&'a [f32], usize),
    /// Weights, a line of all columns for each term, and how far apart lines lie.
    pub w: (&'a [f32], usize),
    /// More inputs.
    pub z: (&'a [f32], usize),
    /// Their weights, `[terms, columns]`; or none.
    pub u: &'a [f32],
    pub first: First<'a>,
    pub y: Columns<'a>,
}

impl Panel<'_> {
    /// Stops the program if a slice is too short.
    pub fn check(&self) {
        let Columns { rows, width, .. } = self.y;
        assert!(self.x.0.len() >= reach(rows, self.x.1, self.terms), "inputs");
        assert!(self.w.0.len() >= reach(self.terms, self.w.1, width), "weights");
        assert!(self.u.len().is_multiple_of(width) && self.z.0.len() >= reach(rows, self.z.1, self.u.len() / width));
        assert!(!matches!(self.first, First::Bias(bias) if bias.len() < width), "bias");
    }

    /// All rows of the `C` vectors of columns, `R` of them at a time.
    ///
    /// # Safety
    /// The processor has the instructions of `V`, and [`Panel::check`] has been called.
    #[inline(always)]
    pub unsafe fn multiply<V: Lanes, const R: usize, const C: usize>(&mut self) {
        debug_assert_eq!(self.y.width, C * LANES);
        let (mut row, rows) = (0, self.y.rows);
        // SAFETY: the caller's promise; each block of rows ends with the last row at the latest.
        unsafe {
            while row + R <= rows {
                self.block::<V, R, C>(row);
                row += R;
            }
            if R > 8 && row + 8 <= rows {
                self.block::<V, 8, C>(row);
                row += 8;
            }
            if row + 4 <= rows {
                self.block::<V, 4, C>(row);
                row += 4;
            }
            if row + 2 <= rows {
                self.block::<V, 2, C>(row);
                row += 2;
            }
            while row < rows {
                self.block::<V, 1, C>(row);
                row += 1;
            }
        }
    }

    /// # Safety
    /// As for [`Panel::multiply`]; the rows `row..row + R` are there.
    #[inline(always)]
    unsafe fn block<V: Lanes, const R: usize, const C: usize>(&mut self, row: usize) {
        // SAFETY: `check` has found all that rows reach inside of the slices; the output is this product's (`Columns`).
        unsafe {
            let y = self.y.at.add(row * self.y.ld);
            let mut acc = [[V::splat(0.0); C]; R];
            for (r, sums) in acc.iter_mut().enumerate() {
                for (c, sum) in sums.iter_mut().enumerate() {
                    match self.first {
                        First::Zero => {}
                        First::Bias(bias) => *sum = V::load(bias.as_ptr().add(c * LANES)),
                        First::Output => *sum = V::load(y.add(r * self.y.ld + c * LANES)),
                    }
                }
            }
            let x = self.x.0.as_ptr().add(row * self.x.1);
            tile::<V, R, C, 4>(&mut acc, self.terms, (x, self.x.1, 1), (self.w.0.as_ptr(), self.w.1));
            if !self.u.is_empty() {
                let (z, width) = (self.z.0.as_ptr().add(row * self.z.1), C * LANES);
                tile::<V, R, C, 4>(
                    &mut acc,
                    self.u.len() / width,
                    (z, self.z.1, 1),
                    (self.u.as_ptr(), width),
                );
            }
            for (r, sums) in acc.into_iter().enumerate() {
                for (c, sum) in sums.into_iter().enumerate() {
                    sum.store(y.add(r * self.y.ld + c * LANES));
                }
            }
        }
    }
}
