//! The binary seen from outside: runs at any number of ranks and threads, signals, and run directories compared bit for bit.
// Every test program uses its own part of this.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Seek as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use illume::archives::file::{self, ArchiveFile};
use illume::cluster::Solo;
use illume::core::{Batch, Genomes, State, toml};
use illume::{Config, Run};

pub mod own;
pub mod refused;
pub mod small;

pub const ILLUME: &str = env!("CARGO_BIN_EXE_illume");

/// For what takes a second or two; the machine may be busy.
const LIMIT: Duration = Duration::from_secs(180);

// Configurations ------------------------------------------------------------------------------------------------------

/// A folder of its own for a test, removed at its end.
pub fn folder() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("illume-test-").tempdir().unwrap()
}

/// Writes a configuration into a folder.
pub fn write_config(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("config-given.toml");
    fs::write(&path, text).unwrap();
    path
}

/// A path as an argument.
pub fn arg(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A small `[task]` table of a language model's task, and its files in a folder; empty in a build without language models, which has no such task.
pub fn tiny_lm(folder: &Path, name: &str) -> toml::Table {
    #[cfg(feature = "lm")]
    return illume::envs::lm::tiny_task(folder, name).unwrap();
    #[cfg(not(feature = "lm"))]
    {
        let _ = (folder, name);
        toml::Table::new()
    }
}

// Runs of the binary --------------------------------------------------------------------------------------------------

/// `illume arguments...`, under mpirun where there is more than one rank (as root, in a container, with few cores).
pub fn illume(ranks: usize, arguments: &[&str]) -> Command {
    let mut command = started(ranks, ILLUME);
    command.args(arguments);
    command
}

/// Any program, in the same way.
pub fn started(ranks: usize, program: &str) -> Command {
    let mut command = if ranks == 1 {
        Command::new(program)
    } else {
        let mut mpirun = Command::new("mpirun");
        mpirun.arg("-n").arg(ranks.to_string()).arg(program);
        mpirun
    };
    command.envs(FOR_MPIRUN).env_remove("ILLUME_MPI");
    command
}

/// What mpirun needs as root, in a container and with few cores.
pub const FOR_MPIRUN: [(&str, &str); 7] = [
    ("OMPI_ALLOW_RUN_AS_ROOT", "1"),
    ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
    ("OMPI_MCA_rmaps_base_oversubscribe", "1"),
    ("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"),
    ("OMPI_MCA_hwloc_base_binding_policy", "none"),
    ("PRTE_MCA_hwloc_default_binding_policy", "none"),
    ("OMPI_MCA_btl_vader_single_copy_mechanism", "none"),
];

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// What it printed, after checking that all went well.
    #[track_caller]
    pub fn succeeded(self) -> String {
        assert_eq!(self.code(), Some(0), "{self}");
        self.stdout
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\n--- stdout\n{}\n--- stderr\n{}",
            self.status, self.stdout, self.stderr
        )
    }
}

/// A started program. Its output goes to files, so that no process left over can hold a pipe open.
pub struct Running {
    child: Child,
    stdout: fs::File,
    stderr: fs::File,
    start: Instant,
}

impl Running {
    pub fn start(mut command: Command) -> Running {
        let (stdout, stderr) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        command.stdin(Stdio::null());
        command
            .stdout(stdout.try_clone().unwrap())
            .stderr(stderr.try_clone().unwrap());
        let child = command
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {command:?}: {e}; `make setup` installs mpirun"));
        Running {
            child,
            stdout,
            stderr,
            start: Instant::now(),
        }
    }

    /// Process id of the program itself (mpirun, where that started the ranks).
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Process ids of the ranks.
    pub fn ranks(&self) -> BTreeMap<usize, u32> {
        ranks_below(self.pid())
    }

    /// Waits until a condition holds; the program must still be running then.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, mut holds: impl FnMut() -> bool) {
        while !holds() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "ended before {what}: {}", self.said(ended.unwrap()));
            assert!(self.start.elapsed() < LIMIT, "waited too long for {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits for the end.
    #[track_caller]
    pub fn wait(mut self) -> Ended {
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return self.said(status);
            }
            if self.start.elapsed() > LIMIT {
                self.kill_all();
                let status = self.child.wait().unwrap();
                panic!("it did not end within {LIMIT:?}: {}", self.said(status));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn said(&mut self, status: ExitStatus) -> Ended {
        let read = |file: &mut fs::File| {
            let mut bytes = Vec::new();
            file.rewind().unwrap();
            file.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Ended {
            status,
            stdout: read(&mut self.stdout),
            stderr: read(&mut self.stderr),
        }
    }

    fn kill_all(&mut self) {
        for pid in descendants(self.pid()) {
            signal("KILL", pid);
        }
        let _ = self.child.kill();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill_all();
            let _ = self.child.wait();
        }
    }
}

/// Process ids of the ranks below a process.
pub fn ranks_below(pid: u32) -> BTreeMap<usize, u32> {
    descendants(pid)
        .into_iter()
        // Of a fork, Linux shows the environment of the program that forked.
        .filter(|pid| is_illume(*pid) && !parent(*pid).is_some_and(is_illume))
        .filter_map(|pid| {
            let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
            let variable = |entry: &[u8]| {
                let text = String::from_utf8_lossy(entry).into_owned();
                text.strip_prefix("OMPI_COMM_WORLD_RANK=")
                    .or(text.strip_prefix("PMIX_RANK="))
                    .map(str::to_string)
            };
            let rank = environment.split(|b| *b == 0).find_map(variable)?;
            Some((rank.parse().ok()?, pid))
        })
        .collect()
}

/// The runs of a sweep that are forks below a process: their ids, which are their names, and process ids.
pub fn runs_below(pid: u32) -> Vec<(String, u32)> {
    let is_id = |name: &str| name.len() == 12 && name.bytes().all(|b| b.is_ascii_hexdigit());
    named_below(pid).into_iter().filter(|(name, _)| is_id(name)).collect()
}

/// The processes of ours below a process, by name.
pub fn named_below(pid: u32) -> Vec<(String, u32)> {
    let ours = descendants(pid).into_iter().filter(|pid| is_illume(*pid));
    let name = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    ours.filter_map(|pid| Some((name(pid)?.trim_end().to_string(), pid)))
        .collect()
}

fn is_illume(pid: u32) -> bool {
    let ours = fs::canonicalize(ILLUME).unwrap();
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == ours)
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name, in parentheses, may hold spaces; then come the state and the parent.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// All processes below a process.
fn descendants(pid: u32) -> Vec<u32> {
    let all = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok());
    let parents: Vec<(u32, u32)> = all.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let mut found = vec![pid];
    let mut at = 0;
    while at < found.len() {
        let parent = found[at];
        found.extend(parents.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| pid));
        at += 1;
    }
    found.split_off(1)
}

/// Sends a signal (`TERM`, …) to a process; whether there was one.
pub fn signal(name: &str, pid: u32) -> bool {
    // The shell has it built in; the program of this name is not everywhere.
    let kill = Command::new("sh")
        .args(["-c", "kill -s \"$0\" \"$1\"", name, &pid.to_string()])
        .stderr(Stdio::null())
        .status();
    kill.unwrap().success()
}

/// Runs `illume arguments...` to its end.
#[track_caller]
pub fn run(ranks: usize, arguments: &[&str]) -> Ended {
    Running::start(illume(ranks, arguments)).wait()
}

/// Runs a command to its end.
#[track_caller]
pub fn run_command(command: Command) -> Ended {
    Running::start(command).wait()
}

/// Whether a program was ended by this signal.
pub fn was_killed(ended: &Ended, signal: i32) -> bool {
    ended.status.signal() == Some(signal) || ended.code() == Some(128 + signal)
}

// Runs in this process ------------------------------------------------------------------------------------------------

/// Runs a configuration in this process and hands the finished run to `look`.
pub fn finish<T>(text: &str, look: impl FnOnce(&mut Run<'_>) -> T) -> T {
    let config = Config::parse(text, "test", &[]).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let task = illume::registry::task(&config).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let comm = Solo;
    let mut run = Run::new(&config, task.as_ref(), &comm).unwrap_or_else(|e| panic!("{e}\n{text}"));
    while run.generation().unwrap() {}
    look(&mut run)
}

/// A column of a history.
pub fn column(history: &Batch, name: &str) -> Vec<f64> {
    history.get::<f64>(name).unwrap().to_vec()
}

// What runs leave -----------------------------------------------------------------------------------------------------

#[track_caller]
pub fn open(path: &Path) -> ArchiveFile {
    file::open(path).unwrap_or_else(|e| panic!("{e}"))
}

/// Checks that two run directories hold the same results: archives, checkpoints with their state, and history.
#[track_caller]
pub fn assert_equal_runs(a: &Path, b: &Path) {
    assert_equal_files(&a.join("archive.h5"), &b.join("archive.h5"));
    assert_equal_files(&a.join("checkpoint.h5"), &b.join("checkpoint.h5"));
    let (a, b) = (
        csv_without_time(&a.join("history.csv")),
        csv_without_time(&b.join("history.csv")),
    );
    assert_eq!(a, b, "history.csv differs");
}

/// Whether a column tells how long something took, which differs from run to run.
fn measured(column: &str) -> bool {
    column.ends_with("_seconds") || column.ends_with("_share")
}

/// Checks that two archive files or checkpoints hold the same, time and place aside.
#[track_caller]
pub fn assert_equal_files(a: &Path, b: &Path) {
    let what = format!("{} and {}", a.display(), b.display());
    let (a, b) = (open(a), open(b));
    let facts = |f: &ArchiveFile| {
        let a = &f.attributes;
        let said = [&a.task, &a.strategy, &a.software_version].map(String::clone);
        (
            said,
            a.seed,
            a.generation,
            a.evaluations,
            a.operators.clone(),
            f.genome_dim,
            f.lineage,
        )
    };
    assert_eq!(facts(&a), facts(&b), "{what}: attributes");
    assert_eq!(a.spec, b.spec, "{what}: the archive's cells");
    assert_equal_tables(&a.elites, &b.elites, &format!("{what}: elites"));
    assert_equal_genomes(
        &a.genomes(0..a.rows()).unwrap(),
        &b.genomes(0..b.rows()).unwrap(),
        &what,
    );
    let resumable = a.state().unwrap().is_some();
    match (a.active().unwrap(), b.active().unwrap()) {
        (None, None) => {}
        (Some(a), Some(b)) => {
            assert_equal_tables(&a.elites, &b.elites, &format!("{what}: what is bred from"));
            let [of_a, of_b] = [&a, &b].map(|file| file.genomes(0..file.rows()).unwrap());
            assert_equal_genomes(&of_a, &of_b, &what);
            if resumable {
                assert_eq!(a.fill_order().unwrap(), b.fill_order().unwrap(), "{what}");
            }
        }
        _ => panic!("{what}: one has results beside what is bred from, the other has not"),
    }
    assert_equal_tables(&a.history, &b.history, &format!("{what}: history"));
    match (a.solution().unwrap(), b.solution().unwrap()) {
        (Some(a), Some(b)) => assert_equal_tables(&a, &b, &format!("{what}: solution")),
        (a, b) => assert_eq!(a.is_some(), b.is_some(), "{what}: one has a solution"),
    }
    match (a.state().unwrap(), b.state().unwrap()) {
        (Some(x), Some(y)) => {
            assert_equal_states(&x, &y, &what);
            assert_eq!(
                a.fill_order().unwrap(),
                b.fill_order().unwrap(),
                "{what}: order in which cells were filled"
            );
        }
        (x, y) => assert_eq!(x.is_some(), y.is_some(), "{what}: one has a state"),
    }
}

#[track_caller]
fn assert_equal_states(a: &State, b: &State, what: &str) {
    let sorted = |s: &State| {
        s.tables
            .iter()
            .map(|(n, t)| (n.clone(), t.clone()))
            .collect::<BTreeMap<_, _>>()
    };
    let (a, b) = (sorted(a), sorted(b));
    assert_eq!(
        a.keys().collect::<Vec<_>>(),
        b.keys().collect::<Vec<_>>(),
        "{what}: state tables"
    );
    assert!(a.contains_key("engine"), "{what}: no engine state");
    for (name, table) in &a {
        assert_equal_tables(table, &b[name], &format!("{what}: state table {name}"));
    }
}

/// Columns compared bit for bit (NaN equals itself), wall-clock time left out.
#[track_caller]
pub fn assert_equal_tables(a: &Batch, b: &Batch, what: &str) {
    let names = |t: &Batch| t.columns().iter().map(|c| c.name.clone()).collect::<Vec<_>>();
    assert_eq!((names(a), a.rows()), (names(b), b.rows()), "{what}: columns and rows");
    for (x, y) in a.columns().iter().zip(b.columns()).filter(|(c, _)| !measured(&c.name)) {
        let bytes = |c: &illume::core::Column| {
            let mut bytes = Vec::new();
            c.data.write_bytes(0..c.data.len(), &mut bytes);
            (c.width, c.data.type_name(), bytes)
        };
        if bytes(x) != bytes(y) {
            let size = x.width * x.data.element_size();
            let (left, right) = (bytes(x).2, bytes(y).2);
            let row = left
                .chunks(size)
                .zip(right.chunks(size))
                .position(|(p, q)| p != q)
                .unwrap_or(0);
            let show = |t: &Batch| format!("{:?}", t.select(&[row]).find(&x.name).unwrap().data);
            panic!(
                "{what}: column {} differs first in row {row}: {} and {}",
                x.name,
                show(a),
                show(b)
            );
        }
    }
}

#[track_caller]
fn assert_equal_genomes(a: &Genomes, b: &Genomes, what: &str) {
    let bits = |v: &[f32]| v.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    match (a, b) {
        (Genomes::Dense(a), Genomes::Dense(b)) => {
            assert_eq!(a.dim, b.dim, "{what}: genes of a genome");
            let differs = bits(&a.data).iter().zip(bits(&b.data)).position(|(x, y)| *x != y);
            assert!(
                a.data.len() == b.data.len() && differs.is_none(),
                "{what}: genomes differ, first in gene {differs:?}"
            );
        }
        (Genomes::Lineage(a), Genomes::Lineage(b)) => {
            assert!(
                a.offsets == b.offsets && a.streams == b.streams,
                "{what}: lineages differ"
            );
            assert_eq!(bits(&a.scales), bits(&b.scales), "{what}: scales of lineages");
        }
        _ => panic!("{what}: genomes of different forms"),
    }
}

/// The text of a history without its column of wall-clock time.
fn csv_without_time(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let header: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    assert!(header.contains(&"wall_seconds"), "{header:?}");
    let keep = |line: &str| {
        let values: Vec<&str> = line
            .split(',')
            .enumerate()
            .filter(|(i, _)| !measured(header[*i]))
            .map(|(_, v)| v)
            .collect();
        values.join(",")
    };
    text.lines().map(keep).collect::<Vec<_>>().join("\n")
}

/// Names in a folder that look like unfinished files.
pub fn temporaries(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|n| n.contains("tmp")).collect()
}

// Python --------------------------------------------------------------------------------------------------------------

/// The Python of set-up, with h5py, pandas and xarray. Without it the tests that need it fail, and say what to do.
pub fn python() -> Command {
    let given = std::env::var("ILLUME_PYTHON")
        .ok()
        .or(option_env!("ILLUME_PYTHON").map(String::from));
    let python =
        given.expect("ILLUME_PYTHON is not set: run `make setup`, which makes a Python with h5py for these tests");
    let mut command = Command::new(python);
    command
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("PYTHONPATH")
        .env_remove("PYTHONHOME");
    command
}

/// Changes an HDF5 file with a few lines of Python, in which `f` is the file.
#[track_caller]
pub fn edit_h5(path: &Path, code: &str) {
    let script = format!("import sys, h5py, numpy as np\nwith h5py.File(sys.argv[1], 'a') as f:\n    {code}\n");
    let mut python = python();
    python.args(["-c", &script, arg(path)]);
    run_command(python).succeeded();
}
