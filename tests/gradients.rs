//! Runs that learn from episodes: what they say and what they keep.

mod common;

use common::{arg, column, finish, folder, open, run, write_config};

const MAZE: &str =
    "[task]\nname = \"hard_maze\"\nepisode_length = 20\nreward = \"closeness\"\n[policy]\nhidden = [4]\n";

#[test]
fn the_log_says_at_the_start_what_learns_and_what_it_holds() {
    let folder = folder();
    let text = format!(
        "{MAZE}[strategy]\nname = \"dcrl_me\"\nbatch = 8\ncritic_steps = 4\npg_steps = 2\nreplay = 500\nreplay_in_checkpoint = false\n\
         learner = \"native\"\n[archive]\nshape = [5, 5]\n[budget]\ngenerations = 3\n"
    );
    let out = folder.path().join("out");
    let ended = run(
        1,
        &["run", arg(&write_config(folder.path(), &text)), "--out", arg(&out)],
    );
    let log = std::fs::read_to_string(out.join("log.jsonl")).unwrap();
    // 11 observations twice, 2 actions, reward, end, 2 descriptors of 2: 30 numbers.
    for said in [&ended.stderr, &log] {
        assert!(said.contains("native, CPU, ") && said.contains(", on rank 0"), "{said}");
        assert!(said.contains("500 transitions of 120 bytes: 0.1 MB"), "{said}");
        assert!(
            said.contains("a resumed run starts with an empty replay buffer"),
            "{said}"
        );
    }
    assert!(log.contains("\"serial_share\""), "{log}");
    let checkpoint = open(&out.join("checkpoint.h5"));
    assert!(
        checkpoint.state().unwrap().unwrap().table("replay").is_err(),
        "the buffer is left out"
    );
    run(1, &["resume", arg(&out), "--set", "budget.generations=5"]).succeeded();
}

/// Episodes are charged: a batch, and the conditioned actor's where it is rolled out.
#[test]
fn rollouts_of_the_actor_are_charged_to_the_budget_and_not_offered() {
    let text = format!(
        "{MAZE}[strategy]\nname = \"dcg_me\"\nbatch = 10\ninitial = 13\ncritic_steps = 4\npg_steps = 2\nactor_rollouts = 6\nactor_hidden = [5]\n\
         [archive]\nshape = [5, 5]\n[budget]\ngenerations = 4\n"
    );
    let (evaluations, transitions) = finish(&text, |run| {
        let transitions = column(&run.history().batch(), "transitions");
        (run.counters().evaluations, transitions)
    });
    assert_eq!(evaluations, 13 + 3 * (10 + 6));
    assert_eq!(transitions, [13.0 * 20.0, 29.0 * 20.0, 45.0 * 20.0, 61.0 * 20.0]);
}

/// What the file calls the solution is the actor, with the layers it needs.
#[test]
fn the_archive_holds_the_conditioned_actor() {
    let folder = folder();
    let text = format!(
        "{MAZE}[strategy]\nname = \"dcrl_me\"\nbatch = 8\ncritic_steps = 4\npg_steps = 2\n[archive]\nshape = [5, 5]\n[budget]\ngenerations = 2\n"
    );
    let out = folder.path().join("out");
    run(
        1,
        &["run", arg(&write_config(folder.path(), &text)), "--out", arg(&out)],
    )
    .succeeded();
    let solution = open(&out.join("archive.h5")).solution().unwrap().unwrap();
    assert_eq!(solution.get::<i64>("actor_layers").unwrap(), [13, 4, 2]);
    assert_eq!(solution.get::<f32>("actor").unwrap().len(), 14 * 4 + 5 * 2);
    assert_eq!(solution.get::<u8>("actor_relu").unwrap(), [0]);
}

/// Descriptors asked for differ from those achieved (d' != d) in as many transitions of the replay buffer as the labels say.
#[test]
fn only_the_actors_own_episodes_are_negatives_unless_climbers_are_labelled_with_their_parents() {
    let (initial, batch, climbers, rollouts, steps) = (13, 10, 5, 6, 20);
    for (labels, negative) in [("", rollouts), ("labels = \"parent\"\n", rollouts + climbers)] {
        let folder = folder();
        let text = format!(
            "{MAZE}[strategy]\nname = \"dcg_me\"\nbatch = {batch}\ninitial = {initial}\ncritic_steps = 4\npg_steps = 20\nactor_rollouts = {rollouts}\n\
             actor_hidden = [5]\n{labels}[archive]\nshape = [5, 5]\n[budget]\ngenerations = 2\n"
        );
        let out = folder.path().join("out");
        run(
            1,
            &["run", arg(&write_config(folder.path(), &text)), "--out", arg(&out)],
        )
        .succeeded();
        let state = open(&out.join("checkpoint.h5")).state().unwrap().unwrap();
        let replay = state.table("replay").unwrap();
        let [achieved, requested] = ["achieved", "requested"].map(|name| replay.get::<f32>(name).unwrap());
        let pairs = achieved.chunks_exact(2).zip(requested.chunks_exact(2));
        assert_eq!(replay.rows(), (initial + batch + rollouts) * steps);
        assert_eq!(
            pairs.filter(|(d, asked)| d != asked).count(),
            negative * steps,
            "{labels}"
        );
    }
}
