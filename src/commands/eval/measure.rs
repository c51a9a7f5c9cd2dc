//! What an archive's elites do in fresh episodes.

use std::ops::Range;
use std::sync::Arc;

use illume_archives::centers;
use illume_archives::file::ArchiveFile;
use illume_archives::metrics::{Metrics, measure as of_cells};
use illume_core::{Batch, Candidates, Decoder, Genomes, Normalization, Result};

use super::Subject;
use crate::Evaluator;
use crate::reevaluate::{Trial, candidates, expected, pieces, reevaluate};

/// An archive, and what it is in expectation.
pub(super) struct Measured {
    pub episodes: usize,
    pub elites: usize,
    /// Elites whose fitness and descriptor came out bit for bit as stored.
    pub identical: usize,
    /// Elites without any fresh episode that ended well.
    pub failed: usize,
    pub normalized: bool,
    /// The strategy cut episodes short.
    pub capped: bool,
    pub stored: Metrics,
    pub expected: Metrics,
    /// Mean over elites of the fresh episodes' mean minus the stored fitness.
    pub fitness_change: f64,
    /// Mean over elites of the standard deviation of the fresh episodes' fitness.
    pub fitness_sd: f64,
    /// Mean over elites of the spread of the fresh episodes' descriptors.
    pub descriptor_sd: f64,
    /// Mean over elites of the mean distance of the fresh episodes' descriptors to the stored one.
    pub descriptor_distance: f64,
    /// The same to the center of the elite's cell.
    pub center_distance: f64,
}

pub(super) fn measure(subject: &Subject, episodes: usize) -> Result<Measured> {
    let file = &subject.file;
    let normalization = normalization(file)?;
    let source = |rows| elites(subject, rows, normalization.clone());
    let mut evaluator = Evaluator::new(subject.task.as_ref())?;
    let identical = replay(subject, &mut evaluator, source)?;

    let (fitness, cells) = (file.elites.get::<f64>("fitness")?, file.elites.get::<i64>("cell")?);
    let centers = centers(&file.spec, cells);
    let trial = Trial {
        episodes,
        seeds: file.elites.get("seed")?,
        targets: &[file.elites.get("descriptor")?, &centers],
    };
    let archive = subject.archive.as_ref();
    let rows = reevaluate(&mut evaluator, archive, &trial, file.genome_dim, source)?;
    let expected = expected(archive, &rows);
    let change: Vec<f64> = rows
        .fitness
        .iter()
        .zip(fitness)
        .map(|(mean, stored)| mean - stored)
        .collect();
    Ok(Measured {
        episodes,
        elites: file.rows(),
        identical,
        failed: rows.episodes.iter().filter(|&&n| n == 0).count(),
        normalized: normalization.is_some(),
        capped: (subject.config.strategy.get("episode_cap")).is_some_and(|cap| cap.as_str() == Some("adaptive")),
        stored: file.metrics(),
        expected: of_cells(&expected.fitness, file.spec.qd_offset),
        fitness_change: mean(&change),
        fitness_sd: mean(&rows.fitness_sd),
        descriptor_sd: mean(&rows.descriptor_sd),
        descriptor_distance: mean(&rows.distances[0]),
        center_distance: mean(&rows.distances[1]),
    })
}

/// Mean of the values that are there; NaN if none is.
fn mean(values: &[f64]) -> f64 {
    let known = || values.iter().filter(|x| !x.is_nan());
    known().sum::<f64>() / known().count() as f64
}

/// How many elites come out bit for bit as stored under their own seeds.
fn replay(
    subject: &Subject,
    evaluator: &mut Evaluator<'_>,
    source: impl Fn(Range<usize>) -> Result<Candidates>,
) -> Result<usize> {
    let (elites, k) = (&subject.file.elites, subject.file.spec.axes.len());
    let (fitness, descriptor) = (elites.get::<f64>("fitness")?, elites.get::<f64>("descriptor")?);
    let seeds = elites.get::<u64>("seed")?;
    let (mut scored, mut unused, mut identical) = (Batch::new(), Vec::new(), 0);
    for rows in pieces(elites.rows(), subject.file.genome_dim) {
        let mut candidates = source(rows.clone())?;
        candidates.seeds.copy_from_slice(&seeds[rows.clone()]);
        evaluator.evaluate(&candidates, subject.archive.as_ref(), &mut scored, &mut unused)?;
        let (new_fitness, new_descriptor) = (scored.get::<f64>("fitness")?, scored.get::<f64>("descriptor")?);
        identical += rows
            .enumerate()
            .filter(|&(i, at)| {
                new_fitness[i].to_bits() == fitness[at].to_bits()
                    && new_descriptor[i * k..(i + 1) * k] == descriptor[at * k..(at + 1) * k]
            })
            .count();
    }
    Ok(identical)
}

/// Statistics by which the run normalized observations at its end.
fn normalization(file: &ArchiveFile) -> Result<Option<Arc<Normalization>>> {
    let Some(solution) = file.solution()? else {
        return Ok(None);
    };
    let (Ok(mean), Ok(sd)) = (
        solution.get::<f32>("observation_mean"),
        solution.get::<f32>("observation_sd"),
    ) else {
        return Ok(None);
    };
    let clip = solution
        .get::<f32>("observation_clip")?
        .first()
        .copied()
        .unwrap_or(f32::INFINITY);
    Ok(Some(Arc::new(Normalization {
        mean: mean.to_vec(),
        sd: sd.to_vec(),
        clip,
    })))
}

fn elites(subject: &Subject, rows: Range<usize>, normalization: Option<Arc<Normalization>>) -> Result<Candidates> {
    let (file, spec, n) = (&subject.file, subject.task.spec(), rows.len());
    let mut genomes = file.genomes(rows)?;
    if let Genomes::Lineage(lineages) = &mut genomes {
        lineages.decoder = Some(Arc::new(Decoder {
            seed: file.attributes.seed,
            dim: file.genome_dim,
            init: spec.init.clone(),
            bounds: spec.bounds,
            parents: Default::default(),
        }));
    }
    Ok(candidates(genomes, n, normalization))
}
