//! `illume lm answer`: what a model with an adapter answers, and what that is worth.

use std::iter;
use std::path::Path;

use illume_archives::file;
use illume_core::{Dense, Error, Genomes, Request, Result, Scores, Status, Task, Trajectory, test_part_seed};
use illume_lm::LmTask;
use serde_json::json;

use super::AnswerArgs;
use super::adapter::{Found, check_task, config_of, found, is_config};
use crate::Config;
use crate::engine::output::{json_text, named, significant, thousands};

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
    let task = LmTask::new(&config.task).map_err(|e| config.locate(e))?;
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
    let (mean, answered) = validate(&task, &found.genome)?;
    let cases = &task.setup().dataset.validation;
    let n = answered.answers.len();
    let most = (options.show as usize).min(n);
    let shown: Vec<Shown> = (0..most)
        .map(|i| &answered.answers[i * n / most])
        .map(|answer| {
            let case = &cases[answer.case as usize];
            Shown {
                prompt: case.prompt.clone(),
                answer: task.setup().text(&answer.tokens),
                worth: Some((case.answer.clone(), answer.reward)),
            }
        })
        .collect();
    Ok(report(options, &task, &found, &shown, Some((mean, n))))
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

/// The mean reward on the validation split, and the answers.
fn validate(task: &LmTask, genome: &[f32]) -> Result<(f64, Trajectory)> {
    let genomes = Genomes::Dense(Dense {
        dim: genome.len(),
        data: genome.to_vec(),
    });
    let request = Request {
        genomes: &genomes,
        seeds: &[test_part_seed(0, 1)],
        max_steps: u32::MAX,
        uncapped: 0..0,
        tests: 0..1,
        normalization: None,
        observed: &[],
        network: None,
    };
    let (mut status, mut fitness, mut steps) = ([0], [0.0], [0]);
    let mut descriptor = vec![0.0; task.spec().descriptor_dim()];
    let mut trajectories = [Trajectory::default()];
    let mut scores = Scores {
        status: &mut status,
        fitness: &mut fitness,
        descriptor: &mut descriptor,
        steps: &mut steps,
        moments: &mut [],
        trajectories: &mut trajectories,
    };
    task.worker()?.evaluate(&request, 0..1, &mut scores);
    if status[0] != Status::Ok as u8 {
        let why = task.failure().unwrap_or_default();
        return Err(Error::failed(format!("the answers could not be had or scored: {why}")));
    }
    let [answered] = trajectories;
    Ok((fitness[0], answered))
}

fn report(options: &AnswerArgs, task: &LmTask, found: &Found, shown: &[Shown], mean: Option<(f64, usize)>) -> String {
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
            "cases": mean.map(|m| m.1),
            "mean_reward": mean.map(|m| m.0),
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
    if let Some((mean, n)) = mean {
        let n = thousands(n as u64);
        line(
            "mean reward",
            &format!("{mean:.4} on {n} cases of the validation split, greedy"),
        );
    }
    text
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
