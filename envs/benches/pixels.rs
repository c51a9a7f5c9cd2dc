//! Speed of the convolutional networks on one thread: `cargo bench -p illume-envs --bench pixels`. Medians, of what takes long the fastest; the limits
//! stand beside them.

use std::hint::black_box;
use std::time::Instant;

use illume_core::{Dense, Genomes, Purpose, Request, Scores, Stream, TaskSpec, Worker};
use illume_envs::pixels::{Catch, ConvNet, FrameStack, PIXELS, PixelEnv, PixelPolicyParams, PixelWorker, measure};
use illume_numerics::Level;

/// Bytes of the large network's weights, about.
const SIXTEEN_MB: usize = 4_000_000;

/// Median seconds of `run` over `repeats`.
fn median(repeats: usize, mut run: impl FnMut()) -> f64 {
    run();
    let mut times: Vec<f64> = (0..repeats)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[repeats / 2]
}

/// Seconds of the fastest run: for what takes longer than a thread is left alone on a busy machine.
fn fastest(repeats: usize, mut run: impl FnMut()) -> f64 {
    let once = || {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    std::iter::repeat_with(once).take(repeats).fold(f64::INFINITY, f64::min)
}

/// Reads all of it once, as fast as one thread can.
fn read(values: &[f32]) -> f32 {
    let mut sums = [0.0f32; 128];
    for line in values.as_chunks::<128>().0 {
        for (sum, v) in sums.iter_mut().zip(line) {
            *sum += v;
        }
    }
    sums.iter().sum()
}

fn params(network: &str, normalization: &str) -> PixelPolicyParams {
    PixelPolicyParams {
        network: network.into(),
        normalization: normalization.into(),
        ..PixelPolicyParams::default()
    }
}

fn genome(net: &ConvNet, index: u64) -> Vec<f32> {
    let mut genes = vec![0.0; net.params()];
    net.init().draw(&Stream::new(1, Purpose::Init, 0, index), &mut genes);
    genes
}

/// Frames with large dark and bright areas and a little noise, `[count, 84, 84, 4]`.
fn pictures(count: usize) -> Vec<u8> {
    let mut words = vec![0; count * PIXELS];
    Stream::new(2, Purpose::Episode, 0, 0).words(0, &mut words);
    let shade = |(i, w): (usize, &u32)| {
        let (y, x) = (i / 4 / 84 % 84, i / 4 % 84);
        let area = (y / 14 * 5 + x / 21 * 3) % 4;
        (area as u32 * 60 + w % 8) as u8
    };
    words.iter().enumerate().map(shade).collect()
}

fn rate(bytes: usize, seconds: f64) -> f64 {
    bytes as f64 / seconds * 1e-9
}

/// Both numbers that a plain read of the weights is limited by, printed.
fn limits() {
    let big: Vec<f32> = (0..SIXTEEN_MB).map(|i| i as f32).collect();
    let other = big.clone();
    let same = median(41, || {
        black_box(read(black_box(&big)));
    });
    let evicted = median(41, || {
        black_box(read(black_box(&big)));
        black_box(read(black_box(&other)));
    });
    println!(
        "a plain read of 16 MB: {:.2} ms, {:.1} GB/s; of two in turn: {:.1} GB/s",
        same * 1e3,
        rate(4 * SIXTEEN_MB, same),
        rate(8 * SIXTEEN_MB, evicted)
    );
}

/// Median seconds of a step, by one individual or by several in turn.
fn step(net: &ConvNet, genomes: &[Vec<f32>], frames: &[u8], repeats: usize) -> f64 {
    let (mut scratch, mut logits) = (net.scratch(), vec![0.0; net.actions()]);
    let mut step = 0;
    median(repeats, || {
        step += 1;
        let stack = &frames[step % (frames.len() / PIXELS) * PIXELS..][..PIXELS];
        net.forward(&genomes[step % genomes.len()], stack, &mut scratch, &mut logits);
        black_box(&logits);
    })
}

/// Seconds of a step of short episodes of the toy game, through the worker, and of the game alone.
fn episodes(network: &str) -> [f64; 2] {
    let net = ConvNet::new(&params(network, "none"), 3);
    let spec = TaskSpec {
        fitness: "squares caught".into(),
        max_steps: u32::MAX,
        test_steps: u32::MAX,
        ..TaskSpec::new("catch", net.params(), net.init())
    };
    let genomes = Genomes::Dense(Dense {
        dim: net.params(),
        data: genome(&net, 0),
    });
    let request = Request {
        genomes: &genomes,
        seeds: &[1],
        max_steps: 8,
        uncapped: 0..0,
        tests: 0..0,
        normalization: None,
        observed: &[],
        network: None,
    };
    let mut worker = PixelWorker::new(Catch::default(), &net, &spec);
    let (mut status, mut fitness, mut steps) = ([0], [0.0], [0]);
    let seconds = fastest(25, || {
        let mut scores = Scores {
            status: &mut status,
            fitness: &mut fitness,
            descriptor: &mut [0.0; 2],
            steps: &mut steps,
            moments: &mut [],
            measures: &mut [],
            objectives: &mut [],
            trajectories: &mut [],
            features: &mut [],
        };
        worker.evaluate(&request, 0..1, &mut scores);
    });
    let (mut game, mut frames) = (Catch::default(), FrameStack::default());
    let alone = fastest(25, || {
        game.reset(1, &mut frames);
        (0..steps[0]).for_each(|_| {
            black_box(game.step(1, &mut frames));
        });
    });
    [seconds, alone].map(|s| s / f64::from(steps[0]))
}

fn main() {
    limits();
    let frames = pictures(128);
    for network in ["large", "small"] {
        let net = ConvNet::new(&params(network, "none"), 18);
        let genomes = [genome(&net, 0), genome(&net, 1)];
        let one = step(&net, &genomes[..1], &frames, 201);
        let two = step(&net, &genomes, &frames, 201);
        println!(
            "{network}: {:.3} ms, {:.0} steps/s; two individuals in turn: {:.3} ms, {:.0} steps/s",
            one * 1e3,
            1.0 / one,
            two * 1e3,
            1.0 / two
        );
        for part in measure::parts(&net, &genomes[0], &frames[..PIXELS], &mut net.scratch(), 101) {
            println!(
                "    {:<18} {:7.1} us {:4.0} %  {:6.1} GFLOP/s  {:5.1} GB/s of weights",
                part.name,
                part.seconds * 1e6,
                part.seconds / one * 100.0,
                2e-9 * part.products as f64 / part.seconds,
                rate(part.bytes, part.seconds)
            );
        }
        let [together, game] = episodes(network);
        println!(
            "    episodes of a toy game: {:.3} ms a step, {:.3} ms of them the game's",
            together * 1e3,
            game * 1e3
        );
        for level in Level::available() {
            let repeats = if level == Level::available()[0] { 3 } else { 201 };
            let seconds = step(
                &measure::at_level(&net, level),
                &genomes[..1],
                &frames[..PIXELS],
                repeats,
            );
            println!("    {level:?}: {:.3} ms", seconds * 1e3);
        }
        let net = ConvNet::new(&params(network, "virtual_batch"), 18).with_reference(frames.clone().into());
        let mut scratch = net.scratch();
        let begin = fastest(25, || net.begin(black_box(&genomes[0]), &mut scratch));
        println!(
            "    virtual batch normalization over 128 frames: {:.1} ms an individual",
            begin * 1e3
        );
    }
}
