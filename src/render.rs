//! What is drawn: plots of archives and histories, and animations of episodes.

pub mod animation;
pub mod plot;
