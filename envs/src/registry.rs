//! The table of tasks by name. Adding a task is a file, and a line here.

use std::sync::Arc;

use illume_core::params::{self, ParamInfo, suggest};
use illume_core::toml::Table;
use illume_core::{Error, GeneSpace, Params as _, Result, Task, TaskConfig, TaskEntry, both};

use crate::atari::{ATARI_TASKS, PREFIX};
use crate::genes::{WithGenes, weights};
use crate::observed;
use crate::scored::{self, ScoreParams};

/// Names of the MuJoCo tasks, known even where they are not built in.
pub const MUJOCO_TASKS: [&str; 9] = [
    "halfcheetah_uni",
    "walker2d_uni",
    "hopper_uni",
    "ant_uni",
    "humanoid_uni",
    "ant_omni",
    "anttrap_omni",
    "ant_maze",
    "humanoid_omni",
];

/// The name of a task whose candidates a Python program evaluates (`illume.Optimizer`): what a file says of itself.
pub const PYTHON: &str = "python";

/// Names of the tasks of language models, known even where they are not built in.
pub const LM_TASKS: [&str; 4] = ["lm/arithmetic", "lm/countdown", "lm/gsm8k", "lm/jsonl"];

/// Every task of this build.
pub fn registry() -> Vec<&'static TaskEntry> {
    #[allow(unused_mut)]
    let mut entries: Vec<&'static TaskEntry> = vec![
        &crate::arm::ENTRY,
        &crate::functions::SPHERE,
        &crate::functions::RASTRIGIN,
        &crate::functions::PLATEAU,
        &crate::objectives::ZDT,
        &crate::objectives::DTLZ,
        &crate::objectives::RASTRIGIN_PAIR,
        &crate::hard_maze::ENTRY,
        &crate::redundant_arm::ENTRY,
        &crate::curling::ENTRY,
        &crate::command::ENTRY,
    ];
    #[cfg(feature = "mujoco")]
    entries.extend(crate::mujoco::registry());
    #[cfg(feature = "atari")]
    entries.push(&crate::atari::ENTRY);
    #[cfg(feature = "lm")]
    entries.extend(&illume_lm::ENTRIES);
    entries
}

/// The entry of a name, that of its family included.
///
/// # Errors
/// An unknown name (the nearest known one is suggested), or one that this build lacks the feature for.
pub fn find(name: &str) -> Result<&'static TaskEntry> {
    let entries = registry();
    if let Some(entry) = entries.iter().find(|e| e.name == name || e.family.contains(&name)) {
        return Ok(entry);
    }
    let wrong = |message: String| Err(Error::config("task", "name", message));
    if name == PYTHON {
        let message = format!(
            "task \"{PYTHON}\" is evaluated by the Python program of its run: illume.Optimizer.load goes on with it there"
        );
        return wrong(message);
    }
    for (feature, names) in [
        ("mujoco", &MUJOCO_TASKS[..]),
        ("atari", ATARI_TASKS),
        ("lm", &LM_TASKS[..]),
    ] {
        if names.contains(&name) {
            return wrong(format!("task \"{name}\" needs a build with feature \"{feature}\""));
        }
    }
    if let Some(game) = ATARI_TASKS.iter().find(|game| game[PREFIX.len()..] == *name) {
        return wrong(format!("unknown task \"{name}\"; did you mean \"{game}\"?"));
    }
    if name.starts_with(PREFIX) {
        return wrong(format!("unknown task \"{name}\"{}", suggest(name, ATARI_TASKS)));
    }
    // The games are too many to be shown with the others.
    let names = entries.iter().flat_map(|e| {
        std::slice::from_ref(&e.name)
            .iter()
            .filter(|_| e.family.is_empty())
            .chain(e.family)
    });
    let single = names.copied().filter(|e| !ATARI_TASKS.contains(e));
    let known: Vec<&str> = single
        .chain(MUJOCO_TASKS)
        .chain(LM_TASKS)
        .chain(["atari/<game>"])
        .collect();
    wrong(format!("unknown task \"{name}\"{}", suggest(name, &known)))
}

/// Parameters that every task has beside its own.
pub fn common() -> Vec<ParamInfo> {
    ScoreParams::describe()
}

/// A `[task]` table without the keys that every task has.
pub fn own_keys(task: &Table) -> Table {
    let mut own = task.clone();
    own.remove("genes");
    ScoreParams::names().iter().for_each(|key| drop(own.remove(*key)));
    own
}

/// The task that a configuration names.
///
/// # Errors
/// No name, an unknown one, wrong parameters or genes, or a `[policy]` for a task that has none.
pub fn build(config: &TaskConfig<'_>) -> Result<Box<dyn Task>> {
    let (mut own, mut problems) = (config.task.clone(), Vec::new());
    let score = scored::take(&mut own, &mut problems);
    let task = named(&TaskConfig {
        task: &own,
        genes: None,
        ..*config
    });
    let task = task.map_err(also_common);
    let right = match problems.is_empty() {
        true => Ok(()),
        false => Err(Error::Config(problems)),
    };
    scored::wrap(observed::wrap(both(task, right)?.0), &score)
}

/// Says of an unknown key which one of those that every task has it may be.
fn also_common(error: Error) -> Error {
    let Error::Config(mut problems) = error else {
        return error;
    };
    let common = ScoreParams::names();
    for problem in problems
        .iter_mut()
        .filter(|p| p.section == "task" && p.message.starts_with("unknown key;"))
    {
        let meant = params::unknown_key("task", &problem.key, &common);
        if meant.message.contains("did you mean") && !problem.message.contains("did you mean") {
            *problem = meant;
        }
    }
    Error::Config(problems)
}

/// The task of that name, as it is by itself.
fn named(config: &TaskConfig<'_>) -> Result<Box<dyn Task>> {
    let name = match config.task.get("name") {
        Some(toml) => toml
            .as_str()
            .ok_or_else(|| Error::config("task", "name", format!("expected a string, got {toml}")))?,
        None => {
            return Err(Error::config(
                "task",
                "name",
                "missing: the name of a task (`illume list tasks` shows them)",
            ));
        }
    };
    let entry = find(name)?;
    if let (None, Some(key)) = (entry.policy, config.policy.keys().next()) {
        let message = format!("task \"{name}\" acts through no network; remove the table [policy]");
        return Err(Error::config("policy", key, message));
    }
    let mut task = config.task.clone();
    // Keys that every task has, which no task reads itself.
    let genes = task.remove("genes");
    if genes.is_some() && entry.policy.is_some() {
        return Err(Error::config("task", "genes", weights(name)));
    }
    let genes = genes.map(|genes| GeneSpace::from_toml(&genes, "task.genes").map(Arc::new));
    let (genes, read) = match genes.transpose() {
        Ok(genes) => (genes, Ok(())),
        Err(error) => (None, Err(error)),
    };
    let built = (entry.build)(&TaskConfig {
        task: &task,
        genes: genes.clone(),
        ..*config
    });
    let (built, ()) = both(built, read)?;
    match genes {
        // A program that asks for genes itself has them already.
        Some(genes) if built.spec().genes.is_none() => Ok(Box::new(WithGenes::new(built, genes)?)),
        _ => Ok(built),
    }
}
