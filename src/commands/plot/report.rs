//! What is printed of several runs: where they end, what they have reached at the points where they are compared, and the tests there.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::names;
use crate::analysis::compare::{Columns, Comparison, Group, Point, is_share, spoken};
use crate::analysis::statistics::{Spread, Summary};
use crate::engine::output::{bracketed, probability, share, significant, table, thousands};

/// The documented fields of `--json`.
pub(super) fn fields(c: &Comparison, points: &[Point], targets: &[PathBuf]) -> Value {
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
            for (name, spread) in ends(&c.columns, group) {
                fields[name] = json!(spread);
            }
            fields
        })
        .collect();
    let points: Vec<Value> = points
        .iter()
        .map(|point| {
            let measures = point.measures.iter().map(|m| {
                let groups = c.groups.iter().zip(&m.summaries).map(|(group, summary)| {
                    let mut fields = json!(summary);
                    fields["label"] = json!(group.label);
                    fields
                });
                json!({"measure": m.column, "groups": groups.collect::<Vec<_>>(), "tests": m.tests})
            });
            json!({"axis": point.axis, "at": point.at, "measures": measures.collect::<Vec<_>>()})
        })
        .collect();
    json!({"files": names(targets), "kind": "curves", "task": c.task, "notes": c.notes, "groups": groups, "points": points})
}

pub(super) fn text(c: &Comparison, points: &[Point]) -> String {
    let mut text = format!("\n{}: median [lowest, highest] of what the runs end with\n", c.task);
    text += &ends_table(c);
    for point in points {
        text += &format!("\nat {}\n", place(point));
        text += &table(&summaries(c, point));
        let tests = tests(point);
        if tests.len() > 1 {
            text += "\n";
            text += &table(&tests);
        }
    }
    let measures = || points.iter().flat_map(|p| &p.measures);
    if measures().flat_map(|m| &m.summaries).any(|s| s.missing > 0) {
        text += "\nn: runs that have a number there, of all.\n";
    }
    let compared = measures()
        .flat_map(|m| &m.tests)
        .filter(|test| test.p.is_finite())
        .count();
    if compared > 0 {
        text += &format!(
            "\nP(>): the probability that a run of the one is above a run of the other. p: two-sided rank-sum test.\n\
             Holm: p corrected for all {compared} comparisons.\n"
        );
    }
    for note in &c.notes {
        text += &format!("note: {note}\n");
    }
    text
}

/// What a group ends with, in the order and under the names of its columns.
fn ends<'a>(columns: &'a Columns, group: &'a Group) -> impl Iterator<Item = (&'a str, Spread)> {
    let axes = columns.axes.iter().enumerate();
    let axes = axes.map(|(i, name)| (name.as_str(), group.last(|run| &run.axes[i])));
    let measures = columns.measures.iter().enumerate();
    axes.chain(measures.map(|(i, name)| (name.as_str(), group.last(|run| &run.measures[i]))))
}

/// A line for each group.
fn ends_table(c: &Comparison) -> String {
    let Columns { axes, measures } = &c.columns;
    let mut head = vec![String::new(), "runs".into()];
    head.extend(axes.iter().chain(measures).map(|name| heading(name)));
    let mut rows = vec![head];
    for group in &c.groups {
        let mut row = vec![group.label.clone(), group.runs.len().to_string()];
        row.extend(ends(&c.columns, group).map(|(name, spread)| {
            let Spread { median, low, high, .. } = spread;
            if low == high || low.is_nan() {
                shown(name, median)
            } else {
                format!("{} {}", shown(name, median), range(name, [low, high]))
            }
        }));
        rows.push(row);
    }
    table(&rows)
}

fn place(point: &Point) -> String {
    match point.axis.as_str() {
        "core_seconds" => format!("{} core seconds (wall time x ranks x threads)", significant(point.at)),
        axis => format!("{} {}", shown(axis, point.at), spoken(axis)),
    }
}

/// A line for each group and measure.
fn summaries(c: &Comparison, point: &Point) -> Vec<Vec<String>> {
    let mut rows = vec![
        ["", "n", "median", "quartiles", "IQM", "95 % interval"]
            .map(String::from)
            .to_vec(),
    ];
    for m in &point.measures {
        for (group, s) in c.groups.iter().zip(&m.summaries) {
            let Summary { n, missing, spread, .. } = s;
            rows.push(vec![
                format!("{}: {}", heading(&m.column), group.label),
                match missing {
                    0 => n.to_string(),
                    _ => format!("{n} of {}", n + missing),
                },
                shown(&m.column, spread.median),
                range(&m.column, spread.quartiles),
                shown(&m.column, s.iqm),
                range(&m.column, s.iqm_interval),
            ]);
        }
    }
    rows
}

/// A line for each test that could be made.
fn tests(point: &Point) -> Vec<Vec<String>> {
    let mut rows = vec![["", "P(>)", "95 % interval", "p", "Holm"].map(String::from).to_vec()];
    for m in &point.measures {
        rows.extend(m.tests.iter().filter(|test| test.p.is_finite()).map(|test| {
            vec![
                format!("{}: {} > {}", heading(&m.column), test.candidate, test.baseline),
                share(test.improvement),
                bracketed(test.improvement_interval.map(share)),
                probability(test.p),
                probability(test.adjusted_p),
            ]
        }));
    }
    rows
}

fn heading(column: &str) -> String {
    let unit = match column {
        "wall_seconds" => " (s)",
        _ if is_share(column) => " (%)",
        _ => "",
    };
    spoken(column) + unit
}

fn shown(column: &str, x: f64) -> String {
    match column {
        _ if !x.is_finite() => "-".into(),
        "evaluations" | "frames" => thousands(x as u64),
        "wall_seconds" => format!("{x:.0$}", if x < 10.0 { 3 } else { 1 }),
        _ if is_share(column) => format!("{:.2}", 100.0 * x),
        _ => significant(x),
    }
}

fn range(column: &str, ends: [f64; 2]) -> String {
    bracketed(ends.map(|x| shown(column, x)))
}
