//! Errors become exceptions with the same sentence.

use illume::core;
use pyo3::PyErr;
use pyo3::exceptions::{PyRuntimeError, PyValueError};

pyo3::create_exception!(
    illume,
    Error,
    PyValueError,
    "What was given is wrong: a sentence that says what, where, and what would be accepted."
);

/// [`Error`] for what the user can put right, `RuntimeError` for a disk, a library or another process.
pub fn raise(error: core::Error) -> PyErr {
    match error {
        core::Error::Input(_) | core::Error::Config(_) => Error::new_err(error.to_string()),
        core::Error::Failed(_) | core::Error::Busy(_) => PyRuntimeError::new_err(error.to_string()),
    }
}

/// What the user can put right.
pub fn wrong(sentence: impl Into<String>) -> PyErr {
    Error::new_err(sentence.into())
}
