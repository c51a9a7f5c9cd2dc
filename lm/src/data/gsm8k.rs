//! GSM8K (Cobbe et al. 2021, <https://arxiv.org/abs/2110.14168>): grade-school problems as JSON lines with `question` and `answer`, whose last line is
//! `#### ` and the number.

use std::path::Path;

use illume_core::{Error, Result};
use regex::Regex;

use super::Case;
use super::jsonl::read_lines;
use super::number::{Extraction, MARK, final_number};

/// The cases of a file; `instruction` follows each question on a line of its own, if it is not empty. The calculator's notes (`<<48/2=24>>`) are left out
/// of solutions.
///
/// # Errors
/// A line is no JSON object, lacks a field, or its answer has no `####` with a number.
pub fn read_gsm8k(path: &Path, instruction: &str) -> Result<Vec<Case>> {
    let notes = Regex::new("<<[^>]*>>").expect("a constant expression");
    let case = |line: &super::Line| {
        let worked = line.text(path, "answer")?;
        let source = format!("{}:{}", path.display(), line.number);
        let Some(answer) = final_number(&worked, Extraction::Strict) else {
            return Err(Error::input(format!(
                "{source}: \"answer\" is to end by \"{MARK} \" and a number"
            )));
        };
        let question = line.text(path, "question")?;
        let separator = if instruction.is_empty() { "" } else { "\n" };
        Ok(Case {
            prompt: format!("{question}{separator}{instruction}"),
            answer,
            solution: notes.replace_all(&worked, "").into_owned(),
            source,
        })
    };
    read_lines(path)?.iter().map(case).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{NumberReward, Reward};

    #[test]
    fn a_line_becomes_a_case_whose_own_solution_is_right() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("train.jsonl");
        let line = r#"{"question": "Mia sold 48 pins in May and half as many in June. How much did 1,000 such months bring?", "answer": "She sold 48/2 = <<48/2=24>>24 in June.\nThat is $<<72*1000=72000>>72,000.\n#### 72,000"}"#;
        std::fs::write(&path, format!("{line}\n")).unwrap();
        let cases = read_gsm8k(&path, "Think.").unwrap();
        assert_eq!(cases[0].answer, "72000");
        assert_eq!(
            cases[0].solution,
            "She sold 48/2 = 24 in June.\nThat is $72,000.\n#### 72,000"
        );
        assert!(cases[0].prompt.ends_with("bring?\nThink."));
        for extraction in [Extraction::Strict, Extraction::Flexible] {
            assert_eq!(
                NumberReward(extraction).score(&cases[0], &cases[0].solution).unwrap(),
                1.0
            );
        }
        std::fs::write(&path, format!("{line}\n{{\"question\": \"x\", \"answer\": \"5\"}}\n")).unwrap();
        let message = read_gsm8k(&path, "").unwrap_err().to_string();
        assert!(
            message.contains("train.jsonl:2: \"answer\" is to end by \"#### \""),
            "{message}"
        );
    }
}
