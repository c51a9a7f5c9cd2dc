//! Ranks in threads, and random batches, for this crate's tests.

use std::ops::Range;
use std::sync::{Arc, Barrier, Mutex};

use illume_core::{
    ArchiveMut, ArchiveSpec, Batch, Comm, Dense, Genomes, InsertReport, Lineages, Offer, Purpose, Result, Stream, block,
};

use crate::{CellArchive, UnstructuredArchive};

/// One rank's end of a communicator between threads.
pub(crate) struct Threads {
    rank: usize,
    size: usize,
    shared: Arc<Shared>,
}

struct Shared {
    barrier: Barrier,
    /// What each rank has sent, to each other rank.
    slots: Mutex<Vec<Vec<Vec<u8>>>>,
}

impl Threads {
    fn exchange(&self, send: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        self.shared.slots.lock().unwrap()[self.rank] = send;
        self.shared.barrier.wait();
        let received = self
            .shared
            .slots
            .lock()
            .unwrap()
            .iter()
            .map(|row| row[self.rank].clone())
            .collect();
        self.shared.barrier.wait();
        received
    }
}

impl Comm for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.size
    }

    fn all_gather(&self, mine: &[u8], counts: &[usize], out: &mut Vec<u8>) -> Result<()> {
        let received = self.exchange(vec![mine.to_vec(); self.size]);
        assert!(received.iter().map(Vec::len).eq(counts.iter().copied()));
        *out = received.concat();
        Ok(())
    }

    fn broadcast(&self, root: usize, data: &mut Vec<u8>) -> Result<()> {
        *data = self.exchange(vec![data.clone(); self.size]).swap_remove(root);
        Ok(())
    }

    fn all_to_all(&self, send: &[Vec<u8>], receive: &[usize]) -> Result<Vec<Vec<u8>>> {
        let received = self.exchange(send.to_vec());
        assert!(
            received.iter().map(Vec::len).eq(receive.iter().copied()),
            "a rank expects other bytes than are sent"
        );
        Ok(received)
    }

    fn any(&self, word: u64) -> Result<u64> {
        let received = self.exchange(vec![word.to_le_bytes().to_vec(); self.size]);
        Ok(received
            .iter()
            .fold(0, |all, b| all | u64::from_le_bytes(b[..].try_into().unwrap())))
    }
}

/// Runs `work` on `size` ranks at once; results in rank order.
pub(crate) fn ranks<T: Send>(size: usize, work: impl Fn(&dyn Comm) -> T + Sync) -> Vec<T> {
    let shared = Arc::new(Shared {
        barrier: Barrier::new(size),
        slots: Mutex::new(vec![Vec::new(); size]),
    });
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..size)
            .map(|rank| {
                let comm = Threads {
                    rank,
                    size,
                    shared: shared.clone(),
                };
                let work = &work;
                scope.spawn(move || work(&comm))
            })
            .collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

/// Calls `work` with a communicator of one rank.
pub(crate) fn solo<T>(work: impl FnOnce(&dyn Comm) -> T) -> T {
    let shared = Arc::new(Shared {
        barrier: Barrier::new(1),
        slots: Mutex::new(vec![Vec::new()]),
    });
    work(&Threads {
        rank: 0,
        size: 1,
        shared,
    })
}

/// Evaluated candidates of a generation, the same on every rank: coarse fitness so that ties abound, some invalid.
pub(crate) fn random_rows(generation: u64, n: usize, k: usize) -> Batch {
    let at = |index| Stream::new(11, Purpose::Variation, generation, index);
    let (a, b) = (at(0), at(1));
    let mut rows = Batch::new();
    rows.push(
        "status",
        1,
        "",
        "",
        (0..n).map(|i| u8::from(a.below(i as u64, 20) == 0)).collect(),
    );
    rows.push(
        "fitness",
        1,
        "",
        "",
        (0..n).map(|i| b.below(i as u64, 8) as f64 - 4.0).collect(),
    );
    rows.push(
        "descriptor",
        k,
        "",
        "",
        (0..n * k).map(|i| at(2).uniform(i as u64) * 1.2 - 0.1).collect(),
    );
    rows.push("cell", 1, "", "", vec![0i64; n]);
    rows.push("seed", 1, "", "", (0..n).map(|i| at(3).word64(i as u64)).collect());
    rows.push("operator", 1, "", "", (0..n).map(|i| (i % 3) as i32).collect());
    rows.push(
        "parents",
        2,
        "",
        "",
        (0..2 * n).map(|i| at(4).below(i as u64, 2) as i64 - 1).collect(),
    );
    rows
}

/// Genomes of the rows `block`, which name their row and generation.
pub(crate) fn random_genomes(generation: u64, block: Range<usize>, dim: usize, lineage: bool) -> Genomes {
    let gene = |row: usize, j: usize| (generation * 1_000_000 + (row * dim + j) as u64) as f32;
    if !lineage {
        return Genomes::Dense(Dense {
            dim,
            data: block.flat_map(|r| (0..dim).map(move |j| gene(r, j))).collect(),
        });
    }
    let mut lineages = Lineages::new();
    for row in block {
        // A step for each of the last generations, as many as there have been.
        let length = (1 + (row + generation as usize) % 5).min(generation as usize + 1);
        let streams: Vec<u64> = (0..length)
            .map(|s| ((generation + 1 + s as u64 - length as u64) << 32) + (row * 10 + s) as u64)
            .collect();
        let scales: Vec<f32> = (0..length).map(|s| if s == 0 { 1.0 } else { gene(row, s) }).collect();
        lineages.push(&streams, &scales);
    }
    Genomes::Lineage(lineages)
}

/// An empty archive of this spec.
pub(crate) fn empty(spec: &ArchiveSpec, dim: usize, lineage: bool) -> Box<dyn ArchiveMut> {
    if spec.has_cells() {
        Box::new(CellArchive::from_spec(spec, dim, lineage).unwrap())
    } else {
        Box::new(UnstructuredArchive::new(spec.clone(), 5, dim, lineage).unwrap())
    }
}

/// An archive after some generations on any number of ranks.
pub(crate) fn evolve(
    comm: &dyn Comm,
    spec: &ArchiveSpec,
    dim: usize,
    lineage: bool,
    generations: u64,
) -> Box<dyn ArchiveMut> {
    let mut archive = empty(spec, dim, lineage);
    fill(archive.as_mut(), comm, dim, lineage, generations);
    archive
}

/// Some generations on any number of ranks; each rank's genomes are of its own block.
pub(crate) fn fill(archive: &mut dyn ArchiveMut, comm: &dyn Comm, dim: usize, lineage: bool, generations: u64) {
    let k = archive.spec().axes.len();
    let mut report = InsertReport::default();
    for generation in 0..generations {
        let mut rows = random_rows(generation, 101, k);
        let mut cells = vec![0; 101];
        archive.locate(rows.get("descriptor").unwrap(), &mut cells);
        rows.get_mut("cell").unwrap().copy_from_slice(&cells);
        let own = block(101, comm.rank(), comm.size());
        let genomes = random_genomes(generation, own.clone(), dim, lineage);
        let offer = Offer::new(generation);
        archive.insert(&rows, own, &genomes, &offer, comm, &mut report).unwrap();
    }
}
