//! Archives and checkpoints of lineages that are damaged or of another network, and budgets that a first generation would exceed: one
//! sentence, exit code 2, nothing touched.

use crate::common::refused::{assert_refused, finished, tried};
use crate::common::{arg, edit_h5, folder, run, write_config};

const MAZE: &str = "seed = 1\n[task]\nname = \"hard_maze\"\nepisode_length = 30\n[policy]\nhidden = [4]\n[strategy]\n\
                    name = \"deep_ga\"\npopulation = 20\nparents = 4\nsigma = 0.1\n[archive]\nshape = [10, 10]\n\
                    [budget]\ngenerations = 4\n";

/// Changes a copy of the run's archive and checkpoint, and expects both `eval` and `resume` to refuse it with the same words.
#[track_caller]
fn assert_damage_is_refused(dir: &std::path::Path, edits: &[(&str, &[&str])]) {
    for (edit, parts) in edits {
        let other = dir.with_file_name("damaged");
        let _ = std::fs::remove_dir_all(&other);
        std::fs::create_dir(&other).unwrap();
        for name in ["archive.h5", "checkpoint.h5"] {
            std::fs::copy(dir.join(name), other.join(name)).unwrap();
            edit_h5(&other.join(name), edit);
        }
        let before = std::fs::read(other.join("checkpoint.h5")).unwrap();
        assert_refused(&run(1, &["eval", arg(&other)]), &[&[arg(&other)], *parts].concat());
        let resumed = run(1, &["resume", arg(&other), "--set", "budget.generations=9"]);
        assert_refused(&resumed, parts);
        assert!(std::fs::read(other.join("checkpoint.h5")).unwrap() == before, "{edit}");
    }
}

#[test]
fn corrupted_lineages_are_refused_and_said_to_be_where() {
    let (_folder, dir) = finished(MAZE);
    let of_two = "d = f['elites/lineage_offsets'][...]; i = int(np.flatnonzero(np.diff(d.astype(int)) > 1)[0])";
    let cases = [
        (
            "d = f['elites/lineage_offsets'][...]; d[1] = d[-1] + 5; f['elites/lineage_offsets'][...] = d".to_string(),
            &["lineage_offsets does not divide the steps"][..],
        ),
        (
            "d = f['elites/lineage_offsets'][...]; d[1] = d[0]; f['elites/lineage_offsets'][...] = d".into(),
            &["the lineage of elite 0 has no step"],
        ),
        (
            "d = f['elites/lineage_scales'][...]; d[0] = 0.5; f['elites/lineage_scales'][...] = d".into(),
            &["the lineage of elite 0 begins with scale 0.5, expected 1"],
        ),
        (
            format!("{of_two}; s = f['elites/lineage_scales']; x = s[...]; x[d[i] + 1] = np.nan; s[...] = x"),
            &["step 1 of the lineage of elite", "has scale NaN"],
        ),
        (
            format!("{of_two}; s = f['elites/lineage_streams']; x = s[...]; x[d[i] + 1] = x[d[i]]; s[...] = x"),
            &[
                "step 1 of the lineage of elite",
                "is of generation 0, the one before of 0",
            ],
        ),
        (
            "s = f['elites/lineage_streams']; x = s[...]; x[-1] = np.uint64(77) << np.uint64(32); s[...] = x".into(),
            &["reaches generation 77, the file has 4"],
        ),
    ];
    let cases: Vec<(&str, &[&str])> = cases.iter().map(|(edit, parts)| (edit.as_str(), *parts)).collect();
    assert_damage_is_refused(&dir, &cases);
}

#[test]
fn a_lineage_of_another_network_is_refused_with_both_sizes() {
    let (_folder, dir) = finished(MAZE);
    let edit =
        "c = f.attrs['config']; n = c.replace('hidden = [4]', 'hidden = [5]'); assert n != c; f.attrs['config'] = n";
    assert_damage_is_refused(&dir, &[(edit, &["genes", "hard_maze"])]);
}

#[test]
fn a_damaged_individual_of_a_checkpoint_is_refused() {
    let (_folder, dir) = finished(MAZE);
    for (edit, parts) in [
        (
            "s = f['state/parents_steps/scale']; x = s[...]; x[0] = np.inf; s[...] = x",
            "state table 'parents' is damaged: the lineage of elite 0 begins with scale inf",
        ),
        (
            "s = f['state/parents/length']; x = s[...]; x[0] += 9; s[...] = x",
            "state table 'parents' is damaged",
        ),
        (
            "s = f['state/elite_steps/stream']; x = s[...]; x[-1] = np.uint64(9) << np.uint64(32); s[...] = x",
            "state table 'elite' is damaged: the lineage of elite 0 reaches generation 9, the file has 4",
        ),
    ] {
        let path = dir.join("checkpoint.h5");
        let whole = std::fs::read(&path).unwrap();
        edit_h5(&path, edit);
        let resumed = run(1, &["resume", arg(&dir), "--set", "budget.generations=9"]);
        assert_refused(&resumed, &[parts]);
        std::fs::write(&path, whole).unwrap();
    }
}

#[test]
fn a_budget_smaller_than_the_first_generation_is_refused_with_both_numbers_and_keys() {
    let cases: [(&str, &str, &[&str]); 6] = [
        ("map_elites", "batch = 500", &["500", "strategy.batch"]),
        ("map_elites", "batch = 10\ninitial = 300", &["300", "strategy.initial"]),
        (
            "deep_ga",
            "population = 400\nparents = 2",
            &["400", "strategy.population"],
        ),
        (
            "openai_es",
            "population = 250\ncenter_episodes = 3",
            &["253", "strategy.population", "strategy.center_episodes"],
        ),
        (
            "ns_es",
            "population = 90\ncenters = 5\ncenter_episodes = 2",
            &[
                "100",
                "strategy.population",
                "strategy.centers",
                "strategy.center_episodes",
            ],
        ),
        ("pga_me", "batch = 120", &["120", "strategy.batch"]),
    ];
    let folder = folder();
    for (strategy, size, parts) in cases {
        let archive = if strategy == "ns_es" {
            ""
        } else {
            "[archive]\nshape = [10, 10]\n"
        };
        let text = format!(
            "[task]\nname = \"hard_maze\"\n[strategy]\nname = \"{strategy}\"\n{size}\n{archive}\
             [budget]\nevaluations = 99\n"
        );
        let config = write_config(folder.path(), &text);
        let words = [&["budget.evaluations: expected at least", "got 99"], parts].concat();
        assert_refused(&tried(&config, &[]), &words);
    }
}
