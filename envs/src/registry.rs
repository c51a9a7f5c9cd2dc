//! The table of tasks by name. Adding a task is a file, and a line here.

use std::sync::Arc;

use illume_core::params::suggest;
use illume_core::{Error, GeneSpace, Result, Task, TaskConfig, TaskEntry, both};

use crate::atari::{ATARI_TASKS, PREFIX};
use crate::genes::{WithGenes, weights};

/// Names of the MuJoCo tasks, known even where they are not built in.
pub const MUJOCO_TASKS: [&str; 8] = [
    "halfcheetah_uni",
    "walker2d_uni",
    "hopper_uni",
    "ant_uni",
    "humanoid_uni",
    "ant_omni",
    "anttrap_omni",
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
        &crate::hard_maze::ENTRY,
        &crate::command::ENTRY,
    ];
    #[cfg(feature = "mujoco")]
    entries.extend(crate::mujoco::registry());
    #[cfg(feature = "atari")]
    entries.push(&crate::atari::ENTRY);
    #[cfg(feature = "torch")]
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
        ("torch", &LM_TASKS[..]),
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
    let single = entries.iter().map(|e| e.name).filter(|e| !ATARI_TASKS.contains(e));
    let known: Vec<&str> = single
        .chain(MUJOCO_TASKS)
        .chain(LM_TASKS)
        .chain(["atari/<game>"])
        .collect();
    wrong(format!("unknown task \"{name}\"{}", suggest(name, &known)))
}

/// The task that a configuration names.
///
/// # Errors
/// No name, an unknown one, wrong parameters or genes, or a `[policy]` for a task that has none.
pub fn build(config: &TaskConfig<'_>) -> Result<Box<dyn Task>> {
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
