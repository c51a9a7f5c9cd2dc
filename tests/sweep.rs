//! Sweeps seen from outside: whatever is done to workers and runs, the tables are those of a sweep that was left alone.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{Running, arg, folder, illume, named_below, open, ranks_below, run, runs_below, signal};

use illume::sweep::{Curve, Plan, Results, Row, Spec, Status, Timing};

/// Twelve runs of a second or so, with checkpoints on the way.
const SWEEP: &str = "seeds = 3
[base.task]
name = \"arm\"
joints = 12
[base.strategy]
name = \"map_elites\"
batch = 100
[base.archive]
shape = [30, 30]
[base.budget]
evaluations = 3_000_000
[base.output]
checkpoint_generations = 2000
[parameters]
strategy.iso_sigma = [0.005, 0.02]
strategy.line_sigma = [0.05, 0.2]
[metric]
evaluate = 2
[resources]
threads_per_run = 1
";

fn write_sweep(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("sweep.toml");
    fs::write(&path, text).unwrap();
    path
}

/// Number of results in a sweep's folder.
fn results(sweep: &Path) -> usize {
    fs::read_dir(sweep.join("results")).map_or(0, Iterator::count)
}

/// Ids of unfinished runs that have a checkpoint.
fn with_checkpoint(sweep: &Path) -> Vec<String> {
    let Ok(runs) = fs::read_dir(sweep.join("runs")) else {
        return Vec::new();
    };
    let runs = runs.flatten().filter(|e| e.path().join("checkpoint.h5").is_file());
    runs.map(|e| e.file_name().into_string().unwrap()).collect()
}

/// All datasets of a file by path, with their bytes; texts as they read.
fn datasets(path: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(group: &hdf5::Group, found: &mut BTreeMap<String, Vec<u8>>) {
        for dataset in group.datasets().unwrap() {
            let bytes = if dataset.dtype().unwrap().is::<hdf5::types::VarLenUnicode>() {
                let texts = dataset.read_raw::<hdf5::types::VarLenUnicode>().unwrap();
                texts
                    .iter()
                    .map(|t| t.as_str())
                    .collect::<Vec<_>>()
                    .join("\0")
                    .into_bytes()
            } else if dataset.dtype().unwrap().is::<f64>() {
                dataset
                    .read_raw::<f64>()
                    .unwrap()
                    .iter()
                    .flat_map(|x| x.to_le_bytes())
                    .collect()
            } else {
                format!("{:?}", dataset.read_raw::<u64>().unwrap_or_default()).into_bytes()
            };
            found.insert(dataset.name(), bytes);
        }
        for inner in group.groups().unwrap() {
            walk(&inner, found);
        }
    }
    let file = hdf5::File::open(path).unwrap();
    let mut found = BTreeMap::new();
    walk(&file, &mut found);
    found
}

/// Checks that two sweeps have equal tables, byte for byte, times apart, and that they left nothing behind.
#[track_caller]
fn assert_equal_sweeps(a: &Path, b: &Path) {
    let csv = |dir: &Path| fs::read_to_string(dir.join("sweep.csv")).unwrap();
    assert_eq!(csv(a), csv(b));
    let [a_sets, b_sets] = [a, b].map(|dir| {
        let mut sets = datasets(&dir.join("sweep.h5"));
        sets.retain(|name, _| !name.starts_with("/timing"));
        sets
    });
    assert_eq!(a_sets.keys().collect::<Vec<_>>(), b_sets.keys().collect::<Vec<_>>());
    for (name, bytes) in &a_sets {
        assert!(*bytes == b_sets[name], "{name} differs");
    }
    assert!(a_sets.contains_key("/history/qd_score") && a_sets.contains_key("/runs/corrected_qd_score"));
    for dir in [a, b] {
        let left: Vec<_> = fs::read_dir(dir.join("claims"))
            .unwrap()
            .flatten()
            .map(|e| e.file_name())
            .collect();
        assert!(left.is_empty(), "claims are left: {left:?}");
    }
    let of_results = |dir: &Path| -> Vec<_> {
        let mut names: Vec<_> = fs::read_dir(dir.join("results"))
            .unwrap()
            .flatten()
            .map(|e| e.file_name())
            .collect();
        names.sort();
        names
    };
    assert_eq!(of_results(a), of_results(b));
    let kept = |dir: &Path| -> BTreeMap<String, Vec<u8>> {
        let runs = fs::read_dir(dir.join("runs")).unwrap().flatten();
        let files = runs.flat_map(|run| fs::read_dir(run.path()).unwrap().flatten());
        files
            .map(|f| (f.path().strip_prefix(dir).unwrap().display().to_string(), Vec::new()))
            .collect()
    };
    assert_eq!(kept(a).keys().collect::<Vec<_>>(), kept(b).keys().collect::<Vec<_>>());
}

/// The tables as they should be: the sweep run by one process, in peace.
fn undisturbed(folder: &Path, file: &Path) -> PathBuf {
    let dir = folder.join("undisturbed");
    run(1, &["sweep", "run", arg(file), "--out", arg(&dir)]).succeeded();
    dir
}

#[test]
fn a_sweep_whose_workers_and_runs_are_killed_ends_as_one_that_was_left_alone() {
    let folder = folder();
    let file = write_sweep(folder.path(), SWEEP);
    let quiet = undisturbed(folder.path(), &file);
    let dir = folder.path().join("disturbed");
    let command = ["sweep", "run", arg(&file), "--out", arg(&dir)];

    // One child is killed, another segfaults; then a worker is killed, with which mpirun ends all.
    let mut first = Running::start(illume(4, &command));
    let pid = first.pid();
    let mut hurt: Vec<String> = Vec::new();
    for how in ["KILL", "SEGV"] {
        first.wait_until("a child with a checkpoint", || {
            let there = with_checkpoint(&dir);
            let children = runs_below(pid);
            let victim = children.iter().find(|(id, _)| there.contains(id) && !hurt.contains(id));
            let Some((id, pid)) = victim else { return false };
            hurt.push(id.clone());
            signal(how, *pid)
        });
    }
    first.wait_until("a run to be crashed", || {
        let claims: Vec<String> = fs::read_dir(dir.join("claims"))
            .unwrap()
            .flatten()
            .filter_map(|e| fs::read_to_string(e.path()).ok())
            .collect();
        claims.iter().any(|text| text.contains("SIGSEGV")) || results(&dir) >= 3
    });
    first.wait_until("a rank", || !ranks_below(pid).is_empty());
    let worker = *first.ranks().values().next().unwrap();
    assert!(signal("KILL", worker));
    let ended = first.wait();
    assert_ne!(ended.code(), Some(0), "{ended}");

    // Two commands at once, all killed.
    let mut two = Running::start(illume(2, &command));
    let one = Running::start(illume(1, &command));
    let before = results(&dir);
    two.wait_until("another run with a checkpoint", || {
        results(&dir) > before || results(&dir) + with_checkpoint(&dir).len() >= 12
    });
    for pid in two.ranks().values().copied().chain([two.pid(), one.pid()]) {
        signal("KILL", pid);
    }
    let _ = (two.wait(), one.wait());

    // Another number of ranks goes on, is told to stop, and goes on.
    let mut third = Running::start(illume(3, &command));
    let pid = third.pid();
    third.wait_until("a worker", || {
        !ranks_below(pid).is_empty() && !runs_below(pid).is_empty() || results(&dir) == 12
    });
    signal("USR1", third.pid());
    let ended = third.wait();
    // A worker that was just starting did not know of the signal yet.
    assert!([Some(75), Some(0), Some(138)].contains(&ended.code()), "{ended}");
    let said = run(3, &command).succeeded();
    assert!(said.contains("sweep.csv"), "{said}");
    assert_equal_sweeps(&quiet, &dir);
    // Everything is done: nothing is done again.
    let again = run(1, &["sweep", "run", arg(&dir)]).succeeded();
    assert!(again.contains("iso_sigma=0.02"), "{again}");
    assert_equal_sweeps(&quiet, &dir);
}

#[test]
fn a_sweep_whose_nurseries_are_killed_ends_as_one_that_was_left_alone() {
    let folder = folder();
    let file = write_sweep(folder.path(), &SWEEP.replace("seeds = 3", "seeds = 1"));
    let quiet = undisturbed(folder.path(), &file);
    let dir = folder.path().join("disturbed");
    let mut sweep = Running::start(illume(1, &["sweep", "run", arg(&file), "--out", arg(&dir)]));
    let pid = sweep.pid();
    sweep.wait_until("a checkpoint", || {
        let there = with_checkpoint(&dir);
        runs_below(pid).iter().any(|(id, _)| there.contains(id))
    });
    for (_, pid) in named_below(pid).iter().filter(|(name, _)| name == "illume-nursery") {
        assert!(signal("KILL", *pid));
    }
    let ended = sweep.wait();
    assert!(
        ended
            .stderr
            .contains("crashed, attempt 1 of 3: the process that had started it was killed"),
        "{ended}"
    );
    ended.succeeded();
    assert_equal_sweeps(&quiet, &dir);
}

/// Twenty-seven configurations of the arm.
fn twenty_seven(seeds: &[u64], method: &str) -> String {
    format!(
        "seeds = {seeds:?}\n[base.task]\nname = \"arm\"\njoints = 12\n[base.strategy]\nname = \"map_elites\"\n[base.archive]\nshape = [30, 30]\n\
         [base.budget]\nevaluations = 54_000\n[parameters]\nstrategy.iso_sigma = [0.001, 0.01, 0.1]\n\
         strategy.line_sigma = [0.02, 0.2, 2.0]\nstrategy.batch = [200, 1000, 5000]\n{method}"
    )
}

const HALVING: &str = "[method]\nkind = \"halving\"\neta = 5\nrungs = 2\n";

/// Successive halving finds the winner of the full grid at four tenths of its evaluations. The runs are done once, to their whole budget; what a run had at a
/// rung's budget is in its history, since a run that goes on is the one that never stopped (the test after this one).
#[test]
fn halving_finds_the_winner_of_the_full_grid_in_nine_of_ten_sweeps() {
    let mut found = 0;
    for sweep in 0..10_u64 {
        let folder = folder();
        let seeds: Vec<u64> = (1..=3).map(|i| 10 * sweep + i).collect();
        let read = |method: &str| {
            let file = write_sweep(folder.path(), &twenty_seven(&seeds, method));
            Plan::new(&Spec::read(&file, &[], None).unwrap()).unwrap()
        };
        let (grid, halving) = (read(""), read(HALVING));
        assert_eq!((grid.runs.len(), &grid.runs), (81, &halving.runs));
        let curves: BTreeMap<&str, Vec<(f64, f64)>> = grid
            .runs
            .iter()
            .map(|run| {
                let text = grid.configurations[run.configuration].with_seed(run.seed);
                let points = common::finish(&text, |run| {
                    let history = run.history().batch();
                    let columns = ["evaluations", "qd_score"].map(|name| common::column(&history, name));
                    columns[0].iter().copied().zip(columns[1].iter().copied()).collect()
                });
                (run.id.as_str(), points)
            })
            .collect();
        // A run ends with the first generation that reaches its budget.
        let score = |id: &str, budget: f64| curves[id].iter().find(|(n, _)| *n >= budget).unwrap().1;
        let median = |configuration: usize| {
            let runs = grid.runs.iter().filter(|run| run.configuration == configuration);
            let mut scores: Vec<f64> = runs.map(|run| score(&run.id, 54_000.0)).collect();
            scores.sort_by(f64::total_cmp);
            scores[1]
        };
        let best = (0..27).max_by(|&a, &b| median(a).total_cmp(&median(b))).unwrap();
        let dir = folder.path().join("results");
        fs::create_dir(&dir).unwrap();
        let mut results = Results::new(dir);
        let mut evaluations: BTreeMap<String, u64> = BTreeMap::new();
        let standing = loop {
            let jobs = halving.jobs(&results);
            if jobs.complete {
                break jobs.standing;
            }
            for job in jobs.known.iter().filter(|job| results.get(&job.name).is_none()) {
                let budget = job.evaluations.unwrap_or(54_000);
                evaluations.insert(job.id.clone(), budget);
                let row = Row {
                    status: Status::Done,
                    error: String::new(),
                    stderr: Vec::new(),
                    values: vec![("qd_score".into(), Some(score(&job.id, budget as f64)))],
                    timing: Timing::default(),
                };
                results.write(&job.name, &row, &Curve::default()).unwrap();
            }
            results.refresh().unwrap();
        };
        let share = evaluations.values().sum::<u64>() as f64 / (81.0 * 54_000.0);
        assert!(share < 0.4, "{share}");
        found += usize::from(standing[0] == best);
    }
    assert!(found >= 9, "{found} of 10");
}

/// A run that came through all rungs is the run of the grid, bit for bit, and what was dropped is tidied away.
#[test]
fn a_run_that_is_promoted_goes_on_where_it_stopped() {
    let folder = folder();
    let small = |method: &str| {
        twenty_seven(&[1, 2], method)
            .replace("[0.02, 0.2, 2.0]", "[0.2]")
            .replace("54_000", "9_000")
            // A first generation fits the first rung.
            .replace("[200, 1000, 5000]", "[50, 200, 1000]")
    };
    let grid = folder.path().join("grid");
    let file = write_sweep(folder.path(), &small(""));
    run(1, &["sweep", "run", arg(&file), "--out", arg(&grid)]).succeeded();
    let halving = folder.path().join("halving");
    let file = write_sweep(
        folder.path(),
        &small("[method]\nkind = \"halving\"\nrungs = 3\nconfirm = 3\n"),
    );
    let said = run(2, &["sweep", "run", arg(&file), "--out", arg(&halving)]).succeeded();
    assert!(said.contains("P(better)") && said.contains("base"), "{said}");
    let csv = fs::read_to_string(halving.join("sweep.csv")).unwrap();
    let last: Vec<&str> = csv.lines().filter(|line| line.contains(",rung 3,")).collect();
    assert_eq!((last.len(), csv.matches(",confirms,").count()), (2, 6), "{csv}");
    for line in last {
        let id = &line[..12];
        let file = |dir: &Path| open(&dir.join("runs").join(id).join("archive.h5"));
        let (a, b) = (file(&grid), file(&halving));
        common::assert_equal_tables(&a.elites, &b.elites, id);
        common::assert_equal_tables(&a.history, &b.history, id);
    }
    for run in fs::read_dir(halving.join("runs")).unwrap().flatten() {
        assert!(
            run.path().is_dir() && !run.path().join("checkpoint.h5").exists(),
            "{}",
            run.path().display()
        );
    }
}
