//! `illume report`: a run or a sweep as one HTML file that is looked at in a browser.

mod films;
mod run;
mod sweep;

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use illume_core::{Error, Result};
use serde_json::{Value, json};

use super::launch::alone;
use crate::engine::output::{bytes, json_text, named, write_atomically};
use crate::formats::policy::PolicyFile;
use crate::render::report::{MARK, page};
use crate::sweep::Sweep;

/// Written into the folder, or beside the archive.
const FILE: &str = "report.html";

/// Write a report of a run or a sweep: one HTML file with curves, maps, elites and provenance, that needs no network
#[derive(clap::Args)]
pub struct ReportArgs {
    /// Run directory, .h5 file, or the folder of a sweep
    path: PathBuf,
    /// File to write [default: report.html in that folder, or beside the .h5 file]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Elites whose episodes are shown in it, where the task can be shown: the best, then those that lie farthest apart [default: 12; more where one frame
    /// shows the whole way and is soon made]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=2000))]
    films: Option<u32>,
    /// Of a sweep: write the report of each of its runs as well, into the run's directory
    #[arg(long)]
    runs: bool,
    /// Replace a file that is no report
    #[arg(long)]
    force: bool,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
}

impl ReportArgs {
    pub fn run(&self) -> u8 {
        alone(|| report(self))
    }

    fn films(&self) -> Option<usize> {
        self.films.map(|n| n as usize)
    }
}

/// What was written.
struct Written {
    file: PathBuf,
    bytes: usize,
    rows: Vec<(&'static str, String)>,
}

/// # Errors
/// No archive and no sweep there, a file that is in the way, or one that cannot be written.
fn report(args: &ReportArgs) -> Result<String> {
    let path = args.path.as_path();
    if PolicyFile::is_at(path) {
        return Err(Error::input(format!(
            "{} is a policy, of which there is no report; expected a run directory, an .h5 file or the folder of a sweep",
            path.display()
        )));
    }
    let of_sweep = Sweep::is_at(path);
    if args.runs && !of_sweep {
        return Err(Error::input(format!(
            "--runs is for a sweep, and {} is none",
            path.display()
        )));
    }
    let target = match &args.output {
        Some(to) => to.clone(),
        None if path.is_dir() => path.join(FILE),
        None => path.with_file_name(FILE),
    };
    check(&target, args.force)?;
    let mut written = if of_sweep {
        sweep::write_all(path, &target, args)?
    } else {
        let page = run::page(path, args.films())?;
        vec![write(&target, page)?]
    };
    let report = written.remove(0);
    Ok(if args.json {
        let others: Vec<String> = written.iter().map(|w| w.file.display().to_string()).collect();
        json_text(&json!({"file": report.file.display().to_string(), "bytes": report.bytes, "runs": others}))
    } else {
        let size = format!("{} ({})", report.file.display(), bytes(report.bytes as u64));
        let further = (!written.is_empty()).then(|| ("reports of runs", written.len().to_string()));
        named(report.rows.into_iter().chain(further).chain([("written", size)]))
    })
}

/// What a page holds, and what is said of it on the terminal.
struct Page {
    title: String,
    data: Value,
    rows: Vec<(&'static str, String)>,
}

fn write(target: &Path, page_of: Page) -> Result<Written> {
    let text = page(&page_of.title, &page_of.data);
    write_atomically(target, text.as_bytes())?;
    Ok(Written {
        file: target.into(),
        bytes: text.len(),
        rows: page_of.rows,
    })
}

/// Whether the file may be written: there is none, or a report.
fn check(target: &Path, force: bool) -> Result<()> {
    let shown = target.display();
    let ending = target.extension().map(|e| e.to_string_lossy().to_lowercase());
    if !matches!(ending.as_deref(), Some("html" | "htm")) {
        return Err(Error::input(format!("-o {shown}: expected a name that ends in .html")));
    }
    if target.is_dir() {
        return Err(Error::input(format!(
            "{shown} is a folder: expected the name of a file"
        )));
    }
    if force || !target.exists() {
        return Ok(());
    }
    let mut start = Vec::new();
    let read = File::open(target).and_then(|file| file.take(400).read_to_end(&mut start));
    if read.is_ok() && String::from_utf8_lossy(&start).contains(MARK) {
        return Ok(());
    }
    Err(Error::input(format!(
        "{shown} is there already, is no report and is left as it is; --force replaces it"
    )))
}

/// A number, or null where there is none.
fn number(x: f64) -> Value {
    if x.is_finite() { json!(x) } else { Value::Null }
}
