//! How much of an archive a policy keeps: both evaluated again from the same starts, side by side.

use illume_archives::centers;
use illume_archives::metrics::Metrics;
use illume_core::{Candidates, Result};
use serde_json::{Map, Value, json};

use super::rollout::Experts;
use super::student::{Student, scaled};
use crate::Evaluator;
use crate::analysis::reevaluate::{Reevaluated, Score, Scores, Trial, reevaluate, scores};
use crate::analysis::subject::elites;
use crate::engine::output::{share_with_error, significant, table, thousands, with_error};

/// What an archive's elites do in fresh episodes, or a policy asked for descriptors in their place.
#[derive(Debug, Clone, PartialEq)]
pub struct Side {
    /// One row for each elite, in the archive's order.
    pub rows: Reevaluated,
    /// What the rows are worth: expected as asked for, corrected where they really lead.
    pub scores: Scores,
    /// Mean distance from the requested descriptor to the achieved one; of an elite the requested one is its stored descriptor.
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
    /// Asked for the elites' stored descriptors.
    pub policy: Side,
    /// Asked for the centers of the elites' cells instead, as the evaluations of DCG- and DCRL-MAP-Elites ask their actors: for all
    /// centers there, of which those of empty cells are left out (`main_reproducibility.py` of DCRL-MAP-Elites, lines 195 to 223).
    pub policy_at_centers: Side,
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
    let side = |rows: Reevaluated| Side {
        scores: scores(archive, &rows, trial.seeds),
        descriptor_distance: mean(&rows.distances[0]),
        center_distance: mean(&rows.distances[1]),
        failed: rows.episodes.iter().filter(|&&n| n == 0).count(),
        rows,
    };
    let teachers = |rows| elites(subject, rows, experts.normalization.clone());
    let of_archive = side(reevaluate(evaluator, archive, &trial, file.genome_dim, teachers)?);
    let genes = student.net.folded(k).params();
    let asked = |rows| Ok(student.candidates(&experts.conditions, k, rows));
    let of_policy = side(reevaluate(evaluator, archive, &trial, genes, asked)?);
    let conditions = scaled(&file.spec.axes, &centers);
    let asked = |rows| -> Result<Candidates> { Ok(student.candidates(&conditions, k, rows)) };
    let trial = Trial {
        targets: &[&centers, &centers],
        ..trial
    };
    let at_centers = side(reevaluate(evaluator, archive, &trial, genes, asked)?);
    let squares = file.spec.axes.iter().map(|a| (a.upper - a.lower).powi(2));
    Ok(Comparison {
        episodes,
        requests: file.rows(),
        stored: file.metrics(),
        qd_offset: file.spec.qd_offset,
        range: squares.sum::<f64>().sqrt(),
        archive: of_archive,
        policy: of_policy,
        policy_at_centers: at_centers,
    })
}

/// Mean of the values that are there; NaN if none is.
fn mean(values: &[f64]) -> f64 {
    let known = || values.iter().filter(|x| !x.is_nan());
    known().sum::<f64>() / known().count() as f64
}

/// The numbers of a side, by the names that reports give them.
pub(super) fn numbers(scores: &Scores) -> Vec<(String, f64)> {
    let of = |name: &str, s: &Score| {
        [
            ("qd_score", s.metrics.qd_score),
            ("qd_score_se", s.se.qd_score),
            ("coverage", s.metrics.coverage),
            ("coverage_se", s.se.coverage),
            ("max_fitness", s.metrics.max_fitness),
            ("max_fitness_se", s.se.max_fitness),
        ]
        .map(|(what, value)| (format!("{name}_{what}"), value))
    };
    [of("expected", &scores.expected), of("corrected", &scores.corrected)].concat()
}

impl Comparison {
    /// What a policy keeps of the archive as re-evaluated, in percent, by the names that reports give these shares; of the best fitness
    /// with the offset.
    pub(super) fn kept(&self, policy: &Side) -> [(&'static str, f64); 5] {
        let (a, p) = (&self.archive.scores, &policy.scores);
        let share = |of: &dyn Fn(&Scores) -> f64| 100.0 * of(p) / of(a);
        [
            (
                "expected_qd_score_kept_percent",
                share(&|s| s.expected.metrics.qd_score),
            ),
            (
                "expected_max_fitness_kept_percent",
                share(&|s| s.expected.metrics.max_fitness + self.qd_offset),
            ),
            (
                "corrected_qd_score_kept_percent",
                share(&|s| s.corrected.metrics.qd_score),
            ),
            (
                "corrected_coverage_kept_percent",
                share(&|s| s.corrected.metrics.coverage),
            ),
            (
                "corrected_max_fitness_kept_percent",
                share(&|s| s.corrected.metrics.max_fitness + self.qd_offset),
            ),
        ]
    }

    /// The documented fields of `report.json`.
    pub fn json(&self) -> Value {
        let number = |x: f64| if x.is_finite() { json!(x) } else { Value::Null };
        let side = |s: &Side, kept: &[(&str, f64)]| {
            let mut fields: Map<String, Value> = numbers(&s.scores).into_iter().map(|(n, x)| (n, number(x))).collect();
            fields.insert("corrected_filled".into(), json!(s.scores.corrected.metrics.filled));
            for (name, x) in [
                ("mean_descriptor_distance", s.descriptor_distance),
                (
                    "mean_descriptor_distance_percent",
                    100.0 * s.descriptor_distance / self.range,
                ),
                ("mean_center_distance", s.center_distance),
                ("mean_center_distance_percent", 100.0 * s.center_distance / self.range),
            ]
            .iter()
            .chain(kept)
            {
                fields.insert((*name).into(), number(*x));
            }
            fields.insert("failed".into(), json!(s.failed));
            Value::Object(fields)
        };
        json!({
            "episodes": self.episodes,
            "requests": self.requests,
            "stored": {
                "qd_score": self.stored.qd_score,
                "coverage": self.stored.coverage,
                "filled": self.stored.filled,
                "max_fitness": number(self.stored.max_fitness),
            },
            "archive": side(&self.archive, &[]),
            "policy": side(&self.policy, &self.kept(&self.policy)),
            "policy_at_centers": side(&self.policy_at_centers, &self.kept(&self.policy_at_centers)),
        })
    }

    /// The same for people.
    pub fn text(&self) -> String {
        let (s, sides) = (&self.stored, [&self.archive, &self.policy, &self.policy_at_centers]);
        let kept = [&self.policy, &self.policy_at_centers].map(|policy| {
            self.kept(policy)
                .map(|(_, x)| if x.is_finite() { format!("{x:.1} %") } else { "-".into() })
        });
        let row = |name: &str, stored: String, of: &dyn Fn(&Side) -> String, share: Option<usize>| {
            let [a, p, c] = sides.map(of);
            let share = |policy: usize| share.map_or(String::new(), |i: usize| kept[policy][i].clone());
            [name.into(), stored, a, p, share(0), c, share(1)]
        };
        let relative = |x: f64| format!("{} ({:.1} %)", significant(x), 100.0 * x / self.range);
        let score = |s: &Score| with_error(s.metrics.qd_score, s.se.qd_score);
        let best = |s: &Score| with_error(s.metrics.max_fitness, s.se.max_fitness);
        let coverage = |s: &Score| share_with_error(s.metrics.coverage, s.se.coverage);
        let stored = [
            significant(s.qd_score),
            significant(s.max_fitness),
            format!("{:.2} %", 100.0 * s.coverage),
        ];
        let [qd_score, max_fitness, filled] = &stored;
        let rows = [
            ["", "stored", "archive", "policy", "kept", "policy at centers", "kept"].map(String::from),
            row(
                "expected QD score",
                qd_score.clone(),
                &|s| score(&s.scores.expected),
                Some(0),
            ),
            row(
                "expected best",
                max_fitness.clone(),
                &|s| best(&s.scores.expected),
                Some(1),
            ),
            row(
                "corrected QD score",
                qd_score.clone(),
                &|s| score(&s.scores.corrected),
                Some(2),
            ),
            row(
                "corrected coverage",
                filled.clone(),
                &|s| coverage(&s.scores.corrected),
                Some(3),
            ),
            row(
                "corrected best",
                max_fitness.clone(),
                &|s| best(&s.scores.corrected),
                Some(4),
            ),
            row("distance", String::new(), &|s| relative(s.descriptor_distance), None),
            row("center distance", String::new(), &|s| relative(s.center_distance), None),
        ];
        let errors = match sides.iter().all(|s| s.scores.expected.se.max_fitness.is_nan()) {
            true => "no standard errors are known",
            false => "±: a standard error, of other episodes",
        };
        let mut text = format!(
            "{} descriptors requested, {} {} each; archive and policy from the same starts\n{}\
             (expected: each request in its cell, wherever it led; corrected: put anew where the mean descriptors lie, of each cell the best;\n \
             {errors}; at centers: asked for the centers of the same cells in place of their elites' descriptors;\n \
             distance: from the requested descriptor, in percent of the diagonal of its bounds)\n",
            thousands(self.requests as u64),
            self.episodes,
            if self.episodes == 1 { "episode" } else { "episodes" },
            table(&rows),
        );
        for (name, side) in ["archive", "policy", "policy at centers"].iter().zip(sides) {
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
