//! `hard_maze`: the deceptive maze of Lehman and Stanley, 'Abandoning objectives' (Evolutionary Computation 19(2), 2011), with
//! the sensors and rules of the deep-neuroevolution program (Such et al. 2017, arXiv 1712.06567; `maze.h` there).
//!
//! A round agent that steers and drives by slowly changing rates starts at the bottom left; the goal is at the top left, behind
//! walls. It senses a bias, six rangefinders and the quarter in which the goal lies. Only the place where it ends counts.
//! Lengths are in map units, angles in degrees, y points down on the usual pictures.

use illume_core::{
    Axis, Camera, Network, Objective, Result, Task, TaskConfig, TaskEntry, TaskSpec, Worker, params, params::Params,
};
use illume_numerics::math::{fraction, sin_cos_turns};
use illume_numerics::simd_dispatch;

use crate::areas::{Area, measured, paid};
use crate::film::Filmed;
use crate::policy::PolicyParams;
use crate::rollout::{End, Env, RolloutWorker, Step};

use map::{EXTENT, REACH, free_path, nearest_wall_squared};

mod film;
mod map;

params! {
    /// Parameters of `hard_maze`.
    pub struct MazeParams {
        /// Steps of an episode.
        episode_length: u32 = 400, range(1, 1_000_000);
        /// What is paid at the end: minus the distance to the goal, that plus the map's diagonal (so never below zero), nothing
        /// (for novelty), or nearness to the middle of one of two "areas" if it ends in one: a far one at the goal and one in a dead end.
        reward: String = "distance".into(), one_of(&["distance", "closeness", "none", "areas"]);
        /// Whether the observation ends with the share of the episode's time that remains, from 1 to 0: without it nothing that the
        /// agent sees says when it will be paid.
        time_in_observation: bool = false, any();
        /// What an encoder of descriptors sees: "observations" at ten moments of the episode, or a "picture" of the map as it ends, from above, 20 x 20.
        features: String = "observations".into(), one_of(&["observations", "picture"]);
        /// Objectives: 1, or 2 for the progress towards the goal and minus the sum of speeds, which walls do not spare the agent.
        objectives: usize = 1, range(1, 2);
    }
}

/// The registry's entry.
pub const ENTRY: TaskEntry = TaskEntry {
    name: "hard_maze",
    family: &[],
    summary: "deceptive maze with range and goal sensors: fitness -distance to the goal, descriptor the final position",
    params: <MazeParams as params::Params>::describe,
    network: true,
    cases: false,
    policy: Some(PolicyParams::describe),
    small: "[task]\nepisode_length = 50\nreward = \"closeness\"\n[policy]\nhidden = [6]",
    suggested: "[task]\nreward = \"closeness\"\n[policy]\nhidden = [16]\n[archive]\nkind = \"grid\"\nshape = [50, 50]\n[budget]\nevaluations = 200_000",
    gene_scale: 0.1,
    sketch: None,
    build,
};

/// The walls, each from `[x, y]` to `[x, y]` in map units, which are those of the descriptor.
pub fn walls() -> impl Iterator<Item = [[f64; 2]; 2]> {
    map::WALLS.iter().map(|wall| {
        let [x, y, to_x, to_y] = wall.map(f64::from);
        [[x, y], [to_x, to_y]]
    })
}

const START: [f32; 2] = [36.0, 184.0];
const GOAL: [f32; 2] = [31.0, 20.0];
/// Radius of the agent: it never comes nearer to a wall.
const RADIUS: f32 = 8.0;
/// Largest speed (units per step) and turn rate (degrees per step), and by how much either changes in a step.
const RATE: f32 = 3.0;
const SLEW: f32 = 0.2;
/// Those of SERENE's program (`nav_env.py:30-42`), whose map is three times as large.
const AREAS: [Area; 2] = [
    Area {
        middle: [60.0 / 3.0, 60.0 / 3.0],
        radius: 50.0 / 3.0,
    },
    Area {
        middle: [100.0 / 3.0, 200.0 / 3.0],
        radius: 50.0 / 3.0,
    },
];
const OBSERVATION: usize = 1 + 6 + 4;
const ACTION: usize = 2;
/// Pixels along each side of the picture that an encoder sees.
const PIXELS: usize = 20;
/// Map units at which the agent's spot on it has faded to a quarter.
const SPOT: f32 = 40.0;

fn build(config: &TaskConfig<'_>) -> Result<Box<dyn Task>> {
    let params: MazeParams = params::read(config.task, "task", &["name"])?;
    let policy = PolicyParams::read(config.policy)?;
    let observation = OBSERVATION + usize::from(params.time_in_observation);
    let network = policy.network(observation, ACTION);
    let [[left, right], [top, bottom]] = EXTENT;
    // No place in the map is farther from the goal than its diagonal.
    let diagonal = (right - left).hypot(bottom - top);
    let pay = match params.reward.as_str() {
        "distance" => Pay::Distance { base: 0.0 },
        "closeness" => Pay::Distance { base: diagonal },
        "areas" => Pay::Areas,
        _ => Pay::Nothing,
    };
    let negative = pay == Pay::Distance { base: 0.0 };
    let spec = TaskSpec {
        descriptor: vec![
            Axis::new("x", "map units", left, right),
            Axis::new("y", "map units", top, bottom),
        ],
        fitness: match params.reward.as_str() {
            "distance" => "minus the final distance to the goal (map units)".into(),
            "closeness" => "the map's diagonal minus the final distance to the goal (map units)".into(),
            "areas" => "nearness to the middle of a reward area, 1 in it and 0 at its edge and elsewhere".into(),
            _ => "none (0)".into(),
        },
        qd_offset: if negative { diagonal } else { 0.0 },
        measures: if pay == Pay::Areas {
            measured(&AREAS)
        } else {
            Vec::new()
        },
        deterministic: true,
        observation_dim: observation,
        action_dim: ACTION,
        network: Some(network.clone()),
        negative_rewards: negative.then(|| "set task.reward = \"closeness\"".into()),
        features: if params.features == "picture" {
            PIXELS * PIXELS
        } else {
            0
        },
        max_steps: params.episode_length,
        test_steps: params.episode_length,
        objectives: match params.objectives {
            1 => Vec::new(),
            _ => vec![
                Objective::new("progress", "map units", [-diagonal, distance(START)]),
                Objective::new(
                    "minus_effort",
                    "map units",
                    [-f64::from(RATE) * f64::from(params.episode_length), 0.0],
                ),
            ],
        },
        ..TaskSpec::new("hard_maze", network.params(), policy.init(&network))
    };
    Ok(Box::new(HardMaze {
        spec,
        network,
        pay,
        time: params.time_in_observation,
    }))
}

/// What is paid at the end.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Pay {
    /// This minus the distance to the goal.
    Distance {
        base: f64,
    },
    /// Nearness to the middle of an area.
    Areas,
    Nothing,
}

struct HardMaze {
    spec: TaskSpec,
    network: Network,
    pay: Pay,
    /// Whether the observation ends with the time that remains.
    time: bool,
}

impl HardMaze {
    fn maze(&self) -> Maze {
        Maze {
            agent: Agent::START,
            pay: self.pay,
            left: 0.0,
        }
    }
}

/// From a place to the goal.
fn distance(at: [f32; 2]) -> f64 {
    let [x, y] = [0, 1].map(|i| f64::from(at[i]) - f64::from(GOAL[i]));
    x.hypot(y)
}

impl Task for HardMaze {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        let worker = RolloutWorker::new(self.maze(), &self.network, &self.spec);
        Ok(Box::new(worker.with_time(self.time)))
    }

    fn filming<'a>(&'a self, camera: &'a mut dyn Camera) -> Result<Option<Box<dyn Worker + 'a>>> {
        camera.last_tells_all();
        camera.second_axis_goes_down();
        let env = Filmed::new(self.maze(), film::MazePainter::new(), camera, film::STEPS_PER_SECOND);
        let worker = RolloutWorker::new(env, &self.network, &self.spec);
        Ok(Some(Box::new(worker.with_time(self.time))))
    }
}

/// One agent in the maze.
struct Maze {
    agent: Agent,
    pay: Pay,
    /// Distance to the goal before the step, for objectives.
    left: f64,
}

impl Env for Maze {
    fn reset(&mut self, _seed: u64, observation: &mut [f32]) {
        self.agent = Agent::START;
        self.left = distance(START);
        sense(&self.agent, observation);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        move_and_sense(&mut self.agent, action, observation);
        Step {
            reward: 0.0,
            end: End::Running,
        }
    }

    fn descriptor(&mut self, out: &mut [f64]) {
        out.copy_from_slice(&self.agent.at.map(f64::from));
    }

    /// The agent as a spot so wide that neighbouring places look alike to an encoder that knows nothing of pixels; walls, which are always the same, are left out.
    fn features(&mut self, out: &mut [f32]) {
        let [left, top] = EXTENT.map(|[lower, _]| lower as f32);
        let [wide, high] = EXTENT.map(|[lower, upper]| (upper - lower) as f32 / PIXELS as f32);
        for (i, pixel) in out.iter_mut().enumerate() {
            let (row, column) = (i / PIXELS, i % PIXELS);
            let x = left + (column as f32 + 0.5) * wide - self.agent.at[0];
            let y = top + (row as f32 + 0.5) * high - self.agent.at[1];
            let far = (x * x + y * y) / (SPOT * SPOT);
            *pixel = 1.0 / ((1.0 + far) * (1.0 + far));
        }
    }

    fn final_reward(&mut self) -> Option<f64> {
        match self.pay {
            Pay::Distance { base } => Some(base - distance(self.agent.at)),
            Pay::Areas => Some(paid(&AREAS, self.agent.at.map(f64::from)).map_or(0.0, |(_, reward)| reward)),
            Pay::Nothing => None,
        }
    }

    fn measures(&mut self, out: &mut [f64]) {
        if let Some((area, _)) = paid(&AREAS, self.agent.at.map(f64::from)) {
            out[area] = 1.0;
        }
    }

    fn objectives(&mut self, out: &mut [f64]) {
        let left = distance(self.agent.at);
        out.copy_from_slice(&[self.left - left, 0.0 - f64::from(self.agent.speed.abs())]);
        self.left = left;
    }
}

/// Place, heading (degrees, [0, 360]), turn rate (degrees per step) and speed (units per step).
#[derive(Debug, Clone, Copy, PartialEq)]
struct Agent {
    at: [f32; 2],
    heading: f32,
    turn: f32,
    speed: f32,
}

impl Agent {
    const START: Agent = Agent {
        at: START,
        heading: 0.0,
        turn: 0.0,
        speed: 0.0,
    };

    /// (sine, cosine) of the heading.
    #[inline(always)]
    fn direction(&self) -> (f32, f32) {
        sin_cos_turns(fraction(self.heading * (1.0 / 360.0)))
    }
}

fn move_and_sense(agent: &mut Agent, action: &[f32], observation: &mut [f32]) {
    simd_dispatch!(
        fn [](agent: &mut Agent, action: &[f32], observation: &mut [f32]) {
            move_body(agent, action);
            sense_body(agent, observation)
        }
    )
}

fn sense(agent: &Agent, observation: &mut [f32]) {
    simd_dispatch!(
        fn [](agent: &Agent, observation: &mut [f32]) { sense_body(agent, observation) }
    )
}

/// One step of the rules: actions ask for a turn rate and a speed, which drift there; the agent moves the way it headed
/// before, unless a wall would be nearer than its radius.
#[inline(always)]
fn move_body(agent: &mut Agent, action: &[f32]) {
    let (sine, cosine) = agent.direction();
    agent.turn = drift(agent.turn, action[0]);
    agent.speed = drift(agent.speed, action[1]);
    agent.heading += agent.turn;
    if agent.heading > 360.0 {
        agent.heading -= 360.0;
    }
    if agent.heading < 0.0 {
        agent.heading += 360.0;
    }
    let to = [
        cosine.mul_add(agent.speed, agent.at[0]),
        sine.mul_add(agent.speed, agent.at[1]),
    ];
    if nearest_wall_squared(to) >= RADIUS * RADIUS {
        agent.at = to;
    }
}

/// A rate after one step towards six times an action (which counts within ±1/2).
#[inline(always)]
fn drift(rate: f32, action: f32) -> f32 {
    let wanted = action.clamp(-0.5, 0.5) * 6.0;
    (rate + (wanted - rate).clamp(-SLEW, SLEW)).clamp(-RATE, RATE)
}

/// The 11 inputs: 1; rangefinders at -90, -45, 0, 45, 90, 180 degrees from the heading, as shares of their reach; whether
/// the goal lies in the quarter ahead, to 90, to 180, to 270 degrees.
#[inline(always)]
fn sense_body(agent: &Agent, observation: &mut [f32]) {
    let (s, c) = agent.direction();
    let (sum, difference) = (
        (c + s) * std::f32::consts::FRAC_1_SQRT_2,
        (c - s) * std::f32::consts::FRAC_1_SQRT_2,
    );
    let rays = [
        [s, -c],
        [sum, -difference],
        [c, s],
        [difference, sum],
        [-s, c],
        [-c, -s],
    ];
    observation[0] = 1.0;
    for (range, ray) in observation[1..7].iter_mut().zip(rays) {
        *range = free_path(agent.at, ray) * (1.0 / REACH);
    }
    let [x, y] = [GOAL[0] - agent.at[0], GOAL[1] - agent.at[1]];
    observation[7..11].fill(0.0);
    observation[7 + quarter(c.mul_add(x, s * y), c.mul_add(y, -s * x))] = 1.0;
}

/// Which quarter a direction lies in: around 0, 90, 180 or 270 degrees.
#[inline(always)]
fn quarter(x: f32, y: f32) -> usize {
    if y >= -x && y < x {
        0
    } else if y >= x && y > -x {
        1
    } else if y <= -x && y > x {
        2
    } else {
        3
    }
}

#[cfg(test)]
mod tests {
    use super::map::WALLS;
    use super::*;
    use crate::testing::{evaluate, task};

    fn maze() -> (Maze, Vec<f32>) {
        let mut maze = Maze {
            agent: Agent::START,
            pay: Pay::Distance { base: 0.0 },
            left: 0.0,
        };
        let mut observation = vec![0.0; OBSERVATION];
        maze.reset(0, &mut observation);
        (maze, observation)
    }

    /// Distance from a point to the nearest wall, in double precision.
    fn clearance(at: [f32; 2]) -> f64 {
        let [x, y] = at.map(f64::from);
        let distance = |wall: &[f32; 4]| {
            let [ax, ay, bx, by] = wall.map(f64::from);
            let (dx, dy) = (bx - ax, by - ay);
            let along = (((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
            (ax + along * dx - x).hypot(ay + along * dy - y)
        };
        WALLS.iter().map(distance).fold(f64::INFINITY, f64::min)
    }

    /// The pseudo-random drives that the other program was given: (turn, speed) held for 25 steps.
    fn drive(k: u32, step: u32) -> [f32; 2] {
        let mut h = (step / 25)
            .wrapping_mul(2_654_435_761)
            .wrapping_add(k.wrapping_mul(40_503u32.wrapping_mul(65_537)));
        h ^= h >> 15;
        h = h.wrapping_mul(2_246_822_519);
        h ^= h >> 13;
        [
            ((h % 401) as f32 - 200.0) / 1000.0,
            (((h >> 12) % 801) as f32 - 200.0) / 1000.0,
        ]
    }

    /// Every 25 steps the drive goes on from the other program's state: a collision decided by the last bit must not count twice.
    #[test]
    fn drives_go_where_the_original_program_says() {
        let mut lines = include_str!("../../tests/data/hard_maze.csv").lines().skip(1);
        for k in 0..12 {
            let (mut maze, mut observation) = maze();
            for step in 0..400 {
                maze.step(&drive(k, step), &mut observation);
                if (step + 1) % 25 > 0 {
                    continue;
                }
                let row: Vec<f32> = lines.next().unwrap().split(',').map(|v| v.parse().unwrap()).collect();
                assert_eq!(row[..2], [k as f32, (step + 1) as f32]);
                let agent = maze.agent;
                let near = |a: f32, b: f32| assert!((a - b).abs() < 0.001, "drive {k}, step {step}: {a}, not {b}");
                let values = [agent.at[0], agent.at[1], agent.heading, agent.turn, agent.speed];
                values.iter().zip(&row[2..7]).for_each(|(a, b)| near(*a, *b));
                observation[1..].iter().zip(&row[7..]).for_each(|(a, b)| near(*a, *b));
                maze.agent = Agent {
                    at: [row[2], row[3]],
                    heading: row[4],
                    turn: row[5],
                    speed: row[6],
                };
            }
        }
        assert!(lines.next().is_none());
    }

    #[test]
    fn the_sensors_at_the_start_are_as_measured_on_the_map() {
        let (_, o) = maze();
        let ahead = 77.0 + 31.0 * 17.0 / 37.0 - 36.0;
        let below = 202.0 - 4.0 * 29.0 / 188.0 - 184.0;
        let behind = 36.0 - (4.0 + 3.0 * 135.0 / 153.0);
        for (i, expected) in [(0, 100.0), (1, 100.0), (3, ahead), (5, below), (6, behind)] {
            assert!(
                (o[i] - if i == 3 || i > 4 { expected / 100.0 } else { 1.0 }).abs() < 1e-5,
                "{i}: {}",
                o[i]
            );
        }
        assert_eq!(o[7..], [0.0, 0.0, 0.0, 1.0]);
    }

    #[test]
    fn the_agent_gathers_speed_and_keeps_its_heading() {
        let (mut maze, mut observation) = maze();
        for _ in 0..10 {
            maze.step(&[0.0, 1.0], &mut observation);
        }
        let Agent {
            at,
            heading,
            turn,
            speed,
        } = maze.agent;
        assert!((at[0] - 47.0).abs() < 1e-4 && at[1] == 184.0 && (speed - 2.0).abs() < 1e-5);
        assert_eq!((heading, turn), (0.0, 0.0));
    }

    #[test]
    fn no_drive_brings_the_agent_nearer_to_a_wall_than_its_radius() {
        for k in 0..200 {
            let (mut maze, mut observation) = maze();
            for step in 0..400 {
                maze.step(&drive(k, step).map(|a| 3.0 * a), &mut observation);
                assert!(clearance(maze.agent.at) > f64::from(RADIUS) - 1e-4);
                let inside = |i: usize| (EXTENT[i][0]..EXTENT[i][1]).contains(&f64::from(maze.agent.at[i]));
                assert!(inside(0) && inside(1));
                assert!(observation[1..7].iter().all(|r| (0.0..=1.0).contains(r)));
                assert_eq!(observation[7..].iter().sum::<f32>(), 1.0);
            }
        }
    }

    /// Steers from point to point through the only passage.
    #[test]
    fn there_is_a_way_to_the_goal() {
        let (mut maze, mut observation) = maze();
        let way = [
            [68.0, 165.0],
            [108.0, 150.0],
            [138.0, 172.0],
            [168.0, 176.0],
            [177.0, 160.0],
            [150.0, 144.0],
        ];
        let on = [
            [74.0, 98.0],
            [75.0, 76.0],
            [146.0, 40.0],
            [150.0, 22.0],
            [134.0, 19.0],
            [100.0, 20.0],
            GOAL,
        ];
        let mut steps = 0;
        for [x, y] in way.into_iter().chain(on) {
            let mut distance = f32::INFINITY;
            while distance > 9.0 && steps < 500 {
                let Agent { at, heading, .. } = maze.agent;
                let (dx, dy) = (x - at[0], y - at[1]);
                distance = dx.hypot(dy);
                let off = fraction((dy.atan2(dx).to_degrees() - heading) / 360.0) * 360.0;
                let turn = ((0.4 * off.abs()).sqrt() / 6.0).min(0.5).copysign(off);
                let speed = if off.abs() > 40.0 {
                    0.0
                } else {
                    (distance / 60.0).clamp(0.2, 0.5)
                };
                maze.step(&[turn, speed], &mut observation);
                steps += 1;
            }
        }
        assert!(
            maze.final_reward().unwrap() > -10.0 && steps < 450,
            "{steps} steps, then at {:?}",
            maze.agent
        );
    }

    #[test]
    fn fitness_is_minus_the_final_distance_also_when_cut_short() {
        let zero = task("name = \"hard_maze\"\nepisode_length = 7");
        let genes = vec![0.0; zero.spec().genome_dim];
        let results = evaluate(&*zero, &genes, 1);
        assert!((results.fitness[0] + 5f64.hypot(164.0)).abs() < 1e-9);
        assert_eq!((results.steps[0], &results.descriptor[..]), (7, &[36.0, 184.0][..]));
        let none = evaluate(&*task("name = \"hard_maze\"\nreward = \"none\""), &genes, 1);
        assert_eq!((none.fitness[0], none.steps[0]), (0.0, 400));
    }

    #[test]
    fn the_picture_is_brightest_where_the_agent_is() {
        let maze = task("name = \"hard_maze\"\nepisode_length = 60\nfeatures = \"picture\"");
        let dim = maze.spec().genome_dim;
        let mut genes = vec![0.0; 8 * dim];
        illume_core::Stream::new(2, illume_core::Purpose::Init, 0, 0).add_normals(0, 1.0, &mut genes);
        let (results, pictures) = crate::testing::shown(&*maze, &genes, 8);
        for (picture, place) in pictures
            .chunks_exact(PIXELS * PIXELS)
            .zip(results.descriptor.chunks_exact(2))
        {
            let brightest = (0..picture.len())
                .max_by(|a, b| picture[*a].total_cmp(&picture[*b]))
                .unwrap();
            for (axis, [lower, upper]) in EXTENT.iter().enumerate() {
                let index = if axis == 0 {
                    brightest % PIXELS
                } else {
                    brightest / PIXELS
                };
                let at = lower + (index as f64 + 0.5) * (upper - lower) / PIXELS as f64;
                assert!((at - place[axis]).abs() < 5.1, "{at} and {}", place[axis]);
            }
        }
        let seen = task("name = \"hard_maze\"\nepisode_length = 60").spec().features;
        assert_eq!(seen, 10 * OBSERVATION);
    }

    #[test]
    fn bits_do_not_depend_on_the_vector_width() {
        let (mut maze, mut observation) = maze();
        let (mut agent, mut narrow) = (maze.agent, vec![0.0; OBSERVATION]);
        for step in 0..400 {
            let action = drive(3, step);
            maze.step(&action, &mut observation);
            // Not dispatched: compiled for the narrowest machine.
            move_body(&mut agent, &action);
            sense_body(&agent, &mut narrow);
            assert_eq!((agent, &narrow), (maze.agent, &observation));
        }
    }
}
