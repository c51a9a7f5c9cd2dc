//! One layer with its three passes, for `benches/learn.rs`.

use crate::noise::{Purpose, Stream};

use super::adam::Adam;
use super::kernel::{Backward, Forward, backward, forward};
use super::packed::{Act, Slots};
use super::trained::{Pass, Path, Trained, strips};
use super::{Activation, Network, Output};
use crate::Buffer;
use crate::Level;

/// A rectified layer, and the tape on which it works.
pub struct Product {
    net: Trained,
    tape: Buffer,
    path: Path,
    rows: usize,
}

impl Product {
    /// `rows` times `units` inputs times `units` outputs.
    pub fn new(rows: usize, units: usize) -> Product {
        // One input more in front: the inputs of a first layer have no derivatives.
        let net = Network {
            layers: vec![1, units, units],
            hidden: Activation::Relu,
            output: Output::Linear,
        };
        let mut params = vec![0.0; net.params()];
        net.init(&Stream::new(1, Purpose::Network, 0, 0), &mut params);
        let mut net = Trained::general(Level::best(), &net);
        net.set_params(&params);
        let mut slots = Slots::default();
        let mut path = Path::new(&net.plan, &mut slots);
        path.strip = slots.strip();
        let mut tape = Buffer::new(strips(rows) * path.strip);
        tape.fill(0.5);
        Product { net, tape, path, rows }
    }

    pub fn forward(&mut self) {
        let plan = &self.net.plan;
        let job = Forward {
            layer: plan.layers[1],
            params: &self.net.params[plan.layer_range(1)],
            tape: &mut self.tape,
            strip: self.path.strip,
            from: self.path.values[1],
            to: self.path.values[2],
            act: Act::Relu,
        };
        forward(plan.level, job);
    }

    pub fn backward(&mut self) {
        let plan = &self.net.plan;
        let job = Backward {
            layer: plan.layers[1],
            turned: &self.net.turned[plan.turned_range(1)],
            tape: &mut self.tape,
            strip: self.path.strip,
            from: self.path.deltas[1],
            to: self.path.deltas[0],
            by: self.path.values[1],
            act: Act::Relu,
        };
        backward(plan.level, job);
    }

    /// The gradient, Adam's step on it, and the new transpose.
    pub fn update(&mut self) {
        let pass = Pass {
            tape: &self.tape,
            rows: self.rows,
            path: &self.path,
            adam: Adam::new(1e-9, 1000),
        };
        self.net.step(&pass, None, 1);
    }
}
