//! How the kernels want parameters and activations to lie.
//!
//! A layer's weights are cut into panels of [`PANEL`] outputs, each `[inputs, 32]` with the bias as a last row, so that a pass
//! reads them from front to back; the last panel may be half as wide. Adam's moments and the targets lie the same way. The
//! backward pass wants the weights transposed: a second copy, cut into panels of 32 inputs, follows each update. Padding is zero
//! and stays zero. Activations of ten rows make a strip, with a slot for each layer: threads take strips.

use std::ops::Range;

use super::kernel::{Turn, turn};
use super::trained::by_strips;
use super::{Activation, Network, Output};
use crate::Level;
use crate::lanes::LANES;

/// Outputs of a panel.
pub const PANEL: usize = 32;

/// Rows of a strip.
pub const STRIP: usize = 10;

/// Weights' rows are padded to a multiple of this, the rows of a block of gradients.
const BLOCK: usize = 8;

/// What the units of a layer do with their sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Linear,
    Relu,
    Tanh,
}

/// Place of a layer's activations within a strip: row r begins at `at + r * ld`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slot {
    pub at: usize,
    pub ld: usize,
}

/// Lays out the slots of a strip.
#[derive(Debug, Default)]
pub struct Slots(usize);

impl Slots {
    /// A slot for rows of `width`. An odd number of cache lines a row spreads equal columns over the whole cache.
    pub fn rows(&mut self, width: usize) -> Slot {
        let ld = (width.div_ceil(LANES) | 1) * LANES;
        let slot = Slot { at: self.0, ld };
        self.0 += STRIP * ld;
        slot
    }

    /// A slot for one number a row.
    pub fn numbers(&mut self) -> Slot {
        let slot = Slot { at: self.0, ld: 1 };
        self.0 += STRIP.next_multiple_of(LANES);
        slot
    }

    /// Numbers of a strip.
    pub fn strip(&self) -> usize {
        // Odd in cache lines, as above.
        ((self.0 / LANES) | 1) * LANES
    }
}

/// The shape of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    pub inputs: usize,
    pub outputs: usize,
}

impl Layer {
    /// Rows of weights in a panel; the bias follows them.
    pub fn rows(&self) -> usize {
        self.inputs.next_multiple_of(BLOCK)
    }

    /// Outputs with padding.
    pub fn columns(&self) -> usize {
        self.outputs.next_multiple_of(LANES)
    }

    pub fn panels(&self) -> usize {
        self.outputs.div_ceil(PANEL)
    }

    /// Outputs of panel `j` with padding.
    pub fn width(&self, j: usize) -> usize {
        PANEL.min(self.columns() - j * PANEL)
    }

    /// Where panel `j` begins.
    pub fn panel_at(&self, j: usize) -> usize {
        j * PANEL * (self.rows() + 1)
    }

    pub fn len(&self) -> usize {
        self.columns() * (self.rows() + 1)
    }

    /// Inputs with padding, in the transposed copy.
    pub fn turned_rows(&self) -> usize {
        self.inputs.next_multiple_of(LANES)
    }

    /// Where the panel that begins with input `i` lies in the transposed copy, whose panels are `[outputs, 32 inputs]`.
    pub fn turned_at(&self, i: usize) -> usize {
        i * self.columns()
    }

    pub fn turned_len(&self) -> usize {
        self.columns() * self.turned_rows()
    }

    /// Where the weight from input `i` (the bias for `i == inputs`) to output `o` lies.
    pub fn index(&self, i: usize, o: usize) -> usize {
        let (j, row) = (o / PANEL, if i == self.inputs { self.rows() } else { i });
        self.panel_at(j) + row * self.width(j) + o % PANEL
    }
}

/// A piece of a network that is updated as a whole.
#[derive(Debug, Clone, Copy)]
pub struct Piece {
    /// Index of its layer; the number of layers for the head.
    pub layer: usize,
    pub panel: usize,
    /// Where it begins among the parameters.
    pub at: usize,
}

/// The layout of a network.
#[derive(Debug, Clone)]
pub struct Plan {
    pub level: Level,
    pub net: Network,
    /// All layers, but for the head.
    pub layers: Vec<Layer>,
    pub acts: Vec<Act>,
    /// Inputs of a last layer of one unit that is treated on its own (critics have it): `[inputs with padding]`, then a line
    /// that begins with the bias.
    pub head: Option<usize>,
    /// All pieces in order, and one more that marks the end.
    pub pieces: Vec<Piece>,
}

impl Plan {
    /// With a head, if the last layer is of one linear unit on rectifiers, as a critic's.
    pub fn new(level: Level, net: &Network) -> Plan {
        let critic = net.outputs() == 1 && net.output == Output::Linear && net.hidden == Activation::Relu;
        Plan::with(level, net, critic)
    }

    /// Without a head.
    pub fn general(level: Level, net: &Network) -> Plan {
        Plan::with(level, net, false)
    }

    fn with(level: Level, net: &Network, critic: bool) -> Plan {
        let mut layers: Vec<Layer> = net
            .layers
            .windows(2)
            .map(|p| Layer {
                inputs: p[0],
                outputs: p[1],
            })
            .collect();
        let hidden = match net.hidden {
            Activation::Relu => Act::Relu,
            Activation::Tanh => Act::Tanh,
        };
        let mut acts = vec![hidden; layers.len()];
        let last = layers.len() - 1;
        let mut head = None;
        match net.output {
            Output::Tanh => acts[last] = Act::Tanh,
            Output::Linear => acts[last] = Act::Linear,
        }
        if critic {
            head = layers.pop().map(|layer| layer.inputs);
            acts.pop();
        }
        let mut plan = Plan {
            level,
            net: net.clone(),
            layers,
            acts,
            head,
            pieces: Vec::new(),
        };
        plan.pieces = plan.lay_out();
        plan
    }

    fn lay_out(&self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut at = 0;
        for (l, layer) in self.layers.iter().enumerate() {
            for j in 0..layer.panels() {
                pieces.push(Piece { layer: l, panel: j, at });
                at += (layer.rows() + 1) * layer.width(j);
            }
        }
        let mut piece = Piece {
            layer: self.layers.len(),
            panel: 0,
            at,
        };
        if let Some(inputs) = self.head {
            pieces.push(piece);
            piece.at += inputs.next_multiple_of(LANES) + LANES;
        }
        pieces.push(piece);
        pieces
    }

    /// Numbers of the packed parameters.
    #[expect(clippy::len_without_is_empty, reason = "a network without parameters does not exist")]
    pub fn len(&self) -> usize {
        self.pieces[self.pieces.len() - 1].at
    }

    pub fn turned_len(&self) -> usize {
        self.turned_range(self.layers.len()).start
    }

    /// Where layer `l` (or the head) lies among the parameters.
    pub fn layer_range(&self, l: usize) -> Range<usize> {
        let at: usize = self.layers[..l].iter().map(Layer::len).sum();
        at..self.layers.get(l).map_or(self.len(), |layer| at + layer.len())
    }

    /// Where the transpose of layer `l` lies; the first layer's inputs have no derivatives.
    pub fn turned_range(&self, l: usize) -> Range<usize> {
        let len = |layer: &Layer| layer.turned_len();
        let at: usize = self.layers[..l].iter().skip(1).map(len).sum();
        at..at + if l == 0 { 0 } else { self.layers.get(l).map_or(0, len) }
    }

    /// Calls `f(place, flat index)` for every parameter.
    fn places(&self, mut f: impl FnMut(usize, usize)) {
        let mut flat = 0;
        for (l, pair) in self.net.layers.windows(2).enumerate() {
            let base = self.layer_range(l).start;
            for i in 0..=pair[0] {
                for o in 0..pair[1] {
                    let place = match self.layers.get(l) {
                        Some(layer) => layer.index(i, o),
                        None if i == pair[0] => i.next_multiple_of(LANES),
                        None => i,
                    };
                    f(base + place, flat);
                    flat += 1;
                }
            }
        }
    }

    /// Flat parameters (or moments) to packed ones.
    pub fn pack(&self, flat: &[f32], packed: &mut [f32]) {
        assert_eq!(
            flat.len(),
            self.net.params(),
            "parameters of a network {:?}",
            self.net.layers
        );
        self.places(|place, i| packed[place] = flat[i]);
    }

    /// And back.
    pub fn unpack(&self, packed: &[f32], flat: &mut [f32]) {
        self.places(|place, i| flat[i] = packed[place]);
    }

    pub fn unpacked(&self, packed: &[f32]) -> Vec<f32> {
        let mut flat = vec![0.0; self.net.params()];
        self.unpack(packed, &mut flat);
        flat
    }

    /// The transposed copy of all layers but the first, which the head's weights need not: made on so many threads.
    pub fn turn(&self, params: &[f32], turned: &mut [f32], threads: usize) {
        for (l, &layer) in self.layers.iter().enumerate().skip(1) {
            let params = &params[self.layer_range(l)];
            let strip = layer.turned_at(PANEL).min(layer.turned_len());
            let make = |first: usize, turned: &mut [f32]| {
                let job = Turn {
                    layer,
                    params,
                    row: 0,
                    stride: layer.panel_at(1),
                    turned,
                    first: first * PANEL,
                };
                turn(self.level, job);
            };
            // A last panel of half the width stays with its neighbour.
            by_strips(&mut turned[self.turned_range(l)], strip, threads, &make);
        }
    }
}

/// Stops the program if rows of so many numbers in these slots are not inside their strip, or strips not inside the tape.
pub fn within(tape: &[f32], strip: usize, slots: &[(Slot, usize)]) {
    assert!(tape.len().is_multiple_of(strip), "a tape is made of whole strips");
    for (slot, width) in slots {
        assert!(
            *width <= slot.ld && slot.at + STRIP * slot.ld <= strip,
            "{slot:?} of {width} in {strip}"
        );
    }
}
