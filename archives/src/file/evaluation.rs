//! The file of an evaluation: what the elites of an archive do in fresh episodes. `docs/format.md` describes it.

use std::path::Path;

use hdf5::{File, Group};
use illume_core::{Batch, Result};

use super::EVALUATION_FORMAT;
use super::atomic::Unfinished;
use super::h5::{self, Maker};
use super::read::{self, refuse};

/// What this code writes. Version 1 called the corrected numbers expected, and had neither the papers' expected ones nor standard errors.
const VERSION: u64 = 2;

/// An archive's elites evaluated again.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Evaluation {
    /// Version of the program that evaluated.
    pub software_version: String,
    /// When, ISO 8601.
    pub created: String,
    /// The file that was evaluated, as it was named.
    pub archive: String,
    pub task: String,
    pub strategy: String,
    /// The run's seed.
    pub seed: u64,
    /// Generations done when the archive was written.
    pub generation: u64,
    /// Evaluations done when the archive was written.
    pub evaluations: u64,
    /// Fresh episodes of each elite.
    pub episodes: u64,
    /// Cells of the archive, filled or not.
    pub cells: u64,
    pub qd_offset: f64,
    /// Names of the descriptor's axes.
    pub axes: Vec<String>,
    pub totals: Totals,
    /// A row for each elite, in the order of the archive's `/elites`: the columns that docs/format.md lists.
    pub elites: Batch,
}

/// What the rows come to. Means are over the elites with an episode that ended well; NaN where there is none. Expected is what each elite
/// is worth in the cell that it has, corrected what is left when elites are put anew where their mean descriptor lies; `se` is the
/// standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Totals {
    pub elites: u64,
    /// Elites whose fitness and descriptor came out bit for bit as stored, under their own seeds.
    pub identical: u64,
    /// Elites without any fresh episode that ended well.
    pub failed: u64,
    pub qd_score: f64,
    pub expected_qd_score: f64,
    pub expected_qd_score_se: f64,
    pub corrected_qd_score: f64,
    pub corrected_qd_score_se: f64,
    pub coverage: f64,
    pub expected_coverage: f64,
    pub expected_coverage_se: f64,
    pub corrected_coverage: f64,
    pub corrected_coverage_se: f64,
    pub max_fitness: f64,
    pub expected_max_fitness: f64,
    pub expected_max_fitness_se: f64,
    pub corrected_max_fitness: f64,
    pub corrected_max_fitness_se: f64,
    pub mean_fitness_change: f64,
    pub mean_fitness_sd: f64,
    pub mean_descriptor_sd: f64,
    pub mean_descriptor_distance: f64,
    pub mean_center_distance: f64,
}

impl Totals {
    fn counts(&mut self) -> [(&'static str, &mut u64); 3] {
        [
            ("elites", &mut self.elites),
            ("identical", &mut self.identical),
            ("failed", &mut self.failed),
        ]
    }

    /// All numbers by name.
    pub fn named(mut self) -> Vec<(&'static str, f64)> {
        self.numbers().into_iter().map(|(name, value)| (name, *value)).collect()
    }

    fn numbers(&mut self) -> [(&'static str, &mut f64); 20] {
        [
            ("qd_score", &mut self.qd_score),
            ("expected_qd_score", &mut self.expected_qd_score),
            ("expected_qd_score_se", &mut self.expected_qd_score_se),
            ("corrected_qd_score", &mut self.corrected_qd_score),
            ("corrected_qd_score_se", &mut self.corrected_qd_score_se),
            ("coverage", &mut self.coverage),
            ("expected_coverage", &mut self.expected_coverage),
            ("expected_coverage_se", &mut self.expected_coverage_se),
            ("corrected_coverage", &mut self.corrected_coverage),
            ("corrected_coverage_se", &mut self.corrected_coverage_se),
            ("max_fitness", &mut self.max_fitness),
            ("expected_max_fitness", &mut self.expected_max_fitness),
            ("expected_max_fitness_se", &mut self.expected_max_fitness_se),
            ("corrected_max_fitness", &mut self.corrected_max_fitness),
            ("corrected_max_fitness_se", &mut self.corrected_max_fitness_se),
            ("mean_fitness_change", &mut self.mean_fitness_change),
            ("mean_fitness_sd", &mut self.mean_fitness_sd),
            ("mean_descriptor_sd", &mut self.mean_descriptor_sd),
            ("mean_descriptor_distance", &mut self.mean_descriptor_distance),
            ("mean_center_distance", &mut self.mean_center_distance),
        ]
    }
}

impl Evaluation {
    fn texts(&mut self) -> [(&'static str, &mut String); 5] {
        [
            ("software_version", &mut self.software_version),
            ("created", &mut self.created),
            ("archive", &mut self.archive),
            ("task", &mut self.task),
            ("strategy", &mut self.strategy),
        ]
    }

    fn counts(&mut self) -> [(&'static str, &mut u64); 5] {
        [
            ("seed", &mut self.seed),
            ("generation", &mut self.generation),
            ("evaluations", &mut self.evaluations),
            ("episodes", &mut self.episodes),
            ("cells", &mut self.cells),
        ]
    }
}

/// Whether there is a file that is an evaluation of ours, of whatever version.
pub fn is_evaluation(path: &Path) -> bool {
    read::open_hdf5(path).is_ok_and(|(file, _)| h5::get_text(&file, "format").is_ok_and(|f| f == EVALUATION_FORMAT))
}

/// Whether an evaluation may be written under this name: asked before the work that leads to it.
///
/// # Errors
/// Something else has the name (which is not to be lost), or the folder cannot be written.
pub fn check_target(path: &Path) -> Result<()> {
    if path.exists() && !is_evaluation(path) {
        return Err(refuse(
            path,
            "is there and is not the file of an evaluation; it is left as it is",
        ));
    }
    Unfinished::create(path).map(drop)
}

/// Writes an evaluation: the file appears under its name whole or not at all, in the place of an older one.
///
/// # Errors
/// The folder or disk; the sentence names path and cause.
pub fn write_evaluation(path: &Path, evaluation: &Evaluation) -> Result<()> {
    let mut file = Unfinished::create(path)?;
    let filled = fill(file.hdf5(), evaluation.clone());
    filled.map_err(|e| file.explain(e))?;
    file.finish()
}

fn fill(file: &File, mut e: Evaluation) -> hdf5::Result<()> {
    h5::put_text(file, "format", EVALUATION_FORMAT)?;
    h5::put_number(file, "format_version", VERSION)?;
    for (name, value) in e.texts() {
        h5::put_text(file, name, value)?;
    }
    for (name, value) in e.counts() {
        h5::put_number(file, name, *value)?;
    }
    h5::put_number(file, "qd_offset", e.qd_offset)?;
    h5::put_many_texts(file, "axes", &e.axes)?;
    for (name, value) in e.totals.counts() {
        h5::put_number(file, name, *value)?;
    }
    for (name, value) in e.totals.numbers() {
        h5::put_number(file, name, *value)?;
    }
    let mut maker = Maker::new(
        file,
        "elites",
        0,
        "the archive's elites in fresh episodes, in cell order",
    )?;
    maker.named_dimension("axis", "axes of the descriptor", &e.axes)?;
    maker.table(&e.elites, Some(("elite", "elites, in cell order")))
}

/// Reads an evaluation.
///
/// # Errors
/// One sentence that names the path: no such file, another one, of a newer format, truncated or damaged.
pub fn open_evaluation(path: &Path) -> Result<Evaluation> {
    let (file, bytes) = read::open_hdf5(path)?;
    let version = read::check_format(&file, EVALUATION_FORMAT, VERSION).map_err(|what| refuse(path, &what))?;
    parts(&file, bytes, version).map_err(|what| refuse(path, &what))
}

/// The name that version 1 had for an attribute or column; none for one that it had not.
fn first_name(name: &'static str) -> Option<&'static str> {
    match name {
        "corrected_qd_score" => Some("expected_qd_score"),
        "corrected_coverage" => Some("expected_coverage"),
        "corrected_max_fitness" => Some("expected_max_fitness"),
        "corrected_cell" => Some("expected_cell"),
        name if name.starts_with("expected_") || name.ends_with("_se") => None,
        name => Some(name),
    }
}

/// Makes up for what version 1 had not: its expected numbers follow from the rows, its standard errors are not known.
fn complete(e: &mut Evaluation) -> std::result::Result<(), String> {
    let renamed = std::mem::take(&mut e.elites);
    for column in renamed.columns() {
        let mut column = column.clone();
        if Some(&*column.name) == first_name("corrected_cell") {
            column.name = "corrected_cell".into();
        }
        e.elites.push_column(column);
    }
    let fitness = e.elites.get::<f64>("expected_fitness").map_err(|e| e.to_string())?;
    let known: Vec<f64> = fitness.iter().copied().filter(|x| !x.is_nan()).collect();
    // An archive without cells has neither of these.
    if e.totals.coverage.is_finite() {
        e.totals.expected_qd_score = known.iter().map(|x| x + e.qd_offset).sum();
        e.totals.expected_coverage = known.len() as f64 / e.cells as f64;
    }
    e.totals.expected_max_fitness = known.into_iter().fold(f64::NAN, f64::max);
    Ok(())
}

fn parts(file: &File, bytes: u64, version: u64) -> std::result::Result<Evaluation, String> {
    let missing = |name: &str, e: hdf5::Error| format!("has no usable attribute '{name}' ({})", h5::cause(&e));
    let mut e = Evaluation::default();
    for (name, value) in e.texts() {
        *value = h5::get_text(file, name).map_err(|e| missing(name, e))?;
    }
    for (name, value) in e.counts() {
        *value = h5::get_number(file, name).map_err(|e| missing(name, e))?;
    }
    e.qd_offset = h5::get_number(file, "qd_offset").map_err(|e| missing("qd_offset", e))?;
    for (name, value) in e.totals.counts() {
        *value = h5::get_number(file, name).map_err(|e| missing(name, e))?;
    }
    for (name, value) in e.totals.numbers() {
        let stored = if version == 1 { first_name(name) } else { Some(name) };
        *value = match stored {
            Some(name) => h5::get_number(file, name).map_err(|e| missing(name, e))?,
            None => f64::NAN,
        };
    }
    let group: Group = file
        .group("elites")
        .map_err(|_| "the group /elites is missing".to_string())?;
    e.axes = h5::get_many_texts(file, "axes", bytes).map_err(|e| missing("axes", e))?;
    e.elites = h5::read_table(&group, bytes)?;
    if e.elites.rows() as u64 != e.totals.elites {
        return Err(format!("/elites has {} rows, not {}", e.elites.rows(), e.totals.elites));
    }
    if version == 1 {
        complete(&mut e)?;
    }
    Ok(e)
}

#[cfg(test)]
#[path = "evaluation_tests.rs"]
mod tests;
