//! Whole generations through the engine: MAP-Elites on the arm, OpenAI-ES without fitness, noise. Medians of several repeats,
//! the machine's measured limit and the peers' rates (see `docs/results.md`) beside them.
//!
//! `cargo bench -p illume-benches --bench engine`; threads: RAYON_NUM_THREADS (all cores otherwise).

use std::ops::Range;
use std::time::Instant;

use illume::cluster::Solo;
use illume::core::{Axis, Init, Purpose, Request, Result, Scores, Scratch, Stream, Task, TaskSpec, Worker};
use illume::{Config, Run};

fn main() -> Result<()> {
    println!("{} threads\n", rayon::current_num_threads());
    println!("| workload | measured (median of n) | min to max | aim | limit |");
    println!("| --- | --- | --- | --- | --- |");
    let pool = rayon::ThreadPoolBuilder::new().use_current_thread();
    let _ = pool.build_global();
    normals();
    for (joints, aim, limit) in [(20, "15 M/s", "36 M/s"), (100, "5 M/s", "11 M/s")] {
        arm(joints, aim, limit)?;
    }
    for dim in [10_000, 100_000, 1_000_000] {
        evolution_strategy(dim)?;
    }
    Ok(())
}

fn report(name: &str, mut values: Vec<f64>, show: impl Fn(f64) -> String, aim: &str, limit: &str) {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values[0], values[values.len() - 1]);
    let median = values[values.len() / 2];
    println!(
        "| {name} | {} ({}) | {} to {} | {aim} | {limit} |",
        show(median),
        values.len(),
        show(low),
        show(high)
    );
}

fn normals() {
    let stream = Stream::new(1, Purpose::Variation, 0, 0);
    let mut out = vec![0.0; 4096];
    let rates = (0..9)
        .map(|_| {
            let start = Instant::now();
            (0..10_000).for_each(|i| stream.normals(i * 4096, &mut out));
            10_000.0 * 4096.0 / start.elapsed().as_secs_f64()
        })
        .collect();
    report(
        "standard normals, one thread",
        rates,
        |r| format!("{:.0} M/s", r / 1e6),
        "",
        "1,332 M/s (a cheaper hash)",
    );
}

/// The peers' workload (w2_arm.py): 1,000,448 evaluations in batches of 1,024 into a 100 x 100 grid.
fn arm(joints: usize, aim: &str, limit: &str) -> Result<()> {
    let text = format!(
        "[task]\nname = \"arm\"\njoints = {joints}\n[strategy]\nname = \"map_elites\"\nbatch = 1024\niso_sigma = 0.01\nline_sigma = 0.2\n\
         [archive]\nkind = \"grid\"\nshape = [100, 100]\n[budget]\nevaluations = 1_000_448\n"
    );
    let config = Config::parse(&text, "bench", &[])?;
    let task = illume::registry::task(&config)?;
    let mut scores = Vec::new();
    let mut rates = Vec::new();
    for seed in 0..7 {
        let mut config = config.clone();
        config.seed = seed;
        let mut run = Run::new(&config, task.as_ref(), &Solo)?;
        run.keep_awake(true);
        let start = Instant::now();
        while run.generation()? {}
        rates.push(run.counters().evaluations as f64 / start.elapsed().as_secs_f64());
        scores.push(run.metrics().qd_score);
    }
    scores.sort_by(f64::total_cmp);
    let name = format!(
        "MAP-Elites on `arm`, {joints} joints (QD score {:.0})",
        scores[scores.len() / 2]
    );
    report(&name, rates, |r| format!("{:.2} M/s", r / 1e6), aim, limit);
    Ok(())
}

/// A task that costs nothing but decoding: what an evolution strategy itself needs.
struct Nothing {
    spec: TaskSpec,
}

struct Decode(Scratch);

impl Task for Nothing {
    fn spec(&self) -> &TaskSpec {
        &self.spec
    }

    fn worker(&self) -> Result<Box<dyn Worker + '_>> {
        Ok(Box::new(Decode(Scratch::default())))
    }
}

impl Worker for Decode {
    fn evaluate(&mut self, request: &Request<'_>, rows: Range<usize>, scores: &mut Scores<'_>) {
        for (slot, row) in rows.enumerate() {
            let genes = request.genomes.genes(row, &mut self.0);
            scores.fitness[slot] = f64::from(genes[genes.len() / 2]);
        }
    }
}

fn evolution_strategy(dim: usize) -> Result<()> {
    let text = "[task]\nname = \"sphere\"\n[strategy]\nname = \"openai_es\"\npopulation = 256\n[archive]\nkind = \"grid\"\nshape = [1]\n";
    let config = Config::parse(text, "bench", &[])?;
    let spec = TaskSpec {
        descriptor: vec![Axis::new("none", "", 0.0, 1.0)],
        fitness: "one gene".into(),
        deterministic: true,
        ..TaskSpec::new("nothing", dim, Init::Normal { mean: 0.0, sd: 1.0 })
    };
    let task = Nothing { spec };
    let mut run = Run::new(&config, &task, &Solo)?;
    run.generation()?;
    let seconds = (0..9)
        .map(|_| {
            let start = Instant::now();
            run.generation().map(|_| start.elapsed().as_secs_f64())
        })
        .collect::<Result<Vec<f64>>>()?;
    let (aim, limit) = match dim {
        1_000_000 => ("200 ms", "85 to 100 ms"),
        100_000 => ("", "8.5 ms"),
        _ => ("", "0.8 ms"),
    };
    let name = format!("OpenAI-ES generation without fitness, {dim} parameters, population 256");
    report(&name, seconds, |s| format!("{:.1} ms", 1e3 * s), aim, limit);
    Ok(())
}
