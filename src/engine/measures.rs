//! What a task measures beside fitness, over a run: sums so far, and shares of a generation.

use illume_core::{Batch, Measure, Measured, Result, Status};

/// The measures of a run's task. Tests are left out of the history, as they are of evaluations and steps.
#[derive(Debug, Clone)]
pub(crate) struct Measures {
    spec: Vec<Measured>,
    /// As the history has them after the last generation; of sums, the present generation included.
    values: Vec<f64>,
    /// Of the present generation: the sum over its rows that are ok.
    sums: Vec<f64>,
    /// How many these are.
    rows: u64,
    /// Sums since this process began, tests included.
    worked: Vec<f64>,
}

impl Measures {
    pub fn new(spec: &[Measured]) -> Measures {
        let initial = |m: &Measured| match m.kind {
            Measure::Sum => 0.0,
            Measure::Share => f64::NAN,
        };
        Measures {
            spec: spec.to_vec(),
            values: spec.iter().map(initial).collect(),
            sums: vec![0.0; spec.len()],
            rows: 0,
            worked: vec![0.0; spec.len()],
        }
    }

    /// Goes on from a history that ends with the present generation; what it lacks is unknown.
    pub fn load(&mut self, history: &Batch) {
        let last = |m: &Measured| history.get::<f64>(m.name).ok()?.last().copied();
        if history.rows() > 0 {
            self.values = self.spec.iter().map(|m| last(m).unwrap_or(f64::NAN)).collect();
        }
    }

    /// Adds evaluated rows, of which `tests` only test.
    ///
    /// # Errors
    /// A column is missing.
    pub fn add(&mut self, rows: &Batch, tests: &std::ops::Range<usize>) -> Result<()> {
        let width = self.spec.len();
        if width == 0 {
            return Ok(());
        }
        let (status, measures) = (rows.get::<u8>("status")?, rows.get::<f64>("measures")?);
        for (row, (status, own)) in status.iter().zip(measures.chunks_exact(width)).enumerate() {
            self.worked.iter_mut().zip(own).for_each(|(sum, x)| *sum += x);
            if tests.contains(&row) {
                continue;
            }
            for (value, (m, x)) in self.values.iter_mut().zip(self.spec.iter().zip(own)) {
                if m.kind == Measure::Sum {
                    *value += x;
                }
            }
            if *status == Status::Ok as u8 {
                self.sums.iter_mut().zip(own).for_each(|(sum, x)| *sum += x);
                self.rows += 1;
            }
        }
        Ok(())
    }

    pub fn generation_over(&mut self) {
        let rows = std::mem::take(&mut self.rows) as f64;
        for ((value, sum), m) in self.values.iter_mut().zip(&mut self.sums).zip(&self.spec) {
            if m.kind == Measure::Share {
                *value = *sum / rows;
            }
            *sum = 0.0;
        }
    }

    /// Each with its value in the history.
    pub fn values(&self) -> impl Iterator<Item = (&Measured, f64)> {
        self.spec.iter().zip(self.values.iter().copied())
    }

    /// Each sum since this process began, tests included.
    pub fn worked(&self) -> impl Iterator<Item = (&Measured, f64)> {
        let all = self.spec.iter().zip(self.worked.iter().copied());
        all.filter(|(m, _)| m.kind == Measure::Sum)
    }

    /// What is to be said of the last generation, because a share has reached what it should stay below.
    pub fn caution(&self) -> Option<&str> {
        self.values().find_map(|(m, value)| {
            let (limit, sentence) = m.caution.as_ref()?;
            (value >= *limit).then_some(sentence.as_str())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> [Measured; 2] {
        [
            Measured {
                name: "tokens",
                unit: "tokens",
                description: "",
                kind: Measure::Sum,
                caution: None,
            },
            Measured {
                name: "cut_off",
                unit: "",
                description: "",
                kind: Measure::Share,
                caution: Some((0.75, "cut".into())),
            },
        ]
    }

    fn rows(status: &[u8], measures: &[f64]) -> Batch {
        let mut rows = Batch::new();
        rows.push("status", 1, "", "", status.to_vec());
        rows.push("measures", 2, "", "", measures.to_vec());
        rows
    }

    fn values(m: &Measures) -> Vec<f64> {
        m.values().map(|(_, value)| value).collect()
    }

    #[test]
    fn sums_go_on_and_shares_are_of_the_last_generation() {
        let mut m = Measures::new(&spec());
        assert!(values(&m)[0] == 0.0 && values(&m)[1].is_nan());
        m.add(&rows(&[0, 0], &[10.0, 1.0, 20.0, 0.0]), &(2..2)).unwrap();
        // A second phase of the same generation: its last row is a test, and one before it failed.
        let second = [5.0, 1.0, 7.0, 1.0, 100.0, 0.0];
        m.add(&rows(&[0, Status::Failed as u8, 0], &second), &(2..3)).unwrap();
        m.generation_over();
        assert_eq!(values(&m), [42.0, 2.0 / 3.0]);
        assert_eq!(m.caution(), None);
        assert_eq!(m.worked().map(|(_, sum)| sum).collect::<Vec<_>>(), [142.0]);
        m.add(&rows(&[0], &[1.0, 0.75]), &(1..1)).unwrap();
        m.generation_over();
        assert_eq!(values(&m), [43.0, 0.75]);
        assert_eq!(m.caution(), Some("cut"));
    }

    #[test]
    fn a_history_that_is_older_than_a_column_leaves_it_unknown() {
        let mut history = Batch::new();
        history.push("tokens", 1, "", "", vec![3.0, 8.0]);
        let mut m = Measures::new(&spec());
        m.load(&history);
        assert!(values(&m)[0] == 8.0 && values(&m)[1].is_nan());
        m.load(&Batch::new());
        assert_eq!(values(&m)[0], 8.0, "no history says nothing");
    }
}
