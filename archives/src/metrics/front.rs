//! What elites of several objectives are worth together: the front of those that no other dominates, and its hypervolume.

use illume_core::{Batch, Objective};
use illume_numerics::fronts::{Equal, Points, hypervolume, non_dominated};

/// The front of a table of elites.
#[derive(Debug, Clone, PartialEq)]
pub struct FrontMetrics {
    /// Rows that no other dominates, each point once.
    pub rows: Vec<usize>,
    /// The best of each objective, and the worst of it on the front; `[objectives]`.
    pub ideal: Vec<f64>,
    pub nadir: Vec<f64>,
    /// Their objectives, `[rows, objectives]`.
    points: Vec<f64>,
}

/// What an exact hypervolume may take where it is measured in passing, and where it is asked for: points to the power of the objectives but two, of which a million take some 50 ms.
const IN_PASSING: f64 = 2e5;
const AT_MOST: f64 = 1e9;

impl FrontMetrics {
    /// Of elites with a column `objectives`, those of `rows` alone; none without several objectives or elites.
    pub fn of(elites: &Batch, rows: impl Iterator<Item = usize>, objectives: &[Objective]) -> Option<FrontMetrics> {
        let none_dominates = |points: &Points<'_>| non_dominated(points, Equal::First);
        FrontMetrics::by(elites, rows, objectives, none_dominates)
    }

    /// The same of rows that are known to be a front.
    pub fn of_front(
        elites: &Batch,
        rows: impl Iterator<Item = usize>,
        objectives: &[Objective],
    ) -> Option<FrontMetrics> {
        FrontMetrics::by(elites, rows, objectives, |points| (0..points.len()).collect())
    }

    fn by(
        elites: &Batch,
        rows: impl Iterator<Item = usize>,
        objectives: &[Objective],
        front: impl Fn(&Points<'_>) -> Vec<usize>,
    ) -> Option<FrontMetrics> {
        let m = objectives.len();
        elites.find("objectives").filter(|column| m > 1 && column.width == m)?;
        let all = Points::new(elites.get::<f64>("objectives").ok()?, m);
        let rows: Vec<usize> = rows.collect();
        let points = all.of(&rows);
        let points = Points::new(&points, m);
        let front = front(&points);
        if front.is_empty() {
            return None;
        }
        let kept = points.of(&front);
        let (ideal, nadir) = (Points::new(&kept, m).ideal(), Points::new(&kept, m).nadir());
        Some(FrontMetrics {
            rows: front.into_iter().map(|i| rows[i]).collect(),
            ideal,
            nadir,
            points: kept,
        })
    }

    /// Hypervolume from the objectives' references on; NaN where one is not known, or where it would take long.
    pub fn hypervolume(&self, objectives: &[Objective]) -> f64 {
        self.measured(objectives, AT_MOST)
    }

    /// The same for a history, which is to cost nothing: of four objectives up to some 400 points, of five 50.
    pub fn hypervolume_in_passing(&self, objectives: &[Objective]) -> f64 {
        self.measured(objectives, IN_PASSING)
    }

    fn measured(&self, objectives: &[Objective], most: f64) -> f64 {
        let m = objectives.len();
        let work = (self.rows.len() as f64).powi(m as i32 - 2);
        match objectives
            .iter()
            .map(Objective::reference)
            .collect::<Option<Vec<f64>>>()
        {
            Some(reference) if m <= 3 || work <= most => hypervolume(&Points::new(&self.points, m), &reference),
            _ => f64::NAN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elites(points: &[f64]) -> Batch {
        let mut elites = Batch::new();
        elites.push("objectives", 2, "", "", points.to_vec());
        elites
    }

    fn named(range: [f64; 2]) -> Vec<Objective> {
        vec![
            Objective::new("speed", "m/s", range),
            Objective::new("economy", "", range),
        ]
    }

    #[test]
    fn a_front_is_of_the_rows_that_are_there() {
        let table = elites(&[1.0, 3.0, 9.0, 9.0, 3.0, 1.0, 2.0, 0.5, 1.0, 3.0]);
        let front = FrontMetrics::of(&table, [0, 2, 3, 4].into_iter(), &named([0.0, 4.0])).unwrap();
        assert_eq!(front.rows, [0, 2]);
        assert_eq!(
            (front.ideal.clone(), front.nadir.clone()),
            (vec![3.0, 3.0], vec![1.0, 1.0])
        );
        assert_eq!(front.hypervolume(&named([0.0, 4.0])), 5.0);
        assert!(front.hypervolume(&named([f64::NAN, 4.0])).is_nan());
        assert!(FrontMetrics::of(&table, 0..0, &named([0.0, 4.0])).is_none());
        assert!(FrontMetrics::of(&table, 0..2, &[]).is_none());
        assert!(FrontMetrics::of(&Batch::new(), 0..0, &named([0.0, 4.0])).is_none());
    }

    #[test]
    fn what_takes_long_is_not_measured_in_passing() {
        let m = 8;
        let objectives = vec![Objective::new("x", "", [0.0, 1.0]); m];
        let mut table = Batch::new();
        let value = |row: usize, o: usize| match o {
            0 => row as f64 + 1.0,
            1 => 60.0 - row as f64,
            _ => 30.0,
        };
        let points = (0..60 * m).map(|i| value(i / m, i % m) / 100.0).collect();
        table.push("objectives", m, "", "", points);
        let front = FrontMetrics::of(&table, 0..60, &objectives).unwrap();
        assert!(front.rows.len() == 60 && front.hypervolume_in_passing(&objectives).is_nan());
    }
}
