//! Training: `cargo bench -p illume-lm --features torch --bench train [-- cuda|medium]`. With `cuda`, adapters and gradients of SmolLM2-135M's shape on a GPU, with
//! `precision=f32` as the weights' or another, and the device's memory in use; with `seven` besides, adapters of Qwen2.5-7B's shape (60 GB of the processor's
//! memory, and 30 GB where TMPDIR says); with `medium`, SmolLM2's adapters by examples on the processor, beside the multiply-adds that they need and the most
//! memory that was taken.
//!
//! Tokens per second, on 1 and on all threads: a small model from scratch, its adapters by examples, and the gradient of sampled answers (with the
//! reference's pass). Then seconds to decompose the adapters of a 7B model (Qwen2.5's shape).

mod shapes;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use illume_core::{Answer, Credit, PolicyGradient, Purpose, Stream, Surrogate, mix64};
use illume_lm::{
    Checkpoint, Device, Example, Family, Lora, ModelConfig, Module, Precision, SearchKind, SearchSpace, Surrogates,
    SvdAdapter, TrainRow, TrainSettings, pretrain, random_weights, save_checkpoint, sft,
};
use shapes::{medium, precision};

const STEPS: u64 = 9;
const ROWS: usize = 128;
const LENGTH: usize = 48;

/// What is trained on one machine in minutes.
fn small() -> ModelConfig {
    ModelConfig {
        family: Family::Qwen2,
        vocab: 160,
        hidden: 128,
        layers: 4,
        heads: 4,
        kv_heads: 2,
        head_dim: 32,
        intermediate: 384,
        rms_eps: 1e-6,
        rope_theta: 1e4,
        rope_scaling: None,
        max_positions: 256,
        tied: true,
        attention_bias: true,
        eos: vec![2],
        bos: None,
        initializer_range: 0.02,
    }
}

/// Qwen2.5-7B.
fn seven() -> ModelConfig {
    ModelConfig {
        vocab: 152_064,
        hidden: 3584,
        layers: 28,
        heads: 28,
        kv_heads: 4,
        head_dim: 128,
        intermediate: 18_944,
        rope_theta: 1e6,
        max_positions: 32_768,
        tied: false,
        ..small()
    }
}

/// Texts of 32 to 48 tokens.
fn texts(step: u64) -> Vec<Example> {
    let token = |row: usize, t: usize| (mix64(step * 1_000_003 + (row * 64 + t) as u64) % 160) as u32;
    let length = |row: usize| LENGTH - row % 17;
    (0..ROWS)
        .map(|row| Example {
            tokens: (0..length(row)).map(|t| token(row, t)).collect(),
            answer_from: 0,
        })
        .collect()
}

/// Texts of 100 to 229 tokens, of which the second half is learned: about as word problems and their solutions are.
fn problems(step: u64) -> Vec<Example> {
    let one = |row: u64| {
        let length = 100 + (row * 37 + step * 11) % 130;
        Example {
            tokens: (0..length)
                .map(|t| (mix64(step << 40 | row << 20 | t) % 49_152) as u32)
                .collect(),
            answer_from: length as usize / 2,
        }
    };
    (0..16).map(one).collect()
}

/// Adapters of SmolLM2-135M's shape on the processor.
fn on_processor(threads: usize) {
    let config = medium();
    let dir = tempfile::tempdir().expect("a temporary folder");
    save_checkpoint(dir.path(), &config, &random_weights(&config, 1)).expect("a folder that can be written");
    let checkpoint = Checkpoint::open(dir.path()).expect("just written");
    let settings = TrainSettings {
        steps: 4,
        ..settings(threads)
    };
    for (name, modules) in [("attention", &Module::ATTENTION[..]), ("all maps", &Module::ALL)] {
        let (wall, cpu) = (Instant::now(), processor_seconds());
        let mut tokens = 0;
        let start = peak_memory();
        steps(&format!("adapters of rank 8, {name}, {threads} threads"), |report| {
            let fresh = Lora::fresh(&config, 8, 16.0, modules, 1).expect("a possible rank");
            let mut heard = |row: TrainRow| {
                tokens = row.tokens;
                report(row)
            };
            sft(&checkpoint, fresh, &mut problems, &settings, &mut heard).expect("texts fit");
        });
        // Forward and backward through all maps, and through the head for the half that is learned.
        let body = config.parameters() as f64 - (config.vocab * config.hidden) as f64;
        let products = tokens as f64 * 2.0 * (body + 0.5 * (config.vocab * config.hidden) as f64);
        let cpu = processor_seconds() - cpu;
        println!(
            "{:<44} {:>9.1} thousand million multiply-adds/s of processor time; {:.0} s, {cpu:.0} s of processors; memory {:.0} MB, before {start:.0} MB",
            "",
            products / cpu / 1e9,
            wall.elapsed().as_secs_f64(),
            peak_memory()
        );
    }
}

/// Seconds that this process has had processors.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<f64> = stat
        .split(' ')
        .skip(13)
        .take(2)
        .filter_map(|x| x.parse().ok())
        .collect();
    fields.iter().sum::<f64>() / 100.0
}

/// The most memory that this process has had, in MB.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().split(' ').next()?.parse::<f64>().ok())
        .unwrap_or(f64::NAN)
        / 1e3
}

fn on_device(config: &ModelConfig, device: Device, label: &str) {
    println!("{} parameters, {device:?}, {label}", config.parameters());
    let dir = tempfile::tempdir().expect("a temporary folder");
    save_checkpoint(dir.path(), config, &random_weights(config, 1)).expect("a folder that can be written");
    let checkpoint = Arc::new(Checkpoint::open(dir.path()).expect("just written"));
    let longest = config.max_positions.min(1024);
    let mut long = |step: u64| -> Vec<Example> {
        let token = |row: u64, t: u64| (mix64(step << 40 | row << 20 | t) % 160) as u32;
        let one = |row: u64| Example {
            tokens: (0..longest as u64).map(|t| token(row, t)).collect(),
            answer_from: longest / 2,
        };
        (0..8).map(one).collect()
    };
    let large = config.hidden > 1024;
    let settings = TrainSettings {
        device,
        precision: precision(label),
        steps: if large { 4 } else { STEPS },
        ..settings(0)
    };
    let mut lora = None;
    let lengths: [(_, &mut (dyn FnMut(u64) -> Vec<Example> + Send)); 2] =
        [("32 to 48", &mut texts), ("1024 at most", &mut long)];
    for (name, next) in lengths.into_iter().skip(usize::from(large)) {
        steps(&format!("adapters of rank 8, texts of {name}"), |report| {
            let fresh = Lora::fresh(config, 8, 16.0, &Module::ATTENTION, 1).expect("a possible rank");
            lora = Some(sft(&checkpoint, fresh, next, &settings, report).expect("texts fit"));
        });
        if let Some([free, all]) = illume_numerics::cuda::memory(0) {
            println!("{:<44} {:>9.0} MB of the device in use", "", (all - free) as f64 / 1e6);
        }
    }
    if large {
        return;
    }
    let lora = lora.expect("trained above");
    let space = Arc::new(SearchSpace::new(&lora, SearchKind::SingularValues, 1.0).expect("a trained adapter"));
    surrogate(&checkpoint, &space, 1, (device, precision(label)));
}

fn settings(threads: usize) -> TrainSettings {
    TrainSettings {
        steps: STEPS,
        warmup: 2,
        threads,
        ..TrainSettings::default()
    }
}

/// Runs `train`, and prints the median of its steps but the first.
fn steps(what: &str, train: impl FnOnce(&mut (dyn FnMut(TrainRow) -> ControlFlow<()> + Send))) {
    let (mut rates, mut last) = (Vec::new(), (0, 0.0));
    train(&mut |row: TrainRow| {
        if row.step > 0 {
            rates.push((row.tokens - last.0) as f64 / (row.seconds - last.1));
        }
        last = (row.tokens, row.seconds);
        ControlFlow::Continue(())
    });
    rates.sort_by(f64::total_cmp);
    println!("{what:<44} {:>9.0} tokens/s", rates[rates.len() / 2]);
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.iter().any(|w| w == "cuda") {
        if let Some(fault) = illume_numerics::cuda::missing(0) {
            panic!("no CUDA device: {fault}");
        }
        let label = words.iter().find_map(|w| w.strip_prefix("precision=")).unwrap_or("f32");
        let config = match words.iter().any(|w| w == "seven") {
            true => seven(),
            false => medium(),
        };
        return on_device(&config, Device::Cuda(0), label);
    }
    if words.iter().any(|w| w == "medium") {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        return on_processor(threads);
    }
    if words.iter().any(|w| w == "libtorch") {
        return on_device(&small(), Device::Cpu, "f32");
    }
    let config = small();
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    println!("{} parameters", config.parameters());
    let dir = tempfile::tempdir().expect("a temporary folder");
    for threads in [1, all] {
        let mut tensors = Vec::new();
        steps(&format!("from scratch, {threads} threads"), |report| {
            tensors = pretrain(&config, &mut texts, &settings(threads), report).expect("the texts fit the model");
        });
        save_checkpoint(dir.path(), &config, &tensors).expect("a folder that can be written");
    }
    let checkpoint = Arc::new(Checkpoint::open(dir.path()).expect("just written"));
    let mut lora = None;
    for threads in [1, all] {
        steps(&format!("adapters of rank 8, {threads} threads"), |report| {
            let fresh = Lora::fresh(&config, 8, 16.0, &Module::ATTENTION, 1).expect("a possible rank");
            lora = Some(sft(&checkpoint, fresh, &mut texts, &settings(threads), report).expect("texts fit"));
        });
    }
    let lora = lora.expect("trained above");
    for kind in [SearchKind::SingularValues, SearchKind::Adapters] {
        let space = Arc::new(SearchSpace::new(&lora, kind, 1.0).expect("a trained adapter"));
        for threads in [1, all] {
            surrogate(&checkpoint, &space, threads, (Device::Cpu, Precision::F32));
        }
    }
    for rank in [8, 32] {
        decompose(rank);
    }
}

fn surrogate(checkpoint: &Arc<Checkpoint>, space: &Arc<SearchSpace>, threads: usize, place: (Device, Precision)) {
    let prompts = Arc::new(|case| Some((0..24).map(|t| (case * 7 + t) % 160).collect()));
    let surrogates = Surrogates::new(checkpoint.clone(), space.clone(), prompts, 1.0, place.0);
    let surrogates = surrogates.of_answers(place.1, usize::MAX);
    let answer = |case: u32| Answer {
        case,
        tokens: (0..16).map(|t| (case * 3 + t) % 160).collect(),
        log_probs: vec![-5.0; 16],
        reward: 0.0,
    };
    let answers: Vec<Answer> = (0..ROWS as u32).map(answer).collect();
    let credit = |i: usize| Credit {
        advantage: (i % 3) as f32 - 1.0,
        weight: 1.0 / (16 * ROWS) as f32,
        old: vec![-5.0; 16],
    };
    let mut credits: Vec<Credit> = (0..ROWS).map(credit).collect();
    let genes = vec![0.0; space.dim()];
    let mut gradient = vec![0.0; space.dim()];
    let rule = Surrogate { clip: 0.2, kl: 0.04 };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    let pool = pool.expect("threads can be started");
    let mut seconds: Vec<f64> = (0..STEPS)
        .map(|_| {
            let start = Instant::now();
            pool.install(|| surrogates.add_gradient(&genes, &answers, &mut credits, &rule, &mut gradient))
                .expect("answers fit the model");
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    let what = format!("gradient, {:?}, {threads} threads", space.kind());
    println!(
        "{what:<44} {:>9.0} tokens/s",
        (ROWS * 40) as f64 / seconds[seconds.len() / 2]
    );
}

fn decompose(rank: usize) {
    let mut lora = Lora::fresh(&seven(), rank, 16.0, &Module::ATTENTION, 1).expect("a possible rank");
    for (number, target) in lora.targets.iter_mut().enumerate() {
        Stream::new(1, Purpose::Network, 2, number as u64).normals(0, target.b.values_mut());
    }
    let start = Instant::now();
    let svd = SvdAdapter::new(&lora).expect("a possible rank");
    let what = format!("decomposed, 7B, rank {rank}, {} factors", 2 * svd.targets.len());
    println!("{what:<44} {:>9.2} s", start.elapsed().as_secs_f64());
}
