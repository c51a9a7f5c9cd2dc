//! GRPO on a bandit with several cases, of which the gradient is known in closed form: it learns every case, whatever the ranks and however
//! often it is interrupted.

mod common;

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use common::{assert_equal_files, column, folder};
use illume::archives::file::read_checkpoint;
use illume::cluster::{Solo, run_ranks};
use illume::core::{
    Answer, Comm, Credit, Init, PolicyGradient, Purpose, Request, Result, Scores, Scratch, Stream, Surrogate,
    SurrogateReport, Task, TaskSpec, Worker, block, case_of_seed, test_part_of_seed,
};
use illume::{Config, Run};

const CASES: usize = 6;
const ACTIONS: usize = 4;
/// Cases that a row is scored on.
const MINIBATCH: usize = 4;

fn right(case: usize) -> usize {
    (case * 7 + 1) % ACTIONS
}

/// Probabilities of the actions: genes are the logits of each case.
fn probabilities(genes: &[f32], case: usize) -> [f64; ACTIONS] {
    let logits = &genes[case * ACTIONS..(case + 1) * ACTIONS];
    let weights: Vec<f64> = logits.iter().map(|x| f64::from(*x).exp()).collect();
    let sum: f64 = weights.iter().sum();
    std::array::from_fn(|a| weights[a] / sum)
}

/// A softmax over actions for each case, with one token an answer.
#[derive(Debug)]
struct Softmax;

impl PolicyGradient for Softmax {
    fn temperature(&self) -> f64 {
        1.0
    }

    fn longest(&self) -> usize {
        1
    }

    fn add_gradient(
        &self,
        genes: &[f32],
        answers: &[Answer],
        credits: &mut [Credit],
        surrogate: &Surrogate,
        gradient: &mut [f32],
    ) -> Result<SurrogateReport> {
        let mut report = SurrogateReport::default();
        for (answer, credit) in answers.iter().zip(credits) {
            let (case, action) = (answer.case as usize, answer.tokens[0] as usize);
            let advantage = f64::from(credit.advantage);
            let p = probabilities(genes, case);
            if credit.old.is_empty() {
                credit.old = vec![p[action].ln() as f32];
                report.gap += f64::from((credit.old[0] - answer.log_probs[0]).abs());
            }
            let ratio = p[action] / f64::from(credit.old[0]).exp();
            let clamped = ratio.clamp(1.0 - surrogate.clip, 1.0 + surrogate.clip);
            // The smaller of both counts; a clamped one has no slope.
            let slope = if clamped * advantage < ratio * advantage {
                0.0
            } else {
                ratio * advantage
            };
            let r = 1.0 / ACTIONS as f64 / p[action];
            let weight = f64::from(credit.weight) * (slope - surrogate.kl * (1.0 - r));
            for (a, p) in p.into_iter().enumerate() {
                gradient[case * ACTIONS + a] += (weight * (f64::from(u8::from(a == action)) - p)) as f32;
            }
            report.kl += r - r.ln() - 1.0;
            report.clipped += u64::from(slope == 0.0 && advantage != 0.0);
            report.tokens += 1;
        }
        Ok(report)
    }
}

struct Bandit(TaskSpec);

impl Bandit {
    fn new() -> Bandit {
        Bandit(TaskSpec {
            fitness: "share of right answers".into(),
            max_steps: MINIBATCH as u32,
            test_steps: CASES as u32,
            test_cases: CASES,
            policy_gradient: Some(Arc::new(Softmax)),
            chunk: 1 << 30,
            ..TaskSpec::new("bandit", CASES * ACTIONS, Init::Normal { mean: 0.0, sd: 0.0 })
        })
    }
}

impl Task for Bandit {
    fn spec(&self) -> &TaskSpec {
        &self.0
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(Pulls(Scratch::default())))
    }
}

struct Pulls(Scratch);

impl Worker for Pulls {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        for (i, row) in rows.enumerate() {
            let genes = request.genomes.genes(row, &mut self.0);
            let seed = request.seeds[row];
            let test = request.tests.contains(&row);
            let cases: Vec<usize> = if test {
                let (part, parts) = test_part_of_seed(seed);
                block(CASES, part as usize, parts as usize).collect()
            } else {
                let first = case_of_seed(seed) as usize % CASES;
                (0..MINIBATCH).map(|k| (first + k) % CASES).collect()
            };
            let mut sum = 0.0;
            for (k, case) in cases.iter().enumerate() {
                let p = probabilities(genes, *case);
                let action = if test {
                    (0..ACTIONS).rev().max_by(|a, b| p[*a].total_cmp(&p[*b])).unwrap()
                } else {
                    let u = Stream::new(seed, Purpose::Token, 0, k as u64).uniform(0);
                    let under = |a: &usize| p[..=*a].iter().sum::<f64>() > u;
                    (0..ACTIONS).find(under).unwrap_or(ACTIONS - 1)
                };
                let reward = f64::from(u8::from(action == right(*case)));
                sum += reward;
                if let Some(trajectory) = scores.trajectories.get_mut(i) {
                    trajectory.answers.push(Answer {
                        case: *case as u32,
                        tokens: vec![action as u32],
                        log_probs: vec![p[action].ln() as f32],
                        reward,
                    });
                }
            }
            scores.fitness[i] = sum / cases.len() as f64;
            scores.steps[i] = cases.len() as u32;
        }
    }
}

fn config(strategy: &str, generations: u32) -> Config {
    let text = format!(
        "seed = 5\n[task]\nname = \"bandit\"\n[strategy]\nname = \"grpo\"\n{strategy}\n[budget]\ngenerations = {generations}\n"
    );
    Config::parse(&text, "test", &[]).unwrap()
}

#[test]
fn it_learns_every_case_and_says_where_it_started() {
    for strategy in [
        "learning_rate = 0.2",
        "learning_rate = 0.1\nepochs = 4\nkl = 0.001\ngroup = 16",
    ] {
        let (task, config) = (Bandit::new(), config(strategy, 60));
        let mut run = Run::new(&config, &task, &Solo).unwrap();
        while run.generation().unwrap() {}
        let history = run.history().batch();
        let validation = column(&history, "validation");
        let start = (0..CASES).filter(|case| right(*case) == 0).count() as f64 / CASES as f64;
        assert_eq!(
            validation[0], start,
            "greedy answers of equal logits are the first action"
        );
        assert_eq!(validation.last(), Some(&1.0), "{validation:?}");
        let gaps = column(&history, "sampling_gap");
        assert!(
            gaps.iter().all(|gap| *gap == 0.0),
            "the bandit differentiates what it sampled by: {gaps:?}"
        );
        let rewards = column(&history, "mean_reward");
        assert!(rewards[0] < 0.6 && rewards[rewards.len() - 1] > 0.9, "{rewards:?}");
    }
}

#[test]
fn a_heavy_weight_of_the_divergence_keeps_it_nearer_to_the_start() {
    let kl = |weight: f64| {
        let (task, config) = (
            Bandit::new(),
            config(&format!("learning_rate = 0.05\nkl = {weight}"), 80),
        );
        let mut run = Run::new(&config, &task, &Solo).unwrap();
        while run.generation().unwrap() {}
        *column(&run.history().batch(), "kl").last().unwrap()
    };
    let (free, heavy) = (kl(1e-9), kl(5.0));
    assert!(heavy < free / 4.0, "{heavy}, {free}");
}

fn saved_and_loaded(config: &Config, comm: &dyn Comm, folder: &Path, stop: u64) {
    let (task, path) = (Bandit::new(), folder.join("checkpoint.h5"));
    let mut first = Run::new(config, &task, comm).unwrap();
    while first.counters().generation < stop {
        first.generation().unwrap();
    }
    first.write(&path, true).unwrap();
    let mut second = Run::new(config, &task, comm).unwrap();
    second.load(&read_checkpoint(&path, comm).unwrap()).unwrap();
    while second.generation().unwrap() {}
    second.write(&folder.join("resumed.h5"), true).unwrap();
}

#[test]
fn saved_loaded_and_continued_equals_uninterrupted_on_any_ranks() {
    let (folder, task) = (folder(), Bandit::new());
    let config = config("learning_rate = 0.1\nepochs = 2\nvalidation_interval = 3", 8);
    let mut whole = Run::new(&config, &task, &Solo).unwrap();
    while whole.generation().unwrap() {}
    let path = folder.path().join("whole.h5");
    whole.write(&path, true).unwrap();
    for (ranks, stop) in [(1, 1), (1, 6), (2, 2), (3, 3), (9, 7)] {
        run_ranks(ranks, |comm| saved_and_loaded(&config, comm, folder.path(), stop));
        assert_equal_files(&path, &folder.path().join("resumed.h5"));
    }
}
