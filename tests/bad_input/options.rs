//! What is wrong with `[start]`, centroids, an offset, a direction, repeats or `export --policy`: one sentence, exit code 2, and nothing is written.

use std::fs;
use std::path::Path;

use crate::common::refused::{GOOD, assert_refused, contents, finished, tried};
use crate::common::{arg, edit_h5, run, write_config};

/// Runs GOOD with these changes; it must be refused with all of these.
#[track_caller]
fn refused(folder: &Path, edits: &[(&str, &str)], parts: &[&str]) {
    let mut text = GOOD.to_string();
    for (from, to) in edits {
        assert!(text.contains(from), "{from} is in {text}");
        text = text.replace(from, to);
    }
    assert_refused(&tried(&write_config(folder, &text), &[]), parts);
}

#[test]
fn a_start_that_is_none() {
    let (folder, old) = finished(GOOD);
    let folder = folder.path();
    let put = |name: &str, text: &str| {
        fs::write(folder.join(name), text).unwrap();
        arg(&folder.join(name)).to_string()
    };
    let row = |first: &str| format!("{first}{}\n", ",0.5".repeat(19));
    let short = put("short.csv", "0.1,0.2\n");
    let outside = put("outside.csv", &(row("0.5") + &row("1.5")));
    let nan = put("nan.csv", &row("nan"));
    let words = put("words.csv", &(row("0.5") + &row("half")));
    let empty = put("empty.csv", "");
    let picture = put("picture.npy", "no array");
    let unscored = put(
        "unscored.csv",
        &format!("fitness,{}\nnan{}\n", vec!["g"; 20].join(","), ",0.5".repeat(20)),
    );
    let ragged = put("ragged.csv", &(row("0.5") + "0.5\n"));
    let missing = arg(&folder.join("nothing.h5")).to_string();
    let nothing = folder.join("folder");
    fs::create_dir(&nothing).unwrap();
    let archive = arg(&old.join("archive.h5")).to_string();
    let start = |text: &str| format!("[start]\n{text}\n[budget]");
    for (key, source, parts) in [
        ("archive", missing.as_str(), &["start.archive", "nothing.h5"][..]),
        (
            "archive",
            arg(&nothing),
            &["start.archive", "neither archive.h5 nor checkpoint.h5"],
        ),
        ("archive", &short, &["start.archive", "not an HDF5 file"]),
        ("solutions", &archive, &["start.solutions", "archive.h5"]),
        (
            "solutions",
            &short,
            &["start.solutions", "genomes of 2 genes", "task \"arm\" have 20"],
        ),
        ("solutions", &outside, &["gene 0 of genome 1 is 1.5", "from 0 to 1"]),
        ("solutions", &nan, &["gene 0 of genome 0 is NaN"]),
        ("solutions", &words, &["line 2", "'half'", "must be a number"]),
        ("solutions", &empty, &["empty.csv", "holds no numbers"]),
        ("solutions", &picture, &["picture.npy", "no array of numpy"]),
        ("solutions", &unscored, &["the fitness of genome 0 is NaN"]),
        ("solutions", &ragged, &["line 2: expected 20 fields as before, got 1"]),
    ] {
        let text = start(&format!("{key} = \"{source}\""));
        refused(
            folder,
            &[("[budget]", &text)],
            &[&["config-given.toml:"], parts].concat(),
        );
    }
    let both = start(&format!("archive = \"{archive}\"\nsolutions = \"{short}\""));
    refused(folder, &[("[budget]", &both)], &["start.solutions", "got both"]);
    refused(
        folder,
        &[("[budget]", &start("most = 3"))],
        &["start.most", "got neither"],
    );
    refused(
        folder,
        &[("[budget]", &start("archives = \"x\""))],
        &["start.archives: unknown key", "did you mean \"archive\"?"],
    );
    refused(
        folder,
        &[("[budget]", &start("archive = 3"))],
        &["start.archive: expected a string"],
    );
    // Other genomes, lineages, a center said twice, and a budget that is too small.
    let given = start(&format!("archive = \"{archive}\""));
    refused(
        folder,
        &[("\"arm\"", "\"arm\"\njoints = 7"), ("[budget]", &given)],
        &["genomes of 20 genes", "have 7"],
    );
    for lineages in [
        "deep_ga\"\nparents = 3\npopulation",
        "ga_ns\"\nparents = 3\npopulation",
        "nslc\"\nparents = 3\npopulation",
    ] {
        let strategy = lineages.split('"').next().unwrap();
        let shape = if strategy == "deep_ga" { "shape = [10, 10]" } else { "" };
        let edits = [
            ("map_elites\"\nbatch", lineages),
            ("[budget]", &given),
            ("kind = \"grid\"\nshape = [10, 10]", shape),
        ];
        refused(
            folder,
            &edits,
            &["start.archive", strategy, "lineages of noise", "map_elites"],
        );
    }
    let zeros = "cma_es\"\ncenter = \"zeros\"\npopulation";
    refused(
        folder,
        &[("map_elites\"\nbatch", zeros), ("[budget]", &given)],
        &["strategy.center", "\"init\""],
    );
    let few = [
        ("[budget]", given.as_str()),
        ("generations = 3", "evaluations = 10"),
        ("batch = 20", "batch = 2"),
    ];
    refused(folder, &few, &["budget.evaluations", "start.archive"]);
    // An archive whose lineages cannot be decoded, and an empty one.
    edit_h5(&old.join("archive.h5"), "del f['elites/genome']");
    refused(folder, &[("[budget]", &given)], &["start.archive", "archive.h5"]);
}

#[test]
fn centroids_and_an_offset_that_are_none() {
    let folder = crate::common::folder();
    let folder = folder.path();
    let grid = "kind = \"grid\"\nshape = [10, 10]";
    for (text, parts) in [
        ("0.1,0.2,0.3\n", &["rows of 3 numbers", "2 axes"][..]),
        ("0.1\n", &["rows of 1 numbers", "2 axes"]),
        ("0.1,0.2\n0.5,1.5\n", &["centroid 1 has y = 1.5", "from 0 to 1"]),
        ("-0.1,0.2\n", &["centroid 0 has x = -0.1"]),
        ("0.1,nan\n", &["centroid 0 has y = NaN"]),
        ("0.1,0.2\n0.3,0.3\n0.1,0.2\n", &["centroids 0 and 2 are equal"]),
        ("", &["holds no numbers"]),
        ("x,y\n", &["holds no numbers"]),
        ("0.1,0.2\n0.3,?\n", &["line 2", "'?'"]),
        ("0.1,0.2\n0.3\n", &["line 2: expected 2 fields"]),
    ] {
        let file = folder.join("centroids.csv");
        fs::write(&file, text).unwrap();
        let own = format!("kind = \"cvt\"\ncentroids = \"{}\"", arg(&file));
        refused(
            folder,
            &[(grid, &own)],
            &[&["config-given.toml:", "archive.centroids", "centroids.csv"], parts].concat(),
        );
    }
    refused(
        folder,
        &[(grid, "centroids = \"nowhere.npy\"")],
        &["archive.centroids", "nowhere.npy"],
    );
    refused(
        folder,
        &[(grid, "centroids = 4")],
        &["archive.centroids: expected a string"],
    );
    refused(
        folder,
        &[(grid, "kind = \"grid\"\ncentroids = \"x.csv\"")],
        &["archive.centroids: unknown key"],
    );
    for (value, part) in [
        ("\"2\"", "\"2\""),
        ("true", "true"),
        ("[1.0]", "[1.0]"),
        ("inf", "inf"),
        ("nan", "nan"),
    ] {
        let edit = format!("{grid}\nqd_offset = {value}");
        refused(
            folder,
            &[(grid, &edit)],
            &["archive.qd_offset: expected a finite number", part],
        );
    }
    refused(
        folder,
        &[(grid, &format!("{grid}\nqd_ofset = 1.0"))],
        &["archive.qd_ofset: unknown key", "did you mean \"qd_offset\"?"],
    );
}

/// What tasks refuse by themselves is tested beside them.
#[test]
fn a_direction_and_repeats_that_are_none() {
    let folder = crate::common::folder();
    let folder = folder.path();
    let arm = "name = \"arm\"";
    for (keys, parts) in [
        (
            "repeats = 3",
            &["config-given.toml:4: task.repeats", "gives the same result each time"][..],
        ),
        ("repeats = 0", &["task.repeats", "from 1 to"]),
        ("repeats = \"two\"", &["task.repeats: expected a non-negative integer"]),
        ("repeat = 2", &["task.repeat: unknown key", "did you mean \"repeats\"?"]),
        ("direction = \"down\"", &["task.direction", "\"minimize\""]),
        ("direction = false", &["task.direction: expected a string"]),
        (
            "direktion = \"minimize\"",
            &["task.direktion: unknown key", "did you mean \"direction\"?"],
        ),
    ] {
        refused(folder, &[(arm, &format!("{arm}\n{keys}"))], parts);
    }
}

#[cfg(feature = "mujoco")]
#[test]
fn strategies_that_learn_from_episodes_take_no_repeats() {
    let folder = crate::common::folder();
    let task = "\"hopper_uni\"\nepisode_length = 10\nreset_noise_scale = 0.1\nrepeats = 2";
    let pga = "pga_me\"\nbatch";
    for strategy in [
        pga,
        "multi_emitter\"\nemitters = [{ kind = \"pga\", batch = 4 }]\ninitial",
    ] {
        let edits = [
            ("\"arm\"", task),
            ("map_elites\"\nbatch", strategy),
            ("[10, 10]", "[10]"),
        ];
        refused(folder.path(), &edits, &["task.repeats", "learns from every episode"]);
    }
}

#[test]
fn a_policy_of_an_elite_that_is_none() {
    let maze = GOOD.replace("\"arm\"", "\"hard_maze\"\nepisode_length = 10\n[policy]\nhidden = [4]");
    let (folder, dir) = finished(&maze);
    let (other, arm) = finished(GOOD);
    let out = folder.path().join("policy");
    let full = folder.path().join("full");
    let table = folder.path().join("x.csv");
    fs::create_dir(&full).unwrap();
    fs::write(full.join("notes.txt"), "mine").unwrap();
    let before = contents(folder.path());
    for (arguments, parts) in [
        (
            &[arg(&arm), "--policy", arg(&out)][..],
            &["--policy: task \"arm\"", "no perceptron"][..],
        ),
        (
            &[arg(&dir), "--policy", arg(&out), "--elite", "100000"],
            &["--elite 100000", "cells from 0 to 99"],
        ),
        (
            &[arg(&dir), "--policy", arg(&out), "--elite", "99"],
            &["--elite 99", "empty"],
        ),
        (
            &[arg(&dir), "--policy", arg(&out), "--elite", "solution"],
            &["--elite solution", "map_elites"],
        ),
        (
            &[arg(&dir), "--policy", arg(&out), "--descriptor", "1"],
            &["--descriptor 1: expected 2 numbers"],
        ),
        (
            &[arg(&dir), "--policy", arg(&out), "--descriptor", "1,900000"],
            &["--descriptor 1,900000"],
        ),
        (&[arg(&dir), "--policy", arg(&full)], &["full", "holds no policy"]),
        (
            &[arg(&dir.join("config.toml")), "--policy", arg(&out)],
            &["config.toml", "not an HDF5 file"],
        ),
        (
            &[arg(&full), "--policy", arg(&out)],
            &["full", "neither archive.h5 nor"],
        ),
    ] {
        assert_refused(&run(1, &[&["export"], arguments].concat()), parts);
    }
    for arguments in [
        &["--policy", arg(&out), "-o", arg(&table)][..],
        &["--policy", arg(&out), "--genomes"],
        &["--policy", arg(&out), "--where", "fitness > 0"],
        &["--policy", arg(&out), "--elite", "best", "--descriptor", "1,1"],
        &["--descriptor", "1,1", "-o", arg(&table)],
    ] {
        let ended = run(1, &[&["export", arg(&dir)], arguments].concat());
        assert_eq!(ended.code(), Some(2), "{ended}");
    }
    assert_eq!(contents(folder.path()), before);
    run(1, &["export", arg(&dir), "--policy", arg(&out)]).succeeded();
    let again = run(1, &["export", arg(&dir), "--policy", arg(&out)]);
    assert_refused(&again, &["policy", "holds a policy already", "--force"]);
    run(
        1,
        &["export", arg(&dir), "--policy", arg(&out), "--force", "--cell", "best"],
    )
    .succeeded();
    drop(other);
}
