//! What a `[task]` table names, read and checked against each other: model, tokenizer, template, cases, adapter. All but the weights.

use std::path::Path;
use std::sync::Arc;

use illume_core::{Digest, Error, Result, Source, toml};
use illume_numerics::cuda;

use super::Space;
use super::cases::{arithmetic, countdown, gsm8k, jsonl};
use super::params::{self, ArithmeticParams, CountdownParams, Gsm8kParams, JsonlParams, LmParams};
use crate::Device;
use crate::data::{Case, Dataset, keep};
use crate::text::{ChatTemplate, Prompter, StopTexts, TextTokenizer};
use crate::{Checkpoint, Generator, Lora, Model, ModelConfig, Module, Precision};

/// What the user named.
pub struct LmSetup {
    /// `lm/arithmetic`.
    pub name: String,
    pub params: LmParams,
    /// Tokens of the longest answer.
    pub max_new_tokens: usize,
    pub checkpoint: Arc<Checkpoint>,
    pub prompter: Prompter,
    pub dataset: Dataset,
    /// The texts that end an answer.
    pub(super) stop: Arc<StopTexts>,
}

pub(super) fn wrong<T>(key: &str, message: impl Into<String>) -> Result<T> {
    Err(Error::config("task", key, message))
}

/// An error that a parameter is to blame for, as one of the configuration.
fn blame<T>(key: &str, result: Result<T>) -> Result<T> {
    result.map_err(|e| match e {
        Error::Input(message) => Error::config("task", key, message),
        other => other,
    })
}

/// The folder or GGUF file that `task.model` names, if it is there.
fn model(path: &str) -> Result<&Path> {
    let hint = "give the folder of a model as Hugging Face writes it or a .gguf file, or make a small model by `illume lm pretrain`";
    if Path::new(path).is_file() {
        return Ok(Path::new(path));
    }
    folder("model", path, hint)
}

/// The folder that a parameter names, if it is one.
fn folder<'a>(key: &str, path: &'a str, hint: &str) -> Result<&'a Path> {
    let path = Path::new(path);
    if path.is_dir() {
        return Ok(path);
    }
    wrong(key, format!("there is no folder \"{}\"; {hint}", path.display()))
}

impl LmSetup {
    /// Reads what a `[task]` table names. The adapter is left for [`LmSetup::adapter`]: a warm start makes it.
    ///
    /// # Errors
    /// The user's: parameters, and files that are missing, damaged or do not fit each other.
    pub fn read(task: &toml::Table) -> Result<LmSetup> {
        let name = task.get("name").and_then(|n| n.as_str()).unwrap_or_default();
        match name {
            "lm/gsm8k" => {
                let (shared, own) = params::read::<Gsm8kParams>(task)?;
                LmSetup::new(name, shared, own.max_new_tokens, || gsm8k(&own))
            }
            "lm/countdown" => {
                let (shared, own) = params::read::<CountdownParams>(task)?;
                LmSetup::new(name, shared, own.max_new_tokens, || countdown(&own))
            }
            "lm/arithmetic" => {
                let (shared, own) = params::read::<ArithmeticParams>(task)?;
                LmSetup::new(name, shared, own.max_new_tokens, || arithmetic(&own))
            }
            "lm/jsonl" => {
                let (shared, own) = params::read::<JsonlParams>(task)?;
                LmSetup::new(name, shared, own.max_new_tokens, || jsonl(&own))
            }
            other => wrong(
                "name",
                format!(
                    "\"{other}\" is no task of a language model; lm/arithmetic, lm/countdown, lm/gsm8k and lm/jsonl are"
                ),
            ),
        }
    }

    fn new(
        name: &str,
        params: LmParams,
        max_new_tokens: usize,
        cases: impl FnOnce() -> Result<Dataset>,
    ) -> Result<LmSetup> {
        let model = model(&params.model)?;
        let checkpoint = Arc::new(Checkpoint::open(model)?);
        let tokenizer = TextTokenizer::open(model)?;
        tokenizer.check(checkpoint.config.vocab, &checkpoint.config.eos)?;
        let date = params.date.parse().expect("checked with the parameters");
        let template = match params.chat.as_str() {
            "never" => None,
            _ => ChatTemplate::of(&tokenizer, date)?,
        };
        let stop = Arc::new(StopTexts::new(tokenizer.clone(), &params.stop));
        let prompter = Prompter::new(tokenizer, template, &params.system);
        let mut dataset = cases()?;
        dataset.validation = keep(dataset.validation, params.validation);
        for (split, cases) in [("train", &dataset.train), ("validation", &dataset.validation)] {
            if cases.is_empty() {
                return wrong(
                    "data",
                    format!("the {split} split has no cases; give more of them, or other shares"),
                );
            }
        }
        Ok(LmSetup {
            name: name.into(),
            params,
            max_new_tokens,
            checkpoint,
            prompter,
            dataset,
            stop,
        })
    }

    fn config(&self) -> &ModelConfig {
        &self.checkpoint.config
    }

    /// The tokens of each case's prompt.
    pub(super) fn prompts(&self, cases: &[Case]) -> Result<Vec<Vec<u32>>> {
        let tokens = |case: &Case| {
            let tokens = self.prompter.prompt(&case.prompt)?;
            self.check_length(&case.source, tokens.len())?;
            Ok(tokens)
        };
        cases.iter().map(tokens).collect()
    }

    /// Whether a prompt of this many tokens leaves room for an answer.
    pub(super) fn check_length(&self, source: &str, tokens: usize) -> Result<()> {
        let most = self.config().max_positions;
        if tokens == 0 {
            return Err(Error::input(format!("{source}: the prompt has no tokens")));
        }
        if tokens + self.max_new_tokens <= most {
            return Ok(());
        }
        Err(Error::input(format!(
            "{source}: the prompt has {tokens} tokens and with task.max_new_tokens = {} is longer than the model's context of {most} \
             (max_position_embeddings); at most {} fit",
            self.max_new_tokens,
            most.saturating_sub(self.max_new_tokens)
        )))
    }

    /// The linear maps that a new adapter changes.
    ///
    /// # Errors
    /// A name is none of them.
    pub fn modules(&self) -> Result<Vec<Module>> {
        let module = |name: &String| match Module::from_name(name) {
            Some(module) => Ok(module),
            None => {
                let known = Module::ALL.map(Module::name).join(", ");
                wrong("modules", format!("there is no \"{name}\"; accepted: {known}"))
            }
        };
        self.params.modules.iter().map(module).collect()
    }

    /// A new adapter, which leaves the model as it is. `alpha` is its own, not the task's: twice the rank, as is usual.
    ///
    /// # Errors
    /// The rank or a module is not the model's.
    pub fn fresh_adapter(&self, seed: u64) -> Result<Lora> {
        let rank = self.params.rank;
        let modules = self.modules()?;
        blame(
            "rank",
            Lora::fresh(self.config(), rank, 2.0 * rank as f64, &modules, seed),
        )
    }

    /// The adapter that the search starts from.
    ///
    /// # Errors
    /// It is missing, another model's, or all zeros where its singular values are to be searched.
    pub fn adapter(&self) -> Result<Lora> {
        let p = &self.params;
        let singular = p.search == "singular_values";
        let remedy = "make one by `illume lm sft`, or set task.search = \"adapters\"";
        if p.adapter.is_empty() {
            if singular {
                let message =
                    format!("empty: a new adapter is zero, so that it has no singular values to search; {remedy}");
                return wrong("adapter", message);
            }
            return self.fresh_adapter(0);
        }
        let hint = "give the folder of an adapter as PEFT writes it; `illume lm sft` makes one";
        let lora = Lora::read(folder("adapter", &p.adapter, hint)?, self.config())?;
        if let (true, Some((target, factor))) = (singular, lora.zero_factor()) {
            let message = format!(
                "{factor} of {} in \"{}\" is zero, so that it has no singular values to search; {remedy}",
                target.path(),
                p.adapter
            );
            return wrong("adapter", message);
        }
        Ok(lora)
    }

    /// The adapter that is added to the weights before whole weights are searched, if there is one.
    ///
    /// # Errors
    /// It is missing, or another model's.
    pub(super) fn merged_adapter(&self) -> Result<Option<Lora>> {
        match self.params.adapter.is_empty() {
            true => Ok(None),
            false => self.adapter().map(Some),
        }
    }

    /// Model, adapter and data.
    pub(super) fn sources(&self) -> Result<Vec<Source>> {
        let mut data = Digest::default();
        for case in self.dataset.train.iter().chain(&self.dataset.validation) {
            data.take(case.prompt.as_bytes());
            data.take(case.answer.as_bytes());
        }
        let mut all = vec![
            Source::new("task.model", self.checkpoint.fingerprint()),
            Source::new("the task's data", data.value()),
        ];
        if !self.params.adapter.is_empty() {
            let mut adapter = Digest::default();
            for target in &self.adapter()?.targets {
                adapter.take(target.path().as_bytes());
                adapter.take_numbers(target.a.values());
                adapter.take_numbers(target.b.values());
            }
            all.push(Source::new("task.adapter", adapter.value()));
        }
        Ok(all)
    }

    /// That of the model's weights.
    pub fn precision(&self) -> Precision {
        match self.params.precision.as_str() {
            "bf16" => Precision::Bf16,
            "int8" => Precision::Int8,
            "int4" => Precision::Int4 {
                group: self.params.group,
            },
            _ => Precision::F32,
        }
    }

    /// Where the model runs.
    ///
    /// # Errors
    /// CUDA is asked for and not there.
    pub fn device(&self) -> Result<Device> {
        let cuda = || Device::Cuda(cuda::device_of(illume_core::local_rank()));
        match self.params.device.as_str() {
            "cpu" => Ok(Device::Cpu),
            "cuda" => match cuda::missing(0) {
                None => Ok(cuda()),
                Some(fault) => wrong(
                    "device",
                    format!("there is no CUDA device here: {fault}; or set task.device = \"cpu\""),
                ),
            },
            _ => Ok(if cuda::available() { cuda() } else { Device::Cpu }),
        }
    }

    /// Tokens that end an answer.
    pub(super) fn stop_tokens(&self) -> Vec<u32> {
        let tokenizer = self.prompter.tokenizer();
        let single = |text: &String| match tokenizer.encode(text, false).as_deref() {
            Ok([one]) => Some(*one),
            _ => None,
        };
        let mut stop: Vec<u32> = self.config().eos.clone();
        stop.extend(tokenizer.eos());
        stop.extend(self.params.stop.iter().filter(|t| !t.is_empty()).filter_map(single));
        stop.sort_unstable();
        stop.dedup();
        stop
    }

    /// The text of an answer's tokens, cut where the user wants it.
    pub fn text(&self, tokens: &[u32]) -> String {
        self.stop.text(tokens)
    }

    /// What the log says at the start.
    pub(super) fn facts(&self, model: &Model, space: &Space, slots: usize, longest: usize) -> Vec<(String, String)> {
        let config = self.config();
        let size = |bytes: u64| match bytes as f64 {
            b if b < 1e9 => format!("{:.1} MB", b / 1e6),
            b => format!("{:.2} GB", b / 1e9),
        };
        let place = match model.device() {
            Device::Cpu => "the CPU".to_string(),
            device => format!("{device:?}"),
        };
        let d = &self.dataset;
        let fact = |name: &str, value: String| (name.to_string(), value);
        vec![
            fact(
                "model",
                format!(
                    "{}, {} parameters in {}: {} of weights, one copy for each rank, on {}",
                    config.family.name(),
                    config.parameters(),
                    self.params.precision,
                    size(model.weight_bytes()),
                    place
                ),
            ),
            fact("adapter", space.adapter()),
            fact(
                "search",
                format!("{} numbers: {}{}", space.dim(), self.params.search, space.steps()),
            ),
            fact(
                "answers",
                format!(
                    "{slots} at a time, {} for keys and values of up to {longest} tokens each",
                    size(Generator::cache_bytes(model, slots, longest))
                ),
            ),
            fact(
                "cases",
                format!(
                    "{} train, {} validation, {} warm start",
                    d.train.len(),
                    d.validation.len(),
                    d.sft.len()
                ),
            ),
        ]
    }
}
