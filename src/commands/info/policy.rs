//! What `illume info` says of a policy directory.

use std::path::Path;

use illume_core::Result;
use serde_json::{Value, json};

use crate::engine::output::{json_text, named};
use crate::formats::policy::PolicyFile;

/// # Errors
/// A damaged policy.
pub(super) fn info(dir: &Path, as_json: bool) -> Result<String> {
    let policy = PolicyFile::read(dir)?;
    if as_json {
        let fields = json!({
            "task": policy.task,
            "layers": policy.layers,
            "activation": format!("{:?}", policy.activation).to_lowercase(),
            "params": policy.params.len(),
            "observation": policy.observation,
            "normalized": policy.normalization.is_some(),
            "descriptor": policy.axes.iter()
                .map(|x| json!({"name": x.name, "unit": x.unit, "lower": x.lower, "upper": x.upper})).collect::<Vec<_>>(),
            "provenance": policy.provenance,
        });
        return Ok(json_text(&fields));
    }
    let axes: Vec<String> = policy
        .axes
        .iter()
        .map(|x| format!("{} [{}, {}]", x.name, x.lower, x.upper))
        .collect();
    let layers: Vec<String> = policy.layers.iter().map(ToString::to_string).collect();
    let from = &policy.provenance;
    let word = |name: &str| match &from[name] {
        Value::String(text) => text.clone(),
        Value::Null => "-".into(),
        other => other.to_string(),
    };
    // Policies of before the two measures were told apart have the corrected shares by names without that word.
    let percent = |name: &str| {
        let share = from[format!("corrected_{name}")].as_f64().or(from[name].as_f64());
        share.map_or("-".into(), |x| format!("{x:.1} %"))
    };
    let rows = [
        ("policy", dir.display().to_string()),
        ("task", policy.task.clone()),
        (
            "network",
            format!(
                "{} ({:?} hidden units), {}; {} weights",
                layers.join(" x "),
                policy.activation,
                if axes.is_empty() {
                    "observation"
                } else {
                    "observation then descriptor"
                },
                policy.params.len()
            ),
        ),
        (
            "observation",
            format!(
                "{} numbers, {}",
                policy.observation,
                if policy.normalization.is_some() {
                    "normalized"
                } else {
                    "as they are"
                }
            ),
        ),
        (
            "descriptor",
            if axes.is_empty() {
                "none: it always acts alike".into()
            } else {
                axes.join(", ")
            },
        ),
        (
            "from",
            format!("{} of {} ({})", word("from"), word("archive"), word("strategy")),
        ),
        (
            "kept",
            format!(
                "corrected QD score {}, coverage {}, best fitness {} ({} descriptors, {} episodes each)",
                percent("qd_score_kept_percent"),
                percent("coverage_kept_percent"),
                percent("max_fitness_kept_percent"),
                word("requests"),
                word("episodes")
            ),
        ),
    ];
    // One elite is all of itself.
    let rows = rows
        .into_iter()
        .filter(|(name, _)| *name != "kept" || !from["requests"].is_null());
    Ok(named(rows))
}
