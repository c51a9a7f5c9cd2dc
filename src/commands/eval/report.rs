//! What `illume eval` prints.

use serde_json::{Value, json};

use super::measure::Measured;
use crate::output::{significant, thousands};

pub(super) fn json(m: &Measured) -> String {
    let number = |x: f64| if x.is_finite() { json!(x) } else { Value::Null };
    let kept = |new: f64, old: f64| number(100.0 * new / old);
    let (stored, expected) = (&m.stored, &m.expected);
    let fields = json!({
        "elites": m.elites,
        "identical": m.identical,
        "failed": m.failed,
        "episodes": m.episodes,
        "qd_score": stored.qd_score,
        "expected_qd_score": expected.qd_score,
        "qd_score_kept_percent": kept(expected.qd_score, stored.qd_score),
        "coverage": stored.coverage,
        "expected_coverage": expected.coverage,
        "coverage_kept_percent": kept(expected.coverage, stored.coverage),
        "max_fitness": number(stored.max_fitness),
        "expected_max_fitness": number(expected.max_fitness),
        "mean_fitness_change": number(m.fitness_change),
        "mean_fitness_sd": number(m.fitness_sd),
        "mean_descriptor_sd": number(m.descriptor_sd),
        "mean_descriptor_distance": number(m.descriptor_distance),
        "mean_center_distance": number(m.center_distance),
    });
    serde_json::to_string_pretty(&fields).unwrap_or_default() + "\n"
}

pub(super) fn text(m: &Measured) -> String {
    let kept = |new: f64, old: f64| {
        if old == 0.0 {
            String::new()
        } else {
            format!(" ({:.1} % kept)", 100.0 * new / old)
        }
    };
    let elites = thousands(m.elites as u64);
    let mut text = format!(
        "replayed     {} of {elites} elites give the very same fitness and descriptor under their own seed\n",
        thousands(m.identical as u64)
    );
    if m.normalized {
        text += "             (observations were normalized by the run's last statistics, not by those of the day)\n";
    }
    if m.capped {
        text += "             (the strategy capped its episodes; here they have the task's own length)\n";
    }
    text += &format!(
        "fresh        {} {} an elite: fitness changes by {} on average, spread {}\n",
        m.episodes,
        if m.episodes == 1 { "episode" } else { "episodes" },
        significant(m.fitness_change),
        significant(m.fitness_sd),
    );
    text += &format!(
        "descriptor   {} from the stored one on average, {} from the center of its cell, spread {}\n",
        significant(m.descriptor_distance),
        significant(m.center_distance),
        significant(m.descriptor_sd),
    );
    if m.failed > 0 {
        text += &format!(
            "failed       {} elites have no episode that ended well\n",
            thousands(m.failed as u64)
        );
    }
    let (old, new) = (m.stored.qd_score, m.expected.qd_score);
    text += &format!(
        "QD score     {} stored, {} expected{}\n",
        significant(old),
        significant(new),
        kept(new, old)
    );
    let (old, new) = (m.stored.coverage, m.expected.coverage);
    text += &format!(
        "coverage     {:.2} % stored, {:.2} % expected{}\n",
        100.0 * old,
        100.0 * new,
        kept(new, old)
    );
    text += &format!(
        "best fitness {} stored, {} expected\n",
        significant(m.stored.max_fitness),
        significant(m.expected.max_fitness)
    );
    text
}
