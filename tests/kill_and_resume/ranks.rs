//! Ranks, of which one is killed or signalled.

use super::*;
use common::refused::assert_says;

/// As a sweep that was started by one mpirun in place of several.
#[test]
fn ranks_that_are_given_different_runs_are_refused_and_write_nothing() {
    let folder = folder();
    let config = write_config(folder.path(), &format!("{MAP_ELITES}[budget]\ngenerations = 3\n"));
    let out = folder.path().join("run");
    let (illume, config, out_arg) = (common::ILLUME, arg(&config), arg(&out));
    let cases = [
        (
            format!("run {config} --out {out_arg} --set seed=$R"),
            &["rank 1", "configuration", "seed is 1, rank 0's 0"][..],
        ),
        (format!("run {config} --out {out_arg}-$R"), &["rank 1", "run directory"]),
        (
            format!("$(test $R = 0 && echo run {config} --out || echo resume) {out_arg}"),
            &["different commands"],
        ),
    ];
    for (arguments, parts) in cases {
        let script = format!("R=$OMPI_COMM_WORLD_RANK; exec {illume} {arguments}");
        let mut shell = common::started(2, "sh");
        shell.args(["-c", &script]);
        let ended = common::run_command(shell);
        assert_eq!(ended.code(), Some(2), "{ended}");
        let ours: Vec<&str> = ended.stderr.lines().filter(|l| l.starts_with("illume: ")).collect();
        assert_eq!(ours.len(), 1, "{ended}");
        assert_says(ours[0], parts);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is made");
    }
}

#[test]
fn ranks_kept_out_of_a_run_end_together_and_start_it_when_it_is_free() {
    let disturbed = Disturbed::new(MAP_ELITES);
    let running = disturbed.start(2);
    let ended = run(
        3,
        &["run", "--resume", arg(&disturbed.config), "--out", arg(&disturbed.dir)],
    );
    assert_eq!(ended.code(), Some(75), "{ended}");
    assert_eq!(ended.stderr.matches("is in use by process").count(), 1, "{ended}");
    assert!(signal("KILL", running.ranks()[&0]));
    running.wait();
    let budget = format!("budget.generations={}", disturbed.generation() + 5);
    go_on(3, &disturbed.config, &disturbed.dir, &budget).succeeded();
    disturbed.resume_and_compare(2, "1");
}

/// Kills or signals one rank of a run on two or three and resumes on another number.
fn disturb_rank(name: &str, parts: &str, ranks: [usize; 2], victim: usize) {
    let disturbed = Disturbed::new(parts);
    let running = disturbed.start(ranks[0]);
    let pids = running.ranks();
    assert_eq!(pids.len(), ranks[0], "{pids:?}");
    assert!(signal(name, pids[&victim]));
    let ended = running.wait();
    if name == "KILL" {
        assert!(!ended.status.success() && ended.code() != Some(75), "{ended}");
    } else {
        assert_stopped(&ended, &disturbed, "");
    }
    disturbed.resume_and_compare(ranks[1], "1");
}

#[test]
fn a_killed_rank_ends_the_run_and_another_number_of_ranks_takes_it_up() {
    disturb_rank("KILL", MAP_ELITES, [2, 3], 1);
    disturb_rank("KILL", DEEP_GA, [3, 2], 0);
    disturb_rank("KILL", OPENAI_ES, [2, 1], 1);
    disturb_rank("KILL", DCRL_ME, [2, 3], 1);
    disturb_rank("KILL", DCG_ME, [3, 1], 0);
    disturb_rank("KILL", GA_NS, [2, 3], 1);
    disturb_rank("KILL", NSR_ES, [3, 2], 0);
    disturb_rank("KILL", NSLC, [2, 3], 0);
    disturb_rank("KILL", ME_ES, [3, 2], 1);
}

#[test]
fn a_signal_to_any_rank_stops_all_of_them_in_order() {
    disturb_rank("TERM", MAP_ELITES, [3, 1], 2);
    disturb_rank("USR1", DEEP_GA_MAZE, [2, 3], 1);
    disturb_rank("INT", OPENAI_ES, [2, 3], 0);
    disturb_rank("USR1", GA_NS, [3, 2], 1);
}

#[test]
#[cfg(feature = "mujoco")]
fn validation_statistics_and_caps_survive_a_killed_rank() {
    disturb_rank("KILL", DEEP_GA_VALIDATED, [2, 1], 1);
    disturb_rank("KILL", OPENAI_ES_NORMALIZED, [2, 3], 0);
}

#[test]
#[cfg(feature = "atari")]
fn games_survive_a_killed_rank() {
    disturb_rank("KILL", DEEP_GA_PIXELS, [2, 3], 1);
    disturb_rank("TERM", GA_NS_PIXELS, [3, 1], 0);
}

#[test]
fn a_signal_to_mpirun_leaves_a_checkpoint_from_which_the_run_goes_on() {
    for (name, parts) in [
        ("TERM", MAP_ELITES),
        ("USR1", DEEP_GA),
        ("USR2", DEEP_GA),
        ("INT", OPENAI_ES),
    ] {
        let disturbed = Disturbed::new(parts);
        let running = disturbed.start(2);
        assert!(signal(name, running.pid()));
        let ended = running.wait();
        // Open MPI's own code for SIGTERM and SIGINT differs from version to version.
        assert!(
            if name.starts_with("USR") {
                ended.code() == Some(75)
            } else {
                !ended.status.success()
            },
            "{ended}"
        );
        assert_left_in_order(&disturbed, "SIG");
        disturbed.resume_and_compare(3, "1");
    }
}
