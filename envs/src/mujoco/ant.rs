//! Ant: walking forward, going anywhere, and going anywhere but for a trap.

use super::planar::goals;
use super::recipe::{
    ContactLimit, Descriptor, Distribution, Goal, Noise, Objectives, Part, Progress, Recipe, Retreat, Reward,
};
use super::settings::{Common, Plan, robot_params};
use super::trap::{TRAP, Wall};

robot_params! {
    /// `[task]` of `ant_uni`; the defaults are those of Ant-v5 but for the contact forces in the observation.
    AntUni { episode: 1000, noise: 0.1, control: 0.5, blind: true }
    /// Reward for each m/s forward.
    forward_reward_weight: f64 = 1.0, range(-1000.0, 1000.0);
    /// Reward for a step that leaves the robot healthy.
    healthy_reward: f64 = 1.0, at_least(0.0);
    /// Whether the episode ends when the robot falls over or jumps off.
    terminate_when_unhealthy: bool = true, any();
    /// Cost of the sum of squares of the contact forces, each clipped to ± 1.
    contact_cost_weight: f64 = 5e-4, at_least(0.0);
    /// Whether the contact forces are part of the observation (105 numbers then; 27 without, as in Ant-v4).
    contact_forces_in_observation: bool = false, any();
    /// Objectives: 1, 3 as in MO-Gymnasium's mo-ant-v5 (velocities along x and y, minus the sum of squares of the controls, survival and contact cost added to each), or 2 as in mo-ant-2obj-v5 (the first two,
    /// less the weighted control cost).
    objectives: u32 = 1, range(1, 3);
}

robot_params! {
    /// `[task]` of `ant_omni` and `anttrap_omni`. Episodes of 250 steps (12.5 s), ± 30 m and an observation of 29 numbers
    /// that starts with x and y over 30 m are those of DCG-MAP-Elites (Faldor et al. 2023).
    AntOmni { episode: 250, noise: 0.1, control: 0.5, blind: false }
    /// Reward for a step that leaves the robot healthy.
    healthy_reward: f64 = 1.0, at_least(0.0);
    /// Whether the episode ends when the robot falls over or jumps off.
    terminate_when_unhealthy: bool = true, any();
    /// Cost of the sum of squares of the contact forces, each clipped to ± 1.
    contact_cost_weight: f64 = 0.0, at_least(0.0);
    /// Whether the contact forces are part of the observation.
    contact_forces_in_observation: bool = false, any();
    /// Bounds of x and y in the descriptor, ± this many m; it also scales them in the observation. What a robot can reach
    /// grows with the length of the episode.
    descriptor_limit: f64 = 30.0, positive();
}

/// Clips each contact force.
const FORCE_CLIP: f64 = 1.0;

const FEET: &[(&str, &str)] = &[
    ("left_ankle_geom", "front_left_foot"),
    ("right_ankle_geom", "front_right_foot"),
    ("third_ankle_geom", "back_left_foot"),
    ("fourth_ankle_geom", "back_right_foot"),
];

pub fn uni(params: &AntUni) -> Plan {
    let common = params.common();
    let reward = Reward {
        forward: params.forward_reward_weight,
        healthy: params.healthy_reward,
        control: common.ctrl_cost_weight,
        contact: params.contact_cost_weight,
        limit: ContactLimit::Force(FORCE_CLIP),
        terminate: params.terminate_when_unhealthy,
        positive: common.positive_reward,
        objectives: goals(&[Goal::Forward, Goal::Sideways, Goal::Thrift], params.objectives),
    };
    let descriptor = Descriptor::Feet(FEET);
    let recipe = ant(
        &common,
        reward,
        descriptor,
        1.0,
        params.contact_forces_in_observation,
        &[],
    );
    let fitness = "forward progress + survival - control cost - contact cost";
    Plan {
        recipe,
        episode_length: common.episode_length,
        time_in_observation: common.time_in_observation,
        fitness,
    }
}

pub fn omni(params: &AntOmni) -> Plan {
    anywhere(params, &[])
}

pub fn trap(params: &AntOmni) -> Plan {
    anywhere(params, TRAP)
}

fn anywhere(params: &AntOmni, walls: &'static [Wall]) -> Plan {
    let common = params.common();
    let reward = Reward {
        forward: 0.0,
        healthy: params.healthy_reward,
        control: common.ctrl_cost_weight,
        contact: params.contact_cost_weight,
        limit: ContactLimit::Force(FORCE_CLIP),
        terminate: params.terminate_when_unhealthy,
        positive: common.positive_reward,
        objectives: Objectives::default(),
    };
    let limit = params.descriptor_limit;
    let descriptor = Descriptor::Place { limit };
    let recipe = ant(
        &common,
        reward,
        descriptor,
        limit,
        params.contact_forces_in_observation,
        walls,
    );
    Plan {
        recipe,
        episode_length: common.episode_length,
        time_in_observation: common.time_in_observation,
        fitness: "survival - control cost",
    }
}

fn ant(
    common: &Common,
    reward: Reward,
    descriptor: Descriptor,
    scale: f64,
    forces: bool,
    walls: &'static [Wall],
) -> Recipe {
    let place = (!common.exclude_current_positions).then_some(Part::Place { end: 2, scale });
    let forces = forces.then_some(Part::ContactForces { clip: FORCE_CLIP });
    let always = [Part::Pose { start: 2 }, Part::Velocities { clip: f64::INFINITY }];
    Recipe {
        file: "ant.xml",
        integrator: common.integrator.clone(),
        walls,
        frames: common.frames(5),
        root: 7,
        noise: Noise {
            scale: common.reset_noise_scale,
            velocity: Distribution::Normal,
        },
        observation: place.into_iter().chain(always).chain(forces).collect(),
        progress: Progress::Torso,
        healthy: |position, velocity| {
            position.iter().chain(velocity).all(|x| x.is_finite()) && (0.2..=1.0).contains(&position[2])
        },
        reward,
        retreat: Retreat::default(),
        descriptor,
    }
}
