//! Where elites are kept: grid, CVT and unstructured archives, their metrics, and the HDF5 file format.

mod archive;
mod centers;
mod container;
mod cvt;
mod deep;
mod division;
mod dns;
mod exchange;
pub mod file;
mod front;
mod grid;
mod kmeans;
pub mod metrics;
mod mome;
mod nearest;
mod neighbours;
mod niches;
mod numbered;
mod pages;
mod registry;
mod soft;
mod store;
#[cfg(test)]
mod testing;
mod unstructured;

pub use archive::CellArchive;
pub use centers::centers;
pub use container::{Container, ContainerParams};
pub use cvt::CACHE_VARIABLE;
pub use deep::DepthParams;
pub use division::Outside;
pub use dns::{DnsArchive, DnsParams};
pub use front::{FrontArchive, FrontParams};
pub use registry::{CvtParams, GridParams, UnstructuredParams, registry};
pub use soft::InsertionParams;
pub use unstructured::{Admission, Unstructured, UnstructuredArchive};

/// The version of the HDF5 library in use, as it says itself.
pub fn hdf5_version() -> String {
    let (major, minor, patch) = hdf5::library_version();
    format!("{major}.{minor}.{patch}")
}
