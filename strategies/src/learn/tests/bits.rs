//! Equal bits on any number of threads, with any instructions, in any company.

use super::*;

#[test]
fn training_is_bit_equal_for_any_threads_instructions_and_calls() {
    for c in [
        Td3Config {
            minibatch: 53,
            ..config()
        },
        Td3Config {
            delay: 11,
            target_delay: 11,
            minibatch: 100,
            ..config()
        },
        Td3Config {
            delay: 3,
            target_delay: 2,
            ..config()
        },
    ] {
        let (start, all) = (networks(&c), batches(&c, 23));
        let run = |level, threads| {
            on(threads, || {
                let mut native = Native::at(level, &c, &start);
                let losses = native.train(&all).unwrap();
                (native.networks().unwrap(), losses)
            })
        };
        let expected = run(Level::best(), 1);
        for threads in [2, 3, 5] {
            assert!(run(Level::best(), threads) == expected, "{threads} threads");
        }
        for level in Level::available() {
            assert!(run(level, 1) == expected, "{level:?}");
        }
        // In three calls, with a checkpoint between them.
        let mut native = Native::new(&c, &start);
        for steps in [0..4, 4..5, 5..23] {
            let rows = steps.start * c.minibatch..steps.end * c.minibatch;
            let part = |column: &[f32], width| column[rows.start * width..rows.end * width].to_vec();
            let batch = Minibatches {
                steps: steps.len(),
                observation: part(&all.observation, c.observation),
                action: part(&all.action, c.action),
                condition: part(&all.condition, c.condition),
                reward: part(&all.reward, 1),
                next_observation: part(&all.next_observation, c.observation),
                continues: part(&all.continues, 1),
                noise: part(&all.noise, c.action),
            };
            native.train(&batch).unwrap();
            let saved = native.networks().unwrap();
            native = Native::new(&c, &networks(&c));
            native.load(&saved).unwrap();
        }
        assert!(native.networks().unwrap() == expected.0);
    }
}

#[test]
fn a_policy_climbs_alone_as_in_company_on_any_threads_and_instructions() {
    let c = config();
    let ascent = ascent(&c, 9);
    let [start, conditions, states] = climbers(&c, &ascent, 7);
    let critic = &networks(&c).critics[0];
    let run = |level, threads, rows: std::ops::Range<usize>| {
        let params = ascent.policy.params();
        let mut policies = start[rows.start * params..rows.end * params].to_vec();
        let conditions = &conditions[rows.start * c.condition..rows.end * c.condition];
        on(threads, || {
            let mut native = Native::at(level, &c, &networks(&c));
            native
                .improve(&ascent, critic, &mut policies, conditions, &states)
                .unwrap();
        });
        policies
    };
    let expected = run(Level::best(), 1, 0..7);
    for threads in [2, 3, 5] {
        assert!(run(Level::best(), threads, 0..7) == expected, "{threads} threads");
    }
    for level in Level::available() {
        assert!(run(level, 2, 0..7) == expected, "{level:?}");
    }
    let alone: Vec<f32> = (0..7).flat_map(|n| run(Level::best(), 1, n..n + 1)).collect();
    assert!(alone == expected);
}
