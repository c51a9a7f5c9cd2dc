//! Which cell a descriptor belongs to: what archives of cells share, whatever they keep there. Grid and CVT differ here alone.

use illume_core::{ArchiveSpec, Axis, Cells, Error, NOT_OFFERED, Result, Status};
use rayon::prelude::*;

use crate::grid::Grid;
use crate::nearest::Nearest;

/// Rows located by a thread at a time; a power of two near the size at which a thread's start is paid for.
const LOCATE_CHUNK: usize = 2048;

/// What becomes of a descriptor outside the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// It belongs to the nearest cell.
    Clip,
    /// It is refused: its cell is -1.
    Reject,
}

#[derive(Debug)]
enum Shape {
    /// A task without a descriptor has one cell.
    Single,
    Grid(Grid),
    Cvt(Box<Nearest>),
}

/// A descriptor space and its cells.
#[derive(Debug)]
pub(crate) struct Division {
    axes: Vec<Axis>,
    shape: Shape,
    outside: Outside,
}

impl Division {
    /// # Errors
    /// An archive without cells.
    pub fn new(spec: &ArchiveSpec, outside: Outside) -> Result<Division> {
        let shape = match &spec.cells {
            Cells::None => return Err(Error::failed("an unstructured archive has no cells")),
            _ if spec.axes.is_empty() => Shape::Single,
            Cells::Grid { shape } => Shape::Grid(Grid::new(&spec.axes, shape)),
            Cells::Cvt { centroids } => {
                let lower: Vec<f64> = spec.axes.iter().map(|a| a.lower).collect();
                let upper: Vec<f64> = spec.axes.iter().map(|a| a.upper).collect();
                Shape::Cvt(Box::new(Nearest::new(centroids, &lower, &upper)))
            }
        };
        Ok(Division {
            axes: spec.axes.clone(),
            shape,
            outside,
        })
    }

    /// As [`illume_core::Archive::locate`].
    pub fn locate(&self, descriptors: &[f64], cells: &mut [i64]) {
        let k = self.axes.len();
        if cells.len() < 2 * LOCATE_CHUNK || k == 0 {
            return self.locate_rows(descriptors, cells);
        }
        let chunks = descriptors
            .par_chunks(LOCATE_CHUNK * k)
            .zip(cells.par_chunks_mut(LOCATE_CHUNK));
        chunks.for_each(|(points, cells)| self.locate_rows(points, cells));
    }

    fn locate_rows(&self, descriptors: &[f64], cells: &mut [i64]) {
        match &self.shape {
            Shape::Single => cells.fill(0),
            Shape::Grid(grid) => grid.locate(descriptors, cells),
            Shape::Cvt(nearest) => locate_nearest(nearest, descriptors, cells),
        }
        if self.outside == Outside::Reject && !self.axes.is_empty() {
            for (row, cell) in descriptors.chunks_exact(self.axes.len()).zip(cells) {
                if is_outside(self.axes.iter(), row) {
                    *cell = -1;
                }
            }
        }
    }

    /// Rows that were evaluated and offered, and whose descriptor lies outside the bounds.
    pub fn count_outside(&self, descriptors: &[f64], status: &[u8], cells: &[i64]) -> usize {
        match self.axes.as_slice() {
            [] => 0,
            [a] => count_fixed([a], descriptors, status, cells),
            [a, b] => count_fixed([a, b], descriptors, status, cells),
            axes => {
                let rows = descriptors.chunks_exact(axes.len()).zip(status).zip(cells);
                let outside =
                    rows.filter(|((row, status), cell)| counts(**status, **cell) && is_outside(axes.iter(), row));
                outside.count()
            }
        }
    }
}

#[inline(always)]
fn counts(status: u8, cell: i64) -> bool {
    (status == Status::Ok as u8) & (cell != NOT_OFFERED)
}

fn count_fixed<const K: usize>(axes: [&Axis; K], descriptors: &[f64], status: &[u8], cells: &[i64]) -> usize {
    let bounds = axes.map(|a| (a.lower, a.upper));
    illume_numerics::simd_dispatch!(
        fn [const K: usize](bounds: [(f64, f64); K], descriptors: &[f64], status: &[u8], cells: &[i64]) -> usize {
            let mut count = 0u64;
            for ((row, &status), &cell) in descriptors.chunks_exact(K).zip(status).zip(cells) {
                let mut outside = false;
                for d in 0..K {
                    outside |= (row[d] < bounds[d].0) | (row[d] > bounds[d].1);
                }
                count += u64::from(outside & counts(status, cell));
            }
            count as usize
        }
    )
}

fn is_outside<'a>(axes: impl Iterator<Item = &'a Axis>, descriptor: &[f64]) -> bool {
    axes.zip(descriptor).any(|(a, &x)| x < a.lower || x > a.upper)
}

fn locate_nearest(nearest: &Nearest, descriptors: &[f64], cells: &mut [i64]) {
    let k = nearest.dims();
    let mut found = [0u32; 256];
    for (points, cells) in descriptors.chunks(256 * k).zip(cells.chunks_mut(256)) {
        let found = &mut found[..cells.len()];
        found.fill(0);
        if points.iter().all(|x| x.is_finite()) {
            nearest.find(points, found);
            cells
                .iter_mut()
                .zip(found)
                .for_each(|(cell, found)| *cell = i64::from(*found));
            continue;
        }
        for (point, cell) in points.chunks_exact(k).zip(cells) {
            found[0] = 0;
            *cell = -1;
            if point.iter().all(|x| x.is_finite()) {
                nearest.find(point, &mut found[..1]);
                *cell = i64::from(found[0]);
            }
        }
    }
}
