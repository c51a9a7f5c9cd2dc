//! First-order optimizers whose update of a parameter needs only that parameter's own gradient and moments, so that any slice
//! of the parameters can be updated on its own rank or thread with equal bits.

/// One step for a slice of the parameters: `theta -= step(gradient)`. `first` and `second` are the moments of the same slice.
pub trait Optimizer: Sync {
    /// `t` counts steps from 1.
    fn step(&self, t: u64, gradient: &[f32], theta: &mut [f32], first: &mut [f32], second: &mut [f32]);
}

/// Adam (Kingma and Ba 2015) with the bias correction folded into the step size, as in evolution-strategies-starter.
#[derive(Debug, Clone, Copy)]
pub struct Adam {
    pub learning_rate: f64,
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
}

impl Optimizer for Adam {
    fn step(&self, t: u64, gradient: &[f32], theta: &mut [f32], first: &mut [f32], second: &mut [f32]) {
        let power = |b: f64| 1.0 - b.powf(t as f64);
        let rate = (self.learning_rate * power(self.beta2).sqrt() / power(self.beta1)) as f32;
        let (b1, b2) = (self.beta1 as f32, self.beta2 as f32);
        // Not 0 in single precision, or a parameter without any gradient would become 0 / 0.
        let epsilon = (self.epsilon as f32).max(f32::MIN_POSITIVE);
        for (((x, g), m), v) in theta.iter_mut().zip(gradient).zip(first).zip(second) {
            *m = b1 * *m + (1.0 - b1) * g;
            *v = b2 * *v + (1.0 - b2) * g * g;
            *x -= rate * *m / (v.sqrt() + epsilon);
        }
    }
}

/// Gradient descent with momentum as in evolution-strategies-starter: `v = momentum v + (1 - momentum) g`.
#[derive(Debug, Clone, Copy)]
pub struct Sgd {
    pub learning_rate: f64,
    pub momentum: f64,
}

impl Optimizer for Sgd {
    fn step(&self, _t: u64, gradient: &[f32], theta: &mut [f32], first: &mut [f32], _second: &mut [f32]) {
        let (rate, momentum) = (self.learning_rate as f32, self.momentum as f32);
        for ((x, g), v) in theta.iter_mut().zip(gradient).zip(first) {
            *v = momentum * *v + (1.0 - momentum) * g;
            *x -= rate * *v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two steps computed by hand in double precision: g = 2 then -1, from theta = 1.
    #[test]
    fn adam_takes_the_steps_computed_by_hand() {
        let adam = Adam {
            learning_rate: 0.1,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        };
        let (mut x, mut m, mut v) = ([1.0f32], [0.0], [0.0]);
        adam.step(1, &[2.0], &mut x, &mut m, &mut v);
        assert!((x[0] - 0.9).abs() < 1e-6, "the first step of Adam is the learning rate");
        adam.step(2, &[-1.0], &mut x, &mut m, &mut v);
        let (m2, v2) = (0.9 * 0.2 - 0.1, 0.999 * 0.004 + 0.001);
        let step = 0.1 * (m2 / (1.0 - 0.81)) / f64::sqrt(v2 / (1.0 - 0.998_001));
        assert!((f64::from(x[0]) - (0.9 - step)).abs() < 1e-6);
    }

    #[test]
    fn a_parameter_without_a_gradient_stays_for_any_epsilon() {
        let adam = Adam {
            learning_rate: 0.1,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-60,
        };
        let (mut x, mut m, mut v) = ([3.0f32, 3.0], [0.0; 2], [0.0; 2]);
        (1..9).for_each(|t| adam.step(t, &[0.0, 1.0], &mut x, &mut m, &mut v));
        assert!(x[0] == 3.0 && x[1] < 2.5, "{x:?}");
    }

    #[test]
    fn both_optimizers_reach_the_minimum_of_a_quadratic() {
        let adam = Adam {
            learning_rate: 0.05,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
        };
        let sgd = Sgd {
            learning_rate: 0.2,
            momentum: 0.9,
        };
        for optimizer in [&adam as &dyn Optimizer, &sgd] {
            let (mut x, mut m, mut v) = ([5.0f32, -3.0], [0.0; 2], [0.0; 2]);
            for t in 1..2000 {
                let g = [x[0] - 1.0, 4.0 * (x[1] - 2.0)];
                optimizer.step(t, &g, &mut x, &mut m, &mut v);
            }
            assert!((x[0] - 1.0).abs() < 1e-2 && (x[1] - 2.0).abs() < 1e-2, "{x:?}");
        }
    }
}
