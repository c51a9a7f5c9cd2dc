//! Numbers with a shape, as models and adapters come and go.

/// Numbers in f32 in the processor's memory, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    values: Vec<f32>,
}

impl Array {
    /// # Panics
    /// The shape has not so many numbers.
    pub fn new(shape: &[usize], values: Vec<f32>) -> Array {
        assert_eq!(
            shape.iter().product::<usize>(),
            values.len(),
            "an array of shape {shape:?}"
        );
        Array {
            shape: shape.to_vec(),
            values,
        }
    }

    pub fn zeros(shape: &[usize]) -> Array {
        Array::new(shape, vec![0.0; shape.iter().product()])
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn values(&self) -> &[f32] {
        &self.values
    }

    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    pub fn into_values(self) -> Vec<f32> {
        self.values
    }
}

#[cfg(feature = "torch")]
impl Array {
    /// The same as a tensor in the processor's memory.
    pub(crate) fn tensor(&self) -> Result<tch::Tensor, tch::TchError> {
        let shape: Vec<i64> = self.shape.iter().map(|n| *n as i64).collect();
        tch::Tensor::f_from_slice(&self.values)?.f_view(&shape[..])
    }
}
