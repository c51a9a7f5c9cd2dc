//! The elites that `--where` and `--cells` mean.

use std::str::FromStr;

use illume_archives::file::ArchiveFile;
use illume_core::{Error, Result};

use crate::engine::output::{significant, thousands};
use crate::formats::export::names::Words;
use crate::formats::filter;

/// Rows of an archive that are meant.
pub(super) struct Selection {
    /// Ascending.
    pub rows: Vec<usize>,
    /// `all`, `some`, or the cell.
    pub name: String,
    pub notes: Vec<String>,
}

impl Selection {
    pub fn new(rows: Vec<usize>, name: &str) -> Selection {
        Selection {
            rows,
            name: name.into(),
            notes: Vec::new(),
        }
    }
}

/// Numbers of cells, as `1,5,10-20`.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cells {
    text: String,
    /// First and last.
    ranges: Vec<[i64; 2]>,
}

impl FromStr for Cells {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Cells, String> {
        let number = |text: &str| text.trim().parse::<u32>().ok().map(i64::from);
        let range = |part: &str| match part.split_once('-') {
            None => number(part).map(|n| [n, n]),
            Some((first, last)) => number(first).zip(number(last)).map(|(a, b)| [a, b]),
        };
        let ranges: Option<Vec<[i64; 2]>> = text.split(',').map(range).collect();
        let ranges = ranges.filter(|ranges| ranges.iter().all(|[first, last]| first <= last));
        let ranges = ranges.ok_or("expected numbers of cells and ranges of them, such as 1,5,10-20")?;
        Ok(Cells {
            text: text.into(),
            ranges,
        })
    }
}

/// The rows of an archive that lie in these cells and for which the condition holds.
///
/// # Errors
/// No such cells, a condition that is none, or no elite that is meant.
pub(super) fn select(file: &ArchiveFile, condition: Option<&str>, cells: Option<&Cells>) -> Result<Selection> {
    let shown = file.path().display();
    let mut selection = Selection::new((0..file.rows()).collect(), "all");
    if let Some(Cells { text, ranges }) = cells {
        let capacity = match file.spec.has_cells() {
            true => file.spec.capacity,
            false => file.rows(),
        };
        if let Some([_, last]) = ranges.iter().find(|[_, last]| *last >= capacity as i64) {
            return Err(Error::input(format!(
                "--cells {text}: {last} is no cell, {shown} has cells from 0 to {}",
                capacity - 1
            )));
        }
        let own: &[i64] = file.elites.get("cell")?;
        let wanted = |cell: i64| ranges.iter().any(|[first, last]| (*first..=*last).contains(&cell));
        selection.rows.retain(|&row| wanted(own[row]));
        if selection.rows.is_empty() {
            return Err(Error::input(format!(
                "--cells {text}: these cells of {shown} are empty"
            )));
        }
        let asked = count(ranges);
        if asked > selection.rows.len() {
            let empty = thousands((asked - selection.rows.len()) as u64);
            selection.notes.push(format!(
                "{empty} of the {} cells that were named are empty",
                thousands(asked as u64)
            ));
        }
    }
    if let Some(condition) = condition {
        let meant = filter::rows(condition, &file.elites, Words::of(file))?;
        selection.rows.retain(|row| meant.binary_search(row).is_ok());
        if selection.rows.is_empty() {
            let fitness: &[f64] = file.elites.get("fitness")?;
            let [low, high] = [f64::min, f64::max].map(|of| significant(fitness.iter().copied().fold(f64::NAN, of)));
            return Err(Error::input(format!(
                "--where '{condition}': no elite{} of {shown} is such; their fitness goes from {low} to {high}",
                if cells.is_some() { " of these cells" } else { "" },
            )));
        }
    }
    if condition.is_some() || cells.is_some() {
        selection.name = "some".into();
    }
    Ok(selection)
}

/// Numbers in these ranges, those in several once.
fn count(ranges: &[[i64; 2]]) -> usize {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let mut next = 0;
    let fresh = sorted.iter().map(|&[first, last]| {
        let fresh = (last + 1 - first.max(next)).max(0);
        next = next.max(last + 1);
        fresh
    });
    fresh.sum::<i64>() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_numbers_and_ranges() {
        let ranges = |text: &str| text.parse::<Cells>().map(|cells| cells.ranges);
        assert_eq!(ranges("7").unwrap(), [[7, 7]]);
        assert_eq!(ranges("1,5,10-20").unwrap(), [[1, 1], [5, 5], [10, 20]]);
        assert_eq!(count(&[[5, 9], [1, 1], [7, 12], [1, 1]]), 9);
        for text in ["", "a", "1,,2", "5-3", "-1", "1-2-3", "4294967296"] {
            assert!(ranges(text).unwrap_err().contains("1,5,10-20"), "{text}");
        }
    }
}
