//! A robot's task in data: the families differ only in their recipes.

use mujoco_rs::prelude::MjSpec;

use crate::areas::Area;

/// A task of a robot.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The model's file, one of Gymnasium's.
    pub file: &'static str,
    pub integrator: String,
    /// What it changes in the model.
    pub edit: fn(&mut MjSpec),
    /// Simulator steps of an action.
    pub frames: u32,
    /// Positions of the robot as a whole, which come first: 3 for a planar one, 7 for a free one.
    pub root: usize,
    pub noise: Noise,
    pub observation: Vec<Part>,
    pub progress: Progress,
    /// Whether the robot still stands, from positions and velocities.
    pub healthy: fn(&[f64], &[f64]) -> bool,
    pub reward: Reward,
    pub retreat: Retreat,
    pub descriptor: Descriptor,
}

/// How far a robot goes backward at worst: the QD offset allows for it. Above the worst that 600 to 900 random networks of each robot did (weights drawn
/// by their distribution, and 3 and 10 times as large; `implicitfast`).
#[derive(Debug, Clone, Copy, Default)]
pub struct Retreat {
    /// Mean speed in m/s over a whole episode.
    pub speed: f64,
    /// Way in m while falling at its start.
    pub fall: f64,
}

/// How a first state differs from the model's: positions by a uniform number in ± `scale`, velocities by
/// one of the given distribution.
#[derive(Debug, Clone, Copy)]
pub struct Noise {
    pub scale: f64,
    pub velocity: Distribution,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distribution {
    /// Uniform in ± `scale`.
    Uniform,
    /// Normal with standard deviation `scale`.
    Normal,
}

/// A part of the observation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Part {
    /// The first two positions, from a middle that both have, divided by a scale.
    Place { middle: f64, scale: f64 },
    /// Positions from this number on.
    Pose { start: usize },
    /// Velocities, clipped to ± this.
    Velocities { clip: f64 },
    /// Inertia and mass, 10 numbers for each body but the world's.
    Inertias,
    /// Angular and linear velocity, 6 numbers for each body.
    BodyVelocities,
    /// Forces of the actuators on the joints.
    ActuatorForces,
    /// Torque and force from outside, 6 numbers for each body, clipped to ± this.
    ContactForces { clip: f64 },
}

/// What moves forward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The first position.
    Slider,
    /// The torso's frame.
    Torso,
    MassCenter,
}

/// What a step earns: forward weight x velocity + survival - control cost - contact cost.
#[derive(Debug, Clone, Copy)]
pub struct Reward {
    /// For each m/s along x.
    pub forward: f64,
    /// For a step that leaves the robot healthy.
    pub healthy: f64,
    /// For the sum of squares of the controls.
    pub control: f64,
    /// For the sum of squares of the contact forces.
    pub contact: f64,
    pub limit: ContactLimit,
    /// Whether an unhealthy robot ends the episode.
    pub terminate: bool,
    /// Adds the largest control cost to every reward and cuts what is still negative.
    pub positive: bool,
    /// Places that pay where the episode ends, beside what its steps earned; empty for none.
    pub areas: &'static [Area],
    /// Several objectives beside the reward, as MO-Gymnasium has them; empty for none.
    pub objectives: Objectives,
}

/// Objectives of a step: each of these, to which survival and contact cost are added.
#[derive(Debug, Clone, Copy, Default)]
pub struct Objectives {
    pub goals: &'static [Goal],
    /// Whether the weighted control cost is taken from each, where it is no objective of its own.
    pub share_cost: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// Velocity along x, in m/s.
    Forward,
    /// Velocity along y, in m/s.
    Sideways,
    /// Ten times the height above that of the model's own state, in m.
    Height,
    /// Minus the sum of squares of the controls, unweighted.
    Thrift,
}

impl Goal {
    /// Its name, and the unit of its sum over steps.
    pub fn words(self) -> [&'static str; 2] {
        match self {
            Goal::Forward => ["forward", "m/s steps"],
            Goal::Sideways => ["sideways", "m/s steps"],
            Goal::Height => ["height", "dm steps"],
            Goal::Thrift => ["minus_effort", ""],
        }
    }
}

/// What keeps a hard contact from deciding the reward.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ContactLimit {
    /// Each force is clipped to ± this.
    Force(f64),
    /// The contact cost of a step is at most this.
    Cost(f64),
}

#[derive(Debug, Clone, Copy)]
pub enum Descriptor {
    /// For each of these (geom, name of the axis), the share of steps after which it touches the floor.
    Feet(&'static [(&'static str, &'static str)]),
    /// Where the torso is in the end: x and y in `middle` ± `limit` meters.
    Place { middle: f64, limit: f64 },
}
