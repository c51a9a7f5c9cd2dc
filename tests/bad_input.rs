//! Wrong input is answered by one sentence that names what, where, and what would be accepted, and by exit code 2. Nothing is written,
//! nothing is lost. Here: configurations, arguments, and the folders of runs.

mod common;

use std::fs;

use common::refused::{GOOD, assert_refused, assert_says, contents, finished, tried};
use common::{arg, folder, run, write_config};

/// A bad configuration: GOOD with one text replaced by another, and what the message must say.
type Edit = (&'static str, &'static str, &'static [&'static str]);

const EDITS: &[Edit] = &[
    // Keys and types.
    (
        "[strategy]",
        "[strategie]\na = 1\n[strategy]",
        &["config-given.toml:4", "strategie", "did you mean \"strategy\"?"],
    ),
    (
        "name = \"arm\"",
        "name = \"arm\"\njoint = 5",
        &[":4: task.joint: unknown key", "did you mean \"joints\"?"],
    ),
    (
        "batch = 20",
        "batchsize = 20",
        &[":6: strategy.batchsize: unknown key", "did you mean \"batch\"?"],
    ),
    (
        "shape =",
        "shap =",
        &[":9: archive.shap: unknown key", "did you mean \"shape\"?"],
    ),
    (
        "generations = 3",
        "generation = 3",
        &[":11: budget.generation: unknown key", "did you mean \"generations\"?"],
    ),
    (
        "[budget]",
        "[output]\ncompres = 1\n[budget]",
        &[":11: output.compres: unknown key", "did you mean \"compress\"?"],
    ),
    (
        "seed = 1",
        "seed = 1\nsead = 2",
        &[":2: sead: unknown key", "did you mean \"seed\"?"],
    ),
    ("[task]\nname = \"arm\"", "task = \"arm\"", &[":2: task", "[task]"]),
    (
        "batch = 20",
        "batch = \"many\"",
        &[":6: strategy.batch: expected a non-negative integer", "\"many\""],
    ),
    (
        "batch = 20",
        "batch = 2.5",
        &[":6: strategy.batch: expected a non-negative integer", "2.5"],
    ),
    (
        "batch = 20",
        "batch = -4",
        &[":6: strategy.batch: expected a non-negative integer", "-4"],
    ),
    ("batch = 20", "batch = 0", &[":6: strategy.batch", "from 1 to", "got 0"]),
    ("seed = 1", "seed = -1", &[":1: seed: expected a non-negative integer"]),
    ("seed = 1", "seed = 1.5", &[":1: seed: expected a non-negative integer"]),
    (
        "generations = 3",
        "generations = \"three\"",
        &[":11: budget.generations: expected", "\"three\""],
    ),
    (
        "generations = 3",
        "wall_minutes = -1",
        &[":11: budget.wall_minutes: expected", "at least 0", "-1"],
    ),
    (
        "[budget]",
        "[output]\ncompress = 10\n[budget]",
        &[":11: output.compress: expected", "from 0 to 9"],
    ),
    (
        "[budget]",
        "[output]\ndir = 3\n[budget]",
        &[":11: output.dir: expected a string"],
    ),
    (
        "kind = \"grid\"",
        "kind = 3",
        &[":8: archive.kind: expected a string", "3"],
    ),
    ("name = \"arm\"", "name = 3", &[":3: task.name", "string"]),
    // Names.
    (
        "name = \"arm\"",
        "name = \"arn\"",
        &[
            ":3: task.name: unknown task \"arn\"",
            "did you mean \"arm\"?",
            "hard_maze",
        ],
    ),
    (
        "\"map_elites\"",
        "\"map_elite\"",
        &[":5: strategy.name: unknown", "did you mean \"map_elites\"?", "deep_ga"],
    ),
    (
        "kind = \"grid\"",
        "kind = \"gird\"",
        &[":8: archive.kind: unknown", "did you mean \"grid\"?", "cvt"],
    ),
    ("name = \"arm\"", "", &["task.name", "illume list task"]),
    (
        "name = \"map_elites\"\n",
        "",
        &["strategy.name", "illume list strategy"],
    ),
    // Values that do not fit one another.
    ("[10, 10]", "[10]", &[":9: archive.shape", "2 axes"]),
    ("[10, 10]", "[10, 10, 10]", &[":9: archive.shape", "2 axes"]),
    // Cells of several elites, and those who live on them.
    ("[10, 10]", "[10, 10]\ndepth = 0", &[":10: archive.depth", "from 1"]),
    (
        "[10, 10]",
        "[10, 10]\nkeep = \"worst\"",
        &[":10: archive.keep", "\"recent\"", "\"worst\""],
    ),
    (
        "[10, 10]",
        "[10, 10]\nselection = \"worst\"",
        &[":10: archive.selection", "\"proportional\""],
    ),
    (
        "[10, 10]",
        "[10, 10]\ndepth = 3\nkeep = \"low_spread\"",
        &[":10: archive.depth", "expected 1", "\"low_spread\""],
    ),
    (
        "[10, 10]",
        "[10, 10]\ndepth = 3\nkeep = \"adaptive\"",
        &["archive.keep", "expected \"best\"", "\"adaptive_sampling\""],
    ),
    (
        "[10, 10]",
        "[10, 10]\nkeep = \"adaptive\"\nselection = \"uniform\"",
        &[":11: archive.selection", "expected \"best\"", "contenders"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"adaptive_sampling\"\nbatch = 20",
        &["archive.depth", "\"adaptive_sampling\"", "keep = \"adaptive\""],
    ),
    (
        "[10, 10]",
        "[10, 10]\ndepth = 3\nlearning_rate = 0.5",
        &[":11: archive.learning_rate", "several elites"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"extract_me\"\nbatch = 20",
        &["archive.depth", "\"extract_me\"", "depth = 8"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"me_low_spread\"\nbatch = 40",
        &["archive.depth", "\"me_low_spread\"", "keep = \"low_spread\""],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"me_sampling\"\nbatch = 20",
        &[":6: strategy.batch", "at least 32", "20"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"extract_me\"\nweights = \"heavy\"",
        &[":6: strategy.weights", "\"exponential\"", "\"heavy\""],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"multi_emitter\"\nemitters = [{ kind = \"resample\" }]",
        &["archive.depth", "\"resample\"", "at least 2"],
    ),
    (
        "\"map_elites\"\nbatch = 20\n[archive]",
        "\"archive_sampling\"\nbatch = 200\n[archive]\ndepth = 2",
        &["strategy.batch", "at least 202", "200"],
    ),
    (
        "\"map_elites\"\nbatch = 20\n[archive]",
        "\"me_es\"\n[archive]\ndepth = 2",
        &["archive.depth", "me_es", "depth = 1"],
    ),
    // Noise.
    (
        "name = \"arm\"",
        "name = \"arm\"\nfitness_noise = -0.1",
        &[":4: task.fitness_noise", "at least 0"],
    ),
    (
        "name = \"arm\"",
        "name = \"arm\"\ngene_noise = 0.1\nnoisy_gene = 20",
        &[":5: task.noisy_gene", "below 20", "got 20"],
    ),
    ("[10, 10]", "[10, 0]", &[":9: archive.shape", "from 1 to"]),
    (
        "[10, 10]",
        "[10, 10]\nlearning_rate = 1.5",
        &[":10: archive.learning_rate", "from 0 to 1"],
    ),
    (
        "[10, 10]",
        "[10, 10]\nthreshold_min = -inf",
        &[":10: archive.threshold_min", "finite"],
    ),
    (
        "kind = \"grid\"\nshape = [10, 10]",
        "kind = \"unstructured\"\nlearning_rate = 0.1",
        &["archive.", "unstructured"],
    ),
    ("[10, 10]", "[10, -3]", &[":9: archive.shape", "non-negative"]),
    ("[10, 10]", "[1000000, 1000000]", &[":9: archive.shape", "2^31"]),
    (
        "kind = \"grid\"\nshape = [10, 10]",
        "kind = \"cvt\"\ncells = 100\nsamples = 99",
        &[":10: archive.samples", "100"],
    ),
    (
        "name = \"arm\"",
        "name = \"arm\"\njoints = 0",
        &[":4: task.joints", "from 1 to"],
    ),
    (
        "name = \"arm\"",
        "name = \"arm\"\njoints = -20",
        &[":4: task.joints", "non-negative"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"openai_es\"\npopulation = 7",
        &[":6: strategy.population", "even", "7"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"openai_es\"\nsigma = 0",
        &[":6: strategy.sigma", "above 0"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"openai_es\"\noptimizer = \"adan\"",
        &[":6: strategy.optimizer", "\"adam\"", "\"sgd\""],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_es\"\nrestarts = \"foo\"",
        &[":6: strategy.restarts", "\"none\"", "\"ipop\"", "\"bipop\"", "\"foo\""],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"sep_cma_es\"\nrestarts = \"ipop\"\nmax_restarts = 0",
        &[":7: strategy.max_restarts", "from 1 to 24", "got 0"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_es\"\ntol_fun = -1e-3",
        &[":6: strategy.tol_fun", "at least 0"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"sep_cma_es\"\ntol_x = nan",
        &[":6: strategy.tol_x", "at least 0"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_es\"\nrestart = \"ipop\"",
        &[":6: strategy.restart: unknown key", "did you mean \"restarts\"?"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"snes\"\npopulation = 1",
        &[":6: strategy.population", "at least 2"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"snes\"\nsigma_rate = -0.1",
        &[":6: strategy.sigma_rate", "at least 0"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"snes\"\nmean_rate = 0",
        &[":6: strategy.mean_rate", "above 0"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"xnes\"\npopulation = 1",
        &[":6: strategy.population", "at least 2"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"xnes\"\nsigma = nan",
        &[":6: strategy.sigma", "above 0"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"xnes\"\ncentre = \"zeros\"",
        &[":6: strategy.centre: unknown key", "did you mean \"center\"?"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"lm_ma_es\"\npopulation = 21",
        &[":6: strategy.population", "as many members as genes", "got 21"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"lm_ma_es\"\nvectors = -1",
        &[":6: strategy.vectors", "non-negative integer"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"lm_ma_es\"\nsigma = 0",
        &[":6: strategy.sigma", "above 0"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"pgpe\"\npopulation = 7",
        &[":6: strategy.population", "even", "7"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"pgpe\"\nranking = \"nes\"",
        &[":6: strategy.ranking", "\"centered\"", "\"raw\""],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"pgpe\"\nmomentum = 1",
        &[":6: strategy.momentum", "from 0 to 0.999999"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"ars\"\npopulation = 9",
        &[":6: strategy.population", "even", "9"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"ars\"\ndirections_used = 9",
        &[":6: strategy.directions_used", "at most the 8 directions", "got 9"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"ars\"\nlearning_rate = 0",
        &[":6: strategy.learning_rate", "above 0"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_me\"\noptimizer = \"snes\"\nselection = \"filter\"",
        &[":7: strategy.selection", "\"mu\"", "snes"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_me\"\noptimizer = \"pgpe\"\nbatch = 7",
        &[":7: strategy.batch", "even", "7"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_me\"\noptimizer = \"adam\"",
        &[":6: strategy.optimizer", "\"sep_cma_es\"", "\"openai_es\"", "\"adam\""],
    ),
    (
        "batch = 20",
        "iso_sigma = nan",
        &[":6: strategy.iso_sigma", "at least 0"],
    ),
    (
        "batch = 20",
        "iso_sigma = inf",
        &[":6: strategy.iso_sigma", "at least 0"],
    ),
    (
        "batch = 20",
        "polynomial_bounds = [1, 0]",
        &[":6: strategy.polynomial_bounds", "lower < upper", "[1.0, 0.0]"],
    ),
    (
        "batch = 20",
        "polynomial_bounds = [1, 1.00000000001]",
        &[":6: strategy.polynomial_bounds", "lower < upper", "single precision"],
    ),
    (
        "batch = 20",
        "polynomial_bounds = [-inf, inf]",
        &[":6: strategy.polynomial_bounds", "lower < upper", "[-inf, inf]"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"openai_es\"\nnormalize_observations = true",
        &[":6: strategy.normalize_observations", "no observations"],
    ),
    (
        "\"arm\"\n[strategy]\nname = \"map_elites\"\nbatch = 20",
        "\"hard_maze\"\n[strategy]\nname = \"openai_es\"\nnormalize_observations = true\nobservation_share = 0.0",
        &[":7: strategy.observation_share", "above 0", "0.0"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"deep_ga\"\nsigma_by = \"evaluations\"",
        &[":6: strategy.sigma_by", "\"generations\"", "\"frames\""],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"deep_ga\"\nsigma_frames = 0",
        &[":6: strategy.sigma_frames", "from 1"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_me\"\nrankers = [\"improvement\", \"novel\"]",
        &[":6: strategy.rankers", "\"novel\"", "two_stage_random_direction"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_me\"\nrankers = []",
        &[":6: strategy.rankers", "at least one"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_me\"\nbatch = 1",
        &[":6: strategy.batch", "from 2"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_me\"\nemitters = 0",
        &[":6: strategy.emitters", "from 1"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_me\"\nsigma = -0.1",
        &[":6: strategy.sigma", "above 0"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_me\"\nrestart = \"no_improvement\"\nrestart_every = 10",
        &[":7: strategy.restart_every", "one of both"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_me\"\noptimizer = \"sep_cma_es\"\nupdate = \"pyribs\"",
        &[":7: strategy.update", "\"tutorial\"", "sep_cma_es"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_me\"\nselection = \"all\"",
        &[":6: strategy.selection", "\"filter\""],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_me\"\nemitter = 3",
        &[":6: strategy.emitter", "did you mean \"emitters\""],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_mega\"\nbatch = 20",
        &[":5: strategy.name", "cma_mega", "\"arm\"", "angles = \"radians\""],
    ),
    (
        "\"arm\"\n[strategy]\nname = \"map_elites\"\nbatch = 20",
        "\"hard_maze\"\n[strategy]\nname = \"omg_mega\"",
        &[":5: strategy.name", "omg_mega", "knows none", "sphere"],
    ),
    (
        "\"arm\"\n[strategy]\nname = \"map_elites\"\nbatch = 20",
        "\"sphere\"\n[strategy]\nname = \"cma_mega\"\nbatch = 2",
        &[":6: strategy.batch", "from 3"],
    ),
    (
        "\"arm\"\n[strategy]\nname = \"map_elites\"\nbatch = 20",
        "\"sphere\"\n[strategy]\nname = \"cma_mega\"\noptimizer = \"sgd\"",
        &[":6: strategy.optimizer", "\"ascent\"", "\"adam\""],
    ),
    (
        "\"arm\"\n[strategy]\nname = \"map_elites\"\nbatch = 20",
        "\"sphere\"\n[strategy]\nname = \"cma_mega\"\nlearning_rate = 0",
        &[":6: strategy.learning_rate", "above 0"],
    ),
    (
        "\"arm\"\n[strategy]\nname = \"map_elites\"\nbatch = 20",
        "\"sphere\"\n[strategy]\nname = \"cma_maega\"\nemitters = 2",
        &["archive.learning_rate", "\"cma_maega\"", "below 1"],
    ),
    (
        "\"arm\"\n[strategy]\nname = \"map_elites\"\nbatch = 20",
        "\"sphere\"\n[strategy]\nname = \"omg_mega\"\nelites = 0",
        &[":6: strategy.elites", "from 1"],
    ),
    (
        "\"arm\"\n[strategy]\nname = \"map_elites\"\nbatch = 20",
        "\"sphere\"\n[strategy]\nname = \"omg_mega\"\nsigma_g = 1.0",
        &[":6: strategy.sigma_g", "unknown key"],
    ),
    (
        "\"arm\"\n[strategy]\nname = \"map_elites\"\nbatch = 20",
        "\"sphere\"\n[strategy]\nname = \"cma_mega\"\nemitters = 1000000",
        &[":6: strategy.emitters", "65536"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"multi_emitter\"",
        &[":4: strategy.emitters", "[[strategy.emitters]]", "none"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"multi_emitter\"\nemitters = 3",
        &[":6: strategy.emitters", "[[strategy.emitters]]", "got 3"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"multi_emitter\"\nemitters = [{ kind = \"iso\" }]",
        &["strategy.emitters[0].kind", "\"iso\"", "iso_line"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"multi_emitter\"\nemitters = [{ batch = 3 }]",
        &["strategy.emitters[0].kind", "got none", "evolution_strategy"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"multi_emitter\"\nemitters = [{ kind = \"iso_line\" }, { kind = \"iso_line\", batch = 0 }]",
        &["strategy.emitters[1].batch", "from 1"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"multi_emitter\"\nactive = 3\nemitters = [{ kind = \"iso_line\" }]",
        &[":6: strategy.active", "at most 1"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"multi_emitter\"\nbatch = 3\nemitters = [{ kind = \"iso_line\" }]",
        &[":6: strategy.batch", "unknown key"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"multi_emitter\"\nemitters = [{ kind = \"pga\" }]",
        &["strategy.emitters[0].kind", "acts through no perceptron"],
    ),
    (
        "\"arm\"\n[strategy]\nname = \"map_elites\"\nbatch = 20",
        "\"hard_maze\"\nreward = \"closeness\"\n[strategy]\nname = \"multi_emitter\"\nemitters = [{ kind = \"pga\" }, { kind = \"dcrl\" }]",
        &[":7: strategy.emitters", "one emitter at most"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"multi_emitter\"\nemitters = [{ kind = \"evolution_strategy\", rankers = [\"novel\"] }]",
        &["strategy.emitters[0].rankers", "\"novel\""],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"multi_emitter\"\nreselect = \"never\"\nemitters = [{ kind = \"iso_line\" }]",
        &[":6: strategy.reselect", "\"terminated\""],
    ),
    (
        "kind = \"grid\"\nshape = [10, 10]",
        "kind = \"dns\"\nneighbours = 0",
        &[":9: archive.neighbours", "from 1"],
    ),
    (
        "kind = \"grid\"\nshape = [10, 10]",
        "kind = \"dns\"\nshape = [3, 3]",
        &[":9: archive.shape", "unknown key"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"cma_mae\"\nbatch = 20",
        &["archive.learning_rate", "\"cma_mae\"", "below 1"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"deep_ga\"\nepisodes = 0",
        &[":6: strategy.episodes", "from 1"],
    ),
    (
        "\"map_elites\"\nbatch = 20",
        "\"deep_ga\"\npopulation = 10\nparents = 11",
        &[":7: strategy.parents", "at most", "10", "11"],
    ),
    (
        "\"arm\"\n[strategy]\nname = \"map_elites\"",
        "\"sphere\"\n[strategy]\nname = \"map_elites\"\npolynomial_share = 0.5",
        &[":6: strategy.polynomial_share", "polynomial_bounds"],
    ),
    (
        "[strategy]",
        "[policy]\nhidden = [8]\n[strategy]",
        &[":5: policy.hidden", "no network"],
    ),
    (
        "\"arm\"",
        "\"hard_maze\"\n[policy]\nhidden = [8, 0]",
        &[":5: policy.hidden", "0"],
    ),
    (
        "\"arm\"",
        "\"hard_maze\"\n[policy]\nactivation = \"sine\"",
        &[":5: policy.activation", "\"tanh\"", "\"relu\""],
    ),
    (
        "\"arm\"",
        "\"hard_maze\"\nreward = \"speed\"",
        &[":4: task.reward", "\"distance\"", "\"none\""],
    ),
    // Not TOML.
    ("[task]", "[task", &[":2: not valid TOML"]),
    (
        "batch = 20",
        "batch = 20\nbatch = 30",
        &[":7: not valid TOML", "duplicate key"],
    ),
    ("\"arm\"", "\"arm", &[":3: not valid TOML"]),
];

#[test]
fn a_wrong_configuration_is_refused_in_one_sentence_and_writes_nothing() {
    let folder = folder();
    let out = folder.path().join("out");
    // All of them, before the first fault is complained about.
    let mut faults = Vec::new();
    for (i, (from, to, parts)) in EDITS.iter().enumerate() {
        assert!(GOOD.contains(from), "{from}");
        let config = write_config(folder.path(), &GOOD.replacen(from, to, 1));
        let ended = tried(&config, &[]);
        let judged = std::panic::catch_unwind(|| assert_refused(&ended, parts));
        if judged.is_err() {
            faults.push(format!("{to}\n{ended}"));
        }
        if i % 20 == 0 {
            let program = run(1, &["run", arg(&config), "--out", arg(&out)]);
            assert_refused(&program, parts);
            assert_eq!(program.stderr, ended.stderr);
            assert!(!out.exists(), "{to} has written something");
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn every_problem_of_a_configuration_is_reported_on_a_line_of_its_own() {
    let folder = folder();
    let text = "sead = 1\n[task]\nname = \"arm\"\n[strategy]\n[budget]\ngenerations = -1\n[output]\ncompress = 99\n";
    let config = write_config(folder.path(), text);
    let ended = tried(&config, &[]);
    assert_eq!(ended.stderr, run(1, &["run", arg(&config)]).stderr);
    assert_eq!(ended.code(), Some(2), "{ended}");
    assert_eq!(ended.stderr.lines().count(), 4, "{ended}");
    assert_says(
        &ended.stderr,
        &[
            ":1: sead",
            "strategy.name",
            ":6: budget.generations",
            ":8: output.compress",
        ],
    );

    let text = GOOD
        .replace("batch = 20", "batch = 0\niso_sigma = -1")
        .replace("shape = [10, 10]", "shape = 3");
    let ended = tried(&write_config(folder.path(), &text), &[]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(2), 3), "{ended}");
    assert_says(
        &ended.stderr,
        &[":6: strategy.batch", ":7: strategy.iso_sigma", ":10: archive.shape"],
    );
}

/// A wrong task does not hide what is wrong with the strategy.
#[test]
fn an_unknown_task_and_a_wrong_strategy_are_reported_together() {
    let folder = folder();
    let text = GOOD.replace("\"arm\"", "\"arn\"").replace("batch = 20", "batch = 0");
    let ended = tried(&write_config(folder.path(), &text), &[]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(2), 2), "{ended}");
    assert_says(&ended.stderr, &[":3: task.name", ":6: strategy.batch"]);
}

#[test]
fn an_empty_configuration_asks_for_both_names() {
    let folder = folder();
    let ended = tried(&write_config(folder.path(), ""), &[]);
    assert_eq!((ended.code(), ended.stderr.lines().count()), (Some(2), 2), "{ended}");
    assert_says(&ended.stderr, &["task.name", "strategy.name"]);
}

#[test]
fn a_wrong_override_is_refused_in_one_sentence() {
    let folder = folder();
    let config = write_config(folder.path(), GOOD);
    let out = folder.path().join("out");
    let cases: [(&str, &[&str]); 11] = [
        ("seed", &["--set seed", "key=value"]),
        ("a..c=1", &["--set a..c", "section.key"]),
        ("task.name.c=1", &["--set task.name.c", "name is not a table"]),
        (".x=1", &["--set .x", "section.key"]),
        ("strategy.batch=-1", &["--set strategy.batch", "non-negative", "-1"]),
        ("strategy.batch=", &["--set strategy.batch"]),
        ("strategy.bach=3", &["--set strategy.bach", "did you mean \"batch\"?"]),
        (
            "strategi.batch=3",
            &["illume: --set strategi: unknown key", "did you mean \"strategy\"?"],
        ),
        ("task.name=arn", &["--set task.name", "did you mean \"arm\"?"]),
        ("seed.x=1", &["--set seed.x", "not a table"]),
        ("budget.generations=[", &["--set budget.generations"]),
    ];
    for (set, parts) in cases {
        let ended = tried(&config, &[set]);
        assert_eq!(ended.code(), Some(2), "{set}: {ended}");
        assert_refused(&ended, parts);
    }
    let program = run(1, &["run", arg(&config), "--out", arg(&out), "--set", cases[0].0]);
    assert_refused(&program, cases[0].1);
    assert!(!out.exists(), "it has written something");
}

#[test]
fn a_configuration_that_cannot_be_read_is_named() {
    let folder = folder();
    let missing = folder.path().join("no-such.toml");
    assert_refused(&tried(&missing, &[]), &[arg(&missing), "No such file"]);
    assert_refused(&tried(folder.path(), &[]), &[arg(folder.path()), "directory"]);
    let binary = folder.path().join("binary.toml");
    fs::write(&binary, [0xff, 0xfe, 0x00, 0x80]).unwrap();
    assert_refused(&tried(&binary, &[]), &[arg(&binary), "UTF-8"]);
}

#[test]
#[cfg(feature = "mujoco")]
fn a_missing_model_folder_is_named_with_what_to_do() {
    let folder = folder();
    let config = write_config(
        folder.path(),
        &GOOD.replace("\"arm\"", "\"hopper_uni\"").replace("[10, 10]", "[10]"),
    );
    let out = folder.path().join("out");
    let mut command = common::illume(1, &["run", arg(&config), "--out", arg(&out)]);
    command.env("ILLUME_MJCF_DIR", "/nonexistent");
    assert_refused(
        &common::run_command(command),
        &["/nonexistent", "hopper.xml", "ILLUME_MJCF_DIR"],
    );
    assert!(!out.exists());
}

#[test]
#[cfg(not(feature = "mujoco"))]
fn a_task_that_this_build_lacks_says_which_feature_it_needs() {
    let folder = folder();
    let config = write_config(folder.path(), &GOOD.replace("\"arm\"", "\"hopper_uni\""));
    assert_refused(
        &run(1, &["run", arg(&config)]),
        &[":3: task.name", "feature \"mujoco\""],
    );
}

#[test]
fn an_output_directory_that_holds_something_is_left_as_it_is() {
    let (folder, dir) = finished(GOOD);
    let before = contents(&dir);
    let config = folder.path().join("config-given.toml");
    let ended = run(1, &["run", arg(&config), "--out", arg(&dir), "--set", "seed=2"]);
    assert_refused(&ended, &[arg(&dir), "not empty", "illume resume", "--out"]);
    assert!(contents(&dir) == before, "the old run was touched");
}

/// What cannot fit into any machine is refused by its key, before anything is made of it.
#[test]
fn what_does_not_fit_into_memory_is_refused_before_it_is_made() {
    let folder = folder();
    let maze = "[task]\nname = \"hard_maze\"\nreward = \"closeness\"\n";
    let learning = |key: &str| format!("{maze}[strategy]\nname = \"dcrl_me\"\n{key}\n");
    let arm = |key: &str| format!("[task]\nname = \"arm\"\n[strategy]\nname = {key}\n");
    let cases = [
        (
            arm("\"map_elites\"\n[archive]\nshape = [40000, 50000]"),
            "archive.shape: 2000000000 cells",
        ),
        (
            arm("\"map_elites\"\n[archive]\nkind = \"cvt\"\nsamples = 1073741824\ncells = 16777216"),
            "archive.samples: 1073741824 samples",
        ),
        (
            arm("\"map_elites\"\nbatch = 2147483648"),
            ":5: strategy.batch: 2147483648 candidates",
        ),
        (
            arm("\"map_elites\"\ninitial = 2147483648"),
            ":5: strategy.initial: 2147483648",
        ),
        (
            arm("\"deep_ga\"\npopulation = 2147483648"),
            ":5: strategy.population: 2147483648",
        ),
        (
            arm("\"openai_es\"\npopulation = 1073741824"),
            "strategy.population: 1073741824",
        ),
        (
            arm("\"deep_ga\"\nnoise = \"table\"\nnoise_table = 17179869184"),
            "strategy.noise_table: 17179869184",
        ),
        (
            format!("{maze}[strategy]\nname = \"ga_ns\"\npopulation = 2147483648"),
            "strategy.population: 2147483648",
        ),
        (
            format!("{maze}[strategy]\nname = \"ns_es\"\ncenters = 65536\ncenter_episodes = 1048576"),
            "strategy.center_episodes: 68719476736",
        ),
        (
            learning("replay = 2147483648"),
            "strategy.replay: 2147483648 transitions",
        ),
        (learning("critic_hidden = [65536, 65536]"), "strategy.critic_hidden: 42"),
        (
            learning("minibatch = 1048576\nreplay = 1000\nbatch = 2000000000"),
            "strategy.batch: 2000000000",
        ),
        (
            format!("{maze}[policy]\nhidden = [65536, 65536, 65536, 65536]\n[strategy]\nname = \"deep_ga\""),
            "policy.hidden: genomes of 128",
        ),
    ];
    let out = folder.path().join("out");
    for (text, part) in cases {
        let config = write_config(folder.path(), &text);
        for arguments in [
            &["run", arg(&config), "--out", arg(&out)][..],
            &["run", "--resume", arg(&config), "--out", arg(&out)],
        ] {
            let ended = run(1, arguments);
            assert_refused(
                &ended,
                &[
                    "config-given.toml",
                    part,
                    "GB of memory",
                    "there are",
                    "for this process",
                ],
            );
            assert!(!out.exists(), "{text}");
        }
    }
}

/// Times and counts beyond what a clock or an index can hold mean never.
#[test]
fn numbers_that_no_run_reaches_are_taken_as_they_are() {
    let folder = folder();
    for (i, key) in ["output.log_seconds", "output.checkpoint_minutes", "budget.wall_minutes"]
        .into_iter()
        .enumerate()
    {
        let config = write_config(folder.path(), GOOD);
        let out = folder.path().join(i.to_string());
        let set = format!("{key}=1e300");
        run(1, &["run", arg(&config), "--out", arg(&out), "--set", &set]).succeeded();
    }
}

#[test]
fn what_is_no_runs_is_left_as_it_is_with_resume_too() {
    let folder = folder();
    let config = write_config(folder.path(), GOOD);
    for name in ["notes.txt", "config.toml", "archive.h5"] {
        let dir = folder.path().join(format!("with-{name}"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join(name), "mine").unwrap();
        let before = contents(&dir);
        let ended = run(1, &["run", "--resume", arg(&config), "--out", arg(&dir)]);
        assert_refused(&ended, &[arg(&dir), "not empty", name, "--out"]);
        assert!(contents(&dir) == before);
    }
    let file = folder.path().join("with-notes.txt/notes.txt");
    let ended = run(1, &["run", "--resume", arg(&config), "--out", arg(&file)]);
    assert_refused(&ended, &[arg(&file)]);
    let damaged = folder.path().join("damaged");
    fs::create_dir(&damaged).unwrap();
    fs::write(damaged.join("checkpoint.h5"), "x").unwrap();
    let ended = run(1, &["run", "--resume", arg(&config), "--out", arg(&damaged)]);
    assert_refused(&ended, &[arg(&damaged), "checkpoint.h5"]);
    assert_eq!(fs::read_dir(&damaged).unwrap().count(), 1);
    fs::write(damaged.join("config.toml"), [0xff, 0xfe]).unwrap();
    let ended = run(1, &["resume", arg(&damaged)]);
    assert_refused(&ended, &[arg(&damaged), "config.toml", "UTF-8"]);
}

#[test]
fn an_output_directory_that_cannot_be_made_is_named() {
    let folder = folder();
    let config = write_config(folder.path(), GOOD);
    let below = config.join("run");
    assert_refused(
        &run(1, &["run", arg(&config), "--out", arg(&below)]),
        &[arg(&below), "Not a directory"],
    );
    assert_refused(&run(1, &["run", arg(&config), "--out", arg(&config)]), &[arg(&config)]);
    assert_refused(
        &run(1, &["run", arg(&config), "--out", "/proc/illume"]),
        &["/proc/illume"],
    );
    assert!(fs::read_to_string(&config).unwrap() == GOOD);
}

#[test]
fn what_cannot_be_resumed_is_refused_and_left_as_it_is() {
    let (folder, dir) = finished(GOOD);
    let before = contents(&dir);
    let cases: [(&str, &[&str]); 5] = [
        ("task.joints=3", &["--set task.joints=3", "budget.* and output.*"]),
        ("seed=4", &["--set seed=4", "budget.* and output.*"]),
        ("strategy.batch=4", &["--set strategy.batch=4", "budget.* and output.*"]),
        (
            "budget.generations=many",
            &["--set budget.generations", "non-negative", "many"],
        ),
        ("output.nothing=1", &["--set output.nothing", "unknown key"]),
    ];
    for (set, parts) in cases {
        assert_refused(&run(1, &["resume", arg(&dir), "--set", set]), parts);
        assert!(contents(&dir) == before, "--set {set} has changed the run");
    }
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    assert_refused(
        &run(1, &["resume", arg(&empty)]),
        &[arg(&empty), "checkpoint.h5", "illume run"],
    );
    let none = folder.path().join("none");
    assert_refused(&run(1, &["resume", arg(&none)]), &[arg(&none), "not a run directory"]);
    let file = dir.join("archive.h5");
    assert_refused(&run(1, &["resume", arg(&file)]), &[arg(&file), "not a run directory"]);
}

#[test]
fn wrong_arguments_are_refused() {
    let (folder, dir) = finished(GOOD);
    let missing = folder.path().join("none");
    let empty = folder.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let jpg = folder.path().join("a.jpg");
    let bare = folder.path().join("plot");
    let cases: [(&[&str], &[&str]); 9] = [
        (&["info", arg(&missing)], &[arg(&missing)]),
        (&["eval", arg(&missing)], &[arg(&missing)]),
        (&["plot", arg(&missing)], &[arg(&missing)]),
        (&["info", arg(&empty)], &[arg(&empty), "archive.h5"]),
        (&["plot", arg(&dir), "-o", arg(&jpg)], &[arg(&jpg), ".png", ".svg"]),
        (&["plot", arg(&dir), "-o", arg(&bare)], &[arg(&bare), ".png", ".svg"]),
        (&["plot", arg(&dir), "--axes", "0,2"], &["--axes", "0 to 1"]),
        (&["plot", arg(&dir), "--axes", "1,1"], &["--axes", "different"]),
        (&["list", "map_elite"], &["map_elite", "did you mean \"map_elites\"?"]),
    ];
    for (arguments, parts) in cases {
        let ended = run(1, arguments);
        assert_eq!(ended.code(), Some(2), "{arguments:?}: {ended}");
        assert_refused(&ended, parts);
    }
    let config = folder.path().join("config-given.toml");
    let usage: [(&[&str], &[&str]); 8] = [
        (&["run", arg(&config), "--threads", "0"], &["--threads", "0"]),
        (&["run", arg(&config), "--threads", "-2"], &["-2"]),
        (&["run", arg(&config), "--thread", "2"], &["--thread", "--threads"]),
        (&["eval", arg(&dir), "--episodes", "0"], &["--episodes", "0"]),
        (&["plot", arg(&dir), "--axes", "1"], &["--axes 1", "expected 2 axes"]),
        (&["plot", arg(&dir), "--axes", "x,y"], &["--axes", "numbers of axes"]),
        (&["rum", arg(&config)], &["rum", "run"]),
        (&["run"], &["<CONFIG>"]),
    ];
    for (arguments, parts) in usage {
        let ended = run(1, arguments);
        assert_eq!(ended.code(), Some(2), "{arguments:?}: {ended}");
        assert_says(&ended.stderr, parts);
    }
}

#[test]
#[cfg(feature = "mpi")]
fn under_mpirun_a_message_comes_once_and_its_exit_code_from_all() {
    let folder = folder();
    let out = folder.path().join("out");
    let mut cases = vec![
        GOOD.replace("arm", "arn"),
        GOOD.replace("[10, 10]", "[10]"),
        GOOD.replace("[task]", "[task"),
    ];
    cases.push(GOOD.replace("batch = 20", "batch = -1"));
    for text in cases {
        let config = write_config(folder.path(), &text);
        let ended = run(3, &["run", arg(&config), "--out", arg(&out)]);
        assert_eq!(ended.code(), Some(2), "{text}: {ended}");
        assert_eq!(ended.stderr.matches("config-given.toml:").count(), 1, "{text}: {ended}");
        assert!(!out.exists());
    }
    let missing = folder.path().join("none");
    for arguments in [
        ["resume", arg(&missing)],
        ["info", arg(&missing)],
        ["eval", arg(&missing)],
        ["list", "nonsense"],
    ] {
        let ended = run(3, &arguments);
        assert_eq!(ended.code(), Some(2), "{arguments:?}: {ended}");
        let ours = ended
            .stderr
            .lines()
            .filter(|l| l.starts_with("illume: ") && l.contains(arguments[1]));
        assert_eq!(ours.count(), 1, "{arguments:?}: {ended}");
    }
    let ended = run(3, &["run", "--threads", "0", "x.toml"]);
    assert_eq!(ended.code(), Some(2), "{ended}");
    assert_eq!(ended.stderr.matches("--threads").count(), 1, "{ended}");
}
