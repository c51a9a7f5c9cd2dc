//! What a genome is scored on: one file per family of tasks, policy networks, rollouts.

mod areas;
mod arm;
pub mod atari;
mod canvas;
mod command;
mod curling;
mod film;
mod functions;
mod genes;
mod hard_maze;
#[cfg(feature = "mujoco")]
pub mod mujoco;
mod noisy;
mod objectives;
mod observed;
pub mod pixels;
mod policy;
mod redundant_arm;
mod registry;
mod rollout;
mod scored;
#[cfg(test)]
mod testing;
mod walls;

pub use atari::ATARI_TASKS;
pub use film::{Filmed, OwnScreen, Painter, filmed};
pub use genes::WithGenes;
#[cfg(feature = "lm")]
pub use illume_lm as lm;
pub use noisy::NoiseParams;
pub use policy::PolicyParams;
pub use registry::{LM_TASKS, MUJOCO_TASKS, PYTHON, build, common, find, own_keys, registry};
pub use rollout::{End, Env, RolloutWorker, Step};
pub use scored::ScoreParams;
pub use walls::walls;

/// The version of the MuJoCo library in use, as it says itself.
#[cfg(feature = "mujoco")]
pub fn mujoco_version() -> String {
    mujoco_rs::mujoco_version().into()
}
