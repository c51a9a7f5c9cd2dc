//! Games seen as pixels: what one is, the convolutional networks that act in them, and the worker that scores genomes by episodes.
//!
//! Networks and preprocessing are those of Deep GA (Such et al. 2017, <https://arxiv.org/abs/1712.06567>) and its program,
//! `gpu_implementation/` of uber-research/deep-neuroevolution.

mod catch;
#[doc(hidden)]
pub mod measure;
mod net;
mod params;
mod pass;
#[cfg(test)]
mod tests;
#[cfg(feature = "torch")]
pub mod torch;
mod worker;

pub use catch::Catch;
pub use net::{ConvNet, ConvScratch};
pub use params::PixelPolicyParams;
pub use worker::{PixelWorker, chunk, worker};

use illume_core::{Purpose, Stream};

use crate::rollout::{End, Step};

/// Height and width of a frame in pixels.
pub const SIDE: usize = 84;
/// Frames that a network sees at once.
pub const STACK: usize = 4;
/// Numbers in a stack of frames.
pub const PIXELS: usize = SIDE * SIDE * STACK;

/// The last four frames.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameStack {
    /// `[84, 84, 4]`, the newest frame as channel 3; grey, 255 is white.
    pub pixels: Vec<u8>,
}

impl Default for FrameStack {
    fn default() -> FrameStack {
        FrameStack {
            pixels: vec![0; PIXELS],
        }
    }
}

impl FrameStack {
    /// Black frames, as before the first one of an episode.
    pub fn clear(&mut self) {
        self.pixels.fill(0);
    }

    /// Makes `frame` `[84, 84]` the newest; the oldest goes.
    ///
    /// # Panics
    /// The frame has another size.
    pub fn push(&mut self, frame: &[u8]) {
        assert_eq!(frame.len(), SIDE * SIDE, "pixels of a frame");
        for (stack, new) in self.pixels.as_chunks_mut::<STACK>().0.iter_mut().zip(frame) {
            *stack = [stack[1], stack[2], stack[3], *new];
        }
    }
}

/// A game as the network meets it. Each thread has its own.
pub trait PixelEnv: Send {
    /// Actions to choose from, at least 1.
    fn actions(&self) -> usize;

    /// Starts an episode; everything random in it is keyed by `seed` (core `Stream`, `Purpose::Episode`). Clears `frames` and pushes the first one.
    fn reset(&mut self, seed: u64, frames: &mut FrameStack);

    /// One step under action number `action`; pushes the next frame.
    fn step(&mut self, action: usize, frames: &mut FrameStack) -> Step;

    /// The descriptor of the episode so far, `[descriptor_dim]`.
    fn descriptor(&mut self, out: &mut [f64]);

    /// What a person would see: RGB rows, of the width and height returned.
    fn screen(&self, rgb: &mut Vec<u8>) -> [usize; 2];
}

/// Stacks of frames met in random play, `[count, 84, 84, 4]`: the reference batch of virtual batch normalization.
///
/// As in the original's `get_ref_batch`: the frames after each step under uniform actions, episode after episode, neighbours in time included.
pub fn reference_frames(env: &mut impl PixelEnv, count: usize, seed: u64) -> Vec<u8> {
    let actions = Stream::new(seed, Purpose::Reference, 0, 0);
    let starts = Stream::new(seed, Purpose::Reference, 0, 1);
    let mut frames = FrameStack::default();
    let mut batch = Vec::with_capacity(count * PIXELS);
    let mut episodes = 0;
    let mut start = |env: &mut dyn PixelEnv, frames: &mut FrameStack| {
        env.reset(starts.word64(episodes), frames);
        episodes += 1;
    };
    start(env, &mut frames);
    for i in 0..count as u64 {
        let step = env.step(actions.below(i, env.actions() as u64) as usize, &mut frames);
        batch.extend_from_slice(&frames.pixels);
        if step.end != End::Running {
            start(env, &mut frames);
        }
    }
    batch
}
