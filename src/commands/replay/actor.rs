//! Who acts: an elite of an archive, the strategy's own solution, or a policy.

use std::path::Path;

use illume_core::{Candidates, Error, Result};

use super::ReplayArgs;
use crate::analysis::reevaluate::{candidates, fresh_seed};
use crate::analysis::subject::{self, Subject};
use crate::commands::elite::{self, Solution, Which};
use crate::commands::eval::policy;
use crate::formats::policy::PolicyFile;

/// Who acts, under which seed, and what is known of it.
pub(super) struct Actor {
    pub candidates: Candidates,
    pub seed: u64,
    /// `cell 12`, `solution`, `policy`.
    pub name: String,
    pub cell: Option<i64>,
    /// Fitness as stored, and what that is where it is not that of one episode.
    pub stored: Option<f64>,
    pub meaning: Option<String>,
    /// Why it may act otherwise than when it was found.
    pub notes: Vec<String>,
}

/// The elite or the solution that the arguments name.
///
/// # Errors
/// There is no such elite.
pub(super) fn of_archive(subject: &Subject, args: &ReplayArgs) -> Result<Actor> {
    let file = &subject.file;
    if let Some(text) = &args.descriptor {
        return of_row(subject, elite::nearest_to(file, text)?, args.seed);
    }
    let solution = match args.elite {
        Some(Which::Solution) => Some(Solution::of(file)?.ok_or_else(|| elite::no_solution(file))?),
        // Where the archive is the result, there may be an actor beside it that was never scored.
        None => Solution::of(file)?.filter(|solution| solution.fitness.is_some()),
        _ => None,
    };
    let Some(solution) = solution else {
        return of_row(subject, elite::row(file, args.elite.unwrap_or(Which::Best))?, args.seed);
    };
    let genomes = subject::with_decoder(solution.genomes, || {
        crate::decoder(&subject.config, subject.task.spec())
    })?;
    Ok(Actor {
        candidates: candidates(genomes, 1, subject::normalization(file)?),
        seed: args.seed.or(solution.seed).unwrap_or(file.attributes.seed),
        name: "solution".into(),
        cell: None,
        stored: solution.fitness,
        meaning: Some(solution.meaning),
        notes: notes(subject)?,
    })
}

/// An elite, under this seed or its own.
///
/// # Errors
/// A damaged file.
pub(super) fn of_row(subject: &Subject, row: usize, seed: Option<u64>) -> Result<Actor> {
    let file = &subject.file;
    let (cells, fitness, seeds): (&[i64], &[f64], &[u64]) = (
        file.elites.get("cell")?,
        file.elites.get("fitness")?,
        file.elites.get("seed")?,
    );
    Ok(Actor {
        candidates: subject::elites(subject, row..row + 1, subject::normalization(file)?)?,
        seed: seed.unwrap_or(seeds[row]),
        name: format!("cell {}", cells[row]),
        cell: Some(cells[row]),
        stored: Some(fitness[row]),
        meaning: None,
        notes: notes(subject)?,
    })
}

pub(super) fn of_policy(policy: &PolicyFile, path: &Path, args: &ReplayArgs) -> Result<Actor> {
    if args.elite.is_some() {
        return Err(Error::input(format!(
            "--elite is for an archive, and {} is a policy: --descriptor says what it is asked for",
            path.display()
        )));
    }
    Ok(Actor {
        candidates: policy::asked(policy, args.descriptor.as_deref(), path)?,
        seed: args.seed.unwrap_or(fresh_seed(0, 0)),
        name: "policy".into(),
        cell: None,
        stored: None,
        meaning: None,
        notes: Vec::new(),
    })
}

/// Why elites of the archive may act otherwise than when they were found.
fn notes(subject: &Subject) -> Result<Vec<String>> {
    let mut notes = subject.notes();
    if subject::normalization(&subject.file)?.is_some() {
        notes.push("observations are normalized by the run's last statistics, not by those of the day".into());
    }
    let repeats = subject.task.spec().repeats;
    if repeats > 1 {
        notes.push(format!(
            "the stored fitness is the mean of {repeats} evaluations (task.repeats), of which this is the first"
        ));
    }
    Ok(notes)
}
