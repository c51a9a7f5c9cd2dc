//! What archives without cells share: their elites are numbered from 0, and told apart by distances between descriptors.

use std::ops::Range;

use illume_core::{
    ArchiveSpec, Batch, Comm, Elites, Error, Genomes, InsertReport, NOT_OFFERED, Outcome, Result, Status, Taken, block,
};

use crate::archive::{Storing, check_block};
use crate::store::Shard;

/// Factor of each axis in distances; empty where descriptors count in their own units.
pub(crate) fn factors(spec: &ArchiveSpec, normalize: bool) -> Vec<f64> {
    let axes = spec.axes.iter().filter(|_| normalize);
    axes.map(|axis| 1.0 / (axis.upper - axis.lower)).collect()
}

/// Descriptors as distances see them.
pub(crate) fn scale(factors: &[f64], descriptors: impl Iterator<Item = f64>) -> Vec<f64> {
    if factors.is_empty() {
        return descriptors.collect();
    }
    let factors = factors.iter().cycle();
    descriptors.zip(factors).map(|(x, f)| x * f).collect()
}

/// Makes a report of so many rows none of which is taken, or gains anything.
pub(crate) fn begin(report: &mut InsertReport, rows: usize) {
    report.outcome.clear();
    report.outcome.resize(rows, Outcome::Invalid as u8);
    report.gain.clear();
    report.gain.resize(rows, 0.0);
    report.kept.clear();
    report.novelty.clear();
    report.competition.clear();
    report.outside = 0;
}

/// Whether a row may be taken at all.
pub(crate) fn is_offered(status: u8, cell: i64, fitness: f64) -> bool {
    status == Status::Ok as u8 && cell != NOT_OFFERED && fitness.is_finite()
}

/// Adds rows behind the elites that there are.
///
/// # Errors
/// A column is missing.
pub(crate) fn append(rows: &[u32], storing: &Storing<'_>, elites: &mut Elites, shard: &mut Shard) -> Result<()> {
    let before = elites.filled.len();
    let after = before + rows.len();
    elites.grow(after);
    shard.grow(after);
    let numbered = rows.iter().zip(before as u32..);
    let taken: Vec<Taken> = numbered.map(|(&row, cell)| Taken { row, cell }).collect();
    elites.filled.extend(before as u32..after as u32);
    storing.store(&taken, elites, shard)
}

/// Replaces all elites by rows of a file, `empty` being the table of none; `column` is what they have of the archive's own. Nothing has changed where it fails by its checks.
///
/// # Errors
/// Rows that are not numbered from 0, are too many, or lack a column.
pub(crate) fn restore(
    rows: &Batch,
    genomes: &Genomes,
    comm: &dyn Comm,
    (spec, column): (&ArchiveSpec, &str),
    empty: Elites,
    (elites, shard): (&mut Elites, &mut Shard),
) -> Result<()> {
    let total = rows.rows();
    let (cells, fitness): (&[i64], &[f64]) = (rows.get("cell")?, rows.get("fitness")?);
    let own: Range<usize> = block(total, comm.rank(), comm.size());
    check_block(total, &own, genomes, comm)?;
    shard.accepts(genomes)?;
    if total > spec.capacity || !cells.iter().copied().eq(0..total as i64) {
        return Err(Error::failed(format!(
            "the {total} members of an archive of kind {} of at most {} are not numbered from 0 in their order",
            spec.kind, spec.capacity
        )));
    }
    if let Some(row) = fitness.iter().position(|f| !f.is_finite()) {
        return Err(Error::failed(format!("member {row} has the fitness {}", fitness[row])));
    }
    // Members say themselves when they were found, and what the archive made of them.
    rows.get::<i64>("generation")?;
    rows.get::<f64>(column)?;
    shard.clear();
    *elites = empty;
    let storing = Storing {
        rows,
        own,
        genomes,
        generation: 0,
        comm,
    };
    append(&(0..total as u32).collect::<Vec<u32>>(), &storing, elites, shard)
}
