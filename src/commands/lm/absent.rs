//! What is said where illume was built without language models, or without libtorch.

use illume_core::{Error, Result};

use super::PretrainArgs;
#[cfg(not(feature = "lm"))]
pub(in crate::commands) use without_models::{adapter, answer, import, model, sft};

/// # Errors
/// Always: there is no libtorch.
pub(super) fn pretrain(_options: &PretrainArgs) -> Result<String> {
    Err(Error::input(
        "`illume lm pretrain` trains a model from scratch, which needs libtorch: build illume with `--features torch`",
    ))
}

#[cfg(not(feature = "lm"))]
mod without_models {
    use std::path::Path;

    use illume_core::{Error, Result};

    use crate::commands::elite::Which;
    use crate::commands::lm::{AnswerArgs, ImportArgs, SftArgs};

    fn absent<T>(what: &str) -> Result<T> {
        Err(Error::input(format!(
            "{what} works on language models, which this build is without: build illume with `--features lm`, or with `torch` for GPUs"
        )))
    }

    /// # Errors
    /// Always: there are no language models.
    pub fn import(_options: &ImportArgs) -> Result<String> {
        absent("`illume lm import`")
    }

    /// # Errors
    /// Always: there are no language models.
    pub fn sft(_options: &SftArgs) -> Result<String> {
        absent("`illume lm sft`")
    }

    /// # Errors
    /// Always: there are no language models.
    pub fn answer(_options: &AnswerArgs) -> Result<String> {
        absent("`illume lm answer`")
    }

    /// # Errors
    /// Always: there are no language models.
    pub fn adapter(
        _path: &Path,
        _folder: &Path,
        _elite: Option<Which>,
        _force: bool,
        _as_json: bool,
    ) -> Result<String> {
        absent("`illume export --adapter`")
    }

    /// # Errors
    /// Always: there are no language models.
    pub fn model(_path: &Path, _folder: &Path, _elite: Option<Which>, _force: bool, _as_json: bool) -> Result<String> {
        absent("`illume export --model`")
    }
}
