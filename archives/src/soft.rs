//! Soft thresholds (Fontaine and Nikolaidis, 'Covariance matrix adaptation MAP-annealing', GECCO 2023, <https://arxiv.org/abs/2205.10752>): a cell takes what is
//! better than a threshold, which follows the fitness of what it took, so that a search stays a while where it finds nothing better.
//!
//! What strategies breed from and are told of is that archive. The result is another, passive one with the best of all, as in the authors' program
//! (`experiments/lin_proj/lin_proj.py:107-109`) and in pyribs (`result_archive`).

use std::ops::Range;

use illume_core::{
    Archive, ArchiveMut, ArchiveSpec, Batch, Comm, Elites, Fetched, Genomes, Inbox, InsertReport, Offer, Result, params,
};

use crate::archive::CellArchive;

params! {
    /// When a cell takes a candidate; parameters of every archive of cells.
    pub struct InsertionParams {
        /// Share by which the fitness that a candidate must exceed moves towards that of each which does; 1 for the elite's own fitness (MAP-Elites), 0 for `threshold_min` throughout.
        learning_rate: f64 = 1.0, range(0.0, 1.0);
        /// Fitness that the first candidate of a cell must exceed; where `learning_rate` is below 1.
        threshold_min: f64 = 0.0, finite();
        /// Against what the candidates of a generation are judged: "batch", all against the archive as it was before them, or "single", one after another, each against what those before it have left.
        add_mode: String = "batch".into(), one_of(&["batch", SINGLE]);
    }
}

/// The mode in which candidates are judged one after another: `add_mode` of pyribs' `Scheduler`.
const SINGLE: &str = "single";

impl InsertionParams {
    pub(crate) fn is_single(&self) -> bool {
        self.add_mode == SINGLE
    }
}

/// How thresholds move.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Thresholds {
    pub rate: f64,
    pub min: f64,
}

impl Thresholds {
    /// None for those of MAP-Elites.
    pub(crate) fn new(params: &InsertionParams) -> Option<Thresholds> {
        (params.learning_rate < 1.0).then_some(Thresholds {
            rate: params.learning_rate,
            min: params.threshold_min,
        })
    }

    /// After a batch in which `number` candidates of this sum exceeded the threshold: the batch rule of the paper's appendix, as in pyribs (`_grid_archive.py:505-518`).
    pub(crate) fn moved(&self, threshold: f64, sum: f64, number: u32) -> f64 {
        let kept = (1.0 - self.rate).powi(number as i32);
        kept * threshold + sum / f64::from(number) * (1.0 - kept)
    }
}

/// An archive of cells with soft thresholds, and the best of all beside it.
#[derive(Debug)]
pub(crate) struct SoftArchive {
    active: CellArchive,
    best: CellArchive,
    /// What `best` makes of a batch, which nobody asks for.
    unread: InsertReport,
}

impl SoftArchive {
    pub(crate) fn new(active: CellArchive, best: CellArchive) -> SoftArchive {
        SoftArchive {
            active,
            best,
            unread: InsertReport::default(),
        }
    }
}

impl Archive for SoftArchive {
    fn spec(&self) -> &ArchiveSpec {
        self.active.spec()
    }

    fn locate(&self, descriptors: &[f64], cells: &mut [i64]) {
        self.active.locate(descriptors, cells);
    }

    fn elites(&self) -> &Elites {
        self.active.elites()
    }

    fn novelty(&self, descriptors: Option<&[f64]>, neighbours: usize) -> Result<Vec<f64>> {
        self.active.novelty(descriptors, neighbours)
    }

    fn fetch<'a>(
        &'a self,
        cells: &[u32],
        bounds: &[usize],
        comm: &dyn Comm,
        inbox: &'a mut Inbox,
    ) -> Result<Fetched<'a>> {
        self.active.fetch(cells, bounds, comm, inbox)
    }

    fn results(&self) -> Option<&dyn Archive> {
        Some(&self.best)
    }
}

impl ArchiveMut for SoftArchive {
    fn insert(
        &mut self,
        rows: &Batch,
        own: Range<usize>,
        genomes: &Genomes,
        offer: &Offer,
        comm: &dyn Comm,
        report: &mut InsertReport,
    ) -> Result<()> {
        self.best
            .insert(rows, own.clone(), genomes, offer, comm, &mut self.unread)?;
        self.active.insert(rows, own, genomes, offer, comm, report)
    }

    fn restore(&mut self, rows: &Batch, genomes: &Genomes, comm: &dyn Comm) -> Result<()> {
        self.best.restore(rows, genomes, comm)
    }

    fn restore_active(&mut self, rows: &Batch, genomes: &Genomes, comm: &dyn Comm) -> Result<()> {
        self.active.restore(rows, genomes, comm)
    }
}

#[cfg(test)]
mod tests;
