//! `log.jsonl`: one JSON object a line, with `time` (ISO 8601) and `event`; written by rank 0 alone.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use illume_core::{Error, Result};
use serde_json::{Map, Value, json};

/// An open log.
pub struct Log {
    file: File,
    path: String,
}

impl Log {
    /// Opens the log of a run directory, appending.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(dir: &Path) -> Result<Log> {
        let path = dir.join("log.jsonl");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let path = path.display().to_string();
        let file = file.map_err(|e| Error::failed(format!("cannot write the log {path}: {e}")))?;
        Ok(Log { file, path })
    }

    /// Writes one line; `fields` is a JSON object.
    ///
    /// # Errors
    /// The disk is full, say.
    pub fn event(&mut self, event: &str, fields: Value) -> Result<()> {
        let mut line = Map::new();
        line.insert("time".into(), json!(now()));
        line.insert("event".into(), json!(event));
        if let Value::Object(fields) = fields {
            line.extend(fields);
        }
        let text = Value::Object(line).to_string() + "\n";
        self.file
            .write_all(text.as_bytes())
            .map_err(|e| Error::failed(format!("cannot write the log {}: {e}", self.path)))
    }
}

/// The present time in ISO 8601, UTC.
pub fn now() -> String {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Second).unwrap_or(now).to_string()
}
