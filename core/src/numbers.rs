//! Tables of numbers in files that people have: an array of numpy (`.npy`), or lines of text (`.csv`, or numbers between blanks).

use std::io::{BufRead as _, BufReader};
use std::path::Path;

use crate::{Error, Result, npy};

/// Rows of numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Numbers {
    /// Numbers of a row.
    pub width: usize,
    /// `[rows, width]`.
    pub values: Vec<f64>,
    /// What the columns are called; empty where the file does not say.
    pub names: Vec<String>,
}

impl Numbers {
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// Reads a file. Of a text with a header, those columns that `wanted` picks by their names, in its order.
    ///
    /// # Errors
    /// No such file, no rows, lines of different lengths, or something else than a number; one sentence with path and line.
    pub fn read(path: &Path, wanted: impl FnOnce(&[String]) -> Vec<usize>) -> Result<Numbers> {
        let refuse = |what: String| Error::input(format!("{}: {what}", path.display()));
        let numbers = match path
            .extension()
            .is_some_and(|ending| ending.eq_ignore_ascii_case("npy"))
        {
            true => array(path)?,
            false => text(path, wanted).map_err(refuse)?,
        };
        if numbers.rows() == 0 {
            return Err(refuse("holds no numbers; expected a row for each".into()));
        }
        Ok(numbers)
    }
}

fn array(path: &Path) -> Result<Numbers> {
    let field = npy::file(path)?;
    let words = || Error::input(format!("{}: holds words, and expected are numbers", path.display()));
    Ok(Numbers {
        width: field.width,
        values: field.values.real().ok_or_else(words)?,
        names: Vec::new(),
    })
}

/// The fields of a line: between commas, or where there is none between blanks.
fn fields(line: &str) -> Vec<&str> {
    match line.contains(',') {
        true => line.split(',').map(|field| field.trim().trim_matches('"')).collect(),
        false => line.split_whitespace().map(|field| field.trim_matches('"')).collect(),
    }
}

fn text(path: &Path, wanted: impl FnOnce(&[String]) -> Vec<usize>) -> std::result::Result<Numbers, String> {
    let file = std::fs::File::open(path).map_err(|e| e.to_string())?;
    let (mut found, mut columns, mut wanted) = (Numbers::default(), None::<Vec<usize>>, Some(wanted));
    let mut length = 0;
    for (i, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|e| match e.kind() {
            std::io::ErrorKind::InvalidData => {
                "is no text; expected an array of numpy (.npy) or lines of numbers".into()
            }
            _ => e.to_string(),
        })?;
        let line = line.trim_start_matches('\u{feff}').trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fields = fields(line);
        let numbers = || fields.iter().all(|field| field.parse::<f64>().is_ok());
        let columns = match &columns {
            Some(columns) => columns,
            // The first line may be a header.
            None => {
                length = fields.len();
                let header = !numbers();
                let picked = match (header, wanted.take()) {
                    (true, Some(wanted)) => {
                        let names: Vec<String> = fields.iter().map(|name| (*name).to_string()).collect();
                        let picked = wanted(&names);
                        found.names = picked.iter().map(|&at| names[at].clone()).collect();
                        picked
                    }
                    _ => (0..length).collect(),
                };
                found.width = picked.len();
                let picked = columns.insert(picked);
                if header {
                    continue;
                }
                picked
            }
        };
        if fields.len() != length {
            let message = format!(
                "line {}: expected {length} fields as before, got {}",
                i + 1,
                fields.len()
            );
            return Err(message);
        }
        for &at in columns {
            let number = fields[at].parse();
            let no_number = |_| {
                format!(
                    "line {}: field {} is '{}', and must be a number",
                    i + 1,
                    at + 1,
                    fields[at]
                )
            };
            found.values.push(number.map_err(no_number)?);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> std::result::Result<Numbers, String> {
        let folder = std::env::temp_dir().join(format!(
            "illume-numbers-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        std::fs::write(&folder, text).unwrap();
        let found = Numbers::read(&folder, |names| {
            (0..names.len()).filter(|&i| names[i].starts_with('x')).collect()
        });
        std::fs::remove_file(&folder).unwrap();
        found.map_err(|e| e.to_string())
    }

    #[test]
    fn a_table_is_read_with_or_without_a_header() {
        for (text, names) in [
            ("1,2\n3, 4\n", vec![]),
            ("# savetxt\n1 2\n\n3 4\n", vec![]),
            ("word,\"x0\",x1\na,1,2\nb,3,4\n", vec!["x0", "x1"]),
        ] {
            let found = read(text).unwrap();
            assert_eq!((found.width, found.rows()), (2, 2), "{text}");
            assert_eq!(
                (found.values, found.names),
                (vec![1.0, 2.0, 3.0, 4.0], names.into_iter().map(String::from).collect())
            );
        }
    }

    #[test]
    fn what_is_no_table_of_numbers_is_refused_with_its_line() {
        for (text, part) in [
            ("", "no numbers"),
            ("x0,x1\n", "no numbers"),
            ("1,2\n3\n", "line 2: expected 2 fields as before, got 1"),
            ("1,2\n3,a\n", "line 2: field 2 is 'a'"),
            ("x0,x1\n3,\n", "line 2: field 2 is ''"),
        ] {
            let message = read(text).unwrap_err();
            assert!(message.contains(part), "{message}");
        }
        assert!(Numbers::read(Path::new("/no/such.csv"), |_| Vec::new()).is_err());
    }
}
