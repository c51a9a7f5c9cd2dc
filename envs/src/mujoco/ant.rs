//! Ant: walking forward, going anywhere, and going anywhere but for a trap.

use mujoco_rs::prelude::MjSpec;

use super::arenas;
use super::planar::goals;
use super::recipe::{
    ContactLimit, Descriptor, Distribution, Goal, Noise, Objectives, Part, Progress, Recipe, Retreat, Reward,
};
use super::settings::{Common, Plan, robot_params};
use crate::areas::Area;

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

robot_params! {
    /// `[task]` of `ant_maze`: `AntObstacles` of SERENE's program (Paolo et al. 2021, `ant_maze.py`), whose episodes have 3,000 steps, in STAX's 1,000.
    AntMaze { episode: 1000, noise: 0.1, control: 0.0, blind: false }
    /// What is paid: nearness to the middle of one of two "areas" if the ant ends in one, or nothing ("none").
    reward: String = "areas".into(), one_of(&["areas", "none"]);
}

/// Half of the maze's width and the coordinate of its middle, in m.
const MAZE: f64 = 35.0;
const MIDDLE: f64 = 5.0;
const AREAS: [Area; 2] = [
    Area {
        middle: [35.0, -25.0],
        radius: 3.0,
    },
    Area {
        middle: [-25.0, 35.0],
        radius: 3.0,
    },
];

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
        areas: &[],
        objectives: goals(&[Goal::Forward, Goal::Sideways, Goal::Thrift], params.objectives),
    };
    let descriptor = Descriptor::Feet(FEET);
    let recipe = ant(
        &common,
        reward,
        descriptor,
        Part::Place {
            middle: 0.0,
            scale: 1.0,
        },
        params.contact_forces_in_observation,
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
    anywhere(params, |_| ())
}

pub fn trap(params: &AntOmni) -> Plan {
    anywhere(params, arenas::trap)
}

fn anywhere(params: &AntOmni, edit: fn(&mut MjSpec)) -> Plan {
    let common = params.common();
    let reward = Reward {
        forward: 0.0,
        healthy: params.healthy_reward,
        control: common.ctrl_cost_weight,
        contact: params.contact_cost_weight,
        limit: ContactLimit::Force(FORCE_CLIP),
        terminate: params.terminate_when_unhealthy,
        positive: common.positive_reward,
        areas: &[],
        objectives: Objectives::default(),
    };
    let limit = params.descriptor_limit;
    let descriptor = Descriptor::Place { middle: 0.0, limit };
    let recipe = Recipe {
        edit,
        ..ant(
            &common,
            reward,
            descriptor,
            Part::Place {
                middle: 0.0,
                scale: limit,
            },
            params.contact_forces_in_observation,
        )
    };
    Plan {
        recipe,
        episode_length: common.episode_length,
        time_in_observation: common.time_in_observation,
        fitness: "survival - control cost",
    }
}

pub fn maze(params: &AntMaze) -> Plan {
    let common = params.common();
    let pays = params.reward == "areas";
    let reward = Reward {
        forward: 0.0,
        healthy: 0.0,
        control: common.ctrl_cost_weight,
        contact: 0.0,
        limit: ContactLimit::Force(FORCE_CLIP),
        terminate: false,
        positive: common.positive_reward,
        areas: if pays { &AREAS } else { &[] },
        objectives: Objectives::default(),
    };
    let descriptor = Descriptor::Place {
        middle: MIDDLE,
        limit: MAZE,
    };
    Plan {
        recipe: Recipe {
            edit: arenas::maze,
            ..ant(
                &common,
                reward,
                descriptor,
                Part::Place {
                    middle: MIDDLE,
                    scale: 2.0 * MAZE,
                },
                false,
            )
        },
        episode_length: common.episode_length,
        time_in_observation: common.time_in_observation,
        fitness: match pays {
            true => "nearness to the middle of a reward area, 1 in it and 0 at its edge and elsewhere, - control cost",
            false => "- control cost",
        },
    }
}

fn ant(common: &Common, reward: Reward, descriptor: Descriptor, place: Part, forces: bool) -> Recipe {
    let place = (!common.exclude_current_positions).then_some(place);
    let forces = forces.then_some(Part::ContactForces { clip: FORCE_CLIP });
    let always = [Part::Pose { start: 2 }, Part::Velocities { clip: f64::INFINITY }];
    Recipe {
        file: "ant.xml",
        integrator: common.integrator.clone(),
        edit: |_| (),
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
