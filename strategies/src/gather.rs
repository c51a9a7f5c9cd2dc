//! Vectors of which each rank has made a part.

use std::ops::Range;

use illume_core::{Context, Element, Result};

/// Makes `values` whole on every rank, as exact bytes; each has filled in its own part. The parts follow one another in the order of the ranks
/// and cover all. Collective.
///
/// # Errors
/// Communication.
pub(crate) fn gather<T: Element>(
    context: &Context<'_>,
    values: &mut [T],
    part: impl Fn(usize) -> Range<usize>,
) -> Result<()> {
    let (comm, size) = (context.comm, context.comm.size());
    if size == 1 {
        return Ok(());
    }
    let own = part(comm.rank());
    let mut mine = Vec::with_capacity(size_of::<T>() * own.len());
    values[own].iter().for_each(|x| x.write_le(&mut mine));
    let counts: Vec<usize> = (0..size).map(|rank| size_of::<T>() * part(rank).len()).collect();
    let mut all = Vec::new();
    comm.all_gather(&mine, &counts, &mut all)?;
    for (x, raw) in values.iter_mut().zip(all.chunks_exact(size_of::<T>())) {
        *x = T::read_le(raw);
    }
    Ok(())
}
