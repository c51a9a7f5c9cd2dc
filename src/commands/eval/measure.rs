//! What an archive's elites do in fresh episodes.

use std::ops::Range;

use illume_archives::centers;
use illume_archives::file::{ArchiveFile, Evaluation, Totals};
use illume_core::{Batch, Candidates, Result};

use crate::Evaluator;
use crate::analysis::reevaluate::{Reevaluated, Scores, Trial, pieces, reevaluate, scores};
use crate::analysis::subject::{Subject, elites, normalization};

/// Evaluates an archive's elites; with what a reader of the result should know.
pub(super) fn measure(subject: &Subject, episodes: usize) -> Result<(Evaluation, Vec<String>)> {
    let file = &subject.file;
    let normalization = normalization(file)?;
    let source = |rows| elites(subject, rows, normalization.clone());
    let mut evaluator = Evaluator::new(subject.task.as_ref())?;
    let identical = replay(subject, &mut evaluator, source)?;

    let centers = centers(&file.spec, file.elites.get("cell")?);
    let trial = Trial {
        episodes,
        seeds: file.elites.get("seed")?,
        targets: &[file.elites.get("descriptor")?, &centers],
    };
    let archive = subject.archive.as_ref();
    let rows = reevaluate(&mut evaluator, archive, &trial, file.genome_dim, source)?;
    let scores = scores(archive, &rows, trial.seeds);

    let mut notes = subject.notes();
    if normalization.is_some() {
        notes.push("observations were normalized by the run's last statistics, not by those of the day".into());
    }
    let a = &file.attributes;
    let evaluation = Evaluation {
        software_version: env!("CARGO_PKG_VERSION").into(),
        created: crate::engine::log::now(),
        archive: file.path().display().to_string(),
        task: a.task.clone(),
        strategy: a.strategy.clone(),
        seed: a.seed,
        generation: a.generation,
        evaluations: a.evaluations,
        episodes: episodes as u64,
        cells: file.spec.capacity as u64,
        qd_offset: file.spec.qd_offset,
        axes: file.spec.axes.iter().map(|axis| axis.name.clone()).collect(),
        totals: totals(file, &identical, &rows, &scores)?,
        elites: columns(file, identical, rows, scores)?,
    };
    Ok((evaluation, notes))
}

fn totals(file: &ArchiveFile, identical: &[u8], rows: &Reevaluated, scores: &Scores) -> Result<Totals> {
    let (stored_as, expected, corrected) = (file.metrics(), &scores.expected, &scores.corrected);
    let stored = file.elites.get::<f64>("fitness")?;
    let change: Vec<f64> = rows.fitness.iter().zip(stored).map(|(new, old)| new - old).collect();
    Ok(Totals {
        elites: identical.len() as u64,
        identical: identical.iter().map(|&same| u64::from(same)).sum(),
        failed: rows.episodes.iter().filter(|&&n| n == 0).count() as u64,
        qd_score: stored_as.qd_score,
        expected_qd_score: expected.metrics.qd_score,
        expected_qd_score_se: expected.se.qd_score,
        corrected_qd_score: corrected.metrics.qd_score,
        corrected_qd_score_se: corrected.se.qd_score,
        coverage: stored_as.coverage,
        expected_coverage: expected.metrics.coverage,
        expected_coverage_se: expected.se.coverage,
        corrected_coverage: corrected.metrics.coverage,
        corrected_coverage_se: corrected.se.coverage,
        max_fitness: stored_as.max_fitness,
        expected_max_fitness: expected.metrics.max_fitness,
        expected_max_fitness_se: expected.se.max_fitness,
        corrected_max_fitness: corrected.metrics.max_fitness,
        corrected_max_fitness_se: corrected.se.max_fitness,
        mean_fitness_change: mean(&change),
        mean_fitness_sd: mean(&rows.fitness_sd),
        mean_descriptor_sd: mean(&rows.descriptor_sd),
        mean_descriptor_distance: mean(&rows.distances[0]),
        mean_center_distance: mean(&rows.distances[1]),
    })
}

/// What is known of each elite, as docs/format.md lists it.
fn columns(file: &ArchiveFile, identical: Vec<u8>, rows: Reevaluated, scores: Scores) -> Result<Batch> {
    let (k, elites, unit) = (file.spec.axes.len(), &file.elites, file.spec.unit());
    let [descriptor_distance, center_distance] =
        <[Vec<f64>; 2]>::try_from(rows.distances).expect("as many distances as targets");
    let mut b = Batch::new();
    for name in ["cell", "fitness", "descriptor", "seed"] {
        let mut column = elites.find(name).expect("every archive has it").clone();
        if name == "descriptor" {
            column.unit = unit.into();
        }
        column.description += ", as stored in the archive";
        b.push_column(column);
    }
    let mut f64s = |name: &str, width: usize, unit: &str, description: &str, values: Vec<f64>| {
        b.push(name, width, unit, description, values);
    };
    f64s(
        "expected_fitness",
        1,
        "",
        "mean fitness over the fresh episodes",
        rows.fitness,
    );
    f64s(
        "fitness_sd",
        1,
        "",
        "standard deviation of the fitness over the fresh episodes (divided by their number)",
        rows.fitness_sd,
    );
    f64s(
        "expected_descriptor",
        k,
        unit,
        "mean descriptor over the fresh episodes",
        rows.descriptor,
    );
    f64s(
        "descriptor_sd",
        1,
        unit,
        "root mean square distance of the fresh episodes' descriptors to their mean",
        rows.descriptor_sd,
    );
    f64s(
        "descriptor_distance",
        1,
        unit,
        "mean over the fresh episodes of the distance of their descriptor to the stored one",
        descriptor_distance,
    );
    f64s(
        "center_distance",
        1,
        unit,
        "mean over the fresh episodes of the distance of their descriptor to the center of the elite's cell",
        center_distance,
    );
    b.push(
        "corrected_cell",
        1,
        "",
        "cell of the mean descriptor, -1 for none",
        scores.cells,
    );
    b.push(
        "episodes",
        1,
        "",
        "fresh episodes that ended well; the others count nowhere",
        rows.episodes,
    );
    b.push(
        "identical",
        1,
        "",
        "1 if its own seed gave fitness and descriptor bit for bit as stored",
        identical,
    );
    Ok(b)
}

/// Mean of the values that are there; NaN if none is.
fn mean(values: &[f64]) -> f64 {
    let known = || values.iter().filter(|x| !x.is_nan());
    known().sum::<f64>() / known().count() as f64
}

/// Which elites (1) come out bit for bit as stored under their own seeds.
fn replay(
    subject: &Subject,
    evaluator: &mut Evaluator<'_>,
    source: impl Fn(Range<usize>) -> Result<Candidates>,
) -> Result<Vec<u8>> {
    let (elites, k) = (&subject.file.elites, subject.file.spec.axes.len());
    let (fitness, descriptor) = (elites.get::<f64>("fitness")?, elites.get::<f64>("descriptor")?);
    let seeds = elites.get::<u64>("seed")?;
    let (mut scored, mut unused, mut identical) = (Batch::new(), Vec::new(), Vec::new());
    for rows in pieces(elites.rows(), subject.file.genome_dim) {
        let mut candidates = source(rows.clone())?;
        candidates.seeds.copy_from_slice(&seeds[rows.clone()]);
        evaluator.evaluate(&candidates, subject.archive.as_ref(), &mut scored, &mut unused)?;
        let (new_fitness, new_descriptor) = (scored.get::<f64>("fitness")?, scored.get::<f64>("descriptor")?);
        identical.extend(rows.enumerate().map(|(i, at)| {
            let same = new_fitness[i].to_bits() == fitness[at].to_bits()
                && new_descriptor[i * k..(i + 1) * k] == descriptor[at * k..(at + 1) * k];
            u8::from(same)
        }));
    }
    Ok(identical)
}
