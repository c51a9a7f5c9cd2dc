//! What `illume replay` and `illume export` refuse: one sentence, exit code 2, nothing written and nothing lost.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::refused::{Disk, GOOD, assert_refused, assert_says, contents, finished};
use crate::common::{arg, edit_h5, run, temporaries};

const MAZE: &str = "seed = 1\n[task]\nname = \"hard_maze\"\nepisode_length = 20\n[policy]\nhidden = [4]\n[strategy]\n\
                    name = \"map_elites\"\nbatch = 20\niso_sigma = 0.3\n[archive]\nshape = [20, 20]\n[budget]\ngenerations = 2\n";

/// An archive of no elites.
fn emptied(dir: &Path) -> PathBuf {
    let path = dir.with_file_name("empty.h5");
    fs::copy(dir.join("archive.h5"), &path).unwrap();
    edit_h5(
        &path,
        "names = f['elites/operator'].attrs['operators']\n    \
         for n in ['cell', 'fitness', 'descriptor', 'generation', 'operator', 'seed', 'parents', 'genome']:\n        \
         d = f['elites'][n][:0]; del f['elites'][n]; f['elites'][n] = d\n    \
         f['elites/operator'].attrs['operators'] = names",
    );
    path
}

/// A cell without an elite.
fn free_cell(dir: &Path) -> String {
    let file = crate::common::open(&dir.join("archive.h5"));
    let cells = file.elites.get::<i64>("cell").unwrap();
    (0..400).find(|cell| !cells.contains(cell)).unwrap().to_string()
}

#[test]
fn what_cannot_be_replayed_is_refused_in_one_sentence() {
    let (folder, dir) = finished(MAZE);
    let before = contents(&dir);
    let here = |name: &str| folder.path().join(name);
    let (missing, text) = (here("none"), here("config-given.toml"));
    let (jpg, bare, gif, png) = (here("a.jpg"), here("animation"), here("a.gif"), here("a.png"));
    let (free, empty) = (free_cell(&dir), emptied(&dir));
    let cases: [(&[&str], &[&str]); 14] = [
        (&[arg(&missing)], &[arg(&missing), "No such file"]),
        (&[arg(&text)], &[arg(&text), "not an HDF5 file"]),
        (&[arg(folder.path())], &[arg(folder.path()), "archive.h5"]),
        (&[arg(&empty)], &[arg(&empty), "empty"]),
        (&[arg(&empty), "--gallery", "2x2"], &[arg(&empty), "empty"]),
        (&[arg(&dir), "-o", arg(&jpg)], &[arg(&jpg), ".gif", ".png"]),
        (&[arg(&dir), "-o", arg(&bare)], &[arg(&bare), ".gif", ".png"]),
        (&[arg(&dir), "--elite", "400"], &["--elite 400", "0 to 399"]),
        (&[arg(&dir), "--elite", &free], &["--elite", &free, "empty", "nearest"]),
        (
            &[arg(&dir), "--elite", "solution"],
            &["--elite solution", "map_elites", "best"],
        ),
        (
            &[arg(&dir), "--frames", "3", "-o", arg(&gif)],
            &["--frames", ".png", arg(&gif)],
        ),
        (
            &[arg(&dir), "--speed", "3", "-o", arg(&png)],
            &["--speed", ".gif", arg(&png)],
        ),
        (
            &[arg(&dir), "--speed", "9", "--every", "1"],
            &["225 frames", "50", "--every"],
        ),
        (
            &[arg(&dir), "--descriptor", "1,2"],
            &["--descriptor 1,2", "'x'", "3 to 195"],
        ),
    ];
    for (arguments, parts) in cases {
        assert_refused(&run(1, &[&["replay"], arguments].concat()), parts);
    }
    let usage: [(&[&str], &[&str]); 6] = [
        (&["--elite", "first"], &["--elite", "best, solution or the number"]),
        (&["--seed", "-1"], &["-1"]),
        (&["--every", "0"], &["--every", "0"]),
        (&["--scale", "99"], &["--scale", "99", "1..=32"]),
        (&["--speed", "0"], &["--speed", "0.01 to 100"]),
        (&["--episode-steps", "0"], &["--episode-steps"]),
    ];
    for (arguments, parts) in usage {
        let ended = run(1, &[&["replay", arg(&dir)], arguments].concat());
        assert_eq!(ended.code(), Some(2), "{arguments:?}: {ended}");
        assert_says(&ended.stderr, parts);
    }
    assert!(contents(&dir) == before, "the run was touched");
    for file in [&jpg, &bare, &gif, &png] {
        assert!(!file.exists(), "{}", file.display());
    }
    let nowhere = here("no-such-folder/a.gif");
    let ended = run(1, &["replay", arg(&dir), "-o", arg(&nowhere)]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(1), 1), "{ended}");
    assert_says(&ended.stderr, &[arg(&nowhere), "No such file"]);
}

#[test]
fn a_task_without_frames_says_which_have_them() {
    let (_folder, dir) = finished(GOOD);
    assert_refused(&run(1, &["replay", arg(&dir)]), &["\"arm\"", "no frames", "hard_maze"]);
    assert!(!dir.join("replay.gif").exists());
}

#[test]
fn a_policy_is_replayed_only_if_it_is_asked_for_something() {
    let (_folder, dir) = finished(MAZE);
    let quick = ["--epochs", "1", "--rounds", "0", "--hidden", "4", "--episodes", "1"];
    run(1, &[&["distill", arg(&dir)], &quick[..]].concat()).succeeded();
    let policy = dir.join("distilled");
    let cases: [(&[&str], &[&str]); 4] = [
        (&[], &[arg(&policy), "--descriptor", "x, y"]),
        (&["--descriptor", "4"], &["--descriptor 4", "2 numbers"]),
        (&["--descriptor", "4,900"], &["'y'", "202", "900"]),
        (&["--elite", "best"], &["--elite", "policy", "--descriptor"]),
    ];
    for (arguments, parts) in cases {
        assert_refused(&run(1, &[&["replay", arg(&policy)], arguments].concat()), parts);
    }
    let csv = dir.join("a.csv");
    assert_refused(
        &run(1, &["export", arg(&policy), "-o", arg(&csv)]),
        &[arg(&policy), "policy"],
    );
}

#[test]
fn what_cannot_be_exported_is_refused_in_one_sentence() {
    let (folder, dir) = finished(MAZE);
    let here = |name: &str| folder.path().join(name);
    let (missing, text, csv, npz) = (here("none"), here("config-given.toml"), here("a.csv"), here("a.npz"));
    let (sheet, bare, there) = (here("a.xls"), here("elites"), here("there.csv"));
    fs::write(&there, "mine").unwrap();
    let folder_of_that_name = here("folder.h5");
    fs::create_dir(&folder_of_that_name).unwrap();
    let (free, empty) = (free_cell(&dir), emptied(&dir));
    run(1, &["eval", arg(&dir)]).succeeded();
    let (evaluation, archive) = (dir.join("eval.h5"), dir.join("archive.h5"));
    let before = contents(&dir);
    let cases: [(&Path, &Path, &[&str], &[&str]); 14] = [
        (&missing, &csv, &[], &[arg(&missing), "No such file"]),
        (&text, &csv, &[], &[arg(&text), "not an HDF5 file"]),
        (folder.path(), &csv, &[], &[arg(folder.path()), "archive.h5"]),
        (&evaluation, &csv, &[], &[arg(&evaluation), "is an evaluation"]),
        (&empty, &csv, &[], &[arg(&empty), "empty", "nothing to export"]),
        (&dir, &sheet, &[], &[arg(&sheet), ".csv", ".npz", ".h5"]),
        (&dir, &bare, &[], &[arg(&bare), ".csv", ".npz", ".h5"]),
        (&dir, &csv, &["--genomes"], &["--genomes", arg(&csv), ".npz", ".h5"]),
        (&dir, &there, &[], &[arg(&there), "there already", "--force"]),
        (
            &dir,
            &folder_of_that_name,
            &["--force"],
            &[arg(&folder_of_that_name), "is a folder"],
        ),
        (
            &dir,
            &archive,
            &["--force"],
            &[arg(&archive), "is what is to be read", "another name"],
        ),
        (&dir, &npz, &["--elite", &free], &["--elite", &free, "empty"]),
        (&dir, &npz, &["--elite", "77777"], &["--elite 77777", "0 to 399"]),
        (
            &dir,
            &npz,
            &["--elite", "solution"],
            &["--elite solution", "map_elites"],
        ),
    ];
    for (path, output, options, parts) in cases {
        let ended = run(1, &[&["export", arg(path), "-o", arg(output)], options].concat());
        assert_refused(&ended, parts);
    }
    assert!(contents(&dir) == before, "the run was touched");
    assert_eq!(fs::read_to_string(&there).unwrap(), "mine");
    for file in [&csv, &npz, &sheet, &bare] {
        assert!(!file.exists(), "{}", file.display());
    }
    let ended = run(1, &["export", arg(&dir)]);
    assert_eq!(ended.code(), Some(2), "{ended}");
    assert_says(&ended.stderr, &["--output <FILE>"]);
    for name in ["no-such-folder/a.npz", "no-such-folder/a.h5", "no-such-folder/a.csv"] {
        let nowhere = here(name);
        let ended = run(1, &["export", arg(&dir), "-o", arg(&nowhere)]);
        assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(1), 1), "{ended}");
        assert_says(&ended.stderr, &[arg(&nowhere), "No such file"]);
    }
    run(1, &["export", arg(&dir), "-o", arg(&there), "--force"]).succeeded();
    assert!(fs::read_to_string(&there).unwrap().starts_with("cell,fitness,x,y,"));
}

/// The lineages of another task than the configuration's cannot be decoded.
#[test]
fn lineages_that_do_not_fit_their_task_are_refused() {
    let text = GOOD.replace(
        "\"map_elites\"\nbatch = 20",
        "\"deep_ga\"\npopulation = 20\nparents = 4",
    );
    let (folder, dir) = finished(&text);
    let output = folder.path().join("a.npz");
    for (edit, parts) in [
        ("'joints = 20', 'joints = 21'", &["20", "21", "arm"][..]),
        ("'name = \"arm\"', 'name = \"walker\"'", &["walker", "accepted"]),
    ] {
        let other = folder.path().join("other.h5");
        fs::copy(dir.join("archive.h5"), &other).unwrap();
        edit_h5(
            &other,
            &format!("f.attrs['config'] = f.attrs['config'].replace({edit})"),
        );
        let command = ["export", arg(&other), "-o", arg(&output)];
        assert_refused(
            &run(1, &[&command[..], &["--genomes"]].concat()),
            &[&[arg(&other)], parts].concat(),
        );
        assert!(!output.exists());
        // Without genomes nothing is to be decoded.
        run(1, &command).succeeded();
        fs::remove_file(&output).unwrap();
    }
    let h5 = folder.path().join("one.h5");
    let ended = run(1, &["export", arg(&dir), "-o", arg(&h5), "--elite", "solution"]);
    assert_refused(&ended, &[arg(&h5), "solution", ".npz"]);
}

#[test]
fn a_full_disk_leaves_nothing_of_an_animation_or_an_export() {
    let (folder, dir) = finished(&MAZE.replace("hidden = [4]", "hidden = [64]"));
    let Some(disk) = Disk::mount(&folder.path().join("disk"), "size=16k") else {
        return;
    };
    let commands = [
        &["replay", "animation.gif", "--scale", "8"][..],
        &["export", "a.npz", "--genomes"],
        &["export", "a.h5"],
    ];
    for command in commands {
        let target = disk.0.join(command[1]);
        let ended = run(
            1,
            &[&[command[0], arg(&dir), "-o", arg(&target)], &command[2..]].concat(),
        );
        assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(1), 1), "{ended}");
        assert_says(&ended.stderr, &[arg(&target), "space"]);
        assert!(!target.exists() && temporaries(&disk.0).is_empty(), "{command:?}");
    }
}
