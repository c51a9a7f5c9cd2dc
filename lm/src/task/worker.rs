//! Scores a rank's rows: their prompts as one batch of queries, the answers' rewards, their means.

use std::ops::Range;

use illume_core::{
    Answer, Error, Purpose, Request, Result, Scores, Scratch, Status, Stream, Worker, block, test_part_of_seed,
};

use super::{Engine, LmTask, MEASURES};
use crate::data::Case;
use crate::{Generated, Query, Sampling};

pub(super) struct LmWorker<'a> {
    task: &'a LmTask,
    scratch: Scratch,
}

/// One row of a request: who answers which cases.
struct Row {
    /// Its place in the scores.
    at: usize,
    member: u32,
    seed: u64,
    cases: Vec<u32>,
}

/// How rows are answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// As the task says, in no more steps than the request allows.
    Capped,
    /// As the task says.
    Uncapped,
    /// Greedily, on the validation split.
    Test,
}

impl Kind {
    fn of(request: &Request<'_>, row: usize) -> Kind {
        if request.tests.contains(&row) {
            Kind::Test
        } else if request.uncapped.contains(&row) {
            Kind::Uncapped
        } else {
            Kind::Capped
        }
    }
}

/// Genomes that differ; rows name them by their number.
#[derive(Default)]
struct Members(Vec<Vec<f32>>);

impl Members {
    fn number(&mut self, genes: &[f32]) -> u32 {
        let found = self.0.iter().position(|m| m == genes);
        let number = found.unwrap_or_else(|| {
            self.0.push(genes.to_vec());
            self.0.len() - 1
        });
        number as u32
    }
}

impl<'a> LmWorker<'a> {
    pub fn new(task: &'a LmTask) -> LmWorker<'a> {
        let scratch = Scratch::default();
        LmWorker { task, scratch }
    }

    /// The rows of a kind; those whose genes are no numbers are marked and left out.
    fn rows(
        &mut self,
        request: &Request<'_>,
        range: &Range<usize>,
        kind: Kind,
        scores: &mut Scores<'_>,
    ) -> (Vec<Row>, Members) {
        let mut members = Members::default();
        let mut rows = Vec::new();
        for i in range.clone().filter(|i| Kind::of(request, *i) == kind) {
            let genes = request.genomes.genes(i, &mut self.scratch);
            let at = i - range.start;
            if !genes.iter().all(|g| g.is_finite()) {
                scores.status[at] = Status::NotFinite as u8;
                continue;
            }
            let seed = request.seeds[i];
            let cases = if kind == Kind::Test {
                let (part, parts) = test_part_of_seed(seed);
                let all = block(self.task.validation.len(), part as usize, parts as usize);
                (all.start as u32..all.end as u32).collect()
            } else {
                self.task.minibatch(seed)
            };
            let member = members.number(genes);
            rows.push(Row {
                at,
                member,
                seed,
                cases,
            });
        }
        (rows, members)
    }

    fn answer(
        &mut self,
        request: &Request<'_>,
        range: &Range<usize>,
        kind: Kind,
        scores: &mut Scores<'_>,
    ) -> Result<()> {
        let (rows, members) = self.rows(request, range, kind, scores);
        if rows.is_empty() {
            return Ok(());
        }
        let task = self.task;
        let (prompts, cases) = match kind {
            Kind::Test => (&task.validation, &task.setup.dataset.validation),
            _ => (&*task.train, &task.setup.dataset.train),
        };
        let mut sampling = task.sampling.clone();
        if kind == Kind::Test {
            sampling.temperature = 0.0;
        } else if kind == Kind::Capped && request.max_steps < task.spec.max_steps {
            let each = request.max_steps as usize / task.setup.params.batch;
            sampling.max_new_tokens = sampling.max_new_tokens.min(each.max(1));
        }
        let mut queries = Vec::new();
        for row in &rows {
            for (position, &case) in row.cases.iter().enumerate() {
                queries.push(Query {
                    prompt: &prompts[case as usize],
                    member: row.member,
                    stream: Stream::new(row.seed, Purpose::Token, 0, position as u64),
                });
            }
        }
        let answers = self.generate(&queries, &members, &sampling)?;
        let texts: Vec<String> = answers.iter().map(|a| task.setup.text(&a.tokens)).collect();
        let asked: Vec<(&Case, &str)> = rows
            .iter()
            .flat_map(|row| row.cases.iter().map(|&case| &cases[case as usize]))
            .zip(texts.iter().map(String::as_str))
            .collect();
        let mut rewards = task.setup.dataset.reward.score_all(&asked).into_iter();
        let mut answers = answers.into_iter();
        for row in &rows {
            let n = row.cases.len();
            let (mut sum, mut tokens, mut prompt_tokens, mut cut_off) = (0.0, 0, 0, 0);
            for &case in &row.cases {
                let answer = answers.next().expect("an answer for each query");
                tokens += answer.tokens.len();
                prompt_tokens += prompts[case as usize].len();
                cut_off += usize::from(!answer.stopped);
                let reward = rewards.next().expect("a reward for each answer").unwrap_or_else(|e| {
                    scores.status[row.at] = Status::Failed as u8;
                    task.engine().note(&task.spec.name, &e);
                    0.0
                });
                sum += reward;
                if let Some(trajectory) = scores.trajectories.get_mut(row.at) {
                    let Generated { tokens, log_probs, .. } = answer;
                    trajectory.answers.push(Answer {
                        case,
                        tokens,
                        log_probs,
                        reward,
                    });
                }
            }
            let n = n.max(1) as f64;
            scores.fitness[row.at] = sum / n;
            scores.steps[row.at] = u32::try_from(tokens).unwrap_or(u32::MAX);
            let measures = [(prompt_tokens + tokens) as f64, cut_off as f64 / n];
            scores.measures[row.at * MEASURES..][..MEASURES].copy_from_slice(&measures);
            let k = task.spec.descriptor_dim();
            if k > 0 {
                scores.descriptor[row.at * k] = tokens as f64 / n;
            }
        }
        Ok(())
    }

    fn generate(&self, queries: &[Query<'_>], members: &Members, sampling: &Sampling) -> Result<Vec<Generated>> {
        let mut engine = self.task.engine();
        let generator = &mut engine.generator;
        let genomes: Vec<&[f32]> = members.0.iter().map(Vec::as_slice).collect();
        let population = self.task.space.population(&genomes, generator.model().device());
        generator.generate(queries, &population, sampling)
    }
}

impl Worker for LmWorker<'_> {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        for kind in [Kind::Capped, Kind::Uncapped, Kind::Test] {
            if let Err(e) = self.answer(request, &rows, kind, scores) {
                for i in rows.clone().filter(|i| Kind::of(request, *i) == kind) {
                    scores.status[i - rows.start] = Status::Failed as u8;
                }
                self.task.engine().note(&self.task.spec.name, &e);
            }
        }
    }
}

impl Engine {
    /// Keeps what failed first: a status alone does not say it.
    fn note(&mut self, task: &str, error: &Error) {
        let sentence = || format!("{task}: {error}");
        self.failure.get_or_insert_with(sentence);
    }
}
