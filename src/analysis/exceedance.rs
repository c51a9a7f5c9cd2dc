//! How many elites have at least some fitness: the complementary cumulative distribution of archives, of one or of several runs.

use std::path::Path;

use illume_archives::file::ArchiveFile;
use illume_core::{Error, Result};

use crate::analysis::compare::{Columns, Comparison, Group, History};
use crate::analysis::statistics::Band;

/// Places at which curves are known, where there are more different values of fitness.
const PLACES: usize = 600;
/// So many different values are places themselves.
const DISTINCT: usize = 2000;

/// Archives by what made them, at increasing fitness.
pub struct Exceedance {
    pub comparison: Comparison,
    /// `[places]`.
    pub fitness: Vec<f64>,
    /// For each group.
    pub curves: Vec<Curve>,
    /// Whether they are shares of the cells, or of the elites where there are no cells.
    pub share: bool,
}

pub struct Curve {
    /// Elites of each run.
    pub elites: Vec<usize>,
    /// Whether elites lie beyond the last place, which a range can do.
    pub beyond: bool,
    /// At each place the median over runs of the number of elites with at least that fitness, and the band around it, `[places]`.
    pub points: Vec<(f64, [f64; 2])>,
}

/// Of values in rising order, how many are at least `x`.
pub fn at_least(sorted: &[f64], x: f64) -> usize {
    sorted.len() - sorted.partition_point(|value| *value < x)
}

impl Exceedance {
    /// # Errors
    /// Archives of several tasks, or without any elite.
    pub fn new(files: &[ArchiveFile], band: Band, range: Option<[f64; 2]>, share: bool) -> Result<Exceedance> {
        let runs = files.iter().map(History::unread).collect();
        let comparison = Comparison::new(Columns::default(), runs)?;
        let sorted = |file: &ArchiveFile| -> Result<Vec<f64>> {
            let mut values = file.elites.get::<f64>("fitness")?.to_vec();
            values.sort_by(f64::total_cmp);
            Ok(values)
        };
        // A path given twice is the same archive twice.
        let archives: Vec<(&Path, f64, Vec<f64>)> = files
            .iter()
            .map(|file| {
                let values = sorted(file)?;
                let whole = if file.spec.has_cells() {
                    file.spec.capacity
                } else {
                    values.len()
                };
                Ok((file.path(), if share { whole.max(1) as f64 } else { 1.0 }, values))
            })
            .collect::<Result<_>>()?;
        let of = |path: &str| archives.iter().find(|(known, ..)| known.display().to_string() == path);
        let all: Vec<f64> = archives.iter().flat_map(|(.., values)| values).copied().collect();
        let fitness = places(all, range);
        if fitness.is_empty() {
            return Err(Error::input(match files {
                [file] => format!(
                    "{}: the archive is empty: there is no fitness to count",
                    file.path().display()
                ),
                _ => "all archives are empty: there is no fitness to count".into(),
            }));
        }
        let curve = |group: &Group| {
            let runs: Vec<_> = group.runs.iter().filter_map(|run| of(&run.path)).collect();
            let around = band.of_runs(runs.len());
            let at = |x: f64| {
                runs.iter()
                    .map(|(_, whole, values)| at_least(values, x) as f64 / whole)
                    .collect()
            };
            Curve {
                elites: runs.iter().map(|(.., values)| values.len()).collect(),
                beyond: runs.iter().any(|(.., values)| values.last() > fitness.last()),
                points: fitness.iter().map(|x| around.of(at(*x))).collect(),
            }
        };
        Ok(Exceedance {
            curves: comparison.groups.iter().map(curve).collect(),
            comparison,
            fitness,
            share,
        })
    }
}

/// Where curves are known: at every value of fitness, or at places between the lowest and the highest if these are many or a range is asked for.
fn places(mut values: Vec<f64>, range: Option<[f64; 2]>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values.dedup();
    let [low, high] = match (range, &values[..]) {
        (Some(range), [_, ..]) => range,
        (None, [only]) => return vec![*only],
        (None, [low, .., high]) if values.len() > DISTINCT => [*low, *high],
        _ => return values,
    };
    (0..PLACES)
        .map(|i| low + (high - low) * i as f64 / (PLACES - 1) as f64)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elites_count_that_are_at_least_so_fit() {
        let sorted = [1.0, 2.0, 2.0, 5.0];
        assert_eq!(
            [0.0, 1.0, 1.5, 2.0, 2.1, 5.0, 5.1].map(|x| at_least(&sorted, x)),
            [4, 4, 3, 3, 1, 1, 0]
        );
        assert_eq!(at_least(&[], 0.0), 0);
    }

    #[test]
    fn curves_are_known_at_every_fitness_or_at_many_places() {
        assert_eq!(places(vec![3.0, 1.0, 3.0], None), [1.0, 3.0]);
        assert_eq!(places(vec![7.0, 7.0], None), [7.0]);
        assert!(places(Vec::new(), None).is_empty() && places(Vec::new(), Some([0.0, 1.0])).is_empty());
        let many = places((0..5000).map(f64::from).collect(), None);
        assert_eq!((many.len(), many[0], many[PLACES - 1]), (PLACES, 0.0, 4999.0));
        let asked = places(vec![3.0], Some([0.0, 10.0]));
        assert_eq!((asked.len(), asked[0], asked[PLACES - 1]), (PLACES, 0.0, 10.0));
    }
}
