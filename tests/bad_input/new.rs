//! What `illume new` refuses, each in one sentence; a file that is there stays as it is.

use std::fs;

use crate::common::refused::{assert_refused, contents, tried};
use crate::common::{arg, folder, run, write_config};

#[test]
fn names_and_pairs_are_refused_as_a_run_refuses_them() {
    for (task, strategy, parts) in [
        (
            "amr",
            "map_elites",
            &["task.name", "unknown task \"amr\"", "did you mean \"arm\""][..],
        ),
        (
            "arm",
            "map_elite",
            &[
                "strategy.name",
                "unknown strategy \"map_elite\"",
                "did you mean \"map_elites\"",
            ],
        ),
        ("", "map_elites", &["task.name", "unknown task \"\"", "accepted: "]),
        ("arm", "", &["strategy.name", "unknown strategy \"\"", "accepted: "]),
        (
            "frostbite",
            "deep_ga",
            &["task.name", "did you mean \"atari/frostbite\""],
        ),
        (
            "arm",
            "dcrl_me",
            &[
                "strategy.name",
                "learns from episodes",
                "\"arm\" acts through no perceptron",
            ],
        ),
        (
            "hard_maze",
            "cma_mega",
            &["strategy.name", "task \"hard_maze\" knows none", "sphere"],
        ),
        ("sphere", "essa", &["strategy.name", "\"sphere\""]),
    ] {
        let folder = folder();
        let out = folder.path().join("new.toml");
        let refused = run(1, &["new", task, strategy, "--out", arg(&out)]);
        assert_refused(&refused, parts);
        assert!(!out.exists(), "{task} {strategy}: nothing is written");
        let text = format!("[task]\nname = \"{task}\"\n[strategy]\nname = \"{strategy}\"\n");
        let as_run = tried(&write_config(folder.path(), &text), &[]);
        let sentence = |said: &str| said.split_once(".name: ").unwrap().1.to_string();
        assert_eq!(sentence(&refused.stderr), sentence(&as_run.stderr), "{task} {strategy}");
    }
}

#[test]
fn two_wrong_names_are_both_told() {
    let refused = run(1, &["new", "amr", "map_elite"]);
    assert_eq!(
        (refused.code(), refused.stderr.lines().count()),
        (Some(2), 2),
        "{refused}"
    );
    assert!(
        refused.stderr.contains("\"amr\"") && refused.stderr.contains("\"map_elite\""),
        "{refused}"
    );
}

#[test]
fn what_is_there_is_left_as_it_is() {
    let folder = folder();
    let path = folder.path().join("mine.toml");
    fs::write(&path, "mine").unwrap();
    let before = contents(folder.path());
    let new = |out: &str| run(1, &["new", "arm", "map_elites", "--out", out]);
    assert_refused(
        &new(arg(&path)),
        &[
            "mine.toml exists and is left as it is",
            "expected the name of a new file",
        ],
    );
    assert_refused(
        &new(arg(folder.path())),
        &["is a folder", "expected the name of a new file"],
    );
    let missing = folder.path().join("missing/new.toml");
    assert_refused(
        &new(arg(&missing)),
        &["missing/new.toml", "No such file or directory", "expected"],
    );
    assert_refused(
        &new(arg(&path.join("new.toml"))),
        &["mine.toml/new.toml", "Not a directory", "expected"],
    );
    let link = folder.path().join("link.toml");
    std::os::unix::fs::symlink(folder.path().join("nowhere"), &link).unwrap();
    assert_refused(&new(arg(&link)), &["link.toml exists and is left as it is"]);
    fs::remove_file(&link).unwrap();
    assert_refused(
        &new("/proc/new.toml"),
        &["/proc/new.toml", "expected the name of a new file"],
    );
    let empty = new("");
    assert!(
        empty.code() == Some(2) && empty.stderr.contains("--out <FILE>"),
        "{empty}"
    );
    assert_eq!(contents(folder.path()), before, "nothing is lost and nothing is left");
}

#[test]
fn arguments_that_are_missing_or_too_many_are_refused_with_the_usage() {
    for arguments in [
        &["new"][..],
        &["new", "arm"],
        &["new", "arm", "map_elites", "grid"],
        &["new", "arm", "map_elites", "--out"],
    ] {
        let refused = run(1, arguments);
        assert_eq!(refused.code(), Some(2), "{refused}");
        assert!(
            refused.stderr.contains("Usage") || refused.stderr.contains("--out <FILE>"),
            "{refused}"
        );
    }
}

#[test]
fn what_is_written_is_what_is_printed_and_runs() {
    let folder = folder();
    let path = folder.path().join("new.toml");
    let said = run(1, &["new", "hard_maze", "ga_ns", "--out", arg(&path)]).succeeded();
    assert!(said.contains("new.toml"), "{said}");
    assert_eq!(
        fs::read_to_string(&path).unwrap(),
        run(1, &["new", "hard_maze", "ga_ns"]).succeeded()
    );
    let out = folder.path().join("run");
    let small = [
        "budget.generations=2",
        "strategy.population=30",
        "task.episode_length=20",
    ];
    let mut arguments = vec!["run", arg(&path), "--out", arg(&out)];
    small.iter().for_each(|s| arguments.extend(["--set", s]));
    run(1, &arguments).succeeded();
    assert!(out.join("archive.h5").is_file());
}
