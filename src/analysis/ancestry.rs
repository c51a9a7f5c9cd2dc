//! Which elites of an archive are whose parents.

use illume_archives::file::ArchiveFile;
use illume_core::Result;

/// From parents to children, as rows of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestry {
    /// For each elite its first parent, if that one is still in the archive.
    pub parents: Vec<Option<usize>>,
    /// Elites that have a parent at all, in the archive or replaced since.
    pub born: usize,
}

impl Ancestry {
    /// A file stores the cells of an elite's parents. Whoever lies there now is the parent itself if it was found before the child was: an elite stays until
    /// another replaces it, and that one would be younger than the child.
    ///
    /// # Errors
    /// A column is missing.
    pub fn of(file: &ArchiveFile) -> Result<Ancestry> {
        let elites = &file.elites;
        let (cells, generations) = (elites.get::<i64>("cell")?, elites.get::<i64>("generation")?);
        Ok(Ancestry::new(cells, generations, elites.get("parents")?))
    }

    fn new(cells: &[i64], generations: &[i64], parents: &[i64]) -> Ancestry {
        let stored: Vec<i64> = parents.chunks_exact(2).map(|pair| pair[0]).collect();
        let found = |(child, parent): (usize, &i64)| {
            let row = cells.binary_search(parent).ok()?;
            (generations[row] < generations[child]).then_some(row)
        };
        Ancestry {
            parents: stored.iter().enumerate().map(found).collect(),
            born: stored.iter().filter(|parent| **parent >= 0).count(),
        }
    }

    /// An elite, its parent, and so on as far as they are in the archive.
    pub fn line(&self, row: usize) -> Vec<usize> {
        // Each is older than the one before, so that the line ends.
        std::iter::successors(Some(row), |row| self.parents[*row]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_found_where_it_lay_unless_it_was_replaced() {
        // Cells 2, 5, 7, 9; the elite of 5 replaced the parent of that of 7; that of 9 comes from 7, whose parent 2 is still there.
        let ancestry = Ancestry::new(&[2, 5, 7, 9], &[0, 6, 3, 4], &[-1, -1, 2, -1, 5, 2, 7, 2]);
        assert_eq!(ancestry.parents, [None, Some(0), None, Some(2)]);
        assert_eq!(ancestry.born, 3);
        assert_eq!(ancestry.line(3), [3, 2]);
        assert_eq!(ancestry.line(1), [1, 0]);
        // A cell that nobody has, and one's own generation.
        assert_eq!(Ancestry::new(&[1, 4], &[2, 2], &[3, -1, 1, -1]).parents, [None, None]);
    }
}
