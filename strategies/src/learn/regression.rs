//! Regression by minibatches: behaviour cloning.

use super::Net;

/// Trains a network on inputs and the outputs wanted for them, by Adam (0.9, 0.999, 1e-8) on the mean squared error.
pub struct Regression {
    net: Net,
    params: Vec<f32>,
    rate: f64,
}

impl Regression {
    /// Starts from `params` `[net.params()]` with learning rate `rate`.
    pub fn new(net: Net, params: &[f32], rate: f64) -> Regression {
        let params = params.to_vec();
        Regression { net, params, rate }
    }

    /// One Adam step for each of the consecutive minibatches in `inputs` `[steps * minibatch, inputs]` and `targets`
    /// `[steps * minibatch, outputs]`; returns the mean over steps of the mean squared error over rows and outputs, each before
    /// its step. Bit-equal for any number of threads.
    pub fn fit(&mut self, minibatch: usize, inputs: &[f32], targets: &[f32]) -> f64 {
        todo!("{:?} {} {} {}", self.net, minibatch, inputs.len(), targets.len())
    }

    pub fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }

    /// The present parameters, flat.
    pub fn params(&self) -> Vec<f32> {
        self.params.clone()
    }
}
