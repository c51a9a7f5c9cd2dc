//! Two learners that share no code, own kernels and libtorch's automatic differentiation, take the same steps.
//!
//! Every test asks for CUDA first: libtorch can differentiate on a device only if it was there at the first backward pass of all.

use illume_core::Error;
use illume_core::{Activation, Purpose, Stream};
use illume_strategies::learn::{
    Ascent, Learner, Losses, Minibatches, Native, Network, Networks, Output, Td3Config, Torch, cuda_available,
};
use tch::Device;

/// Of the largest value of a vector.
const TOLERANCE: f32 = 1e-5;

fn config(condition: usize, activation: Activation) -> Td3Config {
    Td3Config {
        observation: 7,
        action: 3,
        condition,
        actor_hidden: vec![24, 16],
        actor_activation: activation,
        critic_hidden: vec![32, 33],
        minibatch: 20,
        actor_rate: 3e-4,
        critic_rate: 1e-3,
        discount: 0.99,
        tau: 0.005,
        delay: 2,
        target_delay: 1,
    }
}

fn normals(index: u64, scale: f32, n: usize) -> Vec<f32> {
    let mut values = vec![0.0; n];
    Stream::new(11, Purpose::Episode, 0, index).add_normals(0, scale, &mut values);
    values
}

/// Every third row ends its episode.
fn minibatches(c: &Td3Config, steps: usize) -> Minibatches {
    let rows = steps * c.minibatch;
    let clipped = |values: Vec<f32>, to: f32| values.into_iter().map(|x| x.clamp(-to, to)).collect();
    Minibatches {
        steps,
        observation: normals(1, 1.0, rows * c.observation),
        action: clipped(normals(2, 0.8, rows * c.action), 1.0),
        condition: clipped(normals(3, 0.5, rows * c.condition), 1.0),
        reward: normals(4, 1.0, rows),
        next_observation: normals(5, 1.0, rows * c.observation),
        continues: (0..rows).map(|i| f32::from(i % 3 > 0)).collect(),
        noise: clipped(normals(6, 0.2, rows * c.action), 0.5),
    }
}

/// As in the middle of a run: targets behind their networks, moments that are not zero.
fn trained(c: &Td3Config) -> Networks {
    let mut n = Networks::new(c, 3);
    let old = Networks::new(c, 4);
    n.actor_target = old.actor;
    n.critic_targets = old.critics;
    let [first, second] = &mut n.critic_moments;
    for (index, moments) in [&mut n.actor_moments, first, second].into_iter().enumerate() {
        let params = moments[0].len();
        moments[0] = normals(20 + index as u64, 1e-3, params);
        moments[1] = normals(30 + index as u64, 1e-3, params);
        moments[1].iter_mut().for_each(|v| *v = (v.abs() + 1e-3).powi(2));
    }
    (n.critic_steps, n.actor_steps) = (400, 200);
    n
}

/// Largest difference of two vectors, of their largest value.
fn difference(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().chain(b).all(|x| x.is_finite()));
    let scale = a.iter().fold(1e-30f32, |s, x| s.max(x.abs()));
    let far = a.iter().zip(b).fold(0.0f32, |d, (x, y)| d.max((x - y).abs()));
    far / scale
}

/// Checks that networks, targets and moments agree; gives the largest difference.
#[track_caller]
fn assert_agree(a: &Networks, b: &Networks, what: &str) -> f32 {
    assert_eq!(
        (a.critic_steps, a.actor_steps),
        (b.critic_steps, b.actor_steps),
        "{what}: steps"
    );
    let mut parts = vec![
        ("actor", &a.actor, &b.actor),
        ("actor's target", &a.actor_target, &b.actor_target),
    ];
    for i in 0..2 {
        parts.push(("actor's moments", &a.actor_moments[i], &b.actor_moments[i]));
        parts.push(("critic", &a.critics[i], &b.critics[i]));
        parts.push(("critic's target", &a.critic_targets[i], &b.critic_targets[i]));
        for m in 0..2 {
            parts.push(("critic's moments", &a.critic_moments[i][m], &b.critic_moments[i][m]));
        }
    }
    let mut largest = 0.0f32;
    for (name, x, y) in parts {
        let d = difference(x, y);
        assert!(d < TOLERANCE, "{what}: {name} differs by {d:e}");
        largest = largest.max(d);
    }
    largest
}

#[track_caller]
fn assert_losses_agree(a: Losses, b: Losses) {
    let near = |x: f64, y: f64| (x - y).abs() <= 1e-5 * x.abs().max(0.1);
    assert!(near(a.critic, b.critic) && near(a.actor, b.actor), "{a:?} {b:?}");
}

fn small() -> Vec<Td3Config> {
    let both = |k| [Activation::Relu, Activation::Tanh].map(|activation| config(k, activation));
    [0, 2].into_iter().flat_map(both).collect()
}

/// Small ones, and the sizes of the papers on Ant.
fn cases() -> Vec<Td3Config> {
    let ant = Td3Config {
        observation: 27,
        action: 8,
        actor_hidden: vec![128, 128],
        critic_hidden: vec![256, 256],
        minibatch: 100,
        critic_rate: 3e-4,
        ..config(2, Activation::Relu)
    };
    [small(), vec![ant]].concat()
}

/// The processor, and a GPU where there is one.
fn devices() -> Vec<Device> {
    let gpu = cuda_available().then_some(Device::Cuda(0));
    [Device::Cpu].into_iter().chain(gpu).collect()
}

#[test]
fn every_network_and_moment_agrees_after_one_step_and_after_four() {
    cuda_available();
    let mut largest = 0.0f32;
    for c in cases() {
        let mut starts = vec![(trained(&c), "trained")];
        // With moments of zero Adam's first step is the sign of a gradient, however small: of the 75,000 of a critic of the
        // papers' size one is so near zero (4e-8 of the largest) that rounding decides, and moves by 1.1e-5.
        if c.minibatch < 100 {
            starts.push((Networks::new(&c, 3), "fresh"));
        }
        for (networks, start) in starts {
            for (steps, device) in [1, 4]
                .into_iter()
                .flat_map(|n| devices().into_iter().map(move |d| (n, d)))
            {
                let mut native = Native::new(&c, &networks);
                let mut torch = Torch::new(&c, &networks, device).unwrap();
                let batches = minibatches(&c, steps);
                let losses = [native.train(&batches).unwrap(), torch.train(&batches).unwrap()];
                assert_losses_agree(losses[0], losses[1]);
                let [a, b] = [native.networks().unwrap(), torch.networks().unwrap()];
                assert_eq!(a.actor_steps - networks.actor_steps, steps as u64 / 2);
                let what = format!("condition {}, {start}, {steps} steps, {device:?}", c.condition);
                largest = largest.max(assert_agree(&a, &b, &what));
            }
        }
    }
    println!("largest difference {largest:.1e} of the largest value");
}

#[test]
fn the_delay_counts_over_calls() {
    cuda_available();
    let c = config(2, Activation::Relu);
    let networks = trained(&c);
    let batches = minibatches(&c, 1);
    let mut torch = Torch::new(&c, &networks, Device::Cpu).unwrap();
    let mut native = Native::new(&c, &networks);
    for _ in 0..3 {
        assert_losses_agree(torch.train(&batches).unwrap(), native.train(&batches).unwrap());
    }
    assert_agree(&native.networks().unwrap(), &torch.networks().unwrap(), "three calls");
    assert_eq!(torch.networks().unwrap().actor_steps, 201);
}

#[test]
fn policies_that_improve_together_agree() {
    cuda_available();
    let mut largest = 0.0f32;
    for c in cases() {
        let ascent = Ascent {
            policy: Network {
                layers: vec![c.observation, 20, 12, c.action],
                hidden: c.actor_activation,
                output: Output::Tanh,
            },
            rate: 5e-3,
            steps: 5,
            minibatch: 30,
        };
        let (n, params) = (4, ascent.policy.params());
        let mut policies = vec![0.0; n * params];
        for (i, policy) in policies.chunks_exact_mut(params).enumerate() {
            ascent.policy.init(&Stream::new(5, Purpose::Init, 0, i as u64), policy);
        }
        let conditions = normals(7, 0.5, n * c.condition);
        let states = normals(8, 1.0, ascent.steps * ascent.minibatch * c.observation);
        let networks = trained(&c);
        let critic = &networks.critics[0];

        let mut a = policies.clone();
        let mut native = Native::new(&c, &networks);
        native.improve(&ascent, critic, &mut a, &conditions, &states).unwrap();
        assert!(difference(&policies, &a) > 1e-3, "they moved");
        for device in devices() {
            let mut b = policies.clone();
            let mut torch = Torch::new(&c, &networks, device).unwrap();
            torch.improve(&ascent, critic, &mut b, &conditions, &states).unwrap();
            let d = difference(&a, &b);
            assert!(d < TOLERANCE, "condition {}, {device:?}: {d:e}", c.condition);
            largest = largest.max(d);
            assert!(
                torch.networks().unwrap() == networks,
                "improving changes nothing else, and networks come back as they went in"
            );
        }
    }
    println!("largest difference {largest:.1e} of the largest value");
}

/// The critics' loss in double precision, straight from its definition.
fn critic_loss(c: &Td3Config, n: &Networks, b: &Minibatches, critics: &[Vec<f64>; 2]) -> f64 {
    let row = |values: &[f32], i: usize, width: usize| -> Vec<f64> {
        values[i * width..(i + 1) * width]
            .iter()
            .map(|x| f64::from(*x))
            .collect()
    };
    let wide = |params: &[f32]| params.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
    let [actor, critic] = [c.actor(), c.critic()];
    let mut loss = 0.0;
    for i in 0..c.minibatch {
        let d = row(&b.condition, i, c.condition);
        let next = row(&b.next_observation, i, c.observation);
        let mut action = forward(&actor, &wide(&n.actor_target), &[next.clone(), d.clone()].concat());
        for (a, noise) in action.iter_mut().zip(row(&b.noise, i, c.action)) {
            *a = (*a + noise).clamp(-1.0, 1.0);
        }
        let next = [next, action, d.clone()].concat();
        let value = |j: usize| forward(&critic, &wide(&n.critic_targets[j]), &next)[0];
        let y = f64::from(b.reward[i]) + c.discount * f64::from(b.continues[i]) * value(0).min(value(1));
        let taken = [row(&b.observation, i, c.observation), row(&b.action, i, c.action), d].concat();
        for critic_params in critics {
            loss += (forward(&critic, critic_params, &taken)[0] - y).powi(2);
        }
    }
    loss / c.minibatch as f64
}

/// The outputs of a network, in double precision.
fn forward(net: &Network, params: &[f64], inputs: &[f64]) -> Vec<f64> {
    let (mut x, mut at) = (inputs.to_vec(), 0);
    for (l, pair) in net.layers.windows(2).enumerate() {
        let [rows, columns] = [pair[0], pair[1]];
        let sum = |j: usize| {
            let products = (0..rows).map(|i| x[i] * params[at + i * columns + j]);
            products.sum::<f64>() + params[at + rows * columns + j]
        };
        let last = l + 2 == net.layers.len();
        let act = |v: f64| match (last, net.output, net.hidden) {
            (true, Output::Linear, _) => v,
            (true, Output::Tanh, _) | (false, _, Activation::Tanh) => v.tanh(),
            (false, _, Activation::Relu) => v.max(0.0),
        };
        x = (0..columns).map(|j| act(sum(j))).collect();
        at += (rows + 1) * columns;
    }
    x
}

#[test]
fn the_critics_gradient_is_the_slope_of_their_loss() {
    cuda_available();
    for c in small() {
        let networks = Networks::new(&c, 3);
        let batches = minibatches(&c, 1);
        let mut torch = Torch::new(&c, &networks, Device::Cpu).unwrap();
        let said = torch.train(&batches).unwrap().critic;
        let after = torch.networks().unwrap();
        let start = networks
            .critics
            .clone()
            .map(|p| p.into_iter().map(f64::from).collect::<Vec<f64>>());
        let loss = critic_loss(&c, &networks, &batches, &start);
        assert!((said - loss).abs() < 1e-5 * loss, "{said} {loss}");
        for (j, at) in [(0, 0), (0, 150), (1, 7), (1, 400), (0, 1400), (1, start[1].len() - 1)] {
            let h = 1e-5;
            let slope = [h, -h].map(|h| {
                let mut moved = start.clone();
                moved[j][at] += h;
                critic_loss(&c, &networks, &batches, &moved)
            });
            let slope = (slope[0] - slope[1]) / (2.0 * h);
            // The first moment of the first step is a tenth of the gradient.
            let gradient = 10.0 * f64::from(after.critic_moments[j][0][at]);
            assert!(
                (slope - gradient).abs() < 1e-4 * slope.abs().max(0.1),
                "{slope} {gradient}"
            );
        }
    }
}

#[test]
fn a_device_that_is_not_there_and_foreign_networks_are_refused_in_a_sentence() {
    cuda_available();
    let c = config(2, Activation::Relu);
    let networks = Networks::new(&c, 1);
    let refusal = |device, networks: &Networks| match Torch::new(&c, networks, device) {
        Err(Error::Input(said)) => said,
        other => panic!("{:?}", other.map(|learner| learner.device())),
    };
    let said = refusal(Device::Cuda(99), &networks);
    assert!(said.contains("CUDA device 99") && !said.contains('\n'), "{said}");
    if !cuda_available() {
        let said = refusal(Device::Cuda(0), &networks);
        assert!(said.contains("CUDA") && said.contains("native"), "{said}");
        println!("{said}");
    }
    let foreign = Networks::new(&config(0, Activation::Relu), 1);
    assert!(refusal(Device::Cpu, &foreign).contains("another run"));
    let mut torch = Torch::new(&c, &networks, Device::Cpu).unwrap();
    assert!(torch.load(&foreign).is_err());
    assert!(torch.device().starts_with("torch, CPU"), "{}", torch.device());
    // Minibatches that are too short are an error of libtorch, not the end of the process.
    let mut short = minibatches(&c, 2);
    short.reward.truncate(5);
    let said = torch.train(&short).unwrap_err().to_string();
    assert!(said.starts_with("libtorch failed") && !said.contains('\n'), "{said}");
}
