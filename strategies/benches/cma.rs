//! A generation of `cma_es` and `sep_cma_es` without fitness: seconds of ask and tell together, amortized over generations, and of decomposing the
//! covariance within it.
//!
//! `cargo bench -p illume-strategies --bench cma`; behind `--`, part of a row's name selects rows, and a number the threads.
//!
//! The decomposition is due every 1 / (d n (c_1 + c_mu)) generations, with d = 2 as in purecma and pyribs, and 10 as in the tutorial and pycma.

use std::time::Instant;

use illume_core::{
    Archive, ArchiveSpec, Batch, Candidates, Comm, Context, Elites, Fetched, Inbox, Init, Result, StrategyConfig,
    TaskSpec, Told, mix64, toml,
};
use illume_strategies::registry;

/// Measured parts of a row; their median is shown.
const REPEATS: usize = 5;

/// (strategy, genes, population, decompositions, generations of a part).
const ROWS: &[(&str, usize, usize, f64, usize)] = &[
    ("cma_es", 100, 17, 2.0, 1000),
    ("cma_es", 100, 17, 10.0, 300),
    ("cma_es", 100, 256, 2.0, 200),
    ("cma_es", 448, 24, 2.0, 102),
    ("cma_es", 448, 96, 2.0, 50),
    ("cma_es", 1000, 24, 2.0, 74),
    ("cma_es", 1000, 24, 10.0, 21),
    ("cma_es", 1000, 256, 2.0, 12),
    ("cma_es", 1792, 24, 2.0, 60),
    ("cma_es", 1792, 96, 2.0, 20),
    ("cma_es", 4096, 24, 2.0, 136),
    ("cma_es", 4096, 96, 2.0, 40),
    ("sep_cma_es", 10_000, 256, 0.0, 50),
    ("sep_cma_es", 100_000, 256, 0.0, 10),
    ("sep_cma_es", 1_000_000, 256, 0.0, 3),
];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let (wanted, counts): (Vec<String>, Vec<String>) = arguments.into_iter().partition(|a| a.parse::<usize>().is_err());
    let mut counts: Vec<usize> = counts.iter().filter_map(|a| a.parse().ok()).collect();
    if counts.is_empty() {
        counts = vec![std::thread::available_parallelism().map_or(1, usize::from).min(2)];
    }
    println!("| work | threads | seconds a generation, median of {REPEATS} | fastest | of it decomposing | share |");
    println!("| --- | --- | --- | --- | --- | --- |");
    for threads in counts {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads can be made");
        for &(name, dim, population, decompositions, generations) in ROWS {
            let work = match name {
                "cma_es" => format!("{name}, n {dim}, population {population}, d {decompositions}"),
                _ => format!("{name}, n {dim}, population {population}"),
            };
            if wanted.is_empty() || wanted.iter().any(|part| work.contains(part.as_str())) {
                let parts = pool.install(|| measure(name, dim, population, decompositions, generations));
                let median = |f: &dyn Fn(&(f64, f64)) -> f64| {
                    let mut values: Vec<f64> = parts.iter().map(f).collect();
                    values.sort_by(f64::total_cmp);
                    (values[REPEATS / 2], values[0])
                };
                let (time, fastest) = median(&|p| p.0);
                let (eigen, _) = median(&|p| p.1);
                let share = 100.0 * eigen / time;
                println!("| {work} | {threads} | {time:.6} | {fastest:.6} | {eigen:.6} | {share:.0} % |");
            }
        }
    }
}

/// Of each part: seconds of a generation, and of decomposing within it.
fn measure(name: &str, dim: usize, population: usize, decompositions: f64, generations: usize) -> Vec<(f64, f64)> {
    let task = task(dim);
    let mut text = format!("name = \"{name}\"\npopulation = {population}\nsigma = 0.5\n");
    if decompositions > 0.0 {
        text += &format!("decompositions = {decompositions:?}\n");
    }
    let table: toml::Table = text.parse().expect("it is TOML");
    let entry = registry().iter().find(|e| e.name == name).expect("it is registered");
    let config = StrategyConfig {
        strategy: &table,
        task: &task,
        memory: &illume_core::Memory::unlimited(),
    };
    let mut strategy = (entry.build)(&config).expect("its parameters are right");
    let eigen = strategy
        .spec()
        .history
        .iter()
        .position(|(name, ..)| name == "eigen_seconds");
    let eigen = eigen.expect("the strategy has the column");
    let mut candidates = Candidates::default();
    let mut number = 0;
    let mut part = |generations: usize| {
        let (mut seconds, mut decomposing) = (0.0, 0.0);
        for _ in 0..generations {
            let context = Context {
                seed: 1,
                generation: number,
                task: &task,
                comm: &Alone,
            };
            let began = Instant::now();
            strategy
                .ask(&context, &NoArchive, &mut candidates)
                .expect("nothing can fail");
            seconds += began.elapsed().as_secs_f64();
            let rows = scores(number, population);
            let told = Told {
                candidates: &candidates,
                rows: &rows,
                moments: &[],
                trajectories: &[],
                report: None,
                last: false,
            };
            let began = Instant::now();
            strategy.tell(&context, &told).expect("nothing can fail");
            seconds += began.elapsed().as_secs_f64();
            let mut row = Vec::new();
            strategy.history(&mut row);
            decomposing += row[eigen];
            number += 1;
        }
        (seconds / generations as f64, decomposing / generations as f64)
    };
    part(1 + generations / 10);
    (0..REPEATS).map(|_| part(generations)).collect()
}

/// Any order of members will do.
fn scores(generation: u64, population: usize) -> Batch {
    let fitness = (0..population as u64).map(|i| mix64(generation << 32 | i) as f64 / u64::MAX as f64);
    let mut rows = Batch::new();
    rows.push("status", 1, "", "", vec![0u8; population]);
    rows.push("fitness", 1, "", "", fitness.collect());
    rows
}

fn task(genome_dim: usize) -> TaskSpec {
    TaskSpec {
        fitness: "any".into(),
        deterministic: true,
        ..TaskSpec::new("none", genome_dim, Init::Normal { mean: 1.0, sd: 0.0 })
    }
}

struct Alone;

impl Comm for Alone {
    fn rank(&self) -> usize {
        0
    }

    fn size(&self) -> usize {
        1
    }

    fn all_gather(&self, mine: &[u8], _counts: &[usize], out: &mut Vec<u8>) -> Result<()> {
        out.clear();
        out.extend_from_slice(mine);
        Ok(())
    }

    fn broadcast(&self, _root: usize, _data: &mut Vec<u8>) -> Result<()> {
        Ok(())
    }

    fn all_to_all(&self, send: &[Vec<u8>], _receive: &[usize]) -> Result<Vec<Vec<u8>>> {
        Ok(send.to_vec())
    }

    fn any(&self, word: u64) -> Result<u64> {
        Ok(word)
    }
}

struct NoArchive;

impl Archive for NoArchive {
    fn spec(&self) -> &ArchiveSpec {
        unreachable!("the archive is not looked at")
    }

    fn locate(&self, _descriptors: &[f64], _cells: &mut [i64]) {}

    fn elites(&self) -> &Elites {
        unreachable!("the archive is not looked at")
    }

    fn fetch<'a>(
        &'a self,
        _cells: &[u32],
        _bounds: &[usize],
        _comm: &dyn Comm,
        _inbox: &'a mut Inbox,
    ) -> Result<Fetched<'a>> {
        unreachable!("the archive is not looked at")
    }
}
