//! A task whose values come from outside: what Python says of it is its table in files, so that a file makes it again.

use std::sync::Arc;

use illume::core::{Axis, Error, GeneSpace, Init, Request, Result, Scores, Status, Task, TaskSpec, Worker, inward};
use illume::envs::{PYTHON, WithGenes};
use illume::{Config, registry};
use serde::{Deserialize, Serialize};
use toml::Table;

/// The `[task]` table of a task whose values come from Python.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Described {
    name: String,
    dim: usize,
    bounds: Option<[f64; 2]>,
    init: Option<Start>,
    #[serde(default)]
    fitness: String,
    #[serde(default)]
    qd_offset: f64,
    #[serde(default = "yes")]
    deterministic: bool,
    #[serde(default)]
    descriptor: Vec<Interval>,
}

/// How first genomes are drawn.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(untagged)]
enum Start {
    Uniform([f64; 2]),
    Normal { mean: f64, sd: f64 },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Interval {
    name: String,
    #[serde(default)]
    unit: String,
    lower: f64,
    upper: f64,
}

fn yes() -> bool {
    true
}

/// Most genes of a genome: what fits into 40 bits of an address several times, and beyond any memory.
const MOST_GENES: usize = 1 << 36;

/// The task of a configuration: one of the registry, or one whose values come from Python.
///
/// # Errors
/// A table that is wrong.
pub fn task(config: &Config) -> Result<Box<dyn Task>> {
    if config.name("task") != PYTHON {
        return registry::task(config);
    }
    if let Some(key) = config.policy.keys().next() {
        let message = "a task whose values come from Python acts through no network; remove the table policy";
        return Err(config.locate(Error::config("policy", key, message)));
    }
    let mut table = config.task.clone();
    let genes = table.remove("genes");
    let genes = genes.map(|genes| GeneSpace::from_toml(&genes, "genes")).transpose()?;
    let task = Box::new(Outside(spec(&table)?));
    match genes {
        Some(_) if task.0.bounds.is_some() || table.contains_key("init") => Err(Error::input(
            "genes have bounds each, between which the first ones are drawn: leave out bounds and init",
        )),
        Some(genes) => Ok(Box::new(WithGenes::new(task, Arc::new(genes))?)),
        None => Ok(task),
    }
}

fn spec(table: &Table) -> Result<TaskSpec> {
    let read = Described::deserialize(table.clone());
    let d = read.map_err(|e| Error::input(format!("the task is not understood: {}", e.message())))?;
    let wrong = |key: &str, message: String| Err(Error::input(format!("{key}: {message}")));
    if !(1..=MOST_GENES).contains(&d.dim) {
        return wrong(
            "dim",
            format!("expected the number of genes of a genome, at least 1, got {}", d.dim),
        );
    }
    let drawn = d.init.and_then(Start::interval);
    for (key, interval) in [("bounds", d.bounds), ("init", drawn)] {
        let Some([lower, upper]) = interval else { continue };
        if !(lower < upper && narrow(lower).is_finite() && narrow(upper).is_finite()) {
            return wrong(
                key,
                format!("expected two finite numbers, the lower one first, got ({lower}, {upper})"),
            );
        }
        let [low, high] = inward([lower, upper]);
        if low >= high {
            let message =
                format!("expected an interval that holds two numbers of single precision, got ({lower}, {upper})");
            return wrong(key, message);
        }
    }
    if let (Some([lower, upper]), Some([from, to])) = (d.bounds, drawn)
        && (from < lower || to > upper)
    {
        return wrong(
            "init",
            format!("expected an interval within the bounds ({lower}, {upper}), got ({from}, {to})"),
        );
    }
    if let Some(Start::Normal { mean, sd }) = d.init
        && !(narrow(mean).is_finite() && narrow(sd).is_finite() && narrow(sd) > 0.0)
    {
        return wrong(
            "init",
            format!("expected a mean that is finite in single precision and such an sd above 0, got {mean} and {sd}"),
        );
    }
    for (i, axis) in d.descriptor.iter().enumerate() {
        if !(axis.lower < axis.upper && axis.lower.is_finite() && axis.upper.is_finite()) {
            let message = format!(
                "axis \"{}\" needs two finite bounds, the lower one first, got ({}, {})",
                axis.name, axis.lower, axis.upper
            );
            return wrong("descriptor", message);
        }
        if axis.name.is_empty() || d.descriptor[..i].iter().any(|other| other.name == axis.name) {
            return wrong(
                "descriptor",
                format!("axes need names that differ, got \"{}\" for axis {i}", axis.name),
            );
        }
    }
    if !d.qd_offset.is_finite() {
        return wrong("qd_offset", format!("expected a finite number, got {}", d.qd_offset));
    }
    let init = match (d.init, d.bounds) {
        (Some(Start::Normal { mean, sd }), _) => Init::Normal {
            mean: narrow(mean),
            sd: narrow(sd),
        },
        (Some(Start::Uniform(interval)), _) | (None, Some(interval)) => {
            let [lower, upper] = inward(interval);
            Init::Uniform { lower, upper }
        }
        (None, None) => Init::Normal { mean: 0.0, sd: 1.0 },
    };
    let axes = d
        .descriptor
        .iter()
        .map(|a| Axis::new(&a.name, &a.unit, a.lower, a.upper));
    Ok(TaskSpec {
        bounds: d.bounds.map(inward),
        descriptor: axes.collect(),
        fitness: d.fitness,
        qd_offset: d.qd_offset,
        deterministic: d.deterministic,
        ..TaskSpec::new(d.name, d.dim, init)
    })
}

impl Start {
    fn interval(self) -> Option<[f64; 2]> {
        match self {
            Start::Uniform(interval) => Some(interval),
            Start::Normal { .. } => None,
        }
    }
}

/// Genes are single-precision numbers.
fn narrow(x: f64) -> f32 {
    x as f32
}

struct Outside(TaskSpec);

impl Task for Outside {
    fn spec(&self) -> &TaskSpec {
        &self.0
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(Nobody))
    }
}

/// Nothing here can evaluate: all rows fail.
struct Nobody;

impl Worker for Nobody {
    fn evaluate(&mut self, _request: &Request<'_>, _rows: std::ops::Range<usize>, scores: &mut Scores<'_>) {
        scores.status.fill(Status::Failed as u8);
    }
}
