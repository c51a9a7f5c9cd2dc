//! Humanoid: walking forward, and going anywhere.

use super::recipe::{
    ContactLimit, Descriptor, Distribution, Noise, Objectives, Part, Progress, Recipe, Retreat, Reward,
};
use super::settings::{Common, Plan, robot_params};

robot_params! {
    /// `[task]` of `humanoid_uni`; the defaults are those of Humanoid-v5 but for what is seen of inertias and forces.
    HumanoidUni { episode: 1000, noise: 1e-2, control: 0.1, blind: true }
    /// Reward for each m/s forward.
    forward_reward_weight: f64 = 1.25, range(-1000.0, 1000.0);
    /// Reward for a step that leaves the robot healthy.
    healthy_reward: f64 = 5.0, at_least(0.0);
    /// Whether the episode ends when the robot falls.
    terminate_when_unhealthy: bool = true, any();
    /// Cost of the sum of squares of the contact forces; a step costs at most 10.
    contact_cost_weight: f64 = 5e-7, at_least(0.0);
    /// Whether each body's inertia is part of the observation (130 numbers).
    inertias_in_observation: bool = false, any();
    /// Whether each body's velocity is part of the observation (78 numbers).
    body_velocities_in_observation: bool = false, any();
    /// Whether the actuators' forces are part of the observation (17 numbers).
    actuator_forces_in_observation: bool = false, any();
    /// Whether the contact forces are part of the observation (78 numbers).
    contact_forces_in_observation: bool = false, any();
}

robot_params! {
    /// `[task]` of `humanoid_omni`. 1000 steps (15 s) and ± 10 m are those of DCRL-MAP-Elites' code.
    HumanoidOmni { episode: 1000, noise: 1e-2, control: 0.1, blind: false }
    /// Reward for a step that leaves the robot healthy.
    healthy_reward: f64 = 5.0, at_least(0.0);
    /// Whether the episode ends when the robot falls.
    terminate_when_unhealthy: bool = true, any();
    /// Cost of the sum of squares of the contact forces; a step costs at most 10.
    contact_cost_weight: f64 = 0.0, at_least(0.0);
    /// Whether each body's inertia is part of the observation (130 numbers).
    inertias_in_observation: bool = false, any();
    /// Whether each body's velocity is part of the observation (78 numbers).
    body_velocities_in_observation: bool = false, any();
    /// Whether the actuators' forces are part of the observation (17 numbers).
    actuator_forces_in_observation: bool = false, any();
    /// Whether the contact forces are part of the observation (78 numbers).
    contact_forces_in_observation: bool = false, any();
    /// Bounds of x and y in the descriptor, ± this many m; it also scales them in the observation. What a robot can reach
    /// grows with the length of the episode.
    descriptor_limit: f64 = 10.0, positive();
}

/// Most that contacts cost in a step.
const CONTACT_COST_LIMIT: f64 = 10.0;

const FEET: &[(&str, &str)] = &[("right_foot", "right_foot"), ("left_foot", "left_foot")];

pub fn uni(params: &HumanoidUni) -> Plan {
    let common = params.common();
    let reward = Reward {
        forward: params.forward_reward_weight,
        healthy: params.healthy_reward,
        contact: params.contact_cost_weight,
        ..reward(&common, params.terminate_when_unhealthy)
    };
    let seen = Seen {
        inertias: params.inertias_in_observation,
        velocities: params.body_velocities_in_observation,
        actuators: params.actuator_forces_in_observation,
        contacts: params.contact_forces_in_observation,
    };
    let recipe = humanoid(&common, reward, Descriptor::Feet(FEET), 1.0, seen);
    let fitness = "forward progress + survival - control cost - contact cost";
    Plan {
        recipe,
        episode_length: common.episode_length,
        time_in_observation: common.time_in_observation,
        fitness,
    }
}

pub fn omni(params: &HumanoidOmni) -> Plan {
    let common = params.common();
    let reward = Reward {
        healthy: params.healthy_reward,
        contact: params.contact_cost_weight,
        ..reward(&common, params.terminate_when_unhealthy)
    };
    let seen = Seen {
        inertias: params.inertias_in_observation,
        velocities: params.body_velocities_in_observation,
        actuators: params.actuator_forces_in_observation,
        contacts: params.contact_forces_in_observation,
    };
    let limit = params.descriptor_limit;
    let recipe = humanoid(&common, reward, Descriptor::Place { middle: 0.0, limit }, limit, seen);
    Plan {
        recipe,
        episode_length: common.episode_length,
        time_in_observation: common.time_in_observation,
        fitness: "survival - control cost",
    }
}

/// What is seen beside positions and velocities.
struct Seen {
    inertias: bool,
    velocities: bool,
    actuators: bool,
    contacts: bool,
}

fn reward(common: &Common, terminate: bool) -> Reward {
    Reward {
        forward: 0.0,
        healthy: 0.0,
        control: common.ctrl_cost_weight,
        contact: 0.0,
        limit: ContactLimit::Cost(CONTACT_COST_LIMIT),
        terminate,
        positive: common.positive_reward,
        areas: &[],
        objectives: Objectives::default(),
    }
}

fn humanoid(common: &Common, reward: Reward, descriptor: Descriptor, scale: f64, seen: Seen) -> Recipe {
    let parts = [
        (!common.exclude_current_positions, Part::Place { middle: 0.0, scale }),
        (true, Part::Pose { start: 2 }),
        (true, Part::Velocities { clip: f64::INFINITY }),
        (seen.inertias, Part::Inertias),
        (seen.velocities, Part::BodyVelocities),
        (seen.actuators, Part::ActuatorForces),
        (seen.contacts, Part::ContactForces { clip: f64::INFINITY }),
    ];
    Recipe {
        file: "humanoid.xml",
        integrator: common.integrator.clone(),
        edit: |_| (),
        frames: common.frames(5),
        root: 7,
        noise: Noise {
            scale: common.reset_noise_scale,
            velocity: Distribution::Uniform,
        },
        observation: parts
            .into_iter()
            .filter_map(|(wanted, part)| wanted.then_some(part))
            .collect(),
        progress: Progress::MassCenter,
        healthy: |position, _| 1.0 < position[2] && position[2] < 2.0,
        reward,
        retreat: Retreat::default(),
        descriptor,
    }
}
