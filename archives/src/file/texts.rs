//! Datasets of texts, written with a buffer of their size: HDF5 clears one of 1 MB for each dataset by default, a fifth of what a small archive takes to write.

use hdf5::Dataset;
use hdf5::globals::H5P_DATASET_XFER;
use hdf5::types::VarLenUnicode;
use hdf5_sys::h5d::H5Dwrite;
use hdf5_sys::h5p::{H5Pclose, H5Pcreate, H5Pset_buffer};
use hdf5_sys::h5s::H5S_ALL;

/// Texts at a time, at least.
const LEAST: usize = 256;

/// All values of a dataset that was made for as many texts.
///
/// # Errors
/// HDF5's; another number of values.
pub(super) fn write(dataset: &Dataset, values: &[VarLenUnicode]) -> hdf5::Result<()> {
    if dataset.size() != values.len() {
        let numbers = format!("{} texts for a dataset of {}", values.len(), dataset.size());
        return Err(hdf5::Error::Internal(numbers));
    }
    let element = hdf5::Datatype::from_type::<VarLenUnicode>()?;
    let bytes = (values.len().max(LEAST) * element.size()).min(1 << 20);
    // SAFETY: the handles are those of an open dataset and of a live type, and the list of properties is closed after its only use; `values` are as many
    // elements of that type as the dataset has; the buffers are HDF5's own where they are null; `sync` holds the library's lock.
    let written = hdf5::sync::sync(|| unsafe {
        let properties = H5Pcreate(*H5P_DATASET_XFER);
        let sized = H5Pset_buffer(properties, bytes, std::ptr::null_mut(), std::ptr::null_mut());
        let written = match sized {
            failed if failed < 0 => failed,
            _ => H5Dwrite(
                dataset.id(),
                element.id(),
                H5S_ALL,
                H5S_ALL,
                properties,
                values.as_ptr().cast(),
            ),
        };
        H5Pclose(properties);
        written
    });
    match written {
        failed if failed < 0 => Err(hdf5::Error::query().unwrap_or_else(|e| e)),
        _ => Ok(()),
    }
}
