//! What the archive is worth without luck, while a run goes on: each elite is evaluated anew, several times, and put where its mean descriptor lies; of a cell's elites the one with the highest mean
//! fitness counts (the corrected archive of Flageat and Cully, 'Uncertain quality-diversity', 2023, <https://arxiv.org/abs/2302.00463>). Where the task knows its own means, one evaluation by these is exact.
//!
//! Neither archive nor strategy sees any of it, and it is not charged to the budget.

use std::ops::Range;
use std::sync::Arc;

use illume_archives::metrics::measure_archive;
use illume_core::{
    Archive, Batch, Candidates, Comm, Error, Genomes, Inbox, Normalization, Purpose, Result, Status, Stream, Task,
    block,
};

use crate::engine::gather::gather_rows;
use crate::engine::samples::SAMPLES;
use crate::{Evaluator, Output};

/// Its columns of the history: name and meaning.
const COLUMNS: [(&str, &str); 3] = [
    (
        "qd_score_corrected",
        "QD score of the elites evaluated anew and put where they then lie, as of the last generation that was corrected",
    ),
    ("coverage_corrected", "coverage of the same"),
    ("max_fitness_corrected", "highest mean fitness of the same"),
];

/// Which stream of evaluation seeds of a generation is that of these evaluations; those of its phases have small numbers.
const SEEDS: u64 = 1 << 32;

/// Genes that are fetched at a time, over all ranks.
const GENES_AT_ONCE: usize = 1 << 24;

/// The columns of the history, if it is to have them: (name, unit, description).
pub(crate) fn columns(output: &Output) -> Vec<(String, String, String)> {
    let columns = COLUMNS.iter().filter(|_| output.corrected_every > 0);
    columns
        .map(|(name, meaning)| (name.to_string(), String::new(), meaning.to_string()))
        .collect()
}

/// Evaluates an archive's elites anew from time to time.
pub(crate) struct Correction<'t> {
    every: u64,
    samples: u32,
    /// Scores by means, where the task knows them.
    exact: Option<Evaluator<'t>>,
    /// As the history has them.
    values: [f64; COLUMNS.len()],
    inbox: Inbox,
}

/// What is evaluated, and by whom.
pub(crate) struct Subject<'a> {
    pub archive: &'a dyn Archive,
    pub genome_dim: usize,
    pub seed: u64,
    pub generation: u64,
    /// How observations are normalized before a policy sees them.
    pub normalization: Option<Arc<Normalization>>,
    pub comm: &'a dyn Comm,
}

impl<'t> Correction<'t> {
    /// None where no columns are wanted.
    ///
    /// # Errors
    /// Genomes that are lineages; a worker that cannot be made.
    pub fn new(output: &Output, task: &'t dyn Task, lineage: bool) -> Result<Option<Correction<'t>>> {
        if output.corrected_every == 0 {
            return Ok(None);
        }
        if lineage {
            let message = "expected 0, as genomes of this strategy are lineages of noise, which `illume eval` decodes and evaluates after the run";
            return Err(Error::config("output", "corrected_every", message));
        }
        let exact = Evaluator::noiseless(task)?;
        let certain = exact.is_some() || task.spec().deterministic;
        Ok(Some(Correction {
            every: output.corrected_every,
            samples: if certain { 1 } else { output.corrected_samples },
            exact,
            values: [f64::NAN; COLUMNS.len()],
            inbox: Inbox::default(),
        }))
    }

    /// Whether this generation is to be corrected. The last one of a run is not unless its number says so: a run that goes on is the undisturbed one.
    pub fn is_due(&self, generation: u64) -> bool {
        generation.is_multiple_of(self.every)
    }

    /// The values of its columns.
    pub fn values(&self) -> [f64; COLUMNS.len()] {
        self.values
    }

    /// Goes on from a history; what it lacks is unknown.
    pub fn load(&mut self, history: &Batch) {
        for (value, (name, _)) in self.values.iter_mut().zip(COLUMNS) {
            let last = history.get::<f64>(name).ok().and_then(|all| all.last().copied());
            *value = last.unwrap_or(f64::NAN);
        }
    }

    /// Evaluates the subject's elites anew. Collective; any number of ranks and threads gives the same bits.
    ///
    /// # Errors
    /// Communication, or a defect.
    pub fn correct(&mut self, subject: &Subject<'_>, evaluator: &mut Evaluator<'t>) -> Result<()> {
        let (archive, spec) = (subject.archive, subject.archive.spec());
        let mut elites = archive.elites().filled.clone();
        elites.sort_unstable();
        let cells = if spec.has_cells() { spec.capacity } else { elites.len() };
        let mut best = vec![f64::NAN; cells];
        let step = (GENES_AT_ONCE / subject.genome_dim.max(1)).max(1);
        for start in (0..elites.len()).step_by(step) {
            let rows = start..(start + step).min(elites.len());
            let scored = self.evaluate(subject, &elites[rows.clone()], rows.clone(), evaluator)?;
            let (status, fitness): (&[u8], &[f64]) = (scored.get("status")?, scored.get("fitness")?);
            let located = scored.get::<i64>("cell")?;
            for (i, row) in rows.enumerate().filter(|(i, _)| status[*i] == Status::Ok as u8) {
                let cell = if spec.has_cells() { located[i] } else { row as i64 };
                if let Some(best) = usize::try_from(cell).ok().and_then(|cell| best.get_mut(cell)) {
                    *best = best.max(fitness[i]);
                }
            }
        }
        let metrics = measure_archive(spec, &best);
        self.values = [metrics.qd_score, metrics.coverage, metrics.max_fitness];
        Ok(())
    }

    /// All ranks' rows of some elites, which have the numbers `rows` among all.
    fn evaluate(
        &mut self,
        subject: &Subject<'_>,
        elites: &[u32],
        rows: Range<usize>,
        evaluator: &mut Evaluator<'t>,
    ) -> Result<Batch> {
        let (comm, total, dim) = (subject.comm, elites.len(), subject.genome_dim);
        let bounds: Vec<usize> = (0..=comm.size())
            .map(|rank| block(total, rank, comm.size()).start)
            .collect();
        let own = block(total, comm.rank(), comm.size());
        let fetched = subject.archive.fetch(elites, &bounds, comm, &mut self.inbox)?;
        let mut genomes = Genomes::default();
        let genes = genomes.dense_rows(own.len(), dim);
        for (genes, genome) in genes.chunks_exact_mut(dim).zip(fetched.genomes(&elites[own.clone()])?) {
            genes.copy_from_slice(genome.dense()?);
        }
        let seeds = Stream::new(subject.seed, Purpose::EvaluationSeed, subject.generation, SEEDS);
        let mut tags = Batch::new();
        tags.push(SAMPLES, 1, "", "", vec![self.samples; own.len()]);
        let candidates = Candidates {
            total,
            block: own.clone(),
            genomes,
            seeds: own.map(|row| seeds.word64((rows.start + row) as u64)).collect(),
            tags,
            offered: 0..total,
            tests: total..total,
            normalization: subject.normalization.clone(),
            ..Candidates::default()
        };
        let (mut local, mut all, mut unused) = (Batch::new(), Batch::new(), Vec::new());
        let evaluator = self.exact.as_mut().unwrap_or(evaluator);
        evaluator.evaluate(&candidates, subject.archive, &mut local, &mut unused)?;
        if comm.size() == 1 {
            return Ok(local);
        }
        gather_rows(comm, total, &local, &mut all)?;
        Ok(all)
    }
}
