//! What ranks tell one another of the rows that they evaluated.

use illume_core::{Batch, Candidates, Comm, Element, Result, Status, Task, block};

/// Every rank's rows, in order, on every rank. A column whose rows are equal throughout a rank's block travels once: of an evolution
/// strategy's members little more than the fitness is left.
pub(crate) fn gather_rows(comm: &dyn Comm, total: usize, local: &Batch, rows: &mut Batch) -> Result<()> {
    let mut mine = Vec::with_capacity(local.rows() * local.row_bytes());
    let constant = local.write_packed(&mut mine)?;
    let mut all = Vec::new();
    comm.all_gather(&constant.to_le_bytes(), &vec![size_of::<u64>(); comm.size()], &mut all)?;
    let constant: Vec<u64> = all.chunks_exact(size_of::<u64>()).map(u64::read_le).collect();
    let blocks = || (0..comm.size()).map(|rank| block(total, rank, comm.size()));
    let counts: Vec<usize> = blocks()
        .zip(&constant)
        .map(|(block, constant)| local.packed_bytes(block.len(), *constant))
        .collect();
    comm.all_gather(&mine, &counts, &mut all)?;
    // Columns may have been added since the last generation.
    if rows.columns().len() != local.columns().len() {
        *rows = local.like(total);
    }
    rows.resize(total);
    let mut rest = all.as_slice();
    for ((range, count), constant) in blocks().zip(counts).zip(constant) {
        let (bytes, after) = rest.split_at(count);
        rows.read_packed(range, constant, bytes)?;
        rest = after;
    }
    Ok(())
}

/// The moments of all observed rows, in order, on every rank.
pub(crate) fn gather_moments(
    comm: &dyn Comm,
    candidates: &Candidates,
    width: usize,
    moments: &mut Vec<f64>,
) -> Result<()> {
    if candidates.observed.is_empty() {
        return Ok(());
    }
    let within = |rank: usize| {
        let range = block(candidates.total, rank, comm.size());
        candidates
            .observed
            .iter()
            .filter(|&&row| range.contains(&(row as usize)))
            .count()
    };
    let counts: Vec<usize> = (0..comm.size())
        .map(|rank| within(rank) * width * size_of::<f64>())
        .collect();
    let mine: Vec<u8> = moments.iter().flat_map(|x| x.to_le_bytes()).collect();
    let mut all = Vec::new();
    comm.all_gather(&mine, &counts, &mut all)?;
    moments.clear();
    moments.extend(all.chunks_exact(size_of::<f64>()).map(f64::read_le));
    Ok(())
}

/// What the task says of the first row that failed, on every rank: the rank that evaluated it is asked. None if no row of `rows` failed; empty
/// where the task says nothing. Collective.
pub(crate) fn why_failed(comm: &dyn Comm, task: &dyn Task, rows: &Batch) -> Result<Option<String>> {
    let status = rows.get::<u8>("status")?;
    let Some(row) = status.iter().position(|s| *s == Status::Failed as u8) else {
        return Ok(None);
    };
    let evaluated = |rank: &usize| block(status.len(), *rank, comm.size()).contains(&row);
    let rank = (0..comm.size()).find(evaluated).unwrap_or(0);
    let mut text = task.failure().unwrap_or_default().into_bytes();
    comm.broadcast(rank, &mut text)?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned()))
}
