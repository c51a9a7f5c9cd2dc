//! Wrong input to `illume distill`, and to `eval` and `info` of what it writes: one sentence, exit code 2, nothing written.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::refused::{assert_refused, finished};
use crate::common::{Ended, arg, edit_h5, run};

const MAZE: &str = "seed = 1\n[task]\nname = \"hard_maze\"\nepisode_length = 40\n[policy]\nhidden = [4]\n[strategy]\n\
                    name = \"map_elites\"\nbatch = 40\niso_sigma = 0.3\n[archive]\nshape = [20, 20]\n[budget]\ngenerations = 3\n";

/// What the command line itself refuses says how to go on in further lines.
#[track_caller]
fn assert_usage(ended: &Ended, parts: &[&str]) {
    assert_eq!(ended.code(), Some(2), "{ended}");
    for part in parts {
        assert!(ended.stderr.contains(part), "expected '{part}' in: {ended}");
    }
}

/// A policy of the least effort.
fn policy(dir: &Path) -> PathBuf {
    let quick = ["--epochs", "1", "--rounds", "0", "--hidden", "4", "--episodes", "1"];
    run(1, &[&["distill", arg(dir)], &quick[..]].concat()).succeeded();
    dir.join("distilled")
}

#[test]
fn archives_without_anything_to_distill_are_refused() {
    let (folder, dir) = finished(MAZE);
    let archive = dir.join("archive.h5");
    let none = folder.path().join("none.h5");
    assert_refused(&run(1, &["distill", arg(&none)]), &[arg(&none), "No such file"]);
    let config = folder.path().join("config-given.toml");
    assert_refused(&run(1, &["distill", arg(&config)]), &["not an HDF5 file"]);
    assert_refused(
        &run(1, &["distill", arg(folder.path())]),
        &["archive.h5", "run directory"],
    );
    assert_refused(
        &run(1, &["distill", arg(&dir), "--from", "actor"]),
        &["--from actor", "map_elites", "dcrl_me", "--from archive"],
    );

    let without = folder.path().join("without.h5");
    fs::copy(&archive, &without).unwrap();
    edit_h5(&without, "del f['elites/genome']");
    assert_refused(
        &run(1, &["distill", arg(&without)]),
        &[arg(&without), "/elites/genome", "missing"],
    );

    let empty = folder.path().join("empty.h5");
    fs::copy(&archive, &empty).unwrap();
    let code = "e = f['elites']
    for n in ['cell', 'fitness', 'descriptor', 'generation', 'operator', 'seed', 'parents', 'genome']:
        old, words = e[n], list(e[n].attrs.get('operators', []))
        shape, kind = (0,) + old.shape[1:], old.dtype
        del e[n]
        e.create_dataset(n, shape, kind).attrs.create('operators', words, dtype=h5py.string_dtype())";
    edit_h5(&empty, code);
    assert_refused(&run(1, &["distill", arg(&empty)]), &[arg(&empty), "empty"]);

    let other = MAZE
        .replace("hard_maze", "arm")
        .replace("episode_length = 40\n[policy]\nhidden = [4]\n", "");
    let (_other, arm) = finished(&other);
    assert_refused(&run(1, &["distill", arg(&arm)]), &["arm", "through no perceptron"]);
    assert!(
        !dir.join("distilled").exists() && !arm.join("distilled").exists(),
        "nothing is written"
    );
}

#[test]
fn a_folder_that_holds_something_else_or_cannot_be_written_is_refused_before_the_work() {
    let (folder, dir) = finished(MAZE);
    let mine = folder.path().join("mine");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("thesis.txt"), "x").unwrap();
    assert_refused(
        &run(1, &["distill", arg(&dir), "-o", arg(&mine)]),
        &[arg(&mine), "not empty", "--output"],
    );
    assert_eq!(fs::read_dir(&mine).unwrap().count(), 1);
    let file = mine.join("thesis.txt");
    assert_refused(&run(1, &["distill", arg(&dir), "-o", arg(&file)]), &[arg(&file)]);
    let below = file.join("policy");
    assert_refused(
        &run(1, &["distill", arg(&dir), "-o", arg(&below)]),
        &["Not a directory"],
    );
    assert_refused(
        &run(1, &["distill", arg(&dir), "-o", "/proc/illume"]),
        &["/proc/illume"],
    );
}

#[test]
fn arguments_out_of_range_are_refused() {
    let (_folder, dir) = finished(MAZE);
    for (option, value, said) in [
        ("--hidden", "0", "256,256"),
        ("--hidden", "64,many", "256,256"),
        ("--hidden", "", "256,256"),
        ("--hidden", "70000", "65536"),
        ("--episodes", "0", "1.."),
        ("--episodes", "ten", "invalid digit"),
        ("--rounds", "9999", "0..=1000"),
        ("--epochs", "x", "invalid digit"),
        ("--seed", "1.5", "invalid digit"),
        ("--from", "critic", "archive"),
    ] {
        assert_usage(&run(1, &["distill", arg(&dir), option, value]), &[option, said]);
    }
    let ended = run(1, &["distill", arg(&dir), "--hidden", "65536,65536,65536"]);
    assert_refused(&ended, &["--hidden: 85", "weights in training would take", "of memory"]);
    assert!(!dir.join("distilled").exists());
}

#[test]
fn a_descriptor_must_be_one_that_the_task_has() {
    let (_folder, dir) = finished(MAZE);
    let policy = policy(&dir);
    let ask = |text: &str| run(1, &["eval", arg(&policy), "--descriptor", text]);
    ask("100, 100").succeeded();
    for (text, said) in [
        ("100", "2 numbers (for x, y)"),
        ("100,100,1", "2 numbers"),
        ("left,right", "2 numbers"),
        ("", "2 numbers"),
        ("NaN,100", "got NaN"),
        ("inf,100", "got inf"),
        ("-5000,100", "'x' goes from"),
        ("100,5000", "got 5000"),
    ] {
        assert_refused(&ask(text), &["--descriptor", said]);
    }
    assert_refused(
        &run(1, &["eval", arg(&dir), "--descriptor", "100,100"]),
        &["--descriptor", arg(&dir), "illume distill"],
    );
    assert_refused(&run(1, &["eval", arg(&policy), "-o", "x.h5"]), &["--output"]);
}

#[test]
fn an_archive_that_is_gone_or_of_another_task_is_named() {
    let (folder, dir) = finished(MAZE);
    let policy = policy(&dir);
    run(1, &["eval", arg(&policy)]).succeeded();
    let archive = dir.join("archive.h5");
    fs::rename(&archive, folder.path().join("elsewhere.h5")).unwrap();
    assert_refused(
        &run(1, &["eval", arg(&policy)]),
        &[arg(&policy), "not there", "--descriptor"],
    );
    run(1, &["eval", arg(&policy), "--descriptor", "30,40"]).succeeded();

    let other = MAZE
        .replace("hard_maze", "arm")
        .replace("episode_length = 40\n[policy]\nhidden = [4]\n", "");
    let (_other, arm) = finished(&other);
    fs::copy(arm.join("archive.h5"), &archive).unwrap();
    assert_refused(
        &run(1, &["eval", arg(&policy)]),
        &["archive.h5", "\"arm\"", "\"hard_maze\"", "--descriptor"],
    );
}

#[test]
fn damaged_policies_are_refused_by_name() {
    let (_folder, dir) = finished(MAZE);
    let policy = policy(&dir);
    for name in ["policy.json", "policy.safetensors"] {
        let path = policy.join(name);
        let whole = fs::read(&path).unwrap();
        for length in [0, 5, whole.len() / 2, whole.len() - 3] {
            fs::write(&path, &whole[..length]).unwrap();
            for command in [
                vec!["info", arg(&policy)],
                vec!["eval", arg(&policy), "--descriptor", "30,40"],
            ] {
                assert_refused(&run(1, &command), &[arg(&path)]);
            }
        }
        fs::write(&path, &whole).unwrap();
    }
    run(1, &["info", arg(&policy)]).succeeded();
    let other = fs::read_to_string(policy.join("policy.json"))
        .unwrap()
        .replace("hard_maze", "easy_maze");
    fs::write(policy.join("policy.json"), other).unwrap();
    let ended = run(1, &["eval", arg(&policy), "--descriptor", "30,40"]);
    assert_eq!(ended.code(), Some(2), "{ended}");
    assert!(ended.stderr.contains("easy_maze"), "{ended}");
}
