//! All results as tables: `sweep.csv` and `sweep.h5`, equal for equal sweeps whoever ran them; what differs from machine to machine is in `timing.csv`
//! and in the group `/timing`.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use illume_archives::file::{Group, write_tables};
use illume_core::{Batch, Result};
use toml::Value;

use super::queue::{Job, Part};
use super::result::{Curve, Results, Row, Status};
use super::{Plan, Sweep};
use crate::engine::output::write_atomically;
use crate::formats::export::quoted;

const FORMAT: (&str, u64) = ("illume sweep", 1);

/// Rows of the tables: what is planned, with its result if there is one.
pub struct Table<'a> {
    pub plan: &'a Plan,
    pub rows: Vec<(Job, Option<&'a Row>)>,
    /// Whether nothing is left to do.
    pub complete: bool,
}

impl<'a> Table<'a> {
    /// One row for each run, in the order of the plan: of successive halving that of the last rung that it came to.
    pub fn new(plan: &'a Plan, results: &'a Results) -> Table<'a> {
        let jobs = plan.jobs(results);
        let mut rows: Vec<(Job, Option<&Row>)> = Vec::new();
        for job in jobs.known {
            let row = results.get(&job.name);
            match rows.last_mut() {
                Some(last) if last.0.id == job.id => {
                    if row.is_some() || last.1.is_none() {
                        *last = (job, row);
                    }
                }
                _ => rows.push((job, row)),
            }
        }
        let complete = jobs.complete && rows.iter().all(|(_, row)| row.is_some());
        Table { plan, rows, complete }
    }

    fn status(row: Option<&Row>) -> &'static str {
        row.map_or("open", |row| row.status.word())
    }

    /// Runs whose status this is.
    pub fn count(&self, status: Status) -> usize {
        self.rows
            .iter()
            .filter(|(_, row)| row.is_some_and(|row| row.status == status))
            .count()
    }

    /// What rows end with, in the order in which columns were first seen.
    fn columns(&self, of: impl Fn(&Row) -> &[(String, Option<f64>)]) -> Vec<String> {
        let rows = self.rows.iter().filter_map(|(_, row)| *row);
        each_once(rows.flat_map(of).map(|(name, _)| name))
    }

    /// Keys of the configuration that were set, sorted.
    fn keys(&self) -> Vec<String> {
        let mut keys = each_once(self.plan.configurations.iter().flat_map(|c| c.set.keys()));
        keys.sort();
        keys
    }

    fn setting(&self, job: &Job, key: &str) -> String {
        match self.plan.configurations[job.configuration].set.get(key) {
            None => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        }
    }

    /// The values of a column of the runs that are done, by configuration.
    pub fn values(&self, column: &str) -> Vec<(usize, Vec<f64>)> {
        let confirmed = self.rows.iter().any(|(job, _)| job.part == Part::Confirms);
        let mut groups: Vec<(usize, Vec<f64>)> = Vec::new();
        for (job, row) in &self.rows {
            // What was chosen by these seeds is not compared by them.
            if confirmed && job.part != Part::Confirms {
                continue;
            }
            let value = row
                .filter(|row| row.status == Status::Done)
                .and_then(|row| row.value(column));
            let Some(value) = value else { continue };
            match groups.iter_mut().find(|(c, _)| *c == job.configuration) {
                Some((_, values)) => values.push(value),
                None => groups.push((job.configuration, vec![value])),
            }
        }
        groups
    }

    /// `sweep.csv`.
    pub fn csv(&self) -> String {
        let (keys, columns) = (self.keys(), self.columns(|row| &row.values));
        let halving = self.plan.method.kind == "halving";
        let mut head: Vec<&str> = vec!["id", "configuration", "variant", "seed", "status"];
        if halving {
            head.push("stage");
        }
        head.extend(keys.iter().chain(&columns).map(String::as_str));
        let mut text = csv_line(head.iter().map(ToString::to_string));
        for (job, row) in &self.rows {
            let configuration = &self.plan.configurations[job.configuration];
            let mut cells = vec![
                job.id.clone(),
                configuration.label.clone(),
                configuration.variant.clone(),
                job.seed.to_string(),
                Self::status(*row).into(),
            ];
            if halving {
                cells.push(stage(job));
            }
            cells.extend(keys.iter().map(|key| self.setting(job, key)));
            cells.extend(columns.iter().map(|name| number(row.and_then(|row| row.value(name)))));
            text += &csv_line(cells.into_iter());
        }
        text
    }

    /// `timing.csv`.
    fn timing_csv(&self) -> String {
        let columns = self.columns(|row| &row.timing.values);
        let head = [
            "id",
            "host",
            "attempts",
            "lost",
            "interrupted",
            "wall_seconds",
            "core_seconds",
        ];
        let own: Vec<&String> = columns.iter().filter(|name| !head.contains(&name.as_str())).collect();
        let mut text = csv_line(
            head.iter()
                .map(ToString::to_string)
                .chain(own.iter().map(ToString::to_string)),
        );
        for (job, row) in &self.rows {
            let Some(t) = row.map(|row| &row.timing) else { continue };
            let cells = vec![
                job.id.clone(),
                t.host.clone(),
                t.attempts.to_string(),
                t.lost.to_string(),
                t.interrupted.to_string(),
                number(Some(t.wall_seconds)),
                number(Some(t.core_seconds)),
            ];
            let value = |name: &&String| number(t.value(name));
            text += &csv_line(cells.into_iter().chain(own.iter().map(value)));
        }
        text
    }

    /// The table `/runs` of `sweep.h5`.
    fn runs(&self) -> Group<'static> {
        let configuration = |job: &Job| &self.plan.configurations[job.configuration];
        let text = |of: &dyn Fn(&Job, Option<&Row>) -> String| {
            self.rows.iter().map(|(job, row)| of(job, *row)).collect::<Vec<_>>()
        };
        let texts = vec![
            (
                "id",
                "hash of the resolved configuration with its seed",
                text(&|job, _| job.id.clone()),
            ),
            (
                "configuration",
                "what sets the run's configuration apart",
                text(&|job, _| configuration(job).label.clone()),
            ),
            (
                "variant",
                "name of the variant",
                text(&|job, _| configuration(job).variant.clone()),
            ),
            (
                "status",
                "open, done, failed or wrong",
                text(&|_, row| Self::status(row).into()),
            ),
            (
                "stage",
                "planned, the rung that it came to, or confirms",
                text(&|job, _| stage(job)),
            ),
            (
                "error",
                "why it is not done",
                text(&|_, row| row.map_or(String::new(), |row| row.error.clone())),
            ),
            (
                "stderr",
                "its last lines, if it is not done",
                text(&|_, row| row.map_or(String::new(), |row| row.stderr.join("\n"))),
            ),
        ];
        let mut columns = Batch::new();
        columns.push(
            "seed",
            1,
            "",
            "the run's seed",
            self.rows.iter().map(|(job, _)| job.seed).collect(),
        );
        let numbers = |job: &Job, key: &str| match configuration(job).set.get(key) {
            Some(Value::Integer(n)) => *n as f64,
            Some(Value::Float(x)) => *x,
            Some(Value::Boolean(b)) => f64::from(u8::from(*b)),
            _ => f64::NAN,
        };
        for key in self.keys() {
            let values: Vec<f64> = self.rows.iter().map(|(job, _)| numbers(job, &key)).collect();
            columns.push(
                &key,
                1,
                "",
                "parameter that was set; NaN where it is not a number",
                values,
            );
        }
        for name in self.columns(|row| &row.values) {
            let values: Vec<f64> = self
                .rows
                .iter()
                .map(|(_, row)| row.and_then(|r| r.value(&name)).unwrap_or(f64::NAN))
                .collect();
            columns.push(&name, 1, "", "what the run ended with", values);
        }
        Group {
            name: "runs",
            description: "the sweep's runs, in the order of its plan",
            rows: ("run", "runs of the sweep"),
            texts,
            columns,
        }
    }

    fn timing(&self) -> Group<'static> {
        let mut columns = Batch::new();
        let count = |of: fn(&Row) -> u32| self.rows.iter().map(|(_, row)| row.map_or(0, of)).collect::<Vec<u32>>();
        columns.push("attempts", 1, "", "attempts that ended", count(|r| r.timing.attempts));
        columns.push("lost", 1, "", "workers that vanished with it", count(|r| r.timing.lost));
        columns.push(
            "interrupted",
            1,
            "",
            "times that it was interrupted",
            count(|r| r.timing.interrupted),
        );
        let seconds = |of: fn(&Row) -> f64| {
            self.rows
                .iter()
                .map(|(_, row)| row.map_or(f64::NAN, of))
                .collect::<Vec<f64>>()
        };
        columns.push(
            "wall_seconds",
            1,
            "s",
            "time of the run, all its parts added",
            seconds(|r| r.timing.wall_seconds),
        );
        columns.push(
            "core_seconds",
            1,
            "s",
            "the same times threads and ranks",
            seconds(|r| r.timing.core_seconds),
        );
        for name in self
            .columns(|row| &row.timing.values)
            .into_iter()
            .filter(|name| name != "wall_seconds")
        {
            let value = |row: &Row| row.timing.value(&name);
            let values: Vec<f64> = self
                .rows
                .iter()
                .map(|(_, row)| row.and_then(value).unwrap_or(f64::NAN))
                .collect();
            columns.push(&name, 1, "", "what the run ended with", values);
        }
        let hosts = self
            .rows
            .iter()
            .map(|(_, row)| row.map_or(String::new(), |r| r.timing.host.clone()))
            .collect();
        Group {
            name: "timing",
            description: "times and places of the sweep's runs, which differ from one sweep to an equal one",
            rows: ("run", "runs of the sweep"),
            texts: vec![("host", "the machine that finished it", hosts)],
            columns,
        }
    }

    /// All histories, one behind another, times apart: `/history` and `/timing_history`.
    fn histories(&self, results: &Results) -> Result<[Group<'static>; 2]> {
        let mut runs: Vec<u64> = Vec::new();
        let mut curves: Vec<(usize, Curve)> = Vec::new();
        for (number, (job, row)) in self.rows.iter().enumerate() {
            if row.is_some_and(|row| row.status == Status::Done) {
                let curve = results.curve(&job.name)?;
                let rows = curve.rows();
                runs.extend(std::iter::repeat_n(number as u64, rows));
                curves.push((rows, curve));
            }
        }
        let names = each_once(
            curves
                .iter()
                .flat_map(|(_, curve)| &curve.columns)
                .map(|(name, _)| name),
        );
        let table = |timing: bool| {
            let mut columns = Batch::new();
            columns.push("run", 1, "", "row of /runs", runs.clone());
            for name in names.iter().filter(|name| super::result::is_timing(name) == timing) {
                let values = curves.iter().flat_map(|(rows, curve)| match curve.column(name) {
                    Some(values) => values.iter().map(|v| v.unwrap_or(f64::NAN)).collect::<Vec<f64>>(),
                    None => vec![f64::NAN; *rows],
                });
                columns.push(name, 1, "", "column of the runs' histories", values.collect());
            }
            columns
        };
        let group = |name, description, columns| Group {
            name,
            description,
            rows: ("point", "points of the runs' histories"),
            texts: Vec::new(),
            columns,
        };
        Ok([
            group(
                "history",
                "the runs' histories, thinned, one behind another",
                table(false),
            ),
            group("timing_history", "times at the same points", table(true)),
        ])
    }
}

impl Curve {
    pub fn column(&self, name: &str) -> Option<&[Option<f64>]> {
        self.columns
            .iter()
            .find(|(n, _)| n == name)
            .map(|(_, values)| values.as_slice())
    }

    fn rows(&self) -> usize {
        self.columns.first().map_or(0, |(_, values)| values.len())
    }
}

/// In the order in which they come first.
fn each_once<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut seen = HashSet::new();
    names.filter(|name| seen.insert(*name)).cloned().collect()
}

/// Rungs from 1.
fn stage(job: &Job) -> String {
    match job.part {
        Part::Planned => "planned".into(),
        Part::Rung(rung) => format!("rung {}", rung + 1),
        Part::Confirms => "confirms".into(),
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |x| x.to_string())
}

fn csv_line(cells: impl Iterator<Item = String>) -> String {
    cells
        .map(|cell| quoted(&cell).into_owned())
        .collect::<Vec<_>>()
        .join(",")
        + "\n"
}

impl Sweep {
    /// Writes `sweep.csv`, `timing.csv` and `sweep.h5`; returns their paths. Does not care who ran the runs.
    ///
    /// # Errors
    /// A damaged result, or the disk.
    pub fn collect(&self, results: &Results) -> Result<Vec<PathBuf>> {
        let table = Table::new(&self.plan, results);
        let paths = ["sweep.csv", "timing.csv", "sweep.h5"].map(|name| self.dir.join(name));
        write_atomically(&paths[0], table.csv().as_bytes())?;
        write_atomically(&paths[1], table.timing_csv().as_bytes())?;
        let [history, times] = table.histories(results)?;
        let plan = self.plan.to_text()?;
        write_tables(
            &paths[2],
            FORMAT,
            &[("plan", &plan)],
            &[table.runs(), history, table.timing(), times],
        )?;
        // Of what successive halving left behind, and of runs whose worker died between result and tidying.
        if table.complete {
            for (job, row) in &table.rows {
                if row.is_some_and(|row| row.status == Status::Done) {
                    self.keep(&job.id);
                }
            }
            self.claims().tidy(|name| results.get(name).is_some())?;
            self.remove_unfinished_files();
        }
        Ok(paths.to_vec())
    }

    /// Files that killed workers were writing under temporary names; nobody writes there any more.
    fn remove_unfinished_files(&self) {
        for folder in ["claims", "results", "runs"] {
            let Ok(entries) = fs::read_dir(self.dir.join(folder)) else {
                continue;
            };
            for entry in entries.flatten() {
                if entry.file_name().to_string_lossy().contains(".tmp-") {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }
}
