//! What is learned: tasks whose answers are known in closed form.

use super::*;

#[test]
fn ascent_raises_the_value_of_every_policy() {
    let c = config();
    let ascent = ascent(&c, 60);
    let [mut policies, conditions, states] = climbers(&c, &ascent, 8);
    let critic = networks(&c).critics[0].clone();
    let value = |policies: &[f32], n: usize| {
        let params = ascent.policy.params();
        let actions = ascent.policy.forward_rows(&policies[n * params..][..params], &states);
        let d = &conditions[n * c.condition..(n + 1) * c.condition];
        let rows = states.chunks_exact(c.observation).zip(actions.chunks_exact(c.action));
        let inputs: Vec<f32> = rows.flat_map(|(s, a)| [s, a, d].concat()).collect();
        let q = c.critic().forward_rows(&critic, &inputs);
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
                let error = f64::from(c.critic().forward_rows(critic, &[s as f32, a as f32])[0]) - value(s, a);
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
            mean += (c.actor().forward_rows(&actor, &[s, d])[0] - best(s, d)).abs() / (17.0 * 17.0);
        }
    }
    println!("mean error {mean}");
    assert!(mean < 0.05, "{mean}");
}
