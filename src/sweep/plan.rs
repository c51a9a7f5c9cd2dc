//! The plan of a sweep, `plan.toml`: its configurations, resolved, and its runs with their ids. It is never changed by hand and never renumbered;
//! extending it appends.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use illume_cluster::memory;
use illume_core::{Error, Memory, Result, Task};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use toml::{Table, Value};

use super::axis::Axis;
use super::spec::{Method, Metric, Resources, Retry, Spec, Variant};
use crate::engine::corrected;
use crate::engine::fronts::FrontColumns;
use crate::{Config, History, registry};

/// The value of the key `format`.
const FORMAT: &str = "illume sweep";
const VERSION: u64 = 1;

/// Runs that a plan may have.
const MOST_RUNS: usize = 1_000_000;

/// Everything that workers need to know, and all of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    format: String,
    format_version: u64,
    /// Version of the program that resolved the configurations.
    pub software_version: String,
    /// Hashes of what the plan was made of and extended by.
    inputs: Vec<String>,
    pub keep: String,
    pub seeds: Vec<u64>,
    pub method: Method,
    pub metric: Metric,
    pub resources: Resources,
    pub retry: Retry,
    pub configurations: Vec<Configuration>,
    pub runs: Vec<PlannedRun>,
}

/// One way to set the parameters, run with every seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Configuration {
    /// What sets it apart from the others.
    pub label: String,
    /// Name of the variant, "" for the only one.
    pub variant: String,
    /// Whether it is the base configuration as it stands.
    pub base: bool,
    /// Whether it is there only to be compared with a winner: it is in no rung.
    pub only_confirms: bool,
    /// Evaluations times steps times genes, by which runs are ordered until some are measured.
    pub size: f64,
    pub genome_dim: usize,
    pub cells: usize,
    /// The parameters that were set, `section.key` each.
    pub set: Table,
    /// All of it as TOML, seed and directory apart.
    pub text: String,
}

/// One configuration with one seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedRun {
    /// Hash of the resolved configuration with its seed, without `[output]`.
    pub id: String,
    /// Number of its configuration.
    pub configuration: usize,
    pub seed: u64,
}

impl Configuration {
    /// The configuration of one run.
    pub fn with_seed(&self, seed: u64) -> String {
        format!("seed = {seed}\n{}", self.text)
    }

    /// Of its run with a seed: configurations that differ in `[output]` alone are one.
    pub fn id(&self, seed: u64) -> String {
        let mut table: Table = self.text.parse().unwrap_or_default();
        table.remove("output");
        table.insert("seed".into(), Value::Integer(seed as i64));
        hash(&toml::to_string(&table).unwrap_or_default())[..12].into()
    }

    /// A whole number of its `[budget]`, 0 for no limit.
    pub fn budget(&self, key: &str) -> u64 {
        let table: Table = self.text.parse().unwrap_or_default();
        let budget = table.get("budget").and_then(|b| b.get(key)?.as_integer());
        budget.map_or(0, |n| n as u64)
    }

    /// Its budget of evaluations, 0 for none.
    pub fn evaluations(&self) -> u64 {
        self.budget("evaluations")
    }
}

/// SHA-256 in hexadecimal digits.
fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect()
}

/// What a configuration of the plan is made of: a variant with values of the axes.
struct Point<'a> {
    variant: &'a Variant,
    settings: Vec<(String, Value)>,
}

impl Plan {
    /// Resolves every configuration, so that what is wrong with any is said before the first run.
    ///
    /// # Errors
    /// A configuration that no run could be started with, equal ones, an unknown metric; the sentence names the sweep's file and the configuration.
    pub fn new(spec: &Spec) -> Result<Plan> {
        let points = points(spec)?;
        let mut maker = Maker::new(spec);
        let mut configurations: Vec<Configuration> = Vec::with_capacity(points.len());
        let drawn = spec.method.kind == "random" || spec.method.runs > 0;
        let mut seen: HashMap<String, usize> = HashMap::new();
        for point in &points {
            let made = maker.configuration(point)?;
            let id = made.id(0);
            match seen.get(&id) {
                // What is drawn twice is run once.
                Some(_) if drawn => continue,
                Some(&first) => {
                    return Err(Error::input(format!(
                        "{}: the configurations \"{}\" and \"{}\" are equal: expected configurations that differ in more than their name and [output]",
                        spec.file, configurations[first].label, made.label
                    )));
                }
                None => seen.insert(id, configurations.len()),
            };
            configurations.push(made);
        }
        if spec.method.kind == "halving" && spec.method.confirm > 0 {
            let base = maker.configuration(&Point {
                variant: &spec.variants[0],
                settings: Vec::new(),
            })?;
            match seen.get(&base.id(0)) {
                Some(&number) => configurations[number].base = true,
                None => configurations.push(Configuration {
                    label: "base".into(),
                    base: true,
                    only_confirms: true,
                    ..base
                }),
            }
        }
        let mut plan = Plan {
            format: FORMAT.into(),
            format_version: VERSION,
            software_version: env!("CARGO_PKG_VERSION").into(),
            inputs: vec![inputs(spec)],
            keep: spec.keep.clone(),
            seeds: spec.seeds.clone(),
            method: spec.method.clone(),
            metric: spec.metric.clone(),
            resources: spec.resources.clone(),
            retry: spec.retry.clone(),
            configurations,
            runs: Vec::new(),
        };
        if plan.metric.name.is_empty() {
            plan.metric.name = maker.default_metric().into();
        }
        plan.add_runs(0..plan.configurations.len(), &spec.seeds)?;
        Ok(plan)
    }

    /// Adds the runs of these configurations with these seeds that are not there yet.
    fn add_runs(&mut self, configurations: impl Iterator<Item = usize>, seeds: &[u64]) -> Result<usize> {
        let known: HashSet<&str> = self.runs.iter().map(|run| run.id.as_str()).collect();
        let mut added = Vec::new();
        for number in configurations {
            let configuration = &self.configurations[number];
            if configuration.only_confirms {
                continue;
            }
            for &seed in seeds {
                let id = configuration.id(seed);
                if !known.contains(id.as_str()) {
                    added.push(PlannedRun {
                        id,
                        configuration: number,
                        seed,
                    });
                }
            }
        }
        if self.runs.len() + added.len() > MOST_RUNS {
            return Err(Error::input(format!(
                "the sweep would have {} runs, expected at most {MOST_RUNS}",
                self.runs.len() + added.len()
            )));
        }
        let count = added.len();
        self.runs.extend(added);
        Ok(count)
    }

    /// Adds seeds, and the configurations of another file of the same sweep; returns how many runs came to it.
    ///
    /// # Errors
    /// As [`Plan::new`]; another metric or method than the plan's.
    pub fn extend(&mut self, seeds: Option<usize>, spec: Option<&Spec>) -> Result<usize> {
        if let Some(spec) = spec {
            let other = Plan::new(spec)?;
            for (what, same) in [
                ("[metric]", other.metric == self.metric),
                ("[method]", other.method.kind == self.method.kind),
            ] {
                if !same {
                    return Err(Error::input(format!(
                        "{}: {what} is not that of the sweep: an extension adds configurations and seeds, and its runs are compared with those that are there",
                        spec.file
                    )));
                }
            }
            let known: HashSet<String> = self.configurations.iter().map(|c| c.id(0)).collect();
            let others = other.configurations.into_iter();
            self.configurations.extend(others.filter(|c| !known.contains(&c.id(0))));
            self.inputs.extend(other.inputs);
            let more = other.seeds.into_iter().filter(|seed| !self.seeds.contains(seed));
            let more: Vec<u64> = more.collect();
            self.seeds.extend(more);
        }
        let more = (1..=seeds.unwrap_or(0) as u64).filter(|seed| !self.seeds.contains(seed));
        let more: Vec<u64> = more.collect();
        self.seeds.extend(more);
        let seeds = self.seeds.clone();
        self.add_runs(0..self.configurations.len(), &seeds)
    }

    /// Whether it was made of this.
    pub fn is_of(&self, spec: &Spec) -> bool {
        self.inputs.contains(&inputs(spec))
    }

    /// The run with this id or the unique beginning of one.
    ///
    /// # Errors
    /// None, or several.
    pub fn find(&self, id: &str) -> Result<usize> {
        let mut found = self.runs.iter().enumerate().filter(|(_, run)| run.id.starts_with(id));
        if id.is_empty() {
            return Err(Error::input(
                "--only: expected an id or the beginning of one; `illume sweep list` shows them",
            ));
        }
        match (found.next(), found.next()) {
            (Some((number, _)), None) => Ok(number),
            (Some(_), Some(_)) => Err(Error::input(format!(
                "--only {id}: several runs begin so; `illume sweep list` shows their ids"
            ))),
            _ => Err(Error::input(format!(
                "--only {id}: the sweep has no such run; `illume sweep list` shows their ids"
            ))),
        }
    }

    /// As the file has it: the first line is a hash of the others.
    pub fn to_text(&self) -> Result<String> {
        let text = toml::to_string(self).map_err(|e| Error::failed(format!("the plan cannot be written: {e}")))?;
        Ok(format!(
            "checksum = \"{}\"     # written by illume; not for editing: `illume sweep extend` adds to it\n{text}",
            hash(&text)
        ))
    }

    /// # Errors
    /// No sweep, another format, or a plan that was edited.
    pub fn read(path: &Path) -> Result<Plan> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|e| Error::input(format!("cannot read {shown}: {e}; expected the folder of a sweep")))?;
        let foreign = || {
            Error::input(format!(
                "{shown} is no plan of a sweep: expected one that `illume sweep run` wrote"
            ))
        };
        let (first, rest) = text.split_once('\n').ok_or_else(foreign)?;
        let checksum = first
            .strip_prefix("checksum = \"")
            .and_then(|l| l.split('"').next())
            .ok_or_else(foreign)?;
        if checksum != hash(rest) {
            return Err(Error::input(format!(
                "{shown} was changed since illume wrote it, and its runs may not be what it says: undo the change, add to the sweep by `illume sweep extend`, or begin another sweep"
            )));
        }
        let plan: Plan = toml::from_str(rest).map_err(|_| {
            Error::input(format!(
                "{shown} is of another version of illume than this one, {}",
                env!("CARGO_PKG_VERSION")
            ))
        })?;
        if plan.format != FORMAT || plan.format_version > VERSION {
            return Err(foreign());
        }
        Ok(plan)
    }
}

/// Hash of all that a sweep was asked for, wherever its files are.
fn inputs(spec: &Spec) -> String {
    let mut spec = spec.clone();
    spec.file.clear();
    spec.variants.iter_mut().for_each(|variant| variant.base.file.clear());
    hash(&format!("{spec:?}"))
}

/// Every combination of values, or the draws, for each variant.
fn points(spec: &Spec) -> Result<Vec<Point<'_>>> {
    let random = spec.method.runs > 0;
    let many = if random {
        spec.method.runs as f64
    } else {
        spec.axes.iter().map(|axis| axis.listed().len() as f64).product()
    };
    let runs = many * (spec.variants.len() * spec.seeds.len()) as f64;
    if runs > MOST_RUNS as f64 {
        return Err(Error::input(format!(
            "{}: the sweep would have {runs} runs, expected at most {MOST_RUNS}: leave out values, or set method.kind = \"random\" and method.runs",
            spec.file
        )));
    }
    let mut settings: Vec<Vec<(String, Value)>> = Vec::new();
    if random {
        for index in 0..spec.method.runs as u64 {
            let draw = |axis: &Axis| (axis.key.clone(), axis.draw(spec.method.seed, index));
            settings.push(spec.axes.iter().map(draw).collect());
        }
    } else {
        settings.push(Vec::new());
        for axis in &spec.axes {
            let longer = settings.iter().flat_map(|before| {
                let one = |value: &Value| [before.clone(), vec![(axis.key.clone(), value.clone())]].concat();
                axis.listed().iter().map(one)
            });
            settings = longer.collect();
        }
    }
    let of_variant = |variant| {
        let point = move |settings: &Vec<(String, Value)>| Point {
            variant,
            settings: settings.clone(),
        };
        settings.iter().map(point)
    };
    Ok(spec.variants.iter().flat_map(of_variant).collect())
}

/// Makes configurations, building each task once.
struct Maker<'a> {
    spec: &'a Spec,
    tasks: HashMap<String, Box<dyn Task>>,
    /// Whether all archives so far have cells.
    cells: bool,
}

impl<'a> Maker<'a> {
    fn new(spec: &'a Spec) -> Maker<'a> {
        Maker {
            spec,
            tasks: HashMap::new(),
            cells: true,
        }
    }

    fn default_metric(&self) -> &'static str {
        if self.cells { "qd_score" } else { "max_fitness" }
    }

    fn configuration(&mut self, point: &Point<'_>) -> Result<Configuration> {
        let label = self.label(point);
        let place = |e: Error| {
            let text = e.to_string();
            let lines: Vec<String> = text
                .lines()
                // What is wrong with a value of the sweep's is said as that of an override.
                .map(|l| {
                    format!(
                        "{}: \"{label}\": {}",
                        self.spec.file,
                        l.strip_prefix("--set ").unwrap_or(l)
                    )
                })
                .collect();
            match e {
                Error::Failed(_) => Error::failed(lines.join("\n")),
                _ => Error::input(lines.join("\n")),
            }
        };
        let base = &point.variant.base;
        let set: Vec<(String, Value)> = [&point.variant.set[..], &point.settings[..]].concat();
        let whole = point.variant.replace.iter();
        let whole = whole.map(|(section, table)| format!("{section}={}", Value::Table(table.clone())));
        let keys = set.iter().map(|(key, value)| format!("{key}={value}"));
        let mut overrides: Vec<String> = whole.chain(keys).collect();
        overrides.push(format!("seed={}", self.spec.seeds.first().copied().unwrap_or(1)));
        let config = Config::parse(&base.text, &base.file, &overrides).map_err(place)?;
        let of_task = format!("{:?}{:?}", config.task, config.policy);
        if !self.tasks.contains_key(&of_task) {
            // Sweeps are planned on machines without the GPUs that their runs will have.
            let (task, _) = registry::task_here(&config, true).map_err(place)?;
            self.tasks.insert(of_task.clone(), task);
        }
        let task = self.tasks[&of_task].spec();
        // They are made here, so they have to fit in here.
        let memory = Memory::alone(memory::available(1));
        let (strategy, archive) = crate::engine::run::parts(&config, task, &memory).map_err(place)?;
        self.check_rungs(config.budget.evaluations, strategy.spec().first_generation as u64)
            .map_err(place)?;
        self.cells &= archive.spec().has_cells();
        let own = [
            corrected::columns(&config.output),
            FrontColumns::of(task, archive.spec()).described(),
            strategy.spec().history.clone(),
        ]
        .concat();
        let columns = History::new(&task.measures, &own, 2);
        let metric = &self.spec.metric;
        let mut known: Vec<&str> = columns.names().collect();
        if metric.evaluate > 0 {
            known.extend(super::result::evaluated());
        }
        known.retain(|name| !super::result::is_timing(name));
        if !metric.name.is_empty() && !known.contains(&metric.name.as_str()) {
            let suggestion = illume_core::params::suggest(&metric.name, &known);
            return Err(Error::input(format!(
                "{}: metric.name: \"{label}\" has no \"{}\"{suggestion}",
                self.spec.file, metric.name
            )));
        }
        let resolved = config
            .resolved(&registry::parameters(&config, task).map_err(place)?)
            .map_err(place)?;
        let mut table: Table = resolved.parse().map_err(|e| Error::failed(format!("{e}")))?;
        table.remove("seed");
        if let Some(Value::Table(output)) = table.get_mut("output") {
            output.remove("dir");
            output.insert("evaluate".into(), Value::Integer(metric.evaluate as i64));
        }
        let evaluations = match config.budget.evaluations {
            0 => config.budget.generations.max(1) * strategy.spec().first_generation.max(1) as u64,
            n => n,
        };
        Ok(Configuration {
            label,
            variant: point.variant.name.clone(),
            base: false,
            only_confirms: false,
            size: evaluations as f64 * f64::from(task.max_steps.max(1)) * task.genome_dim as f64,
            genome_dim: task.genome_dim,
            cells: archive.spec().capacity,
            set: point.variant.replaced().chain(set).collect(),
            text: toml::to_string(&table).map_err(|e| Error::failed(format!("{e}")))?,
        })
    }

    /// That the first rung's budget holds a generation.
    fn check_rungs(&self, evaluations: u64, first_generation: u64) -> Result<()> {
        let m = &self.spec.method;
        let first = m.rung_budget(evaluations, 0);
        if m.kind != "halving" || first >= first_generation.max(1) && evaluations > 0 {
            return Ok(());
        }
        Err(Error::input(format!(
            "budget.evaluations: {} rungs, each of {} times the budget before, leave {first} of {evaluations} evaluations for the first, and a generation takes {first_generation}: \
             expected a larger budget, or fewer rungs (method.rungs)",
            m.rungs, m.eta
        )))
    }

    /// The variant and the values of what is swept, by the last part of their keys where that is enough.
    fn label(&self, point: &Point<'_>) -> String {
        let axes = &self.spec.axes;
        let short = |key: &str| {
            let name = key.rsplit('.').next().unwrap_or(key).to_string();
            let alone = axes.iter().filter(|a| a.key.ends_with(&format!(".{name}"))).count() <= 1;
            if alone && name != "name" { name } else { key.to_string() }
        };
        let swept = |key: &String| {
            axes.iter()
                .any(|a| a.key == *key && (a.drawn() || a.listed().len() > 1))
        };
        let values = point.settings.iter().filter(|(key, _)| swept(key));
        let values = values.map(|(key, value)| {
            format!(
                "{}={}",
                short(key),
                value.as_str().map_or_else(|| value.to_string(), String::from)
            )
        });
        let name = Some(point.variant.name.clone()).filter(|name| !name.is_empty());
        let parts: Vec<String> = name.into_iter().chain(values).collect();
        if parts.is_empty() {
            "base".into()
        } else {
            parts.join(" ")
        }
    }
}
