//! A front in each cell: the archive of MOME (Pierrot, Richard, Beguir and Cully, 'Multi-objective quality diversity optimization', GECCO 2022, <https://arxiv.org/abs/2202.03057>), and that of MOME-PGX
//! (Janmohamed, Pierrot and Cully, 'Improving the data efficiency of multi-objective quality-diversity through gradient assistance and crowding exploration', GECCO 2023), which
//! keeps and breeds from those that are crowded least.
//!
//! A cell takes a row that none of its members dominates or equals, and loses those that the row dominates. Rows come one after another, in their order.

use std::ops::Range;

use illume_core::{
    Archive, ArchiveConfig, ArchiveMut, ArchiveSpec, Batch, Comm, Elites, Error, Fetched, Genomes, Inbox, InsertReport,
    Offer, Outcome, Purpose, Result, Rule, Stream,
};
use illume_numerics::fronts::{Points, crowding, dominates};

use crate::archive::{Storing, check_block};
use crate::division::Outside;
use crate::niches::{Best, NICHE, Niches, draw_by_share, draw_uniformly};
use crate::numbered;

/// Words of `archive.keep` for fronts, with who leaves a full one: whoever is crowded most, a member at random (the paper), or the newcomer (QDax).
pub(crate) const KEEPS: [&str; 3] = ["front", "front_random", "front_first"];
/// The word of `archive.selection` for parents drawn by how lonely they are.
pub(crate) const BY_CROWDING: &str = "crowding";

/// The column of rows and members.
const OBJECTIVES: &str = "objectives";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaves {
    Crowded,
    Random,
    Newcomer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Selection {
    Best,
    Uniform,
    Crowding,
}

/// What a spec's rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rules {
    /// Members that a cell's front has at most.
    most: usize,
    leaves: Leaves,
    selection: Selection,
}

impl Rules {
    fn of(spec: &ArchiveSpec) -> Result<Rules> {
        let unusable = |name: &str| {
            Error::input(format!(
                "an archive of a front in each cell has no usable rule '{name}'"
            ))
        };
        let word = |name: &str| match spec.rule(name) {
            Some(Rule::Text(word)) => Ok(word.as_str()),
            _ => Err(unusable(name)),
        };
        let most = match spec.rule("depth") {
            Some(Rule::Count(most @ 1..=65_536)) => *most as usize,
            _ => return Err(unusable("depth")),
        };
        let keep = word("keep")?;
        let all = [Leaves::Crowded, Leaves::Random, Leaves::Newcomer];
        let found = KEEPS.iter().zip(all).find(|(known, _)| **known == keep);
        let (_, leaves) = found.ok_or_else(|| unusable("keep"))?;
        let selection = match word("selection")? {
            "best" => Selection::Best,
            "uniform" => Selection::Uniform,
            BY_CROWDING => Selection::Crowding,
            _ => return Err(unusable("selection")),
        };
        Ok(Rules {
            most,
            leaves,
            selection,
        })
    }
}

/// Checks the rules of such an archive.
///
/// # Errors
/// Rules that are none.
pub(crate) fn check(spec: &ArchiveSpec) -> Result<()> {
    Rules::of(spec).map(|_| ())
}

/// An archive of cells with a front in each, and the fittest of each cell beside it.
#[derive(Debug)]
pub(crate) struct FrontsArchive {
    best: Best,
    rules: Rules,
    seed: u64,
    /// By member, its share of the draws of its cell; where parents are drawn by it.
    loneliness: Vec<f64>,
}

/// A member, or a row that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Member(u32),
    Row(u32),
}

impl FrontsArchive {
    /// An empty one of this spec. Draws by the configuration's seed.
    ///
    /// # Errors
    /// A spec that does not hang together; a task of one objective.
    pub fn new(spec: ArchiveSpec, outside: Outside, config: &ArchiveConfig<'_>) -> Result<FrontsArchive> {
        let rules = Rules::of(&spec)?;
        if config.objectives.is_empty() {
            let message = "a cell keeps a front of several objectives, and the task has one: expected \"best\", \"recent\" or \"random\"";
            return Err(Error::config("archive", "keep", message));
        }
        let niches = Niches::new(spec, outside, (config.genome_dim, config.lineage), |_| ())?;
        Ok(FrontsArchive {
            best: Best::new(niches),
            rules,
            seed: config.seed,
            loneliness: Vec::new(),
        })
    }

    fn niches(&self) -> &Niches {
        &self.best.niches
    }

    /// What becomes of a cell: `rows` come one after another to the front of its members. Those that are in the front then, and of each row whether it joined.
    fn settle(
        &self,
        members: &[u32],
        rows: &[u32],
        objectives: &Objectives<'_>,
        draws: &Stream,
    ) -> (Vec<Who>, Vec<bool>) {
        let mut front: Vec<Who> = members.iter().map(|m| Who::Member(*m)).collect();
        let joined = rows.iter().map(|&row| {
            let own = objectives.of(Who::Row(row));
            let excludes = |other: &Who| {
                let other = objectives.of(*other);
                other == own || dominates(other, own)
            };
            if front.iter().any(excludes) {
                return false;
            }
            front.retain(|other| !dominates(own, objectives.of(*other)));
            if front.len() < self.rules.most {
                front.push(Who::Row(row));
                return true;
            }
            match self.rules.leaves {
                Leaves::Newcomer => return false,
                Leaves::Random => {
                    let leaves = draws.below(u64::from(row), front.len() as u64) as usize;
                    front.remove(leaves);
                    front.push(Who::Row(row));
                }
                Leaves::Crowded => {
                    front.push(Who::Row(row));
                    let distances = objectives.crowding(&front);
                    // Of equally crowded ones the last that came.
                    let last = (0..front.len())
                        .rev()
                        .min_by(|a, b| distances[*a].total_cmp(&distances[*b]));
                    let leaves = last.expect("there is the row");
                    return front.remove(leaves) != Who::Row(row);
                }
            }
            true
        });
        let joined = joined.collect();
        (front, joined)
    }

    /// Finds anew how lonely the members of these cells are.
    fn measure(&mut self, cells: &[u32]) -> Result<()> {
        if self.rules.selection != Selection::Crowding {
            return Ok(());
        }
        let niches = &self.best.niches;
        self.loneliness.resize(niches.elites().fitness().len(), 0.0);
        if cells.is_empty() {
            return Ok(());
        }
        let objectives = Objectives::new(niches.elites(), None, &niches.spec.kind)?;
        for &cell in cells {
            let members = niches.members(cell);
            let all: Vec<Who> = members.iter().map(|m| Who::Member(*m)).collect();
            for (member, share) in members.iter().zip(shares(&objectives, &all)) {
                self.loneliness[*member as usize] = share;
            }
        }
        Ok(())
    }
}

/// How often each of a front is drawn, as MOME-PGX does it (`biased_sampling_mome_repertoire.py:78-148`): in proportion to the mean over the objectives of the distance between its two neighbours,
/// where an end has that to its one neighbour twice; all alike among up to two.
fn shares(objectives: &Objectives<'_>, front: &[Who]) -> Vec<f64> {
    let (n, m) = (front.len(), objectives.m);
    if n <= 2 {
        return vec![1.0; n];
    }
    let mut shares = vec![0.0; n];
    for o in 0..m {
        let of = |i: usize| objectives.of(front[i])[o];
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| of(*a).total_cmp(&of(*b)));
        let extent = of(order[n - 1]) - of(order[0]);
        for i in (0..n).filter(|_| extent > 0.0) {
            let gap = |i: usize| (of(order[i + 1]) - of(order[i])) / extent;
            let (before, behind) = (i.checked_sub(1).map(gap), (i + 1 < n).then(|| gap(i)));
            let [before, behind] = [before.or(behind), behind.or(before)].map(Option::unwrap_or_default);
            shares[order[i]] += (before + behind) / m as f64;
        }
    }
    shares
}

/// The objectives of members and of rows.
struct Objectives<'a> {
    m: usize,
    members: &'a [f64],
    rows: &'a [f64],
}

impl<'a> Objectives<'a> {
    /// Those of a batch beside those of the members, which have none before the first came.
    fn new(elites: &'a Elites, rows: Option<&'a Batch>, kind: &str) -> Result<Objectives<'a>> {
        let members = elites.columns().find(OBJECTIVES).map(|column| column.width);
        let width = rows.and_then(|rows| rows.find(OBJECTIVES)).map(|column| column.width);
        let m = members.or(width).unwrap_or(0);
        if m == 0 || width.is_some_and(|width| width != m) {
            let found = width.unwrap_or(0);
            return Err(Error::failed(format!(
                "an archive of kind {kind} with fronts of {m} objectives was offered rows of {found}"
            )));
        }
        Ok(Objectives {
            m,
            members: if members.is_some() {
                elites.columns().get(OBJECTIVES)?
            } else {
                &[]
            },
            rows: rows.map_or(Ok(&[][..]), |rows| rows.get(OBJECTIVES))?,
        })
    }

    fn of(&self, who: Who) -> &'a [f64] {
        let (values, at) = match who {
            Who::Member(member) => (self.members, member as usize),
            Who::Row(row) => (self.rows, row as usize),
        };
        &values[at * self.m..(at + 1) * self.m]
    }

    fn crowding(&self, front: &[Who]) -> Vec<f64> {
        let values: Vec<f64> = front.iter().flat_map(|who| self.of(*who)).copied().collect();
        let numbers: Vec<usize> = (0..front.len()).collect();
        crowding(&Points::new(&values, self.m), &numbers)
    }
}

impl Archive for FrontsArchive {
    fn spec(&self) -> &ArchiveSpec {
        &self.niches().spec
    }

    fn locate(&self, descriptors: &[f64], cells: &mut [i64]) {
        self.niches().division.locate(descriptors, cells);
    }

    fn elites(&self) -> &Elites {
        self.niches().elites()
    }

    fn places(&self) -> usize {
        self.niches().filled().len()
    }

    fn parent(&self, place: usize, draw: u64) -> u32 {
        let cell = self.niches().filled()[place];
        let members = self.niches().members(cell);
        match self.rules.selection {
            Selection::Best => self.best.member(cell),
            Selection::Uniform => draw_uniformly(members, draw),
            Selection::Crowding => {
                let share = |member: u32| self.loneliness[member as usize];
                let sum: f64 = members.iter().map(|member| share(*member)).sum();
                let drawn = draw_by_share(members, share, sum, draw);
                drawn.unwrap_or_else(|| draw_uniformly(members, draw))
            }
        }
    }

    fn novelty(&self, descriptors: Option<&[f64]>, neighbours: usize) -> Result<Vec<f64>> {
        Ok(self.niches().novelty(descriptors, neighbours))
    }

    fn fetch<'a>(
        &'a self,
        cells: &[u32],
        bounds: &[usize],
        comm: &dyn Comm,
        inbox: &'a mut Inbox,
    ) -> Result<Fetched<'a>> {
        self.niches().fetch(cells, bounds, comm, inbox)
    }

    fn results(&self) -> Option<&dyn Archive> {
        Some(&self.best)
    }
}

impl ArchiveMut for FrontsArchive {
    /// Gains are of the fitness: a row that joined a front has at least 0, whatever its fitness.
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
        check_block(total, &own, genomes, comm)?;
        self.niches().accepts(genomes)?;
        numbered::begin(report, total);
        let mut rows = rows.clone();
        self.niches().say_cells_of_parents(&mut rows)?;
        let (status, cells): (&[u8], &[i64]) = (rows.get("status")?, rows.get("cell")?);
        let (fitness, descriptor): (&[f64], &[f64]) = (rows.get("fitness")?, rows.get("descriptor")?);
        report.outside = self.niches().division.count_outside(descriptor, status, cells);
        let coming = self.niches().coming(&rows)?;
        if coming.is_empty() {
            return Ok(());
        }
        let (mut gone, mut come, mut touched) = (Vec::new(), Vec::new(), Vec::new());
        let objectives = Objectives::new(self.elites(), Some(&rows), &self.spec().kind)?;
        let draws = Stream::new(self.seed, Purpose::Admission, offer.generation, 1);
        for of_cell in coming.chunk_by(|a, b| a.0 == b.0) {
            let cell = of_cell[0].0;
            let members = self.niches().members(cell);
            let newcomers: Vec<u32> = of_cell.iter().map(|(_, row)| *row).collect();
            let (front, joined) = self.settle(members, &newcomers, &objectives, &draws);
            let best = self
                .niches()
                .best(cell)
                .map(|best| self.elites().fitness()[best as usize]);
            for (&row, joined) in newcomers.iter().zip(joined) {
                let row = row as usize;
                let gain = best.map_or(self.spec().qd_offset, |best| -best) + fitness[row];
                (report.outcome[row], report.gain[row]) = match (joined, best) {
                    (false, _) => (Outcome::Rejected as u8, gain.min(0.0)),
                    (true, None) => (Outcome::New as u8, gain),
                    (true, Some(_)) => (Outcome::Improved as u8, gain.max(0.0)),
                };
            }
            gone.extend(members.iter().copied().filter(|m| !front.contains(&Who::Member(*m))));
            come.extend(
                newcomers
                    .iter()
                    .filter(|row| front.contains(&Who::Row(**row)))
                    .map(|row| (*row, cell)),
            );
            touched.push(cell);
        }
        come.sort_unstable();
        report.kept.extend(come.iter().map(|(row, _)| *row));
        let storing = Storing {
            rows: &rows,
            own,
            genomes,
            generation: offer.generation,
            comm,
        };
        self.best.niches.replace(&gone, &come, &storing)?;
        self.measure(&touched)?;
        self.best.refresh(touched.into_iter())
    }

    fn restore(&mut self, rows: &Batch, genomes: &Genomes, comm: &dyn Comm) -> Result<()> {
        self.best.niches.restore(rows, genomes, comm, &[])?;
        self.restored()
    }

    fn restore_active(&mut self, rows: &Batch, genomes: &Genomes, comm: &dyn Comm) -> Result<()> {
        self.best.niches.restore(rows, genomes, comm, &[OBJECTIVES, NICHE])?;
        self.restored()
    }
}

impl FrontsArchive {
    /// Finds anew what follows from the members.
    fn restored(&mut self) -> Result<()> {
        let filled = self.niches().filled().to_vec();
        self.measure(&filled)?;
        self.best.refresh_all()
    }
}

#[cfg(test)]
mod tests;
