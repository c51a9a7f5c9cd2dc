//! What the strategies that learn from episodes refuse, each in one sentence that names the key and what would do.

use crate::common::refused::refused;
use crate::common::{arg, folder, run, write_config};

const GOOD: &str = "[task]\nname = \"hard_maze\"\nepisode_length = 20\nreward = \"closeness\"\n[policy]\nhidden = [4]\n[strategy]\n\
                    name = \"dcrl_me\"\nbatch = 8\ncritic_steps = 2\npg_steps = 2\nreplay = 400\n[archive]\nshape = [5, 5]\n\
                    [budget]\ngenerations = 2\n";

/// GOOD with one text replaced by another, and what the message must say.
const EDITS: &[(&str, &str, &[&str])] = &[
    (
        "reward = \"closeness\"\n",
        "",
        &[
            "strategy.name",
            "dcrl_me",
            "never below zero",
            "set task.reward = \"closeness\"",
        ],
    ),
    (
        "batch = 8",
        "batch = 8\nminibatch = 0",
        &["strategy.minibatch", "from 1 to", "got 0"],
    ),
    ("replay = 400", "replay = 0", &["strategy.replay", "from 1 to", "got 0"]),
    (
        "batch = 8",
        "batch = 8\npg_share = 0.7\nactor_share = 0.6",
        &["strategy.actor_share", "at most 0.3"],
    ),
    (
        "batch = 8",
        "batch = 8\ntau = 1.5",
        &["strategy.tau", "from 0 to 1", "1.5"],
    ),
    (
        "batch = 8",
        "batch = 8\nlength_scale = 0.0",
        &["strategy.length_scale", "above 0"],
    ),
    (
        "batch = 8",
        "batch = 8\ncritic_hidden = [8, 0]",
        &["strategy.critic_hidden", "from 1 to"],
    ),
    (
        "batch = 8",
        "batch = 8\nlearner = \"cuda\"",
        &["strategy.learner", "\"native\"", "\"torch\""],
    ),
    (
        "batch = 8",
        "batch = 8\nlearner = \"native\"\ndevice = \"cuda\"",
        &["strategy.device", "runs on the CPU", "learner = \"torch\""],
    ),
    (
        "batch = 8",
        "batch = 8\npolicy_delay = 0",
        &["strategy.policy_delay", "from 1 to"],
    ),
    (
        "batch = 8",
        "batch = 8\ntarget_delay = 0",
        &["strategy.target_delay", "from 1 to"],
    ),
    (
        "batch = 8",
        "batch = 8\nlabels = \"parent\"",
        &["strategy.labels: unknown key"],
    ),
    (
        "\"dcrl_me\"",
        "\"dcg_me\"\nlabels = \"requested\"",
        &["strategy.labels", "\"achieved\", \"parent\"", "\"requested\""],
    ),
    (
        "\"dcrl_me\"",
        "\"dcg_me\"\nlength_scale = -0.1",
        &["strategy.length_scale", "at least 0"],
    ),
    (
        "\"hard_maze\"",
        "\"hard_maze\"\ntime_in_observation = 1",
        &["task.time_in_observation", "true or false"],
    ),
    (
        "batch = 8",
        "batch = 8\nactor_rollouts = 3",
        &["strategy.actor_rollouts: unknown key"],
    ),
    (
        "\"dcrl_me\"",
        "\"dcg_me\"\npg_share = 0.0\nactor_rollouts = 0",
        &["strategy.actor_rollouts", "more than 0"],
    ),
];

#[test]
fn the_good_configuration_runs() {
    let folder = folder();
    let out = folder.path().join("out");
    run(1, &["run", arg(&write_config(folder.path(), GOOD)), "--out", arg(&out)]).succeeded();
}

#[test]
fn a_wrong_parameter_is_refused_in_one_sentence() {
    for (from, to, parts) in EDITS {
        assert!(GOOD.contains(from), "{from}");
        refused(&GOOD.replace(from, to), parts);
    }
}

#[test]
fn a_task_without_a_network_is_refused() {
    for strategy in ["pga_me", "dcg_me", "dcrl_me"] {
        refused(
            &format!("[task]\nname = \"arm\"\n[strategy]\nname = \"{strategy}\"\n[budget]\ngenerations = 1\n"),
            &["strategy.name", strategy, "task \"arm\" acts through no perceptron"],
        );
    }
}

#[test]
#[cfg(feature = "mujoco")]
fn a_robot_that_may_earn_less_than_nothing_is_told_how_not_to() {
    for task in ["ant_omni", "halfcheetah_uni"] {
        let text = format!("[task]\nname = \"{task}\"\n[strategy]\nname = \"dcg_me\"\n[budget]\ngenerations = 1\n");
        refused(
            &text,
            &["strategy.name", "never below zero", "set task.positive_reward = true"],
        );
    }
}

#[test]
#[cfg(not(feature = "torch"))]
fn torch_that_is_not_built_in_is_named_with_how_to_get_it() {
    for (key, value) in [("learner", "torch"), ("device", "cuda")] {
        let text = GOOD.replace("batch = 8", &format!("batch = 8\n{key} = \"{value}\""));
        refused(&text, &[&format!("strategy.{key}"), "no libtorch", "--features torch"]);
    }
}

/// Machines with a GPU have nothing to refuse here.
#[test]
#[cfg(feature = "torch")]
fn cuda_that_is_absent_is_named_with_what_it_needs() {
    if illume::strategies::learn::cuda_available() {
        return;
    }
    let text = GOOD.replace("batch = 8", "batch = 8\ndevice = \"cuda\"");
    refused(&text, &["strategy.device", "no CUDA device", "libtorch_cuda.so"]);
}
