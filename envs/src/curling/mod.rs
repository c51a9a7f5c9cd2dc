//! `curling`: an arm of two links that pushes a ball over a table with four walls, paid for where the ball comes to rest: `Curling` of SERENE's and STAX's programs (Paolo et al.;
//! `gym_billiard/envs/curling.py`, `environments/curling.py`), to what Box2D's solver leaves of it.
//!
//! The policy sees the ball's place, both joints' angles and how fast they turn, and sets the speeds. Lengths are in m, the table is 3 by 3 with its middle at 0, and y points up.

use std::cell::RefCell;

use illume_core::{
    Axis, Camera, Network, Result, Task, TaskConfig, TaskEntry, TaskSpec, Worker, params, params::Params as _,
};

use crate::areas::{Area, measured, paid};
use crate::film::Filmed;
use crate::policy::PolicyParams;
use crate::rollout::{End, Env, RolloutWorker, Step};
use table::{BALL_START, HALF, STEP, State, Table};

mod film;
mod table;

params! {
    /// Parameters of `curling`.
    pub struct CurlingParams {
        /// Steps of an episode, of a sixtieth of a second each.
        episode_length: u32 = 500, range(1, 1_000_000);
        /// What is paid: nearness to the middle of one of two "areas" if the ball ends in one, or nothing ("none").
        reward: String = "areas".into(), one_of(&["areas", "none"]);
        /// Iterations of the solver in a step, for velocities and again for positions. With 8 an episode takes a third of the time, and pushes are softer.
        iterations: u32 = 100, range(1, 10_000);
    }
}

/// The registry's entry.
pub const ENTRY: TaskEntry = TaskEntry {
    name: "curling",
    family: &[],
    summary: "arm of two links that pushes a ball: fitness nearness to the middle of one of two areas that the ball ends in, descriptor where it ends",
    params: CurlingParams::describe,
    network: true,
    cases: false,
    policy: Some(PolicyParams::describe),
    small: "[task]\nepisode_length = 30\niterations = 8\n[policy]\nhidden = [3]",
    suggested: "[policy]\nhidden = [5, 5, 5]\n[archive]\nkind = \"grid\"\nshape = [50, 50]\n[budget]\nevaluations = 500_000",
    gene_scale: 0.1,
    sketch: None,
    build,
};

const OBSERVATION: usize = 6;
const ACTION: usize = 2;
/// Where the ball's middle can be, of the authors' grid.
const REACH: f64 = 1.35;
const AREAS: [Area; 2] = [
    Area {
        middle: [0.8, 0.8],
        radius: 0.4,
    },
    Area {
        middle: [0.8, -0.8],
        radius: 0.2,
    },
];

fn build(config: &TaskConfig<'_>) -> Result<Box<dyn Task>> {
    let params: CurlingParams = params::read(config.task, "task", &["name"])?;
    let policy = PolicyParams::read(config.policy)?;
    let network = policy.network(OBSERVATION, ACTION);
    let pays = params.reward == "areas";
    let spec = TaskSpec {
        descriptor: vec![Axis::new("x", "m", -REACH, REACH), Axis::new("y", "m", -REACH, REACH)],
        fitness: match pays {
            true => "nearness to the middle of a reward area, 1 in it and 0 at its edge and elsewhere".into(),
            false => "none (0)".into(),
        },
        deterministic: true,
        observation_dim: OBSERVATION,
        action_dim: ACTION,
        network: Some(network.clone()),
        max_steps: params.episode_length,
        test_steps: params.episode_length,
        measures: if pays { measured(&AREAS) } else { Vec::new() },
        ..TaskSpec::new("curling", network.params(), policy.init(&network))
    };
    Ok(Box::new(Curling {
        spec,
        network,
        pays,
        iterations: params.iterations as i32,
    }))
}

struct Curling {
    spec: TaskSpec,
    network: Network,
    pays: bool,
    iterations: i32,
}

impl Curling {
    fn game(&self) -> Game {
        Game {
            state: State::default(),
            pays: self.pays,
            iterations: self.iterations,
        }
    }
}

impl Task for Curling {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(RolloutWorker::new(self.game(), &self.network, &self.spec)))
    }

    fn filming<'a>(&'a self, camera: &'a mut dyn Camera) -> Result<Option<Box<dyn Worker + 'a>>> {
        camera.last_tells_all();
        let env = Filmed::new(
            self.game(),
            film::TablePainter::default(),
            camera,
            1.0 / f64::from(STEP),
        );
        Ok(Some(Box::new(RolloutWorker::new(env, &self.network, &self.spec))))
    }
}

thread_local! {
    /// The table of the episode that this thread is at. Box2D's bodies point to one another by counters that other threads must not touch, and an episode stays on its thread.
    static TABLE: RefCell<Option<Table>> = const { RefCell::new(None) };
}

/// One game.
#[derive(Debug, Clone)]
struct Game {
    state: State,
    pays: bool,
    iterations: i32,
}

impl Game {
    fn observe(&self, observation: &mut [f32]) {
        let State { ball, angles, speeds } = self.state;
        let seen = ball.into_iter().chain(angles).chain(speeds);
        observation.iter_mut().zip(seen).for_each(|(seen, value)| *seen = value);
    }

    /// The area that pays for where the ball is, and what.
    fn paid(&self) -> Option<(usize, f64)> {
        self.pays
            .then(|| paid(&AREAS, self.state.ball.map(f64::from)))
            .flatten()
    }
}

impl Env for Game {
    fn reset(&mut self, _seed: u64, observation: &mut [f32]) {
        // A new one, since the solver begins with what it found the last time.
        TABLE.replace(Some(Table::new(self.iterations)));
        self.state = State {
            ball: BALL_START,
            ..State::default()
        };
        self.observe(observation);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        let moved = TABLE.with_borrow_mut(|table| {
            let table = table.as_mut()?;
            table.step(action);
            Some(table.state())
        });
        // The solver can be left with a ball between arm and wall that has nowhere to go.
        let lost = |state: &State| !state.ball.iter().all(|x| x.abs() <= HALF);
        let end = match moved.filter(|state| !lost(state)) {
            Some(state) => {
                self.state = state;
                End::Running
            }
            None => End::Failed,
        };
        self.observe(observation);
        Step { reward: 0.0, end }
    }

    fn descriptor(&mut self, out: &mut [f64]) {
        out.copy_from_slice(&self.state.ball.map(f64::from));
    }

    fn measures(&mut self, out: &mut [f64]) {
        if let Some((area, _)) = self.paid() {
            out[area] = 1.0;
        }
    }

    fn final_reward(&mut self) -> Option<f64> {
        self.pays.then(|| self.paid().map_or(0.0, |(_, reward)| reward))
    }
}

#[cfg(test)]
mod tests;
