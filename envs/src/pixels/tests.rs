//! Tests of networks and worker against a plain twin and known numbers.

use std::ops::Range;

use illume_core::{Dense, Genomes, Init, Purpose, Request, Scores, Status, Stream, TaskSpec, Worker};
use illume_numerics::Level;

use super::catch::{DROPS, STEPS};
use super::*;

pub fn params(network: &str, normalization: &str, reference_frames: usize) -> PixelPolicyParams {
    PixelPolicyParams {
        network: network.into(),
        normalization: normalization.into(),
        reference_frames,
        ..PixelPolicyParams::default()
    }
}

/// An initial genome whose biases are not 0.
pub fn genome(net: &ConvNet, seed: u64) -> Vec<f32> {
    let mut genes = vec![0.0; net.params()];
    net.init().draw(&Stream::new(seed, Purpose::Init, 0, 0), &mut genes);
    Stream::new(seed, Purpose::Variation, 0, 0).add_normals(0, 0.02, &mut genes);
    genes
}

pub fn pictures(count: usize, seed: u64) -> Vec<u8> {
    let mut words = vec![0; count * PIXELS];
    Stream::new(seed, Purpose::Episode, 0, 0).words(0, &mut words);
    words.iter().map(|w| (w >> 24) as u8).collect()
}

/// Batches of images `[height, width, channels]` in double precision.
type Images = Vec<Vec<f64>>;

/// The networks as the paper's program writes them, one sum at a time; padding is what lies outside of the image.
struct Twin<'a> {
    genes: &'a [f32],
    at: usize,
    /// Virtual batch normalization: the images in front of this number are the reference.
    reference: Option<usize>,
}

impl Twin<'_> {
    fn take(&mut self, n: usize) -> Vec<f64> {
        self.at += n;
        self.genes[self.at - n..self.at].iter().map(|g| f64::from(*g)).collect()
    }

    /// Adds what follows a layer's sums, `[.., outputs]`.
    fn finish(&mut self, mut sums: Images, outputs: usize) -> Images {
        let bias = self.take(outputs);
        for (o, bias) in bias.into_iter().enumerate() {
            if let Some(n) = self.reference {
                let all: Vec<f64> = sums[..n]
                    .iter()
                    .flat_map(|s| s.iter().skip(o).step_by(outputs))
                    .copied()
                    .collect();
                let mean = all.iter().sum::<f64>() / all.len() as f64;
                let variance = all.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / all.len() as f64;
                let scale = 1.0 / (variance + 1e-3).sqrt();
                sums.iter_mut()
                    .flat_map(|s| s.iter_mut().skip(o).step_by(outputs))
                    .for_each(|x| *x = (*x - mean) * scale);
            }
            sums.iter_mut()
                .flat_map(|s| s.iter_mut().skip(o).step_by(outputs))
                .for_each(|x| *x = (*x + bias).max(0.0));
        }
        sums
    }

    fn conv(&mut self, images: &Images, [side, inputs]: [usize; 2], [outputs, kernel, stride]: [usize; 3]) -> Images {
        let weights = self.take(kernel * kernel * inputs * outputs);
        let after = side.div_ceil(stride);
        // TensorFlow's SAME: all padding, the smaller half in front.
        let padding = ((after - 1) * stride + kernel - side) as isize / 2;
        let one = |image: &Vec<f64>| {
            let mut sums = vec![0.0; after * after * outputs];
            for (y, x, o) in (0..after).flat_map(|y| (0..after).flat_map(move |x| (0..outputs).map(move |o| (y, x, o))))
            {
                let mut sum = 0.0;
                for (ky, kx) in (0..kernel).flat_map(|ky| (0..kernel).map(move |kx| (ky, kx))) {
                    let (iy, ix) = (
                        (y * stride + ky) as isize - padding,
                        (x * stride + kx) as isize - padding,
                    );
                    if (0..side as isize).contains(&iy) && (0..side as isize).contains(&ix) {
                        let pixel = (iy as usize * side + ix as usize) * inputs;
                        let weight = (ky * kernel + kx) * inputs;
                        sum += (0..inputs)
                            .map(|i| image[pixel + i] * weights[(weight + i) * outputs + o])
                            .sum::<f64>();
                    }
                }
                sums[(y * after + x) * outputs + o] = sum;
            }
            sums
        };
        let sums = images.iter().map(one).collect();
        self.finish(sums, outputs)
    }

    fn product(&mut self, images: &Images, outputs: usize) -> Images {
        let weights = self.take(images[0].len() * outputs);
        let one = |image: &Vec<f64>| {
            (0..outputs)
                .map(|o| {
                    image
                        .iter()
                        .enumerate()
                        .map(|(i, x)| x * weights[i * outputs + o])
                        .sum()
                })
                .collect()
        };
        images.iter().map(one).collect()
    }
}

/// Logits of the last of `frames` by the twin; those before it are the reference batch, if there are any.
fn twin(network: &str, actions: usize, genes: &[f32], frames: &[u8]) -> Vec<f64> {
    let mut images: Images = frames
        .chunks_exact(PIXELS)
        .map(|f| f.iter().map(|p| f64::from(*p) / 255.0).collect())
        .collect();
    let reference = (images.len() > 1).then(|| images.len() - 1);
    let mut twin = Twin {
        genes,
        at: 0,
        reference,
    };
    images = if network == "large" {
        let x = twin.conv(&images, [84, 4], [32, 8, 4]);
        let x = twin.conv(&x, [21, 32], [64, 4, 2]);
        twin.conv(&x, [11, 64], [64, 3, 1])
    } else {
        let x = twin.conv(&images, [84, 4], [16, 8, 4]);
        twin.conv(&x, [21, 16], [32, 4, 2])
    };
    let units = if network == "large" { 512 } else { 256 };
    let sums = twin.product(&images, units);
    let hidden = twin.finish(sums, units);
    let mut logits = twin.product(&hidden, actions).pop().unwrap();
    let bias = twin.take(actions);
    assert_eq!(twin.at, genes.len());
    logits.iter_mut().zip(bias).for_each(|(l, b)| *l += b);
    logits
}

fn logits(net: &ConvNet, genes: &[f32], frames: &[u8]) -> Vec<f32> {
    let mut scratch = net.scratch();
    let mut logits = vec![9.0; net.actions()];
    // What an earlier individual and frame left behind must not matter.
    let other = genome(net, 99);
    net.begin(&other, &mut scratch);
    net.forward(&other, &pictures(1, 98), &mut scratch, &mut logits);
    net.begin(genes, &mut scratch);
    net.forward(genes, frames, &mut scratch, &mut logits);
    logits
}

/// The greatest difference, over the root of the mean square of the second.
pub fn distance(logits: &[f32], twin: &[f64]) -> f64 {
    let scale = (twin.iter().map(|t| t * t).sum::<f64>() / twin.len() as f64).sqrt();
    let differences = logits.iter().zip(twin).map(|(l, t)| (f64::from(*l) - t).abs());
    differences.fold(0.0, f64::max) / scale
}

#[test]
fn the_networks_have_the_parameters_that_the_program_counts() {
    let count = |network, normalization, actions| ConvNet::new(&params(network, normalization, 8), actions).params();
    assert_eq!(count("large", "none", 18), 4_052_658);
    assert_eq!(count("large", "none", 4), 4_045_476);
    assert_eq!(count("small", "none", 18), 1_008_450);
    // Normalization replaces nothing but what stands before the bias.
    assert_eq!(count("small", "virtual_batch", 18), 1_008_450);
}

#[test]
fn first_genomes_cover_every_gene_with_the_deviation_of_its_layer() {
    let net = ConvNet::new(&params("large", "none", 8), 18);
    let Init::Runs(runs) = net.init() else { panic!() };
    assert_eq!(runs.iter().map(|r| r.0).sum::<usize>(), net.params());
    let fan_in = [8.0 * 8.0 * 4.0, 4.0 * 4.0 * 32.0, 3.0 * 3.0 * 64.0, 7744.0, 51_200.0f32];
    for (l, fan_in) in fan_in.into_iter().enumerate() {
        assert!((runs[2 * l].1 * fan_in.sqrt() - 1.0).abs() < 1e-6, "layer {l}");
        assert_eq!(runs[2 * l + 1].1, 0.0, "biases of layer {l}");
    }
}

#[test]
fn the_kernel_agrees_with_a_plain_twin_in_double_precision() {
    for (network, actions) in [("large", 18), ("small", 18), ("small", 3), ("small", 17)] {
        let net = ConvNet::new(&params(network, "none", 8), actions);
        let (genes, frames) = (genome(&net, 1), pictures(1, 2));
        let d = distance(&logits(&net, &genes, &frames), &twin(network, actions, &genes, &frames));
        assert!(d < 1e-5, "{network}, {actions} actions: {d:e}");
    }
}

#[test]
fn virtual_batch_normalization_agrees_with_the_twin() {
    for network in ["small", "large"] {
        // A batch that no block of frames divides.
        let net = ConvNet::new(&params(network, "virtual_batch", 3), 5);
        let (genes, frames) = (genome(&net, 3), pictures(4, 4));
        let net = net.with_reference(frames[..3 * PIXELS].into());
        let d = distance(
            &logits(&net, &genes, &frames[3 * PIXELS..]),
            &twin(network, 5, &genes, &frames),
        );
        // The variance of few numbers may be small, and a division by its root magnifies.
        assert!(d < 1e-4, "{network}: {d:e}");
    }
}

#[test]
fn the_batched_product_of_many_frames_agrees_with_that_of_one() {
    // Were a sum of a block of frames wrong, so would the statistics be: 21 frames are two blocks and five.
    let net = ConvNet::new(&params("small", "virtual_batch", 21), 3);
    let (genes, frames) = (genome(&net, 5), pictures(22, 6));
    let net = net.with_reference(frames[..21 * PIXELS].into());
    let d = distance(
        &logits(&net, &genes, &frames[21 * PIXELS..]),
        &twin("small", 3, &genes, &frames),
    );
    assert!(d < 1e-5, "{d:e}");
}

#[test]
fn bits_do_not_depend_on_the_width_of_vectors() {
    for (network, normalization) in [("large", "none"), ("small", "none"), ("small", "virtual_batch")] {
        let mut net = ConvNet::new(&params(network, normalization, 2), 18);
        let (genes, frames) = (genome(&net, 7), pictures(3, 8));
        if normalization == "virtual_batch" {
            net = net.with_reference(frames[..2 * PIXELS].into());
        }
        let all: Vec<Vec<f32>> = Level::available()
            .into_iter()
            .map(|level| {
                net.level = level;
                logits(&net, &genes, &frames[2 * PIXELS..])
            })
            .collect();
        assert!(all.iter().all(|l| *l == all[0]), "{network}, {normalization}");
    }
}

#[test]
fn padding_lies_where_tensorflow_puts_it() {
    // Under weights of one a sum counts the inputs that a filter meets inside the image. Along an axis: [first, middle, last].
    let counts = [
        ("large", 0, 4, [6.0, 8.0, 6.0]),
        ("large", 1, 32, [3.0, 4.0, 2.0]),
        ("large", 2, 64, [2.0, 3.0, 2.0]),
    ];
    for (network, layer, inputs, along) in counts {
        let net = ConvNet::new(&params(network, "none", 8), 2);
        let mut scratch = net.scratch();
        let genes = vec![1.0; net.params()];
        let c = net.convs[layer];
        let width = c.side * inputs;
        for y in 0..c.side {
            let from = c.inside() + y * c.padded * inputs;
            scratch.images[layer][from..from + width].fill(1.0);
        }
        pass::convolution(&net, layer, &genes, &mut scratch);
        let next = net.convs.get(layer + 1);
        let value = |y: usize, x: usize| match next {
            Some(n) => scratch.images[layer + 1][n.inside() + (y * n.padded + x) * c.outputs + c.outputs - 1],
            None => scratch.flat[(y * c.out_side + x) * c.outputs + c.outputs - 1],
        };
        let ends = [0, c.out_side / 2, c.out_side - 1];
        for (i, y) in ends.into_iter().enumerate() {
            for (j, x) in ends.into_iter().enumerate() {
                // One more for the bias.
                assert_eq!(
                    value(y, x),
                    along[i] * along[j] * inputs as f32 + 1.0,
                    "layer {layer} at {y}, {x}"
                );
            }
        }
    }
}

#[test]
fn the_newest_frame_is_the_last_channel() {
    let mut frames = FrameStack::default();
    for shade in 1..=5 {
        frames.push(&[shade; SIDE * SIDE]);
    }
    assert_eq!(frames.pixels[..8], [2, 3, 4, 5, 2, 3, 4, 5]);
    frames.clear();
    frames.push(&[7; SIDE * SIDE]);
    assert_eq!(frames.pixels[PIXELS - 4..], [0, 0, 0, 7]);
}

#[test]
fn reference_frames_are_a_function_of_the_seed_and_span_episodes() {
    let of = |seed| reference_frames(&mut Catch::default(), STEPS as usize + 10, seed);
    let frames = of(1);
    assert_eq!(frames.len(), (STEPS as usize + 10) * PIXELS);
    assert_eq!(frames, of(1));
    assert_ne!(frames, of(2));
    // The first frame of the second episode has black ones behind it; the frame after it has two of its own.
    let oldest = |i: usize| frames[i * PIXELS..][..PIXELS].iter().step_by(STACK).any(|p| *p > 0);
    assert!(oldest(STEPS as usize - 1) && !oldest(STEPS as usize));
}

/// Gives reward 1 a step and ends in some way after three steps.
struct Ending(End, u32);

impl PixelEnv for Ending {
    fn actions(&self) -> usize {
        2
    }
    fn reset(&mut self, _: u64, frames: &mut FrameStack) {
        self.1 = 0;
        frames.clear();
    }
    fn step(&mut self, action: usize, _: &mut FrameStack) -> Step {
        assert!(action < 2);
        self.1 += 1;
        Step {
            reward: 1.0,
            end: if self.1 == 3 { self.0 } else { End::Running },
        }
    }
    fn descriptor(&mut self, out: &mut [f64]) {
        out.fill(f64::from(self.1));
    }
    fn screen(&self, _: &mut Vec<u8>) -> [usize; 2] {
        [0, 0]
    }
}

pub fn spec(net: &ConvNet, max_steps: u32, test_steps: u32) -> TaskSpec {
    TaskSpec {
        fitness: "score".into(),
        max_steps,
        test_steps,
        ..TaskSpec::new("toy", net.params(), net.init())
    }
}

/// (status, fitness, descriptor, steps) of each row.
pub type Rows = Vec<(u8, f64, [f64; 2], u32)>;

pub fn play(
    worker: &mut dyn Worker,
    genes: &[f32],
    dim: usize,
    seeds: &[u64],
    max_steps: u32,
    tests: Range<usize>,
) -> Rows {
    let data = genes.to_vec();
    let genomes = Genomes::Dense(Dense { dim, data });
    let request = Request {
        genomes: &genomes,
        seeds,
        max_steps,
        uncapped: 0..0,
        tests,
        normalization: None,
        observed: &[],
        network: None,
    };
    let n = seeds.len();
    let (mut status, mut fitness, mut descriptor, mut steps) = (vec![0; n], vec![0.0; n], vec![0.0; 2 * n], vec![0; n]);
    let mut scores = Scores {
        status: &mut status,
        fitness: &mut fitness,
        descriptor: &mut descriptor,
        steps: &mut steps,
        moments: &mut [],
        measures: &mut [],
        objectives: &mut [],
        trajectories: &mut [],
        features: &mut [],
    };
    worker.evaluate(&request, 0..n, &mut scores);
    let d = descriptor.as_chunks::<2>().0;
    (0..n).map(|i| (status[i], fitness[i], d[i], steps[i])).collect()
}

#[test]
fn limits_are_the_specs_and_the_requests_and_for_tests_their_own() {
    let net = ConvNet::new(&params("small", "none", 8), 3);
    let genes = genome(&net, 1).repeat(3);
    let spec = spec(&net, 20, 30);
    let mut worker = PixelWorker::new(Catch::default(), &net, &spec);
    let mut steps = |max_steps| {
        let rows = play(&mut worker, &genes, net.params(), &[1, 2, 3], max_steps, 1..2);
        rows.iter().map(|r| r.3).collect::<Vec<_>>()
    };
    assert_eq!(steps(u32::MAX), [20, 30, 20]);
    assert_eq!(steps(7), [7, 30, 7]);
}

#[test]
fn ends_of_all_kinds_give_their_status() {
    let net = ConvNet::new(&params("small", "none", 8), 2);
    let spec = spec(&net, 10, 10);
    let run = |end, gene: f32| {
        let mut worker = PixelWorker::new(Ending(end, 0), &net, &spec);
        play(
            &mut worker,
            &vec![gene; net.params()],
            net.params(),
            &[1],
            u32::MAX,
            0..0,
        )[0]
    };
    for end in [End::Terminated, End::Truncated] {
        assert_eq!(run(end, 0.0), (Status::Ok as u8, 3.0, [3.0; 2], 3));
    }
    assert_eq!(run(End::Running, 0.0), (Status::Ok as u8, 10.0, [10.0; 2], 10));
    assert_eq!(run(End::Failed, 0.0).0, Status::Failed as u8);
    for gene in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
        assert_eq!(
            run(End::Running, gene),
            (Status::NotFinite as u8, 0.0, [0.0; 2], 0),
            "{gene}"
        );
    }
}

#[test]
fn normalized_individuals_score_the_same_in_any_company() {
    let mut game = Catch::default();
    let net = ConvNet::new(&params("small", "virtual_batch", 4), 3);
    let net = net.with_reference(reference_frames(&mut game, 4, 1).into());
    let spec = spec(&net, 20, 20);
    let [a, b] = [genome(&net, 1), genome(&net, 2)];
    let mut worker = PixelWorker::new(game.clone(), &net, &spec);
    let together = play(
        &mut worker,
        &[&a[..], &a, &b, &a].concat(),
        net.params(),
        &[1, 2, 1, 1],
        u32::MAX,
        0..0,
    );
    assert_eq!(together[0], together[3]);
    for (row, (genes, seed)) in together.iter().zip([(&a, 1), (&a, 2), (&b, 1)]) {
        let mut fresh = PixelWorker::new(game.clone(), &net, &spec);
        assert_eq!(play(&mut fresh, genes, net.params(), &[seed], u32::MAX, 0..0)[0], *row);
    }
}

#[test]
fn squares_can_be_caught_by_who_looks_and_are_missed_by_who_does_not() {
    let mut game = Catch::default();
    let mut frames = FrameStack::default();
    let first = |frames: &FrameStack, shade: u8| {
        let newest = || frames.pixels.iter().skip(STACK - 1).step_by(STACK);
        newest().position(|p| *p == shade).map(|at| at % SIDE)
    };
    let mut play = |look: bool| {
        let mut caught = 0.0;
        for seed in 0..4 {
            game.reset(seed, &mut frames);
            for _ in 0..STEPS {
                let action = match (first(&frames, 255), first(&frames, 128)) {
                    (Some(square), Some(paddle)) if look && square < paddle => 1,
                    (Some(square), Some(paddle)) if look && square > paddle => 2,
                    _ => 0,
                };
                caught += game.step(action, &mut frames).reward;
            }
        }
        caught / f64::from(4 * DROPS)
    };
    let [looking, idle] = [play(true), play(false)];
    assert!(looking >= 0.9 && idle <= 0.5, "{looking} {idle}");
}

#[test]
fn a_hill_climber_learns_to_catch() {
    let net = ConvNet::new(&params("small", "none", 8), 3);
    let spec = spec(&net, STEPS, STEPS);
    let mut worker = PixelWorker::new(Catch::default(), &net, &spec);
    let seeds = [1, 2, 3];
    let mut score = |genes: &[f32]| {
        let rows = play(
            &mut worker,
            &genes.repeat(seeds.len()),
            net.params(),
            &seeds,
            u32::MAX,
            0..0,
        );
        rows.iter().map(|r| r.1).sum::<f64>()
    };
    let mut best = genome(&net, 1);
    let first = score(&best);
    let mut reached = first;
    for i in 0..60 {
        let mut child = best.clone();
        Stream::new(1, Purpose::Variation, 1, i).add_normals(0, 0.01, &mut child);
        let now = score(&child);
        if now >= reached {
            (best, reached) = (child, now);
        }
    }
    assert!(reached >= first + 3.0, "from {first} to {reached} of {}", 3 * DROPS);
}
