//! Job scripts for Slurm, PBS and LSF: they tell the processes in time that the limit comes near, and go back to the queue on exit code 75.

use std::time::Duration;

use clap::ValueEnum;
use illume_cluster::signals::EXIT_REQUEUE;

use crate::engine::output::quoted;

/// A batch system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Scheduler {
    Slurm,
    Pbs,
    Lsf,
}

impl Scheduler {
    pub const ALL: [Scheduler; 3] = [Scheduler::Slurm, Scheduler::Pbs, Scheduler::Lsf];

    pub fn name(self) -> &'static str {
        match self {
            Scheduler::Slurm => "Slurm",
            Scheduler::Pbs => "PBS",
            Scheduler::Lsf => "LSF",
        }
    }

    /// The program that takes job scripts, on its standard input.
    pub fn program(self) -> &'static str {
        match self {
            Scheduler::Slurm => "sbatch",
            Scheduler::Pbs => "qsub",
            Scheduler::Lsf => "bsub",
        }
    }

    /// What its lines of a script begin with.
    pub fn mark(self) -> &'static str {
        match self {
            Scheduler::Slurm => "#SBATCH",
            Scheduler::Pbs => "#PBS",
            Scheduler::Lsf => "#BSUB",
        }
    }
}

/// What a job needs and does.
#[derive(Debug, Clone)]
pub struct Job {
    pub scheduler: Scheduler,
    /// A comment that says what this is.
    pub about: String,
    pub name: String,
    pub nodes: usize,
    /// Processes of each node: ranks of a run, workers of a sweep.
    pub per_node: usize,
    /// Cores of each process; none for whole nodes, which Slurm alone knows the size of.
    pub threads: Option<usize>,
    pub time: Duration,
    /// How long before the end processes are told to stop.
    pub notice: Duration,
    /// Of each node.
    pub gpus: Option<u32>,
    /// Of each node: a whole number and one of the letters K, M, G and T.
    pub memory: Option<String>,
    pub queue: Option<String>,
    pub account: Option<String>,
    /// Further lines for the scheduler, without its mark.
    pub options: Vec<String>,
    pub modules: Vec<String>,
    /// Where the command is run.
    pub folder: String,
    /// What starts the processes, as a shell reads it; empty for none.
    pub launcher: String,
    pub command: Vec<String>,
}

impl Job {
    /// The whole script.
    pub fn script(&self) -> String {
        // Modules are known to login shells.
        let login = if self.modules.is_empty() { "" } else { " -l" };
        let mut lines = vec![format!("#!/bin/bash{login}"), format!("# {}", self.about)];
        let mark = self.scheduler.mark();
        let asked = self.asked().into_iter().chain(self.options.clone());
        lines.extend(asked.map(|line| format!("{mark} {line}")));
        lines.push(String::new());
        lines.push(format!("cd {} || exit", quoted(&self.folder)));
        lines.extend(self.modules.iter().map(|name| format!("module load {}", quoted(name))));
        if self.scheduler == Scheduler::Slurm {
            let cores = self.threads.map_or_else(
                || format!("$((SLURM_CPUS_ON_NODE / {}))", self.per_node),
                |n| n.to_string(),
            );
            lines.push("# Where srun looks for the cores of each process: before Slurm 22.05, and since.".into());
            lines.push(format!("export SLURM_CPUS_PER_TASK={cores} SRUN_CPUS_PER_TASK={cores}"));
        }
        lines.push(self.launch());
        lines.extend(self.requeue());
        lines.join("\n") + "\n"
    }

    /// Whether Slurm itself tells the processes that the end comes near: all that srun started.
    fn by_srun(&self) -> bool {
        self.scheduler == Scheduler::Slurm && self.launcher.split_whitespace().next() == Some("srun")
    }

    /// The line that starts everything.
    fn launch(&self) -> String {
        let mut words = Vec::new();
        if !self.by_srun() {
            // Slurm's signal would reach its own steps alone, and neither PBS nor LSF sends one everywhere.
            let seconds = self.time.saturating_sub(self.notice).as_secs();
            words.push(format!(
                "timeout --foreground --preserve-status --signal=USR1 {seconds}"
            ));
        }
        if !self.launcher.is_empty() {
            words.push(self.launcher.clone());
        }
        words.extend(self.command.iter().map(|word| quoted(word)));
        words.join(" ")
    }

    /// What is asked of the scheduler.
    fn asked(&self) -> Vec<String> {
        match self.scheduler {
            Scheduler::Slurm => self.asked_of_slurm(),
            Scheduler::Pbs => self.asked_of_pbs(),
            Scheduler::Lsf => self.asked_of_lsf(),
        }
    }

    fn asked_of_slurm(&self) -> Vec<String> {
        let mut lines = vec![
            format!("--job-name={}", self.name),
            format!("--nodes={}", self.nodes),
            format!("--ntasks-per-node={}", self.per_node),
        ];
        match self.threads {
            Some(n) => lines.push(format!("--cpus-per-task={n}")),
            None => lines.push("--exclusive".into()),
        }
        match &self.memory {
            Some(memory) => lines.push(format!("--mem={memory}")),
            // All of it.
            None if self.threads.is_none() => lines.push("--mem=0".into()),
            None => {}
        }
        lines.push(format!("--time={}", clock(self.time)));
        if self.by_srun() {
            lines.push(format!("--signal=USR1@{}", self.notice.as_secs()));
        }
        lines.extend(["--requeue", "--open-mode=append", "--output=%x-%j.out"].map(String::from));
        lines.extend(self.gpus.map(|n| format!("--gpus-per-node={n}")));
        lines.extend(self.queue.as_ref().map(|name| format!("--partition={name}")));
        lines.extend(self.account.as_ref().map(|name| format!("--account={name}")));
        lines
    }

    fn asked_of_pbs(&self) -> Vec<String> {
        let threads = self.threads.unwrap_or(1);
        let mut node = format!(
            "{}:ncpus={}:mpiprocs={}:ompthreads={threads}",
            self.nodes,
            self.per_node * threads,
            self.per_node
        );
        if let Some(n) = self.gpus {
            node += &format!(":ngpus={n}");
        }
        if let Some(memory) = &self.memory {
            node += &format!(":mem={}b", memory.to_lowercase());
        }
        let mut lines = vec![
            format!("-N {}", self.name),
            format!("-l select={node}"),
            "-l place=scatter".into(),
            format!("-l walltime={}", clock(self.time)),
            "-r y".into(),
            "-j oe".into(),
            "-S /bin/bash".into(),
        ];
        lines.extend(self.queue.as_ref().map(|name| format!("-q {name}")));
        lines.extend(self.account.as_ref().map(|name| format!("-A {name}")));
        lines
    }

    fn asked_of_lsf(&self) -> Vec<String> {
        let of_node = self.per_node * self.threads.unwrap_or(1);
        let minutes = self.time.as_secs().div_ceil(60);
        let mut lines = vec![
            format!("-J {}", self.name),
            format!("-n {}", self.nodes * of_node),
            format!("-R \"span[ptile={of_node}]\""),
            format!("-W {}:{:02}", minutes / 60, minutes % 60),
            "-r".into(),
            format!("-Q \"{EXIT_REQUEUE}\""),
            format!("-o {}-%J.out", self.name),
        ];
        lines.extend(self.gpus.map(|n| format!("-gpu \"num={n}\"")));
        lines.extend(
            self.memory
                .as_ref()
                .map(|memory| format!("-R \"rusage[mem={memory}B/host]\"")),
        );
        lines.extend(self.queue.as_ref().map(|name| format!("-q {name}")));
        lines.extend(self.account.as_ref().map(|name| format!("-P {name}")));
        lines
    }

    /// What a job does that stopped with a checkpoint.
    fn requeue(&self) -> Vec<String> {
        let again = match self.scheduler {
            Scheduler::Slurm => "scontrol requeue \"$SLURM_JOB_ID\"",
            // `qrerun` is for operators; $0 is PBS's own copy of this script.
            Scheduler::Pbs => "qsub -W depend=afterany:\"$PBS_JOBID\" \"$0\"",
            // By -Q.
            Scheduler::Lsf => return Vec::new(),
        };
        vec![
            "code=$?".into(),
            format!(
                "# {EXIT_REQUEUE}: stopped with a checkpoint, or another job still has the directory; this script goes on."
            ),
            format!("if [ \"$code\" -eq {EXIT_REQUEUE} ]; then {again}; fi"),
            "exit \"$code\"".into(),
        ]
    }
}

/// `HH:MM:SS`
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
