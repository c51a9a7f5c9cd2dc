//! Policies by the engine's own kernels, so that they act as in its tasks, bit for bit.

use illume::numerics::mlp::{Activation, Network, Output, Units};
use numpy::{PyArray2, PyArrayMethods as _, PyReadonlyArray2};
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};

use crate::errors::wrong;
use crate::genomes::matrix;

/// Perceptrons of one shape, one for each genome.
#[pyclass(frozen, module = "illume._illume")]
pub struct Policies {
    network: Network,
    genomes: Vec<f32>,
    units: Mutex<Units>,
}

#[pymethods]
impl Policies {
    /// Units of `layers` from input to output; outputs pass through tanh unless they are `linear`; genomes f32 `[n, dim]`.
    #[new]
    fn new(layers: Vec<usize>, relu: bool, linear: bool, genomes: PyReadonlyArray2<'_, f32>) -> PyResult<Policies> {
        if layers.len() < 2 || layers.contains(&0) {
            return Err(wrong(format!(
                "layers: expected units of at least two layers, got {layers:?}"
            )));
        }
        let network = Network {
            layers,
            hidden: if relu { Activation::Relu } else { Activation::Tanh },
            output: if linear { Output::Linear } else { Output::Tanh },
        };
        let genomes = genomes.to_vec()?;
        if !genomes.len().is_multiple_of(network.params()) {
            return Err(wrong(format!(
                "genomes: expected {} genes each, got {} in all",
                network.params(),
                genomes.len()
            )));
        }
        let units = Mutex::new(network.units());
        Ok(Policies {
            network,
            genomes,
            units,
        })
    }

    /// Outputs f32 `[r, outputs]` of the genomes numbered `rows` `[r]` for observations f32 `[r, inputs]`.
    fn act<'py>(
        &self,
        py: Python<'py>,
        rows: Vec<usize>,
        observations: PyReadonlyArray2<'py, f32>,
    ) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let (dim, inputs, outputs) = (self.network.params(), self.network.inputs(), self.network.outputs());
        let observations = observations.to_vec()?;
        let there = self.genomes.len() / dim;
        if observations.len() != rows.len() * inputs || rows.iter().any(|row| *row >= there) {
            return Err(wrong(format!(
                "expected {} observations of {inputs} numbers and rows below {there}",
                rows.len()
            )));
        }
        let mut actions = vec![0.0; rows.len() * outputs];
        let mut units = self.units.lock().unwrap_or_else(PoisonError::into_inner);
        for ((row, seen), action) in rows
            .iter()
            .zip(observations.chunks_exact(inputs))
            .zip(actions.chunks_exact_mut(outputs))
        {
            self.network
                .forward(&self.genomes[row * dim..(row + 1) * dim], seen, &mut units, action);
        }
        matrix(py, actions, rows.len(), outputs)
    }
}
