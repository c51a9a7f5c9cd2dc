//! What every rank knows of an archive's elites: a table by cell, whose columns are those of the rows that were taken.

use crate::{Batch, Column, Data, Element, Error, Result, each_data};

/// Columns of an evaluated row that say something of its evaluation or of whom it replaces, not of the elite that it becomes. An archive may declare one of them as its own.
const PASSING: [&str; 7] = ["status", "steps", "measures", "cell", "niche", "member", "standing"];

/// The replicated part of an archive, by cell. An unstructured archive's members are its cells, and its table grows with it.
///
/// The first six columns are those of every elite, named by methods here. Behind them are the tags that rows brought with them and columns of the archive's own;
/// both are in the file without more ado.
#[derive(Debug, Clone)]
pub struct Elites {
    /// Filled cells in the order in which they were first filled.
    pub filled: Vec<u32>,
    /// Rank that stores the genome; `[cells]`.
    pub owner: Vec<u32>,
    columns: Batch,
    /// Columns of the archive's own, behind the first six.
    own: usize,
}

/// A row that becomes the elite of a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    pub row: u32,
    pub cell: u32,
}

const FITNESS: usize = 0;
const DESCRIPTOR: usize = 1;
const GENERATION: usize = 2;
const OPERATOR: usize = 3;
const PARENTS: usize = 4;
const SEED: usize = 5;

/// Their names, in this order.
const NAMES: [&str; 6] = ["fitness", "descriptor", "generation", "operator", "parents", "seed"];

impl Elites {
    /// Empty cells of an archive over `k` axes.
    pub fn new(cells: usize, k: usize) -> Elites {
        let mut columns = Batch::new();
        columns.declare::<f64>("fitness", 1, "", "fitness, to be maximized");
        columns.declare::<f64>("descriptor", k, "", "descriptor: where it lies in the archive");
        columns.declare::<i64>("generation", 1, "", "generation at which it was found");
        let meaning = "variation operator that made it, as the attribute 'operators' numbers them";
        columns.declare::<i32>("operator", 1, "", meaning);
        columns.declare::<i64>("parents", 2, "", "cells of its parents, -1 for none");
        let meaning = "evaluation seed: with it the same fitness comes out again";
        columns.declare::<u64>("seed", 1, "", meaning);
        let mut elites = Elites {
            filled: Vec::new(),
            owner: Vec::new(),
            columns,
            own: 0,
        };
        elites.grow(cells);
        elites
    }

    /// Adds empty cells, so that there are `cells`.
    pub fn grow(&mut self, cells: usize) {
        let before = self.columns.rows();
        self.columns.resize(cells);
        self.owner.resize(cells, 0);
        self.value_mut::<f64>(FITNESS)[before..].fill(f64::NAN);
        self.value_mut::<i64>(PARENTS)[2 * before..].fill(-1);
    }

    /// Leaves `cells` of them, after the elites of some took other cells, (from, to); what is in all others stays there.
    ///
    /// # Errors
    /// A defect.
    pub fn renumber(&mut self, moved: &[(usize, usize)], cells: usize) -> Result<()> {
        let rows = self
            .columns
            .select(&moved.iter().map(|(from, _)| *from).collect::<Vec<_>>());
        for (at, (from, to)) in moved.iter().enumerate() {
            self.owner[*to] = self.owner[*from];
            let (row, cell) = (at as u32, *to as u32);
            self.take(&rows, &[Taken { row, cell }], 0)?;
        }
        if cells < self.columns.rows() {
            self.columns.resize(cells);
            self.owner.truncate(cells);
        }
        self.grow(cells);
        Ok(())
    }

    /// Empties all cells; there are `cells` of them then.
    pub fn clear(&mut self, cells: usize) {
        self.filled.clear();
        self.owner.clear();
        self.columns.resize(0);
        self.grow(cells);
    }

    /// Keeps those of these cells, in this order, as cells 0, 1, …: for tables whose cells are numbered members.
    pub fn keep(&mut self, cells: &[u32]) {
        fn select<T: Element>(values: &mut Vec<T>, width: usize, cells: &[u32]) {
            let rows = cells.iter().map(|cell| *cell as usize * width);
            *values = rows.flat_map(|at| at..at + width).map(|at| values[at]).collect();
        }
        for column in self.columns.columns_iter_mut() {
            each_data!(&mut column.data, values => select(values, column.width, cells));
        }
        self.columns.resize(cells.len());
        self.owner = cells.iter().map(|cell| self.owner[*cell as usize]).collect();
        self.filled = (0..cells.len() as u32).collect();
    }

    /// All columns, `[cells]` rows; those of empty cells mean nothing, but for a fitness of NaN.
    pub fn columns(&self) -> &Batch {
        &self.columns
    }

    /// Fitness of each cell's elite, NaN for an empty cell; `[cells]`.
    pub fn fitness(&self) -> &[f64] {
        self.value(FITNESS)
    }

    /// `[cells, k]`.
    pub fn descriptor(&self) -> &[f64] {
        self.value(DESCRIPTOR)
    }

    /// Generation at which it was found; `[cells]`.
    pub fn generation(&self) -> &[i64] {
        self.value(GENERATION)
    }

    /// Variation operator; `[cells]`.
    pub fn operator(&self) -> &[i32] {
        self.value(OPERATOR)
    }

    /// Cells of the parents, -1 for none; `[cells, 2]`.
    pub fn parents(&self) -> &[i64] {
        self.value(PARENTS)
    }

    /// Evaluation seed; `[cells]`.
    pub fn seed(&self) -> &[u64] {
        self.value(SEED)
    }

    /// Adds a column that the archive itself fills in, of zeros; before any row is taken.
    pub fn declare<T: Element>(&mut self, name: &str, unit: &str, description: &str) {
        self.columns.declare::<T>(name, 1, unit, description);
        self.own = self.columns.columns().len() - NAMES.len();
    }

    /// A column by its name, to be written.
    ///
    /// # Errors
    /// No such column, or one of another element type.
    pub fn get_mut<T: Element>(&mut self, name: &str) -> Result<&mut [T]> {
        self.columns.get_mut(name)
    }

    /// Copies rows to their cells, whole. Tags that are new here become columns; those that the rows do not have become 0, and `generation` is that of the
    /// argument. Columns of the archive's own stay as they are unless the rows have them.
    ///
    /// # Errors
    /// One of the first six columns is missing, or one has another shape than here.
    pub fn take(&mut self, rows: &Batch, taken: &[Taken], generation: u64) -> Result<()> {
        if taken.is_empty() {
            return Ok(());
        }
        for column in rows.columns() {
            if column.width > 0 && self.columns.find(&column.name).is_none() && !PASSING.contains(&column.name.as_str())
            {
                self.columns.declare_like(column);
            }
        }
        let own = NAMES.len()..NAMES.len() + self.own;
        for (at, mine) in self.columns.columns_iter_mut().enumerate() {
            match rows.find(&mine.name) {
                Some(theirs) => copy(theirs, mine, taken)?,
                None if at == GENERATION => {
                    let values = mine.values_mut::<i64>()?;
                    taken.iter().for_each(|t| values[t.cell as usize] = generation as i64);
                }
                None if at < NAMES.len() => return Err(rows.missing(&mine.name)),
                None if own.contains(&at) => {}
                None => each_data!(&mut mine.data, values => clear(values, mine.width, taken)),
            }
        }
        Ok(())
    }

    fn value<T: Element>(&self, at: usize) -> &[T] {
        T::slice(&self.columns.columns()[at].data).expect("declared by `new`")
    }

    fn value_mut<T: Element>(&mut self, at: usize) -> &mut [T] {
        self.columns.get_mut(NAMES[at]).expect("declared by `new`")
    }
}

fn copy(theirs: &Column, mine: &mut Column, taken: &[Taken]) -> Result<()> {
    fn values<T: Element>(from: &[T], to: &mut Data, width: usize, taken: &[Taken]) -> bool {
        let Some(to) = T::vec(to) else { return false };
        if width == 1 {
            taken.iter().for_each(|t| to[t.cell as usize] = from[t.row as usize]);
            return true;
        }
        for t in taken {
            let (row, cell) = (t.row as usize * width, t.cell as usize * width);
            to[cell..cell + width].copy_from_slice(&from[row..row + width]);
        }
        true
    }
    let name = &mine.name;
    if theirs.width != mine.width {
        let widths = format!("is {} wide, the archive needs {}", theirs.width, mine.width);
        return Err(Error::failed(format!("column '{name}' {widths}")));
    }
    if !each_data!(&theirs.data, from => values(from, &mut mine.data, mine.width, taken)) {
        let types = format!(
            "holds {}, the archive {}",
            theirs.data.type_name(),
            mine.data.type_name()
        );
        return Err(Error::failed(format!("column '{name}' {types}")));
    }
    Ok(())
}

fn clear<T: Element>(values: &mut [T], width: usize, taken: &[Taken]) {
    for t in taken {
        values[t.cell as usize * width..][..width].fill(T::default());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Batch {
        let mut rows = Batch::new();
        rows.push("status", 1, "", "", vec![0u8; 3]);
        rows.push("fitness", 1, "", "", vec![1.0f64, 2.0, 3.0]);
        rows.push("descriptor", 2, "", "", vec![0.0f64, 0.1, 1.0, 1.1, 2.0, 2.1]);
        rows.push("operator", 1, "", "", vec![5i32, 6, 7]);
        rows.push("parents", 2, "", "", vec![1i64, 2, 3, 4, 5, 6]);
        rows.push("seed", 1, "", "", vec![10u64, 20, 30]);
        rows
    }

    fn taken(pairs: &[(u32, u32)]) -> Vec<Taken> {
        pairs.iter().map(|&(row, cell)| Taken { row, cell }).collect()
    }

    #[test]
    fn a_tag_that_no_line_here_names_is_a_column_of_the_elites() {
        let mut elites = Elites::new(3, 2);
        elites.take(&rows(), &taken(&[(0, 0)]), 4).unwrap();
        let mut tagged = rows();
        tagged.push("emitter", 1, "", "who proposed it", vec![7u32, 8, 9]);
        elites.take(&tagged, &taken(&[(2, 1), (1, 2)]), 5).unwrap();
        assert_eq!(elites.columns().get::<u32>("emitter").unwrap(), [0, 9, 8]);
        assert_eq!(elites.fitness(), [1.0, 3.0, 2.0]);
        assert_eq!(elites.descriptor(), [0.0, 0.1, 2.0, 2.1, 1.0, 1.1]);
        assert_eq!(
            (elites.generation(), elites.seed()),
            (&[4, 5, 5][..], &[10, 30, 20][..])
        );
        assert_eq!(elites.parents()[2..4], [5, 6]);
        assert!(elites.columns().find("status").is_none());
        // An elite has nothing of the one before it.
        elites.take(&rows(), &taken(&[(0, 1)]), 6).unwrap();
        assert_eq!(elites.columns().get::<u32>("emitter").unwrap(), [0, 0, 8]);
    }

    #[test]
    fn members_that_are_kept_are_numbered_anew_and_are_whole() {
        let mut elites = Elites::new(3, 2);
        elites.take(&rows(), &taken(&[(0, 0), (1, 1), (2, 2)]), 4).unwrap();
        elites.owner.copy_from_slice(&[5, 6, 7]);
        elites.keep(&[2, 0]);
        assert_eq!(
            (elites.fitness(), elites.descriptor()),
            (&[3.0, 1.0][..], &[2.0, 2.1, 0.0, 0.1][..])
        );
        assert_eq!((&elites.filled[..], &elites.owner[..]), (&[0, 1][..], &[7, 5][..]));
        elites.grow(3);
        assert!(elites.fitness()[2].is_nan());
    }

    #[test]
    fn cells_are_empty_until_a_row_comes() {
        let mut elites = Elites::new(1, 2);
        elites.take(&rows(), &taken(&[(1, 0)]), 0).unwrap();
        elites.grow(2);
        assert!(elites.fitness()[0] == 2.0 && elites.fitness()[1].is_nan());
        assert_eq!(elites.parents(), [3, 4, -1, -1]);
        elites.clear(2);
        assert!(elites.fitness().iter().all(|f| f.is_nan()));
    }

    #[test]
    fn columns_of_the_archive_are_its_own() {
        let mut elites = Elites::new(1, 2);
        elites.declare::<f64>("novelty", "", "");
        elites.get_mut::<f64>("novelty").unwrap()[0] = 3.0;
        elites.take(&rows(), &taken(&[(0, 0)]), 0).unwrap();
        assert_eq!(elites.columns().get::<f64>("novelty").unwrap(), [3.0]);
        let mut stored = rows();
        stored.push("novelty", 1, "", "", vec![4.0f64; 3]);
        elites.take(&stored, &taken(&[(0, 0)]), 0).unwrap();
        assert_eq!(elites.columns().get::<f64>("novelty").unwrap(), [4.0]);
    }

    #[test]
    fn rows_of_another_shape_are_refused_by_name() {
        let mut elites = Elites::new(1, 3);
        let words =
            |rows: &Batch, elites: &mut Elites| elites.take(rows, &taken(&[(0, 0)]), 0).unwrap_err().to_string();
        assert!(words(&rows(), &mut elites).contains("'descriptor' is 2 wide"));
        let mut other = Batch::new();
        other.push("fitness", 1, "", "", vec![1.0f32]);
        assert!(words(&other, &mut Elites::new(1, 2)).contains("'fitness' holds f32"));
        let mut short = Batch::new();
        short.push("fitness", 1, "", "", vec![1.0f64]);
        assert!(words(&short, &mut Elites::new(1, 2)).contains("no column 'descriptor'"));
    }
}
