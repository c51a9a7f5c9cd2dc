//! Language models: decoder-only transformers of the Qwen2 and Llama families, LoRA adapters in PEFT's format, and populations of adapters that answer as
//! one batch through one set of weights (ESSA, 2025, <https://arxiv.org/abs/2507.04453>).
//!
//! On the processor models answer and adapters are trained by kernels of our own. The feature `torch` adds libtorch: models on CUDA devices, and training from
//! scratch.

mod array;
mod checkpoint;
mod config;
pub mod data;
mod device;
mod generate;
mod gguf;
mod lora;
mod model;
mod population;
mod sample;
mod svd;
mod task;
pub mod text;
mod tiny;
mod train;
mod weights;

pub use array::Array;
pub use checkpoint::{Checkpoint, save_checkpoint};
pub use config::{Family, Float, Llama3Scaling, ModelConfig, Module};
pub use device::Device;
pub use generate::{Generated, Generator, Query, Sampling, Stats};
pub use lora::{Lora, LoraTarget};
pub use model::{Model, Precision};
pub use population::{Basis, BasisTarget, Population};
pub use svd::{SearchKind, SearchSpace, Steps, SvdAdapter, SvdTarget};
pub use task::{
    ArithmeticParams, CountdownParams, ENTRIES, Gsm8kParams, JsonlParams, LmParams, LmSetup, LmTask, Validated,
    cut_off_caution,
};
pub use tiny::{random_weights, tiny_config, tiny_model, tiny_task};
#[cfg(feature = "torch")]
pub use train::pretrain;
pub use train::{Example, Prompts, Schedule, Surrogates, TrainRow, TrainSettings, sft};
pub use weights::WeightSpace;
