//! Scores of genomes on a task's test cases, as a phase of its own within a generation: the cases are divided into parts, so that ranks share
//! the work, and each part is a row that only tests. It is not charged to the budget, and nothing of it is offered to the archive.

use std::sync::Arc;

use illume_core::{
    Candidates, Context, Genomes, Next, Perturbation, Purpose, Result, Status, Stream, TaskSpec, Told, block,
    test_part_seed,
};

use crate::candidates::prepare;

/// The most rows that score one genome.
const PARTS: usize = 16;

/// By what the cases of a generation's candidates are drawn: the same for all rows, and for every strategy of the same seed.
pub(crate) fn minibatch(context: &Context<'_>) -> u32 {
    Stream::new(context.seed, Purpose::Minibatch, context.generation, 0).word(0)
}

/// What a strategy that validates asks for next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// The start's validation, in generation 0.
    Start,
    /// What it learns from.
    Learning,
    Validation,
}

/// When and in how many parts genomes are validated, and whether they are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validation {
    phase: Phase,
    /// Generations from one validation to the next; 0 for the first and the last alone.
    interval: u64,
    cases: usize,
    parts: usize,
}

impl Validation {
    /// Of a task with at least one test case.
    pub fn new(interval: usize, task: &TaskSpec) -> Validation {
        Validation {
            phase: Phase::Start,
            interval: interval as u64,
            cases: task.test_cases,
            parts: task.test_cases.clamp(1, PARTS),
        }
    }

    /// Whether genomes are scored now; if not, what the strategy learns from is due. A run that goes on has scored its start.
    pub fn is_now(&mut self, context: &Context<'_>) -> bool {
        if self.phase == Phase::Start && context.generation > 0 {
            self.phase = Phase::Learning;
        }
        self.phase != Phase::Learning
    }

    /// Whether what is told is what the strategy learns from.
    pub fn is_learning(&self) -> bool {
        self.phase == Phase::Learning
    }

    /// What follows learning.
    pub fn learned(&mut self, context: &Context<'_>, told: &Told<'_>) -> Next {
        if !self.is_due(context.generation, told.last) {
            return Next::Generation;
        }
        self.phase = Phase::Validation;
        Next::SameGeneration
    }

    /// The scores that are told ([`Validation::scores`]), and what follows them: the first generation is still to be had behind the start's.
    ///
    /// # Errors
    /// A column is missing.
    pub fn scored(&mut self, told: &Told<'_>) -> Result<(Vec<f64>, Next)> {
        let scores = self.scores(told)?;
        let next = match std::mem::replace(&mut self.phase, Phase::Learning) {
            Phase::Start => Next::SameGeneration,
            _ => Next::Generation,
        };
        Ok((scores, next))
    }

    /// Whether the present generation, counted from 0, ends with a validation.
    fn is_due(&self, generation: u64, last: bool) -> bool {
        last || self.interval > 0 && (generation + 1).is_multiple_of(self.interval)
    }

    /// Asks for the rows that score each genome (`[dim]`) on all cases.
    ///
    /// # Errors
    /// A column is missing.
    pub fn ask(&self, context: &Context<'_>, genomes: &[&[f32]], candidates: &mut Candidates) -> Result<()> {
        self.prepare(context, genomes.len(), candidates)?;
        let (rows, dim) = (candidates.block.clone(), context.task.genome_dim);
        let genes = candidates.genomes.dense_rows(rows.len(), dim);
        for (row, genes) in rows.zip(genes.chunks_exact_mut(dim)) {
            genes.copy_from_slice(genomes[row / self.parts]);
        }
        Ok(())
    }

    /// The same for one genome that is too large for a copy in each row: all rows share it.
    ///
    /// # Errors
    /// A column is missing.
    pub fn ask_shared(&self, context: &Context<'_>, genome: &Arc<Vec<f32>>, candidates: &mut Candidates) -> Result<()> {
        self.prepare(context, 1, candidates)?;
        candidates.genomes = Genomes::Perturbation(Perturbation {
            center: genome.clone(),
            sigma: 0.0,
            seed: context.seed,
            generation: context.generation,
            first: candidates.block.start,
            rows: candidates.block.len(),
            members: 0,
            bounds: None,
            low_rank: None,
        });
        Ok(())
    }

    /// All but the genomes, which are this many.
    fn prepare(&self, context: &Context<'_>, genomes: usize, candidates: &mut Candidates) -> Result<()> {
        let total = genomes * self.parts;
        prepare(context, total, 0, candidates);
        candidates.offered = 0..0;
        candidates.tests = 0..total;
        let part = |row| test_part_seed((row % self.parts) as u32, self.parts as u32);
        candidates.seeds.clear();
        candidates.seeds.extend(candidates.block.clone().map(part));
        candidates.tags.get_mut::<i32>("operator")?.fill(0);
        candidates.tags.get_mut::<i64>("parents")?.fill(-1);
        Ok(())
    }

    /// The mean over all cases of each genome's fitness, in the order in which [`Validation::ask`] was given them; NaN if a part failed.
    ///
    /// # Errors
    /// A column is missing.
    fn scores(&self, told: &Told<'_>) -> Result<Vec<f64>> {
        let (status, fitness) = (told.rows.get::<u8>("status")?, told.rows.get::<f64>("fitness")?);
        let score = |(status, fitness): (&[u8], &[f64])| {
            let mut sum = 0.0;
            for part in 0..self.parts {
                if status[part] != Status::Ok as u8 {
                    return f64::NAN;
                }
                sum += fitness[part] * block(self.cases, part, self.parts).len() as f64;
            }
            sum / self.cases as f64
        };
        let of_genomes = status.chunks_exact(self.parts).zip(fitness.chunks_exact(self.parts));
        Ok(of_genomes.map(score).collect())
    }
}

#[cfg(test)]
mod tests {
    use illume_core::{Batch, test_part_of_seed};

    use super::*;
    use crate::testing::{Silent, task};

    fn ask(validation: &Validation, task: &TaskSpec, rank: usize, size: usize) -> Candidates {
        let (comm, mut candidates) = (Silent(rank, size), Candidates::default());
        let context = Context {
            seed: 1,
            generation: 4,
            task,
            comm: &comm,
        };
        let genomes: [&[f32]; 2] = [&[1.0, 2.0], &[3.0, 4.0]];
        validation.ask(&context, &genomes, &mut candidates).unwrap();
        candidates
    }

    fn with_cases(cases: usize) -> TaskSpec {
        TaskSpec {
            test_cases: cases,
            ..task(2, false)
        }
    }

    #[test]
    fn ranks_ask_for_every_part_of_every_genome_once() {
        let task = with_cases(37);
        let validation = Validation::new(10, &task);
        let mut asked = Vec::new();
        for rank in 0..3 {
            let candidates = ask(&validation, &task, rank, 3);
            assert_eq!((candidates.total, candidates.tests.clone()), (32, 0..32));
            assert!(candidates.offered.is_empty());
            for (row, seed) in candidates.seeds.iter().enumerate() {
                let Genomes::Dense(genomes) = &candidates.genomes else {
                    panic!("rows are dense")
                };
                asked.push((genomes.data[2 * row], test_part_of_seed(*seed)));
            }
        }
        let expected: Vec<_> = [1.0, 3.0]
            .into_iter()
            .flat_map(|g| (0..16).map(move |p| (g, (p, 16))))
            .collect();
        assert_eq!(asked, expected);
        let (comm, mut candidates) = (Silent(1, 2), Candidates::default());
        let context = Context {
            seed: 1,
            generation: 4,
            task: &task,
            comm: &comm,
        };
        let genome = Arc::new(vec![1.0, 2.0]);
        validation.ask_shared(&context, &genome, &mut candidates).unwrap();
        assert_eq!(
            (candidates.total, candidates.tests.clone(), candidates.genomes.rows()),
            (16, 0..16, 8)
        );
        let mut scratch = illume_core::Scratch::default();
        assert!((0..8).all(|row| candidates.genomes.genes(row, &mut scratch) == *genome));
        assert_eq!(test_part_of_seed(candidates.seeds[7]), (15, 16));
    }

    #[test]
    fn a_score_weighs_parts_by_their_cases_and_is_none_if_one_failed() {
        let task = with_cases(5);
        let validation = Validation {
            parts: 2,
            ..Validation::new(10, &task)
        };
        let candidates = ask(&validation, &task, 0, 1);
        let scores = |status: [u8; 4]| {
            let mut rows = Batch::new();
            rows.push("status", 1, "", "", status.to_vec());
            rows.push("fitness", 1, "", "", vec![1.0, 0.0, 0.5, 0.25]);
            let told = Told {
                candidates: &candidates,
                rows: &rows,
                moments: &[],
                trajectories: &[],
                report: None,
                last: false,
            };
            validation.scores(&told).unwrap()
        };
        assert_eq!(scores([0; 4]), [0.4, (2.0 * 0.5 + 3.0 * 0.25) / 5.0]);
        let failed = scores([0, Status::Failed as u8, 0, 0]);
        assert!(failed[0].is_nan() && failed[1] == 0.35, "{failed:?}");
    }

    #[test]
    fn it_is_due_every_interval_and_at_the_last_generation() {
        let validation = Validation::new(3, &with_cases(5));
        let due: Vec<u64> = (0..9).filter(|g| validation.is_due(*g, *g == 6)).collect();
        assert_eq!(due, [2, 5, 6, 8]);
        assert!(!Validation::new(0, &with_cases(5)).is_due(8, false));
    }
}
