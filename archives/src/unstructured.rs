//! The archive without cells of novelty search (Lehman and Stanley, 'Abandoning objectives', 2011): members stay, in the order in which
//! they were admitted. It says how novel each candidate is, and admits some: at random (Such et al. 2017) or by their novelty.

use std::ops::Range;

use illume_core::{
    Archive, ArchiveMut, ArchiveSpec, Batch, Cells, Comm, Elites, Error, Fetched, Genomes, Inbox, InsertReport, Offer,
    Outcome, Purpose, Result, Rule, Status, Stream, block,
};

use crate::archive::{Storing, check_block};
use crate::neighbours::{Index, Surroundings};
use crate::store::Shard;
use crate::{exchange, numbered, registry};

/// How an unstructured archive measures novelty and whom it admits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Unstructured {
    /// Nearest neighbours whose mean distance is the novelty.
    pub neighbours: usize,
    pub admission: Admission,
    /// Distances are taken in units of each axis' extent, not in the axes' own.
    pub normalize: bool,
}

/// Which of the rows offered to it an unstructured archive admits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Admission {
    /// Each with this probability.
    Random(f64),
    /// Those of at least this novelty.
    Novelty(f64),
}

impl Unstructured {
    /// As a spec holds them.
    pub fn rules(&self) -> Vec<(String, Rule)> {
        let (admission, name, value) = match self.admission {
            Admission::Random(probability) => ("random", "probability", probability),
            Admission::Novelty(threshold) => ("novelty", "threshold", threshold),
        };
        let rules = [
            ("admission", Rule::Text(admission.into())),
            ("neighbours", Rule::Count(self.neighbours as u64)),
            ("normalize", Rule::Count(u64::from(self.normalize))),
            (name, Rule::Number(value)),
        ];
        rules.map(|(name, rule)| (name.into(), rule)).to_vec()
    }

    /// Those of a spec.
    ///
    /// # Errors
    /// A rule that is missing or makes no sense.
    pub fn of(spec: &ArchiveSpec) -> Result<Unstructured> {
        let wrong = |name: &str| Error::input(format!("an unstructured archive has no usable rule '{name}'"));
        let count = |name: &str| match spec.rule(name) {
            Some(Rule::Count(n)) => Ok(*n),
            _ => Err(wrong(name)),
        };
        let number = |name: &str, sound: fn(f64) -> bool| match spec.rule(name) {
            Some(Rule::Number(x)) if sound(*x) => Ok(*x),
            _ => Err(wrong(name)),
        };
        let admission = match spec.rule("admission") {
            Some(Rule::Text(rule)) if rule == "random" => {
                Admission::Random(number("probability", |p| (0.0..=1.0).contains(&p))?)
            }
            Some(Rule::Text(rule)) if rule == "novelty" => {
                Admission::Novelty(number("threshold", |t| t > 0.0 && t.is_finite())?)
            }
            Some(other) => {
                let message =
                    format!("an unstructured archive admits by the unknown rule '{other}'; known are random, novelty");
                return Err(Error::input(message));
            }
            None => return Err(wrong("admission")),
        };
        let neighbours = usize::try_from(count("neighbours")?).ok().filter(|n| *n > 0);
        Ok(Unstructured {
            neighbours: neighbours.ok_or_else(|| wrong("neighbours"))?,
            admission,
            normalize: count("normalize")? != 0,
        })
    }
}

/// A replicated list of members, and a shard of their genomes. A member's number is its cell.
#[derive(Debug)]
pub struct UnstructuredArchive {
    spec: ArchiveSpec,
    rules: Unstructured,
    /// The run's seed: admission at random is drawn from it.
    seed: u64,
    elites: Elites,
    shard: Shard,
    index: Index,
    /// Factor of each axis in distances; empty where descriptors count in their own units.
    factors: Vec<f64>,
    /// Members' descriptors times these factors.
    scaled: Vec<f64>,
}

impl UnstructuredArchive {
    /// An empty archive of this spec for genomes of `genome_dim` genes, or lineages, in a run of this seed.
    ///
    /// # Errors
    /// A spec that does not hang together, or one with cells.
    pub fn new(spec: ArchiveSpec, seed: u64, genome_dim: usize, lineage: bool) -> Result<UnstructuredArchive> {
        registry::check_spec(&spec)?;
        if !matches!(spec.cells, Cells::None) {
            return Err(Error::failed("an unstructured archive has no cells"));
        }
        let rules = Unstructured::of(&spec)?;
        let factors = numbered::factors(&spec, rules.normalize);
        let k = spec.axes.len();
        Ok(UnstructuredArchive {
            shard: Shard::growing(spec.capacity, genome_dim, lineage),
            spec,
            rules,
            seed,
            elites: no_members(k),
            index: Index::default(),
            factors,
            scaled: Vec::new(),
        })
    }

    /// Descriptors as distances see them.
    fn scale(&self, descriptors: impl Iterator<Item = f64>) -> Vec<f64> {
        numbered::scale(&self.factors, descriptors)
    }

    fn members(&self) -> &[f64] {
        if self.factors.is_empty() {
            self.elites.descriptor()
        } else {
            &self.scaled
        }
    }

    /// Novelty of all rows, and their local competition if the offer asks for it; each rank finds that of its own, and all hear of it. NaN and 0 for rows
    /// that are not ok.
    fn measure(&self, rows: &Batch, offer: &Offer, comm: &dyn Comm, report: &mut InsertReport) -> Result<()> {
        let (status, descriptors) = (rows.get::<u8>("status")?, rows.get::<f64>("descriptor")?);
        let (k, total, size) = (self.spec.axes.len(), status.len(), comm.size());
        let fitness = rows.get::<f64>("fitness")?;
        let ok = |row: &usize| status[*row] == Status::Ok as u8;
        let rows: Vec<usize> = (0..total).filter(ok).collect();
        let points = self.scale(
            rows.iter()
                .flat_map(|&row| descriptors[row * k..(row + 1) * k].iter().copied()),
        );
        let surroundings = Surroundings {
            axes: k,
            neighbours: self.rules.neighbours,
            members: self.members(),
            index: &self.index,
            rows: &points,
            crowd: offer.crowd,
        };
        let share = |rank: usize| {
            let own = block(total, rank, size);
            let before = |row: usize| rows.partition_point(|&r| r < row);
            before(own.start)..before(own.end)
        };
        report.novelty.resize(total, f64::NAN);
        let mine = share(comm.rank());
        if !offer.competition {
            let found = everyones(
                surroundings.novelty(mine),
                share,
                f64::to_le_bytes,
                f64::from_le_bytes,
                comm,
            )?;
            rows.iter().zip(found).for_each(|(&row, x)| report.novelty[row] = x);
            return Ok(());
        }
        let worth: Vec<f64> = self
            .elites
            .fitness()
            .iter()
            .copied()
            .chain(rows.iter().map(|&row| fitness[row]))
            .collect();
        let (novelty, competition): (Vec<f64>, Vec<u32>) =
            surroundings.novelty_and_competition(mine, &worth).into_iter().unzip();
        let novelty = everyones(novelty, share, f64::to_le_bytes, f64::from_le_bytes, comm)?;
        let competition = everyones(competition, share, u32::to_le_bytes, u32::from_le_bytes, comm)?;
        report.competition.resize(total, 0);
        for ((&row, novelty), competition) in rows.iter().zip(novelty).zip(competition) {
            (report.novelty[row], report.competition[row]) = (novelty, competition);
        }
        Ok(())
    }

    /// Takes notice of the members from number `first` on.
    fn index_from(&mut self, first: usize) {
        let k = self.spec.axes.len();
        if !self.factors.is_empty() {
            let new = self.scale(self.elites.descriptor()[first * k..].iter().copied());
            self.scaled.extend(new);
        }
        let points = if self.factors.is_empty() {
            self.elites.descriptor()
        } else {
            &self.scaled
        };
        self.index.refresh(points, k);
    }
}

impl Archive for UnstructuredArchive {
    fn spec(&self) -> &ArchiveSpec {
        &self.spec
    }

    fn locate(&self, _descriptors: &[f64], cells: &mut [i64]) {
        cells.fill(0);
    }

    fn elites(&self) -> &Elites {
        &self.elites
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

impl ArchiveMut for UnstructuredArchive {
    fn insert(
        &mut self,
        rows: &Batch,
        own: Range<usize>,
        genomes: &Genomes,
        offer: &Offer,
        comm: &dyn Comm,
        report: &mut InsertReport,
    ) -> Result<()> {
        let total = rows.rows();
        let (status, cells): (&[u8], &[i64]) = (rows.get("status")?, rows.get("cell")?);
        let fitness: &[f64] = rows.get("fitness")?;
        check_block(total, &own, genomes, comm)?;
        self.shard.accepts(genomes)?;

        numbered::begin(report, total);
        self.measure(rows, offer, comm, report)?;
        let (before, draws) = (
            self.elites.filled.len(),
            Stream::new(self.seed, Purpose::Admission, offer.generation, 0),
        );
        for (row, &status) in status.iter().enumerate() {
            if !numbered::is_offered(status, cells[row], fitness[row]) {
                continue;
            }
            let admitted = match self.rules.admission {
                _ if before + report.kept.len() == self.spec.capacity => false,
                _ if offer.admitted.contains(&row) => true,
                Admission::Random(probability) => draws.uniform(row as u64) < probability,
                // Nothing is near to the first ones.
                Admission::Novelty(threshold) => before == 0 || report.novelty[row] >= threshold,
            };
            if !admitted {
                report.outcome[row] = Outcome::Rejected as u8;
                continue;
            }
            report.outcome[row] = Outcome::New as u8;
            report.gain[row] = fitness[row] + self.spec.qd_offset;
            report.kept.push(row as u32);
        }
        let generation = offer.generation;
        let storing = Storing {
            rows,
            own,
            genomes,
            generation,
            comm,
        };
        numbered::append(&report.kept, &storing, &mut self.elites, &mut self.shard)?;
        let novelty = self.elites.get_mut::<f64>(NOVELTY)?[before..].iter_mut();
        novelty
            .zip(&report.kept)
            .for_each(|(place, row)| *place = report.novelty[*row as usize]);
        self.index_from(before);
        Ok(())
    }

    fn restore(&mut self, rows: &Batch, genomes: &Genomes, comm: &dyn Comm) -> Result<()> {
        let (own, empty) = ((&self.spec, NOVELTY), no_members(self.spec.axes.len()));
        numbered::restore(rows, genomes, comm, own, empty, (&mut self.elites, &mut self.shard))?;
        self.index.clear();
        self.scaled.clear();
        self.index_from(0);
        Ok(())
    }
}

/// Of all ranks what each found of its share, in order.
fn everyones<T: Copy, const N: usize>(
    found: Vec<T>,
    share: impl Fn(usize) -> Range<usize>,
    write: fn(T) -> [u8; N],
    read: fn([u8; N]) -> T,
    comm: &dyn Comm,
) -> Result<Vec<T>> {
    if comm.size() == 1 {
        return Ok(found);
    }
    let mine: Vec<u8> = found.into_iter().flat_map(write).collect();
    let counts: Vec<usize> = (0..comm.size()).map(|rank| N * share(rank).len()).collect();
    let mut all = Vec::new();
    comm.all_gather(&mine, &counts, &mut all)?;
    Ok(all.as_chunks().0.iter().map(|bytes| read(*bytes)).collect())
}

/// The column of the members that says how novel each was.
const NOVELTY: &str = "novelty";

/// The table of an archive without members.
fn no_members(k: usize) -> Elites {
    let mut elites = Elites::new(0, k);
    let meaning = "novelty when it was admitted: mean distance to its nearest neighbours";
    elites.declare::<f64>(NOVELTY, "", meaning);
    elites
}

#[cfg(test)]
#[path = "unstructured_tests.rs"]
mod tests;
