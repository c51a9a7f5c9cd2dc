//! Outputs of many rows.

use rayon::prelude::*;

use super::Network;
use super::packed::{Plan, STRIP, Slots};
use super::trained::{Path, gather};
use crate::{Buffer, Level};

/// Strips that a thread takes at a time in [`Network::forward_rows`].
const CHUNK: usize = 16;

impl Network {
    /// Outputs `[n, outputs]` for inputs `[n, inputs]`, rows spread over threads; bit-equal for any number of them.
    pub fn forward_rows(&self, params: &[f32], inputs: &[f32]) -> Vec<f32> {
        let (width, outputs) = (self.inputs(), self.outputs());
        assert_eq!(inputs.len() % width, 0, "rows of {width} inputs");
        let plan = Plan::general(Level::best(), self);
        let mut packed = Buffer::new(plan.len());
        plan.pack(params, &mut packed);
        let mut slots = Slots::default();
        let mut path = Path::new(&plan, &mut slots);
        path.strip = slots.strip();
        let mut out = vec![0.0; inputs.len() / width * outputs];
        let rows = CHUNK * STRIP;
        let chunks = out.par_chunks_mut(rows * outputs).zip(inputs.par_chunks(rows * width));
        chunks.for_each_init(
            || Buffer::new(CHUNK * path.strip),
            |tape, (out, inputs)| {
                let count = out.len() / outputs;
                gather(tape, path.strip, (path.values[0], 0), (inputs, width), |s| {
                    (s * STRIP).min(count)..((s + 1) * STRIP).min(count)
                });
                plan.forward(&packed, tape, &path);
                let last = path.last();
                for (row, out) in out.chunks_exact_mut(outputs).enumerate() {
                    out.copy_from_slice(&tape[row / STRIP * path.strip + last.at + row % STRIP * last.ld..][..outputs]);
                }
            },
        );
        out
    }
}
