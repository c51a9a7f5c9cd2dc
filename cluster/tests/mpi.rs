//! What happens to MPI ranks, seen from outside of mpirun.
#![cfg(feature = "mpi")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_illume-comm-suite");
/// For what should take a second or so; the machine may be busy.
const SOON: Duration = Duration::from_secs(60);

/// `program` with the environment that MPI wants as root, in a container, with more ranks than cores: Open MPI 4 and 5.
fn prepared(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env("OMPI_ALLOW_RUN_AS_ROOT", "1")
        .env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command
        .env("OMPI_MCA_rmaps_base_oversubscribe", "1")
        .env("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe");
    command
        .env("OMPI_MCA_hwloc_base_binding_policy", "none")
        .env("PRTE_MCA_hwloc_default_binding_policy", "none");
    command
        .env("OMPI_MCA_btl_vader_single_copy_mechanism", "none")
        .env_remove("ILLUME_MPI");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn mpirun(ranks: usize, arguments: &[&str]) -> Command {
    let mut command = prepared("mpirun");
    command.arg("-n").arg(ranks.to_string()).arg(PROGRAM).args(arguments);
    command
}

/// A started mpirun; killed, should the test fail.
struct Run {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Run {
    fn start(mut command: Command) -> Run {
        let mut child = command
            .spawn()
            .expect("these tests need mpirun: make setup installs it");
        let (sender, lines) = channel();
        let outputs: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for output in outputs {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Run {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    /// Waits for `count` lines that contain `text`.
    fn expect(&mut self, text: &str, count: usize) -> Vec<String> {
        let until = Instant::now() + SOON;
        loop {
            let found: Vec<String> = self.seen.iter().filter(|line| line.contains(text)).cloned().collect();
            if found.len() >= count {
                return found;
            }
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(_) => panic!("no {count} lines with '{text}' in:\n{}", self.seen.join("\n")),
            }
        }
    }

    fn finish(mut self) -> (ExitStatus, String) {
        let until = Instant::now() + SOON;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                Instant::now() < until,
                "mpirun hangs; it said:\n{}",
                self.seen.join("\n")
            );
            std::thread::sleep(Duration::from_millis(10));
        };
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(2)) {
            self.seen.push(line);
        }
        (status, self.seen.join("\n"))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn kill(signal: &str, pid: &str) {
    // The shell has it built in; the program of this name is not everywhere.
    let mut shell = Command::new("sh");
    shell.args(["-c", "kill \"$0\" \"$1\"", signal, pid]);
    assert!(shell.status().unwrap().success());
}

/// Process ids of the ranks, in any order.
fn pids(run: &mut Run, ranks: usize) -> Vec<String> {
    run.expect(" pid ", ranks)
        .iter()
        .map(|line| line.rsplit(' ').next().unwrap().to_string())
        .collect()
}

#[test]
fn mpi_conforms_on_one_two_and_three_ranks_with_any_chunk_bound() {
    for ranks in 1..=3 {
        let mut command = mpirun(ranks, &["suite", "1", "7", "4096", "268435456"]);
        command.env("ILLUME_MPI", "on");
        let (status, output) = Run::start(command).finish();
        assert!(status.success(), "{output}");
        assert!(output.contains(&format!("{ranks} ranks conform")), "{output}");
    }
}

#[test]
fn messages_above_the_eager_limit_do_not_deadlock() {
    let (status, output) = Run::start(mpirun(3, &["gather", "20000000"])).finish();
    assert!(status.success(), "{output}");
}

#[test]
fn a_panic_on_a_thread_of_the_pool_ends_all_ranks_with_its_message() {
    for who in ["0", "1"] {
        let start = Instant::now();
        let (status, output) = Run::start(mpirun(3, &["panic", who])).finish();
        assert_eq!(status.code(), Some(1), "{output}");
        let line = output
            .lines()
            .find(|l| l.starts_with(&format!("rank {who}: forty is bad (")));
        assert!(line.is_some_and(|l| l.contains("ranks.rs:")), "{output}");
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }
}

#[test]
fn an_agreed_failure_is_printed_once_and_gives_everyones_exit_code() {
    let (status, output) = Run::start(mpirun(3, &["agree", "2"])).finish();
    assert_eq!(status.code(), Some(2), "{output}");
    assert_eq!(output.matches("rank 2 dislikes it").count(), 1, "{output}");
}

#[test]
fn a_failure_that_one_rank_keeps_to_itself_ends_all_with_its_code() {
    let (status, output) = Run::start(mpirun(3, &["fail", "1"])).finish();
    assert_eq!(status.code(), Some(2), "{output}");
    assert!(output.contains("rank 1: nobody else knows"), "{output}");
}

#[test]
fn another_thread_than_the_main_one_is_refused() {
    let (status, output) = Run::start(mpirun(2, &["thread"])).finish();
    assert!(status.success(), "{output}");
}

#[test]
fn cores_are_shared_by_the_ranks_of_a_node() {
    let cores = std::thread::available_parallelism().unwrap().get();
    let (status, output) = Run::start(mpirun(2, &["plan"])).finish();
    assert!(status.success(), "{output}");
    for rank in 0..2 {
        assert!(
            output.contains(&format!("rank {rank}: {} threads, 2 ranks", (cores / 2).max(1))),
            "{output}"
        );
    }
}

#[test]
fn a_plain_start_does_not_touch_mpi() {
    let mut command = prepared(PROGRAM);
    command
        .arg("suite")
        .env("OMPI_MCA_btl", "nonsense")
        .env("MPIR_CVAR_CH4_NETMOD", "nonsense");
    let (status, output) = Run::start(command).finish();
    assert!(status.success() && output.contains("1 ranks conform"), "{output}");
}

#[test]
fn ranks_that_mpi_does_not_connect_are_refused() {
    // As when MPICH's mpiexec starts a program built with Open MPI: each rank would think itself alone and write the same files.
    let mut command = prepared(PROGRAM);
    command
        .arg("suite")
        .env("MV2_COMM_WORLD_SIZE", "2")
        .env("MV2_COMM_WORLD_RANK", "0");
    let (status, output) = Run::start(command).finish();
    assert_eq!(status.code(), Some(2), "{output}");
    assert!(output.contains("started 2 ranks, but the MPI library"), "{output}");
}

#[test]
fn a_killed_rank_ends_the_run() {
    let mut run = Run::start(mpirun(3, &["generations", "20"]));
    let pids = pids(&mut run, 3);
    kill("-KILL", &pids[1]);
    let (status, output) = run.finish();
    assert!(!status.success(), "{output}");
}

#[test]
fn a_signal_to_one_rank_stops_all_at_the_same_generation_with_code_75() {
    for signal in ["-INT", "-TERM", "-USR1"] {
        let mut run = Run::start(mpirun(3, &["generations", "20"]));
        let pids = pids(&mut run, 3);
        kill(signal, &pids[2]);
        run.expect("stopped by", 3);
        let (status, output) = run.finish();
        assert_eq!(status.code(), Some(75), "{output}");
    }
}

#[test]
fn a_signal_to_mpirun_stops_all_with_a_checkpoint() {
    for (signal, code) in [("-USR1", Some(75)), ("-TERM", None), ("-INT", None)] {
        let checkpoint = format!("{}/checkpoint{signal}", env!("CARGO_TARGET_TMPDIR"));
        let _ = std::fs::remove_file(&checkpoint);
        let mut command = mpirun(3, &["generations", "20"]);
        command.env("CHECKPOINT", &checkpoint);
        let mut run = Run::start(command);
        pids(&mut run, 3);
        kill(signal, &run.child.id().to_string());
        let (status, output) = run.finish();
        // Open MPI's own code for SIGTERM and SIGINT differs from version to version.
        assert!(
            if code.is_some() {
                status.code() == code
            } else {
                !status.success()
            },
            "{status} {output}"
        );
        assert!(
            std::fs::read_to_string(&checkpoint).is_ok_and(|text| !text.is_empty()),
            "{signal}: {output}"
        );
    }
}
