//! A buffer that tasks write at the same time, each its own part, and the team that runs them.

use std::marker::PhantomData;
use std::ops::Range;

use rayon::prelude::*;

use crate::lanes::LANES;

/// How far apart lines of so many numbers lie: at least as many, in whole vectors, and no multiple of 512 bytes, so that lines do not meet in the few places of
/// a cache.
pub fn apart(columns: usize) -> usize {
    let whole = columns.next_multiple_of(LANES);
    if whole.is_multiple_of(8 * LANES) {
        whole + LANES
    } else {
        whole
    }
}

/// Who runs the tasks of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Team {
    /// The thread that calls.
    Alone,
    /// The threads of the pool.
    Pool,
}

impl Team {
    pub fn threads(self) -> usize {
        match self {
            Team::Alone => 1,
            Team::Pool => rayon::current_num_threads(),
        }
    }

    /// Calls `task` with every number below `n`.
    pub fn each(self, n: usize, task: impl Fn(usize) + Sync) {
        if n <= 1 || self.threads() == 1 {
            (0..n).for_each(task);
        } else {
            (0..n).into_par_iter().with_max_len(1).for_each(&task);
        }
    }

    /// Calls `task` with contiguous parts of `0..n`: so many that threads that are late cost little.
    pub fn each_part(self, n: usize, task: impl Fn(Range<usize>) + Sync) {
        let parts = match self.threads() {
            1 => n.min(1),
            threads => n.min(threads * 4),
        };
        self.each(parts, |i| task(i * n / parts..(i + 1) * n / parts));
    }
}

/// Rows of `ld` numbers.
#[derive(Clone, Copy)]
pub struct Matrix<'a, T = f32> {
    at: *mut T,
    rows: usize,
    pub ld: usize,
    life: PhantomData<&'a mut [T]>,
}

// SAFETY: it is a `&mut [T]` whose users promise (see the unsafe methods) to touch different parts.
unsafe impl<T: Send> Send for Matrix<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Matrix<'_, T> {}

impl<'a, T: Copy + Default> Matrix<'a, T> {
    /// The first `rows * ld` numbers of the buffer, which grows to hold them.
    pub fn new(buffer: &'a mut Vec<T>, rows: usize, ld: usize) -> Matrix<'a, T> {
        if buffer.len() < rows * ld {
            buffer.resize(rows * ld, T::default());
        }
        Matrix {
            at: buffer.as_mut_ptr(),
            rows,
            ld,
            life: PhantomData,
        }
    }

    /// A row.
    ///
    /// # Safety
    /// No other task touches it in the meantime.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "tasks share the matrix and take different rows")]
    pub unsafe fn row(&self, row: usize) -> &mut [T] {
        assert!(row < self.rows);
        // SAFETY: the row lies inside of the buffer, and is the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.at.add(row * self.ld), self.ld) }
    }

    /// Some columns of a row.
    ///
    /// # Safety
    /// No other task touches them in the meantime.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "tasks share the matrix and take different columns")]
    pub unsafe fn piece(&self, row: usize, columns: Range<usize>) -> &mut [T] {
        assert!(row < self.rows && columns.start <= columns.end && columns.end <= self.ld);
        // SAFETY: they lie inside of the buffer, and are the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.at.add(row * self.ld + columns.start), columns.len()) }
    }

    /// Some rows.
    pub fn part(&self, rows: Range<usize>) -> Matrix<'a, T> {
        assert!(rows.start <= rows.end && rows.end <= self.rows);
        Matrix {
            at: self.at.wrapping_add(rows.start * self.ld),
            rows: rows.len(),
            ..*self
        }
    }

    /// All rows, to be read.
    ///
    /// # Safety
    /// No task writes in the meantime.
    #[inline]
    pub unsafe fn all(&self) -> &'a [T] {
        // SAFETY: inside of the buffer, and nobody writes.
        unsafe { std::slice::from_raw_parts(self.at, self.rows * self.ld) }
    }

    /// The address of a column of row 0, of which `width` columns will be used.
    #[inline]
    pub fn column(&self, column: usize, width: usize) -> *mut T {
        assert!(column + width <= self.ld);
        self.at.wrapping_add(column)
    }

    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }
}
