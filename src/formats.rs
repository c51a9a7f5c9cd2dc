//! Files for other programs, and theirs.

pub mod events;
pub mod export;
pub mod filter;
pub mod import;
pub mod policy;
