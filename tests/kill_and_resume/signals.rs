//! One process that is stopped by a signal, or killed.

use super::*;
use common::refused::assert_says;
use common::small;
use illume::strategies;

#[test]
fn a_process_stopped_by_any_signal_goes_on_as_if_nothing_had_happened() {
    for (name, parts) in [
        ("TERM", MAP_ELITES),
        ("INT", DEEP_GA),
        ("USR1", OPENAI_ES),
        ("USR2", MAP_ELITES),
        ("HUP", MAP_ELITES),
        ("XCPU", MAP_ELITES),
        ("TERM", PGA_ME),
        ("INT", COMMAND),
    ] {
        // Under nohup the runs ignore it, as they should.
        if name == "HUP" && ignores_hangups() {
            continue;
        }
        let disturbed = Disturbed::new(parts);
        let running = disturbed.start(1);
        assert!(signal(name, running.pid()));
        assert_stopped(&running.wait(), &disturbed, &format!("SIG{name}"));
        disturbed.resume_and_compare(1, "2");
    }
}

/// Whether this process, and so what it starts, ignores SIGHUP.
fn ignores_hangups() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored
        .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .is_some_and(|set| set & 1 == 1)
}

#[test]
fn a_signal_in_a_long_generation_is_answered_at_once() {
    let folder = folder();
    let config = write_config(
        folder.path(),
        "[task]\nname = \"hard_maze\"\n[strategy]\nname = \"map_elites\"\nbatch = 20000\n",
    );
    let dir = folder.path().join("run");
    let mut running = Running::start(illume(1, &["run", arg(&config), "--out", arg(&dir), "--threads", "1"]));
    let log = dir.join("log.jsonl");
    running.wait_until("its log", || log.is_file());
    assert!(signal("TERM", running.pid()));
    let ended = running.wait();
    assert_eq!(ended.code(), Some(75), "{ended}");
    assert_says(
        &ended.stderr,
        &[
            "illume: SIGTERM: the run stops with a checkpoint",
            "the first here, began",
        ],
    );
}

#[test]
fn under_nohup_a_closed_terminal_does_not_stop_a_run() {
    let disturbed = Disturbed::new(MAP_ELITES);
    let mut nohup = std::process::Command::new("nohup");
    nohup.arg(common::ILLUME).args(disturbed.arguments());
    let mut running = Running::start(nohup);
    let checkpoint = disturbed.dir.join("checkpoint.h5");
    running.wait_until("its first checkpoint", || checkpoint.is_file());
    assert!(signal("HUP", running.pid()));
    let reached = disturbed.generation();
    running.wait_until("a later checkpoint", || disturbed.generation() > reached + 4);
    assert!(signal("USR2", running.pid()));
    assert_stopped(&running.wait(), &disturbed, "SIGUSR2");
}

/// `eval` and its like keep no checkpoint: a signal that they ignored would only make them hard to end.
#[test]
fn a_command_that_keeps_no_checkpoint_is_ended_by_a_signal() {
    let maze =
        "[task]\nname = \"hard_maze\"\n[strategy]\nname = \"map_elites\"\nbatch = 60\n[budget]\ngenerations = 2\n";
    let folder = folder();
    let (config, dir) = (write_config(folder.path(), maze), folder.path().join("run"));
    run(1, &["run", arg(&config), "--out", arg(&dir)]).succeeded();
    let running = Running::start(illume(1, &["eval", arg(&dir), "--episodes", "1000000"]));
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert!(signal("TERM", running.pid()));
    let ended = running.wait();
    assert!(was_killed(&ended, 15), "{ended}");
    assert!(!dir.join("eval.h5").exists());
}

/// In cells of one's own.
#[test]
fn a_run_that_begins_with_an_archive_goes_on_as_if_nothing_had_happened() {
    let files = folder();
    let old = files.path().join("old");
    let config = write_config(files.path(), &format!("{MAP_ELITES}[budget]\ngenerations = 5\n"));
    run(1, &["run", arg(&config), "--out", arg(&old)]).succeeded();
    let centroids = files.path().join("centroids.csv");
    std::fs::write(&centroids, "0.3,0.4\n0.7,0.4\n0.5,0.9\n0.5,0.2\n0.1,0.5\n").unwrap();
    let start = format!("[start]\narchive = \"{}\"\n", arg(&old));
    let own = format!("centroids = \"{}\"\n", arg(&centroids));
    let divided = MAP_ELITES.replace("cells = 200\nsamples = 2000\n", &own);
    assert_ne!(divided, MAP_ELITES);
    let searches = CMA_MAE.replace("joints = 6", "joints = 12");
    for parts in [divided, searches, CMA_ES_RESTARTED.replace("joints = 4", "joints = 12")] {
        let disturbed = Disturbed::new(&format!("{parts}{start}"));
        let mut running = disturbed.start(1);
        running.wait_until("a later checkpoint", || disturbed.generation() > 8);
        assert!(signal("KILL", running.pid()));
        assert!(was_killed(&running.wait(), 9));
        disturbed.resume_and_compare(if cfg!(feature = "mpi") { 2 } else { 1 }, "1");
    }
}

#[cfg(feature = "mujoco")]
#[test]
fn a_run_of_repeated_evaluations_goes_on_as_if_nothing_had_happened() {
    for parts in [OPENAI_ES_NORMALIZED, DEEP_GA_VALIDATED] {
        let disturbed = Disturbed::new(&parts.replace("[policy]", "repeats = 2\n[policy]"));
        let running = disturbed.start(1);
        assert!(signal("KILL", running.pid()));
        assert!(was_killed(&running.wait(), 9));
        disturbed.resume_and_compare(1, "2");
    }
}

#[test]
fn a_killed_process_goes_on_from_its_last_checkpoint() {
    for parts in [
        MAP_ELITES,
        DEEP_GA,
        OPENAI_ES,
        CMA_ES,
        CMA_ES_RESTARTED,
        SEP_CMA_ES,
        SNES,
        XNES,
        LM_MA_ES,
        PGPE,
        ARS,
        CMA_MAE,
        CMA_ME,
        MULTI_EMITTER,
        CMA_MAEGA,
        CMA_ME_OPENAI_ES,
        DCRL_ME,
        DCG_ME,
        GA_NS,
        NSLC,
        CMA_ME_NOVELTY,
        ME_ES,
        NSR_ES,
        NSRA_ES,
        COMMAND,
    ] {
        let disturbed = Disturbed::new(parts);
        let running = disturbed.start(1);
        assert!(signal("KILL", running.pid()));
        let ended = running.wait();
        assert!(was_killed(&ended, 9), "{ended}");
        // What a kill in the middle of a write leaves does not matter.
        std::fs::write(disturbed.dir.join("checkpoint.h5.tmp-123"), b"half a file").unwrap();
        disturbed.resume_and_compare(1, "1");
    }
}

#[test]
#[cfg(feature = "atari")]
fn games_stopped_or_killed_go_on_as_if_nothing_had_happened() {
    for (name, parts) in [("TERM", GA_NS_PIXELS), ("KILL", DEEP_GA_PIXELS)] {
        let disturbed = Disturbed::new(parts);
        let running = disturbed.start(1);
        assert!(signal(name, running.pid()));
        let ended = running.wait();
        assert!(was_killed(&ended, 9) || ended.code() == Some(75), "{ended}");
        disturbed.resume_and_compare(1, "2");
    }
}

#[test]
fn stopped_resumed_stopped_and_resumed_again_equals_the_undisturbed_run() {
    for parts in [MAP_ELITES, DEEP_GA, OPENAI_ES] {
        let disturbed = Disturbed::new(parts);
        let running = disturbed.start(1);
        assert!(signal("TERM", running.pid()));
        assert_stopped(&running.wait(), &disturbed, "SIGTERM");
        let running = disturbed.resume_until_generation(1, disturbed.generation() + 4);
        assert!(signal("INT", running.pid()));
        assert_stopped(&running.wait(), &disturbed, "SIGINT");
        disturbed.resume_and_compare(1, "2");
    }
}

/// Whatever the registry holds, in the setting that it calls small: stopped by its budget and resumed, on two ranks where there is MPI.
#[test]
fn every_strategy_of_the_registry_goes_on_as_if_it_had_not_been_stopped() {
    let files = folder();
    let ranks = if cfg!(feature = "mpi") { 2 } else { 1 };
    // Those with cases validate at the end of a budget, so that a run which that has stopped is not the same: their own tests stop them otherwise.
    for strategy in strategies::registry().iter().filter(|entry| !entry.cases) {
        let folder = folder();
        let config = write_config(folder.path(), &small::configuration(strategy, files.path()));
        let (once, twice) = (folder.path().join("once"), folder.path().join("twice"));
        begin(&config, &once, "budget.generations=6").succeeded();
        begin(&config, &twice, "budget.generations=3").succeeded();
        run(ranks, &["resume", arg(&twice), "--set", "budget.generations=6"]).succeeded();
        assert_equal_runs(&once, &twice);
    }
}
