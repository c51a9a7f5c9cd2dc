//! `task.name = "command"`: programs in several languages, what may happen to a program, and archives that do not depend on it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::refused::{assert_refused, assert_says, tried};
use common::{
    Running, arg, assert_equal_files, assert_equal_runs, assert_equal_tables, folder, illume, open, python, run,
    run_command, signal, write_config,
};

/// A file of the repository.
fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// A command as TOML.
fn words(command: &[&str]) -> String {
    format!("{command:?}")
}

fn numpy() -> String {
    python().get_program().to_str().unwrap().to_string()
}

fn config(task: &str, generations: u32) -> String {
    format!(
        "seed = 5\n[task]\n{task}\n[strategy]\nname = \"map_elites\"\nbatch = 40\n[archive]\nshape = [12, 12]\n[budget]\ngenerations = {generations}\n"
    )
}

fn faulty(mode: &str, marks: &Path, more: &str, generations: u32) -> String {
    let command = ["python3", arg(&here("tests/python/faulty.py")), mode, arg(marks)].map(String::from);
    config(
        &format!("name = \"command\"\ncommand = {command:?}\n{more}"),
        generations,
    )
}

/// Runs a configuration; its directory.
#[track_caller]
fn done(folder: &Path, name: &str, text: &str, ranks: usize, threads: &str) -> PathBuf {
    let dir = folder.join(name);
    let config = write_config(folder, text);
    run(ranks, &["run", arg(&config), "--out", arg(&dir), "--threads", threads]).succeeded();
    dir
}

/// The arm as a Python program and the arm: the same archive, bit for bit, in either form, on threads and ranks.
#[test]
fn the_arm_as_a_program_gives_the_archive_of_the_arm() {
    let folder = folder();
    let own = done(folder.path(), "arm", &config("name = \"arm\"\njoints = 7", 40), 1, "1");
    let own = open(&own.join("archive.h5"));
    let ranks = if cfg!(feature = "mpi") { 2 } else { 1 };
    for (name, frames, more, ranks, threads) in [
        ("json", "json", "", 1, "2"),
        ("binary", "binary", "batch = 7", ranks, "1"),
        ("many", "binary", "", 1, "8"),
    ] {
        let command = words(&[&numpy(), arg(&here("tests/python/exact_arm.py")), frames]);
        let text = config(&format!("name = \"command\"\ncommand = {command}\ndim = 7\n{more}"), 40);
        let program = open(&done(folder.path(), name, &text, ranks, threads).join("archive.h5"));
        assert_eq!(own.spec, program.spec);
        assert_equal_tables(&own.elites, &program.elites, name);
        assert!(own.rows() > 50, "{}", own.rows());
        let genomes =
            |file: &illume::archives::file::ArchiveFile| format!("{:?}", file.genomes(0..file.rows()).unwrap());
        assert_eq!(genomes(&own), genomes(&program));
    }
}

/// The programs of docs/own-task.md, as a reader runs them.
#[test]
fn the_programs_of_the_documentation_run_and_agree() {
    let folder = folder();
    let program = folder.path().join("arm");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", arg(&here("docs/own_task/arm.c")), "-o", arg(&program), "-lm"]);
    run_command(compiler).succeeded();
    let (script, r) = (here("docs/own_task/arm.py"), here("docs/own_task/arm.R"));
    let commands: [(&str, &[&str]); 3] = [
        ("python", &["python3", arg(&script)]),
        ("c", &[arg(&program)]),
        ("r", &["Rscript", arg(&r)]),
    ];
    let files = commands.map(|(name, command)| {
        let text = config(&format!("name = \"command\"\ncommand = {}", words(command)), 20);
        open(&done(folder.path(), name, &text, 1, "2").join("archive.h5"))
    });
    for file in &files[1..] {
        // Their sums have other orders, so that the last digits differ.
        assert_eq!(files[0].rows(), file.rows());
        let [a, b] = [&files[0], file].map(|f| f.elites.get::<f64>("fitness").unwrap());
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}

#[test]
fn whatever_happens_to_the_program_the_archive_is_that_of_the_rows_that_are_good() {
    let folder = folder();
    let marks = |name: &str| {
        let marks = folder.path().join(format!("marks-{name}"));
        fs::create_dir_all(&marks).unwrap();
        marks
    };
    let reference = done(folder.path(), "nan", &faulty("nan", &marks("nan"), "", 4), 1, "1");
    let log = |dir: &Path| fs::read_to_string(dir.join("log.jsonl")).unwrap();
    assert!(log(&reference).contains("\"event\":\"finished\""));
    let ranks = if cfg!(feature = "mpi") { 2 } else { 1 };
    let cases = [
        ("null", "", 1, "2", ""),
        (
            "exit",
            "",
            1,
            "8",
            "ended with exit code 3 before it answered; its last words: ZeroDivisionError: no mass",
        ),
        ("segv", "", ranks, "1", "ended by signal 11 (SIGSEGV)"),
        (
            "hang",
            "timeout = 1",
            1,
            "8",
            "did not answer within 1 s (task.timeout)",
        ),
        (
            "rubbish",
            "",
            1,
            "2",
            "answered \"the simulation of the beam has converged\", expected a line of JSON {\"fitness\": 1 numbers",
        ),
        (
            "rows",
            "",
            ranks,
            "2",
            "answered 0 of fitness, 1 of descriptors, 0 of steps, expected a line of JSON",
        ),
        ("endless", "", 1, "2", "without the end of a line"),
        ("complaint", "", 1, "2", "reported: the mesh is not closed"),
        ("fork", "", 1, "2", "ended with exit code 1"),
    ];
    for (mode, more, ranks, threads, sentence) in cases {
        let name = format!("{mode}-run");
        let config = write_config(folder.path(), &faulty(mode, &marks(mode), more, 4));
        let dir = folder.path().join(&name);
        let ended = run(ranks, &["run", arg(&config), "--out", arg(&dir), "--threads", threads]);
        assert_eq!(ended.code(), Some(0), "{mode}: {ended}");
        assert_says(&ended.stderr, &[sentence]);
        if !sentence.is_empty() {
            assert_says(
                &ended.stderr,
                &["illume: the program \"python3 ", "; its rows count as failed"],
            );
            assert_eq!(ended.stderr.matches("its rows count").count(), 1, "said once: {ended}");
        }
        assert_says(&ended.stdout, &["evaluations failed or were not finite"]);
        assert_equal_files(&reference.join("archive.h5"), &dir.join("archive.h5"));
    }
    // What it wrote beside its answers.
    let log = fs::read_to_string(folder.path().join("exit-run/program-0.log")).unwrap();
    assert!(log.contains("ZeroDivisionError: no mass\n"), "{log}");
    // Nothing is left running.
    let left = Command::new("pgrep").args(["-f", arg(folder.path())]).output().unwrap();
    assert!(left.stdout.is_empty(), "{}", String::from_utf8_lossy(&left.stdout));
}

/// A program that a signal ends once, that fills its standard error, or that is slow, changes nothing.
#[test]
fn what_is_no_fault_of_a_genome_changes_nothing() {
    let folder = folder();
    let marks = folder.path();
    let plain = done(folder.path(), "plain", &faulty("none", marks, "", 4), 1, "1");
    for (mode, more, threads) in [
        ("killed", "", "2"),
        ("chatty", "", "1"),
        ("slow", "", "8"),
        ("stray", "", "1"),
        ("stray", "batch = 1", "2"),
        ("leaves", "", "2"),
        ("leaves", "batch = 1", "1"),
    ] {
        let text = faulty(mode, marks, more, 4);
        let config = write_config(folder.path(), &text);
        let dir = folder.path().join(format!("{mode}{}", more.len()));
        let ranks = 1;
        let ended = run(ranks, &["run", arg(&config), "--out", arg(&dir), "--threads", threads]);
        assert_eq!(ended.code(), Some(0), "{mode}: {ended}");
        assert!(!ended.stderr.contains("failed"), "{mode}: {ended}");
        assert_equal_files(&plain.join("archive.h5"), &dir.join("archive.h5"));
    }
    assert!(folder.path().join("mark-killed").exists() && folder.path().join("mark-chatty").exists());
    let log = fs::metadata(folder.path().join("chatty0/program-0.log")).unwrap().len();
    assert!((16 << 20..17 << 20).contains(&log), "{log}");
}

/// A program that never works ends the run in order: a checkpoint, one sentence, exit code 1; with a program that works it goes on.
#[test]
fn a_program_that_always_fails_ends_the_run_with_a_checkpoint() {
    let folder = folder();
    let config = write_config(folder.path(), &faulty("always", folder.path(), "give_up = 5", 4));
    let dir = folder.path().join("run");
    let ended = run(1, &["run", arg(&config), "--out", arg(&dir), "--threads", "2"]);
    assert_eq!(ended.code(), Some(1), "{ended}");
    let last = ended.stderr.lines().last().unwrap();
    assert_says(
        last,
        &[
            "illume: 5 consecutive rows made the program fail (task.give_up); the first time",
            "it never works",
            "program-0.log",
        ],
    );
    assert_says(&ended.stdout, &["Stopped after 1 generations", "illume resume"]);
    assert!(dir.join("checkpoint.h5").is_file());
}

/// Ctrl-C in a terminal reaches the whole group of the run, and not its programs.
#[test]
fn an_interrupt_of_the_group_stops_in_order_and_the_run_goes_on() {
    use std::os::unix::process::CommandExt as _;
    let folder = folder();
    let text = faulty("slow", folder.path(), "", 30);
    let whole = done(folder.path(), "whole", &text, 1, "2");
    let config = write_config(folder.path(), &text);
    let dir = folder.path().join("stopped");
    let mut command = illume(1, &["run", arg(&config), "--out", arg(&dir), "--threads", "2"]);
    command.process_group(0);
    let mut running = Running::start(command);
    let log = dir.join("log.jsonl");
    running.wait_until("its start", || log.is_file());
    std::thread::sleep(Duration::from_millis(200));
    let interrupt = Command::new("sh")
        .args(["-c", &format!("kill -s INT -- -{}", running.pid())])
        .status();
    assert!(interrupt.unwrap().success());
    let ended = running.wait();
    assert_eq!(ended.code(), Some(75), "{ended}");
    assert!(!ended.stderr.contains("count as failed"), "{ended}");
    run(1, &["resume", arg(&dir), "--threads", "1"]).succeeded();
    assert_equal_runs(&whole, &dir);
}

#[test]
fn programs_end_with_a_run_that_is_killed() {
    let folder = folder();
    let config = write_config(folder.path(), &faulty("slow", folder.path(), "", 1000));
    let dir = folder.path().join("run");
    let mut running = Running::start(illume(1, &["run", arg(&config), "--out", arg(&dir), "--threads", "2"]));
    let log = dir.join("log.jsonl");
    running.wait_until("its start", || log.is_file());
    assert!(signal("KILL", running.pid()));
    running.wait();
    let began = std::time::Instant::now();
    let left = || {
        Command::new("pgrep")
            .args(["-f", &format!("faulty.py slow {}", folder.path().display())])
            .output()
            .unwrap()
    };
    while !left().stdout.is_empty() {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "they read the end of their input"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_is_wrong_with_a_program_is_said_at_the_start() {
    let folder = folder();
    let greets = |greeting: &str| {
        format!(
            "command = {}",
            words(&["sh", "-c", &format!("read l; echo '{greeting}'; read l")])
        )
    };
    let whole = "\"illume\": 1, \"dim\": 3, \"descriptor\": [{\"name\": \"a\", \"lower\": 0, \"upper\": 1}, {\"name\": \"b\", \"lower\": 0, \"upper\": 1}]";
    let good = greets(&format!("{{{whole}}}"));
    let cases: Vec<(String, Vec<&str>)> = vec![
        (
            "command = []".into(),
            vec!["task.command", "a program and its arguments"],
        ),
        (
            "command = \"python3 a.py\"".into(),
            vec!["task.command", "a list of strings", "\"python3 a.py\""],
        ),
        (
            "command = [\"no/such/program\"]".into(),
            vec!["task.command", "\"no/such/program\" cannot be started", "No such file"],
        ),
        (
            format!("command = {}", words(&["sh", "-c", "echo oh no >&2; exit 4"])),
            vec!["exit code 4", "its last words: oh no"],
        ),
        (
            format!("command = {}\nstart_timeout = 0.2", words(&["sleep", "30"])),
            vec!["did not greet within 0.2 s (task.start_timeout)", "flush"],
        ),
        (
            greets("hello"),
            vec!["answered \"hello\" to the greeting", "expected a line of JSON"],
        ),
        (
            greets("{\"illume\": 2, \"dim\": 3}"),
            vec!["speaks version 2 of the protocol, this illume speaks version 1"],
        ),
        (greets("{\"error\": \"no licence\"}"), vec!["reported: no licence"]),
        (greets("{\"illume\": 1, \"dims\": 3}"), vec!["unknown field `dims`"]),
        (greets("{\"illume\": 1}"), vec!["task.dim", "by the program", "got 0"]),
        (
            format!("{good}\ndim = 4"),
            vec!["task.dim", "4, but the program says 3"],
        ),
        (
            format!("{good}\nbounds = [1, 0]"),
            vec!["task.bounds", "the lower first"],
        ),
        (
            greets("{\"illume\": 1, \"dim\": 3, \"bounds\": [1, 1]}"),
            vec!["task.bounds", "[1, 1]", "the lower first"],
        ),
        (
            greets("{\"illume\": 1, \"dim\": 3, \"bounds\": [0, 1], \"init\": [0, 2]}"),
            vec!["init is [0, 2], beyond them"],
        ),
        (
            format!("{good}\ndescriptor = [\"a\"]"),
            vec!["task.descriptor_bounds", "expected 2 numbers", "got 0"],
        ),
        (
            format!("{good}\ndescriptor = [\"a\"]\ndescriptor_bounds = [0, 1]"),
            vec![
                "task.descriptor",
                "\"a\" from 0 to 1, but the program says \"a\" from 0 to 1, \"b\" from 0 to 1",
            ],
        ),
        (
            greets("{\"illume\": 1, \"dim\": 3, \"descriptor\": [{\"name\": \"a\", \"lower\": 1, \"upper\": 1}]}"),
            vec!["the bounds of \"a\" are [1, 1]"],
        ),
        (
            greets(&format!("{{{whole}, \"objectives\": [\"speed\", \"speed\"]}}")),
            vec!["[\"speed\", \"speed\"]", "a name of its own"],
        ),
        (
            greets(&format!("{{{whole}, \"objectives\": []}}")),
            vec!["the program's objectives are []", "at least one"],
        ),
        (
            greets(&format!(
                "{{{whole}, \"fitness\": \"m\", \"objectives\": [\"speed\", \"cost\"]}}"
            )),
            vec!["the objectives [\"speed\", \"cost\"] and a \"fitness\"", "one of both"],
        ),
        (
            greets(&format!(
                "{{{whole}, \"objectives\": [{{\"name\": \"cost\", \"direction\": \"minimize\"}}]}}"
            )),
            vec!["only objective", "task.direction = \"minimize\""],
        ),
        (
            greets(&format!(
                "{{{whole}, \"objectives\": [\"speed\", {{\"name\": \"cost\", \"direction\": \"minimize\", \"reference\": 1, \"ideal\": 2}}]}}"
            )),
            vec![
                "\"minus cost\"",
                "the reference 1 and the ideal 2",
                "the reference worse",
            ],
        ),
        (
            greets(&format!("{{{whole}, \"objectives\": [\"speed\", \"cost\"]}}")) + "\ndirection = \"minimize\"",
            vec![
                "task.direction",
                "several objectives (speed, cost)",
                "expected \"maximize\"",
            ],
        ),
        (
            greets(&format!("{{{whole}, \"objectives\": [\"speed\", \"cost\"]}}")) + "\nweights = [1]",
            vec!["task.weights", "expected 2 numbers", "speed, cost", "[1.0]"],
        ),
        (
            format!("{good}\nweights = [1, 1]"),
            vec!["task.weights", "one objective", "no weights"],
        ),
        (format!("{good}\nspeed = 3"), vec!["task.speed", "unknown key"]),
        (format!("{good}\nbatch = -1"), vec!["task.batch", "-1"]),
    ];
    for (task, parts) in &cases {
        let config = write_config(folder.path(), &config(&format!("name = \"command\"\n{task}"), 2));
        assert_refused(&tried(&config, &[]), parts);
    }
}

/// All programs of a run must say the same of themselves.
#[test]
fn a_program_that_greets_otherwise_later_is_told() {
    let folder = folder();
    let text = faulty("restless", folder.path(), "give_up = 3", 4);
    let config = write_config(folder.path(), &text);
    let dir = folder.path().join("run");
    let ended = run(1, &["run", arg(&config), "--out", arg(&dir), "--threads", "2"]);
    assert_says(&ended.stderr, &["greeted otherwise than at the start"]);
}

/// `[task.arguments]` reach the program, so that a sweep can vary them.
#[test]
fn arguments_of_the_configuration_reach_the_program() {
    let folder = folder();
    let script = "import json, sys; a = json.loads(input())['arguments']; assert a == {'gravity': 9.81, 'shape': {'legs': [2, 4]}}, a; \
                  print(json.dumps({'illume': 1, 'dim': 2, 'bounds': [0, 1], 'descriptor': [{'name': 'x', 'lower': 0, 'upper': 1}], 'fitness': 'speed'}), flush=True); \
                  [print(json.dumps({'fitness': [a['gravity']] * len(g), 'descriptor': [r[:1] for r in g]}), flush=True) for g in (json.loads(l)['genomes'] for l in sys.stdin)]";
    let task = format!(
        "name = \"command\"\ncommand = {}\n[task.arguments]\ngravity = 1\nshape = {{ legs = [2, 4] }}",
        words(&["python3", "-c", script])
    );
    let text = config(&task, 3).replace("[12, 12]", "[12]");
    let file = write_config(folder.path(), &text);
    let dir = folder.path().join("run");
    run(
        1,
        &[
            "run",
            arg(&file),
            "--out",
            arg(&dir),
            "--set",
            "task.arguments.gravity=9.81",
        ],
    )
    .succeeded();
    let found = open(&dir.join("archive.h5"));
    assert!(found.elites.get::<f64>("fitness").unwrap().iter().all(|f| *f == 9.81));
    let stored = fs::read_to_string(dir.join("config.toml")).unwrap();
    assert_says(&stored, &["[task.arguments]\ngravity = 9.81"]);
}

/// The arguments of a program are parameters of sweeps, by their names in its table.
#[test]
fn a_sweep_varies_what_a_program_is_told() {
    let folder = folder();
    let script = "import json, sys; mass = json.loads(input())['arguments']['mass']; \
                  print(json.dumps({'illume': 1, 'dim': 2, 'bounds': [0, 1], 'descriptor': [{'name': 'x', 'lower': 0, 'upper': 1}], 'batch': 8}), flush=True); \
                  [print(json.dumps({'fitness': [mass] * len(g), 'descriptor': [r[:1] for r in g]}), flush=True) for g in (json.loads(l)['genomes'] for l in sys.stdin)]";
    let text = format!(
        "seeds = 2\n[base.task]\nname = \"command\"\ncommand = {}\n[base.strategy]\nname = \"map_elites\"\nbatch = 20\n[base.archive]\nshape = [4]\n\
         [base.budget]\ngenerations = 4\n[parameters]\ntask.arguments.mass = [3, 7]\n[metric]\nname = \"max_fitness\"\n[resources]\nthreads_per_run = 1\n",
        words(&["python3", "-c", script])
    );
    let file = write_config(folder.path(), &text);
    let dir = folder.path().join("sweep");
    let said = run(1, &["sweep", "run", arg(&file), "--out", arg(&dir)]).succeeded();
    assert_says(&said, &["mass=7", "mass=3"]);
    let csv = fs::read_to_string(dir.join("sweep.csv")).unwrap();
    let header: Vec<&str> = csv.lines().next().unwrap().split(',').collect();
    let at = |name: &str| {
        header
            .iter()
            .position(|column| *column == name)
            .unwrap_or_else(|| panic!("{name} in {header:?}"))
    };
    for line in csv.lines().skip(1) {
        let values: Vec<&str> = line.split(',').collect();
        let [mass, best] =
            [values[at("task.arguments.mass")], values[at("max_fitness")]].map(|x| x.parse::<f64>().unwrap());
        assert_eq!(mass, best, "{csv}");
    }
    assert_eq!(csv.lines().count(), 5, "{csv}");
}

/// A program may say kinds and bounds of its genes, and is handed values of these.
#[test]
fn a_program_says_what_its_genes_are() {
    let folder = folder();
    let script = "import json, sys; input(); genes = [{'name': 'rate', 'lower': 1e-4, 'upper': 1e-1, 'scale': 'log'}, \
                  {'name': 'layers', 'lower': 1, 'upper': 8, 'kind': 'integer'}, {'name': 'kind', 'values': ['a', 'b', 'c']}]; \
                  print(json.dumps({'illume': 1, 'genes': genes, 'descriptor': [{'name': 'x', 'lower': 0, 'upper': 1}]}), flush=True)\n\
                  for line in sys.stdin:\n  \
                  rate, layers, kind = json.loads(line)['genomes'][0]\n  \
                  good = 1e-4 <= rate <= 0.1000001 and layers in range(1, 9) and kind in range(3)\n  \
                  print(json.dumps({'fitness': [layers + 10 * kind if good else float('nan')], 'descriptor': [[rate]]}), flush=True)";
    let task = format!("name = \"command\"\ncommand = {}", words(&["python3", "-c", script]));
    let text = config(&task, 8).replace("[12, 12]", "[12]");
    let dir = done(folder.path(), "run", &text, 1, "2");
    let found = open(&dir.join("archive.h5"));
    let best = found
        .elites
        .get::<f64>("fitness")
        .unwrap()
        .iter()
        .copied()
        .fold(0.0, f64::max);
    assert_eq!(best, 28.0, "8 layers of kind c");
    let history = fs::read_to_string(dir.join("history.csv")).unwrap();
    let header: Vec<&str> = history.lines().next().unwrap().split(',').collect();
    let at = header.iter().position(|name| *name == "invalid").unwrap();
    assert_eq!(history.lines().last().unwrap().split(',').nth(at), Some("0"));
    // The same genes in the configuration, for a program that does not speak of them.
    let script = script.replace("'genes': genes, ", "");
    let genes = "[[task.genes]]\nname = \"rate\"\nlower = 1e-4\nupper = 1e-1\nscale = \"log\"\n\
                 [[task.genes]]\nname = \"layers\"\nlower = 1\nupper = 8\nkind = \"integer\"\n\
                 [[task.genes]]\nname = \"kind\"\nvalues = [\"a\", \"b\", \"c\"]";
    let task = format!(
        "name = \"command\"\ncommand = {}\n{genes}",
        words(&["python3", "-c", &script])
    );
    let text = config(&task, 8).replace("[12, 12]", "[12]");
    assert_equal_files(
        &dir.join("archive.h5"),
        &done(folder.path(), "own", &text, 1, "1").join("archive.h5"),
    );
}
