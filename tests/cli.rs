//! The command line as its users meet it.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::own::{OwnTask, own_archive};
use common::{ILLUME, arg, folder, run, run_command, write_config};
use illume::Config;
use illume::archives::file;
use illume::core::{Genomes, Status};
use resvg::{tiny_skia, usvg};
use serde_json::Value;

const MAP_ELITES: &str = "seed = 11\n[task]\nname = \"arm\"\n[strategy]\nname = \"map_elites\"\nbatch = 200\n[archive]\n\
                          shape = [20, 30]\n[budget]\ngenerations = 20\n";

fn finished(folder: &Path, text: &str) -> PathBuf {
    let dir = folder.join("run");
    run(1, &["run", arg(&write_config(folder, text)), "--out", arg(&dir)]).succeeded();
    dir
}

fn json(arguments: &[&str]) -> Value {
    let text = run(1, arguments).succeeded();
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

#[test]
fn version_names_every_native_library_of_this_build() {
    let text = run(1, &["--version"]).succeeded();
    assert!(
        text.starts_with(&format!("illume {}", env!("CARGO_PKG_VERSION"))),
        "{text}"
    );
    let libraries = [
        ("HDF5", true, "1."),
        ("MPI", cfg!(feature = "mpi"), ""),
        ("MuJoCo", cfg!(feature = "mujoco"), "3."),
        ("libtorch", cfg!(feature = "torch"), "2."),
    ];
    for (name, built, version) in libraries {
        let line = text.lines().find(|l| l.starts_with(name));
        assert_eq!(line.is_some(), built, "{name} in: {text}");
        if let Some(line) = line {
            let said = line.strip_prefix(name).unwrap().trim();
            assert!(
                said.starts_with(version) && said.contains(|c: char| c.is_ascii_digit()),
                "{line}"
            );
        }
    }
}

#[test]
fn the_binary_runs_from_any_folder_with_an_empty_environment() {
    let folder = folder();
    let task = if cfg!(feature = "mujoco") {
        "name = \"hopper_uni\"\nepisode_length = 5"
    } else {
        "name = \"arm\""
    };
    let text = format!("[task]\n{task}\n[strategy]\nname = \"map_elites\"\nbatch = 4\n[budget]\ngenerations = 2\n");
    write_config(folder.path(), &text);
    let bare = |arguments: &[&str]| {
        let mut command = Command::new(ILLUME);
        command.env_clear().current_dir(folder.path()).args(arguments);
        run_command(command).succeeded()
    };
    assert!(bare(&["--version"]).starts_with("illume"));
    bare(&["run", "config-given.toml"]);
    // Without a directory in the configuration, one named after it.
    assert!(folder.path().join("runs/config-given/archive.h5").is_file());
    assert!(bare(&["info", "runs/config-given"]).contains("generation"));
}

/// The linker says which libraries it opens: where set-up has built what loads libtorch, a run that computes nothing with it does not load it.
#[test]
#[cfg(feature = "torch")]
fn libtorch_is_loaded_when_it_is_needed_and_not_before() {
    let cargo = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cargo/config.toml");
    if !fs::read_to_string(cargo).is_ok_and(|text| text.contains("tch_lazy")) {
        return;
    }
    let folder = folder();
    let config = write_config(folder.path(), MAP_ELITES);
    let opened = |arguments: &[&str]| {
        let mut command = Command::new(ILLUME);
        command
            .env("LD_DEBUG", "files")
            .env("ILLUME_MPI", "off")
            .args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).contains("libtorch_cpu.so")
    };
    assert!(!opened(&[
        "run",
        arg(&config),
        "--out",
        arg(&folder.path().join("run"))
    ]));
    assert!(opened(&["--version"]));
}

#[test]
fn info_gives_all_documented_fields_that_agree_with_the_run() {
    let folder = folder();
    let dir = finished(folder.path(), MAP_ELITES);
    let info = json(&["info", arg(&dir), "--json"]);
    let expected = [
        ("task", Value::from("arm")),
        ("strategy", "map_elites".into()),
        ("seed", 11.into()),
        ("generation", 20.into()),
        ("evaluations", 4000.into()),
        ("cells", 600.into()),
        ("genome_dim", 20.into()),
        ("descriptor_dim", 2.into()),
        ("format_version", 1.into()),
    ];
    for (name, value) in expected {
        assert_eq!(info[name], value, "{name}");
    }
    let number = |name: &str| info[name].as_f64().unwrap_or_else(|| panic!("{name}: {}", info[name]));
    let history = fs::read_to_string(dir.join("history.csv")).unwrap();
    let (header, last) = (history.lines().next().unwrap(), history.lines().last().unwrap());
    let csv = |name: &str| -> f64 {
        let at = header.split(',').position(|n| n == name).unwrap();
        last.split(',').nth(at).unwrap().parse().unwrap()
    };
    for name in ["coverage", "qd_score", "max_fitness", "mean_fitness", "filled"] {
        assert!(
            (number(name) - csv(name)).abs() <= 1e-12 * number(name).abs(),
            "{name}: {} {}",
            number(name),
            csv(name)
        );
    }
    assert_eq!(number("coverage"), number("filled") / 600.0);
    for path in [dir.join("archive.h5"), dir.join("checkpoint.h5")] {
        let same = json(&["info", arg(&path), "--json"]);
        assert_eq!(same, info, "{}", path.display());
    }
    let text = run(1, &["info", arg(&dir)]).succeeded();
    for part in ["arm", "map_elites", "600", "4,000", "20 x 30"] {
        assert!(text.contains(part), "{part} in: {text}");
    }
}

#[test]
fn a_run_directory_holds_what_is_documented() {
    let folder = folder();
    let dir = finished(folder.path(), MAP_ELITES);
    let mut names: Vec<String> = fs::read_dir(&dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert_eq!(
        names,
        ["archive.h5", "checkpoint.h5", "config.toml", "history.csv", "log.jsonl"]
    );
    let config = Config::read(&dir.join("config.toml"), &[]).unwrap();
    assert_eq!(
        (config.seed, config.name("task"), config.budget.generations),
        (11, "arm", 20)
    );
    let log = fs::read_to_string(dir.join("log.jsonl")).unwrap();
    let events: Vec<Value> = log.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(events[0]["event"], "start");
    assert_eq!(events[events.len() - 1]["event"], "finished");
    assert!(
        events
            .iter()
            .all(|e| e["time"].as_str().is_some_and(|t| t.ends_with('Z'))),
        "{log}"
    );
    assert_eq!(fs::read_to_string(dir.join("history.csv")).unwrap().lines().count(), 21);
}

/// Those of the task's genes are 0 and 1.
#[test]
fn mutants_lie_within_the_tasks_bounds_whatever_those_of_their_mutation() {
    let folder = folder();
    let mutation = "batch = 200\npolynomial_share = 1.0\npolynomial_rate = 1.0\npolynomial_bounds = [-3, 4]";
    let dir = finished(folder.path(), &MAP_ELITES.replace("batch = 200", mutation));
    let file = file::open(&dir.join("archive.h5")).unwrap();
    let Genomes::Dense(genomes) = file.genomes(0..file.rows()).unwrap() else {
        panic!("dense genomes")
    };
    assert!(genomes.data.iter().all(|x| (0.0..=1.0).contains(x)));
    assert!(
        genomes.data.contains(&0.0) && genomes.data.contains(&1.0),
        "some were clipped"
    );
}

#[test]
fn eval_of_a_deterministic_task_finds_every_elite_as_it_was() {
    for strategy in [
        "name = \"map_elites\"\nbatch = 200",
        "name = \"deep_ga\"\npopulation = 200\nparents = 9\nsigma = 0.05",
    ] {
        let folder = folder();
        let dir = finished(
            folder.path(),
            &MAP_ELITES.replace("name = \"map_elites\"\nbatch = 200", strategy),
        );
        let e = json(&["eval", arg(&dir), "--episodes", "3", "--json"]);
        assert_eq!(e["identical"], e["elites"], "{strategy}: {e}");
        assert!(e["elites"].as_u64().is_some_and(|n| n > 20), "{e}");
        assert_eq!(e["failed"], 0);
        for kind in ["expected", "corrected"] {
            for name in ["qd_score_kept_percent", "coverage_kept_percent"] {
                let share = e[format!("{kind}_{name}")].as_f64().unwrap();
                assert!((share - 100.0).abs() < 1e-9, "{kind} {name}: {e}");
            }
            for name in ["qd_score_se", "coverage_se", "max_fitness_se"] {
                assert_eq!(e[format!("{kind}_{name}")].as_f64(), Some(0.0), "{kind} {name}: {e}");
            }
        }
        for name in ["fitness_change", "fitness_sd", "descriptor_sd", "descriptor_distance"] {
            assert_eq!(e[format!("mean_{name}")].as_f64(), Some(0.0), "{name}: {e}");
        }
        // Cells are 1 / 20 by 1 / 30.
        let center = e["mean_center_distance"].as_f64().unwrap();
        assert!(center > 0.0 && center < 0.025f64.hypot(1.0 / 60.0), "{e}");
        let path = dir.join("eval.h5");
        let written = file::open_evaluation(&path).unwrap();
        let column = |name: &str| written.elites.get::<f64>(name).unwrap();
        assert_eq!(
            (written.episodes, &written.axes[..]),
            (3, &["x".to_string(), "y".into()][..])
        );
        for name in ["fitness_sd", "descriptor_sd", "descriptor_distance"] {
            assert!(column(name).iter().all(|&x| x == 0.0), "{name}");
        }
        for name in ["fitness", "descriptor"] {
            assert_eq!(column(name), column(&format!("expected_{name}")), "{name}");
        }
        let cells = |name: &str| written.elites.get::<i64>(name).unwrap();
        assert_eq!(cells("cell"), cells("corrected_cell"));
        assert_eq!(json(&["info", arg(&path), "--json"]), e, "info shows what eval said");

        let text = run(1, &["eval", arg(&dir), "--threads", "1"]).succeeded();
        assert!(text.contains("100.0 % kept") && text.contains(arg(&path)), "{text}");
        assert_eq!(
            file::open_evaluation(&path).unwrap().episodes,
            1,
            "the new one took its place"
        );
        let info = run(1, &["info", arg(&path)]).succeeded();
        assert!(
            info.contains("evaluation of") && info.contains("100.0 % kept"),
            "{info}"
        );
    }
}

/// The center's own episodes, which are all that the archive is offered, have the task's own length whatever its members' cap.
#[test]
#[cfg(feature = "mujoco")]
fn eval_of_an_evolution_strategy_that_caps_its_members_finds_every_center_as_it_was() {
    let folder = folder();
    let text = "[task]\nname = \"hopper_uni\"\nepisode_length = 200\nreset_noise_scale = 0.1\n[policy]\nhidden = [8]\n\
                [strategy]\nname = \"openai_es\"\npopulation = 20\nsigma = 0.2\nlearning_rate = 0.1\n\
                episode_cap = \"adaptive\"\ncap_factor = 1.0\n[archive]\nshape = [50]\n[budget]\ngenerations = 15\n";
    let dir = finished(folder.path(), text);
    let e = json(&["eval", arg(&dir), "--json"]);
    assert!(e["elites"].as_u64().is_some_and(|n| n > 3), "{e}");
    assert_eq!(e["identical"], e["elites"], "{e}");
}

#[test]
#[cfg(feature = "mujoco")]
fn eval_of_a_noisy_task_repeats_each_elite_under_its_seed_and_not_under_others() {
    let folder = folder();
    let text = "[task]\nname = \"hopper_uni\"\nepisode_length = 40\nreset_noise_scale = 0.1\n[policy]\nhidden = [8]\n\
                [strategy]\nname = \"map_elites\"\nbatch = 60\niso_sigma = 0.2\n[archive]\nshape = [50]\n\
                [budget]\ngenerations = 6\n";
    let dir = finished(folder.path(), text);
    let e = json(&["eval", arg(&dir), "--episodes", "3", "--json"]);
    assert_eq!(e["identical"], e["elites"], "{e}");
    assert!(
        e["mean_fitness_sd"].as_f64().unwrap() > 0.0 && e["mean_fitness_change"].as_f64().unwrap() < 0.0,
        "{e}"
    );
    let number = |name: &str| e[name].as_f64().unwrap_or_else(|| panic!("{name}: {e}"));
    assert!(
        number("expected_qd_score_kept_percent") < 100.0,
        "lucky draws are found out: {e}"
    );
    assert!(
        number("corrected_qd_score") < number("expected_qd_score")
            && number("corrected_coverage") < number("expected_coverage"),
        "and so are elites that lead elsewhere: {e}"
    );
    assert_eq!(e["expected_coverage"], e["coverage"], "each stays in its cell");
    assert!(
        number("expected_qd_score_se") > 0.0 && number("corrected_qd_score_se") > 0.0,
        "{e}"
    );
    let text = run(1, &["eval", arg(&dir), "--episodes", "3"]).succeeded();
    for part in ["stored", "expected", "corrected", "±", "% kept"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    // Of a single episode no error is known.
    let e = json(&["eval", arg(&dir), "--episodes", "1", "--json"]);
    assert!(
        e["expected_qd_score"].is_f64() && e["expected_qd_score_se"].is_null(),
        "{e}"
    );
    assert!(e["corrected_qd_score_se"].is_null(), "{e}");
    // Any number of threads gives the same.
    let on = |threads: &str| json(&["eval", arg(&dir), "--episodes", "4", "--threads", threads, "--json"]);
    assert_eq!(on("1"), on("3"));
}

/// Checks a plot: it decodes, and shows more than a few colours. Gives its pixels' number of colours.
fn colours(path: &Path) -> usize {
    let bytes = fs::read(path).unwrap();
    let plot = if path.extension().unwrap() == "png" {
        tiny_skia::Pixmap::decode_png(&bytes).unwrap()
    } else {
        let tree = usvg::Tree::from_str(std::str::from_utf8(&bytes).unwrap(), &usvg::Options::default()).unwrap();
        let size = tree.size().to_int_size();
        let mut plot = tiny_skia::Pixmap::new(size.width(), size.height()).unwrap();
        resvg::render(&tree, tiny_skia::Transform::default(), &mut plot.as_mut());
        plot
    };
    assert!(
        plot.width() >= 400 && plot.height() >= 400,
        "{} x {}",
        plot.width(),
        plot.height()
    );
    let mut seen: Vec<_> = plot.pixels().iter().map(|p| (p.red(), p.green(), p.blue())).collect();
    seen.sort_unstable();
    seen.dedup();
    seen.len()
}

#[test]
fn plot_draws_grids_and_cvts() {
    for archive in ["shape = [20, 30]", "kind = \"cvt\"\ncells = 150\nsamples = 1500"] {
        let folder = folder();
        let dir = finished(folder.path(), &MAP_ELITES.replace("shape = [20, 30]", archive));
        let said = run(1, &["plot", arg(&dir)]).succeeded();
        for name in ["archive.png", "archive.svg"] {
            let path = dir.join(name);
            assert!(said.contains(arg(&path)), "{said}");
            assert!(colours(&path) > 50, "{archive}: {name} has {} colours", colours(&path));
        }
        let svg = fs::read_to_string(dir.join("archive.svg")).unwrap();
        assert!(
            svg.contains("arm") && svg.contains("map_elites"),
            "the plot says what it shows"
        );
        // Another name, an ending in capitals, the axes exchanged.
        let other = folder.path().join("other.PNG");
        run(
            1,
            &["plot", arg(&dir.join("archive.h5")), "-o", arg(&other), "--axes", "1,0"],
        )
        .succeeded();
        assert!(fs::read(&other).unwrap().starts_with(b"\x89PNG"));
        assert_ne!(fs::read(&other).unwrap(), fs::read(dir.join("archive.png")).unwrap());
    }
}

#[test]
fn plot_compares_runs_of_several_strategies() {
    let folder = folder();
    let strategies = [
        ("map_elites", "name = \"map_elites\"\nbatch = 200"),
        (
            "deep_ga",
            "name = \"deep_ga\"\npopulation = 200\nparents = 9\nsigma = 0.05",
        ),
    ];
    let mut dirs = Vec::new();
    for seed in [1, 2, 3] {
        for (name, strategy) in strategies {
            let text = MAP_ELITES
                .replace("name = \"map_elites\"\nbatch = 200", strategy)
                .replace("seed = 11", &format!("seed = {seed}"))
                .replace("generations = 20", &format!("generations = {}", 20 + seed));
            let dir = folder.path().join(format!("{name}-{seed}"));
            run(
                1,
                &["run", arg(&write_config(folder.path(), &text)), "--out", arg(&dir)],
            )
            .succeeded();
            dirs.push(dir);
        }
    }
    let runs: Vec<&str> = dirs.iter().map(|d| arg(d)).collect();
    let (png, svg) = (folder.path().join("curves.png"), folder.path().join("curves.svg"));
    let c = json(&[&["plot"], &runs[..], &["-o", arg(&png), "--json"]].concat());
    assert_eq!(c["task"], "arm");
    assert_eq!(c["files"], Value::from(vec![arg(&png)]));
    // In equal core time a quick run may end before a slow one begins: nobody knows of how many tests there are.
    let [budgets, few] = [0, 1].map(|i| c["notes"][i].as_str().unwrap());
    assert_eq!(budgets, "budget.generations differs: 21, 22, 23");
    assert!(
        few.starts_with(
            "no difference can be significant at 0.05: the smallest two-sided p of 3 against 3 runs is 0.10 before"
        ),
        "{few}"
    );
    let groups = c["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    for (i, group) in groups.iter().enumerate() {
        assert_eq!(group["label"], strategies[i].0);
        assert_eq!(group["seeds"], Value::from(vec![1, 2, 3]));
        // What `illume info` says of each run, in order of size.
        let mut infos: Vec<Value> = dirs[i..]
            .iter()
            .step_by(2)
            .map(|d| json(&["info", arg(d), "--json"]))
            .collect();
        for name in ["evaluations", "qd_score", "coverage", "max_fitness"] {
            infos.sort_by(|a, b| a[name].as_f64().unwrap().total_cmp(&b[name].as_f64().unwrap()));
            for (which, info) in ["min", "median", "max"].iter().zip(&infos) {
                let (said, expected) = (group[name][*which].as_f64().unwrap(), info[name].as_f64().unwrap());
                assert!(
                    (said - expected).abs() <= 1e-12 * expected.abs(),
                    "{name} {which}: {said} {expected}"
                );
            }
        }
        assert!(group["wall_seconds"]["median"].as_f64().unwrap() > 0.0);
    }
    assert!(colours(&png) > 50);
    // Where the shortest ends, after 21 generations of 200.
    let point = &c["points"][0];
    assert_eq!((&point["axis"], &point["at"]), (&"evaluations".into(), &4200.0.into()));
    let measures = point["measures"].as_array().unwrap();
    let named: Vec<&Value> = measures.iter().map(|m| &m["measure"]).collect();
    assert_eq!(named, ["qd_score", "coverage", "max_fitness"]);
    for (i, (name, _)) in strategies.iter().enumerate() {
        let group = &measures[0]["groups"][i];
        assert_eq!(
            (&group["label"], &group["n"], &group["missing"]),
            (&(*name).into(), &3.into(), &0.into())
        );
        let [low, iqm, high] =
            [&group["iqm_interval"][0], &group["iqm"], &group["iqm_interval"][1]].map(|x| x.as_f64().unwrap());
        assert!(
            low <= iqm && iqm <= high && group["quartiles"][0].as_f64().unwrap() <= group["median"].as_f64().unwrap()
        );
    }
    let test = &measures[0]["tests"][0];
    assert_eq!(
        (&test["baseline"], &test["candidate"]),
        (&"map_elites".into(), &"deep_ga".into())
    );
    assert_eq!((&test["n"], &test["exact"]), (&Value::from(vec![3, 3]), &true.into()));
    assert!(test["p"].as_f64().unwrap() >= 0.1 && test["adjusted_p"].as_f64() >= test["p"].as_f64());
    assert_eq!(c["points"][1]["axis"], "core_seconds");
    // At another point, where the history has a row: what it says there.
    let c = json(&[&["plot"], &runs[..], &["-o", arg(&png), "--at", "2000", "--json"]].concat());
    let group = &c["points"][0]["measures"][0]["groups"][0];
    let tenth = |dir: &PathBuf| -> f64 {
        let history = fs::read_to_string(dir.join("history.csv")).unwrap();
        let rows: Vec<Vec<&str>> = history.lines().map(|row| row.split(',').collect()).collect();
        let column = rows[0].iter().position(|name| *name == "qd_score").unwrap();
        rows[10][column].parse().unwrap()
    };
    let mut scores: Vec<f64> = dirs.iter().step_by(2).map(tenth).collect();
    scores.sort_by(f64::total_cmp);
    assert_eq!(
        (c["points"][0]["at"].as_f64(), group["median"].as_f64()),
        (Some(2000.0), Some(scores[1]))
    );
    let said = run(1, &[&["plot"], &runs[..], &["-o", arg(&svg)]].concat()).succeeded();
    for part in [
        "at 4,200 evaluations",
        "QD score: deep_ga > map_elites",
        "core seconds (wall time x ranks x threads)",
        "Holm: p corrected for all ",
        "note: no difference can be significant",
        arg(&svg),
        "map_elites",
        "deep_ga",
        "QD score",
        "median [lowest, highest]",
    ] {
        assert!(said.contains(part), "{part} in: {said}");
    }
    assert!(colours(&svg) > 20);
    let drawn = fs::read_to_string(&svg).unwrap();
    for part in [
        "map_elites (3 runs)",
        "deep_ga (3 runs)",
        "Coverage (%)",
        "evaluations",
        "wall time",
        "Best fitness",
    ] {
        assert!(drawn.contains(part), "{part} in: {drawn}");
    }
    // Two groups in six panels: as many lines and as many bands, none with a number that is none.
    assert_eq!(drawn.matches("fill-opacity=\"0.18\" d=").count(), 12);
    assert_eq!(drawn.matches("stroke-linejoin=\"round\"").count(), 12);
    assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");
    // Without a name: in the present folder.
    let mut command = Command::new(ILLUME);
    command.current_dir(folder.path()).args(["plot"]).args(&runs[..2]);
    assert!(
        run_command(command)
            .succeeded()
            .starts_with("comparison.png\ncomparison.svg\n")
    );
    assert!(folder.path().join("comparison.svg").is_file());

    // One measure of the user's choice: its two panels side by side.
    let mut command = Command::new(ILLUME);
    command
        .current_dir(folder.path())
        .args(["plot", "-o", "own.svg"])
        .args(&runs);
    command.args(["--measures", "mean_fitness", "--against", "frames"]);
    let said = run_command(command).succeeded();
    assert!(
        said.contains("frames") && said.contains("mean fitness") && !said.contains("coverage"),
        "{said}"
    );
    let drawn = fs::read_to_string(folder.path().join("own.svg")).unwrap();
    assert_eq!(drawn.matches("stroke-linejoin=\"round\"").count(), 4);
    assert!(drawn.contains("Mean fitness") && drawn.contains("frames") && !drawn.contains("Coverage"));
    let refused = |command: Command, part: &str| {
        let ended = run_command(command);
        assert_eq!(ended.code(), Some(2), "{ended}");
        assert!(ended.stderr.contains(part), "{part} in: {ended}");
    };
    for (options, part) in [
        (
            ["--measures", "score"],
            "has no history of 'score'; it has generation, evaluations, ",
        ),
        (
            ["--at", "4201"],
            " goes from 200 to 4200 evaluations; expected a number that lies within every run",
        ),
        (
            ["--measures", "coverage,qd_score,coverage"],
            "--measures has coverage twice",
        ),
        (
            ["--against", "idle_share"],
            "'idle_share' that falls or has gaps, and nothing can be drawn against it: expected a column that only rises",
        ),
        (["--at", "-1"], "--at -1: "),
        (["--at", "inf"], "--at inf: "),
        (["--at", "NaN"], "--at NaN: "),
        (["--at-core-seconds", "1e9"], "--at-core-seconds 1000000000: "),
        (["--at-core-seconds", "0"], "within every run"),
        (
            ["--against", "time"],
            "has no history of 'time'; it has generation, evaluations, ",
        ),
    ] {
        let mut command = Command::new(ILLUME);
        command.arg("plot").args(&runs).args(options);
        command.current_dir(folder.path());
        refused(command, part);
        let mut command = Command::new(ILLUME);
        command.arg("plot").arg(runs[0]).args(options);
        match options[0] {
            at @ ("--at" | "--at-core-seconds") => {
                refused(command, &format!("{at} is for the comparison of several runs"))
            }
            _ => refused(command, part),
        }
    }
}

#[test]
fn plot_projects_an_archive_with_four_axes_and_draws_a_strip_of_one_with_one() {
    let folder = folder();
    let four = OwnTask::new(4, 4, |genes, descriptor| {
        descriptor.iter_mut().zip(genes).for_each(|(d, g)| *d = f64::from(*g));
        (Status::Ok, genes.iter().map(|g| f64::from(*g)).sum())
    });
    for archive in [
        "kind = \"grid\"\nshape = [8, 8, 8, 8]",
        "kind = \"cvt\"\ncells = 500\nsamples = 5000",
    ] {
        let path = own_archive(folder.path(), &four, archive);
        for axes in ["0,1", "3,1"] {
            let (png, svg) = (folder.path().join("four.png"), folder.path().join("four.svg"));
            for target in [&png, &svg] {
                run(1, &["plot", arg(&path), "-o", arg(target), "--axes", axes]).succeeded();
                assert!(colours(target) > 30, "{archive}: {} colours", colours(target));
            }
        }
    }
    let one = OwnTask::new(2, 1, |genes, descriptor| {
        descriptor[0] = f64::from(genes[0]);
        (Status::Ok, 1.0)
    });
    let (path, svg) = (
        own_archive(folder.path(), &one, "shape = [9]"),
        folder.path().join("one.svg"),
    );
    let plot = ["plot", arg(&path), "-o", arg(&svg)];
    run(1, &plot).succeeded();
    let drawn = fs::read_to_string(&svg).unwrap();
    assert!(drawn.contains(">axis 0 (m)<") && drawn.contains(">fitness<"), "{drawn}");
    run(1, &[&plot[..], &["--kind", "curves"]].concat()).succeeded();
    let drawn = fs::read_to_string(&svg).unwrap();
    assert!(drawn.contains("Best fitness") && drawn.contains("one run"), "{drawn}");
    run(1, &[&plot[..], &["--measures", "mean_fitness"]].concat()).succeeded();
    let drawn = fs::read_to_string(&svg).unwrap();
    assert!(
        drawn.contains("Mean fitness") && !drawn.contains("Best fitness"),
        "{drawn}"
    );
    for (more, part) in [
        (&["--axes", "0,1"][..], "with two axes, this archive's has 1"),
        (&["--axes", "0,1", "--measures", "coverage"], "one or the other"),
    ] {
        let ended = run(1, &[&plot[..], more].concat());
        assert!(ended.code() == Some(2) && ended.stderr.contains(part), "{ended}");
    }
}

#[test]
fn an_empty_archive_can_be_shown_drawn_and_listed() {
    let folder = folder();
    let hopeless = OwnTask::new(2, 2, |_, _| (Status::Failed, 0.0));
    for archive in ["shape = [8, 8]", "kind = \"cvt\"\ncells = 50\nsamples = 500"] {
        let path = own_archive(folder.path(), &hopeless, archive);
        let info = json(&["info", arg(&path), "--json"]);
        assert_eq!(
            (info["filled"].as_u64(), info["qd_score"].as_f64()),
            (Some(0), Some(0.0)),
            "{info}"
        );
        assert!(
            info["max_fitness"].is_null() && info["mean_fitness"].is_null(),
            "{info}"
        );
        run(1, &["info", arg(&path)]).succeeded();
        for name in ["empty.png", "empty.svg"] {
            let target = folder.path().join(name);
            run(1, &["plot", arg(&path), "-o", arg(&target)]).succeeded();
            assert!(colours(&target) > 1);
        }
        let svg = fs::read_to_string(folder.path().join("empty.svg")).unwrap();
        assert!(svg.contains("empty"), "{svg}");
    }
}

#[test]
fn an_archive_of_one_elite_can_be_drawn() {
    let folder = folder();
    let one = OwnTask::new(2, 2, |_, descriptor| {
        descriptor.copy_from_slice(&[0.1, 0.1]);
        (Status::Ok, -7.0)
    });
    let path = own_archive(folder.path(), &one, "shape = [8, 8]");
    let target = folder.path().join("one.png");
    run(1, &["plot", arg(&path), "-o", arg(&target)]).succeeded();
    assert!(colours(&target) > 2);
}

#[test]
fn help_explains_every_command() {
    let help = run(1, &["--help"]).succeeded();
    for command in ["new", "run", "resume", "info", "plot", "eval", "distill", "list"] {
        assert!(help.contains(&format!("  {command}")), "{command} in: {help}");
        let own = run(1, &[command, "--help"]).succeeded();
        assert!(own.contains("Usage: illume") && own.lines().count() > 4, "{own}");
    }
    let nothing = run(1, &[]);
    assert!(
        nothing.code() == Some(2) && nothing.stderr.contains("Usage"),
        "{nothing}"
    );
}

#[test]
fn a_closed_pipe_is_no_reason_to_complain() {
    for command in ["list tasks", "list --json", "--help"] {
        let mut shell = Command::new("bash");
        let script = format!("set -o pipefail; \"$0\" {command} | head -c 20 >/dev/null; echo \"${{PIPESTATUS[0]}}\"");
        shell.args(["-c", &script, ILLUME]);
        let ended = run_command(shell);
        assert!(ended.stderr.is_empty(), "{command}: {ended}");
        let code: i32 = ended.stdout.trim().parse().unwrap();
        assert!(code == 0 || code == 141, "{command}: {ended}");
    }
    // A run whose output nobody reads goes on.
    let folder = folder();
    let config = write_config(
        folder.path(),
        &MAP_ELITES.replace("[budget]", "[output]\nlog_seconds = 0.001\n[budget]"),
    );
    let mut shell = Command::new("bash");
    let dir = folder.path().join("run");
    shell.args([
        "-c",
        "\"$0\" run \"$1\" --out \"$2\" 2>&1 | true; echo \"${PIPESTATUS[0]}\"",
        ILLUME,
        arg(&config),
        arg(&dir),
    ]);
    assert_eq!(run_command(shell).succeeded().trim(), "0");
    assert!(dir.join("archive.h5").is_file());
}

#[test]
#[cfg(feature = "mpi")]
fn under_mpirun_results_are_printed_once() {
    let folder = folder();
    let config = write_config(folder.path(), MAP_ELITES);
    let dir = folder.path().join("run");
    let said = run(3, &["run", arg(&config), "--out", arg(&dir), "--threads", "1"]).succeeded();
    assert_eq!(said.matches("Finished after").count(), 1, "{said}");
    assert_eq!(said.matches("Archive: ").count(), 1, "{said}");
    let said = run(2, &["info", arg(&dir)]).succeeded();
    assert_eq!(said.matches("evaluations").count(), 1, "{said}");
    let said = run(2, &["eval", arg(&dir)]).succeeded();
    assert_eq!(said.matches("replayed").count(), 1, "{said}");
    let said = run(2, &["--version"]).succeeded();
    assert!(said.contains("illume"), "{said}");
}

/// `cargo bench` builds the programs of a benchmark's package with the features that it is given: over what `make build` made.
#[test]
fn the_package_of_the_program_has_no_benchmarks() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let targets = |package: &str, kind: &str| -> Vec<String> {
        let packages = metadata["packages"].as_array().unwrap().iter();
        packages
            .filter(|p| p["name"] == package)
            .flat_map(|p| p["targets"].as_array().unwrap())
            .filter(|target| target["kind"][0] == kind)
            .map(|target| target["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(targets("illume", "bin"), ["illume"]);
    assert!(targets("illume", "bench").is_empty());
    assert_eq!(
        targets("illume-benches", "bench"),
        ["engine", "gradients", "longest_first", "sweep"]
    );
    assert!(targets("illume-benches", "bin").is_empty());
}
