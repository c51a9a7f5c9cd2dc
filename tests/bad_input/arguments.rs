//! Wrong arguments, and what several ranks say of one.

use std::fs;

use crate::common::refused::{GOOD, assert_refused, assert_says, finished};
use crate::common::{arg, run};

#[test]
fn wrong_arguments_are_refused() {
    let (folder, dir) = finished(GOOD);
    let missing = folder.path().join("none");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let jpg = folder.path().join("a.jpg");
    let bare = folder.path().join("plot");
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
    let usage: [(&[&str], &[&str]); 8] = [
        (&["run", arg(&config), "--threads", "0"], &["--threads", "0"]),
        (&["run", arg(&config), "--threads", "-2"], &["-2"]),
        (&["run", arg(&config), "--thread", "2"], &["--thread", "--threads"]),
        (&["eval", arg(&dir), "--episodes", "0"], &["--episodes", "0"]),
        (&["plot", arg(&dir), "--axes", "1"], &["--axes 1", "expected 2 axes"]),
        (&["plot", arg(&dir), "--axes", "x,y"], &["--axes", "numbers of axes"]),
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
#[cfg(feature = "mpi")]
fn under_mpirun_a_message_comes_once_and_its_exit_code_from_all() {
    let folder = crate::common::folder();
    let out = folder.path().join("out");
    let mut cases = vec![
        GOOD.replace("arm", "arn"),
        GOOD.replace("[10, 10]", "[10]"),
        GOOD.replace("[task]", "[task"),
    ];
    cases.push(GOOD.replace("batch = 20", "batch = -1"));
    for text in cases {
        let config = crate::common::write_config(folder.path(), &text);
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
