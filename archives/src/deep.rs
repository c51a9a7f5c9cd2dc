//! Cells of some depth: several elites of one fitness in each, for tasks whose evaluations are noisy. `keep = "recent"` and `"random"` are those of Deep-Grid (Flageat and Cully, 'Fast and stable
//! MAP-Elites in noisy domains using deep grids', ALIFE 2020, <https://arxiv.org/abs/2006.14253>), `"best"` that of Archive-Sampling and Extract-ME (Flageat and Cully, 'Uncertain quality-diversity: evaluation methodology and
//! new methods', IEEE TEVC 2023, <https://arxiv.org/abs/2302.00463>; Flageat, Janmohamed, Lim and Cully, 'Extract-QD framework', GECCO 2025, <https://arxiv.org/abs/2502.06585>), `"low_spread"` that of ME-LS (Mace et al.,
//! 'Quality-diversity with limited spread', GECCO 2023).
//!
//! What strategies breed from are all members. The result is the best of each cell by its estimate, an archive of one elite a cell beside it (`Archive::results`).

use std::ops::Range;

use illume_core::{
    Archive, ArchiveConfig, ArchiveMut, ArchiveSpec, Batch, Comm, Elites, Error, Fetched, Genomes, Inbox, InsertReport,
    Offer, Outcome, Purpose, Result, Rule, Status, Stream, params,
};

use self::adaptive::Who;
use crate::archive::{Storing, check_block};
use crate::division::Outside;
use crate::niches::{Best, NICHE, Niches, STANDING, draw_by_share, draw_uniformly};
use crate::{mome, numbered};

mod adaptive;

params! {
    /// How many elites a cell holds, and which; parameters of every archive of cells.
    pub struct DepthParams {
        /// Elites that a cell holds.
        depth: usize = 1, range(1, 1 << 16);
        /// Which members a full cell keeps: the "best" by fitness, the most "recent", a newcomer in place of one at "random", or one that is better and spreads no more ("low_spread", of depth 1, for me_low_spread), or what is better after as many evaluations ("adaptive", for adaptive_sampling).
        /// Of several objectives the "front" of those that none dominates; where that is full, whoever is crowded most leaves, one at random ("front_random"), or the newcomer ("front_first").
        keep: String = "best".into(), one_of(&KEEPS);
        /// Which member of a cell is bred from: the "best", any ("uniform"), or one drawn in proportion to its fitness above the cell's lowest ("proportional"); of a front also in proportion to how lonely it is ("crowding").
        selection: String = "best".into(), one_of(&SELECTIONS);
    }
}

const KEEPS: [&str; 8] = [
    "best",
    "recent",
    "random",
    "low_spread",
    "adaptive",
    mome::KEEPS[0],
    mome::KEEPS[1],
    mome::KEEPS[2],
];
const SELECTIONS: [&str; 4] = ["best", "uniform", "proportional", mome::BY_CROWDING];

impl DepthParams {
    /// Whether this is an ordinary archive.
    pub(crate) fn is_plain(&self) -> bool {
        self.depth == 1 && self.keep == KEEPS[0]
    }

    pub(crate) fn rules(&self) -> Vec<(String, Rule)> {
        vec![
            ("depth".into(), Rule::Count(self.depth as u64)),
            ("keep".into(), Rule::Text(self.keep.clone())),
            ("selection".into(), Rule::Text(self.selection.clone())),
        ]
    }

    /// Whether cells hold fronts of several objectives.
    pub(crate) fn keeps_fronts(&self) -> bool {
        mome::KEEPS.contains(&self.keep.as_str())
    }

    /// # Errors
    /// Keys that do not go together.
    pub(crate) fn check(&self) -> Result<()> {
        let own = if self.keeps_fronts() {
            "proportional"
        } else {
            mome::BY_CROWDING
        };
        if self.selection == own {
            let message = format!(
                "\"{own}\" is not for keep = \"{}\": expected {}",
                self.keep,
                if self.keeps_fronts() {
                    "\"best\", \"uniform\" or \"crowding\""
                } else {
                    "\"best\", \"uniform\" or \"proportional\""
                }
            );
            return Err(Error::config("archive", "selection", message));
        }
        if self.keep == "low_spread" && self.depth != 1 {
            let message = format!(
                "expected 1, as keep = \"low_spread\" compares with one elite, got {}",
                self.depth
            );
            return Err(Error::config("archive", "depth", message));
        }
        if self.keep == "adaptive" && self.selection != SELECTIONS[0] {
            let message = format!(
                "expected \"best\", as of keep = \"adaptive\" contenders are not bred from, got \"{}\"",
                self.selection
            );
            return Err(Error::config("archive", "selection", message));
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    Best,
    Recent,
    Random,
    LowSpread,
    Adaptive,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Selection {
    Best,
    Uniform,
    Proportional,
}

/// What a spec's rules say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rules {
    depth: usize,
    keep: Keep,
    selection: Selection,
}

/// Checks the rules of an archive of cells, which may have none.
///
/// # Errors
/// Rules that are none of these.
pub(crate) fn check(spec: &ArchiveSpec) -> Result<()> {
    match spec.rule("depth") {
        None => Ok(()),
        Some(_) if spec.holds_fronts() => mome::check(spec),
        Some(_) => Rules::of(spec).map(|_| ()),
    }
}

impl Rules {
    fn of(spec: &ArchiveSpec) -> Result<Rules> {
        let unusable = |name: &str| {
            Error::input(format!(
                "an archive of several elites a cell has no usable rule '{name}'"
            ))
        };
        let word = |name: &str| match spec.rule(name) {
            Some(Rule::Text(word)) => Ok(word.as_str()),
            _ => Err(unusable(name)),
        };
        let depth = match spec.rule("depth") {
            Some(Rule::Count(depth @ 1..=65_536)) => *depth as usize,
            _ => return Err(unusable("depth")),
        };
        let keep = match word("keep")? {
            "best" => Keep::Best,
            "recent" => Keep::Recent,
            "random" => Keep::Random,
            "low_spread" => Keep::LowSpread,
            "adaptive" => Keep::Adaptive,
            _ => return Err(unusable("keep")),
        };
        let selection = match word("selection")? {
            "best" => Selection::Best,
            "uniform" => Selection::Uniform,
            "proportional" => Selection::Proportional,
            _ => return Err(unusable("selection")),
        };
        Ok(Rules { depth, keep, selection })
    }
}

/// The column of members and rows that says how many evaluations an estimate is the mean of.
const SAMPLES: &str = "samples";
/// That of rows which says whose evaluation again a row is.
const MEMBER: &str = "member";
/// That of rows which says how far apart the descriptors of a candidate's evaluations lie.
const SPREAD: &str = "spread";

/// Evaluations that an estimate counts at most: beyond them each new one weighs as the last of these, as if older ones were forgotten bit by bit.
const MOST_SAMPLES: u32 = 500;

/// Columns of rows that are estimates, which evaluations again are averaged with.
const ESTIMATES: [&str; 3] = ["fitness", "descriptor", "objectives"];

/// An archive of cells with several members each, and the best of each cell beside it.
#[derive(Debug)]
pub(crate) struct DeepArchive {
    best: Best,
    rules: Rules,
    seed: u64,
}

/// A batch as the cells see it: estimates in place of evaluations again.
struct Contest {
    rows: Batch,
    /// The member whose evaluation again a row is; -1 for a new candidate.
    members: Vec<i64>,
    /// Members that leave their cells because a row stands for them.
    gone: Vec<u32>,
}

impl DeepArchive {
    /// An empty one of this spec, whose rules say depth and what is kept. Draws by `seed`.
    ///
    /// # Errors
    /// A spec that does not hang together.
    pub fn new(spec: ArchiveSpec, outside: Outside, config: &ArchiveConfig<'_>) -> Result<DeepArchive> {
        let rules = Rules::of(&spec)?;
        let genomes = (config.genome_dim, config.lineage);
        let niches = Niches::new(spec, outside, genomes, |elites| {
            elites.declare::<u32>(SAMPLES, "", "evaluations that fitness and descriptor are the means of");
            if rules.keep == Keep::Adaptive {
                let meaning =
                    "0 an elite, 1 a contender to be evaluated again, 2 one that waits for its cell's elites to be";
                elites.declare::<u8>(STANDING, "", meaning);
            }
        })?;
        Ok(DeepArchive {
            best: Best::new(niches),
            rules,
            seed: config.seed,
        })
    }

    fn niches(&self) -> &Niches {
        &self.best.niches
    }

    /// Rows whose parents are cells and not members, and in which evaluations again are averaged with what is known of their member: its other columns are the member's.
    fn contest(&self, rows: &Batch, generation: u64) -> Result<Contest> {
        let (niches, total) = (self.niches(), rows.rows());
        let table = niches.elites().columns();
        let mut rows = rows.clone();
        niches.say_cells_of_parents(&mut rows)?;
        let meaning = "generation at which it was found";
        rows.push("generation", 1, "", meaning, vec![generation as i64; total]);
        if rows.find(SAMPLES).is_none() {
            rows.push(SAMPLES, 1, "", "", vec![1u32; total]);
        }
        if self.rules.keep == Keep::Adaptive {
            rows.push(STANDING, 1, "", "", vec![adaptive::CONTENDS; total]);
        }
        let mut contest = Contest {
            members: vec![-1; total],
            gone: Vec::new(),
            rows,
        };
        let Ok(members) = contest.rows.get::<i64>(MEMBER).map(<[i64]>::to_vec) else {
            return Ok(contest);
        };
        for column in table.columns() {
            if contest.rows.find(&column.name).is_none() && members.iter().any(|m| *m >= 0) {
                contest.rows.declare_like(column);
            }
        }
        let (mut again, mut seen) = (Vec::new(), vec![false; table.rows()]);
        let status = contest.rows.get::<u8>("status")?;
        for (row, &member) in members.iter().enumerate() {
            // One whose evaluation failed stays as it was.
            if status[row] == Status::Ok as u8 && niches.cell_of(member).is_some() {
                contest.members[row] = member;
                if !std::mem::replace(&mut seen[member as usize], true) {
                    again.push((row, member as usize));
                    contest.gone.push(member as u32);
                }
            }
        }
        average(&mut contest.rows, table, &again)?;
        let k = niches.spec.axes.len();
        let mut cell = [0];
        for &(row, _) in &again {
            let place = &contest.rows.get::<f64>("descriptor")?[row * k..(row + 1) * k];
            niches.division.locate(place, &mut cell);
            contest.rows.get_mut::<i64>("cell")?[row] = cell[0];
        }
        Ok(contest)
    }

    /// Which of a cell's members (`residents`) and of the rows that come to it stay: the members that go, and the rows that come.
    fn settle(&self, residents: &[u32], rows: &[u32], contest: &Batch, draws: &Stream) -> Result<(Vec<u32>, Vec<u32>)> {
        let (theirs, fitness) = (self.niches().elites(), contest.get::<f64>("fitness")?);
        let worth = |who: &Who| match who {
            Who::Member(m) => theirs.fitness()[*m as usize],
            Who::Row(row) => fitness[*row as usize],
        };
        let depth = self.rules.depth;
        let members = residents.iter().map(|m| Who::Member(*m));
        let mut all: Vec<Who> = members.collect();
        let newcomers = rows.iter().map(|row| Who::Row(*row));
        match self.rules.keep {
            Keep::Best => {
                all.extend(newcomers);
                // Stable: of equals those stay that came first.
                all.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
                all.truncate(depth);
            }
            Keep::Recent => {
                all.extend(newcomers);
                all.drain(..all.len().saturating_sub(depth));
            }
            Keep::Random => {
                for newcomer in newcomers {
                    if all.len() < depth {
                        all.push(newcomer);
                    } else if let Who::Row(row) = newcomer {
                        all[draws.below(u64::from(row), depth as u64) as usize] = newcomer;
                    }
                }
            }
            // Settled elsewhere.
            Keep::Adaptive => {}
            Keep::LowSpread => {
                let (own, came) = (
                    theirs.columns().get::<f64>(SPREAD).ok(),
                    contest.get::<f64>(SPREAD).ok(),
                );
                let spread = |who: &Who| match who {
                    Who::Member(m) => own.map_or(f64::INFINITY, |all| all[*m as usize]),
                    Who::Row(row) => came.map_or(f64::INFINITY, |all| all[*row as usize]),
                };
                for newcomer in newcomers {
                    match all.first() {
                        None => all.push(newcomer),
                        Some(elite) if worth(&newcomer) > worth(elite) && spread(&newcomer) <= spread(elite) => {
                            all[0] = newcomer;
                        }
                        Some(_) => {}
                    }
                }
            }
        }
        let stays = |who: &Who| all.contains(who);
        let gone = residents.iter().copied().filter(|m| !stays(&Who::Member(*m)));
        let come = rows.iter().copied().filter(|row| stays(&Who::Row(*row)));
        Ok((gone.collect(), come.collect()))
    }
}

/// Writes into each row (of `again`: row, member) the mean of its evaluations and its member's, and all else that is known of the member.
fn average(rows: &mut Batch, table: &Batch, again: &[(usize, usize)]) -> Result<()> {
    if again.is_empty() {
        return Ok(());
    }
    let known = table.get::<u32>(SAMPLES)?;
    let fresh: Vec<u32> = rows.get::<u32>(SAMPLES)?.to_vec();
    let counts = |&(row, member): &(usize, usize)| {
        let fresh = fresh[row].max(1);
        let all = known[member].saturating_add(fresh).min(MOST_SAMPLES.max(fresh));
        (all, f64::from(fresh) / f64::from(all))
    };
    let mut bytes = Vec::new();
    for theirs in table.columns() {
        let (name, width) = (theirs.name.as_str(), theirs.width);
        if name == SAMPLES {
            let values = rows.get_mut::<u32>(SAMPLES)?;
            again.iter().for_each(|pair| values[pair.0] = counts(pair).0);
            continue;
        }
        let [mine] = rows.columns_mut([name])?;
        if mine.width != width {
            return Err(Error::failed(format!(
                "column '{name}' is {} wide, its members' {width}",
                mine.width
            )));
        }
        if ESTIMATES.contains(&name) {
            let (old, values) = (table.get::<f64>(name)?, mine.values_mut::<f64>()?);
            for pair in again {
                let (row, member, weight) = (pair.0 * width, pair.1 * width, counts(pair).1);
                for (value, old) in values[row..row + width].iter_mut().zip(&old[member..member + width]) {
                    *value = old + (*value - old) * weight;
                }
            }
            continue;
        }
        for &(row, member) in again {
            bytes.clear();
            theirs
                .data
                .write_bytes(member * width..(member + 1) * width, &mut bytes);
            mine.data.read_bytes(row * width..(row + 1) * width, &bytes);
        }
    }
    Ok(())
}

impl Archive for DeepArchive {
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
            Selection::Proportional => {
                let fitness = |member: u32| self.elites().fitness()[member as usize];
                let lowest = members.iter().map(|m| fitness(*m)).fold(f64::INFINITY, f64::min);
                let sum: f64 = members.iter().map(|m| fitness(*m) - lowest).sum();
                if !(sum > 0.0 && sum.is_finite()) {
                    return draw_uniformly(members, draw);
                }
                let drawn = draw_by_share(members, |member| fitness(member) - lowest, sum, draw);
                drawn.unwrap_or(self.best.member(cell))
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

impl ArchiveMut for DeepArchive {
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
        let Contest {
            mut rows,
            members,
            gone,
        } = self.contest(rows, offer.generation)?;
        let (status, cells): (&[u8], &[i64]) = (rows.get("status")?, rows.get("cell")?);
        let (fitness, descriptor): (&[f64], &[f64]) = (rows.get("fitness")?, rows.get("descriptor")?);
        report.outside = self.niches().division.count_outside(descriptor, status, cells);
        let coming = self.niches().coming(&rows)?;
        for &(cell, row) in &coming {
            let row = row as usize;
            report.outcome[row] = Outcome::Rejected as u8;
            if members[row] >= 0 {
                continue;
            }
            let outcome = match self.niches().best(cell) {
                None => {
                    report.gain[row] = fitness[row] + self.spec().qd_offset;
                    Outcome::New
                }
                Some(best) => {
                    report.gain[row] = fitness[row] - self.elites().fitness()[best as usize];
                    if report.gain[row] > 0.0 {
                        Outcome::Improved
                    } else {
                        Outcome::Rejected
                    }
                }
            };
            report.outcome[row] = outcome as u8;
        }
        let mut leaving = vec![false; self.elites().fitness().len()];
        gone.iter().for_each(|member| leaving[*member as usize] = true);
        let mut touched: Vec<u32> = gone
            .iter()
            .filter_map(|m| self.niches().cell_of(i64::from(*m)))
            .collect();
        let (mut gone, mut come) = (gone, Vec::new());
        let draws = Stream::new(self.seed, Purpose::Admission, offer.generation, 1);
        for of_cell in coming.chunk_by(|a, b| a.0 == b.0) {
            let cell = of_cell[0].0;
            touched.push(cell);
            if self.rules.keep == Keep::Adaptive {
                continue;
            }
            let residents = self.niches().members(cell).iter().copied();
            let residents: Vec<u32> = residents.filter(|member| !leaving[*member as usize]).collect();
            let newcomers: Vec<u32> = of_cell.iter().map(|(_, row)| *row).collect();
            let (go, stay) = self.settle(&residents, &newcomers, &rows, &draws)?;
            gone.extend(go);
            come.extend(stay.into_iter().map(|row| (row, cell)));
        }
        if self.rules.keep == Keep::Adaptive {
            touched.sort_unstable();
            touched.dedup();
            come = self.compare(&touched, &coming, (&members, &leaving), &mut gone, &mut rows)?;
            self.report_contests(&come, &members, &rows, report)?;
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
        self.best.refresh(touched.into_iter())
    }

    fn restore(&mut self, rows: &Batch, genomes: &Genomes, comm: &dyn Comm) -> Result<()> {
        self.best.niches.restore(rows, genomes, comm, &[])?;
        self.best.refresh_all()
    }

    fn restore_active(&mut self, rows: &Batch, genomes: &Genomes, comm: &dyn Comm) -> Result<()> {
        let declared: &[&str] = match self.rules.keep {
            Keep::Adaptive => &[SAMPLES, NICHE, STANDING],
            _ => &[SAMPLES, NICHE],
        };
        self.best.niches.restore(rows, genomes, comm, declared)?;
        self.best.refresh_all()
    }
}

#[cfg(test)]
mod tests;
