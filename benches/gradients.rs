//! One generation of the strategies that learn, at the papers' sizes: seconds of evaluation, climbing, learning and exchange.
//!
//! `cargo bench -p illume-benches --features mujoco --bench gradients`. Ant for 250 steps, policies 128x128, batch 256, 3000 critic steps and 150 steps of
//! each policy that climbs; medians over generations that learn, on the threads of this machine.

use illume::cluster::Solo;
use illume::{Config, Run, registry};

const GENERATIONS: usize = 4;

fn main() {
    println!(
        "| strategy | integrator | generation s | evaluation s | climbing s | learning s | exchange s | rank 0 alone | env steps/s |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for strategy in ["map_elites", "pga_me", "dcg_me", "dcrl_me"] {
        for integrator in ["implicitfast", "model"] {
            if integrator == "model" && strategy != "dcrl_me" && strategy != "map_elites" {
                continue;
            }
            generation(strategy, integrator);
        }
    }
}

fn generation(strategy: &str, integrator: &str) {
    let text = format!(
        "[task]\nname = \"ant_omni\"\npositive_reward = true\nintegrator = \"{integrator}\"\n[policy]\nhidden = [128, 128]\n\
         activation = \"relu\"\n[strategy]\nname = \"{strategy}\"\n[archive]\nkind = \"cvt\"\ncells = 1024\n[budget]\n\
         generations = {}\n",
        GENERATIONS + 1
    );
    let config = Config::parse(&text, "bench", &[]).expect("a good configuration");
    let task = registry::task(&config).expect("MuJoCo and its models: run `make setup`");
    let mut run = Run::new(&config, task.as_ref(), &Solo).expect("a run");
    while run.generation().expect("a generation") {}
    let history = run.history().batch();
    let column = |name: &str| history.get::<f64>(name).map_or(Vec::new(), <[f64]>::to_vec);
    let differences = |name: &str| -> Vec<f64> { column(name).windows(2).map(|w| w[1] - w[0]).collect() };
    // The first generation climbs nothing.
    let later = |name: &str| column(name).get(1..).map_or(vec![0.0; GENERATIONS], <[f64]>::to_vec);
    let (whole, steps) = (differences("wall_seconds"), differences("env_steps"));
    let (climb, learn) = (later("climb_seconds"), later("learn_seconds"));
    let (exchange, alone) = (later("exchange_seconds"), later("serial_share"));
    let evaluation: Vec<f64> = (0..whole.len())
        .map(|i| whole[i] - climb[i] - learn[i] - exchange[i])
        .collect();
    let rate: Vec<f64> = steps.iter().zip(&evaluation).map(|(s, t)| s / t).collect();
    println!(
        "| {strategy} | {integrator} | {:.2} | {:.2} | {:.2} | {:.2} | {:.3} | {:.0} % | {:.0} |",
        median(whole),
        median(evaluation),
        median(climb),
        median(learn),
        median(exchange),
        100.0 * median(alone),
        median(rate),
    );
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
