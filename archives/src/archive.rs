//! The archive of cells: one elite each, replaced only by a strictly better one.

use std::ops::Range;

use illume_core::{
    Archive, ArchiveMut, ArchiveSpec, Batch, Comm, Elites, Error, Fetched, Genomes, Inbox, InsertReport, Offer,
    Outcome, Result, Status, Taken, block,
};

use crate::division::{Division, Outside};
use crate::neighbours::among_elites;
use crate::soft::Thresholds;
use crate::store::Shard;
use crate::{exchange, registry};

const NONE: u32 = u32::MAX;

/// Thresholds in place of elites' fitness.
#[derive(Debug)]
struct Soft {
    rule: Thresholds,
    /// Sum and number of what exceeded a cell's threshold in a batch; of one after another, where that has moved to. Zeros between batches.
    sums: Vec<(f64, u32)>,
}

/// The column of the elites that holds them.
const THRESHOLD: &str = "threshold";

/// A replicated index of elites by cell, and a shard of their genomes.
#[derive(Debug)]
pub struct CellArchive {
    spec: ArchiveSpec,
    division: Division,
    elites: Elites,
    shard: Shard,
    winners: Winners,
    soft: Option<Soft>,
    /// Whether the rows of a batch are judged one after another.
    single: bool,
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
        let division = Division::new(&spec, outside)?;
        let (cells, k) = (spec.capacity, spec.axes.len());
        let elites = Elites::new(cells, k);
        let shard = Shard::new(cells, genome_dim, lineage);
        Ok(CellArchive {
            spec,
            division,
            elites,
            shard,
            winners: Winners {
                row: vec![NONE; cells],
                touched: Vec::new(),
            },
            soft: None,
            single: false,
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

    /// The same, judging the rows of a batch one after another if `single`.
    pub(crate) fn judging(mut self, single: bool) -> CellArchive {
        self.single = single;
        self
    }

    /// Finds each cell's winner among the rows and fills in the report's columns; soft thresholds move. The winners are left for the caller.
    fn contest(&mut self, status: &[u8], cells: &[i64], fitness: &[f64], report: &mut InsertReport) -> Result<()> {
        let (elites, offset, rows) = (self.elites.fitness(), self.spec.qd_offset, (status, cells, fitness));
        let Some(soft) = &mut self.soft else {
            let judge = |_, elite: f64, f| {
                if elite.is_nan() {
                    (Outcome::New, f + offset)
                } else if f > elite {
                    (Outcome::Improved, f - elite)
                } else {
                    (Outcome::Rejected, f - elite)
                }
            };
            match self.single {
                true => self.winners.find::<true>(elites, rows, report, judge),
                false => self.winners.find::<false>(elites, rows, report, judge),
            }
            return Ok(());
        };
        let thresholds = self.elites.columns().get::<f64>(THRESHOLD)?;
        let outcome = |elite: f64, f: f64, threshold: f64| match elite.is_nan() {
            _ if f <= threshold => Outcome::Rejected,
            true => Outcome::New,
            false => Outcome::Improved,
        };
        let (rule, sums) = (soft.rule, &mut soft.sums);
        if self.single {
            self.winners.find::<true>(elites, rows, report, |cell, elite, f| {
                let (moved, number) = &mut sums[cell];
                let threshold = if *number > 0 { *moved } else { thresholds[cell] };
                let outcome = outcome(elite, f, threshold);
                if outcome != Outcome::Rejected {
                    (*moved, *number) = (rule.moved(threshold, f, 1), 1);
                }
                (outcome, f - threshold)
            });
        } else {
            self.winners.find::<false>(elites, rows, report, |cell, elite, f| {
                (outcome(elite, f, thresholds[cell]), f - thresholds[cell])
            });
            for row in (0..fitness.len()).filter(|&row| report.took(row)) {
                let (sum, number) = &mut sums[cells[row] as usize];
                *sum += fitness[row];
                *number += 1;
            }
        }
        let thresholds = self.elites.get_mut::<f64>(THRESHOLD)?;
        for &cell in &self.winners.touched {
            let (sum, number) = std::mem::take(&mut sums[cell as usize]);
            let threshold = &mut thresholds[cell as usize];
            *threshold = match self.single {
                true => sum,
                false => rule.moved(*threshold, sum, number),
            };
        }
        Ok(())
    }
}

/// Of each cell the row of a batch that becomes its elite: the best, or of one after another the last that it took.
#[derive(Debug)]
struct Winners {
    /// By cell; none between batches.
    row: Vec<u32>,
    /// Cells with a winner, in the order in which they got one.
    touched: Vec<u32>,
}

impl Winners {
    /// `judge` says what becomes of a fitness in a cell with this elite (NaN for an empty one), and how much it gains. If `SINGLE`, the elite is one of the rows before, where
    /// the cell took one.
    fn find<const SINGLE: bool>(
        &mut self,
        elites: &[f64],
        (status, cells, fitness): (&[u8], &[i64], &[f64]),
        report: &mut InsertReport,
        mut judge: impl FnMut(usize, f64, f64) -> (Outcome, f64),
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
            let best = &mut self.row[cell as usize];
            let elite = if SINGLE && *best != NONE {
                fitness[*best as usize]
            } else {
                elite
            };
            let (judged, gained) = judge(cell as usize, elite, f);
            (*outcome, *gain) = (judged as u8, gained);
            if judged == Outcome::Rejected {
                continue;
            }
            if *best == NONE {
                *best = row as u32;
                self.touched.push(cell as u32);
            } else if SINGLE || f > fitness[*best as usize] {
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
        self.division.locate(descriptors, cells);
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
        report.outside = self.division.count_outside(descriptor, status, cells);
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
