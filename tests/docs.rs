//! The documentation: the book is whole, its page of the command line is what the program says, and the notebook computes what illume does.
#![cfg(all(feature = "mpi", feature = "torch", feature = "mujoco", feature = "atari"))]

mod common;

use std::path::{Path, PathBuf};

use common::{ILLUME, arg, folder, python, run, run_command};

fn tree(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// mdBook builds it without a warning, every link and anchor in it leads somewhere, SUMMARY.md lists every page, and the command line's is that of this program.
#[test]
fn the_book_is_whole_and_its_command_line_is_what_the_program_says() {
    let folder = folder();
    let mut command = python();
    command
        .arg(tree("tools/book"))
        .args(["check", "--illume", ILLUME, "--out", arg(folder.path())]);
    run_command(command).succeeded();
    let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    // Code is taken from files that are compiled, and READMEs are pages whose links stay in the book.
    assert!(page("how_to/own_emitter.html").contains("struct Redraw"));
    assert!(page("parts/strategies.html").contains("arxiv.org/abs/1504.04909"));
    assert!(page("design.html").contains("href=\"parts/archives.html#unstructured\""));
    assert!(page("quality_diversity.html").contains("href=\"overview.html#what-runs\""));
    assert!(page("command_line.html").contains("id=\"illume-sweep-run\""));
    let search = std::fs::read_dir(folder.path()).unwrap().any(|file| {
        let name = file.unwrap().file_name();
        name.to_string_lossy().starts_with("searchindex")
    });
    assert!(search, "the book has no index to search in");
}

/// What the test above relies on: a link that leads nowhere, a page that is not listed and an outdated page of the command line are found.
#[test]
fn what_is_wrong_in_the_book_is_said() {
    let folder = folder();
    let copy = folder.path().join("tree");
    let mut command = std::process::Command::new("cp");
    std::fs::create_dir(&copy).unwrap();
    let parts = [
        "docs",
        "tools",
        "README.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "experiments",
        "tests",
    ];
    let crates = [
        "archives",
        "cluster",
        "core",
        "envs",
        "lm",
        "numerics",
        "python",
        "src",
        "strategies",
    ];
    command
        .arg("-r")
        .args(parts.iter().chain(&crates).map(|part| tree(part)))
        .arg(&copy);
    assert!(command.status().unwrap().success());
    let add = |page: &str, text: &str| {
        let page = copy.join(page);
        let before = std::fs::read_to_string(&page).unwrap_or_default();
        std::fs::write(page, before + text).unwrap();
    };
    add(
        "docs/faq.md",
        "\n[nowhere](missing.md) [no heading](format.md#missing)\n",
    );
    add("docs/new.md", "# A page\n");
    add("docs/command_line.md", "more\n");
    let mut command = python();
    let out = folder.path().join("book");
    command
        .arg(copy.join("tools/book"))
        .args(["check", "--illume", ILLUME, "--out", arg(&out)]);
    let ended = run_command(command);
    assert_eq!(ended.code(), Some(1), "{ended}");
    for part in [
        "faq.html: the link missing.html leads to no file",
        "faq.html: the link format.html#missing leads to no such heading",
        "SUMMARY.md does not list new.md",
        "command_line.md is not what illume --help says: run `make docs` and commit it",
    ] {
        assert!(ended.stderr.contains(part), "no '{part}' in {ended}");
    }
}

#[test]
fn the_notebooks_numbers_are_those_of_sweep_status() {
    let folder = folder();
    let sample = std::fs::read_to_string(tree("experiments/sweep_arm.toml")).unwrap();
    let small = sample
        .replace("evaluations = 400_000", "evaluations = 10_000")
        .replace("seeds = 3", "seeds = 5");
    assert!(small.contains("10_000") && small.contains("seeds = 5"), "{small}");
    let (file, sweep) = (folder.path().join("sweep.toml"), folder.path().join("sweep"));
    std::fs::write(&file, small).unwrap();
    run(1, &["sweep", "run", arg(&file), "--out", arg(&sweep)]).succeeded();
    let status = run(1, &["sweep", "status", arg(&sweep), "--json"]).succeeded();
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();

    let mut command = python();
    let executed = folder.path().join("executed.ipynb");
    command.arg(tree("tests/python/run_notebook.py"));
    command.args([&tree("docs/notebooks/sweep_analysis.ipynb"), &sweep, &executed]);
    let said = run_command(command).succeeded();
    let found: serde_json::Value = serde_json::from_str(said.trim().lines().last().unwrap()).unwrap();
    let close = |a: &serde_json::Value, b: &serde_json::Value, what: &str| {
        let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
        assert!(
            (a - b).abs() <= 1e-12 * b.abs().max(1.0),
            "{what}: {a} in the notebook, {b} by illume"
        );
    };
    let configurations = status["configurations"].as_array().unwrap();
    assert_eq!(configurations.len(), 4);
    for configuration in configurations {
        let label = configuration["label"].as_str().unwrap();
        let (ours, theirs) = (&configuration["summary"], &found["summaries"][label]);
        let ours = [
            &ours["n"],
            &ours["median"],
            &ours["quartiles"][0],
            &ours["quartiles"][1],
            &ours["iqm"],
        ];
        for (i, ours) in ours.into_iter().enumerate() {
            close(&theirs[i], ours, &format!("summary {i} of {label}"));
        }
    }
    let tests = status["tests"].as_array().unwrap();
    assert_eq!(tests.len(), 3);
    for test in tests {
        assert_eq!(test["baseline"], found["baseline"]);
        let label = test["candidate"].as_str().unwrap();
        for (i, key) in ["improvement", "p", "adjusted_p"].into_iter().enumerate() {
            close(&found["tests"][label][i], &test[key], &format!("{key} of {label}"));
        }
    }
    // The figure is there in the form that a paper takes.
    assert!(sweep.join("figure.pdf").metadata().unwrap().len() > 5_000);
}
