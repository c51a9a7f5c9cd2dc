//! What `illume eval` prints.

use serde_json::{Value, json};

use std::path::Path;

use crate::engine::output::{json_text, percent, share_with_error, significant, table, thousands, with_error};
use illume_archives::file::Evaluation;

/// The documented fields of `--json`, for the evaluation in this file; a number that does not exist is null.
pub(crate) fn json(file: &Path, e: &Evaluation) -> String {
    let number = |x: f64| if x.is_finite() { json!(x) } else { Value::Null };
    let kept = |new: f64, old: f64| number(100.0 * new / old);
    let t = &e.totals;
    let fields = json!({
        "file": file.display().to_string(),
        "archive": e.archive,
        "task": e.task,
        "strategy": e.strategy,
        "seed": e.seed,
        "generation": e.generation,
        "evaluations": e.evaluations,
        "episodes": e.episodes,
        "elites": t.elites,
        "identical": t.identical,
        "failed": t.failed,
        "qd_score": number(t.qd_score),
        "expected_qd_score": number(t.expected_qd_score),
        "expected_qd_score_se": number(t.expected_qd_score_se),
        "expected_qd_score_kept_percent": kept(t.expected_qd_score, t.qd_score),
        "corrected_qd_score": number(t.corrected_qd_score),
        "corrected_qd_score_se": number(t.corrected_qd_score_se),
        "corrected_qd_score_kept_percent": kept(t.corrected_qd_score, t.qd_score),
        "coverage": number(t.coverage),
        "expected_coverage": number(t.expected_coverage),
        "expected_coverage_se": number(t.expected_coverage_se),
        "expected_coverage_kept_percent": kept(t.expected_coverage, t.coverage),
        "corrected_coverage": number(t.corrected_coverage),
        "corrected_coverage_se": number(t.corrected_coverage_se),
        "corrected_coverage_kept_percent": kept(t.corrected_coverage, t.coverage),
        "max_fitness": number(t.max_fitness),
        "expected_max_fitness": number(t.expected_max_fitness),
        "expected_max_fitness_se": number(t.expected_max_fitness_se),
        "corrected_max_fitness": number(t.corrected_max_fitness),
        "corrected_max_fitness_se": number(t.corrected_max_fitness_se),
        "mean_fitness_change": number(t.mean_fitness_change),
        "mean_fitness_sd": number(t.mean_fitness_sd),
        "mean_descriptor_sd": number(t.mean_descriptor_sd),
        "mean_descriptor_distance": number(t.mean_descriptor_distance),
        "mean_center_distance": number(t.mean_center_distance),
    });
    json_text(&fields)
}

/// What was found, in a few lines; `notes` is what a reader should know of how.
pub(crate) fn text(e: &Evaluation, notes: &[String]) -> String {
    let m = &e.totals;
    let elites = thousands(m.elites);
    let mut text = format!(
        "replayed     {} of {elites} elites give the very same fitness and descriptor under their own seed\n",
        thousands(m.identical)
    );
    for note in notes {
        text += &format!("             ({note})\n");
    }
    text += &format!(
        "fresh        {} {} an elite: fitness changes by {} on average, spread {}\n",
        e.episodes,
        if e.episodes == 1 { "episode" } else { "episodes" },
        significant(m.mean_fitness_change),
        significant(m.mean_fitness_sd),
    );
    text += &format!(
        "descriptor   {} from the stored one on average{}, spread {}\n",
        significant(m.mean_descriptor_distance),
        if m.mean_center_distance.is_nan() {
            String::new()
        } else {
            format!(", {} from the center of its cell", significant(m.mean_center_distance))
        },
        significant(m.mean_descriptor_sd),
    );
    if m.failed > 0 {
        text += &format!(
            "failed       {} elites have no episode that ended well\n",
            thousands(m.failed)
        );
    }
    text + &scores(e)
}

/// Stored, expected and corrected side by side.
fn scores(e: &Evaluation) -> String {
    let m = &e.totals;
    let kept = |new: f64, old: f64| match old {
        0.0 => String::new(),
        _ => format!(" ({:.1} % kept)", 100.0 * new / old),
    };
    let mut rows = vec![["", "stored", "expected", "corrected"].map(String::from)];
    // An unstructured archive has no cells, so neither.
    if m.coverage.is_finite() {
        let old = m.qd_score;
        let with = |new, se| with_error(new, se) + &kept(new, old);
        rows.push([
            "QD score".into(),
            significant(old),
            with(m.expected_qd_score, m.expected_qd_score_se),
            with(m.corrected_qd_score, m.corrected_qd_score_se),
        ]);
        let old = m.coverage;
        let with = |new: f64, se: f64| share_with_error(new, se) + &kept(new, old);
        rows.push([
            "coverage".into(),
            percent(old),
            with(m.expected_coverage, m.expected_coverage_se),
            with(m.corrected_coverage, m.corrected_coverage_se),
        ]);
    }
    rows.push([
        "best fitness".into(),
        significant(m.max_fitness),
        with_error(m.expected_max_fitness, m.expected_max_fitness_se),
        with_error(m.corrected_max_fitness, m.corrected_max_fitness_se),
    ]);
    let errors = match m.expected_max_fitness_se.is_nan() {
        true => "no standard errors are known",
        false => "±: a standard error, of other episodes of these elites",
    };
    let meaning = format!(
        "             (expected: each elite in its cell, at its mean fitness; corrected: elites put anew where their mean descriptors lie,\n             \
         of each cell the best; {errors})\n"
    );
    table(&rows) + &meaning
}
