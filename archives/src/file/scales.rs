//! Dimension scales: names for the axes of datasets, by which xarray, h5py and HDFView show them.
//!
//! They are part of HDF5's high-level library, whose functions the bindings do not declare.

use std::ffi::{CString, c_char, c_int, c_uint};

use hdf5::Dataset;
use hdf5_sys::h5i::hid_t;

/// The name that netCDF gives to a dimension without coordinates; h5netcdf and xarray know it by this.
const PURE_DIMENSION: &str = "This is a netCDF dimension but not a netCDF variable. ";

unsafe extern "C" {
    fn H5DSset_scale(dsid: hid_t, dimname: *const c_char) -> c_int;
    fn H5DSattach_scale(did: hid_t, dsid: hid_t, idx: c_uint) -> c_int;
    fn H5DSset_label(did: hid_t, idx: c_uint, label: *const c_char) -> c_int;
}

/// Turns the 1-D dataset `scale` into a dimension scale: with `coordinates` its values label the positions, else it only names the axis.
///
/// # Errors
/// HDF5's.
pub(super) fn make(scale: &Dataset, name: &str, coordinates: bool) -> hdf5::Result<()> {
    let shown = if coordinates {
        name.to_string()
    } else {
        format!("{PURE_DIMENSION}{:10}", scale.size())
    };
    let shown = text(&shown)?;
    // SAFETY: the handle is that of an open dataset, the string is terminated and outlives the call, which copies it; the
    // library is not called by another thread meanwhile, since `sync` holds its lock.
    let status = hdf5::sync::sync(|| unsafe { H5DSset_scale(scale.id(), shown.as_ptr()) });
    check(status, name)
}

/// Names axis `axis` of `dataset` after `scale`, and labels it `name`.
///
/// # Errors
/// HDF5's.
pub(super) fn attach(dataset: &Dataset, axis: usize, scale: &Dataset, name: &str) -> hdf5::Result<()> {
    let label = text(name)?;
    // SAFETY: as above; both handles are of open datasets of one file.
    let status = hdf5::sync::sync(|| unsafe {
        match H5DSattach_scale(dataset.id(), scale.id(), axis as c_uint) {
            failed if failed < 0 => failed,
            _ => H5DSset_label(dataset.id(), axis as c_uint, label.as_ptr()),
        }
    });
    check(status, name)
}

fn text(value: &str) -> hdf5::Result<CString> {
    CString::new(value).map_err(|_| hdf5::Error::Internal(format!("a zero byte in the name {value:?}")))
}

fn check(status: c_int, name: &str) -> hdf5::Result<()> {
    if status < 0 {
        Err(hdf5::Error::Internal(format!(
            "cannot make the dimension scale '{name}'"
        )))
    } else {
        Ok(())
    }
}
