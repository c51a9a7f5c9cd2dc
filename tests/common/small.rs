//! Small settings of whatever the registries hold, as each entry says them of itself: tests that walk the registries need no names.

use std::path::Path;

use illume::core::{ArchiveEntry, Memory, StrategyEntry, TaskEntry, toml};
use illume::{Config, archives, envs, registry};

use super::tiny_lm;

/// The tables `[task]` and `[policy]` of a small task; a language model's files go into the folder.
pub fn task(entry: &TaskEntry, folder: &Path) -> toml::Table {
    let mut tables: toml::Table = entry.small.parse().unwrap();
    let own = tables.entry("task").or_insert_with(|| toml::Table::new().into());
    let own = own.as_table_mut().unwrap();
    own.insert("name".into(), entry.name.into());
    if entry.cases {
        own.extend(tiny_lm(folder, entry.name));
    }
    tables
}

/// The keys of a small strategy.
pub fn strategy(entry: &StrategyEntry) -> String {
    format!("name = \"{}\"\n{}", entry.name, entry.small)
}

/// The keys of a small archive of this kind, if a strategy can have one: with soft thresholds from below any fitness on small tasks where it lives on them.
pub fn archive(entry: &ArchiveEntry, strategy: &StrategyEntry) -> Option<String> {
    if if entry.novelty {
        strategy.cells
    } else {
        strategy.novelty
    } {
        return None;
    }
    if strategy.learns && !entry.learned {
        return None;
    }
    if entry.fronts != (strategy.fronts && !strategy.cells) {
        return None;
    }
    let text = format!("kind = \"{}\"\n{}", entry.kind, entry.small);
    if strategy.members {
        // What it suggests, of a depth that fits a small batch.
        let suggested: toml::Table = strategy.suggested.parse().unwrap();
        let keys = ["depth", "keep", "selection"];
        let own = keys
            .iter()
            .filter_map(|key| Some((*key, suggested["archive"].get(*key)?)));
        let own: Vec<String> = own
            .map(|(key, value)| format!("{key} = {value}").replace("32", "4").replace("50", "4"))
            .collect();
        return (entry.params)()
            .iter()
            .any(|p| p.name == "depth")
            .then(|| format!("{text}\n{}", own.join("\n")));
    }
    if !strategy.thresholds {
        return Some(text);
    }
    let soft = (entry.params)().iter().any(|p| p.name == "learning_rate");
    soft.then(|| format!("{text}\nlearning_rate = 0.1\nthreshold_min = -1.0"))
}

/// A small setting of a strategy on the first task, in the first archive of the registries that it goes together with; on a task with cases with what a new
/// configuration of it says of the task.
pub fn configuration(entry: &StrategyEntry, folder: &Path) -> String {
    let mut why = Vec::new();
    let tasks = envs::registry().into_iter();
    let tasks = tasks.filter(|t| t.cases == entry.cases && (t.network || !entry.network));
    for task in tasks {
        let known = (task.params)();
        let mut task = self::task(task, folder);
        if entry.cases || entry.fronts {
            let suggested: toml::Table = entry.suggested.parse().unwrap();
            let said = suggested.get("task").and_then(toml::Value::as_table).cloned();
            let own = task.get_mut("task").and_then(toml::Value::as_table_mut).unwrap();
            let has = |key: &str| known.iter().any(|info| info.name == key);
            own.extend(said.unwrap_or_default().into_iter().filter(|(key, _)| has(key)));
        }
        for archive in archives::registry().iter().filter_map(|a| archive(a, entry)) {
            let text = format!("{task}\n[strategy]\n{}\n[archive]\n{archive}\n", strategy(entry));
            let config = Config::parse(&text, entry.name, &[]).unwrap_or_else(|e| panic!("{e}\n{text}"));
            let task = registry::task(&config).unwrap_or_else(|e| panic!("{e}\n{text}"));
            match registry::strategy_and_archive(&config, task.spec(), &Memory::unlimited()) {
                Ok(_) => return text,
                Err(e) => why.push(e.to_string()),
            }
        }
    }
    panic!(
        "the small setting of {} goes together with no small task: {why:?}",
        entry.name
    );
}
