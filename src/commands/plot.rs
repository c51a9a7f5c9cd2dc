//! `illume plot`: a heat map of an archive, the learning curves of one run or several, or a sweep.

mod compare;
mod report;
mod sweep;

use std::path::{Path, PathBuf};

use illume_archives::file::{self, ArchiveFile};
use illume_core::{Error, Result};
use serde_json::json;

use super::launch::alone;
use crate::engine::output::{json_text, write_atomically};
use crate::registry;
use crate::render::plot::{captions, heat_map, png};
use crate::sweep::Sweep;

/// Pixels for a unit of the drawing in a PNG.
const SCALE: f32 = 2.0;

/// Draw a heat map of an archive, the learning curves of a run that is followed by its history, those of several runs with tests of how they differ, or a sweep
#[derive(clap::Args)]
pub struct PlotArgs {
    /// Run directories or .h5 files: one for a heat map, or for curves where the archive says nothing; several (of one task) to compare strategies; or the folder of a sweep
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Plot to write, .png or .svg [default: both, beside the archive; several runs: comparison.png and .svg here; a sweep: sweep.png and .svg in its folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Two axes of a heat map to show where the descriptor has more, as 0,1
    #[arg(long, value_name = "X,Y", value_parser = axes)]
    axes: Option<[usize; 2]>,
    /// Columns of histories to draw [default: qd_score,coverage,max_fitness; of strategies that are followed by others those, such as validation]; of a sweep: columns beside its metric
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    measures: Vec<String>,
    /// The column against which to draw them, beside the time [default: evaluations; of language models tokens]
    #[arg(long, value_name = "NAME")]
    against: Option<String>,
    /// Of several runs: after how many evaluations (or --against) to compare them [default: where the first run ends]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    at: Option<f64>,
    /// Of several runs: after how much wall time x ranks x threads to compare them [default: where the first run ends]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    at_core_seconds: Option<f64>,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
}

fn axes(text: &str) -> std::result::Result<[usize; 2], &'static str> {
    let parts: Vec<usize> = text.split(',').map_while(|p| p.trim().parse().ok()).collect();
    <[usize; 2]>::try_from(parts).map_err(|_| "expected two numbers of axes, such as 0,1")
}

impl PlotArgs {
    pub fn run(&self) -> u8 {
        alone(|| plot(self))
    }
}

/// Draws one archive as a heat map or its run's learning curves, several runs as learning curves, the folder of a sweep as curves of its configurations and panels by
/// parameter. Without `output` a PNG and an SVG: beside the archive, named `comparison` in the present folder, or named `sweep` in the
/// sweep's. Returns what is to be printed: the files written, for several runs what they end with and how they differ, for a sweep how
/// far it is and what it has found.
///
/// # Errors
/// No archive; a heat map of axes that one does not have; runs of several tasks, without a history or that have not all been where they are to
/// be compared; a sweep of which no run is done, or beside something else; another ending, or a folder that cannot be written.
fn plot(args: &PlotArgs) -> Result<String> {
    let paths = args.paths.as_slice();
    match (paths, paths.iter().find(|path| Sweep::is_at(path))) {
        ([path], None) => one(path, args),
        ([path], Some(_)) => sweep::sweep(path, args),
        (_, None) => compare::several(args),
        (_, Some(dir)) => Err(Error::input(format!(
            "{0} is the folder of a sweep, which is drawn alone: give nothing beside it, or runs of it such as {0}/runs/*",
            dir.display()
        ))),
    }
}

fn one(path: &Path, args: &PlotArgs) -> Result<String> {
    let points = [
        (args.at.is_some(), "--at"),
        (args.at_core_seconds.is_some(), "--at-core-seconds"),
    ];
    if let Some((_, option)) = points.iter().find(|(given, _)| *given) {
        return Err(Error::input(format!(
            "{option} is for the comparison of several runs, and one was given"
        )));
    }
    let path = super::archive_path(path)?;
    let targets = targets(args, &path)?;
    let file = file::open(&path)?;
    let wanted = !args.measures.is_empty() || args.against.is_some();
    if let (true, Some([x, y])) = (wanted, args.axes) {
        return Err(Error::input(format!(
            "--axes {x},{y} is for a heat map, --measures and --against are for learning curves: give one or the other"
        )));
    }
    let svg = if wanted || args.axes.is_none() && says_nothing(&file) {
        compare::one(&file, args)?
    } else {
        let fitness = file.fitness_by_cell();
        let (title, subtitle) = captions(&file.attributes, &file.metrics());
        heat_map(title, subtitle, &file.spec, &file.elites, &fitness, args.axes)?.svg()
    };
    write(&targets, &svg)?;
    Ok(if args.json {
        json_text(&json!({"files": names(&targets)}))
    } else {
        lines(&targets)
    })
}

/// Whether a heat map of an archive would say nothing of its run: it has no two axes, or the strategy is followed by columns of its history.
fn says_nothing(file: &ArchiveFile) -> bool {
    file.spec.axes.len() < 2 || !registry::shown(&file.attributes.strategy).is_empty()
}

/// The files to write: the one that was asked for, or a PNG and an SVG of this name.
fn targets(args: &PlotArgs, otherwise: &Path) -> Result<Vec<PathBuf>> {
    let targets = match &args.output {
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
