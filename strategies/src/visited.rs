//! Where in the task's own descriptor space candidates have been: what strategies that do not go by it are compared by.

use illume_core::{Batch, Error, Result, Status, TaskSpec};

use crate::record::Column;

/// Cells along each axis, as in the programs of TAXONS, SERENE and STAX.
const CELLS: usize = 50;
/// Axes up to which the grid is kept.
const AXES: usize = 3;

/// The column of the history.
pub(crate) const VISITED: Column = (
    "visited",
    "",
    "share of a grid of 50 cells along each axis of the task's own descriptor in which a candidate has been",
);

/// A grid over the task's descriptor, of which a bit of each cell is kept.
#[derive(Debug)]
pub(crate) struct Visited {
    /// Lower bound and width of a cell of each axis.
    axes: Vec<[f64; 2]>,
    words: Vec<u64>,
}

impl Visited {
    /// None for a task without descriptor, or one of too many axes.
    pub fn of(task: &TaskSpec) -> Option<Visited> {
        let axes = task.descriptor.iter();
        let axes: Vec<[f64; 2]> = axes.map(|a| [a.lower, (a.upper - a.lower) / CELLS as f64]).collect();
        (1..=AXES).contains(&axes.len()).then(|| Visited {
            words: vec![0; CELLS.pow(axes.len() as u32).div_ceil(64)],
            axes,
        })
    }

    /// Takes notice of rows that are ok. One beyond a bound counts for the cell at the edge.
    ///
    /// # Errors
    /// A column is missing.
    pub fn take(&mut self, rows: &Batch) -> Result<()> {
        let (status, descriptor): (&[u8], &[f64]) = (rows.get("status")?, rows.get("descriptor")?);
        let places = descriptor.chunks_exact(self.axes.len()).zip(status);
        for (place, _) in places.filter(|(_, status)| **status == Status::Ok as u8) {
            let along = |(x, [lower, width]): (&f64, &[f64; 2])| (((x - lower) / width) as usize).min(CELLS - 1);
            let cell = place
                .iter()
                .zip(&self.axes)
                .map(along)
                .fold(0, |cell, i| cell * CELLS + i);
            self.words[cell / 64] |= 1 << (cell % 64);
        }
        Ok(())
    }

    /// Share of the cells.
    pub fn share(&self) -> f64 {
        let cells: u32 = self.words.iter().map(|word| word.count_ones()).sum();
        f64::from(cells) / CELLS.pow(self.axes.len() as u32) as f64
    }

    pub fn save(&self) -> Batch {
        let mut table = Batch::new();
        let meaning = "cells in which a candidate has been, a bit each";
        table.push("words", 1, "", meaning, self.words.clone());
        table
    }

    /// # Errors
    /// A table of another grid.
    pub fn load(&mut self, table: &Batch) -> Result<()> {
        let words = table.get::<u64>("words")?;
        if words.len() != self.words.len() {
            return Err(Error::failed(
                "the checkpoint's grid of visited places is of another task",
            ));
        }
        self.words.copy_from_slice(words);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use illume_core::{Axis, Init};

    #[test]
    fn cells_count_once_and_the_edges_take_what_lies_beyond() {
        let task = TaskSpec {
            descriptor: vec![Axis::new("", "", -1.0, 1.0), Axis::new("", "", 0.0, 50.0)],
            ..TaskSpec::new("", 1, Init::Normal { mean: 0.0, sd: 1.0 })
        };
        let mut visited = Visited::of(&task).unwrap();
        let mut rows = Batch::new();
        rows.push("status", 1, "", "", vec![0u8, 0, 0, 1, 0]);
        let places = vec![0.0, 3.5, 0.01, 3.9, 9.0, 99.0, 0.5, 0.5, -9.0, -1.0];
        rows.push("descriptor", 2, "", "", places);
        visited.take(&rows).unwrap();
        assert_eq!(visited.share(), 3.0 / 2500.0);
        let mut other = Visited::of(&task).unwrap();
        other.load(&visited.save()).unwrap();
        assert_eq!(other.share(), visited.share());
        assert!(
            Visited::of(&TaskSpec {
                descriptor: vec![],
                ..task
            })
            .is_none()
        );
    }
}
