//! `illume export`: an archive, or one elite of it, in a form that other programs read.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use illume_archives::file::{self, ArchiveFile};
use illume_core::{Batch, Error, Result};
use serde_json::json;

use super::elite::{self, Solution, Which};
use super::launch::alone;
use super::lm;
use crate::engine::output::{Progress, json_text, named, thousands, write_streamed};
use crate::formats::export::{self, Genes};
use crate::formats::policy::PolicyFile;

/// Seconds between lines on how far a large export is, off a terminal.
const SAY_EVERY: f64 = 10.0;

/// Write an archive, or one elite of it, for other programs: a table (.csv), arrays of numpy (.npz), or .h5 with decoded genomes
#[derive(clap::Args)]
pub struct ExportArgs {
    /// Run directory or .h5 file
    path: PathBuf,
    /// File to write; .csv, .npz or .h5
    #[arg(
        short,
        long,
        value_name = "FILE",
        required_unless_present_any = ["adapter", "model"],
        conflicts_with_all = ["adapter", "model"]
    )]
    output: Option<PathBuf>,
    /// Of a run on a language model: write the adapter of one elite (the solution, if not said otherwise) to this folder, as PEFT loads it
    #[arg(long, value_name = "DIR", conflicts_with = "genomes")]
    adapter: Option<PathBuf>,
    /// The same as a whole model, the adapter added to its weights, as transformers loads it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["genomes", "adapter"])]
    model: Option<PathBuf>,
    /// Only one: best, solution (the strategy's own result), or the number of a cell [default: all elites]
    #[arg(long, value_name = "ELITE")]
    elite: Option<Which>,
    /// With genomes, decoded (.npz; an .h5 always has them)
    #[arg(long)]
    genomes: bool,
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
            (.., output) => export(
                self,
                output
                    .as_ref()
                    .expect("the command line has a file, an adapter or a model"),
            ),
        })
    }
}

/// The forms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    Npz,
    H5,
}

/// What is exported: rows of a table with what is known of them, and their genes.
struct Chosen<'a> {
    table: Batch,
    genes: Option<Genes<'a>>,
    /// By which the run normalized observations, where that is not in the table.
    statistics: Option<Batch>,
    /// Rows of the archive; none for the solution.
    rows: Option<std::ops::Range<usize>>,
    name: String,
}

/// Writes the file; returns what is printed.
///
/// # Errors
/// No archive, an empty one, no such elite, a form that is not known or cannot hold what is asked for, a file that is there already,
/// lineages of a task that cannot be built here, or a file that cannot be written.
fn export(args: &ExportArgs, target: &Path) -> Result<String> {
    let path = args.path.as_path();
    let form = form(target)?;
    if args.genomes && form == Form::Csv {
        return Err(Error::input(format!(
            "--genomes: {} would hold no genomes, as text would be too large; .npz and .h5 do",
            target.display()
        )));
    }
    if PolicyFile::is_at(path) {
        return Err(Error::input(format!(
            "{} is a policy, which other programs read as it is (docs/format.md); expected a run directory or an .h5 file",
            path.display()
        )));
    }
    let path = super::archive_path(path)?;
    let file = file::open(&path)?;
    check_target(target, &path, args.force)?;
    let with_genomes = form == Form::H5 || args.genomes;
    let solution = file.solution()?;
    let chosen = choose(&file, solution.as_ref(), args.elite, with_genomes)?;
    write(&file, solution.as_ref(), form, target, &chosen)?;
    let bytes = target.metadata().map_or(0, |m| m.len());
    Ok(if args.json {
        json(&file, target, &chosen, bytes)
    } else {
        text(&file, form, target, &chosen, bytes)
    })
}

fn form(target: &Path) -> Result<Form> {
    let ending = target.extension().map(|e| e.to_string_lossy().to_lowercase());
    match ending.as_deref() {
        Some("csv") => Ok(Form::Csv),
        Some("npz") => Ok(Form::Npz),
        Some("h5") => Ok(Form::H5),
        _ => Err(Error::input(format!(
            "-o {}: expected a name that ends in .csv (a table without genomes), .npz (arrays of numpy) or .h5 (an archive with decoded genomes)",
            target.display()
        ))),
    }
}

/// Whether the file may be written: nothing is lost that was not meant.
fn check_target(target: &Path, source: &Path, force: bool) -> Result<()> {
    let shown = target.display();
    let refuse = |what: &str| Err(Error::input(format!("{shown} {what}")));
    if !target.exists() {
        return Ok(());
    }
    if target.is_dir() {
        return refuse("is a folder: expected the name of a file");
    }
    let same = match (target.canonicalize(), source.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    match (same, force) {
        (true, _) => refuse("is the archive that is to be exported: choose another name"),
        (false, false) => refuse("is there already and is left as it is; --force replaces it"),
        (false, true) => Ok(()),
    }
}

fn choose<'a>(
    file: &'a ArchiveFile,
    solution: Option<&Batch>,
    which: Option<Which>,
    with_genomes: bool,
) -> Result<Chosen<'a>> {
    if which == Some(Which::Solution) {
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
        });
    }
    if file.rows() == 0 {
        return Err(Error::input(format!(
            "{}: the archive is empty: there is nothing to export",
            file.path().display()
        )));
    }
    let (rows, name) = match which {
        None => (0..file.rows(), "all".into()),
        Some(which) => {
            let row = elite::row(file, which)?;
            (row..row + 1, format!("cell {}", file.elites.get::<i64>("cell")?[row]))
        }
    };
    Ok(Chosen {
        table: file.elites.select(&rows.clone().collect::<Vec<_>>()),
        genes: with_genomes.then(|| Genes::of_elites(file, rows.clone())).transpose()?,
        statistics: solution.and_then(statistics),
        rows: Some(rows),
        name,
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

fn write(file: &ArchiveFile, solution: Option<&Batch>, form: Form, target: &Path, chosen: &Chosen<'_>) -> Result<()> {
    let total = chosen.table.rows();
    let progress = Mutex::new(Progress::new(true, SAY_EVERY));
    let written = |rows: usize| {
        let text = format!("{} of {} genomes", thousands(rows as u64), thousands(total as u64));
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.update(rows as f64 / total as f64, &text);
    };
    let axes: Vec<String> = file.spec.axes.iter().map(|a| a.name.clone()).collect();
    let operators = &file.attributes.operators;
    match form {
        Form::Csv => write_streamed(target, |to| {
            Ok(export::csv(to, &chosen.table, &file.spec.axes, operators)?)
        }),
        Form::Npz => write_streamed(target, |to| {
            let further = chosen.statistics.as_ref();
            export::npz(
                to,
                [Some(&chosen.table), further],
                [&axes, operators],
                chosen.genes.as_ref(),
                written,
            )
        }),
        Form::H5 => {
            let Some(rows) = chosen.rows.clone() else {
                return Err(Error::input(format!(
                    "-o {}: an .h5 export holds elites of cells, and the solution lies in none; .npz holds it, and the export of all \
                     elites has it in /solution",
                    target.display()
                )));
            };
            let solution = solution.map(|table| dense(table, file)).transpose()?;
            export::h5(target, file, rows, solution, written)
        }
    }?;
    progress.into_inner().unwrap_or_else(PoisonError::into_inner).finish();
    Ok(())
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
        (false, Form::Csv) => "none: .npz and .h5 hold them".into(),
        (false, _) => format!("none: --genomes adds them ({})", crate::engine::output::bytes(room)),
    };
    let elites = match &chosen.rows {
        Some(rows) if rows.len() == file.rows() => thousands(rows.len() as u64),
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
    named(rows)
}
