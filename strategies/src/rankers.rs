//! By what an emitter's candidates are ordered: the rankers of pyribs (0.12.0, `ribs/emitters/rankers.py`), which are the emitters of CMA-ME (Fontaine et al., 'Covariance
//! matrix adaptation for the rapid illumination of behavior space', GECCO 2020, <https://arxiv.org/abs/1912.02400>) and CMA-MAE, and for archives without cells those of
//! novelty search and of novelty search with local competition (Lehman and Stanley 2011).

use crate::emitters::LivesOn;
use illume_core::toml::{self, Table};
use illume_core::{Axis, Batch, Error, InsertReport, Result, Status, Stream};
use illume_numerics::fronts::{Points, by_fronts};

/// What counts as better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    /// Fitness: the optimizing emitter.
    Fitness,
    /// Fitness beyond what had to be exceeded.
    Improvement,
    /// The descriptor along a direction that is drawn anew at every restart.
    Direction,
    /// Novelty.
    Novelty,
    /// Fronts of novelty and local competition.
    Fronts,
}

/// An order of candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ranker {
    value: By,
    /// New cells first, then improved ones, then the rest, each by its value.
    two_stage: bool,
}

/// All, by their names in a configuration.
pub(crate) const NAMES: [&str; 8] = [
    "two_stage_improvement",
    "improvement",
    "two_stage_random_direction",
    "random_direction",
    "two_stage_fitness",
    "fitness",
    "novelty",
    "novelty_local_competition",
];

/// Whether the `rankers` of an emitter's table name one that orders by novelty.
pub(crate) fn any_by_novelty(emitter: &Table) -> bool {
    let names = emitter.get("rankers").and_then(toml::Value::as_array);
    names.is_some_and(|names| {
        let known = names.iter().filter_map(|name| Ranker::new(name.as_str()?).ok());
        known.map(Ranker::lives_on).any(|lives_on| lives_on == LivesOn::Novelty)
    })
}

/// A generation of an emitter in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ranked {
    /// The emitter's rows, counted in their order, best first; rows that are not ok come last.
    pub order: Vec<usize>,
    /// Of those rows, how many the archive took.
    pub taken: usize,
    /// Best and worst of those that are ok are the same to the ranker: nothing tells candidates from one another.
    pub flat: bool,
}

/// Values nearer than this are the same (`_cma_es.py:157-162`).
const FLAT: f64 = 1e-12;

impl Ranker {
    /// # Errors
    /// No ranker has this name.
    pub fn new(name: &str) -> Result<Ranker> {
        let (two_stage, value) = match name.strip_prefix("two_stage_") {
            Some(rest) => (true, rest),
            None => (false, name),
        };
        let value = match value {
            "fitness" => By::Fitness,
            "improvement" => By::Improvement,
            "random_direction" => By::Direction,
            "novelty" if !two_stage => By::Novelty,
            "novelty_local_competition" if !two_stage => By::Fronts,
            _ => {
                let message = format!("expected rankers of {}, got {name:?}", NAMES.join(", "));
                return Err(Error::config("strategy", "rankers", message));
            }
        };
        Ok(Ranker { value, two_stage })
    }

    /// Whether it asks how candidates compete with their neighbours.
    pub fn needs_competition(self) -> bool {
        self.value == By::Fronts
    }

    /// What it asks of an archive.
    pub fn lives_on(self) -> LivesOn {
        match self.value {
            By::Fitness | By::Direction => LivesOn::Any,
            By::Improvement => LivesOn::Cells,
            By::Novelty | By::Fronts => LivesOn::Novelty,
        }
    }

    /// Whether it orders by a direction.
    pub fn has_direction(self) -> bool {
        self.value == By::Direction
    }

    /// Orders the rows of an emitter, whose numbers in a generation's table are `rows`; `direction` is of [`direction`]. Of equals the last comes first, as in pyribs: where the archive judges
    /// one after another, those that come late and are new to it lie where none before them does.
    ///
    /// # Errors
    /// A column is missing.
    pub fn rank(self, table: &Batch, report: &InsertReport, rows: &[usize], direction: &[f64]) -> Result<Ranked> {
        let (status, fitness) = (table.get::<u8>("status")?, table.get::<f64>("fitness")?);
        let (descriptor, k) = (table.get::<f64>("descriptor")?, direction.len());
        let key = |row: usize| -> [f64; 2] {
            let value = match self.value {
                By::Novelty => report.novelty[row],
                By::Fronts => return [report.novelty[row], f64::from(report.competition[row])],
                By::Fitness => fitness[row],
                By::Improvement => report.gain[row],
                By::Direction => (descriptor[row * k..].iter().zip(direction)).map(|(d, x)| d * x).sum(),
            };
            let stage = if self.two_stage { report.outcome[row] } else { 0 };
            [f64::from(stage), value]
        };
        let ok = |own: &usize| status[rows[*own]] == Status::Ok as u8;
        let mut keyed: Vec<([f64; 2], usize)> = (0..rows.len()).filter(ok).map(|own| (key(rows[own]), own)).collect();
        if self.value == By::Fronts {
            let points: Vec<f64> = keyed.iter().flat_map(|(point, _)| *point).collect();
            keyed = by_fronts(&Points::new(&points, 2))
                .into_iter()
                .map(|i| keyed[i])
                .collect();
        } else {
            keyed.sort_by(|(a, i), (b, j)| b[0].total_cmp(&a[0]).then(b[1].total_cmp(&a[1])).then(j.cmp(i)));
        }
        let flat = match keyed.as_slice() {
            [(best, _), .., (worst, _)] => (best[0] - worst[0]).hypot(best[1] - worst[1]) < FLAT,
            _ => false,
        };
        let failed = (0..rows.len()).filter(|own| !ok(own));
        Ok(Ranked {
            order: keyed.iter().map(|(_, own)| *own).chain(failed).collect(),
            taken: rows.iter().filter(|row| report.took(**row)).count(),
            flat,
        })
    }
}

/// A direction in the descriptor space, in units of its axes' extents.
pub(crate) fn direction(stream: &Stream, axes: &[Axis]) -> Vec<f64> {
    let mut z = vec![0.0f32; axes.len()];
    stream.normals(0, &mut z);
    axes.iter()
        .zip(z)
        .map(|(axis, z)| (axis.upper - axis.lower) * f64::from(z))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use illume_core::Outcome;

    /// Status, outcome, fitness, gain and descriptor of six rows, of which the emitter has the last five.
    fn ranked(name: &str) -> Ranked {
        let mut rows = Batch::new();
        rows.push("status", 1, "", "", vec![0u8, 0, 0, 2, 0, 0]);
        rows.push("fitness", 1, "", "", vec![99.0, 1.0, 5.0, 0.0, 3.0, 4.0]);
        rows.push("descriptor", 1, "", "", vec![9.0, 0.5, 0.1, 0.0, 0.9, 0.3]);
        let outcome = [
            Outcome::New,
            Outcome::New,
            Outcome::Rejected,
            Outcome::Invalid,
            Outcome::Improved,
            Outcome::New,
        ];
        let report = InsertReport {
            outcome: outcome.map(|o| o as u8).to_vec(),
            gain: vec![99.0, 1.0, -2.0, 0.0, 0.5, 4.0],
            novelty: vec![9.0, 0.5, 2.0, f64::NAN, 1.0, 0.25],
            competition: vec![9, 0, 1, 0, 1, 3],
            ..InsertReport::default()
        };
        Ranker::new(name)
            .unwrap()
            .rank(&rows, &report, &[1, 2, 3, 4, 5], &[2.0])
            .unwrap()
    }

    #[test]
    fn candidates_are_ordered_by_stage_and_value_and_failed_ones_come_last() {
        for (name, order) in [
            ("fitness", [1, 4, 3, 0, 2]),
            ("improvement", [4, 0, 3, 1, 2]),
            ("random_direction", [3, 0, 4, 1, 2]),
            ("two_stage_fitness", [4, 0, 3, 1, 2]),
            ("two_stage_improvement", [4, 0, 3, 1, 2]),
            ("two_stage_random_direction", [0, 4, 3, 1, 2]),
            ("novelty", [1, 3, 0, 4, 2]),
            // The second and the last are dominated by none, then the fourth, then the first.
            ("novelty_local_competition", [1, 4, 3, 0, 2]),
        ] {
            let ranked = ranked(name);
            assert_eq!(
                (ranked.order.as_slice(), ranked.taken, ranked.flat),
                (&order[..], 3, false),
                "{name}"
            );
        }
        let mut rows = Batch::new();
        rows.push("status", 1, "", "", vec![0u8; 3]);
        rows.push("fitness", 1, "", "", vec![7.0, 8.0, 7.0]);
        rows.push("descriptor", 1, "", "", vec![0.0; 3]);
        let report = InsertReport {
            outcome: vec![0; 3],
            ..InsertReport::default()
        };
        let of_equals = Ranker::new("fitness").unwrap().rank(&rows, &report, &[0, 1, 2], &[1.0]);
        assert_eq!(of_equals.unwrap().order, [1, 2, 0], "of equals the last comes first");
        assert!(NAMES.iter().all(|name| Ranker::new(name).is_ok()));
        assert!(Ranker::new("two_stage_novelty").is_err(), "nobody has stages of it");
        let message = Ranker::new("two_stage_novel").unwrap_err().to_string();
        assert!(
            message.contains("two_stage_novel") && message.contains("random_direction"),
            "{message}"
        );
    }
}
