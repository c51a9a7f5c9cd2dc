//! What the emitters of QDax 0.5 learn, recorded by tools/check_qdax.py: networks and transitions go in, and after each round of two
//! critic steps and one of the actor, and after policies have climbed, all networks are the recorded ones.

use super::*;
use crate::gradients::similarity;

/// Of the largest value of a vector.
const TOLERANCE: f64 = 1e-5;

type Make = fn(&Td3Config, &Networks) -> Box<dyn Learner>;

/// Each learner that is compiled in, on the processor.
fn learners() -> Vec<(&'static str, Make)> {
    vec![
        ("native", |c, networks| Box::new(Native::new(c, networks))),
        #[cfg(feature = "torch")]
        ("torch", |c, networks| {
            Box::new(Torch::new(c, networks, tch::Device::Cpu).unwrap())
        }),
    ]
}

/// Lines of a name and numbers, to be read in order.
struct Recording(std::vec::IntoIter<(&'static str, Vec<f32>)>);

impl Recording {
    fn new(text: &'static str) -> Recording {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let line = |line: &'static str| {
            let mut words = line.split(' ');
            let name = words.next().unwrap();
            (name, words.map(|word| word.parse().unwrap()).collect())
        };
        Recording(lines.map(line).collect::<Vec<_>>().into_iter())
    }

    #[track_caller]
    fn next(&mut self, name: &str) -> Vec<f32> {
        let (found, numbers) = self.0.next().expect(name);
        assert_eq!(found, name);
        numbers
    }

    /// Actor, its target, critics, their targets.
    fn networks(&mut self) -> [Vec<f32>; 6] {
        [
            "actor",
            "actor_target",
            "critic0",
            "critic1",
            "critic_target0",
            "critic_target1",
        ]
        .map(|name| self.next(name))
    }

    fn minibatches(&mut self, c: &Td3Config, length_scale: f64) -> Minibatches {
        let [observation, action] = ["observation", "action"].map(|name| self.next(name));
        let mut reward = self.next("reward");
        let next_observation = self.next("next_observation");
        let continues = self.next("done").iter().map(|done| 1.0 - done).collect();
        let mut condition = Vec::new();
        if c.condition > 0 {
            let achieved = self.next("achieved");
            condition = self.next("requested");
            let rows = achieved.chunks(c.condition).zip(condition.chunks(c.condition));
            let lengths = vec![length_scale; c.condition];
            for (reward, (d, wanted)) in reward.iter_mut().zip(rows) {
                *reward *= similarity(d, wanted, &lengths);
            }
        }
        Minibatches {
            steps: reward.len() / c.minibatch,
            observation,
            action,
            condition,
            reward,
            next_observation,
            continues,
            noise: self.next("noise"),
        }
    }
}

fn repeats(text: &'static str, (learner, make): (&str, Make)) {
    let mut recording = Recording::new(text);
    let shape: Vec<usize> = recording.next("shape").iter().map(|x| *x as usize).collect();
    let [observation, action, condition, first, second, minibatch, rounds] = shape[..] else {
        panic!("{shape:?}")
    };
    let numbers: Vec<f64> = recording
        .next("numbers")
        .iter()
        .map(|x| (f64::from(*x) * 1e6).round() / 1e6)
        .collect();
    let [critic_rate, actor_rate, rate, discount, tau, length_scale] = numbers[..] else {
        panic!("{numbers:?}")
    };
    let c = Td3Config {
        observation,
        action,
        condition,
        actor_hidden: vec![first, second],
        actor_activation: Activation::Relu,
        critic_hidden: vec![first, second],
        minibatch,
        actor_rate,
        critic_rate,
        discount,
        tau,
        delay: 2,
        target_delay: 1,
    };
    let [actor, actor_target, critic0, critic1, target0, target1] = recording.networks();
    let start = Networks {
        actor,
        actor_target,
        critics: [critic0, critic1],
        critic_targets: [target0, target1],
        ..Networks::new(&c, 0)
    };
    targets(&mut recording, &c, &start, length_scale, make);

    let mut ours = make(&c, &start);
    for round in 0..rounds {
        ours.train(&recording.minibatches(&c, length_scale)).unwrap();
        let now = ours.networks().unwrap();
        let [c0, c1] = &now.critics;
        let [t0, t1] = &now.critic_targets;
        let recorded = recording.networks();
        let names = ["actor", "its target", "critic 0", "critic 1", "target 0", "target 1"];
        for ((name, ours), theirs) in names
            .iter()
            .zip([&now.actor, &now.actor_target, c0, c1, t0, t1])
            .zip(&recorded)
        {
            println!("{learner}, round {round}, {name}: {:.1e}", difference(ours, theirs));
            close(ours, &double(theirs), TOLERANCE);
        }
    }

    let parents = [0, 1].map(|_| recording.next("policy"));
    let conditions = if condition > 0 {
        recording.next("condition")
    } else {
        vec![]
    };
    let states = recording.next("states");
    let climb = Ascent {
        policy: Network {
            layers: vec![observation, first, second, action],
            hidden: Activation::Relu,
            output: Output::Tanh,
        },
        rate,
        steps: states.len() / (minibatch * observation),
        minibatch,
    };
    let critic = ours.networks().unwrap().critics[0].clone();
    let mut policies = parents.concat();
    ours.improve(&climb, &critic, &mut policies, &conditions, &states)
        .unwrap();
    for policy in policies.chunks(climb.policy.params()) {
        let theirs = recording.next("climbed");
        println!("{learner}, climbed: {:.1e}", difference(policy, &theirs));
        close(policy, &double(&theirs), TOLERANCE);
    }
    assert!(recording.0.next().is_none(), "all has been read");
}

/// A target is read off what Adam's first moment says of the loss of critics that are 0 everywhere: a tenth of -2 y.
fn targets(recording: &mut Recording, c: &Td3Config, start: &Networks, length_scale: f64, make: Make) {
    let single = Td3Config {
        minibatch: 1,
        ..c.clone()
    };
    let both = recording.minibatches(&single, length_scale);
    let theirs = recording.next("target");
    let ours = [0, 1].map(|row| {
        let part = |column: &[f32]| {
            let width = column.len() / 2;
            column[row * width..(row + 1) * width].to_vec()
        };
        let batch = Minibatches {
            steps: 1,
            observation: part(&both.observation),
            action: part(&both.action),
            condition: part(&both.condition),
            reward: part(&both.reward),
            next_observation: part(&both.next_observation),
            continues: part(&both.continues),
            noise: part(&both.noise),
        };
        let zero = start.critics.clone().map(|critic| vec![0.0; critic.len()]);
        let mut learner = make(
            &single,
            &Networks {
                critics: zero,
                ..start.clone()
            },
        );
        learner.train(&batch).unwrap();
        -5.0 * learner.networks().unwrap().critic_moments[0][0].last().unwrap()
    });
    close(&ours, &double(&theirs), TOLERANCE);
    // QDax learns nothing from a truncated row; ours, which knows its next state, learns from it as from any other.
    assert_eq!(recording.next("truncated"), [0.0]);
}

/// The largest, of the largest value.
fn difference(ours: &[f32], theirs: &[f32]) -> f32 {
    let largest = theirs.iter().fold(0.0f32, |a, x| a.max(x.abs()));
    ours.iter().zip(theirs).fold(0.0f32, |a, (x, y)| a.max((x - y).abs())) / largest
}

#[test]
fn pga_me_of_qdax_is_repeated_number_by_number() {
    for learner in learners() {
        repeats(include_str!("../../../tests/data/qdax_pga_me.txt"), learner);
    }
}

#[test]
fn dcrl_me_of_qdax_is_repeated_number_by_number() {
    for learner in learners() {
        repeats(include_str!("../../../tests/data/qdax_dcrl_me.txt"), learner);
    }
}
