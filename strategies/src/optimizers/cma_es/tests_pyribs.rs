//! The searches of `cma_me` and `cma_mae`, and the branches of `cma_mega` and `cma_maega`, beside pyribs 0.12.0, number by number: orders, means, step sizes, covariances and paths
//! over 30 iterations.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use illume_core::{Axis, Batch, Candidates, Context, Differentiable, InsertReport, Outcome, Result, State, Told};

use super::*;
use crate::cma_mega::point_optimizer;
use crate::emitters::{Arborescence, Course, Emitter, GradientArborescence, Piece, Proposal, Restart, Rows, Run};
use crate::optimizers::stops::Stop;
use crate::optimizers::{Optimizer, Ranking};
use crate::rankers::Ranker;
use crate::testing::{NoArchive, Silent, task};

const DIM: usize = 5;
const BATCH: usize = 8;

/// The numbers of a line behind its name.
fn numbers(line: &str, name: &str) -> Vec<f64> {
    let words = line.strip_prefix(name).unwrap().split_whitespace();
    words.map(|word| word.parse().unwrap()).collect()
}

/// What the lines `rows` and `report` say of a generation.
fn evaluated(rows: &[f64], report: &[f64]) -> (Batch, InsertReport) {
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
    (table, report)
}

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
            let mut next = |name: &str| numbers(lines.next().unwrap(), name);
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
            let (table, report) = evaluated(&rows, &report);
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
                distribution = begin(&numbers(lines.next().unwrap(), "restart"));
            }
        }
    }
    assert_eq!(iterations, 90);
}

/// Where the numbers of a recording wait for their turn.
type Waiting = Arc<Mutex<VecDeque<Vec<f64>>>>;

/// A distribution that draws what was recorded.
struct Given {
    full: Full,
    steps: Waiting,
}

impl Optimizer for Given {
    fn members(&self) -> usize {
        self.full.members()
    }

    fn begin(&mut self, context: &Context<'_>) {
        self.full.begin(context);
    }

    fn reset(&mut self, _context: &Context<'_>, _genes: &[f32]) {
        unreachable!("coefficients begin anew by a distribution of their own")
    }

    fn ask(&mut self, context: &Context<'_>, rows: Range<usize>, genes: &mut [f32]) -> Result<()> {
        self.begin(context);
        self.full.refresh()?;
        self.full.set_steps(&self.steps.lock().unwrap().pop_front().unwrap());
        let members = genes.chunks_exact_mut(context.task.genome_dim).zip(rows);
        members.for_each(|(genes, member)| self.member(context, member, genes));
        Ok(())
    }

    fn member(&self, context: &Context<'_>, member: usize, genes: &mut [f32]) {
        self.full.member(context, member, genes);
    }

    fn tell(&mut self, context: &Context<'_>, ranking: &Ranking<'_>) -> Result<()> {
        self.full.tell(context, ranking)
    }

    fn stop(&self, context: &Context<'_>, tol_x: f64) -> Result<Option<Stop>> {
        self.full.stop(context, tol_x)
    }

    fn mean(&self, genes: &mut [f32]) {
        self.full.mean(genes);
    }

    fn sigma(&self) -> f64 {
        self.full.sigma()
    }

    fn axis_ratio(&self) -> Option<f64> {
        self.full.axis_ratio()
    }

    fn save(&self, context: &Context<'_>) -> Result<Vec<(String, Batch)>> {
        self.full.save(context)
    }

    fn load(&mut self, context: &Context<'_>, state: &State) -> Result<()> {
        self.full.load(context, state)
    }
}

/// A task whose gradients were recorded.
#[derive(Debug)]
struct Recorded(Waiting);

impl Differentiable for Recorded {
    fn gradients(&self, _genes: &[f32], gradients: &mut [f64]) {
        gradients.copy_from_slice(&self.0.lock().unwrap().pop_front().unwrap());
    }
}

/// A point's gradients are those of a point that is near to within single precision, and so are all numbers.
#[test]
fn branches_move_as_in_pyribs() {
    let text = include_str!("../../../tests/data/pyribs_gradients.txt");
    let mut lines = text.lines().filter(|line| !line.starts_with('#')).peekable();
    let (gradients, coefficients): (Waiting, Waiting) = Default::default();
    let task = TaskSpec {
        descriptor: vec![Axis::new("a", "", -5.0, 5.0), Axis::new("b", "", -5.0, 5.0)],
        gradients: Some(Arc::new(Recorded(gradients.clone()))),
        ..task(DIM, true)
    };
    let comm = Silent(0, 1);
    let mut iterations = 0;
    while let Some(search) = lines.next() {
        let words: Vec<&str> = search.split(' ').collect();
        let &["search", ranker, selection, optimizer] = words.as_slice() else {
            panic!("{search}")
        };
        let (ranker, learning_rate) = match (ranker, optimizer) {
            ("imp", _) => ("improvement", 0.5),
            (_, "adam") => ("two_stage_improvement", 0.05),
            _ => ("two_stage_improvement", 1.0),
        };
        let start = Start {
            sigma: 0.5,
            zeros: true,
            number: 0,
            fold: None,
        };
        let steps = coefficients.clone();
        let course = Course::new(Ranker::new(ranker).unwrap(), selection == "filter", Restart::Basic);
        let parts = Arborescence {
            coefficients: Optimizers::new(BATCH, start, move |members, start| {
                let constants = Constants::full(3, members, false).moved_as_pyribs(3);
                Box::new(Given {
                    full: Full::new(3, constants, start, 2.0, Factor::Eigenvectors),
                    steps: steps.clone(),
                })
            }),
            optimizer: point_optimizer(optimizer, learning_rate),
            zeros: true,
            normalize: true,
            course,
        };
        let mut emitter = GradientArborescence::new(parts, &task);
        let mut generation = 0;
        let context = |generation| Context {
            seed: 0,
            generation,
            task: &task,
            comm: &comm,
        };
        emitter.begin_at(&context(0), vec![0.0; DIM]);
        while lines.peek().is_some_and(|line| line.starts_with("jacobian")) {
            let context = context(generation);
            let mut next = |name: &str| numbers(lines.next().unwrap(), name);
            gradients.lock().unwrap().push_back(next("jacobian"));
            coefficients.lock().unwrap().push_back(next("steps"));
            let (rows, report, order, after) = (next("rows"), next("report"), next("order"), next("after"));
            let run = [Run {
                part: 1,
                rows: 0..BATCH,
            }];
            let of = Rows {
                phase: 1,
                last: true,
                runs: &run,
            };
            let (mut genes, mut parents) = (vec![0.0; BATCH * DIM], vec![-1; 2 * BATCH]);
            let piece = Piece {
                part: 1,
                first: 0,
                genes: &mut genes,
                parents: &mut parents,
            };
            let proposal = Proposal {
                rows: of,
                total: BATCH,
                pieces: vec![piece],
            };
            emitter.ask(&context, &NoArchive, proposal).unwrap();
            let (table, report) = evaluated(&rows, &report);
            // What the branches are worth is recorded; where they end shows by it.
            for (row, x) in genes.chunks_exact(DIM).enumerate() {
                let x: Vec<f64> = x.iter().copied().map(f64::from).collect();
                let fitness = 100.0
                    - x.iter()
                        .zip(1..)
                        .map(|(x, i)| f64::from(i) * (x - 1.0).powi(2))
                        .sum::<f64>();
                assert!(
                    (fitness - rows[row]).abs() < 1e-3,
                    "{search}, iteration {generation}: {fitness}, pyribs' {}",
                    rows[row]
                );
            }
            let theirs: Vec<usize> = order[..BATCH].iter().map(|x| *x as usize).collect();
            let ranked = Ranker::new(ranker)
                .unwrap()
                .rank(&table, &report, &of.numbers(), &[])
                .unwrap();
            assert_eq!(ranked.order, theirs, "{search}, iteration {generation}");
            let told = Told {
                candidates: &Candidates::default(),
                rows: &table,
                moments: &[],
                trajectories: &[],
                report: Some(&report),
                last: false,
            };
            emitter.tell(&context, &told, &report, &of).unwrap();
            let state = emitter.save(&context).unwrap();
            let column = |table: &str, name: &str| state.table(table).unwrap().get::<f64>(name).unwrap().to_vec();
            let point = state.table("point").unwrap().get::<f32>("point").unwrap();
            let ours = column("vectors", "mean").into_iter().chain(column("law", "sigma"));
            let ours = ours.chain(point.iter().copied().map(f64::from));
            for (i, (ours, theirs)) in ours.zip(&after).enumerate() {
                let near = (ours - theirs).abs() < 1e-4 * theirs.abs().max(1.0);
                assert!(
                    near,
                    "{search}, iteration {generation}, number {i}: {ours}, pyribs' {theirs}"
                );
            }
            generation += 1;
            iterations += 1;
            if lines.peek().is_some_and(|line| line.starts_with("restart")) {
                let elite = numbers(lines.next().unwrap(), "restart");
                emitter.begin_at(&context, elite.into_iter().map(|x| x as f32).collect());
            }
        }
    }
    assert_eq!(iterations, 90);
}
