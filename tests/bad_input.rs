//! Wrong input is answered by one sentence that names what, where, and what would be accepted, and by exit code 2; a machine that
//! fails by exit code 1. Nothing is written, nothing is lost.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{Ended, arg, assert_equal_runs, edit_h5, folder, open, run, temporaries, write_config};

const GOOD: &str = "seed = 1\n[task]\nname = \"arm\"\n[strategy]\nname = \"map_elites\"\nbatch = 20\n[archive]\n\
                    kind = \"grid\"\nshape = [10, 10]\n[budget]\ngenerations = 3\n";

/// A bad configuration: GOOD with one text replaced by another, and what the message must say.
type Edit = (&'static str, &'static str, &'static [&'static str]);

const EDITS: &[Edit] = &[
    // Keys and types.
    (
        "[strategy]",
        "[strategie]\na = 1\n[strategy]",
        &["config-given.toml:4", "strategie", "did you mean \"strategy\"?"],
    ),
    (
        "name = \"arm\"",
        "name = \"arm\"\njoint = 5",
        &[":4: task.joint: unknown key", "did you mean \"joints\"?"],
    ),
    (
        "batch = 20",
        "batchsize = 20",
        &[":6: strategy.batchsize: unknown key", "did you mean \"batch\"?"],
    ),
    (
        "shape =",
        "shap =",
        &[":9: archive.shap: unknown key", "did you mean \"shape\"?"],
    ),
    (
        "generations = 3",
        "generation = 3",
        &[":11: budget.generation: unknown key", "did you mean \"generations\"?"],
    ),
    (
        "[budget]",
        "[output]\ncompres = 1\n[budget]",
        &[":11: output.compres: unknown key", "did you mean \"compress\"?"],
    ),
    (
        "seed = 1",
        "seed = 1\nsead = 2",
        &[":2: sead: unknown key", "did you mean \"seed\"?"],
    ),
    ("[task]\nname = \"arm\"", "task = \"arm\"", &[":2: task", "[task]"]),
    (
        "batch = 20",
        "batch = \"many\"",
        &[":6: strategy.batch: expected a non-negative integer", "\"many\""],
    ),
    (
        "batch = 20",
        "batch = 2.5",
        &[":6: strategy.batch: expected a non-negative integer", "2.5"],
    ),
    (
        "batch = 20",
        "batch = -4",
        &[":6: strategy.batch: expected a non-negative integer", "-4"],
    ),
    ("batch = 20", "batch = 0", &[":6: strategy.batch", "from 1 to", "got 0"]),
    ("seed = 1", "seed = -1", &[":1: seed: expected a non-negative integer"]),
    ("seed = 1", "seed = 1.5", &[":1: seed: expected a non-negative integer"]),
    (
        "generations = 3",
        "generations = \"three\"",
        &[":11: budget.generations: expected", "\"three\""],
    ),
    (
        "generations = 3",
        "wall_minutes = -1",
        &[":11: budget.wall_minutes: expected", "at least 0", "-1"],
    ),
    (
        "[budget]",
        "[output]\ncompress = 10\n[budget]",
        &[":11: output.compress: expected", "from 0 to 9"],
    ),
    (
        "[budget]",
        "[output]\ndir = 3\n[budget]",
        &[":11: output.dir: expected a string"],
    ),
    (
        "kind = \"grid\"",
        "kind = 3",
        &[":8: archive.kind: expected a string", "3"],
    ),
    ("name = \"arm\"", "name = 3", &[":3: task.name", "string"]),
    // Names.
    (
        "name = \"arm\"",
        "name = \"arn\"",
        &[
            ":3: task.name: unknown task \"arn\"",
            "did you mean \"arm\"?",
            "hard_maze",
        ],
    ),
    (
        "\"map_elites\"",
        "\"map_elite\"",
        &[":5: strategy.name: unknown", "did you mean \"map_elites\"?", "deep_ga"],
    ),
    (
        "kind = \"grid\"",
        "kind = \"gird\"",
        &[":8: archive.kind: unknown", "did you mean \"grid\"?", "cvt"],
    ),
    ("name = \"arm\"", "", &["task.name", "illume list task"]),
    (
        "name = \"map_elites\"\n",
        "",
        &["strategy.name", "illume list strategy"],
    ),
    // Values that do not fit one another.
    ("[10, 10]", "[10]", &[":9: archive.shape", "2 axes"]),
    ("[10, 10]", "[10, 10, 10]", &[":9: archive.shape", "2 axes"]),
    ("[10, 10]", "[10, 0]", &[":9: archive.shape", "from 1 to"]),
    ("[10, 10]", "[10, -3]", &[":9: archive.shape", "non-negative"]),
    ("[10, 10]", "[1000000, 1000000]", &[":9: archive.shape", "2^31"]),
    (
        "kind = \"grid\"\nshape = [10, 10]",
        "kind = \"cvt\"\ncells = 100\nsamples = 99",
        &[":10: archive.samples", "100"],
    ),
    (
        "name = \"arm\"",
        "name = \"arm\"\njoints = 0",
        &[":4: task.joints", "from 1 to"],
    ),
    (
        "name = \"arm\"",
        "name = \"arm\"\njoints = -20",
        &[":4: task.joints", "non-negative"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"openai_es\"\npopulation = 7",
        &[":6: strategy.population", "even", "7"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"openai_es\"\nsigma = 0",
        &[":6: strategy.sigma", "above 0"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"openai_es\"\noptimizer = \"adan\"",
        &[":6: strategy.optimizer", "\"adam\"", "\"sgd\""],
    ),
    (
        "batch = 20",
        "iso_sigma = nan",
        &[":6: strategy.iso_sigma", "at least 0"],
    ),
    (
        "batch = 20",
        "iso_sigma = inf",
        &[":6: strategy.iso_sigma", "at least 0"],
    ),
    (
        "batch = 20",
        "polynomial_bounds = [1, 0]",
        &[":6: strategy.polynomial_bounds", "lower < upper"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"openai_es\"\nnormalize_observations = true",
        &[":6: strategy.normalize_observations", "no observations"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"deep_ga\"\npopulation = 10\nparents = 11",
        &[":7: strategy.parents", "at most", "10", "11"],
    ),
    (
        "\"arm\"\n[strategy]\nname = \"map_elites\"",
        "\"sphere\"\n[strategy]\nname = \"map_elites\"\npolynomial_share = 0.5",
        &[":6: strategy.polynomial_share", "polynomial_bounds"],
    ),
    (
        "[strategy]",
        "[policy]\nhidden = [8]\n[strategy]",
        &[":5: policy.hidden", "no network"],
    ),
    (
        "\"arm\"",
        "\"hard_maze\"\n[policy]\nhidden = [8, 0]",
        &[":5: policy.hidden", "0"],
    ),
    (
        "\"arm\"",
        "\"hard_maze\"\n[policy]\nactivation = \"sine\"",
        &[":5: policy.activation", "\"tanh\"", "\"relu\""],
    ),
    (
        "\"arm\"",
        "\"hard_maze\"\nreward = \"speed\"",
        &[":4: task.reward", "\"distance\"", "\"none\""],
    ),
    // Not TOML.
    ("[task]", "[task", &[":2: not valid TOML"]),
    (
        "batch = 20",
        "batch = 20\nbatch = 30",
        &[":7: not valid TOML", "duplicate key"],
    ),
    ("\"arm\"", "\"arm", &[":3: not valid TOML"]),
];

/// Checks exit code 2 and one sentence that says all of `parts`.
#[track_caller]
fn assert_refused(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.code(), Some(2), "{ended}");
    assert_eq!(ended.stderr.lines().count(), 1, "one line: {ended}");
    assert!(
        ended.stderr.starts_with("illume: ") && ended.stdout.is_empty(),
        "{ended}"
    );
    assert_says(&ended.stderr, parts);
}

#[track_caller]
fn assert_says(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "expected '{part}' in: {message}");
    }
    for word in ["panicked", "unwrap", "RUST_BACKTRACE", "None", "Some("] {
        assert!(!message.contains(word), "not for users: {message}");
    }
}

/// A finished small run in a new folder.
fn finished(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = folder();
    let config = write_config(folder.path(), text);
    let dir = folder.path().join("run");
    run(1, &["run", arg(&config), "--out", arg(&dir)]).succeeded();
    (folder, dir)
}

/// Names and bytes of all files of a folder.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    found.sort();
    found
        .into_iter()
        .map(|p| (p.clone(), if p.is_dir() { Vec::new() } else { fs::read(&p).unwrap() }))
        .collect()
}

#[test]
fn a_wrong_configuration_is_refused_in_one_sentence_and_writes_nothing() {
    let folder = folder();
    let out = folder.path().join("out");
    // All of them, before the first fault is complained about.
    let mut faults = Vec::new();
    for (from, to, parts) in EDITS {
        assert!(GOOD.contains(from), "{from}");
        let config = write_config(folder.path(), &GOOD.replacen(from, to, 1));
        let ended = run(1, &["run", arg(&config), "--out", arg(&out)]);
        let judged = std::panic::catch_unwind(|| assert_refused(&ended, parts));
        if judged.is_err() || out.exists() {
            faults.push(format!("{to}\n{ended}\nwrote something: {}", out.exists()));
            let _ = fs::remove_dir_all(&out);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn every_problem_of_a_configuration_is_reported_on_a_line_of_its_own() {
    let folder = folder();
    let text = "sead = 1\n[task]\nname = \"arm\"\n[strategy]\n[budget]\ngenerations = -1\n[output]\ncompress = 99\n";
    let config = write_config(folder.path(), text);
    let ended = run(1, &["run", arg(&config)]);
    assert_eq!(ended.code(), Some(2), "{ended}");
    assert_eq!(ended.stderr.lines().count(), 4, "{ended}");
    assert_says(
        &ended.stderr,
        &[
            ":1: sead",
            "strategy.name",
            ":6: budget.generations",
            ":8: output.compress",
        ],
    );

    let text = GOOD
        .replace("batch = 20", "batch = 0\niso_sigma = -1")
        .replace("shape = [10, 10]", "shape = 3");
    let ended = run(1, &["run", arg(&write_config(folder.path(), &text))]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(2), 3), "{ended}");
    assert_says(
        &ended.stderr,
        &[":6: strategy.batch", ":7: strategy.iso_sigma", ":10: archive.shape"],
    );
}

/// A wrong task does not hide what is wrong with the strategy.
#[test]
fn an_unknown_task_and_a_wrong_strategy_are_reported_together() {
    let folder = folder();
    let text = GOOD.replace("\"arm\"", "\"arn\"").replace("batch = 20", "batch = 0");
    let ended = run(1, &["run", arg(&write_config(folder.path(), &text))]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(2), 2), "{ended}");
    assert_says(&ended.stderr, &[":3: task.name", ":6: strategy.batch"]);
}

#[test]
fn an_empty_configuration_asks_for_both_names() {
    let folder = folder();
    let ended = run(1, &["run", arg(&write_config(folder.path(), ""))]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(2), 2), "{ended}");
    assert_says(&ended.stderr, &["task.name", "strategy.name"]);
}

#[test]
fn a_wrong_override_is_refused_in_one_sentence() {
    let folder = folder();
    let config = write_config(folder.path(), GOOD);
    let out = folder.path().join("out");
    let cases: [(&str, &[&str]); 10] = [
        ("seed", &["--set seed", "key=value"]),
        ("a.b.c=1", &["--set a.b.c", "section.key"]),
        (".x=1", &["--set .x", "section.key"]),
        ("strategy.batch=-1", &["--set strategy.batch", "non-negative", "-1"]),
        ("strategy.batch=", &["--set strategy.batch"]),
        ("strategy.bach=3", &["--set strategy.bach", "did you mean \"batch\"?"]),
        ("strategi.batch=3", &["strategi", "did you mean \"strategy\"?"]),
        ("task.name=arn", &["--set task.name", "did you mean \"arm\"?"]),
        ("seed.x=1", &["--set seed.x", "not a table"]),
        ("budget.generations=[", &["--set budget.generations"]),
    ];
    for (set, parts) in cases {
        let ended = run(1, &["run", arg(&config), "--out", arg(&out), "--set", set]);
        assert_eq!(ended.code(), Some(2), "{set}: {ended}");
        assert_refused(&ended, parts);
        assert!(!out.exists(), "--set {set} has written something");
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let folder = folder();
    let missing = folder.path().join("no-such.toml");
    assert_refused(&run(1, &["run", arg(&missing)]), &[arg(&missing), "No such file"]);
    assert_refused(
        &run(1, &["run", arg(folder.path())]),
        &[arg(folder.path()), "directory"],
    );
    let binary = folder.path().join("binary.toml");
    fs::write(&binary, [0xff, 0xfe, 0x00, 0x80]).unwrap();
    assert_refused(&run(1, &["run", arg(&binary)]), &[arg(&binary), "UTF-8"]);
}

#[test]
#[cfg(feature = "mujoco")]
fn a_missing_model_folder_is_named_with_what_to_do() {
    let folder = folder();
    let config = write_config(
        folder.path(),
        &GOOD.replace("\"arm\"", "\"hopper_uni\"").replace("[10, 10]", "[10]"),
    );
    let out = folder.path().join("out");
    let mut command = common::illume(1, &["run", arg(&config), "--out", arg(&out)]);
    command.env("ILLUME_MJCF_DIR", "/nonexistent");
    assert_refused(
        &common::run_command(command),
        &["/nonexistent", "hopper.xml", "ILLUME_MJCF_DIR"],
    );
    assert!(!out.exists());
}

#[test]
#[cfg(not(feature = "mujoco"))]
fn a_task_that_this_build_lacks_says_which_feature_it_needs() {
    let folder = folder();
    let config = write_config(folder.path(), &GOOD.replace("\"arm\"", "\"hopper_uni\""));
    assert_refused(
        &run(1, &["run", arg(&config)]),
        &[":3: task.name", "feature \"mujoco\""],
    );
}

#[test]
fn an_output_directory_that_holds_something_is_left_as_it_is() {
    let (folder, dir) = finished(GOOD);
    let before = contents(&dir);
    let config = folder.path().join("config-given.toml");
    let ended = run(1, &["run", arg(&config), "--out", arg(&dir), "--set", "seed=2"]);
    assert_refused(&ended, &[arg(&dir), "not empty", "illume resume", "--out"]);
    assert!(contents(&dir) == before, "the old run was touched");
}

#[test]
fn an_output_directory_that_cannot_be_made_is_named() {
    let folder = folder();
    let config = write_config(folder.path(), GOOD);
    let below = config.join("run");
    assert_refused(
        &run(1, &["run", arg(&config), "--out", arg(&below)]),
        &[arg(&below), "Not a directory"],
    );
    assert_refused(&run(1, &["run", arg(&config), "--out", arg(&config)]), &[arg(&config)]);
    assert_refused(
        &run(1, &["run", arg(&config), "--out", "/proc/illume"]),
        &["/proc/illume"],
    );
    assert!(fs::read_to_string(&config).unwrap() == GOOD);
}

#[test]
fn what_cannot_be_resumed_is_refused_and_left_as_it_is() {
    let (folder, dir) = finished(GOOD);
    let before = contents(&dir);
    let cases: [(&str, &[&str]); 5] = [
        ("task.joints=3", &["--set task.joints=3", "budget.* and output.*"]),
        ("seed=4", &["--set seed=4", "budget.* and output.*"]),
        ("strategy.batch=4", &["--set strategy.batch=4", "budget.* and output.*"]),
        (
            "budget.generations=many",
            &["--set budget.generations", "non-negative", "many"],
        ),
        ("output.nothing=1", &["--set output.nothing", "unknown key"]),
    ];
    for (set, parts) in cases {
        assert_refused(&run(1, &["resume", arg(&dir), "--set", set]), parts);
        assert!(contents(&dir) == before, "--set {set} has changed the run");
    }
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert_refused(
        &run(1, &["resume", arg(&empty)]),
        &[arg(&empty), "checkpoint.h5", "illume run"],
    );
    let none = folder.path().join("none");
    assert_refused(&run(1, &["resume", arg(&none)]), &[arg(&none), "not a run directory"]);
    let file = dir.join("archive.h5");
    assert_refused(&run(1, &["resume", arg(&file)]), &[arg(&file), "not a run directory"]);
}

#[test]
fn truncated_and_damaged_files_are_refused_by_name() {
    let (folder, dir) = finished(GOOD);
    let whole = fs::read(dir.join("checkpoint.h5")).unwrap();
    let broken = folder.path().join("broken");
    fs::create_dir(&broken).unwrap();
    let path = broken.join("checkpoint.h5");
    for length in [
        0,
        1,
        7,
        8,
        100,
        whole.len() / 10,
        whole.len() / 3,
        whole.len() / 2,
        whole.len() * 9 / 10,
        whole.len() - 1,
    ] {
        fs::write(&path, &whole[..length]).unwrap();
        for arguments in [
            &["info", arg(&path)][..],
            &["resume", arg(&broken)],
            &["plot", arg(&broken)],
        ] {
            let ended = run(1, arguments);
            assert_eq!(
                ended.code(),
                Some(2),
                "{length} of {} bytes, {arguments:?}: {ended}",
                whole.len()
            );
            assert_refused(&ended, &[arg(&path)]);
        }
        assert_eq!(
            fs::read(&path).unwrap(),
            &whole[..length],
            "a damaged file is left as it is"
        );
        assert_eq!(
            fs::read_dir(&broken).unwrap().count(),
            1,
            "nothing is written beside it"
        );
    }
    let text = folder.path().join("notes.h5");
    fs::write(&text, "not an archive").unwrap();
    assert_refused(&run(1, &["info", arg(&text)]), &[arg(&text)]);
}

/// A block that never reached the disk: a result or a refusal, no crash, no panic, no hang. Blocks of HDF5's global heap, where
/// texts of variable length lie, are left out: in those, HDF5 1.10 itself loops for ever.
#[test]
fn a_file_with_a_lost_block_never_crashes_the_program() {
    const BLOCK: usize = 512;
    let (folder, dir) = finished(GOOD);
    let whole = fs::read(dir.join("archive.h5")).unwrap();
    let path = folder.path().join("lost.h5");
    let heaps: Vec<std::ops::Range<usize>> = (0..whole.len() - 16)
        .filter(|&at| whole[at..].starts_with(b"GCOL"))
        .map(|at| at..at + u64::from_le_bytes(whole[at + 8..at + 16].try_into().unwrap()) as usize)
        .collect();
    let of_heap = |at: &usize| heaps.iter().any(|h| *at < h.end && at + BLOCK > h.start);
    let mut refused = 0;
    for at in (0..whole.len()).step_by(BLOCK).filter(|at| !of_heap(at)) {
        let mut bytes = whole.clone();
        bytes[at..whole.len().min(at + BLOCK)].fill(0);
        fs::write(&path, &bytes).unwrap();
        if let Err(error) = illume::archives::file::open(&path) {
            refused += 1;
            let message = error.to_string();
            assert!(
                matches!(error, illume::core::Error::Input(_)),
                "block at {at}: {message}"
            );
            assert!(
                message.contains(arg(&path)) && message.lines().count() == 1,
                "block at {at}: {message}"
            );
            assert_says(&message, &[]);
        }
    }
    assert!(refused > 10, "{refused} of {} refused", whole.len() / BLOCK);
}

#[test]
fn foreign_and_newer_files_are_refused_with_what_they_are() {
    let (folder, dir) = finished(GOOD);
    let original = dir.join("checkpoint.h5");
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    let path = other.join("checkpoint.h5");
    let cases: [(&str, &[&str]); 9] = [
        ("f.attrs['format_version'] = np.uint64(2)", &["version 2", "1"]),
        ("f.attrs['format'] = 'somebody else'", &["illume"]),
        ("del f.attrs['format']", &["illume"]),
        ("del f['elites/fitness']", &["fitness"]),
        (
            "d = f['elites/fitness'][:-1]; del f['elites/fitness']; f['elites/fitness'] = d",
            &["fitness"],
        ),
        (
            "d = f['elites/cell'][:]; d[0] = 10**9; f['elites/cell'][:] = d",
            &["cell"],
        ),
        (
            "d = f['elites/cell'][:]; d[1] = d[0]; f['elites/cell'][:] = d",
            &["cell"],
        ),
        (
            "d = f['elites/fitness'][:]; d[0] = np.nan; f['elites/fitness'][:] = d",
            &["fitness"],
        ),
        ("del f['elites/genome']", &["genome"]),
    ];
    for (edit, parts) in cases {
        fs::copy(&original, &path).unwrap();
        edit_h5(&path, edit);
        for arguments in [
            &["info", arg(&path)][..],
            &["resume", arg(&other), "--set", "budget.generations=9"],
        ] {
            let ended = run(1, arguments);
            assert_eq!(ended.code(), Some(2), "{edit}, {arguments:?}: {ended}");
            assert_refused(&ended, &[&[arg(&path)], parts].concat());
        }
    }
    fs::remove_file(&path).unwrap();
    edit_h5(&path, "f['x'] = np.arange(3)");
    assert_refused(&run(1, &["info", arg(&path)]), &[arg(&path), "illume"]);
}

#[test]
fn an_archive_of_another_task_is_refused() {
    let (folder, dir) = finished(GOOD);
    let edits: [(&str, &[&str]); 4] = [
        ("'shape = [10, 10]', 'shape = [20, 5]'", &["archive", "configuration"]),
        ("'joints = 20', 'joints = 21'", &["20", "21", "arm"]),
        ("'name = \"arm\"', 'name = \"walker\"'", &["walker", "accepted"]),
        ("'shape = [', 'shape = [3, '", &["axes"]),
    ];
    for (edit, parts) in edits {
        let other = folder.path().join("other");
        let _ = fs::remove_dir_all(&other);
        fs::create_dir(&other).unwrap();
        for name in ["archive.h5", "checkpoint.h5"] {
            fs::copy(dir.join(name), other.join(name)).unwrap();
            let code = format!("c = f.attrs['config']; n = c.replace({edit}); assert n != c; f.attrs['config'] = n");
            edit_h5(&other.join(name), &code);
        }
        let before = contents(&other);
        assert_refused(
            &run(1, &["eval", arg(&other)]),
            &[&[arg(&other), ".h5"], parts].concat(),
        );
        let ended = run(1, &["resume", arg(&other), "--set", "budget.generations=9"]);
        assert_eq!(ended.code(), Some(2), "{edit}: {ended}");
        assert_refused(&ended, parts);
        assert!(contents(&other) == before, "{edit}: the run was touched");
    }
}

#[test]
fn an_archive_without_elites_has_nothing_to_evaluate_again() {
    let (_folder, dir) = finished(GOOD);
    let path = dir.join("archive.h5");
    edit_h5(
        &path,
        "names = f['elites/operator'].attrs['operators']\n    \
         for n in ['cell', 'fitness', 'descriptor', 'generation', 'operator', 'seed', 'parents', 'genome']:\n        \
         d = f['elites'][n][:0]; del f['elites'][n]; f['elites'][n] = d\n    \
         f['elites/operator'].attrs['operators'] = names",
    );
    assert_refused(&run(1, &["eval", arg(&path)]), &[arg(&path), "empty"]);
    assert!(!dir.join("eval.h5").exists());
}

#[test]
fn an_evaluation_goes_only_where_nothing_else_is_lost_and_is_no_archive() {
    let (folder, dir) = finished(GOOD);
    let before = contents(&dir);
    for taken in ["archive.h5", "config.toml"].map(|name| dir.join(name)) {
        let ended = run(1, &["eval", arg(&dir), "-o", arg(&taken)]);
        assert_refused(&ended, &[arg(&taken), "not the file of an evaluation"]);
        assert!(contents(&dir) == before, "the run was touched");
    }
    let nowhere = folder.path().join("no-such-folder/eval.h5");
    let ended = run(1, &["eval", arg(&dir), "-o", arg(&nowhere)]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(1), 1), "{ended}");
    assert_says(&ended.stderr, &[arg(&nowhere), "No such file"]);

    run(1, &["eval", arg(&dir)]).succeeded();
    let path = dir.join("eval.h5");
    for command in ["eval", "plot"] {
        assert_refused(
            &run(1, &[command, arg(&path)]),
            &[arg(&path), "is an evaluation of an archive"],
        );
    }
    edit_h5(&path, "del f.attrs['mean_fitness_sd']");
    assert_refused(&run(1, &["info", arg(&path)]), &[arg(&path), "mean_fitness_sd"]);
}

#[test]
fn wrong_arguments_are_refused() {
    let (folder, dir) = finished(GOOD);
    let missing = folder.path().join("none");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let jpg = folder.path().join("a.jpg");
    let bare = folder.path().join("picture");
    let cases: [(&[&str], &[&str]); 9] = [
        (&["info", arg(&missing)], &[arg(&missing)]),
        (&["eval", arg(&missing)], &[arg(&missing)]),
        (&["plot", arg(&missing)], &[arg(&missing)]),
        (&["info", arg(&empty)], &[arg(&empty), "archive.h5"]),
        (&["plot", arg(&dir), "-o", arg(&jpg)], &[arg(&jpg), ".png", ".svg"]),
        (&["plot", arg(&dir), "-o", arg(&bare)], &[arg(&bare), ".png", ".svg"]),
        (&["plot", arg(&dir), "--axes", "0,2"], &["--axes", "0 to 1"]),
        (&["plot", arg(&dir), "--axes", "1,1"], &["--axes", "different"]),
        (&["list", "map_elite"], &["map_elite", "did you mean \"map_elites\"?"]),
    ];
    for (arguments, parts) in cases {
        let ended = run(1, arguments);
        assert_eq!(ended.code(), Some(2), "{arguments:?}: {ended}");
        assert_refused(&ended, parts);
    }
    let config = folder.path().join("config-given.toml");
    let usage: [(&[&str], &[&str]); 7] = [
        (&["run", arg(&config), "--threads", "0"], &["--threads", "0"]),
        (&["run", arg(&config), "--threads", "-2"], &["-2"]),
        (&["run", arg(&config), "--thread", "2"], &["--thread", "--threads"]),
        (&["eval", arg(&dir), "--episodes", "0"], &["--episodes", "0"]),
        (&["plot", arg(&dir), "--axes", "1"], &["--axes", "two numbers"]),
        (&["rum", arg(&config)], &["rum", "run"]),
        (&["run"], &["<CONFIG>"]),
    ];
    for (arguments, parts) in usage {
        let ended = run(1, arguments);
        assert_eq!(ended.code(), Some(2), "{arguments:?}: {ended}");
        assert_says(&ended.stderr, parts);
    }
}

#[test]
fn a_picture_that_cannot_be_written_is_named() {
    let (folder, dir) = finished(GOOD);
    let target = folder.path().join("no-such-folder/a.png");
    let ended = run(1, &["plot", arg(&dir), "-o", arg(&target)]);
    assert!(matches!(ended.code(), Some(1 | 2)), "{ended}");
    assert_says(&ended.stderr, &[arg(&target), "No such file"]);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended}");
}

#[test]
#[cfg(feature = "mpi")]
fn under_mpirun_a_message_comes_once_and_its_exit_code_from_all() {
    let folder = folder();
    let out = folder.path().join("out");
    let mut cases = vec![
        GOOD.replace("arm", "arn"),
        GOOD.replace("[10, 10]", "[10]"),
        GOOD.replace("[task]", "[task"),
    ];
    cases.push(GOOD.replace("batch = 20", "batch = -1"));
    for text in cases {
        let config = write_config(folder.path(), &text);
        let ended = run(3, &["run", arg(&config), "--out", arg(&out)]);
        assert_eq!(ended.code(), Some(2), "{text}: {ended}");
        assert_eq!(ended.stderr.matches("config-given.toml:").count(), 1, "{text}: {ended}");
        assert!(!out.exists());
    }
    let missing = folder.path().join("none");
    for arguments in [
        ["resume", arg(&missing)],
        ["info", arg(&missing)],
        ["eval", arg(&missing)],
        ["list", "nonsense"],
    ] {
        let ended = run(3, &arguments);
        assert_eq!(ended.code(), Some(2), "{arguments:?}: {ended}");
        let ours = ended
            .stderr
            .lines()
            .filter(|l| l.starts_with("illume: ") && l.contains(arguments[1]));
        assert_eq!(ours.count(), 1, "{arguments:?}: {ended}");
    }
    let ended = run(3, &["run", "--threads", "0", "x.toml"]);
    assert_eq!(ended.code(), Some(2), "{ended}");
    assert_eq!(ended.stderr.matches("--threads").count(), 1, "{ended}");
}

/// A small disk of its own; unmounted at its end. None where mounting is not permitted.
struct Disk(PathBuf);

impl Disk {
    fn mount(at: &Path, options: &str) -> Option<Disk> {
        fs::create_dir_all(at).unwrap();
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs", arg(at)])
            .output();
        if mount.is_ok_and(|m| m.status.success()) {
            return Some(Disk(at.into()));
        }
        println!("not tested: mounting a small disk is not permitted here");
        None
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let mount = std::process::Command::new("mount")
            .args(["-o", &options, arg(&self.0)])
            .status();
        assert!(mount.unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Each generation's checkpoint is larger than the one before, until the disk is full.
const GROWS: &str = "[task]\nname = \"arm\"\njoints = 500\n[strategy]\nname = \"map_elites\"\nbatch = 40\n[archive]\n\
                     shape = [100, 100]\n[budget]\ngenerations = 40\n[output]\ncheckpoint_generations = 1\n";

fn fill_a_disk(ranks: usize) {
    let folder = folder();
    let Some(disk) = Disk::mount(&folder.path().join("disk"), "size=1m") else {
        return;
    };
    let config = write_config(folder.path(), GROWS);
    let dir = disk.0.join("run");
    let ended = run(ranks, &["run", arg(&config), "--out", arg(&dir)]);
    assert_eq!(ended.code(), Some(1), "{ended}");
    let ours: Vec<&str> = ended.stderr.lines().filter(|l| l.starts_with("illume: ")).collect();
    assert_eq!(ours.len(), 1, "said once: {ended}");
    assert_says(ours[0], &[arg(&dir), "space"]);
    assert_eq!(
        temporaries(&dir),
        Vec::<String>::new(),
        "half a file is left on the full disk"
    );
    // The last good checkpoint is whole, and the run goes on from it when there is room.
    let reached = open(&dir.join("checkpoint.h5")).attributes.generation;
    assert!((1..40).contains(&reached), "{reached}");
    disk.remount("size=100m");
    run(1, &["resume", arg(&dir)]).succeeded();
    let undisturbed = folder.path().join("undisturbed");
    run(1, &["run", arg(&config), "--out", arg(&undisturbed)]).succeeded();
    assert_equal_runs(&undisturbed, &dir);
}

#[test]
fn a_full_disk_ends_the_run_and_keeps_the_last_checkpoint() {
    fill_a_disk(1);
}

#[test]
#[cfg(feature = "mpi")]
fn a_full_disk_under_mpirun_is_told_once() {
    fill_a_disk(2);
}

#[test]
fn a_read_only_directory_is_named() {
    let folder = folder();
    let Some(disk) = Disk::mount(&folder.path().join("disk"), "ro,size=1m") else {
        return;
    };
    let config = write_config(folder.path(), GOOD);
    let dir = disk.0.join("run");
    let ended = run(1, &["run", arg(&config), "--out", arg(&dir)]);
    assert_refused(&ended, &[arg(&dir), "Read-only"]);
    let ended = run(1, &["run", arg(&config), "--out", arg(&disk.0)]);
    assert_refused(&ended, &[arg(&disk.0), "Read-only"]);
}

#[test]
fn a_run_directory_that_became_read_only_can_be_read_but_not_resumed() {
    let folder = folder();
    let Some(disk) = Disk::mount(&folder.path().join("disk"), "size=1m") else {
        return;
    };
    let config = write_config(folder.path(), GOOD);
    let dir = disk.0.join("run");
    run(1, &["run", arg(&config), "--out", arg(&dir)]).succeeded();
    disk.remount("ro");
    run(1, &["info", arg(&dir)]).succeeded();
    let ended = run(1, &["eval", arg(&dir)]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(1), 1), "{ended}");
    assert_says(&ended.stderr, &[arg(&dir), "eval.h5", "Read-only"]);
    let elsewhere = folder.path().join("eval.h5");
    run(1, &["eval", arg(&dir), "-o", arg(&elsewhere)]).succeeded();
    assert!(elsewhere.is_file());
    let ended = run(1, &["resume", arg(&dir), "--set", "budget.generations=9"]);
    assert!(matches!(ended.code(), Some(1 | 2)), "{ended}");
    assert_says(&ended.stderr, &[arg(&dir), "Read-only"]);
    assert_eq!(ended.stderr.lines().count(), 1, "{ended}");
}

#[test]
fn runs_that_cannot_be_compared_are_refused() {
    let (folder, dir) = finished(GOOD);
    let other = folder.path().join("other");
    let config = write_config(folder.path(), &GOOD.replace("\"arm\"", "\"sphere\""));
    run(1, &["run", arg(&config), "--out", arg(&other)]).succeeded();
    let picture = folder.path().join("curves.png");
    let missing = folder.path().join("none");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let bare = folder.path().join("bare.h5");
    fs::copy(dir.join("archive.h5"), &bare).unwrap();
    edit_h5(
        &bare,
        "names = f['history'].attrs['columns']; del f['history']; h = f.create_group('history')\n    \
         h.attrs['columns'] = names\n    \
         for n in names: h[n] = np.zeros(0)",
    );
    let foreign = folder.path().join("foreign.h5");
    fs::copy(dir.join("archive.h5"), &foreign).unwrap();
    edit_h5(
        &foreign,
        "f['history'].attrs['columns'] = np.array(['generation'], dtype=h5py.string_dtype())",
    );
    let cases: [(&Path, &[&str]); 5] = [
        (&other, &["\"arm\"", "\"sphere\"", "one task"]),
        (&missing, &["No such file"]),
        (&empty, &["archive.h5"]),
        (&bare, &["no history", "at least one generation"]),
        (&foreign, &["no history", "evaluations"]),
    ];
    for (second, parts) in cases {
        let ended = run(1, &["plot", arg(&dir), arg(second), "-o", arg(&picture)]);
        assert_refused(&ended, &[&[arg(second)], parts].concat());
        assert!(!picture.exists(), "{second:?}");
    }
    let jpg = folder.path().join("a.jpg");
    assert_refused(
        &run(1, &["plot", arg(&dir), arg(&dir), "-o", arg(&jpg)]),
        &[arg(&jpg), ".png", ".svg"],
    );
    assert_refused(
        &run(1, &["plot", arg(&dir), arg(&dir), "-o", arg(&picture), "--axes", "0,1"]),
        &["--axes", "one archive"],
    );
    let nowhere = folder.path().join("no-such-folder/a.svg");
    let ended = run(1, &["plot", arg(&dir), arg(&dir), "-o", arg(&nowhere)]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(1), 1), "{ended}");
    assert_says(&ended.stderr, &[arg(&nowhere), "No such file"]);
    assert_eq!(run(1, &["plot"]).code(), Some(2));
}
