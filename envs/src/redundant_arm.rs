//! `redundant_arm`: a planar arm of 20 joints in a box with four walls, which must not touch them or itself, and is paid where its end is stopped in one of three small areas: `RedArm` of the programs
//! of SERENE and STAX (Paolo et al.; `gym_redarm/envs/arm_env.py`, by Pontus Loviken).
//!
//! An action accelerates each joint. What would take the arm out of the box, into a wall or into itself, or move its end too fast, ends the episode where it is. The box is 1 wide and 1 high, the arm's base
//! in its middle, the arm 1 long. The authors' environment pays as an episode ends by itself (`arm_env.py:264-266`, or after 250 steps), and their evaluator ends it after 100 (`core/evaluator.py:57`): an arm that is still moving then is paid nothing.

use std::f32::consts::{FRAC_1_PI, PI};

use illume_core::{Axis, Network, Result, Task, TaskConfig, TaskEntry, TaskSpec, Worker, params, params::Params as _};
use illume_numerics::math::{fraction, sin_cos_turns};
use illume_numerics::simd_dispatch;

use crate::areas::{Area, measured, paid};
use crate::policy::PolicyParams;
use crate::rollout::{End, Env, RolloutWorker, Step};

params! {
    /// Parameters of `redundant_arm`.
    pub struct RedundantArmParams {
        /// Steps of an episode at most, each of two moves of a hundredth of a second.
        episode_length: u32 = 100, range(1, 1_000_000);
        /// What is paid: nearness to the middle of one of three "areas" in which something stops the arm's end, also where it is when the time is up ("areas_at_any_end"), or nothing ("none").
        reward: String = "areas".into(), one_of(&["areas", "areas_at_any_end", "none"]);
        /// What an encoder of descriptors sees as the episode ends: a "picture" of the arm, 20 x 20, or the positions of its "joints".
        features: String = "picture".into(), one_of(&["picture", "joints"]);
    }
}

/// The registry's entry.
pub const ENTRY: TaskEntry = TaskEntry {
    name: "redundant_arm",
    family: &[],
    summary: "arm of 20 joints among walls: fitness nearness to the middle of one of three small areas that it is stopped in, descriptor where its end comes to rest",
    params: RedundantArmParams::describe,
    network: true,
    cases: false,
    policy: Some(PolicyParams::describe),
    small: "[task]\nepisode_length = 30\n[policy]\nhidden = [3]",
    suggested: "[policy]\nhidden = [5, 5]\n[archive]\nkind = \"grid\"\nshape = [50, 50]\n[budget]\nevaluations = 500_000",
    gene_scale: 0.1,
    sketch: None,
    build,
};

const JOINTS: usize = 20;
/// Length of a link.
const LINK: f32 = 1.0 / JOINTS as f32;
const BASE: [f32; 2] = [0.5, 0.5];
/// Seconds of a move, and moves of a step.
const MOVE: f32 = 0.01;
const MOVES: usize = 2;
/// The largest sum of the end's way in a move, halved, and the last joint's speed.
const FASTEST: f32 = 1.0;
/// Points of the arm nearer than this, counted along both axes, touch.
const TOUCH: f32 = 0.95 * LINK;
/// Walls as [left, top, width, height]: a cross with an open middle.
const WALLS: [[f32; 4]; 4] = [
    [0.49, 0.0, 0.02, 0.2],
    [0.49, 0.8, 0.02, 0.2],
    [0.0, 0.49, 0.2, 0.02],
    [0.8, 0.49, 0.2, 0.02],
];
const AREAS: [Area; 3] = [
    Area {
        middle: [0.25, 0.25],
        radius: 0.05,
    },
    Area {
        middle: [0.85, 0.85],
        radius: 0.05,
    },
    Area {
        middle: [0.25, 0.9],
        radius: 0.05,
    },
];
/// Pixels along each side of the picture that an encoder sees.
const PIXELS: usize = 20;

fn build(config: &TaskConfig<'_>) -> Result<Box<dyn Task>> {
    let params: RedundantArmParams = params::read(config.task, "task", &["name"])?;
    let policy = PolicyParams::read(config.policy)?;
    let network = policy.network(JOINTS, JOINTS);
    let pays = match params.reward.as_str() {
        "areas" => Pays::Stopped,
        "areas_at_any_end" => Pays::Any,
        _ => Pays::Nothing,
    };
    let paid = pays != Pays::Nothing;
    let picture = params.features == "picture";
    let spec = TaskSpec {
        descriptor: vec![Axis::new("x", "", 0.0, 1.0), Axis::new("y", "", 0.0, 1.0)],
        fitness: match paid {
            true => "nearness to the middle of a reward area, 1 in it and 0 at its edge and elsewhere".into(),
            false => "none (0)".into(),
        },
        deterministic: true,
        observation_dim: JOINTS,
        action_dim: JOINTS,
        network: Some(network.clone()),
        max_steps: params.episode_length,
        test_steps: params.episode_length,
        measures: if paid { measured(&AREAS) } else { Vec::new() },
        features: if picture { PIXELS * PIXELS } else { 2 * JOINTS },
        ..TaskSpec::new("redundant_arm", network.params(), policy.init(&network))
    };
    Ok(Box::new(RedundantArm {
        spec,
        network,
        pays,
        picture,
    }))
}

struct RedundantArm {
    spec: TaskSpec,
    network: Network,
    pays: Pays,
    picture: bool,
}

/// Which ends of episodes are paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pays {
    Stopped,
    Any,
    Nothing,
}

impl Task for RedundantArm {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        let arm = Arm::new(self.pays, self.picture);
        Ok(Box::new(RolloutWorker::new(arm, &self.network, &self.spec)))
    }
}

/// The base and all joints' ends.
type Points = [[f32; JOINTS + 1]; 2];

/// The arm as it is.
#[derive(Debug, Clone)]
struct Arm {
    /// Angle of each link against the one before it, and how fast it changes, in radians and seconds.
    angles: [f32; JOINTS],
    speeds: [f32; JOINTS],
    points: Points,
    /// Whether something stopped it.
    stopped: bool,
    pays: Pays,
    picture: bool,
}

fn points(angles: &[f32; JOINTS]) -> Points {
    let mut turns = [0.0f32; JOINTS];
    let mut turn = 0.25;
    for (angle, place) in angles.iter().zip(&mut turns) {
        turn = fraction(turn + angle * (0.5 * FRAC_1_PI));
        *place = turn;
    }
    let mut points = [[0.0; JOINTS + 1]; 2];
    [points[0][0], points[1][0]] = BASE;
    for (i, turn) in turns.into_iter().enumerate() {
        let (sine, cosine) = sin_cos_turns(turn);
        points[0][i + 1] = LINK.mul_add(cosine, points[0][i]);
        points[1][i + 1] = LINK.mul_add(sine, points[1][i]);
    }
    points
}

/// Whether an arm may be there.
#[inline(always)]
fn is_free_body([x, y]: &Points) -> bool {
    let outside = |at: &f32| *at < 0.0 || *at >= 1.0;
    if x.iter().any(outside) || y.iter().any(outside) {
        return false;
    }
    for [left, top, width, height] in WALLS {
        for (x, y) in x.iter().zip(y) {
            if left < *x && *x < left + width && top < *y && *y < top + height {
                return false;
            }
        }
    }
    let mut nearest = f32::INFINITY;
    for i in 1..=JOINTS {
        for j in 0..i {
            nearest = nearest.min((x[i] - x[j]).abs() + (y[i] - y[j]).abs());
        }
    }
    nearest >= TOUCH
}

fn is_free(points: &Points) -> bool {
    simd_dispatch!(fn [](points: &Points) -> bool { is_free_body(points) })
}

impl Arm {
    fn new(pays: Pays, picture: bool) -> Arm {
        Arm {
            angles: [0.0; JOINTS],
            speeds: [0.0; JOINTS],
            points: [[0.0; JOINTS + 1]; 2],
            stopped: false,
            pays,
            picture,
        }
    }

    /// The area that pays for the arm's end, and what.
    fn paid(&self) -> Option<(usize, f64)> {
        let counts = match self.pays {
            Pays::Stopped => self.stopped,
            Pays::Any => true,
            Pays::Nothing => false,
        };
        counts.then(|| paid(&AREAS, self.end())).flatten()
    }

    fn end(&self) -> [f64; 2] {
        [0, 1].map(|axis| f64::from(self.points[axis][JOINTS]))
    }

    /// Moves on; false where the arm may not.
    fn advance(&mut self, action: &[f32]) -> bool {
        for _ in 0..MOVES {
            let mut angles = self.angles;
            for ((angle, speed), action) in angles.iter_mut().zip(&self.speeds).zip(action) {
                *angle += action * (0.5 * MOVE * MOVE) + speed * MOVE;
            }
            let points = points(&angles);
            let way = [0, 1].map(|axis| points[axis][JOINTS] - self.points[axis][JOINTS]);
            let fast = (way[0] * way[0] + way[1] * way[1]).sqrt() / MOVES as f32 + self.speeds[JOINTS - 1];
            if fast > FASTEST || !is_free(&points) {
                return false;
            }
            // What the difference of angles gives, but for its rounding.
            for (speed, action) in self.speeds.iter_mut().zip(action) {
                *speed += action * (0.5 * MOVE);
            }
            (self.angles, self.points) = (angles, points);
        }
        true
    }

    fn observe(&self, observation: &mut [f32]) {
        let seen = observation.iter_mut().zip(&self.angles);
        seen.for_each(|(seen, angle)| *seen = angle * FRAC_1_PI);
    }
}

impl Env for Arm {
    /// Rolled up in a spiral.
    fn reset(&mut self, _seed: u64, observation: &mut [f32]) {
        let first = 4.0 * PI / JOINTS as f32;
        for (i, angle) in self.angles.iter_mut().enumerate() {
            *angle = first * (1.0 - 0.75 * i as f32 / (JOINTS - 1) as f32);
        }
        self.speeds = [0.0; JOINTS];
        self.points = points(&self.angles);
        self.stopped = false;
        self.observe(observation);
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        self.stopped = !self.advance(action);
        let end = match self.stopped {
            false => End::Running,
            true => End::Terminated,
        };
        self.observe(observation);
        Step { reward: 0.0, end }
    }

    fn descriptor(&mut self, out: &mut [f64]) {
        out.copy_from_slice(&self.end());
    }

    fn measures(&mut self, out: &mut [f64]) {
        if let Some((area, _)) = self.paid() {
            out[area] = 1.0;
        }
    }

    fn features(&mut self, out: &mut [f32]) {
        let [x, y] = &self.points;
        if !self.picture {
            for (place, joint) in out.chunks_exact_mut(2).zip(1..) {
                place.copy_from_slice(&[x[joint], y[joint]]);
            }
            return;
        }
        // Each point of the arm lights the four pixels around it by its nearness to them.
        out.fill(0.0);
        for (x, y) in x.iter().zip(y) {
            let [x, y] = [x, y].map(|at| (at * PIXELS as f32 - 0.5).clamp(0.0, (PIXELS - 1) as f32));
            let (column, row) = ((x as usize).min(PIXELS - 2), (y as usize).min(PIXELS - 2));
            let (right, down) = (x - column as f32, y - row as f32);
            for (dy, high) in [(0, 1.0 - down), (1, down)] {
                for (dx, wide) in [(0, 1.0 - right), (1, right)] {
                    let pixel = &mut out[(row + dy) * PIXELS + column + dx];
                    *pixel = pixel.max(high * wide);
                }
            }
        }
    }

    fn final_reward(&mut self) -> Option<f64> {
        (self.pays != Pays::Nothing).then(|| self.paid().map_or(0.0, |(_, reward)| reward))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{evaluate, push, shown, task};

    fn arm() -> Arm {
        let mut arm = Arm::new(Pays::Stopped, true);
        arm.reset(0, &mut [0.0; JOINTS]);
        arm
    }

    /// The authors' program under these pushes (tools/record_redundant_arm.py).
    #[test]
    fn pushes_take_the_arm_where_the_authors_program_says() {
        let lines = include_str!("../tests/data/redundant_arm.csv").lines().skip(1);
        let mut count = 0;
        for line in lines {
            let row: Vec<f64> = line.split(',').map(|v| v.parse().unwrap()).collect();
            let mut arm = arm();
            let (k, mut steps) = (row[0] as u32, 0);
            let mut observation = [0.0; JOINTS];
            for step in 0..100 {
                steps += 1;
                if arm.step(&push::<JOINTS>(k, step, 25), &mut observation).end == End::Terminated {
                    break;
                }
            }
            assert_eq!(steps, row[1] as u32, "push {k}");
            let end = arm.end();
            for (a, b) in end.iter().zip(&row[2..4]) {
                assert!((a - b).abs() < 1e-4, "push {k}: {end:?} and {row:?}");
            }
            assert!((f64::from(observation[7]) - row[4]).abs() < 1e-4);
            count += 1;
        }
        assert!(count >= 40);
    }

    #[test]
    fn areas_pay_what_the_authors_program_pays() {
        let mut arm = arm();
        for ([x, y], reward, area) in [
            ([0.25, 0.25], 1.0, 0),
            ([0.85, 0.825], 0.5, 1),
            ([0.25, 0.9], 1.0, 2),
            ([0.5, 0.6], 0.0, 3),
        ] {
            arm.points[0][JOINTS] = x;
            arm.points[1][JOINTS] = y;
            (arm.stopped, arm.pays) = (true, Pays::Stopped);
            assert!((arm.final_reward().unwrap() - reward).abs() < 1e-5);
            let mut found = [0.0; 3];
            arm.measures(&mut found);
            assert_eq!(found.iter().position(|x| *x == 1.0).unwrap_or(3), area);
            // One that is still moving is paid nothing, unless any end counts.
            arm.stopped = false;
            assert_eq!(arm.final_reward(), Some(0.0));
            arm.pays = Pays::Any;
            assert!((arm.final_reward().unwrap() - reward).abs() < 1e-5);
        }
    }

    #[test]
    fn an_arm_that_is_not_pushed_rests_where_it_is_and_is_paid_nothing() {
        let zero = task("name = \"redundant_arm\"");
        let genes = vec![0.0; zero.spec().genome_dim];
        let (results, picture) = shown(&*zero, &genes, 1);
        assert_eq!((results.fitness[0], results.steps[0]), (0.0, 100));
        assert!(picture.iter().all(|p| (0.0..=1.0).contains(p)) && picture.iter().any(|p| *p > 0.5));
        let none = evaluate(&*task("name = \"redundant_arm\"\nreward = \"none\""), &genes, 1);
        assert_eq!(none.descriptor, results.descriptor);
        assert!(is_free(&arm().points));
    }

    #[test]
    fn bits_do_not_depend_on_the_vector_width() {
        let mut arm = arm();
        for step in 0..100 {
            arm.advance(&push::<JOINTS>(3, step, 25));
            assert_eq!(is_free(&arm.points), is_free_body(&arm.points));
        }
    }
}
