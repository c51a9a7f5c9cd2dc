//! `illume lm`: what a search over a language model begins with and ends in. A small model from scratch or one of a GGUF file, an adapter by examples,
//! answers to look at.

#[cfg(not(feature = "torch"))]
mod absent;
#[cfg(feature = "lm")]
mod adapter;
#[cfg(feature = "lm")]
mod answer;
#[cfg(feature = "lm")]
mod import;
#[cfg(feature = "torch")]
mod pretrain;
#[cfg(feature = "lm")]
mod sft;
#[cfg(feature = "lm")]
mod training;

use std::path::PathBuf;

use clap::Subcommand;

use super::elite::Which;
use super::launch::{Threads, first_rank, on_all_ranks, stopping};

#[cfg(not(feature = "torch"))]
use absent::pretrain;
#[cfg(not(feature = "lm"))]
pub(super) use absent::{adapter, model};
#[cfg(not(feature = "lm"))]
use absent::{answer, import, sft};
#[cfg(feature = "lm")]
pub(super) use adapter::{adapter, model};
#[cfg(feature = "lm")]
use answer::answer;
#[cfg(feature = "lm")]
use import::import;
#[cfg(feature = "torch")]
use pretrain::pretrain;
#[cfg(feature = "lm")]
use sft::sft;

/// Language models: train a small one, import one, adapt one by examples, look at answers
#[derive(clap::Args)]
pub struct LmArgs {
    #[command(subcommand)]
    command: Lm,
}

#[derive(Subcommand)]
enum Lm {
    Pretrain(PretrainArgs),
    Import(ImportArgs),
    Sft(SftArgs),
    Answer(AnswerArgs),
}

impl LmArgs {
    pub fn run(&self) -> u8 {
        match &self.command {
            Lm::Pretrain(args) => stopping(&args.threads, first_rank(|| pretrain(args))),
            Lm::Import(args) => on_all_ranks(&args.threads, first_rank(|| import(args))),
            Lm::Sft(args) => stopping(&args.threads, first_rank(|| sft(args))),
            Lm::Answer(args) => on_all_ranks(&args.threads, first_rank(|| answer(args))),
        }
    }
}

// How long and how fast is trained; flattened, so without a documentation comment.
#[derive(Debug, Clone, clap::Args)]
struct TrainArgs {
    /// Texts a step
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    batch: u32,
    /// Steps in which the learning rate rises to its highest; it then falls along half a cosine
    #[arg(long, default_value_t = 20, value_name = "N")]
    warmup: u32,
    /// Keys all randomness
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Train a small model of the Qwen2 architecture from scratch on generated text
#[derive(Debug, Clone, clap::Args)]
struct PretrainArgs {
    /// Folder of the model; it must not exist or be empty
    #[arg(long, value_name = "DIR", default_value = "runs/lm/small")]
    out: PathBuf,
    /// Write over a folder that is not empty
    #[arg(long)]
    force: bool,
    /// Layers
    #[arg(long, default_value_t = 4, value_name = "N")]
    layers: usize,
    /// Width of the residual stream
    #[arg(long, default_value_t = 128, value_name = "N")]
    hidden: usize,
    /// Heads of queries
    #[arg(long, default_value_t = 4, value_name = "N")]
    heads: usize,
    /// Heads of keys and values
    #[arg(long, default_value_t = 2, value_name = "N")]
    kv_heads: usize,
    /// Width of the feed-forward blocks
    #[arg(long, default_value_t = 384, value_name = "N")]
    intermediate: usize,
    /// Steps
    #[arg(long, default_value_t = 2000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// The highest learning rate
    #[arg(long, default_value_t = 3e-3, value_name = "X")]
    learning_rate: f64,
    /// A parameter of the generated text, such as digits=2; may be repeated (lm/README.md lists them)
    #[arg(long = "text", value_name = "KEY=VALUE")]
    text: Vec<String>,
    #[command(flatten)]
    train: TrainArgs,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

/// Write the model of a GGUF file as a folder in Hugging Face's layout, which transformers and PEFT open
#[derive(Debug, Clone, clap::Args)]
struct ImportArgs {
    /// GGUF file of a Llama or Qwen2 model; a run may also name the file itself as its task.model
    model: PathBuf,
    /// Folder of the model; it must not exist or be empty
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write over a folder that is not empty
    #[arg(long)]
    force: bool,
    /// How weights are stored: f32 loses nothing of any quantization, bf16 and f16 need half the space
    #[arg(long, default_value = "f32", value_name = "TYPE", value_parser = ["f32", "bf16", "f16"])]
    dtype: String,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

/// Teach an adapter by examples how answers are given (LoRA, the warm start of a search)
#[derive(Debug, Clone, clap::Args)]
struct SftArgs {
    /// TOML file of the run to come: its table task names the model, the data and the adapter's rank and modules
    config: PathBuf,
    /// Override a key of the configuration, such as task.rank=4; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder of the adapter, which must not exist or be empty [default: the configuration's task.adapter]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write over a folder that is not empty
    #[arg(long)]
    force: bool,
    /// Steps
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    steps: u32,
    /// The highest learning rate
    #[arg(long, default_value_t = 1e-3, value_name = "X")]
    learning_rate: f64,
    /// Examples to learn from, of those that the task keeps for a warm start; 0 for all
    #[arg(long, default_value_t = 0, value_name = "N")]
    cases: u32,
    #[command(flatten)]
    train: TrainArgs,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}

/// Print prompts, answers and their rewards, and the mean reward on the validation split
#[derive(Debug, Clone, clap::Args)]
struct AnswerArgs {
    /// Run directory, .h5 file, or the TOML file of a run: then the adapter that it starts from answers
    path: PathBuf,
    /// Override a key of the configuration, such as task.precision=int8; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Of a run: best, solution (the strategy's own result), or the number of a cell [default: the solution if there is one, else the best]
    #[arg(long, value_name = "ELITE")]
    elite: Option<Which>,
    /// The model without an adapter
    #[arg(long, conflicts_with = "elite")]
    base: bool,
    /// A prompt of your own, in place of the validation split; may be repeated
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["samples", "temperature"])]
    prompt: Vec<String>,
    /// Answers to each case, by which the mean reward (avg@N) and the chance that one of k answers passes (pass@k) are estimated
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    samples: u32,
    /// Temperature at which answers are drawn; 0: greedy [default: 0 for one sample; of several the task's, or 1 if that is 0]
    #[arg(long, value_name = "T", allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// An answer passes from this reward on
    #[arg(long, default_value_t = 1.0, value_name = "R", allow_negative_numbers = true)]
    passes_from: f64,
    /// Cases of the validation split, spread over it; 0 for all
    #[arg(long, default_value_t = 0, value_name = "N")]
    cases: u32,
    /// Answers to show, spread over the cases
    #[arg(long, default_value_t = 5, value_name = "N")]
    show: u32,
    /// Print JSON with documented fields (docs/format.md)
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    threads: Threads,
}
