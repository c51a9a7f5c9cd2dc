//! What `tests/mpi.rs` starts under mpirun, one subcommand for each thing that can happen to a run. `illume-comm-suite suite` is also a
//! check of a cluster's MPI: it takes seconds and needs no file.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use illume_cluster::{Cluster, abort_on_panic, agree, connect, launched_rank, signals, suite, threads};
use illume_core::{Comm, Error, Result};
use rayon::prelude::*;

fn main() -> ExitCode {
    abort_on_panic();
    threads::pin_libraries();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let cluster = match signals::install().and_then(|()| connect()) {
        Ok(cluster) => cluster,
        Err(error) => {
            if launched_rank() == 0 {
                eprintln!("{error}");
            }
            return ExitCode::from(2);
        }
    };
    let (code, message) = match run(&cluster, &arguments) {
        Ok(code) => (code, None),
        Err(error @ Error::Failed(_)) => (1, Some(error.to_string())),
        Err(error) => (2, Some(error.to_string())),
    };
    ExitCode::from(cluster.leave(code, message.as_deref()) as u8)
}

fn run(cluster: &Cluster, arguments: &[&str]) -> Result<i32> {
    let comm = cluster.comm();
    let rank = comm.rank();
    let number = |text: &str| {
        text.parse::<usize>()
            .map_err(|_| Error::input(format!("'{text}' is not a number")))
    };
    match arguments {
        ["suite", chunks @ ..] => run_suite(cluster, chunks),
        ["gather", bytes] => gather(comm, number(bytes)?),
        ["plan"] => {
            let plan = threads::plan(None, cluster.node());
            report(&format!(
                "rank {rank}: {} threads, {} ranks",
                plan.threads,
                cluster.node().ranks
            ));
            Ok(0)
        }
        // One rank panics on a thread of the pool while the others wait for it.
        ["panic", who] => {
            threads::configure(2)?;
            if rank == number(who)? {
                (0..64)
                    .into_par_iter()
                    .for_each(|i| assert!(i != 40 || rayon::current_thread_index() == Some(9), "forty\nis bad"));
            }
            comm.any(0)?;
            Ok(0)
        }
        ["agree", who] => {
            let mine = if rank == number(who)? {
                Err(Error::input(format!("rank {rank} dislikes it")))
            } else {
                Ok(())
            };
            agree(comm, mine)?;
            Ok(0)
        }
        // One rank fails and tells nobody.
        ["fail", who] => {
            if rank == number(who)? {
                return Err(Error::input("nobody else knows"));
            }
            comm.any(0)?;
            Ok(0)
        }
        // MPI from another thread than the main one.
        ["thread"] => {
            let refused = std::thread::scope(|scope| scope.spawn(|| comm.any(0).is_err()).join());
            if refused.unwrap_or(false) {
                Ok(0)
            } else {
                Err(Error::failed("MPI answered another thread"))
            }
        }
        ["generations", milliseconds] => generations(comm, number(milliseconds)? as u64),
        _ => Err(Error::input(
            "suite [CHUNK...], gather BYTES, plan, panic R, agree R, fail R, thread, generations MS",
        )),
    }
}

/// The conformance suite over all ranks, then for each chunk bound over all ranks and over two groups of them.
fn run_suite(cluster: &Cluster, chunks: &[&str]) -> Result<i32> {
    let comm = cluster.comm();
    suite::conformance(comm, 1)?;
    for (i, chunk) in chunks.iter().enumerate() {
        let bound = chunk
            .parse()
            .map_err(|_| Error::input(format!("chunk bound '{chunk}' is not a number")))?;
        let seed = i as u64 + 2;
        suite::conformance(&*cluster.split_with_chunks(0, bound)?, seed)?;
        let color = comm.rank() % 2;
        let group = cluster.split_with_chunks(color, bound)?;
        let members = (comm.size() - color).div_ceil(2);
        if (group.rank(), group.size()) != (comm.rank() / 2, members) {
            return Err(Error::failed(format!(
                "split: rank {} of {}",
                group.rank(),
                group.size()
            )));
        }
        suite::conformance(&*group, seed)?;
    }
    suite::conformance(comm, 3)?;
    if comm.rank() == 0 {
        report(&format!("{} ranks conform", comm.size()));
    }
    Ok(0)
}

/// Gathers and broadcasts messages of `bytes` bytes, beyond 2 GiB if memory allows, and looks at every byte.
fn gather(comm: &dyn Comm, bytes: usize) -> Result<i32> {
    let byte = |rank: usize, i: usize| (rank * 31 + i % 251) as u8;
    let mut mine: Vec<u8> = (0..bytes).map(|i| byte(comm.rank(), i)).collect();
    let mut all = Vec::new();
    comm.all_gather(&mine, &vec![bytes; comm.size()], &mut all)?;
    let right = all.iter().enumerate().all(|(i, &b)| b == byte(i / bytes, i % bytes));
    drop(all);
    comm.broadcast(comm.size() - 1, &mut mine)?;
    let right = right && mine.iter().enumerate().all(|(i, &b)| b == byte(comm.size() - 1, i));
    if right {
        Ok(0)
    } else {
        Err(Error::failed("large messages came out wrong"))
    }
}

/// A run of generations until a signal stops it, then a checkpoint.
fn generations(comm: &dyn Comm, milliseconds: u64) -> Result<i32> {
    report(&format!("rank {} pid {}", comm.rank(), std::process::id()));
    for generation in 0u64.. {
        std::thread::sleep(Duration::from_millis(milliseconds));
        if comm.any(signals::stop_word())? & signals::STOP != 0 {
            // All ranks are at the same generation, or this differs.
            let mut all = Vec::new();
            comm.all_gather(&generation.to_le_bytes(), &vec![8; comm.size()], &mut all)?;
            if all.chunks(8).any(|other| other != generation.to_le_bytes()) {
                return Err(Error::failed("ranks stopped at different generations"));
            }
            if let (0, Ok(path)) = (comm.rank(), std::env::var("CHECKPOINT")) {
                std::fs::write(path, format!("{generation}")).map_err(|e| Error::failed(e.to_string()))?;
            }
            report(&format!(
                "rank {} stopped by {}",
                comm.rank(),
                signals::stop_signal().unwrap_or("another rank")
            ));
            return Ok(signals::EXIT_REQUEUE);
        }
    }
    Ok(0)
}

/// Not `println!`, which panics once mpirun has closed the pipe.
fn report(line: &str) {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
