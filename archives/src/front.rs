//! The archive of several objectives: those rows that none dominates, of all so far. What is beyond its capacity goes by crowding, one after another (the distance is that of Deb, Pratap, Agarwal and
//! Meyarivan, 'A fast and elitist multiobjective genetic algorithm: NSGA-II', IEEE Transactions on Evolutionary Computation 6(2), 2002).

use std::ops::Range;

use illume_core::params::{self, Params};
use illume_core::{
    Archive, ArchiveConfig, ArchiveEntry, ArchiveMut, ArchiveSpec, Batch, Cells, Comm, Elites, Error, Fetched, Genomes,
    Inbox, InsertReport, Offer, Outcome, Result, Rule, Taken,
};
use illume_numerics::fronts::{Equal, Points, covered, covered_in_order, non_dominated, ordered, thin, thin_in_order};

use crate::archive::{Storing, check_block};
use crate::neighbours::among_elites;
use crate::registry::{COMMON, Held, check_axes, check_spec, claim_cells};
use crate::store::Shard;
use crate::{exchange, numbered};

illume_core::params! {
    /// Parameters of `archive.kind = "front"`.
    pub struct FrontParams {
        /// Elites that are kept.
        capacity: usize = 1000, range(1, 1 << 20);
    }
}

pub(crate) const ENTRY: ArchiveEntry = ArchiveEntry {
    fronts: true,
    check: |spec| objectives_of(spec).map(|_| ()),
    ..ArchiveEntry::new(
        "front",
        "what no other dominates of several objectives, thinned by crowding distance (Deb et al. 2002)",
        FrontParams::describe,
        "capacity = 30",
        build,
    )
};

/// The column of rows and elites that this archive goes by.
const OBJECTIVES: &str = "objectives";

/// How many there are.
fn objectives_of(spec: &ArchiveSpec) -> Result<usize> {
    match spec.rule(OBJECTIVES) {
        Some(Rule::Count(n @ 2..)) => Ok(*n as usize),
        _ => Err(Error::input("an archive of kind front has no usable rule 'objectives'")),
    }
}

fn build(config: &ArchiveConfig<'_>) -> Result<Box<dyn ArchiveMut>> {
    let params: FrontParams = params::read(config.archive, "archive", &COMMON)?;
    let objectives = config.objectives.len();
    if objectives < 2 {
        let message = "an archive of kind \"front\" keeps what several objectives are traded for, and the task has one: expected \"grid\", \"cvt\" or another";
        return Err(Error::config("archive", "kind", message));
    }
    check_axes(config.axes)?;
    claim_cells(config, "capacity", params.capacity, &Held::One { single: false })?;
    let spec = ArchiveSpec {
        kind: "front".into(),
        axes: config.axes.to_vec(),
        cells: Cells::None,
        capacity: params.capacity,
        qd_offset: config.qd_offset,
        rules: vec![(OBJECTIVES.into(), Rule::Count(objectives as u64))],
    };
    Ok(Box::new(FrontArchive::new(spec, config.genome_dim, config.lineage)?))
}

/// A replicated front, and a shard of its genomes. Its elites are numbered from 0 without a gap: where more go than come, the last take the numbers that are free.
#[derive(Debug)]
pub struct FrontArchive {
    spec: ArchiveSpec,
    objectives: usize,
    elites: Elites,
    shard: Shard,
    /// Of two objectives the elites, best first by the first; of more empty.
    order: Vec<usize>,
}

/// Who is on a front.
struct Front {
    /// Elites by number, ascending.
    stay: Vec<usize>,
    /// Places of rows, ascending.
    come: Vec<usize>,
    /// Of two objectives places in both, those that stay first, in the order of [`FrontArchive::order`].
    order: Vec<usize>,
}

impl FrontArchive {
    /// An empty archive of this spec for genomes of `genome_dim` genes, or lineages.
    ///
    /// # Errors
    /// A spec that does not hang together.
    pub fn new(spec: ArchiveSpec, genome_dim: usize, lineage: bool) -> Result<FrontArchive> {
        check_spec(&spec)?;
        Ok(FrontArchive {
            objectives: objectives_of(&spec)?,
            elites: Elites::new(0, spec.axes.len()),
            shard: Shard::growing(spec.capacity, genome_dim, lineage),
            order: Vec::new(),
            spec,
        })
    }

    /// The elites' objectives.
    fn own(&self) -> Points<'_> {
        let own = match self.elites.filled.is_empty() {
            true => &[],
            false => self.elites.columns().get::<f64>(OBJECTIVES).unwrap_or(&[]),
        };
        Points::new(own, self.objectives)
    }

    /// Of the elites and these rows, who is on the front.
    fn front(&self, theirs: &Points<'_>) -> Front {
        let (own, m) = (self.own(), self.objectives);
        let covered = |points: &Points<'_>, order: &[usize], others: &Points<'_>, theirs: &[usize]| match m {
            2 => covered_in_order(points, order, others, theirs),
            _ => covered(points, others),
        };
        // Of equals the elite stays, and of rows the first comes.
        let mut come = non_dominated(theirs, Equal::First);
        let coming = theirs.of(&come);
        let coming = Points::new(&coming, m);
        let mut there = covered(&coming, &in_order(&coming), &own, &self.order).into_iter();
        come.retain(|_| there.next() == Some(false));
        let coming = theirs.of(&come);
        let coming = Points::new(&coming, m);
        let newcomers = in_order(&coming);
        let gone = covered(&own, &self.order, &coming, &newcomers);
        let stay: Vec<usize> = (0..own.len()).filter(|elite| !gone[*elite]).collect();
        let order = merged(&own, (&self.order, &stay), &coming, &newcomers);
        let total = stay.len() + come.len();
        if total <= self.spec.capacity {
            return Front { stay, come, order };
        }
        let all = [own.of(&stay).as_slice(), coming.values()].concat();
        let all = Points::new(&all, m);
        let kept = match m {
            2 => thin_in_order(&all, &order, self.spec.capacity),
            _ => thin(&all, self.spec.capacity),
        };
        let split = kept.partition_point(|at| *at < stay.len());
        // The places of those that are kept.
        let mut place = vec![None; total];
        kept.iter().enumerate().for_each(|(to, from)| place[*from] = Some(to));
        Front {
            come: kept[split..].iter().map(|at| come[at - stay.len()]).collect(),
            stay: kept[..split].iter().map(|at| stay[*at]).collect(),
            order: order.into_iter().filter_map(|at| place[at]).collect(),
        }
    }
}

/// Of two objectives the points, best first; of more nothing, as nobody asks.
fn in_order(points: &Points<'_>) -> Vec<usize> {
    match points.dim() {
        2 => ordered(points),
        _ => Vec::new(),
    }
}

/// Those of some points that stay (ascending), and newcomers, as places in both behind one another: by their orders, which are known.
fn merged(
    own: &Points<'_>,
    (order, stay): (&[usize], &[usize]),
    coming: &Points<'_>,
    newcomers: &[usize],
) -> Vec<usize> {
    let mut place = vec![None; own.len()];
    stay.iter().enumerate().for_each(|(at, elite)| place[*elite] = Some(at));
    let mut merged = Vec::with_capacity(stay.len() + newcomers.len());
    let mut left = newcomers.iter().peekable();
    for (elite, at) in order.iter().filter_map(|elite| Some((*elite, place[*elite]?))) {
        // On a front no two have the same first value.
        let better = |new: &&usize| coming.point(**new)[0] > own.point(elite)[0];
        while let Some(new) = left.next_if(better) {
            merged.push(stay.len() + new);
        }
        merged.push(at);
    }
    merged.extend(left.map(|new| stay.len() + new));
    merged
}

impl Archive for FrontArchive {
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

impl ArchiveMut for FrontArchive {
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
        let (fitness, objectives): (&[f64], &[f64]) = (rows.get("fitness")?, rows.get(OBJECTIVES)?);
        check_block(total, &own, genomes, comm)?;
        self.shard.accepts(genomes)?;
        if objectives.len() != total * self.objectives {
            return Err(Error::failed("rows of other objectives were offered to a front"));
        }
        numbered::begin(report, total);
        let offered = |row: &usize| numbered::is_offered(status[*row], cells[*row], fitness[*row]);
        let offered: Vec<usize> = (0..total).filter(offered).collect();
        let theirs = Points::new(objectives, self.objectives).of(&offered);
        let Front { stay, come, order } = self.front(&Points::new(&theirs, self.objectives));
        offered
            .iter()
            .for_each(|row| report.outcome[*row] = Outcome::Rejected as u8);
        if come.is_empty() {
            return Ok(());
        }
        let (before, after) = (self.elites.filled.len(), stay.len() + come.len());
        let (mut there, mut moved) = (vec![false; after], Vec::new());
        for &elite in &stay {
            match there.get_mut(elite) {
                Some(there) => *there = true,
                None => moved.push(elite),
            }
        }
        let mut free = (0..after).filter(|number| !there[*number]);
        let places: Vec<(usize, usize)> = moved.into_iter().zip(free.by_ref()).collect();
        // Those that move are the last of those that stay.
        let mut numbers = stay;
        numbers.truncate(numbers.len() - places.len());
        numbers.extend(places.iter().map(|(_, to)| to));
        let mut taken = Vec::new();
        for (&at, cell) in come.iter().zip(free) {
            let row = offered[at];
            report.outcome[row] = Outcome::New as u8;
            report.gain[row] = fitness[row] + self.spec.qd_offset;
            report.kept.push(row as u32);
            taken.push(Taken {
                row: row as u32,
                cell: cell as u32,
            });
        }
        numbers.extend(taken.iter().map(|taken| taken.cell as usize));
        self.order = order.into_iter().map(|place| numbers[place]).collect();
        self.elites.renumber(&places, after)?;
        self.shard.renumber(&places, before, after);
        self.elites.filled = (0..after as u32).collect();
        let generation = offer.generation;
        let storing = Storing {
            rows,
            own,
            genomes,
            generation,
            comm,
        };
        storing.store(&taken, &mut self.elites, &mut self.shard)
    }

    fn restore(&mut self, rows: &Batch, genomes: &Genomes, comm: &dyn Comm) -> Result<()> {
        if rows.rows() > 0 && rows.get::<f64>(OBJECTIVES)?.len() != rows.rows() * self.objectives {
            return Err(Error::failed("elites of other objectives for a front"));
        }
        let (own, empty) = ((&self.spec, "fitness"), Elites::new(0, self.spec.axes.len()));
        numbered::restore(rows, genomes, comm, own, empty, (&mut self.elites, &mut self.shard))?;
        self.order = in_order(&self.own());
        Ok(())
    }
}

#[cfg(test)]
mod tests;
