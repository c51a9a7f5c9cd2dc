//! What fronts are worth, as columns of the history of a task of several objectives: size and hypervolume of the front of all elites; where cells hold fronts, of all their members, with how many there are and the MOQD score, the sum of the hypervolumes of each cell's front
//! (Pierrot, Richard, Beguir and Cully, 'Multi-objective quality diversity optimization', GECCO 2022, <https://arxiv.org/abs/2202.03057>).

use std::collections::BTreeMap;

use illume_archives::metrics::FrontMetrics;
use illume_core::{Archive, ArchiveSpec, Objective, TaskSpec};

/// Of any archive: name and meaning.
const OF_ALL: [(&str, &str); 2] = [
    (
        "front_size",
        "elites that no other dominates, of all members where cells hold fronts",
    ),
    (
        "hypervolume",
        "what they dominate from the objectives' references on; none where these are not known, or where it takes long to measure",
    ),
];

/// Where cells hold fronts, beside these.
const OF_CELLS: [(&str, &str); 2] = [
    (
        "moqd_score",
        "sum over the cells of the hypervolume of each cell's front, from the objectives' references",
    ),
    ("members", "members of all fronts"),
];

/// The columns that a run has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrontColumns {
    /// Of a task of one objective none.
    Nothing,
    OfElites,
    OfCells,
}

impl FrontColumns {
    pub fn of(task: &TaskSpec, archive: &ArchiveSpec) -> FrontColumns {
        match (task.objectives.is_empty(), archive.holds_fronts()) {
            (true, _) => FrontColumns::Nothing,
            (false, true) => FrontColumns::OfCells,
            (false, false) => FrontColumns::OfElites,
        }
    }

    fn named(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let of_all = OF_ALL.into_iter().filter(move |_| self != FrontColumns::Nothing);
        of_all.chain(OF_CELLS.into_iter().filter(move |_| self == FrontColumns::OfCells))
    }

    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.named().map(|(name, _)| name)
    }

    /// As a history takes them: (name, unit, description).
    pub fn described(self) -> Vec<(String, String, String)> {
        let described = |(name, meaning): (&str, &str)| (name.into(), String::new(), meaning.into());
        self.named().map(described).collect()
    }

    /// The values of the columns.
    pub fn values(self, objectives: &[Objective], archive: &dyn Archive) -> Vec<f64> {
        let elites = match self {
            FrontColumns::Nothing => return Vec::new(),
            FrontColumns::OfElites => archive.results().unwrap_or(archive).elites(),
            FrontColumns::OfCells => archive.elites(),
        };
        // What a cell has, or the whole archive, may be a front as it is.
        let volume = |rows: &mut dyn Iterator<Item = usize>, whole: bool| {
            let front = match whole {
                true => FrontMetrics::of_front(elites.columns(), rows, objectives),
                false => FrontMetrics::of(elites.columns(), rows, objectives),
            };
            front.map_or([0.0; 2], |front| {
                [front.rows.len() as f64, front.hypervolume_in_passing(objectives)]
            })
        };
        let rows = || elites.filled.iter().map(|row| *row as usize);
        let mut values = volume(&mut rows(), archive.spec().is_front()).to_vec();
        if self == FrontColumns::OfCells {
            let mut cells: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
            let niches = elites.columns().get::<i64>("niche").unwrap_or_default();
            rows().for_each(|row| cells.entry(niches[row]).or_default().push(row));
            let of_cells = cells
                .values()
                .map(|members| volume(&mut members.iter().copied(), true)[1]);
            values.extend([of_cells.sum(), elites.filled.len() as f64]);
        }
        values
    }
}
