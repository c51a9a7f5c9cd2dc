//! What is exported is what the archive holds, for numpy, pandas and every command that reads archives.

mod common;

use std::path::{Path, PathBuf};

use common::{arg, folder, open, python, run, run_command, write_config};
use illume::core::Genomes;
use serde_json::Value;

fn finished(folder: &Path, task: &str, strategy: &str, archive: &str) -> PathBuf {
    let text =
        format!("seed = 11\n[task]\n{task}\n[strategy]\n{strategy}\n[archive]\n{archive}\n[budget]\ngenerations = 8\n");
    let dir = folder.join("run");
    run(1, &["run", arg(&write_config(folder, &text)), "--out", arg(&dir)]).succeeded();
    dir
}

const ARM: &str = "name = \"arm\"\njoints = 37";
const MAZE: &str = "name = \"hard_maze\"\nepisode_length = 50\n[policy]\nhidden = [8]";
const MAP_ELITES: &str = "name = \"map_elites\"\nbatch = 80\niso_sigma = 0.1";
const DEEP_GA: &str = "name = \"deep_ga\"\npopulation = 80\nparents = 9\nsigma = 0.1";
const OPENAI_ES: &str = "name = \"openai_es\"\npopulation = 20\nnormalize_observations = true";
const GRID: &str = "shape = [15, 15]";
const CVT: &str = "kind = \"cvt\"\ncells = 90\nsamples = 900";

/// What `illume export --json` says.
#[track_caller]
fn export(path: &Path, output: &Path, options: &[&str]) -> Value {
    let text = run(
        1,
        &[&["export", arg(path), "-o", arg(output), "--json"], options].concat(),
    )
    .succeeded();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// Compares the exports of a file with the file, in Python; `row` is that of one elite.
fn check(archive: &Path, row: Option<usize>, outputs: &[PathBuf; 3]) {
    let mut command = python();
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    command
        .arg(tests.join("tests/python/check_export.py"))
        .arg(tests.join("docs/format.md"));
    command
        .arg(archive)
        .arg(row.map_or("-1".into(), |row| row.to_string()))
        .args(outputs);
    let said = run_command(command).succeeded();
    assert!(said.contains("checked"), "{said}");
}

fn outputs(folder: &Path) -> [PathBuf; 3] {
    ["csv", "npz", "h5"].map(|ending| folder.join("exported").with_extension(ending))
}

#[test]
fn exports_hold_what_the_archive_holds_and_lineages_are_decoded_as_documented() {
    for (task, strategy, archive) in [(ARM, DEEP_GA, GRID), (ARM, MAP_ELITES, CVT), (MAZE, MAP_ELITES, GRID)] {
        let folder = folder();
        let dir = finished(folder.path(), task, strategy, archive);
        let outputs = outputs(folder.path());
        let elites = open(&dir.join("archive.h5")).rows();
        for (output, options) in outputs.iter().zip([&[][..], &["--genomes"], &[]]) {
            let said = export(&dir, output, options);
            assert_eq!(said["rows"], elites);
            assert_eq!(said["genomes"], output.extension().unwrap() != "csv");
            assert_eq!(said["bytes"], output.metadata().unwrap().len());
        }
        check(&dir.join("archive.h5"), None, &outputs);
        let row = elites / 2;
        let cell = open(&dir.join("archive.h5")).elites.get::<i64>("cell").unwrap()[row].to_string();
        for output in &outputs {
            let genomes: &[&str] = if output.extension().unwrap() == "npz" {
                &["--genomes"]
            } else {
                &[]
            };
            export(
                &dir.join("checkpoint.h5"),
                output,
                &[&["--force", "--elite", &cell], genomes].concat(),
            );
        }
        check(&dir.join("archive.h5"), Some(row), &outputs);
    }
}

#[test]
fn an_exported_archive_is_read_by_every_command_like_the_one_it_comes_from() {
    let folder = folder();
    let dir = finished(folder.path(), MAZE, DEEP_GA, CVT);
    let output = folder.path().join("dense.h5");
    export(&dir, &output, &[]);
    let json = |command: &str, path: &Path| -> Value {
        let text = run(1, &[command, arg(path), "--json"]).succeeded();
        serde_json::from_str(&text).unwrap()
    };
    for (command, own) in [("info", &["genome_form"][..]), ("eval", &["file", "archive"])] {
        let [before, after] = [&dir, &output].map(|path| {
            let mut said = json(command, path);
            let differing = own.iter().map(|name| said[name].take()).collect::<Vec<_>>();
            (said, differing)
        });
        assert_eq!(before.0, after.0);
        assert!(
            before.1.iter().zip(&after.1).all(|(a, b)| a != b),
            "{before:?} {after:?}"
        );
        if command == "eval" {
            assert_eq!(after.0["identical"], after.0["elites"]);
        }
    }
    let replayed = json("replay", &output);
    assert_eq!(
        (&replayed["elite"], &replayed["identical"]),
        (&"solution".into(), &true.into())
    );
    run(1, &["plot", arg(&output)]).succeeded();
    let genomes = open(&output).genomes(0..1).unwrap();
    assert!(matches!(genomes, Genomes::Dense(_)));
    let again = folder.path().join("again.h5");
    export(&output, &again, &[]);
    common::assert_equal_files(&output, &again);
}

#[test]
fn the_solution_and_the_statistics_of_observations_are_exported_with_it() {
    let folder = folder();
    let dir = finished(folder.path(), MAZE, OPENAI_ES, GRID);
    let [csv, npz, h5] = outputs(folder.path());
    for options in [&["--elite", "solution"][..], &["--force"]] {
        let said = export(&dir, &npz, &[&["--genomes"], options].concat());
        let script = "import sys, h5py, numpy as np\n\
                      a, f = np.load(sys.argv[1]), h5py.File(sys.argv[2])\n\
                      s = f['solution']\n\
                      for name in ('observation_mean', 'observation_sd', 'observation_clip'):\n    \
                      assert np.array_equal(a[name].ravel(), s[name][:].ravel()), name\n\
                      rows = s['genome'][:] if len(a['fitness']) == 1 and 'cell' not in a else f['elites/genome'][:]\n\
                      assert np.array_equal(a['genome'], rows)\n\
                      print(len(rows))\n";
        let mut python = python();
        python.args(["-c", script, arg(&npz), arg(&dir.join("archive.h5"))]);
        let rows: u64 = run_command(python).succeeded().trim().parse().unwrap();
        assert_eq!(said["rows"], rows);
    }
    export(&dir, &csv, &["--elite", "solution"]);
    let text = std::fs::read_to_string(&csv).unwrap();
    assert!(
        text.starts_with("fitness,observation_mean_1,observation_mean_2,"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 2);
    export(&dir, &h5, &[]);
    let (before, after) = (open(&dir.join("archive.h5")), open(&h5));
    let columns = |file: &illume::archives::file::ArchiveFile| {
        let solution = file.solution().unwrap().unwrap();
        let mut columns = solution.columns().to_vec();
        columns.sort_by(|a, b| a.name.cmp(&b.name));
        columns.into_iter().map(|c| (c.name, c.data)).collect::<Vec<_>>()
    };
    assert_eq!(columns(&before), columns(&after));
}
