//! Where elites are kept: grid and CVT archives, their metrics, and the HDF5 file format.

mod archive;
mod cvt;
mod exchange;
mod grid;
mod kmeans;
pub mod metrics;
mod nearest;
mod registry;
mod store;
#[cfg(test)]
mod testing;

pub use archive::{CellArchive, Outside};
pub use cvt::CACHE_VARIABLE;
pub use registry::{CvtParams, GridParams, registry};
