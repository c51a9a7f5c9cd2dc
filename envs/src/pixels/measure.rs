//! Parts of a pass one by one, for benchmarks.

use std::hint::black_box;
use std::time::Instant;

use illume_numerics::Level;

use super::{ConvNet, ConvScratch, pass};

/// The network, computed with other vector instructions than the best.
pub fn at_level(net: &ConvNet, level: Level) -> ConvNet {
    let mut net = net.clone();
    net.level = level;
    net
}

/// A part of a pass: its name, seconds, multiply-adds, bytes of weights that it read.
#[derive(Debug, Clone)]
pub struct Part {
    pub name: String,
    pub seconds: f64,
    pub products: usize,
    pub bytes: usize,
}

/// The median seconds of each part of a forward pass over `repeats`.
pub fn parts(net: &ConvNet, genes: &[f32], frames: &[u8], scratch: &mut ConvScratch, repeats: usize) -> Vec<Part> {
    let mut logits = vec![0.0; net.actions()];
    let mut parts: Vec<Part> = Vec::new();
    let mut add = |name: String, products, bytes, run: &mut dyn FnMut()| {
        run();
        let mut times: Vec<f64> = (0..repeats)
            .map(|_| {
                let start = Instant::now();
                run();
                start.elapsed().as_secs_f64()
            })
            .collect();
        times.sort_by(f64::total_cmp);
        let seconds = times[repeats / 2];
        parts.push(Part {
            name,
            seconds,
            products,
            bytes,
        });
    };
    add("pixels".into(), 0, 0, &mut || {
        pass::read(&net.convs[0], black_box(frames), &mut scratch.images[0]);
    });
    for (l, c) in net.convs.iter().enumerate() {
        let weights = c.terms() * c.outputs;
        let name = format!("conv {}@{}x{}/{}", c.outputs, c.kernel, c.kernel, c.stride);
        add(name, c.out_side * c.out_side * weights, 4 * weights, &mut || {
            pass::convolution(net, l, black_box(genes), scratch);
        });
    }
    let h = &net.hidden;
    let active = scratch.flat.iter().filter(|v| **v != 0.0).count() * h.outputs;
    add(
        format!("dense {}x{}", h.inputs, h.outputs),
        active,
        4 * active,
        &mut || {
            pass::hidden(net, black_box(genes), scratch);
        },
    );
    let o = &net.output;
    let size = o.inputs * o.outputs;
    add(format!("dense {}x{}", o.inputs, o.outputs), size, 4 * size, &mut || {
        pass::output(&genes[o.genes()], black_box(&scratch.units), &mut logits);
    });
    parts
}
