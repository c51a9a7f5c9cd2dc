//! What `illume import` and the conditions of `illume export` refuse: one sentence, exit code 2, nothing written.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::refused::{GOOD, assert_refused, assert_says, finished};
use crate::common::{arg, folder, run};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/interop")
        .join(name)
}

const BOUNDS: [&str; 4] = ["--bounds", "-1,1", "--bounds", "-2,2"];

#[test]
fn what_cannot_be_imported_is_refused_in_one_sentence() {
    let (folder, dir) = finished(GOOD);
    let here = |name: &str| folder.path().join(name);
    let (frame, cvt, qdax, pymap) = (
        data("pyribs_grid.csv"),
        data("pyribs_cvt.npz"),
        data("qdax"),
        data("pymap/archive_400.dat"),
    );
    let (missing, toml, archive) = (here("none.csv"), here("config-given.toml"), dir.join("archive.h5"));
    let wrong: Vec<PathBuf> = [
        ("no_measures.csv", "solution_0,objective\n1,2\n"),
        ("nan.csv", "objective,measures_0,measures_1,index\n,0.5,0.5,0\n"),
        ("infinite.csv", "objective,measures_0,measures_1\n1,inf,0\n"),
        ("ragged.csv", "objective,measures_0\n1,2\n1,2,3\n"),
        ("header.csv", "objective,measures_0\n"),
        ("large.csv", "solution_0,objective,measures_0,measures_1\n1e300,1,0,0\n"),
        ("text.npz", "no zip"),
        ("ragged.dat", "1 0.5 0.5 0.25 0.5 1\n1 0.5\n"),
    ]
    .iter()
    .map(|(name, text)| {
        fs::write(here(name), text).unwrap();
        here(name)
    })
    .collect();
    let [no_measures, nan, infinite, ragged, header, large, text_npz, ragged_dat] = &wrong[..] else {
        unreachable!()
    };
    let (there, grid) = (here("there.h5"), ["--grid", "8x12"]);
    fs::write(&there, "mine").unwrap();
    let truncated = here("truncated");
    fs::create_dir(&truncated).unwrap();
    for name in ["genotypes.npy", "fitnesses.npy", "descriptors.npy", "centroids.npy"] {
        let bytes = fs::read(qdax.join(name)).unwrap();
        fs::write(truncated.join(name), &bytes[..bytes.len() - 4]).unwrap();
    }
    let centroids = data("pyribs_centroids.npy");
    let with = |options: &[&'static str]| [&grid[..], &BOUNDS, options].concat();
    let cases: Vec<(&Path, Vec<&str>, Vec<&str>)> = vec![
        (&missing, with(&[]), vec![arg(&missing), "No such file"]),
        (&toml, with(&[]), vec![arg(&toml), ".csv", ".npz", ".dat"]),
        (&archive, with(&[]), vec![arg(&archive), "every command opens"]),
        (&dir, with(&[]), vec![arg(&dir), "genotypes.npy", "QDax"]),
        (
            no_measures,
            with(&[]),
            vec![arg(no_measures), "no measures", "this one solution, objective"],
        ),
        (nan, with(&[]), vec![arg(nan), "objective of elite 0"]),
        (infinite, with(&[]), vec![arg(infinite), "measures of elite 0 is inf"]),
        (ragged, with(&[]), vec![arg(ragged), "line 3", "expected 2 fields", "3"]),
        (header, with(&[]), vec![arg(header), "no elites"]),
        (large, with(&[]), vec![arg(large), "gene 0 of elite 0", "32 bits"]),
        (text_npz, with(&[]), vec![arg(text_npz), ".npz"]),
        (ragged_dat, with(&[]), vec![arg(ragged_dat), "line 2", "2 numbers"]),
        (&truncated, with(&[]), vec![arg(&truncated), "truncated"]),
        // What is missing is asked for at once.
        (
            &frame,
            vec![],
            vec![arg(&frame), "--grid", "--centroids", "--like", "--task", "--bounds"],
        ),
        (
            &frame,
            grid.to_vec(),
            vec![arg(&frame), "the bounds of its axes", "--bounds LOW,HIGH"],
        ),
        (&qdax, vec![], vec![arg(&qdax), "the bounds of its axes", "--bounds"]),
        (
            &frame,
            [&["--grid", "12x8"][..], &BOUNDS].concat(),
            vec![arg(&frame), "outside of the cell", "--relocate"],
        ),
        (
            &frame,
            [&["--grid", "3x3"][..], &BOUNDS].concat(),
            vec![arg(&frame), "there are 9", "--relocate"],
        ),
        (
            &frame,
            [&["--grid", "96"][..], &BOUNDS].concat(),
            vec![arg(&frame), "--grid names 1 axes", "2 measures"],
        ),
        (
            &frame,
            [&grid[..], &["--bounds=0,1"; 3]].concat(),
            vec![arg(&frame), "--bounds is given 3 times", "2 measures"],
        ),
        (
            &frame,
            with(&["--axes", "x"]),
            vec![arg(&frame), "--axes has 1 names", "2 measures"],
        ),
        (
            &frame,
            with(&["--task", "arm"]),
            vec![arg(&frame), "6 genes", "\"arm\"", "have 20"],
        ),
        (&frame, with(&["--task", "arn"]), vec!["\"arn\"", "arm"]),
        (
            &frame,
            with(&["--set", "task.joints=6"]),
            vec!["--set task.joints=6", "--task"],
        ),
        (
            &frame,
            vec!["--like", arg(&dir)],
            vec![arg(&frame), "6 genes", "have 20"],
        ),
        (
            &cvt,
            vec!["--centroids", arg(&toml), "--bounds=-2,2"],
            vec![arg(&toml), "is no number"],
        ),
        (
            &cvt,
            vec!["--centroids", arg(&missing), "--bounds=-2,2"],
            vec![arg(&missing), "No such file"],
        ),
        (&pymap, vec!["--centroids", arg(&centroids)], vec![arg(&centroids)]),
        (
            &cvt,
            vec!["--centroids", arg(&centroids), "--bounds=-2,2", "--exact"],
            vec!["--exact", "32 bits"],
        ),
    ];
    let output = here("new.h5");
    for (source, options, parts) in cases {
        let ended = run(
            1,
            &[&["import", arg(source), "-o", arg(&output)], &options[..]].concat(),
        );
        assert_refused(&ended, &parts);
        assert!(!output.exists(), "{options:?}");
    }
    let outputs: [(&Path, &[&str]); 5] = [
        (&dir.join("archive.h5"), &[arg(&dir), "directory of a run"]),
        (&there, &[arg(&there), "there already", "--force"]),
        (&dir, &[arg(&dir), "directory of a run"]),
        (&toml, &[arg(&toml), "ends in .h5, or a folder"]),
        (&here("folder.h5"), &["is a folder"]),
    ];
    fs::create_dir(here("folder.h5")).unwrap();
    for (output, parts) in outputs {
        let ended = run(
            1,
            &[&["import", arg(&frame), "-o", arg(output)], &with(&[])[..]].concat(),
        );
        assert_refused(&ended, parts);
    }
    assert_eq!(fs::read_to_string(&there).unwrap(), "mine");
    let like = here("like.h5");
    fs::copy(dir.join("archive.h5"), &like).unwrap();
    assert_refused(
        &run(
            1,
            &["import", arg(&frame), "--like", arg(&like), "-o", arg(&like), "--force"],
        ),
        &[arg(&like), "is what is to be read"],
    );
    let usage: [(&[&str], &[&str]); 5] = [
        (&["--grid", "8x"], &["--grid", "100x100"]),
        (&["--grid", "8x12", "--bounds", "1,-1"], &["--bounds", "rising"]),
        (&["--grid", "8x12", "--like", "run"], &["--like"]),
        (&["--like", "run", "--task", "arm"], &["--task"]),
        (&["--qd-offset", "much"], &["--qd-offset"]),
    ];
    for (options, parts) in usage {
        let ended = run(1, &[&["import", arg(&frame), "-o", arg(&output)], options].concat());
        assert_eq!(ended.code(), Some(2), "{ended}");
        assert_says(&ended.stderr, parts);
    }
}

#[test]
fn elites_that_cannot_be_exported_are_refused_in_one_sentence() {
    let (folder, dir) = finished(GOOD);
    let here = |name: &str| folder.path().join(name);
    let (csv, h5, new) = (here("a.csv"), here("a.h5"), here("repertoire"));
    let file = crate::common::open(&dir.join("archive.h5"));
    let cells = file.elites.get::<i64>("cell").unwrap();
    let free = (0..100).find(|cell| !cells.contains(cell)).unwrap().to_string();
    let text = here("config-given.toml");
    fs::create_dir(here("taken")).unwrap();
    fs::write(here("taken/centroids.npy"), "mine").unwrap();
    let taken = here("taken");
    let cases: [(&Path, &[&str], &[&str]); 15] = [
        (
            &csv,
            &["--where", "fitnes > 1"],
            &["--where", "no column \"fitnes\"", "cell, fitness"],
        ),
        (&csv, &["--where", "fitness >"], &["--where", "got the end"]),
        (
            &csv,
            &["--where", "fitness > 1e9"],
            &["--where", "no elite", "goes from"],
        ),
        (&csv, &["--where", "operator > 'random'"], &["--where", "no order"]),
        (&csv, &["--where", "(fitness > 1"], &["--where", "not closed"]),
        (&csv, &["--where", ""], &["--where", "got the end"]),
        (
            &csv,
            &["--cells", "0-100"],
            &["--cells 0-100", "100 is no cell", "0 to 99"],
        ),
        (&csv, &["--cells", &free], &["--cells", &free, "empty"]),
        (&csv, &["--genomes"], &["--genomes", "--names pyribs"]),
        (
            &h5,
            &["--names", "pyribs"],
            &["--names pyribs", arg(&h5), ".csv or .npz"],
        ),
        (
            &new,
            &["--form", "qdax", "--names", "pyribs"],
            &["--names pyribs", arg(&new)],
        ),
        (&text, &["--form", "qdax"], &[arg(&text), "is a file"]),
        (&taken, &["--form", "qdax"], &[arg(&taken), "centroids.npy", "--force"]),
        (
            &new,
            &["--form", "qdax", "--elite", "solution"],
            &["solution", "map_elites"],
        ),
        (&new, &[], &[arg(&new), "--form qdax"]),
    ];
    for (output, options, parts) in cases {
        let ended = run(1, &[&["export", arg(&dir), "-o", arg(output)], options].concat());
        assert_refused(&ended, parts);
    }
    assert!(!csv.exists() && !h5.exists());
    let usage: [(&[&str], &[&str]); 5] = [
        (&["--cells", "5-3"], &["--cells", "1,5,10-20"]),
        (&["--cells", "all"], &["--cells", "1,5,10-20"]),
        (&["--names", "qdax"], &["--names", "illume, pyribs"]),
        (&["--form", "zarr"], &["--form", "csv"]),
        (&["--elite", "best", "--where", "fitness > 0"], &["--elite"]),
    ];
    for (options, parts) in usage {
        let ended = run(1, &[&["export", arg(&dir), "-o", arg(&csv)], options].concat());
        assert_eq!(ended.code(), Some(2), "{ended}");
        assert_says(&ended.stderr, parts);
    }
    // What has no cells is no repertoire.
    let novelty = "seed = 1\n[task]\nname = \"hard_maze\"\nepisode_length = 10\n[policy]\nhidden = [4]\n[strategy]\nname = \"ga_ns\"\n\
                   population = 20\nparents = 4\n[archive]\nprobability = 0.5\n[budget]\ngenerations = 2\n";
    let (_folder, members) = finished(novelty);
    let ended = run(1, &["export", arg(&members), "-o", arg(&new), "--form", "qdax"]);
    assert_refused(&ended, &[arg(&members), "without cells", ".npz"]);
}

#[test]
fn a_folder_without_rights_is_said_so() {
    let folder = folder();
    let nowhere = folder.path().join("file/archive.h5");
    fs::write(folder.path().join("file"), "").unwrap();
    let source = data("pyribs_grid.csv");
    let command = ["import", arg(&source), "-o", arg(&nowhere), "--grid", "8x12"];
    let ended = run(1, &[&command[..], &BOUNDS].concat());
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(1), 1), "{ended}");
    assert_says(&ended.stderr, &[arg(&nowhere), "Not a directory"]);
}
