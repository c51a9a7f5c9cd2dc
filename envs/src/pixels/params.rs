//! `[policy]` of tasks that are seen as pixels.

use illume_core::{Error, Result, params, toml};

params! {
    /// The `[policy]` table of a pixel task.
    pub struct PixelPolicyParams {
        /// Deep GA's network (32, 64 and 64 filters, 512 units) or the one of its small model and ES (16 and 32 filters, 256 units).
        network: String = "large".into(), one_of(&["large", "small"]);
        /// What normalizes the sums of hidden layers: nothing, or each individual's own statistics over fixed reference frames (for ES).
        normalization: String = "none".into(), one_of(&["none", "virtual_batch"]);
        /// Reference frames of virtual batch normalization.
        reference_frames: usize = 128, range(2, 4096);
        /// Where networks run: on the threads, one individual each, or batched on a GPU (a build with feature "torch").
        device: String = "cpu".into(), one_of(&["cpu", "cuda"]);
        /// Individuals that a rank keeps on the GPU at a time; without meaning for device "cpu".
        slots: usize = 128, range(2, 4096);
    }
}

impl PixelPolicyParams {
    /// Reads the `[policy]` table.
    ///
    /// # Errors
    /// Every wrong value and unknown key at once; a device that this build cannot use.
    pub fn read(table: &toml::Table) -> Result<PixelPolicyParams> {
        let params: PixelPolicyParams = params::read(table, "policy", &[])?;
        if params.device == "cuda" {
            check_cuda()?;
        }
        Ok(params)
    }

    /// Whether individuals are normalized over reference frames.
    pub fn virtual_batch(&self) -> bool {
        self.normalization == "virtual_batch"
    }
}

#[cfg(feature = "torch")]
fn check_cuda() -> Result<()> {
    super::torch::device().map(drop).map_err(|fault| no_cuda(&fault))
}

#[cfg(not(feature = "torch"))]
fn check_cuda() -> Result<()> {
    let message = "this build has no libtorch: build with `cargo build --release --features torch` (`make build` does), or set \
                   policy.device = \"cpu\"";
    Err(Error::config("policy", "device", message))
}

#[cfg(feature = "torch")]
pub(super) fn no_cuda(fault: &str) -> Error {
    let message = format!("there is no CUDA device here: {fault}; or set policy.device = \"cpu\"");
    Error::config("policy", "device", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_is_not_there_is_refused_with_what_would_do() {
        let read = |text: &str| PixelPolicyParams::read(&text.parse().unwrap());
        assert_eq!(read("").unwrap(), PixelPolicyParams::default());
        if let Err(e) = read("device = \"cuda\"") {
            let text = e.to_string();
            assert!(text.contains("policy.device") && text.contains("\"cpu\""), "{text}");
        }
        for (text, key) in [
            ("network = \"tiny\"", "policy.network"),
            ("normalization = true", "policy.normalization"),
            ("reference_frames = 1", "policy.reference_frames"),
            ("hidden = [64]", "policy.hidden"),
        ] {
            assert!(read(text).unwrap_err().to_string().contains(key), "{text}");
        }
    }
}
