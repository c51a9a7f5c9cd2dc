//! `illume export`: an archive, or some elites of it, in a form that other programs read.

mod policy;
mod select;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use illume_archives::file::{self, ArchiveFile};
use illume_core::{Batch, Error, Result};
use serde_json::json;

use self::select::{Cells, Selection};
use super::elite::{self, Solution, Which};
use super::launch::alone;
use super::lm;
use crate::engine::output::{Progress, json_text, named, thousands, write_streamed};
use crate::formats::export::names::{Names, Words};
use crate::formats::export::{self, Genes};
use crate::formats::policy::PolicyFile;

/// Seconds between lines on how far a large export is, off a terminal.
const SAY_EVERY: f64 = 10.0;

/// Write an archive, or some elites of it, for other programs: a table (.csv), arrays of numpy (.npz), .h5 with decoded genomes, or a repertoire of QDax
#[derive(clap::Args)]
pub struct ExportArgs {
    /// Run directory or .h5 file
    path: PathBuf,
    /// File to write: .csv, .npz, .h5 or .parquet; with --form qdax a folder
    #[arg(
        short,
        long,
        value_name = "FILE",
        required_unless_present_any = ["adapter", "model", "policy"],
        conflicts_with_all = ["adapter", "model", "policy"]
    )]
    output: Option<PathBuf>,
    /// Of a run on a language model: write the adapter of one elite (the solution, if not said otherwise) to this folder, as PEFT loads it
    #[arg(long, value_name = "DIR", conflicts_with = "genomes")]
    adapter: Option<PathBuf>,
    /// The same as a whole model, the adapter added to its weights, as transformers loads it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["genomes", "adapter"])]
    model: Option<PathBuf>,
    /// Of a task that acts through a perceptron: write one elite (the best, if not said otherwise) to this folder as a policy, as `illume distill` does: ONNX, TorchScript, safetensors
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = ["genomes", "adapter", "model", "condition", "cells", "names", "form"]
    )]
    policy: Option<PathBuf>,
    /// With --policy, in place of --elite: the elite with the nearest descriptor, a number for each axis
    #[arg(long, value_name = "X,Y", allow_hyphen_values = true, conflicts_with = "elite")]
    descriptor: Option<String>,
    /// Only one: best, solution (the strategy's own result), or the number of a cell [default: all elites]
    #[arg(long, visible_alias = "cell", value_name = "ELITE")]
    elite: Option<Which>,
    /// Only elites of which this is true, such as 'fitness > 100 and (x < 2 or operator == "iso_line")'; columns are named as in a .csv
    #[arg(long = "where", value_name = "CONDITION", conflicts_with = "elite")]
    condition: Option<String>,
    /// Only elites of these cells, such as 1,5,10-20
    #[arg(long, value_name = "CELLS", conflicts_with = "elite")]
    cells: Option<Cells>,
    /// Of an archive whose cells hold fronts: all members of these, in place of the best of each cell (.csv, .npz and .parquet); a column niche says in which cell each lies
    #[arg(long, conflicts_with_all = ["elite", "cells", "adapter", "model", "policy"])]
    members: bool,
    /// With genomes, decoded (.npz and .parquet, and .csv with --names pyribs; an .h5 and a repertoire of QDax always have them)
    #[arg(long)]
    genomes: bool,
    /// What columns are called, in a .csv, .npz or .parquet
    #[arg(long, value_name = "NAMES", default_value = "illume")]
    names: Names,
    /// What is written [default: as the file's name ends]
    #[arg(long, value_name = "FORM")]
    form: Option<Form>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
}

impl ExportArgs {
    pub fn run(&self) -> u8 {
        alone(|| match (&self.adapter, &self.model, &self.output) {
            (Some(folder), ..) => lm::adapter(&self.path, folder, self.elite, self.force, self.json),
            (_, Some(folder), _) => lm::model(&self.path, folder, self.elite, self.force, self.json),
            (.., output) => match &self.policy {
                Some(folder) => policy::policy(self, folder),
                None => export(
                    self,
                    output
                        .as_ref()
                        .expect("the command line has a file, an adapter, a model or a policy"),
                ),
            },
        })
    }
}

/// The forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// A table of text
    Csv,
    /// Arrays of numpy
    Npz,
    /// An archive file
    H5,
    /// A table of Parquet (in builds with the feature parquet)
    Parquet,
    /// A folder as QDax's MapElitesRepertoire.save writes it: genotypes.npy, fitnesses.npy, descriptors.npy, centroids.npy
    Qdax,
}

/// What is exported: rows of a table with what is known of them, and their genes.
struct Chosen<'a> {
    table: Batch,
    genes: Option<Genes<'a>>,
    /// By which the run normalized observations, where that is not in the table.
    statistics: Option<Batch>,
    /// Rows of the archive; none for the solution.
    rows: Option<Vec<usize>>,
    name: String,
    /// What more is to be said.
    notes: Vec<String>,
}

/// Writes the file; returns what is printed.
///
/// # Errors
/// No archive, an empty one, no such elite, a form that is not known or cannot hold what is asked for, a file that is there already,
/// lineages of a task that cannot be built here, or a file that cannot be written.
fn export(args: &ExportArgs, target: &Path) -> Result<String> {
    let path = args.path.as_path();
    let form = args.form.map_or_else(|| form(target), Ok)?;
    if PolicyFile::is_at(path) {
        return Err(Error::input(format!(
            "{} is a policy, which other programs read as it is (docs/format.md); expected a run directory or an .h5 file",
            path.display()
        )));
    }
    let path = super::archive_path(path)?;
    let file = file::open(&path)?;
    // Genes with names are few, and people look for them.
    let by_name = form == Form::Csv && args.names == Names::Own && file.genes.is_some();
    check_options(args, form, by_name, target)?;
    match form {
        Form::Qdax => check_folder(target, &file, args.force)?,
        _ => check_target(target, &[&path], args.force)?,
    }
    let with_genomes = args.genomes || by_name || [Form::H5, Form::Qdax].contains(&form);
    let solution = file.solution()?;
    let file = if args.members {
        members(&file, form, target)?
    } else {
        file
    };
    let mut chosen = choose(args, &file, solution.as_ref(), with_genomes)?;
    chosen
        .notes
        .extend(write(&file, solution.as_ref(), (form, args.names), target, &chosen)?);
    let bytes = bytes(target);
    Ok(if args.json {
        json(&file, target, &chosen, bytes)
    } else {
        text(&file, form, target, &chosen, bytes)
    })
}

/// All members of cells that hold fronts.
///
/// # Errors
/// An archive of other cells; a form that holds one elite a cell.
fn members(file: &ArchiveFile, form: Form, target: &Path) -> Result<ArchiveFile> {
    if [Form::H5, Form::Qdax].contains(&form) {
        return Err(Error::input(format!(
            "--members: {} would hold one elite a cell; expected a .csv, .npz or .parquet",
            target.display()
        )));
    }
    file.members()?.ok_or_else(|| {
        Error::input(format!(
            "--members: cells of {} hold no fronts (archive.keep = \"front\"): without it all elites are exported",
            file.path().display()
        ))
    })
}

/// Whether the options go together.
fn check_options(args: &ExportArgs, form: Form, by_name: bool, target: &Path) -> Result<()> {
    let shown = target.display();
    if args.genomes && !by_name && (form, args.names) == (Form::Csv, Names::Own) {
        return Err(Error::input(format!(
            "--genomes: {shown} would hold no genomes, as text is large; .npz and .h5 hold them, and a .csv with --names pyribs does"
        )));
    }
    if let Some(descriptor) = &args.descriptor {
        return Err(Error::input(format!(
            "--descriptor {descriptor}: names the elite of --policy DIR; expected --elite or --cells for {shown}"
        )));
    }
    if args.names == Names::Pyribs && [Form::H5, Form::Qdax].contains(&form) {
        return Err(Error::input(format!(
            "--names pyribs: {shown} would hold the names of its own form; expected a .csv or .npz"
        )));
    }
    Ok(())
}

/// The size of what was written.
fn bytes(target: &Path) -> u64 {
    let size = |path: &Path| path.metadata().map_or(0, |m| m.len());
    match target.is_dir() {
        true => export::QDAX_FILES.iter().map(|name| size(&target.join(name))).sum(),
        false => size(target),
    }
}

fn form(target: &Path) -> Result<Form> {
    let ending = target.extension().map(|e| e.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("csv") => Ok(Form::Csv),
        Some("npz") => Ok(Form::Npz),
        Some("h5") => Ok(Form::H5),
        Some("parquet") => Ok(Form::Parquet),
        _ => Err(Error::input(format!(
            "-o {}: expected a name that ends in .csv (a table), .npz (arrays of numpy) or .h5 (an archive with decoded genomes), or --form qdax for a folder",
            target.display()
        ))),
    }
}

/// Whether a file may be written that is made of these: nothing is lost that was not meant.
///
/// # Errors
/// It is a folder, one of the sources, or there already and not to be replaced.
pub(super) fn check_target(target: &Path, sources: &[&Path], force: bool) -> Result<()> {
    let shown = target.display();
    let refuse = |what: &str| Err(Error::input(format!("{shown} {what}")));
    if !target.exists() {
        return Ok(());
    }
    if target.is_dir() {
        return refuse("is a folder: expected the name of a file");
    }
    let same = |source: &&Path| matches!((target.canonicalize(), source.canonicalize()), (Ok(a), Ok(b)) if a == b);
    match (sources.iter().any(same), force) {
        (true, _) => refuse("is what is to be read: choose another name"),
        (false, false) => refuse("is there already and is left as it is; --force replaces it"),
        (false, true) => Ok(()),
    }
}

/// The same of the folder for a repertoire of QDax.
fn check_folder(target: &Path, file: &ArchiveFile, force: bool) -> Result<()> {
    let shown = target.display();
    if !file.spec.has_cells() {
        return Err(Error::input(format!(
            "--form qdax: a repertoire has a centroid for each cell, and {} is an archive without cells; .npz holds it",
            file.path().display()
        )));
    }
    if target.exists() && !target.is_dir() {
        return Err(Error::input(format!("{shown} is a file: --form qdax writes a folder")));
    }
    let there = export::QDAX_FILES.iter().find(|name| target.join(name).exists());
    if let (Some(name), false) = (there, force) {
        return Err(Error::input(format!(
            "{shown} holds {name} already and is left as it is; --force replaces it"
        )));
    }
    Ok(())
}

fn choose<'a>(
    args: &ExportArgs,
    file: &'a ArchiveFile,
    solution: Option<&Batch>,
    with_genomes: bool,
) -> Result<Chosen<'a>> {
    if args.elite == Some(Which::Solution) {
        let table = solution.ok_or_else(|| elite::no_solution(file))?;
        let solution = Solution::of_table(table, file)?.ok_or_else(|| elite::no_solution(file))?;
        return Ok(Chosen {
            table: table.select(&[0]),
            statistics: None,
            genes: with_genomes
                .then(|| Genes::of_genome(file, solution.genomes))
                .transpose()?,
            rows: None,
            name: "solution".into(),
            notes: Vec::new(),
        });
    }
    if file.rows() == 0 {
        return Err(Error::input(format!(
            "{}: the archive is empty: there is nothing to export",
            file.path().display()
        )));
    }
    let Selection { rows, name, notes } = match args.elite {
        Some(which) => {
            let row = elite::row(file, which)?;
            let name = format!("cell {}", file.elites.get::<i64>("cell")?[row]);
            Selection::new(vec![row], &name)
        }
        None => select::select(file, args.condition.as_deref(), args.cells.as_ref())?,
    };
    Ok(Chosen {
        table: file.elites.select(&rows),
        genes: with_genomes.then(|| Genes::of_elites(file, rows.clone())).transpose()?,
        statistics: solution.and_then(statistics),
        rows: Some(rows),
        name,
        notes,
    })
}

/// The observations' statistics among the columns of a solution.
fn statistics(solution: &Batch) -> Option<Batch> {
    let mut found = Batch::new();
    for column in solution.columns() {
        if column.name.starts_with("observation_") {
            found.push_column(column.clone());
        }
    }
    (!found.columns().is_empty()).then_some(found)
}

/// Writes it; returns what is to be said of it.
fn write(
    file: &ArchiveFile,
    solution: Option<&Batch>,
    (form, names): (Form, Names),
    target: &Path,
    chosen: &Chosen<'_>,
) -> Result<Option<String>> {
    let total = chosen.table.rows();
    let progress = Mutex::new(Progress::new(true, SAY_EVERY));
    let written = |rows: usize| {
        let text = format!("{} of {} genomes", thousands(rows as u64), thousands(total as u64));
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.update(rows as f64 / total as f64, &text);
    };
    let axes: Vec<String> = file.spec.axes.iter().map(|a| a.name.clone()).collect();
    let operators = &file.attributes.operators;
    let objectives: Vec<String> = file.attributes.objectives.iter().map(|o| o.name.clone()).collect();
    let genes = chosen.genes.as_ref();
    let no_cell = |form: &str| {
        Error::input(format!(
            "-o {}: {form} holds elites of cells, and the solution lies in none; .npz holds it, and the export of all elites as .h5 has it in \
             /solution",
            target.display()
        ))
    };
    let mut note = None;
    match form {
        Form::Csv => {
            let table = names.of(&chosen.table)?;
            let words = Words::of(file);
            write_streamed(target, |to| export::csv(to, &table, names, words, genes, written))
        }
        #[cfg(feature = "parquet")]
        Form::Parquet => {
            let table = names.of(&chosen.table)?;
            let words = Words::of(file);
            write_streamed(target, |to| export::parquet(to, &table, names, words, genes, written))
        }
        #[cfg(not(feature = "parquet"))]
        Form::Parquet => Err(Error::input(format!(
            "{}: this illume is built without the feature \"parquet\"; .csv, .npz and .h5 are there, and pandas makes Parquet of them",
            target.display()
        ))),
        Form::Npz => {
            let table = names.of(&chosen.table)?;
            let genes = genes.map(|genes| (names.genome(), genes));
            let tables = [Some(&table), chosen.statistics.as_ref()];
            write_streamed(target, |to| {
                export::npz(to, tables, [&axes, operators, &objectives], genes, written)
            })
        }
        Form::H5 => {
            let rows = chosen.rows.as_deref().ok_or_else(|| no_cell("an .h5 export"))?;
            let solution = solution.map(|table| dense(table, file)).transpose()?;
            export::h5(target, file, rows, solution, written)
        }
        Form::Qdax => {
            let none = || no_cell("a repertoire of QDax");
            let (rows, genes) = chosen.rows.as_deref().zip(genes).ok_or_else(none)?;
            fs::create_dir_all(target).map_err(|e| Error::failed(format!("cannot write {}: {e}", target.display())))?;
            let rounded = export::qdax(target, file, rows, genes, written)?;
            if rounded > 0 {
                let rounded = thousands(rounded as u64);
                note = Some(format!(
                    "{rounded} numbers were rounded to f32, which is what QDax holds"
                ));
            }
            Ok(())
        }
    }?;
    progress.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
    Ok(note)
}

/// A solution with its genome dense, if it has one.
fn dense(table: &Batch, file: &ArchiveFile) -> Result<Batch> {
    let Some(solution) = Solution::of_table(table, file)? else {
        return Ok(table.clone());
    };
    let genes = Genes::of_genome(file, solution.genomes)?.read(0..1)?;
    Ok(export::dense_solution(table, genes))
}

/// The documented fields of `--json`.
fn json(file: &ArchiveFile, target: &Path, chosen: &Chosen<'_>, bytes: u64) -> String {
    let fields = json!({
        "file": target.display().to_string(),
        "archive": file.path().display().to_string(),
        "task": file.attributes.task,
        "strategy": file.attributes.strategy,
        "elite": chosen.name.split(' ').next(),
        "rows": chosen.table.rows(),
        "genome_dim": file.genome_dim,
        "genomes": chosen.genes.is_some(),
        "bytes": bytes,
        "notes": chosen.notes,
    });
    json_text(&fields)
}

/// The same in a few lines.
fn text(file: &ArchiveFile, form: Form, target: &Path, chosen: &Chosen<'_>, bytes: u64) -> String {
    let genes = thousands(file.genome_dim as u64);
    let room = chosen.table.rows() as u64 * file.genome_dim as u64 * 4;
    let genomes = match (chosen.genes.is_some(), form) {
        (true, _) if file.lineage => format!("{genes} genes each, decoded from lineages"),
        (true, _) => format!("{genes} genes each"),
        (false, Form::Csv) => "none: .npz and .h5 hold them, and a .csv with --names pyribs --genomes".into(),
        (false, _) => format!("none: --genomes adds them ({})", crate::engine::output::bytes(room)),
    };
    let elites = match &chosen.rows {
        Some(rows) if rows.len() == file.rows() => thousands(rows.len() as u64),
        Some(rows) if chosen.name == "some" => {
            format!("{} of {}", thousands(rows.len() as u64), thousands(file.rows() as u64))
        }
        Some(_) => format!("{} alone", chosen.name),
        None => "the solution alone".into(),
    };
    let rows = [
        ("task", file.attributes.task.clone()),
        ("strategy", file.attributes.strategy.clone()),
        ("elites", elites),
        ("genomes", genomes),
        (
            "written",
            format!("{} ({})", target.display(), crate::engine::output::bytes(bytes)),
        ),
    ];
    named(rows) + &chosen.notes.iter().map(|note| format!("{note}\n")).collect::<String>()
}
