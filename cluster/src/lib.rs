//! Where illume runs: one process or MPI ranks behind core's [`Comm`], the thread pool, stop signals, and leaving together.
//!
//! ```no_run
//! use illume_cluster::{abort_on_panic, connect, signals, threads};
//!
//! fn main() -> Result<(), illume_core::Error> {
//!     abort_on_panic();
//!     threads::pin_libraries();
//!     signals::install()?;
//!     let cluster = connect()?;
//!     threads::configure(threads::plan(None, cluster.node()).threads)?;
//!     let words = cluster.comm().any(signals::stop_word())?;
//!     std::process::exit(cluster.leave(if words & signals::STOP != 0 { signals::EXIT_REQUEUE } else { 0 }, None));
//! }
//! ```

mod agree;
mod arguments;
mod awake;
pub mod children;
mod connect;
mod counted;
mod launch;
pub mod memory;
#[cfg(feature = "mpi")]
mod mpi;
mod node;
pub mod nursery;
mod panics;
#[cfg(feature = "mpi")]
mod pinned;
mod quiet;
pub mod ranks;
pub mod signals;
mod solo;
pub mod suite;
pub mod threads;

pub use agree::agree;
pub use connect::{CHUNK_BYTES, Cluster, connect};
pub use counted::{Counted, Traffic};
pub use illume_core::Comm;
pub use launch::launched_rank;
#[cfg(feature = "mpi")]
pub use mpi::Mpi;
pub use node::Node;
pub use panics::abort_on_panic;
pub use ranks::run_ranks;
pub use solo::Solo;

/// Name and version of the MPI library in use, as it says itself; may be asked before MPI starts.
#[cfg(feature = "mpi")]
pub fn mpi_version() -> String {
    let text = ::mpi::environment::library_version().unwrap_or_default();
    text.split(['\n', ',', '\0']).next().unwrap_or_default().trim().into()
}
