//! Environment steps per second with policies, beside raw `mj_step` on the same model in the same sitting.
//!
//! A generation of neuroevolution: 256 networks of 64 x 64 tanh, 250 steps each, on two threads. Raw is the same number of
//! `mj_step` calls from the same first states, without policy, observation, reward or end: once under the very actions that
//! the policies take, so that physics is the same, and once under random ones. Names given after `--` choose tasks.

use std::ops::Range;
use std::time::Instant;

use illume_core::Activation;
use illume_core::Network;
use illume_core::{Dense, Genomes, Purpose, Request, Scores, Scratch, Stream, Task, TaskConfig, toml};
use illume_envs::Env;
use illume_envs::mujoco::{Robot, plan, registry};
use rayon::prelude::*;

const POPULATION: usize = 256;
const STEPS: u32 = 250;
const THREADS: usize = 2;
/// Rows timed in turn with policies and raw, so that a neighbor's load falls on both alike.
const TURN: usize = 32;
const ROUNDS: usize = 2;

/// Seconds that the rows take with policies.
fn policies(task: &dyn Task, genomes: &Genomes, seeds: &[u64], rows: Range<usize>) -> f64 {
    let k = task.spec().descriptor_dim();
    let request = Request {
        genomes,
        seeds,
        max_steps: u32::MAX,
        uncapped: 0..0,
        tests: 0..0,
        normalization: None,
        observed: &[],
        network: None,
    };
    let started = Instant::now();
    let taken = rows.len() as u64 * u64::from(STEPS);
    let steps: u64 = rows
        .into_par_iter()
        .map_init(
            || task.worker().expect("a worker"),
            |worker, row| {
                let (mut status, mut fitness, mut descriptor, mut steps) = ([0], [0.0], vec![0.0; k], [0]);
                worker.evaluate(
                    &request,
                    row..row + 1,
                    &mut Scores {
                        status: &mut status,
                        fitness: &mut fitness,
                        descriptor: &mut descriptor,
                        steps: &mut steps,
                        moments: &mut [],
                        measures: &mut [],
                        objectives: &mut [],
                        trajectories: &mut [],
                        features: &mut [],
                    },
                );
                u64::from(steps[0])
            },
        )
        .sum();
    let seconds = started.elapsed().as_secs_f64();
    assert_eq!(steps, taken);
    seconds
}

/// What each row's network does in its episode, `[population, steps, actions]`.
fn record(robot: &Robot, network: &Network, genomes: &Genomes, seeds: &[u64]) -> Vec<Vec<f32>> {
    let mut episode = robot.episode().expect("an episode");
    let (mut units, mut scratch) = (network.units(), Scratch::default());
    let mut observation = vec![0.0; network.inputs()];
    let mut action = vec![0.0; network.outputs()];
    let mut act = |row: usize, seed: u64| {
        let genes = genomes.genes(row, &mut scratch);
        episode.reset(seed, &mut observation);
        let mut actions = Vec::new();
        for _ in 0..STEPS {
            network.forward(genes, &observation, &mut units, &mut action);
            actions.extend_from_slice(&action);
            episode.step(&action, &mut observation);
        }
        actions
    };
    seeds.iter().enumerate().map(|(row, seed)| act(row, *seed)).collect()
}

/// Uniformly random actions, of the same shape.
fn random(actions: usize, seeds: &[u64]) -> Vec<Vec<f32>> {
    let draw = |seed: &u64| {
        let mut values = vec![0.0; STEPS as usize * actions];
        Stream::new(*seed, Purpose::Variation, 0, 0).uniforms(0, &mut values);
        values.iter_mut().for_each(|a| *a = 2.0 * *a - 1.0);
        values
    };
    seeds.iter().map(draw).collect()
}

/// Seconds that nothing but `mj_step` takes under these actions.
fn raw(robot: &Robot, actions: &[Vec<f32>], seeds: &[u64]) -> f64 {
    let sizes = robot.model().sizes();
    let frames = robot.recipe().frames;
    let started = Instant::now();
    (actions, seeds).into_par_iter().for_each_init(
        || (robot.episode().expect("an episode"), vec![0.0; robot.observation_dim()]),
        |(episode, observation), (actions, seed)| {
            episode.reset(*seed, observation);
            for action in actions.chunks_exact(sizes.controls) {
                episode.simulator_mut().step(action, frames, false);
            }
        },
    );
    started.elapsed().as_secs_f64()
}

fn main() {
    // `cargo test --benches` only asks whether it runs.
    if !std::env::args().any(|a| a == "--bench") {
        return;
    }
    let chosen: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(THREADS)
        .build()
        .expect("a thread pool");
    println!("{POPULATION} policies 64x64 tanh, {STEPS} steps, {THREADS} threads; env steps/s, {ROUNDS} rounds");
    println!(
        "| task | integrator | with policies | raw mj_step, same actions | ratio (median) | raw mj_step, random actions |"
    );
    println!("|---|---|---|---|---|---|");
    for (name, integrator) in [
        ("halfcheetah_uni", "model"),
        ("ant_uni", "model"),
        ("ant_uni", "implicitfast"),
        ("walker2d_uni", "model"),
        ("walker2d_uni", "implicitfast"),
    ] {
        if !chosen.is_empty() && !chosen.iter().any(|c| c == name) {
            continue;
        }
        // Ends are ignored on both sides, so that both simulate the same number of steps.
        let ends = if name == "halfcheetah_uni" {
            ""
        } else {
            "\nterminate_when_unhealthy = false"
        };
        let text = format!("integrator = \"{integrator}\"\nepisode_length = {STEPS}{ends}");
        let table: toml::Table = text.parse().expect("TOML");
        let entry = registry().iter().find(|e| e.name == name).expect("a task");
        let task = (entry.build)(&TaskConfig {
            task: &table,
            genes: None,
            policy: &toml::Table::new(),
            ranks: 1,
        })
        .expect("a task");
        let robot = Robot::new(plan(name, &table).expect("a task").expect("parameters").recipe).expect("a model");
        let spec = task.spec();
        let mut data = vec![0.0; POPULATION * spec.genome_dim];
        for (i, genes) in data.chunks_exact_mut(spec.genome_dim).enumerate() {
            spec.init.draw(&Stream::new(1, Purpose::Init, 0, i as u64), genes);
        }
        let genomes = Genomes::Dense(Dense {
            dim: spec.genome_dim,
            data,
        });
        let seeds: Vec<u64> = (0..POPULATION as u64).collect();
        let network = Network::policy(vec![spec.observation_dim, 64, 64, spec.action_dim], Activation::Tanh);
        let same = record(&robot, &network, &genomes, &seeds);
        let random = random(spec.action_dim, &seeds);
        let (mut seconds, mut ratios) = ([0.0; 3], Vec::new());
        pool.install(|| {
            for turn in 0..ROUNDS * POPULATION / TURN {
                let first = turn * TURN % POPULATION;
                let rows = first..first + TURN;
                let times = [
                    policies(&*task, &genomes, &seeds, rows.clone()),
                    raw(&robot, &same[rows.clone()], &seeds[rows.clone()]),
                    raw(&robot, &random[rows.clone()], &seeds[rows.clone()]),
                ];
                ratios.push(times[1] / times[0]);
                seconds.iter_mut().zip(times).for_each(|(sum, t)| *sum += t);
            }
        });
        ratios.sort_by(f64::total_cmp);
        let steps = (ROUNDS * POPULATION) as f64 * f64::from(STEPS);
        let [with, same, random] = seconds.map(|s| steps / s);
        println!(
            "| {name} | {integrator} | {with:.0} | {same:.0} | {:.3} | {random:.0} |",
            ratios[ratios.len() / 2]
        );
    }
}
