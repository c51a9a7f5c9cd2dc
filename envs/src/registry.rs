//! The table of tasks by name. Adding a task is a file, and a line here.

use illume_core::params::suggest;
use illume_core::{Error, Result, Task, TaskConfig, TaskEntry};

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

/// Every task of this build.
pub fn registry() -> Vec<&'static TaskEntry> {
    #[allow(unused_mut)]
    let mut entries: Vec<&'static TaskEntry> = vec![
        &crate::arm::ENTRY,
        &crate::functions::SPHERE,
        &crate::functions::RASTRIGIN,
        &crate::hard_maze::ENTRY,
    ];
    #[cfg(feature = "mujoco")]
    entries.extend(crate::mujoco::registry());
    entries
}

/// The entry of a name.
///
/// # Errors
/// An unknown name (the nearest known one is suggested), or one that this build lacks the feature for.
pub fn find(name: &str) -> Result<&'static TaskEntry> {
    let entries = registry();
    if let Some(entry) = entries.iter().find(|e| e.name == name) {
        return Ok(entry);
    }
    if MUJOCO_TASKS.contains(&name) {
        return Err(Error::config(
            "task",
            "name",
            format!("task \"{name}\" needs a build with feature \"mujoco\""),
        ));
    }
    let mut known: Vec<&str> = entries.iter().map(|e| e.name).collect();
    known.extend(MUJOCO_TASKS.iter().filter(|m| !entries.iter().any(|e| e.name == **m)));
    Err(Error::config(
        "task",
        "name",
        format!("unknown task \"{name}\"{}", suggest(name, &known)),
    ))
}

/// The task that a configuration names.
///
/// # Errors
/// No name, an unknown one, wrong parameters, or a `[policy]` for a task that has none.
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
    if let (false, Some(key)) = (entry.network, config.policy.keys().next()) {
        let message = format!("task \"{name}\" acts through no network; remove the table [policy]");
        return Err(Error::config("policy", key, message));
    }
    (entry.build)(config)
}
