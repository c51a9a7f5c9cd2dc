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

/// Cells and fitness of what was exported.
fn chosen(path: &Path) -> Vec<(i64, f64)> {
    let file = open(path);
    let cells: &[i64] = file.elites.get("cell").unwrap();
    cells
        .iter()
        .copied()
        .zip(file.elites.get::<f64>("fitness").unwrap().to_vec())
        .collect()
}

#[test]
fn conditions_and_cells_choose_elites_in_every_form() {
    for (task, strategy, archive) in [(MAZE, MAP_ELITES, GRID), (ARM, DEEP_GA, CVT)] {
        let folder = folder();
        let dir = finished(folder.path(), task, strategy, archive);
        let here = |name: &str| folder.path().join(name);
        let all = chosen(&dir.join("archive.h5"));
        let mut fitness: Vec<f64> = all.iter().map(|(_, f)| *f).collect();
        fitness.sort_by(f64::total_cmp);
        let median = fitness[fitness.len() / 2];
        let condition = format!("fitness >= {median:?} and not cell == {}", all.last().unwrap().0);
        let cells = format!("{},{}-80", all[0].0, all[1].0);
        let wanted: Vec<(i64, f64)> = all
            .iter()
            .filter(|(cell, f)| *f >= median && *cell != all.last().unwrap().0 && *cell <= 80)
            .copied()
            .collect();
        assert!(wanted.len() > 2 && wanted.len() < all.len() / 2);
        let options = ["--where", &condition, "--cells", &cells, "--force"];
        let h5 = here("some.h5");
        let said = export(&dir, &h5, &options);
        assert_eq!((&said["rows"], &said["elite"]), (&wanted.len().into(), &"some".into()));
        assert_eq!(chosen(&h5), wanted);
        let whole = here("whole.h5");
        export(&dir, &whole, &[]);
        let rows: Vec<usize> = wanted
            .iter()
            .map(|w| all.iter().position(|a| a == w).unwrap())
            .collect();
        let (Genomes::Dense(of_all), Genomes::Dense(of_some)) = (
            open(&whole).genomes(0..all.len()).unwrap(),
            open(&h5).genomes(0..wanted.len()).unwrap(),
        ) else {
            panic!("genomes are decoded");
        };
        let dim = of_all.dim;
        for (i, row) in rows.iter().enumerate() {
            assert_eq!(
                of_some.data[i * dim..(i + 1) * dim],
                of_all.data[row * dim..(row + 1) * dim]
            );
        }
        let (csv, npz) = (here("some.csv"), here("some.npz"));
        export(&dir, &csv, &options);
        export(&dir, &npz, &[&options[..], &["--genomes"]].concat());
        check(&h5, None, &[csv, npz, h5.clone()]);
        for command in [
            &["info"][..],
            &["eval"],
            &["plot"],
            &["export", "-o", arg(&here("again.csv"))],
        ] {
            run(1, &[&[command[0], arg(&h5)], &command[1..]].concat()).succeeded();
        }
        let repertoire = here("repertoire");
        let said = export(&dir, &repertoire, &[&options[..], &["--form", "qdax"]].concat());
        let script = "import sys, h5py, numpy as np\n\
                      a = {n: np.load(f'{sys.argv[1]}/{n}.npy') for n in ('genotypes', 'fitnesses', 'descriptors', 'centroids')}\n\
                      e, cells = (f := h5py.File(sys.argv[2]))['elites'], f['cells'].attrs['count']\n\
                      assert all(v.dtype == np.float32 and len(v) == cells for v in a.values()) and a['fitnesses'].shape == (cells, 1)\n\
                      at = e['cell'][:]\n\
                      assert np.array_equal(np.flatnonzero(a['fitnesses'][:, 0] != -np.inf), at)\n\
                      assert np.array_equal(a['genotypes'][at], e['genome'][:]) and not np.delete(a['genotypes'], at, 0).any()\n\
                      assert np.array_equal(a['fitnesses'][at, 0], e['fitness'][:].astype('f4'))\n\
                      assert np.array_equal(a['descriptors'][at], e['descriptor'][:].astype('f4'))\n\
                      print(sum(v.nbytes + 128 for v in a.values()))\n";
        let mut python = python();
        python.args(["-c", script, arg(&repertoire), arg(&h5)]);
        assert_eq!(
            said["bytes"],
            run_command(python).succeeded().trim().parse::<u64>().unwrap()
        );
    }
}
