//! The command line. Exit codes: 0 done, 2 wrong input, 75 stopped by a signal with a checkpoint written or kept out by another process
//! (try again later), 1 anything else.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::OnceLock;

use clap::{Args, Parser, Subcommand};
use illume::cluster::threads::Plan;
use illume::cluster::{self, Cluster, signals, threads};
use illume::commands::{
    self, DistillOptions, Ended, EvalOptions, ExportOptions, From, Place, PlotOptions, ReplayOptions, RunOptions,
    Which, lm, submit::SubmitOptions, sweep::SweepCommand,
};
use illume::core::Error;

/// Evolutionary and quality-diversity optimization on clusters: MPI ranks, threads, HDF5 archives.
#[derive(Parser)]
#[command(name = "illume", version = version(), max_term_width = 110, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a run from a configuration; the same command under mpirun or srun
    Run {
        /// TOML file; `illume list` shows what may stand in it
        config: PathBuf,
        #[command(flatten)]
        set: Set,
        /// Run directory (overrides output.dir); it must not exist or be empty, unless with --resume
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
        /// Go on with this run if its directory has a checkpoint, start it if not; of a run that goes on, budget.* and output.* may change
        #[arg(long)]
        resume: bool,
        #[command(flatten)]
        threads: Threads,
    },
    /// Go on with a stopped or killed run from its last checkpoint, at any number of ranks and threads
    Resume {
        /// Run directory
        dir: PathBuf,
        #[command(flatten)]
        set: Set,
        #[command(flatten)]
        threads: Threads,
    },
    /// Many runs by one command: parameters, variants and seeds, on any number of processes and nodes
    Sweep {
        #[command(subcommand)]
        command: SweepCommand,
    },
    /// Make a job script for Slurm, PBS or LSF of a run or a sweep, or submit it: it stops in time with a checkpoint and goes back to the queue
    Submit(Box<SubmitOptions>),
    /// Show what an archive is and how good
    Info {
        /// Run directory, .h5 file, or folder of a policy
        path: PathBuf,
        /// Print JSON with documented fields (docs/format.md)
        #[arg(long)]
        json: bool,
    },
    /// Draw a heat map of an archive, the learning curves of several runs with tests of how they differ, or a sweep
    Plot {
        /// Run directories or .h5 files: one for a heat map, several (of one task) to compare strategies; or the folder of a sweep
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Picture to write, .png or .svg [default: both, beside the archive; several runs: comparison.png and .svg here; a sweep: sweep.png and .svg in its folder]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Two axes of a heat map to show where the descriptor has more, as 0,1
        #[arg(long, value_name = "X,Y", value_parser = axes)]
        axes: Option<[usize; 2]>,
        /// Of several runs: columns of their histories to draw [default: qd_score,coverage,max_fitness]; of a sweep: columns beside its metric
        #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
        measures: Vec<String>,
        /// Of several runs or a sweep: the column against which to draw them, beside the time [default: evaluations]
        #[arg(long, value_name = "NAME")]
        against: Option<String>,
        /// Of several runs: after how many evaluations (or --against) to compare them [default: where the first run ends]
        #[arg(long, value_name = "N", allow_negative_numbers = true)]
        at: Option<f64>,
        /// Of several runs: after how much wall time x ranks x threads to compare them [default: where the first run ends]
        #[arg(long, value_name = "S", allow_negative_numbers = true)]
        at_core_seconds: Option<f64>,
        /// Print JSON with documented fields (docs/format.md)
        #[arg(long)]
        json: bool,
    },
    /// Evaluate every elite again: reproducibility, and the QD score without lucky draws; or a distilled policy
    Eval {
        /// Run directory, .h5 file, or folder of a policy
        path: PathBuf,
        /// Fresh episodes of each elite
        #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
        episodes: u32,
        /// File to write: what was found, elite by elite [default: eval.h5, beside the archive]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Of a policy: the behaviour to ask it for, a number for each axis of the descriptor
        #[arg(long, value_name = "X,Y", allow_hyphen_values = true)]
        descriptor: Option<String>,
        /// Print JSON with documented fields (docs/format.md)
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        threads: Threads,
    },
    /// Show one episode of an elite: a film (GIF) or a strip of pictures (PNG)
    Replay {
        /// Run directory, .h5 file, or folder of a policy
        path: PathBuf,
        /// best, solution (the strategy's own result), or the number of a cell [default: the solution if there is one, else the best]
        #[arg(long, value_name = "ELITE")]
        elite: Option<Which>,
        /// Evaluation seed [default: the elite's own, which gives its stored fitness again]
        #[arg(long)]
        seed: Option<u64>,
        /// File to write: .gif for a film, .png for a strip of pictures [default: replay.gif, beside the archive]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Steps from one picture to the next [default: as many as make 15 to 30 pictures a second]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
        every: Option<u32>,
        /// Pictures of a strip, spread evenly over the episode [default: 12]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
        frames: Option<u32>,
        /// Pixels for each of the task's own [default: 1, or more for small screens]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=32))]
        scale: Option<u32>,
        /// How many times as fast as the game, or the task's own pace, a film runs [default: 1]
        #[arg(long, value_name = "X", value_parser = speed)]
        speed: Option<f64>,
        /// End the episode after this many steps at the latest
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        episode_steps: Option<u32>,
        /// Of a policy: the behaviour to ask it for, a number for each axis of the descriptor
        #[arg(long, value_name = "X,Y", allow_hyphen_values = true)]
        descriptor: Option<String>,
        /// Print JSON with documented fields (docs/format.md)
        #[arg(long)]
        json: bool,
    },
    /// Write an archive, or one elite of it, for other programs: a table (.csv), arrays of numpy (.npz), or .h5 with decoded genomes
    Export {
        /// Run directory or .h5 file
        path: PathBuf,
        /// File to write; .csv, .npz or .h5
        #[arg(
            short,
            long,
            value_name = "FILE",
            required_unless_present = "adapter",
            conflicts_with = "adapter"
        )]
        output: Option<PathBuf>,
        /// Of a run on a language model: write the adapter of one elite (the solution, if not said otherwise) to this folder, as PEFT loads it
        #[arg(long, value_name = "DIR", conflicts_with = "genomes")]
        adapter: Option<PathBuf>,
        /// Only one: best, solution (the strategy's own result), or the number of a cell [default: all elites]
        #[arg(long, value_name = "ELITE")]
        elite: Option<Which>,
        /// With genomes, decoded (.npz; an .h5 always has them)
        #[arg(long)]
        genomes: bool,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
        /// Print JSON with documented fields (docs/format.md)
        #[arg(long)]
        json: bool,
    },
    /// Turn an archive into one policy that executes its whole range of behaviours
    Distill {
        /// Run directory or .h5 file
        path: PathBuf,
        /// Folder to write [default: `distilled` beside the archive]
        #[arg(short, long, value_name = "DIR")]
        output: Option<PathBuf>,
        /// Fresh episodes by which archive and policy are compared, for each descriptor
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
        episodes: u32,
        /// Keys all randomness
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Units of each hidden layer
        #[arg(long, default_value = "256,256", value_name = "N,N", value_parser = hidden)]
        hidden: Hidden,
        /// Rounds of correction on the policy's own states
        #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(0..=1000))]
        rounds: u32,
        /// Passes over the data in each round at most, of at least 1000 minibatches each; 0 leaves the policy untrained
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
        epochs: u32,
        /// Where the policy comes from
        #[arg(long, value_enum, default_value_t = From::Auto)]
        from: From,
        /// Print JSON with documented fields (docs/format.md)
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        threads: Threads,
    },
    /// Language models: train a small one, adapt one by examples, look at answers
    Lm {
        #[command(subcommand)]
        command: Lm,
    },
    /// List tasks, strategies, archives and the keys of files; with a kind or a name, every parameter with default and meaning
    List {
        /// tasks, strategies, archives, general (a run's file), sweep (a sweep's file), or a name
        what: Option<String>,
        #[arg(long)]
        json: bool,
    },
}

#[derive(Subcommand)]
enum Lm {
    /// Train a small model of the Qwen2 architecture from scratch on generated text
    Pretrain {
        #[command(flatten)]
        options: lm::PretrainOptions,
        #[command(flatten)]
        threads: Threads,
    },
    /// Teach an adapter by examples how answers are given (LoRA, the warm start of a search)
    Sft {
        #[command(flatten)]
        options: lm::SftOptions,
        #[command(flatten)]
        threads: Threads,
    },
    /// Print prompts, answers and their rewards, and the mean reward on the validation split
    Answer {
        #[command(flatten)]
        options: lm::AnswerOptions,
        #[command(flatten)]
        threads: Threads,
    },
}

#[derive(Args)]
struct Set {
    /// Override a key of the configuration, such as task.episode_length=100; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Args)]
struct Threads {
    /// Threads of each rank [default: the node's cores divided by its ranks]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    threads: Option<u32>,
}

fn axes(text: &str) -> Result<[usize; 2], String> {
    let parts: Vec<usize> = text.split(',').map_while(|p| p.trim().parse().ok()).collect();
    <[usize; 2]>::try_from(parts).map_err(|_| "expected two numbers of axes, such as 0,1".into())
}

/// Units of hidden layers; a type of its own, so that one argument is the whole list.
#[derive(Clone)]
struct Hidden(Vec<usize>);

fn hidden(text: &str) -> Result<Hidden, String> {
    let layers: Result<Vec<usize>, _> = text.split(',').map(|p| p.trim().parse()).collect();
    match layers {
        Ok(layers) if layers.iter().all(|n| (1..=65_536).contains(n)) => Ok(Hidden(layers)),
        _ => Err("expected the units of each hidden layer, from 1 to 65536, such as 256,256".into()),
    }
}

fn speed(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|x| (0.01..=100.0).contains(x));
    number.ok_or_else(|| "expected a number from 0.01 to 100".into())
}

fn version() -> &'static str {
    static VERSION: OnceLock<String> = OnceLock::new();
    VERSION.get_or_init(illume::engine::versions::long)
}

fn main() -> ExitCode {
    cluster::abort_on_panic();
    threads::pin_libraries();
    ExitCode::from(entry(std::env::args_os().collect()))
}

/// Does what the arguments ask for; returns the exit code. The runs of a sweep are forks that begin here.
fn entry(arguments: Vec<OsString>) -> u8 {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(e) => {
            // Every rank parses the same arguments; one is enough to say what is wrong with them.
            if cluster::launched_rank() == 0 {
                let _ = e.print();
            }
            return if e.use_stderr() { 2 } else { 0 };
        }
    };
    match cli.command {
        Command::Run {
            config,
            set,
            out,
            resume,
            threads,
        } => {
            let options = RunOptions {
                config,
                set: set.set,
                out,
                resume,
            };
            stopping(&threads, |place| commands::run(&options, place))
        }
        Command::Resume { dir, set, threads } => stopping(&threads, |place| commands::resume(&dir, &set.set, place)),
        Command::Eval {
            path,
            episodes,
            output,
            descriptor,
            json,
            threads,
        } => {
            let options = EvalOptions {
                episodes: episodes as usize,
                output,
                descriptor,
                json,
            };
            with_cluster(&threads, first_rank(|| commands::eval(&path, &options)))
        }
        Command::Distill {
            path,
            output,
            episodes,
            seed,
            hidden,
            rounds,
            epochs,
            from,
            json,
            threads,
        } => {
            let options = DistillOptions {
                output,
                episodes: episodes as usize,
                seed,
                hidden: hidden.0,
                rounds: rounds as usize,
                epochs: epochs as usize,
                from,
                json,
            };
            with_cluster(&threads, first_rank(|| commands::distill(&path, &options)))
        }
        Command::Replay {
            path,
            elite,
            seed,
            output,
            every,
            frames,
            scale,
            speed,
            episode_steps,
            descriptor,
            json,
        } => alone(|| {
            let options = ReplayOptions {
                elite,
                seed,
                output,
                every,
                frames: frames.map(|n| n as usize),
                scale: scale.map(|n| n as usize),
                speed,
                episode_steps,
                descriptor,
                json,
            };
            commands::replay(&path, &options)
        }),
        Command::Export {
            path,
            output,
            adapter,
            elite,
            genomes,
            force,
            json,
        } => alone(|| {
            if let Some(folder) = adapter {
                let options = lm::AdapterOptions {
                    folder,
                    elite,
                    force,
                    json,
                };
                return lm::adapter(&path, &options);
            }
            let options = ExportOptions {
                output: output.expect("the command line has a file or an adapter"),
                elite,
                genomes,
                force,
                json,
            };
            commands::export(&path, &options)
        }),
        Command::Lm { command } => match command {
            Lm::Pretrain { options, threads } => stopping(&threads, first_rank(|| lm::pretrain(&options))),
            Lm::Sft { options, threads } => stopping(&threads, first_rank(|| lm::sft(&options))),
            Lm::Answer { options, threads } => with_cluster(&threads, first_rank(|| lm::answer(&options))),
        },
        Command::Sweep { command } => sweep(&command),
        Command::Submit(options) => alone(|| commands::submit::submit(&options)),
        Command::Info { path, json } => alone(|| commands::info(&path, json)),
        Command::List { what, json } => alone(|| commands::list(what.as_deref(), json)),
        Command::Plot {
            paths,
            output,
            axes,
            measures,
            against,
            at,
            at_core_seconds,
            json,
        } => alone(|| {
            let options = PlotOptions {
                output,
                axes,
                measures,
                against,
                at,
                at_core_seconds,
                json,
            };
            commands::plot(&paths, &options)
        }),
    }
}

/// Runs a command on all ranks that stops in order when a signal asks for it; any other is ended by the signal.
fn stopping(threads: &Threads, command: impl FnOnce(&Place<'_>) -> Result<Ended, Error>) -> u8 {
    match signals::install() {
        Ok(()) => with_cluster(threads, command),
        Err(e) => {
            complain(&e);
            code(&e)
        }
    }
}

/// Runs a command on all ranks; returns the exit code.
fn with_cluster(threads: &Threads, command: impl FnOnce(&Place<'_>) -> Result<Ended, Error>) -> u8 {
    let start = || -> Result<(Cluster, Plan), Error> {
        let cluster = cluster::connect()?;
        let plan = threads::plan(threads.threads.map(|n| n as usize), cluster.node());
        threads::configure(plan.threads)?;
        #[cfg(feature = "torch")]
        tch::set_num_threads(1);
        Ok((cluster, plan))
    };
    let (cluster, plan) = match start() {
        Ok(started) => started,
        Err(e) => {
            if cluster::launched_rank() == 0 {
                complain(&e);
            }
            return code(&e);
        }
    };
    if cluster.comm().rank() == 0 {
        plan.warning.iter().for_each(|warning| complain(warning));
    }
    let place = Place {
        comm: cluster.comm(),
        node: cluster.node(),
        plan: &plan,
    };
    let (code, message) = match command(&place) {
        Ok(Ended::Finished) => (0, None),
        Ok(Ended::Stopped) => (signals::EXIT_REQUEUE, None),
        Err(e) => (i32::from(code(&e)), Some(format!("illume: {e}"))),
    };
    u8::try_from(cluster.leave(code, message.as_deref())).unwrap_or(1)
}

/// A command that the first rank does with all of its threads, printing what it says.
fn first_rank(command: impl FnOnce() -> Result<String, Error>) -> impl FnOnce(&Place<'_>) -> Result<Ended, Error> {
    |place| {
        if place.comm.rank() == 0 {
            print(&command()?);
        }
        Ok(Ended::Finished)
    }
}

/// Every process that a launcher starts works on a sweep by itself; all else that can be done with one is done by the first.
fn sweep(command: &SweepCommand) -> u8 {
    let SweepCommand::Run(options) = command else {
        return alone(|| match command {
            SweepCommand::Plan(options) => commands::sweep::plan(options),
            SweepCommand::Status(options) => commands::sweep::status(options),
            SweepCommand::Retry(options) => commands::sweep::retry(options),
            SweepCommand::List(options) => commands::sweep::list(options),
            SweepCommand::Extend(options) => commands::sweep::extend(options),
            SweepCommand::Collect { dir } => commands::sweep::collect(dir),
            SweepCommand::Run(_) => Ok(String::new()),
        });
    };
    match commands::sweep::run(options, entry) {
        Ok((text, code)) => {
            print(&text);
            code
        }
        Err(e) => {
            if cluster::launched_rank() == 0 || code(&e) != 2 {
                complain(&e);
            }
            code(&e)
        }
    }
}

/// Runs a command that one process does; under a launcher of several, the others do nothing.
fn alone(command: impl FnOnce() -> Result<String, Error>) -> u8 {
    if cluster::launched_rank() != 0 {
        return 0;
    }
    match command() {
        Ok(text) => {
            print(&text);
            0
        }
        Err(e) => {
            complain(&e);
            code(&e)
        }
    }
}

fn code(error: &Error) -> u8 {
    match error {
        Error::Input(_) | Error::Config(_) => 2,
        Error::Busy(_) => signals::EXIT_REQUEUE as u8,
        Error::Failed(_) => 1,
    }
}

/// A closed pipe (`illume list | head`) is no reason to panic.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn complain(what: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "illume: {what}");
}
