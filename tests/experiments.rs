//! Every sample configuration in `experiments/` is valid as it stands, and runs.

mod common;

use std::path::{Path, PathBuf};

use common::{arg, folder, open, run};
use illume::core::{Memory, StrategyEntry};
use illume::sweep::{Plan, Spec};
use illume::{Config, envs, registry, strategies};

fn files_of(sweeps: bool) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    found.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("sweep_") == sweeps);
    found.sort();
    found
}

fn experiments() -> Vec<PathBuf> {
    files_of(false)
}

/// Whether this build has the task of a configuration.
fn built(config: &Config) -> bool {
    envs::find(config.name("task")).is_ok()
}

/// The one that shows how ESSA is run on a real model.
const GSM8K: &str = "essa_gsm8k";

/// The files that a language model's configuration names, replaced by small ones in a folder.
fn files(config: &Config, folder: &Path, keys: &[&str]) -> Vec<String> {
    if !config.name("task").starts_with("lm/") {
        return Vec::new();
    }
    let table = common::tiny_lm(folder, config.name("task"));
    let keys = table.iter().filter(|(key, _)| keys.contains(&key.as_str()));
    keys.map(|(key, value)| format!("task.{key}={value}")).collect()
}

const FILES: [&str; 4] = ["model", "adapter", "data", "validation_data"];
const SIZES: [&str; 5] = [
    "batch",
    "max_new_tokens",
    "train_cases",
    "validation_cases",
    "sft_cases",
];

/// The task on which strategies that live on novelty are shown, and those that follow it half of the time; the others are not searched for a descriptor's sake.
const DECEPTIVE: &str = "hard_maze";
const HALF_BY_NOVELTY: &str = "me_es";

/// Strategies that are shown on functions alone: a covariance of that many genes as a robot's network has is for ESSA's tasks, or for who wants it.
const COVARIANCES: [&str; 4] = ["cma_es", "sep_cma_es", "cma_me", "cma_mae"];
/// Other optimizers, which are shown on the sphere alone.
const OPTIMIZERS: [&str; 5] = ["lm_ma_es", "snes", "xnes", "pgpe", "ars"];
const FUNCTIONS: [&str; 4] = ["arm", "sphere", "rastrigin", PLATEAU];

/// It tells only those apart that are compared on it in the paper of CMA-MAE.
const PLATEAU: &str = "plateau";
const ON_PLATEAU: [&str; 3] = ["map_elites", "cma_me", "cma_mae"];

#[test]
fn there_is_one_for_every_strategy_on_every_task_and_on_the_maze_alone_for_novelty() {
    let names: Vec<String> = experiments()
        .iter()
        .map(|p| p.file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    assert!(names.contains(&"demo".to_string()), "the one that `make demo` runs");
    assert!(
        names.contains(&"demo_atari".to_string()),
        "the one that `make demo-atari` runs"
    );
    for task in envs::registry() {
        // Language models: each is shown with one strategy at least, and those for tasks with cases on sums.
        if task.name.starts_with("lm/") {
            let own = task.name.replace('/', "_") + "_";
            assert!(
                names.iter().any(|n| n.starts_with(&own) || n == GSM8K),
                "experiments/{own}*.toml is missing"
            );
            for strategy in strategies::registry().iter().filter(|s| s.cases) {
                let name = format!("lm_arithmetic_{}", strategy.name);
                assert!(names.contains(&name), "experiments/{name}.toml is missing");
            }
            continue;
        }
        let wanted = |s: &&StrategyEntry| {
            (task.network || !s.network)
                && (!s.novelty && s.name != HALF_BY_NOVELTY || task.name == DECEPTIVE)
                && (!COVARIANCES.contains(&s.name) || FUNCTIONS.contains(&task.name))
                && (!OPTIMIZERS.contains(&s.name) || task.name == "sphere")
                && (task.name != PLATEAU || ON_PLATEAU.contains(&s.name))
                && !s.cases
        };
        for strategy in strategies::registry().iter().filter(wanted) {
            let name = format!("{}_{}", task.name.replace('/', "_"), strategy.name);
            assert!(names.contains(&name), "experiments/{name}.toml is missing");
        }
    }
}

#[test]
fn each_is_valid_as_it_stands_and_is_what_its_name_says() {
    let folder = folder();
    for path in experiments() {
        let shown = path.display();
        let config = Config::read(&path, &[]).unwrap_or_else(|e| panic!("{e}"));
        let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
        let name = format!("{}_{}", config.name("task").replace('/', "_"), config.name("strategy"));
        let short = name.strip_suffix("_me").is_some_and(|short| stem == short);
        assert!(
            stem == name || short || stem.starts_with("demo") || stem == GSM8K,
            "{shown} is about {name}"
        );
        if !built(&config) {
            let message = registry::task(&config).err().unwrap().to_string();
            assert!(message.contains("needs a build with feature"), "{message}");
            continue;
        }
        let config = Config::read(&path, &files(&config, folder.path(), &FILES)).unwrap_or_else(|e| panic!("{e}"));
        let task = registry::task(&config).unwrap_or_else(|e| panic!("{e}"));
        let made = registry::strategy_and_archive(&config, task.spec(), &Memory::unlimited());
        let (strategy, archive) = made.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(strategy.spec().name, config.name("strategy"), "{shown}");
        assert!(
            archive.spec().capacity > 1,
            "{shown}: an archive of {} cells",
            archive.spec().capacity
        );
    }
}

#[test]
fn each_runs() {
    let folder = folder();
    for path in experiments() {
        let config = Config::read(&path, &[]).unwrap();
        if !built(&config) {
            continue;
        }
        let mut set: Vec<&str> = match config.name("strategy") {
            "map_elites" => vec!["strategy.batch=6"],
            "deep_ga" => vec![
                "strategy.population=6",
                "strategy.parents=2",
                "strategy.validation_episodes=2",
                "strategy.test_episodes=3",
            ],
            "openai_es" | "cma_es" | "sep_cma_es" | "lm_ma_es" | "snes" | "xnes" | "pgpe" => {
                vec!["strategy.population=4"]
            }
            "ars" => vec!["strategy.population=4", "strategy.directions_used=1"],
            "cma_me" | "cma_mae" => vec!["strategy.emitters=2", "strategy.batch=4"],
            "ga_ns" => vec!["strategy.population=6", "strategy.parents=2", "archive.probability=0.5"],
            "nslc" => vec!["strategy.population=6", "strategy.parents=2", "archive.probability=0.5"],
            "ns_es" | "nsr_es" | "nsra_es" | "me_es" => vec!["strategy.population=4"],
            "essa" => vec!["strategy.population=4"],
            "grpo" => vec!["strategy.group=2"],
            "pga_me" | "dcg_me" | "dcrl_me" => vec![
                "strategy.batch=8",
                "strategy.critic_steps=4",
                "strategy.pg_steps=2",
                "strategy.replay=1000",
            ],
            other => panic!("{other}: say here how to make it small"),
        };
        set.extend(["budget.generations=2", "output.dir=nowhere"]);
        let keys = [&FILES[..], &SIZES].concat();
        let small = files(&config, folder.path(), &keys);
        set.extend(small.iter().map(String::as_str));
        let task = envs::find(config.name("task")).unwrap();
        if task.network {
            set.extend(["task.episode_length=8", "policy.hidden=[8]"]);
        } else if task.policy.is_some() {
            set.extend(["task.max_steps=8", "task.test_steps=10", "policy.network=\"small\""]);
            if config.name("strategy") == "deep_ga" {
                set.push("strategy.test_episodes=2");
            }
        }
        if config.archive.get("kind").and_then(|k| k.as_str()) == Some("cvt") {
            set.extend(["archive.cells=100", "archive.samples=500"]);
        }
        let out = folder.path().join(path.file_stem().unwrap());
        let mut arguments = vec!["run", arg(&path), "--out", arg(&out)];
        set.iter().for_each(|s| arguments.extend(["--set", s]));
        run(1, &arguments).succeeded();
        let file = open(&out.join("archive.h5"));
        assert!(file.rows() > 0, "{}: an empty archive", path.display());
        assert_eq!(file.attributes.generation, 2, "{}", path.display());
    }
}

#[test]
fn every_sweep_can_be_planned() {
    let sweeps = files_of(true);
    assert!(sweeps.len() >= 2);
    for path in sweeps {
        let spec = Spec::read(&path, &[], None).unwrap_or_else(|e| panic!("{e}"));
        let base = &spec.variants[0].base;
        if !built(&Config::parse(&base.text, &base.file, &[]).unwrap()) {
            continue;
        }
        let plan = Plan::new(&spec).unwrap_or_else(|e| panic!("{e}"));
        assert!(
            plan.configurations.len() > 1 && plan.seeds.len() > 1,
            "{}",
            path.display()
        );
    }
}
