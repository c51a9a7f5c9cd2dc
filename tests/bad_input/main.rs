//! Wrong input is answered by one sentence that names what, where, and what would be accepted, and by exit code 2. Nothing is written,
//! nothing is lost.

#[path = "../common/mod.rs"]
mod common;

mod arguments;
mod atari;
mod configuration;
mod directories;
mod distill;
mod edits;
mod files;
mod gradients;
mod import;
mod lineages;
mod lm;
mod memory;
mod new;
mod novelty;
mod options;
mod replay_export;
mod replay_robots;
mod sweep;
