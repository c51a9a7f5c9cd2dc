//! Many individuals at once on a device of libtorch: networks with different weights, batched, while the rank's threads step their games.
//!
//! Deep GA's program does so on GPUs (convolutions as products of patches, each individual with its own weights; slots that take the next
//! individual when an episode ends); this is written anew. It is tested against the own kernel on libtorch's CPU device,
//! and on CUDA where there is one.

mod stack;
#[cfg(test)]
mod tests;
mod worker;

pub use worker::SlotWorker;

use illume_numerics::cuda;

/// The CUDA device that belongs to this rank.
///
/// # Errors
/// There is none; the text is the part of a sentence.
pub fn device() -> Result<tch::Device, String> {
    match cuda::missing(0) {
        Some(fault) => Err(fault),
        None => Ok(tch::Device::Cuda(cuda::device_of(illume_core::local_rank()))),
    }
}
