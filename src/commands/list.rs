//! `illume list`: tasks, strategies, archives and the keys of files, with every parameter, its default and meaning.

use illume_core::params::{ParamInfo, Params, suggest};
use illume_core::{Error, Result};
use serde_json::{Value, json};

use super::launch::alone;
use crate::engine::config::{Budget, General, Output};
use crate::engine::output::json_text;
use crate::sweep::{Method, Metric, Resources, Retry, Top};
use crate::{StartParams, registry};

/// List tasks, strategies, archives and the keys of files; with a kind or a name, every parameter with default and meaning
#[derive(clap::Args)]
pub struct ListArgs {
    /// tasks, strategies, emitters, archives, general (a run's file), sweep (a sweep's file), or a name
    what: Option<String>,
    #[arg(long)]
    json: bool,
}

impl ListArgs {
    pub fn run(&self) -> u8 {
        alone(|| list(self.what.as_deref(), self.json))
    }
}

/// One listed thing.
struct Item {
    kind: &'static str,
    name: String,
    summary: String,
    params: Vec<ParamInfo>,
    /// Names of a family's tasks.
    family: &'static [&'static str],
}

impl Item {
    /// Whether a name is its own, one of its family's, or what those begin with (`atari` for `atari/frostbite`).
    fn is_called(&self, name: &str) -> bool {
        let first = self.family.first().and_then(|first| first.split('/').next());
        self.name == name
            || self.name.starts_with(&format!("[{name}]"))
            || self.family.contains(&name)
            || first == Some(name)
    }
}

const KINDS: [&str; 6] = ["tasks", "strategies", "emitters", "archives", "general", "sweep"];

fn items() -> Vec<Item> {
    let item = |kind, name: &str, summary: &str, params| Item {
        kind,
        name: name.into(),
        summary: summary.into(),
        params,
        family: &[],
    };
    let tasks = illume_envs::registry();
    let mut items: Vec<Item> = tasks
        .iter()
        .map(|e| Item {
            family: e.family,
            ..item("tasks", e.name, e.summary, (e.params)())
        })
        .collect();
    let policy = "network of every task that acts in episodes";
    items.push(item("tasks", "[policy]", policy, illume_envs::PolicyParams::describe()));
    for (e, policy) in tasks.iter().filter(|e| !e.network).filter_map(|e| Some((e, e.policy?))) {
        let summary = format!("network of {} and its like", e.name);
        items.push(item("tasks", "[policy] (pixels)", &summary, policy()));
    }
    let common = "keys that every task has";
    items.push(item("tasks", "[task]", common, illume_envs::common()));
    let genes = "genes with bounds, kinds and names, for every task that acts through no network: [[task.genes]], one entry for each gene or group";
    items.push(item("tasks", "[task.genes]", genes, illume_core::gene_parameters()));
    items.extend(
        illume_strategies::registry()
            .iter()
            .map(|e| item("strategies", e.name, e.summary, (e.params)())),
    );
    items.extend(
        illume_strategies::emitters()
            .iter()
            .map(|e| item("emitters", e.kind, e.summary, (e.params)())),
    );
    items.extend(
        illume_archives::registry()
            .iter()
            .map(|e| item("archives", e.kind, e.summary, (e.params)())),
    );
    let common = "keys that every archive has";
    items.push(item("archives", "[archive]", common, registry::archive_parameters()));
    items.push(item("general", "(top level)", "the run", General::describe()));
    items.push(item(
        "general",
        "[budget]",
        "the first limit reached ends the run",
        Budget::describe(),
    ));
    items.push(item(
        "general",
        "[start]",
        "genomes that a run begins with, in place of random ones",
        StartParams::describe(),
    ));
    items.push(item(
        "general",
        "[output]",
        "where results go and how often",
        Output::describe(),
    ));
    let sweep = |(name, summary, params): (&str, &str, Vec<ParamInfo>)| item("sweep", name, summary, params);
    items.extend(sweeps().into_iter().map(sweep));
    items
}

/// The sections of a sweep's file, with what each is for.
fn sweeps() -> [(&'static str, &'static str, Vec<ParamInfo>); 7] {
    let key = |name, accepts: &str, default: &str, meaning: &str| ParamInfo {
        name,
        accepts: accepts.into(),
        default: default.into(),
        meaning: meaning.into(),
    };
    let base = "the path of a run's configuration, seen from the sweep's file, or tables such as [base.task]";
    let top = vec![
        key(
            "base",
            base,
            "none",
            "What every run begins with; needed unless each variant has its own.",
        ),
        key(
            "seeds",
            "a number n for 1 to n, from 1 to 1000000, or a list of seeds that are all different",
            "1",
            "Seeds with which every configuration is run.",
        ),
    ];
    let top = [top, Top::describe()].concat();
    let values = "a value, a list of values, { values = [...] }, { min, max, distribution = \"uniform\", \"log_uniform\", \"int_uniform\" or \"int_log_uniform\" }, \
                  or { mean, sd, distribution = \"normal\" or \"log_normal\" }";
    let parameters = vec![key(
        "SECTION.KEY",
        values,
        "the base's",
        "Values to try of a key of the configuration, such as strategy.iso_sigma; of a distribution method \"random\" draws.",
    )];
    let variants = vec![
        key(
            "name",
            "letters, digits, '_', '-' and '.'",
            "none",
            "What it is called; needed, and no other's.",
        ),
        key("base", base, "the sweep's", "What its runs begin with."),
        key(
            "replace",
            "a table of sections such as archive = { kind = \"cvt\", cells = 1024 }",
            "{}",
            "Whole sections of the configuration in place of the base's, before keys are set.",
        ),
        key(
            "set",
            "a table of keys such as strategy.name",
            "{}",
            "Keys of the configuration that it sets.",
        ),
    ];
    [
        ("(top level)", "the sweep", top),
        ("[parameters]", "what is tried, every combination or draws", parameters),
        (
            "[[variants]]",
            "whole alternatives, crossed with the parameters",
            variants,
        ),
        (
            "[method]",
            "which configurations are run, and to which end",
            Method::describe(),
        ),
        ("[metric]", "what runs are compared by", Metric::describe()),
        ("[resources]", "what a run gets", Resources::describe()),
        ("[retry]", "what becomes of runs that fail", Retry::describe()),
    ]
}

/// The text that `illume list [WHAT] [--json]` prints. `what` is a kind (`tasks`, …) or one name.
///
/// # Errors
/// Nothing of that name.
fn list(what: Option<&str>, as_json: bool) -> Result<String> {
    let all = items();
    let names: Vec<String> = all.iter().map(|i| i.name.clone()).collect();
    let wanted: Vec<&Item> = match what {
        None => all.iter().collect(),
        // The singular is what people type as well.
        Some(kind) if KINDS.contains(&kind) => all.iter().filter(|i| i.kind == kind).collect(),
        Some("task") => all.iter().filter(|i| i.kind == "tasks").collect(),
        Some("strategy") => all.iter().filter(|i| i.kind == "strategies").collect(),
        Some("archive") => all.iter().filter(|i| i.kind == "archives").collect(),
        Some(name) => all.iter().filter(|i| i.is_called(name)).collect(),
    };
    if wanted.is_empty() {
        let known: Vec<&str> = KINDS.iter().copied().chain(names.iter().map(String::as_str)).collect();
        let name = what.unwrap_or_default();
        return Err(Error::input(format!(
            "nothing to list under \"{name}\"{}",
            suggest(name, &known)
        )));
    }
    if as_json {
        return Ok(json_text(&wanted.iter().map(|i| as_value(i)).collect()));
    }
    let mut text = String::new();
    let mut kind = "";
    // All parameters are shown when something was asked for; the overview has one line each.
    let full = what.is_some();
    let width = wanted
        .iter()
        .map(|item| item.name.chars().count())
        .max()
        .unwrap_or(0)
        .max(17)
        + 2;
    for item in wanted {
        if item.kind != kind {
            kind = item.kind;
            text += &format!("{}{kind}\n", if text.is_empty() { "" } else { "\n" });
        }
        text += &format!("  {:width$}{}\n", item.name, item.summary);
        if full {
            for p in &item.params {
                text += &format!(
                    "      {:28} {} ({}), default {}\n",
                    p.name, p.meaning, p.accepts, p.default
                );
            }
        }
        text += &members(item.family, what);
    }
    if !full {
        text += "\n`illume list NAME` shows the parameters of one, `illume list tasks` those of all tasks.\n";
    }
    Ok(text)
}

/// The names of a family, if it was asked for by one of them; else how to see them.
fn members(family: &[&str], what: Option<&str>) -> String {
    const WIDTH: usize = 120;
    let Some(first) = family.first() else {
        return String::new();
    };
    // Those in a folder of names are many.
    if let Some((first, _)) = first.split_once('/')
        && what.is_none_or(|what| KINDS.iter().any(|kind| kind.starts_with(what)))
    {
        return format!(
            "      one of {} of a kind: `illume list {first}` names them\n",
            family.len()
        );
    }
    let mut lines = vec![String::from("      names:")];
    for name in family {
        if lines[lines.len() - 1].len() + name.len() >= WIDTH {
            lines.push(String::from("     "));
        }
        let last = lines.len() - 1;
        lines[last] += &format!(" {name}");
    }
    lines.join("\n") + "\n"
}

fn as_value(item: &Item) -> Value {
    let params: Vec<Value> = item
        .params
        .iter()
        .map(|p| json!({"name": p.name, "accepts": p.accepts, "default": p.default, "meaning": p.meaning}))
        .collect();
    let mut value = json!({"kind": item.kind, "name": item.name, "summary": item.summary, "parameters": params});
    if !item.family.is_empty() {
        value["family"] = json!(item.family);
    }
    value
}
