//! Populations through one model: `cargo bench -p illume-lm --features torch --bench lm [-- small|large] [-- full]`.
//!
//! The words `low-rank` compare, in f32, members of rank 1 on all linear maps (EGGROLL) and members that differ in singular values with the same rows
//! without members, on SmolLM2-135M's shape (or the `small` model's), for `rows=96,256` rows, of which `each=1` share a member; medians of `repeats=3` runs
//! in turn, of prompts of `prompt=16` and answers of `new=9` tokens.
//!
//! With the word `generation` instead, a generation of ESSA through SmolLM2-135M's shape, greedily: `members=16`, `prompts=32` for each, of `prompt=40` tokens,
//! `new=16` tokens of answers, `precision=f32,bf16,int8`, and `repeats=5`, of which the median and the range are printed, precisions in turn. `base` leaves
//! the adapters away.
//!
//! With the word `cuda` on a GPU instead (`libtorch`: the same by libtorch on the processor), where `precision=f32,bf16,int8,int4`,
//! `rows=96,256`, `prompt=32` and `new=33` say what is measured: of each number of rows tokens per second of the population and of the base,
//! milliseconds of a pass that adds a token to every answer, and the device's memory in use; with `low-rank` members are those of EGGROLL, and `smollm2` is
//! another model.
//!
//! Tokens per second through models with drawn weights, of a population whose members differ in singular values (rank 8 on queries, keys,
//! values and outputs of all layers), one row a member, against the same rows without adapters, and against members one after another with
//! adapters merged into the weights (the time of merging is not counted, so this is the base model with one row at a time), and against the
//! base model by libtorch's kernels on the same threads.
//! With RAYON_NUM_THREADS=1 seconds are those that the thread ran, which others on the machine lengthen little.

mod shapes;

use std::sync::{Arc, LazyLock};
use std::time::Instant;

use illume_core::{LowRank, Perturbation, Purpose, Stream};
use illume_lm::{
    Array, Basis, BasisTarget, Device, Family, Generator, Model, ModelConfig, Module, Population, Precision, Query,
    Sampling,
};
use shapes::{INT4, medium, precision};

const RANK: usize = 8;
const MEMBERS: [u32; 2] = [24, 96];

/// Qwen2.5-0.5B.
fn large() -> ModelConfig {
    ModelConfig {
        family: Family::Qwen2,
        vocab: 151_936,
        hidden: 896,
        layers: 24,
        heads: 14,
        kv_heads: 2,
        head_dim: 64,
        intermediate: 4864,
        rms_eps: 1e-6,
        rope_theta: 1e6,
        rope_scaling: None,
        max_positions: 32_768,
        tied: true,
        attention_bias: true,
        eos: Vec::new(),
        bos: None,
        initializer_range: 0.02,
    }
}

/// What is trained on one machine in minutes.
fn small() -> ModelConfig {
    ModelConfig {
        vocab: 128,
        hidden: 128,
        layers: 4,
        heads: 4,
        kv_heads: 2,
        head_dim: 32,
        intermediate: 384,
        max_positions: 512,
        ..large()
    }
}

fn drawn(number: u64, shape: [usize; 2], base: f32, sd: f32) -> Array {
    let mut values = vec![0.0; shape[0] * shape[1]];
    Stream::new(2, Purpose::Perturbation, 0, number).normals(0, &mut values);
    values.iter_mut().for_each(|x| *x = *x * sd + base);
    Array::new(&shape, values)
}

fn population(config: &ModelConfig, members: usize) -> Population {
    let (mut targets, mut s_a, mut s_b) = (Vec::new(), Vec::new(), Vec::new());
    for layer in 0..config.layers {
        for module in Module::ATTENTION {
            let n = targets.len() as u64 * 8;
            let (inputs, outputs) = config.module_dims(module);
            let column = |rows: usize| 1.0 / (rows as f32).sqrt();
            targets.push(BasisTarget {
                layer,
                module,
                v_a: drawn(n, [inputs, RANK], 0.0, column(inputs)),
                inner: drawn(n + 1, [RANK, RANK], 0.0, column(RANK)),
                u_b: drawn(n + 2, [outputs, RANK], 0.0, column(outputs)),
            });
            s_a.push(drawn(n + 3, [members, RANK], 1.0, 0.1));
            s_b.push(drawn(n + 4, [members, RANK], 1.0, 0.1));
        }
    }
    Population::Singular {
        basis: Arc::new(Basis::new(2.0, targets).expect("shapes of the model")),
        s_a,
        s_b,
    }
}

/// Members of rank 1 on all linear maps.
fn low_rank(config: &ModelConfig, members: usize) -> Population {
    Population::LowRank(Perturbation {
        center: Arc::default(),
        sigma: 1e-3,
        seed: 1,
        generation: 0,
        first: 0,
        rows: 0,
        members,
        bounds: None,
        low_rank: Some(Arc::new(LowRank::new(1, &config.matrices()))),
    })
}

/// How long the texts are, and how often a measurement is made.
struct Plan {
    /// Prompts of each member, and their tokens.
    prompts: u32,
    prompt: usize,
    new: usize,
    repeats: usize,
    /// Whether libtorch's kernels for other precisions than f32 are measured too, of which some take minutes.
    libtorch: bool,
}

impl Plan {
    /// Tokens that go through the model: of the answers all but the last.
    fn tokens(&self, members: u32) -> f64 {
        f64::from(members * self.prompts) * (self.prompt + self.new - 1) as f64
    }
}

/// Members of low rank and members that differ in singular values, against the model alone.
fn by_low_rank(name: &str, config: &ModelConfig, words: &[String]) {
    let plan = Plan {
        prompts: 1,
        prompt: number(words, "prompt", 16) as usize,
        new: number(words, "new", 9) as usize,
        repeats: number(words, "repeats", 3) as usize,
        libtorch: false,
    };
    let each = number(words, "each", 1);
    println!(
        "\n{name}: {:.1} million parameters in f32, prompts of {}, answers of {}, {each} rows a member, {} threads",
        config.parameters() as f64 / 1e6,
        plan.prompt,
        plan.new,
        rayon::current_num_threads()
    );
    println!(
        "{:>6} {:>14} {:>22} {:>22}",
        "rows", "base, tokens/s", "rank 1, share (range)", "singular values"
    );
    let model = Arc::new(Model::random(config, Precision::F32, Device::Cpu, 1).expect("a valid shape"));
    for rows in named(words, "rows", "96,256") {
        let rows: u32 = rows.parse().unwrap_or_else(|_| panic!("\"{rows}\" is no number"));
        let members = rows.div_ceil(each) as usize;
        let mut generator = Generator::new(model.clone(), rows as usize);
        let populations = [Population::None, low_rank(config, members), population(config, members)];
        let (mut shares, mut base) = ([Vec::new(), Vec::new()], Vec::new());
        // The first turn makes buffers.
        for turn in 0..=plan.repeats {
            let [plain, others @ ..] = populations.each_ref().map(|population| {
                let member = |row: u32| if each == 1 { row } else { row / each };
                seconds_of(&mut generator, population, &plan, 0..rows, 0.0, member)
            });
            if turn > 0 {
                base.push(plan.tokens(rows) / plain);
                shares
                    .iter_mut()
                    .zip(others)
                    .for_each(|(shares, other)| shares.push(plain / other));
            }
        }
        let shown = shares.map(|mut shares| {
            shares.sort_by(f64::total_cmp);
            let (low, high) = (shares[0], shares[shares.len() - 1]);
            format!("{:.3} ({low:.3} to {high:.3})", shares[shares.len() / 2])
        });
        base.sort_by(f64::total_cmp);
        println!(
            "{rows:>6} {:>14.1} {:>22} {:>22}",
            base[base.len() / 2],
            shown[0],
            shown[1]
        );
    }
}

/// The values of a word `name=a,b`.
fn named(words: &[String], name: &str, default: &str) -> Vec<String> {
    let found = words.iter().find_map(|w| w.strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or(default).split(',').map(String::from).collect()
}

fn number(words: &[String], name: &str, default: u32) -> u32 {
    let text = &named(words, name, &default.to_string())[0];
    text.parse().unwrap_or_else(|_| panic!("\"{text}\" is no number"))
}

/// Seconds of one run.
fn seconds(generator: &mut Generator, population: &Population, plan: &Plan, members: std::ops::Range<u32>) -> f64 {
    seconds_at(generator, population, plan, members, 0.0)
}

fn seconds_at(
    generator: &mut Generator,
    population: &Population,
    plan: &Plan,
    members: std::ops::Range<u32>,
    temperature: f64,
) -> f64 {
    seconds_of(generator, population, plan, members, temperature, |row| row)
}

/// The same with the member of each row.
fn seconds_of(
    generator: &mut Generator,
    population: &Population,
    plan: &Plan,
    rows: std::ops::Range<u32>,
    temperature: f64,
    member: impl Fn(u32) -> u32,
) -> f64 {
    let vocab = generator.model().config().vocab as u64;
    let prompt =
        |row: u32| (0..plan.prompt as u64).map(move |i| (illume_core::mix64(u64::from(row) << 32 | i) % vocab) as u32);
    let rows = rows.start * plan.prompts..rows.end * plan.prompts;
    let prompts: Vec<Vec<u32>> = rows.clone().map(|row| prompt(row).collect()).collect();
    let stream = |row: u32| Stream::new(3, Purpose::Token, 0, u64::from(row));
    let query = |(row, prompt)| Query {
        prompt,
        member: member(row / plan.prompts),
        stream: stream(row),
    };
    let queries: Vec<Query> = rows.zip(prompts.iter().map(Vec::as_slice)).map(query).collect();
    let sampling = Sampling {
        temperature,
        top_p: 1.0,
        max_new_tokens: plan.new,
        stop: Vec::new(),
        stop_texts: None,
    };
    let start = clock();
    generator
        .generate(&queries, population, &sampling)
        .expect("a valid batch");
    clock() - start
}

/// Seconds: of the wall, or with one thread those that it ran, which others on the machine do not lengthen.
fn clock() -> f64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let ran = || -> Option<f64> {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
        Some(text.split(' ').next()?.parse::<f64>().ok()? * 1e-9)
    };
    match rayon::current_num_threads() {
        1 => ran().unwrap_or_else(|| START.elapsed().as_secs_f64()),
        _ => START.elapsed().as_secs_f64(),
    }
}

fn measure(name: &str, config: &ModelConfig, plan: &Plan) {
    println!(
        "\n{name}: {:.1} million parameters, prompts of {}, answers of {}, {} threads; tokens/s",
        config.parameters() as f64 / 1e6,
        plan.prompt,
        plan.new,
        rayon::current_num_threads()
    );
    println!(
        "{:>9} {:>9} {:>8} {:>12} {:>10} {:>8} {:>14} {:>8} {:>14}",
        "precision", "MB", "members", "population", "base", "share", "one at a time", "times", "libtorch, base"
    );
    for (label, precision) in [
        ("f32", Precision::F32),
        ("bf16", Precision::Bf16),
        ("int8", Precision::Int8),
        ("int4", INT4),
    ] {
        let lines = ours(config, plan, precision);
        let mut theirs = None;
        if plan.libtorch || precision == Precision::F32 {
            let model = Model::random_by_libtorch(config, precision, Device::Cpu, 1).expect("a valid shape");
            theirs = Some(Generator::new(model.into(), MEMBERS[1] as usize));
        }
        for (members, line) in MEMBERS.into_iter().zip(lines) {
            let rate = theirs
                .as_mut()
                .map(|g| plan.tokens(members) / seconds(g, &Population::None, plan, 0..members));
            println!(
                "{label:>9} {line} {:>14}",
                rate.map_or("-".into(), |r| format!("{r:.1}"))
            );
        }
    }
}

/// A line of numbers for each size of population.
fn ours(config: &ModelConfig, plan: &Plan, precision: Precision) -> [String; 2] {
    let model = Arc::new(Model::random(config, precision, Device::Cpu, 1).expect("a valid shape"));
    MEMBERS.map(|members| {
        let mut generator = Generator::new(model.clone(), members as usize);
        let population = population(config, members as usize);
        let tokens = plan.tokens(members);
        let mut alone = f64::INFINITY;
        let (mut with, mut without) = (f64::INFINITY, f64::INFINITY);
        seconds(&mut generator, &population, &Plan { new: 1, ..*plan }, 0..members);
        for _ in 0..plan.repeats {
            with = with.min(seconds(&mut generator, &population, plan, 0..members));
            without = without.min(seconds(&mut generator, &Population::None, plan, 0..members));
            // One member tells the speed of all.
            alone = alone.min(seconds(&mut generator, &Population::None, plan, 0..1) * f64::from(members));
        }
        format!(
            "{:>9.1} {members:>8} {:>12.1} {:>10.1} {:>8.3} {:>14.1} {:>8.1}",
            model.weight_bytes() as f64 / 1e6,
            tokens / with,
            tokens / without,
            without / with,
            tokens / alone,
            alone / with
        )
    })
}

fn numbers(words: &[String], name: &str, default: &str) -> Vec<u32> {
    let number = |text: &String| {
        text.parse::<u32>()
            .unwrap_or_else(|_| panic!("\"{text}\" is no number"))
    };
    named(words, name, default).iter().map(number).collect()
}

/// Answers that run at once: the most that a task takes on the processor.
const SLOTS: usize = 256;

/// A generation in each precision, as `words` say.
fn generation(words: &[String]) {
    let number = |name, default| numbers(words, name, default)[0];
    let members = number("members", "16");
    let plan = Plan {
        prompts: number("prompts", "32"),
        prompt: number("prompt", "40") as usize,
        new: number("new", "16") as usize,
        repeats: number("repeats", "5") as usize,
        libtorch: false,
    };
    let config = medium();
    println!(
        "SmolLM2-135M's shape: {members} members x {} prompts of {}, answers of {}, {} threads",
        plan.prompts,
        plan.prompt,
        plan.new,
        rayon::current_num_threads()
    );
    let population = match words.iter().any(|w| w == "base") {
        true => Population::None,
        false => population(&config, members as usize),
    };
    let labels = named(words, "precision", "f32,bf16,int8");
    let mut models: Vec<(Generator, Vec<f64>)> = labels
        .iter()
        .map(|label| {
            let model = Model::random(&config, precision(label), Device::Cpu, 1).expect("a valid shape");
            (Generator::new(model.into(), SLOTS), Vec::new())
        })
        .collect();
    for _ in 0..plan.repeats {
        for (generator, rates) in &mut models {
            rates.push(plan.tokens(members) / seconds(generator, &population, &plan, 0..members));
        }
    }
    for (label, (_, mut rates)) in labels.iter().zip(models) {
        rates.sort_by(f64::total_cmp);
        println!(
            "{label:>5} {:>8.1} tokens/s ({:.1} to {:.1}, {})",
            rates[rates.len() / 2],
            rates[0],
            rates[rates.len() - 1],
            rates.len()
        );
    }
}

/// A table of the model on a device.
fn on_device(name: &str, config: &ModelConfig, device: Device, words: &[String]) {
    let rows = numbers(words, "rows", "96,256");
    let number = |name, default| numbers(words, name, default)[0] as usize;
    let plan = Plan {
        prompts: 1,
        prompt: number("prompt", "32"),
        new: number("new", "33"),
        repeats: number("repeats", "2"),
        libtorch: true,
    };
    // Members of rank 1 on all linear maps in place of those that differ in singular values.
    let ranked = words.iter().any(|w| w == "low-rank");
    println!(
        "\n{name}: {:.1} million parameters on {device:?}, prompts of {}, answers of {}",
        config.parameters() as f64 / 1e6,
        plan.prompt,
        plan.new
    );
    println!(
        "{:>9} {:>9} {:>6} {:>12} {:>10} {:>7} {:>12} {:>10} {:>10} {:>9} {:>8}",
        "precision", "MB", "rows", "population", "base", "share", "population", "base", "base", "memory", "loading"
    );
    println!(
        "{:>9} {:>9} {:>6} {:>12} {:>10} {:>7} {:>12} {:>10} {:>10} {:>9} {:>8}",
        "", "", "", "tokens/s", "tokens/s", "", "ms a pass", "ms a pass", "drawn, ms", "in use MB", "s"
    );
    for label in named(words, "precision", "bf16") {
        let precision = precision(&label);
        let start = Instant::now();
        let model = Arc::new(Model::random_by_libtorch(config, precision, device, 1).expect("a valid shape"));
        let loading = start.elapsed().as_secs_f64();
        for rows in &rows {
            let mut generator = Generator::new(model.clone(), *rows as usize);
            let population = match ranked {
                true => low_rank(config, *rows as usize),
                false => population(config, *rows as usize),
            };
            let mut run = |population: &Population, new: usize, temperature: f64| {
                let plan = Plan { new, ..plan };
                let run = |_| seconds_at(&mut generator, population, &plan, 0..*rows, temperature);
                (0..plan.repeats.max(1)).map(run).fold(f64::INFINITY, f64::min)
            };
            run(&population, 2, 1.0);
            let pass = |all: f64, first: f64| 1e3 * (all - first) / (plan.new - 1).max(1) as f64;
            let mut of = |population: &Population, temperature: f64| {
                let first = run(population, 1, temperature);
                let all = run(population, plan.new, temperature);
                (plan.tokens(*rows) / all, pass(all, first))
            };
            let (with, without, drawn) = (
                of(&population, 0.0),
                of(&Population::None, 0.0),
                of(&Population::None, 1.0),
            );
            let memory = illume_numerics::cuda::memory(0).map_or(0, |[free, all]| all - free);
            println!(
                "{label:>9} {:>9.1} {rows:>6} {:>12.0} {:>10.0} {:>7.3} {:>12.3} {:>10.3} {:>10.3} {:>9.0} {loading:>8.1}",
                model.weight_bytes() as f64 / 1e6,
                with.0,
                without.0,
                with.0 / without.0,
                with.1,
                without.1,
                drawn.1,
                memory as f64 / 1e6
            );
        }
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let said = |word: &str| words.iter().any(|w| w == word);
    if said("cuda") || said("libtorch") {
        let device = match said("cuda") {
            true => {
                illume_numerics::cuda::missing(0).map_or(Device::Cuda(0), |fault| panic!("no CUDA device: {fault}"))
            }
            false => Device::Cpu,
        };
        tch::set_num_threads(rayon::current_num_threads() as i32);
        return match said("small") {
            true => on_device("small model", &small(), device, &words),
            false if said("smollm2") => on_device("SmolLM2-135M's shape", &medium(), device, &words),
            false => on_device("Qwen2.5-0.5B's shape", &large(), device, &words),
        };
    }
    tch::set_num_threads(rayon::current_num_threads() as i32);
    if said("low-rank") {
        return match said("small") {
            true => by_low_rank("small model", &small(), &words),
            false => by_low_rank("SmolLM2-135M's shape", &medium(), &words),
        };
    }
    let both = !said("small") && !said("large");
    let full = said("full");
    if said("generation") {
        return generation(&words);
    }
    let plan = |prompt, new, repeats, libtorch| Plan {
        prompts: 1,
        prompt,
        new,
        repeats,
        libtorch,
    };
    if both || said("small") {
        let plan = if full {
            plan(64, 128, 9, true)
        } else {
            plan(32, 64, 5, true)
        };
        measure("small model", &small(), &plan);
    }
    if both || said("large") {
        let plan = if full {
            plan(32, 33, 3, true)
        } else {
            plan(2, 4, 2, false)
        };
        measure("Qwen2.5-0.5B's shape", &large(), &plan);
    }
}
