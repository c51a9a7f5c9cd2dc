//! What becomes of archives and histories after a run: fresh episodes, statistics over runs, one policy in an archive's place.

pub mod activity;
pub mod ancestry;
pub mod compare;
pub mod distill;
pub mod exceedance;
pub mod farthest;
pub mod principal;
pub mod reevaluate;
pub mod statistics;
pub(crate) mod subject;
pub mod view;
