//! The tasks `lm/…`: a genome changes a language model's adapter (or its weights), and its fitness is the mean reward of the model's answers to a minibatch of prompts
//! (ESSA, 2025, <https://arxiv.org/abs/2507.04453>).
//!
//! All rows of a rank are answered in one batch through one copy of the weights. An ordinary row's prompts are drawn from the training split by the
//! upper half of its seed ([`case_of_seed`]), so that rows which agree in it are compared on the same prompts; tokens are sampled by the whole seed. A test
//! row's are a part of the validation split ([`test_part_of_seed`](illume_core::test_part_of_seed)), answered greedily.

mod cases;
mod params;
mod setup;
mod slots;
mod space;
#[cfg(test)]
mod tests;
mod validate;
mod worker;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use illume_core::params::Params as _;
use illume_core::{
    Axis, Error, Init, Measure, Measured, PolicyGradient, Purpose, Result, Stream, Task, TaskConfig, TaskEntry,
    TaskSpec, Worker, case_of_seed, toml,
};

pub use params::{ArithmeticParams, CountdownParams, Gsm8kParams, JsonlParams, LmParams};
pub use setup::LmSetup;
pub use validate::Validated;

use crate::{Generator, Lora, Model, Query, Sampling, SearchSpace, Surrogates, WeightSpace};
use space::Space;
use worker::LmWorker;

/// The registry's entries.
pub static ENTRIES: [TaskEntry; 4] = [
    TaskEntry {
        summary: "language model on GSM8K's problems: fitness the share of right answers, descriptor their length if wanted",
        params: <(Gsm8kParams, LmParams)>::describe,
        ..entry("lm/gsm8k")
    },
    TaskEntry {
        summary: "language model on countdown (make a target of given numbers): fitness the mean reward, descriptor the answers' length if wanted",
        params: <(CountdownParams, LmParams)>::describe,
        ..entry("lm/countdown")
    },
    TaskEntry {
        summary: "language model on sums and small word problems: fitness the share of right answers, descriptor their length if wanted",
        params: <(ArithmeticParams, LmParams)>::describe,
        ..entry("lm/arithmetic")
    },
    TaskEntry {
        summary: "language model on your own JSON lines: fitness the mean reward (exact, regex, math, instructions, command), descriptor the answers' length if wanted",
        params: <(JsonlParams, LmParams)>::describe,
        ..entry("lm/jsonl")
    },
];

const fn entry(name: &'static str) -> TaskEntry {
    TaskEntry {
        name,
        family: &[],
        summary: "",
        params: Vec::new,
        network: false,
        cases: true,
        policy: None,
        small: "",
        suggested: "[task]\nmodel = \"runs/lm/small\"\nadapter = \"runs/lm/small-sft\"\ndescriptor = \"length\"\n[archive]\nkind = \"grid\"\nshape = [32]\n[budget]\ngenerations = 100",
        gene_scale: 0.15,
        sketch: None,
        build: |config: &TaskConfig<'_>| Ok(Box::new(LmTask::of_rank(config.task, config.ranks)?)),
    }
}

/// How much is measured of a row's answers.
const MEASURES: usize = 2;

/// From this share of answers on that were cut off the user is told.
const NEARLY_ALL: f64 = 0.95;

/// What the user is told if of a number of answers this share was cut off, if anything.
pub fn cut_off_caution(share: f64, max_new_tokens: usize) -> Option<String> {
    (share >= NEARLY_ALL).then(|| caution(max_new_tokens))
}

fn caution(max_new_tokens: usize) -> String {
    format!(
        "nearly all answers were cut off at max_new_tokens = {max_new_tokens}, before they came to an end: raise task.max_new_tokens, or give in task.stop \
         a text that ends an answer"
    )
}

fn measures(max_new_tokens: usize) -> [Measured; MEASURES] {
    [
        Measured {
            name: "tokens",
            unit: "tokens",
            description: "tokens of prompts and answers so far, tests not counted",
            kind: Measure::Sum,
            caution: None,
        },
        Measured {
            name: "cut_off",
            unit: "",
            description: "share of this generation's answers that were cut off at the longest answer's length, tests not counted",
            kind: Measure::Share,
            caution: Some((NEARLY_ALL, caution(max_new_tokens))),
        },
    ]
}

/// A language model with the cases that it is asked.
pub struct LmTask {
    spec: TaskSpec,
    setup: LmSetup,
    space: Space,
    engine: Mutex<Engine>,
    train: Arc<Vec<Vec<u32>>>,
    validation: Vec<Vec<u32>>,
    sampling: Sampling,
}

/// The genome whose weights a model has.
enum Held {
    /// The checkpoint's own, or none for sure.
    Neither,
    Copy(Vec<f32>),
    /// The same memory, for as long as somebody keeps it.
    Shared(Weak<Vec<f32>>),
}

/// What runs: only one batch at a time.
struct Engine {
    generator: Generator,
    /// The genome whose weights the model has, where genomes are weights.
    weights: Held,
    /// Why the first row failed that did.
    failure: Option<String>,
}

impl LmTask {
    /// The task of a `[task]` table.
    ///
    /// # Errors
    /// The user's: parameters, model, tokenizer, adapter or data that are missing or do not fit each other.
    pub fn new(task: &toml::Table) -> Result<LmTask> {
        LmTask::of_rank(task, 1)
    }

    /// The same for one of so many `ranks` that share this node's memory.
    ///
    /// # Errors
    /// As [`LmTask::new`].
    pub fn of_rank(task: &toml::Table, ranks: usize) -> Result<LmTask> {
        let setup = LmSetup::read(task)?;
        let (batch, cases) = (setup.params.batch, setup.dataset.train.len());
        if batch > cases {
            let message = format!(
                "{batch} prompts a candidate are more than the {cases} cases of the train split; at most that many"
            );
            return Err(Error::config("task", "batch", message));
        }
        let train = setup.prompts(&setup.dataset.train)?;
        let validation = setup.prompts(&setup.dataset.validation)?;
        let space = Space::new(&setup)?;
        let p = &setup.params;
        let device = setup.device()?;
        let model = Arc::new(Model::load(&setup.checkpoint, setup.precision(), device)?);
        let longest = train.iter().chain(&validation).map(Vec::len).max().unwrap_or(0) + setup.max_new_tokens;
        let slots = match p.slots {
            0 => slots::automatic(&model, longest, ranks),
            slots => slots,
        };
        let sampling = Sampling {
            temperature: p.temperature,
            top_p: p.top_p,
            max_new_tokens: setup.max_new_tokens,
            stop: setup.stop_tokens(),
            stop_texts: (!setup.stop.is_empty()).then(|| Arc::clone(&setup.stop)),
        };
        let train = Arc::new(train);
        let prompts = Arc::clone(&train);
        let gradient = |space: &Arc<SearchSpace>| {
            let surrogates = Surrogates::new(
                Arc::clone(&setup.checkpoint),
                Arc::clone(space),
                Arc::new(move |case| prompts.get(case as usize).cloned()),
                p.temperature,
                device,
            );
            Arc::new(surrogates.of_model(Arc::clone(&model), setup.max_new_tokens)) as Arc<dyn PolicyGradient>
        };
        let spec = TaskSpec {
            // Answers cut to the most probable tokens are drawn by another distribution than the one that the gradient is of.
            policy_gradient: space.adapters().filter(|_| p.top_p == 1.0).map(gradient),
            matrices: space.matrices(&setup.checkpoint.config),
            sources: setup.sources()?,
            facts: setup.facts(&model, &space, slots, longest),
            ..setup.spec(space.dim(), validation.len())
        };
        let engine = Mutex::new(Engine {
            generator: Generator::new(model, slots),
            weights: Held::Neither,
            failure: None,
        });
        Ok(LmTask {
            spec,
            setup,
            space,
            engine,
            train,
            validation,
            sampling,
        })
    }

    pub fn setup(&self) -> &LmSetup {
        &self.setup
    }

    /// The adapter of a genome, in the form that PEFT loads.
    ///
    /// # Errors
    /// The genome is not of this task's length, or is whole weights.
    pub fn adapter(&self, genome: &[f32]) -> Result<Lora> {
        self.check_genome(genome)?;
        match &self.space {
            Space::Adapters(space) => Ok(space.adapter(genome)),
            Space::Weights(_) => Err(Error::input(
                "the genomes of task.search = \"weights\" are whole weights, which no adapter holds: expected --model DIR, which writes a model",
            )),
        }
    }

    /// Writes the model of a genome as `transformers` loads it, its adapter added to the weights.
    ///
    /// # Errors
    /// The genome is not of this task's length, or the files cannot be written.
    pub fn save_model(&self, genome: &[f32], dir: &Path) -> Result<()> {
        self.check_genome(genome)?;
        match &self.space {
            Space::Weights(space) => space.save(genome, dir),
            Space::Adapters(space) => {
                let merged = WeightSpace::new(Arc::clone(&self.setup.checkpoint), Some(space.adapter(genome)));
                merged.save(&[], dir)
            }
        }
    }

    /// Answers of a genome to prompts as the user types them, sampled as the task says.
    ///
    /// # Errors
    /// The genome is not of this task's length, a prompt is longer than the context, or the model failed.
    pub fn answer(&self, genome: &[f32], prompts: &[&str], seed: u64) -> Result<Vec<String>> {
        self.check_genome(genome)?;
        let tokens: Vec<Vec<u32>> = prompts
            .iter()
            .map(|prompt| {
                let tokens = self.setup.prompter.prompt(prompt)?;
                self.setup.check_length("the prompt", tokens.len())?;
                Ok(tokens)
            })
            .collect::<Result<_>>()?;
        let queries: Vec<Query<'_>> = (0..)
            .zip(&tokens)
            .map(|(i, prompt)| Query {
                prompt,
                member: 0,
                stream: Stream::new(seed, Purpose::Token, 0, i),
            })
            .collect();
        let mut engine = self.engine();
        let population = engine.only(&self.space, genome)?;
        let answers = engine.generator.generate(&queries, &population, &self.sampling)?;
        Ok(answers.iter().map(|a| self.setup.text(&a.tokens)).collect())
    }

    fn check_genome(&self, genome: &[f32]) -> Result<()> {
        if genome.len() == self.spec.genome_dim {
            return Ok(());
        }
        Err(Error::input(format!(
            "a genome of {} numbers is not of this task, whose genomes have {} (its search, and its adapter's rank, modules and alpha say so)",
            genome.len(),
            self.spec.genome_dim
        )))
    }

    fn engine(&self) -> MutexGuard<'_, Engine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The numbers of the training cases of an evaluation seed: `batch` distinct ones.
    fn minibatch(&self, seed: u64) -> Vec<u32> {
        let n = self.train.len() as u64;
        let stream = Stream::new(u64::from(case_of_seed(seed)), Purpose::Minibatch, 0, 0);
        let mut cases: Vec<u32> = (0..n as u32).collect();
        let batch = self.setup.params.batch.min(cases.len());
        for i in 0..batch {
            let other = i as u64 + stream.below(i as u64, n - i as u64);
            cases.swap(i, other as usize);
        }
        cases.truncate(batch);
        cases
    }
}

impl Task for LmTask {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(LmWorker::new(self)))
    }

    fn failure(&self) -> Option<String> {
        self.engine().failure.clone()
    }
}

impl LmSetup {
    /// The spec but for facts and gradient.
    fn spec(&self, dim: usize, validation: usize) -> TaskSpec {
        let p = &self.params;
        let tokens = |answers: usize| u32::try_from(answers.saturating_mul(self.max_new_tokens)).unwrap_or(u32::MAX);
        let descriptor = match p.descriptor.as_str() {
            "length" => vec![Axis::new("answer_length", "tokens", 0.0, self.max_new_tokens as f64)],
            _ => Vec::new(),
        };
        TaskSpec {
            descriptor,
            fitness: "mean reward of the answers".into(),
            max_steps: tokens(p.batch),
            test_steps: tokens(validation),
            test_cases: validation,
            chunk: 1 << 30,
            measures: measures(self.max_new_tokens).into(),
            ..TaskSpec::new(self.name.clone(), dim, Init::Normal { mean: 0.0, sd: 0.0 })
        }
    }
}
