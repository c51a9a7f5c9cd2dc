//! Parts of an iteration's learning of DCRL- and PGA-MAP-Elites on Ant: TD3 and policy-gradient variation with the `native` learner,
//! beside what the machine's multiply-adds and the passes over one layer of the critic's size can do.
//!
//! `cargo bench -p illume-strategies --bench learn`; behind `--`, part of a row's name selects rows, and a number the threads. With `--features
//! torch` the word `cuda` measures libtorch's learner on a GPU beside it (`libtorch`: on the processor).

use std::hint::black_box;
use std::time::Instant;

use illume_core::{Activation, Purpose, Stream};
use illume_numerics::mlp::measure::Product;
use illume_strategies::learn::{Ascent, Learner, Minibatches, Native, Network, Networks, Output, Td3Config};

/// Makes the learner that is measured.
type Maker<'a> = &'a dyn Fn(&Td3Config, &Networks) -> Box<dyn Learner>;

/// A tenth of an iteration's: short calls, so that their median leaves out what else the machine did.
const CRITIC_STEPS: usize = 300;
const ASCENT_STEPS: usize = 150;
/// An eighth of an iteration's.
const POLICIES: usize = 8;

const REPEATS: usize = 11;

/// Independent sums that keep the multiply-adders busy.
const CHAINS: usize = 10;

/// Multiply-adds of each sum.
const ROUNDS: usize = 20_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let (devices, arguments): (Vec<String>, Vec<String>) =
        arguments.into_iter().partition(|a| a == "cuda" || a == "libtorch");
    let (wanted, counts): (Vec<String>, Vec<String>) = arguments.into_iter().partition(|a| a.parse::<usize>().is_err());
    let mut counts: Vec<usize> = counts.iter().filter_map(|a| a.parse().ok()).collect();
    if counts.is_empty() {
        counts = (1..=std::thread::available_parallelism().map_or(1, usize::from).min(2)).collect();
    }
    println!("| work | threads | seconds, median of 11 | GFLOP/s | of the multiply-adds' rate |");
    println!("| --- | --- | --- | --- | --- |");
    for threads in counts {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads can be made");
        pool.install(|| {
            let mut table = Table::new(&wanted, threads);
            if threads == 1 {
                products(&mut table);
            }
            let (dcrl, pga) = (config(2), config(0));
            let seldom = Td3Config {
                target_delay: 2,
                ..config(2)
            };
            let rows = |make: Maker, where_: &str, table: &mut Table| {
                let all: &[usize] = if where_.is_empty() { &[] } else { &[64] };
                train(&format!("train, conditioned, 300 steps{where_}"), &dcrl, make, table);
                let name = format!("train, conditioned, 300 steps, targets every 2nd{where_}");
                train(&name, &seldom, make, table);
                for policies in [POLICIES].iter().chain(all) {
                    let name = format!("improve, conditioned, {policies} policies{where_}");
                    improve(&name, &dcrl, *policies, make, table);
                }
                train(&format!("train, PGA, 300 steps{where_}"), &pga, make, table);
                improve(
                    &format!("improve, PGA, 16 policies{where_}"),
                    &pga,
                    2 * POLICIES,
                    make,
                    table,
                );
            };
            let native: Maker = &|config, networks| Box::new(Native::new(config, networks));
            for device in &devices {
                by_libtorch(device, &rows, &mut table);
            }
            match devices.is_empty() {
                true => rows(native, "", &mut table),
                false => rows(native, ", native", &mut table),
            }
        });
    }
}

#[cfg(feature = "torch")]
fn by_libtorch(device: &str, rows: &dyn Fn(Maker, &str, &mut Table), table: &mut Table) {
    use illume_strategies::learn::{Torch, cuda_missing};
    let there = match device {
        "cuda" => cuda_missing(0).map_or(tch::Device::Cuda(0), |fault| panic!("no CUDA device: {fault}")),
        _ => tch::Device::Cpu,
    };
    let make: Maker =
        &|config, networks| Box::new(Torch::new(config, networks, there).expect("the device has been asked for"));
    rows(make, &format!(", {device}"), table);
}

#[cfg(not(feature = "torch"))]
fn by_libtorch(_: &str, _: &dyn Fn(Maker, &str, &mut Table), _: &mut Table) {
    panic!("this benchmark was built without --features torch");
}

/// Prints rows as they come.
struct Table<'a> {
    wanted: &'a [String],
    threads: usize,
    /// Floating-point operations a second of multiply-adds in registers.
    peak: f64,
}

impl Table<'_> {
    fn new(wanted: &[String], threads: usize) -> Table<'_> {
        let peak = f64::NAN;
        let mut table = Table { wanted, threads, peak };
        let operations = (2 * CHAINS * 16 * ROUNDS * threads) as f64;
        let time = table.row("multiply-adds in registers", operations, multiply_adds);
        table.peak = operations / time;
        table
    }

    fn wants(&self, work: &str) -> bool {
        self.wanted.is_empty() || self.wanted.iter().any(|part| work.contains(part.as_str()))
    }

    /// Times `f` and prints a row about its operations; returns the median.
    fn row(&self, work: &str, operations: f64, mut f: impl FnMut()) -> f64 {
        let mut times: Vec<f64> = (0..REPEATS)
            .map(|_| {
                let start = Instant::now();
                f();
                start.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let time = times[REPEATS / 2];
        let rate = operations / time;
        // The first row is the measure itself.
        let peak = if self.peak.is_nan() { rate } else { self.peak };
        println!(
            "| {work} | {} | {time:.4} | {:.1} | {:.0} % |",
            self.threads,
            rate / 1e9,
            100.0 * rate / peak
        );
        time
    }
}

/// The passes over the critic's middle layer, many times each.
fn products(table: &mut Table) {
    const TIMES: usize = 1000;
    const UNITS: usize = 256;
    const ROWS: usize = 100;
    let operations = (TIMES * 2 * ROWS * UNITS * UNITS) as f64;
    let mut product = Product::new(ROWS, UNITS);
    let mut pass = |name: &str, f: fn(&mut Product)| {
        let name = format!("product 100x256x256, {name}, 1000 times");
        if table.wants(&name) {
            table.row(&name, operations, || (0..TIMES).for_each(|_| f(&mut product)));
        }
    };
    pass("forward", Product::forward);
    pass("backward", Product::backward);
    pass("gradient and Adam", Product::update);
}

/// Ant's sizes.
fn config(condition: usize) -> Td3Config {
    Td3Config {
        observation: 29,
        action: 8,
        condition,
        actor_hidden: vec![128, 128],
        actor_activation: Activation::Relu,
        critic_hidden: vec![256, 256],
        minibatch: 100,
        actor_rate: 3e-4,
        critic_rate: 3e-4,
        discount: 0.99,
        tau: 0.005,
        delay: 2,
        target_delay: 1,
    }
}

fn weights(net: &Network) -> f64 {
    net.layers.windows(2).map(|p| (p[0] * p[1]) as f64).sum()
}

/// Weights behind the first layer, through which derivatives travel backwards.
fn inner(net: &Network) -> f64 {
    net.layers[1..].windows(2).map(|p| (p[0] * p[1]) as f64).sum()
}

/// Multiply-adds of one row through policy and critic, up and back, for the policy's gradient.
fn climb(policy: &Network, critic: &Network, action: usize) -> f64 {
    let back = inner(critic) + (action * critic.layers[1]) as f64;
    2.0 * weights(policy) + inner(policy) + weights(critic) + back
}

fn train(work: &str, config: &Td3Config, make: Maker, table: &mut Table) {
    if !table.wants(work) {
        return;
    }
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
    let mut learner = make(config, &Networks::new(config, 1));
    let (actor, critic) = (config.actor(), config.critic());
    let critic_step = weights(&actor) + 6.0 * weights(&critic) + 2.0 * inner(&critic);
    let row = critic_step + climb(&actor, &critic, config.action) / config.delay as f64;
    table.row(work, 2.0 * row * rows as f64, || {
        black_box(learner.train(&batches).expect("the device does not fail"));
    });
}

fn improve(work: &str, config: &Td3Config, policies: usize, make: Maker, table: &mut Table) {
    if !table.wants(work) {
        return;
    }
    let ascent = Ascent {
        policy: Network {
            layers: vec![config.observation, 128, 128, config.action],
            hidden: Activation::Relu,
            output: Output::Tanh,
        },
        rate: 5e-3,
        steps: ASCENT_STEPS,
        minibatch: config.minibatch,
    };
    let networks = Networks::new(config, 1);
    let mut learner = make(config, &networks);
    let mut genes = vec![0.0; policies * ascent.policy.params()];
    for (n, policy) in genes.chunks_exact_mut(ascent.policy.params()).enumerate() {
        ascent.policy.init(&Stream::new(1, Purpose::Init, 0, n as u64), policy);
    }
    let conditions = vec![0.5; policies * config.condition];
    let mut states = vec![0.0; ASCENT_STEPS * config.minibatch * config.observation];
    Stream::new(1, Purpose::Variation, 0, 9).normals(0, &mut states);
    let row = climb(&ascent.policy, &config.critic(), config.action);
    let rows = (policies * ASCENT_STEPS * config.minibatch) as f64;
    let mut climbed = genes.clone();
    table.row(work, 2.0 * row * rows, || {
        climbed.copy_from_slice(&genes);
        let result = learner.improve(&ascent, &networks.critics[0], &mut climbed, &conditions, &states);
        result.expect("the device does not fail");
        black_box(&climbed);
    });
}

/// On all threads at once.
fn multiply_adds() {
    rayon::broadcast(|_| black_box(spin(black_box(ROUNDS), black_box(0.5))));
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
