//! A perceptron that gives back what it sees through a narrow layer, whose units are the code (Grillotti and Cully 2022 for AURORA; Paolo et al. 2020 for TAXONS).

use illume_core::{Activation, Batch, Network, Purpose, Result, Stream};
use illume_numerics::mlp::Output;

use super::course::{Learning, course};
use super::{Coder, EncoderParams, Key};
use crate::learn::Regression;

/// All units but the outputs pass through tanh, so that codes lie between -1 and 1.
pub(super) struct Autoencoder {
    whole: Network,
    /// The layers up to the code.
    front: Network,
    params: Vec<f32>,
    drawn: bool,
}

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

    /// Draws its weights, unless they are drawn.
    fn draw(&mut self, key: Key) {
        if !self.drawn {
            let stream = Stream::new(key.seed, Purpose::Network, 0, 0);
            self.whole.init(&stream, &mut self.params);
            self.drawn = true;
        }
    }
}

impl Coder for Autoencoder {
    fn in_words(&self) -> String {
        format!("an autoencoder of layers {:?}", self.whole.layers)
    }

    fn begin(&mut self, key: Key, _seen: &[f32]) {
        self.draw(key);
    }

    fn learn(&mut self, key: Key, settings: &EncoderParams, seen: &[f32]) {
        self.draw(key);
        let mut learning = Trained {
            whole: &self.whole,
            regression: Regression::new(self.whole.clone(), &self.params, settings.encoder_rate),
            params: self.params.clone(),
        };
        if let Some(best) = course(key, settings, (seen, self.whole.inputs()), &mut learning) {
            self.params = best;
        }
    }

    fn encode(&self, seen: &[f32], codes: &mut [f64]) {
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

    fn errors(&self, seen: &[f32], errors: &mut [f64]) {
        errors_of(&self.whole, &self.params, seen, errors);
    }

    fn save(&self, table: &mut Batch) {
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

    fn load(&mut self, table: &Batch) -> Result<()> {
        let weights = table.get::<f32>("weights")?;
        if weights.len() != self.params.len() {
            return Err(super::other("weights", weights.len(), self.params.len()));
        }
        self.params.copy_from_slice(weights);
        self.drawn = table.get::<u8>("drawn")?.first() == Some(&1);
        Ok(())
    }
}

/// How badly each example is given back, `[rows]`.
fn errors_of(whole: &Network, params: &[f32], seen: &[f32], errors: &mut [f64]) {
    let (mut units, mut back) = (whole.units(), vec![0.0; whole.outputs()]);
    for (seen, error) in seen.chunks_exact(whole.inputs()).zip(errors) {
        whole.forward(params, seen, &mut units, &mut back);
        let squares = seen.iter().zip(&back).map(|(x, y)| f64::from(x - y).powi(2));
        *error = squares.sum::<f64>() / back.len() as f64;
    }
}

/// Weights that learn.
struct Trained<'a> {
    whole: &'a Network,
    regression: Regression,
    params: Vec<f32>,
}

impl Learning for Trained<'_> {
    fn pass(&mut self, minibatch: usize, examples: &[f32]) -> f64 {
        let loss = self.regression.fit(minibatch, examples, examples);
        self.params = self.regression.params();
        loss
    }

    fn error(&self, seen: &[f32]) -> f64 {
        let mut errors = [0.0];
        errors_of(self.whole, &self.params, seen, &mut errors);
        errors[0]
    }

    fn params(&self) -> Vec<f32> {
        self.params.clone()
    }
}
