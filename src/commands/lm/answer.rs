//! `illume lm answer`: what a model with an adapter answers, and what that is worth.

use std::iter;
use std::path::Path;

use illume_archives::file;
use illume_core::{Error, Result, Task};
use illume_lm::{LmTask, Validated, cut_off_caution};
use serde_json::json;

use super::AnswerArgs;
use super::adapter::{Found, check_task, config_of, found, is_config};
use crate::Config;
use crate::analysis::statistics::{mean_with_error, pass_at};
use crate::engine::output::{json_text, named, percent, significant, thousands};

/// A prompt with its answer, and what it was worth if that can be said.
struct Shown {
    prompt: String,
    answer: String,
    /// What was expected, and the reward.
    worth: Option<(String, f64)>,
}

/// The text that `illume lm answer PATH` prints.
///
/// # Errors
/// No such run or configuration, one of another kind of task, no such elite, or a model, adapter or data that are missing or do not fit.
pub(super) fn answer(options: &AnswerArgs) -> Result<String> {
    let (config, found) = subject(options)?;
    let task = LmTask::new(&illume_envs::own_keys(&config.task)).map_err(|e| config.locate(e))?;
    let found = found.unwrap_or_else(|| Found {
        genome: vec![0.0; task.spec().genome_dim],
        name: if options.base { "none".into() } else { "start".into() },
        fitness: f64::NAN,
        meaning: String::new(),
    });
    if !options.prompt.is_empty() {
        let prompts: Vec<&str> = options.prompt.iter().map(String::as_str).collect();
        let answers = task.answer(&found.genome, &prompts, config.seed)?;
        let shown = options.prompt.iter().zip(answers).map(|(prompt, answer)| Shown {
            prompt: prompt.clone(),
            answer,
            worth: None,
        });
        return Ok(report(options, &task, &found, &shown.collect::<Vec<_>>(), None));
    }
    let samples = options.samples as usize;
    let temperature = temperature(options, task.setup().params.temperature)?;
    let answers = task.validate(&found.genome, samples, temperature, config.seed)?;
    let cases = &task.setup().dataset.validation;
    let n = cases.len();
    let most = (options.show as usize).min(n);
    // Of several answers to a case the first.
    let shown: Vec<Shown> = (0..most)
        .map(|i| &answers[i * n / most * samples])
        .map(|answer| Shown {
            prompt: cases[answer.case].prompt.clone(),
            answer: answer.text.clone(),
            worth: Some((cases[answer.case].answer.clone(), answer.reward)),
        })
        .collect();
    let summary = Summary::of(&answers, samples, temperature, options.passes_from);
    Ok(report(options, &task, &found, &shown, Some(&summary)))
}

/// At what temperature the validation split is answered.
///
/// # Errors
/// It is none, or would give the same answer several times.
fn temperature(options: &AnswerArgs, of_task: f64) -> Result<f64> {
    let chosen = match (options.temperature, options.samples) {
        (Some(t), _) => t,
        (None, 1) => 0.0,
        (None, _) if of_task > 0.0 => of_task,
        (None, _) => 1.0,
    };
    if !(chosen == 0.0 || (1e-6..=100.0).contains(&chosen)) {
        return Err(Error::input(format!(
            "--temperature {chosen}: expected 0 (greedy), or from 0.000001 to 100"
        )));
    }
    if chosen == 0.0 && options.samples > 1 {
        return Err(Error::input(format!(
            "--samples {} --temperature 0: a greedy answer is the same each time; expected a temperature above 0",
            options.samples
        )));
    }
    Ok(chosen)
}

/// A mean over prompts with its standard error.
type Estimate = [f64; 2];

/// What the answers to the validation split are worth.
struct Summary {
    cases: usize,
    samples: usize,
    temperature: f64,
    mean_reward: Estimate,
    /// For k = 1, 2, 4, … and all samples; empty for one.
    pass_at: Vec<(usize, Estimate)>,
    /// Share of the answers that were cut off.
    cut_off: f64,
}

impl Summary {
    /// Of the answers to all cases, `samples` behind one another for each; an answer passes if its reward is at least `passes_from`.
    fn of(answers: &[Validated], samples: usize, temperature: f64, passes_from: f64) -> Summary {
        let of_cases = |value: &dyn Fn(&[Validated]) -> f64| -> Estimate {
            mean_with_error(&answers.chunks_exact(samples).map(value).collect::<Vec<f64>>())
        };
        let mean = |case: &[Validated]| case.iter().map(|a| a.reward).sum::<f64>() / samples as f64;
        let passed = |case: &[Validated]| case.iter().filter(|a| a.reward >= passes_from).count();
        let mut ks: Vec<usize> = (0..usize::BITS)
            .map(|power| 1 << power)
            .take_while(|k| *k < samples)
            .collect();
        if samples > 1 {
            ks.push(samples);
        }
        Summary {
            cases: answers.len() / samples,
            samples,
            temperature,
            mean_reward: of_cases(&mean),
            pass_at: ks
                .into_iter()
                .map(|k| (k, of_cases(&|case| pass_at(k, samples, passed(case)))))
                .collect(),
            cut_off: answers.iter().filter(|a| a.cut_off).count() as f64 / answers.len() as f64,
        }
    }

    /// How the answers were had: `greedy`.
    fn how(&self) -> String {
        match (self.samples, self.temperature) {
            (1, 0.0) => "greedy".into(),
            (1, t) => format!("drawn at temperature {t}"),
            (n, t) => format!("{} answers to each drawn at temperature {t}", thousands(n as u64)),
        }
    }
}

/// The configuration, and the genome unless it is the start's.
fn subject(options: &AnswerArgs) -> Result<(Config, Option<Found>)> {
    let path = &options.path;
    let mut set = options.set.clone();
    if options.cases > 0 {
        set.push(format!("task.validation={}", options.cases));
    }
    if options.base {
        // A new adapter leaves the model as it is.
        set.push("task.adapter=\"\"".into());
        set.push("task.search=\"adapters\"".into());
    }
    if is_config(path) {
        if options.elite.is_some() {
            return Err(Error::input(format!(
                "--elite is for a run, and {} is a configuration: the adapter that it starts from answers",
                path.display()
            )));
        }
        let config = Config::read(path, &set)?;
        check_task(&config, &path.display().to_string())?;
        return Ok((config, None));
    }
    let archive = crate::commands::archive_path(path)?;
    let file = file::open(&archive)?;
    let config = config_of(&file, &set)?;
    let found = match options.base {
        true => None,
        false => Some(found(&file, options.elite)?),
    };
    Ok((config, found))
}

fn report(options: &AnswerArgs, task: &LmTask, found: &Found, shown: &[Shown], summary: Option<&Summary>) -> String {
    let setup = task.setup();
    if options.json {
        let answers: Vec<_> = shown
            .iter()
            .map(|s| {
                json!({
                    "prompt": s.prompt,
                    "answer": s.answer,
                    "reference": s.worth.as_ref().map(|w| &w.0),
                    "reward": s.worth.as_ref().map(|w| w.1),
                })
            })
            .collect();
        let fields = json!({
            "task": setup.name,
            "model": setup.params.model,
            "adapter": found.name.split(' ').next(),
            "answers": answers,
            "cases": summary.map(|s| s.cases),
            "samples": summary.map(|s| s.samples),
            "temperature": summary.map(|s| s.temperature),
            "mean_reward": summary.map(|s| s.mean_reward[0]),
            "mean_reward_se": summary.and_then(|s| finite(s.mean_reward[1])),
            "passes_from": summary.filter(|s| s.samples > 1).map(|_| options.passes_from),
            "pass_at": summary.map(|s| s.pass_at.iter().map(|(k, [p, se])| json!({"k": k, "pass": p, "se": finite(*se)})).collect::<Vec<_>>()),
            "cut_off": summary.map(|s| s.cut_off),
        });
        return json_text(&fields);
    }
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        let names = iter::once(name).chain(iter::repeat(""));
        text += &named(names.zip(value.lines()));
    };
    for s in shown {
        line("prompt", &s.prompt);
        line("answer", if s.answer.is_empty() { "(nothing)" } else { &s.answer });
        if let Some((reference, reward)) = &s.worth {
            line("reward", &format!("{}, expected {reference}", significant(*reward)));
        }
        line("", " ");
    }
    line("task", &setup.name);
    line("model", &setup.params.model);
    line("adapter", &adapter(options, &setup.params.adapter, found));
    if let Some(s) = summary {
        let (cases, how) = (thousands(s.cases as u64), s.how());
        line(
            "mean reward",
            &format!(
                "{} on {cases} cases of the validation split, {how}",
                estimate(s.mean_reward)
            ),
        );
        for (k, pass) in &s.pass_at {
            let from = significant(options.passes_from);
            line(
                &format!("pass@{k}"),
                &format!("{}, an answer passing from a reward of {from} on", estimate(*pass)),
            );
        }
        let most = setup.max_new_tokens;
        line(
            "cut off",
            &format!("{} of the answers, at max_new_tokens = {most}", percent(s.cut_off)),
        );
        if let Some(caution) = cut_off_caution(s.cut_off, most) {
            line("note", &caution);
        }
    }
    text
}

/// A mean with its standard error, if that is known.
fn estimate([mean, se]: Estimate) -> String {
    match se.is_finite() {
        true => format!("{mean:.4} ± {se:.4}"),
        false => format!("{mean:.4}"),
    }
}

/// A number, or none where there is none.
fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

/// Which adapter answers.
fn adapter(options: &AnswerArgs, start: &str, found: &Found) -> String {
    let run = Path::new(&options.path).display();
    match found.name.as_str() {
        "none" => "none: the model as it is".into(),
        "start" => start.into(),
        name => format!("{name} of {run}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_up_by_case() {
        let answer = |case: usize, reward: f64| Validated {
            case,
            text: String::new(),
            reward,
            cut_off: reward == 0.0,
        };
        // Three of four pass, none, one.
        let rewards = [[1.0, 1.0, 0.0, 2.0], [0.0, 0.5, 0.0, 0.0], [0.5, 0.0, 1.0, 0.5]];
        let answers: Vec<Validated> = rewards
            .iter()
            .enumerate()
            .flat_map(|(case, all)| all.map(|reward| answer(case, reward)))
            .collect();
        let s = Summary::of(&answers, 4, 0.7, 1.0);
        assert_eq!((s.cases, s.samples, s.cut_off), (3, 4, 5.0 / 12.0));
        assert_eq!(s.mean_reward, mean_with_error(&[1.0, 0.125, 0.5]));
        let ks: Vec<usize> = s.pass_at.iter().map(|(k, _)| *k).collect();
        assert_eq!(ks, [1, 2, 4]);
        let expected = [[0.75, 0.0, 0.25], [1.0, 0.0, 0.5], [1.0, 0.0, 1.0]].map(|p| mean_with_error(&p));
        for ((_, found), expected) in s.pass_at.iter().zip(expected) {
            assert!((found[0] - expected[0]).abs() < 1e-15 && (found[1] - expected[1]).abs() < 1e-15);
        }
        let lenient = Summary::of(&answers, 4, 0.7, 0.5);
        assert!((lenient.pass_at[0].1[0] - (0.75 + 0.25 + 0.75) / 3.0).abs() < 1e-15);
        assert!(Summary::of(&answers, 1, 0.0, 1.0).pass_at.is_empty());
    }
}
