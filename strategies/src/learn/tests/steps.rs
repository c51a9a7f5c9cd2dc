//! Each step against the plain twin.

use super::*;

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
fn critic_targets_move_after_as_many_steps_as_their_delay_says_whatever_the_actor_does() {
    for (target_delay, moves) in [(1, 4), (2, 2), (3, 1), (5, 0)] {
        let c = Td3Config {
            delay: 4,
            target_delay,
            critic_rate: 0.0,
            tau: 0.5,
            ..config()
        };
        let mut start = networks(&c);
        start.critics.iter_mut().for_each(|critic| critic.fill(0.0));
        start.critic_targets.iter_mut().for_each(|target| target.fill(1.0));
        let mut native = Native::new(&c, &start);
        native.train(&batches(&c, 4)).unwrap();
        let trained = native.networks().unwrap();
        let expected = 0.5f32.powi(moves);
        for target in &trained.critic_targets {
            assert!(
                target.iter().all(|x| *x == expected),
                "{target_delay}: {} for {expected}",
                target[0]
            );
        }
        assert_eq!(trained.actor_steps, 1);
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
fn the_outputs_of_any_shape_are_those_of_the_twin() {
    for layers in [
        vec![1, 1],
        vec![3, 17],
        vec![40, 33, 1],
        vec![7, 128, 31, 9],
        vec![5, 16, 48, 64, 2],
    ] {
        for (hidden, output) in [(Activation::Relu, Output::Linear), (Activation::Tanh, Output::Tanh)] {
            let net = Network {
                layers: layers.clone(),
                hidden,
                output,
            };
            let params = normals(40, net.params());
            for n in [0, 1, 10, 163, 501] {
                let inputs = normals(41, n * net.inputs());
                let ours = on(3, || net.forward_rows(&params, &inputs));
                assert_eq!(ours, on(1, || net.forward_rows(&params, &inputs)));
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
        let actions = net.forward_rows(&params, &whole);
        for (a, b) in short.forward_rows(&folded, &states).iter().zip(actions) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}
