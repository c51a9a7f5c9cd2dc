//! A walking robot as an episode: what it sees, earns and is told apart by, with the semantics of Gymnasium's `*-v5`
//! environments.

use illume_core::{Axis, Error, Objective, Purpose, Result, Stream};

use super::recipe::{ContactLimit, Descriptor, Distribution, Goal, Noise, Part, Progress, Recipe, Retreat, Reward};
use super::simulator::{FEET, Model, Simulator, Sizes};
use crate::areas;
use crate::rollout::{End, Env, Step};

/// A recipe with its model: what threads share.
#[derive(Debug)]
pub struct Robot {
    recipe: Recipe,
    model: Model,
    /// Most that controls can cost in a step.
    control_bound: f64,
    /// Whether anything asks for contact forces.
    forces: bool,
    /// The second position in the model's own state: the height of a robot that moves in a plane.
    height: f64,
}

impl Robot {
    /// # Errors
    /// The model cannot be loaded, or is not the one meant.
    pub fn new(recipe: Recipe) -> Result<Robot> {
        let feet: Vec<&str> = match recipe.descriptor {
            Descriptor::Feet(feet) => feet.iter().map(|f| f.0).collect(),
            Descriptor::Place { .. } => Vec::new(),
        };
        let model = Model::load(recipe.file, &recipe.integrator, &feet, recipe.edit)?;
        let Sizes {
            qpos,
            qvel,
            controls,
            bodies,
        } = model.sizes();
        if qpos <= recipe.root || qvel < 6 || controls == 0 || bodies < 2 {
            return Err(Error::input(format!(
                "{}: the model is not that of Gymnasium",
                recipe.file
            )));
        }
        let control_bound = recipe.reward.control * model.largest_control();
        let seen = recipe
            .observation
            .iter()
            .any(|p| matches!(p, Part::ContactForces { .. }));
        let forces = seen || recipe.reward.contact > 0.0;
        let height = model.simulator()?.positions()[1];
        Ok(Robot {
            recipe,
            model,
            control_bound,
            forces,
            height,
        })
    }

    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Numbers in an observation.
    pub fn observation_dim(&self) -> usize {
        let Sizes { qpos, qvel, bodies, .. } = self.model.sizes();
        let size = |part: &Part| match part {
            Part::Place { .. } => 2,
            Part::Pose { start } => qpos - start,
            Part::Velocities { .. } => qvel,
            Part::Inertias => 10 * (bodies - 1),
            Part::BodyVelocities | Part::ContactForces { .. } => 6 * (bodies - 1),
            Part::ActuatorForces => qvel - 6,
        };
        self.recipe.observation.iter().map(size).sum()
    }

    /// The descriptor's axes.
    pub fn axes(&self) -> Vec<Axis> {
        match self.recipe.descriptor {
            Descriptor::Feet(feet) => feet.iter().map(|(_, name)| Axis::new(name, "", 0.0, 1.0)).collect(),
            Descriptor::Place { middle, limit } => ["x", "y"]
                .iter()
                .map(|name| Axis::new(name, "m", middle - limit, middle + limit))
                .collect(),
        }
    }

    /// What keeps scores of `steps` steps at or above zero: exactly so without a forward term and contact cost; with a forward
    /// term, as long as the robot does not go backward more than its `Retreat`.
    pub fn qd_offset(&self, steps: u32) -> f64 {
        let Reward {
            forward,
            healthy,
            terminate,
            positive,
            ..
        } = self.recipe.reward;
        if positive {
            return 0.0;
        }
        // Where falling ends the episode, only its last step earns no survival.
        let survival = if terminate { healthy } else { 0.0 };
        let Retreat { speed, fall } = self.recipe.retreat;
        let loss = self.control_bound + forward.abs() * speed - survival;
        f64::from(steps) * loss.max(0.0) + survival + forward.abs() * fall / self.seconds()
    }

    /// Its objectives over `steps` steps, if there are several. Hypervolumes are measured from what a robot does at worst: going backward by its `Retreat`, or sideways as fast, with all that controls can cost.
    pub fn objectives(&self, steps: u32) -> Vec<Objective> {
        let reward = &self.recipe.reward;
        let cost = match reward.objectives.share_cost {
            true => self.control_bound,
            false => 0.0,
        };
        // Of Ant's 13 bodies and the floor, where forces are clipped to 1.
        let contact = reward.contact * 6.0 * self.model.sizes().bodies as f64;
        let worst = |goal: Goal| match goal {
            Goal::Forward | Goal::Sideways => self.recipe.retreat.speed,
            Goal::Height => 10.0 * self.height.abs(),
            Goal::Thrift => self.model.largest_control(),
        };
        let goals = reward.objectives.goals.iter();
        let objective = |goal: &Goal| {
            let [name, unit] = goal.words();
            let reference = 0.0 - f64::from(steps) * (worst(*goal) + cost + contact);
            Objective::new(name, unit, [reference, f64::NAN])
        };
        goals.map(objective).collect()
    }

    /// Whether a step's reward can be below zero.
    pub fn pays_below_zero(&self) -> bool {
        let Reward {
            forward,
            contact,
            positive,
            ..
        } = self.recipe.reward;
        !positive && (forward != 0.0 || contact > 0.0 || self.control_bound > 0.0)
    }

    /// Seconds of an action.
    pub fn seconds(&self) -> f64 {
        self.model.timestep * f64::from(self.recipe.frames)
    }

    /// An episode for one thread.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn episode(&self) -> Result<Episode<'_>> {
        Ok(Episode {
            robot: self,
            simulator: self.model.simulator()?,
            place: [0.0; 2],
            steps: 0,
            contacts: [0; FEET],
            earned: [0.0; GOALS],
        })
    }
}

/// One thread's episode.
#[derive(Debug)]
pub struct Episode<'r> {
    robot: &'r Robot,
    simulator: Simulator<'r>,
    /// Where progress is measured from: x and y.
    place: [f64; 2],
    steps: u32,
    /// Steps after which each foot touched the floor.
    contacts: [u32; FEET],
    /// What the last step brought of each objective.
    earned: [f64; GOALS],
}

/// Most objectives of a robot.
const GOALS: usize = 3;

impl<'r> Episode<'r> {
    /// Starts from this state.
    pub fn start(&mut self, positions: &[f64], velocities: &[f64], observation: &mut [f32]) {
        self.simulator.reset(|i, _| positions[i], |i, _| velocities[i]);
        self.begin(observation);
    }

    pub fn simulator(&self) -> &Simulator<'r> {
        &self.simulator
    }

    pub fn simulator_mut(&mut self) -> &mut Simulator<'r> {
        &mut self.simulator
    }

    fn begin(&mut self, observation: &mut [f32]) {
        self.place = self.place();
        self.steps = 0;
        self.contacts.fill(0);
        self.observe(observation);
    }

    /// The area that pays for where the torso is, and what.
    fn paid(&self) -> Option<(usize, f64)> {
        let [x, y] = [0, 1].map(|axis| self.simulator.positions()[axis]);
        areas::paid(self.robot.recipe.reward.areas, [x, y])
    }

    fn place(&self) -> [f64; 2] {
        let reward = &self.robot.recipe.reward;
        match self.robot.recipe.progress {
            _ if reward.forward == 0.0 && reward.objectives.goals.is_empty() => [0.0; 2],
            Progress::Slider => [self.simulator.positions()[0], 0.0],
            Progress::Torso => {
                let [x, y, _] = self.simulator.torso();
                [x, y]
            }
            Progress::MassCenter => [self.simulator.mass_center_x(), 0.0],
        }
    }

    fn observe(&self, observation: &mut [f32]) {
        let s = &self.simulator;
        let mut rest = observation.iter_mut();
        for part in &self.robot.recipe.observation {
            match *part {
                Part::Place { middle, scale } => {
                    write(&mut rest, s.positions()[..2].iter().map(|x| (x - middle) / scale));
                }
                Part::Pose { start } => write(&mut rest, s.positions()[start..].iter().copied()),
                Part::Velocities { clip } => write(&mut rest, s.velocities().iter().map(|v| v.clamp(-clip, clip))),
                Part::Inertias => write(&mut rest, s.inertias()[1..].iter().flatten().copied()),
                Part::BodyVelocities => write(&mut rest, s.body_velocities()[1..].iter().flatten().copied()),
                Part::ActuatorForces => write(&mut rest, s.actuator_forces()[6..].iter().copied()),
                Part::ContactForces { clip } => {
                    write(
                        &mut rest,
                        s.contact_forces()[1..].iter().flatten().map(|f| f.clamp(-clip, clip)),
                    );
                }
            }
        }
    }

    /// The reward of a step; `velocity` is along x and y.
    fn reward(&mut self, healthy: bool, velocity: [f64; 2]) -> f64 {
        let reward = &self.robot.recipe.reward;
        let effort = self.simulator.controls().iter().map(|c| c * c).sum::<f64>();
        let control = reward.control * effort;
        let forces = || self.simulator.contact_forces().iter().flatten();
        let contact = match reward.limit {
            _ if reward.contact == 0.0 => 0.0,
            ContactLimit::Force(clip) => reward.contact * forces().map(|f| f.clamp(-clip, clip).powi(2)).sum::<f64>(),
            ContactLimit::Cost(most) => (reward.contact * forces().map(|f| f * f).sum::<f64>()).min(most),
        };
        let survival = if healthy { reward.healthy } else { 0.0 };
        let cost = if reward.objectives.share_cost { control } else { 0.0 };
        for (earned, goal) in self.earned.iter_mut().zip(reward.objectives.goals) {
            let own = match goal {
                Goal::Forward => velocity[0],
                Goal::Sideways => velocity[1],
                Goal::Height => 10.0 * (self.simulator.positions()[1] - self.robot.height),
                Goal::Thrift => -effort,
            };
            *earned = own - cost + survival - contact;
        }
        let sum = reward.forward * velocity[0] + survival - (control + contact);
        if reward.positive {
            (sum + self.robot.control_bound).max(0.0)
        } else {
            sum
        }
    }
}

fn write(to: &mut std::slice::IterMut<'_, f32>, values: impl Iterator<Item = f64>) {
    for value in values {
        if let Some(slot) = to.next() {
            *slot = value as f32;
        }
    }
}

impl Env for Episode<'_> {
    fn reset(&mut self, seed: u64, observation: &mut [f32]) {
        let Noise { scale, velocity } = self.robot.recipe.noise;
        let stream = |index| Stream::new(seed, Purpose::Episode, 0, index);
        let (positions, velocities) = (stream(0), stream(1));
        let uniform = |s: &Stream, i: usize| scale * (2.0 * s.uniform(i as u64) - 1.0);
        let normal = |s: &Stream, i: usize| {
            let mut z = [0.0];
            s.normals(i as u64, &mut z);
            scale * f64::from(z[0])
        };
        let draw = |i: usize| {
            if velocity == Distribution::Uniform {
                uniform(&velocities, i)
            } else {
                normal(&velocities, i)
            }
        };
        self.simulator
            .reset(|i, x| x + uniform(&positions, i), |i, v| v + draw(i));
        self.begin(observation);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let Recipe {
            frames,
            reward,
            healthy,
            descriptor,
            ..
        } = &self.robot.recipe;
        self.steps += 1;
        if !self.simulator.step(action, *frames, self.robot.forces) {
            return Step {
                reward: 0.0,
                end: End::Failed,
            };
        }
        if let Descriptor::Feet(_) = descriptor {
            let mut feet = self.simulator.touching();
            while feet != 0 {
                self.contacts[feet.trailing_zeros() as usize] += 1;
                feet &= feet - 1;
            }
        }
        let before = self.place;
        self.place = self.place();
        let velocity = [0, 1].map(|i| (self.place[i] - before[i]) / self.robot.seconds());
        let healthy = healthy(self.simulator.positions(), self.simulator.velocities());
        self.observe(observation);
        let end = if reward.terminate && !healthy {
            End::Terminated
        } else {
            End::Running
        };
        Step {
            reward: self.reward(healthy, velocity),
            end,
        }
    }

    fn objectives(&mut self, out: &mut [f64]) {
        out.iter_mut().zip(self.earned).for_each(|(out, earned)| *out = earned);
    }

    fn measures(&mut self, out: &mut [f64]) {
        if let Some((area, _)) = self.paid() {
            out[area] = 1.0;
        }
    }

    fn final_reward(&mut self) -> Option<f64> {
        let pays = !self.robot.recipe.reward.areas.is_empty();
        pays.then(|| self.paid().map_or(0.0, |(_, reward)| reward))
    }

    fn descriptor(&mut self, out: &mut [f64]) {
        match self.robot.recipe.descriptor {
            Descriptor::Feet(_) => {
                let steps = f64::from(self.steps.max(1));
                out.iter_mut()
                    .zip(self.contacts)
                    .for_each(|(share, count)| *share = f64::from(count) / steps);
            }
            Descriptor::Place { .. } => out.copy_from_slice(&self.simulator.positions()[..2]),
        }
    }
}
