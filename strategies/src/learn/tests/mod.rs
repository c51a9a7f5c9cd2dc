//! What the processor's learner promises, each part in a file.

mod bits;
mod learning;
mod qdax;
mod regression;
mod steps;
mod twin;

use illume_core::{Activation, Purpose, Stream};

use super::*;
use illume_numerics::Level;
use twin::{Twin, batches, config, double, normals};

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
            target_delay: 2,
            ..c.clone()
        },
        Td3Config {
            actor_hidden: vec![],
            critic_hidden: vec![33],
            minibatch: 1,
            delay: 3,
            target_delay: 2,
            ..c.clone()
        },
        Td3Config {
            action: 1,
            critic_hidden: vec![],
            actor_hidden: vec![4],
            target_delay: 2,
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

fn ascent(c: &Td3Config, steps: usize) -> Ascent {
    Ascent {
        policy: Network {
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
