//! Bad configurations, each the good one with one text replaced.

/// A bad configuration: GOOD with one text replaced by another, and what the message must say.
pub type Edit = (&'static str, &'static str, &'static [&'static str]);

pub const EDITS: &[Edit] = &[
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
        "[10, 10]",
        "[10, 10]\ndepth = 3\nadd_mode = \"single\"",
        &[":11: archive.add_mode", "expected \"batch\"", "several elites"],
    ),
    (
        "[10, 10]",
        "[10, 10]\nadd_mode = \"sequential\"",
        &[":10: archive.add_mode", "\"batch\", \"single\"", "\"sequential\""],
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
