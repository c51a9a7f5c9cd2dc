//! Cases from JSON lines: one object a line, its fields named by the user.

use std::path::Path;

use illume_core::{Error, Purpose, Result, Stream, block};
use serde_json::Value;

use super::Case;

/// A line that holds something.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// From 1.
    pub number: usize,
    pub value: Value,
}

impl Line {
    /// The text of a field; numbers and truth values as JSON writes them.
    ///
    /// # Errors
    /// It is missing, or is not a text or a number.
    pub fn text(&self, path: &Path, field: &str) -> Result<String> {
        let wrong = |message: String| Err(Error::input(format!("{}:{}: {message}", path.display(), self.number)));
        match self.value.get(field) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok(value.to_string()),
            Some(other) => wrong(format!(
                "\"{field}\" is to be a text or a number, got {}",
                short(&other.to_string())
            )),
            None => {
                let object = self.value.as_object();
                let fields: Vec<&str> = object
                    .map(|o| o.keys().map(String::as_str).collect())
                    .unwrap_or_default();
                wrong(format!(
                    "there is no field \"{field}\"; the line has: {}",
                    fields.join(", ")
                ))
            }
        }
    }
}

/// The first characters of a text that may be long.
pub(super) fn short(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut out: String = text.chars().take(SHOWN).collect();
    if out.len() < text.len() {
        out.push('…');
    }
    out
}

/// The lines of a file, those that are blank left out.
///
/// # Errors
/// It cannot be read, or a line is no JSON object; the message says which.
pub fn read_lines(path: &Path) -> Result<Vec<Line>> {
    let bytes = std::fs::read(path).map_err(|e| Error::input(format!("{}: {e}", path.display())))?;
    let mut lines = Vec::new();
    for (i, line) in bytes.split(|b| *b == b'\n').enumerate() {
        let line = if i == 0 {
            line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line)
        } else {
            line
        };
        if line.trim_ascii().is_empty() {
            continue;
        }
        let wrong = |message: String| {
            let shown = short(&String::from_utf8_lossy(line.trim_ascii()));
            Err(Error::input(format!(
                "{}:{}: {message}: {shown}",
                path.display(),
                i + 1
            )))
        };
        match serde_json::from_slice::<Value>(line) {
            Ok(value) if value.is_object() => lines.push(Line { number: i + 1, value }),
            Ok(_) => return wrong("a line is to be a JSON object ({\"field\": …})".into()),
            Err(e) => return wrong(format!("not JSON (column {})", e.column())),
        }
    }
    Ok(lines)
}

/// Which fields hold what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields {
    pub prompt: String,
    pub answer: String,
    /// The text to learn from; empty: the answer.
    pub solution: String,
}

/// The cases of a file.
///
/// # Errors
/// As [`read_lines`]; a line lacks a field.
pub fn read_cases(path: &Path, fields: &Fields) -> Result<Vec<Case>> {
    let case = |line: &Line| {
        let answer = line.text(path, &fields.answer)?;
        let solution = match fields.solution.as_str() {
            "" => answer.clone(),
            field => line.text(path, field)?,
        };
        Ok(Case {
            prompt: line.text(path, &fields.prompt)?,
            answer,
            solution,
            source: format!("{}:{}", path.display(), line.number),
        })
    };
    read_lines(path)?.iter().map(case).collect()
}

/// Divides cases: `share` of them, rounded, drawn by the seed, and the others; both in the order of the file.
pub fn divide(cases: Vec<Case>, share: f64, seed: u64) -> (Vec<Case>, Vec<Case>) {
    let wanted = (cases.len() as f64 * share).round() as usize;
    let stream = Stream::new(seed, Purpose::Text, DIVIDED, cases.len() as u64);
    let mut order: Vec<usize> = (0..cases.len()).collect();
    order.sort_by_key(|&i| (stream.word64(i as u64), i));
    let mut taken = vec![false; cases.len()];
    order[..wanted].iter().for_each(|&i| taken[i] = true);
    let (mut yes, mut no) = (Vec::new(), Vec::new());
    for (case, taken) in cases.into_iter().zip(taken) {
        if taken { &mut yes } else { &mut no }.push(case);
    }
    (yes, no)
}

/// Which of the generators' streams divides files.
const DIVIDED: u64 = 3;

/// At most this many cases, spread over the file; 0 for all.
pub fn keep(cases: Vec<Case>, most: usize) -> Vec<Case> {
    if most == 0 || cases.len() <= most {
        return cases;
    }
    (0..most)
        .map(|i| cases[block(cases.len(), i, most).start].clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cases.jsonl");
        std::fs::write(&path, text).unwrap();
        (dir, path)
    }

    fn fields() -> Fields {
        Fields {
            prompt: "q".into(),
            answer: "a".into(),
            solution: String::new(),
        }
    }

    #[test]
    fn lines_become_cases_and_blank_ones_are_skipped() {
        let (_dir, path) = written(b"\xef\xbb\xbf{\"q\": \"1+1?\", \"a\": 2, \"w\": \"so 2\"}\r\n\n  \n{\"q\": \"\xc3\xa9\", \"a\": true, \"w\": \"\"}");
        let cases = read_cases(&path, &fields()).unwrap();
        assert_eq!(cases.len(), 2);
        assert_eq!((cases[0].prompt.as_str(), cases[0].answer.as_str()), ("1+1?", "2"));
        assert_eq!((cases[1].answer.as_str(), cases[0].solution.as_str()), ("true", "2"));
        assert!(cases[1].source.ends_with("cases.jsonl:4"));
        let with = Fields {
            solution: "w".into(),
            ..fields()
        };
        assert_eq!(read_cases(&path, &with).unwrap()[0].solution, "so 2");
    }

    #[test]
    fn a_wrong_line_is_named_by_file_and_number() {
        for (text, words) in [
            (
                &b"{\"q\": \"x\", \"a\": 1}\nnot json\n"[..],
                &["cases.jsonl:2: not JSON", "not json"][..],
            ),
            (b"{\"q\": \"x\", \"a\": 1}\n{\"q\": \"x\"", &["cases.jsonl:2: not JSON"]),
            (b"[1, 2]\n", &["cases.jsonl:1: a line is to be a JSON object"]),
            (
                b"\n\n{\"q\": \"x\", \"b\": 1}",
                &["cases.jsonl:3: there is no field \"a\"; the line has: ", "q", "b"],
            ),
            (
                b"{\"q\": [1], \"a\": 1}",
                &["cases.jsonl:1: \"q\" is to be a text or a number, got [1]"],
            ),
            (b"\xff\xfe", &["cases.jsonl:1: not JSON"]),
        ] {
            let (_dir, path) = written(text);
            let message = read_cases(&path, &fields()).unwrap_err().to_string();
            for word in words {
                assert!(message.contains(word), "{word} is not in {message}");
            }
        }
        let message = read_lines(Path::new("nowhere/x.jsonl")).unwrap_err().to_string();
        assert!(message.starts_with("nowhere/x.jsonl: "), "{message}");
    }

    #[test]
    fn a_file_is_divided_by_the_seed_without_loss() {
        let cases: Vec<Case> = (0..101)
            .map(|i| Case {
                prompt: i.to_string(),
                ..Case::default()
            })
            .collect();
        let (some, others) = divide(cases.clone(), 0.2, 1);
        assert_eq!((some.len(), others.len()), (20, 81));
        let mut all: Vec<usize> = some.iter().chain(&others).map(|c| c.prompt.parse().unwrap()).collect();
        all.sort_unstable();
        assert_eq!(all, (0..101).collect::<Vec<_>>());
        assert_ne!(divide(cases.clone(), 0.2, 2).0, some);
        assert_eq!(divide(cases.clone(), 0.2, 1).0, some);
        assert_eq!(
            (
                keep(cases.clone(), 0).len(),
                keep(cases.clone(), 500).len(),
                keep(cases, 7).len()
            ),
            (101, 101, 7)
        );
    }
}
