//! `illume lm`: what a search over a language model begins with and ends in. A small model from scratch, an adapter by examples, answers to look at.

#[cfg(not(feature = "torch"))]
mod absent;
#[cfg(feature = "torch")]
mod adapter;
#[cfg(feature = "torch")]
mod answer;
#[cfg(feature = "torch")]
mod pretrain;
#[cfg(feature = "torch")]
mod sft;
#[cfg(feature = "torch")]
mod training;

use std::path::PathBuf;

use super::Which;

#[cfg(not(feature = "torch"))]
pub use absent::{adapter, answer, pretrain, sft};
#[cfg(feature = "torch")]
pub use adapter::adapter;
#[cfg(feature = "torch")]
pub use answer::answer;
#[cfg(feature = "torch")]
pub use pretrain::pretrain;
#[cfg(feature = "torch")]
pub use sft::sft;

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
    /// A parameter of the generated text, such as digits=2; may be repeated (envs/lm/README.md lists them)
    #[arg(long = "text", value_name = "KEY=VALUE")]
    pub text: Vec<String>,
    #[command(flatten)]
    pub train: TrainOptions,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    pub json: bool,
}

/// What `illume lm sft` was asked.
#[derive(Debug, Clone, clap::Args)]
pub struct SftOptions {
    /// TOML file of the run to come: its table task names the model, the data and the adapter's rank and modules
    pub config: PathBuf,
    /// Override a key of the configuration, such as task.rank=4; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Folder of the adapter, which must not exist or be empty [default: the configuration's task.adapter]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write over a folder that is not empty
    #[arg(long)]
    pub force: bool,
    /// Steps
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub steps: u32,
    /// The highest learning rate
    #[arg(long, default_value_t = 1e-3, value_name = "X")]
    pub learning_rate: f64,
    /// Examples to learn from, of those that the task keeps for a warm start; 0 for all
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub cases: u32,
    #[command(flatten)]
    pub train: TrainOptions,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    pub json: bool,
}

/// What `illume lm answer` was asked.
#[derive(Debug, Clone, clap::Args)]
pub struct AnswerOptions {
    /// Run directory, .h5 file, or the TOML file of a run: then the adapter that it starts from answers
    pub path: PathBuf,
    /// Override a key of the configuration, such as task.precision=int8; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// Of a run: best, solution (the strategy's own result), or the number of a cell [default: the solution if there is one, else the best]
    #[arg(long, value_name = "ELITE")]
    pub elite: Option<Which>,
    /// The model without an adapter
    #[arg(long, conflicts_with = "elite")]
    pub base: bool,
    /// A prompt of your own, in place of the validation split; may be repeated
    #[arg(long, value_name = "TEXT")]
    pub prompt: Vec<String>,
    /// Cases of the validation split, spread over it; 0 for all
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub cases: u32,
    /// Answers to show, spread over the cases
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub show: u32,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    pub json: bool,
}

/// What `illume export PATH --adapter DIR` was asked.
#[derive(Debug, Clone)]
pub struct AdapterOptions {
    /// Folder to write.
    pub folder: PathBuf,
    pub elite: Option<Which>,
    /// Write over a folder that is not empty.
    pub force: bool,
    pub json: bool,
}
