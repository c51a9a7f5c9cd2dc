//! `keep = "adaptive"`: a candidate must be evaluated as often as the worst elite of a full cell, and be better, before it takes that elite's place (Justesen, Risi and Mouret, 'MAP-Elites for noisy domains by adaptive sampling',
//! GECCO 2019 companion; in the form of the benchmark, `core/containers/adaptive_sampling_repertoire.py@47e7162` of `adaptive-intelligent-robotics/Uncertain_Quality_Diversity`). Until then it is a contender, which lies in its cell
//! and is neither bred from nor a result.
//!
//! There one candidate is settled after another; here all of a generation contend at once, and those of one cell share the evaluations again of its elites.

use illume_core::{Batch, Result};

use super::{MOST_SAMPLES, SAMPLES};
use crate::niches::{Niches, STANDING};

/// An elite.
pub(super) const ELITE: u8 = 0;
/// A contender that is to be evaluated again.
pub(super) const CONTENDS: u8 = 1;
/// A contender that is no better than the worst elite: the cell's elites are to be evaluated again.
const CHALLENGES: u8 = 2;

/// A member, or a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Member(u32),
    Row(u32),
}

/// Settles a cell: `all` are its members, then the rows that come to it. `again` says which rows are evaluations again of elites that lay in this cell before.
/// Returns those that stay, in their order, with the standing of each.
///
/// # Errors
/// A column is missing.
pub(super) fn settle(
    niches: &Niches,
    all: &[Who],
    again: impl Fn(u32) -> bool,
    rows: &Batch,
    depth: usize,
) -> Result<Vec<(Who, u8)>> {
    let table = niches.elites().columns();
    let (their_fitness, fitness) = (table.get::<f64>("fitness")?, rows.get::<f64>("fitness")?);
    let (their_samples, samples) = (table.get::<u32>(SAMPLES)?, rows.get::<u32>(SAMPLES)?);
    let (standings, own) = (table.get::<u8>(STANDING)?, rows.get::<u8>(STANDING)?);
    let worth = |who: Who| match who {
        Who::Member(m) => their_fitness[m as usize],
        Who::Row(row) => fitness[row as usize],
    };
    let evaluated = |who: Who| match who {
        Who::Member(m) => their_samples[m as usize],
        Who::Row(row) => samples[row as usize],
    };
    let standing = |who: Who| match who {
        Who::Member(m) => standings[m as usize],
        Who::Row(row) if again(row) => ELITE,
        Who::Row(row) => own[row as usize].max(CONTENDS),
    };
    // Whether the elites that a challenge waits for have been evaluated again: if any has.
    let answered = all.iter().any(|who| matches!(who, Who::Row(row) if again(*row)));
    let (mut elites, contenders): (Vec<Who>, Vec<Who>) = all.iter().partition(|who| standing(**who) == ELITE);
    let mut waiting = Vec::new();
    for who in contenders {
        if elites.len() < depth {
            elites.push(who);
            continue;
        }
        // The worst, of equals the one that came last.
        let worst = (0..depth).reduce(|a, b| if worth(elites[b]) <= worth(elites[a]) { b } else { a });
        let worst = worst.unwrap_or(0);
        let elite = elites[worst];
        if worth(who) > worth(elite) {
            if evaluated(who) >= evaluated(elite) {
                elites.remove(worst);
                elites.push(who);
            } else {
                waiting.push((who, CONTENDS));
            }
        } else if !(standing(who) == CHALLENGES && answered) && evaluated(elite) < MOST_SAMPLES {
            waiting.push((who, CHALLENGES));
        }
        // All others have lost: those that were answered, and those whose elite is known as well as it may be.
    }
    let stays = |who: &Who| {
        let waits = waiting.iter().find(|(other, _)| other == who);
        waits.copied().or_else(|| elites.contains(who).then_some((*who, ELITE)))
    };
    Ok(all.iter().filter_map(stays).collect())
}
