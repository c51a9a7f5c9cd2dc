//! Rows through a panel of weights: what the products of language models, their attention, and the hidden layer of a convolutional network share.
//!
//! A sum has one accumulator and takes its terms in order, fused: so a row's bits depend neither on the other rows, nor on how rows are cut into
//! blocks, nor on the width of vectors.

use std::marker::PhantomData;

use crate::lanes::{LANES, Lanes, tile_of_columns};

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
    pub at: *mut f32,
    pub rows: usize,
    pub ld: usize,
    pub width: usize,
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
pub(crate) fn reach(rows: usize, ld: usize, width: usize) -> usize {
    if rows == 0 { 0 } else { (rows - 1) * ld + width }
}

/// Weights: for each term a vector of every column.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a> {
    pub at: &'a [f32],
    /// How far apart the lines of two terms lie.
    pub ld: usize,
    /// How far apart two vectors of a line lie.
    pub column: usize,
}

impl<'a> Lines<'a> {
    pub const NONE: Lines<'static> = Lines {
        at: &[],
        ld: LANES,
        column: LANES,
    };

    /// Lines of vectors that follow one another.
    pub fn new(at: &'a [f32], ld: usize) -> Lines<'a> {
        Lines { at, ld, column: LANES }
    }

    /// Panels of one vector that follow one another, `[panels, terms, 16]`.
    pub fn panels(at: &'a [f32], terms: usize) -> Lines<'a> {
        Lines {
            at,
            ld: LANES,
            column: terms * LANES,
        }
    }

    fn hold(&self, terms: usize, vectors: usize) -> bool {
        terms == 0 || vectors == 0 || self.at.len() >= (terms - 1) * self.ld + (vectors - 1) * self.column + LANES
    }
}

/// `y = first + x w + z u`.
pub(crate) struct Panel<'a> {
    /// Terms of the sums in `x` and `w`.
    pub terms: usize,
    /// Inputs, and how far apart their rows lie.
    pub x: (&'a [f32], usize),
    pub w: Lines<'a>,
    /// Terms of the sums in `z` and `u`; 0 if there are none.
    pub more: usize,
    /// More inputs.
    pub z: (&'a [f32], usize),
    pub u: Lines<'a>,
    pub first: First<'a>,
    pub y: Columns<'a>,
}

impl Panel<'_> {
    /// Stops the program if a slice is too short.
    pub fn check(&self) {
        let Columns { rows, width, .. } = self.y;
        assert!(width.is_multiple_of(LANES), "whole vectors");
        assert!(self.x.0.len() >= reach(rows, self.x.1, self.terms), "inputs");
        assert!(self.w.hold(self.terms, width / LANES), "weights");
        assert!(self.z.0.len() >= reach(rows, self.z.1, self.more), "more inputs");
        assert!(self.u.hold(self.more, width / LANES), "more weights");
        assert!(!matches!(self.first, First::Bias(bias) if bias.len() < width), "bias");
    }

    /// All rows and columns: `R` rows of `C` vectors at a time.
    ///
    /// # Safety
    /// The processor has the instructions of `V`, and [`Panel::check`] has been called.
    #[inline(always)]
    pub unsafe fn multiply<V: Lanes, const R: usize, const C: usize>(&mut self) {
        let vectors = self.y.width / LANES;
        // SAFETY: the caller's promise; each block of columns ends with the last at the latest.
        unsafe {
            let whole = vectors - vectors % C;
            for column in (0..whole).step_by(C) {
                self.columns::<V, R, C>(column);
            }
            if C > 1 {
                for column in whole..vectors {
                    self.columns::<V, R, 1>(column);
                }
            }
        }
    }

    /// # Safety
    /// As for [`Panel::multiply`]; the `C` vectors from number `column` on are there.
    #[inline(always)]
    unsafe fn columns<V: Lanes, const R: usize, const C: usize>(&mut self, column: usize) {
        let (mut row, rows) = (0, self.y.rows);
        // SAFETY: the caller's promise; each block of rows ends with the last row at the latest.
        unsafe {
            while row + R <= rows {
                self.block::<V, R, C>(row, column);
                row += R;
            }
            if R > 8 && row + 8 <= rows {
                self.block::<V, 8, C>(row, column);
                row += 8;
            }
            if R > 4 && row + 4 <= rows {
                self.block::<V, 4, C>(row, column);
                row += 4;
            }
            if R > 3 && row + 3 <= rows {
                self.block::<V, 3, C>(row, column);
                row += 3;
            }
            while row < rows {
                self.block::<V, 1, C>(row, column);
                row += 1;
            }
        }
    }

    /// # Safety
    /// As for [`Panel::columns`]; the rows `row..row + R` are there.
    #[inline(always)]
    unsafe fn block<V: Lanes, const R: usize, const C: usize>(&mut self, row: usize, column: usize) {
        // SAFETY: `check` has found all that rows reach inside of the slices; the output is this product's (`Columns`).
        unsafe {
            let y = self.y.at.add(row * self.y.ld + column * LANES);
            let mut acc = [[V::splat(0.0); C]; R];
            for (r, sums) in acc.iter_mut().enumerate() {
                for (c, sum) in sums.iter_mut().enumerate() {
                    match self.first {
                        First::Zero => {}
                        First::Bias(bias) => *sum = V::load(bias.as_ptr().add((column + c) * LANES)),
                        First::Output => *sum = V::load(y.add(r * self.y.ld + c * LANES)),
                    }
                }
            }
            for (terms, x, w) in [(self.terms, self.x, self.w), (self.more, self.z, self.u)] {
                if terms > 0 {
                    let x = (x.0.as_ptr().add(row * x.1), x.1, 1);
                    let w = (w.at.as_ptr().add(column * w.column), w.ld, w.column);
                    tile_of_columns::<V, R, C, 4>(&mut acc, terms, x, w);
                }
            }
            for (r, sums) in acc.into_iter().enumerate() {
                for (c, sum) in sums.into_iter().enumerate() {
                    sum.store(y.add(r * self.y.ld + c * LANES));
                }
            }
        }
    }
}
