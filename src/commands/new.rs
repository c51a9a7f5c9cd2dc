//! `illume new`: a commented configuration for a task and a strategy, which runs as it stands.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use illume_cluster::memory;
use illume_core::params::{ParamInfo, Params};
use illume_core::{Error, Memory, Result, StrategyEntry, TaskEntry, TaskSpec};
use toml::{Table, Value};

use super::launch::alone;
use crate::StartParams;
use crate::engine::config::{Budget, General, Output};
use crate::engine::run::parts;
use crate::{Config, registry};

/// Print a commented configuration for a task and a strategy, which runs as it stands: every key with its meaning
#[derive(clap::Args)]
pub struct NewArgs {
    /// Name of a task; `illume list tasks` shows them
    task: String,
    /// Name of a strategy; `illume list strategies` shows them
    strategy: String,
    /// File to write it to, which must not exist, instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

impl NewArgs {
    pub fn run(&self) -> u8 {
        alone(|| {
            let text = configuration(&self.task, &self.strategy, |config, spec| {
                parts(config, spec, &Memory::alone(memory::available(1))).map(drop)
            })?;
            match &self.out {
                None => Ok(text),
                Some(path) => write_new(path, &text).map(|()| format!("wrote {}\n", path.display())),
            }
        })
    }
}

/// What a problem of the names is said to be in.
const FILE: &str = "new configuration";
/// Columns of a comment.
const WIDTH: usize = 120;
/// The archive's first threshold, which strategies that live on thresholds have at the lowest fitness that counts.
const THRESHOLD: &str = "threshold_min";

/// The text for a task and a strategy, once `check` accepts what it configures.
///
/// # Errors
/// An unknown name, or what a run of this task and strategy would be refused for.
fn configuration(task: &str, strategy: &str, check: impl Fn(&Config, &TaskSpec) -> Result<()>) -> Result<String> {
    let known = illume_strategies::registry().iter().find(|e| e.name == strategy);
    let mut values = match (illume_envs::find(task), known) {
        (Ok(task), Some(strategy)) => suggested(task, strategy)?,
        _ => Table::new(),
    };
    for (section, name) in [("task", task), ("strategy", strategy)] {
        table(&mut values, section).insert("name".into(), name.into());
    }
    let config = |values: &Table| Ok::<_, Error>(Config::parse(&values.to_string(), FILE, &[])?.without_lines());
    let first = config(&values)?;
    let entry = illume_envs::find(task);
    // What has its cases in files, or is a program, is not built: they may be made later.
    let spec = match &entry {
        Ok(entry) if entry.cases => registry::stand_in(task),
        Ok(TaskEntry {
            sketch: Some(sketch), ..
        }) => sketch(),
        _ => registry::task(&first)?.spec().clone(),
    };
    if known.is_some_and(|s| s.thresholds) {
        table(&mut values, "archive").insert(THRESHOLD.into(), (-spec.qd_offset + 0.0).into());
    }
    let config = config(&values)?;
    check(&config, &spec)?;
    let sections = registry::parameters(&config, &spec)?;
    let summaries = [
        ("task", entry.map_or("", |e| e.summary)),
        ("strategy", known.map_or("", |s| s.summary)),
    ];
    Ok(commented(&values, &sections, &summaries))
}

/// What a new configuration says beside the defaults: the task's suggestions, then the strategy's, then steps on the scale of the task's genes.
fn suggested(task: &TaskEntry, strategy: &StrategyEntry) -> Result<Table> {
    let parsed = |text: &str| {
        text.parse::<Table>()
            .map_err(|e| Error::failed(format!("a suggestion is no TOML: {e}")))
    };
    let mut values = parsed(task.suggested)?;
    if strategy.novelty || strategy.learns {
        values.remove("archive");
    }
    // What a strategy suggests of tasks is for those that know the key, and where it is one of several words the word.
    let knows = |infos: Vec<ParamInfo>, key: &str, value: &Value| {
        let takes = |info: &ParamInfo| !info.accepts.contains("one of ") || info.accepts.contains(&value.to_string());
        infos.iter().any(|info| info.name == key && takes(info))
    };
    let has = |section: &str, key: &str, value: &Value| match section {
        "task" => knows((task.params)(), key, value),
        "policy" => task.policy.is_some_and(|policy| knows(policy(), key, value)),
        _ => true,
    };
    for mut given in [std::mem::take(&mut values), parsed(strategy.suggested)?] {
        for (section, keys) in given.iter_mut().filter_map(|(s, v)| Some((s, v.as_table_mut()?))) {
            let keys = std::mem::take(keys)
                .into_iter()
                .filter(|(key, value)| has(section, key, value));
            let keys: Table = keys.collect();
            if !keys.is_empty() {
                table(&mut values, section).extend(keys);
            }
        }
    }
    if !values.contains_key("budget") {
        table(&mut values, "budget").insert("evaluations".into(), 1_000_000.into());
    }
    let own = table(&mut values, "strategy");
    set_steps(own, &(strategy.params)(), task, strategy);
    let nested = strategy.nested.map_or_else(Vec::new, |nested| nested(own));
    if let Some(Value::Array(emitters)) = own.get_mut("emitters") {
        for (emitter, (_, infos)) in emitters.iter_mut().filter_map(Value::as_table_mut).zip(&nested) {
            set_steps(emitter, infos, task, strategy);
        }
    }
    Ok(values)
}

/// Sets those parameters of a table that are steps of genes.
fn set_steps(table: &mut Table, infos: &[ParamInfo], task: &TaskEntry, strategy: &StrategyEntry) {
    for (key, share) in strategy
        .steps
        .iter()
        .filter(|(key, _)| infos.iter().any(|p| p.name == *key))
    {
        // Two digits say it, without what binary fractions add.
        let step: f64 = format!("{:.1e}", share * task.gene_scale)
            .parse()
            .unwrap_or(task.gene_scale);
        table.entry(*key).or_insert(step.into());
    }
}

fn table<'t>(values: &'t mut Table, section: &str) -> &'t mut Table {
    let entry = values.entry(section).or_insert_with(|| Value::Table(Table::new()));
    // No suggestion has anything but tables.
    if !entry.is_table() {
        *entry = Value::Table(Table::new());
    }
    entry.as_table_mut().expect("it is a table")
}

/// The values of all sections with what every key means; keys that have their default are commented out.
fn commented(values: &Table, sections: &[(String, Vec<ParamInfo>)], summaries: &[(&str, &str)]) -> String {
    let mut text = String::from(
        "# Every key of this configuration. `#key = value` has its default: take the # away to change it.\n\n",
    );
    keys(&mut text, &Table::new(), &General::describe());
    let ends = [
        ("start".to_string(), StartParams::describe()),
        ("budget".to_string(), Budget::describe()),
        ("output".to_string(), Output::describe()),
    ];
    let empty = Table::new();
    for (section, infos) in sections.iter().chain(&ends) {
        let (own, header) = match section.split_once(".emitters[") {
            Some((outer, number)) => {
                let number: usize = number.trim_end_matches(']').parse().unwrap_or_default();
                let list = values.get(outer).and_then(|v| v.get("emitters"));
                let own = list.and_then(|list| list.get(number)).and_then(Value::as_table);
                (own.unwrap_or(&empty), format!("[[{outer}.emitters]]"))
            }
            None => {
                let own = values.get(section).and_then(Value::as_table);
                (own.unwrap_or(&empty), format!("[{section}]"))
            }
        };
        let _ = writeln!(text, "\n{header}");
        if let Some((_, summary)) = summaries.iter().find(|(name, _)| name == section) {
            comment(&mut text, summary);
        }
        // What the section is, before what it has.
        for key in ["name", "kind"] {
            let default = infos.iter().find(|p| p.name == key).map(|p| p.default.clone());
            if let Some(value) = own.get(key).map(ToString::to_string).or(default) {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
        keys(&mut text, own, infos);
    }
    text
}

/// The keys of one table.
fn keys(text: &mut String, own: &Table, infos: &[ParamInfo]) {
    for info in infos.iter().filter(|info| info.name != "kind") {
        text.push('\n');
        comment(text, &format!("{} ({})", info.meaning, info.accepts));
        let _ = match own.get(info.name) {
            Some(value) => writeln!(text, "{} = {value}", info.name),
            None => writeln!(text, "#{} = {}", info.name, info.default),
        };
    }
}

/// A comment of as many lines as it takes.
fn comment(text: &mut String, words: &str) {
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            let _ = writeln!(text, "{line}");
            line = String::from("#");
        }
        line += " ";
        line += word;
    }
    let _ = writeln!(text, "{line}");
}

/// Writes a file that is not there yet.
///
/// # Errors
/// It is there, or cannot be made; a full disk, which leaves none.
fn write_new(path: &Path, text: &str) -> Result<()> {
    let shown = path.display();
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(|e| match e.kind() {
            ErrorKind::AlreadyExists if path.is_dir() => {
                Error::input(format!("--out {shown} is a folder: expected the name of a new file"))
            }
            ErrorKind::AlreadyExists => Error::input(format!(
                "--out {shown} exists and is left as it is: expected the name of a new file"
            )),
            _ => Error::input(format!(
                "--out {shown}: {e}; expected the name of a new file in a folder that may be written to"
            )),
        })?;
    file.write_all(text.as_bytes()).map_err(|e| {
        let _ = std::fs::remove_file(path);
        Error::failed(format!("cannot write {shown}: {e}"))
    })
}

#[cfg(test)]
mod tests;
