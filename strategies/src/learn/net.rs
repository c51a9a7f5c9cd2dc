//! The shape of a multi-layer perceptron, and what can be said of its flat parameters.

use illume_core::{Activation, Init, Stream, Weights};

/// What output units do with their sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Output {
    Linear,
    Tanh,
}

/// The shape of a multi-layer perceptron.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Net {
    /// Units of every layer, input to output.
    pub layers: Vec<usize>,
    /// What hidden units do with their sums.
    pub hidden: Activation,
    pub output: Output,
}

impl Net {
    /// Weights and biases together.
    pub fn params(&self) -> usize {
        self.layers.windows(2).map(|pair| (pair[0] + 1) * pair[1]).sum()
    }

    pub fn inputs(&self) -> usize {
        self.layers[0]
    }

    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1]
    }

    /// Draws first parameters `[params]`: weights uniform in `±sqrt(3 / inputs of the layer)` (LeCun), biases 0.
    pub fn init(&self, stream: &Stream, out: &mut [f32]) {
        let init = Init::Network {
            layers: self.layers.clone(),
            weights: Weights::LecunUniform,
        };
        init.draw(stream, out);
    }
}

/// Outputs `[n, outputs]` for inputs `[n, inputs]`, rows spread over threads; bit-equal for any number of them.
pub fn forward(net: &Net, params: &[f32], inputs: &[f32]) -> Vec<f32> {
    todo!("{net:?} {} {}", params.len(), inputs.len())
}

/// For a fixed condition `[k]`, the same network without its last k inputs: what their weights make of the condition goes into
/// the first layer's bias. Returns its flat parameters; `layers[0]` is less by k.
pub fn fold_condition(net: &Net, params: &[f32], condition: &[f32]) -> Vec<f32> {
    let kept = net.inputs() - condition.len();
    let units = net.layers[1];
    let (weights, rest) = params.split_at(net.inputs() * units);
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
