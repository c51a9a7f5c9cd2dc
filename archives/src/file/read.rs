//! Reading the file. Everything is checked before it is used: the file may come from anywhere.

use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hdf5::{File, Group};
use illume_core::{ArchiveSpec, Axis, Batch, Cells, Dense, Error, GeneSpace, Genomes, Lineages, Result, Rule, State};

use super::{ACTIVE, Attributes, EVALUATION_FORMAT, FORMAT, FORMAT_VERSION, OWN_TABLE};
use super::{genes, h5, objectives};
use crate::metrics::{Metrics, measure_archive};
use crate::registry::{MOST_CELLS, check_spec, registry};

/// The first bytes of every HDF5 file (one that has no user block, as ours).
const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// An open file. Its genomes, state and solution are read when asked for.
#[derive(Debug)]
pub struct ArchiveFile {
    pub attributes: Attributes,
    pub spec: ArchiveSpec,
    /// Genes of a genome.
    pub genome_dim: usize,
    /// Whether genomes are stored as lineages.
    pub lineage: bool,
    /// What genes are, if the task said it: genomes are then coordinates of these.
    pub genes: Option<Arc<GeneSpace>>,
    /// In cell order: `cell` i64, `fitness` f64, `descriptor` f64 `[k]`, `generation` i64, `operator` i32, `parents` i64 `[2]`, `seed` u64;
    /// of an unstructured archive also `novelty` f64. Behind them what else the elites have.
    pub elites: Batch,
    pub history: Batch,
    path: PathBuf,
    /// That of `elites`.
    group: &'static str,
    file: File,
    bytes: u64,
}

/// Opens a file and checks all of it but the genomes' values.
///
/// # Errors
/// One sentence that names the path: no such file, not HDF5, not ours, of a newer format, truncated, or damaged in a way it names.
pub fn open(path: &Path) -> Result<ArchiveFile> {
    let (file, bytes) = open_hdf5(path)?;
    check_format(&file, FORMAT, FORMAT_VERSION)
        .and_then(|_| read_parts(path, file, bytes))
        .map_err(|what| refuse(path, &what))
}

/// Opens any HDF5 file, to be read; gives its size in bytes as well.
pub(super) fn open_hdf5(path: &Path) -> Result<(File, u64)> {
    let refuse = |what: &str| refuse(path, what);
    let mut start = Vec::new();
    let mut raw = std::fs::File::open(path).map_err(|e| refuse(&e.to_string()))?;
    let about = raw.metadata().map_err(|e| refuse(&e.to_string()))?;
    if about.is_dir() {
        return Err(refuse("is a folder, an archive file (.h5) was expected"));
    }
    raw.by_ref()
        .take(8)
        .read_to_end(&mut start)
        .map_err(|e| refuse(&e.to_string()))?;
    if start != SIGNATURE {
        let what = if start.is_empty() {
            "is empty"
        } else if SIGNATURE.starts_with(&start) {
            "is truncated"
        } else {
            "is not an HDF5 file"
        };
        return Err(refuse(what));
    }
    let opened = File::with_options().with_fapl(|p| p.file_locking(false)).open(path);
    let file = opened.map_err(|e| refuse(&format!("is truncated or damaged ({})", h5::cause(&e))))?;
    Ok((file, about.len()))
}

/// An error about this file.
pub(super) fn refuse(path: &Path, what: &str) -> Error {
    Error::input(format!("{}: {what}", path.display()))
}

pub(super) fn check_format(file: &File, format: &str, newest: u64) -> std::result::Result<u64, String> {
    let found = h5::get_text(file, "format").unwrap_or_default();
    if found != format {
        return Err(if found == EVALUATION_FORMAT {
            "is an evaluation of an archive, not an archive: `illume info` shows it".into()
        } else {
            format!("is an HDF5 file, but not one of illume's (it has no attribute format = \"{format}\")")
        });
    }
    let version: u64 = h5::get_number(file, "format_version").map_err(|_| "has no format_version".to_string())?;
    match version {
        0 => Err("has format version 0, which never was".into()),
        known if known <= newest => Ok(known),
        newer => Err(format!(
            "has format version {newer}, this illume reads up to version {newest}: a newer illume is needed"
        )),
    }
}

fn read_parts(path: &Path, file: File, bytes: u64) -> std::result::Result<ArchiveFile, String> {
    let mut attributes = read_attributes(&file)?;
    let spec = read_spec(&group(&file, "cells")?, bytes)?;
    let elites_group = group(&file, "elites")?;
    let elites = read_elites(&elites_group, &spec, spec.capacity, bytes)?;
    let operators = elites_group
        .dataset("operator")
        .and_then(|d| h5::get_texts(&d, "operators"));
    attributes.operators = operators.map_err(|_| "/elites/operator has no attribute 'operators'".to_string())?;
    attributes.objectives = objectives::read(&elites_group, &elites)?;
    let (genome_dim, lineage) = read_form(&elites_group, elites.rows(), bytes)?;
    let history = h5::read_table(&group(&file, "history")?, bytes)?;
    let genes = genes::read(&file, genome_dim, bytes)?.map(Arc::new);
    let path = path.to_path_buf();
    Ok(ArchiveFile {
        attributes,
        spec,
        genome_dim,
        lineage,
        genes,
        elites,
        history,
        path,
        group: "elites",
        file,
        bytes,
    })
}

/// Genes of a genome, and whether there are lineages in place of genes; the genomes' datasets are checked.
fn read_form(group: &Group, rows: usize, bytes: u64) -> std::result::Result<(usize, bool), String> {
    let attribute =
        |name: &str, e: hdf5::Error| format!("{} has no usable attribute '{name}' ({})", group.name(), h5::cause(&e));
    let genome_dim: u64 = h5::get_number(group, "genome_dim").map_err(|e| attribute("genome_dim", e))?;
    let genome_dim =
        usize::try_from(genome_dim).map_err(|_| format!("a genome of {genome_dim} genes is impossible"))?;
    let form = h5::get_text(group, "genome_form").map_err(|e| attribute("genome_form", e))?;
    let lineage = match form.as_str() {
        "dense" => false,
        "lineage" => true,
        other => return Err(format!("has genomes of the unknown form '{other}'")),
    };
    if lineage {
        read_offsets(group, rows, bytes)?;
    } else {
        h5::expect::<f32>(group, "genome", &[rows, genome_dim], bytes)?;
    }
    Ok((genome_dim, lineage))
}

fn group(file: &File, name: &str) -> std::result::Result<Group, String> {
    file.group(name).map_err(|_| format!("the group /{name} is missing"))
}

fn read_attributes(file: &File) -> std::result::Result<Attributes, String> {
    let text = |name: &str| h5::get_text(file, name).map_err(|e| missing(name, &e));
    let number = |name: &str| h5::get_number::<u64>(file, name).map_err(|e| missing(name, &e));
    fn missing(name: &str, error: &hdf5::Error) -> String {
        format!("has no usable attribute '{name}' ({})", h5::cause(error))
    }
    Ok(Attributes {
        software_version: text("software_version")?,
        task: text("task")?,
        fitness: h5::get_text(file, "fitness").unwrap_or_default(),
        strategy: text("strategy")?,
        seed: number("seed")?,
        generation: number("generation")?,
        evaluations: number("evaluations")?,
        config: text("config")?,
        created: text("created")?,
        ranks: number("ranks")?,
        threads: number("threads")?,
        operators: Vec::new(),
        objectives: Vec::new(),
        sources: h5::get_text(file, "sources").unwrap_or_default(),
    })
}

fn read_spec(cells: &Group, bytes: u64) -> std::result::Result<ArchiveSpec, String> {
    fn missing(name: &str, error: hdf5::Error) -> String {
        format!("/cells has no usable attribute '{name}' ({})", h5::cause(&error))
    }
    let texts = |name: &str| h5::get_many_texts(cells, name, bytes).map_err(|e| missing(name, e));
    let numbers = |name: &str| h5::get_many_numbers::<f64>(cells, name, bytes).map_err(|e| missing(name, e));
    let (names, units, lower, upper) = (texts("names")?, texts("units")?, numbers("lower")?, numbers("upper")?);
    let k = names.len();
    if units.len() != k || lower.len() != k || upper.len() != k {
        return Err("/cells has names, units and bounds for different numbers of axes".into());
    }
    let axes = (0..k)
        .map(|i| Axis::new(&names[i], &units[i], lower[i], upper[i]))
        .collect();
    let kind = h5::get_text(cells, "kind").map_err(|e| missing("kind", e))?;
    let count: u64 = h5::get_number(cells, "count").map_err(|e| missing("count", e))?;
    let capacity = usize::try_from(count).unwrap_or(usize::MAX);
    if !(1..=MOST_CELLS).contains(&capacity) {
        return Err(format!("/cells has the impossible count {count}"));
    }
    let qd_offset = h5::get_number(cells, "qd_offset").map_err(|e| missing("qd_offset", e))?;
    let known: Vec<&str> = registry().iter().map(|entry| entry.kind).collect();
    if !known.contains(&kind.as_str()) {
        return Err(format!(
            "has an archive of the unknown kind '{kind}'; known are {}",
            known.join(", ")
        ));
    }
    // What the cells are says the file itself, whatever its kind.
    let has = |name: &str| cells.attr(name).is_ok() || cells.link_exists(name);
    let divided = if has("shape") {
        let shape = h5::get_many_numbers::<u64>(cells, "shape", bytes).map_err(|e| missing("shape", e))?;
        let shape = shape.iter().map(|&n| usize::try_from(n).unwrap_or(usize::MAX));
        Cells::Grid { shape: shape.collect() }
    } else if has("centroids") || kind == "cvt" {
        let rows = if k == 0 { 0 } else { capacity };
        Cells::Cvt {
            centroids: h5::values(cells, "centroids", &[rows, k], bytes)?,
        }
    } else {
        Cells::None
    };
    let spec = ArchiveSpec {
        kind,
        axes,
        cells: divided,
        capacity,
        qd_offset,
        rules: read_rules(cells)?,
    };
    check_spec(&spec).map_err(|e| format!("/cells is damaged: {e}"))?;
    Ok(spec)
}

/// Attributes of `/cells` that every archive has, and what describes the group.
const COMMON: [&str; 9] = [
    "kind",
    "count",
    "qd_offset",
    "names",
    "units",
    "lower",
    "upper",
    "shape",
    "description",
];

/// What else an archive goes by: all other attributes that are a number or a word.
fn read_rules(cells: &Group) -> std::result::Result<Vec<(String, Rule)>, String> {
    let unreadable = |e: hdf5::Error| format!("/cells has attributes that cannot be listed ({})", h5::cause(&e));
    let mut names = cells.attr_names().map_err(unreadable)?;
    names.retain(|name| !COMMON.contains(&name.as_str()));
    names.sort();
    let rules = names
        .into_iter()
        .map(|name| h5::get_rule(cells, &name).map(|rule| (name, rule)));
    let rules: hdf5::Result<Vec<(String, Option<Rule>)>> = rules.collect();
    let rules = rules.map_err(unreadable)?.into_iter();
    Ok(rules.filter_map(|(name, rule)| Some((name, rule?))).collect())
}

/// The columns of a group of elites, whose numbers are below `most`.
fn read_elites(group: &Group, spec: &ArchiveSpec, most: usize, bytes: u64) -> std::result::Result<Batch, String> {
    let n = h5::dataset(group, "cell", bytes)?.size();
    let k = spec.axes.len();
    if n > most {
        return Err(format!("has {n} elites in {most} cells"));
    }
    let cell: Vec<i64> = h5::values(group, "cell", &[n], bytes)?;
    let fitness: Vec<f64> = h5::values(group, "fitness", &[n], bytes)?;
    let descriptor: Vec<f64> = h5::values(group, "descriptor", &[n, k], bytes)?;
    let parents: Vec<i64> = h5::values(group, "parents", &[n, 2], bytes)?;
    if cell.iter().any(|&c| c < 0 || c >= most as i64) {
        return Err(format!("/elites/cell has a number outside of the {most} cells"));
    }
    if !cell.is_sorted_by(|a, b| a < b) {
        return Err("/elites/cell is not in rising order".into());
    }
    if let Some(row) = fitness.iter().position(|f| !f.is_finite()) {
        return Err(format!("/elites/fitness is {} in row {row}", fitness[row]));
    }
    if let Some(at) = descriptor.iter().position(|x| !x.is_finite()) {
        return Err(format!("/elites/descriptor is {} in row {}", descriptor[at], at / k));
    }
    if parents.iter().any(|&p| p < -1 || p >= spec.capacity as i64) {
        return Err(format!(
            "/elites/parents has a number outside of the {} cells",
            spec.capacity
        ));
    }
    if !spec.has_cells() && !cell.iter().copied().eq(0..n as i64) {
        return Err("/elites/cell does not number the members from 0".into());
    }
    let mut elites = Batch::new();
    elites.push("cell", 1, "", "number of the cell", cell);
    elites.push("fitness", 1, "", "fitness, to be maximized", fitness);
    elites.push("descriptor", k, "", "descriptor", descriptor);
    elites.push(
        "generation",
        1,
        "",
        "generation at which it was found",
        h5::values::<i64>(group, "generation", &[n], bytes)?,
    );
    elites.push(
        "operator",
        1,
        "",
        "variation operator that made it",
        h5::values::<i32>(group, "operator", &[n], bytes)?,
    );
    elites.push("parents", 2, "", "cells of its parents, -1 for none", parents);
    elites.push(
        "seed",
        1,
        "",
        "evaluation seed",
        h5::values::<u64>(group, "seed", &[n], bytes)?,
    );
    if group.link_exists("novelty") {
        let novelty: Vec<f64> = h5::values(group, "novelty", &[n], bytes)?;
        elites.push("novelty", 1, "", "novelty when it was admitted", novelty);
    }
    // Files had no list before there were further columns.
    for name in h5::get_texts(group, h5::COLUMNS).unwrap_or_default() {
        if elites.find(&name).is_some() {
            continue;
        }
        let (column, rows) = h5::read_column(group, name, bytes)?;
        if rows != n {
            return Err(format!("/elites/{} has {rows} rows for {n} elites", column.name));
        }
        elites.push_column(column);
    }
    Ok(elites)
}

/// The offsets of lineages, checked against the lengths of streams and scales.
fn read_offsets(group: &Group, rows: usize, bytes: u64) -> std::result::Result<Vec<u64>, String> {
    let offsets: Vec<u64> = h5::values(group, "lineage_offsets", &[rows + 1], bytes)?;
    let steps = h5::dataset(group, "lineage_streams", bytes)?.size();
    h5::expect::<u64>(group, "lineage_streams", &[steps], bytes)?;
    h5::expect::<f32>(group, "lineage_scales", &[steps], bytes)?;
    if offsets[0] != 0 || !offsets.is_sorted() || offsets[rows] != steps as u64 {
        return Err("/elites/lineage_offsets does not divide the steps".into());
    }
    Ok(offsets)
}

impl ArchiveFile {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of elites.
    pub fn rows(&self) -> usize {
        self.elites.rows()
    }

    /// Fitness of each cell's elite, NaN for an empty cell; `[cells]`. Of an unstructured archive that of each member.
    pub fn fitness_by_cell(&self) -> Vec<f64> {
        let cells = if self.spec.has_cells() {
            self.spec.capacity
        } else {
            self.rows()
        };
        let mut by_cell = vec![f64::NAN; cells];
        if let (Ok(cells), Ok(fitness)) = (self.elites.get::<i64>("cell"), self.elites.get::<f64>("fitness")) {
            cells
                .iter()
                .zip(fitness)
                .for_each(|(&cell, &f)| by_cell[cell as usize] = f);
        }
        by_cell
    }

    pub fn metrics(&self) -> Metrics {
        measure_archive(&self.spec, &self.fitness_by_cell())
    }

    /// Genomes of these rows of `elites`; lineages come without a decoder.
    ///
    /// # Errors
    /// Rows that are not there, or a file that is damaged.
    pub fn genomes(&self, rows: Range<usize>) -> Result<Genomes> {
        if rows.start > rows.end || rows.end > self.rows() {
            return Err(self.refuse(&format!("rows {rows:?} were asked for, there are {}", self.rows())));
        }
        let failed = |e: hdf5::Error| self.refuse(&format!("the genomes cannot be read ({})", h5::cause(&e)));
        let elites = self.file.group(self.group).map_err(failed)?;
        if !self.lineage {
            let dim = self.genome_dim;
            if rows.is_empty() || dim == 0 {
                return Ok(Genomes::Dense(Dense { dim, data: Vec::new() }));
            }
            let genome = elites.dataset("genome").map_err(failed)?;
            let part = genome.read_slice_2d::<f32, _>((rows, ..)).map_err(failed)?;
            return Ok(Genomes::Dense(Dense {
                dim,
                data: part.into_raw_vec_and_offset().0,
            }));
        }
        let offsets = read_offsets(&elites, self.rows(), self.bytes).map_err(|what| self.refuse(&what))?;
        let offsets = &offsets[rows.start..=rows.end];
        let (first, last) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
        let mut lineages = Lineages::new();
        if first < last {
            let streams = elites
                .dataset("lineage_streams")
                .and_then(|d| d.read_slice_1d::<u64, _>(first..last));
            let scales = elites
                .dataset("lineage_scales")
                .and_then(|d| d.read_slice_1d::<f32, _>(first..last));
            lineages.streams = streams.map_err(failed)?.into_raw_vec_and_offset().0;
            lineages.scales = scales.map_err(failed)?.into_raw_vec_and_offset().0;
        }
        lineages.offsets = offsets.iter().map(|o| o - first as u64).collect();
        let checked = lineages.check(self.attributes.generation, rows.start);
        checked.map_err(|what| self.refuse(&format!("/elites is damaged: {what}")))?;
        Ok(Genomes::Lineage(lineages))
    }

    /// What the strategy holds to be its result, if that is not the archive.
    ///
    /// # Errors
    /// A damaged file.
    pub fn solution(&self) -> Result<Option<Batch>> {
        self.table("solution")
    }

    /// The state of a checkpoint, with the solution; `None` for a file that is none.
    ///
    /// # Errors
    /// A damaged file.
    pub fn state(&self) -> Result<Option<State>> {
        if !self.file.link_exists("state") {
            return Ok(None);
        }
        let failed = |e: hdf5::Error| self.refuse(&format!("the group /state is damaged ({})", h5::cause(&e)));
        let names = self
            .file
            .group("state")
            .and_then(|g| g.member_names())
            .map_err(failed)?;
        let mut state = State {
            tables: Vec::new(),
            solution: self.solution()?,
        };
        for name in names.into_iter().filter(|n| n != OWN_TABLE && n != ACTIVE) {
            if let Some(table) = self.table(&format!("state/{name}"))? {
                state.tables.push((name, table));
            }
        }
        Ok(Some(state))
    }

    /// Elites that the strategy breeds from, in place of its results; none where these are the same. Checkpoints have them, and archives those of fronts in cells.
    ///
    /// # Errors
    /// A damaged file.
    pub fn active(&self) -> Result<Option<ArchiveFile>> {
        if !self.file.link_exists(ACTIVE) {
            return Ok(None);
        }
        let read = || {
            let group = group(&self.file, ACTIVE)?;
            let elites = read_elites(&group, &self.spec, self.spec.most_elites(), self.bytes)?;
            if read_form(&group, elites.rows(), self.bytes)? != (self.genome_dim, self.lineage) {
                return Err("has genomes of another form in /active".to_string());
            }
            Ok(elites)
        };
        Ok(Some(ArchiveFile {
            attributes: self.attributes.clone(),
            spec: self.spec.clone(),
            genes: self.genes.clone(),
            elites: read().map_err(|what| self.refuse(&what))?,
            history: Batch::new(),
            path: self.path.clone(),
            group: ACTIVE,
            file: self.file.clone(),
            ..*self
        }))
    }

    /// All members of cells that hold fronts; none of any other archive, whose elites are all that there is.
    ///
    /// # Errors
    /// A damaged file.
    pub fn members(&self) -> Result<Option<ArchiveFile>> {
        if self.has_members() { self.active() } else { Ok(None) }
    }

    /// Whether there are such members, which are not read for it.
    pub fn has_members(&self) -> bool {
        self.spec.holds_fronts() && self.file.link_exists(ACTIVE)
    }

    /// Rows of `elites` in the order in which their cells were first filled.
    ///
    /// # Errors
    /// A file that is no checkpoint, or a damaged one.
    pub fn fill_order(&self) -> Result<Vec<usize>> {
        let name = if self.group == ACTIVE { ACTIVE } else { OWN_TABLE };
        let own = self.table(&format!("state/{name}"))?;
        let own = own.ok_or_else(|| self.refuse(&format!("is no checkpoint: it has no group /state/{name}")))?;
        let filled: &[i64] = own.get("filled").map_err(|e| self.refuse(&e.to_string()))?;
        let cells: &[i64] = self.elites.get("cell")?;
        let mut seen = vec![false; cells.len()];
        let rows = filled.iter().map(|cell| {
            let row = cells.binary_search(cell).ok()?;
            (!std::mem::replace(&mut seen[row], true)).then_some(row)
        });
        let rows: Option<Vec<usize>> = rows.collect();
        let whole = rows.filter(|rows| rows.len() == cells.len());
        whole.ok_or_else(|| self.refuse(&format!("/state/{name}/filled does not name each elite's cell once")))
    }

    fn table(&self, name: &str) -> Result<Option<Batch>> {
        if !self.file.link_exists(name) {
            return Ok(None);
        }
        let group = self
            .file
            .group(name)
            .map_err(|e| self.refuse(&format!("/{name} is damaged ({})", h5::cause(&e))))?;
        h5::read_table(&group, self.bytes)
            .map(Some)
            .map_err(|what| self.refuse(&what))
    }

    fn refuse(&self, what: &str) -> Error {
        refuse(&self.path, what)
    }
}
