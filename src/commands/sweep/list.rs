//! `illume sweep list`: a command for each run.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use illume_core::Result;
use serde_json::json;

use crate::commands::launch::alone;
use crate::engine::output::{json_text, quoted};
use crate::sweep::Sweep;

/// How `illume sweep list` prints runs.
#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A command a line (GNU parallel, disBatch, HyperQueue's --each-line)
    Lines,
    /// A list of objects with id, number and command (HyperQueue's --from-json)
    Json,
    /// The numbers of the runs, as --array of sbatch takes them
    Array,
}

/// Print a command for each unfinished run, for GNU parallel, HyperQueue, disBatch or a job array
#[derive(Args)]
pub struct ListArgs {
    /// Folder of the sweep
    dir: PathBuf,
    #[arg(long, value_enum, default_value = "lines")]
    format: Format,
    /// Finished runs too
    #[arg(long)]
    all: bool,
}

impl ListArgs {
    pub fn run(&self) -> u8 {
        alone(|| list(self))
    }
}

/// Prints a command for each run.
///
/// # Errors
/// There is no sweep.
fn list(args: &ListArgs) -> Result<String> {
    let sweep = Sweep::open(&args.dir)?;
    let results = sweep.results()?;
    let open = |id: &str| args.all || results.get(id).is_none();
    let runs: Vec<(usize, &str)> = sweep
        .plan
        .runs
        .iter()
        .enumerate()
        .map(|(i, run)| (i + 1, run.id.as_str()))
        .filter(|(_, id)| open(id))
        .collect();
    let dir = std::fs::canonicalize(&args.dir).unwrap_or_else(|_| args.dir.clone());
    let command = |id: &str| format!("illume sweep run {} --only {id}", quoted(&dir.display().to_string()));
    Ok(match args.format {
        Format::Lines => runs.iter().map(|(_, id)| command(id) + "\n").collect(),
        Format::Json => {
            let entries: Vec<_> = runs
                .iter()
                .map(|(number, id)| json!({"id": id, "number": number, "command": command(id)}))
                .collect();
            json_text(&json!(entries))
        }
        Format::Array => ranges(&runs.iter().map(|(number, _)| *number).collect::<Vec<_>>()) + "\n",
    })
}

/// `1-3,7,9-12`.
fn ranges(numbers: &[usize]) -> String {
    let mut parts: Vec<(usize, usize)> = Vec::new();
    for &n in numbers {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == n => *last = n,
            _ => parts.push((n, n)),
        }
    }
    let text = |(a, b): &(usize, usize)| if a == b { a.to_string() } else { format!("{a}-{b}") };
    parts.iter().map(text).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_joined_to_ranges() {
        assert_eq!(ranges(&[1, 2, 3, 7, 9, 10]), "1-3,7,9-10");
        assert_eq!((ranges(&[]), ranges(&[4])), (String::new(), "4".into()));
    }
}
