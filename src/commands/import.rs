//! `illume import`: an archive of another program as one of ours.

mod division;
mod place;

use std::fs;
use std::path::{Path, PathBuf};

use illume_archives::file::{self, ArchiveFile, Attributes, Contents};
use illume_cluster::Solo;
use illume_core::{Error, Result, Task};
use serde_json::json;

use self::division::Division;
use self::place::Placed;
use super::Set;
use super::export::check_target;
use super::launch::alone;
use crate::analysis::subject::IMPORTED;
use crate::engine::log::now;
use crate::engine::output::{bytes, json_text, named, significant, thousands};
use crate::formats::export::Listed;
use crate::formats::import::{Foreign, Hints};
use crate::{Config, History, registry};

/// Make an archive of another program's: data frames of pyribs (.csv, .npz), repertoires of QDax (a folder), archive_N.dat of pymap_elites
#[derive(clap::Args)]
pub struct ImportArgs {
    /// File or folder of the other program
    path: PathBuf,
    /// What to write: a file that ends in .h5, or a folder for archive.h5
    #[arg(short, long, value_name = "FILE|DIR")]
    output: PathBuf,
    /// Cells along each axis, as the dims of pyribs' GridArchive: 100x100
    #[arg(long, value_name = "SHAPE", conflicts_with_all = ["centroids", "like"])]
    grid: Option<division::Shape>,
    /// File of centroids: .npy (pyribs: numpy.save of archive.centroids), or lines of numbers (pymap_elites' centroids_CELLS_AXES.dat)
    #[arg(long, value_name = "FILE", conflicts_with = "like")]
    centroids: Option<PathBuf>,
    /// Bounds of an axis, as the ranges of pyribs' archives: once for each axis, or once for all
    #[arg(long, value_name = "LOW,HIGH", allow_hyphen_values = true, conflicts_with = "like")]
    bounds: Vec<division::Bounds>,
    /// Names of the axes, such as x,y [default: the file's, the task's, or measures_0, ...]
    #[arg(long, value_name = "NAMES", value_delimiter = ',', conflicts_with = "like")]
    axes: Vec<String>,
    /// Added to each fitness in the QD score [default: the task's, or 0]
    #[arg(long, value_name = "NUMBER", allow_hyphen_values = true, conflicts_with = "like")]
    qd_offset: Option<f64>,
    /// A run directory or .h5 file that has the same cells and task
    #[arg(long, value_name = "PATH", conflicts_with = "task")]
    like: Option<PathBuf>,
    /// The task of the elites, so that they can be evaluated: its name, or a run's configuration, whose archive counts where the file has none
    #[arg(long, value_name = "NAME|CONFIG")]
    task: Option<String>,
    #[command(flatten)]
    set: Set,
    /// Put each elite where its descriptor lies, whatever cell the file gives it
    #[arg(long)]
    relocate: bool,
    /// Refuse genes that are no numbers of 32 bits, instead of rounding them
    #[arg(long)]
    exact: bool,
    /// Replace an archive that is there
    #[arg(long)]
    force: bool,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
}

impl ImportArgs {
    pub fn run(&self) -> u8 {
        alone(|| import(self))
    }
}

/// What the elites are of.
enum Origin {
    Like(ArchiveFile),
    Task {
        config: Config,
        task: Box<dyn Task>,
        named: bool,
    },
    Unknown,
}

impl Origin {
    /// Axes of the descriptor, where they are known.
    fn axes(&self) -> Option<&[illume_core::Axis]> {
        match self {
            Origin::Like(file) => Some(&file.spec.axes),
            Origin::Task { task, .. } => Some(&task.spec().descriptor),
            Origin::Unknown => None,
        }
    }
}

/// Reads, divides, places and writes; returns what is printed.
///
/// # Errors
/// A file that is none of these forms or damaged, something that is missing, a task that does not fit, or a file that cannot be written.
fn import(args: &ImportArgs) -> Result<String> {
    let like = args.like.as_ref().map(|like| super::archive_path(like)).transpose()?;
    let sources: Vec<&Path> = [args.path.as_path()].into_iter().chain(like.as_deref()).collect();
    let target = target(&args.output, &sources, args.force)?;
    let origin = origin(args)?;
    let k = origin.axes().map(<[_]>::len);
    let hints = Hints {
        k: args.grid.as_ref().map(|shape| shape.0.len()).or(k),
        centroids: args.centroids.as_deref(),
    };
    let foreign = Foreign::read(&args.path, hints)?;
    check_genes(args, &foreign, &origin)?;
    let division = division::of(args, &foreign, &origin)?;
    let known = match &origin {
        Origin::Like(file) => file.attributes.operators.as_slice(),
        _ => &[],
    };
    let mut placed = place::place(&args.path, &foreign, &division, args.relocate, known)?;
    placed.notes.extend(rounding(&foreign));
    if foreign.dim == 0 {
        placed
            .notes
            .push("the file has no genomes, so its elites can be looked at, but not evaluated".into());
    }
    if let Some(folder) = target.parent().filter(|_| target != args.output) {
        fs::create_dir_all(folder).map_err(|e| Error::failed(format!("cannot write {}: {e}", folder.display())))?;
    }
    write(&target, &foreign, &division, &placed, &origin)?;
    Ok(if args.json {
        json(args, &target, &foreign, &division, &placed, &origin)
    } else {
        text(&target, &foreign, &division, &placed, &origin)
    })
}

/// The file to write: the archive itself, or that of a folder, which is made when there is something to put into it.
fn target(output: &Path, sources: &[&Path], force: bool) -> Result<PathBuf> {
    let shown = output.display();
    let archive = if output.extension().is_some_and(|e| e.eq_ignore_ascii_case("h5")) {
        output.to_path_buf()
    } else if output.exists() && !output.is_dir() {
        return Err(Error::input(format!(
            "-o {shown}: expected a name that ends in .h5, or a folder"
        )));
    } else {
        output.join("archive.h5")
    };
    let folder = archive.parent().unwrap_or(Path::new(""));
    let of_run = ["checkpoint.h5", "log.jsonl"]
        .iter()
        .any(|name| folder.join(name).exists());
    if of_run
        && archive
            .file_name()
            .is_some_and(|name| name == "archive.h5" || name == "checkpoint.h5")
    {
        return Err(Error::input(format!(
            "{} is the directory of a run: choose another folder",
            folder.display()
        )));
    }
    check_target(&archive, sources, force)?;
    Ok(archive)
}

fn origin(args: &ImportArgs) -> Result<Origin> {
    if let Some(like) = &args.like {
        return Ok(Origin::Like(file::open(&super::archive_path(like)?)?));
    }
    let Some(name) = &args.task else {
        return match args.set.set.first() {
            Some(set) => Err(Error::input(format!(
                "--set {set} is for the configuration of --task, which is not given"
            ))),
            None => Ok(Origin::Unknown),
        };
    };
    let path = Path::new(name);
    let named = !(path.exists() || path.extension().is_some_and(|e| e == "toml"));
    let config = match named {
        false => Config::read(path, &args.set.set)?,
        true => {
            let quoted = toml::Value::String(name.clone());
            let text = format!("[task]\nname = {quoted}\n[strategy]\nname = \"map_elites\"\n");
            Config::parse(&text, "--task", &args.set.set)?.without_lines()
        }
    };
    let task = registry::task(&config)?;
    Ok(Origin::Task { config, task, named })
}

/// Whether the genomes are those of the task, and as exact as is asked for.
fn check_genes(args: &ImportArgs, foreign: &Foreign, origin: &Origin) -> Result<()> {
    let shown = args.path.display();
    let refuse = |what: String| Err(Error::input(format!("{shown}: {what}")));
    let (dim, task) = match origin {
        Origin::Like(file) => (file.genome_dim, &file.attributes.task),
        Origin::Task { task, .. } => (task.spec().genome_dim, &task.spec().name),
        Origin::Unknown => (foreign.dim, &String::new()),
    };
    if foreign.dim != dim && foreign.dim != 0 {
        return refuse(format!(
            "genomes have {} genes, those of task \"{task}\" have {dim}",
            foreign.dim
        ));
    }
    if foreign.dim == 0 && matches!(origin, Origin::Task { .. }) {
        return refuse(format!(
            "holds no genomes (solution_0, ...), and --task \"{task}\" is there to evaluate them: leave it out"
        ));
    }
    match rounding(foreign).filter(|_| args.exact) {
        Some(rounded) => refuse(format!("--exact: {rounded}")),
        None => Ok(()),
    }
}

/// What is said of genes that were rounded.
fn rounding(foreign: &Foreign) -> Option<String> {
    let rounded = foreign.rounded;
    (rounded.genes > 0).then(|| {
        format!(
            "{} of {} genes are no numbers of 32 bits; rounding changes them by {} at most",
            thousands(rounded.genes as u64),
            thousands(foreign.genes.len() as u64),
            significant(rounded.largest)
        )
    })
}

fn write(target: &Path, foreign: &Foreign, division: &Division, placed: &Placed, origin: &Origin) -> Result<()> {
    let dim = foreign.dim;
    let read = |rows: std::ops::Range<usize>| {
        let of_row = |&row: &usize| &foreign.genes[row * dim..(row + 1) * dim];
        Ok(placed.rows[rows].iter().flat_map(of_row).copied().collect())
    };
    let archive = Listed::new(&division.spec, &placed.elites, dim, &read)?;
    let last = placed
        .elites
        .get::<i64>("generation")?
        .iter()
        .max()
        .copied()
        .unwrap_or(0);
    let base = match origin {
        Origin::Like(file) => file.attributes.clone(),
        Origin::Task { config, task, .. } => Attributes {
            task: task.spec().name.clone(),
            seed: config.seed,
            ..Attributes::default()
        },
        Origin::Unknown => Attributes {
            task: "unknown".into(),
            ..Attributes::default()
        },
    };
    let attributes = Attributes {
        software_version: env!("CARGO_PKG_VERSION").into(),
        strategy: IMPORTED.into(),
        generation: base.generation.max(u64::try_from(last + 1).unwrap_or(0)),
        config: division.config.clone(),
        created: now(),
        ranks: 1,
        threads: 1,
        operators: placed.operators.clone(),
        ..base
    };
    let contents = Contents {
        attributes: &attributes,
        archive: &archive,
        genome_dim: dim,
        lineage: false,
        genes: None,
        history: &History::new(&[], &[], 2).batch(),
        state: None,
        checkpoint: false,
        compress: 0,
    };
    file::write(target, &contents, &Solo)
}

/// The task, where it is known.
fn task(origin: &Origin) -> Option<&str> {
    match origin {
        Origin::Like(file) => Some(&file.attributes.task),
        Origin::Task { task, .. } => Some(&task.spec().name),
        Origin::Unknown => None,
    }
}

/// The documented fields of `--json`.
fn json(
    args: &ImportArgs,
    target: &Path,
    foreign: &Foreign,
    division: &Division,
    placed: &Placed,
    origin: &Origin,
) -> String {
    json_text(&json!({
        "file": target.display().to_string(),
        "source": args.path.display().to_string(),
        "form": foreign.form,
        "task": task(origin),
        "archive": division.spec.kind,
        "cells": division.spec.capacity,
        "rows": foreign.rows(),
        "elites": placed.rows.len(),
        "genome_dim": foreign.dim,
        "rounded_genes": foreign.rounded.genes,
        "notes": placed.notes,
    }))
}

/// The same in a few lines.
fn text(target: &Path, foreign: &Foreign, division: &Division, placed: &Placed, origin: &Origin) -> String {
    let count = |n: usize| thousands(n as u64);
    let rows = [
        ("read", format!("{}, {} elites", foreign.form, count(foreign.rows()))),
        (
            "archive",
            format!("{}, {} cells", division.spec.kind, count(division.spec.capacity)),
        ),
        ("elites", count(placed.rows.len())),
        ("genomes", format!("of {} genes", count(foreign.dim))),
        ("task", task(origin).unwrap_or("none: --task gives it one").into()),
        (
            "written",
            format!(
                "{} ({})",
                target.display(),
                bytes(target.metadata().map_or(0, |m| m.len()))
            ),
        ),
    ];
    named(rows) + &placed.notes.iter().map(|note| format!("{note}\n")).collect::<String>()
}
