//! What is drawn: plots of archives and histories, animations of episodes, and the page of a report.

pub mod animation;
pub mod plot;
pub mod report;
