//! `illume submit`: a job script for a run or a sweep, checked before it waits in a queue.

mod script;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use clap::Args;
use illume_cluster::memory;
use illume_core::{Error, Memory, Result};

use script::{Job, Scheduler};

use super::launch::alone;
use super::sweep::Given;
use crate::engine::directory::{Directory, Wanted};
use crate::engine::output::{quoted, write_atomically};
use crate::engine::run;
use crate::sweep::{Plan, Spec, Sweep, deadline, duration};
use crate::{Config, registry};

/// Make a job script for Slurm, PBS or LSF of a run or a sweep, or submit it: it stops in time with a checkpoint and goes back to the queue
#[derive(Args)]
pub struct SubmitArgs {
    #[command(flatten)]
    given: Given,
    /// Of a run: override a key of the configuration, such as task.episode_length=100; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Directory of the run or folder of the sweep [default: as `illume run` and `illume sweep run` have it]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Batch system [default: the one whose sbatch, qsub or bsub is on PATH]
    #[arg(long, value_enum)]
    scheduler: Option<Scheduler>,
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    nodes: u32,
    /// Of a run: MPI ranks of each node [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    ranks_per_node: Option<u32>,
    /// Of a sweep: workers of each node [default: 1]
    #[arg(long, value_name = "N", conflicts_with = "ranks_per_node", value_parser = clap::value_parser!(u32).range(1..=65536))]
    workers_per_node: Option<u32>,
    /// Threads of each rank, or cores of each worker [default: under Slurm whole nodes, each process with its share]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    threads: Option<u32>,
    /// Time limit of the job, such as 8h, 90m or 1-00:00:00
    #[arg(long, value_name = "TIME")]
    time: String,
    /// How long before that limit processes are told to write checkpoints and leave
    #[arg(long, value_name = "TIME", default_value = "5m")]
    notice: String,
    /// GPUs of each node
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    gpus: Option<u32>,
    /// Memory of each node, such as 64G
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// Queue (PBS, LSF) or partition (Slurm)
    #[arg(long, visible_alias = "partition", value_name = "NAME")]
    queue: Option<String>,
    /// Account or project that pays
    #[arg(long, value_name = "NAME")]
    account: Option<String>,
    /// Name of the job [default: the file's]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Module that the job loads; may be repeated
    #[arg(long = "module", value_name = "NAME")]
    modules: Vec<String>,
    /// Any other option of the scheduler, such as '--constraint=icelake'; may be repeated
    #[arg(long = "option", value_name = "TEXT", allow_hyphen_values = true)]
    options: Vec<String>,
    /// What starts the processes [default: srun under Slurm, Open MPI's mpirun elsewhere]
    #[arg(long, value_name = "COMMAND", allow_hyphen_values = true)]
    launcher: Option<String>,
    /// Write the script to this file [default: print it]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long, requires = "output")]
    force: bool,
    /// Hand it to the scheduler, too
    #[arg(long)]
    now: bool,
}

/// What a job works on.
enum Work {
    Run { config: Box<Config> },
    Sweep { plan: Box<Plan>, out: Option<PathBuf> },
}

impl Work {
    /// Whether it is a sweep whose runs are steps of the job, started by one worker that is none.
    fn has_steps(&self) -> bool {
        matches!(self, Work::Sweep { plan, .. } if plan.resources.are_steps())
    }
}

/// Makes a job script; returns what is to be printed: the script, or what became of it.
///
/// # Errors
/// The configuration or the sweep is wrong, the directory holds something else, an option of the job is wrong, or the scheduler refuses the job.
fn submit(options: &SubmitArgs) -> Result<String> {
    let scheduler = match options.scheduler {
        Some(scheduler) => scheduler,
        None => guess()?,
    };
    let job = options.job(scheduler)?;
    let script = job.script();
    let path = options.output.as_deref();
    path.map_or(Ok(()), |path| may_be_written(path, options.force))?;
    // No script is left of a job that was refused.
    let answer = options.now.then(|| hand_in(scheduler, &script)).transpose()?;
    let Some(path) = path else {
        return Ok(answer.unwrap_or(script));
    };
    write_atomically(path, script.as_bytes())?;
    let next = answer.unwrap_or_else(|| {
        let file = quoted(&path.display().to_string());
        let read = if scheduler == Scheduler::Lsf { "< " } else { "" };
        format!("submit it with: {} {read}{file}\n", scheduler.program())
    });
    Ok(format!("{}: {}\n{next}", path.display(), job.about))
}

impl SubmitArgs {
    pub fn run(&self) -> u8 {
        alone(|| submit(self))
    }

    fn job(&self, scheduler: Scheduler) -> Result<Job> {
        let work = self.work()?;
        let nodes = self.nodes as usize;
        let threads = self.threads.map(|n| n as usize);
        if threads.is_none() && scheduler != Scheduler::Slurm {
            return Err(Error::input(format!(
                "{} has to be told the cores of a node: add --threads N, the threads of each rank or the cores of each worker",
                scheduler.name()
            )));
        }
        if work.has_steps() && (scheduler != Scheduler::Slurm || self.workers_per_node.is_some()) {
            return Err(Error::input(format!(
                "{}: resources.launch is \"srun\", by which one worker runs the whole sweep as steps of a Slurm job: \
                 expected --scheduler slurm without --workers-per-node, or \"mpirun\" in the sweep's file",
                self.given.file.display()
            )));
        }
        let (time, notice) = self.times(&work)?;
        let per_node = match &work {
            Work::Run { .. } => self.ranks_per_node,
            Work::Sweep { .. } => self.workers_per_node,
        };
        let per_node = per_node.unwrap_or(1) as usize;
        let launcher = match (&self.launcher, &work, scheduler) {
            (Some(given), ..) => given.trim().to_string(),
            (None, work, _) if work.has_steps() => String::new(),
            (None, Work::Run { .. }, Scheduler::Slurm) => "srun --mpi=pmix".into(),
            // A worker that ends before the others does not end them.
            (None, Work::Sweep { .. }, Scheduler::Slurm) => "srun --mpi=none --kill-on-bad-exit=0 --wait=0".into(),
            (None, ..) if nodes * per_node == 1 => String::new(),
            (None, ..) => format!(
                "mpirun -n {} --map-by ppr:{per_node}:node:PE={}",
                nodes * per_node,
                threads.unwrap_or(1)
            ),
        };
        let name = match &self.name {
            Some(name) => word("--name", name)?.to_string(),
            None => self.default_name(),
        };
        let folder = std::env::current_dir().map_err(|e| Error::failed(format!("this folder has no name: {e}")))?;
        Ok(Job {
            scheduler,
            about: self.about(&work, per_node, nodes),
            name,
            nodes,
            per_node,
            threads,
            time,
            notice,
            gpus: self.gpus,
            memory: self.memory.as_deref().map(memory).transpose()?,
            queue: optional_word("--queue", self.queue.as_ref())?,
            account: optional_word("--account", self.account.as_ref())?,
            options: self
                .options
                .iter()
                .map(|text| option(scheduler, text))
                .collect::<Result<_>>()?,
            modules: self
                .modules
                .iter()
                .map(|name| Ok(word("--module", name)?.to_string()))
                .collect::<Result<_>>()?,
            folder: folder.display().to_string(),
            launcher: line("--launcher", &launcher)?,
            command: self.command(&work, threads)?,
        })
    }

    /// What the file is, checked as far as it can be without running it.
    fn work(&self) -> Result<Work> {
        let shown = self.given.file.display();
        let refuse = |given: bool, what: &str| -> Result<()> {
            if given {
                return Err(Error::input(format!("{shown} is {what}")));
            }
            Ok(())
        };
        let sweep = |plan: Plan, out: Option<PathBuf>| {
            let no_set =
                "a sweep's, whose configurations are set in its file: leave --set out, or give a run's configuration";
            refuse(!self.set.is_empty(), no_set)?;
            let ranks = "a sweep's, whose file says the ranks of each run (resources.ranks_per_run): expected --workers-per-node";
            refuse(self.ranks_per_node.is_some(), ranks)?;
            fits(&plan, self)?;
            let plan = Box::new(plan);
            Ok(Work::Sweep { plan, out })
        };
        if let Some(dir) = self.given.folder()? {
            refuse(
                self.out.is_some(),
                "the folder of a sweep itself: leave --out out, or give the sweep's file",
            )?;
            if Directory::of(dir).has_checkpoint() && !Sweep::is_at(dir) {
                return Err(Error::input(format!(
                    "{shown} is the directory of a run: expected its configuration, with --out {shown}"
                )));
            }
            return sweep(Sweep::open(dir)?.plan.as_ref().clone(), None);
        }
        let is_sweep =
            !self.given.overrides.is_empty() || self.given.seeds.is_some() || !Spec::is_run(&self.given.file)?;
        if is_sweep {
            let spec = self.given.spec()?;
            let out = self.out.clone().unwrap_or_else(|| self.given.default_folder());
            Sweep::check(&spec, &out)?;
            return sweep(Plan::new(&spec)?, Some(out));
        }
        let workers =
            "a run's configuration: expected --ranks-per-node, or --seeds and values to try, which make it a sweep";
        refuse(self.workers_per_node.is_some(), workers)?;
        let config = Config::read(&self.given.file, &self.set)?.at(self.out.as_deref());
        let (task, _) = registry::task_here(&config, true)?;
        run::parts(&config, task.spec(), &Memory::alone(memory::available(1)))?;
        Directory::of(Path::new(&config.output.dir)).check(Wanted::Any)?;
        Ok(Work::Run {
            config: Box::new(config),
        })
    }

    /// The time limit and the notice, in whole seconds.
    fn times(&self, work: &Work) -> Result<(Duration, Duration)> {
        let read = |name: &str, text: &str| match duration::parse(text) {
            Ok(Some(time)) => Ok(Duration::from_secs(time.as_secs())),
            Ok(None) => Err(Error::input(format!("{name} '{text}': expected a time, such as 8h"))),
            Err(e) => Err(Error::input(format!("{name} {text}: {e}"))),
        };
        let (time, notice) = (read("--time", &self.time)?, read("--notice", &self.notice)?);
        // A worker starts nothing later than that before its job's end.
        let least = match work {
            Work::Run { .. } => notice,
            Work::Sweep { .. } => notice.max(deadline::NOTICE),
        };
        if time < least + Duration::from_secs(60) {
            return Err(Error::input(format!(
                "--time {}: expected at least a minute more than the {} before the end at which processes stop (--notice)",
                self.time,
                duration::words(least.as_secs_f64())
            )));
        }
        Ok((time, notice))
    }

    fn default_name(&self) -> String {
        let name = self.given.file.file_stem().unwrap_or_default().to_string_lossy();
        let letters = |c: char| {
            if c.is_ascii_alphanumeric() || "_-.".contains(c) {
                c
            } else {
                '_'
            }
        };
        let name: String = name.chars().map(letters).collect();
        if name.chars().any(|c| c.is_ascii_alphanumeric()) {
            name
        } else {
            "illume".into()
        }
    }

    fn about(&self, work: &Work, per_node: usize, nodes: usize) -> String {
        let (what, processes) = match work {
            Work::Run { config } => (format!("the run {}", config.output.dir), "MPI rank"),
            Work::Sweep { plan, out } => {
                let dir = out.as_ref().unwrap_or(&self.given.file).display();
                (format!("the sweep {dir} of {} runs", plan.runs.len()), "worker")
            }
        };
        let how = match (work.has_steps(), nodes) {
            (true, _) => format!("a worker that runs them as steps on {}", plural(nodes, "node")),
            (false, 1) => format!("{} on a node", plural(per_node, processes)),
            (false, _) => format!("{} on each of {nodes} nodes", plural(per_node, processes)),
        };
        let text = format!("{what}: {how} (illume {})", env!("CARGO_PKG_VERSION"));
        // It becomes a line of a script.
        text.replace(char::is_control, " ")
    }

    /// What each process is.
    fn command(&self, work: &Work, threads: Option<usize>) -> Result<Vec<String>> {
        let program =
            std::env::current_exe().map_err(|e| Error::failed(format!("this program cannot be found: {e}")))?;
        let file = self.given.file.display().to_string();
        let mut words = vec![program.display().to_string()];
        match work {
            Work::Run { config } => {
                words.extend(["run", "--resume", &file, "--out", &config.output.dir].map(String::from));
                if let Some(n) = threads {
                    words.extend(["--threads".into(), n.to_string()]);
                }
                words.extend(self.set.iter().flat_map(|set| ["--set".into(), set.clone()]));
            }
            Work::Sweep { out, .. } => {
                words.extend(["sweep", "run", &file].map(String::from));
                words.extend(self.given.overrides.iter().cloned());
                words.extend(self.given.seeds.iter().flat_map(|n| ["--seeds".into(), n.to_string()]));
                if let Some(out) = out {
                    words.extend(["--out".into(), out.display().to_string()]);
                }
            }
        }
        Ok(words)
    }
}

/// That a worker has the cores that a run needs.
fn fits(plan: &Plan, options: &SubmitArgs) -> Result<()> {
    let resources = &plan.resources;
    let needed = resources.threads_per_run.max(1) * resources.ranks_per_run;
    match options.threads {
        Some(cores) if !resources.are_steps() && needed > cores as usize => Err(Error::input(format!(
            "--threads {cores}: a run of the sweep has {} of {}: expected at least {needed} cores for each worker",
            plural(resources.ranks_per_run, "rank"),
            plural(resources.threads_per_run.max(1), "thread")
        ))),
        _ => Ok(()),
    }
}

fn plural(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

/// The batch system of this machine.
fn guess() -> Result<Scheduler> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |s: &Scheduler| std::env::split_paths(&path).any(|folder| folder.join(s.program()).is_file());
    Scheduler::ALL.into_iter().find(is_there).ok_or_else(|| {
        Error::input("there is no sbatch, qsub or bsub on PATH: expected --scheduler slurm, pbs or lsf".to_string())
    })
}

/// A value that a scheduler reads as one word.
fn word<'a>(name: &str, text: &'a str) -> Result<&'a str> {
    let plain = |c: char| c.is_alphanumeric() || "_-.,:+@%/=".contains(c);
    if text.is_empty() || text.starts_with('-') || !text.chars().all(plain) {
        return Err(Error::input(format!(
            "{name} '{}': expected one word of letters, digits and _ - . , : + @ % / =",
            text.escape_debug()
        )));
    }
    Ok(text)
}

fn optional_word(name: &str, text: Option<&String>) -> Result<Option<String>> {
    text.map(|text| Ok(word(name, text)?.to_string())).transpose()
}

/// A value that stands in the script as it is.
fn line(name: &str, text: &str) -> Result<String> {
    if text.chars().any(char::is_control) {
        return Err(Error::input(format!(
            "{name} '{}': expected a single line",
            text.escape_debug()
        )));
    }
    Ok(text.into())
}

/// A line for the scheduler, with or without its mark.
fn option(scheduler: Scheduler, text: &str) -> Result<String> {
    let own = text.trim().strip_prefix(scheduler.mark()).unwrap_or(text).trim();
    if !own.starts_with('-') {
        return Err(Error::input(format!(
            "--option '{}': expected an option of {} as it stands behind {}, such as '-p name'",
            text.escape_debug(),
            scheduler.program(),
            scheduler.mark()
        )));
    }
    line("--option", own)
}

/// A whole number and a unit.
fn memory(text: &str) -> Result<String> {
    let upper = text.trim().to_uppercase();
    let upper = upper.strip_suffix('B').unwrap_or(&upper);
    let number = upper
        .strip_suffix(['K', 'M', 'G', 'T'])
        .and_then(|n| n.parse::<u32>().ok());
    match number {
        Some(1..) => Ok(upper.into()),
        _ => Err(Error::input(format!(
            "--memory {text}: expected the memory of each node as a whole number with K, M, G or T, such as 64G"
        ))),
    }
}

/// That a script may be written there.
fn may_be_written(path: &Path, force: bool) -> Result<()> {
    let shown = path.display();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if path.is_dir() || folder.is_some_and(|folder| !folder.is_dir()) {
        return Err(Error::input(format!(
            "cannot write the script {shown}: expected a file in a folder that is there"
        )));
    }
    if path.exists() && !force {
        return Err(Error::input(format!(
            "the script {shown} is there and is left as it is: choose another file, or add --force"
        )));
    }
    Ok(())
}

/// Gives a script to the scheduler; returns what that says.
fn hand_in(scheduler: Scheduler, script: &str) -> Result<String> {
    let program = scheduler.program();
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| {
            Error::input(format!(
                "cannot start {program}, which hands jobs to {}: {e}",
                scheduler.name()
            ))
        })?;
    // One that refuses may not read it all; what it says is below.
    let _ = child.stdin.take().map(|mut pipe| pipe.write_all(script.as_bytes()));
    let output = child
        .wait_with_output()
        .map_err(|e| Error::failed(format!("{program} cannot be waited for: {e}")))?;
    let said = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr);
        let why: Vec<&str> = why
            .lines()
            .chain(said.lines())
            .map(str::trim)
            .filter(|l| !l.is_empty())
            .collect();
        return Err(Error::input(format!("{program} refused the job: {}", why.join("; "))));
    }
    Ok(format!("{}\n", said.trim()))
}
