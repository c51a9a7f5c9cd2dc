//! The command line. Each command is a file here with its arguments and a `run` that does what they ask for.

mod distill;
mod elite;
mod eval;
mod export;
mod import;
mod info;
mod launch;
mod list;
mod lm;
mod new;
mod plot;
mod replay;
mod report;
mod resume;
mod run;
mod submit;
mod sweep;
mod watch;

use std::ffi::OsString;
use std::io::{self, Write as _};

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use illume_cluster::launched_rank;

pub(crate) use crate::engine::directory::archive_path;

/// Evolutionary and quality-diversity optimization on clusters: MPI ranks, threads, HDF5 archives.
#[derive(Parser)]
#[command(name = "illume", version, max_term_width = 110, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    New(new::NewArgs),
    Run(run::RunArgs),
    Resume(resume::ResumeArgs),
    Sweep(sweep::SweepArgs),
    Submit(Box<submit::SubmitArgs>),
    Info(info::InfoArgs),
    Plot(plot::PlotArgs),
    Report(report::ReportArgs),
    Watch(watch::WatchArgs),
    Eval(eval::EvalArgs),
    Replay(replay::ReplayArgs),
    Export(export::ExportArgs),
    Import(Box<import::ImportArgs>),
    Distill(distill::DistillArgs),
    Lm(lm::LmArgs),
    List(list::ListArgs),
}

impl Command {
    /// Does it; returns the exit code.
    fn run(&self) -> u8 {
        match self {
            Command::New(args) => args.run(),
            Command::Run(args) => args.run(),
            Command::Resume(args) => args.run(),
            Command::Sweep(args) => args.run(),
            Command::Submit(args) => args.run(),
            Command::Info(args) => args.run(),
            Command::Plot(args) => args.run(),
            Command::Report(args) => args.run(),
            Command::Watch(args) => args.run(),
            Command::Eval(args) => args.run(),
            Command::Replay(args) => args.run(),
            Command::Export(args) => args.run(),
            Command::Import(args) => args.run(),
            Command::Distill(args) => args.run(),
            Command::Lm(args) => args.run(),
            Command::List(args) => args.run(),
        }
    }
}

/// Does what the arguments of the program ask for; returns the exit code. The runs of a sweep are forks that begin here.
pub fn main(arguments: Vec<OsString>) -> u8 {
    match Cli::try_parse_from(arguments) {
        Ok(cli) => cli.command.run(),
        Err(e) if e.kind() == ErrorKind::DisplayVersion => {
            if launched_rank() == 0 {
                let _ = writeln!(io::stdout(), "illume {}", crate::engine::versions::all());
            }
            0
        }
        Err(e) => {
            // Every rank parses the same arguments; one is enough to say what is wrong with them.
            if launched_rank() == 0 {
                let _ = e.print();
            }
            if e.use_stderr() { 2 } else { 0 }
        }
    }
}

// Flattened into the arguments of commands, whose help a documentation comment here would replace.
#[derive(Debug, Clone, clap::Args)]
struct Set {
    /// Override a key of the configuration, such as task.episode_length=100; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

/// Says why rows fail, though the command goes on.
fn tell_failure(failure: &str) {
    launch::complain(&format_args!("{failure}; its rows count as failed"));
}
