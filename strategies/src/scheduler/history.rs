//! What the history shows of a strategy of emitters.

use illume_core::{Error, InsertReport, Outcome, Result, Status, Told};

use super::RANDOM;
use crate::emitters::{Column, Emitter, Merge};

/// What became of an operator's candidates.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Operator {
    /// Those of this generation that are elites now.
    kept: f64,
    /// Mean fitness of those that are ok.
    fitness: f64,
}

/// The last generation, as the history shows it.
#[derive(Debug)]
pub(super) struct Shown {
    /// Names of the operators; empty if they are not shown.
    names: Vec<String>,
    operators: Vec<Operator>,
    /// Candidates that found an empty cell and those that exceeded what was to be exceeded, if that is shown.
    outcomes: Option<[f64; 2]>,
    /// The emitters' columns: its name there, and whose values are merged: (emitter, column).
    merged: Vec<(Column, Vec<(usize, usize)>)>,
}

impl Shown {
    pub fn new(emitters: &[Box<dyn Emitter>], outcomes: bool, operators: Option<&[&str]>) -> Shown {
        let names: Vec<String> = operators.unwrap_or_default().iter().map(ToString::to_string).collect();
        let mut merged: Vec<(Column, Vec<(usize, usize)>)> = Vec::new();
        for (emitter, columns) in emitters.iter().map(|e| e.columns()).enumerate() {
            for (i, column) in columns.into_iter().enumerate() {
                match merged.iter_mut().find(|(known, _)| known.name == column.name) {
                    Some((_, from)) => from.push((emitter, i)),
                    None => merged.push((column, vec![(emitter, i)])),
                }
            }
        }
        Shown {
            operators: vec![
                Operator {
                    kept: 0.0,
                    fitness: 0.0
                };
                names.len()
            ],
            names,
            outcomes: outcomes.then_some([f64::NAN; 2]),
            merged,
        }
    }

    /// The columns: (name, unit, description).
    pub fn columns(&self) -> Vec<(String, String, String)> {
        let mut columns = Vec::new();
        let mut add = |name: String, unit: &str, meaning: String| columns.push((name, unit.to_string(), meaning));
        for name in &self.names {
            let meaning = format!("candidates of this generation by operator {name} that became elites");
            add(format!("kept_{name}"), "", meaning);
        }
        // Nothing was made of random policies: the mean says nothing of how well.
        for name in self.names.iter().filter(|name| *name != RANDOM) {
            let meaning = format!("mean fitness of this generation's candidates by operator {name}");
            add(format!("fitness_{name}"), "", meaning);
        }
        if self.outcomes.is_some() {
            add(
                "new".into(),
                "",
                "candidates of this generation that found an empty cell".into(),
            );
            add(
                "improved".into(),
                "",
                "candidates that exceeded their cell's elite, or its threshold".into(),
            );
        }
        for (column, _) in &self.merged {
            add(column.name.into(), column.unit, column.meaning.into());
        }
        columns
    }

    /// Looks at a phase of a generation.
    ///
    /// # Errors
    /// A column is missing.
    pub fn take(&mut self, told: &Told<'_>, report: &InsertReport, phase: usize) -> Result<()> {
        let operators = told.rows.get::<i32>("operator")?;
        let (status, fitness) = (told.rows.get::<u8>("status")?, told.rows.get::<f64>("fitness")?);
        if let (0, Some(outcomes)) = (phase, &mut self.outcomes) {
            let count = |outcome: Outcome| report.outcome.iter().filter(|o| **o == outcome as u8).count() as f64;
            *outcomes = [count(Outcome::New), count(Outcome::Improved)];
        }
        for (number, shown) in self.operators.iter_mut().enumerate() {
            let is = |row: &usize| operators[*row] as usize == number;
            let ok = |row: &usize| status[*row] == Status::Ok as u8;
            if phase == 0 {
                let kept = report.kept.iter().map(|row| *row as usize);
                shown.kept = kept.filter(is).count() as f64;
            } else if !(0..operators.len()).any(|row| is(&row)) {
                continue;
            }
            let (mut sum, mut count) = (0.0, 0);
            for row in (0..operators.len()).filter(is).filter(ok) {
                sum += fitness[row];
                count += 1;
            }
            shown.fitness = sum / f64::from(count);
        }
        Ok(())
    }

    /// What is shown of the scheduler's own, in the order of the columns.
    fn own(&self) -> Vec<f64> {
        let kept = self.operators.iter().map(|operator| operator.kept);
        let made = self
            .names
            .iter()
            .zip(&self.operators)
            .filter(|(name, _)| *name != RANDOM);
        let fitness = made.map(|(_, operator)| operator.fitness);
        kept.chain(fitness).chain(self.outcomes.into_iter().flatten()).collect()
    }

    /// The values of all columns.
    pub fn values(&self, emitters: &[Box<dyn Emitter>], row: &mut Vec<f64>) {
        row.extend(self.own());
        let values: Vec<Vec<f64>> = emitters.iter().map(|e| e.values()).collect();
        for (column, from) in &self.merged {
            let mut of = from.iter().map(|(emitter, i)| values[*emitter][*i]);
            row.push(match column.of_several {
                Merge::Sum => of.sum(),
                Merge::Median => {
                    let mut sorted: Vec<f64> = of.by_ref().collect();
                    sorted.sort_by(f64::total_cmp);
                    sorted[sorted.len() / 2]
                }
            });
        }
    }

    /// The values that nothing else gives again.
    pub fn remembered(&self, emitters: &[Box<dyn Emitter>]) -> Vec<f64> {
        let emitters = emitters.iter().flat_map(|e| e.remembered());
        self.own().into_iter().chain(emitters).collect()
    }

    /// Takes them back.
    ///
    /// # Errors
    /// Those of another strategy.
    pub fn remember(&mut self, emitters: &mut [Box<dyn Emitter>], values: &[f64]) -> Result<()> {
        if values.len() != self.remembered(emitters).len() {
            return Err(Error::failed("the checkpoint's row of history has another length"));
        }
        let mut values = values.iter().copied();
        let mut next = || values.next().unwrap_or(f64::NAN);
        self.operators.iter_mut().for_each(|operator| operator.kept = next());
        let made = self
            .names
            .iter()
            .zip(&mut self.operators)
            .filter(|(name, _)| *name != RANDOM);
        made.for_each(|(_, operator)| operator.fitness = next());
        self.outcomes.iter_mut().flatten().for_each(|outcome| *outcome = next());
        for emitter in emitters {
            let own: Vec<f64> = emitter.remembered().iter().map(|_| next()).collect();
            emitter.remember(&own);
        }
        Ok(())
    }
}
