//! One iteration's learning of DCRL- and PGA-MAP-Elites on Ant: TD3 and policy-gradient variation with the `native` learner,
//! beside what the machine's multiply-adds and a plain matrix product of the critic's size can do.
//!
//! `cargo bench -p illume-strategies --bench learn`

use std::hint::black_box;
use std::time::Instant;

use illume_core::{Activation, Purpose, Stream};
use illume_strategies::learn::{Ascent, Learner, Minibatches, Native, Net, Networks, Output, Td3Config};

const CRITIC_STEPS: usize = 3000;
const ASCENT_STEPS: usize = 150;
const POLICIES: usize = 64;

/// Independent sums that keep the multiply-adders busy.
const CHAINS: usize = 10;

fn main() {
    println!("| work | threads | seconds, median of n | GFLOP/s | of the multiply-adds' rate |");
    println!("| --- | --- | --- | --- | --- |");
    let most = std::thread::available_parallelism().map_or(1, usize::from);
    for threads in if most > 1 { vec![1, 2] } else { vec![1] } {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads can be made");
        pool.install(|| {
            let peak = median(3, || multiply_adds(threads));
            line("multiply-adds in registers", threads, 3, 0.0, peak, peak);
            let repeats = if threads == 1 { 1 } else { 3 };
            let dcrl = config(2, vec![128, 128]);
            train("train, conditioned", &dcrl, threads, repeats, peak);
            improve("improve, conditioned", &dcrl, POLICIES, threads, repeats, peak);
            let pga = config(0, vec![128, 128]);
            train("train, PGA", &pga, threads, 1, peak);
            improve("improve, PGA", &pga, 2 * POLICIES, threads, 1, peak);
        });
    }
}

fn line(work: &str, threads: usize, n: usize, seconds: f64, rate: f64, peak: f64) {
    println!(
        "| {work} | {threads} | {seconds:.3} ({n}) | {:.1} | {:.0} % |",
        rate / 1e9,
        100.0 * rate / peak
    );
}

fn median(n: usize, mut f: impl FnMut() -> f64) -> f64 {
    let mut values: Vec<f64> = (0..n).map(|_| f()).collect();
    values.sort_by(f64::total_cmp);
    values[n / 2]
}

fn seconds(f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_secs_f64()
}

/// Ant's sizes.
fn config(condition: usize, actor_hidden: Vec<usize>) -> Td3Config {
    Td3Config {
        observation: 29,
        action: 8,
        condition,
        actor_hidden,
        actor_activation: Activation::Relu,
        critic_hidden: vec![256, 256],
        minibatch: 100,
        actor_rate: 3e-4,
        critic_rate: 3e-4,
        discount: 0.99,
        tau: 0.005,
        delay: 2,
    }
}

fn weights(net: &Net) -> f64 {
    net.layers.windows(2).map(|p| (p[0] * p[1]) as f64).sum()
}

/// Weights behind the first layer, through which derivatives travel backwards.
fn inner(net: &Net) -> f64 {
    net.layers[1..].windows(2).map(|p| (p[0] * p[1]) as f64).sum()
}

/// Multiply-adds of one row through policy and critic, up and back, for the policy's gradient.
fn climb(policy: &Net, critic: &Net, action: usize) -> f64 {
    let back = inner(critic) + (action * critic.layers[1]) as f64;
    2.0 * weights(policy) + inner(policy) + weights(critic) + back
}

fn train(work: &str, config: &Td3Config, threads: usize, repeats: usize, peak: f64) {
    let rows = CRITIC_STEPS * config.minibatch;
    let normals = |index, len| {
        let mut out = vec![0.0; len];
        Stream::new(1, Purpose::Variation, 0, index).normals(0, &mut out);
        out
    };
    let batches = Minibatches {
        steps: CRITIC_STEPS,
        observation: normals(0, rows * config.observation),
        action: normals(1, rows * config.action)
            .iter()
            .map(|a: &f32| a.clamp(-1.0, 1.0))
            .collect(),
        condition: normals(2, rows * config.condition),
        reward: normals(3, rows),
        next_observation: normals(4, rows * config.observation),
        continues: vec![1.0; rows],
        noise: normals(5, rows * config.action).iter().map(|a| 0.2 * a).collect(),
    };
    let mut learner = Native::new(config, &Networks::new(config, 1));
    let time = median(repeats, || {
        seconds(|| {
            black_box(learner.train(&batches).expect("the processor does not fail"));
        })
    });
    let (actor, critic) = (config.actor(), config.critic());
    let critic_step = weights(&actor) + 6.0 * weights(&critic) + 2.0 * inner(&critic);
    let row = critic_step + climb(&actor, &critic, config.action) / config.delay as f64;
    line(work, threads, repeats, time, 2.0 * row * rows as f64 / time, peak);
}

fn improve(work: &str, config: &Td3Config, policies: usize, threads: usize, repeats: usize, peak: f64) {
    let ascent = Ascent {
        policy: Net {
            layers: vec![config.observation, 128, 128, config.action],
            hidden: Activation::Relu,
            output: Output::Tanh,
        },
        rate: 5e-3,
        steps: ASCENT_STEPS,
        minibatch: config.minibatch,
    };
    let networks = Networks::new(config, 1);
    let mut learner = Native::new(config, &networks);
    let mut genes = vec![0.0; policies * ascent.policy.params()];
    for (n, policy) in genes.chunks_exact_mut(ascent.policy.params()).enumerate() {
        ascent.policy.init(&Stream::new(1, Purpose::Init, 0, n as u64), policy);
    }
    let conditions = vec![0.5; policies * config.condition];
    let mut states = vec![0.0; ASCENT_STEPS * config.minibatch * config.observation];
    Stream::new(1, Purpose::Variation, 0, 9).normals(0, &mut states);
    let time = median(repeats, || {
        let mut genes = genes.clone();
        seconds(|| {
            let result = learner.improve(&ascent, &networks.critics[0], &mut genes, &conditions, &states);
            result.expect("the processor does not fail");
            black_box(&genes);
        })
    });
    let row = climb(&ascent.policy, &config.critic(), config.action);
    let rows = (policies * ASCENT_STEPS * config.minibatch) as f64;
    line(work, threads, repeats, time, 2.0 * row * rows / time, peak);
}

/// Multiply-adds a second, times two, on so many threads at once.
fn multiply_adds(threads: usize) -> f64 {
    const ROUNDS: usize = 20_000_000;
    let time = seconds(|| {
        rayon::broadcast(|_| black_box(spin(black_box(ROUNDS), black_box(0.5))));
    });
    (2 * CHAINS * 16 * ROUNDS * threads) as f64 / time
}

#[cfg(target_arch = "x86_64")]
fn spin(rounds: usize, x: f32) -> f32 {
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f")]
    fn wide(rounds: usize, x: f32) -> f32 {
        let (a, b) = (_mm512_set1_ps(x), _mm512_set1_ps(1.0 - x));
        let mut sums = [b; CHAINS];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, a, b);
            }
        }
        sums.into_iter().map(|sum| _mm512_reduce_add_ps(sum)).sum()
    }

    #[target_feature(enable = "avx2,fma")]
    fn medium(rounds: usize, x: f32) -> f32 {
        let (a, b) = (_mm256_set1_ps(x), _mm256_set1_ps(1.0 - x));
        let mut sums = [b; CHAINS];
        for _ in 0..2 * rounds {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, a, b);
            }
        }
        sums.into_iter().map(|sum| _mm256_cvtss_f32(sum)).sum()
    }

    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has just been asked.
        unsafe { wide(rounds, x) }
    } else if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: as above.
        unsafe { medium(rounds, x) }
    } else {
        f32::NAN
    }
}

/// Not known how to write it here; rates are printed without their share.
#[cfg(not(target_arch = "x86_64"))]
fn spin(_rounds: usize, _x: f32) -> f32 {
    f32::NAN
}
