//! `illume plot`: every kind of plot on every kind of archive, sizes on paper, and what cannot be drawn.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::own::{OwnTask, own_archive};
use common::refused::{assert_refused, finished};
use common::{arg, edit_h5, folder, python, run, run_command, write_config};
use illume::core::Status;
use resvg::tiny_skia::Pixmap;
use serde_json::Value;

const KINDS: [&str; 9] = [
    "map",
    "projections",
    "parallel",
    "ccdf",
    "curves",
    "operators",
    "lineage",
    "difference",
    "genes",
];
const MAZE: &str = "seed = 3\n[task]\nname = \"hard_maze\"\nepisode_length = 60\nreward = \"closeness\"\n[policy]\nhidden = [6]\n[strategy]\n\
                    name = \"map_elites\"\nbatch = 40\n[archive]\nshape = [12, 12]\n[budget]\ngenerations = 5\n";

/// Draws it as SVG, with these options.
#[track_caller]
fn svg(paths: &[&Path], options: &[&str]) -> String {
    let folder = folder();
    let to = folder.path().join("plot.svg");
    let paths: Vec<&str> = paths.iter().map(|path| arg(path)).collect();
    run(1, &[&["plot"], &paths[..], &["-o", arg(&to)], options].concat()).succeeded();
    let drawn = fs::read_to_string(&to).unwrap();
    assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{options:?}: {drawn}");
    drawn
}

#[track_caller]
fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&run(1, arguments).succeeded()).unwrap()
}

/// An archive of a task with so many axes, whose descriptor is the first genes.
fn with_axes(folder: &Path, axes: usize, archive: &str) -> PathBuf {
    let task = OwnTask::new(axes, axes, |genes, descriptor| {
        descriptor
            .iter_mut()
            .zip(genes)
            .for_each(|(d, g)| *d = f64::from(g.clamp(-1.0, 1.0)));
        (Status::Ok, genes.iter().map(|g| f64::from(*g)).sum())
    });
    own_archive(folder, &task, archive)
}

#[test]
fn every_kind_is_drawn_of_any_number_of_axes_or_says_what_it_needs() {
    for (axes, archive) in [
        (1, "shape = [9]"),
        (1, "kind = \"cvt\"\ncells = 20\nsamples = 200"),
        (2, "shape = [8, 8]"),
        (2, "kind = \"cvt\"\ncells = 60\nsamples = 600"),
        (2, "kind = \"dns\"\ncapacity = 200"),
        (6, "shape = [3, 3, 3, 3, 3, 3]"),
        (4096, "kind = \"cvt\"\ncells = 8\nsamples = 16\niterations = 1"),
    ] {
        let folder = folder();
        let path = with_axes(folder.path(), axes, archive);
        for kind in KINDS {
            let to = folder.path().join(format!("{kind}.svg"));
            let mut arguments = vec!["plot", arg(&path), "--kind", kind, "-o", arg(&to)];
            if kind == "difference" {
                arguments.insert(2, arg(&path));
            }
            let ended = run(1, &arguments);
            let needs_two = axes == 1 && ["projections", "parallel", "lineage"].contains(&kind);
            if needs_two {
                assert_refused(&ended, &["with two axes, this archive's has 1", arg(&path)]);
            } else if kind == "difference" && archive.contains("dns") {
                assert_refused(&ended, &["has no cells", "cell by cell"]);
            } else {
                ended.succeeded();
                let drawn = fs::read_to_string(&to).unwrap();
                assert!(
                    !drawn.contains("NaN") && drawn.contains("</svg>"),
                    "{axes} axes, {kind}"
                );
            }
        }
    }
}

#[test]
fn an_empty_archive_one_elite_and_equal_fitness_are_drawn_or_refused_in_a_sentence() {
    for (score, elites) in [
        (
            (|_, _| (Status::Failed, 0.0)) as fn(&[f32], &mut [f64]) -> (Status, f64),
            0,
        ),
        (
            |_, d| {
                d.copy_from_slice(&[0.1, 0.1]);
                (Status::Ok, -7.0)
            },
            1,
        ),
        (
            |g, d| {
                d.copy_from_slice(&[f64::from(g[0]), f64::from(g[1])]);
                (Status::Ok, 3.0)
            },
            64,
        ),
    ] {
        let folder = folder();
        let path = own_archive(folder.path(), &OwnTask::new(2, 2, score), "shape = [8, 8]");
        for kind in KINDS {
            let to = folder.path().join(format!("{kind}.png"));
            let mut arguments = vec!["plot", arg(&path), "--kind", kind, "-o", arg(&to)];
            if kind == "difference" {
                arguments.insert(2, arg(&path));
            }
            let ended = run(1, &arguments);
            match (elites, kind) {
                (0, "ccdf" | "operators" | "genes") => assert_refused(&ended, &[arg(&path), "the archive is empty"]),
                _ => {
                    ended.succeeded();
                    assert!(
                        Pixmap::decode_png(&fs::read(&to).unwrap()).is_ok(),
                        "{elites} elites, {kind}"
                    );
                }
            }
        }
    }
}

#[test]
fn columns_give_colours_and_one_without_values_or_of_another_state_is_said() {
    let (folder, dir) = finished(MAZE);
    let drawn = svg(&[&dir], &["--color", "operator"]);
    assert!(drawn.contains(">random<") && drawn.contains(">iso line<"), "{drawn}");
    for (column, name) in [
        ("generation", "generation"),
        ("novelty", "novelty (15 nearest)"),
        ("x", "x (map units)"),
    ] {
        assert!(
            svg(&[&dir], &["--color", column]).contains(&format!(">{name}<")),
            "{column}"
        );
    }
    let plot = |column: &str| run(1, &["plot", arg(&dir), "--color", column]);
    assert_refused(&plot("corrected_fitness"), &["there is no", "eval.h5", "illume eval"]);
    assert_refused(
        &plot("speed"),
        &["no column 'speed'", "fitness", "generation", "operator", "novelty"],
    );
    assert_refused(&plot("parents"), &["no column 'parents'"]);
    run(1, &["eval", arg(&dir), "--episodes", "2"]).succeeded();
    for column in [
        "corrected_fitness",
        "expected_fitness",
        "fitness_sd",
        "descriptor_distance",
        "identical",
    ] {
        let drawn = svg(&[&dir], &["--color", column]);
        assert!(drawn.contains(&column.replace('_', " ")), "{column}");
    }
    // Elites without an episode that ended well have no number, and a plot says so.
    edit_h5(&dir.join("eval.h5"), "f['elites/fitness_sd'][:] = np.nan");
    assert!(svg(&[&dir], &["--color", "fitness_sd"]).contains("no fitness sd"));
    edit_h5(&dir.join("eval.h5"), "f['elites/fitness'][0] += 1");
    assert_refused(&plot("fitness_sd"), &["eval.h5", "is not of the elites"]);
    fs::write(dir.join("eval.h5"), "text").unwrap();
    assert_refused(&plot("fitness_sd"), &["eval.h5", "not an HDF5 file"]);
    drop(folder);
}

#[test]
fn the_walls_of_the_maze_and_ways_through_it_are_drawn() {
    let (folder, dir) = finished(MAZE);
    let walls = |drawn: &str| drawn.matches("stroke=\"#1a1d22\"").count();
    let ways = |drawn: &str| {
        let lines = drawn.split("stroke=\"#d55e00\" stroke-width=\"1.5\"").skip(1);
        lines
            .filter(|line| line.split('/').next().unwrap().matches('L').count() > 10)
            .count()
    };
    let plain = svg(&[&dir], &[]);
    assert_eq!((walls(&plain), ways(&plain)), (13, 0));
    let three = svg(&[&dir], &["--paths", "3"]);
    assert_eq!((walls(&three), ways(&three)), (13, 3));
    assert_refused(
        &run(1, &["plot", arg(&dir), "--kind", "genes", "--paths", "3"]),
        &["--paths is for --kind map"],
    );
    let arm = folder.path().join("arm");
    let config = write_config(
        folder.path(),
        &MAZE.replace("hard_maze", "arm").replace(
            "episode_length = 60\nreward = \"closeness\"\n[policy]\nhidden = [6]\n",
            "",
        ),
    );
    run(1, &["run", arg(&config), "--out", arg(&arm)]).succeeded();
    assert!(svg(&[&arm], &[]).contains("stroke-dasharray=\"5 4\""));
    assert_refused(&run(1, &["plot", arg(&arm), "--paths", "3"]), &["hard_maze", "\"arm\""]);
}

#[test]
fn several_archives_share_a_scale_and_are_counted_and_subtracted() {
    let (folder, first) = finished(MAZE);
    let second = folder.path().join("second");
    let config = write_config(folder.path(), &MAZE.replace("seed = 3", "seed = 4"));
    run(1, &["run", arg(&config), "--out", arg(&second)]).succeeded();
    let drawn = svg(&[&first, &second], &["--kind", "map", "--range", "0,250"]);
    assert!(drawn.contains(">seed 3<") && drawn.contains(">seed 4<") && drawn.matches(">fitness<").count() == 1);

    let to = folder.path().join("d.svg");
    let d = json(&[
        "plot",
        arg(&first),
        arg(&second),
        "--kind",
        "difference",
        "-o",
        arg(&to),
        "--json",
    ]);
    let of = |name: &str| d[name].as_u64().unwrap();
    let elites = |dir: &Path| json(&["info", arg(dir), "--json"])["filled"].as_u64().unwrap();
    assert_eq!(of("both") + of("only_first"), elites(&first), "{d}");
    assert_eq!(of("both") + of("only_second"), elites(&second), "{d}");
    assert_eq!(of("higher") + of("lower") + of("equal"), of("both"));

    let c = json(&[
        "plot",
        arg(&first),
        arg(&second),
        "--kind",
        "ccdf",
        "-o",
        arg(&to),
        "--json",
    ]);
    let group = &c["groups"][0];
    let numbers = |v: &Value| {
        v.as_array()
            .unwrap()
            .iter()
            .map(|x| x.as_f64().unwrap())
            .collect::<Vec<f64>>()
    };
    // All elites are at least as fit as the least fit of them.
    let counts: Vec<f64> = [elites(&first), elites(&second)].map(|n| n as f64).to_vec();
    assert_eq!(numbers(&group["elites"]), counts);
    let [low, high] = [&group["low"], &group["high"]].map(|v| numbers(v)[0]);
    assert_eq!([low, high], [counts[0].min(counts[1]), counts[0].max(counts[1])]);
    assert_eq!(numbers(&group["median"])[0], (low + high) / 2.0);
    let fitness = numbers(&c["fitness"]);
    assert!(fitness.is_sorted() && numbers(&group["median"]).is_sorted_by(|a, b| a >= b));
    for share in [&["--share"][..], &["--band", "bootstrap"]] {
        svg(&[&first, &second], &[&["--kind", "ccdf"], share].concat());
    }
}

#[test]
fn plots_have_the_size_on_paper_that_was_asked_for() {
    let (folder, dir) = finished(MAZE);
    let [png, svg, pdf] = ["a.png", "a.svg", "a.pdf"].map(|name| folder.path().join(name));
    for (width, dpi, pixels) in [("8cm", None, 945), ("3in", Some("100"), 300), ("240pt", None, 1000)] {
        for to in [&png, &svg, &pdf] {
            let mut arguments = vec!["plot", arg(&dir), "-o", arg(to), "--width", width];
            arguments.extend(dpi.iter().flat_map(|dpi| ["--dpi", dpi]));
            run(1, &arguments).succeeded();
        }
        let drawn = Pixmap::decode_png(&fs::read(&png).unwrap()).unwrap();
        assert!(drawn.width().abs_diff(pixels) <= 1, "{width}: {}", drawn.width());
    }
    // As others read them.
    let mut command = python();
    command.args([
        "-c",
        "import sys, re, zlib\n\
         b = open(sys.argv[1], 'rb').read()\n\
         at = b.index(b'pHYs')\n\
         x = int.from_bytes(b[at + 4:at + 8], 'big')\n\
         assert b[at + 12] == 1 and zlib.crc32(b[at:at + 13]) == int.from_bytes(b[at + 13:at + 17], 'big')\n\
         p = open(sys.argv[2], 'rb').read()\n\
         box = re.search(rb'/MediaBox \\[([^]]*)\\]', p).group(1).split()\n\
         s = open(sys.argv[3]).read()\n\
         print(round(x * 0.0254), round(float(box[2]), 1), re.search(r'width=\"([0-9.]+mm)\"', s).group(1))",
        arg(&png),
        arg(&pdf),
        arg(&svg),
    ]);
    assert_eq!(run_command(command).succeeded().trim(), "300 240.0 84.667mm");
    for (wrong, part) in [("8", "8cm"), ("1mm", "4cm to 200cm"), ("nan cm", "8cm")] {
        let ended = run(1, &["plot", arg(&dir), "--width", wrong]);
        assert!(ended.code() == Some(2) && ended.stderr.contains(part), "{ended}");
    }
    let large = ["plot", arg(&dir), "-o", arg(&png), "--width", "200cm", "--dpi", "600"];
    assert_refused(&run(1, &large), &["too large", "--dpi", ".pdf"]);
}

#[test]
fn wrong_options_paths_and_files_are_refused_in_a_sentence() {
    let (folder, dir) = finished(MAZE);
    let inside = folder.path().join("folder.png");
    fs::create_dir(&inside).unwrap();
    let newer = folder.path().join("newer.h5");
    fs::copy(dir.join("archive.h5"), &newer).unwrap();
    edit_h5(&newer, "f.attrs['format_version'] = np.uint64(99)");
    let begun = folder.path().join("begun");
    fs::create_dir(&begun).unwrap();
    fs::copy(dir.join("config.toml"), begun.join("config.toml")).unwrap();
    let d = arg(&dir);
    let other = folder.path().join("other");
    let config = write_config(folder.path(), &MAZE.replace("shape = [12, 12]", "shape = [6, 6]"));
    run(1, &["run", arg(&config), "--out", arg(&other)]).succeeded();
    let cases: [(&[&str], &[&str]); 16] = [
        (&[d, "-o", arg(&inside)], &[arg(&inside), "is a folder"]),
        (&[arg(&newer)], &["format version 99", "a newer illume is needed"]),
        (&[arg(&begun), "--kind", "genes"], &["archive.h5", "checkpoint.h5"]),
        (&[d, d, "--kind", "genes"], &["one archive", "2 paths"]),
        (&[d, "--kind", "difference"], &["two archives", "1 path was given"]),
        (
            &[d, arg(&other), "--kind", "difference"],
            &["other cells", "cell by cell"],
        ),
        (
            &[d, d, "--kind", "difference", "--color", "operator"],
            &["no difference between names"],
        ),
        (&[d, "--kind", "map", "--axes", "0"], &["--axes 0", "expected 2 axes"]),
        (
            &[d, "--kind", "projections", "--axes", "0,1,0"],
            &["--axes 0,1,0", "different axes from 0 to 1"],
        ),
        (
            &[d, "--kind", "map", "--share"],
            &["--share is for --kind ccdf, operators"],
        ),
        (
            &[d, "--kind", "operators", "--color", "fitness"],
            &["--color is for --kind map"],
        ),
        (
            &[d, "--kind", "map", "--measures", "coverage"],
            &["--measures is for --kind curves"],
        ),
        (&[d, "--kind", "curves", "--range", "0,1"], &["--range is for --kind"]),
        (
            &[d, "--color", "operator", "--range", "0,1"],
            &["--range 0,1 is for numbers", "operator has names"],
        ),
        (&[d, "--color", "dominated_novelty"], &["no column 'dominated_novelty'"]),
        (&[d, "--kind", "lineage", "-o", "x.jpeg"], &["x.jpeg", ".pdf"]),
    ];
    for (arguments, parts) in cases {
        assert_refused(&run(1, &[&["plot"], arguments].concat()), parts);
    }
    for (arguments, parts) in [
        (
            &[d, "--kind", "violin"][..],
            &["violin", "projections", "difference"][..],
        ),
        (&[d, "--range", "5,1"], &["--range", "second is larger"]),
        (&[d, "--range", "0,nan"], &["--range", "two numbers"]),
        (&[d, "--paths", "0"], &["--paths", "0"]),
        (&[d, "--dpi", "1"], &["--dpi", "36"]),
    ] {
        let ended = run(1, &[&["plot"], arguments].concat());
        assert!(
            ended.code() == Some(2) && parts.iter().all(|part| ended.stderr.contains(part)),
            "{ended}"
        );
    }
    assert!(!dir.join("genes.png").exists() && !dir.join("archive.png").exists());
}

#[test]
fn hostile_names_stay_text() {
    let (_folder, dir) = finished(MAZE);
    edit_h5(
        &dir.join("archive.h5"),
        "f.attrs['task'] = '<script>alert(1)</script> & \"q\"'; f.attrs['strategy'] = 'a' * 400\n    \
         f['cells'].attrs['names'] = np.array(['<b>', ']]>'], dtype=h5py.string_dtype())",
    );
    for kind in [
        "map",
        "projections",
        "parallel",
        "ccdf",
        "operators",
        "lineage",
        "genes",
    ] {
        let drawn = svg(&[&dir.join("archive.h5")], &["--kind", kind, "--width", "8cm"]);
        assert!(
            !drawn.contains("<script") && !drawn.contains("<b>") && !drawn.contains("]]>"),
            "{kind}: {drawn}"
        );
        assert!(drawn.contains("&lt;script&gt;"), "{kind}");
        assert!(
            resvg::usvg::Tree::from_str(&drawn, &resvg::usvg::Options::default()).is_ok(),
            "{kind}"
        );
    }
}
