use std::path::Path;

use illume_cluster::Solo;

use super::*;
use crate::Run;

/// Whether a strategy can run on a task, by what the two say of themselves.
fn go_together(task: &TaskEntry, spec: &TaskSpec, strategy: &StrategyEntry) -> bool {
    (task.network || !strategy.network)
        && (task.cases || !strategy.cases)
        && (spec.gradients.is_some() || !strategy.gradients)
        && (!spec.objectives.is_empty() || !strategy.fronts)
        && (spec.features > 0 || !strategy.features)
        && (!spec.descriptor.is_empty() || !(strategy.novelty || strategy.descriptor))
}

/// The tables that make a task small, and of a language model the files that it needs.
fn small(task: &TaskEntry, folder: &Path) -> Table {
    #[cfg_attr(not(feature = "lm"), expect(unused_mut, reason = "nothing is added then"))]
    let mut small: Table = task.small.parse().unwrap();
    #[cfg(feature = "lm")]
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

/// Bytes that a strategy may take in these tests: a covariance of a large network fits nowhere.
const LIMIT: f64 = 4e9;

/// Whether what is refused is only too large.
fn is_large(e: &Error) -> bool {
    let message = e.to_string();
    message.contains(" of memory") || message.contains("a full covariance takes")
}

#[test]
fn every_pair_that_goes_together_has_a_configuration_that_a_run_accepts() {
    let folder = tempfile::tempdir().unwrap();
    let (mut accepted, mut large) = (0, Vec::new());
    for task in illume_envs::registry() {
        let small = small(task, folder.path());
        // The same configuration on a task that takes neither time nor memory.
        let tiny = |config: &Config| {
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
            tiny
        };
        for strategy in illume_strategies::registry() {
            let what = format!("{} with {}", task.name, strategy.name);
            let made = configuration(task.name, strategy.name, |config, spec| {
                let config = tiny(config);
                let spec = if task.cases {
                    spec.clone()
                } else {
                    registry::task(&config)?.spec().clone()
                };
                match registry::strategy_and_archive(&config, &spec, &Memory::alone(LIMIT)) {
                    Err(e) if is_large(&e) => Ok(()),
                    made => made.map(drop),
                }
            });
            let text = match made {
                Ok(text) => text,
                Err(e) => {
                    let message = e.to_string();
                    assert!(
                        message.starts_with("new configuration: strategy.name: "),
                        "{what}: {message}"
                    );
                    let together = registry::task(&tiny(&named(task, strategy)))
                        .is_ok_and(|built| go_together(task, built.spec(), strategy));
                    assert!(!together, "{what}: {message}");
                    continue;
                }
            };
            let config = Config::parse(&text, &what, &[]).unwrap_or_else(|e| panic!("{e}\n{text}"));
            let tiny = tiny(&config);
            let built = registry::task(&tiny).unwrap_or_else(|e| panic!("{what}: {e}"));
            match registry::strategy_and_archive(&tiny, built.spec(), &Memory::alone(LIMIT)) {
                Err(e) if is_large(&e) => large.push(what.clone()),
                made => {
                    let together = go_together(task, built.spec(), strategy);
                    assert!(together, "{what} was expected to be refused");
                    drop(made.unwrap_or_else(|e| panic!("{what}: {e}\n{text}")));
                    accepted += 1;
                    Run::new(&tiny, built.as_ref(), &Solo).unwrap_or_else(|e| panic!("{what}: {e}\n{text}"));
                }
            }
            let resolved = |config: &Config| {
                let sections = registry::parameters(config, built.spec()).unwrap();
                config.resolved(&sections).unwrap()
            };
            for keys in [false, true] {
                let other = plain(&text, keys);
                let other = Config::parse(&other, &what, &[]).unwrap_or_else(|e| panic!("{e}\n{text}"));
                assert_eq!(resolved(&other), resolved(&config), "{what}");
            }
        }
    }
    assert!(accepted > 10 * large.len(), "{accepted} accepted, too large: {large:?}");
}

/// A configuration of the two names alone.
fn named(task: &TaskEntry, strategy: &StrategyEntry) -> Config {
    let text = format!(
        "[task]\nname = \"{}\"\n[strategy]\nname = \"{}\"\n",
        task.name, strategy.name
    );
    Config::parse(&text, "named", &[]).unwrap()
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
    assert_eq!(text.matches("\n[[strategy.emitters]]\n").count(), 2, "{text}");
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
