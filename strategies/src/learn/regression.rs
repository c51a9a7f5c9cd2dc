//! Regression by minibatches: behaviour cloning.

use illume_numerics::mlp::{
    Act, Adam, Network, Pass, Path, STRIP, Slot, Slots, Trained, awake, by_strips, gather, strips,
};
use illume_numerics::{Buffer, Level};

/// Trains a network on inputs and the outputs wanted for them, by Adam (0.9, 0.999, 1e-8) on the mean squared error.
pub struct Regression {
    net: Trained,
    rate: f64,
    steps: u64,
    tape: Buffer,
    path: Path,
    wanted: Slot,
}

impl Regression {
    /// Starts from `params` `[net.params()]` with learning rate `rate`.
    pub fn new(net: Network, params: &[f32], rate: f64) -> Regression {
        Regression::at(Level::best(), &net, params, rate)
    }

    pub(crate) fn at(level: Level, net: &Network, params: &[f32], rate: f64) -> Regression {
        let mut trained = Trained::general(level, net);
        trained.set_params(params);
        let mut slots = Slots::default();
        let mut path = Path::new(&trained.plan, &mut slots);
        let wanted = slots.rows(net.outputs());
        path.strip = slots.strip();
        Regression {
            net: trained,
            rate,
            steps: 0,
            tape: Buffer::default(),
            path,
            wanted,
        }
    }

    /// One Adam step for each of the consecutive minibatches in `inputs` `[steps * minibatch, inputs]` and `targets`
    /// `[steps * minibatch, outputs]`; returns the mean over steps of the mean squared error over rows and outputs, each before
    /// its step. Bit-equal for any number of threads.
    pub fn fit(&mut self, minibatch: usize, inputs: &[f32], targets: &[f32]) -> f64 {
        let net = &self.net.plan.net;
        let steps = inputs.len() / net.inputs() / minibatch.max(1);
        assert_eq!(
            inputs.len(),
            steps * minibatch * net.inputs(),
            "inputs of whole minibatches"
        );
        assert_eq!(
            targets.len(),
            steps * minibatch * net.outputs(),
            "targets of whole minibatches"
        );
        let len = strips(minibatch) * self.path.strip;
        if self.tape.len() != len {
            self.tape = Buffer::new(len);
        }
        let mut sum = 0.0;
        awake(|| sum = (0..steps).map(|step| self.step(minibatch, step, inputs, targets)).sum());
        sum / steps.max(1) as f64
    }

    fn step(&mut self, rows: usize, step: usize, inputs: &[f32], targets: &[f32]) -> f64 {
        let Regression {
            net,
            rate,
            steps,
            tape,
            path,
            wanted,
        } = self;
        let threads = rayon::current_num_threads();
        let (plan, strip, wanted) = (&net.plan, path.strip, *wanted);
        let (outputs, output, delta) = (plan.net.outputs(), path.last(), path.deltas[path.deltas.len() - 1]);
        let scale = 2.0 / (rows * outputs) as f32;
        by_strips(tape, strip, threads, &|first, tape| {
            let place = |s: usize| {
                let start = (first + s) * STRIP;
                step * rows + start..step * rows + rows.min(start + STRIP)
            };
            gather(tape, strip, (path.values[0], 0), (inputs, plan.net.inputs()), place);
            gather(tape, strip, (wanted, 0), (targets, outputs), place);
            plan.forward(&net.params, tape, path);
            for strip in tape.chunks_exact_mut(strip) {
                for r in 0..STRIP {
                    for k in 0..outputs {
                        let y = strip[output.at + r * output.ld + k];
                        let e = y - strip[wanted.at + r * wanted.ld + k];
                        let slope = if plan.output_act() == Act::Tanh {
                            1.0 - y * y
                        } else {
                            1.0
                        };
                        strip[wanted.at + r * wanted.ld + k] = e;
                        strip[delta.at + r * delta.ld + k] = scale * e * slope;
                    }
                }
            }
            plan.backward(&net.params, &net.turned, tape, path);
        });
        let mut loss = 0.0;
        for row in 0..rows {
            let errors = &tape[row / STRIP * strip + wanted.at + row % STRIP * wanted.ld..][..outputs];
            loss += errors.iter().map(|e| f64::from(*e).powi(2)).sum::<f64>();
        }
        *steps += 1;
        let pass = Pass {
            tape,
            rows,
            path,
            adam: Adam::new(*rate, *steps),
        };
        net.step(&pass, None, threads);
        loss / (rows * outputs) as f64
    }

    pub fn set_rate(&mut self, rate: f64) {
        self.rate = rate;
    }

    #[cfg(test)]
    pub(crate) fn first_moment(&self) -> Vec<f32> {
        self.net.plan.unpacked(&self.net.first)
    }

    /// The present parameters, flat.
    pub fn params(&self) -> Vec<f32> {
        self.net.plan.unpacked(&self.net.params)
    }
}
