//! The parameters that all robots have, and what they make of a task.

use super::recipe::Recipe;

/// A robot's task with what the engine must know beside it.
#[derive(Debug, Clone)]
pub struct Plan {
    pub recipe: Recipe,
    pub episode_length: u32,
    pub time_in_observation: bool,
    /// What the fitness is.
    pub fitness: &'static str,
}

/// The values of the parameters that all robots have.
#[derive(Debug, Clone)]
pub struct Common {
    pub episode_length: u32,
    pub frame_skip: u32,
    pub reset_noise_scale: f64,
    pub integrator: String,
    pub exclude_current_positions: bool,
    pub ctrl_cost_weight: f64,
    pub positive_reward: bool,
    pub time_in_observation: bool,
}

impl Common {
    /// Simulator steps of an action, where the environment's own number is `usual`.
    pub fn frames(&self, usual: u32) -> u32 {
        if self.frame_skip == 0 { usual } else { self.frame_skip }
    }
}

/// Declares a robot's parameters: the common ones with this robot's defaults, then its own.
macro_rules! robot_params {
    (
        $(#[$meta:meta])*
        $name:ident { episode: $episode:expr, noise: $noise:expr, control: $control:expr, blind: $blind:expr }
        $($own:tt)*
    ) => {
        illume_core::params! {
            $(#[$meta])*
            pub struct $name {
                /// Steps of the longest episode.
                episode_length: u32 = $episode, range(1, 1_000_000);
                /// Simulator steps of an action; 0 for as many as Gymnasium takes (4 for Walker2d and Hopper, else 5).
                frame_skip: u32 = 0, range(0, 1000);
                /// Width of the random numbers by which an episode's first state differs from the model's; 0 makes the task
                /// deterministic.
                reset_noise_scale: f64 = $noise, at_least(0.0);
                /// Integrator of the simulator; "model" is the model's own (RK4 for all but HalfCheetah). implicitfast takes
                /// one evaluation of the dynamics where RK4 takes four.
                integrator: String = "model".into(), one_of($crate::mujoco::simulator::INTEGRATORS);
                /// Whether the robot's place (x, or x and y) is kept out of its observation.
                exclude_current_positions: bool = $blind, any();
                /// Cost of the sum of squares of the controls.
                ctrl_cost_weight: f64 = $control, at_least(0.0);
                /// Whether every step's reward is kept from being negative: the most that controls can cost in a step is added
                /// to it, and what is then still below 0 (by going backward, or by contact forces) becomes 0.
                positive_reward: bool = false, any();
                /// Whether the observation ends with the share of the episode's time that remains, from 1 to 0, as in the authors'
                /// tasks of PGA-, DCG- and DCRL-MAP-Elites. The end of the time is then an end that a critic learns as such.
                time_in_observation: bool = false, any();
                $($own)*
            }
        }

        impl $name {
            fn common(&self) -> $crate::mujoco::settings::Common {
                $crate::mujoco::settings::Common {
                    episode_length: self.episode_length,
                    frame_skip: self.frame_skip,
                    reset_noise_scale: self.reset_noise_scale,
                    integrator: self.integrator.clone(),
                    exclude_current_positions: self.exclude_current_positions,
                    ctrl_cost_weight: self.ctrl_cost_weight,
                    positive_reward: self.positive_reward,
                    time_in_observation: self.time_in_observation,
                }
            }
        }
    };
}
pub(super) use robot_params;
