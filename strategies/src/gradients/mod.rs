//! MAP-Elites with policy gradients: what `pga_me`, `dcg_me` and `dcrl_me` are made of.

mod backend;
mod constrained;
mod emitter;
mod exchange;
mod labels;
mod learning;
mod params;
mod replay;
mod stock;

pub(crate) use constrained::{Constrained, Stages};
pub(crate) use emitter::{Plan, PolicyGradient};
pub(crate) use labels::Labels;
pub use params::{GradientBatchParams, LearnerParams};
pub(crate) use replay::Reward;
#[cfg(test)]
pub(crate) use replay::similarity;

use illume_core::{Error, Network, Result, StrategyConfig, TaskSpec};

/// A small setting of those that learn from episodes, for tests.
pub(crate) const SMALL: &str =
    "batch = 20\npg_steps = 3\ncritic_steps = 7\nminibatch = 10\ncritic_hidden = [9, 8]\nreplay = 500";

/// The policy of a task whose episodes can be learned from.
///
/// # Errors
/// The task does not act through a network, or (with `conditioned`) pays below zero, in one sentence.
pub(crate) fn check_task<'t>(strategy: &str, task: &'t TaskSpec, conditioned: bool) -> Result<&'t Network> {
    let Some(network) = &task.network else {
        return Err(Error::config(
            "strategy",
            "name",
            format!(
                "{strategy} learns from episodes, and task \"{}\" acts through no perceptron; use map_elites, or a task that does",
                task.name
            ),
        ));
    };
    if task.repeats > 1 {
        let message = format!(
            "expected 1, as {strategy} learns from every episode that it pays for, got {}",
            task.repeats
        );
        return Err(Error::config("task", "repeats", message));
    }
    if let (true, Some(how)) = (conditioned, &task.negative_rewards) {
        return Err(Error::config(
            "strategy",
            "name",
            format!(
                "{strategy} needs rewards that are never below zero, and task \"{}\" pays such; {how}",
                task.name
            ),
        ));
    }
    if conditioned && task.descriptor.is_empty() {
        let message = format!(
            "{strategy} learns what descriptors ask for, and task \"{}\" has none",
            task.name
        );
        return Err(Error::config("strategy", "name", message));
    }
    Ok(network)
}

/// The number of objectives of a task that has several.
///
/// # Errors
/// It has one.
pub(crate) fn several(config: &StrategyConfig<'_>, strategy: &str) -> Result<usize> {
    match config.task.objectives.len() {
        0 => {
            let message = format!(
                "{strategy} climbs critics of several objectives, and task \"{}\" has one: set task.objectives = 2",
                config.task.name
            );
            Err(Error::config("strategy", "name", message))
        }
        several => Ok(several),
    }
}
