//! What moves a vector along its gradient. Adam and SGD are optimizers whose update of a parameter needs only that parameter's own gradient and moments, so that any slice
//! of the parameters can be updated on its own rank or thread with equal bits.

/// One step for a slice of the parameters: `theta -= step(gradient)`. `first` and `second` are the moments of the same slice.
pub trait GradientOptimizer: Sync {
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

impl GradientOptimizer for Adam {
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

impl GradientOptimizer for Sgd {
    fn step(&self, _t: u64, gradient: &[f32], theta: &mut [f32], first: &mut [f32], _second: &mut [f32]) {
        let (rate, momentum) = (self.learning_rate as f32, self.momentum as f32);
        for ((x, g), v) in theta.iter_mut().zip(gradient).zip(first) {
            *v = momentum * *v + (1.0 - momentum) * g;
            *x -= rate * *v;
        }
    }
}

/// ClipUp (Toklu, Liskowski and Srivastava 2020): momentum on gradients of one length, and a velocity whose length has a limit.
#[derive(Debug, Clone, Copy)]
pub struct ClipUp {
    /// Length that a gradient is scaled to.
    pub learning_rate: f64,
    pub momentum: f64,
    /// The largest length of the velocity.
    pub max_speed: f64,
}

impl ClipUp {
    /// `theta` goes up the gradient; one of length 0 counts as none.
    pub fn step(&self, gradient: &[f64], theta: &mut [f64], velocity: &mut [f64]) {
        let length = |values: &[f64]| values.iter().map(|x| x * x).sum::<f64>().sqrt();
        let norm = length(gradient);
        let scale = if norm > 0.0 { self.learning_rate / norm } else { 0.0 };
        for (v, g) in velocity.iter_mut().zip(gradient) {
            *v = self.momentum * *v + scale * g;
        }
        let speed = length(velocity);
        if speed > self.max_speed {
            velocity.iter_mut().for_each(|v| *v *= self.max_speed / speed);
        }
        theta.iter_mut().zip(velocity).for_each(|(x, v)| *x += *v);
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
        for optimizer in [&adam as &dyn GradientOptimizer, &sgd] {
            let (mut x, mut m, mut v) = ([5.0f32, -3.0], [0.0; 2], [0.0; 2]);
            for t in 1..2000 {
                let g = [x[0] - 1.0, 4.0 * (x[1] - 2.0)];
                optimizer.step(t, &g, &mut x, &mut m, &mut v);
            }
            assert!((x[0] - 1.0).abs() < 1e-2 && (x[1] - 2.0).abs() < 1e-2, "{x:?}");
        }
    }

    #[test]
    fn clip_up_goes_as_far_for_any_length_of_the_gradient_and_never_faster_than_its_speed() {
        let clip_up = ClipUp {
            learning_rate: 0.1,
            momentum: 0.9,
            max_speed: 0.15,
        };
        for size in [1e-9, 1.0, 1e9] {
            let (mut x, mut v) = ([0.0, 0.0], [0.0, 0.0]);
            clip_up.step(&[3.0 * size, 4.0 * size], &mut x, &mut v);
            assert!((x[0] - 0.06).abs() < 1e-15 && (x[1] - 0.08).abs() < 1e-15, "{x:?}");
            clip_up.step(&[3.0 * size, 4.0 * size], &mut x, &mut v);
            assert!(
                (v[0].hypot(v[1]) - 0.15).abs() < 1e-15 && (x[0] - 0.15).abs() < 1e-15,
                "{v:?}"
            );
            clip_up.step(&[0.0, 0.0], &mut x, &mut v);
            assert!(
                (v[0].hypot(v[1]) - 0.135).abs() < 1e-15,
                "without a gradient it slows down: {v:?}"
            );
        }
    }
}
