//! The convolutional networks of Deep GA, run straight from the flat genome.
//!
//! A genome holds, layer after layer, the weights and then the biases `[outputs]`, in the order of the original's variables:
//! weights are `[height, width, inputs, outputs]` of a convolution and `[inputs, outputs]` of a dense layer, whose inputs are the
//! last convolution's outputs flattened by row, column, channel. Convolutions pad with zeros so that the output has
//! `ceil(side / stride)` rows ("SAME" of TensorFlow: an odd pixel of padding goes to the bottom and right). Pixels enter as
//! `value / 255`; hidden layers end in relu; the outputs are logits.

use std::sync::Arc;

use illume_core::Init;
use illume_numerics::Level;
use illume_numerics::convnet::{BLOCKS, Conv, Dense, Moments};

use super::pass;
use super::{PIXELS, PixelPolicyParams, SIDE, STACK};

/// A network ready to act; its weights are the genome's.
#[derive(Debug, Clone)]
pub struct ConvNet {
    pub(super) level: Level,
    pub(super) convs: Vec<Conv>,
    pub(super) hidden: Dense,
    pub(super) output: Dense,
    params: usize,
    /// Reference frames that virtual batch normalization wants; 0 without.
    wanted: usize,
    pub(super) reference: Option<Arc<[u8]>>,
}

/// Buffers of [`ConvNet::forward`] and what [`ConvNet::begin`] found out of an individual; one for each thread.
#[derive(Debug, Clone, Default)]
pub struct ConvScratch {
    /// Padded input of each convolution, `[padded, padded, inputs]`; padding is never written.
    pub(super) images: Vec<Vec<f32>>,
    /// Inputs of the hidden layer.
    pub(super) flat: Vec<f32>,
    /// Numbers of those that are not 0.
    pub(super) active: Vec<u32>,
    /// Sums of blocks of inputs, `[BLOCKS, outputs]`.
    pub(super) parts: Vec<f32>,
    /// Which way the hidden layer's weights are read next.
    pub(super) reversed: bool,
    pub(super) units: Vec<f32>,
    /// Sums and values of a layer for all reference frames.
    pub(super) batch: [Vec<f32>; 2],
    /// Of each hidden layer; empty without virtual batch normalization.
    pub(super) moments: Vec<Moments>,
}

impl ConvNet {
    /// The network that `[policy]` asks for, with an output for each of `actions`.
    pub fn new(params: &PixelPolicyParams, actions: usize) -> ConvNet {
        let (filters, units): (&[[usize; 3]], usize) = if params.network == "small" {
            (&[[16, 8, 4], [32, 4, 2]], 256)
        } else {
            (&[[32, 8, 4], [64, 4, 2], [64, 3, 1]], 512)
        };
        let (mut side, mut inputs, mut at) = (SIDE, STACK, 0);
        let mut convs = Vec::new();
        for &[outputs, kernel, stride] in filters {
            let out_side = side.div_ceil(stride);
            let padding = ((out_side - 1) * stride + kernel).saturating_sub(side);
            let conv = Conv {
                kernel,
                stride,
                inputs,
                outputs,
                side,
                out_side,
                before: padding / 2,
                padded: side + padding,
                at,
            };
            at += (conv.terms() + 1) * outputs;
            (side, inputs) = (out_side, outputs);
            convs.push(conv);
        }
        let hidden = Dense {
            inputs: side * side * inputs,
            outputs: units,
            at,
        };
        at += (hidden.inputs + 1) * hidden.outputs;
        let output = Dense {
            inputs: units,
            outputs: actions,
            at,
        };
        at += (output.inputs + 1) * output.outputs;
        ConvNet {
            level: Level::best(),
            convs,
            hidden,
            output,
            params: at,
            wanted: if params.virtual_batch() {
                params.reference_frames
            } else {
                0
            },
            reference: None,
        }
    }

    /// Reference frames that must be handed over by [`ConvNet::with_reference`]; 0 without virtual batch normalization.
    pub fn reference_wanted(&self) -> usize {
        self.wanted
    }

    /// The network with the reference frames `[reference_wanted, 84, 84, 4]` of virtual batch normalization (see [`super::reference_frames`]).
    ///
    /// # Panics
    /// Another number of frames than wanted.
    pub fn with_reference(mut self, frames: Arc<[u8]>) -> ConvNet {
        assert_eq!(frames.len(), self.wanted * PIXELS, "pixels of reference frames");
        self.reference = Some(frames);
        self
    }

    /// Genes of a genome: all weights and biases.
    pub fn params(&self) -> usize {
        self.params
    }

    pub fn actions(&self) -> usize {
        self.output.outputs
    }

    /// How the first genomes are drawn: normal with standard deviation 1 / sqrt(fan-in), biases 0. The output layer has 0.1 of
    /// that, or, as in the original's model, all of it with virtual batch normalization.
    pub fn init(&self) -> Init {
        let mut runs = Vec::new();
        for conv in &self.convs {
            runs.push((conv.terms() * conv.outputs, 1.0 / (conv.terms() as f32).sqrt()));
            runs.push((conv.outputs, 0.0));
        }
        let scale = if self.wanted > 0 { 1.0 } else { 0.1 };
        for (layer, scale) in [(&self.hidden, 1.0), (&self.output, scale)] {
            runs.push((layer.inputs * layer.outputs, scale / (layer.inputs as f32).sqrt()));
            runs.push((layer.outputs, 0.0));
        }
        Init::Runs(runs)
    }

    /// Buffers for [`ConvNet::forward`].
    pub fn scratch(&self) -> ConvScratch {
        ConvScratch {
            images: self
                .convs
                .iter()
                .map(|c| vec![0.0; c.padded * c.padded * c.inputs])
                .collect(),
            flat: vec![0.0; self.hidden.inputs],
            active: vec![0; self.hidden.inputs],
            parts: vec![0.0; BLOCKS * self.hidden.outputs],
            reversed: false,
            units: vec![0.0; self.hidden.outputs],
            batch: Default::default(),
            moments: Vec::new(),
        }
    }

    /// Whatever is to be done once for an individual before it acts: the statistics of virtual batch normalization.
    ///
    /// # Panics
    /// Reference frames are wanted and were never given.
    pub fn begin(&self, genes: &[f32], scratch: &mut ConvScratch) {
        assert_eq!(genes.len(), self.params, "genes of a convolutional network");
        scratch.moments.clear();
        if self.wanted > 0 {
            let reference = self.reference.as_ref();
            pass::statistics(self, genes, reference.expect("reference frames were given"), scratch);
        }
    }

    /// The logits `[actions]` of the stack of frames `[84, 84, 4]` for the individual that [`ConvNet::begin`] was called for last.
    ///
    /// # Panics
    /// A length does not fit.
    pub fn forward(&self, genes: &[f32], frames: &[u8], scratch: &mut ConvScratch, logits: &mut [f32]) {
        assert_eq!(genes.len(), self.params, "genes of a convolutional network");
        assert_eq!(frames.len(), PIXELS, "pixels of a stack of frames");
        assert_eq!(logits.len(), self.actions(), "logits");
        pass::forward(self, genes, frames, scratch, logits);
    }
}
