//! `illume lm`: what a search over a language model begins with and ends in. A small model from scratch, an adapter by examples, answers to look at.

#[cfg(not(feature = "torch"))]
mod absent;
#[cfg(feature = "torch")]
mod pretrain;
#[cfg(feature = "torch")]
mod training;

use std::path::PathBuf;

#[cfg(not(feature = "torch"))]
pub use absent::pretrain;
#[cfg(feature = "torch")]
pub use pretrain::pretrain;

/// How long and how fast is trained, as the command line says it.
#[derive(Debug, Clone, clap::Args)]
pub struct TrainOptions {
    /// Texts a step
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub batch: u32,
    /// Steps in which the learning rate rises to its highest; it then falls along half a cosine
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub warmup: u32,
    /// Keys all randomness
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// What `illume lm pretrain` was asked.
#[derive(Debug, Clone, clap::Args)]
pub struct PretrainOptions {
    /// Folder of the model; it must not exist or be empty
    #[arg(long, value_name = "DIR", default_value = "runs/lm/small")]
    pub out: PathBuf,
    /// Write over a folder that is not empty
    #[arg(long)]
    pub force: bool,
    /// Layers
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub layers: usize,
    /// Width of the residual stream
    #[arg(long, default_value_t = 128, value_name = "N")]
    pub hidden: usize,
    /// Heads of queries
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub heads: usize,
    /// Heads of keys and values
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub kv_heads: usize,
    /// Width of the feed-forward blocks
    #[arg(long, default_value_t = 384, value_name = "N")]
    pub intermediate: usize,
    /// Steps
    #[arg(long, default_value_t = 2000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// The highest learning rate
    #[arg(long, default_value_t = 3e-3, value_name = "X")]
    pub learning_rate: f64,
    /// A parameter of the generated text, such as digits=2; may be repeated (docs/language_models.md lists them)
    #[arg(long = "text", value_name = "KEY=VALUE")]
    pub text: Vec<String>,
    #[command(flatten)]
    pub train: TrainOptions,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    pub json: bool,
}
