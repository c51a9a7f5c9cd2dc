//! `illume plot` of a sweep and `illume list sweep`, seen from outside.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{arg, folder, run};
use serde_json::Value;

/// Two parameters, one of numbers and one of names, in two variants.
const SWEEP: &str = "seeds = 2
keep = \"metrics\"
[base.task]
name = \"arm\"
[base.archive]
shape = [20, 20]
[base.budget]
evaluations = 1000
[base.strategy]
name = \"map_elites\"
[[variants]]
name = \"plain\"
[[variants]]
name = \"mixed\"
set = { strategy.polynomial_share = 0.5 }
[parameters]
strategy.batch = [10, 20, 500]
archive.outside = [\"clip\", \"reject\"]
[resources]
threads_per_run = 1
";

/// Nine configurations of which one gets to the end.
const HALVING: &str = "seeds = 2
[base.task]
name = \"arm\"
[base.strategy]
name = \"map_elites\"
batch = 50
[base.archive]
shape = [20, 20]
[base.budget]
evaluations = 2700
[parameters]
strategy.iso_sigma = [0.001, 0.01, 0.1]
strategy.line_sigma = [0.05, 0.2, 0.5]
[method]
kind = \"halving\"
[resources]
threads_per_run = 1
";

/// The end of the smallest file.
const SWEEP_BASE: &str = "[base.task]
name = \"arm\"
[base.strategy]
name = \"map_elites\"
[base.budget]
evaluations = 300
";

fn sweep(folder: &Path, text: &str) -> PathBuf {
    let file = folder.join("sweep.toml");
    fs::write(&file, text).unwrap();
    let dir = folder.join("s");
    run(1, &["sweep", "run", arg(&file), "--out", arg(&dir)]).succeeded();
    dir
}

fn results(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("results")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|e| e.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Makes a run that is done one that failed.
fn fail(result: &Path) {
    let text = fs::read_to_string(result).unwrap();
    let (row, curve) = text.split_once('\n').unwrap();
    let mut row: Value = serde_json::from_str(row).unwrap();
    row["status"] = "failed".into();
    row["error"] = "it crashed".into();
    fs::write(result, format!("{row}\n{curve}")).unwrap();
}

fn json(arguments: &[&str]) -> Value {
    serde_json::from_str(&run(1, arguments).succeeded()).unwrap()
}

#[test]
fn a_sweep_is_drawn_with_the_best_of_many_curves_and_every_run_by_parameter() {
    let folder = folder();
    let dir = sweep(folder.path(), SWEEP);
    let said = run(1, &["plot", arg(&dir)]).succeeded();
    let (png, svg) = (dir.join("sweep.png"), dir.join("sweep.svg"));
    assert!(said.starts_with(&format!("{}\n{}\n\n", arg(&png), arg(&svg))), "{said}");
    assert!(
        said.ends_with(&run(1, &["sweep", "status", arg(&dir)]).succeeded()),
        "{said}"
    );
    assert!(fs::read(&png).unwrap().starts_with(b"\x89PNG"));
    let drawn = fs::read_to_string(&svg).unwrap();
    for part in [
        ">s: arm<",
        ">24 of 24 runs done<",
        ">Learning curves of the best 6 of 12 configurations, by median QD score<",
        "the lowest to the highest run",
        ">evaluations<",
        ">core time (s)<",
        ">QD score at the end, by parameter<",
        ">outside<",
        ">batch<",
        ">500<",
        ">clip<",
        ">plain<",
        ">mixed<",
    ] {
        assert!(drawn.contains(part), "{part} in: {drawn}");
    }
    // Six curves with a band in two panels; in either panel by parameter each run, and a box for each value and variant.
    assert_eq!(drawn.matches("stroke-linejoin=\"round\"").count(), 12);
    assert_eq!(drawn.matches("fill-opacity=\"0.6\" r=").count(), 48);
    assert_eq!(drawn.matches("fill-opacity=\"0.18\"/><path").count(), 2 * 3 + 2 * 2);
    assert!(!drawn.contains("NaN") && !drawn.contains("inf"), "{drawn}");

    let other = folder.path().join("other.svg");
    let c = json(&[
        "plot",
        arg(&dir),
        "-o",
        arg(&other),
        "--measures",
        "filled,qd_score",
        "--against",
        "generation",
        "--json",
    ]);
    assert_eq!(c["files"], Value::from(vec![arg(&other)]));
    let status = json(&["sweep", "status", arg(&dir), "--json"]);
    for field in ["runs", "finished", "metric", "configurations", "tests"] {
        assert_eq!(c[field], status[field], "{field}");
    }
    let labels = |list: &Value| -> Vec<String> {
        let list = list.as_array().unwrap().iter();
        list.map(|c| c.get("label").unwrap_or(c).as_str().unwrap().to_string())
            .collect()
    };
    assert_eq!(labels(&c["curves"]), labels(&c["configurations"])[..6]);
    assert_eq!(c["notes"], Value::Array(Vec::new()));
    let parameters = c["parameters"].as_array().unwrap();
    let keys: Vec<&Value> = parameters.iter().map(|p| &p["key"]).collect();
    assert_eq!(keys, ["archive.outside", "strategy.batch"]);
    let values = parameters[1]["values"].as_array().unwrap();
    assert_eq!(values.len(), 6);
    // The median of a value is that of its runs in the sweep's table.
    let table = fs::read_to_string(dir.join("sweep.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|row| row.split(',').collect()).collect();
    let column = |name: &str| rows[0].iter().position(|head| *head == name).unwrap();
    let [batch, variant, score] = ["strategy.batch", "variant", "qd_score"].map(column);
    for value in values {
        let here = |row: &&Vec<&str>| {
            row[variant] == value["variant"] && row[batch].parse::<f64>().ok() == value["value"].as_f64()
        };
        let mut scores: Vec<f64> = rows
            .iter()
            .filter(here)
            .map(|row| row[score].parse().unwrap())
            .collect();
        scores.sort_by(f64::total_cmp);
        assert_eq!(value["n"], scores.len());
        assert_eq!(value["median"].as_f64(), Some((scores[1] + scores[2]) / 2.0), "{value}");
    }
    let drawn = fs::read_to_string(&other).unwrap();
    assert!(drawn.contains(">Filled<") && drawn.contains(">generation<") && !drawn.contains(">evaluations<"));
    assert_eq!(
        drawn.matches("stroke-linejoin=\"round\"").count(),
        6 * 2 * 2,
        "the metric once"
    );
}

#[test]
fn a_sweep_that_is_under_way_is_drawn_without_the_runs_that_failed() {
    let folder = folder();
    let dir = sweep(folder.path(), SWEEP);
    let all = results(&dir);
    fail(&all[0]);
    fail(&all[1]);
    all[2..10].iter().for_each(|result| fs::remove_file(result).unwrap());
    let said = run(1, &["plot", arg(&dir)]).succeeded();
    assert!(said.ends_with("note: 2 runs failed and are not drawn\n"), "{said}");
    assert!(said.contains("failed 2"), "{said}");
    let drawn = fs::read_to_string(dir.join("sweep.svg")).unwrap();
    assert!(
        drawn.contains(">14 of 24 runs done; 2 runs failed and are not drawn<"),
        "{drawn}"
    );
    assert_eq!(drawn.matches("fill-opacity=\"0.6\" r=").count(), 28);
    // The plots are in nobody's way.
    run(1, &["sweep", "retry", arg(&dir), "--failed"]).succeeded();
    run(1, &["sweep", "run", arg(&dir)]).succeeded();
    assert_eq!(results(&dir).len(), 24);
}

#[test]
fn curves_of_successive_halving_end_where_configurations_were_dropped() {
    let folder = folder();
    let dir = sweep(folder.path(), HALVING);
    run(1, &["plot", arg(&dir)]).succeeded();
    let drawn = fs::read_to_string(dir.join("sweep.svg")).unwrap();
    for part in [
        "best 6 of 9 configurations, by rung and median QD score",
        "hollow ones",
        ">iso sigma<",
    ] {
        assert!(drawn.contains(part), "{part} in: {drawn}");
    }
    // Two of eighteen runs came to the last rung.
    assert_eq!(drawn.matches("fill-opacity=\"0.6\" r=").count(), 2 * 2);
    assert_eq!(
        drawn
            .matches("fill=\"none\" stroke=\"#46525e\" stroke-opacity=\"0.6\"")
            .count(),
        16 * 2
    );
    // Where the first curve of each panel ends: the winner's to the right of all others.
    let ends: Vec<f64> = drawn
        .lines()
        .filter_map(|line| {
            line.strip_suffix("/>")?
                .split_once("r=\"3\" cx=\"")?
                .1
                .split('"')
                .next()?
                .parse()
                .ok()
        })
        .collect();
    assert_eq!(ends.len(), 12);
    assert!(ends[1..6].iter().all(|end| *end < ends[0] - 100.0), "{ends:?}");
    // At the first rung there is no winner yet.
    for result in results(&dir) {
        let name = result.file_stem().unwrap().to_str().unwrap();
        if !name.ends_with("-r0") {
            fs::remove_file(&result).unwrap();
        }
    }
    let said = run(1, &["plot", arg(&dir)]).succeeded();
    assert!(said.contains("done 18") || said.contains("open 6"), "{said}");
}

#[test]
fn a_metric_of_fresh_episodes_is_drawn_at_the_end_and_the_stored_one_on_the_way() {
    let folder = folder();
    let text = SWEEP.replace(
        "[resources]",
        "[metric]\nname = \"corrected_qd_score\"\nevaluate = 1\n[resources]",
    );
    let text = text
        .replace("[10, 20, 500]", "50")
        .replace("[\"clip\", \"reject\"]", "\"clip\"");
    let dir = sweep(folder.path(), &text);
    let said = run(1, &["plot", arg(&dir)]).succeeded();
    let note = "corrected_qd_score is known of the end of a run alone: curves are of qd_score";
    assert!(said.contains(&format!("note: {note}\n")), "{said}");
    let drawn = fs::read_to_string(dir.join("sweep.svg")).unwrap();
    // Nothing differs but the variants.
    for part in [note, ">Corrected QD score at the end, by parameter<", ">variant<"] {
        assert!(drawn.contains(part), "{part} in: {drawn}");
    }
    assert_eq!(drawn.matches("fill-opacity=\"0.6\" r=").count(), 4);
}

#[test]
fn what_cannot_be_drawn_of_a_sweep_is_refused_in_one_sentence() {
    let folder = folder();
    let text = SWEEP.replace("keep = \"metrics\"", "keep = \"archive\"");
    let dir = sweep(folder.path(), &text);
    let copy = |name: &str| {
        let to = folder.path().join(name);
        let copied = std::process::Command::new("cp").arg("-r").args([&dir, &to]).status();
        assert!(copied.unwrap().success());
        to
    };
    let (second, open, failed, edited, damaged, foreign) = (
        copy("second"),
        copy("open"),
        copy("failed"),
        copy("edited"),
        copy("damaged"),
        copy("foreign"),
    );
    results(&open)
        .iter()
        .for_each(|result| fs::remove_file(result).unwrap());
    results(&failed).iter().for_each(|result| fail(result));
    let plan = fs::read_to_string(edited.join("plan.toml")).unwrap();
    fs::write(edited.join("plan.toml"), plan.replace("clip", "clop")).unwrap();
    for result in results(&damaged) {
        let text = fs::read_to_string(&result).unwrap();
        fs::write(&result, &text[..text.find('\n').unwrap() + 20]).unwrap();
    }
    fs::write(foreign.join("results/x.jsonl"), "{}\n").unwrap();
    let one = fs::read_dir(dir.join("runs")).unwrap().next().unwrap().unwrap().path();
    let (jpg, inner) = (folder.path().join("a.jpg"), dir.join("results"));
    let s = arg(&dir);
    let cases: [(&[&str], &[&str]); 16] = [
        (
            &[s, "--axes", "0,1"],
            &["--axes is for the heat map of one archive", s, "leave it out"],
        ),
        (&[s, "--at", "500"], &["--at is for", s, "compared where they end"]),
        (&[s, "--at-core-seconds", "1"], &["--at-core-seconds is for", s]),
        (
            &[s, "--measures", "score"],
            &["no history of 'score'; it has generation", "results/"],
        ),
        (&[s, "--measures", "filled,filled"], &["--measures has filled twice"]),
        (
            &[s, "--against", "mean_fitness"],
            &["'mean_fitness' that falls", "only rises"],
        ),
        (&[s, "--against", "time"], &["no history of 'time'"]),
        (&[s, "-o", arg(&jpg)], &[arg(&jpg), ".png or .svg"]),
        (
            &[s, arg(&second)],
            &["the folder of a sweep, which is drawn alone", "/runs/*"],
        ),
        (&[arg(&one), s], &["the folder of a sweep, which is drawn alone", s]),
        (
            &[arg(&open)],
            &[
                "none of its 24 runs is done, and there is nothing to draw",
                "sweep status",
            ],
        ),
        (&[arg(&failed)], &["none of its 24 runs is done, 24 failed"]),
        (&[arg(&edited)], &["plan.toml was changed since illume wrote it"]),
        (&[arg(&damaged)], &["is damaged: remove it"]),
        (&[arg(&foreign)], &["x.jsonl is no result of a run"]),
        (&[arg(&inner)], &["archive.h5"]),
    ];
    for (arguments, parts) in cases {
        let ended = run(1, &[&["plot"], arguments].concat());
        assert_eq!(ended.code(), Some(2), "{arguments:?}: {ended}");
        assert_eq!(
            (ended.stderr.lines().count(), ended.stdout.as_str()),
            (1, ""),
            "{ended}"
        );
        for part in parts {
            assert!(ended.stderr.contains(part), "'{part}' in: {ended}");
        }
        let made = |dir: &Path| dir.join("sweep.png").exists() || dir.join("sweep.svg").exists();
        assert!(
            [&dir, &second, &open, &failed, &edited, &damaged, &foreign]
                .iter()
                .all(|dir| !made(dir)),
            "{arguments:?}"
        );
    }
    assert!(!jpg.exists());
    // Runs of a sweep are runs.
    let runs: Vec<PathBuf> = fs::read_dir(dir.join("runs"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    let plot = folder.path().join("runs.svg");
    let runs: Vec<&str> = runs.iter().map(|run| arg(run)).collect();
    run(1, &[&["plot", "-o", arg(&plot)], &runs[..]].concat()).succeeded();
    assert!(plot.is_file());
}

#[test]
fn list_sweep_shows_every_key_that_a_sweeps_file_may_have() {
    let listed = json(&["list", "sweep", "--json"]);
    let text = run(1, &["list", "sweep"]).succeeded();
    let of = |section: &str| -> Vec<(String, String)> {
        let item = listed
            .as_array()
            .unwrap()
            .iter()
            .find(|item| item["name"] == section)
            .unwrap();
        let parameters = item["parameters"].as_array().unwrap().iter();
        let field = |p: &Value, field: &str| p[field].as_str().unwrap().to_string();
        parameters.map(|p| (field(p, "name"), field(p, "default"))).collect()
    };
    // A key of each section that does not exist is answered with all that do.
    let folder = folder();
    let file = folder.path().join("s.toml");
    let accepted = |text: &str| -> Vec<String> {
        fs::write(&file, text).unwrap();
        let ended = run(1, &["sweep", "plan", arg(&file)]);
        let line = ended
            .stderr
            .lines()
            .find(|line| line.contains("accepted: "))
            .unwrap_or_else(|| panic!("{ended}"));
        line.split("accepted: ")
            .nth(1)
            .unwrap()
            .split(", ")
            .map(String::from)
            .collect()
    };
    let sorted = |section: &str| {
        let mut names: Vec<String> = of(section).into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    };
    for section in ["method", "metric", "resources", "retry"] {
        let names = sorted(&format!("[{section}]"));
        assert_eq!(
            names,
            accepted(&format!("[{section}]\nnosuchkey = 1\n{SWEEP_BASE}")),
            "{section}"
        );
        assert!(
            names.iter().all(|name| text.contains(&format!("      {name} "))),
            "{text}"
        );
    }
    assert_eq!(
        sorted("[[variants]]"),
        accepted(&format!("[[variants]]\nname = \"a\"\nnosuchkey = 1\n{SWEEP_BASE}"))
    );
    let sections = listed
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["name"].as_str().unwrap());
    let sections = sections
        .filter(|name| *name != "(top level)")
        .map(|name| name.trim_matches(['[', ']']).to_string());
    let mut top: Vec<String> = sections.chain(sorted("(top level)")).collect();
    top.sort();
    assert_eq!(top, accepted(&format!("nosuchkey = 1\n{SWEEP_BASE}")));

    // Defaults that are listed are those that are taken: a file that says them all plans the sweep of one that says none.
    let said: String = of("(top level)")
        .into_iter()
        .filter(|(name, _)| name != "base")
        .map(|(name, default)| format!("{name} = {default}\n"))
        .chain(["method", "metric", "resources", "retry"].iter().map(|section| {
            let keys = of(&format!("[{section}]"))
                .into_iter()
                .map(|(name, default)| format!("{name} = {default}\n"));
            format!("[{section}]\n{}", keys.collect::<String>())
        }))
        .collect();
    let dir = folder.path().join("s");
    fs::write(&file, SWEEP_BASE).unwrap();
    run(1, &["sweep", "run", arg(&file), "--out", arg(&dir)]).succeeded();
    fs::write(&file, said + SWEEP_BASE).unwrap();
    // It would be refused as another sweep's.
    run(1, &["sweep", "run", arg(&file), "--out", arg(&dir)]).succeeded();
}
