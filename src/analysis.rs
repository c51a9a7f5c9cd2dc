//! What becomes of archives and histories after a run: fresh episodes, statistics over runs, one policy in an archive's place.

pub mod compare;
pub mod distill;
pub mod reevaluate;
pub mod statistics;
pub(crate) mod subject;
