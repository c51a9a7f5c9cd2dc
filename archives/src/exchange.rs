//! Bringing genomes from the ranks that store them to the ranks that want them.
//!
//! Every rank knows who wants and who stores what, so nothing is asked for: one all-to-all carries the genomes (two for
//! lineages, whose lengths only their owner knows). A genome wanted twice by a rank is sent to it once.

use illume_core::{Comm, Dense, Elites, Error, Fetched, GenomeRef, Genomes, Inbox, Lineages, Result};

use crate::store::Shard;

/// See `Archive::fetch`: genomes of `elites`, of which this rank stores `shard`.
pub(crate) fn fetch<'a>(
    elites: &Elites,
    shard: &'a Shard,
    cells: &[u32],
    bounds: &[usize],
    comm: &dyn Comm,
    inbox: &'a mut Inbox,
) -> Result<Fetched<'a>> {
    let (rank, size) = (comm.rank(), comm.size());
    if size == 1 {
        return Ok(Fetched::new(|cell| shard.get(cell as usize)));
    }
    let ascending = bounds.windows(2).all(|w| w[0] <= w[1]);
    if bounds.len() != size + 1 || !ascending || bounds.last().is_some_and(|&end| end > cells.len()) {
        return Err(Error::failed(format!(
            "bounds {bounds:?} do not divide {} cells among {size} ranks",
            cells.len()
        )));
    }
    // The index is replicated, so that all ranks fail here or none does.
    let fitness = elites.fitness();
    for &cell in cells {
        if fitness.get(cell as usize).is_none_or(|f| f.is_nan()) {
            return Err(Error::failed(format!(
                "the genome of cell {cell} was asked for, which is empty"
            )));
        }
    }
    let mine = &cells[bounds[rank]..bounds[rank + 1]];
    let stored = |cell: u32| {
        let missing = || Error::failed(format!("rank {rank} does not store the genome of cell {cell}"));
        shard.get(cell as usize).ok_or_else(missing)
    };
    let from = |owner: usize, wanted: &[u32]| -> Vec<u32> {
        let mut list: Vec<u32> = wanted
            .iter()
            .copied()
            .filter(|&c| elites.owner[c as usize] as usize == owner)
            .collect();
        list.sort_unstable();
        list.dedup();
        list
    };
    let outgoing: Vec<Vec<u32>> = (0..size)
        .map(|r| {
            if r == rank {
                Vec::new()
            } else {
                from(rank, &cells[bounds[r]..bounds[r + 1]])
            }
        })
        .collect();
    let incoming: Vec<Vec<u32>> = (0..size)
        .map(|r| if r == rank { Vec::new() } else { from(r, mine) })
        .collect();
    inbox.genomes = match shard.dim() {
        Some(dim) => Genomes::Dense(exchange_dense(dim, &outgoing, &incoming, stored, comm)?),
        None => Genomes::Lineage(exchange_lineages(&outgoing, &incoming, stored, comm)?),
    };
    // Rows of the inbox by cell.
    let mut rows: Vec<(u32, u32)> = incoming.iter().flatten().copied().zip(0..).collect();
    rows.sort_unstable();
    let inbox = &*inbox;
    Ok(Fetched::new(move |cell| {
        shard.get(cell as usize).or_else(|| {
            let at = rows.binary_search_by_key(&cell, |(cell, _)| *cell).ok()?;
            let row = rows[at].1 as usize;
            match &inbox.genomes {
                Genomes::Dense(d) => Some(GenomeRef::Dense(&d.data[row * d.dim..(row + 1) * d.dim])),
                Genomes::Lineage(l) => {
                    let (streams, scales) = l.row(row);
                    Some(GenomeRef::Lineage { streams, scales })
                }
                Genomes::Perturbation(_) => None,
            }
        })
    }))
}

fn exchange_dense<'a>(
    dim: usize,
    outgoing: &[Vec<u32>],
    incoming: &[Vec<u32>],
    stored: impl Fn(u32) -> Result<GenomeRef<'a>>,
    comm: &dyn Comm,
) -> Result<Dense> {
    let mut send = Vec::with_capacity(outgoing.len());
    for list in outgoing {
        let mut bytes = Vec::with_capacity(list.len() * dim * 4);
        for &cell in list {
            push_f32(stored(cell)?.dense()?, &mut bytes);
        }
        send.push(bytes);
    }
    let receive: Vec<usize> = incoming.iter().map(|list| list.len() * dim * 4).collect();
    let parts = comm.all_to_all(&send, &receive)?;
    let mut data = Vec::with_capacity(receive.iter().sum::<usize>() / 4);
    parts.iter().for_each(|bytes| data.extend(read_f32(bytes)));
    Ok(Dense { dim, data })
}

fn exchange_lineages<'a>(
    outgoing: &[Vec<u32>],
    incoming: &[Vec<u32>],
    stored: impl Fn(u32) -> Result<GenomeRef<'a>>,
    comm: &dyn Comm,
) -> Result<Lineages> {
    let (mut lengths, mut send) = (Vec::new(), Vec::new());
    for list in outgoing {
        let mut wanted = Lineages::new();
        for &cell in list {
            if let GenomeRef::Lineage { streams, scales } = stored(cell)? {
                wanted.push(streams, scales);
            }
        }
        let (sizes, bytes) = pack_lineages(&wanted);
        lengths.push(sizes);
        send.push(bytes);
    }
    let receive: Vec<usize> = incoming.iter().map(|list| list.len() * 8).collect();
    let lengths = comm.all_to_all(&lengths, &receive)?;
    let receive: Vec<usize> = lengths
        .iter()
        .map(|bytes| 12 * read_u64(bytes).sum::<u64>() as usize)
        .collect();
    let parts = comm.all_to_all(&send, &receive)?;
    let mut lineages = Lineages::new();
    for (lengths, bytes) in lengths.iter().zip(&parts) {
        unpack_lineages(&read_u64(lengths).collect::<Vec<_>>(), bytes, &mut lineages);
    }
    Ok(lineages)
}

/// The lengths of lineages as u64, and all their streams followed by all their scales, little-endian.
pub(crate) fn pack_lineages(lineages: &Lineages) -> (Vec<u8>, Vec<u8>) {
    let lengths = lineages
        .offsets
        .windows(2)
        .flat_map(|w| (w[1] - w[0]).to_le_bytes())
        .collect();
    let mut bytes: Vec<u8> = lineages.streams.iter().flat_map(|s| s.to_le_bytes()).collect();
    push_f32(&lineages.scales, &mut bytes);
    (lengths, bytes)
}

/// Appends lineages of these lengths, packed by [`pack_lineages`].
pub(crate) fn unpack_lineages(lengths: &[u64], bytes: &[u8], lineages: &mut Lineages) {
    let steps = lengths.iter().sum::<u64>() as usize;
    let (streams, scales) = bytes.split_at(8 * steps);
    let base = lineages.streams.len() as u64;
    lineages.streams.extend(read_u64(streams));
    lineages.scales.extend(read_f32(scales));
    lineages.offsets.extend(lengths.iter().scan(base, |end, length| {
        *end += length;
        Some(*end)
    }));
}

pub(crate) fn push_f32(values: &[f32], bytes: &mut Vec<u8>) {
    values.iter().for_each(|x| bytes.extend_from_slice(&x.to_le_bytes()));
}

pub(crate) fn read_f32(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b))
}

fn read_u64(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks().0.iter().map(|b| u64::from_le_bytes(*b))
}
