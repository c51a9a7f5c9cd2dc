//! What a launcher says of its processes in the environment, for those who ask before or without MPI; how programs are started and end.

use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Command, ExitStatus, Stdio};

/// Variables of launchers begin so; a program started by a rank is no rank.
const LAUNCHERS: [&str; 8] = [
    "OMPI_",
    "PMIX_",
    "PMI_",
    "PRTE_",
    "MPI_LOCAL",
    "MV2_",
    "MPIEXEC_",
    "HYDRA_",
];

/// What steers Open MPI and is no sign of a rank: settings of the user's own.
const SETTINGS: [&str; 3] = ["OMPI_MCA_", "PRTE_MCA_", "OMPI_ALLOW_RUN_AS_ROOT"];

/// This process's number among those that its launcher started on this node, 0 without one.
pub fn local_rank() -> usize {
    let names = [
        "OMPI_COMM_WORLD_LOCAL_RANK",
        "MPI_LOCALRANKID",
        "MV2_COMM_WORLD_LOCAL_RANK",
        "PMI_LOCAL_RANK",
        "PALS_LOCAL_RANKID",
        "FLUX_TASK_LOCAL_ID",
        "SLURM_LOCALID",
    ];
    let number = |name: &str| std::env::var(name).ok()?.trim().parse().ok();
    names.into_iter().find_map(number).unwrap_or(0)
}

/// Takes the variables of this process's launcher out of a command's environment, so that the program does not take itself for one of its ranks.
pub fn forget_launcher(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        let of_launcher = LAUNCHERS.iter().any(|start| text.starts_with(start)) && !is_setting(text);
        if of_launcher || text.starts_with("SLURM_STEP") || text == "SLURM_PROCID" {
            command.env_remove(&name);
        }
    }
}

/// Tells Python to flush what it writes.
const UNBUFFERED: &str = "PYTHONUNBUFFERED";

/// A program of the user's (`command` is its name and its arguments) that is to run beside this process and to be spoken to over pipes.
pub fn companion(command: &[String]) -> Command {
    let mut program = Command::new(&command[0]);
    forget_launcher(&mut program);
    program
        .args(&command[1..])
        // Signals to the run's own group, a terminal's Ctrl-C say, end the run in order: until then it needs the program.
        .process_group(0)
        // A Python program that writes to a pipe keeps what it writes back, unless it is told not to.
        .envs(std::env::var_os(UNBUFFERED).is_none().then_some((UNBUFFERED, "1")))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    program
}

/// Open MPI also hands its own values to ranks as settings, of which those about where it found itself must not be inherited.
fn is_setting(name: &str) -> bool {
    let own = [
        "OMPI_MCA_ess",
        "OMPI_MCA_orte",
        "OMPI_MCA_pmix",
        "OMPI_MCA_initial_wdir",
        "OMPI_MCA_shmem",
        "OMPI_MCA_plm",
    ];
    SETTINGS.iter().any(|start| name.starts_with(start)) && !own.iter().any(|start| name.starts_with(start))
}

/// Whether a signal ended a program, or, as a shell reports it, what it had started.
pub fn was_killed(status: ExitStatus) -> bool {
    status.signal().is_some() || matches!(status.code(), Some(129..=192))
}

/// The name of a signal that ends programs which have a fault, behind its number: ` (SIGSEGV)`; empty for others.
pub fn signal_name(signal: i32) -> &'static str {
    match signal {
        4 => " (SIGILL)",
        6 => " (SIGABRT)",
        7 => " (SIGBUS)",
        8 => " (SIGFPE)",
        11 => " (SIGSEGV)",
        15 => " (SIGTERM)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_of_the_user_are_told_from_what_a_launcher_says() {
        for name in [
            "OMPI_MCA_rmaps_base_oversubscribe",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM",
            "PRTE_MCA_hwloc_default_binding_policy",
        ] {
            assert!(is_setting(name), "{name}");
        }
        for name in [
            "OMPI_COMM_WORLD_SIZE",
            "OMPI_MCA_ess_base_jobid",
            "OMPI_MCA_orte_hnp_uri",
            "PMIX_RANK",
        ] {
            assert!(!is_setting(name), "{name}");
        }
    }
}
