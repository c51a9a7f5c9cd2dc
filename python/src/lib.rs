//! The compiled part of the Python package `illume`, module `illume._illume`. `python/illume/` is what users see; here are numbers, tables and errors only.

mod convert;
mod errors;
mod files;
mod genomes;
mod optimizer;
mod policies;
mod pools;
mod snapshot;
mod task;

use pyo3::prelude::*;

#[pymodule]
fn _illume(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("Error", module.py().get_type::<errors::Error>())?;
    module.add_class::<optimizer::Engine>()?;
    module.add_class::<files::File>()?;
    module.add_class::<genomes::Decoded>()?;
    module.add_class::<policies::Policies>()?;
    module.add_function(wrap_pyfunction!(convert::parse_toml, module)?)?;
    module.add_function(wrap_pyfunction!(convert::to_toml, module)?)?;
    module.add_function(wrap_pyfunction!(files::is_sweep, module)?)?;
    module.add_function(wrap_pyfunction!(files::sweep, module)?)
}
