//! `atari/<game>`: Atari 2600 games from pixels, in the Arcade Learning Environment (Bellemare, Naddaf, Veness and Bowling 2013;
//! Machado et al. 2018).
//!
//! Preprocessing and episodes are those of Deep GA (Such et al. 2017, <https://arxiv.org/abs/1712.06567>) and its program
//! (`gpu_implementation/gym_tensorflow/atari/` of uber-research/deep-neuroevolution); envs/README.md says where we differ.

#[cfg(feature = "atari")]
mod ale;
#[cfg(feature = "atari")]
mod game;
mod games;
#[cfg(feature = "atari")]
mod picture;
#[cfg(feature = "atari")]
mod task;

pub use games::{ATARI_TASKS, PREFIX, qd_offset};

#[cfg(feature = "atari")]
pub use self::{
    ale::{ACTIONS, Ale, FIRE, Facts, NOOP, Outcome, RAM, version},
    game::Game,
    picture::Preprocessor,
    task::{AtariParams, ENTRY, rom},
};
