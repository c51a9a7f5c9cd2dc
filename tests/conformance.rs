//! What every task, strategy and archive of the registries must do. A new one is tested here as soon as it is registered.

mod common;

use common::{arg, assert_equal_files, assert_equal_tables, folder, open, run, small, write_config};
use illume::archives::file::read_checkpoint;
use illume::cluster::{Solo, run_ranks};
use illume::core::params::ParamInfo;
use illume::core::{Comm, Memory, StrategyEntry, Task};
use illume::{Config, Run, archives, envs, registry, strategies};

/// A small setting of each strategy.
fn small(strategy: &str) -> String {
    small::strategy(entry(strategy))
}

fn entry(strategy: &str) -> &'static StrategyEntry {
    strategies::registry().iter().find(|e| e.name == strategy).unwrap()
}

fn config(task: &str, strategy: &str, archive: &str, budget: &str) -> Config {
    let strategy = small(strategy);
    let text = format!("seed = 3\n[task]\n{task}\n[strategy]\n{strategy}\n[archive]\n{archive}\n[budget]\n{budget}\n");
    Config::parse(&text, "test", &[]).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// A small task for a strategy: the arm, or what pays for every episode above zero.
fn task_for(strategy: &str) -> &'static str {
    let entry = entry(strategy);
    if entry.network && entry.fronts {
        MAZE_OF_TWO
    } else if entry.network {
        MAZE
    } else if entry.fronts {
        "name = \"zdt1\"\ndim = 6"
    } else if entry.gradients {
        "name = \"sphere\"\ndim = 6"
    } else {
        "name = \"arm\"\njoints = 6"
    }
}

const MAZE: &str = "name = \"hard_maze\"\nepisode_length = 50\nreward = \"closeness\"\n[policy]\nhidden = [6]";

/// The same with two objectives.
const MAZE_OF_TWO: &str =
    "name = \"hard_maze\"\nepisode_length = 50\nreward = \"closeness\"\nobjectives = 2\n[policy]\nhidden = [6]";

/// Every strategy in every kind of archive that it can have. Those for tasks with cases need a language model, which tests of their own make.
fn each(mut test: impl FnMut(&str, &str)) {
    for entry in strategies::registry().iter().filter(|entry| !entry.cases) {
        for archive in archives::registry()
            .iter()
            .filter_map(|archive| small::archive(archive, entry))
        {
            test(entry.name, &archive);
        }
    }
}

#[test]
fn metrics_are_finite_and_the_history_is_complete() {
    each(|strategy, archive| {
        let what = format!("{strategy} in {archive}");
        let config = config(task_for(strategy), strategy, archive, "generations = 6");
        let task = registry::task(&config).unwrap();
        let mut run = Run::new(&config, task.as_ref(), &Solo).unwrap();
        while run.generation().unwrap() {}
        let m = run.metrics();
        assert!(
            m.filled > 0 && m.max_fitness.is_finite() && m.mean_fitness <= m.max_fitness,
            "{what}: {m:?}"
        );
        // What is of cells does not exist without them, and an archive that admits by chance may be empty for a while.
        let of_cells: &[&str] = if run.archive().spec().has_cells() {
            assert!(
                m.coverage > 0.0 && m.coverage <= 1.0 && m.qd_score.is_finite(),
                "{what}: {m:?}"
            );
            &[]
        } else {
            assert!(m.coverage.is_nan() && m.qd_score.is_nan(), "{what}: {m:?}");
            &["coverage", "qd_score", "max_fitness", "mean_fitness"]
        };
        let own: Vec<String> = run
            .strategy()
            .spec()
            .history
            .iter()
            .map(|(name, ..)| name.clone())
            .collect();
        let history = run.history().batch();
        let common = [
            "generation",
            "evaluations",
            "wall_seconds",
            "qd_score",
            "coverage",
            "max_fitness",
            "mean_fitness",
        ];
        for name in common.map(String::from).iter().chain(&own) {
            let column = history.find(name).unwrap_or_else(|| panic!("{what}: no column {name}"));
            assert!(!column.description.is_empty(), "{what}: {name} is not described");
            let values = common::column(&history, name);
            // What does not exist may be missing: validation episodes, candidates of an operator, a descriptor that was asked for.
            let optional = ["validated_mean", "last_elite_test", "fitness_", "distance_"]
                .iter()
                .chain(of_cells)
                .any(|n| name.starts_with(n));
            assert!(
                values.iter().all(|v| v.is_finite() || optional),
                "{what}: {name} is {values:?}"
            );
        }
        assert_eq!(
            common::column(&history, "generation"),
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
            "{what}"
        );
        // Estimates of elites that are evaluated again may fall, and a cell that holds several may lose its fittest.
        let several = run.archive().spec().rule("depth").is_some();
        let archives = ["coverage", "max_fitness", "qd_score"];
        let increasing = |name: &str| common::column(&history, name).windows(2).all(|w| w[0] <= w[1]);
        for name in [
            "evaluations",
            "wall_seconds",
            "coverage",
            "max_fitness",
            "qd_score",
            "env_steps",
        ]
        .into_iter()
        .filter(|name| !(of_cells.contains(name) || several && archives.contains(name)))
        {
            assert!(increasing(name), "{what}: {name} falls");
        }
    });
}

#[test]
fn a_run_stops_with_the_first_generation_that_uses_up_its_evaluations() {
    each(|strategy, archive| {
        let with = |budget: &str| config(task_for(strategy), strategy, archive, budget);
        let task = registry::task(&with("generations = 1")).unwrap();
        // More than the first generation takes, which would be refused.
        let first = Run::new(&with("generations = 1"), task.as_ref(), &Solo).unwrap();
        let budget = 100.max(first.strategy().spec().first_generation + 1);
        let config = with(&format!("evaluations = {budget}"));
        let mut run = Run::new(&config, task.as_ref(), &Solo).unwrap();
        while run.generation().unwrap() {}
        let budget = budget as f64;
        let used = common::column(&run.history().batch(), "evaluations");
        let n = used.len();
        assert!(
            n > 1 && used[n - 2] < budget && used[n - 1] >= budget,
            "{strategy}: {used:?}"
        );
        assert!(
            !run.generation().unwrap() && run.counters().generation == n as u64,
            "a finished run does nothing more"
        );
    });
}

/// A run of 5 generations on `comm`, by way of a checkpoint after `stop`.
fn saved_and_loaded(config: &Config, task: &dyn Task, comm: &dyn Comm, folder: &std::path::Path, stop: u64) {
    let path = folder.join("checkpoint.h5");
    let mut first = Run::new(config, task, comm).unwrap();
    while first.counters().generation < stop {
        first.generation().unwrap();
    }
    first.write(&path, true).unwrap();
    drop(first);
    let mut second = Run::new(config, task, comm).unwrap();
    second.load(&read_checkpoint(&path, comm).unwrap()).unwrap();
    assert_eq!(second.counters().generation, stop);
    while second.generation().unwrap() {}
    second.write(&folder.join("resumed.h5"), true).unwrap();
}

#[test]
fn saved_loaded_and_continued_equals_uninterrupted_on_any_ranks() {
    let folder = folder();
    each(|strategy, archive| {
        let config = config(task_for(strategy), strategy, archive, "generations = 5");
        let task = registry::task(&config).unwrap();
        let mut whole = Run::new(&config, task.as_ref(), &Solo).unwrap();
        while whole.generation().unwrap() {}
        let path = folder.path().join("whole.h5");
        whole.write(&path, true).unwrap();
        for (ranks, stop) in [(1, 1), (1, 4), (1, 5), (2, 2), (3, 3)] {
            run_ranks(ranks, |comm| {
                saved_and_loaded(&config, task.as_ref(), comm, folder.path(), stop)
            });
            assert_equal_files(&path, &folder.path().join("resumed.h5"));
        }
    });
}

#[test]
fn any_number_of_threads_gives_the_same_archive() {
    let folder = folder();
    each(|strategy, archive| {
        let entry = strategies::registry().iter().find(|e| e.name == strategy).unwrap();
        let task = if entry.gradients || entry.fronts {
            task_for(strategy)
        } else {
            MAZE
        };
        let config = config(task, strategy, archive, "generations = 4");
        let task = registry::task(&config).unwrap();
        for threads in [1, 2, 3, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut run = Run::new(&config, task.as_ref(), &Solo).unwrap();
                while run.generation().unwrap() {}
                run.write(&folder.path().join(format!("{threads}.h5")), true).unwrap();
            });
            assert_equal_files(
                &folder.path().join("1.h5"),
                &folder.path().join(format!("{threads}.h5")),
            );
        }
    });
}

#[test]
fn another_seed_gives_another_archive() {
    each(|strategy, archive| {
        let config = config(task_for(strategy), strategy, archive, "generations = 3");
        let task = registry::task(&config).unwrap();
        let fitness = |seed| {
            let mut config = config.clone();
            config.seed = seed;
            let mut run = Run::new(&config, task.as_ref(), &Solo).unwrap();
            while run.generation().unwrap() {}
            run.archive()
                .elites()
                .fitness()
                .iter()
                .map(|f| f.to_bits())
                .collect::<Vec<_>>()
        };
        assert!(fitness(1) == fitness(1) && fitness(1) != fitness(2), "{strategy}");
    });
}

#[test]
fn a_resolved_configuration_names_every_parameter_and_repeats_the_run() {
    let folder = folder();
    each(|strategy, archive| {
        let first = config(task_for(strategy), strategy, archive, "generations = 3");
        let task = registry::task(&first).unwrap();
        let mut run = Run::new(&first, task.as_ref(), &Solo).unwrap();
        let text = run.config_text().to_string();
        let table: toml::Table = text.parse().unwrap();
        for (section, parameters) in registry::parameters(&first, task.spec()).unwrap() {
            for p in parameters {
                // A table of a list, `strategy.emitters[0]`, or a section.
                let found = match section.split_once(".emitters[") {
                    Some((section, index)) => {
                        &table[section]["emitters"][index.trim_end_matches(']').parse::<usize>().unwrap()]
                    }
                    None => &table[&section],
                };
                assert!(
                    found.as_table().unwrap().contains_key(p.name),
                    "{section}.{} is missing:\n{text}",
                    p.name
                );
            }
        }
        let again = Config::parse(&text, "resolved", &[]).unwrap_or_else(|e| panic!("{e}\n{text}"));
        let mut repeated = Run::new(&again, task.as_ref(), &Solo).unwrap();
        assert_eq!(repeated.config_text(), text);
        for (run, name) in [(&mut run, "a.h5"), (&mut repeated, "b.h5")] {
            while run.generation().unwrap() {}
            run.write(&folder.path().join(name), true).unwrap();
        }
        assert_equal_files(&folder.path().join("a.h5"), &folder.path().join("b.h5"));
    });
}

#[test]
fn every_task_runs_with_map_elites_and_describes_itself() {
    let folder = folder();
    for entry in envs::registry() {
        let own = small::task(entry, folder.path());
        let archive = "kind = \"cvt\"\ncells = 50\nsamples = 500";
        let strategy = small("map_elites");
        let text = format!("{own}\n[strategy]\n{strategy}\n[archive]\n{archive}\n[budget]\ngenerations = 2\n");
        let parsed = Config::parse(&text, entry.name, &[]).unwrap();
        let task = registry::task(&parsed).unwrap_or_else(|e| panic!("{e}"));
        let spec = task.spec();
        assert_eq!(spec.name, entry.name);
        assert!(
            !spec.fitness.is_empty() && spec.genome_dim > 0 && spec.qd_offset.is_finite(),
            "{spec:?}"
        );
        assert_eq!(
            entry.network,
            spec.observation_dim > 0 && spec.action_dim > 0,
            "{}",
            entry.name
        );
        assert!(
            spec.descriptor.iter().all(|x| x.lower < x.upper && !x.name.is_empty()),
            "{:?}",
            spec.descriptor
        );

        let config = write_config(folder.path(), &text);
        let dir = folder.path().join(entry.name.replace('/', "_"));
        run(1, &["run", arg(&config), "--out", arg(&dir)]).succeeded();
        let file = open(&dir.join("archive.h5"));
        assert_eq!(
            (file.attributes.generation, file.attributes.evaluations),
            (2, 60),
            "{}",
            entry.name
        );
        assert!(file.rows() > 0, "{}: an empty archive", entry.name);
        let fitness = common::column(&file.elites, "fitness");
        let low = fitness.iter().copied().fold(f64::INFINITY, f64::min);
        let projection = ["sphere", "rastrigin"].contains(&entry.name);
        assert!(
            projection || low + spec.qd_offset >= 0.0,
            "{}: an elite of {low} lowers the QD score",
            entry.name
        );
        let steps = common::column(&file.history, "env_steps");
        assert!(
            steps[1] >= 60.0 && steps[1] <= 60.0 * f64::from(spec.max_steps),
            "{}: {steps:?}",
            entry.name
        );
        assert_eq!(common::column(&file.history, "invalid"), [0.0, 0.0], "{}", entry.name);
    }
}

/// Evaluated twice under the same seed, in another order and among others, a genome scores the same.
#[test]
fn every_task_is_a_pure_function_of_genome_and_seed() {
    let folder = folder();
    for entry in envs::registry() {
        let own = small::task(entry, folder.path());
        let runs = |batch: usize| {
            let text = format!(
                "{own}\n[strategy]\nname = \"map_elites\"\nbatch = {batch}\n\
                 [archive]\nkind = \"cvt\"\ncells = 1\n[budget]\ngenerations = 1\n"
            );
            common::finish(&text, |run| run.archive().elites().clone())
        };
        // The best of 9 is either that of 7 or one of the two that were added.
        let (seven, nine) = (runs(7), runs(9));
        let same = [&seven, &nine].map(|e| (e.fitness()[0], e.descriptor().to_vec(), e.seed()[0]));
        let same = same[0] == same[1];
        assert!(
            same || nine.fitness()[0] > seven.fitness()[0],
            "{}: {seven:?} {nine:?}",
            entry.name
        );
    }
}

#[test]
fn list_shows_every_parameter_of_every_entry_with_its_meaning() {
    let json: serde_json::Value = serde_json::from_str(&run(1, &["list", "--json"]).succeeded()).unwrap();
    let overview = run(1, &["list"]).succeeded();
    let mut entries: Vec<(&str, &str, Vec<ParamInfo>)> = Vec::new();
    entries.extend(envs::registry().iter().map(|e| (e.name, e.summary, (e.params)())));
    entries.extend(strategies::registry().iter().map(|e| (e.name, e.summary, (e.params)())));
    entries.extend(archives::registry().iter().map(|e| (e.kind, e.summary, (e.params)())));
    let everything: String = ["tasks", "strategies", "archives"]
        .map(|kind| run(1, &["list", kind]).succeeded())
        .concat();
    for (name, summary, parameters) in entries {
        assert!(
            !summary.is_empty() && overview.contains(name) && overview.contains(summary),
            "{name}:\n{overview}"
        );
        let items = json.as_array().unwrap();
        let item = items
            .iter()
            .find(|i| i["name"] == name)
            .unwrap_or_else(|| panic!("{name} is not listed"));
        assert!(!parameters.is_empty(), "{name} has no parameters");
        for p in parameters {
            let listed = item["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .find(|l| l["name"] == p.name);
            let listed = listed.unwrap_or_else(|| panic!("{name}.{} is not listed", p.name));
            for key in ["accepts", "default", "meaning"] {
                assert!(
                    listed[key].as_str().is_some_and(|s| !s.is_empty()),
                    "{name}.{}: no {key}",
                    p.name
                );
            }
            assert!(
                everything.contains(p.name) && everything.contains(&p.meaning),
                "{name}.{}: not in the text",
                p.name
            );
            assert!(
                format!("v = {}", p.default).parse::<toml::Table>().is_ok(),
                "{name}.{}: default {}",
                p.name,
                p.default
            );
        }
        assert!(run(1, &["list", name]).succeeded().contains(name));
    }
}

#[test]
fn an_archive_without_a_kind_is_of_the_kind_whose_parameters_it_has() {
    for (archive, kind) in [
        ("", "grid"),
        ("shape = [4, 4]", "grid"),
        ("cells = 50\nsamples = 500", "cvt"),
    ] {
        let config = config(task_for("map_elites"), "map_elites", archive, "generations = 1");
        let task = registry::task(&config).unwrap();
        let (_, made) = registry::strategy_and_archive(&config, task.spec(), &Memory::unlimited()).unwrap();
        assert_eq!(made.spec().kind, kind, "{archive}");
    }
}

#[test]
fn a_time_budget_ends_a_run_in_order() {
    let folder = folder();
    let text = format!(
        "[task]\n{}\n[strategy]\n{}\n[budget]\nwall_minutes = 0.005\n",
        task_for("map_elites"),
        small("map_elites")
    );
    let dir = folder.path().join("run");
    run(
        1,
        &["run", arg(&write_config(folder.path(), &text)), "--out", arg(&dir)],
    )
    .succeeded();
    let file = open(&dir.join("archive.h5"));
    let seconds = common::column(&file.history, "wall_seconds");
    let last = seconds[seconds.len() - 1];
    assert!((0.3..20.0).contains(&last), "{last} s of 0.3 s");
    assert_equal_tables(
        &file.history,
        &open(&dir.join("checkpoint.h5")).history,
        "archive and checkpoint",
    );
}
