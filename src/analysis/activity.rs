//! What the operators of a run have given its archive, over its generations.

use illume_archives::file::ArchiveFile;
use illume_core::{Error, Result};

use crate::analysis::compare::spoken;

/// Stretches of generations of which means are taken.
const STRETCHES: usize = 120;
/// Columns of histories that count by operator.
const KEPT: &str = "kept_";

/// Numbers of elites by what made them, generation by generation or over stretches of these.
#[derive(Debug, Clone, PartialEq)]
pub struct Activity {
    /// What is counted.
    pub meaning: String,
    /// Names in the order of their numbers.
    pub names: Vec<String>,
    /// First generation of each stretch, from 1, and behind the last one the end; `[stretches + 1]`.
    pub edges: Vec<f64>,
    /// `[names, stretches]`.
    pub values: Vec<Vec<f64>>,
}

impl Activity {
    /// From the history, where it says how many candidates of each operator became elites, or how many found new cells and improved others; else from the elites that are
    /// left, by the generations in which they were found.
    ///
    /// # Errors
    /// Neither: an archive without elites.
    pub fn of(file: &ArchiveFile) -> Result<Activity> {
        let history = &file.history;
        let column = |name: &str| history.get::<f64>(name).ok().map(<[f64]>::to_vec);
        let kept = history.columns().iter().filter_map(|c| {
            let name = c.name.strip_prefix(KEPT)?;
            Some((spoken(name), column(&c.name)?))
        });
        let mut series: Vec<(String, Vec<f64>)> = kept.collect();
        let mut meaning = "candidates that became elites, a generation";
        if series.is_empty()
            && let (Some(new), Some(improved)) = (column("new"), column("improved"))
        {
            series = vec![
                ("in a new cell".into(), new),
                ("better than the elite of its cell".into(), improved),
            ];
        }
        if let (Some(generations), false) = (column("generation").filter(|g| !g.is_empty()), series.is_empty()) {
            return Ok(mean_over_stretches(meaning, &generations, series));
        }
        meaning = "elites of the archive by the generation that found them";
        let generations = file.elites.get::<i64>("generation")?;
        let operators = file.elites.get::<i32>("operator")?;
        if generations.is_empty() {
            return Err(Error::input(format!(
                "{}: the archive is empty and its history says nothing of operators, so there is nothing to draw",
                file.path().display()
            )));
        }
        let names: Vec<String> = file.attributes.operators.iter().map(|name| spoken(name)).collect();
        Ok(found_in_stretches(
            meaning,
            file.attributes.generation,
            names,
            generations,
            operators,
        ))
    }
}

/// Means over rows of a history, whose generations count from 1.
fn mean_over_stretches(meaning: &str, generations: &[f64], series: Vec<(String, Vec<f64>)>) -> Activity {
    let rows = generations.len();
    let each = rows.div_ceil(STRETCHES);
    let starts: Vec<usize> = (0..rows).step_by(each).collect();
    let mean = |values: &[f64]| {
        let known: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
        if known.is_empty() {
            0.0
        } else {
            known.iter().sum::<f64>() / known.len() as f64
        }
    };
    let mut edges: Vec<f64> = starts.iter().map(|row| generations[*row]).collect();
    edges.push(generations[rows - 1] + 1.0);
    let (names, values) = series
        .into_iter()
        .map(|(name, values)| (name, values.chunks(each).map(mean).collect::<Vec<f64>>()))
        .unzip();
    Activity {
        meaning: if each > 1 {
            format!("{meaning}, means over {each} rows of the history")
        } else {
            meaning.into()
        },
        names,
        edges,
        values,
    }
}

/// Counts of elites that were found in generations from 0 to below `end`.
fn found_in_stretches(meaning: &str, end: u64, names: Vec<String>, generations: &[i64], operators: &[i32]) -> Activity {
    let last = generations.iter().copied().max().unwrap_or(0).max(0) as u64;
    let end = end.max(last + 1) as usize;
    let each = end.div_ceil(STRETCHES);
    let stretches = end.div_ceil(each);
    let mut values = vec![vec![0.0; stretches]; names.len()];
    for (generation, operator) in generations.iter().zip(operators) {
        if let Some(counts) = values.get_mut(*operator as usize) {
            counts[(*generation).max(0) as usize / each] += 1.0;
        }
    }
    let mut edges: Vec<f64> = (0..stretches).map(|i| (i * each + 1) as f64).collect();
    edges.push((end + 1) as f64);
    Activity {
        meaning: if each > 1 {
            format!("{meaning}, by stretches of {each}")
        } else {
            meaning.into()
        },
        names,
        edges,
        values,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_history_means_over_stretches_are_shown() {
        let short = mean_over_stretches("m", &[1.0, 2.0], vec![("a".into(), vec![3.0, f64::NAN])]);
        assert_eq!((short.edges, short.values), (vec![1.0, 2.0, 3.0], vec![vec![3.0, 0.0]]));
        let generations: Vec<f64> = (1..=240).map(f64::from).collect();
        let long = mean_over_stretches("m", &generations, vec![("a".into(), generations.clone())]);
        assert_eq!((long.edges.len(), long.edges[1], long.edges[120]), (121, 3.0, 241.0));
        assert_eq!((long.values[0][0], long.values[0][119]), (1.5, 239.5));
        assert!(long.meaning.contains("2 rows"));
    }

    #[test]
    fn elites_are_counted_where_they_were_found() {
        let names = vec!["random".to_string(), "iso".to_string()];
        let found = found_in_stretches("m", 3, names, &[0, 2, 2, 1], &[0, 1, 1, 0]);
        assert_eq!(found.edges, [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(found.values, [[1.0, 1.0, 0.0], [0.0, 0.0, 2.0]]);
        // An operator of no name counts nowhere.
        assert_eq!(found_in_stretches("m", 1, Vec::new(), &[0], &[7]).values.len(), 0);
    }
}
