//! Searches over a language model give the same archive, history, state and solution, bit for bit, on any number of ranks and threads, and when they
//! are killed and resumed.
#![cfg(feature = "lm")]

mod common;

use std::path::{Path, PathBuf};

use common::{Running, arg, assert_equal_runs, column, folder, illume, open, run, was_killed, write_config};
use illume::core::Genomes;
use illume_lm::{Array, Lora, LoraTarget, tiny_config, tiny_task};

/// (ranks, threads of each).
#[cfg(feature = "mpi")]
const LAYOUTS: [(usize, usize); 2] = [(1, 1), (3, 2)];
#[cfg(not(feature = "mpi"))]
const LAYOUTS: [(usize, usize); 2] = [(1, 1), (1, 2)];

const ESSA: &str = "name = \"essa\"\npopulation = 7\nsigma = 0.5\nvalidation_interval = 2";
const SEPARABLE: &str =
    "name = \"essa\"\noptimizer = \"sep_cma_es\"\npopulation = 6\nsigma = 0.5\nvalidation_interval = 3";
const GRPO: &str = "name = \"grpo\"\ngroup = 5\nepochs = 2\nlearning_rate = 0.05\nvalidation_interval = 2";
const EGGROLL: &str =
    "name = \"eggroll\"\npopulation = 6\nrank = 2\nsigma = 0.1\nlearning_rate = 0.2\nvalidation_interval = 2";
/// Any strategy takes a language model; this one keeps adapters whose answers differ in length.
const MAP_ELITES: &str = "name = \"map_elites\"\nbatch = 9\niso_sigma = 0.5";

/// A model of random weights, paid for every answer with a digit in it.
fn config(folder: &Path, task: &str, strategy: &str, budget: &str) -> PathBuf {
    let mut table = tiny_task(&folder.join("model"), "lm/jsonl").unwrap();
    let extra: toml::Table = format!("reward = \"regex\"\npattern = \"[0-9]\"\n{task}")
        .parse()
        .unwrap();
    table.extend(extra);
    let text = format!(
        "seed = 7\n[task]\n{table}\n[strategy]\n{strategy}\n[archive]\nshape = [6]\n[budget]\n{budget}\n[output]\n\
         checkpoint_generations = 3\n"
    );
    write_config(folder, &text)
}

fn assert_equal_archives(task: &str, strategy: &str) {
    let folder = folder();
    let config = config(folder.path(), task, strategy, "generations = 5");
    let out = |(ranks, threads)| folder.path().join(format!("{ranks}x{threads}"));
    for layout @ (ranks, threads) in LAYOUTS {
        let dir = out(layout);
        let threads = threads.to_string();
        run(ranks, &["run", arg(&config), "--out", arg(&dir), "--threads", &threads]).succeeded();
        let file = open(&dir.join("archive.h5"));
        assert_eq!(file.attributes.ranks, ranks as u64);
        let rewards = file.elites.get::<f64>("fitness").unwrap();
        assert!(
            file.attributes.generation == 5 && rewards.iter().any(|r| *r > 0.0),
            "answers without rewards prove nothing: {rewards:?}"
        );
        if layout != LAYOUTS[0] {
            assert_equal_runs(&out(LAYOUTS[0]), &dir);
        }
    }
}

#[test]
fn essa_on_a_language_model() {
    assert_equal_archives("", ESSA);
}

#[test]
fn essa_with_the_separable_optimizer_greedily_and_with_few_slots() {
    assert_equal_archives("temperature = 0.0\nslots = 3", SEPARABLE);
}

#[test]
fn grpo_on_whole_adapters() {
    assert_equal_archives("search = \"adapters\"", GRPO);
}

#[test]
fn grpo_on_singular_values() {
    assert_equal_archives("", GRPO);
}

#[test]
fn eggroll_on_whole_weights() {
    assert_equal_archives("search = \"weights\"", EGGROLL);
}

#[test]
fn eggroll_of_full_rank_by_adam_without_an_adapter() {
    let strategy = EGGROLL.replace("rank = 2", "rank = 0\noptimizer = \"adam\"");
    assert_equal_archives("search = \"weights\"\nadapter = \"\"", &strategy);
}

#[test]
fn eggroll_in_int8_greedily_and_with_few_slots() {
    let task = "search = \"weights\"\nprecision = \"int8\"\ntemperature = 0.0\nslots = 3";
    assert_equal_archives(task, EGGROLL);
}

#[test]
fn map_elites_on_a_language_model() {
    assert_equal_archives("", MAP_ELITES);
}

/// `(2A, B / 2)` is the same adapter as `(A, B)`.
#[test]
fn essa_searches_an_adapter_whose_factors_are_rescaled_in_the_same_way() {
    let folder = folder();
    let config = config(folder.path(), "", ESSA, "generations = 4");
    let out = |name: &str| folder.path().join(name);
    let search = |name: &str, set: &str| {
        let dir = out(name);
        let run_it = ["run", arg(&config), "--out", arg(&dir), "--threads", "1", "--set", set];
        run(1, &run_it).succeeded();
        dir
    };
    let relative = "task.scale=relative";
    let absolute = "task.scale=absolute";
    let first = search("first", relative);
    let first_absolute = search("first-absolute", absolute);
    let adapter = folder.path().join("model/adapter");
    let lora = Lora::read(&adapter, &tiny_config()).unwrap();
    let scaled = |a: &Array, c: f32| Array::new(a.shape(), a.values().iter().map(|x| x * c).collect());
    let rescaled = |t: &LoraTarget| LoraTarget {
        layer: t.layer,
        module: t.module,
        a: scaled(&t.a, 2.0),
        b: scaled(&t.b, 0.5),
    };
    let targets = lora.targets.iter().map(rescaled).collect();
    Lora { targets, ..lora }.write(&adapter).unwrap();
    assert_equal_runs(&first, &search("second", relative));
    let rewards = |dir: &Path| column(&open(&dir.join("archive.h5")).history, "population_mean");
    assert_ne!(rewards(&first_absolute), rewards(&search("second-absolute", absolute)));
}

#[test]
fn essa_in_int8() {
    assert_equal_archives("precision = \"int8\"", ESSA);
}

/// The elites of an earlier run are evaluated first; a genome that is given is the center.
#[test]
fn searches_that_begin_with_what_is_there() {
    let folder = folder();
    let out = |name: &str| folder.path().join(name);
    let old = config(folder.path(), "", MAP_ELITES, "generations = 3");
    run(1, &["run", arg(&old), "--out", arg(&out("old"))]).succeeded();
    // An adapter's own singular values are zeros, at which a search begins that is given nothing.
    let center = folder.path().join("center.csv");
    std::fs::write(&center, [["0.5"; 16].join(","), String::new()].join("\n")).unwrap();
    let elites = format!("start.archive={:?}", out("old"));
    let center = format!("start.solutions={center:?}");
    for (name, strategy, start) in [("map_elites", MAP_ELITES, elites), ("essa", ESSA, center)] {
        let config = config(folder.path(), "", strategy, "generations = 3");
        let without = out(&format!("{name}-without"));
        run(1, &["run", arg(&config), "--out", arg(&without)]).succeeded();
        let begun = LAYOUTS.map(|(ranks, threads)| {
            let dir = out(&format!("{name}-{ranks}x{threads}"));
            let threads = threads.to_string();
            let words = [
                "run",
                arg(&config),
                "--out",
                arg(&dir),
                "--threads",
                &threads,
                "--set",
                &start,
            ];
            run(ranks, &words).succeeded();
            dir
        });
        begun[1..].iter().for_each(|dir| assert_equal_runs(&begun[0], dir));
        let genomes = |dir: &Path| match open(&dir.join("archive.h5")).genomes(0..1).unwrap() {
            Genomes::Dense(dense) => dense.data,
            other => panic!("{other:?}"),
        };
        assert_ne!(genomes(&begun[0]), genomes(&without), "{name}");
    }
}

/// Kills a run that has a checkpoint, resumes it at another number of ranks, and compares with the run that was left alone.
fn assert_survives_a_kill(task: &str, strategy: &str) {
    let folder = folder();
    let config = config(folder.path(), task, strategy, "generations = 1000000");
    let (dir, whole) = (folder.path().join("killed"), folder.path().join("whole"));
    let mut running = Running::start(illume(1, &["run", arg(&config), "--out", arg(&dir), "--threads", "1"]));
    let checkpoint = dir.join("checkpoint.h5");
    running.wait_until("its first checkpoint", || checkpoint.is_file());
    assert!(common::signal("KILL", running.pid()));
    assert!(was_killed(&running.wait(), 9));
    let reached = open(&checkpoint).attributes.generation;
    let budget = format!("budget.generations={}", reached + 5);
    let ranks = if cfg!(feature = "mpi") { 2 } else { 1 };
    run(ranks, &["resume", arg(&dir), "--set", &budget, "--threads", "1"]).succeeded();
    let arguments = [
        "run",
        arg(&config),
        "--out",
        arg(&whole),
        "--set",
        &budget,
        "--threads",
        "1",
    ];
    run(1, &arguments).succeeded();
    assert_eq!(open(&dir.join("archive.h5")).attributes.generation, reached + 5);
    assert_equal_runs(&whole, &dir);
}

#[test]
fn essa_survives_a_kill() {
    assert_survives_a_kill("", ESSA);
}

#[test]
fn grpo_survives_a_kill() {
    assert_survives_a_kill("", GRPO);
}

#[test]
fn eggroll_survives_a_kill() {
    assert_survives_a_kill("search = \"weights\"", EGGROLL);
}

/// Rewards are paid for digits, which a model of random weights can learn to write.
#[test]
fn essa_grpo_and_eggroll_raise_the_validation_score_of_a_model_of_random_weights() {
    for (search, strategy) in [
        ("singular_values", "name = \"essa\"\npopulation = 24\nsigma = 0.5"),
        ("singular_values", "name = \"grpo\"\nlearning_rate = 0.1"),
        (
            "weights",
            "name = \"eggroll\"\npopulation = 64\nsigma = 0.2\nlearning_rate = 1.0",
        ),
        (
            "weights",
            "name = \"eggroll\"\npopulation = 64\nrank = 0\nsigma = 0.2\nlearning_rate = 1.0",
        ),
    ] {
        let folder = folder();
        let task = format!("batch = 8\nmax_new_tokens = 2\nsearch = \"{search}\"");
        let config = config(folder.path(), &task, strategy, "generations = 40");
        let dir = folder.path().join("run");
        run(1, &["run", arg(&config), "--out", arg(&dir), "--threads", "1"]).succeeded();
        let validation = column(&open(&dir.join("archive.h5")).history, "validation");
        let (first, last) = (validation[0], validation[validation.len() - 1]);
        assert!(last > first + 0.3, "{strategy}: {validation:?}");
    }
}
