//! The robots against Gymnasium's own environments, on the same states and actions.
//!
//! The interpreter is `ILLUME_PYTHON` (now, or when this was built), as `make setup` makes it: with gymnasium and the same
//! version of MuJoCo, so that physics has to agree to the last bit.
#![cfg(feature = "mujoco")]

use std::process::Command;

use illume_core::toml;
use illume_envs::mujoco::{Robot, plan};
use illume_envs::{End, Env};

const STEPS: usize = 250;
/// Rewards are sums in another order than numpy's.
const REWARD_TOLERANCE: f64 = 1e-9;

#[derive(Clone, Copy)]
struct Case {
    environment: &'static str,
    keywords: &'static str,
    task: &'static str,
    params: &'static str,
    feet: &'static str,
    /// Divides x and y, the first two observations.
    scale: f64,
    /// Rewards are those without the forward and the contact term.
    still: bool,
    /// Objectives of MO-Gymnasium in place of the reward.
    objectives: usize,
}

/// The numbers that the script wrote, taken from the front.
struct Numbers(Vec<f64>, usize);

impl Numbers {
    fn take(&mut self, n: usize) -> Vec<f64> {
        self.1 += n;
        self.0[self.1 - n..self.1].to_vec()
    }
}

fn python() -> Option<String> {
    let found = std::env::var("ILLUME_PYTHON")
        .ok()
        .or_else(|| option_env!("ILLUME_PYTHON").map(String::from));
    if found.is_none() {
        println!(
            "skipped: ILLUME_PYTHON is not set, so there is no Gymnasium to compare with (`make setup` installs it)"
        );
    }
    found
}

fn record(python: &str, case: &Case, seed: u64) -> Numbers {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gymnasium_check.py");
    let output = Command::new(python)
        // MuJoCo in Python leaves its log in the current folder.
        .current_dir(std::env::temp_dir())
        .args([
            script,
            case.environment,
            case.keywords,
            case.feet,
            &seed.to_string(),
            &STEPS.to_string(),
        ])
        .output()
        .unwrap_or_else(|e| panic!("ILLUME_PYTHON={python} does not start: {e}"));
    assert!(
        output.status.success(),
        "{}: {}",
        case.environment,
        String::from_utf8_lossy(&output.stderr)
    );
    let numbers = output
        .stdout
        .chunks_exact(8)
        .map(|b| f64::from_le_bytes(b.try_into().unwrap()));
    Numbers(numbers.collect(), 0)
}

fn same(what: &str, step: usize, ours: &[f32], theirs: &[f64]) {
    let theirs: Vec<f32> = theirs.iter().map(|x| *x as f32).collect();
    for (i, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        assert_eq!(a, b, "{what}: observation {i} after step {step}");
    }
    assert_eq!(ours.len(), theirs.len(), "{what}: length of the observation");
}

fn agrees(case: &Case) {
    let Some(python) = python() else { return };
    let params: toml::Table = case.params.parse().unwrap();
    let robot = Robot::new(plan(case.task, &params).unwrap().unwrap().recipe).unwrap();
    let mut episode = robot.episode().unwrap();
    let what = format!("{} as {}", case.environment, case.task);
    for seed in [1, 2] {
        let mut numbers = record(&python, case, seed);
        let sizes: Vec<usize> = numbers.take(4).iter().map(|x| *x as usize).collect();
        let [nq, nv, observations, actions] = sizes[..] else {
            unreachable!()
        };
        assert_eq!(robot.observation_dim(), observations, "{what}");
        let scaled = |mut values: Vec<f64>| {
            values.iter_mut().take(2).for_each(|x| *x /= case.scale);
            values
        };
        let mut observation = vec![0.0; observations];
        let (positions, velocities) = (numbers.take(nq), numbers.take(nv));
        episode.start(&positions, &velocities, &mut observation);
        same(&what, 0, &observation, &scaled(numbers.take(observations)));
        let feet = case.feet.split(',').filter(|f| !f.is_empty()).count();
        let (mut contacts, mut place, mut ended) = (vec![0.0; feet], Vec::new(), 0);
        for step in 1..=STEPS {
            let action: Vec<f32> = numbers.take(actions).iter().map(|a| *a as f32).collect();
            let ours = episode.step(&action, &mut observation);
            let theirs = scaled(numbers.take(observations));
            let rewards = numbers.take(case.objectives.max(1));
            let [still, terminated] = numbers.take(2)[..] else {
                unreachable!()
            };
            place = numbers.take(nq);
            let speeds = numbers.take(nv);
            assert_eq!(
                episode.simulator().positions(),
                place,
                "{what}: positions after step {step}"
            );
            assert_eq!(
                episode.simulator().velocities(),
                speeds,
                "{what}: velocities after step {step}"
            );
            same(&what, step, &observation, &theirs);
            let mut earned = vec![0.0; case.objectives];
            episode.objectives(&mut earned);
            let (found, tolerance) = match case.objectives {
                0 => (vec![ours.reward], REWARD_TOLERANCE),
                // MO-Gymnasium adds its terms in single precision.
                _ => (earned, 8.0 * f64::from(f32::EPSILON)),
            };
            let expected = if case.still { vec![still] } else { rewards };
            for (found, expected) in found.iter().zip(&expected) {
                let error = (found - expected).abs();
                assert!(error <= tolerance * expected.abs().max(1.0), "{what}: {found} {expected} at {step}");
            }
            assert_eq!(
                ours.end,
                if terminated != 0.0 {
                    End::Terminated
                } else {
                    End::Running
                },
                "{what}: end at {step}"
            );
            ended += usize::from(terminated != 0.0);
            contacts
                .iter_mut()
                .zip(numbers.take(feet))
                .for_each(|(sum, touching)| *sum += touching);
        }
        let mut descriptor = vec![0.0; robot.axes().len()];
        episode.descriptor(&mut descriptor);
        let shares: Vec<f64> = contacts.iter().map(|c| c / STEPS as f64).collect();
        assert_eq!(
            descriptor,
            if feet > 0 { &shares[..] } else { &place[..2] },
            "{what}: descriptor"
        );
        assert_eq!(
            numbers.1,
            numbers.0.len(),
            "{what}: the script wrote as much as was read"
        );
        println!("{what}, seed {seed}: {STEPS} steps, {ended} of them unhealthy, descriptor {descriptor:.3?}");
    }
}

const ANT_FEET: &str = "left_ankle_geom,right_ankle_geom,third_ankle_geom,fourth_ankle_geom";
const UNI: Case = Case {
    environment: "",
    keywords: "{}",
    task: "",
    params: "",
    feet: "",
    scale: 1.0,
    still: false,
    objectives: 0,
};

/// Whether the interpreter has MO-Gymnasium, which `make setup` does not install.
fn has_mo_gymnasium() -> bool {
    let found = python().is_some_and(|python| {
        let command = Command::new(python).args(["-c", "import mo_gymnasium"]).output();
        command.is_ok_and(|output| output.status.success())
    });
    if !found {
        println!("skipped: ILLUME_PYTHON has no mo-gymnasium to compare with (pip install mo-gymnasium==1.3.2)");
    }
    found
}

/// Needs an interpreter that has mo-gymnasium 1.3.2 beside what `make setup` installs.
#[test]
fn objectives_are_those_of_mo_gymnasium() {
    if !has_mo_gymnasium() {
        return;
    }
    for (environment, task, objectives, feet) in [
        ("mo-halfcheetah-v5", "halfcheetah_uni", 2, "ffoot,bfoot"),
        ("mo-walker2d-v5", "walker2d_uni", 2, "foot_geom,foot_left_geom"),
        ("mo-hopper-v5", "hopper_uni", 3, "foot_geom"),
        ("mo-hopper-2obj-v5", "hopper_uni", 2, "foot_geom"),
        ("mo-ant-v5", "ant_uni", 3, ANT_FEET),
        ("mo-ant-2obj-v5", "ant_uni", 2, ANT_FEET),
    ] {
        let params = match task {
            "ant_uni" => format!("objectives = {objectives}\ncontact_forces_in_observation = true"),
            _ => format!("objectives = {objectives}"),
        };
        agrees(&Case {
            environment,
            task,
            params: params.leak(),
            feet,
            objectives,
            ..UNI
        });
    }
}

#[test]
fn halfcheetah_is_that_of_gymnasium() {
    let case = Case {
        environment: "HalfCheetah-v5",
        task: "halfcheetah_uni",
        feet: "ffoot,bfoot",
        ..UNI
    };
    agrees(&case);
    agrees(&Case {
        keywords: r#"{"exclude_current_positions_from_observation": false, "frame_skip": 3, "ctrl_cost_weight": 0.3}"#,
        params: "exclude_current_positions = false\nframe_skip = 3\nctrl_cost_weight = 0.3",
        ..case
    });
}

#[test]
fn walker2d_is_that_of_gymnasium() {
    let case = Case {
        environment: "Walker2d-v5",
        task: "walker2d_uni",
        feet: "foot_geom,foot_left_geom",
        ..UNI
    };
    agrees(&case);
    agrees(&Case {
        keywords: r#"{"exclude_current_positions_from_observation": false, "terminate_when_unhealthy": false, "healthy_reward": 2}"#,
        params: "exclude_current_positions = false\nterminate_when_unhealthy = false\nhealthy_reward = 2",
        ..case
    });
}

#[test]
fn hopper_is_that_of_gymnasium() {
    let case = Case {
        environment: "Hopper-v5",
        task: "hopper_uni",
        feet: "foot_geom",
        ..UNI
    };
    agrees(&case);
    agrees(&Case {
        keywords: r#"{"forward_reward_weight": 2.5}"#,
        params: "forward_reward_weight = 2.5",
        ..case
    });
}

#[test]
fn ant_is_that_of_gymnasium() {
    let case = Case {
        environment: "Ant-v5",
        task: "ant_uni",
        params: "contact_forces_in_observation = true",
        feet: ANT_FEET,
        ..UNI
    };
    agrees(&case);
    agrees(&Case {
        keywords: r#"{"include_cfrc_ext_in_observation": false}"#,
        params: "",
        ..case
    });
}

#[test]
fn humanoid_is_that_of_gymnasium() {
    let case = Case {
        environment: "Humanoid-v5",
        task: "humanoid_uni",
        feet: "right_foot,left_foot",
        ..UNI
    };
    agrees(&Case {
        params: "contact_forces_in_observation = true\ninertias_in_observation = true\n\
                 body_velocities_in_observation = true\nactuator_forces_in_observation = true",
        ..case
    });
    agrees(&Case {
        keywords: r#"{"include_cinert_in_observation": false, "include_cvel_in_observation": false,
            "include_qfrc_actuator_in_observation": false, "include_cfrc_ext_in_observation": false}"#,
        ..case
    });
}

#[test]
fn omnidirectional_robots_are_those_of_gymnasium_without_the_forward_term() {
    agrees(&Case {
        environment: "Ant-v5",
        keywords: r#"{"include_cfrc_ext_in_observation": false, "exclude_current_positions_from_observation": false}"#,
        task: "ant_omni",
        scale: 30.0,
        still: true,
        ..UNI
    });
    agrees(&Case {
        environment: "Humanoid-v5",
        keywords: r#"{"include_cinert_in_observation": false, "include_cvel_in_observation": false,
            "include_qfrc_actuator_in_observation": false, "include_cfrc_ext_in_observation": false,
            "exclude_current_positions_from_observation": false}"#,
        task: "humanoid_omni",
        scale: 10.0,
        still: true,
        ..UNI
    });
}
