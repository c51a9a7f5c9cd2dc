//! This rank's share of its node's cores.

use std::collections::BTreeSet;

use illume_core::{Comm, Result};

use crate::launch;

/// The part of the machine that this rank may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Ranks on this node.
    pub ranks: usize,
    /// Cores (hardware threads) of this rank: those that it may run on, each divided by the ranks that may run there too.
    pub cores: usize,
    /// More ranks than cores: they take turns.
    pub crowded: bool,
    /// A sentence for the log if the launcher started more ranks than there are cores, or left cores of the node idle.
    pub note: Option<String>,
}

impl Node {
    /// The part of a process that shares its node with others of its launcher without being connected to them.
    ///
    /// # Errors
    /// None that is known.
    pub fn alone() -> Result<Self> {
        Node::of(&crate::Solo)
    }

    /// `node` connects the ranks of this node. Collective over it.
    ///
    /// # Errors
    /// The transport failed.
    pub(crate) fn of(node: &dyn Comm) -> Result<Self> {
        let mine = allowed("self").unwrap_or_default();
        let lists: Vec<BTreeSet<usize>> = gather(node, &mine)?.iter().map(|text| cpu_list(text)).collect();
        let launch = launch::detect();
        let whole = allowed(&std::os::unix::process::parent_id().to_string()).map(|text| cpu_list(&text).len());
        let used = lists.iter().flatten().collect::<BTreeSet<_>>().len();
        let bound = whole.is_some_and(|whole| used > 0 && used < whole);
        // A rank that was told not to use MPI still shares the node with its like, unless each is bound to cores of its own.
        let unconnected = launch
            .as_ref()
            .and_then(|l| l.local_ranks)
            .filter(|_| node.size() == 1 && !bound)
            .unwrap_or(1);
        let ranks = node.size().max(unconnected);
        let available = std::thread::available_parallelism().map_or(1, usize::from);
        let per_task = std::env::var("SLURM_CPUS_PER_TASK")
            .ok()
            .and_then(|n| n.trim().parse().ok());
        let share = share(&lists, node.rank(), unconnected, available);
        let cores = share.min(per_task.unwrap_or(usize::MAX)).max(1);
        let crowded = share == 0;

        let binds = std::env::var_os("OMPI_COMM_WORLD_SIZE").is_some();
        let note = if crowded {
            Some(format!(
                "{ranks} ranks share {used} core(s) of this node: they will take turns"
            ))
        } else {
            whole.filter(|_| binds && bound).map(|whole| {
                format!(
                    "mpirun bound the {ranks} rank(s) of this node to {used} of its {whole} cores; \
                     `mpirun --bind-to none` lets them use all"
                )
            })
        };
        Ok(Node {
            ranks,
            cores,
            crowded,
            note,
        })
    }
}

/// Everyone's text, in rank order.
fn gather(comm: &dyn Comm, mine: &str) -> Result<Vec<String>> {
    let (mut lengths, mut texts) = (Vec::new(), Vec::new());
    comm.all_gather(&(mine.len() as u64).to_le_bytes(), &vec![8; comm.size()], &mut lengths)?;
    let lengths: Vec<usize> = lengths
        .chunks_exact(8)
        .map(|b| b.iter().rev().fold(0, |n, &byte| n << 8 | byte as usize))
        .collect();
    comm.all_gather(mine.as_bytes(), &lengths, &mut texts)?;
    let mut rest = &texts[..];
    Ok(lengths
        .iter()
        .map(|&length| {
            let (text, after) = rest.split_at(length);
            rest = after;
            String::from_utf8_lossy(text).into_owned()
        })
        .collect())
}

/// The cores that a process may run on, as Linux writes it ("0-3,8"); None elsewhere.
fn allowed(process: &str) -> Option<String> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    Some(line.trim().to_string())
}

fn cpu_list(text: &str) -> BTreeSet<usize> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.trim().parse::<usize>().ok()?..=last.trim().parse::<usize>().ok()?)
    };
    text.split(',').filter_map(range).flatten().collect()
}

/// `lists[r]`: cores of each rank of the node, each of which stands for `alike` ranks that are not connected; `available`: what this
/// rank's own list and its control group's quota allow.
fn share(lists: &[BTreeSet<usize>], rank: usize, alike: usize, available: usize) -> usize {
    let mine = &lists[rank];
    let ranks = lists.len() * alike;
    if mine.is_empty() {
        return available / ranks;
    }
    let part = |core: &usize| 1.0 / (alike * lists.iter().filter(|list| list.contains(core)).count()) as f64;
    // Thirds do not add up to one.
    let cores = (mine.iter().map(part).sum::<f64>() + 1e-6) as usize;
    // A quota is the node's, whoever may run where.
    if available < mine.len() {
        cores.min(available / ranks)
    } else {
        cores
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_are_divided_by_the_ranks_that_may_run_on_them() {
        let all = cpu_list("0-7");
        assert_eq!(share(std::slice::from_ref(&all), 0, 1, 8), 8);
        assert_eq!(share(&[all.clone(), all.clone(), all.clone()], 1, 1, 8), 2);
        assert_eq!(share(std::slice::from_ref(&all), 0, 4, 8), 2);
        // Bound to halves: each has its half for itself.
        assert_eq!(share(&[cpu_list("0-3"), cpu_list("4-7")], 0, 1, 4), 4);
        // Two ranks on each half.
        let halves = [cpu_list("0-3"), cpu_list("0-3"), cpu_list("4,5,6-7"), cpu_list("4-7")];
        assert_eq!(share(&halves, 2, 1, 4), 2);
        // A container's quota of 2 cores on 8.
        assert_eq!(share(&[all.clone(), all.clone()], 0, 1, 2), 1);
        // No list (not Linux).
        assert_eq!(share(&[BTreeSet::new(), BTreeSet::new()], 0, 1, 6), 3);
        // Three on seven: 2.33.
        assert_eq!(share(&[cpu_list("0-6"), cpu_list("0-6"), cpu_list("0-6")], 0, 1, 7), 2);
    }
}
