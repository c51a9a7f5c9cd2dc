//! How files are written, and what a run shows while it runs.

use std::fmt::Display;
use std::fs;
use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use illume_core::{Error, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

/// Writes a file under a temporary name, flushes it to the disk and renames it: a reader sees the old file or the new one.
///
/// # Errors
/// Path and cause; the temporary file is removed and the old file untouched.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    write_streamed(path, |file| Ok(file.write_all(bytes)?))
}

/// What stops the writing of a file: the disk, or what is to be written.
#[derive(Debug)]
pub enum Fault {
    Disk(std::io::Error),
    Source(Error),
}

impl From<std::io::Error> for Fault {
    fn from(e: std::io::Error) -> Fault {
        Fault::Disk(e)
    }
}

impl From<Error> for Fault {
    fn from(e: Error) -> Fault {
        Fault::Source(e)
    }
}

/// The same for a file that is written piece by piece.
///
/// # Errors
/// As [`write_atomically`], or what `write` fails with.
pub fn write_streamed(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<fs::File>) -> std::result::Result<(), Fault>,
) -> Result<()> {
    let name = path
        .file_name()
        .map(|n| n.to_string_lossy().into_owned())
        .unwrap_or_default();
    let temporary = path.with_file_name(format!("{name}.tmp-{}", std::process::id()));
    let all = || -> std::result::Result<(), Fault> {
        let mut file = BufWriter::with_capacity(1 << 16, fs::File::create(&temporary)?);
        write(&mut file)?;
        let file = file.into_inner().map_err(|e| e.into_error())?;
        file.sync_all()?;
        Ok(fs::rename(&temporary, path)?)
    };
    all().map_err(|fault| {
        let _ = fs::remove_file(&temporary);
        match fault {
            Fault::Disk(e) => Error::failed(format!("cannot write {}: {e}", path.display())),
            Fault::Source(e) => e,
        }
    })
}

/// A progress bar on a terminal, a line now and then elsewhere, nothing on ranks other than 0.
pub struct Progress {
    bar: Option<ProgressBar>,
    lines: bool,
    every: Duration,
    next: Instant,
}

const TICKS: u64 = 10_000;

/// Longer than anything runs, in seconds, and within what the clock can count.
const LONGEST: f64 = 1e9;

impl Progress {
    pub fn new(shown: bool, seconds: f64) -> Progress {
        let terminal = std::io::stderr().is_terminal();
        let bar = (shown && terminal).then(|| {
            let bar = ProgressBar::new(TICKS);
            let style = ProgressStyle::with_template("{bar:24} {percent:>3}%  {msg}  {eta} left");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar
        });
        let every = if terminal {
            Duration::from_millis(200)
        } else {
            Duration::from_secs_f64(seconds.clamp(1.0, LONGEST))
        };
        Progress {
            bar,
            lines: shown && !terminal,
            every,
            next: Instant::now() + every,
        }
    }

    /// Whether it is time to show something.
    pub fn due(&self) -> bool {
        (self.bar.is_some() || self.lines) && Instant::now() >= self.next
    }

    /// Shows `text` if it is time to; `done` is the share that is done, 0 to 1.
    pub fn update(&mut self, done: f64, text: &str) {
        if self.due() {
            self.put(done, text.into());
        }
    }

    /// Shows `text` now, and on a terminal leaves it standing above the bar.
    pub fn say(&mut self, done: f64, text: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_position((done * TICKS as f64) as u64);
                bar.println(text);
            }
            None if self.lines => self.put(done, text.into()),
            None => {}
        }
    }

    fn put(&mut self, done: f64, text: String) {
        self.next = Instant::now() + self.every;
        match &self.bar {
            Some(bar) => {
                bar.set_position((done * TICKS as f64) as u64);
                bar.set_message(text);
            }
            None => {
                // A closed stderr (mpirun stopping) must not panic.
                let _ = writeln!(std::io::stderr(), "{:5.1} %  {text}", 100.0 * done);
            }
        }
    }

    pub fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A line for each name and its value, values below one another.
pub fn named<'a>(rows: impl IntoIterator<Item = (&'a str, impl Display)>) -> String {
    rows.into_iter()
        .map(|(name, value)| format!("{name:13}{value}\n"))
        .collect()
}

/// Columns below one another, the first to the left like the names of [`named`], the others to the right.
pub fn table<Row: AsRef<[String]>>(rows: &[Row]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row.as_ref()[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let line = |row: &Row| {
        let row = row.as_ref();
        let first = width(0).max(12);
        let rest = (1..row.len())
            .map(|c| format!("   {:>1$}", row[c], width(c)))
            .collect::<String>();
        format!("{:first$}{rest}", row[0]).trim_end().to_string() + "\n"
    };
    rows.iter().map(line).collect()
}

/// A word for a shell.
pub fn quoted(text: &str) -> String {
    if !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "/._-+=,:@%".contains(c)) {
        text.into()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

/// What `--json` prints.
pub fn json_text(value: &Value) -> String {
    format!("{value:#}\n")
}

/// A number rounded to six significant digits, without needless zeros.
pub fn significant(x: f64) -> String {
    if !x.is_finite() || x == 0.0 {
        return if x == 0.0 { "0".into() } else { "-".into() };
    }
    let digits = (5 - x.abs().log10().floor() as i32).clamp(0, 12) as usize;
    let text = format!("{x:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').into()
    } else {
        text
    }
}

/// A number with its standard error, which has two significant digits and says how many decimals the number has; alone where the error is
/// not known.
pub fn with_error(x: f64, se: f64) -> String {
    if !x.is_finite() || !se.is_finite() {
        return significant(x);
    }
    if se == 0.0 {
        return significant(x) + " ± 0";
    }
    let decimals = (1 - se.log10().floor() as i32).clamp(0, 12) as usize;
    format!("{x:.decimals$} ± {se:.decimals$}")
}

/// The same of a share, in percent.
pub fn share_with_error(share: f64, se: f64) -> String {
    match share.is_finite() && se.is_finite() {
        true if se == 0.0 => format!("{:.2} ± 0 %", 100.0 * share),
        true => format!("{:.2} ± {:.2} %", 100.0 * share, 100.0 * se),
        false => percent(share),
    }
}

/// A share in percent, a dash where there is none.
pub fn percent(share: f64) -> String {
    if share.is_finite() {
        format!("{:.2} %", 100.0 * share)
    } else {
        "-".into()
    }
}

/// A p-value: two significant digits, at least two decimals.
pub fn probability(p: f64) -> String {
    match p {
        _ if !p.is_finite() => "-".into(),
        ..1e-4 => format!("{p:.1e}"),
        _ => format!("{p:.0$}", (1 - p.log10().floor() as i32).max(2) as usize),
    }
}

/// An interval of numbers in words, a dash where there is none.
pub fn bracketed([low, high]: [String; 2]) -> String {
    if low == "-" { low } else { format!("[{low}, {high}]") }
}

/// A share with two decimals, a dash where there is none.
pub fn share(x: f64) -> String {
    if x.is_finite() { format!("{x:.2}") } else { "-".into() }
}

/// A number of bytes in words.
pub fn bytes(n: u64) -> String {
    match n {
        0..10_000 => format!("{n} bytes"),
        10_000..10_000_000 => format!("{} kB", n / 1000),
        10_000_000..10_000_000_000 => format!("{} MB", n / 1_000_000),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}

/// An integer with thin groups of three: 1,048,576.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let first = digits.len() % 3;
    let groups: Vec<&str> = (0..digits.len())
        .filter(|i| (i + 3 - first).is_multiple_of(3) || *i == 0)
        .map(|i| {
            let end = if i < first { first } else { i + 3 };
            &digits[i..end.min(digits.len())]
        })
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_as_precise_as_its_standard_error() {
        for (x, se, text) in [
            (174_017.3, 1234.4, "174017 ± 1234"),
            (0.943_21, 0.0123, "0.943 ± 0.012"),
            (-5.0, 0.96, "-5.00 ± 0.96"),
            (12.5, 0.0, "12.5 ± 0"),
            (12.5, f64::NAN, "12.5"),
            (f64::NAN, 1.0, "-"),
        ] {
            assert_eq!(with_error(x, se), text);
        }
        assert_eq!(share_with_error(0.703, 0.0021), "70.30 ± 0.21 %");
        assert_eq!(share_with_error(0.703, 0.0), "70.30 ± 0 %");
        assert_eq!(share_with_error(0.703, f64::NAN), "70.30 %");
    }

    #[test]
    fn columns_of_a_table_stand_below_one_another() {
        let rows = [["", "one", "two ±"], ["a", "1", "22"]].map(|row| row.map(String::from));
        assert_eq!(table(&rows), "               one   two ±\na                1      22\n");
    }

    #[test]
    fn a_word_for_a_shell_is_quoted_where_it_must_be() {
        for (text, word) in [
            ("/a/b-c", "/a/b-c"),
            ("seed=1,2", "seed=1,2"),
            ("/a b/it's", "'/a b/it'\\''s'"),
            ("$HOME", "'$HOME'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }

    #[test]
    fn numbers_are_grouped_and_rounded() {
        assert_eq!(
            [0, 12, 999, 1000, 1_048_576, 12_345_678].map(thousands),
            ["0", "12", "999", "1,000", "1,048,576", "12,345,678"]
        );
        assert_eq!(
            [0.0, 1.5, 1234567.8, 0.00012345678, -3.0].map(significant),
            ["0", "1.5", "1234568", "0.000123457", "-3"]
        );
        assert_eq!(
            [1.0, 0.38095, 0.0476, 0.00794, 1.1e-4, 1.083e-5, 0.0, f64::NAN].map(probability),
            ["1.00", "0.38", "0.048", "0.0079", "0.00011", "1.1e-5", "0.0e0", "-"]
        );
    }
}
