//! A perceptron that gives back what it sees through a narrow layer, whose units are the code (Grillotti and Cully 2022 for AURORA; Paolo et al. 2020 for TAXONS).
//! Training as in AURORA's program (`network_loader_pytorch.hpp:67-155`): Adam begun anew each time, weights kept, and an end when the error of what was left out has not become less for a while.

use illume_core::{Activation, Batch, Network, Purpose, Result, Stream};
use illume_numerics::mlp::Output;

use super::{EncoderParams, Key};
use crate::learn::Regression;

/// All units but the outputs pass through tanh, so that codes lie between -1 and 1.
pub(crate) struct Autoencoder {
    whole: Network,
    /// The layers up to the code.
    front: Network,
    params: Vec<f32>,
    drawn: bool,
}

/// Examples of a stream beside each other in an epoch's order.
const ORDER: u64 = 1;

impl Autoencoder {
    pub fn new(params: &EncoderParams, inputs: usize) -> Autoencoder {
        let before = [&[inputs], &*params.encoder_hidden, &[params.latent]].concat();
        let behind = before.iter().rev().skip(1).copied();
        let whole = Network {
            layers: before.iter().copied().chain(behind).collect(),
            hidden: Activation::Tanh,
            output: Output::Linear,
        };
        Autoencoder {
            params: vec![0.0; whole.params()],
            front: Network::policy(before, Activation::Tanh),
            whole,
            drawn: false,
        }
    }

    pub fn layers(&self) -> &[usize] {
        &self.whole.layers
    }

    /// Draws its weights, unless they are drawn.
    pub fn draw(&mut self, key: Key) {
        if !self.drawn {
            let stream = Stream::new(key.seed, Purpose::Network, 0, 0);
            self.whole.init(&stream, &mut self.params);
            self.drawn = true;
        }
    }

    /// `seen` are `[examples, inputs]`, normalized.
    pub fn learn(&mut self, key: Key, settings: &EncoderParams, seen: &[f32]) {
        let inputs = self.whole.inputs();
        self.draw(key);
        let examples = seen.len() / inputs;
        let order = |epoch: u64, index: u64, rows: &mut Vec<usize>| {
            shuffle(
                &Stream::new(key.seed, Purpose::Minibatch, key.generation, epoch << 8 | index),
                rows,
            );
        };
        let mut rows: Vec<usize> = (0..examples).collect();
        order(0, 0, &mut rows);
        rows.truncate(settings.encoder_samples);
        let left_out = (rows.len() as f64 * settings.encoder_validation).floor() as usize;
        let validation = rows.split_off(rows.len() - left_out);
        // What has no whole minibatch is smaller than one.
        let minibatch = settings.encoder_batch.min(rows.len());
        let steps = rows.len() / minibatch;
        let mut regression = Regression::new(self.whole.clone(), &self.params, settings.encoder_rate);
        let (mut least, mut best, mut since) = (f64::INFINITY, self.params.clone(), 0);
        let mut examples = Vec::with_capacity(steps * minibatch * inputs);
        for epoch in 1..=settings.encoder_epochs {
            order(epoch as u64, ORDER, &mut rows);
            examples.clear();
            for row in &rows[..steps * minibatch] {
                examples.extend_from_slice(&seen[row * inputs..(row + 1) * inputs]);
            }
            let loss = regression.fit(minibatch, &examples, &examples);
            self.params = regression.params();
            let error = match validation.is_empty() {
                true => loss,
                false => {
                    let errors = validation
                        .iter()
                        .map(|row| self.error(&seen[row * inputs..(row + 1) * inputs]));
                    errors.sum::<f64>() / validation.len() as f64
                }
            };
            if error < least {
                (least, since) = (error, 0);
                best.copy_from_slice(&self.params);
                continue;
            }
            since += 1;
            if since >= settings.encoder_patience {
                break;
            }
        }
        if least.is_finite() {
            self.params = best;
        }
    }

    fn error(&self, seen: &[f32]) -> f64 {
        let mut errors = [0.0];
        self.errors(seen, &mut errors);
        errors[0]
    }

    pub fn encode(&self, seen: &[f32], codes: &mut [f64]) {
        let (mut units, mut code) = (self.front.units(), vec![0.0; self.front.outputs()]);
        let rows = seen.chunks_exact(self.front.inputs());
        for (seen, codes) in rows.zip(codes.chunks_exact_mut(code.len())) {
            self.front
                .forward(&self.params[..self.front.params()], seen, &mut units, &mut code);
            codes
                .iter_mut()
                .zip(&code)
                .for_each(|(to, from)| *to = f64::from(*from));
        }
    }

    pub fn errors(&self, seen: &[f32], errors: &mut [f64]) {
        let (mut units, mut back) = (self.whole.units(), vec![0.0; self.whole.outputs()]);
        for (seen, error) in seen.chunks_exact(self.whole.inputs()).zip(errors) {
            self.whole.forward(&self.params, seen, &mut units, &mut back);
            let squares = seen.iter().zip(&back).map(|(x, y)| f64::from(x - y).powi(2));
            *error = squares.sum::<f64>() / back.len() as f64;
        }
    }

    pub fn save(&self, table: &mut Batch) {
        let layers: Vec<i64> = self.whole.layers.iter().map(|units| *units as i64).collect();
        let meaning = "units of the autoencoder's layers; the middle one is the code, hidden ones pass through tanh";
        table.push("layers", layers.len(), "", meaning, layers);
        table.push(
            "drawn",
            1,
            "",
            "whether weights have been drawn",
            vec![u8::from(self.drawn)],
        );
        let meaning = "layer after layer the weights [inputs, outputs], row by row, then the bias";
        table.push("weights", self.params.len(), "", meaning, self.params.clone());
    }

    pub fn load(&mut self, table: &Batch) -> Result<()> {
        let weights = table.get::<f32>("weights")?;
        if weights.len() != self.params.len() {
            return Err(super::other("weights", weights.len(), self.params.len()));
        }
        self.params.copy_from_slice(weights);
        self.drawn = table.get::<u8>("drawn")?.first() == Some(&1);
        Ok(())
    }
}

/// A random order (Fisher and Yates).
fn shuffle(stream: &Stream, rows: &mut [usize]) {
    for i in (1..rows.len()).rev() {
        rows.swap(i, stream.below(i as u64, i as u64 + 1) as usize);
    }
}
