//! Gradients of adapters on the processor, by kernels of our own: the model's forward pass and its derivative, written out.
//!
//! The weights are those that answer, in their precision, packed once: products with their transpose are made from the same panels. Nothing is computed below
//! the lowest adapter, the head runs over wanted tokens alone, and texts lie one behind another without padding. Layers whose activations do not fit
//! [`KEPT`] keep their inputs and run once more on the way back. Every sum has one order, so bits depend neither on threads, nor on how texts are split into passes, nor
//! on what is kept.

mod adapters;
mod attention;
mod head;
mod layer;

use std::ops::Range;

use crate::model::{Cache, Native};

pub(super) use adapters::{Adapters, Numbers, Target};
use layer::{Activations, Buffers, Runner};

/// Bytes of activations that are kept for the way back, at most; layers beyond run again.
pub(super) const KEPT: usize = 1 << 30;

/// Texts of a pass, one behind another.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Texts {
    pub tokens: Vec<u32>,
    /// The tokens of each.
    pub segments: Vec<Range<usize>>,
    /// Tokens whose next is wanted, text by text.
    pub wanted: Vec<usize>,
    /// The tokens that follow there.
    pub targets: Vec<u32>,
    /// Of each text, its number in the batch and how many of `wanted` are its own.
    pub origin: Vec<(usize, usize)>,
}

/// What is asked of a pass.
pub(super) struct Question<'a> {
    /// By what logits are divided.
    pub temperature: f64,
    /// From the number of a wanted token and its log-probability, the derivative by it of what is differentiated; none if log-probabilities are all that is
    /// asked for.
    pub slope: Option<&'a (dyn Fn(usize, f32) -> f32 + Sync)>,
    /// Bytes that activations may take.
    pub kept: usize,
}

impl Question<'_> {
    pub fn new(temperature: f64) -> Self {
        Question {
            temperature,
            slope: None,
            kept: KEPT,
        }
    }
}

/// Buffers that passes use one after another.
#[derive(Default)]
pub(super) struct Room {
    buffers: Buffers,
    /// The inputs of each layer.
    inputs: Vec<Vec<f32>>,
    kept: Vec<Activations>,
    shared: Activations,
}

/// The log-probabilities of the wanted tokens of all passes, in their order. If slopes are given, the gradients of the adapters are added to those that they hold.
pub(super) fn run(
    model: &Native,
    adapters: &mut Adapters,
    passes: &[Texts],
    question: &Question,
    room: &mut Room,
) -> Vec<f32> {
    let longest = passes.iter().flat_map(|p| &p.segments).map(Range::len).max();
    let mut angles = Cache::new(&model.config);
    angles.reserve(0, longest.unwrap_or(0));
    let mut log_probs = Vec::new();
    for pass in passes {
        let mut runner = Runner {
            model,
            adapters,
            angles: &angles,
            texts: pass,
            buffers: &mut room.buffers,
        };
        let layers = model.config.layers;
        room.inputs.resize_with(layers + 1, Vec::new);
        // The layers from which something is to be kept: the highest, since they are needed first.
        let lowest = runner.adapters.lowest / crate::model::GROUPS.len();
        let room_for = question.kept / runner.activation_bytes().max(1);
        let whole = match question.slope {
            Some(_) => lowest.max(layers.saturating_sub(room_for)).min(layers)..layers,
            None => layers..layers,
        };
        room.kept.resize_with(whole.len(), Activations::default);
        runner.embed(&mut room.inputs[0]);
        for layer in 0..layers {
            let kept = match whole.contains(&layer) {
                true => &mut room.kept[layer - whole.start],
                false => &mut room.shared,
            };
            let (below, above) = room.inputs.split_at_mut(layer + 1);
            runner.forward(layer, &mut below[layer], kept, Some(&mut above[0]));
            if (question.slope.is_none() || layer < lowest) && layer + 2 <= layers {
                // Nothing comes back to here: the layer after the next takes this one's memory.
                room.inputs.swap(layer, layer + 2);
            }
        }
        let slope = question.slope.map(|of| {
            let first = log_probs.len();
            move |i: usize, log_prob: f32| of(first + i, log_prob)
        });
        let slope = slope.as_ref().map(|s| s as &(dyn Fn(usize, f32) -> f32 + Sync));
        log_probs.extend(runner.head(&mut room.inputs[layers], question.temperature, slope));
        if slope.is_none() {
            continue;
        }
        for layer in (lowest.min(layers)..layers).rev() {
            let kept = match whole.contains(&layer) {
                true => &mut room.kept[layer - whole.start],
                false => {
                    runner.forward(layer, &mut room.inputs[layer], &mut room.shared, None);
                    &mut room.shared
                }
            };
            runner.back(layer, &mut room.inputs[layer], kept);
        }
    }
    log_probs
}
