//! Folders that hold something else, cannot be written to, or hold no run that could go on: left as they are.

use std::fs;

use crate::common::refused::{GOOD, assert_refused, contents, finished};
use crate::common::{arg, folder, run, write_config};

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
fn what_is_no_runs_is_left_as_it_is_with_resume_too() {
    let folder = folder();
    let config = write_config(folder.path(), GOOD);
    for name in ["notes.txt", "config.toml", "archive.h5"] {
        let dir = folder.path().join(format!("with-{name}"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(name), "mine").unwrap();
        let before = contents(&dir);
        let ended = run(1, &["run", "--resume", arg(&config), "--out", arg(&dir)]);
        assert_refused(&ended, &[arg(&dir), "not empty", name, "--out"]);
        assert!(contents(&dir) == before);
    }
    let file = folder.path().join("with-notes.txt/notes.txt");
    let ended = run(1, &["run", "--resume", arg(&config), "--out", arg(&file)]);
    assert_refused(&ended, &[arg(&file)]);
    let damaged = folder.path().join("damaged");
    fs::create_dir(&damaged).unwrap();
    fs::write(damaged.join("checkpoint.h5"), "x").unwrap();
    let ended = run(1, &["run", "--resume", arg(&config), "--out", arg(&damaged)]);
    assert_refused(&ended, &[arg(&damaged), "checkpoint.h5"]);
    assert_eq!(fs::read_dir(&damaged).unwrap().count(), 1);
    fs::write(damaged.join("config.toml"), [0xff, 0xfe]).unwrap();
    let ended = run(1, &["resume", arg(&damaged)]);
    assert_refused(&ended, &[arg(&damaged), "config.toml", "UTF-8"]);
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

/// A run goes on with what its task read at the start: another model of the robot gives other results.
#[test]
#[cfg(feature = "mujoco")]
fn a_run_does_not_go_on_with_another_model_of_its_robot() {
    let folder = folder();
    let good = GOOD.replace("\"arm\"", "\"hopper_uni\"").replace("[10, 10]", "[10]");
    let config = write_config(folder.path(), &good);
    let (out, models) = (folder.path().join("out"), folder.path().join("models"));
    let given = env!("ILLUME_MJCF_DIR");
    fs::create_dir(&models).unwrap();
    fs::copy(
        std::path::Path::new(given).join("hopper.xml"),
        models.join("hopper.xml"),
    )
    .unwrap();
    let tried = |arguments: &[&str]| {
        let mut command = crate::common::illume(1, arguments);
        command.env("ILLUME_MJCF_DIR", &models);
        crate::common::run_command(command)
    };
    tried(&["run", arg(&config), "--out", arg(&out)]).succeeded();
    let whole = fs::read_to_string(models.join("hopper.xml")).unwrap();
    fs::write(models.join("hopper.xml"), whole.clone() + "<!-- mine -->\n").unwrap();
    let before = contents(&out);
    let refused = tried(&["resume", arg(&out), "--set", "budget.generations=9"]);
    assert_refused(
        &refused,
        &["ILLUME_MJCF_DIR/hopper.xml", "not what it was", arg(&out), "--out"],
    );
    assert_eq!(contents(&out), before);
    let told = tried(&["eval", arg(&out), "--output", arg(&folder.path().join("eval.h5"))]).succeeded();
    assert!(
        told.contains("ILLUME_MJCF_DIR/hopper.xml is not what it was in the run"),
        "{told}"
    );
    fs::write(models.join("hopper.xml"), whole).unwrap();
    tried(&["resume", arg(&out), "--set", "budget.generations=9"]).succeeded();
}
