//! What is said where illume was built without libtorch.

use illume_core::{Error, Result};

use super::PretrainOptions;

fn absent() -> Error {
    Error::input("`illume lm` works on language models, which need libtorch: build illume with `--features torch`")
}

/// # Errors
/// Always: there is no libtorch.
pub fn pretrain(_options: &PretrainOptions) -> Result<String> {
    Err(absent())
}
