//! `illume plot`: an archive or several as maps and other views, learning curves, or a sweep.

mod archive;
mod compare;
mod counts;
mod front;
mod kind;
mod overlay;
mod report;
mod sweep;

use std::path::{Path, PathBuf};

use illume_archives::file::{self, ArchiveFile};
use illume_core::{Error, Result};
use serde_json::json;

use self::kind::Kind;
use super::archive_path;
use super::launch::alone;
use crate::analysis::statistics::Band;
use crate::engine::output::{json_text, write_atomically};
use crate::registry;
use crate::render::plot::{Drawing, Length, Paper};
use crate::sweep::Sweep;

/// Draw an archive (map, projections, parallel axes, lineage, genes), several (side by side, fitness counts, difference), the learning curves of one run or several with tests of how they differ, or a sweep
#[derive(clap::Args)]
pub struct PlotArgs {
    /// Run directories or .h5 files: one for a map, or for curves where the archive says nothing; several (of one task) to compare strategies; or the folder of a sweep
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// What to draw [default: a map of one archive, projections of three axes or more, the front of one of kind "front"; curves where the archive says nothing, or of several runs]
    #[arg(short, long, value_enum)]
    kind: Option<Kind>,
    /// Plot to write, .png, .svg or .pdf [default: .png and .svg, beside the archive, named by the kind if one is given; several runs: comparison.png and .svg here; a sweep: sweep.png and .svg in its folder]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Axes to show, as 0,1: two of a map, up to six of projections, any of parallel axes; of a front its objectives
    #[arg(long, value_name = "X,Y", value_parser = axes)]
    axes: Option<Axes>,
    /// Column of the elites that gives colours: fitness, generation, operator, novelty, an axis or any other that they have; of cells that hold fronts cell_hypervolume and cell_members; after `illume eval` also corrected_fitness, fitness_sd, descriptor_distance and others [default: fitness; of lineage generation]
    #[arg(long, value_name = "COLUMN")]
    color: Option<String>,
    /// Ends of the colour scale, so that several plots share it; of ccdf ends of the fitness axis
    #[arg(long, value_name = "LOW,HIGH", value_parser = range, allow_hyphen_values = true)]
    range: Option<[f64; 2]>,
    /// Of a map of hard_maze: ways of so many elites, the best and those that end far from one another
    #[arg(long = "paths", value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    paths_shown: Option<u32>,
    /// Of ccdf: shares of the cells in place of numbers of elites; of operators: shares of a generation's elites
    #[arg(long)]
    share: bool,
    /// What bands of five runs or more are: quartiles, or a 95 % bootstrap interval of the median [default: quartiles]
    #[arg(long, value_name = "BAND", value_parser = band)]
    band: Option<Band>,
    /// Width on paper with its unit, such as 8cm, 85mm, 3.3in, 240pt: text has the size of a paper's, and a PNG 300 pixels an inch
    #[arg(long, value_name = "WIDTH")]
    width: Option<Length>,
    /// Pixels of an inch in a PNG [default: 300 with --width, else two pixels for a unit of the drawing]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(36..=2400))]
    dpi: Option<u32>,
    /// Columns of histories to draw [default: qd_score,coverage,max_fitness; where they are there qd_score_corrected besides, of several objectives hypervolume, moqd_score and front_size, and of strategies that are followed by others those, such as validation]; of a sweep: columns beside its metric
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

// A name of its own, since clap takes a plain list for an option that may be repeated.
type Axes = Vec<usize>;

fn axes(text: &str) -> std::result::Result<Axes, &'static str> {
    let parts = text
        .split(',')
        .map(|part| part.trim().parse().ok())
        .collect::<Option<Axes>>();
    parts
        .filter(|axes| !axes.is_empty())
        .ok_or("expected numbers of axes, such as 0,1")
}

fn range(text: &str) -> std::result::Result<[f64; 2], &'static str> {
    let parts = text
        .split(',')
        .map(|part| part.trim().parse().ok())
        .collect::<Option<Vec<f64>>>();
    let ends = parts.and_then(|parts| <[f64; 2]>::try_from(parts).ok());
    let rising = ends.filter(|[low, high]| low.is_finite() && high.is_finite() && low < high);
    rising.ok_or("expected two numbers of which the second is larger, such as 0,100")
}

fn band(text: &str) -> std::result::Result<Band, &'static str> {
    match text {
        "quartiles" => Ok(Band::Quartiles),
        "bootstrap" => Ok(Band::Bootstrap),
        _ => Err("expected quartiles or bootstrap"),
    }
}

impl PlotArgs {
    pub fn run(&self) -> u8 {
        alone(|| plot(self))
    }

    fn paper(&self) -> Paper {
        Paper {
            width: self.width,
            dpi: self.dpi.map(f64::from),
        }
    }

    fn band(&self) -> Band {
        self.band.unwrap_or(Band::Quartiles)
    }
}

/// Draws one archive or several as `kind` says, the learning curves of runs, or the folder of a sweep as curves of its configurations and panels by
/// parameter. Without `output` a PNG and an SVG: beside the archive, named by the kind in the present folder, or named `sweep` in the
/// sweep's. Returns what is to be printed: the files written, for curves of several runs what they end with and how they differ, for a sweep how
/// far it is and what it has found.
///
/// # Errors
/// No archive; what the kind needs is not there, or an option is not for it; runs of several tasks, without a history or that have not all been where they are to
/// be compared; a sweep of which no run is done, or beside something else; another ending, or a folder that cannot be written.
fn plot(args: &PlotArgs) -> Result<String> {
    let paths = args.paths.as_slice();
    match (paths, paths.iter().find(|path| Sweep::is_at(path))) {
        ([path], Some(_)) => sweep::sweep(path, args),
        (_, Some(dir)) => Err(Error::input(format!(
            "{0} is the folder of a sweep, which is drawn alone: give nothing beside it, or runs of it such as {0}/runs/*",
            dir.display()
        ))),
        ([path], None) => one(path, args),
        _ => several(args),
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
    let path = archive_path(path)?;
    let curves = !args.measures.is_empty() || args.against.is_some();
    if let (true, Some(_), None) = (curves, &args.axes, args.kind) {
        return Err(Error::input(
            "--axes is for a heat map, --measures and --against are for learning curves: give one or the other",
        ));
    }
    let named = |kind: Option<Kind>| match kind {
        Some(kind) => path.with_file_name(format!("{}.png", kind.name())),
        None => path.clone(),
    };
    let targets = targets(args, &named(args.kind))?;
    let file = file::open(&path)?;
    let kind = args.kind.unwrap_or_else(|| default(&file, args, curves));
    kind.check(args)?;
    let (drawing, about) = match kind {
        Kind::Curves => (compare::one(&file, args)?, json!({})),
        Kind::Ccdf => counts::ccdf(&[file], args)?,
        kind => archive::draw(kind, &[file], args)?,
    };
    finish(kind, &drawing, about, &targets, args)
}

/// The kind of archive that is a front.
const FRONT: &str = "front";

/// What is drawn of one archive if nothing is said: what its options are for, else a map unless that would say nothing of the run.
fn default(file: &ArchiveFile, args: &PlotArgs, curves: bool) -> Kind {
    let elites = args.axes.is_some() || args.color.is_some() || args.range.is_some() || args.paths_shown.is_some();
    let says_nothing = file.spec.axes.is_empty() || !registry::shown(&file.attributes.strategy).is_empty();
    let chosen = args.axes.as_ref().map(Vec::len);
    match file.spec.axes.len() {
        _ if curves => Kind::Curves,
        // Where its elites lie by their objectives, which is what such an archive is.
        _ if file.spec.kind == FRONT && (!elites || args.axes.is_some()) => Kind::Front,
        _ if says_nothing && !elites => Kind::Curves,
        3.. if chosen != Some(2) => Kind::Projections,
        _ => Kind::Map,
    }
}

fn several(args: &PlotArgs) -> Result<String> {
    let kind = match args.kind {
        None if args.axes.is_some() => {
            return Err(Error::input(
                "--axes is for the heat map of one archive; several runs are drawn as curves unless --kind says otherwise",
            ));
        }
        kind => kind.unwrap_or(Kind::Curves),
    };
    kind.check(args)?;
    if kind == Kind::Curves {
        return compare::several(args);
    }
    let targets = targets(args, Path::new(&format!("{}.png", kind.name())))?;
    let open = |path: &PathBuf| file::open(&archive_path(path)?);
    let files = args.paths.iter().map(open).collect::<Result<Vec<_>>>()?;
    let (drawing, about) = match kind {
        Kind::Ccdf => counts::ccdf(&files, args)?,
        kind => archive::draw(kind, &files, args)?,
    };
    finish(kind, &drawing, about, &targets, args)
}

/// Writes the plot; gives what is printed.
fn finish(
    kind: Kind,
    drawing: &Drawing,
    mut about: serde_json::Value,
    targets: &[PathBuf],
    args: &PlotArgs,
) -> Result<String> {
    write(targets, drawing, args)?;
    if !args.json {
        return Ok(lines(targets));
    }
    about["files"] = json!(names(targets));
    about["kind"] = json!(kind.name());
    Ok(json_text(&about))
}

/// The files to write: the one that was asked for, or a PNG and an SVG of this name.
fn targets(args: &PlotArgs, otherwise: &Path) -> Result<Vec<PathBuf>> {
    let targets = match &args.output {
        Some(to) => vec![to.clone()],
        None => ["png", "svg"].map(|ending| otherwise.with_extension(ending)).to_vec(),
    };
    for target in &targets {
        if ending(target).is_none() {
            return Err(Error::input(format!(
                "-o {}: expected a name that ends in .png or .svg, or in .pdf",
                target.display()
            )));
        }
        if target.is_dir() {
            return Err(Error::input(format!(
                "-o {}: is a folder, and a plot is a file: expected another name",
                target.display()
            )));
        }
    }
    Ok(targets)
}

/// The files that plots are written as.
#[derive(Clone, Copy)]
enum Ending {
    Png,
    Svg,
    Pdf,
}

fn ending(target: &Path) -> Option<Ending> {
    let ending = target.extension()?.to_string_lossy().to_lowercase();
    match ending.as_str() {
        "png" => Some(Ending::Png),
        "svg" => Some(Ending::Svg),
        "pdf" => Some(Ending::Pdf),
        _ => None,
    }
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

fn write(targets: &[PathBuf], drawing: &Drawing, args: &PlotArgs) -> Result<()> {
    let paper = args.paper();
    // All of them before the first is written.
    let mut files = Vec::new();
    for target in targets {
        let bytes = match ending(target) {
            Some(Ending::Svg) => paper.svg(drawing).into_bytes(),
            Some(Ending::Pdf) => {
                let name = target.file_stem().map(|name| name.to_string_lossy().into_owned());
                paper.pdf(drawing, &name.unwrap_or_default())?
            }
            _ => paper.png(drawing)?,
        };
        files.push((target, bytes));
    }
    files
        .iter()
        .try_for_each(|(target, bytes)| write_atomically(target, bytes))
}

fn names(targets: &[PathBuf]) -> Vec<String> {
    targets.iter().map(|path| path.display().to_string()).collect()
}

fn lines(targets: &[PathBuf]) -> String {
    names(targets).into_iter().map(|name| name + "\n").collect()
}
