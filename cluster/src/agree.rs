//! A failure of one rank becomes the failure of all, so that all leave together.

use illume_core::{Comm, Error, Problem, Result};

/// Ok on every rank if `mine` is Ok on every rank; otherwise the lowest failing rank's error on every rank, its kind kept.
///
/// # Errors
/// Any rank failed (whatever happened here), or the transport did.
pub fn agree<T>(comm: &dyn Comm, mine: Result<T>) -> Result<T> {
    let mut failed = Vec::new();
    comm.all_gather(&[u8::from(mine.is_err())], &vec![1; comm.size()], &mut failed)?;
    let Some(lowest) = failed.iter().position(|&f| f != 0) else {
        return mine;
    };
    let mut text = match &mine {
        Err(error) if comm.rank() == lowest => encode(error, lowest),
        _ => Vec::new(),
    };
    comm.broadcast(lowest, &mut text)?;
    Err(decode(&text).unwrap_or_else(|| Error::failed(format!("rank {lowest} failed and its message is unreadable"))))
}

const INPUT: &str = "input";
const CONFIG: &str = "config";
const FAILED: &str = "failed";
const BUSY: &str = "busy";

/// The kind, then its strings, each behind its length.
fn encode(error: &Error, rank: usize) -> Vec<u8> {
    let mut fields = Vec::new();
    match error {
        Error::Input(message) => fields.extend([INPUT.to_string(), message.clone()]),
        Error::Config(problems) => {
            fields.push(CONFIG.to_string());
            for p in problems {
                fields.extend([p.section.clone(), p.key.clone(), p.message.clone()]);
            }
        }
        // Rank 0 will print it, so say whose it is.
        Error::Failed(message) if rank > 0 => fields.extend([FAILED.to_string(), format!("rank {rank}: {message}")]),
        Error::Failed(message) => fields.extend([FAILED.to_string(), message.clone()]),
        Error::Busy(message) => fields.extend([BUSY.to_string(), message.clone()]),
    }
    let mut bytes = Vec::new();
    for field in fields {
        bytes.extend_from_slice(&(field.len() as u64).to_le_bytes());
        bytes.extend_from_slice(field.as_bytes());
    }
    bytes
}

fn decode(mut bytes: &[u8]) -> Option<Error> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<8>()?;
        let (field, rest) = rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)?;
        fields.push(std::str::from_utf8(field).ok()?.to_string());
        bytes = rest;
    }
    match (fields.first()?.as_str(), &fields[1..]) {
        (INPUT, [message]) => Some(Error::input(message)),
        (FAILED, [message]) => Some(Error::failed(message)),
        (BUSY, [message]) => Some(Error::busy(message)),
        (CONFIG, problems) => {
            let problem = |p: &[String]| Problem {
                section: p[0].clone(),
                key: p[1].clone(),
                message: p[2].clone(),
            };
            Some(Error::Config(problems.chunks_exact(3).map(problem).collect()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run_ranks;

    #[test]
    fn all_ranks_get_the_lowest_failing_ranks_error() {
        for error in run_ranks(3, |comm| {
            let mine = match comm.rank() {
                0 => Ok(()),
                1 => Err(Error::Config(vec![
                    Problem {
                        section: "task".into(),
                        key: "name".into(),
                        message: "ünknown".into(),
                    },
                    Problem {
                        section: String::new(),
                        key: "seed".into(),
                        message: String::new(),
                    },
                ])),
                _ => Err(Error::failed("later")),
            };
            agree(comm, mine)
        }) {
            let Err(Error::Config(problems)) = error else {
                panic!("{error:?}")
            };
            assert_eq!(problems[0].to_string(), "task.name: ünknown");
            assert_eq!(problems[1].to_string(), "seed: ");
        }
    }

    #[test]
    fn a_failure_of_the_machine_names_its_rank() {
        let outcomes = run_ranks(2, |comm| {
            agree(
                comm,
                if comm.rank() == 1 {
                    Err(Error::failed("disk"))
                } else {
                    Ok(3)
                },
            )
        });
        for outcome in outcomes {
            assert!(matches!(outcome, Err(Error::Failed(m)) if m == "rank 1: disk"));
        }
    }

    #[test]
    fn what_another_process_has_stays_a_reason_to_try_again() {
        let busy = |comm: &dyn Comm| match comm.rank() {
            0 => Err(Error::busy("taken")),
            _ => Ok(()),
        };
        for outcome in run_ranks(2, |comm| agree(comm, busy(comm))) {
            assert!(matches!(outcome, Err(Error::Busy(m)) if m == "taken"));
        }
    }

    #[test]
    fn without_a_failure_everyone_keeps_their_own() {
        assert_eq!(run_ranks(3, |comm| agree(comm, Ok(comm.rank())).unwrap()), [0, 1, 2]);
    }
}
