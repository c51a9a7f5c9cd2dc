//! What there is to say of several objectives: each by itself, and the front of those elites that no other dominates.

use illume_archives::file::ArchiveFile;
use illume_archives::metrics::FrontMetrics;
use serde_json::{Value, json};

use crate::engine::output::{significant, thousands};

fn metrics(file: &ArchiveFile) -> Option<FrontMetrics> {
    FrontMetrics::of(&file.elites, 0..file.rows(), &file.attributes.objectives)
}

/// The front as JSON; null for elites of one objective.
pub(super) fn value(file: &ArchiveFile) -> Value {
    metrics(file).map_or(Value::Null, |front| {
        let volume = front.hypervolume(&file.attributes.objectives);
        json!({
            "size": front.rows.len(),
            "ideal": front.ideal,
            "nadir": front.nadir,
            "hypervolume": volume.is_finite().then_some(volume),
        })
    })
}

/// The same in words; empty for elites of one objective.
pub(super) fn words(file: &ArchiveFile) -> String {
    let objectives = &file.attributes.objectives;
    let Some(front) = metrics(file) else {
        return String::new();
    };
    let place = |values: &mut dyn Iterator<Item = f64>| values.map(significant).collect::<Vec<_>>().join(", ");
    let (nadir, ideal) = (
        place(&mut front.nadir.iter().copied()),
        place(&mut front.ideal.iter().copied()),
    );
    let volume = front.hypervolume(objectives);
    let volume = match volume.is_finite() {
        true => {
            let reference = place(&mut objectives.iter().map(|objective| objective.range[0]));
            format!(", hypervolume {} beyond ({reference})", significant(volume))
        }
        false => String::new(),
    };
    let size = thousands(front.rows.len() as u64);
    format!("{size} elites that no other dominates, from ({nadir}) to ({ideal}){volume}")
}
