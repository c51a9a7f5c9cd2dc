//! The tasks `lm/…`: a genome changes a language model's adapter, and its fitness is the mean reward of the model's answers to a minibatch of prompts
//! (ESSA, 2025, <https://arxiv.org/abs/2507.04453>).
//!
//! All rows of a rank are answered in one batch through one copy of the weights. An ordinary row's prompts are drawn from the training split by the
//! upper half of its seed ([`case_of_seed`]), so that rows which agree in it are compared on the same prompts; tokens are sampled by the whole seed. A test
//! row's are a part of the validation split ([`test_part_of_seed`](illume_core::test_part_of_seed)), answered greedily.

mod cases;
mod params;
mod setup;
mod slots;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use illume_core::params::Params as _;
use illume_core::{
    Axis, Error, Init, PolicyGradient, Purpose, Result, Stream, Task, TaskConfig, TaskEntry, TaskSpec, Worker,
    case_of_seed, toml,
};

pub use params::{ArithmeticParams, CountdownParams, Gsm8kParams, JsonlParams, LmParams};
pub use setup::LmSetup;

use crate::{Generator, Lora, Model, Query, Sampling, SearchKind, SearchSpace, Steps, Surrogates};
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
        summary: "language model on your own JSON lines: fitness the mean reward (exact, regex, command), descriptor the answers' length if wanted",
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
        build: |config: &TaskConfig<'_>| Ok(Box::new(LmTask::of_rank(config.task, config.ranks)?)),
    }
}

/// A language model with the cases that it is asked.
pub struct LmTask {
    spec: TaskSpec,
    setup: LmSetup,
    space: Arc<SearchSpace>,
    engine: Mutex<Engine>,
    train: Arc<Vec<Vec<u32>>>,
    validation: Vec<Vec<u32>>,
    sampling: Sampling,
}

/// What runs: only one batch at a time.
struct Engine {
    generator: Generator,
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
        let train = setup.prompts(&setup.dataset.train)?;
        let validation = setup.prompts(&setup.dataset.validation)?;
        let lora = setup.adapter()?;
        let p = &setup.params;
        let kind = match p.search.as_str() {
            "adapters" => SearchKind::Adapters,
            _ => SearchKind::SingularValues,
        };
        let steps = match p.scale.as_str() {
            "absolute" => Steps::Absolute,
            _ => Steps::Relative,
        };
        let space = Arc::new(SearchSpace::new(&lora, kind, p.alpha)?.with_steps(steps));
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
        let gradient = Surrogates::new(
            Arc::clone(&setup.checkpoint),
            Arc::clone(&space),
            Arc::new(move |case| prompts.get(case as usize).cloned()),
            p.temperature,
            device,
        )
        .of_model(Arc::clone(&model), setup.max_new_tokens);
        // Answers cut to the most probable tokens are drawn by another distribution than the one that the gradient is of.
        let gradient = (p.top_p == 1.0).then(|| Arc::new(gradient) as Arc<dyn PolicyGradient>);
        let spec = TaskSpec {
            policy_gradient: gradient,
            facts: setup.facts(&model, &lora, &space, slots, longest),
            ..setup.spec(space.dim(), validation.len())
        };
        let engine = Mutex::new(Engine {
            generator: Generator::new(model, slots),
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

    /// What a genome changes.
    pub fn space(&self) -> &SearchSpace {
        &self.space
    }

    /// The adapter of a genome, in the form that PEFT loads.
    ///
    /// # Errors
    /// The genome is not of this task's length.
    pub fn adapter(&self, genome: &[f32]) -> Result<Lora> {
        self.check_genome(genome)?;
        Ok(self.space.adapter(genome))
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
        let population = self.space.population(&[genome], engine.generator.model().device());
        let answers = engine.generator.generate(&queries, &population, &self.sampling)?;
        Ok(answers.iter().map(|a| self.setup.text(&a.tokens)).collect())
    }

    fn check_genome(&self, genome: &[f32]) -> Result<()> {
        if genome.len() == self.spec.genome_dim {
            return Ok(());
        }
        Err(Error::input(format!(
            "a genome of {} numbers is not of this task, whose genomes have {} (its adapter's rank, modules, search and alpha say so)",
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
            ..TaskSpec::new(self.name.clone(), dim, Init::Normal { mean: 0.0, sd: 0.0 })
        }
    }
}
