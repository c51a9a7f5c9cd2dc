//! `ant_maze` against its authors' model, in their MuJoCo file (tools/record_ant_maze.py).

use illume_core::toml;

use super::{Robot, plan};
use crate::rollout::Env;
use crate::testing::push;

/// x, y, and velocity along both of the first states that the script starts from.
const STARTS: [[f64; 4]; 9] = [
    [-25.0, -25.0, 0.0, 0.0],
    [-16.5, 20.0, 3.0, 0.0],
    [-13.5, 5.0, -3.0, 0.0],
    [-3.0, -16.5, 0.0, 3.0],
    [8.5, -20.0, 3.0, 0.0],
    [38.5, 5.0, 3.0, 0.0],
    [0.0, 38.5, 0.0, 3.0],
    [-28.5, 0.0, -3.0, 0.0],
    [12.0, -28.5, 0.0, -3.0],
];

fn robot(params: &str) -> Robot {
    let params: toml::Table = params.parse().unwrap();
    Robot::new(plan("ant_maze", &params).unwrap().unwrap().recipe).unwrap()
}

fn begin(x: f64, y: f64, along: f64, across: f64) -> ([f64; 15], [f64; 14]) {
    let (mut positions, mut velocities) = ([0.0; 15], [0.0; 14]);
    positions[..4].copy_from_slice(&[x, y, 0.6, 1.0]);
    velocities[..2].copy_from_slice(&[along, across]);
    (positions, velocities)
}

/// Walls stop the ant where the authors' do, and it weighs what theirs does.
#[test]
fn pushes_take_the_ant_where_the_authors_model_says() {
    let robot = robot("");
    let mut observation = vec![0.0; robot.observation_dim()];
    assert_eq!(observation.len(), 29, "as the authors' controller has inputs");
    let mut rows = include_str!("../../tests/data/ant_maze.csv").lines().skip(1);
    for (k, [x, y, along, across]) in (0..).zip(STARTS) {
        let (positions, velocities) = begin(x, y, along, across);
        let mut episode = robot.episode().unwrap();
        episode.start(&positions, &velocities, &mut observation);
        for step in 1..=40 {
            episode.step(&push::<8>(k, step - 1, 5), &mut observation);
            if step % 10 > 0 {
                continue;
            }
            let row: Vec<f64> = rows.next().unwrap().split(',').map(|v| v.parse().unwrap()).collect();
            assert_eq!(row[..2], [f64::from(k), f64::from(step)]);
            let ours = episode.simulator().positions();
            for (q, (ours, theirs)) in ours.iter().zip(&row[2..]).enumerate() {
                assert!(
                    (ours - theirs).abs() < 1e-6,
                    "start {k}, step {step}, position {q}: {ours} and {theirs}"
                );
            }
            for (seen, place) in observation.iter().zip(&row[2..4]) {
                assert!((f64::from(*seen) - (place - 5.0) / 70.0).abs() < 1e-6);
            }
        }
    }
    assert_eq!(rows.next(), None);
}

/// `ant_maze.py:47-54`: (radius - distance) / radius where the ant is within 3 m of a goal, at the end alone.
#[test]
fn the_two_areas_pay_at_the_end_alone() {
    let (paying, silent) = (robot(""), robot("reward = \"none\""));
    let mut observation = vec![0.0; 29];
    for ([x, y], reward, area) in [
        ([35.0, -25.0], 1.0, Some(0)),
        ([35.0, -23.5], 0.5, Some(0)),
        ([-25.0, 32.0], 0.0, Some(1)),
        ([-25.0, 31.9], 0.0, None),
        ([-25.0, -25.0], 0.0, None),
    ] {
        let (positions, velocities) = begin(x, y, 0.0, 0.0);
        let mut episode = paying.episode().unwrap();
        episode.start(&positions, &velocities, &mut observation);
        assert_eq!(episode.final_reward(), Some(reward), "at {x}, {y}");
        let mut found = [0.0; 2];
        episode.measures(&mut found);
        assert_eq!(found.iter().position(|x| *x == 1.0), area, "at {x}, {y}");
        assert_eq!(episode.step(&[0.5; 8], &mut observation).reward, 0.0);
        let mut episode = silent.episode().unwrap();
        episode.start(&positions, &velocities, &mut observation);
        assert_eq!(episode.final_reward(), None);
    }
}
