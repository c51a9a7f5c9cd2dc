//! The archive of Dominated Novelty Search (Bahlous-Boldi, Faldor, Grillotti, Janmohamed, Coiffard, Spector and Cully, 'Dominated novelty search: rethinking local competition in
//! quality-diversity', GECCO 2025, <https://arxiv.org/abs/2502.00593>): a population without cells or bounds, of which those survive that are far from whatever is fitter.

use std::cmp::Ordering;
use std::ops::Range;

use illume_core::params::{self, Params};
use illume_core::{
    Archive, ArchiveConfig, ArchiveEntry, ArchiveMut, ArchiveSpec, Batch, Cells, Comm, Elites, Error, Fetched, Genomes,
    Inbox, InsertReport, Offer, Outcome, Result, Rule, Taken,
};
use illume_numerics::simd_dispatch;
use rayon::prelude::*;

use crate::archive::{Storing, check_block};
use crate::exchange;
use crate::neighbours::among_elites;
use crate::numbered;
use crate::registry::{COMMON, Held, check_axes, check_spec, claim_cells};
use crate::store::Shard;

/// Distances that are taken at once.
const BLOCK: usize = 32;

illume_core::params! {
    /// Parameters of `archive.kind = "dns"`.
    pub struct DnsParams {
        /// Elites that are kept.
        capacity: usize = 1024, range(1, 1 << 20);
        /// Nearest fitter elites whose mean distance is an elite's dominated novelty.
        neighbours: usize = 3, range(1, 1 << 16);
        /// Whether distances are taken in units of each axis' extent instead of the axes' own.
        normalize: bool = false, any();
    }
}

pub(crate) const ENTRY: ArchiveEntry = ArchiveEntry {
    check: |spec| Rules::of(spec).map(|_| ()),
    ..ArchiveEntry::new(
        "dns",
        "a population in which those survive that are far from whatever is fitter (dominated novelty search, Bahlous-Boldi et al. 2025)",
        DnsParams::describe,
        "capacity = 40",
        build,
    )
};

/// What it goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rules {
    neighbours: usize,
    normalize: bool,
}

impl Rules {
    fn rules(&self) -> Vec<(String, Rule)> {
        vec![
            ("neighbours".into(), Rule::Count(self.neighbours as u64)),
            ("normalize".into(), Rule::Count(u64::from(self.normalize))),
        ]
    }

    fn of(spec: &ArchiveSpec) -> Result<Rules> {
        let count = |name: &str| match spec.rule(name) {
            Some(Rule::Count(n)) => Ok(*n as usize),
            _ => Err(Error::input(format!(
                "an archive of kind dns has no usable rule '{name}'"
            ))),
        };
        match (count("neighbours")?, count("normalize")?) {
            (0, _) => Err(Error::input("an archive of kind dns counts 0 neighbours")),
            (neighbours, normalize) => Ok(Rules {
                neighbours,
                normalize: normalize != 0,
            }),
        }
    }
}

fn build(config: &ArchiveConfig<'_>) -> Result<Box<dyn ArchiveMut>> {
    let params: DnsParams = params::read(config.archive, "archive", &COMMON)?;
    if config.axes.is_empty() {
        let message = "an archive of kind \"dns\" measures distances between descriptors, and the task has none";
        return Err(Error::config("archive", "kind", message));
    }
    check_axes(config.axes)?;
    claim_cells(config, "capacity", params.capacity, &Held::One { single: false })?;
    let rules = Rules {
        neighbours: params.neighbours,
        normalize: params.normalize,
    };
    let spec = ArchiveSpec {
        kind: "dns".into(),
        axes: config.axes.to_vec(),
        cells: Cells::None,
        capacity: params.capacity,
        qd_offset: config.qd_offset,
        rules: rules.rules(),
    };
    Ok(Box::new(DnsArchive::new(spec, config.genome_dim, config.lineage)?))
}

/// The column of the elites that says how far each is from whatever is fitter.
const SCORE: &str = "dominated_novelty";

/// A replicated population, and a shard of its genomes. Its elites are numbered from 0; whoever survives keeps its number, and who comes takes that of one who does not.
#[derive(Debug)]
pub struct DnsArchive {
    spec: ArchiveSpec,
    rules: Rules,
    elites: Elites,
    shard: Shard,
    /// Factor of each axis in distances, if they have any.
    factors: Vec<f64>,
}

impl DnsArchive {
    /// An empty archive of this spec for genomes of `genome_dim` genes, or lineages.
    ///
    /// # Errors
    /// A spec that does not hang together.
    pub fn new(spec: ArchiveSpec, genome_dim: usize, lineage: bool) -> Result<DnsArchive> {
        check_spec(&spec)?;
        let rules = Rules::of(&spec)?;
        Ok(DnsArchive {
            elites: nobody(spec.axes.len()),
            shard: Shard::growing(spec.capacity, genome_dim, lineage),
            factors: numbered::factors(&spec, rules.normalize),
            spec,
            rules,
        })
    }
}

/// The table of a population of nobody.
fn nobody(k: usize) -> Elites {
    let mut elites = Elites::new(0, k);
    let meaning = "mean distance to the nearest elites that are fitter, infinite for the fittest";
    elites.declare::<f64>(SCORE, "", meaning);
    elites
}

/// Dominated novelty of all: mean distance to the `neighbours` nearest of those that are fitter (of all of them, where they are fewer), infinite where none is. Of two that are
/// equally fit the first counts as fitter, so that of two equal bests one survives. `places` are `[n, k]`.
fn dominated_novelty(fitness: &[f64], places: &[f64], neighbours: usize) -> Vec<f64> {
    let n = fitness.len();
    let k = places.len() / n.max(1);
    let mut order: Vec<usize> = (0..n).collect();
    let fitter_first = |a: &usize, b: &usize| fitness[*b].partial_cmp(&fitness[*a]).unwrap_or(Ordering::Equal);
    order.sort_by(|a, b| fitter_first(a, b).then(a.cmp(b)));
    // `[k, n]`, in that order.
    let axes: Vec<f64> = (0..k)
        .flat_map(|axis| order.iter().map(move |i| places[i * k + axis]))
        .collect();
    let of = |rank: usize| {
        let nearest = nearest_before(&axes, n, rank, neighbours);
        match nearest.len() {
            0 => f64::INFINITY,
            count => nearest.iter().map(|x| x.sqrt()).sum::<f64>() / count as f64,
        }
    };
    let by_rank: Vec<f64> = (0..n).into_par_iter().with_min_len(16).map(of).collect();
    let mut novelty = vec![0.0; n];
    order.iter().zip(by_rank).for_each(|(i, x)| novelty[*i] = x);
    novelty
}

/// Squared distances of the `neighbours` that are nearest to number `at` among those before it, ascending; `axes` are `[k, n]`.
fn nearest_before(axes: &[f64], n: usize, at: usize, neighbours: usize) -> Vec<f64> {
    simd_dispatch!(
        fn [](axes: &[f64], n: usize, at: usize, neighbours: usize) -> Vec<f64> { nearest_before_body(axes, n, at, neighbours) }
    )
}

#[inline(always)]
fn nearest_before_body(axes: &[f64], n: usize, at: usize, neighbours: usize) -> Vec<f64> {
    let mut nearest: Vec<f64> = Vec::with_capacity(neighbours.min(at) + 1);
    // What is not nearer than this is not among them.
    let mut farthest = f64::INFINITY;
    for start in (0..at).step_by(BLOCK) {
        let count = BLOCK.min(at - start);
        let mut squares = [0.0; BLOCK];
        for line in axes.chunks_exact(n) {
            let own = line[at];
            for (sum, x) in squares.iter_mut().zip(&line[start..start + count]) {
                *sum += (own - x) * (own - x);
            }
        }
        let squares = &squares[..count];
        let least = squares
            .iter()
            .fold(f64::INFINITY, |least, x| if *x < least { *x } else { least });
        if least >= farthest {
            continue;
        }
        for squared in squares {
            if *squared < farthest {
                nearest.insert(nearest.partition_point(|x| x <= squared), *squared);
                nearest.truncate(neighbours);
                if nearest.len() == neighbours {
                    farthest = nearest[neighbours - 1];
                }
            }
        }
    }
    nearest
}

impl Archive for DnsArchive {
    fn spec(&self) -> &ArchiveSpec {
        &self.spec
    }

    fn locate(&self, _descriptors: &[f64], cells: &mut [i64]) {
        cells.fill(0);
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

impl ArchiveMut for DnsArchive {
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
        let (fitness, descriptor): (&[f64], &[f64]) = (rows.get("fitness")?, rows.get("descriptor")?);
        numbered::begin(report, total);
        let offered = |row: &usize| numbered::is_offered(status[*row], cells[*row], fitness[*row]);
        let offered: Vec<usize> = (0..total).filter(offered).collect();
        if offered.is_empty() {
            return Ok(());
        }
        check_block(total, &own, genomes, comm)?;
        self.shard.accepts(genomes)?;
        // Elites first: of equals they count as fitter.
        let (k, before) = (self.spec.axes.len(), self.elites.filled.len());
        let theirs = offered.iter().map(|&row| fitness[row]);
        let all: Vec<f64> = self.elites.fitness().iter().copied().chain(theirs).collect();
        let theirs = offered.iter().flat_map(|&row| &descriptor[row * k..(row + 1) * k]);
        let places = self.elites.descriptor().iter().chain(theirs).copied();
        let places = numbered::scale(&self.factors, places);
        let score = dominated_novelty(&all, &places, self.rules.neighbours);
        let mut order: Vec<usize> = (0..all.len()).collect();
        order.sort_by(|a, b| score[*b].total_cmp(&score[*a]).then(a.cmp(b)));
        let mut survives = vec![false; all.len()];
        order.iter().take(self.spec.capacity).for_each(|i| survives[*i] = true);

        let after = all.len().min(self.spec.capacity);
        self.elites.grow(after);
        self.shard.grow(after);
        self.elites.filled.extend(before as u32..after as u32);
        let mut free = (0..before).filter(|cell| !survives[*cell]).chain(before..after);
        let mut taken = Vec::new();
        for (i, &row) in (before..).zip(&offered) {
            if !survives[i] {
                report.outcome[row] = Outcome::Rejected as u8;
                continue;
            }
            report.outcome[row] = Outcome::New as u8;
            report.gain[row] = fitness[row] + self.spec.qd_offset;
            report.kept.push(row as u32);
            let cell = free.next().expect("as many as survive") as u32;
            taken.push(Taken { row: row as u32, cell });
        }
        let storing = Storing {
            rows,
            own,
            genomes,
            generation: offer.generation,
            comm,
        };
        storing.store(&taken, &mut self.elites, &mut self.shard)?;
        let scores = self.elites.get_mut::<f64>(SCORE)?;
        scores[..before].copy_from_slice(&score[..before]);
        let came = (before..).zip(&offered).filter(|(i, _)| survives[*i]);
        came.zip(&taken)
            .for_each(|((i, _), taken)| scores[taken.cell as usize] = score[i]);
        Ok(())
    }

    fn restore(&mut self, rows: &Batch, genomes: &Genomes, comm: &dyn Comm) -> Result<()> {
        let (own, empty) = ((&self.spec, SCORE), nobody(self.spec.axes.len()));
        numbered::restore(rows, genomes, comm, own, empty, (&mut self.elites, &mut self.shard))
    }
}

#[cfg(test)]
mod tests;
