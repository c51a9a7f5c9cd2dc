//! Sweeps as part of a batch system's job, as far as that can be seen without one. With a real Slurm: `tools/test_slurm`.
#![cfg(feature = "mpi")]

mod common;

use std::fs;

use common::{Running, arg, folder, illume, run, run_command, signal};

#[test]
fn runs_of_several_ranks_stay_on_their_worker_s_node_whatever_nodes_the_job_has() {
    let folder = folder();
    let file = folder.path().join("w.toml");
    let text = "[base.task]\nname = \"arm\"\n[base.strategy]\nname = \"map_elites\"\nbatch = 20\n[base.budget]\ngenerations = 3\n\
                [resources]\nranks_per_run = 2\nthreads_per_run = 1\n[retry]\nattempts = 1\n";
    fs::write(&file, text).unwrap();
    let jobs: [&[(&str, &str)]; 2] = [
        &[
            ("SLURM_JOB_ID", "1"),
            ("SLURM_JOBID", "1"),
            ("SLURM_NODELIST", "n1,n2"),
            ("SLURM_JOB_NODELIST", "n1,n2"),
            ("SLURM_NNODES", "2"),
            ("SLURM_TASKS_PER_NODE", "1(x2)"),
            ("SLURM_JOB_END_TIME", "4102444800"),
        ],
        &[
            ("PBS_ENVIRONMENT", "PBS_BATCH"),
            ("PBS_JOBID", "1"),
            ("PBS_NODEFILE", "none"),
        ],
    ];
    for (number, job) in jobs.into_iter().enumerate() {
        let out = folder.path().join(number.to_string());
        let mut command = illume(1, &["sweep", "run", arg(&file), "--out", arg(&out)]);
        command.envs(job.iter().copied());
        let said = run_command(command).succeeded();
        assert!(said.contains("qd_score"), "{said}");
    }
}

#[test]
fn a_sweep_has_its_tables_though_the_first_worker_of_srun_was_killed() {
    let folder = folder();
    let file = folder.path().join("w.toml");
    let text = "seeds = 4\n[base.task]\nname = \"hard_maze\"\n[base.strategy]\nname = \"map_elites\"\nbatch = 20\n[base.archive]\n\
                shape = [10, 10]\n[base.budget]\ngenerations = 40\n[resources]\nthreads_per_run = 1\n";
    fs::write(&file, text).unwrap();
    let quiet = folder.path().join("quiet");
    run(1, &["sweep", "run", arg(&file), "--out", arg(&quiet)]).succeeded();
    let out = folder.path().join("disturbed");
    let [first, second] = ["0", "1"].map(|rank| {
        let mut worker = illume(1, &["sweep", "run", arg(&file), "--out", arg(&out)]);
        worker.envs([
            ("SLURM_STEP_NUM_TASKS", "2"),
            ("SLURM_PROCID", rank),
            ("SLURM_CPUS_PER_TASK", "1"),
        ]);
        Running::start(worker)
    });
    while !out.join("plan.toml").is_file() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(signal("KILL", first.pid()));
    first.wait();
    assert_eq!(second.wait().succeeded(), "");
    let table = |dir: &std::path::Path| fs::read_to_string(dir.join("sweep.csv")).unwrap();
    assert_eq!(table(&out), table(&quiet));
}
