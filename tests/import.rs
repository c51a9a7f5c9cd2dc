//! Archives of other programs become ours and come back as they were: recorded ones of pyribs, QDax and pymap_elites (tests/data/interop, written by
//! `tools/check_interop.py record`), and our own exports.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::refused::{assert_refused, finished};
use common::{arg, assert_equal_tables, folder, open, python, run, run_command, write_config};
use illume::core::Genomes;
use serde_json::Value;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data/interop")
        .join(name)
}

#[track_caller]
fn json(arguments: &[&str]) -> Value {
    let text = run(1, &[arguments, &["--json"]].concat()).succeeded();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

/// What `illume import --json` says.
#[track_caller]
fn import(source: &Path, target: &Path, options: &[&str]) -> Value {
    json(&[&["import", arg(source), "-o", arg(target)], options].concat())
}

#[track_caller]
fn export(source: &Path, target: &Path, options: &[&str]) -> Value {
    json(&[&["export", arg(source), "-o", arg(target)], options].concat())
}

const PYRIBS_BOUNDS: [&str; 6] = ["--bounds", "-1,1", "--bounds", "-2,2", "--qd-offset", "10"];

/// Compares what was exported with the recorded frame, in pandas: `solution` in f32, which is what genomes are.
const SAME_FRAME: &str = "import sys, numpy as np, pandas\n\
    def frame(path):\n    \
        if path.endswith('.csv'):\n        return pandas.read_csv(path)\n    \
        arrays, columns = np.load(path), {}\n    \
        for name in arrays:\n        \
            if arrays[name].ndim == 1 and name not in ('axes', 'operators'): columns[name] = arrays[name]\n        \
            if arrays[name].ndim == 2: columns.update({f'{name}_{i}': column for i, column in enumerate(arrays[name].T)})\n    \
        return pandas.DataFrame(columns)\n\
    before, after = frame(sys.argv[1]).sort_values('index').reset_index(drop=True), frame(sys.argv[2])\n\
    for name in before:\n    \
        a, b = before[name].to_numpy(), after[name].to_numpy()\n    \
        if name.startswith('solution'): a, b = a.astype('f4'), b.astype('f4')\n    \
        assert np.array_equal(a, b), name\n\
    if sys.argv[2].endswith('.csv'): assert list(after)[:6] == list(before)[:6] and list(after)[-1] == 'index', list(after)\n\
    print('equal', len(after))\n";

#[track_caller]
fn assert_same_frame(before: &Path, after: &Path, rows: usize) {
    let mut python = python();
    python.args(["-c", SAME_FRAME, arg(before), arg(after)]);
    assert_eq!(run_command(python).succeeded().trim(), format!("equal {rows}"));
}

#[test]
fn frames_of_pyribs_come_back_equal_and_count_what_pyribs_counts() {
    let folder = folder();
    let here = |name: &str| folder.path().join(name);
    let recorded: Value = serde_json::from_str(&fs::read_to_string(data("pyribs.json")).unwrap()).unwrap();
    let centroids = data("pyribs_centroids.npy");
    let divisions: [&[&str]; 2] = [&["--grid", "8x12"], &["--centroids", arg(&centroids)]];
    for ((kind, source), division) in [("grid", "pyribs_grid.csv"), ("cvt", "pyribs_cvt.npz")]
        .into_iter()
        .zip(divisions)
    {
        let ours = here(&format!("{kind}.h5"));
        let said = import(&data(source), &ours, &[division, &PYRIBS_BOUNDS].concat());
        let (stats, about) = (&recorded[kind], json(&["info", arg(&ours)]));
        let elites = stats["num_elites"].as_u64().unwrap() as usize;
        assert_eq!(
            (&said["elites"], &said["rows"], &said["archive"]),
            (&elites.into(), &elites.into(), &kind.into())
        );
        // The CVT's solutions are f64, those of the grid f32.
        assert_eq!(said["rounded_genes"].as_u64().unwrap() > 0, kind == "cvt", "{said}");
        assert_eq!(
            (&about["coverage"], &about["max_fitness"]),
            (&stats["coverage"], &stats["obj_max"])
        );
        for (ours, theirs) in [("qd_score", "qd_score"), ("mean_fitness", "obj_mean")] {
            let [a, b] = [&about[ours], &stats[theirs]].map(|x| x.as_f64().unwrap());
            assert!((a - b).abs() < 1e-12 * b.abs(), "{ours}: {a}, pyribs {b}");
        }
        for ending in ["csv", "npz"] {
            let (back, again) = (here(&format!("back.{ending}")), here(&format!("again.{ending}")));
            let options = ["--names", "pyribs", "--genomes", "--force"];
            export(&ours, &back, &options);
            assert_same_frame(&data(source), &back, elites);
            // Ours, read once more, gives the same bytes.
            let twice = here("twice.h5");
            import(&back, &twice, &[division, &PYRIBS_BOUNDS, &["--force"]].concat());
            export(&twice, &again, &options);
            assert!(fs::read(&back).unwrap() == fs::read(&again).unwrap(), "{kind} {ending}");
        }
    }
    // Further fields stay.
    let elites = open(&here("grid.h5")).elites;
    assert_eq!(
        (elites.find("age").unwrap().width, elites.find("path").unwrap().width),
        (1, 3)
    );
    assert!(elites.find("threshold").is_none());
}

#[test]
fn a_repertoire_of_qdax_comes_back_byte_for_byte() {
    let folder = folder();
    let (ours, back) = (folder.path().join("archive.h5"), folder.path().join("back"));
    let said = import(
        &data("qdax"),
        &ours,
        &["--bounds=-1,1", "--bounds=0,3", "--axes", "speed,height", "--exact"],
    );
    assert_eq!(
        (&said["archive"], &said["cells"], &said["genome_dim"]),
        (&"cvt".into(), &48.into(), &5.into())
    );
    assert_eq!(said["notes"], Value::Array(Vec::new()), "{said}");
    assert_eq!(json(&["info", arg(&ours)])["descriptor"][1]["name"], "height");
    let said = export(&ours, &back, &["--form", "qdax"]);
    assert_eq!(said["notes"], Value::Array(Vec::new()), "nothing is rounded: {said}");
    for name in ["genotypes.npy", "fitnesses.npy", "descriptors.npy", "centroids.npy"] {
        assert!(
            fs::read(data("qdax").join(name)).unwrap() == fs::read(back.join(name)).unwrap(),
            "{name}"
        );
    }
    // The cells of a grid of ours have their middles as centroids, and elites that share one compete.
    let grid = folder.path().join("grid.h5");
    let said = import(
        &data("qdax"),
        &grid,
        &["--grid", "4x3", "--bounds=-1,1", "--bounds=0,3"],
    );
    assert_eq!((&said["archive"], &said["cells"]), (&"grid".into(), &12.into()));
    assert!(
        said["elites"].as_u64().unwrap() <= 12 && said["notes"].to_string().contains("left out"),
        "{said}"
    );
}

#[test]
fn an_archive_of_pymap_elites_lies_in_its_own_niches() {
    let folder = folder();
    let ours = folder.path().join("imported");
    let source = data("pymap/archive_400.dat");
    let lines = fs::read_to_string(&source).unwrap().lines().count();
    let said = import(&source, &ours, &[]);
    assert_eq!(
        (&said["elites"], &said["cells"], &said["genome_dim"]),
        (&lines.into(), &60.into(), &4.into())
    );
    assert!(
        said["rounded_genes"].as_u64().unwrap() > 0 && said["notes"].to_string().contains("rounding"),
        "{said}"
    );
    assert!(
        !said["notes"].to_string().contains("although"),
        "each lies in the cell of its niche: {said}"
    );
    let file = open(&ours.join("archive.h5"));
    assert_eq!((file.spec.axes[0].lower, file.spec.axes[1].upper), (0.0, 1.0));
    let exact = ["import", arg(&source), "-o", arg(&ours), "--force", "--exact"];
    assert_refused(&run(1, &exact), &[arg(&source), "--exact", "no numbers of 32 bits"]);
    // Without centroids the archive of other cells takes them.
    let alone = folder.path().join("archive_1.dat");
    fs::copy(&source, &alone).unwrap();
    let grid = folder.path().join("grid.h5");
    let said = import(&alone, &grid, &["--grid", "5x5", "--axes", "x,y"]);
    assert_eq!((&said["archive"], &said["cells"]), (&"grid".into(), &25.into()));
}

const MAZE: &str = "seed = 3\n[task]\nname = \"hard_maze\"\nepisode_length = 40\n[policy]\nhidden = [4]\n[strategy]\n\
                    name = \"map_elites\"\nbatch = 30\niso_sigma = 0.3\n[archive]\nshape = [20, 20]\n[budget]\ngenerations = 3\n";

#[test]
fn our_exports_are_read_back_as_they_were() {
    let cvt = MAZE.replace("shape = [20, 20]", "kind = \"cvt\"\ncells = 60\nsamples = 600");
    let novelty = MAZE
        .replace(
            "\"map_elites\"\nbatch = 30\niso_sigma = 0.3",
            "\"ga_ns\"\npopulation = 30\nparents = 5",
        )
        .replace("shape = [20, 20]", "kind = \"unstructured\"\nprobability = 0.5");
    for text in [MAZE, &cvt, &novelty] {
        let (folder, dir) = finished(text);
        let here = |name: &str| folder.path().join(name);
        let dense = here("dense.h5");
        export(&dir, &dense, &[]);
        let names: [(&str, &[&str]); 3] = [
            ("elites.npz", &["--genomes"]),
            ("pyribs.npz", &["--genomes", "--names", "pyribs"]),
            ("pyribs.csv", &["--genomes", "--names", "pyribs"]),
        ];
        for (name, options) in names {
            let (exported, ours) = (here(name), here("ours.h5"));
            export(&dir, &exported, options);
            let said = import(&exported, &ours, &["--like", arg(&dir), "--exact", "--force"]);
            assert_eq!(said["notes"], Value::Array(Vec::new()), "{said}");
            let (before, after) = (open(&dense), open(&ours));
            assert_eq!(before.spec, after.spec);
            assert_equal_tables(&before.elites, &after.elites, name);
            assert_eq!(before.attributes.operators, after.attributes.operators);
            let n = before.rows();
            let [a, b] = [&before, &after].map(|file| match file.genomes(0..n).unwrap() {
                Genomes::Dense(dense) => dense.data,
                _ => panic!("genomes are decoded"),
            });
            assert!(a == b, "{name}");
            let again = here("again").join(name);
            fs::create_dir_all(again.parent().unwrap()).unwrap();
            export(&ours, &again, &[options, &["--force"]].concat());
            // Observations' statistics are the run's, not the elites'.
            assert!(fs::read(&exported).unwrap() == fs::read(&again).unwrap(), "{name}");
            let evaluated = json(&["eval", arg(&ours)]);
            assert_eq!(evaluated["identical"], evaluated["elites"], "{name}");
        }
    }
}

/// As if the elites were of another program: no cells of ours, no configuration of the run.
#[test]
fn with_a_task_imported_elites_are_evaluated_replayed_and_distilled() {
    let (folder, dir) = finished(MAZE);
    let here = |name: &str| folder.path().join(name);
    let (frame, repertoire) = (here("frame.csv"), here("repertoire"));
    export(&dir, &frame, &["--names", "pyribs", "--genomes"]);
    export(&dir, &repertoire, &["--form", "qdax"]);
    let config = write_config(folder.path(), MAZE);
    let by_name = [
        "--task",
        "hard_maze",
        "--set",
        "task.episode_length=40",
        "--set",
        "policy.hidden=[4]",
    ];
    let cases: [(&str, &Path, &[&str]); 3] = [
        ("configured", &frame, &["--task", arg(&config)]),
        ("named", &frame, &[&by_name[..], &["--grid", "20x20"]].concat()),
        ("repertoire", &repertoire, &by_name),
    ];
    for (name, source, options) in cases {
        let imported = here(name);
        let said = import(source, &imported, options);
        assert_eq!(
            (&said["task"], &said["cells"]),
            (&"hard_maze".into(), &400.into()),
            "{said}"
        );
        let evaluated = json(&["eval", arg(&imported), "--episodes", "1"]);
        // The repertoire has neither seeds nor f64, but the maze is the same for every seed.
        let identical = if name == "repertoire" {
            0
        } else {
            evaluated["elites"].as_u64().unwrap()
        };
        assert!(
            evaluated["identical"].as_u64().unwrap() >= identical,
            "{name}: {evaluated}"
        );
        json(&[
            "replay",
            arg(&imported),
            "--elite",
            "best",
            "-o",
            arg(&here(&format!("{name}.png"))),
        ]);
        run(1, &["plot", arg(&imported)]).succeeded();
        let quick = ["--epochs", "1", "--rounds", "0", "--hidden", "4", "--episodes", "1"];
        run(1, &[&["distill", arg(&imported)], &quick[..]].concat()).succeeded();
        let policy = imported.join("distilled");
        run(1, &["eval", arg(&policy), "--episodes", "1"]).succeeded();
        run(1, &["eval", arg(&policy), "--descriptor", "100,100"]).succeeded();
    }
}

#[test]
fn without_a_task_everything_works_but_what_needs_one() {
    let folder = folder();
    let dir = folder.path().join("imported");
    import(&data("qdax"), &dir, &["--bounds=-1,1", "--bounds=0,3"]);
    let about = json(&["info", arg(&dir)]);
    assert_eq!(
        (&about["task"], &about["strategy"]),
        (&"unknown".into(), &"imported".into())
    );
    run(1, &["plot", arg(&dir)]).succeeded();
    for name in ["a.csv", "a.npz", "a.h5"] {
        export(&dir, &folder.path().join(name), &[]);
    }
    for command in ["eval", "distill", "replay"] {
        assert_refused(
            &run(1, &[command, arg(&dir)]),
            &[arg(&dir), "imported without a task", "--task"],
        );
    }
    assert_refused(&run(1, &["resume", arg(&dir)]), &[arg(&dir), "no checkpoint.h5"]);
}
