//! What a critic learns of a reward that is paid because the episode ends, in a task of two states.

mod common;

use illume::cluster::Solo;
use illume::core::{Activation, Axis, Init, Network, Result, Task, TaskSpec, Worker};
use illume::envs::{End, Env, RolloutWorker, Step};
use illume::numerics::mlp::Output;
use illume::{Config, Run};

const REWARD: f64 = 5.0;
const DISCOUNT: f64 = 0.9;

/// The first step leads from state 0 to state 1, the second stays there, and then time is up.
struct TwoStates {
    policy: Network,
    spec: TaskSpec,
    /// What is paid at the end, and what for each step.
    pay: Pay,
    time: bool,
}

#[derive(Clone, Copy)]
struct Pay {
    last: Option<f64>,
    step: f64,
}

impl TwoStates {
    fn new(last: Option<f64>, step: f64, time: bool) -> TwoStates {
        let policy = Network::policy(vec![1 + usize::from(time), 2, 1], Activation::Tanh);
        let spec = TaskSpec {
            descriptor: vec![Axis::new("action", "", -1.0, 1.0)],
            fitness: "reward".into(),
            deterministic: true,
            observation_dim: policy.inputs(),
            action_dim: 1,
            network: Some(policy.clone()),
            max_steps: 2,
            test_steps: 2,
            chunk: 16,
            ..TaskSpec::new("two states", policy.params(), Init::Normal { mean: 0.0, sd: 1.0 })
        };
        TwoStates {
            policy,
            spec,
            pay: Pay { last, step },
            time,
        }
    }
}

impl Task for TwoStates {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        let walk = Walk {
            pay: self.pay,
            action: 0.0,
        };
        Ok(Box::new(
            RolloutWorker::new(walk, &self.policy, &self.spec).with_time(self.time),
        ))
    }
}

struct Walk {
    pay: Pay,
    action: f32,
}

impl Env for Walk {
    fn reset(&mut self, _seed: u64, observation: &mut [f32]) {
        observation[0] = 0.0;
    }

    fn step(&mut self, action: &[f32], observation: &mut [f32]) -> Step {
        observation[0] = 1.0;
        self.action = action[0];
        Step {
            reward: self.pay.step,
            end: End::Running,
        }
    }

    fn descriptor(&mut self, out: &mut [f64]) {
        out[0] = f64::from(self.action);
    }

    fn final_reward(&mut self) -> Option<f64> {
        self.pay.last
    }
}

/// What the first critic of a run of `pga_me` says of these observations, with action 0.
fn values(task: &TwoStates, observations: &[&[f32]]) -> Vec<f64> {
    let text = format!(
        "[task]\nname = \"own\"\n[strategy]\nname = \"pga_me\"\nlearner = \"native\"\nbatch = 16\npg_steps = 5\ncritic_steps = 1500\ncritic_hidden = [16]\n\
         minibatch = 32\ncritic_rate = 0.01\ntau = 0.05\ndiscount = {DISCOUNT}\n[archive]\nshape = [8]\n[budget]\ngenerations = 3\n"
    );
    let config = Config::parse(&text, "test", &[]).unwrap();
    let mut run = Run::new(&config, task, &Solo).unwrap();
    while run.generation().unwrap() {}
    let folder = common::folder();
    let path = folder.path().join("checkpoint.h5");
    run.write(&path, true).unwrap();
    let state = common::open(&path).state().unwrap().unwrap();
    let critic = state.table("critic_1").unwrap().get::<f32>("params").unwrap();
    let net = Network {
        layers: vec![task.spec.observation_dim + 1, 16, 1],
        hidden: Activation::Relu,
        output: Output::Linear,
    };
    let inputs: Vec<f32> = observations.iter().flat_map(|o| [o, &[0.0][..]].concat()).collect();
    net.forward_rows(critic, &inputs).into_iter().map(f64::from).collect()
}

#[track_caller]
fn near(values: &[f64], expected: &[f64]) {
    for (value, expected) in values.iter().zip(expected) {
        assert!((value - expected).abs() < 0.05 * REWARD, "{values:?} for {expected:?}");
    }
}

#[test]
fn the_last_state_is_worth_the_final_reward_and_the_one_before_it_less_by_the_discount() {
    let task = TwoStates::new(Some(REWARD), 0.0, false);
    near(&values(&task, &[&[1.0], &[0.0]]), &[REWARD, DISCOUNT * REWARD]);
}

/// Without the time, a state in which time may be up is worth what going on for ever would bring; with it, what it brings.
#[test]
fn time_that_is_seen_ends_what_can_be_earned_and_time_that_is_not_seen_does_not() {
    let step = REWARD * (1.0 - DISCOUNT);
    let unseen = TwoStates::new(None, step, false);
    near(&values(&unseen, &[&[1.0]]), &[REWARD]);
    let seen = TwoStates::new(None, REWARD, true);
    near(
        &values(&seen, &[&[1.0, 0.5], &[0.0, 1.0]]),
        &[REWARD, (1.0 + DISCOUNT) * REWARD],
    );
}
