//! Several runs: their learning curves, what they end with, and how they differ.

use std::path::Path;

use illume_core::{Error, Result};

use super::{PlotArgs, lines, refuse_twice, report, targets, write};
use crate::analysis::compare::{Columns, Comparison, History, points};
use crate::commands::archive_path;
use crate::engine::output::json_text;
use crate::render::plot;

/// Name of the plot if none is given.
const NAME: &str = "comparison.png";

pub(super) fn several(args: &PlotArgs) -> Result<String> {
    if let Some([x, y]) = args.axes {
        return Err(Error::input(format!(
            "--axes {x},{y} is for the heat map of one archive; several runs are drawn as curves"
        )));
    }
    let targets = targets(args, Path::new(NAME))?;
    let mut columns = Columns::default();
    refuse_twice(&args.measures)?;
    if !args.measures.is_empty() {
        columns.measures.clone_from(&args.measures);
    }
    if let Some(against) = &args.against {
        columns.axes[0].clone_from(against);
    }
    let runs = args
        .paths
        .iter()
        .map(|path| History::read(&archive_path(path)?, &columns))
        .collect::<Result<Vec<_>>>()?;
    let mut comparison = Comparison::new(columns, runs)?;
    let asked = [("--at", args.at), ("--at-core-seconds", args.at_core_seconds)];
    let (points, caution) = points(&comparison, asked.map(|(option, at)| at.map(|at| (option, at))))?;
    comparison.notes.extend(caution);
    write(&targets, &plot::comparison(&comparison))?;
    Ok(if args.json {
        json_text(&report::fields(&comparison, &points, &targets))
    } else {
        lines(&targets) + &report::text(&comparison, &points)
    })
}
