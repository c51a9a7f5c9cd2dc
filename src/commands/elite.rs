//! One elite of an archive, as `--elite` names it.

use std::str::FromStr;

use illume_archives::file::ArchiveFile;
use illume_core::{Batch, Dense, Error, Genomes, Lineages, Result};

use crate::engine::output::thousands;

/// Which elite is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// The best of the archive.
    Best,
    /// The strategy's own result.
    Solution,
    /// That of a cell.
    Cell(u64),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Which, String> {
        match text {
            "best" => Ok(Which::Best),
            "solution" => Ok(Which::Solution),
            number => number
                .parse()
                .map(Which::Cell)
                .map_err(|_| "expected best, solution or the number of a cell".into()),
        }
    }
}

/// The strategy's own result as one genome, with what it says of its fitness.
pub(super) struct Solution {
    /// One row; lineages come without a decoder.
    pub genomes: Genomes,
    /// None of an actor that was never scored.
    pub fitness: Option<f64>,
    /// What that fitness is.
    pub meaning: String,
    /// Its evaluation seed, if it has one.
    pub seed: Option<u64>,
}

impl Solution {
    /// Reads it; none where the strategy's result is its archive, or a network that is no genome of the task.
    ///
    /// # Errors
    /// A damaged file.
    pub fn of(file: &ArchiveFile) -> Result<Option<Solution>> {
        match file.solution()? {
            Some(table) => Solution::of_table(&table, file),
            None => Ok(None),
        }
    }

    /// The same of the file's solution, where it has been read.
    ///
    /// # Errors
    /// As [`Solution::of`].
    pub fn of_table(table: &Batch, file: &ArchiveFile) -> Result<Option<Solution>> {
        let Some(genomes) = genome(table, file) else {
            return Ok(None);
        };
        let column = table.find("fitness");
        let fitness = column.map(|_| {
            let value = table.get::<f64>("fitness").ok().and_then(|f| f.first().copied());
            value.ok_or_else(|| Error::input(format!("{}: /solution has no fitness in f64", file.path().display())))
        });
        Ok(Some(Solution {
            genomes,
            fitness: fitness.transpose()?,
            meaning: column.map_or(String::new(), |column| column.description.clone()),
            seed: table.get::<u64>("seed").ok().and_then(|s| s.first().copied()),
        }))
    }
}

/// The genome in a solution: dense, or a lineage.
fn genome(table: &Batch, file: &ArchiveFile) -> Option<Genomes> {
    let dim = file.genome_dim;
    if let Ok(genes) = table.get::<f32>("genome") {
        let data = genes.to_vec();
        return (data.len() == dim).then_some(Genomes::Dense(Dense { dim, data }));
    }
    let streams = table.get::<u64>("lineage_streams").ok()?;
    let scales = table.get::<f32>("lineage_scales").ok()?;
    let mut lineages = Lineages::new();
    lineages.push(streams, scales);
    (!streams.is_empty() && streams.len() == scales.len()).then_some(Genomes::Lineage(lineages))
}

/// The row of an archive's elites that is meant; `Solution` is none of them.
///
/// # Errors
/// The cell does not exist or is empty.
pub(super) fn row(file: &ArchiveFile, which: Which) -> Result<usize> {
    let fitness: &[f64] = file.elites.get("fitness")?;
    let cells: &[i64] = file.elites.get("cell")?;
    let shown = file.path().display();
    match which {
        Which::Cell(cell) => {
            let capacity = file.spec.capacity as u64;
            if cell >= capacity {
                return Err(Error::input(format!(
                    "--elite {cell}: {shown} has cells from 0 to {}",
                    capacity - 1
                )));
            }
            cells.binary_search(&(cell as i64)).map_err(|_| {
                Error::input(format!(
                    "--elite {cell}: that cell of {shown} is empty; {} of its {} are filled{}",
                    thousands(cells.len() as u64),
                    thousands(capacity),
                    nearest(cells, cell as i64)
                ))
            })
        }
        // Of equals the first.
        _ => (0..fitness.len())
            .reduce(|best, i| if fitness[i] > fitness[best] { i } else { best })
            .ok_or_else(|| Error::input(format!("{shown}: the archive is empty"))),
    }
}

/// The filled cell with the nearest number, as the end of a sentence.
fn nearest(cells: &[i64], cell: i64) -> String {
    let nearest = cells.iter().min_by_key(|c| (c.abs_diff(cell), **c));
    nearest.map_or(String::new(), |c| format!(", the nearest number is {c}"))
}

/// The row of the elite whose descriptor is nearest to the one that was typed, each axis counted from its lower to its upper bound as one; of equals the first.
///
/// # Errors
/// A descriptor that the archive has not, or no elites.
pub(super) fn nearest_to(file: &ArchiveFile, typed: &str) -> Result<usize> {
    let wanted = super::eval::policy::parse(typed, &file.spec.axes)?;
    let (axes, descriptors) = (&file.spec.axes, file.elites.get::<f64>("descriptor")?);
    let distance = |row: usize| {
        let own = &descriptors[row * axes.len()..][..axes.len()];
        let squares = axes
            .iter()
            .zip(own)
            .zip(&wanted)
            .map(|((a, x), w)| (a.share(*x) - a.share(*w)).powi(2));
        squares.sum::<f64>()
    };
    (0..file.rows())
        .min_by(|a, b| distance(*a).total_cmp(&distance(*b)))
        .ok_or_else(|| Error::input(format!("{}: the archive is empty", file.path().display())))
}

/// The error of a run that has no solution.
pub(super) fn no_solution(file: &ArchiveFile) -> Error {
    Error::input(format!(
        "--elite solution: the result of strategy \"{}\" in {} is its archive; expected best or the number of a cell",
        file.attributes.strategy,
        file.path().display()
    ))
}
