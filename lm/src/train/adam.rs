//! AdamW (Loshchilov and Hutter 2017, <https://arxiv.org/abs/1711.05101>) on all parameters as one vector.

use rayon::prelude::*;

pub(super) const BETA1: f64 = 0.9;
pub(super) const EPSILON: f64 = 1e-8;
/// Parameters that a thread takes at a time, and of which one sum is made: a constant, so that sums do not depend on threads.
const PART: usize = 1 << 14;

/// Parameters, all of them of matrices and so decaying, and moments.
#[derive(Debug)]
pub(super) struct Adam {
    pub values: Vec<f32>,
    mean: Vec<f32>,
    square: Vec<f32>,
    beta2: f64,
    steps: i32,
}

impl Adam {
    pub fn new(values: Vec<f32>, beta2: f64) -> Adam {
        Adam {
            mean: vec![0.0; values.len()],
            square: vec![0.0; values.len()],
            values,
            beta2,
            steps: 0,
        }
    }

    /// One step down `gradient`, which is scaled to the norm `clip` if it is longer. Returns its norm.
    pub fn step(&mut self, gradient: &[f32], rate: f64, decay: f64, clip: f64) -> f64 {
        let squares = |part: &[f32]| part.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>();
        let parts: Vec<f64> = gradient.par_chunks(PART).map(squares).collect();
        let norm = parts.iter().sum::<f64>().sqrt();
        if !norm.is_finite() {
            return norm;
        }
        self.steps += 1;
        let scale = if norm > clip { (clip / norm) as f32 } else { 1.0 };
        let step = (-rate / (1.0 - BETA1.powi(self.steps))) as f32;
        let correction = (1.0 - self.beta2.powi(self.steps)) as f32;
        let shrink = (1.0 - rate * decay) as f32;
        let [beta1, beta2] = [BETA1, self.beta2].map(|beta| [beta as f32, (1.0 - beta) as f32]);
        let moments = self.mean.par_chunks_mut(PART).zip(self.square.par_chunks_mut(PART));
        let all = self
            .values
            .par_chunks_mut(PART)
            .zip(moments)
            .zip(gradient.par_chunks(PART));
        all.for_each(|((values, (mean, square)), gradient)| {
            for (((x, m), s), g) in values.iter_mut().zip(mean).zip(square).zip(gradient) {
                let g = g * scale;
                *m = *m * beta1[0] + g * beta1[1];
                *s = *s * beta2[0] + g * g * beta2[1];
                let root = (*s / correction).sqrt() + EPSILON as f32;
                *x = *x * shrink + *m / root * step;
            }
        });
        norm
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked by hand: the first step of Adam goes by the rate against the gradient's sign, whatever its size; weights decay before it.
    #[test]
    fn the_first_steps_are_those_worked_by_hand() {
        let mut adam = Adam::new(vec![1.0, -2.0], 0.99);
        let norm = adam.step(&[3.0, -4.0], 0.1, 0.5, 1.0);
        assert_eq!(norm, 5.0);
        let expected = [1.0 * 0.95 - 0.1, -2.0 * 0.95 + 0.1];
        for (x, e) in adam.values.iter().zip(expected) {
            assert!((x - e).abs() < 1e-6, "{x} for {e}");
        }
        // A gradient of nothing: the moments go on, m = 0.9 m, s = 0.99 s, divided by 1 - 0.81 and 1 - 0.9801.
        let before = adam.values.clone();
        adam.step(&[0.0, 0.0], 0.1, 0.0, 1.0);
        let (m, s) = (0.9 * 0.1 * 0.6 / 0.19, 0.99 * 0.01 * 0.36 / 0.0199);
        assert!((adam.values[0] - (before[0] - 0.1 * (m / f64::sqrt(s)) as f32)).abs() < 1e-6);
        assert!(adam.step(&[f32::NAN, 0.0], 0.1, 0.0, 1.0).is_nan());
    }
}
