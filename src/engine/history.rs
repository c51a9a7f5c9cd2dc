//! The history of a run: one row a generation, thinned evenly when it grows too long.

use std::fmt::Write as _;

use illume_core::{Batch, Error, Measured, Result};

/// Rows of the run's metrics; generation numbers are of finished generations, from 1.
///
/// When `limit` rows are reached, every second one is dropped and from then on only every second generation is recorded, so a run
/// of any length keeps between half and all of `limit` rows, evenly spaced. The last generation is always there.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// (name, unit, description).
    columns: Vec<(String, String, String)>,
    rows: Vec<Vec<f64>>,
    limit: usize,
    every: u64,
}

const COMMON: [(&str, &str, &str); 13] = [
    ("generation", "", "finished generations"),
    ("evaluations", "", "evaluations so far, validation included, tests not"),
    ("wall_seconds", "s", "time since the start, resumed parts added"),
    (
        "qd_score",
        "",
        "sum over filled cells of fitness + offset; none without cells",
    ),
    ("coverage", "", "share of cells that are filled; none without cells"),
    ("max_fitness", "", "highest fitness in the archive"),
    ("mean_fitness", "", "mean fitness in the archive"),
    ("filled", "", "filled cells, or members of an unstructured archive"),
    ("env_steps", "steps", "environment steps so far"),
    ("frames", "frames", "frames of the simulator so far"),
    ("invalid", "", "evaluations so far that failed or were not finite"),
    ("outside", "", "descriptors so far outside the archive's bounds"),
    (
        "idle_share",
        "",
        "share of rank 0's threads' time in this generation's evaluations in which they had no work",
    ),
];

/// What a sweep's tables say of each run beside the columns of its history (`src/sweep/collect.rs`).
const OF_SWEEPS: [&str; 8] = [
    "id",
    "configuration",
    "variant",
    "seed",
    "status",
    "stage",
    "error",
    "stderr",
];

impl History {
    /// An empty history with the common columns, those of what the task measures, and the strategy's own.
    pub fn new(measured: &[Measured], own: &[(String, String, String)], limit: usize) -> History {
        let common = COMMON
            .iter()
            .map(|(a, b, c)| (a.to_string(), b.to_string(), c.to_string()));
        let measured = measured
            .iter()
            .map(|m| (m.name.to_string(), m.unit.to_string(), m.description.to_string()));
        History {
            columns: common.chain(measured).chain(own.iter().cloned()).collect(),
            rows: Vec::new(),
            limit,
            every: 1,
        }
    }

    /// Refuses columns of which tables would have two.
    ///
    /// # Errors
    /// A task or strategy that calls a column as another one is called, of the history or of a sweep's tables.
    pub fn refuse_twins(&self) -> Result<()> {
        let mut known: Vec<&str> = OF_SWEEPS.to_vec();
        for name in self.names() {
            if known.contains(&name) {
                return Err(Error::failed(format!(
                    "a column that task or strategy adds to the history is called \"{name}\", as another one there or in a sweep's tables: expected another name"
                )));
            }
            known.push(name);
        }
        Ok(())
    }

    /// Its columns' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, ..)| name.as_str())
    }

    /// Whether the row of this generation is kept when a later one follows.
    pub fn keeps(&self, generation: u64) -> bool {
        generation.is_multiple_of(self.every)
    }

    /// Adds the row of a generation (its first value).
    pub fn push(&mut self, row: Vec<f64>) {
        debug_assert_eq!(row.len(), self.columns.len());
        self.drop_passing();
        self.rows.push(row);
        while self.rows.len() > self.limit {
            self.every *= 2;
            let last = self.rows.len() - 1;
            let every = self.every;
            let mut i = 0;
            self.rows.retain(|row| {
                i += 1;
                (row[0] as u64).is_multiple_of(every) || i - 1 == last
            });
        }
    }

    /// Drops a last row that was only there because it was the last.
    fn drop_passing(&mut self) {
        if self.rows.last().is_some_and(|r| !self.keeps(r[0] as u64)) {
            self.rows.pop();
        }
    }

    /// Its rows, `[columns]` each.
    pub fn rows(&self) -> impl Iterator<Item = &[f64]> {
        self.rows.iter().map(Vec::as_slice)
    }

    pub fn last(&self) -> Option<&[f64]> {
        self.rows.last().map(Vec::as_slice)
    }

    /// Generations between rows.
    pub fn every(&self) -> u64 {
        self.every
    }

    /// As a table.
    pub fn batch(&self) -> Batch {
        let mut batch = Batch::new();
        for (i, (name, unit, description)) in self.columns.iter().enumerate() {
            batch.push(name, 1, unit, description, self.rows.iter().map(|r| r[i]).collect());
        }
        batch
    }

    /// Goes back to a saved history. Values of columns that it lacks, being older than they are, are unknown.
    ///
    /// # Errors
    /// The common columns are missing, or their interval.
    pub fn load(&mut self, batch: &Batch, every: u64) -> Result<()> {
        for (name, ..) in COMMON {
            batch.get::<f64>(name)?;
        }
        let columns: Vec<Option<&[f64]>> = self.columns.iter().map(|(name, ..)| batch.get(name).ok()).collect();
        if every == 0 {
            return Err(Error::failed("the checkpoint's history has no interval"));
        }
        self.rows = (0..batch.rows())
            .map(|i| columns.iter().map(|c| c.map_or(f64::NAN, |c| c[i])).collect())
            .collect();
        self.every = every;
        Ok(())
    }

    /// As comma-separated values with a header; an unknown value is empty.
    pub fn csv(&self) -> String {
        let names: Vec<&str> = self.names().collect();
        let mut text = names.join(",") + "\n";
        for row in &self.rows {
            let values: Vec<String> = row
                .iter()
                .map(|v| if v.is_nan() { String::new() } else { v.to_string() })
                .collect();
            let _ = writeln!(text, "{}", values.join(","));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(history: &mut History, generations: std::ops::RangeInclusive<u64>) {
        for g in generations {
            let mut row = vec![0.5; 13];
            row[0] = g as f64;
            history.push(row);
        }
    }

    fn generations(history: &History) -> Vec<u64> {
        history.rows.iter().map(|r| r[0] as u64).collect()
    }

    #[test]
    fn no_two_columns_have_one_name_and_none_that_of_a_sweeps_own() {
        let own = |name: &str| vec![(name.to_string(), String::new(), String::new())];
        assert!(History::new(&[], &own("loss"), 8).refuse_twins().is_ok());
        // Tables of sweeps could not be written: two of one name.
        for taken in ["stage", "seed", "coverage"] {
            let refused = History::new(&[], &own(taken), 8).refuse_twins().unwrap_err();
            assert!(refused.to_string().contains(taken), "{refused}");
        }
    }

    #[test]
    fn a_long_history_is_thinned_evenly_and_keeps_its_last_row() {
        let mut h = History::new(&[], &[], 8);
        fill(&mut h, 1..=8);
        assert_eq!(generations(&h), [1, 2, 3, 4, 5, 6, 7, 8]);
        fill(&mut h, 9..=9);
        assert_eq!(generations(&h), [2, 4, 6, 8, 9]);
        fill(&mut h, 10..=10);
        assert_eq!(generations(&h), [2, 4, 6, 8, 10]);
        fill(&mut h, 11..=1001);
        let g = generations(&h);
        assert!(g.len() <= 8 && g.len() >= 4 && g.ends_with(&[1001]), "{g:?}");
        assert!(g[..g.len() - 1].windows(2).all(|w| w[1] - w[0] == h.every));
    }

    #[test]
    fn a_history_continued_from_its_file_is_the_undisturbed_one() {
        let mut whole = History::new(&[], &[], 8);
        fill(&mut whole, 1..=100);
        for stop in [1, 7, 9, 50, 99] {
            let mut first = History::new(&[], &[], 8);
            fill(&mut first, 1..=stop);
            let mut second = History::new(&[], &[], 8);
            second.load(&first.batch(), first.every()).unwrap();
            fill(&mut second, stop + 1..=100);
            assert_eq!(second, whole);
        }
    }

    #[test]
    fn a_column_that_is_younger_than_a_file_is_unknown_there() {
        let mut old = History::new(&[], &[], 8);
        fill(&mut old, 1..=2);
        let own = [("gap".to_string(), String::new(), "new".to_string())];
        let mut new = History::new(&[], &own, 8);
        new.load(&old.batch(), old.every()).unwrap();
        assert_eq!(generations(&new), [1, 2]);
        assert!(new.rows.iter().all(|row| row.len() == 14 && row[13].is_nan()));
        let error = new.load(&Batch::new(), 1).unwrap_err().to_string();
        assert!(error.contains("generation"), "{error}");
    }
}
