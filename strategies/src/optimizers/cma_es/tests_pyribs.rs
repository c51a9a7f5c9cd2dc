//! The searches of `cma_me` and `cma_mae` beside pyribs 0.12.0, number by number: orders, means, step sizes, covariances and paths over 30 iterations.

use illume_core::{Batch, Context, InsertReport, Outcome};

use super::*;
use crate::optimizers::{Optimizer, Ranking};
use crate::rankers::Ranker;
use crate::testing::{Silent, task};

const DIM: usize = 5;
const BATCH: usize = 8;

#[test]
fn searches_move_as_in_pyribs() {
    let text = include_str!("../../../tests/data/pyribs.txt");
    let mut lines = text.lines().filter(|line| !line.starts_with('#')).peekable();
    let (task, comm) = (task(DIM, true), Silent(0, 1));
    let mut iterations = 0;
    while let Some(search) = lines.next() {
        let words: Vec<&str> = search.split(' ').collect();
        let &["search", ranker, selection] = words.as_slice() else {
            panic!("{search}")
        };
        let ranker = Ranker::new(if ranker == "imp" {
            "improvement"
        } else {
            "two_stage_improvement"
        })
        .unwrap();
        let start = Start {
            sigma: 0.5,
            zeros: true,
            number: 0,
            fold: None,
        };
        let begin = |genes: &[f64]| {
            let constants = Constants::full(DIM, BATCH, false).moved_as_pyribs(DIM);
            let mut distribution = Full::new(DIM, constants, start, 2.0, Factor::Eigenvectors);
            distribution.mean = genes.to_vec();
            distribution
        };
        let mut distribution = begin(&[0.0; DIM]);
        let mut generation = 0;
        while lines.peek().is_some_and(|line| line.starts_with("steps")) {
            let mut next = |name: &str| -> Vec<f64> {
                let words = lines.next().unwrap().strip_prefix(name).unwrap().split_whitespace();
                words.map(|word| word.parse().unwrap()).collect()
            };
            let (steps, rows) = (next("steps"), next("rows"));
            let (report, order, after) = (next("report"), next("order"), next("after"));
            let context = Context {
                seed: 0,
                generation,
                task: &task,
                comm: &comm,
            };
            distribution.refresh().unwrap();
            distribution.set_steps(&steps);
            let mut table = Batch::new();
            table.push("status", 1, "", "", vec![0u8; BATCH]);
            table.push("fitness", 1, "", "", rows[..BATCH].to_vec());
            table.push("descriptor", 2, "", "", rows[BATCH..].to_vec());
            let outcome = |status: &f64| match *status as u8 {
                0 => Outcome::Rejected as u8,
                1 => Outcome::Improved as u8,
                _ => Outcome::New as u8,
            };
            let report = InsertReport {
                outcome: report[..BATCH].iter().map(outcome).collect(),
                gain: report[BATCH..].to_vec(),
                ..InsertReport::default()
            };
            let ranked = ranker
                .rank(&table, &report, &(0..BATCH).collect::<Vec<_>>(), &[])
                .unwrap();
            let theirs: Vec<usize> = order[..BATCH].iter().map(|x| *x as usize).collect();
            assert_eq!(ranked.order, theirs, "{search}, iteration {generation}");
            let filter = selection == "filter";
            assert!(!filter || ranked.taken == order[BATCH] as usize);
            let ranking = Ranking {
                parents: filter.then_some(ranked.taken),
                ..Ranking::of(&ranked.order)
            };
            distribution.tell(&context, &ranking).unwrap();
            let diagonal = (0..DIM).map(|i| distribution.covariance.at(i, i));
            let ours = (distribution.mean.iter().copied())
                .chain([distribution.sigma])
                .chain(diagonal)
                .chain(distribution.sigma_path.iter().copied());
            for (i, (ours, theirs)) in ours.zip(&after).enumerate() {
                let near = (ours - theirs).abs() < 1e-9 * theirs.abs().max(1e-3);
                assert!(
                    near,
                    "{search}, iteration {generation}, number {i}: {ours}, pyribs' {theirs}"
                );
            }
            generation += 1;
            iterations += 1;
            if lines.peek().is_some_and(|line| line.starts_with("restart")) {
                let words = lines.next().unwrap().split_whitespace().skip(1);
                let elite: Vec<f64> = words.map(|word| word.parse().unwrap()).collect();
                distribution = begin(&elite);
            }
        }
    }
    assert_eq!(iterations, 90);
}
