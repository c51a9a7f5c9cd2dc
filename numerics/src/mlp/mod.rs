//! Multi-layer perceptrons: their shape, their passes in both directions, and Adam's step.
//!
//! Parameters are flat, as genomes are: layer after layer the weights `[inputs, outputs]` row-major (the order of flax), then the bias `[outputs]`.
//!
//! There are two forward passes, which round differently on purpose. An episode's step has one input and weights that no other step shares:
//! [`Network::forward`] runs straight over flat parameters, and four partial sums a unit keep the multiply-adders busy. A minibatch has many rows for
//! the same weights: [`Network::forward_rows`] and the trainer pack the weights once, and ten rows side by side keep the multiply-adders busy with one
//! sum a unit.

mod adam;
mod batched;
mod climb;
mod head;
mod kernel;
#[doc(hidden)]
pub mod measure;
mod packed;
mod single;
mod team;
mod trained;

pub use adam::Adam;
pub use climb::Climb;
pub use packed::{Act, Plan, STRIP, Slot, Slots};
pub use single::Units;
pub use team::{awake, join};
pub use trained::{Pass, Path, Trained, by_strips, gather, strips};

use crate::noise::Stream;

/// What hidden units do with their sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    Tanh,
    Relu,
}

/// What output units do with their sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Linear,
    Tanh,
}

/// The shape of a multi-layer perceptron.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Units of every layer, input to output.
    pub layers: Vec<usize>,
    /// What hidden units do with their sums.
    pub hidden: Activation,
    pub output: Output,
}

impl Network {
    /// A policy's, whose outputs pass through tanh.
    pub fn policy(layers: Vec<usize>, hidden: Activation) -> Network {
        Network {
            layers,
            hidden,
            output: Output::Tanh,
        }
    }

    /// Weights and biases together: the genes of a genome.
    pub fn params(&self) -> usize {
        self.layers.windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum()
    }

    pub fn inputs(&self) -> usize {
        self.layers[0]
    }

    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1]
    }

    /// Draws first parameters `[params]`: weights by [`lecun_uniform`], biases 0.
    pub fn init(&self, stream: &Stream, out: &mut [f32]) {
        let mut at = 0;
        for pair in self.layers.windows(2) {
            let [weights, end] = [at + pair[0] * pair[1], at + (pair[0] + 1) * pair[1]];
            lecun_uniform(stream, at, pair[0], &mut out[at..weights]);
            out[weights..end].fill(0.0);
            at = end;
        }
    }

    /// The shape that is left when the last `k` inputs are fixed.
    pub fn folded(&self, k: usize) -> Network {
        let mut network = self.clone();
        network.layers[0] -= k;
        network
    }
}

/// The weights of a layer with `inputs` inputs, uniform in `±sqrt(3 / inputs)` (LeCun 1998), by the stream's numbers from `at` on.
pub fn lecun_uniform(stream: &Stream, at: usize, inputs: usize, weights: &mut [f32]) {
    let limit = (3.0 / inputs as f32).sqrt();
    stream.uniforms(at as u64, weights);
    weights.iter_mut().for_each(|x| *x = x.mul_add(2.0 * limit, -limit));
}

/// For a fixed condition `[k]`, the same network without its last k inputs ([`Network::folded`]): what their weights make of the condition goes
/// into the first layer's bias. Returns its flat parameters.
pub fn fold_condition(network: &Network, params: &[f32], condition: &[f32]) -> Vec<f32> {
    let kept = network.inputs() - condition.len();
    let units = network.layers[1];
    let (weights, rest) = params.split_at(network.inputs() * units);
    let (weights, folded) = weights.split_at(kept * units);
    let mut out = [weights, rest].concat();
    let bias = &mut out[kept * units..][..units];
    for (row, d) in folded.chunks_exact(units).zip(condition) {
        for (b, w) in bias.iter_mut().zip(row) {
            *b = w.mul_add(*d, *b);
        }
    }
    out
}
