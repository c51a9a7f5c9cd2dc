//! `illume plot`: a heat map of an archive, the learning curves of several runs, or a sweep.

mod compare;
mod report;
mod sweep;

use std::path::{Path, PathBuf};

use illume_archives::file;
use illume_core::{Error, Result};
use serde_json::json;

use crate::engine::output::{json_text, write_atomically};
use crate::render::plot::{captions, heat_map, png};
use crate::sweep::Sweep;

/// Pixels for a unit of the drawing in a PNG.
const SCALE: f32 = 2.0;

/// What `illume plot` was asked.
#[derive(Debug, Default)]
pub struct PlotOptions {
    /// Picture to write; its ending says which kind.
    pub output: Option<PathBuf>,
    /// Axes of a heat map.
    pub axes: Option<[usize; 2]>,
    /// Columns of several runs' histories to draw, none for QD score, coverage and best fitness; of a sweep, beside its metric.
    pub measures: Vec<String>,
    /// Column against which they are drawn, beside the wall time (of a sweep, core time); evaluations if none is given.
    pub against: Option<String>,
    /// Where on that column the runs are compared; where the first of them ends if not given.
    pub at: Option<f64>,
    /// The same in core seconds, wall time x ranks x threads.
    pub at_core_seconds: Option<f64>,
    pub json: bool,
}

/// Draws one archive as a heat map, several runs as learning curves, the folder of a sweep as curves of its configurations and panels by
/// parameter. Without `output` a PNG and an SVG: beside the archive, named `comparison` in the present folder, or named `sweep` in the
/// sweep's. Returns what is to be printed: the files written, for several runs what they end with and how they differ, for a sweep how
/// far it is and what it has found.
///
/// # Errors
/// No archive; a heat map of one without two axes; runs of several tasks, without a history or that have not all been where they are to
/// be compared; a sweep of which no run is done, or beside something else; another ending, or a folder that cannot be written.
pub fn plot(paths: &[PathBuf], options: &PlotOptions) -> Result<String> {
    match (paths, paths.iter().find(|path| Sweep::is_at(path))) {
        ([path], None) => one(path, options),
        ([path], Some(_)) => sweep::sweep(path, options),
        (_, None) => compare::several(paths, options),
        (_, Some(dir)) => Err(Error::input(format!(
            "{0} is the folder of a sweep, which is drawn alone: give nothing beside it, or runs of it such as {0}/runs/*",
            dir.display()
        ))),
    }
}

fn one(path: &Path, options: &PlotOptions) -> Result<String> {
    let curves = [
        (!options.measures.is_empty(), "--measures"),
        (options.against.is_some(), "--against"),
        (options.at.is_some(), "--at"),
        (options.at_core_seconds.is_some(), "--at-core-seconds"),
    ];
    if let Some((_, option)) = curves.iter().find(|(given, _)| *given) {
        return Err(Error::input(format!(
            "{option} is for the learning curves of several runs, and one was given; the heat map of one takes --axes"
        )));
    }
    let path = super::archive_path(path)?;
    let targets = targets(options, &path)?;
    let file = file::open(&path)?;
    let fitness = file.fitness_by_cell();
    let (title, subtitle) = captions(&file.attributes, &file.metrics());
    let map = heat_map(title, subtitle, &file.spec, &file.elites, &fitness, options.axes)?;
    write(&targets, &map.svg())?;
    Ok(if options.json {
        json_text(&json!({"files": names(&targets)}))
    } else {
        lines(&targets)
    })
}

/// The pictures to write: the one that was asked for, or a PNG and an SVG of this name.
fn targets(options: &PlotOptions, otherwise: &Path) -> Result<Vec<PathBuf>> {
    let targets = match &options.output {
        Some(to) => vec![to.clone()],
        None => ["png", "svg"].map(|ending| otherwise.with_extension(ending)).to_vec(),
    };
    for target in &targets {
        let ending = target.extension().map(|e| e.to_string_lossy().to_lowercase());
        if !matches!(ending.as_deref(), Some("png" | "svg")) {
            return Err(Error::input(format!(
                "-o {}: expected a name that ends in .png or .svg",
                target.display()
            )));
        }
    }
    Ok(targets)
}

fn refuse_twice(measures: &[String]) -> Result<()> {
    match (1..measures.len()).find(|&i| measures[..i].contains(&measures[i])) {
        Some(twice) => Err(Error::input(format!(
            "--measures has {} twice; expected different columns",
            measures[twice]
        ))),
        None => Ok(()),
    }
}

fn write(targets: &[PathBuf], svg: &str) -> Result<()> {
    for target in targets {
        let as_svg = target.extension().is_some_and(|e| e.eq_ignore_ascii_case("svg"));
        let bytes = if as_svg {
            svg.as_bytes().to_vec()
        } else {
            png(svg, SCALE)?
        };
        write_atomically(target, &bytes)?;
    }
    Ok(())
}

fn names(targets: &[PathBuf]) -> Vec<String> {
    targets.iter().map(|path| path.display().to_string()).collect()
}

fn lines(targets: &[PathBuf]) -> String {
    names(targets).into_iter().map(|name| name + "\n").collect()
}
