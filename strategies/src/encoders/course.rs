//! How an autoencoder is trained, whatever it is made of: as in AURORA's program (`network_loader_pytorch.hpp:67-155`), with Adam begun anew each time, weights kept, and an end when the error of what was left out has not become less for a while.

use illume_core::{Purpose, Stream};

use super::{EncoderParams, Key};

/// Weights that are being trained.
pub(super) trait Learning {
    /// One pass over these examples, `[steps * minibatch, inputs]`; returns the mean loss.
    fn pass(&mut self, minibatch: usize, examples: &[f32]) -> f64;

    /// The mean squared error of one example, `[inputs]`.
    fn error(&self, seen: &[f32]) -> f64;

    fn params(&self) -> Vec<f32>;
}

/// Examples of a stream beside each other in an epoch's order.
const ORDER: u64 = 1;

/// Trains on what is seen, `[examples, inputs]`, normalized; returns the weights that gave the least error, if any gave one.
pub(super) fn course(
    key: Key,
    settings: &EncoderParams,
    (seen, inputs): (&[f32], usize),
    learning: &mut dyn Learning,
) -> Option<Vec<f32>> {
    let order = |epoch: u64, index: u64, rows: &mut Vec<usize>| {
        let stream = Stream::new(key.seed, Purpose::Minibatch, key.generation, epoch << 8 | index);
        shuffle(&stream, rows);
    };
    let mut rows: Vec<usize> = (0..seen.len() / inputs).collect();
    order(0, 0, &mut rows);
    rows.truncate(settings.encoder_samples);
    let left_out = (rows.len() as f64 * settings.encoder_validation).floor() as usize;
    let validation = rows.split_off(rows.len() - left_out);
    // What has no whole minibatch is smaller than one.
    let minibatch = settings.encoder_batch.min(rows.len());
    let steps = rows.len() / minibatch;
    let (mut least, mut best, mut since) = (f64::INFINITY, None, 0);
    let mut examples = Vec::with_capacity(steps * minibatch * inputs);
    let example = |row: &usize| &seen[row * inputs..(row + 1) * inputs];
    for epoch in 1..=settings.encoder_epochs {
        order(epoch as u64, ORDER, &mut rows);
        examples.clear();
        rows[..steps * minibatch]
            .iter()
            .for_each(|row| examples.extend_from_slice(example(row)));
        let loss = learning.pass(minibatch, &examples);
        let error = match validation.is_empty() {
            true => loss,
            false => validation.iter().map(|row| learning.error(example(row))).sum::<f64>() / validation.len() as f64,
        };
        if error < least {
            (least, since) = (error, 0);
            best = Some(learning.params());
            continue;
        }
        since += 1;
        if since >= settings.encoder_patience {
            break;
        }
    }
    best
}

/// A random order (Fisher and Yates).
fn shuffle(stream: &Stream, rows: &mut [usize]) {
    for i in (1..rows.len()).rev() {
        rows.swap(i, stream.below(i as u64, i as u64 + 1) as usize);
    }
}
