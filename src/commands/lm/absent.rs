//! What is said where illume was built without libtorch.

use std::path::Path;

use illume_core::{Error, Result};

use super::{AnswerArgs, ImportArgs, PretrainArgs, SftArgs};
use crate::commands::elite::Which;

fn absent<T>(what: &str) -> Result<T> {
    Err(Error::input(format!(
        "{what} works on language models, which need libtorch: build illume with `--features torch`"
    )))
}

/// # Errors
/// Always: there is no libtorch.
pub(super) fn pretrain(_options: &PretrainArgs) -> Result<String> {
    absent("`illume lm pretrain`")
}

/// # Errors
/// Always: there is no libtorch.
pub(super) fn import(_options: &ImportArgs) -> Result<String> {
    absent("`illume lm import`")
}

/// # Errors
/// Always: there is no libtorch.
pub(super) fn sft(_options: &SftArgs) -> Result<String> {
    absent("`illume lm sft`")
}

/// # Errors
/// Always: there is no libtorch.
pub(super) fn answer(_options: &AnswerArgs) -> Result<String> {
    absent("`illume lm answer`")
}

/// # Errors
/// Always: there is no libtorch.
pub(in crate::commands) fn adapter(
    _path: &Path,
    _folder: &Path,
    _elite: Option<Which>,
    _force: bool,
    _as_json: bool,
) -> Result<String> {
    absent("`illume export --adapter`")
}

/// # Errors
/// Always: there is no libtorch.
pub(in crate::commands) fn model(
    _path: &Path,
    _folder: &Path,
    _elite: Option<Which>,
    _force: bool,
    _as_json: bool,
) -> Result<String> {
    absent("`illume export --model`")
}
