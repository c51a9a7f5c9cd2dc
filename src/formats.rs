//! Files for other programs.

pub mod export;
pub mod policy;
