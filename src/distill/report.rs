//! How much of an archive a policy keeps: both evaluated again from the same starts, side by side.

use illume_archives::centers;
use illume_archives::metrics::{Metrics, measure};
use illume_core::Result;
use serde_json::{Value, json};

use super::rollout::Experts;
use super::student::Student;
use crate::Evaluator;
use crate::commands::eval::elites;
use crate::output::{significant, thousands};
use crate::reevaluate::{Expected, Reevaluated, Trial, expected, reevaluate};

/// What an archive's elites do in fresh episodes, or a policy asked for their descriptors.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// One row for each elite, in the archive's order.
    pub rows: Reevaluated,
    /// Where the rows fall by what they really do.
    pub reached: Expected,
    /// Of the archive that results from that.
    pub metrics: Metrics,
    /// Sum over the requested cells of mean fitness plus offset, wherever the episodes ended up: the papers' expected QD score.
    pub requested_qd_score: f64,
    /// Mean distance from the elite's stored descriptor to the achieved one.
    pub descriptor_distance: f64,
    /// The same from the center of the elite's cell.
    pub center_distance: f64,
    /// Requests without any episode that ended well.
    pub failed: usize,
}

/// An archive and the policy distilled from it.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub episodes: usize,
    /// Filled cells, each of which is requested.
    pub requests: usize,
    pub stored: Metrics,
    pub qd_offset: f64,
    /// Length of the diagonal of the descriptor's bounds.
    pub range: f64,
    pub archive: Side,
    pub policy: Side,
}

/// Evaluates elites and policy again over `episodes` episodes with the same seeds.
///
/// # Errors
/// The archive's genomes cannot be read.
pub fn compare(
    experts: &Experts<'_>,
    evaluator: &mut Evaluator<'_>,
    student: &Student,
    episodes: usize,
) -> Result<Comparison> {
    let (subject, file) = (experts.subject, &experts.subject.file);
    let (archive, k) = (subject.archive.as_ref(), file.spec.axes.len());
    let centers = centers(&file.spec, file.elites.get("cell")?);
    let trial = Trial {
        episodes,
        seeds: file.elites.get("seed")?,
        targets: &[file.elites.get("descriptor")?, &centers],
    };
    let side = |rows: Reevaluated| {
        let reached = expected(archive, &rows);
        let metrics = measure(&reached.fitness, file.spec.qd_offset);
        Side {
            requested_qd_score: measure(&rows.fitness, file.spec.qd_offset).qd_score,
            descriptor_distance: mean(&rows.distances[0]),
            center_distance: mean(&rows.distances[1]),
            failed: rows.episodes.iter().filter(|&&n| n == 0).count(),
            rows,
            reached,
            metrics,
        }
    };
    let teachers = |rows| elites(subject, rows, experts.normalization.clone());
    let of_archive = side(reevaluate(evaluator, archive, &trial, file.genome_dim, teachers)?);
    let genes = student.folded(k).params();
    let asked = |rows| Ok(student.candidates(&experts.conditions, k, rows));
    let of_policy = side(reevaluate(evaluator, archive, &trial, genes, asked)?);
    let squares = file.spec.axes.iter().map(|a| (a.upper - a.lower).powi(2));
    Ok(Comparison {
        episodes,
        requests: file.rows(),
        stored: file.metrics(),
        qd_offset: file.spec.qd_offset,
        range: squares.sum::<f64>().sqrt(),
        archive: of_archive,
        policy: of_policy,
    })
}

/// Mean of the values that are there; NaN if none is.
fn mean(values: &[f64]) -> f64 {
    let known = || values.iter().filter(|x| !x.is_nan());
    known().sum::<f64>() / known().count() as f64
}

impl Comparison {
    /// What the policy keeps of the archive as re-evaluated, in percent: QD score, coverage, best fitness plus offset, QD score of
    /// the requests.
    pub fn kept(&self) -> [f64; 4] {
        let (a, p) = (&self.archive, &self.policy);
        let best = |m: &Metrics| m.max_fitness + self.qd_offset;
        [
            (p.metrics.qd_score, a.metrics.qd_score),
            (p.metrics.coverage, a.metrics.coverage),
            (best(&p.metrics), best(&a.metrics)),
            (p.requested_qd_score, a.requested_qd_score),
        ]
        .map(|(new, old)| 100.0 * new / old)
    }

    /// The documented fields of `report.json`.
    pub fn json(&self) -> Value {
        let number = |x: f64| if x.is_finite() { json!(x) } else { Value::Null };
        let side = |s: &Side| {
            json!({
                "qd_score": s.metrics.qd_score,
                "coverage": s.metrics.coverage,
                "filled": s.metrics.filled,
                "max_fitness": number(s.metrics.max_fitness),
                "requested_qd_score": number(s.requested_qd_score),
                "mean_descriptor_distance": number(s.descriptor_distance),
                "mean_descriptor_distance_percent": number(100.0 * s.descriptor_distance / self.range),
                "mean_center_distance": number(s.center_distance),
                "failed": s.failed,
            })
        };
        let [qd_score, coverage, best, requested] = self.kept().map(number);
        json!({
            "episodes": self.episodes,
            "requests": self.requests,
            "stored": {
                "qd_score": self.stored.qd_score,
                "coverage": self.stored.coverage,
                "filled": self.stored.filled,
                "max_fitness": number(self.stored.max_fitness),
            },
            "archive": side(&self.archive),
            "policy": side(&self.policy),
            "qd_score_kept_percent": qd_score,
            "coverage_kept_percent": coverage,
            "max_fitness_kept_percent": best,
            "requested_qd_score_kept_percent": requested,
        })
    }

    /// The same for people.
    pub fn text(&self) -> String {
        let [qd_score, coverage, best, requested] = self.kept();
        let (s, a, p) = (&self.stored, &self.archive, &self.policy);
        let percent = |x: f64| format!("{:.2} %", 100.0 * x);
        let kept = |x: f64| if x.is_finite() { format!("{x:.1} %") } else { "-".into() };
        let relative = |x: f64| format!("{} ({:.1} %)", significant(x), 100.0 * x / self.range);
        let rows = [
            ["", "stored", "archive", "policy", "kept"].map(String::from),
            [
                "QD score".into(),
                significant(s.qd_score),
                significant(a.metrics.qd_score),
                significant(p.metrics.qd_score),
                kept(qd_score),
            ],
            [
                "coverage".into(),
                percent(s.coverage),
                percent(a.metrics.coverage),
                percent(p.metrics.coverage),
                kept(coverage),
            ],
            [
                "best fitness".into(),
                significant(s.max_fitness),
                significant(a.metrics.max_fitness),
                significant(p.metrics.max_fitness),
                kept(best),
            ],
            [
                "as requested".into(),
                String::new(),
                significant(a.requested_qd_score),
                significant(p.requested_qd_score),
                kept(requested),
            ],
            [
                "distance".into(),
                String::new(),
                relative(a.descriptor_distance),
                relative(p.descriptor_distance),
                String::new(),
            ],
        ];
        let mut text = format!(
            "{} descriptors requested, {} {} each; archive and policy from the same starts\n",
            thousands(self.requests as u64),
            self.episodes,
            if self.episodes == 1 { "episode" } else { "episodes" },
        );
        for [name, cells @ ..] in &rows {
            text += format!("{name:13}{}", cells.each_ref().map(|c| format!("{c:>20}")).concat()).trim_end();
            text += "\n";
        }
        for (name, side) in [("archive", a), ("policy", p)] {
            if side.failed > 0 {
                text += &format!(
                    "{name}: {} requests have no episode that ended well\n",
                    thousands(side.failed as u64)
                );
            }
        }
        text
    }
}
