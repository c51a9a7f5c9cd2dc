//! Archives can be used without Rust: h5py, pandas and xarray open them, and a few lines of numpy decode their lineages.

mod common;

use std::path::{Path, PathBuf};

use common::{arg, folder, open, python, run, run_command, write_config};
use illume::core::Genomes;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(name)
}

/// Runs a script of ours on files; gives what it printed.
fn check(name: &str, files: &[&Path]) -> String {
    let mut command = python();
    command.arg(script(name)).args(files);
    run_command(command).succeeded()
}

fn finished(folder: &Path, text: &str) -> PathBuf {
    let dir = folder.join("run");
    run(1, &["run", arg(&write_config(folder, text)), "--out", arg(&dir)]).succeeded();
    dir
}

const MAP_ELITES: &str = "name = \"map_elites\"\nbatch = 150\niso_sigma = 0.05";
const DEEP_GA: &str = "name = \"deep_ga\"\npopulation = 150\nparents = 9\nsigma = 0.05";
const OPENAI_ES: &str = "name = \"openai_es\"\npopulation = 40\nsigma = 0.1\nlearning_rate = 0.1";
const GRID: &str = "shape = [20, 30]";
const CVT: &str = "kind = \"cvt\"\ncells = 200\nsamples = 2000";

fn config(task: &str, strategy: &str, archive: &str, output: &str) -> String {
    format!(
        "seed = 9223372036854775807\n[task]\n{task}\n[strategy]\n{strategy}\n[archive]\n{archive}\n\
         [budget]\ngenerations = 12\n[output]\n{output}\n"
    )
}

#[test]
fn archives_and_checkpoints_open_in_h5py_pandas_and_xarray_as_documented() {
    let arm = "name = \"arm\"\njoints = 15";
    let maze = "name = \"hard_maze\"\nepisode_length = 60";
    for (task, strategy, archive, output) in [
        (arm, MAP_ELITES, GRID, ""),
        (arm, MAP_ELITES, CVT, "compress = 6"),
        (arm, DEEP_GA, GRID, "compress = 1"),
        (maze, DEEP_GA, CVT, ""),
        (maze, OPENAI_ES, GRID, ""),
        (maze, MAP_ELITES, CVT, "history_rows = 4"),
    ] {
        let folder = folder();
        let dir = finished(folder.path(), &config(task, strategy, archive, output));
        let (archive, checkpoint) = (dir.join("archive.h5"), dir.join("checkpoint.h5"));
        let said = check("check_archive.py", &[&archive, &checkpoint]);
        assert_eq!(said.matches("checked").count(), 2, "{said}");
    }
}

/// Noisy tasks among them, so that elites move to other cells and spreads are not zero.
#[test]
fn the_totals_of_an_evaluation_are_those_of_its_columns() {
    let noisy = "name = \"sphere\"\ndim = 6\nfitness_noise = 5.0\ndescriptor_noise = 4.0";
    #[cfg(feature = "mujoco")]
    let hopper = "name = \"hopper_uni\"\nepisode_length = 40\nreset_noise_scale = 0.1\n[policy]\nhidden = [8]";
    for (task, archive) in [
        ("name = \"arm\"\njoints = 15", CVT),
        (noisy, "shape = [8, 8]"),
        #[cfg(feature = "mujoco")]
        (hopper, "shape = [50]"),
        #[cfg(feature = "mujoco")]
        (
            hopper,
            "kind = \"cvt\"\ncells = 60\nsamples = 600\noutside = \"reject\"",
        ),
    ] {
        let folder = folder();
        let dir = finished(folder.path(), &config(task, MAP_ELITES, archive, ""));
        run(1, &["eval", arg(&dir), "--episodes", "4"]).succeeded();
        let said = check(
            "check_evaluation.py",
            &[&format_page(), &dir.join("archive.h5"), &dir.join("eval.h5")],
        );
        assert!(said.contains("checked"), "{said}");
    }
}

#[test]
fn lineages_decode_from_the_file_alone() {
    let folder = folder();
    let dir = finished(folder.path(), &config("name = \"arm\"\njoints = 70", DEEP_GA, GRID, ""));
    let said = check("decode_lineages.py", &[&dir.join("archive.h5")]);
    assert!(said.contains("decoded"), "{said}");
}

fn format_page() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/format.md")
}

/// The first Python block of docs/format.md.
fn documented_reader() -> String {
    let page = std::fs::read_to_string(format_page()).unwrap();
    let (_, rest) = page
        .split_once("```python\n")
        .expect("docs/format.md shows a reader in Python");
    rest.split_once("```").unwrap().0.to_string()
}

#[test]
fn the_documented_reader_runs() {
    let folder = folder();
    for strategy in [MAP_ELITES, DEEP_GA] {
        let _ = std::fs::remove_dir_all(folder.path().join("run"));
        let dir = finished(folder.path(), &config("name = \"arm\"", strategy, GRID, ""));
        let mut command = python();
        command.args(["-c", &documented_reader(), arg(&dir.join("archive.h5"))]);
        let said = run_command(command).succeeded();
        let info = run(1, &["info", arg(&dir), "--json"]).succeeded();
        let info: serde_json::Value = serde_json::from_str(&info).unwrap();
        for part in ["arm", "coverage", "QD score", "best"] {
            assert!(said.contains(part), "{part} in: {said}");
        }
        assert!(said.contains("its genes") == (strategy == MAP_ELITES), "{said}");
        let score: f64 = said
            .split("QD score ")
            .nth(1)
            .unwrap()
            .split_whitespace()
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(
            (score - info["qd_score"].as_f64().unwrap()).abs() < 1e-6,
            "{said} {info}"
        );
    }
    assert!(
        documented_reader().lines().filter(|l| !l.trim().is_empty()).count() <= 12,
        "a short reader"
    );
}

#[test]
fn the_documented_decoder_gives_our_genes_bit_for_bit() {
    let folder = folder();
    for noise in ["", "\nnoise = \"table\"\nnoise_table = 10000"] {
        let _ = std::fs::remove_dir_all(folder.path().join("run"));
        let strategy = format!("{DEEP_GA}{noise}");
        let dir = finished(
            folder.path(),
            &config("name = \"arm\"\njoints = 70", &strategy, GRID, ""),
        );
        let (archive, genes) = (dir.join("archive.h5"), folder.path().join("genes.f32"));
        let file = open(&archive);
        let Genomes::Lineage(lineages) = file.genomes(0..file.rows()).unwrap() else {
            panic!("lineages")
        };
        let said = illume::Config::parse(&file.attributes.config, "test", &[]).unwrap();
        let task = illume::registry::task(&said).unwrap();
        let decoder = illume::decoder(&said, task.spec()).unwrap();
        assert_eq!(decoder.table.is_some(), !noise.is_empty());
        let (mut bytes, mut row) = (Vec::new(), Vec::new());
        for i in 0..lineages.rows() {
            let (streams, scales) = lineages.row(i);
            decoder.decode(streams, scales, &mut row);
            bytes.extend(row.iter().flat_map(|x| x.to_le_bytes()));
        }
        std::fs::write(&genes, bytes).unwrap();
        let said = check("decode_documented.py", &[&format_page(), &archive, &genes]);
        assert!(said.contains("equal bit for bit"), "{said}");
    }
}
