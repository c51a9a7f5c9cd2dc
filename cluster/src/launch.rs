//! What the launcher (mpirun, mpiexec, srun) says in the environment, before MPI is asked.

use std::env;

use illume_core::{Error, Result};

/// How this process was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    pub launcher: &'static str,
    /// Ranks started, if the launcher says.
    pub ranks: Option<usize>,
    pub rank: usize,
    pub local_ranks: Option<usize>,
}

/// Launcher, and its variables for: ranks, rank, ranks on this node. The first whose ranks are set is it.
/// (Open MPI, Intel MPI and MPICH's hydra, MVAPICH, srun. SLURM_NTASKS is no sign: a batch script has it too.)
const LAUNCHERS: [(&str, &str, &str, &str); 4] = [
    (
        "mpirun",
        "OMPI_COMM_WORLD_SIZE",
        "OMPI_COMM_WORLD_RANK",
        "OMPI_COMM_WORLD_LOCAL_SIZE",
    ),
    ("mpiexec", "PMI_SIZE", "PMI_RANK", "MPI_LOCALNRANKS"),
    (
        "mpirun_rsh",
        "MV2_COMM_WORLD_SIZE",
        "MV2_COMM_WORLD_RANK",
        "MV2_COMM_WORLD_LOCAL_SIZE",
    ),
    ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_NTASKS_PER_NODE"),
];

/// None: no launcher, or one that started a single rank.
pub(crate) fn detect() -> Option<Launch> {
    detect_in(|name| env::var(name).ok())
}

fn detect_in(variable: impl Fn(&str) -> Option<String>) -> Option<Launch> {
    let number = |name: &str| variable(name)?.trim().parse::<usize>().ok();
    let found = LAUNCHERS.into_iter().find_map(|(launcher, ranks, rank, local)| {
        let launch = Launch {
            launcher,
            ranks: Some(number(ranks)?),
            rank: number(rank).unwrap_or(0),
            local_ranks: number(local),
        };
        Some(launch)
    });
    // Any other launcher that speaks PMIx; MPI will know how many.
    let found = found.or_else(|| {
        Some(Launch {
            launcher: "the launcher",
            ranks: None,
            rank: number("PMIX_RANK")?,
            local_ranks: None,
        })
    });
    found.filter(|launch| launch.ranks != Some(1))
}

/// This process's rank as its launcher's environment has it, 0 without one: who prints while MPI is not up.
pub fn launched_rank() -> usize {
    detect().map_or(0, |launch| launch.rank)
}

/// `ILLUME_MPI=on` or `off`: overrides what the environment says.
pub(crate) fn forced() -> Result<Option<bool>> {
    match env::var("ILLUME_MPI").ok().as_deref() {
        None | Some("") => Ok(None),
        Some("on" | "1") => Ok(Some(true)),
        Some("off" | "0") => Ok(Some(false)),
        Some(other) => Err(Error::input(format!(
            "the environment has ILLUME_MPI={other}; on or off would be accepted"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect_with(variables: &[(&str, &str)]) -> Option<Launch> {
        detect_in(|name| variables.iter().find(|(n, _)| *n == name).map(|(_, v)| v.to_string()))
    }

    #[test]
    fn each_launcher_is_recognized_by_its_variables() {
        let open_mpi = detect_with(&[
            ("OMPI_COMM_WORLD_SIZE", "4"),
            ("OMPI_COMM_WORLD_RANK", "3"),
            ("PMIX_RANK", "3"),
        ]);
        assert_eq!(
            open_mpi,
            Some(Launch {
                launcher: "mpirun",
                ranks: Some(4),
                rank: 3,
                local_ranks: None
            })
        );
        assert_eq!(
            detect_with(&[("PMI_SIZE", "2"), ("PMI_RANK", "1")]).unwrap().launcher,
            "mpiexec"
        );
        assert_eq!(
            detect_with(&[("SLURM_STEP_NUM_TASKS", "2"), ("SLURM_PROCID", "1")])
                .unwrap()
                .launcher,
            "srun"
        );
        assert_eq!(detect_with(&[("PMIX_RANK", "5")]).unwrap().rank, 5);
    }

    #[test]
    fn a_single_rank_and_a_batch_script_are_no_launch() {
        assert_eq!(detect_with(&[]), None);
        assert_eq!(detect_with(&[("OMPI_COMM_WORLD_SIZE", "1"), ("PMIX_RANK", "0")]), None);
        assert_eq!(detect_with(&[("SLURM_NTASKS", "64"), ("SLURM_PROCID", "0")]), None);
    }
}
