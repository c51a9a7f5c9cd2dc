//! `illume eval`: elites evaluated again. Is the archive reproducible, and what is it worth without the luck of the draw?

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use illume_archives::file::{self, ArchiveFile};
use illume_archives::metrics::{Metrics, measure};
use illume_core::{
    Archive, Batch, Candidates, Decoder, Error, Genomes, InsertReport, Normalization, Result, Status, Task, mix64,
};
use serde_json::{Value, json};

use crate::output::{significant, thousands};
use crate::{Config, Evaluator, registry};

/// What `illume eval` was asked.
pub struct EvalOptions {
    /// Fresh episodes of each elite.
    pub episodes: usize,
    pub json: bool,
}

/// Genes that are decoded or read at a time.
const GENES_AT_ONCE: usize = 1 << 24;

/// The text that `illume eval PATH` prints.
///
/// Every elite is evaluated once with the seed under which it was found (which must give the very same fitness), then
/// `episodes` times with fresh seeds. The corrected archive holds each elite at its mean fitness and mean descriptor.
///
/// # Errors
/// No archive, an archive of a task that cannot be built here.
pub fn eval(path: &Path, options: &EvalOptions) -> Result<String> {
    let path = super::archive_path(path)?;
    let file = file::open(&path)?;
    let config = Config::parse(
        &file.attributes.config,
        &format!("{} (its configuration)", path.display()),
        &[],
    )?;
    let task = registry::task(&config)?;
    if task.spec().genome_dim != file.genome_dim {
        return Err(Error::input(format!(
            "{} holds genomes of {} genes, those of task \"{}\" have {}",
            path.display(),
            file.genome_dim,
            task.spec().name,
            task.spec().genome_dim
        )));
    }
    let (_, mut corrected) = registry::strategy_and_archive(&config, task.spec())?;
    let normalization = normalization(&file)?;
    let mut result = evaluate(
        &file,
        task.as_ref(),
        corrected.as_mut(),
        normalization,
        options.episodes,
    )?;
    result.capped = config
        .strategy
        .get("episode_cap")
        .is_some_and(|cap| cap.as_str() == Some("adaptive"));
    let corrected = measure(&corrected.elites().fitness, file.spec.qd_offset);
    let stored = file.metrics();
    Ok(if options.json {
        serde_json::to_string_pretty(&fields(&result, &stored, &corrected, options)).unwrap_or_default() + "\n"
    } else {
        text(&result, &stored, &corrected, options)
    })
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

#[derive(Debug, Default)]
struct Reevaluation {
    elites: usize,
    /// Elites whose fitness and descriptor came out bit for bit as stored.
    identical: usize,
    failed: usize,
    normalized: bool,
    /// The strategy cut episodes short.
    capped: bool,
    /// Mean over elites of the fresh episodes' mean minus the stored fitness.
    fitness_change: f64,
    /// Mean over elites of the standard deviation of the fresh episodes' fitness.
    fitness_sd: f64,
    /// Mean over elites of the distance of the fresh episodes' mean descriptor to the stored one.
    descriptor_distance: f64,
    max_fitness: f64,
}

/// One elite's fresh episodes.
#[derive(Clone, Default)]
struct Sums {
    count: f64,
    fitness: f64,
    squares: f64,
    descriptor: Vec<f64>,
}

fn evaluate(
    file: &ArchiveFile,
    task: &dyn Task,
    corrected: &mut dyn Archive,
    normalization: Option<Arc<Normalization>>,
    episodes: usize,
) -> Result<Reevaluation> {
    let mut evaluator = Evaluator::new(task)?;
    let k = task.spec().descriptor_dim();
    let (fitness, descriptor) = (
        file.elites.get::<f64>("fitness")?,
        file.elites.get::<f64>("descriptor")?,
    );
    let seeds = file.elites.get::<u64>("seed")?;
    let mut result = Reevaluation {
        normalized: normalization.is_some(),
        max_fitness: f64::NAN,
        ..Reevaluation::default()
    };
    let step = (GENES_AT_ONCE / file.genome_dim.max(1)).max(1);
    let mut report = InsertReport::default();
    for start in (0..file.rows()).step_by(step) {
        let rows = start..(start + step).min(file.rows());
        let mut candidates = candidates(file, task, rows.clone(), normalization.clone())?;
        candidates.seeds.copy_from_slice(&seeds[rows.clone()]);
        let (mut scored, mut unused) = (Batch::new(), Vec::new());
        evaluator.evaluate(&candidates, corrected, &mut scored, &mut unused)?;
        let same = |i: usize| -> Result<bool> {
            let at = rows.start + i;
            Ok(scored.get::<f64>("fitness")?[i].to_bits() == fitness[at].to_bits()
                && scored.get::<f64>("descriptor")?[i * k..(i + 1) * k] == descriptor[at * k..(at + 1) * k])
        };
        for i in 0..rows.len() {
            result.identical += usize::from(same(i)?);
        }
        let mut sums = vec![
            Sums {
                descriptor: vec![0.0; k],
                ..Sums::default()
            };
            rows.len()
        ];
        for episode in 0..episodes {
            for (seed, &stored) in candidates.seeds.iter_mut().zip(&seeds[rows.clone()]) {
                *seed = mix64(stored ^ (episode as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            }
            evaluator.evaluate(&candidates, corrected, &mut scored, &mut unused)?;
            add(&mut sums, &scored, k)?;
        }
        insert_means(&sums, &candidates, corrected, &mut report, k)?;
        for (s, at) in sums.iter().zip(rows) {
            result.elites += 1;
            if s.count == 0.0 {
                result.failed += 1;
                continue;
            }
            let mean = s.fitness / s.count;
            result.fitness_change += mean - fitness[at];
            result.fitness_sd += (s.squares / s.count - mean * mean).max(0.0).sqrt();
            let stored = &descriptor[at * k..(at + 1) * k];
            let squared: f64 = s
                .descriptor
                .iter()
                .zip(stored)
                .map(|(d, x)| (d / s.count - x).powi(2))
                .sum();
            result.descriptor_distance += squared.sqrt();
            result.max_fitness = result.max_fitness.max(mean);
        }
    }
    let n = (result.elites - result.failed).max(1) as f64;
    result.fitness_change /= n;
    result.fitness_sd /= n;
    result.descriptor_distance /= n;
    Ok(result)
}

fn candidates(
    file: &ArchiveFile,
    task: &dyn Task,
    rows: Range<usize>,
    normalization: Option<Arc<Normalization>>,
) -> Result<Candidates> {
    let mut genomes = file.genomes(rows.clone())?;
    if let Genomes::Lineage(lineages) = &mut genomes {
        let (seed, dim, init) = (file.attributes.seed, file.genome_dim, task.spec().init.clone());
        lineages.decoder = Some(Arc::new(Decoder {
            seed,
            dim,
            init,
            bounds: task.spec().bounds,
            parents: Default::default(),
        }));
    }
    let n = rows.len();
    let mut tags = Batch::new();
    tags.push("operator", 1, "", "", vec![0i32; n]);
    tags.push("parents", 2, "", "", vec![-1i64; 2 * n]);
    let seeds = vec![0; n];
    Ok(Candidates {
        total: n,
        block: 0..n,
        offered: 0..n,
        genomes,
        seeds,
        tags,
        normalization,
        ..Candidates::default()
    })
}

fn add(sums: &mut [Sums], scored: &Batch, k: usize) -> Result<()> {
    let (status, fitness) = (scored.get::<u8>("status")?, scored.get::<f64>("fitness")?);
    let descriptor = scored.get::<f64>("descriptor")?;
    for (i, s) in sums
        .iter_mut()
        .enumerate()
        .filter(|(i, _)| status[*i] == Status::Ok as u8)
    {
        s.count += 1.0;
        s.fitness += fitness[i];
        s.squares += fitness[i] * fitness[i];
        s.descriptor
            .iter_mut()
            .zip(&descriptor[i * k..(i + 1) * k])
            .for_each(|(a, b)| *a += b);
    }
    Ok(())
}

/// Offers every elite to the corrected archive at its means; one without a good episode is left out.
fn insert_means(
    sums: &[Sums],
    candidates: &Candidates,
    corrected: &mut dyn Archive,
    report: &mut InsertReport,
    k: usize,
) -> Result<()> {
    let n = sums.len();
    let descriptor: Vec<f64> = sums
        .iter()
        .flat_map(|s| s.descriptor.iter().map(|d| d / s.count.max(1.0)))
        .collect();
    let mut cells = vec![-1; n];
    corrected.locate(&descriptor, &mut cells);
    let failed = |s: &Sums| {
        if s.count > 0.0 {
            Status::Ok as u8
        } else {
            Status::Failed as u8
        }
    };
    let mut rows = Batch::new();
    rows.push("status", 1, "", "", sums.iter().map(failed).collect());
    rows.push(
        "fitness",
        1,
        "",
        "",
        sums.iter().map(|s| s.fitness / s.count.max(1.0)).collect(),
    );
    rows.push("descriptor", k, "", "", descriptor);
    rows.push("cell", 1, "", "", cells);
    rows.push("seed", 1, "", "", candidates.seeds.clone());
    candidates
        .tags
        .columns()
        .iter()
        .for_each(|c| rows.push_column(c.clone()));
    corrected.insert(&rows, 0..n, &candidates.genomes, 0, &illume_cluster::Solo, report)
}

fn fields(r: &Reevaluation, stored: &Metrics, corrected: &Metrics, options: &EvalOptions) -> Value {
    let number = |x: f64| if x.is_finite() { json!(x) } else { Value::Null };
    let kept = |new: f64, old: f64| {
        if old == 0.0 {
            Value::Null
        } else {
            number(100.0 * new / old)
        }
    };
    json!({
        "elites": r.elites,
        "identical": r.identical,
        "failed": r.failed,
        "episodes": options.episodes,
        "qd_score": stored.qd_score,
        "corrected_qd_score": corrected.qd_score,
        "qd_score_kept_percent": kept(corrected.qd_score, stored.qd_score),
        "coverage": stored.coverage,
        "corrected_coverage": corrected.coverage,
        "coverage_kept_percent": kept(corrected.coverage, stored.coverage),
        "max_fitness": number(stored.max_fitness),
        "corrected_max_fitness": number(r.max_fitness),
        "mean_fitness_change": number(r.fitness_change),
        "mean_fitness_sd": number(r.fitness_sd),
        "mean_descriptor_distance": number(r.descriptor_distance),
    })
}

fn text(r: &Reevaluation, stored: &Metrics, corrected: &Metrics, options: &EvalOptions) -> String {
    let kept = |new: f64, old: f64| {
        if old == 0.0 {
            String::new()
        } else {
            format!(" ({:.1} % kept)", 100.0 * new / old)
        }
    };
    let elites = thousands(r.elites as u64);
    let mut text = format!(
        "replayed     {} of {elites} elites give the very same fitness and descriptor under their own seed\n",
        thousands(r.identical as u64)
    );
    if r.normalized {
        text += "             (observations were normalized by the run's last statistics, not by those of the day)\n";
    }
    if r.capped {
        text += "             (the strategy capped its episodes; here they have the task's own length)\n";
    }
    text += &format!(
        "fresh        {} episodes an elite: fitness changes by {} on average, spread {}, descriptor moves by {}\n",
        options.episodes,
        significant(r.fitness_change),
        significant(r.fitness_sd),
        significant(r.descriptor_distance)
    );
    if r.failed > 0 {
        text += &format!(
            "failed       {} elites have no episode that ended well\n",
            thousands(r.failed as u64)
        );
    }
    let (old, new) = (stored.qd_score, corrected.qd_score);
    text += &format!(
        "QD score     {} stored, {} corrected{}\n",
        significant(old),
        significant(new),
        kept(new, old)
    );
    let (old, new) = (stored.coverage, corrected.coverage);
    text += &format!(
        "coverage     {:.2} % stored, {:.2} % corrected{}\n",
        100.0 * old,
        100.0 * new,
        kept(new, old)
    );
    text += &format!(
        "best fitness {} stored, {} corrected\n",
        significant(stored.max_fitness),
        significant(r.max_fitness)
    );
    text
}
