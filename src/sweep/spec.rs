//! What a sweep is to do, as its file or the command line says it: a base configuration, parameters, variants, seeds, and how runs are run.

use std::path::{Path, PathBuf};

use illume_core::params::{self, Params as _};
use illume_core::{Error, Problem, Result};
use toml::{Table, Value};

use super::axis::Axis;
use super::duration;
use crate::engine::config::Source;

illume_core::params! {
    /// `[method]`: how parameters become configurations, and which of them are run to their end.
    pub struct Method {
        /// Every combination of values, so many draws, or every combination (or draw) of which fewer and fewer go on.
        kind: String = "grid".into(), one_of(&["grid", "random", "halving"]);
        /// Configurations that are drawn, for "random"; with "halving" 0 stands for all combinations.
        runs: usize = 0, range(0, 1_000_000);
        /// Keys the draws.
        seed: u64 = 1, range(0, i64::MAX as u64);
        /// For "halving": one in so many goes on to the next rung, whose budget is so many times as large.
        eta: usize = 3, range(2, 1000);
        /// For "halving": rungs, of which the last has the configuration's own budget of evaluations.
        rungs: usize = 3, range(1, 20);
        /// For "halving": fresh seeds for the winner and the base configuration at the end, which alone enter the tests.
        confirm: usize = 0, range(0, 10_000);
    }
}

impl Method {
    /// The budget of a rung, from 0, of runs that have so many evaluations in the end.
    pub fn rung_budget(&self, evaluations: u64, rung: usize) -> u64 {
        let divisor = (self.eta as u64).saturating_pow((self.rungs - 1 - rung) as u32);
        evaluations.div_ceil(divisor)
    }
}

illume_core::params! {
    /// `[metric]`: what runs are compared by.
    pub struct Metric {
        /// A column of the history, or, with `evaluate`, of the evaluation; "" for qd_score, or max_fitness of an archive without cells.
        name: String = String::new(), any();
        /// Which end is better.
        goal: String = "maximize".into(), one_of(&["maximize", "minimize"]);
        /// Fresh episodes of each elite at the end of a run, 0 for none: expected and corrected scores.
        evaluate: usize = 0, range(0, 1_000_000);
    }
}

illume_core::params! {
    /// `[resources]`: what a run gets.
    pub struct Resources {
        /// Threads of each rank of a run; 0 for all cores of the worker.
        threads_per_run: usize = 0, range(0, 65_536);
        /// MPI ranks of a run.
        ranks_per_run: usize = 1, range(1, 1_000_000);
        /// What starts the ranks of a run of several: mpirun on the worker's node, or srun, as a step of the allocation.
        launch: String = "mpirun".into(), one_of(&["mpirun", "srun"]);
        /// Time after which a run counts as crashed, such as "2h", "90m" or "1:30:00"; "" for no limit.
        time_per_run: String = String::new(), any();
        /// GPUs of a run, taken in turn from those that the worker may use; 0 leaves them alone.
        gpus_per_run: usize = 0, range(0, 64);
    }
}

impl Resources {
    /// Whether runs are steps of a Slurm job, on any of its nodes.
    pub fn are_steps(&self) -> bool {
        self.launch == "srun" && self.ranks_per_run > 1
    }
}

impl Resources {
    /// Threads of each rank of a run on a worker with so many cores.
    pub fn threads(&self, cores: usize) -> usize {
        match self.threads_per_run {
            0 => cores,
            n => n,
        }
    }
}

illume_core::params! {
    /// `[retry]`.
    pub struct Retry {
        /// Attempts after which a run that crashed is given up; an interrupted one is not counted.
        attempts: usize = 3, range(1, 1000);
        /// Workers that may vanish with a run (killed, a node lost) before it is given up.
        lost: usize = 10, range(1, 1_000_000);
    }
}

illume_core::params! {
    /// The top level of a sweep's file; `base`, `seeds`, `[parameters]` and `[[variants]]` beside it.
    pub struct Top {
        /// What is kept of each finished run beside its row: nothing, its archive, or its whole directory.
        keep: String = "archive".into(), one_of(&["metrics", "archive", "all"]);
    }
}

/// The base configuration: its text, and what messages call it.
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    pub file: String,
    pub text: String,
}

/// A whole alternative, crossed with the parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Empty for the only one.
    pub name: String,
    pub base: Base,
    /// Whole sections in place of the base's.
    pub replace: Vec<(String, Table)>,
    pub set: Vec<(String, Value)>,
}

impl Variant {
    /// The keys of the sections that it replaces.
    pub fn replaced(&self) -> impl Iterator<Item = (String, Value)> {
        let of = |(section, table): &(String, Table)| flattened(table.clone(), section);
        self.replace.iter().flat_map(of)
    }
}

/// A sweep as asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    pub file: String,
    pub variants: Vec<Variant>,
    pub axes: Vec<Axis>,
    pub seeds: Vec<u64>,
    pub keep: String,
    pub method: Method,
    pub metric: Metric,
    pub resources: Resources,
    pub retry: Retry,
}

/// Keys of a sweep's file beside those of [`Top`].
const KEYS: [&str; 8] = [
    "base",
    "seeds",
    "parameters",
    "variants",
    "method",
    "metric",
    "resources",
    "retry",
];

impl Spec {
    /// Reads a sweep's file, or makes a sweep of a run's configuration and `overrides` such as `strategy.iso_sigma=0.01,0.1`.
    ///
    /// # Errors
    /// Every problem with its file and line.
    pub fn read(path: &Path, overrides: &[String], seeds: Option<usize>) -> Result<Spec> {
        let file = path.display().to_string();
        let (text, table) = read(path)?;
        let mut spec = if is_run(&table) {
            Spec::of_run(Base { file, text })
        } else {
            let source = Source::new(&file, &text);
            parse(table, path).map_err(|e| match e {
                Error::Config(problems) => source.locate(&problems),
                other => other,
            })?
        };
        for text in overrides {
            let axis = Axis::from_override(text)?;
            spec.axes.retain(|known| known.key != axis.key);
            spec.axes.push(axis);
        }
        if let Some(n) = seeds {
            spec.seeds = (1..=n as u64).collect();
        }
        spec.check()?;
        Ok(spec)
    }

    /// Whether a file is the configuration of a run.
    ///
    /// # Errors
    /// It cannot be read, or is no TOML.
    pub fn is_run(path: &Path) -> Result<bool> {
        Ok(is_run(&read(path)?.1))
    }

    fn of_run(base: Base) -> Spec {
        Spec {
            file: base.file.clone(),
            variants: vec![Variant {
                name: String::new(),
                base,
                replace: Vec::new(),
                set: Vec::new(),
            }],
            axes: Vec::new(),
            seeds: vec![1],
            keep: Top::default().keep,
            method: Method::default(),
            metric: Metric::default(),
            resources: Resources::default(),
            retry: Retry::default(),
        }
    }

    /// What no single key shows.
    fn check(&self) -> Result<()> {
        let random = self.method.kind == "random" || self.method.kind == "halving" && self.method.runs > 0;
        if !random && let Some(axis) = self.axes.iter().find(|axis| axis.drawn()) {
            return Err(Error::input(format!(
                "{}: parameters.{}: a distribution is drawn from, which method \"random\" does, while \"{}\" tries listed values: give a list, or set method.kind and method.runs",
                self.file, axis.key, self.method.kind
            )));
        }
        if self.method.kind == "random" && self.method.runs == 0 {
            return Err(Error::input(format!(
                "{}: method.runs: expected how many configurations method \"random\" draws, at least 1",
                self.file
            )));
        }
        if self.method.kind == "halving" && self.axes.iter().any(|axis| axis.key == "budget.evaluations") {
            return Err(Error::input(format!(
                "{}: parameters.budget.evaluations: method \"halving\" gives the budgets itself, up to the base's: leave it out",
                self.file
            )));
        }
        let evaluated = ["corrected_", "expected_", "reproduced"];
        let name = &self.metric.name;
        if self.metric.evaluate == 0 && evaluated.iter().any(|start| name.starts_with(start)) {
            return Err(Error::input(format!(
                "{}: metric.name: {name} comes from fresh episodes of each elite: set metric.evaluate to how many, such as 10",
                self.file
            )));
        }
        if self.method.kind == "halving" && self.metric.evaluate > 0 {
            return Err(Error::input(format!(
                "{}: metric.evaluate: method \"halving\" compares rungs by a column of the history; leave it out and evaluate the winner with `illume eval`",
                self.file
            )));
        }
        duration::parse(&self.resources.time_per_run)
            .map_err(|e| Error::input(format!("{}: resources.time_per_run: {e}", self.file)))?;
        Ok(())
    }
}

/// The text of a file and what is in it.
fn read(path: &Path) -> Result<(String, Table)> {
    let file = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|e| Error::input(format!("cannot read the sweep {file}: {e}; expected a sweep's file, a run's configuration, or the folder of a sweep")))?;
    let table = text
        .parse()
        .map_err(|e: toml::de::Error| crate::engine::config::syntax(&file, &text, &e))?;
    Ok((text, table))
}

/// A run's configuration names a task; a sweep's file has it in its base.
fn is_run(table: &Table) -> bool {
    table.contains_key("task") || table.contains_key("strategy")
}

fn problem(section: &str, key: &str, message: impl Into<String>) -> Problem {
    Problem {
        section: section.into(),
        key: key.into(),
        message: message.into(),
    }
}

/// Takes a section of parameters out of the file's table.
fn section<P: params::Params>(table: &mut Table, name: &str, problems: &mut Vec<Problem>) -> P {
    let read = match table.remove(name) {
        None => return P::default(),
        Some(Value::Table(section)) => params::read(&section, name, &[]),
        Some(other) => Err(Error::config(
            "",
            name,
            format!("expected a table [{name}], got {other}"),
        )),
    };
    read.unwrap_or_else(|e| {
        if let Error::Config(found) = e {
            problems.extend(found);
        }
        P::default()
    })
}

fn parse(mut table: Table, path: &Path) -> Result<Spec> {
    let mut problems = Vec::new();
    let top = Top::take(&mut table, "", &mut problems);
    let method = section(&mut table, "method", &mut problems);
    let metric = section(&mut table, "metric", &mut problems);
    let resources = section(&mut table, "resources", &mut problems);
    let retry = section(&mut table, "retry", &mut problems);
    let seeds = match table.remove("seeds") {
        None => vec![1],
        Some(value) => read_seeds(&value).unwrap_or_else(|message| {
            problems.push(problem("", "seeds", message));
            Vec::new()
        }),
    };
    let axes = match table.remove("parameters") {
        None => Vec::new(),
        Some(Value::Table(section)) => keys(section, "parameters", &mut problems)
            .into_iter()
            .filter_map(|(key, value)| match Axis::from_toml(&key, &value) {
                Ok(axis) => Some(axis),
                Err(message) => {
                    problems.push(problem("parameters", &key, message));
                    None
                }
            })
            .collect(),
        Some(other) => {
            problems.push(problem(
                "",
                "parameters",
                format!("expected a table [parameters], got {other}"),
            ));
            Vec::new()
        }
    };
    let base = match table.remove("base") {
        None => None,
        Some(value) => Some(read_base(value, path)?),
    };
    let variants = read_variants(table.remove("variants"), base, path, &mut problems)?;
    let mut known = Top::names();
    known.extend(KEYS);
    problems.extend(table.keys().map(|key| params::unknown_key("", key, &known)));
    if !problems.is_empty() {
        return Err(Error::Config(problems));
    }
    Ok(Spec {
        file: path.display().to_string(),
        variants,
        axes,
        seeds,
        keep: top.keep,
        method,
        metric,
        resources,
        retry,
    })
}

/// A number n stands for 1 to n.
fn read_seeds(value: &Value) -> std::result::Result<Vec<u64>, String> {
    let wrong = || {
        format!("expected how many seeds, from 1 to 1000000, or a list of seeds that are all different, got {value}")
    };
    match value {
        Value::Integer(n @ 1..=1_000_000) => Ok((1..=*n as u64).collect()),
        Value::Array(list) if !list.is_empty() => {
            let seeds: Option<Vec<u64>> = list.iter().map(|v| u64::try_from(v.as_integer()?).ok()).collect();
            let seeds = seeds.ok_or_else(wrong)?;
            let mut sorted = seeds.clone();
            sorted.sort_unstable();
            sorted.dedup();
            if sorted.len() == seeds.len() {
                Ok(seeds)
            } else {
                Err(wrong())
            }
        }
        _ => Err(wrong()),
    }
}

/// A table whose keys are `section.key`, or `section.table.key`, quoted or not, flattened.
fn keys(table: Table, place: &str, problems: &mut Vec<Problem>) -> Vec<(String, Value)> {
    let mut found = flattened(table, "");
    found.retain(|(key, _)| match refused_key(key) {
        Some(message) => {
            problems.push(problem(place, key, message));
            false
        }
        None => true,
    });
    found
}

/// The values of a table and of the tables within it, by their keys from `above` on. Sections are tables, and so is what the section of a task holds for its program.
fn flattened(table: Table, above: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (name, value) in table {
        let key = if above.is_empty() {
            name
        } else {
            format!("{above}.{name}")
        };
        match value {
            Value::Table(inner)
                if key != "seed"
                    && (!key.contains('.') || key.split('.').nth(1) == Some("arguments") && !is_axis(&inner)) =>
            {
                found.extend(flattened(inner, &key));
            }
            value => found.push((key, value)),
        }
    }
    found
}

/// Whether a table says which values a parameter has.
fn is_axis(table: &Table) -> bool {
    ["values", "min", "max", "mean", "sd", "distribution"]
        .iter()
        .any(|word| table.contains_key(*word))
}

/// Why a key of a configuration cannot be swept.
pub(super) fn refused_key(key: &str) -> Option<&'static str> {
    match key {
        "seed" => Some("every configuration is run with the same seeds, which `seeds` names: leave it out here"),
        "output.dir" => Some("the sweep says where its runs are: leave it out"),
        key if key.split('.').count() < 2 || key.split('.').any(str::is_empty) => {
            Some("expected a key of a configuration, such as strategy.iso_sigma")
        }
        _ => None,
    }
}

fn read_base(value: Value, path: &Path) -> Result<Base> {
    let file = path.display().to_string();
    match value {
        Value::String(name) => {
            let base: PathBuf = path.parent().unwrap_or(Path::new("")).join(&name);
            let shown = base.display().to_string();
            let text = std::fs::read_to_string(&base).map_err(|e| {
                Error::input(format!("{file}: base: cannot read {shown}: {e}; expected a run's configuration, its path seen from the sweep's file"))
            })?;
            Ok(Base { file: shown, text })
        }
        Value::Table(table) => {
            let text = toml::to_string(&table).map_err(|e| Error::failed(format!("{file}: base: {e}")))?;
            Ok(Base {
                file: format!("{file} (base)"),
                text,
            })
        }
        other => Err(Error::config(
            "",
            "base",
            format!("expected the path of a run's configuration, or tables such as [base.task], got {other}"),
        )),
    }
}

fn read_variants(
    given: Option<Value>,
    base: Option<Base>,
    path: &Path,
    problems: &mut Vec<Problem>,
) -> Result<Vec<Variant>> {
    let no_base = "expected the path of a run's configuration, or tables such as [base.task]";
    let Some(given) = given else {
        let Some(base) = base else {
            problems.push(problem("", "base", no_base));
            return Ok(Vec::new());
        };
        return Ok(vec![Variant {
            name: String::new(),
            base,
            replace: Vec::new(),
            set: Vec::new(),
        }]);
    };
    let Value::Array(list) = given else {
        problems.push(problem(
            "",
            "variants",
            format!("expected tables [[variants]], got {given}"),
        ));
        return Ok(Vec::new());
    };
    let mut variants: Vec<Variant> = Vec::new();
    for (i, entry) in list.into_iter().enumerate() {
        let Value::Table(mut entry) = entry else {
            problems.push(problem(
                "",
                "variants",
                format!("expected a table [[variants]], got {entry}"),
            ));
            continue;
        };
        let name = match entry.remove("name") {
            Some(Value::String(name)) if is_name(&name) && variants.iter().all(|v| v.name != name) => name,
            other => {
                let got = other.map_or("none".into(), |v| v.to_string());
                let message = format!(
                    "expected a name of letters, digits, '_', '-' and '.' that no other variant has, got {got}"
                );
                problems.push(problem(&format!("variants[{i}]"), "name", message));
                continue;
            }
        };
        let own = entry.remove("base").map(|value| read_base(value, path)).transpose()?;
        let place = format!("variants[{name}]");
        let mut table = |key: &str| match entry.remove(key) {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => {
                problems.push(problem(&place, key, format!("expected a table, got {other}")));
                Table::new()
            }
        };
        let (sections, set) = (table("replace"), table("set"));
        let set = keys(set, &format!("{place}.set"), problems);
        let mut replace = Vec::new();
        for (section, value) in sections {
            match value {
                Value::Table(table) => {
                    // What a key may not say a section may not either.
                    let alone = Table::from_iter([(section.clone(), Value::Table(table.clone()))]);
                    keys(alone, &format!("{place}.replace"), problems);
                    replace.push((section, table));
                }
                other => problems.push(problem(
                    &format!("{place}.replace"),
                    &section,
                    format!("expected a whole section, such as {{ kind = \"cvt\", cells = 1024 }}, got {other}"),
                )),
            }
        }
        problems.extend(
            entry
                .keys()
                .map(|key| params::unknown_key(&place, key, &["name", "base", "replace", "set"])),
        );
        match own.or_else(|| base.clone()) {
            Some(base) => variants.push(Variant {
                name,
                base,
                replace,
                set,
            }),
            None => problems.push(problem("", "base", no_base)),
        }
    }
    Ok(variants)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c))
}
