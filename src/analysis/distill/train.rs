//! Behaviour cloning: a regression from (observation, descriptor) to the action of the elite in charge.

use std::f64::consts::PI;

use illume_core::Network;
use illume_core::{Purpose, Stream};
use illume_strategies::learn::Regression;
use rayon::prelude::*;

use super::dataset::Dataset;

/// How long and how fast.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Passes over the data at most.
    pub epochs: usize,
    /// Passes without a better validation loss after which training ends.
    pub patience: usize,
    pub minibatch: usize,
    /// Minibatches of a pass at least.
    pub least_steps: usize,
    /// Learning rate at the beginning; it falls along half a cosine to a hundredth at the last epoch.
    pub rate: f64,
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule {
            epochs: 20,
            patience: 10,
            minibatch: 64,
            least_steps: 1000,
            rate: 1e-3,
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Fitted {
    pub epochs: usize,
    /// Mean squared error over the last epoch.
    pub loss: f64,
    /// Mean squared error on what was held out, of the parameters that are kept.
    pub validation_loss: f64,
}

/// Minibatches gathered at a time.
const GATHERED: usize = 64;

/// Rows of a validation pass at a time.
const ROWS: usize = 1 << 14;

/// Trains `params` further, and leaves those of the best validation loss in it. `show(epoch, loss, validation loss)` is told after each epoch.
pub fn fit(
    net: &Network,
    params: &mut Vec<f32>,
    [data, held_out]: [&Dataset; 2],
    conditions: &[f32],
    schedule: &Schedule,
    [seed, round]: [u64; 2],
    mut show: impl FnMut(usize, f64, f64),
) -> Fitted {
    let mut regression = Regression::new(net.clone(), params, schedule.rate);
    let minibatch = schedule.minibatch.min(data.rows()).max(1);
    let mut best = Fitted {
        validation_loss: f64::INFINITY,
        ..Fitted::default()
    };
    let (mut inputs, mut targets) = (Vec::new(), Vec::new());
    // Little data is gone over several times in a pass.
    let repeats = (schedule.least_steps * minibatch).div_ceil(data.rows().max(1)).max(1);
    let mut order: Vec<u32> = (0..repeats).flat_map(|_| 0..data.rows() as u32).collect();
    let mut fitted = Fitted::default();
    let mut best_epoch = 0;
    for epoch in 0..schedule.epochs {
        shuffle(
            &mut order,
            &Stream::new(seed, Purpose::Replay, round, (1 << 32) + epoch as u64),
        );
        let (whole, mut sum, mut count) = (order.len() / minibatch * minibatch, 0.0, 0);
        for (part, rows) in order[..whole].chunks(GATHERED * minibatch).enumerate() {
            let done = (epoch as f64 + (part * GATHERED * minibatch) as f64 / whole as f64) / schedule.epochs as f64;
            regression.set_rate(schedule.rate * (0.01 + 0.99 * 0.5 * (1.0 + (PI * done).cos())));
            data.gather(rows, conditions, &mut inputs, &mut targets);
            let steps = rows.len() / minibatch;
            sum += regression.fit(minibatch, &inputs, &targets) * steps as f64;
            count += steps;
        }
        let now = regression.params();
        let validation_loss = match held_out.rows() {
            0 => sum / f64::from(count.max(1) as u32),
            _ => loss(net, &now, held_out, conditions),
        };
        fitted = Fitted {
            epochs: epoch + 1,
            loss: sum / f64::from(count.max(1) as u32),
            validation_loss,
        };
        show(epoch + 1, fitted.loss, validation_loss);
        if validation_loss < best.validation_loss {
            best = fitted;
            best_epoch = epoch;
            *params = now;
        } else if epoch - best_epoch >= schedule.patience {
            break;
        }
    }
    Fitted {
        validation_loss: best.validation_loss,
        ..fitted
    }
}

/// Mean squared error over all rows; NaN without any.
pub fn loss(net: &Network, params: &[f32], data: &Dataset, conditions: &[f32]) -> f64 {
    let (mut inputs, mut targets, mut sum) = (Vec::new(), Vec::new(), 0.0);
    let rows: Vec<u32> = (0..data.rows() as u32).collect();
    for rows in rows.chunks(ROWS) {
        data.gather(rows, conditions, &mut inputs, &mut targets);
        let outputs = net.forward_rows(params, &inputs);
        sum += outputs
            .iter()
            .zip(&targets)
            .map(|(y, t)| f64::from((y - t) * (y - t)))
            .sum::<f64>();
    }
    sum / data.actions.len() as f64
}

/// Fisher and Yates's shuffle.
fn shuffle(order: &mut [u32], stream: &Stream) {
    let draws: Vec<u32> = (1..order.len())
        .into_par_iter()
        .map(|i| stream.below(i as u64, i as u64 + 1) as u32)
        .collect();
    for (i, j) in (1..order.len()).zip(draws).rev() {
        order.swap(i, j as usize);
    }
}
