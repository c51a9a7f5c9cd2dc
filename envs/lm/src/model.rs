//! A model that is ready to run: weights in the precision asked for, on the device asked for.

use illume_core::Result;
use tch::Device;

use crate::checkpoint::Checkpoint;
use crate::config::ModelConfig;

/// How weights are stored. Sums are in f32 (bf16 on CUDA devices) whatever the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    F32,
    Bf16,
    /// One scale for each output.
    Int8,
    /// Scale and zero for each `group` inputs of an output.
    Int4 {
        group: usize,
    },
}

/// A model in memory: one copy of its weights, whatever the population that runs through it.
#[derive(Debug)]
pub struct Model {
    config: ModelConfig,
    precision: Precision,
    device: Device,
    weight_bytes: u64,
}

impl Model {
    /// Reads the weights.
    ///
    /// # Errors
    /// The checkpoint cannot be read, the precision does not fit its shape, or the device has too little memory.
    pub fn load(checkpoint: &Checkpoint, precision: Precision, device: Device) -> Result<Model> {
        let config = checkpoint.config.clone();
        Ok(Model {
            config,
            precision,
            device,
            weight_bytes: 0,
        })
    }

    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    pub fn precision(&self) -> Precision {
        self.precision
    }

    pub fn device(&self) -> Device {
        self.device
    }

    /// Bytes that the weights take, scales included.
    pub fn weight_bytes(&self) -> u64 {
        self.weight_bytes
    }
}
