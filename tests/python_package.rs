//! The Python package: installed as users install it, then tried by programs in Python. Candidates that Python evaluates give the archive of the command line, bit for bit.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use common::{Ended, ILLUME, arg, folder, run, run_command, write_config};

/// Where the package is installed: once for all tests, built with the tests' own profile.
static INSTALLED: LazyLock<PathBuf> = LazyLock::new(|| {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python-package");
    let _ = std::fs::remove_dir_all(&target);
    let mut pip = common::python();
    let python = PathBuf::from(pip.get_program());
    // maturin lies beside the interpreter.
    let path = std::env::var_os("PATH").unwrap_or_default();
    let beside = python.parent().map(Path::to_path_buf);
    let path = std::env::join_paths(beside.into_iter().chain(std::env::split_paths(&path))).unwrap();
    pip.env("PATH", path)
        .env("MATURIN_PEP517_ARGS", "--profile ci")
        .args([
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
            "--quiet",
            "--no-build-isolation",
            "--no-deps",
        ])
        .args(["--no-index", "--target", arg(&target), arg(&tree("python"))]);
    let output = pip.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pip install ./python: {said}");
    target
});

fn tree(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Python with the package and nothing of the source tree.
fn python() -> Command {
    let mut python = common::python();
    // MuJoCo in Python leaves its log in the current folder.
    python.env("PYTHONPATH", &*INSTALLED).current_dir(std::env::temp_dir());
    python
}

fn script(name: &str, arguments: &[&str]) -> Ended {
    let mut python = python();
    python.arg(tree("tests/python").join(name)).args(arguments);
    run_command(python)
}

fn check(section: &str, arguments: &[&str]) -> String {
    script("check_package.py", &[&[section], arguments].concat()).succeeded()
}

#[test]
fn candidates_evaluated_in_python_give_the_archive_of_the_command_line() {
    let folder = folder();
    let small = "batch = 12\nemitters = 3";
    let strategies = [
        ("map_elites", "batch = 50\niso_sigma = 0.3", "shape = [300, 320]"),
        ("cma_me", small, "shape = [300, 320]"),
        (
            "cma_mae",
            small,
            "shape = [300, 320]\nlearning_rate = 0.01\nthreshold_min = 0.0",
        ),
        ("cma_mega", small, "shape = [300, 320]"),
        ("cma_es", "", "shape = [300, 320]"),
        ("openai_es", "population = 20\nsigma = 0.1", "shape = [300, 320]"),
        (
            "deep_ga",
            "population = 30\nparents = 5\nsigma = 1.0",
            "kind = \"cvt\"\ncells = 400\nsamples = 4000",
        ),
    ];
    let mut dirs = Vec::new();
    for (name, strategy, archive) in strategies {
        let text = format!(
            "seed = 77\n[task]\nname = \"sphere\"\ndim = 21\n[strategy]\nname = \"{name}\"\n{strategy}\n[archive]\n{archive}\n[budget]\ngenerations = 15\n"
        );
        let dir = folder.path().join(name);
        run(
            1,
            &["run", arg(&write_config(folder.path(), &text)), "--out", arg(&dir)],
        )
        .succeeded();
        dirs.push(dir);
    }
    let dirs: Vec<&str> = dirs.iter().map(|dir| arg(dir)).collect();
    let said = check("equal", &dirs);
    assert_eq!(said.matches(" equal: ").count(), strategies.len(), "{said}");
}

#[test]
fn a_run_in_python_that_is_killed_goes_on_from_its_file_as_if_it_had_not_been() {
    let folder = folder();
    for strategy in ["map_elites", "cma_me", "cma_es"] {
        let said = check("killed", &[arg(folder.path()), strategy]);
        assert!(said.contains("went on from generation"), "{said}");
    }
    // What reads archives reads its file; going on is Python's.
    let file = folder.path().join("cma_me.h5");
    assert!(run(1, &["info", arg(&file)]).succeeded().contains("cma_me"));
    run(1, &["plot", arg(&file), "-o", arg(&folder.path().join("map.png"))]).succeeded();
    let refused = run(1, &["eval", arg(&file)]);
    assert_eq!(refused.code(), Some(2), "{refused}");
    assert!(
        refused.stderr.contains("illume.Optimizer.load goes on with it"),
        "{refused}"
    );
}

#[test]
fn archives_are_arrays_and_tables() {
    assert!(check("archives", &[]).contains("checked"));
}

#[test]
fn genes_of_several_kinds_are_values() {
    let folder = folder();
    assert!(check("genes", &[arg(folder.path())]).contains("genes: checked"));
}

#[test]
fn what_a_run_began_with_is_not_needed_to_go_on() {
    let folder = folder();
    assert!(check("start", &[arg(folder.path())]).contains("start: checked"));
}

#[test]
fn a_forked_child_has_threads_of_its_own() {
    assert!(check("forked", &[]).contains("forked: checked"));
}

#[test]
fn wrong_input_is_one_sentence() {
    let folder = folder();
    let said = check("wrong", &[arg(folder.path())]);
    assert!(said.contains("sentences"), "{said}");
}

#[test]
fn runs_and_sweeps_are_started_and_opened() {
    let folder = folder();
    let ranks = if cfg!(feature = "mpi") { "2" } else { "1" };
    let mut python = python();
    python
        .arg(tree("tests/python/check_package.py"))
        .envs(common::FOR_MPIRUN);
    python.args(["loads", arg(folder.path()), ILLUME, ranks]);
    assert!(run_command(python).succeeded().contains("checked"));
}

#[test]
fn a_worker_speaks_the_protocol() {
    let said = script("check_worker.py", &[arg(&tree("python/illume/worker.py"))]).succeeded();
    assert!(
        said.contains("8 workers agree") && said.contains("faults: checked"),
        "{said}"
    );
}

/// Against the engine itself: `sphere` as a worker gives the archive of `sphere`, on threads and ranks.
#[test]
fn a_worker_is_a_task_of_the_command_line() {
    let folder = folder();
    let rest = "[strategy]\nname = \"cma_me\"\nemitters = 2\nbatch = 12\n[archive]\nshape = [20, 20]\n[budget]\ngenerations = 12\n";
    let own = format!("seed = 3\n[task]\nname = \"sphere\"\ndim = 6\n{rest}");
    let start = |name: &str, text: &str, ranks: usize| {
        let dir = folder.path().join(name);
        let config = write_config(folder.path(), text);
        let mut command = common::illume(ranks, &["run", arg(&config), "--out", arg(&dir), "--threads", "2"]);
        run_command({
            command.env("PYTHONPATH", &*INSTALLED);
            command
        })
        .succeeded();
        dir
    };
    let own = common::open(&start("own", &own, 1).join("archive.h5"));
    let python = common::python();
    let ranks = if cfg!(feature = "mpi") { 2 } else { 1 };
    for (frames, ranks) in [("json", 1), ("binary", ranks)] {
        let script = tree("tests/python/sphere_worker.py");
        let command = [arg(Path::new(python.get_program())), arg(&script), frames, "6"];
        let text = format!("seed = 3\n[task]\nname = \"command\"\ncommand = {command:?}\n{rest}");
        let dir = start(frames, &text, ranks);
        let worker = common::open(&dir.join("archive.h5"));
        common::assert_equal_tables(&own.elites, &worker.elites, frames);
        assert!(own.rows() > 20);
        let log = std::fs::read_to_string(dir.join("program-0.log")).unwrap();
        assert!(log.contains("this is for the log"), "{log}");
    }
}

/// An environment of Gymnasium's as a task: episodes are functions of genome and seed, so the archive does not depend on threads.
#[test]
fn an_environment_of_gymnasiums_is_a_task_of_the_command_line() {
    let folder = folder();
    let python = common::python();
    let program = arg(Path::new(python.get_program())).to_string();
    let command = [
        program.as_str(),
        "-m",
        "illume.gym_worker",
        "Pendulum-v1",
        "--descriptor",
        "final:0,1",
        "--hidden",
        "8",
    ];
    let text = format!(
        "seed = 3\n[task]\nname = \"command\"\ncommand = {command:?}\n[strategy]\nname = \"map_elites\"\nbatch = 16\niso_sigma = 0.1\n\
         [archive]\nshape = [10, 10]\n[budget]\ngenerations = 3\n"
    );
    let config = write_config(folder.path(), &text);
    let dirs = ["1", "2"].map(|threads| {
        let dir = folder.path().join(threads);
        let mut command = common::illume(1, &["run", arg(&config), "--out", arg(&dir), "--threads", threads]);
        command.env("PYTHONPATH", &*INSTALLED);
        run_command(command).succeeded();
        dir
    });
    common::assert_equal_runs(&dirs[0], &dirs[1]);
    let file = common::open(&dirs[0].join("archive.h5"));
    assert!(
        file.rows() > 3
            && file
                .elites
                .get::<f64>("fitness")
                .unwrap()
                .iter()
                .all(|f| *f < 0.0 && *f > -2000.0)
    );
}

#[test]
fn gymnasiums_environments_are_ready_workers() {
    let said = script("check_gym.py", &["any"]).succeeded();
    assert!(said.contains("checked"), "{said}");
}

/// Physics is the same to the last bit, policies differ in the last bits of their sums: so fitness agrees until a gait has amplified those.
#[cfg(feature = "mujoco")]
#[test]
fn gymnasiums_walker_gives_the_fitness_of_our_own() {
    let folder = folder();
    let text = "seed = 3\n[task]\nname = \"walker2d_uni\"\nreset_noise_scale = 0.0\n[policy]\nhidden = [8]\n[strategy]\nname = \"map_elites\"\nbatch = 64\niso_sigma = 0.05\n\
                [archive]\nshape = [10, 10]\n[budget]\ngenerations = 40\n";
    let dir = folder.path().join("walker");
    run(1, &["run", arg(&write_config(folder.path(), text)), "--out", arg(&dir)]).succeeded();
    let said = script("check_gym.py", &["walker", arg(&dir)]).succeeded();
    assert!(said.contains("agree"), "{said}");
}

#[test]
fn the_notebook_of_the_package_runs() {
    let folder = folder();
    let mut command = python();
    command
        .env("ILLUME", ILLUME)
        .current_dir(folder.path())
        .arg(tree("tests/python/run_notebook.py"))
        .arg(tree("docs/notebooks/own_function.ipynb"))
        .arg(folder.path())
        .arg(folder.path().join("executed.ipynb"))
        .args([
            "2",
            "print(optimizer.archive.qd_score == again.archive.qd_score, len(optimizer.archive))",
        ]);
    let said = run_command(command).succeeded();
    assert!(said.contains("True"), "{said}");
}

#[test]
fn the_loop_of_the_packages_readme_runs() {
    let page = std::fs::read_to_string(tree("python/README.md")).unwrap();
    let (_, rest) = page.split_once("```python\n").expect("a loop in Python");
    let program = rest.split_once("```").unwrap().0;
    assert!(
        program.lines().filter(|line| !line.trim().is_empty()).count() <= 12,
        "a short loop"
    );
    let short = program.replace("\"generations\": 1000", "\"generations\": 40");
    assert_ne!(short, program);
    let mut command = python();
    command.args(["-c", &short]);
    let said = run_command(command).succeeded();
    assert!(said.contains("of 250000 cells"), "{said}");
}
