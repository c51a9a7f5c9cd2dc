//! `illume submit`: scripts that a shell accepts, what they do when a job ends, and wrong input. With a real Slurm: `tools/test_slurm`.

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use common::refused::{GOOD, assert_refused, assert_says, contents};
use common::{Ended, ILLUME, arg, folder, run_command};

const SWEEP: &str = "seeds = 2\n[base.task]\nname = \"arm\"\n[base.strategy]\nname = \"map_elites\"\nbatch = 20\n[base.archive]\n\
                     shape = [10, 10]\n[base.budget]\ngenerations = 3\n[parameters]\nstrategy.iso_sigma = [0.01, 0.1]\n";

/// A folder with `my run.toml`, `w.toml`, and programs that stand for those of a cluster: each notes its arguments and what it read.
fn cluster() -> tempfile::TempDir {
    let folder = folder();
    fs::write(folder.path().join("my run.toml"), GOOD).unwrap();
    fs::write(folder.path().join("w.toml"), SWEEP).unwrap();
    fs::create_dir(folder.path().join("bin")).unwrap();
    folder
}

/// Puts a program of this name in front of all others.
fn program(folder: &Path, name: &str, does: &str) {
    let path = folder.join("bin").join(name);
    let text = format!(
        "#!/bin/bash\necho \"{name} $*\" >> '{}'\n{does}\n",
        folder.join("calls").display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn path(folder: &Path) -> String {
    format!("{}:{}", folder.join("bin").display(), std::env::var("PATH").unwrap())
}

fn submit(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(ILLUME);
    command
        .current_dir(folder)
        .env("PATH", path(folder))
        .arg("submit")
        .args(arguments);
    run_command(command)
}

/// Runs a script as a scheduler would.
fn job(folder: &Path, script: &Path, job: &[(&str, &str)]) -> Ended {
    let mut command = Command::new("bash");
    command.arg(script).env("PATH", path(folder)).envs(job.iter().copied());
    run_command(command)
}

fn calls(folder: &Path) -> String {
    fs::read_to_string(folder.join("calls")).unwrap_or_default()
}

#[test]
fn scripts_for_every_scheduler_are_accepted_by_a_shell() {
    let folder = cluster();
    let at = folder.path();
    for scheduler in ["slurm", "pbs", "lsf"] {
        for given in [
            &["my run.toml"][..],
            &["my run.toml", "--seeds", "3", "strategy.iso_sigma=0.1,0.2"],
            &["w.toml"],
        ] {
            let more = [
                "--scheduler",
                scheduler,
                "--time",
                "2h",
                "--threads",
                "4",
                "--nodes",
                "3",
            ];
            let text = submit(
                at,
                &[given, &more, &["--module", "mpi/4", "--memory", "8g", "--gpus", "1"]].concat(),
            )
            .succeeded();
            let script = at.join("x.sh");
            fs::write(&script, &text).unwrap();
            run_command({
                let mut bash = Command::new("bash");
                bash.arg("-n").arg(&script);
                bash
            })
            .succeeded();
            let mark = ["#SBATCH ", "#PBS ", "#BSUB "].map(|mark| text.contains(mark));
            assert_eq!(mark, ["slurm", "pbs", "lsf"].map(|name| name == scheduler), "{text}");
            assert!(
                text.starts_with("#!/bin/bash -l\n") && text.contains("module load mpi/4"),
                "{text}"
            );
        }
    }
    assert_eq!(
        fs::read_dir(at).unwrap().count(),
        4,
        "nothing but the script that this test wrote"
    );
}

#[test]
fn what_is_asked_for_stands_in_the_scheduler_s_own_words() {
    let folder = cluster();
    let all = |scheduler: &str| {
        let text = "--nodes 4 --ranks-per-node 2 --threads 8 --time 26h --notice 10m --gpus 2 --memory 64gb --queue long --account a1 --name n1 --out runs/x";
        let arguments: Vec<&str> = ["my run.toml", "--scheduler", scheduler, "--option", "-x y"]
            .into_iter()
            .chain(text.split(' '))
            .collect();
        submit(folder.path(), &arguments).succeeded()
    };
    let expected: [(&str, &[&str]); 3] = [
        (
            "slurm",
            &[
                "#SBATCH --nodes=4\n#SBATCH --ntasks-per-node=2\n#SBATCH --cpus-per-task=8\n#SBATCH --mem=64G\n#SBATCH --time=26:00:00\n",
                "--job-name=n1\n",
                "--signal=USR1@600\n",
                "--requeue\n#SBATCH --open-mode=append\n",
                "--gpus-per-node=2\n#SBATCH --partition=long\n#SBATCH --account=a1\n#SBATCH -x y\n",
                "\nsrun --mpi=pmix ",
                "/illume run --resume 'my run.toml' --out runs/x --threads 8\n",
                "then scontrol requeue \"$SLURM_JOB_ID\"",
            ],
        ),
        (
            "pbs",
            &[
                "#PBS -l select=4:ncpus=16:mpiprocs=2:ompthreads=8:ngpus=2:mem=64gb\n#PBS -l place=scatter\n#PBS -l walltime=26:00:00\n",
                "#PBS -N n1\n",
                "-r y\n",
                "-q long\n#PBS -A a1\n#PBS -x y\n",
                "\ntimeout --foreground --preserve-status --signal=USR1 93000 mpirun -n 8 --map-by ppr:2:node:PE=8 ",
            ],
        ),
        (
            "lsf",
            &[
                "#BSUB -J n1\n#BSUB -n 64\n#BSUB -R \"span[ptile=16]\"\n#BSUB -W 26:00\n#BSUB -r\n#BSUB -Q \"75\"\n",
                "-gpu \"num=2\"\n#BSUB -R \"rusage[mem=64GB/host]\"\n#BSUB -q long\n#BSUB -P a1\n#BSUB -x y\n",
                "--signal=USR1 93000 mpirun -n 8 --map-by ppr:2:node:PE=8 ",
            ],
        ),
    ];
    for (scheduler, parts) in expected {
        assert_says(&all(scheduler), parts);
    }
    // Whole nodes, which Slurm knows the size of; and one worker on each.
    let whole = submit(
        folder.path(),
        &["w.toml", "--time", "8h", "--nodes", "4", "--scheduler", "slurm"],
    )
    .succeeded();
    let parts = [
        "--exclusive\n#SBATCH --mem=0\n",
        "SRUN_CPUS_PER_TASK=$((SLURM_CPUS_ON_NODE / 1))",
        "1 worker on each of 4 nodes",
        "sweep run w.toml --out sweeps/w\n",
    ];
    assert_says(&whole, &parts);
}

#[test]
fn a_job_goes_back_to_the_queue_on_exit_code_75_alone() {
    let folder = cluster();
    let at = folder.path();
    for (scheduler, launcher, variable, again) in [
        ("slurm", "srun", "SLURM_JOB_ID", "scontrol requeue 17"),
        ("pbs", "mpirun", "PBS_JOBID", "qsub -W depend=afterany:17 "),
    ] {
        program(at, "scontrol", "");
        program(at, "qsub", "");
        let script = at.join(format!("{scheduler}.sh"));
        let file = ["my run.toml", "--time", "1h", "--threads", "1", "--ranks-per-node", "2"];
        submit(
            at,
            &[&file[..], &["--scheduler", scheduler, "-o", arg(&script)]].concat(),
        )
        .succeeded();
        for (code, requeued) in [(0, false), (1, false), (2, false), (75, true), (137, false)] {
            let _ = fs::remove_file(at.join("calls"));
            program(at, launcher, &format!("exit {code}"));
            assert_eq!(job(at, &script, &[(variable, "17")]).code(), Some(code));
            assert_eq!(calls(at).contains(again), requeued, "{scheduler} {code}: {}", calls(at));
            if scheduler == "pbs" && requeued {
                assert!(calls(at).contains(arg(&script)), "{}", calls(at));
            }
        }
    }
    // LSF looks at the exit code itself.
    let script = at.join("lsf.sh");
    let file = ["my run.toml", "--time", "1h", "--threads", "1", "--ranks-per-node", "2"];
    submit(at, &[&file[..], &["--scheduler", "lsf", "-o", arg(&script)]].concat()).succeeded();
    program(at, "mpirun", "exit 75");
    assert_eq!(job(at, &script, &[]).code(), Some(75));
}

#[test]
fn a_run_without_srun_is_told_in_time_and_goes_on_in_the_next_job() {
    let folder = cluster();
    let at = folder.path();
    fs::write(
        at.join("long.toml"),
        GOOD.replace("generations = 3", "generations = 1000000"),
    )
    .unwrap();
    program(at, "qsub", "");
    // Time is up as soon as the run has begun.
    let timeout =
        "\"${@:5}\" & run=$!\nuntil [ -e runs/long/run.lock ]; do sleep 0.05; done\nkill -USR1 $run\nwait $run";
    program(at, "timeout", timeout);
    let script = at.join("long.sh");
    let file = [
        "long.toml",
        "--threads",
        "1",
        "--scheduler",
        "pbs",
        "--time",
        "1h",
        "-o",
        arg(&script),
    ];
    submit(at, &file).succeeded();
    for _ in 0..2 {
        let _ = fs::remove_file(at.join("calls"));
        let ended = job(at, &script, &[("PBS_JOBID", "17")]);
        assert_eq!(ended.code(), Some(75), "{ended}");
        let parts = [
            "timeout --foreground --preserve-status --signal=USR1 3300 ",
            "qsub -W depend=afterany:17 ",
        ];
        assert_says(&calls(at), &parts);
        assert!(at.join("runs/long/checkpoint.h5").is_file());
    }
}

#[test]
fn a_script_is_handed_to_the_scheduler_that_is_there_and_its_words_are_passed_on() {
    let folder = cluster();
    let at = folder.path();
    program(at, "sbatch", "cat > read; echo Submitted batch job 7");
    let said = submit(at, &["my run.toml", "--time", "1h", "--now"]).succeeded();
    assert_eq!(said, "Submitted batch job 7\n");
    assert!(
        fs::read_to_string(at.join("read"))
            .unwrap()
            .contains("#SBATCH --job-name=my_run\n")
    );
    let said = submit(at, &["my run.toml", "--time", "1h", "--now", "-o", "s.sh"]).succeeded();
    assert_says(
        &said,
        &[
            "s.sh: the run runs/my run: 1 MPI rank on a node",
            "Submitted batch job 7",
        ],
    );
    assert_eq!(fs::read(at.join("read")).unwrap(), fs::read(at.join("s.sh")).unwrap());
    program(
        at,
        "sbatch",
        "echo 'sbatch: error: invalid partition specified: x' >&2; exit 1",
    );
    let refused = submit(
        at,
        &["my run.toml", "--time", "1h", "--now", "--queue", "x", "-o", "r.sh"],
    );
    assert!(!at.join("r.sh").exists());
    assert_refused(&refused, &["sbatch refused the job", "invalid partition specified: x"]);
}

#[test]
fn wrong_input_is_refused_in_one_sentence_and_nothing_is_written() {
    let folder = cluster();
    let at = folder.path();
    fs::write(at.join("bad.toml"), GOOD.replace("batch = 20", "batches = 20")).unwrap();
    fs::write(
        at.join("two.toml"),
        format!("{SWEEP}[resources]\nthreads_per_run = 2\nranks_per_run = 3\n"),
    )
    .unwrap();
    let steps = format!("{SWEEP}[resources]\nlaunch = \"srun\"\nranks_per_run = 2\n");
    fs::write(at.join("steps.toml"), steps).unwrap();
    fs::create_dir(at.join("foreign")).unwrap();
    fs::write(at.join("foreign/thesis.tex"), "").unwrap();
    fs::write(at.join("there.sh"), "mine").unwrap();
    let run = ["my run.toml", "--scheduler", "slurm"];
    let hour = ["my run.toml", "--scheduler", "slurm", "--time", "1h"];
    let sweep = ["w.toml", "--scheduler", "slurm", "--time", "1h"];
    let cases: &[(&[&str], &[&str], &[&str])] = &[
        (
            &hour[..1],
            &["--time", "1h"],
            &["no sbatch, qsub or bsub on PATH", "--scheduler slurm, pbs or lsf"],
        ),
        (
            &[],
            &["none.toml", "--scheduler", "slurm", "--time", "1h"],
            &["none.toml", "expected a sweep's file, a run's configuration"],
        ),
        (
            &[],
            &["foreign", "--scheduler", "slurm", "--time", "1h"],
            &["foreign is not the folder of a sweep"],
        ),
        (
            &[],
            &["bad.toml", "--scheduler", "slurm", "--time", "1h"],
            &["bad.toml:6", "batches", "did you mean \"batch\""],
        ),
        (
            &[],
            &["two.toml", "--scheduler", "slurm", "--time", "1h", "--threads", "4"],
            &["--threads 4", "3 ranks of 2 threads", "at least 6 cores"],
        ),
        (&run, &["--time", "soon"], &["--time soon", "expected a time"]),
        (&run, &["--time", ""], &["--time ''", "expected a time"]),
        (
            &run,
            &["--time", "5m"],
            &["--time 5m", "at least a minute more", "(--notice)"],
        ),
        (
            &run,
            &["--time", "1h", "--notice", "2h"],
            &["--time 1h", "at least a minute more"],
        ),
        (
            &sweep[..3],
            &["--time", "150s", "--notice", "1s"],
            &["--time 150s", "at least a minute more than the 2 min"],
        ),
        (&hour, &["--memory", "lots"], &["--memory lots", "such as 64G"]),
        (&hour, &["--memory", "64"], &["--memory 64", "K, M, G or T"]),
        (&hour, &["--queue", "two words"], &["--queue 'two words'", "one word"]),
        (&hour, &["--name", "a\nb"], &["--name 'a\\nb'", "one word"]),
        (&hour, &["--module", "$(rm x)"], &["--module", "one word"]),
        (
            &hour,
            &["--option", "constraint"],
            &["--option 'constraint'", "behind #SBATCH"],
        ),
        (&hour, &["--option", "-a\nrm x"], &["--option", "a single line"]),
        (&hour, &["--launcher", "srun\nrm x"], &["--launcher", "a single line"]),
        (
            &hour,
            &["--set", "budget.generation=3"],
            &["budget.generation", "did you mean \"generations\""],
        ),
        (&hour, &["--out", "foreign"], &["foreign", "thesis.tex", "--out"]),
        (
            &hour,
            &["--workers-per-node", "2"],
            &["my run.toml is a run's configuration", "--ranks-per-node"],
        ),
        (&hour, &["-o", "there.sh"], &["the script there.sh is there", "--force"]),
        (
            &hour,
            &["-o", "none/x.sh"],
            &["cannot write the script none/x.sh", "a folder that is there"],
        ),
        (&hour, &["--now"], &["cannot start sbatch"]),
        (
            &sweep,
            &["--ranks-per-node", "2"],
            &["w.toml is a sweep's", "--workers-per-node"],
        ),
        (&sweep, &["--set", "seed=2"], &["w.toml is a sweep's", "--set"]),
        (
            &sweep,
            &["--out", "foreign"],
            &["foreign is there and is not the folder of a sweep"],
        ),
        (
            &["steps.toml", "--scheduler", "pbs"],
            &["--time", "1h", "--threads", "2"],
            &["steps.toml", "resources.launch is \"srun\"", "--scheduler slurm"],
        ),
        (
            &["w.toml", "--scheduler", "pbs"],
            &["--time", "1h"],
            &["PBS has to be told the cores", "--threads N"],
        ),
    ];
    let before = contents(at);
    for (given, more, parts) in cases {
        let arguments = [*given, *more].concat();
        // No scheduler but what a test puts there.
        let mut command = Command::new(ILLUME);
        command
            .current_dir(at)
            .env("PATH", at.join("bin"))
            .arg("submit")
            .args(&arguments);
        assert_refused(&run_command(command), parts);
        assert_eq!(contents(at), before, "{arguments:?}");
    }
    // The folder of a sweep has its plan.
    fs::create_dir(at.join("made")).unwrap();
    let made = ["sweep", "run", "w.toml", "--out", "made/w"];
    let mut command = Command::new(ILLUME);
    command.current_dir(at).args(made);
    run_command(command).succeeded();
    for (more, parts) in [
        (
            &["--out", "other"][..],
            &["is the folder of a sweep itself", "--out"][..],
        ),
        (&["--seeds", "3"], &["whose plan is made", "illume sweep extend"]),
    ] {
        let file = ["made/w", "--scheduler", "slurm", "--time", "1h"];
        assert_refused(&submit(at, &[&file[..], more].concat()), parts);
    }
    let other = submit(
        at,
        &[
            "w.toml",
            "--seeds",
            "5",
            "--out",
            "made/w",
            "--scheduler",
            "slurm",
            "--time",
            "1h",
        ],
    );
    assert_refused(&other, &["made of another file"]);
    // A run's directory is no configuration.
    let mut command = Command::new(ILLUME);
    command.current_dir(at).args(["run", "my run.toml", "--out", "done"]);
    run_command(command).succeeded();
    let run = submit(at, &["done", "--scheduler", "slurm", "--time", "1h"]);
    assert_refused(&run, &["done is the directory of a run", "--out done"]);
}

#[test]
#[cfg(all(feature = "atari", feature = "torch"))]
fn what_is_to_run_on_gpus_is_planned_and_submitted_where_there_is_none() {
    let folder = cluster();
    let text = "[task]\nname = \"atari/pong\"\n[policy]\ndevice = \"cuda\"\n[strategy]\nname = \"deep_ga\"\n";
    fs::write(folder.path().join("games.toml"), text).unwrap();
    let given = ["games.toml", "--scheduler", "slurm", "--time", "1h", "--gpus", "1"];
    for more in [&[][..], &["--seeds", "2"]] {
        let text = submit(folder.path(), &[&given[..], more].concat()).succeeded();
        assert!(text.contains("#SBATCH --gpus-per-node=1\n"), "{text}");
    }
}
