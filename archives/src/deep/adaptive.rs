//! `keep = "adaptive"`: a candidate must be evaluated as often as the worst elite of a full cell, and be better, before it takes that elite's place (Justesen, Risi and Mouret, 'MAP-Elites for noisy domains by adaptive sampling',
//! GECCO 2019 companion; in the form of the benchmark, `core/containers/adaptive_sampling_repertoire.py@47e7162` of `adaptive-intelligent-robotics/Uncertain_Quality_Diversity`). Until then it is a contender, which lies in its cell
//! and is neither bred from nor a result.
//!
//! There one candidate is settled after another; here all of a generation contend at once, and those of one cell share the evaluations again of its elites.

use illume_core::{Archive as _, Batch, InsertReport, Outcome, Result, Standing};

use super::{DeepArchive, MOST_SAMPLES, SAMPLES};
use crate::niches::{Niches, STANDING};

const ELITE: u8 = Standing::Elite as u8;
pub(super) const CONTENDS: u8 = Standing::Contends as u8;
const CHALLENGES: u8 = Standing::Challenges as u8;

/// A member, or a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Member(u32),
    Row(u32),
}

impl DeepArchive {
    /// Settles the cells `touched`, with the rows that come to them: adds the members that go to `gone`, and returns the rows that come with the cell of each. What changes its standing is told so.
    ///
    /// # Errors
    /// A column is missing.
    pub(super) fn compare(
        &mut self,
        touched: &[u32],
        coming: &[(u32, u32)],
        (members, leaving): (&[i64], &[bool]),
        gone: &mut Vec<u32>,
        rows: &mut Batch,
    ) -> Result<Vec<(u32, u32)>> {
        let mut come = Vec::new();
        let mut standings: Vec<(Who, u8)> = Vec::new();
        for &cell in touched {
            let niches = self.niches();
            let first = coming.partition_point(|(other, _)| *other < cell);
            let newcomers = coming[first..].iter().take_while(|(other, _)| *other == cell);
            let residents = niches.members(cell).iter().filter(|member| !leaving[**member as usize]);
            let all: Vec<Who> = residents
                .map(|member| Who::Member(*member))
                .chain(newcomers.map(|(_, row)| Who::Row(*row)))
                .collect();
            let standing = niches.elites().columns().get::<u8>(STANDING)?;
            let again = |row: u32| {
                let member = members[row as usize];
                niches.cell_of(member) == Some(cell) && standing[member as usize] == ELITE
            };
            let stay = settle(niches, &all, again, rows, self.rules.depth)?;
            for who in &all {
                let stays = stay.iter().any(|(other, _)| other == who);
                match who {
                    Who::Member(member) if !stays => gone.push(*member),
                    Who::Row(row) if stays => come.push((*row, cell)),
                    _ => {}
                }
            }
            standings.extend(stay);
        }
        for (who, standing) in standings {
            match who {
                Who::Member(member) => self.best.niches.column_mut::<u8>(STANDING)?[member as usize] = standing,
                Who::Row(row) => rows.get_mut::<u8>(STANDING)?[row as usize] = standing,
            }
        }
        Ok(come)
    }

    /// Of rows in contests those alone are new or better that have become elites, evaluations again of contenders among them.
    ///
    /// # Errors
    /// A column is missing.
    pub(super) fn report_contests(
        &self,
        come: &[(u32, u32)],
        members: &[i64],
        rows: &Batch,
        report: &mut InsertReport,
    ) -> Result<()> {
        let (standing, before) = (rows.get::<u8>(STANDING)?, self.elites().columns().get::<u8>(STANDING)?);
        let was_elite = |member: i64| self.niches().cell_of(member).is_some() && before[member as usize] == ELITE;
        let mut won = vec![false; rows.rows()];
        for &(row, _) in come {
            let row = row as usize;
            won[row] = standing[row] == ELITE && !was_elite(members[row]);
            if won[row] && members[row] >= 0 {
                report.outcome[row] = Outcome::Improved as u8;
            }
        }
        let taken = [Outcome::New as u8, Outcome::Improved as u8];
        for (outcome, won) in report.outcome.iter_mut().zip(won) {
            if taken.contains(outcome) && !won {
                *outcome = Outcome::Rejected as u8;
            }
        }
        Ok(())
    }
}

/// Settles a cell: `all` are its members, then the rows that come to it. `again` says which rows are evaluations again of elites that lay in this cell before.
/// Returns those that stay, in their order, with the standing of each.
///
/// # Errors
/// A column is missing.
fn settle(
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
