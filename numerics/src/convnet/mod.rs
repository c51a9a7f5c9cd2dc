//! Convolutional networks between square images whose weights lie in a flat genome.

mod kernel;

use std::ops::Range;

pub use kernel::{
    BLOCKS, Batch, Convolution, Finish, Product, Sums, convolve, deviations, finish, multiply, multiply_batch,
};

/// A convolution between square images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conv {
    /// Height and width of the filters.
    pub kernel: usize,
    pub stride: usize,
    pub inputs: usize,
    pub outputs: usize,
    /// Height and width of the input, without padding.
    pub side: usize,
    /// Height and width of the output.
    pub out_side: usize,
    /// Rows of zeros above (columns to the left of) the input.
    pub before: usize,
    /// Height and width of the padded input.
    pub padded: usize,
    /// First gene.
    pub at: usize,
}

impl Conv {
    pub fn terms(&self) -> usize {
        self.kernel * self.kernel * self.inputs
    }

    /// Its weights and biases.
    pub fn genes(&self) -> Range<usize> {
        self.at..self.at + (self.terms() + 1) * self.outputs
    }

    /// Numbers in its output.
    pub fn values(&self) -> usize {
        self.out_side * self.out_side * self.outputs
    }

    /// Where the unpadded image begins in the padded one.
    pub fn inside(&self) -> usize {
        (self.before * self.padded + self.before) * self.inputs
    }
}

/// A dense layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dense {
    pub inputs: usize,
    pub outputs: usize,
    /// First gene.
    pub at: usize,
}

impl Dense {
    /// Its weights and biases.
    pub fn genes(&self) -> Range<usize> {
        self.at..self.at + (self.inputs + 1) * self.outputs
    }
}

/// Mean and 1 / standard deviation by which a unit's or a channel's sums are normalized.
#[derive(Debug, Clone, Default)]
pub struct Moments {
    pub mean: Vec<f32>,
    pub inverse: Vec<f32>,
}
