//! How commands are started: by one process, or on all ranks; and what they print and leave with.

use std::fmt::Display;
use std::io::Write as _;

use illume_cluster::threads::Plan;
use illume_cluster::{Cluster, Node, connect, launched_rank, signals, threads};
use illume_core::{Comm, Error, Result};

// Flattened into the arguments of commands, whose help a documentation comment here would replace.
#[derive(Debug, Clone, clap::Args)]
pub struct Threads {
    /// Threads of each rank [default: the node's cores divided by its ranks]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65536))]
    threads: Option<u32>,
}

/// Where a command runs: the ranks, this rank's node and threads.
pub(super) struct Place<'a> {
    pub comm: &'a dyn Comm,
    pub node: &'a Node,
    pub plan: &'a Plan,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// Its work is done.
    Finished,
    /// A signal came; a checkpoint is written.
    Stopped,
}

/// Runs a command that one process does, printing what it says; under a launcher of several, the others do nothing.
pub(super) fn alone(command: impl FnOnce() -> Result<String>) -> u8 {
    if launched_rank() != 0 {
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

/// Runs a command on all ranks that stops in order when a signal asks for it; any other is ended by the signal.
pub(super) fn stopping(threads: &Threads, command: impl FnOnce(&Place<'_>) -> Result<Ended>) -> u8 {
    match signals::install() {
        Ok(()) => on_all_ranks(threads, command),
        Err(e) => {
            complain(&e);
            code(&e)
        }
    }
}

/// Runs a command on all ranks; returns the exit code.
pub(super) fn on_all_ranks(threads: &Threads, command: impl FnOnce(&Place<'_>) -> Result<Ended>) -> u8 {
    let start = || -> Result<(Cluster, Plan)> {
        let cluster = connect()?;
        let plan = threads::plan(threads.threads.map(|n| n as usize), cluster.node());
        threads::configure(plan.threads)?;
        Ok((cluster, plan))
    };
    let (cluster, plan) = match start() {
        Ok(started) => started,
        Err(e) => {
            if launched_rank() == 0 {
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
pub(super) fn first_rank(command: impl FnOnce() -> Result<String>) -> impl FnOnce(&Place<'_>) -> Result<Ended> {
    |place| {
        if place.comm.rank() == 0 {
            print(&command()?);
        }
        Ok(Ended::Finished)
    }
}

/// The exit code of an error.
pub(super) fn code(error: &Error) -> u8 {
    match error {
        Error::Input(_) | Error::Config(_) => 2,
        Error::Busy(_) => signals::EXIT_REQUEUE as u8,
        Error::Failed(_) => 1,
    }
}

/// A closed pipe (`illume list | head`) is no reason to panic.
pub(super) fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A sentence on standard error, which may be closed while `mpirun` stops.
pub(super) fn complain(what: &dyn Display) {
    let _ = writeln!(std::io::stderr(), "illume: {what}");
}
