use illume_core::{Activation, Purpose, Stream};

use super::lanes::Level;
use super::twin::{self, Twin, batches, config, double, normals};
use super::*;

/// On a pool of so many threads.
fn on<T: Send>(threads: usize, f: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .unwrap()
        .install(f)
}

fn networks(config: &Td3Config) -> Networks {
    let mut networks = Networks::new(config, 3);
    // Biases that are not zero, and targets of their own.
    let parts = networks.critics.iter_mut().chain(&mut networks.critic_targets);
    for (k, params) in parts
        .chain([&mut networks.actor, &mut networks.actor_target])
        .enumerate()
    {
        let noise = normals(20 + k as u64, params.len());
        params.iter_mut().zip(noise).for_each(|(p, e)| *p += 0.1 * e);
    }
    networks
}

#[track_caller]
fn close(ours: &[f32], twin: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), twin.len());
    let scale = twin.iter().fold(1e-3f64, |a, x| a.max(x.abs()));
    for (i, (a, b)) in ours.iter().zip(twin).enumerate() {
        assert!(
            (f64::from(*a) - b).abs() <= tolerance * scale,
            "{i}: {a} {b} of {scale}"
        );
    }
}

fn variants() -> Vec<Td3Config> {
    let c = config();
    vec![
        c.clone(),
        Td3Config {
            actor_activation: Activation::Relu,
            condition: 0,
            minibatch: 10,
            delay: 1,
            ..c.clone()
        },
        Td3Config {
            actor_hidden: vec![],
            critic_hidden: vec![33],
            minibatch: 1,
            delay: 3,
            ..c.clone()
        },
        Td3Config {
            action: 1,
            critic_hidden: vec![],
            actor_hidden: vec![4],
            minibatch: 21,
            ..c.clone()
        },
        Td3Config {
            action: 17,
            critic_hidden: vec![8, 9, 10],
            actor_hidden: vec![33],
            minibatch: 31,
            ..c
        },
    ]
}

#[test]
fn the_gradients_of_both_losses_are_those_of_central_differences() {
    for c in variants() {
        let c = Td3Config { delay: 1, ..c };
        let (start, batches) = (networks(&c), batches(&c, 1));
        let mut native = Native::new(&c, &start);
        let losses = native.train(&batches).unwrap();
        let ours = native.networks().unwrap();
        let mut twin = Twin::new(&c, &start);
        let (critic, actor) = twin.step(&batches, 0);
        assert!((losses.critic - critic).abs() < 1e-5 * critic.abs());
        assert!((losses.actor - actor.unwrap()).abs() < 1e-5 * (1.0 + losses.actor.abs()));
        // After one step from zero the first moment is a tenth of the gradient, the second a thousandth of its square.
        for j in 0..2 {
            close(&ours.critic_moments[j][0], &twin.critic_adams[j].m, 1e-5);
            close(&ours.critic_moments[j][1], &twin.critic_adams[j].v, 1e-5);
        }
        close(&ours.actor_moments[0], &twin.actor_adam.m, 1e-5);
        close(&ours.actor_moments[1], &twin.actor_adam.v, 1e-5);
    }
}

#[test]
fn several_steps_are_those_of_a_plain_twin_in_double_precision() {
    for c in variants() {
        let (start, batches) = (networks(&c), batches(&c, 6));
        let mut native = Native::new(&c, &start);
        native.train(&batches).unwrap();
        let ours = native.networks().unwrap();
        let mut twin = Twin::new(&c, &start);
        for step in 0..6 {
            twin.step(&batches, step);
        }
        for j in 0..2 {
            close(&ours.critics[j], &twin.critics[j], 1e-5);
            close(&ours.critic_targets[j], &twin.critic_targets[j], 1e-5);
        }
        close(&ours.actor, &twin.actor, 1e-5);
        close(&ours.actor_target, &twin.actor_target, 1e-5);
        assert_eq!((ours.critic_steps, ours.actor_steps), (6, 6 / c.delay));
    }
}

#[test]
fn a_target_ends_with_the_episode_but_not_with_its_time() {
    // Linear critics without weights: the targets say 2 and 3 everywhere, the critics 0. So y = 1 + 0.5 * 2 where the episode
    // goes on (also where only time was up), else 1, and the two losses are y^2 each.
    let c = Td3Config {
        observation: 1,
        action: 1,
        condition: 0,
        actor_hidden: vec![],
        critic_hidden: vec![],
        minibatch: 1,
        discount: 0.5,
        ..config()
    };
    for (continues, loss) in [(1.0, 8.0), (0.0, 2.0)] {
        let mut networks = Networks::new(&c, 0);
        networks.critics = [vec![0.0; 3], vec![0.0; 3]];
        networks.critic_targets = [vec![0.0, 0.0, 2.0], vec![0.0, 0.0, 3.0]];
        let batch = Minibatches {
            steps: 1,
            observation: vec![0.3],
            action: vec![0.1],
            reward: vec![1.0],
            next_observation: vec![0.7],
            continues: vec![continues],
            noise: vec![0.0],
            ..Minibatches::default()
        };
        assert_eq!(Native::new(&c, &networks).train(&batch).unwrap().critic, loss);
    }
}

#[test]
fn training_is_bit_equal_for_any_threads_instructions_and_calls() {
    for c in [
        Td3Config {
            minibatch: 53,
            ..config()
        },
        Td3Config {
            delay: 11,
            minibatch: 100,
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

fn ascent(c: &Td3Config, steps: usize) -> Ascent {
    Ascent {
        policy: Net {
            layers: vec![c.observation, 21, 12, c.action],
            hidden: Activation::Relu,
            output: Output::Tanh,
        },
        rate: 5e-3,
        steps,
        minibatch: 24,
    }
}

/// Drawn policies, conditions, states.
fn climbers(c: &Td3Config, ascent: &Ascent, n: usize) -> [Vec<f32>; 3] {
    let mut policies = vec![0.0; n * ascent.policy.params()];
    for (k, policy) in policies.chunks_exact_mut(ascent.policy.params()).enumerate() {
        ascent.policy.init(&Stream::new(5, Purpose::Init, 0, k as u64), policy);
    }
    let states = normals(31, ascent.steps * ascent.minibatch * c.observation);
    [policies, normals(30, n * c.condition), states]
}

#[test]
fn ascent_takes_the_steps_of_a_plain_twin() {
    for c in variants() {
        for hidden in [Activation::Relu, Activation::Tanh] {
            let mut ascent = ascent(&c, 4);
            ascent.policy.hidden = hidden;
            let [mut policies, conditions, states] = climbers(&c, &ascent, 2);
            let (start, critic) = (policies.clone(), networks(&c).critics[0].clone());
            let mut native = Native::new(&c, &networks(&c));
            native
                .improve(&ascent, &critic, &mut policies, &conditions, &states)
                .unwrap();
            let params = ascent.policy.params();
            for n in 0..2 {
                let d = &conditions[n * c.condition..(n + 1) * c.condition];
                let twin = twin::improve(&c, &ascent, &critic, &start[n * params..][..params], d, &states);
                close(&policies[n * params..][..params], &twin, 1e-5);
            }
        }
    }
}

#[test]
fn ascent_raises_the_value_of_every_policy() {
    let c = config();
    let ascent = ascent(&c, 60);
    let [mut policies, conditions, states] = climbers(&c, &ascent, 8);
    let critic = networks(&c).critics[0].clone();
    let value = |policies: &[f32], n: usize| {
        let params = ascent.policy.params();
        let actions = forward(&ascent.policy, &policies[n * params..][..params], &states);
        let d = &conditions[n * c.condition..(n + 1) * c.condition];
        let rows = states.chunks_exact(c.observation).zip(actions.chunks_exact(c.action));
        let inputs: Vec<f32> = rows.flat_map(|(s, a)| [s, a, d].concat()).collect();
        let q = forward(&c.critic(), &critic, &inputs);
        double(&q).iter().sum::<f64>() / q.len() as f64
    };
    let before: Vec<f64> = (0..8).map(|n| value(&policies, n)).collect();
    Native::new(&c, &networks(&c))
        .improve(&ascent, &critic, &mut policies, &conditions, &states)
        .unwrap();
    for (n, before) in before.iter().enumerate() {
        let after = value(&policies, n);
        assert!(after > before + 0.05, "policy {n}: {before} to {after}");
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

#[test]
fn the_outputs_of_any_shape_are_those_of_the_twin() {
    for layers in [
        vec![1, 1],
        vec![3, 17],
        vec![40, 33, 1],
        vec![7, 128, 31, 9],
        vec![5, 16, 48, 64, 2],
    ] {
        for (hidden, output) in [(Activation::Relu, Output::Linear), (Activation::Tanh, Output::Tanh)] {
            let net = Net {
                layers: layers.clone(),
                hidden,
                output,
            };
            let params = normals(40, net.params());
            for n in [0, 1, 10, 163, 501] {
                let inputs = normals(41, n * net.inputs());
                let ours = on(3, || forward(&net, &params, &inputs));
                assert_eq!(ours, on(1, || forward(&net, &params, &inputs)));
                let rows = inputs.chunks_exact(net.inputs());
                let twin: Vec<f64> = rows
                    .flat_map(|x| twin::outputs(&net, &double(&params), &double(x)))
                    .collect();
                close(&ours, &twin, 1e-5);
            }
        }
    }
}

#[test]
fn a_folded_condition_gives_the_same_actions() {
    for c in variants() {
        let (net, params) = (c.actor(), networks(&c).actor);
        let condition = normals(50, c.condition);
        let folded = fold_condition(&net, &params, &condition);
        let mut short = net.clone();
        short.layers[0] -= c.condition;
        assert_eq!(folded.len(), short.params());
        let states = normals(51, 40 * c.observation);
        let whole: Vec<f32> = states
            .chunks_exact(c.observation)
            .flat_map(|s| [s, &condition].concat())
            .collect();
        let actions = forward(&net, &params, &whole);
        for (a, b) in forward(&short, &folded, &states).iter().zip(actions) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}

/// The same learner with rates a fifth as large, so that what is learned stops trembling.
fn settled(native: &Native) -> Native {
    let c = native.config();
    let slower = Td3Config {
        actor_rate: c.actor_rate / 5.0,
        critic_rate: c.critic_rate / 5.0,
        ..c.clone()
    };
    Native::new(&slower, &native.networks().unwrap())
}

/// s' = a s + b v with v = atanh(action), reward 1 - s^2 - 0.1 v^2, and the policy v = k s: quadratic values, in closed form.
#[test]
fn the_critics_find_the_value_of_a_linear_quadratic_task() {
    const A: f64 = 0.9;
    const B: f64 = 0.5;
    const K: f64 = -0.6;
    const DISCOUNT: f64 = 0.9;
    let c = Td3Config {
        observation: 1,
        action: 1,
        condition: 0,
        actor_hidden: vec![],
        critic_hidden: vec![64, 64],
        minibatch: 128,
        // The policy stays as it is; so the value to be found does.
        actor_rate: 0.0,
        critic_rate: 1e-3,
        discount: DISCOUNT,
        tau: 0.05,
        ..config()
    };
    let curvature = (1.0 + 0.1 * K * K) / (1.0 - DISCOUNT * (A + B * K).powi(2));
    let value = |s: f64, action: f64| {
        let v = action.atanh();
        let next = A * s + B * v;
        1.0 - s * s - 0.1 * v * v + DISCOUNT * (1.0 / (1.0 - DISCOUNT) - curvature * next * next)
    };
    let uniforms = |index, len| {
        let mut out = vec![0.0f32; len];
        Stream::new(9, Purpose::Variation, 0, index).uniforms(0, &mut out);
        out
    };
    let mut networks = Networks::new(&c, 1);
    networks.actor = vec![K as f32, 0.0];
    // Two equal critics, so that the smaller of both is not too small on average.
    networks.critics[1] = networks.critics[0].clone();
    networks.critic_targets = networks.critics.clone();
    networks.actor_target = networks.actor.clone();
    let mut native = Native::new(&c, &networks);
    for call in 0..14 {
        if call == 8 || call == 12 {
            native = settled(&native);
        }
        let rows = 500 * c.minibatch;
        let observation: Vec<f32> = uniforms(2 * call, rows).iter().map(|u| 2.4 * u - 1.2).collect();
        let action: Vec<f32> = uniforms(2 * call + 1, rows).iter().map(|u| 1.6 * u - 0.8).collect();
        let pairs = || {
            observation
                .iter()
                .zip(&action)
                .map(|(s, a)| (f64::from(*s), f64::from(*a).atanh()))
        };
        let batch = Minibatches {
            steps: 500,
            reward: pairs().map(|(s, v)| (1.0 - s * s - 0.1 * v * v) as f32).collect(),
            next_observation: pairs().map(|(s, v)| (A * s + B * v) as f32).collect(),
            continues: vec![1.0; rows],
            noise: vec![0.0; rows],
            condition: vec![],
            observation,
            action,
        };
        native.train(&batch).unwrap();
    }
    let learned = native.networks().unwrap();
    assert_eq!(learned.actor, networks.actor);
    let (mut mean, mut spread) = (0.0, 0.0);
    for critic in &learned.critics {
        for i in -8..=8 {
            for j in -7..=7 {
                let (s, a) = (f64::from(i) / 10.0, f64::from(j) / 10.0);
                let error = f64::from(forward(&c.critic(), critic, &[s as f32, a as f32])[0]) - value(s, a);
                mean += error / (2.0 * 17.0 * 15.0);
                spread += error * error / (2.0 * 17.0 * 15.0);
            }
        }
    }
    // Values range from 6 to 9. An error of the fit near s = 0, where all paths end, counts ten times.
    println!("mean error {mean}, root mean square {}", spread.sqrt());
    assert!(spread.sqrt() < 0.15, "{mean} {}", spread.sqrt());
}

#[test]
fn the_actor_finds_the_best_action_of_a_bandit() {
    // Reward -(action - (s / 2 - d / 3))^2, and every episode ends at once.
    let c = Td3Config {
        observation: 1,
        action: 1,
        condition: 1,
        actor_hidden: vec![32],
        critic_hidden: vec![64, 64],
        minibatch: 128,
        critic_rate: 2e-3,
        ..config()
    };
    let best = |s: f32, d: f32| s / 2.0 - d / 3.0;
    let mut native = Native::new(&c, &Networks::new(&c, 2));
    for call in 0..8 {
        if call == 6 {
            native = settled(&native);
        }
        let rows = 500 * c.minibatch;
        let uniform = |index| {
            let mut out = vec![0.0f32; rows];
            Stream::new(9, Purpose::Variation, call, index).uniforms(0, &mut out);
            out.iter().map(|u| 2.0 * u - 1.0).collect::<Vec<f32>>()
        };
        let [observation, action, condition] = [0, 1, 2].map(uniform);
        let triples = observation.iter().zip(&action).zip(&condition);
        let batch = Minibatches {
            steps: 500,
            reward: triples.map(|((s, a), d)| -(a - best(*s, *d)).powi(2)).collect(),
            next_observation: observation.clone(),
            continues: vec![0.0; rows],
            noise: vec![0.0; rows],
            observation,
            action,
            condition,
        };
        native.train(&batch).unwrap();
    }
    let actor = native.networks().unwrap().actor;
    let mut mean = 0.0f32;
    for i in -8..=8 {
        for j in -8..=8 {
            let (s, d) = (i as f32 / 10.0, j as f32 / 10.0);
            mean += (forward(&c.actor(), &actor, &[s, d])[0] - best(s, d)).abs() / (17.0 * 17.0);
        }
    }
    println!("mean error {mean}");
    assert!(mean < 0.05, "{mean}");
}

#[test]
fn regression_fits_a_teacher_and_its_first_step_is_the_twins() {
    let net = Net {
        layers: vec![4, 24, 3],
        hidden: Activation::Relu,
        output: Output::Tanh,
    };
    let draw = |index| {
        let mut params = vec![0.0; net.params()];
        net.init(&Stream::new(4, Purpose::Network, 0, index), &mut params);
        params
    };
    let (teacher, start) = (draw(0), draw(1));
    let inputs = normals(60, 2000 * 32 * 4);
    let targets = forward(&net, &teacher, &inputs);
    let run = |level, threads, steps: usize| {
        on(threads, || {
            let mut regression = Regression::at(level, &net, &start, 1e-2);
            let first = regression.fit(32, &inputs[..32 * 4 * steps], &targets[..32 * 3 * steps]);
            (regression.params(), first)
        })
    };
    let expected = run(Level::best(), 1, 40);
    for threads in [2, 3, 5] {
        assert!(run(Level::best(), threads, 40) == expected, "{threads} threads");
    }
    for level in Level::available() {
        assert!(run(level, 1, 40) == expected, "{level:?}");
    }

    let loss = |params: &[f64]| {
        let square = |r: usize| {
            let y = twin::outputs(&net, params, &twin::row(&inputs, 4, r));
            y.iter()
                .zip(twin::row(&targets, 3, r))
                .map(|(y, t)| (y - t).powi(2))
                .sum::<f64>()
        };
        (0..32).map(square).sum::<f64>() / 96.0
    };
    let mut params = double(&start);
    let g = twin::gradient(&params, loss);
    let before = loss(&params);
    twin::Adam::new(g.len()).step(1e-2, &g, &mut params);
    let (ours, first) = run(Level::best(), 1, 1);
    close(&ours, &params, 1e-5);
    assert!((first - before).abs() < 1e-6);

    let mut regression = Regression::new(net.clone(), &start, 1e-2);
    regression.fit(32, &inputs, &targets);
    regression.set_rate(1e-3);
    let last = regression.fit(32, &inputs, &targets);
    println!("{before} to {last}");
    assert!(last < before / 200.0, "{before} to {last}");
}

#[test]
fn networks_of_another_shape_are_refused_with_a_sentence() {
    let c = config();
    let mut native = Native::new(&c, &networks(&c));
    let other = Networks::new(
        &Td3Config {
            critic_hidden: vec![4],
            ..c
        },
        0,
    );
    let error = native.load(&other).unwrap_err().to_string();
    assert!(error.contains("[10, 37, 18, 1]"), "{error}");
}

#[test]
fn units_without_gradient_do_not_sink_into_subnormal_numbers() {
    let net = Net {
        layers: vec![1, 1],
        hidden: Activation::Relu,
        output: Output::Linear,
    };
    let mut regression = Regression::new(net, &[0.5, 0.0], 0.0);
    // One step with a gradient, then a thousand without: the output is as wanted.
    regression.fit(1, &[1.0], &[0.0]);
    regression.fit(1, &vec![1.0; 1000], &vec![0.5; 1000]);
    let moment = regression.first_moment();
    assert!(moment.iter().all(|m| *m == 0.0), "{moment:?}");
}
