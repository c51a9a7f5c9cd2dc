//! Configurations that are wrong, incomplete or unreadable.

use std::fs;

use super::edits::EDITS;
use crate::common::refused::{GOOD, assert_refused, assert_says, tried};
use crate::common::{arg, folder, run, write_config};

#[test]
fn a_wrong_configuration_is_refused_in_one_sentence_and_writes_nothing() {
    let folder = folder();
    let out = folder.path().join("out");
    // All of them, before the first fault is complained about.
    let mut faults = Vec::new();
    for (i, (from, to, parts)) in EDITS.iter().enumerate() {
        assert!(GOOD.contains(from), "{from}");
        let config = write_config(folder.path(), &GOOD.replacen(from, to, 1));
        let ended = tried(&config, &[]);
        let judged = std::panic::catch_unwind(|| assert_refused(&ended, parts));
        if judged.is_err() {
            faults.push(format!("{to}\n{ended}"));
        }
        if i % 20 == 0 {
            let program = run(1, &["run", arg(&config), "--out", arg(&out)]);
            assert_refused(&program, parts);
            assert_eq!(program.stderr, ended.stderr);
            assert!(!out.exists(), "{to} has written something");
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn every_problem_of_a_configuration_is_reported_on_a_line_of_its_own() {
    let folder = folder();
    let text = "sead = 1\n[task]\nname = \"arm\"\n[strategy]\n[budget]\ngenerations = -1\n[output]\ncompress = 99\n";
    let config = write_config(folder.path(), text);
    let ended = tried(&config, &[]);
    assert_eq!(ended.stderr, run(1, &["run", arg(&config)]).stderr);
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
    let ended = tried(&write_config(folder.path(), &text), &[]);
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
    let ended = tried(&write_config(folder.path(), &text), &[]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(2), 2), "{ended}");
    assert_says(&ended.stderr, &[":3: task.name", ":6: strategy.batch"]);
}

#[test]
fn an_empty_configuration_asks_for_both_names() {
    let folder = folder();
    let ended = tried(&write_config(folder.path(), ""), &[]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(2), 2), "{ended}");
    assert_says(&ended.stderr, &["task.name", "strategy.name"]);
}

#[test]
fn a_wrong_override_is_refused_in_one_sentence() {
    let folder = folder();
    let config = write_config(folder.path(), GOOD);
    let out = folder.path().join("out");
    let cases: [(&str, &[&str]); 11] = [
        ("seed", &["--set seed", "key=value"]),
        ("a..c=1", &["--set a..c", "section.key"]),
        ("task.name.c=1", &["--set task.name.c", "name is not a table"]),
        (".x=1", &["--set .x", "section.key"]),
        ("strategy.batch=-1", &["--set strategy.batch", "non-negative", "-1"]),
        ("strategy.batch=", &["--set strategy.batch"]),
        ("strategy.bach=3", &["--set strategy.bach", "did you mean \"batch\"?"]),
        (
            "strategi.batch=3",
            &["illume: --set strategi: unknown key", "did you mean \"strategy\"?"],
        ),
        ("task.name=arn", &["--set task.name", "did you mean \"arm\"?"]),
        ("seed.x=1", &["--set seed.x", "not a table"]),
        ("budget.generations=[", &["--set budget.generations"]),
    ];
    for (set, parts) in cases {
        let ended = tried(&config, &[set]);
        assert_eq!(ended.code(), Some(2), "{set}: {ended}");
        assert_refused(&ended, parts);
    }
    let program = run(1, &["run", arg(&config), "--out", arg(&out), "--set", cases[0].0]);
    assert_refused(&program, cases[0].1);
    assert!(!out.exists(), "it has written something");
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let folder = folder();
    let missing = folder.path().join("no-such.toml");
    assert_refused(&tried(&missing, &[]), &[arg(&missing), "No such file"]);
    assert_refused(&tried(folder.path(), &[]), &[arg(folder.path()), "directory"]);
    let binary = folder.path().join("binary.toml");
    fs::write(&binary, [0xff, 0xfe, 0x00, 0x80]).unwrap();
    assert_refused(&tried(&binary, &[]), &[arg(&binary), "UTF-8"]);
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
    let mut command = crate::common::illume(1, &["run", arg(&config), "--out", arg(&out)]);
    command.env("ILLUME_MJCF_DIR", "/nonexistent");
    assert_refused(
        &crate::common::run_command(command),
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

/// Times and counts beyond what a clock or an index can hold mean never.
#[test]
fn numbers_that_no_run_reaches_are_taken_as_they_are() {
    let folder = folder();
    for (i, key) in ["output.log_seconds", "output.checkpoint_minutes", "budget.wall_minutes"]
        .into_iter()
        .enumerate()
    {
        let config = write_config(folder.path(), GOOD);
        let out = folder.path().join(i.to_string());
        let set = format!("{key}=1e300");
        run(1, &["run", arg(&config), "--out", arg(&out), "--set", &set]).succeeded();
    }
}
