//! HalfCheetah, Walker2d and Hopper, which move in the plane of x and z.

use super::recipe::{
    ContactLimit, Descriptor, Distribution, Goal, Noise, Objectives, Part, Progress, Recipe, Retreat, Reward,
};
use super::settings::{Common, Plan, robot_params};

robot_params! {
    /// `[task]` of `halfcheetah_uni`; the defaults are those of HalfCheetah-v5.
    HalfCheetahUni { episode: 1000, noise: 0.1, control: 0.1, blind: true }
    /// Reward for each m/s forward.
    forward_reward_weight: f64 = 1.0, range(-1000.0, 1000.0);
    /// Objectives: 1, or 2 as in MO-Gymnasium's mo-halfcheetah-v5: forward velocity and minus the sum of squares of the controls.
    objectives: u32 = 1, range(1, 2);
}

robot_params! {
    /// `[task]` of `walker2d_uni`; the defaults are those of Walker2d-v5.
    Walker2dUni { episode: 1000, noise: 5e-3, control: 1e-3, blind: true }
    /// Reward for each m/s forward.
    forward_reward_weight: f64 = 1.0, range(-1000.0, 1000.0);
    /// Reward for a step that leaves the robot healthy.
    healthy_reward: f64 = 1.0, at_least(0.0);
    /// Whether the episode ends when the robot falls.
    terminate_when_unhealthy: bool = true, any();
    /// Objectives: 1, or 2 as in MO-Gymnasium's mo-walker2d-v5: forward velocity and minus the sum of squares of the controls, survival added to each.
    objectives: u32 = 1, range(1, 2);
}

robot_params! {
    /// `[task]` of `hopper_uni`; the defaults are those of Hopper-v5.
    HopperUni { episode: 1000, noise: 5e-3, control: 1e-3, blind: true }
    /// Reward for each m/s forward.
    forward_reward_weight: f64 = 1.0, range(-1000.0, 1000.0);
    /// Reward for a step that leaves the robot healthy.
    healthy_reward: f64 = 1.0, at_least(0.0);
    /// Whether the episode ends when the robot falls.
    terminate_when_unhealthy: bool = true, any();
    /// Objectives: 1, 3 as in MO-Gymnasium's mo-hopper-v5 (forward velocity, ten times the height, minus the sum of squares of the controls, survival added to each), or 2 as in mo-hopper-2obj-v5 (the first
    /// two, less the weighted control cost).
    objectives: u32 = 1, range(1, 3);
}

/// Velocities of Walker2d and Hopper are clipped to this in observations.
const VELOCITY_CLIP: f64 = 10.0;

pub fn halfcheetah(params: &HalfCheetahUni) -> Plan {
    let common = params.common();
    let reward = Reward {
        terminate: false,
        objectives: speed_and_thrift(params.objectives),
        ..reward(&common, params.forward_reward_weight, 0.0)
    };
    let recipe = Recipe {
        file: "half_cheetah.xml",
        frames: common.frames(5),
        noise: Noise {
            scale: common.reset_noise_scale,
            velocity: Distribution::Normal,
        },
        observation: observation(&common, f64::INFINITY),
        retreat: Retreat { speed: 3.0, fall: 0.0 },
        descriptor: Descriptor::Feet(&[("ffoot", "front_foot"), ("bfoot", "back_foot")]),
        ..planar(&common, reward)
    };
    let fitness = "forward progress - control cost";
    Plan {
        recipe,
        episode_length: common.episode_length,
        time_in_observation: common.time_in_observation,
        fitness,
    }
}

pub fn walker2d(params: &Walker2dUni) -> Plan {
    let common = params.common();
    let terminate = params.terminate_when_unhealthy;
    let reward = Reward {
        terminate,
        objectives: speed_and_thrift(params.objectives),
        ..reward(&common, params.forward_reward_weight, params.healthy_reward)
    };
    let recipe = Recipe {
        file: "walker2d_v5.xml",
        healthy: |position, _| within(position[1], 0.8, 2.0) && within(position[2], -1.0, 1.0),
        retreat: Retreat { speed: 1.0, fall: 0.4 },
        descriptor: Descriptor::Feet(&[("foot_geom", "right_foot"), ("foot_left_geom", "left_foot")]),
        ..planar(&common, reward)
    };
    Plan {
        recipe,
        episode_length: common.episode_length,
        time_in_observation: common.time_in_observation,
        fitness: FITNESS,
    }
}

pub fn hopper(params: &HopperUni) -> Plan {
    let common = params.common();
    let terminate = params.terminate_when_unhealthy;
    let reward = Reward {
        terminate,
        objectives: goals(&[Goal::Forward, Goal::Height, Goal::Thrift], params.objectives),
        ..reward(&common, params.forward_reward_weight, params.healthy_reward)
    };
    let recipe = Recipe {
        file: "hopper.xml",
        healthy: |position, velocity| {
            let calm = position[2..].iter().chain(velocity).all(|x| within(*x, -100.0, 100.0));
            calm && position[1] > 0.7 && within(position[2], -0.2, 0.2)
        },
        retreat: Retreat { speed: 1.0, fall: 0.1 },
        descriptor: Descriptor::Feet(&[("foot_geom", "foot")]),
        ..planar(&common, reward)
    };
    Plan {
        recipe,
        episode_length: common.episode_length,
        time_in_observation: common.time_in_observation,
        fitness: FITNESS,
    }
}

/// Velocity and thrift, if there are two objectives.
fn speed_and_thrift(count: u32) -> Objectives {
    goals(&[Goal::Forward, Goal::Thrift], count)
}

/// All of these goals, or so many of the first, from which the control cost is then taken; none for one objective.
pub(super) fn goals(all: &'static [Goal], count: u32) -> Objectives {
    match count as usize {
        1 => Objectives::default(),
        count => Objectives {
            goals: &all[..count],
            share_cost: count < all.len(),
        },
    }
}

const FITNESS: &str = "forward progress + survival - control cost";

/// What the three have in common.
fn planar(common: &Common, reward: Reward) -> Recipe {
    Recipe {
        file: "",
        integrator: common.integrator.clone(),
        edit: |_| (),
        frames: common.frames(4),
        root: 3,
        noise: Noise {
            scale: common.reset_noise_scale,
            velocity: Distribution::Uniform,
        },
        observation: observation(common, VELOCITY_CLIP),
        progress: Progress::Slider,
        healthy: |_, _| true,
        reward,
        retreat: Retreat::default(),
        descriptor: Descriptor::Feet(&[]),
    }
}

fn reward(common: &Common, forward: f64, healthy: f64) -> Reward {
    Reward {
        forward,
        healthy,
        control: common.ctrl_cost_weight,
        contact: 0.0,
        limit: ContactLimit::Force(0.0),
        terminate: true,
        positive: common.positive_reward,
        areas: &[],
        objectives: Objectives::default(),
    }
}

fn observation(common: &Common, clip: f64) -> Vec<Part> {
    let start = usize::from(common.exclude_current_positions);
    vec![Part::Pose { start }, Part::Velocities { clip }]
}

fn within(x: f64, low: f64, high: f64) -> bool {
    low < x && x < high
}
