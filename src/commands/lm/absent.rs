//! What is said where illume was built without libtorch.

use std::path::Path;

use illume_core::{Error, Result};

use super::{AdapterOptions, AnswerOptions, PretrainOptions, SftOptions};

fn absent<T>(what: &str) -> Result<T> {
    Err(Error::input(format!(
        "{what} works on language models, which need libtorch: build illume with `--features torch`"
    )))
}

/// # Errors
/// Always: there is no libtorch.
pub fn pretrain(_options: &PretrainOptions) -> Result<String> {
    absent("`illume lm pretrain`")
}

/// # Errors
/// Always: there is no libtorch.
pub fn sft(_options: &SftOptions) -> Result<String> {
    absent("`illume lm sft`")
}

/// # Errors
/// Always: there is no libtorch.
pub fn answer(_options: &AnswerOptions) -> Result<String> {
    absent("`illume lm answer`")
}

/// # Errors
/// Always: there is no libtorch.
pub fn adapter(_path: &Path, _options: &AdapterOptions) -> Result<String> {
    absent("`illume export --adapter`")
}
