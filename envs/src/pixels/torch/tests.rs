//! The batched networks against the own kernel, on libtorch's CPU device and on CUDA where there is one.

use tch::Device;

use super::SlotWorker;
use super::stack::Stack;
use crate::pixels::tests::{distance, genome, params, pictures, play, spec};
use crate::pixels::{Catch, ConvNet, PIXELS, PixelWorker, reference_frames};

/// Of the root of the logits' mean square.
const TOLERANCE: f64 = 1e-5;

fn devices() -> Vec<Device> {
    let gpu = illume_numerics::cuda::available().then_some(Device::Cuda(0));
    [Device::Cpu].into_iter().chain(gpu).collect()
}

fn nets() -> Vec<ConvNet> {
    let plain = ["large", "small"].map(|network| ConvNet::new(&params(network, "none", 8), 6));
    let normalized = ["large", "small"].map(|network| {
        let net = ConvNet::new(&params(network, "virtual_batch", 5), 6);
        net.with_reference(pictures(5, 77).into())
    });
    plain.into_iter().chain(normalized).collect()
}

#[test]
fn batched_networks_agree_with_the_own_kernel() {
    let (devices, mut largest) = (devices(), 0.0f64);
    for (net, device) in nets().iter().flat_map(|net| devices.iter().map(move |d| (net, *d))) {
        let frames = pictures(3, 3);
        let mut stack = Stack::new(net, 4, device).unwrap();
        let genomes = [0, 1, 2].map(|i| genome(net, i));
        for (slot, genes) in [3, 1, 2].into_iter().zip(&genomes) {
            stack.load(slot, genes).unwrap();
        }
        stack.copy(3, 0).unwrap();
        let mut logits = Vec::new();
        stack.logits(&frames, &mut logits).unwrap();
        let (mut scratch, mut own) = (net.scratch(), vec![0.0; net.actions()]);
        for (i, genes) in genomes.iter().enumerate() {
            net.begin(genes, &mut scratch);
            net.forward(genes, &frames[i * PIXELS..][..PIXELS], &mut scratch, &mut own);
            let own: Vec<f64> = own.iter().map(|l| f64::from(*l)).collect();
            let d = distance(&logits[i * net.actions()..][..net.actions()], &own);
            // Moments of five frames divide by small roots.
            let tolerance = if net.reference_wanted() > 0 {
                10.0 * TOLERANCE
            } else {
                TOLERANCE
            };
            largest = largest.max(d);
            assert!(d < tolerance, "{device:?}, slot {i} of {} genes: {d:e}", net.params());
            for (theirs, ours) in stack.moments(i).iter().zip(&scratch.moments) {
                let mean: Vec<f64> = ours.mean.iter().map(|m| f64::from(*m)).collect();
                assert!(distance(&theirs.mean, &mean) < tolerance);
            }
        }
    }
    println!("largest difference {largest:.1e} of the root of the logits' mean square");
}

#[test]
fn episodes_are_those_of_the_own_kernel_whatever_the_slots() {
    let mut game = Catch::default();
    let normalized = ConvNet::new(&params("small", "virtual_batch", 4), 3);
    let normalized = normalized.with_reference(reference_frames(&mut game, 4, 1).into());
    for net in [ConvNet::new(&params("small", "none", 8), 3), normalized] {
        let spec = spec(&net, 25, 40);
        let genes: Vec<f32> = (0..5).flat_map(|i| genome(&net, i)).collect();
        let seeds = [1, 2, 3, 4, 5];
        let mut own = PixelWorker::new(game.clone(), &net, &spec);
        let expected = play(&mut own, &genes, net.params(), &seeds, u32::MAX, 1..2);
        assert_eq!(expected.iter().map(|r| r.3).collect::<Vec<_>>(), [25, 40, 25, 25, 25]);
        for (slots, device) in [2, 3, 8]
            .into_iter()
            .flat_map(|n| devices().into_iter().map(move |d| (n, d)))
        {
            let mut worker = SlotWorker::new(&net, &spec, device, slots, || Ok(game.clone())).unwrap();
            // The second call finds what the first has left.
            for _ in 0..2 {
                let rows = play(&mut worker, &genes, net.params(), &seeds, u32::MAX, 1..2);
                assert_eq!(rows, expected, "{slots} slots, {device:?}");
            }
        }
    }
}

#[test]
fn a_genome_that_is_not_finite_spoils_nobody_elses_episode() {
    devices();
    let net = ConvNet::new(&params("small", "none", 8), 3);
    let spec = spec(&net, 10, 10);
    let mut genes: Vec<f32> = (0..3).flat_map(|i| genome(&net, i)).collect();
    genes[net.params()..2 * net.params()].fill(f32::NAN);
    let mut own = PixelWorker::new(Catch::default(), &net, &spec);
    let mut worker = SlotWorker::new(&net, &spec, Device::Cpu, 2, || Ok(Catch::default())).unwrap();
    let mut rows = |max_steps| {
        let expected = play(&mut own, &genes, net.params(), &[1, 2, 3], max_steps, 0..0);
        assert_eq!(
            play(&mut worker, &genes, net.params(), &[1, 2, 3], max_steps, 0..0),
            expected
        );
        expected
    };
    assert_eq!(rows(u32::MAX)[1], (1, 0.0, [0.0; 2], 0));
    // No step at all: nobody acts.
    assert!(rows(0).iter().all(|r| (r.0, r.3) == (0, 0)));
}
