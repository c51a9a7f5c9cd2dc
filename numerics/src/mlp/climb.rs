//! The way of a gradient from a critic's output through the action into a policy.

use super::kernel::{Backward, Turn, backward, turn};
use super::packed::{Act, Layer, Plan, STRIP, Slot, Slots};
use super::trained::Path;
use crate::Buffer;

/// What a pass needs besides the networks: slots of one tape, and the critic's weights from actions, transposed.
pub struct Climb {
    pub policy: Path,
    pub critic: Path,
    /// The critic's values, before their derivatives take their place.
    pub values: Slot,
    /// Where actions begin among the critic's inputs, and how many there are.
    observation: usize,
    layer: Layer,
    turned: Buffer,
}

impl Climb {
    /// For this policy and this critic, whose inputs begin with the observation and the action.
    pub fn new(policy: &Plan, critic: &Plan, observation: usize) -> Climb {
        let mut slots = Slots::default();
        let mut climb = Climb {
            policy: Path::new(policy, &mut slots),
            critic: Path::in_place(critic, &mut slots),
            values: slots.numbers(),
            observation,
            layer: Layer {
                inputs: policy.net.outputs(),
                outputs: critic.net.layers[1],
            },
            turned: Buffer::default(),
        };
        climb.policy.strip = slots.strip();
        climb.critic.strip = slots.strip();
        climb.turned = Buffer::new(climb.layer.turned_len());
        climb
    }

    pub fn strip(&self) -> usize {
        self.policy.strip
    }

    /// Takes over the critic's weights from actions.
    pub fn look_at(&mut self, critic: &Plan, params: &[f32]) {
        let Some(first) = critic.layers.first() else {
            return;
        };
        let job = Turn {
            layer: self.layer,
            params,
            row: self.observation,
            stride: first.panel_at(1),
            turned: &mut self.turned,
            first: 0,
        };
        turn(critic.level, job);
    }

    /// Derivatives of `-sum Q / rows` by the sums of all the policy's layers, for all strips of `tape`, in which the policy's
    /// inputs and the critic's other inputs lie already. The weights are (plan, parameters, transposed).
    pub fn pass(
        &self,
        (policy, params, turned): (&Plan, &[f32], &[f32]),
        (critic, critic_params, critic_turned): (&Plan, &[f32], &[f32]),
        tape: &mut [f32],
        rows: usize,
    ) {
        policy.forward(params, tape, &self.policy);
        let (action, input) = (self.policy.last(), self.critic.values[0]);
        let count = self.layer.inputs;
        for strip in tape.chunks_exact_mut(self.strip()) {
            for r in 0..STRIP {
                let from = action.at + r * action.ld;
                strip.copy_within(from..from + count, input.at + r * input.ld + self.observation);
            }
        }
        critic.forward(critic_params, tape, &self.critic);
        for strip in tape.chunks_exact_mut(self.strip()) {
            strip.copy_within(self.critic.number.at..self.critic.number.at + STRIP, self.values.at);
            strip[self.critic.number.at..][..STRIP].fill(-1.0 / rows as f32);
        }
        critic.backward(critic_params, critic_turned, tape, &self.critic);
        self.through_action(critic, critic_params, tape, policy.output_act());
        policy.backward(params, turned, tape, &self.policy);
    }

    /// From the critic's first layer to the policy's last.
    fn through_action(&self, critic: &Plan, params: &[f32], tape: &mut [f32], act: Act) {
        let (by, to) = (self.policy.last(), self.policy.deltas[self.policy.deltas.len() - 1]);
        if let Some(&from) = self.critic.deltas.first() {
            let job = Backward {
                layer: self.layer,
                turned: &self.turned,
                tape,
                strip: self.strip(),
                from,
                to,
                by,
                act,
            };
            return backward(critic.level, job);
        }
        // A linear critic.
        for strip in tape.chunks_exact_mut(self.strip()) {
            for r in 0..STRIP {
                for k in 0..self.layer.inputs {
                    let a = strip[by.at + r * by.ld + k];
                    let slope = if act == Act::Tanh { 1.0 - a * a } else { 1.0 };
                    strip[to.at + r * to.ld + k] =
                        strip[self.critic.number.at + r] * params[self.observation + k] * slope;
                }
            }
        }
    }
}
