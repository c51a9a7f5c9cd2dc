//! What does not fit into memory is refused before it is made.

use crate::common::refused::assert_refused;
use crate::common::{arg, folder, run, write_config};

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
