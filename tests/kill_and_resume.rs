//! A run that is killed or stopped and then resumed, at another number of ranks, equals the one that was left alone.
//!
//! Runs are given a budget that they never reach, disturbed once they have a checkpoint, and resumed to a few generations
//! beyond it; the undisturbed run has that budget from its start. So nothing depends on how fast the machine is.

mod common;

use std::path::{Path, PathBuf};

use common::refused::{assert_refused, assert_says, contents};
use common::{
    Ended, Running, arg, assert_equal_runs, folder, illume, open, run, signal, small, temporaries, was_killed,
    write_config,
};
use illume::archives::file::read_checkpoint;
use illume::cluster::Solo;
use illume::{Config, Run, strategies};

const MAP_ELITES: &str = "[task]\nname = \"arm\"\njoints = 12\n[strategy]\nname = \"map_elites\"\nbatch = 60\n\
                          [archive]\nkind = \"cvt\"\ncells = 200\nsamples = 2000\n";
const DEEP_GA: &str = "[task]\nname = \"arm\"\njoints = 12\n[strategy]\nname = \"deep_ga\"\npopulation = 40\nparents = 5\n\
                       sigma = 0.02\n[archive]\nshape = [20, 20]\n";
/// With a noise table and no room for decoded parents.
const DEEP_GA_MAZE: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 40\n[policy]\nhidden = [6]\n[strategy]\n\
                            name = \"deep_ga\"\npopulation = 30\nparents = 5\nsigma = 0.1\nnoise = \"table\"\n\
                            noise_table = 5000\ncache_mb = 0\n[archive]\nshape = [20, 20]\n";
const OPENAI_ES: &str = "[task]\nname = \"sphere\"\ndim = 50\n[strategy]\nname = \"openai_es\"\npopulation = 20\n\
                         sigma = 0.1\n[archive]\nshape = [20, 20]\n";
/// Covariance, paths, and axes that are older than the covariance.
const CMA_ES: &str = "[task]\nname = \"sphere\"\ndim = 50\n[strategy]\nname = \"cma_es\"\npopulation = 15\n\
                      restarts = \"ipop\"\nmax_restarts = 24\n[archive]\nshape = [20, 20]\n";
/// Searches of a few generations, one after another, in a box.
const CMA_ES_RESTARTED: &str = "[task]\nname = \"arm\"\njoints = 4\n[strategy]\nname = \"cma_es\"\npopulation = 5\n\
                                restarts = \"bipop\"\nmax_restarts = 24\ntol_x = 0.7\n[archive]\nshape = [20, 20]\n";
const SEP_CMA_ES: &str = "[task]\nname = \"rastrigin\"\ndim = 3000\n[strategy]\nname = \"sep_cma_es\"\n\
                          [archive]\nshape = [20, 20]\n";
/// Several searches, thresholds, and the best of all beside what is bred from.
const SNES: &str = "[task]\nname = \"rastrigin\"\ndim = 3000\n[strategy]\nname = \"snes\"\npopulation = 50\n[archive]\nshape = [20, 20]\n";
const XNES: &str =
    "[task]\nname = \"arm\"\njoints = 20\n[strategy]\nname = \"xnes\"\nsigma = 0.1\n[archive]\nshape = [20, 20]\n";
const LM_MA_ES: &str =
    "[task]\nname = \"sphere\"\ndim = 200\n[strategy]\nname = \"lm_ma_es\"\n[archive]\nshape = [20, 20]\n";
const PGPE: &str = "[task]\nname = \"arm\"\njoints = 12\n[strategy]\nname = \"pgpe\"\nranking = \"raw\"\n[archive]\nshape = [20, 20]\n";
const ARS: &str = "[task]\nname = \"sphere\"\ndim = 50\n[strategy]\nname = \"ars\"\ndirections_used = 3\n[archive]\nshape = [20, 20]\n";
const CMA_ME_OPENAI_ES: &str = "[task]\nname = \"sphere\"\ndim = 30\n[strategy]\nname = \"cma_me\"\nemitters = 2\nbatch = 6\n\
                                optimizer = \"openai_es\"\n[archive]\nshape = [20, 20]\n";
const CMA_MAE: &str = "[task]\nname = \"arm\"\njoints = 6\n[strategy]\nname = \"cma_mae\"\nemitters = 3\nbatch = 8\nsigma = 0.1\n\
                       restart_every = 7\nrankers = [\"improvement\", \"random_direction\"]\n\
                       [archive]\nshape = [20, 20]\nlearning_rate = 0.1\nthreshold_min = -0.4\n";
const CMA_ME: &str = "[task]\nname = \"sphere\"\ndim = 30\n[strategy]\nname = \"cma_me\"\nemitters = 2\nbatch = 6\n\
                      optimizer = \"sep_cma_es\"\nselection = \"filter\"\nrestart = \"no_improvement\"\n[archive]\nshape = [20, 20]\n";
/// Points with their moments, and distributions of coefficients.
const CMA_MAEGA: &str = "[task]\nname = \"rastrigin\"\ndim = 30\n[strategy]\nname = \"cma_maega\"\nemitters = 2\nbatch = 6\n\
                         optimizer = \"adam\"\nlearning_rate = 0.1\nrestart_every = 9\n\
                         [archive]\nshape = [20, 20]\nlearning_rate = 0.1\n";
/// A bandit's counts, searches that take part or not, and a learner beside them.
const MULTI_EMITTER: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 40\nreward = \"closeness\"\n[policy]\nhidden = [6]\n\
                             [strategy]\nname = \"multi_emitter\"\nactive = 3\n\
                             emitters = [{ kind = \"iso_line\", batch = 9 }, \
                             { kind = \"evolution_strategy\", count = 3, batch = 6, restart_every = 4 }, \
                             { kind = \"dcrl\", batch = 4, actors = 3, pg_steps = 3, critic_steps = 12, minibatch = 10, \
                             critic_hidden = [8], replay = 2000 }]\n[archive]\nshape = [20, 20]\n";
/// Networks, targets, moments and the replay buffer: all that learns.
const DCRL_ME: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 40\nreward = \"closeness\"\n[policy]\nhidden = [6]\n\
                       [strategy]\nname = \"dcrl_me\"\nbatch = 16\npg_steps = 3\ncritic_steps = 12\nminibatch = 10\n\
                       critic_hidden = [10, 8]\nreplay = 3000\n[archive]\nshape = [20, 20]\n";
const DCG_ME: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 40\nreward = \"closeness\"\n[policy]\nhidden = [6]\n\
                      [strategy]\nname = \"dcg_me\"\nbatch = 12\npg_steps = 3\ncritic_steps = 11\nminibatch = 10\n\
                      critic_hidden = [10]\nactor_hidden = [9]\nactor_rollouts = 3\npolicy_delay = 3\n[archive]\nshape = [20, 20]\n";
const PGA_ME: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 40\n[policy]\nhidden = [6]\n\
                      [strategy]\nname = \"pga_me\"\nbatch = 12\npg_steps = 3\ncritic_steps = 12\nminibatch = 10\n\
                      critic_hidden = [10]\noverlap = true\n[archive]\nshape = [20, 20]\n";
/// Members and novelty of the archive, and the most novel individuals.
const GA_NS: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 60\n[policy]\nhidden = [6]\n\
                     [strategy]\nname = \"ga_ns\"\npopulation = 40\nparents = 5\nsigma = 0.1\n[archive]\nprobability = 0.3\n";
/// The same, and local competition.
const NSLC: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 60\n[policy]\nhidden = [6]\n\
                    [strategy]\nname = \"nslc\"\npopulation = 40\nparents = 15\nsigma = 0.1\n[archive]\nprobability = 0.3\n";
/// Searches that are ordered by novelty.
const CMA_ME_NOVELTY: &str = "[task]\nname = \"arm\"\njoints = 6\n[strategy]\nname = \"cma_me\"\nemitters = 2\nbatch = 8\nsigma = 0.1\n\
                              restart_every = 7\nrankers = [\"novelty\", \"novelty_local_competition\"]\n[archive]\nprobability = 0.3\n";
/// A search in the middle of its way with its moments, and the cells that were last taken.
const ME_ES: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 60\n[policy]\nhidden = [6]\n[strategy]\nname = \"me_es\"\n\
                     population = 20\nsigma = 0.1\nlearning_rate = 0.05\nsteps = 3\n[archive]\nshape = [20, 20]\n";
/// Several centers with their moments, and which of them the archive does not know yet.
const NSR_ES: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 60\n[policy]\nhidden = [6]\n\
                      [strategy]\nname = \"nsr_es\"\npopulation = 20\nsigma = 0.1\nlearning_rate = 0.05\ncenters = 3\n\
                      [archive]\nneighbours = 5\n";
const NSRA_ES: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 60\n[policy]\nhidden = [6]\n\
                       [strategy]\nname = \"nsra_es\"\npopulation = 10\nsigma = 0.1\ncenters = 2\npatience = 2\n";
/// With several episodes a child, validation and a schedule by frames, or with normalized observations and a cap: more state to be lost.
#[cfg(feature = "mujoco")]
const DEEP_GA_VALIDATED: &str = "[task]\nname = \"hopper_uni\"\nepisode_length = 20\nreset_noise_scale = 0.05\n\
    [policy]\nhidden = [4]\n[strategy]\nname = \"deep_ga\"\npopulation = 20\nparents = 4\nsigma = 0.05\n\
    episodes = 2\nsigma_schedule = \"linear\"\nsigma_by = \"frames\"\nsigma_frames = 200000\n\
    validation_candidates = 3\nvalidation_episodes = 3\ntest_episodes = 4\n[archive]\nshape = [20]\n";
#[cfg(feature = "mujoco")]
const OPENAI_ES_NORMALIZED: &str = "[task]\nname = \"hopper_uni\"\nepisode_length = 20\nreset_noise_scale = 0.05\n\
    [policy]\nhidden = [4]\n[strategy]\nname = \"openai_es\"\npopulation = 20\nnormalize_observations = true\n\
    observation_share = 0.2\nepisode_cap = \"adaptive\"\ncap_factor = 1.5\n[archive]\nshape = [20]\n";

/// Lineages of a million genes on a game, and novelty of its memory.
#[cfg(feature = "atari")]
const DEEP_GA_PIXELS: &str = "[task]\nname = \"atari/frostbite\"\nmax_steps = 6\nnoops = 3\ntest_steps = 10\n[policy]\nnetwork = \"small\"\n\
    [strategy]\nname = \"deep_ga\"\npopulation = 4\nparents = 3\nsigma = 0.01\nvalidation_candidates = 2\n\
    validation_episodes = 2\ntest_episodes = 1\n[archive]\nshape = [6, 6]\n";
#[cfg(feature = "atari")]
const GA_NS_PIXELS: &str = "[task]\nname = \"atari/frostbite\"\nmax_steps = 6\nnoops = 3\ndescriptor = \"ram\"\nram_samples = 2\n\
    ram_interval = 3\n[policy]\nnetwork = \"small\"\n[strategy]\nname = \"ga_ns\"\npopulation = 4\nparents = 3\n\
    sigma = 0.01\n[archive]\nkind = \"unstructured\"\nneighbours = 3\nprobability = 0.3\n";

/// A program of its own, the negative sphere.
const COMMAND: &str = "[task]\nname = \"command\"\ncommand = [\"python3\", \"-c\", \"\"\"\n\
    import json, sys\ninput()\naxes = [{'name': name, 'lower': 0, 'upper': 1} for name in 'ab']\n\
    print(json.dumps({'illume': 1, 'dim': 4, 'bounds': [0, 1], 'descriptor': axes, 'batch': 8}), flush=True)\n\
    for line in sys.stdin:\n \
    rows = json.loads(line)['genomes']\n \
    print(json.dumps({'fitness': [-sum(x * x for x in row) for row in rows], 'descriptor': [row[:2] for row in rows]}), flush=True)\n\
    \"\"\"]\n[strategy]\nname = \"map_elites\"\nbatch = 60\n[archive]\nshape = [12, 12]\n";

/// Where a run was disturbed, and where its results are.
struct Disturbed {
    folder: tempfile::TempDir,
    config: PathBuf,
    dir: PathBuf,
}

impl Disturbed {
    fn new(parts: &str) -> Disturbed {
        let folder = folder();
        let ends = "[budget]\ngenerations = 1000000\n[output]\ncheckpoint_generations = 4\n";
        let config = write_config(folder.path(), &format!("seed = 5\n{parts}{ends}"));
        let dir = folder.path().join("disturbed");
        Disturbed { folder, config, dir }
    }

    fn arguments(&self) -> [&str; 6] {
        ["run", arg(&self.config), "--out", arg(&self.dir), "--threads", "1"]
    }

    /// Starts the run and waits for its first checkpoint.
    fn start(&self, ranks: usize) -> Running {
        let mut running = Running::start(illume(ranks, &self.arguments()));
        let checkpoint = self.dir.join("checkpoint.h5");
        running.wait_until("its first checkpoint", || checkpoint.is_file());
        running
    }

    /// Goes on until a signal after some generations more.
    fn resume_until_generation(&self, ranks: usize, generation: u64) -> Running {
        let mut running = Running::start(illume(ranks, &["resume", arg(&self.dir), "--threads", "1"]));
        let checkpoint = self.dir.join("checkpoint.h5");
        running.wait_until("a later checkpoint", || {
            illume::archives::file::open(&checkpoint).is_ok_and(|f| f.attributes.generation >= generation)
        });
        running
    }

    /// The last checkpoint's generation.
    fn generation(&self) -> u64 {
        open(&self.dir.join("checkpoint.h5")).attributes.generation
    }

    /// Resumes to a budget a little beyond the checkpoint, and compares with the run that was left alone.
    #[track_caller]
    fn resume_and_compare(&self, ranks: usize, threads: &str) {
        let reached = self.generation();
        assert!(reached >= 4, "a checkpoint of generation {reached}");
        let budget = format!("budget.generations={}", reached + 7);
        run(
            ranks,
            &["resume", arg(&self.dir), "--set", &budget, "--threads", threads],
        )
        .succeeded();
        let file = open(&self.dir.join("archive.h5"));
        assert_eq!(
            file.attributes.generation,
            reached + 7,
            "resumed from the checkpoint and went on to its budget"
        );
        assert_eq!(file.attributes.ranks, ranks as u64);
        let undisturbed = self.folder.path().join("undisturbed");
        let arguments = [
            "run",
            arg(&self.config),
            "--out",
            arg(&undisturbed),
            "--set",
            &budget,
            "--threads",
            "1",
        ];
        run(1, &arguments).succeeded();
        assert_equal_runs(&undisturbed, &self.dir);
        let log = std::fs::read_to_string(self.dir.join("log.jsonl")).unwrap();
        assert!(
            log.matches("\"event\":\"start\"").count() >= 2,
            "the log of the first part is kept: {log}"
        );
    }
}

/// A stop on a signal: exit code 75, a checkpoint of the generation that was reached, nothing unfinished.
#[track_caller]
fn assert_stopped(ended: &Ended, disturbed: &Disturbed, name: &str) {
    assert_eq!(ended.code(), Some(75), "{ended}");
    assert_left_in_order(disturbed, name);
    assert!(ended.stdout.contains("illume resume"), "it says how to go on: {ended}");
}

#[track_caller]
fn assert_left_in_order(disturbed: &Disturbed, name: &str) {
    let log = std::fs::read_to_string(disturbed.dir.join("log.jsonl")).unwrap();
    let last = log.lines().last().unwrap();
    assert!(last.contains("\"event\":\"stopped\"") && last.contains(name), "{last}");
    let generation = format!("\"generation\":{}", disturbed.generation());
    assert!(
        last.contains(&generation),
        "the checkpoint is of the last generation: {generation} {last}"
    );
    assert_eq!(temporaries(&disturbed.dir), Vec::<String>::new());
}

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

/// The last elite of a budget is tested at its end, and not again when the run goes on.
#[cfg(feature = "mujoco")]
const TESTED: &[&str] = &[DEEP_GA_VALIDATED];
#[cfg(not(feature = "mujoco"))]
const TESTED: &[&str] = &[];

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

/// Starts a run with one key set otherwise and lets it end.
#[track_caller]
fn begin(config: &Path, dir: &Path, set: &str) -> Ended {
    run(1, &["run", arg(config), "--out", arg(dir), "--set", set])
}

/// What a batch script runs, whatever has become of the job before.
fn go_on(ranks: usize, config: &Path, dir: &Path, set: &str) -> Ended {
    run(
        ranks,
        &["run", "--resume", arg(config), "--out", arg(dir), "--set", set],
    )
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

#[cfg(feature = "mpi")]
mod ranks {
    use super::*;

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
