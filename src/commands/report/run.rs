//! What the report of a run holds.

use std::fs;
use std::path::Path;

use illume_archives::file::{self, ArchiveFile, Evaluation};
use illume_archives::metrics::FrontMetrics;
use illume_core::{Axis, Cells, Column, Data, GeneKind, Result};
use serde_json::{Value, json};

use super::{Page, films};
use crate::analysis::compare::{is_from_zero, spoken, usual};
use crate::analysis::view::{OF_FRONTS, View, evaluation};
use crate::engine::output::{percent, quoted, significant, thousands};
use crate::formats::export::Genes;
use crate::registry;
use crate::render::plot::captions;
use crate::render::report::packed;
use crate::sweep::duration::words;

/// Bytes of genes that a report takes.
const GENES: usize = 1_500_000;
/// Genes with names that the map may be coloured by.
const NAMED_GENES: usize = 32;
/// Rows of history that it takes.
const HISTORY: usize = 2000;
/// Axes of which every pair has a projection, where there are more than two; of more axes, the first.
const PAIRED: usize = 5;
/// Descriptors are kept to this many axes, since a page has to stay small.
const AXES: usize = 24;
/// Elites that others dominate and that a front is shown with, at most.
const DOMINATED: usize = 3000;
/// Columns against which curves may be drawn.
const AGAINST: [&str; 5] = ["evaluations", "wall_seconds", "generation", "frames", "tokens"];

/// # Errors
/// No archive, or a damaged one.
pub(super) fn page(path: &Path, films: Option<usize>) -> Result<Page> {
    let archive = super::super::archive_path(path)?;
    let file = file::open(&archive)?;
    let (evaluation, note) = match evaluation(&file) {
        Ok(evaluation) => (evaluation, None),
        Err(e) => (None, Some(format!("Without a corrected map: {e}"))),
    };
    let shown = path.display().to_string();
    let log = Log::read(&archive);
    let (title, mut subtitle) = captions(&file.attributes, &file.metrics());
    if !registry::shown(&file.attributes.strategy).is_empty() {
        // Such a strategy's archive says nothing of its run.
        let a = &file.attributes;
        subtitle = format!("{} evaluations · seed {}", thousands(a.evaluations), a.seed);
    }
    let mut notes: Vec<String> = note.into_iter().collect();
    let films = films::films(&archive, films);
    notes.extend(films.note);
    let filmed = films.images.len();
    let (mut facts, front) = (facts(&file, evaluation.as_ref()), front(&file)?);
    facts.extend(front.iter().flat_map(|front| front.facts.clone()));
    let data = json!({
        "title": title,
        "subtitle": subtitle,
        "facts": facts,
        "notes": notes,
        "archive": elites(&file, evaluation.as_ref(), &shown, films.possible)?,
        "front": front.map(|front| front.data),
        "history": history(&file)?,
        "films": films.images,
        "provenance": provenance(&file, &log, &archive),
        "commands": commands(&shown, &file),
        "config": file.attributes.config,
    });
    let rows = vec![
        ("task", file.attributes.task.clone()),
        ("strategy", file.attributes.strategy.clone()),
        ("elites", thousands(file.rows() as u64)),
        (
            "corrected",
            evaluation.map_or("no: `illume eval` first".into(), |e| {
                format!("by {} fresh episodes of each", e.episodes)
            }),
        ),
        ("episodes", filmed.to_string()),
    ];
    Ok(Page { title, data, rows })
}

/// The numbers to see first.
fn facts(file: &ArchiveFile, evaluation: Option<&Evaluation>) -> Vec<[String; 2]> {
    let (a, m) = (&file.attributes, file.metrics());
    let mut facts = Vec::new();
    let mut fact = |name: &str, value: String| facts.push([name.to_string(), value]);
    let last = |column: &str| file.history.get::<f64>(column).ok()?.last().copied();
    if m.coverage.is_finite() && file.spec.capacity > 1 {
        fact("QD score", significant(m.qd_score));
        let evaluated = evaluation.map(|e| e.totals.corrected_qd_score);
        if let Some(corrected) = evaluated.or(last("qd_score_corrected")) {
            fact("corrected QD score", significant(corrected));
        }
        fact("coverage", percent(m.coverage));
    }
    fact("elites", thousands(m.filled as u64));
    fact("best fitness", significant(m.max_fitness));
    for (column, name) in registry::shown(&a.strategy) {
        fact(name, significant(last(column).unwrap_or(f64::NAN)));
    }
    fact("evaluations", thousands(a.evaluations));
    fact("generations", thousands(a.generation));
    facts
}

/// What no other elite dominates, of several objectives.
struct Front {
    facts: Vec<[String; 2]>,
    data: Value,
}

/// Of all members, where cells hold fronts.
fn front(file: &ArchiveFile) -> Result<Option<Front>> {
    let members = file.members()?;
    let file = members.as_ref().unwrap_or(file);
    let (objectives, m) = (&file.attributes.objectives, file.attributes.objectives.len());
    let Some(front) = FrontMetrics::of(&file.elites, 0..file.rows(), objectives) else {
        return Ok(None);
    };
    let volume = front.hypervolume(objectives);
    let mut facts = vec![["on the front".to_string(), thousands(front.rows.len() as u64)]];
    if volume.is_finite() {
        facts.push(["hypervolume".into(), significant(volume)]);
    }
    let values = file.elites.get::<f64>("objectives")?;
    let dominated: Vec<usize> = (0..file.rows())
        .filter(|row| front.rows.binary_search(row).is_err())
        .collect();
    let shown = dominated
        .iter()
        .copied()
        .step_by(dominated.len().div_ceil(DOMINATED).max(1));
    let points = |rows: &mut dyn Iterator<Item = usize>| {
        packed(rows.flat_map(|row| values[row * m..(row + 1) * m].iter().copied()))
    };
    Ok(Some(Front {
        facts,
        data: json!({
            "objectives": objectives.iter().map(|o| json!({"name": spoken(&o.name), "unit": o.unit})).collect::<Vec<_>>(),
            "points": points(&mut front.rows.iter().copied()),
            "dominated": points(&mut shown.into_iter()),
        }),
    }))
}

/// The elites, column by column, and how the space of descriptors is divided; null without a descriptor.
fn elites(file: &ArchiveFile, evaluation: Option<&Evaluation>, shown: &str, films: bool) -> Result<Value> {
    let (spec, elites) = (&file.spec, &file.elites);
    let k = spec.axes.len();
    if k == 0 {
        return Ok(Value::Null);
    }
    let (kept, members) = (k.min(AXES), file.has_members());
    let fresh = evaluation.map(|e| &e.elites);
    let mut columns: Vec<Value> = vec![];
    for column in elites.columns() {
        if !["cell", "descriptor", "parents"].contains(&column.name.as_str()) {
            columns.extend(described(column, &file.attributes.operators));
        }
    }
    for name in [
        "expected_fitness",
        "fitness_sd",
        "descriptor_distance",
        "center_distance",
    ] {
        columns.extend(
            fresh
                .and_then(|f| f.find(name))
                .and_then(|column| described(column, &[])),
        );
    }
    let order = [
        "fitness",
        "expected_fitness",
        "fitness_sd",
        "descriptor_distance",
        "generation",
        "operator",
    ];
    columns.sort_by_key(|c| order.iter().position(|name| c["name"] == *name).unwrap_or(order.len()));
    for name in OF_FRONTS.iter().filter(|_| members) {
        let view = View::of(file, name)?;
        columns.push(
            json!({"name": name, "label": view.name, "unit": "", "names": Value::Null, "data": packed(view.values)}),
        );
    }
    columns.extend(gene_columns(file)?);
    let (genes, genes_note) = genes(file)?;
    let descriptor = elites.get::<f64>("descriptor")?;
    let pairs: Vec<[usize; 2]> = (0..k.min(PAIRED))
        .flat_map(|x| (x + 1..k.min(PAIRED)).map(move |y| [x, y]))
        .collect();
    let shape = match &spec.cells {
        Cells::Grid { shape } => json!(shape[..kept]),
        _ => Value::Null,
    };
    let centroids = match &spec.cells {
        Cells::Cvt { centroids } if k <= 2 => packed(centroids.iter().copied()),
        _ => Value::Null,
    };
    Ok(json!({
        "kind": match &spec.cells { Cells::Grid { .. } => "grid", Cells::Cvt { .. } => "cvt", Cells::None => "points" },
        "what": what(file),
        "axes": spec.axes[..kept].iter().map(axis).collect::<Vec<_>>(),
        "further_axes": k - kept,
        "pairs": pairs,
        "shape": shape,
        "centroids": centroids,
        "cell": packed(elites.get::<i64>("cell")?.iter().map(|c| *c as i32)),
        "descriptor": packed(descriptor.chunks_exact(k).flat_map(|d| d[..kept].iter().copied())),
        "parents": packed(elites.get::<i64>("parents")?.iter().map(|c| *c as i32)),
        "columns": columns,
        "corrected": fresh.filter(|_| k <= 2 && spec.has_cells()).map(|f| f.get::<i64>("corrected_cell").map(|cells| packed(cells.iter().map(|c| *c as i32)))).transpose()?,
        "genes": genes,
        "genes_note": genes_note,
        "commands": films.then(|| format!("illume replay {} --elite CELL", quoted(shown))).into_iter()
            .chain([format!("illume export {} --elite CELL --genomes -o elite.npz", quoted(shown))]).collect::<Vec<_>>(),
    }))
}

fn axis(axis: &Axis) -> Value {
    json!({"name": axis.name.replace('_', " "), "unit": axis.unit, "lower": axis.lower, "upper": axis.upper})
}

/// What the map shows, in a sentence.
fn what(file: &ArchiveFile) -> String {
    let (spec, m) = (&file.spec, file.metrics());
    let (k, filled) = (spec.axes.len(), thousands(m.filled as u64));
    let space = match &spec.cells {
        Cells::Grid { shape } => format!(
            "{filled} of {} cells of a grid of {}",
            thousands(spec.capacity as u64),
            shape
                .iter()
                .take(8)
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" × ")
                + if k > 8 { " × …" } else { "" }
        ),
        Cells::Cvt { .. } => format!("{filled} of {} Voronoi cells", thousands(spec.capacity as u64)),
        Cells::None => format!("{filled} members of an archive without cells ({})", spec.kind),
    };
    match k {
        1 => format!("{space}, over one axis; the height of a bar is its value."),
        2 => format!("{space}."),
        _ if !spec.has_cells() => format!(
            "{space} of {k} axes, each as a dot on pairs of its axes; what is chosen on one map is marked on all."
        ),
        _ => format!(
            "{space} of {k} axes, as projections on {}: each tile shows the fittest of the elites in it, and what is chosen in one is marked in all.",
            if k > PAIRED {
                format!("pairs of the first {PAIRED}")
            } else {
                "each pair of them".into()
            }
        ),
    }
}

/// A column of one number a row, as the page takes it.
fn described(column: &Column, operators: &[String]) -> Option<Value> {
    if column.width != 1 {
        return None;
    }
    let names = (column.name == "operator").then(|| operators.iter().map(|o| o.replace('_', " ")).collect::<Vec<_>>());
    let data = match &column.data {
        Data::F64(x) => packed(x.iter().copied()),
        Data::F32(x) => packed(x.iter().copied()),
        Data::I64(x) => packed(x.iter().map(|x| *x as i32)),
        Data::I32(x) => packed(x.iter().copied()),
        Data::U32(x) => packed(x.iter().map(|x| *x as f64)),
        Data::U64(x) => packed(x.iter().copied()),
        Data::U8(x) => packed(x.iter().map(|x| i32::from(*x))),
    };
    let label = match column.name.as_str() {
        "expected_fitness" => "mean fitness of fresh episodes".into(),
        "fitness_sd" => "standard deviation of that".into(),
        name => spoken(name),
    };
    Some(json!({"name": column.name, "label": label, "unit": column.unit, "names": names, "data": data}))
}

/// Values of the genes that have names, each as a column of its own.
fn gene_columns(file: &ArchiveFile) -> Result<Vec<Value>> {
    let n = file.rows();
    let Some(space) = file
        .genes
        .as_ref()
        .filter(|space| n > 0 && space.dim() <= NAMED_GENES && n * space.dim() * 4 <= GENES)
    else {
        return Ok(Vec::new());
    };
    let values = Genes::of_elites(file, (0..n).collect())?.values(0..n)?;
    let column = |(gene, name): (usize, String)| {
        let group = space.group_of(gene);
        let own = values.iter().copied().skip(gene).step_by(space.dim());
        let (names, data) = match &group.kind {
            GeneKind::Categorical(labels) => (json!(labels), packed(own.map(|x| x as i32))),
            GeneKind::Integer => (Value::Null, packed(own.map(|x| x as i32))),
            _ => (Value::Null, packed(own)),
        };
        json!({"name": format!("gene {name}"), "label": name.replace('_', " "), "unit": group.unit, "names": names, "data": data})
    };
    Ok(space.names().into_iter().enumerate().map(column).collect())
}

/// The genes of all elites, or why the page has none.
fn genes(file: &ArchiveFile) -> Result<(Value, Option<String>)> {
    let (n, dim) = (file.rows(), file.genome_dim);
    if n == 0 || dim == 0 {
        return Ok((Value::Null, None));
    }
    let each = thousands(dim as u64);
    if file.lineage {
        return Ok((
            Value::Null,
            Some(format!("Genomes are lineages, of {each} genes each when decoded.")),
        ));
    }
    if n * dim * 4 > GENES {
        return Ok((
            Value::Null,
            Some(format!("{each} genes, which this page leaves out to stay small.")),
        ));
    }
    let mut genes = packed(Genes::of_elites(file, (0..n).collect())?.values(0..n)?);
    genes["dim"] = json!(dim);
    Ok((genes, None))
}

/// The history, thinned; null for an archive without one.
fn history(file: &ArchiveFile) -> Result<Value> {
    let history = &file.history;
    let rows = history.rows();
    if rows == 0 {
        return Ok(Value::Null);
    }
    let every = rows.div_ceil(HISTORY);
    let kept = |values: &[f64]| -> Vec<f64> {
        let last = (!(rows - 1).is_multiple_of(every)).then(|| values[rows - 1]);
        values.iter().copied().step_by(every).chain(last).collect()
    };
    let own: Vec<&str> = registry::shown(&file.attributes.strategy)
        .iter()
        .map(|(column, _)| *column)
        .collect();
    let usual = usual(|column| history.get::<f64>(column).is_ok());
    let wanted = if own.is_empty() { &usual } else { &own };
    let (mut columns, mut axes, mut first) = (Vec::new(), Vec::new(), Vec::new());
    for column in history.columns() {
        let Ok(values) = history.get::<f64>(&column.name) else {
            continue;
        };
        if values.iter().all(|x| !x.is_finite()) {
            continue;
        }
        let name = column.name.as_str();
        let varies = values.iter().any(|x| *x != values[0]);
        if AGAINST.contains(&name) && values.is_sorted() && varies {
            axes.push(name);
        }
        if wanted.contains(&name) {
            first.push(name);
        }
        columns.push(json!({
            "name": name,
            "label": spoken(name),
            "unit": column.unit,
            "zero": is_from_zero(name),
            "data": packed(kept(values)),
        }));
    }
    first.sort_by_key(|name| wanted.iter().position(|other| other == name));
    let by_tokens = axes.contains(&"tokens");
    axes.sort_by_key(|name| match *name {
        "tokens" => 0,
        name if !by_tokens || name != "frames" => 1 + AGAINST.iter().position(|a| *a == name).unwrap_or(0),
        _ => AGAINST.len(),
    });
    if axes.is_empty() {
        axes.push("generation");
    }
    Ok(json!({"columns": columns, "axes": axes, "first": first}))
}

/// What the run's log says of how it was made; nothing for an archive that lies alone.
#[derive(Default)]
struct Log {
    starts: Vec<Value>,
    last: Value,
}

impl Log {
    fn read(archive: &Path) -> Log {
        let text = fs::read_to_string(archive.with_file_name("log.jsonl")).unwrap_or_default();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut log = Log::default();
        for line in lines {
            if line["event"] == "start" {
                log.starts.push(line.clone());
            }
            log.last = line;
        }
        log
    }

    /// How it stands with the run.
    fn standing(&self) -> Option<String> {
        let event = self.last["event"].as_str()?;
        let time = self.last["time"].as_str().unwrap_or("an unknown time");
        Some(match event {
            "finished" | "stopped" => format!("{event}, {time}"),
            _ => format!("in progress, or killed: the last word is of {time}"),
        })
    }
}

fn provenance(file: &ArchiveFile, log: &Log, archive: &Path) -> Vec<[String; 2]> {
    let a = &file.attributes;
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| {
        if !value.is_empty() {
            rows.push([name.to_string(), value]);
        }
    };
    row("task", a.task.clone());
    row("strategy", a.strategy.clone());
    row("seed", a.seed.to_string());
    row("file", archive.display().to_string());
    row("begun", a.created.clone());
    row("state", log.standing().unwrap_or_default());
    let seconds = file
        .history
        .get::<f64>("wall_seconds")
        .ok()
        .and_then(|s| s.last().copied());
    row("wall time", seconds.map(words).unwrap_or_default());
    row("ranks × threads", format!("{} × {}", a.ranks, a.threads));
    row("illume", a.software_version.clone());
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    if let Some(start) = log.starts.last() {
        row("commit", text(&start["commit"]));
        row(
            "machine",
            [&start["host"], &start["processor"]]
                .map(text)
                .into_iter()
                .filter(|t| !t.is_empty())
                .collect::<Vec<_>>()
                .join(", "),
        );
        row("command", text(&start["command"]));
        let libraries = start["libraries"].as_object().into_iter().flatten();
        row(
            "libraries",
            libraries
                .map(|(name, version)| format!("{name} {}", text(version)))
                .collect::<Vec<_>>()
                .join(", "),
        );
        for (name, value) in start["facts"].as_object().into_iter().flatten() {
            row(name, text(value));
        }
    }
    if log.starts.len() > 1 {
        row("parts", format!("{}: it was stopped and went on", log.starts.len()));
    }
    rows
}

/// What can be done with the run next.
fn commands(shown: &str, file: &ArchiveFile) -> Vec<String> {
    let path = quoted(shown);
    let config: toml::Table = file.attributes.config.parse().unwrap_or_default();
    let mut commands = vec![format!("illume info {path}"), format!("illume plot {path}")];
    if !file.spec.axes.is_empty() {
        commands.push(format!("illume eval {path} --episodes 5"));
        commands.push(format!("illume export {path} -o elites.csv"));
        if config.contains_key("policy") {
            commands.push(format!("illume distill {path}"));
        }
    }
    commands
}
