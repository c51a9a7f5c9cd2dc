//! What fronts in cells are worth, as columns of the history: the hypervolume of the front of all members, and the MOQD score, the sum of the hypervolumes of each cell's front (Pierrot,
//! Richard, Beguir and Cully, 'Multi-objective quality diversity optimization', GECCO 2022, <https://arxiv.org/abs/2202.03057>). Both are measured from the task's references.

use std::collections::BTreeMap;

use illume_core::{Archive, ArchiveSpec, Rule, TaskSpec};
use illume_numerics::fronts::{Equal, Points, hypervolume, non_dominated};

/// Objectives that a task has at most for this: beyond, a hypervolume takes too long for every generation.
const MOST: usize = 3;

/// The columns of this task in this archive: (name, unit, description); none unless cells hold fronts and the task says from where they are measured.
pub(crate) fn columns(task: &TaskSpec, archive: &ArchiveSpec) -> Vec<(String, String, String)> {
    let fronts = matches!(archive.rule("keep"), Some(Rule::Text(keep)) if keep.starts_with("front"));
    if !fronts || reference(task).is_none() {
        return Vec::new();
    }
    let all = [
        ("moqd_score", "sum over the cells of the hypervolume of each cell's front, from the objectives' references"),
        ("global_hypervolume", "hypervolume of the front of all members of all cells, from the objectives' references"),
        ("members", "members of all fronts"),
    ];
    all.map(|(name, meaning)| (name.to_string(), String::new(), meaning.to_string())).into()
}

/// Where hypervolumes are measured from, if the task says it and has not too many objectives.
fn reference(task: &TaskSpec) -> Option<Vec<f64>> {
    let all = &task.objectives;
    let references: Option<Vec<f64>> = all.iter().map(|objective| objective.reference()).collect();
    references.filter(|all| (1..=MOST).contains(&all.len()))
}

/// The values of the columns, if there are some.
pub(crate) fn values(task: &TaskSpec, archive: &dyn Archive) -> Vec<f64> {
    let Some(reference) = reference(task).filter(|_| !columns(task, archive.spec()).is_empty()) else {
        return Vec::new();
    };
    let (elites, m) = (archive.elites(), reference.len());
    let columns = elites.columns();
    let (Ok(objectives), Ok(niches)) = (columns.get::<f64>("objectives"), columns.get::<i64>("niche")) else {
        // Before the first member.
        return vec![0.0; 3];
    };
    let mut all = Vec::with_capacity(elites.filled.len() * m);
    let mut cells: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for member in elites.filled.iter().map(|member| *member as usize) {
        let own = &objectives[member * m..][..m];
        all.extend_from_slice(own);
        cells.entry(niches[member]).or_default().extend_from_slice(own);
    }
    let points = Points::new(&all, m);
    let best = points.of(&non_dominated(&points, Equal::First));
    let volume = |points: &[f64]| hypervolume(&Points::new(points, m), &reference);
    vec![cells.values().map(|own| volume(own)).sum(), volume(&best), elites.filled.len() as f64]
}
