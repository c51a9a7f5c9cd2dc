//! Scores a rank's rows: their prompts as one batch of queries, the answers' rewards, their means.

use std::ops::Range;
use std::sync::Arc;

use illume_core::{
    Answer, Error, Genomes, Perturbation, Purpose, Request, Result, Scores, Scratch, Status, Stream, Worker, block,
    test_part_of_seed,
};

use super::space::Space;
use super::{Engine, Held, LmTask, MEASURES};
use crate::data::Case;
use crate::{Generated, Population, Query, Sampling, WeightSpace};

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

/// Who answers: genomes that differ, which rows name by their number.
enum Members {
    /// Their genes.
    Genes(Vec<Vec<f32>>),
    /// Of whole weights, of which there is room for one genome alone: a row of the request for each.
    Rows(Vec<usize>),
    /// Of low rank around a center, which has the number behind the last member's.
    Around(Perturbation),
}

impl Members {
    fn of(request: &Request<'_>, space: &Space) -> Members {
        match (space, request.genomes) {
            (Space::Adapters(_), _) => Members::Genes(Vec::new()),
            (_, Genomes::Perturbation(p)) if p.low_rank.is_some() || p.members == 0 => Members::Around(p.clone()),
            _ => Members::Rows(Vec::new()),
        }
    }

    /// The number of a row's genome; none if its genes are no numbers.
    fn number(&mut self, request: &Request<'_>, row: usize, scratch: &mut Scratch) -> Option<u32> {
        let finite = |genes: &[f32]| genes.iter().all(|g| g.is_finite());
        let number = match self {
            Members::Around(p) => (p.first + row).min(p.members),
            Members::Genes(known) => {
                let genes = request.genomes.genes(row, scratch);
                if !finite(genes) {
                    return None;
                }
                let found = known.iter().position(|m| m == genes);
                found.unwrap_or_else(|| {
                    known.push(genes.to_vec());
                    known.len() - 1
                })
            }
            Members::Rows(known) => {
                if !finite(request.genomes.genes(row, scratch)) {
                    return None;
                }
                let same = |other: &usize| match request.genomes {
                    Genomes::Dense(d) => d.data[other * d.dim..][..d.dim] == d.data[row * d.dim..][..d.dim],
                    _ => false,
                };
                let found = known.iter().position(same);
                found.unwrap_or_else(|| {
                    known.push(row);
                    known.len() - 1
                })
            }
        };
        Some(number as u32)
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
        let mut members = Members::of(request, &self.task.space);
        let mut rows = Vec::new();
        for i in range.clone().filter(|i| Kind::of(request, *i) == kind) {
            let at = i - range.start;
            let Some(member) = members.number(request, i, &mut self.scratch) else {
                scores.status[at] = Status::NotFinite as u8;
                continue;
            };
            let seed = request.seeds[i];
            let cases = if kind == Kind::Test {
                let (part, parts) = test_part_of_seed(seed);
                let all = block(self.task.validation.len(), part as usize, parts as usize);
                (all.start as u32..all.end as u32).collect()
            } else {
                self.task.minibatch(seed)
            };
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
        let answers = self.generate(request, &queries, &members, &sampling)?;
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

    fn generate(
        &mut self,
        request: &Request<'_>,
        queries: &[Query<'_>],
        members: &Members,
        sampling: &Sampling,
    ) -> Result<Vec<Generated>> {
        let mut engine = self.task.engine();
        match (&self.task.space, members) {
            (Space::Weights(space), Members::Around(around)) => {
                engine.set_center(space, &around.center)?;
                let population = match around.members {
                    0 => Population::None,
                    _ => Population::LowRank(around.clone()),
                };
                engine.generator.generate(queries, &population, sampling)
            }
            (Space::Weights(space), Members::Rows(rows)) => {
                let mut answers = vec![Generated::default(); queries.len()];
                for (member, row) in rows.iter().enumerate() {
                    engine.set_weights(space, request.genomes.genes(*row, &mut self.scratch))?;
                    let mine: Vec<usize> = (0..queries.len())
                        .filter(|q| queries[*q].member as usize == member)
                        .collect();
                    let own: Vec<Query<'_>> = mine.iter().map(|q| queries[*q]).collect();
                    let own = engine.generator.generate(&own, &Population::None, sampling)?;
                    mine.into_iter().zip(own).for_each(|(q, answer)| answers[q] = answer);
                }
                Ok(answers)
            }
            (Space::Adapters(space), Members::Genes(genes)) => {
                let genomes: Vec<&[f32]> = genes.iter().map(Vec::as_slice).collect();
                let population = space.population(&genomes);
                engine.generator.generate(queries, &population, sampling)
            }
            _ => unreachable!("members are made for the task's space"),
        }
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
    /// Gives the model the weights of a genome, if it has others.
    pub fn set_weights(&mut self, space: &WeightSpace, genes: &[f32]) -> Result<()> {
        match &self.weights {
            Held::Copy(held) if held == genes => Ok(()),
            _ => self.load_weights(space, genes, || Held::Copy(genes.to_vec())),
        }
    }

    /// The same for a genome that is shared, of which no copy is kept.
    fn set_center(&mut self, space: &WeightSpace, center: &Arc<Vec<f32>>) -> Result<()> {
        match &self.weights {
            // Who changes what others may still look at takes it elsewhere first: where it is the same memory it has the same numbers.
            Held::Shared(held) if held.upgrade().is_some_and(|held| Arc::ptr_eq(&held, center)) => Ok(()),
            _ => self.load_weights(space, center, || Held::Shared(Arc::downgrade(center))),
        }
    }

    fn load_weights(&mut self, space: &WeightSpace, genes: &[f32], held: impl FnOnce() -> Held) -> Result<()> {
        // What fails in the middle leaves a model of neither.
        self.weights = Held::Neither;
        self.generator.reload(&space.source(genes))?;
        self.weights = held();
        Ok(())
    }

    /// Makes ready that queries of one genome are answered; with its population, of which it is member 0.
    pub fn only(&mut self, space: &Space, genome: &[f32]) -> Result<Population> {
        match space {
            Space::Adapters(space) => Ok(space.population(&[genome])),
            Space::Weights(space) => {
                self.set_weights(space, genome)?;
                Ok(Population::None)
            }
        }
    }

    /// Keeps what failed first: a status alone does not say it.
    fn note(&mut self, task: &str, error: &Error) {
        let sentence = || format!("{task}: {error}");
        self.failure.get_or_insert_with(sentence);
    }
}
