//! Several runs: their learning curves, and what they end with.

use std::path::{Path, PathBuf};

use illume_core::{Error, Result};
use serde_json::{Value, json};

use super::{PlotOptions, lines, names, targets, write};
use crate::commands::archive_path;
use crate::compare::{Columns, Comparison, Group, History, Range, spoken};
use crate::output::{json_text, significant, thousands};
use crate::plot;

/// Name of the picture if none is given.
const NAME: &str = "comparison.png";

pub(super) fn several(paths: &[PathBuf], options: &PlotOptions) -> Result<String> {
    if let Some([x, y]) = options.axes {
        return Err(Error::input(format!(
            "--axes {x},{y} is for the heat map of one archive; several runs are drawn as curves"
        )));
    }
    let targets = targets(options, Path::new(NAME))?;
    let mut columns = Columns::default();
    if !options.measures.is_empty() {
        columns.measures.clone_from(&options.measures);
    }
    if let Some(against) = &options.against {
        columns.axes[0].clone_from(against);
    }
    let runs = paths
        .iter()
        .map(|path| History::read(&archive_path(path)?, &columns))
        .collect::<Result<Vec<_>>>()?;
    let comparison = Comparison::new(columns, runs)?;
    write(&targets, &plot::comparison(&comparison))?;
    Ok(if options.json {
        json_text(&fields(&comparison, &targets))
    } else {
        lines(&targets) + &table(&comparison)
    })
}

/// What a group ends with, in the order and under the names of its columns.
fn ends<'a>(columns: &'a Columns, group: &'a Group) -> impl Iterator<Item = (&'a str, Range)> {
    let axes = columns.axes.iter().enumerate();
    let axes = axes.map(|(i, name)| (name.as_str(), group.last(|run| &run.axes[i])));
    let measures = columns.measures.iter().enumerate();
    axes.chain(measures.map(|(i, name)| (name.as_str(), group.last(|run| &run.measures[i]))))
}

/// The documented fields of `--json`.
fn fields(c: &Comparison, targets: &[PathBuf]) -> Value {
    let number = |x: f64| if x.is_finite() { json!(x) } else { Value::Null };
    let groups: Vec<Value> = c
        .groups
        .iter()
        .map(|group| {
            let mut fields = json!({
                "label": group.label,
                "strategy": group.strategy,
                "runs": group.runs.iter().map(|run| run.path.clone()).collect::<Vec<_>>(),
                "seeds": group.runs.iter().map(|run| run.seed).collect::<Vec<_>>(),
            });
            for (name, r) in ends(&c.columns, group) {
                fields[name] = json!({"median": number(r.median), "min": number(r.low), "max": number(r.high)});
            }
            fields
        })
        .collect();
    json!({"files": names(targets), "task": c.task, "notes": c.notes, "groups": groups})
}

/// A line for each group: median [lowest, highest] over its runs.
fn table(c: &Comparison) -> String {
    let Columns { axes, measures } = &c.columns;
    let mut head = vec![String::new(), "runs".into()];
    head.extend(axes.iter().chain(measures).map(|name| heading(name)));
    let mut rows = vec![head];
    for group in &c.groups {
        let mut row = vec![group.label.clone(), group.runs.len().to_string()];
        row.extend(ends(&c.columns, group).map(|(name, r)| shown(name, r)));
        rows.push(row);
    }
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = format!("\n{}: median [lowest, highest] of what the runs end with\n", c.task);
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, &w)| format!("{cell:w$}")).collect();
        text += cells.join("  ").trim_end();
        text.push('\n');
    }
    for note in &c.notes {
        text += &format!("note: {note}\n");
    }
    text
}

fn heading(column: &str) -> String {
    let unit = match column {
        "wall_seconds" => " (s)",
        "coverage" => " (%)",
        _ => "",
    };
    spoken(column) + unit
}

fn shown(name: &str, r: Range) -> String {
    let one = |x: f64| match name {
        _ if !x.is_finite() => "-".into(),
        "evaluations" | "frames" => thousands(x as u64),
        "wall_seconds" => format!("{x:.1}"),
        "coverage" => format!("{:.2}", 100.0 * x),
        _ => significant(x),
    };
    if r.low == r.high || r.low.is_nan() {
        one(r.median)
    } else {
        format!("{} [{}, {}]", one(r.median), one(r.low), one(r.high))
    }
}
