//! How a phase of a generation begins: candidates as if they were new, with their memory kept.

use std::ops::Range;

use illume_core::{Candidates, Context, Purpose, Result, Stream};
use rayon::prelude::*;

/// The operator of candidates that are drawn by the task's own distribution, in strategies of elites.
pub(crate) const RANDOM: i32 = 0;

/// The operator of genomes that a run was given, in strategies of elites: behind all others, and only where there are such.
pub(crate) const START: &str = "start";

/// Writes the operator of given genomes into the rows that are such.
///
/// # Errors
/// Candidates that are not prepared.
pub(crate) fn mark_given(context: &Context<'_>, candidates: &mut Candidates, operators: &[String]) -> Result<()> {
    let given = context.task.given_rows().unwrap_or(0);
    if let Some(start) = operators.iter().position(|name| name == START) {
        let first = candidates.block.start;
        let here = given.saturating_sub(first).min(candidates.block.len());
        candidates.tags.get_mut::<i32>("operator")?[..here].fill(start as i32);
    }
    Ok(())
}

/// Makes candidates fresh for a phase: `total` rows that are all offered, evaluation seeds, the tags `operator` and `parents` to be filled in, and
/// nothing of what the phase before had asked for. The genomes' and tags' memory stays.
pub fn prepare(context: &Context<'_>, total: usize, phase: u64, candidates: &mut Candidates) {
    candidates.total = total;
    candidates.block = context.block(total);
    candidates.offered = 0..total;
    candidates.tests = total..total;
    candidates.uncapped = total..total;
    candidates.crowd = false;
    candidates.competition = false;
    candidates.admitted = total..total;
    candidates.expected_steps.clear();
    candidates.max_steps = None;
    candidates.normalization = None;
    candidates.observed.clear();
    candidates.record = false;
    candidates.features = false;
    candidates.network = None;
    let block = candidates.block.clone();
    evaluation_seeds(
        context.seed,
        context.generation,
        phase,
        block.clone(),
        &mut candidates.seeds,
    );
    candidates.tags.resize(block.len());
    candidates.tags.declare::<i32>(
        "operator",
        1,
        "",
        "variation operator; names in the attribute operators",
    );
    candidates
        .tags
        .declare::<i64>("parents", 2, "", "cells of the parents, -1 for none");
}

/// Random genomes of the task's own distribution, in a block that is prepared; operator 0. In the first generation the first rows are the genomes that the run was given
/// ([`illume_core::TaskSpec::given`]), if it was.
///
/// # Errors
/// Candidates that are not prepared.
pub fn draw_initial(context: &Context<'_>, candidates: &mut Candidates) -> Result<()> {
    let (start, dim) = (candidates.block.start, context.task.genome_dim);
    let genes = candidates.genomes.dense_rows(candidates.block.len(), dim);
    genes.par_chunks_mut(dim).enumerate().for_each(|(i, genes)| {
        let index = (start + i) as u64;
        match context.generation {
            0 => context.task.first(context.seed, index, genes),
            later => {
                let stream = Stream::new(context.seed, Purpose::Init, later, index);
                context.task.init.draw(&stream, genes);
            }
        }
        if let Some(space) = &context.task.genes {
            space.snap(genes);
        }
    });
    candidates.tags.get_mut::<i32>("operator")?.fill(RANDOM);
    candidates.tags.get_mut::<i64>("parents")?.fill(-1);
    Ok(())
}

/// Evaluation seeds of the global rows `rows` in a phase of a generation (phase 0 for the candidates, 1 for re-evaluations).
pub(crate) fn evaluation_seeds(seed: u64, generation: u64, phase: u64, rows: Range<usize>, out: &mut Vec<u64>) {
    let stream = Stream::new(seed, Purpose::EvaluationSeed, generation, phase);
    let mut words = vec![0; 2 * rows.len()];
    stream.words(2 * rows.start as u64, &mut words);
    out.clear();
    out.extend(words.chunks_exact(2).map(|w| u64::from(w[0]) | u64::from(w[1]) << 32));
}
