//! What is wrong with a configuration of an Atari game is said in one sentence, whether or not this build has them.

use std::process::Command;

use crate::common::{Ended, arg, folder, run_command, write_config};

const GOOD: &str = "[task]\nname = \"atari/frostbite\"\nmax_steps = 5\n[policy]\nnetwork = \"small\"\n\
                    [strategy]\nname = \"deep_ga\"\npopulation = 4\nparents = 2\n[archive]\nshape = [3, 3]\n[budget]\ngenerations = 1\n";

/// Runs GOOD with one text replaced by another.
fn edited(from: &str, to: &str, prepare: impl FnOnce(&mut Command)) -> Ended {
    let folder = folder();
    assert!(GOOD.contains(from));
    let config = write_config(folder.path(), &GOOD.replacen(from, to, 1));
    let out = folder.path().join("out");
    let mut command = crate::common::illume(1, &["run", arg(&config), "--out", arg(&out)]);
    prepare(&mut command);
    let ended = run_command(command);
    assert!(!out.exists(), "nothing is written: {ended}");
    ended
}

#[track_caller]
fn refused(ended: &Ended, words: &[&str]) {
    assert_eq!(ended.code(), Some(2), "{ended}");
    let said = ended.to_string();
    for word in words {
        assert!(said.contains(word), "{word} is not in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn an_unknown_game_is_answered_with_the_nearest_one() {
    for (name, meant) in [
        ("atari/frostbit", "atari/frostbite"),
        ("frostbite", "atari/frostbite"),
        ("atari/ms-pacman", "atari/ms_pacman"),
    ] {
        let ended = edited("atari/frostbite", name, |_| {});
        refused(
            &ended,
            &[":2: task.name: unknown task", &format!("did you mean \"{meant}\"?")],
        );
    }
}

#[test]
#[cfg(not(feature = "atari"))]
fn a_game_that_this_build_lacks_says_which_feature_it_needs() {
    let ended = edited("atari/frostbite", "atari/skiing", |_| {});
    refused(
        &ended,
        &[":2: task.name: task \"atari/skiing\" needs a build with feature \"atari\""],
    );
}

#[test]
#[cfg(feature = "atari")]
fn a_missing_rom_is_named_with_what_to_do() {
    let ended = edited("[task]", "[task]", |command| {
        command.env("ILLUME_ROM_DIR", "/nonexistent");
    });
    refused(
        &ended,
        &[
            "/nonexistent/frostbite.bin: there is no such ROM",
            "ILLUME_ROM_DIR",
            "tools/setup atari",
        ],
    );
}

#[test]
#[cfg(feature = "atari")]
fn a_damaged_rom_is_not_played() {
    let roms = folder();
    let rom = illume::envs::atari::rom("frostbite").unwrap();
    let mut bytes = std::fs::read(rom).unwrap();
    bytes[1000] ^= 0x40;
    std::fs::write(roms.path().join("frostbite.bin"), bytes).unwrap();
    let ended = edited("[task]", "[task]", |command| {
        command.env("ILLUME_ROM_DIR", roms.path());
    });
    refused(
        &ended,
        &[
            "frostbite.bin: the file is damaged or of another version: its MD5 is",
            "ALE expects",
        ],
    );
}

#[test]
#[cfg(feature = "atari")]
fn wrong_parameters_are_named_with_their_line() {
    for (from, to, words) in [
        (
            "max_steps = 5",
            "sticky_actions = 1.5",
            &[":3: task.sticky_actions: expected a number, from 0 to 1, got 1.5"][..],
        ),
        (
            "max_steps = 5",
            "episode_length = 5",
            &[":3: task.episode_length: unknown key"],
        ),
        (
            "max_steps = 5",
            "noops = -1",
            &[":3: task.noops: expected a non-negative integer"],
        ),
        (
            "network = \"small\"",
            "network = \"tiny\"",
            &[":5: policy.network: expected a string, one of \"large\", \"small\", got \"tiny\""],
        ),
        (
            "network = \"small\"",
            "hidden = [8]",
            &[":5: policy.hidden: unknown key"],
        ),
    ] {
        refused(&edited(from, to, |_| {}), words);
    }
}

/// A task that is seen as pixels has no observations that an actor and a critic of perceptrons could learn from.
#[test]
#[cfg(feature = "atari")]
fn strategies_that_learn_from_observations_are_refused() {
    let ended = edited(
        "name = \"deep_ga\"\npopulation = 4\nparents = 2",
        "name = \"pga_me\"",
        |_| {},
    );
    refused(&ended, &["pga_me", "atari/frostbite"]);
}
