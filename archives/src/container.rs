//! The container of AURORA (Grillotti and Cully, 'Unsupervised behaviour discovery with quality-diversity optimisation', IEEE Transactions on Evolutionary Computation 26(6), 2022,
//! <https://arxiv.org/abs/2106.05648>): members without cells that keep a distance from one another, which follows their number. Distances are between learned descriptors, where a strategy
//! learns some, else between those of the task. Added to as in the authors' program (`general_distance_archive.hpp:38-95`), or as in QDax (`unstructured_repertoire.py`).

mod rules;

use std::ops::Range;

use illume_core::params::{self, Params};
use illume_core::{
    Archive, ArchiveConfig, ArchiveEntry, ArchiveMut, ArchiveSpec, Batch, CODE, Cells, Comm, Elites, Error, Fetched,
    Genomes, Inbox, InsertReport, Offer, Outcome, Result, Taken,
};

use crate::archive::{Storing, check_block};
use crate::neighbours::among_elites;
use crate::registry::{COMMON, Held, check_axes, check_spec, claim_cells};
use crate::store::Shard;
use crate::{exchange, numbered};

use rules::{Adding, Fate, Members, Rules, Sizing, longest_distance, spread};

illume_core::params! {
    /// Parameters of `archive.kind = "container"`.
    pub struct ContainerParams {
        /// How the distance that members keep is led: "csc" so that there are `target` members, "vat" by the extent of what there is, "fixed" not at all.
        rule: String = "csc".into(), one_of(&["csc", "vat", "fixed"]);
        /// Members that there should be.
        target: usize = 10_000, range(1, 1 << 24);
        /// The first distance; 0 for half of what would fill the volume of the first members evenly with `target` of them.
        distance: f64 = 0.0, at_least(0.0);
        /// Share by which "csc" shortens the distance in a generation in which there is no member; with n of them it is this times 1 - n / target. (The authors' 5e-6 times 10,000.)
        gain: f64 = 0.05, range(0.0, 1.0);
        /// Of "vat": the distance is the longest one between two members over the d-th root of this times `target`, in d dimensions.
        vat_factor: f64 = 18.0, positive();
        /// Generations after which all members are added anew, under the distance as it then is; 0 for never.
        refill_every: u64 = 10, range(0, 1 << 40);
        /// Who takes a member's place that is too near: "duel", who is not much worse in fitness and novelty and better on balance, or "fitness", who is strictly fitter.
        admission: String = "duel".into(), one_of(&["duel", "fitness"]);
        /// Share by which one may be worse in a duel, and by which the distance to the second nearest, and to all at a refill, may be shorter.
        epsilon: f64 = 0.1, range(0.0, 1.0);
        /// Nearest members whose mean distance is the novelty in a duel.
        neighbours: usize = 15, range(1, 1 << 16);
        /// Most members: when it is full, none is added beside them any more.
        capacity: usize = 1_000_000, range(1, 1 << 31);
    }
}

pub(crate) const ENTRY: ArchiveEntry = ArchiveEntry {
    learned: true,
    check: |spec| Rules::of(spec).map(|_| ()),
    ..ArchiveEntry::new(
        "container",
        "members that keep a distance from one another, which follows their number (AURORA, Grillotti and Cully 2022)",
        ContainerParams::describe,
        "target = 40\ngain = 0.3\nrefill_every = 3",
        build,
    )
};

fn build(config: &ArchiveConfig<'_>) -> Result<Box<dyn ArchiveMut>> {
    let params: ContainerParams = params::read(config.archive, "archive", &COMMON)?;
    if config.axes.is_empty() && config.learned == 0 {
        let message = "an archive of kind \"container\" measures distances between descriptors, and the task has none: take a strategy that learns some (\"aurora\")";
        return Err(Error::config("archive", "kind", message));
    }
    if params.rule == "fixed" && params.distance == 0.0 {
        let message = "rule = \"fixed\" needs the distance that members keep, above 0, got 0";
        return Err(Error::config("archive", "distance", message));
    }
    if params.rule != "fixed" && params.target > params.capacity {
        let message = format!(
            "expected at most archive.capacity ({}), got {}",
            params.capacity, params.target
        );
        return Err(Error::config("archive", "target", message));
    }
    check_axes(config.axes)?;
    claim_cells(config, "target", params.target, &Held::One { single: false })?;
    let rules = Rules {
        sizing: match params.rule.as_str() {
            "csc" => Sizing::Size { gain: params.gain },
            "vat" => Sizing::Volume {
                factor: params.vat_factor,
            },
            _ => Sizing::Fixed,
        },
        target: params.target,
        first: params.distance,
        refill_every: params.refill_every,
        adding: match params.admission.as_str() {
            "duel" => Adding::Duel {
                neighbours: params.neighbours,
            },
            _ => Adding::Fitness,
        },
        epsilon: params.epsilon,
        codes: config.learned,
    };
    let spec = ArchiveSpec {
        kind: "container".into(),
        axes: config.axes.to_vec(),
        cells: Cells::None,
        capacity: params.capacity,
        qd_offset: config.qd_offset,
        rules: rules.rules(),
    };
    Ok(Box::new(Container::new(spec, config.genome_dim, config.lineage)?))
}

/// The column of the elites that holds the distance that they keep from one another: the same for all.
const DISTANCE: &str = "min_distance";

/// Replicated members, numbered from 0, and a shard of their genomes.
#[derive(Debug)]
pub struct Container {
    spec: ArchiveSpec,
    rules: Rules,
    elites: Elites,
    shard: Shard,
    /// The distance that members keep now.
    distance: f64,
    members: Members,
}

impl Container {
    /// An empty container of this spec for genomes of `genome_dim` genes, or lineages.
    ///
    /// # Errors
    /// A spec that does not hang together.
    pub fn new(spec: ArchiveSpec, genome_dim: usize, lineage: bool) -> Result<Container> {
        check_spec(&spec)?;
        let rules = Rules::of(&spec)?;
        Ok(Container {
            elites: nobody(spec.axes.len()),
            shard: Shard::growing(spec.capacity, genome_dim, lineage),
            distance: rules.first,
            members: Members::new(if rules.codes > 0 { rules.codes } else { spec.axes.len() }),
            rules,
            spec,
        })
    }

    /// The column by which members are told apart.
    fn told_apart_by(&self) -> &'static str {
        if self.rules.codes > 0 { CODE } else { "descriptor" }
    }

    /// The distance that members keep now.
    pub fn distance(&self) -> f64 {
        self.distance
    }

    /// Leads the distance, and adds all members anew.
    fn refill(&mut self) -> Result<()> {
        match self.rules.sizing {
            Sizing::Size { .. } => self.distance = self.rules.step(self.distance, self.members.len()),
            Sizing::Volume { factor } => {
                let longest = longest_distance(&self.members);
                self.distance = self.rules.by_extent(longest, factor, self.members.dim());
            }
            Sizing::Fixed => {}
        }
        let none = Members::new(self.members.dim());
        let before = std::mem::replace(&mut self.members, none);
        let distance = self.distance * (1.0 - self.rules.epsilon);
        let mut kept: Vec<u32> = Vec::new();
        for member in 0..before.len() {
            let (place, fitness) = (before.place(member), before.fitness[member]);
            match self.members.judge(&self.rules, distance, place, fitness) {
                Fate::Added => {
                    self.members.push(place, fitness);
                    kept.push(member as u32);
                }
                Fate::Instead(of) => {
                    self.members.set(of, place, fitness);
                    kept[of] = member as u32;
                }
                Fate::Refused => {}
            }
        }
        self.elites.keep(&kept);
        self.shard.keep(&kept);
        Ok(())
    }

    /// Takes notice of elites that came from a file.
    fn reread(&mut self) -> Result<()> {
        let places: &[f64] = self.elites.columns().get(self.told_apart_by())?;
        let fitness = self.elites.fitness();
        let mut members = Members::new(self.members.dim());
        if places.len() != fitness.len() * members.dim() {
            return Err(Error::failed(format!(
                "column '{}' of {} members has not {} numbers for each",
                self.told_apart_by(),
                fitness.len(),
                members.dim()
            )));
        }
        for (place, fitness) in places.chunks_exact(members.dim()).zip(fitness) {
            members.push(place, *fitness);
        }
        self.members = members;
        Ok(())
    }

    fn note_distance(&mut self) -> Result<()> {
        self.elites.get_mut::<f64>(DISTANCE)?.fill(self.distance);
        Ok(())
    }
}

/// The table of no members.
fn nobody(k: usize) -> Elites {
    let mut elites = Elites::new(0, k);
    let meaning = "distance from which a candidate is a member of its own, the same for all";
    elites.declare::<f64>(DISTANCE, "", meaning);
    elites
}

impl Archive for Container {
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
        if self.rules.codes > 0 {
            let message = "a container of learned descriptors does not say how novel those of the task are";
            return Err(Error::failed(message));
        }
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

impl ArchiveMut for Container {
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
        numbered::begin(report, total);
        let offered = |row: &usize| numbered::is_offered(status[*row], cells[*row], fitness[*row]);
        let offered: Vec<usize> = (0..total).filter(offered).collect();
        if offered.is_empty() {
            return Ok(());
        }
        check_block(total, &own, genomes, comm)?;
        self.shard.accepts(genomes)?;
        let (places, dim) = (rows.get::<f64>(self.told_apart_by())?, self.members.dim());
        let place = |row: usize| &places[row * dim..(row + 1) * dim];
        let due = |every: u64| every > 0 && offer.generation > 0 && offer.generation.is_multiple_of(every);
        if self.members.len() == 0 {
            if self.rules.first == 0.0 {
                let first: Vec<f64> = offered.iter().flat_map(|row| place(*row)).copied().collect();
                self.distance = spread(&first, dim, self.rules.target);
            }
        } else {
            if due(self.rules.refill_every) {
                self.refill()?;
            }
            if matches!(self.rules.sizing, Sizing::Size { .. }) {
                self.distance = self.rules.step(self.distance, self.members.len());
            }
        }
        let before = self.members.len();
        // Which row a member is of, where that is one of these.
        let mut rows_of: Vec<Option<usize>> = vec![None; before];
        let mut touched: Vec<usize> = Vec::new();
        for &row in &offered {
            let (outcome, gain) = match self.members.judge(&self.rules, self.distance, place(row), fitness[row]) {
                Fate::Added if self.members.len() < self.spec.capacity => {
                    touched.push(self.members.len());
                    self.members.push(place(row), fitness[row]);
                    rows_of.push(Some(row));
                    (Outcome::New, fitness[row] + self.spec.qd_offset)
                }
                Fate::Instead(of) => {
                    let gain = fitness[row] - self.members.fitness[of];
                    self.members.set(of, place(row), fitness[row]);
                    if rows_of[of].replace(row).is_none() {
                        touched.push(of);
                    }
                    (Outcome::Improved, gain)
                }
                Fate::Added | Fate::Refused => (Outcome::Rejected, 0.0),
            };
            (report.outcome[row], report.gain[row]) = (outcome as u8, gain);
        }
        let after = self.members.len();
        self.elites.grow(after);
        self.shard.grow(after);
        self.elites.filled.extend(before as u32..after as u32);
        let taken: Vec<Taken> = touched
            .into_iter()
            .filter_map(|member| {
                rows_of[member].map(|row| Taken {
                    row: row as u32,
                    cell: member as u32,
                })
            })
            .collect();
        report.kept.extend(taken.iter().map(|taken| taken.row));
        let storing = Storing {
            rows,
            own,
            genomes,
            generation: offer.generation,
            comm,
        };
        storing.store(&taken, &mut self.elites, &mut self.shard)?;
        self.note_distance()
    }

    fn recode(&mut self, codes: &[f64]) -> Result<()> {
        let (column, members) = (self.told_apart_by(), self.members.len());
        if column != CODE || codes.len() != members * self.members.dim() {
            return Err(Error::failed(format!(
                "{} numbers of learned descriptors for {members} members of a container that has {} for each",
                codes.len(),
                self.rules.codes
            )));
        }
        if members == 0 {
            return Ok(());
        }
        self.elites.get_mut::<f64>(CODE)?.copy_from_slice(codes);
        self.reread()?;
        self.refill()?;
        self.note_distance()
    }

    fn restore(&mut self, rows: &Batch, genomes: &Genomes, comm: &dyn Comm) -> Result<()> {
        let (own, empty) = ((&self.spec, DISTANCE), nobody(self.spec.axes.len()));
        if rows.rows() > 0 {
            rows.get::<f64>(self.told_apart_by())?;
        }
        numbered::restore(rows, genomes, comm, own, empty, (&mut self.elites, &mut self.shard))?;
        let stored = self.elites.columns().get::<f64>(DISTANCE)?;
        self.distance = stored.first().copied().unwrap_or(self.rules.first);
        match rows.rows() {
            0 => self.members = Members::new(self.members.dim()),
            _ => self.reread()?,
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
