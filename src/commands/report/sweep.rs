//! What the report of a sweep holds.

use std::path::{Path, PathBuf};

use illume_core::{Error, Result};
use serde_json::{Value, json};

use super::{FILE, Page, ReportArgs, Written, check, number, run, write};
use crate::analysis::compare::{Group, Overview, Parameter, Places, is_from_zero, spoken};
use crate::analysis::statistics::{self, Band, explained, spoken_bands};
use crate::commands::archive_path;
use crate::commands::sweep::{Findings, Standing};
use crate::engine::output::{bracketed, probability, quoted, share, significant, thousands};
use crate::render::report::packed;
use crate::sweep::collect::Table;
use crate::sweep::duration::words;
use crate::sweep::{Job, Results, Row, Status, Sweep};

/// Points of a curve.
const POINTS: usize = 200;
/// Into so many parts, of as many runs each, the values of a parameter are divided that is drawn from a distribution.
const PARTS: usize = 5;

const IMPORTANCE: &str = "The share of the variance between runs that goes with a parameter alone, whatever the others do (epsilon squared: less what \
    chance alone would give, and 0 where that is more). What parameters do together, and seeds, make up the rest. Values drawn from a distribution are taken in up to five parts of as many runs.";

/// Writes the report, and with `--runs` those of the runs before it, so that it can point to them. The sweep's own comes first.
///
/// # Errors
/// No run is done, a damaged result, or a file that cannot be written.
pub(super) fn write_all(dir: &Path, target: &Path, args: &ReportArgs) -> Result<Vec<Written>> {
    let sweep = Sweep::open(dir)?;
    let results = sweep.results()?;
    let overview = Overview::new(&sweep, &results, &[], None)?;
    let table = Table::new(&sweep.plan, &results);
    let mut runs = Vec::new();
    if args.runs {
        let done = table
            .rows
            .iter()
            .filter(|(_, row)| row.is_some_and(|row| row.status == Status::Done));
        let kept: Vec<PathBuf> = done
            .map(|(job, _)| sweep.run_dir(&job.id))
            .filter(|run| archive_path(run).is_ok())
            .collect();
        if kept.is_empty() {
            return Err(Error::input(format!(
                "--runs: no run of {} has kept its archive, of which there could be a report",
                dir.display()
            )));
        }
        for run in kept {
            let own = run.join(FILE);
            check(&own, args.force)?;
            runs.push(super::write(&own, run::page(&run, args.films())?)?);
        }
    }
    let page = page(&sweep, &results, &overview, &table, target)?;
    let mut written = vec![write(target, page)?];
    written.extend(runs);
    Ok(written)
}

fn page(sweep: &Sweep, results: &Results, overview: &Overview, table: &Table<'_>, target: &Path) -> Result<Page> {
    let standing = Standing::new(sweep, results)?;
    let findings = Findings::new(table);
    let counts: Vec<String> = standing
        .counts
        .iter()
        .filter(|(_, n)| **n > 0)
        .map(|(name, n)| format!("{} {name}", thousands(*n as u64)))
        .collect();
    let time = words(standing.core_seconds);
    let shown = sweep.dir.display().to_string();
    let path = quoted(&shown);
    let best = findings
        .ranked()
        .first()
        .map(|&i| (&findings.samples[i].1.name, findings.summaries[i].spread.median));
    let title = overview.title.clone();
    let mut facts = vec![
        ["runs".to_string(), counts.join(", ")],
        ["configurations".into(), thousands(overview.configurations as u64)],
        ["cores' time".into(), time.clone()],
    ];
    if let Some((_, median)) = best {
        facts.push([format!("best median {}", spoken(&overview.metric)), significant(median)]);
    }
    let mut notes = overview.curves.notes.clone();
    notes.extend(statistics::caution(&findings.tests));
    notes.extend(failures(table));
    let data = json!({
        "title": title,
        "subtitle": format!("A sweep: {}", counts.join(", ")),
        "facts": facts,
        "notes": [],
        "sweep": {
            "metric": spoken(&overview.metric),
            "configurations": configurations(sweep, table, &findings, target),
            "notes": notes,
            "csv": table.csv(),
            "curves": overview.curves.groups.iter().map(|group| curves(group, overview.curves.columns.measures.len())).collect::<Vec<_>>(),
            "axes": overview.curves.columns.axes.iter().map(|axis| json!({"name": spoken(axis), "unit": ""})).collect::<Vec<_>>(),
            "measures": overview.curves.columns.measures.iter().map(|m| json!({"label": spoken(m), "zero": is_from_zero(m)})).collect::<Vec<_>>(),
            "bands": spoken_bands(Band::Quartiles, &overview.curves.groups.iter().map(|group| group.runs.len()).collect::<Vec<_>>()),
            "parameters": overview.parameters.iter().map(|p| parameter(overview, p)).collect::<Vec<_>>(),
            "importance": IMPORTANCE,
        },
        "provenance": [
            ["folder", &shown], ["method", &sweep.plan.method.kind], ["metric", &format!("{}, to {}", overview.metric, sweep.plan.metric.goal)],
            ["illume", &sweep.plan.software_version], ["cores' time", &time],
        ],
        "commands": [format!("illume sweep status {path}"), format!("illume plot {path}"), format!("illume sweep collect {path}"), format!("illume report {path} --runs")],
        "config": sweep.plan.configurations.first().map(|c| c.text.clone()).unwrap_or_default(),
    });
    let rows = vec![
        ("runs", counts.join(", ")),
        ("settings", overview.configurations.to_string()),
        ("metric", overview.metric.clone()),
    ];
    Ok(Page { title, data, rows })
}

/// Why runs failed, the first of them.
fn failures(table: &Table<'_>) -> Vec<String> {
    let failed = |(job, row): &(Job, Option<&Row>)| {
        let row = row.filter(|row| row.status != Status::Done)?;
        Some(format!(
            "{} (seed {}) {}: {}",
            job.id,
            job.seed,
            row.status.word(),
            row.error
        ))
    };
    table.rows.iter().filter_map(failed).take(5).collect()
}

/// The best median first, as `illume sweep status` shows them.
fn configurations(sweep: &Sweep, table: &Table<'_>, findings: &Findings, target: &Path) -> Vec<Value> {
    let of = |i: usize| {
        let (configuration, sample) = &findings.samples[i];
        let s = &findings.summaries[i];
        let runs = table.rows.iter().filter(|(job, _)| job.configuration == *configuration);
        let runs: Vec<Value> = runs
            .map(|(job, row)| {
                let directory = sweep.run_dir(&job.id);
                json!({
                    "seed": job.seed,
                    "value": row.and_then(|row| row.value(&sweep.plan.metric.name)).map_or(Value::Null, number),
                    "status": row.map_or("open", |row| row.status.word()),
                    "directory": directory.display().to_string(),
                    "report": link(&directory.join(FILE), target),
                })
            })
            .collect();
        json!({
            "label": sample.name, "n": s.n, "median": number(s.spread.median), "quartiles": s.spread.quartiles.map(number),
            "iqm": number(s.iqm), "iqm_interval": s.iqm_interval.map(number), "baseline": i == findings.baseline, "runs": runs,
            "test": findings.test(i).map(|t| json!({
                "improvement": share(t.improvement), "interval": bracketed(t.improvement_interval.map(share)),
                "p": probability(t.p), "adjusted": probability(t.adjusted_p),
            })),
        })
    };
    findings.ranked().into_iter().map(of).collect()
}

/// How the report points to another that is there: from its own folder, which both may be moved with.
fn link(report: &Path, from: &Path) -> Option<String> {
    let report = report.canonicalize().ok()?;
    let folder = std::path::absolute(from).ok()?.parent()?.canonicalize().ok()?;
    let inside = report.strip_prefix(&folder).ok()?;
    let parts: Vec<String> = inside
        .components()
        .map(|part| percent_encoded(&part.as_os_str().to_string_lossy()))
        .collect();
    Some(parts.join("/"))
}

fn percent_encoded(text: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes()
        .map(|b| {
            if keep(b) {
                char::from(b).to_string()
            } else {
                format!("%{b:02X}")
            }
        })
        .collect()
}

/// A configuration's curves against each axis.
fn curves(group: &Group, measures: usize) -> Value {
    let axes = [0, 1].map(|axis| {
        let [start, end] = group.covered(axis);
        let x: Vec<f64> = (0..POINTS)
            .map(|i| start + (end - start) * i as f64 / (POINTS - 1) as f64)
            .map(|x| x.clamp(start, end.max(start)))
            .collect();
        let measures: Vec<Value> = (0..measures)
            .map(|measure| {
                let around = Band::Quartiles.of_runs(group.runs.len());
                let (median, bands): (Vec<f64>, Vec<[f64; 2]>) =
                    x.iter().map(|x| around.of(group.at(axis, measure, *x))).unzip();
                json!({
                    "median": packed(median),
                    "low": packed(bands.iter().map(|band| band[0])),
                    "high": packed(bands.iter().map(|band| band[1])),
                })
            })
            .collect();
        json!({"x": packed(x), "measures": measures})
    });
    json!({"label": group.label, "runs": group.runs.len(), "axes": axes})
}

fn parameter(o: &Overview, p: &Parameter) -> Value {
    let whole = || {
        p.marks
            .iter()
            .filter(|mark| (mark.whole || !o.halving) && mark.value.is_finite())
    };
    let marks: Vec<Value> = whole().map(|mark| json!([mark.place, number(mark.value)])).collect();
    let mut by_place: Vec<(usize, f64)> = whole().map(|mark| (mark.place, mark.value)).collect();
    by_place.sort_by_key(|(place, _)| *place);
    let (numbers, names, logarithmic) = match &p.places {
        Places::Numbers { values, logarithmic } => (json!(values), Value::Null, *logarithmic),
        Places::Names(names) => (Value::Null, json!(names), false),
    };
    let groups: Vec<Vec<f64>> = if p.listed {
        by_place
            .chunk_by(|a, b| a.0 == b.0)
            .map(|runs| runs.iter().map(|(_, value)| *value).collect())
            .collect()
    } else {
        by_place
            .chunks(by_place.len().div_ceil(PARTS).max(1))
            .map(|runs| runs.iter().map(|(_, value)| *value).collect())
            .collect()
    };
    let groups: Vec<&[f64]> = groups.iter().map(Vec::as_slice).collect();
    json!({
        "name": p.name, "numbers": numbers, "names": names, "logarithmic": logarithmic, "marks": marks, "share": explained(&groups),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_pointed_to_from_the_folder_that_holds_them() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("runs/a b#1");
        std::fs::create_dir_all(&run).unwrap();
        std::fs::write(run.join(FILE), "").unwrap();
        assert_eq!(
            link(&run.join(FILE), &dir.path().join(FILE)).as_deref(),
            Some("runs/a%20b%231/report.html")
        );
        assert_eq!(
            link(&run.join("none.html"), &dir.path().join(FILE)),
            None,
            "there is none"
        );
        let other = tempfile::tempdir().unwrap();
        assert_eq!(
            link(&run.join(FILE), &other.path().join(FILE)),
            None,
            "they cannot be moved together"
        );
    }
}
