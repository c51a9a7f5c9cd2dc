//! The rules of selection, by cases small enough to be worked out by hand.

use super::*;
use crate::lineages::LineageParams;
use crate::testing::{NoArchive, Silent, task};

/// A strategy that is driven by fitness and novelty given by hand.
struct Driven {
    ga: GaNs,
    task: TaskSpec,
    generation: u64,
}

impl Driven {
    fn new() -> Driven {
        Driven::by(Order::Novelty)
    }

    fn by(order: Order) -> Driven {
        let params = GaNsParams {
            population: 5,
            parents: 2,
            sigma: 0.5,
            elites: 1,
        };
        let task = task(4, false);
        Driven {
            ga: GaNs::new(params, LineageParams::default(), &task, order),
            task,
            generation: 0,
        }
    }

    fn ask(&mut self) -> Candidates {
        let (mut candidates, comm) = (Candidates::default(), Silent(0, 1));
        let context = Context {
            seed: 3,
            generation: self.generation,
            task: &self.task,
            comm: &comm,
        };
        self.ga.ask(&context, &NoArchive, &mut candidates).unwrap();
        candidates
    }

    /// Asks, and tells (fitness, novelty) of each row; a NaN novelty is that of a row that failed.
    fn step(&mut self, scores: &[(f64, f64)]) -> Candidates {
        self.step_in_competition(scores, Vec::new())
    }

    /// The same with local competition.
    fn step_in_competition(&mut self, scores: &[(f64, f64)], competition: Vec<u32>) -> Candidates {
        let candidates = self.ask();
        assert_eq!(candidates.total, scores.len());
        let mut rows = Batch::new();
        let failed = |(_, novelty): &(f64, f64)| u8::from(novelty.is_nan()) * Status::Failed as u8;
        rows.push("status", 1, "", "", scores.iter().map(failed).collect());
        rows.push("fitness", 1, "", "", scores.iter().map(|s| s.0).collect());
        let steps = (0..scores.len() as u32).map(|row| 10 + row).collect();
        rows.push("steps", 1, "", "", steps);
        let report = InsertReport {
            novelty: scores.iter().map(|s| s.1).collect(),
            competition,
            ..InsertReport::default()
        };
        let told = Told {
            candidates: &candidates,
            rows: &rows,
            moments: &[],
            trajectories: &[],
            report: Some(&report),
            last: false,
        };
        let comm = Silent(0, 1);
        let context = Context {
            seed: 3,
            generation: self.generation,
            task: &self.task,
            comm: &comm,
        };
        assert_eq!(self.ga.tell(&context, &told).unwrap(), Next::Generation);
        self.generation += 1;
        candidates
    }

    fn parents(&self) -> Vec<u64> {
        self.ga.parents().iter().map(Individual::id).collect()
    }
}

const FIRST: [(f64, f64); 5] = [(9.0, 0.1), (1.0, 3.0), (2.0, f64::NAN), (3.0, 7.0), (4.0, 3.0)];

#[test]
fn parents_are_the_most_novel_whatever_they_are_worth() {
    let mut d = Driven::new();
    let candidates = d.step(&FIRST);
    assert!(candidates.crowd && candidates.offered == (0..5));
    assert_eq!(d.parents(), [stream_id(0, 3), stream_id(0, 1)], "of equals the first");
    assert_eq!(d.ga.row.values()[..2], [9.0, 9.0]);
    assert_eq!(
        d.ga.row.values_but(d.ga.absent)[2..],
        [(0.1 + 3.0 + 7.0 + 3.0) / 4.0, 7.0]
    );
}

#[test]
fn the_elite_is_measured_again_and_not_offered_again() {
    let mut d = Driven::new();
    d.step(&FIRST);
    let again = [(0.0, 1.0), (0.0, 2.0), (0.0, 4.0), (0.0, 1.0), (0.0, 1.0), (5.0, 3.0)];
    let candidates = d.step(&again);
    assert_eq!((candidates.total, candidates.offered.clone()), (6, 0..5));
    assert_eq!(candidates.tags.get::<i32>("operator").unwrap(), [1, 1, 1, 1, 1, ELITE]);
    assert_eq!(candidates.expected_steps[5], 13, "as long as its first episode");
    assert!(candidates.expected_steps[..5].iter().all(|s| [13, 11].contains(s)));
    // It is now less novel than the best child, and before all others.
    assert_eq!(d.parents(), [stream_id(1, 2), stream_id(0, 3)]);
    let worn = [(0.0, 5.0), (0.0, 5.0), (0.0, 4.0), (0.0, 1.0), (0.0, 1.0), (0.0, 0.0)];
    d.step(&worn);
    assert_eq!(
        d.parents(),
        [stream_id(2, 0), stream_id(2, 1)],
        "novel no more, it makes way"
    );
}

#[test]
fn the_best_by_fitness_is_remembered_and_has_no_children_for_it() {
    let mut d = Driven::new();
    d.step(&FIRST);
    d.step(&[(9.0, 1.0), (8.0, 2.0), (0.0, 4.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0)]);
    let best = d.ga.best.as_ref().unwrap();
    assert_eq!((best.id(), best.score), (stream_id(0, 0), 9.0), "of equals the first");
    d.step(&[
        (9.5, 0.0),
        (8.0, 2.0),
        (0.0, 4.0),
        (0.0, 1.0),
        (99.0, f64::NAN),
        (0.0, 1.0),
    ]);
    let best = d.ga.best.as_ref().unwrap();
    assert_eq!(
        (best.id(), best.streams.len(), d.ga.row.best_fitness),
        (stream_id(2, 0), 3, 9.5)
    );
    assert!(!d.parents().contains(&stream_id(2, 0)));
}

#[test]
fn a_generation_in_which_all_failed_leaves_the_parents_as_they_were() {
    let mut d = Driven::new();
    d.step(&FIRST);
    let before = d.parents();
    d.step(&[(0.0, f64::NAN); 6]);
    assert_eq!(d.parents(), before);
    assert_eq!(d.ga.row.best_fitness, 9.0);
}

#[test]
fn with_local_competition_parents_are_of_the_first_fronts() {
    let mut d = Driven::by(Order::Fronts);
    // The most novel one beats nobody, the least novel one most; what lies between is dominated but for number 1.
    let scores = [(9.0, 0.1), (1.0, 3.0), (2.0, f64::NAN), (3.0, 7.0), (4.0, 2.9)];
    let candidates = d.step_in_competition(&scores, vec![9, 4, 0, 0, 4]);
    assert!(candidates.crowd && candidates.competition);
    assert_eq!(
        d.parents(),
        [stream_id(0, 0), stream_id(0, 3)],
        "the ends of the first front"
    );
    assert_eq!(
        d.ga.row.values(),
        [9.0, 9.0, (0.1 + 3.0 + 7.0 + 2.9) / 4.0, 7.0, (9.0 + 4.0 + 4.0) / 4.0]
    );
    assert!(
        !Driven::new().step(&FIRST).competition,
        "not asked for where nobody reads it"
    );
}
