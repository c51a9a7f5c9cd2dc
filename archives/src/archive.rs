//! The archive of cells: one elite each, replaced only by a strictly better one. Grid and CVT differ in `locate` alone.

use std::ops::Range;

use illume_core::{
    Archive, ArchiveMut, ArchiveSpec, Axis, Batch, Cells, Comm, Elites, Error, Fetched, Genomes, Inbox, InsertReport,
    NOT_OFFERED, Offer, Outcome, Result, Status, Taken, block,
};
use rayon::prelude::*;

use crate::grid::Grid;
use crate::nearest::Nearest;
use crate::neighbours::among_elites;
use crate::soft::Thresholds;
use crate::store::Shard;
use crate::{exchange, registry};

/// Rows located by a thread at a time; a power of two near the size at which a thread's start is paid for.
const LOCATE_CHUNK: usize = 2048;

const NONE: u32 = u32::MAX;

/// What becomes of a descriptor outside the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// It belongs to the nearest cell.
    Clip,
    /// It is refused: its cell is -1.
    Reject,
}

#[derive(Debug)]
enum Division {
    /// A task without a descriptor has one cell.
    Single,
    Grid(Grid),
    Cvt(Box<Nearest>),
}

/// Thresholds in place of elites' fitness.
#[derive(Debug)]
struct Soft {
    rule: Thresholds,
    /// Sum and number of what exceeded a cell's threshold in a batch; zeros between batches.
    sums: Vec<(f64, u32)>,
}

/// The column of the elites that holds them.
const THRESHOLD: &str = "threshold";

/// A replicated index of elites by cell, and a shard of their genomes.
#[derive(Debug)]
pub struct CellArchive {
    spec: ArchiveSpec,
    division: Division,
    outside: Outside,
    elites: Elites,
    shard: Shard,
    winners: Winners,
    soft: Option<Soft>,
    /// Rows that became elites, kept for its memory.
    taken: Vec<Taken>,
}

impl CellArchive {
    /// An empty archive of this spec for genomes of `genome_dim` genes, or lineages.
    ///
    /// # Errors
    /// A spec that does not hang together (as one of a damaged file).
    pub fn from_spec(spec: &ArchiveSpec, genome_dim: usize, lineage: bool) -> Result<CellArchive> {
        Self::new(spec.clone(), Outside::Clip, genome_dim, lineage)
    }

    pub(crate) fn new(spec: ArchiveSpec, outside: Outside, genome_dim: usize, lineage: bool) -> Result<CellArchive> {
        registry::check_spec(&spec)?;
        let division = match &spec.cells {
            Cells::None => return Err(Error::failed("an unstructured archive has no cells")),
            _ if spec.axes.is_empty() => Division::Single,
            Cells::Grid { shape } => Division::Grid(Grid::new(&spec.axes, shape)),
            Cells::Cvt { centroids } => {
                let lower: Vec<f64> = spec.axes.iter().map(|a| a.lower).collect();
                let upper: Vec<f64> = spec.axes.iter().map(|a| a.upper).collect();
                Division::Cvt(Box::new(Nearest::new(centroids, &lower, &upper)))
            }
        };
        let (cells, k) = (spec.capacity, spec.axes.len());
        let elites = Elites::new(cells, k);
        let shard = Shard::new(cells, genome_dim, lineage);
        Ok(CellArchive {
            spec,
            division,
            outside,
            elites,
            shard,
            winners: Winners {
                row: vec![NONE; cells],
                touched: Vec::new(),
            },
            soft: None,
            taken: Vec::new(),
        })
    }

    /// The same with soft thresholds.
    ///
    /// # Errors
    /// As [`CellArchive::new`].
    pub(crate) fn soft(mut self, rule: Thresholds) -> Result<CellArchive> {
        let meaning = "fitness that a candidate must exceed to take the cell";
        self.elites.declare::<f64>(THRESHOLD, "", meaning);
        self.elites.get_mut::<f64>(THRESHOLD)?.fill(rule.min);
        self.soft = Some(Soft {
            rule,
            sums: vec![(0.0, 0); self.spec.capacity],
        });
        Ok(self)
    }

    fn locate_rows(&self, descriptors: &[f64], cells: &mut [i64]) {
        match &self.division {
            Division::Single => cells.fill(0),
            Division::Grid(grid) => grid.locate(descriptors, cells),
            Division::Cvt(nearest) => locate_nearest(nearest, descriptors, cells),
        }
        if self.outside == Outside::Reject && !self.spec.axes.is_empty() {
            for (row, cell) in descriptors.chunks_exact(self.spec.axes.len()).zip(cells) {
                if is_outside(self.spec.axes.iter(), row) {
                    *cell = -1;
                }
            }
        }
    }

    /// Finds each cell's winner among the rows and fills in the report's columns; soft thresholds move. The winners are left for the caller.
    fn contest(&mut self, status: &[u8], cells: &[i64], fitness: &[f64], report: &mut InsertReport) -> Result<()> {
        let (elites, offset, rows) = (self.elites.fitness(), self.spec.qd_offset, (status, cells, fitness));
        let Some(soft) = &mut self.soft else {
            self.winners.find(elites, rows, report, |_, elite, f| {
                if elite.is_nan() {
                    (Outcome::New, f + offset)
                } else if f > elite {
                    (Outcome::Improved, f - elite)
                } else {
                    (Outcome::Rejected, f - elite)
                }
            });
            return Ok(());
        };
        let thresholds = self.elites.columns().get::<f64>(THRESHOLD)?;
        self.winners.find(elites, rows, report, |cell, elite, f| {
            let outcome = match elite.is_nan() {
                _ if f <= thresholds[cell] => Outcome::Rejected,
                true => Outcome::New,
                false => Outcome::Improved,
            };
            (outcome, f - thresholds[cell])
        });
        for row in (0..fitness.len()).filter(|&row| report.took(row)) {
            let (sum, number) = &mut soft.sums[cells[row] as usize];
            *sum += fitness[row];
            *number += 1;
        }
        let thresholds = self.elites.get_mut::<f64>(THRESHOLD)?;
        for &cell in &self.winners.touched {
            let (sum, number) = std::mem::take(&mut soft.sums[cell as usize]);
            let threshold = &mut thresholds[cell as usize];
            *threshold = soft.rule.moved(*threshold, sum, number);
        }
        Ok(())
    }
}

/// Of each cell the best row of a batch.
#[derive(Debug)]
struct Winners {
    /// By cell; none between batches.
    row: Vec<u32>,
    /// Cells with a winner, in the order in which they got one.
    touched: Vec<u32>,
}

impl Winners {
    /// `judge` says what becomes of a fitness in a cell with this elite (NaN for an empty one), and how much it gains.
    fn find(
        &mut self,
        elites: &[f64],
        (status, cells, fitness): (&[u8], &[i64], &[f64]),
        report: &mut InsertReport,
        judge: impl Fn(usize, f64, f64) -> (Outcome, f64),
    ) {
        report.outcome.resize(fitness.len(), 0);
        report.gain.resize(fitness.len(), 0.0);
        let results = report.outcome.iter_mut().zip(&mut report.gain);
        for (row, (((&status, &cell), &f), (outcome, gain))) in
            status.iter().zip(cells).zip(fitness).zip(results).enumerate()
        {
            (*outcome, *gain) = (Outcome::Invalid as u8, 0.0);
            // A negative cell is a huge number.
            let Some(&elite) = elites.get(cell as usize) else {
                continue;
            };
            if status != Status::Ok as u8 || !f.is_finite() {
                continue;
            }
            let (judged, gained) = judge(cell as usize, elite, f);
            (*outcome, *gain) = (judged as u8, gained);
            if judged == Outcome::Rejected {
                continue;
            }
            let best = &mut self.row[cell as usize];
            if *best == NONE {
                *best = row as u32;
                self.touched.push(cell as u32);
            } else if f > fitness[*best as usize] {
                *best = row as u32;
            }
        }
    }
}

/// Where rows that become elites come from, and how they are stored.
pub(crate) struct Storing<'a> {
    pub(crate) rows: &'a Batch,
    /// Rows whose genomes are this rank's own, and those genomes.
    pub(crate) own: Range<usize>,
    pub(crate) genomes: &'a Genomes,
    /// Where the rows do not say it themselves.
    pub(crate) generation: u64,
    pub(crate) comm: &'a dyn Comm,
}

impl Storing<'_> {
    /// Takes rows into their cells: what every rank knows of them, who owns them, and the genomes of this rank's own.
    pub(crate) fn store(&self, taken: &[Taken], elites: &mut Elites, shard: &mut Shard) -> Result<()> {
        elites.take(self.rows, taken, self.generation)?;
        for &Taken { row, cell } in taken {
            let (row, cell) = (row as usize, cell as usize);
            elites.owner[cell] = owner(self.rows.rows(), row, self.comm.size());
            if self.own.contains(&row) {
                shard.put(cell, row - self.own.start);
            } else {
                shard.release(cell);
            }
        }
        shard.copy(self.genomes);
        Ok(())
    }
}

/// Rows that were evaluated and offered, and whose descriptor lies outside the bounds.
fn count_outside(axes: &[Axis], descriptors: &[f64], status: &[u8], cells: &[i64]) -> usize {
    match axes {
        [] => 0,
        [a] => count_fixed([a], descriptors, status, cells),
        [a, b] => count_fixed([a, b], descriptors, status, cells),
        _ => {
            let rows = descriptors.chunks_exact(axes.len()).zip(status).zip(cells);
            let outside = rows.filter(|((row, status), cell)| counts(**status, **cell) && is_outside(axes.iter(), row));
            outside.count()
        }
    }
}

#[inline(always)]
fn counts(status: u8, cell: i64) -> bool {
    (status == Status::Ok as u8) & (cell != NOT_OFFERED)
}

fn count_fixed<const K: usize>(axes: [&Axis; K], descriptors: &[f64], status: &[u8], cells: &[i64]) -> usize {
    let bounds = axes.map(|a| (a.lower, a.upper));
    illume_numerics::simd_dispatch!(
        fn [const K: usize](bounds: [(f64, f64); K], descriptors: &[f64], status: &[u8], cells: &[i64]) -> usize {
            let mut count = 0u64;
            for ((row, &status), &cell) in descriptors.chunks_exact(K).zip(status).zip(cells) {
                let mut outside = false;
                for d in 0..K {
                    outside |= (row[d] < bounds[d].0) | (row[d] > bounds[d].1);
                }
                count += u64::from(outside & counts(status, cell));
            }
            count as usize
        }
    )
}

fn is_outside<'a>(axes: impl Iterator<Item = &'a Axis>, descriptor: &[f64]) -> bool {
    axes.zip(descriptor).any(|(a, &x)| x < a.lower || x > a.upper)
}

fn locate_nearest(nearest: &Nearest, descriptors: &[f64], cells: &mut [i64]) {
    let k = nearest.dims();
    let mut found = [0u32; 256];
    for (points, cells) in descriptors.chunks(256 * k).zip(cells.chunks_mut(256)) {
        let found = &mut found[..cells.len()];
        found.fill(0);
        if points.iter().all(|x| x.is_finite()) {
            nearest.find(points, found);
            cells
                .iter_mut()
                .zip(found)
                .for_each(|(cell, found)| *cell = i64::from(*found));
            continue;
        }
        for (point, cell) in points.chunks_exact(k).zip(cells) {
            found[0] = 0;
            *cell = -1;
            if point.iter().all(|x| x.is_finite()) {
                nearest.find(point, &mut found[..1]);
                *cell = i64::from(found[0]);
            }
        }
    }
}

/// Whether a rank brings the genomes of its own block of `total` rows.
///
/// # Errors
/// It does not.
pub(crate) fn check_block(total: usize, own: &Range<usize>, genomes: &Genomes, comm: &dyn Comm) -> Result<()> {
    let (expected, given) = (block(total, comm.rank(), comm.size()), genomes.rows());
    if *own != expected || given != own.len() {
        return Err(Error::failed(format!(
            "rank {} has {given} genomes for rows {own:?}, its block of {total} is {expected:?}",
            comm.rank()
        )));
    }
    Ok(())
}

/// The rank whose block holds `row` of `total`: the inverse of [`block`].
pub(crate) fn owner(total: usize, row: usize, size: usize) -> u32 {
    (((row as u128 + 1) * size as u128 - 1) / total as u128) as u32
}

impl Archive for CellArchive {
    fn spec(&self) -> &ArchiveSpec {
        &self.spec
    }

    fn locate(&self, descriptors: &[f64], cells: &mut [i64]) {
        let k = self.spec.axes.len();
        if cells.len() < 2 * LOCATE_CHUNK || k == 0 {
            return self.locate_rows(descriptors, cells);
        }
        let chunks = descriptors
            .par_chunks(LOCATE_CHUNK * k)
            .zip(cells.par_chunks_mut(LOCATE_CHUNK));
        chunks.for_each(|(points, cells)| self.locate_rows(points, cells));
    }

    fn elites(&self) -> &Elites {
        &self.elites
    }

    fn novelty(&self, descriptors: Option<&[f64]>, neighbours: usize) -> Result<Vec<f64>> {
        Ok(among_elites(&self.elites, descriptors, neighbours))
    }

    fn fetch<'a>(
        &'a self,
        cells: &[u32],
        bounds: &[usize],
        comm: &dyn Comm,
        inbox: &'a mut Inbox,
    ) -> Result<Fetched<'a>> {
        exchange::fetch(&self.elites, &self.shard, cells, bounds, comm, inbox)
    }
}

impl ArchiveMut for CellArchive {
    fn insert(
        &mut self,
        rows: &Batch,
        own: Range<usize>,
        genomes: &Genomes,
        offer: &Offer,
        comm: &dyn Comm,
        report: &mut InsertReport,
    ) -> Result<()> {
        let (status, cells): (&[u8], &[i64]) = (rows.get("status")?, rows.get("cell")?);
        let (fitness, descriptor): (&[f64], &[f64]) = (rows.get("fitness")?, rows.get("descriptor")?);
        check_block(rows.rows(), &own, genomes, comm)?;
        self.shard.accepts(genomes)?;

        self.contest(status, cells, fitness, report)?;
        report.outside = count_outside(&self.spec.axes, descriptor, status, cells);
        report.kept.clear();
        report.novelty.clear();
        self.taken.clear();
        for cell in self.winners.touched.drain(..) {
            let row = std::mem::replace(&mut self.winners.row[cell as usize], NONE);
            report.kept.push(row);
            self.taken.push(Taken { row, cell });
            if self.elites.fitness()[cell as usize].is_nan() {
                self.elites.filled.push(cell);
            }
        }
        let generation = offer.generation;
        let storing = Storing {
            rows,
            own,
            genomes,
            generation,
            comm,
        };
        storing.store(&self.taken, &mut self.elites, &mut self.shard)
    }

    fn restore(&mut self, rows: &Batch, genomes: &Genomes, comm: &dyn Comm) -> Result<()> {
        let (cells, fitness): (&[i64], &[f64]) = (rows.get("cell")?, rows.get("fitness")?);
        // Elites say themselves when they were found.
        rows.get::<i64>("generation")?;
        let own = block(rows.rows(), comm.rank(), comm.size());
        check_block(rows.rows(), &own, genomes, comm)?;
        self.shard.accepts(genomes)?;
        let mut seen = vec![false; self.spec.capacity];
        for (&cell, fitness) in cells.iter().zip(fitness) {
            match seen.get_mut(cell as usize) {
                Some(seen) if !*seen && fitness.is_finite() => *seen = true,
                Some(_) => {
                    return Err(Error::failed(format!(
                        "cell {cell} has two elites, or one of fitness {fitness}"
                    )));
                }
                None => {
                    return Err(Error::failed(format!(
                        "cell {cell} of an archive of {} cells",
                        seen.len()
                    )));
                }
            }
        }
        self.shard.clear();
        self.elites.clear(self.spec.capacity);
        if let Some(soft) = &self.soft {
            rows.get::<f64>(THRESHOLD)?;
            self.elites.get_mut::<f64>(THRESHOLD)?.fill(soft.rule.min);
        }
        self.taken.clear();
        let numbered = cells.iter().zip(0..);
        self.taken
            .extend(numbered.map(|(&cell, row)| Taken { row, cell: cell as u32 }));
        self.elites.filled.extend(self.taken.iter().map(|taken| taken.cell));
        let storing = Storing {
            rows,
            own,
            genomes,
            generation: 0,
            comm,
        };
        storing.store(&self.taken, &mut self.elites, &mut self.shard)
    }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
