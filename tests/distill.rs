//! What one policy keeps of an archive. Scores were measured, then given a margin that other seeds keep.

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{arg, folder, open, run, write_config};
use illume::formats::policy::PolicyFile;
use serde_json::Value;

const MAZE: &str = "seed = 1\n[task]\nname = \"hard_maze\"\nreward = \"closeness\"\nepisode_length = 100\n[policy]\nhidden = [8]\n\
                    [strategy]\nname = \"map_elites\"\nbatch = 100\niso_sigma = 0.3\n[archive]\nshape = [10, 10]\n\
                    [budget]\ngenerations = 60\n";

fn finished(folder: &Path, text: &str) -> PathBuf {
    let dir = folder.join("run");
    run(1, &["run", arg(&write_config(folder, text)), "--out", arg(&dir)]).succeeded();
    dir
}

/// Runs `illume distill` and gives its report.
fn distill(dir: &Path, output: &str, options: &[&str]) -> (PathBuf, Value) {
    let output = dir.join(output);
    let text = run(
        1,
        &[&["distill", arg(dir), "-o", arg(&output), "--json"], options].concat(),
    )
    .succeeded();
    (
        output,
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}")),
    )
}

fn number(report: &Value, path: &str) -> f64 {
    report
        .pointer(path)
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("{path}: {report}"))
}

/// Reports of a policy that was not trained, and of one that was, with so many rounds of correction.
fn without_and_with_training(dir: &Path, options: &[&str], rounds: &str) -> [Value; 2] {
    [("untrained", "0", "0"), ("trained", "10", rounds)].map(|(name, epochs, rounds)| {
        let training = ["--epochs", epochs, "--rounds", rounds];
        distill(dir, name, &[options, &training[..]].concat()).1
    })
}

#[test]
fn one_policy_keeps_most_of_a_maze_archive_and_an_untrained_one_does_not() {
    let folder = folder();
    let dir = finished(folder.path(), MAZE);
    let [untrained, trained] = without_and_with_training(&dir, &["--hidden", "128,128", "--episodes", "1"], "4");
    let kept = |report: &Value| {
        [
            "/policy/corrected_qd_score_kept_percent",
            "/policy/corrected_coverage_kept_percent",
        ]
        .map(|name| number(report, name))
    };
    assert!(kept(&untrained).iter().all(|share| *share < 15.0), "{untrained:#}");
    assert!(kept(&trained).iter().all(|share| *share > 55.0), "{trained:#}");
    assert!(
        number(&trained, "/policy/corrected_max_fitness_kept_percent") > 90.0,
        "{trained:#}"
    );
    assert_eq!(
        number(&trained, "/archive/mean_descriptor_distance"),
        0.0,
        "the task is deterministic"
    );
    // Correction on its own states brings the policy nearer to what it is asked for than cloning alone.
    let rounds = trained["training"]["rounds"].as_array().unwrap();
    let distance = |round: &Value| number(round, "/mean_descriptor_distance");
    assert_eq!(rounds.len(), 5);
    let last = &rounds[trained["training"]["kept_round"].as_u64().unwrap() as usize];
    assert!(distance(last) < distance(&rounds[0]), "{trained:#}");
    assert!(
        number(last, "/qd_score") > number(&rounds[0], "/qd_score"),
        "{trained:#}"
    );
}

#[test]
#[cfg(feature = "mujoco")]
fn one_policy_keeps_most_of_a_hopper_archive_and_an_untrained_one_does_not() {
    let folder = folder();
    let text = "seed = 1\n[task]\nname = \"hopper_uni\"\nepisode_length = 60\n[policy]\nhidden = [16]\n\
                [strategy]\nname = \"map_elites\"\nbatch = 100\niso_sigma = 0.1\n[archive]\nshape = [20]\n\
                [budget]\ngenerations = 30\n";
    let dir = finished(folder.path(), text);
    let [untrained, trained] = without_and_with_training(&dir, &["--hidden", "64,64", "--episodes", "5"], "3");
    let kept = |report: &Value| number(report, "/policy/corrected_qd_score_kept_percent");
    assert!(
        kept(&untrained) < 25.0 && kept(&trained) > 70.0,
        "{untrained:#} {trained:#}"
    );
}

#[test]
fn any_number_of_threads_gives_the_same_policy_and_report() {
    let folder = folder();
    let dir = finished(folder.path(), &MAZE.replace("generations = 60", "generations = 10"));
    let options = ["--hidden", "40,24", "--episodes", "2", "--epochs", "2", "--rounds", "2"];
    let made = |name: &str, threads: &str| {
        let (output, report) = distill(&dir, name, &[&options[..], &["--threads", threads]].concat());
        (fs::read(output.join("policy.safetensors")).unwrap(), report)
    };
    let one = made("one", "1");
    assert!(one == made("two", "2") && one == made("three", "3"));
    let other = distill(&dir, "other", &[&options[..], &["--seed", "2"]].concat()).1;
    assert_ne!(other["policy"], one.1["policy"], "the seed counts");
}

#[test]
fn lineages_and_elites_with_normalized_observations_can_be_distilled() {
    let strategies = [
        "name = \"deep_ga\"\npopulation = 60\nparents = 9\nsigma = 0.3",
        "name = \"openai_es\"\npopulation = 20\nnormalize_observations = true\nobservation_share = 0.3",
    ];
    for strategy in strategies {
        let folder = folder();
        let text = MAZE
            .replace("name = \"map_elites\"\nbatch = 100\niso_sigma = 0.3", strategy)
            .replace("generations = 60", "generations = 5");
        let dir = finished(folder.path(), &text);
        let options = ["--hidden", "32", "--epochs", "2", "--rounds", "1", "--episodes", "1"];
        let (output, report) = distill(&dir, "distilled", &options);
        assert_eq!(report["requests"], open(&dir.join("archive.h5")).rows(), "{report:#}");
        let policy = PolicyFile::read(&output).unwrap();
        let n = policy.normalization.expect("observations are normalized");
        let of_run = open(&dir.join("archive.h5")).solution().unwrap();
        let of_run = of_run.filter(|s| s.find("observation_mean").is_some());
        if let Some(s) = of_run {
            let column = |name| s.get::<f32>(name).unwrap().to_vec();
            let statistics = (column("observation_mean"), column("observation_sd"));
            assert_eq!((n.mean, n.sd.clone()), statistics, "elites and student see alike");
            // The maze's constant input lies on the floor of the variance, 0.01.
            assert_eq!((n.clip, n.sd.iter().copied().fold(1.0, f32::min)), (5.0, 0.1));
        } else {
            assert!(strategy.contains("deep_ga"));
        }
    }
}

#[test]
fn a_runs_own_actor_is_taken_as_it_is() {
    let folder = folder();
    let text = MAZE
        .replace(
            "name = \"map_elites\"\nbatch = 100\niso_sigma = 0.3",
            "name = \"dcg_me\"\nbatch = 16\ncritic_steps = 20\npg_steps = 2",
        )
        .replace("generations = 60", "generations = 3");
    let dir = finished(folder.path(), &text);
    let (output, report) = distill(&dir, "actor", &["--episodes", "1"]);
    assert!(report["from"] == "actor" && report["training"].is_null(), "{report:#}");
    let solution = open(&dir.join("archive.h5")).solution().unwrap().unwrap();
    let policy = PolicyFile::read(&output).unwrap();
    assert_eq!(policy.params, solution.get::<f32>("actor").unwrap());
    assert_eq!(policy.normalization, None);
    let options = [
        "--from",
        "archive",
        "--hidden",
        "8",
        "--epochs",
        "1",
        "--rounds",
        "0",
        "--episodes",
        "1",
    ];
    let (_, report) = distill(&dir, "archive", &options);
    assert!(
        report["from"] == "archive" && report["training"].is_object(),
        "{report:#}"
    );
}

#[test]
fn eval_of_a_policy_repeats_the_report_and_answers_single_descriptors() {
    let folder = folder();
    let dir = finished(folder.path(), &MAZE.replace("generations = 60", "generations = 10"));
    let options = ["--hidden", "32", "--epochs", "5", "--rounds", "1", "--episodes", "2"];
    let (output, report) = distill(&dir, "distilled", &options);
    assert_eq!(
        serde_json::from_str::<Value>(&fs::read_to_string(output.join("report.json")).unwrap()).unwrap(),
        report
    );
    let eval = |options: &[&str]| -> Value {
        let text = run(1, &[&["eval", arg(&output), "--json"], options].concat()).succeeded();
        serde_json::from_str(&text).unwrap()
    };
    let again = eval(&["--episodes", "2"]);
    for name in ["archive", "policy", "policy_at_centers", "stored", "requests"] {
        assert_eq!(again[name], report[name], "{name}");
    }
    let single = eval(&["--descriptor", "36,150", "--episodes", "3"]);
    assert_eq!((&single["episodes"], &single["failed"]), (&3.into(), &0.into()));
    assert_eq!(number(&single, "/fitness_sd"), 0.0, "the task is deterministic");
    let [x, y] = ["/descriptor/0", "/descriptor/1"].map(|path| number(&single, path));
    let distance = (x - 36.0).hypot(y - 150.0);
    assert!(
        (number(&single, "/descriptor_distance") - distance).abs() < 1e-9,
        "{single}"
    );
    assert!(run(1, &["eval", arg(&output)]).succeeded().contains("kept"));
    let info = run(1, &["info", arg(&output)]).succeeded();
    for part in ["hard_maze", "13 x 32 x 2", "archive of", "x [", "normalized"] {
        assert!(info.contains(part), "{part} in: {info}");
    }
    let info: Value = serde_json::from_str(&run(1, &["info", arg(&output), "--json"]).succeeded()).unwrap();
    assert_eq!(info["provenance"]["strategy"], "map_elites");
}

#[test]
fn a_report_has_the_documented_columns_for_h5py() {
    let folder = folder();
    let dir = finished(folder.path(), &MAZE.replace("generations = 60", "generations = 5"));
    let (output, report) = distill(
        &dir,
        "distilled",
        &["--hidden", "8", "--epochs", "1", "--rounds", "0", "--episodes", "2"],
    );
    let script = "import sys, h5py, numpy as np\n\
                  with h5py.File(sys.argv[1]) as f:\n    \
                  r = f['requests']\n    \
                  n = len(r['cell'])\n    \
                  assert f.attrs['format'] == 'illume distillation' and f.attrs['episodes'] == 2\n    \
                  assert list(r.attrs['columns'])[:3] == ['cell', 'requested_descriptor', 'stored_fitness']\n    \
                  assert r['policy_descriptor'].shape == (n, 2) and r['policy_descriptor'].dims[1].label == 'axis'\n    \
                  assert all(r[c].attrs['description'] for c in r.attrs['columns'])\n    \
                  d = np.linalg.norm(r['policy_descriptor'][:] - r['requested_descriptor'][:], axis=1)\n    \
                  assert np.allclose(d, r['policy_descriptor_distance'][:])\n    \
                  assert np.array_equal(r['archive_fitness'][:], r['stored_fitness'][:])\n    \
                  print(n, float(np.sum(r['policy_fitness'][:] + f.attrs['qd_offset'])), len(set(r['policy_cell'][:].tolist())))\n";
    let mut python = common::python();
    python.args(["-c", script, arg(&output.join("report.h5"))]);
    let said = common::run_command(python).succeeded();
    let said: Vec<f64> = said.split_whitespace().map(|x| x.parse().unwrap()).collect();
    assert_eq!(said[0], number(&report, "/requests"));
    assert!((said[1] - number(&report, "/policy/expected_qd_score")).abs() < 1e-6 * said[1].abs());
    assert_eq!(said[2], number(&report, "/policy/corrected_filled"));
}

/// The centers are the cells' as docs/format.md has them, only those of filled cells; what the policy does there is what it does when it is
/// asked for them one by one; the totals are those of the rows.
#[test]
fn a_policy_is_also_asked_for_the_centers_of_the_filled_cells() {
    let folder = folder();
    let dir = finished(folder.path(), &MAZE.replace("generations = 60", "generations = 5"));
    let options = ["--hidden", "8", "--epochs", "1", "--rounds", "0", "--episodes", "1"];
    let (output, report) = distill(&dir, "distilled", &options);
    let script = "import sys, json, h5py, numpy as np\n\
                  with h5py.File(sys.argv[1]) as f, h5py.File(sys.argv[2]) as archive:\n    \
                  r, a, cells = f['requests'], f.attrs, archive['cells'].attrs\n    \
                  assert np.array_equal(r['cell'][:], archive['elites/cell'][:])\n    \
                  index = np.stack(np.unravel_index(r['cell'][:], tuple(cells['shape'])), axis=1)\n    \
                  center = cells['lower'] + (index + 0.5) * (cells['upper'] - cells['lower']) / cells['shape']\n    \
                  assert np.allclose(r['center'][:], center, rtol=1e-12)\n    \
                  fitness = r['at_center_fitness'][:] + a['qd_offset']\n    \
                  assert np.isclose(a['at_center_expected_qd_score'], fitness.sum())\n    \
                  best = {}\n    \
                  for cell, x in zip(r['at_center_cell'][:], fitness):\n        \
                  best[cell] = max(best.get(cell, x), x)\n    \
                  assert np.isclose(a['at_center_corrected_qd_score'], sum(best.values()))\n    \
                  assert np.isclose(a['at_center_corrected_coverage'], len(best) / a['cells'])\n    \
                  distance = np.linalg.norm(r['at_center_descriptor'][:] - center, axis=1)\n    \
                  assert np.allclose(r['at_center_descriptor_distance'][:], distance)\n    \
                  assert np.isclose(a['at_center_mean_descriptor_distance'], distance.mean())\n    \
                  share = 100 * a['at_center_expected_qd_score'] / a['archive_expected_qd_score']\n    \
                  assert np.isclose(a['at_center_expected_qd_score_kept_percent'], share)\n    \
                  print(json.dumps([[*r['center'][i].tolist(), r['at_center_fitness'][i]] for i in (0, 5, -1)]))\n";
    let mut python = common::python();
    python.args([
        "-c",
        script,
        arg(&output.join("report.h5")),
        arg(&dir.join("archive.h5")),
    ]);
    let rows: Vec<[f64; 3]> = serde_json::from_str(&common::run_command(python).succeeded()).unwrap();
    for [x, y, fitness] in rows {
        let asked = [
            "eval",
            arg(&output),
            "--descriptor",
            &format!("{x},{y}"),
            "--episodes",
            "1",
            "--json",
        ];
        let single: Value = serde_json::from_str(&run(1, &asked).succeeded()).unwrap();
        assert_eq!(number(&single, "/fitness"), fitness, "asked for {x}, {y}");
    }
    let [policy, centers] = ["/policy", "/policy_at_centers"].map(|side| report.pointer(side).unwrap());
    assert_ne!(policy["expected_qd_score"], centers["expected_qd_score"]);
    assert_eq!(centers["mean_center_distance"], centers["mean_descriptor_distance"]);
    assert!(
        centers["expected_qd_score_se"].is_null(),
        "of one episode no error is known: {centers}"
    );
}
