//! What unstructured archives and the strategies that live on novelty refuse, each in one sentence that names the key and what would do.

use crate::common::refused::refused;
use crate::common::{arg, edit_h5, folder, run, write_config};

const GOOD: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 20\n[policy]\nhidden = [4]\n[strategy]\nname = \"ga_ns\"\n\
                    population = 12\nparents = 3\n[archive]\nprobability = 0.5\n[budget]\ngenerations = 3\n";

/// GOOD with one text replaced by another, and what the message must say.
const EDITS: &[(&str, &str, &[&str])] = &[
    (
        "probability = 0.5",
        "kind = \"grid\"",
        &[
            "archive.kind",
            "ga_ns",
            "\"unstructured\"",
            "got \"grid\"",
            "leave it out",
        ],
    ),
    ("probability = 0.5", "shape = [5, 5]", &["archive.shape: unknown key"]),
    (
        "probability = 0.5",
        "probability = 1.5",
        &["archive.probability", "from 0 to 1", "1.5"],
    ),
    (
        "probability = 0.5",
        "neighbours = 0",
        &["archive.neighbours", "from 1 to", "got 0"],
    ),
    (
        "probability = 0.5",
        "neighbors = 3",
        &["archive.neighbors: unknown key", "did you mean \"neighbours\""],
    ),
    (
        "probability = 0.5",
        "admission = \"all\"",
        &["archive.admission", "\"random\"", "\"novelty\""],
    ),
    (
        "probability = 0.5",
        "admission = \"novelty\"",
        &["archive.threshold", "above 0", "distance"],
    ),
    (
        "probability = 0.5",
        "capacity = 0",
        &["archive.capacity", "from 1 to", "got 0"],
    ),
    (
        "parents = 3",
        "parents = 13",
        &["strategy.parents", "at most strategy.population (12)", "got 13"],
    ),
    (
        "parents = 3",
        "parents = 3\nelites = 20",
        &["strategy.elites", "at most strategy.population (12)", "got 20"],
    ),
    (
        "parents = 3",
        "parents = 0",
        &["strategy.parents", "from 1 to", "got 0"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3",
        "\"nsr_es\"\npopulation = 13",
        &["strategy.population", "even number", "got 13"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3",
        "\"nsr_es\"\npopulation = 12\npatience = 3",
        &["strategy.patience: unknown key"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3",
        "\"nsra_es\"\npopulation = 12\ninitial_weight = 2.0",
        &["strategy.initial_weight", "from 0 to 1"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3",
        "\"ns_es\"\npopulation = 12\ncenters = 0",
        &["strategy.centers", "from 1 to", "got 0"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3",
        "\"nslc\"\npopulation = 12\nparents = 13",
        &["strategy.parents", "at most strategy.population (12)", "got 13"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3",
        "\"nslc\"\npopulation = 12\nelites = 3",
        &["strategy.elites: unknown key"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3",
        "\"nslc\"\npopulation = 0",
        &["strategy.population", "from 1 to", "got 0"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"nslc\"\n[archive]\nkind = \"cvt\"",
        &[
            "archive.kind",
            "\"nslc\" lives on novelty",
            "\"unstructured\"",
            "got \"cvt\"",
        ],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"cma_me\"\nrankers = [\"novelty\"]\n[archive]\nkind = \"grid\"",
        &[
            "archive.kind",
            "a ranker of \"cma_me\" lives on novelty",
            "\"unstructured\"",
            "got \"grid\"",
        ],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"cma_me\"\n[archive]\nkind = \"unstructured\"",
        &[
            "archive.kind",
            "\"cma_me\" breeds from elites",
            "or rankers that order by novelty",
        ],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3",
        "\"cma_me\"\nrankers = [\"novelty\", \"improvement\"]",
        &[
            "strategy.rankers",
            "ordered by novelty",
            "elites of cells",
            "one of both",
        ],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"cma_me\"\nrankers = [\"two_stage_novelty\"]\n[archive]\nshape = [5, 5]",
        &[
            "strategy.rankers",
            "expected rankers of",
            "novelty_local_competition",
            "two_stage_novelty",
        ],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"cma_mae\"\nrankers = [\"novelty_local_competition\"]\n[archive]\nshape = [5, 5]\nlearning_rate = 0.1",
        &["strategy.rankers", "soft thresholds are of cells", "\"cma_me\""],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3",
        "\"multi_emitter\"\nemitters = [{ kind = \"evolution_strategy\", rankers = [\"novelty\"] }, { kind = \"evolution_strategy\" }]",
        &["strategy.emitters", "ordered by novelty", "one of both"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"multi_emitter\"\nemitters = [{ kind = \"evolution_strategy\", rankers = [\"novelty\"] }]\n[archive]\nshape = [5, 5]\nkind = \"grid\"",
        &["archive.kind", "\"multi_emitter\" lives on novelty", "got \"grid\""],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"me_es\"\n[archive]\nkind = \"unstructured\"",
        &["archive.kind", "\"me_es\" breeds from elites"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"me_es\"\npopulation = 13\n[archive]\nshape = [5, 5]",
        &["strategy.population", "even number", "got 13"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"me_es\"\nmodes = \"alternating\"\n[archive]\nshape = [5, 5]",
        &["strategy.modes", "\"both\"", "\"explore\"", "\"exploit\""],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"me_es\"\nsteps = 0\n[archive]\nshape = [5, 5]",
        &["strategy.steps", "from 1 to", "got 0"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"me_es\"\nneighbours = 0\n[archive]\nshape = [5, 5]",
        &["strategy.neighbours", "from 1 to", "got 0"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"me_es\"\nexplore_cells = 0\n[archive]\nshape = [5, 5]",
        &["strategy.explore_cells", "from 1 to", "got 0"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"me_es\"\nupdated = 0\n[archive]\nshape = [5, 5]",
        &["strategy.updated", "from 1 to", "got 0"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"me_es\"\ninitial = 0\n[archive]\nshape = [5, 5]",
        &["strategy.initial", "from 1 to", "got 0"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"me_es\"\nl2 = -0.1\n[archive]\nshape = [5, 5]",
        &["strategy.l2", "at least 0"],
    ),
    (
        "\"ga_ns\"\npopulation = 12\nparents = 3\n[archive]\nprobability = 0.5",
        "\"me_es\"\noptimizer = \"sgd\"\n[archive]\nshape = [5, 5]",
        &["strategy.optimizer: unknown key"],
    ),
];

#[test]
fn a_wrong_parameter_is_refused_in_one_sentence() {
    for (from, to, parts) in EDITS {
        assert!(GOOD.contains(from), "{from}");
        refused(&GOOD.replace(from, to), parts);
    }
}

#[test]
fn a_task_without_a_descriptor_has_nothing_new_to_offer() {
    let good = GOOD.replace("episode_length = 20", "episode_length = 20\ndescriptor = \"none\"");
    let config = illume::Config::parse(&good, "test", &[]).unwrap();
    let maze = illume::Config::parse(GOOD, "test", &[]).unwrap();
    let mut spec = illume::registry::task(&maze).unwrap().spec().clone();
    spec.descriptor.clear();
    for (config, why) in [
        (&maze, "has none;"),
        (&config, "has none (task.descriptor = \"none\");"),
    ] {
        let message = illume::registry::archive(config, &spec, true)
            .map(|_| ())
            .unwrap_err()
            .to_string();
        let parts = [
            "strategy.name",
            "\"ga_ns\" searches for new descriptors",
            "\"hard_maze\"",
            why,
        ];
        assert!(
            parts.iter().all(|part| message.contains(part)) && !message.contains('\n'),
            "{message}"
        );
    }
    let other = illume::Config::parse(
        &GOOD
            .replace("ga_ns", "deep_ga")
            .replace("[archive]", "[archive]\nkind = \"unstructured\""),
        "test",
        &[],
    );
    let message = illume::registry::archive(&other.unwrap(), &spec, true)
        .map(|_| ())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("archive.kind") && message.contains("the task has none"),
        "{message}"
    );
}

#[test]
fn nothing_is_novel_without_a_descriptor() {
    let text = "[task]\nname = \"hard_maze\"\n[strategy]\nname = \"me_es\"\n";
    let config = illume::Config::parse(text, "test", &[]).unwrap();
    let mut spec = illume::registry::task(&config).unwrap().spec().clone();
    spec.descriptor.clear();
    let memory = illume::core::Memory::unlimited();
    let made = illume::registry::strategy_and_archive(&config, &spec, &memory);
    let message = made.map(|_| ()).unwrap_err().to_string();
    for part in ["strategy.modes", "\"exploit\"", "without a descriptor", "got \"both\""] {
        assert!(
            message.contains(part) && !message.contains('\n'),
            "no '{part}' in: {message}"
        );
    }
}

#[test]
fn a_strategy_that_breeds_from_cells_needs_an_archive_that_has_them() {
    for strategy in ["map_elites", "pga_me", "dcrl_me"] {
        refused(
            &format!(
                "[task]\nname = \"hard_maze\"\nreward = \"closeness\"\n[strategy]\nname = \"{strategy}\"\n[archive]\n\
                 kind = \"unstructured\"\n[budget]\ngenerations = 1\n"
            ),
            &["archive.kind", strategy, "\"grid\" or \"cvt\"", "lives on novelty"],
        );
    }
}

#[test]
fn a_damaged_unstructured_archive_is_refused_in_one_sentence() {
    let folder = folder();
    let (out, copy) = (folder.path().join("out"), folder.path().join("copy.h5"));
    run(1, &["run", arg(&write_config(folder.path(), GOOD)), "--out", arg(&out)]).succeeded();
    let damages = [
        ("f['elites/cell'][-1] = 500", "does not number the members from 0"),
        ("del f['elites/novelty']", "novelty"),
        ("del f['cells'].attrs['neighbours']", "'neighbours'"),
        ("f['cells'].attrs['neighbours'] = np.uint64(0)", "/cells is damaged"),
        ("f['cells'].attrs['admission'] = 'anyhow'", "unknown rule 'anyhow'"),
        ("f['cells'].attrs['probability'] = 7.0", "/cells is damaged"),
        ("f['cells'].attrs['count'] = np.uint64(1)", "elites in 1 cells"),
    ];
    for (damage, part) in damages {
        std::fs::copy(out.join("archive.h5"), &copy).unwrap();
        edit_h5(&copy, damage);
        for command in ["info", "eval", "plot"] {
            let ended = run(1, &[command, arg(&copy)]);
            assert_eq!(ended.code(), Some(2), "{damage}: {ended}");
            assert_eq!(ended.stderr.trim_end().lines().count(), 1, "{ended}");
            assert!(ended.stderr.contains(part), "{damage}: no '{part}' in: {ended}");
        }
    }
}

#[test]
fn what_a_policy_keeps_of_an_archive_without_cells_is_not_asked() {
    let folder = folder();
    let out = folder.path().join("out");
    run(1, &["run", arg(&write_config(folder.path(), GOOD)), "--out", arg(&out)]).succeeded();
    let ended = run(1, &["distill", arg(&out)]);
    assert_eq!(ended.code(), Some(2), "{ended}");
    assert!(
        ended.stderr.contains("unstructured") && ended.stderr.contains("grid or cvt"),
        "{ended}"
    );
    assert_eq!(ended.stderr.trim_end().lines().count(), 1, "{ended}");
    assert!(!out.join("distilled").exists(), "nothing is written");
}
