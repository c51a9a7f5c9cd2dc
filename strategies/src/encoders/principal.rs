//! Principal components, exact: eigenvectors of the covariance in double precision.

use illume_core::{Batch, Result};
use illume_numerics::covariance::Symmetric;
use illume_numerics::eigen::decompose;
use rayon::prelude::*;

use super::{Coder, EncoderParams, Key};

/// A projection onto the directions of largest variance.
pub(super) struct Principal {
    inputs: usize,
    latent: usize,
    /// `[latent, inputs]`, of length 1; the largest number of each is positive.
    axes: Vec<f64>,
}

impl Principal {
    /// The first of what is seen, until it has learned.
    pub fn new(inputs: usize, latent: usize) -> Principal {
        let mut axes = vec![0.0; latent * inputs];
        (0..latent).for_each(|i| axes[i * inputs + i] = 1.0);
        Principal { inputs, latent, axes }
    }

    /// `seen` are `[examples, inputs]`, of mean 0.
    fn find(&mut self, seen: &[f32]) {
        let n = self.inputs;
        let by_column: Vec<Vec<f64>> = (0..n)
            .map(|i| seen.iter().skip(i).step_by(n).map(|x| f64::from(*x)).collect())
            .collect();
        let row = |i: usize| -> Vec<f64> {
            let product = |j: usize| by_column[i].iter().zip(&by_column[j]).map(|(a, b)| a * b).sum();
            (0..=i).map(product).collect()
        };
        let lower: Vec<f64> = (0..n).into_par_iter().flat_map_iter(row).collect();
        let Some(found) = decompose(&Symmetric::of_lower(n, &lower)) else {
            return;
        };
        for (axis, place) in self.axes.chunks_exact_mut(n).enumerate() {
            // Eigenvalues ascend.
            place
                .iter_mut()
                .enumerate()
                .for_each(|(i, x)| *x = found.vectors[(i, n - 1 - axis)]);
            let largest = place
                .iter()
                .copied()
                .fold(0.0, |most: f64, x| if x.abs() > most.abs() { x } else { most });
            if largest < 0.0 {
                place.iter_mut().for_each(|x| *x = -*x);
            }
        }
    }
}

impl Coder for Principal {
    fn in_words(&self) -> String {
        "principal components".into()
    }

    fn begin(&mut self, _key: Key, seen: &[f32]) {
        self.find(seen);
    }

    fn learn(&mut self, _key: Key, _settings: &EncoderParams, seen: &[f32]) {
        self.find(seen);
    }

    fn encode(&self, seen: &[f32], codes: &mut [f64]) {
        for (seen, codes) in seen.chunks_exact(self.inputs).zip(codes.chunks_exact_mut(self.latent)) {
            for (code, axis) in codes.iter_mut().zip(self.axes.chunks_exact(self.inputs)) {
                *code = seen.iter().zip(axis).map(|(x, a)| f64::from(*x) * a).sum();
            }
        }
    }

    fn errors(&self, seen: &[f32], errors: &mut [f64]) {
        let mut codes = vec![0.0; self.latent];
        for (seen, error) in seen.chunks_exact(self.inputs).zip(errors) {
            self.encode(seen, &mut codes);
            let back = |i: usize| {
                codes
                    .iter()
                    .enumerate()
                    .map(|(c, code)| code * self.axes[c * self.inputs + i])
                    .sum::<f64>()
            };
            let squares = seen.iter().enumerate().map(|(i, x)| (f64::from(*x) - back(i)).powi(2));
            *error = squares.sum::<f64>() / self.inputs as f64;
        }
    }

    fn save(&self, table: &mut Batch) {
        let meaning = "principal axes, one behind the other: a code is their products with what is seen, normalized";
        table.push("axes", self.axes.len(), "", meaning, self.axes.clone());
    }

    fn load(&mut self, table: &Batch) -> Result<()> {
        let axes = table.get::<f64>("axes")?;
        if axes.len() != self.axes.len() {
            return Err(super::other("axes", axes.len(), self.axes.len()));
        }
        self.axes.copy_from_slice(axes);
        Ok(())
    }
}
