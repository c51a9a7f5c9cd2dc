//! A sweep as it is drawn: learning curves of its configurations, and what its runs end with by parameter.

#[cfg(test)]
mod tests;

use illume_core::{Error, Result};
use toml::{Table, Value};

use super::{Columns, Comparison, Group, History, chosen, distinct};
use crate::analysis::statistics::Spread;
use crate::sweep::collect;
use crate::sweep::{Configuration, Job, Part, Results, Row, Status, Sweep};

/// Configurations whose curves can be told apart.
const ALL: usize = 8;
/// Of more, the best are drawn.
const BEST: usize = 6;
/// Drawn values of which each stands for so many configurations are listed as well.
const SHARED: usize = 3;
/// A parameter whose values differ by more than this factor is drawn on a logarithmic axis.
const LOGARITHMIC: f64 = 10.0;

/// What is known of a sweep, whatever is still to be done.
#[derive(Debug, Clone)]
pub struct Overview {
    /// The sweep's folder and its tasks.
    pub title: String,
    /// Column of the sweep's table by which runs are compared.
    pub metric: String,
    /// How many runs there are, and how many of them are done.
    pub runs: usize,
    pub done: usize,
    /// Configurations with a run that is done; of many, `curves` has the best.
    pub configurations: usize,
    pub curves: Comparison,
    /// Empty names for the only one.
    pub variants: Vec<String>,
    /// Each that takes more than one value; the variants themselves where nothing else differs.
    pub parameters: Vec<Parameter>,
    /// Whether runs end with different budgets, by successive halving.
    pub halving: bool,
}

/// A key of the configuration, and the runs at its values.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// `section.key`, or `variant`.
    pub key: String,
    /// The same in words.
    pub name: String,
    pub places: Places,
    /// Whether each value stands for several runs that may be summed up, which values drawn from a distribution do not.
    pub listed: bool,
    pub marks: Vec<Mark>,
}

/// The values of a parameter.
#[derive(Debug, Clone, PartialEq)]
pub enum Places {
    /// In order, each once.
    Numbers {
        values: Vec<f64>,
        logarithmic: bool,
    },
    Names(Vec<String>),
}

/// A run that is done.
#[derive(Debug, Clone, PartialEq)]
pub struct Mark {
    /// Which of the values.
    pub place: usize,
    pub variant: usize,
    /// The metric.
    pub value: f64,
    /// Whether it had its configuration's whole budget, and not only that of a rung.
    pub whole: bool,
}

/// A configuration with its runs that are done.
struct Finished<'a> {
    configuration: &'a Configuration,
    variant: usize,
    resolved: Table,
    runs: Vec<(&'a Job, &'a Row)>,
}

impl Finished<'_> {
    /// The runs by which it is compared: where fresh seeds confirm it, not those by which it was chosen.
    fn compared(&self) -> impl Iterator<Item = &(&Job, &Row)> {
        let confirms = |job: &Job| job.part == Part::Confirms;
        let confirmed = self.runs.iter().any(|(job, _)| confirms(job));
        self.runs.iter().filter(move |(job, _)| !confirmed || confirms(job))
    }
}

impl Overview {
    /// Reads a sweep, and the histories of the configurations whose curves are drawn: of the metric, of `measures` besides, against `against` and core
    /// time.
    ///
    /// # Errors
    /// No run is done; a column that histories do not have; a damaged result.
    pub fn new(sweep: &Sweep, results: &Results, measures: &[String], against: Option<&String>) -> Result<Overview> {
        let plan = &sweep.plan;
        let table = collect::Table::new(plan, results);
        let dir = sweep.dir.display();
        let (done, failed) = (
            table.count(Status::Done),
            table.count(Status::Failed) + table.count(Status::Wrong),
        );
        if done == 0 {
            return Err(Error::input(format!(
                "{dir}: none of its {} runs is done{}, and there is nothing to draw: expected a sweep with a finished run; `illume sweep status {dir}` shows how far it is",
                table.rows.len(),
                if failed > 0 {
                    format!(", {failed} failed")
                } else {
                    String::new()
                }
            )));
        }
        let mut notes = Vec::new();
        if failed > 0 {
            let (s, are) = if failed == 1 { ("", "is") } else { ("s", "are") };
            notes.push(format!("{failed} run{s} failed and {are} not drawn"));
        }
        let variants = variants(&plan.configurations);
        let finished = finished(&table, &variants);
        let metric = plan.metric.name.clone();
        let minimize = plan.metric.goal == "minimize";
        let known = results.curve(&finished[0].runs[0].0.name)?.columns;
        let known: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        let (measured, note) = measured(&metric, &known);
        notes.extend(note);
        let mut columns = Columns {
            measures: vec![measured.into()],
            axes: [against.map_or("evaluations", String::as_str), "core_seconds"].map(String::from),
        };
        columns
            .measures
            .extend(measures.iter().filter(|m| *m != measured).cloned());
        let groups = shown(&finished, &metric, minimize).into_iter();
        let groups = groups
            .map(|i| group(&finished[i], &columns, sweep, results))
            .collect::<Result<_>>()?;
        let tasks: Vec<&str> = finished.iter().map(|f| text(&f.resolved, "task.name")).collect();
        let tasks = distinct(tasks).join(", ");
        let folder = std::path::absolute(&sweep.dir).unwrap_or_else(|_| sweep.dir.clone());
        let folder = folder.file_name().unwrap_or(folder.as_os_str()).to_string_lossy();
        Ok(Overview {
            title: format!("{folder}: {tasks}"),
            runs: table.rows.len(),
            done,
            configurations: finished.len(),
            curves: Comparison {
                task: tasks,
                columns,
                groups,
                notes,
            },
            parameters: parameters(&finished, &variants, &metric, plan.method.runs > 0),
            variants,
            metric,
            halving: plan.method.kind == "halving",
        })
    }
}

/// Names of the variants, in the order of the plan.
fn variants(configurations: &[Configuration]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for c in configurations {
        if !names.contains(&c.variant) {
            names.push(c.variant.clone());
        }
    }
    names
}

/// Configurations with a run that is done, in the order of the plan.
fn finished<'a>(table: &'a collect::Table<'a>, variants: &[String]) -> Vec<Finished<'a>> {
    let mut runs: Vec<Vec<(&Job, &Row)>> = vec![Vec::new(); table.plan.configurations.len()];
    for (job, row) in &table.rows {
        if let Some(row) = row.filter(|row| row.status == Status::Done) {
            runs[job.configuration].push((job, row));
        }
    }
    let all = table.plan.configurations.iter().zip(runs);
    all.filter(|(_, runs)| !runs.is_empty())
        .map(|(configuration, runs)| Finished {
            configuration,
            variant: variants
                .iter()
                .position(|name| *name == configuration.variant)
                .unwrap_or(0),
            resolved: configuration.text.parse().unwrap_or_default(),
            runs,
        })
        .collect()
}

/// The column of a history that shows how runs came to a metric, which itself may come from an evaluation at the end; and what a reader should know.
fn measured<'a>(metric: &'a str, known: &[&str]) -> (&'a str, Option<String>) {
    let stored = metric
        .trim_start_matches("corrected_")
        .trim_start_matches("expected_")
        .trim_end_matches("_se");
    let column = [metric, stored]
        .into_iter()
        .find(|name| known.contains(name))
        .unwrap_or("qd_score");
    let note = format!("{metric} is known of the end of a run alone: curves are of {column}");
    (column, (column != metric).then_some(note))
}

/// Configurations whose curves are drawn: all, or of many the best, the best first.
fn shown(finished: &[Finished<'_>], metric: &str, minimize: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..finished.len()).collect();
    if finished.len() <= ALL {
        return order;
    }
    // Of successive halving, who went on is ahead of who did not, whatever smaller budgets gave.
    let reached = |f: &Finished<'_>| {
        let rung = |part| match part {
            Part::Planned => 0,
            Part::Rung(rung) => rung + 1,
            Part::Confirms => usize::MAX,
        };
        f.runs.iter().map(|(job, _)| rung(job.part)).max()
    };
    let score = |f: &Finished<'_>| {
        let values: Vec<f64> = f.compared().filter_map(|(_, row)| row.value(metric)).collect();
        match Spread::of(values).median {
            median if median.is_nan() => f64::NEG_INFINITY,
            median if minimize => -median,
            median => median,
        }
    };
    order.sort_by(|&a, &b| {
        let [a, b] = [a, b].map(|i| (reached(&finished[i]), score(&finished[i])));
        b.0.cmp(&a.0).then(b.1.total_cmp(&a.1))
    });
    order.truncate(BEST);
    order
}

/// The runs of a configuration with their histories.
fn group(finished: &Finished<'_>, columns: &Columns, sweep: &Sweep, results: &Results) -> Result<Group> {
    let strategy = text(&finished.resolved, "strategy.name").to_string();
    let history = |(job, row): &(&Job, &Row)| {
        let path = sweep.dir.join("results").join(format!("{}.jsonl", job.name));
        let path = path.display().to_string();
        let curve = results.curve(&job.name)?;
        let number = |x: &Option<f64>| x.unwrap_or(f64::NAN);
        let mut named: Vec<(String, Vec<f64>)> = curve
            .columns
            .iter()
            .map(|(name, values)| (name.clone(), values.iter().map(number).collect()))
            .collect();
        let cores = match row.timing.core_seconds / row.timing.wall_seconds {
            cores if cores.is_finite() => cores,
            _ => 1.0,
        };
        if let Some((_, seconds)) = named.iter().find(|(name, _)| name == "wall_seconds") {
            named.push(("core_seconds".into(), seconds.iter().map(|s| s * cores).collect()));
        }
        let (axes, measures) = chosen(&path, &named, columns)?;
        Ok(History {
            path,
            task: text(&finished.resolved, "task.name").into(),
            strategy: strategy.clone(),
            seed: job.seed,
            cores,
            axes,
            measures,
            parameters: super::parameters(&finished.configuration.text, &["task", "policy", "strategy", "archive"]),
            budget: super::parameters(&finished.configuration.text, &["budget"]),
            software_version: sweep.plan.software_version.clone(),
        })
    };
    Ok(Group {
        label: finished.configuration.label.clone(),
        strategy: strategy.clone(),
        runs: finished.compared().map(history).collect::<Result<_>>()?,
    })
}

/// A value of a resolved configuration.
fn at<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    let (section, rest) = key.split_once('.')?;
    rest.split('.')
        .try_fold(table.get(section)?, |inner, name| inner.get(name))
}

fn text<'a>(table: &'a Table, key: &str) -> &'a str {
    at(table, key).and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value) -> Option<f64> {
    value.as_float().or(value.as_integer().map(|n| n as f64))
}

/// Parameters that take more than one value, each with all runs.
fn parameters(finished: &[Finished<'_>], variants: &[String], metric: &str, drawn: bool) -> Vec<Parameter> {
    let mut keys: Vec<&String> = finished.iter().flat_map(|f| f.configuration.set.keys()).collect();
    keys.sort();
    keys.dedup();
    // What a variant sets is told by its name.
    keys.retain(|key| {
        finished.iter().any(|f| {
            let first = finished.iter().find(|other| other.variant == f.variant);
            first.is_some_and(|first| at(&first.resolved, key) != at(&f.resolved, key))
        })
    });
    let mut all: Vec<Parameter> = keys
        .iter()
        .map(|key| {
            let values: Vec<Option<&Value>> = finished.iter().map(|f| at(&f.resolved, key)).collect();
            Parameter::new((*key).clone(), spoken(key, &keys), &values, finished, metric, drawn)
        })
        .collect();
    if all.is_empty() && variants.len() > 1 {
        let names: Vec<Value> = finished
            .iter()
            .map(|f| Value::from(f.configuration.variant.as_str()))
            .collect();
        let values: Vec<Option<&Value>> = names.iter().map(Some).collect();
        all.push(Parameter::new(
            "variant".into(),
            "variant".into(),
            &values,
            finished,
            metric,
            false,
        ));
    }
    all
}

/// A key in words, with its section where that is not clear.
fn spoken(key: &str, all: &[&String]) -> String {
    let (section, name) = key.rsplit_once('.').unwrap_or(("", key));
    let alike = all
        .iter()
        .filter(|other| other.rsplit('.').next() == Some(name))
        .count();
    let words = if alike > 1 || ["name", "kind"].contains(&name) {
        format!("{} {name}", section.replace('.', " "))
    } else {
        name.into()
    };
    words.replace('_', " ")
}

impl Parameter {
    /// `values` are those of each of the configurations, none where they have no such key.
    fn new(
        key: String,
        name: String,
        values: &[Option<&Value>],
        finished: &[Finished<'_>],
        metric: &str,
        drawn: bool,
    ) -> Parameter {
        let (places, of_configuration) = places(values);
        let with_value = of_configuration.iter().flatten().count();
        let count = match &places {
            Places::Numbers { values, .. } => values.len(),
            Places::Names(_) => 0,
        };
        let marks = finished
            .iter()
            .zip(&of_configuration)
            .filter_map(|(f, place)| Some((f, (*place)?)));
        let marks = marks.flat_map(|(f, place)| {
            f.runs.iter().filter_map(move |(job, row)| {
                Some(Mark {
                    place,
                    variant: f.variant,
                    value: row.value(metric)?,
                    whole: job.evaluations.is_none(),
                })
            })
        });
        Parameter {
            key,
            name,
            listed: !drawn || count * SHARED <= with_value,
            marks: marks.collect(),
            places,
        }
    }
}

/// The different values in order, and which of them each is: numbers by size if all are numbers, else names in the order of the plan.
fn places(values: &[Option<&Value>]) -> (Places, Vec<Option<usize>>) {
    let numbers: Option<Vec<f64>> = values.iter().flatten().map(|v| number(v)).collect();
    if let Some(mut numbers) = numbers {
        numbers.sort_by(f64::total_cmp);
        numbers.dedup();
        let place = |v: &&Value| numbers.iter().position(|n| number(v) == Some(*n));
        let of = values.iter().map(|v| v.as_ref().and_then(place)).collect();
        let (low, high) = (numbers[0], numbers[numbers.len() - 1]);
        let logarithmic = low > 0.0 && high / low > LOGARITHMIC;
        return (
            Places::Numbers {
                values: numbers,
                logarithmic,
            },
            of,
        );
    }
    let name = |v: &Value| v.as_str().map_or_else(|| v.to_string(), String::from);
    let mut names: Vec<String> = Vec::new();
    for value in values.iter().flatten() {
        if !names.contains(&name(value)) {
            names.push(name(value));
        }
    }
    let of = values
        .iter()
        .map(|v| v.and_then(|v| names.iter().position(|n| *n == name(v))))
        .collect();
    (Places::Names(names), of)
}
