//! The same seed gives the same archive, history, state and solution, bit for bit, on any number of ranks and threads.

mod common;

use common::{arg, assert_equal_runs, folder, open, run, small, write_config};
use illume::strategies;

/// (ranks, threads of each): everything by one thread, and everything divided.
#[cfg(feature = "mpi")]
const LAYOUTS: [(usize, usize); 2] = [(1, 1), (3, 2)];
#[cfg(not(feature = "mpi"))]
const LAYOUTS: [(usize, usize); 2] = [(1, 1), (1, 2)];

/// Runs a configuration at every layout and compares with the first; the folder of the runs.
fn assert_equal_archives(text: &str) -> tempfile::TempDir {
    assert_equal_on(&LAYOUTS, text)
}

/// The same for these layouts.
fn assert_equal_on(layouts: &[(usize, usize)], text: &str) -> tempfile::TempDir {
    let folder = folder();
    let config = write_config(folder.path(), text);
    let out = |(ranks, threads)| folder.path().join(format!("{ranks}x{threads}"));
    for &layout in layouts {
        let (ranks, threads) = layout;
        let dir = out(layout);
        let threads = threads.to_string();
        run(ranks, &["run", arg(&config), "--out", arg(&dir), "--threads", &threads]).succeeded();
        let file = open(&dir.join("archive.h5"));
        let (a, said) = (&file.attributes, fs_log(&dir));
        assert_eq!(
            (a.ranks, a.threads.to_string()),
            (ranks as u64, threads),
            "the layout that was asked for"
        );
        assert!(said.contains("\"event\":\"finished\""), "{said}");
        assert!(
            file.rows() > 0 && a.generation > 1,
            "a run that fills nothing proves nothing"
        );
        if layout != layouts[0] {
            assert_equal_runs(&out(layouts[0]), &dir);
        }
    }
    folder
}

fn fs_log(dir: &std::path::Path) -> String {
    std::fs::read_to_string(dir.join("log.jsonl")).unwrap()
}

fn config(task: &str, policy: &str, strategy: &str, archive: &str, generations: u32) -> String {
    format!(
        "seed = 7\n[task]\n{task}\n[policy]\n{policy}\n[strategy]\n{strategy}\n[archive]\n{archive}\n\
         [budget]\ngenerations = {generations}\n[output]\ncheckpoint_generations = 3\n"
    )
    .replace("[policy]\n\n", "")
}

#[cfg(feature = "mujoco")]
const HOPPER: &str = "name = \"hopper_uni\"\nepisode_length = 50\nreset_noise_scale = 0.05";
#[cfg(feature = "mujoco")]
const CHEETAH: &str = "name = \"halfcheetah_uni\"\nepisode_length = 50\nreset_noise_scale = 0.1";
#[cfg(feature = "mujoco")]
const SMALL: &str = "hidden = [8, 8]";

/// Whatever the registry holds, in the setting that it calls small.
#[test]
fn every_strategy_of_the_registry() {
    let files = folder();
    let layouts = if cfg!(feature = "mpi") {
        [(1, 1), (2, 1)]
    } else {
        [(1, 1), (1, 2)]
    };
    for strategy in strategies::registry() {
        // Those for tasks with cases need a build that has such a task.
        if strategy.cases && !cfg!(feature = "lm") {
            continue;
        }
        let small = small::configuration(strategy, files.path());
        assert_equal_on(&layouts, &format!("{small}[budget]\ngenerations = 4\n"));
    }
}

#[test]
fn map_elites_on_arm_in_a_grid() {
    let strategy = "name = \"map_elites\"\nbatch = 501\ninitial = 100\niso_sigma = 0.01\nline_sigma = 0.2";
    assert_equal_archives(&config(
        "name = \"arm\"\njoints = 33",
        "",
        strategy,
        "shape = [40, 30]",
        12,
    ));
}

#[test]
fn map_elites_with_both_operators_in_a_cvt() {
    let strategy = "name = \"map_elites\"\nbatch = 200\npolynomial_share = 0.4";
    assert_equal_archives(&config(
        "name = \"arm\"",
        "",
        strategy,
        "kind = \"cvt\"\ncells = 300\nsamples = 3000",
        10,
    ));
}

/// In cells of one's own.
#[test]
fn runs_that_begin_with_an_archive() {
    let files = folder();
    let text = config(
        "name = \"arm\"",
        "",
        "name = \"map_elites\"\nbatch = 90",
        "shape = [20, 20]",
        6,
    );
    let (old, centroids) = (files.path().join("old"), files.path().join("centroids.csv"));
    run(1, &["run", arg(&write_config(files.path(), &text)), "--out", arg(&old)]).succeeded();
    std::fs::write(&centroids, "0.3,0.4\n0.7,0.4\n0.5,0.9\n0.5,0.2\n0.1,0.5\n").unwrap();
    for (strategy, archive) in [
        (
            "name = \"map_elites\"\nbatch = 101",
            format!("centroids = \"{}\"", arg(&centroids)),
        ),
        (
            "name = \"cma_me\"\nemitters = 3\nbatch = 9",
            "shape = [20, 20]\nqd_offset = 3.0".into(),
        ),
        ("name = \"me_es\"\npopulation = 12", "shape = [20, 20]".into()),
        ("name = \"openai_es\"\npopulation = 12", "shape = [20, 20]".into()),
        (
            "name = \"nsr_es\"\npopulation = 12\ncenters = 2",
            "neighbours = 5".into(),
        ),
    ] {
        let text = config("name = \"arm\"\ndirection = \"minimize\"", "", strategy, &archive, 6);
        assert_equal_archives(&format!("{text}[start]\narchive = \"{}\"\n", arg(&old)));
    }
}

#[cfg(feature = "mujoco")]
#[test]
fn candidates_that_are_evaluated_several_times() {
    let task = format!("{HOPPER}\nrepeats = 3");
    assert_equal_archives(&config(
        &task,
        SMALL,
        "name = \"map_elites\"\nbatch = 23",
        "shape = [20]",
        5,
    ));
    let normalized = "name = \"openai_es\"\npopulation = 14\nnormalize_observations = true\nobservation_share = 0.3\nepisode_cap = \"adaptive\"";
    assert_equal_archives(&config(&task, SMALL, normalized, "shape = [20]", 5));
}

#[test]
fn map_elites_on_the_hard_maze() {
    let strategy = "name = \"map_elites\"\nbatch = 101\niso_sigma = 0.1";
    assert_equal_archives(&config("name = \"hard_maze\"", "", strategy, "shape = [20, 20]", 6));
}

#[test]
fn deep_ga_on_arm() {
    let strategy = "name = \"deep_ga\"\npopulation = 150\nparents = 7\nsigma = 0.05";
    assert_equal_archives(&config("name = \"arm\"", "", strategy, "shape = [20, 20]", 10));
}

#[test]
fn deep_ga_on_the_hard_maze() {
    let strategy = "name = \"deep_ga\"\npopulation = 61\nparents = 5\nsigma = 0.1";
    assert_equal_archives(&config("name = \"hard_maze\"", "", strategy, "shape = [20, 20]", 8));
}

/// With the original's kind of noise, and with no room for decoded parents.
#[test]
fn deep_ga_on_the_hard_maze_with_a_noise_table_and_no_cache() {
    let strategy = "name = \"deep_ga\"\npopulation = 47\nparents = 5\nsigma = 0.1\nnoise = \"table\"\n\
                    noise_table = 20_000\ncache_mb = 0";
    assert_equal_archives(&config("name = \"hard_maze\"", "", strategy, "shape = [20, 20]", 8));
}

#[test]
fn openai_es_on_a_sphere_that_is_longer_than_a_slice() {
    let strategy = "name = \"openai_es\"\npopulation = 14\ncenter_episodes = 3\noptimizer = \"sgd\"";
    assert_equal_archives(&config(
        "name = \"sphere\"\ndim = 10001",
        "",
        strategy,
        "shape = [50, 50]",
        8,
    ));
}

#[test]
fn openai_es_on_arm() {
    let strategy = "name = \"openai_es\"\npopulation = 50\nsigma = 0.1\nlearning_rate = 0.05";
    assert_equal_archives(&config(
        "name = \"arm\"\njoints = 7",
        "",
        strategy,
        "shape = [50, 50]",
        15,
    ));
}

#[test]
fn openai_es_on_the_hard_maze_with_normalized_observations() {
    let strategy = "name = \"openai_es\"\npopulation = 30\nnormalize_observations = true\nobservation_share = 0.3\n\
                    common_random_numbers = true";
    assert_equal_archives(&config("name = \"hard_maze\"", "", strategy, "shape = [20, 20]", 6));
}

/// A covariance of 301 genes is decomposed in pieces.
#[test]
fn cma_es_on_arm() {
    for (joints, own) in [(33, "decompositions = 20.0"), (301, "population = 70\nactive = false")] {
        let strategy = format!("name = \"cma_es\"\nsigma = 0.1\n{own}");
        let task = format!("name = \"arm\"\njoints = {joints}");
        assert_equal_archives(&config(&task, "", &strategy, "shape = [40, 30]", 12));
    }
}

/// Several searches one after another, in a box; then a run that its strategy ends.
#[test]
fn searches_that_restart_on_arm() {
    for (strategy, own) in [
        ("cma_es", "restarts = \"bipop\""),
        ("sep_cma_es", "restarts = \"ipop\""),
    ] {
        let strategy = format!("name = \"{strategy}\"\nsigma = 0.2\ntol_x = 1e-3\n{own}");
        let text = config("name = \"arm\"\njoints = 3", "", &strategy, "shape = [40, 30]", 120)
            .replace("checkpoint_generations = 3", "checkpoint_generations = 50");
        let folder = assert_equal_archives(&text);
        let restarts = last_of(folder.path(), "restart");
        assert!(restarts >= 2.0, "{strategy}: {restarts} restarts");
        let ends = text
            .replace(own, "restarts = \"none\"")
            .replace("generations = 120", "generations = 100000");
        let folder = assert_equal_archives(&ends);
        assert!(last_of(folder.path(), "stop") > 0.0 && last_of(folder.path(), "generation") < 1000.0);
        let (ranks, threads) = LAYOUTS[1];
        let log = fs_log(&folder.path().join(format!("{ranks}x{threads}")));
        assert!(log.contains("\"ended\":\"the search has nothing left to find"));
    }
}

/// Searches that are ordered in every way, that begin anew at elites of other ranks, and with as many parents as the archive took.
#[test]
fn searches_of_cma_me_and_cma_mae() {
    let rankers = "rankers = [\"two_stage_improvement\", \"random_direction\", \"two_stage_fitness\"]";
    let arm = "name = \"arm\"\njoints = 5";
    let sphere = "name = \"sphere\"\ndim = 700";
    for (task, strategy, archive) in [
        (
            arm,
            format!("name = \"cma_me\"\nemitters = 4\nbatch = 7\nsigma = 0.1\nrestart_every = 4\n{rankers}"),
            "shape = [20, 20]",
        ),
        (
            arm,
            "name = \"cma_mae\"\nemitters = 3\nbatch = 9\nselection = \"filter\"\nrestart = \"no_improvement\"".into(),
            "shape = [30, 30]\nlearning_rate = 0.2\nthreshold_min = -0.2\nadd_mode = \"single\"",
        ),
        // Of more than one slice, so that ranks have parts of it.
        (
            sphere,
            "name = \"cma_mae\"\nemitters = 2\nbatch = 5\noptimizer = \"sep_cma_es\"\nrestart_every = 3".into(),
            "kind = \"cvt\"\ncells = 50\nsamples = 1000\nlearning_rate = 0.01",
        ),
        (
            sphere,
            "name = \"cma_me\"\nemitters = 3\nbatch = 6\noptimizer = \"openai_es\"\nrestart_every = 3".into(),
            "shape = [20, 20]\nadd_mode = \"single\"",
        ),
        // Whose noise is shared.
        (
            "name = \"sphere\"\ndim = 44000",
            "name = \"cma_me\"\nemitters = 2\nbatch = 6\noptimizer = \"pgpe\"\nrestart_every = 3".into(),
            "shape = [20, 20]",
        ),
        (
            arm,
            "name = \"cma_me\"\nemitters = 3\nbatch = 4\noptimizer = \"lm_ma_es\"\nselection = \"filter\"\nrestart_every = 4".into(),
            "shape = [20, 20]",
        ),
        (
            arm,
            "name = \"cma_me\"\nemitters = 3\nbatch = 6\noptimizer = \"xnes\"\nrestart_every = 3".into(),
            "shape = [20, 20]",
        ),
    ] {
        let folder = assert_equal_archives(&config(task, "", &strategy, archive, 11));
        let restarts = last_of(folder.path(), "restarts");
        assert!(restarts >= 2.0, "{strategy}: {restarts} restarts");
    }
}

/// Points and branches in two phases of a generation, which ranks share differently.
#[test]
fn branches_along_gradients() {
    let sphere = "name = \"sphere\"\ndim = 40";
    let arm = "name = \"arm\"\njoints = 9\nangles = \"radians\"";
    for (task, strategy, archive) in [
        (
            sphere,
            "name = \"cma_mega\"\nemitters = 4\nbatch = 8\nsigma = 2.0\nrestart_every = 4\nrestart = \"basic\"",
            "",
        ),
        (
            arm,
            "name = \"cma_maega\"\nemitters = 3\nbatch = 9\noptimizer = \"adam\"\nlearning_rate = 0.05\nrestart = \"no_improvement\"\n\
             rankers = [\"improvement\", \"random_direction\"]",
            "learning_rate = 0.2\nthreshold_min = 0.0",
        ),
        (
            sphere,
            "name = \"omg_mega\"\nelites = 31\niso_sigma = 0.1\nsigma = 2.0",
            "",
        ),
    ] {
        assert_equal_archives(&config(task, "", strategy, &format!("shape = [20, 20]\n{archive}"), 9));
    }
}

/// Emitters of every kind side by side, whose rows lie among one another's, of which a bandit lets some take part; one of them learns from all episodes.
#[test]
fn emitters_of_several_kinds_with_a_bandit() {
    let learner = "pg_steps = 3\ncritic_steps = 9\nminibatch = 10\ncritic_hidden = [8]\nreplay = 900";
    let others = "[[strategy.emitters]]\nkind = \"iso_line\"\nbatch = 13\n[[strategy.emitters]]\nkind = \"polynomial\"\nbatch = 7\n\
                  polynomial_bounds = [-3, 3]\n[[strategy.emitters]]\nkind = \"evolution_strategy\"\ncount = 2\nbatch = 6\nrestart_every = 3";
    let emitters = |kind: &str| format!("[[strategy.emitters]]\nkind = \"{kind}\"\nbatch = 5\n{learner}\n{others}");
    let maze = "name = \"hard_maze\"\nepisode_length = 40\nreward = \"closeness\"";
    for (kind, own) in [
        ("pga", "active = 3\nreselect = \"all\""),
        ("dcg", "actor_rollouts = 4"),
        ("dcrl", "active = 2\nzeta = 1.0"),
    ] {
        // Keys of an emitter stand in its table, those of the strategy before all tables.
        let (strategy, emitter) = if own.contains("active") { (own, "") } else { ("", own) };
        let tables = emitters(kind).replacen(learner, &format!("{learner}\n{emitter}"), 1);
        let strategy = format!("name = \"multi_emitter\"\ninitial = 19\n{strategy}\n{tables}");
        assert_equal_archives(&config(maze, "hidden = [6]", &strategy, "shape = [20, 20]", 9));
    }
}

/// The last value of a column of the history, of the first layout.
fn last_of(folder: &std::path::Path, column: &str) -> f64 {
    let (ranks, threads) = LAYOUTS[0];
    let csv = std::fs::read_to_string(folder.join(format!("{ranks}x{threads}")).join("history.csv")).unwrap();
    let [first, last] =
        [csv.lines().next(), csv.lines().last()].map(|line| line.unwrap().split(',').collect::<Vec<_>>());
    let at = first.iter().position(|name| *name == column).unwrap();
    last[at].parse().unwrap()
}

#[test]
fn sep_cma_es_on_a_sphere_of_many_slices() {
    let strategy = "name = \"sep_cma_es\"\npopulation = 13";
    let task = "name = \"sphere\"\ndim = 40001";
    assert_equal_archives(&config(task, "", strategy, "shape = [50, 50]", 7));
}

/// Those of many genes and members share the sums of their noise.
#[test]
fn optimizers_alone_whose_noise_is_shared_and_in_a_box() {
    let wide = "name = \"sphere\"\ndim = 40001";
    let arm = "name = \"arm\"\njoints = 33";
    for (task, strategy) in [
        (wide, "name = \"snes\"\npopulation = 13"),
        (wide, "name = \"lm_ma_es\"\npopulation = 9"),
        (wide, "name = \"pgpe\"\npopulation = 12\nranking = \"raw\""),
        (wide, "name = \"ars\"\npopulation = 12\ndirections_used = 4"),
        (arm, "name = \"xnes\"\nsigma = 0.1\ntol_x = 0.5\nrestarts = \"ipop\""),
        (arm, "name = \"pgpe\"\ntol_x = 0.99\nrestarts = \"bipop\""),
    ] {
        assert_equal_archives(&config(task, "", strategy, "shape = [50, 50]", 9));
    }
}

/// Novelty is measured in shares of the rows; beyond 256 members through a tree.
#[test]
fn ga_ns_on_the_hard_maze() {
    let strategy = "name = \"ga_ns\"\npopulation = 121\nparents = 5\nsigma = 0.1\nelites = 2";
    for archive in [
        "probability = 0.5",
        "admission = \"novelty\"\nthreshold = 3.0\nneighbours = 4\nnormalize = false",
    ] {
        assert_equal_archives(&config(
            "name = \"hard_maze\"\nepisode_length = 100",
            "",
            strategy,
            archive,
            8,
        ));
    }
}

#[test]
fn strategies_of_several_centers_on_the_hard_maze() {
    for name in ["ns_es", "nsr_es", "nsra_es"] {
        let strategy = format!(
            "name = \"{name}\"\npopulation = 30\nsigma = 0.1\nlearning_rate = 0.05\ncenters = 3\ncenter_episodes = 2"
        );
        assert_equal_archives(&config("name = \"hard_maze\"", "", &strategy, "neighbours = 10", 7));
    }
}

/// Local competition is measured in shares of the rows, too.
#[test]
fn nslc_on_the_hard_maze() {
    let strategy = "name = \"nslc\"\npopulation = 91\nparents = 30\nsigma = 0.1";
    assert_equal_archives(&config(
        "name = \"hard_maze\"\nepisode_length = 100",
        "",
        strategy,
        "probability = 0.5\nneighbours = 9",
        8,
    ));
}

/// Searches that are ordered by novelty, and begin anew at members of other ranks.
#[test]
fn searches_for_novelty_on_arm() {
    let both = "rankers = [\"novelty\", \"novelty_local_competition\"]";
    let search = format!("batch = 9\nsigma = 0.1\nrestart_every = 4\n{both}");
    for strategy in [
        format!("name = \"cma_me\"\nemitters = 4\n{search}"),
        format!(
            "name = \"multi_emitter\"\nactive = 2\n[[strategy.emitters]]\nkind = \"evolution_strategy\"\ncount = 2\n{search}\n\
             [[strategy.emitters]]\nkind = \"iso_line\"\nbatch = 12"
        ),
    ] {
        let archive = "admission = \"novelty\"\nthreshold = 0.02\nneighbours = 5";
        let folder = assert_equal_archives(&config("name = \"arm\"\njoints = 5", "", &strategy, archive, 11));
        let restarts = last_of(folder.path(), "restarts");
        assert!(restarts >= 2.0, "{strategy}: {restarts} restarts");
    }
}

/// Searches along novelty and along fitness, which begin at elites of other ranks, in cells of both kinds.
#[test]
fn me_es_on_the_hard_maze_and_on_a_sphere_that_is_longer_than_a_slice() {
    for (task, archive) in [
        ("name = \"hard_maze\"\nepisode_length = 100", "shape = [20, 20]"),
        (
            "name = \"sphere\"\ndim = 10001",
            "kind = \"cvt\"\ncells = 300\nsamples = 3000",
        ),
    ] {
        let strategy = "name = \"me_es\"\npopulation = 14\nsigma = 0.1\nlearning_rate = 0.05\nsteps = 2\ninitial = 5\nneighbours = 3";
        assert_equal_archives(&config(task, "", strategy, archive, 11));
    }
}

/// Other strategies may have an archive without cells, too.
#[test]
fn deep_ga_in_an_unstructured_archive() {
    let strategy = "name = \"deep_ga\"\npopulation = 100\nparents = 7\nsigma = 0.05";
    let archive = "kind = \"unstructured\"\nnormalize = true\nprobability = 0.7\ncapacity = 500";
    assert_equal_archives(&config("name = \"arm\"", "", strategy, archive, 10));
}

/// The learner is on one rank, and policies climb on all of them.
#[test]
fn policy_gradients_on_the_hard_maze() {
    let shares = "batch = 23\ninitial = 31\npg_steps = 5\ncritic_steps = 30\nminibatch = 16\ncritic_hidden = [20, 12]\n\
                  replay = 2500";
    for own in [
        "name = \"pga_me\"",
        "name = \"dcg_me\"\nactor_hidden = [18]\nactor_rollouts = 7",
        "name = \"dcrl_me\"",
        "name = \"dcrl_me\"\noverlap = true",
    ] {
        assert_equal_archives(&config(
            "name = \"hard_maze\"\nepisode_length = 60\nreward = \"closeness\"",
            "hidden = [11, 5]",
            &format!("{own}\n{shares}"),
            "shape = [20, 20]",
            5,
        ));
    }
}

/// An episode is 1.1 MB here, and four are as much as crosses the wire at a time.
#[test]
fn policy_gradients_from_episodes_that_need_several_messages() {
    let strategy = "name = \"pga_me\"\nbatch = 11\npg_steps = 3\ncritic_steps = 10\ncritic_hidden = [10]\nreplay = 250000\n\
                    replay_in_checkpoint = false";
    assert_equal_archives(&config(
        "name = \"hard_maze\"\nepisode_length = 20000",
        "hidden = [5]",
        strategy,
        "shape = [20, 20]",
        3,
    ));
}

/// Episodes that end early.
#[test]
#[cfg(feature = "mujoco")]
fn policy_gradients_on_a_robot_that_falls() {
    let strategy =
        "name = \"dcrl_me\"\nbatch = 30\npg_steps = 4\ncritic_steps = 40\nminibatch = 16\ncritic_hidden = [16]";
    assert_equal_archives(&config(
        &format!("{HOPPER}\npositive_reward = true"),
        "hidden = [8, 8]\nactivation = \"relu\"",
        strategy,
        "shape = [40]",
        4,
    ));
}

/// Frostbite from pixels: lineages of a million genes, validation and tests, and memory as what novelty is measured by.
#[test]
#[cfg(feature = "atari")]
fn deep_ga_and_novelty_search_on_frostbite_from_pixels() {
    let task = "name = \"atari/frostbite\"\nmax_steps = 25\ntest_steps = 30\nsticky_actions = 0.25";
    let deep_ga = "name = \"deep_ga\"\npopulation = 8\nparents = 3\nsigma = 0.01\nvalidation_candidates = 2\n\
                   validation_episodes = 2\ntest_episodes = 3";
    let ga_ns = "name = \"ga_ns\"\npopulation = 7\nparents = 3\nsigma = 0.01";
    let ram = "descriptor = \"ram\"\nram_samples = 2\nram_interval = 10";
    let small = "network = \"small\"";
    let unstructured = "kind = \"unstructured\"\nneighbours = 3\nprobability = 0.3";
    assert_equal_archives(&config(task, small, deep_ga, "shape = [6, 6]", 3));
    assert_equal_archives(&config(&format!("{task}\n{ram}"), small, ga_ns, unstructured, 3));
}

#[test]
fn ranks_without_any_candidate_take_part() {
    for strategy in [
        "name = \"map_elites\"\nbatch = 2\niso_sigma = 0.1",
        "name = \"deep_ga\"\npopulation = 2\nparents = 1\nsigma = 0.1",
        "name = \"openai_es\"\npopulation = 2\nsigma = 0.1",
        "name = \"cma_es\"\npopulation = 2",
        "name = \"sep_cma_es\"\npopulation = 2",
        "name = \"lm_ma_es\"\npopulation = 2",
        "name = \"snes\"\npopulation = 2",
        "name = \"xnes\"\npopulation = 2",
        "name = \"pgpe\"\npopulation = 2",
        "name = \"ars\"\npopulation = 2",
        "name = \"dcrl_me\"\nbatch = 2\npg_steps = 2\ncritic_steps = 3\npg_share = 0.5\nactor_share = 0.5",
        "name = \"ga_ns\"\npopulation = 2\nparents = 1\nsigma = 0.1",
        "name = \"nslc\"\npopulation = 2\nparents = 1\nsigma = 0.1",
        "name = \"nsr_es\"\npopulation = 2\nsigma = 0.1\ncenters = 1",
        "name = \"me_es\"\npopulation = 2\nsigma = 0.1\nsteps = 2",
    ] {
        let maze = strategy.contains("dcrl");
        assert_equal_archives(&config(
            if maze {
                "name = \"hard_maze\"\nepisode_length = 20\nreward = \"closeness\""
            } else {
                "name = \"arm\"\njoints = 2"
            },
            if maze { "hidden = [3]" } else { "" },
            strategy,
            if strategy.contains("ns") && !strategy.contains("openai") {
                "probability = 0.5"
            } else {
                "shape = [10, 10]"
            },
            9,
        ));
    }
}

#[test]
#[cfg(feature = "mujoco")]
fn map_elites_on_a_robot_with_random_starts() {
    let strategy = "name = \"map_elites\"\nbatch = 40\niso_sigma = 0.1";
    assert_equal_archives(&config(
        HOPPER,
        SMALL,
        strategy,
        "kind = \"cvt\"\ncells = 64\nsamples = 1000",
        5,
    ));
}

#[test]
#[cfg(feature = "mujoco")]
fn deep_ga_on_a_robot_with_validation_and_test_episodes() {
    let strategy = "name = \"deep_ga\"\npopulation = 30\nparents = 4\nsigma = 0.05\nvalidation_candidates = 3\n\
                    validation_episodes = 5\ntest_episodes = 7\nsigma_schedule = \"linear\"\nsigma_generations = 4";
    assert_equal_archives(&config(HOPPER, SMALL, strategy, "shape = [64]", 5));
}

#[test]
#[cfg(feature = "mujoco")]
fn deep_ga_on_a_robot_with_several_episodes_a_child_and_a_schedule_by_frames() {
    for validation in [0, 2] {
        let strategy = format!(
            "name = \"deep_ga\"\npopulation = 13\nparents = 4\nsigma = 0.05\nepisodes = 3\n\
             validation_candidates = {validation}\nvalidation_episodes = 2\ntest_episodes = 2\n\
             sigma_schedule = \"exponential\"\nsigma_by = \"frames\"\nsigma_frames = 2000"
        );
        assert_equal_archives(&config(HOPPER, SMALL, &strategy, "shape = [64]", 5));
    }
}

#[test]
#[cfg(feature = "mujoco")]
fn openai_es_on_a_robot_with_normalized_observations_and_an_adaptive_cap() {
    for task in [CHEETAH, HOPPER] {
        let strategy = "name = \"openai_es\"\npopulation = 16\nnormalize_observations = true\nobservation_share = 0.2\n\
                        episode_cap = \"adaptive\"\ncap_factor = 1.2";
        let archive = if task == CHEETAH {
            "shape = [10, 10]"
        } else {
            "shape = [20]"
        };
        assert_equal_archives(&config(task, SMALL, strategy, archive, 5));
    }
}

/// The comparison of these tests sees a single changed value, wherever it is.
#[test]
fn a_single_changed_value_is_found() {
    let folder = folder();
    let strategy = "name = \"openai_es\"\npopulation = 10\nsigma = 0.1";
    let text = config("name = \"arm\"", "", strategy, "shape = [10, 10]", 4);
    let (original, copy) = (folder.path().join("original"), folder.path().join("copy"));
    let config = write_config(folder.path(), &text);
    run(1, &["run", arg(&config), "--out", arg(&original)]).succeeded();
    let changes = [
        (
            "archive.h5",
            "elites/genome",
            "d[0, 0] = np.nextafter(d[0, 0], np.float32(2))",
        ),
        ("archive.h5", "elites/fitness", "d[-1] = np.nextafter(d[-1], 2)"),
        ("archive.h5", "elites/parents", "d[0, 1] = 0"),
        (
            "archive.h5",
            "solution/genome",
            "d[0, 3] = np.nextafter(d[0, 3], np.float32(2))",
        ),
        ("archive.h5", "history/population_mean", "d[1] = np.nextafter(d[1], 2)"),
        (
            "checkpoint.h5",
            "state/parameters/second",
            "d[5] = np.nextafter(d[5], np.float32(2))",
        ),
        ("checkpoint.h5", "state/engine/env_steps", "d[0] += 1"),
    ];
    for (file, dataset, change) in changes {
        let _ = std::fs::remove_dir_all(&copy);
        std::fs::create_dir(&copy).unwrap();
        for name in ["archive.h5", "checkpoint.h5", "history.csv"] {
            std::fs::copy(original.join(name), copy.join(name)).unwrap();
        }
        assert_equal_runs(&original, &copy);
        let code = format!("d = f['{dataset}'][...]; {change}; f['{dataset}'][...] = d");
        common::edit_h5(&copy.join(file), &code);
        let found = std::panic::catch_unwind(|| assert_equal_runs(&original, &copy));
        assert!(found.is_err(), "a changed {dataset} is not seen");
    }
}
