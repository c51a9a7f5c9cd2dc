//! Going on from a checkpoint: rank 0 reads, every rank gets what it needs, at any number of ranks.

use std::ops::Range;
use std::path::Path;

use illume_core::{ArchiveSpec, Batch, Comm, Dense, Error, Genomes, Lineages, Result, State, block};

use super::wire::{Sink, Source};
use super::{ArchiveFile, Attributes, open};
use crate::exchange::{pack_lineages, push_f32, read_f32, unpack_lineages};

/// Bytes of genomes that are read and sent at a time, about.
const PIECE_BYTES: usize = 8 << 20;

/// Lineages that are read and sent at a time.
const LINEAGES: usize = 4096;

/// What a run goes on from; the same on every rank but for the genomes.
#[derive(Debug)]
pub struct Checkpoint {
    pub attributes: Attributes,
    pub spec: ArchiveSpec,
    pub genome_dim: usize,
    pub lineage: bool,
    /// The elites in the order in which their cells were first filled: what `Archive::restore` takes.
    pub rows: Batch,
    /// Genomes of this rank's block of `rows`; lineages without a decoder.
    pub genomes: Genomes,
    /// The same of what the strategy breeds from, where that is not the result: what `Archive::restore_active` takes.
    pub active: Option<(Batch, Genomes)>,
    pub history: Batch,
    pub state: State,
}

/// Reads a checkpoint; every rank calls it, rank 0 alone reads the file.
///
/// # Errors
/// Those of [`open`], a file that is no checkpoint, or communication; every rank gets the same.
pub fn read_checkpoint(path: &Path, comm: &dyn Comm) -> Result<Checkpoint> {
    let (mut file, mut active_file) = (None, None);
    let mut bytes = Vec::new();
    if comm.rank() == 0 {
        let mut sink = Sink::default();
        match open(path).and_then(|f| pack(&f, &mut sink).map(|active| (f, active))) {
            Ok((opened, active)) => (file, active_file) = (Some(opened), active),
            Err(error) => {
                sink = Sink::default();
                pack_error(&error, &mut sink);
            }
        }
        bytes = sink.0;
    }
    comm.broadcast(0, &mut bytes)?;
    let mut source = Source(&bytes);
    match source.number()? {
        INPUT => return Err(Error::input(source.text()?)),
        FAILED => return Err(Error::failed(source.text()?)),
        _ => {}
    }
    let (attributes, spec) = (source.record()?, source.record()?);
    let (genome_dim, lineage) = (source.size()?, source.number()? != 0);
    let (rows, history) = (source.batch()?, source.batch()?);
    let mut state = State::default();
    for _ in 0..source.size()? {
        state.tables.push((source.text()?, source.batch()?));
    }
    if source.number()? != 0 {
        state.solution = Some(source.batch()?);
    }
    let active_rows = match source.number()? {
        0 => None,
        _ => Some(source.batch()?),
    };
    let genomes =
        |rows: &Batch, file: Option<&ArchiveFile>| Route::new(rows, comm)?.genomes(file, genome_dim, lineage, comm);
    let active = active_rows.map(|rows| -> Result<_> {
        let genomes = genomes(&rows, active_file.as_ref())?;
        Ok((rows, genomes))
    });
    let active = active.transpose()?;
    let genomes = genomes(&rows, file.as_ref())?;
    Ok(Checkpoint {
        attributes,
        spec,
        genome_dim,
        lineage,
        rows,
        genomes,
        active,
        history,
        state,
    })
}

const FINE: u64 = 0;
const INPUT: u64 = 1;
const FAILED: u64 = 2;

fn pack_error(error: &Error, sink: &mut Sink) {
    sink.number(if matches!(error, Error::Failed(_)) {
        FAILED
    } else {
        INPUT
    });
    sink.text(&error.to_string());
}

/// Returns the part of the file that has the elites which the strategy breeds from.
fn pack(file: &ArchiveFile, sink: &mut Sink) -> Result<Option<ArchiveFile>> {
    let none = || {
        Error::input(format!(
            "{}: is no checkpoint: it has no group /state",
            file.path().display()
        ))
    };
    let state = file.state()?.ok_or_else(none)?;
    sink.number(FINE);
    sink.record(&file.attributes)?;
    sink.record(&file.spec)?;
    sink.number(file.genome_dim as u64);
    sink.number(u64::from(file.lineage));
    sink.batch(&file.elites.select(&file.fill_order()?));
    sink.batch(&file.history);
    sink.number(state.tables.len() as u64);
    for (name, table) in &state.tables {
        sink.text(name);
        sink.batch(table);
    }
    sink.number(u64::from(state.solution.is_some()));
    if let Some(solution) = &state.solution {
        sink.batch(solution);
    }
    let active = file.active()?;
    sink.number(u64::from(active.is_some()));
    if let Some(active) = &active {
        sink.batch(&active.elites.select(&active.fill_order()?));
    }
    Ok(active)
}

/// Where each row of the file goes: the file is in cell order, blocks are of the order of filling.
struct Route {
    /// Position in the order of filling of each row of the file.
    position: Vec<usize>,
    /// All ranks' blocks of positions.
    blocks: Vec<Range<usize>>,
}

impl Route {
    fn new(rows: &Batch, comm: &dyn Comm) -> Result<Route> {
        let cells: &[i64] = rows.get("cell")?;
        let mut position: Vec<usize> = (0..cells.len()).collect();
        position.sort_unstable_by_key(|&p| cells[p]);
        let blocks = (0..comm.size()).map(|r| block(cells.len(), r, comm.size())).collect();
        Ok(Route { position, blocks })
    }

    /// Reads the file from front to back on rank 0 and hands each genome to the rank whose block it is in.
    fn genomes(&self, file: Option<&ArchiveFile>, dim: usize, lineage: bool, comm: &dyn Comm) -> Result<Genomes> {
        let own = self.blocks[comm.rank()].clone();
        let mut dense = vec![0.0f32; if lineage { 0 } else { own.len() * dim }];
        let mut steps: Vec<(Vec<u64>, Vec<f32>)> = vec![Default::default(); if lineage { own.len() } else { 0 }];
        let piece = if lineage {
            LINEAGES
        } else {
            (PIECE_BYTES / (4 * dim.max(1))).max(1)
        };
        for first in (0..self.position.len()).step_by(piece) {
            let rows = first..(first + piece).min(self.position.len());
            let read = file.map(|f| f.genomes(rows.clone())).transpose();
            let genomes = agree(read, comm)?;
            let mine: Vec<usize> = rows.clone().filter(|&row| own.contains(&self.position[row])).collect();
            if lineage {
                let received = self.send_lineages(genomes.as_ref(), rows, mine.len(), comm)?;
                for (i, &row) in mine.iter().enumerate() {
                    let (streams, scales) = received.row(i);
                    steps[self.position[row] - own.start] = (streams.to_vec(), scales.to_vec());
                }
            } else {
                let received = self.send_dense(genomes.as_ref(), rows, mine.len() * dim, comm)?;
                for (genes, &row) in received.chunks_exact(dim.max(1)).zip(&mine) {
                    let at = (self.position[row] - own.start) * dim;
                    dense[at..at + dim].copy_from_slice(genes);
                }
            }
        }
        if !lineage {
            return Ok(Genomes::Dense(Dense { dim, data: dense }));
        }
        let mut lineages = Lineages::new();
        steps
            .iter()
            .for_each(|(streams, scales)| lineages.push(streams, scales));
        Ok(Genomes::Lineage(lineages))
    }

    /// Rows of a piece that go to each rank, counted from the piece's first.
    fn shares(&self, rows: Range<usize>) -> Vec<Vec<usize>> {
        let share = |b: &Range<usize>| {
            let of_block = rows.clone().filter(|&row| b.contains(&self.position[row]));
            of_block.map(|row| row - rows.start).collect()
        };
        self.blocks.iter().map(share).collect()
    }

    fn send_dense(
        &self,
        genomes: Option<&Genomes>,
        rows: Range<usize>,
        floats: usize,
        comm: &dyn Comm,
    ) -> Result<Vec<f32>> {
        let mut send = vec![Vec::new(); comm.size()];
        if let Some(Genomes::Dense(d)) = genomes {
            for (bytes, share) in send.iter_mut().zip(self.shares(rows)) {
                share
                    .iter()
                    .for_each(|&i| push_f32(&d.data[i * d.dim..(i + 1) * d.dim], bytes));
            }
        }
        let parts = comm.all_to_all(&send, &from_first(floats * 4, comm))?;
        Ok(read_f32(&parts[0]).collect())
    }

    fn send_lineages(
        &self,
        genomes: Option<&Genomes>,
        rows: Range<usize>,
        mine: usize,
        comm: &dyn Comm,
    ) -> Result<Lineages> {
        let (mut lengths, mut send) = (vec![Vec::new(); comm.size()], vec![Vec::new(); comm.size()]);
        if let Some(Genomes::Lineage(all)) = genomes {
            for (rank, share) in self.shares(rows).iter().enumerate() {
                let mut part = Lineages::new();
                share.iter().for_each(|&i| part.push(all.row(i).0, all.row(i).1));
                (lengths[rank], send[rank]) = pack_lineages(&part);
            }
        }
        let lengths = comm.all_to_all(&lengths, &from_first(mine * 8, comm))?;
        let lengths: Vec<u64> = lengths[0]
            .as_chunks()
            .0
            .iter()
            .map(|b| u64::from_le_bytes(*b))
            .collect();
        let bytes = 12 * lengths.iter().sum::<u64>() as usize;
        let parts = comm.all_to_all(&send, &from_first(bytes, comm))?;
        let mut lineages = Lineages::new();
        unpack_lineages(&lengths, &parts[0], &mut lineages);
        Ok(lineages)
    }
}

/// Only rank 0 sends.
fn from_first(bytes: usize, comm: &dyn Comm) -> Vec<usize> {
    let mut receive = vec![0; comm.size()];
    receive[0] = bytes;
    receive
}

/// Rank 0's success or error becomes everyone's.
fn agree<T>(read: Result<Option<T>>, comm: &dyn Comm) -> Result<Option<T>> {
    let mut sink = Sink::default();
    match &read {
        Ok(_) => sink.number(FINE),
        Err(error) => pack_error(error, &mut sink),
    }
    comm.broadcast(0, &mut sink.0)?;
    let mut source = Source(&sink.0);
    if source.number()? != FINE && read.is_ok() {
        return Err(Error::failed(source.text()?));
    }
    read
}
