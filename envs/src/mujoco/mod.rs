//! Walking robots in MuJoCo: Gymnasium's models and `*-v5` semantics, as quality-diversity tasks.
//!
//! `*_uni` tasks reward walking forward and tell robots apart by how much each foot is on the floor; `*_omni` tasks reward
//! surviving cheaply and tell robots apart by where they end (after QDax: Lim, Allard, Grillotti and Cully, 'Accelerated
//! Quality-Diversity through Massive Parallelism', 2022). Physics is a pure function of (genes, seed): every episode starts from
//! reset simulation data, warm starts included.

mod ant;
mod arenas;
mod film;
mod gl;
mod humanoid;
#[cfg(test)]
mod maze_tests;
mod native;
mod planar;
mod recipe;
mod robot;
mod settings;
mod simulator;

use illume_core::params::{self, Params};
use illume_core::{Camera, Network, Result, Task, TaskConfig, TaskEntry, TaskSpec, Worker, toml};

pub use recipe::Recipe;
pub use robot::{Episode, Robot};
pub use settings::Plan;
pub use simulator::{Model, Simulator};

use crate::areas::measured;
use crate::film::Filmed;
use crate::policy::PolicyParams;
use crate::rollout::RolloutWorker;

macro_rules! entries {
    ($($name:literal, $params:ty, $plan:path, $summary:literal;)*) => {
        static REGISTRY: &[TaskEntry] = &[$(TaskEntry {
            name: $name,
            family: &[],
            summary: $summary,
            params: <$params as Params>::describe,
            network: true,
cases: false,
            policy: Some(PolicyParams::describe),
    small: "[task]\nepisode_length = 10\npositive_reward = true\n[policy]\nhidden = [8]",
    suggested: "[task]\nepisode_length = 250\npositive_reward = true\nintegrator = \"implicitfast\"\n[policy]\nhidden = [64, 64]\n[archive]\nkind = \"cvt\"\ncells = 1024",
    gene_scale: 0.02,
    sketch: None,
            build: |config| build($name, config),
        }),*];

        /// What the task of this name does under the parameters of a `[task]` table; none if there is no such task here.
        ///
        /// # Errors
        /// Every wrong parameter at once.
        pub fn plan(name: &str, table: &toml::Table) -> Option<Result<Plan>> {
            match name {
                $($name => Some(params::read::<$params>(table, "task", &["name"]).map(|p| $plan(&p))),)*
                _ => None,
            }
        }
    };
}
entries! {
    "halfcheetah_uni", planar::HalfCheetahUni, planar::halfcheetah,
        "HalfCheetah-v5: forward progress - control cost; share of steps on the front and on the back foot";
    "walker2d_uni", planar::Walker2dUni, planar::walker2d,
        "Walker2d-v5: forward progress + survival - control cost; share of steps on each foot";
    "hopper_uni", planar::HopperUni, planar::hopper,
        "Hopper-v5: forward progress + survival - control cost; share of steps on the foot";
    "ant_uni", ant::AntUni, ant::uni,
        "Ant-v5: forward progress + survival - control and contact cost; share of steps on each of four feet";
    "humanoid_uni", humanoid::HumanoidUni, humanoid::uni,
        "Humanoid-v5: forward progress + survival - control and contact cost; share of steps on each foot";
    "ant_omni", ant::AntOmni, ant::omni,
        "Ant that may go anywhere: survival - control cost; final x and y";
    "anttrap_omni", ant::AntOmni, ant::trap,
        "Ant before a trap of three walls: survival - control cost; final x and y";
    "ant_maze", ant::AntMaze, ant::maze,
        "Ant in a room with walls, paid where it ends in one of two far areas: fitness nearness to the area's middle, descriptor final x and y";
    "humanoid_omni", humanoid::HumanoidOmni, humanoid::omni,
        "Humanoid that may go anywhere: survival - control cost; final x and y";
}

/// The MuJoCo tasks.
pub fn registry() -> &'static [TaskEntry] {
    REGISTRY
}

struct RobotTask {
    robot: Robot,
    time_in_observation: bool,
    policy: Network,
    spec: TaskSpec,
}

fn build(name: &str, config: &TaskConfig<'_>) -> Result<Box<dyn Task>> {
    let Some(plan) = plan(name, config.task) else {
        return Err(illume_core::Error::failed(format!("there is no MuJoCo task '{name}'")));
    };
    let Plan {
        recipe,
        episode_length,
        time_in_observation,
        fitness,
    } = plan?;
    let params = PolicyParams::read(config.policy)?;
    let robot = Robot::new(recipe)?;
    let observation = robot.observation_dim() + usize::from(time_in_observation);
    let policy = params.network(observation, robot.model().sizes().controls);
    let spec = TaskSpec {
        descriptor: robot.axes(),
        fitness: fitness.into(),
        qd_offset: robot.qd_offset(episode_length),
        deterministic: robot.recipe().noise.scale == 0.0,
        observation_dim: policy.inputs(),
        action_dim: policy.outputs(),
        network: Some(policy.clone()),
        negative_rewards: robot
            .pays_below_zero()
            .then(|| "set task.positive_reward = true".into()),
        objectives: robot.objectives(episode_length),
        measures: measured(robot.recipe().reward.areas),
        max_steps: episode_length,
        test_steps: episode_length,
        sources: vec![robot.model().source.clone()],
        ..TaskSpec::new(name, policy.params(), params.init(&policy))
    };
    Ok(Box::new(RobotTask {
        robot,
        time_in_observation,
        policy,
        spec,
    }))
}

impl Task for RobotTask {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        let worker = RolloutWorker::new(self.robot.episode()?, &self.policy, &self.spec);
        Ok(Box::new(worker.with_time(self.time_in_observation)))
    }

    fn filming<'a>(&'a self, camera: &'a mut dyn Camera) -> Result<Option<Box<dyn Worker + 'a>>> {
        let painter = film::RobotPainter::new(&self.robot, camera.size(), camera.view())?;
        if painter.shows_its_way() {
            camera.last_tells_all();
        }
        let env = Filmed::new(self.robot.episode()?, painter, camera, 1.0 / self.robot.seconds());
        let worker = RolloutWorker::new(env, &self.policy, &self.spec);
        Ok(Some(Box::new(worker.with_time(self.time_in_observation))))
    }
}
