//! An archive to look at: where its elites lie, and one of their columns, whether the archive holds it, an evaluation of it, or it follows from them.

use std::path::Path;

use illume_archives::file::{self, ArchiveFile, Evaluation};
use illume_archives::metrics::FrontMetrics;
use illume_core::{ArchiveSpec, Batch, Column, Data, Error, GeneKind, Result};
use rayon::prelude::*;

use crate::analysis::compare::spoken;
use crate::formats::export::Genes;

/// The evaluation that is looked for beside an archive, where `illume eval` puts it.
pub const EVALUATION: &str = "eval.h5";
/// Columns that say nothing of an elite by their size.
const HIDDEN: [&str; 3] = ["cell", "seed", "parents"];
/// What an evaluation knows of elites, beside what the archive itself holds.
const EVALUATED: [&str; 8] = [
    "corrected_fitness",
    "expected_fitness",
    "fitness_sd",
    "descriptor_distance",
    "descriptor_sd",
    "center_distance",
    "episodes",
    "identical",
];
/// What follows from where elites lie.
const NOVELTY: &str = "novelty";
/// What the fronts of cells are worth, where these hold some.
pub const OF_FRONTS: [&str; 2] = ["cell_hypervolume", "cell_members"];
/// Neighbours that novelty is measured by, as in Lehman and Stanley, 'Abandoning objectives' (2011).
const NEIGHBOURS: usize = 15;
/// Distances, times axes, that are measured for it at most.
const MOST_DISTANCES: usize = 4_000_000_000;

/// Letters of what a fitness is that fit beside a plot.
const LONGEST_NAME: usize = 50;

/// The gene of this name.
fn gene(file: &ArchiveFile, name: &str) -> Option<usize> {
    file.genes.as_ref()?.names().iter().position(|gene| gene == name)
}

/// Elites with a column of values, `n` rows in order of cell number.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    pub spec: ArchiveSpec,
    /// `[n]`; numbers of cells, below the capacity.
    pub cells: Vec<usize>,
    /// `[n, k]`.
    pub descriptor: Vec<f64>,
    /// `[n]`.
    pub fitness: Vec<f64>,
    /// Of the column, `[n]`; not finite where there is none.
    pub values: Vec<f64>,
    /// The column as people call it, with its unit.
    pub name: String,
    /// Names of the values, which are positions in this list; empty for numbers.
    pub categories: Vec<String>,
}

impl View {
    /// The elites of an archive with this column. For `corrected_fitness` they lie where their fresh episodes led, with the mean fitness of these.
    ///
    /// # Errors
    /// No such column, or an evaluation that is missing, damaged or of another state of the archive.
    pub fn of(file: &ArchiveFile, column: &str) -> Result<View> {
        let elites = &file.elites;
        let mut view = View {
            spec: file.spec.clone(),
            cells: elites.get::<i64>("cell")?.iter().map(|c| *c as usize).collect(),
            descriptor: elites.get::<f64>("descriptor")?.to_vec(),
            fitness: elites.get::<f64>("fitness")?.to_vec(),
            values: Vec::new(),
            name: spoken(column),
            categories: Vec::new(),
        };
        if column == "operator" {
            view.categories = file
                .attributes
                .operators
                .iter()
                .map(|name| name.replace('_', " "))
                .collect();
        }
        if let Some(axis) = view.spec.axes.iter().position(|axis| axis.name == column) {
            view.values = view.along(axis).collect();
            view.name = named(column, &view.spec.axes[axis].unit);
        } else if let Some(found) = shown(elites).find(|c| c.name == column) {
            view.values = numbers(&found.data);
            view.name = named(column, &found.unit);
            let fitness = &file.attributes.fitness;
            if column == "fitness" && !fitness.is_empty() {
                view.name = fitness.clone();
                if view.name.chars().count() > LONGEST_NAME {
                    view.name = "minus the task's value".into();
                }
            }
        } else if let Some(gene) = gene(file, column) {
            let space = file.genes.as_ref().expect("the gene was found in it");
            let group = space.group_of(gene);
            let genes = Genes::of_elites(file, (0..view.len()).collect())?.values(0..view.len())?;
            view.values = genes
                .iter()
                .skip(gene)
                .step_by(space.dim())
                .map(|x| f64::from(*x))
                .collect();
            view.name = named(column, &group.unit);
            if let GeneKind::Categorical(labels) = &group.kind {
                view.categories.clone_from(labels);
            }
        } else if EVALUATED.contains(&column) {
            let evaluation = evaluated(file, column)?;
            if column == "corrected_fitness" {
                return view.corrected(&evaluation);
            }
            let found = evaluation.elites.find(column).ok_or_else(|| {
                Error::input(format!(
                    "{}: {EVALUATION} beside it is of an older format and has no {column}; `illume eval` makes a new one",
                    file.path().display()
                ))
            })?;
            view.values = numbers(&found.data);
            view.name = named(column, &found.unit);
        } else if let Some(members) = OF_FRONTS
            .contains(&column)
            .then(|| file.members())
            .transpose()?
            .flatten()
        {
            view.values = view.of_fronts(&members, column)?;
            view.name = match column {
                "cell_hypervolume" => "hypervolume of each cell's front".into(),
                _ => "members of each cell's front".into(),
            };
        } else if column == NOVELTY {
            view.values = view.novelty(file.path())?;
            view.name = format!("novelty ({NEIGHBOURS} nearest)");
        } else {
            let own = shown(elites).map(|c| c.name.as_str());
            let axes = view.spec.axes.iter().map(|axis| axis.name.as_str()).take(12);
            let genes = file.genes.as_ref().map_or_else(Vec::new, |genes| genes.names());
            let of_fronts = if file.has_members() { &OF_FRONTS[..] } else { &[] };
            let known: Vec<&str> = own
                .chain(of_fronts.iter().copied())
                .chain(axes)
                .chain(genes.iter().map(String::as_str).take(12))
                .collect();
            return Err(Error::input(format!(
                "{} has no column '{column}'; it has {}, and {NOVELTY}; after `illume eval` also {}",
                file.path().display(),
                known.join(", "),
                EVALUATED.join(", ")
            )));
        }
        Ok(view)
    }

    /// Where elites lie on an axis, `[n]`.
    pub fn along(&self, axis: usize) -> impl Iterator<Item = f64> {
        let k = self.spec.axes.len();
        self.descriptor.iter().copied().skip(axis).step_by(k.max(1))
    }

    pub fn len(&self) -> usize {
        self.cells.len()
    }

    pub fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Elites anew where their mean descriptors lie, with their mean fitness: those that are somewhere, of a cell the best.
    fn corrected(mut self, evaluation: &Evaluation) -> Result<View> {
        let cells = evaluation.elites.get::<i64>("corrected_cell")?;
        let fitness = evaluation.elites.get::<f64>("expected_fitness")?;
        let descriptor = evaluation.elites.get::<f64>("expected_descriptor")?;
        let k = self.spec.axes.len();
        let usable = |row: &usize| fitness[*row].is_finite() && (0..self.spec.capacity as i64).contains(&cells[*row]);
        let mut rows: Vec<usize> = (0..self.len()).filter(usable).collect();
        // Of a cell the best first, of equal ones the first row.
        rows.sort_by(|a, b| cells[*a].cmp(&cells[*b]).then(fitness[*b].total_cmp(&fitness[*a])));
        rows.dedup_by_key(|row| cells[*row]);
        self.cells = rows.iter().map(|row| cells[*row] as usize).collect();
        self.fitness = rows.iter().map(|row| fitness[*row]).collect();
        self.descriptor = rows
            .iter()
            .flat_map(|row| &descriptor[row * k..(row + 1) * k])
            .copied()
            .collect();
        self.values.clone_from(&self.fitness);
        Ok(self)
    }

    /// Of each elite's cell: the hypervolume of its front from the objectives' references on, or the size of the front.
    fn of_fronts(&self, members: &ArchiveFile, column: &str) -> Result<Vec<f64>> {
        let objectives = &members.attributes.objectives;
        let mut fronts = vec![Vec::new(); self.spec.capacity];
        for (row, niche) in members.elites.get::<i64>("niche")?.iter().enumerate() {
            if let Some(front) = usize::try_from(*niche).ok().and_then(|cell| fronts.get_mut(cell)) {
                front.push(row);
            }
        }
        let worth = |cell: &usize| {
            let front = &fronts[*cell];
            if column != OF_FRONTS[0] {
                return front.len() as f64;
            }
            let metrics = FrontMetrics::of(&members.elites, front.iter().copied(), objectives);
            metrics.map_or(f64::NAN, |front| front.hypervolume(objectives))
        };
        Ok(self.cells.par_iter().map(worth).collect())
    }

    /// Mean distance of each elite's descriptor to those of the nearest others.
    fn novelty(&self, path: &Path) -> Result<Vec<f64>> {
        let (n, k) = (self.len(), self.spec.axes.len());
        if k == 0 {
            return Err(Error::input(format!(
                "{}: without a descriptor there is no novelty",
                path.display()
            )));
        }
        if n.saturating_mul(n).saturating_mul(k) > MOST_DISTANCES {
            return Err(Error::input(format!(
                "{}: the novelty of {n} elites on {k} axes takes too many distances; expected at most 60,000 elites on one axis, fewer on more",
                path.display()
            )));
        }
        let rows: Vec<&[f64]> = self.descriptor.chunks_exact(k).collect();
        let novelty = rows.par_iter().enumerate().map(|(i, own)| {
            let others = rows.iter().enumerate().filter(|(j, _)| *j != i);
            let mut squares: Vec<f64> = others
                .map(|(_, other)| own.iter().zip(*other).map(|(a, b)| (a - b) * (a - b)).sum())
                .collect();
            let near = NEIGHBOURS.min(squares.len());
            if near == 0 {
                return f64::NAN;
            }
            squares.select_nth_unstable_by(near - 1, f64::total_cmp);
            squares.truncate(near);
            // One order of the sum, whatever order they were found in.
            squares.sort_by(f64::total_cmp);
            squares.iter().map(|s| s.sqrt()).sum::<f64>() / near as f64
        });
        Ok(novelty.collect())
    }
}

/// A column with its unit, as people call it.
fn named(column: &str, unit: &str) -> String {
    if unit.is_empty() {
        spoken(column)
    } else {
        format!("{} ({unit})", spoken(column))
    }
}

/// The columns of elites that are one number each.
fn shown(elites: &Batch) -> impl Iterator<Item = &Column> {
    elites
        .columns()
        .iter()
        .filter(|c| c.width == 1 && !HIDDEN.contains(&c.name.as_str()))
}

fn numbers(data: &Data) -> Vec<f64> {
    match data {
        Data::U8(v) => v.iter().map(|x| f64::from(*x)).collect(),
        Data::I32(v) => v.iter().map(|x| f64::from(*x)).collect(),
        Data::U32(v) => v.iter().map(|x| f64::from(*x)).collect(),
        Data::I64(v) => v.iter().map(|x| *x as f64).collect(),
        Data::U64(v) => v.iter().map(|x| *x as f64).collect(),
        Data::F32(v) => v.iter().map(|x| f64::from(*x)).collect(),
        Data::F64(v) => v.clone(),
    }
}

/// The evaluation beside an archive; none where there is no file.
///
/// # Errors
/// It is damaged, or not of these elites.
pub fn evaluation(file: &ArchiveFile) -> Result<Option<Evaluation>> {
    let path = file.path().with_file_name(EVALUATION);
    if !path.exists() {
        return Ok(None);
    }
    let evaluation = file::open_evaluation(&path)?;
    let same = evaluation.elites.get::<i64>("cell")? == file.elites.get::<i64>("cell")?
        && evaluation.elites.get::<f64>("fitness")? == file.elites.get::<f64>("fitness")?;
    if !same {
        return Err(Error::input(format!(
            "{} is not of the elites that {} holds: `illume eval` makes it anew",
            path.display(),
            file.path().display()
        )));
    }
    Ok(Some(evaluation))
}

/// The same for a column that comes from it.
fn evaluated(file: &ArchiveFile, column: &str) -> Result<Evaluation> {
    evaluation(file)?.ok_or_else(|| {
        Error::input(format!(
            "{column} is of fresh episodes, and there is no {}: `illume eval {}` makes it",
            file.path().with_file_name(EVALUATION).display(),
            file.path().display()
        ))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use illume_core::{Axis, Cells};

    use super::*;

    /// Elites of fitness 1, 2, ... at these places, which are their values.
    pub(crate) fn view(cells: Cells, axes: Vec<Axis>, descriptor: &[f64]) -> View {
        let n = descriptor.len() / axes.len();
        let fitness: Vec<f64> = (1..=n).map(|i| i as f64).collect();
        let mut capacity = n;
        let mut numbers: Vec<usize> = (0..n).collect();
        if let Cells::Grid { shape } = &cells {
            capacity = shape.iter().product();
            let cell = |d: &[f64]| {
                let index = d.iter().zip(&axes).zip(shape);
                index.fold(0, |cell, ((x, axis), count)| {
                    cell * count + ((axis.share(*x) * *count as f64) as usize).min(count - 1)
                })
            };
            numbers = descriptor.chunks_exact(axes.len()).map(cell).collect();
        }
        View {
            spec: ArchiveSpec {
                kind: "grid".into(),
                axes,
                cells,
                capacity,
                qd_offset: 0.0,
                rules: Vec::new(),
            },
            cells: numbers,
            descriptor: descriptor.to_vec(),
            values: fitness.clone(),
            fitness,
            name: "fitness".into(),
            categories: Vec::new(),
        }
    }

    #[test]
    fn novelty_is_the_mean_distance_to_the_nearest_others() {
        let axes = vec![Axis::new("x", "", 0.0, 10.0), Axis::new("y", "", 0.0, 10.0)];
        let three = view(Cells::None, axes.clone(), &[0.0, 0.0, 3.0, 4.0, 0.0, 1.0]);
        let [a, b, c]: [f64; 3] = three.novelty(Path::new("a")).unwrap().try_into().unwrap();
        let far = 18f64.sqrt();
        assert_eq!([a, b, c], [3.0, (far + 5.0) / 2.0, (1.0 + far) / 2.0]);
        assert!(
            view(Cells::None, axes.clone(), &[1.0, 1.0])
                .novelty(Path::new("a"))
                .unwrap()[0]
                .is_nan()
        );
        // Of twenty on a line the fifteen nearest count: from the end 1 to 15.
        let line: Vec<f64> = (0..20).flat_map(|i| [f64::from(i), 0.0]).collect();
        assert_eq!(view(Cells::None, axes, &line).novelty(Path::new("a")).unwrap()[0], 8.0);
    }

    #[test]
    fn corrected_elites_lie_where_their_episodes_led_and_the_best_has_the_cell() {
        let axes = vec![Axis::new("x", "", 0.0, 4.0)];
        let stored = view(Cells::Grid { shape: vec![4] }, axes, &[0.5, 1.5, 2.5, 3.5]);
        let mut e = Evaluation::default();
        e.elites.push("corrected_cell", 1, "", "", vec![1i64, 1, -1, 0]);
        e.elites
            .push("expected_fitness", 1, "", "", vec![5.0, 6.0, 7.0, f64::NAN]);
        e.elites
            .push("expected_descriptor", 1, "", "", vec![1.2, 1.8, 9.0, f64::NAN]);
        let view = stored.corrected(&e).unwrap();
        assert_eq!(
            (view.cells, view.fitness, view.descriptor),
            (vec![1], vec![6.0], vec![1.8])
        );
    }
}
