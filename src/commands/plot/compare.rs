//! Learning curves: of one run, or of several with what they end with and how they differ.

use std::path::Path;

use illume_archives::file::{self, ArchiveFile};
use illume_core::Result;

use super::{PlotArgs, lines, refuse_twice, report, targets, write};
use crate::analysis::compare::{Columns, Comparison, History, points, usual};
use crate::commands::archive_path;
use crate::engine::output::json_text;
use crate::registry;
use crate::render::plot::{self, Drawing};

/// The column of a language model's history that says what a run has cost.
const TOKENS: &str = "tokens";
/// Name of the plot if none is given.
const NAME: &str = "comparison.png";

/// The drawing of one run's learning curves.
///
/// # Errors
/// A history without one of the columns, or whose axes do not rise.
pub(super) fn one(file: &ArchiveFile, args: &PlotArgs) -> Result<Drawing> {
    refuse_twice(&args.measures)?;
    let columns = columns(std::slice::from_ref(file), args);
    let run = History::of(file, &columns)?;
    let comparison = Comparison::new(columns, vec![run])?;
    Ok(plot::comparison(&comparison, args.band(), args.paper().units()))
}

/// The columns that are asked for. Else, where every run's strategy is followed by columns of its history, those that all have, against tokens where
/// they are counted.
fn columns(files: &[ArchiveFile], args: &PlotArgs) -> Columns {
    let mut columns = Columns::default();
    let shown = |file: &ArchiveFile| {
        registry::shown(&file.attributes.strategy)
            .iter()
            .map(|(column, _)| *column)
    };
    let mut own: Vec<&str> = files.first().map(|file| shown(file).collect()).unwrap_or_default();
    own.retain(|column| files.iter().all(|file| shown(file).any(|other| other == *column)));
    if own.is_empty() {
        own = usual(|column| files.iter().all(|file| file.history.get::<f64>(column).is_ok()));
    }
    if !own.is_empty() {
        columns.measures = own.into_iter().map(String::from).collect();
    }
    let counted = |file: &ArchiveFile| {
        let tokens = file.history.get::<f64>(TOKENS);
        tokens.is_ok_and(|values| values.is_sorted())
    };
    if files.iter().all(counted) {
        columns.axes[0] = TOKENS.into();
    }
    if !args.measures.is_empty() {
        columns.measures.clone_from(&args.measures);
    }
    if let Some(against) = &args.against {
        columns.axes[0].clone_from(against);
    }
    columns
}

pub(super) fn several(args: &PlotArgs) -> Result<String> {
    let targets = targets(args, Path::new(NAME))?;
    refuse_twice(&args.measures)?;
    let files = args
        .paths
        .iter()
        .map(|path| file::open(&archive_path(path)?))
        .collect::<Result<Vec<_>>>()?;
    let columns = columns(&files, args);
    let runs = files
        .iter()
        .map(|file| History::of(file, &columns))
        .collect::<Result<Vec<_>>>()?;
    let mut comparison = Comparison::new(columns, runs)?;
    let asked = [("--at", args.at), ("--at-core-seconds", args.at_core_seconds)];
    let (points, caution) = points(&comparison, asked.map(|(option, at)| at.map(|at| (option, at))))?;
    comparison.notes.extend(caution);
    write(
        &targets,
        &plot::comparison(&comparison, args.band(), args.paper().units()),
        args,
    )?;
    Ok(if args.json {
        json_text(&report::fields(&comparison, &points, &targets))
    } else {
        lines(&targets) + &report::text(&comparison, &points)
    })
}
