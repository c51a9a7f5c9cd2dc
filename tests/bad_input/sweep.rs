//! Wrong input of sweeps: one sentence, exit code 2, nothing written, nothing lost.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::refused::{Disk, assert_refused, contents};
use crate::common::{arg, folder, run};

const GOOD: &str = "seeds = 2
[base.task]
name = \"arm\"
joints = 5
[base.strategy]
name = \"map_elites\"
batch = 20
[base.archive]
shape = [10, 10]
[base.budget]
evaluations = 400
[parameters]
strategy.iso_sigma = [0.01, 0.1]
[metric]
name = \"qd_score\"
[resources]
threads_per_run = 1
";

fn write(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("s.toml");
    fs::write(&path, text).unwrap();
    path
}

/// GOOD with one text replaced by another, and what the message must say.
const EDITS: &[(&str, &str, &[&str])] = &[
    (
        "seeds = 2",
        "seeds = 0",
        &["s.toml:1: seeds: expected how many seeds", "got 0"],
    ),
    (
        "seeds = 2",
        "seeds = [3, 3]",
        &["s.toml:1: seeds", "all different", "[3, 3]"],
    ),
    (
        "seeds = 2",
        "seed = 2",
        &["s.toml:1: seed: unknown key", "did you mean \"seeds\"?"],
    ),
    (
        "seeds = 2",
        "keep = \"some\"",
        &["s.toml:1: keep: expected", "\"archive\"", "\"some\""],
    ),
    (
        "[base.task]",
        "[bsae.task]",
        &["bsae: unknown key", "did you mean \"base\"?"],
    ),
    (
        "[metric]",
        "[[variants]]\nname = \"a\"\nbase = \"not-there.toml\"\n[metric]",
        &["base: cannot read", "not-there.toml"],
    ),
    (
        "joints = 5",
        "joint = 5",
        &[
            "\"iso_sigma=0.01\"",
            "task.joint: unknown key",
            "did you mean \"joints\"?",
        ],
    ),
    (
        "evaluations = 400",
        "evaluations = 4",
        &["budget.evaluations", "at least the 20", "got 4"],
    ),
    (
        "strategy.iso_sigma =",
        "strategy.iso_sgma =",
        &["\"iso_sgma=0.01\": strategy.iso_sgma: unknown key", "\"iso_sigma\""],
    ),
    (
        "[0.01, 0.1]",
        "[0.01, -1]",
        &["\"iso_sigma=-1\": strategy.iso_sigma: expected a number, at least 0, got -1"],
    ),
    (
        "[0.01, 0.1]",
        "[0.01, 0.01]",
        &["parameters.strategy.iso_sigma", "all different", "0.01 twice"],
    ),
    (
        "[0.01, 0.1]",
        "[]",
        &["parameters.strategy.iso_sigma: expected from 1 to"],
    ),
    (
        "[0.01, 0.1]",
        "{ min = 0.01, max = 0.1 }",
        &[
            "parameters.strategy.iso_sigma",
            "a distribution is drawn from",
            "\"grid\"",
        ],
    ),
    (
        "strategy.iso_sigma = [0.01, 0.1]",
        "seed = [1, 2]",
        &["parameters.seed", "which `seeds` names"],
    ),
    (
        "strategy.iso_sigma = [0.01, 0.1]",
        "output.dir = [\"a\", \"b\"]",
        &["parameters.output.dir", "the sweep says where"],
    ),
    (
        "strategy.iso_sigma = [0.01, 0.1]",
        "iso_sigma = [0.01, 0.1]",
        &["parameters.iso_sigma: expected a key of a configuration"],
    ),
    (
        "\"qd_score\"",
        "\"qd_scroe\"",
        &["metric.name", "no \"qd_scroe\"", "did you mean \"qd_score\"?"],
    ),
    (
        "\"qd_score\"",
        "\"corrected_qd_score\"",
        &["metric.name", "set metric.evaluate"],
    ),
    (
        "\"qd_score\"",
        "\"wall_seconds\"",
        &["metric.name", "no \"wall_seconds\""],
    ),
    (
        "[metric]",
        "[metric]\ngoal = \"up\"",
        &["metric.goal: expected", "\"maximize\", \"minimize\"", "\"up\""],
    ),
    (
        "[metric]",
        "[method]\nkind = \"random\"\n[metric]",
        &["method.runs", "how many configurations"],
    ),
    (
        "[metric]",
        "[method]\nkind = \"bayes\"\n[metric]",
        &["method.kind: expected", "\"bayes\""],
    ),
    (
        "[metric]",
        "[method]\nkind = \"halving\"\nrungs = 9\n[metric]",
        &["budget.evaluations: 9 rungs", "leave 1 of 400", "a generation takes 20"],
    ),
    (
        "[metric]",
        "[[variants]]\nname = \"a b\"\n[metric]",
        &["variants[0].name", "\"a b\""],
    ),
    (
        "[metric]",
        "[[variants]]\nname = \"a\"\n[[variants]]\nname = \"b\"\nset = { strategy.batch = 20 }\n[metric]",
        &["\"a iso_sigma=0.01\" and \"b iso_sigma=0.01\" are equal"],
    ),
    // The same runs would be done twice, into one folder.
    (
        "strategy.iso_sigma = [0.01, 0.1]",
        "output.compress = [0, 4]",
        &["\"compress=0\" and \"compress=4\" are equal", "[output]"],
    ),
    (
        "[metric]",
        "[[variants]]\nname = \"a\"\nsat = 1\n[metric]",
        &["variants[a].sat: unknown key", "\"set\""],
    ),
    (
        "[metric]",
        "[[variants]]\nname = \"a\"\nreplace = 1\n[metric]",
        &["variants[a].replace: expected a table", "got 1"],
    ),
    (
        "[metric]",
        "[[variants]]\nname = \"a\"\nreplace = { archive = \"cvt\" }\n[metric]",
        &["variants[a].replace.archive: expected a whole section", "\"cvt\""],
    ),
    (
        "[metric]",
        "[[variants]]\nname = \"a\"\nreplace = { archive = { kind = \"cvt\", shape = [4, 4] } }\n[metric]",
        &["\"a iso_sigma=0.01\"", "archive.shape: unknown key", "cells"],
    ),
    (
        "[metric]",
        "[[variants]]\nname = \"a\"\nreplace = { output = { dir = \"x\" } }\n[metric]",
        &["variants[a].replace.output.dir: the sweep says where its runs are"],
    ),
    (
        "[metric]",
        "[[variants]]\nname = \"a\"\nreplace = { archives = { kind = \"cvt\" } }\n[metric]",
        &["\"a iso_sigma=0.01\"", "archives: unknown"],
    ),
    (
        "threads_per_run = 1",
        "threads_per_run = 70000",
        &["resources.threads_per_run: expected", "to 65536"],
    ),
    (
        "threads_per_run = 1",
        "time_per_run = \"2 hoops\"",
        &["resources.time_per_run: expected a time", "\"2 hoops\""],
    ),
    (
        "threads_per_run = 1",
        "[retry]\nattempts = 0",
        &["retry.attempts: expected", "from 1"],
    ),
    ("[0.01, 0.1]", "[0.01, ", &["s.toml:", "not valid TOML"]),
];

#[test]
fn a_wrong_sweep_is_refused_before_anything_is_written() {
    for (from, to, parts) in EDITS {
        let folder = folder();
        assert!(GOOD.contains(from), "{from}");
        let file = write(folder.path(), &GOOD.replacen(from, to, 1));
        let out = folder.path().join("sweep");
        for arguments in [
            ["sweep", "plan", arg(&file)].to_vec(),
            ["sweep", "run", arg(&file), "--out", arg(&out)].to_vec(),
        ] {
            let ended = run(1, &arguments);
            let stderr = ended.stderr.clone();
            assert_refused(&ended, parts);
            assert!(!out.exists(), "{stderr}");
        }
    }
}

#[test]
fn wrong_arguments_are_refused() {
    let folder = folder();
    let file = write(folder.path(), GOOD);
    let out = folder.path().join("sweep");
    let run_ = |more: &[&str]| run(1, &[&["sweep", "run", arg(&file), "--out", arg(&out)], more].concat());
    for (more, parts) in [
        (
            &["--until", "yesterday"][..],
            &["--until yesterday", "expected a time from now"][..],
        ),
        (&["--until", "2001-01-01T00:00"], &["this has passed"]),
        (&["strategy.iso_sigma=range(1,2"], &["strategy.iso_sigma=range(1,2"]),
        (&["strategy.iso_sigma=1,1"], &["strategy.iso_sigma=1,1", "1 twice"]),
        (&["seed=1,2"], &["seed=1,2", "which `seeds` names"]),
    ] {
        assert_refused(&run_(more), parts);
        assert!(!out.exists());
    }
    assert_refused(
        &run(1, &["sweep", "plan", arg(&file), "--pilot", "soon"]),
        &["--pilot soon", "expected a time"],
    );
    assert_refused(
        &run(1, &["sweep", "plan", "nothing.toml"]),
        &["cannot read", "nothing.toml", "expected a sweep's file"],
    );
}

/// Every command, on what is no sweep or no run of it.
#[test]
fn what_is_no_sweep_is_left_as_it_is() {
    let folder = folder();
    let file = write(folder.path(), GOOD);
    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("mine.txt"), "x").unwrap();
    let before = contents(&foreign);
    for command in [
        &["status"][..],
        &["collect"],
        &["list"],
        &["retry", "--failed"],
        &["extend", "--seeds", "9"],
        &["run"],
        &["plan"],
    ] {
        let mut arguments = vec!["sweep", command[0], arg(&foreign)];
        arguments.extend(&command[1..]);
        assert_refused(&run(1, &arguments), &["foreign", "is not the folder of a sweep"]);
    }
    assert_refused(
        &run(1, &["sweep", "run", arg(&file), "--out", arg(&foreign)]),
        &["foreign", "not the folder of a sweep", "left as it is"],
    );
    assert_eq!(contents(&foreign), before);
}

#[test]
fn a_sweep_is_not_mixed_with_another_and_its_plan_not_edited() {
    let folder = folder();
    let file = write(folder.path(), GOOD);
    let out = folder.path().join("sweep");
    run(1, &["sweep", "run", arg(&file), "--out", arg(&out)]).succeeded();
    let before = contents(&out);
    let other = folder.path().join("other.toml");
    fs::write(&other, GOOD.replace("evaluations = 400", "evaluations = 800")).unwrap();
    assert_refused(
        &run(1, &["sweep", "run", arg(&other), "--out", arg(&out)]),
        &["made of another file", "illume sweep extend"],
    );
    for (more, parts) in [
        (&["--number", "0"][..], &["--number 0", "from 1 to 4"][..]),
        (&["--number", "5"], &["--number 5", "from 1 to 4"]),
        (&["--only", "xyz"], &["--only xyz", "no such run"]),
        (&["--only", ""], &["expected an id"]),
    ] {
        assert_refused(&run(1, &[&["sweep", "run", arg(&out)], more].concat()), parts);
    }
    assert_refused(
        &run(1, &["sweep", "run", arg(&out), "--seeds", "3"]),
        &["whose plan is made", "illume sweep extend"],
    );
    assert_refused(
        &run(1, &["sweep", "retry", arg(&out), "--only", "xyz"]),
        &["no such run"],
    );
    let bigger = folder.path().join("bigger.toml");
    fs::write(&bigger, GOOD.replace("\"qd_score\"", "\"coverage\"")).unwrap();
    assert_refused(
        &run(1, &["sweep", "extend", arg(&out), arg(&bigger)]),
        &["[metric] is not that of the sweep"],
    );
    assert_eq!(contents(&out), before, "nothing is changed by what is refused");

    let plan = out.join("plan.toml");
    let text = fs::read_to_string(&plan).unwrap();
    fs::write(&plan, text.replace("iso_sigma = 0.1", "iso_sigma = 0.2")).unwrap();
    for command in ["status", "run", "collect"] {
        assert_refused(
            &run(1, &["sweep", command, arg(&out)]),
            &["plan.toml was changed", "illume sweep extend"],
        );
    }
    fs::write(&plan, &text).unwrap();
    let result = fs::read_dir(out.join("results"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    fs::write(&result, "rubbish").unwrap();
    assert_refused(
        &run(1, &["sweep", "status", arg(&out)]),
        &["is no result of a run", "done again"],
    );
    fs::remove_file(&result).unwrap();
    let said = run(1, &["sweep", "run", arg(&out)]).succeeded();
    assert!(said.contains("iso_sigma=0.1"), "{said}");
}

/// A disk that is full or read-only stops a sweep, and what is done stays done.
#[test]
fn a_sweep_survives_a_full_disk_and_a_read_only_one() {
    let folder = folder();
    let file = write(
        folder.path(),
        &GOOD
            .replace("shape = [10, 10]", "shape = [100, 100]")
            .replace("evaluations = 400", "evaluations = 40_000"),
    );
    let Some(disk) = Disk::mount(&folder.path().join("disk"), "size=600k") else {
        return;
    };
    let out = disk.0.join("sweep");
    let ended = run(1, &["sweep", "run", arg(&file), "--out", arg(&out)]);
    assert_eq!(ended.code(), Some(1), "{ended}");
    assert!(
        format!("{}{}", ended.stderr, ended.stdout).contains("o space left on device"),
        "{ended}"
    );
    disk.remount("size=100m");
    run(1, &["sweep", "retry", arg(&out), "--failed"]).succeeded();
    run(1, &["sweep", "run", arg(&out)]).succeeded();
    let csv = fs::read_to_string(out.join("sweep.csv")).unwrap();
    assert_eq!(csv.matches(",done,").count(), 4, "{csv}");
    disk.remount("ro");
    let ended = run(
        1,
        &[
            "sweep",
            "retry",
            arg(&out),
            "--only",
            &csv.lines().nth(1).unwrap()[..12],
        ],
    );
    assert_eq!(ended.code(), Some(1), "{ended}");
    assert!(ended.stderr.contains("ead-only"), "{ended}");
    let elsewhere = disk.0.join("another");
    assert_refused(
        &run(1, &["sweep", "run", arg(&file), "--out", arg(&elsewhere)]),
        &["cannot write the sweep's folder", "ead-only"],
    );
}
