//! Instructions whose following can be checked, as in IFEval (Zhou et al., 'Instruction-following evaluation for large language models', 2023,
//! <https://arxiv.org/abs/2311.07911>): each case says which it gives, and an answer is worth the share of them that it follows.

mod check;
#[cfg(test)]
mod tests;
mod text;

use std::path::Path;

use illume_core::{Error, Result};
use serde_json::{Map, Value};

use super::jsonl::{Line, read_lines, short};
use super::{Case, Reward};
use check::Check;

/// The instructions of a case, parsed.
#[derive(Debug)]
struct Instructions(Vec<Check>);

impl Instructions {
    /// From a list of objects `{"id": …, "kwargs": {…}}`.
    fn parse(list: &Value) -> std::result::Result<Instructions, String> {
        let form = "expected a list of {\"id\": \"length_constraints:number_words\", \"kwargs\": {\"num_words\": 100, \"relation\": \"at least\"}}";
        let items = list.as_array().filter(|items| !items.is_empty());
        let items = items.ok_or_else(|| format!("{form}, got {}", short(&list.to_string())))?;
        let check = |item: &Value| {
            let id = item.get("id").and_then(Value::as_str);
            let id = id.ok_or_else(|| format!("{form}, got {}", short(&item.to_string())))?;
            let none = Map::new();
            let kwargs = match item.get("kwargs") {
                Some(Value::Object(kwargs)) => kwargs,
                None | Some(Value::Null) => &none,
                Some(other) => {
                    return Err(format!(
                        "{id}: \"kwargs\" is to be an object, got {}",
                        short(&other.to_string())
                    ));
                }
            };
            Check::new(id, kwargs)
        };
        items
            .iter()
            .map(check)
            .collect::<std::result::Result<_, _>>()
            .map(Instructions)
    }
}

/// The cases of a file: each line has the field `prompt` names and `instructions`, or IFEval's own `instruction_id_list` and `kwargs`. `solution` names the text to
/// learn from, if there is one. A case's reference is the list of its instructions as JSON.
///
/// # Errors
/// As [`read_lines`]; a line lacks a field; an instruction that is not known or whose arguments are not its own.
pub fn read_instructed(path: &Path, prompt: &str, solution: &str) -> Result<Vec<Case>> {
    let case = |line: &Line| {
        let source = format!("{}:{}", path.display(), line.number);
        let instructions = listed(&line.value).map_err(|e| Error::input(format!("{source}: {e}")))?;
        Instructions::parse(&instructions).map_err(|e| Error::input(format!("{source}: {e}")))?;
        Ok(Case {
            prompt: line.text(path, prompt)?,
            answer: instructions.to_string(),
            solution: match solution {
                "" => String::new(),
                field => line.text(path, field)?,
            },
            source,
        })
    };
    read_lines(path)?.iter().map(case).collect()
}

/// A line's instructions as a list of objects.
fn listed(line: &Value) -> std::result::Result<Value, String> {
    if let Some(list) = line.get("instructions") {
        return Ok(list.clone());
    }
    let Some(Value::Array(ids)) = line.get("instruction_id_list") else {
        return Err("there is no field \"instructions\", and no \"instruction_id_list\" as IFEval has it".into());
    };
    let none = Vec::new();
    let kwargs = line.get("kwargs").and_then(Value::as_array).unwrap_or(&none);
    if kwargs.len() != ids.len() {
        return Err(format!(
            "\"instruction_id_list\" has {} entries and \"kwargs\" {}; expected one of these for each of those",
            ids.len(),
            kwargs.len()
        ));
    }
    let item = |(id, kwargs): (&Value, &Value)| serde_json::json!({"id": id, "kwargs": kwargs});
    Ok(ids.iter().zip(kwargs).map(item).collect())
}

/// The share of a case's instructions that an answer follows, or 1 if it follows all and 0 else. An empty answer follows none.
#[derive(Debug, Clone, Copy)]
pub struct InstructionReward {
    /// Whether all must be followed.
    pub all: bool,
}

impl Reward for InstructionReward {
    fn score(&self, case: &Case, answer: &str) -> Result<f64> {
        let wrong = |e: &dyn std::fmt::Display| Error::failed(format!("{}: {e}", case.source));
        let list: Value = serde_json::from_str(&case.answer).map_err(|e| wrong(&e))?;
        let Instructions(checks) = Instructions::parse(&list).map_err(|e| wrong(&e))?;
        if answer.trim().is_empty() {
            return Ok(0.0);
        }
        let followed = checks.iter().filter(|check| check.is_followed(answer)).count();
        Ok(match self.all {
            true => f64::from(followed == checks.len()),
            false => followed as f64 / checks.len() as f64,
        })
    }
}
