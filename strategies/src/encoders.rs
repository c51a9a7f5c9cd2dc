//! Encoders: what makes a few numbers, a learned descriptor, of what a task shows of a candidate.
//!
//! All kinds normalize what they see first. Principal components are exact. The autoencoder is a perceptron on the crate's own trainer whose middle layer is the code, the convolutional one is libtorch's; their minibatches are addressed by
//! (seed, generation), so that all ranks train alike, on any number of threads.

mod autoencoder;
#[cfg(feature = "torch")]
mod convolutional;
mod course;
mod principal;

use illume_core::{Batch, Error, Result, StrategyConfig, params};
use rayon::prelude::*;

use autoencoder::Autoencoder;
#[cfg(feature = "torch")]
use convolutional::Convolutional;
use principal::Principal;

params! {
    /// What learns descriptors.
    pub struct EncoderParams {
        /// What makes a descriptor of what is seen: the middle layer of an "autoencoder" or of a "convolutional" one of square pictures (by libtorch), or principal components ("pca").
        encoder: String = "autoencoder".into(), one_of(&["autoencoder", "convolutional", "pca"]);
        /// Numbers of a learned descriptor.
        latent: usize = 10, range(1, 1 << 10);
        /// What is seen is taken in units of its standard deviation, for each of the "features" by itself or over the "whole" (pictures).
        normalization: String = "features".into(), one_of(&["features", "whole"]);
        /// Units of the hidden layers of an "autoencoder" between what it sees and the descriptor; behind that they are mirrored.
        encoder_hidden: Vec<usize> = vec![64, 32], each(range(1, 65_536));
        /// Passes over the training examples at most.
        encoder_epochs: usize = 100, range(1, 1 << 20);
        /// Examples that a step of training learns from.
        encoder_batch: usize = 128, range(1, 1 << 20);
        /// Learning rate of the autoencoder's Adam.
        encoder_rate: f64 = 1e-3, positive();
        /// Share of the examples that are left out of training and say when it ends.
        encoder_validation: f64 = 0.25, range(0.0, 0.9);
        /// Passes after which training ends if the error of what was left out has not become less.
        encoder_patience: usize = 5, range(1, 1 << 20);
        /// Examples that are learned from at most, drawn among all.
        encoder_samples: usize = 10_000, range(2, 1 << 24);
    }
}

/// Makes learned descriptors.
pub(crate) struct Encoder {
    params: EncoderParams,
    inputs: usize,
    /// How often it has learned.
    learned: u64,
    /// Of what is seen, `[inputs]`.
    mean: Vec<f32>,
    deviation: Vec<f32>,
    coder: Box<dyn Coder>,
}

/// What makes codes of what is seen once that is normalized, and back.
trait Coder: Send + Sync {
    /// For the log.
    fn in_words(&self) -> String;

    /// Makes codes before it has learned: of `seen`, `[examples, inputs]`, or by weights that are drawn.
    fn begin(&mut self, key: Key, seen: &[f32]);

    /// Learns from `seen`, and goes on from what it knows.
    fn learn(&mut self, key: Key, settings: &EncoderParams, seen: &[f32]);

    /// Codes of rows, `[rows, latent]`.
    fn encode(&self, seen: &[f32], codes: &mut [f64]);

    /// The mean squared error of each row that is given back, `[rows]`.
    fn errors(&self, seen: &[f32], errors: &mut [f64]);

    /// Adds its columns to a table of one row.
    fn save(&self, table: &mut Batch);

    /// Goes back to these columns.
    ///
    /// # Errors
    /// Those of another encoder.
    fn load(&mut self, table: &Batch) -> Result<()>;
}

/// What a generation's training goes by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    pub seed: u64,
    pub generation: u64,
}

impl Encoder {
    /// One that sees so many numbers, and has learned nothing yet.
    ///
    /// # Errors
    /// A descriptor of more numbers than are seen.
    pub fn new(params: EncoderParams, inputs: usize) -> Result<Encoder> {
        if params.latent > inputs {
            let message = format!(
                "expected at most the {inputs} numbers that the task shows of a candidate, got {}",
                params.latent
            );
            return Err(Error::config("strategy", "latent", message));
        }
        let coder: Box<dyn Coder> = match params.encoder.as_str() {
            "pca" => Box::new(Principal::new(inputs, params.latent)),
            "convolutional" => convolutional(inputs, params.latent)?,
            _ => Box::new(Autoencoder::new(&params, inputs)),
        };
        Ok(Encoder {
            inputs,
            learned: 0,
            mean: vec![0.0; inputs],
            deviation: vec![1.0; inputs],
            coder,
            params,
        })
    }

    /// One that sees what the task of a strategy shows.
    ///
    /// # Errors
    /// A task that shows nothing, or less than the descriptor has numbers.
    pub fn of_task(strategy: &str, params: EncoderParams, config: &StrategyConfig<'_>) -> Result<Encoder> {
        if config.task.features == 0 {
            let message = format!(
                "\"{strategy}\" learns descriptors from what a task shows of a candidate, and task \"{}\" shows nothing: arm, redundant_arm and tasks whose policies observe something do",
                config.task.name
            );
            return Err(Error::config("strategy", "name", message));
        }
        let bytes = 4.0 * config.task.features as f64 * params.encoder_samples as f64;
        let what = format!(
            "{} examples of {} numbers",
            params.encoder_samples, config.task.features
        );
        config.memory.claim("strategy", "encoder_samples", bytes, &what)?;
        Encoder::new(params, config.task.features)
    }

    /// For the log.
    pub fn in_words(&self) -> String {
        let kind = self.coder.in_words();
        format!("{kind}, {} numbers of {}", self.params.latent, self.inputs)
    }

    pub fn inputs(&self) -> usize {
        self.inputs
    }

    pub fn latent(&self) -> usize {
        self.params.latent
    }

    /// How often it has learned.
    pub fn learned(&self) -> u64 {
        self.learned
    }

    /// Begins without learning: normalizes by what is seen, `[examples, inputs]`, and draws the autoencoder's weights; principal components are those of what is seen.
    pub fn begin(&mut self, key: Key, seen: &[f32]) {
        if seen.len() / self.inputs < 2 {
            return;
        }
        self.scale_by(seen);
        let normalized = self.normalize(seen);
        self.coder.begin(key, &normalized);
    }

    /// Learns from what is seen, `[examples, inputs]`, and goes on from what it knows.
    pub fn learn(&mut self, key: Key, seen: &[f32]) {
        let examples = seen.len() / self.inputs;
        if examples < 2 {
            return;
        }
        self.scale_by(seen);
        let normalized = self.normalize(seen);
        self.coder.learn(key, &self.params, &normalized);
        self.learned += 1;
    }

    /// Normalizes by what is seen from now on.
    fn scale_by(&mut self, seen: &[f32]) {
        let (mean, deviation) = moments(seen, self.inputs);
        if self.params.normalization == "whole" {
            let n = self.inputs as f64;
            let whole = mean.iter().sum::<f64>() / n;
            let between = mean.iter().map(|m| (m - whole).powi(2)).sum::<f64>() / n;
            let within = deviation.iter().map(|d| d * d).sum::<f64>() / n;
            self.mean.fill(whole as f32);
            self.deviation.fill(one_if_zero((between + within).sqrt()));
        } else {
            self.mean = mean.iter().map(|x| *x as f32).collect();
            self.deviation = deviation.iter().map(|x| one_if_zero(*x)).collect();
        }
    }

    fn normalize(&self, seen: &[f32]) -> Vec<f32> {
        let scales = self.mean.iter().zip(&self.deviation).cycle();
        seen.iter().zip(scales).map(|(x, (mean, sd))| (x - mean) / sd).collect()
    }

    /// Codes of what is seen, `[rows, latent]`.
    pub fn encode(&self, seen: &[f32]) -> Vec<f64> {
        let normalized = self.normalize(seen);
        let mut codes = vec![0.0; seen.len() / self.inputs * self.params.latent];
        let rows = codes.par_chunks_mut(64 * self.params.latent);
        rows.zip(normalized.par_chunks(64 * self.inputs))
            .for_each(|(codes, seen)| self.coder.encode(seen, codes));
        codes
    }

    /// How badly each row is given back from its code: the mean squared error of its normalized numbers, `[rows]`.
    pub fn errors(&self, seen: &[f32]) -> Vec<f64> {
        let normalized = self.normalize(seen);
        let mut errors = vec![0.0; seen.len() / self.inputs];
        let rows = errors.par_chunks_mut(64);
        rows.zip(normalized.par_chunks(64 * self.inputs))
            .for_each(|(errors, seen)| self.coder.errors(seen, errors));
        errors
    }

    /// What makes codes again: a table of one row.
    pub fn table(&self) -> Batch {
        let mut table = Batch::new();
        table.push("learned", 1, "", "times that it has learned", vec![self.learned]);
        let meaning = "mean of what is seen, which is taken off first";
        table.push("mean", self.inputs, "", meaning, self.mean.clone());
        let meaning = "standard deviation of what is seen, by which it is divided then";
        table.push("deviation", self.inputs, "", meaning, self.deviation.clone());
        self.coder.save(&mut table);
        table
    }

    /// Goes back to a [`Encoder::table`].
    ///
    /// # Errors
    /// One of another encoder.
    pub fn load(&mut self, table: &Batch) -> Result<()> {
        let of = |name: &str| -> Result<Vec<f32>> {
            let values = table.get::<f32>(name)?;
            match values.len() == self.inputs {
                true => Ok(values.to_vec()),
                false => Err(other(name, values.len(), self.inputs)),
            }
        };
        (self.mean, self.deviation) = (of("mean")?, of("deviation")?);
        self.learned = table.get::<u64>("learned")?.first().copied().unwrap_or(0);
        self.coder.load(table)
    }
}

/// An encoder of square pictures.
///
/// # Errors
/// What is seen is none, or there is no libtorch.
fn convolutional(pixels: usize, latent: usize) -> Result<Box<dyn Coder>> {
    #[cfg(feature = "torch")]
    {
        crate::learn::with_libtorch("encoder", "autoencoder")?;
        let coder = Convolutional::new(pixels, latent).ok_or_else(|| {
            let message = format!(
                "\"convolutional\" sees square pictures whose side is an even number above 5, and the task shows {pixels} numbers: expected task.features = \"picture\" where there is one, or \"autoencoder\""
            );
            Error::config("strategy", "encoder", message)
        })?;
        Ok(Box::new(coder))
    }
    #[cfg(not(feature = "torch"))]
    {
        let _ = (pixels, latent);
        let message = "\"convolutional\" needs libtorch, which this program was built without: expected \"autoencoder\" or \"pca\", or a build with the feature torch";
        Err(Error::config("strategy", "encoder", message))
    }
}

fn one_if_zero(deviation: f64) -> f32 {
    if deviation > 1e-6 { deviation as f32 } else { 1.0 }
}

/// An encoder that does not fit.
fn other(name: &str, found: usize, wanted: usize) -> Error {
    Error::failed(format!(
        "the encoder's '{name}' has {found} numbers, this run's has {wanted}: it is of another run"
    ))
}

/// Mean and standard deviation of each column.
fn moments(rows: &[f32], width: usize) -> (Vec<f64>, Vec<f64>) {
    let n = (rows.len() / width) as f64;
    let (mut mean, mut square) = (vec![0.0; width], vec![0.0; width]);
    for row in rows.chunks_exact(width) {
        mean.iter_mut().zip(row).for_each(|(sum, x)| *sum += f64::from(*x));
    }
    mean.iter_mut().for_each(|sum| *sum /= n);
    for row in rows.chunks_exact(width) {
        for ((sum, x), mean) in square.iter_mut().zip(row).zip(&mean) {
            *sum += (f64::from(*x) - mean).powi(2);
        }
    }
    square.iter_mut().for_each(|sum| *sum = (*sum / n).sqrt());
    (mean, square)
}

#[cfg(test)]
mod tests;
