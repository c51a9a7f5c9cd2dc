//! What is disturbed: short runs that keep as much as their strategies can.

pub const MAP_ELITES: &str = "[task]\nname = \"arm\"\njoints = 12\n[strategy]\nname = \"map_elites\"\nbatch = 60\n\
                          [archive]\nkind = \"cvt\"\ncells = 200\nsamples = 2000\n";
pub const DEEP_GA: &str = "[task]\nname = \"arm\"\njoints = 12\n[strategy]\nname = \"deep_ga\"\npopulation = 40\nparents = 5\n\
                       sigma = 0.02\n[archive]\nshape = [20, 20]\n";
/// With a noise table and no room for decoded parents.
pub const DEEP_GA_MAZE: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 40\n[policy]\nhidden = [6]\n[strategy]\n\
                            name = \"deep_ga\"\npopulation = 30\nparents = 5\nsigma = 0.1\nnoise = \"table\"\n\
                            noise_table = 5000\ncache_mb = 0\n[archive]\nshape = [20, 20]\n";
pub const OPENAI_ES: &str = "[task]\nname = \"sphere\"\ndim = 50\n[strategy]\nname = \"openai_es\"\npopulation = 20\n\
                         sigma = 0.1\n[archive]\nshape = [20, 20]\n";
/// Covariance, paths, and axes that are older than the covariance.
pub const CMA_ES: &str = "[task]\nname = \"sphere\"\ndim = 50\n[strategy]\nname = \"cma_es\"\npopulation = 15\n\
                      restarts = \"ipop\"\nmax_restarts = 24\n[archive]\nshape = [20, 20]\n";
/// Searches of a few generations, one after another, in a box.
pub const CMA_ES_RESTARTED: &str = "[task]\nname = \"arm\"\njoints = 4\n[strategy]\nname = \"cma_es\"\npopulation = 5\n\
                                restarts = \"bipop\"\nmax_restarts = 24\ntol_x = 0.7\n[archive]\nshape = [20, 20]\n";
pub const SEP_CMA_ES: &str = "[task]\nname = \"rastrigin\"\ndim = 3000\n[strategy]\nname = \"sep_cma_es\"\n\
                          [archive]\nshape = [20, 20]\n";
/// Several searches, thresholds, and the best of all beside what is bred from.
pub const SNES: &str = "[task]\nname = \"rastrigin\"\ndim = 3000\n[strategy]\nname = \"snes\"\npopulation = 50\n[archive]\nshape = [20, 20]\n";
pub const XNES: &str =
    "[task]\nname = \"arm\"\njoints = 20\n[strategy]\nname = \"xnes\"\nsigma = 0.1\n[archive]\nshape = [20, 20]\n";
pub const LM_MA_ES: &str =
    "[task]\nname = \"sphere\"\ndim = 200\n[strategy]\nname = \"lm_ma_es\"\n[archive]\nshape = [20, 20]\n";
pub const PGPE: &str = "[task]\nname = \"arm\"\njoints = 12\n[strategy]\nname = \"pgpe\"\nranking = \"raw\"\n[archive]\nshape = [20, 20]\n";
pub const ARS: &str = "[task]\nname = \"sphere\"\ndim = 50\n[strategy]\nname = \"ars\"\ndirections_used = 3\n[archive]\nshape = [20, 20]\n";
pub const CMA_ME_OPENAI_ES: &str = "[task]\nname = \"sphere\"\ndim = 30\n[strategy]\nname = \"cma_me\"\nemitters = 2\nbatch = 6\n\
                                optimizer = \"openai_es\"\n[archive]\nshape = [20, 20]\n";
pub const CMA_MAE: &str = "[task]\nname = \"arm\"\njoints = 6\n[strategy]\nname = \"cma_mae\"\nemitters = 3\nbatch = 8\nsigma = 0.1\n\
                       restart_every = 7\nrankers = [\"improvement\", \"random_direction\"]\n\
                       [archive]\nshape = [20, 20]\nlearning_rate = 0.1\nthreshold_min = -0.4\n";
pub const CMA_ME: &str = "[task]\nname = \"sphere\"\ndim = 30\n[strategy]\nname = \"cma_me\"\nemitters = 2\nbatch = 6\n\
                      optimizer = \"sep_cma_es\"\nselection = \"filter\"\nrestart = \"no_improvement\"\n[archive]\nshape = [20, 20]\n";
/// Points with their moments, and distributions of coefficients.
pub const CMA_MAEGA: &str = "[task]\nname = \"rastrigin\"\ndim = 30\n[strategy]\nname = \"cma_maega\"\nemitters = 2\nbatch = 6\n\
                         optimizer = \"adam\"\nlearning_rate = 0.1\nrestart_every = 9\n\
                         [archive]\nshape = [20, 20]\nlearning_rate = 0.1\n";
/// A bandit's counts, searches that take part or not, and a learner beside them.
pub const MULTI_EMITTER: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 40\nreward = \"closeness\"\n[policy]\nhidden = [6]\n\
                             [strategy]\nname = \"multi_emitter\"\nactive = 3\n\
                             emitters = [{ kind = \"iso_line\", batch = 9 }, \
                             { kind = \"evolution_strategy\", count = 3, batch = 6, restart_every = 4 }, \
                             { kind = \"dcrl\", batch = 4, actors = 3, pg_steps = 3, critic_steps = 12, minibatch = 10, \
                             critic_hidden = [8], replay = 2000 }]\n[archive]\nshape = [20, 20]\n";
/// Networks, targets, moments and the replay buffer: all that learns.
pub const DCRL_ME: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 40\nreward = \"closeness\"\n[policy]\nhidden = [6]\n\
                       [strategy]\nname = \"dcrl_me\"\nbatch = 16\npg_steps = 3\ncritic_steps = 12\nminibatch = 10\n\
                       critic_hidden = [10, 8]\nreplay = 3000\n[archive]\nshape = [20, 20]\n";
pub const DCG_ME: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 40\nreward = \"closeness\"\n[policy]\nhidden = [6]\n\
                      [strategy]\nname = \"dcg_me\"\nbatch = 12\npg_steps = 3\ncritic_steps = 11\nminibatch = 10\n\
                      critic_hidden = [10]\nactor_hidden = [9]\nactor_rollouts = 3\npolicy_delay = 3\n[archive]\nshape = [20, 20]\n";
pub const PGA_ME: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 40\n[policy]\nhidden = [6]\n\
                      [strategy]\nname = \"pga_me\"\nbatch = 12\npg_steps = 3\ncritic_steps = 12\nminibatch = 10\n\
                      critic_hidden = [10]\noverlap = true\n[archive]\nshape = [20, 20]\n";
/// Members and novelty of the archive, and the most novel individuals.
pub const GA_NS: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 60\n[policy]\nhidden = [6]\n\
                     [strategy]\nname = \"ga_ns\"\npopulation = 40\nparents = 5\nsigma = 0.1\n[archive]\nprobability = 0.3\n";
/// The same, and local competition.
pub const NSLC: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 60\n[policy]\nhidden = [6]\n\
                    [strategy]\nname = \"nslc\"\npopulation = 40\nparents = 15\nsigma = 0.1\n[archive]\nprobability = 0.3\n";
/// Searches that are ordered by novelty.
pub const CMA_ME_NOVELTY: &str = "[task]\nname = \"arm\"\njoints = 6\n[strategy]\nname = \"cma_me\"\nemitters = 2\nbatch = 8\nsigma = 0.1\n\
                              restart_every = 7\nrankers = [\"novelty\", \"novelty_local_competition\"]\n[archive]\nprobability = 0.3\n";
/// A search in the middle of its way with its moments, and the cells that were last taken.
pub const ME_ES: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 60\n[policy]\nhidden = [6]\n[strategy]\nname = \"me_es\"\n\
                     population = 20\nsigma = 0.1\nlearning_rate = 0.05\nsteps = 3\n[archive]\nshape = [20, 20]\n";
/// Several centers with their moments, and which of them the archive does not know yet.
pub const NSR_ES: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 60\n[policy]\nhidden = [6]\n\
                      [strategy]\nname = \"nsr_es\"\npopulation = 20\nsigma = 0.1\nlearning_rate = 0.05\ncenters = 3\n\
                      [archive]\nneighbours = 5\n";
pub const NSRA_ES: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 60\n[policy]\nhidden = [6]\n\
                       [strategy]\nname = \"nsra_es\"\npopulation = 10\nsigma = 0.1\ncenters = 2\npatience = 2\n";
/// With several episodes a child, validation and a schedule by frames, or with normalized observations and a cap: more state to be lost.
#[cfg(feature = "mujoco")]
pub const DEEP_GA_VALIDATED: &str = "[task]\nname = \"hopper_uni\"\nepisode_length = 20\nreset_noise_scale = 0.05\n\
    [policy]\nhidden = [4]\n[strategy]\nname = \"deep_ga\"\npopulation = 20\nparents = 4\nsigma = 0.05\n\
    episodes = 2\nsigma_schedule = \"linear\"\nsigma_by = \"frames\"\nsigma_frames = 200000\n\
    validation_candidates = 3\nvalidation_episodes = 3\ntest_episodes = 4\n[archive]\nshape = [20]\n";
#[cfg(feature = "mujoco")]
pub const OPENAI_ES_NORMALIZED: &str = "[task]\nname = \"hopper_uni\"\nepisode_length = 20\nreset_noise_scale = 0.05\n\
    [policy]\nhidden = [4]\n[strategy]\nname = \"openai_es\"\npopulation = 20\nnormalize_observations = true\n\
    observation_share = 0.2\nepisode_cap = \"adaptive\"\ncap_factor = 1.5\n[archive]\nshape = [20]\n";

/// Lineages of a million genes on a game, and novelty of its memory.
#[cfg(feature = "atari")]
pub const DEEP_GA_PIXELS: &str = "[task]\nname = \"atari/frostbite\"\nmax_steps = 6\nnoops = 3\ntest_steps = 10\n[policy]\nnetwork = \"small\"\n\
    [strategy]\nname = \"deep_ga\"\npopulation = 4\nparents = 3\nsigma = 0.01\nvalidation_candidates = 2\n\
    validation_episodes = 2\ntest_episodes = 1\n[archive]\nshape = [6, 6]\n";
#[cfg(feature = "atari")]
pub const GA_NS_PIXELS: &str = "[task]\nname = \"atari/frostbite\"\nmax_steps = 6\nnoops = 3\ndescriptor = \"ram\"\nram_samples = 2\n\
    ram_interval = 3\n[policy]\nnetwork = \"small\"\n[strategy]\nname = \"ga_ns\"\npopulation = 4\nparents = 3\n\
    sigma = 0.01\n[archive]\nkind = \"unstructured\"\nneighbours = 3\nprobability = 0.3\n";

/// A program of its own, the negative sphere.
pub const COMMAND: &str = "[task]\nname = \"command\"\ncommand = [\"python3\", \"-c\", \"\"\"\n\
    import json, sys\ninput()\naxes = [{'name': name, 'lower': 0, 'upper': 1} for name in 'ab']\n\
    print(json.dumps({'illume': 1, 'dim': 4, 'bounds': [0, 1], 'descriptor': axes, 'batch': 8}), flush=True)\n\
    for line in sys.stdin:\n \
    rows = json.loads(line)['genomes']\n \
    print(json.dumps({'fitness': [-sum(x * x for x in row) for row in rows], 'descriptor': [row[:2] for row in rows]}), flush=True)\n\
    \"\"\"]\n[strategy]\nname = \"map_elites\"\nbatch = 60\n[archive]\nshape = [12, 12]\n";

/// The last elite of a budget is tested at its end, and not again when the run goes on.
#[cfg(feature = "mujoco")]
pub const TESTED: &[&str] = &[DEEP_GA_VALIDATED];
#[cfg(not(feature = "mujoco"))]
pub const TESTED: &[&str] = &[];
