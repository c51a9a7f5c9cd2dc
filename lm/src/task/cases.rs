//! The cases and the reward that a task's own parameters name.

use std::path::Path;
use std::time::Duration;

use illume_core::{Error, Result};

use super::params::{ArithmeticParams, CountdownParams, Gsm8kParams, JsonlParams};
use super::setup::wrong;
use crate::data::{
    Arithmetic, Case, CommandReward, Countdown, CountdownReward, Dataset, ExactReward, Extraction, Fields,
    InstructionReward, MathReward, NumberReward, PatternReward, Reward, Sizes, Style, divide, drawn, final_answer,
    read_cases, read_gsm8k, read_instructed,
};

pub(super) fn gsm8k(p: &Gsm8kParams) -> Result<Dataset> {
    let read = |key: &str, path: &str| {
        let hint = "GSM8K's JSON lines have \"question\" and \"answer\" on each line";
        file(key, path, hint)?;
        read_gsm8k(Path::new(path), &p.instruction)
    };
    let (sft, train) = divide(read("data", &p.data)?, p.sft_share, p.data_seed);
    Ok(Dataset {
        train,
        validation: read("validation_data", &p.validation_data)?,
        sft,
        reward: Box::new(NumberReward(extraction(&p.extraction))),
    })
}

/// Whether a parameter names a file.
fn file(key: &str, path: &str, hint: &str) -> Result<()> {
    if Path::new(path).is_file() {
        return Ok(());
    }
    wrong(key, format!("there is no file \"{path}\"; {hint}"))
}

pub(super) fn countdown(p: &CountdownParams) -> Result<Dataset> {
    let generator = Countdown {
        numbers: p.numbers,
        largest: p.largest,
        target: p.target,
        style: if p.style == "tags" { Style::Tags } else { Style::Short },
    };
    let sizes = Sizes {
        train: p.train_cases,
        validation: p.validation_cases,
        sft: p.sft_cases,
    };
    let [train, validation, sft] = drawn(sizes, |i| generator.problem(p.data_seed, i))?;
    let reward = Box::new(CountdownReward {
        format: p.format_reward,
    });
    Ok(Dataset {
        train,
        validation,
        sft,
        reward,
    })
}

pub(super) fn arithmetic(p: &ArithmeticParams) -> Result<Dataset> {
    let generator = Arithmetic {
        words: p.words,
        digits: p.digits,
        terms: p.terms,
    };
    let sizes = Sizes {
        train: p.train_cases,
        validation: p.validation_cases,
        sft: p.sft_cases,
    };
    let [train, validation, sft] = drawn(sizes, |i| generator.problem(p.data_seed, i))?;
    Ok(Dataset {
        train,
        validation,
        sft,
        reward: Box::new(NumberReward(extraction(&p.extraction))),
    })
}

pub(super) fn jsonl(p: &JsonlParams) -> Result<Dataset> {
    if p.data.is_empty() {
        return wrong(
            "data",
            "missing: a file of JSON lines, each with the fields that task.prompt and task.answer name",
        );
    }
    let fields = Fields {
        prompt: p.prompt.clone(),
        answer: p.answer.clone(),
        solution: p.solution.clone(),
    };
    let read = |key: &str, path: &str| {
        file(key, path, "it is to hold JSON lines")?;
        let path = Path::new(path);
        match p.reward.as_str() {
            "instructions" => read_instructed(path, &fields.prompt, &fields.solution),
            "math" => read_cases(path, &fields).and_then(with_results),
            _ => read_cases(path, &fields),
        }
    };
    let mut cases = read("data", &p.data)?;
    let validation = if p.validation_data.is_empty() {
        let (validation, others) = divide(cases, p.validation_share, p.data_seed);
        cases = others;
        validation
    } else {
        read("validation_data", &p.validation_data)?
    };
    // Instructions are no answer to learn from.
    let none = p.reward == "instructions" && p.solution.is_empty();
    let share = if none { 0.0 } else { p.sft_share };
    let (sft, train) = divide(cases, share, p.data_seed ^ 1 << 63);
    let reward: Box<dyn Reward> = match p.reward.as_str() {
        "regex" => Box::new(PatternReward::new(&p.pattern)?),
        "math" => Box::new(MathReward),
        "instructions" => Box::new(InstructionReward { all: p.follow == "all" }),
        "command" => {
            let none = Case::default();
            let probe = train.first().unwrap_or(&none);
            Box::new(CommandReward::new(
                &p.command,
                Duration::from_secs_f64(p.timeout),
                probe,
            )?)
        }
        _ => Box::new(ExactReward),
    };
    Ok(Dataset {
        train,
        validation,
        sft,
        reward,
    })
}

/// Cases, each of whose references has a result.
fn with_results(cases: Vec<Case>) -> Result<Vec<Case>> {
    match cases.iter().find(|case| final_answer(&case.answer).is_empty()) {
        None => Ok(cases),
        Some(case) => Err(Error::input(format!(
            "{}: the reference has no result: expected one such as 42 or \\frac{{1}}{{2}}, alone or in the \\boxed{{}} of a solution",
            case.source
        ))),
    }
}

fn extraction(name: &str) -> Extraction {
    match name {
        "strict" => Extraction::Strict,
        _ => Extraction::Flexible,
    }
}
