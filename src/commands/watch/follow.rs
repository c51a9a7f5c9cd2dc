//! What a run's log says, read as it grows.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use illume_core::{Error, Result};
use serde_json::{Map, Value};

/// Of a long log, what was written last.
const TAIL: u64 = 4 << 20;
/// Over so many lines of progress rates are taken.
const RECENT: usize = 20;

/// The log of a run.
pub(super) struct Follow {
    path: PathBuf,
    read: u64,
    /// What has been read of a line that is not finished.
    rest: Vec<u8>,
    /// Of the last start: its fields.
    pub start: Map<String, Value>,
    /// Every line with numbers since: `progress`, `stopped`, `finished`.
    pub progress: Vec<Map<String, Value>>,
    /// The last lines that are no progress: when, and what.
    pub events: Vec<(String, String)>,
}

impl Follow {
    pub fn new(dir: &Path) -> Follow {
        Follow {
            path: dir.join("log.jsonl"),
            read: 0,
            rest: Vec::new(),
            start: Map::new(),
            progress: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Reads what has been written since; a log that is not there yet is empty.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn refresh(&mut self) -> Result<()> {
        let path = self.path.clone();
        let failed = |e: std::io::Error| Error::failed(format!("{} cannot be read: {e}", path.display()));
        let mut file = match File::open(&path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            file => file.map_err(failed)?,
        };
        let length = file.metadata().map_err(failed)?.len();
        if length < self.read {
            // Another run began here.
            *self = Follow::new(path.parent().unwrap_or(Path::new("")));
        }
        if self.read == 0 && length > TAIL {
            // The beginning says what the run is.
            let mut head = vec![0; 1 << 16];
            let n = file.read(&mut head).map_err(failed)?;
            self.take(&head[..n]);
            self.rest.clear();
            self.read = (length - TAIL).max(n as u64);
        }
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(self.read)).map_err(failed)?;
        file.take(length - self.read).read_to_end(&mut bytes).map_err(failed)?;
        self.read += bytes.len() as u64;
        self.take(&bytes);
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) {
        self.rest.extend(bytes);
        let Some(end) = self.rest.iter().rposition(|b| *b == b'\n') else {
            return;
        };
        let rest = self.rest.split_off(end + 1);
        let lines = std::mem::replace(&mut self.rest, rest);
        for line in lines.split(|b| *b == b'\n') {
            // The first line of a tail is cut.
            if let Ok(Value::Object(fields)) = serde_json::from_slice(line) {
                self.line(fields);
            }
        }
    }

    fn line(&mut self, fields: Map<String, Value>) {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
        let (event, time) = (text("event"), text("time"));
        let what = match event.as_str() {
            "start" => {
                let generation = fields.get("generation").and_then(Value::as_u64).unwrap_or(0);
                let host = Some(text("host")).filter(|host| !host.is_empty());
                let host = host.map_or(String::new(), |host| format!(" on {host}"));
                format!("start{host}, from generation {generation}")
            }
            "stopped" => format!("stopped {}", text("signal")),
            "finished" => format!("finished {}", text("ended")),
            other => other.into(),
        };
        if event != "progress" {
            self.events.push((time, what.trim_end().into()));
            let old = self.events.len().saturating_sub(20);
            self.events.drain(..old);
        }
        match event.as_str() {
            "start" => self.start = fields,
            "progress" | "stopped" | "finished" => self.progress.push(fields),
            _ => (),
        }
    }

    /// The newest number of a column.
    pub fn last(&self, column: &str) -> Option<f64> {
        number(self.progress.last()?, column)
    }

    /// What a column has gained in a second of late.
    pub fn rate(&self, column: &str) -> Option<f64> {
        let [then, now] = self.recent()?;
        let seconds = number(now, "wall_seconds")? - number(then, "wall_seconds")?;
        let gained = number(now, column)? - number(then, column)?;
        (seconds > 0.0).then_some(gained / seconds)
    }

    /// Two lines of the same process, the newest and one some way before it.
    fn recent(&self) -> Option<[&Map<String, Value>; 2]> {
        let now = self.progress.last()?;
        let first = self.progress.len().saturating_sub(RECENT);
        let seconds = |line: &Map<String, Value>| number(line, "wall_seconds");
        let then = self.progress[first..]
            .iter()
            .find(|line| seconds(line) < seconds(now))?;
        Some([then, now])
    }

    /// Whether the last word was that it ended.
    pub fn ended(&self) -> Option<&str> {
        let event = self.progress.last()?.get("event")?.as_str()?;
        (event != "progress" && self.events.last().is_some_and(|(_, what)| what.starts_with(event))).then_some(event)
    }

    /// The configuration of the last start.
    pub fn config(&self) -> toml::Table {
        let text = self.start.get("config").and_then(Value::as_str);
        text.and_then(|text| text.parse().ok()).unwrap_or_default()
    }

    /// The share that is done, by the budget that is nearest to its end; none before the first word.
    pub fn done(&self) -> Option<f64> {
        self.done_at(self.progress.last()?)
    }

    fn done_at(&self, line: &Map<String, Value>) -> Option<f64> {
        let config = self.config();
        let budget = config.get("budget")?.as_table()?;
        let limit = |key: &str| {
            let value = budget.get(key)?;
            value
                .as_float()
                .or(value.as_integer().map(|n| n as f64))
                .filter(|x| *x > 0.0)
        };
        let limits = [
            ("evaluations", "evaluations", 1.0),
            ("frames", "frames", 1.0),
            ("generations", "generation", 1.0),
            ("wall_minutes", "wall_seconds", 60.0),
        ];
        let shares = limits
            .iter()
            .filter_map(|(key, column, unit)| Some(number(line, column)? / (limit(key)? * unit)));
        shares.reduce(f64::max).map(|share| share.clamp(0.0, 1.0))
    }

    /// Time left at the pace of late.
    pub fn left(&self) -> Option<Duration> {
        let [then, now] = self.recent()?;
        let seconds = number(now, "wall_seconds")? - number(then, "wall_seconds")?;
        let (before, done) = (self.done_at(then)?, self.done_at(now)?);
        let left = (1.0 - done) * seconds / (done - before);
        (left.is_finite() && left >= 0.0)
            .then(|| Duration::try_from_secs_f64(left).ok())
            .flatten()
    }
}

pub(super) fn number(line: &Map<String, Value>, column: &str) -> Option<f64> {
    line.get(column)?.as_f64()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn progress(wall: f64, evaluations: u64) -> String {
        format!(
            "{{\"event\":\"progress\",\"time\":\"t\",\"wall_seconds\":{wall},\"evaluations\":{evaluations},\"qd_score\":null}}\n"
        )
    }

    #[test]
    fn a_log_is_read_as_it_grows_and_says_pace_and_time_left() {
        let dir = tempfile::tempdir().unwrap();
        let mut follow = Follow::new(dir.path());
        follow.refresh().unwrap();
        assert!(follow.progress.is_empty() && follow.done().is_none() && follow.left().is_none());

        let mut log = File::create(dir.path().join("log.jsonl")).unwrap();
        let start = "{\"event\":\"start\",\"time\":\"t\",\"host\":\"n7\",\"generation\":3,\"config\":\"[budget]\\nevaluations = 1000\\nwall_minutes = 10.0\"}\n";
        log.write_all(start.as_bytes()).unwrap();
        log.write_all(progress(10.0, 100).as_bytes()).unwrap();
        let (cut, rest) = (progress(30.0, 500), "");
        log.write_all(&cut.as_bytes()[..20]).unwrap();
        follow.refresh().unwrap();
        assert_eq!((follow.progress.len(), follow.done()), (1, Some(0.1)));
        assert_eq!(
            follow.events,
            [("t".to_string(), "start on n7, from generation 3".to_string())]
        );

        log.write_all(&cut.as_bytes()[20..]).unwrap();
        log.write_all(rest.as_bytes()).unwrap();
        follow.refresh().unwrap();
        assert_eq!(
            (
                follow.progress.len(),
                follow.rate("evaluations"),
                follow.last("evaluations")
            ),
            (2, Some(20.0), Some(500.0))
        );
        assert_eq!(follow.last("qd_score"), None);
        // Half is left, and 40 % took 20 s.
        assert_eq!(
            (follow.done(), follow.left()),
            (Some(0.5), Some(Duration::from_secs(25)))
        );
        assert_eq!(follow.ended(), None);
        log.write_all(
            b"{\"event\":\"finished\",\"time\":\"t\",\"wall_seconds\":60.0,\"evaluations\":1000}\nnot json\n",
        )
        .unwrap();
        follow.refresh().unwrap();
        assert_eq!((follow.ended(), follow.done()), (Some("finished"), Some(1.0)));

        std::fs::write(dir.path().join("log.jsonl"), start).unwrap();
        follow.refresh().unwrap();
        assert!(follow.progress.is_empty(), "another run began in that folder");
    }
}
