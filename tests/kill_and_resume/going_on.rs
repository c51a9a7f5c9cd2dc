//! The same command again, other budgets, and checkpoints that are damaged.

use illume::archives::file::read_checkpoint;
use illume::cluster::Solo;
use illume::{Config, Run};

use super::*;
use common::refused::{assert_refused, assert_says, contents};

#[test]
fn a_larger_budget_given_to_resume_equals_that_budget_from_the_start() {
    for parts in [&[MAP_ELITES, DEEP_GA, DEEP_GA_MAZE, OPENAI_ES][..], TESTED].concat() {
        let folder = folder();
        let config = write_config(folder.path(), &format!("{parts}[output]\nhistory_rows = 8\n"));
        let (once, twice) = (folder.path().join("once"), folder.path().join("twice"));
        begin(&config, &once, "budget.generations=23").succeeded();
        begin(&config, &twice, "budget.generations=11").succeeded();
        run(1, &["resume", arg(&twice), "--set", "budget.generations=23"]).succeeded();
        assert_equal_runs(&once, &twice);
        let text = std::fs::read_to_string(twice.join("config.toml")).unwrap();
        assert!(
            text.contains("generations = 23"),
            "the run directory's configuration follows: {text}"
        );
        assert_eq!(temporaries(&twice), Vec::<String>::new());
    }
}

#[test]
fn resuming_a_finished_run_changes_nothing() {
    let folder = folder();
    let config = write_config(folder.path(), &format!("{MAP_ELITES}[budget]\ngenerations = 5\n"));
    let (dir, copy) = (folder.path().join("run"), folder.path().join("copy"));
    run(1, &["run", arg(&config), "--out", arg(&dir)]).succeeded();
    std::fs::create_dir(&copy).unwrap();
    for name in ["archive.h5", "checkpoint.h5", "history.csv"] {
        std::fs::copy(dir.join(name), copy.join(name)).unwrap();
    }
    run(1, &["resume", arg(&dir)]).succeeded();
    assert_equal_runs(&copy, &dir);
}

#[test]
fn a_run_that_its_strategy_ended_stays_ended_with_a_larger_budget() {
    let folder = folder();
    let parts = "[task]\nname = \"arm\"\njoints = 3\n[strategy]\nname = \"cma_es\"\ntol_x = 1e-3\n[archive]\nshape = [20, 20]\n";
    let config = write_config(folder.path(), &format!("{parts}[budget]\ngenerations = 5000\n"));
    let dir = folder.path().join("run");
    let said = run(1, &["run", arg(&config), "--out", arg(&dir)]).succeeded();
    assert!(
        said.contains("Ended by the strategy: the search has nothing left to find"),
        "{said}"
    );
    let (ended, csv) = (
        open(&dir.join("archive.h5")).attributes.generation,
        dir.join("history.csv"),
    );
    let history = std::fs::read_to_string(&csv).unwrap();
    assert!(ended < 1000, "{ended} generations");
    let said = run(1, &["resume", arg(&dir), "--set", "budget.generations=9000"]).succeeded();
    assert!(said.contains("Ended by the strategy"), "{said}");
    assert_eq!(open(&dir.join("archive.h5")).attributes.generation, ended);
    assert_eq!(std::fs::read_to_string(&csv).unwrap(), history);
}

#[test]
fn one_command_starts_a_run_goes_on_with_it_and_leaves_it_when_it_is_finished() {
    let folder = folder();
    let config = write_config(folder.path(), &format!("{MAP_ELITES}[output]\nhistory_rows = 8\n"));
    let (once, dir) = (folder.path().join("once"), folder.path().join("run"));
    begin(&config, &once, "budget.generations=23").succeeded();
    go_on(1, &config, &dir, "budget.generations=11").succeeded();
    go_on(1, &config, &dir, "budget.generations=23").succeeded();
    assert_equal_runs(&once, &dir);
    let text = std::fs::read_to_string(dir.join("config.toml")).unwrap();
    assert!(text.contains("generations = 23"), "{text}");
    let before = contents(&dir);
    let said = go_on(1, &config, &dir, "budget.generations=23").succeeded();
    assert!(
        said.contains("Nothing left to do: finished after 23 generations"),
        "{said}"
    );
    assert!(contents(&dir) == before, "a finished run was written anew");
    // Killed after its last checkpoint and before the archive, it is not finished.
    std::fs::remove_file(dir.join("archive.h5")).unwrap();
    go_on(1, &config, &dir, "budget.generations=23").succeeded();
    assert_equal_runs(&once, &dir);
    let time = "budget.wall_minutes=1e-9";
    let said = go_on(1, &config, &dir, time).succeeded();
    assert!(
        said.contains("Nothing left to do: finished after 23"),
        "its time is over: {said}"
    );
}

#[test]
fn a_run_killed_before_its_first_checkpoint_is_started_again_by_the_same_command() {
    let folder = folder();
    let config = write_config(folder.path(), &format!("seed = 5\n{DEEP_GA}"));
    let (once, dir) = (folder.path().join("once"), folder.path().join("run"));
    let endless = [
        "run",
        "--resume",
        arg(&config),
        "--out",
        arg(&dir),
        "--set",
        "budget.generations=1000000",
    ];
    for _ in 0..2 {
        let mut running = Running::start(illume(1, &endless));
        let log = dir.join("log.jsonl");
        running.wait_until("its log", || log.is_file());
        assert!(signal("KILL", running.pid()));
        running.wait();
        std::fs::write(dir.join("checkpoint.h5.tmp-123"), b"half a file").unwrap();
    }
    assert!(dir.join("run.lock").is_file(), "the killed process's");
    let resumed = run(1, &["resume", arg(&dir)]);
    assert_eq!(resumed.code(), Some(2), "{resumed}");
    let command = format!("illume run --resume {0}/config.toml --out {0}", dir.display());
    assert!(resumed.stderr.contains(&command), "{resumed}");
    let anew = run(1, &["run", arg(&config), "--out", arg(&dir)]);
    assert_eq!(anew.code(), Some(2), "{anew}");
    assert!(anew.stderr.contains("illume run --resume"), "{anew}");
    // As `resume` said: with the configuration that the directory holds.
    let own = dir.join("config.toml");
    go_on(1, &own, &dir, "budget.generations=9").succeeded();
    let nine = [
        "run",
        arg(&config),
        "--out",
        arg(&once),
        "--set",
        "budget.generations=9",
    ];
    run(1, &nine).succeeded();
    assert_equal_runs(&once, &dir);
    assert!(!dir.join("run.lock").exists());
}

/// What is edited in a run's configuration is honoured, or named where it would make another run of it.
#[test]
fn a_run_goes_on_with_its_own_configuration_and_the_given_budget() {
    let folder = folder();
    let config = write_config(folder.path(), MAP_ELITES);
    let (once, dir) = (folder.path().join("once"), folder.path().join("run"));
    let set = ["--set", "budget.generations=11"];
    run(1, &[&["run", arg(&config), "--out", arg(&dir)], &set[..]].concat()).succeeded();
    let own = dir.join("config.toml");
    let text = std::fs::read_to_string(&own).unwrap();
    std::fs::write(&own, text.replace("joints = 12", "joints = 13")).unwrap();
    let before = contents(&dir);
    for arguments in [
        &["resume", arg(&dir)][..],
        &["run", "--resume", arg(&own), "--out", arg(&dir)],
    ] {
        let ended = run(1, arguments);
        assert_refused(
            &ended,
            &[arg(&own), arg(&dir), "task.joints is 13, the run's 12", "budget.*"],
        );
        assert!(contents(&dir) == before);
    }
    for (set, part) in [
        ("seed=2", "seed is 2, the run's 1"),
        ("strategy.batch=30", "strategy.batch is 30, the run's 60"),
        ("archive.samples=3000", "archive.samples"),
    ] {
        assert_refused(&go_on(1, &config, &dir, set), &["config-given.toml", part, "--out"]);
        assert!(contents(&dir) == before);
    }
    let other = write_config(&folder.path().join("run"), DEEP_GA);
    let ended = go_on(1, &other, &dir, "seed=1");
    assert_refused(
        &ended,
        &["strategy.name is \"deep_ga\", the run's \"map_elites\"", "archive.kind"],
    );
    std::fs::remove_file(other).unwrap();
    std::fs::write(&own, text.replace("generations = 11", "generations = 23")).unwrap();
    run(1, &["resume", arg(&dir)]).succeeded();
    begin(&config, &once, "budget.generations=23").succeeded();
    assert_equal_runs(&once, &dir);
    std::fs::remove_file(&own).unwrap();
    run(1, &["resume", arg(&dir), "--set", "budget.generations=24"]).succeeded();
    assert!(std::fs::read_to_string(&own).unwrap().contains("generations = 24"));
}

#[test]
fn two_processes_never_write_one_run() {
    let disturbed = Disturbed::new(MAP_ELITES);
    let running = disturbed.start(1);
    let pid = format!("process {}", running.pid());
    let resume = ["run", "--resume", arg(&disturbed.config), "--out", arg(&disturbed.dir)];
    for arguments in [&resume[..], &["resume", arg(&disturbed.dir)]] {
        let ended = run(1, arguments);
        assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(75), 1), "{ended}");
        assert_says(&ended.stderr, &[arg(&disturbed.dir), &pid, "s ago", "try again"]);
        assert!(ended.stdout.is_empty(), "{ended}");
    }
    // Suspended while another takes the directory over, the first must not write when it wakes.
    let lock = disturbed.dir.join("run.lock");
    assert!(signal("STOP", running.pid()));
    std::fs::write(&lock, "another's").unwrap();
    let before = contents(&disturbed.dir);
    assert!(signal("CONT", running.pid()));
    let ended = running.wait();
    assert_eq!(ended.code(), Some(75), "{ended}");
    assert_says(&ended.stderr, &[arg(&disturbed.dir), "taken over", "without writing"]);
    let whole = |files: Vec<(PathBuf, Vec<u8>)>| {
        files
            .into_iter()
            .filter(|(path, _)| !arg(path).contains("tmp") && !path.ends_with("log.jsonl"))
    };
    assert!(whole(contents(&disturbed.dir)).eq(whole(before)), "it wrote something");
    std::fs::remove_file(&lock).unwrap();
    disturbed.resume_and_compare(1, "1");
}

#[test]
fn a_damaged_checkpoint_is_put_aside_and_the_one_before_goes_on() {
    for share in [0.0, 0.3, 0.9] {
        let disturbed = Disturbed::new(MAP_ELITES);
        let mut running = disturbed.start(1);
        let previous = disturbed.dir.join("checkpoint.previous.h5");
        running.wait_until("a second checkpoint", || previous.is_file());
        assert!(signal("TERM", running.pid()));
        running.wait();
        let newest = disturbed.dir.join("checkpoint.h5");
        let (whole, before) = (std::fs::read(&newest).unwrap(), open(&previous).attributes.generation);
        assert!(before < disturbed.generation());
        let damaged = &whole[..(whole.len() as f64 * share) as usize];
        std::fs::write(&newest, damaged).unwrap();
        let set = format!("budget.generations={}", before + 7);
        let ended = go_on(1, &disturbed.config, &disturbed.dir, &set);
        assert_eq!(ended.code(), Some(0), "{ended}");
        assert_says(
            &ended.stderr,
            &[
                arg(&newest),
                arg(&previous),
                &format!("generation {before}"),
                "checkpoint.damaged.h5",
            ],
        );
        let log = std::fs::read_to_string(disturbed.dir.join("log.jsonl")).unwrap();
        assert!(log.contains("\"damaged_checkpoint\":\"/"), "{log}");
        assert!(std::fs::read(disturbed.dir.join("checkpoint.damaged.h5")).unwrap() == damaged);
        // None but good ones took its place.
        assert!(open(&previous).attributes.generation >= before);
        disturbed.resume_and_compare(1, "1");
        // Both damaged: the newest is named, and nothing is touched.
        for path in [&newest, &previous] {
            std::fs::write(path, b"no checkpoint").unwrap();
        }
        let files = contents(&disturbed.dir);
        assert_refused(&run(1, &["resume", arg(&disturbed.dir)]), &[arg(&newest), "HDF5"]);
        assert!(contents(&disturbed.dir) == files);
    }
}

/// The history is thinned when it is full, also by the row of a generation that is there only because the run stops after it.
#[test]
fn a_history_that_is_thinned_goes_on_from_any_generation() {
    let folder = folder();
    let text = format!("{MAP_ELITES}[budget]\ngenerations = 40\n[output]\nhistory_rows = 6\n");
    let config = Config::parse(&text, "test", &[]).unwrap();
    let task = illume::registry::task(&config).unwrap();
    let generations = |run: &mut Run<'_>| common::column(&run.history().batch(), "generation");
    let mut whole = Run::new(&config, task.as_ref(), &Solo).unwrap();
    while whole.generation().unwrap() {}
    for stop in 1..40 {
        let path = folder.path().join("checkpoint.h5");
        let mut first = Run::new(&config, task.as_ref(), &Solo).unwrap();
        for _ in 0..stop {
            first.generation().unwrap();
        }
        first.write(&path, true).unwrap();
        let mut second = Run::new(&config, task.as_ref(), &Solo).unwrap();
        second.load(&read_checkpoint(&path, &Solo).unwrap()).unwrap();
        while second.generation().unwrap() {}
        assert_eq!(
            generations(&mut second),
            generations(&mut whole),
            "stopped after {stop}"
        );
    }
}
