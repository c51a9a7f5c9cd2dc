//! `illume lm sft`: an adapter that has learned from examples how answers are given, from which a search starts.

use std::path::{Path, PathBuf};

use illume_core::{Error, Purpose, Result, Stream};
use illume_lm::{Example, LmSetup, TrainRow, TrainSettings, sft as train};
use serde_json::json;

use super::SftArgs;
use super::training::{Watch, prepare, settings};
use crate::Config;
use crate::engine::output::{json_text, named, significant, thousands};

/// The text that `illume lm sft CONFIG` prints; the adapter is written to a folder.
///
/// # Errors
/// A configuration of another task, model or data that are missing or do not fit, no examples, or a folder that cannot be written.
pub(super) fn sft(options: &SftArgs) -> Result<String> {
    let config = Config::read(&options.config, &options.set)?;
    let setup = LmSetup::read(&illume_envs::own_keys(&config.task)).map_err(|e| config.locate(e))?;
    let out = folder(options, &setup)?;
    let settings = TrainSettings {
        device: setup.device().map_err(|e| config.locate(e))?,
        precision: setup.precision(),
        ..settings(&options.train, options.steps, options.learning_rate, 0.0)
    };
    settings.check()?;
    let examples = examples(&setup, options.cases as usize)?;
    let mut lora = setup.fresh_adapter(options.train.seed).map_err(|e| config.locate(e))?;
    lora.base = base(&setup)?;
    prepare(&out, "adapter", options.force)?;

    let (seed, batch) = (settings.seed, settings.batch);
    let mut watch = Watch::new(&settings);
    let mut order = Order::default();
    let mut next = |step| drawn(&mut order, seed, step, batch, &examples);
    let lora = train(&setup.checkpoint, lora, &mut next, &settings, &mut |row| {
        watch.step(row)
    })?;
    let last = watch.finish()?;
    lora.write(&out)?;
    Ok(report(options, &out, examples.len(), &lora, &last))
}

/// Where the adapter goes.
fn folder(options: &SftArgs, setup: &LmSetup) -> Result<PathBuf> {
    match &options.out {
        Some(out) => Ok(out.clone()),
        None if !setup.params.adapter.is_empty() => Ok(setup.params.adapter.clone().into()),
        None => Err(Error::input(format!(
            "{} names no task.adapter: say with --out where the adapter is to be written",
            options.config.display()
        ))),
    }
}

/// The model's folder as PEFT finds it from anywhere.
fn base(setup: &LmSetup) -> Result<String> {
    let folder = Path::new(&setup.params.model);
    let whole = folder.canonicalize();
    let whole = whole.map_err(|e| Error::input(format!("cannot read the model {}: {e}", folder.display())))?;
    Ok(whole.display().to_string())
}

fn examples(setup: &LmSetup, most: usize) -> Result<Vec<Example>> {
    let cases = &setup.dataset.sft;
    let n = if most == 0 { cases.len() } else { most };
    if cases.is_empty() || n > cases.len() {
        return Err(Error::input(format!(
            "--cases {most}: task \"{}\" keeps {} cases for a warm start; task.sft_cases or task.sft_share say how many",
            setup.name,
            cases.len()
        )));
    }
    cases[..n]
        .iter()
        .map(|case| {
            let (tokens, answer_from) = setup.prompter.example(case)?;
            let most = setup.checkpoint.config.max_positions;
            if tokens.len() > most {
                return Err(Error::input(format!(
                    "{}: prompt and solution have {} tokens, more than the model's context of {most}",
                    case.source,
                    tokens.len()
                )));
            }
            Ok(Example { tokens, answer_from })
        })
        .collect()
}

/// The examples of a step: one pass over all of them after another, each in an order of its own.
fn drawn(order: &mut Order, seed: u64, step: u64, batch: usize, examples: &[Example]) -> Vec<Example> {
    let n = examples.len() as u64;
    let first = step * batch as u64;
    (first..first + batch as u64)
        .map(|i| examples[order.of(seed, i / n, n)[(i % n) as usize] as usize].clone())
        .collect()
}

/// The order of the pass that was asked for last.
#[derive(Default)]
struct Order {
    pass: Option<u64>,
    order: Vec<u32>,
}

impl Order {
    fn of(&mut self, seed: u64, pass: u64, n: u64) -> &[u32] {
        if self.pass != Some(pass) {
            let stream = Stream::new(seed, Purpose::Replay, pass, 0);
            self.order = (0..n as u32).collect();
            for i in (1..n).rev() {
                self.order.swap(i as usize, stream.below(i, i + 1) as usize);
            }
            self.pass = Some(pass);
        }
        &self.order
    }
}

fn report(options: &SftArgs, out: &Path, examples: usize, lora: &illume_lm::Lora, last: &TrainRow) -> String {
    let loss = significant((last.loss * 1e4).round() / 1e4);
    if options.json {
        let fields = json!({
            "adapter": out.display().to_string(),
            "rank": lora.rank,
            "parameters": lora.parameters(),
            "examples": examples,
            "steps": last.step + 1,
            "tokens": last.tokens,
            "loss": last.loss,
            "seconds": last.seconds,
        });
        return json_text(&fields);
    }
    let parameters = thousands(lora.parameters() as u64);
    let steps = thousands(last.step + 1);
    let rows = [
        (
            "adapter",
            format!(
                "rank {}, {} matrices, {parameters} parameters",
                lora.rank,
                lora.targets.len()
            ),
        ),
        (
            "trained",
            format!("{steps} steps on {examples} examples, {:.0} s", last.seconds),
        ),
        ("loss", loss),
        ("written", out.display().to_string()),
    ];
    named(rows)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn every_pass_takes_each_example_once_and_in_another_order() {
        let example = |i| Example {
            tokens: vec![i],
            answer_from: 0,
        };
        let examples: Vec<Example> = (0..10).map(example).collect();
        let mut order = Order::default();
        let taken: Vec<u32> = (0..10)
            .flat_map(|step| drawn(&mut order, 3, step, 4, &examples))
            .map(|e| e.tokens[0])
            .collect();
        let mut counts = HashMap::new();
        taken.iter().for_each(|i| *counts.entry(*i).or_insert(0) += 1);
        assert!((0..10).all(|i| counts[&i] == 4), "{taken:?}");
        for pass in taken.chunks(10) {
            let mut sorted = pass.to_vec();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
        }
        assert_ne!(taken[..10], taken[10..20]);
    }
}
