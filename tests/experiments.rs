//! Every sample configuration in `experiments/`, and every run that the head of one names, is valid as it stands, and runs.

mod common;

use std::path::{Path, PathBuf};

use common::{arg, folder, open, run, small};
use illume::core::{ArchiveEntry, Memory, toml};
use illume::sweep::{Plan, Spec};
use illume::{Config, archives, envs, registry, strategies};

fn files_of(sweeps: bool) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("experiments");
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|e| e == "toml"));
    found.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("sweep_") == sweeps);
    found.sort();
    found
}

/// A run that a sample gives: as it stands, or with what its head says of another one.
struct Sample {
    path: PathBuf,
    /// The file's name without its end, or what the head calls the other run.
    name: String,
    /// What `--set` is given.
    set: Vec<String>,
}

impl Sample {
    fn config(&self, set: &[String]) -> Config {
        let set = [&self.set[..], set].concat();
        Config::read(&self.path, &set).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }
}

/// The samples, and behind each the other runs of its file: lines `#   NAME: --set KEY=VALUE --set 'KEY=VALUE'`.
fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for path in files_of(false) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        let others = text
            .lines()
            .filter_map(|line| line.strip_prefix("#   ")?.split_once(": --set "));
        let others = others.map(|(name, words)| {
            let values = words.split(" --set ").map(|value| value.trim_matches('\'').to_string());
            (name.to_string(), values.collect())
        });
        for (name, set) in [(name, Vec::new())].into_iter().chain(others) {
            samples.push(Sample {
                path: path.clone(),
                name,
                set,
            });
        }
    }
    samples
}

/// Whether this build has the task of a configuration.
fn built(config: &Config) -> bool {
    envs::find(config.name("task")).is_ok()
}

/// The one that shows how ESSA is run on a real model.
const GSM8K: &str = "essa_gsm8k";

/// What replaces the files that a language model's configuration names by small ones in a folder, and with `sizes` all that takes time.
fn files(config: &Config, folder: &Path, sizes: bool) -> Vec<String> {
    let entry = envs::find(config.name("task")).unwrap();
    let keys = ["model", "adapter", "data", "validation_data"];
    let tables = small::task(entry, folder);
    let mut set = Vec::new();
    for (section, table) in &tables {
        let wanted = |key: &&String| key.as_str() != "name" && (sizes || entry.cases && keys.contains(&key.as_str()));
        let table = table.as_table().unwrap();
        set.extend(
            table
                .keys()
                .filter(wanted)
                .map(|key| format!("{section}.{key}={}", table[key])),
        );
    }
    // What samples of language models show is not what makes them small.
    set.retain(|s| !s.starts_with("task.temperature") && !s.starts_with("task.descriptor"));
    set
}

/// What makes the strategy and the archive of a configuration small; a grid is as small as it has to be.
fn sizes(config: &Config) -> Vec<String> {
    let strategy = strategies::registry()
        .iter()
        .find(|e| e.name == config.name("strategy"))
        .unwrap();
    let kind = config.archive.get("kind").and_then(|k| k.as_str()).or(Some("grid"));
    let archive = archives::registry()
        .iter()
        .find(|e: &&ArchiveEntry| Some(e.kind) == kind)
        .unwrap();
    let tables = [("strategy", strategy.small), ("archive", archive.small)];
    let keys = tables.iter().flat_map(|(section, text)| {
        let table: toml::Table = text.parse().unwrap();
        table
            .into_iter()
            .map(move |(key, value)| format!("{section}.{key}={value}"))
    });
    keys.filter(|s| !s.starts_with("archive.shape")).collect()
}

#[test]
fn there_is_one_for_every_strategy_and_for_every_task() {
    let samples = samples();
    for demo in ["demo", "demo_atari", "demo_essa"] {
        assert!(
            samples.iter().any(|s| s.name == demo),
            "the one that the Makefile runs: {demo}"
        );
    }
    let configs: Vec<Config> = samples.iter().map(|s| s.config(&[])).collect();
    let names = |section: &str| -> Vec<String> { configs.iter().map(|c| c.name(section).to_string()).collect() };
    let tasks = names("task");
    for task in envs::registry() {
        assert!(
            tasks.iter().any(|t| t == task.name),
            "experiments/ shows nothing on {}",
            task.name
        );
    }
    let strategies_shown = names("strategy");
    for strategy in strategies::registry() {
        let own = samples
            .iter()
            .zip(&strategies_shown)
            .any(|(sample, name)| name == strategy.name && sample.set.is_empty());
        assert!(own, "experiments/*_{}.toml is missing", strategy.name);
    }
}

#[test]
fn each_is_valid_as_it_stands_and_is_what_its_name_says() {
    let folder = folder();
    for sample in samples() {
        let config = sample.config(&[]);
        let shown = &sample.name;
        let of = |what: &str| format!("{}_{what}", config.name("task").replace('/', "_"));
        let name = of(config.name("strategy"));
        let kind = config.archive.get("kind").and_then(toml::Value::as_str);
        let by_archive = kind.is_some_and(|kind| *shown == of(kind));
        let short = name.strip_suffix("_me").is_some_and(|short| shown == short);
        assert!(
            *shown == name
                || short
                || by_archive
                || ["demo", "small"].iter().any(|start| shown.starts_with(start))
                || shown == GSM8K,
            "{shown} is about {name}"
        );
        if !built(&config) {
            let message = registry::task(&config).err().unwrap().to_string();
            assert!(message.contains("needs a build with feature"), "{message}");
            continue;
        }
        let config = sample.config(&files(&config, folder.path(), false));
        let task = registry::task(&config).unwrap_or_else(|e| panic!("{shown}: {e}"));
        let made = registry::strategy_and_archive(&config, task.spec(), &Memory::unlimited());
        let (strategy, archive) = made.unwrap_or_else(|e| panic!("{shown}: {e}"));
        assert_eq!(strategy.spec().name, config.name("strategy"), "{shown}");
        assert!(
            archive.spec().most_elites() > 1 || task.spec().descriptor_dim() == 0,
            "{shown}: an archive of {} cells",
            archive.spec().capacity
        );
    }
}

#[test]
fn a_mistake_in_the_task_of_each_is_said_and_nothing_else() {
    for sample in samples() {
        let config = sample.config(&["task.no_such_key=1".into()]);
        let error = registry::task(&config).err().expect("there is no such key").to_string();
        assert!(
            error.contains("task.no_such_key: unknown key"),
            "{}: {error}",
            sample.name
        );
        assert_eq!(error.lines().count(), 1, "{}: {error}", sample.name);
    }
}

#[test]
fn each_runs() {
    let folder = folder();
    for sample in samples() {
        let config = sample.config(&[]);
        if !built(&config) {
            continue;
        }
        let mut set = sample.set.clone();
        set.extend(sizes(&config));
        set.extend(files(&config, folder.path(), true));
        set.extend(["budget={generations=2}", "output.dir=nowhere"].map(String::from));
        let out = folder.path().join(&sample.name);
        let mut arguments = vec!["run", arg(&sample.path), "--out", arg(&out)];
        set.iter().for_each(|s| arguments.extend(["--set", s]));
        run(1, &arguments).succeeded();
        let file = open(&out.join("archive.h5"));
        assert!(file.rows() > 0, "{}: an empty archive", sample.name);
        assert_eq!(file.attributes.generation, 2, "{}", sample.name);
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
