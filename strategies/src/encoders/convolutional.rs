//! A convolutional autoencoder of pictures, by libtorch: that of TAXONS and STAX (Paolo et al. 2020 and 2024; `core/auto_encoders/ae.py`, `ConvAE`, of `GPaolo/STAX`), for square pictures of one channel.
//!
//! Theirs halves 64 pixels four times, through 32, 64, 32 and 16 channels; here a picture is halved as often as its side allows and the last of these are taken (20 pixels: twice, 32 and 16). What is given back is not cut at 0, since pictures are normalized.
//! It computes on the CPU, pictures one by one where codes are asked for: what else is in a batch, and so how many ranks there are, changes no bit.

use illume_core::{Batch, Purpose, Result, Stream};
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Reduction, Tensor};

use super::course::{Learning, course};
use super::{Coder, EncoderParams, Key};

/// Channels behind each halving, of as many as there are the last.
const CHANNELS: [i64; 4] = [32, 64, 32, 16];
/// Pixels along a side of a kernel, of which one is beyond the edge; each halves the picture.
const KERNEL: i64 = 4;
/// A side of at most so many pixels is not halved again.
const SMALL: i64 = 5;

/// Its layers.
#[derive(Debug, Clone, PartialEq)]
struct Shape {
    side: i64,
    /// Of the picture, then behind each halving.
    channels: Vec<i64>,
    latent: i64,
}

impl Shape {
    /// Of so many pixels; none of those that are no square which can be halved.
    fn of(pixels: usize, latent: usize) -> Option<Shape> {
        let side = pixels.isqrt() as i64;
        let (mut left, mut halved) = (side, 0);
        while left % 2 == 0 && left > SMALL && halved < CHANNELS.len() {
            (left, halved) = (left / 2, halved + 1);
        }
        let channels = std::iter::once(1).chain(CHANNELS[CHANNELS.len() - halved..].iter().copied());
        (side * side == pixels as i64 && halved > 0).then(|| Shape {
            side,
            channels: channels.collect(),
            latent: latent as i64,
        })
    }

    fn pixels(&self) -> usize {
        numbers(&[self.side; 2])
    }

    /// Pixels along a side behind the last halving, and numbers in all channels there.
    fn narrow(&self) -> (i64, i64) {
        let halved = self.channels.len() - 1;
        let side = self.side >> halved;
        (side, self.channels[halved] * side * side)
    }

    /// Of each tensor: its shape, and how many numbers one of its layer's outputs is made of. Weights and biases in turn: to the code, and back.
    fn tensors(&self) -> Vec<(Vec<i64>, i64)> {
        let (_, narrow) = self.narrow();
        let window = KERNEL * KERNEL;
        let down = self.channels.windows(2).flat_map(|pair| {
            let [from, to] = [pair[0], pair[1]];
            [
                (vec![to, from, KERNEL, KERNEL], from * window),
                (vec![to], from * window),
            ]
        });
        let dense = [(self.latent, narrow), (narrow, self.latent)];
        let dense = dense
            .into_iter()
            .flat_map(|(to, from)| [(vec![to, from], from), (vec![to], from)]);
        let up = self.channels.windows(2).rev().flat_map(|pair| {
            let [to, from] = [pair[0], pair[1]];
            [(vec![from, to, KERNEL, KERNEL], to * window), (vec![to], to * window)]
        });
        down.chain(dense).chain(up).collect()
    }

    fn params(&self) -> usize {
        self.tensors().iter().map(|(shape, _)| numbers(shape)).sum()
    }

    /// Pictures `[n, pixels]` to codes `[n, latent]`.
    fn encode(&self, params: &[Tensor], pictures: &Tensor) -> Tensor {
        let mut x = pictures.view([-1, 1, self.side, self.side]);
        let halved = self.channels.len() - 1;
        for pair in params[..2 * halved].chunks_exact(2) {
            x = x.conv2d(&pair[0], Some(&pair[1]), [2; 2], [1; 2], [1; 2], 1).selu();
        }
        let dense = &params[2 * halved..];
        x.flatten(1, -1).linear(&dense[0], Some(&dense[1])).selu()
    }

    /// And back.
    fn decode(&self, params: &[Tensor], codes: &Tensor) -> Tensor {
        let halved = self.channels.len() - 1;
        let (side, _) = self.narrow();
        let behind = &params[2 * halved + 2..];
        let mut x = codes.linear(&behind[0], Some(&behind[1])).selu();
        x = x.view([-1, self.channels[halved], side, side]);
        for (layer, pair) in behind[2..].chunks_exact(2).enumerate() {
            x = x.conv_transpose2d(&pair[0], Some(&pair[1]), [2; 2], [1; 2], [0; 2], 1, [1; 2]);
            if layer + 1 < halved {
                x = x.selu();
            }
        }
        x.flatten(1, -1)
    }

    /// Weights one after another as tensors.
    fn filled(&self, weights: &[f32]) -> Vec<Tensor> {
        let mut rest = weights;
        let tensors = self.tensors().into_iter();
        tensors
            .map(|(shape, _)| {
                let (own, behind) = rest.split_at(numbers(&shape));
                rest = behind;
                Tensor::from_slice(own).view(shape.as_slice())
            })
            .collect()
    }
}

fn numbers(shape: &[i64]) -> usize {
    shape.iter().product::<i64>() as usize
}

/// Pictures through a few numbers and back.
pub(super) struct Convolutional {
    shape: Shape,
    weights: Vec<f32>,
    drawn: bool,
}

impl Convolutional {
    /// None where what is seen is no picture that it can halve.
    pub fn new(pixels: usize, latent: usize) -> Option<Convolutional> {
        let shape = Shape::of(pixels, latent)?;
        Some(Convolutional {
            weights: vec![0.0; shape.params()],
            shape,
            drawn: false,
        })
    }

    /// Draws its weights, unless they are drawn: uniformly, in ± 1 over the root of the numbers that an output is made of (PyTorch's default).
    fn draw(&mut self, key: Key) {
        if self.drawn {
            return;
        }
        let stream = Stream::new(key.seed, Purpose::Network, 0, 0);
        let mut at = 0;
        for (shape, inputs) in self.shape.tensors() {
            let bound = 1.0 / (inputs as f64).sqrt();
            for weight in &mut self.weights[at..at + numbers(&shape)] {
                *weight = (bound * (2.0 * stream.uniform(at as u64) - 1.0)) as f32;
                at += 1;
            }
        }
        self.drawn = true;
    }
}

impl Coder for Convolutional {
    fn in_words(&self) -> String {
        let behind = self.shape.channels.iter().enumerate().skip(1);
        let layers: Vec<String> = behind
            .map(|(halved, channels)| {
                let side = self.shape.side >> halved;
                format!("{channels} x {side} x {side}")
            })
            .collect();
        format!("a convolutional autoencoder of layers {}", layers.join(", "))
    }

    fn begin(&mut self, key: Key, _seen: &[f32]) {
        self.draw(key);
    }

    fn learn(&mut self, key: Key, settings: &EncoderParams, seen: &[f32]) {
        self.draw(key);
        let store = nn::VarStore::new(Device::Cpu);
        let filled = self.shape.filled(&self.weights).into_iter().enumerate();
        let params: Vec<Tensor> = filled
            .map(|(number, values)| store.root().var_copy(&format!("tensor_{number}"), &values))
            .collect();
        let optimizer = nn::Adam::default().build(&store, settings.encoder_rate);
        let mut learning = Trained {
            shape: &self.shape,
            params,
            optimizer: optimizer.expect("an optimizer of tensors that are there"),
        };
        let pixels = self.shape.pixels();
        if let Some(best) = course(key, settings, (seen, pixels), &mut learning) {
            self.weights = best;
        }
    }

    fn encode(&self, seen: &[f32], codes: &mut [f64]) {
        let params = self.shape.filled(&self.weights);
        let latent = self.shape.latent as usize;
        let pixels = self.shape.pixels();
        for (seen, codes) in seen.chunks_exact(pixels).zip(codes.chunks_exact_mut(latent)) {
            let code = tch::no_grad(|| self.shape.encode(&params, &Tensor::from_slice(seen)));
            code.to_kind(Kind::Double).copy_data(codes, latent);
        }
    }

    fn errors(&self, seen: &[f32], errors: &mut [f64]) {
        let params = self.shape.filled(&self.weights);
        let pixels = self.shape.pixels();
        for (seen, error) in seen.chunks_exact(pixels).zip(errors) {
            *error = error_of(&self.shape, &params, seen);
        }
    }

    fn save(&self, table: &mut Batch) {
        let meaning = "pixels along a side of the picture, then channels of it and behind each convolution, which halves the side";
        let layers: Vec<i64> = std::iter::once(self.shape.side)
            .chain(self.shape.channels.iter().copied())
            .collect();
        table.push("pictures", layers.len(), "", meaning, layers);
        let meaning = "whether weights have been drawn";
        table.push("drawn", 1, "", meaning, vec![u8::from(self.drawn)]);
        let meaning = "weights and bias of each layer as PyTorch has them: convolutions [outputs, inputs, 4, 4], the code [outputs, inputs], and back, transposed convolutions [inputs, outputs, 4, 4]; all but the last pass through SELU";
        table.push("weights", self.weights.len(), "", meaning, self.weights.clone());
    }

    fn load(&mut self, table: &Batch) -> Result<()> {
        let weights = table.get::<f32>("weights")?;
        if weights.len() != self.weights.len() {
            return Err(super::other("weights", weights.len(), self.weights.len()));
        }
        self.weights.copy_from_slice(weights);
        self.drawn = table.get::<u8>("drawn")?.first() == Some(&1);
        Ok(())
    }
}

/// The mean squared error of a picture that is given back.
fn error_of(shape: &Shape, params: &[Tensor], seen: &[f32]) -> f64 {
    tch::no_grad(|| {
        let picture = Tensor::from_slice(seen).unsqueeze(0);
        let back = shape.decode(params, &shape.encode(params, &picture));
        back.mse_loss(&picture, Reduction::Mean).double_value(&[])
    })
}

/// Tensors that learn.
struct Trained<'a> {
    shape: &'a Shape,
    params: Vec<Tensor>,
    optimizer: nn::Optimizer,
}

impl Learning for Trained<'_> {
    fn pass(&mut self, minibatch: usize, examples: &[f32]) -> f64 {
        let pixels = self.shape.pixels();
        let steps = examples.chunks_exact(minibatch * pixels);
        let count = steps.len() as f64;
        let losses = steps.map(|examples| {
            let pictures = Tensor::from_slice(examples).view([minibatch as i64, pixels as i64]);
            let back = self
                .shape
                .decode(&self.params, &self.shape.encode(&self.params, &pictures));
            let loss = back.mse_loss(&pictures, Reduction::Mean);
            self.optimizer.backward_step(&loss);
            loss.double_value(&[])
        });
        losses.sum::<f64>() / count
    }

    fn error(&self, seen: &[f32]) -> f64 {
        error_of(self.shape, &self.params, seen)
    }

    fn params(&self) -> Vec<f32> {
        let mut weights = Vec::with_capacity(self.shape.params());
        for tensor in &self.params {
            let at = weights.len();
            weights.resize(at + tensor.numel(), 0.0);
            tensor.detach().copy_data(&mut weights[at..], tensor.numel());
        }
        weights
    }
}
