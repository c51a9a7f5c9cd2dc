//! Writing a run of rows of a 2-D dataset straight from a slice.
//!
//! The bindings' safe way wants an array type of one certain version of `ndarray`.

use hdf5::{Dataset, Dataspace, Datatype, Hyperslab};
use hdf5_sys::h5d::H5Dwrite;
use hdf5_sys::h5p::H5P_DEFAULT;

/// Writes `values`, `[rows, dim]`, over the rows from `first` on of a dataset of f32, `[n, dim]`.
///
/// # Errors
/// HDF5's: a full disk, or rows beyond the dataset.
pub(super) fn write_rows(dataset: &Dataset, first: usize, dim: usize, values: &[f32]) -> hdf5::Result<()> {
    let rows = values.len().checked_div(dim).unwrap_or(0);
    let shape = dataset.shape();
    if shape.len() != 2 || shape[1] != dim || rows * dim != values.len() || first + rows > shape[0] {
        let message = format!(
            "{} values from row {first} on do not fit a dataset of shape {shape:?}",
            values.len()
        );
        return Err(hdf5::Error::Internal(message));
    }
    if rows == 0 {
        return Ok(());
    }
    let in_file = dataset.space()?.select(Hyperslab::from((first..first + rows, ..)))?;
    let in_memory = Dataspace::try_new([rows, dim])?;
    let kind = Datatype::from_type::<f32>()?;
    // SAFETY: all handles are open for the length of the call; the memory space covers rows * dim elements of f32, as many as
    // `values` holds (checked above); the library is locked against other threads by `sync`.
    let status = hdf5::sync::sync(|| unsafe {
        let (space, file_space) = (in_memory.id(), in_file.id());
        H5Dwrite(
            dataset.id(),
            kind.id(),
            space,
            file_space,
            H5P_DEFAULT,
            values.as_ptr().cast(),
        )
    });
    if status < 0 {
        Err(hdf5::Error::query().unwrap_or_else(|e| e))
    } else {
        Ok(())
    }
}
