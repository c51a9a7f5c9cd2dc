use std::path::Path;

use illume_cluster::Solo;

use super::*;
use crate::Run;

/// Whether a strategy can run on a task, by what the two say of themselves.
fn go_together(task: &TaskEntry, spec: &TaskSpec, strategy: &StrategyEntry) -> bool {
    (task.network || !strategy.network)
        && (task.cases || !strategy.cases)
        && (spec.gradients.is_some() || !strategy.gradients)
}

/// The tables that make a task small, and of a language model the files that it needs.
fn small(task: &TaskEntry, folder: &Path) -> Table {
    let mut small: Table = task.small.parse().unwrap();
    #[cfg(feature = "torch")]
    if task.cases {
        small.insert(
            "task".into(),
            illume_envs::lm::tiny_task(folder, task.name).unwrap().into(),
        );
    }
    let _ = folder;
    small
}

/// The text without comments, or with every key that is commented out.
fn plain(text: &str, keys: bool) -> String {
    let kept = text.lines().filter_map(|line| match line.strip_prefix('#') {
        None => Some(line),
        Some(rest) if keys && !rest.is_empty() && !rest.starts_with(' ') => Some(rest),
        Some(_) => None,
    });
    kept.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_pair_that_goes_together_has_a_configuration_that_a_run_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let mut refused = Vec::new();
    for task in illume_envs::registry() {
        let small = small(task, folder.path());
        for strategy in illume_strategies::registry() {
            let what = format!("{} with {}", task.name, strategy.name);
            let made = configuration(task.name, strategy.name, |config, spec| {
                // A covariance of a large network fits no memory of a test.
                if spec.genome_dim > 5000 {
                    return Ok(());
                }
                registry::strategy_and_archive(config, spec, &Memory::unlimited()).map(drop)
            });
            let text = match made {
                Ok(text) => text,
                Err(e) => {
                    refused.push((what, e.to_string()));
                    continue;
                }
            };
            let config = Config::parse(&text, &what, &[]).unwrap_or_else(|e| panic!("{e}\n{text}"));
            let resolved = |config: &Config, spec: &TaskSpec| {
                config.resolved(&registry::parameters(config, spec).unwrap()).unwrap()
            };
            // The same task and strategy in sizes that take neither time nor memory.
            let mut tiny = config.clone();
            for (section, table) in [("task", &mut tiny.task), ("policy", &mut tiny.policy)] {
                table.extend(
                    small
                        .get(section)
                        .and_then(Value::as_table)
                        .cloned()
                        .unwrap_or_default(),
                );
            }
            let built = registry::task(&tiny).unwrap_or_else(|e| panic!("{what}: {e}"));
            assert!(
                go_together(task, built.spec(), strategy),
                "{what} was expected to be refused"
            );
            let large = built.spec().genome_dim > 5000;
            if !large {
                Run::new(&tiny, built.as_ref(), &Solo).unwrap_or_else(|e| panic!("{what}: {e}\n{text}"));
            }
            let whole = resolved(&config, built.spec());
            for keys in [false, true] {
                let other = plain(&text, keys);
                assert!(!other.contains("\n#"), "{other}");
                let other = Config::parse(&other, &what, &[]).unwrap_or_else(|e| panic!("{e}\n{text}"));
                assert_eq!(resolved(&other, built.spec()), whole, "{what}");
            }
        }
    }
    for (what, message) in &refused {
        assert!(
            message.contains("new configuration: strategy.name:"),
            "{what}: {message}"
        );
    }
    let pairs = illume_envs::registry().len() * illume_strategies::registry().len();
    assert!(refused.len() < pairs / 2, "{refused:?}");
}

#[test]
fn every_key_and_every_emitter_stands_there_with_its_meaning() {
    let text = configuration("arm", "multi_emitter", |_, _| Ok(())).unwrap();
    let entry = illume_envs::find("arm").unwrap();
    let flat = text.replace("\n# ", " ");
    for info in (entry.params)()
        .iter()
        .chain(&Budget::describe())
        .chain(&Output::describe())
    {
        assert!(
            flat.contains(&info.meaning) && text.contains(&format!("{} = ", info.name)),
            "{}:\n{text}",
            info.name
        );
    }
    assert_eq!(text.matches("[[strategy.emitters]]").count(), 2, "{text}");
    assert!(
        text.contains("kind = \"iso_line\"") && text.contains("#line_sigma = "),
        "{text}"
    );
}

#[test]
fn steps_are_on_the_scale_of_the_tasks_genes() {
    let sigma = |task: &str| {
        let text = configuration(task, "ga_ns", |_, _| Ok(())).unwrap();
        Config::parse(&text, "new", &[]).unwrap().strategy["sigma"]
            .as_float()
            .unwrap()
    };
    assert_eq!((sigma("hard_maze"), sigma("arm")), (0.1, 0.05));
}

#[test]
fn every_suggestion_is_a_key_of_something() {
    let strategies = illume_strategies::registry();
    let tasks = illume_envs::registry();
    let names = |infos: Vec<Vec<ParamInfo>>| -> Vec<&'static str> { infos.iter().flatten().map(|p| p.name).collect() };
    let of = |section: &str| match section {
        "task" => names(tasks.iter().map(|t| (t.params)()).collect()),
        "policy" => names(tasks.iter().filter_map(|t| t.policy.map(|p| p())).collect()),
        "archive" => names(
            illume_archives::registry()
                .iter()
                .map(|a| (a.params)())
                .chain([Vec::new()])
                .collect(),
        ),
        "strategy" => names(strategies.iter().map(|s| (s.params)()).collect()),
        "budget" => Budget::names(),
        other => panic!("a suggestion for [{other}]"),
    };
    let texts = tasks
        .iter()
        .map(|t| t.suggested)
        .chain(strategies.iter().map(|s| s.suggested));
    for text in texts {
        for (section, keys) in text.parse::<Table>().unwrap() {
            for key in keys
                .as_table()
                .unwrap()
                .keys()
                .filter(|k| !["kind", "emitters"].contains(&k.as_str()))
            {
                // Of a build with everything: the keys of games are no one's in a smaller one.
                let everything = cfg!(all(feature = "mujoco", feature = "atari", feature = "torch"));
                assert!(!everything || of(&section).contains(&key.as_str()), "{section}.{key}");
            }
        }
    }
}
