//! What became of a run, `results/NAME.jsonl`: a line with its row of the sweep's table, a line with its history.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use illume_archives::file::{self, Totals};
use illume_core::{Batch, Error, Result};
use serde::{Deserialize, Serialize};

use crate::engine::output::write_atomically;

/// Rows of a history that a sweep keeps, about.
const HISTORY_ROWS: usize = 500;

/// How a run ended for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Done,
    /// It crashed, or its workers vanished, as often as the plan allows.
    Failed,
    /// Its configuration is wrong, which another attempt would not mend.
    Wrong,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Status::Done => "done",
            Status::Failed => "failed",
            Status::Wrong => "wrong",
        }
    }
}

/// A row of the sweep's table, and what does not belong into it because it differs from machine to machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub status: Status,
    /// Why it is not done, one sentence.
    pub error: String,
    /// The last lines that it wrote to standard error, of a run that is not done.
    pub stderr: Vec<String>,
    /// What it ended with, by column; none where the run knows no value.
    pub values: Vec<(String, Option<f64>)>,
    pub timing: Timing,
}

/// Times and places.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// By the run's own clock, all parts added.
    pub wall_seconds: f64,
    /// The same times threads times ranks.
    pub core_seconds: f64,
    /// Attempts that ended, the last one included.
    pub attempts: u32,
    /// Workers that vanished with it.
    pub lost: u32,
    pub interrupted: u32,
    pub host: String,
    /// Columns of the history that tell times.
    pub values: Vec<(String, Option<f64>)>,
}

/// Some rows of a run's history, column by column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    pub columns: Vec<(String, Vec<Option<f64>>)>,
}

/// Whether a column of a history tells how long something took, which differs from run to run.
pub fn is_timing(column: &str) -> bool {
    column.ends_with("_seconds") || column.ends_with("_share")
}

/// Numbers of an evaluation that a history has not.
fn of_evaluation(totals: Totals) -> impl Iterator<Item = (&'static str, f64)> {
    let stored = ["qd_score", "coverage", "max_fitness"];
    totals
        .named()
        .into_iter()
        .filter(move |(name, _)| !stored.contains(name))
}

/// Their columns.
pub fn evaluated() -> Vec<&'static str> {
    of_evaluation(Totals::default()).map(|(name, _)| name).collect()
}

fn known(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

/// What a finished run left, read from its directory: its last values and its history, thinned.
///
/// # Errors
/// No archive, a damaged one, or no evaluation where one was asked for.
pub fn read_run(dir: &Path, evaluated: bool) -> Result<(Row, Curve)> {
    let archive = file::open(&dir.join("archive.h5"))?;
    let history = &archive.history;
    if history.rows() == 0 {
        return Err(Error::failed(format!("{} has no history", dir.display())));
    }
    let last = history.rows() - 1;
    let (mut values, mut timed) = (Vec::new(), Vec::new());
    for column in history.columns() {
        let entry = (column.name.clone(), known(history.get::<f64>(&column.name)?[last]));
        if is_timing(&column.name) {
            timed.push(entry)
        } else {
            values.push(entry)
        }
    }
    if evaluated {
        // Of an empty archive there is nothing to evaluate.
        let empty = archive.rows() == 0;
        let totals = if empty {
            Totals::default()
        } else {
            file::open_evaluation(&dir.join("eval.h5"))?.totals
        };
        let column = |(name, value): (&str, f64)| (name.to_string(), known(value).filter(|_| !empty));
        values.extend(of_evaluation(totals).map(column));
    }
    let wall_seconds = history.get::<f64>("wall_seconds")?[last];
    let row = Row {
        status: Status::Done,
        error: String::new(),
        stderr: Vec::new(),
        values,
        timing: Timing {
            wall_seconds,
            core_seconds: wall_seconds * (archive.attributes.threads * archive.attributes.ranks) as f64,
            values: timed,
            ..Timing::default()
        },
    };
    Ok((row, thinned(history)?))
}

/// Every n-th row and the last.
fn thinned(history: &Batch) -> Result<Curve> {
    let rows = history.rows();
    let every = rows.div_ceil(HISTORY_ROWS).max(1);
    let chosen: Vec<usize> = (0..rows).filter(|i| (rows - 1 - i).is_multiple_of(every)).collect();
    let mut curve = Curve::default();
    for column in history.columns() {
        let values = history.get::<f64>(&column.name)?;
        let some = chosen.iter().map(|&i| known(values[i])).collect();
        curve.columns.push((column.name.clone(), some));
    }
    Ok(curve)
}

impl Row {
    pub fn value(&self, column: &str) -> Option<f64> {
        value(&self.values, column)
    }
}

impl Timing {
    pub fn value(&self, column: &str) -> Option<f64> {
        value(&self.values, column)
    }
}

fn value(values: &[(String, Option<f64>)], column: &str) -> Option<f64> {
    values.iter().find(|(name, _)| name == column)?.1
}

/// The results of a sweep, each read once.
pub struct Results {
    folder: PathBuf,
    rows: HashMap<String, Row>,
}

impl Results {
    pub fn new(folder: PathBuf) -> Results {
        Results {
            folder,
            rows: HashMap::new(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.jsonl"))
    }

    /// Looks for results that are new and forgets those that were taken back.
    ///
    /// # Errors
    /// The folder cannot be read, or a result of another version.
    pub fn refresh(&mut self) -> Result<()> {
        let cannot = |e: std::io::Error| Error::failed(format!("cannot read {}: {e}", self.folder.display()));
        let mut there = Vec::new();
        for entry in std::fs::read_dir(&self.folder).map_err(cannot)? {
            let name = entry.map_err(cannot)?.file_name();
            if let Some(name) = name.to_str().and_then(|n| n.strip_suffix(".jsonl")) {
                there.push(name.to_string());
            }
        }
        let all: std::collections::HashSet<&String> = there.iter().collect();
        self.rows.retain(|name, _| all.contains(name));
        for name in there {
            if !self.rows.contains_key(&name)
                && let Some(row) = self.read_row(&name)?
            {
                self.rows.insert(name, row);
            }
        }
        Ok(())
    }

    /// Takes in the result of this name, if there is one now.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn look_for(&mut self, name: &str) -> Result<bool> {
        let row = self.read_row(name)?;
        let found = row.is_some();
        self.rows.extend(row.map(|row| (name.to_string(), row)));
        Ok(found)
    }

    /// None if it was taken back just now.
    fn read_row(&self, name: &str) -> Result<Option<Row>> {
        let path = self.path(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::failed(format!("cannot read {}: {e}", path.display()))),
        };
        let mut line = String::new();
        let read = BufReader::new(file).read_line(&mut line);
        let row = read.ok().and_then(|_| serde_json::from_str(&line).ok());
        row.map(Some).ok_or_else(|| {
            Error::input(format!(
                "{} is no result of a run: remove it, and the run is done again",
                path.display()
            ))
        })
    }

    pub fn get(&self, name: &str) -> Option<&Row> {
        self.rows.get(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Row)> {
        self.rows.iter()
    }

    /// The history of a run that is done.
    ///
    /// # Errors
    /// A damaged result.
    pub fn curve(&self, name: &str) -> Result<Curve> {
        let path = self.path(name);
        let damaged = || {
            Error::input(format!(
                "{} is damaged: remove it, and the run is done again",
                path.display()
            ))
        };
        let text = std::fs::read_to_string(&path).map_err(|_| damaged())?;
        let line = text.lines().nth(1).ok_or_else(damaged)?;
        serde_json::from_str(line).map_err(|_| damaged())
    }

    /// Writes a result: whole or not at all.
    ///
    /// # Errors
    /// The disk.
    pub fn write(&self, name: &str, row: &Row, curve: &Curve) -> Result<()> {
        let json = |e: serde_json::Error| Error::failed(format!("a result cannot be written: {e}"));
        let row = serde_json::to_string(row).map_err(json)?;
        let curve = serde_json::to_string(curve).map_err(json)?;
        write_atomically(&self.path(name), format!("{row}\n{curve}\n").as_bytes())
    }

    /// Takes a result back, so that the run is done again.
    ///
    /// # Errors
    /// The disk.
    pub fn remove(&mut self, name: &str) -> Result<()> {
        self.rows.remove(name);
        let path = self.path(name);
        std::fs::remove_file(&path).map_err(|e| Error::failed(format!("cannot remove {}: {e}", path.display())))
    }
}
