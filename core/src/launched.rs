//! What a launcher says of its processes in the environment, for those who ask before or without MPI.

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
