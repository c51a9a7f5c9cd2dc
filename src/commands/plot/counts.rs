//! Numbers of elites by fitness, of one archive or of several by strategy.

use illume_archives::file::ArchiveFile;
use illume_core::Result;
use serde_json::{Value, json};

use super::PlotArgs;
use super::archive::Drawn;
use crate::analysis::exceedance::Exceedance;
use crate::analysis::statistics::spoken_bands;
use crate::engine::output::thousands;
use crate::render::plot;

/// # Errors
/// Archives of several tasks, or without any elite.
pub(super) fn ccdf(files: &[ArchiveFile], args: &PlotArgs) -> Result<Drawn> {
    let band = args.band();
    let e = Exceedance::new(files, band, args.range, args.share)?;
    let groups = &e.comparison.groups;
    let sizes: Vec<usize> = groups.iter().map(|group| group.runs.len()).collect();
    let (title, subtitle) = match files {
        [file] => (
            format!("{}, {}", file.attributes.task, file.attributes.strategy),
            format!(
                "{} elites · seed {}",
                thousands(file.rows() as u64),
                file.attributes.seed
            ),
        ),
        _ => (e.comparison.task.clone(), spoken_bands(band, &sizes)),
    };
    let fields: Vec<Value> = groups
        .iter()
        .zip(&e.curves)
        .map(|(group, curve)| {
            json!({
                "label": group.label,
                "runs": group.runs.iter().map(|run| run.path.clone()).collect::<Vec<_>>(),
                "elites": curve.elites,
                "median": curve.points.iter().map(|(median, _)| *median).collect::<Vec<_>>(),
                "low": curve.points.iter().map(|(_, band)| band[0]).collect::<Vec<_>>(),
                "high": curve.points.iter().map(|(_, band)| band[1]).collect::<Vec<_>>(),
            })
        })
        .collect();
    let about = json!({"notes": e.comparison.notes, "fitness": e.fitness, "groups": fields});
    Ok((plot::ccdf(&e, [&title, &subtitle], args.paper().units()), about))
}
