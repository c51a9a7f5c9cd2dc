//! Which cells imported elites take.

use std::path::Path;

use illume_archives::CellArchive;
use illume_core::{Archive as _, Batch, Error, Result};

use super::division::Division;
use crate::engine::output::thousands;
use crate::formats::import::Foreign;

/// Share of the elites that may lie in another cell than the file's: programs differ at the edges of cells.
const DISPLACED: f64 = 0.05;

/// Elites in their cells.
pub struct Placed {
    /// Rows of the file, in order of their cells.
    pub rows: Vec<usize>,
    /// A row for each of them, with the columns of elites.
    pub elites: Batch,
    pub operators: Vec<String>,
    pub notes: Vec<String>,
}

/// Gives each elite the cell that the file says, or with `relocate`, or where the file's numbers are of other cells, the one in which its
/// descriptor lies. Of several in a cell the best stays, of equals the first. Operators are numbered as in `known`, if they are there.
///
/// # Errors
/// The file's numbers are not those of these cells, or more elites than the archive takes.
pub fn place(path: &Path, foreign: &Foreign, division: &Division, relocate: bool, known: &[String]) -> Result<Placed> {
    let (n, spec) = (foreign.rows(), &division.spec);
    let mut notes = foreign.notes.clone();
    let cells = match spec.has_cells() {
        true => cells(path, foreign, division, relocate, &mut notes)?,
        false => members(path, foreign, spec.capacity)?,
    };
    let mut rows: Vec<usize> = (0..n).collect();
    let better = |a: &usize, b: &usize| {
        cells[*a]
            .cmp(&cells[*b])
            .then(foreign.fitness[*b].total_cmp(&foreign.fitness[*a]))
    };
    rows.sort_by(better);
    rows.dedup_by(|b, a| cells[*a] == cells[*b]);
    if rows.len() < n {
        notes.push(format!(
            "{} of {} elites lie in the cell of a better one and are left out",
            thousands((n - rows.len()) as u64),
            thousands(n as u64)
        ));
    }
    let (elites, operators) = elites(foreign, &cells, (spec.capacity, known), &mut notes);
    Ok(Placed {
        elites: elites.select(&rows),
        rows,
        operators,
        notes,
    })
}

fn cells(
    path: &Path,
    foreign: &Foreign,
    division: &Division,
    relocate: bool,
    notes: &mut Vec<String>,
) -> Result<Vec<i64>> {
    let spec = &division.spec;
    let mut located = vec![-1; foreign.rows()];
    CellArchive::from_spec(spec, foreign.dim, false)?.locate(&foreign.descriptor, &mut located);
    let Some(index) = foreign.index.as_ref().filter(|_| division.numbered && !relocate) else {
        return Ok(located);
    };
    let shown = path.display();
    let remedy = "give the cells and bounds of the archive that it comes from, or --relocate to put each elite where its descriptor lies";
    if let Some(cell) = index.iter().find(|&&cell| cell >= spec.capacity as i64) {
        return Err(Error::input(format!(
            "{shown}: an elite lies in cell {cell}, and there are {}: {remedy}",
            spec.capacity
        )));
    }
    let displaced = index.iter().zip(&located).filter(|(own, ours)| own != ours).count();
    let (all, some) = (thousands(index.len() as u64), thousands(displaced as u64));
    if displaced as f64 > DISPLACED * index.len() as f64 {
        return Err(Error::input(format!(
            "{shown}: {some} of {all} elites lie outside of the cell that the file gives them: {remedy}"
        )));
    }
    if displaced > 0 {
        notes.push(format!(
            "{some} of {all} elites stay in the cell that the file gives them, although their descriptors lie beside it"
        ));
    }
    Ok(index.clone())
}

/// Numbers of members, in the order of the file's own.
fn members(path: &Path, foreign: &Foreign, capacity: usize) -> Result<Vec<i64>> {
    let n = foreign.rows();
    if n > capacity {
        return Err(Error::input(format!(
            "{}: {n} elites are more than the {capacity} that the archive takes",
            path.display()
        )));
    }
    let Some(index) = &foreign.index else {
        return Ok((0..n as i64).collect());
    };
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by_key(|&row| index[row]);
    let mut numbers = vec![0; n];
    (0..).zip(order).for_each(|(number, row)| numbers[row] = number);
    Ok(numbers)
}

/// The columns of elites, and the names of their operators.
fn elites(
    foreign: &Foreign,
    cells: &[i64],
    (capacity, known): (usize, &[String]),
    notes: &mut Vec<String>,
) -> (Batch, Vec<String>) {
    let n = foreign.rows();
    let mut elites = Batch::new();
    elites.push("cell", 1, "", "number of the cell", cells.to_vec());
    elites.push("fitness", 1, "", "fitness, to be maximized", foreign.fitness.clone());
    elites.push("descriptor", foreign.k, "", "descriptor", foreign.descriptor.clone());
    let generation = foreign
        .further
        .get::<i64>("generation")
        .map_or_else(|_| vec![0; n], <[i64]>::to_vec);
    elites.push("generation", 1, "", "generation at which it was found", generation);
    let mut operators = known.to_vec();
    let numbers: Vec<i32> = foreign
        .operators
        .iter()
        .map(|name| number(name, &mut operators))
        .collect();
    // Without names they are the known ones already.
    let numbered = |&n: &i32| numbers.get(n as usize).copied().unwrap_or(n);
    let operator = match foreign.further.get::<i32>("operator") {
        Ok(own) => own.iter().map(numbered).collect(),
        Err(_) => vec![number(super::IMPORTED, &mut operators); n],
    };
    elites.push("operator", 1, "", "variation operator that made it", operator);
    let known = |parents: &&[i64]| parents.iter().all(|&p| p >= -1 && p < capacity as i64);
    let parents = foreign.further.get::<i64>("parents").ok();
    if parents.is_some_and(|parents| !known(&parents)) {
        notes.push("column parents is left out: it names cells that there are not".into());
    }
    let parents = parents.filter(known).map_or_else(|| vec![-1; 2 * n], <[i64]>::to_vec);
    elites.push("parents", 2, "", "cells of its parents, -1 for none", parents);
    let seed = foreign
        .further
        .get::<u64>("seed")
        .map_or_else(|_| vec![0; n], <[u64]>::to_vec);
    elites.push("seed", 1, "", "evaluation seed", seed);
    let of_all = ["generation", "operator", "parents", "seed"];
    for column in foreign
        .further
        .columns()
        .iter()
        .filter(|c| !of_all.contains(&c.name.as_str()))
    {
        elites.push_column(column.clone());
    }
    (elites, operators)
}

/// The number of an operator, whose name is added if it is new.
fn number(name: &str, operators: &mut Vec<String>) -> i32 {
    let known = operators.iter().position(|known| known == name);
    known.unwrap_or_else(|| {
        operators.push(name.into());
        operators.len() - 1
    }) as i32
}
